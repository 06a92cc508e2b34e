/* Many interpreters at once, many one after the other, and large values, each kind in this process and in processes of their
 * own: afterwards nothing is left. SUBPY_SCALE=full has 500, 20,000 and values of 1 GiB. */
#include <malloc.h>
#include <sys/resource.h>

#include "lives.h"
#include "values.h"

typedef struct {
  int own, processes;         /* at once */
  int own_after, in_processes_after; /* one after the other */
  size_t text, list;
} scale;

static const scale SHORT = {30, 70, 60, 400, 64 << 20, 500 * 1000};
static const scale FULL = {100, 400, 10 * 1000, 10 * 1000, 1 << 30, 10 * 1000 * 1000};

/* No message to a process is longer than this and a little more. */
static const size_t LONGEST = (size_t)1 << 30;

/* What was freed is given back first. */
static long resident_now(void) {
  malloc_trim(0);
  return resident_kib();
}

static void check_grown(const char *what, long before, long allowed) {
  if (is_sanitized()) {
    printf("skipped: memory: the sanitizer keeps what is freed\n");
    return;
  }
  long grown = resident_now() - before;
  for (int i = 0; i < 100 && grown > allowed; i++, grown = resident_now() - before) {
    if (i == 0) fprintf(stderr, "%s left %ld KiB at first\n", what, grown);
    pause_ms(50);
  }
  if (grown > allowed) {
    fprintf(stderr, "%s left %ld KiB, more than %ld\n", what, grown, allowed);
    exit(1);
  }
}

/* All of them are there at once, and each is its own. */
static void at_once(int own, int in_processes, bool shows) {
  const int count = own + in_processes;
  subpy_interp *interps = calloc((size_t)count, sizeof *interps);
  CHECK(interps);
  size_t listed = 0;
  long before = resident_now();
  double since = now();
  for (int i = 0; i < count; i++) {
    interps[i] = create_either(i >= own);
    subpy_pair pair = {TEXT("n"), subpy_int(i)};
    subpy_value names = subpy_dict(&pair, 1);
    OK(subpy_prepare_main(interps[i], &names, &error));
  }
  const double created = now() - since;
  OK(subpy_list_all(NULL, 0, &listed, &error));
  CHECK(listed == (size_t)count + 1);
  CHECK(processes(NULL) == in_processes + 1);
  for (int round = 0; round < 2; round++)
    for (int i = 0; i < count; i++) CHECK(number(interps[i], "n") == i);
  if (shows) {
    const long grown = resident_now() - before;
    long total = 0;
    enum { SOME = 32 };
    for (int i = 0; i < SOME; i++) total += pss_kib((pid_t)number(interps[own + i], "__import__('os').getpid()"));
    printf("%d and %d in processes at once, created in %.1f s: the host has %ld KiB more, %d descriptors, %d threads; PSS of "
           "each of %d processes: %ld KiB\n",
           own, in_processes, created, grown, use_now().descriptors, use_now().threads, SOME, total / SOME);
  }
  /* From both ends, so that none has to be the last. */
  for (int i = 0; i < count; i++) OK(subpy_close(interps[i % 2 ? count - 1 - i / 2 : i / 2], &error));
  free(interps);
}

static void one_after_the_other(int own, int in_processes) {
  for (int process = 0; process < 2; process++) {
    const int count = process ? in_processes : own;
    for (int i = 0; i < 100; i++) live(i, process);
    until_processes(1);
    const host_use before = use_now();
    const long resident = resident_now();
    const double since = now();
    for (int i = 0; i < count; i++) live(i, process);
    const double took = now() - since;
    until_processes(1);
    check_use(before);
    printf("%d %s created and closed, %.2f ms each: the host has %ld KiB more\n", count, process ? "in processes" : "in the host",
           took * 1e3 / count, resident_now() - resident);
    /* CPython keeps a little of each in its own process; or what an allocator takes at a time. */
    check_grown(process ? "processes" : "interpreters", resident, 1024 + (process ? count / 2 : count * 2));
  }
  pid_t zygote = 0;
  CHECK(processes(&zygote) == 1);
  printf("PSS of the process that they are forked from: %ld KiB\n", pss_kib(zygote));
}

static char *long_text(size_t len) {
  char *text = malloc(len);
  CHECK(text);
  for (size_t i = 0; i < len; i++) text[i] = (char)('a' + i % 23);
  return text;
}

