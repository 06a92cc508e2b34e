/* subpy_run_request.output: what one run prints, and nobody else's. */
#include <pthread.h>

#include "child.h"
#include "guest.h"

typedef struct {
  char text[1 << 14];
  size_t len;
  subpy_interp interp;
  /* the run has returned: nothing may come any more */
  bool over;
} taken;

static void take(void *userdata, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  taken *to = userdata;
  CHECK(!to->over && len > 0 && text[len] == 0 && to->len + len + 3 < sizeof to->text);
  to->interp = interp;
  to->len += (size_t)sprintf(to->text + to->len, "%d:%s|", stream, text);
}

#define GOT(to, expected) got(__LINE__, to, expected)

static void got(int line, taken *to, const char *expected) {
  if (strcmp(to->text, expected) != 0) {
    fprintf(stderr, "%s:%d: got\n%s\nnot\n%s\n", __FILE__, line, to->text, expected);
    exit(1);
  }
  to->len = 0;
  to->text[0] = 0;
}

static subpy_run_request request(subpy_interp interp, int32_t what, const char *text, taken *to) {
  return (subpy_run_request){.size = sizeof(subpy_run_request), .interp = interp, .what = what, .text = text, .text_len = SUBPY_AUTO_LEN, .output = take, .output_data = to};
}

static void exec_to(subpy_interp interp, const char *code, taken *to) {
  subpy_error *error = NULL;
  subpy_run_request exec = request(interp, SUBPY_RUN_EXEC, code, to);
  to->over = false;
  OK(subpy_run(&exec, NULL, &error));
  to->over = true;
}

static void each_kind(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create();
  taken to = {0};
  exec_to(interp, "import sys\ndef say(*words): print(*words); return len(words)\nprint('exec'); print('err', file=sys.stderr); print('end', end='')", &to);
  CHECK(to.interp == interp);
  GOT(&to, "1:exec\n|2:err\n|1:end|");
  subpy_value result = {0}, args[] = {subpy_int(1), subpy_int(2)};
  subpy_run_request eval = request(interp, SUBPY_RUN_EVAL, "say('eval')", &to), call = request(interp, SUBPY_RUN_CALL, "say", &to);
  to.over = false;
  OK(subpy_run(&eval, &result, &error));
  CHECK(result.u.as_int == 1);
  call.args = args, call.nargs = 2;
  OK(subpy_run(&call, &result, &error));
  subpy_run_request function = {.size = sizeof function, .what = SUBPY_RUN_FUNCTION, .args = args, .nargs = 1, .output = take, .output_data = &to};
  OK(subpy_function_new(interp, "say", SUBPY_AUTO_LEN, &function.function, &error));
  to.interp = 0;
  OK(subpy_run(&function, &result, &error));
  CHECK(to.interp == interp);
  GOT(&to, "1:eval\n|1:1 2\n|1:1\n|");
  subpy_function_free(function.function);
  /* on a thread of its own: until the run ends */
  subpy_thread thread = 0;
  OK(subpy_run_in_thread(&call, &thread, &error));
  OK(subpy_thread_join(thread, &result, &error));
  to.over = true;
  GOT(&to, "1:1 2\n|");
  /* it is the run's alone */
  run(interp, "say('not captured')");
  /* one that fails, and one whose text is not whole */
  to.over = false;
  eval.text = "say('fails') / 0";
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "ZeroDivisionError: division by zero", subpy_run(&eval, &result, &error));
  eval.text = "1 +";
  FAILS(SUBPY_ERROR_SYNTAX, "...", subpy_run(&eval, &result, &error));
  GOT(&to, "1:fails\n|");
  exec_to(interp, "sys.stdout.buffer.write(b'\\xe2\\x82')", &to);
  GOT(&to, "1:\xef\xbf\xbd|");
  exec_to(interp, "sys.stdout.buffer.write(b'\\xac')", &to);
  GOT(&to, "1:\xef\xbf\xbd|");
  exec_to(interp, "print('a', flush=True); print('b'); sys.stdout.flush(); print('c')\nassert not sys.stdout.isatty()", &to);
  GOT(&to, "1:a\n|1:b\n|1:c\n|");
  run(interp, "assert sys.stdout.fileno() == 1");
}

static void with_the_interpreters(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create();
  taken all = {0}, one = {0};
  OK(subpy_set_output(interp, take, &all, NULL, &error));
  run(interp, "print(1)");
  exec_to(interp,
          "import threading\n"
          "print(2)\n"
          "thread = threading.Thread(target=print, args=(3,)); thread.start(); thread.join()\n"
          "print(4)", &one);
  run(interp, "print(5)");
  GOT(&one, "1:2\n4\n|");
  GOT(&all, "1:1\n|1:3\n|1:5\n|");
  all.over = false;
  OK(subpy_set_output(interp, NULL, NULL, NULL, &error));
  exec_to(interp, "print(6)\nthread = threading.Thread(target=print, args=(7,)); thread.start(); thread.join()", &one);
  GOT(&one, "1:6\n|");
  GOT(&all, "");
}

