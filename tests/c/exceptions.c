/* Uncaught exceptions: every field of excinfo, for ordinary ones as concurrent.interpreters gives them, and for those that
 * end a process there. */
#include <sys/resource.h>
#include <time.h>

#include "guest.h"

static subpy_interp interp;

/* ---- the same as in concurrent.interpreters ---- */

static const char *const ORDINARY[] = {
    "raise ValueError('text')",
    "raise ValueError",
    "raise ValueError('')",
    "raise ValueError('\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x8d', 2)",
    "raise ValueError('several\\nlines\\n')",
    "raise KeyError('a')",
    "raise OSError(2, 'No such file', 'name')",
    "1 / 0",
    "undefined",
    "import no_such_module",
    "import sys\nsys.exit()",
    "import sys\nsys.exit(3)",
    "import sys\nsys.exit('text')",
    "raise KeyboardInterrupt",
    "raise GeneratorExit('text')",
    "raise BaseException(1, 2)",
    "raise StopIteration(7)",
    "assert 1 == 2, 'not equal'",
    "class Mine(Exception): pass\nraise Mine('in main')",
    "class Outer:\n  class Inner(Exception): pass\nraise Outer.Inner('nested')",
    "def f():\n  class Local(Exception): pass\n  raise Local('local')\nf()",
    "class Mine(Exception): __module__ = 'some.module'\nraise Mine('text')",
    "class Mine(Exception): __qualname__ = 'Other.Name'\nraise Mine('text')",
    "class Mine(Exception): __module__ = 'some.module'\nraise Mine",
    "import decimal\ndecimal.Decimal(1) / 0",
    "import json\njson.loads('{')",
    "class Mine(Exception):\n  def __str__(self): return 'own text'\nraise Mine('unused')",
    "class Mine(Exception):\n  def __repr__(self): return 'own repr'\nraise Mine('used')",
    "def f(): g()\ndef g(): h()\ndef h(): raise ValueError('deep')\nf()",
    "try: 1 / 0\nexcept ZeroDivisionError as e: raise ValueError('cause') from e",
    "try: 1 / 0\nexcept ZeroDivisionError: raise ValueError('context')",
    "try: 1 / 0\nexcept ZeroDivisionError: raise ValueError('none') from None",
    "e = ValueError('noted')\ne.add_note('a note')\ne.add_note('two\\nlines')\nraise e",
    "raise ExceptionGroup('group', [ValueError(1), ExceptionGroup('inner', [KeyError('k')])])",
    "raise BaseExceptionGroup('group', [SystemExit(3), KeyboardInterrupt()])",
    "try: 1 / 0\nexcept ZeroDivisionError as e: raise ExceptionGroup('group', [e])",
    "def f(n): return f(n + 1)\nf(0)",
    "def f(n): return f(n - 1) if n else 1 / 0\nf(500)",
    "raise SyntaxError('mine')",
    "compile('x = = 1', 'file.py', 'exec')",
    "x = 1\nx.missing",
    "import os\nos.environ['no such variable']",
    "exec(compile('def f():\\n  raise ValueError(1)\\n', 'made/up.py', 'exec'))\nf()",
    "int('x')",
    "[].pop()",
    "def f():\n  yield\n  raise ValueError('in a generator')\nlist(f())",
    "e = ValueError('again')\ntry: raise e\nexcept ValueError: pass\nraise e",
    "raise UnicodeDecodeError('utf-8', b'\\xff', 0, 1, 'why')",
    "from warnings import warn\nimport warnings\nwarnings.simplefilter('error')\nwarn('a warning')",
};

/* What Python's own module says, by running it in the main interpreter; with the source lines, as the REPL shows them. */
static const char STDLIB[] =
    "import concurrent.interpreters as interpreters\n"
    "interp = interpreters.create()\n"
    "def stdlib(code):\n"
    "  interp.prepare_main(source=code)\n"
    "  interp.exec('import linecache\\nlinecache._interactive_cache.clear()\\n'\n"
    "              'linecache._register_code(compile(source, \"<script>\", \"exec\"), source, \"<script>\")')\n"
    "  try:\n"
    "    interp.exec(code)\n"
    "  except interpreters.ExecutionFailed as failed:\n"
    "    it = failed.excinfo\n"
    "    return (it.type.__name__, it.type.__qualname__, it.type.__module__, it.msg, it.formatted, it.errdisplay)\n";

static void check_same(const char *code, const char *what, const subpy_value *expected, const char *text, size_t len) {
  CHECK(expected->kind == SUBPY_KIND_STR);
  if (len != expected->len || memcmp(text, expected->u.as_str, len) != 0) {
    fprintf(stderr, "%s of\n%s\nis\n%s\nnot\n%s\n", what, code, text, expected->u.as_str);
    exit(1);
  }
}

