/* Host memory in Python: every form of it, what is refused, lending, and that each release comes exactly once. In this
 * process; process_buffers.c has the same for interpreters in processes of their own. */
#include <stdatomic.h>

#include "guest.h"
#include "values.h"

#ifndef CREATE
#define CREATE() create()
#define MEMORY(...) ((unsigned char[]){__VA_ARGS__})
#define DOUBLES(...) ((double[]){__VA_ARGS__})
#endif

static atomic_int released;

static void release(void *userdata) {
  atomic_int *count = userdata;
  atomic_fetch_add(count, 1);
  /* Nothing is locked, and no GIL held: the library may be called. */
  subpy_error *error = NULL;
  size_t interpreters = 0;
  subpy_status status = subpy_list_all(NULL, 0, &interpreters, &error);
  CHECK(status == SUBPY_OK || status == SUBPY_ERROR_WRONG_STATE);
  subpy_error_free(error);
}

static subpy_buffer buffer_of(void *data, size_t len) {
  return (subpy_buffer){.size = sizeof(subpy_buffer), .data = data, .len = len, .release = release, .userdata = &released};
}

static subpy_interp interp;

static subpy_status call(const char *callable, const subpy_buffer *buffer, subpy_value *result, subpy_error **error) {
  subpy_value value = subpy_value_from_buffer(buffer);
  return subpy_call(interp, callable, SUBPY_AUTO_LEN, &value, 1, NULL, result, error);
}

/* What Python says of the buffer. */
static void seen(const subpy_buffer *buffer, const char *expected) {
  subpy_error *error = NULL;
  subpy_value text = {0};
  int before = released;
  OK(call("seen", buffer, &text, &error));
  if (strcmp(text.u.as_str, expected) != 0) {
    fprintf(stderr, "Python sees\n  %s\nnot\n  %s\n", text.u.as_str, expected);
    exit(1);
  }
  subpy_value_free(&text);
  CHECK(released == before + 1);
}

