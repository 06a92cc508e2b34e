/* Uses what could read or write files: a search for CPython, interpreters of all kinds, imports, exceptions, output, queues.
   The argument is the CPython, "" for a search. Tells on stdout whether it has more rights than whoever started it, and how
   the start ended. tests/security.rs looks at what it has touched. */
#include <sys/auxv.h>

#include "../c/guest.h"

static subpy_error *error;

static const char CODE[] =
    "import asyncio, concurrent.futures, ctypes, decimal, json, linecache, logging, queue, sqlite3, subpy_queues\n"
    "import sys, threading, traceback\n"
    "threading.Thread(target=lambda: None).start()\n"
    "assert not any('evil' in folder for folder in sys.path), sys.path\n"
    "assert sys.path and '' not in sys.path and '.' not in sys.path, sys.path\n"
    "print('x' * 100000, file=sys.stderr)\n";

static void use(uint64_t flags) {
  subpy_interp interp = 0;
  subpy_interp_options options = {.size = sizeof options, .flags = flags};
  OK(subpy_create(&options, &interp, &error));
  run(interp, CODE);
  subpy_error_free(exception(interp, "def f():\n  raise ValueError\nf()"));
  error = NULL;
  /* A large one takes another way. */
  subpy_value value = {0};
  OK(subpy_eval(interp, "b'x' * 20000000", SUBPY_AUTO_LEN, &value, &error));
  CHECK(value.len == 20000000);
  subpy_value_free(&value);
  OK(subpy_close(interp, &error));
}

int main(int count, char **arguments) {
  CHECK(count == 2);
  subpy_runtime_options options = {.size = sizeof options, .flags = SUBPY_RUNTIME_USE_ENVIRONMENT};
  if (*arguments[1]) options.python = arguments[1];
  printf("AT_SECURE %lu\n", getauxval(AT_SECURE));
  subpy_status status = subpy_init(&options, &error);
  printf("%s: %s\n", subpy_status_name(status), status == SUBPY_OK ? "" : subpy_error_message(error, NULL));
  subpy_error_free(error);
  error = NULL;
  if (status != SUBPY_OK) return 0;
  fflush(stdout);
  use(0);
  use(SUBPY_INTERP_PROCESS);
  use(SUBPY_INTERP_PROCESS | SUBPY_INTERP_LOCKED | SUBPY_INTERP_LOCK_BEST_EFFORT);
  shut_down();
  puts("done");
  return 0;
}
