/* What Python prints: when it comes, in which order, and that nothing is lost. */
#include <locale.h>
#include <pthread.h>

#include "child.h"

static void put(const char *text) { CHECK(write(1, text, strlen(text)) == (ssize_t)strlen(text)); }

/* Makes fd the reading end of a pipe that is stdout from now on. */
static int stdout_pipe(void) {
  int ends[2];
  CHECK(pipe2(ends, O_CLOEXEC) == 0 && dup2(ends[1], 1) == 1);
  close(ends[1]);
  return ends[0];
}

/* What is in the pipe now; waits for the first byte for at most `wait` milliseconds. */
static const char *waiting(int fd, int wait) {
  static char text[4096];
  struct pollfd poll_fd = {fd, POLLIN, 0};
  if (poll(&poll_fd, 1, wait) != 1) return "";
  ssize_t got = read(fd, text, sizeof text - 1);
  CHECK(got >= 0);
  text[got] = 0;
  return text;
}

static void order_with_the_host(void) {
  subpy_error *error = NULL;
  subpy_interp first = create(), second = create();
  printf("1\n");
  fflush(stdout);
  run(first, "print(2)");
  put("3\n");
  run(second, "print(4, end='')");
  put(" 5\n");
  run(first, "import sys\ndef say(*words): print(*words); return len(words)\nprint(6)");
  CHECK(number(second, "print(7) or 0") == 0);
  subpy_value args[] = {subpy_int(8), subpy_bool(true)};
  OK(subpy_call(first, "say", SUBPY_AUTO_LEN, args, 2, NULL, NULL, &error));
  CHECK(subpy_exec(second, "print(9); 1/0", SUBPY_AUTO_LEN, NULL) == SUBPY_ERROR_EXECUTION_FAILED);
  put("10\n");
  subpy_thread thread = 0;
  OK(subpy_call_in_thread(first, "say", SUBPY_AUTO_LEN, args, 1, NULL, &thread, &error));
  OK(subpy_thread_join(thread, NULL, &error));
  printf("11\n");
  fflush(stdout);
  run(first, "print('no line end', end='')");
}

static void there_when_the_run_returns(void) {
  int pipe_end = stdout_pipe();
  subpy_interp interp = create();
  run(interp, "print('a'); print('b', end='')");
  CHECK(strcmp(waiting(pipe_end, 0), "a\nb") == 0);
  run(interp, "pass");
  CHECK(strcmp(waiting(pipe_end, 0), "") == 0);
  /* ... and not earlier: that is what makes it cheap */
  run(interp, "import os\nprint('printed'); os.write(1, b'written\\n')");
  CHECK(strcmp(waiting(pipe_end, 0), "written\nprinted\n") == 0);
}

static void utf8_whatever_the_locale(void) {
  setenv("LANG", "C", 1);
  setenv("LC_ALL", "POSIX", 1);
  setenv("PYTHONIOENCODING", "latin-1", 1);
  setenv("PYTHONUTF8", "0", 1);
  setlocale(LC_ALL, "");
  subpy_interp interp = create(), main = 0;
  run(interp, "import sys\nprint('\\xe9\\u20ac\\U0001f40d'); print(sys.stdout.encoding, sys.stdout.errors, sys.flags.utf8_mode)");
  run(interp, "print('\\xe9', file=sys.stderr); print(sys.stderr.encoding, sys.stderr.errors)");
  CHECK(subpy_get_main(&main, NULL) == SUBPY_OK);
  run(main, "print('\\xe9')");
}

static void stderr_comes_line_by_line(void) {
  subpy_interp interp = create();
  run(interp,
      "import os, sys\n"
      "sys.stderr.write('1\\n'); os.write(2, b'2\\n')\n"
      "print('3', file=sys.stderr); os.write(2, b'4\\n')\n"
      "sys.stderr.write('no end'); sys.stderr.flush(); os.write(2, b'!\\n')\n"
      "sys.stderr.write('end')");
}

