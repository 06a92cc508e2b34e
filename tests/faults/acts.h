/* What a host does with the library, each from its beginning to its end: with nothing refused it succeeds, and else it stops
 * where it fails, has an error, and leaves nothing behind. */
#ifndef ACTS_H
#define ACTS_H

#include "../c/test.h"
#include "shim.h"

#undef subpy_create /* the programs say themselves where interpreters are */

static subpy_interp interp;         /* for the acts that make none */
static subpy_interp_options options; /* for those that do */

static int whose = HERE;
static long disarm(void) { return fault_disarm(whose); }

#define TRY(call)                              \
  do {                                         \
    if ((status = (call)) != SUBPY_OK) goto end; \
  } while (0)

/* It fails like this when nothing is refused. */
#define TRY_FAILURE(expected, call)           \
  do {                                        \
    status = (call);                          \
    if (status != (expected)) {               \
      CHECK(status != SUBPY_OK);              \
      goto end;                               \
    }                                         \
    CHECK(subpy_error_message(*error, NULL)); \
    subpy_error_free(*error);                 \
    *error = NULL;                            \
    status = SUBPY_OK;                        \
  } while (0)

static subpy_status creates(subpy_error **error) {
  subpy_interp made = 0;
  subpy_status status = subpy_create(&options, &made, error);
  CHECK((status == SUBPY_OK) == (made != 0));
  if (status != SUBPY_OK) return status;
  status = subpy_exec(made, "made = 1", SUBPY_AUTO_LEN, error);
  subpy_error *second = NULL;
  subpy_status closed = subpy_close(made, status == SUBPY_OK ? error : &second);
  if (closed != SUBPY_OK) {
    subpy_error *third = NULL;
    disarm();
    if (closed != SUBPY_ERROR_CRASHED && closed != SUBPY_ERROR_NOT_FOUND)
      CHECK(subpy_close(made, &third) != SUBPY_ERROR_BUSY);
    subpy_error_free(third);
  }
  subpy_error_free(second);
  return status != SUBPY_OK ? status : closed;
}

static subpy_status execs(subpy_error **error) {
  subpy_status status;
  TRY(subpy_exec(interp, "  def add(a, b):\n    return a + b\n  x = add(1, 2)", SUBPY_AUTO_LEN, error));
  TRY(subpy_run(&(subpy_run_request){.size = sizeof(subpy_run_request),
                                     .interp = interp,
                                     .what = SUBPY_RUN_EXEC,
                                     .text = "y = 1",
                                     .text_len = SUBPY_AUTO_LEN,
                                     .filename = "<a name>"},
                NULL, error));
end:
  return status;
}

static subpy_status evals(subpy_error **error) {
  subpy_value value = {0};
  subpy_status status = subpy_eval(
      interp, "[1, 2.5, None, True, 1 << 100, 'text', 'x' * 5000, b'bytes', (1, (2, [3])), {'a': {'b': [1] * 200}}]",
      SUBPY_AUTO_LEN, &value, error);
  CHECK(status == SUBPY_OK ? value.kind == SUBPY_KIND_LIST && value.len == 10 : value.kind == SUBPY_KIND_NONE);
  subpy_value_free(&value);
  return status;
}

static subpy_status calls(subpy_error **error) {
  subpy_value many[300], result = {0};
  for (int i = 0; i < 300; i++) many[i] = i % 2 ? subpy_int(i) : subpy_str("an item", SUBPY_AUTO_LEN);
  subpy_pair pairs[2] = {{subpy_str("a", 1), subpy_float(1.5)}, {subpy_str("b", 1), subpy_list(many, 300)}};
  subpy_value args[4] = {subpy_list(many, 300), subpy_dict(pairs, 2), subpy_bigint("0xfffffffffffffffffff", 21),
                         subpy_bytes((const uint8_t *)"bytes", 5)};
  subpy_value kwargs = subpy_dict(pairs, 2);
  subpy_status status = subpy_call(interp, "echo", SUBPY_AUTO_LEN, args, 4, &kwargs, &result, error);
  CHECK(status == SUBPY_OK ? result.kind == SUBPY_KIND_TUPLE && result.len == 2 : result.kind == SUBPY_KIND_NONE);
  subpy_value_free(&result);
  return status;
}

static subpy_status fails_to_compile(subpy_error **error) {
  subpy_status status;
  TRY_FAILURE(SUBPY_ERROR_SYNTAX, subpy_exec(interp, "x = 1\ny = = 2", SUBPY_AUTO_LEN, error));
end:
  return status;
}

