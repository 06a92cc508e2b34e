/*
 * How fair a gate is, and what that costs: threads that call an empty function of one interpreter without a pause, beside
 * one thread alone.
 *
 *   fairness PYTHON GATE MODE THREADS SECONDS
 *
 * GATE is wait (SUBPY_BUSY_WAIT), share (SUBPY_BUSY_SHARE) or mutex (a pthread mutex around an interpreter that refuses).
 * MODE is function (prepared) or session (prepared, inside subpy_enter()). One thread and all threads take turns of a
 * second and less, so that what else the machine does meets both.
 *
 * One line of name=value comes out. calls_1 and calls_n: calls a second of one thread, and of all threads together. ratio:
 * the second by the first. fair: calls of the slowest thread by those of the fastest, in the median and in the worst
 * second. p50 to max: how long a call took, all in all, in microseconds. waits: calls a second that took longer than
 * 20 us, and wait_p50 is their median.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "subpy.h"

enum { MOST_THREADS = 64, MOST_ROUNDS = 600, ALONE_MS = 300, TOGETHER_MS = 1000, STEPS = 16, BUCKETS = 64 * STEPS };

static subpy_interp interp;
static subpy_function function;
static bool in_session, with_mutex;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t barrier;
static bool stop;

typedef struct {
  uint64_t calls, longest, buckets[BUCKETS];
} counts;

static void expect(subpy_status status, const subpy_error *error) {
  if (status == SUBPY_OK) return;
  fprintf(stderr, "%s: %s\n", subpy_status_name(status), subpy_error_message(error, NULL));
  exit(1);
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/** The processor's own clock: to read it costs much less than a call. */
static uint64_t ticks(void) { return __builtin_ia32_rdtsc(); }

/** Sixteen buckets for each power of two. */
static unsigned bucket_of(uint64_t value) {
  if (value < STEPS) return (unsigned)value;
  unsigned power = 63 - (unsigned)__builtin_clzll(value);
  return (power - 3) * STEPS + (unsigned)((value >> (power - 4)) & (STEPS - 1));
}

static double bucket_value(unsigned bucket) {
  if (bucket < STEPS) return bucket;
  return (double)(UINT64_C(1) << (bucket / STEPS - 1)) * (STEPS + bucket % STEPS + 0.5);
}

static void call(void) {
  subpy_error *error = NULL;
  if (with_mutex) pthread_mutex_lock(&mutex);
  subpy_status status = subpy_function_call(function, NULL, 0, NULL, NULL, &error);
  if (with_mutex) pthread_mutex_unlock(&mutex);
  expect(status, error);
}

static void *calls(void *argument) {
  counts *mine = (counts *)argument;
  subpy_error *error = NULL;
  if (in_session) expect(subpy_enter(interp, &error), error);
  call();
  pthread_barrier_wait(&barrier);
  uint64_t before = ticks();
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
    call();
    uint64_t after = ticks(), took = after - before;
    before = after;
    mine->calls++;
    mine->buckets[bucket_of(took)]++;
    if (took > mine->longest) mine->longest = took;
  }
  if (in_session) expect(subpy_leave(interp, &error), error);
  return NULL;
}

/** Calls a second. What each thread did is added to `each`. */
static double measure(int threads, int ms, counts *each) {
  pthread_t workers[MOST_THREADS];
  uint64_t before = 0, after = 0;
  for (int i = 0; i < threads; i++) before += each[i].calls;
  stop = false;
  pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1);
  for (int i = 0; i < threads; i++) {
    if (pthread_create(&workers[i], NULL, calls, &each[i]) != 0) exit(1);
  }
  pthread_barrier_wait(&barrier);
  uint64_t start = now();
  usleep((useconds_t)ms * 1000);
  __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
  for (int i = 0; i < threads; i++) pthread_join(workers[i], NULL);
  uint64_t took = now() - start;
  pthread_barrier_destroy(&barrier);
  for (int i = 0; i < threads; i++) after += each[i].calls;
  return (double)(after - before) * 1e9 / (double)took;
}

static int compare(const void *one, const void *other) {
  double a = *(const double *)one, b = *(const double *)other;
  return (a > b) - (a < b);
}

