/* Tasks that are stopped, and what becomes of their interpreters. */
#include <pthread.h>

#include "pool.h"

static subpy_cancel new_token(void) {
  subpy_cancel token = 0;
  OK(subpy_cancel_new(&token, &error));
  return token;
}

static void until_replaced(subpy_pool pool, uint64_t replaced) {
  for (int i = 0; i < 5000 && get_stats(pool).replaced < replaced; i++) usleep(1000);
  CHECK(get_stats(pool).replaced == replaced);
}

/* A run that was hit leaves its interpreter to another; one that was not does not. */
static void replaced(void) {
  subpy_pool pool = new_pool((subpy_pool_options){.workers = 1, .setup = SETUP "x = 0", .setup_len = SUBPY_AUTO_LEN});
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_EXEC, .text = "x = 1", .text_len = SUBPY_AUTO_LEN};
  subpy_run_request look = {.size = sizeof look, .what = SUBPY_RUN_EVAL, .text = "x", .text_len = 1};
  OK(subpy_thread_join(submit(pool, request), NULL, &error));
  CHECK(joined_int(submit(pool, look)) == 1 && get_stats(pool).replaced == 0);

  request = call("spin", NULL);
  request.timeout_ms = 30;
  FAILS(SUBPY_ERROR_TIMEOUT, "...timed out after 30 ms", subpy_thread_join(submit(pool, request), NULL, &error));
  CHECK(joined_int(submit(pool, look)) == 0);
  until_replaced(pool, 1);

  /* Even if it has caught the exception. */
  request = (subpy_run_request){.size = sizeof request, .what = SUBPY_RUN_EXEC, .timeout_ms = 30, .text_len = SUBPY_AUTO_LEN,
                                .text = "x = 2\ntry: spin()\nexcept KeyboardInterrupt: pass"};
  subpy_status status = subpy_thread_join(submit(pool, request), NULL, &error);
  CHECK(status == SUBPY_OK || status == SUBPY_ERROR_TIMEOUT);
  subpy_error_free(error);
  CHECK(joined_int(submit(pool, look)) == 0);
  until_replaced(pool, 2);

  /* The others of these are ordinary failures; one that has no memory left is not. */
  request.timeout_ms = 0;
  request.text = "x = 3; raise SystemExit(2)";
  CHECK(subpy_thread_join(submit(pool, request), NULL, NULL) == SUBPY_ERROR_EXECUTION_FAILED);
  CHECK(joined_int(submit(pool, look)) == 3);
  request.text = "raise MemoryError";
  CHECK(subpy_thread_join(submit(pool, request), NULL, NULL) == SUBPY_ERROR_EXECUTION_FAILED);
  CHECK(joined_int(submit(pool, look)) == 0);
  until_replaced(pool, 3);
  OK(subpy_pool_close(pool, NULL, &error));
  CHECK(no_interpreters());

  pool = new_pool((subpy_pool_options){.workers = 1, .runs_per_worker = 3, .setup = "x = 0", .setup_len = SUBPY_AUTO_LEN});
  request.text = "x += 1";
  for (int i = 0; i < 10; i++) OK(subpy_thread_join(submit(pool, request), NULL, &error));
  until_replaced(pool, 3);
  CHECK(joined_int(submit(pool, look)) == 1);
  OK(subpy_pool_close(pool, NULL, &error));
  CHECK(no_interpreters());
}

/* Cancelled when it waits, when it runs, when it waits for room, and before. */
static void *fires_soon(void *token) {
  usleep(20000);
  subpy_cancel_fire((subpy_cancel)(uintptr_t)token);
  return NULL;
}

