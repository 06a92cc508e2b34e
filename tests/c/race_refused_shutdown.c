/* A shutdown, or a close, that is refused is noticed by nobody else. */
#include "race.h"

static counter runs, refused;
static subpy_interp places[3], busy;

static void *blocks(void *interp) {
  run(*(subpy_interp *)interp, "block()");
  return NULL;
}

/* Each thread has an interpreter of its own, so nothing may be refused. */
static void *runs_in_its_own(void *number) {
  subpy_interp mine = places[(intptr_t)number];
  subpy_value one = subpy_int(1);
  subpy_error *error = NULL;
  while (!race_over) {
    run(mine, "x = 1");
    OK(subpy_enter(mine, &error));
    run(mine, "x = 2");
    OK(subpy_leave(mine, &error));
    OK(subpy_call(mine, "builtins:abs", SUBPY_AUTO_LEN, &one, 1, NULL, NULL, &error));
    /* The shutdown gets further when nobody is in. */
    usleep((useconds_t)(runs++ % 64));
  }
  return NULL;
}

static void *is_refused(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  while (!race_over) {
    subpy_status status = subpy_shutdown(&error);
    EXPECT_ONE_OF(status, error, SUBPY_ERROR_BUSY);
    refused++;
  }
  return NULL;
}

/* A close that is refused because a guest runs in the interpreter: a run is refused for that reason too, and no other. */
static void *close_is_refused(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  while (!race_over) {
    error = NULL;
    subpy_status status = subpy_close(busy, &error);
    CHECK(status == SUBPY_ERROR_BUSY && strcmp(subpy_error_message(error, NULL), "interpreter running") == 0);
    subpy_error_free(error);
    error = NULL;
    status = subpy_exec(busy, "", 0, &error);
    CHECK(status == SUBPY_ERROR_BUSY && strcmp(subpy_error_message(error, NULL), "interpreter already running") == 0);
    subpy_error_free(error);
  }
  return NULL;
}

static bool saw_all(void) {
  return runs && refused;
}

int main(void) {
  subpy_error *error = NULL;
  static const int32_t policies[] = {SUBPY_BUSY_REFUSE, SUBPY_BUSY_WAIT, SUBPY_BUSY_SHARE};
  /* The newest is closed first: all but this one are begun with before it refuses. */
  subpy_interp running = create();
  signal_pipe begun = signal_new(), end = signal_new();
  define_block(running, begun, end);
  pthread_t blocked;
  CHECK(pthread_create(&blocked, NULL, blocks, &running) == 0);
  signal_wait(begun);
  for (int i = 0; i < 3; i++) {
    subpy_interp_options options = {.size = sizeof options, .busy = policies[i]};
    OK(subpy_create(&options, &places[i], &error));
  }
  race_saw_all = saw_all;
  race(3, (void *(*const[])(void *)){runs_in_its_own, runs_in_its_own, runs_in_its_own, is_refused}, 4);
  printf("%ld runs beside %ld shutdowns\n", runs, refused);
  CHECK(saw_all());
  signal_send(end);
  CHECK(pthread_join(blocked, NULL) == 0);

  subpy_interp guest = create();
  busy = create();
  int64_t id = 0;
  char code[200];
  OK(subpy_id(busy, &id, &error));
  snprintf(code, sizeof code,
           "import _interpreters\n"
           "def block(): _interpreters.exec(%" PRId64 ", 'import os; os.write(%d, b\".\"); os.read(%d, 1)')",
           id, begun.out, end.in);
  run(guest, code);
  subpy_thread thread = block_in_thread(guest, begun);
  race(1, (void *(*const[])(void *)){close_is_refused, close_is_refused}, 2);
  end_block(thread, end);
  OK(subpy_close(busy, &error));
  shut_down();
  return 0;
}
