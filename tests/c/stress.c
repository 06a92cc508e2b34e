/* Everything at once: 16 threads, and eight interpreters that come and go, of which half have processes of their own.
 * What each call gives is compared with what it must be, and what others have done meanwhile is all that may be in its way.
 * Now and then all pause: then nothing that was passed is lost, and nothing is left.
 *
 * SUBPY_STRESS_SECONDS says how long, and shows what it does; SUBPY_STRESS_SEED has each thread begin with the same acts. */
#include "../stress/ends.h"

#include <malloc.h>

#define KIND(act) #act, act

static const struct {
  const char *name;
  void (*act)(void);
  int weight;
} ACTS[] = {
    {KIND(execute), 10},     {KIND(call_echo), 14},    {KIND(call_add), 20},       {KIND(evaluate), 6},
    {KIND(call_function), 12}, {KIND(use_object), 8},  {KIND(in_thread), 8},       {KIND(in_session), 5},
    {KIND(raise_some), 10},  {KIND(raise_others), 4},  {KIND(run_out_of_time), 2}, {KIND(cancel_one), 3},
    {KIND(run_away), 1},     {KIND(python_threads), 6}, {KIND(coroutines), 6},     {KIND(import_one), 8},
    {KIND(call_host), 12},   {KIND(define), 6},        {KIND(put_one), 16},        {KIND(take_one), 20},
    {KIND(move_some), 4},    {KIND(share_memory), 4},  {KIND(pass_buffers), 6},    {KIND(print_some), 6},
    {KIND(set_output), 2},   {KIND(ask), 4},           {KIND(close_one), 5},       {KIND(kill_one), 2},
    {KIND(interrupt_one), 3}, {KIND(create_one), 1}};

enum { ACTS_COUNT = sizeof ACTS / sizeof *ACTS, WARM_UP = 2, STUCK_SECONDS = 60, MOST_LOOKS = 10000 };

static atomic_long done[ACTS_COUNT];

/* In host functions: what neither closes nor waits for long. */
static void nested(int depth) {
  static void (*const acts[])(void) = {execute, call_echo, call_add, call_function, raise_some, raise_others, in_thread,
                                       import_one, define, put_one, take_one, pass_buffers, print_some, ask};
  if (depth > 1 && draw(2)) {
    call_back(depth - 1);
  } else {
    acts[draw(COUNT(acts))]();
  }
}

static long milliseconds(void) { return (long)(now() * 1e3); }

static void act(int which) {
  doing[me].since = milliseconds();
  doing[me].act = which;
  ACTS[which].act();
  MUST(!inside, "a run that has ended");
  done[which]++;
  doing[me].act = -1;
  doing[me].call = NULL;
}

/* ---- all threads pause ---- */

static pthread_barrier_t pause_begins, pause_ends;
static atomic_bool pausing, over;

static void *works(void *which) {
  me = (int)(intptr_t)which;
  int weights = 0;
  for (int i = 0; i < ACTS_COUNT; i++) weights += ACTS[i].weight;
  for (uint64_t number = 0;; number++) {
    while (pausing) {
      for (int i = 0; i < SLOTS; i++) forget(i);
      pthread_barrier_wait(&pause_begins);
      pthread_barrier_wait(&pause_ends);
      if (over) return NULL;
    }
    /* What an act draws changes nothing about those that follow. */
    state = scramble(seed * 1000 + (uint64_t)me) + (number << 32);
    int drawn = (int)draw((uint64_t)weights), chosen = 0;
    while (drawn >= ACTS[chosen].weight) drawn -= ACTS[chosen++].weight;
    act(chosen);
  }
}

/* Mappings of memory that is shared with processes, or was. */
static int shared_mappings(void) {
  FILE *maps = fopen("/proc/self/maps", "r");
  CHECK(maps);
  int count = 0;
  for (char line[1024]; fgets(line, sizeof line, maps);) count += strstr(line, "memfd:") != NULL;
  fclose(maps);
  return count;
}

static int most(int one, int other) { return one > other ? one : other; }

/* Everything was closed. Nothing is left: what was there at first, to the number. */
static void look(host_use before, int mappings) {
  double since = now();
  doing[me].call = "a look at what is left";
  until_processes(1);
  check_use(before);
  while (told != passed || shared_mappings() > mappings) {
    MUST(now() - since < 30, "of %ld that were passed the end of %ld was told; %d mappings, %d before", (long)passed,
         (long)told, shared_mappings(), mappings);
    pause_ms(5);
  }
  check_queues();
}

static long resident[MOST_LOOKS], in_use[MOST_LOOKS], in_zygote[MOST_LOOKS], closed[MOST_LOOKS];
static int looks;

