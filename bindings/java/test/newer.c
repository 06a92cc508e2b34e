// A library of another version, made of the one that these tests use, to which it is linked: with VERSION it says that
// it is of that version, otherwise its subpy_eval() returns what a newer one may have.
#include <string.h>

#include "subpy.h"

#ifdef VERSION
uint32_t subpy_version(void) { return VERSION; }
#else
subpy_status subpy_eval(subpy_interp interp, const char *text, size_t len, subpy_value *result, subpy_error **error) {
  (void)interp;
  memset(result, 0, sizeof *result);
  *error = NULL;
  if (len == strlen("status") && memcmp(text, "status", len) == 0) return -77;
  result->kind = 77;
  return SUBPY_OK;
}
#endif
