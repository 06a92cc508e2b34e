/* Size, depth and ownership. */
#include <pthread.h>

#include "values.h"

static subpy_interp interp;

enum { MILLION = 1000000, DEPTH = 1000 };

static void long_lists(void) {
  subpy_value list = eval(interp, "list(range(1_000_000))");
  CHECK(list.kind == SUBPY_KIND_LIST && list.len == MILLION);
  for (size_t i = 0; i < list.len; i++) CHECK(list.u.as_items[i].kind == SUBPY_KIND_INT && list.u.as_items[i].u.as_int == (int64_t)i);
  subpy_value sum = call1(interp, "builtins:sum", list);
  CHECK(sum.u.as_int == INT64_C(499999500000));
  subpy_value_free(&list);

  subpy_value strings = eval(interp, "[str(i) for i in range(1_000_000)]"), back = call1(interp, "echo", strings);
  CHECK(same(&strings, &back) && is_text(&back.u.as_items[MILLION - 1], "999999"));
  subpy_value_free(&strings);
  subpy_value_free(&back);

  subpy_value dict = eval(interp, "{i: (i, [str(i)]) for i in range(200_000)}");
  CHECK(dict.len == 200000 && is_text(&dict.u.as_pairs[77].value.u.as_items[1].u.as_items[0], "77"));
  back = call1(interp, "echo", dict);
  CHECK(same(&dict, &back));
  subpy_value_free(&dict);
  subpy_value_free(&back);

  subpy_value bytes = eval(interp, "bytes(64 << 20)");
  CHECK(bytes.len == 64 << 20 && bytes.u.as_bytes[bytes.len - 1] == 0);
  subpy_value length = call1(interp, "builtins:len", bytes);
  CHECK(length.u.as_int == 64 << 20);
  subpy_value_free(&bytes);

  /* 10,000 arguments, 1,000 of them by name */
  subpy_value *args = calloc(9000, sizeof *args), result = {0};
  subpy_pair *pairs = calloc(1000, sizeof *pairs);
  char(*names)[8] = calloc(1000, 8);
  CHECK(args && pairs && names);
  for (int i = 0; i < 9000; i++) args[i] = subpy_int(i);
  for (int i = 0; i < 1000; i++) {
    snprintf(names[i], sizeof names[i], "k%d", i);
    pairs[i] = (subpy_pair){TEXT(names[i]), subpy_int(i)};
  }
  subpy_value kwargs = subpy_dict(pairs, 1000);
  subpy_error *error = NULL;
  OK(subpy_call(interp, "totals", SUBPY_AUTO_LEN, args, 9000, &kwargs, &result, &error));
  CHECK(result.u.as_items[0].u.as_int == 40495500 && result.u.as_items[1].u.as_int == 499500);
  subpy_value_free(&result);
  free(args);
  free(pairs);
  free(names);
}

/* Containers, one in another: the outermost is returned. */
static subpy_value chain(subpy_value *levels, subpy_pair *pairs, size_t depth, int32_t kind) {
  levels[0] = subpy_none();
  for (size_t i = 1; i <= depth; i++) {
    pairs[i] = (subpy_pair){TEXT("k"), levels[i - 1]};
    levels[i] = kind == SUBPY_KIND_LIST    ? subpy_list(&levels[i - 1], 1)
                : kind == SUBPY_KIND_TUPLE ? subpy_tuple(&levels[i - 1], 1)
                                           : subpy_dict(&pairs[i], 1);
  }
  return levels[depth];
}

static void depths(void) {
  static subpy_value levels[DEPTH + 2];
  static subpy_pair pairs[DEPTH + 2];
  subpy_error *error = NULL;
  int32_t kinds[] = {SUBPY_KIND_LIST, SUBPY_KIND_TUPLE, SUBPY_KIND_DICT};
  for (size_t i = 0; i < COUNT(kinds); i++) {
    subpy_value deep = chain(levels, pairs, DEPTH, kinds[i]);
    subpy_value depth = call1(interp, "depth", deep), back = call1(interp, "echo", deep);
    /* `depth` counts the containers; `back` went 1,000 levels out again */
    CHECK(depth.u.as_int == DEPTH && back.kind == kinds[i]);
    size_t count = 0;
    for (const subpy_value *at = &back; at->kind != SUBPY_KIND_NONE; count++)
      at = at->kind == SUBPY_KIND_DICT ? &at->u.as_pairs[0].value : &at->u.as_items[0];
    CHECK(count == DEPTH);
    subpy_value_free(&back);

    subpy_value deeper = chain(levels, pairs, DEPTH + 1, kinds[i]), result = {0};
    FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "args[0]: nested deeper than 1000 levels, or it contains itself",
          subpy_call(interp, "echo", SUBPY_AUTO_LEN, &deeper, 1, NULL, &result, &error));
    subpy_value number = subpy_int(DEPTH + 1);
    const char *nests[] = {"nest_list", "nest_tuple", "nest_dict"};
    FAILS(SUBPY_ERROR_NOT_SHAREABLE, "result: nested deeper than 1000 levels",
          subpy_call(interp, nests[i], SUBPY_AUTO_LEN, &number, 1, NULL, &result, &error));
    CHECK(result.kind == SUBPY_KIND_NONE);
    number = subpy_int(DEPTH);
    OK(subpy_call(interp, nests[i], SUBPY_AUTO_LEN, &number, 1, NULL, &result, &error));
    subpy_value_free(&result);
  }
}

