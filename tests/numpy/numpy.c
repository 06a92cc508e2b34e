/* numpy and a host share memory, both ways. The arguments: in which interpreter ("main", "shared", "own"), and a folder
 * with numpy. A process for each: numpy works in the first interpreter that imports it. */
#include <stdatomic.h>

#include "../c/values.h"

static subpy_error *error;
static subpy_interp interp;
static atomic_int released;

static void release(void *userdata) {
  (void)userdata;
  atomic_fetch_add(&released, 1);
}

/* Calls a function of __main__ with a buffer, and gives what it returns. */
static subpy_value with(const char *function, subpy_buffer buffer) {
  buffer.size = sizeof buffer;
  return call1(interp, function, subpy_value_from_buffer(&buffer));
}

static subpy_value shared(const char *expression) {
  subpy_value result = {0};
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EVAL, .flags = SUBPY_RESULT_BUFFER, .text = expression, .text_len = SUBPY_AUTO_LEN};
  OK(subpy_run(&request, &result, &error));
  return result;
}

/* The same text as repr() of the value. */
static void is(const char *expression, const char *expected) {
  char code[500];
  snprintf(code, sizeof code, "repr(%s)", expression);
  subpy_value text = eval(interp, code);
  if (strcmp(text.u.as_str, expected) != 0) {
    fprintf(stderr, "%s is %s, not %s\n", expression, text.u.as_str, expected);
    exit(1);
  }
  subpy_value_free(&text);
}

/* The host's memory is what numpy.asarray() has. */
static void in(void) {
  run(interp, "import numpy as np\n"
              "def keep(view):\n"
              "  global array\n"
              "  array = np.asarray(view)\n"
              "  return array.ctypes.data");
  static double data[6] = {0, 1, 2, 3, 4, 5};
  const size_t shape[] = {2, 3};
  subpy_value at = with("keep", (subpy_buffer){.data = data, .len = sizeof data, .format = "d", .shape = shape, .ndim = 2, .flags = SUBPY_BUFFER_WRITABLE, .release = release});
  CHECK(at.u.as_int == (intptr_t)data);
  is("(array.dtype.str, array.shape, array.strides, array.flags.writeable, array.tolist())",
     "('<f8', (2, 3), (24, 8), True, [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])");
  run(interp, "array[1, 2] = 42; array *= 2; row = array[1]; del array");
  CHECK(data[5] == 84 && data[1] == 2 && released == 0);
  data[3] = -1;
  is("row.tolist()", "[-1.0, 8.0, 84.0]");
  run(interp, "del row");
  CHECK(released == 1);

  /* Read-only; every other element, backwards; formats that a memoryview does not read. */
  static const int16_t numbers[] = {1, 2, 3, 4, 5, 6};
  with("keep", (subpy_buffer){.data = (void *)numbers, .len = sizeof numbers, .format = "h", .release = release});
  is("array.flags.writeable", "False");
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "ValueError: assignment destination is read-only", subpy_exec(interp, "array[0] = 1", SUBPY_AUTO_LEN, &error));
  const size_t three[] = {3};
  const ptrdiff_t back[] = {-4};
  at = with("keep", (subpy_buffer){.data = (void *)numbers, .len = sizeof numbers, .format = "h", .shape = three, .strides = back, .ndim = 1, .release = release});
  CHECK(at.u.as_int == (intptr_t)&numbers[4]);
  is("(array.tolist(), array.strides)", "([5, 3, 1], (-4,))");
  static const struct {
    int32_t id;
    float weight;
  } records[] = {{1, 0.5f}, {2, 1.5f}};
  with("keep", (subpy_buffer){.data = (void *)records, .len = sizeof records, .format = "T{<i:id:<f:weight:}", .itemsize = sizeof *records, .release = release});
  is("(array['id'].tolist(), array['weight'].tolist())", "([1, 2], [0.5, 1.5])");
  CHECK(released == 3);

  /* Lent: an array that is left is a view that is still in use. */
  subpy_value buffer = subpy_value_from_buffer(&(subpy_buffer){.size = sizeof(subpy_buffer), .data = data, .len = sizeof data, .format = "d", .flags = SUBPY_BUFFER_LENT, .release = release});
  FAILS(SUBPY_ERROR_BUSY, "...1 views of what was lent", subpy_call(interp, "keep", SUBPY_AUTO_LEN, &buffer, 1, NULL, NULL, &error));
  CHECK(released == 4);
  is("array.sum() == array[0] + array[1] + array[2] + array[3] + array[4] + array[5]", "np.True_");
  run(interp, "del array");
  CHECK(released == 5);
  run(interp, "def total(view): return float(np.asarray(view).sum())");
  OK(subpy_call(interp, "total", SUBPY_AUTO_LEN, &buffer, 1, NULL, &at, &error));
  CHECK(at.kind == SUBPY_KIND_FLOAT && released == 6);
}

