/* What the driver of races writes down: each call, when it began and ended, and what came of it. */
#ifndef RECORD_H
#define RECORD_H

#include <stdarg.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "../c/deaths.h"

enum { MOST_THREADS = 8, CALLS = 1500, OUT = MOST_THREADS };

typedef enum {
  CREATE, ASK, USE, RUN, START, JOIN, WAIT, FREE, KEEP, FIRE, INTERRUPT, ENTER, LEAVE, STAY, PUT, GET, QUEUE_CLOSE, MEMORY,
  OUTPUT, CLOSE, SHUTDOWN, DESTROY, POOL_NEW, SUBMIT, MAP, POOL_CLOSE, WHATS
} what;

static const char *const WHAT[WHATS] = {
    "create", "ask", "use", "run", "start", "join", "wait", "free", "keep", "fire", "interrupt", "enter", "leave", "stay",
    "put", "get", "queue_close", "memory", "set_output", "close", "shutdown", "destroy", "pool_new", "submit", "map",
    "pool_close"};

/* How it was done. */
enum {
  LIMITED = 1,    /* with a time limit */
  RAISES = 2,     /* the code raises a ValueError */
  ENDLESS = 4,    /* the code ends when it is stopped */
  THREADS = 8,    /* the code starts threads of Python's */
  KILLS = 16,     /* the code ends its process */
  DRAINS = 32,    /* a close within a time */
  INTERRUPTS = 64,
  ENDING = 128,   /* in a destructor of a thread */
  OBJECTS = 256,  /* with an object of any interpreter among the arguments */
  TAKES = 512,    /* the code takes an item out of a queue */
  FOREIGN = 1024, /* nothing is known of the interpreter but its handle */
  POOLED = 2048,  /* a task of a pool */
  AGAIN = 4096,   /* by a thread that is in a session there */
};

/* An interpreter, as far as those need to know who use it. */
typedef struct {
  subpy_interp interp;
  uint64_t me; /* what ME is there */
  int32_t policy;
  bool process, counts, has_limit;
} home;

typedef struct {
  what what;
  subpy_status status;
  int thread, outer; /* the call in whose host function it was made: where that is in the thread's log, or -1 */
  uint32_t how;
  uint64_t begin, end; /* of the clock */
  uint64_t on, via, token, made;
  home home;
  _Atomic uint64_t until; /* when the run that was started has ended */
  int64_t value;
  bool lost; /* the thread's handle itself was not found */
  char said[160];
} record;

static uint64_t seed, now_in_round;
static _Atomic uint64_t clock_now;
static record logs[MOST_THREADS + 1][CALLS];
static atomic_int logged[MOST_THREADS + 1];
static FILE *report;

/* What a thread knows of itself. */
static _Thread_local uint64_t state;
static _Thread_local int me, inside = -1, depth;
static _Thread_local bool ending;

