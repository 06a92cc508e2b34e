/* subpy_close_with(): what is waited for, what is made to end, and what is said when it does not end in time. */
#include <time.h>

#include "child.h"
#include "closing.h"

static subpy_error *error;

static subpy_interp waiting(void) {
  subpy_interp interp = 0;
  const subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_WAIT};
  OK(subpy_create(&options, &interp, &error));
  return interp;
}

static void gone(subpy_interp interp) {
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", close_in(interp, 0, 0, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_exec(interp, "", 0, &error));
}

static void idle(void) {
  const int64_t limits[] = {0, 1, 1000, -1, INT64_MAX};
  for (int i = 0; i < 5; i++) {
    for (uint32_t flags = 0; flags < 4; flags++) {
      subpy_interp interp = create();
      run(interp, "import threading\nx = 1");
      OK(close_in(interp, limits[i], flags, &error));
      gone(interp);
    }
  }
  subpy_interp interp = create();
  OK(subpy_close_with(interp, NULL, &error));
  gone(interp);
}

static void bad_options(void) {
  subpy_interp interp = create(), main = 0;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "subpy_close_options.timeout_ms is -2, must be -1 or more", close_in(interp, -2, 0, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "subpy_close_options.flags has unknown bits set: 0x4", close_in(interp, 0, 6, &error));
  subpy_close_options options = {.size = sizeof options, .reserved = 1};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "subpy_close_options.reserved is 1, must be 0",
        subpy_close_with(interp, &options, &error));
  options = (subpy_close_options){.size = 1};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...set it to sizeof", subpy_close_with(interp, &options, &error));
  OK(subpy_get_main(&main, &error));
  FAILS(SUBPY_ERROR_INTERPRETER, "cannot destroy the main interpreter, subpy_shutdown() ends it", close_in(main, 0, 3, &error));
  OK(close_in(interp, 0, 0, &error));
}

/* A run that ends is waited for, one that does not is named, and then everything is as it was. */
static void drains(void) {
  subpy_interp interp = waiting();
  signal_pipe begun = signal_new(), end = signal_new();
  define_block(interp, begun, end);
  subpy_thread thread = block_in_thread(interp, begun);
  FAILS(SUBPY_ERROR_BUSY, "interpreter running", close_in(interp, 1000, 0, &error));
  FAILS(SUBPY_ERROR_BUSY, "not closed: a run at <script>:3 in block", close_in(interp, 0, SUBPY_CLOSE_DRAIN, &error));
  FAILS(SUBPY_ERROR_BUSY, "not closed within 20 ms: a run at <script>:3 in block",
        close_in(interp, 20, SUBPY_CLOSE_DRAIN, &error));
  end_block(thread, end);
  CHECK(number(interp, "1 + 1") == 2);
  thread = block_in_thread(interp, begun);
  signal_send(end);
  OK(close_in(interp, 60000, SUBPY_CLOSE_DRAIN, &error));
  OK(subpy_thread_join(thread, NULL, &error));
  gone(interp);
}

/* What is in the interpreter when it is closed, and what becomes of the run. */
static void interrupts(const char *code) {
  subpy_interp interp = create();
  subpy_thread thread = run_there(interp, code);
  OK(close_in(interp, 60000, SUBPY_CLOSE_INTERRUPT, &error));
  FAILS(SUBPY_ERROR_INTERRUPTED, "...", subpy_thread_join(thread, NULL, &error));
  gone(interp);
}

static void interrupts_runs(void) {
  interrupts("begin()\nwhile True: pass");
  interrupts("import itertools\n"
             "begin()\n"
             "for i in itertools.count():\n"
             "  try:\n"
             "    while True: pass\n"
             "  except BaseException:\n"
             "    if i == 20: raise");
  interrupts("import threading\n"
             "def spin():\n"
             "  while True: pass\n"
             "for _ in range(3): threading.Thread(target=spin).start()\n"
             "begin()\n"
             "spin()");
}

