/* Signals, whose handler was installed without SA_RESTART, come to all threads again and again, those of an interpreter's
 * process too, while everything runs: nothing fails for that. */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>

#include "acts.h"

static struct act {
  const char *name;
  subpy_status (*act)(subpy_error **error);
} ACTS[] = {{"execs", execs},       {"evals", evals},       {"calls", calls},     {"raises", raises},
            {"functions", functions}, {"objects", objects}, {"queues", queues},   {"buffers", buffers},
            {"defines", defines},   {"threads", threads},   {"limits", limits},   {"sessions", sessions},
            {"outputs", outputs},   {"asks", asks},         {"coroutines", coroutines}, {"creates", creates},
            {"pools", pools}};

static volatile int ends;
static int other;
static long sent;
static volatile sig_atomic_t handled;

static void handler(int signal) { (void)signal, handled++; }

static void storm(pid_t process) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task", (int)process);
  DIR *folder = opendir(path);
  if (!folder) return;
  for (struct dirent *entry; (entry = readdir(folder));) {
    int thread = atoi(entry->d_name);
    if (thread && thread != (int)syscall(SYS_gettid)) sent += syscall(SYS_tgkill, process, thread, SIGUSR1) == 0;
  }
  closedir(folder);
}

static void *storms(void *unused) {
  while (!ends) {
    storm(getpid());
    if (other) storm(other);
    nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
  }
  return unused;
}

int main(void) {
  struct sigaction action = {.sa_handler = handler};
  CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
  if (getenv("FAULTS_PROCESS")) options.flags = SUBPY_INTERP_PROCESS, options.grace_ms = 60000;
  options.size = sizeof options;
  subpy_error *error = NULL;
  OK(subpy_create(&options, &interp, &error));
  prepare(interp);
  if (options.flags) {
    run(interp, "import signal, os\nsignal.signal(signal.SIGUSR1, lambda *_: None)");
    other = (int)number(interp, "os.getpid()");
  }
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, storms, NULL) == 0);
  for (size_t i = 0; i < sizeof ACTS / sizeof *ACTS; i++)
    for (int round = 0; round < (getenv("FAULTS_ALL") ? 100 : 5); round++) {
      if (ACTS[i].act(&error) == SUBPY_OK) continue;
      fprintf(stderr, "%s: %s\n%s\n", ACTS[i].name, subpy_error_message(error, NULL), subpy_error_display(error, NULL));
      return 1;
    }
  ends = 1;
  CHECK(pthread_join(thread, NULL) == 0);
  other = 0;
  OK(subpy_close(interp, &error));
  OK(subpy_shutdown(&error));
  CHECK(sent > 100 && handled > 0);
  printf("%ld signals\n", sent);
  return 0;
}
