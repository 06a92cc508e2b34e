/*
 * Functions: a callable is looked up once and called many times. Then a thread enters the interpreter, so that its calls
 * cost less and keep what Python keeps for a thread.
 *
 *   cc function.c $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   total: 499500
 *   calls on this thread, counted by Python: 3
 *   after the interpreter was closed: SUBPY_ERROR_NOT_FOUND
 */
#include <stdio.h>

#include "subpy.h"

static const char *definitions =
    "import threading\n"
    "total, local = 0, threading.local()\n"
    "def add(number):\n"
    "    global total\n"
    "    total += number\n"
    "    return total\n"
    "def count():\n"
    "    local.calls = getattr(local, 'calls', 0) + 1\n"
    "    return local.calls\n";

static int give_up(subpy_error *error) {
  fprintf(stderr, "%s\n", subpy_error_message(error, NULL));
  subpy_error_free(error);
  return 1;
}

int main(void) {
  subpy_interp interp = 0;
  subpy_function add = 0, count = 0;
  subpy_value result = {0};
  subpy_error *error = NULL;

  if (subpy_create(NULL, &interp, &error) != SUBPY_OK ||
      subpy_exec(interp, definitions, SUBPY_AUTO_LEN, &error) != SUBPY_OK)
    return give_up(error);

  /* A function holds the object: binding the name "add" to something else would not change it. */
  if (subpy_function_new(interp, "add", SUBPY_AUTO_LEN, &add, &error) != SUBPY_OK)
    return give_up(error);
  for (int i = 0; i < 1000; i++) {
    subpy_value number = subpy_int(i);
    if (subpy_function_call(add, &number, 1, NULL, &result, &error) != SUBPY_OK)
      return give_up(error);
  }
  printf("total: %d\n", (int)result.u.as_int);

  /* Entered, a thread is the same one to Python in all its calls. Without, each call would count to 1. */
  if (subpy_function_new(interp, "count", SUBPY_AUTO_LEN, &count, &error) != SUBPY_OK ||
      subpy_enter(interp, &error) != SUBPY_OK)
    return give_up(error);
  for (int i = 0; i < 3; i++)
    if (subpy_function_call(count, NULL, 0, NULL, &result, &error) != SUBPY_OK)
      return give_up(error);
  if (subpy_leave(interp, &error) != SUBPY_OK)
    return give_up(error);
  printf("calls on this thread, counted by Python: %d\n", (int)result.u.as_int);

  /* Functions may be freed before or after their interpreter is closed. */
  subpy_function_free(count);
  if (subpy_close(interp, &error) != SUBPY_OK)
    return give_up(error);
  printf("after the interpreter was closed: %s\n",
         subpy_status_name(subpy_function_call(add, NULL, 0, NULL, NULL, NULL)));
  subpy_function_free(add);
  return subpy_shutdown(NULL) == SUBPY_OK ? 0 : 1;
}
