/*
 * Closing within a time: a job that does not end keeps its interpreter, until it is interrupted.
 *
 *   cc close.c $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   not closed within 100 ms: a run at <script>:2 in <module>
 *   the job: SUBPY_ERROR_INTERRUPTED
 *   closed
 */
#include <stdio.h>

#include "subpy.h"

static int give_up(subpy_error *error) {
  fprintf(stderr, "%s\n", subpy_error_message(error, NULL));
  subpy_error_free(error);
  return 1;
}

int main(void) {
  subpy_interp interp = 0;
  subpy_thread job = 0;
  subpy_error *error = NULL;
  if (subpy_create(NULL, &interp, &error) != SUBPY_OK) return give_up(error);
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_EXEC, .interp = interp};
  request.text = "while True:\n    pass";
  request.text_len = SUBPY_AUTO_LEN;
  if (subpy_run_in_thread(&request, &job, &error) != SUBPY_OK) return give_up(error);
  for (bool running = false; !running;)
    if (subpy_is_running(interp, &running, &error) != SUBPY_OK) return give_up(error);

  /* Let it finish, for a tenth of a second. */
  subpy_close_options options = {.size = sizeof options, .timeout_ms = 100, .flags = SUBPY_CLOSE_DRAIN};
  if (subpy_close_with(interp, &options, &error) == SUBPY_ERROR_BUSY) {
    puts(subpy_error_message(error, NULL));
    subpy_error_free(error);
    /* Have it end, for ten seconds at most. */
    options.timeout_ms = 10000;
    options.flags = SUBPY_CLOSE_INTERRUPT;
    if (subpy_close_with(interp, &options, &error) != SUBPY_OK) return give_up(error);
  }
  printf("the job: %s\n", subpy_status_name(subpy_thread_join(job, NULL, &error)));
  subpy_error_free(error);
  puts("closed");
  return subpy_shutdown(&error) == SUBPY_OK ? 0 : give_up(error);
}
