/* The context of a call: results, exceptions with notes and numbers, uses on other threads and after the call. */
#include "guest.h"
#include "values.h"

static subpy_error *error;
static subpy_interp interp;

/* What the next call does. */
static void (*act)(subpy_context *ctx);

static void acts(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)args, (void)nargs, (void)kwargs;
  CHECK(subpy_context_interp(ctx) == interp);
  act(ctx);
}

static subpy_value call(void (*act_)(subpy_context *)) {
  subpy_value result = {0};
  act = act_;
  OK(subpy_call(interp, "act", SUBPY_AUTO_LEN, NULL, 0, NULL, &result, &error));
  return result;
}

static subpy_error *failure(void (*act_)(subpy_context *)) {
  subpy_error *failed = NULL;
  act = act_;
  subpy_value result = subpy_int(5);
  CHECK(subpy_call(interp, "act", SUBPY_AUTO_LEN, NULL, 0, NULL, &result, &failed) == SUBPY_ERROR_EXECUTION_FAILED);
  CHECK(result.kind == SUBPY_KIND_NONE);
  return failed;
}

#define RAISE(ctx, type, message) subpy_context_raise(ctx, type, SUBPY_AUTO_LEN, message, SUBPY_AUTO_LEN)
#define NOTE(ctx, text) subpy_context_note(ctx, text, SUBPY_AUTO_LEN)
#define MESSAGE(act, expected)                                                                               \
  do {                                                                                                       \
    subpy_error *failed_ = failure(act);                                                                     \
    CHECK_ERROR(subpy_error_formatted, failed_, expected);                                                   \
    subpy_error_free(failed_);                                                                               \
  } while (0)

static void none(subpy_context *ctx) { (void)ctx; }

static void null(subpy_context *ctx) {
  subpy_value seven = subpy_int(7);
  CHECK(subpy_context_return(ctx, &seven) == SUBPY_OK && subpy_context_return(ctx, NULL) == SUBPY_OK);
}

static void last_return(subpy_context *ctx) {
  char text[] = "gone when the function returns";
  subpy_value value = TEXT(text), seven = subpy_int(7);
  CHECK(subpy_context_return(ctx, &value) == SUBPY_OK && subpy_context_return(ctx, &seven) == SUBPY_OK &&
        subpy_context_return(ctx, &value) == SUBPY_OK);
  memset(text, 'x', sizeof text - 1);
}

static void raise_after_return(subpy_context *ctx) {
  subpy_value seven = subpy_int(7);
  CHECK(subpy_context_return(ctx, &seven) == SUBPY_OK && RAISE(ctx, "ValueError", "after") == SUBPY_OK);
}

static void return_after_raise(subpy_context *ctx) {
  subpy_value seven = subpy_int(7);
  CHECK(RAISE(ctx, "builtins:KeyError", "before") == SUBPY_OK && subpy_context_return(ctx, &seven) == SUBPY_OK);
}

static void raise_twice(subpy_context *ctx) {
  CHECK(RAISE(ctx, "ValueError", "first") == SUBPY_OK && RAISE(ctx, "OSError", "second") == SUBPY_OK);
}

static void raise_own(subpy_context *ctx) { CHECK(RAISE(ctx, "__main__:Outer.Own", "h\xc3\xa9") == SUBPY_OK); }
static void raise_imported(subpy_context *ctx) { CHECK(RAISE(ctx, "decimal:InvalidOperation", "x") == SUBPY_OK); }
static void raise_exit(subpy_context *ctx) { CHECK(RAISE(ctx, "SystemExit", "3") == SUBPY_OK); }
static void raise_missing(subpy_context *ctx) { CHECK(RAISE(ctx, "Nothing", "the message") == SUBPY_OK); }
static void raise_no_module(subpy_context *ctx) { CHECK(RAISE(ctx, "no_such:Type", "the message") == SUBPY_OK); }
static void raise_no_class(subpy_context *ctx) { CHECK(RAISE(ctx, "print", "the message") == SUBPY_OK); }
static void raise_other_class(subpy_context *ctx) { CHECK(RAISE(ctx, "int", "5") == SUBPY_OK); }
static void raise_many_arguments(subpy_context *ctx) { CHECK(RAISE(ctx, "UnicodeDecodeError", "x") == SUBPY_OK); }
static void raise_odd(subpy_context *ctx) { CHECK(RAISE(ctx, "__main__:Odd", "x") == SUBPY_OK); }
static void raise_empty(subpy_context *ctx) { CHECK(RAISE(ctx, "", "") == SUBPY_OK); }

