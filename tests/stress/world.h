/* The slots of interpreters that tests/c/stress.c uses, and what may come of a call, given what was done there meanwhile. */
#ifndef WORLD_H
#define WORLD_H

#include <stdarg.h>
#include <stdatomic.h>
#include <sys/prctl.h>

#include "../c/closing.h"
#include "../c/deaths.h"
#include "../c/values.h"

enum { WORKERS = 16, SLOTS = 8, OUT = WORKERS };

/* What others do to the interpreter of a slot. */
enum { CLOSING, HITTING, KILLING, SPANS };

/* A call meets it when it has begun before the call ended, and had not ended when the call began. */
typedef struct {
  atomic_long begun, ended;
} span;

typedef struct {
  bool process;
  int32_t busy;
  bool hit;    /* what runs in it is interrupted now and then: then no thread of Python's may be in a lock */
  bool killed; /* its process is killed now and then */
  uint64_t flags;
  _Atomic subpy_interp interp;
  span spans[SPANS];
  pthread_mutex_t owner; /* of whoever closes, kills or replaces it */
} slot;

/* Code that an interrupt has stopped may leave a lock taken, and a thread of Python's that waits for it ends with its process
 * alone (docs/limits.md). So those of the host's process that are hit start none. */
static slot slots[SLOTS] = {
    {.busy = SUBPY_BUSY_WAIT, .hit = true},
    {.busy = SUBPY_BUSY_WAIT, .process = true, .hit = true, .killed = true},
    {.busy = SUBPY_BUSY_SHARE, .hit = true, .flags = SUBPY_INTERP_COUNT_MEMORY},
    {.busy = SUBPY_BUSY_SHARE, .process = true, .hit = true, .killed = true, .flags = SUBPY_INTERP_COUNT_MEMORY},
    {.busy = SUBPY_BUSY_REFUSE, .flags = SUBPY_INTERP_TAGGED_VALUES},
    {.busy = SUBPY_BUSY_REFUSE, .process = true, .killed = true, .flags = SUBPY_INTERP_TAGGED_VALUES},
    {.busy = SUBPY_BUSY_SHARE},
    {.busy = SUBPY_BUSY_SHARE, .process = true},
};

static bool may_start_threads(const slot *slot) { return slot->process || !slot->hit; }

static bool is_never_stopped(const slot *slot) { return !slot->hit && !slot->killed; }

/* A slot's interpreter for one call, and what had been done to it before. */
typedef struct watch {
  slot *slot;
  subpy_interp interp;
  long ended[SPANS];
  const struct watch *outer; /* of the run in whose host function this is */
} watch;

static uint64_t seed;
static _Thread_local int me = OUT;
static _Thread_local uint64_t state;
static _Thread_local const watch *inside;

/* What each thread does, for whoever asks why nothing happens. */
static struct {
  atomic_int act;
  atomic_long since; /* in milliseconds */
  _Atomic(const char *) call;
  atomic_int slot;
} doing[WORKERS + 1];

/* How often others were the reason that a call did not end by itself. */
static atomic_long excused[-SUBPY_ERROR_CRASHED + 1];

/* What was passed to the library with a function that is told of its end, and how often such were told. */
static atomic_long passed, told;

static inline void tells(void *unused) {
  (void)unused;
  told++;
}

static inline uint64_t scramble(uint64_t number) {
  number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
  return number ^ number >> 31;
}

static inline uint64_t draw(uint64_t below) {
  state += UINT64_C(0x9e3779b97f4a7c15);
  return scramble(state) % below;
}

__attribute__((format(printf, 1, 2), noreturn)) static inline void wrong(const char *format, ...) {
  static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&one); /* for good: one message is enough */
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "stress: seed %llu: thread %d: ", (unsigned long long)seed, me);
  vfprintf(stderr, format, arguments);
  fprintf(stderr, "\n");
  va_end(arguments);
  fflush(NULL);
  _exit(1);
}

/* ---- what meets a call ---- */

static inline void begins(slot *slot, int what) { slot->spans[what].begun++; }
static inline void ends(slot *slot, int what) { slot->spans[what].ended++; }

