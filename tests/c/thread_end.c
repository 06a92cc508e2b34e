/* Runs while the thread ends: in the destructor of a thread-specific value, when the library's own thread-locals may be gone. */
#include <pthread.h>

#include "values.h"

enum { ROUNDS = 3 };

static pthread_key_t key;
static subpy_interp interp, other;
static subpy_function function;
static int done;

/* glibc calls it again as long as it sets the value again; each round is later than the one before. */
static void at_the_end(void *round) {
  subpy_error *error = NULL;
  run(interp, "ended += 1");
  OK(subpy_function_call(function, NULL, 0, NULL, NULL, &error));
  OK(subpy_enter(interp, &error));
  OK(subpy_enter(interp, &error));
  run(interp, "ended += 1");
  bool running = true;
  OK(subpy_is_running(interp, &running, &error));
  CHECK(!running);
  subpy_interp made = create();
  OK(subpy_close(made, &error));
  done++;
  if ((intptr_t)round < ROUNDS) CHECK(pthread_setspecific(key, (char *)round + 1) == 0);
}

static void *work(void *entered) {
  subpy_error *error = NULL;
  run(interp, "x = 1");
  if (entered) OK(subpy_enter(other, &error));
  CHECK(pthread_setspecific(key, (void *)1) == 0);
  return NULL;
}

int main(void) {
  subpy_error *error = NULL;
  interp = create();
  other = create();
  run(interp, "ended = 0\ndef f(): global ended; ended += 1");
  OK(subpy_function_new(interp, "f", SUBPY_AUTO_LEN, &function, &error));
  CHECK(pthread_key_create(&key, at_the_end) == 0);
  for (intptr_t entered = 0; entered < 2; entered++) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, work, (void *)entered) == 0 && pthread_join(thread, NULL) == 0);
  }
  CHECK(done == 2 * ROUNDS);
  subpy_value ended = eval(interp, "ended");
  CHECK(ended.u.as_int == 3 * done);
  OK(subpy_close(other, &error));
  OK(subpy_close(interp, &error));
  shut_down();
  return 0;
}
