/* Runs one case of conformance/cases.json through the C interface; tests/conformance.rs writes the program around it. */
#include <pthread.h>
#include <time.h>

#include "values.h"

struct outcome {
  subpy_status status;
  subpy_value result;
  subpy_error *error;
};

/* What a case wants besides, for the interpreter and for the run. */
struct wanted {
  bool host;
  bool captured;
  int64_t interp_timeout_ms;
  uint64_t interp_flags;
  uint64_t memory_limit;
  /* -1: no token */
  int64_t cancel_ms;
};

/* What was printed, to the interpreter's output or the run's. */
struct printed {
  char text[3][200000];
  size_t len[3];
};

static struct printed printed;

static void print_to(void *userdata, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  struct printed *to = userdata;
  CHECK(interp != 0 && (stream == 1 || stream == 2) && to->len[stream] + len < sizeof to->text[stream]);
  memcpy(to->text[stream] + to->len[stream], text, len);
  to->len[stream] += len;
}

/* The ways to call something, all with the same outcome. */
enum { BY_NAME, PREPARED, IN_THREAD, IN_SESSION, WAYS };

/* Runs it as a task of a pool, which has a worker with this setup. */
static struct outcome perform_in_pool(subpy_run_request request, const char *setup, size_t len) {
  struct outcome out = {0};
  subpy_error *error = NULL;
  subpy_pool pool = 0;
  subpy_thread task = 0;
  subpy_pool_options options = {.size = sizeof options, .workers = 1, .setup = setup, .setup_len = len};
  const subpy_interp_options patient = {.size = sizeof patient, .grace_ms = 5000};
  if (getenv("SUBPY_CONFORMANCE_PROCESS")) options.isolation = SUBPY_ISOLATION_PROCESS, options.interp = &patient;
  OK(subpy_pool_new(&options, &pool, &error));
  request.interp = 0;
  out.status = subpy_pool_submit(pool, &request, &task, &out.error);
  if (out.status == SUBPY_OK) out.status = subpy_thread_join(task, &out.result, &out.error);
  OK(subpy_pool_close(pool, &(subpy_close_options){.size = sizeof(subpy_close_options), .timeout_ms = -1}, &error));
  return out;
}

