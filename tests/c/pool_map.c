/* One call for many rows: in order, in chunks, with errors, limits, output, and an early end. */
#include <pthread.h>

#include "pool.h"
#include "values.h"

typedef struct {
  size_t next, errors, stop_at;
  int64_t sum;
  subpy_value kept;
} taken;

static bool take(void *userdata, size_t index, subpy_value *result, const subpy_error *failed) {
  taken *all = userdata;
  CHECK(index == all->next++ && !result == !!failed);
  size_t row = 0;
  if (failed) CHECK(subpy_error_row(failed, &row) && row == index);
  if (failed) all->errors++;
  if (result && result->kind == SUBPY_KIND_INT) all->sum += result->u.as_int;
  if (result && result->kind == SUBPY_KIND_LIST && all->kept.kind == SUBPY_KIND_NONE) {
    all->kept = *result;
    *result = subpy_none();
  }
  return all->next != all->stop_at;
}

static subpy_value rows[2000];

static void in_order(subpy_pool pool) {
  for (int i = 0; i < 2000; i++) rows[i] = subpy_int(i);
  const size_t chunks[] = {0, 1, 7, 100, 5000};
  subpy_run_request request = call("double", NULL);
  for (size_t i = 0; i < COUNT(chunks); i++) {
    taken all = {0};
    OK(subpy_pool_map(pool, &request, rows, 2000, 1, chunks[i], take, &all, &error));
    CHECK(all.next == 2000 && all.errors == 0 && all.sum == 1999 * 2000);
  }
  /* Two arguments a row, none, and no row. */
  taken two = {0}, none = {0}, nothing = {0};
  request = call("builtins:max", NULL);
  OK(subpy_pool_map(pool, &request, rows, 1000, 2, 9, take, &two, &error));
  CHECK(two.next == 1000 && two.sum == 1000 * 1000);
  request = call("builtins:int", NULL);
  OK(subpy_pool_map(pool, &request, NULL, 50, 0, 9, take, &none, &error));
  CHECK(none.next == 50 && none.sum == 0);
  OK(subpy_pool_map(pool, &request, NULL, 0, 1, 9, take, &nothing, &error));
  CHECK(nothing.next == 0);
  /* Keyword arguments are the same for all rows. */
  subpy_pair pair = {subpy_str("base", SUBPY_AUTO_LEN), subpy_int(16)};
  subpy_value kwargs = subpy_dict(&pair, 1), text = subpy_str("ff", SUBPY_AUTO_LEN);
  request.kwargs = &kwargs;
  taken hex = {0};
  OK(subpy_pool_map(pool, &request, &text, 1, 1, 0, take, &hex, &error));
  CHECK(hex.sum == 255);
  /* What was taken is still good when the map is over. */
  request = call("builtins:list", NULL);
  text = subpy_str("abc", 3);
  taken list = {0};
  OK(subpy_pool_map(pool, &request, &text, 1, 1, 0, take, &list, &error));
  CHECK(list.kept.kind == SUBPY_KIND_LIST && list.kept.len == 3);
  subpy_value_free(&list.kept);
}

static void errors(subpy_pool pool) {
  subpy_run_request request = call("fails_at_seven", NULL);
  taken all = {0};
  OK(subpy_pool_map(pool, &request, rows, 100, 1, 8, take, &all, &error));
  CHECK(all.next == 100 && all.errors == 1 && all.sum == 99 * 50 - 7);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "row 7: ValueError: seven",
        subpy_pool_map(pool, &request, rows, 100, 1, 8, NULL, NULL, &error));
  request.nargs = 1;
  request.args = rows;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...the arguments are in rows",
        subpy_pool_map(pool, &request, rows, 100, 1, 8, NULL, NULL, &error));
  request = (subpy_run_request){.size = sizeof request, .what = SUBPY_RUN_EVAL, .text = "1", .text_len = 1};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...must be SUBPY_RUN_CALL",
        subpy_pool_map(pool, &request, rows, 100, 1, 8, NULL, NULL, &error));
}

