/* Pools of interpreters in processes: what crashes, hangs or runs wild costs its own task, and no other. */
#include <pthread.h>
#include <signal.h>
#include <sys/types.h>

#include "pool.h"

#define PROCESS_SETUP                                             \
  SETUP                                                           \
  "import os\n"                                                   \
  "def row(n):\n"                                                 \
  "  if n == 70: os.abort()\n"                                    \
  "  if n == 140: os.kill(os.getpid(), 9)\n"                      \
  "  return n * n\n"

static subpy_pool process_pool(size_t workers, uint64_t spares) {
  subpy_interp_options interp = {.size = sizeof interp, .flags = SUBPY_INTERP_PROCESS, .grace_ms = 50};
  return new_pool((subpy_pool_options){.workers = workers, .spares = spares, .interp = &interp, .setup = PROCESS_SETUP,
                                       .setup_len = SUBPY_AUTO_LEN, .isolation = SUBPY_ISOLATION_PROCESS});
}

static subpy_run_request code(const char *text, int64_t timeout_ms) {
  return (subpy_run_request){.size = sizeof(subpy_run_request), .what = SUBPY_RUN_EXEC, .text = text,
                             .text_len = SUBPY_AUTO_LEN, .timeout_ms = timeout_ms};
}

static subpy_run_request evaluation(const char *text) {
  return (subpy_run_request){.size = sizeof(subpy_run_request), .what = SUBPY_RUN_EVAL, .text = text,
                             .text_len = SUBPY_AUTO_LEN};
}

static int64_t pid_of(subpy_pool pool) { return joined_int(submit(pool, evaluation("__import__('os').getpid()"))); }

static subpy_thread submit_double(subpy_pool pool, int64_t n) {
  subpy_value arg = subpy_int(n);
  return submit(pool, call("double", &arg));
}

/* Code that makes this folder and then does nothing more that could be interrupted: all is done by one function in C. */
static char beyond[32];

static subpy_run_request hangs(int64_t timeout_ms) {
  static char text[200];
  snprintf(beyond, sizeof beyond, "/tmp/subpy-%d", (int)getpid());
  rmdir(beyond);
  snprintf(text, sizeof text,
           "import collections, itertools, os\n"
           "collections.deque(itertools.chain(map(os.mkdir, ['%s']), itertools.repeat(1)), 0)",
           beyond);
  return code(text, timeout_ms);
}

static void until_it_hangs(void) {
  while (access(beyond, F_OK) != 0) usleep(500);
}

static const struct {
  const char *text;
  int64_t timeout_ms;
  subpy_status status;
  int32_t signal, exit_code;
} corpus[] = {
    {"import ctypes; ctypes.string_at(1)", 0, SUBPY_ERROR_CRASHED, SIGSEGV, -1},
    {"import os; os.abort()", 0, SUBPY_ERROR_CRASHED, SIGABRT, -1},
    {"import os; os._exit(7)", 0, SUBPY_ERROR_CRASHED, 0, 7},
    {"import os; os._exit(0)", 0, SUBPY_ERROR_CRASHED, 0, 0},
    {"import os; os.kill(os.getpid(), 9)", 0, SUBPY_ERROR_CRASHED, SIGKILL, -1},
    {"import itertools; sum(itertools.repeat(1))", 30, SUBPY_ERROR_TIMEOUT, 0, 0},
    {"import ctypes; ctypes.PyDLL(None).sleep(1000)", 30, SUBPY_ERROR_TIMEOUT, 0, 0},
    {"stubborn()", 30, SUBPY_ERROR_TIMEOUT, 0, 0},
    {"while True: pass", 30, SUBPY_ERROR_TIMEOUT, 0, 0},
    {"import os; os.kill(os.getpid(), 19)", 30, SUBPY_ERROR_TIMEOUT, 0, 0},
    {"def f(): f()\nf()", 0, SUBPY_ERROR_EXECUTION_FAILED, 0, 0},
    {"x = []\nfor _ in range(100000): x = [x]\nrepr(x)", 0, SUBPY_ERROR_EXECUTION_FAILED, 0, 0},
    {"import os; os.closerange(0, 1000)", 0, SUBPY_OK, 0, 0},
    {"raise SystemExit(3)", 0, SUBPY_ERROR_EXECUTION_FAILED, 0, 0},
};

