/* Acts of tests/c/stress.c: runs of all kinds, whose results and exceptions are compared with what they must be. */
#ifndef CALLS_H
#define CALLS_H

#include "world.h"

/* ---- values ---- */

/* What a value is made of, while it is used. */
typedef struct {
  subpy_value values[256];
  subpy_pair pairs[64];
  char keys[64][16];
  int values_used, pairs_used;
} parts;

enum { LONG_TEXT = 4 << 20 };

/* Texts and bytes are parts of this one; it never changes. */
static char long_text[LONG_TEXT + 1];

static subpy_value some_plain(void) {
  uint64_t len = draw(8) ? draw(40) : draw(4) ? draw(2000) : draw(64) ? draw(100000) : draw(LONG_TEXT);
  const char *text = long_text + draw(LONG_TEXT + 1 - len);
  switch (draw(8)) {
    case 0: return subpy_none();
    case 1: return subpy_bool(draw(2));
    case 2: return subpy_int((int64_t)draw(UINT64_MAX));
    case 3: return subpy_float((double)draw(1000000) / 7);
    case 4: return subpy_bigint("-0x123456789abcdef0123456789abcdef", SUBPY_AUTO_LEN);
    case 5: return TEXT("text \xe2\x82\xac \xf0\x9f\x90\x8d");
    case 6: return subpy_bytes((const uint8_t *)text, len);
    default: return subpy_str(text, len);
  }
}

static subpy_value some_value(parts *parts, int depth) {
  int count = (int)draw(6);
  if (depth == 0 || draw(2) || parts->values_used + count > 256 || parts->pairs_used + count > 64) return some_plain();
  if (draw(3) == 0) {
    subpy_pair *pairs = parts->pairs + parts->pairs_used;
    char(*keys)[16] = parts->keys + parts->pairs_used;
    parts->pairs_used += count;
    for (int i = 0; i < count; i++) {
      snprintf(keys[i], sizeof keys[i], "k%d", i);
      pairs[i] = (subpy_pair){TEXT(keys[i]), some_value(parts, depth - 1)};
    }
    return subpy_dict(pairs, (size_t)count);
  }
  subpy_value *items = parts->values + parts->values_used;
  parts->values_used += count;
  for (int i = 0; i < count; i++) items[i] = some_value(parts, depth - 1);
  return draw(2) ? subpy_list(items, (size_t)count) : subpy_tuple(items, (size_t)count);
}

/* ---- ordinary runs ---- */

static bool is_int(const subpy_value *value, int64_t number) {
  return value->kind == SUBPY_KIND_INT && value->u.as_int == number;
}

/* A name of this thread's own, which lasts from run to run. */
static void execute(void) {
  watch it = some_slot();
  subpy_error *error = NULL;
  subpy_value result = {0};
  char code[64];
  int64_t number = (int64_t)draw(1 << 30);
  snprintf(code, sizeof code, "  own%d = %lld", me, (long long)number);
  if (!DO(&it, SUBPY_OK, subpy_exec(it.interp, code, SUBPY_AUTO_LEN, &error))) return;
  snprintf(code, sizeof code, "own%d + 1", me);
  if (!DO(&it, SUBPY_OK, subpy_eval(it.interp, code, SUBPY_AUTO_LEN, &result, &error))) return;
  MUST(is_int(&result, number + 1), "a name has another value");
}

static void call_echo(void) {
  watch it = some_slot();
  subpy_error *error = NULL;
  static _Thread_local parts parts;
  parts.values_used = parts.pairs_used = 0;
  subpy_value args[] = {some_value(&parts, 4), some_value(&parts, 4)}, result = {0};
  subpy_pair pair = {TEXT("k"), args[0]};
  subpy_value list = subpy_list(args, 2), kwargs = subpy_dict(&pair, 1);
  if (!DO(&it, SUBPY_OK, subpy_call(it.interp, "echo", SUBPY_AUTO_LEN, args, 2, &kwargs, &result, &error))) return;
  MUST(result.kind == SUBPY_KIND_LIST && result.len == 2, "no echo");
  MUST(same(&list, &result.u.as_items[0]) && same(&kwargs, &result.u.as_items[1]), "the echo is another");
  subpy_value_free(&result);
}