static void bad_value(subpy_context *ctx) {
  subpy_value bad = {.kind = 77};
  subpy_value list = subpy_list(&bad, 1);
  CHECK(subpy_context_return(ctx, &list) == SUBPY_ERROR_INVALID_ARGUMENT);
}

static void bad_text(subpy_context *ctx) {
  subpy_value seven = subpy_int(7);
  CHECK(subpy_context_raise(ctx, NULL, 1, "", 0) == SUBPY_ERROR_INVALID_ARGUMENT);
  CHECK(subpy_context_raise(ctx, "x", 1, "\xff", 1) == SUBPY_ERROR_INVALID_ARGUMENT);
  CHECK(subpy_context_note(ctx, "\xff", 1) == SUBPY_ERROR_INVALID_ARGUMENT);
  CHECK(subpy_context_return(ctx, &seven) == SUBPY_OK);
}

static void bad_dict(subpy_context *ctx) {
  subpy_pair pair = {subpy_list(NULL, 0), subpy_int(1)};
  subpy_value dict = subpy_dict(&pair, 1);
  (void)subpy_context_return(ctx, &dict);
}

static void note_alone(subpy_context *ctx) { CHECK(NOTE(ctx, "nobody reads it") == SUBPY_OK); }

static void noted(subpy_context *ctx) {
  CHECK(NOTE(ctx, "at main.c:1\nat main.c:2") == SUBPY_OK);
  CHECK(RAISE(ctx, "ValueError", "with notes") == SUBPY_OK && NOTE(ctx, "another") == SUBPY_OK);
  CHECK(subpy_context_tag(ctx, UINT64_MAX - 1) == SUBPY_OK);
}

static void outcomes(void) {
  subpy_value value = call(none);
  CHECK(value.kind == SUBPY_KIND_NONE);
  value = call(null);
  CHECK(value.kind == SUBPY_KIND_NONE);
  value = call(last_return);
  CHECK(is_text(&value, "gone when the function returns"));
  subpy_value_free(&value);
  value = call(note_alone);
  CHECK(value.kind == SUBPY_KIND_NONE);
  value = call(bad_text);
  CHECK(value.u.as_int == 7);
  MESSAGE(raise_after_return, "ValueError: after");
  MESSAGE(return_after_raise, "KeyError: 'before'");
  MESSAGE(raise_twice, "OSError: second");
  MESSAGE(raise_imported, "decimal.InvalidOperation: x");
  MESSAGE(bad_value, "TypeError: the host function returned what is no value: value[0]: kind 77 is not one of SUBPY_KIND_*");
  MESSAGE(raise_missing, "TypeError: act() raised Nothing, which is not an exception here (AttributeError: module "
                         "'builtins' has no attribute 'Nothing'): the message");
  MESSAGE(raise_no_module, "TypeError: act() raised no_such:Type, which is not an exception here (ModuleNotFoundError: No "
                           "module named 'no_such'): the message");
  MESSAGE(raise_no_class, "TypeError: act() raised print, which is not an exception here (TypeError: it does not derive "
                          "from BaseException): the message");
  MESSAGE(raise_other_class, "TypeError: act() raised int, which is not an exception here (TypeError: it does not derive "
                             "from BaseException): 5");
  MESSAGE(raise_many_arguments, "TypeError: act() raised UnicodeDecodeError, which is not an exception here (TypeError: "
                                "function takes exactly 5 arguments (1 given)): x");
  run(interp, "class Outer:\n  class Own(Exception): pass\n"
              "class Odd(Exception):\n  def __new__(cls, *args): return 5\n");
  MESSAGE(raise_odd, "TypeError: act() raised __main__:Odd, which is not an exception here (TypeError: calling it gives no "
                     "exception): x");
  subpy_error *failed = failure(raise_own);
  CHECK_ERROR(subpy_error_formatted, failed, "Outer.Own: h\xc3\xa9");
  CHECK(subpy_error_tag(failed) == 0);
  subpy_error_free(failed);
  subpy_error_free(failure(raise_empty));
  failed = failure(bad_dict);
  CHECK(strcmp(subpy_error_type_name(failed, NULL), "TypeError") == 0);
  subpy_error_free(failed);
  failed = failure(raise_exit);
  int32_t status = 0;
  CHECK(subpy_error_exit_status(failed, &status));
  subpy_error_free(failed);
}

