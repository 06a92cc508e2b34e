/* Shutdowns within a time beside all that they can meet: creations, runs that end or would not, host functions, interrupts,
   closes of both kinds, interpreters that a guest destroys. */
#include "closing.h"
#include "race.h"

enum { SLOTS = 3 };
static _Atomic(subpy_interp) slots[SLOTS];
static atomic_int at_work = 3;
static counter creations, shutdowns, busy, late, runs, hit, destroyed, calls;

static unsigned next(unsigned *seed) { return (*seed = *seed * 1103515245 + 12345) >> 16; }

static void host(void *userdata, subpy_context *context, const subpy_value *args, size_t count, const subpy_value *kwargs) {
  (void)userdata, (void)context, (void)args, (void)count, (void)kwargs;
  calls++;
  usleep(1000);
}

static void *creates(void *number) {
  unsigned seed = (unsigned)(intptr_t)number;
  subpy_error *error = NULL;
  while (!race_over) {
    subpy_interp interp = 0;
    subpy_status status = subpy_create(NULL, &interp, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_WRONG_STATE);
    if (status != SUBPY_OK) continue;
    creations++;
    status = subpy_define(interp, "host:wait", SUBPY_AUTO_LEN, 0, host, NULL, NULL, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY, SUBPY_ERROR_INTERRUPTED);
    slots[next(&seed) % SLOTS] = interp;
    usleep(20000);
  }
  at_work--;
  return NULL;
}

/* Threads are started in C: an interrupt in threading.Thread.start(), or in an import, leaves a lock that later runs
 * wait for (docs/limits.md). */
static void *does_runs(void *number) {
  static const char *const codes[] = {
      "x = 1", "import host\nwhile True: host.wait()", "while True: pass",
      "import _thread, time\n_thread.start_joinable_thread(lambda: time.sleep(0.002), daemon=False)",
      "def spin():\n  while True: pass\nimport _thread; _thread.start_joinable_thread(spin, daemon=False); spin()"};
  unsigned seed = (unsigned)(intptr_t)number;
  subpy_error *error = NULL;
  while (!race_over) {
    subpy_interp interp = slots[next(&seed) % SLOTS];
    if (!interp) continue;
    subpy_status status = subpy_exec(interp, codes[next(&seed) % 5], SUBPY_AUTO_LEN, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY, SUBPY_ERROR_INTERRUPTED,
                  SUBPY_ERROR_EXECUTION_FAILED);
    runs += status == SUBPY_OK;
    hit += status == SUBPY_ERROR_INTERRUPTED;
  }
  at_work--;
  return NULL;
}

/* A guest destroys what the library does not run anything in. */
static void *destroys(void *number) {
  unsigned seed = (unsigned)(intptr_t)number;
  subpy_error *error = NULL;
  while (!race_over) {
    subpy_interp guest = 0;
    int64_t id = 0;
    char code[250];
    if (subpy_create(NULL, &guest, NULL) != SUBPY_OK) continue;
    if (subpy_id(slots[next(&seed) % SLOTS], &id, NULL) == SUBPY_OK) {
      snprintf(code, sizeof code,
               "import _interpreters\n"
               "try: _interpreters.destroy(%" PRId64 ")\n"
               "except _interpreters.InterpreterError: destroyed = False\n"
               "else: destroyed = True",
               id);
      subpy_status status = subpy_exec(guest, code, SUBPY_AUTO_LEN, &error);
      EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY, SUBPY_ERROR_INTERRUPTED);
      subpy_value value = {0};
      if (subpy_eval(guest, "destroyed", SUBPY_AUTO_LEN, &value, NULL) == SUBPY_OK) destroyed += value.u.as_bool;
    }
    subpy_status status = close_in(guest, next(&seed) % 10, SUBPY_CLOSE_DRAIN, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY, SUBPY_ERROR_TIMEOUT,
                  SUBPY_ERROR_WRONG_STATE);
    usleep(10000);
  }
  at_work--;
  return NULL;
}

static void *interrupts(void *number) {
  unsigned seed = (unsigned)(intptr_t)number;
  while (!race_over || at_work > 0) {
    (void)subpy_interrupt(slots[next(&seed) % SLOTS], NULL);
    usleep(2000);
  }
  return NULL;
}

static void *shuts_down(void *number) {
  unsigned seed = (unsigned)(intptr_t)number;
  subpy_error *error = NULL;
  while (!race_over || at_work > 0) {
    int64_t limit = next(&seed) % 3 ? next(&seed) % 30 : 3000;
    subpy_status status = shut_down_in(limit, race_over ? SUBPY_CLOSE_INTERRUPT : next(&seed) % 4, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY, SUBPY_ERROR_TIMEOUT, SUBPY_ERROR_WRONG_STATE,
                  SUBPY_ERROR_NOT_FOUND);
    shutdowns += status == SUBPY_OK;
    busy += status == SUBPY_ERROR_BUSY;
    late += status == SUBPY_ERROR_TIMEOUT;
    usleep(20000);
  }
  return NULL;
}

static bool saw_all(void) { return creations && shutdowns + busy && hit; }

int main(void) {
  subpy_error *error = NULL;
  alarm(120);
  race_saw_all = saw_all;
  race(4, (void *(*const[])(void *)){creates, does_runs, destroys, interrupts, shuts_down, shuts_down}, 6);
  OK(shut_down_in(60000, SUBPY_CLOSE_INTERRUPT, &error));
  printf("%ld created, %ld shutdowns, %ld busy, %ld late, %ld runs, %ld hit, %ld destroyed, %ld calls\n", creations,
         shutdowns, busy, late, runs, hit, destroyed, calls);
  CHECK(saw_all());
  return 0;
}
