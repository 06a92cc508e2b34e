/* The places from which functions are called. */
#ifndef CONTEXTS_H
#define CONTEXTS_H

#include <ucontext.h>

#include "judge.h"

/* Calls the body somewhere, once. */
typedef void enter_fn(void (*body)(void));

static void from_main(void (*body)(void)) { body(); }

static void from_host(const char *function, void (*body)(void)) {
  w.body = body;
  /* What the body does with the call may be an exception. */
  (void)subpy_call(w.handles[INTERP], function, SUBPY_AUTO_LEN, NULL, 0, NULL, NULL, NULL);
  w.body = NULL;
}

static void from_host_function(void (*body)(void)) { from_host("host", body); }
static void from_host_function_with_gil(void (*body)(void)) { from_host("host_with_gil", body); }

/* Between subpy_enter() and subpy_leave(). */
static void in_session(void (*body)(void)) {
  subpy_error *error = NULL;
  const subpy_interp interp = w.handles[INTERP];
  OK(subpy_enter(interp, &error));
  body();
  while (subpy_leave(interp, NULL) == SUBPY_OK) continue;
}

/* Python's atexit, while the interpreter is being closed. */
static void from_python_atexit(void (*body)(void)) {
  subpy_error *error = NULL;
  run(w.handles[INTERP], "import atexit\natexit.register(host)");
  w.body = body;
  OK(subpy_close(w.handles[INTERP], &error));
  w.body = NULL;
}

static void (*thread_body)(void);

static void *on_thread(void *used) {
  if (used) run(w.other, "x = 1");
  thread_body();
  return NULL;
}

static void on_a_thread(size_t kib, void *(*start)(void *), void *argument, void (*body)(void)) {
  pthread_attr_t attr;
  pthread_t thread;
  thread_body = body;
  CHECK(pthread_attr_init(&attr) == 0 && pthread_attr_setstacksize(&attr, kib * 1024) == 0);
  CHECK(pthread_create(&thread, &attr, start, argument) == 0 && pthread_join(thread, NULL) == 0);
  pthread_attr_destroy(&attr);
}

static void on_64_kib(void (*body)(void)) { on_a_thread(64, on_thread, NULL, body); }
static void on_256_kib(void (*body)(void)) { on_a_thread(256, on_thread, NULL, body); }

static pthread_key_t key;

static void at_thread_end(void *unused) {
  (void)unused;
  thread_body();
}

static void *ends(void *used) {
  if (used) run(w.other, "x = 1");
  CHECK(pthread_setspecific(key, &key) == 0);
  return NULL;
}

/* In the destructor of a thread-specific value: of a thread that has used the library before, or has not. */
static void at_the_end_of_a_thread(void (*body)(void)) { on_a_thread(1024, ends, &key, body); }
static void at_the_end_of_a_new_thread(void (*body)(void)) { on_a_thread(1024, ends, NULL, body); }

static void on_coroutine(size_t kib, void (*body)(void)) {
  static ucontext_t outside, inside;
  const size_t page = (size_t)sysconf(_SC_PAGESIZE), size = kib * 1024;
  char *memory = mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED && mprotect(memory, page, PROT_NONE) == 0 && getcontext(&inside) == 0);
  inside.uc_stack.ss_sp = memory + page, inside.uc_stack.ss_size = size, inside.uc_link = &outside;
  makecontext(&inside, body, 0);
  CHECK(swapcontext(&outside, &inside) == 0 && munmap(memory, size + page) == 0);
}

static void on_coroutine_64(void (*body)(void)) { on_coroutine(64, body); }
static void on_coroutine_256(void (*body)(void)) { on_coroutine(256, body); }
static void on_coroutine_1024(void (*body)(void)) { on_coroutine(1024, body); }

static const struct {
  const char *name;
  enter_fn *enter;
  /* inside of a host function */
  bool host;
} contexts[] = {
    {"main", from_main, false},
    {"host", from_host_function, true},
    {"host-with-gil", from_host_function_with_gil, true},
    {"session", in_session, false},
    {"python-atexit", from_python_atexit, true},
    {"thread-end", at_the_end_of_a_thread, false},
    {"new-thread-end", at_the_end_of_a_new_thread, false},
    {"stack-64", on_64_kib, false},
    {"stack-256", on_256_kib, false},
    {"coroutine-64", on_coroutine_64, false},
    {"coroutine-256", on_coroutine_256, false},
    {"coroutine-1024", on_coroutine_1024, false},
};

#endif
