/* Tagged values: sets, complex numbers, dates, decimals, UUIDs, enums and dataclasses cross exactly, in both directions. */
#include <math.h>

#include "values.h"

static subpy_interp interp, plain;

static subpy_interp create_tagged(void) {
  subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_TAGGED_VALUES};
  subpy_interp made = 0;
  subpy_error *error = NULL;
  OK(subpy_create(&options, &made, &error));
  return made;
}

static subpy_value tagged(uint32_t tag, subpy_value value) {
  value.flags |= tag;
  return value;
}

static subpy_value text(uint32_t tag, const char *text) { return tagged(tag, TEXT(text)); }

/* The expression has this value, and the value is an object that is equal to the expression's, of the same type and repr,
   also in an interpreter that gives no tags. */
static void crosses(const char *expression, subpy_value value) {
  subpy_error *error = NULL;
  subpy_value got = eval(interp, expression);
  if (!same(&got, &value)) {
    fprintf(stderr, "%s has another value: kind %d, flags %#x, %s\n", expression, got.kind, got.flags,
            got.kind == SUBPY_KIND_STR ? got.u.as_str : "");
    exit(1);
  }
  subpy_value arguments[3] = {value, got, TEXT(expression)};
  for (int i = 0; i < 2; i++) {
    subpy_value checked = {0}, row[2] = {arguments[i], arguments[2]};
    OK(subpy_call(i ? plain : interp, "check", SUBPY_AUTO_LEN, row, 2, NULL, &checked, &error));
    CHECK(checked.kind == SUBPY_KIND_BOOL && checked.u.as_bool);
  }
  subpy_value_free(&got);
}

static void refused(const char *expression, const char *message) {
  subpy_error *error = NULL;
  subpy_value value = subpy_int(1);
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, message, subpy_eval(interp, expression, SUBPY_AUTO_LEN, &value, &error));
  CHECK(value.kind == SUBPY_KIND_NONE);
}

static void invalid(subpy_value value, const char *message) {
  subpy_error *error = NULL;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, message, subpy_call(interp, "echo", SUBPY_AUTO_LEN, &value, 1, NULL, NULL, &error));
}

static void raises(subpy_value value, const char *message) {
  subpy_error *error = NULL;
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, message, subpy_call(interp, "echo", SUBPY_AUTO_LEN, &value, 1, NULL, NULL, &error));
}

