/* What a `with` has taken is given back, wherever its code is stopped: a lock that stays taken keeps everybody waiting who wants
 * it later. */
#include <pthread.h>
#include <unistd.h>

#include "guest.h"

static subpy_error *error;

/* In these, code takes a lock or gives it back most of the time. */
static const char code[] =
    "import logging, threading, time\n"
    "lock, rlock, condition = threading.Lock(), threading.RLock(), threading.Condition()\n"
    "class Both:\n"
    "  def __enter__(self): lock.acquire(); return self\n"
    "  def __exit__(self, *args): lock.release()\n"
    "def plain():\n"
    "  while True:\n"
    "    with lock: pass\n"
    "def named():\n"
    "  while True:\n"
    "    with lock as got:\n"
    "      got\n"
    "def nested():\n"
    "  while True:\n"
    "    with rlock, lock, condition: pass\n"
    "def in_python():\n"
    "  while True:\n"
    "    with Both(): pass\n"
    "def logs():\n"
    "  while True: logging.getLogger('with_locks').debug('not shown')\n"
    "begun = threading.Event()\n"
    "def holds():\n"
    "  with lock:\n"
    "    begun.set(); time.sleep(0.05)\n"
    "def waits():\n"
    "  begun.clear(); threading.Thread(target=holds).start(); begun.wait()\n"
    "  with lock:\n"
    "    while True: pass\n"
    "def is_free():\n"
    "  free = all(it.acquire(timeout=10) for it in (lock, rlock, condition, logging._lock))\n"
    "  assert free, (lock, rlock, condition, logging._lock)\n"
    "  lock.release(), rlock.release(), condition.release(), logging._lock.release()\n";

/* Many times stopped, by its time or by what there is in memory, and the lock is free each time. A lock of another thread's
 * counts as well: the look comes from a thread of its own. Whoever has it for a moment gives it back meanwhile. */
static void stopped(const char *function, int times, int64_t timeout_ms) {
  subpy_interp interp = create();
  run(interp, code);
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_CALL, .interp = interp, .text = function,
                               .text_len = SUBPY_AUTO_LEN};
  subpy_run_request look = {.size = sizeof look, .what = SUBPY_RUN_CALL, .interp = interp, .text = "is_free",
                            .text_len = SUBPY_AUTO_LEN};
  for (int i = 0; i < times; i++) {
    request.timeout_ms = timeout_ms + i % 3;
    FAILS(SUBPY_ERROR_TIMEOUT, "...timed out after", subpy_run(&request, NULL, &error));
    subpy_thread thread = 0;
    OK(subpy_run_in_thread(&look, &thread, &error));
    if (subpy_thread_join(thread, NULL, &error) != SUBPY_OK) {
      fprintf(stderr, "%s, stopped the %dth time: %s\n", function, i + 1, subpy_error_display(error, NULL));
      exit(1);
    }
  }
  OK(subpy_close(interp, &error));
}

/* Whatever is called so is stopped all the same. */
static void never_ends(const char *function) {
  subpy_interp interp = create();
  run(interp, "import time\n"
              "class Spins:\n"
              "  def __enter__(self, *args):\n"
              "    while True: pass\n"
              "  def __exit__(self, *args): pass\n"
              "class SpinsAtTheEnd(Spins):\n"
              "  def __enter__(self): pass\n"
              "  __exit__ = Spins.__enter__\n"
              "def at_the_beginning():\n"
              "  with Spins(): pass\n"
              "def at_the_end():\n"
              "  with SpinsAtTheEnd(): pass\n"
              "def blocks():\n"
              "  while True:\n"
              "    with memoryview(b''): pass\n");
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_CALL, .interp = interp, .text = function,
                               .text_len = SUBPY_AUTO_LEN, .timeout_ms = 5};
  FAILS(SUBPY_ERROR_TIMEOUT, "...timed out after", subpy_run(&request, NULL, &error));
  CHECK(number(interp, "1 + 1") == 2);
  OK(subpy_close(interp, &error));
}

/* It is interrupted, unless the close or the end of the threads comes first. */
static void *joins(void *interp) {
  const subpy_status status = subpy_exec(*(subpy_interp *)interp, "for t in threads: t.join()", SUBPY_AUTO_LEN, NULL);
  CHECK(status == SUBPY_ERROR_INTERRUPTED || status == SUBPY_ERROR_BUSY || status == SUBPY_ERROR_NOT_FOUND || status == SUBPY_OK);
  return NULL;
}

/* Python's own threads, which a close has end: if one of them keeps a lock, the others wait for it for good, and so does the close. */
static void threads_end(const char *function, int times) {
  for (int i = 0; i < times; i++) {
    subpy_interp interp = create();
    run(interp, code);
    run(interp, "import sys\n"
                "def imports():\n"
                "  while True:\n"
                "    sys.modules.pop('colorsys', None)\n"
                "    try: import colorsys\n"
                "    except (ImportError, KeyError): pass\n"
                "def fails():\n"
                "  while True:\n"
                "    try:\n"
                "      with condition: open('/no/such/file')\n"
                "    except OSError: pass\n"
                "def yields():\n"
                "  while True:\n"
                "    with Both(): time.sleep(0)\n"
                "class Spins:\n"
                "  def __enter__(self):\n"
                "    while True: pass\n"
                "  def __exit__(self, *args): pass\n"
                "def spins():\n"
                "  with Spins(): pass\n"
                "def begin(function):\n"
                "  global threads\n"
                "  threads = [threading.Thread(target=function) for _ in range(3)]\n"
                "  for thread in threads: thread.start()\n");
    char begin[40];
    snprintf(begin, sizeof begin, "begin(%s)", function);
    run(interp, begin);
    CHECK(number(interp, "sum(thread.is_alive() for thread in threads)") == 3);
    /* Each second time a run is in, which waits for them. */
    pthread_t thread;
    const bool joined = i % 2;
    if (joined) CHECK(pthread_create(&thread, NULL, joins, &interp) == 0);
    usleep(3000 + (useconds_t)i * 1700);
    subpy_close_options options = {.size = sizeof options, .timeout_ms = 60000, .flags = SUBPY_CLOSE_INTERRUPT};
    subpy_error *failure = NULL;
    if (subpy_close_with(interp, &options, &failure) != SUBPY_OK) {
      fprintf(stderr, "%s, closed the %dth time: %s\n", function, i + 1, subpy_error_message(failure, NULL));
      exit(1);
    }
    if (joined) CHECK(pthread_join(thread, NULL) == 0);
  }
}

int main(void) {
  alarm(900);
  stopped("plain", 200, 1);
  stopped("named", 200, 1);
  stopped("nested", 200, 1);
  stopped("in_python", 200, 1);
  stopped("logs", 200, 1);
  stopped("waits", 20, 15);
  never_ends("at_the_beginning");
  never_ends("at_the_end");
  never_ends("blocks");
  const char *const functions[] = {"plain", "named", "nested", "in_python", "logs", "imports", "fails", "yields"};
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) threads_end(functions[i], 6);
  threads_end("spins", 1);
  shut_down();
  return 0;
}
