/* Host functions that run more Python: in the same interpreter, on the thread state that is there, and in others. */
#include "guest.h"
#include "values.h"

static subpy_error *error;
static subpy_interp one, two;
static uint32_t flags;
static int called;

typedef void host_fn(void *, subpy_context *, const subpy_value *, size_t, const subpy_value *);

static void define(subpy_interp interp, const char *name, host_fn *function, void *userdata) {
  OK(subpy_define(interp, name, SUBPY_AUTO_LEN, flags, function, userdata, NULL, &error));
}

static void check_current(subpy_interp expected) {
  subpy_interp current = 0;
  OK(subpy_get_current(&current, &error));
  CHECK(current == expected);
}

/* ---- what is the thread's own stays ---- */

static void same_thread_state(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs,
                              const subpy_value *kwargs) {
  (void)args, (void)nargs, (void)kwargs;
  subpy_interp interp = *(subpy_interp *)userdata;
  CHECK(subpy_context_interp(ctx) == interp);
  check_current(interp);
  run(interp, "assert local.x == 1 and variable.get() == 'set' and decimal.getcontext().prec == 7\n"
              "local.x = 2\nvariable.set('changed')\nident = threading.get_ident()");
  /* A session that is begun here is another state; what runs inside is not concerned. */
  OK(subpy_enter(interp, &error));
  run(interp, "assert local.x == 2");
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "ValueError: inside",
        subpy_exec(interp, "raise ValueError('inside')", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_SYNTAX, "...SyntaxError: ", subpy_exec(interp, "= =", SUBPY_AUTO_LEN, &error));
  bool running = false;
  OK(subpy_is_running(interp, &running, &error));
  CHECK(running);
  FAILS(SUBPY_ERROR_INTERPRETER, "cannot destroy the current interpreter", subpy_close(interp, &error));
  FAILS(SUBPY_ERROR_BUSY, "cannot shut down from inside an interpreter", subpy_shutdown(&error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...ZeroDivisionError",
        subpy_define(interp, "broken:f", SUBPY_AUTO_LEN, 0, same_thread_state, NULL, NULL, &error));
  define(interp, "late:f", same_thread_state, userdata);
  subpy_function function = 0;
  subpy_value number = subpy_int(-5), result = {0};
  OK(subpy_function_new(interp, "builtins:abs", SUBPY_AUTO_LEN, &function, &error));
  OK(subpy_function_call(function, &number, 1, NULL, &result, &error));
  CHECK(result.u.as_int == 5);
  subpy_function_free(function);
  check_current(interp);
  called++;
}

static void keeps_what_is_the_threads(subpy_interp interp, bool session) {
  called = 0;
  define(interp, "back", same_thread_state, &interp);
  run(interp, "import contextvars, decimal, sys, threading, types\n"
              "local = threading.local()\n"
              "variable = contextvars.ContextVar('variable')\n"
              "class Broken:\n"
              "  def find_spec(name, path, target=None):\n"
              "    if name == 'broken': 1 / 0\n"
              "sys.meta_path.insert(0, Broken)");
  const char *code =
      "local.x = 1\nvariable.set('set')\ndecimal.getcontext().prec = 7\n"
      "def f():\n"
      "  try: raise KeyError('mine')\n"
      "  except KeyError as e:\n"
      "    back()\n"
      "    assert sys.exception() is e\n"
      "  assert local.x == 2 and variable.get() == 'changed' and ident == threading.get_ident()\n"
      "f()";
  if (session) OK(subpy_enter(interp, &error));
  run(interp, code);
  OK(subpy_leave(interp, &error)); /* what the function has entered */
  if (session) {
    run(interp, "assert local.x == 2");
    OK(subpy_leave(interp, &error));
  }
  CHECK(called == 1);
  FAILS(SUBPY_ERROR_NOT_FOUND, "this thread is in no interpreter", subpy_get_current(NULL, &error));
}

/* ---- fifty levels ---- */

enum { LEVELS = 50 };
static int depth;

static void goes_deeper(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs,
                        const subpy_value *kwargs) {
  (void)userdata, (void)kwargs;
  CHECK(nargs == 1);
  subpy_interp interp = subpy_context_interp(ctx), next = two && depth % 2 == 0 ? (interp == one ? two : one) : interp;
  check_current(interp);
  subpy_value result = subpy_int(0);
  if (++depth < LEVELS) OK(subpy_call(next, "deeper", SUBPY_AUTO_LEN, args, 1, NULL, &result, &error));
  check_current(interp);
  result.u.as_int++;
  CHECK(subpy_context_return(ctx, &result) == SUBPY_OK);
}

static void fifty_levels(void) {
  subpy_interp both[] = {one, two};
  for (int i = 0; i < 2 && both[i]; i++) {
    define(both[i], "deeper_in_host", goes_deeper, NULL);
    run(both[i], "import threading\n"
                 "local = threading.local()\n"
                 "local.depth = 0\n"
                 "def deeper(states):\n"
                 "  local.depth = depth = getattr(local, 'depth', 0) + 1\n"
                 "  result = deeper_in_host(states)\n"
                 "  assert local.depth >= depth\n"
                 "  return result");
  }
  depth = 0;
  subpy_value argument = subpy_int(2), result = {0};
  OK(subpy_call(one, "deeper", SUBPY_AUTO_LEN, &argument, 1, NULL, &result, &error));
  CHECK(depth == LEVELS && result.u.as_int == LEVELS);
}

/* ---- there and back: the state of the interpreter further out is found ---- */

static void back_in_one(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs,
                        const subpy_value *kwargs) {
  (void)userdata, (void)args, (void)nargs, (void)kwargs;
  CHECK(subpy_context_interp(ctx) == two);
  run(one, "assert local.x == 'one'\nlocal.x += '!'");
  check_current(two);
  run(two, "assert local.x == 'two'");
  FAILS(SUBPY_ERROR_BUSY, "interpreter running", subpy_close(one, &error));
  called++;
}

static void to_two(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)ctx, (void)args, (void)nargs, (void)kwargs;
  run(two, "local.x = 'two'\nback_in_one()\nassert local.x == 'two'");
  check_current(one);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...AttributeError", subpy_exec(two, "local.x", SUBPY_AUTO_LEN, &error));
  called++;
}

