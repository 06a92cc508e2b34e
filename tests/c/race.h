/* For tests that race: threads that do one thing again and again until the time is over. */
#ifndef RACE_H
#define RACE_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "guest.h"

static atomic_bool race_over;

/* How often something was seen, for the last line of a test and its checks. */
typedef atomic_long counter;

/* If it is set: whether all was seen that the test is about. A slow machine needs more time for that. */
static bool (*race_saw_all)(void);

static inline void *race_timer(void *seconds) {
  struct timespec time = {*(int *)seconds, 0}, a_moment = {0, 20000000};
  nanosleep(&time, NULL);
  for (int i = 0; i < 3000 && race_saw_all && !race_saw_all(); i++) nanosleep(&a_moment, NULL);
  race_over = true;
  return NULL;
}

/* Runs each function on a thread of its own, until `seconds` are over, all was seen (or a minute more is over) and all
 * have returned. They look at race_over. */
static inline void race(int seconds, void *(*const functions[])(void *), int count) {
  pthread_t threads[16], timer;
  CHECK(count <= 16);
  race_over = false;
  CHECK(pthread_create(&timer, NULL, race_timer, &seconds) == 0);
  for (int i = 0; i < count; i++) CHECK(pthread_create(&threads[i], NULL, functions[i], (void *)(intptr_t)i) == 0);
  for (int i = 0; i < count; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  CHECK(pthread_join(timer, NULL) == 0);
}

/* The status is one of those that may come; anything else ends the program with what was said. */
#define EXPECT_ONE_OF(status, error, ...)                                                                    \
  do {                                                                                                       \
    const subpy_status may_be_[] = {__VA_ARGS__};                                                            \
    bool is_ = false;                                                                                        \
    for (size_t i_ = 0; i_ < sizeof may_be_ / sizeof *may_be_; i_++) is_ = is_ || may_be_[i_] == (status);   \
    if (!is_) {                                                                                              \
      fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, subpy_status_name(status),                      \
              error ? subpy_error_message(error, NULL) : "(no error)");                                      \
      exit(1);                                                                                               \
    }                                                                                                        \
    subpy_error_free(error);                                                                                 \
    error = NULL;                                                                                            \
  } while (0)

#endif
