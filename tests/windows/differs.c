/* What is another thing on Windows than elsewhere: what is refused, and by what words; descriptors that are sockets; the
 * executable of a CPython as the one to use. */
#include <winsock2.h>

#include "../c/test.h"

static subpy_error *error;

static bool is_readable(int fd, int seconds) {
  fd_set set;
  FD_ZERO(&set);
  FD_SET((SOCKET)fd, &set);
  struct timeval limit = {seconds, 0};
  int found = select(0, &set, NULL, NULL, &limit);
  CHECK(found >= 0);
  return found == 1;
}

static void refused(void) {
  subpy_interp interp = 0;
  subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_PROCESS};
  FAILS(SUBPY_ERROR_INTERPRETER, "...interpreters have processes of their own on Linux alone", subpy_create(&options, &interp, &error));
  options.flags |= SUBPY_INTERP_LOCKED;
  FAILS(SUBPY_ERROR_INTERPRETER, "...interpreters have processes of their own on Linux alone", subpy_create(&options, &interp, &error));
  options.flags = SUBPY_INTERP_COUNT_MEMORY;
  FAILS(SUBPY_ERROR_WRONG_STATE, "...memory cannot be counted: not on Windows", subpy_create(&options, &interp, &error));
  CHECK(interp == 0);
}

static void sockets(subpy_interp interp) {
  WSADATA data;
  CHECK(WSAStartup(MAKEWORD(2, 2), &data) == 0);
  subpy_queue queue = 0;
  OK(subpy_queue_new(NULL, &queue, &error));
  int32_t queue_fd = -1;
  OK(subpy_queue_fd(queue, &queue_fd, &error));
  CHECK(!is_readable(queue_fd, 0));
  subpy_value five = subpy_int(5), got = {0};
  OK(subpy_queue_put(queue, &five, -1, &error));
  CHECK(is_readable(queue_fd, 10));
  OK(subpy_queue_get(queue, -1, &got, &error));
  CHECK(got.u.as_int == 5 && !is_readable(queue_fd, 0));
  subpy_queue_free(queue);

  run(interp, "import time\ndef sleeps(): time.sleep(0.5)");
  subpy_thread thread = 0;
  OK(subpy_call_in_thread(interp, "sleeps", SUBPY_AUTO_LEN, NULL, 0, NULL, &thread, &error));
  int fd = -1;
  OK(subpy_thread_fd(thread, &fd, &error));
  CHECK(!is_readable(fd, 0) && is_readable(fd, 60) && is_readable(fd, 0));
  OK(subpy_thread_join(thread, NULL, &error));
}

int main(void) {
  /* Beside the python314.dll that tests/windows/run names. */
  char python[1024];
  snprintf(python, sizeof python, "%s", getenv("SUBPY_PYTHON"));
  char *dll = strstr(python, "python314.dll");
  CHECK(dll);
  strcpy(dll, "python.exe");
  subpy_runtime_options options = {.size = sizeof options, .python = python};
  OK(subpy_init(&options, &error));
  CHECK(strstr(subpy_python_library(), "python314.dll") && strncmp(subpy_python_version(), "3.14.", 5) == 0);

  refused();
  subpy_interp interp = create();
  CHECK(number(interp, "__import__('sys').executable.endswith('python.exe')"));
  run(interp, "import os, ctypes, sqlite3, asyncio\nassert not hasattr(os, 'fork')");
  sockets(interp);
  shut_down();
  return 0;
}