static void threads_print_at_once(void) {
  int pipe_end = stdout_pipe();
  signal_pipe go = signal_new();
  subpy_interp interp = create();
  char code[300];
  snprintf(code, sizeof code,
           "import os, threading\n"
           "def say():\n"
           "    while (word := os.read(%d, 1)) != b'.': print('thread', word.decode())\n"
           "thread = threading.Thread(target=say); thread.start()", go.in);
  run(interp, code);
  for (int i = 0; i < 3; i++) {
    char word = (char)('a' + i), expected[20];
    CHECK(write(go.out, &word, 1) == 1);
    snprintf(expected, sizeof expected, "thread %c\n", word);
    char got[100] = "";
    while (strlen(got) < strlen(expected)) {
      const char *more = waiting(pipe_end, 30000);
      CHECK(*more);
      strncat(got, more, sizeof got - strlen(got) - 1);
    }
    CHECK(strcmp(got, expected) == 0);
  }
  signal_send(go);
  run(interp, "thread.join()");
}

static void flush_and_layers(void) {
  subpy_interp interp = create();
  run(interp,
      "import os, sys\n"
      "print('1', flush=True); os.write(1, b'2\\n')\n"
      "sys.stdout.write('3\\n'); sys.stdout.flush(); os.write(1, b'4\\n')\n"
      "print('5'); sys.stdout.buffer.write(b'6\\n'); print('7'); sys.stdout.buffer.write(bytearray(b'8\\n'))\n"
      "sys.stdout.buffer.flush(); os.write(1, b'9\\n')\n"
      "sys.stdout.writelines(['10\\n', '11\\n']); sys.stdout.buffer.writelines([b'12\\n', b'13\\n'])\n"
      "assert sys.stdout.write('\\u20ac\\n') == 2 and sys.stdout.buffer.write(b'14\\n') == 3\n"
      "sys.stdout.buffer.write(b'\\xff\\0\\n')");
  run(interp,
      "def fails(act, kind, text):\n"
      "    try: act()\n"
      "    except kind as error: assert str(error) == text, str(error)\n"
      "    else: raise AssertionError('no error')\n"
      "out = sys.stdout\n"
      "fails(lambda: out.write(5), TypeError, 'write() argument must be str, not int')\n"
      "fails(lambda: out.write(b'x'), TypeError, 'write() argument must be str, not bytes')\n"
      "fails(lambda: out.buffer.write('x'), TypeError, \"a bytes-like object is required, not 'str'\")\n"
      "class Text(str):\n"
      "    def __str__(self): return 'other'\n"
      "out.write(Text('text\\n')); print(Text('text'))");
}

static void looks_like_pythons_own(void) {
  subpy_interp interp = create();
  run(interp,
      "import contextlib, io, os, sys\n"
      "out = sys.stdout\n"
      "assert isinstance(out, io.TextIOWrapper) and isinstance(out.buffer, io.BufferedIOBase) and isinstance(out.buffer.raw, io.FileIO)\n"
      "assert sys.__stdout__ is out and sys.__stderr__ is sys.stderr\n"
      "assert (out.fileno(), sys.stderr.fileno(), out.buffer.fileno()) == (1, 2, 1)\n"
      "assert (out.name, sys.stderr.name, out.mode, out.encoding, out.errors) == ('<stdout>', '<stderr>', 'w', 'utf-8', 'surrogateescape')\n"
      "assert sys.stderr.errors == 'backslashreplace' and sys.stderr.line_buffering and not out.line_buffering\n"
      "assert not out.isatty() and out.writable() and not out.readable() and not out.seekable() and not out.closed\n"
      "assert repr(out) == \"<_io.TextIOWrapper name='<stdout>' mode='w' encoding='utf-8'>\", repr(out)\n"
      "with contextlib.redirect_stdout(io.StringIO()) as caught: print('caught')\n"
      "assert caught.getvalue() == 'caught\\n'\n"
      "class Upper:\n"
      "    def write(self, text): return out.write(text.upper())\n"
      "sys.stdout = Upper(); print('shout'); sys.stdout = out\n"
      "sys.stdout = None; print('nothing'); sys.stdout = out\n"
      "import logging; logging.basicConfig(format='%(message)s'); logging.warning('logged')\n"
      "print('last')");
}

