/* What the driver of races does in interpreters. */
#ifndef RUNS_H
#define RUNS_H

#include "model.h"

enum { HOMES = 5, WAITING = 2, PLACES = 5 };

/* A handle that all threads may use, or have used up. */
typedef struct {
  uint64_t handle;
  home home;
  int64_t value;
  uint64_t of; /* the queue, by another handle */
} thing;

static const thing NOTHING;
static const home NOWHERE;

typedef struct {
  pthread_mutex_t lock;
  thing things[PLACES];
} shelf;

/* The last ones of the homes have SUBPY_BUSY_WAIT. */
static shelf homes, functions, objects, tokens, started, queues, pools;

/* What a round is like: its seed says so. */
static struct {
  bool processes, limits, callbacks, waiting;
  bool asks; /* shutdowns wait for nothing, and are tried again and again */
  int homes;
} round_is;

static thing look(shelf *shelf, uint64_t place) {
  pthread_mutex_lock(&shelf->lock);
  thing it = shelf->things[place];
  pthread_mutex_unlock(&shelf->lock);
  return it;
}

static thing some(shelf *shelf) { return look(shelf, draw(PLACES)); }

static thing swap(shelf *shelf, uint64_t place, thing new) {
  pthread_mutex_lock(&shelf->lock);
  thing it = shelf->things[place];
  shelf->things[place] = new;
  pthread_mutex_unlock(&shelf->lock);
  return it;
}

/* Who is inside of an interpreter waits for no other without a limit: that one may wait for this thread. */
static home some_home(void) { return look(&homes, draw((uint64_t)round_is.homes)).home; }

static record *begins_in(what what, home home) {
  record *it = begins(what, home.interp);
  it->home = home;
  return it;
}

/* ---- what is said of results ---- */

static void check_pair(const record *it, const subpy_value *result) {
  bool right = (result->kind == SUBPY_KIND_TUPLE || result->kind == SUBPY_KIND_LIST) && result->len == 2 &&
               result->u.as_items[0].kind == SUBPY_KIND_INT && result->u.as_items[1].kind == SUBPY_KIND_INT &&
               (uint64_t)result->u.as_items[0].u.as_int == it->home.me && result->u.as_items[1].u.as_int == it->value;
  if (!right) wrong(it, "a result of another call, or another interpreter: kind %d", (int)result->kind);
}

static void settle(const record *it, subpy_value *result) {
  if (it->status == SUBPY_OK) check_pair(it, result);
  else if (result->kind != SUBPY_KIND_NONE) wrong(it, "a result with an error");
  subpy_value_free(result);
}

static int64_t new_value(void) {
  static atomic_llong last;
  return ++last;
}

/* ---- host functions ---- */

static void act(void);

/* Calls of it are those of a run, on whatever thread. The argument says what is to come back. */
static void host(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  watched *it = userdata;
  (void)kwargs;
  it->running++;
  MUST(!it->told, "a host function was called after its end");
  MUST(nargs == 1 && args[0].kind == SUBPY_KIND_INT, "a host function got other arguments");
  MUST(subpy_context_interp(ctx) == it->interp, "a host function was called from another interpreter");
  subpy_interp current = 0;
  MUST(subpy_get_current(&current, NULL) == SUBPY_OK && current == it->interp, "a host function is in another interpreter");
  const subpy_value pair[] = {subpy_int((int64_t)it->interp), args[0]};
  const subpy_value result = subpy_tuple(pair, 2);
  /* A thread of the library's own has no log. */
  if (logged[me] && inside >= 0 && depth < 2) {
    record *stay = stays(it->interp);
    stay->home = logs[me][inside].home;
    int before = inside;
    inside = (int)(stay - logs[me]);
    depth++;
    for (uint64_t i = draw(3); i > 0; i--) act();
    depth--;
    inside = before;
    DOES(stay, (void)0);
  }
  MUST(subpy_context_return(ctx, &result) == SUBPY_OK, "a host function cannot return");
  it->running--;
}

/* The same without a context, through ctypes. */
static void calls_back(void) {
  if (!logged[me] || inside < 0 || depth >= 2) return;
  depth++;
  for (uint64_t i = draw(3); i > 0; i--) act();
  depth--;
}