static const char *setup =
    "import dataclasses, datetime, decimal, enum, random, struct, sys, uuid, zoneinfo\n"
    "from datetime import timedelta, timezone\n"
    "from decimal import Decimal\n"
    "from typing import ClassVar\n"
    "class Color(enum.Enum):\n"
    "    RED = 1\n"
    "    CRIMSON = 1\n"
    "    SHADE = ('dark', 2.5)\n"
    "    NAN = float('nan')\n"
    "class Level(enum.IntEnum): LOW, HIGH = 1, 2\n"
    "class Word(enum.StrEnum): HELLO = 'hello'\n"
    "class Perm(enum.Flag): R, W, X = 1, 2, 4\n"
    "class IntPerm(enum.IntFlag): R, W = 1, 2\n"
    "class Odd(enum.Enum):\n"
    "    THING = object()\n"
    "@dataclasses.dataclass\n"
    "class Point:\n"
    "    x: int\n"
    "    y: object = None\n"
    "    kind: dataclasses.KW_ONLY = None\n"
    "    class Inner(enum.Enum): ONE = 1\n"
    "@dataclasses.dataclass(frozen=True)\n"
    "class Frozen:\n"
    "    name: str\n"
    "@dataclasses.dataclass(slots=True)\n"
    "class Slots:\n"
    "    a: int\n"
    "    b: list = dataclasses.field(default_factory=list)\n"
    "@dataclasses.dataclass(frozen=True, slots=True)\n"
    "class Both(Frozen):\n"
    "    more: int = 5\n"
    "@dataclasses.dataclass\n"
    "class Made:\n"
    "    a: int\n"
    "    total: int = dataclasses.field(init=False)\n"
    "    fixed: int = dataclasses.field(init=False, default=7)\n"
    "    start: dataclasses.InitVar[int] = 0\n"
    "    shared: ClassVar[int] = 3\n"
    "    runs = 0\n"
    "    def __post_init__(self, start): Made.runs += 1; self.total = self.a + start\n"
    "    def __setattr__(self, name, value): object.__setattr__(self, name, value); Made.runs += 1\n"
    "@dataclasses.dataclass\n"
    "class Numbers(list):\n"
    "    n: int = 0\n"
    "@dataclasses.dataclass\n"
    "class Computed:\n"
    "    n: int\n"
    "    @property\n"
    "    def n(self): raise AssertionError('a property ran')\n"
    "    @n.setter\n"
    "    def n(self, value): pass\n"
    "class Dated(datetime.date): pass\n"
    "class Group(set): pass\n"
    "class Summer(datetime.tzinfo):\n"
    "    def utcoffset(self, when): raise AssertionError('a tzinfo ran')\n"
    "def local():\n"
    "    @dataclasses.dataclass\n"
    "    class Local: pass\n"
    "    return Local()\n"
    "def shadowed():\n"
    "    class Color(enum.Enum): RED = 1\n"
    "    Color.__qualname__ = 'Color'\n"
    "    return Color.RED\n"
    "def echo(x): return x\n"
    "def canon(x):\n"
    "    kind = type(x)\n"
    "    if kind in (list, tuple): return kind, [canon(item) for item in x]\n"
    "    if kind is dict: return kind, [(canon(key), canon(value)) for key, value in x.items()]\n"
    "    if kind in (set, frozenset): return kind, sorted((canon(item) for item in x), key=repr)\n"
    "    if kind is float: return kind, struct.pack('d', x)\n"
    "    if kind is complex: return kind, struct.pack('dd', x.real, x.imag)\n"
    "    if isinstance(x, enum.Enum): return kind, id(x)\n"
    "    if dataclasses.is_dataclass(x): return kind, [(f.name, canon(getattr(x, f.name))) for f in dataclasses.fields(x)]\n"
    "    return kind, repr(x)\n"
    "def alike(a, b): return canon(a) == canon(b) and ('nan' in repr(a).lower() or a == b)\n"
    "def check(x, expression): return alike(x, eval(expression))\n";

/* Values of all kinds at random; each comes from its number. */
static const char *fuzz =
    "D = datetime\n"
    "def zone(r):\n"
    "    step = r.choice([1, 60, 3600, 1800, 1e-6])\n"
    "    step = r.choice([None, timezone.utc, timezone(timedelta(seconds=step * r.randint(-23, 23)))])\n"
    "    return step if step is None or step.utcoffset(None) // timedelta(seconds=1) not in (0, -1) else timezone.utc\n"
    "def clock(r): return r.randint(0, 23), r.randint(0, 59), r.randint(0, 59), r.choice([0, r.randint(0, 999999), 1000])\n"
    "def scalar(r):\n"
    "    f = lambda: r.choice([0.0, -0.0, float('inf'), r.random(), struct.unpack('d', r.randbytes(8))[0]])\n"
    "    return r.choice([\n"
    "        lambda: r.randint(-2**70, 2**70), lambda: f(), lambda: complex(f(), f()), lambda: r.randbytes(3), lambda: None,\n"
    "        lambda: D.date.fromordinal(r.randint(1, D.date.max.toordinal())), lambda: D.time(*clock(r), tzinfo=zone(r)),\n"
    "        lambda: D.datetime(r.randint(1, 9999), r.randint(1, 12), r.randint(1, 28), *clock(r), tzinfo=zone(r)),\n"
    "        lambda: timedelta(r.randint(-999999999, 999999999), r.randint(0, 86399), r.randint(0, 999999)),\n"
    "        lambda: Decimal((r.randint(0, 1), tuple(r.randint(0, 9) for _ in range(r.randint(1, 40))), r.randint(-99, 99))),\n"
    "        lambda: Decimal(r.choice(['NaN', '-NaN123', 'sNaN7', '-Infinity', '-0', '0E+3', '1E-999999'])),\n"
    "        lambda: uuid.UUID(int=r.getrandbits(128)), lambda: r.choice(list(Color)), lambda: Perm(r.randint(0, 7)),\n"
    "        lambda: IntPerm(r.randint(0, 3)), lambda: r.choice(list(Level)), lambda: Word.HELLO, lambda: Frozen(str(r.random())),\n"
    "    ])()\n"
    "def hashable(r, deep):\n"
    "    kind = r.randint(0, 3 if deep else 1)\n"
    "    if kind == 2: return frozenset(key(r, deep - 1) for _ in range(r.randint(0, 3)))\n"
    "    if kind == 3: return Both(tuple(key(r, deep - 1) for _ in range(2)), r.randint(0, 9))\n"
    "    return scalar(r)\n"
    "def key(r, deep):\n"
    "    made = hashable(r, deep)\n"
    "    return r.random() if 'NaN' in repr(made) else made\n"
    "def anything(r, deep):\n"
    "    some = lambda: [anything(r, deep - 1) for _ in range(r.randint(0, 4))]\n"
    "    return r.choice([\n"
    "        some, lambda: tuple(some()), lambda: {key(r, deep): v for v in some()}, lambda: {str(i): v for i, v in enumerate(some())},\n"
    "        lambda: {key(r, deep) for _ in range(3)}, lambda: Point(r.random(), some()), lambda: Slots(1, some()),\n"
    "        lambda: Made(r.randint(0, 9)), lambda: hashable(r, deep),\n"
    "    ])() if deep else scalar(r)\n"
    "def make(seed): return anything(random.Random(seed), random.Random(-seed).randint(0, 4))\n"
    "def back(seed, value):\n"
    "    made = make(seed)\n"
    "    return alike(value, made) or print(value, made, sep='\\n') or False\n";

