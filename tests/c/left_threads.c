/* Threads, timers and pools that Python code leaves behind when its interpreter is closed. */
#include <inttypes.h>
#include <stdatomic.h>
#include <unistd.h>

#include "child.h"

static subpy_error *error;
static int wake[2];

static void close_after(const char *code) {
  subpy_interp interp = create();
  run(interp, code);
  OK(subpy_close(interp, &error));
}

/* What ends by itself is waited for, and runs to its end. */
static void waited_for(void) {
  close_after("import threading, time\n"
              "def work(): time.sleep(0.05); print('thread')\n"
              "threading.Thread(target=work).start()");
  close_after("import threading\nthreading.Timer(0.05, print, ('timer',)).start()");
  close_after("import time\nfrom concurrent.futures import ThreadPoolExecutor\n"
              "pool = ThreadPoolExecutor(4)\n"
              "futures = [pool.submit(time.sleep, 0.02) for _ in range(8)]\n"
              "pool.submit(print, 'pool')");
  close_after("from concurrent.futures import ThreadPoolExecutor\n"
              "idle = ThreadPoolExecutor(4); list(idle.map(str, range(100)))");
  close_after("import threading, time\n"
              "def chain(n):\n"
              "    time.sleep(0.01)\n"
              "    if n: threading.Thread(target=chain, args=(n - 1,)).start()\n"
              "    else: print('chain')\n"
              "chain(5)");
  close_after("import asyncio, threading\n"
              "async def main(): await asyncio.sleep(0.02); print('loop')\n"
              "threading.Thread(target=asyncio.run, args=(main(),)).start()");
  close_after("import atexit, threading\n"
              "stop = threading.Event()\n"
              "thread = threading.Thread(target=stop.wait)\n"
              "thread.start()\n"
              "threading._register_atexit(stop.set)");
  /* One that fails says so, in the interpreter's own stderr. */
  close_after("import sys, threading\n"
              "threading.excepthook = lambda info: print('failed:', info.exc_value, file=sys.stderr)\n"
              "threading.Thread(target=lambda: 1 / 0).start()");
}

/* Threads that nobody waits for: they never run Python again, even when what they wait for comes. */
static void parked(void) {
  subpy_interp interp = 0, other = create();
  subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_ALLOW_DAEMON_THREADS};
  char code[600];
  CHECK(pipe(wake) == 0);
  snprintf(code, sizeof code,
           "import _thread, os, threading\n"
           "begun = threading.Semaphore(0)\n"
           "def block():\n"
           "    begun.release()\n"
           "    os.read(%d, 1)\n"
           "    print('never'); os.write(1, b'never')\n"
           "def spin():\n"
           "    begun.release()\n"
           "    while True: pass\n"
           "for _ in range(3): _thread.start_new_thread(block, ())\n"
           "_thread.start_new_thread(spin, ())\n"
           "count = 4\n"
           "if daemons:\n"
           "    threading.Thread(target=block, daemon=True).start(); threading.Thread(target=spin, daemon=True).start()\n"
           "    count += 2\n"
           "for _ in range(count): begun.acquire()",
           wake[0]);
  for (int round = 0; round < 4; round++) {
    options.flags = round % 2 ? SUBPY_INTERP_ALLOW_DAEMON_THREADS : 0;
    OK(subpy_create(&options, &interp, &error));
    subpy_pair pair = {subpy_str("daemons", 7), subpy_bool(round % 2)};
    subpy_value names = subpy_dict(&pair, 1);
    OK(subpy_prepare_main(interp, &names, &error));
    run(interp, code);
    OK(subpy_close(interp, &error));
  }
  CHECK(write(wake[1], "xxxxxxxxxxxxxxxxxxxx", 20) == 20);
  /* They wake up now, in interpreters that are gone. */
  for (int i = 0; i < 20; i++) {
    usleep(5000);
    interp = create();
    run(interp, "import json; x = [json.dumps(i) for i in range(100)]");
    OK(subpy_close(interp, &error));
    run(other, "x = [str(i) for i in range(1000)]");
  }
  shut_down();
}

static subpy_interp visited;
static atomic_int inside, may_return;

static long waits(void) {
  atomic_fetch_add(&inside, 1);
  while (!atomic_load(&may_return)) usleep(100);
  return 0;
}

/* Called by a thread of an interpreter that ends meanwhile. */
static void visits(void) {
  char code[120];
  snprintf(code, sizeof code, "import ctypes; ctypes.CFUNCTYPE(ctypes.c_long)(%" PRIuPTR ")()", (uintptr_t)waits);
  run(visited, code);
}

static void waits_for_its_turn(void) {
  atomic_fetch_add(&inside, 1);
  run(visited, "x = 1");
}

/* A thread of an interpreter that ends is in a run in another one, or waits for it. It comes back to nothing, and is parked;
   the other interpreter is as if it had returned. */
