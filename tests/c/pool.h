/* What the tests of pools share. */
#ifndef POOL_H
#define POOL_H

#include <stdatomic.h>

#include "guest.h"

static subpy_error *error;

/* Tasks that call this wait until it is open. */
static atomic_bool gate_open;

#define SETUP                                                                                   \
  "import time\nnotes = []\n"                                                                   \
  "def double(n): return 2 * n\n"                                                               \
  "def note(n): notes.append(n)\n"                                                              \
  "def spin():\n  while True: pass\n"                                                           \
  "def stubborn():\n  while True:\n    try:\n      while True: pass\n    except KeyboardInterrupt: pass\n"

static void gate_function(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs,
                          const subpy_value *kwargs) {
  (void)userdata, (void)args, (void)nargs, (void)kwargs;
  while (!gate_open && !subpy_context_cancelled(ctx)) usleep(500);
}

static void define_gate(void *userdata, subpy_interp interp) {
  (void)userdata;
  subpy_error *failed = NULL;
  CHECK(subpy_define(interp, "gate", 4, 0, gate_function, NULL, NULL, &failed) == SUBPY_OK);
}

/* With a function `gate` in each interpreter, unless the options have a prepare of their own. */
static inline subpy_pool new_pool(subpy_pool_options options) {
  options.size = sizeof options;
  if (!options.prepare) options.prepare = define_gate;
  subpy_pool pool = 0;
  OK(subpy_pool_new(&options, &pool, &error));
  CHECK(pool != 0 && pool < (UINT64_C(1) << 53));
  return pool;
}

/* One argument, or NULL. It is read when the request is. */
static inline subpy_run_request call(const char *callable, const subpy_value *arg) {
  return (subpy_run_request){.size = sizeof(subpy_run_request), .what = SUBPY_RUN_CALL, .text = callable,
                             .text_len = SUBPY_AUTO_LEN, .args = arg, .nargs = arg ? 1 : 0};
}

static inline subpy_run_request waits_at_gate(void) { return call("gate", NULL); }

static inline subpy_thread submit(subpy_pool pool, subpy_run_request request) {
  subpy_thread outcome = 0;
  OK(subpy_pool_submit(pool, &request, &outcome, &error));
  CHECK(outcome != 0);
  return outcome;
}

static inline int64_t joined_int(subpy_thread outcome) {
  subpy_value result = {0};
  OK(subpy_thread_join(outcome, &result, &error));
  CHECK(result.kind == SUBPY_KIND_INT);
  return result.u.as_int;
}

static inline subpy_pool_stats get_stats(subpy_pool pool) {
  subpy_pool_stats stats = {.size = sizeof stats};
  OK(subpy_pool_get_stats(pool, &stats, &error));
  CHECK(stats.size == sizeof stats && stats.submitted == stats.queued + stats.running + stats.done);
  CHECK(stats.failed <= stats.done && stats.cancelled <= stats.failed);
  return stats;
}

/* None but main. */
static inline bool no_interpreters(void) {
  size_t count = 0;
  OK(subpy_list_all(NULL, 0, &count, &error));
  return count == 1;
}

#endif