static void reconfigured(void) {
  subpy_interp interp = create();
  run(interp,
      "import os, sys\n"
      "print('1'); sys.stdout.reconfigure(line_buffering=True); print('2'); os.write(1, b'3\\n')\n"
      "assert sys.stdout.line_buffering\n"
      "sys.stdout.reconfigure(line_buffering=False); print('4')");
  run(interp, "print('\\xe9'); sys.stdout.reconfigure(encoding='latin-1'); print('\\xe9')");
  run(interp, "sys.stdout.reconfigure(encoding='ascii', errors='replace'); print('\\xe9')");
  run(interp, "sys.stdout.reconfigure(encoding='utf-8', newline='\\r\\n'); print('dos')");
  run(interp, "sys.stdout.reconfigure(newline='\\n', write_through=True); print('5'); sys.stdout.buffer.write(b'6\\n'); print('7')");
}

static void closed(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create();
  run(interp, "import sys\nprint('before'); sys.stdout.close(); assert sys.stdout.closed");
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "ValueError: I/O operation on closed file.", subpy_exec(interp, "print('after')", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...closed file", subpy_exec(interp, "sys.stdout.buffer.write(b'after')", SUBPY_AUTO_LEN, &error));
  run(interp, "sys.stdout.close()");
  put("the descriptor is open\n");
  OK(subpy_close(interp, &error));
  interp = create();
  run(interp, "import sys\nprint('1'); out = sys.stdout.detach(); out.write(b'2\\n')");
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "ValueError: underlying buffer has been detached", subpy_exec(interp, "print('after')", SUBPY_AUTO_LEN, &error));
  run(interp, "out.write(b'3\\n')");
  shut_down();
  put("end\n");
}

static void on_a_terminal(void) {
  int master = posix_openpt(O_RDWR | O_NOCTTY);
  CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
  int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
  CHECK(slave >= 0 && dup2(slave, 1) == 1);
  subpy_interp interp = create();
  run(interp,
      "import os, sys\n"
      "assert sys.stdout.isatty() and sys.stdout.buffer.isatty() and sys.stdout.line_buffering and not sys.stderr.isatty()\n"
      "print('1'); os.write(1, b'2\\n'); print('3', end='\\n4'); os.write(1, b'5\\n')");
  char got[100] = "";
  while (strlen(got) < 13) {
    const char *more = waiting(master, 30000);
    CHECK(*more);
    strncat(got, more, sizeof got - strlen(got) - 1);
  }
  /* The terminal makes \r\n of \n. A piece with a line end in it goes as a whole, as with CPython's own. */
  if (strcmp(got, "1\r\n2\r\n3\r\n45\r\n") != 0) {
    fprintf(stderr, "on a terminal: %s\n", got);
    exit(1);
  }
}

static void lone_surrogates(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create();
  /* What is no UTF-8 in the name of a file comes out as it is, as from CPython in UTF-8 mode. */
  run(interp, "import os, sys\nprint(os.fsdecode(b'caf\\xe9'))\nprint('x\\udc80', file=sys.stderr)");
  FAILS(SUBPY_ERROR_EXECUTION_FAILED,
        "UnicodeEncodeError: 'utf-8' codec can't encode character '\\ud800' in position 1: surrogates not allowed",
        subpy_exec(interp, "print('before'); print('x\\ud800')", SUBPY_AUTO_LEN, &error));
  run(interp, "sys.stdout.reconfigure(errors='strict')");
  FAILS(SUBPY_ERROR_EXECUTION_FAILED,
        "UnicodeEncodeError: 'utf-8' codec can't encode character '\\udc80' in position 1: surrogates not allowed",
        subpy_exec(interp, "print('x\\udc80')", SUBPY_AUTO_LEN, &error));
}

