/* Interpreters in processes of their own share one array, with the real numpy: with the host, and with each other. */
#include <stdatomic.h>
#include <stdint.h>

#include "../c/test.h"

#define PROCESSES 4
#define ROWS ((size_t)1000)

static subpy_error *error;
static atomic_int released;

static void release(void *userdata) {
  (void)userdata;
  atomic_fetch_add(&released, 1);
}

static subpy_interp create_process(const char *folder) {
  const char *path[] = {folder};
  subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_PROCESS, .path = path, .path_len = 1};
  subpy_interp interp = 0;
  OK(subpy_create(&options, &interp, &error));
  run(interp,
      "import numpy\n"
      "def keep(view):\n  global array\n  array = numpy.asarray(view)\n  return array.shape + array.strides + (array.dtype.char,)\n"
      "def fill(view, row, value): numpy.frombuffer(view).reshape(1000, 1000)[row::4] = value\n");
  return interp;
}

static subpy_value result_of(subpy_interp interp, const char *expression) {
  subpy_value result = {0};
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EVAL, .flags = SUBPY_RESULT_BUFFER, .text = expression, .text_len = SUBPY_AUTO_LEN};
  OK(subpy_run(&request, &result, &error));
  return result;
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  subpy_interp interps[PROCESSES];
  for (int i = 0; i < PROCESSES; i++) interps[i] = create_process(argv[1]);
  subpy_buffer matrix;
  OK(subpy_buffer_new(ROWS * ROWS * sizeof(double), SUBPY_BUFFER_WRITABLE, &matrix, &error));
  double *numbers = matrix.data;
  matrix.format = "d", matrix.release = release;
  subpy_value args[] = {subpy_value_from_buffer(&matrix), subpy_int(0), subpy_int(0)};
  subpy_thread threads[PROCESSES];
  for (int i = 0; i < PROCESSES; i++) {
    args[1] = subpy_int(i), args[2] = subpy_int(i + 1);
    OK(subpy_call_in_thread(interps[i], "fill", SUBPY_AUTO_LEN, args, 3, NULL, &threads[i], &error));
  }
  for (int i = 0; i < PROCESSES; i++) OK(subpy_thread_join(threads[i], NULL, &error));
  CHECK(released == PROCESSES);
  for (size_t row = 0; row < ROWS; row++) CHECK(numbers[row * ROWS] == row % 4 + 1 && numbers[row * ROWS + 999] == row % 4 + 1);

  /* Shape, strides and format are those of the array; it is written to where it is. */
  const size_t shape[] = {500, 1000};
  const ptrdiff_t every_second_row[] = {16000, 8};
  matrix.shape = shape, matrix.strides = every_second_row, matrix.ndim = 2;
  subpy_value result = {0};
  for (int i = 0; i < PROCESSES; i++) {
    OK(subpy_call(interps[i], "keep", SUBPY_AUTO_LEN, args, 1, NULL, &result, &error));
    CHECK(result.u.as_items[0].u.as_int == 500 && result.u.as_items[2].u.as_int == 16000 && strcmp(result.u.as_items[4].u.as_str, "d") == 0);
    subpy_value_free(&result);
  }
  run(interps[0], "array[1, 1] = 42.5");
  CHECK(numbers[2 * ROWS + 1] == 42.5);
  subpy_value sum = result_of(interps[3], "float(array[1, 1])");
  CHECK(sum.u.as_float == 42.5);
  /* A row of it is the host's memory, and what numpy has computed is a copy. */
  subpy_value row = result_of(interps[1], "array[2]"), computed = result_of(interps[2], "array * 2");
  CHECK(row.u.as_buffer->data == numbers + 4 * ROWS && row.u.as_buffer->len == 8000);
  CHECK(computed.u.as_buffer->len == 4000000 && ((double *)computed.u.as_buffer->data)[1001] == 85 && computed.u.as_buffer->shape[0] == 500);
  subpy_value_free(&computed);
  subpy_value_free(&row);
  for (int i = 0; i < PROCESSES; i++) {
    run(interps[i], "del array");
    OK(subpy_close(interps[i], &error));
  }
  CHECK(released == 2 * PROCESSES);
  subpy_buffer_free(&matrix);
  shut_down();
  return 0;
}