static struct outcome perform(int way, subpy_run_request request) {
  struct outcome out = {0};
  subpy_error *error = NULL;
  subpy_thread thread = 0;
  subpy_function function = 0;
  switch (way) {
    case PREPARED:
      out.status = subpy_function_new(request.interp, request.text, request.text_len, &function, &out.error);
      if (out.status != SUBPY_OK) return out;
      if (request.timeout_ms || request.cancel || request.output || request.flags) {
        request.what = SUBPY_RUN_FUNCTION, request.function = function;
        request.text = NULL, request.text_len = 0;
        out.status = subpy_run(&request, &out.result, &out.error);
        subpy_function_free(function);
        return out;
      }
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

/* Fires a token when its time has come, unless the run has ended before. */
struct canceller {
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool ended;
  int64_t after_ms;
  subpy_cancel token;
};

static void *fire_later(void *argument) {
  struct canceller *canceller = argument;
  struct timespec end;
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_sec += canceller->after_ms / 1000;
  end.tv_nsec += canceller->after_ms % 1000 * 1000000;
  if (end.tv_nsec >= 1000000000) end.tv_sec++, end.tv_nsec -= 1000000000;
  pthread_mutex_lock(&canceller->lock);
  int woken = 0;
  while (!canceller->ended && woken == 0) woken = pthread_cond_timedwait(&canceller->changed, &canceller->lock, &end);
  if (!canceller->ended) subpy_cancel_fire(canceller->token);
  pthread_mutex_unlock(&canceller->lock);
  return NULL;
}

/* perform(), with what the case wants. */
static struct outcome perform_wanted(int way, subpy_run_request request, const struct wanted *wanted) {
  struct canceller canceller = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
  subpy_error *error = NULL;
  printed.len[1] = printed.len[2] = 0;
  if (wanted->cancel_ms < 0) return perform(way, request);
  OK(subpy_cancel_new(&canceller.token, &error));
  request.cancel = canceller.token;
  canceller.after_ms = wanted->cancel_ms;
  if (wanted->cancel_ms == 0)
    subpy_cancel_fire(canceller.token);
  else
    CHECK(pthread_create(&canceller.thread, NULL, fire_later, &canceller) == 0);
  struct outcome out = perform(way, request);
  if (wanted->cancel_ms != 0) {
    pthread_mutex_lock(&canceller.lock);
    canceller.ended = true;
    pthread_cond_signal(&canceller.changed);
    pthread_mutex_unlock(&canceller.lock);
    pthread_join(canceller.thread, NULL);
  }
  subpy_cancel_free(canceller.token);
  return out;
}

/* ---- the functions of the module `host` ---- */

static void host_echo(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs,
                      const subpy_value *kwargs) {
  (void)userdata, (void)kwargs;
  CHECK(nargs == 1 && subpy_context_return(ctx, &args[0]) == SUBPY_OK);
}

static void host_arguments(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs,
                           const subpy_value *kwargs) {
  (void)userdata;
  subpy_value parts[] = {subpy_list(args, nargs), kwargs ? *kwargs : subpy_dict(NULL, 0)};
  parts[1].flags = 0;
  subpy_value both = subpy_tuple(parts, 2);
  CHECK(subpy_context_return(ctx, &both) == SUBPY_OK);
}

static void host_nothing(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs,
                         const subpy_value *kwargs) {
  (void)userdata, (void)ctx, (void)args, (void)nargs, (void)kwargs;
}

static void host_fail(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs,
                      const subpy_value *kwargs) {
  (void)userdata, (void)kwargs;
  CHECK(nargs == 2);
  CHECK(subpy_context_raise(ctx, args[0].u.as_str, args[0].len, args[1].u.as_str, args[1].len) == SUBPY_OK);
}

static void host_again(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs,
                       const subpy_value *kwargs) {
  (void)userdata, (void)kwargs;
  subpy_error *error = NULL;
  subpy_value result = {0};
  CHECK(nargs == 1);
  OK(subpy_eval(subpy_context_interp(ctx), args[0].u.as_str, args[0].len, &result, &error));
  CHECK(subpy_context_return(ctx, &result) == SUBPY_OK);
  subpy_value_free(&result);
}

static void define_host(subpy_interp interp) {
  subpy_error *error = NULL;
  static const struct {
    const char *name;
    subpy_host_fn function;
  } functions[] = {{"host:echo", host_echo},
                   {"host:arguments", host_arguments},
                   {"host:nothing", host_nothing},
                   {"host:fail", host_fail},
                   {"host:again", host_again}};
  for (size_t i = 0; i < COUNT(functions); i++)
    OK(subpy_define(interp, functions[i].name, SUBPY_AUTO_LEN, 0, functions[i].function, NULL, NULL, &error));
}

static subpy_interp begin_wanted(const char *setup, size_t len, const struct wanted *wanted) {
  subpy_interp_options options = {
      .size = sizeof options, .flags = wanted->interp_flags, .timeout_ms = wanted->interp_timeout_ms,
      .memory_limit = wanted->memory_limit};
  /* The table is the same for interpreters in processes of their own. */
  if (getenv("SUBPY_CONFORMANCE_PROCESS")) options.flags |= SUBPY_INTERP_PROCESS, options.grace_ms = 5000;
  subpy_interp interp = 0;
  subpy_error *error = NULL;
  OK(subpy_create(&options, &interp, &error));
  if (wanted->host) define_host(interp);
  if (wanted->captured) OK(subpy_set_output(interp, print_to, &printed, NULL, &error));
  OK(subpy_exec(interp, setup, len, &error));
  return interp;
}

static subpy_interp begin(const char *setup, size_t len) { return begin_wanted(setup, len, &(struct wanted){0}); }

/* How many characters of UTF-8. */
static size_t characters(int stream) {
  size_t count = 0;
  for (size_t i = 0; i < printed.len[stream]; i++) count += ((unsigned char)printed.text[stream][i] & 0xC0) != 0x80;
  return count;
}

static void expect_printed(const char *name, int stream, const char *expected, size_t len) {
  if (printed.len[stream] == len && memcmp(printed.text[stream], expected, len) == 0) return;
  fprintf(stderr, "%s: printed\n  %.*s\nnot\n  %s\n", name, (int)printed.len[stream], printed.text[stream], expected);
  exit(1);
}

/* ---- data ---- */

static subpy_value with_tag(subpy_value value, uint32_t tag) {
  value.flags = tag;
  return value;
}

/* An object that a run has left in Python. */
static subpy_value object_of(subpy_interp interp, const char *text, size_t len) {
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EVAL, .text = text,
                               .text_len = len, .flags = SUBPY_RESULT_OBJECT};
  subpy_error *error = NULL;
  subpy_value result = {0};
  OK(subpy_run(&request, &result, &error));
  CHECK(result.kind == SUBPY_KIND_OBJECT);
  return result;
}

static subpy_queue queue_of(const subpy_value *items, size_t count, bool closed) {
  subpy_queue_options options = {.size = sizeof options};
  subpy_queue queue = 0;
  subpy_error *error = NULL;
  OK(subpy_queue_new(&options, &queue, &error));
  for (size_t i = 0; i < count; i++) OK(subpy_queue_put(queue, &items[i], 0, &error));
  if (closed) OK(subpy_queue_close(queue, &error));
  return queue;
}

/* What is in the queue is this. */
static void expect_queue(const char *name, subpy_queue queue, const subpy_value *items, size_t count) {
  subpy_error *error = NULL;
  subpy_value item = {0};
  for (size_t i = 0; i < count; i++) {
    OK(subpy_queue_get(queue, 0, &item, &error));
    if (!same(&item, &items[i])) {
      fprintf(stderr, "%s: another item at %zu\n", name, i);
      exit(1);
    }
    subpy_value_free(&item);
  }
  CHECK(subpy_queue_get(queue, 0, &item, NULL) == SUBPY_ERROR_TIMEOUT);
}

/* What is to be in a result: an object with this text. */
static subpy_value object_with_text(const char *text, size_t len) {
  subpy_value expected = subpy_value_from_object(0);
  expected.len = len;
  expected.u.as_str = text;
  return expected;
}

/* The same, where an object is what its text says. */
static bool same_data(const subpy_value *one, const subpy_value *expected) {
  if (one->kind == SUBPY_KIND_OBJECT && expected->kind == SUBPY_KIND_OBJECT) {
    subpy_value text = {0};
    subpy_error *error = NULL;
    OK(subpy_object_text(one->u.as_object, &text, &error));
    const bool equal = text.len == expected->len && memcmp(text.u.as_str, expected->u.as_str, text.len) == 0;
    subpy_value_free(&text);
    return equal;
  }
  if (one->kind != expected->kind || one->flags % 256 != expected->flags % 256) return false;
  const bool items = one->kind == SUBPY_KIND_TUPLE || one->kind == SUBPY_KIND_LIST;
  if (!items && one->kind != SUBPY_KIND_DICT) return same(one, expected);
  if (one->len != expected->len) return false;
  for (size_t i = 0; i < one->len; i++) {
    if (items && !same_data(&one->u.as_items[i], &expected->u.as_items[i])) return false;
    if (!items && !same_data(&one->u.as_pairs[i].key, &expected->u.as_pairs[i].key)) return false;
    if (!items && !same_data(&one->u.as_pairs[i].value, &expected->u.as_pairs[i].value)) return false;
  }
  return true;
}

static void expect_ok(const char *name, struct outcome *out, const subpy_value *result) {
  if (out->status != SUBPY_OK || (result && !same_data(&out->result, result))) {
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
