/* Memory that a host shares with interpreters in processes of their own: all that buffers.c has of it, and what is only
 * there. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <pthread.h>

#include "test.h"

static subpy_interp create_process(void) {
  subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_PROCESS};
  subpy_interp interp = 0;
  subpy_error *error = NULL;
  OK(subpy_create(&options, &interp, &error));
  return interp;
}

/* It is freed by the end of this program. */
static void *shared_copy(const void *of, size_t len) {
  subpy_buffer buffer;
  subpy_error *error = NULL;
  OK(subpy_buffer_new(len, SUBPY_BUFFER_WRITABLE, &buffer, &error));
  CHECK(buffer.size == sizeof buffer && buffer.len == len && buffer.flags == SUBPY_BUFFER_WRITABLE);
  CHECK(!buffer.format && !buffer.shape && !buffer.strides && !buffer.release);
  return memcpy(buffer.data, of, len);
}

#define CREATE() create_process()
#define MEMORY(...) shared_copy((unsigned char[]){__VA_ARGS__}, sizeof((unsigned char[]){__VA_ARGS__}))
#define DOUBLES(...) shared_copy((double[]){__VA_ARGS__}, sizeof((double[]){__VA_ARGS__}))
#define main buffers_of_processes
#include "buffers.c"
#undef main

static subpy_error *error;

static subpy_value shared(const char *expression, uint32_t flags) {
  subpy_value result = {0};
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EVAL, .flags = flags, .text = expression, .text_len = SUBPY_AUTO_LEN};
  OK(subpy_run(&request, &result, &error));
  return result;
}

static subpy_buffer new_buffer(size_t len, uint32_t flags) {
  subpy_buffer buffer;
  OK(subpy_buffer_new(len, flags, &buffer, &error));
  buffer.release = release, buffer.userdata = &released;
  return buffer;
}

static void new_and_free(void) {
  subpy_buffer buffer = {.size = 1, .data = &buffer, .len = 1};
  OK(subpy_buffer_new(0, 0, &buffer, &error));
  CHECK(buffer.size == sizeof buffer && !buffer.data && buffer.len == 0);
  subpy_buffer_free(&buffer);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "flags has unknown bits set: 0x2", subpy_buffer_new(1, SUBPY_BUFFER_LENT, &buffer, &error));
  CHECK(buffer.size == 0 && !buffer.data);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "buffer is NULL", subpy_buffer_new(1, 0, NULL, &error));
  FAILS(SUBPY_ERROR_NO_MEMORY, "out of memory", subpy_buffer_new(SIZE_MAX, 0, &buffer, &error));
  FAILS(SUBPY_ERROR_NO_MEMORY, "out of memory", subpy_buffer_new((size_t)1 << 46, 0, &buffer, &error));
  subpy_buffer_free(NULL);
  char own[4] = "own";
  buffer = (subpy_buffer){.size = sizeof buffer, .data = own, .len = 4};
  subpy_buffer_free(&buffer);
  CHECK(buffer.data == own && buffer.len == 4);
  for (size_t len = 1; len < 100000; len = len * 3 + 1) {
    buffer = new_buffer(len, SUBPY_BUFFER_WRITABLE);
    unsigned char *bytes = buffer.data;
    CHECK(bytes[0] == 0 && bytes[len - 1] == 0);
    bytes[len - 1] = 7;
    subpy_buffer_free(&buffer);
    CHECK(!buffer.data && buffer.len == 0);
    subpy_buffer_free(&buffer);
  }
}

/* As the page has it. */
static void page(void) {
  run(interp, "def scale(view):\n  for at in range(len(view)): view[at] = at / 2\n");
  int before = released;
  subpy_buffer samples;
  OK(subpy_buffer_new(1000 * sizeof(double), SUBPY_BUFFER_WRITABLE, &samples, &error));
  samples.format = "d", samples.release = release, samples.userdata = &released;
  subpy_value value = subpy_value_from_buffer(&samples);
  OK(subpy_call(interp, "scale", SUBPY_AUTO_LEN, &value, 1, NULL, NULL, &error));
  CHECK(((double *)samples.data)[7] == 3.5);
  subpy_buffer_free(&samples);
  CHECK(released == before + 1);
}

