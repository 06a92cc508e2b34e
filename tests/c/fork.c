/* Forks: before the first use both processes work; later the child is told that it cannot use Python, and exits normally. */
#include <pthread.h>
#include <stdatomic.h>

#include "child.h"
#include "values.h"

static subpy_interp interp;
static subpy_thread thread;
static subpy_function function;
static subpy_cancel cancel;
static subpy_queue queue;
static subpy_pool pool;
static subpy_error *old_error;
static subpy_value old_result, old_errors, old_queue;

static void check_exit(pid_t child) {
  int status;
  CHECK(child > 0);
  while (waitpid(child, &status, 0) < 0) CHECK(errno == EINTR);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    fprintf(stderr, "the child ended with %#x\n", (unsigned)status);
    exit(1);
  }
}

#define FORKED(call)                                                                                         \
  do {                                                                                                       \
    FAILS(SUBPY_ERROR_FORKED, "...this process was forked from one that runs Python", call);                    \
    CHECK((subpy_error_free(error), error = NULL) == NULL);                                                  \
  } while (0)

/* What runs Python says so, and what gives memory back works. Every function is called after a fork in tests/misuse; here
 * other threads are busy meanwhile. */
static void in_a_fork(void) {
  subpy_error *error = NULL;
  subpy_interp other = 5;
  subpy_value value = subpy_int(5);
  size_t len = 5, row = 5;
  FORKED(subpy_init(NULL, &error));
  FORKED(subpy_shutdown(&error));
  FORKED(subpy_create(NULL, &other, &error));
  FORKED(subpy_close(interp, &error));
  FORKED(subpy_exec(interp, "1", 1, &error));
  FORKED(subpy_function_call(function, NULL, 0, NULL, &value, &error));
  CHECK(other == 0 && value.kind == SUBPY_KIND_NONE);
  FORKED(subpy_thread_join(thread, NULL, &error));
  FORKED(subpy_pool_close(pool, NULL, &error));
  FORKED(subpy_queue_get(queue, -1, &value, &error));
  FORKED(subpy_queue_len(queue, &len, &error));
  FORKED(subpy_enter(interp, &error));
  CHECK(len == 0 && subpy_exec(interp, "1", 1, NULL) == SUBPY_ERROR_FORKED);
  CHECK(old_errors.u.as_items[1].kind == SUBPY_KIND_ERROR && subpy_error_row(old_errors.u.as_items[1].u.as_error, &row) && row == 1);
  subpy_error *copied = subpy_error_copy(old_error);
  CHECK(strcmp(subpy_error_display(copied, NULL), subpy_error_display(old_error, NULL)) == 0);
  subpy_error_free(copied);
  subpy_cancel_fire(cancel);
  subpy_cancel_free(cancel);
  subpy_queue_free(queue);
  subpy_thread_free(thread);
  subpy_function_free(function);
  subpy_value_free(&old_queue);
  subpy_value_free(&old_result);
  subpy_value_free(&old_errors);
  subpy_error_free(old_error);
}

/* Handles come and go under their lock, while others fork. */
static void keep_and_free(void) {
  subpy_error *error = NULL;
  subpy_queue own = 0;
  OK(subpy_queue_keep(queue, &own, &error));
  subpy_queue_free(own);
}

static void *works(void *unused) {
  (void)unused;
  subpy_interp own = create();
  run(own, "import time\nstop = time.monotonic() + 600");
  for (subpy_error *error = NULL;;) {
    subpy_interp brief = 0;
    OK(subpy_exec(own, "for i in range(10_000): str(i)", SUBPY_AUTO_LEN, &error));
    OK(subpy_create(NULL, &brief, &error));
    OK(subpy_close(brief, &error));
    for (int i = 0; i < 1000; i++) keep_and_free();
  }
}

