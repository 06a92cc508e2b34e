/* Two shutdowns that wait for each other's interpreters: one of them has to give way, and both end. */
#include "closing.h"
#include "race.h"

enum { INTERPS = 4, TIMES = 40 };

static pthread_barrier_t both;

static void *shuts_down(void *unused) {
  (void)unused;
  for (int i = 0; i < TIMES; i++) {
    pthread_barrier_wait(&both);
    shut_down_at_last();
    pthread_barrier_wait(&both);
  }
  return NULL;
}

int main(void) {
  alarm(500);
  pthread_t threads[2];
  CHECK(pthread_barrier_init(&both, NULL, 3) == 0);
  for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, shuts_down, NULL) == 0);
  for (int i = 0; i < TIMES; i++) {
    for (int j = 0; j < INTERPS; j++) create();
    pthread_barrier_wait(&both);
    pthread_barrier_wait(&both);
  }
  for (int i = 0; i < 2; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  return 0;
}
