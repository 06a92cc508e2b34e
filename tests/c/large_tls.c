/* A program with a megabyte of memory for each thread: the C library takes it from the stacks of the library's threads, which
 * have room for their work all the same. */
#include "pool.h"

static _Thread_local volatile char large[1 << 20];

/* One that is stopped by a timer, and one on a thread of its own. */
static void use(subpy_interp interp) {
  subpy_value n = subpy_int(21), result = {0};
  subpy_run_request request = call("spin", NULL);
  subpy_thread thread = 0;
  run(interp, SETUP);
  request.interp = interp;
  request.timeout_ms = 5;
  CHECK_STATUS(SUBPY_ERROR_TIMEOUT, subpy_run(&request, NULL, &error));
  subpy_error_free(error);
  error = NULL;
  OK(subpy_call_in_thread(interp, "double", SUBPY_AUTO_LEN, &n, 1, NULL, &thread, &error));
  OK(subpy_thread_join(thread, &result, &error));
  CHECK(result.u.as_int == 42);
  OK(subpy_close(interp, &error));
}

int main(void) {
  large[sizeof large - 1] = 1;
  for (int process = 0; process < 2; process++) {
    subpy_interp_options options = {.size = sizeof options, .flags = process ? SUBPY_INTERP_PROCESS : 0};
    if (process) options.grace_ms = 60000; /* what is stopped ends by itself */
    subpy_interp interp = 0;
    OK(subpy_create(&options, &interp, &error));
    /* That is noticed on a thread of its own there. */
    if (process) run(interp, "import signal\nsignal.signal(signal.SIGUSR1, print)");
    use(interp);
  }
  subpy_pool pool = new_pool((subpy_pool_options){.workers = 2, .setup = SETUP, .setup_len = SUBPY_AUTO_LEN});
  subpy_value n = subpy_int(21);
  CHECK(joined_int(submit(pool, call("double", &n))) == 42);
  OK(subpy_pool_close(pool, NULL, &error));
  shut_down();
  return large[sizeof large - 1] == 1 ? 0 : 1;
}
