/* What came of a cell, and whether it is what the rules and the table say. */
#ifndef JUDGE_H
#define JUDGE_H

#include "mutations.h"

/* The table of outcomes.txt, which is generated. */
static const row *find_row(const char *cell) {
  static bool used[COUNT(rows)];
  for (size_t i = 0; i < COUNT(rows); i++) {
    if (fnmatch(rows[i].pattern, cell, 0) != 0) continue;
    if (!used[i]) {
      char line[64];
      snprintf(line, sizeof line, "row %d\n", rows[i].line);
      say(line);
    }
    used[i] = true;
    return &rows[i];
  }
  return NULL;
}

/* In the long form all arguments are wrong everywhere, and any outcome will do that is one of these: what is checked then
 * is that outputs, errors and finalizers agree with it. */
static int any_of;

typedef struct expectation {
  int outcomes;
  const char *word;
} expectation;

/* The rule for the cell, unless the table has a row; what is as with good arguments is looked up once more. */
static expectation expected(const char *context, const export *x, const mutation *m, int good) {
  expectation e = {m->expected, m->word};
  if (any_of) return (expectation){any_of | IS_EMPTY | IS_FULL, NULL};
  char cell[256];
  const row *found = find_row(cell_name);
  if (!found && (m->expected & IS_GOOD)) {
    snprintf(cell, sizeof cell, "%s/%s/%s/good", in_processes() ? "process" : "thread", context, x->name);
    found = find_row(cell);
    if (!found) e = (expectation){good, NULL};
  }
  if (found) e = (expectation){found->outcomes, found->message[0] ? found->message : NULL};
  if (x->returns == R_STATUS || x->returns == R_VALUE || (e.outcomes & (IS_EMPTY | IS_FULL))) return e;
  /* Without a status, the outcome is nothing instead of an error. */
  return (expectation){(e.outcomes & IS_OK ? IS_FULL : 0) | (e.outcomes & ~IS_OK ? IS_EMPTY : 0), NULL};
}

static const char *outcome_name(const export *x, int outcome) {
  if (outcome == IS_EMPTY) return x->returns == R_POINTER ? "NULL" : "0";
  if (outcome == IS_FULL) return x->returns == R_POINTER ? "a pointer" : "a number other than 0";
  for (int i = 0; i <= 16; i++)
    if (outcome == 1 << i) return subpy_status_name(-i);
  return "no status";
}

static void check_outcome(const export *x, int outcome, expectation e, const char *message) {
  if (outcome & e.outcomes) return;
  char names[300] = "";
  for (int i = 0; i < 22; i++)
    if (e.outcomes & (1 << i)) strcat(strcat(names, names[0] ? " or " : ""), outcome_name(x, 1 << i));
  fail("%s, not %s (%.600s)", outcome_name(x, outcome), names, message ? message : "no message");
}

static bool all_are(const unsigned char *place, size_t size, unsigned char byte) {
  for (size_t i = 0; i < size; i++)
    if (place[i] != byte) return false;
  return true;
}

static bool is_given(const call *call, const output *out) {
  unsigned char *pointer;
  memcpy(&pointer, call->args + out->of->offset, sizeof pointer);
  return pointer == out->place;
}

/* An output of a failed call: zero, or what its kind has instead. */
static void check_empty(const output *out) {
  const param *p = out->of;
  if (p->kind == P_OUT_ARRAY) {
    if (!all_are(out->place, p->size * 4, JUNK)) fail("%s was written to", p->name);
  } else if (p->kind == P_INFO) {
    const size_t size = *(size_t *)(void *)out->place, makes_sense = size >= p->size && size <= 4096;
    const unsigned char *const rest = out->place + sizeof(size_t);
    /* With a size that makes no sense it is left alone. Less than there is now may be what there was once. */
    const bool alone = all_are(rest, p->size - sizeof(size_t), JUNK);
    const bool empty = size > sizeof(size_t) && size <= 4096 && all_are(rest, size - sizeof(size_t), 0);
    if (makes_sense ? !empty : !alone && !empty) fail("%s is not zero (its size is %zu)", p->name, size);
  } else if (!all_are(out->place, p->size, p->kind == P_OUT_FD ? 0xFF : 0)) {
    fail("%s is not empty", p->name);
  }
}

static void check_written(const output *out) {
  const param *p = out->of;
  if (p->kind == P_INFO) {
    const size_t size = *(size_t *)(void *)out->place;
    const size_t known = size < p->size ? size : p->size;
    if (!all_are(out->place + known, size - known, 0)) fail("%s: its end is not zero", p->name);
    if (all_are(out->place + sizeof(size_t), known - sizeof(size_t), JUNK)) fail("%s was not written", p->name);
  } else if (p->size == sizeof(bool)) {
    if (*out->place > 1) fail("%s was not written", p->name);
  } else if (all_are(out->place, p->size, JUNK)) {
    fail("%s was not written", p->name);
  }
}

