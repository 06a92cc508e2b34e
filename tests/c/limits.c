/* Time limits: the run that takes too long ends, and nothing else. */
#include "race.h"

static subpy_error *error;

static subpy_interp create_with(int32_t busy, int64_t timeout_ms) {
  subpy_interp interp = 0;
  subpy_interp_options options = {.size = sizeof options, .busy = busy, .timeout_ms = timeout_ms};
  OK(subpy_create(&options, &interp, &error));
  return interp;
}

static subpy_run_request exec_request(subpy_interp interp, const char *code, int64_t timeout_ms) {
  return (subpy_run_request){.size = sizeof(subpy_run_request), .interp = interp, .what = SUBPY_RUN_EXEC,
                             .text = code, .text_len = SUBPY_AUTO_LEN, .timeout_ms = timeout_ms};
}

static subpy_status exec_for(subpy_interp interp, const char *code, int64_t timeout_ms) {
  subpy_run_request request = exec_request(interp, code, timeout_ms);
  return subpy_run(&request, NULL, &error);
}

/* On a busy machine the time may be over before anything has begun. */
#define TIMES_OUT(interp, code, message) FAILS(SUBPY_ERROR_TIMEOUT, message, exec_for(interp, code, 30))

/* What is stopped, and what the error says. */
static void code_that_never_ends(void) {
  subpy_interp interp = create();
  FAILS(SUBPY_ERROR_TIMEOUT, "...timed out after 300 ms: KeyboardInterrupt, at <script>:",
        exec_for(interp, "def f():\n  while True:\n    pass\nf()", 300));
  CHECK(exec_for(interp, "def f():\n  while True: pass\nf()", 300) == SUBPY_ERROR_TIMEOUT);
  CHECK_ERROR(subpy_error_type_name, error, "KeyboardInterrupt");
  CHECK(subpy_error_frame_count(error) == 2 && subpy_error_interp(error) == interp);
  subpy_error_free(error);
  error = NULL;
  /* The next hit may come while it cleans up. */
  bool cleaned_up = false;
  while (!cleaned_up) {
    const char *cleans_up = "try:\n  while True: pass\nexcept BaseException:\n  raise ValueError('cleaning up') from None";
    CHECK(exec_for(interp, cleans_up, 300) == SUBPY_ERROR_TIMEOUT);
    const char *expected = "timed out after 300 ms: ValueError: cleaning up, at <script>:4 in <module>";
    cleaned_up = strcmp(subpy_error_message(error, NULL), expected) == 0;
    subpy_error_free(error);
    error = NULL;
  }
  TIMES_OUT(interp, "def g():\n  while True: yield\nfor _ in g(): pass", "...timed out after 30 ms");
  /* Not asyncio.run(): its loop can lose a task to an exception that comes at any moment, and waits for it then. */
  TIMES_OUT(interp, "class Later:\n  def __await__(self): yield\n"
                    "async def f():\n  while True: await Later()\n"
                    "task = f()\nwhile True: task.send(None)",
            "...timed out after 30 ms");
  TIMES_OUT(interp, "import time\nwhile True: time.sleep(0.001)", "...timed out after 30 ms");
  /* Time enough, and the next run has no limit. */
  OK(exec_for(interp, "x = 1", 10000));
  OK(exec_for(interp, "import time\ntime.sleep(0.05)", 0));
  OK(subpy_close(interp, &error));
}

/* Code that catches the exception is hit again until it gives up. (A hit may come where it is not caught.) */
static void code_that_catches(void) {
  subpy_interp interp = create();
  const char *gives_up = "n = 0\nwhile n < 20:\n  try:\n    while True: pass\n  except BaseException: n += 1\nraise KeyError(n)";
  bool heard = false;
  while (!heard) {
    CHECK(exec_for(interp, gives_up, 30) == SUBPY_ERROR_TIMEOUT);
    heard = strstr(subpy_error_message(error, NULL), "timed out after 30 ms: KeyError: 20") != NULL;
    subpy_error_free(error);
    error = NULL;
  }
  /* Ends well after all: no error. */
  while (exec_for(interp, "n = 0\nwhile n < 20:\n  try:\n    while True: pass\n  except BaseException: n += 1", 30) != SUBPY_OK) {
    CHECK(subpy_error_status(error) == SUBPY_ERROR_TIMEOUT);
    subpy_error_free(error);
    error = NULL;
  }
  CHECK(number(interp, "n") == 20);
  TIMES_OUT(interp, "class A:\n  def __del__(self):\n    while True: pass\nfor i in range(3): A()\nwhile True: pass",
            "...timed out after 30 ms");
  OK(subpy_close(interp, &error));
}