/* Python's own threads of every kind, with nothing printed. */
static void ends_threads(void) {
  const char *codes[] = {
      "def spin():\n  while True: pass\nfor _ in range(3): threading.Thread(target=spin).start()",
      "threading.Timer(1000, print).start()",
      "async def main(): begun.set(); await asyncio.sleep(1000)\n"
      "threading.Thread(target=asyncio.run, args=(main(),)).start(); begun.wait()",
      "async def main():\n"
      "  begun.set()\n"
      "  while True: await asyncio.sleep(0)\n"
      "threading.Thread(target=asyncio.run, args=(main(),)).start(); begun.wait()",
      "pool = ThreadPoolExecutor(3)\nfor _ in range(30): pool.submit(time.sleep, 0.01)",
      "def spin():\n  while True: pass\npool = ThreadPoolExecutor(3)\nfor _ in range(30): pool.submit(spin)",
      "def chain():\n  time.sleep(0.001); threading.Thread(target=chain).start()\nchain()",
      "def slow():\n  while True: time.sleep(0.001)\nthreading.Thread(target=slow).start()",
      /* One that sleeps most of the time, beside another one that computes and is waited for by nobody. */
      "import _thread\ndef spin():\n  while True: pass\n_thread.start_new_thread(spin, ())\n"
      "def sleeps():\n  while True: time.sleep(0.3)\nthreading.Thread(target=sleeps).start()",
  };
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    subpy_interp interp = create();
    run(interp, "import asyncio, sys, threading, time\nfrom concurrent.futures import ThreadPoolExecutor\n"
                "begun = threading.Event()");
    run(interp, codes[i]);
    if (i != 6) { /* there is a moment in which none of the chain is alive */
      FAILS(SUBPY_ERROR_BUSY, "...not closed: thread '", close_in(interp, 0, 0, &error));
      FAILS(SUBPY_ERROR_BUSY, "...not closed within 10 ms: thread '", close_in(interp, 10, SUBPY_CLOSE_DRAIN, &error));
    }
    CHECK(number(interp, "1 + 1") == 2);
    OK(close_in(interp, 60000, SUBPY_CLOSE_INTERRUPT, &error));
    gone(interp);
  }
}

/* Something has the GIL, and a run has not begun when the runs are interrupted. Its threads are told to end when it was hit
 * itself: it would do the rest without what they were to do, and nobody would hear of that. */
static void runs_before_their_threads(void) {
  for (int i = 0; i < 5; i++) {
    subpy_interp interp = create();
    run(interp, "import ctypes, threading, time\n"
                "def keep(): time.sleep(0.03); ctypes.PyDLL(None).usleep(200000)\n"
                "def all():\n"
                "  done = []\n"
                "  def work():\n"
                "    for _ in range(20): time.sleep(0.001)\n"
                "    done.append(1)\n"
                "  threads = [threading.Thread(target=work) for _ in range(2)]\n"
                "  for thread in threads: thread.start()\n"
                "  for thread in threads: thread.join()\n"
                "  return len(done)\n"
                "threading.Thread(target=keep).start()");
    usleep(60000);
    subpy_thread thread = 0;
    subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_CALL, .interp = interp};
    request.text = "all";
    request.text_len = SUBPY_AUTO_LEN;
    OK(subpy_run_in_thread(&request, &thread, &error));
    usleep(60000);
    OK(close_in(interp, 60000, SUBPY_CLOSE_INTERRUPT, &error));
    subpy_value result = {0};
    subpy_status status = subpy_thread_join(thread, &result, &error);
    CHECK(status == SUBPY_ERROR_INTERRUPTED || (status == SUBPY_OK && result.u.as_int == 2));
    subpy_error_free(error);
    error = NULL;
  }
}

/* One that `threading` does not list: so is a thread whose start was interrupted, until it runs. Only the end waits for
 * it. */
