/*
 * What the C and C++ contenders share: reading commands, threads, clocks, the data that is passed.
 *
 * A contender is a process. It reads a command a line from stdin and answers each with a line of numbers on stdout, or
 * with - when it cannot do that. What its Python code prints goes to /dev/null. stdlib.py has the same commands, but for
 * cancel. Times are in nanoseconds.
 *
 *   time WORK THREAD N   N times WORK, on the main or on a worker thread: what the last one returned, the time
 *   cycle THREAD N       N times create, exec("x = 1"), close: the time of all creates, of all closes; if THREAD is two,
 *                        two workers do it at once, and it is the mean of theirs
 *   hold N               N more interpreters, exec("x = 1") in each, until the process ends
 *   parallel WORK KIND THREADS MS
 *                        threads do WORK for so long, each in an interpreter of its own (KIND is own) or all in one
 *                        (wait, share): what it returned, how often in total, least, most often, the time
 *   waits WORK KIND THREADS MS
 *                        the same, and how long one waits: what it returned, and of the longest times that each thread
 *                        took for WORK in each tenth of a second, the median, the 99th percentile and the longest
 *   cancel FUNCTION N    N times run forever() or until_interrupted() and cancel it from another thread: of the times
 *                        from the begin of the cancel to the end of the run, the median and the 99th percentile
 *   map, unmap           have 3,000 more mappings
 */
#ifndef WORKER_H
#define WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* ---- what a contender defines ---- */

/** An interpreter, and what the contender keeps for it. */
typedef struct slot slot;

static void start(const char *mode, const char *executable, const char *library);
/** Kind is own, wait or share. */
static slot *slot_create(const char *kind);
/** One that waits takes threads one by one. If not, a mutex is put around each call: what one would write oneself. */
static bool has_queue(void);
static void slot_exec(slot *at, const char *source);
/** The guest's functions are there: get ready to call them. */
static void slot_prepare(slot *at);
static void slot_close(slot *at);
/** This thread is going to use it, and has. */
static void slot_begin(slot *at);
static void slot_end(slot *at);

/** Each is a function that does the work `count` times and returns a number made of the last result. */
#define CALLS(X) \
  X(call_0) X(call_2) X(text) X(text_short) X(text_wide) X(list_in) X(list_out) X(floats) X(bytes) X(dict_in) \
  X(dict_out) X(print) X(exception) X(spin) X(host) X(host_with_gil) X(run_2) X(run_2_limit)
/** The same of those that HAS_DATA. */
#ifdef HAS_DATA
#define DATA_CALLS(X) \
  X(queue_host) X(queue_pair) X(buffer_in) X(buffer_out) X(bytes_in) X(bytes_out) X(copy) X(object_new) X(object_attr) \
  X(object_call) X(task) X(tasks_1000) X(map_1000) X(task_alone) X(mix) X(async_2)
#else
#define DATA_CALLS(X)
#endif
/** The same of those that HAS_PROCESSES. */
#ifdef HAS_PROCESSES
#define PROCESS_CALLS(X) X(first) X(copied) X(shared) X(filled)
#else
#define PROCESS_CALLS(X)
#endif
#define X(work) static int64_t work(slot *at, int64_t count);
CALLS(X) DATA_CALLS(X) PROCESS_CALLS(X)
#undef X
static int64_t evals(slot *at, const char *expression, int64_t count);
/** call_2 so many times at once: the sum of what came back. */
static int64_t many(slot *at, int64_t rows, int64_t count);
/** Runs forever(begun), which must end with an exception, or until_interrupted(begun), which must end without. */
static void run_cancelled(slot *at, int function, int begun);
/** On another thread. */
static void cancel(slot *at);

/* ---- what they call in guest.py ---- */

#define FUNCTIONS(X) X(nothing) X(add) X(same) X(length) X(numbers) X(table) X(say) X(fail) X(spin) X(ask) \
  X(ask_with_gil) X(forever) X(until_interrupted) X(echo) X(ping) X(echo_pipe) X(ping_pipe) X(blob) X(Thing) X(mix) \
  X(later) X(run_later) X(last)

