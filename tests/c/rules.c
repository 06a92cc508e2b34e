/* The rules of docs/abi.md that hold for all functions: handles, outputs, results, and what may be freed when. */
#include "guest.h"
#include "values.h"

static subpy_error *error;

static subpy_value junk(void) { return subpy_int(77); }

static bool empty(const subpy_value *value) {
  static const subpy_value none;
  return memcmp(value, &none, sizeof none) == 0;
}

static void nothing(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs,
                    const subpy_value *kwargs) {
  (void)userdata, (void)ctx, (void)args, (void)nargs, (void)kwargs;
}

static int finalized;

static void finalize(void *userdata) {
  (void)userdata;
  finalized++;
}

/* A context that is none, or whose call is over: nothing happens. */
static void no_context(void) {
  subpy_context *ctx = (subpy_context *)(uintptr_t)0x123456789;
  CHECK(subpy_context_return(ctx, NULL) == SUBPY_ERROR_NOT_FOUND);
  CHECK(subpy_context_raise(ctx, "x", 1, "", 0) == SUBPY_ERROR_NOT_FOUND);
  CHECK(subpy_context_note(ctx, "x", 1) == SUBPY_ERROR_NOT_FOUND);
  CHECK(subpy_context_tag(ctx, 1) == SUBPY_ERROR_NOT_FOUND);
  CHECK(subpy_context_interp(ctx) == 0 && !subpy_context_cancelled(ctx));
}

/* A number that is no handle of the right kind, in every place for one: an error, and outputs made empty. */
static void no_interpreter(uint64_t bad) {
  subpy_value value = junk();
  subpy_pair pair = {TEXT("x"), subpy_int(1)};
  subpy_value names = subpy_dict(&pair, 1);
  subpy_run_request request = {.size = sizeof request, .interp = bad, .what = SUBPY_RUN_EVAL, .text = "1", .text_len = 1};
  subpy_thread thread = 77;
  subpy_function function = 77;
  bool running = true;
  int64_t id = 77;
  const char *whence = "junk";
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_close(bad, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_close_with(bad, NULL, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_set_output(bad, NULL, NULL, NULL, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_interrupt(bad, &error));
  subpy_memory_info info = {.size = sizeof info, .used = 77};
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_memory(bad, &info, &error));
  CHECK(info.size == sizeof info && info.used == 0);
  subpy_lock_info lock = {.size = sizeof lock, .landlock = 77};
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_lock_get_info(bad, &lock, &error));
  CHECK(lock.size == sizeof lock && lock.landlock == 0);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_prepare_main(bad, &names, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_is_running(bad, &running, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_id(bad, &id, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_whence(bad, &whence, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_exec(bad, "x", 1, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_eval(bad, "1", 1, &value, &error));
  CHECK(empty(&value));
  value = junk();
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_call(bad, "f", 1, NULL, 0, NULL, &value, &error));
  CHECK(empty(&value));
  value = junk();
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_run(&request, &value, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_run_in_thread(&request, &thread, &error));
  CHECK(empty(&value) && thread == 0);
  thread = 77;
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_call_in_thread(bad, "f", 1, NULL, 0, NULL, &thread, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_function_new(bad, "f", 1, &function, &error));
  finalized = 0;
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_define(bad, "f", 1, 0, nothing, NULL, finalize, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_define_with(bad, "f", 1, NULL, nothing, NULL, finalize, &error));
  CHECK(finalized == 2);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_enter(bad, &error));
  FAILS(SUBPY_ERROR_WRONG_STATE, "...this thread has not entered the interpreter", subpy_leave(bad, &error));
  CHECK(!running && id == 0 && !whence && thread == 0 && function == 0);
}

static void no_function(uint64_t bad) {
  subpy_value value = junk();
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_FUNCTION, .function = bad};
  subpy_thread thread = 77;
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_function_call(bad, NULL, 0, NULL, &value, &error));
  CHECK(empty(&value));
  value = junk();
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_run(&request, &value, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_run_in_thread(&request, &thread, &error));
  CHECK(empty(&value) && thread == 0);
  subpy_function_free(bad);
}

static void no_thread(uint64_t bad) {
  subpy_value value = junk();
  bool done = true;
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_thread_join(bad, &value, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_thread_wait(bad, 0, &done, &error));
  int fd = 77;
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_thread_fd(bad, &fd, &error));
  int before = finalized;
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_thread_notify(bad, finalize, NULL, &error));
  CHECK(empty(&value) && !done && fd == -1 && finalized == before);
  subpy_thread_free(bad);
}

static bool never(void *userdata, size_t index, subpy_value *result, const subpy_error *failed) {
  (void)userdata, (void)index, (void)result, (void)failed;
  CHECK(false);
}

