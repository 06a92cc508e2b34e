/* What the tests of closing within a time share. */
#ifndef CLOSING_H
#define CLOSING_H

#include "guest.h"

static inline subpy_status close_in(subpy_interp interp, int64_t timeout_ms, uint32_t flags, subpy_error **error) {
  const subpy_close_options options = {.size = sizeof options, .timeout_ms = timeout_ms, .flags = flags};
  return subpy_close_with(interp, &options, error);
}

static inline subpy_status shut_down_in(int64_t timeout_ms, uint32_t flags, subpy_error **error) {
  const subpy_close_options options = {.size = sizeof options, .timeout_ms = timeout_ms, .flags = flags};
  return subpy_shutdown_with(&options, error);
}

/* After others that were given up, and may go on. */
static inline void shut_down_at_last(void) {
  subpy_error *error = NULL;
  OK(shut_down_in(-1, SUBPY_CLOSE_DRAIN, &error));
}

/* A run on a thread of the library's own, which has begun when this returns: the code calls begin(). */
static inline subpy_thread run_there(subpy_interp interp, const char *code) {
  subpy_error *error = NULL;
  signal_pipe begun = signal_new();
  char text[80];
  snprintf(text, sizeof text, "import os\ndef begin(): os.write(%d, b'.')", begun.out);
  run(interp, text);
  subpy_thread thread = 0;
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_EXEC, .interp = interp};
  request.text = code;
  request.text_len = SUBPY_AUTO_LEN;
  OK(subpy_run_in_thread(&request, &thread, &error));
  signal_wait(begun);
  return thread;
}

#endif
