/* Cancel tokens: what runs with one is stopped, what is to run is refused, and nothing else is hit. */
#include <time.h>

#include "race.h"

static subpy_error *error;

static subpy_cancel token(void) {
  subpy_cancel cancel = 0;
  OK(subpy_cancel_new(&cancel, &error));
  CHECK(cancel != 0 && cancel < (UINT64_C(1) << 53));
  return cancel;
}

static subpy_interp create_with(int32_t busy) {
  subpy_interp interp = 0;
  subpy_interp_options options = {.size = sizeof options, .busy = busy};
  OK(subpy_create(&options, &interp, &error));
  return interp;
}

static subpy_run_request exec_request(subpy_interp interp, const char *code, subpy_cancel cancel) {
  return (subpy_run_request){.size = sizeof(subpy_run_request), .interp = interp, .what = SUBPY_RUN_EXEC,
                             .text = code, .text_len = SUBPY_AUTO_LEN, .cancel = cancel};
}

static subpy_status exec_with(subpy_interp interp, const char *code, subpy_cancel cancel) {
  subpy_run_request request = exec_request(interp, code, cancel);
  return subpy_run(&request, NULL, &error);
}

static subpy_thread start(subpy_interp interp, const char *code, subpy_cancel cancel, uint32_t flags) {
  subpy_thread thread = 0;
  subpy_run_request request = exec_request(interp, code, cancel);
  request.flags = flags;
  OK(subpy_run_in_thread(&request, &thread, &error));
  return thread;
}

static void define_begun(subpy_interp interp, signal_pipe begun) {
  char code[200];
  snprintf(code, sizeof code, "import os\ndef begun(): os.write(%d, b'.')", begun.out);
  run(interp, code);
}

static void stops_and_is_for_good(void) {
  subpy_interp interp = create();
  signal_pipe begun = signal_new();
  define_begun(interp, begun);
  for (int i = 0; i < 50; i++) {
    subpy_cancel cancel = token();
    subpy_thread thread = start(interp, "begun()\nwhile True: pass", cancel, 0);
    signal_wait(begun);
    subpy_cancel_fire(cancel);
    FAILS(SUBPY_ERROR_INTERRUPTED, "...cancelled: KeyboardInterrupt, at <script>:", subpy_thread_join(thread, NULL, &error));
    FAILS(SUBPY_ERROR_INTERRUPTED, "cancelled before it started", exec_with(interp, "x = 1", cancel));
    subpy_cancel_fire(cancel);
    FAILS(SUBPY_ERROR_INTERRUPTED, "cancelled before it started", exec_with(interp, "x = 1", cancel));
    subpy_cancel_free(cancel);
    run(interp, "for _ in range(100): pass");
  }
  CHECK(number(interp, "'x' not in globals()"));
  OK(subpy_close(interp, &error));
}

/* Numbers that stand for nothing, and for something else. */
static void handles(void) {
  subpy_interp interp = create();
  subpy_cancel cancel = token();
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "cancel is NULL: nobody could fire the token", subpy_cancel_new(NULL, &error));
  OK(exec_with(interp, "x = 1", cancel));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...is not the handle of a cancel token", exec_with(interp, "x = 1", interp));
  subpy_cancel_fire(interp);
  subpy_cancel_free(interp);
  OK(exec_with(interp, "x = 1", cancel));
  subpy_cancel_free(cancel);
  subpy_cancel_free(cancel);
  subpy_cancel_fire(cancel);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...is not the handle of a cancel token, or it was freed", exec_with(interp, "", cancel));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_exec(cancel, "", 0, &error));
  subpy_cancel_fire(0);
  subpy_cancel_free(0);
  OK(subpy_close(interp, &error));
}

/* A token that is freed while its run goes on: the run is not stopped. */
static void freed_meanwhile(void) {
  subpy_interp interp = create();
  signal_pipe begun = signal_new(), end = signal_new();
  define_block(interp, begun, end);
  subpy_cancel cancel = token();
  subpy_thread thread = start(interp, "block()", cancel, 0);
  signal_wait(begun);
  subpy_cancel_free(cancel);
  subpy_cancel_fire(cancel);
  end_block(thread, end);
  OK(subpy_close(interp, &error));
}

/* One token for several runs, in one interpreter and in others; runs without it go on. */
static void several(void) {
  subpy_interp shared = create_with(SUBPY_BUSY_SHARE), other = create();
  signal_pipe begun = signal_new(), end = signal_new();
  define_begun(other, begun);
  define_block(shared, begun, end);
  define_begun(shared, begun);
  subpy_cancel cancel = token();
  subpy_thread threads[4], without = block_in_thread(shared, begun);
  for (int i = 0; i < 4; i++) {
    threads[i] = start(i < 3 ? shared : other, "begun()\nwhile True: pass", cancel, 0);
    signal_wait(begun);
  }
  subpy_cancel_fire(cancel);
  for (int i = 0; i < 4; i++)
    FAILS(SUBPY_ERROR_INTERRUPTED, "...cancelled: KeyboardInterrupt", subpy_thread_join(threads[i], NULL, &error));
  end_block(without, end);
  subpy_cancel_free(cancel);
  OK(subpy_close(shared, &error));
  OK(subpy_close(other, &error));
}

