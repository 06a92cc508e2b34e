/* create(), list_all(), get_current(), get_main(), Interpreter(id), whence, is_running(), ids and handles. */
#include "guest.h"

static subpy_interp alone;

static void *create_on_thread(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  subpy_interp current = 1;
  FAILS(SUBPY_ERROR_NOT_FOUND, "this thread is in no interpreter", subpy_get_current(&current, &error));
  CHECK(current == 0);
  alone = create();
  run(alone, "import threading\nname = threading.current_thread() is threading.main_thread()");
  return NULL;
}

static void ids_and_lists(void) {
  subpy_error *error = NULL;
  subpy_interp main_one = 0, first = create(), second = create(), found = 0;
  OK(subpy_get_main(&main_one, &error));
  int64_t main_id = -1, first_id = -1, second_id = -1;
  OK(subpy_id(main_one, &main_id, &error));
  OK(subpy_id(first, &first_id, &error));
  OK(subpy_id(second, &second_id, &error));
  CHECK(main_id == 0 && first_id == 1 && second_id == 2);
  CHECK(main_one != first && first != second && first > 1000000);

  subpy_interp all[4] = {7, 7, 7, 7};
  size_t count = 0;
  OK(subpy_list_all(all, 4, &count, &error));
  CHECK(count == 3 && all[0] == main_one && all[1] == first && all[2] == second && all[3] == 7);
  OK(subpy_list_all(NULL, 0, &count, &error));
  CHECK(count == 3);
  subpy_interp some[2] = {7, 7};
  OK(subpy_list_all(some, 1, &count, &error));
  CHECK(count == 3 && some[0] == main_one && some[1] == 7);
  OK(subpy_list_all(some, 2, NULL, &error));
  CHECK(some[1] == first);
  count = 9;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "interps is NULL but capacity is 1", subpy_list_all(NULL, 1, &count, &error));
  CHECK(count == 0);

  OK(subpy_find(0, &found, &error));
  CHECK(found == main_one);
  OK(subpy_find(2, &found, &error));
  CHECK(found == second);
  FAILS(SUBPY_ERROR_NOT_FOUND, "unrecognized interpreter ID 999", subpy_find(999, &found, &error));
  CHECK(found == 0);
  FAILS(SUBPY_ERROR_NOT_FOUND, "unrecognized interpreter ID 9223372036854775807",
        subpy_find(INT64_MAX, &found, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...-1", subpy_find(-1, &found, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...-9223372036854775808", subpy_find(INT64_MIN, &found, &error));

  const char *whence = NULL;
  OK(subpy_whence(main_one, &whence, &error));
  CHECK(strcmp(whence, "runtime init") == 0);
  OK(subpy_whence(first, &whence, &error));
  CHECK(strcmp(whence, "C-API") == 0);

  /* An id is never used again, and the handle of a closed interpreter stays closed. */
  OK(subpy_close(second, &error));
  subpy_interp third = create();
  int64_t third_id = -1;
  OK(subpy_id(third, &third_id, &error));
  CHECK(third_id == 3 && third != second);
  OK(subpy_list_all(all, 4, &count, &error));
  CHECK(count == 3 && all[2] == third);
  FAILS(SUBPY_ERROR_NOT_FOUND, "unrecognized interpreter ID 2", subpy_find(2, &found, &error));
  OK(subpy_close(first, &error));
  OK(subpy_close(third, &error));
}

