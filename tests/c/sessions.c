/* Sessions: a thread that stays in an interpreter, with one thread state from run to run. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "guest.h"
#include "values.h"

static subpy_error *error;

static void enter(subpy_interp interp) { OK(subpy_enter(interp, &error)); }
static void leave(subpy_interp interp) { OK(subpy_leave(interp, &error)); }

static int64_t eval_int(subpy_interp interp, const char *expression) {
  subpy_value value = eval(interp, expression);
  CHECK(value.kind == SUBPY_KIND_INT);
  return value.u.as_int;
}

#define COUNTING                                                                                       \
  "import threading, contextvars, decimal\n"                                                           \
  "local = threading.local()\n"                                                                        \
  "variable = contextvars.ContextVar('variable', default=0)\n"                                         \
  "def count():\n"                                                                                     \
  "  local.n = getattr(local, 'n', 0) + 1\n"                                                           \
  "  variable.set(variable.get() + 1)\n"                                                               \
  "  assert variable.get() == local.n\n"                                                               \
  "  decimal.getcontext().prec += 1\n"                                                                 \
  "  assert decimal.getcontext().prec == 28 + local.n\n"                                               \
  "  return local.n\n"

static void what_lasts(void) {
  subpy_interp interp = create(), other = create();
  run(interp, COUNTING);
  run(other, COUNTING);
  CHECK(eval_int(interp, "count()") == 1 && eval_int(interp, "count()") == 1);
  enter(interp);
  CHECK(eval_int(interp, "count()") == 1 && eval_int(interp, "count()") == 2);
  /* Others come and go: without a session, and with one of their own. */
  CHECK(eval_int(other, "count()") == 1 && eval_int(other, "count()") == 1);
  enter(other);
  for (int i = 1; i <= 3; i++) CHECK(eval_int(other, "count()") == i && eval_int(interp, "count()") == i + 2);
  enter(interp);
  leave(interp);
  CHECK(eval_int(interp, "count()") == 6);
  leave(interp);
  CHECK(eval_int(interp, "count()") == 1);
  CHECK(eval_int(other, "count()") == 4);
  enter(interp);
  CHECK(eval_int(interp, "count()") == 1);
  /* An exception leaves nothing behind. */
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "ZeroDivisionError: division by zero", subpy_exec(interp, "1/0", SUBPY_AUTO_LEN, &error));
  CHECK(eval_int(interp, "count()") == 2);
  subpy_function function = 0;
  OK(subpy_function_new(interp, "count", SUBPY_AUTO_LEN, &function, &error));
  subpy_value result = {0};
  OK(subpy_function_call(function, NULL, 0, NULL, &result, &error));
  CHECK(result.u.as_int == 3);
  /* Finalizers run when it ends. */
  run(interp,
      "gone = []\n"
      "class Thing:\n"
      "  def __del__(self): gone.append(1)\n"
      "local.thing = Thing()");
  CHECK(eval_int(interp, "len(gone)") == 0);
  leave(interp);
  CHECK(eval_int(interp, "len(gone)") == 1);
  leave(other);
  OK(subpy_close(interp, &error));
  OK(subpy_close(other, &error));
}

static void *leaves(void *interp) {
  FAILS(SUBPY_ERROR_WRONG_STATE, "...has not entered", subpy_leave(*(subpy_interp *)interp, &error));
  return NULL;
}

