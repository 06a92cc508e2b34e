/*
 * judge: runs a folder of Python programs, several at once, and says what becomes of each.
 *
 * Each program runs in an interpreter of its own, with a time limit, nothing to read, and its output captured. When it
 * is over, whatever is left of it (threads, pools, timers, event loops) is stopped, and the interpreter closed. What
 * cannot be stopped, because it is blocked in C code, is given up: the judge goes on without it. With --isolate each
 * program has a process of its own: then what cannot be stopped is killed, and a crash is a verdict.
 *
 *     cc -std=c11 -O2 judge.c -lsubpy -lpthread -o judge
 *     ./judge judge/ordinary            programs that end
 *     ./judge -t 500 -j 4 judge         programs that do not
 *     ./judge -v program.py             and what it has printed
 *     ./judge --isolate judge           each program in a process of its own
 *
 * The memory is that of the whole process, so it is shown for each program only when they run one after the other
 * (-j 1): by how much the process has grown while the program ran.
 */
#define _DEFAULT_SOURCE

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "subpy.h"

enum {
  KEPT = 4096,    /* bytes of what a program prints that are kept: the last ones */
  PATIENCE = 500, /* ms that a program has to end when its time is over */
};

typedef struct program {
  char *path;
  const char *verdict;
  char detail[200];
  double seconds;
  long grown_kib;
  /* what it has printed; written by the library's threads one at a time, see subpy_output_fn */
  pthread_mutex_t lock;
  size_t printed;
  char output[KEPT];
  bool runs;
} program;

static struct {
  program **all;
  size_t count, next, done;
  int64_t limit_ms;
  long jobs;
  bool verbose, progress, isolate;
  pthread_mutex_t lock;
} judge = {.limit_ms = 1000, .jobs = 2, .lock = PTHREAD_MUTEX_INITIALIZER};

static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("judge: ", stderr);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  exit(2);
}

