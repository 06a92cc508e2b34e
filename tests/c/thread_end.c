/* The end of a thread: runs in the destructor of a thread-specific value, and sessions that were not left. */
#include <pthread.h>
#include <stdatomic.h>

#include "child.h"
#include "values.h"

enum { ROUNDS = 3 };

static pthread_key_t key;
static subpy_interp interp, other;
static subpy_function function;
static int done;

/* glibc calls it again as long as it sets the value again; each round is later than the one before. */
static void at_the_end(void *round) {
  subpy_error *error = NULL;
  run(interp, "ended += 1");
  OK(subpy_function_call(function, NULL, 0, NULL, NULL, &error));
  OK(subpy_function_call_many(function, NULL, 3, 0, 0, NULL, &error));
  /* What it had entered it has left. */
  FAILS(SUBPY_ERROR_WRONG_STATE, "...this thread is ending", subpy_enter(interp, &error));
  FAILS(SUBPY_ERROR_WRONG_STATE, "...this thread is ending", subpy_enter(other, &error));
  FAILS(SUBPY_ERROR_WRONG_STATE, "...has not entered", subpy_leave(other, &error));
  run(interp, "ended += 1");
  bool running = true;
  OK(subpy_is_running(interp, &running, &error));
  CHECK(!running);
  subpy_interp made = create();
  OK(subpy_close(made, &error));
  subpy_thread thread = 0;
  OK(subpy_call_in_thread(interp, "builtins:dict", SUBPY_AUTO_LEN, NULL, 0, NULL, &thread, &error));
  OK(subpy_thread_join(thread, NULL, &error));
  done++;
  if ((intptr_t)round < ROUNDS) CHECK(pthread_setspecific(key, (char *)round + 1) == 0);
}

static void *work(void *entered) {
  subpy_error *error = NULL;
  run(interp, "x = 1");
  if (entered) OK(subpy_enter(other, &error));
  CHECK(pthread_setspecific(key, (void *)1) == 0);
  return NULL;
}

/* The thread's first use of the library is at its end: it can enter, leave, and need not leave. */
static void first_at_the_end(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  OK(subpy_enter(interp, &error));
  OK(subpy_leave(interp, &error));
  OK(subpy_enter(other, &error));
  OK(subpy_enter(other, &error));
  run(other, "x = 1");
  done++;
}

static pthread_key_t late_key;

static void *does_nothing(void *unused) {
  (void)unused;
  CHECK(pthread_setspecific(late_key, (void *)1) == 0);
  return NULL;
}

static void runs_at_the_end(void) {
  subpy_error *error = NULL;
  interp = create();
  other = create();
  run(interp, "ended = 0\ndef f(): global ended; ended += 1");
  OK(subpy_function_new(interp, "f", SUBPY_AUTO_LEN, &function, &error));
  CHECK(pthread_key_create(&key, at_the_end) == 0);
  for (intptr_t entered = 0; entered < 2; entered++) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, work, (void *)entered) == 0 && pthread_join(thread, NULL) == 0);
  }
  CHECK(done == 2 * ROUNDS);
  subpy_value ended = eval(interp, "ended");
  CHECK(ended.u.as_int == 6 * done);
  done = 0;
  CHECK(pthread_key_create(&late_key, first_at_the_end) == 0);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, does_nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
  CHECK(done == 1);
  OK(subpy_close(other, &error));
  OK(subpy_close(interp, &error));
  shut_down();
}

static pthread_t main_thread;

static void *after_main(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  CHECK(pthread_join(main_thread, NULL) == 0);
  CHECK(number(interp, "len(gone)") == 1);
  OK(subpy_close(interp, &error));
  shut_down();
  puts("closed");
  exit(0);
}

static void enter_with_a_finalizer(void) {
  subpy_error *error = NULL;
  interp = create();
  OK(subpy_enter(interp, &error));
  run(interp,
      "import threading\n"
      "gone = []\n"
      "class Thing:\n"
      "  def __del__(self): gone.append(1)\n"
      "local = threading.local()\n"
      "local.thing = Thing()");
}

/* The process's main thread ends, and the process does not: it has left like any other. */
static void main_ends_alone(void) {
  enter_with_a_finalizer();
  main_thread = pthread_self();
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, after_main, NULL) == 0);
  pthread_exit(NULL);
}

static void at_exit(void) {
  subpy_error *error = NULL;
  FAILS(SUBPY_ERROR_BUSY, "...entered by a thread that has not left it (subpy_enter, subpy_leave)", subpy_shutdown(&error));
  FAILS(SUBPY_ERROR_BUSY, "...has entered the interpreter and not left it", subpy_close(interp, &error));
  run(interp, "local.thing");
  OK(subpy_leave(interp, &error));
  CHECK(number(interp, "len(gone)") == 1);
  shut_down();
  puts("shut down");
}

/* exit() ends no thread: the session is there until it is left. */
static void shut_down_at_exit(void) {
  CHECK(atexit(at_exit) == 0);
  enter_with_a_finalizer();
  exit(0);
}

static void left_at_exit(void) {
  enter_with_a_finalizer();
  exit(0);
}

int main(void) {
  EXPECT(main_ends_alone, "closed\n", "");
  EXPECT(shut_down_at_exit, "shut down\n", "");
  EXPECT(left_at_exit, "", "");
  runs_at_the_end();
  return 0;
}
