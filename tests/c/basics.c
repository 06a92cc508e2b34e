/* The first program that a user writes. */
#include "test.h"

int main(void) {
  subpy_error *error = NULL;
  CHECK(subpy_python_version() == NULL);
  subpy_interp first = create(), second = create();
  CHECK(subpy_python_version() != NULL && strncmp(subpy_python_version(), "3.", 2) == 0);

  run(first, "def add(a, b): return a + b");
  subpy_value args[] = {subpy_int(40), subpy_int(2)}, result = {0};
  OK(subpy_call(first, "add", SUBPY_AUTO_LEN, args, 2, NULL, &result, &error));
  CHECK(result.kind == SUBPY_KIND_INT && result.u.as_int == 42);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "AttributeError: module '__main__' has no attribute 'add'",
        subpy_call(second, "add", SUBPY_AUTO_LEN, args, 2, NULL, &result, &error));
  CHECK(result.kind == SUBPY_KIND_NONE);

  OK(subpy_close(first, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, in_processes() ? "unrecognized interpreter ID 2147483648" : "unrecognized interpreter ID 1", subpy_close(first, &error));
  run(second, "still = 'here'");
  shut_down();
  FAILS(SUBPY_ERROR_NOT_FOUND, in_processes() ? "unrecognized interpreter ID 2147483649" : "unrecognized interpreter ID 2", subpy_exec(second, "", 0, &error));
  return 0;
}
