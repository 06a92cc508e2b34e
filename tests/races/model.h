/* What may come of a call, given what was there before it and what met it. Every call of a round is looked at when all have
 * ended: a handle is never given twice, so it says which thing is meant. */
#ifndef MODEL_H
#define MODEL_H

#include "record.h"

static const record *all[(MOST_THREADS + 1) * CALLS];
static int count;

#define EACH(other) \
  for (int other##_ = 0; other##_ < count; other##_++) \
    for (const record *other = all[other##_]; other; other = NULL)

static bool meets(const record *it, const record *other) { return it->begin < other->end && other->begin < it->end; }

/* A run that was started goes on, and a thread that ends may be in its sessions until it has. */
static uint64_t until(const record *it) { return it->until > it->end ? it->until : it->end; }

static const record *maker(uint64_t handle) {
  EACH(other) {
    if (handle && other->made == handle && (other->what == CREATE || other->what == POOL_NEW)) return other;
  }
  return NULL;
}

static bool is_end(what what) { return what == CLOSE || what == DESTROY || what == POOL_CLOSE; }

/* A close of a pool that was in the way of nothing but one of its interpreters: then the pool itself has ended. */
static bool has_ended_pool(const record *it) {
  bool tasks = (strstr(it->said, "subpy-") && strstr(it->said, " is running ")) || strstr(it->said, "tasks wait") ||
               strstr(it->said, "an interpreter of the pool");
  return it->what == POOL_CLOSE && it->status == SUBPY_ERROR_BUSY && !tasks;
}

/* The call may have ended the interpreter or pool; `it` was made at that time. */
static bool may_end(const record *other, uint64_t handle, uint64_t made) {
  if (other->what == RUN || other->what == START || other->what == SUBMIT)
    return (other->how & KILLS) && other->on == handle;
  if (other->what != SHUTDOWN && !(is_end(other->what) && other->on == handle)) return false;
  /* What was interrupted and has not ended in time may have been killed. */
  bool done = other->status == SUBPY_OK || other->status == SUBPY_ERROR_TIMEOUT || other->status == SUBPY_ERROR_CRASHED ||
              other->what == DESTROY || (other->how & INTERRUPTS) || has_ended_pool(other);
  return done && (other->what != SHUTDOWN || other->end > made);
}

static bool may_be_gone(uint64_t handle, uint64_t at) {
  const record *made = maker(handle);
  if (!made) return true; /* of a pool, or of Python's: it comes and goes */
  EACH(other) {
    if (other->begin < at && may_end(other, handle, made->begin)) return true;
  }
  return false;
}

/* Who has ended it for sure at that time. */
static const record *ended(uint64_t handle, uint64_t at) {
  const record *made = maker(handle);
  EACH(other) {
    if (other->end > at || other->status != SUBPY_OK) continue;
    if ((other->what == CLOSE || other->what == POOL_CLOSE) && other->on == handle) return other;
    if (other->what == SHUTDOWN && made && made->end < other->begin) return other;
  }
  return NULL;
}

static bool may_be_freed(uint64_t handle, uint64_t at) {
  EACH(other) {
    if (other->begin < at && other->on == handle && (other->what == FREE || other->what == JOIN)) return true;
  }
  return false;
}

static const record *freed(uint64_t handle, uint64_t at) {
  EACH(other) {
    if (other->what == FREE && other->on == handle && other->end < at) return other;
  }
  return NULL;
}

/* Whoever comes meanwhile sees that it closes. A close that was refused at once is seen by nobody. */
static bool is_closing(const record *it, uint64_t handle) {
  EACH(other) {
    if (other == it || other->begin > until(it)) continue;
    if (other->what != SHUTDOWN && !(is_end(other->what) && other->on == handle)) continue;
    bool late = other->status == SUBPY_ERROR_TIMEOUT; /* it goes on */
    bool seen = other->status == SUBPY_OK || late || other->what == DESTROY || (other->how & (DRAINS | INTERRUPTS));
    if (seen && (late || it->begin < other->end)) return true;
  }
  return false;
}

static bool runs(const record *other) { return other->what == RUN || other->what == START; }

/* A run is in there, or may be; with `all`, whatever keeps it from being closed. */
static bool is_used(const record *it, uint64_t handle, bool all_of_it) {
  EACH(other) {
    if (other == it || other->on != handle || other->begin > until(it) || until(other) < it->begin) continue;
    bool other_use = other->what == STAY || other->what == MEMORY || other->what == ENTER || other->what == LEAVE || other->what == OUTPUT;
    if (runs(other) || (all_of_it && other_use)) return true;
  }
  return false;
}

static const record *outer(const record *it) { return it->outer < 0 ? NULL : &logs[it->thread][it->outer]; }

/* The run may have been interrupted, by a token or all that runs there. */
static bool may_be_stopped(const record *it) {
  if (it->outer >= 0 && may_be_stopped(outer(it))) return true;
  EACH(other) {
    if (other->begin > until(it)) continue;
    if (other->what == FIRE && it->token && other->on == it->token) return true;
    if (other->end < it->begin) continue;
    if (other->what == INTERRUPT && other->on == it->on) return true;
    bool all_there = other->what == SHUTDOWN || (is_end(other->what) && other->on == it->on);
    if (all_there && (other->how & INTERRUPTS)) return true;
  }
  return false;
}

static bool may_be_late(const record *it) {
  return (it->how & LIMITED) || it->home.has_limit || (it->outer >= 0 && may_be_late(outer(it)));
}

static bool may_crash(const record *it) {
  if (!it->home.process && !(it->how & POOLED)) return false;
  EACH(other) {
    bool there = other->what == SHUTDOWN || other->on == it->on;
    if (other->begin < until(it) && there && (other->how & (KILLS | INTERRUPTS))) return true;
  }
  return false;
}

/* A token that nobody could have freed before it was fired: then all that has it afterwards is refused. */
static bool is_fired(uint64_t token, uint64_t at) {
  EACH(other) {
    if (other->what == FIRE && other->on == token && other->end < at && !may_be_freed(token, other->end)) return true;
  }
  return false;
}

static bool meets_any(const record *it, bool (*so)(const record *)) {
  EACH(other) {
    bool after = other->what == SHUTDOWN && other->status == SUBPY_ERROR_TIMEOUT && other->begin < it->end;
    if (other != it && (meets(it, other) || after) && so(other)) return true;
  }
  return false;
}

/* What has begun cannot be taken back, so others notice it. */
static bool stops_for_good(const record *it) {
  return it->what == SHUTDOWN && (it->status == SUBPY_OK || it->status == SUBPY_ERROR_TIMEOUT);
}

static bool is_shutdown(const record *it) { return it->what == SHUTDOWN; }

#define NOT(condition, ...)                                                                                  \
  do {                                                                                                       \
    if (condition) wrong(it, __VA_ARGS__);                                                                   \
  } while (0)

/* A run, on whatever thread. `at`: its end. */
static void check_run(const record *it, uint64_t at) {
  bool inside_it = false;
  for (const record *out = outer(it); out; out = outer(out)) inside_it = inside_it || out->on == it->on;
  bool started = it->what == START || it->what == SUBMIT;
  switch (it->status) {
    case SUBPY_OK:
      NOT(it->how & (RAISES | ENDLESS | KILLS), "code that cannot end well has");
      NOT(ended(it->on, it->begin), "something ran in what was closed before");
      NOT(it->via && freed(it->via, it->begin), "what was freed before was used");
      NOT(it->token && is_fired(it->token, it->begin), "a run began with a token that was fired before");
      return;
    case SUBPY_ERROR_NOT_FOUND: {
      bool gone = may_be_gone(it->on, at);
      /* What was started has what it needs. */
      bool lost = !started && ((it->via && may_be_freed(it->via, at)) || (it->token && may_be_freed(it->token, at)));
      NOT(!gone && !lost && !(it->how & OBJECTS), "not found, and nobody has closed or freed it");
      return;
    }
    case SUBPY_ERROR_BUSY: {
      bool other_runs = it->home.policy == SUBPY_BUSY_REFUSE && !inside_it && is_used(it, it->on, false);
      bool is_said_to_close = strstr(it->said, "is closing") != NULL;
      NOT(is_said_to_close ? !is_closing(it, it->on) : !other_runs, "busy, and nothing is in the way");
      return;
    }
    case SUBPY_ERROR_INTERRUPTED:
      NOT(!may_be_stopped(it), "interrupted, and nobody has");
      return;
    case SUBPY_ERROR_TIMEOUT:
      NOT(!may_be_late(it), "timed out without a limit");
      return;
    case SUBPY_ERROR_EXECUTION_FAILED:
      NOT(!(it->how & RAISES), "an exception that nobody has raised");
      return;
    case SUBPY_ERROR_CRASHED:
      NOT(!may_crash(it), "crashed, and nobody has killed it");
      return;
    case SUBPY_ERROR_NOT_SHAREABLE:
      NOT(!(it->how & OBJECTS), "not shareable");
      return;
    default:
      wrong(it, "no run ends like this");
  }
}

static void check_close(const record *it) {
  switch (it->status) {
    case SUBPY_OK: {
      const record *before = ended(it->on, it->begin);
      NOT(before, "closed twice");
      EACH(other) {
        bool kept = other->what == STAY && other->on == it->on && other->begin < it->end && it->end < other->end;
        NOT(kept && !(it->home.process && (it->how & INTERRUPTS)), "closed while a thread is inside");
      }
      return;
    }
    case SUBPY_ERROR_NOT_FOUND:
      NOT(!may_be_gone(it->on, it->end), "not found, and nobody has closed it");
      return;
    case SUBPY_ERROR_BUSY: {
      bool threads = false, closes = false;
      EACH(other) {
        threads = threads || (other->on == it->on && (other->how & THREADS) && other->begin < it->end);
        bool close = other->what == SHUTDOWN || (is_end(other->what) && other->on == it->on);
        closes = closes || (other != it && close && (meets(it, other) || other->status == SUBPY_ERROR_TIMEOUT));
        /* The thread that looked on behalf of one that was given up may be in there for a moment more. */
        bool looks = close && (other->how & DRAINS) && other->status == SUBPY_ERROR_BUSY;
        closes = closes || (looks && other->end < it->begin && it->begin - other->end < 500);
      }
      bool stays = is_used(it, it->on, true) || (it->how & ENDING);
      NOT(!stays && !closes && !((it->how & DRAINS) && threads) && !(it->what == POOL_CLOSE),
          "busy, and nothing is in the way of the close");
      return;
    }
    case SUBPY_ERROR_TIMEOUT:
      NOT(!(it->how & DRAINS), "timed out without a limit");
      return;
    case SUBPY_ERROR_INTERPRETER: {
      bool inside_it = it->how & FOREIGN;
      for (const record *out = outer(it); out; out = outer(out)) inside_it = inside_it || out->on == it->on;
      NOT(!inside_it, "this thread is not inside");
      return;
    }
    case SUBPY_ERROR_WRONG_STATE: /* of a pool's: from one of its tasks */
      NOT(it->what != POOL_CLOSE || it->outer < 0, "a close in no state for it");
      return;
    default:
      wrong(it, "no close ends like this");
  }
}

static void check_shutdown(const record *it) {
  if (it->status == SUBPY_OK) {
    NOT(it->outer >= 0, "shut down from inside");
    EACH(other) {
      bool kept = other->what == STAY && other->begin < it->begin && it->end < other->end;
      NOT(kept && !(other->home.process && (it->how & INTERRUPTS)), "shut down while a thread is inside an interpreter");
    }
  } else if (it->status == SUBPY_ERROR_BUSY) {
    bool busy = it->outer >= 0 || (it->how & ENDING);
    EACH(other) busy = busy || (other != it && other->what != FREE && other->begin < it->end && until(other) > it->begin);
    EACH(other) {
      busy = busy || ((it->how & DRAINS) && (other->how & THREADS)) || other->status == SUBPY_ERROR_TIMEOUT;
      bool looks = (other->how & DRAINS) && other->status == SUBPY_ERROR_BUSY;
      busy = busy || (looks && other->end < it->begin && it->begin - other->end < 500);
    }
    NOT(!busy, "busy, and nothing else happens");
  } else if (it->status == SUBPY_ERROR_WRONG_STATE) {
    NOT(!meets_any(it, is_shutdown), "nobody else shuts down");
  } else {
    NOT(it->status != SUBPY_ERROR_TIMEOUT || !(it->how & DRAINS), "no shutdown ends like this");
  }
}

/* A join takes what came of a run, once. */
static void check_join(const record *it) {
  const record *started = NULL;
  int taken = 0;
  EACH(other) {
    if (other->made == it->on && (other->what == START || other->what == SUBMIT)) started = other;
    taken += other->what == JOIN && other->on == it->on && !other->lost;
  }
  MUST(started, "a thread that nobody has started");
  if (it->lost) {
    bool gone = may_be_freed(it->on, it->begin);
    EACH(other) gone = gone || (other != it && other->on == it->on && other->begin < it->end &&
                                (other->what == FREE || other->what == JOIN));
    EACH(other) gone = gone || (other->what == SHUTDOWN && other->begin < it->end && other->end > started->begin);
    NOT(!gone, "a thread that is gone, and nobody has taken it");
    return;
  }
  NOT(taken != 1, "a thread was joined %d times", taken);
  /* The run, as its thread has done it. */
  record run = *started;
  run.status = it->status;
  run.until = started->until ? started->until : it->end;
  memcpy(run.said, it->said, sizeof run.said);
  run.thread = OUT + 1;
  run.outer = -1;
  if (started->what == SUBMIT) {
    bool stopped = it->status == SUBPY_ERROR_INTERRUPTED || it->status == SUBPY_ERROR_CRASHED;
    run.on = started->via;
    if (stopped && may_be_stopped(&run)) return;
    if (it->status == SUBPY_ERROR_BUSY && is_closing(&run, run.on)) return; /* it needed another interpreter */
    if (it->status == SUBPY_ERROR_WRONG_STATE && may_be_gone(run.on, it->end)) return; /* the runtime has ended before it began */
    NOT(it->status != SUBPY_OK && !((run.how & RAISES) && it->status == SUBPY_ERROR_EXECUTION_FAILED) &&
            !((run.how & LIMITED) && it->status == SUBPY_ERROR_TIMEOUT) && !(it->status == SUBPY_ERROR_CRASHED && may_crash(&run)),
        "no task ends like this");
    return;
  }
  const record *kept = started;
  for (int i = 0; i < count; i++)
    if (all[i] == kept) all[i] = &run; /* it does not meet itself */
  check_run(&run, it->end);
  for (int i = 0; i < count; i++)
    if (all[i] == &run) all[i] = kept;
}

static void check_queue(const record *it) {
  bool closed = false, closed_before = false;
  EACH(other) {
    if (other->what != QUEUE_CLOSE || other->via != it->via || other->status != SUBPY_OK) continue;
    closed = closed || other->begin < it->end;
    closed_before = closed_before || other->end < it->begin;
  }
  switch (it->status) {
    case SUBPY_OK:
      NOT(it->what == PUT && closed_before, "something was put into a closed queue");
      NOT(freed(it->on, it->begin), "a queue was used by a handle that was freed before");
      return;
    case SUBPY_ERROR_NOT_FOUND:
      NOT(!may_be_freed(it->on, it->end) && !(it->token && may_be_freed(it->token, it->end)), "not found, and nobody has freed it");
      return;
    case SUBPY_ERROR_WRONG_STATE:
      NOT(!closed, "closed, and nobody has closed it");
      return;
    case SUBPY_ERROR_TIMEOUT:
      return; /* all have a limit */
    case SUBPY_ERROR_INTERRUPTED:
      NOT(!may_be_stopped(it), "interrupted, and nobody has");
      return;
    default:
      wrong(it, "no queue says this");
  }
}

static void check_call(const record *it) {
  switch (it->what) {
    case RUN:
      check_run(it, it->end);
      return;
    case CLOSE:
    case POOL_CLOSE:
      check_close(it);
      return;
    case SHUTDOWN:
      check_shutdown(it);
      return;
    case JOIN:
      check_join(it);
      return;
    case PUT:
    case GET:
      check_queue(it);
      return;
    case CREATE:
    case USE:
    case POOL_NEW:
      if (it->status == SUBPY_OK || (it->what == USE && it->status == SUBPY_ERROR_NOT_FOUND && may_be_gone(it->on, it->end)))
        return;
      if (it->what == POOL_NEW && (it->status == SUBPY_ERROR_NOT_FOUND || it->status == SUBPY_ERROR_BUSY ||
                                   it->status == SUBPY_ERROR_INTERRUPTED || it->status == SUBPY_ERROR_CRASHED))
        NOT(!meets_any(it, is_shutdown), "nobody shuts down");
      else
        NOT(it->status != SUBPY_ERROR_WRONG_STATE || !meets_any(it, stops_for_good), "nobody shuts down");
      return;
    case START:
      if (it->status == SUBPY_ERROR_NOT_FOUND)
        NOT(!may_be_gone(it->on, it->end) && !may_be_freed(it->via, it->end) && !may_be_freed(it->token, it->end), "not found");
      else
        NOT(it->status != SUBPY_OK && (it->status != SUBPY_ERROR_WRONG_STATE || !meets_any(it, stops_for_good)), "no start ends like this");
      return;
    case SUBMIT:
    case MAP:
      if (it->status == SUBPY_ERROR_NOT_FOUND || it->status == SUBPY_ERROR_WRONG_STATE)
        NOT(!may_be_gone(it->via, it->end), "not found, and nobody has closed the pool");
      else
        NOT(it->status != SUBPY_OK && it->status != SUBPY_ERROR_BUSY && !(it->status == SUBPY_ERROR_INTERRUPTED && may_be_stopped(it)) &&
                !(it->status == SUBPY_ERROR_TIMEOUT && may_be_late(it)) && !(it->status == SUBPY_ERROR_CRASHED && may_crash(it)),
            "no pool says this");
      return;
    case ASK:
    case INTERRUPT:
    case OUTPUT:
    case MEMORY:
    case ENTER:
      if (it->status == SUBPY_OK) {
        /* Of one whose process was killed a session counts all the same. */
        NOT(!(it->how & AGAIN) && ended(it->on, it->begin), "an answer from what was closed before");
        return;
      }
      if (it->status == SUBPY_ERROR_NOT_FOUND) {
        NOT(!may_be_gone(it->on, it->end), "not found, and nobody has closed it");
        return;
      }
      if (it->status == SUBPY_ERROR_INTERPRETER) {
        NOT(!(it->how & FOREIGN), "an interpreter that is not Python's");
        return;
      }
      if ((it->what == ENTER || it->what == MEMORY || (it->what == OUTPUT && it->home.process)) && it->status == SUBPY_ERROR_BUSY) {
        NOT(!is_closing(it, it->on), "busy, and nobody closes it");
        return;
      }
      NOT(!(it->status == SUBPY_ERROR_CRASHED && may_crash(it)) && !(it->what == MEMORY && it->status == SUBPY_ERROR_WRONG_STATE && !it->home.counts) &&
              !(it->what == ENTER && it->status == SUBPY_ERROR_WRONG_STATE && (it->how & ENDING)),
          "no answer is like this");
      return;
    case WAIT: {
      bool gone = may_be_freed(it->on, it->end);
      EACH(other) gone = gone || (other->what == SHUTDOWN && other->begin < it->end);
      /* In a host function it waits as long as the run that called it may. */
      bool stopped = (it->status == SUBPY_ERROR_TIMEOUT && may_be_late(it)) || (it->status == SUBPY_ERROR_INTERRUPTED && may_be_stopped(it));
      NOT(it->status != SUBPY_OK && (it->status != SUBPY_ERROR_NOT_FOUND || !gone) && !stopped, "no wait ends like this");
      return;
    }
    case LEAVE:
      NOT(it->status != SUBPY_OK && !(it->status == SUBPY_ERROR_WRONG_STATE && (it->outer >= 0 || (it->how & ENDING))), "not left");
      return;
    case KEEP:
      NOT(it->status != SUBPY_OK && !(it->status == SUBPY_ERROR_NOT_FOUND && (may_be_freed(it->via, it->end) || (it->on && may_be_gone(it->on, it->end)))),
          "not kept");
      NOT(it->status == SUBPY_OK && freed(it->via, it->begin), "what was freed before was kept");
      return;
    case QUEUE_CLOSE:
      NOT(it->status != SUBPY_OK && !(it->status == SUBPY_ERROR_NOT_FOUND && may_be_freed(it->on, it->end)), "not closed");
      return;
    case FREE:
    case FIRE:
    case STAY:
    case DESTROY:
    case WHATS:
      return;
  }
}

/* All of a round. Returns how many calls there were. */
static int check_all(void) {
  count = 0;
  for (int i = 0; i <= OUT; i++)
    for (int j = 0; j < logged[i]; j++) {
      if (!logs[i][j].end) wrong(&logs[i][j], "a call that has not ended");
      all[count++] = &logs[i][j];
    }
  for (int i = 0; i < count; i++) check_call(all[i]);
  return count;
}

#endif