static void simple(void) {
  subpy_value numbers[] = {subpy_int(1), subpy_int(2)}, zeros[] = {subpy_float(-0.0), subpy_float(INFINITY)};
  crosses("set()", tagged(SUBPY_TAG_SET, subpy_list(NULL, 0)));
  crosses("{1, 2}", tagged(SUBPY_TAG_SET, subpy_list(numbers, 2)));
  crosses("frozenset()", tagged(SUBPY_TAG_FROZENSET, subpy_tuple(NULL, 0)));
  crosses("frozenset([1, 2])", tagged(SUBPY_TAG_FROZENSET, subpy_tuple(numbers, 2)));
  crosses("complex(-0.0, float('inf'))", tagged(SUBPY_TAG_COMPLEX, subpy_tuple(zeros, 2)));
  crosses("datetime.date(2026, 2, 28)", text(SUBPY_TAG_DATE, "2026-02-28"));
  crosses("datetime.date.min", text(SUBPY_TAG_DATE, "0001-01-01"));
  crosses("datetime.time(1, 2, 3, 4)", text(SUBPY_TAG_TIME, "01:02:03.000004"));
  crosses("datetime.time(1, 2, tzinfo=timezone.utc)", text(SUBPY_TAG_TIME, "01:02:00+00:00"));
  crosses("datetime.datetime(2026, 1, 2)", text(SUBPY_TAG_DATETIME, "2026-01-02T00:00:00"));
  crosses("datetime.datetime(2026, 1, 2, tzinfo=timezone(timedelta(seconds=-3601, microseconds=7)))",
          text(SUBPY_TAG_DATETIME, "2026-01-02T00:00:00-01:00:00.999993"));
  crosses("datetime.datetime.max", text(SUBPY_TAG_DATETIME, "9999-12-31T23:59:59.999999"));
  crosses("Decimal('-0E+3')", text(SUBPY_TAG_DECIMAL, "-0E+3"));
  crosses("Decimal('-sNaN12345678901234567890123456789012345')",
          text(SUBPY_TAG_DECIMAL, "-sNaN12345678901234567890123456789012345"));
  crosses("Decimal('1.' + '3' * 60)",
          text(SUBPY_TAG_DECIMAL, "1.333333333333333333333333333333333333333333333333333333333333"));
  crosses("uuid.UUID(int=255)", text(SUBPY_TAG_UUID, "00000000-0000-0000-0000-0000000000ff"));
  crosses("uuid.UUID('12345678-9abc-def0-fedc-ba9876543210')", text(SUBPY_TAG_UUID, "12345678-9abc-def0-fedc-ba9876543210"));
  subpy_value delta[] = {subpy_int(-1), subpy_int(86399), subpy_int(999999)};
  crosses("timedelta(microseconds=-1)", tagged(SUBPY_TAG_TIMEDELTA, subpy_tuple(delta, 3)));
  /* What means the same is taken too: an argument need not be in the form that results have. */
  subpy_value day[] = {subpy_int(0), subpy_int(86400), subpy_int(0)};
  subpy_value same_day = call1(interp, "echo", tagged(SUBPY_TAG_TIMEDELTA, subpy_tuple(day, 3)));
  CHECK(same_day.u.as_items[0].u.as_int == 1 && same_day.u.as_items[1].u.as_int == 0);
  subpy_value_free(&same_day);
  subpy_value zulu = call1(interp, "echo", text(SUBPY_TAG_DATETIME, "2026-01-02T03:04:05.678Z"));
  CHECK(is_text(&zulu, "2026-01-02T03:04:05.678000+00:00"));
  subpy_value_free(&zulu);
}