static void refused(void) {
  subpy_interp interp = create();
  FAILS(SUBPY_ERROR_WRONG_STATE, "...has not entered", subpy_leave(interp, &error));
  FAILS(SUBPY_ERROR_WRONG_STATE, "...has not entered", subpy_leave(0, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_enter(0, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_enter(interp + 1000, &error));
  enter(interp);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, leaves, &interp) == 0 && pthread_join(thread, NULL) == 0);
  bool running = true;
  OK(subpy_is_running(interp, &running, &error));
  CHECK(!running);
  subpy_interp current = 0;
  FAILS(SUBPY_ERROR_NOT_FOUND, "...in no interpreter", subpy_get_current(&current, &error));
  (void)eval_int(interp, "1");
  FAILS(SUBPY_ERROR_NOT_FOUND, "...in no interpreter", subpy_get_current(&current, &error));
  FAILS(SUBPY_ERROR_BUSY, "...has entered the interpreter", subpy_close(interp, &error));
  FAILS(SUBPY_ERROR_BUSY, "...entered by a thread that has not left it", subpy_shutdown(&error));
  CHECK(eval_int(interp, "2") == 2);
  leave(interp);
  FAILS(SUBPY_ERROR_WRONG_STATE, "...has not entered", subpy_leave(interp, &error));
  OK(subpy_close(interp, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_enter(interp, &error));
}

static subpy_interp shared;
static atomic_int entered, may_end;

static void *enters(void *unused) {
  (void)unused;
  enter(shared);
  CHECK(eval_int(shared, "count()") == 1);
  CHECK(eval_int(shared, "count()") == 2);
  atomic_fetch_add(&entered, 1);
  while (!atomic_load(&may_end)) usleep(100);
  return NULL; /* still inside: the session ends with the thread */
}

/* Others get in between calls, and a thread that ends leaves. */
static void threads(void) {
  shared = create();
  run(shared, COUNTING "gone = []\nclass Thing:\n  def __del__(self): gone.append(1)\n");
  pthread_t thread[3];
  for (int i = 0; i < 3; i++) {
    CHECK(pthread_create(&thread[i], NULL, enters, NULL) == 0);
    while (atomic_load(&entered) <= i) usleep(100);
  }
  CHECK(eval_int(shared, "count()") == 1);
  FAILS(SUBPY_ERROR_BUSY, "...has entered the interpreter", subpy_close(shared, &error));
  atomic_store(&may_end, 1);
  for (int i = 0; i < 3; i++) CHECK(pthread_join(thread[i], NULL) == 0);
  OK(subpy_close(shared, &error));
}

static atomic_bool stop;

static void *comes_and_goes(void *interp) {
  while (!atomic_load(&stop)) {
    CHECK(subpy_enter(*(subpy_interp *)interp, NULL) == SUBPY_OK);
    for (int i = 0; i < 20; i++) {
      subpy_status status = subpy_exec(*(subpy_interp *)interp, "count()", SUBPY_AUTO_LEN, NULL);
      CHECK(status == SUBPY_OK || status == SUBPY_ERROR_BUSY);
    }
    CHECK(subpy_leave(*(subpy_interp *)interp, NULL) == SUBPY_OK);
  }
  return NULL;
}

static void stress(void) {
  const int32_t policies[] = {SUBPY_BUSY_REFUSE, SUBPY_BUSY_WAIT, SUBPY_BUSY_SHARE};
  for (int i = 0; i < 3; i++) {
    subpy_interp_options options = {.size = sizeof options, .busy = policies[i]};
    subpy_interp interp = 0;
    OK(subpy_create(&options, &interp, &error));
    run(interp, COUNTING);
    atomic_store(&stop, false);
    pthread_t thread[4];
    for (int j = 0; j < 4; j++) CHECK(pthread_create(&thread[j], NULL, comes_and_goes, &interp) == 0);
    usleep(300 * 1000);
    atomic_store(&stop, true);
    for (int j = 0; j < 4; j++) CHECK(pthread_join(thread[j], NULL) == 0);
    OK(subpy_close(interp, &error));
  }
}

static subpy_interp inner;

/* Called by Python code of `inner`, inside a session of this thread. */
static void from_inside(void) {
  CHECK(eval_int(inner, "count()") == 2);
  FAILS(SUBPY_ERROR_WRONG_STATE, "...is running something", subpy_leave(inner, &error));
  enter(inner);
  CHECK(eval_int(inner, "count()") == 3);
  leave(inner);
  subpy_interp current = 0;
  OK(subpy_get_current(&current, &error));
  CHECK(current == inner);
  FAILS(SUBPY_ERROR_INTERPRETER, "cannot destroy the current interpreter", subpy_close(inner, &error));
}

static void nested(void) {
  inner = create();
  run(inner, COUNTING);
  enter(inner);
  give_function(inner, "outside", "CFUNCTYPE", from_inside);
  OK(subpy_exec(inner, "count()\noutside()\nassert count() == 4", SUBPY_AUTO_LEN, &error));
  leave(inner);
  OK(subpy_close(inner, &error));
}

static subpy_interp around;

/* Called by Python code of `around`. The last leave of another interpreter has nothing to wait for. */
static void leaves_inner(void) {
  CHECK(eval_int(inner, "count()") == 2);
  leave(inner);
  CHECK(eval_int(inner, "count()") == 1);
  OK(subpy_close(inner, &error));
  subpy_interp current = 0;
  OK(subpy_get_current(&current, &error));
  CHECK(current == around);
}

/* A thread leaves an interpreter while it is inside another, which it entered when it had that session; and that other run
   is one in a session, or not, and calls with the GIL or without. */
static void left_inside_of_another(void) {
  const char *types[] = {"CFUNCTYPE", "PYFUNCTYPE"};
  for (int i = 0; i < 4; i++) {
    around = create();
    inner = create();
    run(around, COUNTING);
    run(inner, COUNTING);
    if (i / 2) enter(around);
    enter(inner);
    CHECK(eval_int(inner, "count()") == 1);
    give_function(around, "outside", types[i % 2], leaves_inner);
    OK(subpy_exec(around,
                  "import ctypes\ncount()\noutside()\n"
                  "assert ctypes.pythonapi.PyGILState_Ensure() == 0\nctypes.pythonapi.PyGILState_Release(0)\nassert count() == 2",
                  SUBPY_AUTO_LEN, &error));
    if (i / 2) leave(around);
    CHECK(eval_int(around, "count()") == 1);
    OK(subpy_close(around, &error));
  }
}

/* What Python code calls back into its interpreter through PyGILState_*, with its own state, whatever this thread has run
   elsewhere meanwhile. */
static void runs_elsewhere(void) { CHECK(eval_int(around, "1") == 1); }

static void called_back_after_a_run_elsewhere(void) {
  around = create();
  inner = create();
  run(inner, COUNTING
      "import ctypes\n"
      "@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)\n"
      "def compare(a, b):\n"
      "  global compared; compared += 1\n"
      "  outside()\n"
      "  return count() - count()\n"
      "def work():\n"
      "  global compared; compared = 0\n"
      "  n = count()\n"
      "  ctypes.CDLL(None).qsort(ctypes.create_string_buffer(2), 2, 1, compare)\n"
      "  return count() - n - 2 * compared\n"); /* a sanitizer's qsort compares more often */
  give_function(inner, "outside", "CFUNCTYPE", runs_elsewhere);
  for (int i = 0; i < 2; i++) {
    if (i) enter(inner);
    subpy_value result = {0};
    OK(subpy_call(inner, "work", SUBPY_AUTO_LEN, NULL, 0, NULL, &result, &error));
    CHECK(result.u.as_int == 1);
  }
  leave(inner);
  OK(subpy_close(inner, &error));
  OK(subpy_close(around, &error));
}

static atomic_int holding;

/* Holds the interpreter's GIL for as long as it takes, as C code can. */
static void holds_the_gil(void) {
  atomic_store(&holding, 1);
  while (atomic_load(&holding) == 1) usleep(100);
}

static void *works_in(void *interp) {
  call_from_python(*(subpy_interp *)interp, "PYFUNCTYPE", holds_the_gil);
  return NULL;
}

/* A session does not make runs in other interpreters wait for its own. */
static void runs_elsewhere_do_not_wait(void) {
  subpy_interp interp = create(), other = create();
  run(interp, COUNTING);
  enter(interp);
  CHECK(eval_int(interp, "count()") == 1);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, works_in, &interp) == 0);
  while (!atomic_load(&holding)) usleep(100);
  alarm(20); /* in case it does wait */
  for (int i = 0; i < 100; i++) CHECK(eval_int(other, "1") == 1);
  enter(other);
  for (int i = 0; i < 100; i++) CHECK(eval_int(other, "1") == 1);
  leave(other);
  alarm(0);
  atomic_store(&holding, 2);
  CHECK(pthread_join(thread, NULL) == 0);
  CHECK(eval_int(interp, "count()") == 2);
  leave(interp);
  OK(subpy_close(interp, &error));
  OK(subpy_close(other, &error));
}

