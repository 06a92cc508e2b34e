/* subpy_function_call_many: one crossing for many calls; results and errors a row. */
#include "many.h"

/* The results are those of as many single calls. */
static void as_single_calls(subpy_interp interp, const char *name, const subpy_value *rows, size_t count, size_t nargs) {
  subpy_function function = function_in(interp, name);
  for (uint32_t flags = 0; flags <= SUBPY_RETURN_ERRORS; flags++) {
    subpy_value results = many(function, rows, count, nargs, flags);
    for (size_t row = 0; row < count; row++) {
      subpy_value result = {0};
      OK(subpy_function_call(function, nargs ? &rows[row * nargs] : NULL, nargs, NULL, &result, &error));
      CHECK(same(&results.u.as_items[row], &result));
      subpy_value_free(&result);
    }
    subpy_value_free(&results);
    CHECK(results.kind == SUBPY_KIND_NONE);
  }
  OK(subpy_function_call_many(function, rows, count, nargs, 0, NULL, &error));
  subpy_function_free(function);
}

static void results(void) {
  subpy_interp interp = create();
  run(interp, "import functools, random\n"
              "def add(a, b=10): return a + b\n"
              "def deep(*values): return [list(values), {'k': values, 'text': str(values), 'big': 1 << 70, 'none': None}]\n"
              "class Adder:\n"
              "  def __init__(self, n): self.n = n\n"
              "  def __call__(self, a, b): return [self.n, a, b]\n"
              "  def method(self, a, b): return (self.n, a, b)\n"
              "  @classmethod\n"
              "  def of(cls, a, b): return a\n"
              "adder = Adder(5)\n"
              "partial = functools.partial(add, 3)\n"
              "def calls_itself(a, b): return a if a == 0 else calls_itself(a - 1, b)\n"
              "def nothing(a, b): pass\n"
              "def one(): return 'one'");
  enum { ROWS = 1000 };
  static subpy_value rows[ROWS * 2], texts[ROWS * 2];
  static char text[ROWS * 2][8];
  for (int i = 0; i < ROWS * 2; i++) {
    rows[i] = subpy_int(i * INT64_C(1000003));
    snprintf(text[i], sizeof text[i], "t%d", i);
    texts[i] = i % 3 ? TEXT(text[i]) : subpy_list(rows, (size_t)i % 7);
  }
  static const char *const names[] = {"add", "deep", "adder", "adder.method", "Adder.of", "nothing", "operator:sub", "builtins:max"};
  const size_t counts[] = {0, 1, 2, 255, 256, 257, ROWS};
  for (size_t i = 0; i < COUNT(names); i++) {
    for (size_t j = 0; j < COUNT(counts); j++) as_single_calls(interp, names[i], rows, counts[j], 2);
  }
  as_single_calls(interp, "deep", texts, ROWS, 2);
  as_single_calls(interp, "deep", texts, 3, 40);
  as_single_calls(interp, "deep", texts, 2, ROWS);
  as_single_calls(interp, "partial", rows, ROWS, 1);
  as_single_calls(interp, "builtins:float", rows, ROWS, 1);
  as_single_calls(interp, "one", NULL, ROWS, 0);
  as_single_calls(interp, "builtins:dict", NULL, 3, 0);
  for (int i = 0; i < ROWS; i++) rows[i] = subpy_int(i % 10);
  as_single_calls(interp, "calls_itself", rows, ROWS / 2, 2);

  /* The results as a whole are a result like any other: one block, and an argument. */
  subpy_function function = function_in(interp, "deep");
  subpy_value list = many(function, texts, ROWS, 2, 0);
  const void *base = NULL;
  size_t size = 0;
  CHECK(subpy_value_block(&list, &base, &size) && base == list.u.as_items);
  subpy_value back = call1(interp, "builtins:tuple", list);
  CHECK(back.kind == SUBPY_KIND_TUPLE && back.len == ROWS && same(&back.u.as_items[ROWS - 1], &list.u.as_items[ROWS - 1]));
  subpy_value_free(&back);
  subpy_value_free(&list);

  /* An argument may be where the results go. */
  list = subpy_int(4);
  function = function_in(interp, "add");
  OK(subpy_function_call_many(function, &list, 1, 1, 0, &list, &error));
  CHECK(list.len == 1 && list.u.as_items[0].u.as_int == 14);
  subpy_value_free(&list);

  /* In a session too, with one thread state for all. */
  run(interp, "import threading\nlocal = threading.local()\n"
              "def count(): local.n = getattr(local, 'n', 0) + 1; return local.n");
  function = function_in(interp, "count");
  for (int session = 0; session < 2; session++) {
    if (session) OK(subpy_enter(interp, &error));
    for (int again = 0; again < 2; again++) {
      list = many(function, NULL, 3, 0, 0);
      for (int i = 0; i < 3; i++) CHECK(list.u.as_items[i].u.as_int == 1 + i + 3 * again * session);
      subpy_value_free(&list);
    }
    if (session) OK(subpy_leave(interp, &error));
  }
  OK(subpy_close(interp, &error));
}

