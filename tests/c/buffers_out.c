/* Python's memory in results: what is shared, in which form, and that it stays as long as it must and no longer. */
#include <stdatomic.h>
#include <sys/mman.h>

#include "guest.h"
#include "values.h"

static subpy_interp interp;

static subpy_value shared(subpy_interp in, const char *expression, uint32_t flags) {
  subpy_error *error = NULL;
  subpy_value result = {0};
  subpy_run_request request = {.size = sizeof request, .interp = in, .what = SUBPY_RUN_EVAL, .flags = flags, .text = expression, .text_len = SUBPY_AUTO_LEN};
  OK(subpy_run(&request, &result, &error));
  return result;
}

static void is(const subpy_value *value, const char *format, size_t itemsize, size_t len, int32_t ndim, bool writable) {
  CHECK(value->kind == SUBPY_KIND_BUFFER);
  const subpy_buffer *buffer = value->u.as_buffer;
  CHECK(buffer->size == sizeof *buffer && strcmp(buffer->format, format) == 0 && buffer->itemsize == itemsize);
  CHECK(buffer->len == len && buffer->ndim == ndim && buffer->release == NULL && buffer->userdata == NULL);
  CHECK(((buffer->flags & SUBPY_BUFFER_WRITABLE) != 0) == writable && buffer->strides[ndim - 1] == (ptrdiff_t)itemsize);
}

static void forms(void) {
  static const size_t sizes[] = {0, 1, 100, 100000};
  for (size_t i = 0; i < COUNT(sizes); i++) {
    char code[200];
    static const struct {
      const char *make, *format;
      size_t itemsize;
      bool writable;
    } kinds[] = {{"bytes(range(256))*%d", "B", 1, false}, {"bytearray(b'ab'*128)*%d", "B", 1, true},
                 {"array.array('d', [0.5]*32)*%d", "d", 8, true}, {"memoryview(bytes(256)*%d)", "B", 1, false},
                 {"memoryview(bytes(256)*%d).cast('i')", "i", 4, false}};
    for (size_t kind = 0; kind < COUNT(kinds); kind++) {
      snprintf(code, sizeof code, kinds[kind].make, (int)sizes[i]);
      subpy_value result = shared(interp, code, SUBPY_RESULT_BUFFER);
      is(&result, kinds[kind].format, kinds[kind].itemsize, 256 * sizes[i], 1, sizes[i] > 100 ? kinds[kind].writable : result.u.as_buffer->flags);
      CHECK(result.u.as_buffer->shape[0] * kinds[kind].itemsize == result.u.as_buffer->len);
      subpy_value_free(&result);
      CHECK(result.kind == SUBPY_KIND_NONE);
    }
  }
  subpy_value matrix = shared(interp, "memoryview(bytes(range(240))*100).cast('h', (100, 120))", SUBPY_RESULT_BUFFER);
  is(&matrix, "h", 2, 24000, 2, false);
  CHECK(matrix.u.as_buffer->shape[0] == 100 && matrix.u.as_buffer->shape[1] == 120 && matrix.u.as_buffer->strides[0] == 240);
  CHECK(((const unsigned char *)matrix.u.as_buffer->data)[241] == 1);
  subpy_value_free(&matrix);
  /* What is not contiguous is copied. */
  subpy_value even = shared(interp, "memoryview(bytes(range(250))*100)[::2]", SUBPY_RESULT_BUFFER);
  is(&even, "B", 1, 12500, 1, false);
  CHECK(((const unsigned char *)even.u.as_buffer->data)[3] == 6);
  subpy_value_free(&even);
  /* Anywhere in the result; what is no memory is as ever. */
  subpy_value list = shared(interp, "[b'a', {'k': bytearray(10_000), 'n': 7}, 'text', [1.5, 2.5], (1, 2), []]", SUBPY_RESULT_BUFFER | SUBPY_RESULT_ARRAY);
  is(&list.u.as_items[0], "B", 1, 1, 1, false);
  is(&list.u.as_items[1].u.as_pairs[0].value, "B", 1, 10000, 1, true);
  CHECK(list.u.as_items[2].kind == SUBPY_KIND_STR && list.u.as_items[5].kind == SUBPY_KIND_LIST);
  is(&list.u.as_items[3], "d", 8, 16, 1, false);
  is(&list.u.as_items[4], "q", 8, 16, 1, false);
  subpy_value_free(&list);
}