static void without_descriptors(void) {
  close(1);
  subpy_error *error = NULL;
  subpy_interp interp = create();
  run(interp, "import sys\nassert sys.stdout is None and sys.__stdout__ is None\nprint('to nobody')");
  CHECK(open("/dev/null", O_WRONLY) == 1);
  subpy_interp other = create();
  run(other, "print('to null')");
  close(1);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "OSError: [Errno 9] Bad file descriptor", subpy_exec(other, "print('lost')", SUBPY_AUTO_LEN, &error));
  run(other, "pass");
  shut_down();
}

static void (*disposition(void))(int) {
  struct sigaction current;
  CHECK(sigaction(SIGPIPE, NULL, &current) == 0);
  return current.sa_handler;
}

static void to_a_closed_pipe(void) {
  subpy_error *error = NULL;
  close(stdout_pipe());
  CHECK(disposition() == SIG_DFL);
  subpy_interp interp = create();
  CHECK(disposition() == SIG_IGN);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "BrokenPipeError: [Errno 32] Broken pipe", subpy_exec(interp, "print('x')", SUBPY_AUTO_LEN, &error));
  /* the text is gone, not kept for the next run */
  run(interp, "pass");
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "ZeroDivisionError: division by zero", subpy_exec(interp, "print('x'); 1/0", SUBPY_AUTO_LEN, &error));
  run(interp,
      "try: print('x', flush=True)\n"
      "except BrokenPipeError: pass");
  subpy_value result = {0};
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...BrokenPipeError", subpy_eval(interp, "[print('x'), [1, 2]]", SUBPY_AUTO_LEN, &result, &error));
  CHECK(result.kind == SUBPY_KIND_NONE);
  run(interp, "import atexit; atexit.register(print, 'bye')");
  OK(subpy_close(interp, &error));
  shut_down();
}

static void on_sigpipe(int number) { (void)number; }

static void a_handler_for_sigpipe_stays(void) {
  CHECK(signal(SIGPIPE, on_sigpipe) == SIG_DFL);
  subpy_error *error = NULL;
  close(stdout_pipe());
  subpy_interp interp = create();
  CHECK(disposition() == on_sigpipe);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...BrokenPipeError", subpy_exec(interp, "print('x')", SUBPY_AUTO_LEN, &error));
}

static void keep_sigpipe(void) {
  subpy_error *error = NULL;
  subpy_runtime_options options = {.size = sizeof options, .flags = SUBPY_RUNTIME_KEEP_SIGPIPE};
  close(stdout_pipe());
  OK(subpy_init(&options, &error));
  CHECK(disposition() == SIG_DFL);
  subpy_exec(create(), "print('x')", SUBPY_AUTO_LEN, NULL);
}

static void at_the_end(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create(), main = 0, other = create();
  const char *code =
      "import atexit, sys\n"
      "class Last:\n"
      "    def __init__(self, name): self.name, self.print = name, print\n"
      "    def __del__(self): self.print('del', self.name)\n"
      "atexit.register(lambda: print('atexit', name))\n"
      "last = Last(name)";
  const char *names[] = {"first", "second", "main"};
  OK(subpy_get_main(&main, &error));
  subpy_interp all[] = {interp, other, main};
  for (int i = 0; i < 3; i++) {
    subpy_pair pair = {subpy_str("name", 4), subpy_str(names[i], SUBPY_AUTO_LEN)};
    subpy_value dict = subpy_dict(&pair, 1);
    OK(subpy_prepare_main(all[i], &dict, &error));
    run(all[i], code);
  }
  OK(subpy_close(interp, &error));
  put("closed\n");
  shut_down();
  put("shut down\n");
  interp = create();
  run(interp, "print('again')");
  shut_down();
}

