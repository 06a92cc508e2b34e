/*
 * Buffers: Python works on the host's memory, and the host reads Python's, without a copy.
 *
 *   cc buffers.c $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   Python sees format d, shape (2, 3)
 *   after doubling: 2.0 4.0 6.0 8.0 10.0 12.0
 *   released: 1
 *   the result has 1000000 bytes, the last is 63
 *   kept a slice: 1 views of what was lent for the call are still in use; they stay good, and `release` comes when they are gone
 */
#include <stdio.h>

#include "subpy.h"

static const char *definitions =
    "def double(matrix):\n"
    "    print(f'Python sees format {matrix.format}, shape {matrix.shape}')\n"
    "    flat = matrix.cast('B').cast('d')\n"
    "    for i in range(len(flat)): flat[i] *= 2\n"
    "def make(size): return bytes(i % 256 for i in range(size))\n"
    "def keep(memory): global kept; kept = memory[1:]\n";

static int released = 0;

/* Told once for each time that the buffer was passed: the memory is the host's alone again. */
static void release(void *userdata) {
  (void)userdata;
  released++;
}

int main(void) {
  double numbers[] = {1, 2, 3, 4, 5, 6};
  size_t shape[] = {2, 3};
  subpy_buffer matrix = {
      .size = sizeof matrix,
      .data = numbers,
      .len = sizeof numbers,
      .format = "d",
      .shape = shape,
      .ndim = 2,
      .flags = SUBPY_BUFFER_WRITABLE,
      .release = release,
  };
  subpy_value argument = subpy_value_from_buffer(&matrix), size = subpy_int(1000000), result = {0};
  subpy_interp interp = 0;
  subpy_error *error = NULL;

  if (subpy_create(NULL, &interp, &error) != SUBPY_OK ||
      subpy_exec(interp, definitions, SUBPY_AUTO_LEN, &error) != SUBPY_OK ||
      subpy_call(interp, "double", SUBPY_AUTO_LEN, &argument, 1, NULL, NULL, &error) != SUBPY_OK) {
    fprintf(stderr, "%s\n", subpy_error_message(error, NULL));
    subpy_error_free(error);
    return 1;
  }
  printf("after doubling:");
  for (int i = 0; i < 6; i++) printf(" %.1f", numbers[i]);
  printf("\nreleased: %d\n", released);

  /* The other way: the result shares the memory of the bytes object, until it is freed. */
  subpy_run_request request = {
      .size = sizeof request,
      .interp = interp,
      .what = SUBPY_RUN_CALL,
      .flags = SUBPY_RESULT_BUFFER,
      .text = "make",
      .text_len = SUBPY_AUTO_LEN,
      .args = &size,
      .nargs = 1,
  };
  if (subpy_run(&request, &result, &error) != SUBPY_OK) {
    fprintf(stderr, "%s\n", subpy_error_message(error, NULL));
    subpy_error_free(error);
    return 1;
  }
  const subpy_buffer *bytes = result.u.as_buffer;
  printf("the result has %zu bytes, the last is %d\n", bytes->len, ((const unsigned char *)bytes->data)[bytes->len - 1]);
  subpy_value_free(&result);

  /* Lent for one call. Whoever keeps a part of it is found out, and the memory stays Python's until it lets go. */
  matrix.flags = SUBPY_BUFFER_LENT;
  subpy_call(interp, "keep", SUBPY_AUTO_LEN, &argument, 1, NULL, NULL, &error);
  printf("kept a slice: %s\n", subpy_error_message(error, NULL));
  subpy_error_free(error);
  return subpy_shutdown(NULL) == SUBPY_OK && released == 2 ? 0 : 1;
}
