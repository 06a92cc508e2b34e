/* The end of pools: closed while they work, with the runtime, and with the process; from inside, too. */
#include <pthread.h>
#include <sys/wait.h>

#include "pool.h"

static subpy_close_options closing(int64_t timeout_ms, uint32_t flags) {
  return (subpy_close_options){.size = sizeof(subpy_close_options), .timeout_ms = timeout_ms, .flags = flags};
}

/* `with`: "gate", which this test opens, or "spin", which ends when it is interrupted. */
static subpy_pool busy_pool(const char *with, subpy_thread *running, subpy_thread *queued) {
  subpy_pool pool = new_pool((subpy_pool_options){.workers = 1, .setup = SETUP, .setup_len = SUBPY_AUTO_LEN});
  gate_open = false;
  *running = submit(pool, call(with, NULL));
  while (get_stats(pool).running == 0) usleep(500);
  *queued = submit(pool, call("builtins:int", NULL));
  return pool;
}

static void *opens_soon(void *unused) {
  (void)unused;
  usleep(50000);
  gate_open = true;
  return NULL;
}

static void closed(void) {
  subpy_thread running, queued;
  subpy_pool pool = busy_pool("gate", &running, &queued);
  subpy_close_options options = closing(30, SUBPY_CLOSE_DRAIN);
  FAILS(SUBPY_ERROR_BUSY, "...is running gate in interpreter", subpy_pool_close(pool, NULL, &error));
  FAILS(SUBPY_ERROR_BUSY, "...not closed within 30 ms: subpy-", subpy_pool_close(pool, &options, &error));
  /* It goes on as before. */
  subpy_thread another = submit(pool, call("builtins:int", NULL));
  pthread_t opens;
  CHECK(pthread_create(&opens, NULL, opens_soon, NULL) == 0);
  options.timeout_ms = -1;
  OK(subpy_pool_close(pool, &options, &error));
  CHECK(pthread_join(opens, NULL) == 0);
  OK(subpy_thread_join(running, NULL, &error));
  CHECK(joined_int(queued) == 0 && joined_int(another) == 0);
  CHECK(no_interpreters());

  pool = busy_pool("spin", &running, &queued);
  options = closing(-1, SUBPY_CLOSE_INTERRUPT);
  OK(subpy_pool_close(pool, &options, &error));
  FAILS(SUBPY_ERROR_INTERRUPTED, "cancelled before it started: the pool was closed", subpy_thread_join(queued, NULL, &error));
  CHECK(subpy_thread_join(running, NULL, NULL) == SUBPY_ERROR_INTERRUPTED);
  CHECK(no_interpreters());
}

static subpy_pool own;
static subpy_status seen_close, seen_shutdown, seen_wait;

static void closes(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)ctx, (void)args, (void)nargs, (void)kwargs;
  subpy_close_options options = closing(-1, SUBPY_CLOSE_DRAIN);
  seen_close = subpy_pool_close(own, &options, NULL);
  seen_shutdown = subpy_shutdown(NULL);
  /* A task of its own, for which another worker is free. */
  subpy_error *failed = NULL;
  subpy_thread outcome = 0;
  subpy_run_request request = call("builtins:int", NULL);
  CHECK(subpy_pool_submit(own, &request, &outcome, &failed) == SUBPY_OK);
  seen_wait = subpy_thread_join(outcome, NULL, NULL);
}

static void define_closes(void *userdata, subpy_interp interp) {
  (void)userdata;
  subpy_error *failed = NULL;
  CHECK(subpy_define(interp, "closes", SUBPY_AUTO_LEN, 0, closes, NULL, NULL, &failed) == SUBPY_OK);
}

static void notified(void *userdata) {
  closes(NULL, NULL, NULL, 0, NULL);
  *(atomic_bool *)userdata = true;
}