static void forms(void) {
  unsigned char *bytes = MEMORY(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  for (int i = 0; i < 24; i++) bytes[i] = (unsigned char)i;
  subpy_buffer plain = buffer_of(bytes, 4);
  seen(&plain, "B 1 (4,) (1,) True [0, 1, 2, 3]");
  subpy_buffer writable = plain;
  writable.flags = SUBPY_BUFFER_WRITABLE;
  seen(&writable, "B 1 (4,) (1,) False [0, 1, 2, 3]");
  subpy_buffer empty = buffer_of(NULL, 0);
  seen(&empty, "B 1 (0,) (1,) True []");

  double *numbers = DOUBLES(0.5, 1.5, 2.5, 3.5, 4.5, 5.5);
  size_t shape[] = {2, 3};
  subpy_buffer matrix = buffer_of(numbers, 6 * sizeof *numbers);
  matrix.format = "d", matrix.ndim = 2, matrix.shape = shape;
  seen(&matrix, "d 8 (2, 3) (24, 8) True [[0.5, 1.5, 2.5], [3.5, 4.5, 5.5]]");
  /* The other way round, and backwards. */
  ptrdiff_t turned[] = {8, 16}, backwards[] = {-24, -8};
  matrix.strides = turned;
  seen(&matrix, "d 8 (2, 3) (8, 16) True [[0.5, 2.5, 4.5], [1.5, 3.5, 5.5]]");
  matrix.strides = backwards;
  seen(&matrix, "d 8 (2, 3) (-24, -8) True [[5.5, 4.5, 3.5], [2.5, 1.5, 0.5]]");
  size_t none[] = {0, 3};
  matrix.strides = NULL, matrix.shape = none, matrix.len = 0;
  seen(&matrix, "d 8 (0, 3) (24, 8) True []");
  subpy_buffer columns = buffer_of(bytes, 24);
  size_t every_fourth[] = {6};
  ptrdiff_t stride[] = {4};
  columns.ndim = 1, columns.shape = every_fourth, columns.strides = stride;
  seen(&columns, "B 1 (6,) (4,) True [0, 4, 8, 12, 16, 20]");
  /* What memoryview does not read itself is passed as it is. */
  subpy_buffer others = buffer_of(bytes, 24);
  others.format = "T{<i:x:<d:y:}", others.itemsize = 12;
  seen(&others, "T{<i:x:<d:y:} 12 (2,) (12,) True NotImplementedError");
}

/* Python writes, the host sees it; and the other way round. */
static void the_memory_is_the_same(void) {
  subpy_error *error = NULL;
  unsigned char *bytes = MEMORY(1, 2, 3, 4);
  subpy_buffer buffer = buffer_of(bytes, 4);
  buffer.flags = SUBPY_BUFFER_WRITABLE;
  int before = released;
  OK(call("keep", &buffer, NULL, &error));
  CHECK(released == before);
  run(interp, "kept[0] = 77");
  CHECK(bytes[0] == 77);
  bytes[1] = 88;
  CHECK(number(interp, "kept[1]") == 88);
  run(interp, "del kept");
  CHECK(released == before + 1);
  buffer.flags = 0;
  OK(call("keep", &buffer, NULL, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "TypeError: cannot modify read-only memory",
        subpy_exec(interp, "kept[0] = 1", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...TypeError", subpy_exec(interp, "import ctypes\n(ctypes.c_char * 4).from_buffer(kept)", SUBPY_AUTO_LEN, &error));
  /* In a cycle, until the collector comes. */
  run(interp, "cycle = [kept]; cycle.append(cycle); del cycle, kept");
  CHECK(released == before + 1);
  run(interp, "import gc; gc.collect()");
  CHECK(released == before + 2);
}

static void refused(subpy_buffer buffer, const char *message) {
  subpy_error *error = NULL;
  int before = released;
  char expected[200];
  snprintf(expected, sizeof expected, "args[0]: subpy_buffer.%s", message);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, expected, call("seen", &buffer, NULL, &error));
  CHECK(released == before);
}

static void misuse(void) {
  unsigned char bytes[24] = {0};
  subpy_error *error = NULL;
  subpy_buffer good = buffer_of(bytes, sizeof bytes), bad = good;
  bad.size = 8;
  refused(bad, "size is 8, set it to sizeof(subpy_buffer)");
  bad = good, bad.flags = 4;
  refused(bad, "flags has unknown bits set: 0x4");
  bad = good, bad.data = NULL;
  refused(bad, "data is NULL, but len is 24");
  bad = good, bad.len = SIZE_MAX;
  refused(bad, "len is 18446744073709551615, more than memory can hold");
  bad = good, bad.format = "d", bad.len = 23;
  refused(bad, "len is 23, no multiple of the size of an element, 8");
  bad = good, bad.format = "d", bad.itemsize = 4;
  refused(bad, "itemsize is 4, but elements of format \"d\" have 8 bytes");
  bad = good, bad.format = "xyz";
  refused(bad, "itemsize is 0, and not known for format \"xyz\"");
  bad = good, bad.format = "";
  refused(bad, "format must be ASCII, and not empty");
  bad = good, bad.format = "\xff", bad.itemsize = 1;
  refused(bad, "format must be ASCII, and not empty");
  bad = good, bad.ndim = -1;
  refused(bad, "ndim is -1, must be 0 to 64");
  bad = good, bad.ndim = 2;
  refused(bad, "shape is NULL, but ndim is 2");
  size_t shape[65] = {4, 6};
  bad = good, bad.shape = shape;
  refused(bad, "ndim is 0, but shape is not NULL");
  bad.ndim = 65;
  refused(bad, "ndim is 65, must be 0 to 64");
  bad.ndim = 2, bad.len = 25;
  refused(bad, "len is 25, but shape and strides need 24 bytes");
  bad.len = 23;
  refused(bad, "len is 23, but shape and strides need 24 bytes");
  ptrdiff_t strides[] = {7, 1};
  bad.len = 24, bad.strides = strides;
  refused(bad, "len is 24, but shape and strides need 27 bytes");
  strides[0] = -7;
  refused(bad, "len is 24, but shape and strides need 27 bytes");
  size_t huge[] = {SIZE_MAX / 2, 3};
  bad = good, bad.ndim = 2, bad.shape = huge;
  refused(bad, "shape: the product with the size of an element is more than memory can hold");
  huge[1] = 0;
  bad.strides = strides, strides[0] = PTRDIFF_MIN;
  bad.shape = (size_t[]){2, 1};
  refused(bad, "len is 24, but shape and strides need 9223372036854775809 bytes");
  bad = good, bad.release = NULL;
  refused(bad, "userdata is for release, which is NULL");

  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "args[0]: SUBPY_KIND_BUFFER points to NULL", call("seen", NULL, NULL, &error));
  /* A wrong one beside a good one: the good one stays the host's. */
  int before = released;
  bad = good, bad.size = 1;
  subpy_value both[] = {subpy_value_from_buffer(&good), subpy_value_from_buffer(&bad)};
  subpy_value list = subpy_list(both, 2);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "args[0][1]: subpy_buffer.size is 1, set it to sizeof(subpy_buffer)",
        subpy_call(interp, "seen", SUBPY_AUTO_LEN, &list, 1, NULL, NULL, &error));
  CHECK(released == before);
}

/* Each occurrence is released once, whatever becomes of the call. */
static void once_each(void) {
  unsigned char *bytes = MEMORY(0, 0, 0, 0, 0, 0, 0, 0);
  subpy_error *error = NULL;
  subpy_buffer buffer = buffer_of(bytes, 8);
  subpy_value value = subpy_value_from_buffer(&buffer), twice[] = {value, value};
  subpy_pair pair = {TEXT("b"), subpy_list(twice, 2)};
  subpy_value dict = subpy_dict(&pair, 1), args[] = {value, subpy_list(twice, 2), dict};
  int before = released;
  OK(subpy_call(interp, "builtins:repr", SUBPY_AUTO_LEN, args, 1, NULL, NULL, &error));
  CHECK(released == before + 1);
  OK(subpy_call(interp, "takes", SUBPY_AUTO_LEN, args, 3, &dict, NULL, &error));
  CHECK(released == before + 1 + 1 + 2 + 2 + 2);
  before = released;
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...ZeroDivisionError", subpy_call(interp, "fails", SUBPY_AUTO_LEN, args, 3, NULL, NULL, &error));
  CHECK(released == before + 5);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...AttributeError", subpy_call(interp, "nowhere", SUBPY_AUTO_LEN, args, 3, NULL, NULL, &error));
  CHECK(released == before + 10);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_call(interp + 1000, "takes", SUBPY_AUTO_LEN, args, 3, NULL, NULL, &error));
  CHECK(released == before + 15);
  /* A list is no key, and the second buffer is never made. */
  subpy_pair wrong[] = {{subpy_list(twice, 2), value}};
  subpy_value unhashable = subpy_dict(wrong, 1);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...unhashable", subpy_call(interp, "takes", SUBPY_AUTO_LEN, &unhashable, 1, NULL, NULL, &error));
  CHECK(released == before + 18);

  before = released;
  subpy_function function = 0;
  OK(subpy_function_new(interp, "builtins:len", SUBPY_AUTO_LEN, &function, &error));
  OK(subpy_function_call(function, &value, 1, NULL, NULL, &error));
  CHECK(released == before + 1);
  subpy_value rows[] = {value, value, subpy_int(1), value}, results = {0};
  OK(subpy_function_call_many(function, rows, 4, 1, SUBPY_RETURN_ERRORS, &results, &error));
  CHECK(results.u.as_items[1].u.as_int == 8 && results.u.as_items[2].kind == SUBPY_KIND_ERROR && released == before + 4);
  subpy_value_free(&results);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...", subpy_function_call_many(function, rows, 4, 1, 0, NULL, &error));
  CHECK(released == before + 7);
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_FUNCTION, .function = function, .args = &value, .nargs = 1};
  OK(subpy_run(&request, &results, &error));
  CHECK(results.u.as_int == 8 && released == before + 8);
  subpy_function_free(function);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_run(&request, NULL, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_function_call(function, &value, 1, NULL, NULL, &error));
  CHECK(released == before + 10);
  request.cancel = 1;
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_run(&request, NULL, &error));
  CHECK(released == before + 11);

  /* __main__: until the name is gone. */
  subpy_pair name = {TEXT("bound"), value};
  subpy_value names = subpy_dict(&name, 1);
  before = released;
  OK(subpy_prepare_main(interp, &names, &error));
  CHECK(released == before && number(interp, "len(bound)") == 8);
  run(interp, "del bound");
  CHECK(released == before + 1);
}