static subpy_status raises(subpy_error **error) {
  subpy_status status = subpy_exec(
      interp, "def f(n):\n  if n == 0: raise ValueError('a text')\n  f(n - 1)\nf(5)", SUBPY_AUTO_LEN, error);
  CHECK(status != SUBPY_OK);
  const char *type = subpy_error_type_name(*error, NULL);
  if (status != SUBPY_ERROR_EXECUTION_FAILED || !type || strcmp(type, "ValueError") != 0) return status;
  subpy_frame frame = {.size = sizeof frame};
  CHECK(subpy_error_message(*error, NULL) && subpy_error_formatted(*error, NULL) && subpy_error_display(*error, NULL));
  for (size_t i = 0; i < subpy_error_frame_count(*error); i++) CHECK(subpy_error_frame(*error, i, &frame));
  subpy_error *copy = subpy_error_copy(*error);
  subpy_error_free(copy);
  subpy_error_free(*error);
  *error = NULL;
  return SUBPY_OK;
}

static subpy_status functions(subpy_error **error) {
  subpy_function function = 0;
  subpy_value rows[8] = {{0}}, results = {0}, args[2] = {subpy_int(1), subpy_str("text", 4)};
  for (int i = 0; i < 8; i++) rows[i] = subpy_int(i);
  subpy_status status = subpy_function_new(interp, "pair", SUBPY_AUTO_LEN, &function, error);
  CHECK((status == SUBPY_OK) == (function != 0));
  if (status != SUBPY_OK) return status;
  TRY(subpy_function_call(function, args, 2, NULL, &results, error));
  CHECK(results.kind == SUBPY_KIND_TUPLE && results.len == 2);
  subpy_value_free(&results);
  TRY(subpy_function_call_many(function, rows, 4, 2, 0, &results, error));
  CHECK(results.kind == SUBPY_KIND_LIST && results.len == 4);
  subpy_value_free(&results);
  rows[3] = subpy_none();
  TRY(subpy_function_call_many(function, rows, 4, 2, SUBPY_RETURN_ERRORS, &results, error));
  CHECK(results.kind == SUBPY_KIND_LIST && results.len == 4);
end:
  subpy_value_free(&results);
  subpy_function_free(function);
  return status;
}

static subpy_status objects(subpy_error **error) {
  subpy_value value = {0}, other = {0};
  subpy_object iterator = 0, own = 0;
  subpy_run_request request = {.size = sizeof request,
                               .interp = interp,
                               .what = SUBPY_RUN_EVAL,
                               .flags = SUBPY_RESULT_OBJECT,
                               .text = "{'key': [1, 2, 3], 'other': {4}}",
                               .text_len = SUBPY_AUTO_LEN};
  subpy_status status = subpy_run(&request, &value, error);
  if (status != SUBPY_OK) return status;
  CHECK(value.kind == SUBPY_KIND_OBJECT);
  subpy_value key = subpy_str("key", 3);
  TRY(subpy_object_keep(value.u.as_object, &own, error));
  TRY(subpy_object_text(own, &other, error));
  subpy_value_free(&other);
  TRY(subpy_object_attr(own, "__class__", SUBPY_AUTO_LEN, SUBPY_RESULT_OBJECT, &other, error));
  subpy_value_free(&other);
  TRY(subpy_object_item(own, &key, 0, &other, error));
  subpy_value_free(&other);
  TRY(subpy_object_call(own, "get", SUBPY_AUTO_LEN, &key, 1, NULL, 0, &other, error));
  subpy_value_free(&other);
  TRY(subpy_object_iter(own, &iterator, error));
  for (bool more = true; more;) {
    TRY(subpy_object_next(iterator, SUBPY_RESULT_OBJECTS, &more, &other, error));
    subpy_value_free(&other);
  }
  subpy_value argument = subpy_value_from_object(own);
  TRY(subpy_call(interp, "builtins:len", SUBPY_AUTO_LEN, &argument, 1, NULL, &other, error));
end:
  subpy_value_free(&other);
  subpy_value_free(&value);
  subpy_object_free(own);
  subpy_object_free(iterator);
  return status;
}