static void main_interpreter(void) {
  subpy_error *error = NULL;
  subpy_interp main = 0;
  OK(subpy_get_main(&main, &error));
  put("1\n");
  run(main, "import sys\nprint(2); print(3, file=sys.stderr)");
  put("4\n");
  run(main, "print(5, end='')");
}

enum { TEN_MIB = 10 << 20 };

/* Takes its time, and checks every byte. */
static void *slow_reader(void *fd) {
  size_t total = 0;
  unsigned char *buffer = malloc(1 << 16);
  CHECK(buffer);
  for (ssize_t got; (got = read(*(int *)fd, buffer, 1 << 16)) > 0;) {
    for (ssize_t i = 0; i < got; i++) CHECK(buffer[i] == (total + (size_t)i == TEN_MIB ? '\n' : 'a' + (total + (size_t)i) % 26));
    total += (size_t)got;
    if (total % 7 == 0) usleep(500);
  }
  free(buffer);
  CHECK(total == TEN_MIB + 1);
  return NULL;
}

static void huge(bool nonblocking) {
  int pipe_end = stdout_pipe();
  if (nonblocking) CHECK(fcntl(1, F_SETFL, fcntl(1, F_GETFL) | O_NONBLOCK) == 0);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, slow_reader, &pipe_end) == 0);
  subpy_interp interp = create();
  run(interp, "text = 'abcdefghijklmnopqrstuvwxyz' * (10 << 20)\nprint(text[:10 << 20])");
  if (in_processes()) shut_down(); /* they have it, too */
  close(1);
  CHECK(pthread_join(thread, NULL) == 0);
}

static void huge_print(void) { huge(false); }

static void huge_print_without_blocking(void) { huge(true); }

/* Many small ones: the buffer is passed on when it is full, and keeps the order. */
static void many_prints(void) {
  int pipe_end = stdout_pipe();
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, slow_reader, &pipe_end) == 0);
  subpy_interp interp = create();
  run(interp,
      "alphabet = 'abcdefghijklmnopqrstuvwxyz'\n"
      "left = 10 << 20\n"
      "import sys\n"
      "while left > 0:\n"
      "    sys.stdout.write(alphabet[:left]) if left % 4 else sys.stdout.buffer.write(alphabet[:left].encode())\n"
      "    left -= 26\n"
      "print()");
  if (in_processes()) shut_down(); /* they have it, too */
  close(1);
  CHECK(pthread_join(thread, NULL) == 0);
}

static void *prints_lines(void *interp) {
  subpy_error *error = NULL;
  for (int i = 0; i < 200; i++) OK(subpy_exec(*(subpy_interp *)interp, "for i in range(10): sys.stdout.write('12345678\\n')", SUBPY_AUTO_LEN, &error));
  return NULL;
}

/* Threads that share an interpreter: every piece comes whole, and once. */
static void threads_share(void) {
  subpy_error *error = NULL;
  subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_SHARE};
  subpy_interp interp = 0;
  OK(subpy_create(&options, &interp, &error));
  run(interp, "import sys");
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, prints_lines, &interp) == 0);
  for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
}

static void check_threads_share(void) {
  outcome outcome = in_child(threads_share);
  CHECK(outcome.status == 0 && outcome.err.len == 0 && outcome.out.len == 4 * 200 * 10 * 9);
  for (size_t i = 0; i < outcome.out.len; i += 9) CHECK(memcmp(outcome.out.data + i, "12345678\n", 9) == 0);
  free_outcome(&outcome);
}

static int full_pipe;
static bool reading;

static void *runs_short(void *interp) {
  run(*(subpy_interp *)interp, "print('short'); printed.set(); time.sleep(0.1)");
  CHECK(__atomic_load_n(&reading, __ATOMIC_SEQ_CST));
  return NULL;
}

static void *runs_long(void *interp) {
  run(*(subpy_interp *)interp, "printed.wait(); print('x' * (1 << 20))");
  return NULL;
}