static void as_in_stdlib(void) {
  typedef const char *accessor(const subpy_error *, size_t *);
  static accessor *const accessors[] = {subpy_error_type_name,         subpy_error_type_qualname,
                                        subpy_error_type_module,       subpy_error_exception_message,
                                        subpy_error_formatted,         subpy_error_display};
  static const char *const names[] = {"__name__", "__qualname__", "__module__", "msg", "formatted", "errdisplay"};
  subpy_error *error = NULL;
  subpy_interp main_one = 0;
  OK(subpy_get_main(&main_one, &error));
  run(main_one, STDLIB);
  subpy_interp ours = create();
  for (size_t index = 0; index < sizeof ORDINARY / sizeof *ORDINARY; index++) {
    const char *code = ORDINARY[index];
    subpy_value argument = subpy_str(code, SUBPY_AUTO_LEN), expected = {0};
    OK(subpy_call(main_one, "stdlib", SUBPY_AUTO_LEN, &argument, 1, NULL, &expected, &error));
    CHECK(expected.kind == SUBPY_KIND_TUPLE && expected.len == 6);
    subpy_error *raised = exception(ours, code);
    for (size_t field = 0; field < 6; field++) {
      size_t len = 0;
      const char *text = accessors[field](raised, &len);
      check_same(code, names[field], &expected.u.as_items[field], text, len);
    }
    /* The message is the first line of `formatted`. */
    const char *formatted = subpy_error_formatted(raised, NULL), *message = subpy_error_message(raised, NULL);
    CHECK(strcspn(formatted, "\n") == strlen(message) && strncmp(formatted, message, strlen(message)) == 0);
    CHECK(!subpy_error_syntax(raised, NULL, NULL, NULL));
    subpy_error_free(raised);
    subpy_value_free(&expected);
  }
  run(main_one, "interp.close()");
  OK(subpy_close(ours, &error));
}

/* ---- those that end the process in concurrent.interpreters ---- */

static void str_that_fails(void) {
  const char *codes[] = {
      "class Mine(Exception):\n  def __str__(self): raise KeyError\nraise Mine",
      "class Mine(Exception):\n  def __str__(self): return 7\nraise Mine",
      "class Mine(Exception):\n  def __str__(self): return None\nraise Mine",
      "class Mine(Exception):\n  def __str__(self): raise SystemExit(4)\nraise Mine",
      "class Mine(Exception):\n  def __str__(self): return str(self)\nraise Mine",
      "class Bad:\n  def __str__(self): 1 / 0\n  __repr__ = __str__\nclass Mine(Exception): pass\nraise Mine(Bad())",
  };
  for (size_t index = 0; index < sizeof codes / sizeof *codes; index++) {
    subpy_error *error = exception(interp, codes[index]);
    CHECK_ERROR(subpy_error_type_name, error, "Mine");
    CHECK_ERROR(subpy_error_exception_message, error, "<exception str() failed>");
    CHECK_ERROR(subpy_error_formatted, error, "Mine: <exception str() failed>");
    CHECK_ERROR(subpy_error_message, error, "Mine: <exception str() failed>");
    CHECK(strstr(subpy_error_display(error, NULL), "Mine: <exception str() failed>"));
    CHECK(!subpy_error_exit_status(error, NULL));
    CHECK(subpy_error_frame_count(error) == 1);
    subpy_error_free(error);
  }
  run(interp, "fine = 1");
}

static void strange_texts(void) {
  subpy_error *error = exception(interp, "raise ValueError('a\\0b')");
  CHECK_ERROR(subpy_error_exception_message, error, "a\0b");
  CHECK_ERROR(subpy_error_formatted, error, "ValueError: a\0b");
  CHECK_ERROR(subpy_error_message, error, "ValueError: a\0b");
  CHECK_ERROR(subpy_error_display, error,
              "Traceback (most recent call last):\n  File \"<script>\", line 1, in <module>\n"
              "    raise ValueError('a\\0b')\nValueError: a\0b");
  subpy_error_free(error);

  error = exception(interp, "raise ValueError('a\\ud800b\\udfff')");
  CHECK_ERROR(subpy_error_exception_message, error, "a\xef\xbf\xbd"
                                                    "b\xef\xbf\xbd");
  CHECK_ERROR(subpy_error_formatted, error, "ValueError: a\xef\xbf\xbd"
                                            "b\xef\xbf\xbd");
  CHECK_ERROR(subpy_error_display, error,
              "Traceback (most recent call last):\n  File \"<script>\", line 1, in <module>\n"
              "    raise ValueError('a\\ud800b\\udfff')\nValueError: a\xef\xbf\xbd"
              "b\xef\xbf\xbd");
  subpy_error_free(error);

  /* A text of megabytes is cut, whole characters stay. */
  error = exception(interp, "raise ValueError('\\u20ac' * 1_000_000)");
  size_t len = 0;
  const char *text = subpy_error_exception_message(error, &len);
  CHECK(len < 1100000 && strncmp(text, "\xe2\x82\xac", 3) == 0);
  CHECK(strcmp(text + len - strlen("\xe2\x82\xac... (1951425 more bytes)"), "\xe2\x82\xac... (1951425 more bytes)") ==
        0);
  subpy_error_free(error);
}

