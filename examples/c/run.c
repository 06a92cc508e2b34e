/*
 * Running code: statements, an expression, a call with arguments by position and by name, and a request with all
 * options.
 *
 *   cc run.c $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   hello from Python
 *   6 * 7 is 42
 *   the area is 10.5
 *     File "config.py", line 2, in <module>
 */
#include <stdio.h>
#include <string.h>

#include "subpy.h"

static const char *definitions =
    "print('hello from Python')\n"
    "def area(width, *, height=1.0):\n"
    "    return width * height\n";

int main(void) {
  subpy_interp interp = 0;
  subpy_error *error = NULL;
  subpy_value answer = {0}, area = {0};
  subpy_value args[] = {subpy_float(3.0)};
  subpy_pair named[] = {{subpy_str("height", SUBPY_AUTO_LEN), subpy_float(3.5)}};
  subpy_value kwargs = subpy_dict(named, 1);

  subpy_status status = subpy_create(NULL, &interp, &error);
  if (status == SUBPY_OK)
    status = subpy_exec(interp, definitions, SUBPY_AUTO_LEN, &error);
  if (status == SUBPY_OK)
    status = subpy_eval(interp, "6 * 7", SUBPY_AUTO_LEN, &answer, &error);
  if (status == SUBPY_OK)
    status = subpy_call(interp, "area", SUBPY_AUTO_LEN, args, 1, &kwargs, &area, &error);

  if (status == SUBPY_OK) {
    printf("6 * 7 is %d\n", (int)answer.u.as_int);
    printf("the area is %.1f\n", area.u.as_float);

    /* The request is the long form of all of these. Here it gives the source a file name, which tracebacks show. */
    subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EXEC};
    request.text = "import math\nmath.sqrt(-1)\n";
    request.text_len = SUBPY_AUTO_LEN;
    request.filename = "config.py";
    if (subpy_run(&request, NULL, &error) == SUBPY_ERROR_EXECUTION_FAILED) {
      const char *line = strchr(subpy_error_display(error, NULL), '\n') + 1;
      printf("%.*s\n", (int)strcspn(line, "\n"), line);
    }
  } else {
    fprintf(stderr, "%s\n", subpy_error_message(error, NULL));
  }

  /* One clean-up for all outcomes: what was not written is empty, and freeing it does nothing. */
  subpy_error_free(error);
  subpy_value_free(&answer);
  subpy_value_free(&area);
  return subpy_shutdown(NULL) == SUBPY_OK && status == SUBPY_OK ? 0 : 1;
}
