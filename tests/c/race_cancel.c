/* Cancelling beside everything that a run can meet: fire, free, interrupt, limits, the run's end, threads that end,
 * close, shutdown, forks. Whatever the order, every outcome is a clean one. */
#include <sched.h>
#include <sys/wait.h>

#include "race.h"

enum { PLACES = 4, TOKENS = 8, BEGINNINGS = 20000 };

static _Atomic subpy_interp places[PLACES];
static _Atomic subpy_cancel tokens[TOKENS];
static counter runs, stopped, late, refused, closes, shutdowns, forks;

static unsigned next(unsigned *random) {
  *random = *random * 1103515245 + 12345;
  return *random >> 16;
}

static subpy_interp make(unsigned random) {
  subpy_interp made = 0;
  static const int32_t policies[] = {SUBPY_BUSY_WAIT, SUBPY_BUSY_SHARE, SUBPY_BUSY_REFUSE, SUBPY_BUSY_WAIT};
  subpy_interp_options options = {.size = sizeof options, .busy = policies[random % 4], .timeout_ms = random % 3 ? 0 : 20};
  subpy_create(&options, &made, NULL); /* none while the library is being shut down */
  return made;
}

static subpy_status run_one(unsigned random, subpy_error **error) {
  static const char *const codes[] = {"x = 1", "for _ in range(200): pass", "while True: pass",
                                      "try:\n  while True: pass\nexcept BaseException: pass",
                                      "import time; time.sleep(0.001)"};
  subpy_run_request request = {.size = sizeof request,
                               .interp = places[random % PLACES],
                               .what = SUBPY_RUN_EXEC,
                               .text = codes[random % 5],
                               .text_len = SUBPY_AUTO_LEN,
                               .cancel = tokens[random / 4 % TOKENS],
                               .timeout_ms = random % 5 >= 2 ? 1 + random % 8 : random % 2};
  if (random % 7) return subpy_run(&request, NULL, error);
  subpy_thread thread = 0;
  if (random % 2) request.flags = SUBPY_ABANDON;
  if (!request.timeout_ms && !request.cancel) request.flags = 0;
  subpy_status status = subpy_run_in_thread(&request, &thread, error);
  if (status != SUBPY_OK) return status;
  if (random % 3) return subpy_thread_join(thread, NULL, error);
  subpy_thread_free(thread);
  return SUBPY_OK;
}

static void *runs_code(void *number) {
  unsigned random = 3u + (unsigned)(uintptr_t)number;
  while (!race_over) {
    subpy_error *error = NULL;
    subpy_status status = run_one(next(&random), &error);
    runs += status == SUBPY_OK;
    stopped += status == SUBPY_ERROR_INTERRUPTED;
    late += status == SUBPY_ERROR_TIMEOUT;
    refused += status == SUBPY_ERROR_BUSY || status == SUBPY_ERROR_NOT_FOUND || status == SUBPY_ERROR_WRONG_STATE;
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_INTERRUPTED, SUBPY_ERROR_TIMEOUT, SUBPY_ERROR_BUSY,
                  SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_WRONG_STATE);
  }
  return NULL;
}

/* Threads that end with a slot of their own. */
static void *ends(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  unsigned random = (unsigned)(uintptr_t)pthread_self();
  for (int i = 0; i < 5; i++) {
    run_one(next(&random) * 7 + 1, &error);
    subpy_error_free(error);
    error = NULL;
  }
  return NULL;
}

static void *starts_threads(void *unused) {
  (void)unused;
  while (!race_over) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, ends, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
  }
  return NULL;
}

static void *fires(void *number) {
  unsigned random = 5u + (unsigned)(uintptr_t)number;
  while (!race_over) {
    unsigned what = next(&random);
    subpy_cancel made = 0;
    CHECK(subpy_cancel_new(&made, NULL) == SUBPY_OK);
    subpy_cancel old = atomic_exchange(&tokens[what % TOKENS], made);
    if (what & 64) subpy_cancel_fire(old);
    subpy_interrupt(places[what % PLACES], NULL);
    if (what & 128) subpy_cancel_free(old);
    if (!(what & 64)) subpy_cancel_fire(old);
    subpy_cancel_free(old);
    usleep(what % 300);
  }
  return NULL;
}

