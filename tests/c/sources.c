/* Source lines in tracebacks of what was run: the right ones, or none, and no more source held than is needed. */
#include <pthread.h>

#include "guest.h"

static subpy_interp interp;

static void check_line(const subpy_error *error, size_t index, const char *expected) {
  subpy_frame frame = frame_at(error, index);
  const char *source = frame.source ? frame.source : "(none)";
  if (strcmp(source, expected) != 0) {
    fprintf(stderr, "frame %zu: the line is\n%s\nnot\n%s\n", index, source, expected);
    exit(1);
  }
}

static void lines_and_columns(void) {
  subpy_error *error = exception(interp, "def f(x):\n  return 1 / x\ndef g(): f(0)\ng()");
  CHECK(subpy_error_frame_count(error) == 3);
  check_line(error, 0, "g()");
  check_line(error, 1, "def g(): f(0)");
  check_line(error, 2, "  return 1 / x");
  subpy_frame frame = frame_at(error, 2);
  CHECK(frame.line == 2 && frame.column == 10 && frame.end_line == 2 && frame.end_column == 15);
  CHECK_ERROR(subpy_error_display, error,
              "Traceback (most recent call last):\n"
              "  File \"<script>\", line 4, in <module>\n    g()\n    ~^^\n"
              "  File \"<script>\", line 3, in g\n    def g(): f(0)\n             ~^^^\n"
              "  File \"<script>\", line 2, in f\n    return 1 / x\n           ~~^~~\n"
              "ZeroDivisionError: division by zero");
  subpy_error_free(error);

  /* What a call raises comes from an earlier run. */
  error = NULL;
  CHECK(subpy_call(interp, "g", SUBPY_AUTO_LEN, NULL, 0, NULL, NULL, &error) == SUBPY_ERROR_EXECUTION_FAILED);
  check_line(error, 0, "def g(): f(0)");
  check_line(error, 1, "  return 1 / x");
  subpy_error_free(error);

  /* An expression, a lambda of it that is called later, and a generator that goes on later. */
  run(interp, "def keep(it): kept.append(it)\nkept = []");
  error = NULL;
  CHECK(subpy_eval(interp, "  [7,\n 1 / 0]", SUBPY_AUTO_LEN, NULL, &error) == SUBPY_ERROR_EXECUTION_FAILED);
  check_line(error, 0, " 1 / 0]");
  subpy_error_free(error);
  error = NULL;
  OK(subpy_eval(interp, "keep(lambda: undefined)", SUBPY_AUTO_LEN, NULL, &error));
  run(interp, "def numbers():\n  yield 1\n  1 / 0\nkept.append(iter(numbers())); next(kept[1]); del numbers");
  error = exception(interp, "kept[0]()");
  check_line(error, 1, "keep(lambda: undefined)");
  subpy_error_free(error);
  error = exception(interp, "next(kept[1])");
  check_line(error, 1, "  1 / 0");
  subpy_error_free(error);

  /* Indented source: the lines that were run. Lines end where they end for Python, and nowhere else. */
  error = exception(interp, "\n    if True:\n        1 / 0\n");
  check_line(error, 0, "    1 / 0");
  CHECK(frame_at(error, 0).line == 3 && frame_at(error, 0).column == 5);
  subpy_error_free(error);
  error = exception(interp, "a = '\f\xe2\x80\xa8\x1c'\r\n\rb = 2\r\n1 / 0 # here\r\n");
  check_line(error, 0, "1 / 0 # here");
  CHECK(frame_at(error, 0).line == 4);
  subpy_error_free(error);
}

static void by_name(void) {
  subpy_error *error = NULL;
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EXEC, .text = "1 / 0",
                               .text_len = SUBPY_AUTO_LEN, .filename = "<job 7>"};
  CHECK(subpy_run(&request, NULL, &error) == SUBPY_ERROR_EXECUTION_FAILED);
  check_line(error, 0, "1 / 0");
  subpy_error_free(error);
  /* Python looks for a file of another name, and so does this. */
  request.filename = "no such file.py";
  CHECK(subpy_run(&request, NULL, &error) == SUBPY_ERROR_EXECUTION_FAILED);
  check_line(error, 0, "(none)");
  subpy_error_free(error);
}

/* What is the same in both: the file name, the functions, their lines. */
static void one_name_for_two_sources(void) {
  run(interp, "def f():\n  return g() # first f\ndef g(): pass\nfirst = f");
  run(interp, "def f():\n  return h() # second f\ndef g():\n  return first() # second g");
  subpy_error *error = exception(interp, "# third\ndef h(): 1 / 0 # third h\nf()");
  check_line(error, 0, "f()");
  check_line(error, 1, "  return h() # second f");
  check_line(error, 2, "def h(): 1 / 0 # third h");
  subpy_error_free(error);
  run(interp, "def g(): return f() # fourth g");
  error = exception(interp, "first()");
  check_line(error, 0, "first()");
  check_line(error, 1, "  return g() # first f");
  check_line(error, 2, "def g(): return f() # fourth g");
  check_line(error, 3, "  return h() # second f");
  check_line(error, 4, "def h(): 1 / 0 # third h");
  subpy_error_free(error);

  /* Code that the guest compiled under that name is not ours, even where a code object of ours was before. */
  for (int turn = 0; turn < 500; turn++) {
    run(interp, "def passing(): return 'a line of ours'\ndel passing");
    error = exception(interp, "exec(compile('def passing(): 1 / 0\\npassing()', '<script>', 'exec'))");
    check_line(error, 1, "(none)");
    check_line(error, 2, "(none)");
    subpy_error_free(error);
  }
}

