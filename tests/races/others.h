/* What the driver of races does with everything else, and how it ends things. */
#ifndef OTHERS_H
#define OTHERS_H

#include <errno.h>

#include "runs.h"

/* ---- tokens ---- */

static void new_token(void) {
  record *it = begins(KEEP, 0);
  DO(it, subpy_cancel_new(&it->made, &error));
  thing old = swap(&tokens, draw(PLACES), (thing){.handle = it->made});
  if (!old.handle) return;
  it = begins(FREE, old.handle);
  DOES(it, subpy_cancel_free(old.handle));
}

static void fire(void) {
  thing token = some(&tokens);
  if (!token.handle) return;
  record *it = begins(FIRE, token.handle);
  DOES(it, subpy_cancel_fire(token.handle));
}

static void interrupt(void) {
  home home = some_home();
  record *it = begins_in(INTERRUPT, home);
  DO(it, subpy_interrupt(home.interp, &error));
}

/* ---- threads of the library's ---- */

/* The run has ended: until then it was in its interpreter, maybe. */
static void has_ended(void *userdata) {
  watched *it = userdata;
  it->started->until = tick();
  is_told(it);
}

static void is_started(record *it) {
  it->until = UINT64_MAX;
  watched *told = watch("a thread's end", 1);
  told->started = it;
  subpy_error *error = NULL;
  subpy_status status = subpy_thread_notify(it->made, has_ended, told, &error);
  /* Shut down meanwhile, it was freed. */
  MUST(status == SUBPY_OK || status == SUBPY_ERROR_NOT_FOUND, "no notice of a thread's end");
  if (status == SUBPY_ERROR_NOT_FOUND) {
    told->expected = 0;
    it->until = tick();
  }
  subpy_error_free(error);
}

static void join(thing thread) {
  record *it = begins(JOIN, thread.handle);
  it->home = thread.home;
  it->value = thread.value;
  subpy_value result = {0};
  DO(it, subpy_thread_join(thread.handle, &result, &error));
  it->lost = strstr(it->said, "is not the handle of a thread") != NULL;
  if (it->status == SUBPY_OK && !thread.home.me) it->home.me = (uint64_t)(result.len ? result.u.as_items[0].u.as_int : 0);
  settle(it, &result);
}

/* Those inside of an interpreter do not wait for a run that may wait for them. One that nobody joins says on stderr how it
 * has failed. */
static void shelve(record *it) {
  thing old = swap(&started, draw(PLACES), (thing){.handle = it->made, .home = it->home, .value = it->value});
  if (!old.handle) return;
  if (!depth && draw(3)) {
    join(old);
  } else {
    it = begins(FREE, old.handle);
    DOES(it, subpy_thread_free(old.handle));
  }
}

static void start(void) {
  home home = some_home();
  thing function = draw(2) ? some(&functions) : NOTHING;
  if (function.handle) home = function.home;
  record *it = begins_in(START, home);
  it->value = new_value();
  subpy_value arg = subpy_int(it->value);
  subpy_run_request request = request_in(home, "f", &arg, 1);
  it->how |= some_work(home, &request, &it->token);
  if (function.handle) {
    it->how &= (uint32_t)~(RAISES | ENDLESS | THREADS | KILLS);
    it->via = request.function = function.handle;
    request.what = SUBPY_RUN_FUNCTION;
    request.text = NULL;
    request.text_len = 0;
    request.interp = 0;
  }
  if (DO(it, subpy_run_in_thread(&request, &it->made, &error)) != SUBPY_OK) return;
  is_started(it);
  /* What it needs it has: nobody may free that from under it. */
  if (function.handle && draw(2)) {
    record *freed = begins(FREE, function.handle);
    DOES(freed, subpy_function_free(function.handle));
  }
  shelve(it);
}

static void wait_for(void) {
  thing thread = some(&started);
  if (!thread.handle) return;
  record *it = begins(WAIT, thread.handle);
  bool done = false;
  DO(it, subpy_thread_wait(thread.handle, (int64_t)draw(3), &done, &error));
  if (depth || !done || draw(2)) return;
  thing old = swap(&started, draw(PLACES), NOTHING);
  if (old.handle) join(old);
}

/* ---- sessions ---- */

enum { SESSIONS = 4 };

typedef struct {
  home home;
  int count;
  record *stay;
} session;

static _Thread_local session sessions[SESSIONS];