/* ---- errors ---- */

#define FAILS_IN_ROW(row, expected, message, call)                                                           \
  do {                                                                                                       \
    error = NULL;                                                                                            \
    CHECK_STATUS(expected, call);                                                                            \
    check_message(__FILE__, __LINE__, error, expected, message);                                             \
    CHECK(row_is(error, row));                                                                               \
    subpy_error_free(error);                                                                                 \
    error = NULL;                                                                                            \
  } while (0)

static void first_error(void) {
  subpy_interp interp = create();
  run(interp, "calls = 0\n"
              "def f(n):\n"
              "  global calls; calls += 1\n"
              "  if n == 3: raise ValueError(f'bad\\nnews {n}')\n"
              "  if n == 4: return ['fine', {'x': {1}}]\n"
              "  if n == 5: raise SystemExit(9)\n"
              "  return 'x' * n");
  subpy_function function = function_in(interp, "f");
  subpy_value rows[10], results = subpy_int(1);
  for (int i = 0; i < 10; i++) rows[i] = subpy_int(i);
  FAILS_IN_ROW(3, SUBPY_ERROR_EXECUTION_FAILED, "row 3: ValueError: bad",
               subpy_function_call_many(function, rows, 10, 1, 0, &results, &error));
  CHECK(results.kind == SUBPY_KIND_NONE && number(interp, "calls") == 4);
  FAILS_IN_ROW(2, SUBPY_ERROR_EXECUTION_FAILED, "row 2: ValueError: bad",
               subpy_function_call_many(function, rows + 1, 9, 1, 0, NULL, &error));
  FAILS_IN_ROW(0, SUBPY_ERROR_NOT_SHAREABLE, "row 0: result[1]['x']: set cannot be shared",
               subpy_function_call_many(function, rows + 4, 6, 1, 0, &results, &error));
  CHECK(results.kind == SUBPY_KIND_NONE);
  /* Nobody looks at what it returns; and an exit is no more than an error. */
  CHECK(subpy_function_call_many(function, rows + 4, 6, 1, 0, NULL, &error) == SUBPY_ERROR_EXECUTION_FAILED);
  int32_t status = 0;
  CHECK(row_is(error, 1) && subpy_error_exit_status(error, &status) && status == 9);
  subpy_error_free(error);
  error = NULL;

  /* The fields are those of the exception. */
  CHECK(subpy_function_call_many(function, rows, 10, 1, 0, &results, &error) == SUBPY_ERROR_EXECUTION_FAILED);
  CHECK_ERROR(subpy_error_formatted, error, "ValueError: bad\nnews 3");
  CHECK_ERROR(subpy_error_exception_message, error, "bad\nnews 3");
  CHECK(subpy_error_frame_count(error) == 1 && frame_at(error, 0).line == 4 && subpy_error_interp(error) == interp);
  subpy_error_free(error);
  error = NULL;

  /* Other errors have no row. */
  size_t row = 77;
  CHECK(subpy_exec(interp, "1/0", SUBPY_AUTO_LEN, &error) == SUBPY_ERROR_EXECUTION_FAILED);
  CHECK(!subpy_error_row(error, &row) && !subpy_error_row(NULL, &row) && !subpy_error_row(NULL, NULL) && row == 77);
  subpy_error_free(error);
  error = NULL;

  /* Too many arguments for it. */
  FAILS_IN_ROW(0, SUBPY_ERROR_EXECUTION_FAILED, "row 0: TypeError: f() takes 1 positional argument but 2 were given",
               subpy_function_call_many(function, rows, 5, 2, 0, &results, &error));
  OK(subpy_close(interp, &error));
}

