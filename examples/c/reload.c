/*
 * Hot reload: a new version of the code gets an interpreter of its own, and takes over once it has shown that it works. Calls
 * that are under way end in the old one.
 *
 *   cc reload.c $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   Hello, Ada
 *   Good day, Ada (a new version)
 *   refused: SyntaxError: expected ':' (handler.py, line 1)
 *   Good day, Ada (as before)
 */
#include <stdio.h>

#include "subpy.h"

/* The interpreter that answers. In a program with threads it would be read and replaced under a lock. */
static subpy_interp current;

static subpy_status answer(subpy_interp interp, const char *name, const char *note, subpy_error **error) {
  subpy_value argument = subpy_str(name, SUBPY_AUTO_LEN), text = {0};
  subpy_status status = subpy_call(interp, "handle", SUBPY_AUTO_LEN, &argument, 1, NULL, &text, error);
  if (status == SUBPY_OK && note) printf("%.*s%s\n", (int)text.len, text.u.as_str, note);
  subpy_value_free(&text);
  return status;
}

/* The new version comes up beside the old one. Nothing has changed if it does not compile, raises, or answers nonsense. */
static subpy_status reload(const char *source, subpy_error **error) {
  /* Calls wait while another thread is in, and are not refused. */
  subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_WAIT};
  subpy_interp next = 0, old = current;
  subpy_status status = subpy_create(&options, &next, error);
  subpy_run_request load = {.size = sizeof load, .what = SUBPY_RUN_EXEC, .interp = next, .timeout_ms = 5000};
  load.text = source;
  load.text_len = SUBPY_AUTO_LEN;
  load.filename = "handler.py";
  if (status == SUBPY_OK) status = subpy_run(&load, NULL, error);
  if (status == SUBPY_OK) status = answer(next, "a test", NULL, error);
  if (status == SUBPY_OK) current = next; /* from now on calls go to the new one */
  /* The other one is done when its last call is, or when its time is up. */
  subpy_close_options closing = {
      .size = sizeof closing, .timeout_ms = 10000, .flags = SUBPY_CLOSE_DRAIN | SUBPY_CLOSE_INTERRUPT};
  subpy_close_with(status == SUBPY_OK ? old : next, &closing, NULL);
  return status;
}

int main(void) {
  static const char *const versions[] = {
      "def handle(name): return f'Hello, {name}'",
      "def handle(name): return f'Good day, {name}'",
      "def handle(name) return name",
  };
  static const char *const notes[] = {"", " (a new version)", " (as before)"};
  subpy_error *error = NULL;
  for (int i = 0; i < 3; i++) {
    if (reload(versions[i], &error) != SUBPY_OK) printf("refused: %s\n", subpy_error_message(error, NULL));
    subpy_error_free(error);
    if (answer(current, "Ada", notes[i], &error) != SUBPY_OK) puts(subpy_error_message(error, NULL));
    subpy_error_free(error);
  }
  return subpy_shutdown(NULL) == SUBPY_OK ? 0 : 1;
}
