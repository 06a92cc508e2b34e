/* Host functions: what goes in, what comes out, and how Python sees them. */
#include "guest.h"
#include "values.h"

static subpy_error *error;

static void add(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  CHECK(userdata == NULL && nargs == 2 && !kwargs);
  subpy_value sum = subpy_int(args[0].u.as_int + args[1].u.as_int);
  CHECK(subpy_context_return(ctx, &sum) == SUBPY_OK);
}

/* Returns what it gets: one argument as it is, more as a tuple, with keywords a tuple of tuple and dict. */
static void same_back(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs,
                      const subpy_value *kwargs) {
  (*(int *)userdata)++;
  subpy_value all = subpy_tuple(args, nargs);
  if (kwargs) {
    CHECK(kwargs->kind == SUBPY_KIND_DICT && kwargs->len > 0);
    subpy_value both[] = {all, *kwargs};
    subpy_value pair = subpy_tuple(both, 2);
    CHECK(subpy_context_return(ctx, &pair) == SUBPY_OK);
  } else {
    CHECK(subpy_context_return(ctx, nargs == 1 ? args : &all) == SUBPY_OK);
  }
}

static void nothing(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)ctx, (void)args, (void)nargs, (void)kwargs;
}

static void define(subpy_interp interp, const char *name, subpy_host_fn function, void *userdata) {
  OK(subpy_define(interp, name, SUBPY_AUTO_LEN, 0, function, userdata, NULL, &error));
}

static void values(subpy_interp interp) {
  static int calls; /* the function outlives this one */
  calls = 0;
  for (uint32_t flags = 0; flags <= SUBPY_DEFINE_KEEP_GIL; flags++) {
    OK(subpy_define(interp, "host:same", SUBPY_AUTO_LEN, flags, same_back, &calls, NULL, &error));
    calls = 0;
    run(interp,
        "from host import same\n"
        "import math\n"
        "each = [None, True, False, 0, -1, 2**63 - 1, -2**63, 2**63, -2**200, 10**30, 1.5, -0.0, math.inf, '', 'text', 'h\\u00e9\\U0001f40d', 'nul\\0',\n"
        "        b'', b'bytes\\0', (), [], {}, (1, 'two', b'3'), [[1], [2.5, None]], {'a': 1, 2: 'b', (1, 2): [3]}, 'x' * 100_000, b'y' * 100_000,\n"
        "        list(range(1000)), {str(i): i for i in range(300)}]\n"
        "for it in each:\n"
        "  back = same(it)\n"
        "  assert type(back) is type(it) and repr(back) == repr(it), it\n"
        "assert math.isnan(same(math.nan))\n"
        "assert same(bytearray(b'ab')) == b'ab' and same(memoryview(b'cd')) == b'cd'\n"
        "assert same() == () and same(1, 2) == (1, 2)\n"
        "for count in (7, 8, 9, 100): assert same(*range(count)) == tuple(range(count))\n"
        "assert same(*each) == tuple(each)\n"
        "assert same(a=1) == ((), {'a': 1})\n"
        "assert same(1, [2], b='x', c={'d': None}) == ((1, [2]), {'b': 'x', 'c': {'d': None}})\n"
        "many = {f'k\\u00e9{i}': i for i in range(50)}\n"
        "assert same(*range(10), **many) == (tuple(range(10)), many)\n"
        "assert same(**{'self': 1, 'ctx': 2}) == ((), {'self': 1, 'ctx': 2})\n"
        "deep = 1\n"
        "for _ in range(1000): deep = [deep]\n"
        "def depth(it): return 1 + depth(it[0]) if isinstance(it, list) else 0\n"
        "import sys\n"
        "sys.setrecursionlimit(5000)\n"
        "assert depth(same(deep)) == 1000\n");
    CHECK(calls > 40);
  }
}

