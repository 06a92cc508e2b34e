/*
 * A limit of memory: code that takes too much gets a MemoryError, and the interpreter goes on.
 *
 *   cc memory.c $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   SUBPY_ERROR_EXECUTION_FAILED: MemoryError
 *   refused: 1
 *   499500
 */
#include <stdio.h>

#include "subpy.h"

static int give_up(subpy_error *error) {
  fprintf(stderr, "%s\n", subpy_error_message(error, NULL));
  subpy_error_free(error);
  return 1;
}

int main(void) {
  subpy_interp interp = 0;
  subpy_error *error = NULL;
  subpy_interp_options options = {.size = sizeof options, .memory_limit = 64 << 20};
  if (subpy_create(&options, &interp, &error) != SUBPY_OK) return give_up(error);

  subpy_status status = subpy_exec(interp, "table = bytearray(1_000_000_000)", SUBPY_AUTO_LEN, &error);
  printf("%s: %s\n", subpy_status_name(status), subpy_error_type_name(error, NULL));
  subpy_error_free(error);

  subpy_memory_info info = {.size = sizeof info};
  if (subpy_memory(interp, &info, &error) != SUBPY_OK) return give_up(error);
  printf("refused: %llu\n", (unsigned long long)info.refused);

  subpy_value value;
  if (subpy_eval(interp, "sum(range(1000))", SUBPY_AUTO_LEN, &value, &error) != SUBPY_OK) return give_up(error);
  printf("%lld\n", (long long)value.u.as_int);
  subpy_value_free(&value);
  return subpy_shutdown(&error) == SUBPY_OK ? 0 : give_up(error);
}
