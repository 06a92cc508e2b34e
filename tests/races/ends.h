/* How the driver of races ends things. */
#ifndef ENDS_H
#define ENDS_H

#include "others.h"

static subpy_close_options within(record *it) {
  subpy_close_options options = {.size = sizeof options, .timeout_ms = (int64_t)draw(40)};
  options.flags = (uint32_t)draw(4);
  it->how |= DRAINS | (options.flags & SUBPY_CLOSE_INTERRUPT ? INTERRUPTS : 0);
  return options;
}

static void close_pool(uint64_t pool) {
  record *it = begins(POOL_CLOSE, pool);
  subpy_close_options options = within(it);
  DO(it, subpy_pool_close(pool, &options, &error));
}

static void close_some_pool(void) {
  thing pool = look(&pools, draw(2));
  if (pool.handle && !depth) close_pool(pool.handle);
}

/* A plain close waits for threads of Python's, which end by themselves. */
static void close_one(home home) {
  record *it = begins_in(CLOSE, home);
  DO_INSIDE(it, subpy_close(home.interp, &error));
}

static void close_some(void) { close_one(some_home()); }

static void close_within(void) {
  home home = some_home();
  record *it = begins_in(CLOSE, home);
  subpy_close_options options = within(it);
  DO_INSIDE(it, subpy_close_with(home.interp, &options, &error));
}

/* Python code has ways to destroy interpreters of the host's, and to make some that come and go. */
static void guests(void) {
  home home = some_home();
  if (home.process || (depth && home.policy == SUBPY_BUSY_WAIT)) return;
  static const char code[] =
      "import _interpreters\n"
      "def make_and_destroy():\n"
      "  i = _interpreters.create()\n"
      "  _interpreters.exec(i, 'x = 1')\n"
      "  _interpreters.destroy(i)\n"
      "make_and_destroy(), make_and_destroy()";
  record *it = begins_in(RUN, home);
  it->how |= THREADS;
  DO(it, subpy_exec(home.interp, code, SUBPY_AUTO_LEN, &error));
}

/* ---- shutdowns ---- */

/* The others do little for a while: otherwise something would always be running. */
static atomic_bool calm;

static void shut_all(void) {
  if (depth == 0) leave_all();
  calm = !round_is.asks;
  subpy_status status = SUBPY_ERROR_BUSY;
  for (uint64_t tries = round_is.asks ? 1 : 1 + draw(8); tries > 0 && status == SUBPY_ERROR_BUSY; tries--) {
    record *it = begins(SHUTDOWN, 0);
    /* All that are refused at once are as one. */
    for (int asked = 0; round_is.asks && asked < 400 && status == SUBPY_ERROR_BUSY; asked++) status = subpy_shutdown(NULL);
    if (round_is.asks && status != SUBPY_ERROR_BUSY) {
      subpy_error *error = NULL;
      if (status != SUBPY_OK) status = subpy_shutdown(&error);
      ends(it, status, &error);
    } else if (round_is.asks || draw(2)) {
      status = DO_INSIDE(it, subpy_shutdown(&error));
    } else {
      subpy_close_options options = within(it);
      options.timeout_ms *= 3;
      status = DO_INSIDE(it, subpy_shutdown_with(&options, &error));
    }
    if (status == SUBPY_ERROR_BUSY && !round_is.asks) pause_ms(1);
  }
  calm = false;
  if (draw(2)) {
    record *it = begins(USE, 0);
    DO(it, subpy_init(NULL, &error));
  }
}

/* A child can free what it has, and is told what it is. */
static void fork_one(void) {
  home home = some_home();
  thing function = some(&functions), token = some(&tokens);
  fflush(report);
  pid_t child = fork_beside_others();
  MUST(child >= 0, "no fork");
  if (child == 0) {
    bool running;
    subpy_function_free(function.handle);
    subpy_cancel_fire(token.handle);
    subpy_status status = subpy_is_running(home.interp, &running, NULL);
    /* Nothing ran when it was forked. */
    _exit(status == SUBPY_ERROR_FORKED || status == SUBPY_ERROR_NOT_FOUND ? 0 : 1);
  }
  int ended = 0;
  while (waitpid(child, &ended, 0) < 0) MUST(errno == EINTR, "no child");
  MUST(ended == 0, "a forked child ended with %x", (unsigned)ended);
}

#endif