static subpy_interp noisy;

static void be_noisy(void) {
  CHECK(exec_for(noisy, "n = 0\nfor i in range(100): A()\nwhile True: pass", 100) == SUBPY_ERROR_TIMEOUT);
  subpy_error_free(error);
  error = NULL;
}

/* "Exception ignored in ..." comes at most once a run, and the hook is as it was afterwards. (The run is over when a hit comes
   between two finalizers: then there was no noise to keep back, and it is tried again.) */
static void noise(void) {
  noisy = create();
  run(noisy, "import sys\nbefore = sys.unraisablehook\nn = 0\n"
             "class A:\n  def __del__(self):\n    global n\n    n += 1\n    while n < 20: pass");
  bool enough = false;
  while (!enough) {
    char *text = capture(2, be_noisy);
    const char *first = strstr(text, "Exception ignored");
    CHECK(!first || !strstr(first + 1, "Exception ignored"));
    enough = first && number(noisy, "n") > 3;
    free(text);
    CHECK(number(noisy, "sys.unraisablehook is before"));
  }
  OK(subpy_close(noisy, &error));
}

/* What prints it takes its time, and is not hit for that. */
static void slow_noise(void) {
  noisy = create();
  run(noisy, "import sys, time\nsaid = []\nn = 0\n"
             "class Slow:\n  def write(self, text):\n    end = time.monotonic() + 0.002\n"
             "    while time.monotonic() < end: pass\n    said.append(text)\n  def flush(self): pass\n"
             "class A:\n  def __del__(self):\n    global n\n    n += 1\n    while n < 20: pass\n"
             "sys.stderr = Slow()");
  while (!number(noisy, "len(said)")) be_noisy();
  CHECK(number(noisy, "''.join(said).count('Exception ignored')") == 1);
  CHECK(number(noisy, "''.join(said).endswith(('KeyboardInterrupt: \\n', 'KeyboardInterrupt\\n'))"));
  OK(subpy_close(noisy, &error));
}

/* Rendering an exception is a step of the library's, and user code. */
static void rendering(void) {
  subpy_interp interp = create();
  const char *slow = "class E(Exception):\n  def __str__(self):\n    while True: pass\nraise E";
  CHECK(exec_for(interp, slow, 300) == SUBPY_ERROR_EXECUTION_FAILED);
  CHECK_ERROR(subpy_error_type_name, error, "E");
  CHECK_ERROR(subpy_error_exception_message, error, "<exception str() failed>");
  subpy_error_free(error);
  error = NULL;
  /* After a hit the library has time to say where the code was. */
  for (int i = 0; i < 10; i++) {
    CHECK(exec_for(interp, "def f(n):\n  if n: f(n - 1)\n  while True: pass\nf(50)", 100) == SUBPY_ERROR_TIMEOUT);
    CHECK(subpy_error_frame_count(error) > 50);
    CHECK(strstr(subpy_error_display(error, NULL), "Traceback (most recent call last):"));
    subpy_error_free(error);
    error = NULL;
  }
  OK(subpy_close(interp, &error));
}

