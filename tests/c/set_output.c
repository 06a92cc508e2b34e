/* subpy_set_output(): where what an interpreter prints goes, when, in which order, and for how long. */
#include <pthread.h>
#include <time.h>

#include "child.h"

/* What a function was given: each call as "stream:text|". */
typedef struct {
  char text[1 << 16];
  size_t len;
  int calls, finalized;
  subpy_interp interp;
} taken;

static void note(taken *log, const char *text, size_t len) {
  CHECK(log->len + len < sizeof log->text);
  memcpy(log->text + log->len, text, len);
  log->len += len;
  log->text[log->len] = 0;
}

static void take(void *userdata, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  taken *log = userdata;
  CHECK(len > 0 && text[len] == 0 && !log->finalized);
  log->interp = interp;
  __atomic_fetch_add(&log->calls, 1, __ATOMIC_SEQ_CST);
  note(log, stream == 1 ? "1:" : "2:", 2);
  note(log, text, len);
  note(log, "|", 1);
}

static void finalize(void *userdata) { ((taken *)userdata)->finalized++; }

static taken *new_log(void) {
  taken *log = calloc(1, sizeof *log);
  CHECK(log);
  return log;
}

static taken *capture(subpy_interp interp) {
  subpy_error *error = NULL;
  taken *log = new_log();
  OK(subpy_set_output(interp, take, log, finalize, &error));
  return log;
}

/* It has got this since it was asked last. */
#define GOT(log, expected) got(__LINE__, log, expected)

static void got(int line, taken *log, const char *expected) {
  if (strcmp(log->text, expected) != 0) {
    fprintf(stderr, "%s:%d: got\n%s\nnot\n%s\n", __FILE__, line, log->text, expected);
    exit(1);
  }
  log->len = 0;
  log->text[0] = 0;
}

static subpy_interp create_with(uint64_t flags, int32_t busy) {
  subpy_error *error = NULL;
  subpy_interp_options options = {.size = sizeof options, .flags = flags, .busy = busy};
  subpy_interp interp = 0;
  OK(subpy_create(&options, &interp, &error));
  return interp;
}

static void a_run_at_a_time(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create(), other = create();
  run(interp, "print('before')");
  taken *log = capture(interp);
  run(interp, "import sys\nprint('one'); print('two', end='')");
  CHECK(log->interp == interp);
  GOT(log, "1:one\ntwo|");
  /* in the order in which Python wrote, and stderr at each line */
  run(interp, "print('a'); print('b', file=sys.stderr); print('c'); sys.stderr.write('d'); print('e'); print('f', file=sys.stderr)");
  GOT(log, "1:a\n|2:b\n|1:c\n|2:d|1:e\n|2:f\n|");
  run(interp, "print('now', flush=True); print('then'); sys.stdout.flush()");
  GOT(log, "1:now\n|1:then\n|");
  run(interp, "pass");
  CHECK(number(interp, "print('eval') or 5") == 5);
  CHECK(subpy_exec(interp, "print('fails'); 1/0", SUBPY_AUTO_LEN, &error) == SUBPY_ERROR_EXECUTION_FAILED);
  subpy_error_free(error);
  GOT(log, "1:eval\n|1:fails\n|");
  run(other, "print('other')");
  OK(subpy_set_output(interp, NULL, NULL, NULL, &error));
  CHECK(log->finalized == 1);
  run(interp, "print('after')");
  GOT(log, "");
  shut_down();
  CHECK(log->finalized == 1);
}

static void much(void) {
  subpy_interp interp = create();
  taken *log = capture(interp);
  run(interp, "print('x' * 50000)");
  CHECK(log->calls == 1 && log->len == 50004);
  GOT(log, log->text);
  run(interp, "for i in range(10): print(str(i) * 4999)");
  GOT(log, log->text);
  subpy_error *error = NULL;
  OK(subpy_set_output(interp, NULL, NULL, NULL, &error));
  CHECK(log->finalized == 1);
}

