/* Defining, redefining and calling host functions, while interpreters close, are destroyed, and all shuts down: each
 * userdata is finalized once, and no call comes after that. */
#include "race.h"
#include "values.h"

typedef struct userdata {
  atomic_int running, finalized;
  bool keeps_gil;
} userdata;

static _Atomic subpy_interp current;
static counter defined, finalized, calls, refused, closed;

static void runs(void *data, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)nargs, (void)kwargs;
  userdata *own = data;
  own->running++;
  CHECK(!own->finalized);
  calls++;
  /* Once in a while more of the same interpreter, which may be ending. A function that keeps the GIL would not come back
   * then on a daemon thread: CPython parks it (docs/host-functions.md). */
  if (!own->keeps_gil && args[0].kind == SUBPY_KIND_INT && args[0].u.as_int % 8 == 0) {
    subpy_error *error = NULL;
    subpy_status status = subpy_exec(subpy_context_interp(ctx), "x = 1", SUBPY_AUTO_LEN, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY, SUBPY_ERROR_NOT_FOUND);
  }
  CHECK(subpy_context_return(ctx, &args[0]) == SUBPY_OK);
  CHECK(!own->finalized);
  own->running--;
}

static void finalize(void *data) {
  userdata *own = data;
  CHECK(own->running == 0 && own->finalized == 0);
  own->finalized++;
  finalized++;
  free(own);
}

static void *defines(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  while (!race_over) {
    userdata *own = calloc(1, sizeof *own);
    CHECK(own);
    defined++;
    own->keeps_gil = defined % 3 == 0;
    const char *names[] = {"f", "host:f", "new.module:f", "host:g"};
    subpy_status status = subpy_define(current, names[defined % 4], SUBPY_AUTO_LEN,
                                       own->keeps_gil ? SUBPY_DEFINE_KEEP_GIL : 0, runs, own, finalize, &error);
    refused += status != SUBPY_OK;
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_WRONG_STATE);
  }
  return NULL;
}

static void *calls_it(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  while (!race_over) {
    subpy_status status = subpy_exec(current,
                                     "import sys, threading\n"
                                     "host = sys.modules.get('host')\n"
                                     "found = [globals().get('f'), getattr(host, 'f', None), getattr(host, 'g', None)]\n"
                                     "def call():\n"
                                     "  for i in range(20):\n"
                                     "    for it in found:\n"
                                     "      if it: assert it(i) == i\n"
                                     "call()\n"
                                     "threads = [threading.Thread(target=call, daemon=True) for _ in range(2)]\n"
                                     "for thread in threads: thread.start()",
                                     SUBPY_AUTO_LEN, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_WRONG_STATE);
  }
  return NULL;
}

static subpy_interp create_sharing(void) {
  subpy_error *error = NULL;
  subpy_interp_options options = {
      .size = sizeof options, .busy = SUBPY_BUSY_SHARE, .flags = SUBPY_INTERP_ALLOW_DAEMON_THREADS};
  subpy_interp interp = 0;
  OK(subpy_create(&options, &interp, &error));
  return interp;
}

static void *closes(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  subpy_interp guest = create();
  run(guest, "import _interpreters");
  while (!race_over) {
    usleep(3000);
    subpy_interp old = atomic_exchange(&current, create_sharing());
    for (int again = 0;; again++) {
      subpy_status status = SUBPY_OK;
      if (again % 4 == 3) {
        int64_t id = 0;
        char code[100];
        if (subpy_id(old, &id, NULL) == SUBPY_OK) {
          snprintf(code, sizeof code, "try: _interpreters.destroy(%" PRId64 ")\nexcept Exception: pass", id);
          run(guest, code);
        }
      }
      status = subpy_close(old, &error);
      bool done = status != SUBPY_ERROR_BUSY;
      EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY, SUBPY_ERROR_NOT_FOUND);
      if (done) break;
    }
    closed++;
  }
  OK(subpy_close(guest, &error));
  return NULL;
}

/* Ends everything beside those that define and call, when it can. */
static void *shuts_down(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  while (!race_over || closed == 0) {
    usleep(2000);
    subpy_status status = subpy_shutdown(&error);
    closed += status == SUBPY_OK;
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY);
    if (status == SUBPY_OK) current = create_sharing();
  }
  return NULL;
}

static bool saw_all(void) {
  return calls > 0 && closed > 0;
}

static void all_over(const char *what) {
  while (subpy_shutdown(NULL) == SUBPY_ERROR_BUSY) usleep(1000);
  for (int i = 0; i < 10000 && finalized < defined; i++) usleep(1000);
  printf("%s: %ld defined, %ld finalized, %ld refused, %ld calls, %ld closed\n", what, defined, finalized, refused, calls, closed);
  CHECK(finalized == defined && saw_all() && refused < defined);
  defined = finalized = calls = refused = closed = 0;
}

int main(void) {
  current = create_sharing();
  race_saw_all = saw_all;
  race(3, (void *(*const[])(void *)){defines, defines, calls_it, closes}, 4);
  all_over("close");
  current = create_sharing();
  race(3, (void *(*const[])(void *)){defines, calls_it, shuts_down}, 3);
  all_over("shutdown");
  return 0;
}
