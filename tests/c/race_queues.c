/* Queues that are made, kept, passed on, closed and freed while others put, get, wait, poll and cancel, interpreters come
 * and go, threads end in a session, and the runtime is shut down. Nothing crashes and nobody is left waiting. */
#include <poll.h>
#include <sys/wait.h>

#include "closing.h"
#include "race.h"
#include "values.h"

enum { SECONDS = 4, PLACES = 3 };

static _Atomic subpy_queue places[PLACES];
static atomic_bool resting;
static counter put, got, late, ended, guests, shutdowns, forks;

static unsigned next(unsigned *state) { return (*state = *state * 1103515245u + 12345u) >> 8; }

/* A queue in a place is always one that was made, and may be freed by now. */
static subpy_queue any(unsigned *state) { return places[next(state) % PLACES]; }

static void count(subpy_status status, subpy_error **in, counter *done) {
  subpy_error *error = *in;
  *in = NULL;
  EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_TIMEOUT, SUBPY_ERROR_WRONG_STATE, SUBPY_ERROR_NOT_FOUND,
                SUBPY_ERROR_INTERRUPTED);
  if (status == SUBPY_OK) (*done)++;
  else if (status == SUBPY_ERROR_TIMEOUT) late++;
  else ended++;
}

static void *makes(void *number) {
  unsigned state = (unsigned)(intptr_t)number + 1;
  subpy_error *error = NULL;
  while (!race_over) {
    subpy_queue_options options = {.size = sizeof options, .capacity = next(&state) % 4};
    subpy_queue fresh = 0, old = 0;
    OK(subpy_queue_new(&options, &fresh, &error));
    old = atomic_exchange(&places[next(&state) % PLACES], fresh);
    if (next(&state) % 4) subpy_queue_close(old, NULL);
    subpy_queue_free(old);
    usleep(next(&state) % 500);
  }
  return NULL;
}

static void *hosts(void *number) {
  unsigned state = (unsigned)(intptr_t)number * 77 + 1;
  subpy_error *error = NULL;
  subpy_cancel cancel = 0;
  OK(subpy_cancel_new(&cancel, &error));
  while (!race_over) {
    subpy_queue own = 0, queue = any(&state);
    subpy_value value = next(&state) % 3 ? subpy_int(1) : subpy_value_from_queue(any(&state)), taken = subpy_none();
    if (next(&state) % 2 && subpy_queue_keep(queue, &own, NULL) == SUBPY_OK) queue = own;
    if (next(&state) % 4) count(subpy_queue_put_with(queue, &value, next(&state) % 3, cancel, &error), &error, &put);
    error = NULL;
    count(subpy_queue_get_with(queue, next(&state) % 3, &taken, cancel, &error), &error, &got);
    subpy_value_free(&taken);
    int fd = -1;
    if (subpy_queue_fd(queue, &fd, NULL) == SUBPY_OK && own) {
      struct pollfd wanted = {.fd = fd, .events = POLLIN};
      CHECK(poll(&wanted, 1, 0) >= 0);
    }
    subpy_queue_free(own);
    usleep(next(&state) % 200);
    if (next(&state) % 64 == 0) {
      subpy_cancel_fire(cancel);
      subpy_cancel_free(cancel);
      OK(subpy_cancel_new(&cancel, &error));
    }
  }
  subpy_cancel_free(cancel);
  return NULL;
}

static void *one_guest(void *pointer) {
  unsigned *state = pointer;
  subpy_interp interp = 0;
  if (subpy_create(NULL, &interp, NULL) != SUBPY_OK) return NULL;
  bool entered = next(state) % 2 && subpy_enter(interp, NULL) == SUBPY_OK;
  subpy_pair pair = {TEXT("q"), subpy_value_from_queue(any(state))};
  subpy_value names = subpy_dict(&pair, 1), result = subpy_none();
  bool found = subpy_prepare_main(interp, &names, NULL) == SUBPY_OK;
  static const char *const codes[] = {
      "import subpy_queues\n"
      "for i in range(20):\n"
      "  try: q.put([i, q, subpy_queues.create()], timeout=0.001); q.get(timeout=0.001)\n"
      "  except subpy_queues.QueueError: pass",
      "import threading\n[threading.Thread(target=lambda: q.qsize() and q.get(timeout=0.001)).start() for _ in range(3)]",
      "import asyncio\n"
      "async def main():\n"
      "  try: await asyncio.wait_for(q.get_async(), 0.002)\n"
      "  except Exception: pass\n"
      "asyncio.run(main())",
  };
  const char *code = codes[next(state) % COUNT(codes)];
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EXEC, .text = code,
                               .text_len = SUBPY_AUTO_LEN, .timeout_ms = 5000};
  if (found && subpy_run(&request, NULL, NULL) == SUBPY_OK) guests++;
  subpy_eval(interp, "[q, q]", SUBPY_AUTO_LEN, &result, NULL);
  if (next(state) % 2) subpy_value_free(&result);
  /* Half of the sessions end with the thread. */
  if (entered && next(state) % 2) subpy_leave(interp, NULL);
  if (!entered) subpy_close(interp, NULL);
  subpy_value_free(&result);
  return NULL;
}

static void *makes_guests(void *number) {
  unsigned state = (unsigned)(intptr_t)number * 99 + 1;
  while (!race_over) {
    /* Or there would be one in a session whenever the runtime is to end. */
    while (resting) usleep(1000);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, one_guest, &state) == 0 && pthread_join(thread, NULL) == 0);
  }
  return NULL;
}

static void *shuts_down(void *number) {
  unsigned state = (unsigned)(intptr_t)number;
  while (!race_over) {
    usleep(20000 + next(&state) % 100000);
    resting = next(&state) % 4;
    if (shut_down_in(10000, SUBPY_CLOSE_INTERRUPT, NULL) == SUBPY_OK) shutdowns++;
    resting = false;
    pid_t child = fork_beside_others();
    if (child == 0) _exit(0);
    CHECK(child > 0 && waitpid(child, NULL, 0) == child);
    forks++;
  }
  return NULL;
}

static bool saw_all(void) {
  return put > 0 && got > 0 && late > 0 && ended > 0 && guests > 0 && shutdowns > 0 && forks > 0;
}

int main(void) {
  subpy_error *error = NULL;
  for (int i = 0; i < PLACES; i++) {
    subpy_queue queue = 0;
    OK(subpy_queue_new(NULL, &queue, &error));
    places[i] = queue;
  }
  void *(*const functions[])(void *) = {makes, hosts, hosts, hosts, makes_guests, makes_guests, shuts_down};
  race_saw_all = saw_all;
  race(SECONDS, functions, COUNT(functions));
  printf("%ld put, %ld got, %ld late, %ld ended, %ld guests, %ld shutdowns, %ld forks\n", (long)put, (long)got, (long)late,
         (long)ended, (long)guests, (long)shutdowns, (long)forks);
  CHECK(saw_all());
  for (int i = 0; i < PLACES; i++) subpy_queue_free(places[i]);
  /* At exit some wait still: that hinders nobody. */
  pthread_t thread;
  subpy_queue queue = 0;
  OK(subpy_queue_new(NULL, &queue, &error));
  static unsigned state = 5;
  places[0] = places[1] = places[2] = queue;
  race_over = false;
  CHECK(pthread_create(&thread, NULL, hosts, NULL) == 0 && pthread_create(&thread, NULL, one_guest, &state) == 0);
  return 0;
}
