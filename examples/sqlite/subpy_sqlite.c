/*
 * subpy_sqlite: SQL functions written in Python, as a loadable extension for SQLite 3.31 or newer.
 *
 *   .load ./subpy_sqlite
 *   SELECT python_exec('
 *   import re
 *   def matches(pattern, text):
 *       return re.search(pattern, text) is not None
 *
 *   class Longest:
 *       def __init__(self): self.best = ""
 *       def step(self, text): self.best = max(self.best, text, key=len)
 *       def finalize(self): return self.best
 *   ');
 *   SELECT python_function('matches', 2), python_function('sqrt', 1, 'math:sqrt', 'deterministic'),
 *          python_aggregate('longest', 1, 'Longest');
 *   SELECT author, longest(title) FROM books WHERE matches('(?i)python', title) GROUP BY author;
 *
 *   python_exec(code)                                 runs statements in the `__main__` of the connection's Python
 *   python_function(name, nargs[, callable[, flags]]) makes an SQL function of a Python one
 *   python_aggregate(name, nargs[, class[, flags]])   makes an aggregate of a class like those of Python's own sqlite3
 *                                                     module: step(*args) and finalize(); with value() and
 *                                                     inverse(*args) too it is a window function
 *   python_timeout(milliseconds)                      limits each call into Python from now on; 0: no limit
 *
 * `nargs` is how many arguments it takes; -1: any number. `callable` is "name" in `__main__` or
 * "package.module:attribute"; without it, it is the name. `flags` are words: "deterministic" (the same arguments give the
 * same result, so an index may use it), "directonly" (not in triggers, views and the schema), "innocuous" (there even if
 * the schema is not trusted). What is registered again replaces the callable. All four of these return NULL.
 *
 * NULL, INTEGER, REAL, TEXT and BLOB are None, int, float, str and bytes, both ways; a bool becomes an INTEGER. An
 * exception is an SQL error: its text has the exception and the innermost line of its traceback.
 *
 * Each connection has a Python interpreter of its own, made when it is needed and closed with the connection. It has its
 * own GIL, so connections in several threads run Python at the same time. sqlite3_interrupt() stops Python code as it
 * stops SQL (with SQLite 3.41 or newer; before that it has to wait until Python returns).
 *
 * Who can write SQL can run Python, and so do anything that the process can. The four functions are "directonly", but
 * do not load this where SQL comes from strangers.
 *
 *   cc -O2 -fPIC -shared subpy_sqlite.c $(pkg-config --cflags --libs subpy) -lpthread -o subpy_sqlite.so
 *
 * or, without an installed subpy, `make sqlite` in its sources. Linked into a program instead, with -DSQLITE_CORE, its
 * entry point is for sqlite3_auto_extension().
 */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "sqlite3ext.h"
SQLITE_EXTENSION_INIT1

#include "subpy.h"

#if SQLITE_VERSION_NUMBER < 3041000
#error "the headers of SQLite 3.41 or newer are needed; the extension then works with older libraries too"
#endif

/* ---- What there is ------------------------------------------------------------------------------------------------- */

typedef struct function function;

/* What is called for each group of an aggregate, in Python: see SETUP. */
enum { STEP, INVERSE, VALUE, FINALIZE, DROP, METHODS };
static const char *const METHOD_NAMES[METHODS] = {"subpy_sqlite:step", "subpy_sqlite:inverse", "subpy_sqlite:value",
                                                  "subpy_sqlite:finalize", "subpy_sqlite:drop"};

/*
 * One for each connection. SQLite lets one thread at a time use a connection, so only what the watcher looks at needs a
 * lock. It lives as long as SQLite has a function that refers to it.
 */
typedef struct connection {
  sqlite3 *db;
  size_t references;
  subpy_interp interp;          /* 0 until Python is needed */
  int64_t timeout_ms;           /* of each call; 0: none */
  function *functions;          /* those that python_function() and python_aggregate() have made */
  int64_t groups;               /* the number of the last group that was begun; the first one is 1 */
  subpy_function methods[METHODS];

  pthread_mutex_t lock;         /* for what follows */
  bool running;                 /* a thread is in Python */
  bool fired;                   /* the token has been used up */
  subpy_cancel cancel;          /* stops the call that is running */
  struct connection *next, *previous; /* with the watcher's lock */
} connection;