static size_t total;
static void sum(void *userdata, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  (void)interp, (void)userdata;
  CHECK(stream == 1 && len <= 3 * 65536);
  for (size_t i = 0; i < len; i++) CHECK(text[i] == "\xe2\x82\xac"[(total + i) % 3]);
  total += len;
}

/* 30 MB in one print: it comes in pieces that are whole characters. */
static void huge(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create();
  OK(subpy_set_output(interp, sum, NULL, NULL, &error));
  run(interp, "import sys\nprint('\\u20ac' * 10_000_000, end='')");
  CHECK(total == 30000000);
  run(interp, "for i in range(100_000): sys.stdout.write('\\u20ac' * 10)");
  CHECK(total == 33000000);
}

static void utf8(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create();
  taken *log = capture(interp);
  run(interp, "import sys\nout = sys.stdout.buffer\nprint('\\xe9\\u20ac\\U0001f40d\\0end', end='')");
  CHECK(log->len == 2 + 2 + 3 + 4 + 1 + 3 + 1 && memcmp(log->text + 2, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x8d\0end", 13) == 0);
  log->len = 0, log->text[0] = 0;
  run(interp, "out.write(b'a\\xff\\xfeb')");
  GOT(log, "1:a\xef\xbf\xbd\xef\xbf\xbd" "b|");
  /* half a character waits for the rest of it */
  run(interp, "out.write(b'\\xe2'); out.flush()");
  GOT(log, "");
  run(interp, "print('stderr', file=sys.stderr); out.write(b'\\x82'); out.flush(); out.write(b'\\xac!')");
  GOT(log, "2:stderr\n|1:\xe2\x82\xac!|");
  run(interp, "out.write(b'\\xe2\\x82'); print('x')");
  GOT(log, "1:\xef\xbf\xbdx\n|");
  run(interp, "print('caf\\udce9'); sys.stderr.write('\\udce9\\n')");
  GOT(log, "1:caf\xef\xbf\xbd\n|2:\\udce9\n|");
  run(interp, "print('\\udce2\\udc82\\udcac')");
  GOT(log, "1:\xe2\x82\xac\n|");
  run(interp, "sys.stdout.reconfigure(encoding='latin-1'); print('\\xe9')");
  GOT(log, "1:\xef\xbf\xbd\n|");
  run(interp, "out.write(b'\\xf0\\x9f')");
  GOT(log, "");
  OK(subpy_close(interp, &error));
  GOT(log, "1:\xef\xbf\xbd|");
  CHECK(log->finalized == 1);
}

static void unbuffered(void) {
  subpy_interp interp = create_with(SUBPY_INTERP_UNBUFFERED, 0);
  taken *log = capture(interp);
  run(interp, "import sys\nprint('a'); sys.stdout.write('b'); sys.stderr.write('c'); sys.stdout.buffer.write(b'd')");
  GOT(log, "1:a|1:\n|1:b|2:c|1:d|");
}

/* ... to the descriptors too. */
static void unbuffered_descriptors(void) {
  subpy_interp interp = create_with(SUBPY_INTERP_UNBUFFERED, 0);
  run(interp, "import os\nprint('1'); os.write(1, b'2\\n'); print('3', end=''); os.write(1, b'4\\n')");
}

static void what_python_sees(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create();
  run(interp, "import io, sys\nassert sys.stdout.fileno() == 1 and sys.stderr.fileno() == 2");
  taken *log = capture(interp);
  run(interp,
      "def no_file(stream):\n"
      "    try: stream.fileno()\n"
      "    except io.UnsupportedOperation as error: assert str(error) == 'fileno'\n"
      "    else: raise AssertionError(stream)\n"
      "no_file(sys.stdout); no_file(sys.stderr); no_file(sys.stdout.buffer)\n"
      "assert not sys.stdout.isatty() and sys.stdout.encoding == 'utf-8' and sys.stdout.write('\\u20ac') == 1\n"
      "assert sys.stdout.buffer.write(b'abc') == 3");
  GOT(log, "1:\xe2\x82\xac" "abc|");
  run(interp,
      "import logging, contextlib\n"
      "with contextlib.redirect_stdout(io.StringIO()) as caught: print('caught')\n"
      "assert caught.getvalue() == 'caught\\n'\n"
      "logging.basicConfig(format='%(message)s'); logging.warning('logged')");
  GOT(log, "2:logged\n|");
  OK(subpy_set_output(interp, NULL, NULL, NULL, &error));
  run(interp, "assert sys.stdout.fileno() == 1 and sys.stderr.fileno() == 2");
}

/* What comes while no run is active, and at the very end. */
static void between_runs_and_at_the_end(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create(), main = 0;
  taken *log = capture(interp);
  signal_pipe go = signal_new();
  char code[600];
  snprintf(code, sizeof code,
           "import atexit, os, sys, threading\n"
           "def say():\n"
           "    os.read(%d, 1)\n"
           "    sys.stdout.write('from a thread\\n')\n"
           "    1 / 0\n"
           "thread = threading.Thread(target=say, daemon=False); thread.start()\n"
           "class Last:\n"
           "    def __del__(self, print=print): print('del')\n"
           "atexit.register(print, 'atexit')\n"
           "last = Last()", go.in);
  run(interp, code);
  GOT(log, "");
  signal_send(go);
  OK(subpy_close(interp, &error));
  const char *first = "1:from a thread\n|2:Exception in thread";
  CHECK(strncmp(log->text, first, strlen(first)) == 0 && strstr(log->text, "|2:ZeroDivisionError: division by zero\n|") && strstr(log->text, "|1:atexit\n|1:del\n|"));
  CHECK(log->finalized == 1);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_set_output(interp, take, log, finalize, &error));
  CHECK(log->finalized == 2);

  OK(subpy_get_main(&main, &error));
  taken *of_main = capture(main);
  run(main, "import atexit\natexit.register(print, 'atexit')\nprint('main')");
  GOT(of_main, "1:main\n|");
  shut_down();
  GOT(of_main, "1:atexit\n|");
  CHECK(of_main->finalized == 1);
}

/* A guest destroys it. */
static void destroyed(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create(), other = create();
  int64_t id = 0;
  OK(subpy_id(interp, &id, &error));
  taken *log = capture(interp);
  run(interp, "import atexit\natexit.register(print, 'atexit')");
  char code[100];
  snprintf(code, sizeof code, "import _interpreters\n_interpreters.destroy(%d)", (int)id);
  run(other, code);
  GOT(log, "1:atexit\n|");
  CHECK(log->finalized == 1);
}

static void failures(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create();
  taken *log = new_log();
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_set_output(77, take, log, finalize, &error));
  CHECK(log->finalized == 1);
  CHECK(subpy_set_output(0, NULL, log, finalize, NULL) == SUBPY_ERROR_NOT_FOUND && log->finalized == 2);
  subpy_interp list[8], guest = 0, maker = 0;
  size_t count = 0;
  OK(subpy_get_main(&maker, &error));
  run(maker, "import _interpreters\nguest = _interpreters.create()");
  OK(subpy_list_all(list, 8, &count, &error));
  for (size_t i = 0; i < count; i++)
    if (list[i] != interp && list[i] != maker) guest = list[i];
  FAILS(SUBPY_ERROR_INTERPRETER, "...cannot capture the output of unrecognized interpreter", subpy_set_output(guest, take, log, finalize, &error));
  CHECK(log->finalized == 3);
  run(maker, "_interpreters.destroy(guest)");
  /* NULL with something to finalize */
  OK(subpy_set_output(interp, NULL, log, finalize, &error));
  CHECK(log->finalized == 4);
  log->finalized = 0;
  OK(subpy_set_output(interp, take, log, NULL, &error));
  run(interp, "print(1)");
  GOT(log, "1:1\n|");
}