/* A thread that a run has started prints when the run is over, and while another one has an output of its own. */
static void threads_outlive_it(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create();
  taken all = {0}, one = {0};
  OK(subpy_set_output(interp, take, &all, NULL, &error));
  exec_to(interp,
          "import threading\n"
          "go, done = threading.Event(), threading.Event()\n"
          "def say():\n"
          "    go.wait(); print('thread'); done.set()\n"
          "threading.Thread(target=say).start()\n"
          "print('started')", &one);
  GOT(&one, "1:started\n|");
  exec_to(interp, "print('before'); go.set(); done.wait(); print('after')", &one);
  GOT(&one, "1:before\nafter\n|");
  OK(subpy_close(interp, &error));
  GOT(&all, "1:thread\n|");
}

/* ---- runs in runs, through a function that is called with output ---- */

static taken outer, inner;
static subpy_interp other;
static int round_;

static void nests(void *userdata, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  take(userdata, interp, stream, text, len);
  if (round_++ > 0) return;
  run(interp, "print('nested')");
  exec_to(interp, "print('nested, its own')", &inner);
  run(other, "print('elsewhere')");
  exec_to(other, "print('elsewhere, its own')", &inner);
}

static void nested(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create();
  other = create();
  subpy_run_request exec = request(interp, SUBPY_RUN_EXEC, "print('a', flush=True)\nprint('b')", &outer);
  exec.output = nests;
  OK(subpy_run(&exec, NULL, &error));
  GOT(&outer, "1:a\n|1:nested\n|1:b\n|");
  GOT(&inner, "1:nested, its own\n|1:elsewhere, its own\n|");
}

/* One that is given up prints to nobody. */
static void given_up(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create();
  taken to = {0};
  signal_pipe go = signal_new();
  char code[120];
  snprintf(code, sizeof code, "import os\nprint('before', flush=True)\nos.read(%d, 1)\nprint('after', flush=True)", go.in);
  subpy_run_request exec = request(interp, SUBPY_RUN_EXEC, code, &to);
  exec.flags = SUBPY_ABANDON;
  exec.timeout_ms = 50;
  subpy_thread thread = 0;
  OK(subpy_run_in_thread(&exec, &thread, &error));
  FAILS(SUBPY_ERROR_TIMEOUT, "...", subpy_thread_join(thread, NULL, &error));
  to.over = true;
  signal_send(go);
  while (subpy_close(interp, NULL) == SUBPY_ERROR_BUSY) usleep(1000);
  GOT(&to, "1:before\n|");
}

/* ---- threads that share an interpreter ---- */

typedef struct {
  subpy_interp interp;
  char letter;
} sharer;

static void *shares(void *data) {
  sharer *me = data;
  char code[100], expected[200] = "1:";
  snprintf(code, sizeof code, "for i in range(30): print('%c'); time.sleep(0)", me->letter);
  for (int i = 0; i < 30; i++) snprintf(expected + 2 + 2 * i, 5, "%c\n|", me->letter);
  for (int i = 0; i < 100; i++) {
    taken to = {0};
    exec_to(me->interp, code, &to);
    GOT(&to, expected);
  }
  return NULL;
}

static void shared(void) {
  subpy_error *error = NULL;
  subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_SHARE};
  subpy_interp interp = 0;
  OK(subpy_create(&options, &interp, &error));
  run(interp, "import time");
  pthread_t threads[4];
  sharer sharers[4];
  for (int i = 0; i < 4; i++) {
    sharers[i] = (sharer){interp, (char)('a' + i)};
    CHECK(pthread_create(&threads[i], NULL, shares, &sharers[i]) == 0);
  }
  run(interp, "for i in range(30): print('plain')");
  for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
}

static void in_main_and_in_sessions(void) {
  subpy_error *error = NULL;
  subpy_interp main = 0, interp = create();
  taken to = {0};
  OK(subpy_get_main(&main, &error));
  exec_to(main, "print('main')", &to);
  GOT(&to, "1:main\n|");
  OK(subpy_enter(interp, &error));
  exec_to(interp, "print('session')", &to);
  GOT(&to, "1:session\n|");
  OK(subpy_leave(interp, &error));
}

static void refused(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create();
  taken to = {0};
  subpy_run_request exec = request(interp, SUBPY_RUN_EXEC, "print('x')", &to);
  exec.output = NULL;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "subpy_run_request.output_data is for subpy_run_request.output, which is NULL", subpy_run(&exec, NULL, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...output_data", subpy_run_in_thread(&exec, NULL, &error));
  exec.output = take;
  exec.interp = 77;
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_run(&exec, NULL, &error));
  GOT(&to, "");
}


int main(void) {
  EXPECT(each_kind, "not captured\n", "");
  EXPECT(with_the_interpreters, "7\n", "");
  EXPECT(threads_outlive_it, "", "");
  EXPECT(given_up, "", "");
  EXPECT(nested, "elsewhere\n", "");
  outcome outcome = in_child(shared);
  CHECK(outcome.status == 0 && outcome.out.len == 30 * 6 && outcome.err.len == 0);
  free_outcome(&outcome);
  EXPECT(in_main_and_in_sessions, "", "");
  EXPECT(refused, "", "");
  return 0;
}