/* What is in no such memory goes as a copy, if it is read-only. */
static void other_memory(void) {
  static unsigned char bytes[3 << 20];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i * 31 >> 7);
  static const size_t sizes[] = {0, 1, 5000, 262143, 262144, 1 << 20, sizeof bytes};
  for (size_t i = 0; i < COUNT(sizes); i++) {
    subpy_buffer buffer = buffer_of(bytes, sizes[i]);
    int before = released;
    OK(call("keep", &buffer, NULL, &error));
    CHECK(released == before);
    subpy_value back = shared("kept", SUBPY_RESULT_BUFFER);
    const subpy_buffer *own = back.u.as_buffer;
    CHECK(back.kind == SUBPY_KIND_BUFFER && own->len == sizes[i] && own->shape[0] == sizes[i]);
    CHECK(memcmp(own->data, bytes, sizes[i]) == 0 && (own->data != bytes || sizes[i] == 0));
    run(interp, "del kept");
    CHECK(released == before + 1);
    /* The result is the host's. */
    CHECK(memcmp(own->data, bytes, sizes[i]) == 0);
    subpy_value_free(&back);
  }
  /* Every second byte, backwards. */
  size_t shape[] = {5};
  ptrdiff_t strides[] = {-2};
  unsigned char few[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
  subpy_buffer buffer = buffer_of(few, sizeof few);
  buffer.ndim = 1, buffer.shape = shape, buffer.strides = strides;
  seen(&buffer, "B 1 (5,) (1,) True [8, 6, 4, 2, 0]");
  buffer.flags = SUBPY_BUFFER_WRITABLE;
  int before = released;
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, "...only when it was made by subpy_buffer_new()", call("seen", &buffer, NULL, &error));
  CHECK(released == before + 1);
  /* One of two cannot go, so none does. */
  subpy_buffer good = new_buffer(8, SUBPY_BUFFER_WRITABLE);
  subpy_value both[] = {subpy_value_from_buffer(&good), subpy_value_from_buffer(&buffer)};
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, "...", subpy_call(interp, "takes", SUBPY_AUTO_LEN, both, 2, NULL, NULL, &error));
  CHECK(released == before + 3);
  subpy_buffer_free(&good);
}

/* Python cannot write to it, whatever it tries. */
static void read_only(void) {
  subpy_buffer buffer = new_buffer(4096, 0);
  unsigned char *bytes = buffer.data;
  bytes[0] = 1;
  int before = released;
  OK(call("keep", &buffer, NULL, &error));
  bytes[0] = 2;
  CHECK(number(interp, "kept[0]") == 2 && number(interp, "kept.readonly") == 1);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...TypeError", subpy_exec(interp, "kept[0] = 1", SUBPY_AUTO_LEN, &error));
  buffer.flags = SUBPY_BUFFER_WRITABLE;
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, "...without SUBPY_BUFFER_WRITABLE", call("seen", &buffer, NULL, &error));
  CHECK(released == before + 1);
  subpy_value back = shared("kept", SUBPY_RESULT_BUFFER);
  CHECK(back.u.as_buffer->flags == 0);
  subpy_value_free(&back);
  run(interp, "import ctypes\naddress = ctypes.addressof(ctypes.c_char.from_buffer_copy(kept))");
  /* By its address it ends the process, and the host's memory is as it was. */
  FAILS(SUBPY_ERROR_CRASHED, "...", subpy_exec(interp,
        "import re\n"
        "for line in open('/proc/self/maps'):\n"
        "  if 'memfd:subpy' in line and ' r--s ' in line:\n"
        "    ctypes.memset(int(line.split('-')[0], 16), 9, 1)\n", SUBPY_AUTO_LEN, &error));
  CHECK(bytes[0] == 2);
  CHECK(released == before + 2);
  subpy_buffer_free(&buffer);
  interp = create_process();
}