static void replaced(void) {
  subpy_interp interp = create();
  taken *first = capture(interp);
  run(interp, "print(1)");
  taken *second = capture(interp);
  CHECK(first->finalized == 1 && second->finalized == 0);
  run(interp, "print(2)");
  GOT(first, "1:1\n|");
  GOT(second, "1:2\n|");
}

/* ---- functions that do something with the library ---- */

static int depth, deepest, calls;
static subpy_interp other_interp;
static taken seen;

static void prints_itself(void *userdata, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  depth++;
  if (depth > deepest) deepest = depth;
  take(userdata, interp, stream, text, len);
  if (calls++ < 3) {
    run(interp, "print('nested')");
    run(other_interp, "print('elsewhere')");
    CHECK(number(interp, "1 + 1") == 2);
  }
  depth--;
}

static void may_print(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create();
  other_interp = create();
  taken *elsewhere = capture(other_interp);
  OK(subpy_set_output(interp, prints_itself, &seen, NULL, &error));
  run(interp, "print('outer')");
  GOT(&seen, "1:outer\n|1:nested\n|1:nested\n|1:nested\n|");
  CHECK(deepest == 1 && calls == 4);
  GOT(elsewhere, "1:elsewhere\n|1:elsewhere\n|1:elsewhere\n|");
  calls = 0;
  run(interp, "print('in the run', flush=True); print('on')");
  CHECK(deepest == 1);
  GOT(&seen, "1:in the run\n|1:nested\n|1:nested\n|1:nested\n|1:on\n|");
}

