/* Pools: tasks, their outcomes, order, limits, replacement, closing. */
#include "pool.h"

static void results(void) {
  subpy_pool pool = new_pool((subpy_pool_options){.workers = 2, .setup = SETUP, .setup_len = SUBPY_AUTO_LEN});
  subpy_thread outcomes[20];
  for (int i = 0; i < 20; i++) outcomes[i] = submit(pool, call("double", &(subpy_value){.kind = SUBPY_KIND_INT, .u.as_int = i}));
  for (int i = 0; i < 20; i++) CHECK(joined_int(outcomes[i]) == 2 * i);

  /* exec and eval, errors, and what exits. */
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_EXEC, .text = "x = 1", .text_len = SUBPY_AUTO_LEN};
  OK(subpy_thread_join(submit(pool, request), NULL, &error));
  request.what = SUBPY_RUN_EVAL;
  request.text = "6 * 7";
  CHECK(joined_int(submit(pool, request)) == 42);
  request.text = "1 / 0";
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "ZeroDivisionError: division by zero",
        subpy_thread_join(submit(pool, request), NULL, &error));
  request.text = "__import__('sys').exit(3)";
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "SystemExit: 3", subpy_thread_join(submit(pool, request), NULL, &error));
  request.text = "1 +";
  FAILS(SUBPY_ERROR_SYNTAX, "...invalid syntax", subpy_thread_join(submit(pool, request), NULL, &error));

  subpy_pool_stats stats = get_stats(pool);
  CHECK(stats.workers == 2 && stats.queued == 0 && stats.running == 0 && stats.replaced == 0);
  CHECK(stats.submitted == 25 && stats.done == 25 && stats.failed == 3 && stats.cancelled == 0);
  CHECK(stats.run_p50_us <= stats.run_p90_us && stats.run_p90_us <= stats.run_p99_us);

  /* Nobody wants the outcome. */
  request.text = "1";
  OK(subpy_pool_submit(pool, &request, NULL, &error));
  OK(subpy_pool_close(pool, &(subpy_close_options){.size = sizeof(subpy_close_options), .timeout_ms = -1,
                                                   .flags = SUBPY_CLOSE_DRAIN}, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...is not the handle of a pool, or it was closed", subpy_pool_close(pool, NULL, &error));
  CHECK(no_interpreters());
}

static void refused_requests(void) {
  subpy_pool pool = new_pool((subpy_pool_options){.workers = 1, .flags = SUBPY_POOL_NO_SPARES});
  subpy_thread outcome = 77;
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_EVAL, .text = "1", .text_len = 1, .interp = 5};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...interp must be 0: the pool chooses the interpreter",
        subpy_pool_submit(pool, &request, &outcome, &error));
  CHECK(outcome == 0);
  request.interp = 0;
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_pool_submit(12, &request, &outcome, &error));
  subpy_interp interp = create();
  subpy_function function = 0;
  OK(subpy_function_new(interp, "builtins:abs", SUBPY_AUTO_LEN, &function, &error));
  request = (subpy_run_request){.size = sizeof request, .what = SUBPY_RUN_FUNCTION, .function = function};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...SUBPY_RUN_FUNCTION", subpy_pool_submit(pool, &request, &outcome, &error));
  OK(subpy_close(interp, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "pool is NULL: nobody could use or close the pool", subpy_pool_new(NULL, NULL, &error));
  subpy_pool_options options = {.size = sizeof options, .flags = 4};
  subpy_pool none = 77;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...unknown bits set: 0x4", subpy_pool_new(&options, &none, &error));
  CHECK(none == 0);
  subpy_pool_stats stats = {.size = 3};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...subpy_pool_stats.size is 3", subpy_pool_get_stats(pool, &stats, &error));
  /* An older program's is shorter. */
  struct {
    size_t size;
    uint64_t workers, behind;
  } older = {16, 0, 99};
  OK(subpy_pool_get_stats(pool, (subpy_pool_stats *)&older, &error));
  CHECK(older.size == 16 && older.workers == 1 && older.behind == 99);
  OK(subpy_pool_close(pool, NULL, &error));
}

static atomic_int prepared, finalized;

static void answer(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)args, (void)nargs, (void)kwargs;
  subpy_value value = subpy_int(42);
  subpy_context_return(ctx, &value);
}

static void prepare(void *userdata, subpy_interp interp) {
  CHECK(userdata == &prepared);
  prepared++;
  subpy_error *failed = NULL;
  CHECK(subpy_define(interp, "answer", SUBPY_AUTO_LEN, 0, answer, NULL, NULL, &failed) == SUBPY_OK);
}

static void finalize(void *userdata) {
  CHECK(userdata == &prepared);
  finalized++;
}

/* prepare comes before the setup; finalize comes once, also when the pool cannot be made. */
static void setup(void) {
  subpy_pool_options options = {.workers = 3, .setup = "found = answer()", .setup_len = SUBPY_AUTO_LEN,
                                .prepare = prepare, .userdata = &prepared, .finalize = finalize,
                                .flags = SUBPY_POOL_NO_SPARES};
  subpy_pool pool = new_pool(options);
  CHECK(prepared == 3 && finalized == 0);
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_EVAL, .text = "found", .text_len = 5};
  CHECK(joined_int(submit(pool, request)) == 42);
  OK(subpy_pool_close(pool, NULL, &error));
  CHECK(prepared == 3 && finalized == 1);

  options.size = sizeof options;
  options.setup = "raise ValueError('no setup')";
  pool = 77;
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "ValueError: no setup", subpy_pool_new(&options, &pool, &error));
  CHECK(pool == 0 && finalized == 2 && no_interpreters());
  options.setup = "1 +";
  FAILS(SUBPY_ERROR_SYNTAX, "...", subpy_pool_new(&options, &pool, &error));
  options.flags = 64;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...", subpy_pool_new(&options, &pool, &error));
  CHECK(finalized == 4 && no_interpreters());
}

/* One worker runs tasks in the order of their submission; several submitters take turns. */
static void order(void) {
  subpy_pool pool = new_pool((subpy_pool_options){.workers = 1, .backlog = 100, .setup = SETUP, .setup_len = SUBPY_AUTO_LEN});
  gate_open = false;
  subpy_thread blocked = submit(pool, waits_at_gate()), outcomes[9];
  while (get_stats(pool).running == 0) usleep(500);
  for (int i = 0; i < 9; i++) {
    subpy_value tag = subpy_int(i);
    subpy_run_request request = call("note", &tag);
    OK(subpy_pool_submit_as(pool, i < 6 ? 0 : 5, &request, &outcomes[i], &error));
  }
  subpy_pool_stats stats = get_stats(pool);
  CHECK(stats.queued == 9 && stats.running == 1);
  gate_open = true;
  OK(subpy_thread_join(blocked, NULL, &error));
  for (int i = 0; i < 9; i++) OK(subpy_thread_join(outcomes[i], NULL, &error));
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_EVAL, .text = "int(''.join(map(str, notes)))",
                               .text_len = SUBPY_AUTO_LEN};
  CHECK(joined_int(submit(pool, request)) == 61728345); /* 0 6 1 7 2 8 3 4 5 */
  OK(subpy_pool_close(pool, NULL, &error));
}

int main(void) {
  results();
  refused_requests();
  setup();
  order();
  shut_down();
  return 0;
}