static void come_back_to_nothing(void) {
  const char *types[] = {"CFUNCTYPE", "PYFUNCTYPE"};
  subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_WAIT};
  alarm(60); /* a run that waits for a parked one would do so for ever */
  for (int i = 0; i < 6; i++) {
    bool theirs = i / 2 == 1, waiting = i / 2 == 2;
    subpy_interp ended = create();
    OK(subpy_create(&options, &visited, &error));
    atomic_store(&inside, 0);
    atomic_store(&may_return, 0);
    subpy_thread first = 0;
    char code[600];
    if (waiting) {
      snprintf(code, sizeof code, "import ctypes; ctypes.CFUNCTYPE(ctypes.c_long)(%" PRIuPTR ")()", (uintptr_t)waits);
      subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_EXEC, .interp = visited};
      request.text = code;
      request.text_len = SUBPY_AUTO_LEN;
      OK(subpy_run_in_thread(&request, &first, &error));
      while (atomic_load(&inside) < 1) usleep(100);
    }
    snprintf(code, sizeof code,
             "code = '''import _thread, ctypes\n_thread.start_new_thread(ctypes.%s(None)(%" PRIuPTR "), ())'''\n"
             "if %d:\n"
             "    import concurrent.interpreters\n"
             "    other = concurrent.interpreters.create(); other.exec(code)\n"
             "else:\n"
             "    exec(code)",
             types[i % 2], (uintptr_t)(waiting ? waits_for_its_turn : visits), theirs);
    run(ended, code);
    while (atomic_load(&inside) < 1 + waiting) usleep(100);
    if (waiting) usleep(20000); /* it gets in line */
    if (theirs) run(ended, "other.close()");
    OK(subpy_close(ended, &error));
    atomic_store(&may_return, 1);
    if (waiting) OK(subpy_thread_join(first, NULL, &error));
    run(visited, "import threading");
    subpy_status status = SUBPY_ERROR_BUSY;
    while (status == SUBPY_ERROR_BUSY) status = subpy_close(visited, NULL);
    CHECK(status == SUBPY_OK);
  }
  shut_down();
}

/* The shutdown waits in the same way, for main's threads too. To CPython a thread of the host is a daemon, and threads
 * that it starts inherit that where daemons are allowed. */
static void at_the_shutdown(void) {
  subpy_interp interp = create(), main = 0;
  OK(subpy_get_main(&main, &error));
  run(interp, "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.05), print('guest'))).start()");
  run(main, "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.1), print('main')), daemon=False).start()");
  shut_down();
  interp = create();
  run(interp, "print('again')");
  shut_down();
  /* Daemons of main end with it, also those that are busy, and do not wake up in a later runtime. */
  CHECK(pipe(wake) == 0);
  char code[400];
  snprintf(code, sizeof code,
           "import os, threading\nbegun = threading.Semaphore(0)\n"
           "def spin():\n"
           "    begun.release()\n"
           "    while True: pass\n"
           "def block():\n"
           "    begun.release(); os.read(%d, 1); print('never')\n"
           "for target in (spin, spin, block): threading.Thread(target=target, daemon=True).start(); begun.acquire()",
           wake[0]);
  for (int round = 0; round < 3; round++) {
    OK(subpy_get_main(&main, &error));
    run(main, code);
    shut_down();
  }
  interp = create();
  CHECK(write(wake[1], "xxx", 3) == 3);
  run(interp, "import time; time.sleep(0.1); print('and again')");
  shut_down();
}

/* A thread that was left prints while the next run runs: both texts are there. */
static void beside_runs(void) {
  subpy_interp interp = create();
  run(interp,
      "import threading\n"
      "def lines():\n"
      "    for i in range(500): print('background', flush=i % 3 == 0)\n"
      "thread = threading.Thread(target=lines); thread.start()");
  for (int i = 0; i < 50; i++) run(interp, "for i in range(10): print('foreground')");
  run(interp, "thread.join()");
}

static atomic_long asked;

/* Whoever looks something up lets go of the GIL meanwhile: there the thread is when its interpreter ends. */
static void asks_for_main(void) {
  subpy_interp found;
  for (;; asked++) (void)subpy_get_main(&found, NULL);
}

static void asks_by_id(void) {
  subpy_interp found;
  for (;; asked++) (void)subpy_find(0, &found, NULL);
}

static void asks_for_all(void) {
  subpy_interp found[8];
  size_t count;
  for (;; asked++) (void)subpy_list_all(found, 8, &count, NULL);
}

/* A thread that is parked while it comes back from a question keeps nothing from being shut down. */
static void parked_with_a_question(void) {
  void (*const questions[])(void) = {asks_for_main, asks_by_id, asks_for_all};
  for (int i = 0; i < 3; i++) {
    char code[200];
    snprintf(code, sizeof code,
             "import ctypes, _thread\n_thread.start_new_thread(ctypes.PYFUNCTYPE(None)(%" PRIuPTR "), ())",
             (uintptr_t)questions[i]);
    asked = 0;
    subpy_interp interp = create();
    run(interp, code);
    while (asked < 10) usleep(1000);
    OK(subpy_close(interp, &error));
    OK(subpy_shutdown(&error));
  }
}

int main(void) {
  EXPECT(waited_for, "thread\ntimer\npool\nchain\nloop\n", "failed: division by zero\n");
  EXPECT(parked, "", "");
  EXPECT(parked_with_a_question, "", "");
  EXPECT(come_back_to_nothing, "", "");
  EXPECT(at_the_shutdown, "guest\nmain\nagain\nand again\n", "");
  outcome outcome = in_child(beside_runs);
  CHECK(outcome.status == 0 && outcome.err.len == 0 && outcome.out.len == 1000 * 11);
  int lines[2] = {0, 0};
  for (size_t i = 0; i < outcome.out.len; i++) {
    lines[0] += outcome.out.data[i] == 'b';
    lines[1] += outcome.out.data[i] == 'f';
  }
  CHECK(lines[0] == 500 && lines[1] == 500);
  free_outcome(&outcome);
  return 0;
}