/* A row that hangs is stopped alone: the rest of its chunk goes on in another interpreter. */
static void limits(subpy_pool pool) {
  uint64_t before = get_stats(pool).replaced;
  subpy_run_request request = call("hangs_at_seven", NULL);
  request.timeout_ms = 200;
  taken all = {0};
  OK(subpy_pool_map(pool, &request, rows, 20, 1, 20, take, &all, &error));
  CHECK(all.next == 20 && all.errors == 1 && all.sum == 19 * 10 - 7);
  CHECK(get_stats(pool).replaced == before + 1);
}

static void *fires_soon(void *token) {
  usleep(30000);
  subpy_cancel_fire((subpy_cancel)(uintptr_t)token);
  return NULL;
}

static void early_ends(subpy_pool pool) {
  taken all = {.stop_at = 25};
  subpy_run_request request = call("double", NULL);
  OK(subpy_pool_map(pool, &request, rows, 2000, 1, 10, take, &all, &error));
  CHECK(all.next == 25);
  subpy_pool_stats stats = get_stats(pool);
  CHECK(stats.queued == 0 && stats.running == 0);

  subpy_cancel token = 0;
  OK(subpy_cancel_new(&token, &error));
  pthread_t fires;
  CHECK(pthread_create(&fires, NULL, fires_soon, (void *)(uintptr_t)token) == 0);
  request = call("spin", NULL);
  request.cancel = token;
  all = (taken){0};
  FAILS(SUBPY_ERROR_INTERRUPTED, "cancelled", subpy_pool_map(pool, &request, NULL, 100, 0, 10, take, &all, &error));
  CHECK(all.next == 0 && pthread_join(fires, NULL) == 0);
  FAILS(SUBPY_ERROR_INTERRUPTED, "cancelled", subpy_pool_map(pool, &request, NULL, 100, 0, 10, take, &all, &error));
  subpy_cancel_free(token);
  stats = get_stats(pool);
  CHECK(stats.queued == 0 && stats.running == 0);
}

static atomic_long printed;

static void print(void *userdata, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  CHECK(userdata == &printed && interp != 0 && stream == 1 && strlen(text) == len);
  printed += (long)len;
}

static void output(subpy_pool pool) {
  subpy_run_request request = call("builtins:print", NULL);
  request.output = print;
  request.output_data = &printed;
  OK(subpy_pool_map(pool, &request, rows, 1000, 1, 10, NULL, NULL, &error));
  CHECK(printed == 10 * 2 + 90 * 3 + 900 * 4);
  printed = 0;
  request.args = rows;
  request.nargs = 1;
  OK(subpy_thread_join(submit(pool, request), NULL, &error));
  CHECK(printed == 2);
}

int main(void) {
  subpy_pool pool = new_pool((subpy_pool_options){.workers = 2, .setup_len = SUBPY_AUTO_LEN, .setup = SETUP
      "def fails_at_seven(n):\n  if n == 7: raise ValueError('seven')\n  return n\n"
      "def hangs_at_seven(n):\n  while n == 7: pass\n  return n\n"});
  in_order(pool);
  errors(pool);
  limits(pool);
  early_ends(pool);
  output(pool);
  /* A pool that refuses waits here. */
  subpy_pool small = new_pool((subpy_pool_options){.workers = 1, .backlog = 1, .flags = SUBPY_POOL_REFUSE, .setup = SETUP,
                                                   .setup_len = SUBPY_AUTO_LEN});
  taken all = {0};
  subpy_run_request request = call("double", NULL);
  OK(subpy_pool_map(small, &request, rows, 300, 1, 1, take, &all, &error));
  CHECK(all.next == 300);
  OK(subpy_pool_close(small, NULL, &error));
  OK(subpy_pool_close(pool, NULL, &error));
  CHECK(no_interpreters());
  shut_down();
  return 0;
}
