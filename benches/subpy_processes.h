/* subpy.c's works of which it matters whether an interpreter has a process of its own. */

/** Until the first result is there. How long it takes to close it does not count. */
static int64_t first(slot *at, int64_t count) {
  (void)at;
  subpy_value result = {0};
  subpy_error *error = NULL;
  while (count-- > 0) {
    slot *made = slot_create("own");
    expect(subpy_eval(made->interp, "1000 + 2000", SUBPY_AUTO_LEN, &result, &error), &error);
    int64_t start = now();
    slot_close(made);
    not_counted += now() - start;
  }
  return result.u.as_int;
}

static int64_t copied(slot *at, int64_t count) {
  subpy_value arg = subpy_bytes(some_blob(), BLOB);
  return calls(at, F_last, &arg, 1, count).u.as_int;
}

static subpy_buffer filled_buffer(void) {
  subpy_buffer buffer;
  subpy_error *error = NULL;
  expect(subpy_buffer_new(BLOB, SUBPY_BUFFER_WRITABLE, &buffer, &error), &error);
  memcpy(buffer.data, some_blob(), BLOB);
  return buffer;
}

/** It is there, and stays. */
static int64_t shared(slot *at, int64_t count) {
  static subpy_buffer buffer;
  if (buffer.data == NULL) buffer = filled_buffer();
  subpy_value arg = subpy_value_from_buffer(&buffer);
  return calls(at, F_last, &arg, 1, count).u.as_int;
}

static int64_t filled(slot *at, int64_t count) {
  int64_t result = 0;
  while (count-- > 0) {
    subpy_buffer buffer = filled_buffer();
    subpy_value arg = subpy_value_from_buffer(&buffer);
    result = call(at, F_last, &arg, 1).u.as_int;
    subpy_buffer_free(&buffer);
  }
  return result;
}