static void on_threads(void) {
  unsigned char *bytes = MEMORY(0, 0, 0, 0, 0, 0, 0, 0);
  subpy_error *error = NULL;
  subpy_buffer buffer = buffer_of(bytes, 8);
  subpy_value value = subpy_value_from_buffer(&buffer), result = {0};
  subpy_thread thread = 0;
  int before = released;
  OK(subpy_call_in_thread(interp, "builtins:len", SUBPY_AUTO_LEN, &value, 1, NULL, &thread, &error));
  /* It was copied: the host's may change. */
  buffer.len = 1, value.kind = SUBPY_KIND_NONE;
  OK(subpy_thread_join(thread, &result, &error));
  CHECK(result.u.as_int == 8 && released == before + 1);
  buffer.len = 8, value = subpy_value_from_buffer(&buffer);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_call_in_thread(interp + 1000, "f", SUBPY_AUTO_LEN, &value, 1, NULL, &thread, &error));
  CHECK(released == before + 2);
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_CALL, .text = "fails", .text_len = 5, .args = &value, .nargs = 1};
  OK(subpy_run_in_thread(&request, &thread, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...ZeroDivisionError", subpy_thread_join(thread, NULL, &error));
  CHECK(released == before + 3);
}

static void lent(void) {
  unsigned char *bytes = MEMORY(1, 2, 3, 0, 0, 0, 0, 0);
  subpy_error *error = NULL;
  subpy_buffer buffer = buffer_of(bytes, 8);
  buffer.flags = SUBPY_BUFFER_LENT | SUBPY_BUFFER_WRITABLE;
  subpy_value result = {0};
  int before = released;
  OK(call("builtins:sum", &buffer, &result, &error));
  CHECK(result.u.as_int == 6 && released == before + 1);
  /* The view itself may stay: it is revoked. */
  OK(call("keep", &buffer, NULL, &error));
  CHECK(released == before + 2);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "ValueError: operation forbidden on released memoryview object",
        subpy_exec(interp, "kept[0]", SUBPY_AUTO_LEN, &error));
  /* A slice stays good, and the host learns of it. */
  FAILS(SUBPY_ERROR_BUSY, "...1 views of what was lent for the call are still in use", call("keep_slice", &buffer, NULL, &error));
  CHECK(released == before + 2 && number(interp, "kept[0]") == 2);
  run(interp, "kept[0] = 9");
  CHECK(bytes[1] == 9 && released == before + 2);
  run(interp, "del kept");
  CHECK(released == before + 3);
  /* What it is a view of gives no new one. */
  OK(call("keep_owner", &buffer, NULL, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "BufferError: the buffer was lent for a call that is over",
        subpy_exec(interp, "memoryview(kept)", SUBPY_AUTO_LEN, &error));
  run(interp, "del kept");
  CHECK(released == before + 4);
  /* An exception counts more, and its frames do not hold the memory. */
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...ZeroDivisionError", call("fails", &buffer, NULL, &error));
  CHECK(released == before + 5);
  subpy_value value = subpy_value_from_buffer(&buffer);
  subpy_thread thread = 0;
  OK(subpy_call_in_thread(interp, "keep_slice", SUBPY_AUTO_LEN, &value, 1, NULL, &thread, &error));
  FAILS(SUBPY_ERROR_BUSY, "...", subpy_thread_join(thread, NULL, &error));
  run(interp, "del kept");
  CHECK(released == before + 6);
}

static void host_function(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)args, (void)nargs, (void)kwargs;
  subpy_buffer buffer = buffer_of(userdata, 8);
  subpy_value value = subpy_value_from_buffer(&buffer), twice[] = {value, value}, list = subpy_list(twice, 2);
  CHECK(subpy_context_return(ctx, &list) == SUBPY_OK);
  buffer.size = 1;
  CHECK(subpy_context_return(ctx, &value) == SUBPY_ERROR_INVALID_ARGUMENT);
  buffer.size = sizeof buffer;
  CHECK(subpy_context_return(ctx, &value) == SUBPY_OK);
}