static void call_add(void) {
  watch it = some_slot();
  subpy_error *error = NULL;
  subpy_value args[] = {subpy_int((int64_t)draw(1 << 30)), subpy_int((int64_t)draw(1 << 30))}, result = {0};
  if (DO(&it, SUBPY_OK, subpy_call(it.interp, "add", SUBPY_AUTO_LEN, args, 2, NULL, &result, &error)))
    MUST(is_int(&result, args[0].u.as_int + args[1].u.as_int), "a wrong sum");
}

static void evaluate(void) {
  watch it = some_slot();
  subpy_error *error = NULL;
  subpy_value result = {0};
  if (!DO(&it, SUBPY_OK, subpy_eval(it.interp, "cycle()", SUBPY_AUTO_LEN, &result, &error))) return;
  MUST(result.kind == SUBPY_KIND_LIST && result.len == 200 && is_text(&result.u.as_items[199], "199"), "a wrong list");
  subpy_value_free(&result);
}

/* Functions and objects that are kept, one of each for a slot and a thread; their interpreter may have ended since. */
static _Thread_local struct {
  subpy_function function;
  subpy_object object;
  subpy_interp interp;
  int64_t number;
} kept[SLOTS];

static void forget(int slot) {
  subpy_function_free(kept[slot].function);
  subpy_object_free(kept[slot].object);
  kept[slot].function = kept[slot].object = 0;
}

static bool keep(const watch *it) {
  int at = (int)(it->slot - slots);
  if (kept[at].object && kept[at].interp == it->interp) return true;
  subpy_error *error = NULL;
  forget(at);
  kept[at].interp = it->interp;
  kept[at].number = (int64_t)draw(1000);
  if (!DO(it, SUBPY_OK, subpy_function_new(it->interp, "divide", SUBPY_AUTO_LEN, &kept[at].function, &error))) return false;
  subpy_value arg = subpy_int(kept[at].number), result = {0};
  subpy_run_request request = request_in(it, SUBPY_RUN_CALL, "Thing");
  request.args = &arg, request.nargs = 1, request.flags = SUBPY_RESULT_OBJECT;
  if (!DO(it, SUBPY_OK, subpy_run(&request, &result, &error))) return false;
  MUST(result.kind == SUBPY_KIND_OBJECT, "no object");
  MUST(subpy_object_keep(result.u.as_object, &kept[at].object, NULL) == SUBPY_OK, "the object is not there");
  subpy_value_free(&result);
  return true;
}

static void call_function(void) {
  watch it = some_slot();
  if (!keep(&it)) return;
  subpy_error *error = NULL;
  subpy_value rows[60], result = {0};
  const subpy_function function = kept[it.slot - slots].function;
  rows[0] = subpy_int((int64_t)draw(1000)), rows[1] = subpy_int(7);
  if (DO(&it, SUBPY_OK, subpy_function_call(function, rows, 2, NULL, &result, &error)))
    MUST(is_int(&result, rows[0].u.as_int / 7), "a wrong quotient");
  /* Every row by itself: some divide by zero. */
  size_t count = draw(31);
  for (size_t i = 0; i < count; i++) rows[2 * i] = subpy_int((int64_t)draw(1000)), rows[2 * i + 1] = subpy_int((int64_t)draw(6));
  if (!DO(&it, SUBPY_OK, subpy_function_call_many(function, rows, count, 2, SUBPY_RETURN_ERRORS, &result, &error))) return;
  MUST(result.kind == SUBPY_KIND_LIST && result.len == count, "not so many results");
  for (size_t i = 0; i < count; i++) {
    const subpy_value *one = &result.u.as_items[i];
    size_t row = 0;
    if (rows[2 * i + 1].u.as_int) {
      MUST(is_int(one, rows[2 * i].u.as_int / rows[2 * i + 1].u.as_int), "row %zu is wrong", i);
    } else {
      /* An interrupt is no exception of a row. */
      MUST(one->kind == SUBPY_KIND_ERROR && subpy_error_row(one->u.as_error, &row) && row == i, "row %zu has no error", i);
      MUST(strcmp(subpy_error_type_name(one->u.as_error, NULL), "ZeroDivisionError") == 0, "row %zu has another error", i);
    }
  }
  subpy_value_free(&result);
}

