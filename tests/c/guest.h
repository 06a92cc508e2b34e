/* For tests in which Python and C talk to each other: pipes, calls from Python into C, texts out of an interpreter. */
#ifndef GUEST_H
#define GUEST_H

#include <inttypes.h>
#include <pthread.h>
#include <unistd.h>

#include "test.h"

/* A place for one side to wait until the other says go; Python's side is os.read(fd, 1) and os.write(fd, b'.'). */
typedef struct {
  int in, out;
} signal_pipe;

static inline signal_pipe signal_new(void) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  return (signal_pipe){ends[0], ends[1]};
}

static inline void signal_wait(signal_pipe pipe) {
  char byte;
  CHECK(read(pipe.in, &byte, 1) == 1);
}

static inline void signal_send(signal_pipe pipe) { CHECK(write(pipe.out, ".", 1) == 1); }

/* Defines block() in the interpreter: it says that it has begun, then waits for its turn to end. */
static inline void define_block(subpy_interp interp, signal_pipe begun, signal_pipe end) {
  char code[256];
  snprintf(code, sizeof code,
           "import os\n"
           "def block(result=None):\n"
           "  os.write(%d, b'.'), os.read(%d, 1)\n" /* one line: nobody sees it between the two */
           "  return result\n",
           begun.out, end.in);
  run(interp, code);
}

/* A run of block() on a thread of the library's own; returns when it has begun. */
static inline subpy_thread block_in_thread(subpy_interp interp, signal_pipe begun) {
  subpy_error *error = NULL;
  subpy_thread thread = 0;
  OK(subpy_call_in_thread(interp, "block", SUBPY_AUTO_LEN, NULL, 0, NULL, &thread, &error));
  signal_wait(begun);
  return thread;
}

static inline void end_block(subpy_thread thread, signal_pipe end) {
  subpy_error *error = NULL;
  signal_send(end);
  OK(subpy_thread_join(thread, NULL, &error));
}

/* Lets Python code in the interpreter call a C function. `type` is CFUNCTYPE, or PYFUNCTYPE to keep the GIL. */
static inline void call_from_python(subpy_interp interp, const char *type, void (*function)(void)) {
  char code[128];
  snprintf(code, sizeof code, "import ctypes\nctypes.%s(None)(%" PRIuPTR ")()", type, (uintptr_t)function);
  run(interp, code);
}

static inline void check_text(const char *file, int line, const char *text, size_t len, const char *expected,
                              size_t expected_len) {
  if (!text || len != expected_len || memcmp(text, expected, len) != 0 || text[len] != 0) {
    fprintf(stderr, "%s:%d: the text is\n  %s\nnot\n  %s\n", file, line, text ? text : "(none)", expected);
    exit(1);
  }
}

/* The expression's value is this str, a literal. */
#define CHECK_EVAL(interp, expression, expected)                                                             \
  do {                                                                                                       \
    subpy_value value_ = {0};                                                                                \
    subpy_error *error = NULL;                                                                               \
    OK(subpy_eval(interp, expression, SUBPY_AUTO_LEN, &value_, &error));                                     \
    CHECK(value_.kind == SUBPY_KIND_STR);                                                                    \
    check_text(__FILE__, __LINE__, value_.u.as_str, value_.len, "" expected, sizeof(expected) - 1);          \
    subpy_value_free(&value_);                                                                               \
  } while (0)

/* One text of an error, such as subpy_error_formatted, is this literal, which may hold NULs. */
#define CHECK_ERROR(accessor, error, expected)                                                               \
  do {                                                                                                       \
    size_t len_ = 12345;                                                                                     \
    const char *text_ = accessor(error, &len_);                                                              \
    check_text(__FILE__, __LINE__, text_, len_, "" expected, sizeof(expected) - 1);                          \
    CHECK(accessor(error, NULL) == text_);                                                                   \
  } while (0)

/* The error of code that must fail with this status; to be freed. */
static inline subpy_error *exec_error(subpy_interp interp, subpy_status expected, const char *code) {
  subpy_error *error = NULL;
  subpy_status status = subpy_exec(interp, code, SUBPY_AUTO_LEN, &error);
  if (status != expected) {
    fprintf(stderr, "exec gave %s: %s\n%s\n", subpy_status_name(status), subpy_error_message(error, NULL), code);
    exit(1);
  }
  CHECK(subpy_error_status(error) == status && subpy_error_interp(error) == interp);
  return error;
}

static inline subpy_error *exception(subpy_interp interp, const char *code) {
  return exec_error(interp, SUBPY_ERROR_EXECUTION_FAILED, code);
}

/* What the rest of the process does to a descriptor while `captured` is called, as one text; to be freed. */
static inline char *capture(int fd, void (*captured)(void)) {
  FILE *file = tmpfile();
  CHECK(file);
  int saved = dup(fd);
  CHECK(saved >= 0 && dup2(fileno(file), fd) == fd);
  captured();
  CHECK(dup2(saved, fd) == fd);
  close(saved);
  CHECK(fseek(file, 0, SEEK_END) == 0);
  long size = ftell(file);
  CHECK(size >= 0);
  char *text = calloc((size_t)size + 1, 1);
  CHECK(text);
  rewind(file);
  CHECK(fread(text, 1, (size_t)size, file) == (size_t)size);
  fclose(file);
  return text;
}

#endif