static subpy_status queues(subpy_error **error) {
  subpy_queue queue = 0, own = 0;
  subpy_value items[3] = {subpy_int(1), subpy_str("text", 4), subpy_float(2.5)};
  subpy_value item = subpy_list(items, 3), got = {0};
  int32_t file = -1;
  size_t len = 0;
  subpy_queue_options bounded = {.size = sizeof bounded, .capacity = 4};
  subpy_status status = subpy_queue_new(&bounded, &queue, error);
  CHECK((status == SUBPY_OK) == (queue != 0));
  if (status != SUBPY_OK) return status;
  TRY(subpy_queue_keep(queue, &own, error));
  TRY(subpy_queue_fd(queue, &file, error));
  TRY(subpy_queue_room_fd(queue, &file, error));
  TRY(subpy_queue_put(queue, &item, 0, error));
  status = subpy_queue_get(queue, 0, &got, error);
  if (status != SUBPY_OK) {
    /* Not got is still there. */
    disarm();
    subpy_error *second = NULL;
    CHECK(subpy_queue_len(queue, &len, &second) == SUBPY_OK && len == 1);
    goto end;
  }
  CHECK(got.kind == SUBPY_KIND_LIST && got.len == 3);
  subpy_value argument = subpy_value_from_queue(own);
  TRY(subpy_call(interp, "use_queue", SUBPY_AUTO_LEN, &argument, 1, NULL, NULL, error));
  TRY(subpy_queue_close(queue, error));
end:
  subpy_value_free(&got);
  subpy_queue_free(own);
  subpy_queue_free(queue);
  return status;
}

static int released, passed;
static void release(void *userdata) { (void)userdata, __atomic_fetch_add(&released, 1, __ATOMIC_SEQ_CST); }

static void noticed(void *userdata) { (void)userdata; }

static subpy_status buffers(subpy_error **error) {
  subpy_buffer buffer = {.size = sizeof buffer};
  subpy_value result = {0};
  static uint8_t bytes[64];
  subpy_status status = subpy_buffer_new(4096, SUBPY_BUFFER_WRITABLE, &buffer, error);
  if (status != SUBPY_OK) return status;
  subpy_buffer own = {.size = sizeof own, .data = bytes, .len = sizeof bytes, .release = release};
  subpy_value argument = subpy_value_from_buffer(&buffer);
  TRY(subpy_call(interp, "builtins:len", SUBPY_AUTO_LEN, &argument, 1, NULL, NULL, error));
  argument = subpy_value_from_buffer(&own);
  passed++;
  TRY(subpy_call(interp, "builtins:len", SUBPY_AUTO_LEN, &argument, 1, NULL, NULL, error));
  subpy_run_request request = {.size = sizeof request,
                               .interp = interp,
                               .what = SUBPY_RUN_EVAL,
                               .flags = SUBPY_RESULT_BUFFER,
                               .text = "bytearray(5000)",
                               .text_len = SUBPY_AUTO_LEN};
  TRY(subpy_run(&request, &result, error));
  CHECK(result.kind == SUBPY_KIND_BUFFER && result.u.as_buffer->len == 5000);
end:
  subpy_value_free(&result);
  subpy_buffer_free(&buffer);
  disarm();
  run(interp, "import gc; gc.collect()");
  /* Given back once, whatever came of the call. A process without memory to read a message keeps what is in it to its end:
   * then all of it is there when that is closed. */
  for (int tries = 0; tries < 10000 && whose == HERE && __atomic_load_n(&released, __ATOMIC_SEQ_CST) < passed; tries++) usleep(1000);
  int now = __atomic_load_n(&released, __ATOMIC_SEQ_CST);
  CHECK(whose == HERE ? now == passed : now <= passed);
  return status;
}

static int finalized;
static void finalize(void *userdata) { (void)userdata, __atomic_fetch_add(&finalized, 1, __ATOMIC_SEQ_CST); }

static void host(void *userdata, subpy_context *context, const subpy_value *args, size_t nargs,
                 const subpy_value *kwargs) {
  (void)userdata, (void)kwargs;
  if (nargs == 0)
    (void)subpy_context_raise(context, "ValueError", SUBPY_AUTO_LEN, "from the host", SUBPY_AUTO_LEN);
  else
    (void)subpy_context_return(context, &args[0]);
}

static subpy_status defines(subpy_error **error) {
  int before = __atomic_load_n(&finalized, __ATOMIC_SEQ_CST);
  subpy_value result = {0};
  subpy_define_options how = {.size = sizeof how, .signature = "(a=None)", .doc = "A function."};
  subpy_status status = subpy_define_with(interp, "host", SUBPY_AUTO_LEN, &how, host, NULL, finalize, error);
  if (status == SUBPY_OK) {
    TRY(subpy_eval(interp, "host(['text', 1, {'a': 2}])", SUBPY_AUTO_LEN, &result, error));
    CHECK(result.kind == SUBPY_KIND_LIST && result.len == 3);
    TRY(subpy_exec(interp, "try: host()\nexcept ValueError: pass", SUBPY_AUTO_LEN, error));
  }
end:
  disarm();
  subpy_value_free(&result);
  run(interp, "globals().pop('host', None)\nimport gc; gc.collect()");
  CHECK(__atomic_load_n(&finalized, __ATOMIC_SEQ_CST) == before + 1);
  return status;
}

