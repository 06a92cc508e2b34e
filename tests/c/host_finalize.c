/* Userdata is finalized exactly once: when Python has given a function up, when its interpreter or the runtime ends, or
 * when it is not registered at all; never while a call is running, and without a GIL. */
#include "guest.h"
#include "values.h"

#include <stdatomic.h>

typedef struct userdata {
  atomic_int calls, running, finalized;
} userdata;

static subpy_error *error;

static void runs(void *data, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)ctx, (void)args, (void)nargs, (void)kwargs;
  userdata *own = data;
  CHECK(!own->finalized);
  own->running++;
  own->calls++;
  usleep(100);
  own->running--;
}

/* It needs a GIL, which nobody here has. Two may be finalized at the same time: one waits for the other. */
static subpy_interp elsewhere;

static void finalize(void *data) {
  userdata *own = data;
  CHECK(own->running == 0 && own->finalized == 0);
  own->finalized++;
  if (elsewhere) {
    subpy_error *failed = NULL;
    subpy_status status = subpy_exec(elsewhere, "x = 1", SUBPY_AUTO_LEN, &failed);
    bool as_expected = status == SUBPY_OK || status == SUBPY_ERROR_NOT_FOUND || status == SUBPY_ERROR_WRONG_STATE;
    if (!as_expected) fprintf(stderr, "%s: %s\n", subpy_status_name(status), subpy_error_message(failed, NULL));
    CHECK(as_expected);
    subpy_error_free(failed);
  }
}

static void define(subpy_interp interp, const char *name, userdata *data) {
  OK(subpy_define(interp, name, SUBPY_AUTO_LEN, 0, runs, data, finalize, &error));
  CHECK(!data->finalized);
}