/* What may call the host: the calls that it makes are known to be in this one. */
#define DO_INSIDE(it, call)                                                                                  \
  __extension__({                                                                                            \
    int before_ = inside;                                                                                    \
    inside = (int)((it)-logs[me]);                                                                           \
    subpy_status inside_ = DO(it, call);                                                                     \
    inside = before_;                                                                                        \
    inside_;                                                                                                 \
  })

static subpy_status define(home home) {
  watched *it = watch("a host function", 1);
  it->interp = home.interp;
  record *run = begins_in(RUN, home);
  return DO_INSIDE(run, subpy_define(home.interp, "host", SUBPY_AUTO_LEN, 0, host, it, is_told, &error));
}

/* ---- interpreters ---- */

static void close_one(home home);

static const char SETUP[] =
    "import os, threading, time\n"
    "def f(x): return (ME, x)\n"
    "def boom(x): raise ValueError(x)\n"
    "def spin(x):\n"
    "  while True: pass\n"
    "def nap(x):\n  time.sleep(0.001)\n  return (ME, x)\n"
    "def pause():\n  time.sleep(0.0005)\n"
    "def start(x):\n  threading.Thread(target=pause).start()\n  return (ME, x)\n"
    "def calls(x): return host(x)\n"
    "def die(x): os._exit(7)\n"
    "def put(q, x):\n  q.put(x, timeout=0.002)\n  return (ME, x)\n"
    "def get(q): return q.get(timeout=0.002)\n"
    "def take(b, x): return (ME, x) if len(b) == 5000 and b[4999] == 0 else None\n"
    "def same(o, x): return (ME, x) if o is None or list(o)[0] == ME else (ME, -1)\n"
    "def noise(x):\n  print(x)\n  return (ME, x)\n"
    "def nothing(x): return (ME, x)\n";

/* What CPython calls the newest one in this process. */
static atomic_llong newest_id;

static void create_one(void) {
  uint64_t place = draw((uint64_t)round_is.homes);
  home old = look(&homes, place).home, new = {0};
  if (old.interp && draw(4)) close_one(old);
  bool waits = round_is.waiting && place + WAITING >= (uint64_t)round_is.homes;
  subpy_interp_options options = {.size = sizeof options};
  options.busy = waits ? SUBPY_BUSY_WAIT : draw(2) ? SUBPY_BUSY_SHARE : SUBPY_BUSY_REFUSE;
  uint64_t kind = draw(6);
  new.process = round_is.processes && kind < 3;
  if (new.process) {
    options.flags |= SUBPY_INTERP_PROCESS;
    options.grace_ms = 60000; /* what is stopped ends by itself */
  } else if (kind == 3) {
    options.gil = SUBPY_GIL_SHARED;
  } else if (kind == 4) {
    options.flags |= SUBPY_INTERP_COUNT_MEMORY;
  }
  if (round_is.limits && draw(3) == 0) options.timeout_ms = 1 + (int64_t)draw(30);
  new.policy = options.busy;
  new.counts = options.flags & SUBPY_INTERP_COUNT_MEMORY;
  new.has_limit = options.timeout_ms != 0;
  record *it = begins(CREATE, 0);
  subpy_interp made = 0;
  if (DO(it, subpy_create(&options, &made, &error)) != SUBPY_OK) {
    if (made) wrong(it, "a handle with an error");
    return;
  }
  it->made = new.interp = new.me = made;
  if (!new.process) newest_id = (long long)(made & ((UINT64_C(1) << HANDLE_RUNTIME_SHIFT) - 1));
  subpy_value name = subpy_str("ME", 2), value = subpy_int((int64_t)made);
  subpy_pair pair = {name, value};
  subpy_value names = subpy_dict(&pair, 1);
  record *run = begins_in(RUN, new);
  bool ready = DO(run, subpy_prepare_main(made, &names, &error)) == SUBPY_OK;
  if (ready) {
    run = begins_in(RUN, new);
    ready = DO(run, subpy_exec(made, SETUP, SUBPY_AUTO_LEN, &error)) == SUBPY_OK;
  }
  if (ready && !new.process && round_is.callbacks) {
    char code[200];
    snprintf(code, sizeof code,
             "import ctypes\ndef nothing(x):\n  ctypes.%s(None)(%" PRIuPTR ")()\n  return (ME, x)",
             draw(2) ? "CFUNCTYPE" : "PYFUNCTYPE", (uintptr_t)calls_back);
    /* Not at once with others: docs/known-issues.md says what CPython's ctypes does then. In a callback, which may have a
     * GIL that others wait for, it is not waited for. */
    static pthread_mutex_t imports = PTHREAD_MUTEX_INITIALIZER;
    if ((depth ? pthread_mutex_trylock(&imports) : pthread_mutex_lock(&imports)) == 0) {
      run = begins_in(RUN, new);
      ready = DO(run, subpy_exec(made, code, SUBPY_AUTO_LEN, &error)) == SUBPY_OK;
      pthread_mutex_unlock(&imports);
    }
  }
  if (!ready || define(new) != SUBPY_OK) {
    close_one(new);
    return;
  }
  home before = swap(&homes, place, (thing){.handle = made, .home = new}).home;
  if (before.interp && before.interp != old.interp) close_one(before);
}

