/* Something is refused to the library, the nth time that it asks and all times that come after it, for each n through
 * everything that a host does: it is an error, nothing ends the process, everything works afterwards, and nothing is left.
 *
 * The first argument says what is refused, the others which acts, if not all. FAULTS_PROCESS: with an interpreter in a process
 * of its own. FAULTS_THERE: to that process. FAULTS_ALL: each n is tried, else some. */
#include <dirent.h>

#include "acts.h"

static const struct act {
  const char *name;
  subpy_status (*act)(subpy_error **error);
  int slow; /* 2: very */
} ACTS[] = {
    {"execs", execs, 0},
    {"evals", evals, 0},
    {"calls", calls, 0},
    {"fails_to_compile", fails_to_compile, 0},
    {"raises", raises, 0},
    {"functions", functions, 0},
    {"objects", objects, 0},
    {"queues", queues, 0},
    {"buffers", buffers, 0},
    {"defines", defines, 0},
    {"threads", threads, 0},
    {"limits", limits, 0},
    {"sessions", sessions, 0},
    {"outputs", outputs, 0},
    {"asks", asks, 0},
    {"coroutines", coroutines, 0},
    {"creates", creates, 1},
    {"pools", pools, 1},
    {"restarts", restarts, 2},
};
enum { ACTS_COUNT = sizeof ACTS / sizeof *ACTS };

static const struct kind {
  const char *name;
  int kind;
} KINDS[] = {{"memory", FAULT_MEMORY},
             {"threads", FAULT_THREADS},
             {"files", FAULT_FILES},
             {"maps", FAULT_MAPS},
             {"processes", FAULT_PROCESSES}};
enum { KINDS_COUNT = sizeof KINDS / sizeof *KINDS };

static bool all;
static int kind;
static long cases, refused;

/* What the lack of something may look like. That CPython was not found, or a process not started, for that reason is an
 * error of its own: a process that never had any memory has no reserve either, and ends. */
static bool is_lack(subpy_status status, const subpy_error *error) {
  const char *type = subpy_error_type_name(error, NULL);
  if (status == SUBPY_ERROR_INTERPRETER) {
    const char *message = subpy_error_message(error, NULL);
    return kind != FAULT_MEMORY || strstr(message, "memory") ||
           (whose == THERE && strstr(message, "no process for an interpreter"));
  }
  /* One that cannot map what it shares with its host ends. */
  if (kind == FAULT_MAPS && whose == THERE && status == SUBPY_ERROR_CRASHED) return true;
  if (kind != FAULT_MEMORY && status == SUBPY_ERROR_EXECUTION_FAILED && type)
    return strcmp(type, "OSError") == 0 || strcmp(type, "RuntimeError") == 0 || strcmp(type, "MemoryError") == 0;
  return status == SUBPY_ERROR_NO_MEMORY ||
         (status == SUBPY_ERROR_EXECUTION_FAILED && type && strcmp(type, "MemoryError") == 0);
}

static void act_well(const struct act *act) {
  subpy_error *error = NULL;
  subpy_status status = act->act(&error);
  if (status != SUBPY_OK) {
    fprintf(stderr, "%s: %s without a fault: %s\n%s\n", act->name, subpy_status_name(status),
            subpy_error_message(error, NULL), subpy_error_display(error, NULL));
    exit(1);
  }
}

/* False: there is no nth. */
static bool act_badly(const struct act *act, int kinds, long n) {
  subpy_error *error = NULL;
  if (getenv("FAULTS_TRACE")) fprintf(stderr, "%s %x %ld\n", act->name, kinds, n);
  fault_arm(whose, kinds, n);
  subpy_status status = act->act(&error);
  long seen = disarm();
  cases++;
  if (status != SUBPY_OK) {
    refused++;
    CHECK(error && subpy_error_status(error) == status);
    if (!is_lack(status, error)) {
      fprintf(stderr, "%s, %s %ld: %s: %s\n%s\n", act->name, kinds & FAULT_AFTER ? "from" : "only", n,
              subpy_status_name(status), subpy_error_message(error, NULL), subpy_error_display(error, NULL));
      exit(1);
    }
  } else {
    CHECK(!error);
  }
  subpy_error_free(error);
  if (seen < n) CHECK(status == SUBPY_OK);
  return seen >= n;
}

