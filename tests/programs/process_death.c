/* One way in which an interpreter's process, or one that it needs, can die, again and again: what becomes of the run, of the
 * interpreter and of another one. Fails when anything is left. tests/deaths.rs writes the table. */
#include <errno.h>

#include "../c/deaths.h"

typedef struct {
  const char *name, *code;
  int64_t timeout_ms;
  /* 0: 50 ms. */
  uint64_t grace_ms;
  uint64_t memory_limit, cpu_limit_ms;
} death;

static subpy_error *error;
static char outcome[256];

static const death DEATHS[] = {
    {"segfault", .code = "ctypes.string_at(0)"},
    {"abort", .code = "os.abort()"},
    {"exit", .code = "os._exit(7)"},
    {"kill itself", .code = "os.kill(os.getpid(), 9)"},
    {"kill", .code = "time.sleep(10)"},
    {"terminate", .code = "os.kill(os.getpid(), 15); time.sleep(10)"},
    {"thread", .code = "threading.Thread(target=lambda: ctypes.string_at(0), daemon=True).start()\ntime.sleep(10)"},
    /* An exception ends one of the calls. */
    {"python loop",
     "def loop(n):\n  try:\n    if n: loop(n - 1)\n  except BaseException: pass\n  while True: pass\n"
     "loop(200)", .timeout_ms = 100},
    {"c loop", "sleep(1000)", .timeout_ms = 100},
    {"stop", "os.kill(os.getpid(), 19)", .timeout_ms = 100},
    /* At most 32 processes, for at most 20 seconds. */
    {"fork bomb",
     "signal.alarm(20)\n"
     "for _ in range(5): os.fork()\n"
     "signal.alarm(20)\n"
     "while True: time.sleep(1)", .timeout_ms = 200},
    {"child", .code = "if os.fork() == 0:\n  time.sleep(20)\n  os._exit(0)\nos.abort()"},
    /* It ends when it is told to stop. */
    {"closed descriptors", "os.closerange(3, 4096)\nwhile True: pass", .timeout_ms = 100, .grace_ms = 10000},
    {"memory hog", "hog = []\nwhile True: hog.append(b'x' * 100000)", .memory_limit = 64 << 20},
    {"c memory hog",
     "allocate = ctypes.CDLL(None).malloc\n"
     "allocate.restype = ctypes.c_void_p\n"
     "while ctypes.memset(allocate(ctypes.c_size_t(1 << 20)), 1, 1 << 20): pass", .memory_limit = 64 << 20},
    {"cpu hog", "while True: pass", .cpu_limit_ms = 500},
    {"garbage",
     .code =
     "for d in range(3, 64):\n"
     "  try: os.write(d, b'\\x01garbage' * 3)\n"
     "  except OSError: pass\n"
     "time.sleep(10)"},
    {"zygote", .code = "os.kill(os.getppid(), 9)"},
};

/* What the status and the error say that is the same each time. */
static void describe(char *text, size_t size, subpy_status status) {
  int32_t by = 0, code = 0;
  if (status == SUBPY_OK) {
    snprintf(text, size, "`OK`");
  } else if (subpy_error_crash(error, &by, &code)) {
    if (by) snprintf(text, size, "`CRASHED`, signal %d", (int)by);
    else snprintf(text, size, "`CRASHED`, exit code %d", (int)code);
  } else {
    const char *message = subpy_error_message(error, NULL);
    bool killed = status == SUBPY_ERROR_TIMEOUT && strstr(message, "its process was killed");
    snprintf(text, size, "`%s`%s", subpy_status_name(status) + strlen("SUBPY_ERROR_"), killed ? ", killed" : "");
    bool is_memory = status == SUBPY_ERROR_EXECUTION_FAILED && strcmp(subpy_error_type_name(error, NULL), "MemoryError") == 0;
    if (is_memory) snprintf(text, size, "`MemoryError`");
    else if (status != SUBPY_ERROR_TIMEOUT && status != SUBPY_ERROR_NOT_FOUND) fprintf(stderr, "%s\n", message);
  }
  subpy_error_free(error);
  error = NULL;
}

static void *kill_soon(void *process) {
  pause_ms(5);
  kill((pid_t)(intptr_t)process, SIGKILL);
  return NULL;
}

