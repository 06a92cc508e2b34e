/* What a user of the installed library would build. */
#include <stdio.h>
#include <subpy.h>

int main(void) {
  subpy_interp interp = 0;
  subpy_error *error = NULL;
  subpy_value argument = subpy_float(16.0), root = {0};
  if (subpy_create(NULL, &interp, &error) != SUBPY_OK ||
      subpy_call(interp, "math:sqrt", SUBPY_AUTO_LEN, &argument, 1, NULL, &root, &error) != SUBPY_OK) {
    fprintf(stderr, "%s\n", subpy_error_message(error, NULL));
    subpy_error_free(error);
    return 1;
  }
  printf("subpy %s: %.1f\n", subpy_version_string(), root.u.as_float);
  return subpy_version() == SUBPY_VERSION && subpy_shutdown(NULL) == SUBPY_OK ? 0 : 1;
}