enum {
#define X(name) F_##name,
  FUNCTIONS(X)
#undef X
  FUNCTION_COUNT
};

static const char *const names[] = {
#define X(name) #name,
    FUNCTIONS(X)
#undef X
};

/* ---- what is passed: the same as NUMBERS and TABLE of guest.py ---- */

enum { TEXT = 1024, TEXT_SHORT = 16, BYTES = 1 << 20, NUMBERS = 1000, ROWS = 50, BLOB = 100 << 20 };

typedef struct {
  char key[16], name[16];
  int64_t id;
  double price;
  bool active;
} row;

static char some_text[TEXT], some_wide_text[TEXT + 1];
static uint8_t some_bytes[BYTES];
static int64_t some_numbers[NUMBERS];
static double some_floats[NUMBERS];
static row some_rows[ROWS];
static const char *const short_source = "x = 1";
static const char *const functions_source =
    "def f(a, b=1):\n    return a + b\n\ndef g(*args):\n    return [f(a) for a in args]\n\n"
    "def h(n):\n    for i in range(n):\n        yield g(i)\n\nx = 3\n";
static char long_source[16384];

static inline void make_data(const char *long_source_file) {
  memset(some_text, 'x', sizeof some_text);
  for (int i = 0; i < BYTES; i++) some_bytes[i] = (uint8_t)i;
  for (int i = 0; i < TEXT; i += TEXT_SHORT) memcpy(some_wide_text + i, "Grüße, мир!", TEXT_SHORT);
  for (int i = 0; i < NUMBERS; i++) some_numbers[i] = 1000000 + i;
  for (int i = 0; i < NUMBERS; i++) some_floats[i] = i + 0.5;
  for (int i = 0; i < ROWS; i++) {
    row *at = &some_rows[i];
    snprintf(at->key, sizeof at->key, "key %d", i);
    snprintf(at->name, sizeof at->name, "name %d", i);
    at->id = i;
    at->price = i + 0.5;
    at->active = i % 2 == 0;
  }
  FILE *file = fopen(long_source_file, "r");
  if (file == NULL || fread(long_source, 1, sizeof long_source - 1, file) == 0) exit(1);
  fclose(file);
}

static inline int64_t check_numbers(const int64_t *numbers, size_t count) {
  int64_t sum = 0;
  for (size_t i = 0; i < count; i++) sum += numbers[i];
  return sum;
}

static inline int64_t check_floats(const double *numbers, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) sum += numbers[i];
  return (int64_t)sum;
}

static inline int64_t check_row(size_t key_length, size_t name_length, int64_t id, double price, bool active) {
  return (int64_t)key_length + (int64_t)name_length + id + (int64_t)price + active;
}

/** 1 when it is the traceback of guest.py's fail(). */
static inline int64_t check_traceback(const char *text) {
  return strstr(text, "ValueError: wrong") != NULL && strstr(text, "guest.py") != NULL;
}

/** What host() and host_with_gil() do, the functions of the host: their own data has to reach them. */
static inline int64_t host_sum(const void *userdata, int64_t a, int64_t b) {
  return a + b + *(const int64_t *)userdata;
}

static int64_t host_data = 0;

/** 100 MiB, made when they are first needed. */
static inline uint8_t *some_blob(void) {
  static uint8_t *blob;
  if (blob != NULL) return blob;
  blob = (uint8_t *)malloc(BLOB);
  if (blob == NULL) exit(1);
  memset(blob, 1, BLOB);
  return blob;
}

/** What the work took that is not to count, such as a wait until something is ready. */
static int64_t not_counted = 0;

/* ---- what is the same for all ---- */

static inline int64_t exec_short(slot *at, int64_t count) {
  while (count-- > 0) slot_exec(at, short_source);
  return 0;
}

static inline int64_t exec_functions(slot *at, int64_t count) {
  while (count-- > 0) slot_exec(at, functions_source);
  return 0;
}

static inline int64_t exec_long(slot *at, int64_t count) {
  while (count-- > 0) slot_exec(at, long_source);
  return 0;
}

static inline int64_t eval(slot *at, int64_t count) { return evals(at, "1 + 2", count); }

