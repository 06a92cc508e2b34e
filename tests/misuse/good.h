/* Arguments with which a call succeeds. A parameter of a new kind, or a text with a new name, needs a line here. */
#ifndef GOOD_H
#define GOOD_H

#include "world.h"

/* What the arguments of a call point to. */
typedef struct output {
  const param *of;
  unsigned char *place;
} output;

enum { MOST_OUTPUTS = 8, JUNK = 0xA5, ARGS_SIZE = 256 };

typedef struct call {
  const export *x;
  /* what is mutated: only in it are the wrong things */
  _Alignas(16) char args[ARGS_SIZE];
  output outputs[MOST_OUTPUTS];
  int output_count;
  subpy_error **error;
  int token;
} call;

/* By the name of the parameter or field. */
static const char *good_text(const char *name) {
  static const char *const texts[][2] = {
      {"code", "x = 1"},       {"expression", "1"},     {"callable", "builtins:dict"}, {"name", "x"},
      {"method", "method"},    {"type", "ValueError"},  {"message", "a message"},      {"text", "[]"},
      {"key", "key"},          {"hex", "0x1f"},         {"setup", "x = 1"},
  };
  for (size_t i = 0; i < COUNT(texts); i++)
    if (strcmp(texts[i][0], name) == 0) return texts[i][1];
  fprintf(stderr, "good_text() in tests/misuse/good.h has no text for a parameter with the name %s\n", name);
  exit(2);
}

static bool is_about(const call *call, const char *part) { return strstr(call->x->name, part) != NULL; }

static uint64_t good_handle(const call *call, const param *p) {
  if (strcmp(p->name, "iterator") == 0) return w.iterator;
  if (p->noun == OBJECT && is_about(call, "object_value")) return w.list;
  return w.handles[p->noun];
}

static const subpy_error *good_error(const call *call) {
  if (is_about(call, "_syntax")) return w.syntax_error;
  if (is_about(call, "_exit_status")) return w.exit_error;
  if (is_about(call, "_row")) return w.row_error;
  return w.error;
}

/* Values are made anew for each cell: what is in them is mutated too. */
static subpy_value *good_values(size_t count) {
  subpy_value *values = guarded(count * sizeof *values);
  for (size_t i = 0; i < count; i++) values[i] = subpy_list(NULL, 0);
  return values;
}

static subpy_value *good_dict(void) {
  subpy_pair *pair = guarded(sizeof *pair);
  subpy_value *dict = guarded(sizeof *dict);
  *pair = (subpy_pair){subpy_str("key", 3), subpy_int(1)};
  *dict = subpy_dict(pair, 1);
  return dict;
}

static subpy_buffer *good_buffer(void) {
  static char memory[16];
  subpy_buffer *buffer = guarded(sizeof *buffer);
  *buffer = (subpy_buffer){.size = sizeof *buffer, .data = memory, .len = sizeof memory};
  return buffer;
}

static const subpy_value *good_value(const call *call, const param *p) {
  if (is_about(call, "subpy_value_block")) return &w.result;
  if (is_about(call, "subpy_value_get")) return &w.dict;
  subpy_value *value = guarded(sizeof *value);
  *value = strcmp(p->name, "key") == 0 ? subpy_int(0) : subpy_int(1);
  return value;
}

static bool on_row(void *userdata, size_t index, subpy_value *result, const subpy_error *error) {
  (void)userdata, (void)index, (void)result, (void)error;
  return true;
}

static void on_output(void *userdata, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  (void)userdata, (void)interp, (void)stream, (void)text, (void)len;
}

static void on_host(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)ctx, (void)args, (void)nargs, (void)kwargs;
}

static void on_notify(void *userdata) { (void)userdata; }
static void on_prepare(void *userdata, subpy_interp interp) { (void)userdata, (void)interp; }

typedef void (*any_fn)(void);

/* By the name of the parameter and of the export, for none of these types has another name than its parameter. */
static any_fn good_callback(const call *call, const param *p) {
  if (strcmp(p->name, "finalize") == 0) return (any_fn)finalize_fn;
  if (strcmp(p->name, "prepare") == 0) return (any_fn)on_prepare;
  if (strcmp(p->name, "output") == 0) return (any_fn)on_output;
  if (is_about(call, "_define")) return (any_fn)on_host;
  if (is_about(call, "_set_output")) return (any_fn)on_output;
  if (is_about(call, "_map")) return (any_fn)on_row;
  if (is_about(call, "_notify")) return (any_fn)on_notify;
  fprintf(stderr, "good_callback() in tests/misuse/good.h has none for `%s` of %s\n", p->name, call->x->name);
  exit(2);
}

static void put(void *place, const void *value, size_t size) { memcpy(place, value, size); }

#define PUT(place, type, value) put(place, &(type){value}, sizeof(type))

static void fill(call *call, const param *params, int count, char *base, const shape *inside);

static void *good_struct(call *call, const shape *of) {
  char *place = guarded_struct(of->size);
  memset(place, 0, of->size);
  fill(call, of->fields, of->count, place, of);
  return place;
}

static void add_output(call *call, const param *p, void *at, unsigned char *place) {
  CHECK(call->output_count < MOST_OUTPUTS);
  call->outputs[call->output_count++] = (output){p, place};
  put(at, &place, sizeof place);
}

static bool is_one_of_pool(const call *call) { return is_about(call, "subpy_pool_"); }

