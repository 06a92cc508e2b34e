/* Rows of numbers in a result as arrays, when they are asked for. */
#include <math.h>

#include "values.h"

static subpy_interp interp;

static subpy_value arrays(const char *expression) {
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EVAL,
                               .flags = SUBPY_RESULT_ARRAY, .text = expression, .text_len = SUBPY_AUTO_LEN};
  subpy_error *error = NULL;
  subpy_value value = {0};
  OK(subpy_run(&request, &value, &error));
  return value;
}

/* A BUFFER of so many elements, complete. */
static const void *array(const subpy_value *value, const char *format, size_t count) {
  CHECK(value->kind == SUBPY_KIND_BUFFER);
  const subpy_buffer *buffer = value->u.as_buffer;
  CHECK(buffer->size == sizeof *buffer && strcmp(buffer->format, format) == 0);
  CHECK(buffer->itemsize == 8 && buffer->len == count * 8 && buffer->ndim == 1);
  CHECK(buffer->shape && buffer->shape[0] == count && buffer->strides && buffer->strides[0] == 8 && !buffer->release && buffer->flags == 0);
  CHECK((uintptr_t)buffer->data % 8 == 0);
  return buffer->data;
}

/* The expression is the same value with and without arrays asked for. */
static void unchanged(const char *expression) {
  subpy_value asked = arrays(expression), usual = eval(interp, expression);
  CHECK(same(&asked, &usual));
  subpy_value_free(&asked);
  subpy_value_free(&usual);
}

static void roots(void) {
  subpy_value value = arrays("[1.5, -0.0, float('nan'), float('-inf')]");
  const double *floats = array(&value, "d", 4);
  CHECK(floats[0] == 1.5 && signbit(floats[1]) && isnan(floats[2]) && isinf(floats[3]));
  subpy_value_free(&value);
  CHECK(value.kind == SUBPY_KIND_NONE);
  subpy_value_free(&value);
  value = arrays("(-2**63, 0, 2**63 - 1)");
  const int64_t *ints = array(&value, "q", 3);
  CHECK(ints[0] == INT64_MIN && ints[1] == 0 && ints[2] == INT64_MAX);
  subpy_value_free(&value);
  value = arrays("[7]");
  CHECK(*(const int64_t *)array(&value, "q", 1) == 7);
  subpy_value_free(&value);
}

static void nested(void) {
  subpy_value value = arrays("{'x': [1.0, 2.0], 'rows': [[1, 2], (3.5,), [], ['a', [4]], [True, 1]], 'n': 5}");
  CHECK(value.kind == SUBPY_KIND_DICT && value.len == 3);
  const double *x = array(subpy_value_get(&value, "x", 1), "d", 2);
  CHECK(x[0] == 1 && x[1] == 2);
  const subpy_value *rows = subpy_value_get(&value, "rows", 4);
  CHECK(rows->kind == SUBPY_KIND_LIST && rows->len == 5);
  CHECK(((const int64_t *)array(&rows->u.as_items[0], "q", 2))[1] == 2);
  CHECK(*(const double *)array(&rows->u.as_items[1], "d", 1) == 3.5);
  CHECK(rows->u.as_items[2].kind == SUBPY_KIND_LIST && rows->u.as_items[2].len == 0);
  CHECK(*(const int64_t *)array(&rows->u.as_items[3].u.as_items[1], "q", 1) == 4);
  CHECK(rows->u.as_items[4].kind == SUBPY_KIND_LIST && rows->u.as_items[4].u.as_items[0].kind == SUBPY_KIND_BOOL);
  subpy_value_free(&value);
}

static void lists(void) {
  unchanged("[]");
  unchanged("()");
  unchanged("[1, 2.0]");
  unchanged("[1.0] * 100 + [2]");
  unchanged("[1] * 100 + [None]");
  unchanged("[1] * 100 + [2**63]");
  unchanged("[-2**63 - 1]");
  unchanged("[True, False]");
  unchanged("['a', 1]");
  unchanged("5");
  unchanged("'text'");
  /* Subclasses are refused here as anywhere. */
  run(interp, "class Number(float): pass");
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EVAL,
                               .flags = SUBPY_RESULT_ARRAY, .text = "[1.0, Number(2)]", .text_len = SUBPY_AUTO_LEN};
  subpy_error *error = NULL;
  subpy_value value = {0};
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, "result[1]: Number is a subclass of float, return float(...)",
        subpy_run(&request, &value, &error));
}

/* What is in an array outlives the interpreter, and the result may come from a thread. */
static void outlives(void) {
  subpy_error *error = NULL;
  subpy_interp other = create();
  subpy_run_request request = {.size = sizeof request, .interp = other, .what = SUBPY_RUN_EVAL,
                               .flags = SUBPY_RESULT_ARRAY, .text = "[[float(i) for i in range(1000)]]",
                               .text_len = SUBPY_AUTO_LEN};
  subpy_thread thread = 0;
  subpy_value value = {0};
  OK(subpy_run_in_thread(&request, &thread, &error));
  OK(subpy_thread_join(thread, &value, &error));
  OK(subpy_close(other, &error));
  const double *floats = array(&value.u.as_items[0], "d", 1000);
  for (int i = 0; i < 1000; i++) CHECK(floats[i] == i);
  subpy_value_free(&value);
}

/* A million of them take a third of the memory. */
static void large(void) {
  run(interp, "million = [i / 2 for i in range(1000000)]");
  subpy_value value = arrays("million");
  const double *floats = array(&value, "d", 1000000);
  for (int i = 0; i < 1000000; i++) CHECK(floats[i] == i / 2.0);
  subpy_value_free(&value);
  value = arrays("[million, million]");
  CHECK(value.kind == SUBPY_KIND_LIST && value.len == 2);
  CHECK(((const double *)array(&value.u.as_items[1], "d", 1000000))[999999] == 999999 / 2.0);
  subpy_value_free(&value);
}

int main(void) {
  subpy_error *error = NULL;
  interp = create();
  roots();
  nested();
  lists();
  outlives();
  large();
  OK(subpy_shutdown(&error));
  return 0;
}
