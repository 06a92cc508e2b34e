/* Prepared functions: looked up once, called from any thread, harmless after their interpreter and after they were freed. */
#include <pthread.h>
#include <unistd.h>

#include "guest.h"
#include "values.h"

static subpy_error *error;

static subpy_function new_function(subpy_interp interp, const char *name) {
  subpy_function function = 0;
  OK(subpy_function_new(interp, name, SUBPY_AUTO_LEN, &function, &error));
  CHECK(function != 0 && function < (UINT64_C(1) << 53) && function != interp);
  return function;
}

static int64_t call_int(subpy_function function, const subpy_value *args, size_t nargs) {
  subpy_value result = {0};
  OK(subpy_function_call(function, args, nargs, NULL, &result, &error));
  CHECK(result.kind == SUBPY_KIND_INT);
  return result.u.as_int;
}

static void exec(subpy_interp interp, const char *code) { OK(subpy_exec(interp, code, SUBPY_AUTO_LEN, &error)); }

static void calls(void) {
  subpy_interp interp = create();
  exec(interp,
       "def add(a, b=10, *, c=0): return a + b + c\n"
       "class Adder:\n"
       "  def __init__(self, n): self.n = n\n"
       "  def __call__(self, a): return a + self.n\n"
       "  def times(self, a): return a * self.n\n"
       "adder = Adder(5)\n");
  subpy_value two[] = {subpy_int(2), subpy_int(3)};
  subpy_function add = new_function(interp, "add");
  CHECK(call_int(add, two, 2) == 5);
  CHECK(call_int(add, two, 1) == 12);
  subpy_pair pair = {TEXT("c"), subpy_int(100)};
  subpy_value kwargs = subpy_dict(&pair, 1), result = {0};
  OK(subpy_function_call(add, two, 2, &kwargs, &result, &error));
  CHECK(result.u.as_int == 105);
  OK(subpy_function_call(add, two, 2, NULL, NULL, &error));

  subpy_function object = new_function(interp, "adder"), method = new_function(interp, "adder.times");
  subpy_function imported = new_function(interp, "operator:mul");
  CHECK(call_int(object, two, 1) == 7 && call_int(method, two, 1) == 10 && call_int(imported, two, 2) == 6);

  /* The object that was found, whatever becomes of the name. */
  exec(interp, "def add(a, b): return 'another'\ndel adder");
  CHECK(call_int(add, two, 2) == 5 && call_int(method, two, 1) == 10);

  /* As part of a request, here and on a thread. */
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_FUNCTION, .function = add, .args = two, .nargs = 2};
  OK(subpy_run(&request, &result, &error));
  CHECK(result.u.as_int == 5);
  request.interp = interp;
  subpy_thread thread = 0;
  OK(subpy_run_in_thread(&request, &thread, &error));
  OK(subpy_thread_join(thread, &result, &error));
  CHECK(result.u.as_int == 5);
  subpy_function_free(add);

  subpy_function_free(object);
  subpy_function_free(method);
  subpy_function_free(imported);
  OK(subpy_close(interp, &error));
}

/* A thread has what it needs: the function may be freed as soon as the thread was started. */
static void freed_while_a_thread_has_it(void) {
  subpy_interp interp = create();
  exec(interp, "import weakref\ndef add(a, b): return a + b");
  const subpy_value two[] = {subpy_int(2), subpy_int(3)};
  for (int i = 0; i < 100; i++) {
    subpy_function add = new_function(interp, "add");
    subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_FUNCTION, .function = add, .args = two, .nargs = 2};
    subpy_thread thread = 0;
    subpy_value result = {0};
    OK(subpy_run_in_thread(&request, &thread, &error));
    subpy_function_free(add);
    FAILS(SUBPY_ERROR_NOT_FOUND, "...is not the handle of a function", subpy_function_call(add, two, 2, NULL, &result, &error));
    FAILS(SUBPY_ERROR_NOT_FOUND, "...is not the handle of a function", subpy_run_in_thread(&request, NULL, &error));
    OK(subpy_thread_join(thread, &result, &error));
    CHECK(result.u.as_int == 5);
  }
  /* With the last thread its object is given back. */
  exec(interp, "gone = weakref.ref(add)\ndel add");
  CHECK(eval(interp, "gone() is None").u.as_bool);
  OK(subpy_close(interp, &error));
}

