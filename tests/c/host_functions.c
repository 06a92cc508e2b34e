/* Host functions: what goes in, what comes out, and how Python sees them. */
#include "guest.h"
#include "values.h"

static subpy_error *error;

static void add(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata;
  CHECK(nargs == 2 && !kwargs && args[0].kind == SUBPY_KIND_INT && args[1].kind == SUBPY_KIND_INT);
  subpy_value sum = subpy_int(args[0].u.as_int + args[1].u.as_int);
  CHECK(subpy_context_return(ctx, &sum) == SUBPY_OK);
}

int main(void) {
  subpy_interp interp = create();
  OK(subpy_define(interp, "host:add", SUBPY_AUTO_LEN, 0, add, NULL, NULL, &error));
  run(interp, "import host\nassert host.add(2, 3) == 5");
  OK(subpy_close(interp, &error));
  shut_down();
  return 0;
}