struct function {
  connection *owner;
  function *next;
  char *name;
  int nargs, flags;
  bool aggregate, window;
  subpy_function callable; /* of an aggregate: what begins a group */
};

/*
 * The Python side, a module of its own. find() looks up what is to be registered, and leaves it where a prepared function
 * can be made of it: an import may take long, and this call can be interrupted like any other. The state of an aggregate
 * stays in Python, an object for each group that was begun and not ended yet; SQLite keeps its number.
 */
static const char SETUP_FILE[] = "<subpy_sqlite>";
static const char SETUP[] =
    "def setup():\n"
    "    import importlib, sys, types\n"
    "    module = sys.modules['subpy_sqlite'] = types.ModuleType('subpy_sqlite')\n"
    "    groups = {}\n"
    "\n"
    "    def find(target, aggregate):\n"
    "        name, _, path = target.rpartition(':')\n"
    "        found = importlib.import_module(name or '__main__')\n"
    "        for attribute in path.split('.'):\n"
    "            found = getattr(found, attribute)\n"
    "        if not callable(found):\n"
    "            raise TypeError(f'{target} is not callable')\n"
    "        if not aggregate:\n"
    "            module.found = found\n"
    "            return False\n"
    "        for method in 'step', 'finalize':\n"
    "            if not hasattr(found, method):\n"
    "                raise TypeError(f'{target} has no method {method}()')\n"
    "        def begin(number):\n"
    "            groups[number] = found()\n"
    "        module.found = begin\n"
    "        return hasattr(found, 'value') and hasattr(found, 'inverse')\n"
    "\n"
    "    def step(number, *args):\n"
    "        groups[number].step(*args)\n"
    "    def inverse(number, *args):\n"
    "        groups[number].inverse(*args)\n"
    "    def value(number):\n"
    "        return groups[number].value()\n"
    "    def finalize(number):\n"
    "        return groups.pop(number).finalize()\n"
    "    def drop(number):\n"
    "        groups.pop(number, None)\n"
    "    vars(module).update(locals())\n"
    "setup()\n"
    "del setup\n";

/* ---- Errors -------------------------------------------------------------------------------------------------------- */

/* Makes the SQL function that is being called fail. */
static void fail(sqlite3_context *ctx, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *text = sqlite3_vmprintf(format, arguments);
  va_end(arguments);
  if (text)
    sqlite3_result_error(ctx, text, -1);
  else
    sqlite3_result_error_nomem(ctx);
  sqlite3_free(text);
}

/* The innermost line of the traceback that is not in SETUP. */
static bool find_frame(const subpy_error *error, subpy_frame *frame) {
  for (size_t i = subpy_error_frame_count(error); i > 0; i--)
    if (subpy_error_frame(error, i - 1, frame) && strcmp(frame->file, SETUP_FILE) != 0)
      return true;
  return false;
}

/* The same for what subpy says, which is freed. */
static void fail_with(sqlite3_context *ctx, subpy_error *error) {
  subpy_status status = subpy_error_status(error);
  /* What a time limit or an interrupt raises in Python says less than the message. */
  const char *text = status == SUBPY_ERROR_EXECUTION_FAILED ? subpy_error_formatted(error, NULL) : NULL;
  if (!text)
    text = subpy_error_message(error, NULL);
  subpy_frame frame = {.size = sizeof frame};
  if (find_frame(error, &frame))
    fail(ctx, "%s (line %d of %s, in %s)", text, (int)frame.line, frame.file, frame.function);
  else
    fail(ctx, "%s", text);
  if (status == SUBPY_ERROR_INTERRUPTED)
    sqlite3_result_error_code(ctx, SQLITE_INTERRUPT); /* after the text, which it keeps */
  else if (status == SUBPY_ERROR_NO_MEMORY)
    sqlite3_result_error_nomem(ctx);
  subpy_error_free(error);
}

/* ---- sqlite3_interrupt() ------------------------------------------------------------------------------------------- */

/*
 * sqlite3_interrupt() sets a flag that SQLite looks at between two steps of a statement, and tells nobody. So while any
 * connection is in Python, a thread looks at the flags once in a millisecond; when none has been for a while, it sleeps.
 */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t wake;
  connection *first;
  bool started;      /* when a connection needs Python for the first time */
  atomic_bool awake; /* written with the lock held */
} watcher = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