/* A hundred forks while four threads run, create and close: no child hangs or crashes, also with exit(). */
static void with_busy_workers(void) {
  subpy_error *error = NULL;
  interp = create();
  run(interp, "import threading\nheld = threading.Event()\ndef f(): return [1, 'x']\ndef wait(): held.wait()");
  OK(subpy_call(interp, "f", SUBPY_AUTO_LEN, NULL, 0, NULL, &old_result, &error));
  CHECK(subpy_exec(interp, "1/0", SUBPY_AUTO_LEN, &old_error) == SUBPY_ERROR_EXECUTION_FAILED);
  OK(subpy_cancel_new(&cancel, &error));
  OK(subpy_queue_new(NULL, &queue, &error));
  run(interp, "import subpy_queues");
  OK(subpy_eval(interp, "subpy_queues.create()", SUBPY_AUTO_LEN, &old_queue, &error));
  OK(subpy_pool_new(NULL, &pool, &error));
  OK(subpy_function_new(interp, "f", SUBPY_AUTO_LEN, &function, &error));
  const subpy_value wrong[] = {subpy_int(1), subpy_int(2)};
  OK(subpy_function_call_many(function, wrong, 2, 1, SUBPY_RETURN_ERRORS, &old_errors, &error));
  OK(subpy_call_in_thread(interp, "wait", SUBPY_AUTO_LEN, NULL, 0, NULL, &thread, &error));
  pthread_t workers[4];
  for (int i = 0; i < 4; i++) CHECK(pthread_create(&workers[i], NULL, works, NULL) == 0);
  for (int i = 0; i < 100; i++) {
    pid_t child = fork();
    if (child == 0) {
      in_a_fork();
      if (i % 2) exit(0);
      _exit(0);
    }
    check_exit(child);
  }
  /* fork and exec together work, as do guests that start programs */
  pid_t child = fork();
  if (child == 0) execlp("true", "true", (char *)NULL);
  check_exit(child);
  printf("done\n");
  exit(0);
}

/* fork() on a thread that is inside an interpreter: in a function that Python called. */
static int forks(void) {
  pid_t child = fork();
  if (child == 0) {
    subpy_error *error = NULL;
    FORKED(subpy_exec(interp, "1", 1, &error));
    exit(0);
  }
  check_exit(child);
  return 0;
}

static void from_inside(void) {
  subpy_error *error = NULL;
  subpy_value address = subpy_int((int64_t)(intptr_t)forks);
  interp = create();
  run(interp, "import ctypes\ndef call(address): return ctypes.CFUNCTYPE(ctypes.c_int)(address)()");
  OK(subpy_call(interp, "call", SUBPY_AUTO_LEN, &address, 1, NULL, NULL, &error));
  shut_down();
}

static void *waits_for_its_turn(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  OK(subpy_exec(interp, "turns += 1", SUBPY_AUTO_LEN, &error));
  return NULL;
}

static pid_t forked_inside;

static int forks_and_returns(void) {
  /* Long enough for the others to wait; when they do not, the child has less to do. */
  usleep(20000);
  forked_inside = fork();
  return 0;
}

/* The child returns from the run that others wait for: it leaves without them. */
static void inside_while_others_wait(void) {
  subpy_error *error = NULL;
  subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_WAIT};
  subpy_value address = subpy_int((int64_t)(intptr_t)forks_and_returns);
  OK(subpy_create(&options, &interp, &error));
  run(interp, "import ctypes\nturns = 0\ndef call(address): return ctypes.CFUNCTYPE(ctypes.c_int)(address)()");
  pthread_t waiting[4];
  OK(subpy_enter(interp, &error));
  for (int i = 0; i < 4; i++) CHECK(pthread_create(&waiting[i], NULL, waits_for_its_turn, NULL) == 0);
  OK(subpy_call(interp, "call", SUBPY_AUTO_LEN, &address, 1, NULL, NULL, &error));
  if (forked_inside == 0) {
    FORKED(subpy_exec(interp, "1", 1, &error));
    _exit(0);
  }
  check_exit(forked_inside);
  for (int i = 0; i < 4; i++) CHECK(pthread_join(waiting[i], NULL) == 0);
  subpy_value turns = eval(interp, "turns");
  CHECK(turns.u.as_int == 4);
  OK(subpy_leave(interp, &error));
  shut_down();
}

