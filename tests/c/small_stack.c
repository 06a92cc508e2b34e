/* Host threads with small stacks: 256 KiB is enough for everything, and 64 KiB is a clear error. */
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

static void *too_small(void *interp) {
  subpy_error *error = NULL;
  subpy_interp given = *(subpy_interp *)interp, other = 1;
  subpy_value result = {0};
  const char *message = "...CPython needs at least 96 KiB (256 KiB or more are recommended)";
  FAILS(SUBPY_ERROR_WRONG_STATE, message, subpy_create(NULL, &other, &error));
  CHECK(other == 0);
  FAILS(SUBPY_ERROR_WRONG_STATE, message, subpy_exec(given, "1", 1, &error));
  FAILS(SUBPY_ERROR_WRONG_STATE, message, subpy_eval(given, "1", 1, &result, &error));
  FAILS(SUBPY_ERROR_WRONG_STATE, message, subpy_call(given, "int", 3, NULL, 0, NULL, &result, &error));
  FAILS(SUBPY_ERROR_WRONG_STATE, message, subpy_close(given, &error));
  /* What runs elsewhere, or runs no Python, works. */
  subpy_thread thread = 0;
  OK(subpy_call_in_thread(given, "builtins:int", SUBPY_AUTO_LEN, NULL, 0, NULL, &thread, &error));
  OK(subpy_thread_join(thread, &result, &error));
  CHECK(result.kind == SUBPY_KIND_INT);
  bool running = true;
  OK(subpy_is_running(given, &running, &error));
  size_t count = 0;
  OK(subpy_list_all(NULL, 0, &count, &error));
  CHECK(!running && count == 2);
  return NULL;
}

/* Such a thread is refused too when it would be the one that starts the runtime. */
static void *starts_too_small(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  subpy_interp interp = 0;
  FAILS(SUBPY_ERROR_WRONG_STATE, "...CPython needs at least 96 KiB", subpy_create(NULL, &interp, &error));
  FAILS(SUBPY_ERROR_WRONG_STATE, "...CPython needs at least 96 KiB", subpy_init(NULL, &error));
  return NULL;
}

static void *cannot_shut_down(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  FAILS(SUBPY_ERROR_WRONG_STATE, "...CPython needs at least 96 KiB", subpy_shutdown(&error));
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
  with_stack(64, too_small, &interp);
  CHECK(number(interp, "x") == 1);
  with_stack(64, cannot_shut_down, NULL);
  CHECK(number(interp, "x") == 1);
  shut_down();
  with_stack(64, nothing_to_shut_down, NULL);
  return 0;
}