static void no_pool(uint64_t bad) {
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_CALL, .text = "f", .text_len = 1};
  subpy_thread thread = 77;
  subpy_pool_stats stats = {.size = sizeof stats, .done = 77};
  subpy_value row = subpy_int(1);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_pool_submit(bad, &request, &thread, &error));
  CHECK(thread == 0);
  thread = 77;
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_pool_submit_as(bad, 1, &request, &thread, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_pool_map(bad, &request, &row, 1, 1, 1, never, NULL, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_pool_get_stats(bad, &stats, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_pool_close(bad, NULL, &error));
  CHECK(thread == 0 && stats.done == 0);
}

static void no_token(uint64_t bad, subpy_interp interp) {
  subpy_value value = junk();
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EVAL, .text = "1", .text_len = 1,
                               .cancel = bad};
  subpy_thread thread = 77;
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_run(&request, &value, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_run_in_thread(&request, &thread, &error));
  CHECK(empty(&value) && thread == 0);
  subpy_cancel_fire(bad);
  subpy_cancel_free(bad);
}

static void no_queue(uint64_t bad, subpy_interp interp) {
  subpy_value value = junk(), item = subpy_value_from_queue(bad);
  subpy_queue own = 77;
  subpy_thread thread = 77;
  size_t len = 77;
  int fd = 77;
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_queue_keep(bad, &own, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_queue_put(bad, &value, 0, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_queue_put_with(bad, &value, 0, 0, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_queue_get(bad, 0, &value, &error));
  CHECK(empty(&value));
  value = junk();
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_queue_get_with(bad, 0, &value, 0, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_queue_len(bad, &len, &error));
  subpy_queue_info info = {.size = sizeof info, .id = 77, .capacity = 77, .len = 77, .closed = 77};
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_queue_get_info(bad, &info, &error));
  CHECK(info.size == sizeof info && info.id == 0 && info.capacity == 0 && info.len == 0 && info.closed == 0);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_queue_fd(bad, &fd, &error));
  CHECK(fd == -1);
  fd = 77;
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_queue_room_fd(bad, &fd, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_queue_close(bad, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_call_in_thread(interp, "print", 5, &item, 1, NULL, &thread, &error));
  CHECK(empty(&value) && own == 0 && len == 0 && fd == -1 && thread == 0);
  subpy_queue_free(bad);
}

static void no_object(subpy_object object) {
  subpy_object own = 77, iterator = 77;
  subpy_interp interp = 77;
  subpy_value result = subpy_int(77), key = subpy_int(0);
  bool more = true;
  FAILS(SUBPY_ERROR_NOT_FOUND, "...is not the handle of an object", subpy_object_keep(object, &own, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_object_iter(object, &iterator, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_object_interp(object, &interp, &error));
  CHECK(own == 0 && iterator == 0 && interp == 0);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_object_attr(object, "x", 1, 0, &result, &error));
  CHECK(result.kind == SUBPY_KIND_NONE);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_object_item(object, &key, 0, NULL, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_object_call(object, NULL, 0, NULL, 0, NULL, 0, NULL, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_object_next(object, 0, &more, NULL, &error));
  CHECK(!more);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_object_value(object, 0, NULL, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_object_text(object, NULL, &error));
  subpy_object_free(object);
}

static void handles_of_another_kind(subpy_interp interp, subpy_function function, subpy_object object,
                                    subpy_thread thread, subpy_cancel cancel, subpy_queue queue, subpy_pool pool) {
  const uint64_t all[] = {interp, function, object, thread, cancel, queue, pool};
  for (size_t i = 0; i < COUNT(all); i++) {
    CHECK(all[i] != 0 && all[i] < (UINT64_C(1) << 53));
    if (all[i] != interp) no_interpreter(all[i]);
    /* A function is an object, and the other way round. */
    if (all[i] != function && all[i] != object) no_function(all[i]);
    if (all[i] != function && all[i] != object) no_object(all[i]);
    if (all[i] != thread) no_thread(all[i]);
    if (all[i] != cancel) no_token(all[i], interp);
    if (all[i] != queue) no_queue(all[i], interp);
    if (all[i] != pool) no_pool(all[i]);
  }
}

/* Outputs of functions that take no handle, and the array of subpy_list_all(), which is left alone. */
static void other_outputs(void) {
  subpy_interp found = 77, list[2] = {77, 78};
  size_t count = 77;
  subpy_interp_options options = {.size = sizeof options, .gil = 9};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...", subpy_create(&options, &found, &error));
  CHECK(found == 0);
  found = 77;
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_get_current(&found, &error));
  CHECK(found == 0);
  found = 77;
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_find(INT64_MAX, &found, &error));
  CHECK(found == 0);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...", subpy_list_all(NULL, 2, &count, &error));
  CHECK(count == 0);
  OK(subpy_list_all(list, 1, &count, &error));
  CHECK(count > 1 && list[0] != 77 && list[1] == 78);
}

/* The root of a result owns it; parts are not freed alone. It stays the caller's when it is passed on. */
static void results(subpy_interp interp, subpy_interp other) {
  subpy_value result = eval(interp, "[[1, 'two'], {'three': b'3'}, '']");
  subpy_value part = result.u.as_items[0], argument = result;
  subpy_value_free(&part);
  CHECK(part.kind == SUBPY_KIND_LIST && is_text(&part.u.as_items[1], "two"));
  subpy_value back = call1(other, "builtins:list", argument), again = call1(other, "builtins:list", back);
  CHECK(same(&result, &back) && same(&result, &again));
  subpy_value seen = call1(other, "builtins:repr", result.u.as_items[1]);
  CHECK(is_text(&seen, "{'three': b'3'}"));
  const subpy_value *text = &result.u.as_items[2];
  CHECK(text->len == 0 && text->u.as_str && text->u.as_str[0] == '\0');
  subpy_value *all[] = {&result, &back, &again, &seen};
  for (size_t i = 0; i < COUNT(all); i++) {
    subpy_value_free(all[i]);
    CHECK(empty(all[i]));
    subpy_value_free(all[i]);
  }
  /* The place of an argument may be that of the result. */
  subpy_value both = subpy_int(-5);
  OK(subpy_call(interp, "builtins:abs", SUBPY_AUTO_LEN, &both, 1, NULL, &both, &error));
  CHECK(both.kind == SUBPY_KIND_INT && both.u.as_int == 5);
}

int main(void) {
  subpy_interp interp = create(), other = create();
  subpy_function function = 0;
  subpy_object object = 0;
  subpy_thread thread = 0, failed = 0;
  subpy_cancel cancel = 0;
  OK(subpy_cancel_new(&cancel, &error));
  subpy_queue queue = 0;
  OK(subpy_queue_new(NULL, &queue, &error));
  OK(subpy_function_new(interp, "builtins:len", SUBPY_AUTO_LEN, &function, &error));
  OK(subpy_object_keep(function, &object, &error));
  OK(subpy_call_in_thread(interp, "builtins:dict", SUBPY_AUTO_LEN, NULL, 0, NULL, &thread, &error));
  bool done = false;
  OK(subpy_thread_wait(thread, -1, &done, &error));
  CHECK(done);
  subpy_pool pool = 0;
  OK(subpy_pool_new(NULL, &pool, &error));
  handles_of_another_kind(interp, function, object, thread, cancel, queue, pool);
  no_context();
  other_outputs();
  results(interp, other);

  /* What may be freed after the shutdown: everything, in any order, and more than once. */
  subpy_value kept = eval(interp, "{'a': [1, 2]}");
  subpy_error *old = NULL;
  CHECK(subpy_eval(interp, "1/0", SUBPY_AUTO_LEN, NULL, &old) == SUBPY_ERROR_EXECUTION_FAILED);
  OK(subpy_call_in_thread(other, "sys:exit", SUBPY_AUTO_LEN, NULL, 0, NULL, &failed, &error));
  OK(subpy_thread_wait(failed, -1, NULL, &error));
  while (subpy_shutdown(NULL) == SUBPY_ERROR_BUSY) usleep(1000); /* the thread's very end */
  CHECK(strcmp(subpy_error_type_name(old, NULL), "ZeroDivisionError") == 0 && subpy_error_interp(old) == interp);
  CHECK(subpy_value_get(&kept, "a", 1)->len == 2);
  for (int round = 0; round < 2; round++) {
    subpy_function_free(function);
    subpy_object_free(object);
    subpy_thread_free(thread);
    subpy_thread_free(failed);
    subpy_cancel_fire(cancel);
    subpy_cancel_free(cancel);
    subpy_queue_free(queue);
    subpy_value_free(&kept);
    subpy_error *copied = subpy_error_copy(old);
    subpy_error_free(old);
    CHECK((copied == NULL) == (old == NULL) && subpy_error_row(copied, NULL) == false &&
          !subpy_error_crash(copied, NULL, NULL));
    subpy_error_free(copied);
    old = NULL;
  }
  subpy_function_free(0);
  subpy_thread_free(0);
  subpy_cancel_free(0);
  subpy_queue_free(0);
  subpy_value_free(NULL);
  no_interpreter(interp);
  no_function(function);
  no_thread(thread);
  no_pool(pool);

  /* In the next runtime CPython gives the same ids again; the handles are others. */
  subpy_interp next = create();
  subpy_function next_function = 0;
  OK(subpy_function_new(next, "builtins:len", SUBPY_AUTO_LEN, &next_function, &error));
  CHECK(next != interp && next != other && next_function != function);
  no_interpreter(interp);
  subpy_function_free(next_function);
  shut_down();
  return 0;
}