static void cancelled(void) {
  subpy_pool pool = new_pool((subpy_pool_options){.workers = 1, .backlog = 2, .setup = SETUP, .setup_len = SUBPY_AUTO_LEN});
  gate_open = false;
  subpy_cancel token = new_token(), other = new_token();
  subpy_thread blocked = submit(pool, waits_at_gate());
  while (get_stats(pool).running == 0) usleep(500);
  subpy_run_request request = call("spin", NULL);
  request.cancel = token;
  subpy_thread queued = submit(pool, request);
  subpy_thread behind = submit(pool, call("builtins:int", NULL));
  /* There is no room for a third. */
  pthread_t fires;
  CHECK(pthread_create(&fires, NULL, fires_soon, (void *)(uintptr_t)other) == 0);
  request.cancel = other;
  subpy_thread none = 77;
  FAILS(SUBPY_ERROR_INTERRUPTED, "cancelled before it started: it waited for room in the pool",
        subpy_pool_submit(pool, &request, &none, &error));
  CHECK(none == 0 && pthread_join(fires, NULL) == 0);
  bool done = true;
  OK(subpy_thread_wait(queued, 0, &done, &error));
  CHECK(!done);
  subpy_cancel_fire(token);
  FAILS(SUBPY_ERROR_INTERRUPTED, "cancelled before it started", subpy_thread_join(queued, NULL, &error));
  CHECK(get_stats(pool).queued == 1 && get_stats(pool).cancelled == 1);
  /* A token that was fired before. */
  request.cancel = token;
  FAILS(SUBPY_ERROR_INTERRUPTED, "cancelled before it started", subpy_thread_join(submit(pool, request), NULL, &error));
  gate_open = true;
  OK(subpy_thread_join(blocked, NULL, &error));
  CHECK(joined_int(behind) == 0);
  subpy_cancel_free(token);
  subpy_cancel_free(other);

  token = new_token();
  request.cancel = token;
  subpy_thread runs = submit(pool, request);
  while (get_stats(pool).running == 0) usleep(500);
  subpy_cancel_fire(token);
  FAILS(SUBPY_ERROR_INTERRUPTED, "...cancelled", subpy_thread_join(runs, NULL, &error));
  until_replaced(pool, 1);
  CHECK(get_stats(pool).cancelled == 3);
  subpy_cancel_free(token);
  OK(subpy_pool_close(pool, NULL, &error));
}

/* A full pool refuses; a limit counts from the start of the run, not from its submission. */
static void backlog(void) {
  subpy_pool pool = new_pool((subpy_pool_options){.workers = 1, .backlog = 1, .flags = SUBPY_POOL_REFUSE,
                                                  .setup = SETUP, .setup_len = SUBPY_AUTO_LEN});
  gate_open = false;
  subpy_thread blocked = submit(pool, waits_at_gate()), none = 77;
  while (get_stats(pool).running == 0) usleep(500);
  subpy_run_request request = call("builtins:int", NULL);
  request.timeout_ms = 20;
  subpy_thread queued = submit(pool, request);
  FAILS(SUBPY_ERROR_BUSY, "1 tasks wait in the pool, there is no room for more",
        subpy_pool_submit(pool, &request, &none, &error));
  CHECK(none == 0);
  usleep(50000);
  gate_open = true;
  CHECK(joined_int(queued) == 0);
  OK(subpy_thread_join(blocked, NULL, &error));
  OK(subpy_pool_close(pool, NULL, &error));
}

/* What does not end is given up: the pool goes on without it, with as many workers. */
static void given_up(void) {
  subpy_pool pool = new_pool((subpy_pool_options){.workers = 1, .setup = SETUP, .setup_len = SUBPY_AUTO_LEN});
  subpy_run_request request = call("time:sleep", &(subpy_value){.kind = SUBPY_KIND_FLOAT, .u.as_float = 1.5});
  request.timeout_ms = 20;
  request.flags = SUBPY_ABANDON;
  FAILS(SUBPY_ERROR_TIMEOUT, "timed out after 20 ms, but the code has not ended: it still runs",
        subpy_thread_join(submit(pool, request), NULL, &error));
  CHECK(joined_int(submit(pool, call("builtins:int", NULL))) == 0);
  subpy_pool_stats stats = get_stats(pool);
  CHECK(stats.workers == 1 && stats.replaced == 1 && stats.failed == 1 && stats.running == 0 && stats.done == 2);
  /* It is not waited for by the pool, but by the runtime. */
  OK(subpy_pool_close(pool, NULL, &error));
  FAILS(SUBPY_ERROR_BUSY, "...running", subpy_shutdown(&error));
  for (int i = 0; i < 10000 && !no_interpreters(); i++) usleep(1000);
  CHECK(no_interpreters());
}

