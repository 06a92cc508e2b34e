/* Everything beside everything: threads that do what a random generator says, and end when it says so, and each outcome is
 * one that the documentation allows. SUBPY_RACE_SEED and SUBPY_RACE_SECONDS are for trying more; a failure says the seed.
 * Each seed is run to its end, and then in processes of their own that end in the middle of it. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "race.h"

enum { THREADS = 6, SLOTS = 6, WAITING = 2, REMEMBERED = 64, SESSIONS = 4 };

static uint64_t seed;
/* The last of these have SUBPY_BUSY_WAIT: a thread that is inside of an interpreter runs nothing there, because two of them
 * would wait for each other. */
static _Atomic subpy_interp interps[SLOTS];
static _Atomic subpy_function functions[SLOTS];
static _Atomic subpy_thread runs[SLOTS];
/* What was there at any time, to ask for it in the end. */
static _Atomic subpy_interp all_interps[REMEMBERED];
static _Atomic subpy_function all_functions[REMEMBERED];
static _Atomic subpy_thread all_runs[REMEMBERED];
static counter interps_made, functions_made, runs_made, done, refused, shutdowns, ended;

/* What a thread knows of itself. */
static _Thread_local uint64_t state;
static _Thread_local int depth;
static _Thread_local struct {
  subpy_interp interp;
  int count;
} sessions[SESSIONS];
/* Its destructors run: what it enters it cannot leave. */
static _Thread_local bool ending;