static void registration_fails(void) {
  subpy_interp interp = create();
  run(interp, "import sys\n"
              "class Refuses(type(sys)):\n"
              "  def __setattr__(self, name, value):\n"
              "    kept.append(value)\n"
              "    raise ValueError('no')\n"
              "kept = []\n"
              "sys.modules['refuses'] = Refuses('refuses')");
  userdata data[8] = {0};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...", subpy_define(interp, "a.b", 3, 0, runs, &data[0], finalize, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...", subpy_define(interp, "f", 1, 99, runs, &data[1], finalize, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...", subpy_define(interp, NULL, 1, 0, runs, &data[2], finalize, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...", subpy_define(interp, "f", 1, 0, NULL, &data[3], finalize, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_define(77, "f", 1, 0, runs, &data[4], finalize, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "ValueError: no",
        subpy_define(interp, "refuses:f", SUBPY_AUTO_LEN, 0, runs, &data[5], finalize, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...RuntimeError: refuses.f() can be called no more", subpy_exec(interp, "kept[0]()", SUBPY_AUTO_LEN, &error));
  subpy_define_options options = {.size = 1};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...",
        subpy_define_with(interp, "f", 1, &options, runs, &data[6], finalize, &error));
  signal_pipe begun = signal_new(), end = signal_new();
  define_block(interp, begun, end);
  subpy_thread thread = block_in_thread(interp, begun);
  FAILS(SUBPY_ERROR_BUSY, "interpreter already running",
        subpy_define(interp, "f", 1, 0, runs, &data[7], finalize, &error));
  end_block(thread, end);
  for (size_t i = 0; i < COUNT(data); i++) CHECK(data[i].finalized == 1);
  OK(subpy_close(interp, &error));
  for (size_t i = 0; i < COUNT(data); i++) CHECK(data[i].finalized == 1);
}

static void given_up(void) {
  subpy_interp interp = create();
  userdata data[6] = {0};
  define(interp, "f", &data[0]);
  run(interp, "f()");
  define(interp, "f", &data[1]); /* defined anew */
  CHECK(data[0].finalized == 1 && data[0].calls == 1);
  run(interp, "f()\nkept = f");
  define(interp, "f", &data[2]);
  CHECK(!data[1].finalized);
  run(interp, "kept()\ndel kept");
  CHECK(data[1].finalized == 1 && data[1].calls == 2);
  run(interp, "def deletes():\n  global f\n  it = f\n  del f\n  it()\ndeletes()");
  CHECK(data[2].finalized == 1 && data[2].calls == 1);
  define(interp, "module:f", &data[3]);
  run(interp, "import module, sys, gc\nmodule.loop = [module]\ndel sys.modules['module'], module\ngc.collect()");
  CHECK(data[3].finalized == 1);
  define(interp, "f", &data[4]);
  run(interp, "f()\ntry: raise ValueError\nexcept ValueError as e:\n  del f\n  assert e.args == ()");
  CHECK(data[4].finalized == 1);
  subpy_function function = 0;
  define(interp, "f", &data[5]);
  OK(subpy_function_new(interp, "f", 1, &function, &error));
  run(interp, "del f");
  CHECK(!data[5].finalized);
  OK(subpy_function_call(function, NULL, 0, NULL, NULL, &error));
  subpy_function_free(function);
  run(interp, "1");
  CHECK(data[5].finalized == 1 && data[5].calls == 1);
  OK(subpy_close(interp, &error));
  for (size_t i = 0; i < COUNT(data); i++) CHECK(data[i].finalized == 1);
}

/* References that nothing ever gives back; and code that runs late. */
static void at_close(void) {
  subpy_interp interp = create();
  userdata data[5] = {0};
  define(interp, "plain", &data[0]);
  define(interp, "leaked", &data[1]);
  define(interp, "host:late", &data[2]);
  define(interp, "loop", &data[3]);
  define(interp, "in_atexit", &data[4]);
  run(interp, "import atexit, ctypes, host\n"
              "ctypes.pythonapi.Py_IncRef(ctypes.py_object(leaked))\n"
              "class Late:\n  def __del__(self, late=host.late): late()\n"
              "late = Late()\n"
              "import codecs\n"
              "class Later:\n"
              "  def __call__(self, name): return None\n"
              "  def __del__(self, late=host.late): late()\n"
              "codecs.register(Later())\n"
              "one = [loop]; one.append(one)\n"
              "atexit.register(in_atexit)");
  OK(subpy_close(interp, &error));
  for (size_t i = 0; i < COUNT(data); i++) CHECK(data[i].finalized == 1);
  CHECK(data[2].calls >= 1 && data[4].calls == 1);
}

/* A daemon thread is in a call when its interpreter ends: the call goes on, and is finalized after it. */
static signal_pipe begun, end;
static atomic_int over;

static void blocks(void *data, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)args, (void)nargs, (void)kwargs;
  userdata *own = data;
  own->running++;
  signal_send(begun);
  signal_wait(end);
  /* Its interpreter is gone, and so is what this thread has in it. */
  CHECK(subpy_exec(subpy_context_interp(ctx), "1", SUBPY_AUTO_LEN, NULL) == SUBPY_ERROR_NOT_FOUND);
  CHECK(subpy_context_return(ctx, NULL) == SUBPY_OK);
  CHECK(!own->finalized);
  own->running--;
  over++;
}

static void daemons(bool detached_too) {
  begun = signal_new(), end = signal_new();
  over = 0;
  userdata data = {0}, other = {0};
  subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_ALLOW_DAEMON_THREADS};
  subpy_interp interp = 0;
  OK(subpy_create(&options, &interp, &error));
  OK(subpy_define(interp, "blocks", SUBPY_AUTO_LEN, 0, blocks, &data, finalize, &error));
  define(interp, "other", &other);
  run(interp, detached_too ? "import _thread\n_thread.start_new_thread(blocks, ())"
                           : "import threading\nthreading.Thread(target=blocks, daemon=True).start()");
  signal_wait(begun);
  OK(subpy_close(interp, &error));
  CHECK(other.finalized == 1 && !data.finalized);
  signal_send(end);
  for (int i = 0; i < 10000 && !data.finalized; i++) usleep(1000);
  CHECK(data.finalized == 1 && over == 1);
}

static void at_shutdown(void) {
  userdata data[3] = {0};
  subpy_interp main_one = 0, interp = create();
  OK(subpy_get_main(&main_one, &error));
  define(main_one, "f", &data[0]);
  define(interp, "f", &data[1]);
  define(main_one, "leaked", &data[2]);
  run(main_one, "import ctypes\nctypes.pythonapi.Py_IncRef(ctypes.py_object(leaked))\nf()");
  elsewhere = 0;
  shut_down();
  for (size_t i = 0; i < COUNT(data); i++) CHECK(data[i].finalized == 1);
  shut_down();
  /* In the next runtime the same ids come again. */
  userdata next = {0};
  interp = create();
  define(interp, "f", &next);
  run(interp, "f()");
  shut_down();
  for (size_t i = 0; i < COUNT(data); i++) CHECK(data[i].finalized == 1);
  CHECK(next.finalized == 1 && next.calls == 1);
}

/* A guest destroys the interpreter. */
static void destroyed(void) {
  userdata data[2] = {0};
  subpy_interp interp = create(), guest = create();
  int64_t id = 0;
  char code[200];
  define(interp, "f", &data[0]);
  define(interp, "leaked", &data[1]);
  run(interp, "import ctypes, codecs\nctypes.pythonapi.Py_IncRef(ctypes.py_object(leaked))\n"
              "class Later:\n"
              "  def __call__(self, name): return None\n"
              "  def __del__(self, late=f): late()\n"
              "codecs.register(Later())\n");
  OK(subpy_id(interp, &id, &error));
  snprintf(code, sizeof code, "import _interpreters\n_interpreters.destroy(%" PRId64 ")", id);
  run(guest, code);
  CHECK(data[0].finalized == 1 && data[1].finalized == 1);
  OK(subpy_close(guest, &error));
}

int main(void) {
  subpy_interp_options waits = {.size = sizeof waits, .busy = SUBPY_BUSY_WAIT};
  OK(subpy_create(&waits, &elsewhere, &error));
  registration_fails();
  given_up();
  at_close();
  daemons(false);
  daemons(true);
  if (!in_processes()) destroyed(); /* no guest of another one sees it */
  at_shutdown();
  return 0;
}
