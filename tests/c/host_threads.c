/* Host functions on threads that Python started, on many at a time, and on one alone. */
#include "guest.h"
#include "values.h"

#include <stdatomic.h>

static subpy_error *error;

/* ---- Python's threads: what they call is inside ---- */

static atomic_int answered;

static void more(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)nargs, (void)kwargs;
  subpy_error *failed = NULL;
  subpy_interp interp = subpy_context_interp(ctx), current = 0;
  subpy_value result = {0};
  CHECK(subpy_get_current(&current, NULL) == SUBPY_OK && current == interp);
  CHECK(subpy_call(interp, "inner", SUBPY_AUTO_LEN, args, 1, NULL, &result, &failed) == SUBPY_OK);
  CHECK(subpy_close(interp, NULL) == SUBPY_ERROR_INTERPRETER && subpy_shutdown(NULL) == SUBPY_ERROR_BUSY);
  CHECK(subpy_context_return(ctx, &result) == SUBPY_OK);
  atomic_fetch_add(&answered, 1);
}

static void threads_of_python(void) {
  for (int32_t busy = SUBPY_BUSY_REFUSE; busy <= SUBPY_BUSY_SHARE; busy++) {
    subpy_interp_options options = {.size = sizeof options, .busy = busy};
    subpy_interp interp = 0;
    atomic_store(&answered, 0);
    OK(subpy_create(&options, &interp, &error));
    OK(subpy_define(interp, "host:more", SUBPY_AUTO_LEN, 0, more, NULL, NULL, &error));
    run(interp, "import host, threading, concurrent.futures\n"
                "local = threading.local()\n"
                "def inner(number):\n"
                "  assert local.number == number\n"
                "  return number * 2\n"
                "def work(number):\n"
                "  local.number = number\n"
                "  return host.more(number)\n"
                /* a run is there all the time */
                "with concurrent.futures.ThreadPoolExecutor(4) as pool:\n"
                "  assert list(pool.map(work, range(200))) == [2 * n for n in range(200)]\n"
                "results = []\n"
                "threads = [threading.Thread(target=lambda n=n: results.append(work(n))) for n in range(8)]\n"
                "for thread in threads: thread.start()");
    /* and here there is none, until the next one */
    while (atomic_load(&answered) < 208) usleep(1000);
    run(interp, "for thread in threads: thread.join()\nassert sorted(results) == [2 * n for n in range(8)], results");
    OK(subpy_close(interp, &error));
  }
}

/* ---- one that blocks keeps nobody but its caller ---- */

static signal_pipe begun, end;

static void blocks(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)ctx, (void)args, (void)nargs, (void)kwargs;
  signal_send(begun);
  signal_wait(end);
}

static void one_that_blocks(void) {
  begun = signal_new(), end = signal_new();
  subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_SHARE};
  subpy_interp interp = 0, other = create();
  OK(subpy_create(&options, &interp, &error));
  OK(subpy_define(interp, "blocks", SUBPY_AUTO_LEN, 0, blocks, NULL, NULL, &error));
  subpy_thread thread = 0;
  OK(subpy_call_in_thread(interp, "blocks", SUBPY_AUTO_LEN, NULL, 0, NULL, &thread, &error));
  signal_wait(begun);
  run(interp, "x = 1");
  run(other, "x = 1");
  FAILS(SUBPY_ERROR_BUSY, "interpreter running", subpy_close(interp, &error));
  OK(subpy_close(other, &error));
  signal_send(end);
  OK(subpy_thread_join(thread, NULL, &error));
  OK(subpy_close(interp, &error));
}

/* ---- on one thread alone ---- */

static void counts(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)ctx, (void)args, (void)nargs, (void)kwargs;
  ++*(int *)userdata;
}

static subpy_interp mine;

static void *elsewhere(void *unused) {
  (void)unused;
  subpy_error *failed = exception(mine, "mine()");
  CHECK_ERROR(subpy_error_formatted, failed, "RuntimeError: mine() may be called only on the thread that defined it");
  subpy_error_free(failed);
  return NULL;
}

