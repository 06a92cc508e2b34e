/* exec and prepare_main: where code runs, what it sees, what it leaves. */
#include "guest.h"

static subpy_interp interp;

static void namespace(void) {
  subpy_error *error = NULL;
  run(interp, "x = 1\nimport sys");
  run(interp, "x += 1\ndef f(): return x");
  CHECK(number(interp, "x") == 2 && number(interp, "f()") == 2);
  CHECK_EVAL(interp, "__name__", "__main__");
  CHECK(number(interp, "globals() is sys.modules['__main__'].__dict__ and locals() is globals()"));
  CHECK(number(interp, "f.__code__.co_filename == '<script>'"));
  CHECK(number(interp, "__builtins__ is sys.modules['builtins'] or __builtins__ == vars(sys.modules['builtins'])"));

  /* What ran before an exception stays. */
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "ZeroDivisionError: division by zero",
        subpy_exec(interp, "x = 10\n1 / 0\nx = 11", SUBPY_AUTO_LEN, &error));
  CHECK(number(interp, "x") == 10);
  /* Nothing of source that does not compile runs. */
  FAILS(SUBPY_ERROR_SYNTAX, "...SyntaxError: ", subpy_exec(interp, "x = 20\nx = = 1", SUBPY_AUTO_LEN, &error));
  CHECK(number(interp, "x") == 10);

  /* Another interpreter has none of it. */
  subpy_interp other = create();
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "NameError: name 'x' is not defined",
        subpy_exec(other, "x", SUBPY_AUTO_LEN, &error));
  OK(subpy_close(other, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...unrecognized interpreter ID ", subpy_exec(other, "", SUBPY_AUTO_LEN, &error));
}

static void source(void) {
  subpy_error *error = NULL;
  OK(subpy_exec(interp, "a = 1;oops", 5, &error));
  CHECK(number(interp, "a") == 1);
  OK(subpy_exec(interp, "", 0, &error));
  OK(subpy_exec(interp, NULL, 0, &error));
  OK(subpy_exec(interp, "\r\na = 2\r\n\r\n", SUBPY_AUTO_LEN, &error));
  OK(subpy_exec(interp, "# -*- coding: latin-1 -*-\na = '\xc3\xa9'", SUBPY_AUTO_LEN, &error));
  CHECK_EVAL(interp, "a", "\xc3\xa9");
  OK(subpy_exec(interp, "# coding: no-such-coding\n\xc3\xa9 = 'name'", SUBPY_AUTO_LEN, &error));
  CHECK_EVAL(interp, "\xc3\xa9", "name");
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "code is NULL", subpy_exec(interp, NULL, SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "code is NULL", subpy_exec(interp, NULL, 1, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "code: invalid UTF-8 at byte offset 3",
        subpy_exec(interp, "a =\xff", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "code: invalid UTF-8 at byte offset 0",
        subpy_exec(interp, "\xed\xa0\x80", SUBPY_AUTO_LEN, &error)); /* a surrogate */
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "code: invalid UTF-8 at byte offset 1",
        subpy_exec(interp, "a\xc3\xa9", 2, &error)); /* cut in the middle of a character */
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "the length of code is 9223372036854775808, more than memory can hold",
        subpy_exec(interp, "", (size_t)PTRDIFF_MAX + 1, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...more than memory can hold", subpy_exec(interp, "", SIZE_MAX - 1, &error));

  /* Invalid arguments come before the interpreter is looked at, and that before the source is. */
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "code is NULL", subpy_exec(12345, NULL, SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "12345 is not the handle of an interpreter",
        subpy_exec(12345, "= =", SUBPY_AUTO_LEN, &error));
}

static void values_for_main(void) {
  subpy_error *error = NULL;
  subpy_value items[] = {subpy_int(1), subpy_str("two", 3)};
  subpy_pair names[] = {
      {subpy_str("one", SUBPY_AUTO_LEN), subpy_int(1)},
      {subpy_str("items", SUBPY_AUTO_LEN), subpy_list(items, 2)},
      {subpy_str("pairs", SUBPY_AUTO_LEN), subpy_dict(NULL, 0)},
      {subpy_str("", 0), subpy_none()},
      {subpy_str("na\xc3\xafve name", SUBPY_AUTO_LEN), subpy_bool(true)},
  };
  subpy_value dict = subpy_dict(names, 5);
  OK(subpy_prepare_main(interp, &dict, &error));
  CHECK(number(interp, "one == 1 and items == [1, 'two'] and pairs == {}"));
  CHECK(number(interp, "globals()[''] is None and globals()['na\xc3\xafve name'] is True"));
  run(interp, "items.append(3)"); /* a copy, and Python's own */
  CHECK(number(interp, "len(items)") == 3);

  /* All or nothing. */
  subpy_pair inner[] = {{subpy_list(items, 2), subpy_int(3)}};
  subpy_pair some[] = {{subpy_str("one", 3), subpy_int(2)}, {subpy_str("bad", 3), subpy_dict(inner, 1)}};
  dict = subpy_dict(some, 2);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...TypeError: ", subpy_prepare_main(interp, &dict, &error));
  CHECK(number(interp, "one") == 1 && number(interp, "'bad' in globals()") == 0);
  some[1].value = (subpy_value){.kind = 99};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "names['bad']: kind 99 is not one of SUBPY_KIND_*",
        subpy_prepare_main(interp, &dict, &error));
  some[1].value = subpy_str("\xff", 1);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "names['bad']: invalid UTF-8 at byte offset 0",
        subpy_prepare_main(interp, &dict, &error));
  CHECK(number(interp, "one") == 1);

  some[1] = (subpy_pair){subpy_str("a\0b", 3), subpy_int(1)};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "names: key 1 has an embedded NUL character",
        subpy_prepare_main(interp, &dict, &error));
  some[1].key = subpy_str("\xed\xa0\x80", 3);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "names key 1: invalid UTF-8 at byte offset 0",
        subpy_prepare_main(interp, &dict, &error));
  some[1].key = subpy_int(1);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "names: key 1 is SUBPY_KIND_INT, must be SUBPY_KIND_STR",
        subpy_prepare_main(interp, &dict, &error));
  some[1].key = subpy_bytes((const uint8_t *)"b", 1);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "names: key 1 is SUBPY_KIND_BYTES, must be SUBPY_KIND_STR",
        subpy_prepare_main(interp, &dict, &error));
  dict = subpy_dict(NULL, 0);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "names must be a non-empty dict", subpy_prepare_main(interp, &dict, &error));
  dict = subpy_none();
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "names: kind is SUBPY_KIND_NONE, must be SUBPY_KIND_DICT with str keys",
        subpy_prepare_main(interp, &dict, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "names is NULL", subpy_prepare_main(interp, NULL, &error));
  dict = subpy_dict(some, 1);
  FAILS(SUBPY_ERROR_NOT_FOUND, "5 is not the handle of an interpreter", subpy_prepare_main(5, &dict, &error));

  /* A name that Python code watches over is Python's business: the last of two wins. */
  subpy_pair twice[] = {{subpy_str("two", 3), subpy_int(1)}, {subpy_str("two", 3), subpy_int(2)}};
  dict = subpy_dict(twice, 2);
  OK(subpy_prepare_main(interp, &dict, &error));
  CHECK(number(interp, "two") == 2);
}

