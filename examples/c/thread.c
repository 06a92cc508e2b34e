/*
 * Threads: two interpreters count primes at the same time, each with its own GIL. Then a failure comes out of a join.
 *
 *   cc thread.c $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   primes below 20000: 2262
 *   primes below 30000: 3245
 *   the third run failed: TypeError: 'str' object cannot be interpreted as an integer
 */
#include <stdio.h>

#include "subpy.h"

static const char *definitions =
    "def primes(limit):\n"
    "    return sum(all(n % d for d in range(2, int(n ** 0.5) + 1)) for n in range(2, limit))\n";

static int give_up(subpy_error *error) {
  fprintf(stderr, "%s\n", subpy_error_message(error, NULL));
  subpy_error_free(error);
  return 1;
}

int main(void) {
  const int limits[] = {20000, 30000};
  subpy_interp interps[2] = {0};
  subpy_thread threads[2] = {0}, third = 0;
  subpy_error *error = NULL;

  for (int i = 0; i < 2; i++) {
    subpy_value limit = subpy_int(limits[i]);  /* copied before the function returns */
    if (subpy_create(NULL, &interps[i], &error) != SUBPY_OK ||
        subpy_exec(interps[i], definitions, SUBPY_AUTO_LEN, &error) != SUBPY_OK ||
        subpy_call_in_thread(interps[i], "primes", SUBPY_AUTO_LEN, &limit, 1, NULL, &threads[i], &error) != SUBPY_OK)
      return give_up(error);
  }

  for (int i = 0; i < 2; i++) {
    subpy_value count = {0};
    if (subpy_thread_join(threads[i], &count, &error) != SUBPY_OK)
      return give_up(error);
    printf("primes below %d: %d\n", limits[i], (int)count.u.as_int);
  }

  /* What goes wrong in a thread comes out where it is joined. One that nobody joins prints it: subpy_thread_free(). */
  subpy_value wrong = subpy_str("many", SUBPY_AUTO_LEN);
  if (subpy_call_in_thread(interps[0], "primes", SUBPY_AUTO_LEN, &wrong, 1, NULL, &third, &error) != SUBPY_OK)
    return give_up(error);
  if (subpy_thread_join(third, NULL, &error) == SUBPY_ERROR_EXECUTION_FAILED)
    printf("the third run failed: %s\n", subpy_error_message(error, NULL));
  subpy_error_free(error);
  return subpy_shutdown(NULL) == SUBPY_OK ? 0 : 1;
}
