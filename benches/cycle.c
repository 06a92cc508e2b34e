/*
 * create, exec("x = 1"), close: 1,000 times, through subpy and through the plain C API. Each has a process and a CPython
 * of its own (so that subpy's audit hook does not slow the limit down); the two take turns after every few cycles. Prints
 *
 *   name <TAB> raw <TAB> subpy <TAB> ratio
 *
 * in milliseconds, and what a cycle leaves of resident memory in KiB.
 */
#define _GNU_SOURCE
#include <unistd.h>

#include "bench.h"
#include "raw.h"

enum { WARM_UP = 50, CYCLES = 1000, TURN = 25 };

enum { CREATE, EXEC, CLOSE, PARTS };

typedef struct {
  double ms[PARTS], left_kib;
} figures;

static void subpy_cycle(double times[PARTS + 1]) {
  subpy_error *error = NULL;
  subpy_interp interp;
  times[CREATE] = now_us();
  expect(subpy_create(NULL, &interp, &error), error);
  times[EXEC] = now_us();
  expect(subpy_exec(interp, "x = 1", SUBPY_AUTO_LEN, &error), error);
  times[CLOSE] = now_us();
  expect(subpy_close(interp, &error), error);
  times[PARTS] = now_us();
}

static void raw_cycle(double times[PARTS + 1]) {
  times[CREATE] = now_us();
  raw_interp interp = raw_create(true);
  times[EXEC] = now_us();
  raw_exec(&interp, "x = 1");
  times[CLOSE] = now_us();
  raw_close(interp);
  times[PARTS] = now_us();
}

static double resident_kib(void) {
  long size = 0, resident = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%ld %ld", &size, &resident) != 2) raw_fail("/proc/self/statm");
  fclose(file);
  return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1024;
}

static void exchange(const void *out, int to, void *in, int from, size_t size) {
  if (out != NULL && write(to, out, size) != (ssize_t)size) raw_fail("write");
  if (in != NULL && read(from, in, size) != (ssize_t)size) raw_fail("the other process");
}

/** Waits for its turn, and gives it away after as many cycles. */
static figures measure(void (*cycle)(double *), int from, int to) {
  static double parts[PARTS][CYCLES];
  double before = 0;
  for (int i = -WARM_UP; i < CYCLES; i++) {
    char turn = 0;
    double times[PARTS + 1];
    if (i % TURN == 0) exchange(NULL, to, &turn, from, 1);
    if (i == 0) before = resident_kib();
    cycle(times);
    for (int part = 0; part < PARTS && i >= 0; part++) parts[part][i] = (times[part + 1] - times[part]) / 1e3;
    if ((i + 1) % TURN == 0) exchange(&turn, to, NULL, from, 1);
  }
  figures result = {.left_kib = (resident_kib() - before) / CYCLES};
  for (int part = 0; part < PARTS; part++) result.ms[part] = median(parts[part], CYCLES);
  return result;
}

static int raw_process(int from, int to, const char *executable) {
  char library[4096];
  exchange(NULL, to, library, from, sizeof library);
  PyThreadState *state = raw_start(library, executable);
  figures result = measure(raw_cycle, from, to);
  char turn;
  exchange(NULL, to, &turn, from, 1);
  exchange(&result, to, NULL, from, sizeof result);
  raw.PyEval_RestoreThread(state);
  return raw.Py_FinalizeEx();
}

int main(void) {
  const char *executable = getenv("SUBPY_PYTHON");
  int to_raw[2], to_subpy[2];
  if (executable == NULL) raw_fail("SUBPY_PYTHON, the executable of a CPython,");
  if (pipe(to_raw) != 0 || pipe(to_subpy) != 0) raw_fail("pipe");
  if (fork() == 0) {
    close(to_raw[1]);
    close(to_subpy[0]);
    return raw_process(to_raw[0], to_subpy[1], executable);
  }
  close(to_raw[0]);
  close(to_subpy[1]);

  subpy_error *error = NULL;
  expect(subpy_init(NULL, &error), error);
  char library[4096] = {0}, turn = 0;
  snprintf(library, sizeof library, "%s", subpy_python_library());
  exchange(library, to_raw[1], NULL, 0, sizeof library);
  exchange(&turn, to_raw[1], NULL, 0, 1);
  figures ours = measure(subpy_cycle, to_subpy[0], to_raw[1]);
  figures theirs;
  exchange(NULL, 0, &theirs, to_subpy[0], sizeof theirs);
  static const char *names[PARTS] = {"create (ms)", "first exec (ms)", "close (ms)"};
  for (int part = 0; part < PARTS; part++)
    printf("%s\t%.3f\t%.3f\t%.3f\n", names[part], theirs.ms[part], ours.ms[part], ours.ms[part] / theirs.ms[part]);
  printf("left by a cycle (KiB)\t%.2f\t%.2f\t-\n", theirs.left_kib, ours.left_kib);
  expect(subpy_shutdown(&error), error);
  return 0;
}
