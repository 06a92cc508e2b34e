/* For tests of many calls at once. */
#ifndef MANY_H
#define MANY_H

#include "guest.h"
#include "values.h"

static subpy_error *error;

static inline subpy_function function_in(subpy_interp interp, const char *name) {
  subpy_function function = 0;
  OK(subpy_function_new(interp, name, SUBPY_AUTO_LEN, &function, &error));
  return function;
}

/* What they return, to be freed. */
static inline subpy_value many(subpy_function function, const subpy_value *rows, size_t count, size_t nargs, uint32_t flags) {
  subpy_value results = {0};
  OK(subpy_function_call_many(function, rows, count, nargs, flags, &results, &error));
  CHECK(results.kind == SUBPY_KIND_LIST && results.len == count);
  return results;
}

static inline bool row_is(const subpy_error *of, size_t expected) {
  size_t row = 77;
  return subpy_error_row(of, &row) && row == expected && subpy_error_row(of, NULL);
}

#endif
