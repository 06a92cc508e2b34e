/* Interpreters change the environment, which is the process's, while others and the host read it. */

#include "race.h"

enum { SECONDS = 3, INTERPS = 5 };

static subpy_interp interps[INTERPS];
static counter changed, looked;

/* glibc's setenv() frees the table that others read, before 2.41. */
static void *changes(void *number) {
  static const char *code = "import os, time\n"
                            "def change(name):\n"
                            "    names = [f'SUBPY_{name}_{i}' for i in range(100)]\n"
                            "    for name in names: os.environ[name] = 'x' * 50\n"
                            "    time.tzset(); time.localtime(); time.strftime('%c')\n"
                            "    for name in names: os.environ[name] = name\n"
                            "    assert all(os.environ[name] == name for name in names)\n"
                            "    for name in names: del os.environ[name]\n";
  subpy_error *error = NULL;
  subpy_interp interp = interps[(intptr_t)number % INTERPS];
  run(interp, code);
  for (int i = 0; !race_over; i++, changed++) {
    subpy_value name = subpy_int(i % 7 + 10 * (int)(intptr_t)number);
    OK(subpy_call(interp, "change", SUBPY_AUTO_LEN, &name, 1, NULL, NULL, &error));
  }
  return NULL;
}

static void *looks(void *number) {
  while (!race_over) {
    time_t now = time(NULL);
    struct tm local;
    tzset();
    CHECK(localtime_r(&now, &local) && getenv("PATH") && !getenv("SUBPY_NOBODY"));
    looked++;
  }
  return number;
}

static bool saw_all(void) { return changed > 20 && looked > 100; }

/* As CPython's own do it. */
static void refused(subpy_interp interp) {
  subpy_error *error = NULL;
  run(interp, "import os, sys\n"
              "heard = []\n"
              "sys.addaudithook(lambda event, args: heard.append((event, args)) if event.endswith('env') else None)");
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "ValueError: illegal environment variable name",
        subpy_exec(interp, "os.putenv('A=B', 'c')", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "ValueError: embedded null byte",
        subpy_exec(interp, "os.putenv('A', 'b\\0c')", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "OSError: [Errno 22] Invalid argument",
        subpy_exec(interp, "os.putenv('', 'c')", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "OSError: [Errno 22] Invalid argument",
        subpy_exec(interp, "os.unsetenv('')", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...expected str, bytes or os.PathLike object, not int",
        subpy_exec(interp, "os.putenv(1, 'c')", SUBPY_AUTO_LEN, &error));
  run(interp, "os.environ['SUBPY_HERE'] = 'caf\\xe9'\n"
              "os.environb[b'SUBPY_BYTES'] = b'\\xff'\n"
              "del os.environb[b'SUBPY_BYTES']\n"
              "assert heard[-3:] == [('os.putenv', (b'SUBPY_HERE', 'caf\\xe9'.encode())), ('os.putenv', (b'SUBPY_BYTES', b'\\xff')),\n"
              "                      ('os.unsetenv', (b'SUBPY_BYTES',))], heard\n"
              "import subprocess\n"
              "assert subprocess.run(['/bin/sh', '-c', 'echo $SUBPY_HERE'], capture_output=True).stdout == 'caf\\xe9\\n'.encode()");
}

int main(void) {
  subpy_error *error = NULL;
  OK(subpy_get_main(&interps[0], &error));
  for (int i = 1; i < INTERPS; i++) interps[i] = create();
  void *(*const functions[])(void *) = {changes, changes, changes, changes, changes, looks};
  race_saw_all = saw_all;
  race(SECONDS, functions, (int)(sizeof functions / sizeof *functions));
  for (int i = 0; i < INTERPS; i++) refused(interps[i]);
  CHECK(strcmp(getenv("SUBPY_HERE"), "caf\xc3\xa9") == 0);
  OK(subpy_exec(interps[1], "del os.environ['SUBPY_HERE']", SUBPY_AUTO_LEN, &error));
  CHECK(!getenv("SUBPY_HERE") && !getenv("SUBPY_BYTES"));
  /* What others have put there stays what it is, and the host may go on by itself. */
  CHECK(setenv("SUBPY_HOST", "host", 1) == 0);
  OK(subpy_exec(interps[2], "os.environ['SUBPY_MORE'] = 'more'", SUBPY_AUTO_LEN, &error));
  CHECK(setenv("SUBPY_HOST_2", "host", 1) == 0 && unsetenv("SUBPY_HOST") == 0);
  OK(subpy_exec(interps[2], "os.environ['SUBPY_LAST'] = 'last'", SUBPY_AUTO_LEN, &error));
  CHECK(strcmp(getenv("SUBPY_MORE"), "more") == 0 && strcmp(getenv("SUBPY_LAST"), "last") == 0);
  CHECK(strcmp(getenv("SUBPY_HOST_2"), "host") == 0 && !getenv("SUBPY_HOST"));
  CHECK(clearenv() == 0 && !getenv("SUBPY_MORE"));
  OK(subpy_exec(interps[3], "os.environ['SUBPY_LAST'] = 'again'", SUBPY_AUTO_LEN, &error));
  CHECK(strcmp(getenv("SUBPY_LAST"), "again") == 0);
  shut_down();
  CHECK(strcmp(getenv("SUBPY_LAST"), "again") == 0);
  return 0;
}
