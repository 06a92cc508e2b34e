/*
 * Output: what an interpreter prints goes to a function, and what one run prints to another.
 *
 *   cc output.c $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   [log] hello
 *   [log, stderr] careful
 *   the report: 3 lines
 *   [log] bye
 */
#include <stdio.h>

#include "subpy.h"

static void write_log(void *userdata, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  (void)interp;
  printf("[%s%s] %.*s", (const char *)userdata, stream == 2 ? ", stderr" : "", (int)len, text);
}

static void count_lines(void *userdata, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  (void)interp, (void)stream;
  for (size_t i = 0; i < len; i++) *(int *)userdata += text[i] == '\n';
}

static int give_up(subpy_error *error) {
  fprintf(stderr, "%s\n", subpy_error_message(error, NULL));
  subpy_error_free(error);
  return 1;
}

int main(void) {
  subpy_error *error = NULL;
  subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_NO_STDIN};
  subpy_interp interp = 0;
  if (subpy_create(&options, &interp, &error) != SUBPY_OK ||
      subpy_set_output(interp, write_log, "log", NULL, &error) != SUBPY_OK ||
      subpy_exec(interp, "import sys\nprint('hello')\nprint('careful', file=sys.stderr)", SUBPY_AUTO_LEN, &error) != SUBPY_OK)
    return give_up(error);

  int lines = 0;
  subpy_run_request report = {
      .size = sizeof report,
      .interp = interp,
      .what = SUBPY_RUN_EXEC,
      .text = "for number in range(3): print(number)",
      .text_len = SUBPY_AUTO_LEN,
      .output = count_lines,
      .output_data = &lines,
  };
  if (subpy_run(&report, NULL, &error) != SUBPY_OK) return give_up(error);
  printf("the report: %d lines\n", lines);

  /* What comes at the very end arrives too. */
  if (subpy_exec(interp, "import atexit; atexit.register(print, 'bye')", SUBPY_AUTO_LEN, &error) != SUBPY_OK ||
      subpy_close(interp, &error) != SUBPY_OK)
    return give_up(error);
  return subpy_shutdown(NULL) == SUBPY_OK ? 0 : 1;
}