/* A field of options or of a request, if that has rules of its own; all others are as parameters are. */
static bool fill_field(call *call, const param *p, void *at, const shape *inside) {
  const bool is_request = strcmp(inside->name, "subpy_run_request") == 0, map = is_about(call, "_map");
  if (p->kind == P_SIZE) return PUT(at, size_t, inside->size), true;
  if (!is_request) {
    /* Zero is the default of everything else. A pool is to be small, and finalize to be called. */
    const bool pool = strcmp(inside->name, "subpy_pool_options") == 0;
    if (p->kind == P_USERDATA || p->kind == P_CALLBACK) return !pool;
    if (pool && strcmp(p->name, "workers") == 0) PUT(at, size_t, 1);
    if (pool && strcmp(p->name, "isolation") == 0) PUT(at, int32_t, in_processes());
    if (p->kind == P_FLAGS && pool) PUT(at, uint64_t, SUBPY_POOL_NO_SPARES);
    if (p->kind == P_FLAGS && strcmp(inside->name, "subpy_interp_options") == 0 && in_processes())
      PUT(at, uint64_t, SUBPY_INTERP_PROCESS);
    return true;
  }
  if (p->kind == P_HANDLE && p->noun == INTERP) PUT(at, uint64_t, is_one_of_pool(call) ? 0 : w.handles[INTERP]);
  if (p->kind == P_HANDLE && p->noun == CANCEL) PUT(at, uint64_t, w.handles[CANCEL]);
  if (p->kind == P_ENUM) PUT(at, int32_t, map ? SUBPY_RUN_CALL : SUBPY_RUN_EVAL);
  if (strcmp(p->name, "text") == 0) PUT(at, const char *, guarded_text(map ? "builtins:list" : "[]", map ? 13 : 2));
  if (strcmp(p->name, "text_len") == 0) PUT(at, size_t, map ? 13 : 2);
  return true;
}

static void fill_one(call *call, const param *p, const param *before, char *base, const shape *inside) {
  void *at = base + p->offset;
  if (inside && fill_field(call, p, at, inside)) return;
  switch (p->kind) {
    case P_HANDLE:
      PUT(at, uint64_t, good_handle(call, p));
      break;
    case P_TEXT:
      PUT(at, const char *, guarded_text(good_text(p->name), strlen(good_text(p->name))));
      break;
    case P_CTEXT:
      PUT(at, const char *, guarded_text(good_text(p->name), strlen(good_text(p->name)) + 1));
      break;
    case P_LEN:
      if (before->kind == P_TEXT) PUT(at, size_t, strlen(good_text(before->name)));
      else PUT(at, size_t, before->kind == P_BYTES || before->kind == P_OUT_ARRAY ? 4 : 1);
      break;
    case P_NARGS:
      PUT(at, size_t, 1);
      break;
    case P_BYTES:
      PUT(at, const char *, guarded_text("byte", 4));
      break;
    case P_VALUES:
      PUT(at, subpy_value *, good_values(1));
      break;
    case P_PAIRS:
      PUT(at, const subpy_pair *, good_dict()->u.as_pairs);
      break;
    case P_DICT:
      PUT(at, const subpy_value *, is_about(call, "subpy_value_get") ? good_value(call, p) : good_dict());
      break;
    case P_VALUE:
      PUT(at, const subpy_value *, good_value(call, p));
      break;
    case P_BUFFER:
      PUT(at, subpy_buffer *, good_buffer());
      break;
    case P_STRUCT:
      PUT(at, void *, good_struct(call, p->of));
      break;
    case P_USERDATA:
      CHECK(tokens < TOKENS);
      call->token = tokens++;
      PUT(at, void *, (void *)(uintptr_t)call->token);
      break;
    case P_CALLBACK:
      PUT(at, any_fn, good_callback(call, p));
      break;
    case P_CTX:
      PUT(at, subpy_context *, w.ctx);
      break;
    case P_ERROR_IN:
      PUT(at, const subpy_error *, good_error(call));
      break;
    case P_ERROR_OWNED:
      PUT(at, subpy_error *, w.owned_error);
      w.owned_error = NULL;
      break;
    case P_VALUE_OWNED: {
      subpy_value *value = guarded(sizeof *value);
      *value = w.owned_value, w.owned_value = subpy_none();
      PUT(at, subpy_value *, value);
      break;
    }
    case P_BUFFER_OWNED: {
      subpy_buffer *buffer = guarded(sizeof *buffer);
      *buffer = w.owned_buffer, memset(&w.owned_buffer, 0, sizeof w.owned_buffer);
      PUT(at, subpy_buffer *, buffer);
      break;
    }
    case P_OUT:
    case P_OUT_FD:
    case P_OUT_HANDLE:
    case P_OUT_ARRAY:
    case P_RESULT: {
      const size_t size = p->size * (p->kind == P_OUT_ARRAY ? 4 : 1);
      add_output(call, p, at, memset(guarded(size), JUNK, size));
      break;
    }
    case P_INFO: {
      unsigned char *info = memset(guarded_struct(p->size), JUNK, p->size);
      PUT(info, size_t, p->size);
      add_output(call, p, at, info);
      break;
    }
    case P_ERROR:
      call->error = memset(guarded(sizeof(subpy_error *)), JUNK, sizeof(subpy_error *));
      PUT(at, subpy_error **, call->error);
      break;
    default: /* flags, time limits, numbers: 0 */
      break;
  }
}

static void fill(call *call, const param *params, int count, char *base, const shape *inside) {
  for (int i = 0; i < count; i++) fill_one(call, &params[i], i > 0 ? &params[i - 1] : NULL, base, inside);
}

static void make_call(call *call, const export *x) {
  memset(call, 0, sizeof *call);
  call->x = x;
  places_used = 0;
  fill(call, x->params, x->count, call->args, NULL);
}

#endif