/* Both stacks: Python's, and what the host says of its own. The number comes out with the exception, and with no other. */
static void notes_and_numbers(void) {
  act = noted;
  run(interp, "def f():\n  act()\n");
  subpy_error *failed = exception(interp, "f()");
  const char *display = subpy_error_display(failed, NULL);
  CHECK(strstr(display, "in f\n") && strstr(display, "ValueError: with notes\nat main.c:1\nat main.c:2\nanother"));
  CHECK(subpy_error_tag(failed) == UINT64_MAX - 1);
  subpy_error_free(failed);
  run(interp,
      "import copy, pickle\n"
      "try: f()\n"
      "except ValueError as e: caught = e\n"
      "assert caught.__notes__ == ['at main.c:1\\nat main.c:2', 'another']\n"
      "again = pickle.loads(pickle.dumps(caught))\n"
      "assert str(again) == 'with notes'");
  failed = exception(interp, "raise caught");
  CHECK(subpy_error_tag(failed) == UINT64_MAX - 1);
  subpy_error_free(failed);
  const char *others[] = {"raise again", "raise ValueError('x') from caught", "raise ExceptionGroup('x', [caught])",
                          "e = ValueError()\ne.__subpy_tag__ = 5\nraise e", "raise ValueError",
                          "class E(Exception):\n  def __getattribute__(self, name): 1 / 0\nraise E"};
  for (size_t i = 0; i < COUNT(others); i++) {
    failed = exception(interp, others[i]);
    CHECK(subpy_error_tag(failed) == 0);
    subpy_error_free(failed);
  }
  CHECK(subpy_error_tag(NULL) == 0);
}

/* ---- on other threads ---- */

static void *returns_there(void *ctx) {
  subpy_value text = TEXT("from another thread");
  CHECK(subpy_context_interp(ctx) == interp);
  CHECK(subpy_context_return(ctx, &text) == SUBPY_OK);
  return NULL;
}

static void *raises_there(void *ctx) {
  CHECK(RAISE(ctx, "ValueError", "from another thread") == SUBPY_OK);
  return NULL;
}

static void on_a_thread(void *(*body)(void *), subpy_context *ctx) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, body, ctx) == 0 && pthread_join(thread, NULL) == 0);
}

static void return_there(subpy_context *ctx) {
  subpy_value seven = subpy_int(7);
  CHECK(subpy_context_return(ctx, &seven) == SUBPY_OK);
  on_a_thread(returns_there, ctx);
}

static void return_there_then_here(subpy_context *ctx) {
  subpy_value seven = subpy_int(7);
  on_a_thread(returns_there, ctx);
  CHECK(subpy_context_return(ctx, &seven) == SUBPY_OK);
}

static void raise_there(subpy_context *ctx) {
  subpy_value seven = subpy_int(7);
  on_a_thread(raises_there, ctx);
  CHECK(subpy_context_return(ctx, &seven) == SUBPY_OK);
}

static void on_other_threads(void) {
  for (int round = 0; round < 3; round++) {
    subpy_value value = call(return_there);
    CHECK(is_text(&value, "from another thread"));
    subpy_value_free(&value);
    value = call(return_there_then_here);
    CHECK(value.u.as_int == 7);
    MESSAGE(raise_there, "ValueError: from another thread");
    value = call(none);
    CHECK(value.kind == SUBPY_KIND_NONE);
  }
}

/* ---- after the call, and made up ---- */

static subpy_context *kept;

static void keep(subpy_context *ctx) { kept = ctx; }