static void ask_of(home home, uint32_t how) {
  record *it;
  int64_t id = 0;
  bool running = false;
  const char *whence = NULL;
  switch (draw(3)) {
    case 0:
      it = begins_in(ASK, home);
      it->how |= how;
      DO(it, subpy_id(home.interp, &id, &error));
      return;
    case 1:
      it = begins_in(ASK, home);
      it->how |= how;
      if (DO(it, subpy_is_running(home.interp, &running, &error)) != SUBPY_OK && running) wrong(it, "it runs, with an error");
      return;
    default:
      it = begins_in(ASK, home);
      it->how |= how;
      if (DO(it, subpy_whence(home.interp, &whence, &error)) != SUBPY_OK) {
        if (whence) wrong(it, "a text with an error");
        return;
      }
      bool known = !strcmp(whence, "C-API") || !strcmp(whence, "process");
      if (how) known = known || !strcmp(whence, "runtime init") || !strcmp(whence, "_interpreters module");
      if (!known) wrong(it, "it comes from %s", whence);
  }
}

static void ask(void) {
  for (int i = 0; i < 3; i++) ask_of(some_home(), 0);
}

/* By ids that are there, or were, or come next. */
static void find(void) {
  for (int i = 0; i < 10; i++) {
    home found = {0};
    home known = some_home();
    int64_t id = draw(4) ? newest_id + (int64_t)draw(3) : (int64_t)draw(20);
    record *it;
    if (known.interp && draw(4) == 0) {
      it = begins_in(ASK, known);
      if (DO(it, subpy_id(known.interp, &id, &error)) != SUBPY_OK) continue;
      it = begins(USE, known.interp);
      if (DO(it, subpy_find(id, &found.interp, &error)) != SUBPY_OK) continue;
      /* After a shutdown the same id is another's. */
      if (found.interp >> HANDLE_RUNTIME_SHIFT == known.interp >> HANDLE_RUNTIME_SHIFT && found.interp != known.interp)
        wrong(it, "an id has two handles");
    } else {
      it = begins(USE, 0);
      if (DO(it, subpy_find(id, &found.interp, &error)) == SUBPY_OK) ask_of(found, FOREIGN);
    }
  }
}

static void list(void) {
  subpy_interp found[40];
  size_t count = 0;
  record *it = begins(USE, 0);
  if (DO(it, subpy_list_all(found, 40, &count, &error)) != SUBPY_OK) return;
  for (size_t i = 0; i < count && i < 40; i++) {
    for (size_t j = 0; j < i; j++)
      if (found[i] == found[j]) wrong(it, "a list has one twice");
    if (draw(3) == 0) ask_of((home){.interp = found[i]}, FOREIGN);
  }
}