enum { CORPUS = sizeof corpus / sizeof *corpus, ROUNDS = 3, GOOD = 12, ROWS = 300 };

/* True: that was the end of a process. */
static bool join_bad(subpy_thread outcome, size_t index) {
  subpy_status status = subpy_thread_join(outcome, NULL, &error);
  int32_t signal = -2, exit_code = -2;
  bool crashed = subpy_error_crash(error, &signal, &exit_code);
  /* Where another one has closed the descriptors nobody can be stopped: the process ends. */
  bool cannot_stop = crashed && exit_code == 1 && corpus[index].status == SUBPY_ERROR_TIMEOUT;
  if (status != corpus[index].status && !cannot_stop) {
    fprintf(stderr, "%s\n  gave %s: %s\n", corpus[index].text, subpy_status_name(status),
            error ? subpy_error_message(error, NULL) : "");
    exit(1);
  }
  CHECK(crashed == (status == SUBPY_ERROR_CRASHED));
  if (crashed && !cannot_stop) {
    if (signal != corpus[index].signal || exit_code != corpus[index].exit_code) {
      fprintf(stderr, "%s\n  gave signal %d, exit code %d: %s\n", corpus[index].text, signal, exit_code, subpy_error_message(error, NULL));
      exit(1);
    }
  }
  /* On a busy machine the limit may come before the code is where nothing stops it, or too late for the grace. */
  bool killed = status == SUBPY_ERROR_TIMEOUT && strstr(subpy_error_message(error, NULL), "its process was killed");
  subpy_error_free(error);
  error = NULL;
  return killed || status == SUBPY_ERROR_CRASHED;
}

static bool row_is_right(void *userdata, size_t index, subpy_value *result, const subpy_error *failed) {
  size_t *seen = userdata;
  CHECK(index == (*seen)++);
  if (index == 70 || index == 140) {
    CHECK(failed && subpy_error_status(failed) == SUBPY_ERROR_CRASHED);
    int32_t signal = 0;
    CHECK(subpy_error_crash(failed, &signal, NULL) && signal == (index == 70 ? SIGABRT : SIGKILL));
  } else {
    CHECK(!failed && result->kind == SUBPY_KIND_INT && result->u.as_int == (int64_t)(index * index));
  }
  return true;
}

static void *maps(void *pool) {
  subpy_value rows[ROWS];
  for (int i = 0; i < ROWS; i++) rows[i] = subpy_int(i);
  for (int round = 0; round < ROUNDS; round++) {
    subpy_error *failed = NULL;
    size_t seen = 0;
    subpy_run_request request = call("row", NULL);
    CHECK(subpy_pool_map(*(subpy_pool *)pool, &request, rows, ROWS, 1, 20, row_is_right, &seen, &failed) == SUBPY_OK);
    CHECK(seen == ROWS);
  }
  return NULL;
}

/* In a pool of two, with hundreds of good tasks and rows between them. */
static void nothing_else_is_lost(void) {
  subpy_pool pool = process_pool(2, 2);
  pthread_t mapper;
  CHECK(pthread_create(&mapper, NULL, maps, &pool) == 0);
  uint64_t ends = 2 * ROUNDS, failed = 0;
  for (int round = 0; round < ROUNDS; round++) {
    subpy_thread bad[CORPUS], good[CORPUS][GOOD];
    for (size_t i = 0; i < CORPUS; i++) {
      bad[i] = submit(pool, code(corpus[i].text, corpus[i].timeout_ms));
      for (int j = 0; j < GOOD; j++) good[i][j] = submit_double(pool, (int64_t)i * 1000 + j);
      failed += corpus[i].status != SUBPY_OK;
    }
    for (size_t i = 0; i < CORPUS; i++) {
      ends += join_bad(bad[i], i);
      for (int j = 0; j < GOOD; j++) CHECK(joined_int(good[i][j]) == 2 * ((int64_t)i * 1000 + j));
    }
  }
  CHECK(pthread_join(mapper, NULL) == 0);
  subpy_pool_stats stats = get_stats(pool);
  CHECK(stats.crashed == ends && stats.replaced >= ends && stats.failed == failed);
  CHECK(stats.isolation == SUBPY_ISOLATION_PROCESS && stats.reason[0] == 0);
  OK(subpy_pool_close(pool, NULL, &error));
  CHECK(no_interpreters());
}