static session *session_in(subpy_interp interp) {
  for (int i = 0; i < SESSIONS; i++)
    if (sessions[i].count && sessions[i].home.interp == interp) return &sessions[i];
  return NULL;
}

static void enter(void) {
  home home = some_home();
  session *at = session_in(home.interp);
  for (int i = 0; !at && i < SESSIONS; i++)
    if (!sessions[i].count) at = &sessions[i];
  if (!at || ending) return;
  record *it = begins_in(ENTER, home);
  it->how |= at->count ? AGAIN : 0;
  if (DO(it, subpy_enter(home.interp, &error)) != SUBPY_OK) {
    if (at->count) wrong(it, "a thread that is in cannot enter once more");
    return;
  }
  if (!at->count++) {
    at->home = home;
    at->stay = stays(home.interp);
    at->stay->home = home;
  }
}

/* The time in which it was in for sure ends before it leaves. */
static void leave(session *at) {
  if (!at->count || ending) return;
  record *it = begins_in(LEAVE, at->home);
  uint64_t before = it->begin;
  if (DO(it, subpy_leave(at->home.interp, &error)) == SUBPY_OK && !--at->count) {
    at->stay->status = SUBPY_OK;
    at->stay->end = before;
  }
}

static void leave_some(void) {
  session *at = &sessions[draw(SESSIONS)];
  leave(at);
  home home = some_home();
  if (!ending && !session_in(home.interp)) MUST(subpy_leave(home.interp, NULL) == SUBPY_ERROR_WRONG_STATE, "left without having entered");
}

static void run_in_session(void) {
  session *at = &sessions[draw(SESSIONS)];
  if (at->count && !ending && !(depth && at->home.policy == SUBPY_BUSY_WAIT)) run_of(at->home);
}

static void leave_all(void) {
  for (int i = 0; i < SESSIONS && !ending; i++)
    while (sessions[i].count) {
      int before = sessions[i].count;
      leave(&sessions[i]);
      if (sessions[i].count == before) return; /* a run of its own is in the way */
    }
}

/* ---- queues: each item comes out once, if at all ---- */

enum { ITEMS = 20000 };

typedef struct {
  _Atomic uint64_t queue;       /* 0: of none */
  atomic_int in, out, may_be;   /* in for sure, out for sure, in Python's hands when its code was stopped */
} item;

static item items[ITEMS];
static atomic_int items_used;
static _Atomic uint64_t queue_takers[64]; /* queues out of which Python code has taken something and was stopped */
static atomic_int takers;
static uint64_t queues_made[400];
static atomic_int queues_count;

static void new_queue(void) {
  int index = queues_count++;
  if (index >= 400) return;
  record *it = begins(KEEP, 0);
  subpy_queue_options options = {.size = sizeof options, .capacity = draw(3) * 2};
  DO(it, subpy_queue_new(draw(2) ? &options : NULL, &it->made, &error));
  uint64_t made = it->made;
  /* This one is for the end of the round. */
  subpy_error *error = NULL;
  MUST(subpy_queue_keep(made, &queues_made[index], &error) == SUBPY_OK, "a queue cannot be kept");
  thing old = swap(&queues, draw(PLACES), (thing){.handle = made, .of = queues_made[index]});
  if (!old.handle) return;
  it = begins(FREE, old.handle);
  DOES(it, subpy_queue_free(old.handle));
}

static void put(void) {
  thing queue = some(&queues);
  int index = queue.handle ? items_used++ : ITEMS;
  if (index >= ITEMS) return;
  items[index].queue = queue.of;
  bool there = draw(4) == 0;
  home home = there ? some_home() : NOWHERE;
  if (there && depth && home.policy == SUBPY_BUSY_WAIT) return;
  if (there) {
    record *it = begins_in(RUN, home);
    it->how |= OBJECTS | RAISES; /* queue.Full */
    it->via = queue.handle;
    it->value = index;
    const subpy_value args[] = {subpy_value_from_queue(queue.handle), subpy_int(index)};
    subpy_value result = {0};
    items[index].may_be = 1;
    subpy_run_request request = request_in(home, "put", args, 2);
    DO(it, subpy_run(&request, &result, &error));
    if (it->status == SUBPY_OK) {
      it->how &= (uint32_t)~RAISES;
      items[index].in = 1;
      items[index].may_be = 0;
    }
    settle(it, &result);
    return;
  }
  record *it = begins(PUT, queue.handle);
  it->via = queue.of;
  it->token = draw(3) ? 0 : some(&tokens).handle;
  subpy_value value = subpy_int(index);
  int64_t limit = (int64_t)draw(3);
  if (it->token) DO(it, subpy_queue_put_with(queue.handle, &value, limit, it->token, &error));
  else DO(it, subpy_queue_put(queue.handle, &value, limit, &error));
  if (it->status == SUBPY_OK) items[index].in = 1;
  else if (items[index].out) wrong(it, "an item came out that was not put in");
}