static void defaults(void) {
  subpy_interp interp = create_with(SUBPY_BUSY_REFUSE, 300);
  const char *message = "...timed out after 300 ms";
  const char *endless = "def endless(*_):\n  while True: pass";
  run(interp, endless);
  FAILS(SUBPY_ERROR_TIMEOUT, message, subpy_exec(interp, "endless()", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_TIMEOUT, message, subpy_eval(interp, "endless()", SUBPY_AUTO_LEN, NULL, &error));
  FAILS(SUBPY_ERROR_TIMEOUT, message, subpy_call(interp, "endless", SUBPY_AUTO_LEN, NULL, 0, NULL, NULL, &error));
  subpy_function function = 0;
  OK(subpy_function_new(interp, "endless", SUBPY_AUTO_LEN, &function, &error));
  FAILS(SUBPY_ERROR_TIMEOUT, message, subpy_function_call(function, NULL, 0, NULL, NULL, &error));
  subpy_value rows[3] = {subpy_int(1), subpy_int(2), subpy_int(3)}, results = {0};
  FAILS(SUBPY_ERROR_TIMEOUT, "...row 0: timed out after 300 ms",
        subpy_function_call_many(function, rows, 3, 1, SUBPY_RETURN_ERRORS, &results, &error));
  subpy_function_free(function);
  subpy_thread thread = 0;
  OK(subpy_call_in_thread(interp, "endless", SUBPY_AUTO_LEN, NULL, 0, NULL, &thread, &error));
  FAILS(SUBPY_ERROR_TIMEOUT, message, subpy_thread_join(thread, NULL, &error));
  /* The request's own goes first, longer or shorter. */
  FAILS(SUBPY_ERROR_TIMEOUT, "...timed out after 5 ms", exec_for(interp, "endless()", 5));
  FAILS(SUBPY_ERROR_TIMEOUT, "...timed out after 500 ms", exec_for(interp, "endless()", 500));
  run(interp, "class Slow:\n  def __del__(self): endless()\nx = Slow()");
  subpy_pair pair = {subpy_str("x", 1), subpy_int(1)};
  subpy_value names = subpy_dict(&pair, 1);
  OK(subpy_prepare_main(interp, &names, &error)); /* what is hit is the finalizer */
  OK(subpy_close(interp, &error));
}

static void arguments(void) {
  subpy_interp interp = create(), other = 0;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "subpy_run_request.timeout_ms is -1, must be 0 (no limit) or more",
        exec_for(interp, "", -1));
  subpy_interp_options options = {.size = sizeof options, .timeout_ms = -5};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "subpy_interp_options.timeout_ms is -5, must be 0 (no limit) or more",
        subpy_create(&options, &other, &error));
  OK(exec_for(interp, "x = 1", INT64_MAX));
  subpy_run_request request = exec_request(interp, "x = 1", 5);
  request.flags = SUBPY_ABANDON;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...SUBPY_ABANDON is for subpy_run_in_thread()", subpy_run(&request, NULL, &error));
  request.timeout_ms = 0;
  subpy_thread thread = 0;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...has SUBPY_ABANDON, which is for runs with timeout_ms or cancel",
        subpy_run_in_thread(&request, &thread, &error));
  OK(subpy_close(interp, &error));
}

/* A run that waits for its turn is refused when its time is up; the one that it waited for goes on. */
static void waiting(void) {
  subpy_interp interp = create_with(SUBPY_BUSY_WAIT, 0);
  signal_pipe begun = signal_new(), end = signal_new();
  define_block(interp, begun, end);
  subpy_thread thread = block_in_thread(interp, begun);
  FAILS(SUBPY_ERROR_TIMEOUT, "timed out after 30 ms, and did not start: it waited for its turn",
        exec_for(interp, "y = 1", 30));
  end_block(thread, end);
  CHECK(number(interp, "'y' not in globals()"));
  OK(subpy_close(interp, &error));
}

/* ---- runs in runs: the earlier limit counts ---- */

static subpy_interp inner;
static subpy_status inner_status;
static int64_t inner_limit;

static void run_inner(void) {
  subpy_error *inner_error = NULL;
  subpy_run_request request = exec_request(inner, "while True: pass", inner_limit);
  inner_status = subpy_run(&request, NULL, &inner_error);
  subpy_error_free(inner_error);
}

static void nested(void) {
  subpy_interp outer = create();
  give_function(outer, "run_inner", "CFUNCTYPE", run_inner);
  for (int same = 0; same < 2; same++) {
    inner = same ? outer : create();
    /* The inner one's is over first: the outer code goes on. */
    inner_limit = 20;
    OK(exec_for(outer, "run_inner()\nafter = 1", 60000));
    CHECK(inner_status == SUBPY_ERROR_TIMEOUT && number(outer, "after") == 1);
    /* The outer one's: both end. */
    for (int limited = 0; limited < 2; limited++) {
      inner_limit = limited ? 60000 : 0;
      inner_status = SUBPY_OK;
      FAILS(SUBPY_ERROR_TIMEOUT, "...timed out after 500 ms: KeyboardInterrupt",
            exec_for(outer, "run_inner()\nwhile True: pass", 500));
      CHECK(inner_status == SUBPY_ERROR_TIMEOUT);
    }
    run(outer, "for _ in range(1000): pass");
    run(inner, "for _ in range(1000): pass");
    if (!same) OK(subpy_close(inner, &error));
  }
  OK(subpy_close(outer, &error));
}