static bool is_gone(int64_t pid) {
  for (int i = 0; i < 10000; i++) {
    if (kill((pid_t)pid, 0) != 0) return true;
    usleep(1000);
  }
  return false;
}

/* Up to half a GiB, by large blocks, by many and by small objects: the limit ends it, and others have not lost anything. */
static void hogs(void) {
  subpy_interp_options interp = {.size = sizeof interp, .memory_limit = 64 << 20};
  subpy_pool pool = new_pool((subpy_pool_options){.workers = 2, .interp = &interp, .setup = PROCESS_SETUP,
                                                  .setup_len = SUBPY_AUTO_LEN, .isolation = SUBPY_ISOLATION_PROCESS});
  static const char *const codes[] = {"x = bytearray(1 << 29)", "x = [bytes(100000) for _ in range(5000)]",
                                      "x = [float(i) for i in range(10000000)]"};
  for (int round = 0; round < ROUNDS; round++) {
    subpy_thread bad[3], good[3][GOOD];
    for (int i = 0; i < 3; i++) {
      bad[i] = submit(pool, code(codes[i], 0));
      for (int j = 0; j < GOOD; j++) good[i][j] = submit_double(pool, j);
    }
    for (int i = 0; i < 3; i++) {
      FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...MemoryError", subpy_thread_join(bad[i], NULL, &error));
      for (int j = 0; j < GOOD; j++) CHECK(joined_int(good[i][j]) == 2 * j);
    }
  }
  subpy_pool_stats stats = get_stats(pool);
  CHECK(stats.failed == 3 * ROUNDS && stats.replaced == 3 * ROUNDS && stats.crashed == 0);
  OK(subpy_pool_close(pool, NULL, &error));
  CHECK(no_interpreters());
}

/* A process that dies when nothing runs in it, and the spare one too: the next task does not notice. */
static void dies_idle(void) {
  subpy_pool pool = process_pool(1, 1);
  for (int i = 1; i <= 20; i++) {
    int64_t pid = pid_of(pool);
    CHECK(pid != getpid() && kill((pid_t)pid, SIGKILL) == 0);
    CHECK(is_gone(pid));
    CHECK(pid_of(pool) != pid && get_stats(pool).crashed == (uint64_t)i);
  }
  OK(subpy_pool_close(pool, NULL, &error));
  CHECK(no_interpreters());
}

/* What is interrupted and cannot end, ends with its process. */
static void closes_what_hangs(void) {
  subpy_pool pool = process_pool(1, 1);
  subpy_thread outcome = submit(pool, hangs(0));
  subpy_thread behind = submit(pool, code("pass", 0));
  until_it_hangs();
  subpy_close_options options = {.size = sizeof options, .timeout_ms = 50};
  FAILS(SUBPY_ERROR_BUSY, "...is running", subpy_pool_close(pool, &options, &error));
  options.flags = SUBPY_CLOSE_INTERRUPT;
  OK(subpy_pool_close(pool, &options, &error));
  CHECK(subpy_thread_join(outcome, NULL, NULL) == SUBPY_ERROR_CRASHED);
  CHECK(subpy_thread_join(behind, NULL, NULL) == SUBPY_ERROR_INTERRUPTED);
  CHECK(no_interpreters());
}