static void use_object(void) {
  watch it = some_slot();
  if (!keep(&it)) return;
  subpy_error *error = NULL;
  subpy_value result = {0}, by = subpy_int(3);
  const subpy_object object = kept[it.slot - slots].object;
  const int64_t number = kept[it.slot - slots].number;
  if (DO(&it, SUBPY_OK, subpy_object_attr(object, "n", 1, 0, &result, &error))) MUST(is_int(&result, number), "a wrong attribute");
  if (DO(&it, SUBPY_OK, subpy_object_call(object, "times", SUBPY_AUTO_LEN, &by, 1, NULL, 0, &result, &error)))
    MUST(is_int(&result, 3 * number), "a wrong product");
  subpy_run_request request = request_in(&it, SUBPY_RUN_EVAL, "generate(3)");
  request.flags = SUBPY_RESULT_OBJECT;
  if (!DO(&it, SUBPY_OK, subpy_run(&request, &result, &error))) return;
  subpy_value element = {0};
  bool more = true;
  for (int64_t i = 0; more && DO(&it, SUBPY_OK, subpy_object_next(result.u.as_object, 0, &more, &element, &error)); i++)
    MUST(more ? is_int(&element, i) : i == 3, "a wrong element");
  subpy_value_free(&result);
  if (draw(4) == 0) forget((int)(it.slot - slots));
}

static void in_thread(void) {
  watch it = some_slot();
  subpy_error *error = NULL;
  subpy_value args[] = {subpy_int((int64_t)draw(100)), subpy_int(2)}, result = {0};
  subpy_thread thread = 0;
  /* It would wait for the turn that this thread has, which waits for it. */
  if (inside && it.slot->busy == SUBPY_BUSY_WAIT) return;
  if (!DO(&it, SUBPY_OK, subpy_call_in_thread(it.interp, "add", SUBPY_AUTO_LEN, args, 2, NULL, &thread, &error))) return;
  if (draw(2)) {
    passed++;
    OK(subpy_thread_notify(thread, tells, NULL, &error));
  }
  if (draw(4) == 0) {
    int fd = -1;
    OK(subpy_thread_fd(thread, &fd, &error));
    MUST(fd >= 0, "no descriptor");
  }
  if (DO(&it, SUBPY_OK, subpy_thread_join(thread, &result, &error)))
    MUST(is_int(&result, args[0].u.as_int + 2), "a wrong sum");
}

static void in_session(void) {
  watch it = some_slot();
  subpy_error *error = NULL;
  if (inside || !DO(&it, SUBPY_OK, subpy_enter(it.interp, &error))) return;
  char code[64];
  subpy_value result = {0};
  snprintf(code, sizeof code, "local.own = %d", me);
  if (DO(&it, SUBPY_OK, subpy_exec(it.interp, code, SUBPY_AUTO_LEN, &error)) &&
      DO(&it, SUBPY_OK, subpy_eval(it.interp, "local.own", SUBPY_AUTO_LEN, &result, &error)))
    MUST(is_int(&result, me), "threading.local has another value");
  subpy_status status = CALL(&it, subpy_leave(it.interp, NULL));
  /* A process that has ended takes the session with it. */
  MUST(status == SUBPY_OK || (it.slot->process && met(&it, KILLING)), "leave is %s", subpy_status_name(status));
}

/* ---- exceptions ---- */

static const struct {
  const char *code, *type;
} EXCEPTIONS[] = {
    {"1 / 0", "ZeroDivisionError"},
    {"raise ExceptionGroup('g', [ValueError(1), TypeError(2)])", "ExceptionGroup"},
    {"def f(): f()\nf()", "RecursionError"},
    {"import sys; sys.exit(3)", "SystemExit"},
    {"raise MemoryError", "MemoryError"},
    {"raise Bad()", "Bad"},
    {"try: 1 / 0\nexcept Exception as e: raise KeyError('k') from e", "KeyError"},
    {"assert 0", "AssertionError"},
    {"import nothing_of_the_kind", "ModuleNotFoundError"},
    {"open('/nothing/of/the/kind')", "FileNotFoundError"},
    {"b'\\xff'.decode()", "UnicodeDecodeError"},
    {"class E(BaseException): pass\nraise E('\\ud800\\0')", "E"},
    {"json.loads('{')", "JSONDecodeError"},
    {"raise StopIteration", "StopIteration"},
};

static void raise_some(void) {
  watch it = some_slot();
  subpy_error *error = NULL;
  const int which = (int)draw(COUNT(EXCEPTIONS));
  if (!DO(&it, SUBPY_ERROR_EXECUTION_FAILED, subpy_exec(it.interp, EXCEPTIONS[which].code, SUBPY_AUTO_LEN, &error))) return;
  const char *type = subpy_error_type_name(error, NULL);
  MUST(met(&it, HITTING) || strcmp(type, EXCEPTIONS[which].type) == 0, "%s raised %s", EXCEPTIONS[which].code, type);
  MUST(subpy_error_frame_count(error) > 0 && subpy_error_display(error, NULL), "no traceback");
  subpy_error_free(error);
}

