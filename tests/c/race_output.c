/* Outputs that are replaced while runs and Python's threads print and interpreters are closed, destroyed and shut down:
 * a function is called by one thread at a time, never after its finalizer, and every finalizer is called once. */
#include "closing.h"
#include "race.h"

enum { LINE = 9 };

typedef struct output {
  atomic_int inside, finalized;
  struct output *next; /* of all */
} output;

static counter outputs, finalized, lines, own_lines, runs, refused_runs, closes, replaced, ended;
static _Atomic subpy_interp place;
static int32_t policy;

static void check_lines(const char *text, size_t len) {
  CHECK(text[len] == 0);
  for (size_t i = 0; i < len; i++) CHECK(text[i] == "12345678\n"[i % LINE]);
  CHECK(len % LINE == 0);
}

static void take(void *userdata, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  output *to = userdata;
  (void)interp;
  CHECK(stream == 1 && !to->finalized && atomic_fetch_add(&to->inside, 1) == 0);
  check_lines(text, len);
  lines += (long)(len / LINE);
  /* Now and then it does something itself, and prints. */
  if (lines % 64 == 0) {
    subpy_error *error = NULL;
    subpy_status status = subpy_exec(interp, "import sys; sys.stdout.write('12345678\\n')", SUBPY_AUTO_LEN, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_WRONG_STATE);
  }
  CHECK(atomic_fetch_sub(&to->inside, 1) == 1);
}

static void finalize(void *userdata) {
  output *to = userdata;
  CHECK(to->inside == 0 && atomic_fetch_add(&to->finalized, 1) == 0);
  finalized++;
}

/* Never freed, so that a late call is seen. */
static output *new_output(void) {
  static _Atomic(output *) all;
  output *made = calloc(1, sizeof *made);
  CHECK(made);
  made->next = atomic_exchange(&all, made);
  outputs++;
  return made;
}

static void take_own(void *userdata, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  (void)interp;
  CHECK(stream == 1);
  check_lines(text, len);
  *(long *)userdata += (long)(len / LINE);
}

static void *replaces(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  while (!race_over) {
    subpy_status status = subpy_set_output(place, take, new_output(), finalize, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND);
    replaced += status == SUBPY_OK;
    ended += status != SUBPY_OK;
    usleep(50);
  }
  return NULL;
}

static const char *const code =
    "import sys, threading\n"
    "for i in range(5): sys.stdout.write('12345678\\n')\n"
    "threading.Thread(target=lambda: [sys.stdout.write('12345678\\n') for i in range(5)]).start()";

static void *prints(void *number) {
  subpy_error *error = NULL;
  for (long round = 0; !race_over; round++) {
    long own = 0;
    subpy_run_request request = {.size = sizeof request, .interp = place, .what = SUBPY_RUN_EXEC, .text = code, .text_len = SUBPY_AUTO_LEN};
    if ((round + (intptr_t)number) % 2) request.output = take_own, request.output_data = &own;
    subpy_status status = subpy_run(&request, NULL, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY, SUBPY_ERROR_NOT_FOUND);
    CHECK(own == (status == SUBPY_OK && request.output ? 5 : 0));
    own_lines += own;
    runs += status == SUBPY_OK;
    refused_runs += status != SUBPY_OK;
    if (round % 4 == 0 || status != SUBPY_OK) usleep(300);
  }
  return NULL;
}

static subpy_interp create_captured(void) {
  subpy_error *error = NULL;
  subpy_interp_options options = {.size = sizeof options, .busy = policy};
  subpy_interp made = 0;
  OK(subpy_create(&options, &made, &error));
  OK(subpy_set_output(made, take, new_output(), finalize, &error));
  return made;
}

/* Every other one is destroyed by a guest. */
static void *renews(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  subpy_interp guest = create();
  run(guest, "import _interpreters");
  for (int tries = 1; !race_over; tries++) {
    usleep(3000);
    subpy_interp old = place;
    subpy_status status;
    if (tries % 50 == 0) { /* on a slow machine there is hardly a moment in which nothing runs */
      status = close_in(old, -1, SUBPY_CLOSE_DRAIN, &error);
      EXPECT_ONE_OF(status, error, SUBPY_OK);
    } else if (closes % 2) {
      int64_t id = 0;
      char destroy[60];
      OK(subpy_id(old, &id, &error));
      snprintf(destroy, sizeof destroy, "_interpreters.destroy(%d)", (int)id);
      status = subpy_exec(guest, destroy, SUBPY_AUTO_LEN, &error);
      EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_EXECUTION_FAILED);
    } else {
      status = subpy_close(old, &error);
      EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY);
    }
    if (status != SUBPY_OK) continue;
    closes++;
    place = create_captured();
  }
  return NULL;
}

static bool saw_all(void) {
  return lines && own_lines && closes && replaced;
}

int main(void) {
  static const int32_t policies[] = {SUBPY_BUSY_SHARE, SUBPY_BUSY_WAIT, SUBPY_BUSY_REFUSE};
  static const char *const names[] = {"share", "wait", "refuse"};
  race_saw_all = saw_all;
  for (int i = 0; i < 3; i++) {
    policy = policies[i];
    outputs = finalized = lines = own_lines = runs = refused_runs = closes = replaced = ended = 0;
    place = create_captured();
    race(3, (void *(*const[])(void *)){prints, prints, replaces, renews}, 4);
    CHECK(finalized < outputs);
    shut_down();
    printf("%s: %ld runs, %ld refused, %ld lines, %ld of runs with an output of their own, %ld closes; %ld outputs replaced, %ld ended\n",
           names[i], runs, refused_runs, lines, own_lines, closes, replaced, ended);
    CHECK(finalized == outputs && saw_all());
  }
  return 0;
}
