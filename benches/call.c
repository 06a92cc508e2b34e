/*
 * f(a, b) and exec("x = 1"), through subpy and through the plain C API, side by side in one process and one CPython:
 * each round times one batch of both, in turns the one and the other first. Prints, in microseconds,
 *
 *   name <TAB> raw <TAB> subpy <TAB> the median of the rounds' ratios
 *
 * The plain C API is a little faster without the precaution that raw_create() explains; a line of its own shows that.
 */
#define _GNU_SOURCE
#include "bench.h"
#include "raw.h"

enum { ROUNDS = 301 };

static subpy_interp ours;
static raw_interp theirs, fastest;
static volatile int64_t sum;

static void subpy_calls(int count) {
  subpy_error *error = NULL;
  for (int i = 0; i < count; i++) {
    subpy_value args[] = {subpy_int(i), subpy_int(2000)}, result;
    expect(subpy_call(ours, "f", SUBPY_AUTO_LEN, args, 2, NULL, &result, &error), error);
    sum += result.u.as_int;
    subpy_value_free(&result);
  }
}

static void raw_calls(int count) {
  for (int i = 0; i < count; i++) sum += raw_call(&theirs, "f", i, 2000);
}

static void fastest_raw_calls(int count) {
  for (int i = 0; i < count; i++) sum += raw_call(&fastest, "f", i, 2000);
}

static void subpy_execs(int count) {
  subpy_error *error = NULL;
  for (int i = 0; i < count; i++) expect(subpy_exec(ours, "x = 1", SUBPY_AUTO_LEN, &error), error);
}

static void raw_execs(int count) {
  for (int i = 0; i < count; i++) raw_exec(&theirs, "x = 1");
}

static double time_of(void (*run)(int), int count) {
  double start = now_us();
  run(count);
  return (now_us() - start) / count;
}

static void compare_runs(const char *what, const char *where, void (*limit)(int), void (*subject)(int), int count) {
  double raw_times[ROUNDS], subpy_times[ROUNDS], ratios[ROUNDS];
  limit(count);
  subject(count);
  for (int round = 0; round < ROUNDS; round++) {
    if (round % 2) subpy_times[round] = time_of(subject, count);
    raw_times[round] = time_of(limit, count);
    if (!(round % 2)) subpy_times[round] = time_of(subject, count);
    ratios[round] = subpy_times[round] / raw_times[round];
  }
  printf("%s, %s\t%.3f\t%.3f\t%.3f\n", what, where, median(raw_times, ROUNDS), median(subpy_times, ROUNDS),
         median(ratios, ROUNDS));
}

static void *compare_all(void *where) {
  compare_runs("call f(a, b)", where, raw_calls, subpy_calls, 2000);
  compare_runs("  raw without precaution", where, fastest_raw_calls, subpy_calls, 2000);
  compare_runs("exec x = 1", where, raw_execs, subpy_execs, 200);
  return NULL;
}

int main(void) {
  static const char *source = "def f(a, b): return a + b";
  subpy_error *error = NULL;
  expect(subpy_create(NULL, &ours, &error), error);
  raw_load(RTLD_DEFAULT);
  theirs = raw_create(true);
  fastest = raw_create(false);
  expect(subpy_exec(ours, source, SUBPY_AUTO_LEN, &error), error);
  raw_exec(&theirs, source);
  raw_exec(&fastest, source);

  compare_all("main thread");
  pthread_t thread;
  pthread_create(&thread, NULL, compare_all, "worker thread");
  pthread_join(thread, NULL);

  raw_close(theirs);
  raw_close(fastest);
  expect(subpy_shutdown(&error), error);
  return 0;
}
