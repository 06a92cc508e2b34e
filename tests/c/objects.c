/* Objects that stay in Python: handles, what is done with them, whose they are, and their end. */
#include "race.h"

static subpy_error *error;

static subpy_value eval_as(subpy_interp interp, const char *text, uint32_t flags) {
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EVAL, .flags = flags, .text = text, .text_len = SUBPY_AUTO_LEN};
  subpy_value result = subpy_none();
  OK(subpy_run(&request, &result, &error));
  return result;
}

static subpy_object eval_object(subpy_interp interp, const char *text) {
  subpy_value result = eval_as(interp, text, SUBPY_RESULT_OBJECT);
  CHECK(result.kind == SUBPY_KIND_OBJECT && result.u.as_object);
  subpy_object object = 0;
  OK(subpy_object_keep(result.u.as_object, &object, &error));
  subpy_value_free(&result);
  return object;
}

#define TEXT_IS(object, expected)                                                                                      \
  do {                                                                                                                 \
    subpy_value text_ = subpy_none();                                                                                  \
    OK(subpy_object_text(object, &text_, &error));                                                                     \
    CHECK(text_.kind == SUBPY_KIND_STR && strcmp(text_.u.as_str, expected) == 0);                                      \
    subpy_value_free(&text_);                                                                                          \
  } while (0)

static void what_is_done(void) {
  subpy_interp interp = create(), whose = 0;
  run(interp, "class Model:\n  weights = [1, 2.5, 'x']\n  names = {'a': range(3)}\n  def predict(self, x, *, scale=1): return x * scale\n"
              "  def __call__(self, x): return ('called', x)\n  def __str__(self): return 'the model'\n  bad = property(lambda self: 1 // 0)\nmodel = Model()");
  subpy_object model = eval_object(interp, "model");
  OK(subpy_object_interp(model, &whose, &error));
  CHECK(whose == interp);
  TEXT_IS(model, "the model");
  subpy_value value = subpy_none(), key = subpy_str("a", 1), args[] = {subpy_int(21)};
  OK(subpy_object_attr(model, "weights", SUBPY_AUTO_LEN, 0, &value, &error));
  CHECK(value.kind == SUBPY_KIND_LIST && value.len == 3 && value.u.as_items[1].u.as_float == 2.5);
  subpy_value_free(&value);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...AttributeError: 'Model' object has no attribute 'x'", subpy_object_attr(model, "x", 1, 0, &value, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...ZeroDivisionError: ", subpy_object_attr(model, "bad", 3, 0, NULL, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "flags has unknown bits set: 0x40", subpy_object_attr(model, "weights", 7, SUBPY_RUN_ASYNC, &value, &error));
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, "...result['a']: range cannot be shared", subpy_object_attr(model, "names", 5, 0, &value, &error));
  OK(subpy_object_attr(model, "names", 5, SUBPY_RESULT_OBJECTS, &value, &error));
  const subpy_value *range = subpy_value_get(&value, "a", 1);
  CHECK(value.kind == SUBPY_KIND_DICT && range->kind == SUBPY_KIND_OBJECT);
  subpy_object inside = range->u.as_object, own = 0;
  OK(subpy_object_keep(inside, &own, &error));
  CHECK(own != inside);
  TEXT_IS(inside, "range(0, 3)");
  subpy_value_free(&value);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...is not the handle of an object, or it was freed", subpy_object_text(inside, &value, &error));
  TEXT_IS(own, "range(0, 3)");
  subpy_value index = subpy_int(2);
  OK(subpy_object_item(own, &index, 0, &value, &error));
  CHECK(value.kind == SUBPY_KIND_INT && value.u.as_int == 2);
  index = subpy_int(3);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...IndexError: range object index out of range", subpy_object_item(own, &index, 0, &value, &error));
  subpy_value names = subpy_none();
  OK(subpy_object_attr(model, "names", 5, SUBPY_RESULT_OBJECT, &names, &error));
  OK(subpy_object_item(names.u.as_object, &key, SUBPY_RESULT_OBJECT, &value, &error));
  TEXT_IS(value.u.as_object, "range(0, 3)");
  subpy_value_free(&value);
  subpy_value_free(&names);

  subpy_pair pair = {subpy_str("scale", 5), subpy_int(2)};
  subpy_value kwargs = subpy_dict(&pair, 1);
  OK(subpy_object_call(model, "predict", SUBPY_AUTO_LEN, args, 1, &kwargs, 0, &value, &error));
  CHECK(value.u.as_int == 42);
  OK(subpy_object_call(model, NULL, 0, args, 1, NULL, 0, &value, &error));
  CHECK(value.kind == SUBPY_KIND_TUPLE && value.u.as_items[1].u.as_int == 21);
  subpy_value_free(&value);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...TypeError: 'range' object is not callable", subpy_object_call(own, NULL, 0, NULL, 0, NULL, 0, NULL, &error));

  /* Functions and objects are the same. */
  subpy_function function = 0;
  OK(subpy_function_new(interp, "model", SUBPY_AUTO_LEN, &function, &error));
  TEXT_IS(function, "the model");
  OK(subpy_function_call(model, args, 1, NULL, &value, &error));
  subpy_value_free(&value);
  OK(subpy_function_call_many(model, args, 1, 1, 0, &value, &error));
  CHECK(value.len == 1);
  subpy_value_free(&value);
  subpy_object_free(function);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_function_call(function, args, 1, NULL, NULL, &error));
  subpy_function_free(model);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_object_text(model, NULL, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_function_call(model, args, 1, NULL, NULL, &error));
  subpy_object_free(own);
  OK(subpy_close(interp, &error));
}