static uint64_t draw(uint64_t below) {
  uint64_t next = state += UINT64_C(0x9E3779B97F4A7C15);
  next = (next ^ (next >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  next = (next ^ (next >> 27)) * UINT64_C(0x94D049BB133111EB);
  return (next ^ (next >> 31)) % below;
}

static uint64_t tick(void) { return ++clock_now; }

static void show(const record *it) {
  fprintf(report, "  %6llu-%-6llu %d%*s %-10s on %llx via %llx token %llx made %llx how %x: %s %s\n",
          (unsigned long long)it->begin, (unsigned long long)it->end, it->thread, it->outer >= 0 ? 2 : 0, "", WHAT[it->what],
          (unsigned long long)it->on, (unsigned long long)it->via, (unsigned long long)it->token,
          (unsigned long long)it->made, (unsigned)it->how, it->end ? subpy_status_name(it->status) : "(goes on)", it->said);
}

static void show_unfinished(void) {
  for (int i = 0; i <= OUT; i++)
    for (int j = 0; j < logged[i]; j++)
      if (!logs[i][j].end) show(&logs[i][j]);
}

/* The end of everything: says what is wrong, and how to have it again. */
__attribute__((format(printf, 2, 3), noreturn)) static void wrong(const record *it, const char *text, ...) {
  static atomic_bool said;
  while (atomic_exchange(&said, true)) pause();
  fprintf(report, "races: seed %llu, round %llu: ", (unsigned long long)seed, (unsigned long long)now_in_round);
  va_list arguments;
  va_start(arguments, text);
  vfprintf(report, text, arguments);
  va_end(arguments);
  fputc('\n', report);
  if (it) {
    show(it);
    fprintf(report, " beside it, and what else was done there:\n");
    for (uint64_t at = 0; at < it->end; at++)
      for (int i = 0; i <= OUT; i++) {
        /* In the order of time, each thread's own calls are in it already. */
        static int next[OUT + 1];
        if (next[i] >= logged[i] || logs[i][next[i]].begin > at) continue;
        const record *other = &logs[i][next[i]++];
        bool meets = other->begin < it->end && (it->begin < other->end || !other->end || it->begin < other->until);
        bool same = other->on == it->on || (it->made && other->on == it->made) || (other->made && other->made == it->on) ||
                    other->what == SHUTDOWN || (it->via && (other->on == it->via || other->made == it->via));
        if (other != it && (same ? other->begin < it->end && it->on : meets && !it->on)) show(other);
      }
  }
  fflush(report);
  _exit(1);
}

#define MUST(condition, ...)                                                                                 \
  do {                                                                                                       \
    if (!(condition)) wrong(NULL, __VA_ARGS__);                                                              \
  } while (0)

static bool log_is_full(void) { return logged[me] > CALLS - 200; }

static record *begins(what what, uint64_t on) {
  int index = logged[me];
  MUST(index < CALLS, "the log of thread %d is full", me);
  record *it = &logs[me][index];
  *it = (record){.what = what, .thread = me, .outer = inside, .on = on, .how = ending ? ENDING : 0};
  logged[me] = index + 1;
  it->begin = tick();
  return it;
}

static subpy_status ends(record *it, subpy_status status, subpy_error **error) {
  it->status = status;
  if (error && *error) {
    if (subpy_error_status(*error) != status) wrong(it, "the error has another status than the call");
    snprintf(it->said, sizeof it->said, "%s", subpy_error_message(*error, NULL));
    subpy_error_free(*error);
    *error = NULL;
  } else if (error && status != SUBPY_OK) {
    wrong(it, "a failure without an error");
  }
  it->end = tick();
  return status;
}

/* A call that gives a status, from begin to end. `error` is there for it. */
#define DO(it, call)                                                                                         \
  __extension__({                                                                                                        \
    subpy_error *error = NULL;                                                                               \
    subpy_status status_ = (call);                                                                           \
    ends((it), status_, &error);                                                                             \
  })

/* One that gives none. */
#define DOES(it, call) ((call), (void)ends((it), SUBPY_OK, NULL))

/* Somebody is kept there from now on. */
static record *stays(uint64_t on) { return begins(STAY, on); }

/* What has a finalizer or another word at its end, which comes once. */
typedef struct watched {
  struct watched *next;
  const char *what;
  uint64_t interp;
  atomic_int expected, told, running;
  record *started;
} watched;

static _Atomic(watched *) all_watched;

static watched *watch(const char *what, int expected) {
  watched *it = calloc(1, sizeof *it);
  MUST(it, "no memory");
  it->what = what;
  it->expected = expected;
  it->next = all_watched;
  while (!atomic_compare_exchange_weak(&all_watched, &it->next, it)) {}
  return it;
}

static void is_told(void *userdata) {
  watched *it = userdata;
  if (it->running) wrong(NULL, "%s: the end was told while it runs", it->what);
  if (++it->told > it->expected) wrong(NULL, "%s: the end was told %d times", it->what, (int)it->told);
}

#endif
