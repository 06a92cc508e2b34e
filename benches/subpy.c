/*
 * subpy's C ABI: modes are "call" (by name), "limited" (the same with a memory limit), "function" (prepared) and
 * "session" (prepared, inside subpy_enter()); "process" and "process-session" are the last two in interpreters that
 * have processes of their own.
 */
#define _GNU_SOURCE
#define HAS_DATA
#define HAS_PROCESSES
#include "subpy.h"
#include "worker.h"

enum { LIMIT = 1 << 30 };

struct slot {
  subpy_interp interp;
  subpy_function functions[FUNCTION_COUNT];
  subpy_cancel cancel;
};

static bool prepared, sessions, limited, processes;

/** The error by its place: who calls this may have read it before the call that sets it. */
static void expect(subpy_status status, subpy_error *const *error) {
  if (status == SUBPY_OK) return;
  fprintf(stderr, "%s: %s\n", subpy_status_name(status), subpy_error_message(*error, NULL));
  exit(1);
}

static void start(const char *mode, const char *executable, const char *library) {
  (void)library;
  processes = strncmp(mode, "process", 7) == 0;
  sessions = strcmp(mode, "session") == 0 || strcmp(mode, "process-session") == 0;
  limited = strcmp(mode, "limited") == 0;
  prepared = processes || sessions || strcmp(mode, "function") == 0;
  subpy_runtime_options options = {.size = sizeof options, .python = executable};
  subpy_error *error = NULL;
  expect(subpy_init(&options, &error), &error);
}

static slot *slot_create(const char *kind) {
  subpy_interp_options options = {.size = sizeof options};
  if (limited) options.memory_limit = LIMIT;
  if (processes) options.flags = SUBPY_INTERP_PROCESS;
  if (strcmp(kind, "wait") == 0) options.busy = SUBPY_BUSY_WAIT;
  if (strcmp(kind, "share") == 0) options.busy = SUBPY_BUSY_SHARE;
  slot *at = calloc(1, sizeof *at);
  subpy_error *error = NULL;
  expect(subpy_create(&options, &at->interp, &error), &error);
  return at;
}

static bool has_queue(void) { return true; }

static void slot_exec(slot *at, const char *source) {
  subpy_error *error = NULL;
  expect(subpy_exec(at->interp, source, SUBPY_AUTO_LEN, &error), &error);
}

static void on_host(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs,
                    const subpy_value *kwargs) {
  if (nargs != 2 || kwargs != NULL || args[0].kind != SUBPY_KIND_INT || args[1].kind != SUBPY_KIND_INT) {
    (void)subpy_context_raise(ctx, "TypeError", SUBPY_AUTO_LEN, "two ints are needed", SUBPY_AUTO_LEN);
    return;
  }
  subpy_value result = subpy_int(host_sum(userdata, args[0].u.as_int, args[1].u.as_int));
  (void)subpy_context_return(ctx, &result);
}

static void slot_prepare(slot *at) {
  subpy_error *error = NULL;
  expect(subpy_define(at->interp, "host", SUBPY_AUTO_LEN, 0, on_host, &host_data, NULL, &error), &error);
  expect(subpy_define(at->interp, "host_with_gil", SUBPY_AUTO_LEN, SUBPY_DEFINE_KEEP_GIL, on_host, &host_data, NULL,
                      &error), &error);
  for (int i = 0; prepared && i < FUNCTION_COUNT; i++)
    expect(subpy_function_new(at->interp, names[i], SUBPY_AUTO_LEN, &at->functions[i], &error), &error);
}

static void slot_close(slot *at) {
  subpy_error *error = NULL;
  expect(subpy_close(at->interp, &error), &error);
  free(at);
}

static void slot_begin(slot *at) {
  subpy_error *error = NULL;
  if (sessions) expect(subpy_enter(at->interp, &error), &error);
}

static void slot_end(slot *at) {
  subpy_error *error = NULL;
  if (sessions) expect(subpy_leave(at->interp, &error), &error);
}

static subpy_status try_call(slot *at, int function, const subpy_value *args, size_t nargs, subpy_value *result,
                             subpy_error **error) {
  if (prepared) return subpy_function_call(at->functions[function], args, nargs, NULL, result, error);
  return subpy_call(at->interp, names[function], SUBPY_AUTO_LEN, args, nargs, NULL, result, error);
}

