/* Standard output is full, closed, or a pipe that nobody reads: what is printed is an error or waits, a limit ends the wait,
 * and afterwards everything works. */
#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>

#include "acts.h"

static int real;

static void to(int file) {
  CHECK(dup2(file, 1) == 1);
  close(file);
}

static void back(void) { CHECK(dup2(real, 1) == 1); }

/* What prints fails with this errno, once for each run, and a run that does not print is none the worse for it. */
static void fails_with(int expected) {
  for (int i = 0; i < 3; i++) {
    subpy_error *error = NULL;
    CHECK(subpy_exec(interp, "print('x' * 100_000)", SUBPY_AUTO_LEN, &error) == SUBPY_ERROR_EXECUTION_FAILED);
    const char *message = subpy_error_message(error, NULL);
    char number[32];
    snprintf(number, sizeof number, "[Errno %d]", expected);
    CHECK(strncmp(subpy_error_type_name(error, NULL), "OSError", 7) == 0 && strstr(message, number));
    subpy_error_free(error);
    run(interp, "x = 1");
  }
}

static void *reads_slowly(void *ends) {
  size_t all = 0;
  char bytes[4096];
  for (ssize_t count; (count = read(*(int *)ends, bytes, sizeof bytes)) > 0; all += (size_t)count) usleep(100);
  return (void *)all;
}

static void slow_pipe(void) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  to(ends[1]);
  subpy_run_request request = {.size = sizeof request,
                               .interp = interp,
                               .what = SUBPY_RUN_EXEC,
                               .text = "for _ in range(100): print('y' * 10_000)",
                               .text_len = SUBPY_AUTO_LEN,
                               .timeout_ms = 200};
  subpy_error *error = NULL;
  subpy_status status = subpy_run(&request, NULL, &error);
  CHECK(status == SUBPY_ERROR_TIMEOUT);
  subpy_error_free(error);
  error = NULL;
  pthread_t reader;
  CHECK(pthread_create(&reader, NULL, reads_slowly, &ends[0]) == 0);
  request.timeout_ms = 0;
  OK(subpy_run(&request, NULL, &error));
  /* The process has an end of its own to write to. */
  if (options.flags) OK(subpy_close(interp, &error));
  back();
  void *read = NULL;
  if (options.flags) OK(subpy_shutdown(&error));
  CHECK(pthread_join(reader, &read) == 0 && (size_t)read > 1000000);
  close(ends[0]);
}

int main(void) {
  if (getenv("FAULTS_PROCESS")) options.flags = SUBPY_INTERP_PROCESS, options.grace_ms = 60000;
  options.size = sizeof options;
  real = fcntl(1, F_DUPFD_CLOEXEC, 100);
  CHECK(real >= 0);
  subpy_error *error = NULL;
  if (!options.flags) {
    OK(subpy_create(&options, &interp, &error));
    int full = open("/dev/full", O_WRONLY);
    CHECK(full >= 0);
    to(full);
    fails_with(ENOSPC);
    close(1);
    fails_with(EBADF);
    back();
    slow_pipe();
    run(interp, "print('it works')");
    OK(subpy_close(interp, &error));
    OK(subpy_shutdown(&error));
    return 0;
  }
  /* A process has the standard output that the program had when it was started. */
  int full = open("/dev/full", O_WRONLY);
  CHECK(full >= 0);
  to(full);
  OK(subpy_create(&options, &interp, &error));
  fails_with(ENOSPC);
  OK(subpy_close(interp, &error));
  back();
  OK(subpy_shutdown(&error));
  return 0;
}
