/* Interpreters in processes of their own: everything beside everything, with processes that are killed and hosts that end.
 * Each two of the things that threads do have met when it ends. A failure says the seed; SUBPY_RACE_SEED and
 * SUBPY_RACE_SECONDS are for trying more. */
#include "deaths.h"
#include "race.h"

enum { THREADS = 6, SLOTS = 4 };

/* In the order of ACTS below. */
enum {
  CREATE, FIND, LIST, RUN, LIMITED, CANCEL, DEFINE, OUTPUT, OBJECT, FUNCTION_FREE, SESSION, CLOSE, CLOSE_WITH, INTERRUPT,
  SHUTDOWN, SHUTDOWN_WITH, FORK, THREAD_EXIT, CRASH, COUNT
};

static uint64_t seed;
static _Atomic subpy_interp interps[SLOTS];
static _Atomic subpy_function functions[SLOTS];
static _Atomic subpy_object objects[SLOTS];
static counter defined, finalized, done, refused, crashes;
static atomic_int active[COUNT];
static atomic_bool met[COUNT][COUNT];
static _Thread_local uint64_t state;
static _Thread_local subpy_status status;

static uint64_t draw(uint64_t below) {
  uint64_t next = state += UINT64_C(0x9E3779B97F4A7C15);
  next = (next ^ (next >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  next = (next ^ (next >> 27)) * UINT64_C(0x94D049BB133111EB);
  return (next ^ (next >> 31)) % below;
}

static bool fine;

static void failed(void) {
  if (!fine) fprintf(stderr, "race_process: the seed is %llu\n", (unsigned long long)seed);
}

static void stuck(int signal) {
  (void)signal;
  static const char text[] = "race_process: stuck\n";
  if (write(2, text, sizeof text - 1) < 0) _exit(3);
  abort();
}

/* What comes of anything that is done in an interpreter which others close, kill and interrupt. */
#define MAY(call)                                                                                            \
  do {                                                                                                       \
    subpy_error *error = NULL;                                                                               \
    subpy_status status_of_it_ = (call);                                                                     \
    (status_of_it_ == SUBPY_OK ? done++ : refused++);                                                        \
    if (status_of_it_ == SUBPY_ERROR_CRASHED) crashes++;                                                     \
    if (status_of_it_ == SUBPY_ERROR_EXECUTION_FAILED) {                                                     \
      const char *type_ = subpy_error_type_name(error, NULL);                                                \
      /* SystemExit: a close interrupts threads of Python's, and what the host runs on them. */                \
      if (strcmp(type_, "NameError") && strcmp(type_, "ModuleNotFoundError") && strcmp(type_, "KeyboardInterrupt") && \
          strcmp(type_, "AttributeError") && strcmp(type_, "SystemExit"))                                     \
        EXPECT_ONE_OF(status_of_it_, error, SUBPY_OK);                                                       \
    }                                                                                                        \
    EXPECT_ONE_OF(status_of_it_, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY, SUBPY_ERROR_CRASHED, \
                  SUBPY_ERROR_TIMEOUT, SUBPY_ERROR_INTERRUPTED, SUBPY_ERROR_EXECUTION_FAILED,                \
                  SUBPY_ERROR_WRONG_STATE);                                                                  \
    status = status_of_it_;                                                                                  \
  } while (0)

static subpy_interp some(void) { return interps[draw(SLOTS)]; }

static const char *const CODES[] = {"f(50)", "time.sleep(0.002)", "print(1)", "host.calls(3)", "f('a' * 0)",
                                    "threading.Thread(target=host.calls, args=(1,)).start()"};

static const char *code(void) { return CODES[draw(sizeof CODES / sizeof *CODES)]; }

static void is_finalized(void *userdata) {
  (void)userdata;
  finalized++;
}

static void calls(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)args, (void)nargs, (void)kwargs;
  subpy_interp interp = subpy_context_interp(ctx);
  MAY(subpy_exec(interp, "f(2)", SUBPY_AUTO_LEN, &error));
}

static void prints(void *userdata, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  (void)userdata, (void)interp, (void)stream, (void)text, (void)len;
}

static void defines(subpy_interp interp) {
  defined++;
  MAY(subpy_define(interp, "host:calls", SUBPY_AUTO_LEN, 0, calls, NULL, is_finalized, &error));
}

static void creates(void) {
  subpy_interp made = 0, old;
  subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_PROCESS, .grace_ms = 20,
                                  .busy = (int32_t[]){SUBPY_BUSY_REFUSE, SUBPY_BUSY_WAIT, SUBPY_BUSY_SHARE}[draw(3)]};
  MAY(subpy_create(&options, &made, &error));
  if (status != SUBPY_OK) return;
  defines(made);
  /* Here alone: an import that is interrupted may leave its lock behind (python/cpython, importlib._bootstrap). */
  MAY(subpy_exec(made, "import host, os, threading, time\ndef f(n=0): return n", SUBPY_AUTO_LEN, &error));
  old = atomic_exchange(&interps[draw(SLOTS)], made);
  if (!old) return;
  subpy_close_options soon = {.size = sizeof soon, .timeout_ms = 20, .flags = SUBPY_CLOSE_INTERRUPT};
  MAY(subpy_close_with(old, &soon, &error));
}

