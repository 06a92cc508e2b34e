/* Closes beside shutdowns that are refused and tried again: CPython is finalised when the last close has returned. */
#include "race.h"

static counter closes, shutdowns, refused;

static void *open_and_close(void *number) {
  subpy_error *error = NULL;
  while (!race_over) {
    subpy_interp interp = 0;
    subpy_status status = subpy_create(NULL, &interp, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_WRONG_STATE);
    if (status != SUBPY_OK) continue;
    /* Garbage that is cleared late makes the end longer. */
    static const char code[] = "import gc; gc.disable()\nx = [[] for _ in range(5000)]\nfor y in x: y.append(x)";
    status = subpy_exec(interp, code, SUBPY_AUTO_LEN, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY);
    if (number) usleep(500);
    status = subpy_close(interp, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY);
    closes += status == SUBPY_OK;
  }
  return NULL;
}

static void *shut_down_again(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  while (!race_over) {
    subpy_status status = subpy_shutdown(&error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY, SUBPY_ERROR_WRONG_STATE);
    shutdowns += status == SUBPY_OK;
    refused += status == SUBPY_ERROR_BUSY;
  }
  return NULL;
}

int main(void) {
  subpy_interp interp = create();
  subpy_error *error = NULL;
  OK(subpy_close(interp, &error));
  race(4, (void *(*const[])(void *)){open_and_close, open_and_close, shut_down_again}, 3);
  shut_down();
  printf("%ld closes, %ld shutdowns, %ld refused\n", closes, shutdowns, refused);
  CHECK(closes + shutdowns + refused);
  return 0;
}