static void enums(void) {
  subpy_value shade[] = {TEXT("dark"), subpy_float(2.5)};
  struct { const char *expression, *class, *name; subpy_value value; } members[] = {
      {"Color.RED", "__main__:Color", "RED", subpy_int(1)},
      {"Color.CRIMSON", "__main__:Color", "RED", subpy_int(1)},
      {"Color.SHADE", "__main__:Color", "SHADE", subpy_tuple(shade, 2)},
      {"Color.NAN", "__main__:Color", "NAN", subpy_float(NAN)},
      {"Level.HIGH", "__main__:Level", "HIGH", subpy_int(2)},
      {"Word.HELLO", "__main__:Word", "HELLO", TEXT("hello")},
      {"Perm.R", "__main__:Perm", "R", subpy_int(1)},
      {"Perm.R | Perm.X", "__main__:Perm", "R|X", subpy_int(5)},
      {"Perm(0)", "__main__:Perm", "", subpy_int(0)},
      {"IntPerm.R | IntPerm.W", "__main__:IntPerm", "R|W", subpy_int(3)},
      {"Point.Inner.ONE", "__main__:Point.Inner", "ONE", subpy_int(1)},
  };
  for (size_t i = 0; i < COUNT(members); i++) {
    subpy_value parts[] = {TEXT(members[i].class), TEXT(members[i].name), members[i].value};
    crosses(members[i].expression, tagged(SUBPY_TAG_ENUM, subpy_tuple(parts, 3)));
  }
  struct { const char *class, *name; int64_t value; const char *message; } wrong[] = {
      {"__main__:Color", "GREEN", 1, "ValueError: value: __main__:Color.GREEN is not there"},
      {"__main__:Color", "RED", 2, "ValueError: value: __main__:Color.RED has another value"},
      {"__main__:Perm", "R", 5, "ValueError: value: __main__:Perm.R has another value"},
      {"__main__:Perm", "R|W", 5, "ValueError: value: __main__:Perm.R|W has another value"},
      {"__main__:Perm", "R|W", 99, "...ValueError: value: "},
      {"__main__:Point", "x", 1, "ValueError: value: __main__:Point is no Enum"},
      {"__main__:echo", "x", 1, "ValueError: value: there is no Enum __main__:echo in the modules that were imported; a value imports none"},
      {"antigravity:Color", "RED", 1, "...there is no Enum antigravity:Color in the modules that were imported"},
      {"__main__:Point.x.y", "RED", 1, "...there is no Enum __main__:Point.x.y"},
      {":", "RED", 1, "...there is no Enum :"},
  };
  for (size_t i = 0; i < COUNT(wrong); i++) {
    subpy_value parts[] = {TEXT(wrong[i].class), TEXT(wrong[i].name), subpy_int(wrong[i].value)};
    raises(tagged(SUBPY_TAG_ENUM, subpy_tuple(parts, 3)), wrong[i].message);
  }
  run(interp, "assert 'antigravity' not in sys.modules");
  /* A name that stands for a member of the same value is one of its names. */
  subpy_value alias[] = {TEXT("__main__:Color"), TEXT("CRIMSON"), subpy_int(1)};
  subpy_value red = call1(interp, "echo", tagged(SUBPY_TAG_ENUM, subpy_tuple(alias, 3)));
  CHECK(is_text(&red.u.as_items[1], "RED"));
  subpy_value_free(&red);
}

