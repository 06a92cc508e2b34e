/* A process may open so few files that an interpreter's process cannot be started: the error says that, for each number of files
 * up to the first that is enough. */
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "test.h"

static subpy_error *error;
static struct rlimit before;

static void allow(rlim_t files) {
  const struct rlimit limit = {files, before.rlim_max};
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

/* Where the errors are written, as stderr may be closed. */
static void starts(int to) {
  const subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_PROCESS};
  int wrong = 0, refused = 0;
  for (rlim_t files = 1;; files++) {
    CHECK(files < 100);
    subpy_interp interp = 0;
    allow(files);
    subpy_status status = subpy_create(&options, &interp, &error);
    allow(before.rlim_cur);
    if (status == SUBPY_OK) {
      OK(subpy_exec(interp, "import json", SUBPY_AUTO_LEN, &error));
      OK(subpy_close(interp, &error));
      break;
    }
    const char *message = subpy_error_message(error, NULL);
    if (status != SUBPY_ERROR_INTERPRETER || !strstr(message, "Too many open files")) {
      dprintf(to, "%d files: %s: %s\n", (int)files, subpy_status_name(status), message);
      wrong++;
    }
    refused++;
    subpy_error_free(error);
    error = NULL;
  }
  CHECK(refused > 4 && wrong == 0);
}

int main(int count, char **arguments) {
  CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
  OK(subpy_init(NULL, &error));
  /* What is started once is there from then on, so the second time is another program's. */
  if (count > 1) {
    /* What the library opens then has numbers below those that an interpreter's process gets. */
    int to = fcntl(2, F_DUPFD_CLOEXEC, 100);
    CHECK(to >= 100);
    for (int number = 0; number < 3; number++) close(number);
    starts(to);
    CHECK(dup2(to, 2) == 2);
  } else {
    starts(2);
    OK(subpy_shutdown(&error));
    execl(arguments[0], arguments[0], "closed", (char *)NULL);
    CHECK(!"it was started again");
  }
  OK(subpy_shutdown(&error));
  return 0;
}
