/* Acts of tests/c/stress.c: host functions, queues, buffers, output, questions. */
#ifndef THINGS_H
#define THINGS_H

#include "calls.h"

/* ---- host functions ---- */

static void nested(int depth);

/* What Python code calls: with a number above 0 on the thread that has called it, otherwise on any. */
static void back(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata;
  MUST(nargs == 1 && !kwargs, "other arguments");
  if (args[0].kind == SUBPY_KIND_STR) {
    MUST(subpy_context_raise(ctx, "ValueError", SUBPY_AUTO_LEN, args[0].u.as_str, args[0].len) == SUBPY_OK, "raise");
    MUST(subpy_context_note(ctx, "a note", SUBPY_AUTO_LEN) == SUBPY_OK, "note");
    MUST(subpy_context_tag(ctx, 1000 + args[0].len) == SUBPY_OK, "tag");
    return;
  }
  int64_t number = args[0].u.as_int;
  if (number > 0) nested((int)number);
  subpy_value result = subpy_int(number > 0 ? number : -number);
  MUST(subpy_context_return(ctx, &result) == SUBPY_OK, "return");
}

static int called_back(int depth) {
  nested(depth);
  return depth;
}

static void call_back(int64_t depth) {
  watch it = some_slot();
  subpy_error *error = NULL;
  subpy_value args[] = {subpy_int(depth), subpy_int(depth)}, result = {0};
  bool by_address = !it.slot->process && draw(2);
  if (by_address) args[0] = subpy_int((int64_t)(intptr_t)called_back);
  const char *function = by_address ? "nest" : "give";
  inside = &it;
  bool done = DO(&it, SUBPY_OK, subpy_call(it.interp, function, SUBPY_AUTO_LEN, args, by_address ? 2 : 1, NULL, &result, &error));
  inside = it.outer;
  if (done) MUST(is_int(&result, depth), "a host function returned something else");
}

static void call_host(void) { call_back(1 + (int64_t)draw(3)); }

typedef struct {
  int64_t number;
} given;

static void adds(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  MUST(nargs == 1 && !kwargs, "other arguments");
  subpy_value result = subpy_int(args[0].u.as_int + ((given *)userdata)->number);
  MUST(subpy_context_return(ctx, &result) == SUBPY_OK, "return");
}

static void free_given(void *userdata) {
  ((given *)userdata)->number = -1;
  free(userdata);
  told++;
}

/* A function of this thread's own, which takes the place of the last one. */
static void define(void) {
  watch it = some_slot();
  subpy_error *error = NULL;
  subpy_value result = {0};
  given *mine = malloc(sizeof *mine);
  CHECK(mine);
  const int64_t number = mine->number = (int64_t)draw(1000);
  char name[16], code[64];
  snprintf(name, sizeof name, "f%d", me);
  uint32_t flags = draw(4) ? 0 : SUBPY_DEFINE_KEEP_GIL;
  passed++;
  if (!DO(&it, SUBPY_OK, subpy_define(it.interp, name, SUBPY_AUTO_LEN, flags, adds, mine, free_given, &error))) return;
  if (may_start_threads(it.slot) && !inside && draw(2)) {
    snprintf(code, sizeof code, "sum(in_threads(%s, 2)) - %s(0) - 1", name, name);
  } else {
    snprintf(code, sizeof code, "%s(0)", name);
  }
  if (DO(&it, SUBPY_OK, subpy_eval(it.interp, code, SUBPY_AUTO_LEN, &result, &error)))
    MUST(is_int(&result, number), "slot %d: %s is %lld, not %lld", (int)(it.slot - slots), code, (long long)result.u.as_int,
         (long long)number);
  if (DO(&it, SUBPY_ERROR_EXECUTION_FAILED, subpy_exec(it.interp, "host('four')", SUBPY_AUTO_LEN, &error)))
    MUST(met(&it, HITTING) || subpy_error_tag(error) == 1004, "another exception: %s", subpy_error_message(error, NULL));
  subpy_error_free(error);
}

