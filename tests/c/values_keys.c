/* The keys of dicts: an interpreter keeps short ones, and a result has the text of a table's keys once. */
#include "guest.h"
#include "values.h"

static subpy_interp interp;

enum { MANY = 2000, LONGEST = 80 };
static char texts[MANY][LONGEST];
static subpy_pair pairs[MANY];

static subpy_value dict_of(size_t count) {
  for (size_t i = 0; i < count; i++) pairs[i] = (subpy_pair){TEXT(texts[i]), subpy_int((int64_t)i)};
  return subpy_dict(pairs, count);
}

/* Python sees each key with its number, in this order. */
static void crosses(size_t count) {
  subpy_value dict = dict_of(count), lines = {0};
  subpy_error *error = NULL;
  OK(subpy_call(interp, "lines", SUBPY_AUTO_LEN, &dict, 1, NULL, &lines, &error));
  CHECK(lines.kind == SUBPY_KIND_STR);
  const char *at = lines.u.as_str;
  char expected[LONGEST + 20];
  for (size_t i = 0; i < count; i++) {
    int len = snprintf(expected, sizeof expected, "%s %zu\n", texts[i], i);
    CHECK(strncmp(at, expected, (size_t)len) == 0);
    at += len;
  }
  CHECK(*at == 0);
  subpy_value_free(&lines);
  subpy_value back = call1(interp, "echo", dict);
  CHECK(same(&back, &dict));
  subpy_value_free(&back);
}

/* Texts that differ in one letter, at each place and of each length: none is taken for another. */
static void similar(void) {
  for (size_t len = 1; len < LONGEST; len++) {
    size_t count = 0;
    for (size_t at = 0; at < len; at++) {
      memset(texts[count], 'a', len);
      texts[count][len] = 0;
      texts[count++][at] = 'b';
    }
    for (int times = 0; times < 3; times++) crosses(count);
  }
  for (size_t len = 1; len < LONGEST; len++) {
    memset(texts[len - 1], 'a', len);
    texts[len - 1][len] = 0;
  }
  for (int times = 0; times < 3; times++) crosses(LONGEST - 1);
}

/* Keys that never come again leave nothing behind but the few that are kept. */
static void flood(void) {
  int64_t before = number(interp, "blocks()");
  for (int round = 0; round < 50; round++) {
    for (int i = 0; i < MANY; i++) snprintf(texts[i], LONGEST, "flood %d %d", round, i);
    crosses(MANY);
  }
  int64_t left = number(interp, "blocks()") - before;
  CHECK(left < 1000);
  /* What is used afterwards is kept again, and is what it says. */
  for (int i = 0; i < 100; i++) snprintf(texts[i], LONGEST, "name%d", i);
  for (int times = 0; times < 30; times++) crosses(100);
}

/* Other kinds of keys between texts, some of the same hash; the last of several values stays. */
static void mixed(void) {
  subpy_value parts[] = {TEXT("k"), subpy_int(1)};
  subpy_pair inner = {TEXT("k"), subpy_int(7)};
  subpy_pair many[] = {
      {TEXT("k"), subpy_int(1)},
      {subpy_bytes((const uint8_t *)"k", 1), subpy_int(2)},
      {subpy_tuple(parts, 2), subpy_dict(&inner, 1)},
      {TEXT("k"), subpy_int(3)},
      {TEXT(""), subpy_none()},
      {subpy_none(), subpy_bool(true)},
      {TEXT("d"), subpy_dict(&inner, 1)},
      {TEXT("k\xc3\xa9y"), subpy_bool(false)},
      {subpy_float(1.5), subpy_list(parts, 2)},
  };
  subpy_value dict = subpy_dict(many, COUNT(many)), seen = call1(interp, "show", dict);
  CHECK(is_text(&seen, "{'k': 3, b'k': 2, ('k', 1): {'k': 7}, '': None, None: True, 'd': {'k': 7}, 'k\xc3\xa9y': False, "
                       "1.5: ['k', 1]}"));
  subpy_value_free(&seen);
  subpy_error *error = NULL;
  many[2].key = subpy_list(parts, 2);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...unhashable type: 'list'",
        subpy_call(interp, "show", SUBPY_AUTO_LEN, &dict, 1, NULL, NULL, &error));
}