static inline int64_t many_10(slot *at, int64_t count) { return many(at, 10, count); }

static inline int64_t many_100(slot *at, int64_t count) { return many(at, 100, count); }

#ifdef HAS_DATA
static int64_t copy(slot *at, int64_t count) {
  (void)at;
  static uint8_t *to;
  if (to == NULL) to = (uint8_t *)malloc(BLOB);
  if (to == NULL) exit(1);
  while (count-- > 0) memcpy(to, some_blob(), BLOB);
  return BLOB * (int64_t)to[BLOB - 1];
}
#endif

/* ---- the commands ---- */

static inline void die(const char *what) {
  fprintf(stderr, "%s failed\n", what);
  exit(1);
}

static inline int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

typedef int64_t (*work_function)(slot *, int64_t);

static inline work_function work_named(const char *name) {
#define X(work) \
  if (strcmp(name, #work) == 0) return work;
  CALLS(X) DATA_CALLS(X) PROCESS_CALLS(X) X(exec_short) X(exec_functions) X(exec_long) X(eval) X(many_10) X(many_100)
#undef X
  die(name);
  return NULL;
}

static const char *import_guest;

static inline slot *slot_open(const char *kind) {
  slot *at = slot_create(kind);
  slot_exec(at, import_guest);
  slot_prepare(at);
  return at;
}

/** Interpreters are made when they are first needed, and stay. */
static inline slot *slot_of(const char *kind, int index) {
  static slot *own[64], *wait, *share;
  slot **place = strcmp(kind, "wait") == 0 ? &wait : strcmp(kind, "share") == 0 ? &share : &own[index];
  if (*place == NULL) *place = slot_open(kind);
  return *place;
}

typedef struct {
  work_function run;
  slot *at;
  int64_t count, result, create_time, close_time, start, end;
  pthread_barrier_t *barrier;
  pthread_mutex_t *mutex;
  const bool *stop;
  int64_t *longest; /* of each tenth of a second */
  int tenths, function;
} job;

static inline void *job_time(void *argument) {
  job *job_ = (job *)argument;
  slot_begin(job_->at);
  job_->run(job_->at, 1);
  not_counted = 0;
  int64_t start = now();
  job_->result = job_->run(job_->at, job_->count);
  job_->create_time = now() - start - not_counted;
  if (job_->run == exec_short || job_->run == exec_functions || job_->run == exec_long)
    job_->result = evals(job_->at, "x", 1);
  slot_end(job_->at);
  return NULL;
}

static inline void *job_cycle(void *argument) {
  job *job_ = (job *)argument;
  for (int64_t i = 0; i < job_->count; i++) {
    int64_t start = now();
    slot *at = slot_create("own");
    job_->create_time += now() - start;
    slot_exec(at, short_source);
    start = now();
    slot_close(at);
    job_->close_time += now() - start;
  }
  return NULL;
}

static inline void run_once(job *job_) {
  if (job_->mutex != NULL) pthread_mutex_lock(job_->mutex);
  job_->result = job_->run(job_->at, 1);
  if (job_->mutex != NULL) pthread_mutex_unlock(job_->mutex);
}

/** A call belongs to each tenth of a second that it touches: a thread that starves makes few calls, but long ones. */
static inline void note_time(job *job_, int64_t from, int64_t to) {
  const int64_t tenth = 100000000;
  for (int64_t i = (from - job_->start) / tenth; i <= (to - job_->start) / tenth && i < job_->tenths; i++)
    if (job_->longest[i] < to - from) job_->longest[i] = to - from;
}

static inline void *job_until_stopped(void *argument) {
  job *job_ = (job *)argument;
  slot_begin(job_->at);
  run_once(job_);
  pthread_barrier_wait(job_->barrier);
  int64_t count = 0, last = job_->start = now();
  do {
    run_once(job_);
    count++;
    if (job_->longest == NULL) continue;
    int64_t time = now();
    note_time(job_, last, time);
    last = time;
  } while (!__atomic_load_n(job_->stop, __ATOMIC_RELAXED));
  job_->end = now();
  job_->count = count;
  slot_end(job_->at);
  return NULL;
}

static inline void run_on(const char *thread, void *(*run)(void *), job *job_) {
  pthread_t worker;
  if (strcmp(thread, "main") == 0) run(job_);
  else if (pthread_create(&worker, NULL, run, job_) != 0 || pthread_join(worker, NULL) != 0) die("a thread");
}

static inline int compare_times(const void *one, const void *other) {
  int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
  return (a > b) - (a < b);
}

static inline void parallel(const char *work, const char *kind, int threads, int ms, bool waits, FILE *answers) {
  pthread_t workers[64];
  job jobs[64] = {0};
  bool stop = false;
  pthread_barrier_t barrier;
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  bool locks = strcmp(kind, "wait") == 0 && !has_queue();
  int tenths = waits ? ms / 100 + (ms < 100) : 0, times = threads * tenths;
  int64_t *longest = waits ? (int64_t *)calloc((size_t)times, sizeof *longest) : NULL;
  pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1);
  for (int i = 0; i < threads; i++) {
    jobs[i].run = work_named(work);
    jobs[i].at = slot_of(kind, i);
    jobs[i].barrier = &barrier;
    jobs[i].mutex = locks ? &mutex : NULL;
    jobs[i].stop = &stop;
    jobs[i].longest = waits ? longest + i * tenths : NULL;
    jobs[i].tenths = tenths;
  }
  for (int i = 0; i < threads; i++)
    if (pthread_create(&workers[i], NULL, job_until_stopped, &jobs[i]) != 0) die("a thread");
  pthread_barrier_wait(&barrier);
  usleep((useconds_t)ms * 1000);
  __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
  int64_t total = 0, least = INT64_MAX, most = 0, start = INT64_MAX, end = 0;
  for (int i = 0; i < threads; i++) {
    pthread_join(workers[i], NULL);
    if (jobs[i].result != jobs[0].result) jobs[0].result = -1;
    total += jobs[i].count;
    if (jobs[i].count < least) least = jobs[i].count;
    if (jobs[i].count > most) most = jobs[i].count;
    if (jobs[i].start < start) start = jobs[i].start;
    if (jobs[i].end > end) end = jobs[i].end;
  }
  pthread_barrier_destroy(&barrier);
  if (waits) {
    qsort(longest, (size_t)times, sizeof *longest, compare_times);
    fprintf(answers, "%ld %ld %ld %ld\n", (long)jobs[0].result, (long)longest[times / 2],
            (long)longest[times * 99 / 100], (long)longest[times - 1]);
    free(longest);
  } else {
    fprintf(answers, "%ld %ld %ld %ld %ld\n", (long)jobs[0].result, (long)total, (long)least, (long)most,
            (long)(end - start));
  }
}

typedef struct {
  slot *at;
  int64_t count, *ends;
  int function, begun;
} cancelled_job;

static inline void *job_cancelled(void *argument) {
  cancelled_job *job_ = (cancelled_job *)argument;
  slot_begin(job_->at);
  for (int64_t i = 0; i < job_->count; i++) {
    run_cancelled(job_->at, job_->function, job_->begun);
    job_->ends[i] = now();
  }
  slot_end(job_->at);
  return NULL;
}

/** Code says itself that it runs, and is cancelled some hundreds of microseconds later. */
static inline void *job_cancel(void *argument) {
  job *job_ = (job *)argument;
  int begun[2];
  pthread_t runner;
  int64_t *times = (int64_t *)calloc((size_t)job_->count, 2 * sizeof *times);
  if (times == NULL || pipe(begun) != 0) die("pipe");
  cancelled_job cancelled = {job_->at, job_->count, times + job_->count, job_->function, begun[1]};
  if (pthread_create(&runner, NULL, job_cancelled, &cancelled) != 0) die("a thread");
  slot_begin(job_->at);
  unsigned random = 7;
  for (int64_t i = 0; i < job_->count; i++) {
    char byte;
    if (read(begun[0], &byte, 1) != 1) die("read");
    random = random * 1103515245 + 12345;
    usleep(200 + (random >> 16) % 700);
    times[i] = now();
    cancel(job_->at);
  }
  slot_end(job_->at);
  pthread_join(runner, NULL);
  for (int64_t i = 0; i < job_->count; i++) times[i] = cancelled.ends[i] - times[i];
  qsort(times, (size_t)job_->count, sizeof *times, compare_times);
  job_->create_time = times[job_->count / 2];
  job_->close_time = times[job_->count * 99 / 100];
  free(times);
  close(begun[0]);
  close(begun[1]);
  return NULL;
}

/** 3,000 more mappings: the kernel keeps one for each run of pages with the same protection. */
static inline void map_more(bool more) {
  static char *pages;
  size_t page = (size_t)sysconf(_SC_PAGESIZE), size = 3000 * page;
  if (!more) {
    munmap(pages, size);
    return;
  }
  pages = (char *)mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == (char *)MAP_FAILED) die("mmap");
  for (size_t i = 0; i < 3000; i += 2)
    if (mprotect(pages + i * page, page, PROT_READ) != 0) die("mprotect");
}