static void *allocate(size_t size) {
  void *memory = calloc(1, size);
  if (!memory) fail("out of memory");
  return memory;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static long resident_kib(void) {
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (!file || fscanf(file, "%*d %ld", &pages) != 1) pages = 0;
  if (file) fclose(file);
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* ---- Programs ------------------------------------------------------------------------------------------------- */

static void add(const char *path) {
  program **all = realloc(judge.all, (judge.count + 1) * sizeof *all);
  program *added = allocate(sizeof *added);
  if (!all || !(added->path = strdup(path))) fail("out of memory");
  pthread_mutex_init(&added->lock, NULL);
  judge.all = all;
  judge.all[judge.count++] = added;
}

static void add_all(const char *path) {
  struct stat info;
  if (stat(path, &info) != 0) fail("%s: %s", path, strerror(errno));
  if (!S_ISDIR(info.st_mode)) {
    add(path);
    return;
  }
  struct dirent **entries = NULL;
  int count = scandir(path, &entries, NULL, alphasort);
  if (count < 0) fail("%s: %s", path, strerror(errno));
  for (int i = 0; i < count; i++) {
    size_t len = strlen(entries[i]->d_name);
    char file[4096];
    snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
    if (len > 3 && strcmp(entries[i]->d_name + len - 3, ".py") == 0) add(file);
    free(entries[i]);
  }
  free(entries);
}

static char *read_file(const char *path, size_t *len) {
  FILE *file = fopen(path, "rb");
  if (!file) return NULL;
  char *text = NULL;
  size_t got = 0;
  *len = 0;
  do {
    char *longer = realloc(text, *len + 65536);
    if (!longer) fail("out of memory");
    text = longer;
    got = fread(text + *len, 1, 65536, file);
    *len += got;
  } while (got > 0);
  fclose(file);
  return text;
}

/* The host's side of print(). It may be called as long as the interpreter lives, so programs are never freed. */
static void print(void *data, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  program *of = data;
  (void)interp, (void)stream;
  pthread_mutex_lock(&of->lock);
  of->printed += len;
  if (len >= KEPT) text += len - (KEPT - 1), len = KEPT - 1;
  size_t kept = strlen(of->output), left = kept + len < KEPT ? kept : KEPT - 1 - len;
  memmove(of->output, of->output + (kept - left), left);
  memcpy(of->output + left, text, len);
  of->output[left + len] = 0;
  pthread_mutex_unlock(&of->lock);
}

/* ---- The progress, on a terminal ------------------------------------------------------------------------------ */

static void show_progress(void) {
  if (!judge.progress) return;
  char line[80] = "";
  size_t len = (size_t)snprintf(line, sizeof line, "[%zu/%zu]", judge.done, judge.count);
  for (size_t i = 0; i < judge.next && len < sizeof line - 1; i++) {
    const char *name = strrchr(judge.all[i]->path, '/');
    if (judge.all[i]->runs) len += (size_t)snprintf(line + len, sizeof line - len, " %s", name ? name + 1 : judge.all[i]->path);
  }
  fprintf(stderr, "\r\33[K%.78s", line);
}

static void end_progress(void) {
  if (judge.progress) fputs("\r\33[K", stderr);
}

/* ---- Judging -------------------------------------------------------------------------------------------------- */

static void explain(program *of, const char *verdict, subpy_error *error) {
  of->verdict = verdict;
  if (error) snprintf(of->detail, sizeof of->detail, "%s", subpy_error_message(error, NULL));
  subpy_error_free(error);
}

static void name_the_outcome(program *of, subpy_status status, subpy_error *error) {
  int32_t exit_status = 0;
  switch (status) {
    case SUBPY_OK: explain(of, "ok", NULL); return;
    case SUBPY_ERROR_TIMEOUT: explain(of, "timeout", error); return;
    case SUBPY_ERROR_SYNTAX: explain(of, "syntax error", error); return;
    case SUBPY_ERROR_CRASHED: explain(of, "crash", error); return;
    case SUBPY_ERROR_EXECUTION_FAILED:
      if (!subpy_error_exit_status(error, &exit_status)) {
        explain(of, "exception", error);
      } else if (exit_status == 0) {
        explain(of, "ok", NULL), subpy_error_free(error);
      } else {
        explain(of, "exit status", error);
        snprintf(of->detail, sizeof of->detail, "%" PRId32, exit_status);
      }
      return;
    default: explain(of, "not judged", error);
  }
}

static void run(program *of) {
  subpy_error *error = NULL;
  subpy_interp interp = 0;
  const subpy_interp_options options = {
      .size = sizeof options, .flags = SUBPY_INTERP_NO_STDIN | (judge.isolate ? SUBPY_INTERP_PROCESS : 0)};
  size_t len = 0;
  char *text = read_file(of->path, &len);
  if (!text) {
    of->verdict = "not judged";
    snprintf(of->detail, sizeof of->detail, "%s", strerror(errno));
    return;
  }
  subpy_status status = subpy_create(&options, &interp, &error);
  if (status == SUBPY_OK) status = subpy_set_output(interp, print, of, NULL, &error);
  if (status != SUBPY_OK) {
    explain(of, "not judged", error);
    free(text);
    return;
  }

  /* On a thread of its own, so that the judge can go on when the program cannot be stopped. Most can, at once; an
   * exception that is caught, or a text of it that takes long, may need a moment. */
  subpy_thread thread = 0;
  const subpy_run_request request = {
      .size = sizeof request,
      .interp = interp,
      .what = SUBPY_RUN_EXEC,
      .flags = SUBPY_KEEP_INDENT,
      .text = text,
      .text_len = len,
      .filename = of->path,
      .timeout_ms = judge.limit_ms,
  };
  double start = now();
  long before = resident_kib();
  status = subpy_run_in_thread(&request, &thread, &error);
  free(text);
  bool ended = true;
  if (status == SUBPY_OK) status = subpy_thread_wait(thread, judge.limit_ms + PATIENCE, &ended, &error);
  if (status == SUBPY_OK && ended) status = subpy_thread_join(thread, NULL, &error);
  of->seconds = now() - start;
  of->grown_kib = resident_kib() - before;
  if (ended) name_the_outcome(of, status, error);
  else subpy_thread_free(thread), explain(of, "timeout", NULL);
  error = NULL;

  /* What it has left behind may go on for as long as the program might have, and is then stopped. */
  const subpy_close_options closing = {
      .size = sizeof closing,
      .timeout_ms = judge.limit_ms,
      .flags = SUBPY_CLOSE_DRAIN | SUBPY_CLOSE_INTERRUPT,
  };
  status = subpy_close_with(interp, &closing, &error);
  /* A process that has crashed or was killed is gone already. */
  if (status == SUBPY_ERROR_NOT_FOUND && judge.isolate) subpy_error_free(error);
  else if (status != SUBPY_OK) explain(of, "stuck", error);
}

static void *works(void *unused) {
  (void)unused;
  pthread_mutex_lock(&judge.lock);
  while (judge.next < judge.count) {
    program *next = judge.all[judge.next++];
    next->runs = true;
    show_progress();
    pthread_mutex_unlock(&judge.lock);
    run(next);
    pthread_mutex_lock(&judge.lock);
    next->runs = false;
    judge.done++;
    show_progress();
  }
  pthread_mutex_unlock(&judge.lock);
  return NULL;
}

/* ---- The verdicts --------------------------------------------------------------------------------------------- */

/* One line of what it has printed, for the table: the last one. */
static void last_line(const program *of, char *line, size_t size) {
  size_t end = strlen(of->output);
  while (end > 0 && of->output[end - 1] == '\n') end--;
  size_t start = end;
  while (start > 0 && of->output[start - 1] != '\n') start--;
  snprintf(line, size, "%.*s", (int)(end - start), of->output + start);
}

static void print_table(void) {
  size_t width = 7;
  for (size_t i = 0; i < judge.count; i++)
    if (strlen(judge.all[i]->path) > width) width = strlen(judge.all[i]->path);
  printf("%-*s  %-12s  %6s  ", (int)width, "program", "verdict", "ms");
  if (judge.jobs == 1) printf("%9s  ", "memory");
  printf("%8s  %s\n", "printed", "what it said last");
  for (size_t i = 0; i < judge.count; i++) {
    program *of = judge.all[i];
    char line[100];
    pthread_mutex_lock(&of->lock);
    last_line(of, line, sizeof line);
    printf("%-*s  %-12s  %6.0f  ", (int)width, of->path, of->verdict, of->seconds * 1000);
    if (judge.jobs == 1) printf("%+5.1f MiB  ", (double)of->grown_kib / 1024);
    printf("%8zu  %s\n", of->printed, *of->detail ? of->detail : line);
    if (judge.verbose && *of->output) printf("%s%s\n", of->printed >= KEPT ? "[...]" : "", of->output);
    pthread_mutex_unlock(&of->lock);
  }
}

int main(int argc, char **argv) {
  static const struct option names[] = {{"isolate", no_argument, NULL, 'i'}, {0}};
  for (int option; (option = getopt_long(argc, argv, "j:t:vi", names, NULL)) != -1;) {
    char *end = optarg;
    if (option == 'v') judge.verbose = true;
    else if (option == 'i') judge.isolate = true;
    else if (option == 'j') judge.jobs = strtol(optarg, &end, 10);
    else if (option == 't') judge.limit_ms = strtol(optarg, &end, 10);
    if (option == '?' || (end && *end) || judge.jobs < 1 || judge.jobs > 64 || judge.limit_ms < 1) optind = argc;
  }
  if (optind == argc) {
    fputs("usage: judge [-j programs at once] [-t limit in ms] [-v] [-i | --isolate] folder or program...\n", stderr);
    return 2;
  }
  for (int i = optind; i < argc; i++) add_all(argv[i]);
  if (judge.count == 0) fail("no *.py there");
  judge.progress = isatty(2);

  subpy_error *error = NULL;
  if (subpy_init(NULL, &error) != SUBPY_OK) fail("%s", subpy_error_message(error, NULL));
  double start = now();
  pthread_t threads[64];
  for (long i = 0; i < judge.jobs; i++)
    if (pthread_create(&threads[i], NULL, works, NULL) != 0) fail("no more threads");
  for (long i = 0; i < judge.jobs; i++) pthread_join(threads[i], NULL);
  end_progress();
  double seconds = now() - start;

  print_table();
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  printf("%zu programs in %.1f s, %ld at once; the process has %ld MiB, and had %ld MiB at most\n", judge.count, seconds,
         judge.jobs, resident_kib() / 1024, usage.ru_maxrss / 1024);

  /* Those that are stuck end with the process. */
  const subpy_close_options closing = {.size = sizeof closing, .timeout_ms = 0, .flags = SUBPY_CLOSE_INTERRUPT};
  if (subpy_shutdown_with(&closing, &error) != SUBPY_OK) printf("not shut down: %s\n", subpy_error_message(error, NULL));
  subpy_error_free(error);
  return 0;
}