/* Somebody closes the interpreter of a worker. */
static void closed_by_others(void) {
  subpy_pool pool = new_pool((subpy_pool_options){.workers = 1, .flags = SUBPY_POOL_NO_SPARES, .setup = SETUP,
                                                  .setup_len = SUBPY_AUTO_LEN});
  for (int i = 0; i < 3; i++) {
    subpy_interp interps[2] = {0};
    size_t count = 0;
    OK(subpy_list_all(interps, 2, &count, &error));
    CHECK(count == 2);
    OK(subpy_close(interps[1], &error));
    CHECK(joined_int(submit(pool, call("double", &(subpy_value){.kind = SUBPY_KIND_INT, .u.as_int = i}))) == 2 * i);
  }
  until_replaced(pool, 3);
  OK(subpy_pool_close(pool, NULL, &error));
  CHECK(no_interpreters());
}

/* The setup fails from some time on: tasks say so, none is lost, and when it works again so does the pool. */
static atomic_bool broken;

static void is_broken(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)args, (void)nargs, (void)kwargs;
  if (broken) subpy_context_raise(ctx, "ValueError", SUBPY_AUTO_LEN, "broken", SUBPY_AUTO_LEN);
}

static void define_broken(void *userdata, subpy_interp interp) {
  (void)userdata;
  subpy_error *failed = NULL;
  CHECK(subpy_define(interp, "check", SUBPY_AUTO_LEN, 0, is_broken, NULL, NULL, &failed) == SUBPY_OK);
}

static void broken_setup(void) {
  broken = false;
  subpy_pool pool = new_pool((subpy_pool_options){.workers = 2, .flags = SUBPY_POOL_NO_SPARES, .prepare = define_broken,
                                                  .setup = SETUP "check()", .setup_len = SUBPY_AUTO_LEN});
  broken = true;
  subpy_run_request spin = call("spin", NULL);
  spin.timeout_ms = 20;
  subpy_thread spins[2] = {submit(pool, spin), submit(pool, spin)};
  for (int i = 0; i < 2; i++) CHECK(subpy_thread_join(spins[i], NULL, NULL) == SUBPY_ERROR_TIMEOUT);
  while (get_stats(pool).workers > 0) usleep(500);
  for (int i = 0; i < 10; i++) {
    FAILS(SUBPY_ERROR_EXECUTION_FAILED, "ValueError: broken",
          subpy_thread_join(submit(pool, call("builtins:int", NULL)), NULL, &error));
  }
  broken = false;
  CHECK(joined_int(submit(pool, call("builtins:int", NULL))) == 0);
  for (int i = 0; i < 10000 && get_stats(pool).workers < 2; i++) usleep(1000);
  subpy_pool_stats stats = get_stats(pool);
  CHECK(stats.workers == 2 && stats.submitted == 13 && stats.done == 13 && stats.failed == 12);
  OK(subpy_pool_close(pool, NULL, &error));
  CHECK(no_interpreters());
}

/* An interpreter with a thread of Python's in it cannot be closed at once: the worker does not wait, and it is counted. */
static void left(void) {
  subpy_pool pool = new_pool((subpy_pool_options){.workers = 1, .runs_per_worker = 1, .setup = SETUP,
                                                  .setup_len = SUBPY_AUTO_LEN});
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_EXEC, .text_len = SUBPY_AUTO_LEN,
                               .text = "import threading\nthreading.Thread(target=gate, daemon=False).start()"};
  gate_open = false;
  OK(subpy_thread_join(submit(pool, request), NULL, &error));
  CHECK(joined_int(submit(pool, call("builtins:int", NULL))) == 0);
  for (int i = 0; i < 10000 && get_stats(pool).left < 1; i++) usleep(1000);
  CHECK(get_stats(pool).left == 1);
  FAILS(SUBPY_ERROR_BUSY, "...thread", subpy_pool_close(pool, NULL, &error));
  FAILS(SUBPY_ERROR_WRONG_STATE, "the pool was closed", subpy_pool_submit(pool, &request, NULL, &error));
  gate_open = true;
  subpy_close_options options = {.size = sizeof options, .timeout_ms = -1};
  OK(subpy_pool_close(pool, &options, &error));
  CHECK(no_interpreters());
}

int main(void) {
  replaced();
  cancelled();
  backlog();
  closed_by_others();
  broken_setup();
  left();
  given_up();
  shut_down();
  return 0;
}
