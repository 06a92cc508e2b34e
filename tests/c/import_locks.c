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
  without_memory();
  shut_down();
  return 0;
}