/* ---- join and wait inside of a run with a limit ---- */

static subpy_thread waited_for;
static subpy_status wait_status, join_status;
static char join_message[200];

static void wait_and_join(void) {
  subpy_error *inner_error = NULL;
  bool done = true;
  wait_status = subpy_thread_wait(waited_for, -1, &done, NULL);
  join_status = subpy_thread_join(waited_for, NULL, &inner_error);
  snprintf(join_message, sizeof join_message, "%s", inner_error ? subpy_error_message(inner_error, NULL) : "");
  subpy_error_free(inner_error);
}

static void joins(void) {
  subpy_interp outer = create(), other = create();
  signal_pipe begun = signal_new(), end = signal_new();
  define_block(other, begun, end);
  waited_for = block_in_thread(other, begun);
  give_function(outer, "wait_and_join", "CFUNCTYPE", wait_and_join);
  CHECK(exec_for(outer, "wait_and_join()", 500) == SUBPY_ERROR_TIMEOUT);
  subpy_error_free(error);
  error = NULL;
  CHECK(wait_status == SUBPY_ERROR_TIMEOUT && join_status == SUBPY_ERROR_TIMEOUT);
  CHECK(strstr(join_message, "timed out after 500 ms while it waited for thread subpy-"));
  /* Nothing has become of the thread. */
  end_block(waited_for, end);
  OK(subpy_close(other, &error));
  OK(subpy_close(outer, &error));
}

/* ---- runs that do not end ---- */

static signal_pipe held, let_go;

static void hold(void) {
  signal_send(held);
  signal_wait(let_go);
}

static void abandoned(void) {
  subpy_interp interp = create();
  held = signal_new(), let_go = signal_new();
  give_function(interp, "hold", "CFUNCTYPE", hold);
  subpy_run_request request = exec_request(interp, "hold()\nraise ValueError('unheard')", 300);
  request.flags = SUBPY_ABANDON;
  subpy_thread thread = 0;
  bool done = false, running = false;
  OK(subpy_run_in_thread(&request, &thread, &error));
  signal_wait(held);
  OK(subpy_thread_wait(thread, -1, &done, &error));
  CHECK(done);
  FAILS(SUBPY_ERROR_TIMEOUT, "timed out after 300 ms, but the code has not ended: it still runs",
        subpy_thread_join(thread, NULL, &error));
  OK(subpy_is_running(interp, &running, &error));
  CHECK(running);
  FAILS(SUBPY_ERROR_BUSY, "interpreter already running", subpy_exec(interp, "", 0, &error));
  FAILS(SUBPY_ERROR_BUSY, "...is running exec: it was given up, and has not ended", subpy_shutdown(&error));
  signal_send(let_go);
  while (subpy_is_running(interp, &running, &error) == SUBPY_OK && running) usleep(1000);
  run(interp, "x = 1");
  /* One that can be stopped ends as without the flag. */
  request.text = "while True: pass";
  OK(subpy_run_in_thread(&request, &thread, &error));
  FAILS(SUBPY_ERROR_TIMEOUT, "...timed out after 300 ms", subpy_thread_join(thread, NULL, &error));
  while (subpy_close(interp, NULL) == SUBPY_ERROR_BUSY) usleep(1000);
}

int main(void) {
  code_that_never_ends();
  code_that_catches();
  noise();
  slow_noise();
  rendering();
  defaults();
  arguments();
  waiting();
  nested();
  joins();
  abandoned();
  while (subpy_shutdown(&error) == SUBPY_ERROR_BUSY) { /* the very end of the thread that was given up */
    subpy_error_free(error);
    usleep(1000);
  }
  /* The timer is started anew. */
  code_that_never_ends();
  shut_down();
  return 0;
}
