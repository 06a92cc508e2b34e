/* Misuses every export. The argument says from where: a name in `contexts`, or one of those that are special here; with
 * `all` behind it, with all wrong arguments. The table of exports, and that of outcomes, are generated: see
 * tests/misuse.rs. */
#include <signal.h>
#include <sys/wait.h>

#include "misuse.h"

#include "exports.h"
#include "outcomes.h"

#include "contexts.h"

static struct {
  call call;
  outcome got;
  subpy_status left;
  bool ran;
  /* the call of a host function is to be the one that is going on */
  bool live_ctx;
} now;

/* The cell's call, wherever that is. */
static void body(void) {
  const export *x = now.call.x;
  for (int i = 0; i < x->count; i++)
    if (x->params[i].kind == P_CTX && now.live_ctx) PUT(now.call.args + x->params[i].offset, subpy_context *, w.ctx);
  x->call(now.call.args, &now.got);
  /* Nobody else can leave. In a host function the interpreter's run is still going on, and it is left later. */
  if (strcmp(x->name, "subpy_enter") == 0 && now.got.status == SUBPY_OK) now.left = subpy_leave(w.handles[INTERP], NULL);
  now.ran = true;
}

static bool takes_a_context(const export *x) {
  for (int i = 0; i < x->count; i++)
    if (x->params[i].kind == P_CTX) return true;
  return false;
}

static void run_cell(const char *context, enter_fn *enter, const target *t, const mutation *m, int good) {
  memset(&now.got, 0, sizeof now.got);
  now.ran = false, now.left = SUBPY_OK;
  now.live_ctx = !t || t->p->kind != P_CTX;
  enter(body);
  if (!now.ran) fail("it was not called");
  if (now.left == SUBPY_ERROR_WRONG_STATE && enter != from_main) now.left = subpy_leave(w.handles[INTERP], NULL);
  if (now.left != SUBPY_OK) fail("what was entered could not be left: %s", subpy_status_name(now.left));
  const call *call = &now.call;
  /* Whoever mutates options may have taken the function away. */
  const bool finalize_is_good = !t || (t->p->kind != P_STRUCT && t->p->kind != P_CALLBACK);
  judge(call, &now.got, expected(context, call->x, m, good), finalize_is_good);
  for (int i = 0; i < call->output_count; i++) {
    const output *out = &call->outputs[i];
    if (out->of->kind != P_OUT_HANDLE || out->of->noun != THREAD || is_given(call, out)) continue;
    if (now.got.status != SUBPY_OK) continue;
    if (is_one_of_pool(call)) retire(&w.handles[POOL], true);
    else retire(&w.handles[INTERP], false);
  }
}

static const mutation nothing_wrong = {"good", IS_GOOD, NULL};

/* Some fields go with some values of others. */
static void adapt(const target *t) {
  if (strcmp(t->inside->name, "subpy_pool_options") == 0 && strcmp(t->p->name, "spares") == 0)
    ((subpy_pool_options *)(void *)t->base)->flags = 0;
  if (strcmp(t->inside->name, "subpy_run_request") != 0 || is_about(t->call, "_map")) return;
  subpy_run_request *request = (subpy_run_request *)(void *)t->base;
  if (t->p->kind == P_VALUES || t->p->kind == P_NARGS || t->p->kind == P_DICT) {
    request->what = SUBPY_RUN_CALL;
    request->text = guarded_text("builtins:dict", 13), request->text_len = 13;
  } else if (t->p->kind == P_HANDLE && t->p->noun == FUNCTION) {
    request->what = SUBPY_RUN_FUNCTION;
    request->text = NULL, request->text_len = 0;
  }
}

/* What comes before each cell. */
static void (*prepare)(void) = heal;

/* All wrong values of one argument. */
static void misuse_argument(const char *context, enter_fn *enter, const export *x, int index, int field) {
  char what[160];
  for (int i = 0;; i++) {
    prepare();
    make_call(&now.call, x);
    const param *p = &x->params[index];
    target t = {&now.call, p, NULL, p + 1, now.call.args, NULL};
    if (field >= 0) {
      memcpy(&t.base, now.call.args + p->offset, sizeof t.base);
      t.p = &p->of->fields[field], t.behind = field + 1 < p->of->count ? t.p + 1 : NULL, t.inside = p->of;
    }
    mutation m;
    if (t.inside) adapt(&t);
    if (!mutate(&t, i, &m)) return;
    snprintf(what, sizeof what, "%s%s%s:%s", p->name, field >= 0 ? "->" : "", field >= 0 ? t.p->name : "", m.name);
    begin_cell(context, x->name, what);
    run_cell(context, enter, &t, &m, IS_OK);
  }
}