/* What was given up is another worker's business no more, and its process ends. */
static void gives_up(void) {
  subpy_pool pool = process_pool(1, 1);
  uint64_t hung = 0;
  for (int i = 0; i < 5; i++) {
    subpy_run_request request = hangs(50);
    request.flags |= SUBPY_ABANDON;
    subpy_thread outcome = submit(pool, request);
    CHECK(joined_int(submit_double(pool, i)) == 2 * i);
    CHECK(subpy_thread_join(outcome, NULL, NULL) == SUBPY_ERROR_TIMEOUT);
    /* If not, the limit came before it was so far. */
    hung += access(beyond, F_OK) == 0;
  }
  for (int i = 0; i < 10000 && (get_stats(pool).crashed < hung || get_stats(pool).workers < 1); i++) usleep(1000);
  subpy_pool_stats stats = get_stats(pool);
  CHECK(stats.crashed >= hung && stats.workers == 1 && stats.failed == 5);
  OK(subpy_pool_close(pool, NULL, &error));
  for (int i = 0; i < 10000 && !no_interpreters(); i++) usleep(1000);
  CHECK(no_interpreters());
}

/* A shutdown ends pools, and with them their processes: one that has nothing to do, and one whose task hangs. */
static void shuts_down(void) {
  int64_t idle = pid_of(process_pool(2, 1));
  shut_down();
  CHECK(is_gone(idle));
  subpy_pool pool = process_pool(2, 1);
  int64_t busy = pid_of(pool);
  submit(pool, hangs(0));
  until_it_hangs();
  FAILS(SUBPY_ERROR_BUSY, "...is running", subpy_shutdown(&error));
  subpy_close_options options = {.size = sizeof options, .timeout_ms = 50, .flags = SUBPY_CLOSE_INTERRUPT};
  OK(subpy_shutdown_with(&options, &error));
  CHECK(is_gone(busy));
}

static atomic_bool asks_on;

static void *asks(void *unused) {
  while (asks_on) CHECK(subpy_shutdown(NULL) == SUBPY_ERROR_BUSY);
  return unused;
}

/* Whether it can end is asked again and again, and each time it cannot: that costs no task its process. */
static void is_asked(void) {
  subpy_pool pool = process_pool(1, 0);
  enum { TASKS = 60 };
  subpy_thread bad[TASKS], good[TASKS];
  for (int i = 0; i < TASKS; i++) {
    bad[i] = submit(pool, code("import os; os.abort()", 0));
    good[i] = submit_double(pool, i);
  }
  gate_open = false;
  subpy_thread last = submit(pool, waits_at_gate());
  asks_on = true;
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, asks, NULL) == 0);
  for (int i = 0; i < TASKS; i++) {
    CHECK(subpy_thread_join(bad[i], NULL, NULL) == SUBPY_ERROR_CRASHED);
    CHECK(joined_int(good[i]) == 2 * i);
  }
  asks_on = false;
  CHECK(pthread_join(thread, NULL) == 0);
  gate_open = true;
  OK(subpy_thread_join(last, NULL, &error));
  OK(subpy_pool_close(pool, NULL, &error));
  CHECK(no_interpreters());
}

/* A host function that each interpreter has, called from all of them; and what is printed. */
static void hosts(void) {
  subpy_pool pool = process_pool(2, 1);
  gate_open = true;
  subpy_thread outcomes[100];
  for (int i = 0; i < 100; i++) outcomes[i] = submit(pool, i % 10 == 9 ? code("gate(); os.abort()", 0) : waits_at_gate());
  for (int i = 0; i < 100; i++) {
    subpy_status expected = i % 10 == 9 ? SUBPY_ERROR_CRASHED : SUBPY_OK;
    CHECK(subpy_thread_join(outcomes[i], NULL, NULL) == expected);
  }
  OK(subpy_pool_close(pool, NULL, &error));
  CHECK(no_interpreters());
}

int main(void) {
  hogs();
  dies_idle();
  closes_what_hangs();
  is_asked();
  hosts();
  gives_up();
  nothing_else_is_lost();
  shuts_down();
  shut_down();
  rmdir(beyond);
  return 0;
}
