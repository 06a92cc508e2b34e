/* Two threads that get their results at one place, which ThreadSanitizer must see in the library: `tests/run tsan` expects this
 * to fail. */
#include <pthread.h>

#include "../c/guest.h"

static subpy_value shared;

static void *evaluates(void *interp) {
  subpy_error *error = NULL;
  for (int i = 0; i < 20000; i++) OK(subpy_eval(*(subpy_interp *)interp, "1.5", SUBPY_AUTO_LEN, &shared, &error));
  return NULL;
}

int main(void) {
  subpy_error *error = NULL;
  subpy_interp interps[2] = {create(), create()};
  pthread_t threads[2];
  for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, evaluates, &interps[i]) == 0);
  for (int i = 0; i < 2; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  for (int i = 0; i < 2; i++) OK(subpy_close(interps[i], &error));
  shut_down();
  return 0;
}
