/* The memory that interpreters count: what they take, what they give back, and whose it is. */
#include "child.h"
#include "host.h"
#include "memory.h"

static subpy_error *error;

static uint64_t used(subpy_interp interp) { return memory(interp).used; }

/* Each kind of memory that CPython has is there, and gone again. */
static void what_is_counted(void) {
  subpy_interp interp = create_counting();
  subpy_memory_info new = memory(interp);
  CHECK(new.used > MIB && new.used < 10 * MIB && new.limit == 0 && new.refused == 0);
  run(interp, "import gc, array, bz2, decimal, zlib");
  static const char *const kinds[] = {
      "kept = bytearray(50 << 20)",
      "kept = bytes(50 << 20)",
      "kept = bytearray()\nfor _ in range(50): kept.extend(bytes(1 << 20))",
      "kept = bytearray(100 << 20)\ndel kept[50 << 20:]",
      "kept = [None] * (50 << 17)",
      "kept = 'x' * (50 << 20)",
      "kept = [bytes(4000) for _ in range(12800)]",
      "kept = [float(i) for i in range(50 << 15)]",
      "kept = {i: (i,) for i in range(600000)}",
      "kept = array.array('d', bytes(50 << 20))",
      "kept = 1 << (8 * (50 << 20))",
      "kept = decimal.Decimal('1' * 120_000_000)",
      "kept = [zlib.compressobj() for _ in range(200)]",
      "kept = [bz2.BZ2Compressor(9) for _ in range(7)]",
  };
  run(interp, kinds[0]);
  run(interp, "del kept");
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    uint64_t before = used(interp);
    run(interp, kinds[i]);
    uint64_t more = used(interp) - before;
    run(interp, "del kept\ngc.collect()");
    uint64_t left = used(interp) - before;
    if (more < 45 * MIB || more > 110 * MIB || (int64_t)left > (int64_t)(3 * MIB)) {
      fprintf(stderr, "%s: %.1f MiB more, then %.1f\n", kinds[i], (double)more / (double)MIB,
              (double)(int64_t)left / (double)MIB);
      exit(1);
    }
  }
  CHECK(memory(interp).peak > 100 * MIB && memory(interp).refused == 0);
  OK(subpy_close(interp, &error));
}

/* Frames are in blocks of their own. */
static void deep_recursion(void) {
  subpy_interp interp = create_counting();
  uint64_t before = memory(interp).peak;
  run(interp, "import sys\nsys.setrecursionlimit(10**6)\ndef f(n): return f(n - 1) if n else 0\nf(500_000)");
  CHECK(memory(interp).peak > before + 20 * MIB);
  CHECK(used(interp) < before + 3 * MIB);
  OK(subpy_close(interp, &error));
}

static void threads_of_python(void) {
  subpy_interp interp = create_counting();
  uint64_t before = used(interp);
  run(interp, "import threading\n"
              "kept = []\n"
              "def f(): kept.extend(bytearray(5 << 20) for _ in range(5))\n"
              "threads = [threading.Thread(target=f) for _ in range(2)]\n"
              "for t in threads: t.start()\n"
              "for t in threads: t.join()\n");
  CHECK(used(interp) > before + 50 * MIB && used(interp) < before + 56 * MIB);
  OK(subpy_close(interp, &error));
}

/* Others neither count nor are counted. */
static void whose_it_is(void) {
  subpy_interp one = create_counting(), other = create_counting(), none = create();
  uint64_t of_one = used(one), of_other = used(other);
  run(none, "kept = [bytearray(1000) for _ in range(50000)]");
  CHECK(used(one) == of_one && used(other) == of_other);
  run(one, "kept = [bytearray(1000) for _ in range(50000)]");
  CHECK(used(one) > of_one + 45 * MIB && used(other) == of_other);
  of_one = used(one);
  run(none, "del kept");
  CHECK(used(one) == of_one && used(other) == of_other);
  FAILS(SUBPY_ERROR_WRONG_STATE,
        "the interpreter's memory is not counted: that takes SUBPY_INTERP_COUNT_MEMORY or a memory_limit",
        subpy_memory(none, &(subpy_memory_info){.size = sizeof(subpy_memory_info)}, &error));
  OK(subpy_close(none, &error));
  OK(subpy_close(other, &error));
  CHECK(used(one) == of_one);
  OK(subpy_close(one, &error));
}