static void strange_classes(void) {
  subpy_error *error = exception(interp, "class Mine(Exception): __module__ = 7\nraise Mine('text')");
  CHECK_ERROR(subpy_error_type_name, error, "Mine");
  CHECK_ERROR(subpy_error_type_module, error, "<unknown>");
  CHECK_ERROR(subpy_error_formatted, error, "<unknown>.Mine: text");
  CHECK(strstr(subpy_error_display(error, NULL), "<unknown>.Mine: text"));
  subpy_error_free(error);

  error = exception(interp, "class Mine(Exception): pass\nMine.__module__ = 'a\\0b'\nraise Mine('text')");
  CHECK_ERROR(subpy_error_type_module, error, "a\0b");
  CHECK_ERROR(subpy_error_formatted, error, "a\0b.Mine: text");
  subpy_error_free(error);

  /* A class has no module when it was made where there is no __name__. */
  error = exception(interp, "exec('raise type(\"Mine\", (Exception,), {})(\"text\")', {})");
  CHECK_ERROR(subpy_error_type_module, error, "<unknown>");
  CHECK_ERROR(subpy_error_formatted, error, "<unknown>.Mine: text");
  subpy_error_free(error);

  error = exception(interp, "class Mine(Exception): pass\nMine.__qualname__ = 'A.\\ud800'\nraise Mine('text')");
  CHECK_ERROR(subpy_error_type_name, error, "Mine");
  CHECK_ERROR(subpy_error_type_qualname, error, "A.\xef\xbf\xbd");
  CHECK_ERROR(subpy_error_formatted, error, "A.\xef\xbf\xbd: text");
  subpy_error_free(error);

  error = exception(interp, "class Mine(Exception): pass\nMine.__qualname__ = 'A\\0B'\nraise Mine('text')");
  CHECK_ERROR(subpy_error_type_qualname, error, "A\0B");
  subpy_error_free(error);

  /* Attributes that lie, or fail, are asked of the type itself, or not at all. */
  error = exception(interp, "class Meta(type):\n"
                            "  def __getattribute__(self, name): raise RuntimeError(name)\n"
                            "class Mine(Exception, metaclass=Meta): pass\n"
                            "raise Mine('text')");
  CHECK_ERROR(subpy_error_type_name, error, "Mine");
  CHECK_ERROR(subpy_error_formatted, error, "Mine: text");
  subpy_error_free(error);
  error = exception(interp, "class Mine(Exception):\n"
                            "  def __getattribute__(self, name): raise RuntimeError(name)\n"
                            "raise Mine('text')");
  CHECK_ERROR(subpy_error_formatted, error, "Mine: text");
  CHECK(subpy_error_frame_count(error) == 1);
  subpy_error_free(error);
  error = exception(interp, "class Mine(SystemExit):\n"
                            "  @property\n"
                            "  def code(self): raise RuntimeError('no code')\n"
                            "raise Mine('text')");
  int32_t status = 0;
  CHECK(subpy_error_exit_status(error, &status) && status == 1);
  subpy_error_free(error);
}

/* ---- memory and recursion ---- */

static void no_memory(void) {
  subpy_error *error = exception(interp, "raise MemoryError");
  CHECK_ERROR(subpy_error_type_name, error, "MemoryError");
  CHECK_ERROR(subpy_error_formatted, error, "MemoryError: ");
  CHECK_ERROR(subpy_error_display, error,
              "Traceback (most recent call last):\n  File \"<script>\", line 1, in <module>\n    raise MemoryError\nMemoryError");
  subpy_error_free(error);
  error = exception(interp, "raise MemoryError('with text')");
  CHECK_ERROR(subpy_error_formatted, error, "MemoryError: with text");
  subpy_error_free(error);
  error = exception(interp, "class Mine(MemoryError): pass\nraise Mine");
  CHECK_ERROR(subpy_error_type_name, error, "Mine");
  subpy_error_free(error);
  error = exception(interp, "def f(): return b'x' * (2**62)\nf()");
  CHECK_ERROR(subpy_error_type_name, error, "MemoryError");
  CHECK(subpy_error_frame_count(error) == 2);
  subpy_error_free(error);
  /* Raised again, by code that held on to memory in its frames. */
  error = exception(interp, "def f():\n"
                            "  kept = [bytearray(10_000_000)]\n"
                            "  while True: kept.append(bytearray(2**62))\n"
                            "try: f()\n"
                            "except MemoryError as e: raise RuntimeError('no room') from e");
  CHECK_ERROR(subpy_error_formatted, error, "RuntimeError: no room");
  CHECK(strstr(subpy_error_display(error, NULL), "MemoryError\n"));
  subpy_error_free(error);
  run(interp, "fine = 1");
}