static void on_one_thread_alone(void) {
  int count = 0;
  mine = create();
  OK(subpy_define(mine, "mine", SUBPY_AUTO_LEN, SUBPY_DEFINE_CALLER_THREAD_ONLY, counts, &count, NULL, &error));
  run(mine, "mine()\n"
            "import threading\n"
            "said = None\n"
            "def f():\n"
            "  global said\n"
            "  try: mine()\n"
            "  except RuntimeError as e: said = str(e)\n"
            "thread = threading.Thread(target=f)\nthread.start()\nthread.join()\n"
            "assert said == 'mine() may be called only on the thread that defined it'\n"
            "mine(1, 2, a=3)");
  CHECK(count == 2);
  /* Threads come and go: none of them is taken for this one. */
  for (int i = 0; i < 20; i++) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, elsewhere, NULL) == 0 && pthread_join(thread, NULL) == 0);
  }
  CHECK(count == 2);
  OK(subpy_close(mine, &error));
}

/* ---- many threads of the host's, many interpreters: each call has its own arguments and its own result ---- */

static void doubles(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)nargs, (void)kwargs;
  atomic_fetch_add((atomic_long *)userdata, 1);
  subpy_value result = args[0];
  if (result.kind == SUBPY_KIND_INT) result.u.as_int *= 2;
  CHECK(subpy_context_return(ctx, &result) == SUBPY_OK);
}

static atomic_long calls;

static void *works(void *interp) {
  subpy_error *failed = NULL;
  for (int i = 0; i < 20; i++) {
    subpy_status status = subpy_exec(*(subpy_interp *)interp, "work()", SUBPY_AUTO_LEN, &failed);
    if (status != SUBPY_OK) fprintf(stderr, "%s\n", subpy_error_display(failed, NULL));
    CHECK(status == SUBPY_OK);
  }
  return NULL;
}

static void many_threads(void) {
  subpy_interp interps[3];
  for (int i = 0; i < 3; i++) {
    subpy_interp_options options = {.size = sizeof options, .busy = i ? SUBPY_BUSY_SHARE : SUBPY_BUSY_WAIT};
    OK(subpy_create(&options, &interps[i], &error));
    OK(subpy_define(interps[i], "double", SUBPY_AUTO_LEN, i == 2 ? SUBPY_DEFINE_KEEP_GIL : 0, doubles, &calls, NULL, &error));
    run(interps[i], "def work():\n  for i in range(100): assert double(i) == 2 * i and double(str(i)) == str(i)");
  }
  pthread_t threads[6];
  for (int i = 0; i < 6; i++) CHECK(pthread_create(&threads[i], NULL, works, &interps[i % 3]) == 0);
  for (int i = 0; i < 6; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  CHECK(calls == 6 * 20 * 200);
  for (int i = 0; i < 3; i++) OK(subpy_close(interps[i], &error));
}

/* ---- a thread that ends gives its places back ---- */

static void *calls_once(void *interp) {
  subpy_value argument = subpy_int(4), result = {0};
  CHECK(subpy_call(*(subpy_interp *)interp, "double", SUBPY_AUTO_LEN, &argument, 1, NULL, &result, NULL) == SUBPY_OK);
  CHECK(result.u.as_int == 8);
  return NULL;
}

static void threads_that_end(void) {
  subpy_interp interp = create();
  OK(subpy_define(interp, "double", SUBPY_AUTO_LEN, 0, doubles, &calls, NULL, &error));
  long before = 0;
  for (int i = 0; i < 3000; i++) {
    if (i == 1000) before = resident_kib();
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, calls_once, &interp) == 0 && pthread_join(thread, NULL) == 0);
  }
  CHECK(resident_kib() - before < 256);
  run(interp, "import threading\n"
              "for _ in range(300):\n"
              "  thread = threading.Thread(target=double, args=[1])\n"
              "  thread.start(); thread.join()");
  OK(subpy_close(interp, &error));
}

int main(void) {
  threads_of_python();
  one_that_blocks();
  on_one_thread_alone();
  many_threads();
  threads_that_end();
  shut_down();
  return 0;
}
