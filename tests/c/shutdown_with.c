/* subpy_shutdown_with(): all interpreters come to rest and end, or none does. */
#include "child.h"
#include "closing.h"

static subpy_error *error;

static void idle(void) {
  for (uint32_t flags = 0; flags < 4; flags++) {
    OK(shut_down_in(0, flags, &error)); /* nothing is up */
    for (int i = 0; i < 3; i++) run(create(), "import threading");
    OK(shut_down_in(flags ? 60000 : 0, flags, &error));
    OK(shut_down_in(-1, flags, &error));
  }
  run(create(), "x = 1");
  OK(subpy_shutdown_with(NULL, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "subpy_close_options.timeout_ms is -2, must be -1 or more",
        shut_down_in(-2, 0, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "subpy_close_options.flags has unknown bits set: 0x8",
        shut_down_in(0, 8, &error));
}

/* One that is busy keeps all, and they are as before. */
static void all_or_none(void) {
  subpy_interp idle = create(), busy = create(), main = 0;
  signal_pipe begun = signal_new(), end = signal_new();
  char message[200];
  int64_t id = 0;
  OK(subpy_id(busy, &id, &error));
  define_block(busy, begun, end);
  subpy_thread thread = block_in_thread(busy, begun);
  snprintf(message, sizeof message, "interpreter %" PRId64 ": interpreter running", id);
  FAILS(SUBPY_ERROR_BUSY, message, shut_down_in(1000, 0, &error));
  snprintf(message, sizeof message, "not closed within 20 ms: interpreter %" PRId64 ": a run at <script>:3 in block", id);
  for (uint32_t flags = 1; flags < 4; flags++) FAILS(SUBPY_ERROR_BUSY, message, shut_down_in(20, flags, &error));
  CHECK(number(idle, "1 + 1") == 2);
  subpy_interp another = create();
  OK(subpy_close(another, &error));
  signal_send(end);
  subpy_status status = subpy_thread_join(thread, NULL, &error); /* hit, as soon as it could be */
  CHECK(status == SUBPY_ERROR_INTERRUPTED);
  subpy_error_free(error);
  error = NULL;
  /* Main too, its threads too. */
  OK(subpy_get_main(&main, &error));
  define_block(main, begun, end);
  thread = block_in_thread(main, begun);
  FAILS(SUBPY_ERROR_BUSY, "not closed within 20 ms: interpreter 0: a run at <script>:3 in block",
        shut_down_in(20, SUBPY_CLOSE_DRAIN, &error));
  end_block(thread, end);
  run(main, "import threading\nthread = threading.Thread(target=block, name='its own', daemon=False); thread.start()");
  signal_wait(begun);
  FAILS(SUBPY_ERROR_BUSY, "not closed: interpreter 0: thread 'its own' at <script>:3 in block",
        shut_down_in(0, 0, &error));
  CHECK(number(idle, "1 + 1") == 2 && number(main, "1 + 1") == 2);
  signal_send(end);
  OK(shut_down_in(60000, 0, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_exec(idle, "", 0, &error));
}

/* Runaways everywhere, which all end. */
static void interrupts(void) {
  const char *spin = "begin()\nwhile True: pass";
  const char *threads =
      "import threading\n"
      "def spin():\n"
      "  while True: pass\n"
      "for _ in range(2): threading.Thread(target=spin, daemon=False).start()\n"
      "begin()\n"
      "spin()";
  subpy_interp main = 0;
  OK(subpy_get_main(&main, &error));
  subpy_thread runs[] = {run_there(create(), spin), run_there(create(), threads), run_there(main, threads)};
  OK(shut_down_in(60000, SUBPY_CLOSE_INTERRUPT, &error));
  /* Runs that nobody joined are freed, and print that they failed. */
  for (int i = 0; i < 3; i++) FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_thread_join(runs[i], NULL, &error));
  run(create(), "x = 1");
  shut_down();
}

/* A run that ends is waited for, with whatever follows it. */
static void drains(void) {
  subpy_interp interp = create();
  run_there(interp, "import time\nbegin()\ntime.sleep(0.1); print('drained')");
  OK(shut_down_in(60000, SUBPY_CLOSE_DRAIN, &error));
}

/* What runs at the end cannot be taken back: it is waited for again, and nothing can be used meanwhile. */
static void while_it_ends(void) {
  subpy_interp interp = create(), other = 0;
  signal_pipe end = signal_new();
  char code[100];
  snprintf(code, sizeof code, "import atexit, os\natexit.register(os.read, %d, 1)", end.in);
  run(interp, code);
  FAILS(SUBPY_ERROR_TIMEOUT, "...the runtime is ending, and has not ended within 10 ms: it waits for code that runs",
        shut_down_in(10, 0, &error));
  FAILS(SUBPY_ERROR_WRONG_STATE, "...", subpy_shutdown(&error));
  FAILS(SUBPY_ERROR_WRONG_STATE, "...", subpy_create(NULL, &other, &error));
  FAILS(SUBPY_ERROR_TIMEOUT, "...", shut_down_in(0, SUBPY_CLOSE_INTERRUPT, &error));
  signal_send(end);
  OK(shut_down_in(60000, 0, &error));
  run(create(), "x = 1");
  shut_down();
}

/* What one call could not end, another one can. */
static void interrupts_what_another_call_began(void) {
  const char *endless = "import atexit\n"
                        "def spin():\n  while True: pass\n"
                        "atexit.register(spin)";
  run(create(), endless);
  FAILS(SUBPY_ERROR_TIMEOUT, "...the runtime is ending, and has not ended", shut_down_in(0, SUBPY_CLOSE_DRAIN, &error));
  OK(shut_down_in(60000, SUBPY_CLOSE_INTERRUPT, &error));
  subpy_interp interp = create();
  run(interp, endless);
  FAILS(SUBPY_ERROR_TIMEOUT, "...the interpreter is ending, and has not ended", close_in(interp, 0, SUBPY_CLOSE_DRAIN, &error));
  OK(shut_down_in(60000, SUBPY_CLOSE_INTERRUPT, &error));
}

/* An interpreter whose end is stuck keeps the rest, and is named. */
static void beside_a_close_that_is_stuck(void) {
  subpy_interp interp = create();
  signal_pipe end = signal_new();
  char code[100];
  snprintf(code, sizeof code, "import atexit, os\natexit.register(os.read, %d, 1)", end.in);
  run(interp, code);
  FAILS(SUBPY_ERROR_TIMEOUT, "...", close_in(interp, 0, 0, &error));
  FAILS(SUBPY_ERROR_BUSY, "...interpreter is closing", shut_down_in(0, 0, &error));
  FAILS(SUBPY_ERROR_BUSY, "...is ending, and waits for code that runs at the end",
        shut_down_in(20, SUBPY_CLOSE_INTERRUPT, &error));
  signal_send(end);
  OK(shut_down_in(60000, SUBPY_CLOSE_DRAIN, &error));
}

static subpy_status from_inside;
static void shuts_down(void) { from_inside = shut_down_in(-1, SUBPY_CLOSE_DRAIN, NULL); }

static void not_from_inside(void) {
  subpy_interp interp = create();
  call_from_python(interp, "CFUNCTYPE", shuts_down);
  CHECK(from_inside == SUBPY_ERROR_BUSY);
  shut_down();
}

static signal_pipe waits;

static void never_returns(void *userdata, subpy_context *context, const subpy_value *args, size_t count,
                          const subpy_value *kwargs) {
  (void)userdata, (void)context, (void)args, (void)count, (void)kwargs;
  signal_send(waits);
  for (;;) pause();
}

/* A process in which something cannot be ended can still exit. */
static void exits(void) {
  subpy_interp interp = create();
  subpy_thread thread = 0;
  waits = signal_new();
  OK(subpy_define(interp, "wait", SUBPY_AUTO_LEN, 0, never_returns, NULL, NULL, &error));
  run(interp, "def work(): wait()");
  OK(subpy_call_in_thread(interp, "work", SUBPY_AUTO_LEN, NULL, 0, NULL, &thread, &error));
  signal_wait(waits);
  int64_t id = 0;
  OK(subpy_id(interp, &id, &error));
  char expected[100];
  snprintf(expected, sizeof expected, "not closed within 20 ms: interpreter %" PRId64 ": a run at <script>:1 in work", id);
  FAILS(SUBPY_ERROR_BUSY, expected, shut_down_in(20, SUBPY_CLOSE_INTERRUPT, &error));
  exit(0);
}

int main(void) {
  EXPECT(drains, "drained\n", "");
  EXPECT(exits, "", "");
  idle();
  all_or_none();
  interrupts();
  interrupts_what_another_call_began();
  while_it_ends();
  beside_a_close_that_is_stuck();
  not_from_inside();
  return 0;
}
