/* The memory of interpreters: what they count, and what is left when it is given back. */
#include "guest.h"

enum { MIB = 1 << 20 };

static subpy_error *error;

static subpy_interp create_with(uint64_t flags, uint64_t limit) {
  subpy_interp interp = 0;
  subpy_interp_options options = {.size = sizeof options, .flags = flags, .memory_limit = limit};
  OK(subpy_create(&options, &interp, &error));
  return interp;
}

static subpy_memory_info memory(subpy_interp interp) {
  subpy_memory_info info = {.size = sizeof info};
  OK(subpy_memory(interp, &info, &error));
  CHECK(info.size == sizeof info && info.peak >= info.used);
  return info;
}

static bool is_about(uint64_t value, uint64_t wanted, uint64_t more) { return value >= wanted && value <= wanted + more; }

/* What is counted: each kind of memory that CPython has. */
static void what_is_counted(void) {
  subpy_interp interp = create_with(SUBPY_INTERP_COUNT_MEMORY, 0);
  subpy_memory_info new = memory(interp);
  CHECK(new.used > MIB && new.used < 8 * MIB && new.limit == 0 && new.refused == 0);
  static const struct {
    const char *name, *code;
    uint64_t size;
  } kinds[] = {
      {"large block", "kept = bytearray(50 << 20)", 50 * MIB},
      {"zeroed block", "kept = bytes(50 << 20)", 50 * MIB},
      {"grown block", "kept = bytearray()\nfor _ in range(50): kept.extend(bytes(1 << 20))", 50 * MIB},
      {"list", "kept = [None] * (50 << 17)", 50 * MIB},
      {"text", "kept = 'x' * (50 << 20)", 50 * MIB},
      {"blocks of 4 KiB", "kept = [bytes(4000) for _ in range(12800)]", 50 * MIB},
      {"small objects", "kept = [float(i) for i in range(50 << 15)]", 50 * MIB},
      {"frames", "import sys\nsys.setrecursionlimit(10**6)\ndef f(n):\n  yield from f(n - 1) if n else [0]\n"
                 "kept = [bytearray(1 << 20) for _ in range(50)]", 50 * MIB},
  };
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    uint64_t before = memory(interp).used;
    run(interp, kinds[i].code);
    uint64_t with = memory(interp).used;
    run(interp, "import gc\ndel kept\ngc.collect()");
    uint64_t after = memory(interp).used;
    fprintf(stderr, "%-16s %8.2f MiB, then %6.2f\n", kinds[i].name, (double)(int64_t)(with - before) / MIB, (double)(int64_t)(after - before) / MIB);
    (void)is_about;
  }
  run(interp, "for _ in range(20): x = bytearray(10 << 20)");
  fprintf(stderr, "%f %f peak %f\n", new.used / 1048576., memory(interp).used/1048576., memory(interp).peak/1048576.);
  OK(subpy_close(interp, &error));
  for (int i = 0; i < 30; i++) {
    interp = create_with(SUBPY_INTERP_COUNT_MEMORY, 0);
    fprintf(stderr, "%.3f ", memory(interp).used / 1048576.);
    OK(subpy_close(interp, &error));
  }
  fprintf(stderr, "\n");
}

static void limits(void) {
  subpy_interp interp = create_with(0, 32 * MIB);
  static const char *codes[] = {
    "x = bytearray(100 << 20)",
    "x = []\nwhile True: x.append(None)",
    "x = []\nwhile True: x.append([])",
    "x = {}\ni = 0\nwhile True:\n  x[i] = str(i); i += 1",
    "s = 'a'\nwhile True: s += s",
    "s = ''\nwhile True: s += 'abcdefghijklmnop'",
    "x = []\nwhile True: x.append(bytes(4000))",
    "x = list(range(10**8))",
    "x = [str(i) for i in range(10**8)]",
    "import sys\nsys.setrecursionlimit(10**8)\ndef f(n): return f(n + 1)\nf(0)",
    "import json\nx = json.loads('[' + ','.join(['{}'] * 1000000) + ']')",
    "import re\nx = re.findall('.', 'a' * 5000000)",
    "x = 1 << (10**9)",
    "x = 3\nwhile True: x *= x",
    "def g():\n  while True: yield [0]\nx = list(g())",
    "import threading\ndef f():\n  x = []\n  while True: x.append([])\nt = [threading.Thread(target=f) for _ in range(2)]\n[a.start() for a in t]; [a.join() for a in t]\nraise MemoryError",
    "x = [0] * 10**9",
    "x = []\ntry:\n  while True: x.append(object())\nexcept MemoryError:\n  del x\n  import decimal, email.message\n  raise",
    "x = set()\ni = 0\nwhile True:\n x.add((i,)); i += 1",
    "class A: pass\nx = []\nwhile True:\n a = A(); a.x = 1; x.append(a)",
    "x = None\nwhile True: x = (x,)",
    "from functools import reduce\nfrom itertools import repeat\nreduce(lambda a, b: (a, b), repeat(1))",
    "import collections, itertools\nx = collections.deque(itertools.repeat(b'', 10**9))",
    "import collections, itertools\nx = collections.deque(map(list, itertools.repeat((), 10**9)))",
    "import copy\nx = [[i] for i in range(100000)]\ny = [copy.deepcopy(x) for _ in range(100)]",
    "x = []\ndef g():\n  x.append(g)\n  def h(): return h\n  x.append(h)\nwhile True: g()",
    "import random\nx = []\nfor i in range(10**9):\n  x.append(random.random())",
    "x = '%0999999999d' % 1",
  };
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    subpy_memory_info before = memory(interp);
    subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EXEC, .text = codes[i], .text_len = SUBPY_AUTO_LEN, .timeout_ms=20000};
    subpy_status status = subpy_run(&request, NULL, &error);
    subpy_memory_info with = memory(interp);
    fprintf(stderr, "%-60.60s %s %s refused %d used %.1f peak %.1f\n", codes[i], subpy_status_name(status), status ? subpy_error_type_name(error, NULL) : "", (int)(with.refused - before.refused), with.used / 1048576., with.peak/1048576.);
    subpy_error_free(error);
    run(interp, "import gc\nx = s = y = a = i = t = f = None\ngc.collect()\ngc.collect()");
    fprintf(stderr, "   then %.2f\n", memory(interp).used/1048576.);
  }
  OK(subpy_close(interp, &error));
}

int main(void) {
  what_is_counted();
  limits();
  shut_down();
  return 0;
}
