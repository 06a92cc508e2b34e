/*
 * Many calls at once: a function is called with one row of arguments after the other, in a fraction of the time of as many
 * calls. Then again, with an error in the place of each row that fails.
 *
 *   cc call_many.c $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   1 and 2 are 3, 3 and 4 are 7, 5 and 6 are 11
 *   row 1: ValueError: could not convert string to float: 'four'
 *   3.5, nothing in row 1, 5.0
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
  subpy_function add = 0, to_float = 0;
  subpy_value results = {0};
  subpy_error *error = NULL;
  if (subpy_create(NULL, &interp, &error) != SUBPY_OK ||
      subpy_function_new(interp, "operator:add", SUBPY_AUTO_LEN, &add, &error) != SUBPY_OK ||
      subpy_function_new(interp, "builtins:float", SUBPY_AUTO_LEN, &to_float, &error) != SUBPY_OK)
    return give_up(error);

  /* Three rows of two arguments: the first row first. The results are a list. */
  const subpy_value pairs[] = {
      subpy_int(1), subpy_int(2), /* one call */
      subpy_int(3), subpy_int(4), /* the next */
      subpy_int(5), subpy_int(6),
  };
  if (subpy_function_call_many(add, pairs, 3, 2, 0, &results, &error) != SUBPY_OK)
    return give_up(error);
  for (size_t row = 0; row < results.len; row++)
    printf("%s%d and %d are %d", row ? ", " : "", (int)pairs[2 * row].u.as_int, (int)pairs[2 * row + 1].u.as_int,
           (int)results.u.as_items[row].u.as_int);
  printf("\n");
  subpy_value_free(&results);

  /* The first row that fails ends the call, and its error says which one it is. */
  const subpy_value texts[] = {subpy_str("3.5", SUBPY_AUTO_LEN), subpy_str("four", SUBPY_AUTO_LEN),
                               subpy_str("5", SUBPY_AUTO_LEN)};
  if (subpy_function_call_many(to_float, texts, 3, 1, 0, &results, &error) != SUBPY_OK) {
    printf("%s\n", subpy_error_message(error, NULL));
    subpy_error_free(error);
  }

  /* With SUBPY_RETURN_ERRORS the others are called all the same. The errors belong to the results. */
  if (subpy_function_call_many(to_float, texts, 3, 1, SUBPY_RETURN_ERRORS, &results, &error) != SUBPY_OK)
    return give_up(error);
  for (size_t i = 0; i < results.len; i++) {
    const subpy_value *result = &results.u.as_items[i];
    size_t row = 0;
    if (result->kind != SUBPY_KIND_ERROR)
      printf("%s%.1f", i ? ", " : "", result->u.as_float);
    else if (subpy_error_row(result->u.as_error, &row))
      printf(", nothing in row %d", (int)row);
  }
  printf("\n");
  subpy_value_free(&results);

  subpy_function_free(add);
  subpy_function_free(to_float);
  return subpy_shutdown(NULL) == SUBPY_OK ? 0 : 1;
}