static void raise_others(void) {
  watch it = some_slot();
  subpy_error *error = NULL;
  subpy_value text = TEXT("text \xe2\x82\xac"), depth = subpy_int(20), result = {0};
  if (DO(&it, SUBPY_ERROR_EXECUTION_FAILED, subpy_call(it.interp, "fail", SUBPY_AUTO_LEN, &text, 1, NULL, &result, &error)))
    MUST(met(&it, HITTING) || strcmp(subpy_error_message(error, NULL), "ValueError: text \xe2\x82\xac") == 0, "another message");
  subpy_error_free(error);
  error = NULL;
  if (DO(&it, SUBPY_ERROR_EXECUTION_FAILED, subpy_call(it.interp, "deep", SUBPY_AUTO_LEN, &depth, 1, NULL, &result, &error)))
    MUST(met(&it, HITTING) || subpy_error_frame_count(error) == 21, "another number of frames");
  subpy_error_free(error);
  error = NULL;
  if (DO(&it, SUBPY_ERROR_SYNTAX, subpy_exec(it.interp, "if", SUBPY_AUTO_LEN, &error))) MUST(subpy_error_syntax(error, NULL, NULL, NULL), "no place");
  subpy_error_free(error);
  error = NULL;
  if (DO(&it, SUBPY_ERROR_NOT_SHAREABLE, subpy_eval(it.interp, "[1, {'k': object()}]", SUBPY_AUTO_LEN, &result, &error)))
    MUST(result.kind == SUBPY_KIND_NONE, "a part of a result");
  subpy_error_free(error);
}

/* ---- limits ---- */

/* Code that never ends, but by the limit. */
static void run_out_of_time(void) {
  watch it = some_slot();
  subpy_error *error = NULL;
  static const char *const endless[] = {"spin", "nap", "waits"};
  subpy_run_request request = request_in(&it, SUBPY_RUN_CALL, endless[draw(3)]);
  request.flags = SUBPY_RUN_ASYNC, request.timeout_ms = 1 + (int64_t)draw(12);
  if (inside) return;
  if (DO(&it, SUBPY_ERROR_TIMEOUT, subpy_run(&request, NULL, &error))) subpy_error_free(error);
}

/* Code that never ends, but by its token, which is fired before, at once, or later. */
static void cancel_one(void) {
  watch it = some_slot();
  subpy_error *error = NULL;
  subpy_cancel cancel = 0;
  subpy_thread thread = 0;
  OK(subpy_cancel_new(&cancel, &error));
  static const char *const endless[] = {"spin", "nap", "waits"};
  subpy_run_request request = request_in(&it, SUBPY_RUN_CALL, endless[draw(3)]);
  request.flags = SUBPY_RUN_ASYNC, request.cancel = cancel;
  uint64_t when = draw(4);
  if (when == 0) subpy_cancel_fire(cancel);
  bool started = DO(&it, SUBPY_OK, subpy_run_in_thread(&request, &thread, &error));
  if (when > 1) pause_ms((int)draw(8));
  subpy_cancel_fire(cancel);
  if (draw(2)) subpy_cancel_free(cancel), cancel = 0;
  if (started && DO(&it, SUBPY_ERROR_INTERRUPTED, subpy_thread_join(thread, NULL, &error))) subpy_error_free(error);
  subpy_cancel_free(cancel);
}

/* A process of its own, whose code ends by being killed. */
static void run_away(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create_process_with(SUBPY_BUSY_REFUSE, 0, 20);
  run(interp, "import time");
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EXEC, .text_len = SUBPY_AUTO_LEN,
                               .text = "while True:\n  try:\n    while True: time.sleep(1)\n  except BaseException: pass",
                               .timeout_ms = 5};
  doing[me].call = "a run that is killed";
  CHECK_STATUS(SUBPY_ERROR_TIMEOUT, subpy_run(&request, NULL, &error));
  /* On a busy machine the time may be over before the code has begun. */
  const bool killed = strstr(subpy_error_message(error, NULL), "its process was killed") != NULL;
  const subpy_status status = subpy_close(interp, NULL);
  MUST(status == (killed ? SUBPY_ERROR_NOT_FOUND : SUBPY_OK), "a close is %s after: %s", subpy_status_name(status),
       subpy_error_message(error, NULL));
  subpy_error_free(error);
}