/* One of them: an outcome like the others'. */
static void dies(const death *death, subpy_interp other) {
  subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_PROCESS,
                                  .grace_ms = death->grace_ms ? death->grace_ms : 50,
                                  .memory_limit = death->memory_limit, .cpu_limit_ms = death->cpu_limit_ms};
  subpy_interp interp = 0;
  OK(subpy_create(&options, &interp, &error));
  /* The limit is not for imports. */
  run(interp, "import ctypes, os, signal, threading, time, warnings\nwarnings.simplefilter('ignore')\n"
             "sleep = ctypes.PyDLL(None).sleep");
  bool killed = strcmp(death->name, "kill") == 0;
  pthread_t killer;
  if (killed) {
    pid_t process = (pid_t)number(interp, "__import__('os').getpid()");
    CHECK(pthread_create(&killer, NULL, kill_soon, (void *)(intptr_t)process) == 0);
  }
  char run_[96], after[96], text[256];
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EXEC, .text = death->code,
                               .text_len = SUBPY_AUTO_LEN, .timeout_ms = death->timeout_ms};
  describe(run_, sizeof run_, subpy_run(&request, NULL, &error));
  if (killed) CHECK(pthread_join(killer, NULL) == 0);
  subpy_status status = subpy_exec(interp, "pass", SUBPY_AUTO_LEN, &error);
  describe(after, sizeof after, status);
  if (status == SUBPY_OK) OK(subpy_close(interp, &error));
  CHECK(number(other, "6 * 7") == 42);
  snprintf(text, sizeof text, "%s | %s", run_, after);
  if (!*outcome) snprintf(outcome, sizeof outcome, "%s", text);
  if (strcmp(text, outcome) != 0) {
    fprintf(stderr, "%s: %s, and before that %s\n", death->name, text, outcome);
    exit(1);
  }
}

/* What becomes of the process that interpreters are forked from, before the host is killed. */
enum zygote { GOES_ON, KILLED, STOPPED };
static const char *const HOSTS[] = {"host", "host and zygote", "host and stopped zygote"};

/* The host is killed: another process, which has two interpreters, of which one runs something that cannot be
 * interrupted. Left after that: a fork of the host, which has all its descriptors; or a zygote that is stopped, which does
 * nothing before it goes on. */
static void host_dies(char **argv, enum zygote zygote) {
  int ready[2];
  CHECK(pipe(ready) == 0);
  pid_t host = fork();
  CHECK(host >= 0);
  if (host == 0) {
    CHECK(dup2(ready[1], 1) == 1);
    execl("/proc/self/exe", argv[0], HOSTS[zygote], "0", (char *)NULL);
    _exit(1);
  }
  char byte;
  pid_t left = 0;
  CHECK(zygote == GOES_ON || read(ready[0], &left, sizeof left) == sizeof left);
  CHECK(read(ready[0], &byte, 1) == 1);
  CHECK(processes(NULL) >= 3);
  CHECK(kill(host, SIGKILL) == 0);
  CHECK(waitpid(host, NULL, 0) == host);
  until_processes(left != 0);
  CHECK(left == 0 || kill(left, zygote == STOPPED ? SIGCONT : SIGKILL) == 0);
  until_processes(0);
  CHECK(close(ready[0]) == 0 && close(ready[1]) == 0);
}

static void is_host(enum zygote zygote) {
  subpy_interp one = create_process(), two = create_process();
  run(one, "import os, signal");
  pid_t left = 0;
  if (zygote == KILLED) {
    left = fork();
    CHECK(left >= 0);
    if (left == 0) {
      sleep(20);
      _exit(0);
    }
    run(one, "os.kill(os.getppid(), signal.SIGKILL)");
  } else if (zygote == STOPPED) {
    left = (pid_t)number(one, "os.getppid()");
    run(one, "os.kill(os.getppid(), signal.SIGSTOP)");
  }
  CHECK(left == 0 || write(1, &left, sizeof left) == sizeof left);
  run(two, "import os, ctypes; os.write(1, b'.'); ctypes.PyDLL(None).sleep(1000)");
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  mark_processes(argv, 500);
  int count = atoi(argv[2]);
  for (enum zygote zygote = GOES_ON; zygote <= STOPPED; zygote++) {
    if (strcmp(argv[1], HOSTS[zygote]) != 0) continue;
    if (count == 0) {
      is_host(zygote);
      return 1;
    }
    host_use before = use_now();
    for (int i = 0; i < count; i++) host_dies(argv, zygote);
    check_use(before);
    printf("gone | gone\n");
    return 0;
  }
  const death *death = NULL;
  for (size_t i = 0; i < sizeof DEATHS / sizeof *DEATHS; i++)
    if (strcmp(DEATHS[i].name, argv[1]) == 0) death = &DEATHS[i];
  CHECK(death);
  host_use before = {0};
  for (int round = 0; round < 2; round++) {
    subpy_interp other = create_process();
    for (int i = round ? 0 : count - 1; i < count; i++) dies(death, other);
    OK(subpy_close(other, &error));
    shut_down();
    until_processes(0);
    if (round == 0) before = use_now();
    else check_use(before);
  }
  printf("%s\n", outcome);
  return 0;
}