static inline watch look_at(slot *slot) {
  watch it = {.slot = slot, .outer = inside};
  for (int i = 0; i < SPANS; i++) it.ended[i] = slot->spans[i].ended;
  it.interp = slot->interp;
  return it;
}

static inline bool met(const watch *it, int what) { return it->slot->spans[what].begun != it->ended[what]; }

static inline bool is_inside(const slot *slot) {
  for (const watch *it = inside; it; it = it->outer)
    if (it->slot == slot) return true;
  return false;
}

/* Any slot; in a host function none in which it would have to wait for a turn: two that wait for each other would do so for
 * ever, as with any two locks. */
static inline watch some_slot(void) {
  slot *slot = &slots[draw(SLOTS)];
  if (inside && slot->busy == SUBPY_BUSY_WAIT && !is_inside(slot)) slot = inside->slot;
  return look_at(slot);
}

static inline watch some_slot_that(bool (*is_so)(const slot *)) {
  slot *slot;
  do slot = &slots[draw(SLOTS)];
  while (!is_so(slot) || (inside && slot->busy == SUBPY_BUSY_WAIT && !is_inside(slot)));
  return look_at(slot);
}

static inline bool may_have_come(const watch *it, subpy_status status) {
  switch (status) {
    case SUBPY_ERROR_NOT_FOUND:
      return met(it, CLOSING) || met(it, KILLING);
    case SUBPY_ERROR_BUSY:
      return it->slot->busy == SUBPY_BUSY_REFUSE || met(it, CLOSING);
    case SUBPY_ERROR_CRASHED:
      return it->slot->process && met(it, KILLING);
    case SUBPY_ERROR_INTERRUPTED:
      if (met(it, HITTING)) return true;
      return it->outer && (met(it->outer, KILLING) || may_have_come(it->outer, status));
    case SUBPY_ERROR_EXECUTION_FAILED:
      return met(it, HITTING) || (it->outer && may_have_come(it->outer, status)); /* code that was stopped has raised another */
    default:
      return false;
  }
}

/* Whether the call has ended as it does by itself. If it has not, others have ended it, and the error is freed; if nobody
 * can have, that is the end of the program. */
static inline bool came(const watch *it, const char *call, int line, subpy_status status, subpy_status wanted,
                        subpy_error **error) {
  doing[me].call = NULL;
  if (status == wanted) return true;
  if (!may_have_come(it, status)) {
    const char *display = subpy_error_display(*error, NULL);
    wrong("line %d: slot %d: %s is %s, not %s: %s\n%s", line, (int)(it->slot - slots), call, subpy_status_name(status),
          subpy_status_name(wanted), *error ? subpy_error_message(*error, NULL) : "(no error)", display ? display : "");
  }
  excused[-status]++;
  subpy_error_free(*error);
  *error = NULL;
  return false;
}

static inline void says(const slot *slot, const char *call) {
  doing[me].slot = (int)(slot - slots);
  doing[me].call = call;
}

#define CALL(it, call_) (says((it)->slot, #call_), call_)
#define DO(it, wanted, call_) came(it, #call_, __LINE__, CALL(it, call_), wanted, &error)

#define MUST(condition, ...)                 \
  do {                                       \
    if (!(condition)) wrong(__VA_ARGS__);    \
  } while (0)

static inline subpy_run_request request_in(const watch *it, int32_t what, const char *text) {
  return (subpy_run_request){.size = sizeof(subpy_run_request), .interp = it->interp, .what = what, .text = text,
                             .text_len = SUBPY_AUTO_LEN};
}

/* ---- interpreters ---- */

static subpy_queue queues[2];

