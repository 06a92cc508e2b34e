/*
 * Errors: a status to decide by, a message for people, and the Python exception with its traceback.
 *
 *   cc error.c $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   SUBPY_ERROR_EXECUTION_FAILED: KeyError: 'b'
 *     in <module>, line 3
 *     in pick, line 2
 *   SUBPY_ERROR_SYNTAX: SyntaxError: '(' was never closed (<script>, line 1)
 *     line 1, column 6
 *   SUBPY_ERROR_EXECUTION_FAILED: SystemExit: 3
 *     the script asked for exit status 3
 *   SUBPY_ERROR_NOT_FOUND: 12345 is not the handle of an interpreter
 */
#include <stdio.h>

#include "subpy.h"

static void run(subpy_interp interp, const char *code) {
  subpy_error *error = NULL;
  subpy_status status = subpy_exec(interp, code, SUBPY_AUTO_LEN, &error);
  if (status == SUBPY_OK)
    return;
  printf("%s: %s\n", subpy_status_name(status), subpy_error_message(error, NULL));

  /* Each part is there or it is not, so nothing has to be asked first. */
  int32_t line = 0, column = 0, exit_status = 0;
  subpy_frame frame = {.size = sizeof frame};
  if (subpy_error_syntax(error, &line, &column, NULL))
    printf("  line %d, column %d\n", (int)line, (int)column);
  else if (subpy_error_exit_status(error, &exit_status))
    printf("  the script asked for exit status %d\n", (int)exit_status);
  else
    for (size_t i = 0; subpy_error_frame(error, i, &frame); i++)
      printf("  in %s, line %d\n", frame.function, (int)frame.line);
  subpy_error_free(error);
}

int main(void) {
  subpy_interp interp = 0;
  subpy_error *error = NULL;
  if (subpy_create(NULL, &interp, &error) != SUBPY_OK) {
    fprintf(stderr, "%s\n", subpy_error_message(error, NULL));  /* for instance: no CPython was found */
    subpy_error_free(error);
    return 1;
  }
  run(interp, "def pick(d, key):\n    return d[key]\npick({'a': 1}, 'b')\n");
  run(interp, "print(");
  run(interp, "import sys\nsys.exit(3)");  /* does not end this process */
  run(12345, "pass");
  return subpy_shutdown(NULL) == SUBPY_OK ? 0 : 1;
}