/* Python's own words about an interpreter of ours. */
static void configuration(void) {
  subpy_interp interp = create();
  run(interp, "import concurrent.interpreters as interpreters, _interpreters\n"
              "me = interpreters.get_current()");
  CHECK_EVAL(interp, "me.whence", "C-API");
  int64_t id = -1;
  subpy_error *error = NULL;
  OK(subpy_id(interp, &id, &error));
  CHECK(number(interp, "me.id") == id);
  CHECK(number(interp, "me.is_running()"));
  CHECK(number(interp, "interpreters.get_main().is_running()")); /* CPython: always */
  CHECK(number(interp, "[it.id for it in interpreters.list_all()] == [0, me.id]"));
  CHECK(number(interp, "vars(_interpreters.get_config(me.id)) == vars(_interpreters.new_config('isolated'))"));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "RuntimeError: fork not supported for isolated subinterpreters",
        subpy_exec(interp, "import os; os.fork()", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "RuntimeError: exec not supported for isolated subinterpreters",
        subpy_exec(interp, "import os; os.execv('/bin/true', ['true'])", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...RuntimeError: daemon threads are disabled in this (sub)interpreter (SUBPY_INTERP_ALLOW_DAEMON_THREADS allows them",
        subpy_exec(interp, "import threading; threading.Thread(target=print, daemon=True).start()", SUBPY_AUTO_LEN,
                   &error));
  run(interp, "import threading\n"
              "seen = []\n"
              "thread = threading.Thread(target=seen.append, args=[1])\n"
              "thread.start(); thread.join()");
  CHECK(number(interp, "seen == [1]"));
  OK(subpy_close(interp, &error));
}

static void options(void) {
  subpy_error *error = NULL;
  subpy_interp interp = 0;
  const char *path[] = {"/first folder", "/zw\xc3\xb6lf"};
  subpy_interp_options options = {.size = sizeof options, .path = path, .path_len = 2};
  OK(subpy_create(&options, &interp, &error));
  CHECK_EVAL(interp, "'|'.join(__import__('sys').path[:2])", "/first folder|/zw\xc3\xb6lf");
  OK(subpy_close(interp, &error));

  options = (subpy_interp_options){.size = sizeof options, .gil = SUBPY_GIL_SHARED};
  options.flags = SUBPY_INTERP_NO_THREADS | SUBPY_INTERP_NO_EXTENSION_CHECK | SUBPY_INTERP_ALLOW_EXEC;
  OK(subpy_create(&options, &interp, &error));
  run(interp, "import _interpreters\nconfig = vars(_interpreters.get_config(_interpreters.get_current()[0]))");
  CHECK(number(interp, "config['gil'] == 'shared' and config['use_main_obmalloc']"));
  CHECK(number(interp, "config['allow_exec'] and not config['allow_fork'] and not config['allow_threads']"));
  CHECK(number(interp, "not config['check_multi_interp_extensions'] and not config['allow_daemon_threads']"));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "RuntimeError: thread is not supported for isolated subinterpreters",
        subpy_exec(interp, "import threading; threading.Thread(target=print).start()", SUBPY_AUTO_LEN, &error));
  OK(subpy_close(interp, &error));

  options = (subpy_interp_options){.size = sizeof options};
  options.flags = SUBPY_INTERP_ALLOW_DAEMON_THREADS | SUBPY_INTERP_ALLOW_FORK;
  OK(subpy_create(&options, &interp, &error));
  run(interp, "import _interpreters\nconfig = vars(_interpreters.get_config(_interpreters.get_current()[0]))");
  CHECK(number(interp, "config['allow_daemon_threads'] and config['allow_fork'] and config['gil'] == 'own'"));
  OK(subpy_close(interp, &error));

  /* What an older program did not know is the default. */
  options.size = sizeof options.size + sizeof options.gil + sizeof options.busy;
  options.flags = UINT64_MAX;
  OK(subpy_create(&options, &interp, &error));
  OK(subpy_close(interp, &error));
  options.size = sizeof options.size;
  options.gil = options.busy = 99;
  OK(subpy_create(&options, &interp, &error));
  OK(subpy_close(interp, &error));

  /* A newer program may be longer, if it asks for nothing new. */
  struct {
    subpy_interp_options known;
    uint64_t unknown;
  } newer = {{.size = sizeof newer}, 0};
  OK(subpy_create(&newer.known, &interp, &error));
  OK(subpy_close(interp, &error));
  newer.unknown = UINT64_C(1) << 63;
  interp = 7;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT,
        "subpy_interp_options has fields set that this version of subpy (0.1.0) does not know",
        subpy_create(&newer.known, &interp, &error));
  CHECK(interp == 0);

  subpy_interp_options zero = {.size = sizeof zero}, wrong = zero;
  wrong.size = 0;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT,
        "subpy_interp_options->size is 0, set it to sizeof(subpy_interp_options)",
        subpy_create(&wrong, &interp, &error));
  wrong.size = 7;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...size is 7", subpy_create(&wrong, &interp, &error));
  wrong.size = SIZE_MAX;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...size is 18446744073709551615", subpy_create(&wrong, &interp, &error));
  wrong = zero, wrong.gil = 2;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "subpy_interp_options.gil is 2, must be one of SUBPY_GIL_*",
        subpy_create(&wrong, &interp, &error));
  wrong.gil = -1;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...gil is -1", subpy_create(&wrong, &interp, &error));
  wrong = zero, wrong.busy = 3;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "subpy_interp_options.busy is 3, must be one of SUBPY_BUSY_*",
        subpy_create(&wrong, &interp, &error));
  wrong = zero, wrong.flags = UINT64_C(1) << 40 | SUBPY_INTERP_NO_THREADS | UINT64_C(1) << 33;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "subpy_interp_options.flags has unknown bits set: 0x10200000000",
        subpy_create(&wrong, &interp, &error));
  wrong = zero, wrong.flags = SUBPY_INTERP_NO_EXTENSION_CHECK;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...SUBPY_INTERP_NO_EXTENSION_CHECK needs SUBPY_GIL_SHARED",
        subpy_create(&wrong, &interp, &error));
  wrong = zero, wrong.path_len = 1;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "subpy_interp_options.path is NULL but path_len is 1",
        subpy_create(&wrong, &interp, &error));
  const char *bad[] = {"/fine", "\xff"}, *missing[] = {NULL};
  wrong = zero, wrong.path = bad, wrong.path_len = 2;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "subpy_interp_options.path[1]: invalid UTF-8 at byte offset 0",
        subpy_create(&wrong, &interp, &error));
  wrong.path = missing, wrong.path_len = 1;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "subpy_interp_options.path[0] is NULL",
        subpy_create(&wrong, &interp, &error));
  wrong.path_len = SIZE_MAX;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...path_len is 18446744073709551615", subpy_create(&wrong, &interp, &error));
  CHECK(interp == 0);
}