static void iteration(void) {
  subpy_interp interp = create();
  run(interp, "def count(n):\n  for i in range(n): yield i\n  if n == 3: raise KeyError('three')\nclosed = []\n"
              "def watched():\n  try: yield 1\n  finally: closed.append(1)");
  subpy_object generator = eval_object(interp, "count(2)"), iterator = 0;
  OK(subpy_object_iter(generator, &iterator, &error));
  bool more = true;
  subpy_value value = subpy_none();
  for (int i = 0; i < 2; i++) {
    OK(subpy_object_next(iterator, 0, &more, &value, &error));
    CHECK(more && value.u.as_int == i);
  }
  for (int i = 0; i < 2; i++) {
    OK(subpy_object_next(iterator, 0, &more, &value, &error));
    CHECK(!more && value.kind == SUBPY_KIND_NONE);
  }
  subpy_object_free(generator);
  subpy_object_free(iterator);
  iterator = eval_object(interp, "count(3)");
  for (int i = 0; i < 3; i++) OK(subpy_object_next(iterator, 0, &more, NULL, &error));
  CHECK(more);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...KeyError: 'three'", subpy_object_next(iterator, 0, &more, &value, &error));
  CHECK(!more);
  subpy_object_free(iterator);
  iterator = eval_object(interp, "iter([range(1), 5])");
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, "...result: range cannot be shared", subpy_object_next(iterator, 0, &more, &value, &error));
  OK(subpy_object_next(iterator, 0, &more, &value, &error));
  CHECK(more && value.u.as_int == 5);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...more is NULL", subpy_object_next(iterator, 0, NULL, &value, &error));
  subpy_object_free(iterator);
  subpy_object list = eval_object(interp, "[1, 2]"), none = eval_object(interp, "None");
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...TypeError: expected an iterator, got 'list'", subpy_object_next(list, 0, &more, &value, &error));
  iterator = 5;
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...TypeError: 'NoneType' object is not iterable", subpy_object_iter(none, &iterator, &error));
  CHECK(iterator == 0);
  subpy_object_free(list);
  subpy_object_free(none);
  /* A generator that nobody holds any more ends when the interpreter is entered next. */
  iterator = eval_object(interp, "watched()");
  OK(subpy_object_next(iterator, 0, &more, NULL, &error));
  subpy_object_free(iterator);
  CHECK(number(interp, "len(closed)") == 1);
  OK(subpy_close(interp, &error));
}