/* ---- queues: each item is known by who has put it, and its number ---- */

enum { ITEMS = 1 << 16 };
enum { NONE, PUTTING, REFUSED, IN, MAYBE, TAKEN };

static atomic_uchar items[WORKERS + 1][ITEMS];
static const char *const ITEM_IS[] = {"not known", "being put", "refused", "in", "perhaps in", "out already"};
/* How often all was taken out. */
static int64_t queues_checked;
/* What its put has said, and where that was. */
static struct {
  subpy_status status;
  int slot;
} put_says[WORKERS + 1][ITEMS];
static int put_by[WORKERS + 1];
static atomic_long may_be_lost, items_taken, items_lost;

static size_t size_of_item(int number) {
  uint64_t some = scramble((uint64_t)number);
  return some % 16 ? some >> 8 & 31 : some >> 8 & 0x1ffff;
}

static void put_one(void) {
  subpy_error *error = NULL;
  if (put_by[me] == ITEMS) return;
  const int number = put_by[me]++, which = (int)draw(2);
  atomic_uchar *item = &items[me][number];
  subpy_value parts[] = {subpy_int((int64_t)me << 32 | number), subpy_bytes((const uint8_t *)long_text, size_of_item(number)),
                         subpy_int(queues_checked)};
  subpy_value value = subpy_list(parts, 3);
  watch it = some_slot();
  *item = PUTTING;
  subpy_status status;
  bool perhaps = false;
  if (draw(2)) {
    status = CALL(&it, subpy_queue_put(queues[which], &value, (int64_t)draw(3), &error));
    if (inside) it = *inside;
  } else {
    subpy_run_request request = request_in(&it, SUBPY_RUN_CALL, which ? "__main__:q1.put" : "__main__:q0.put");
    request.args = &value, request.nargs = 1, request.timeout_ms = 1 + (int64_t)draw(20);
    status = CALL(&it, subpy_run(&request, NULL, &error));
    /* One that is stopped while its output goes out has done all the same what it was to do. */
    const bool stopped = status == SUBPY_ERROR_TIMEOUT || status == SUBPY_ERROR_INTERRUPTED;
    perhaps = stopped || (it.slot->process && met(&it, KILLING));
  }
  put_says[me][number].status = status, put_says[me][number].slot = (int)(it.slot - slots);
  const uint8_t after = status == SUBPY_OK ? IN : perhaps ? MAYBE : REFUSED;
  unsigned char before = PUTTING;
  if (!atomic_compare_exchange_strong(item, &before, after))
    MUST(before == TAKEN && after != REFUSED, "an item was put and not put: %s", subpy_status_name(status));
  if (status == SUBPY_ERROR_TIMEOUT) {
    subpy_error_free(error);
  } else {
    came(&it, "put", __LINE__, status, SUBPY_OK, &error);
  }
}

static void take(subpy_value *value) {
  MUST(value->kind == SUBPY_KIND_LIST && value->len == 3, "no item");
  const int64_t which = value->u.as_items[0].u.as_int;
  const int64_t by = which >> 32, number = which & (ITEMS - 1);
  MUST(by >= 0 && by <= WORKERS && value->u.as_items[1].len == size_of_item((int)number), "another item");
  MUST(is_int(&value->u.as_items[2], queues_checked), "an item comes out that was put at another time");
  unsigned char before = atomic_exchange(&items[by][number], TAKEN);
  MUST(before == PUTTING || before == IN || before == MAYBE, "an item comes out that is %s: slot %d said %s of it", ITEM_IS[before],
       put_says[by][number].slot, subpy_status_name(put_says[by][number].status));
  items_taken++;
  subpy_value_free(value);
}