/* No memory left in the process while the exception is reported: the frames that hold it are still alive then. */
static void memory_exhausted(void) {
  run(interp, "def fill():\n"
              "  kept = []\n"
              "  for size in 1 << 20, 1 << 16, 1 << 12, 600, 100:\n"
              "    try:\n"
              "      while True: kept.append(bytes(size))\n"
              "    except MemoryError: pass\n"
              "  while True: kept.append(bytes(1 << 20))");
  long pages = 0;
  FILE *status = fopen("/proc/self/statm", "r");
  CHECK(status && fscanf(status, "%ld", &pages) == 1);
  fclose(status);
  struct rlimit before, little;
  CHECK(getrlimit(RLIMIT_AS, &before) == 0);
  little = before;
  little.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + (32 << 20);
  CHECK(setrlimit(RLIMIT_AS, &little) == 0);
  subpy_error *error = exception(interp, "fill()");
  CHECK(setrlimit(RLIMIT_AS, &before) == 0);
  CHECK_ERROR(subpy_error_type_name, error, "MemoryError");
  CHECK_ERROR(subpy_error_formatted, error, "MemoryError: ");
  CHECK(subpy_error_frame_count(error) == 2);
  subpy_error_free(error);
  run(interp, "fine = 1");
}

/* The message is one line: the first that says something, and what to do, where the library knows it. */
static void one_line(void) {
  static const struct {
    const char *code, *message;
  } cases[] = {
      {"raise ImportError('\\n\\nIMPORTANT: PLEASE READ THIS\\n\\nand that')", "ImportError: IMPORTANT: PLEASE READ THIS"},
      {"raise ValueError('\\n')", "ValueError: "},
      {"raise ValueError(' \\n\\t\\n  text  \\nmore')", "ValueError: text"},
      {"raise ValueError('  text\\nmore')", "ValueError:   text"},
      {"raise ValueError('text\\r\\nmore')", "ValueError: text"},
      {"import decimal\nraise decimal.InvalidOperation('\\nwhy')", "decimal.InvalidOperation: why"},
      /* numpy's, as it quotes CPython. */
      {"raise ImportError('\\n\\nIMPORTANT: PLEASE READ THIS\\n\\nOriginal error was: module "
       "numpy._core._multiarray_umath does not support loading in subinterpreters\\n')",
       "ImportError: IMPORTANT: PLEASE READ THIS; create the interpreter with SUBPY_INTERP_PROCESS, or with "
       "SUBPY_GIL_SHARED and SUBPY_INTERP_NO_EXTENSION_CHECK, or use the main one, subpy_get_main()"},
      {"import faulthandler",
       "ImportError: module faulthandler does not support loading in subinterpreters; create the interpreter with "
       "SUBPY_INTERP_PROCESS, or with SUBPY_GIL_SHARED and SUBPY_INTERP_NO_EXTENSION_CHECK, or use the main one, "
       "subpy_get_main()"},
      {"raise ImportError('PyO3 modules do not yet support subinterpreters, see ...')",
       "ImportError: PyO3 modules do not yet support subinterpreters, see ...; such a module loads in one interpreter of "
       "a process: in each with SUBPY_INTERP_PROCESS, else in the main one, subpy_get_main(), or in the only one with "
       "SUBPY_GIL_SHARED and SUBPY_INTERP_NO_EXTENSION_CHECK"},
      {"raise ImportError('Interpreter change detected - this module can only be loaded into one interpreter per process.')",
       "...per process.; such a module loads in one interpreter"},
      {"raise ImportError('cannot load module more than once per process')", "...; such a module loads in one"},
      /* Whoever says it in another way, or is no ImportError, is not meant. */
      {"raise RuntimeError('module x does not support loading in subinterpreters')",
       "RuntimeError: module x does not support loading in subinterpreters"},
  };
  for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
    if (in_processes() && strcmp(cases[index].code, "import faulthandler") == 0) continue; /* it loads there */
    subpy_error *error = exception(interp, cases[index].code);
    check_message(__FILE__, __LINE__, error, SUBPY_ERROR_EXECUTION_FAILED, cases[index].message);
    CHECK(!strstr(subpy_error_formatted(error, NULL), "SUBPY_") && !strstr(subpy_error_display(error, NULL), "SUBPY_"));
    CHECK(!strstr(subpy_error_exception_message(error, NULL), "SUBPY_"));
    subpy_error_free(error);
  }

  /* What is advised works. */
  subpy_error *error = NULL;
  subpy_interp shared = 0;
  subpy_interp_options options = {
      .size = sizeof options, .gil = SUBPY_GIL_SHARED, .flags = SUBPY_INTERP_NO_EXTENSION_CHECK};
  OK(subpy_create(&options, &shared, &error));
  run(shared, "import faulthandler");
  OK(subpy_close(shared, &error));
}

static void check_frame(const subpy_error *error, size_t index, const char *file, int32_t line, const char *function) {
  subpy_frame frame = frame_at(error, index);
  CHECK(strcmp(frame.file, file) == 0 && frame.file_len == strlen(file) && frame.line == line);
  CHECK(strcmp(frame.function, function) == 0 && frame.function_len == strlen(function));
}