/* What a result shares is the host's own memory, where it is. */
static void out(void) {
  run(interp, "def keep(b):\n  global kept\n  kept = b\n");
  subpy_buffer buffer = new_buffer(80000, SUBPY_BUFFER_WRITABLE);
  double *numbers = buffer.data;
  for (int i = 0; i < 10000; i++) numbers[i] = i / 2.0;
  size_t shape[] = {100, 100};
  buffer.format = "d", buffer.ndim = 2, buffer.shape = shape;
  int before = released;
  OK(call("keep", &buffer, NULL, &error));
  subpy_value all = shared("kept", SUBPY_RESULT_BUFFER), part = shared("memoryview(kept.cast('B').cast('d')[2000:3000])", SUBPY_RESULT_BUFFER);
  CHECK(all.u.as_buffer->data == numbers && all.u.as_buffer->ndim == 2 && all.u.as_buffer->shape[1] == 100);
  CHECK(strcmp(all.u.as_buffer->format, "d") == 0 && all.u.as_buffer->flags == SUBPY_BUFFER_WRITABLE);
  CHECK(part.u.as_buffer->data == numbers + 2000 && part.u.as_buffer->len == 8000);
  run(interp, "kept[20, 0] = -1");
  CHECK(numbers[2000] == -1);
  /* Results keep it, and go on to other interpreters. */
  run(interp, "del kept");
  CHECK(released == before);
  subpy_interp other = create_process();
  OK(subpy_call(other, "builtins:len", SUBPY_AUTO_LEN, &part, 1, NULL, NULL, &error));
  run(other, "def write(b): b[1] = 42.5");
  OK(subpy_call(other, "write", SUBPY_AUTO_LEN, &part, 1, NULL, NULL, &error));
  CHECK(numbers[2001] == 42.5);
  subpy_interp within = create();
  run(within, "def write(b): b[2] = 43.5");
  OK(subpy_call(within, "write", SUBPY_AUTO_LEN, &part, 1, NULL, NULL, &error));
  CHECK(numbers[2002] == 43.5);
  OK(subpy_close(other, &error));
  OK(subpy_close(within, &error));
  /* Freed by the host before that: the memory stays as long as results have it. */
  subpy_buffer_free(&buffer);
  CHECK(((double *)part.u.as_buffer->data)[1] == 42.5);
  subpy_value_free(&all);
  CHECK(((double *)part.u.as_buffer->data)[2] == 43.5);
  subpy_value_free(&part);
  run(interp, "1");
  CHECK(released == before + 1);
}

/* Python's own memory comes as a copy. */
static void copies_out(void) {
  static const size_t sizes[] = {0, 100, 262143, 262144, 5000000};
  for (size_t i = 0; i < COUNT(sizes); i++) {
    char code[100];
    for (int kind = 0; kind < 2; kind++) {
      snprintf(code, sizeof code, "%s(range(250)) * %zu", kind ? "bytearray" : "bytes", sizes[i] / 250);
      subpy_value result = shared(code, SUBPY_RESULT_BUFFER);
      unsigned char *bytes = result.u.as_buffer->data;
      CHECK(result.u.as_buffer->len == sizes[i] / 250 * 250 && result.u.as_buffer->flags == (kind ? SUBPY_BUFFER_WRITABLE : 0));
      for (size_t at = 0; at < result.u.as_buffer->len; at += 997) CHECK(bytes[at] == at % 250);
      if (kind && result.u.as_buffer->len > 0) bytes[0] = 5;
      subpy_value_free(&result);
    }
  }
  /* Without a file to put it in. */
  run(interp, "import resource\nfiles = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
              "big = bytes(range(250)) * 8000\nresource.setrlimit(resource.RLIMIT_NOFILE, (3, files[1]))");
  subpy_value big = shared("big", SUBPY_RESULT_BUFFER);
  CHECK(big.u.as_buffer->len == 2000000 && ((unsigned char *)big.u.as_buffer->data)[1999999] == 249);
  subpy_value_free(&big);
  run(interp, "resource.setrlimit(resource.RLIMIT_NOFILE, files)\ndel big");
  subpy_value row = shared("[float(n) for n in range(100_000)], [n for n in range(300)]", SUBPY_RESULT_ARRAY);
  const subpy_buffer *floats = row.u.as_items[0].u.as_buffer, *ints = row.u.as_items[1].u.as_buffer;
  CHECK(strcmp(floats->format, "d") == 0 && floats->len == 800000 && ((double *)floats->data)[99999] == 99999);
  CHECK(strcmp(ints->format, "q") == 0 && ints->shape[0] == 300 && ((int64_t *)ints->data)[299] == 299);
  subpy_value_free(&row);
}

/* The process is gone: what it had is the host's again. */
static void crash(void) {
  subpy_buffer buffer = new_buffer(10000, SUBPY_BUFFER_WRITABLE);
  int before = released;
  OK(call("keep", &buffer, NULL, &error));
  subpy_value back = shared("kept", SUBPY_RESULT_BUFFER);
  CHECK(released == before);
  run(interp, "def crash(b): __import__('os').abort()");
  FAILS(SUBPY_ERROR_CRASHED, "...", call("crash", &buffer, NULL, &error));
  CHECK(released == before + 2);
  CHECK(back.u.as_buffer->data == buffer.data);
  subpy_value_free(&back);
  CHECK(released == before + 2);
  interp = create_process();
  run(interp, "def keep(b):\n  global kept\n  kept = b\n");
  OK(call("keep", &buffer, NULL, &error));
  pid_t process = (pid_t)number(interp, "__import__('os').getpid()");
  kill(process, SIGKILL);
  for (int i = 0; i < 5000 && released < before + 3; i++) {
    subpy_value one = subpy_int(1);
    subpy_call(interp, "builtins:abs", SUBPY_AUTO_LEN, &one, 1, NULL, NULL, NULL);
    usleep(1000);
  }
  CHECK(released == before + 3);
  subpy_buffer_free(&buffer);
  interp = create_process();
  run(interp, "def keep(b):\n  global kept\n  kept = b\n");
}