static void the_memory_is_the_same(void) {
  subpy_error *error = NULL;
  run(interp, "kept = bytearray(100_000)");
  subpy_value result = shared(interp, "kept", SUBPY_RESULT_BUFFER);
  ((char *)result.u.as_buffer->data)[5] = 77;
  CHECK(number(interp, "kept[5]") == 77);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...BufferError", subpy_exec(interp, "kept.append(1)", SUBPY_AUTO_LEN, &error));
  /* Dropped when the interpreter is entered next. */
  subpy_value_free(&result);
  run(interp, "kept.append(1)");
  /* Python's memory goes to another interpreter, and is there as long as that needs it. */
  run(interp, "import weakref, array\nclass Array(array.array): pass\nkept = Array('i', range(10_000))\nalive = weakref.ref(kept)");
  result = shared(interp, "kept", SUBPY_RESULT_BUFFER);
  subpy_interp other = create();
  subpy_pair name = {TEXT("b"), result};
  subpy_value names = subpy_dict(&name, 1);
  OK(subpy_prepare_main(other, &names, &error));
  subpy_value_free(&result);
  run(interp, "del kept");
  CHECK(number(interp, "alive() is not None") == 1);
  CHECK(number(other, "b[9999]") == 9999);
  run(other, "del b");
  run(interp, "pass");
  CHECK(number(interp, "alive() is None") == 1);
  OK(subpy_close(other, &error));
}

/* Code in Python does not run while a result is read. */
static void buffers_in_python(void) {
  subpy_error *error = NULL;
  subpy_value result = {0};
  run(interp, "class Own:\n  def __buffer__(self, flags):\n    rows.clear()\n    return memoryview(b'x')\nrows = [Own(), Own()]");
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EVAL, .flags = SUBPY_RESULT_BUFFER, .text = "rows", .text_len = 4};
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, "result[0]: Own cannot be shared", subpy_run(&request, &result, &error));
  CHECK(number(interp, "len(rows)") == 2);
}

/* The end of the interpreter waits for no result, and takes no memory away. */
static void at_the_end(void) {
  subpy_error *error = NULL;
  static const char *const makes[] = {"bytes(range(250))*1000", "bytearray(range(250))*1000", "memoryview(bytes(range(250))*1000)",
                                      "__import__('array').array('B', bytes(range(250))*1000)", "[bytes(range(250))*1000]"};
  for (size_t i = 0; i < COUNT(makes); i++) {
    subpy_interp brief = create();
    subpy_value result = shared(brief, makes[i], SUBPY_RESULT_BUFFER);
    OK(subpy_close(brief, &error));
    const subpy_value *value = result.kind == SUBPY_KIND_LIST ? result.u.as_items : &result;
    const unsigned char *data = value->u.as_buffer->data;
    for (size_t at = 0; at < 250000; at++) CHECK(data[at] == at % 250);
    KEPT_FOR_GOOD(data);
    subpy_interp next = create();
    subpy_value text = call1(next, "builtins:sum", *value);
    CHECK(text.u.as_int == 1000 * 249 * 125);
    subpy_value_free(&result);
    OK(subpy_close(next, &error));
  }
}

static atomic_int released;

static void count(void *userdata) {
  (void)userdata;
  released++;
}

/* 1 GiB in and out: nothing is copied. */
static void a_gibibyte(void) {
  subpy_error *error = NULL;
  size_t len = (size_t)1 << 30;
  /* Never touched, so it is not there. */
  void *data = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(data != MAP_FAILED);
  subpy_buffer buffer = {.size = sizeof buffer, .data = data, .len = len, .flags = SUBPY_BUFFER_WRITABLE, .release = count};
  subpy_value value = subpy_value_from_buffer(&buffer), result = {0};
  run(interp, "def ends(b):\n  b[0] = b[-1] = 7\n  return b");
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_CALL, .flags = SUBPY_RESULT_BUFFER, .text = "ends", .text_len = 4, .args = &value, .nargs = 1};
  long before = resident_kib();
  OK(subpy_run(&request, &result, &error));
  CHECK(result.u.as_buffer->data == data && result.u.as_buffer->len == len && released == 0);
  CHECK(((char *)data)[len - 1] == 7);
  long grown = resident_kib() - before;
  subpy_value_free(&result);
  run(interp, "pass");
  CHECK(released == 1 && grown < 1024);
  CHECK(munmap(data, len) == 0);
  printf("1 GiB in and out: %ld KiB\n", grown);
}

/* The first one of all: nothing of the library's own runs in Python for it, where the run that asks could be hit. */
static void nothing_else_runs(void) {
  subpy_error *error = NULL;
  OK(subpy_enter(interp, &error));
  run(interp, "import sys\nseen = []\nsys.setprofile(lambda frame, event, arg: seen.append(frame.f_code.co_filename))");
  subpy_value result = shared(interp, "bytes(10_000)", SUBPY_RESULT_BUFFER);
  subpy_value_free(&result);
  run(interp, "sys.setprofile(None)\nassert seen and '<subpy>' not in seen, seen");
  OK(subpy_leave(interp, &error));
}

int main(void) {
  interp = create();
  nothing_else_runs();
  run(interp, "import array");
  forms();
  the_memory_is_the_same();
  buffers_in_python();
  at_the_end();
  a_gibibyte();
  subpy_value left = shared(interp, "bytes(100_000)", SUBPY_RESULT_BUFFER);
  shut_down();
  CHECK(((char *)left.u.as_buffer->data)[99999] == 0);
  KEPT_FOR_GOOD(left.u.as_buffer->data);
  subpy_value_free(&left);
  return 0;
}
