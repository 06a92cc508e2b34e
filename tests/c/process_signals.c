/* Signals that Python code handles in an interpreter's own process: handlers run while it computes, too. */
#include "deaths.h"

static subpy_error *error;

/* Runs code that would go on for ever without its signals. */
static void with_signals(subpy_interp interp, const char *code) {
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_EXEC, .interp = interp, .text = code,
                               .text_len = SUBPY_AUTO_LEN, .timeout_ms = 60000};
  OK(subpy_run(&request, NULL, &error));
}

static void handles(subpy_interp interp) {
  /* One that raises. */
  with_signals(interp,
               "import signal, threading\n"
               "def raises(*_): raise KeyError\n"
               "assert signal.signal(signal.SIGALRM, raises) == signal.SIG_DFL\n"
               "assert signal.getsignal(signal.SIGALRM) is raises\n"
               "signal.setitimer(signal.ITIMER_REAL, 0.001)\n"
               "try:\n"
               "  while True: pass\n"
               "except KeyError: pass\n");
  /* One after the other, and the default again in between. */
  with_signals(interp,
               "count = 0\n"
               "def counts(*_):\n"
               "  global count\n"
               "  count += 1\n"
               "for handler in (counts, signal.SIG_IGN, counts, signal.SIG_DFL, counts):\n"
               "  signal.signal(signal.SIGALRM, handler)\n"
               "signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)\n"
               "while count < 50: pass\n"
               "signal.setitimer(signal.ITIMER_REAL, 0)\n");
  /* The main thread handles it, whichever has the GIL. */
  with_signals(interp,
               "def compute():\n"
               "  while not done: pass\n"
               "done, handled_by = [], []\n"
               "thread = threading.Thread(target=compute)\n"
               "signal.signal(signal.SIGALRM, lambda *_: handled_by.append(threading.get_ident()))\n"
               "thread.start()\n"
               "signal.setitimer(signal.ITIMER_REAL, 0.001)\n"
               "while not handled_by: pass\n"
               "done.append(1)\n"
               "thread.join()\n"
               "assert handled_by == [threading.main_thread().ident]\n");
  /* What is wrong is refused as ever. */
  with_signals(interp,
               "for wrong in [(0, counts), (1000, counts), (signal.SIGALRM, 42), (signal.SIGKILL, counts)]:\n"
               "  try: signal.signal(*wrong)\n"
               "  except (ValueError, TypeError, OSError): pass\n"
               "  else: assert False, wrong\n"
               "try: __import__('_signal').signal()\n"
               "except TypeError: pass\n");
}

int main(int argc, char **argv) {
  (void)argc;
  mark_processes(argv, 300);
  const uint64_t kinds[] = {0, SUBPY_INTERP_LOCKED | SUBPY_INTERP_LOCK_BEST_EFFORT};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_PROCESS | kinds[i]};
    subpy_interp interp = 0;
    OK(subpy_create(&options, &interp, &error));
    handles(interp);
    OK(subpy_close(interp, &error));
  }
  subpy_interp interp = create_process();
  with_signals(interp,
               "import os, signal, warnings\n"
               "warnings.simplefilter('ignore')\n"
               "def raises(*_): raise KeyError\n"
               "signal.signal(signal.SIGALRM, raises)\n"
               "child = os.fork()\n"
               "if child == 0:\n"
               "  try:\n"
               "    signal.signal(signal.SIGUSR1, raises)\n"
               "    os.kill(os.getpid(), signal.SIGUSR1)\n"
               "    while True: pass\n"
               "  except KeyError: os._exit(7)\n"
               "  finally: os._exit(1)\n"
               "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7\n");
  /* Signals come until its end. */
  run(interp, "signal.signal(signal.SIGALRM, lambda *_: None)\nsignal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)");
  OK(subpy_close(interp, &error));
  shut_down();
  until_processes(0);
  return 0;
}
