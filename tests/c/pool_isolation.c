/* Where the interpreters of a pool live, and when that is decided. */
#include "pool.h"

#define REASON "module faulthandler does not support loading in subinterpreters"

static subpy_run_request run_of(int32_t what, const char *text) {
  return (subpy_run_request){.size = sizeof(subpy_run_request), .what = what, .text = text, .text_len = SUBPY_AUTO_LEN};
}

static int64_t pid_of(subpy_pool pool) { return joined_int(submit(pool, run_of(SUBPY_RUN_EVAL, "__import__('os').getpid()"))); }

static subpy_pool auto_pool(size_t workers, const char *setup) {
  return new_pool((subpy_pool_options){.workers = workers, .setup = setup, .setup_len = SUBPY_AUTO_LEN,
                                       .isolation = SUBPY_ISOLATION_AUTO});
}

static void close_pool(subpy_pool pool) {
  OK(subpy_pool_close(pool, NULL, &error));
  CHECK(no_interpreters());
}

static void is_here(subpy_pool pool) {
  subpy_pool_stats stats = get_stats(pool);
  CHECK(stats.isolation == SUBPY_ISOLATION_OWN_GIL && stats.reason[0] == 0 && pid_of(pool) == getpid());
}

static void is_elsewhere(subpy_pool pool, const char *reason) {
  subpy_pool_stats stats = get_stats(pool);
  CHECK(stats.isolation == SUBPY_ISOLATION_PROCESS && strcmp(stats.reason, reason) == 0 && pid_of(pool) != getpid());
}

static void chosen(void) {
  subpy_pool pool = new_pool((subpy_pool_options){.workers = 1});
  is_here(pool);
  close_pool(pool);
  pool = new_pool((subpy_pool_options){.workers = 1, .isolation = SUBPY_ISOLATION_PROCESS});
  is_elsewhere(pool, "");
  close_pool(pool);
  subpy_interp_options interp = {.size = sizeof interp, .flags = SUBPY_INTERP_PROCESS};
  pool = new_pool((subpy_pool_options){.workers = 1, .interp = &interp});
  is_elsewhere(pool, "");
  close_pool(pool);
  /* What needs a process has one. */
  interp = (subpy_interp_options){.size = sizeof interp, .grace_ms = 50};
  pool = new_pool((subpy_pool_options){.workers = 1, .interp = &interp, .isolation = SUBPY_ISOLATION_PROCESS});
  is_elsewhere(pool, "");
  close_pool(pool);
}

static void refused(void) {
  subpy_interp_options interp = {.size = sizeof interp, .flags = SUBPY_INTERP_PROCESS};
  subpy_pool_options options = {.size = sizeof options, .workers = 1, .interp = &interp, .isolation = SUBPY_ISOLATION_AUTO};
  subpy_pool pool = 0;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...SUBPY_ISOLATION_AUTO is not for SUBPY_INTERP_PROCESS", subpy_pool_new(&options, &pool, &error));
  interp = (subpy_interp_options){.size = sizeof interp, .gil = SUBPY_GIL_SHARED};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...SUBPY_ISOLATION_AUTO needs SUBPY_GIL_OWN", subpy_pool_new(&options, &pool, &error));
  options.isolation = SUBPY_ISOLATION_PROCESS;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...SUBPY_INTERP_PROCESS needs SUBPY_GIL_OWN", subpy_pool_new(&options, &pool, &error));
  options.isolation = 3;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "subpy_pool_options.isolation is 3, must be one of SUBPY_ISOLATION_*",
        subpy_pool_new(&options, &pool, &error));
  options.isolation = 0;
  options.reserved = 1;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "subpy_pool_options.reserved is 1, must be 0", subpy_pool_new(&options, &pool, &error));
  CHECK(pool == 0);
}

/* A setup that other interpreters refuse; one that raises something else fails as ever. */
static void setups(void) {
  subpy_pool pool = auto_pool(3, "import json");
  is_here(pool);
  close_pool(pool);
  pool = auto_pool(3, "import faulthandler\nx = 5");
  is_elsewhere(pool, REASON);
  CHECK(joined_int(submit(pool, run_of(SUBPY_RUN_EVAL, "x"))) == 5 && get_stats(pool).workers == 3);
  close_pool(pool);
  /* Quoted, as packages do it. */
  pool = auto_pool(1, "import os\n"
                      "try: import faulthandler\n"
                      "except ImportError as error: raise RuntimeError('advice') from error");
  is_elsewhere(pool, REASON);
  close_pool(pool);
  subpy_pool_options options = {.size = sizeof options, .workers = 2, .setup = "import nonesuch", .setup_len = SUBPY_AUTO_LEN,
                                .isolation = SUBPY_ISOLATION_AUTO};
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "ModuleNotFoundError: No module named 'nonesuch'", subpy_pool_new(&options, &pool, &error));
  CHECK(no_interpreters());
}

static void moves_with_a_task(void) {
  subpy_pool pool = auto_pool(2, SETUP "x = 1");
  is_here(pool);
  while (get_stats(pool).spares < 1) usleep(1000);
  /* One that copes does not move the pool. */
  OK(subpy_thread_join(submit(pool, run_of(SUBPY_RUN_EXEC, "try: import faulthandler\nexcept ImportError: pass")), NULL, &error));
  is_here(pool);
  OK(subpy_thread_join(submit(pool, run_of(SUBPY_RUN_EXEC, "import faulthandler")), NULL, &error));
  is_elsewhere(pool, REASON);
  for (int i = 0; i < 10000 && (get_stats(pool).workers < 2 || get_stats(pool).spares < 1); i++) usleep(1000);
  subpy_pool_stats stats = get_stats(pool);
  CHECK(stats.workers == 2 && stats.spares == 1 && stats.replaced == 3 && stats.crashed == 0 && stats.failed == 0);
  for (int i = 0; i < 20; i++) CHECK(pid_of(pool) != getpid());
  CHECK(joined_int(submit(pool, run_of(SUBPY_RUN_EVAL, "x"))) == 1);
  close_pool(pool);
}

static bool is_right(void *userdata, size_t index, subpy_value *result, const subpy_error *failed) {
  CHECK(!failed && result->u.as_int == (int64_t)index);
  *(size_t *)userdata += 1;
  return true;
}

static void moves_with_rows(void) {
  subpy_pool pool = auto_pool(2, "def row(n):\n  if n == 25: import faulthandler\n  return n");
  subpy_value rows[60];
  for (int i = 0; i < 60; i++) rows[i] = subpy_int(i);
  subpy_run_request request = call("row", NULL);
  size_t seen = 0;
  OK(subpy_pool_map(pool, &request, rows, 60, 1, 10, is_right, &seen, &error));
  CHECK(seen == 60);
  is_elsewhere(pool, REASON);
  close_pool(pool);
}

int main(void) {
  chosen();
  refused();
  setups();
  moves_with_a_task();
  moves_with_rows();
  shut_down();
  return 0;
}
