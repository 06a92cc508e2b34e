/* Starting under a timer whose handler interrupts system calls (no SA_RESTART), in every thread of the process: what a
 * profiler does to its host. */
#include <dirent.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "child.h"

static void nothing(int signal) {
  (void)signal;
}

/* The kernel gives the timer's signal to one thread, mostly the main one. This passes it on to the others. */
static void *disturb(void *unused) {
  (void)unused;
  sigset_t all;
  sigfillset(&all);
  CHECK(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
  pid_t me = (pid_t)syscall(SYS_gettid), process = getpid();
  for (;;) {
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks);
    for (struct dirent *task; (task = readdir(tasks));) {
      pid_t thread = (pid_t)atoi(task->d_name);
      if (thread > 0 && thread != me) syscall(SYS_tgkill, process, thread, SIGALRM);
    }
    closedir(tasks);
    usleep(500);
  }
  return NULL;
}

static void start(void) {
  struct sigaction action = {.sa_handler = nothing};
  CHECK(sigaction(SIGALRM, &action, NULL) == 0);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, disturb, NULL) == 0);
  struct itimerval timer = {{0, 500}, {0, 500}};
  CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
  subpy_error *error = NULL;
  subpy_interp interp;
  subpy_value value;
  OK(subpy_create(NULL, &interp, &error));
  OK(subpy_eval(interp, "6 * 7", SUBPY_AUTO_LEN, &value, &error));
  CHECK(value.kind == SUBPY_KIND_INT && value.u.as_int == 42);
  OK(subpy_exec(interp, "print('x' * 100000)", SUBPY_AUTO_LEN, &error));
  OK(subpy_shutdown(&error));
}

int main(void) {
  static char expected[100001];
  memset(expected, 'x', 100000);
  expected[100000] = '\n';
  for (int i = 0; i < 20; i++) expect_lengths("start", start, expected, sizeof expected, "");
  return 0;
}
