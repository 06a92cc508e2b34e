/* Interpreters that end while a thread that their code has just started waits for its first GIL. */
#include "race.h"

static counter closes;

static void *closes_at_once(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  while (!race_over) {
    subpy_interp interp = create();
    /* The last of the handlers but the library's own. It does not give the GIL away, so the threads wait for it. */
    run(interp,
        "import _thread, atexit, sys, time\n"
        "sys.setswitchinterval(0.02)\n"
        "def start(now=time.perf_counter):\n"
        "    for _ in range(3): _thread.start_new_thread(len, ('',))\n"
        "    end = now() + 0.002\n"
        "    while now() < end: pass\n"
        "atexit.register(start)");
    OK(subpy_close(interp, &error));
    closes++;
  }
  return NULL;
}

static void *starts_and_closes(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  while (!race_over) {
    subpy_interp interp = create();
    run(interp, "import _thread\nfor _ in range(3): _thread.start_new_thread(sum, (range(1000),))");
    OK(subpy_close(interp, &error));
    closes++;
  }
  return NULL;
}

static bool saw_all(void) { return closes > 0; }

int main(void) {
  race_saw_all = saw_all;
  race(3, (void *(*const[])(void *)){closes_at_once, closes_at_once, closes_at_once}, 3);
  race(3, (void *(*const[])(void *)){starts_and_closes, starts_and_closes, starts_and_closes}, 3);
  shut_down();
  printf("%ld closes\n", closes);
  CHECK(saw_all());
  return 0;
}
