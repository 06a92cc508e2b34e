/*
 * Stopping Python code: a time limit, and a token that another thread fires.
 *
 *   cc limits.c $(pkg-config --cflags --libs subpy) -lpthread
 *
 * Prints:
 *   SUBPY_ERROR_TIMEOUT: timed out after 50 ms: KeyboardInterrupt, at <script>:1 in <module>
 *   SUBPY_ERROR_INTERRUPTED: cancelled: KeyboardInterrupt, at <script>:1 in <module>
 *   3
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "subpy.h"

static int give_up(subpy_error *error) {
  fprintf(stderr, "%s\n", subpy_error_message(error, NULL));
  subpy_error_free(error);
  return 1;
}

static void say(subpy_status status, subpy_error *error) {
  printf("%s: %s\n", subpy_status_name(status), subpy_error_message(error, NULL));
  subpy_error_free(error);
}

/* A user who has waited long enough. */
static void *user(void *cancel) {
  nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
  subpy_cancel_fire(*(subpy_cancel *)cancel);
  return NULL;
}

int main(void) {
  subpy_interp interp = 0;
  subpy_cancel cancel = 0;
  subpy_error *error = NULL;
  if (subpy_create(NULL, &interp, &error) != SUBPY_OK) return give_up(error);

  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_EXEC, .interp = interp};
  request.text = "while True: pass";
  request.text_len = SUBPY_AUTO_LEN;
  request.timeout_ms = 50;
  subpy_status status = subpy_run(&request, NULL, &error);
  say(status, error);

  pthread_t thread;
  if (subpy_cancel_new(&cancel, &error) != SUBPY_OK) return give_up(error);
  if (pthread_create(&thread, NULL, user, &cancel) != 0) return 1;
  request.timeout_ms = 0;
  request.cancel = cancel;
  status = subpy_run(&request, NULL, &error);
  say(status, error);
  pthread_join(thread, NULL);
  subpy_cancel_free(cancel);

  /* The interpreter works as before. */
  subpy_value value;
  if (subpy_eval(interp, "1 + 2", SUBPY_AUTO_LEN, &value, &error) != SUBPY_OK) return give_up(error);
  printf("%lld\n", (long long)value.u.as_int);
  subpy_value_free(&value);
  return subpy_shutdown(&error) == SUBPY_OK ? 0 : give_up(error);
}