/* Python code tries to destroy the interpreter that this thread has entered: for Python it is running. */
static void not_destroyed(void) {
  subpy_interp interp = create(), other = create();
  int64_t id = 0;
  OK(subpy_id(interp, &id, &error));
  enter(interp);
  CHECK(eval_int(interp, "1") == 1);
  char code[100];
  snprintf(code, sizeof code, "import _interpreters; _interpreters.destroy(%lld)", (long long)id);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...InterpreterError: interpreter running", subpy_exec(other, code, SUBPY_AUTO_LEN, &error));
  CHECK(eval_int(interp, "1") == 1);
  leave(interp);
  OK(subpy_exec(other, code, SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_enter(interp, &error));
  OK(subpy_close(other, &error));
}

static void *drops_the_last_link(void *unused) {
  (void)unused;
  char code[160];
  int64_t id = 0;
  OK(subpy_id(inner, &id, NULL));
  snprintf(code, sizeof code,
           "import _interpreters\n_interpreters.incref(%lld, implieslink=True)\n_interpreters.decref(%lld)", (long long)id,
           (long long)id);
  run(around, code);
  return NULL;
}

/* A guest ends an interpreter without asking whether it runs: by taking the last link away. That waits for sessions of
   other threads, and takes those of its own with it. */
static void not_ended_by_its_last_link(void) {
  around = create();
  inner = create();
  run(inner, COUNTING);
  enter(inner);
  CHECK(eval_int(inner, "count()") == 1);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, drops_the_last_link, NULL) == 0);
  while (subpy_exec(inner, "", 0, NULL) != SUBPY_ERROR_NOT_FOUND) usleep(1000);
  leave(inner);
  CHECK(pthread_join(thread, NULL) == 0);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_enter(inner, &error));
  inner = create();
  enter(inner);
  (void)drops_the_last_link(NULL);
  FAILS(SUBPY_ERROR_WRONG_STATE, "...has not entered", subpy_leave(inner, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_exec(inner, "", 0, &error));
  OK(subpy_close(around, &error));
}

int main(void) {
  what_lasts();
  refused();
  threads();
  stress();
  nested();
  left_inside_of_another();
  called_back_after_a_run_elsewhere();
  runs_elsewhere_do_not_wait();
  if (!in_processes()) not_destroyed(); /* no guest of another one sees it */
  if (!in_processes()) not_ended_by_its_last_link();
  OK(subpy_shutdown(&error));
  return 0;
}