static void printed(void) {
  run(interp, "print('text', '\xc3\xa9\xf0\x9f\x90\x8d', end='')");
  run(interp, "import sys\nsys.stdout.write('|more')\nsys.stdout.buffer.write(b'|bytes')");
}

static void printed_by_failing(void) {
  subpy_error *error = NULL;
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "ValueError: late",
        subpy_exec(interp, "print('before')\nraise ValueError('late')", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "SystemExit: 3",
        subpy_exec(interp, "print('exit')\nimport sys\nsys.exit(3)", SUBPY_AUTO_LEN, &error));
}

/* Text is in the descriptor when the run has returned, in order with what the host writes. */
static void output_in_order(void) {
  run(interp, "print('python 1')");
  CHECK(write(1, "C 1\n", 4) == 4);
  run(interp, "print('python 2')");
  CHECK(write(1, "C 2\n", 4) == 4);
  CHECK(number(interp, "print('in eval') or 1") == 1);
}

static void output(void) {
  char *text = capture(1, printed);
  CHECK(strcmp(text, "text \xc3\xa9\xf0\x9f\x90\x8d|more|bytes") == 0);
  free(text);
  text = capture(1, printed_by_failing);
  CHECK(strcmp(text, "before\nexit\n") == 0);
  free(text);
  text = capture(1, output_in_order);
  CHECK(strcmp(text, "python 1\nC 1\npython 2\nC 2\nin eval\n") == 0);
  free(text);
}