static void ends_late_threads(void) {
  subpy_interp interp = create();
  run(interp, "import threading\n"
              "def spin():\n"
              "  try:\n"
              "    while True: pass\n"
              "  finally: threading._active[threading.get_ident()] = None\n"
              "for _ in range(2): threading.Thread(target=spin, daemon=False).start()\n"
              "threading._active.clear()");
  OK(close_in(interp, 10000, SUBPY_CLOSE_INTERRUPT, &error));
  gone(interp);
  /* In a process it is the end of the time that ends it. */
  if (in_processes()) return;
  /* Where it would keep a lock, it has some time. */
  interp = create();
  run(interp, "import threading\n"
              "inside = threading.Event()\n"
              "class Spins:\n"
              "  def __enter__(self):\n"
              "    inside.set()\n"
              "    while True: pass\n"
              "  def __exit__(self, *args): pass\n"
              "def spin():\n"
              "  try:\n"
              "    with Spins(): pass\n"
              "  finally: threading._active[threading.get_ident()] = None\n"
              "threading.Thread(target=spin, daemon=False).start()\n"
              "inside.wait()\n"
              "threading._active.clear()");
  struct timespec since, until;
  CHECK(clock_gettime(CLOCK_MONOTONIC, &since) == 0);
  OK(close_in(interp, 60000, SUBPY_CLOSE_INTERRUPT, &error));
  CHECK(clock_gettime(CLOCK_MONOTONIC, &until) == 0 && until.tv_sec - since.tv_sec >= 4);
  gone(interp);
}

/* A thread that sleeps in C code while a close tries, and is given up, goes on: whatever makes code look up later is not for it.
 * A process ends when the time is over. */
static void goes_on_when_given_up(void) {
  if (in_processes()) return;
  subpy_interp interp = create();
  run(interp, "import threading, time\n"
              "up, awake, done = threading.Event(), threading.Event(), False\n"
              "def sleeps():\n"
              "  time.sleep(1.5)\n"
              "  up.set()\n"
              "  while not done: pass\n"
              "  awake.set()\n"
              "threading.Thread(target=sleeps).start()");
  FAILS(SUBPY_ERROR_BUSY, "...not closed within 50 ms: thread '", close_in(interp, 50, SUBPY_CLOSE_INTERRUPT, &error));
  run(interp, "assert up.wait(60)");
  /* Each of these makes code look up, in one of the two. */
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_EXEC, .interp = interp, .text = "while True: pass",
                               .text_len = SUBPY_AUTO_LEN, .timeout_ms = 12};
  for (int i = 0; i < 30; i++) FAILS(SUBPY_ERROR_TIMEOUT, "...", subpy_run(&request, NULL, &error));
  run(interp, "done = True\nassert awake.wait(60)");
  OK(close_in(interp, 60000, SUBPY_CLOSE_DRAIN, &error));
  gone(interp);
}

/* Threads that end by themselves are waited for, whatever the flags. */
static void waits_for_threads(void) {
  subpy_interp interp = create();
  run(interp, "import threading, time\n"
              "def work(): time.sleep(0.05); print('done')\n"
              "threading.Thread(target=work).start()");
  OK(close_in(interp, 60000, 0, &error));
  interp = create();
  run(interp, "from concurrent.futures import ThreadPoolExecutor\n"
              "pool = ThreadPoolExecutor(4); list(pool.map(str, range(100)))");
  OK(close_in(interp, 60000, 0, &error)); /* as many idle threads as there are */
}

static void names_threads(void) {
  subpy_interp interp = create();
  signal_pipe begun = signal_new(), end = signal_new();
  char code[300];
  snprintf(code, sizeof code,
           "import os, threading\n"
           "def wait_here():\n"
           "  os.write(%d, b'.'), os.read(%d, 1)\n"
           "threads = [threading.Thread(target=wait_here, name=n) for n in ('first', 'the second')]\n"
           "for thread in threads: thread.start()",
           begun.out, end.in);
  run(interp, code);
  signal_wait(begun);
  signal_wait(begun);
  FAILS(SUBPY_ERROR_BUSY,
        "not closed: thread 'first' at <script>:3 in wait_here, thread 'the second' at <script>:3 in wait_here",
        close_in(interp, 0, 0, &error));
  if (in_processes()) { /* what is not interrupted is killed */
    OK(close_in(interp, 20, SUBPY_CLOSE_INTERRUPT, &error));
    return;
  }
  /* Blocked in C code: they notice when it returns. */
  FAILS(SUBPY_ERROR_BUSY, "...thread 'first' at <script>:3 in wait_here", close_in(interp, 20, SUBPY_CLOSE_INTERRUPT, &error));
  CHECK(number(interp, "len(threads)") == 2);
  signal_send(end);
  signal_send(end);
  OK(close_in(interp, 60000, 0, &error));
}