static uint64_t draw(uint64_t below) {
  uint64_t next = state += UINT64_C(0x9E3779B97F4A7C15);
  next = (next ^ (next >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  next = (next ^ (next >> 27)) * UINT64_C(0x94D049BB133111EB);
  return (next ^ (next >> 31)) % below;
}

static bool fine;

static void failed(void) {
  if (!fine) fprintf(stderr, "race_all: the seed is %llu\n", (unsigned long long)seed);
}

static void stuck(int signal) {
  (void)signal;
  char text[80];
  int len = snprintf(text, sizeof text, "race_all: stuck; the seed is %llu\n", (unsigned long long)seed);
  if (write(2, text, (size_t)len) < 0) _exit(3);
  abort();
}

#define MAY(call, ...)                                                                                       \
  do {                                                                                                       \
    subpy_error *error = NULL;                                                                               \
    subpy_status status_of_it_ = (call);                                                                     \
    (status_of_it_ == SUBPY_OK ? done++ : refused++);                                                        \
    EXPECT_ONE_OF(status_of_it_, error, SUBPY_OK, __VA_ARGS__);                                              \
    status = status_of_it_;                                                                                  \
  } while (0)

static int session_in(subpy_interp interp) {
  for (int i = 0; i < SESSIONS; i++) {
    if (sessions[i].count && sessions[i].interp == interp) return i;
  }
  return -1;
}

static subpy_interp some_interp(void) { return interps[draw(SLOTS)]; }

static void act(void);

/* Called by Python code. */
static void calls_back(void) {
  depth++;
  for (uint64_t i = draw(3); i > 0; i--) act();
  depth--;
}

static void creates(void) {
  subpy_status status = SUBPY_OK;
  int slot = (int)draw(SLOTS);
  subpy_interp old = interps[slot], made = 0;
  if (old) {
    MAY(subpy_close(old, &error), SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY, SUBPY_ERROR_INTERPRETER);
    if (status == SUBPY_ERROR_BUSY || status == SUBPY_ERROR_INTERPRETER) return;
  }
  int32_t busy = slot >= SLOTS - WAITING ? SUBPY_BUSY_WAIT : draw(2) ? SUBPY_BUSY_SHARE : SUBPY_BUSY_REFUSE;
  subpy_interp_options options = {.size = sizeof options, .busy = busy};
  if (draw(4) == 0) options.gil = SUBPY_GIL_SHARED;
  /* Who is inside of an interpreter keeps the runtime from being shut down. */
  if (depth) {
    MAY(subpy_create(&options, &made, &error), SUBPY_OK);
  } else {
    MAY(subpy_create(&options, &made, &error), SUBPY_ERROR_WRONG_STATE);
  }
  if (status != SUBPY_OK) return;
  all_interps[interps_made++ % REMEMBERED] = made;
  char code[600];
  snprintf(code, sizeof code,
           "import threading, time\n"
           "def back(kind):\n"
           "  import ctypes\n"
           "  getattr(ctypes, kind)(None)(%" PRIuPTR ")()\n"
           "def f(n=0): return sum(range(n))\n"
           "def sleep(): time.sleep(0.0005)\n"
           "def start(): threading.Thread(target=sleep).start()\n",
           (uintptr_t)calls_back);
  MAY(subpy_exec(made, code, SUBPY_AUTO_LEN, &error), SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY);
  subpy_interp before = atomic_exchange(&interps[slot], made);
  if (before && before != old) {
    MAY(subpy_close(before, &error), SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY, SUBPY_ERROR_INTERPRETER);
  }
}

static void finds(void) {
  subpy_status status = SUBPY_OK;
  subpy_interp found = 0, list[32];
  size_t count = 0;
  const char *whence = NULL;
  bool running = false;
  int64_t id = 0;
  MAY(subpy_find((int64_t)draw(40), &found, &error), SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_WRONG_STATE);
  MAY(subpy_list_all(list, 32, &count, &error), SUBPY_ERROR_WRONG_STATE);
  MAY(subpy_get_main(&found, &error), SUBPY_ERROR_WRONG_STATE);
  MAY(subpy_get_current(&found, &error), SUBPY_ERROR_NOT_FOUND);
  CHECK(!depth || status == SUBPY_OK);
  found = some_interp();
  MAY(subpy_is_running(found, &running, &error), SUBPY_ERROR_NOT_FOUND);
  MAY(subpy_id(found, &id, &error), SUBPY_ERROR_NOT_FOUND);
  MAY(subpy_whence(found, &whence, &error), SUBPY_ERROR_NOT_FOUND);
}

static subpy_interp runnable(void) { return interps[draw(depth ? SLOTS - WAITING : SLOTS)]; }

static void runs_something(void) {
  static const char *const codes[] = {"f(50)",
                                      "back('CFUNCTYPE')",
                                      "back('PYFUNCTYPE')",
                                      "sleep()",
                                      "start()",
                                      "f('a')",
                                      "import atexit; atexit._run_exitfuncs()",
                                      "import threading; threading.local().x = f"};
  subpy_status status = SUBPY_OK;
  subpy_interp interp = draw(8) ? runnable() : 0;
  if (!interp && subpy_get_main(&interp, NULL) != SUBPY_OK) return;
  if (depth > 2) return;
  const char *code = codes[draw(sizeof codes / sizeof *codes)];
  /* In main, and in one that was just made, the names are missing. */
  MAY(subpy_exec(interp, code, SUBPY_AUTO_LEN, &error), SUBPY_ERROR_EXECUTION_FAILED, SUBPY_ERROR_NOT_FOUND,
      SUBPY_ERROR_BUSY);
  (void)status;
}

static void makes_function(void) {
  subpy_status status = SUBPY_OK;
  uint64_t from = draw(depth ? SLOTS - WAITING : SLOTS);
  subpy_function made = 0;
  MAY(subpy_function_new(interps[from], "f", SUBPY_AUTO_LEN, &made, &error), SUBPY_ERROR_EXECUTION_FAILED,
      SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY);
  if (status != SUBPY_OK) return;
  all_functions[functions_made++ % REMEMBERED] = made;
  subpy_function_free(atomic_exchange(&functions[from], made));
}

static void calls_many(void) {
  subpy_status status = SUBPY_OK;
  subpy_value rows[20], list = {0};
  for (int i = 0; i < 20; i++) rows[i] = i == 7 ? subpy_none() : subpy_int(i);
  MAY(subpy_function_call_many(functions[draw(depth ? SLOTS - WAITING : SLOTS)], rows, 20, 1, SUBPY_RETURN_ERRORS, &list, &error),
      SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY);
  for (int64_t i = 0; status == SUBPY_OK && i < 20; i++) {
    const subpy_value *value = &list.u.as_items[i];
    size_t row = 0;
    if (i == 7) CHECK(value->kind == SUBPY_KIND_ERROR && subpy_error_row(value->u.as_error, &row) && row == 7);
    else CHECK(value->kind == SUBPY_KIND_INT && value->u.as_int == i * (i - 1) / 2);
  }
  subpy_value_free(&list);
}

static void calls_function(void) {
  subpy_status status = SUBPY_OK;
  if (draw(3) == 0) {
    calls_many();
    return;
  }
  subpy_value n = subpy_int((int64_t)draw(100)), result = {0};
  MAY(subpy_function_call(functions[draw(depth ? SLOTS - WAITING : SLOTS)], &n, 1, NULL, &result, &error), SUBPY_ERROR_NOT_FOUND,
      SUBPY_ERROR_BUSY);
  if (status == SUBPY_OK) CHECK(result.kind == SUBPY_KIND_INT && result.u.as_int == n.u.as_int * (n.u.as_int - 1) / 2);
  subpy_value_free(&result);
}

static void starts_run(void) {
  subpy_status status = SUBPY_OK;
  subpy_thread made = 0;
  subpy_value n = subpy_int(10);
  if (draw(2)) {
    MAY(subpy_call_in_thread(some_interp(), draw(2) ? "f" : "sleep", SUBPY_AUTO_LEN, NULL, 0, NULL, &made, &error),
        SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_WRONG_STATE);
  } else {
    subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_FUNCTION, .args = &n, .nargs = 1};
    request.function = functions[draw(SLOTS)];
    if (!request.function) return;
    MAY(subpy_run_in_thread(&request, &made, &error), SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_WRONG_STATE);
  }
  if (status != SUBPY_OK) return;
  all_runs[runs_made++ % REMEMBERED] = made;
  /* Freed and failed it would be printed; so it is joined, unless it is one that only this thread knows of. */
  subpy_thread before = atomic_exchange(&runs[draw(SLOTS)], made);
  if (before && !depth) {
    MAY(subpy_thread_join(before, NULL, &error), SUBPY_ERROR_EXECUTION_FAILED, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY);
  } else if (before) {
    subpy_thread_free(before);
  }
}

static void waits_for_run(void) {
  subpy_status status = SUBPY_OK;
  subpy_thread run = runs[draw(SLOTS)];
  bool is_done = false;
  MAY(subpy_thread_wait(run, (int64_t)draw(3), &is_done, &error), SUBPY_ERROR_NOT_FOUND);
  if (depth) return; /* it may be waiting for this thread to leave */
  if (draw(2)) {
    MAY(subpy_thread_join(run, NULL, &error), SUBPY_ERROR_EXECUTION_FAILED, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY);
  } else if (is_done) {
    subpy_thread_free(run);
  }
  (void)status;
}

static void enters(void) {
  subpy_status status = SUBPY_OK;
  subpy_interp interp = some_interp();
  int at = session_in(interp);
  for (int i = 0; at < 0 && i < SESSIONS; i++) at = sessions[i].count ? -1 : i;
  if (at < 0) return;
  if (sessions[at].count) {
    MAY(subpy_enter(interp, &error), SUBPY_OK);
  } else if (ending) {
    MAY(subpy_enter(interp, &error), SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY, SUBPY_ERROR_WRONG_STATE);
  } else {
    MAY(subpy_enter(interp, &error), SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY);
  }
  if (status != SUBPY_OK) return;
  sessions[at].interp = interp;
  sessions[at].count++;
}

/* A thread that is inside of an interpreter may be running in its session: that one is left later. */
static void leaves(int at) {
  subpy_status status = SUBPY_OK;
  if (!sessions[at].count) {
    subpy_interp interp = some_interp();
    if (session_in(interp) >= 0) return;
    status = subpy_leave(interp, NULL);
    CHECK(status == SUBPY_ERROR_WRONG_STATE || (ending && status == SUBPY_OK));
    return;
  }
  if (depth || ending) {
    MAY(subpy_leave(sessions[at].interp, &error), SUBPY_ERROR_WRONG_STATE);
  } else {
    MAY(subpy_leave(sessions[at].interp, &error), SUBPY_OK);
  }
  if (status == SUBPY_OK) sessions[at].count--;
}

static void closes(void) {
  subpy_status status = SUBPY_OK;
  subpy_interp interp = some_interp();
  MAY(subpy_close(interp, &error), SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY, SUBPY_ERROR_INTERPRETER);
  if (session_in(interp) >= 0) CHECK(status == SUBPY_ERROR_BUSY || (depth && status == SUBPY_ERROR_INTERPRETER));
}

static void leaves_all(void) {
  for (int i = 0; i < SESSIONS; i++) {
    while (sessions[i].count && !ending) leaves(i);
  }
}

/* Most threads do little for a while: otherwise something would always be running. */
static atomic_bool calm;

static void shuts_down(void) {
  subpy_status status = SUBPY_ERROR_BUSY;
  if (depth) {
    MAY(subpy_shutdown(&error), SUBPY_ERROR_BUSY);
    CHECK(status == SUBPY_ERROR_BUSY);
    return;
  }
  leaves_all();
  calm = true;
  for (int i = 0; i < 20 && status != SUBPY_OK; i++) {
    MAY(subpy_shutdown(&error), SUBPY_ERROR_BUSY, SUBPY_ERROR_WRONG_STATE);
    if (status != SUBPY_OK) usleep(500);
  }
  calm = false;
  shutdowns += status == SUBPY_OK;
  MAY(subpy_init(NULL, &error), SUBPY_ERROR_WRONG_STATE);
}

static void act(void) {
  switch (draw(60)) {
    case 0: creates(); break;
    case 1: closes(); break;
    case 2: shuts_down(); break;
    case 3: case 4: case 5: finds(); break;
    case 6: case 7: makes_function(); break;
    case 8: case 9: case 10: case 11: case 12: case 13: case 14: case 15: calls_function(); break;
    case 16: case 17: case 18: case 19: starts_run(); break;
    case 20: case 21: case 22: case 23: waits_for_run(); break;
    case 24: case 25: case 26: enters(); break;
    case 27: case 28: case 29: case 30: leaves((int)draw(SESSIONS)); break;
    default: runs_something();
  }
}

/* A thread that ends is in whatever it has entered, and its destructors go on for a while. */
static pthread_key_t key;

static void destroy(void *value) {
  ending = true;
  /* The library's destructor leaves them all, before this one or after it. */
  memset(sessions, 0, sizeof sessions);
  for (uint64_t i = draw(4); i > 0; i--) act();
  if (draw(2)) CHECK(pthread_setspecific(key, value) == 0);
}

static void *worker(void *start) {
  state = (uint64_t)(uintptr_t)start;
  if (draw(2)) CHECK(pthread_setspecific(key, &key) == 0);
  for (uint64_t i = draw(200); i > 0 && !race_over; i--) {
    if (calm && draw(8)) {
      leaves_all();
      usleep(500);
    } else {
      act();
    }
  }
  ended++;
  if (draw(2)) pthread_exit(NULL);
  return NULL;
}

/* One thread after the other. */
static void *workers(void *number) {
  state = seed + (uint64_t)(uintptr_t)number * 1000003;
  while (!race_over) {
    pthread_t thread;
    void *start = (void *)(uintptr_t)draw(UINT32_MAX);
    CHECK(pthread_create(&thread, NULL, worker, start) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
  }
  return NULL;
}

/* Threads that were freed may still be running, and finish soon. */
static void shut_down_in_the_end(void) {
  subpy_status status = SUBPY_OK;
  do {
    subpy_error *error = NULL;
    status = subpy_shutdown(&error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY);
    if (status != SUBPY_OK) usleep(1000);
  } while (status != SUBPY_OK);
}

static void nothing_is_left(void) {
  static const subpy_runtime_options options = {.size = sizeof options, .flags = SUBPY_RUNTIME_KEEP_SIGPIPE};
  subpy_error *error = NULL;
  /* With other options: it is down, and nothing has started it again. */
  OK(subpy_init(&options, &error));
  for (int i = 0; i < REMEMBERED; i++) {
    CHECK(subpy_exec(all_interps[i], "", 0, NULL) == SUBPY_ERROR_NOT_FOUND);
    CHECK(subpy_close(all_interps[i], NULL) == SUBPY_ERROR_NOT_FOUND);
    CHECK(subpy_function_call(all_functions[i], NULL, 0, NULL, NULL, NULL) == SUBPY_ERROR_NOT_FOUND);
    CHECK(subpy_thread_join(all_runs[i], NULL, NULL) == SUBPY_ERROR_NOT_FOUND);
  }
  subpy_interp list[2], interp = create();
  size_t count = 0;
  OK(subpy_list_all(list, 2, &count, &error));
  CHECK(count == 2 && number(interp, "1 + 1") == 2);
  OK(subpy_close(interp, &error));
  shut_down();
}

/* ---- the end of the process in the middle of it ---- */

static void *exits(void *unused) {
  (void)unused;
  exit(0);
}

static void at_exit(void) {
  subpy_error *error = NULL;
  subpy_status status = subpy_shutdown(&error);
  EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY, SUBPY_ERROR_WRONG_STATE);
}

/* The last thread of a process without a main one. */
static void *ends_it(void *threads) {
  for (int i = 0; i < THREADS; i++) CHECK(pthread_join(((pthread_t *)threads)[i], NULL) == 0);
  shut_down_in_the_end();
  return NULL;
}

static void child(int how) {
  static pthread_t threads[THREADS], last;
  if (how == 2) CHECK(atexit(at_exit) == 0);
  for (intptr_t i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, workers, (void *)i) == 0);
  state = seed;
  usleep((useconds_t)draw(150000));
  if (how == 1) {
    CHECK(pthread_create(&last, NULL, exits, NULL) == 0);
    for (;;) pause();
  }
  if (how == 3) {
    race_over = true;
    CHECK(pthread_create(&last, NULL, ends_it, threads) == 0);
    pthread_exit(NULL);
  }
  exit(0);
}