static subpy_value instance(subpy_pair *pairs, size_t count, const char *class) {
  pairs[0] = (subpy_pair){TEXT("__class__"), TEXT(class)};
  return tagged(SUBPY_TAG_DATACLASS, subpy_dict(pairs, count));
}

static void dataclasses(void) {
  subpy_pair pairs[5], inner[2];
  pairs[1] = (subpy_pair){TEXT("x"), subpy_int(1)};
  inner[1] = (subpy_pair){TEXT("name"), TEXT("n")};
  pairs[2] = (subpy_pair){TEXT("y"), instance(inner, 2, "__main__:Frozen")};
  crosses("Point(1, Frozen('n'))", instance(pairs, 3, "__main__:Point"));
  pairs[1] = (subpy_pair){TEXT("a"), subpy_int(1)};
  pairs[2] = (subpy_pair){TEXT("b"), subpy_list(NULL, 0)};
  crosses("Slots(1)", instance(pairs, 3, "__main__:Slots"));
  pairs[1] = (subpy_pair){TEXT("name"), TEXT("n")};
  pairs[2] = (subpy_pair){TEXT("more"), subpy_int(5)};
  crosses("Both('n')", instance(pairs, 3, "__main__:Both"));
  pairs[1] = (subpy_pair){TEXT("a"), subpy_int(1)};
  pairs[2] = (subpy_pair){TEXT("total"), subpy_int(3)};
  pairs[3] = (subpy_pair){TEXT("fixed"), subpy_int(7)};
  crosses("Made(1, 2)", instance(pairs, 4, "__main__:Made"));
  run(interp, "Made.runs = 0");
  subpy_value made = call1(interp, "echo", instance(pairs, 4, "__main__:Made"));
  subpy_value_free(&made);
  run(interp, "assert Made.runs == 0");

  raises(instance(pairs, 3, "__main__:Made"), "ValueError: value: field 'fixed' of __main__:Made is missing");
  pairs[4] = (subpy_pair){TEXT("shared"), subpy_int(3)};
  raises(instance(pairs, 5, "__main__:Made"), "ValueError: value: __main__:Made has fewer fields: 1 of these are none");
  raises(instance(pairs, 2, "__main__:Color"), "ValueError: value: __main__:Color is no dataclass");
  raises(instance(pairs, 2, "__main__:Nothing"),
         "ValueError: value: there is no dataclass __main__:Nothing in the modules that were imported; a value imports none");
  pairs[1] = (subpy_pair){TEXT("n"), subpy_int(3)};
  raises(instance(pairs, 2, "__main__:Numbers"), "...TypeError: value: object.__new__(Numbers) is not safe");
}