/* ---- threads of Python's, coroutines, imports ---- */

static void python_threads(void) {
  watch it = some_slot_that(may_start_threads);
  subpy_error *error = NULL;
  static const char *const functions[] = {"threads", "threads_call", "pooled"};
  const int which = (int)draw(3);
  subpy_value n = subpy_int(1 + (int64_t)draw(4)), result = {0};
  if (inside) return;
  if (draw(3) == 0) {
    const char *leaves = draw(2) ? "leave_thread" : "leave_timer";
    if (!DO(&it, SUBPY_OK, subpy_call(it.interp, leaves, SUBPY_AUTO_LEN, NULL, 0, NULL, NULL, &error))) return;
  }
  if (!DO(&it, SUBPY_OK, subpy_call(it.interp, functions[which], SUBPY_AUTO_LEN, &n, 1, NULL, &result, &error))) return;
  MUST(result.kind == SUBPY_KIND_LIST && result.len == (size_t)n.u.as_int, "slot %d: %s(%d) has a list of %zu",
       (int)(it.slot - slots), functions[which], (int)n.u.as_int, result.len);
  for (int64_t i = 0; i < n.u.as_int; i++) MUST(is_int(&result.u.as_items[i], which == 2 ? i * i : i), "a thread did something else");
  subpy_value_free(&result);
}

static void coroutines(void) {
  watch it = some_slot();
  subpy_error *error = NULL;
  subpy_value n = subpy_int((int64_t)draw(20)), result = {0};
  if (inside) return; /* a thread runs one loop at a time */
  subpy_run_request request = request_in(&it, SUBPY_RUN_CALL, "gathers");
  request.flags = SUBPY_RUN_ASYNC, request.args = &n, request.nargs = 1;
  if (DO(&it, SUBPY_OK, subpy_run(&request, &result, &error))) MUST(is_int(&result, n.u.as_int * (n.u.as_int - 1) / 2), "a wrong sum");
  request = request_in(&it, SUBPY_RUN_EVAL, "await leaves()");
  request.flags = SUBPY_RUN_ASYNC;
  if (DO(&it, SUBPY_OK, subpy_run(&request, &result, &error))) MUST(is_int(&result, 1), "no task was left");
  request.text = "await raises()";
  if (!DO(&it, SUBPY_ERROR_EXECUTION_FAILED, subpy_run(&request, &result, &error))) return;
  MUST(met(&it, HITTING) || strcmp(subpy_error_type_name(error, NULL), "LookupError") == 0, "another exception");
  subpy_error_free(error);
}

static const char *const modules[] = {
    "array", "ast", "asyncio", "base64", "bisect", "calendar", "collections", "concurrent.futures", "configparser",
    "contextlib", "copy", "csv", "ctypes", "dataclasses", "datetime", "decimal", "difflib", "email.message", "enum",
    "fractions", "functools", "glob", "gzip", "hashlib", "heapq", "hmac", "html", "http.client", "inspect", "io",
    "ipaddress", "itertools", "json", "logging", "lzma", "math", "operator", "pathlib", "pickle", "pprint", "queue",
    "random", "secrets", "select", "shlex", "socket", "sqlite3", "statistics", "string", "struct", "subprocess",
    "tempfile", "textwrap", "typing", "unicodedata", "urllib.parse", "uuid", "weakref", "xml.etree.ElementTree",
    "zipfile", "zlib", "zoneinfo"};

static void import_module(watch it, const char *module) {
  subpy_error *error = NULL;
  subpy_value result = {0};
  char code[120];
  snprintf(code, sizeof code, "__import__('importlib').import_module('%s').__name__", module);
  if (!DO(&it, SUBPY_OK, subpy_eval(it.interp, code, SUBPY_AUTO_LEN, &result, &error))) return;
  MUST(is_text(&result, module), "another module");
  subpy_value_free(&result);
}

/* A package whose import is interrupted may be one that cannot be imported any more (docs/limits.md). */
static bool may_import(const slot *slot) { return !slot->hit; }

static void import_one(void) {
  if (!inside || may_import(inside->slot)) import_module(some_slot_that(may_import), modules[draw(COUNT(modules))]);
}

#endif
