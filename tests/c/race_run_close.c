/* Runs beside closes: one of the two is refused, whatever the policy; when close has returned nobody is in. */
#include "race.h"

static counter runs, closes, refused_runs, refused_closes, tries;
static _Atomic subpy_interp place;
static int32_t policy;

static void *runs_in_it(void *number) {
  subpy_error *error = NULL;
  while (!race_over) {
    subpy_interp interp = place;
    subpy_status status;
    if (number && tries % 4 == 0) {
      status = subpy_enter(interp, &error);
      if (status == SUBPY_OK) OK(subpy_leave(interp, &error));
    } else {
      status = subpy_exec(interp, "x = sum(range(20))", SUBPY_AUTO_LEN, &error);
    }
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY, SUBPY_ERROR_NOT_FOUND);
    runs += status == SUBPY_OK;
    refused_runs += status != SUBPY_OK;
    /* Or a close would hardly find a moment in which nobody is in; and a new one is not there at once. */
    if (tries++ % 8 == 0 || status == SUBPY_ERROR_NOT_FOUND) usleep(100);
  }
  return NULL;
}

static void *renews(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  while (!race_over) {
    subpy_interp made = 0;
    usleep(1000);
    subpy_status status = subpy_close(place, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY);
    refused_closes += status == SUBPY_ERROR_BUSY;
    if (status != SUBPY_OK) continue;
    closes++;
    CHECK(subpy_exec(place, "", 0, NULL) == SUBPY_ERROR_NOT_FOUND);
    subpy_interp_options options = {.size = sizeof options, .busy = policy};
    OK(subpy_create(&options, &made, &error));
    place = made;
  }
  return NULL;
}

static bool saw_all(void) {
  return runs && closes;
}

int main(void) {
  static const int32_t policies[] = {SUBPY_BUSY_SHARE, SUBPY_BUSY_REFUSE, SUBPY_BUSY_WAIT};
  static const char *const names[] = {"share", "refuse", "wait"};
  race_saw_all = saw_all;
  for (int i = 0; i < 3; i++) {
    policy = policies[i];
    subpy_interp_options options = {.size = sizeof options, .busy = policy};
    subpy_interp made = 0;
    subpy_error *error = NULL;
    OK(subpy_create(&options, &made, &error));
    place = made;
    runs = closes = refused_runs = refused_closes = 0;
    race(2, (void *(*const[])(void *)){runs_in_it, runs_in_it, runs_in_it, renews}, 4);
    printf("%s: %ld runs, %ld refused, %ld closes, %ld refused\n", names[i], runs, refused_runs, closes,
           refused_closes);
    CHECK(saw_all());
  }
  shut_down();
  return 0;
}