enum { IDLE_ROUNDS = 50 };

/* Before 3.41, nothing can be asked. */
static bool can_watch(void) {
  return sqlite3_libversion_number() >= 3041000;
}

/* Stops the calls that are to be stopped. Returns whether there are any calls at all. */
static bool look(void) {
  bool running = false;
  for (connection *c = watcher.first; c; c = c->next) {
    /* With the lock held the call cannot end, so it is this one that is stopped and not the next. */
    pthread_mutex_lock(&c->lock);
    running |= c->running;
    if (c->running && !c->fired && sqlite3_is_interrupted(c->db)) {
      subpy_cancel_fire(c->cancel);
      c->fired = true;
    }
    pthread_mutex_unlock(&c->lock);
  }
  return running;
}

static void *watch(void *unused) {
  (void)unused;
  const struct timespec millisecond = {.tv_nsec = 1000000};
  pthread_mutex_lock(&watcher.lock);
  for (int idle = 0;;) {
    idle = look() ? 0 : idle + 1;
    if (idle > IDLE_ROUNDS) {
      /* A call that has begun before this is seen now, and one that begins later sees that it has to wake us. */
      atomic_store(&watcher.awake, false);
      if (look())
        atomic_store(&watcher.awake, true);
      while (!atomic_load(&watcher.awake))
        pthread_cond_wait(&watcher.wake, &watcher.lock);
      idle = 0;
    }
    pthread_mutex_unlock(&watcher.lock);
    nanosleep(&millisecond, NULL);
    pthread_mutex_lock(&watcher.lock);
  }
  return NULL;
}

static void wake_watcher(void) {
  pthread_mutex_lock(&watcher.lock);
  atomic_store(&watcher.awake, true);
  pthread_cond_signal(&watcher.wake);
  pthread_mutex_unlock(&watcher.lock);
}

