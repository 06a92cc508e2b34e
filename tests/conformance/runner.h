/* Runs one case of conformance/cases.json through the C interface; tests/conformance.rs writes the program around it. */
#include "../c/values.h"

struct outcome {
  subpy_status status;
  subpy_value result;
  subpy_error *error;
};

/* The ways to call something, all with the same outcome. */
enum { BY_NAME, PREPARED, IN_THREAD, IN_SESSION, WAYS };

static struct outcome perform(int way, subpy_run_request request) {
  struct outcome out = {0};
  subpy_error *error = NULL;
  subpy_thread thread = 0;
  subpy_function function = 0;
  switch (way) {
    case PREPARED:
      out.status = subpy_function_new(request.interp, request.text, request.text_len, &function, &out.error);
      if (out.status != SUBPY_OK) return out;
      out.status = subpy_function_call(function, request.args, request.nargs, request.kwargs, &out.result, &out.error);
      subpy_function_free(function);
      return out;
    case IN_THREAD:
      out.status = subpy_run_in_thread(&request, &thread, &out.error);
      if (out.status == SUBPY_OK) out.status = subpy_thread_join(thread, &out.result, &out.error);
      return out;
    case IN_SESSION:
      OK(subpy_enter(request.interp, &error));
      out.status = subpy_run(&request, &out.result, &out.error);
      OK(subpy_leave(request.interp, &error));
      return out;
    default:
      out.status = subpy_run(&request, &out.result, &out.error);
      return out;
  }
}

static subpy_interp begin(const char *setup, size_t len) {
  subpy_interp interp = create();
  subpy_error *error = NULL;
  OK(subpy_exec(interp, setup, len, &error));
  return interp;
}

static void expect_ok(const char *name, struct outcome *out, const subpy_value *result) {
  if (out->status != SUBPY_OK || (result && !same(&out->result, result))) {
    fprintf(stderr, "%s: %s, %s\n", name, subpy_status_name(out->status),
            out->error ? subpy_error_message(out->error, NULL) : "and another result");
    exit(1);
  }
  subpy_value_free(&out->result);
}

typedef const char *text_getter(const subpy_error *error, size_t *len);

static void expect_text(const char *name, const subpy_error *error, text_getter *get, const char *expected, size_t len) {
  size_t found_len = 0;
  const char *found = get(error, &found_len);
  if (!found || found_len != len || memcmp(found, expected, len) != 0) {
    fprintf(stderr, "%s: found\n  %s\nnot\n  %s\n", name, found ? found : "(nothing)", expected);
    exit(1);
  }
}

static void expect_status(const char *name, const struct outcome *out, subpy_status status) {
  if (out->status != status || subpy_error_status(out->error) != status) {
    fprintf(stderr, "%s: %s, not %s: %s\n", name, subpy_status_name(out->status), subpy_status_name(status),
            out->error ? subpy_error_message(out->error, NULL) : "(no error)");
    exit(1);
  }
  CHECK(out->result.kind == SUBPY_KIND_NONE);
}

static void expect_frame(const subpy_error *error, size_t index, const char *file, int32_t line, const char *function,
                         const char *source) {
  subpy_frame frame = frame_at(error, index);
  CHECK(strcmp(frame.file, file) == 0 && frame.line == line && strcmp(frame.function, function) == 0);
  CHECK(!source || (frame.source && strcmp(frame.source, source) == 0));
}

static double from_bits(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* Many calls at once: with SUBPY_RETURN_ERRORS the result holds the errors. */
static struct outcome perform_many(subpy_interp interp, const char *callable, size_t len, const subpy_value *rows,
                                   size_t count, size_t nargs, uint32_t flags) {
  struct outcome out = {0};
  subpy_error *error = NULL;
  subpy_function function = 0;
  OK(subpy_function_new(interp, callable, len, &function, &error));
  out.status = subpy_function_call_many(function, rows, count, nargs, flags, &out.result, &out.error);
  subpy_function_free(function);
  return out;
}

/* What became of a row that failed; the error belongs to the results. */
static struct outcome failed_row(const subpy_value *value) {
  CHECK(value->kind == SUBPY_KIND_ERROR);
  return (struct outcome){.status = subpy_error_status(value->u.as_error), .error = (subpy_error *)(uintptr_t)value->u.as_error};
}

static bool is_of_row(const subpy_error *error, size_t expected) {
  size_t row = 0;
  return subpy_error_row(error, &row) && row == expected;
}

static bool no_row(const subpy_error *error) { return !subpy_error_row(error, NULL); }
