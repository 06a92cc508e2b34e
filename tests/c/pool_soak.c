/* Many tasks through a pool of two, of which some hang, raise, or use up their interpreter's memory: all are accounted
   for, memory stays flat, and no thread is left. SUBPY_SOAK_TASKS says how many; `make soak-pool` runs a million. */
#include <dirent.h>
#include <inttypes.h>
#include <time.h>

#include "pool.h"

enum { WINDOW = 64, LIMIT_MS = 10 };

static int threads(void) {
  DIR *folder = opendir("/proc/self/task");
  CHECK(folder);
  int count = -2;
  while (readdir(folder)) count++;
  closedir(folder);
  return count;
}

static const char *kinds[] = {"n + 1", "hang()", "1 / 0", "exhaust()"};

static int kind_of(long i) { return i % 1000 == 2 ? 3 : i % 100 == 0 ? 1 : i % 100 == 1 ? 2 : 0; }

static subpy_thread window[WINDOW];
static long done[4];

static void join_one(long i) {
  subpy_error *failed = NULL;
  subpy_value result = {0};
  subpy_status status = subpy_thread_join(window[i % WINDOW], &result, &failed);
  int kind = kind_of(i);
  const char *type = subpy_error_type_name(failed, NULL);
  bool right = kind == 0   ? status == SUBPY_OK && result.kind == SUBPY_KIND_INT && result.u.as_int == i + 1
               : kind == 1 ? status == SUBPY_ERROR_TIMEOUT
               : kind == 2 ? status == SUBPY_ERROR_EXECUTION_FAILED && strcmp(type, "ZeroDivisionError") == 0
                           : status == SUBPY_ERROR_EXECUTION_FAILED && strcmp(type, "MemoryError") == 0;
  if (!right) {
    fprintf(stderr, "task %ld (%s): %s: %s\n", i, kinds[kind], subpy_status_name(status),
            failed ? subpy_error_message(failed, NULL) : "");
    exit(1);
  }
  subpy_error_free(failed);
  done[kind]++;
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(void) {
  const char *wanted = getenv("SUBPY_SOAK_TASKS");
  long tasks = wanted ? atol(wanted) : 5000, warm = 0;
  OK(subpy_init(NULL, &error));
  int before = threads();
  subpy_interp_options interp = {.size = sizeof interp, .memory_limit = 64 << 20};
  subpy_pool pool = new_pool((subpy_pool_options){.workers = 2, .spares = 2, .interp = &interp, .setup_len = SUBPY_AUTO_LEN,
      .setup = "def work(n): return n + 1\ndef hang(n):\n  while True: pass\ndef fail(n): return n / 0\n"
               "def exhaust(n): return len(bytearray(1 << 28))"});
  static const char *const functions[] = {"work", "hang", "fail", "exhaust"};
  double start = seconds();
  for (long i = 0; i < tasks + WINDOW; i++) {
    if (i >= WINDOW) join_one(i - WINDOW);
    if (i >= tasks) continue;
    subpy_value number = subpy_int(i);
    subpy_run_request request = call(functions[kind_of(i)], &number);
    if (kind_of(i) == 1) request.timeout_ms = LIMIT_MS;
    OK(subpy_pool_submit(pool, &request, &window[i % WINDOW], &error));
    if (i == tasks / 4) warm = resident_kib();
  }
  double took = seconds() - start;
  const uint64_t to_replace = (uint64_t)(done[1] + done[3]);
  for (int i = 0; i < 1000 && get_stats(pool).replaced < to_replace; i++) usleep(1000); /* the last one */
  subpy_pool_stats stats = get_stats(pool);
  long grown = resident_kib() - warm;
  CHECK(done[0] + done[1] + done[2] + done[3] == tasks);
  CHECK(stats.done == (uint64_t)tasks && stats.failed == (uint64_t)(done[1] + done[2] + done[3]));
  CHECK(stats.queued == 0 && stats.running == 0 && stats.cancelled == 0 && stats.left == 0);
  CHECK(stats.replaced == to_replace);
  printf("%ld tasks in %.1f s: %ld hung, %ld raised, %ld used up their memory; %" PRIu64 " interpreters replaced\n", tasks,
         took, done[1], done[2], done[3], stats.replaced);
  printf("waited %" PRIu64 " / %" PRIu64 " / %" PRIu64 " us, ran %" PRIu64 " / %" PRIu64 " / %" PRIu64 " us (50, 90, 99 of 100); "
         "%ld KiB more after the first quarter\n", stats.wait_p50_us, stats.wait_p90_us, stats.wait_p99_us,
         stats.run_p50_us, stats.run_p90_us, stats.run_p99_us, grown);
  CHECK(grown < 24 * 1024);
  subpy_close_options options = {.size = sizeof options, .timeout_ms = -1, .flags = SUBPY_CLOSE_DRAIN};
  OK(subpy_pool_close(pool, &options, &error));
  CHECK(no_interpreters());
  for (int i = 0; i < 1000 && threads() > before + 1; i++) usleep(1000); /* that for limits stays */
  CHECK(threads() <= before + 1);
  shut_down();
  return 0;
}