static subpy_value call(slot *at, int function, const subpy_value *args, size_t nargs) {
  subpy_value result;
  subpy_error *error = NULL;
  expect(try_call(at, function, args, nargs, &result, &error), &error);
  return result;
}

/** Calls and keeps the last result until it is checked, the others no longer than a caller would. */
static subpy_value calls(slot *at, int function, const subpy_value *args, size_t nargs, int64_t count) {
  subpy_value result = call(at, function, args, nargs);
  while (--count > 0) {
    subpy_value_free(&result);
    result = call(at, function, args, nargs);
  }
  return result;
}

static int64_t call_0(slot *at, int64_t count) { return calls(at, F_nothing, NULL, 0, count).kind; }

static int64_t call_2(slot *at, int64_t count) {
  subpy_value args[] = {subpy_int(1000), subpy_int(2000)};
  return calls(at, F_add, args, 2, count).u.as_int;
}

static int64_t many(slot *at, int64_t rows, int64_t count) {
  if (!prepared) return rows * call_2(at, rows * count);
  subpy_value result = {0};
  while (count-- > 0) {
    subpy_value args[200];
    for (int i = 0; i < 2 * rows; i++) args[i] = subpy_int(i % 2 == 0 ? 1000 : 2000);
    subpy_value_free(&result);
    subpy_error *error = NULL;
    expect(subpy_function_call_many(at->functions[F_add], args, (size_t)rows, 2, 0, &result, &error), &error);
  }
  int64_t sum = 0;
  for (size_t i = 0; i < result.len; i++) sum += result.u.as_items[i].u.as_int;
  subpy_value_free(&result);
  return sum;
}

static int64_t texts(slot *at, const char *data, size_t size, int64_t count) {
  subpy_value arg = subpy_str(data, size), result = calls(at, F_same, &arg, 1, count);
  int64_t check = memcmp(result.u.as_str, data, size) == 0 ? (int64_t)result.len : -1;
  subpy_value_free(&result);
  return check;
}

static int64_t text(slot *at, int64_t count) { return texts(at, some_text, TEXT, count); }

static int64_t text_short(slot *at, int64_t count) { return texts(at, some_text, TEXT_SHORT, count); }

static int64_t text_wide(slot *at, int64_t count) { return texts(at, some_wide_text, TEXT, count); }

static int64_t bytes(slot *at, int64_t count) {
  subpy_value arg = subpy_bytes(some_bytes, BYTES), result = calls(at, F_same, &arg, 1, count);
  int64_t check = memcmp(result.u.as_bytes, some_bytes, BYTES) == 0 ? (int64_t)result.len : -1;
  subpy_value_free(&result);
  return check;
}

static int64_t list_in(slot *at, int64_t count) {
  subpy_value result = {0};
  for (int64_t i = 0; i < count; i++) {
    subpy_value items[NUMBERS];
    for (int j = 0; j < NUMBERS; j++) items[j] = subpy_int(some_numbers[j]);
    subpy_value arg = subpy_list(items, NUMBERS);
    result = call(at, F_length, &arg, 1);
  }
  return result.u.as_int;
}

static int64_t list_out(slot *at, int64_t count) {
  subpy_value result = calls(at, F_numbers, NULL, 0, count);
  int64_t check = 0;
  for (size_t i = 0; i < result.len; i++) check += result.u.as_items[i].u.as_int;
  subpy_value_free(&result);
  return check;
}

static int64_t floats(slot *at, int64_t count) {
  subpy_value result = {0};
  while (count-- > 0) {
    subpy_value items[NUMBERS], arg = subpy_list(items, NUMBERS);
    for (int i = 0; i < NUMBERS; i++) items[i] = subpy_float(some_floats[i]);
    subpy_value_free(&result);
    result = call(at, F_same, &arg, 1);
  }
  double copy[NUMBERS];
  for (size_t i = 0; i < result.len; i++) copy[i] = result.u.as_items[i].u.as_float;
  int64_t check = check_floats(copy, result.len);
  subpy_value_free(&result);
  return check;
}

