/* Closes within a time beside all that they can meet: runs, Python's threads, sessions, other closes, destruction by a
   guest, shutdowns. Whatever the order, nothing is left and nothing hangs. */
#include "closing.h"
#include "race.h"

/* Nothing endless is run in the last one, so it can be closed without a limit too. */
enum { SLOTS = 4, QUIET = SLOTS - 1 };
static _Atomic(subpy_interp) slots[SLOTS];
static counter creations, closes, busy, late, runs, hit;

/* Threads that may be in endless code. */
static atomic_int at_work = 4;

static unsigned next(unsigned *seed) { return (*seed = *seed * 1103515245 + 12345) >> 16; }

static void *creates(void *number) {
  unsigned seed = (unsigned)(intptr_t)number;
  subpy_error *error = NULL;
  while (!race_over) {
    subpy_interp interp = 0;
    const subpy_interp_options options = {.size = sizeof options, .busy = (int32_t)(next(&seed) % 3)};
    subpy_status status = subpy_create(&options, &interp, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_WRONG_STATE);
    if (status != SUBPY_OK) continue;
    creations++;
    static const char code[] = "import _thread, threading, time\n"
                               "def start(act): _thread.start_joinable_thread(act, daemon=False)\n"
                               "def spin():\n"
                               "  while True: pass\n"
                               "def soon(): time.sleep(0.002)";
    status = subpy_exec(interp, code, SUBPY_AUTO_LEN, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY, SUBPY_ERROR_INTERRUPTED);
    subpy_interp before = atomic_exchange(&slots[next(&seed) % SLOTS], interp);
    /* BUSY: one of the others is about to close it, who may give up. */
    while (before) {
      status = close_in(before, 10000, SUBPY_CLOSE_INTERRUPT, &error);
      EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY);
      closes += status == SUBPY_OK;
      if (status != SUBPY_ERROR_BUSY) break;
      usleep(1000);
    }
  }
  at_work--;
  return NULL;
}

/* Some end, some would not. Threads are started in C: an interrupt in threading.Thread.start() leaves a lock that the next
 * start waits for (docs/limits.md). */
static void *does_runs(void *number) {
  static const char *const codes[] = {"x = 1", "time.sleep(0.003)", "start(soon)", "start(spin)", "spin()"};
  unsigned seed = (unsigned)(intptr_t)number;
  subpy_error *error = NULL;
  while (!race_over) {
    int slot = (int)(next(&seed) % SLOTS);
    subpy_interp interp = slots[slot];
    if (!interp) continue;
    bool entered = next(&seed) % 3 == 0 && subpy_enter(interp, NULL) == SUBPY_OK;
    subpy_status status = subpy_exec(interp, codes[next(&seed) % (slot == QUIET ? 3 : 5)], SUBPY_AUTO_LEN, &error);
    /* A thread cannot be started while the interpreter is being ended from outside, and so on. */
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY, SUBPY_ERROR_INTERRUPTED,
                  SUBPY_ERROR_EXECUTION_FAILED);
    runs += status == SUBPY_OK;
    hit += status == SUBPY_ERROR_INTERRUPTED;
    if (entered) CHECK(subpy_leave(interp, NULL) == SUBPY_OK);
  }
  at_work--;
  return NULL;
}

static void *closes_some(void *number) {
  unsigned seed = (unsigned)(intptr_t)number;
  subpy_error *error = NULL;
  while (!race_over || at_work > 0) {
    int slot = (int)(next(&seed) % SLOTS);
    subpy_interp interp = slots[slot];
    if (!interp) continue;
    subpy_status status = close_in(interp, next(&seed) % 20, next(&seed) % 4, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY, SUBPY_ERROR_TIMEOUT);
    closes += status == SUBPY_OK;
    busy += status == SUBPY_ERROR_BUSY;
    late += status == SUBPY_ERROR_TIMEOUT;
    if (slot == QUIET && next(&seed) % 2 == 0) {
      status = subpy_close(interp, &error);
      EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY);
    }
    usleep(500);
  }
  return NULL;
}

static bool saw_all(void) {
  return closes && busy && runs && hit;
}

int main(void) {
  subpy_error *error = NULL;
  alarm(120);
  race_saw_all = saw_all;
  race(4, (void *(*const[])(void *)){creates, creates, does_runs, does_runs, closes_some, closes_some}, 6);
  OK(shut_down_in(60000, SUBPY_CLOSE_INTERRUPT, &error));
  printf("%ld created, %ld closed, %ld busy, %ld late, %ld runs, %ld hit\n", creations, closes, busy, late, runs, hit);
  CHECK(saw_all());
  return 0;
}