static void passing(void) {
  subpy_interp interp = create(), other = create();
  run(interp, "kept = object()\ndef same(*args, **kwargs): return all(x is kept for x in [*args, *kwargs.values()])\n"
              "def deep(x): return x['a'][0][1] is kept");
  run(other, "def f(*args, **kwargs): return 1");
  subpy_object kept = eval_object(interp, "kept");
  subpy_value value = subpy_none(), args[] = {subpy_value_from_object(kept), subpy_value_from_object(kept)};
  subpy_pair pair = {subpy_str("x", 1), args[0]};
  subpy_value kwargs = subpy_dict(&pair, 1);
  OK(subpy_call(interp, "same", SUBPY_AUTO_LEN, args, 2, &kwargs, &value, &error));
  CHECK(value.u.as_bool);
  subpy_value inner = subpy_tuple((subpy_value[]){subpy_none(), args[0]}, 2);
  subpy_pair deep = {subpy_str("a", 1), subpy_list(&inner, 1)};
  subpy_value dict = subpy_dict(&deep, 1);
  OK(subpy_call(interp, "deep", SUBPY_AUTO_LEN, &dict, 1, NULL, &value, &error));
  CHECK(value.u.as_bool);
  OK(subpy_prepare_main(interp, &kwargs, &error));
  CHECK(number(interp, "x is kept"));
  subpy_function same = 0, theirs = 0;
  OK(subpy_function_new(interp, "same", SUBPY_AUTO_LEN, &same, &error));
  OK(subpy_function_new(other, "f", SUBPY_AUTO_LEN, &theirs, &error));
  OK(subpy_function_call(same, args, 2, NULL, &value, &error));
  CHECK(value.u.as_bool);
  OK(subpy_function_call_many(same, args, 2, 1, 0, &value, &error));
  CHECK(value.u.as_items[0].u.as_bool && value.u.as_items[1].u.as_bool);
  subpy_value_free(&value);
  subpy_thread thread = 0;
  OK(subpy_call_in_thread(interp, "same", SUBPY_AUTO_LEN, args, 2, NULL, &thread, &error));
  subpy_object_free(kept); /* the thread has its own */
  OK(subpy_thread_join(thread, &value, &error));
  CHECK(value.u.as_bool);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...is not the handle of an object, or it was freed", subpy_call(interp, "same", SUBPY_AUTO_LEN, args, 1, NULL, NULL, &error));
  kept = eval_object(interp, "kept");
  args[1] = subpy_value_from_object(kept);
  args[0] = subpy_int(1);
  pair.value = args[1];
  const char *message = "...the object is of another interpreter";
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, "...args[1]: the object is of another interpreter", subpy_call(other, "f", SUBPY_AUTO_LEN, args, 2, NULL, NULL, &error));
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, "...kwargs['x']: the object is of another", subpy_call(other, "f", SUBPY_AUTO_LEN, NULL, 0, &kwargs, NULL, &error));
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, message, subpy_function_call(theirs, args, 2, NULL, NULL, &error));
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, "...row 1: args[0]: the object is of another interpreter", subpy_function_call_many(theirs, args, 2, 1, 0, NULL, &error));
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, message, subpy_prepare_main(other, &kwargs, &error));
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, message, subpy_object_item(theirs, &args[1], 0, NULL, &error));
  OK(subpy_call_in_thread(other, "f", SUBPY_AUTO_LEN, args, 2, NULL, &thread, &error));
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, message, subpy_thread_join(thread, NULL, &error));
  OK(subpy_close(other, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_object_text(theirs, NULL, &error));
  subpy_object_free(theirs);
  OK(subpy_close(interp, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...unrecognized interpreter ID ", subpy_object_text(kept, NULL, &error));
  subpy_object_free(kept);
  subpy_function_free(same);
}

static void results(void) {
  subpy_interp interp = create();
  static const char *const texts[] = {"None", "1", "'x'", "[1, 2]", "range(0, 2)"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    subpy_object object = eval_object(interp, texts[i]);
    subpy_value value = eval_as(interp, "0", 0);
    subpy_status status = subpy_object_value(object, 0, &value, NULL);
    CHECK(status == (i == 4 ? SUBPY_ERROR_NOT_SHAREABLE : SUBPY_OK));
    subpy_value_free(&value);
    subpy_object_free(object);
  }
  subpy_value list = eval_as(interp, "[1, range(2), [{'k': print}], 'a\\ud800b', (object(),)]", SUBPY_RESULT_OBJECTS);
  CHECK(list.kind == SUBPY_KIND_LIST && list.len == 5);
  const subpy_value *items = list.u.as_items;
  CHECK(items[0].kind == SUBPY_KIND_INT && items[1].kind == SUBPY_KIND_OBJECT && items[2].kind == SUBPY_KIND_LIST);
  CHECK(items[3].kind == SUBPY_KIND_OBJECT && items[4].u.as_items[0].kind == SUBPY_KIND_OBJECT);
  TEXT_IS(subpy_value_get(&items[2].u.as_items[0], "k", 1)->u.as_object, "<built-in function print>");
  /* A result that has objects goes back as an argument. */
  subpy_value value = subpy_none();
  run(interp, "def f(x): return [type(y).__name__ for y in x]");
  OK(subpy_call(interp, "f", SUBPY_AUTO_LEN, &list, 1, NULL, &value, &error));
  CHECK(value.len == 5 && strcmp(value.u.as_items[1].u.as_str, "range") == 0 && strcmp(value.u.as_items[3].u.as_str, "str") == 0);
  subpy_value_free(&value);
  subpy_value_free(&list);
  value = eval_as(interp, "print", SUBPY_RESULT_OBJECTS);
  CHECK(value.kind == SUBPY_KIND_OBJECT);
  TEXT_IS(value.u.as_object, "<built-in function print>");
  subpy_value_free(&value);
  /* In a thread */
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EVAL, .flags = SUBPY_RESULT_OBJECT, .text = "range(7)", .text_len = SUBPY_AUTO_LEN};
  subpy_thread thread = 0;
  OK(subpy_run_in_thread(&request, &thread, &error));
  OK(subpy_thread_join(thread, &value, &error));
  TEXT_IS(value.u.as_object, "range(0, 7)");
  subpy_value_free(&value);
  OK(subpy_close(interp, &error));
}

/* Objects that were freed are gone after the next run, however many, and in whatever order. */
static void nothing_is_left(void) {
  subpy_interp interp = create();
  run(interp, "import gc\nclass Thing: pass\ndef alive(): return sum(type(x) is Thing for x in gc.get_objects())");
  enum { MANY = 2000 };
  static subpy_object objects[MANY];
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < MANY; i++) objects[i] = eval_object(interp, "Thing()");
    CHECK(number(interp, "alive()") == MANY);
    for (int i = 0; i < MANY; i += 2) subpy_object_free(objects[i]);
    CHECK(number(interp, "alive()") == MANY / 2);
    for (int i = 0; i < MANY; i++) subpy_object_free(objects[i]); /* half of them again */
    CHECK(number(interp, "alive()") == 0);
  }
  /* What is not freed goes with the interpreter. */
  run(interp, "import os\nclass Last:\n  def __init__(self, fd): self.fd = fd\n  def __del__(self): os.write(self.fd, b'x')");
  signal_pipe gone = signal_new();
  char code[100];
  snprintf(code, sizeof code, "Last(%d)", gone.out);
  subpy_object last = eval_object(interp, code);
  OK(subpy_close(interp, &error));
  signal_wait(gone);
  subpy_object_free(last);
}