static void take_one(void) {
  subpy_error *error = NULL;
  subpy_value value = {0};
  const int which = (int)draw(2);
  watch it = some_slot();
  subpy_status status;
  if (draw(2)) {
    status = CALL(&it, subpy_queue_get(queues[which], (int64_t)draw(3), &value, &error));
    if (inside) it = *inside;
  } else {
    subpy_run_request request = request_in(&it, SUBPY_RUN_CALL, which ? "__main__:q1.get" : "__main__:q0.get");
    request.timeout_ms = 1 + (int64_t)draw(5);
    if (!inside && draw(4) == 0) {
      request.what = SUBPY_RUN_EVAL, request.flags = SUBPY_RUN_ASYNC;
      request.text = which ? "await q1.get_async()" : "await q0.get_async()";
    }
    status = CALL(&it, subpy_run(&request, &value, &error));
    /* What it has taken goes with it. */
    if (status != SUBPY_OK && it.slot->process && met(&it, KILLING)) may_be_lost++;
  }
  if (status == SUBPY_ERROR_TIMEOUT) {
    subpy_error_free(error);
  } else if (came(&it, "get", __LINE__, status, SUBPY_OK, &error)) {
    take(&value);
  }
}

/* From one to the other by Python code, where nobody stops it in between. */
static void move_some(void) {
  watch it = some_slot_that(is_never_stopped);
  subpy_error *error = NULL;
  subpy_value n = subpy_int((int64_t)draw(10)), result = {0};
  if (inside) return;
  if (DO(&it, SUBPY_OK, subpy_call(it.interp, "move", SUBPY_AUTO_LEN, &n, 1, NULL, &result, &error)))
    MUST(result.u.as_int >= 0 && result.u.as_int <= n.u.as_int, "a wrong number of items");
}

/* Nobody is there but this thread: what was put has come out, or is in. */
static void check_queues(void) {
  for (int i = 0; i < 2; i++) {
    subpy_value value = {0};
    while (subpy_queue_get(queues[i], 0, &value, NULL) == SUBPY_OK) take(&value);
  }
  long lost = 0;
  for (int by = 0; by <= WORKERS; by++) {
    for (int i = 0; i < put_by[by]; i++) {
      lost += items[by][i] == IN;
      items[by][i] = NONE;
    }
    put_by[by] = 0;
  }
  queues_checked++;
  MUST(lost <= may_be_lost, "%ld items are lost, %ld of them with processes that were killed", lost, (long)may_be_lost);
  items_lost += lost;
  may_be_lost = 0;
}

/* ---- buffers ---- */

/* Memory that both see, until this thread and Python have let go of it. */
typedef struct {
  subpy_buffer buffer;
  atomic_int users;
} region;

static void let_go(void *given) {
  region *it = given;
  if (--it->users > 0) return;
  subpy_buffer_free(&it->buffer);
  free(it);
}

static void released(void *given) {
  let_go(given);
  told++;
}

static void share_memory(void) {
  watch it = some_slot();
  subpy_error *error = NULL;
  region *mine = calloc(1, sizeof *mine);
  CHECK(mine);
  OK(subpy_buffer_new(1 + draw(300000), SUBPY_BUFFER_WRITABLE, &mine->buffer, &error));
  mine->users = 2;
  mine->buffer.release = released, mine->buffer.userdata = mine;
  mine->buffer.flags |= draw(2) ? SUBPY_BUFFER_LENT : 0;
  const size_t len = mine->buffer.len;
  const uint8_t *bytes = mine->buffer.data;
  subpy_value args[] = {subpy_value_from_buffer(&mine->buffer), subpy_int(1 + (int64_t)draw(255))}, result = {0};
  passed++;
  if (DO(&it, SUBPY_OK, subpy_call(it.interp, "fill", SUBPY_AUTO_LEN, args, 2, NULL, &result, &error))) {
    MUST(is_int(&result, (int64_t)len), "another length");
    for (size_t i = 0; i < len; i++) MUST(bytes[i] == args[1].u.as_int, "byte %zu was not written", i);
  }
  let_go(mine);
}

