/* What a host and its processes for interpreters use of the machine: all of them are found by a mark in their environment. */
#ifndef DEATHS_H
#define DEATHS_H

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>

#include "guest.h"

static char mark[64];

/* The program begins anew with a mark, which its processes inherit, and a time limit. */
static inline void mark_processes(char **argv, unsigned seconds) {
  if (!getenv("SUBPY_TEST_MARK")) {
    snprintf(mark, sizeof mark, "%ld", (long)getpid());
    CHECK(setenv("SUBPY_TEST_MARK", mark, 1) == 0);
    execv("/proc/self/exe", argv);
    CHECK(!"started again");
  }
  snprintf(mark, sizeof mark, "SUBPY_TEST_MARK=%s", getenv("SUBPY_TEST_MARK"));
  alarm(seconds);
}

static inline double now(void) {
  struct timespec time;
  CHECK(clock_gettime(CLOCK_MONOTONIC, &time) == 0);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static inline void pause_ms(int ms) {
  struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
  nanosleep(&time, NULL);
}

static inline int entries(const char *folder) {
  DIR *open = opendir(folder);
  CHECK(open);
  int count = 0;
  while (readdir(open)) count++;
  closedir(open);
  return count;
}

static inline long pss_kib(pid_t process) {
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/%ld/smaps_rollup", (long)process);
  FILE *file = fopen(path, "r");
  long kib = -1;
  while (file && fgets(line, sizeof line, file))
    if (sscanf(line, "Pss: %ld", &kib) == 1) break;
  if (file) fclose(file);
  return kib;
}

static inline bool is_marked(const char *process) {
  char path[300], text[65536];
  snprintf(path, sizeof path, "/proc/%s/environ", process);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  ssize_t len = read(file, text, sizeof text - 1);
  close(file);
  if (len <= 0) return false;
  text[len] = 0;
  for (char *at = text; at < text + len; at += strlen(at) + 1)
    if (strcmp(at, mark) == 0) return true;
  return false;
}

/* How many processes there are with the mark, beside this one. One that has ended has no environment. */
static inline int processes(pid_t *last) {
  DIR *open = opendir("/proc");
  CHECK(open);
  int count = 0;
  for (struct dirent *entry; (entry = readdir(open));) {
    long id = strtol(entry->d_name, NULL, 10);
    if (id <= 0 || id == getpid() || !is_marked(entry->d_name)) continue;
    if (last) *last = (pid_t)id;
    count++;
  }
  closedir(open);
  return count;
}

/* Within ten seconds there are no more. How long that took. */
static inline double until_processes(int expected) {
  double since = now();
  while (processes(NULL) > expected) {
    if (now() - since > 60) {
      system("ps -eo pid,ppid,stat,comm,args >&2");
      CHECK(!"processes are left");
    }
    pause_ms(1);
  }
  return now() - since;
}

typedef struct {
  int descriptors, threads;
} host_use;

static inline host_use use_now(void) {
  return (host_use){entries("/proc/self/fd"), entries("/proc/self/task")};
}

/* Nothing more than before. A thread that has ended may be seen for a moment more. */
static inline void check_use(host_use before) {
  double since = now();
  for (;;) {
    host_use use = use_now();
    if (use.descriptors <= before.descriptors && use.threads <= before.threads) return;
    if (now() - since > 30) {
      fprintf(stderr, "descriptors %d -> %d, threads %d -> %d\n", before.descriptors, use.descriptors, before.threads, use.threads);
      system("ls -l /proc/$PPID/fd >&2; cat /proc/$PPID/task/*/comm >&2");
      CHECK(!"something is left in the host");
    }
    pause_ms(5);
  }
}

static inline subpy_interp create_process_with(int32_t busy, int64_t timeout_ms, uint64_t grace_ms) {
  subpy_interp_options options = {.size = sizeof options, .busy = busy, .flags = SUBPY_INTERP_PROCESS,
                                  .timeout_ms = timeout_ms, .grace_ms = grace_ms};
  subpy_interp interp = 0;
  subpy_error *error = NULL;
  OK(subpy_create(&options, &interp, &error));
  return interp;
}

static inline subpy_interp create_process(void) { return create_process_with(SUBPY_BUSY_REFUSE, 0, 100); }

#endif