static long resident_of(pid_t process) {
  char path[64];
  long pages = 0;
  snprintf(path, sizeof path, "/proc/%ld/statm", (long)process);
  FILE *file = fopen(path, "r");
  CHECK(file && fscanf(file, "%*d %ld", &pages) == 1);
  fclose(file);
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static long least(const long *numbers, int count) {
  long result = numbers[0];
  for (int i = 1; i < count; i++) result = numbers[i] < result ? numbers[i] : result;
  return result;
}

/* From the second third to the last one: what is left for good makes the least more, too. In the first one memory is still cut
 * into pieces; what is used of it does not grow. */
static long grown(const long *numbers) {
  const int third = looks / 3;
  return least(numbers + looks - third, third) - least(numbers + third, third);
}

/* In KiB: what an allocator may take from one look to another, and what CPython keeps of an interpreter that has imported
 * much. */
enum { MOST_GROWN = 8 << 10, MOST_LEFT = 8, WARM_CLOSED = 100 };

static bool measures_memory(void) {
  if (is_sanitized()) {
    printf("skipped: memory: the sanitizer keeps what is freed\n");
    return false;
  }
  int patch = 0;
  CHECK(sscanf(subpy_python_version(), "3.14.%d", &patch) <= 1);
  if (patch > 0 && patch < 5) printf("skipped: memory: this CPython leaks interpreters (python/cpython#147998)\n");
  return patch == 0 || patch >= 5;
}

static bool saw_all(void) {
  for (int i = 0; i < ACTS_COUNT; i++)
    if (done[i] <= WARM_UP) return false;
  return looks >= 12;
}

/* ---- what it does, for whoever looks ---- */

static void show_doing(void) {
  long time = milliseconds();
  for (int i = 0; i <= WORKERS; i++) {
    int which = doing[i].act;
    const char *call = doing[i].call;
    fprintf(stderr, "  thread %2d: %s for %.1f s, slot %d: %s\n", i, which < 0 ? "nothing" : ACTS[which].name,
            (double)(time - doing[i].since) / 1e3, (int)doing[i].slot, call ? call : "(no call)");
  }
}

/* A second, in which this thread computes for a little. On a busy machine that takes longer, as everything does. */
static void fair_second(void) {
  struct timespec used, first;
  pause_ms(980);
  CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &first) == 0);
  do CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) == 0);
  while ((used.tv_sec - first.tv_sec) * 1000000000L + used.tv_nsec - first.tv_nsec < 20 * 1000000L);
}

static void *watches(void *shows) {
  long last[ACTS_COUNT] = {0}, before = -1, shown = milliseconds();
  for (int idle = 0; !over; idle++) {
    fair_second();
    long time = milliseconds(), all = looks;
    for (int i = 0; i < ACTS_COUNT; i++) all += done[i];
    if (all != before) idle = 0;
    before = all;
    if (idle >= STUCK_SECONDS) {
      fprintf(stderr, "stress: seed %llu: nothing has ended for %d s\n", (unsigned long long)seed, STUCK_SECONDS);
      show_doing();
      /* All of its processes too, which have its mark. */
      static const char command[] =
          "for environment in $(grep -las \"SUBPY_TEST_MARK=$SUBPY_TEST_MARK\" /proc/[0-9]*/environ); do "
          "process=${environment#/proc/}; process=${process%/environ}; [ -d /proc/$process ] || continue; echo process $process; "
          "timeout 60 gdb -p $process -batch -ex 'thread apply all bt 40' 2>/dev/null; done >&2";
      prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
      if (system(command) != 0) fprintf(stderr, "no gdb to show where they are\n");
      abort();
    }
    if (!*(bool *)shows || time - shown < 10000) continue;
    fprintf(stderr, "%ld looks, %ld KiB;", (long)looks, resident_kib());
    for (int i = 0; i < ACTS_COUNT; i++) {
      long acts = done[i];
      fprintf(stderr, " %s %.1f", ACTS[i].name, (double)(acts - last[i]) * 1e3 / (double)(time - shown));
      last[i] = acts;
    }
    fprintf(stderr, " a second\n");
    shown = time;
  }
  return NULL;
}