static void refusals(void) {
  refused("datetime.datetime(2026, 1, 1, fold=1)",
          "result: datetime.datetime: its fold is 1, which would be lost, return value.replace(fold=0)");
  refused("[datetime.time(1, tzinfo=timezone(timedelta(hours=1), 'CET'))]",
          "result[0]: datetime.time: its tzinfo has a name, which would be lost, use datetime.timezone(offset)");
  refused("datetime.datetime(2026, 1, 1, tzinfo=timezone(timedelta(microseconds=-1)))",
          "result: datetime.datetime: its offset is less than a second, which Python reads as UTC, return "
          "value.astimezone(datetime.timezone.utc)");
  refused("{'a': datetime.datetime(2026, 1, 1, tzinfo=Summer())}",
          "result['a']: datetime.datetime: its tzinfo is a __main__.Summer, of which the offset alone would be left, return "
          "value.astimezone(datetime.timezone.utc)");
  refused("Dated(2026, 1, 1)", "result: Dated cannot be shared");
  refused("Group()", "result: Group cannot be shared");
  refused("type('T', (timedelta,), {})()", "result: T cannot be shared");
  refused("type('D', (Decimal,), {})()", "result: D cannot be shared");
  refused("[1, {2, lambda: 0}]", "...cannot be shared");
  refused("Odd.THING", "result[2]: object cannot be shared");
  refused("Point(1, [0, len])", "result['y'][1]: builtin_function_or_method cannot be shared");
  refused("Point", "result: type cannot be shared");
  refused("Color", "result: enum.EnumType cannot be shared");
  refused("Numbers()", "result: Numbers is a subclass of list, return list(...)");
  refused("local()", "result: local.<locals>.Local: its class is not found as __main__:local.<locals>.Local, define it at the top "
                     "of a module or of the script");
  refused("shadowed()", "result: Color: its class is not found as __main__:Color, define it at the top of a module or of the script");
  refused("object.__new__(Slots)", "result: Slots: its field 'a' has no value");
  refused("object.__new__(Point)", "result: Point: its field 'x' has no value");
  refused("Computed(1)", "result: Computed: its field 'n' is a descriptor, whose code would have to run");
  run(interp, "cycle = Point(1); cycle.y = cycle\n"
              "deep = None\n"
              "for _ in range(1000): deep = Point(0, deep)\n"
              "deeper = frozenset()\n"
              "for _ in range(999): deeper = frozenset([deeper])\n");
  refused("cycle", "result: nested deeper than 1000 levels");
  refused("Point(0, deep)", "result: nested deeper than 1000 levels");
  refused("{deeper}", "result: nested deeper than 1000 levels");
  subpy_value deep = eval(interp, "deep"), deeper = eval(interp, "deeper");
  subpy_value_free(&deep);
  subpy_value_free(&deeper);
}

