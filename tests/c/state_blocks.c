/* The blocks that threads keep for thread states, in a process whose host counts what CPython gets from its allocator:
 * they are kept, they are zero, and no other block is taken for one. */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

#include "child.h"
#include "guest.h"
#include "host.h"

/* Include/cpython/pymem.h */
typedef struct {
  void *ctx;
  void *(*malloc)(void *ctx, size_t size);
  void *(*calloc)(void *ctx, size_t count, size_t size);
  void *(*realloc)(void *ctx, void *block, size_t size);
  void (*free)(void *ctx, void *block);
} allocator;
enum { RAW };

static void (*get_allocator)(int domain, allocator *), (*set_allocator)(int domain, allocator *);
static void *(*raw_malloc)(size_t), *(*raw_calloc)(size_t, size_t), *(*raw_realloc)(void *, size_t);
static void (*raw_free)(void *);

static subpy_interp interp;
/* Of a thread state's block. */
static size_t size;

static void find_functions(void) {
  *(void **)&get_allocator = symbol("PyMem_GetAllocator");
  *(void **)&set_allocator = symbol("PyMem_SetAllocator");
  *(void **)&raw_malloc = symbol("PyMem_RawMalloc");
  *(void **)&raw_calloc = symbol("PyMem_RawCalloc");
  *(void **)&raw_realloc = symbol("PyMem_RawRealloc");
  *(void **)&raw_free = symbol("PyMem_RawFree");
}

/* ---- an allocator of the host's: it passes on and counts ---- */

typedef struct {
  allocator below;
  atomic_size_t callocs;
  atomic_size_t last;
} counter;

static counter under, above;

static void *count_malloc(void *ctx, size_t bytes) {
  counter *counter = ctx;
  return counter->below.malloc(counter->below.ctx, bytes);
}

static void *count_calloc(void *ctx, size_t count, size_t bytes) {
  counter *counter = ctx;
  counter->callocs++;
  counter->last = count * bytes;
  return counter->below.calloc(counter->below.ctx, count, bytes);
}

static void *count_realloc(void *ctx, void *block, size_t bytes) {
  counter *counter = ctx;
  return counter->below.realloc(counter->below.ctx, block, bytes);
}

static void count_free(void *ctx, void *block) {
  counter *counter = ctx;
  counter->below.free(counter->below.ctx, block);
}

static void count_with(counter *counter) {
  get_allocator(RAW, &counter->below);
  allocator counting = {counter, count_malloc, count_calloc, count_realloc, count_free};
  set_allocator(RAW, &counting);
}

/* ---- what is looked at ---- */

static void call(void) {
  subpy_error *error = NULL;
  OK(subpy_call(interp, "nothing", SUBPY_AUTO_LEN, NULL, 0, NULL, NULL, &error));
}

static void make_interp(void) {
  interp = create();
  run(interp, "def nothing(): pass");
  call();
}

/* A call gets one block, and that is the thread's own. */
static void are_kept(void) {
  size_t from_host = under.callocs, asked = above.callocs;
  for (int i = 0; i < 1000; i++) call();
  CHECK(above.callocs - asked == 1000);
  CHECK(under.callocs - from_host == 0);
  size = above.last;
}

static void are_zero(void) {
  for (int i = 0; i < 10; i++) {
    unsigned char *block = raw_calloc(1, size);
    CHECK(block);
    for (size_t at = 0; at < size; at++) CHECK(block[at] == 0);
    memset(block, 0xff, size);
    raw_free(block);
  }
}

enum { BLOCKS = 64 };

/* As many as nobody keeps: each has room for a thread state. */
static void all_have_room(void) {
  void *blocks[BLOCKS];
  for (int i = 0; i < BLOCKS; i++) {
    blocks[i] = raw_calloc(1, size);
    CHECK(blocks[i] && malloc_usable_size(blocks[i]) >= size);
    memset(blocks[i], 0xff, size);
  }
  for (int i = 0; i < BLOCKS; i++) raw_free(blocks[i]);
}

static void *free_all(void *blocks) {
  for (int i = 0; i < BLOCKS; i++) raw_free(((void **)blocks)[i]);
  return NULL;
}

/* Small blocks, in the memory where the others were. */
static void *small_ones(void *unused) {
  (void)unused;
  enum { MANY = 20 * BLOCKS };
  static _Thread_local void *blocks[MANY];
  for (int i = 0; i < MANY; i++) CHECK(blocks[i] = raw_malloc(24));
  for (int i = 0; i < MANY; i++) raw_free(blocks[i]);
  return NULL;
}

