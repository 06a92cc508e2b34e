/* Runs on threads of their own: call_in_thread, run_in_thread, join, free. */
#include "guest.h"

static subpy_interp interp;

static subpy_thread start(const char *callable, const subpy_value *args, size_t nargs) {
  subpy_error *error = NULL;
  subpy_thread thread = 0;
  OK(subpy_call_in_thread(interp, callable, SUBPY_AUTO_LEN, args, nargs, NULL, &thread, &error));
  CHECK(thread != 0 && thread < (UINT64_C(1) << 53));
  return thread;
}

static void gone(subpy_thread thread) {
  subpy_error *error = NULL;
  subpy_value result = subpy_int(1);
  char message[100];
  snprintf(message, sizeof message, "%" PRIu64 " is not the handle of a thread, or it was joined or freed", thread);
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_thread_join(thread, &result, &error));
  CHECK(result.kind == SUBPY_KIND_NONE);
}

static void results(void) {
  subpy_error *error = NULL;
  subpy_value args[] = {subpy_int(2), subpy_int(10)}, result = {0};
  subpy_thread thread = start("builtins:pow", args, 2), first = thread;
  OK(subpy_thread_join(thread, &result, &error));
  CHECK(result.kind == SUBPY_KIND_INT && result.u.as_int == 1024);
  gone(thread);
  thread = start("builtins:dict", NULL, 0);
  CHECK(thread != first);
  OK(subpy_thread_join(thread, &result, &error));
  CHECK(result.kind == SUBPY_KIND_DICT && result.len == 0);
  subpy_value_free(&result);
  OK(subpy_thread_join(start("builtins:list", NULL, 0), NULL, &error)); /* nobody wants the result */

  /* As threading sees it: a thread that is not the main one. */
  run(interp, "import threading\n"
              "def other(ident): return threading.get_ident() != ident\n"
              "def ident(): return threading.get_ident()");
  subpy_value here = {0};
  OK(subpy_call(interp, "ident", SUBPY_AUTO_LEN, NULL, 0, NULL, &here, &error));
  OK(subpy_thread_join(start("other", &here, 1), &result, &error));
  /* Whatever runs in a process of its own runs on its main thread, when nothing else does. */
  CHECK(result.kind == SUBPY_KIND_BOOL && result.u.as_bool == !in_processes());
  subpy_value_free(&here);
}

static void errors(void) {
  subpy_error *error = NULL;
  run(interp, "def fails(): raise ValueError('in a thread')\ndef exits(): raise SystemExit(3)");
  subpy_value result = subpy_int(1);
  CHECK(subpy_thread_join(start("fails", NULL, 0), &result, &error) == SUBPY_ERROR_EXECUTION_FAILED);
  CHECK(result.kind == SUBPY_KIND_NONE && subpy_error_interp(error) == interp);
  CHECK_ERROR(subpy_error_formatted, error, "ValueError: in a thread");
  CHECK(subpy_error_frame_count(error) == 1);
  subpy_error_free(error);
  error = NULL;
  int32_t status = 0;
  CHECK(subpy_thread_join(start("exits", NULL, 0), NULL, &error) == SUBPY_ERROR_EXECUTION_FAILED);
  CHECK(subpy_error_exit_status(error, &status) && status == 3);
  subpy_error_free(error);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "AttributeError: module '__main__' has no attribute 'missing'",
        subpy_thread_join(start("missing", NULL, 0), NULL, &error));
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, "result: object cannot be shared",
        subpy_thread_join(start("builtins:object", NULL, 0), &result, &error));

  /* At once: what the caller did wrong, and an interpreter that is closed. */
  subpy_thread thread = 1;
  subpy_value bad = {.kind = 50};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "callable is NULL",
        subpy_call_in_thread(interp, NULL, SUBPY_AUTO_LEN, NULL, 0, NULL, &thread, &error));
  CHECK(thread == 0);
  thread = 1;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "args[0]: kind 50 is not one of SUBPY_KIND_*",
        subpy_call_in_thread(interp, "f", 1, &bad, 1, NULL, &thread, &error));
  CHECK(thread == 0);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "args is NULL but nargs is 2",
        subpy_call_in_thread(interp, "f", 1, NULL, 2, NULL, &thread, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "1 is not the handle of an interpreter",
        subpy_call_in_thread(1, "f", 1, NULL, 0, NULL, &thread, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "callable is NULL",
        subpy_call_in_thread(1, NULL, 1, NULL, 0, NULL, &thread, &error));
  gone(0);
  gone(interp); /* a handle of another kind */
  gone(UINT64_MAX);
}

/* ---- the inputs are copied before the call returns ---- */

