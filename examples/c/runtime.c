/*
 * The runtime: which CPython runs, and how; started once, shut down by the application at the end.
 *
 *   cc runtime.c $(pkg-config --cflags --libs subpy)
 *   ./a.out [python]      an executable, a virtual environment's folder, or a libpython; else subpy searches
 *
 * Prints:
 *   before: no CPython
 *   CPython 3 is there, isolated from the environment: yes
 *   /none/bin/python3 was refused: SUBPY_ERROR_WRONG_STATE
 *   after: SUBPY_ERROR_NOT_FOUND
 */
#include <stdio.h>

#include "subpy.h"

int main(int argc, char **argv) {
  subpy_runtime_options options = {.size = sizeof options, .python = argc > 1 ? argv[1] : NULL};
  subpy_interp interp = 0;
  subpy_error *error = NULL;
  subpy_value isolated = {0};

  if (subpy_version() < SUBPY_VERSION) {
    fprintf(stderr, "subpy %s is older than the header\n", subpy_version_string());
    return 1;
  }
  printf("before: %s\n", subpy_python_version() ? subpy_python_version() : "no CPython");

  /* Not needed for the defaults: the first use starts it. */
  if (subpy_init(&options, &error) != SUBPY_OK ||
      subpy_create(NULL, &interp, &error) != SUBPY_OK ||
      subpy_eval(interp, "__import__('sys').flags.isolated", SUBPY_AUTO_LEN, &isolated, &error) != SUBPY_OK) {
    fprintf(stderr, "%s\n", subpy_error_message(error, NULL));
    subpy_error_free(error);
    return 1;
  }
  printf("CPython %.1s is there, isolated from the environment: %s\n", subpy_python_version(),
         isolated.u.as_int ? "yes" : "no");

  /* A process has one CPython. */
  options.python = "/none/bin/python3";
  printf("%s was refused: %s\n", options.python, subpy_status_name(subpy_init(&options, NULL)));

  /* For the application alone: others in this process may use it too. It closes all interpreters. */
  if (subpy_shutdown(&error) != SUBPY_OK) {
    fprintf(stderr, "%s\n", subpy_error_message(error, NULL));
    subpy_error_free(error);
    return 1;
  }
  printf("after: %s\n", subpy_status_name(subpy_close(interp, NULL)));
  return 0;
}