static void on_another_thread(void *(*work)(void *), void *argument) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, work, argument) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
}

/* Blocks that another thread frees, which keeps some of them until its end. */
static void freed_by_another_thread(void) {
  void *blocks[BLOCKS];
  for (int i = 0; i < BLOCKS; i++) CHECK(blocks[i] = raw_calloc(1, size));
  on_another_thread(free_all, blocks);
  small_ones(NULL);
  all_have_room();
  on_another_thread(small_ones, NULL);
  all_have_room();
  call();
}

/* A block that has become smaller is no longer one. */
static void made_smaller(void) {
  void *blocks[BLOCKS];
  for (int i = 0; i < BLOCKS; i++) CHECK((blocks[i] = raw_calloc(1, size)) && (blocks[i] = raw_realloc(blocks[i], 24)));
  for (int i = 0; i < BLOCKS; i++) raw_free(blocks[i]);
  all_have_room();
  raw_free(NULL);
  raw_free(raw_realloc(NULL, 24));
  raw_free(raw_calloc(0, 0));
  call();
}

/* Threads that end give back what they kept. */
static void *calls_and_closes(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  call();
  subpy_interp mine = create();
  OK(subpy_enter(mine, &error));
  run(mine, "import threading\nt = threading.Thread(target=sum, args=([],))\nt.start()\nt.join()");
  OK(subpy_leave(mine, &error));
  OK(subpy_close(mine, &error));
  return NULL;
}

static void threads_come_and_go(void) {
  for (int i = 0; i < 20; i++) on_another_thread(calls_and_closes, NULL);
  all_have_room();
}

/* The host has started CPython, and its allocator is below that of the library; another one comes above it later. */
static void in_a_host(void) {
  load_python();
  find_functions();
  void (*initialize)(int);
  void *(*save)(void);
  *(void **)&initialize = symbol("Py_InitializeEx");
  *(void **)&save = symbol("PyEval_SaveThread");
  initialize(0);
  count_with(&under);
  save();
  make_interp();
  count_with(&above);
  are_kept();
  are_zero();
  freed_by_another_thread();
  made_smaller();
  threads_come_and_go();
  /* Another start finds its allocator below the host's, and leaves it there. */
  subpy_error *error = NULL;
  OK(subpy_shutdown(&error));
  make_interp();
  are_kept();
  are_zero();
  freed_by_another_thread();
}

/* The size, by a counter that is there for one call. */
static void find_size(void) {
  count_with(&above);
  size_t asked = above.callocs;
  call();
  CHECK(above.callocs == asked + 1);
  size = above.last;
  set_allocator(RAW, &above.below);
}

/* tracemalloc puts its hooks above the library's and takes them away again. It runs only as long as main is alone. */
static void under_tracemalloc(void) {
  subpy_error *error = NULL;
  OK(subpy_get_main(&interp, &error));
  run(interp, "def nothing(): pass\n"
              "import tracemalloc");
  find_functions();
  find_size();
  for (int i = 0; i < 3; i++) {
    run(interp, "tracemalloc.start()");
    CHECK(number(interp, "tracemalloc.is_tracing()"));
    call();
    freed_by_another_thread();
    made_smaller();
    run(interp, "tracemalloc.stop()");
    call();
    freed_by_another_thread();
  }
}

/* CPython's debug allocator has blocks of its own with room around them. */
static void with_debug_hooks(void) {
  CHECK(setenv("PYTHONMALLOC", "debug", 1) == 0);
  subpy_error *error = NULL;
  subpy_runtime_options options = {.size = sizeof options, .flags = SUBPY_RUNTIME_USE_ENVIRONMENT};
  OK(subpy_init(&options, &error));
  make_interp();
  run(interp, "import sys; assert not sys.flags.ignore_environment");
  for (int i = 0; i < 5; i++) on_another_thread(calls_and_closes, NULL);
  call();
  for (int i = 0; i < 2; i++) {
    OK(subpy_shutdown(&error));
    OK(subpy_init(&options, &error));
    make_interp();
  }
}

/* CPython takes the allocator away when it is initialised again. */
static void after_a_restart(void) {
  subpy_error *error = NULL;
  for (int i = 0; i < 3; i++) {
    make_interp();
    find_functions();
    find_size();
    are_zero();
    freed_by_another_thread();
    made_smaller();
    threads_come_and_go();
    OK(subpy_shutdown(&error));
  }
}

int main(void) {
  find_python();
  EXPECT(in_a_host, "", "");
  EXPECT(under_tracemalloc, "", "");
  EXPECT(with_debug_hooks, "", "");
  EXPECT(after_a_restart, "", "");
  return 0;
}
