/*
 * Interpreters in processes of their own: the same functions, and what crashes is not the host.
 *
 *   cc process.c $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   42
 *   SUBPY_ERROR_CRASHED: signal 6
 *   SUBPY_ERROR_TIMEOUT
 *   42
 */
#include <stdio.h>

#include "subpy.h"

static int give_up(subpy_error *error) {
  fprintf(stderr, "%s\n", subpy_error_message(error, NULL));
  subpy_error_free(error);
  return 1;
}

static const char *const code = "import ctypes, os\ndef answer(): return 6 * 7\n";

/* One that has the code above. */
static subpy_status start(subpy_interp *interp, subpy_error **error) {
  const subpy_interp_options options = {
      .size = sizeof options, .flags = SUBPY_INTERP_PROCESS, .memory_limit = 256 << 20, .grace_ms = 50};
  subpy_status status = subpy_create(&options, interp, error);
  return status == SUBPY_OK ? subpy_exec(*interp, code, SUBPY_AUTO_LEN, error) : status;
}

static subpy_status print_answer(subpy_interp interp, subpy_error **error) {
  subpy_value answer;
  subpy_status status = subpy_call(interp, "answer", SUBPY_AUTO_LEN, NULL, 0, NULL, &answer, error);
  if (status == SUBPY_OK) printf("%lld\n", (long long)answer.u.as_int);
  return status;
}

int main(void) {
  subpy_interp interp = 0;
  subpy_error *error = NULL;
  if (start(&interp, &error) != SUBPY_OK || print_answer(interp, &error) != SUBPY_OK) return give_up(error);

  /* A crash is an error. The interpreter is gone, and the next one is there in a millisecond. */
  subpy_status status = subpy_exec(interp, "os.abort()", SUBPY_AUTO_LEN, &error);
  int32_t signal = 0;
  subpy_error_crash(error, &signal, NULL);
  printf("%s: signal %d\n", subpy_status_name(status), (int)signal);
  subpy_error_free(error);
  if (start(&interp, &error) != SUBPY_OK) return give_up(error);

  /* C code that cannot be interrupted is killed. */
  const subpy_run_request request = {.size = sizeof request,
                                     .interp = interp,
                                     .what = SUBPY_RUN_EXEC,
                                     .text = "ctypes.PyDLL(None).sleep(3600)",
                                     .text_len = SUBPY_AUTO_LEN,
                                     .timeout_ms = 100};
  printf("%s\n", subpy_status_name(subpy_run(&request, NULL, &error)));
  subpy_error_free(error);
  error = NULL;
  if (start(&interp, &error) != SUBPY_OK || print_answer(interp, &error) != SUBPY_OK) return give_up(error);
  return subpy_shutdown(&error) == SUBPY_OK ? 0 : give_up(error);
}