static subpy_status threads(subpy_error **error) {
  subpy_thread thread = 0;
  subpy_value argument = subpy_str("text", 4), result = {0};
  int file = -1;
  bool done = false;
  subpy_status status =
      subpy_call_in_thread(interp, "echo", SUBPY_AUTO_LEN, &argument, 1, NULL, &thread, error);
  CHECK((status == SUBPY_OK) == (thread != 0));
  if (status != SUBPY_OK) return status;
  TRY(subpy_thread_fd(thread, &file, error));
  TRY(subpy_thread_notify(thread, noticed, NULL, error));
  TRY(subpy_thread_wait(thread, -1, &done, error));
end:
  if (status != SUBPY_OK) {
    subpy_error *second = NULL;
    disarm();
    (void)subpy_thread_join(thread, NULL, &second);
    subpy_error_free(second);
    return status;
  }
  status = subpy_thread_join(thread, &result, error);
  subpy_value_free(&result);
  disarm();
  bool there = subpy_thread_wait(thread, 0, &done, NULL) == SUBPY_OK;
  if (there) (void)subpy_thread_join(thread, NULL, NULL);
  return status;
}

static subpy_status limits(subpy_error **error) {
  subpy_cancel cancel = 0;
  subpy_run_request request = {.size = sizeof request,
                               .interp = interp,
                               .what = SUBPY_RUN_EXEC,
                               .text = "while True: pass",
                               .text_len = SUBPY_AUTO_LEN,
                               .timeout_ms = 5};
  subpy_status status = subpy_cancel_new(&cancel, error);
  CHECK((status == SUBPY_OK) == (cancel != 0));
  if (status != SUBPY_OK) return status;
  TRY_FAILURE(SUBPY_ERROR_TIMEOUT, subpy_run(&request, NULL, error));
  request.cancel = cancel;
  subpy_cancel_fire(cancel);
  TRY_FAILURE(SUBPY_ERROR_INTERRUPTED, subpy_run(&request, NULL, error));
  TRY(subpy_interrupt(interp, error));
end:
  subpy_cancel_free(cancel);
  return status;
}

static subpy_status sessions(subpy_error **error) {
  subpy_status status = subpy_enter(interp, error);
  if (status != SUBPY_OK) return status;
  subpy_status ran = subpy_exec(interp, "x = 2", SUBPY_AUTO_LEN, error);
  if (ran != SUBPY_OK) disarm();
  status = subpy_leave(interp, ran == SUBPY_OK ? error : NULL);
  if (status != SUBPY_OK) {
    disarm();
    CHECK(subpy_leave(interp, NULL) == SUBPY_OK);
  }
  return ran != SUBPY_OK ? ran : status;
}

static size_t printed;
static void output(void *userdata, subpy_interp from, int32_t stream, const char *text, size_t len) {
  (void)userdata, (void)from, (void)stream, (void)text;
  printed += len;
}

static subpy_status outputs(subpy_error **error) {
  subpy_status status;
  subpy_run_request request = {.size = sizeof request,
                               .interp = interp,
                               .what = SUBPY_RUN_EXEC,
                               .text = "print('text'); print('x' * 300_000); import sys; print('e\\u20ac', file=sys.stderr)",
                               .text_len = SUBPY_AUTO_LEN,
                               .output = output};
  TRY(subpy_run(&request, NULL, error));
  TRY(subpy_set_output(interp, output, NULL, NULL, error));
  request.output = NULL;
  TRY(subpy_run(&request, NULL, error));
end:
  disarm();
  CHECK(subpy_set_output(interp, NULL, NULL, NULL, NULL) == SUBPY_OK);
  return status;
}

static bool map_row(void *userdata, size_t index, subpy_value *result, const subpy_error *error) {
  (void)index, (void)result;
  if (error && *(subpy_status *)userdata == SUBPY_OK) *(subpy_status *)userdata = subpy_error_status(error);
  return true;
}