/* Returns false when the thread cannot be started. It has no end: it sleeps when there is nothing to watch. */
static bool start_watching(connection *c) {
  if (!can_watch())
    return true;
  pthread_mutex_lock(&watcher.lock);
  if (!watcher.started) {
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all); /* signals are for the program's own threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    atomic_store(&watcher.awake, true);
    if (pthread_create(&thread, NULL, watch, NULL) == 0) {
      pthread_detach(thread);
      watcher.started = true;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
  }
  bool started = watcher.started;
  if (started) {
    c->next = watcher.first;
    if (c->next)
      c->next->previous = c;
    watcher.first = c;
  }
  pthread_mutex_unlock(&watcher.lock);
  return started;
}

static void stop_watching(connection *c) {
  if (!can_watch())
    return;
  pthread_mutex_lock(&watcher.lock);
  if (c->previous)
    c->previous->next = c->next;
  else
    watcher.first = c->next;
  if (c->next)
    c->next->previous = c->previous;
  pthread_mutex_unlock(&watcher.lock);
}

/* ---- Calls into Python --------------------------------------------------------------------------------------------- */

/* Runs something that ends with sqlite3_interrupt() or python_timeout(). If it fails, so does the SQL function. */
static bool run(connection *c, sqlite3_context *ctx, subpy_run_request *request, subpy_value *result) {
  subpy_error *error = NULL;
  request->size = sizeof *request;
  request->timeout_ms = c->timeout_ms;
  request->cancel = c->cancel;

  pthread_mutex_lock(&c->lock);
  c->running = true;
  pthread_mutex_unlock(&c->lock);
  if (!atomic_load(&watcher.awake) && can_watch())
    wake_watcher();

  subpy_status status = subpy_run(request, result, &error);

  pthread_mutex_lock(&c->lock);
  c->running = false;
  pthread_mutex_unlock(&c->lock);
  if (c->fired) {
    /* It stays fired, so the next call needs another one. Without it (0), sqlite3_interrupt() has to wait for Python. */
    subpy_cancel_free(c->cancel);
    subpy_cancel_new(&c->cancel, NULL);
    c->fired = false;
  }
  if (status != SUBPY_OK)
    fail_with(ctx, error);
  return status == SUBPY_OK;
}

static void free_methods(connection *c) {
  for (size_t i = 0; i < METHODS; i++) {
    subpy_function_free(c->methods[i]);
    c->methods[i] = 0;
  }
}

/* Makes the connection's interpreter, if there is none yet. */
static bool open_python(connection *c, sqlite3_context *ctx) {
  if (c->interp)
    return true;
  subpy_interp interp = 0;
  subpy_error *error = NULL;
  subpy_status status = subpy_create(NULL, &interp, &error);
  if (status == SUBPY_OK) {
    subpy_run_request setup = {.size = sizeof setup, .interp = interp, .what = SUBPY_RUN_EXEC, .text = SETUP};
    setup.text_len = SUBPY_AUTO_LEN;
    setup.filename = SETUP_FILE;
    status = subpy_run(&setup, NULL, &error);
  }
  for (size_t i = 0; status == SUBPY_OK && i < METHODS; i++)
    status = subpy_function_new(interp, METHOD_NAMES[i], SUBPY_AUTO_LEN, &c->methods[i], &error);
  if (status == SUBPY_OK)
    status = subpy_cancel_new(&c->cancel, &error);
  if (status == SUBPY_OK && start_watching(c)) {
    c->interp = interp;
    return true;
  }
  if (status == SUBPY_OK)
    fail(ctx, "cannot start a thread");
  else
    fail_with(ctx, error);
  free_methods(c);
  subpy_cancel_free(c->cancel);
  if (interp)
    subpy_close(interp, NULL);
  return false;
}

static void close_python(connection *c) {
  /* Threads that Python code has started get a KeyboardInterrupt, and five seconds to end. */
  subpy_close_options options = {.size = sizeof options, .timeout_ms = 5000, .flags = SUBPY_CLOSE_INTERRUPT};
  subpy_error *error = NULL;
  stop_watching(c);
  free_methods(c);
  subpy_cancel_free(c->cancel);
  if (subpy_close_with(c->interp, &options, &error) != SUBPY_OK)
    sqlite3_log(SQLITE_WARNING, "subpy_sqlite: an interpreter was not closed: %s", subpy_error_message(error, NULL));
  subpy_error_free(error);
}

/* ---- Values -------------------------------------------------------------------------------------------------------- */

/* Borrowed from SQLite, until the function that is being called returns. */
static bool from_sqlite(sqlite3_context *ctx, sqlite3_value *from, subpy_value *to) {
  const void *data;
  size_t len;
  switch (sqlite3_value_type(from)) {
  case SQLITE_INTEGER:
    *to = subpy_int(sqlite3_value_int64(from));
    return true;
  case SQLITE_FLOAT:
    *to = subpy_float(sqlite3_value_double(from));
    return true;
  case SQLITE_TEXT:
    data = sqlite3_value_text(from); /* before the length: it may have to be converted to UTF-8 */
    len = (size_t)sqlite3_value_bytes(from);
    *to = subpy_str(data, len);
    break;
  case SQLITE_BLOB:
    data = sqlite3_value_blob(from);
    len = (size_t)sqlite3_value_bytes(from);
    *to = subpy_bytes(data ? data : "", len);
    data = data || len > 0 ? data : ""; /* an empty BLOB has no address */
    break;
  default:
    *to = subpy_none();
    return true;
  }
  if (!data)
    sqlite3_result_error_nomem(ctx);
  return data != NULL;
}

/* Makes it the result of the SQL function, and frees it. */
static void to_sqlite(sqlite3_context *ctx, subpy_value *value) {
  switch (value->kind) {
  case SUBPY_KIND_NONE:
    sqlite3_result_null(ctx);
    break;
  case SUBPY_KIND_BOOL:
    sqlite3_result_int(ctx, value->u.as_bool);
    break;
  case SUBPY_KIND_INT:
    sqlite3_result_int64(ctx, value->u.as_int);
    break;
  case SUBPY_KIND_BIGINT:
    fail(ctx, "Python returned an int that does not fit into the 64 bits of an INTEGER");
    break;
  case SUBPY_KIND_FLOAT:
    sqlite3_result_double(ctx, value->u.as_float); /* SQLite makes NULL of nan */
    break;
  case SUBPY_KIND_STR:
    sqlite3_result_text64(ctx, value->u.as_str, value->len, SQLITE_TRANSIENT, SQLITE_UTF8);
    break;
  case SUBPY_KIND_BYTES:
    sqlite3_result_blob64(ctx, value->u.as_bytes, value->len, SQLITE_TRANSIENT);
    break;
  default:
    fail(ctx, "Python returned a %s; SQL has None, bool, int, float, str and bytes",
         value->kind == SUBPY_KIND_TUPLE ? "tuple" : value->kind == SUBPY_KIND_LIST ? "list" : "dict");
  }
  subpy_value_free(value);
}

/*
 * Calls a Python function with SQL values, and with a group's number before them unless that is 0. `result` may be NULL.
 */
static bool call(connection *c, sqlite3_context *ctx, subpy_function callable, int64_t number, int argc,
                 sqlite3_value **argv, subpy_value *result) {
  subpy_value few[8], *args = few, *end;
  size_t room = (size_t)argc + 1;
  if (room > sizeof few / sizeof *few && !(args = sqlite3_malloc64(room * sizeof *args))) {
    sqlite3_result_error_nomem(ctx);
    return false;
  }
  end = args;
  if (number)
    *end++ = subpy_int(number);
  bool ok = true;
  for (int i = 0; ok && i < argc; i++)
    ok = from_sqlite(ctx, argv[i], end++);
  subpy_run_request request = {.what = SUBPY_RUN_FUNCTION, .function = callable, .args = args};
  request.nargs = (size_t)(end - args);
  ok = ok && run(c, ctx, &request, result);
  if (args != few)
    sqlite3_free(args);
  return ok;
}

/* ---- SQL functions made of Python ones ------------------------------------------------------------------------------ */

static void call_scalar(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
  function *f = sqlite3_user_data(ctx);
  subpy_value result;
  if (call(f->owner, ctx, f->callable, 0, argc, argv, &result))
    to_sqlite(ctx, &result);
}

/* What SQLite keeps for a group. It is all zero when it is new. */
typedef struct group {
  int64_t number; /* 0: not begun */
  bool failed;    /* its result is not wanted any more */
} group;

static bool begin(function *f, sqlite3_context *ctx, group *group) {
  if (group->number || group->failed)
    return !group->failed;
  int64_t number = ++f->owner->groups;
  group->failed = !call(f->owner, ctx, f->callable, number, 0, NULL, NULL);
  group->number = number;
  return !group->failed;
}

/* Calls a method of the group's object. */
static void call_group(sqlite3_context *ctx, subpy_function method, int argc, sqlite3_value **argv, subpy_value *result) {
  function *f = sqlite3_user_data(ctx);
  group *group = sqlite3_aggregate_context(ctx, sizeof *group);
  if (!group)
    sqlite3_result_error_nomem(ctx);
  else if (begin(f, ctx, group))
    group->failed = !call(f->owner, ctx, method, group->number, argc, argv, result);
  if (result && group && !group->failed)
    to_sqlite(ctx, result);
}

static void aggregate_step(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
  function *f = sqlite3_user_data(ctx);
  call_group(ctx, f->owner->methods[STEP], argc, argv, NULL);
}

static void aggregate_inverse(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
  function *f = sqlite3_user_data(ctx);
  call_group(ctx, f->owner->methods[INVERSE], argc, argv, NULL);
}

static void aggregate_value(sqlite3_context *ctx) {
  function *f = sqlite3_user_data(ctx);
  subpy_value result;
  call_group(ctx, f->owner->methods[VALUE], 0, NULL, &result);
}

/*
 * SQLite calls this for each group that has begun, also when the query fails or is interrupted. The Python object must go
 * in any case; whether finalize() has anything to say is another matter.
 */
static void aggregate_finalize(sqlite3_context *ctx) {
  function *f = sqlite3_user_data(ctx);
  connection *c = f->owner;
  group none = {0}, *group = sqlite3_aggregate_context(ctx, 0);
  subpy_value result;
  if (!group)
    group = &none; /* no rows: what does a new object say? */
  if (can_watch() && sqlite3_is_interrupted(c->db)) {
    sqlite3_result_error_code(ctx, SQLITE_INTERRUPT);
  } else if (begin(f, ctx, group) && call(c, ctx, c->methods[FINALIZE], group->number, 0, NULL, &result)) {
    to_sqlite(ctx, &result);
    return;
  }
  /* An interrupt may stop this too, before the object has gone or in its __del__(). The second one cannot be stopped. */
  if (group->number && !call(c, ctx, c->methods[DROP], group->number, 0, NULL, NULL)) {
    subpy_value number = subpy_int(group->number);
    subpy_function_call(c->methods[DROP], &number, 1, NULL, NULL, NULL);
  }
}

/* ---- The four functions -------------------------------------------------------------------------------------------- */

static void connection_release(void *argument) {
  connection *c = argument;
  if (--c->references > 0)
    return;
  if (c->interp)
    close_python(c);
  pthread_mutex_destroy(&c->lock);
  sqlite3_free(c);
}

/* SQLite calls this when the connection is closed or the program replaces the function, and when registering fails. */
static void function_destroy(void *argument) {
  function *f = argument, **link = &f->owner->functions;
  while (*link && *link != f)
    link = &(*link)->next;
  if (*link)
    *link = f->next;
  subpy_function_free(f->callable);
  connection_release(f->owner);
  sqlite3_free(f->name);
  sqlite3_free(f);
}

static bool parse_flags(sqlite3_context *ctx, const char *text, int *flags) {
  static const struct { const char *name; int flag; } known[] = {
      {"deterministic", SQLITE_DETERMINISTIC}, {"directonly", SQLITE_DIRECTONLY}, {"innocuous", SQLITE_INNOCUOUS}};
  const size_t count = sizeof known / sizeof *known;
  for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
    size_t len = strcspn(text, " "), i = 0;
    while (i < count && !(strlen(known[i].name) == len && sqlite3_strnicmp(text, known[i].name, (int)len) == 0))
      i++;
    if (i == count) {
      fail(ctx, "unknown flag '%.*s': there are deterministic, directonly and innocuous", (int)len, text);
      return false;
    }
    *flags |= known[i].flag;
    text += len;
  }
  return true;
}