static void copies(void) {
  subpy_error *error = NULL;
  subpy_interp previous = interp;
  subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_WAIT};
  OK(subpy_create(&options, &interp, &error));
  signal_pipe begun = signal_new(), end = signal_new();
  define_block(interp, begun, end);
  run(interp, "def echo(*args, **kwargs): return [args, kwargs]");
  subpy_thread blocking = block_in_thread(interp, begun);

  /* The interpreter is busy, so nothing has looked at the inputs when they change. */
  char callable[] = "echo", text[] = "text", hex[] = "0x123456789abcdef0123", key[] = "key", name[] = "name";
  uint8_t bytes[] = {1, 0, 2};
  subpy_value inner[] = {subpy_float(0.5), subpy_bytes(bytes, 3), subpy_tuple(NULL, 0)};
  subpy_pair pairs[] = {{subpy_str(key, 3), subpy_list(inner, 3)}};
  subpy_value args[] = {subpy_str(text, 4), subpy_bigint(hex, SUBPY_AUTO_LEN), subpy_dict(pairs, 1)};
  subpy_pair keywords[] = {{subpy_str(name, 4), subpy_bool(true)}};
  subpy_value kwargs = subpy_dict(keywords, 1), result = {0};
  subpy_thread thread = 0;
  OK(subpy_call_in_thread(interp, callable, 4, args, 3, &kwargs, &thread, &error));
  subpy_value junk = {.kind = 99, .len = SIZE_MAX};
  memset(callable, 'x', 4), memset(text, 'x', 4), memset(hex, 'x', 5), memset(key, 'x', 3), memset(name, 'x', 4);
  memset(bytes, 7, 3);
  for (int index = 0; index < 3; index++) inner[index] = args[index] = junk;
  pairs[0].key = pairs[0].value = keywords[0].key = keywords[0].value = kwargs = junk;

  /* The same for source, expression and file name. */
  char source[] = "ran = 'exec'", expression[] = "1 / 0", filename[] = "some.py";
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EXEC};
  request.text = source, request.text_len = SUBPY_AUTO_LEN;
  subpy_thread exec = 0, eval = 0;
  OK(subpy_run_in_thread(&request, &exec, &error));
  request.what = SUBPY_RUN_EVAL, request.text = expression, request.text_len = 5, request.filename = filename;
  OK(subpy_run_in_thread(&request, &eval, &error));
  memset(source, 'x', 12), memset(expression, 'x', 5), memset(filename, 'x', 7);
  memset(&request, 0xff, sizeof request);

  end_block(blocking, end);
  OK(subpy_thread_join(thread, &result, &error));
  subpy_pair bind = {subpy_str("result", SUBPY_AUTO_LEN), result};
  subpy_value names = subpy_dict(&bind, 1);
  OK(subpy_thread_join(exec, NULL, &error));
  CHECK(subpy_thread_join(eval, NULL, &error) == SUBPY_ERROR_EXECUTION_FAILED);
  CHECK(strcmp(frame_at(error, 0).file, "some.py") == 0);
  subpy_error_free(error);
  error = NULL;
  CHECK_EVAL(interp, "ran", "exec");
  OK(subpy_prepare_main(interp, &names, &error));
  CHECK(number(interp, "result == [('text', 0x123456789abcdef0123, {'key': [0.5, b'\\1\\0\\2', ()]}), {'name': True}]"));
  subpy_value_free(&result);
  OK(subpy_close(interp, &error));
  interp = previous;
}

/* ---- run_in_thread ---- */

static void requests(void) {
  subpy_error *error = NULL;
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EVAL};
  request.text = "6 * 7", request.text_len = SUBPY_AUTO_LEN;
  subpy_thread thread = 0;
  subpy_value result = {0};
  OK(subpy_run_in_thread(&request, &thread, &error));
  OK(subpy_thread_join(thread, &result, &error));
  CHECK(result.kind == SUBPY_KIND_INT && result.u.as_int == 42);
  request.what = SUBPY_RUN_EXEC, request.text = "= =";
  OK(subpy_run_in_thread(&request, &thread, &error));
  FAILS(SUBPY_ERROR_SYNTAX, "SyntaxError: invalid syntax (<script>, line 1)",
        subpy_thread_join(thread, NULL, &error));
  request.text = "  indented = 1";
  OK(subpy_run_in_thread(&request, &thread, &error));
  OK(subpy_thread_join(thread, NULL, &error));
  request.flags = SUBPY_KEEP_INDENT;
  OK(subpy_run_in_thread(&request, &thread, &error));
  FAILS(SUBPY_ERROR_SYNTAX, "IndentationError: unexpected indent (<script>, line 1)",
        subpy_thread_join(thread, NULL, &error));
  request.flags = 0, request.what = 9, thread = 1;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...subpy_run_request.what is 9", subpy_run_in_thread(&request, &thread, &error));
  CHECK(thread == 0);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "request is NULL", subpy_run_in_thread(NULL, &thread, &error));
  request.what = SUBPY_RUN_CALL, request.text = "f", request.interp = 4;
  FAILS(SUBPY_ERROR_NOT_FOUND, "4 is not the handle of an interpreter",
        subpy_run_in_thread(&request, &thread, &error));
}

