/*
 * Interpreters: created, told apart, listed and closed. Each has its own modules and its own __main__.
 *
 *   cc interpreter.c $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   first: 1
 *   second: 2
 *   3 interpreters, main has the id 0
 *   interpreter 1 came from C-API
 *   after the close: SUBPY_ERROR_NOT_FOUND
 */
#include <stdio.h>

#include "subpy.h"

int main(void) {
  subpy_interp first = 0, second = 0, all[8] = {0};
  subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_WAIT};
  subpy_error *error = NULL;
  subpy_value name = {0};
  const char *whence = NULL;
  size_t count = 0;
  int64_t id = 0, main_id = 0;

  if (subpy_create(NULL, &first, &error) != SUBPY_OK ||
      subpy_create(&options, &second, &error) != SUBPY_OK ||  /* runs in this one wait for their turn */
      subpy_exec(first, "name = 'first'", SUBPY_AUTO_LEN, &error) != SUBPY_OK ||
      subpy_exec(second, "name = 'second'", SUBPY_AUTO_LEN, &error) != SUBPY_OK)
    goto failed;

  /* All that exist: main has the id 0 and comes first. */
  if (subpy_list_all(all, 8, &count, &error) != SUBPY_OK || subpy_id(all[0], &main_id, &error) != SUBPY_OK)
    goto failed;
  for (size_t i = 1; i < count; i++) {
    if (subpy_eval(all[i], "name", SUBPY_AUTO_LEN, &name, &error) != SUBPY_OK ||
        subpy_id(all[i], &id, &error) != SUBPY_OK)
      goto failed;
    printf("%s: %d\n", name.u.as_str, (int)id);
    subpy_value_free(&name);
  }
  printf("%d interpreters, main has the id %d\n", (int)count, (int)main_id);

  /* A handle is a number. One that is stale is an error, never a crash. */
  if (subpy_whence(first, &whence, &error) != SUBPY_OK)
    goto failed;
  printf("interpreter 1 came from %s\n", whence);
  if (subpy_close(first, &error) != SUBPY_OK)
    goto failed;
  printf("after the close: %s\n", subpy_status_name(subpy_close(first, NULL)));
  return subpy_shutdown(NULL) == SUBPY_OK ? 0 : 1;  /* closes the second */

failed:
  fprintf(stderr, "%s\n", subpy_error_message(error, NULL));
  subpy_error_free(error);
  subpy_value_free(&name);
  return 1;
}