static void errors_in_the_results(void) {
  subpy_interp interp = create();
  run(interp, "class Own(Exception): pass\n"
              "class Worse(BaseException): pass\n"
              "def f(n):\n"
              "  if n == 7: raise Worse\n"
              "  if n == 8: raise KeyboardInterrupt\n"
              "  if n == 9: raise SystemExit(3)\n"
              "  if n % 3 == 1: raise Own(n)\n"
              "  if n % 3 == 2: return [n, ['x' * 100_000], lambda: n]\n"
              "  return [n, str(n)]");
  subpy_function function = function_in(interp, "f");
  enum { ROWS = 600 };
  static subpy_value rows[ROWS];
  for (int i = 0; i < ROWS; i++) rows[i] = subpy_int(i + 10);
  subpy_value list = many(function, rows, ROWS, 1, SUBPY_RETURN_ERRORS), copy = list;
  char expected[100];
  OK(subpy_close(interp, &error)); /* they need nothing else */
  for (size_t i = 0; i < ROWS; i++) {
    const subpy_value *value = &list.u.as_items[i];
    if ((i + 10) % 3 == 0) {
      CHECK(value->kind == SUBPY_KIND_LIST && value->len == 2 && value->u.as_items[0].u.as_int == (int64_t)i + 10);
      continue;
    }
    CHECK(value->kind == SUBPY_KIND_ERROR && value->flags == 0 && value->len == 0);
    const subpy_error *of = value->u.as_error;
    CHECK(row_is(of, i) && subpy_error_interp(of) == interp);
    if ((i + 10) % 3 == 1) {
      CHECK(subpy_error_status(of) == SUBPY_ERROR_EXECUTION_FAILED && strcmp(subpy_error_type_name(of, NULL), "Own") == 0);
      CHECK(subpy_error_frame_count(of) == 1 && frame_at(of, 0).line == 7);
      snprintf(expected, sizeof expected, "row %zu: Own: %zu", i, i + 10);
      CHECK(strcmp(subpy_error_message(of, NULL), expected) == 0 && strstr(subpy_error_display(of, NULL), "raise Own(n)"));
    } else {
      CHECK(subpy_error_status(of) == SUBPY_ERROR_NOT_SHAREABLE && subpy_error_type_name(of, NULL) == NULL);
      snprintf(expected, sizeof expected, "row %zu: result[2]: function cannot be shared", i);
      CHECK(strcmp(subpy_error_message(of, NULL), expected) == 0);
    }
  }

  const void *base = NULL;
  size_t size = 0;
  /* What comes from another process lies there as it came. */
  CHECK(subpy_value_block(&list, &base, &size) && (in_processes() || size < ROWS * 200));

  /* They are nobody's argument, and go with the results alone. */
  interp = create();
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "args[0][0]: SUBPY_KIND_ERROR cannot be passed to Python",
        subpy_call(interp, "builtins:id", SUBPY_AUTO_LEN, &list, 1, NULL, NULL, &error));
  subpy_value part = list.u.as_items[0];
  CHECK(part.kind == SUBPY_KIND_ERROR);
  subpy_value_free(&part);
  CHECK(part.kind == SUBPY_KIND_ERROR && row_is(part.u.as_error, 0));
  subpy_error_free((subpy_error *)part.u.as_error);
  CHECK(row_is(part.u.as_error, 0) && subpy_error_message(part.u.as_error, NULL));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "args[0]: SUBPY_KIND_ERROR cannot be passed to Python",
        subpy_call(interp, "builtins:id", SUBPY_AUTO_LEN, &part, 1, NULL, NULL, &error));
  subpy_pair pair = {TEXT("name"), part};
  subpy_value names = subpy_dict(&pair, 1);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "names['name']: SUBPY_KIND_ERROR cannot be passed to Python",
        subpy_prepare_main(interp, &names, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "kwargs['name']: SUBPY_KIND_ERROR cannot be passed to Python",
        subpy_call(interp, "builtins:dict", SUBPY_AUTO_LEN, NULL, 0, &names, NULL, &error));
  subpy_value none = {.kind = SUBPY_KIND_ERROR};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "kwargs: kind is SUBPY_KIND_ERROR, must be SUBPY_KIND_DICT with str keys",
        subpy_call(interp, "builtins:dict", SUBPY_AUTO_LEN, NULL, 0, &none, NULL, &error));

  /* But a copy of one, and all that is in it, is its own. */
  subpy_error *copies[] = {subpy_error_copy(list.u.as_items[0].u.as_error), subpy_error_copy(list.u.as_items[1].u.as_error)};
  subpy_value_free(&copy); /* one of the two, as for any result */
  for (int i = 0; i < 2; i++) {
    subpy_error *of = subpy_error_copy(copies[i]);
    subpy_error_free(copies[i]);
    CHECK(row_is(of, (size_t)i) && subpy_error_interp(of) != 0);
    if (i == 0) {
      subpy_frame frame = frame_at(of, 0);
      CHECK(strcmp(subpy_error_message(of, NULL), "row 0: Own: 10") == 0 && strcmp(subpy_error_type_name(of, NULL), "Own") == 0);
      CHECK(strcmp(subpy_error_type_qualname(of, NULL), "Own") == 0 && strcmp(subpy_error_type_module(of, NULL), "__main__") == 0);
      CHECK(strcmp(subpy_error_exception_message(of, NULL), "10") == 0 && strcmp(subpy_error_formatted(of, NULL), "Own: 10") == 0);
      CHECK(strstr(subpy_error_display(of, NULL), "raise Own(n)") && subpy_error_frame_count(of) == 1);
      CHECK(frame.line == 7 && strcmp(frame.function, "f") == 0 && strstr(frame.source, "raise Own(n)"));
    } else {
      CHECK(strcmp(subpy_error_message(of, NULL), "row 1: result[2]: function cannot be shared") == 0);
    }
    subpy_error_free(of);
  }

  /* What `except Exception` does not catch ends the call, and the errors so far are dropped. */
  run(interp, "class Worse(BaseException): pass\n"
              "def f(n):\n"
              "  if n == 7: raise Worse\n"
              "  if n == 8: raise KeyboardInterrupt\n"
              "  if n == 9: raise SystemExit(3)\n"
              "  if n == 10: raise MemoryError\n"
              "  raise ValueError");
  function = function_in(interp, "f");
  static const char *const messages[] = {"row 2: Worse: ", "row 2: KeyboardInterrupt: ", "row 2: SystemExit: 3"};
  for (int i = 0; i < 3; i++) {
    const subpy_value three[] = {subpy_int(1), subpy_int(2), subpy_int(7 + i), subpy_int(3)};
    list = subpy_int(1);
    FAILS_IN_ROW(2, SUBPY_ERROR_EXECUTION_FAILED, messages[i],
                 subpy_function_call_many(function, three, 4, 1, SUBPY_RETURN_ERRORS, &list, &error));
    CHECK(list.kind == SUBPY_KIND_NONE);
  }
  subpy_value ten = subpy_int(10);
  list = many(function, &ten, 1, 1, SUBPY_RETURN_ERRORS);
  CHECK(strcmp(subpy_error_message(list.u.as_items[0].u.as_error, NULL), "row 0: MemoryError: ") == 0);
  shut_down();
  CHECK(row_is(list.u.as_items[0].u.as_error, 0));
  subpy_value_free(&list);
}