/* Those who wait for their turn get it, or are turned away. */
static subpy_interp queued;
static void *queues(void *status) {
  *(subpy_status *)status = subpy_exec(queued, "x = 1", SUBPY_AUTO_LEN, NULL);
  return NULL;
}

static void with_a_queue(void) {
  for (uint32_t flags = SUBPY_CLOSE_DRAIN; flags <= SUBPY_CLOSE_INTERRUPT; flags++) {
    queued = waiting();
    subpy_thread thread = run_there(queued, "begin()\nimport time\nfor _ in range(20): time.sleep(0.01)");
    pthread_t threads[3];
    subpy_status statuses[3];
    for (int i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, queues, &statuses[i]) == 0);
    usleep(50000);
    OK(close_in(queued, 60000, flags, &error));
    for (int i = 0; i < 3; i++) {
      CHECK(pthread_join(threads[i], NULL) == 0);
      CHECK(statuses[i] == (flags == SUBPY_CLOSE_DRAIN ? SUBPY_OK : SUBPY_ERROR_BUSY));
    }
    subpy_status joined = subpy_thread_join(thread, NULL, &error);
    CHECK(joined == (flags == SUBPY_CLOSE_DRAIN ? SUBPY_OK : SUBPY_ERROR_INTERRUPTED));
    subpy_error_free(error);
    error = NULL;
  }
}

/* With both flags runs have half of the time to end by themselves. */
static void drains_first(void) {
  subpy_interp interp = create();
  subpy_thread thread = run_there(interp, "begin()\nimport time\nfor _ in range(10): time.sleep(0.01)");
  OK(close_in(interp, 60000, SUBPY_CLOSE_DRAIN | SUBPY_CLOSE_INTERRUPT, &error));
  OK(subpy_thread_join(thread, NULL, &error));
  interp = create();
  thread = run_there(interp, "begin()\nwhile True: pass");
  OK(close_in(interp, 8000, SUBPY_CLOSE_DRAIN | SUBPY_CLOSE_INTERRUPT, &error));
  FAILS(SUBPY_ERROR_INTERRUPTED, "...", subpy_thread_join(thread, NULL, &error));
}

static void sessions_are_named(void) {
  subpy_interp interp = create();
  OK(subpy_enter(interp, &error));
  FAILS(SUBPY_ERROR_BUSY, "this thread has entered the interpreter: subpy_leave() comes first", close_in(interp, 0, 3, &error));
  OK(subpy_leave(interp, &error));
  OK(close_in(interp, 0, 0, &error));
}

static void *enters(void *pipes) {
  subpy_error *mine = NULL;
  signal_pipe *begun_end = pipes;
  CHECK(subpy_enter(queued, &mine) == SUBPY_OK);
  signal_send(begun_end[0]);
  signal_wait(begun_end[1]);
  CHECK(subpy_leave(queued, &mine) == SUBPY_OK);
  return NULL;
}

static void sessions_of_others(void) {
  signal_pipe pipes[2] = {signal_new(), signal_new()};
  pthread_t thread;
  queued = create();
  CHECK(pthread_create(&thread, NULL, enters, pipes) == 0);
  signal_wait(pipes[0]);
  FAILS(SUBPY_ERROR_BUSY, "...has entered the interpreter", close_in(queued, 10, 0, &error));
  FAILS(SUBPY_ERROR_BUSY,
        "not closed within 10 ms: a thread that has entered it and not left it (subpy_enter, subpy_leave)",
        close_in(queued, 10, SUBPY_CLOSE_INTERRUPT, &error));
  signal_send(pipes[1]);
  OK(close_in(queued, 60000, SUBPY_CLOSE_DRAIN, &error));
  CHECK(pthread_join(thread, NULL) == 0);
}