static void finds(void) {
  for (int i = 0; i < 20; i++) {
    subpy_interp found = some();
    int64_t id = 0;
    bool running;
    const char *whence;
    MAY(subpy_id(found, &id, &error));
    MAY(subpy_find(id, &found, &error));
    MAY(subpy_is_running(found, &running, &error));
    MAY(subpy_whence(found, &whence, &error));
    usleep(100);
  }
}

static void lists(void) {
  for (int i = 0; i < 20; i++) {
    subpy_interp list[32];
    size_t count = 0;
    MAY(subpy_list_all(list, 32, &count, &error));
    usleep(100);
  }
}

static void runs(void) {
  for (int i = 0; i < 5; i++) MAY(subpy_exec(some(), code(), SUBPY_AUTO_LEN, &error));
  subpy_value n = subpy_int(7), result = {0};
  MAY(subpy_call(some(), "f", SUBPY_AUTO_LEN, &n, 1, NULL, &result, &error));
  CHECK(status != SUBPY_OK || result.u.as_int == 7);
  subpy_function made = 0;
  MAY(subpy_function_new(some(), "f", SUBPY_AUTO_LEN, &made, &error));
  if (status == SUBPY_OK) subpy_function_free(atomic_exchange(&functions[draw(SLOTS)], made));
  MAY(subpy_function_call(functions[draw(SLOTS)], &n, 1, NULL, &result, &error));
  CHECK(status != SUBPY_OK || result.u.as_int == 7);
}

static void runs_limited(void) {
  subpy_run_request request = {.size = sizeof request, .interp = some(), .what = SUBPY_RUN_EXEC,
                               .text = draw(2) ? "while True: pass" : code(), .text_len = SUBPY_AUTO_LEN,
                               .timeout_ms = 1 + (int64_t)draw(10)};
  MAY(subpy_run(&request, NULL, &error));
}

static void *fires(void *cancel) {
  usleep(1000);
  subpy_cancel_fire((subpy_cancel)(uintptr_t)cancel);
  return NULL;
}

static void cancels(void) {
  subpy_cancel cancel = 0;
  pthread_t thread;
  MAY(subpy_cancel_new(&cancel, &error));
  CHECK(pthread_create(&thread, NULL, fires, (void *)(uintptr_t)cancel) == 0);
  subpy_run_request request = {.size = sizeof request, .interp = some(), .what = SUBPY_RUN_EXEC,
                               .text = "while True: f(1)", .text_len = SUBPY_AUTO_LEN, .cancel = cancel};
  MAY(subpy_run(&request, NULL, &error));
  CHECK(pthread_join(thread, NULL) == 0);
  subpy_cancel_free(cancel);
}

static void defines_some(void) { defines(some()); }

static void sets_output(void) {
  subpy_output_fn fn = draw(2) ? prints : NULL;
  if (fn) defined++;
  MAY(subpy_set_output(some(), fn, NULL, fn ? is_finalized : NULL, &error));
}

