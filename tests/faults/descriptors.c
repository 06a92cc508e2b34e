/* The process may open n files more, for each n, until what a host does succeeds: before that it is an error. */
#include <sys/resource.h>

#include "acts.h"

static const struct act {
  const char *name;
  subpy_status (*act)(subpy_error **error);
} ACTS[] = {{"execs", execs},     {"queues", queues}, {"buffers", buffers}, {"outputs", outputs},
            {"threads", threads}, {"creates", creates}, {"pools", pools},   {"coroutines", coroutines}};

static struct rlimit before;

static void allow(int more) {
  int next = dup(0);
  CHECK(next >= 0 && close(next) == 0);
  struct rlimit little = before;
  little.rlim_cur = (rlim_t)(next + more);
  CHECK(setrlimit(RLIMIT_NOFILE, &little) == 0);
}

int main(void) {
  CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
  if (getenv("FAULTS_PROCESS")) options.flags = SUBPY_INTERP_PROCESS, options.grace_ms = 60000;
  options.size = sizeof options;
  subpy_error *error = NULL;
  OK(subpy_create(&options, &interp, &error));
  prepare(interp);
  for (size_t i = 0; i < sizeof ACTS / sizeof *ACTS; i++) {
    int more = 0;
    for (;; more++) {
      CHECK(more < 200);
      allow(more);
      subpy_status status = ACTS[i].act(&error);
      CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
      if (status == SUBPY_OK) break;
      CHECK(error && subpy_error_status(error) == status);
      if (status != SUBPY_ERROR_INTERPRETER && status != SUBPY_ERROR_EXECUTION_FAILED) {
        fprintf(stderr, "%s with %d more: %s: %s\n", ACTS[i].name, more, subpy_status_name(status),
                subpy_error_message(error, NULL));
        return 1;
      }
      subpy_error_free(error);
      error = NULL;
      OK(ACTS[i].act(&error));
    }
    printf("%s: needs %d\n", ACTS[i].name, more);
  }
  OK(subpy_close(interp, &error));
  OK(subpy_shutdown(&error));
  return 0;
}
