/*
 * numpy: four interpreters, each in a process of its own, draw one image with numpy. They share its memory.
 *
 * numpy refuses an interpreter with a GIL of its own; in processes (SUBPY_INTERP_PROCESS) it loads in as many as there
 * are. It is imported once, before the first of them, and the others have it with their start. The image lies in
 * memory of subpy_buffer_new(). Each interpreter gets a quarter of its rows, sees them as an array of numpy, and writes
 * its part of the Mandelbrot set where it is. Then each adds up the whole image, and so sees what the others have
 * written; and this program compares all of it with what it computes itself.
 *
 *     cc -std=c11 -O2 numpy.c -lsubpy -lpthread -o numpy
 *     SUBPY_PYTHON=environment/with/numpy ./numpy        or PYTHONPATH=folder/with/numpy
 *     ./numpy 2048 1                                     2048 x 2048 numbers, measured once
 *
 * The memory is what Linux says of each process in /proc/PID/smaps_rollup.
 */
#define _DEFAULT_SOURCE

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "subpy.h"

enum { INTERPRETERS = 4, LIMIT = 50 };

static const char code[] =
    "import os\n"
    "import numpy\n"
    "\n"
    "def attach(view):\n"
    "    'Keeps rows of the image as an array: the same memory.'\n"
    "    global rows\n"
    "    rows = numpy.asarray(view)\n"
    "\n"
    "def detach():\n"
    "    global rows\n"
    "    del rows\n"
    "\n"
    "def total():\n"
    "    return int(rows.sum(dtype='int64'))\n"
    "\n"
    "def draw(first, limit):\n"
    "    'How long each point stays near 0, at most limit; a few rows at a time, which fit into a cache.'\n"
    "    size = rows.shape[1]\n"
    "    x = numpy.arange(size) * (3.0 / size) - 2.25\n"
    "    y = numpy.arange(first, first + len(rows))[:, None] * (3.0 / size) - 1.5\n"
    "    with numpy.errstate(all='ignore'):\n"
    "        for top in range(0, len(rows), 4):\n"
    "            draw_band(rows[top:top + 4], x, y[top:top + 4], limit)\n"
    "\n"
    "def draw_band(counts, x, y, limit):\n"
    "    counts[:] = 0\n"
    "    zx, zy, xx, yy, distance = (numpy.zeros(counts.shape) for _ in range(5))\n"
    "    for _ in range(limit):\n"
    "        zy *= zx\n"
    "        zy += zy\n"
    "        zy += y\n"
    "        numpy.subtract(xx, yy, out=zx)\n"
    "        zx += x\n"
    "        numpy.multiply(zx, zx, out=xx)\n"
    "        numpy.multiply(zy, zy, out=yy)\n"
    "        numpy.add(xx, yy, out=distance)\n"
    "        counts += distance <= 4\n";

/* What a process uses, in KiB. A page that several processes have is counted in parts, one for each: so the sum is right. */
typedef struct memory {
  long own;    /* its own, and its parts of what it has in common with the process that it was forked from */
  long shared; /* its parts of shared memory */
} memory;

static subpy_interp interps[INTERPRETERS];
static subpy_error *error;

static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("numpy: ", stderr);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  exit(1);
}

static void expect(subpy_status status) {
  if (status == SUBPY_OK) return;
  const char *traceback = subpy_error_display(error, NULL);
  fail("%s", traceback != NULL ? traceback : subpy_error_message(error, NULL));
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static bool use_of(int64_t pid, memory *use) {
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/%" PRId64 "/smaps_rollup", pid);
  *use = (memory){-1, -1};
  FILE *file = fopen(path, "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    sscanf(line, "Pss_Anon: %ld", &use->own);
    sscanf(line, "Pss_Shmem: %ld", &use->shared);
  }
  if (file != NULL) fclose(file);
  return use->own >= 0 && use->shared >= 0;
}

/* Of the interpreters, and of this process, which comes last. False: this system does not say. */
static bool use_of_all(memory uses[INTERPRETERS + 1]) {
  for (int i = 0; i < INTERPRETERS; i++) {
    subpy_value pid;
    expect(subpy_eval(interps[i], "os.getpid()", SUBPY_AUTO_LEN, &pid, &error));
    if (!use_of(pid.u.as_int, &uses[i])) return false;
  }
  return use_of(getpid(), &uses[INTERPRETERS]);
}

/* ---- The interpreters ----------------------------------------------------------------------------------------- */

static void create(subpy_interp *interp) {
  const subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_PROCESS};
  expect(subpy_create(&options, interp, &error));
  expect(subpy_exec(*interp, code, SUBPY_AUTO_LEN, &error));
}