static void uses_objects(void) {
  subpy_value value = {0};
  subpy_run_request request = {.size = sizeof request, .interp = some(), .what = SUBPY_RUN_EVAL, .text = "[1, f]",
                               .text_len = SUBPY_AUTO_LEN, .flags = SUBPY_RESULT_OBJECT};
  MAY(subpy_run(&request, &value, &error));
  if (status == SUBPY_OK) {
    subpy_object own = 0;
    MAY(subpy_object_keep(value.u.as_object, &own, &error));
    if (status == SUBPY_OK) subpy_object_free(atomic_exchange(&objects[draw(SLOTS)], own));
    subpy_value_free(&value);
  }
  subpy_value text = {0};
  MAY(subpy_object_text(objects[draw(SLOTS)], &text, &error));
  subpy_value_free(&text);
}

static void frees(void) {
  for (int i = 0; i < 20; i++) {
    subpy_function_free(atomic_exchange(&functions[draw(SLOTS)], 0));
    subpy_object_free(atomic_exchange(&objects[draw(SLOTS)], 0));
    usleep(100);
  }
}

static void has_a_session(void) {
  subpy_interp interp = some();
  MAY(subpy_enter(interp, &error));
  if (status != SUBPY_OK) return;
  for (int i = 0; i < 3; i++) MAY(subpy_exec(interp, code(), SUBPY_AUTO_LEN, &error));
  subpy_error *error = NULL;
  OK(subpy_leave(interp, &error));
}

static void closes(void) {
  MAY(subpy_close(some(), &error));
}

static subpy_close_options within(void) {
  return (subpy_close_options){.size = sizeof(subpy_close_options), .timeout_ms = 1 + (int64_t)draw(30),
                               .flags = draw(2) ? SUBPY_CLOSE_INTERRUPT : SUBPY_CLOSE_DRAIN};
}

static void closes_with(void) {
  subpy_close_options options = within();
  MAY(subpy_close_with(some(), &options, &error));
}

static void interrupts(void) {
  for (int i = 0; i < 5; i++) {
    MAY(subpy_interrupt(some(), &error));
    usleep(100);
  }
}

static void shuts_down(void) {
  for (int i = 0; i < 5; i++) {
    MAY(subpy_shutdown(&error));
    usleep(100);
  }
}

static void shuts_down_with(void) {
  subpy_close_options options = within();
  MAY(subpy_shutdown_with(&options, &error));
}

static void forks(void) {
  pid_t child = fork_beside_others();
  CHECK(child >= 0);
  if (child == 0) {
    bool running;
    subpy_status said = subpy_is_running(some(), &running, NULL);
    /* Nothing was started before. */
    _exit(said == SUBPY_ERROR_FORKED || said == SUBPY_ERROR_NOT_FOUND ? 0 : 1);
  }
  int ended = 0;
  CHECK(waitpid(child, &ended, 0) == child && ended == 0);
}

static void *is_in_a_session_and_ends(void *interp) {
  MAY(subpy_enter((subpy_interp)(uintptr_t)interp, &error));
  MAY(subpy_exec((subpy_interp)(uintptr_t)interp, "f(1)", SUBPY_AUTO_LEN, &error));
  return NULL;
}

static void a_thread_ends(void) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, is_in_a_session_and_ends, (void *)(uintptr_t)some()) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
}

static void crash(void) {
  static const char *const ends[] = {"os.abort()", "os._exit(1)", "os.kill(os.getpid(), 9)",
                                     "os.closerange(3, 1000)"};
  MAY(subpy_exec(some(), ends[draw(4)], SUBPY_AUTO_LEN, &error));
}

static void (*const ACTS[COUNT])(void) = {
    creates, finds, lists, runs, runs_limited, cancels, defines_some, sets_output, uses_objects, frees, has_a_session,
    closes, closes_with, interrupts, shuts_down, shuts_down_with, forks, a_thread_ends, crash};