static void refused_arguments(subpy_interp interp) {
  run(interp,
      "import socket, traceback\n"
      "def refused(function, *args, **kwargs):\n"
      "  try: function(*args, **kwargs)\n"
      "  except TypeError as e: return str(e)\n"
      "class Int(int): pass\n"
      "loop = []; loop.append(loop)");
  const char *code =
      "assert refused(same, object()) == 'host.same() argument 1: object cannot be shared', refused(same, object())\n"
      "assert refused(same, 1, {'x': [0, {1}]}) == \"host.same() argument 2['x'][1]: set cannot be shared\", refused(same, 1, {'x': [0, {1}]})\n"
      "assert refused(same, Int(3)) == 'host.same() argument 1: Int is a subclass of int, pass int(...)', refused(same, Int(3))\n"
      "assert refused(same, a=print) == \"host.same() argument 'a': builtin_function_or_method cannot be shared\", refused(same, a=print)\n"
      "assert refused(same, *range(20), loop) == 'host.same() argument 21[0]: is argument 21 itself; a cycle cannot be shared', refused(same, *range(20), loop)\n"
      "assert refused(same, '\\ud800').startswith('host.same() argument 1: str with a lone surrogate at index 0 cannot be shared, pass '), refused(same, '\\ud800')\n"
      "assert refused(same, **{'\\ud800': 1}).startswith('host.same() '), refused(same, **{'\\ud800': 1})\n"
      "released = memoryview(b'x'); released.release()\n"
      "assert 'released memoryview' in refused(same, released)\n"
      "assert same(1) == 1\n";
  run(interp, code);
}

static void as_python_sees_it(subpy_interp interp) {
  subpy_define_options options = {.size = sizeof options, .signature = "(a, b=0, *, c=None)", .doc = "Adds.\n\nMore."};
  OK(subpy_define_with(interp, "host:documented", SUBPY_AUTO_LEN, &options, nothing, NULL, NULL, &error));
  OK(subpy_define_with(interp, "plain", SUBPY_AUTO_LEN, NULL, nothing, NULL, NULL, &error));
  run(interp,
      "import functools, host, inspect, io, pickle, pydoc, weakref, contextlib, copy, types, typing, operator, threading\n"
      "from host import documented as f\n"
      "assert (f.__name__, f.__qualname__, f.__module__, f.__doc__) == ('documented', 'documented', 'host', 'Adds.\\n\\nMore.')\n"
      "assert f.__text_signature__ == '(a, b=0, *, c=None)'\n"
      "assert str(inspect.signature(f)) == '(a, b=0, *, c=None)', inspect.signature(f)\n"
      "assert repr(f) == '<host function host.documented>' and repr(plain) == '<host function plain>'\n"
      "assert (plain.__name__, plain.__module__, plain.__doc__, plain.__text_signature__) == ('plain', '__main__', None, None)\n"
      "assert callable(f) and inspect.isroutine(f) and not inspect.isfunction(f)\n"
      "text = pydoc.plain(pydoc.render_doc(f))\n"
      "assert 'documented(a, b=0, *, c=None)' in text and 'Adds.' in text and 'More.' in text, text\n"
      "assert 'plain(...)' in pydoc.plain(pydoc.render_doc(plain)), pydoc.plain(pydoc.render_doc(plain))\n"
      "assert 'documented' in pydoc.plain(pydoc.render_doc(host)), pydoc.plain(pydoc.render_doc(host))\n"
      "for protocol in range(pickle.HIGHEST_PROTOCOL + 1):\n"
      "  for it in (f, plain): assert pickle.loads(pickle.dumps(it, protocol)) is it\n"
      "assert copy.copy(f) is f and copy.deepcopy(f) is f\n"
      "assert weakref.ref(f)() is f and f == f and f != plain and hash(f) == hash(f) and len({f, plain, f}) == 2\n"
      "assert functools.partial(host.add, 2)(3) == 5\n"
      "@functools.wraps(f)\n"
      "def wrapped(*args): return f(*args)\n"
      "assert wrapped.__name__ == 'documented'\n"
      "class Class:\n"
      "  method = host.add\n"
      "assert Class.method is host.add and Class().method is host.add and Class().method(2, 3) == 5\n"
      "assert list(map(host.add, [1, 2], [3, 4])) == [4, 6] and sorted([3, 1], key=host.same) == [1, 3]\n"
      "assert functools.reduce(host.add, range(5)) == 10\n"
      "for attempt in ('f.__name__ = 1', 'f.new = 1', 'del f.__doc__', 'type(f)()', 'type(f).__new__(type(f))', 'class Sub(type(f)): pass',\n"
      "                'type(f).x = 1', 'object.__new__(type(f))'):\n"
      "  try: exec(attempt)\n"
      "  except (AttributeError, TypeError): continue\n"
      "  raise AssertionError(attempt)\n"
      "assert f.__call__(1) is None and f(1, 2, c=3) is None\n"
      "ref = weakref.ref(f)\n"
      "died = []\n"
      "weakref.finalize(f, died.append, 1)\n"
      "del f, Class, wrapped, it, host.documented\n"
      "assert ref() is None and died == [1], ref()\n");
}