static subpy_status pools(subpy_error **error) {
  subpy_pool pool = 0;
  subpy_thread outcome = 0;
  subpy_value result = {0}, rows[4] = {subpy_int(1), subpy_int(2), subpy_int(3), subpy_int(4)};
  subpy_pool_options how = {.size = sizeof how,
                            .workers = 1,
                            .interp = &options,
                            .setup = "def double(x): return 2 * x",
                            .setup_len = SUBPY_AUTO_LEN,
                            .flags = SUBPY_POOL_NO_SPARES,
                            .isolation = options.flags & SUBPY_INTERP_PROCESS ? SUBPY_ISOLATION_PROCESS
                                                                              : SUBPY_ISOLATION_OWN_GIL};
  subpy_interp_options inside = options;
  inside.flags &= ~(uint64_t)SUBPY_INTERP_PROCESS;
  how.interp = &inside;
  subpy_run_request request = {.size = sizeof request,
                               .what = SUBPY_RUN_CALL,
                               .text = "double",
                               .text_len = SUBPY_AUTO_LEN,
                               .args = rows,
                               .nargs = 1};
  subpy_status status = subpy_pool_new(&how, &pool, error);
  CHECK((status == SUBPY_OK) == (pool != 0));
  if (status != SUBPY_OK) return status;
  TRY(subpy_pool_submit(pool, &request, &outcome, error));
  status = subpy_thread_join(outcome, &result, error);
  if (status != SUBPY_OK) {
    disarm();
    (void)subpy_thread_join(outcome, NULL, NULL); /* the join itself was refused */
    goto end;
  }
  request.args = NULL;
  request.nargs = 0;
  subpy_status in_rows = SUBPY_OK;
  TRY(subpy_pool_map(pool, &request, rows, 4, 1, 1, map_row, &in_rows, error));
  CHECK(in_rows == SUBPY_OK || in_rows == SUBPY_ERROR_NO_MEMORY || in_rows == SUBPY_ERROR_EXECUTION_FAILED ||
        in_rows == SUBPY_ERROR_INTERPRETER || in_rows == SUBPY_ERROR_CRASHED);
end:
  subpy_value_free(&result);
  subpy_error *second = NULL;
  subpy_status closed = subpy_pool_close(pool, NULL, status == SUBPY_OK ? error : &second);
  if (closed != SUBPY_OK) {
    disarm();
    CHECK(subpy_pool_close(pool, NULL, NULL) == SUBPY_OK);
  }
  subpy_error_free(second);
  return status != SUBPY_OK ? status : closed;
}

static subpy_status asks(subpy_error **error) {
  subpy_status status;
  subpy_interp list[16], found = 0;
  size_t count = 0;
  int64_t id = 0;
  bool running = true;
  const char *whence = NULL;
  subpy_pair pairs[2] = {{subpy_str("one", 3), subpy_int(1)}, {subpy_str("two", 3), subpy_str("text", 4)}};
  subpy_value names = subpy_dict(pairs, 2);
  TRY(subpy_prepare_main(interp, &names, error));
  TRY(subpy_list_all(list, 16, &count, error));
  TRY(subpy_id(interp, &id, error));
  TRY(subpy_find(id, &found, error));
  CHECK(found == interp);
  TRY(subpy_whence(interp, &whence, error));
  TRY(subpy_is_running(interp, &running, error));
  TRY(subpy_get_main(&found, error));
  TRY_FAILURE(SUBPY_ERROR_NOT_FOUND, subpy_get_current(&found, error));
end:
  return status;
}

static subpy_status coroutines(subpy_error **error) {
  subpy_value value = {0};
  subpy_run_request request = {.size = sizeof request,
                               .interp = interp,
                               .what = SUBPY_RUN_CALL,
                               .flags = SUBPY_RUN_ASYNC,
                               .text = "wait",
                               .text_len = SUBPY_AUTO_LEN};
  subpy_status status = subpy_run(&request, &value, error);
  CHECK(status != SUBPY_OK || (value.kind == SUBPY_KIND_INT && value.u.as_int == 5));
  subpy_value_free(&value);
  return status;
}

static void prepare(subpy_interp in) {
  run(in,
      "import asyncio, traceback, linecache, subpy_queues\n"
      "def echo(*args, **kwargs): return args[0], kwargs\n"
      "def pair(a, b): return a + 0, b\n"
      "def use_queue(queue):\n"
      "  queue.put([1, 'text'])\n"
      "  assert queue.get() == [1, 'text'] and queue.empty()\n"
      "async def wait():\n"
      "  await asyncio.sleep(0)\n"
      "  return 5\n");
}

/* The runtime ends, and begins again with the next interpreter. */
static subpy_status restarts(subpy_error **error) {
  subpy_status status = subpy_shutdown(error);
  interp = 0;
  if (status == SUBPY_OK) status = subpy_create(&options, &interp, error);
  disarm();
  subpy_error *second = NULL;
  if (interp == 0) {
    if (subpy_shutdown(&second) != SUBPY_OK || subpy_create(&options, &interp, &second) != SUBPY_OK) {
      fprintf(stderr, "it does not start again: %s\n", subpy_error_message(second, NULL));
      exit(1);
    }
  }
  prepare(interp);
  return status;
}

#endif