/* SIGPIPE is ignored once Python runs, so a guest gets an exception and the process lives. */
static void closed_pipe(void) {
  signal_pipe pipe = signal_new();
  subpy_error *error = NULL;
  CHECK(close(pipe.in) == 0);
  int saved = dup(1);
  CHECK(dup2(pipe.out, 1) == 1);
  subpy_status status = subpy_exec(interp, "print('nobody reads this')", SUBPY_AUTO_LEN, &error);
  CHECK(dup2(saved, 1) == 1);
  CHECK(status == SUBPY_ERROR_EXECUTION_FAILED);
  CHECK_ERROR(subpy_error_type_name, error, "BrokenPipeError");
  CHECK_ERROR(subpy_error_formatted, error, "BrokenPipeError: [Errno 32] Broken pipe");
  subpy_error_free(error);
  error = NULL;
  char code[100];
  snprintf(code, sizeof code, "import os\nos.write(%d, b'x')", pipe.out);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "BrokenPipeError: [Errno 32] Broken pipe",
        subpy_exec(interp, code, SUBPY_AUTO_LEN, &error));
  run(interp, "print(end='')");
  close(saved);
}

/* These touch other interpreters' frames in CPython 3.14, which ends the process. */
static void frames_of_all_threads(void) {
  subpy_interp other = create();
  signal_pipe begun = signal_new(), end = signal_new();
  define_block(other, begun, end);
  subpy_thread thread = block_in_thread(other, begun);
  run(interp, "import sys, threading\n"
              "def frames(): return sys._current_frames()\n"
              "found = frames()");
  CHECK(number(interp, "threading.get_ident() in found and found[threading.get_ident()].f_code.co_name == 'frames'"));
  run(interp, "try: 1 / 0\n"
              "except ZeroDivisionError as e: found = sys._current_exceptions()[threading.get_ident()] is e");
  /* The main thread of a process has another state beside this one. */
  CHECK(in_processes() || number(interp, "found"));
  /* In main, and in an interpreter that is not the library's. */
  subpy_interp main = 0;
  subpy_error *error = NULL;
  OK(subpy_get_main(&main, &error));
  run(main, "import sys, threading\n"
            "for _ in range(1000): frames = sys._current_frames(), sys._current_exceptions()\n"
            "known = list(map(list, frames)) == [[threading.get_ident()]] * 2");
  CHECK(in_processes() || number(main, "known"));
  const char *foreign = "import _interpreters, sys\n"
                        "id = _interpreters.create()\n"
                        "failed = _interpreters.exec(id, 'import sys; sys._current_frames()')\n"
                        "_interpreters.destroy(id)\n";
  run(interp, foreign);
  CHECK(number(interp, "failed is None if sys.version_info >= (3, 15) else 'are not supported' in failed.formatted"));
  end_block(thread, end);
  OK(subpy_close(other, &error));
}

int main(void) {
  interp = create();
  namespace();
  source();
  values_for_main();
  output();
  if (!in_processes()) closed_pipe(); /* descriptors are a process's own */
  frames_of_all_threads();
  shut_down();
  return 0;
}
