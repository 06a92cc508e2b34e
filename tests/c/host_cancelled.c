/* Host functions that take long, and look whether their run is to end. */
#include "guest.h"

static subpy_error *error;
static subpy_context *kept;
static subpy_cancel cancel;

static void waits(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)args, (void)nargs, (void)kwargs;
  CHECK(!subpy_context_cancelled(ctx));
  if (userdata) subpy_cancel_fire(*(subpy_cancel *)userdata);
  while (!subpy_context_cancelled(ctx)) continue;
  kept = ctx;
}

/* It does not return, but raises: there is no Python code any more that could be interrupted. */
static void gives_up(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)args, (void)nargs, (void)kwargs;
  while (!subpy_context_cancelled(ctx)) continue;
  OK(subpy_context_raise(ctx, "RuntimeError", SUBPY_AUTO_LEN, "gave up", SUBPY_AUTO_LEN));
}

static void raises_endless(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)args, (void)nargs, (void)kwargs;
  OK(subpy_context_raise(ctx, "__main__:Endless", SUBPY_AUTO_LEN, "", 0));
}

static void looks(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)args, (void)nargs, (void)kwargs;
  *(bool *)userdata = subpy_context_cancelled(ctx);
}

int main(void) {
  subpy_interp interp;
  OK(subpy_create(NULL, &interp, &error));
  bool cancelled = true;
  OK(subpy_define(interp, "looks", SUBPY_AUTO_LEN, 0, looks, &cancelled, NULL, &error));
  run(interp, "looks()");
  CHECK(!cancelled);

  OK(subpy_define(interp, "waits", SUBPY_AUTO_LEN, 0, waits, NULL, NULL, &error));
  subpy_run_request request = {
      .size = sizeof request, .interp = interp, .what = SUBPY_RUN_EXEC, .text = "waits()\nwhile True: pass", .text_len = SUBPY_AUTO_LEN, .timeout_ms = 50};
  CHECK(subpy_run(&request, NULL, NULL) == SUBPY_ERROR_TIMEOUT);
  CHECK(!subpy_context_cancelled(kept) && !subpy_context_cancelled(NULL));

  OK(subpy_cancel_new(&cancel, &error));
  OK(subpy_define(interp, "waits", SUBPY_AUTO_LEN, 0, waits, &cancel, NULL, &error));
  request.timeout_ms = 0;
  request.cancel = cancel;
  CHECK(subpy_run(&request, NULL, NULL) == SUBPY_ERROR_INTERRUPTED);
  subpy_cancel_free(cancel);

  OK(subpy_define(interp, "gives_up", SUBPY_AUTO_LEN, 0, gives_up, NULL, NULL, &error));
  request.timeout_ms = 20;
  request.cancel = 0;
  const char *codes[] = {"gives_up()", "try: gives_up()\nfinally: x = 1", "list(map(lambda _: gives_up(), [1]))"};
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    request.text = codes[i];
    FAILS(SUBPY_ERROR_TIMEOUT, "...timed out after 20 ms: RuntimeError: gave up", subpy_run(&request, NULL, &error));
  }
  /* Code that does not want to be interrupted sees a KeyboardInterrupt, also out of the constructor of an exception. */
  OK(subpy_define(interp, "raises", SUBPY_AUTO_LEN, 0, raises_endless, NULL, NULL, &error));
  request.text = "class Endless(Exception):\n"
                 "  def __init__(self, message):\n"
                 "    while True: pass\n"
                 "try: raises()\n"
                 "except Exception as e: wrong = repr(e)";
  FAILS(SUBPY_ERROR_TIMEOUT, "...timed out after 20 ms: KeyboardInterrupt", subpy_run(&request, NULL, &error));

  cancelled = true;
  run(interp, "looks()"); /* the next run is not */
  CHECK(!cancelled);
  OK(subpy_shutdown(&error));
}