static taken *successor;
static void replaces_itself(void *userdata, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  take(userdata, interp, stream, text, len);
  if (!successor) successor = capture(interp);
  CHECK(!((taken *)userdata)->finalized);
}

static void may_replace_itself(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create();
  taken *log = new_log();
  OK(subpy_set_output(interp, replaces_itself, log, finalize, &error));
  run(interp, "import sys\nprint('a', flush=True)\nprint('b')");
  CHECK(log->finalized == 1);
  GOT(log, "1:a\n|");
  GOT(successor, "1:b\n|");
}

static void asks(void *userdata, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  subpy_error *error = NULL;
  bool running = false;
  take(userdata, interp, stream, text, len);
  OK(subpy_is_running(interp, &running, &error));
  subpy_status closed = subpy_close(interp, NULL), stopped = subpy_shutdown(NULL);
  CHECK(running && (closed == SUBPY_ERROR_BUSY || closed == SUBPY_ERROR_INTERPRETER) && stopped == SUBPY_ERROR_BUSY);
  subpy_interp made = create();
  run(made, "pass");
  OK(subpy_close(made, &error));
}

static void may_call_anything(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create();
  memset(&seen, 0, sizeof seen);
  OK(subpy_set_output(interp, asks, &seen, finalize, &error));
  run(interp, "print('a')");
  GOT(&seen, "1:a\n|");
  OK(subpy_close(interp, &error));
  CHECK(seen.finalized == 1);
}

/* ---- threads ---- */

static int inside;
static size_t lines;

static void count_lines(void *userdata, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  (void)userdata, (void)interp, (void)stream;
  CHECK(__atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST) == 1);
  CHECK(len % 9 == 0);
  for (size_t i = 0; i < len; i += 9) CHECK(memcmp(text + i, "12345678\n", 9) == 0);
  lines += len / 9;
  CHECK(__atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST) == 0);
}

static void *prints_lines(void *interp) {
  subpy_error *error = NULL;
  for (int i = 0; i < 200; i++) OK(subpy_exec(*(subpy_interp *)interp, "for i in range(10): sys.stdout.write('12345678\\n')", SUBPY_AUTO_LEN, &error));
  return NULL;
}

/* One call at a time, however many threads print. */
static void threads_share(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create_with(0, SUBPY_BUSY_SHARE);
  OK(subpy_set_output(interp, count_lines, NULL, NULL, &error));
  run(interp, "import sys");
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, prints_lines, &interp) == 0);
  for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  CHECK(lines == 4 * 200 * 10);
}