static void on_other_threads(void) {
  subpy_error *error = NULL;
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, create_on_thread, NULL) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
  /* The thread that made it has ended; others use it all the same. */
  run(alone, "x = 1");
  bool running = true;
  OK(subpy_is_running(alone, &running, &error));
  CHECK(!running);
  OK(subpy_close(alone, &error));
}

/* Which run is_running() counts: ours, not a thread that one left behind. */
static void running(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create(), main_one = 0;
  signal_pipe begun = signal_new(), end = signal_new();
  define_block(interp, begun, end);
  subpy_thread thread = block_in_thread(interp, begun);
  bool running = false;
  OK(subpy_is_running(interp, &running, &error));
  CHECK(running);
  end_block(thread, end);
  OK(subpy_is_running(interp, &running, &error));
  CHECK(!running);

  run(interp, "import threading\nthread = threading.Thread(target=block)\nthread.start()");
  signal_wait(begun);
  OK(subpy_is_running(interp, &running, &error));
  CHECK(!running);
  signal_send(end);
  run(interp, "thread.join()");

  OK(subpy_get_main(&main_one, &error));
  OK(subpy_is_running(main_one, &running, &error));
  CHECK(!running);
  define_block(main_one, begun, end);
  thread = block_in_thread(main_one, begun);
  OK(subpy_is_running(main_one, &running, &error));
  CHECK(running);
  end_block(thread, end);
  OK(subpy_close(interp, &error));
  running = true;
  FAILS(SUBPY_ERROR_NOT_FOUND, "...unrecognized interpreter ID ", subpy_is_running(interp, &running, &error));
  CHECK(!running);
}

static void second_runtime(void) {
  subpy_error *error = NULL;
  subpy_interp before = create(), main_before = 0, main_after = 0;
  OK(subpy_get_main(&main_before, &error));
  shut_down();
  FAILS(SUBPY_ERROR_NOT_FOUND, "...unrecognized interpreter ID ", subpy_id(before, NULL, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "unrecognized interpreter ID 0", subpy_id(main_before, NULL, &error));
  subpy_interp after = create();
  int64_t id = -1;
  OK(subpy_id(after, &id, &error));
  CHECK(id == 1 && after != before);
  OK(subpy_get_main(&main_after, &error));
  CHECK(main_after != main_before);
  FAILS(SUBPY_ERROR_NOT_FOUND, "unrecognized interpreter ID 0",
        subpy_exec(main_before, "", SUBPY_AUTO_LEN, &error));
  shut_down();
}

int main(void) {
  subpy_error *error = NULL;
  subpy_interp current = 1;
  FAILS(SUBPY_ERROR_NOT_FOUND, "this thread is in no interpreter", subpy_get_current(&current, &error));
  CHECK(current == 0);
  ids_and_lists();
  configuration();
  options();
  on_other_threads();
  running();
  second_runtime();
  return 0;
}
