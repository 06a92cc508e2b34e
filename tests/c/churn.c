/* Eight threads come and go in six interpreters: create, call, nest, raise, start threads, close, all at once.
 * SUBPY_CHURN_SECONDS says how long; 30 without it. */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "values.h"

enum { THREADS = 8, PLACES = 6 };

static subpy_interp places[PLACES];
static long calls, closes, refused;

static const char *setup =
    "import ctypes, threading, json, re\n"
    "total = 0\n"
    "def add(a, b): return a + b\n"
    "def echo(*args, **kwargs): return [args, kwargs]\n"
    "def fail(text): raise ValueError(text)\n"
    "def deep(n): return deep(n - 1) if n else 1 / 0\n"
    "def nest(address, depth): return ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(address)(depth)\n"
    "def threads(n):\n"
    "    done = []\n"
    "    all = [threading.Thread(target=lambda: done.append(len(json.dumps(list(range(100)))))) for _ in range(n)]\n"
    "    for thread in all: thread.start()\n"
    "    for thread in all: thread.join()\n"
    "    return len(done)\n"
    "def leave_thread(): threading.Thread(target=sum, args=(range(10_000),)).start()\n"
    "def leave_timer(): threading.Timer(0.01, int).start()\n"
    "def cycle():\n"
    "    class Node: pass\n"
    "    a, b = Node(), Node(); a.b, b.a = b, a\n"
    "    return [str(i) for i in range(200)]";

/* Others close interpreters and make new ones while this thread uses them: these are the clean outcomes of that. */
static bool gone(subpy_status status) {
  if (status != SUBPY_ERROR_NOT_FOUND && status != SUBPY_ERROR_BUSY) return false;
  __atomic_fetch_add(&refused, 1, __ATOMIC_RELAXED);
  return true;
}

static unsigned next(unsigned *state) { return *state = *state * 1664525u + 1013904223u, *state >> 16; }

static subpy_interp place(unsigned index) { return __atomic_load_n(&places[index % PLACES], __ATOMIC_SEQ_CST); }

static void renew(unsigned index) {
  subpy_error *error = NULL;
  subpy_interp old = __atomic_load_n(&places[index], __ATOMIC_SEQ_CST), made = 0;
  if (old) {
    subpy_status status = subpy_close(old, NULL);
    if (status == SUBPY_ERROR_BUSY) return;
    CHECK(status == SUBPY_OK || status == SUBPY_ERROR_NOT_FOUND);
    if (status != SUBPY_OK) return;
    __atomic_fetch_add(&closes, 1, __ATOMIC_RELAXED);
  }
  static const int32_t policies[] = {SUBPY_BUSY_WAIT, SUBPY_BUSY_SHARE, SUBPY_BUSY_REFUSE};
  subpy_interp_options options = {.size = sizeof options, .busy = policies[index % 3]};
  OK(subpy_create(&options, &made, &error));
  run(made, setup);
  /* Nobody else renews this place: it still holds the handle that this thread closed. */
  __atomic_store_n(&places[index], made, __ATOMIC_SEQ_CST);
}

static void one_call(subpy_interp interp, unsigned *state, int depth);

/* Python calls this: another interpreter, or the same one, from inside. None that waits: two threads that are each inside
 * one and wait for the other's would wait for ever, as with any two locks. */
static int called_back(int depth) {
  unsigned state = (unsigned)depth * 77u + (unsigned)(uintptr_t)&state, index = next(&state) % PLACES;
  one_call(place(index % 3 ? index : index + 1), &state, depth - 1);
  return depth;
}