static void is_over(subpy_context *ctx) {
  subpy_value seven = subpy_int(7);
  CHECK(subpy_context_return(ctx, &seven) == SUBPY_ERROR_NOT_FOUND);
  CHECK(subpy_context_return(ctx, NULL) == SUBPY_ERROR_NOT_FOUND);
  CHECK(RAISE(ctx, "ValueError", "x") == SUBPY_ERROR_NOT_FOUND);
  CHECK(NOTE(ctx, "x") == SUBPY_ERROR_NOT_FOUND);
  CHECK(subpy_context_tag(ctx, 1) == SUBPY_ERROR_NOT_FOUND);
  CHECK(subpy_context_interp(ctx) == 0);
}

static void kept_is_over(subpy_context *ctx) {
  CHECK(ctx != kept);
  is_over(kept);
}

static void after_the_call(void) {
  call(keep);
  is_over(kept);
  subpy_value value = call(kept_is_over);
  CHECK(value.kind == SUBPY_KIND_NONE);
  is_over(NULL);
  uint64_t random = 88172645463325252u;
  for (int i = 0; i < 100000; i++) {
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
    is_over((subpy_context *)(uintptr_t)(i % 2 ? random : random >> (i % 60)));
  }
  int local = 0;
  is_over((subpy_context *)&local);
}

/* ---- the run is to end ---- */

static void waits_until_cancelled(subpy_context *ctx) {
  while (!subpy_context_cancelled(ctx)) usleep(100);
}

static void cancelled(void) {
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EXEC, .text = "act()",
                               .text_len = SUBPY_AUTO_LEN, .timeout_ms = 20};
  act = waits_until_cancelled;
  FAILS(SUBPY_ERROR_TIMEOUT, "...timed out after 20 ms", subpy_run(&request, NULL, &error));
  /* Also when its time was up at the moment of the call. */
  request.text = "for i in range(n): pass\nact()";
  request.timeout_ms = 2;
  for (int i = 0; i < 200; i++) {
    char code[40];
    snprintf(code, sizeof code, "n = %d", i * 500);
    run(interp, code);
    FAILS(SUBPY_ERROR_TIMEOUT, "...timed out after 2 ms", subpy_run(&request, NULL, &error));
  }
  request.text = "act()";
  subpy_cancel cancel = 0;
  subpy_thread thread = 0;
  OK(subpy_cancel_new(&cancel, &error));
  request.timeout_ms = 0;
  request.cancel = cancel;
  OK(subpy_run_in_thread(&request, &thread, &error));
  subpy_cancel_fire(cancel);
  error = NULL;
  CHECK(subpy_thread_join(thread, NULL, &error) == SUBPY_ERROR_INTERRUPTED);
  subpy_error_free(error);
  error = NULL;
  subpy_cancel_free(cancel);
  CHECK(!subpy_context_cancelled(NULL));
}

/* More calls in one another than there is room for in one piece, and each has its own context. */
static subpy_context *all[100];
static int depth;

static void nests(subpy_context *ctx) {
  int mine = depth++;
  all[mine] = ctx;
  if (depth < 100) {
    subpy_value value = {0};
    subpy_status status = subpy_call(interp, "act", SUBPY_AUTO_LEN, NULL, 0, NULL, &value, &error);
    CHECK(status == SUBPY_OK && value.u.as_int == mine + 1);
  } else {
    for (int i = 0; i < 100; i++) {
      subpy_value value = subpy_int(i);
      CHECK(subpy_context_return(all[i], &value) == SUBPY_OK);
    }
  }
}

int main(void) {
  interp = create();
  OK(subpy_define(interp, "act", SUBPY_AUTO_LEN, 0, acts, NULL, NULL, &error));
  outcomes();
  notes_and_numbers();
  on_other_threads();
  after_the_call();
  cancelled();
  subpy_value value = call(nests);
  CHECK(value.u.as_int == 0);
  for (int i = 0; i < 100; i++) is_over(all[i]);
  OK(subpy_define(interp, "act", SUBPY_AUTO_LEN, SUBPY_DEFINE_KEEP_GIL, acts, NULL, NULL, &error));
  outcomes();
  on_other_threads();
  OK(subpy_close(interp, &error));
  is_over(kept);
  shut_down();
  is_over(kept);
  return 0;
}
