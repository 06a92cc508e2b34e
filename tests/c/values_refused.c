/* What has no value is refused, with the way to it; what makes no sense is refused before anything runs. */
#include "values.h"

static subpy_interp interp;

/* The value of the expression cannot come out. */
static void refused(const char *expression, const char *message) {
  subpy_error *error = NULL;
  subpy_value value = subpy_int(1);
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, message, subpy_eval(interp, expression, SUBPY_AUTO_LEN, &value, &error));
  CHECK(value.kind == SUBPY_KIND_NONE && value.u.as_int == 0);
}

/* The value cannot go in. */
static void invalid(subpy_value value, const char *message) {
  subpy_error *error = NULL;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, message, subpy_call(interp, "called", SUBPY_AUTO_LEN, &value, 1, NULL, NULL, &error));
}

int main(void) {
  subpy_error *error = NULL;
  interp = create();
  run(interp,
      "import array, collections, datetime, decimal, enum, fractions, ipaddress, pathlib, types, socket\n"
      "calls = 0\n"
      "def called(*args, **kwargs):\n"
      "    global calls\n"
      "    calls += 1\n"
      "    return args, kwargs\n"
      "class Mine:\n"
      "    class Inner(dict): pass\n"
      "class Number(int):\n"
      "    def __index__(self): raise AssertionError('an override ran')\n"
      "class Color(enum.IntEnum): RED = 1\n"
      "class Loud:\n"
      "    def __repr__(self): raise AssertionError('repr ran')\n"
      "    __str__ = __getattr__ = __len__ = __iter__ = __repr__\n"
      "Pair = collections.namedtuple('Pair', 'a b')");

  /* types */
  refused("{'a': [0, 1, 2, datetime.datetime(2026, 1, 1)]}", "result['a'][3]: datetime.datetime cannot be shared");
  refused("datetime.date(2026, 1, 1)", "result: datetime.date cannot be shared");
  refused("{1, 2}", "result: set cannot be shared");
  refused("frozenset()", "result: frozenset cannot be shared");
  refused("1j", "result: complex cannot be shared");
  refused("range(3)", "result: range cannot be shared");
  refused("decimal.Decimal(1)", "result: decimal.Decimal cannot be shared");
  refused("lambda: 0", "result: function cannot be shared");
  refused("int", "result: type cannot be shared");
  refused("...", "result: ellipsis cannot be shared");
  refused("Mine()", "result: Mine cannot be shared");
  refused("[Loud()]", "result[0]: Loud cannot be shared");
  refused("(0, object())", "result[1]: object cannot be shared");
  refused("{}.keys()", "result: dict_keys cannot be shared");
  refused("types.MappingProxyType({})", "result: mappingproxy cannot be shared");
  refused("(x for x in [])", "result: generator cannot be shared");
  refused("array.array('i', [1])", "result: array.array cannot be shared");
  refused("iter([])", "result: list_iterator cannot be shared");

  /* subclasses */
  refused("collections.Counter()", "result: collections.Counter is a subclass of dict, return dict(...)");
  refused("collections.OrderedDict()", "result: collections.OrderedDict is a subclass of dict, return dict(...)");
  refused("collections.defaultdict(list)", "result: collections.defaultdict is a subclass of dict, return dict(...)");
  refused("Mine.Inner()", "result: Mine.Inner is a subclass of dict, return dict(...)");
  refused("[Pair(1, 2)]", "result[0]: Pair is a subclass of tuple, return tuple(...)");
  refused("Number(3)", "result: Number is a subclass of int, return int(...)");
  refused("Color.RED", "result: Color is a subclass of int, return int(...)");
  refused("socket.AF_INET", "result: socket.AddressFamily is a subclass of int, return int(...)");
  refused("type('S', (str,), {})('x')", "result: S is a subclass of str, return str(...)");
  refused("type('F', (float,), {})(1)", "result: F is a subclass of float, return float(...)");
  refused("type('B', (bytes,), {})()", "result: B is a subclass of bytes, return bytes(...)");
  refused("type('A', (bytearray,), {})()", "result: A is a subclass of bytearray, return bytes(...)");
  refused("type('L', (list,), {})()", "result: L is a subclass of list, return list(...)");

  /* paths */
  refused("{'a': {'b': (1, [object()])}}", "result['a']['b'][1][0]: object cannot be shared");
  refused("{5: object()}", "result[5]: object cannot be shared");
  refused("{-2**70: object()}", "result[<int>]: object cannot be shared");
  refused("{None: object()}", "result[<NoneType>]: object cannot be shared");
  refused("{(1, 2): object()}", "result[<tuple>]: object cannot be shared");
  refused("{'first': 1, object(): 2}", "result key 1: object cannot be shared");
  refused("{(1, frozenset()): 2}", "result key 0[1]: frozenset cannot be shared");
  refused("{'\\u20ac': object()}", "result['\xe2\x82\xac']: object cannot be shared");
  refused("[[], {}, (), [[], 1j]]", "result[3][1]: complex cannot be shared");

  /* text */
  const char *hint = ", return text.encode('utf-8', 'surrogatepass')";
  char message[200];
  snprintf(message, sizeof message, "result: str with a lone surrogate at index 2 cannot be shared%s", hint);
  refused("'ab\\ud800'", message);
  snprintf(message, sizeof message, "result['k'][0]: str with a lone surrogate at index 0 cannot be shared%s", hint);
  refused("{'k': ['\\udcff']}", message);
  snprintf(message, sizeof message, "result key 0: str with a lone surrogate at index 1 cannot be shared%s", hint);
  refused("{'\\U0001f40d\\udfff': 1}", message);

  /* memoryviews */
  refused("memoryview(array.array('i', [1, 2]))", "result: memoryview of format \"i\" with 1 dimension(s) cannot be shared, return bytes(view)");
  refused("memoryview(b'abcd').cast('B', (2, 2))", "result: memoryview of format \"B\" with 2 dimension(s) cannot be shared, return bytes(view)");
  refused("memoryview(b'abcd').cast('H')", "...format \"H\"");
  refused("memoryview(b'abcd').cast('?')", "...format \"?\"");
  refused("memoryview(b'a').cast('B', ())", "...with 0 dimension(s)");
  refused("memoryview(b'abcd')[::2]", "...return bytes(view)");
  refused("memoryview(b'abcd')[::-1]", "...return bytes(view)");
  run(interp, "released = memoryview(b'abc'); released.release()");
  refused("[released]", "result[0]: a released memoryview cannot be shared");

  /* a cycle is found, not followed */
  run(interp, "cycle = [1]; cycle.append(cycle)\nring = {'a': [{}]}; ring['a'][0]['b'] = ring\nself_key = ([],); self_key[0].append(self_key)");
  refused("cycle", "result[1]: is result itself; a cycle cannot be shared");
  refused("[cycle]", "result[0][1]: is result[0] itself; a cycle cannot be shared");
  refused("ring", "result['a'][0]['b']: is result itself; a cycle cannot be shared");
  refused("self_key", "result[0][0]: is result itself; a cycle cannot be shared");
  run(interp, "cycle.clear(); ring.clear(); self_key[0].clear()");

  /* Nobody wants the result: nothing is converted. */
  OK(subpy_eval(interp, "object()", SUBPY_AUTO_LEN, NULL, &error));
  run(interp, "after = 1");

  /* into Python: kinds, lengths, pointers */
  subpy_value items[] = {subpy_int(1), subpy_none()};
  subpy_pair pairs[] = {{TEXT("k"), subpy_list(items, 2)}, {subpy_int(7), subpy_list(items, 2)}};
  items[1].kind = 14;
  invalid(items[1], "args[0]: kind 14 is not one of SUBPY_KIND_*");
  invalid(subpy_dict(pairs, 1), "args[0]['k'][1]: kind 14 is not one of SUBPY_KIND_*");
  items[1].kind = -1;
  invalid(subpy_dict(pairs + 1, 1), "args[0][7][1]: kind -1 is not one of SUBPY_KIND_*");
  items[1] = subpy_str("ab\xff", 3);
  invalid(items[1], "args[0]: invalid UTF-8 at byte offset 2");
  invalid(subpy_dict(pairs, 2), "args[0]['k'][1]: invalid UTF-8 at byte offset 2");
  items[1] = subpy_str("\xed\xa0\x80", 3);
  invalid(items[1], "args[0]: invalid UTF-8 at byte offset 0");
  items[1] = subpy_str("x\xc0\x80", 3);
  invalid(items[1], "args[0]: invalid UTF-8 at byte offset 1");
  items[1] = subpy_str("x\xf0\x9f\x90", 4);
  invalid(items[1], "args[0]: invalid UTF-8 at byte offset 1");
  invalid(subpy_str(NULL, 3), "args[0]: SUBPY_KIND_STR with len 3 points to NULL");
  invalid(subpy_str(NULL, SUBPY_AUTO_LEN), "args[0]: SUBPY_KIND_STR points to NULL");
  invalid(subpy_bytes(NULL, 1), "args[0]: SUBPY_KIND_BYTES with len 1 points to NULL");
  invalid(subpy_bytes((const uint8_t *)"x", SUBPY_AUTO_LEN), "...(SUBPY_AUTO_LEN works for text alone, through subpy_str())");
  invalid(subpy_list(NULL, 2), "args[0]: SUBPY_KIND_LIST with len 2 points to NULL");
  invalid(subpy_tuple(NULL, 2), "args[0]: SUBPY_KIND_TUPLE with len 2 points to NULL");
  invalid(subpy_dict(NULL, 2), "args[0]: SUBPY_KIND_DICT with len 2 points to NULL");
  invalid(subpy_list(items, SIZE_MAX / sizeof(subpy_value)), "...more than memory can hold");
  invalid(subpy_dict(pairs, SIZE_MAX / sizeof(subpy_pair)), "...more than memory can hold");
  const char *bad[] = {"", "0x", "-", "12", "1f", "0X1f", "+0x1", "0x1_0", "0x-1", " 0x1", "0x1 ", "0x1g"};
  for (size_t i = 0; i < COUNT(bad); i++) {
    snprintf(message, sizeof message, "args[0]: SUBPY_KIND_BIGINT must be hexadecimal like \"-0x1ff\", got \"%s\"", bad[i]);
    invalid(subpy_bigint(bad[i], SUBPY_AUTO_LEN), message);
  }
  /* Flags stay free for later: what nobody knows is refused, on every kind and wherever it stands. */
  static const uint32_t unknown[] = {1 << 8, 1 << 15, 1 << 16, UINT32_C(1) << 31, UINT32_MAX};
  subpy_value kinds[] = {subpy_none(), subpy_bool(true), subpy_int(1), subpy_float(1), TEXT("x"), subpy_list(NULL, 0)};
  for (size_t i = 0; i < COUNT(kinds); i++) {
    for (size_t flag = 0; flag < COUNT(unknown); flag++) {
      subpy_value flagged[] = {subpy_int(1), kinds[i]};
      flagged[1].flags = unknown[flag];
      invalid(flagged[1], "...flags has unknown bits set: 0x");
      invalid(subpy_list(flagged, 2), "...flags has unknown bits set: 0x");
    }
    subpy_value flagged[] = {subpy_none(), subpy_dict(NULL, 0)};
    for (size_t kind = 0; kind < COUNT(flagged); kind++) {
      flagged[kind].flags = unknown[i % COUNT(unknown)];
      FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...kwargs: flags has unknown bits set: 0x",
            subpy_call(interp, "called", SUBPY_AUTO_LEN, NULL, 0, &flagged[kind], NULL, &error));
    }
  }
  subpy_value loop[] = {subpy_list(NULL, 1)};
  loop[0].u.as_items = loop;
  invalid(loop[0], "args[0]: nested deeper than 1000 levels, or it contains itself");

  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "args is NULL but nargs is 2", subpy_call(interp, "called", SUBPY_AUTO_LEN, NULL, 2, NULL, NULL, &error));
  items[1] = subpy_str("\xff", 1);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "args[1]: invalid UTF-8 at byte offset 0", subpy_call(interp, "called", SUBPY_AUTO_LEN, items, 2, NULL, NULL, &error));
  items[1] = subpy_none();

  /* keyword arguments */
  subpy_pair keywords[] = {{TEXT("a"), subpy_int(1)}, {subpy_int(2), subpy_int(2)}};
  subpy_value kwargs = subpy_dict(keywords, 2), result = {0};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "kwargs: key 1 is SUBPY_KIND_INT, must be SUBPY_KIND_STR",
        subpy_call(interp, "called", SUBPY_AUTO_LEN, NULL, 0, &kwargs, NULL, &error));
  kwargs = subpy_list(items, 2);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "kwargs: kind is SUBPY_KIND_LIST, must be SUBPY_KIND_DICT with str keys",
        subpy_call(interp, "called", SUBPY_AUTO_LEN, NULL, 0, &kwargs, NULL, &error));
  keywords[1] = (subpy_pair){TEXT("b"), subpy_str("\xff", 1)};
  kwargs = subpy_dict(keywords, 2);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "kwargs['b']: invalid UTF-8 at byte offset 0",
        subpy_call(interp, "called", SUBPY_AUTO_LEN, NULL, 0, &kwargs, NULL, &error));
  CHECK(number(interp, "calls") == 0);

  /* A name that is there twice: what Python says of f(**{'a': 1}, **{'a': 2}). */
  keywords[1] = (subpy_pair){TEXT("a"), subpy_int(2)};
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...got multiple values for keyword argument 'a'",
        subpy_call(interp, "called", SUBPY_AUTO_LEN, NULL, 0, &kwargs, &result, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...got multiple values for keyword argument 'a'",
        subpy_call(interp, "builtins:dict", SUBPY_AUTO_LEN, NULL, 0, &kwargs, &result, &error));
  CHECK(number(interp, "calls") == 0);
  keywords[1] = (subpy_pair){TEXT("\xc3\xa9 x"), subpy_int(2)};
  OK(subpy_call(interp, "called", SUBPY_AUTO_LEN, items, 1, &kwargs, &result, &error));
  CHECK(result.len == 2 && result.u.as_items[0].len == 1 && result.u.as_items[1].len == 2);
  CHECK(subpy_value_get(&result.u.as_items[1], "\xc3\xa9 x", SUBPY_AUTO_LEN)->u.as_int == 2);
  subpy_value_free(&result);
  kwargs = subpy_none();
  OK(subpy_call(interp, "called", SUBPY_AUTO_LEN, items, 1, &kwargs, NULL, &error));
  kwargs = subpy_dict(NULL, 0);
  OK(subpy_call(interp, "called", SUBPY_AUTO_LEN, items, 1, &kwargs, NULL, &error));

  /* A key that Python cannot hash is Python's TypeError. */
  subpy_pair unhashable[] = {{subpy_list(NULL, 0), subpy_int(1)}};
  subpy_value dict = subpy_dict(unhashable, 1);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...unhashable type: 'list'", subpy_call(interp, "called", SUBPY_AUTO_LEN, &dict, 1, NULL, &result, &error));
  subpy_value inner[] = {subpy_dict(NULL, 0)};
  unhashable[0].key = subpy_tuple(inner, 1);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...unhashable type: 'dict'", subpy_call(interp, "called", SUBPY_AUTO_LEN, &dict, 1, NULL, &result, &error));

  shut_down();
  return 0;
}
