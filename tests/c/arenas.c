/* The blocks that the library keeps from CPython's arena allocator, in a process whose host has one of its own. */
#include <pthread.h>
#include <stdatomic.h>

#include "child.h"
#include "guest.h"
#include "host.h"

/* Include/cpython/objimpl.h */
typedef struct {
  void *ctx;
  void *(*alloc)(void *ctx, size_t size);
  void (*free)(void *ctx, void *block, size_t size);
} allocator;

static void (*get_allocator)(allocator *), (*set_allocator)(allocator *);
static void (*initialize)(int);
static int (*finalize)(void);
static void *(*save)(void);
static void (*restore)(void *);

static void start_host(void) {
  load_python();
  *(void **)&get_allocator = symbol("PyObject_GetArenaAllocator");
  *(void **)&set_allocator = symbol("PyObject_SetArenaAllocator");
  *(void **)&initialize = symbol("Py_InitializeEx");
  *(void **)&finalize = symbol("Py_FinalizeEx");
  *(void **)&save = symbol("PyEval_SaveThread");
  *(void **)&restore = symbol("PyEval_RestoreThread");
  initialize(0);
}

/* ---- the host's allocator: it knows its blocks ---- */

typedef struct {
  allocator below;
  pthread_mutex_t lock;
  void *blocks[4096];
  size_t count, allocs, foreign;
} registry;

static registry first, second;

static void *register_alloc(void *ctx, size_t size) {
  registry *registry = ctx;
  void *block = registry->below.alloc(registry->below.ctx, size);
  pthread_mutex_lock(&registry->lock);
  CHECK(registry->count < sizeof registry->blocks / sizeof *registry->blocks);
  if (block) registry->blocks[registry->count++] = block;
  registry->allocs++;
  pthread_mutex_unlock(&registry->lock);
  return block;
}

static void register_free(void *ctx, void *block, size_t size) {
  registry *registry = ctx;
  if (!block) return;
  pthread_mutex_lock(&registry->lock);
  size_t at = 0;
  while (at < registry->count && registry->blocks[at] != block) at++;
  if (at < registry->count)
    registry->blocks[at] = registry->blocks[--registry->count];
  else
    registry->foreign++;
  pthread_mutex_unlock(&registry->lock);
  registry->below.free(registry->below.ctx, block, size);
}

static void register_with(registry *registry) {
  get_allocator(&registry->below);
  pthread_mutex_init(&registry->lock, NULL);
  allocator mine = {registry, register_alloc, register_free};
  set_allocator(&mine);
}

static bool is_in_front(const registry *registry) {
  allocator now;
  get_allocator(&now);
  return now.ctx == registry && now.alloc == register_alloc && now.free == register_free;
}

/* ---- what uses them ---- */

static void *calls(void *argument) {
  subpy_interp interp = *(subpy_interp *)argument;
  run(interp, "x = [[i] for i in range(100_000)]\ndel x");
  return NULL;
}

static void use_interpreters(void) {
  subpy_error *error = NULL;
  for (int i = 0; i < 6; i++) {
    subpy_interp interps[2] = {create(), create()};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, calls, &interps[0]) == 0);
    calls(&interps[1]);
    CHECK(pthread_join(thread, NULL) == 0);
    for (int j = 0; j < 2; j++) OK(subpy_close(interps[j], &error));
  }
}

/* Another start finds the host's allocator above the library's, and leaves it there. */
static void above(void) {
  start_host();
  save();
  use_interpreters();
  shut_down();
  register_with(&first);
  use_interpreters();
  CHECK(is_in_front(&first) && first.allocs > 0);
  size_t before = first.count;
  for (int i = 0; i < 3; i++) {
    use_interpreters();
    shut_down();
    CHECK(is_in_front(&first));
  }
  CHECK(first.count <= before + 2);
}

/* The host starts CPython again with another allocator, which is not the one that the library knows. */
static void another_in_the_next_life(void) {
  start_host();
  register_with(&first);
  void *state = save();
  use_interpreters();
  CHECK(first.allocs > 0);
  shut_down();
  restore(state);
  CHECK(finalize() == 0);
  initialize(0);
  register_with(&second);
  state = save();
  use_interpreters();
  shut_down();
  CHECK(second.allocs > 0);
  restore(state);
  size_t allocs = first.allocs;
  CHECK(finalize() == 0);
  CHECK(first.allocs == allocs);
}

int main(void) {
  find_python();
  EXPECT(above, "", "");
  EXPECT(another_in_the_next_life, "", "");
  return 0;
}