/* A thread that fills the buffer takes the text of another thread's run along: that run does not return earlier. */
static void taken_along(void) {
  subpy_error *error = NULL;
  full_pipe = stdout_pipe();
  CHECK(fcntl(1, F_SETFL, O_NONBLOCK) == 0);
  while (write(1, "pipe is full", 12) > 0) continue;
  CHECK(fcntl(1, F_SETFL, 0) == 0);
  subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_SHARE};
  subpy_interp interp = 0;
  OK(subpy_create(&options, &interp, &error));
  run(interp, "import threading, time\nprinted = threading.Event()");
  pthread_t threads[2];
  CHECK(pthread_create(&threads[0], NULL, runs_long, &interp) == 0);
  CHECK(pthread_create(&threads[1], NULL, runs_short, &interp) == 0);
  usleep(300000);
  __atomic_store_n(&reading, true, __ATOMIC_SEQ_CST);
  for (int lines = 0; lines < 2;) {
    const char *text = waiting(full_pipe, 30000);
    CHECK(*text);
    for (; *text; text++) lines += *text == '\n';
  }
  for (int i = 0; i < 2; i++) CHECK(pthread_join(threads[i], NULL) == 0);
}

/* The host's exit() runs no Python, and needs none. */
static void exit_at_once(void) {
  subpy_interp interp = create();
  run(interp, "import threading\nthreading.Thread(target=lambda: threading.Event().wait()).start()\nprint('printed')");
  exit(0);
}

int main(void) {
  EXPECT(order_with_the_host, "1\n2\n3\n4 5\n6\n7\n8 True\n9\n10\n8\n11\nno line end", "");
  EXPECT(there_when_the_run_returns, "", "");
  EXPECT(utf8_whatever_the_locale, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x8d\nutf-8 surrogateescape 1\nutf-8 backslashreplace\n\xc3\xa9\n", "\xc3\xa9\n");
  EXPECT(stderr_comes_line_by_line, "", "1\n2\n3\n4\nno end!\nend");
  EXPECT(threads_print_at_once, "", "");
  EXPECT(flush_and_layers,
         "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n\xe2\x82\xac\n14\n\xff\0\ntext\nother\n", "");
  EXPECT(looks_like_pythons_own, "SHOUT\nlast\n", "logged\n");
  EXPECT(reconfigured, "1\n2\n3\n4\n\xc3\xa9\n\xe9\n?\ndos\r\n5\n6\n7\n", "");
  /* At the end of a process CPython itself flushes sys.stdout, whatever that is. */
  EXPECT(closed, "before\nthe descriptor is open\n1\n2\n3\nend\n",
         in_processes() ? "Exception ignored while flushing sys.stdout:\nValueError: underlying buffer has been detached\n" : "");
  EXPECT(on_a_terminal, "", "");
  EXPECT(lone_surrogates, "caf\xe9\nbefore\n", "x\\udc80\n");
  if (!in_processes()) EXPECT(without_descriptors, "", ""); /* a process is given some */
  EXPECT(to_a_closed_pipe, "",
         "Exception ignored in atexit callback <built-in function print>:\nBrokenPipeError: [Errno 32] Broken pipe\n");
  EXPECT(a_handler_for_sigpipe_stays, "", "");
  outcome killed = in_child(keep_sigpipe);
  if (!in_processes()) /* only the interpreter's is killed */
    CHECK(WIFSIGNALED(killed.status) && WTERMSIG(killed.status) == SIGPIPE && killed.err.len == 0);
  free_outcome(&killed);
  EXPECT(at_the_end,
         "atexit first\ndel first\nclosed\natexit second\ndel second\natexit main\ndel main\nshut down\nagain\n", "");
  EXPECT(main_interpreter, "1\n2\n4\n5", "3\n");
  EXPECT(huge_print, "", "");
  EXPECT(huge_print_without_blocking, "", "");
  EXPECT(many_prints, "", "");
  check_threads_share();
  EXPECT(taken_along, "", "");
  EXPECT(exit_at_once, "printed\n", "");
  return 0;
}