/* Python's own ways to show a traceback, and source, in the interpreter. */
static void in_the_guest(void) {
  subpy_interp other = create();
  run(other, "import io, inspect, logging, traceback\n"
             "def fail():\n"
             "  return undefined\n"
             "def shown(show):\n"
             "  text = io.StringIO()\n"
             "  try: fail()\n"
             "  except NameError: show(text)\n"
             "  return text.getvalue()");
  CHECK_EVAL(other, "shown(lambda text: traceback.print_exc(file=text))",
             "Traceback (most recent call last):\n"
             "  File \"<script>\", line 6, in shown\n    try: fail()\n         ~~~~^^\n"
             "  File \"<script>\", line 3, in fail\n    return undefined\n           ^^^^^^^^^\n"
             "NameError: name 'undefined' is not defined\n");
  CHECK_EVAL(other, "inspect.getsource(fail)", "def fail():\n  return undefined\n");
  /* An exception that is kept keeps its source. */
  run(other, "try: 1 / 0 # kept\nexcept ZeroDivisionError as e: kept = e");
  for (int turn = 0; turn < 200; turn++) run(other, "def other(): pass");
  CHECK_EVAL(other, "traceback.format_exception(kept)[1]",
             "  File \"<script>\", line 1, in <module>\n    try: 1 / 0 # kept\n         ~~^~~\n");
  /* Code objects of others, and what is none. */
  CHECK_EVAL(other, "str(traceback.linecache._getlines_from_code(compile('1', '<script>', 'eval')))", "[]");
  run(other, "import linecache\nsource = 'x = 1\\n1 / 0'\ncode = compile(source, '<mine>', 'exec')\n"
             "linecache._register_code(code, source, '<mine>')");
  subpy_error *error = exception(other, "exec(code)");
  check_line(error, 1, "1 / 0");
  subpy_error_free(error);
  OK(subpy_close(other, &error));
}

static void *fails_again_and_again(void *number) {
  char code[200], expected[100];
  snprintf(expected, sizeof expected, "  1 / 0 # of thread %d", *(int *)number);
  snprintf(code, sizeof code, "import time\ndef f%d():\n%s\ntime.sleep(0)\nf%d()", *(int *)number, expected,
           *(int *)number);
  for (int turn = 0; turn < 200; turn++) {
    subpy_error *error = exception(interp, code);
    check_line(error, 1, expected);
    subpy_error_free(error);
  }
  return NULL;
}

static void threads_in_one_interpreter(void) {
  subpy_interp before = interp;
  subpy_error *error = NULL;
  subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_SHARE};
  OK(subpy_create(&options, &interp, &error));
  pthread_t threads[3];
  int numbers[3] = {0, 1, 2};
  for (int index = 0; index < 3; index++)
    CHECK(pthread_create(&threads[index], NULL, fails_again_and_again, &numbers[index]) == 0);
  for (int index = 0; index < 3; index++) CHECK(pthread_join(threads[index], NULL) == 0);
  OK(subpy_close(interp, &error));
  interp = before;
}

/* 10,000 sources of 10 KiB each, 100 MiB together. */
static void memory(void) {
  enum { SIZE = 10240, TIMES = 10000 };
  char *code = malloc(SIZE + 100);
  CHECK(code);
  subpy_interp own = create();
  long before = 0, most = 0;
  for (int turn = 0; turn < TIMES; turn++) {
    int len = snprintf(code, 100, "def f(): return %d\n#", turn);
    memset(code + len, 'x', SIZE);
    code[len + SIZE] = 0;
    run(own, code);
    if (turn == 1000)
      before = resident_kib();
    if (turn >= 1000 && resident_kib() > most)
      most = resident_kib();
  }
  printf("memory after %d sources of %d bytes: %ld KiB more than after 1000\n", TIMES, SIZE, most - before);
  CHECK(most - before < 8 * 1024);

  /* All of them alive, all of them are kept; and go. */
  run(own, "kept = []");
  for (int turn = 0; turn < 2000; turn++) {
    int len = snprintf(code, 100, "def f(): return 1 / 0 # %d\nkept.append(f)\n#", turn);
    memset(code + len, 'x', SIZE);
    code[len + SIZE] = 0;
    run(own, code);
  }
  subpy_error *error = exception(own, "kept[3]()");
  check_line(error, 1, "def f(): return 1 / 0 # 3");
  subpy_error_free(error);
  error = exception(own, "kept[1999]()");
  check_line(error, 1, "def f(): return 1 / 0 # 1999");
  subpy_error_free(error);
  long full = resident_kib();
  run(own, "del f; kept.clear()");
  for (int turn = 0; turn < 10; turn++) {
    memset(code, '#', SIZE);
    memcpy(code, "def f(): 1\n", 11);
    run(own, code);
  }
  printf("memory of 2000 functions with their sources: %ld KiB, %ld KiB when they are gone\n", full - before,
         resident_kib() - before);
  error = NULL;
  OK(subpy_close(own, &error));
  free(code);
}

int main(void) {
  interp = create();
  lines_and_columns();
  by_name();
  one_name_for_two_sources();
  in_the_guest();
  threads_in_one_interpreter();
  memory();
  shut_down();
  return 0;
}