static subpy_interp inner;

static void runs_inside(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs,
                        const subpy_value *kwargs) {
  (void)ctx, (void)userdata, (void)args, (void)nargs, (void)kwargs;
  run(inner, "kept = [bytearray(1000) for _ in range(20000)]");
}

/* A thread that goes from one interpreter into another. */
static void one_inside_the_other(void) {
  subpy_interp outer = create_counting();
  inner = create_counting();
  OK(subpy_define(outer, "inside", SUBPY_AUTO_LEN, 0, runs_inside, NULL, NULL, &error));
  uint64_t of_outer = used(outer), of_inner = used(inner);
  run(outer, "inside()");
  CHECK(used(inner) > of_inner + 18 * MIB && used(outer) < of_outer + MIB);
  OK(subpy_close(inner, &error));
  run(outer, "kept = [bytearray(1000) for _ in range(20000)]");
  CHECK(used(outer) > of_outer + 18 * MIB);
  OK(subpy_close(outer, &error));
}

/* What an interpreter has used is nothing to the next one. */
static void one_after_the_other(void) {
  uint64_t first = 0;
  for (int i = 0; i < 30; i++) {
    subpy_interp interp = create_counting();
    subpy_memory_info new = memory(interp);
    if (i == 10) first = new.used;
    CHECK(new.peak < new.used + 2 * MIB);
    if (i > 10) CHECK(new.used < first + MIB / 4 && new.used > first - MIB / 4);
    run(interp, "kept = bytearray(20 << 20)");
    OK(subpy_close(interp, &error));
  }
}

static void the_struct(void) {
  subpy_interp interp = create_counting(), main_one = 0;
  struct {
    subpy_memory_info info;
    uint64_t more;
  } newer = {.info = {.size = sizeof newer}, .more = 7};
  OK(subpy_memory(interp, &newer.info, &error));
  CHECK(newer.info.size == sizeof newer && newer.info.used > 0 && newer.more == 0);
  newer.info.size = 8;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "subpy_memory_info.size is 8, set it to sizeof(subpy_memory_info)",
        subpy_memory(interp, &newer.info, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "info is NULL", subpy_memory(interp, NULL, &error));
  OK(subpy_get_main(&main_one, &error));
  newer.info.size = sizeof newer;
  FAILS(SUBPY_ERROR_WRONG_STATE, "...is not counted", subpy_memory(main_one, &newer.info, &error));
  CHECK(newer.info.size == sizeof newer && newer.info.used == 0);
  OK(subpy_close(interp, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...unrecognized interpreter", subpy_memory(interp, &newer.info, &error));
  subpy_interp_options options = {.size = sizeof options, .gil = SUBPY_GIL_SHARED, .flags = SUBPY_INTERP_COUNT_MEMORY};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...need SUBPY_GIL_OWN", subpy_create(&options, &interp, &error));
  options = (subpy_interp_options){.size = sizeof options, .memory_limit = 1};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...memory_limit is 1, and a new interpreter uses",
        subpy_create(&options, &interp, &error));
  CHECK(interp == 0);
}

static void counts(void) {
  what_is_counted();
  deep_recursion();
  threads_of_python();
  whose_it_is();
  one_inside_the_other();
  one_after_the_other();
  the_struct();
  shut_down();
}

/* CPython takes the allocator away when it is initialised again. */
static void after_a_restart(void) {
  for (int i = 0; i < 3; i++) {
    subpy_interp interp = create_counting();
    uint64_t before = used(interp);
    run(interp, "kept = bytearray(20 << 20)");
    CHECK(used(interp) >= before + 20 * MIB);
    if (i == 1) OK(subpy_close(interp, &error));
    shut_down();
  }
}

/* Blocks from before, of a Python that a host has started, are not taken for counted ones. */
static void in_a_host(void) {
  load_python();
  void (*initialize)(int);
  void *(*save)(void);
  void (*restore)(void *);
  int (*simple)(const char *);
  *(void **)&initialize = symbol("Py_InitializeEx");
  *(void **)&save = symbol("PyEval_SaveThread");
  *(void **)&restore = symbol("PyEval_RestoreThread");
  *(void **)&simple = symbol("PyRun_SimpleString");
  initialize(0);
  CHECK(simple("kept = [bytearray(1000) for _ in range(50000)]") == 0);
  void *state = save();
  subpy_interp interp = create_counting();
  uint64_t before = used(interp);
  restore(state);
  CHECK(simple("for i, one in enumerate(kept): one.extend(bytes(i % 1000))") == 0);
  CHECK(simple("del kept") == 0);
  state = save();
  CHECK(used(interp) == before);
  run(interp, "kept = [bytearray(1000) for _ in range(50000)]");
  CHECK(used(interp) > before + 45 * MIB);
  OK(subpy_close(interp, &error));
}

/* Where blocks are not malloc()'s nothing is counted, and it is said. */
static void with_debug_hooks(void) {
  CHECK(setenv("PYTHONMALLOC", "debug", 1) == 0);
  subpy_runtime_options runtime = {.size = sizeof runtime, .flags = SUBPY_RUNTIME_USE_ENVIRONMENT};
  OK(subpy_init(&runtime, &error));
  subpy_interp interp = 0;
  subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_COUNT_MEMORY};
  FAILS(SUBPY_ERROR_WRONG_STATE, "...memory cannot be counted: CPython's allocator is not malloc()",
        subpy_create(&options, &interp, &error));
  OK(subpy_close(create(), &error));
}

