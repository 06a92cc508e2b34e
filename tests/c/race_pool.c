/* Pools while everything happens to them at once: tasks that end in every way, cancels, maps, closes, shutdowns. */
#include "race.h"
#include "pool.h"
#include "values.h"

/* Whether their interpreters live in processes, too, which crash (race_pool_process.c). */
#ifndef PROCESSES
#define PROCESSES false
#endif

static atomic_ullong pool_handle, token_handle;
static counter submitted, ended, ok, maps, closed, told, shutdowns;

static void tell(void *unused) {
  (void)unused;
  told++;
}

#define PLACES                                                                                                     \
  SUBPY_OK, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY, SUBPY_ERROR_INTERRUPTED, SUBPY_ERROR_WRONG_STATE

static void *submits(void *number) {
  static const char *const texts[] = {"1", "double(4)", "[i for i in range(500)]", "1 / 0", "__import__('sys').exit(1)",
                                      "spin()", "__import__('threading').Thread(target=double, args=(1,)).start()",
                                      "crash()", "__import__('faulthandler')", "hang()"};
  const int kinds = PROCESSES ? 10 : 7;
  unsigned seed = (unsigned)(uintptr_t)number + 1;
  while (!race_over) {
    subpy_error *failed = NULL;
    int which = rand_r(&seed) % 40;
    subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_EVAL, .text = texts[which < kinds ? which : which % 2],
                                 .text_len = SUBPY_AUTO_LEN, .timeout_ms = which == 5 || which == 9 ? 5 : 2000,
                                 .flags = which == 5 && seed % 2 ? SUBPY_ABANDON : 0};
    if (which % 4 == 0) request.cancel = token_handle;
    subpy_thread outcome = 0;
    subpy_status status = subpy_pool_submit_as(pool_handle, (uintptr_t)number, &request, &outcome, &failed);
    EXPECT_ONE_OF(status, failed, PLACES);
    if (!outcome) continue;
    submitted++;
    /* Counted by who is told, or else here. */
    bool tells = which % 3 == 0 && subpy_thread_notify(outcome, tell, NULL, NULL) == SUBPY_OK;
    if (!tells) ended++;
    if (which % 8 == 7) {
      subpy_thread_free(outcome);
    } else {
      status = subpy_thread_join(outcome, NULL, &failed);
      EXPECT_ONE_OF(status, failed, PLACES, SUBPY_ERROR_TIMEOUT, SUBPY_ERROR_EXECUTION_FAILED, SUBPY_ERROR_NOT_SHAREABLE,
                    SUBPY_ERROR_CRASHED);
      CHECK(PROCESSES || status != SUBPY_ERROR_CRASHED);
      ok += status == SUBPY_OK;
    }
  }
  return NULL;
}

static void *fires(void *unused) {
  while (!race_over) {
    subpy_cancel token = 0;
    CHECK(subpy_cancel_new(&token, NULL) == SUBPY_OK);
    token_handle = token;
    usleep(3000);
    subpy_cancel_fire(token);
    subpy_cancel_free(token);
  }
  return unused;
}

static bool counts(void *userdata, size_t index, subpy_value *result, const subpy_error *failed) {
  (void)result, (void)failed;
  size_t *next = userdata;
  CHECK(index == (*next)++);
  return index < 150;
}

static void *maps_rows(void *unused) {
  static subpy_value rows[200];
  for (int i = 0; i < 200; i++) rows[i] = subpy_int(i);
  while (!race_over) {
    subpy_error *failed = NULL;
    size_t next = 0;
    subpy_run_request request = call("double", NULL);
    if (maps % 5 == 0) request.cancel = token_handle;
    subpy_status status = subpy_pool_map(pool_handle, &request, rows, 200, 1, (size_t)(maps % 9), counts, &next, &failed);
    EXPECT_ONE_OF(status, failed, PLACES);
    maps++;
    if (status != SUBPY_OK) usleep(1000);
  }
  return unused;
}