static void try_all(const struct act *act, int kinds) {
  long most = 1;
  if (!all) {
    subpy_error *error = NULL;
    fault_arm(whose, kinds, 0);
    CHECK(act->act(&error) == SUBPY_OK);
    most = disarm() / (act->slow == 2 ? 3 : act->slow ? 4 : 15);
  }
  long step = most > 1 ? most : 1, n = 1;
  for (; act_badly(act, kinds, n); n += step)
    if (all || n % 3 == 1) act_well(act);
  act_well(act);
}

static int open_files(void) {
  int count = 0;
  DIR *folder = opendir("/proc/self/fd");
  CHECK(folder);
  while (readdir(folder)) count++;
  closedir(folder);
  return count;
}

/* How many blocks the library has when nothing is left of an act. It keeps some things for a while: so it is asked until
 * there are no more than before. */
static size_t blocks_after(const struct act *act, size_t before) {
  size_t least = SIZE_MAX;
  for (int i = 0; i < (act->slow ? 4 : 300) && least > before; i++) {
    act_well(act);
    /* A thread of the library's may not be through with it. */
    for (int tries = 0; tries < 20 && fault_blocks() > before; tries++) usleep(1000);
    if (fault_blocks() < least) least = fault_blocks();
  }
  return least;
}

int main(int argc, char **argv) {
  fault_watch(); /* before the library has anything */
  all = getenv("FAULTS_ALL") != NULL;
  for (int i = 0; argc > 1 && i < KINDS_COUNT; i++)
    if (strcmp(argv[1], KINDS[i].name) == 0) kind = KINDS[i].kind;
  CHECK(kind != 0);
  options = (subpy_interp_options){.size = sizeof options};
  if (getenv("FAULTS_PROCESS")) options.flags = SUBPY_INTERP_PROCESS, options.grace_ms = 60000;
  if (getenv("FAULTS_THERE")) whose = THERE;
  subpy_error *error = NULL;
  OK(subpy_create(&options, &interp, &error));
  prepare(interp);
  for (int which = 0; which < ACTS_COUNT; which++) {
    bool wanted = argc == 2;
    for (int argument = 2; argument < argc; argument++) wanted |= strcmp(argv[argument], ACTS[which].name) == 0;
    if (!wanted) continue;
    cases = refused = 0;
    if (kind != FAULT_MEMORY) {
      act_well(&ACTS[which]);
      /* A process from which others were forked may end for what it lacks: as long as one of those lives, it is known. */
      int files = open_files() + (whose == THERE ? 2 : 0);
      try_all(&ACTS[which], kind);
      try_all(&ACTS[which], kind | FAULT_AFTER);
      for (int tries = 0; tries < 5000 && open_files() > files; tries++) usleep(1000);
      printf("%s: %ld cases, %ld refused, %d and %d files\n", ACTS[which].name, cases, refused, files, open_files());
      CHECK(open_files() <= files);
      continue;
    }
    /* Handles are in 64 tables, each of which is made with its first one. */
    for (int i = 0; i < (ACTS[which].slow == 2 ? 2 : 70); i++) act_well(&ACTS[which]);
    size_t after[3];
    uint64_t age = 0;
    for (int round = 0; round < 3; round++) {
      if (round) try_all(&ACTS[which], kind);
      if (round) try_all(&ACTS[which], kind | FAULT_AFTER);
      after[round] = blocks_after(&ACTS[which], round ? after[round - 1] : 0);
      if (round < 2) age = fault_age();
    }
    printf("%s: %ld cases, %ld refused, %zu %zu %zu blocks\n", ACTS[which].name, cases, refused, after[0], after[1], after[2]);
    if (whose == HERE && after[2] > after[1]) {
      fprintf(stderr, "%s: blocks are left:\n", ACTS[which].name);
      fault_print_newer(age);
      exit(1);
    }
  }
  OK(subpy_close(interp, &error));
  if (released != passed) fprintf(stderr, "%d of %d released\n", released, passed);
  CHECK(released == passed);
  OK(subpy_shutdown(&error));
  return 0;
}