static void is_out(const record *it, const subpy_value *value, uint64_t of) {
  if (value->kind != SUBPY_KIND_INT || value->u.as_int < 0 || value->u.as_int >= items_used) wrong(it, "an item that nobody has put in");
  item *item = &items[value->u.as_int];
  if (item->queue != of) wrong(it, "an item of another queue");
  if (item->out++) wrong(it, "an item came out twice");
}

static void get(void) {
  thing queue = some(&queues);
  if (!queue.handle) return;
  subpy_value result = {0};
  record *it;
  if (draw(4) == 0) {
    home home = some_home();
    if (depth && home.policy == SUBPY_BUSY_WAIT) return;
    it = begins_in(RUN, home);
    it->how |= OBJECTS | RAISES | TAKES; /* queue.Empty */
    it->via = queue.handle;
    const subpy_value arg = subpy_value_from_queue(queue.handle);
    subpy_run_request request = request_in(home, "get", &arg, 1);
    DO(it, subpy_run(&request, &result, &error));
    if (it->status == SUBPY_OK) it->how &= (uint32_t)~RAISES;
    else if (takers < 64 && it->status != SUBPY_ERROR_BUSY && it->status != SUBPY_ERROR_NOT_FOUND) queue_takers[takers++ % 64] = queue.of;
  } else {
    it = begins(GET, queue.handle);
    it->via = queue.of;
    it->token = draw(3) ? 0 : some(&tokens).handle;
    int64_t limit = (int64_t)draw(3);
    if (it->token) DO(it, subpy_queue_get_with(queue.handle, limit, &result, it->token, &error));
    else DO(it, subpy_queue_get(queue.handle, limit, &result, &error));
  }
  if (it->status == SUBPY_OK) is_out(it, &result, queue.of);
  subpy_value_free(&result);
}

static void close_queue(void) {
  thing queue = some(&queues);
  if (!queue.handle || draw(3)) return;
  record *it = begins(QUEUE_CLOSE, queue.handle);
  it->via = queue.of;
  DO(it, subpy_queue_close(queue.handle, &error));
}

/* At the end of a round, when nobody else is there: what went in and did not come out is there still. */
static void check_queues(void) {
  int made = queues_count < 400 ? queues_count : 400;
  for (int i = 0; i < made; i++) {
    subpy_value value = {0};
    subpy_error *error = NULL;
    subpy_status status;
    while ((status = subpy_queue_get(queues_made[i], 0, &value, &error)) == SUBPY_OK) {
      is_out(NULL, &value, queues_made[i]);
      subpy_value_free(&value);
    }
    MUST(status == SUBPY_ERROR_TIMEOUT || status == SUBPY_ERROR_WRONG_STATE, "a queue says %s", subpy_status_name(status));
    subpy_error_free(error);
  }
  int used = items_used < ITEMS ? items_used : ITEMS;
  for (int i = 0; i < used; i++) {
    bool taken = items[i].may_be;
    for (int j = 0; j < takers && j < 64; j++) taken = taken || queue_takers[j] == items[i].queue;
    MUST(items[i].in == items[i].out || taken || takers >= 64, "item %d went in %d times and came out %d times", i, (int)items[i].in, (int)items[i].out);
  }
  for (int i = 0; i < made; i++) subpy_queue_free(queues_made[i]);
  memset(items, 0, sizeof(item) * (size_t)used);
  items_used = queues_count = takers = 0;
}

/* ---- memory ---- */

static unsigned char zeros[5000];
static subpy_buffer region;

static void pass_buffer(void) {
  home home = some_home();
  if (depth && home.policy == SUBPY_BUSY_WAIT) return;
  record *it = begins_in(RUN, home);
  it->value = new_value();
  subpy_buffer buffer = region;
  if (draw(2)) buffer = (subpy_buffer){.size = sizeof buffer, .data = zeros, .len = sizeof zeros};
  buffer.release = is_told;
  buffer.userdata = watch("a buffer", 1);
  const subpy_value args[] = {subpy_value_from_buffer(&buffer), subpy_int(it->value)};
  subpy_value result = {0};
  subpy_run_request request = request_in(home, "take", args, 2);
  DO(it, subpy_run(&request, &result, &error));
  settle(it, &result);
}