/* Interpreters that print at once, into a pipe that takes less than what they print at a time: their lines stay whole. */
static void *prints_long(void *data) {
  subpy_interp interp = create();
  char code[300];
  snprintf(code, sizeof code,
           "import sys\n"
           "for i in range(4000): print('%c' * (i %% 1500))\n"
           "for i in range(20): sys.stderr.write('%c'); sys.stderr.write('rest\\n')", (char)('a' + (intptr_t)data), (char)('A' + (intptr_t)data));
  run(interp, code);
  return NULL;
}

static void at_once(void) {
  pthread_t threads[4];
  for (intptr_t i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, prints_long, (void *)i) == 0);
  for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
}

static void no_mixed_lines(void) {
  outcome outcome = in_child(at_once);
  CHECK(outcome.status == 0);
  size_t lines_seen = 0;
  for (char *line = outcome.out.data, *end; (end = strchr(line, '\n')); line = end + 1, lines_seen++)
    for (char *c = line; c < end; c++) CHECK(*c == *line);
  CHECK(lines_seen == 4 * 4000);
  lines_seen = 0;
  for (char *line = outcome.err.data, *end; (end = strchr(line, '\n')); line = end + 1, lines_seen++)
    CHECK(end - line == 5 && *line >= 'A' && *line <= 'D' && memcmp(line + 1, "rest", 4) == 0);
  CHECK(lines_seen == 80);
  free_outcome(&outcome);
}

/* A run on a thread that nobody joins: its traceback is the interpreter's. */
static void detached_runs(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create();
  taken *log = capture(interp);
  run(interp, "def fails(): print('out'); 1/0");
  OK(subpy_call_in_thread(interp, "fails", SUBPY_AUTO_LEN, NULL, 0, NULL, NULL, &error));
  while (subpy_shutdown(NULL) == SUBPY_ERROR_BUSY) usleep(1000);
  const char *first = "1:out\n|2:Exception in thread subpy-1 (fails):\nTraceback";
  CHECK(strncmp(log->text, first, strlen(first)) == 0 && strstr(log->text, "ZeroDivisionError") && log->finalized == 1);
}

static void no_stdin(void) {
  subpy_interp interp = create_with(SUBPY_INTERP_NO_STDIN, 0);
  taken *log = capture(interp);
  run(interp,
      "import sys\n"
      "try: input('name? ')\n"
      "except EOFError as error: assert str(error) == 'EOF when reading a line'\n"
      "else: raise AssertionError\n"
      "assert sys.stdin.read() == '' and sys.stdin.readline() == '' and list(sys.stdin) == []\n"
      "assert sys.stdin.buffer.read() == b'' and sys.stdin is sys.__stdin__\n"
      "assert sys.stdin.name == '<stdin>' and sys.stdin.mode == 'r' and sys.stdin.encoding == 'utf-8'\n"
      "assert sys.stdin.readable() and not sys.stdin.writable() and not sys.stdin.isatty() and not sys.stdin.closed\n"
      "import fileinput, io\n"
      "assert list(fileinput.input('-')) == []\n"
      "try: sys.stdin.fileno()\n"
      "except io.UnsupportedOperation: pass\n"
      "else: raise AssertionError");
  GOT(log, "1:name? |");
  /* nothing was read from the process's own */
  char rest[10] = "";
  CHECK(read(0, rest, sizeof rest) == 5 && strcmp(rest, "input") == 0);
  run(interp, "sys.stdin.close()");
}

/* ---- waits that end with the run ---- */

static subpy_status blocked_status;
static const char *blocked_code;

static void *is_blocked(void *interp) {
  blocked_status = subpy_exec(*(subpy_interp *)interp, blocked_code, SUBPY_AUTO_LEN, NULL);
  return NULL;
}

/* Interrupts the run until it ends. */
static void ends_when_interrupted(subpy_interp interp, const char *code) {
  subpy_error *error = NULL;
  pthread_t thread;
  blocked_code = code;
  CHECK(pthread_create(&thread, NULL, is_blocked, &interp) == 0);
  usleep(60000);
  struct timespec now;
  do {
    OK(subpy_interrupt(interp, &error));
    CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
    now.tv_nsec += 10000000;
    if (now.tv_nsec >= 1000000000) now.tv_sec++, now.tv_nsec -= 1000000000;
  } while (pthread_timedjoin_np(thread, NULL, &now) != 0);
  CHECK(blocked_status == SUBPY_ERROR_INTERRUPTED);
}

