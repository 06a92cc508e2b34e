/* subpy_interrupt(): it stops what runs, whatever that is doing, and nothing that begins later. */
#include "race.h"

static subpy_error *error;

/* Starts what never ends, and waits until it has begun: it sends a byte then. */
static subpy_thread start(subpy_interp interp, signal_pipe begun, const char *code) {
  subpy_thread thread = 0;
  subpy_run_request request = {
      .size = sizeof request, .interp = interp, .what = SUBPY_RUN_EXEC, .text = code, .text_len = SUBPY_AUTO_LEN};
  OK(subpy_run_in_thread(&request, &thread, &error));
  signal_wait(begun);
  return thread;
}

static subpy_interp create_with(int32_t busy, signal_pipe begun) {
  subpy_interp interp = 0;
  subpy_interp_options options = {.size = sizeof options, .busy = busy};
  OK(subpy_create(&options, &interp, &error));
  char code[200];
  snprintf(code, sizeof code, "import os, threading, time\ndef begun(): os.write(%d, b'x')", begun.out);
  run(interp, code);
  return interp;
}

static void a_loop(void) {
  signal_pipe begun = signal_new();
  subpy_interp interp = create_with(SUBPY_BUSY_REFUSE, begun);
  for (int i = 0; i < 20; i++) {
    subpy_thread thread = start(interp, begun, "def f():\n  begun()\n  while True:\n    pass\nf()");
    OK(subpy_interrupt(interp, &error));
    CHECK(subpy_thread_join(thread, NULL, &error) == SUBPY_ERROR_INTERRUPTED);
    CHECK(strcmp(subpy_error_type_name(error, NULL), "KeyboardInterrupt") == 0);
    CHECK(subpy_error_frame_count(error) >= 2 && strcmp(frame_at(error, 1).function, "f") == 0);
    check_message(__FILE__, __LINE__, error, SUBPY_ERROR_INTERRUPTED, "...interrupted: KeyboardInterrupt, at <script>:");
    CHECK(strstr(subpy_error_display(error, NULL), "Traceback (most recent call last):"));
    subpy_error_free(error);
    error = NULL;
    /* Nothing is left for the next one. */
    run(interp, "for _ in range(100): pass");
  }
  OK(subpy_close(interp, &error));
}

/* Code that catches it is hit again and again. */
static void caught(void) {
  signal_pipe begun = signal_new();
  subpy_interp interp = create_with(SUBPY_BUSY_REFUSE, begun);
  subpy_thread thread = start(interp, begun,
                              "def f():\n"
                              "  begun()\n"
                              "  for _ in range(10):\n"
                              "    try:\n"
                              "      while True: pass\n"
                              "    except KeyboardInterrupt: pass\n"
                              "  while True: pass\n"
                              "f()");
  OK(subpy_interrupt(interp, &error));
  FAILS(SUBPY_ERROR_INTERRUPTED, "...interrupted: KeyboardInterrupt, at <script>:", subpy_thread_join(thread, NULL, &error));
  OK(subpy_close(interp, &error));
}

/* Nothing runs: nothing happens, now or later. */
static void nothing_runs(void) {
  subpy_interp interp = create();
  for (int i = 0; i < 1000; i++) OK(subpy_interrupt(interp, &error));
  for (int i = 0; i < 100; i++) {
    OK(subpy_interrupt(interp, &error));
    run(interp, "for _ in range(1000): pass");
  }
  OK(subpy_close(interp, &error));
}

/* All runs of an interpreter that is shared, and none of Python's threads. */
static void all_that_run(void) {
  signal_pipe begun = signal_new();
  subpy_interp interp = create_with(SUBPY_BUSY_SHARE, begun);
  run(interp, "end = False\nended = None\n"
              "def background():\n  global ended\n  try:\n    while not end: pass\n    ended = 'well'\n"
              "  except BaseException as e: ended = repr(e)\n"
              "thread = threading.Thread(target=background)\nthread.start()");
  subpy_thread threads[4];
  for (int i = 0; i < 4; i++) threads[i] = start(interp, begun, "begun()\nwhile True: pass");
  OK(subpy_interrupt(interp, &error));
  for (int i = 0; i < 4; i++)
    FAILS(SUBPY_ERROR_INTERRUPTED, "...interrupted: KeyboardInterrupt", subpy_thread_join(threads[i], NULL, &error));
  run(interp, "end = True\nthread.join()\nassert ended == 'well', ended");
  OK(subpy_close(interp, &error));
}

/* What a host function does that the interrupted run has called. */
typedef struct {
  subpy_interp interp;
  /* Another thread's code runs meanwhile, so that the run is known to be interrupted before the next one begins. */
  bool is_seen;
  const char *code;
  subpy_status status;
} meanwhile;

static void interrupts(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)ctx, (void)args, (void)nargs, (void)kwargs;
  meanwhile *it = userdata;
  OK(subpy_interrupt(it->interp, &error));
  if (it->is_seen) {
    subpy_thread thread = 0;
    subpy_run_request request = {.size = sizeof request, .interp = it->interp, .what = SUBPY_RUN_EXEC,
                                 .text = "for _ in range(1000): pass", .text_len = SUBPY_AUTO_LEN};
    OK(subpy_run_in_thread(&request, &thread, &error));
    OK(subpy_thread_join(thread, NULL, &error));
  }
  if (it->code) it->status = subpy_exec(it->interp, it->code, SUBPY_AUTO_LEN, NULL);
}

/* What the run does inside of itself ends too, also when that begins only then, and when it catches it. */
static void inside(void) {
  static const char *const codes[] = {"while True: pass", "for _ in range(3):\n"
                                                          "  try:\n"
                                                          "    while True: pass\n"
                                                          "  except KeyboardInterrupt: pass\n"
                                                          "while True: pass"};
  for (int i = 0; i < 4; i++) {
    subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_SHARE};
    meanwhile it = {.is_seen = i % 2, .code = codes[i / 2], .status = SUBPY_OK};
    OK(subpy_create(&options, &it.interp, &error));
    OK(subpy_define(it.interp, "interrupts", SUBPY_AUTO_LEN, 0, interrupts, &it, NULL, &error));
    FAILS(SUBPY_ERROR_INTERRUPTED, "...interrupted",
          subpy_exec(it.interp, "interrupts()\nwhile True: pass", SUBPY_AUTO_LEN, &error));
    CHECK(it.status == SUBPY_ERROR_INTERRUPTED);
    run(it.interp, "for _ in range(1000): pass");
    OK(subpy_close(it.interp, &error));
  }
}

/* A run that has ended before it could be hit leaves nothing for the next one of its thread. */
static void ended_before(void) {
  subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_SHARE};
  meanwhile it = {.is_seen = true, .code = NULL, .status = SUBPY_OK};
  OK(subpy_create(&options, &it.interp, &error));
  OK(subpy_define(it.interp, "interrupts", SUBPY_AUTO_LEN, 0, interrupts, &it, NULL, &error));
  OK(subpy_enter(it.interp, &error));
  for (int i = 0; i < 20; i++) {
    subpy_status status = subpy_call(it.interp, "interrupts", SUBPY_AUTO_LEN, NULL, 0, NULL, NULL, NULL);
    CHECK(status == SUBPY_OK || status == SUBPY_ERROR_INTERRUPTED);
    run(it.interp, "for _ in range(1000): pass");
  }
  OK(subpy_leave(it.interp, &error));
  OK(subpy_close(it.interp, &error));
}

int main(void) {
  a_loop();
  caught();
  nothing_runs();
  all_that_run();
  inside();
  ended_before();
  shut_down();
  return 0;
}