static void *everything(void *unused) {
  (void)unused;
  long_lists();
  depths();
  return NULL;
}

/* A result is one block, and its root alone owns it. */
static void ownership(void) {
  subpy_error *error = NULL;
  subpy_value result = eval(interp, "{'a': [1, 'text', b'bytes', 2**70, {'b': ((),)}], 'c': 'd'}");
  /* parts of a result own nothing */
  subpy_value part = *subpy_value_get(&result, "a", SUBPY_AUTO_LEN), item = part.u.as_items[1];
  subpy_value_free(&part);
  subpy_value_free(&item);
  CHECK(part.kind == SUBPY_KIND_LIST && is_text(&item, "text"));
  /* the copy of the struct is as good as the struct */
  subpy_value moved = result;
  memset(&result, 0, sizeof result);
  CHECK(is_text(subpy_value_get(&moved, "c", SUBPY_AUTO_LEN), "d"));
  /* a result can be an argument, and is left as it was */
  subpy_value back = call1(interp, "echo", moved);
  CHECK(same(&moved, &back));
  subpy_value_free(&moved);
  CHECK(moved.kind == SUBPY_KIND_NONE && moved.flags == 0 && moved.len == 0 && moved.u.as_int == 0);
  subpy_value_free(&moved);
  subpy_value_free(&result);
  subpy_value_free(NULL);
  /* what constructors make owns nothing, whatever it holds */
  subpy_value none = subpy_none(), list = subpy_list(&back, 1), text = TEXT("static");
  subpy_value_free(&none);
  subpy_value_free(&list);
  subpy_value_free(&text);
  CHECK(list.kind == SUBPY_KIND_LIST && list.len == 1 && text.kind == SUBPY_KIND_STR);
  CHECK(is_text(subpy_value_get(&back, "c", SUBPY_AUTO_LEN), "d"));
  /* plain results own nothing either, empty ones may */
  const char *plain[] = {"None", "True", "5", "2.5", "''", "b''", "()", "[]", "{}"};
  for (size_t i = 0; i < COUNT(plain); i++) {
    subpy_value value = eval(interp, plain[i]);
    subpy_value_free(&value);
    subpy_value_free(&value);
  }

  /* subpy_value_get: by the exact key; the rest has none */
  CHECK(subpy_value_get(&back, "ca", 1) == subpy_value_get(&back, "c", SUBPY_AUTO_LEN));
  CHECK(!subpy_value_get(&back, "absent", SUBPY_AUTO_LEN) && !subpy_value_get(&back, "", 0));
  CHECK(!subpy_value_get(NULL, "a", 1) && !subpy_value_get(&none, "a", 1) && !subpy_value_get(&back, NULL, 1));
  subpy_pair keys[] = {{subpy_bytes((const uint8_t *)"k", 1), subpy_int(1)}, {TEXT("k"), subpy_int(2)}, {subpy_str("", 0), subpy_int(3)}};
  subpy_value dict = subpy_dict(keys, 3);
  CHECK(subpy_value_get(&dict, "k", 1)->u.as_int == 2 && subpy_value_get(&dict, "", 0)->u.as_int == 3);
  dict = subpy_dict(NULL, 3);
  CHECK(!subpy_value_get(&dict, "k", 1));

  /* Results outlive their interpreter and the runtime. An error does too. */
  subpy_error *late = NULL;
  CHECK(subpy_exec(interp, "1/0", SUBPY_AUTO_LEN, &late) == SUBPY_ERROR_EXECUTION_FAILED);
  OK(subpy_close(interp, &error));
  CHECK(is_text(subpy_value_get(&back, "c", SUBPY_AUTO_LEN), "d"));
  shut_down();
  const subpy_value *inner = subpy_value_get(&back, "a", SUBPY_AUTO_LEN);
  CHECK(inner && inner->len == 5 && strcmp(inner->u.as_items[3].u.as_str, "0x400000000000000000") == 0);
  CHECK(strcmp(subpy_error_message(late, NULL), "ZeroDivisionError: division by zero") == 0);
  subpy_value_free(&back);
  subpy_error_free(late);
}

int main(void) {
  interp = create();
  run(interp,
      "def echo(x): return x\n"
      "def totals(*args, **kwargs): return sum(args), sum(kwargs.values())\n"
      "def depth(x):\n"
      "    n = 0\n"
      "    while x is not None: x, n = (x['k'] if isinstance(x, dict) else x[0]), n + 1\n"
      "    return n\n"
      "def nest(make, n):\n"
      "    x = None\n"
      "    for _ in range(n): x = make(x)\n"
      "    return x\n"
      "def nest_list(n): return nest(lambda x: [x], n)\n"
      "def nest_tuple(n): return nest(lambda x: (x,), n)\n"
      "def nest_dict(n): return nest(lambda x: {'k': x}, n)");
  everything(NULL);

  /* The same on a thread with a small stack: nothing recurses. */
  pthread_attr_t attr;
  pthread_t thread;
  CHECK(pthread_attr_init(&attr) == 0 && pthread_attr_setstacksize(&attr, 256 * 1024) == 0);
  CHECK(pthread_create(&thread, &attr, everything, NULL) == 0 && pthread_join(thread, NULL) == 0);
  pthread_attr_destroy(&attr);

  ownership();
  return 0;
}