static void define(sqlite3_context *ctx, int argc, sqlite3_value **argv, bool aggregate) {
  connection *c = sqlite3_user_data(ctx);
  const char *name = (const char *)sqlite3_value_text(argv[0]);
  const char *words = argc > 3 ? (const char *)sqlite3_value_text(argv[3]) : NULL;
  int64_t nargs = sqlite3_value_int64(argv[1]);
  int flags = SQLITE_UTF8, limit = sqlite3_limit(c->db, SQLITE_LIMIT_FUNCTION_ARG, -1);
  if (!name || !*name) {
    fail(ctx, "the function needs a name");
    return;
  }
  if (sqlite3_value_type(argv[1]) != SQLITE_INTEGER || nargs < -1 || nargs > limit) {
    fail(ctx, "the number of arguments is an INTEGER from 0 to %d, or -1 for any number", limit);
    return;
  }
  if ((words && !parse_flags(ctx, words, &flags)) || !open_python(c, ctx))
    return;

  /* In Python: find it, and make a prepared function of it. */
  subpy_value args[2], window;
  if (!from_sqlite(ctx, argv[argc > 2 && sqlite3_value_type(argv[2]) != SQLITE_NULL ? 2 : 0], &args[0]))
    return;
  args[1] = subpy_bool(aggregate);
  subpy_run_request find = {.interp = c->interp, .what = SUBPY_RUN_CALL, .text = "subpy_sqlite:find"};
  find.text_len = SUBPY_AUTO_LEN;
  find.args = args;
  find.nargs = 2;
  if (!run(c, ctx, &find, &window))
    return;
  subpy_function callable = 0;
  subpy_error *error = NULL;
  if (subpy_function_new(c->interp, "subpy_sqlite:found", SUBPY_AUTO_LEN, &callable, &error) != SUBPY_OK) {
    fail_with(ctx, error);
    return;
  }

  /*
   * SQLite does not replace a function while any statement runs, as the one does that calls this. So one of ours stays
   * registered, and calls something else from now on.
   */
  function *f = c->functions;
  while (f && (f->nargs != nargs || f->aggregate != aggregate || sqlite3_stricmp(f->name, name) != 0))
    f = f->next;
  if (f && (f->flags != flags || f->window != window.u.as_bool)) {
    fail(ctx, "%s() is registered already, with other flags or methods", name);
    subpy_function_free(callable);
    return;
  }
  if (f) {
    subpy_function_free(f->callable);
    f->callable = callable;
    return;
  }
  f = sqlite3_malloc(sizeof *f);
  if (!f || !(f->name = sqlite3_mprintf("%s", name))) {
    sqlite3_free(f);
    subpy_function_free(callable);
    sqlite3_result_error_nomem(ctx);
    return;
  }
  f->owner = c;
  f->nargs = (int)nargs;
  f->flags = flags;
  f->aggregate = aggregate;
  f->window = window.u.as_bool;
  f->callable = callable;
  f->next = c->functions;
  c->functions = f;
  c->references++;
  int rc;
  if (aggregate)
    rc = sqlite3_create_window_function(c->db, name, f->nargs, flags, f, aggregate_step, aggregate_finalize,
                                        f->window ? aggregate_value : NULL, f->window ? aggregate_inverse : NULL,
                                        function_destroy);
  else
    rc = sqlite3_create_function_v2(c->db, name, f->nargs, flags, f, call_scalar, NULL, NULL, function_destroy);
  if (rc != SQLITE_OK)
    fail(ctx, "%s", sqlite3_errmsg(c->db));
}