/* One that may be Python's, and go at any moment, is asked again and again. */
static void watch_newest(void) {
  subpy_interp found[40];
  size_t count = 0;
  record *it = begins(USE, 0);
  if (DO(it, subpy_list_all(found, 40, &count, &error)) != SUBPY_OK || !count || count > 40) return;
  for (int i = 0; i < 300; i++) {
    bool running;
    const char *whence = NULL;
    subpy_status status = subpy_is_running(found[count - 1], &running, NULL);
    MUST(status == SUBPY_OK || status == SUBPY_ERROR_NOT_FOUND, "whether it runs is %s", subpy_status_name(status));
    status = subpy_whence(found[count - 1], &whence, NULL);
    if (status == SUBPY_ERROR_NOT_FOUND) return;
    MUST(status == SUBPY_OK, "where it comes from is %s", subpy_status_name(status));
    bool known = !strcmp(whence, "runtime init") || !strcmp(whence, "_interpreters module") || !strcmp(whence, "C-API") ||
                 !strcmp(whence, "process");
    MUST(known, "it comes from %s", whence);
  }
}

/* ---- runs ---- */

static subpy_run_request request_in(home home, const char *callable, const subpy_value *args, size_t nargs) {
  return (subpy_run_request){.size = sizeof(subpy_run_request), .interp = home.interp, .what = SUBPY_RUN_CALL, .text = callable,
                             .text_len = SUBPY_AUTO_LEN, .args = args, .nargs = nargs};
}

/* A call of a function of one number, with what stops it. Says how it may end. */
static uint32_t some_work(home home, subpy_run_request *request, uint64_t *token) {
  uint32_t how = 0;
  uint64_t kind = draw(16);
  *token = draw(3) ? 0 : some(&tokens).handle;
  request->cancel = *token;
  if (draw(5) == 0 || (depth && home.policy == SUBPY_BUSY_WAIT)) request->timeout_ms = 1 + (int64_t)draw(20);
  request->text = "f";
  if (kind == 0) request->text = "boom", how = RAISES;
  if (kind == 1) request->text = "spin", how = ENDLESS, request->timeout_ms = 1 + (int64_t)draw(10);
  if (kind == 2) request->text = "nap";
  if (kind == 3) request->text = "start", how = THREADS;
  if (kind == 4 || kind == 5) request->text = "calls";
  if (kind == 6) request->text = "noise";
  if (kind == 7) request->text = "nothing";
  if (kind == 8 && home.process && draw(2)) request->text = "die", how = KILLS;
  return how | (request->timeout_ms ? LIMITED : 0);
}

static void run_of(home home) {
  record *it = begins_in(RUN, home);
  it->value = new_value();
  subpy_value arg = subpy_int(it->value), result = {0};
  subpy_run_request request = request_in(home, "f", &arg, 1);
  it->how |= some_work(home, &request, &it->token);
  if (DO_INSIDE(it, subpy_run(&request, &result, &error)) == SUBPY_ERROR_EXECUTION_FAILED) {
    char text[64];
    snprintf(text, sizeof text, "ValueError: %lld", (long long)it->value);
    if (strcmp(it->said, text) != 0) wrong(it, "another exception");
  }
  settle(it, &result);
}

static void run_some(void) { run_of(some_home()); }

/* Many short runs, one after the other, until one fails: what is there for a moment alone is met by these. */
static void hammer(void) {
  home home = some_home();
  if (depth || home.process) return;
  record *it = begins_in(RUN, home);
  it->value = new_value();
  subpy_error *error = NULL;
  subpy_value arg = subpy_int(it->value), result = {0};
  subpy_status status = SUBPY_OK;
  for (int i = 0; i < 400 && status == SUBPY_OK; i++) {
    subpy_value_free(&result);
    status = subpy_call(home.interp, "f", 1, &arg, 1, NULL, &result, &error);
  }
  ends(it, status, &error);
  settle(it, &result);
}

/* In main everybody may run something, one at a time. */
static void run_main(void) {
  home main = {.policy = SUBPY_BUSY_REFUSE};
  record *it = begins(USE, 0);
  if (DO(it, subpy_get_main(&main.interp, &error)) != SUBPY_OK) return;
  if (depth && draw(2)) return;
  it = begins_in(RUN, main);
  it->value = new_value();
  char code[64];
  subpy_value result = {0};
  snprintf(code, sizeof code, "(0, %lld)", (long long)it->value);
  DO(it, subpy_eval(main.interp, code, SUBPY_AUTO_LEN, &result, &error));
  settle(it, &result);
}