/* It keeps objects of all interpreters in one table: with more than main, what looks at it stands still. */
static void under_tracemalloc(void) {
  subpy_interp main_one = 0, interp = 0;
  OK(subpy_get_main(&main_one, &error));
  for (int i = 0; i < 2; i++) {
    run(main_one, "import tracemalloc\n"
                  "tracemalloc.start()\n"
                  "kept = bytearray(1000)");
    subpy_interp_options options = {.size = sizeof options};
    for (int counts = 0; counts < 2; counts++) {
      options.flags = counts ? SUBPY_INTERP_COUNT_MEMORY : 0;
      FAILS(SUBPY_ERROR_WRONG_STATE, "...tracemalloc", subpy_create(&options, &interp, &error));
    }
    options.flags = SUBPY_INTERP_PROCESS;
    OK(subpy_create(&options, &interp, &error));
    run(interp, "import tracemalloc; tracemalloc.start(); tracemalloc.take_snapshot()");
    OK(subpy_close(interp, &error));
    run(main_one, "assert tracemalloc.get_object_traceback(kept)\n"
                  "tracemalloc.take_snapshot()\n"
                  "tracemalloc.stop()");
    interp = create_counting();
    FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...do not work while other interpreters are open",
          subpy_exec(main_one, "tracemalloc.start()", SUBPY_AUTO_LEN, &error));
    CHECK(!number(main_one, "tracemalloc.is_tracing()"));
    OK(subpy_close(interp, &error));
    options.flags = SUBPY_INTERP_NO_EXTENSION_CHECK;
    options.gil = SUBPY_GIL_SHARED;
    OK(subpy_create(&options, &interp, &error));
    FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...do not work while other interpreters are open",
          subpy_exec(interp, "import tracemalloc; tracemalloc.start()", SUBPY_AUTO_LEN, &error));
    OK(subpy_close(interp, &error));
  }
}

int main(void) {
  find_python();
  EXPECT(counts, "", "");
  EXPECT(after_a_restart, "", "");
  EXPECT(in_a_host, "", "");
  EXPECT(with_debug_hooks, "", "");
  EXPECT(under_tracemalloc, "", "");
  return 0;
}