static void pass_buffers(void) {
  watch it = some_slot();
  subpy_error *error = NULL;
  const size_t len = draw(20000);
  const char *text = long_text + draw(LONG_TEXT - len);
  int64_t sum = 0;
  for (size_t i = 0; i < len; i++) sum += text[i];
  subpy_buffer buffer = {.size = sizeof buffer, .data = (void *)(uintptr_t)text, .len = len, .release = tells,
                         .flags = draw(2) ? SUBPY_BUFFER_LENT : 0};
  subpy_value arg = subpy_value_from_buffer(&buffer), result = {0};
  passed++;
  if (DO(&it, SUBPY_OK, subpy_call(it.interp, "total", SUBPY_AUTO_LEN, &arg, 1, NULL, &result, &error)))
    MUST(is_int(&result, sum), "a wrong sum");
  subpy_run_request request = request_in(&it, SUBPY_RUN_EVAL, "bytes(range(256)) * 300");
  request.flags = SUBPY_RESULT_BUFFER;
  if (!DO(&it, SUBPY_OK, subpy_run(&request, &result, &error))) return;
  MUST(result.kind == SUBPY_KIND_BUFFER && result.u.as_buffer->len == 256 * 300, "no buffer");
  const uint8_t *bytes = result.u.as_buffer->data;
  for (size_t i = 0; i < 256 * 300; i++) MUST(bytes[i] == i % 256, "byte %zu is another", i);
  subpy_value_free(&result);
}

/* ---- output, questions ---- */

typedef struct {
  size_t len;
  char text[4096];
} printed;

static void gather(void *userdata, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  (void)interp;
  printed *it = userdata;
  MUST(stream == 1 && it->len + len < sizeof it->text, "output of somebody else");
  memcpy(it->text + it->len, text, len);
  it->len += len;
}

static void print_some(void) {
  watch it = some_slot();
  subpy_error *error = NULL;
  printed got = {0}, wanted = {0};
  subpy_value n = subpy_int((int64_t)draw(100));
  for (int64_t i = 0; i < n.u.as_int; i++)
    wanted.len += (size_t)snprintf(wanted.text + wanted.len, sizeof wanted.text - wanted.len, "line %lld\n", (long long)i);
  subpy_run_request request = request_in(&it, SUBPY_RUN_CALL, "noise");
  request.args = &n, request.nargs = 1, request.output = gather, request.output_data = &got;
  if (DO(&it, SUBPY_OK, subpy_run(&request, NULL, &error)))
    MUST(got.len == wanted.len && memcmp(got.text, wanted.text, got.len) == 0, "it printed:\n%s", got.text);
}

static void set_output(void) {
  watch it = some_slot();
  subpy_error *error = NULL;
  passed++;
  if (!DO(&it, SUBPY_OK, subpy_set_output(it.interp, swallow, NULL, tells, &error))) return;
  subpy_value n = subpy_int(3);
  DO(&it, SUBPY_OK, subpy_call(it.interp, "noise", SUBPY_AUTO_LEN, &n, 1, NULL, NULL, &error));
}

static void ask(void) {
  watch it = some_slot();
  subpy_error *error = NULL;
  bool running;
  int64_t id;
  size_t count = 0;
  const char *whence = NULL;
  OK(subpy_list_all(NULL, 0, &count, &error));
  MUST(count > 0, "no interpreter");
  DO(&it, SUBPY_OK, subpy_is_running(it.interp, &running, &error));
  DO(&it, SUBPY_OK, subpy_id(it.interp, &id, &error));
  if (DO(&it, SUBPY_OK, subpy_whence(it.interp, &whence, &error)))
    MUST(strcmp(whence, it.slot->process ? "process" : "C-API") == 0, "it is from %s", whence);
  if (!(it.slot->flags & SUBPY_INTERP_COUNT_MEMORY)) return;
  subpy_memory_info info = {.size = sizeof info};
  /* One that has just ended uses none. */
  if (DO(&it, SUBPY_OK, subpy_memory(it.interp, &info, &error)))
    MUST(info.peak > 0 && info.peak >= info.used, "no memory");
}

#endif
