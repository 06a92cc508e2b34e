/* Interpreters with a little of everything, which are closed or crash: for tests of what is left of many. */
#ifndef LIVES_H
#define LIVES_H

#include "deaths.h"

static subpy_error *error;

static inline subpy_interp create_either(bool process) { return process ? create_process() : create(); }

static inline void calls_nothing(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs,
                                 const subpy_value *kwargs) {
  (void)userdata, (void)ctx, (void)args, (void)nargs, (void)kwargs;
}

static inline void live(int index, bool process) {
  subpy_interp interp = create_either(process);
  subpy_value n = subpy_int(index), result = {0};
  OK(subpy_define(interp, "nothing", SUBPY_AUTO_LEN, 0, calls_nothing, NULL, NULL, &error));
  run(interp, "def f(n): nothing(); return [n] * 10");
  OK(subpy_enter(interp, &error));
  OK(subpy_call(interp, "f", SUBPY_AUTO_LEN, &n, 1, NULL, &result, &error));
  OK(subpy_leave(interp, &error));
  CHECK(result.len == 10 && result.u.as_items[9].u.as_int == index);
  subpy_value_free(&result);
  subpy_function function = 0;
  OK(subpy_function_new(interp, "f", SUBPY_AUTO_LEN, &function, &error));
  if (process && index % 3 == 1) {
    CHECK(subpy_exec(interp, "import os; os._exit(1)", SUBPY_AUTO_LEN, NULL) == SUBPY_ERROR_CRASHED);
  } else {
    OK(subpy_close(interp, &error));
  }
  subpy_function_free(function);
}

#endif
