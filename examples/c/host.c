/*
 * Host functions: Python code calls a function of this program's.
 *
 *   cc host.c $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   Hello, Ada! (2)
 *   greet() wants a name
 *   Hello is needed no more
 */
#include <stdio.h>

#include "subpy.h"

/* greet(name, *, times=1): the text, or ValueError. */
static void greet(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs,
                  const subpy_value *kwargs) {
  const char *greeting = userdata;
  if (nargs != 1 || args[0].kind != SUBPY_KIND_STR || args[0].len == 0) {
    subpy_context_raise(ctx, "ValueError", SUBPY_AUTO_LEN, "greet() wants a name", SUBPY_AUTO_LEN);
    return;
  }
  const subpy_value *times = kwargs ? subpy_value_get(kwargs, "times", SUBPY_AUTO_LEN) : NULL;
  char text[200];
  snprintf(text, sizeof text, "%s, %.*s! (%d)", greeting, (int)args[0].len, args[0].u.as_str,
           times && times->kind == SUBPY_KIND_INT ? (int)times->u.as_int : 1);
  subpy_value result = subpy_str(text, SUBPY_AUTO_LEN);
  subpy_context_return(ctx, &result); /* copied at once */
}

static void goodbye(void *userdata) { printf("%s is needed no more\n", (const char *)userdata); }

int main(void) {
  subpy_interp interp = 0;
  subpy_error *error = NULL;
  if (subpy_create(NULL, &interp, &error) == SUBPY_OK &&
      subpy_define(interp, "host:greet", SUBPY_AUTO_LEN, 0, greet, "Hello", goodbye, &error) == SUBPY_OK) {
    subpy_exec(interp,
               "import host\n"
               "print(host.greet('Ada', times=2))\n"
               "try: host.greet()\n"
               "except ValueError as e: print(e)",
               SUBPY_AUTO_LEN, &error);
  }
  if (error) printf("%s\n", subpy_error_message(error, NULL));
  int failed = error != NULL;
  subpy_error_free(error);
  subpy_shutdown(NULL);
  return failed;
}