/* ---- arguments ---- */

static void wrong_arguments(void) {
  subpy_interp interp = create();
  run(interp, "calls = 0\n"
              "def f(*args):\n"
              "  global calls; calls += 1");
  subpy_function function = function_in(interp, "f");
  enum { ROWS = 20, NARGS = 3 };
  subpy_value rows[ROWS * NARGS], results = subpy_int(1);
  for (int i = 0; i < ROWS * NARGS; i++) rows[i] = subpy_int(i);
  rows[17 * NARGS + 2] = subpy_str("a\xff", 2);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "rows[17][2]: invalid UTF-8 at byte offset 1",
        subpy_function_call_many(function, rows, ROWS, NARGS, 0, &results, &error));
  CHECK(results.kind == SUBPY_KIND_NONE);
  subpy_value inner = {.kind = 77}, list = subpy_list(&inner, 1);
  rows[17 * NARGS + 2] = list;
  for (uint32_t flags = 0; flags <= SUBPY_RETURN_ERRORS; flags++)
    FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "rows[17][2][0]: kind 77 is not one of SUBPY_KIND_*",
          subpy_function_call_many(function, rows, ROWS, NARGS, flags, &results, &error));
  rows[17 * NARGS + 2] = (subpy_value){.kind = SUBPY_KIND_ERROR};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "rows[17][2]: SUBPY_KIND_ERROR cannot be passed to Python",
        subpy_function_call_many(function, rows, ROWS, NARGS, 0, &results, &error));
  CHECK(subpy_function_call_many(function, rows, ROWS, NARGS, 0, NULL, NULL) == SUBPY_ERROR_INVALID_ARGUMENT);
  CHECK(subpy_function_call_many(function, rows, ROWS, NARGS, 0, NULL, &error) == SUBPY_ERROR_INVALID_ARGUMENT);
  CHECK(!subpy_error_row(error, NULL));
  subpy_error_free(error);
  error = NULL;

  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "rows is NULL but count is 2 and nargs is 3",
        subpy_function_call_many(function, NULL, 2, 3, 0, &results, &error));
  const size_t too_many[][2] = {{SIZE_MAX, 1}, {1, SIZE_MAX}, {SIZE_MAX, SIZE_MAX}, {SIZE_MAX / 24, 25}, {SIZE_MAX / 24 + 1, 1},
                                {SIZE_MAX / 2, 2}, {SIZE_MAX / 2 + 2, 2}, {SIZE_MAX, 0}, {(size_t)1 << 60, 0}};
  for (size_t i = 0; i < COUNT(too_many); i++)
    FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...are more than memory can hold",
          subpy_function_call_many(function, rows, too_many[i][0], too_many[i][1], 0, &results, &error));
  FAILS(SUBPY_ERROR_NO_MEMORY, "out of memory",
        subpy_function_call_many(function, NULL, (size_t)1 << 51, 0, 0, &results, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "flags has unknown bits set: 0x2",
        subpy_function_call_many(function, rows, 2, 3, 2, &results, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "flags has unknown bits set: 0xffffff82",
        subpy_function_call_many(function, rows, 2, 3, UINT32_MAX, &results, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...results is NULL",
        subpy_function_call_many(function, rows, 2, 3, SUBPY_RETURN_ERRORS, NULL, &error));
  CHECK(number(interp, "calls") == 0);
  const subpy_function invented[] = {0, 1, UINT64_MAX, interp};
  for (size_t i = 0; i < COUNT(invented); i++)
    FAILS(SUBPY_ERROR_NOT_FOUND, "...is not the handle of a function",
          subpy_function_call_many(invented[i], rows, 2, 3, 0, &results, &error));
  OK(subpy_function_call_many(function, rows, 2, 3, 0, NULL, NULL));
  OK(subpy_function_call_many(function, NULL, 0, 3, 0, &results, NULL));
  CHECK(results.kind == SUBPY_KIND_LIST && results.len == 0);
  subpy_value_free(&results);
  for (int bit = 0; bit < 64; bit++) {
    OK(subpy_function_call_many(function, NULL, 0, SIZE_MAX >> bit, 0, &results, NULL));
    CHECK(results.kind == SUBPY_KIND_LIST && results.len == 0);
    subpy_value_free(&results);
  }
  OK(subpy_function_call_many(function, rows, 0, 3, SUBPY_RETURN_ERRORS, &results, NULL));
  subpy_value_free(&results);
  OK(subpy_close(interp, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...unrecognized interpreter ID",
        subpy_function_call_many(function, rows, 2, 3, 0, &results, &error));
  subpy_function_free(function);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...it was freed", subpy_function_call_many(function, rows, 2, 3, 0, &results, &error));
  /* Nothing ran, and nothing is kept from a call that was refused. */
  FAILS(SUBPY_ERROR_NOT_FOUND, "...it was freed",
        subpy_function_call_many(function, rows, 0, 3, SUBPY_RETURN_ERRORS, &results, &error));
}

int main(void) {
  results();
  first_error();
  errors_in_the_results();
  wrong_arguments();
  return 0;
}
