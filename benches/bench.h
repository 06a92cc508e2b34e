/* What the benchmarks share: a clock, medians, and giving up. */
#ifndef BENCH_H
#define BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "subpy.h"

static inline double now_us(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static inline int compare(const void *one, const void *other) {
  double a = *(const double *)one, b = *(const double *)other;
  return (a > b) - (a < b);
}

/** Sorts them. */
static inline double median(double *values, size_t count) {
  qsort(values, count, sizeof *values, compare);
  return (values[count / 2] + values[(count - 1) / 2]) / 2;
}

static inline void expect(subpy_status status, const subpy_error *error) {
  if (status == SUBPY_OK) return;
  fprintf(stderr, "%s: %s\n", subpy_status_name(status), subpy_error_message(error, NULL));
  exit(1);
}

#endif
