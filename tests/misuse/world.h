/* The things that good arguments are made of: made anew when a cell has used them up. */
#ifndef WORLD_H
#define WORLD_H

#include <stdatomic.h>

#include "misuse.h"

typedef struct world {
  /* by noun */
  uint64_t handles[NOUNS], stale[NOUNS];
  subpy_interp other;
  subpy_object elsewhere, list, iterator;
  subpy_error *error, *syntax_error, *exit_error, *row_error;
  subpy_value result, dict, rows;
  /* for functions that free what they are given */
  subpy_error *owned_error;
  subpy_value owned_value;
  subpy_buffer owned_buffer;
  /* a call of a host function: one that is over, but while it is not */
  subpy_context *ctx;
  /* what a host function calls */
  void (*body)(void);
} world;

static world w;

static void host_fn(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)args, (void)nargs, (void)kwargs;
  w.ctx = ctx;
  if (w.body) w.body();
}

/* How often each cell's userdata was finalized. */
enum { TOKENS = 1 << 16 };
static atomic_int finalized[TOKENS];
static int tokens = 1;

static void finalize_fn(void *userdata) {
  if ((uintptr_t)userdata < TOKENS) finalized[(uintptr_t)userdata]++;
}

static bool is_alive(subpy_interp interp) { return subpy_id(interp, NULL, NULL) == SUBPY_OK; }

static void wait_for_rest(subpy_interp interp) {
  bool running = true;
  while (subpy_is_running(interp, &running, NULL) == SUBPY_OK && running) usleep(200);
}

static subpy_interp make_interp(void) {
  subpy_error *error = NULL;
  subpy_interp interp = 0;
  subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_COUNT_MEMORY};
  OK(create_anywhere(&options, &interp, &error));
  run(interp,
      "class Good:\n"
      "  x = 1\n"
      "  def __getitem__(self, key): return 1\n"
      "  def __call__(self, *args, **kwargs): return 1\n"
      "  def __iter__(self): return iter([1])\n"
      "  def __next__(self): return 1\n"
      "  def method(self, *args, **kwargs): return 1\n"
      "good = Good()");
  return interp;
}

static subpy_object object_of(subpy_interp interp, const char *expression) {
  subpy_error *error = NULL;
  subpy_value value = {0};
  subpy_object own = 0;
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EVAL, .text = expression,
                               .text_len = SUBPY_AUTO_LEN, .flags = SUBPY_RESULT_OBJECT};
  OK(subpy_run(&request, &value, &error));
  OK(subpy_object_keep(value.u.as_object, &own, &error));
  subpy_value_free(&value);
  return own;
}

/* A thread that has ended, and is not joined. */
static subpy_thread make_thread(void) {
  subpy_error *error = NULL;
  subpy_thread thread = 0;
  OK(subpy_call_in_thread(w.handles[INTERP], "builtins:dict", SUBPY_AUTO_LEN, NULL, 0, NULL, &thread, &error));
  OK(subpy_thread_wait(thread, -1, NULL, &error));
  wait_for_rest(w.handles[INTERP]);
  return thread;
}

static subpy_pool make_pool(void) {
  subpy_error *error = NULL;
  subpy_pool pool = 0;
  subpy_pool_options options = {.size = sizeof options, .workers = 1, .flags = SUBPY_POOL_NO_SPARES,
                                .isolation = in_processes() ? SUBPY_ISOLATION_PROCESS : SUBPY_ISOLATION_OWN_GIL};
  OK(subpy_pool_new(&options, &pool, &error));
  return pool;
}

static void make_errors(subpy_interp interp) {
  CHECK(subpy_exec(interp, "1 / 0", SUBPY_AUTO_LEN, &w.error) == SUBPY_ERROR_EXECUTION_FAILED);
  CHECK(subpy_exec(interp, "1 +", SUBPY_AUTO_LEN, &w.syntax_error) == SUBPY_ERROR_SYNTAX);
  CHECK(subpy_exec(interp, "import sys; sys.exit(3)", SUBPY_AUTO_LEN, &w.exit_error) == SUBPY_ERROR_EXECUTION_FAILED);
  subpy_value wrong = subpy_int(1);
  CHECK(subpy_function_call_many(w.handles[FUNCTION], &wrong, 1, 1, 0, NULL, &w.row_error) == SUBPY_ERROR_EXECUTION_FAILED);
}

