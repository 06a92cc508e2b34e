/* What happens to a run while its interpreter is running: refuse, wait, share; and closes that race with calls. */
#include <stdatomic.h>

#include "guest.h"

static subpy_interp create_busy(int32_t busy) {
  subpy_error *error = NULL;
  subpy_interp interp = 0;
  subpy_interp_options options = {.size = sizeof options, .busy = busy};
  OK(subpy_create(&options, &interp, &error));
  return interp;
}

static void refused(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create();
  signal_pipe begun = signal_new(), end = signal_new();
  define_block(interp, begun, end);
  subpy_thread thread = block_in_thread(interp, begun);

  subpy_value value = subpy_int(1);
  subpy_pair pair = {subpy_str("x", 1), subpy_int(1)};
  subpy_value names = subpy_dict(&pair, 1);
  const char *message = "interpreter already running";
  FAILS(SUBPY_ERROR_BUSY, message, subpy_exec(interp, "x = 1", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_BUSY, message, subpy_eval(interp, "1", SUBPY_AUTO_LEN, &value, &error));
  CHECK(value.kind == SUBPY_KIND_NONE);
  value = subpy_int(1);
  FAILS(SUBPY_ERROR_BUSY, message, subpy_call(interp, "block", SUBPY_AUTO_LEN, NULL, 0, NULL, &value, &error));
  CHECK(value.kind == SUBPY_KIND_NONE);
  FAILS(SUBPY_ERROR_BUSY, message, subpy_prepare_main(interp, &names, &error));
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EXEC};
  FAILS(SUBPY_ERROR_BUSY, message, subpy_run(&request, NULL, &error));
  FAILS(SUBPY_ERROR_BUSY, "interpreter running", subpy_close(interp, &error));
  error = NULL;
  CHECK(subpy_exec(interp, "", 0, &error) == SUBPY_ERROR_BUSY && subpy_error_interp(error) == interp);
  subpy_error_free(error);
  error = NULL;

  /* Invalid arguments come first; source that does not compile is not looked at. */
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "code is NULL", subpy_exec(interp, NULL, 1, &error));
  FAILS(SUBPY_ERROR_BUSY, message, subpy_exec(interp, "= =", SUBPY_AUTO_LEN, &error));

  /* On a thread of its own the answer comes with the join. */
  subpy_thread second = 0;
  OK(subpy_call_in_thread(interp, "block", SUBPY_AUTO_LEN, NULL, 0, NULL, &second, &error));
  FAILS(SUBPY_ERROR_BUSY, message, subpy_thread_join(second, NULL, &error));

  /* Others are not concerned. */
  subpy_interp other = create();
  run(other, "x = 1");
  OK(subpy_close(other, &error));

  end_block(thread, end);
  run(interp, "x = 1");
  OK(subpy_close(interp, &error));
}

/* A thread that Python code started is inside of its interpreter: what it calls there is refused by no run and waits
 * for none, and has its threading.local. */
static subpy_interp asked;
static subpy_status answer;

static void ask(void) { answer = subpy_exec(asked, "local.mine += '!'", SUBPY_AUTO_LEN, NULL); }

static void from_threads_of_python(void) {
  subpy_error *error = NULL;
  for (int32_t busy = SUBPY_BUSY_REFUSE; busy <= SUBPY_BUSY_SHARE; busy++) {
    subpy_interp interp = create_busy(busy);
    asked = interp;
    answer = SUBPY_ERROR_PANIC;
    give_function(interp, "ask", "CFUNCTYPE", ask);
    run(interp, "import threading\n"
                "local = threading.local()\n"
                "def asks():\n"
                "  global same\n"
                "  local.mine = 'mine'\n"
                "  ask()\n"
                "  same = local.mine\n"
                "thread = threading.Thread(target=asks)\n"
                "thread.start()\n"
                "thread.join()\n"); /* this run is there all the time */
    CHECK(answer == SUBPY_OK);
    CHECK_EVAL(interp, "same", "mine!");
    OK(subpy_close(interp, &error));
  }
}

enum { WAITING = 4, TURNS = 25 };
static subpy_interp shared;

static void *take_turns(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  for (int turn = 0; turn < TURNS; turn++)
    OK(subpy_exec(shared, "turn()", SUBPY_AUTO_LEN, &error));
  return NULL;
}

static void waits(void) {
  subpy_error *error = NULL;
  shared = create_busy(SUBPY_BUSY_WAIT);
  signal_pipe begun = signal_new(), end = signal_new();
  define_block(shared, begun, end);
  run(shared, "import time\n"
              "inside = most = turns = 0\n"
              "def turn():\n"
              "  global inside, most, turns\n"
              "  inside += 1\n"
              "  most = max(most, inside)\n"
              "  time.sleep(0)\n" /* gives the GIL away, and still nobody comes in */
              "  turns += 1\n"
              "  inside -= 1");
  subpy_thread thread = block_in_thread(shared, begun);
  pthread_t threads[WAITING];
  for (int index = 0; index < WAITING; index++)
    CHECK(pthread_create(&threads[index], NULL, take_turns, NULL) == 0);
  FAILS(SUBPY_ERROR_BUSY, "interpreter running", subpy_close(shared, &error));
  end_block(thread, end);
  for (int index = 0; index < WAITING; index++) CHECK(pthread_join(threads[index], NULL) == 0);
  CHECK(number(shared, "turns") == WAITING * TURNS && number(shared, "most") == 1);
  OK(subpy_close(shared, &error));
}

