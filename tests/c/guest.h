/* For tests in which Python and C talk to each other: pipes, calls from Python into C, texts out of an interpreter. */
#ifndef GUEST_H
#define GUEST_H

#include <inttypes.h>
#include <pthread.h>
#include <unistd.h>

#include "test.h"

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

static inline void calls_it(void *function, subpy_context *context, const subpy_value *args, size_t nargs,
                            const subpy_value *kwargs) {
  (void)context, (void)args, (void)nargs, (void)kwargs;
  ((void (*)(void))(uintptr_t)function)();
}

/* Gives Python code in the interpreter a C function as `name`. `type` is CFUNCTYPE, or PYFUNCTYPE to keep the GIL. From
 * another process it can be called as a host function alone. */
static inline void give_function(subpy_interp interp, const char *name, const char *type, void (*function)(void)) {
  char code[128];
  if (in_processes()) {
    subpy_error *error = NULL;
    OK(subpy_define(interp, name, SUBPY_AUTO_LEN, 0, calls_it, (void *)(uintptr_t)function, NULL, &error));
    return;
  }
  snprintf(code, sizeof code, "import ctypes\n%s = ctypes.%s(None)(%" PRIuPTR ")", name, type, (uintptr_t)function);
  run(interp, code);
}

/* Lets Python code in the interpreter call it. */
static inline void call_from_python(subpy_interp interp, const char *type, void (*function)(void)) {
  give_function(interp, "called_from_python", type, function);
  run(interp, "called_from_python()");
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

/* Processes have the descriptors 1 and 2 that this one begins with. So there these are files from the beginning, which
 * are shown at the end. */
static int shown_at[3];

static void show_captured(void) {
  for (int fd = 1; fd < 3; fd++) {
    char text[4096];
    ssize_t got;
    for (off_t at = 0; (got = pread(fd, text, sizeof text, at)) > 0; at += got)
      if (write(shown_at[fd], text, (size_t)got) < 0) break;
  }
}

__attribute__((constructor)) static void capture_from_now_on(void) {
  if (!in_processes()) return;
  for (int fd = 1; fd < 3; fd++) {
    FILE *file = tmpfile();
    CHECK(file && fcntl(fileno(file), F_SETFL, O_APPEND) == 0);
    shown_at[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    CHECK(dup2(fileno(file), fd) == fd && fclose(file) == 0);
  }
  atexit(show_captured);
}

static inline char *capture_there(int fd, void (*captured)(void)) {
  const off_t before = lseek(fd, 0, SEEK_END);
  captured();
  const size_t size = (size_t)(lseek(fd, 0, SEEK_END) - before);
  char *text = calloc(size + 1, 1);
  CHECK(text && pread(fd, text, size, before) == (ssize_t)size);
  return text;
}

/* What the rest of the process does to a descriptor while `captured` is called, as one text; to be freed. */
static inline char *capture(int fd, void (*captured)(void)) {
  if (in_processes()) return capture_there(fd, captured);
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
