/* What every part of the harness knows: exports and their parameters, cells, and what came of one. */
#ifndef MISUSE_H
#define MISUSE_H

#include <fnmatch.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/mman.h>

#include "../c/test.h"

/* Exports are called as they are. */
#undef subpy_create

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The kinds of handles, in the order of NOUNS in generate.rs. */
enum { INTERP, FUNCTION, OBJECT, THREAD, CANCEL, QUEUE, POOL, NOUNS };

typedef enum kind {
  P_END,
  P_HANDLE,       /* a handle, of a noun */
  P_TEXT,         /* with a P_LEN behind it, as P_BYTES, P_VALUES and P_PAIRS have */
  P_BYTES,
  P_VALUES,
  P_PAIRS,
  P_LEN,
  P_NARGS,        /* how many values there are in a row of the P_VALUES before */
  P_CTEXT,        /* ends with a NUL */
  P_TEXTS,        /* several, the last one followed by NULL */
  P_VALUE,
  P_DICT,
  P_BUFFER,
  P_STRUCT,       /* options or a request */
  P_SIZE,         /* the first field of one */
  P_FLAGS,
  P_RESERVED,
  P_ENUM,
  P_TIMEOUT,
  P_NUMBER,       /* any number is fine */
  P_USERDATA,
  P_CALLBACK,
  P_CTX,
  P_ERROR_IN,
  P_ERROR_OWNED,  /* is freed, as the next two */
  P_VALUE_OWNED,
  P_BUFFER_OWNED,
  P_OUT,          /* an output; on failure zero */
  P_OUT_FD,       /* on failure -1 */
  P_OUT_HANDLE,
  P_OUT_ARRAY,    /* of handles, with a P_LEN behind it */
  P_RESULT,
  P_INFO,         /* a struct that begins with its size, and is filled in */
  P_ERROR,
} kind;

typedef enum returns { R_STATUS, R_VOID, R_VALUE, R_BOOL, R_NUMBER, R_POINTER } returns;

typedef struct param {
  const char *name;
  kind kind;
  int noun;
  /* where it is among the arguments, or in its struct */
  size_t offset;
  /* of what an output points to; otherwise its own */
  size_t size;
  /* NULL, or the handle 0, is nothing wrong */
  bool optional;
  const struct shape *of;
} param;

/* A struct that a caller fills in. */
typedef struct shape {
  const char *name;
  size_t size;
  const param *fields;
  int count;
} shape;

typedef struct outcome {
  subpy_status status;
  subpy_value value;
  const void *pointer;
  uint64_t number;
} outcome;

typedef struct export {
  const char *name;
  returns returns;
  void (*call)(const void *args, outcome *got);
  const param *params;
  int count;
} export;

/* Outcomes, as bits: those of functions with a status, and of those without one. */
enum {
  IS_OK = 1,
  IS_INVALID_ARGUMENT = 1 << 1,
  IS_NOT_FOUND = 1 << 2,
  IS_BUSY = 1 << 3,
  IS_EXECUTION_FAILED = 1 << 4,
  IS_NOT_SHAREABLE = 1 << 5,
  IS_INTERPRETER = 1 << 6,
  IS_SYNTAX = 1 << 7,
  IS_PYTHON_NOT_FOUND = 1 << 8,
  IS_PYTHON_UNSUPPORTED = 1 << 9,
  IS_TIMEOUT = 1 << 10,
  IS_INTERRUPTED = 1 << 11,
  IS_NO_MEMORY = 1 << 12,
  IS_FORKED = 1 << 13,
  IS_WRONG_STATE = 1 << 14,
  IS_CRASHED = 1 << 16,
  IS_EMPTY = 1 << 20, /* NULL, 0, false */
  IS_FULL = 1 << 21,  /* anything else */
  IS_GOOD = 1 << 22,  /* as with good arguments */
};

/* One outcome that no rule says. */
typedef struct row {
  int line;
  const char *pattern;
  int outcomes;
  const char *message;
} row;

/* What is done to one parameter. */
typedef struct mutation {
  char name[64];
  int expected;
  /* what the message must have in it, NULL: nothing */
  const char *word;
} mutation;

static char cell_name[256];
static int cells, failures;

static void say(const char *text) {
  if (write(1, text, strlen(text)) < 0) _exit(2);
}

/* A cell is said before it runs, so that one that crashes or hangs has a name. */
static void begin_cell(const char *context, const char *export, const char *what) {
  char line[300];
  snprintf(cell_name, sizeof cell_name, "%s/%s/%s/%s", in_processes() ? "process" : "thread", context, export, what);
  snprintf(line, sizeof line, "cell %s\n", cell_name);
  say(line);
  cells++;
  alarm(120);
}

__attribute__((format(printf, 1, 2))) static void fail(const char *format, ...) {
  char text[1500], line[2000];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  snprintf(line, sizeof line, "FAIL %s: %s\n", cell_name, text);
  say(line);
  failures++;
}

/* Memory before a page that cannot be read or written: whoever goes one byte too far crashes. */
enum { PLACES = 96, PAGES = 2 };
static int places_used;

static void *guarded(size_t size) {
  static char *memory;
  const size_t page = (size_t)sysconf(_SC_PAGESIZE), each = (PAGES + 1) * page;
  if (!memory) {
    memory = mmap(NULL, PLACES * each, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    for (size_t i = 0; i < PLACES; i++) CHECK(mprotect(memory + i * each + PAGES * page, page, PROT_NONE) == 0);
  }
  CHECK(places_used < PLACES && size <= PAGES * page);
  return memory + (size_t)places_used++ * each + PAGES * page - size;
}

/* The same for what has an alignment of 8. */
static void *guarded_struct(size_t size) { return guarded((size + 7) & ~(size_t)7); }

static char *guarded_text(const char *text, size_t len) {
  char *place = guarded(len);
  memcpy(place, text, len);
  return place;
}

#endif