static void one_call(subpy_interp interp, unsigned *state, int depth) {
  subpy_error *error = NULL;
  subpy_value result = {0}, args[] = {subpy_int(40), subpy_int(2)}, text = TEXT("text \xe2\x82\xac");
  subpy_status status = SUBPY_OK;
  unsigned what = next(state) % 16;
  __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
  switch (what) {
    case 0:
      status = subpy_call(interp, "fail", SUBPY_AUTO_LEN, &text, 1, NULL, &result, &error);
      if (!gone(status)) {
        CHECK(status == SUBPY_ERROR_EXECUTION_FAILED);
        CHECK(strcmp(subpy_error_message(error, NULL), "ValueError: text \xe2\x82\xac") == 0);
      }
      break;
    case 1:
      args[0] = subpy_int(20);
      status = subpy_call(interp, "deep", SUBPY_AUTO_LEN, args, 1, NULL, &result, &error);
      CHECK(gone(status) || (status == SUBPY_ERROR_EXECUTION_FAILED && subpy_error_frame_count(error) == 21));
      break;
    case 2:
      args[0] = subpy_int(2);
      status = subpy_call(interp, "threads", SUBPY_AUTO_LEN, args, 1, NULL, &result, &error);
      CHECK(gone(status) || (status == SUBPY_OK && result.u.as_int == 2));
      break;
    case 3:
    case 4:
      if (depth > 0) {
        args[0] = subpy_int((int64_t)(intptr_t)called_back);
        args[1] = subpy_int(depth);
        status = subpy_call(interp, "nest", SUBPY_AUTO_LEN, args, 2, NULL, &result, &error);
        CHECK(gone(status) || (status == SUBPY_OK && result.u.as_int == depth));
      }
      break;
    case 5:
      status = subpy_exec(interp, "total += 1", SUBPY_AUTO_LEN, &error);
      CHECK(gone(status) || status == SUBPY_OK);
      break;
    case 6:
      status = subpy_exec(interp, "if", SUBPY_AUTO_LEN, &error);
      CHECK(gone(status) || status == SUBPY_ERROR_SYNTAX);
      break;
    case 7:
      status = subpy_call(interp, next(state) % 2 ? "leave_thread" : "leave_timer", SUBPY_AUTO_LEN, NULL, 0, NULL, NULL, &error);
      CHECK(gone(status) || status == SUBPY_OK);
      break;
    case 8: {
      subpy_thread thread = 0;
      status = subpy_call_in_thread(interp, "add", SUBPY_AUTO_LEN, args, 2, NULL, &thread, &error);
      if (status == SUBPY_OK) status = subpy_thread_join(thread, &result, &error);
      CHECK(gone(status) || (status == SUBPY_OK && result.u.as_int == 42));
      break;
    }
    case 9: {
      bool running;
      int64_t id;
      size_t count;
      OK(subpy_list_all(NULL, 0, &count, &error));
      status = next(state) % 2 ? subpy_is_running(interp, &running, &error) : subpy_id(interp, &id, &error);
      CHECK(gone(status) || status == SUBPY_OK);
      break;
    }
    case 10:
      status = subpy_eval(interp, "cycle()", SUBPY_AUTO_LEN, &result, &error);
      CHECK(gone(status) || (status == SUBPY_OK && result.len == 200 && is_text(&result.u.as_items[199], "199")));
      break;
    case 11: {
      subpy_pair pair = {TEXT("k"), subpy_list(args, 2)};
      subpy_value kwargs = subpy_dict(&pair, 1);
      status = subpy_call(interp, "echo", SUBPY_AUTO_LEN, args, 2, &kwargs, &result, &error);
      CHECK(gone(status) || (status == SUBPY_OK && subpy_value_get(&result.u.as_items[1], "k", 1)->len == 2));
      break;
    }
    default:
      status = subpy_call(interp, "add", SUBPY_AUTO_LEN, args, 2, NULL, &result, &error);
      CHECK(gone(status) || (status == SUBPY_OK && result.u.as_int == 42));
  }
  subpy_value_free(&result);
  subpy_error_free(error);
}

static time_t end;

static void *churns(void *index) {
  unsigned number = (unsigned)(intptr_t)index, state = number * 2654435761u + 1;
  for (int i = 0; time(NULL) < end; i++) {
    one_call(place(next(&state)), &state, 3);
    /* The first six threads have a place each to renew. */
    if (i % 64 == 63 && number < PLACES) renew(number);
  }
  return NULL;
}

int main(void) {
  const char *seconds = getenv("SUBPY_CHURN_SECONDS");
  subpy_error *error = NULL;
  for (unsigned i = 0; i < PLACES; i++) renew(i);
  end = time(NULL) + (seconds ? atoi(seconds) : 30);
  pthread_t threads[THREADS];
  for (intptr_t i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, churns, (void *)i) == 0);
  for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  size_t count = 0;
  OK(subpy_list_all(NULL, 0, &count, &error));
  CHECK(count == PLACES + 1);
  for (int i = 0; i < PLACES; i++) {
    CHECK(number(places[i], "add(1, 2)") == 3);
    if (i % 2) OK(subpy_close(places[i], &error));
  }
  shut_down();
  printf("%ld calls, %ld of them refused, %ld closes\n", calls, refused, closes);
  CHECK(calls > THREADS && closes > 0);
  return 0;
}
