/*
 * stream: an access log of 1 GiB, in CSV, through interpreters, and what that takes in time and memory.
 *
 * traffic.py computes requests, errors, bytes and response times of each route. Five contenders have it do that, one
 * after the other, each in a process of its own:
 *
 *   one interpreter of subpy, which takes the chunks of the file out of a queue;
 *   a pool of subpy, whose tasks get a chunk each and put what they have found into a queue, out of which one more
 *     interpreter takes it and adds it up. No chunk is copied in either: Python sees the memory that it was read into,
 *     and the host hears when Python has let go of it, and reads the next one into it;
 *   InterpreterPoolExecutor and ProcessPoolExecutor (pools.py), which have the chunks as bytes, and copy them;
 *   ProcessPoolExecutor once more, with workers that read the chunks themselves. That takes a file, not a stream.
 *
 *     cc -std=c11 -O2 stream.c -lsubpy -o stream
 *     ./stream -p folder-of-traffic.py access.csv
 */
#define _GNU_SOURCE 1

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "subpy.h"

enum { MAX_JOBS = 64, MAX_SLOTS = 2 * MAX_JOBS + 1, MIB = 1 << 20 };

static struct {
  size_t jobs, chunk;
  int64_t size;
  const char *program, *python, *modules, *path, *contender;
} options = {.chunk = 2 * MIB, .size = INT64_C(1024) * MIB, .modules = "examples/stream"};

