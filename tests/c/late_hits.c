/* A cancel hits the run that it is for, or nothing: not the run after it, which may have begun already. Runs are
 * cancelled about when they end: they are a bit longer after one that has ended, and shorter after one that was
 * stopped, so that a third of them or more are. SUBPY_TEST_RUNS says how many; by hand it is 10,000,000. (That this
 * test would see a late hit is shown in src/manager/cancel.rs, where the look-up is taken out.) */
#include <sched.h>

#include "race.h"

enum { PAIRS = 2 };

static counter stopped, ended, late, unasked;
static long runs_a_thread;

/* A thread that runs, and one that cancels. */
static struct {
  /* What is to be fired: taken by exchange, so each is fired once. */
  _Atomic subpy_cancel target;
  /* The canceller has done with the last one but for the fire: it looks out for the next. */
  atomic_bool looks;
} pairs[PAIRS];

static void *cancels(void *number) {
  for (unsigned random = 1; !race_over; random = random * 1103515245 + 12345) {
    subpy_cancel cancel = atomic_exchange(&pairs[(uintptr_t)number].target, 0);
    if (cancel == 0) {
      sched_yield();
      continue;
    }
    for (volatile unsigned pause = (random >> 8) % 40000; pause > 0; pause--) {}
    pairs[(uintptr_t)number].looks = true;
    subpy_cancel_fire(cancel);
  }
  return NULL;
}

static void *runs(void *number) {
  _Atomic subpy_cancel *target = &pairs[(uintptr_t)number].target;
  subpy_interp interp = create();
  subpy_error *error = NULL;
  /* With fewer processors than threads, the canceller of every second run gets one at once. */
  run(interp, "from os import sched_yield\ndef f(n):\n  if n % 2: sched_yield()\n  for i in range(n): pass\n  return n\n"
              "def g(n):\n  for i in range(n): pass\n  return n");
  unsigned random = 7u + (unsigned)(uintptr_t)number;
  int64_t longest = 3000;
  for (long i = 0; i < runs_a_thread; i++) {
    random = random * 1103515245 + 12345;
    subpy_cancel cancel = 0;
    subpy_value n = subpy_int((random >> 8) % longest), result = {0};
    OK(subpy_cancel_new(&cancel, &error));
    subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_CALL, .text = "f",
                                 .text_len = 1, .args = &n, .nargs = 1, .cancel = cancel};
    *target = cancel;
    subpy_status status = subpy_run(&request, &result, &error);
    bool asked = atomic_exchange(target, 0) != cancel;
    ended += status == SUBPY_OK;
    stopped += status == SUBPY_ERROR_INTERRUPTED;
    unasked += status == SUBPY_ERROR_INTERRUPTED && !asked;
    longest += status == SUBPY_OK ? longest / 64 + 1 : -(longest / 32);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_INTERRUPTED);
    /* The token may be fired at this moment, or be freed and then fired. */
    if (random & 4096) subpy_cancel_free(cancel);
    n = subpy_int((random >> 16) % 3000);
    status = subpy_call(interp, "g", 1, &n, 1, NULL, &result, &error);
    late += status != SUBPY_OK;
    subpy_error_free(error);
    error = NULL;
    if (!(random & 4096)) subpy_cancel_free(cancel);
    while (asked && !atomic_exchange(&pairs[(uintptr_t)number].looks, false)) sched_yield();
  }
  OK(subpy_close(interp, &error));
  return NULL;
}

int main(void) {
  const char *count = getenv("SUBPY_TEST_RUNS");
  runs_a_thread = (count ? atol(count) : in_processes() ? 4000 : 100000) / PAIRS;
  subpy_error *error = NULL;
  OK(subpy_init(NULL, &error));
  pthread_t runners[PAIRS], cancellers[PAIRS];
  for (int i = 0; i < PAIRS; i++) {
    CHECK(pthread_create(&cancellers[i], NULL, cancels, (void *)(intptr_t)i) == 0);
    CHECK(pthread_create(&runners[i], NULL, runs, (void *)(intptr_t)i) == 0);
  }
  for (int i = 0; i < PAIRS; i++) CHECK(pthread_join(runners[i], NULL) == 0);
  race_over = true;
  for (int i = 0; i < PAIRS; i++) CHECK(pthread_join(cancellers[i], NULL) == 0);
  printf("%ld runs stopped, %ld ended, %ld late hits, %ld not asked for\n", stopped, ended, late, unasked);
  CHECK(late == 0 && unasked == 0);
  CHECK(stopped >= (stopped + ended) / 4 && ended > 0);
  shut_down();
  return 0;
}