static void modules(subpy_interp interp) {
  run(interp, "import json, os\njson_add = json.dumps");
  define(interp, "json:add", add, NULL);           /* one that is imported */
  define(interp, "colorsys:add", add, NULL);       /* one that can be */
  define(interp, "new.sub.deep:add", add, NULL);   /* ones that are made, with their parents */
  define(interp, "new.sub:add", add, NULL);
  define(interp, "os.host:add", add, NULL);        /* in a module that is no package */
  define(interp, "email.host:add", add, NULL);     /* in a package of Python's */
  define(interp, "h\xc3\xa9t\xc3\xa9:\xc3\xa0", add, NULL);
  define(interp, "add", add, NULL);
  run(interp,
      "import importlib.util, sys\n"
      "assert add(1, 2) == 3 and json.add(1, 2) == 3 and json.dumps is json_add\n"
      "import colorsys, email.host, new.sub.deep, os.host, h\xc3\xa9t\xc3\xa9\n"
      "from new.sub.deep import add as deep_add\n"
      "for it in (colorsys, email.host, new.sub.deep, new.sub, os.host):\n"
      "  assert it.add(1, 2) == 3 and it.add.__module__ == it.__name__ and it.__spec__.name == it.__name__\n"
      "  assert importlib.util.find_spec(it.__name__) is it.__spec__\n"
      "assert colorsys.rgb_to_hsv and email.host.__spec__.parent and h\xc3\xa9t\xc3\xa9.\xc3\xa0(1, 2) == 3\n"
      "assert repr(new.sub.deep) == \"<module 'new.sub.deep' (host)>\", repr(new.sub.deep)\n"
      "assert repr(deep_add) == '<host function new.sub.deep.add>'\n"
      "try: import new.other\n"
      "except ModuleNotFoundError as e: assert e.name == 'new.other'\n"
      "else: raise AssertionError\n"
      "import pickle\n"
      "assert pickle.loads(pickle.dumps(deep_add)) is new.sub.deep.add\n"
      "import runpy\n"
      "try: runpy.run_module('new.sub')\n"
      "except ImportError: pass\n"
      "else: raise AssertionError\n");
  /* A module that fails to load is not made: whatever it raises comes out. */
  run(interp,
      "import sys, tempfile\n"
      "folder = tempfile.TemporaryDirectory()\n"
      "sys.path.insert(0, folder.name)\n"
      "open(folder.name + '/broken.py', 'w').write('1 / 0')\n"
      "open(folder.name + '/needs.py', 'w').write('import nothing_like_it')");
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "ZeroDivisionError: division by zero",
        subpy_define(interp, "broken:f", SUBPY_AUTO_LEN, 0, add, NULL, NULL, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "ModuleNotFoundError: No module named 'nothing_like_it'",
        subpy_define(interp, "needs:f", SUBPY_AUTO_LEN, 0, add, NULL, NULL, &error));
  run(interp, "assert 'broken' not in sys.modules and 'needs' not in sys.modules\nfolder.cleanup()");
}