static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("stream: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- With subpy: the contenders "one" and "pool" ---- */

/* A chunk of the file. Its memory is Python's from when it was passed until give_back(). */
typedef struct slot {
  char *data;
  size_t len;
  subpy_thread outcome; /* of the task that has it, or had it last */
} slot;

static slot slots[MAX_SLOTS];
static subpy_queue free_slots; /* their numbers */
static int64_t position, done;

static void expect(subpy_status status, subpy_error *const *error) {
  if (status == SUBPY_OK) return;
  const char *display = subpy_error_display(*error, NULL);
  fail("%s%s%s", subpy_error_message(*error, NULL), display ? "\n" : "", display ? display : "");
}

/* Python has let go of a chunk. On any thread, without a GIL. */
static void give_back(void *userdata) {
  subpy_value number = subpy_int((slot *)userdata - slots);
  subpy_queue_put(free_slots, &number, 0, NULL);
}

/* The one interpreter has ended, because of an exception maybe: then nobody gives anything back any more. */
static void ended(void *userdata) {
  (void)userdata;
  subpy_queue_close(free_slots, NULL);
}

/* The chunk that a slot held is done with. */
static void settle(slot *at) {
  subpy_error *error = NULL;
  if (at->outcome != 0) expect(subpy_thread_join(at->outcome, NULL, &error), &error);
  at->outcome = 0;
  done += (int64_t)at->len;
  if (at->len > 0) printf("done %" PRId64 "\n", done);
  at->len = 0;
}

/* Waits for a slot that nobody has, and reads the next lines into it. NULL: there are none. */
static slot *next_chunk(int file) {
  subpy_error *error = NULL;
  subpy_value number;
  subpy_status status = subpy_queue_get(free_slots, -1, &number, &error);
  if (status == SUBPY_ERROR_WRONG_STATE) return NULL;
  expect(status, &error);
  slot *at = &slots[number.u.as_int];
  settle(at);
  for (ssize_t got = 1; got > 0 && at->len < options.chunk; at->len += (size_t)got) {
    got = pread(file, at->data + at->len, options.chunk - at->len, position + (off_t)at->len);
    if (got < 0) fail("%s: %s", options.path, strerror(errno));
  }
  if (at->len == 0) return NULL;
  const char *end = memrchr(at->data, '\n', at->len);
  if (end == NULL) fail("%s: a line is longer than a chunk", options.path);
  at->len = (size_t)(end - at->data) + 1;
  position += (int64_t)at->len;
  return at;
}

static subpy_buffer buffer_of(slot *at) {
  return (subpy_buffer){.size = sizeof(subpy_buffer), .data = at->data, .len = at->len, .release = give_back,
                        .userdata = at};
}

static subpy_queue new_queue(size_t capacity) {
  subpy_queue_options queue = {.size = sizeof queue, .capacity = capacity};
  subpy_queue made = 0;
  subpy_error *error = NULL;
  expect(subpy_queue_new(&queue, &made, &error), &error);
  return made;
}

/* Has an interpreter call a function with a queue, and run as long as something comes out of that. */
static subpy_thread start(const subpy_interp_options *interp_options, const char *function, subpy_queue queue) {
  subpy_interp interp = 0;
  subpy_thread thread = 0;
  subpy_value argument = subpy_value_from_queue(queue);
  subpy_error *error = NULL;
  expect(subpy_create(interp_options, &interp, &error), &error);
  expect(subpy_exec(interp, "import traffic", SUBPY_AUTO_LEN, &error), &error);
  expect(subpy_call_in_thread(interp, function, SUBPY_AUTO_LEN, &argument, 1, NULL, &thread, &error), &error);
  return thread;
}

static void feed_one(int file, subpy_queue chunks, subpy_thread runs) {
  subpy_error *error = NULL;
  expect(subpy_thread_notify(runs, ended, NULL, &error), &error);
  for (slot *at; (at = next_chunk(file)) != NULL;) {
    subpy_buffer buffer = buffer_of(at);
    subpy_value value = subpy_value_from_buffer(&buffer);
    expect(subpy_queue_put(chunks, &value, -1, &error), &error);
  }
  subpy_queue_close(chunks, NULL);
}

static void feed_pool(int file, subpy_pool pool, subpy_queue digests) {
  subpy_error *error = NULL;
  for (slot *at; (at = next_chunk(file)) != NULL;) {
    subpy_buffer buffer = buffer_of(at);
    subpy_value args[] = {subpy_value_from_buffer(&buffer), subpy_value_from_queue(digests)};
    subpy_run_request task = {.size = sizeof task, .what = SUBPY_RUN_CALL, .text = "traffic:work",
                              .text_len = SUBPY_AUTO_LEN, .args = args, .nargs = 2};
    expect(subpy_pool_submit(pool, &task, &at->outcome, &error), &error);
  }
  for (size_t i = 0; i < MAX_SLOTS; i++) settle(&slots[i]);
  subpy_queue_close(digests, NULL);
}

static int contend(bool pooled) {
  const char *path[] = {options.modules};
  subpy_interp_options interp = {.size = sizeof interp, .path = path, .path_len = 1};
  subpy_pool_options pool_options = {.size = sizeof pool_options, .workers = options.jobs, .interp = &interp,
                                     .setup = "import traffic", .setup_len = SUBPY_AUTO_LEN,
                                     .flags = SUBPY_POOL_NO_SPARES};
  subpy_pool pool = 0;
  subpy_error *error = NULL;
  setvbuf(stdout, NULL, _IOLBF, 0);

  int file = open(options.path, O_RDONLY | O_CLOEXEC);
  char line[4096];
  ssize_t got = file < 0 ? -1 : pread(file, line, sizeof line, 0);
  if (got < 0) fail("%s: %s", options.path, strerror(errno));
  const char *names_end = memchr(line, '\n', (size_t)got); /* the first line has the names of the columns */
  if (names_end == NULL) fail("%s: there are no lines", options.path);
  position = names_end - line + 1;

  double begin = now();
  expect(subpy_init(NULL, &error), &error);
  subpy_queue queue = new_queue(0);
  free_slots = new_queue(0);
  for (size_t i = 0; i < (pooled ? 2 * options.jobs + 1 : 3); i++) {
    if ((slots[i].data = malloc(options.chunk)) == NULL) fail("out of memory");
    give_back(&slots[i]);
  }
  subpy_thread collects = start(&interp, pooled ? "traffic:collect" : "traffic:analyse", queue);
  if (pooled) expect(subpy_pool_new(&pool_options, &pool, &error), &error);
  printf("ready %f\n", now() - begin);

  begin = now();
  if (pooled) feed_pool(file, pool, queue);
  else feed_one(file, queue, collects);
  subpy_value lines = {0};
  expect(subpy_thread_join(collects, &lines, &error), &error);
  double seconds = now() - begin;
  for (size_t i = 0; i < lines.len; i++) printf("row %s\n", lines.u.as_items[i].u.as_str);
  printf("end %f %s\n", seconds, subpy_python_version());
  getchar(); /* until somebody has looked at how much memory there is */
  subpy_value_free(&lines);
  if (pooled) expect(subpy_pool_close(pool, NULL, &error), &error);
  expect(subpy_shutdown(&error), &error);
  return 0;
}

/* ---- The file ---- */

static int terminal_width(void) {
  const char *columns = getenv("COLUMNS");
  return columns && atoi(columns) > 0 ? atoi(columns) : 80;
}

/* Progress on stderr: a bar on a terminal, ten times a second at most; else a line each quarter. */
static void show(const char *what, int64_t now_done, int64_t of) {
  static double drawn;
  static int quarter;
  int percent = of > 0 ? (int)(now_done * 100 / of) : 100;
  if (!isatty(STDERR_FILENO)) {
    if (now_done == 0) quarter = 0;
    if (percent / 25 > quarter) fprintf(stderr, "%s: %d %%\n", what, percent / 25 * 25);
    quarter = percent / 25;
  } else if (now() > drawn + 0.1) {
    char bar[51] = "";
    int room = terminal_width() - 52;
    room = room < 0 ? 0 : room > 50 ? 50 : room;
    memset(bar, '.', (size_t)room);
    memset(bar, '#', (size_t)(room * percent / 100));
    fprintf(stderr, "\r%-30.40s [%s] %3d %%", what, bar, percent);
    drawn = now();
  }
}

static void clear(void) {
  if (isatty(STDERR_FILENO)) fprintf(stderr, "\r%*s\r", terminal_width() - 1, "");
}

/* The same file for the same size, on every machine: a service with a few fast routes and a few slow ones. */
static int write_line(char *line, size_t room, uint64_t number, uint64_t *random) {
  static const struct { const char *method, *route; unsigned bytes, ms; } routes[] = {
      {"GET", "/", 14000, 3}, {"GET", "/health", 16, 1}, {"GET", "/api/products", 9000, 12},
      {"GET", "/api/products/{id}", 2500, 6}, {"GET", "/api/search", 12000, 35}, {"GET", "/api/cart", 1200, 5},
      {"POST", "/api/cart", 300, 9}, {"DELETE", "/api/cart/{id}", 120, 8}, {"POST", "/api/orders", 700, 48},
      {"GET", "/api/orders/{id}", 3100, 11}, {"POST", "/api/login", 420, 80}, {"GET", "/static/app.js", 180000, 2},
  };
  static const char *const agents[] = {
      "\"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\"", "curl/8.14.1",
      "\"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) (KHTML, like Gecko)\"", "python-httpx/0.28.1",
  };
  *random ^= *random << 13;
  *random ^= *random >> 7;
  *random ^= *random << 17;
  unsigned a = (unsigned)(*random >> 8) & 0xffff, b = (unsigned)(*random >> 24) & 0xffff, c = (unsigned)(*random >> 40);
  unsigned route = a % (sizeof routes / sizeof *routes);
  unsigned ms = routes[route].ms * 100 / (1 + b % 100); /* most are fast, some very slow */
  int status = c % 97 == 0 ? 503 : c % 31 == 0 ? 404 : 200;
  return snprintf(line, room, "2026-03-%02uT%02u:%02u:%02u.%03uZ,%s,%s,%d,%u,%u,%s\n",
                  (unsigned)(number / 86400000 % 28) + 1, (unsigned)(number / 3600000 % 24),
                  (unsigned)(number / 60000 % 60), (unsigned)(number / 1000 % 60), (unsigned)(number % 1000),
                  routes[route].method, routes[route].route, status, routes[route].bytes / 2 + c % routes[route].bytes,
                  ms, agents[c >> 8 & 3]);
}

/* Under another name first, so that what has the name is whole. A file that is there is taken as it is. */
static void make_file(void) {
  char path[4096], line[256], what[64];
  if (access(options.path, F_OK) == 0) return;
  if (snprintf(path, sizeof path, "%s.new", options.path) >= (int)sizeof path) fail("%s: too long", options.path);
  FILE *file = fopen(path, "wb");
  if (file == NULL) fail("%s: %s", path, strerror(errno));
  snprintf(what, sizeof what, "writing %s", options.path);
  uint64_t random = UINT64_C(88172645463325252), number = 0;
  int len = snprintf(line, sizeof line, "time,method,route,status,bytes,ms,agent\n");
  for (int64_t size = 0; size + len <= options.size; number++) {
    if (fwrite(line, 1, (size_t)len, file) != (size_t)len) break;
    if (number % 4096 == 0) show(what, size, options.size);
    size += len;
    len = write_line(line, sizeof line, number * 7, &random);
  }
  clear();
  bool good = !ferror(file);
  if (fclose(file) != 0 || !good || rename(path, options.path) != 0) {
    int reason = errno;
    unlink(path);
    fail("%s: %s", path, strerror(reason));
  }
}

/* ---- Having the contenders run ---- */

typedef struct contender {
  const char *name, *mode;
  bool subpy;
  double ready, seconds, processor; /* to start, to stream; seconds of processor time in all */
  long peak_kib; /* of it and its processes together; 0 where the system does not tell, as with `processor` */
  char *rows;
  size_t rows_len;
  char version[32];
} contender;

/*
 * What a process and its children use. Memory, in KiB: a page that several processes have is counted in parts (Pss of
 * Linux). Processor time, in ticks: up to now, with that of children that have ended.
 */
static void add_use(long pid, long *kib, long *ticks) {
  char path[128], line[1024];
  long part = 0, child, user, system, ended_user, ended_system;
  snprintf(path, sizeof path, "/proc/%ld/smaps_rollup", pid);
  FILE *file = fopen(path, "r");
  while (file != NULL && part == 0 && fgets(line, sizeof line, file) != NULL) sscanf(line, "Pss: %ld", &part);
  if (file != NULL) fclose(file);
  *kib += part;

  snprintf(path, sizeof path, "/proc/%ld/stat", pid);
  file = fopen(path, "r");
  const char *fields = file != NULL && fgets(line, sizeof line, file) != NULL ? strrchr(line, ')') : NULL;
  if (fields != NULL && sscanf(fields, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld %ld %ld", &user, &system,
                               &ended_user, &ended_system) == 4)
    *ticks += user + system + ended_user + ended_system;
  if (file != NULL) fclose(file);

  glob_t found;
  snprintf(path, sizeof path, "/proc/%ld/task/*/children", pid);
  if (glob(path, GLOB_NOSORT, NULL, &found) != 0) return;
  for (size_t i = 0; i < found.gl_pathc; i++) {
    if ((file = fopen(found.gl_pathv[i], "r")) == NULL) continue; /* the thread has just ended */
    while (fscanf(file, "%ld", &child) == 1) add_use(child, kib, ticks);
    fclose(file);
  }
  globfree(&found);
}

/* Starts a process, and returns its number; its input and its output are pipes. */
static pid_t spawn(const contender *who, int *input, int *output) {
  char chunk[24], jobs[24], script[4096];
  snprintf(chunk, sizeof chunk, "%zu", options.chunk);
  snprintf(jobs, sizeof jobs, "%zu", options.jobs);
  snprintf(script, sizeof script, "%s/pools.py", options.modules);
  const char *ours[] = {options.program, "-C", who->mode, "-j", jobs, "-c", chunk, "-p", options.modules,
                        options.path, NULL};
  const char *theirs[] = {options.python, "-B", script, who->mode, jobs, chunk, options.path, NULL};
  const char *const *arguments = who->subpy ? ours : theirs;
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) fail("no pipe: %s", strerror(errno));
  pid_t pid = fork();
  if (pid < 0) fail("no process: %s", strerror(errno));
  if (pid == 0) {
    dup2(in[0], 0);
    dup2(out[1], 1);
    execvp(arguments[0], (char *const *)arguments);
    fprintf(stderr, "stream: %s: %s\n", arguments[0], strerror(errno));
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  *input = in[1];
  *output = out[0];
  return pid;
}

/* A line that it has printed. Returns true when that was the last. */
static bool take_line(contender *who, const char *line, int64_t size) {
  int64_t bytes;
  if (sscanf(line, "done %" SCNd64, &bytes) == 1) show(who->name, bytes, size);
  if (strncmp(line, "row ", 4) == 0) {
    size_t len = strlen(line + 4);
    if ((who->rows = realloc(who->rows, who->rows_len + len + 2)) == NULL) fail("out of memory");
    who->rows_len += (size_t)sprintf(who->rows + who->rows_len, "%s\n", line + 4);
  }
  sscanf(line, "ready %lf", &who->ready);
  return sscanf(line, "end %lf %31s", &who->seconds, who->version) == 2;
}

static void run(contender *who, int64_t size) {
  int input, output, status = 0;
  char text[8192];
  size_t len = 0;
  bool over = false;
  show(who->name, 0, size);
  pid_t pid = spawn(who, &input, &output);
  for (double looked = 0; !over;) {
    struct pollfd waits = {.fd = output, .events = POLLIN};
    if (poll(&waits, 1, 100) > 0) {
      ssize_t got = read(output, text + len, sizeof text - 1 - len);
      if (got <= 0) break;
      len += (size_t)got;
      text[len] = '\0';
      char *line = text;
      for (char *end; !over && (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        over = take_line(who, line, size);
      }
      len -= (size_t)(line - text);
      memmove(text, line, len + 1);
    }
    /* Not often: to look takes longer the more memory there is. */
    if (over || now() > looked + 0.1) {
      long kib = 0, ticks = 0;
      add_use(pid, &kib, &ticks);
      who->peak_kib = kib > who->peak_kib ? kib : who->peak_kib;
      who->processor = (double)ticks / (double)sysconf(_SC_CLK_TCK);
      looked = now();
    }
  }
  close(input);
  while (read(output, text, sizeof text) > 0) {}
  close(output);
  clear();
  if (waitpid(pid, &status, 0) != pid || status != 0 || !over) fail("%s has failed", who->name);
}

/* Seconds of processor time that were not ours, by other programs and other virtual machines; 0 where nobody tells. */
static double used_by_others(void) {
  unsigned long long user, nice, system, irq, softirq, steal;
  struct tms own;
  FILE *stat = fopen("/proc/stat", "r");
  int found = stat ? fscanf(stat, "cpu %llu %llu %llu %*u %*u %llu %llu %llu", &user, &nice, &system, &irq, &softirq,
                            &steal) : 0;
  if (stat) fclose(stat);
  if (found != 6 || times(&own) == (clock_t)-1) return 0;
  clock_t ours = own.tms_utime + own.tms_stime + own.tms_cutime + own.tms_cstime;
  return ((double)(user + nice + system + irq + softirq + steal) - (double)ours) / (double)sysconf(_SC_CLK_TCK);
}

static int compare(void) {
  contender all[] = {
      {.name = "subpy: one interpreter", .mode = "one", .subpy = true},
      {.name = "subpy: a pool", .mode = "pool", .subpy = true},
      {.name = "InterpreterPoolExecutor", .mode = "interpreters"},
      {.name = "ProcessPoolExecutor", .mode = "processes"},
      {.name = "the same, workers that read", .mode = "readers"},
  };
  size_t count = sizeof all / sizeof *all;
  bool same = true;
  struct stat file;
  make_file();
  if (stat(options.path, &file) != 0) fail("%s: %s", options.path, strerror(errno));
  double begin = now(), others = used_by_others();
  for (size_t i = 0; i < count; i++) {
    run(&all[i], file.st_size);
    if (strcmp(all[i].version, all[0].version) != 0)
      fail("%s is Python %s, and subpy uses %s: give -P the same one", options.python, all[i].version, all[0].version);
    same = same && all[i].rows_len > 0 && strcmp(all[i].rows, all[0].rows) == 0;
  }
  others = used_by_others() - others;
  double cores = (double)sysconf(_SC_NPROCESSORS_ONLN), used = others / (now() - begin);

  printf("%-24s%10s%8s%14s%6s%8s%6s%6s%6s%6s\n", "route", "requests", "errors", "bytes", "least", "mean", "50 %",
         "95 %", "99 %", "most");
  fputs(all[0].rows ? all[0].rows : "", stdout);
  printf("\n%.0f MiB, Python %s, %zu workers, chunks of %zu KiB\n", (double)file.st_size / MIB, all[0].version,
         options.jobs, options.chunk / 1024);
  printf("\n%-30s%9s%10s%9s%7s%14s%13s\n", "", "start, s", "stream, s", "MiB/s", "x one", "processor, s",
         "memory, MiB");
  for (size_t i = 0; i < count; i++) {
    const contender *who = &all[i];
    printf("%-30s%9.2f%10.2f%9.1f%7.2f", who->name, who->ready, who->seconds,
           (double)file.st_size / MIB / who->seconds, all[0].seconds / who->seconds);
    if (who->peak_kib > 0) printf("%14.2f%13.1f\n", who->processor, (double)who->peak_kib / 1024);
    else printf("%14s%13s\n", "-", "-");
    free(who->rows);
  }
  printf(same ? "all results are identical\n" : "THE RESULTS DIFFER\n");
  if (others > 0.05 && used > cores / 20) printf("other programs used %.1f of %.0f cores meanwhile\n", used, cores);
  return same ? 0 : 1;
}

/* ---- The program ---- */

static const char USAGE[] =
    "usage: stream [-j WORKERS] [-c CHUNK] [-m MIB] [-p FOLDER] [-P PYTHON] FILE\n"
    "Analyse an access log in CSV with one interpreter, with a pool of subpy and with those of Python, and compare.\n"
    "  FILE        the log; written first if it is not there\n"
    "  -m MIB      how large it is then (default: 1024)\n"
    "  -j WORKERS  1 to 64 (default: one for each core)\n"
    "  -c CHUNK    how many bytes go to a worker at once (default: 2097152)\n"
    "  -p FOLDER   where traffic.py and pools.py are (default: examples/stream)\n"
    "  -P PYTHON   the executable that runs pools.py (default: SUBPY_PYTHON, or python3)\n";

static long number(const char *text, long least, long most) {
  char *end;
  long value = strtol(text, &end, 10);
  if (*end != '\0' || value < least || value > most) {
    fputs(USAGE, stderr);
    exit(2);
  }
  return value;
}

int main(int argc, char **argv) {
  const char *python = getenv("SUBPY_PYTHON");
  options.program = argv[0];
  options.python = python != NULL ? python : "python3";
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  options.jobs = cores < 1 ? 1 : cores > MAX_JOBS ? MAX_JOBS : (size_t)cores;
  for (int option; (option = getopt(argc, argv, "j:c:m:p:P:C:h")) != -1;) {
    switch (option) {
    case 'j': options.jobs = (size_t)number(optarg, 1, MAX_JOBS); break;
    case 'c': options.chunk = (size_t)number(optarg, 4096, 1 << 30); break;
    case 'm': options.size = number(optarg, 1, 1 << 20) * (int64_t)MIB; break;
    case 'p': options.modules = optarg; break;
    case 'P': options.python = optarg; break;
    case 'C': options.contender = optarg; break; /* how this program starts itself */
    case 'h': fputs(USAGE, stdout); return 0;
    default: fputs(USAGE, stderr); return 2;
    }
  }
  if (argc - optind != 1) {
    fputs(USAGE, stderr);
    return 2;
  }
  options.path = argv[optind];
  if (options.contender == NULL) return compare();
  return contend(strcmp(options.contender, "pool") == 0);
}