static void there_and_back(void) {
  called = 0;
  define(one, "to_two", to_two, NULL);
  define(two, "back_in_one", back_in_one, NULL);
  for (int i = 0; i < 2; i++) run(i ? one : two, "import threading\nlocal = threading.local()");
  run(one, "local.x = 'one'\nto_two()\nassert local.x == 'one!'");
  CHECK(called == 2);
}

/* ---- exceptions cross ---- */

static void passes_on(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs,
                      const subpy_value *kwargs) {
  (void)userdata, (void)args, (void)nargs, (void)kwargs;
  subpy_error *inner = NULL;
  CHECK(subpy_exec(two, "def fails(): raise LookupError('deep inside')\nfails()", SUBPY_AUTO_LEN, &inner) ==
        SUBPY_ERROR_EXECUTION_FAILED);
  CHECK(subpy_context_raise(ctx, subpy_error_type_name(inner, NULL), SUBPY_AUTO_LEN,
                            subpy_error_exception_message(inner, NULL), SUBPY_AUTO_LEN) == SUBPY_OK);
  CHECK(subpy_context_note(ctx, subpy_error_display(inner, NULL), SUBPY_AUTO_LEN) == SUBPY_OK);
  subpy_error_free(inner);
}

static void exceptions_cross(void) {
  define(one, "passes_on", passes_on, NULL);
  subpy_error *failed = exception(one, "def outer():\n  passes_on()\nouter()");
  CHECK_ERROR(subpy_error_formatted, failed, "LookupError: deep inside");
  const char *display = subpy_error_display(failed, NULL);
  CHECK(strstr(display, "in outer") && strstr(display, "in fails"));
  subpy_error_free(failed);
}

/* ---- waiting inside lets the GIL go ---- */

static void joins(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)args, (void)nargs, (void)kwargs;
  subpy_thread thread = 0;
  subpy_value argument = subpy_int(-5), value = {0};
  OK(subpy_call_in_thread(subpy_context_interp(ctx), "builtins:abs", SUBPY_AUTO_LEN, &argument, 1, NULL, &thread, &error));
  OK(subpy_thread_join(thread, &value, &error));
  CHECK(subpy_context_return(ctx, &value) == SUBPY_OK);
}

