/*
 * Queues: work for two interpreters, results in the order in which they are done, and a wait that ends by itself.
 *
 *   cc queue.c $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   10 squares, 285 in all
 *   nothing more: SUBPY_ERROR_WRONG_STATE
 *   nothing yet: SUBPY_ERROR_TIMEOUT
 */
#include <stdio.h>

#include "subpy.h"

static int give_up(subpy_error *error) {
  fprintf(stderr, "%s\n", subpy_error_message(error, NULL));
  subpy_error_free(error);
  return 1;
}

int main(void) {
  enum { WORKERS = 2, TASKS = 10 };
  subpy_queue tasks = 0, results = 0;
  subpy_interp workers[WORKERS] = {0};
  subpy_thread threads[WORKERS] = {0};
  subpy_value value = {0};
  subpy_error *error = NULL;

  /* There is room for four tasks: who puts more waits. */
  subpy_queue_options options = {.size = sizeof options, .capacity = 4};
  if (subpy_queue_new(&options, &tasks, &error) != SUBPY_OK || subpy_queue_new(NULL, &results, &error) != SUBPY_OK)
    return give_up(error);

  /* A queue is passed like any value. In Python it is a Queue of the module subpy_queues. */
  const subpy_value queues[] = {subpy_value_from_queue(tasks), subpy_value_from_queue(results)};
  for (int i = 0; i < WORKERS; i++) {
    if (subpy_create(NULL, &workers[i], &error) != SUBPY_OK ||
        subpy_exec(workers[i],
                   "def work(tasks, results):\n"
                   "    for number in tasks:\n"
                   "        results.put({'number': number, 'square': number ** 2})\n",
                   SUBPY_AUTO_LEN, &error) != SUBPY_OK ||
        subpy_call_in_thread(workers[i], "work", SUBPY_AUTO_LEN, queues, 2, NULL, &threads[i], &error) != SUBPY_OK)
      return give_up(error);
  }

  /* After the close the workers take what is left, and then their loops end. */
  for (int i = 0; i < TASKS; i++) {
    value = subpy_int(i);
    if (subpy_queue_put(tasks, &value, -1, &error) != SUBPY_OK)
      return give_up(error);
  }
  subpy_queue_close(tasks, NULL);

  int64_t sum = 0;
  for (int i = 0; i < TASKS; i++) {
    if (subpy_queue_get(results, -1, &value, &error) != SUBPY_OK)
      return give_up(error);
    sum += subpy_value_get(&value, "square", SUBPY_AUTO_LEN)->u.as_int;
    subpy_value_free(&value);
  }
  printf("%d squares, %d in all\n", TASKS, (int)sum);

  subpy_status status = subpy_queue_get(tasks, -1, &value, NULL);
  printf("nothing more: %s\n", subpy_status_name(status));
  status = subpy_queue_get(results, 10, &value, NULL);
  printf("nothing yet: %s\n", subpy_status_name(status));

  for (int i = 0; i < WORKERS; i++)
    if (subpy_thread_join(threads[i], NULL, &error) != SUBPY_OK)
      return give_up(error);
  subpy_queue_free(tasks);
  subpy_queue_free(results);
  return subpy_shutdown(&error) == SUBPY_OK ? 0 : give_up(error);
}