static void from_inside(void) {
  own = new_pool((subpy_pool_options){.workers = 2, .prepare = define_closes});
  OK(subpy_thread_join(submit(own, call("closes", NULL)), NULL, &error));
  CHECK(seen_close == SUBPY_ERROR_WRONG_STATE && seen_shutdown == SUBPY_ERROR_BUSY && seen_wait == SUBPY_OK);
  /* Told of an outcome, on the pool's thread. */
  seen_close = seen_shutdown = seen_wait = SUBPY_ERROR_PANIC;
  atomic_bool was_told = false;
  subpy_thread outcome = submit(own, call("time:sleep", &(subpy_value){.kind = SUBPY_KIND_FLOAT, .u.as_float = 0.05}));
  OK(subpy_thread_notify(outcome, notified, &was_told, &error));
  OK(subpy_thread_join(outcome, NULL, &error));
  while (!was_told) usleep(500);
  CHECK(seen_close == SUBPY_ERROR_WRONG_STATE && seen_shutdown == SUBPY_ERROR_BUSY && seen_wait == SUBPY_OK);
  OK(subpy_pool_close(own, NULL, &error));
}

/* With the runtime: not while there is something to do, unless that may be ended. */
static void shut_down_with_pools(void) {
  subpy_thread running, queued;
  subpy_pool pool = busy_pool("gate", &running, &queued);
  FAILS(SUBPY_ERROR_BUSY, "...is running gate in interpreter", subpy_shutdown(&error));
  subpy_close_options options = closing(20, SUBPY_CLOSE_DRAIN);
  FAILS(SUBPY_ERROR_BUSY, "...is running gate in interpreter", subpy_shutdown_with(&options, &error));
  gate_open = true;
  OK(subpy_thread_join(running, NULL, &error));
  CHECK(joined_int(queued) == 0);
  /* A shutdown that another interpreter is in the way of leaves the pool as it was. */
  subpy_interp other = create();
  OK(subpy_enter(other, &error));
  FAILS(SUBPY_ERROR_BUSY, "...entered by a thread", subpy_shutdown(&error));
  OK(subpy_leave(other, &error));
  CHECK(joined_int(submit(pool, call("double", &(subpy_value){.kind = SUBPY_KIND_INT, .u.as_int = 4}))) == 8);
  shut_down();
  FAILS(SUBPY_ERROR_NOT_FOUND, "...is not the handle of a pool", subpy_pool_submit(pool, &(subpy_run_request){
        .size = sizeof(subpy_run_request), .what = SUBPY_RUN_EVAL, .text = "1", .text_len = 1}, &running, &error));

  pool = busy_pool("spin", &running, &queued);
  options = closing(-1, SUBPY_CLOSE_INTERRUPT);
  OK(subpy_shutdown_with(&options, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_pool_close(pool, NULL, &error));
  /* A pool of the next runtime. */
  pool = new_pool((subpy_pool_options){.workers = 1});
  CHECK(joined_int(submit(pool, call("builtins:int", NULL))) == 0);
  shut_down();
}

/* A process that exits while its pools work. */
static void exits(void) {
  for (int how = 0; how < 2; how++) {
    pid_t child = fork();
    if (child == 0) {
      subpy_pool pool = new_pool((subpy_pool_options){.workers = 2, .setup = SETUP, .setup_len = SUBPY_AUTO_LEN});
      for (int i = 0; i < 6; i++) submit(pool, call("spin", NULL));
      while (get_stats(pool).running < 2) usleep(500);
      if (how) exit(0);
      _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
}

/* Whatever its spares are at then: what they have just made is closed, too. */
static void closed_at_once(void) {
  for (unsigned i = 0; i < 20; i++) {
    subpy_pool pool = new_pool((subpy_pool_options){.workers = 1, .spares = 2});
    usleep(i % 10 * 1000);
    OK(subpy_pool_close(pool, NULL, &error));
    CHECK(no_interpreters());
  }
}

int main(void) {
  exits();
  closed_at_once();
  closed();
  from_inside();
  shut_down_with_pools();
  return 0;
}
