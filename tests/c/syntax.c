/* SUBPY_ERROR_SYNTAX: source that does not compile, and what else a compiler can say. */
#include "guest.h"

static subpy_interp interp;

typedef struct {
  const char *source, *type, *message;
  int32_t line, column;
  const char *text; /* NULL: absent */
} syntax_case;

/* As `concurrent.interpreters` and compile() report them. */
static const syntax_case CASES[] = {
    {"x = 1\ny = = 2\n", "SyntaxError", "invalid syntax (<script>, line 2)", 2, 5, "y = = 2\n"},
    {"s = '\xc3\xa9\xc3\xa9' +", "SyntaxError", "invalid syntax (<script>, line 1)", 1, 11,
     "s = '\xc3\xa9\xc3\xa9' +\n"},
    {"if True:\nx = 1", "IndentationError",
     "expected an indented block after 'if' statement on line 1 (<script>, line 2)", 2, 1, "x = 1\n"},
    {"if True:\n\tx = 1\n        y = 2", "TabError",
     "inconsistent use of tabs and spaces in indentation (<script>, line 3)", 3, 1, "        y = 2\n"},
    {"(1,\n2", "SyntaxError", "'(' was never closed (<script>, line 1)", 1, 1, "(1,"},
    {"return 1", "SyntaxError", "'return' outside function (<script>, line 1)", 1, 1, NULL},
    {"def f():\n  global g\n  nonlocal h\n", "SyntaxError", "no binding for nonlocal 'h' found (<script>, line 3)", 3,
     3, NULL},
    {"f(**x, *y)", "SyntaxError",
     "iterable argument unpacking follows keyword argument unpacking (<script>, line 1)", 1, 6, "f(**x, *y)\n"},
    {"'\\N{no such name}'", "SyntaxError",
     "(unicode error) 'unicodeescape' codec can't decode bytes in position 0-15: unknown Unicode character name "
     "(<script>, line 1)",
     1, 1, "'\\N{no such name}'\n"},
    /* Indented source: the place in the source itself. */
    {"  x = 1\n  y = = 2\n", "SyntaxError", "invalid syntax (<script>, line 2)", 2, 7, "  y = = 2\n"},
    {"\n\t\tif x:\n\t\t\t'\xc3\xa9' ; y = = 1", "SyntaxError", "invalid syntax (<script>, line 3)", 3, 14,
     "\t\t\t'\xc3\xa9' ; y = = 1\n"},
    {"    return 1", "SyntaxError", "'return' outside function (<script>, line 1)", 1, 5, NULL},
    {"    if True:\n    x = 1", "IndentationError",
     "expected an indented block after 'if' statement on line 1 (<script>, line 2)", 2, 5, "    x = 1\n"},
    {"\xef\xbb\xbfx = 1", "SyntaxError", "invalid non-printable character U+FEFF (<script>, line 1)", 1, 1,
     "\xef\xbb\xbfx = 1"},
};

static void check_case(const syntax_case *it) {
  subpy_error *error = exec_error(interp, SUBPY_ERROR_SYNTAX, it->source);
  int32_t line = -1, column = -1;
  const char *text = "unset";
  CHECK(subpy_error_syntax(error, &line, &column, &text));
  bool same_text = it->text ? text && strcmp(text, it->text) == 0 : text == NULL;
  if (strcmp(subpy_error_type_name(error, NULL), it->type) != 0 ||
      strcmp(subpy_error_exception_message(error, NULL), it->message) != 0 || line != it->line ||
      column != it->column || !same_text) {
    fprintf(stderr, "%s\n%s: %s\nline %d, column %d, text %s\n", it->source, subpy_error_type_name(error, NULL),
            subpy_error_exception_message(error, NULL), line, column, text ? text : "(none)");
    exit(1);
  }
  char message[400];
  snprintf(message, sizeof message, "%s: %s", it->type, it->message);
  CHECK(strcmp(subpy_error_message(error, NULL), message) == 0);
  CHECK(strcmp(subpy_error_formatted(error, NULL), message) == 0);
  CHECK(strcmp(subpy_error_type_module(error, NULL), "builtins") == 0);
  subpy_frame none = {.size = sizeof none};
  CHECK(subpy_error_frame_count(error) == 0 && !subpy_error_frame(error, 0, &none));
  CHECK(!subpy_error_exit_status(error, NULL));
  CHECK(subpy_error_syntax(error, NULL, NULL, NULL));
  subpy_error_free(error);
}

