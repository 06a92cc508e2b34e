/* Acts of tests/c/stress.c: interpreters end, and others take their places. */
#ifndef ENDS_H
#define ENDS_H

#include "things.h"

/* Interpreters that have ended, by kind: in this process, in one of their own, by a crash. */
static atomic_long ended[3], deaths_unknown;

/* Whoever closes, kills or replaces what is there. */
static slot *own_slot(bool (*is_so)(const slot *)) {
  slot *slot = some_slot_that(is_so).slot;
  return inside || pthread_mutex_trylock(&slot->owner) != 0 ? NULL : slot;
}

static bool any(const slot *slot) {
  (void)slot;
  return true;
}

static bool is_hit(const slot *slot) { return slot->hit; }
static bool is_killed(const slot *slot) { return slot->killed; }

/* Until it has ended. False: it has not come to rest, and is as before. */
static bool ends_within(subpy_interp interp, int64_t timeout_ms, uint32_t flags) {
  subpy_error *error = NULL;
  subpy_status status = close_in(interp, timeout_ms, flags, &error);
  if (status == SUBPY_ERROR_TIMEOUT) {
    subpy_error_free(error);
    error = NULL;
    status = close_in(interp, -1, flags | SUBPY_CLOSE_DRAIN, &error);
    /* It has ended meanwhile. */
    if (status == SUBPY_ERROR_NOT_FOUND) status = SUBPY_OK;
  }
  MUST(status == SUBPY_OK || status == SUBPY_ERROR_BUSY, "a close is %s: %s", subpy_status_name(status),
       subpy_error_message(error, NULL));
  subpy_error_free(error);
  return status == SUBPY_OK;
}

static bool close_somehow(slot *slot, subpy_interp interp, uint64_t way) {
  subpy_error *error = NULL;
  switch (way) {
    case 0:
      return ends_within(interp, 0, 0);
    case 1:
      return ends_within(interp, (int64_t)draw(40), SUBPY_CLOSE_DRAIN);
    case 2:
      return ends_within(interp, (int64_t)draw(40), SUBPY_CLOSE_INTERRUPT | (draw(2) ? SUBPY_CLOSE_DRAIN : 0));
    default: {
      /* This one waits for threads of Python's without a limit. */
      if (slot->hit) return ends_within(interp, 20, 0);
      subpy_status status = subpy_close(interp, &error);
      MUST(status == SUBPY_OK || status == SUBPY_ERROR_BUSY, "a close is %s: %s", subpy_status_name(status),
           subpy_error_message(error, NULL));
      subpy_error_free(error);
      return status == SUBPY_OK;
    }
  }
}

static void close_one(void) {
  slot *slot = own_slot(any);
  if (!slot) return;
  uint64_t way = draw(4);
  if (way == 2 && !slot->hit) way = 1;
  /* What is interrupted and does not end in time is killed, if it has a process. */
  const int until = way == 2 ? slot->process ? KILLING : HITTING : CLOSING;
  for (int i = 0; i <= until; i++) begins(slot, i);
  says(slot, way == 3 ? "subpy_close()" : "subpy_close_with()");
  if (close_somehow(slot, slot->interp, way)) {
    doing[me].call = "a new one";
    ended[slot->process]++;
    slot->interp = new_one(slot);
  }
  for (int i = 0; i <= until; i++) ends(slot, i);
  pthread_mutex_unlock(&slot->owner);
}

static void kill_one(void) {
  static const struct {
    const char *code;
    int signal, exit_code;
  } ways[] = {{"os._exit(7)", 0, 7},
              {"os.abort()", SIGABRT, -1},
              {"os.kill(os.getpid(), 9); time.sleep(60)", SIGKILL, -1},
              {"import ctypes; ctypes.string_at(0)", SIGSEGV, -1}};
  slot *slot = own_slot(is_killed);
  if (!slot) return;
  const int way = (int)draw(COUNT(ways));
  subpy_error *error = NULL;
  watch it = look_at(slot);
  begins(slot, KILLING);
  subpy_status status = CALL(&it, subpy_exec(it.interp, ways[way].code, SUBPY_AUTO_LEN, &error));
  if (status == SUBPY_ERROR_CRASHED) {
    int32_t signal = 0, exit_code = 0;
    MUST(subpy_error_crash(error, &signal, &exit_code), "no crash");
    /* On a busy machine the word of the process that it was forked from may come too late. */
    const bool unknown = signal == 0 && exit_code == -1;
    deaths_unknown += unknown;
    MUST(unknown || (signal == ways[way].signal && exit_code == ways[way].exit_code), "%s ended with signal %d, exit code %d",
         ways[way].code, (int)signal, (int)exit_code);
    doing[me].call = "a new one";
    ended[2]++;
    slot->interp = new_one(slot);
  } else {
    MUST(status == SUBPY_ERROR_BUSY && slot->busy == SUBPY_BUSY_REFUSE, "%s is %s: %s", ways[way].code,
         subpy_status_name(status), error ? subpy_error_message(error, NULL) : "");
  }
  subpy_error_free(error);
  ends(slot, KILLING);
  pthread_mutex_unlock(&slot->owner);
}

static void interrupt_one(void) {
  slot *slot = own_slot(is_hit);
  if (!slot) return;
  subpy_error *error = NULL;
  begins(slot, HITTING);
  OK(subpy_interrupt(slot->interp, &error));
  ends(slot, HITTING);
  pthread_mutex_unlock(&slot->owner);
}

/* One of this thread's own, which nobody else knows. */
static void create_one(void) {
  if (inside) return;
  subpy_error *error = NULL;
  const slot *like = &slots[draw(SLOTS)];
  says(like, "one of its own");
  subpy_interp interp = new_one(like);
  subpy_value args[] = {subpy_int(40), subpy_int(2)}, result = {0};
  OK(subpy_call(interp, "add", SUBPY_AUTO_LEN, args, 2, NULL, &result, &error));
  MUST(is_int(&result, 42), "a wrong sum");
  if (like->process && draw(2)) {
    FAILS(SUBPY_ERROR_CRASHED, "...", subpy_exec(interp, "os._exit(1)", SUBPY_AUTO_LEN, &error));
    ended[2]++;
  } else {
    OK(subpy_close(interp, &error));
    ended[like->process]++;
  }
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_close(interp, &error));
}

/* Nobody is in any of them. */
static void create_all(void) {
  for (int i = 0; i < SLOTS; i++) slots[i].interp = new_one(&slots[i]);
}

static void close_all(void) {
  for (int i = 0; i < SLOTS; i++) {
    bool interrupts = slots[i].process && slots[i].hit;
    says(&slots[i], "the close before a look");
    MUST(ends_within(slots[i].interp, interrupts ? 5000 : 60000, interrupts ? SUBPY_CLOSE_INTERRUPT : SUBPY_CLOSE_DRAIN),
         "slot %d does not come to rest", i);
    ended[slots[i].process]++;
    slots[i].interp = 0;
  }
}

#endif