/* Every argument zero, but for the place of the error. */
static void all_zero(const char *context, enter_fn *enter, const export *x) {
  prepare();
  make_call(&now.call, x);
  memset(now.call.args, 0, sizeof now.call.args);
  mutation m = {"all-zero", IS_GOOD, NULL};
  for (int i = 0; i < x->count; i++) {
    const param *p = &x->params[i];
    if (p->kind == P_ERROR) PUT(now.call.args + p->offset, subpy_error **, now.call.error);
    if (p->kind == P_HANDLE || p->kind == P_CTX) m.expected = IS_NOT_FOUND | IS_INVALID_ARGUMENT;
    else if (p->kind == P_ERROR_IN) m.expected = IS_EMPTY;
    else if (m.expected == IS_GOOD && !p->optional && (p->kind == P_RESULT || p->kind == P_OUT_HANDLE || p->kind == P_STRUCT))
      m.expected = IS_INVALID_ARGUMENT;
  }
  now.call.token = 0;
  begin_cell(context, x->name, "all-zero");
  const target t = {.call = &now.call, .p = &(param){.kind = P_CTX}};
  run_cell(context, enter, &t, &m, IS_OK);
}

static void good_cell(const char *context, enter_fn *enter, const export *x, int good) {
  make_call(&now.call, x);
  begin_cell(context, x->name, "good");
  run_cell(context, enter, NULL, &nothing_wrong, good);
}

static bool all_arguments;

/* The cells of one export. */
static void misuse(const char *context, enter_fn *enter, const export *x, int good) {
  prepare();
  good_cell(context, enter, x, good);
  if (!all_arguments) return;
  all_zero(context, enter, x);
  for (int i = 0; i < x->count; i++) {
    misuse_argument(context, enter, x, i, -1);
    for (int field = 0; x->params[i].of && field < x->params[i].of->count; field++)
      misuse_argument(context, enter, x, i, field);
  }
}

static void check_the_rest(void) {
  heal();
  CHECK(number(w.handles[INTERP], "6 * 7") == 42);
}

static void arguments(void) {
  all_arguments = true;
  for (size_t i = 0; i < COUNT(exports); i++)
    misuse("arguments", takes_a_context(&exports[i]) ? from_host_function : from_main, &exports[i], IS_OK);
  check_the_rest();
  shut_down();
}

static bool needs_a_runtime(const export *x) {
  for (int i = 0; i < x->count; i++) {
    const param *p = &x->params[i];
    if (p->kind == P_CTX || (p->kind == P_HANDLE && p->noun != CANCEL && p->noun != QUEUE)) return true;
    if (p->of && strcmp(p->of->name, "subpy_run_request") == 0) return true;
  }
  return false;
}

/* Exports are called in a process that was forked before, and never in this one. */
static void in_child(void (*cells_of_child)(const export *), const export *x) {
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    cells_of_child(x);
    _exit(failures > 0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child);
  if (!WIFEXITED(status)) fail("the process ended with %#x", (unsigned)status);
  else failures += WEXITSTATUS(status);
}

static void before_init(const export *x) {
  for (int noun = 0; noun < NOUNS; noun++) w.handles[noun] = w.stale[noun] = (UINT64_C(1) << HANDLE_KIND_SHIFT) + 5;
  w.iterator = w.list = w.handles[OBJECT];
  w.ctx = (subpy_context *)(uintptr_t)1;
  heal_tokens_and_queues();
  good_cell("before-init", from_main, x, needs_a_runtime(x) ? IS_NOT_FOUND : IS_OK);
}

static void prepare_after_shutdown(void) {
  shut_down();
  heal_tokens_and_queues();
}

static void after_shutdown(void) {
  heal();
  prepare = prepare_after_shutdown;
  for (size_t i = 0; i < COUNT(exports); i++)
    misuse("after-shutdown", from_main, &exports[i], needs_a_runtime(&exports[i]) ? IS_NOT_FOUND : IS_OK);
  shut_down();
}