static void *renews(void *unused) {
  (void)unused;
  unsigned random = 11;
  while (!race_over) {
    unsigned what = next(&random);
    usleep(what % 2000);
    if (what % 64 == 0) {
      shutdowns += subpy_shutdown(NULL) == SUBPY_OK;
    } else if (subpy_close(places[what % PLACES], NULL) == SUBPY_OK) {
      closes++;
    } else if (subpy_is_running(places[what % PLACES], NULL, NULL) != SUBPY_ERROR_NOT_FOUND) {
      continue;
    }
    for (unsigned i = 0; i < PLACES; i++)
      if (subpy_is_running(places[i], NULL, NULL) == SUBPY_ERROR_NOT_FOUND) places[i] = make(what + i);
  }
  return NULL;
}

static void *forks_off(void *unused) {
  (void)unused;
  while (!race_over) {
    usleep(20000);
    pid_t child = fork_beside_others();
    if (child == 0) {
      for (int i = 0; i < TOKENS; i++) {
        subpy_cancel_fire(tokens[i]);
        subpy_cancel_free(tokens[i]);
      }
      _exit(subpy_interrupt(places[0], NULL) == SUBPY_ERROR_FORKED ? 0 : 1);
    }
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    forks++;
  }
  return NULL;
}

static bool saw_all(void) {
  return runs && stopped && late && closes && forks;
}

/* A token that is fired at the moment when a wait begins ends that wait. */
static atomic_int firing;
static _Atomic subpy_cancel new_token;

static void *fires_at_once(void *unused) {
  (void)unused;
  for (unsigned i = 1, random = 1; i <= BEGINNINGS; i++) {
    for (int spins = 0; atomic_load(&firing) != (int)i; spins++)
      if (spins > 1000) sched_yield();
    for (unsigned wait = next(&random) % (i % 2 ? 1000 : 20000); wait; wait--) atomic_signal_fence(memory_order_seq_cst);
    subpy_cancel_fire(new_token);
  }
  return NULL;
}

static void fired_as_a_wait_begins(void) {
  subpy_error *error = NULL;
  subpy_queue queue = 0;
  pthread_t thread;
  OK(subpy_queue_new(NULL, &queue, &error));
  CHECK(pthread_create(&thread, NULL, fires_at_once, NULL) == 0);
  for (int i = 1; i <= BEGINNINGS; i++) {
    subpy_cancel token = 0;
    subpy_value value = subpy_none();
    OK(subpy_cancel_new(&token, &error));
    new_token = token;
    atomic_store(&firing, i);
    FAILS(SUBPY_ERROR_INTERRUPTED, "cancelled while it waited for something to get from a queue",
          subpy_queue_get_with(queue, 30000, &value, token, &error));
    subpy_cancel_free(token);
  }
  CHECK(pthread_join(thread, NULL) == 0);
  subpy_queue_free(queue);
}

int main(void) {
  fired_as_a_wait_begins();
  for (unsigned i = 0; i < PLACES; i++) places[i] = make(i);
  race_saw_all = saw_all;
  race(6, (void *(*const[])(void *)){runs_code, runs_code, runs_code, starts_threads, fires, fires, renews, forks_off}, 8);
  printf("%ld runs, %ld interrupted, %ld timed out, %ld refused, %ld closes, %ld shutdowns, %ld forks\n", runs, stopped,
         late, refused, closes, shutdowns, forks);
  CHECK(saw_all());
  for (int i = 0; i < TOKENS; i++) subpy_cancel_fire(tokens[i]);
  while (subpy_shutdown(NULL) == SUBPY_ERROR_BUSY) {
    for (unsigned i = 0; i < PLACES; i++) subpy_interrupt(places[i], NULL);
    usleep(1000);
  }
  return 0;
}