static void make(void) {
  static atomic_uint made;
  subpy_error *failed = NULL;
  char setup[1000];
  snprintf(setup, sizeof setup,
           SETUP "import os, itertools\n"
                 "is_here = os.getpid() == %d\n"
                 "def crash(): return is_here or os.abort()\n"
                 "def hang(): return is_here or sum(itertools.repeat(1))\n",
           (int)getpid());
  subpy_pool_options options = {.size = sizeof options, .workers = 2, .backlog = 4, .runs_per_worker = 50, .setup = setup,
                                .setup_len = SUBPY_AUTO_LEN};
  if (PROCESSES) options.isolation = (int32_t)(made++ % 2 ? SUBPY_ISOLATION_AUTO : SUBPY_ISOLATION_PROCESS);
  subpy_pool pool = 0;
  subpy_status status = subpy_pool_new(&options, &pool, &failed);
  /* Another thread shuts down, for which processes are killed. */
  EXPECT_ONE_OF(status, failed, SUBPY_OK, SUBPY_ERROR_WRONG_STATE, SUBPY_ERROR_BUSY, SUBPY_ERROR_NOT_FOUND,
                SUBPY_ERROR_CRASHED);
  if (pool) pool_handle = pool;
}

static void *ends(void *unused) {
  unsigned seed = 5;
  while (!race_over) {
    usleep(40000);
    subpy_error *failed = NULL;
    int which = rand_r(&seed) % 6;
    subpy_close_options options = {.size = sizeof options, .timeout_ms = which < 2 ? 100 : which == 2 ? 0 : 3000,
                                   .flags = which % 2 ? SUBPY_CLOSE_INTERRUPT : SUBPY_CLOSE_DRAIN};
    subpy_status status;
    if (which == 5) {
      options.flags = SUBPY_CLOSE_INTERRUPT | SUBPY_CLOSE_DRAIN;
      status = subpy_shutdown_with(&options, &failed);
      shutdowns += status == SUBPY_OK;
    } else {
      status = subpy_pool_close(pool_handle, which == 4 ? NULL : &options, &failed);
      closed += status == SUBPY_OK;
    }
    EXPECT_ONE_OF(status, failed, PLACES, SUBPY_ERROR_TIMEOUT);
    subpy_pool_stats stats = {.size = sizeof stats};
    if (subpy_pool_get_stats(pool_handle, &stats, NULL) == SUBPY_ERROR_NOT_FOUND) make();
  }
  return unused;
}

static void *looks(void *unused) {
  while (!race_over) {
    subpy_pool_stats stats = {.size = sizeof stats};
    if (subpy_pool_get_stats(pool_handle, &stats, NULL) == SUBPY_OK) {
      CHECK(stats.submitted == stats.queued + stats.running + stats.done && stats.cancelled <= stats.failed &&
            stats.failed <= stats.done && stats.workers <= 2 && stats.spares <= 1 && stats.running <= 2);
    }
    usleep(500);
  }
  return unused;
}

static bool saw_all(void) { return submitted > 10 && ok > 0 && maps > 0 && closed > 0; }

int main(void) {
  make();
  void *(*const functions[])(void *) = {submits, submits, submits, fires, maps_rows, ends, looks};
  race_saw_all = saw_all;
  race(4, functions, COUNT(functions));
  subpy_close_options options = {.size = sizeof options, .timeout_ms = -1, .flags = SUBPY_CLOSE_INTERRUPT};
  subpy_status status;
  do { /* what another thread has begun to close is in the way for a moment */
    status = subpy_shutdown_with(&options, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY);
  } while (status != SUBPY_OK);
  for (int i = 0; i < 5000 && ended + told < submitted; i++) usleep(1000);
  printf("%ld tasks, %ld of them good, %ld maps, %ld closes, %ld shutdowns\n", submitted, ok, maps, closed, shutdowns);
  CHECK(ended + told == submitted);
  CHECK(saw_all());
  return 0;
}