/* Gives back what a call has made. */
static void give_back(const call *call, const output *out) {
  const param *p = out->of;
  uint64_t handle = 0;
  memcpy(&handle, out->place, p->size < sizeof handle ? p->size : sizeof handle);
  if (p->kind == P_RESULT) {
    subpy_value *value = (subpy_value *)(void *)out->place;
    if (value->kind < SUBPY_KIND_NONE || value->kind > SUBPY_KIND_QUEUE) fail("%s has kind %d", p->name, value->kind);
    subpy_value_free(value);
  } else if (is_about(call, "subpy_buffer_new")) {
    subpy_buffer_free((subpy_buffer *)(void *)out->place);
  } else if (p->kind == P_OUT_HANDLE) {
    if (handle == 0 || handle >= UINT64_C(1) << 53) fail("%s is %llu", p->name, (unsigned long long)handle);
    switch (p->noun) {
      case INTERP:
        if (is_about(call, "subpy_create")) (void)subpy_close(handle, NULL);
        break;
      case THREAD:
        (void)subpy_thread_wait(handle, -1, NULL, NULL);
        subpy_thread_free(handle);
        break;
      case POOL: (void)subpy_pool_close(handle, NULL, NULL); break;
      case CANCEL: subpy_cancel_free(handle); break;
      case QUEUE: subpy_queue_free(handle); break;
      default: subpy_object_free(handle); break;
    }
  }
}

static void judge_error(const call *call, subpy_status status, expectation e) {
  subpy_error *error = *call->error;
  if (status == SUBPY_OK) {
    if (error) fail("an error with SUBPY_OK");
    return;
  }
  size_t len = 0;
  const char *message = subpy_error_message(error, &len);
  if (!message || len == 0 || subpy_error_status(error) != status)
    fail("the error is not that of %s", subpy_status_name(status));
  else if (e.word && !strstr(message, e.word))
    fail("the message does not have \"%s\": %.600s", e.word, message);
  subpy_error_free(error);
}

static const param *finalizer(const call *call) {
  for (int i = 0; i < call->x->count; i++) {
    const param *p = &call->x->params[i];
    if (strcmp(p->name, "finalize") == 0) return p;
    for (int field = 0; p->of && field < p->of->count; field++)
      if (strcmp(p->of->fields[field].name, "finalize") == 0) return &p->of->fields[field];
  }
  return NULL;
}

/* A function with a status: the status, the error, the outputs, and the caller's userdata. */
static void judge_status(const call *call, const outcome *got, expectation e, bool finalize_is_good) {
  const int bit = got->status > 0 || got->status < -16 ? 0 : 1 << -got->status;
  const char *message = call->error ? subpy_error_message(*call->error, NULL) : NULL;
  check_outcome(call->x, bit, e, message);
  if (call->error) judge_error(call, got->status, bit & e.outcomes ? e : (expectation){0});
  if (finalize_is_good && finalizer(call) && call->token != 0) {
    /* With the interpreter it ends too. */
    const int times = finalized[call->token], most = got->status != SUBPY_OK || !is_alive(w.handles[INTERP]);
    if (times > most || (times == 0 && got->status != SUBPY_OK)) fail("finalize was called %d times, and the status is %d", times, got->status);
  }
  for (int i = 0; i < call->output_count; i++) {
    const output *out = &call->outputs[i];
    if (!is_given(call, out)) continue;
    if (got->status != SUBPY_OK) check_empty(out);
    else if (out->of->kind != P_OUT_ARRAY) check_written(out), give_back(call, out);
  }
}

/* A function without one: nothing is written when the answer is no. */
static void judge_answer(const call *call, const outcome *got, expectation e) {
  const bool full = call->x->returns == R_POINTER ? got->pointer != NULL : got->number != 0;
  if (call->x->returns == R_BOOL && got->number > 1) fail("the bool is %llu", (unsigned long long)got->number);
  check_outcome(call->x, full ? IS_FULL : IS_EMPTY, e, NULL);
  for (int i = 0; i < call->output_count; i++) {
    const output *out = &call->outputs[i];
    if (!is_given(call, out)) continue;
    if (full) check_written(out);
    else if (out->of->kind != P_INFO && !all_are(out->place, out->of->size, JUNK)) check_empty(out);
  }
  if (is_about(call, "subpy_error_copy")) subpy_error_free((subpy_error *)(uintptr_t)got->pointer);
}

/* What a constructor makes is checked when it is used: so that is done. */
static void judge_value(const call *call, const outcome *got, expectation e) {
  subpy_value number = subpy_int(1);
  /* Where nothing can be used, nothing is. */
  if (subpy_call(w.handles[INTERP], "builtins:id", SUBPY_AUTO_LEN, &number, 1, NULL, NULL, NULL) != SUBPY_OK) return;
  subpy_error *error = NULL;
  const subpy_status status =
      subpy_call(w.handles[INTERP], "builtins:id", SUBPY_AUTO_LEN, &got->value, 1, NULL, NULL, &error);
  check_outcome(call->x, 1 << -status, e, subpy_error_message(error, NULL));
  subpy_error_free(error);
}

static void judge(const call *call, const outcome *got, expectation e, bool finalize_is_good) {
  if (call->x->returns == R_STATUS) judge_status(call, got, e, finalize_is_good);
  else if (call->x->returns == R_VALUE) judge_value(call, got, e);
  else if (call->x->returns != R_VOID) judge_answer(call, got, e);
}

#endif