static void malformed(void) {
  subpy_value one = subpy_int(1), list = subpy_list(&one, 1), row[3] = {subpy_float(1), subpy_int(2), subpy_int(3)};
  invalid(tagged(SUBPY_TAG_SET, one), "args[0]: SUBPY_TAG_SET needs SUBPY_KIND_LIST, not SUBPY_KIND_INT");
  invalid(tagged(SUBPY_TAG_DATE, list), "args[0]: SUBPY_TAG_DATE needs SUBPY_KIND_STR, not SUBPY_KIND_LIST");
  unsigned char byte = 1;
  subpy_buffer buffer = {.size = sizeof buffer, .data = &byte, .len = 1};
  invalid(tagged(SUBPY_TAG_SET, subpy_value_from_buffer(&buffer)),
          "args[0]: SUBPY_TAG_SET needs SUBPY_KIND_LIST, not SUBPY_KIND_BUFFER");
  invalid(tagged(12, TEXT("x")), "args[0]: tag 12 is not one of SUBPY_TAG_*");
  invalid(tagged(255, TEXT("x")), "args[0]: tag 255 is not one of SUBPY_TAG_*");
  invalid(tagged(SUBPY_TAG_COMPLEX, subpy_tuple(row, 2)), "args[0]: SUBPY_TAG_COMPLEX needs two SUBPY_KIND_FLOAT");
  invalid(tagged(SUBPY_TAG_TIMEDELTA, subpy_tuple(row, 3)),
          "args[0]: SUBPY_TAG_TIMEDELTA needs three SUBPY_KIND_INT: days, seconds, microseconds");
  invalid(tagged(SUBPY_TAG_ENUM, subpy_tuple(row, 3)),
          "args[0]: SUBPY_TAG_ENUM needs \"module:qualname\", a name and a value");
  subpy_pair pair = {TEXT("x"), list};
  invalid(tagged(SUBPY_TAG_DATACLASS, subpy_dict(&pair, 1)),
          "args[0]: SUBPY_TAG_DATACLASS needs the names of its fields, behind \"__class__\": \"module:qualname\"");
  pair.value = tagged(SUBPY_TAG_UUID, one);
  invalid(subpy_dict(&pair, 1), "args[0]['x']: SUBPY_TAG_UUID needs SUBPY_KIND_STR, not SUBPY_KIND_INT");

  /* Names are names. */
  subpy_error *error = NULL;
  subpy_pair named = {TEXT("x"), one};
  subpy_value names = tagged(SUBPY_TAG_DATACLASS, subpy_dict(&named, 1)), none = tagged(SUBPY_TAG_SET, subpy_none());
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "kwargs: must have no tag, has 11",
        subpy_call(interp, "echo", SUBPY_AUTO_LEN, NULL, 0, &names, NULL, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "kwargs: must have no tag, has 1",
        subpy_call(interp, "echo", SUBPY_AUTO_LEN, NULL, 0, &none, NULL, &error));
  named.key = text(SUBPY_TAG_DATE, "2026-01-01");
  names = subpy_dict(&named, 1);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "kwargs: key 0: must have no tag, has 4",
        subpy_call(interp, "echo", SUBPY_AUTO_LEN, NULL, 0, &names, NULL, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "names: key 0: must have no tag, has 4", subpy_prepare_main(interp, &names, &error));

  raises(text(SUBPY_TAG_DATE, "2026-02-30"), "...ValueError: value: ");
  raises(text(SUBPY_TAG_TIME, "25:00"), "...ValueError: value: ");
  raises(text(SUBPY_TAG_DATETIME, "yesterday"), "ValueError: value: Invalid isoformat string: 'yesterday'");
  raises(text(SUBPY_TAG_DECIMAL, "one"), "...ValueError: value: ");
  raises(text(SUBPY_TAG_UUID, "1234"), "ValueError: value: badly formed hexadecimal UUID string");
  subpy_value far[] = {subpy_int(INT64_MAX), subpy_int(0), subpy_int(0)};
  raises(tagged(SUBPY_TAG_TIMEDELTA, subpy_tuple(far, 3)), "...ValueError: value: ");
  pair.value = text(SUBPY_TAG_DATE, "never");
  subpy_value inner[] = {one, subpy_dict(&pair, 1)}, outer = subpy_list(inner, 2);
  raises(outer, "ValueError: value[1]['x']: Invalid isoformat string: 'never'");
  raises(tagged(SUBPY_TAG_SET, subpy_list(&list, 1)), "...TypeError: value: ");
  subpy_value set = tagged(SUBPY_TAG_SET, subpy_list(NULL, 0)), row_of_sets[] = {one, tagged(SUBPY_TAG_FROZENSET, subpy_tuple(&set, 1))};
  raises(subpy_tuple(row_of_sets, 2), "...TypeError: value[1]: ");
  subpy_pair dated = {text(SUBPY_TAG_DATE, "never"), one}, unhashable = {set, one};
  raises(subpy_dict(&dated, 1), "ValueError: value key 0: Invalid isoformat string: 'never'");
  raises(subpy_dict(&unhashable, 1), "...TypeError: ");
}

