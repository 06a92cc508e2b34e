/* Memory runs out where a guest or the caller chooses the size: an error each time, and the process lives on. */
#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>

#include "guest.h"

#define MIB ((size_t)1 << 20)

static subpy_interp interp;
static struct rlimit before;

/* From now on the process gets so much more address space. */
static void allow(size_t more) {
  malloc_trim(0);
  long pages = 0;
  FILE *status = fopen("/proc/self/statm", "r");
  CHECK(status && fscanf(status, "%ld", &pages) == 1);
  fclose(status);
  struct rlimit little = before;
  little.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + more;
  CHECK(setrlimit(RLIMIT_AS, &little) == 0);
}

static void allow_all(void) { CHECK(setrlimit(RLIMIT_AS, &before) == 0); }

static bool is_memory_error(subpy_status status, const subpy_error *error) {
  if (status == SUBPY_ERROR_NO_MEMORY)
    return strcmp(subpy_error_message(error, NULL), "out of memory") == 0;
  return status == SUBPY_ERROR_EXECUTION_FAILED && strcmp(subpy_error_type_name(error, NULL), "MemoryError") == 0;
}

/* It fails with MemoryError or SUBPY_ERROR_NO_MEMORY, and the interpreter goes on. */
#define RUNS_OUT(more, call)                                                                                 \
  do {                                                                                                       \
    subpy_error *error_ = NULL;                                                                              \
    allow(more);                                                                                             \
    subpy_status status_ = call;                                                                             \
    allow_all();                                                                                             \
    if (!is_memory_error(status_, error_)) {                                                                  \
      fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, subpy_status_name(status_),                     \
              subpy_error_message(error_, NULL));                                                            \
      exit(1);                                                                                               \
    }                                                                                                        \
    subpy_error_free(error_);                                                                                \
    run(interp, "fine = 1");                                                                                 \
  } while (0)

static char *filled(size_t len, const char *begin, char with) {
  char *text = malloc(len + 1);
  CHECK(text);
  memset(text, with, len);
  memcpy(text, begin, strlen(begin));
  text[len] = 0;
  return text;
}

/* What is printed needs no second place. */
static void print(void) {
  int saved = dup(1), null = open("/dev/null", O_WRONLY);
  CHECK(saved >= 0 && null >= 0 && dup2(null, 1) == 1);
  run(interp, "text = 'x' * (96 << 20)\ndata = b'x' * (96 << 20)\nwide = '\\u20ac' * (36 << 20)");
  subpy_error *error = NULL;
  allow(32 * MIB);
  OK(subpy_exec(interp, "print(text)", SUBPY_AUTO_LEN, &error));
  OK(subpy_exec(interp, "import sys\nsys.stdout.buffer.write(data)", SUBPY_AUTO_LEN, &error));
  OK(subpy_exec(interp, "print('small')\nprint(text)", SUBPY_AUTO_LEN, &error));
  allow_all();
  RUNS_OUT(32 * MIB, subpy_exec(interp, "print(wide)", SUBPY_AUTO_LEN, &error_));
  CHECK(dup2(saved, 1) == 1);
  close(saved), close(null);
  run(interp, "del data, wide");
}

/* A text is cut before it is copied. */
static void exceptions(void) {
  subpy_error *error = NULL;
  allow(32 * MIB);
  subpy_status status = subpy_exec(interp, "raise ValueError(text)", SUBPY_AUTO_LEN, &error);
  allow_all();
  CHECK(status == SUBPY_ERROR_EXECUTION_FAILED && strcmp(subpy_error_type_name(error, NULL), "ValueError") == 0);
  size_t len = 0;
  const char *message = subpy_error_exception_message(error, &len);
  CHECK(len < 2 * MIB && strstr(message, "... (99614720 more bytes)"));
  CHECK(strncmp(subpy_error_formatted(error, NULL), "ValueError: xxx", 15) == 0);
  subpy_error_free(error);

  /* 9,000 frames with names of 100 KB would be two gigabytes. */
  run(interp, "import sys\nsys.setrecursionlimit(20_000)\n"
              "def deep(n): return undefined if n == 0 else deep(n - 1)\n"
              "deep.__code__ = deep.__code__.replace(co_name='n' * 100_000, co_filename='f' * 100_000)");
  error = NULL;
  allow(64 * MIB);
  status = subpy_exec(interp, "deep(9_000)", SUBPY_AUTO_LEN, &error);
  allow_all();
  CHECK(status == SUBPY_ERROR_EXECUTION_FAILED);
  CHECK(subpy_error_formatted(error, NULL));
  subpy_error_free(error);

  run(interp, "class Long(Exception): pass\nLong.__qualname__ = Long.__module__ = text");
  error = exception(interp, "raise Long");
  CHECK(subpy_error_type_module(error, &len) && len < 5000);
  subpy_error_free(error);
  run(interp, "del Long, deep, text");
}