static void refused(void) {
  subpy_interp interp = create();
  subpy_function function = 77;
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "AttributeError: module '__main__' has no attribute 'missing'",
        subpy_function_new(interp, "missing", SUBPY_AUTO_LEN, &function, &error));
  CHECK(function == 0);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...No module named 'missing'",
        subpy_function_new(interp, "missing:f", SUBPY_AUTO_LEN, &function, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "TypeError: 'float' object is not callable",
        subpy_function_new(interp, "math:pi", SUBPY_AUTO_LEN, &function, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...callable", subpy_function_new(interp, NULL, 1, &function, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...function is NULL",
        subpy_function_new(interp, "len", SUBPY_AUTO_LEN, NULL, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_function_new(interp + 1000, "len", SUBPY_AUTO_LEN, &function, &error));

  const subpy_function invented[] = {0, 1, 77, UINT64_MAX, interp};
  for (size_t i = 0; i < COUNT(invented); i++) {
    FAILS(SUBPY_ERROR_NOT_FOUND, "...is not the handle of a function",
          subpy_function_call(invented[i], NULL, 0, NULL, NULL, &error));
    subpy_function_free(invented[i]);
  }
  CHECK(eval(interp, "1").u.as_int == 1);
  function = new_function(interp, "builtins:len");
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "args is NULL but nargs is 1", subpy_function_call(function, NULL, 1, NULL, NULL, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "TypeError: len() takes exactly one argument (0 given)",
        subpy_function_call(function, NULL, 0, NULL, NULL, &error));

  subpy_interp other = create();
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_FUNCTION, .function = function, .interp = other};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...not the function's interpreter", subpy_run(&request, NULL, &error));
  request.interp = 0;
  request.text = "len";
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...text", subpy_run(&request, NULL, &error));
  request.text = NULL;
  request.filename = "x";
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...filename", subpy_run(&request, NULL, &error));
  OK(subpy_close(other, &error));

  /* After a free, after a close, after a shutdown; freed twice, and in any order. */
  subpy_function kept = new_function(interp, "builtins:len");
  subpy_function_free(function);
  subpy_function_free(function);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...is not the handle of a function", subpy_function_call(function, NULL, 0, NULL, NULL, &error));
  OK(subpy_close(interp, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...unrecognized interpreter ID", subpy_function_call(kept, NULL, 0, NULL, NULL, &error));
  subpy_interp main_interp = 0;
  OK(subpy_get_main(&main_interp, &error));
  subpy_function in_main = new_function(main_interp, "builtins:len");
  OK(subpy_shutdown(&error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_function_call(in_main, NULL, 0, NULL, NULL, &error));
  subpy_function_free(in_main);
  subpy_function_free(kept);
}

/* The object goes when the interpreter is entered next after the free, and at the latest when it ends. */
static void references(void) {
  subpy_interp interp = create();
  exec(interp,
       "import weakref\n"
       "def make():\n"
       "  def f(): return 1\n"
       "  global watch; watch = weakref.ref(f)\n"
       "  return f\n"
       "f = make()");
  subpy_function function = new_function(interp, "f"), twice = new_function(interp, "f");
  exec(interp, "del f");
  subpy_function_free(function);
  CHECK(eval(interp, "watch() is None").u.as_bool == false);
  CHECK(call_int(twice, NULL, 0) == 1);
  subpy_function_free(twice);
  CHECK(eval(interp, "watch() is None").u.as_bool == true);

  signal_pipe says = signal_new();
  char code[160];
  snprintf(code, sizeof code,
           "import os\n"
           "class Last:\n"
           "  def __call__(self): pass\n"
           "  def __del__(self): os.write(%d, b'gone')\n"
           "last = Last()",
           says.out);
  exec(interp, code);
  (void)new_function(interp, "last");
  OK(subpy_close(interp, &error));
  char text[5] = {0};
  CHECK(read(says.in, text, 4) == 4 && strcmp(text, "gone") == 0);
}

static subpy_function shared;
static subpy_interp shared_interp;

/* Calls until it finds nothing any more. */
static void *caller(void *unused) {
  (void)unused;
  subpy_value two[] = {subpy_int(20), subpy_int(22)};
  for (;;) {
    subpy_value result = {0};
    subpy_status status = subpy_function_call(shared, two, 2, NULL, &result, NULL);
    if (status == SUBPY_ERROR_NOT_FOUND) return NULL;
    CHECK(status == SUBPY_OK || status == SUBPY_ERROR_BUSY);
    CHECK(status != SUBPY_OK || result.u.as_int == 42);
    /* Four threads that never pause leave no moment in which a close is not SUBPY_ERROR_BUSY. */
    usleep(50);
  }
}

/* Freed, or its interpreter closed, while four threads call it. */
static void races(void) {
  const int32_t policies[] = {SUBPY_BUSY_REFUSE, SUBPY_BUSY_WAIT, SUBPY_BUSY_SHARE};
  for (int round = 0; round < 60; round++) {
    subpy_interp_options options = {.size = sizeof options, .busy = policies[round % 3]};
    OK(subpy_create(&options, &shared_interp, &error));
    exec(shared_interp, "def make():\n  return lambda a, b: a + b\nf = make()");
    shared = new_function(shared_interp, "f");
    while (subpy_exec(shared_interp, "del f", SUBPY_AUTO_LEN, NULL) == SUBPY_ERROR_BUSY) continue;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, caller, NULL) == 0);
    usleep(1000 + (useconds_t)(round % 7) * 300);
    if (round % 2) {
      subpy_function_free(shared);
    } else {
      while (subpy_close(shared_interp, NULL) == SUBPY_ERROR_BUSY) continue;
    }
    for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    subpy_function_free(shared);
    if (round % 2) OK(subpy_close(shared_interp, &error));
  }
}

int main(void) {
  calls();
  freed_while_a_thread_has_it();
  refused();
  references();
  races();
  OK(subpy_shutdown(&error));
  return 0;
}