/* Whoever waits for a turn is refused at once; the others keep their places. */
static void waiting(void) {
  subpy_interp interp = create_with(SUBPY_BUSY_WAIT);
  signal_pipe begun = signal_new(), end = signal_new();
  define_block(interp, begun, end);
  subpy_cancel cancel = token();
  subpy_thread first = block_in_thread(interp, begun), threads[6];
  for (int i = 0; i < 6; i++) threads[i] = start(interp, "turns = globals().get('turns', 0) + 1", i % 2 ? cancel : 0, 0);
  usleep(20000);
  subpy_cancel_fire(cancel);
  for (int i = 1; i < 6; i += 2) {
    subpy_status status = subpy_thread_join(threads[i], NULL, &error);
    CHECK(status == SUBPY_ERROR_INTERRUPTED);
    const char *message = subpy_error_message(error, NULL);
    CHECK(strcmp(message, "cancelled, and did not start: it waited for its turn") == 0 ||
          strcmp(message, "cancelled before it started") == 0);
    subpy_error_free(error);
    error = NULL;
  }
  end_block(first, end);
  for (int i = 0; i < 6; i += 2) OK(subpy_thread_join(threads[i], NULL, &error));
  CHECK(number(interp, "turns") == 3);
  subpy_cancel_free(cancel);
  OK(subpy_close(interp, &error));
}

/* ---- fired from inside ---- */

static subpy_cancel fired_inside;
static subpy_interp in_between;
static subpy_status nested_status;

static void fire(void) { subpy_cancel_fire(fired_inside); }

static void fire_and_run(void) {
  subpy_cancel_fire(fired_inside);
  nested_status = subpy_exec(in_between, "ran = 1", SUBPY_AUTO_LEN, NULL);
}

static void run_and_fire(void) {
  give_function(in_between, "fire", "CFUNCTYPE", fire);
  nested_status = subpy_exec(in_between, "fire()\nwhile True: pass", SUBPY_AUTO_LEN, NULL);
}

static void from_inside(void) {
  subpy_interp interp = create();
  in_between = create();
  void (*const functions[])(void) = {fire, fire_and_run, run_and_fire};
  for (int same = 0; same < 2; same++)
    for (int i = 0; i < 3; i++) {
      subpy_interp apart = in_between;
      if (same) in_between = interp;
      fired_inside = token();
      nested_status = SUBPY_OK;
      give_function(interp, "outside", "CFUNCTYPE", functions[i]);
      FAILS(SUBPY_ERROR_INTERRUPTED, "...cancelled: KeyboardInterrupt",
            exec_with(interp, "outside()\nwhile True: pass", fired_inside));
      CHECK(nested_status == (i == 0 ? SUBPY_OK : SUBPY_ERROR_INTERRUPTED));
      subpy_cancel_free(fired_inside);
      CHECK(number(in_between, "'ran' not in globals()"));
      run(interp, "for _ in range(100): pass");
      in_between = apart;
    }
  OK(subpy_close(in_between, &error));
  OK(subpy_close(interp, &error));
}

static signal_pipe held, let_go;

static void hold(void) {
  signal_send(held);
  signal_wait(let_go);
}

/* A run that does not end: whoever waits is told soon after the token was fired. */
static void abandoned(void) {
  subpy_interp interp = create();
  held = signal_new(), let_go = signal_new();
  give_function(interp, "hold", "CFUNCTYPE", hold);
  subpy_cancel cancel = token();
  subpy_thread thread = start(interp, "hold()", cancel, SUBPY_ABANDON);
  signal_wait(held);
  subpy_cancel_fire(cancel);
  FAILS(SUBPY_ERROR_INTERRUPTED, "cancelled, but the code has not ended: it still runs",
        subpy_thread_join(thread, NULL, &error));
  FAILS(SUBPY_ERROR_BUSY, "interpreter running", subpy_close(interp, &error));
  signal_send(let_go);
  while (subpy_close(interp, NULL) == SUBPY_ERROR_BUSY) usleep(1000);
  subpy_cancel_free(cancel);
}

/* Python's own threads are not hit, nor the start of one; what they were started from is. (Not threading.Thread: an
 * interrupt can leave the lock locked that its start() takes.) */
static void threads_of_python(void) {
  subpy_interp interp = create();
  signal_pipe begun = signal_new();
  define_begun(interp, begun);
  run(interp, "import _thread, os, time\nended = []\n"
              "def threads(): return len(os.listdir('/proc/self/task'))\n"
              "def work(): ended.append(sum(range(1000)))\n"
              "def start_many():\n  begun()\n"
              "  while True:\n    _thread.start_new_thread(work, ())\n    time.sleep(0)");
  for (int i = 0; i < 20; i++) {
    subpy_cancel cancel = token();
    subpy_thread thread = start(interp, "start_many()", cancel, 0);
    signal_wait(begun);
    usleep(500);
    subpy_cancel_fire(cancel);
    FAILS(SUBPY_ERROR_INTERRUPTED, "...cancelled: ", subpy_thread_join(thread, NULL, &error));
    subpy_cancel_free(cancel);
  }
  while (number(interp, "_thread._count()")) usleep(1000);
  /* They have not quite ended: one that is late would stay parked, and CPython would not free what it has. */
  for (int64_t before = -1, now; (now = number(interp, "threads()")) != before; before = now) usleep(50000);
  CHECK(number(interp, "set(ended) == {499500}"));
  OK(subpy_close(interp, &error));
}

int main(void) {
  subpy_cancel early = token(); /* before there is a runtime */
  stops_and_is_for_good();
  handles();
  freed_meanwhile();
  several();
  waiting();
  from_inside();
  abandoned();
  threads_of_python();
  while (subpy_shutdown(NULL) == SUBPY_ERROR_BUSY) usleep(1000); /* the very end of the thread that was given up */
  subpy_cancel_fire(early);
  subpy_interp interp = create(); /* and in the next runtime */
  FAILS(SUBPY_ERROR_INTERRUPTED, "cancelled before it started", exec_with(interp, "x = 1", early));
  shut_down();
  subpy_cancel_free(early);
  return 0;
}