/* Nothing runs there when it is let go of. */
static void let_go_by_a_thread(void) {
  subpy_buffer buffer = new_buffer(100, SUBPY_BUFFER_WRITABLE);
  int before = released;
  OK(call("keep", &buffer, NULL, &error));
  run(interp, "import threading, time\n"
              "def later(view):\n  time.sleep(0.05)\n  view.release()\n"
              "threading.Thread(target=later, args=(kept,)).start()\ndel kept");
  for (int i = 0; i < 10000 && released == before; i++) usleep(1000);
  CHECK(released == before + 1);
  subpy_buffer_free(&buffer);
}

static subpy_interp raced;
static atomic_int passes, ran;

static void *pass_and_free(void *of) {
  subpy_buffer buffer = *(subpy_buffer *)of;
  for (int i = 0; i < 1000; i++) {
    subpy_value value = subpy_value_from_buffer(&buffer), result = {0};
    subpy_run_request request = {.size = sizeof request, .interp = raced, .what = SUBPY_RUN_CALL, .flags = SUBPY_RESULT_BUFFER, .text = "same", .text_len = 4, .args = &value, .nargs = 1};
    atomic_fetch_add(&passes, 1);
    subpy_error *error = NULL;
    subpy_status status = subpy_run(&request, &result, &error);
    bool over = status == SUBPY_ERROR_CRASHED || status == SUBPY_ERROR_NOT_FOUND || status == SUBPY_ERROR_BUSY;
    if (status != SUBPY_OK && !over) fprintf(stderr, "%s: %s\n", subpy_status_name(status), subpy_error_message(error, NULL));
    subpy_error_free(error);
    CHECK(status == SUBPY_OK || over);
    if (status == SUBPY_OK) {
      atomic_fetch_add(&ran, 1);
      CHECK(result.u.as_buffer->data == buffer.data && ((unsigned char *)result.u.as_buffer->data)[0] == 1);
      subpy_value_free(&result);
    }
  }
  return NULL;
}

/* Threads pass memory and have it back until the process is killed, or the interpreter closed. */
static void racing(void) {
  for (int round = 0; round < 4; round++) {
    subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_PROCESS, .busy = SUBPY_BUSY_SHARE};
    OK(subpy_create(&options, &raced, &error));
    run(raced, "def same(view): return view");
    pid_t process = (pid_t)number(raced, "__import__('os').getpid()");
    subpy_buffer buffers[4];
    pthread_t threads[4];
    int before = released;
    passes = 0;
    ran = 0;
    for (int i = 0; i < 4; i++) {
      buffers[i] = new_buffer(100000, SUBPY_BUFFER_WRITABLE);
      *(unsigned char *)buffers[i].data = 1;
      CHECK(pthread_create(&threads[i], NULL, pass_and_free, &buffers[i]) == 0);
    }
    while (ran < 200 * round) usleep(100);
    if (round % 2) {
      while (subpy_close(raced, NULL) == SUBPY_ERROR_BUSY) usleep(100);
    } else {
      kill(process, SIGKILL);
    }
    for (int i = 0; i < 4; i++) {
      pthread_join(threads[i], NULL);
      subpy_buffer_free(&buffers[i]);
    }
    for (int i = 0; i < 10000 && released < before + passes; i++) usleep(1000);
    CHECK(passes == 4000 && released == before + 4000);
  }
}

/* What belongs to nobody else, in KiB, of a process. */
static long private_kib(pid_t process) {
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)process);
  FILE *file = fopen(path, "r");
  long all = 0, some = 0;
  CHECK(file);
  while (fgets(line, sizeof line, file))
    if (sscanf(line, "Private_Clean: %ld", &some) == 1 || sscanf(line, "Private_Dirty: %ld", &some) == 1) all += some;
  fclose(file);
  return all;
}