static void python_function(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
  define(ctx, argc, argv, false);
}

static void python_aggregate(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
  define(ctx, argc, argv, true);
}

static void python_exec(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
  connection *c = sqlite3_user_data(ctx);
  (void)argc;
  const char *code = (const char *)sqlite3_value_text(argv[0]);
  if (!code || !open_python(c, ctx)) /* NULL is no code */
    return;
  subpy_run_request request = {.interp = c->interp, .what = SUBPY_RUN_EXEC, .text = code, .filename = "<python_exec>"};
  request.text_len = (size_t)sqlite3_value_bytes(argv[0]);
  run(c, ctx, &request, NULL);
}

static void python_timeout(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
  connection *c = sqlite3_user_data(ctx);
  (void)argc;
  int64_t milliseconds = sqlite3_value_int64(argv[0]);
  if (sqlite3_value_type(argv[0]) != SQLITE_INTEGER || milliseconds < 0)
    fail(ctx, "the time limit is an INTEGER of milliseconds, 0 for none");
  else
    c->timeout_ms = milliseconds;
}

/* ---- The entry point ----------------------------------------------------------------------------------------------- */

/* SQLite derives the name from the file's. */
int sqlite3_subpysqlite_init(sqlite3 *db, char **message, const sqlite3_api_routines *api) {
  SQLITE_EXTENSION_INIT2(api);
  static const struct {
    const char *name;
    int nargs;
    void (*function)(sqlite3_context *, int, sqlite3_value **);
  } functions[] = {
      {"python_exec", 1, python_exec},           {"python_timeout", 1, python_timeout},
      {"python_function", 2, python_function},   {"python_function", 3, python_function},
      {"python_function", 4, python_function},   {"python_aggregate", 2, python_aggregate},
      {"python_aggregate", 3, python_aggregate}, {"python_aggregate", 4, python_aggregate},
  };
  if (sqlite3_libversion_number() < 3031000) {
    *message = sqlite3_mprintf("SQLite 3.31 or newer is needed, this is %s", sqlite3_libversion());
    return SQLITE_ERROR;
  }
  connection *c = sqlite3_malloc(sizeof *c);
  if (!c)
    return SQLITE_NOMEM;
  *c = (connection){.db = db, .references = 1, .lock = PTHREAD_MUTEX_INITIALIZER};
  int rc = SQLITE_OK;
  for (size_t i = 0; rc == SQLITE_OK && i < sizeof functions / sizeof *functions; i++) {
    c->references++; /* SQLite calls connection_release() also when it fails */
    rc = sqlite3_create_function_v2(db, functions[i].name, functions[i].nargs, SQLITE_UTF8 | SQLITE_DIRECTONLY, c,
                                    functions[i].function, NULL, NULL, connection_release);
  }
  connection_release(c);
#ifndef SQLITE_CORE
  /* The library has a thread, so it must not be unloaded when the connection is closed. */
  if (rc == SQLITE_OK)
    rc = SQLITE_OK_LOAD_PERMANENTLY;
#endif
  return rc;
}
