/* Host functions that are called where little is left of the stack: they have 128 KiB, or Python a RecursionError. */
#include <pthread.h>

#include "guest.h"

static subpy_error *error;
static subpy_interp interp;

static void greedy(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)ctx, (void)args, (void)nargs, (void)kwargs;
  volatile char room[128 * 1024];
  for (size_t at = sizeof room; at > 0; at -= 1024) room[at - 1] = 1; /* from the top, so that a guard page is met */
}

static void *recurse(void *unused) {
  (void)unused;
  run(interp,
      "try: repr(Nested())\n"
      "except RecursionError: pass\n"
      "else: assert False\n");
  return NULL;
}

int main(void) {
  OK(subpy_create(NULL, &interp, &error));
  OK(subpy_define(interp, "greedy", SUBPY_AUTO_LEN, 0, greedy, NULL, NULL, &error));
  run(interp,
      "import sys, threading\n"
      "sys.setrecursionlimit(1_000_000_000)\n"
      "class Nested:\n"
      "  def __repr__(self):\n"
      "    greedy()\n"
      "    return repr([self])\n" /* through C, so that it takes stack */
      "def target():\n"
      "  try: repr(Nested())\n"
      "  except RecursionError: ended.append(1)\n"
      "ended = []\n");
  recurse(NULL);
  for (size_t kib = 256; kib <= 4096; kib *= 4) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, kib * 1024);
    CHECK(pthread_create(&thread, &attributes, recurse, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    pthread_attr_destroy(&attributes);
  }
  run(interp,
      "t = threading.Thread(target=target)\n"
      "t.start()\n"
      "t.join()\n"
      "assert ended == [1]\n");
  OK(subpy_shutdown(&error));
}