/* ---- who joins ---- */

static subpy_thread own;
static signal_pipe tried;

static void join_itself(void) {
  subpy_error *error = NULL;
  FAILS(SUBPY_ERROR_WRONG_STATE, "a thread cannot join itself", subpy_thread_join(own, NULL, &error));
  signal_send(tried);
}

static void *free_soon(void *thread) {
  usleep(50000);
  subpy_thread_free(*(subpy_thread *)thread);
  return NULL;
}

static void waits(void) {
  subpy_error *error = NULL;
  subpy_value result = {0};
  bool done = true;
  signal_pipe begun = signal_new(), end = signal_new();
  define_block(interp, begun, end);
  subpy_thread thread = block_in_thread(interp, begun);
  OK(subpy_thread_wait(thread, 0, &done, &error));
  CHECK(!done);
  OK(subpy_thread_wait(thread, 20, &done, &error));
  CHECK(!done);
  OK(subpy_thread_wait(thread, 0, NULL, NULL));
  done = true;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "timeout_ms is -2, must be -1 (no limit), 0 or more",
        subpy_thread_wait(thread, -2, &done, &error));
  CHECK(!done);
  signal_send(end);
  OK(subpy_thread_wait(thread, -1, &done, &error));
  CHECK(done);
  OK(subpy_thread_wait(thread, INT64_MAX, &done, &error)); /* nothing was taken */
  CHECK(done);
  OK(subpy_thread_join(thread, &result, &error));
  subpy_value_free(&result);
  done = true;
  FAILS(SUBPY_ERROR_NOT_FOUND, "...was joined or freed", subpy_thread_wait(thread, -1, &done, &error));
  CHECK(!done);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...0 is not the handle of a thread", subpy_thread_wait(0, 0, &done, &error));

  /* Freed while somebody waits for ever. */
  thread = block_in_thread(interp, begun);
  pthread_t other;
  CHECK(pthread_create(&other, NULL, free_soon, &thread) == 0);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...was joined or freed", subpy_thread_wait(thread, -1, &done, &error));
  CHECK(pthread_join(other, NULL) == 0);
  signal_send(end);
  for (bool running = true; running; usleep(1000)) OK(subpy_is_running(interp, &running, &error));
}

/* Whoever sees that a run has ended can shut down: its thread is no longer in the way. */
static void ended_is_ended(void) {
  subpy_error *error = NULL;
  OK(subpy_enter(interp, &error)); /* so that each shutdown is refused, for another reason */
  for (int i = 0; i < 400; i++) {
    subpy_thread thread = start("builtins:list", NULL, 0);
    for (bool done = false; !done;) OK(subpy_thread_wait(thread, 0, &done, &error));
    FAILS(SUBPY_ERROR_BUSY, "...entered by a thread that has not left it", subpy_shutdown(&error));
    OK(subpy_thread_join(thread, NULL, &error));
  }
  OK(subpy_leave(interp, &error));
}

static void join_self(void) {
  subpy_error *error = NULL;
  signal_pipe go = signal_new();
  char code[200];
  give_function(interp, "join_itself", "CFUNCTYPE", join_itself);
  snprintf(code, sizeof code,
           "import os\n"
           "def joins():\n"
           "  os.read(%d, 1)\n" /* until `own` is set */
           "  join_itself()",
           go.in);
  run(interp, code);
  own = start("joins", NULL, 0);
  tried = signal_new();
  signal_send(go);
  signal_wait(tried);
  OK(subpy_thread_join(own, NULL, &error)); /* for others it is still there */
}

enum { JOINERS = 4 };

static void *join_one(void *outcome) {
  *(subpy_status *)outcome = subpy_thread_join(own, NULL, NULL);
  return NULL;
}

static void one_joiner_wins(void) {
  signal_pipe begun = signal_new(), end = signal_new();
  define_block(interp, begun, end);
  own = block_in_thread(interp, begun);
  pthread_t joiners[JOINERS];
  subpy_status outcomes[JOINERS];
  for (int index = 0; index < JOINERS; index++)
    CHECK(pthread_create(&joiners[index], NULL, join_one, &outcomes[index]) == 0);
  signal_send(end);
  int won = 0;
  for (int index = 0; index < JOINERS; index++) {
    CHECK(pthread_join(joiners[index], NULL) == 0);
    CHECK(outcomes[index] == SUBPY_OK || outcomes[index] == SUBPY_ERROR_NOT_FOUND);
    won += outcomes[index] == SUBPY_OK;
  }
  CHECK(won == 1);
}