/* Something that others do now and that has not met anything like this, if there is. */
static int unmet(int otherwise) {
  int first = (int)draw(COUNT);
  for (int i = 0; i < COUNT; i++)
    for (int other = 0; other < COUNT; other++)
      if (active[other] && !met[(first + i) % COUNT][other]) return (first + i) % COUNT;
  return otherwise;
}

static void act(void) {
  int what = (int)draw(COUNT);
  if (draw(2)) what = unmet(what);
  /* Else there is seldom anything. */
  if (draw(3) == 0) what = CREATE;
  active[what]++;
  for (int other = 0; other < COUNT; other++)
    if (active[other] > (other == what)) met[what][other] = met[other][what] = true;
  double since = now();
  ACTS[what]();
  if (getenv("VERBOSE") && now() - since > 0.5) fprintf(stderr, "%d took %.1f\n", what, now() - since);
  active[what]--;
}

static void *acts(void *number) {
  state = seed * 100 + (uint64_t)(uintptr_t)number;
  while (!race_over) act();
  return NULL;
}

static bool all_have_met(void) {
  for (int i = 0; i < COUNT; i++)
    for (int j = 0; j < COUNT; j++)
      if (!met[i][j]) return false;
  return true;
}

int main(int argc, char **argv) {
  mark_processes(argv, 560);
  signal(SIGALRM, stuck);
  const char *given = getenv("SUBPY_RACE_SEED"), *seconds = getenv("SUBPY_RACE_SECONDS");
  seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
  CHECK(freopen("/dev/null", "w", stdout));
  CHECK(atexit(failed) == 0);
  bool is_host = argc > 1;
  void *(*threads[THREADS])(void *);
  for (int i = 0; i < THREADS; i++) threads[i] = acts;
  if (is_host) {
    /* It ends in the middle. */
    fine = true;
    alarm(200);
    pthread_t thread;
    for (int i = 0; i < THREADS; i++)
      CHECK(pthread_create(&thread, NULL, acts, (void *)(intptr_t)i) == 0);
    usleep(100000 + (useconds_t)(seed % 200) * 1000);
    if (seed % 2) _exit(0);
    exit(0);
  }
  for (int i = 0; i < 6; i++) {
    pid_t host = fork();
    CHECK(host >= 0);
    if (host == 0) {
      char number[32];
      snprintf(number, sizeof number, "%llu", (unsigned long long)(seed + (uint64_t)i));
      CHECK(setenv("SUBPY_RACE_SEED", number, 1) == 0);
      execl("/proc/self/exe", argv[0], "host", (char *)NULL);
      _exit(1);
    }
    int ended = 0;
    CHECK(waitpid(host, &ended, 0) == host);
    if (ended != 0) {
      fprintf(stderr, "race_process: a host with the seed %llu ended with %x\n", (unsigned long long)(seed + (uint64_t)i), ended);
      return 1;
    }
    until_processes(0);
  }
  race_saw_all = all_have_met;
  race(seconds ? atoi(seconds) : 3, threads, THREADS);
  for (int i = 0; i < COUNT; i++)
    for (int j = 0; j <= i; j++)
      if (!met[i][j]) fprintf(stderr, "race_process: %d and %d have not met\n", i, j);
  CHECK(all_have_met());
  for (int i = 0; i < SLOTS; i++) {
    if (interps[i]) MAY(subpy_close(interps[i], &error));
    subpy_function_free(functions[i]);
    subpy_object_free(objects[i]);
  }
  subpy_close_options options = {.size = sizeof options, .timeout_ms = 30000, .flags = SUBPY_CLOSE_INTERRUPT};
  subpy_error *error = NULL;
  OK(subpy_shutdown_with(&options, &error));
  until_processes(0);
  for (int i = 0; i < 5000 && finalized < defined; i++) usleep(1000);
  fprintf(stderr, "race_process: %ld done, %ld refused, %ld crashes, %ld of %ld finalized\n", (long)done, (long)refused,
          (long)crashes, (long)finalized, (long)defined);
  CHECK(finalized == defined && crashes > 0);
  fine = true;
  return 0;
}