static subpy_interp itself;
static subpy_status from_inside;
static void closes_itself(void) { from_inside = close_in(itself, -1, SUBPY_CLOSE_DRAIN, &error); }
static void through_another(void) {
  subpy_interp other = create();
  call_from_python(other, "CFUNCTYPE", closes_itself);
  OK(subpy_close(other, NULL));
}

static void not_from_inside(void) {
  void (*const functions[])(void) = {closes_itself, through_another};
  for (int i = 0; i < 2; i++) {
    itself = create();
    call_from_python(itself, "CFUNCTYPE", functions[i]);
    CHECK(from_inside == SUBPY_ERROR_INTERPRETER);
    CHECK(strncmp(subpy_error_message(error, NULL), "cannot destroy the ", 19) == 0);
    subpy_error_free(error);
    error = NULL;
    OK(subpy_close(itself, &error));
  }
}

/* Waits for an end that goes on, or is over already. */
static void ends(subpy_interp interp) {
  subpy_status status = close_in(interp, 60000, 0, &error);
  CHECK(status == SUBPY_OK || status == SUBPY_ERROR_NOT_FOUND);
  subpy_error_free(error);
  error = NULL;
  gone(interp);
}

/* What runs at the end cannot be taken back. It can be waited for again, and interrupted. */
static void while_it_ends(void) {
  subpy_interp interp = create();
  signal_pipe end = signal_new();
  char code[100];
  snprintf(code, sizeof code, "import atexit, os\natexit.register(os.read, %d, 1)", end.in);
  run(interp, code);
  FAILS(SUBPY_ERROR_TIMEOUT, "...the interpreter is ending, and has not ended within 10 ms: it waits for code that runs",
        close_in(interp, 10, in_processes() ? 0 : SUBPY_CLOSE_INTERRUPT, &error));
  FAILS(SUBPY_ERROR_BUSY, "interpreter is closing", subpy_exec(interp, "", 0, &error));
  FAILS(SUBPY_ERROR_BUSY, "interpreter is closing", subpy_close(interp, &error));
  FAILS(SUBPY_ERROR_BUSY, "...is ending, and waits for code", subpy_shutdown(&error));
  FAILS(SUBPY_ERROR_TIMEOUT, "...", close_in(interp, 0, 0, &error));
  signal_send(end);
  ends(interp);
}

static void interrupts_the_end(void) {
  const char *codes[] = {
      "import atexit\ndef spin():\n  while True: pass\natexit.register(spin)",
      "class Endless:\n  def __del__(self):\n    while True: pass\nkept = Endless()",
      "import threading\ndef spin():\n  while True: pass\nthreading._register_atexit(spin)",
  };
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    subpy_interp interp = create();
    run(interp, codes[i]);
    OK(close_in(interp, 60000, SUBPY_CLOSE_INTERRUPT, &error));
    gone(interp);
  }
}

/* What is asked for where the end runs no Python code is not printed. */
static void interrupts_between(void) {
  subpy_interp interp = create();
  signal_pipe end = signal_new();
  char code[200];
  snprintf(code, sizeof code,
           "import functools, os\n"
           "class Waits: __del__ = staticmethod(functools.partial(os.read, %d, 1))\n"
           "waits = [Waits()]",
           end.in);
  run(interp, code);
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_EVAL, .flags = SUBPY_RESULT_OBJECT,
                               .interp = interp, .text = "waits.pop()", .text_len = SUBPY_AUTO_LEN};
  subpy_value waits = {0};
  OK(subpy_run(&request, &waits, &error));
  CHECK(waits.kind == SUBPY_KIND_OBJECT);
  if (in_processes()) { /* what is not interrupted is killed */
    OK(close_in(interp, 100, SUBPY_CLOSE_INTERRUPT, &error));
  } else {
    FAILS(SUBPY_ERROR_TIMEOUT, "...", close_in(interp, 100, SUBPY_CLOSE_INTERRUPT, &error));
    signal_send(end);
    ends(interp);
  }
  subpy_value_free(&waits);
}