/* ---- threads that nobody joins ---- */

/* Returns when no thread runs, detached ones included, and what they had to print is printed: shutting down is refused
 * until then. */
static void shut_down_when_idle(void) {
  subpy_status status;
  do {
    sched_yield();
    status = subpy_shutdown(NULL);
  } while (status == SUBPY_ERROR_BUSY);
  CHECK(status == SUBPY_OK);
}

static const char FAILING[] = "def fails(): raise ValueError('nobody looks')\n"
                              "def exits(): raise SystemExit('silent')\n"
                              "def works(): return 1\n";

static signal_pipe begun, end;

static void detach_running(void) {
  interp = create();
  char code[200];
  snprintf(code, sizeof code, "import os\ndef fails():\n  os.write(%d, b'.')\n  os.read(%d, 1)\n  raise ValueError('late')",
           begun.out, end.in);
  run(interp, code);
  subpy_thread thread = start("fails", NULL, 0);
  signal_wait(begun);
  subpy_thread_free(thread);
  subpy_thread_free(thread);
  gone(thread);
  signal_send(end);
  shut_down_when_idle();
}

static void detach_at_once(void) {
  subpy_error *error = NULL;
  interp = create();
  run(interp, FAILING);
  OK(subpy_call_in_thread(interp, "fails", SUBPY_AUTO_LEN, NULL, 0, NULL, NULL, &error));
  shut_down_when_idle();
}

static void detach_silently(void) {
  subpy_error *error = NULL;
  interp = create();
  run(interp, FAILING);
  OK(subpy_call_in_thread(interp, "exits", SUBPY_AUTO_LEN, NULL, 0, NULL, NULL, &error));
  shut_down_when_idle();
  interp = create();
  run(interp, FAILING);
  OK(subpy_call_in_thread(interp, "works", SUBPY_AUTO_LEN, NULL, 0, NULL, NULL, &error));
  shut_down_when_idle();
}

/* One that has failed before it is freed, and one that is neither joined nor freed. */
static void forget_finished(void) {
  interp = create();
  run(interp, FAILING);
  start("fails", NULL, 0);
  shut_down_when_idle();
}

static void detach_busy(void) {
  subpy_error *error = NULL;
  interp = create();
  define_block(interp, begun, end);
  subpy_thread thread = block_in_thread(interp, begun);
  FAILS(SUBPY_ERROR_BUSY, "...is running block", subpy_shutdown(&error));
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EXEC};
  subpy_thread other = 0;
  OK(subpy_run_in_thread(&request, &other, &error));
  /* Its outcome is there when it can be joined; so free a second one after the first was joined. */
  FAILS(SUBPY_ERROR_BUSY, "interpreter already running", subpy_thread_join(other, NULL, &error));
  end_block(thread, end);
  shut_down_when_idle();
}

static void check_report(void (*act)(void), const char *name, const char *where, const char *last) {
  char *text = capture(2, act);
  int length = 0, number = 0;
  char found[64] = "";
  bool fits = sscanf(text, "Exception in thread subpy-%d (%63[^)]):\n%n", &number, found, &length) == 2;
  if (!fits || strcmp(found, name) != 0 || strncmp(text + length, "Traceback (most recent call last):\n", 35) != 0 ||
      !strstr(text, where) || strlen(text) < strlen(last) || strcmp(text + strlen(text) - strlen(last), last) != 0) {
    fprintf(stderr, "not what was to be printed:\n%s", text);
    exit(1);
  }
  free(text);
}

static void detached(void) {
  begun = signal_new();
  end = signal_new();
  subpy_thread_free(0);
  subpy_thread_free(UINT64_MAX);
  check_report(detach_running, "fails", ", line 5, in fails\n    raise ValueError('late')\n", "\nValueError: late\n");
  check_report(detach_at_once, "fails", ", line 1, in fails\n    def fails(): raise ValueError('nobody looks')\n", "\nValueError: nobody looks\n");
  check_report(forget_finished, "fails", ", line 1, in fails\n    def fails(): raise ValueError('nobody looks')\n", "\nValueError: nobody looks\n");
  char *text = capture(2, detach_silently);
  CHECK(strcmp(text, "") == 0);
  free(text);
  detach_busy();
}

int main(void) {
  interp = create();
  results();
  errors();
  copies();
  requests();
  waits();
  ended_is_ended();
  join_self();
  one_joiner_wins();
  subpy_thread left = start("builtins:list", NULL, 0);
  subpy_interp other = interp;
  shut_down_when_idle();
  gone(left); /* the runtime's end took it */
  CHECK(interp == other);
  detached();
  return 0;
}