static void recursion(void) {
  subpy_interp shallow = create();
  subpy_error *error = exception(shallow, "def f(): f()\nf()");
  CHECK_ERROR(subpy_error_formatted, error, "RecursionError: maximum recursion depth exceeded");
  CHECK(subpy_error_frame_count(error) > 900);
  check_frame(error, 0, "<script>", 2, "<module>");
  check_frame(error, 900, "<script>", 1, "f");
  subpy_error_free(error);
  error = NULL;

  /* Of very deep ones the middle is left out. */
  run(shallow, "import sys\nsys.setrecursionlimit(50_000)");
  error = exception(shallow, "def f(n): return 1 / 0 if n == 0 else g(n - 1)\ng = f\nf(20_000)");
  CHECK(subpy_error_frame_count(error) == 10000);
  check_frame(error, 0, "<script>", 3, "<module>");
  check_frame(error, 9999, "<script>", 1, "f");
  subpy_frame none = {.size = sizeof none};
  CHECK(!subpy_error_frame(error, 10000, &none));
  CHECK_ERROR(subpy_error_formatted, error, "ZeroDivisionError: division by zero");
  CHECK(strncmp(subpy_error_display(error, NULL), "Traceback (most recent call last):\n", 35) == 0);
  subpy_error_free(error);

  /* Recursion in C: comparing what contains itself. */
  error = exception(shallow, "a = []\na.append(a)\nb = []\nb.append(b)\na == b");
  CHECK_ERROR(subpy_error_type_name, error, "RecursionError");
  subpy_error_free(error);
  /* A chain of causes that is longer than the recursion limit. */
  run(shallow, "sys.setrecursionlimit(1000)");
  error = exception(shallow, "e = None\n"
                             "for n in range(5_000):\n"
                             "  new = ValueError(n)\n"
                             "  new.__cause__ = e\n"
                             "  e = new\n"
                             "raise e");
  CHECK_ERROR(subpy_error_formatted, error, "ValueError: 4999");
  CHECK(strstr(subpy_error_display(error, NULL), "ValueError: 4999"));
  subpy_error_free(error);
  error = exception(shallow, "e = ValueError('innermost')\n"
                             "for n in range(3_000): e = ExceptionGroup(str(n), [e])\n"
                             "raise e");
  CHECK_ERROR(subpy_error_type_name, error, "ExceptionGroup");
  CHECK_ERROR(subpy_error_formatted, error, "ExceptionGroup: 2999 (1 sub-exception)");
  subpy_error_free(error);
  error = NULL;
  OK(subpy_close(shallow, &error));

  /* No room to format anything: the traceback module fails, so the library's own words. */
  subpy_interp tiny = create();
  error = exception(tiny, "import sys\nsys.setrecursionlimit(5)\nraise ValueError('small')");
  CHECK_ERROR(subpy_error_formatted, error, "ValueError: small");
  CHECK_ERROR(subpy_error_display, error,
              "Traceback (most recent call last):\n  File \"<script>\", line 3, in <module>\nValueError: small");
  subpy_error_free(error);
  error = exception(tiny, "def f(): f()\nf()");
  CHECK_ERROR(subpy_error_type_name, error, "RecursionError");
  subpy_error_free(error);
  error = NULL;
  run(tiny, "x = 40 + 2");
  CHECK(number(tiny, "x") == 42);
  run(tiny, "sys.setrecursionlimit(2)");
  CHECK(number(tiny, "x") == 42);
  error = exception(tiny, "(lambda: (lambda: (lambda: x)())())()");
  CHECK_ERROR(subpy_error_type_name, error, "RecursionError");
  subpy_error_free(error);
  error = NULL;
  OK(subpy_close(tiny, &error));
}

/* ---- other things that code can do ---- */