/* A loop that sleeps, closed: whether at the first attempt. It may be hit while it cleans up, and then says so. */
static bool ends_a_loop(const char *beside) {
  subpy_interp interp = create();
  run(interp, beside);
  subpy_thread thread = run_there(interp, "import asyncio\n"
                                          "async def main(): begin(); await asyncio.sleep(1000)\n"
                                          "asyncio.run(main())");
  bool at_once = close_in(interp, 500, SUBPY_CLOSE_INTERRUPT, &error) == SUBPY_OK;
  if (!at_once) {
    subpy_error_free(error);
    error = NULL;
    OK(close_in(interp, 60000, SUBPY_CLOSE_INTERRUPT, &error));
  }
  FAILS(SUBPY_ERROR_INTERRUPTED, "...", subpy_thread_join(thread, NULL, &error));
  gone(interp);
  return at_once;
}

/* Most do, whoever else runs code meanwhile; unless the machine is busy each time. */
static void interrupts_loops(void) {
  const char *beside[] = {"", "import _thread\n"
                              "def spin():\n"
                              "  while True: pass\n"
                              "_thread.start_new_thread(spin, ())\n"};
  enum { LOOPS = 10, MOST = 8, TIMES = 10 };
  int at_once = 0;
  for (int time = 0; time < TIMES && at_once < MOST; time++) {
    at_once = 0;
    for (int i = 0; i < LOOPS; i++) at_once += ends_a_loop(beside[i % 2]);
  }
  CHECK(at_once >= MOST);
  shut_down();
}

/* What code has made of its own hides nothing that is in the way. */
static void a_loop_of_its_own(void) {
  subpy_interp interp = create();
  run(interp, "import asyncio, threading, time\n"
              "class Loop(asyncio.SelectorEventLoop): pass\n"
              "loop = Loop()\n"
              "def is_running(self): raise SystemExit\n"
              "Loop.is_running = is_running\n"
              "threading.Thread(target=time.sleep, args=(2,)).start()");
  if (!in_processes()) /* there it is killed */
    FAILS(SUBPY_ERROR_BUSY, "...not closed within 500 ms: thread '", close_in(interp, 500, SUBPY_CLOSE_INTERRUPT, &error));
  OK(close_in(interp, 60000, SUBPY_CLOSE_INTERRUPT, &error));
  gone(interp);
}

static void quiet(void) {
  ends_threads();
  interrupts_between();
  shut_down();
}

/* A thread that was never started, because the code that did was interrupted in Thread.start(), keeps nobody waiting. */
static void no_thread_yet(void) {
  subpy_interp interp = create();
  run(interp, "import threading\n"
              "def interrupted(*args, **kwargs): raise KeyboardInterrupt\n"
              "threading._start_joinable_thread = interrupted\n"
              "try: threading.Thread(target=print).start()\n"
              "except KeyboardInterrupt: pass\n"
              "assert threading._limbo");
  OK(close_in(interp, 60000, SUBPY_CLOSE_DRAIN, &error));
  gone(interp);
}

int main(void) {
  outcome outcome = in_child(quiet);
  if (outcome.status != 0 || outcome.out.len > 0 || outcome.err.len > 0) {
    fprintf(stderr, "status %d, printed:\n%s%s\n", outcome.status, outcome.out.data, outcome.err.data);
    return 1;
  }
  free_outcome(&outcome);
  outcome = in_child(interrupts_loops);
  if (outcome.status != 0) {
    fprintf(stderr, "status %d, printed:\n%s%s\n", outcome.status, outcome.out.data, outcome.err.data);
    return 1;
  }
  free_outcome(&outcome);
  interrupts_runs();
  a_loop_of_its_own();
  idle();
  bad_options();
  drains();
  ends_late_threads();
  goes_on_when_given_up();
  runs_before_their_threads();
  waits_for_threads();
  names_threads();
  no_thread_yet();
  with_a_queue();
  drains_first();
  sessions_are_named();
  sessions_of_others();
  not_from_inside();
  while_it_ends();
  interrupts_the_end();
  shut_down();
  return 0;
}