int main(int argc, char **argv) {
  (void)argc;
  const char *seconds = getenv("SUBPY_STRESS_SECONDS"), *given = getenv("SUBPY_STRESS_SEED");
  const double limit = seconds ? strtod(seconds, NULL) : 10;
  mark_processes(argv, 2 * (unsigned)limit + 600);
  /* Always the same one as a test, others by hand. */
  seed = given ? strtoull(given, NULL, 10) : seconds ? (uint64_t)time(NULL) : 1;
  printf("seed %llu\n", (unsigned long long)seed);
  fflush(stdout);
  for (size_t i = 0; i < LONG_TEXT; i++) long_text[i] = (char)('a' + i % 26);
  for (int i = 0; i < SLOTS; i++) pthread_mutex_init(&slots[i].owner, NULL);
  for (int i = 0; i <= WORKERS; i++) doing[i].act = -1;
  const int threads_at_first = use_now().threads;

  static const char *const preload[] = {"asyncio", "ctypes", "json", "re", "traceback", NULL};
  subpy_runtime_options options = {.size = sizeof options, .preload = preload};
  subpy_error *error = NULL;
  /* What is freed goes back, wherever it was taken: what is resident is what is used. */
  CHECK(is_sanitized() || (mallopt(M_ARENA_MAX, 2) && mallopt(M_MMAP_THRESHOLD, 128 << 10)));
  OK(subpy_init(&options, &error));
  subpy_queue_options bounded = {.size = sizeof bounded, .capacity = 64};
  OK(subpy_queue_new(&bounded, &queues[0], &error));
  OK(subpy_queue_new(NULL, &queues[1], &error));
  /* asyncio waits at these, which a queue keeps. */
  for (int i = 0; i < 2; i++) OK(subpy_queue_fd(queues[i], &(int32_t){0}, &error));

  pthread_t threads[WORKERS], watcher;
  CHECK(pthread_barrier_init(&pause_begins, NULL, WORKERS + 1) == 0);
  CHECK(pthread_barrier_init(&pause_ends, NULL, WORKERS + 1) == 0);
  pausing = true;
  for (intptr_t i = 0; i < WORKERS; i++) CHECK(pthread_create(&threads[i], NULL, works, (void *)i) == 0);
  bool shows = seconds != NULL;
  CHECK(pthread_create(&watcher, NULL, watches, &shows) == 0);
  pthread_barrier_wait(&pause_begins);

  /* What is there for good once it was used: the timer, the reaper and its zygote, what libffi and OpenSSL have open. */
  create_all();
  run(slots[0].interp, "ctypes.CFUNCTYPE(None)(print)");
  for (size_t i = 0; i < COUNT(modules); i++) import_module(look_at(&slots[0]), modules[i]);
  state = seed;
  for (int i = 0; i < WARM_UP; i++)
    for (int which = 0; which < ACTS_COUNT; which++) act(which);
  for (int i = 0; i < SLOTS; i++) forget(i);
  close_all();
  until_processes(1);
  host_use before = use_now();
  int mappings = shared_mappings();

  const double begin = now(), interval = limit < 120 ? 2 : 10;
  double warm = begin + limit / 6;
  do {
    create_all();
    pausing = false;
    pthread_barrier_wait(&pause_ends);
    pause_ms((int)(interval * 1e3));
    pausing = true;
    pthread_barrier_wait(&pause_begins);
    doing[me].since = milliseconds();
    close_all();
    look(before, mappings);
    malloc_trim(0);
    /* Nor has it done much at first. */
    if (now() < warm || ended[0] < WARM_CLOSED || looks == MOST_LOOKS) continue;
    pid_t zygote = 0;
    CHECK(processes(&zygote) == 1);
    struct mallinfo2 heap = mallinfo2();
    in_use[looks] = (long)((heap.uordblks + heap.hblkhd) / 1024);
    resident[looks] = resident_kib(), in_zygote[looks] = resident_of(zygote), closed[looks] = ended[0];
    looks++;
    /* A slow machine needs more time for all that this is about. */
  } while (now() - begin < limit || (!saw_all() && now() - begin < 10 * limit));
  over = true;
  pthread_barrier_wait(&pause_ends);
  for (int i = 0; i < WORKERS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  CHECK(pthread_join(watcher, NULL) == 0);
  for (int i = 0; i < 2; i++) subpy_queue_free(queues[i]);
  shut_down();
  until_processes(0);
  host_use nothing = {most(before.descriptors, use_now().descriptors), threads_at_first};
  check_use(nothing);

  long acts = 0;
  for (int i = 0; i < ACTS_COUNT; i++) {
    acts += done[i];
    printf("%s %ld%s", ACTS[i].name, (long)done[i], i + 1 < ACTS_COUNT ? ", " : "\n");
  }
  printf("%ld acts in %.0f s; %ld interpreters closed, %ld of them in processes, %ld crashed (%ld of them nobody "
         "knows how); %ld items came out, %ld were lost with their processes; others were the reason for",
         acts, now() - begin, ended[0] + ended[1], (long)ended[1], (long)ended[2], (long)deaths_unknown, (long)items_taken,
         (long)items_lost);
  for (int i = 1; i <= -SUBPY_ERROR_CRASHED; i++)
    if (excused[i]) printf(" %s %ld", subpy_status_name(-i), (long)excused[i]);
  printf("\n");
  CHECK(saw_all());
  printf("%d looks: the host grew by %ld KiB, of which %ld are used, while %ld interpreters were closed in it, the zygote by %ld KiB\n",
         looks, grown(resident), grown(in_use), grown(closed), grown(in_zygote));
  if (measures_memory()) {
    CHECK(grown(resident) < MOST_GROWN + MOST_LEFT * grown(closed) && grown(in_zygote) < MOST_GROWN);
    CHECK(grown(in_use) < MOST_GROWN / 4 + MOST_LEFT * grown(closed));
  }
  return 0;
}