static double seconds(void) {
  struct timespec now;
  CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* 400,000 frames: the right ones are kept. It takes as long as Python takes to walk them; printed, not checked. */
static void very_deep(void) {
  subpy_interp deep = create();
  run(deep, "import sys, traceback\n"
            "sys.setrecursionlimit(1_000_000)\n"
            "def outer(n):\n"
            "  return inner(n - 1) if n > 200_000 else f(n)\n"
            "def f(n):\n"
            "  if n == 0: raise ValueError('deep')\n"
            "  return f(n - 1)\n"
            "def inner(n): return outer(n)\n"
            "def extracted():\n"
            "  try: outer(300_000)\n"
            "  except ValueError as e: return len(traceback.extract_tb(e.__traceback__, 1)) and sum(1 for _ in traceback.walk_tb(e.__traceback__))");
  double begun = seconds();
  subpy_error *error = exception(deep, "outer(300_000)");
  double taken = seconds() - begun;
  CHECK(subpy_error_frame_count(error) == 10000);
  check_frame(error, 0, "<script>", 1, "<module>");
  check_frame(error, 1, "<script>", 4, "outer");
  check_frame(error, 2, "<script>", 8, "inner");
  check_frame(error, 4999, "<script>", 4, "outer");
  check_frame(error, 5000, "<script>", 7, "f");
  check_frame(error, 9998, "<script>", 7, "f");
  check_frame(error, 9999, "<script>", 6, "f");
  subpy_error_free(error);
  begun = seconds();
  CHECK(number(deep, "extracted()") == 400003);
  printf("400,002 frames: %.2f s, Python walks them in %.2f s\n", taken, seconds() - begun);
  error = NULL;
  OK(subpy_close(deep, &error));
}

static void system_exit(void) {
  static const struct {
    const char *code;
    int32_t status;
  } cases[] = {
      {"raise SystemExit", 0},
      {"raise SystemExit(None)", 0},
      {"raise SystemExit(0)", 0},
      {"raise SystemExit(3)", 3},
      {"raise SystemExit(-2)", -2},
      {"raise SystemExit(True)", 1},
      {"raise SystemExit(False)", 0},
      {"raise SystemExit(2**31 - 1)", INT32_MAX},
      {"raise SystemExit(2**100)", -1},
      {"raise SystemExit('text')", 1},
      {"raise SystemExit('')", 1},
      {"raise SystemExit(1.5)", 1},
      {"raise SystemExit(1, 2)", 1},
      {"raise SystemExit([])", 1},
      {"class Code(int): pass\nraise SystemExit(Code(9))", 9},
      {"class Exit(SystemExit): pass\nraise Exit(6)", 6},
      {"e = SystemExit(1)\ne.code = 8\nraise e", 8},
      {"e = SystemExit(1)\ndel e.code\nraise e", 0},
      {"exit(5)", 5},
      {"import sys\ntry: sys.exit(1)\nfinally: sys.exit(7)", 7},
  };
  for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
    subpy_error *error = exception(interp, cases[index].code);
    int32_t status = 1234;
    if (!subpy_error_exit_status(error, &status) || status != cases[index].status) {
      fprintf(stderr, "%s\nasks for %d\n", cases[index].code, status);
      exit(1);
    }
    CHECK(subpy_error_exit_status(error, NULL));
    subpy_error_free(error);
  }
  int32_t status = 1234;
  const char *others[] = {"raise KeyboardInterrupt", "raise BaseExceptionGroup('g', [SystemExit(3)])",
                          "try: raise SystemExit(3)\nfinally: 1 / 0"};
  for (size_t index = 0; index < 3; index++) {
    subpy_error *error = exception(interp, others[index]);
    CHECK(!subpy_error_exit_status(error, &status) && status == 1234);
    subpy_error_free(error);
  }
}

static void frames(void) {
  subpy_error *error = exception(interp, "def inner():\n"
                                         "  raise ValueError\n"
                                         "class C:\n"
                                         "  def method(self): (lambda:\n"
                                         "    inner())()\n"
                                         "exec(compile('\\n\\nC().method()', 'other file.py', 'exec'))");
  static const struct {
    const char *file;
    int32_t line;
    const char *function;
  } expected[] = {{"<script>", 6, "<module>"}, {"other file.py", 3, "<module>"}, {"<script>", 4, "method"},
                  {"<script>", 5, "<lambda>"}, {"<script>", 2, "inner"}};
  CHECK(subpy_error_frame_count(error) == 5);
  for (size_t index = 0; index < 5; index++) {
    check_frame(error, index, expected[index].file, expected[index].line, expected[index].function);
  }
  subpy_frame none = {.size = sizeof none, .file = "unset", .column = 7};
  CHECK(!subpy_error_frame(error, 5, &none) && strcmp(none.file, "unset") == 0 && none.column == 7);
  CHECK(!subpy_error_frame(error, SIZE_MAX, &none) && !subpy_error_frame(NULL, 0, &none));
  subpy_error_free(error);

  error = exception(interp, "code = compile('1 / 0', 'a\\udc80b', 'exec').replace(co_name='\\ud800')\nexec(code)");
  CHECK(subpy_error_frame_count(error) == 2);
  check_frame(error, 1, "a\xef\xbf\xbd" "b", 1, "\xef\xbf\xbd");
  subpy_error_free(error);
  error = NULL;

  /* No frame at all: the callable is a C function. */
  subpy_value argument = subpy_str("x", 1), result = subpy_int(1);
  CHECK(subpy_call(interp, "builtins:int", SUBPY_AUTO_LEN, &argument, 1, NULL, &result, &error) ==
        SUBPY_ERROR_EXECUTION_FAILED);
  CHECK(result.kind == SUBPY_KIND_NONE);
  CHECK(subpy_error_frame_count(error) == 0);
  CHECK_ERROR(subpy_error_display, error, "ValueError: invalid literal for int() with base 10: 'x'");
  subpy_error_free(error);
}

static void check_source(const subpy_error *error, size_t index, const char *source, int32_t line, int32_t column,
                         int32_t end_line, int32_t end_column) {
  subpy_frame frame = frame_at(error, index);
  check_text(__FILE__, __LINE__, frame.source, frame.source_len, source, strlen(source));
  CHECK(frame.line == line && frame.column == column && frame.end_line == end_line);
  CHECK(frame.end_column == end_column);
}