/* Rows with the same keys, as the same objects, as others, in another order, with others among them, and many. */
static void rows(void) {
  static const char *const expressions[] = {
      "[{'id': i, 'name': f'name {i}', 'price': i + 0.5} for i in range(50)]",
      "[{k: i for k in ('id', 'na' + 'me', str(1000 + i % 2), 'd' * 30)} for i in range(50)]",
      "[{'a': 1, 'b': 2}, {'b': 1, 'a': 2}, {'a': {'a': {'b': 'a'}}, 'b': 'b'}, {'b': []}, {}, {'a': 'b', 1: 2, 'b': 3}]",
      "{str(i): {str(i): i, str(i + 1): {'\\xe9': '\\U0001f600'}} for i in range(40)}",
      "{('a', 'b'): {'a': {('b',): 'c'}}, 'a': {('a', 'b'): 'a'}}",
      "[{i: 'v', str(i): b'v', True: None} for i in range(2, 30)]",
      "[{f'key {i}': i for i in range(n)} for n in (15, 16, 17, 16, 40, 3)]",
  };
  for (size_t i = 0; i < COUNT(expressions); i++) {
    subpy_value value = eval(interp, expressions[i]), back = call1(interp, "echo", value);
    CHECK(same(&value, &back));
    char source[400];
    snprintf(source, sizeof source, "expected = %s", expressions[i]);
    run(interp, source);
    subpy_value equal = call1(interp, "equals", value);
    CHECK(equal.kind == SUBPY_KIND_BOOL && equal.u.as_bool);
    subpy_value_free(&value);
    subpy_value_free(&back);
  }
  subpy_error *error = NULL;
  subpy_value value = {0};
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, "result[1] key 0: Text is a subclass of str, return str(...)",
        subpy_eval(interp, "[{'a': 1}, {Text('a'): 1}]", SUBPY_AUTO_LEN, &value, &error));
}

/* The text of a key is there once only as long as it is short: a copy of the result has it for each dict. */
static void long_keys(void) {
  for (int len = 256; len <= 257; len++) {
    char source[100];
    snprintf(source, sizeof source, "(lambda k: [{k: 1}, {k: 2}, {k: 3}])('k' * %d)", len);
    subpy_value value = eval(interp, source), back = call1(interp, "echo", value);
    CHECK(value.len == 3 && same(&value, &back));
    const subpy_value *dicts = value.u.as_items;
    CHECK((dicts[0].u.as_pairs->key.u.as_str == dicts[2].u.as_pairs->key.u.as_str) == (len == 256));
    subpy_value_free(&value);
    subpy_value_free(&back);
  }
}

/* While Python has a dict, a run from inside takes the places of all its keys. */
static void inside(void) {
  for (int round = 0; round < 20; round++) {
    for (int i = 0; i < MANY; i++) snprintf(texts[i], LONGEST, "inside %d %d", round, i);
    subpy_value dict = dict_of(MANY), keys = call1(interp, "count", dict);
    CHECK(keys.u.as_int == MANY);
  }
}

static void nested(void) {
  for (int i = 0; i < 40; i++) snprintf(texts[i], LONGEST, "outer%d", i);
  subpy_value dict = dict_of(40);
  subpy_value kept = call1(interp, "keep", dict);
  subpy_value_free(&kept);
  call_from_python(interp, "CFUNCTYPE", inside);
  CHECK(number(interp, "kept == {f'outer{i}': i for i in range(40)}"));
  for (int i = 0; i < 40; i++) snprintf(texts[i], LONGEST, "outer%d", i);
  crosses(40);
}

static void define(void) {
  run(interp,
      "import sys\n"
      "class Text(str): pass\n"
      "def echo(value): return value\n"
      "def count(value): return len(value)\n"
      "def show(value): return repr(value)\n"
      "def equals(value): return value == expected and repr(value) == repr(expected)\n"
      "def lines(value): return ''.join(f'{key} {number}\\n' for key, number in value.items())\n"
      "def blocks(): return sys.getallocatedblocks()\n"
      "def keep(value):\n"
      "  global kept\n"
      "  kept = value\n");
}

int main(void) {
  subpy_error *error = NULL;
  /* Closed with texts kept, and again in the next: each interpreter has its own. */
  for (int32_t gil = SUBPY_GIL_OWN; gil <= SUBPY_GIL_SHARED; gil++) {
    subpy_interp_options options = {.size = sizeof options, .gil = gil};
    OK(subpy_create(&options, &interp, &error));
    define();
    similar();
    mixed();
    rows();
    long_keys();
    flood();
    nested();
    OK(subpy_close(interp, &error));
  }
  OK(subpy_get_main(&interp, &error));
  define();
  mixed();
  rows();
  shut_down();
  return 0;
}