/* numpy's memory is what results have, if it is contiguous; otherwise a copy is. */
static void out(void) {
  run(interp, "import weakref\narray = np.arange(100_000, dtype='f4').reshape(100, 1000)");
  subpy_value result = shared("array");
  CHECK(result.kind == SUBPY_KIND_BUFFER);
  const subpy_buffer *found = result.u.as_buffer;
  CHECK(strcmp(found->format, "f") == 0 && found->itemsize == 4 && found->len == 400000 && found->ndim == 2);
  CHECK(found->shape[0] == 100 && found->shape[1] == 1000 && found->strides[0] == 4000 && found->strides[1] == 4);
  CHECK((intptr_t)found->data == number(interp, "array.ctypes.data") && found->flags == SUBPY_BUFFER_WRITABLE);
  float *data = found->data;
  run(interp, "array[1, 1] = -5");
  data[0] = 7;
  CHECK(data[1001] == -5 && number(interp, "int(array[0, 0])") == 7);
  /* It stays as long as the result, and no longer. */
  run(interp, "gone = weakref.ref(array); del array");
  CHECK(!number(interp, "gone() is None") && data[99999] == 99999);
  subpy_value_free(&result);
  CHECK(number(interp, "gone() is None"));

  run(interp, "array = np.arange(100_000, dtype='i8').reshape(100, 1000)");
  result = shared("array[:, ::2]");
  found = result.u.as_buffer;
  CHECK(found->ndim == 2 && found->shape[0] == 100 && found->shape[1] == 500 && found->strides[0] == 4000 && found->strides[1] == 8);
  CHECK(strcmp(found->format, "l") == 0 && ((int64_t *)found->data)[501] == 1002);
  ((int64_t *)found->data)[501] = 0;
  is("array[1, 2]", "np.int64(1002)");
  subpy_value_free(&result);
  result = shared("array.T");
  found = result.u.as_buffer;
  CHECK(found->shape[0] == 1000 && found->shape[1] == 100 && ((int64_t *)found->data)[1] == 1000);
  subpy_value_free(&result);
  /* A row lies in one piece: it is shared. */
  result = shared("array[3]");
  CHECK((intptr_t)result.u.as_buffer->data == number(interp, "array.ctypes.data") + 3 * 8000);
  subpy_value_free(&result);

  /* Small ones are copied; whatever numpy has a format for has a buffer. */
  static const char *const kinds[][3] = {{"np.zeros(4, bool)", "?", "1"}, {"np.zeros(4, complex)", "Zd", "16"}, {"np.zeros(4, 'f2')", "e", "2"}, {"np.zeros(4, [('x', '<i4'), ('y', '<f8')])", "T{i:x:=d:y:}", "12"}, {"np.float64(1.5)", "d", "8"}};
  for (size_t i = 0; i < COUNT(kinds); i++) {
    result = shared(kinds[i][0]);
    CHECK(result.kind == SUBPY_KIND_BUFFER && result.u.as_buffer->itemsize == (size_t)atoi(kinds[i][2]));
    if (strcmp(result.u.as_buffer->format, kinds[i][1]) != 0) {
      fprintf(stderr, "%s: %s\n", kinds[i][0], result.u.as_buffer->format);
      exit(1);
    }
    subpy_value_free(&result);
  }
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EVAL, .flags = SUBPY_RESULT_BUFFER, .text = "np.zeros(4, 'M8[s]')", .text_len = SUBPY_AUTO_LEN};
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, "result: its buffer cannot be shared: it was released, or gives none", subpy_run(&request, &result, &error));
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, "result: numpy.ndarray cannot be shared", subpy_eval(interp, "array", SUBPY_AUTO_LEN, &result, &error));
}

/* An interpreter with a GIL of its own refuses numpy, and says so. */
static void refused(void) {
  CHECK(subpy_exec(interp, "import numpy", SUBPY_AUTO_LEN, &error) == SUBPY_ERROR_EXECUTION_FAILED);
  const char *message = subpy_error_message(error, NULL), *why = subpy_error_display(error, NULL);
  if (!strstr(message, "; create the interpreter with SUBPY_INTERP_PROCESS, or with SUBPY_GIL_SHARED and") ||
      !strstr(why, "does not support loading in subinterpreters")) {
    fprintf(stderr, "%s\n%s\n", message, why);
    exit(1);
  }
  subpy_error_free(error);
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  const char *where = argv[1], *path[] = {argv[2]};
  subpy_interp_options options = {.size = sizeof options, .path = path, .path_len = 1};
  if (strcmp(where, "shared") == 0) {
    options.gil = SUBPY_GIL_SHARED;
    options.flags = SUBPY_INTERP_NO_EXTENSION_CHECK;
  }
  if (strcmp(where, "main") == 0) {
    OK(subpy_get_main(&interp, &error));
    subpy_pair name = {TEXT("folder"), TEXT(argv[2])};
    subpy_value names = subpy_dict(&name, 1);
    OK(subpy_prepare_main(interp, &names, &error));
    run(interp, "import sys; sys.path.insert(0, folder)");
  } else {
    OK(subpy_create(&options, &interp, &error));
  }
  if (strcmp(where, "own") == 0) {
    refused();
    shut_down();
    return 0;
  }
  in();
  out();
  subpy_value last = shared("array");
  if (strcmp(where, "shared") == 0) OK(subpy_close(interp, &error));
  shut_down();
  /* What a result has stays good. */
  CHECK(((int64_t *)last.u.as_buffer->data)[99999] == 99999);
  subpy_value_free(&last);
  return 0;
}
