/* eval and call: what they find, what they return, what they raise. */
#include "guest.h"

static subpy_interp interp;

/* A call without arguments fails with this exception. */
#define CALL_RAISES(callable, expected)                                                                      \
  do {                                                                                                       \
    subpy_value result_ = subpy_int(1);                                                                      \
    FAILS(SUBPY_ERROR_EXECUTION_FAILED, expected,                                                            \
          subpy_call(interp, callable, SUBPY_AUTO_LEN, NULL, 0, NULL, &result_, &error));                    \
    CHECK(result_.kind == SUBPY_KIND_NONE);                                                                  \
  } while (0)

static int64_t call_number(const char *callable, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  subpy_error *error = NULL;
  subpy_value result = {0};
  OK(subpy_call(interp, callable, SUBPY_AUTO_LEN, args, nargs, kwargs, &result, &error));
  CHECK(result.kind == SUBPY_KIND_INT);
  return result.u.as_int;
}

static void eval(void) {
  subpy_error *error = NULL;
  subpy_value value = {0};
  run(interp, "x = 20");
  CHECK(number(interp, "x + 22") == 42);
  CHECK(number(interp, "  \t x") == 20); /* as eval() of a str with blanks in front */
  CHECK(number(interp, "(x +\n 1)") == 21);
  CHECK(number(interp, "x\n\n") == 20);
  CHECK(number(interp, "[y := x + 1, y][1]") == 21 && number(interp, "y") == 21);
  CHECK(number(interp, "(lambda: x)()") == 20);
  OK(subpy_eval(interp, "1 + 1 oops", 5, &value, &error));
  CHECK(value.kind == SUBPY_KIND_INT && value.u.as_int == 2);
  FAILS(SUBPY_ERROR_SYNTAX, "IndentationError: unexpected indent (<script>, line 2)",
        subpy_eval(interp, "\n 1", SUBPY_AUTO_LEN, &value, &error));
  CHECK(value.kind == SUBPY_KIND_NONE);
  FAILS(SUBPY_ERROR_SYNTAX, "SyntaxError: invalid syntax (<script>, line 1)",
        subpy_eval(interp, "import os", SUBPY_AUTO_LEN, &value, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "NameError: name 'missing' is not defined",
        subpy_eval(interp, "missing", SUBPY_AUTO_LEN, &value, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "expression is NULL",
        subpy_eval(interp, NULL, SUBPY_AUTO_LEN, &value, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "expression: invalid UTF-8 at byte offset 1",
        subpy_eval(interp, "1\xff", 2, &value, &error));

  value = subpy_int(1);
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, "result: object cannot be shared",
        subpy_eval(interp, "object()", SUBPY_AUTO_LEN, &value, &error));
  CHECK(value.kind == SUBPY_KIND_NONE);
  run(interp, "import datetime");
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, "result['a'][3]: datetime.datetime cannot be shared",
        subpy_eval(interp, "{'a': [1, 2, 3, datetime.datetime(2026, 1, 1)]}", SUBPY_AUTO_LEN, &value, &error));
  /* Nobody wants it, so it need not be shareable. */
  OK(subpy_eval(interp, "object()", SUBPY_AUTO_LEN, NULL, &error));
}

static void names(void) {
  subpy_error *error = NULL;
  run(interp, "def seven(): return 7\n"
              "class C:\n"
              "  @staticmethod\n"
              "  def eight(): return 8\n"
              "  class D:\n"
              "    def __call__(self): return 9\n"
              "nine = C.D()\n"
              "ten = lambda: 10\n"
              "not_callable = 1\n"
              "\xc3\xbcnf = lambda: 5\n"
              "globals()['no identifier'] = lambda: 6");
  CHECK(call_number("seven", NULL, 0, NULL) == 7);
  CHECK(call_number("C.eight", NULL, 0, NULL) == 8);
  CHECK(call_number("nine", NULL, 0, NULL) == 9);
  CHECK(call_number("ten", NULL, 0, NULL) == 10);
  CHECK(call_number("\xc3\xbcnf", NULL, 0, NULL) == 5);
  CHECK(call_number("no identifier", NULL, 0, NULL) == 6);
  CHECK(call_number("__main__:seven", NULL, 0, NULL) == 7);
  CHECK(call_number("builtins:int", NULL, 0, NULL) == 0);
  CHECK(call_number("os.path:sys.getrecursionlimit", NULL, 0, NULL) == 1000);
  subpy_value text = subpy_str("a/b", 3), result = {0};
  OK(subpy_call(interp, "os.path:basename", SUBPY_AUTO_LEN, &text, 1, NULL, &result, &error));
  CHECK(result.kind == SUBPY_KIND_STR && result.len == 1 && strcmp(result.u.as_str, "b") == 0);
  subpy_value_free(&result);
  OK(subpy_call(interp, "seven and more", 5, NULL, 0, NULL, &result, &error));
  CHECK(result.u.as_int == 7);
  /* Looked up at each call. */
  run(interp, "def seven(): return 77");
  CHECK(call_number("seven", NULL, 0, NULL) == 77);

  CALL_RAISES("missing", "AttributeError: module '__main__' has no attribute 'missing'");
  CALL_RAISES("", "AttributeError: module '__main__' has no attribute ''");
  CALL_RAISES("C.missing", "AttributeError: type object 'C' has no attribute 'missing'");
  CALL_RAISES("math:missing", "AttributeError: module 'math' has no attribute 'missing'");
  CALL_RAISES("math:sqrt.missing", "AttributeError: 'builtin_function_or_method' object has no attribute 'missing'");
  CALL_RAISES("no.such:name", "ModuleNotFoundError: No module named 'no'");
  CALL_RAISES("os.no_such:name", "ModuleNotFoundError: No module named 'os.no_such'; 'os' is not a package");
  CALL_RAISES(":name", "ValueError: Empty module name");
  CALL_RAISES("not_callable", "TypeError: 'int' object is not callable");
  CALL_RAISES("math:pi", "TypeError: 'float' object is not callable");
  CALL_RAISES("math:", "AttributeError: module 'math' has no attribute ''");
  CALL_RAISES("seven.", "AttributeError: 'function' object has no attribute ''");
  /* Not builtins and no modules, as getattr; but it is said what was meant. */
  CALL_RAISES("print", "AttributeError: module '__main__' has no attribute 'print'; did you mean \"builtins:print\"?");
  CALL_RAISES("str.upper", "AttributeError: module '__main__' has no attribute 'str'; did you mean \"builtins:str.upper\"?");
  CALL_RAISES("math.sqrt", "AttributeError: module '__main__' has no attribute 'math'; did you mean \"math:sqrt\"?");
  CALL_RAISES("os.path.join", "AttributeError: module '__main__' has no attribute 'os'; did you mean \"os.path:join\"?");
  CALL_RAISES("collections.Counter.fromkeys",
              "AttributeError: module '__main__' has no attribute 'collections'; did you mean \"collections:Counter.fromkeys\"?");
  CALL_RAISES("never.imported.name",
              "AttributeError: module '__main__' has no attribute 'never'; did you mean \"never.imported:name\"?");
  CALL_RAISES("missing", "AttributeError: module '__main__' has no attribute 'missing'");
  CALL_RAISES("a..b", "AttributeError: module '__main__' has no attribute 'a'");
  CALL_RAISES(".a", "AttributeError: module '__main__' has no attribute ''");
  /* A prepared function says the same, and the exception's own texts do not. */
  subpy_function function = 1;
  CHECK(subpy_function_new(interp, "math.sqrt", SUBPY_AUTO_LEN, &function, &error) == SUBPY_ERROR_EXECUTION_FAILED);
  CHECK(strstr(subpy_error_message(error, NULL), "did you mean \"math:sqrt\"?") && function == 0);
  CHECK_ERROR(subpy_error_formatted, error, "AttributeError: module '__main__' has no attribute 'math'");
  CHECK_ERROR(subpy_error_exception_message, error, "module '__main__' has no attribute 'math'");
  CHECK_ERROR(subpy_error_display, error, "AttributeError: module '__main__' has no attribute 'math'");
  subpy_error_free(error);
  error = NULL;
  /* A coroutine is no result. */
  run(interp, "import warnings\nwarnings.simplefilter('ignore')\nasync def co(): return 1");
  FAILS(SUBPY_ERROR_NOT_SHAREABLE,
        "result: coroutine cannot be shared, call a function that runs it: return asyncio.run(...)",
        subpy_call(interp, "co", SUBPY_AUTO_LEN, NULL, 0, NULL, &result, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...AttributeError: module '__main__' has no attribute 'a",
        subpy_call(interp, "a\0b", 3, NULL, 0, NULL, NULL, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "callable is NULL",
        subpy_call(interp, NULL, SUBPY_AUTO_LEN, NULL, 0, NULL, NULL, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "callable: invalid UTF-8 at byte offset 0",
        subpy_call(interp, "\xff", SUBPY_AUTO_LEN, NULL, 0, NULL, NULL, &error));
}

static int64_t call_int(const char *name) {
  subpy_error *error = NULL;
  subpy_value result = {0};
  OK(subpy_call(interp, name, SUBPY_AUTO_LEN, NULL, 0, NULL, &result, &error));
  CHECK(result.kind == SUBPY_KIND_INT);
  return result.u.as_int;
}

/* The library keeps names from call to call. What they mean is looked up each time, and names that look alike stay apart. */
static void names_that_change(void) {
  subpy_error *error = NULL;
  run(interp, "def f(): return 1");
  CHECK(call_int("f") == 1);
  run(interp, "def f(): return 2");
  CHECK(call_int("f") == 2);
  run(interp, "del f");
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...has no attribute 'f'",
        subpy_call(interp, "f", SUBPY_AUTO_LEN, NULL, 0, NULL, NULL, &error));
  run(interp,
      "import sys, types\n"
      "def module(value):\n"
      "  sys.modules['fresh'] = types.ModuleType('fresh')\n"
      "  sys.modules['fresh'].g = lambda: value\n"
      "module(1)");
  CHECK(call_int("fresh:g") == 1);
  run(interp, "sys.modules['fresh'].g = lambda: 2");
  CHECK(call_int("fresh:g") == 2);
  run(interp, "module(3)");
  CHECK(call_int("fresh:g") == 3);

  enum { NAMES = 300 };
  char name[200];
  run(interp, "for i in range(300): globals()[f'a{i:03}b'] = globals()['x' * i + 'y'] = lambda i=i: i");
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < NAMES; i++) {
      snprintf(name, sizeof name, "a%03db", round == 1 ? NAMES - 1 - i : i);
      CHECK(call_int(name) == (round == 1 ? NAMES - 1 - i : i));
    }
    for (int i = 0; i < 150; i++) {
      memset(name, 'x', (size_t)i);
      strcpy(name + i, "y");
      CHECK(call_int(name) == i);
    }
  }
}

/* Keyword names, too: few, many, and one that comes twice among many. */
static void keywords(void) {
  enum { MANY = 40 };
  subpy_error *error = NULL;
  subpy_pair pairs[MANY];
  char names[MANY][8];
  run(interp, "def keywords(*args, **kwargs): return sum(args) + sum(int(k[1:]) * v for k, v in kwargs.items())");
  for (int i = 0; i < MANY; i++) {
    snprintf(names[i], sizeof names[i], "k%d", i);
    pairs[i] = (subpy_pair){subpy_str(names[i], SUBPY_AUTO_LEN), subpy_int(2)};
  }
  const subpy_value args[] = {subpy_int(1000), subpy_int(2000)};
  for (size_t count = 0; count <= MANY; count++) {
    subpy_value kwargs = subpy_dict(pairs, count), result = {0};
    OK(subpy_call(interp, "keywords", SUBPY_AUTO_LEN, args, 2, &kwargs, &result, &error));
    CHECK(result.u.as_int == (int64_t)(3000 + count * count - count));
  }
  for (int count = 2; count <= MANY; count += 19) {
    subpy_value kwargs = subpy_dict(pairs, (size_t)count);
    pairs[count - 1].key = pairs[0].key;
    FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...got multiple values for keyword argument 'k0'",
          subpy_call(interp, "keywords", SUBPY_AUTO_LEN, args, 2, &kwargs, NULL, &error));
    pairs[count - 1].key = subpy_str(names[count - 1], SUBPY_AUTO_LEN);
  }
}