static void waiting(void) {
  subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_SHARE};
  subpy_interp shared = 0;
  OK(subpy_create(&options, &shared, &error));
  define(shared, "joins", joins, NULL);
  CHECK(number(shared, "joins()") == 5);
  OK(subpy_close(shared, &error));
}

/* ---- another interpreter is created and closed inside ---- */

static void creates(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs,
                    const subpy_value *kwargs) {
  (void)userdata, (void)args, (void)nargs, (void)kwargs;
  subpy_interp inner = create();
  define(inner, "creates", creates, NULL);
  run(inner, "def f(levels): return 1 + creates(levels - 1) if levels else 0");
  subpy_value result = {0};
  OK(subpy_call(inner, "f", SUBPY_AUTO_LEN, args, 1, NULL, &result, &error));
  CHECK(subpy_context_return(ctx, &result) == SUBPY_OK);
  OK(subpy_close(inner, &error));
  check_current(subpy_context_interp(ctx));
}

/* ---- run from exec, eval, a call, a prepared function, many rows, a module that is imported, __del__, a thread ---- */

static void counts(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)args, (void)nargs, (void)kwargs;
  subpy_interp interp = subpy_context_interp(ctx);
  run(interp, "count += 1");
  subpy_value result = subpy_int(number(interp, "count"));
  CHECK(subpy_context_return(ctx, &result) == SUBPY_OK);
}

static void from_everywhere(void) {
  subpy_interp interp = create();
  define(interp, "host:count", counts, NULL);
  run(interp, "count = 0\nimport host, threading\nhost.count()");
  CHECK(number(interp, "host.count()") == 2);
  subpy_value result = {0}, results = {0};
  OK(subpy_call(interp, "host:count", SUBPY_AUTO_LEN, NULL, 0, NULL, &result, &error));
  CHECK(result.u.as_int == 3);
  subpy_function function = 0;
  OK(subpy_function_new(interp, "host:count", SUBPY_AUTO_LEN, &function, &error));
  OK(subpy_function_call(function, NULL, 0, NULL, &result, &error));
  CHECK(result.u.as_int == 4);
  OK(subpy_function_call_many(function, NULL, 3, 0, 0, &results, &error));
  CHECK(results.u.as_items[2].u.as_int == 7);
  subpy_value_free(&results);
  subpy_function_free(function);
  run(interp, "class Counts:\n  def __del__(self): host.count()\nCounts()\nassert count == 8\n"
              "thread = threading.Thread(target=host.count)\nthread.start()\nthread.join()\nassert count == 9\n"
              "import atexit\natexit.register(print, 'at exit')\n"
              "assert sorted([2, 1], key=lambda it: host.count() and it) == [1, 2] and count == 11\n"
              "class Key:\n  def __hash__(self): return host.count() and 1\n  def __eq__(self, other): return host.count() > 0\n"
              "assert {Key(): 1}[Key()] == 1");
  OK(subpy_close(interp, &error));
}

int main(void) {
  for (flags = 0; flags <= SUBPY_DEFINE_KEEP_GIL; flags++) {
    for (int32_t busy = SUBPY_BUSY_REFUSE; busy <= SUBPY_BUSY_SHARE; busy++) {
      subpy_interp_options options = {.size = sizeof options, .busy = busy};
      OK(subpy_create(&options, &one, &error));
      two = 0;
      keeps_what_is_the_threads(one, false);
      keeps_what_is_the_threads(one, true);
      fifty_levels();
      options.gil = busy == SUBPY_BUSY_WAIT ? SUBPY_GIL_SHARED : SUBPY_GIL_OWN;
      OK(subpy_create(&options, &two, &error));
      fifty_levels();
      there_and_back();
      exceptions_cross();
      OK(subpy_close(one, &error));
      OK(subpy_close(two, &error));
    }
    waiting();
    subpy_interp outer = create();
    define(outer, "creates", creates, NULL);
    CHECK(number(outer, "creates(3)") == 3);
    OK(subpy_close(outer, &error));
    from_everywhere();
  }
  shut_down();
  return 0;
}
