/* A host that has started CPython itself finalizes it, with host functions and outputs that are registered: each userdata
 * is finalized once, and the library can do nothing any more that would be in the way. */
#include "host.h"
#include "closing.h"
#include "values.h"

static subpy_error *error;
static subpy_interp main_one, other;

enum { IN_MAIN, IN_MAIN_LEAKED, IN_OTHER, IN_OTHER_LEAKED, OUTPUT, COUNT_OF_ALL };
static int called[COUNT_OF_ALL], finalized[COUNT_OF_ALL];
static size_t printed;

static void calls(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)ctx, (void)args, (void)nargs, (void)kwargs;
  CHECK(!finalized[(intptr_t)userdata]);
  called[(intptr_t)userdata]++;
}

static void prints(void *userdata, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  (void)userdata, (void)interp, (void)stream, (void)text;
  CHECK(!finalized[OUTPUT]);
  printed += len;
}

/* CPython is ending: nothing can begin or be waited for. */
static void finalizes(void *userdata) {
  finalized[(intptr_t)userdata]++;
  subpy_interp created = 1;
  CHECK(subpy_create(NULL, &created, NULL) == SUBPY_ERROR_WRONG_STATE && created == 0);
  CHECK(subpy_exec(other, "1", 1, NULL) != SUBPY_OK);
  CHECK(close_in(other, -1, SUBPY_CLOSE_INTERRUPT, NULL) != SUBPY_OK);
  (void)shut_down_in(-1, SUBPY_CLOSE_INTERRUPT, NULL);
}

static void define(subpy_interp interp, const char *name, intptr_t which) {
  OK(subpy_define(interp, name, SUBPY_AUTO_LEN, 0, calls, (void *)which, finalizes, &error));
}

static void a_life(void) {
  memset(called, 0, sizeof called);
  memset(finalized, 0, sizeof finalized);
  printed = 0;
  void (*initialize)(int);
  *(void **)&initialize = symbol("Py_InitializeEx");
  initialize(0);
  OK(subpy_get_main(&main_one, &error));
  other = create();
  define(main_one, "host:f", IN_MAIN);
  define(main_one, "leaked", IN_MAIN_LEAKED);
  define(other, "f", IN_OTHER);
  define(other, "host:leaked", IN_OTHER_LEAKED);
  OK(subpy_set_output(other, prints, (void *)OUTPUT, finalizes, &error));
  run(main_one, "import atexit, ctypes, host\n"
                "ctypes.pythonapi.Py_IncRef(ctypes.py_object(leaked))\n"
                "atexit.register(host.f)\n"
                "class Late:\n  def __del__(self, late=leaked): late()\n"
                "late = Late()");
  run(other, "import atexit, ctypes, host\n"
             "ctypes.pythonapi.Py_IncRef(ctypes.py_object(host.leaked))\n"
             "atexit.register(print, 'bye')\n"
             "atexit.register(f)");
  int (*finalize_python)(void);
  *(void **)&finalize_python = symbol("Py_FinalizeEx");
  finalize_python();
  for (int i = 0; i < COUNT_OF_ALL; i++) CHECK(finalized[i] == 1);
  CHECK(called[IN_MAIN] == 1 && called[IN_MAIN_LEAKED] == 1 && called[IN_OTHER] == 1 && printed == 4);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_exec(other, "1", 1, &error));
}

static void lives(void) {
  load_python();
  for (int i = 0; i < 2; i++) a_life();
}

int main(void) {
  find_python();
  lives();
  return 0;
}
