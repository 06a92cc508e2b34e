/* Every kind crosses exactly, in both directions. */
#include <math.h>

#include "values.h"

static subpy_interp interp;

/* Python sees `value` as `expected` (type and repr), `expression` gives the value, and it survives the round trip. */
static void crosses(subpy_value value, const char *expected, const char *expression) {
  subpy_value seen = call1(interp, "describe", value), got = eval(interp, expression);
  subpy_value back = call1(interp, "echo", value);
  if (!is_text(&seen, expected)) {
    fprintf(stderr, "Python sees %s, not %s\n", seen.u.as_str, expected);
    exit(1);
  }
  if (!same(&got, &value) || !same(&back, &value)) {
    fprintf(stderr, "%s is not what it should be: kind %d\n", expression, got.kind);
    exit(1);
  }
  subpy_value_free(&seen);
  subpy_value_free(&got);
  subpy_value_free(&back);
}

static double bits(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* A number of a hundred thousand decimal digits: linear both ways, although str() of it is refused by Python. */
static void huge(const char *sign) {
  size_t digits = 83100, len = strlen(sign) + 2 + digits;
  char *hex = malloc(len + 1);
  CHECK(hex);
  sprintf(hex, "%s0x", sign);
  for (size_t i = 0; i < digits; i++) hex[strlen(sign) + 2 + i] = "123456789abcdef"[i % 15];
  hex[len] = 0;
  subpy_value value = subpy_bigint(hex, SUBPY_AUTO_LEN), back = call1(interp, "echo", value);
  CHECK(same(&back, &value) && back.u.as_str[back.len] == 0);
  subpy_value_free(&back);
  back = call1(interp, "hex", value);
  CHECK(is_text(&back, hex));
  subpy_value_free(&back);
  back = call1(interp, "log10", value);
  CHECK(back.kind == SUBPY_KIND_INT && back.u.as_int >= 100000);
  subpy_value_free(&back);
  free(hex);
}

int main(void) {
  subpy_error *error = NULL;
  interp = create();
  run(interp,
      "import math\n"
      "def describe(x): return f'{type(x).__name__} {x!r}'\n"
      "def echo(x): return x\n"
      "def log10(x): return int(math.log10(abs(x)))\n"
      "def float_bits(x): import struct; return struct.pack('>d', x).hex()\n"
      "def from_bits(x): import struct; return struct.unpack('>d', bytes.fromhex(x))[0]\n"
      "def codes(x): return list(map(ord, x))\n"
      "def hex(x): return format(x, '#x')");

  crosses(subpy_none(), "NoneType None", "None");
  crosses(subpy_bool(true), "bool True", "True");
  crosses(subpy_bool(false), "bool False", "1 > 2");
  crosses(subpy_int(0), "int 0", "0");
  crosses(subpy_int(-1), "int -1", "-1");
  crosses(subpy_int(INT64_MAX), "int 9223372036854775807", "2**63 - 1");
  crosses(subpy_int(INT64_MIN), "int -9223372036854775808", "-2**63");
  crosses(subpy_bigint("0x8000000000000000", SUBPY_AUTO_LEN), "int 9223372036854775808", "2**63");
  crosses(subpy_bigint("-0x8000000000000001", SUBPY_AUTO_LEN), "int -9223372036854775809", "-2**63 - 1");
  crosses(subpy_bigint("0xffffffffffffffff", SUBPY_AUTO_LEN), "int 18446744073709551615", "2**64 - 1");
  crosses(subpy_bigint("-0x10000000000000000", SUBPY_AUTO_LEN), "int -18446744073709551616", "-2**64");
  crosses(subpy_bigint("0x123456789abcdef0123456789", 27), "int 90144042682896311822508713865", "0x123456789abcdef0123456789");

  /* Any hexadecimal goes in; what fits comes out as an INT. */
  struct { const char *hex; int64_t expected; } small[] = {
      {"0x0", 0}, {"-0x0", 0}, {"0x1ff", 511}, {"-0x1FF", -511}, {"0x000000000000000000000001", 1},
      {"-0x8000000000000000", INT64_MIN}};
  for (size_t i = 0; i < COUNT(small); i++) {
    subpy_value back = call1(interp, "echo", subpy_bigint(small[i].hex, SUBPY_AUTO_LEN));
    CHECK(back.kind == SUBPY_KIND_INT && back.u.as_int == small[i].expected);
  }
  huge("");
  huge("-");

  crosses(subpy_float(1.5), "float 1.5", "1.5");
  crosses(subpy_float(0.0), "float 0.0", "0.0");
  crosses(subpy_float(-0.0), "float -0.0", "-0.0");
  crosses(subpy_float(INFINITY), "float inf", "float('inf')");
  crosses(subpy_float(-INFINITY), "float -inf", "float('-inf')");
  crosses(subpy_float(bits(1)), "float 5e-324", "5e-324");
  crosses(subpy_float(bits(0x7fefffffffffffff)), "float 1.7976931348623157e+308", "1.7976931348623157e+308");
  crosses(subpy_float(bits(0x7ff8000000000000)), "float nan", "float('nan')");
  struct { uint64_t bits; const char *text; } nans[] = {
      {0x7ff8000000c0ffee, "7ff8000000c0ffee"}, {0xfff8000000000001, "fff8000000000001"}};
  for (size_t i = 0; i < COUNT(nans); i++) {
    subpy_value value = subpy_float(bits(nans[i].bits)), text = call1(interp, "float_bits", value);
    CHECK(is_text(&text, nans[i].text));
    subpy_value back = call1(interp, "from_bits", text), echoed = call1(interp, "echo", value);
    CHECK(same(&back, &value) && same(&echoed, &value));
    subpy_value_free(&text);
  }

  crosses(TEXT(""), "str ''", "''");
  crosses(subpy_str(NULL, 0), "str ''", "''");
  crosses(TEXT("ascii"), "str 'ascii'", "'ascii'");
  crosses(TEXT("\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x8d"), "str '\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x8d'", "'\\xe9\\u20ac\\U0001f40d'");
  crosses(subpy_str("a\0b\0", 4), "str 'a\\x00b\\x00'", "'a\\0b\\0'");
  crosses(subpy_str("cut off", 3), "str 'cut'", "'cut'");
  crosses(TEXT("\xf4\x8f\xbf\xbf\xef\xbf\xbf"), "str '\\U0010ffff\\uffff'", "'\\U0010ffff\\uffff'");
  crosses(TEXT("\xef\xbb\xbf" "bom"), "str '\\ufeffbom'", "'\\ufeffbom'");

  crosses(subpy_bytes(NULL, 0), "bytes b''", "b''");
  crosses(subpy_bytes((const uint8_t *)"\0\xff\x80", 3), "bytes b'\\x00\\xff\\x80'", "b'\\0\\xff\\x80'");

  crosses(subpy_tuple(NULL, 0), "tuple ()", "()");
  crosses(subpy_list(NULL, 0), "list []", "[]");
  crosses(subpy_dict(NULL, 0), "dict {}", "{}");
  subpy_value one[] = {subpy_int(1)}, mixed[] = {subpy_none(), subpy_bool(true), TEXT("x"), subpy_tuple(one, 1), subpy_list(NULL, 0)};
  crosses(subpy_tuple(one, 1), "tuple (1,)", "(1,)");
  crosses(subpy_list(mixed, COUNT(mixed)), "list [None, True, 'x', (1,), []]", "[None, True, 'x', (1,), []]");

  /* A dict keeps its order, keys of every hashable kind are keys. */
  subpy_pair pairs[] = {{TEXT("z"), subpy_int(1)},
                        {subpy_int(-5), subpy_list(mixed, COUNT(mixed))},
                        {subpy_none(), subpy_dict(NULL, 0)},
                        {subpy_tuple(one, 1), TEXT("")},
                        {subpy_bool(false), subpy_none()},
                        {subpy_float(2.5), subpy_float(-0.0)},
                        {subpy_bytes((const uint8_t *)"k", 1), subpy_bytes(NULL, 0)},
                        {subpy_bigint("0x10000000000000000", SUBPY_AUTO_LEN), subpy_bigint("-0x10000000000000000", SUBPY_AUTO_LEN)},
                        {TEXT("a"), subpy_int(2)}};
  const char *shown =
      "{'z': 1, -5: [None, True, 'x', (1,), []], None: {}, (1,): '', False: None, 2.5: -0.0, b'k': b'', "
      "18446744073709551616: -18446744073709551616, 'a': 2}";
  char described[512];
  snprintf(described, sizeof described, "dict %s", shown);
  crosses(subpy_dict(pairs, COUNT(pairs)), described, shown);
  subpy_value reordered = eval(interp, "(lambda d: (d.pop('a'), d.update(a=3), d)[2])({'a': 1, 'b': 2})");
  CHECK(reordered.len == 2 && is_text(&reordered.u.as_pairs[0].key, "b") && is_text(&reordered.u.as_pairs[1].key, "a"));
  subpy_value_free(&reordered);
  /* 1, True and 1.0 are one key, as in Python: the first key and the last value stay. */
  subpy_pair equal[] = {{subpy_int(1), TEXT("int")}, {subpy_bool(true), TEXT("bool")}, {subpy_float(1.0), TEXT("float")}};
  subpy_value merged = call1(interp, "describe", subpy_dict(equal, 3));
  CHECK(is_text(&merged, "dict {1: 'float'}"));
  subpy_value_free(&merged);

  /* bool: any byte that is not zero is true, and the rest of the union is not read. */
  subpy_value odd = {.kind = SUBPY_KIND_BOOL};
  memset(&odd.u, 0xff, sizeof odd.u);
  subpy_value seen = call1(interp, "describe", odd);
  CHECK(is_text(&seen, "bool True"));
  subpy_value_free(&seen);
  memset(&odd.u, 0, 1);
  seen = call1(interp, "describe", odd);
  CHECK(is_text(&seen, "bool False"));
  subpy_value_free(&seen);
  /* Fields that a kind does not use are ignored. */
  subpy_value noisy = {.kind = SUBPY_KIND_INT, .len = SIZE_MAX, .u.as_int = 7};
  seen = call1(interp, "describe", noisy);
  CHECK(is_text(&seen, "int 7"));
  subpy_value_free(&seen);

  /* A bool that comes out has all eight bytes written. */
  memset(&odd, 0xff, sizeof odd);
  OK(subpy_eval(interp, "True", SUBPY_AUTO_LEN, &odd, &error));
  CHECK(odd.kind == SUBPY_KIND_BOOL && odd.u.as_int == 1);

  /* Copies: what happens in Python later changes nothing here. */
  run(interp, "kept = [1, [2]]");
  subpy_value copy = eval(interp, "kept");
  run(interp, "kept[1].append(3); kept.clear()");
  CHECK(copy.len == 2 && copy.u.as_items[1].len == 1);
  subpy_value_free(&copy);

  /* An object that is met twice is two copies. */
  subpy_value twice = eval(interp, "(lambda x: [x, x])([1])");
  CHECK(same(&twice.u.as_items[0], &twice.u.as_items[1]) && twice.u.as_items[0].u.as_items != twice.u.as_items[1].u.as_items);
  subpy_value_free(&twice);

  /* What behaves like bytes. */
  struct { const char *expression; const char *expected; size_t len; } buffers[] = {
      {"bytearray(b'ab\\0c')", "ab\0c", 4},
      {"bytearray()", "", 0},
      {"memoryview(b'abc')", "abc", 3},
      {"memoryview(b'')", "", 0},
      {"memoryview(bytearray(b'abc'))[1:]", "bc", 2},
      {"memoryview(b'abc').cast('b')", "abc", 3},
      {"memoryview(b'abc').cast('c')", "abc", 3},
      {"memoryview(b'abcd')[::4]", "a", 1},
      {"__import__('array').array('B', b'xyz').tobytes()", "xyz", 3},
      {"memoryview(__import__('array').array('b', b'xyz'))", "xyz", 3}};
  for (size_t i = 0; i < COUNT(buffers); i++) {
    subpy_value expected = subpy_bytes((const uint8_t *)buffers[i].expected, buffers[i].len);
    subpy_value got = eval(interp, buffers[i].expression);
    if (!same(&got, &expected)) {
      fprintf(stderr, "%s: kind %d, %zu bytes\n", buffers[i].expression, got.kind, got.len);
      exit(1);
    }
    subpy_value_free(&got);
  }

  /* prepare_main takes the same values. */
  subpy_pair names[] = {{TEXT("p_list"), subpy_list(mixed, COUNT(mixed))}, {TEXT("p\xc3\xa9"), subpy_int(5)}, {TEXT(""), subpy_int(6)}};
  subpy_value dict = subpy_dict(names, COUNT(names));
  OK(subpy_prepare_main(interp, &dict, &error));
  CHECK(number(interp, "p_list == [None, True, 'x', (1,), []] and p\xc3\xa9 == 5 and globals()[''] == 6"));
  shut_down();
  return 0;
}
