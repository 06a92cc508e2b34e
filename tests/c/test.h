/* What the C tests share. A test is a program: it returns 0 when everything is as it should be. */
#ifndef TEST_H
#define TEST_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "subpy.h"

/* Ends the program, naming the place and what was wrong. */
#define CHECK(condition)                                                                                     \
  do {                                                                                                       \
    if (!(condition)) {                                                                                      \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                              \
      exit(1);                                                                                               \
    }                                                                                                        \
  } while (0)

/* The call gave this status; otherwise prints the error that it gave. `error` is freed and NULL afterwards. */
#define CHECK_STATUS(expected, call)                                                                         \
  do {                                                                                                       \
    subpy_status status_ = (call);                                                                           \
    if (status_ != (expected)) {                                                                             \
      fprintf(stderr, "%s:%d: %s gave %s, not %s: %s\n", __FILE__, __LINE__, #call, subpy_status_name(status_), \
              #expected, error ? subpy_error_message(error, NULL) : "(no error)");                           \
      exit(1);                                                                                               \
    }                                                                                                        \
  } while (0)

#define OK(call) CHECK_STATUS(SUBPY_OK, call)

/* The call fails with this status and this message, or one that contains it when it begins with "...". */
#define FAILS(expected, expected_message, call)                                                              \
  do {                                                                                                       \
    error = NULL;                                                                                            \
    CHECK_STATUS(expected, call);                                                                            \
    check_message(__FILE__, __LINE__, error, expected, expected_message);                                    \
    subpy_error_free(error);                                                                                 \
    error = NULL;                                                                                            \
  } while (0)

static inline void check_message(const char *file, int line, const subpy_error *error, subpy_status status,
                                 const char *expected) {
  const char *message = subpy_error_message(error, NULL);
  bool part = strncmp(expected, "...", 3) == 0;
  if (!message || subpy_error_status(error) != status ||
      !(part ? strstr(message, expected + 3) != NULL : strcmp(message, expected) == 0)) {
    fprintf(stderr, "%s:%d: the message is\n  %s\nnot\n  %s\n", file, line, message ? message : "(none)", expected);
    exit(1);
  }
}

#ifdef __SANITIZE_ADDRESS__
/* AddressSanitizer looks for leaks when the program exits, and not in children that it has forked: what is on the stacks of
 * threads is not seen there, and the sanitizer's own locks may be taken for ever. */
static pid_t looked_through;

__attribute__((constructor)) static void is_looked_through(void) { looked_through = getpid(); }

int __lsan_is_turned_off(void) { return getpid() != looked_through; }

/* Memory that nobody can free any more, which the documentation says, is no leak. */
void __lsan_ignore_object(const void *memory);
#define KEPT_FOR_GOOD(memory) __lsan_ignore_object(memory)
#else
#define KEPT_FOR_GOOD(memory) ((void)(memory))
#endif

/* A frame of an error's traceback, which must be there. */
static inline subpy_frame frame_at(const subpy_error *error, size_t index) {
  subpy_frame frame = {.size = sizeof frame};
  CHECK(subpy_error_frame(error, index, &frame));
  CHECK(frame.size == sizeof frame && strlen(frame.file) <= frame.file_len &&
        strlen(frame.function) <= frame.function_len);
  return frame;
}

/* Then what was freed is kept, so memory says nothing. */
static inline bool is_sanitized(void) {
#ifdef __SANITIZE_ADDRESS__
  return true;
#else
  return false;
#endif
}

/* A fork whose child is to use the library while threads of this process are at work. Under AddressSanitizer the child ends at
 * once instead: the sanitizer's allocator may be locked in it for ever. */
static inline pid_t fork_beside_others(void) {
#ifdef __SANITIZE_ADDRESS__
  pid_t child = vfork();
  if (child == 0) _exit(0);
  return child;
#else
  return fork();
#endif
}

static inline long resident_kib(void) {
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  CHECK(file && fscanf(file, "%*d %ld", &pages) == 1);
  fclose(file);
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Tests of what interpreters do run a second time, with interpreters in processes of their own. */
static inline bool in_processes(void) { return getenv("SUBPY_TEST_PROCESS") != NULL; }

/* A process has descriptors of its own. So there these are made at once, and each interpreter gets all of them, by the
 * numbers that they have here. */
enum { FIRST_SHARED = 500, SHARED_PIPES = 64 };

__attribute__((constructor)) static void make_shared_pipes(void) {
  if (!in_processes()) return;
  for (int i = 0; i < SHARED_PIPES; i++) {
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    for (int end = 0; end < 2; end++) {
      CHECK(fcntl(ends[end], F_DUPFD_CLOEXEC, FIRST_SHARED + 2 * i + end) == FIRST_SHARED + 2 * i + end);
      CHECK(close(ends[end]) == 0);
    }
  }
}

static inline subpy_status create_anywhere(const subpy_interp_options *options, subpy_interp *interp,
                                           subpy_error **error) {
  if (!in_processes() || (options && options->gil == SUBPY_GIL_SHARED)) return subpy_create(options, interp, error);
  subpy_interp_options there = {.size = sizeof there};
  if (options) there = *options;
  there.flags |= SUBPY_INTERP_PROCESS;
  there.grace_ms = 60000; /* what is interrupted ends by itself */
  subpy_status status = subpy_create(&there, interp, error);
  if (status != SUBPY_OK) return status;
  char code[256];
  snprintf(code, sizeof code,
           "def share(os):\n"
           "  for end in range(%d, %d):\n"
           "    there = os.open(f'/proc/%d/fd/{end}', os.O_WRONLY if end %% 2 else os.O_RDONLY)\n"
           "    os.dup2(there, end, False), os.close(there)\n"
           "share(__import__('os'))\n"
           "del share",
           FIRST_SHARED, FIRST_SHARED + 2 * SHARED_PIPES, (int)getpid());
  /* Not as long as the interpreter's own limit says: that is for the test's runs. */
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_EXEC, .interp = *interp, .text = code,
                               .text_len = SUBPY_AUTO_LEN, .timeout_ms = 60000};
  return subpy_run(&request, NULL, error);
}

/* Whatever a test creates is where the test is to run. */
#define subpy_create(options, interp, error) create_anywhere(options, interp, error)

/* A place for one side to wait until the other says go; Python's side is os.read(fd, 1) and os.write(fd, b'.'). */
typedef struct {
  int in, out;
} signal_pipe;

static inline signal_pipe signal_new(void) {
  if (in_processes()) {
    static int used;
    CHECK(used < SHARED_PIPES);
    const int in = FIRST_SHARED + 2 * used++;
    return (signal_pipe){in, in + 1};
  }
  int ends[2];
  CHECK(pipe(ends) == 0);
  return (signal_pipe){ends[0], ends[1]};
}

static inline void signal_wait(signal_pipe pipe) {
  char byte;
  CHECK(read(pipe.in, &byte, 1) == 1);
}

static inline void signal_send(signal_pipe pipe) { CHECK(write(pipe.out, ".", 1) == 1); }

static inline subpy_interp create(void) {
  subpy_interp interp = 0;
  subpy_error *error = NULL;
  OK(subpy_create(NULL, &interp, &error));
  CHECK(interp != 0 && interp < (UINT64_C(1) << 53));
  return interp;
}

/* exec that must succeed */
static inline void run(subpy_interp interp, const char *code) {
  subpy_error *error = NULL;
  subpy_status status = subpy_exec(interp, code, SUBPY_AUTO_LEN, &error);
  if (status != SUBPY_OK) {
    const char *display = subpy_error_display(error, NULL);
    fprintf(stderr, "exec gave %s: %s\n%s\n", subpy_status_name(status), subpy_error_message(error, NULL),
            display ? display : "");
    exit(1);
  }
}

/* The value of an expression that must be an int or a bool. */
static inline int64_t number(subpy_interp interp, const char *expression) {
  subpy_error *error = NULL;
  subpy_value value = {0};
  OK(subpy_eval(interp, expression, SUBPY_AUTO_LEN, &value, &error));
  CHECK(value.kind == SUBPY_KIND_INT || value.kind == SUBPY_KIND_BOOL);
  return value.kind == SUBPY_KIND_BOOL ? value.u.as_bool : value.u.as_int;
}

static inline void shut_down(void) {
  subpy_error *error = NULL;
  OK(subpy_shutdown(&error));
}

#endif