static void host_function_one(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)args, (void)nargs, (void)kwargs;
  subpy_buffer buffer = buffer_of(userdata, 8);
  subpy_value value = subpy_value_from_buffer(&buffer);
  CHECK(subpy_context_return(ctx, &value) == SUBPY_OK);
}

static void returned_by_the_host(void) {
  unsigned char *bytes = MEMORY(5, 0, 0, 0, 0, 0, 0, 0);
  subpy_error *error = NULL;
  OK(subpy_define(interp, "gives", SUBPY_AUTO_LEN, 0, host_function, bytes, NULL, &error));
  int before = released;
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...TypeError", subpy_exec(interp, "gives()", SUBPY_AUTO_LEN, &error));
  CHECK(released == before + 3);
  int calls = released;
  OK(subpy_define(interp, "gives_one", SUBPY_AUTO_LEN, SUBPY_DEFINE_KEEP_GIL, host_function_one, bytes, NULL, &error));
  CHECK(number(interp, "gives_one()[0]") == 5 && released == calls + 1);
  run(interp, "given = gives_one()");
  bytes[0] = 6;
  CHECK(number(interp, "given[0]") == 6 && released == calls + 1);
  run(interp, "del given");
  CHECK(released == calls + 2);
}

/* However an interpreter ends, and whatever it still has then. */
static void at_the_end(void) {
  unsigned char *bytes = MEMORY(0, 0, 0, 0, 0, 0, 0, 0);
  subpy_error *error = NULL;
  subpy_buffer buffer = buffer_of(bytes, 8);
  subpy_value value = subpy_value_from_buffer(&buffer);
  static const char *const ways[] = {"kept = [b]", "kept = b[1:]", "import sys; sys.kept = [b]; sys.kept.append(sys.kept)",
                                     "import ctypes; ctypes.pythonapi.Py_IncRef(ctypes.py_object(b))"};
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    subpy_interp brief = CREATE();
    int before = released;
    subpy_pair name = {TEXT("b"), value};
    subpy_value names = subpy_dict(&name, 1);
    OK(subpy_prepare_main(brief, &names, &error));
    run(brief, ways[i]);
    run(brief, "del b");
    CHECK(released == before);
    OK(subpy_close(brief, &error));
    CHECK(released == before + 1);
  }
}