static void create_all(void) {
  /* As many threads as there are processes are enough. What is imported before processes are forked must start none. */
  setenv("OPENBLAS_NUM_THREADS", "1", 1);
  const char *const preload[] = {"numpy", NULL};
  const subpy_runtime_options options = {
      .size = sizeof options, .flags = SUBPY_RUNTIME_USE_ENVIRONMENT, .preload = preload};
  expect(subpy_init(&options, &error));
  double begin = now();
  create(&interps[0]);
  double first = now() - begin;
  for (int i = 1; i < INTERPRETERS; i++) create(&interps[i]);
  double others = (now() - begin - first) / (INTERPRETERS - 1);
  subpy_value version;
  expect(subpy_eval(interps[0], "numpy.__version__", SUBPY_AUTO_LEN, &version, &error));
  printf("numpy %s on Python %s, %ld cores\n\n", version.u.as_str, subpy_python_version(), sysconf(_SC_NPROCESSORS_ONLN));
  subpy_value_free(&version);
  printf("the first interpreter, with its import of numpy %10.1f ms\n", first * 1000);
  printf("each of the others                              %10.1f ms\n\n", others * 1000);
}

/* Shows rows of the image to an interpreter. */
static void attach(subpy_interp interp, const subpy_buffer *image, size_t first, size_t count) {
  const size_t shape[] = {count, image->shape[1]}, row = shape[1] * sizeof(int32_t);
  subpy_buffer rows = *image;
  rows.data = (char *)image->data + first * row, rows.len = count * row, rows.shape = shape;
  const subpy_value argument = subpy_value_from_buffer(&rows);
  expect(subpy_call(interp, "attach", SUBPY_AUTO_LEN, &argument, 1, NULL, NULL, &error));
}

/* Has so many interpreters draw at the same time, each its part of the rows. Returns how long it took. */
static double draw(const subpy_buffer *image, size_t count) {
  subpy_thread threads[INTERPRETERS];
  const size_t rows = image->shape[0];
  memset(image->data, 0, image->len);
  for (size_t i = 0; i < count; i++) attach(interps[i], image, rows * i / count, rows * (i + 1) / count - rows * i / count);
  double begin = now();
  for (size_t i = 0; i < count; i++) {
    const subpy_value arguments[] = {subpy_int((int64_t)(rows * i / count)), subpy_int(LIMIT)};
    expect(subpy_call_in_thread(interps[i], "draw", SUBPY_AUTO_LEN, arguments, 2, NULL, &threads[i], &error));
  }
  for (size_t i = 0; i < count; i++) expect(subpy_thread_join(threads[i], NULL, &error));
  return now() - begin;
}

/* ---- The image ------------------------------------------------------------------------------------------------ */

/* The same in C, in the same order: all of it is exact. */
static int32_t count_of(size_t row, size_t column, size_t size) {
  const double x = (double)column * (3.0 / (double)size) - 2.25, y = (double)row * (3.0 / (double)size) - 1.5;
  double zx = 0, zy = 0, xx = 0, yy = 0;
  for (int32_t count = 0; count < LIMIT; count++) {
    zy *= zx;
    zy += zy;
    zy += y;
    zx = xx - yy;
    zx += x;
    xx = zx * zx;
    yy = zy * zy;
    if (xx + yy > 4) return count;
  }
  return LIMIT;
}

static void show(const int32_t *counts, size_t size) {
  enum { LINES = 22, COLUMNS = 60 };
  for (size_t line = 0; line < LINES; line++) {
    for (size_t column = 0; column < COLUMNS; column++) {
      int32_t count = counts[(2 * line + 1) * size / (2 * LINES) * size + (2 * column + 1) * size / (2 * COLUMNS)];
      putchar(count == LIMIT ? '@' : " .:-=+*%#"[count < 18 ? count / 2 : 8]);
    }
    putchar('\n');
  }
}

