/* Host threads with small stacks: 256 KiB is enough for everything, and 64 KiB is a clear error. */
#include <alloca.h>
#include <pthread.h>

#include "values.h"

static void with_stack(size_t kib, void *(*body)(void *), void *argument) {
  pthread_attr_t attr;
  pthread_t thread;
  CHECK(pthread_attr_init(&attr) == 0 && pthread_attr_setstacksize(&attr, kib * 1024) == 0);
  CHECK(pthread_create(&thread, &attr, body, argument) == 0 && pthread_join(thread, NULL) == 0);
  pthread_attr_destroy(&attr);
}

/* The runtime starts, is used in every way, and is shut down, all from this one thread. */
static void *everything(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  OK(subpy_init(NULL, &error));
  subpy_interp interp = create(), main = 0, other = create();
  OK(subpy_get_main(&main, &error));
  run(interp,
      "import asyncio, collections, concurrent.futures, dataclasses, datetime, decimal, email, enum, hashlib, json, logging\n"
      "import re, sqlite3, ssl, subprocess, threading, typing, unittest, urllib.request, xml.etree.ElementTree, zlib\n"
      "import traceback, ctypes, zoneinfo, inspect, pickle, ast\n"
      "def f(*args, **kwargs): return [args, kwargs]\n"
      "def down(n): return down(n - 1) if n else 0\n"
      "def forever(): return forever()\n"
      "class Weird(Exception):\n"
      "    def __str__(self): return forever()");
  subpy_value args[] = {subpy_int(1), TEXT("x")}, result = {0};
  subpy_pair pair = {TEXT("k"), subpy_list(args, 2)};
  subpy_value kwargs = subpy_dict(&pair, 1);
  OK(subpy_call(interp, "f", SUBPY_AUTO_LEN, args, 2, &kwargs, &result, &error));
  CHECK(result.len == 2);
  subpy_value_free(&result);

  /* Python's own recursion is on the heap; C's is stopped before it reaches the end of the stack. */
  CHECK(number(interp, "down(900)") == 0);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...RecursionError: maximum recursion depth exceeded", subpy_exec(interp, "forever()", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "Weird: <exception str() failed>", subpy_exec(interp, "raise Weird", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...RecursionError",
        subpy_exec(interp, "x = []\nfor _ in range(100_000): x = [x]\nrepr(x)", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...RecursionError", subpy_exec(interp, "json.dumps(x)", SUBPY_AUTO_LEN, &error));
  run(interp, "del x");
  /* Deeply nested source needs C's stack in the compiler. */
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...", subpy_exec(interp, "eval('(' * 190 + '-' * 50_000 + '1' + ')' * 190)", SUBPY_AUTO_LEN, &error));
  run(interp, "eval('(' * 50 + '1' + ')' * 50); ast.parse('a' + '.b' * 100); re.compile('(a|b)*' * 20).match('ab' * 1000)");
  run(interp, "print(sqlite3.connect(':memory:').execute('select 1').fetchone(), json.loads('[' * 50 + ']' * 50) != 0, file=open('/dev/null', 'w'))");
  run(interp, "thread = threading.Thread(target=down, args=(500,)); thread.start(); thread.join()");
  run(interp, "asyncio.run(asyncio.sleep(0))");

  subpy_thread thread = 0;
  OK(subpy_call_in_thread(interp, "f", SUBPY_AUTO_LEN, args, 1, NULL, &thread, &error));
  OK(subpy_thread_join(thread, &result, &error));
  subpy_value_free(&result);
  FAILS(SUBPY_ERROR_SYNTAX, "...SyntaxError", subpy_exec(interp, "1 +", SUBPY_AUTO_LEN, &error));
  run(main, "import json; assert json.loads('1') == 1");
  run(other, "from concurrent import interpreters\nown = interpreters.create(); own.exec('import json, decimal'); own.close()");
  OK(subpy_close(other, &error));
  shut_down();
  return NULL;
}

/* It would be the one that starts the runtime. What else is refused on it is in tests/misuse. */
static void *starts_too_small(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  subpy_interp interp = 0;
  FAILS(SUBPY_ERROR_WRONG_STATE, "...CPython needs at least 112 KiB", subpy_create(NULL, &interp, &error));
  FAILS(SUBPY_ERROR_WRONG_STATE, "...CPython needs at least 112 KiB", subpy_init(NULL, &error));
  return NULL;
}

static char *stack_base;

/* Goes on where so much of the thread's stack is left. */
static void with_left(size_t left, void (*body)(void)) {
  char here[1];
  size_t burn = (size_t)(here - stack_base) - left;
  volatile char *burnt = alloca(burn);
  burnt[0] = 1;
  body();
  burnt[0] = 2;
}

static subpy_interp bottom;
static int refusals;

/* A right result, or the refusal; never something in between. */
static bool refused(subpy_status status, subpy_status expected, subpy_error **given) {
  subpy_error *error = *given;
  *given = NULL;
  if (status == SUBPY_ERROR_WRONG_STATE) {
    const char *message = subpy_error_message(error, NULL);
    CHECK(strstr(message, "this thread has ") && strstr(message, " KiB of its stack of ") && strstr(message, "needs at least 112 KiB"));
    subpy_error_free(error);
    refusals++;
    return true;
  }
  if (status != expected) fprintf(stderr, "%s\n", error ? subpy_error_message(error, NULL) : "no error");
  CHECK(status == expected);
  subpy_error_free(error);
  return false;
}

static void at_the_bottom(void) {
  subpy_error *error = NULL;
  subpy_value result = {0};
  refusals = 0;
  subpy_interp made = 0;
  bool none = refused(subpy_create(NULL, &made, &error), SUBPY_OK, &error);
  subpy_interp interp = none ? bottom : made;
  const char *raises[] = {
      "def fail(n): fail(n - 1) if n else [][1]\nfail(50)",
      "import json; json.loads('[1, 2, ' * 500)",
      "def forever(): forever()\nforever()",
      "x = []\nfor _ in range(100_000): x = [x]\nrepr(x)",
      "def through_c(): sorted([1], key=lambda _: through_c())\nthrough_c()",
      "class Weird(Exception):\n    def __str__(self): return str(self)\nraise Weird",
      "raise ExceptionGroup('several', [ValueError(i) for i in range(20)])",
      "try: [][1]\nexcept IndexError: {}[1]",
      "import re; re.compile('(' * 2000)",
  };
  for (size_t i = 0; i < COUNT(raises); i++) {
    refused(subpy_exec(interp, raises[i], SUBPY_AUTO_LEN, &error), SUBPY_ERROR_EXECUTION_FAILED, &error);
  }
  refused(subpy_exec(interp, "1 +", SUBPY_AUTO_LEN, &error), SUBPY_ERROR_SYNTAX, &error);
  if (!refused(subpy_eval(interp, "[list(range(10)), {'a': (1, 2)}]", SUBPY_AUTO_LEN, &result, &error), SUBPY_OK, &error)) {
    CHECK(result.len == 2);
  }
  subpy_value_free(&result);
  refused(subpy_exec(interp, "import collections, decimal, logging, dataclasses\ndel x", SUBPY_AUTO_LEN, &error), SUBPY_OK, &error);
  if (!refused(subpy_enter(interp, &error), SUBPY_OK, &error)) {
    refused(subpy_exec(interp, "import threading\nlocal = threading.local()\nlocal.x = [1]\nlocal.x.append(local)", SUBPY_AUTO_LEN, &error),
            SUBPY_OK, &error);
    OK(subpy_leave(interp, &error));
  }
  subpy_status status = subpy_close(made, &error);
  CHECK(!none || status == SUBPY_ERROR_NOT_FOUND);
  if (none) subpy_error_free(error);
  if (!none) refused(status, SUBPY_OK, &error);
}

/* With ever more of the stack left: everything is refused, then nothing is. */
static void *down_the_stack(void *unused) {
  (void)unused;
  pthread_attr_t attr;
  void *base = NULL;
  size_t size = 0;
  CHECK(pthread_getattr_np(pthread_self(), &attr) == 0 && pthread_attr_getstack(&attr, &base, &size) == 0);
  pthread_attr_destroy(&attr);
  stack_base = base;
  for (size_t kib = 12; kib <= 260; kib += kib > 100 && kib < 120 ? 1 : 8) {
    bottom = create();
    run(bottom, "x = 1");
    with_left(kib * 1024, at_the_bottom);
    CHECK(kib > 130 ? refusals == 0 : kib >= 112 || refusals > 10);
    run(bottom, "import gc; gc.collect()");
    subpy_error *error = NULL;
    OK(subpy_close(bottom, &error));
  }
  return NULL;
}

static void *cannot_shut_down(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  FAILS(SUBPY_ERROR_WRONG_STATE, "...CPython needs at least 112 KiB", subpy_shutdown(&error));
  return NULL;
}

static void *nothing_to_shut_down(void *unused) {
  (void)unused;
  shut_down();
  return NULL;
}

int main(void) {
  with_stack(64, starts_too_small, NULL);
  with_stack(256, everything, NULL);
  subpy_interp interp = create();
  run(interp, "x = 1");
  with_stack(1024, down_the_stack, NULL);
  with_stack(64, cannot_shut_down, NULL);
  CHECK(number(interp, "x") == 1);
  shut_down();
  with_stack(64, nothing_to_shut_down, NULL);
  return 0;
}