int main(void) {
  interp = CREATE();
  run(interp,
      "def seen(b):\n"
      "  try: value = b.tolist()\n"
      "  except NotImplementedError: value = 'NotImplementedError'\n"
      "  return f'{b.format} {b.itemsize} {b.shape} {b.strides} {b.readonly} {value}'\n"
      "def keep(b):\n  global kept\n  kept = b\n"
      "def keep_slice(b):\n  global kept\n  kept = b[1:]\n"
      "def keep_owner(b):\n  global kept\n  kept = b.obj\n"
      "def takes(*args, **kwargs): pass\n"
      "def fails(b, *args):\n  part = b[1:]\n  1/0\n");
  forms();
  the_memory_is_the_same();
  misuse();
  once_each();
  on_threads();
  lent();
  returned_by_the_host();
  at_the_end();
  int before = released;
  unsigned char *bytes = MEMORY(0, 0, 0, 0, 0, 0, 0, 0);
  subpy_buffer buffer = buffer_of(bytes, 8);
  subpy_error *error = NULL;
  buffer.release = NULL, buffer.userdata = NULL;
  OK(call("keep", &buffer, NULL, &error));
  buffer = buffer_of(bytes, 8);
  OK(call("keep", &buffer, NULL, &error));
  shut_down();
  CHECK(released == before + 1);
  /* After the end nothing is taken but what was passed. */
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", call("keep", &buffer, NULL, &error));
  CHECK(released == before + 2);
  return 0;
}