static void large_values(const scale *scale, bool process) {
  const double since = now();
  subpy_interp interp = create_either(process);
  run(interp, "def echo(x): return x");
  char *text = long_text(scale->text);
  subpy_value arg = subpy_str(text, scale->text), result = {0};
  CHECK(call1(interp, "builtins:len", arg).u.as_int == (int64_t)scale->text);
  OK(subpy_call(interp, "echo", SUBPY_AUTO_LEN, &arg, 1, NULL, &result, &error));
  CHECK(result.kind == SUBPY_KIND_STR && result.len == scale->text && memcmp(result.u.as_str, text, scale->text) == 0);
  subpy_value_free(&result);
  free(text);

  subpy_value *items = calloc(scale->list, sizeof *items);
  CHECK(items);
  for (size_t i = 0; i < scale->list; i++) items[i] = subpy_int((int64_t)i * 1000003);
  arg = subpy_list(items, scale->list);
  CHECK(call1(interp, "builtins:sum", arg).u.as_int == (int64_t)(scale->list * (scale->list - 1) / 2) * 1000003);
  OK(subpy_call(interp, "echo", SUBPY_AUTO_LEN, &arg, 1, NULL, &result, &error));
  CHECK(same(&arg, &result));
  subpy_value_free(&result);
  free(items);
  OK(subpy_close(interp, &error));
  printf("a text of %zu bytes and a list of %zu, in and out%s: %.1f s\n", scale->text, scale->list, process ? ", a process" : "", now() - since);
}

/* What is longer is refused, and says why; the process goes on. */
static void too_large(bool full) {
  static const char refusal[] = "...no more than 1 GiB goes to or from an interpreter's process at once";
  const size_t len = LONGEST + (2 << 20);
  subpy_interp interp = create_process();
  void *zeros = calloc(len, 1);
  CHECK(zeros);
  subpy_value arg = subpy_bytes(zeros, len), result = {0};
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, refusal, subpy_call(interp, "builtins:len", SUBPY_AUTO_LEN, &arg, 1, NULL, &result, &error));
  free(zeros);
  if (full) {
    FAILS(SUBPY_ERROR_NOT_SHAREABLE, refusal, subpy_eval(interp, "bytes((1 << 30) + (2 << 20))", SUBPY_AUTO_LEN, &result, &error));
    subpy_queue queue = 0;
    OK(subpy_queue_new(NULL, &queue, &error));
    subpy_value given = subpy_value_from_queue(queue);
    run(interp, "def put(q): q.put(bytes((1 << 30) + (2 << 20)))");
    subpy_status status = subpy_call(interp, "put", SUBPY_AUTO_LEN, &given, 1, NULL, NULL, &error);
    CHECK(status == SUBPY_ERROR_EXECUTION_FAILED && strstr(subpy_error_message(error, NULL), refusal + 3));
    subpy_error_free(error);
    error = NULL;
    subpy_queue_free(queue);
  }
  CHECK(number(interp, "6 * 7") == 42);
  OK(subpy_close(interp, &error));
}

int main(int argc, char **argv) {
  (void)argc;
  const char *wanted = getenv("SUBPY_SCALE");
  const bool full = wanted && strcmp(wanted, "full") == 0;
  const scale scale = full ? FULL : SHORT;
  mark_processes(argv, full ? 7200 : 1500);
  /* What is large is given back when it is freed. Else glibc comes to keep it at the end of a thread's arena, where
   * malloc_trim() does not look. */
  CHECK(is_sanitized() || mallopt(M_MMAP_THRESHOLD, 128 << 10));
  /* Each process takes three. */
  struct rlimit files;
  CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
  files.rlim_cur = files.rlim_max;
  CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);

  at_once(4, 32, false);
  until_processes(1);
  host_use before = use_now();
  long resident = resident_now();
  at_once(scale.own, scale.processes, true);
  until_processes(1);
  check_use(before);
  check_grown("those at once", resident, 2048 + 2 * scale.own);

  one_after_the_other(scale.own_after, scale.in_processes_after);

  before = use_now();
  /* The first time leaves what is kept for the next one. */
  for (int again = 0; again < 2; again++) {
    resident = resident_now();
    for (int process = 0; process < 2; process++) large_values(&scale, process);
  }
  too_large(full);
  until_processes(1);
  check_use(before);
  check_grown("large values", resident, 2048);
  shut_down();
  until_processes(0);
  return 0;
}