/* First of all: later there is room in between. */
static void arguments(void) {
  subpy_value argument = {0};
  enum { MANY = 9000000 }; /* 72 MB of pointers: more than an arena of glibc has in reserve */
  subpy_value *many = calloc(MANY, sizeof *many);
  CHECK(many);
  RUNS_OUT(32 * MIB, subpy_call(interp, "builtins:id", SUBPY_AUTO_LEN, many, MANY, NULL, NULL, &error_));
  argument = subpy_list(many, MANY);
  RUNS_OUT(32 * MIB, subpy_call(interp, "builtins:id", SUBPY_AUTO_LEN, &argument, 1, NULL, NULL, &error_));
  subpy_thread thread = 0;
  RUNS_OUT(32 * MIB, subpy_call_in_thread(interp, "builtins:id", SUBPY_AUTO_LEN, &argument, 1, NULL, &thread, &error_));
  for (size_t index = 0; index < MANY; index++) many[index] = subpy_str("a", 1);
  argument = subpy_dict((subpy_pair *)(void *)many, MANY / 2);
  RUNS_OUT(32 * MIB, subpy_call(interp, "builtins:dict", SUBPY_AUTO_LEN, NULL, 0, &argument, NULL, &error_));
  RUNS_OUT(32 * MIB, subpy_prepare_main(interp, &argument, &error_));
  free(many);
}

static void values(void) {
  subpy_value value = {0};
  char *hex = filled(96 * MIB, "0x", 'f');
  subpy_value argument = subpy_bigint(hex, 96 * MIB);
  RUNS_OUT(32 * MIB, subpy_call(interp, "builtins:id", SUBPY_AUTO_LEN, &argument, 1, NULL, NULL, &error_));
  argument = subpy_str(hex, 96 * MIB);
  RUNS_OUT(32 * MIB, subpy_call(interp, "builtins:id", SUBPY_AUTO_LEN, &argument, 1, NULL, NULL, &error_));
  free(hex);

  run(interp, "number = 1 << (8 * (100 << 20))");
  RUNS_OUT(50 * MIB, subpy_eval(interp, "number", SUBPY_AUTO_LEN, &value, &error_));
  RUNS_OUT(150 * MIB, subpy_eval(interp, "number", SUBPY_AUTO_LEN, &value, &error_));
  run(interp, "del number\ntexts = ['text'] * 1_000_000");
  /* The texts and values have room, and the places of the pointers among them not. */
  for (size_t room = 20; room < 120; room += 20)
    RUNS_OUT(room * MIB, subpy_eval(interp, "[texts, 'x' * (300 << 20)]", SUBPY_AUTO_LEN, &value, &error_));
  run(interp, "del texts");
}

static void source(void) {
  char *code = filled(96 * MIB, "  fine = 2 #", 'x');
  RUNS_OUT(32 * MIB, subpy_exec(interp, code, SUBPY_AUTO_LEN, &error_));
  RUNS_OUT(32 * MIB, subpy_exec(interp, code + 2, SUBPY_AUTO_LEN, &error_));
  RUNS_OUT(32 * MIB, subpy_eval(interp, code + 9, SUBPY_AUTO_LEN, NULL, &error_));
  memset(code, 'n', 12);
  RUNS_OUT(32 * MIB, subpy_call(interp, code, SUBPY_AUTO_LEN, NULL, 0, NULL, NULL, &error_));
  /* The thread's copy has room, and no other. */
  subpy_error *error = NULL;
  subpy_thread thread = 0;
  allow(120 * MIB);
  OK(subpy_call_in_thread(interp, code, SUBPY_AUTO_LEN, NULL, 0, NULL, &thread, &error));
  subpy_status status = subpy_thread_join(thread, NULL, &error);
  allow_all();
  CHECK(is_memory_error(status, error));
  subpy_error_free(error);
  free(code);
}

int main(void) {
  CHECK(getrlimit(RLIMIT_AS, &before) == 0);
  CHECK(mallopt(M_MMAP_THRESHOLD, 1 << 20) == 1); /* what is large and freed goes back */
  interp = create();
  run(interp, "import traceback, linecache, os, tokenize"); /* a traceback needs them */
  arguments();
  print();
  exceptions();
  values();
  source();
  shut_down();
  return 0;
}