/* One of each kind that was there once. */
static void make_stale(void) {
  subpy_error *error = NULL;
  w.stale[INTERP] = make_interp();
  w.elsewhere = object_of(w.other, "object()");
  OK(subpy_close(w.stale[INTERP], &error));
  OK(subpy_function_new(w.other, "builtins:dict", SUBPY_AUTO_LEN, &w.stale[FUNCTION], &error));
  subpy_function_free(w.stale[FUNCTION]);
  w.stale[OBJECT] = object_of(w.other, "object()");
  subpy_object_free(w.stale[OBJECT]);
  OK(subpy_call_in_thread(w.other, "builtins:dict", SUBPY_AUTO_LEN, NULL, 0, NULL, &w.stale[THREAD], &error));
  OK(subpy_thread_join(w.stale[THREAD], NULL, &error));
  OK(subpy_cancel_new(&w.stale[CANCEL], &error));
  subpy_cancel_free(w.stale[CANCEL]);
  OK(subpy_queue_new(NULL, &w.stale[QUEUE], &error));
  subpy_queue_free(w.stale[QUEUE]);
  w.stale[POOL] = make_pool();
  OK(subpy_pool_close(w.stale[POOL], NULL, &error));
}

/* Makes what is missing of what needs no runtime. */
static void heal_tokens_and_queues(void) {
  subpy_error *error = NULL;
  /* Whether a token is there cannot be asked, and one that was fired is of no use. */
  subpy_cancel_free(w.handles[CANCEL]);
  OK(subpy_cancel_new(&w.handles[CANCEL], &error));
  subpy_queue_info info = {.size = sizeof info};
  if (subpy_queue_get_info(w.handles[QUEUE], &info, NULL) != SUBPY_OK || info.closed) {
    subpy_queue_free(w.handles[QUEUE]);
    OK(subpy_queue_new(NULL, &w.handles[QUEUE], &error));
    info.len = 0;
  }
  subpy_value item = subpy_int(1);
  if (info.len == 0) OK(subpy_queue_put(w.handles[QUEUE], &item, 0, &error));
  if (!w.owned_error) w.owned_error = subpy_error_copy(w.error);
  if (!w.owned_buffer.data) OK(subpy_buffer_new(1, 0, &w.owned_buffer, &error));
}

/* Makes what is missing. */
static void heal(void) {
  subpy_error *error = NULL;
  if (!is_alive(w.other)) {
    w.other = make_interp();
    make_stale();
  }
  if (!is_alive(w.handles[INTERP])) {
    w.handles[INTERP] = make_interp();
    OK(subpy_define(w.handles[INTERP], "host", SUBPY_AUTO_LEN, 0, host_fn, NULL, NULL, &error));
    OK(subpy_define(w.handles[INTERP], "host_with_gil", SUBPY_AUTO_LEN, SUBPY_DEFINE_KEEP_GIL, host_fn, NULL, NULL, &error));
    run(w.handles[INTERP], "host()");
  }
  wait_for_rest(w.handles[INTERP]);
  subpy_interp of = 0;
  if (subpy_object_interp(w.handles[FUNCTION], &of, NULL) != SUBPY_OK || of != w.handles[INTERP]) {
    subpy_function_free(w.handles[FUNCTION]);
    OK(subpy_function_new(w.handles[INTERP], "builtins:dict", SUBPY_AUTO_LEN, &w.handles[FUNCTION], &error));
  }
  if (subpy_object_interp(w.handles[OBJECT], &of, NULL) != SUBPY_OK || of != w.handles[INTERP]) {
    subpy_object_free(w.list), subpy_object_free(w.iterator);
    w.handles[OBJECT] = object_of(w.handles[INTERP], "good");
    w.iterator = object_of(w.handles[INTERP], "good");
    w.list = object_of(w.handles[INTERP], "[1]");
  }
  bool done = false;
  if (subpy_thread_wait(w.handles[THREAD], 0, &done, NULL) != SUBPY_OK || !done) w.handles[THREAD] = make_thread();
  if (subpy_pool_get_stats(w.handles[POOL], &(subpy_pool_stats){.size = sizeof(subpy_pool_stats)}, NULL) != SUBPY_OK)
    w.handles[POOL] = make_pool();
  if (!w.error) {
    make_errors(w.handles[INTERP]);
    OK(subpy_eval(w.handles[INTERP], "[1, 'x']", SUBPY_AUTO_LEN, &w.result, &error));
    OK(subpy_eval(w.handles[INTERP], "{'key': 1}", SUBPY_AUTO_LEN, &w.dict, &error));
  }
  if (w.owned_value.kind == SUBPY_KIND_NONE)
    OK(subpy_eval(w.handles[INTERP], "'owned'", SUBPY_AUTO_LEN, &w.owned_value, &error));
  heal_tokens_and_queues();
}

/* A run of which nobody has the handle may be on its way: nothing of its interpreter is used again. */
static void retire(uint64_t *handle, bool is_pool) {
  subpy_close_options wait = {.size = sizeof wait, .timeout_ms = -1, .flags = SUBPY_CLOSE_DRAIN};
  subpy_error *error = NULL;
  const subpy_status status = is_pool ? subpy_pool_close(*handle, &wait, &error) : subpy_close_with(*handle, &wait, &error);
  /* It may have been closed where the call came from. */
  if (status != SUBPY_ERROR_NOT_FOUND) CHECK_STATUS(SUBPY_OK, status);
  subpy_error_free(error);
  *handle = 0;
}

#endif