/** In ticks: as long as that part of all calls took at most. */
static double quantile(const uint64_t *buckets, uint64_t total, double part) {
  uint64_t seen = 0;
  for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
    seen += buckets[bucket];
    if (seen > 0 && (double)seen >= part * (double)total) return bucket_value(bucket);
  }
  return 0;
}

int main(int argc, char **argv) {
  static counts alone[1], together[MOST_THREADS], all;
  static double ones[MOST_ROUNDS], others[MOST_ROUNDS], fair[MOST_ROUNDS], ratios[MOST_ROUNDS];
  int threads = argc == 6 ? atoi(argv[4]) : 0, rounds = argc == 6 ? atoi(argv[5]) : 0;
  if (threads < 1 || threads > MOST_THREADS || rounds < 1 || rounds > MOST_ROUNDS) {
    fprintf(stderr, "usage: fairness PYTHON wait|share|mutex function|session THREADS SECONDS\n");
    return 2;
  }
  in_session = strcmp(argv[3], "session") == 0;
  with_mutex = strcmp(argv[2], "mutex") == 0;
  subpy_error *error = NULL;
  subpy_runtime_options options = {.size = sizeof options, .python = argv[1]};
  expect(subpy_init(&options, &error), error);
  subpy_interp_options busy = {.size = sizeof busy};
  if (strcmp(argv[2], "wait") == 0) busy.busy = SUBPY_BUSY_WAIT;
  if (strcmp(argv[2], "share") == 0) busy.busy = SUBPY_BUSY_SHARE;
  expect(subpy_create(&busy, &interp, &error), error);
  expect(subpy_exec(interp, "def nothing(): pass", SUBPY_AUTO_LEN, &error), error);
  expect(subpy_function_new(interp, "nothing", SUBPY_AUTO_LEN, &function, &error), error);

  uint64_t start = now(), first_tick = ticks();
  measure(1, ALONE_MS, alone);
  for (int round = 0; round < rounds; round++) {
    uint64_t before[MOST_THREADS], least = UINT64_MAX, most = 0;
    for (int i = 0; i < threads; i++) before[i] = together[i].calls;
    ones[round] = measure(1, ALONE_MS, alone);
    others[round] = measure(threads, TOGETHER_MS, together);
    ratios[round] = others[round] / ones[round];
    for (int i = 0; i < threads; i++) {
      uint64_t did = together[i].calls - before[i];
      if (did < least) least = did;
      if (did > most) most = did;
    }
    fair[round] = (double)least / (double)most;
  }
  double ticks_a_us = (double)(ticks() - first_tick) * 1000 / (double)(now() - start);

  uint64_t waits = 0, waited[BUCKETS] = {0};
  for (int i = 0; i < threads; i++) {
    all.calls += together[i].calls;
    if (together[i].longest > all.longest) all.longest = together[i].longest;
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) all.buckets[bucket] += together[i].buckets[bucket];
  }
  for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
    if (bucket_value(bucket) > 20 * ticks_a_us) waits += waited[bucket] = all.buckets[bucket];
  }
  qsort(ones, (size_t)rounds, sizeof *ones, compare);
  qsort(others, (size_t)rounds, sizeof *others, compare);
  qsort(ratios, (size_t)rounds, sizeof *ratios, compare);
  qsort(fair, (size_t)rounds, sizeof *fair, compare);
  printf("gate=%s mode=%s threads=%d seconds=%d calls_1=%.0f calls_n=%.0f ratio=%.3f fair=%.2f fair_worst=%.2f", argv[2],
         argv[3], threads, rounds, ones[rounds / 2], others[rounds / 2], ratios[rounds / 2], fair[rounds / 2], fair[0]);
  printf(" p50=%.2f p99=%.2f p99.9=%.2f max=%.0f waits=%.0f wait_p50=%.0f\n",
         quantile(all.buckets, all.calls, 0.5) / ticks_a_us, quantile(all.buckets, all.calls, 0.99) / ticks_a_us,
         quantile(all.buckets, all.calls, 0.999) / ticks_a_us, (double)all.longest / ticks_a_us,
         (double)waits / rounds, quantile(waited, waits, 0.5) / ticks_a_us);
  subpy_function_free(function);
  expect(subpy_close(interp, &error), error);
  return 0;
}