static inline void command(const char *line, FILE *answers) {
  char work[32], thread[32];
  long count;
  int threads, ms;
  if (sscanf(line, "time %31s %31s %ld", work, thread, &count) == 3) {
    job job_ = {0};
    job_.run = work_named(work);
    job_.at = slot_of("own", 0);
    job_.count = count;
    run_on(thread, job_time, &job_);
    fprintf(answers, "%ld %ld\n", (long)job_.result, (long)job_.create_time);
  } else if (sscanf(line, "cycle %31s %ld", thread, &count) == 2) {
    job jobs[2] = {0};
    jobs[0].count = jobs[1].count = count;
    if (strcmp(thread, "two") == 0) {
      pthread_t other;
      if (pthread_create(&other, NULL, job_cycle, &jobs[1]) != 0) die("a thread");
      run_on("worker", job_cycle, &jobs[0]);
      pthread_join(other, NULL);
      jobs[0].create_time = (jobs[0].create_time + jobs[1].create_time) / 2;
      jobs[0].close_time = (jobs[0].close_time + jobs[1].close_time) / 2;
    } else {
      run_on(thread, job_cycle, &jobs[0]);
    }
    fprintf(answers, "%ld %ld\n", (long)jobs[0].create_time, (long)jobs[0].close_time);
  } else if (sscanf(line, "hold %ld", &count) == 1) {
    for (long i = 0; i < count; i++) slot_exec(slot_create("own"), short_source);
    fprintf(answers, "0\n");
  } else if (sscanf(line, "parallel %31s %31s %d %d", work, thread, &threads, &ms) == 4) {
    parallel(work, thread, threads, ms, false, answers);
  } else if (sscanf(line, "waits %31s %31s %d %d", work, thread, &threads, &ms) == 4) {
    parallel(work, thread, threads, ms, true, answers);
  } else if (sscanf(line, "cancel %31s %ld", work, &count) == 2) {
    job job_ = {0};
    job_.function = strcmp(work, "forever") == 0 ? F_forever : F_until_interrupted;
    job_.at = slot_of("own", 0);
    job_.count = count;
    run_on("worker", job_cancel, &job_);
    fprintf(answers, "%ld %ld\n", (long)job_.create_time, (long)job_.close_time);
  } else if (strcmp(line, "map\n") == 0 || strcmp(line, "unmap\n") == 0) {
    map_more(line[0] == 'm');
    fprintf(answers, "0\n");
  } else {
    die(line);
  }
  fflush(answers);
}

/** Arguments: mode, executable of the CPython, its libpython, the folder of guest.py, the file with the long source. */
int main(int argc, char **argv) {
  if (argc != 6) die("five arguments");
  char import[8192], line[256];
  snprintf(import, sizeof import, "import sys\nsys.path.insert(0, r'%s')\nfrom guest import *\n", argv[4]);
  import_guest = import;
  FILE *answers = fdopen(dup(1), "w");
  if (answers == NULL || freopen("/dev/null", "w", stdout) == NULL) die("/dev/null");
  make_data(argv[5]);
  start(argv[1], argv[2], argv[3]);
  while (fgets(line, sizeof line, stdin) != NULL) command(line, answers);
  fflush(NULL);
  _exit(0);
}

#endif
