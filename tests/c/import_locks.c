/* Imports keep a lock for each module. One that is stopped, anywhere, does not keep it for good: whoever imports that
 * module later would wait without end. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "guest.h"
#include "memory.h"

static subpy_error *error;

/* What these do over and over is in importlib for the most part. */
#define IMPORTS                                                       \
  "import sys\n"                                                      \
  "def imports():\n"                                                  \
  "  while True:\n"                                                   \
  "    sys.modules.pop('keyword', None); sys.modules.pop('colorsys', None)\n" \
  "    import keyword, colorsys\n"

static void imports_again(subpy_interp interp) {
  run(interp, "for name in 'keyword', 'colorsys': sys.modules.pop(name, None)\nimport keyword, colorsys");
}

static void limits(void) {
  subpy_interp interp = create();
  run(interp, IMPORTS);
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_EXEC, .interp = interp, .text = "imports()",
                               .text_len = SUBPY_AUTO_LEN};
  for (int i = 0; i < 120; i++) {
    request.timeout_ms = 1 + i % 3;
    FAILS(SUBPY_ERROR_TIMEOUT, "...timed out after", subpy_run(&request, NULL, &error));
    imports_again(interp);
  }
  /* Code that only says that it is importlib's. */
  request.timeout_ms = 20;
  request.text = "exec(compile('while True: pass', '<frozen importlib._bootstrap>', 'exec'))";
  FAILS(SUBPY_ERROR_TIMEOUT, "...timed out after", subpy_run(&request, NULL, &error));
  OK(subpy_close(interp, &error));
}

static atomic_bool all_ended;
static useconds_t pause_of;

static void *interrupts(void *interp) {
  for (int i = 0; !all_ended; i++) {
    if (pause_of) usleep(pause_of + i % 7 * 100);
    OK(subpy_interrupt(*(subpy_interp *)interp, NULL));
  }
  return NULL;
}

/* Whether so that most imports end in between, or as often as it can be asked for. */
static void interrupted(useconds_t pause) {
  all_ended = false;
  pause_of = pause;
  subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_SHARE};
  subpy_interp interp = 0;
  pthread_t threads[4];
  OK(subpy_create(&options, &interp, &error));
  run(interp, IMPORTS "ignored = []\nsys.unraisablehook = lambda what: ignored.append(str(what.object))");
  for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, interrupts, &interp) == 0);
  for (int i = 0; i < (pause ? 100 : 500); i++) {
    subpy_status status = subpy_exec(interp, "imports()", SUBPY_AUTO_LEN, NULL);
    CHECK(status == SUBPY_ERROR_INTERRUPTED);
  }
  all_ended = true;
  for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  /* Callbacks of importlib's own, which have taken a lock. */
  run(interp, "assert not ignored, ignored");
  imports_again(interp);
  OK(subpy_close(interp, &error));
}

/* By a thread of its own: one that has taken a lock of importlib's may take it again. */
static void imports_again_elsewhere(subpy_interp interp, int after) {
  subpy_thread thread = 0;
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_EXEC, .interp = interp,
                               .text = "sys.modules.pop('colorsys', None)\nimport colorsys", .text_len = SUBPY_AUTO_LEN};
  OK(subpy_run_in_thread(&request, &thread, &error));
  if (subpy_thread_wait(thread, 20000, NULL, &error) != SUBPY_OK) {
    fprintf(stderr, "a lock is taken for good after %d stops\n", after);
    exit(1);
  }
  OK(subpy_thread_join(thread, NULL, &error));
}

/* What is to be hit may be looked at by another thread of the interpreter, while this one has let go of the GIL. */
static void beside_another(const char *function) {
  subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_SHARE};
  subpy_interp interp = 0;
  OK(subpy_create(&options, &interp, &error));
  run(interp, IMPORTS
      "import threading\n"
      "end = False\n"
      "def beside():\n"
      "  while not end: pass\n"
      "thread = threading.Thread(target=beside)\n"
      "thread.start()\n"
      "def looks_for():\n"
      "  while True:\n"
      "    try: import no_such_module\n"
      "    except ImportError: pass\n"
      /* With __exit__ in Python, and an error that comes from where the GIL is let go of. */
      "condition = threading.Condition(threading.Lock())\n"
      "def fails():\n"
      "  while True:\n"
      "    try:\n"
      "      with condition: open('/no/such/file')\n"
      "    except OSError: pass\n"
      "def is_free():\n"
      "  assert condition.acquire(timeout=20), 'a lock is taken for good'\n"
      "  condition.release()\n");
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_CALL, .interp = interp, .text = function,
                               .text_len = SUBPY_AUTO_LEN};
  for (int i = 0; i < 60; i++) {
    request.timeout_ms = 1 + i % 3;
    FAILS(SUBPY_ERROR_TIMEOUT, "...timed out after", subpy_run(&request, NULL, &error));
    imports_again_elsewhere(interp, i + 1);
    OK(subpy_call(interp, "is_free", SUBPY_AUTO_LEN, NULL, 0, NULL, NULL, &error));
  }
  run(interp, "end = True\nthread.join()");
  OK(subpy_close(interp, &error));
}

/* So does a limit of memory. */
static void without_memory(void) {
  subpy_interp interp = create_with(0, 24 * MIB);
  run(interp, IMPORTS);
  run(interp, "def eats():\n"
              "  kept = []\n"
              "  while True:\n"
              "    kept.append([None] * 2000)\n"
              "    sys.modules.pop('keyword', None)\n"
              "    import keyword");
  for (int i = 0; i < 6; i++) {
    CHECK(subpy_exec(interp, "eats()", SUBPY_AUTO_LEN, NULL) == SUBPY_ERROR_EXECUTION_FAILED);
    imports_again(interp);
  }
  OK(subpy_close(interp, &error));
}

int main(void) {
  alarm(300);
  limits();
  interrupted(1000);
  interrupted(0);
  beside_another("imports");
  beside_another("looks_for");
  beside_another("fails");
  without_memory();
  shut_down();
  return 0;
}