/* Nobody reads. What could not be written is lost, and nothing waits for it any more. */
static void full_pipe(void) {
  subpy_error *error = NULL;
  int ends[2];
  CHECK(pipe(ends) == 0 && dup2(ends[1], 1) == 1);
  CHECK(fcntl(1, F_SETFL, O_NONBLOCK) == 0);
  while (write(1, "pipe is full", 12) > 0) continue;
  CHECK(fcntl(1, F_SETFL, 0) == 0);
  subpy_interp interp = create();
  ends_when_interrupted(interp, "print('at the end')");
  ends_when_interrupted(interp, "print('flushed', flush=True)");
  ends_when_interrupted(interp, "print('x' * (2 << 20))");
  ends_when_interrupted(interp, "while True:\n  try: print('x', flush=True)\n  except KeyboardInterrupt: break\nprint('again')");
  run(interp, "1 + 1");
  OK(subpy_close(interp, &error));
  shut_down();
}

static bool let_go_on;
static void blocks(void *userdata, subpy_interp interp, int32_t stream, const char *text, size_t len) {
  take(userdata, interp, stream, text, len);
  while (!__atomic_load_n(&let_go_on, __ATOMIC_SEQ_CST)) usleep(1000);
}

static void *starts_a_thread(void *interp) {
  subpy_exec(*(subpy_interp *)interp,
             "import threading\nthread = threading.Thread(target=print, args=('first',), daemon=False); thread.start()",
             SUBPY_AUTO_LEN, NULL);
  return NULL;
}

/* Another thread's text is being delivered. It is delivered later, and nothing is lost. */
static void slow_function(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create_with(0, SUBPY_BUSY_SHARE);
  taken *log = new_log();
  OK(subpy_set_output(interp, blocks, log, finalize, &error));
  /* Either the thread delivers it, or the run that started the thread does at its end. */
  pthread_t starter;
  CHECK(pthread_create(&starter, NULL, starts_a_thread, &interp) == 0);
  while (__atomic_load_n(&log->calls, __ATOMIC_SEQ_CST) == 0) usleep(1000);
  ends_when_interrupted(interp, "print('second')");
  ends_when_interrupted(interp, "print('third', flush=True)");
  __atomic_store_n(&let_go_on, true, __ATOMIC_SEQ_CST);
  CHECK(pthread_join(starter, NULL) == 0);
  OK(subpy_close(interp, &error));
  GOT(log, "1:first\n|1:second\nthird\n|");
  CHECK(log->finalized == 1);
}

static void with_input(void) {
  int ends[2];
  CHECK(pipe(ends) == 0 && dup2(ends[0], 0) == 0 && write(ends[1], "input", 5) == 5);
  no_stdin();
}

int main(void) {
  EXPECT(a_run_at_a_time, "before\nother\nafter\n", "");
  EXPECT(much, "", "");
  EXPECT(huge, "", "");
  EXPECT(utf8, "", "");
  EXPECT(unbuffered, "", "");
  EXPECT(unbuffered_descriptors, "1\n2\n34\n", "");
  EXPECT(what_python_sees, "", "");
  EXPECT(between_runs_and_at_the_end, "", "");
  if (!in_processes()) EXPECT(destroyed, "", ""); /* no guest of another one sees it */
  EXPECT(failures, "", "");
  EXPECT(replaced, "", "");
  EXPECT(may_print, "", "");
  EXPECT(may_replace_itself, "", "");
  EXPECT(may_call_anything, "", "");
  EXPECT(threads_share, "", "");
  if (!in_processes()) no_mixed_lines(); /* each process writes for itself */
  EXPECT(detached_runs, "", "");
  EXPECT(with_input, "", "");
  EXPECT(full_pipe, "", "");
  EXPECT(slow_function, "", "");
  return 0;
}