static void bad_definitions(subpy_interp interp) {
  const char *bad[] = {"", ":", "m:", ":f", "a.b", "m:f.g", "m:f:g", ".m:f", "m.:f", "a..b:f"};
  for (size_t i = 0; i < COUNT(bad); i++)
    FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...it must be \"name\" or \"package.module:name\"",
          subpy_define(interp, bad[i], SUBPY_AUTO_LEN, 0, add, NULL, NULL, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...it has a NUL", subpy_define(interp, "a\0b", 3, 0, add, NULL, NULL, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "name is NULL", subpy_define(interp, NULL, 1, 0, add, NULL, NULL, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...invalid UTF-8", subpy_define(interp, "\xff", 1, 0, add, NULL, NULL, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "fn is NULL", subpy_define(interp, "f", 1, 0, NULL, NULL, NULL, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...flags has unknown bits", subpy_define(interp, "f", 1, 4, add, NULL, NULL, &error));
  subpy_define_options options = {.size = sizeof options, .reserved = 1};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...reserved", subpy_define_with(interp, "f", 1, &options, add, NULL, NULL, &error));
  options = (subpy_define_options){.size = sizeof options, .flags = 8};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...flags has unknown bits",
        subpy_define_with(interp, "f", 1, &options, add, NULL, NULL, &error));
  options = (subpy_define_options){.size = 3};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...size is 3", subpy_define_with(interp, "f", 1, &options, add, NULL, NULL, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_define(77, "f", 1, 0, add, NULL, NULL, &error));
}

/* Recursion between Python and the host ends with a RecursionError, or the library's own word. */
static subpy_interp deep;

static void recurse(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)args, (void)nargs, (void)kwargs;
  subpy_error *failed = NULL;
  subpy_status status = subpy_exec(deep, "recurse()", SUBPY_AUTO_LEN, &failed);
  CHECK(status == SUBPY_ERROR_EXECUTION_FAILED || status == SUBPY_ERROR_WRONG_STATE);
  CHECK(subpy_context_raise(ctx, "RecursionError", SUBPY_AUTO_LEN, subpy_error_message(failed, NULL), SUBPY_AUTO_LEN) ==
        SUBPY_OK);
  subpy_error_free(failed);
}

static void recursion(subpy_interp interp) {
  deep = interp;
  define(interp, "recurse", recurse, NULL);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...RecursionError: ", subpy_exec(interp, "recurse()", SUBPY_AUTO_LEN, &error));
  run(interp, "sys.setrecursionlimit(100_000)");
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...RecursionError: ", subpy_exec(interp, "recurse()", SUBPY_AUTO_LEN, &error));
  run(interp, "assert add(1, 2) == 3");
}

int main(void) {
  for (int32_t gil = SUBPY_GIL_OWN; gil <= SUBPY_GIL_SHARED; gil++) {
    subpy_interp_options options = {.size = sizeof options, .gil = gil};
    subpy_interp interp = 0;
    OK(subpy_create(&options, &interp, &error));
    define(interp, "host:add", add, NULL);
    run(interp, "import host\nassert host.add(2, 3) == 5");
    values(interp);
    refused_arguments(interp);
    as_python_sees_it(interp);
    modules(interp);
    bad_definitions(interp);
    recursion(interp);
    OK(subpy_close(interp, &error));
  }
  subpy_interp main_one = 0;
  OK(subpy_get_main(&main_one, &error));
  define(main_one, "host:add", add, NULL);
  run(main_one, "import host, sys\nassert host.add(2, 3) == 5");
  define(main_one, "add", add, NULL);
  recursion(main_one);
  shut_down();
  return 0;
}