static void arguments(void) {
  subpy_error *error = NULL;
  run(interp, "def both(*args, **kwargs): return len(args) * 100 + sum(kwargs.values())\n"
              "def named(a, b=2, *, c=3): return a * 100 + b * 10 + c");
  subpy_value many[300] = {{0}};
  CHECK(call_number("both", many, 300, NULL) == 30000);
  CHECK(call_number("both", many, 8, NULL) == 800);
  CHECK(call_number("both", many, 9, NULL) == 900);
  subpy_pair pairs[] = {{subpy_str("c", 1), subpy_int(7)}, {subpy_str("b", 1), subpy_int(8)}};
  subpy_value kwargs = subpy_dict(pairs, 2), empty = subpy_dict(NULL, 0), none = subpy_none(), one = subpy_int(1);
  CHECK(call_number("named", &one, 1, &kwargs) == 187);
  CHECK(call_number("named", &one, 1, &empty) == 123);
  CHECK(call_number("named", &one, 1, NULL) == 123);
  CHECK(call_number("both", NULL, 0, &kwargs) == 15);

  subpy_value result = subpy_int(5);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "TypeError: named() missing 1 required positional argument: 'a'",
        subpy_call(interp, "named", SUBPY_AUTO_LEN, NULL, 0, &kwargs, &result, &error));
  CHECK(result.kind == SUBPY_KIND_NONE);
  pairs[1].key = subpy_str("no", 2);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "TypeError: named() got an unexpected keyword argument 'no'",
        subpy_call(interp, "named", SUBPY_AUTO_LEN, &one, 1, &kwargs, &result, &error));
  pairs[1].key = subpy_str("c", 1);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...TypeError: ",
        subpy_call(interp, "named", SUBPY_AUTO_LEN, &one, 1, &kwargs, &result, &error)); /* `c` twice */
  pairs[1].key = subpy_int(1);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "kwargs: key 1 is SUBPY_KIND_INT, must be SUBPY_KIND_STR",
        subpy_call(interp, "named", SUBPY_AUTO_LEN, &one, 1, &kwargs, &result, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "kwargs: kind is SUBPY_KIND_INT, must be SUBPY_KIND_DICT with str keys",
        subpy_call(interp, "named", SUBPY_AUTO_LEN, &one, 1, &one, &result, &error));
  CHECK(call_number("named", &one, 1, &none) == 123); /* a zeroed value: no keywords */
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "args is NULL but nargs is 1",
        subpy_call(interp, "named", SUBPY_AUTO_LEN, NULL, 1, NULL, &result, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...args: len is 18446744073709551615",
        subpy_call(interp, "named", SUBPY_AUTO_LEN, &one, SIZE_MAX, NULL, &result, &error));
  subpy_value bad[] = {subpy_none(), {.kind = -1}};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "args[1]: kind -1 is not one of SUBPY_KIND_*",
        subpy_call(interp, "named", SUBPY_AUTO_LEN, bad, 2, NULL, &result, &error));
  subpy_pair twice = {subpy_list(many, 1), subpy_none()};
  subpy_value unhashable = subpy_dict(&twice, 1);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...TypeError: ",
        subpy_call(interp, "named", SUBPY_AUTO_LEN, &unhashable, 1, NULL, &result, &error));

  /* The function may keep and change what it got: it is a copy. */
  run(interp, "kept = []\ndef keep(list): kept.append(list); list.append(4); return len(list)");
  subpy_value items[] = {subpy_int(1), subpy_int(2), subpy_int(3)}, list = subpy_list(items, 3);
  CHECK(call_number("keep", &list, 1, NULL) == 4);
  items[0] = subpy_int(9);
  CHECK(number(interp, "kept == [[1, 2, 3, 4]]") && list.len == 3);
}

