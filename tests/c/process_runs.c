/* Runs in an interpreter in a process of its own: each begins with a thread state that nothing was left in, although it was
   made ahead, and a session has its own. */
#include <pthread.h>

#include "guest.h"

static subpy_error *error;
static subpy_interp interp;
static subpy_function function;

static int64_t call(void) {
  subpy_value result = {0};
  OK(subpy_function_call(function, NULL, 0, NULL, &result, &error));
  CHECK(result.kind == SUBPY_KIND_INT);
  return result.u.as_int;
}

static subpy_function find(const char *name) {
  subpy_function found = 0;
  OK(subpy_function_new(interp, name, SUBPY_AUTO_LEN, &found, &error));
  return found;
}

/* How often each thing was there that a run had left in its state. */
#define LEAVES                                                                                          \
  "import asyncio, contextvars, decimal, sys, threading\n"                                              \
  "local = threading.local()\n"                                                                         \
  "variable = contextvars.ContextVar('variable', default=0)\n"                                          \
  "gone = []\n"                                                                                         \
  "class Thing:\n"                                                                                      \
  "  def __del__(self): gone.append(threading.get_ident())\n"                                           \
  "def leave():\n"                                                                                      \
  "  found = [hasattr(local, 'thing'), variable.get() != 0, decimal.getcontext().prec != 28,\n"         \
  "           sys.getprofile() is not None, sys.gettrace() is not None,\n"                              \
  "           sys.get_asyncgen_hooks().firstiter is not None, sys.exc_info()[0] is not None,\n"         \
  "           asyncio._get_running_loop() is not None]\n"                                               \
  "  local.thing = Thing()\n"                                                                           \
  "  variable.set(1)\n"                                                                                 \
  "  decimal.getcontext().prec = 5\n"                                                                   \
  "  sys.setprofile(lambda *rest: None)\n"                                                              \
  "  sys.settrace(lambda *rest: None)\n"                                                                \
  "  sys.set_asyncgen_hooks(firstiter=print)\n"                                                         \
  "  asyncio._set_running_loop(loop)\n"                                                                 \
  "  return sum(found)\n"                                                                               \
  "loop = object()\n"                                                                                   \
  "def count_gone(): return len(gone)\n"

static void each_run_begins_anew(void) {
  function = find("leave");
  subpy_function gone = find("count_gone");
  for (int i = 0; i < 20; i++) {
    subpy_value result = {0};
    CHECK(call() == 0);
    /* Its end is that of what it has left, before it has returned. */
    OK(subpy_function_call(gone, NULL, 0, NULL, &result, &error));
    CHECK(result.u.as_int == i + 1);
    run(interp, i % 2 ? "leave()" : "pass\nleave()");
    FAILS(SUBPY_ERROR_EXECUTION_FAILED, "ZeroDivisionError: division by zero",
          subpy_exec(interp, "leave()\n1/0", SUBPY_AUTO_LEN, &error));
    run(interp, "del gone[-2:]");
  }
  /* A session has one state, which is another one than those of before and of after. */
  OK(subpy_enter(interp, &error));
  CHECK(call() == 0 && call() == 7 && call() == 7);
  OK(subpy_leave(interp, &error));
  CHECK(call() == 0 && call() == 0);
  OK(subpy_enter(interp, &error));
  CHECK(call() == 0 && call() == 7);
  OK(subpy_leave(interp, &error));
  CHECK(call() == 0);
  subpy_function_free(gone);
}

static void *calls(void *unused) {
  (void)unused;
  for (int i = 0; i < 300; i++) CHECK(call() == 0);
  return NULL;
}

/* Several threads are served by as many; the interpreter ends while each of them has a state for its next run. */
static void ends_with_states_made_ahead(void) {
  for (int i = 0; i < 10; i++) {
    subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_PROCESS, .busy = SUBPY_BUSY_SHARE};
    OK(subpy_create(&options, &interp, &error));
    run(interp, LEAVES);
    function = find("leave");
    pthread_t thread[4];
    for (int j = 0; j < 4; j++) CHECK(pthread_create(&thread[j], NULL, calls, NULL) == 0);
    for (int j = 0; j < 4; j++) CHECK(pthread_join(thread[j], NULL) == 0);
    CHECK(call() == 0);
    OK(subpy_close(interp, &error));
  }
}

int main(void) {
  subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_PROCESS};
  OK(subpy_create(&options, &interp, &error));
  run(interp, LEAVES);
  each_run_begins_anew();
  OK(subpy_close(interp, &error));
  ends_with_states_made_ahead();
  OK(subpy_shutdown(&error));
  return 0;
}
