/* The table "Dedent cases": what exec does with indented source. */
#include "guest.h"

static subpy_interp interp;

/* The source runs, and then the expression is this str. */
#define RUNS(source, expression, expected)                                                                   \
  do {                                                                                                       \
    run(interp, source);                                                                                     \
    CHECK_EVAL(interp, expression, expected);                                                                \
  } while (0)

static void check_indentation_error(const char *source, int32_t expected_line) {
  subpy_error *error = exec_error(interp, SUBPY_ERROR_SYNTAX, source);
  int32_t line = -1;
  CHECK(subpy_error_syntax(error, &line, NULL, NULL));
  const char *name = subpy_error_type_name(error, NULL);
  if (line != expected_line || strcmp(name, "IndentationError") != 0) {
    fprintf(stderr, "%s at line %d for\n%s\n", subpy_error_message(error, NULL), line, source);
    exit(1);
  }
  subpy_error_free(error);
}

static subpy_status exec_keeping_indent(const char *source, subpy_error **error) {
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EXEC};
  request.flags = SUBPY_KEEP_INDENT;
  request.text = source;
  request.text_len = SUBPY_AUTO_LEN;
  return subpy_run(&request, NULL, error);
}

int main(void) {
  subpy_error *error = NULL;
  interp = create();
  RUNS("s='''a\n   \nb'''", "s", "a\n   \nb");
  RUNS("  s='''a\n   \n  b'''", "s", "a\n\nb");
  RUNS("  s='a'\r\n  t='b'\r\n", "s + t", "ab");
  RUNS("\n  s='c'\n  t='d'", "s + t", "cd");
  RUNS("  s='e'\n  t='f'\n    ", "s + t", "ef");
  RUNS("    if True:\n        s = '''\n    x\n      y'''\n", "s", "\nx\n  y");
  RUNS("\t \ts='g'\n\t \tt='h'", "s + t", "gh");
  RUNS("if True:\n  s='''\n  k'''", "s", "\n  k");
  RUNS("# no indent\ns='''\n  l'''", "s", "\n  l");
  RUNS("  # a comment counts\n  s='m'", "s", "m");
  RUNS("", "s", "m");
  RUNS("   ", "s", "m");
  RUNS("  \n\t\n   ", "s", "m");

  /* Line numbers are the source's. */
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "ZeroDivisionError: division by zero",
        subpy_exec(interp, "\n\n  1 / 0", SUBPY_AUTO_LEN, &error));
  error = exception(interp, "\n\n  1 / 0");
  CHECK(frame_at(error, 0).line == 3);
  subpy_error_free(error);

  /* What looks blank and is not; no common margin. */
  check_indentation_error("  a\n\f\n  b", 1);
  check_indentation_error("  a\n\xe3\x80\x80\n  b", 1);
  check_indentation_error("  a\n\r\n  b", 1);
  check_indentation_error("\ta\n        b", 1);
  check_indentation_error("  a\n# c\n  b", 1);
  check_indentation_error("  s='''x\ny'''", 1);
  /* The margin is what all share, so the rest of the first line's indent stays. */
  check_indentation_error("    a = 1\n  b = 2", 1);
  check_indentation_error("  a = 1\n    b = 2", 2);

  FAILS(SUBPY_ERROR_SYNTAX, "IndentationError: unexpected indent (<script>, line 1)",
        exec_keeping_indent("  a = 1", &error));
  OK(exec_keeping_indent("a = 1", &error));
  OK(exec_keeping_indent("if 1:\n  s = '''\n    n'''", &error));
  CHECK_EVAL(interp, "s", "\n    n");
  shut_down();
  return 0;
}