static void limits(void) {
  subpy_interp interp = 0;
  subpy_interp_options options = {.size = sizeof options, .timeout_ms = 300};
  OK(subpy_create(&options, &interp, &error));
  run(interp, "class Slow:\n  def __getattr__(self, name):\n    while True: pass\n  __str__ = __getitem__ = __next__ = __call__ = lambda *_: Slow().x\nslow = Slow()");
  subpy_object slow = eval_object(interp, "slow");
  bool more = true;
  subpy_value key = subpy_int(1);
  const char *message = "...timed out after 300 ms";
  FAILS(SUBPY_ERROR_TIMEOUT, message, subpy_object_attr(slow, "x", 1, 0, NULL, &error));
  FAILS(SUBPY_ERROR_TIMEOUT, message, subpy_object_text(slow, NULL, &error));
  FAILS(SUBPY_ERROR_TIMEOUT, message, subpy_object_item(slow, &key, 0, NULL, &error));
  FAILS(SUBPY_ERROR_TIMEOUT, message, subpy_object_next(slow, 0, &more, NULL, &error));
  FAILS(SUBPY_ERROR_TIMEOUT, message, subpy_object_call(slow, NULL, 0, NULL, 0, NULL, 0, NULL, &error));
  subpy_object_free(slow);
  OK(subpy_close(interp, &error));
}

