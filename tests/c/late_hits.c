/* A cancel hits the run that it is for, or nothing: not the run after it, which may have begun already. Runs are
 * cancelled about when they end. SUBPY_TEST_RUNS says how many; by hand it is 10,000,000. (That this test would see a
 * late hit is shown in src/manager/cancel.rs, where the look-up is taken out.) */
#include "race.h"

enum { THREADS = 4 };

static counter stopped, ended, late, unasked;
static long runs_a_thread;

/* What the canceller is to fire, per thread; taken by exchange, so each is fired once and never after it is freed. */
static _Atomic subpy_cancel targets[THREADS];

static void *cancels(void *unused) {
  (void)unused;
  for (unsigned random = 1; !race_over; random = random * 1103515245 + 12345) {
    subpy_cancel cancel = atomic_exchange(&targets[(random >> 16) % THREADS], 0);
    for (volatile unsigned pause = (random >> 8) % 20000; pause > 0; pause--) {}
    subpy_cancel_fire(cancel);
  }
  return NULL;
}

static void *runs(void *number) {
  subpy_interp interp = create();
  subpy_error *error = NULL;
  run(interp, "def f(n):\n  for i in range(n): pass\n  return n\n"
              "def g(n):\n  for i in range(n): pass\n  return n");
  unsigned random = 7u + (unsigned)(uintptr_t)number;
  for (long i = 0; i < runs_a_thread; i++) {
    random = random * 1103515245 + 12345;
    subpy_cancel cancel = 0;
    subpy_value n = subpy_int((random >> 16) % 3000), result = {0};
    OK(subpy_cancel_new(&cancel, &error));
    subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_CALL, .text = "f",
                                 .text_len = 1, .args = &n, .nargs = 1, .cancel = cancel};
    targets[(uintptr_t)number] = cancel;
    subpy_status status = subpy_run(&request, &result, &error);
    bool asked = atomic_exchange(&targets[(uintptr_t)number], 0) != cancel;
    ended += status == SUBPY_OK;
    stopped += status == SUBPY_ERROR_INTERRUPTED;
    unasked += status == SUBPY_ERROR_INTERRUPTED && !asked;
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_INTERRUPTED);
    /* The token may be fired at this moment, or be freed and then fired. */
    if (random & 4096) subpy_cancel_free(cancel);
    status = subpy_call(interp, "g", 1, &n, 1, NULL, &result, &error);
    late += status != SUBPY_OK;
    subpy_error_free(error);
    error = NULL;
    if (!(random & 4096)) subpy_cancel_free(cancel);
  }
  OK(subpy_close(interp, &error));
  return NULL;
}

int main(void) {
  const char *count = getenv("SUBPY_TEST_RUNS");
  runs_a_thread = (count ? atol(count) : 100000) / THREADS;
  subpy_error *error = NULL;
  OK(subpy_init(NULL, &error));
  pthread_t threads[THREADS], canceller;
  CHECK(pthread_create(&canceller, NULL, cancels, NULL) == 0);
  for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, runs, (void *)(intptr_t)i) == 0);
  for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  race_over = true;
  CHECK(pthread_join(canceller, NULL) == 0);
  printf("%ld runs stopped, %ld ended, %ld late hits, %ld not asked for\n", stopped, ended, late, unasked);
  CHECK(late == 0 && unasked == 0);
  CHECK(stopped > 0 && ended > 0);
  shut_down();
  return 0;
}