static void new_function(void) {
  home home = some_home();
  if (depth && home.policy == SUBPY_BUSY_WAIT) return;
  record *it = begins_in(RUN, home);
  if (DO(it, subpy_function_new(home.interp, draw(4) ? "f" : "calls", SUBPY_AUTO_LEN, &it->made, &error)) != SUBPY_OK) return;
  thing old = swap(&functions, draw(PLACES), (thing){.handle = it->made, .home = home});
  if (old.handle) {
    it = begins(FREE, old.handle);
    DOES(it, subpy_function_free(old.handle));
  }
}

static void call_function(void) {
  thing function = some(&functions);
  if (!function.handle || (depth && function.home.policy == SUBPY_BUSY_WAIT)) return;
  record *it = begins_in(RUN, function.home);
  it->via = function.handle;
  it->value = new_value();
  subpy_value arg = subpy_int(it->value), result = {0};
  if (draw(3)) {
    DO_INSIDE(it, subpy_function_call(function.handle, &arg, 1, NULL, &result, &error));
    settle(it, &result);
    return;
  }
  const subpy_value rows[] = {arg, arg, arg};
  DO_INSIDE(it, subpy_function_call_many(function.handle, rows, 3, 1, 0, &result, &error));
  if (it->status == SUBPY_OK) {
    if (result.kind != SUBPY_KIND_LIST || result.len != 3) wrong(it, "no list of three");
    for (int i = 0; i < 3; i++) check_pair(it, &result.u.as_items[i]);
  }
  subpy_value_free(&result);
}

static void free_function(void) {
  thing old = swap(&functions, draw(PLACES), NOTHING);
  if (!old.handle) return;
  record *it = begins(FREE, old.handle);
  DOES(it, subpy_function_free(old.handle));
}

/* ---- objects ---- */

static void keep_object(uint64_t object, thing it) {
  record *keep = begins(KEEP, it.home.interp);
  keep->via = object;
  DO(keep, subpy_object_keep(object, &keep->made, &error));
  if (keep->status != SUBPY_OK) return;
  it.handle = keep->made;
  thing old = swap(&objects, draw(PLACES), it);
  if (!old.handle) return;
  record *freed = begins(FREE, old.handle);
  DOES(freed, subpy_object_free(old.handle));
}

static void new_object(void) {
  home home = some_home();
  if (depth && home.policy == SUBPY_BUSY_WAIT) return;
  record *it = begins_in(RUN, home);
  it->value = new_value();
  subpy_value arg = subpy_int(it->value), result = {0};
  subpy_run_request request = request_in(home, "f", &arg, 1);
  request.flags = SUBPY_RESULT_OBJECT;
  if (DO(it, subpy_run(&request, &result, &error)) == SUBPY_OK) {
    if (result.kind != SUBPY_KIND_OBJECT) wrong(it, "no object");
    keep_object(result.u.as_object, (thing){.home = home, .value = it->value});
  }
  subpy_value_free(&result);
}

static void use_object(void) {
  thing object = some(&objects);
  if (!object.handle) return;
  if (draw(4) == 0) {
    keep_object(object.handle, object);
    return;
  }
  home home = draw(3) ? object.home : some_home();
  if (depth && home.policy == SUBPY_BUSY_WAIT) return;
  bool is_own = home.interp == object.home.interp;
  record *it = begins_in(RUN, home);
  it->via = object.handle;
  it->value = object.value;
  subpy_value result = {0};
  if (is_own && draw(2)) {
    DO(it, subpy_object_value(object.handle, 0, &result, &error));
  } else {
    it->how |= is_own ? 0 : OBJECTS;
    const subpy_value args[] = {subpy_value_from_object(object.handle), subpy_int(it->value)};
    subpy_run_request request = request_in(home, "same", args, 2);
    DO(it, subpy_run(&request, &result, &error));
    if (!is_own && it->status == SUBPY_OK) wrong(it, "the object of another interpreter was taken");
  }
  settle(it, &result);
}

static void free_object(void) {
  thing old = swap(&objects, draw(PLACES), NOTHING);
  if (!old.handle) return;
  record *it = begins(FREE, old.handle);
  DOES(it, subpy_object_free(old.handle));
}

#endif
