/* The runtime's life: started implicitly and explicitly, shut down, started again. */
#include <pthread.h>
#include <unistd.h>

#include "values.h"

static subpy_error *error;
static int started[2], finish[2];

/* A run that says when it has begun and lasts until it is told to end. */
static const char *blocking_code(void) {
  static char code[200];
  snprintf(code, sizeof code, "import os\nos.write(%d, b'x'); os.read(%d, 1)", started[1], finish[0]);
  return code;
}

static void wait_started(void) {
  char byte;
  CHECK(read(started[0], &byte, 1) == 1);
}

static void let_finish(void) { CHECK(write(finish[1], "x", 1) == 1); }

static void *blocks(void *interp) {
  run(*(subpy_interp *)interp, blocking_code());
  return NULL;
}

static void starts(void) {
  CHECK(subpy_python_version() == NULL && subpy_python_library() == NULL);
  /* nothing to shut down, and nothing starts by asking */
  OK(subpy_shutdown(&error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "this thread is in no interpreter", subpy_get_current(&(subpy_interp){0}, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "interpreter ID must be a non-negative int, got -1", subpy_find(-1, &(subpy_interp){0}, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_close(12345, &error));
  CHECK(subpy_python_version() == NULL);

  subpy_runtime_options options = {.size = sizeof options};
  OK(subpy_init(&options, &error));
  OK(subpy_init(NULL, &error));
  OK(subpy_init(&options, &error));
  CHECK(subpy_python_version() != NULL && subpy_python_library() != NULL);
  options.flags = SUBPY_RUNTIME_NO_SITE;
  FAILS(SUBPY_ERROR_WRONG_STATE, "...running already, with other options", subpy_init(&options, &error));
  options.flags = 8;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "subpy_runtime_options.flags has unknown bits set: 0x8", subpy_init(&options, &error));
  options.size = 0;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...set it to sizeof(subpy_runtime_options)", subpy_init(&options, &error));
  const char *version = subpy_python_version();
  shut_down();
  OK(subpy_shutdown(&error));
  CHECK(subpy_python_version() == version);
}

/* What is the first to start it: everything that needs it does. */
static void starts_by_itself(void) {
  subpy_interp interp = 0;
  size_t count = 0;
  OK(subpy_list_all(&interp, 1, &count, &error));
  CHECK(count == 1);
  shut_down();
  OK(subpy_get_main(&interp, &error));
  CHECK(interp != 0);
  shut_down();
  OK(subpy_find(0, &interp, &error));
  shut_down();
  FAILS(SUBPY_ERROR_NOT_FOUND, "unrecognized interpreter ID 7", subpy_find(7, &interp, &error));
  shut_down();
  OK(subpy_create(NULL, &interp, &error));
  shut_down();
}

static void *starts_too(void *unused) {
  (void)unused;
  subpy_interp interp = create();
  run(interp, "x = 1");
  return NULL;
}

/* A start that fails is over, for other threads too. */
static void fails_to_start(void) {
  subpy_runtime_options options = {.size = sizeof options, .python = "/none/python3"};
  for (int i = 0; i < 2; i++)
    FAILS(SUBPY_ERROR_PYTHON_NOT_FOUND, "...", subpy_init(&options, &error));
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, starts_too, NULL) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
  shut_down();
}

static int let_go;

static void answers(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)ctx, (void)args, (void)nargs, (void)kwargs;
}

static void lets_go(void *userdata) { ++*(int *)userdata; }

/* What the host has given to main comes back when it ends. */
static void main_ends(void) {
  subpy_interp main = 0;
  OK(subpy_get_main(&main, &error));
  OK(subpy_define(main, "answers", SUBPY_AUTO_LEN, 0, answers, &let_go, lets_go, &error));
  run(main, "answers()");
  CHECK(let_go == 0);
  shut_down();
  CHECK(let_go == 1);
}

/* Eight threads start it at once: one does, the others wait. */
static void starts_once(void) {
  pthread_t threads[8];
  for (int i = 0; i < 8; i++) CHECK(pthread_create(&threads[i], NULL, starts_too, NULL) == 0);
  for (int i = 0; i < 8; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  size_t count = 0;
  OK(subpy_list_all(NULL, 0, &count, &error));
  CHECK(count == 9);
  shut_down();
}

/* While something runs nothing is shut down, and everything stays as it was. */
static void busy(void) {
  subpy_interp running = create(), idle = create(), main = 0;
  run(idle, "kept = 1");
  OK(subpy_get_main(&main, &error));
  subpy_interp places[] = {running, main};
  for (int i = 0; i < 2; i++) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, blocks, &places[i]) == 0);
    wait_started();
    FAILS(SUBPY_ERROR_BUSY, i == 0 ? "interpreter 1 is running" : "interpreter 0 is running", subpy_shutdown(&error));
    CHECK(number(idle, "kept") == 1);
    subpy_interp another = create();
    OK(subpy_close(another, &error));
    let_finish();
    CHECK(pthread_join(thread, NULL) == 0);
  }

  subpy_run_request request = {.size = sizeof request, .interp = running, .what = SUBPY_RUN_EXEC, .text = blocking_code(), .text_len = SUBPY_AUTO_LEN};
  subpy_thread thread = 0;
  OK(subpy_run_in_thread(&request, &thread, &error));
  wait_started();
  FAILS(SUBPY_ERROR_BUSY, "...is running", subpy_shutdown(&error));
  let_finish();
  OK(subpy_thread_join(thread, NULL, &error));

  /* One that Python code made and runs. */
  subpy_pair name = {TEXT("code"), TEXT(blocking_code())};
  subpy_value names = subpy_dict(&name, 1);
  OK(subpy_prepare_main(idle, &names, &error));
  run(idle,
      "import threading\nfrom concurrent import interpreters\nguest = interpreters.create()\n"
      "thread = threading.Thread(target=guest.exec, args=(code,)); thread.start()");
  wait_started();
  FAILS(SUBPY_ERROR_BUSY, "...is running (Python code created it)", subpy_shutdown(&error));
  let_finish();
  run(idle, "thread.join()");
  CHECK(number(idle, "kept") == 1);
  shut_down();
  FAILS(SUBPY_ERROR_NOT_FOUND, "unrecognized interpreter ID 1", subpy_exec(running, "", 0, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_exec(main, "", 0, &error));
}