static long rss_kib(pid_t process) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/statm", (int)process);
  long pages = 0;
  FILE *file = fopen(path, "r");
  CHECK(file && fscanf(file, "%*d %ld", &pages) == 1);
  fclose(file);
  return pages * 4;
}

static void large(size_t size) {
  subpy_buffer buffer = new_buffer(size, SUBPY_BUFFER_WRITABLE);
  pid_t process = (pid_t)number(interp, "__import__('os').getpid()");
  subpy_value first = {0};
  /* Once, with all that a first time takes. */
  subpy_buffer little = new_buffer(100000, SUBPY_BUFFER_WRITABLE);
  run(interp, "def twice(b):\n  b[5] = b[-5] = 7\n  return b\n");
  subpy_value value = subpy_value_from_buffer(&little);
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_CALL, .flags = SUBPY_RESULT_BUFFER, .text = "twice", .text_len = 5, .args = &value, .nargs = 1};
  OK(subpy_run(&request, &first, &error));
  subpy_value_free(&first);
  long here = rss_kib(getpid()), there = rss_kib(process), own = private_kib(process);
  value = subpy_value_from_buffer(&buffer);
  OK(subpy_run(&request, &first, &error));
  CHECK(first.u.as_buffer->data == buffer.data && first.u.as_buffer->len == size);
  CHECK(((unsigned char *)buffer.data)[5] == 7 && ((unsigned char *)buffer.data)[size - 5] == 7);
  printf("%zu MiB in and out: RSS grows by %ld KiB here, %ld KiB there (private: %ld KiB)\n", size >> 20, rss_kib(getpid()) - here, rss_kib(process) - there, private_kib(process) - own);
  CHECK(rss_kib(getpid()) - here < 1024 && rss_kib(process) - there < 1024 && private_kib(process) - own < 1024);
  subpy_value_free(&first);
  subpy_buffer_free(&buffer);
  subpy_buffer_free(&little);
}

/* The process tries to take the memory away. */
static void hostile(void) {
  subpy_buffer buffer = new_buffer(1 << 20, SUBPY_BUFFER_WRITABLE), fixed = new_buffer(1 << 20, 0);
  memset(buffer.data, 1, 1 << 20);
  memset(fixed.data, 1, 1 << 20);
  OK(call("keep", &buffer, NULL, &error));
  OK(call("keep", &fixed, NULL, &error));
  run(interp,
      "import os, fcntl, mmap\n"
      "files = []\n"
      "for line in open('/proc/self/maps'):\n"
      "  if 'memfd:subpy' in line:\n"
      "    files.append('/proc/self/map_files/' + line.split()[0])\n"
      "tried = failed = 0\n"
      "for file in files:\n"
      "  for way in (os.O_RDWR, os.O_RDONLY):\n"
      "    try: fd = os.open(file, way)\n"
      "    except OSError: continue\n"
      "    for act in (lambda: os.ftruncate(fd, 0), lambda: os.ftruncate(fd, 1 << 30), lambda: fcntl.fcntl(fd, 1033, 8)):\n"
      "      tried += 1\n"
      "      try: act()\n"
      "      except OSError: failed += 1\n");
  CHECK(number(interp, "len(files) >= 2 and failed == tried"));
  /* Root alone may open them. */
  CHECK(number(interp, "tried") > 0 || geteuid() != 0);
  unsigned char *bytes = buffer.data, *more = fixed.data;
  for (size_t at = 0; at < 1 << 20; at += 4096) CHECK(bytes[at] == 1 && more[at] == 1);
  bytes[0] = 2, more[0] = 2;
  subpy_buffer_free(&buffer);
  subpy_buffer_free(&fixed);
}

int main(void) {
  CHECK(buffers_of_processes() == 0);
  interp = create_process();
  run(interp,
      "def seen(b):\n  return f'{b.format} {b.itemsize} {b.shape} {b.strides} {b.readonly} {b.tolist()}'\n"
      "def keep(b):\n  global kept\n  kept = b\n"
      "def takes(*args, **kwargs): pass\n");
  new_and_free();
  page();
  other_memory();
  read_only();
  out();
  copies_out();
  crash();
  let_go_by_a_thread();
  hostile();
  racing();
  large((size_t)1 << 30);
  run(interp, "del kept");
  int before = released;
  subpy_buffer buffer = new_buffer(100, 0);
  OK(call("keep", &buffer, NULL, &error));
  shut_down();
  CHECK(released == before + 1);
  subpy_buffer_free(&buffer);
  return 0;
}
