/*
 * Pools: interpreters that take tasks from one queue. Results in the order of their rows, a task that is limited, and
 * an outcome that an event loop can wait for.
 *
 *   cc pool.c $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   2 4 6 8 10
 *   the endless one: timed out after 50 ms: KeyboardInterrupt, at <setup>:3 in endless
 *   doubled: 42
 *   7 tasks, 1 of them failed, 1 interpreter replaced
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#include "subpy.h"

static const char *setup =
    "def double(n): return 2 * n\n"
    "def endless():\n"
    "    while True: pass\n";

static int give_up(subpy_error *error) {
  fprintf(stderr, "%s\n", subpy_error_message(error, NULL));
  subpy_error_free(error);
  return 1;
}

/* One row of a map, on the thread that called subpy_pool_map(). */
static bool print(void *userdata, size_t index, subpy_value *result, const subpy_error *error) {
  (void)userdata;
  if (error) return false;  /* the rest is cancelled */
  printf("%s%d", index > 0 ? " " : "", (int)result->u.as_int);
  return true;
}

int main(void) {
  subpy_error *error = NULL;
  subpy_pool_options options = {.size = sizeof options, .workers = 2, .setup = setup, .setup_len = SUBPY_AUTO_LEN};
  subpy_pool pool = 0;
  if (subpy_pool_new(&options, &pool, &error) != SUBPY_OK) return give_up(error);

  subpy_value rows[] = {subpy_int(1), subpy_int(2), subpy_int(3), subpy_int(4), subpy_int(5)};
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_CALL, .text = "double", .text_len = SUBPY_AUTO_LEN};
  if (subpy_pool_map(pool, &request, rows, 5, 1, 1, print, NULL, &error) != SUBPY_OK) return give_up(error);
  printf("\n");

  /* A limit counts from when the task starts. Its interpreter is replaced afterwards. */
  subpy_thread outcome = 0;
  request.text = "endless";
  request.timeout_ms = 50;
  if (subpy_pool_submit(pool, &request, &outcome, &error) != SUBPY_OK) return give_up(error);
  if (subpy_thread_join(outcome, NULL, &error) == SUBPY_ERROR_TIMEOUT)
    printf("the endless one: %s\n", subpy_error_message(error, NULL));
  subpy_error_free(error);

  /* The arguments are copied: they need not live until the task runs. */
  subpy_value number = subpy_int(21), result = {0};
  request.text = "double";
  request.args = &number;
  request.nargs = 1;
  struct pollfd poll_fd = {.events = POLLIN};
  if (subpy_pool_submit(pool, &request, &outcome, &error) != SUBPY_OK ||
      subpy_thread_fd(outcome, &poll_fd.fd, &error) != SUBPY_OK)
    return give_up(error);
  poll(&poll_fd, 1, -1);  /* an event loop would wait for other things too */
  if (subpy_thread_join(outcome, &result, &error) != SUBPY_OK) return give_up(error);
  printf("doubled: %d\n", (int)result.u.as_int);

  subpy_pool_stats stats = {.size = sizeof stats};
  subpy_close_options closing = {.size = sizeof closing, .timeout_ms = 5000, .flags = SUBPY_CLOSE_DRAIN};
  if (subpy_pool_get_stats(pool, &stats, &error) != SUBPY_OK || subpy_pool_close(pool, &closing, &error) != SUBPY_OK)
    return give_up(error);
  printf("%" PRIu64 " tasks, %" PRIu64 " of them failed, %" PRIu64 " interpreter replaced\n", stats.done, stats.failed,
         stats.replaced);
  return subpy_shutdown(NULL) == SUBPY_OK ? 0 : 1;
}
