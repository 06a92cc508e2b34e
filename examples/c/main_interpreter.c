/*
 * The main interpreter: what an interpreter with a GIL of its own refuses to import works there.
 *
 *   cc main_interpreter.c $(pkg-config --cflags --libs subpy)
 *   ./a.out numpy 'numpy.arange(5).sum()'     with SUBPY_PYTHON=environment/with/numpy
 *
 * Prints:
 *   own GIL: ImportError
 *   main: False
 */
#include <stdio.h>

#include "subpy.h"

/* Import a module, and show what an expression is. */
static subpy_status show(subpy_interp interp, const char *module, const char *expression, subpy_error **error) {
  char import[200], text[200];
  snprintf(import, sizeof import, "import %s", module);
  snprintf(text, sizeof text, "str(%s)", expression);
  subpy_value value = {0};
  subpy_status status = subpy_exec(interp, import, SUBPY_AUTO_LEN, error);
  if (status == SUBPY_OK) status = subpy_eval(interp, text, SUBPY_AUTO_LEN, &value, error);
  if (status == SUBPY_OK) printf("main: %s\n", value.u.as_str);
  subpy_value_free(&value);
  return status;
}

int main(int argc, char **argv) {
  const char *module = argc > 2 ? argv[1] : "faulthandler";
  const char *expression = argc > 2 ? argv[2] : "faulthandler.is_enabled()";
  subpy_runtime_options options = {.size = sizeof options, .flags = SUBPY_RUNTIME_USE_ENVIRONMENT};
  subpy_interp own = 0, main_interp = 0;
  subpy_error *error = NULL;
  if (subpy_init(&options, &error) == SUBPY_OK && subpy_create(NULL, &own, &error) == SUBPY_OK &&
      show(own, module, expression, &error) == SUBPY_ERROR_EXECUTION_FAILED) {
    printf("own GIL: %s\n", subpy_error_type_name(error, NULL));
    subpy_error_free(error);
    /* One interpreter, so one thing at a time: others are not held up, but by creating interpreters. */
    if (subpy_get_main(&main_interp, &error) == SUBPY_OK) show(main_interp, module, expression, &error);
  }
  if (error) puts(subpy_error_message(error, NULL));
  int failed = error != NULL;
  subpy_error_free(error);
  return subpy_shutdown(NULL) == SUBPY_OK && !failed ? 0 : 1;
}
