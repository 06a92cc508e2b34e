/* The rules of docs/abi.md about handles and results: who owns them, and what may be freed when. Those about wrong
 * arguments are in tests/misuse. */
#include "guest.h"
#include "values.h"

static subpy_error *error;

static bool empty(const subpy_value *value) {
  static const subpy_value none;
  return memcmp(value, &none, sizeof none) == 0;
}

/* No more than fits is written. */
static void list_of_one(void) {
  subpy_interp list[2] = {77, 78};
  size_t count = 77;
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
  list_of_one();
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

  /* In the next runtime CPython gives the same ids again; the handles are others. */
  subpy_interp next = create();
  subpy_function next_function = 0;
  OK(subpy_function_new(next, "builtins:len", SUBPY_AUTO_LEN, &next_function, &error));
  CHECK(next != interp && next != other && next_function != function);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...unrecognized interpreter ID", subpy_exec(interp, "x", 1, &error));
  subpy_function_free(next_function);
  shut_down();
  return 0;
}