static void results(void) {
  subpy_error *error = NULL;
  subpy_value result = {0};
  run(interp, "def gives(it=None): return it\n"
              "def unshareable(): return {1: [set()]}\n"
              "def raises(): raise LookupError('here')");
  OK(subpy_call(interp, "gives", SUBPY_AUTO_LEN, NULL, 0, NULL, &result, &error));
  CHECK(result.kind == SUBPY_KIND_NONE);
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, "result[1][0]: set cannot be shared",
        subpy_call(interp, "unshareable", SUBPY_AUTO_LEN, NULL, 0, NULL, &result, &error));
  OK(subpy_call(interp, "unshareable", SUBPY_AUTO_LEN, NULL, 0, NULL, NULL, &error));
  CALL_RAISES("raises", "LookupError: here");

  OK(subpy_eval(interp, "(1, 'two', [3.0, {'four': b'4'}])", SUBPY_AUTO_LEN, &result, &error));
  CHECK(result.kind == SUBPY_KIND_TUPLE && result.len == 3);
  const subpy_value *dict = &result.u.as_items[2].u.as_items[1];
  const subpy_value *four = subpy_value_get(dict, "four", SUBPY_AUTO_LEN);
  CHECK(four && four->kind == SUBPY_KIND_BYTES && four->len == 1 && four->u.as_bytes[0] == '4');
  OK(subpy_close(interp, &error));
  CHECK(strcmp(result.u.as_items[1].u.as_str, "two") == 0); /* outlives the interpreter */
  subpy_value_free(&result);
  CHECK(result.kind == SUBPY_KIND_NONE);
  result = subpy_int(1);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...unrecognized interpreter ID ",
        subpy_eval(interp, "1", SUBPY_AUTO_LEN, &result, &error));
  CHECK(result.kind == SUBPY_KIND_NONE);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...unrecognized interpreter ID ",
        subpy_call(interp, "f", SUBPY_AUTO_LEN, NULL, 0, NULL, &result, &error));
}

int main(void) {
  interp = create();
  eval();
  names();
  names_that_change();
  arguments();
  keywords();
  results();
  shut_down();
  return 0;
}