/* The source line, and where in it: of a file, in characters. */
static void source_lines(void) {
  run(interp, "import os, tempfile\n"
              "folder = tempfile.TemporaryDirectory()\n"
              "path = os.path.join(folder.name, 'caf\xc3\xa9.py')\n"
              "text = '''def f(x):\n"
              "    y = '\xc3\xa9\xf0\x9f\x90\x8d'; return (x /\n"
              "  '\xe2\x82\xac'   )\n"
              "def g(): f(1); f(2)'''\n"
              "open(path, 'w', encoding='utf-8').write(text)\n"
              "exec(compile(text, path, 'exec'))");
  subpy_error *error = exception(interp, "g()");
  CHECK(subpy_error_frame_count(error) == 3);
  check_source(error, 1, "def g(): f(1); f(2)", 4, 10, 4, 14);
  /* Over two lines. */
  check_source(error, 2, "    y = '\xc3\xa9\xf0\x9f\x90\x8d'; return (x /", 2, 23, 3, 6);
  subpy_error_free(error);

  /* The file has changed: what lies outside of the line is not known. */
  run(interp, "open(path, 'w', encoding='utf-8').write('short\\n\\n\\n\\n')");
  error = exception(interp, "g()");
  subpy_frame frame = frame_at(error, 1);
  CHECK(frame.source == NULL && frame.source_len == 0 && frame.line == 4 && frame.column == 0 && frame.end_column == 0);
  subpy_error_free(error);
  run(interp, "os.remove(path)");
  error = exception(interp, "g()");
  CHECK(frame_at(error, 2).source == NULL && frame_at(error, 2).line == 2 && frame_at(error, 2).end_line == 3);
  subpy_error_free(error);

  /* Code without positions, and lines that lie. */
  error = exception(interp, "exec(compile('1 / 0', 'x.py', 'exec').replace(co_linetable=b''))");
  frame = frame_at(error, 1);
  CHECK(frame.line == 0 && frame.end_line == 0 && frame.column == 0 && frame.end_column == 0 && !frame.source);
  subpy_error_free(error);

  /* A long line and long names are cut, and it is said. */
  error = exception(interp, "exec(compile('1 / 0', 'x' * 5000, 'exec').replace(co_name='y' * 6000))");
  frame = frame_at(error, 1);
  CHECK(frame.file_len < 5000 && strstr(frame.file, "... (904 more bytes)"));
  CHECK(frame.function_len < 5000 && strstr(frame.function, "... (1904 more bytes)"));
  subpy_error_free(error);
  run(interp, "folder.cleanup()");
}

/* The struct may grow: its size says what the caller knows of it. */
static void sizes_of_a_frame(void) {
  subpy_error *error = exception(interp, "1 / 0");
  struct {
    subpy_frame known;
    unsigned char later[24];
    unsigned char outside;
  } newer;
  memset(&newer, 0xaa, sizeof newer);
  newer.known.size = sizeof newer.known + sizeof newer.later;
  CHECK(subpy_error_frame(error, 0, &newer.known));
  CHECK(newer.known.size == sizeof newer.known + sizeof newer.later && newer.known.line == 1);
  for (size_t index = 0; index < sizeof newer.later; index++)
    CHECK(newer.later[index] == 0);
  CHECK(newer.outside == 0xaa);
  const size_t wrong[] = {0, 8, sizeof(subpy_frame) - 1, 4097, SIZE_MAX};
  for (size_t index = 0; index < sizeof wrong / sizeof *wrong; index++) {
    subpy_frame frame = {.size = wrong[index], .line = 77};
    CHECK(!subpy_error_frame(error, 0, &frame) && frame.line == 77 && frame.size == wrong[index]);
  }
  CHECK(!subpy_error_frame(error, 0, NULL));
  subpy_error_free(error);
}

