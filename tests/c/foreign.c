/* Interpreters that Python code made, and Python code that reaches for ours with its private `_interpreters` module. */
#include "guest.h"

static subpy_interp creator;

static subpy_interp find(int64_t id) {
  subpy_error *error = NULL;
  subpy_interp found = 0;
  OK(subpy_find(id, &found, &error));
  return found;
}

static int64_t id_of(subpy_interp interp) {
  subpy_error *error = NULL;
  int64_t id = -1;
  OK(subpy_id(interp, &id, &error));
  return id;
}

static size_t count_all(subpy_interp *all, size_t capacity) {
  subpy_error *error = NULL;
  size_t count = 0;
  OK(subpy_list_all(all, capacity, &count, &error));
  return count;
}

/* The expression, formatted with an id, as a number. */
static int64_t number_of(subpy_interp interp, const char *format, int64_t id) {
  char code[300];
  snprintf(code, sizeof code, format, id);
  return number(interp, code);
}

static void run_with(subpy_interp interp, const char *format, int64_t id) {
  char code[700];
  snprintf(code, sizeof code, format, id);
  run(interp, code);
}

static const char HELPERS[] =
    "import concurrent.interpreters as interpreters, _interpreters\n"
    "def fails(function, *args, **kwargs):\n"
    "  try: function(*args, **kwargs)\n"
    "  except interpreters.InterpreterError as e: return f'{type(e).__name__}: {e}'\n";