static void prepare_next_runtime(void) {
  subpy_error *error = NULL;
  OK(subpy_init(NULL, &error));
  heal_tokens_and_queues();
}

/* CPython gives the same ids again, and no handle of before is one now. */
static void in_the_next_runtime(void) {
  heal();
  shut_down();
  prepare = prepare_next_runtime;
  for (size_t i = 0; i < COUNT(exports); i++)
    misuse("next-runtime", from_main, &exports[i], needs_a_runtime(&exports[i]) ? IS_NOT_FOUND : IS_OK);
  shut_down();
}

static void *shuts_down(void *status) {
  subpy_status *const outcome = status;
  /* Whoever looks whether it has begun is in the way. */
  while ((*outcome = subpy_shutdown(NULL)) == SUBPY_ERROR_BUSY) usleep(500);
  return NULL;
}

/* While another thread is in subpy_shutdown(), which waits for a thread of Python's. */
static void during_shutdown(void) {
  const signal_pipe go = signal_new();
  char code[200];
  snprintf(code, sizeof code,
           "import os, threading\n"
           "threading.Thread(target=os.read, args=(%d, 1), daemon=False).start()", go.in);
  heal();
  run(w.handles[INTERP], code);
  pthread_t thread;
  subpy_status status = SUBPY_ERROR_PANIC;
  CHECK(pthread_create(&thread, NULL, shuts_down, &status) == 0);
  while (subpy_exec(w.handles[INTERP], "x = 1", SUBPY_AUTO_LEN, NULL) == SUBPY_OK) usleep(500);
  prepare = heal_tokens_and_queues;
  for (size_t i = 0; i < COUNT(exports); i++)
    misuse("during-shutdown", from_main, &exports[i], takes_a_context(&exports[i]) ? IS_NOT_FOUND : IS_OK);
  prepare = heal;
  signal_send(go);
  CHECK(pthread_join(thread, NULL) == 0 && status == SUBPY_OK);
}

static void nothing(void) {}

static void after_fork(const export *unused) {
  (void)unused;
  prepare = nothing;
  if (any_of) any_of = IS_FORKED;
  for (size_t i = 0; i < COUNT(exports); i++)
    misuse("after-fork", from_main, &exports[i], exports[i].returns == R_STATUS ? IS_FORKED : IS_OK);
}

static void in_context(const char *name, enter_fn *enter, bool host) {
  for (size_t i = 0; i < COUNT(exports); i++)
    misuse(name, enter, &exports[i], takes_a_context(&exports[i]) && !host ? IS_NOT_FOUND : IS_OK);
  check_the_rest();
  if (strcmp(name, "c-atexit") != 0) shut_down();
}

static void at_exit(void) {
  in_context("c-atexit", from_main, false);
  say("done\n");
  _exit(failures > 0);
}

int main(int argc, char **argv) {
  const char *group = argc > 1 ? argv[1] : "";
  if (argc > 2 && strcmp(argv[2], "all") == 0) all_arguments = true, any_of = ~(1 << -SUBPY_ERROR_PANIC);
  CHECK(pthread_key_create(&key, at_thread_end) == 0);
  if (strcmp(group, "arguments") == 0) {
    arguments();
  } else if (strcmp(group, "before-init") == 0) {
    for (size_t i = 0; i < COUNT(exports); i++) in_child(before_init, &exports[i]);
  } else if (strcmp(group, "after-shutdown") == 0) {
    after_shutdown();
  } else if (strcmp(group, "next-runtime") == 0) {
    in_the_next_runtime();
  } else if (strcmp(group, "during-shutdown") == 0) {
    during_shutdown();
  } else if (strcmp(group, "after-fork") == 0) {
    heal();
    in_child(after_fork, NULL);
    in_context("main", from_main, false);
  } else if (strncmp(group, "c-atexit", 8) == 0) {
    const bool early = strcmp(group, "c-atexit-early") == 0;
    if (early) CHECK(atexit(at_exit) == 0);
    heal();
    if (!early) CHECK(atexit(at_exit) == 0);
  } else {
    size_t i = 0;
    while (i < COUNT(contexts) && strcmp(contexts[i].name, group) != 0) i++;
    if (i == COUNT(contexts)) {
      fprintf(stderr, "no such group: %s\n", group);
      return 2;
    }
    in_context(group, contexts[i].enter, contexts[i].host);
  }
  say("done\n");
  return failures > 0;
}
