/* Being told of outcomes: functions that are called, descriptors that become readable. Of threads and of tasks. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>

#include "pool.h"

static atomic_int told;

static void tell(void *userdata) { atomic_fetch_add((atomic_int *)userdata, 1); }

static bool readable(int fd, int timeout_ms) {
  struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
  int ready = poll(&poll_fd, 1, timeout_ms);
  CHECK(ready >= 0 && (ready == 0 || poll_fd.revents & POLLIN));
  return ready > 0;
}

static bool is_closed(int fd) { return fcntl(fd, F_GETFD) == -1 && errno == EBADF; }

static void until(atomic_int *count, int wanted) {
  for (int i = 0; i < 10000 && *count < wanted; i++) usleep(1000);
  CHECK(*count == wanted);
}

/* `begins` starts something that waits at the gate. */
static void outcomes(subpy_thread (*begins)(void)) {
  told = 0;
  gate_open = false;
  subpy_thread thread = begins();
  int fd = -1, again = -1;
  OK(subpy_thread_fd(thread, &fd, &error));
  OK(subpy_thread_fd(thread, &again, &error));
  CHECK(fd >= 0 && fd == again && !readable(fd, 0));
  OK(subpy_thread_notify(thread, tell, &told, &error));
  OK(subpy_thread_notify(thread, tell, &told, &error));
  CHECK(told == 0);
  gate_open = true;
  CHECK(readable(fd, 10000));
  until(&told, 2);
  /* It is done: at once. */
  OK(subpy_thread_notify(thread, tell, &told, &error));
  CHECK(told == 3);
  CHECK(readable(fd, 0));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "fn is NULL", subpy_thread_notify(thread, NULL, NULL, &error));
  OK(subpy_thread_join(thread, NULL, &error));
  CHECK(is_closed(fd));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_thread_notify(thread, tell, &told, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_thread_fd(thread, &fd, &error));
  CHECK(told == 3 && fd == -1);

  /* Asked for when it is done already. */
  thread = begins();
  OK(subpy_thread_wait(thread, -1, NULL, &error));
  OK(subpy_thread_fd(thread, &fd, &error));
  CHECK(readable(fd, 0));
  subpy_thread_free(thread);
  CHECK(is_closed(fd));

  /* Freed before it has ended: told all the same. */
  told = 0;
  gate_open = false;
  thread = begins();
  OK(subpy_thread_notify(thread, tell, &told, &error));
  subpy_thread_free(thread);
  CHECK(told == 0);
  gate_open = true;
  until(&told, 1);
}

static subpy_interp interp;
static subpy_pool pool;

static subpy_thread on_a_thread(void) {
  subpy_thread thread = 0;
  OK(subpy_call_in_thread(interp, "gate", 4, NULL, 0, NULL, &thread, &error));
  return thread;
}

static subpy_thread in_a_pool(void) { return submit(pool, waits_at_gate()); }

/* Cancelled in the queue, and given up: told by the thread that does it. */
static void stopped(void) {
  gate_open = false;
  told = 0;
  subpy_cancel token = 0;
  OK(subpy_cancel_new(&token, &error));
  subpy_thread blocked = in_a_pool();
  subpy_run_request request = call("builtins:int", NULL);
  request.cancel = token;
  subpy_thread queued = submit(pool, request);
  int fd = -1;
  OK(subpy_thread_fd(queued, &fd, &error));
  OK(subpy_thread_notify(queued, tell, &told, &error));
  subpy_cancel_fire(token);
  CHECK(told == 1 && readable(fd, 0));
  CHECK(subpy_thread_join(queued, NULL, NULL) == SUBPY_ERROR_INTERRUPTED);
  subpy_cancel_free(token);
  gate_open = true;
  OK(subpy_thread_join(blocked, NULL, &error));

  request = call("time:sleep", &(subpy_value){.kind = SUBPY_KIND_FLOAT, .u.as_float = 1});
  request.timeout_ms = 10;
  request.flags = SUBPY_ABANDON;
  subpy_thread given_up = submit(pool, request);
  OK(subpy_thread_fd(given_up, &fd, &error));
  OK(subpy_thread_notify(given_up, tell, &told, &error));
  CHECK(readable(fd, 10000));
  until(&told, 2);
  CHECK(subpy_thread_join(given_up, NULL, NULL) == SUBPY_ERROR_TIMEOUT);
}

/* What is told may ask for the outcome. */
static atomic_int joined;

static void joins(void *thread) {
  subpy_value result = {0};
  CHECK(subpy_thread_join(*(subpy_thread *)thread, &result, NULL) == SUBPY_OK && result.u.as_int == 6);
  joined++;
}

static void joined_by_who_is_told(void) {
  subpy_value six = subpy_int(3);
  subpy_thread thread = submit(pool, call("double", &six));
  OK(subpy_thread_notify(thread, joins, &thread, &error));
  until(&joined, 1);

  /* On the very thread whose end it is. */
  OK(subpy_exec(interp, "def gated():\n    gate()\n    return 6", SUBPY_AUTO_LEN, &error));
  gate_open = false;
  OK(subpy_call_in_thread(interp, "gated", SUBPY_AUTO_LEN, NULL, 0, NULL, &thread, &error));
  OK(subpy_thread_notify(thread, joins, &thread, &error));
  gate_open = true;
  until(&joined, 2);
}

int main(void) {
  interp = create();
  define_gate(NULL, interp);
  pool = new_pool((subpy_pool_options){.workers = 1, .setup = SETUP, .setup_len = SUBPY_AUTO_LEN});
  outcomes(on_a_thread);
  outcomes(in_a_pool);
  joined_by_who_is_told();
  stopped();
  subpy_close_options options = {.size = sizeof options, .timeout_ms = -1, .flags = SUBPY_CLOSE_INTERRUPT};
  OK(subpy_shutdown_with(&options, &error));
  return 0;
}