/* What the guest has broken does not break the report. */
static void broken_guest(void) {
  static const char *const breaks[] = {
      "import builtins\ndef no(*args, **kwargs): raise RuntimeError('no import')\nbuiltins.__import__ = no",
      "import traceback\ndel traceback.TracebackException",
      "import traceback\ntraceback.TracebackException = 7",
      "import sys\nsys.modules['traceback'] = None",
      "import sys, types\nsys.modules['traceback'] = types.ModuleType('traceback')",
      "import traceback\n"
      "class T:\n"
      "  @classmethod\n"
      "  def from_exception(cls, e): return cls()\n"
      "  def format(self): return ['a\\n', 7]\n"
      "traceback.TracebackException = T",
      "import traceback\n"
      "class T:\n"
      "  def from_exception(e): raise SystemExit(9)\n"
      "traceback.TracebackException = T",
      "import linecache\nlinecache.getline = linecache._getline_from_code = 7",
      "import linecache\nlinecache.getline = lambda *args: 7",
      "import linecache\ndef no(*args): raise SystemExit(9)\nlinecache.getline = no",
      "import sys\nsys.modules['linecache'] = None",
      "import sys\nsys.path.clear()\nsys.meta_path.clear()\nsys.modules.clear()",
      "import sys\nsys.stdout = sys.stderr = sys.stdin = None",
      "import builtins\nvars(builtins).clear()",
      "import sys\nsys.excepthook = None\ndel sys.modules['__main__']",
  };
  size_t with_source = 0;
  for (size_t index = 0; index < sizeof breaks / sizeof *breaks; index++) {
    subpy_interp broken = create();
    run(broken, breaks[index]);
    subpy_error *error = exception(broken, "\n1 / 0");
    CHECK_ERROR(subpy_error_formatted, error, "ZeroDivisionError: division by zero");
    /* Without the source line where that cannot be had. */
    char display[300];
    const char *source = frame_at(error, 0).source;
    snprintf(display, sizeof display,
             "Traceback (most recent call last):\n  File \"<script>\", line 2, in <module>\n%s%s%s"
             "ZeroDivisionError: division by zero", source ? "    " : "", source ? source : "", source ? "\n" : "");
    const char *shown = subpy_error_display(error, NULL);
    if (strncmp(shown, display, 64) != 0 || strcmp(strstr(shown, "Zero"), strstr(display, "Zero")) != 0) {
      fprintf(stderr, "%s\nnot\n%s\n", shown, display);
      exit(1);
    }
    CHECK(subpy_error_frame_count(error) == 1 && (!source || strcmp(source, "1 / 0") == 0));
    with_source += source != NULL;
    subpy_error_free(error);
    error = NULL;
    OK(subpy_close(broken, &error));
  }
  CHECK(with_source >= 8);
  /* Whatever a replacement gives is used, when it is text. */
  subpy_interp own = create();
  run(own, "import traceback\n"
           "class T:\n"
           "  @classmethod\n"
           "  def from_exception(cls, e): return cls()\n"
           "  def format(self): return ['my ', 'own\\0\\ud800\\n']\n"
           "traceback.TracebackException = T");
  subpy_error *error = exception(own, "1 / 0");
  CHECK_ERROR(subpy_error_display, error, "my own\0\xef\xbf\xbd");
  subpy_error_free(error);
  error = NULL;
  OK(subpy_close(own, &error));
}

static void accessors_of_other_errors(void) {
  subpy_error *error = NULL;
  CHECK(subpy_exec(77, "", 0, &error) == SUBPY_ERROR_NOT_FOUND);
  size_t len = 7;
  CHECK(subpy_error_interp(error) == 77);
  CHECK_ERROR(subpy_error_message, error, "77 is not the handle of an interpreter");
  CHECK(!subpy_error_type_name(error, &len) && len == 0);
  len = 7;
  CHECK(!subpy_error_type_qualname(error, &len) && len == 0);
  CHECK(!subpy_error_type_module(error, NULL) && !subpy_error_exception_message(error, NULL));
  CHECK(!subpy_error_formatted(error, NULL) && !subpy_error_display(error, NULL));
  int32_t number = 5;
  const char *text = "unset";
  subpy_frame frame = {.size = sizeof frame, .line = 5};
  CHECK(subpy_error_frame_count(error) == 0 && !subpy_error_frame(error, 0, &frame));
  CHECK(!subpy_error_syntax(error, &number, &number, &text) && !subpy_error_exit_status(error, &number));
  CHECK(number == 5 && strcmp(text, "unset") == 0);
  subpy_error_free(error);

  len = 7;
  CHECK(subpy_error_status(NULL) == SUBPY_OK && !subpy_error_message(NULL, &len) && len == 0);
  CHECK(!subpy_error_type_name(NULL, NULL) && !subpy_error_type_qualname(NULL, NULL));
  CHECK(!subpy_error_type_module(NULL, NULL) && !subpy_error_exception_message(NULL, NULL));
  CHECK(!subpy_error_formatted(NULL, NULL) && !subpy_error_display(NULL, NULL));
  CHECK(subpy_error_frame_count(NULL) == 0 && !subpy_error_frame(NULL, 0, &frame) && frame.line == 5);
  CHECK(!subpy_error_syntax(NULL, &number, &number, &text) && !subpy_error_exit_status(NULL, &number));
  CHECK(number == 5 && strcmp(text, "unset") == 0 && subpy_error_interp(NULL) == 0);
  subpy_error_free(NULL);
}

int main(void) {
  interp = create();
  as_in_stdlib();
  str_that_fails();
  strange_texts();
  strange_classes();
  one_line();
  no_memory();
  recursion();
  very_deep();
  system_exit();
  frames();
  source_lines();
  sizes_of_a_frame();
  broken_guest();
  accessors_of_other_errors();
  if (!in_processes()) memory_exhausted(); /* the limit is this process's */

  /* An error outlives its interpreter and the runtime. */
  subpy_error *kept = exception(interp, "raise ValueError('kept')");
  shut_down();
  CHECK_ERROR(subpy_error_formatted, kept, "ValueError: kept");
  CHECK(subpy_error_interp(kept) == interp);
  subpy_error_free(kept);
  return 0;
}