static atomic_bool had_its_turn;

static void *one_turn(void *unused) {
  (void)unused;
  run(shared, "x = 1");
  atomic_store(&had_its_turn, true);
  return NULL;
}

/* Who comes back at once overtakes who waits for a slice and no longer: otherwise this loop might never end. */
static void nobody_starves(void) {
  subpy_error *error = NULL;
  shared = create_busy(SUBPY_BUSY_WAIT);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, one_turn, NULL) == 0);
  while (!atomic_load(&had_its_turn)) run(shared, "for _ in range(1000): pass");
  CHECK(pthread_join(thread, NULL) == 0);
  OK(subpy_close(shared, &error));
}

/* Both are inside at once: neither ends before the other has begun. */
static void shares(void) {
  subpy_error *error = NULL;
  shared = create_busy(SUBPY_BUSY_SHARE);
  signal_pipe begun = signal_new(), end = signal_new();
  define_block(shared, begun, end);
  subpy_thread first = block_in_thread(shared, begun), second = block_in_thread(shared, begun);
  run(shared, "x = 1");
  CHECK(number(shared, "x") == 1);
  FAILS(SUBPY_ERROR_BUSY, "interpreter running", subpy_close(shared, &error));
  /* Either of them takes the first signal, so both are sent before anybody is waited for. */
  bool running = false;
  signal_send(end);
  end_block(first, end);
  OK(subpy_thread_join(second, NULL, &error));
  OK(subpy_is_running(shared, &running, &error));
  CHECK(!running);

  run(shared, "import time\nturns = 0\ndef turn():\n  global turns\n  turns += 1\n  time.sleep(0)");
  pthread_t threads[WAITING];
  for (int index = 0; index < WAITING; index++)
    CHECK(pthread_create(&threads[index], NULL, take_turns, NULL) == 0);
  for (int index = 0; index < WAITING; index++) CHECK(pthread_join(threads[index], NULL) == 0);
  CHECK(number(shared, "turns") == WAITING * TURNS);
  OK(subpy_close(shared, &error));
}

static atomic_int calls_done;

/* Calls until the interpreter is closed; every outcome is one of the clean ones. */
static void *call_until_closed(void *unused) {
  (void)unused;
  for (;;) {
    subpy_error *error = NULL;
    subpy_value argument = subpy_int(-3), result = {0};
    subpy_status status = subpy_call(shared, "builtins:abs", SUBPY_AUTO_LEN, &argument, 1, NULL, &result, &error);
    if (status == SUBPY_ERROR_NOT_FOUND) {
      CHECK(strncmp(subpy_error_message(error, NULL), "unrecognized interpreter ID ", 28) == 0);
      subpy_error_free(error);
      return NULL;
    }
    if (status == SUBPY_ERROR_BUSY) {
      const char *message = subpy_error_message(error, NULL);
      CHECK(strcmp(message, "interpreter already running") == 0 || strcmp(message, "interpreter is closing") == 0);
      subpy_error_free(error);
      continue;
    }
    CHECK(status == SUBPY_OK && !error && result.kind == SUBPY_KIND_INT && result.u.as_int == 3);
    atomic_fetch_add(&calls_done, 1);
  }
}

static atomic_int closes_that_won;

static void *close_until_closed(void *unused) {
  (void)unused;
  for (;;) {
    subpy_error *error = NULL;
    subpy_status status = subpy_close(shared, &error);
    if (status == SUBPY_OK) atomic_fetch_add(&closes_that_won, 1);
    const char *message = subpy_error_message(error, NULL);
    if (status == SUBPY_ERROR_BUSY)
      CHECK(strcmp(message, "interpreter running") == 0 || strcmp(message, "interpreter is closing") == 0);
    subpy_error_free(error);
    if (status == SUBPY_OK || status == SUBPY_ERROR_NOT_FOUND) return NULL;
    CHECK(status == SUBPY_ERROR_BUSY);
    sched_yield();
  }
}

static void close_races_with_calls(void) {
  static const int32_t policies[] = {SUBPY_BUSY_REFUSE, SUBPY_BUSY_WAIT, SUBPY_BUSY_SHARE};
  for (int round = 0; round < 12; round++) {
    shared = create_busy(policies[round % 3]);
    atomic_store(&calls_done, 0);
    atomic_store(&closes_that_won, 0);
    /* One caller leaves gaps for the closers; more might take turns without end. */
    pthread_t caller, closers[2];
    CHECK(pthread_create(&caller, NULL, call_until_closed, NULL) == 0);
    while (atomic_load(&calls_done) < 10) sched_yield();
    for (int index = 0; index < 2; index++)
      CHECK(pthread_create(&closers[index], NULL, close_until_closed, NULL) == 0);
    CHECK(pthread_join(caller, NULL) == 0);
    for (int index = 0; index < 2; index++) CHECK(pthread_join(closers[index], NULL) == 0);
    CHECK(atomic_load(&closes_that_won) == 1);
  }
}

int main(void) {
  refused();
  from_threads_of_python();
  waits();
  nobody_starves();
  shares();
  close_races_with_calls();
  shut_down();
  return 0;
}