static void ends_in_the_middle(const char *program, int how) {
  char number[24], end[8];
  snprintf(number, sizeof number, "%llu", (unsigned long long)seed);
  snprintf(end, sizeof end, "%d", how);
  CHECK(setenv("SUBPY_RACE_SEED", number, 1) == 0);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    execl(program, program, end, (char *)NULL);
    _exit(127);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) CHECK(errno == EINTR);
  if (status != 0) fprintf(stderr, "race_all: a process that ends in way %d gave 0x%x\n", how, (unsigned)status);
  CHECK(status == 0);
}

static bool saw_all(void) {
  return done && interps_made && functions_made && runs_made && ended;
}

int main(int argc, char **argv) {
  const char *text = getenv("SUBPY_RACE_SEED");
  seed = text ? strtoull(text, NULL, 10) : (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
  const char *seconds = getenv("SUBPY_RACE_SECONDS");
  double limit = seconds ? strtod(seconds, NULL) : 1.5;
  signal(SIGALRM, stuck);
  alarm((unsigned)limit + 120);
  CHECK(pthread_key_create(&key, destroy) == 0);
  if (argc > 1) {
    child(atoi(argv[1]));
    return 0;
  }
  CHECK(atexit(failed) == 0);
  pthread_t threads[THREADS];
  for (intptr_t i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, workers, (void *)i) == 0);
  struct timespec time = {(time_t)limit, (long)((limit - (double)(time_t)limit) * 1e9)};
  nanosleep(&time, NULL);
  /* On a slow machine it goes on until some of each have met. */
  for (int i = 0; i < 400 && !saw_all(); i++) usleep(100000);
  race_over = true;
  for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  shut_down_in_the_end();
  nothing_is_left();
  printf("%ld done, %ld refused: %ld interpreters, %ld functions, %ld runs, %ld shutdowns, %ld threads\n", done, refused,
         interps_made, functions_made, runs_made, shutdowns, ended);
  CHECK(saw_all());
  for (int how = 0; how < 4; how++) ends_in_the_middle(argv[0], how);
  fine = true;
  return 0;
}
