/* A stack that the host made, not the thread's own: coroutines, fibers, and FFIs such as koffi run C on them. */
#include <pthread.h>

#include "stack.h"
#include "values.h"

static void recurse(subpy_interp interp) {
  subpy_error *error = NULL;
  const char *deep = "...RecursionError";
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, deep, subpy_exec(interp, "repr(x)", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, deep, subpy_exec(interp, "json.dumps(x)", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, deep, subpy_exec(interp, "through_c()", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, deep, subpy_exec(interp, "forever()", SUBPY_AUTO_LEN, &error));
  run(interp, "assert repr([[1]]) == '[[1]]'");
}

static subpy_interp shared;

static void on_shared(void) { recurse(shared); }

static void everything(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create();
  run(interp,
      "import atexit, asyncio, json, re, sqlite3, ssl\n"
      "x = []\n"
      "for _ in range(100_000): x = [x]\n"
      "def forever(): forever()\n"
      "def through_c(): sorted([1], key=lambda _: through_c())\n"
      "@atexit.register\n"
      "def late():\n"
      "    try: repr(x)\n"
      "    except RecursionError: pass\n");
  recurse(interp);
  subpy_thread thread = 0;
  OK(subpy_call_in_thread(interp, "builtins:repr", SUBPY_AUTO_LEN, NULL, 0, NULL, &thread, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...TypeError: repr()", subpy_thread_join(thread, NULL, &error));
  OK(subpy_close(interp, &error));
}

static void too_small(void) {
  subpy_error *error = NULL;
  FAILS(SUBPY_ERROR_WRONG_STATE, "...CPython needs at least 112 KiB (256 KiB or more are recommended)",
        subpy_exec(shared, "1", SUBPY_AUTO_LEN, &error));
}

static void *on_many(void *unused) {
  (void)unused;
  on_stack(256, everything);
  on_stack(2048, on_shared);
  recurse(shared); /* the thread's own */
  on_stack(64, too_small);
  on_stack(512, on_shared);
  return NULL;
}

int main(void) {
  shared = create();
  run(shared,
      "import json\n"
      "x = []\n"
      "for _ in range(100_000): x = [x]\n"
      "def forever(): forever()\n"
      "def through_c(): sorted([1], key=lambda _: through_c())\n");
  on_many(NULL);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, on_many, NULL) == 0 && pthread_join(thread, NULL) == 0);
  shut_down();
  return 0;
}
