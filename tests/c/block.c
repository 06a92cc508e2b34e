/* subpy_value_block: everything that a result points to lies in one block of memory. */
#include "values.h"

static const char *start, *end;

static void inside(const void *data, size_t size) {
  CHECK((const char *)data >= start && (const char *)data + size <= end);
}

/* Every array and text of the result, with the NUL behind each text. */
static void check(const subpy_value *value) {
  switch (value->kind) {
    case SUBPY_KIND_STR:
    case SUBPY_KIND_BYTES:
    case SUBPY_KIND_BIGINT:
      inside(value->u.as_str, value->len + 1);
      break;
    case SUBPY_KIND_TUPLE:
    case SUBPY_KIND_LIST:
      inside(value->u.as_items, value->len * sizeof(subpy_value));
      for (size_t i = 0; i < value->len; i++) check(&value->u.as_items[i]);
      break;
    case SUBPY_KIND_DICT:
      inside(value->u.as_pairs, value->len * sizeof(subpy_pair));
      for (size_t i = 0; i < value->len; i++) {
        check(&value->u.as_pairs[i].key);
        check(&value->u.as_pairs[i].value);
      }
      break;
    default:
      break;
  }
}

static bool has_block(const subpy_value *value) {
  const void *base = &base;
  size_t size = 77;
  bool has = subpy_value_block(value, &base, &size);
  CHECK(has == subpy_value_block(value, NULL, NULL));
  CHECK(has ? base != NULL : base == NULL && size == 0);
  start = base;
  end = start + size;
  return has;
}

int main(void) {
  subpy_interp interp = create();
  subpy_error *error = NULL;

  const char *with[] = {
      "'text'", "b''", "2**200", "[]", "()", "{}", "[[], {}, '']", "list(range(1000))", "[str(i) * i for i in range(300)]",
      "{'a': [(1, b'x' * 5), 2**70], (1, 'k'): {'deep': [[[['down']]]]}, None: 'nothing'}",
  };
  for (size_t i = 0; i < COUNT(with); i++) {
    subpy_value result = eval(interp, with[i]);
    CHECK(has_block(&result));
    check(&result);
    /* A copy of the root is as good as the root; a part of it is none. */
    subpy_value copy = result;
    CHECK(has_block(&copy));
    if (result.kind == SUBPY_KIND_LIST && result.len > 0) CHECK(!has_block(&result.u.as_items[0]));
    subpy_value_free(&result);
    CHECK(!has_block(&result));
  }

  const char *without[] = {"None", "True", "17", "1.5"};
  for (size_t i = 0; i < COUNT(without); i++) {
    subpy_value result = eval(interp, without[i]);
    CHECK(!has_block(&result));
    subpy_value_free(&result);
  }
  subpy_value argument = TEXT("mine");
  CHECK(!has_block(&argument));
  CHECK(!has_block(NULL));

  subpy_value result = {0};
  subpy_thread thread = 0;
  OK(subpy_call_in_thread(interp, "builtins:list", SUBPY_AUTO_LEN, &argument, 1, NULL, &thread, &error));
  OK(subpy_thread_join(thread, &result, &error));
  CHECK(has_block(&result));
  check(&result);
  OK(subpy_close(interp, &error));
  OK(subpy_shutdown(&error));
  CHECK(has_block(&result));
  subpy_value_free(&result);
  return 0;
}