static void ask_memory(void) {
  home home = some_home();
  record *it = begins_in(MEMORY, home);
  subpy_memory_info info = {.size = sizeof info};
  if (DO(it, subpy_memory(home.interp, &info, &error)) == SUBPY_OK && info.used > info.peak) wrong(it, "more memory than ever");
}

/* ---- output ---- */

static void takes(void *userdata, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  watched *it = userdata;
  MUST(it->interp == interp && stream >= 1 && stream <= 2 && len && text[len] == 0, "an output gets what is not its own");
  MUST(it->running++ == 0 && !it->told, "an output was called twice at once, or after its end");
  it->running--;
}

static void set_output(void) {
  home home = some_home();
  record *it = begins_in(OUTPUT, home);
  watched *told = watch("an output", 1);
  told->interp = home.interp;
  DO(it, subpy_set_output(home.interp, draw(3) ? takes : NULL, told, is_told, &error));
}

/* ---- pools ---- */

static void close_pool(uint64_t pool);

static void new_pool(void) {
  if (depth || ending) return;
  subpy_interp_options options = {.size = sizeof options};
  subpy_pool_options pool = {.size = sizeof pool, .workers = 1 + draw(2), .interp = &options, .setup_len = SUBPY_AUTO_LEN,
                             .setup = "ME = 0\ndef f(x): return (0, x)\ndef boom(x): raise ValueError(x)\ndef spin(x):\n  while True: pass\n",
                             .flags = SUBPY_POOL_NO_SPARES | (draw(2) ? SUBPY_POOL_REFUSE : 0)};
  if (round_is.processes && draw(2)) pool.isolation = SUBPY_ISOLATION_PROCESS;
  record *it = begins(POOL_NEW, 0);
  if (DO(it, subpy_pool_new(&pool, &it->made, &error)) != SUBPY_OK) return;
  thing old = swap(&pools, draw(2), (thing){.handle = it->made});
  if (old.handle) close_pool(old.handle);
}

static uint32_t some_task(subpy_run_request *request, uint64_t *token) {
  uint64_t kind = draw(8);
  uint32_t how = POOLED;
  *token = request->cancel = draw(3) ? 0 : some(&tokens).handle;
  if (kind == 0) request->text = "boom", how |= RAISES;
  if (kind == 1) request->text = "spin", how |= ENDLESS, request->timeout_ms = 1 + (int64_t)draw(10);
  return how | (request->timeout_ms ? LIMITED : 0);
}

static void submit(void) {
  thing pool = look(&pools, draw(2));
  if (!pool.handle || depth) return;
  record *it = begins(SUBMIT, pool.handle);
  it->via = pool.handle;
  it->value = new_value();
  subpy_value arg = subpy_int(it->value);
  subpy_run_request request = request_in((home){0}, "f", &arg, 1);
  it->how |= some_task(&request, &it->token);
  if (DO(it, subpy_pool_submit_as(pool.handle, draw(3), &request, &it->made, &error)) != SUBPY_OK) return;
  is_started(it);
  shelve(it);
}

static bool takes_row(void *userdata, size_t index, subpy_value *result, const subpy_error *error) {
  record *it = userdata;
  size_t *next = (size_t *)&it->made;
  if (index != *next) wrong(it, "the rows come in another order");
  ++*next;
  if (!error && (result->kind != SUBPY_KIND_TUPLE || result->u.as_items[1].u.as_int != it->value + (int64_t)index)) wrong(it, "another row's result");
  return true;
}

static void map(void) {
  thing pool = look(&pools, draw(2));
  if (!pool.handle || depth) return;
  record *it = begins(MAP, pool.handle);
  it->via = pool.handle;
  it->value = new_value() * 100;
  subpy_value rows[5];
  for (int i = 0; i < 5; i++) rows[i] = subpy_int(it->value + i);
  subpy_run_request request = request_in((home){0}, "f", NULL, 0);
  DO(it, subpy_pool_map(pool.handle, &request, rows, 5, 1, 1 + draw(2), takes_row, it, &error));
  if (it->status == SUBPY_OK && it->made != 5) wrong(it, "rows are missing");
  it->made = 0;
}

#endif