static void places(void) {
  subpy_error *error = NULL;
  /* Keys, keyword arguments, names of __main__, the arguments of host functions, results of many calls. */
  crosses("{datetime.date(2026, 1, 1): 5}",
          subpy_dict((subpy_pair[]){{text(SUBPY_TAG_DATE, "2026-01-01"), subpy_int(5)}}, 1));
  subpy_value one = subpy_int(1);
  crosses("{'a': 0, frozenset([1]): frozenset()}",
          subpy_dict((subpy_pair[]){{TEXT("a"), subpy_int(0)},
                                    {tagged(SUBPY_TAG_FROZENSET, subpy_tuple(&one, 1)),
                                     tagged(SUBPY_TAG_FROZENSET, subpy_tuple(NULL, 0))}}, 2));
  subpy_pair day = {TEXT("day"), text(SUBPY_TAG_DATE, "2026-01-01")};
  subpy_value named = subpy_dict(&day, 1), year = {0};
  run(interp, "def year(day): return day.year");
  OK(subpy_call(interp, "year", SUBPY_AUTO_LEN, NULL, 0, &named, &year, &error));
  CHECK(year.u.as_int == 2026);
  OK(subpy_prepare_main(interp, &named, &error));
  year = eval(interp, "day.year");
  CHECK(year.u.as_int == 2026);
  run(interp, "def kinds(x): return [x, {x}]");
  subpy_function kinds = 0;
  OK(subpy_function_new(interp, "kinds", SUBPY_AUTO_LEN, &kinds, &error));
  subpy_value rows[] = {text(SUBPY_TAG_DATE, "2026-01-01"), text(SUBPY_TAG_DECIMAL, "1.50"), subpy_int(3)}, results = {0};
  OK(subpy_function_call_many(kinds, rows, 3, 1, 0, &results, &error));
  for (size_t i = 0; i < 3; i++) {
    const subpy_value *pair = results.u.as_items[i].u.as_items;
    CHECK(same(&pair[0], &rows[i]) && pair[1].flags == SUBPY_TAG_SET && same(&pair[1].u.as_items[0], &rows[i]));
  }
  subpy_value_free(&results);
  subpy_function_free(kinds);
  /* A run in a thread copies its arguments with their tags. */
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_CALL, .text = "echo",
                               .text_len = SUBPY_AUTO_LEN, .args = rows, .nargs = 1};
  subpy_thread thread = 0;
  subpy_value joined = {0};
  OK(subpy_run_in_thread(&request, &thread, &error));
  OK(subpy_thread_join(thread, &joined, &error));
  CHECK(same(&joined, &rows[0]));
  subpy_value_free(&joined);
}

static int seen;

static void take(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)kwargs;
  seen = nargs == 2 ? (int)(args[0].flags << 8 | args[1].flags) : -1;
  CHECK(subpy_context_return(ctx, &args[0]) == SUBPY_OK);
}

static void host_functions(void) {
  subpy_error *error = NULL;
  OK(subpy_define(interp, "take", SUBPY_AUTO_LEN, 0, take, NULL, NULL, &error));
  OK(subpy_define(plain, "take", SUBPY_AUTO_LEN, 0, take, NULL, NULL, &error));
  run(interp, "assert take({1}, 1j) == {1}");
  CHECK(seen == (SUBPY_TAG_SET << 8 | SUBPY_TAG_COMPLEX));
  run(plain, "try: take({1}, 1j)\nexcept TypeError as error: assert 'set cannot be shared' in str(error), error\nelse: raise AssertionError");
}

static void random_values(int count) {
  subpy_error *error = NULL;
  run(interp, fuzz);
  run(plain, fuzz);
  for (int i = 0; i < count; i++) {
    subpy_value seed = subpy_int(i), value = call1(interp, "make", seed), good = {0};
    subpy_value row[2] = {seed, value};
    OK(subpy_call(i % 2 ? plain : interp, "back", SUBPY_AUTO_LEN, row, 2, NULL, &good, &error));
    if (!good.u.as_bool) {
      fprintf(stderr, "the value of make(%d) is not what it was\n", i);
      exit(1);
    }
    subpy_value_free(&value);
  }
}

int main(void) {
  subpy_error *error = NULL;
  interp = create_tagged();
  plain = create();
  /* Nothing was imported yet: an argument that needs a module has it imported. */
  subpy_value imported = call1(plain, "builtins:str", text(SUBPY_TAG_DECIMAL, "1.50"));
  CHECK(is_text(&imported, "1.50"));
  subpy_value_free(&imported);
  imported = call1(plain, "builtins:repr", text(SUBPY_TAG_UUID, "00000000000000000000000000000001"));
  CHECK(is_text(&imported, "UUID('00000000-0000-0000-0000-000000000001')"));
  subpy_value_free(&imported);
  run(interp, setup);
  run(plain, setup);
  subpy_value value = {0};
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, "result: set cannot be shared", subpy_eval(plain, "{1}", SUBPY_AUTO_LEN, &value, &error));
  simple();
  enums();
  dataclasses();
  refusals();
  malformed();
  places();
  host_functions();
  random_values(getenv("SUBPY_TAGGED") ? atoi(getenv("SUBPY_TAGGED")) : 3000);
  OK(subpy_shutdown(&error));
  return 0;
}