/* What is imported here is not imported while something may be hit. */
static const char setup[] =
    "import asyncio, ctypes, json, os, re, threading, time, traceback\n"
    "local = threading.local()\n"
    "def add(a, b): return a + b\n"
    "def echo(*args, **kwargs): return [list(args), kwargs]\n"
    "def fail(text): raise ValueError(text)\n"
    "def deep(n): return deep(n - 1) if n else 1 / 0\n"
    "def divide(a, b): return a // b\n"
    "def nest(address, depth):\n"
    "    return ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(address)(depth)\n"
    "def give(depth): return host(depth)\n"
    "def spin():\n"
    "    while True: pass\n"
    "def nap():\n"
    "    while True: time.sleep(0.001)\n"
    "def in_threads(function, n):\n"
    "    done = []\n"
    "    def one(i): done.append(function(i))\n"
    "    threads = [threading.Thread(target=one, args=(i,)) for i in range(n)]\n"
    "    for thread in threads: thread.start()\n"
    "    for thread in threads: thread.join()\n"
    "    return sorted(done)\n"
    "def threads(n): return in_threads(lambda i: json.loads(json.dumps([i] * 100))[0], n)\n"
    "def threads_call(n): return in_threads(lambda i: host(-i), n)\n"
    "def leave_thread(): threading.Thread(target=sum, args=(range(10_000),)).start()\n"
    "def leave_timer(): threading.Timer(0.01, int).start()\n"
    "def pooled(n):\n"
    "    from concurrent.futures import ThreadPoolExecutor\n"
    "    with ThreadPoolExecutor(2) as pool: return list(pool.map(lambda i: i * i, range(n)))\n"
    "def cycle():\n"
    "    class Node: pass\n"
    "    a, b = Node(), Node(); a.b, b.a = b, a\n"
    "    return [str(i) for i in range(200)]\n"
    "def total(buffer): return sum(buffer)\n"
    "def fill(buffer, byte): buffer[:] = bytes([byte]) * len(buffer); return len(buffer)\n"
    "def noise(n):\n"
    "    for i in range(n): print('line', i)\n"
    "def generate(n): yield from range(n)\n"
    "class Thing:\n"
    "    def __init__(self, n): self.n = n\n"
    "    def times(self, m): return self.n * m\n"
    "class Bad(Exception):\n"
    "    def __str__(self): raise TypeError\n"
    "async def gathers(n):\n"
    "    async def one(i):\n"
    "        await asyncio.sleep(0)\n"
    "        return i\n"
    "    return sum(await asyncio.gather(*(one(i) for i in range(n))))\n"
    "async def waits(): await asyncio.sleep(3600)\n"
    "async def leaves():\n"
    "    asyncio.get_running_loop().create_task(asyncio.sleep(3600))\n"
    "    return 1\n"
    "async def raises(): raise LookupError('async')\n"
    "def move(n):\n"
    "    import subpy_queues\n"
    "    moved = 0\n"
    "    for i in range(n):\n"
    "        try: item = q0.get(timeout=0.001)\n"
    "        except subpy_queues.QueueEmpty: break\n"
    "        q1.put(item)\n"
    "        moved += 1\n"
    "    return moved\n";

/* What is printed with no other place to go to: by threads that were stopped, say. */
static inline void swallow(void *userdata, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  (void)userdata, (void)interp, (void)stream, (void)text;
  MUST(len > 0, "empty output");
}

static void back(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs);

static inline subpy_interp new_one(const slot *like) {
  subpy_error *error = NULL;
  subpy_interp interp = 0;
  subpy_interp_options options = {.size = sizeof options, .busy = like->busy, .flags = like->flags};
  /* None is killed because it takes long to be stopped: the machine may have other things to do. */
  if (like->process) options.flags |= SUBPY_INTERP_PROCESS, options.grace_ms = 60000;
  OK(subpy_create(&options, &interp, &error));
  passed++;
  OK(subpy_set_output(interp, swallow, NULL, tells, &error));
  passed++;
  OK(subpy_define(interp, "host", SUBPY_AUTO_LEN, 0, back, NULL, tells, &error));
  subpy_pair pairs[] = {{TEXT("q0"), subpy_value_from_queue(queues[0])}, {TEXT("q1"), subpy_value_from_queue(queues[1])}};
  subpy_value names = subpy_dict(pairs, 2);
  OK(subpy_prepare_main(interp, &names, &error));
  run(interp, setup);
  return interp;
}

#endif