static int64_t dict_in(slot *at, int64_t count) {
  subpy_value result = {0};
  for (int64_t i = 0; i < count; i++) {
    subpy_pair pairs[ROWS], fields[ROWS][4];
    for (int j = 0; j < ROWS; j++) {
      const row *from = &some_rows[j];
      fields[j][0] = (subpy_pair){subpy_str("id", 2), subpy_int(from->id)};
      fields[j][1] = (subpy_pair){subpy_str("name", 4), subpy_str(from->name, SUBPY_AUTO_LEN)};
      fields[j][2] = (subpy_pair){subpy_str("price", 5), subpy_float(from->price)};
      fields[j][3] = (subpy_pair){subpy_str("active", 6), subpy_bool(from->active)};
      pairs[j] = (subpy_pair){subpy_str(from->key, SUBPY_AUTO_LEN), subpy_dict(fields[j], 4)};
    }
    subpy_value arg = subpy_dict(pairs, ROWS);
    result = call(at, F_length, &arg, 1);
  }
  return result.u.as_int;
}

static int64_t dict_out(slot *at, int64_t count) {
  subpy_value result = calls(at, F_table, NULL, 0, count);
  int64_t check = 0;
  for (size_t i = 0; i < result.len; i++) {
    const subpy_pair *pair = &result.u.as_pairs[i], *field = pair->value.u.as_pairs;
    check += check_row(pair->key.len, field[1].value.len, field[0].value.u.as_int, field[2].value.u.as_float,
                       field[3].value.u.as_bool);
  }
  subpy_value_free(&result);
  return check;
}

static int64_t evals(slot *at, const char *expression, int64_t count) {
  subpy_value result = {0};
  subpy_error *error = NULL;
  while (count-- > 0) expect(subpy_eval(at->interp, expression, SUBPY_AUTO_LEN, &result, &error), &error);
  return result.u.as_int;
}

static int64_t print(slot *at, int64_t count) {
  subpy_value arg = subpy_int(count);
  return call(at, F_say, &arg, 1).kind;
}

static int64_t exception(slot *at, int64_t count) {
  int64_t check = 0;
  while (count-- > 0) {
    subpy_error *error = NULL;
    if (try_call(at, F_fail, NULL, 0, NULL, &error) != SUBPY_ERROR_EXECUTION_FAILED) die("the exception");
    const char *display = subpy_error_display(error, NULL);
    if (count == 0) check = check_traceback(display);
    subpy_error_free(error);
  }
  return check;
}

static int64_t spin(slot *at, int64_t count) { return calls(at, F_spin, NULL, 0, count).u.as_int; }

static int64_t host(slot *at, int64_t count) {
  subpy_value arg = subpy_int(count);
  return call(at, F_ask, &arg, 1).u.as_int;
}

static int64_t host_with_gil(slot *at, int64_t count) {
  subpy_value arg = subpy_int(count);
  return call(at, F_ask_with_gil, &arg, 1).u.as_int;
}

static subpy_status run(slot *at, int function, const subpy_value *args, size_t nargs, int64_t timeout_ms,
                        subpy_cancel cancel, subpy_value *result, subpy_error **error) {
  subpy_run_request request = {.size = sizeof request, .interp = at->interp, .what = SUBPY_RUN_CALL,
                               .text = names[function], .text_len = SUBPY_AUTO_LEN, .args = args, .nargs = nargs,
                               .timeout_ms = timeout_ms, .cancel = cancel};
  return subpy_run(&request, result, error);
}

static int64_t runs_2(slot *at, int64_t timeout_ms, int64_t count) {
  subpy_value result = {0};
  subpy_error *error = NULL;
  while (count-- > 0) {
    subpy_value args[] = {subpy_int(1000), subpy_int(2000)};
    expect(run(at, F_add, args, 2, timeout_ms, 0, &result, &error), &error);
  }
  return result.u.as_int;
}

static int64_t run_2(slot *at, int64_t count) { return runs_2(at, 0, count); }

static int64_t run_2_limit(slot *at, int64_t count) { return runs_2(at, 10000, count); }

static void run_cancelled(slot *at, int function, int begun) {
  subpy_error *error = NULL;
  subpy_value arg = subpy_int(begun), result;
  expect(subpy_cancel_new(&at->cancel, &error), &error);
  subpy_status status = run(at, function, &arg, 1, 0, at->cancel, &result, &error);
  if (status != (function == F_forever ? SUBPY_ERROR_INTERRUPTED : SUBPY_OK)) die("the cancel");
  subpy_error_free(error);
  subpy_cancel_free(at->cancel);
}

static void cancel(slot *at) { subpy_cancel_fire(at->cancel); }

#include "subpy_data.h"
#include "subpy_processes.h"