/* Everything goes: also interpreters that guests made and hold, in several ways, and background threads that end. */
static void closes_everything(void) {
  subpy_interp maker = create(), main = 0;
  OK(subpy_get_main(&main, &error));
  const char *make =
      "import _interpreters, threading\nfrom concurrent import interpreters\n"
      "held = [interpreters.create() for _ in range(3)]\n"
      "held[0].exec('from concurrent import interpreters; nested = interpreters.create(); nested.exec(\"x = 1\")')\n"
      "raw = _interpreters.create('legacy', reqrefs=False)\n"
      "held[1].close()\n"
      "threading.Thread(target=sum, args=(range(1000),)).start()";
  run(maker, make);
  run(main, make);
  size_t count = 0;
  OK(subpy_list_all(NULL, 0, &count, &error));
  CHECK(count == 2 + 2 * 4);
  shut_down();
  OK(subpy_list_all(NULL, 0, &count, &error));
  CHECK(count == 1);
  shut_down();
}

/* The outcome of a thread that nobody joins goes with the runtime; its handle, too. */
static void threads_go(void) {
  subpy_interp interp = create();
  subpy_thread thread = 0;
  OK(subpy_call_in_thread(interp, "builtins:sum", SUBPY_AUTO_LEN, (subpy_value[]){subpy_list(NULL, 0)}, 1, NULL, &thread, &error));
  subpy_status status;
  while ((status = subpy_shutdown(NULL)) == SUBPY_ERROR_BUSY) usleep(1000);
  CHECK(status == SUBPY_OK);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...is not the handle of a thread", subpy_thread_join(thread, NULL, &error));
  subpy_thread_free(thread);
}

static void *shuts_down(void *unused) {
  (void)unused;
  return (void *)(intptr_t)subpy_shutdown(NULL);
}

/* On other threads, several at once. */
static void from_several_threads(void) {
  for (int round = 0; round < 5; round++) {
    create();
    create();
    pthread_t threads[4];
    int done = 0;
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, shuts_down, NULL) == 0);
    for (int i = 0; i < 4; i++) {
      void *status;
      CHECK(pthread_join(threads[i], &status) == 0);
      subpy_status outcome = (subpy_status)(intptr_t)status;
      CHECK(outcome == SUBPY_OK || outcome == SUBPY_ERROR_WRONG_STATE);
      done += outcome == SUBPY_OK;
    }
    CHECK(done >= 1);
  }
}

/* Round after round: the same ids, never the same handles, no more memory. */
static void rounds(void) {
  enum { ROUNDS = 12, EACH = 4 };
  subpy_interp seen[ROUNDS][EACH + 1];
  long before = 0;
  for (int round = 0; round < ROUNDS; round++) {
    OK(subpy_get_main(&seen[round][0], &error));
    for (int i = 1; i <= EACH; i++) seen[round][i] = create();
    for (int i = 0; i <= EACH; i++) {
      int64_t id = -1;
      OK(subpy_id(seen[round][i], &id, &error));
      CHECK(id == i);
      run(seen[round][i], "import json, decimal, threading, re\nx = [json.dumps([i]) for i in range(1000)]");
      CHECK(number(seen[round][i], "len(x)") == 1000);
      for (int earlier = 0; earlier < round; earlier++)
        for (int other = 0; other <= EACH; other++) CHECK(seen[earlier][other] != seen[round][i]);
    }
    for (int earlier = 0; earlier < round; earlier++)
      FAILS(SUBPY_ERROR_NOT_FOUND, "...unrecognized interpreter ID", subpy_exec(seen[earlier][1], "", 0, &error));
    if (round % 2) OK(subpy_close(seen[round][2], &error));
    shut_down();
    if (round == 3) before = resident_kib();
  }
  long grown = resident_kib() - before;
  /* An interpreter takes 2 MiB, a runtime more. Some of a megabyte a round is CPython's own. */
  if (grown > (ROUNDS - 4) * 1024) {
    fprintf(stderr, "%d rounds left %ld KiB\n", ROUNDS - 4, grown);
    exit(1);
  }
}

int main(void) {
  CHECK(pipe(started) == 0 && pipe(finish) == 0);
  starts();
  starts_by_itself();
  fails_to_start();
  main_ends();
  starts_once();
  busy();
  closes_everything();
  threads_go();
  from_several_threads();
  rounds();
  return 0;
}