/* Compares all of it with what this program computes, and its sum with what each interpreter says. */
static bool check(const subpy_buffer *image) {
  const int32_t *counts = image->data;
  const size_t size = image->shape[0];
  size_t wrong = 0;
  int64_t sum = 0;
  for (size_t i = 0; i < size * size; i++) {
    wrong += counts[i] != count_of(i / size, i % size, size);
    sum += counts[i];
  }
  printf("%zu numbers compared with those of C: %zu differ\n", size * size, wrong);
  for (int i = 0; i < INTERPRETERS; i++) {
    subpy_value total;
    expect(subpy_call(interps[i], "total", SUBPY_AUTO_LEN, NULL, 0, NULL, &total, &error));
    if (total.u.as_int == sum) continue;
    printf("INTERPRETER %d SEES ANOTHER SUM: %" PRId64 ", not %" PRId64 "\n", i + 1, total.u.as_int, sum);
    wrong++;
  }
  if (wrong == 0) printf("each interpreter sees the same sum of the whole image: %" PRId64 "\n", sum);
  return wrong == 0;
}

/* Whether the memory is there once. */
static bool compare(const memory *before, const memory *after, size_t len) {
  const double mib = 1024, image = (double)len / (1 << 20);
  double shared = 0;
  bool copied = false;
  printf("\nmemory, MiB        its own: before     after    of the image\n");
  for (int i = 0; i <= INTERPRETERS; i++) {
    char name[32] = "this program";
    if (i < INTERPRETERS) snprintf(name, sizeof name, "interpreter %d", i + 1);
    double own = (double)(after[i].own - before[i].own) / mib, part = (double)(after[i].shared - before[i].shared) / mib;
    printf("%-24s %9.1f %9.1f %15.1f\n", name, (double)before[i].own / mib, (double)after[i].own / mib, part);
    shared += part;
    copied = copied || own > image / INTERPRETERS + 2; /* the band that it works on has less than one MiB */
  }
  printf("%-24s %35.1f\n", "together", shared);
  copied = copied || shared > image * 1.05 + 1;
  if (copied) printf("SOMETHING WAS COPIED: the image has %.1f MiB\n", image);
  else printf("the image has %.1f MiB and is there once: nothing was copied\n", image);
  return !copied;
}

int main(int argc, char **argv) {
  const size_t size = argc > 1 ? strtoul(argv[1], NULL, 10) : 4096;
  const int rounds = argc > 2 ? atoi(argv[2]) : 3;
  if (argc > 3 || size < 64 || size > 1 << 15 || rounds < 1) fail("usage: numpy [SIZE [ROUNDS]]; a SIZE from 64 to 32768");

  create_all();
  memory before[INTERPRETERS + 1], after[INTERPRETERS + 1];
  bool known = use_of_all(before);

  subpy_buffer image;
  const size_t shape[] = {size, size};
  expect(subpy_buffer_new(size * size * sizeof(int32_t), SUBPY_BUFFER_WRITABLE, &image, &error));
  image.format = "i", image.shape = shape, image.ndim = 2;

  /* What else goes on in the machine can only make it slower: the fastest of some rounds counts. */
  double alone = 0, together = 0;
  for (int round = 0; round < rounds; round++) {
    double one = draw(&image, 1), all = draw(&image, INTERPRETERS);
    if (round == 0 || one < alone) alone = one;
    if (round == 0 || all < together) together = all;
  }
  double begin = now();
  for (int i = 0; i < INTERPRETERS; i++) attach(interps[i], &image, 0, size);
  double attached = (now() - begin) / INTERPRETERS;

  show(image.data, size);
  printf("\n%zu x %zu numbers, %.0f MiB\n", size, size, (double)image.len / (1 << 20));
  printf("drawn by one interpreter                        %10.3f s\n", alone);
  printf("by %d, each a part of the rows                   %10.3f s     speed-up %.2fx\n", INTERPRETERS, together, alone / together);
  printf("all of it given to an interpreter               %10.3f ms\n\n", attached * 1000);
  bool good = check(&image);
  if (known && use_of_all(after)) good = compare(before, after, image.len) && good;

  for (int i = 0; i < INTERPRETERS; i++) {
    expect(subpy_call(interps[i], "detach", SUBPY_AUTO_LEN, NULL, 0, NULL, NULL, &error));
    expect(subpy_close(interps[i], &error));
  }
  subpy_buffer_free(&image);
  expect(subpy_shutdown(&error));
  return good ? 0 : 1;
}