static void misuse(void) {
  subpy_interp interp = create();
  subpy_object object = eval_object(interp, "[1]"), own = 7;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "flags has unknown bits set: 0x1", subpy_object_attr(object, "x", 1, 1, NULL, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "name is NULL", subpy_object_attr(object, NULL, 1, 0, NULL, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "key is NULL", subpy_object_item(object, NULL, 0, NULL, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...own is NULL", subpy_object_keep(object, NULL, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...iterator is NULL", subpy_object_iter(object, NULL, &error));
  const uint64_t wrong[] = {0, 1, interp, object + 1000, UINT64_MAX};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    FAILS(SUBPY_ERROR_NOT_FOUND, "...is not the handle of an object, or it was freed", subpy_object_keep(wrong[i], &own, &error));
    CHECK(own == 0);
    FAILS(SUBPY_ERROR_NOT_FOUND, "...is not the handle of an object, or it was freed", subpy_object_text(wrong[i], NULL, &error));
    subpy_object_free(wrong[i]);
  }
  subpy_value key = {.kind = 99};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...kind 99 is not one of SUBPY_KIND_*", subpy_object_item(object, &key, 0, NULL, &error));
  subpy_object_free(object);
  OK(subpy_close(interp, &error));
}

/* The form of results is chosen for many calls, too. */
static void many(void) {
  subpy_interp interp = create();
  run(interp, "def f(x):\n  if x == 2: raise ValueError('two')\n  return [x + 0.5, 1.0] if x else range(3)");
  subpy_function f = 0;
  OK(subpy_function_new(interp, "f", SUBPY_AUTO_LEN, &f, &error));
  const subpy_value rows[] = {subpy_int(0), subpy_int(1), subpy_int(2), subpy_int(0)};
  subpy_value list = subpy_none();
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, "row 0: result: range cannot be shared", subpy_function_call_many(f, rows, 4, 1, 0, &list, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "flags has unknown bits set: 0x80", subpy_function_call_many(f, rows, 4, 1, 0x80, &list, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "row 2: ValueError: two", subpy_function_call_many(f, rows, 4, 1, SUBPY_RESULT_OBJECT, &list, &error));
  OK(subpy_function_call_many(f, rows, 4, 1, SUBPY_RETURN_ERRORS | SUBPY_RESULT_OBJECTS | SUBPY_RESULT_ARRAY, &list, &error));
  const subpy_value *items = list.u.as_items;
  CHECK(list.len == 4 && items[0].kind == SUBPY_KIND_OBJECT && items[1].kind == SUBPY_KIND_BUFFER);
  CHECK(items[2].kind == SUBPY_KIND_ERROR && items[3].kind == SUBPY_KIND_OBJECT);
  CHECK(items[1].u.as_buffer->len == 16 && ((const double *)items[1].u.as_buffer->data)[0] == 1.5);
  TEXT_IS(items[3].u.as_object, "range(0, 3)");
  subpy_object first = items[0].u.as_object;
  subpy_value_free(&list);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...it was freed", subpy_object_text(first, NULL, &error));
  OK(subpy_function_call_many(f, rows, 2, 1, SUBPY_RESULT_OBJECT, &list, &error));
  CHECK(list.len == 2 && list.u.as_items[1].kind == SUBPY_KIND_OBJECT);
  TEXT_IS(list.u.as_items[1].u.as_object, "[1.5, 1.0]");
  subpy_value_free(&list);
  subpy_function_free(f);
  OK(subpy_close(interp, &error));
}

int main(void) {
  many();
  what_is_done();
  iteration();
  passing();
  results();
  nothing_is_left();
  misuse();
  limits();
  shut_down();
  return 0;
}
