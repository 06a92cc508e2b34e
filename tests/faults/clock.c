/* The clock on the wall jumps, forwards and back: limits and waits do not notice, because the library never looks at it. */
#include <pthread.h>
#include <time.h>

#include "acts.h"

static volatile int ends;

static void *jumps(void *unused) {
  for (int64_t by = 1000000000; !ends; by = -by) {
    fault_clock(by);
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
  return unused;
}

int main(void) {
  if (getenv("FAULTS_PROCESS")) options.flags = SUBPY_INTERP_PROCESS, options.grace_ms = 60000;
  options.size = sizeof options;
  subpy_error *error = NULL;
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, jumps, NULL) == 0);
  OK(subpy_create(&options, &interp, &error));
  prepare(interp);
  bool jumped = false;
  for (time_t first = time(NULL); !jumped; usleep(500)) jumped = llabs((long long)(time(NULL) - first)) > 100000000;
  subpy_queue queue = 0;
  OK(subpy_queue_new(NULL, &queue, &error));
  for (int i = 0; i < 5; i++) {
    OK(limits(&error));
    OK(threads(&error));
    OK(queues(&error));
    OK(coroutines(&error));
    subpy_value value = {0};
    CHECK(subpy_queue_get(queue, 20, &value, &error) == SUBPY_ERROR_TIMEOUT);
    subpy_error_free(error);
    error = NULL;
    subpy_thread run = 0;
    bool done = true;
    OK(subpy_run_in_thread(&(subpy_run_request){.size = sizeof(subpy_run_request),
                                                .interp = interp,
                                                .what = SUBPY_RUN_EXEC,
                                                .text = "import time\ntime.sleep(0.1)",
                                                .text_len = SUBPY_AUTO_LEN},
                           &run, &error));
    OK(subpy_thread_wait(run, 1, &done, &error));
    OK(subpy_thread_wait(run, -1, &done, &error));
    CHECK(done);
    OK(subpy_thread_join(run, NULL, &error));
  }
  OK(pools(&error));
  OK(creates(&error));
  subpy_queue_free(queue);
  subpy_close_options within = {.size = sizeof within, .timeout_ms = 60000, .flags = SUBPY_CLOSE_INTERRUPT};
  OK(subpy_close_with(interp, &within, &error));
  OK(subpy_shutdown(&error));
  ends = 1;
  CHECK(pthread_join(thread, NULL) == 0);
  CHECK(fault_clock_asked() == 0);
  return 0;
}