/* The messages are those that Python has for interpreters that it did not make. */
static void refuses_to_be_driven(void) {
  subpy_error *error = NULL;
  creator = create();
  run(creator, HELPERS);
  run(creator, "theirs = interpreters.create()");
  int64_t id = number(creator, "theirs.id");
  subpy_interp theirs = find(id), all[8];
  CHECK(id_of(theirs) == id && theirs != creator);
  CHECK(find(id) == theirs);
  size_t count = count_all(all, 8);
  CHECK(count == 3 && all[0] == find(0) && all[1] == creator && all[2] == theirs);
  CHECK(number(creator, "[it.id for it in interpreters.list_all()] == [0, 1, theirs.id]"));

  const char *whence = NULL;
  OK(subpy_whence(theirs, &whence, &error));
  CHECK(strcmp(whence, "_interpreters module") == 0);
  bool running = true;
  OK(subpy_is_running(theirs, &running, &error));
  CHECK(!running);

  subpy_value value = subpy_int(1);
  subpy_pair pair = {subpy_str("x", 1), subpy_int(1)};
  subpy_value names = subpy_dict(&pair, 1);
  subpy_thread thread = 0;
  char message[80];
  snprintf(message, sizeof message, "cannot exec code for unrecognized interpreter %" PRId64, id);
  FAILS(SUBPY_ERROR_INTERPRETER, message, subpy_exec(theirs, "x = 1", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_INTERPRETER, message, subpy_eval(theirs, "1", SUBPY_AUTO_LEN, &value, &error));
  CHECK(value.kind == SUBPY_KIND_NONE);
  snprintf(message, sizeof message, "cannot make a call in unrecognized interpreter %" PRId64, id);
  FAILS(SUBPY_ERROR_INTERPRETER, message,
        subpy_call(theirs, "builtins:dict", SUBPY_AUTO_LEN, NULL, 0, NULL, &value, &error));
  OK(subpy_call_in_thread(theirs, "builtins:dict", SUBPY_AUTO_LEN, NULL, 0, NULL, &thread, &error));
  FAILS(SUBPY_ERROR_INTERPRETER, message, subpy_thread_join(thread, NULL, &error));
  snprintf(message, sizeof message, "cannot update __main__ for unrecognized interpreter %" PRId64, id);
  FAILS(SUBPY_ERROR_INTERPRETER, message, subpy_prepare_main(theirs, &names, &error));
  snprintf(message, sizeof message, "cannot destroy unrecognized interpreter %" PRId64, id);
  FAILS(SUBPY_ERROR_INTERPRETER, message, subpy_close(theirs, &error));
  error = NULL;
  CHECK(subpy_close(theirs, &error) == SUBPY_ERROR_INTERPRETER && subpy_error_interp(error) == theirs);
  subpy_error_free(error);
  error = NULL;

  /* The other way round Python refuses ours, in the same words. */
  subpy_interp ours = create();
  run_with(creator, "ours = interpreters.Interpreter(%" PRId64 ")", id_of(ours));
  CHECK_EVAL(creator, "ours.whence", "C-API");
  run(creator, "said = [fails(ours.exec, ''), fails(ours.call, len, ''), fails(ours.prepare_main, x=1), fails(ours.close)]\n"
               "said = [text.rstrip('0123456789') for text in said]");
  CHECK_EVAL(creator, "said[0]", "InterpreterError: cannot exec code for unrecognized interpreter ");
  CHECK_EVAL(creator, "said[1]", "InterpreterError: cannot make a call in unrecognized interpreter ");
  CHECK_EVAL(creator, "said[2]", "InterpreterError: cannot update __main__ for unrecognized interpreter ");
  CHECK_EVAL(creator, "said[3]", "InterpreterError: cannot destroy unrecognized interpreter ");
  OK(subpy_close(ours, &error));

  /* Python drives its own, and closes it. */
  run(creator, "theirs.exec('x = 1')\ntheirs.close()");
  snprintf(message, sizeof message, "unrecognized interpreter ID %" PRId64, id);
  subpy_interp found = 1;
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_whence(theirs, &whence, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_exec(theirs, "", 0, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_close(theirs, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_find(id, &found, &error));
  CHECK(count_all(all, 8) == 2);
  OK(subpy_close(creator, &error));
}

static void running_by_python(void) {
  subpy_error *error = NULL;
  creator = create();
  signal_pipe begun = signal_new(), end = signal_new();
  char code[300];
  snprintf(code, sizeof code,
           "import concurrent.interpreters as interpreters\n"
           "theirs = interpreters.create()\n"
           "def block(): theirs.exec('import os; os.write(%d, b\".\"); os.read(%d, 1)')",
           begun.out, end.in);
  run(creator, code);
  subpy_interp theirs = find(number(creator, "theirs.id"));
  subpy_thread thread = block_in_thread(creator, begun);
  bool running = false;
  OK(subpy_is_running(theirs, &running, &error));
  CHECK(running);
  FAILS(SUBPY_ERROR_BUSY, "...", subpy_shutdown(&error));
  end_block(thread, end);
  OK(subpy_is_running(theirs, &running, &error));
  CHECK(!running);
  OK(subpy_close(creator, &error));
}

/* close() of a creator closes what its code made, unless somebody else holds on to it. */
static void end_with_their_creator(void) {
  subpy_error *error = NULL;
  subpy_interp all[8], other = create();
  creator = create();
  run(creator, "import concurrent.interpreters as interpreters\n"
               "one, two, three = (interpreters.create() for _ in range(3))\n"
               "three.exec('import concurrent.interpreters as interpreters; four = interpreters.create()')");
  int64_t one = number(creator, "one.id"), two = number(creator, "two.id");
  subpy_interp first = find(one), second = find(two);
  CHECK(count_all(all, 8) == 7);
  run_with(other, "import concurrent.interpreters as interpreters\ntwo = interpreters.Interpreter(%" PRId64 ")", two);
  OK(subpy_close(creator, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...unrecognized interpreter ID ", subpy_id(first, NULL, &error));
  CHECK(id_of(second) == two && count_all(all, 8) == 3);
  run(other, "two.exec('x = 1')");
  OK(subpy_close(other, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...unrecognized interpreter ID ", subpy_id(second, NULL, &error));
  CHECK(count_all(all, 8) == 1);
}

/* ---- C functions that are called from an interpreter that Python code made ---- */

static int64_t expected_id;
static int called;

static void from_theirs(void) {
  subpy_error *error = NULL;
  subpy_interp current = 0;
  OK(subpy_get_current(&current, &error));
  CHECK(id_of(current) == expected_id);
  subpy_interp other = create();
  run(other, "x = 1");
  OK(subpy_close(other, &error));
  FAILS(SUBPY_ERROR_INTERPRETER, "...cannot destroy ", subpy_close(current, &error));
  FAILS(SUBPY_ERROR_BUSY, "interpreter running", subpy_close(creator, &error));
  FAILS(SUBPY_ERROR_BUSY, "cannot shut down from inside an interpreter", subpy_shutdown(&error));
  run(creator, "x = 'from within'");
  OK(subpy_get_current(&current, &error));
  CHECK(id_of(current) == expected_id);
  called++;
}

static void calls_from_theirs(void) {
  subpy_error *error = NULL;
  const char *types[] = {"CFUNCTYPE", "PYFUNCTYPE"};
  creator = create();
  run(creator, "import concurrent.interpreters as interpreters\ntheirs = interpreters.create()");
  expected_id = number(creator, "theirs.id");
  for (int index = 0; index < 2; index++) {
    char code[200];
    snprintf(code, sizeof code, "theirs.exec('import ctypes; ctypes.%s(None)(%" PRIuPTR ")()')", types[index],
             (uintptr_t)from_theirs);
    run(creator, code);
    CHECK_EVAL(creator, "x", "from within");
  }
  CHECK(called == 2);
  OK(subpy_close(creator, &error));
}

/* ---- the private module and ours ---- */

static void raw_exec(void) {
  subpy_error *error = NULL;
  subpy_interp guest = create(), ours = create();
  int64_t id = id_of(ours);
  signal_pipe begun = signal_new(), end = signal_new();
  run(guest, HELPERS);
  run_with(guest, "assert _interpreters.exec(%" PRId64 ", 'x = 42') is None", id);
  CHECK(number(ours, "x") == 42);

  /* While it runs for us. */
  define_block(ours, begun, end);
  subpy_thread thread = block_in_thread(ours, begun);
  run_with(guest,
           "id = %" PRId64 "\n"
           "said = fails(_interpreters.exec, id, 'x = 1'), fails(_interpreters.destroy, id)\n"
           "running = _interpreters.is_running(id)",
           id);
  CHECK_EVAL(guest, "said[0]", "InterpreterError: interpreter already running");
  CHECK_EVAL(guest, "said[1]", "InterpreterError: interpreter running");
  CHECK(number(guest, "running"));
  end_block(thread, end);
  CHECK(number_of(guest, "_interpreters.is_running(%" PRId64 ")", id) == 0);

  /* While it runs for the guest. */
  char code[300];
  snprintf(code, sizeof code,
           "def block(): _interpreters.exec(id, 'import os; os.write(%d, b\".\"); os.read(%d, 1)')", begun.out, end.in);
  run(guest, code);
  thread = block_in_thread(guest, begun);
  FAILS(SUBPY_ERROR_BUSY, "interpreter already running", subpy_exec(ours, "x = 1", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_BUSY, "interpreter running", subpy_close(ours, &error));
  FAILS(SUBPY_ERROR_BUSY, "...", subpy_shutdown(&error));
  end_block(thread, end);
  run(ours, "x = 1");
  OK(subpy_close(ours, &error));
  run(guest, "said = fails(_interpreters.exec, id, '')");
  char message[80];
  snprintf(message, sizeof message, "said == 'InterpreterNotFoundError: unrecognized interpreter ID %" PRId64 "'", id);
  CHECK(number(guest, message));
  OK(subpy_close(guest, &error));
}

static void check_gone(subpy_interp interp, int64_t id) {
  subpy_error *error = NULL;
  subpy_interp all[8], found = 1;
  char message[80];
  snprintf(message, sizeof message, "unrecognized interpreter ID %" PRId64, id);
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_exec(interp, "", 0, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_close(interp, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_is_running(interp, NULL, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_find(id, &found, &error));
  size_t count = count_all(all, 8);
  for (size_t index = 0; index < count; index++) CHECK(all[index] != interp);
}

static void raw_destroy(void) {
  subpy_error *error = NULL;
  subpy_interp guest = create(), ours = create();
  run(guest, HELPERS);
  run(ours, "x = 1");
  int64_t id = id_of(ours);
  run_with(guest, "_interpreters.destroy(%" PRId64 ")", id);
  check_gone(ours, id);

  /* One that was never used, and one that has threads to wait for and handlers to run. */
  ours = create();
  id = id_of(ours);
  run_with(guest, "_interpreters.destroy(%" PRId64 ")", id);
  check_gone(ours, id);
  ours = create();
  id = id_of(ours);
  run(ours, "import atexit, threading, time\n"
            "atexit.register(list)\n"
            "threading.Thread(target=time.sleep, args=[0.01]).start()");
  run_with(guest, "_interpreters.destroy(%" PRId64 ")", id);
  check_gone(ours, id);

  /* Itself: refused. */
  run(guest, "said = fails(_interpreters.destroy, _interpreters.get_current()[0])");
  CHECK_EVAL(guest, "said", "InterpreterError: cannot destroy the current interpreter");
  OK(subpy_close(guest, &error));
}

static void reference_counts(void) {
  subpy_error *error = NULL;
  subpy_interp guest = create(), ours = create();
  int64_t id = id_of(ours);
  run(guest, HELPERS);
  /* Counted without a link: nothing happens at zero. */
  run_with(guest, "id = %" PRId64 "\n_interpreters.incref(id)\n_interpreters.decref(id)", id);
  run(ours, "x = 1");
  /* Linked: the last reference ends it. */
  run(guest, "_interpreters.incref(id, implieslink=True)\n_interpreters.decref(id)");
  check_gone(ours, id);
  OK(subpy_close(guest, &error));
}

/* The last reference goes while ours is running: the run ends first, nothing new comes in. */
static void ended_while_running(void) {
  subpy_error *error = NULL;
  subpy_interp guest = create(), ours = create();
  int64_t id = id_of(ours);
  signal_pipe begun = signal_new(), end = signal_new();
  define_block(ours, begun, end);
  subpy_thread blocking = block_in_thread(ours, begun), destroying = 0;
  run(guest, HELPERS);
  run_with(guest,
           "id = %" PRId64 "\n"
           "def destroy():\n"
           "  _interpreters.incref(id, implieslink=True)\n"
           "  _interpreters.decref(id)\n",
           id);
  OK(subpy_call_in_thread(guest, "destroy", SUBPY_AUTO_LEN, NULL, 0, NULL, &destroying, &error));
  while (subpy_exec(ours, "", 0, NULL) == SUBPY_ERROR_BUSY) usleep(1000);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...unrecognized interpreter ID ", subpy_exec(ours, "", 0, &error));
  end_block(blocking, end);
  OK(subpy_thread_join(destroying, NULL, &error));
  check_gone(ours, id);
  OK(subpy_close(guest, &error));
}

/* What is left when the runtime ends ends with it. */
static void left_over(void) {
  subpy_error *error = NULL;
  subpy_interp guest = create(), main_one = 0;
  run(guest, "import _interpreters\nleft = [_interpreters.create() for _ in range(2)]");
  OK(subpy_get_main(&main_one, &error));
  run(main_one, "import concurrent.interpreters as interpreters\nkept = interpreters.create()");
  subpy_interp all[8];
  CHECK(count_all(all, 8) == 5);
  shut_down();
  FAILS(SUBPY_ERROR_NOT_FOUND, "...unrecognized interpreter ID ", subpy_id(all[4], NULL, &error));
  CHECK(count_all(all, 8) == 1); /* starts again */
  shut_down();
}

int main(void) {
  refuses_to_be_driven();
  running_by_python();
  end_with_their_creator();
  calls_from_theirs();
  raw_exec();
  raw_destroy();
  reference_counts();
  ended_while_running();
  left_over();
  return 0;
}