/* After the shutdown both can start a runtime of their own. */
static void after_the_shutdown(void) {
  interp = create();
  shut_down();
  pid_t child = fork();
  interp = create();
  run(interp, "assert sum(range(10)) == 45");
  shut_down();
  if (child == 0) _exit(0);
  check_exit(child);
}

static void before_the_first_use(void) {
  CHECK(subpy_python_version() == NULL);
  pid_t child = fork();
  interp = create();
  run(interp, "import json\nassert json.loads('[1]') == [1]");
  if (child == 0) {
    shut_down();
    exit(0);
  }
  check_exit(child);
  shut_down();
}

/* In Python: os.fork would crash the child, everything that ends in exec works. */
static void guests(void) {
  subpy_error *error = NULL;
  subpy_interp main = 0;
  interp = create();
  OK(subpy_get_main(&main, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "RuntimeError: fork not supported for isolated subinterpreters",
        subpy_exec(interp, "import os; os.fork()", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...RuntimeError: exec not supported for isolated subinterpreters",
        subpy_exec(interp, "import os; os.execv('/bin/true', ['true'])", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...RuntimeError: fork is not supported while subpy interpreters are open",
        subpy_exec(main, "import os; os.fork()", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...RuntimeError: fork is not supported while subpy interpreters are open",
        subpy_exec(main, "os.forkpty()", SUBPY_AUTO_LEN, &error));
  const char *code =
      "import os, subprocess, sys\n"
      "run = subprocess.run\n"
      "assert run(['echo', 'out'], capture_output=True, text=True, check=True).stdout == 'out\\n'\n"
      "assert run(['cat'], input=b'in', capture_output=True).stdout == b'in'\n"
      "assert run([sys.executable, '-c', 'import sys; sys.exit(3)'], cwd='/', close_fds=True).returncode == 3\n"
      "assert os.waitstatus_to_exitcode(os.waitpid(os.posix_spawn('/bin/sh', ['sh', '-c', 'exit 4'], os.environ), 0)[1]) == 4\n"
      "assert os.system('exit 5') >> 8 == 5\n"
      "import multiprocessing, operator\n"
      "spawn = multiprocessing.get_context('spawn')\n"
      "process = spawn.Process(target=sys.exit, args=(6,))\n"
      "process.start(); process.join(); assert process.exitcode == 6\n"
      "process = spawn.Process(target=print, args=('from the child',), kwargs={'flush': True})\n"
      "process.start(); process.join(); assert process.exitcode == 0";
  /* Pool has threads that are daemons. */
  const char *pool =
      "with spawn.Pool(2) as pool: assert pool.starmap(operator.add, [(1, 2), (3, 4)]) == [3, 7]\n"
      "pool.join()";
  const char *executor =
      "import concurrent.futures\n"
      "with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as executor:\n"
      "  assert executor.submit(abs, -1).result() == 1";
  subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_ALLOW_DAEMON_THREADS};
  subpy_interp daemons = 0;
  OK(subpy_create(&options, &daemons, &error));
  run(interp, code);
  const char *refused = "RuntimeError: daemon threads are disabled in this (sub)interpreter "
                        "(SUBPY_INTERP_ALLOW_DAEMON_THREADS allows them when the interpreter is created)";
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, refused,
        subpy_exec(interp, "import threading; threading.Thread(target=print, daemon=True)", SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...(ProcessPoolExecutor needs SUBPY_INTERP_ALLOW_DAEMON_THREADS)",
        subpy_exec(interp, executor, SUBPY_AUTO_LEN, &error));
  run(main, code);
  run(main, pool);
  run(daemons, code);
  run(daemons, pool);
  run(daemons, executor);
  OK(subpy_close(interp, &error));
  shut_down();
}

#ifndef __SANITIZE_ADDRESS__
static atomic_bool looks_on;

static void *looks(void *unused) {
  bool running;
  while (looks_on) {
    CHECK(subpy_is_running(5, &running, NULL) == SUBPY_ERROR_NOT_FOUND);
    subpy_function_free(5);
  }
  return unused;
}

/* In processes that have not used the library before, while another thread does that for the first time. */
static void while_others_look(void) {
  for (int i = 0; i < 60; i++) {
    pid_t fresh = fork();
    if (fresh == 0) {
      pthread_t others[2];
      looks_on = true;
      for (int j = 0; j < 2; j++) CHECK(pthread_create(&others[j], NULL, looks, NULL) == 0);
      for (int j = 0; j < 20; j++) {
        pid_t child = fork();
        if (child == 0) {
          alarm(60);
          bool running;
          subpy_function_free(5);
          _exit(subpy_is_running(5, &running, NULL) != SUBPY_ERROR_NOT_FOUND);
        }
        check_exit(child);
      }
      looks_on = false;
      for (int j = 0; j < 2; j++) CHECK(pthread_join(others[j], NULL) == 0);
      _exit(0);
    }
    check_exit(fresh);
  }
}

static subpy_object kept;
static subpy_queue queue;
static subpy_buffer region = {.size = sizeof region};

static void *frees(void *unused) {
  subpy_error *error = NULL;
  while (looks_on) {
    subpy_object_free(kept + 1);
    subpy_function_free(5);
    subpy_queue_free(queue + 1);
    subpy_queue other = 0;
    OK(subpy_queue_new(NULL, &other, &error));
    subpy_queue_free(other);
    subpy_buffer memory = {.size = sizeof memory};
    OK(subpy_buffer_new(1, 0, &memory, &error));
    subpy_buffer_free(&memory);
  }
  return unused;
}

/* After a shutdown, with handles that are left: whoever is in the middle of a free when the process is forked is not in the
 * child, which knows that. */
static void while_others_free(void) {
  subpy_error *error = NULL;
  interp = create();
  subpy_value value = {0};
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EVAL, .text = "object()",
                               .text_len = SUBPY_AUTO_LEN, .flags = SUBPY_RESULT_OBJECT};
  OK(subpy_run(&request, &value, &error));
  OK(subpy_object_keep((subpy_object)value.u.as_object, &kept, &error));
  OK(subpy_queue_new(NULL, &queue, &error));
  OK(subpy_buffer_new(100, 0, &region, &error));
  shut_down();
  pthread_t others[3];
  looks_on = true;
  for (int i = 0; i < 3; i++) CHECK(pthread_create(&others[i], NULL, frees, NULL) == 0);
  for (int i = 0; i < 1500; i++) {
    pid_t child = fork_beside_others();
    if (child == 0) {
      alarm(60);
      subpy_queue_free(queue + 1);
      subpy_object_free(kept + 1);
      bool running;
      subpy_status status = subpy_is_running(5, &running, NULL);
      _exit(status != SUBPY_ERROR_NOT_FOUND && status != SUBPY_ERROR_FORKED);
    }
    check_exit(child);
  }
  looks_on = false;
  for (int i = 0; i < 3; i++) CHECK(pthread_join(others[i], NULL) == 0);
  subpy_value_free(&value);
  subpy_object_free(kept);
  subpy_queue_free(queue);
  subpy_buffer_free(&region);
}
#endif

int main(void) {
#ifdef __SANITIZE_ADDRESS__
  printf("skipped: forks while others look, under AddressSanitizer: its own locks stay taken in the child\n");
#else
  EXPECT(while_others_look, "", "");
  EXPECT(while_others_free, "", "");
#endif
  EXPECT(before_the_first_use, "", "");
  EXPECT(with_busy_workers, "done\n", "");
  EXPECT(from_inside, "", "");
  EXPECT(inside_while_others_wait, "", "");
  EXPECT(after_the_shutdown, "", "");
  EXPECT(guests, "from the child\nfrom the child\nfrom the child\n", "");
  return 0;
}