static void others(void) {
  subpy_error *error = NULL;
  subpy_value value = subpy_int(1);

  FAILS(SUBPY_ERROR_SYNTAX, "SyntaxError: source code string cannot contain null bytes",
        subpy_exec(interp, "x = 1\0", 6, &error));
  FAILS(SUBPY_ERROR_SYNTAX, "SyntaxError: source code string cannot contain null bytes",
        subpy_eval(interp, "1\0", 2, &value, &error));
  CHECK(value.kind == SUBPY_KIND_NONE);

  /* An expression may be indented: the place is in the text as it was passed. */
  int32_t line = 0, column = 0;
  const char *text = NULL;
  CHECK(subpy_eval(interp, "  (1 =\n =)", SUBPY_AUTO_LEN, NULL, &error) == SUBPY_ERROR_SYNTAX);
  CHECK(subpy_error_syntax(error, &line, &column, &text) && line == 1 && column == 6);
  CHECK(strncmp(text, "  (1 =", 6) == 0);
  subpy_error_free(error);
  CHECK(subpy_eval(interp, "  (1,\n ==)", SUBPY_AUTO_LEN, NULL, &error) == SUBPY_ERROR_SYNTAX);
  CHECK(subpy_error_syntax(error, &line, &column, &text) && line == 2 && column == 2);
  subpy_error_free(error);
  error = NULL;

  /* An expression is an expression. */
  FAILS(SUBPY_ERROR_SYNTAX, "SyntaxError: invalid syntax (<script>, line 1)",
        subpy_eval(interp, "x = 1", SUBPY_AUTO_LEN, &value, &error));
  FAILS(SUBPY_ERROR_SYNTAX, "SyntaxError: invalid syntax (<script>, line 0)",
        subpy_eval(interp, "", 0, &value, &error));

  /* What a run raises, or a nested compile, is no SUBPY_ERROR_SYNTAX, even when it is a SyntaxError. */
  const char *runs[] = {"raise SyntaxError('mine')", "compile('= =', 'f', 'exec')", "eval('1 +')"};
  for (size_t index = 0; index < sizeof runs / sizeof *runs; index++) {
    error = exception(interp, runs[index]);
    int32_t line = 42;
    CHECK_ERROR(subpy_error_type_name, error, "SyntaxError");
    CHECK(!subpy_error_syntax(error, &line, NULL, NULL) && line == 42);
    CHECK(subpy_error_frame_count(error) >= 1);
    subpy_error_free(error);
    error = NULL;
  }

  /* A warning that was made an error is a SyntaxError at compile time. */
  run(interp, "import warnings\nwarnings.simplefilter('error')");
  error = exec_error(interp, SUBPY_ERROR_SYNTAX, "assert (1, 'always')");
  CHECK_ERROR(subpy_error_exception_message, error,
              "assertion is always true, perhaps remove parentheses? (<script>, line 1)");
  subpy_error_free(error);
  run(interp, "warnings.resetwarnings()");
}

/* The compiler's other exceptions are no statement about the source. */
static void other_exceptions(void) {
  enum { DEPTH = 100000 };
  char *deep = malloc(2 * DEPTH + 2);
  CHECK(deep);
  memset(deep, '-', 2 * DEPTH);
  deep[2 * DEPTH] = '1';
  deep[2 * DEPTH + 1] = 0;
  subpy_error *error = exception(interp, deep);
  /* Which of the two depends on which part of the compiler meets its limit first. */
  const char *type = subpy_error_type_name(error, NULL);
  CHECK(strcmp(type, "RecursionError") == 0 || strcmp(type, "MemoryError") == 0);
  CHECK(!subpy_error_syntax(error, NULL, NULL, NULL));
  subpy_error_free(error);
  free(deep);
  run(interp, "x = 1");
}

static void display(void) {
  subpy_error *error = exec_error(interp, SUBPY_ERROR_SYNTAX, "x = 1\ny = = 2\n");
  CHECK_ERROR(subpy_error_display, error,
              "  File \"<script>\", line 2\n"
              "    y = = 2\n"
              "        ^\n"
              "SyntaxError: invalid syntax");
  subpy_error_free(error);
}

int main(void) {
  interp = create();
  for (size_t index = 0; index < sizeof CASES / sizeof *CASES; index++) check_case(&CASES[index]);
  others();
  other_exceptions();
  display();
  shut_down();
  return 0;
}
