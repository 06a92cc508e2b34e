/* An interpreter in a process of its own: the same functions do the same. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#include "guest.h"

static subpy_error *error;

static subpy_interp create_with_limit(int64_t timeout_ms, uint64_t grace_ms) {
  subpy_interp_options options = {
      .size = sizeof options, .flags = SUBPY_INTERP_PROCESS, .timeout_ms = timeout_ms, .grace_ms = grace_ms};
  subpy_interp interp = 0;
  OK(subpy_create(&options, &interp, &error));
  return interp;
}

static subpy_interp create_process(void) { return create_with_limit(0, 0); }

static void is_another_process(void) {
  subpy_interp interp = create_process();
  run(interp, "import os");
  CHECK(number(interp, "os.getpid()") != getpid());
  CHECK(number(interp, "__import__('_interpreters').get_current()[0]") == 0);
  int64_t id = 0;
  OK(subpy_id(interp, &id, &error));
  CHECK(id >= INT64_C(1) << 31);
  subpy_interp found = 0, all[8];
  OK(subpy_find(id, &found, &error));
  CHECK(found == interp);
  size_t count = 0;
  OK(subpy_list_all(all, 8, &count, &error));
  CHECK(count == 2 && all[1] == interp);
  const char *whence = NULL;
  OK(subpy_whence(interp, &whence, &error));
  CHECK(strcmp(whence, "process") == 0);
  bool running = true;
  OK(subpy_is_running(interp, &running, &error));
  CHECK(!running);
  OK(subpy_close(interp, &error));
  CHECK(subpy_find(id, &found, &error) == SUBPY_ERROR_NOT_FOUND);
  subpy_error_free(error);
  error = NULL;
}

static void calls(void) {
  subpy_interp interp = create_process();
  run(interp, "def add(a, b=1): return a + b\ndef fail(x): raise ValueError(x)\nx = 5");
  CHECK(number(interp, "x + add(3)") == 9);
  subpy_value args[] = {subpy_int(20), subpy_int(22)}, result = {0};
  OK(subpy_call(interp, "add", SUBPY_AUTO_LEN, args, 2, NULL, &result, &error));
  CHECK(result.kind == SUBPY_KIND_INT && result.u.as_int == 42);
  subpy_function function = 0;
  OK(subpy_function_new(interp, "add", SUBPY_AUTO_LEN, &function, &error));
  for (int i = 0; i < 1000; i++) {
    args[0] = subpy_int(i);
    OK(subpy_function_call(function, args, 2, NULL, &result, &error));
    CHECK(result.u.as_int == i + 22);
  }
  subpy_function_free(function);
  args[0] = subpy_str("caf\xc3\xa9", SUBPY_AUTO_LEN);
  CHECK(subpy_call(interp, "fail", SUBPY_AUTO_LEN, args, 1, NULL, NULL, &error) == SUBPY_ERROR_EXECUTION_FAILED);
  CHECK_ERROR(subpy_error_type_name, error, "ValueError");
  CHECK_ERROR(subpy_error_exception_message, error, "caf\xc3\xa9");
  CHECK(strstr(subpy_error_display(error, NULL), "Traceback (most recent call last)"));
  CHECK(subpy_error_frame_count(error) == 1);
  subpy_error_free(error);
  error = NULL;
  OK(subpy_close(interp, &error));
}

static void ends(void) {
  subpy_interp interp = create_process();
  CHECK(subpy_exec(interp, "import os; os.abort()", SUBPY_AUTO_LEN, &error) == SUBPY_ERROR_CRASHED);
  int32_t signal = 0, code = 0;
  CHECK(subpy_error_crash(error, &signal, &code) && signal == 6);
  CHECK(strstr(subpy_error_display(error, NULL), "Fatal Python error: Aborted"));
  subpy_error_free(error);
  error = NULL;
  CHECK(subpy_exec(interp, "pass", SUBPY_AUTO_LEN, &error) == SUBPY_ERROR_NOT_FOUND);
  subpy_error_free(error);
  error = NULL;
  interp = create_process();
  CHECK(subpy_exec(interp, "import os; os._exit(7)", SUBPY_AUTO_LEN, &error) == SUBPY_ERROR_CRASHED);
  CHECK(subpy_error_crash(error, &signal, &code) && signal == 0 && code == 7);
  subpy_error_free(error);
  error = NULL;
}

static void limits(void) {
  subpy_interp interp = create_with_limit(50, 20000);
  CHECK(subpy_exec(interp, "while True: pass", SUBPY_AUTO_LEN, &error) == SUBPY_ERROR_TIMEOUT);
  /* On a busy machine the time may be over before anything has begun; limits.c has where the code was. */
  CHECK(strstr(subpy_error_message(error, NULL), "timed out after 50 ms"));
  subpy_error_free(error);
  error = NULL;
  CHECK(number(interp, "1 + 1") == 2);
  OK(subpy_close(interp, &error));
  interp = create_with_limit(1000, 0);
  CHECK(subpy_exec(interp, "import ctypes\nctypes.CDLL(None).sleep(1000)", SUBPY_AUTO_LEN, &error) == SUBPY_ERROR_TIMEOUT);
  CHECK(strstr(subpy_error_message(error, NULL), "its process was killed"));
  subpy_error_free(error);
  error = NULL;
  CHECK(subpy_exec(interp, "pass", SUBPY_AUTO_LEN, &error) == SUBPY_ERROR_NOT_FOUND);
  subpy_error_free(error);
  error = NULL;
}

/* What is imported once is there in all of them. */
static void preloads(void) {
  const char *const modules[] = {"decimal", "xml.dom.minidom", NULL}, *const nothing[] = {"nothing.of_the_kind", NULL};
  subpy_runtime_options options = {.size = sizeof options, .preload = modules};
  OK(subpy_init(&options, &error));
  for (int i = 0; i < 2; i++) {
    subpy_interp interp = create_process();
    run(interp, "import sys");
    CHECK(number(interp, "'decimal' in sys.modules and 'xml.dom.minidom' in sys.modules"));
    OK(subpy_close(interp, &error));
  }
  shut_down();
  options.preload = nothing;
  OK(subpy_init(&options, &error));
  subpy_interp_options in_process = {.size = sizeof in_process, .flags = SUBPY_INTERP_PROCESS};
  subpy_interp interp = 0;
  CHECK(subpy_create(&in_process, &interp, &error) == SUBPY_ERROR_INTERPRETER && interp == 0);
  CHECK(strstr(subpy_error_message(error, NULL), "the module \"nothing.of_the_kind\" was not preloaded: ModuleNotFoundError"));
  subpy_error_free(error);
  error = NULL;
  shut_down();
  char folder[] = "/tmp/subpy-process-XXXXXX", file[100], text[200];
  CHECK(mkdtemp(folder));
  snprintf(file, sizeof file, "%s/sleeps.py", folder);
  FILE *module = fopen(file, "w");
  CHECK(module && fputs("import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n", module) >= 0);
  CHECK(fclose(module) == 0 && setenv("PYTHONPATH", folder, 1) == 0);
  snprintf(text, sizeof text, "...the module \"sleeps\" cannot be preloaded: it starts threads");
  const char *const sleeps[] = {"sleeps", NULL};
  options.preload = sleeps;
  options.flags = SUBPY_RUNTIME_USE_ENVIRONMENT;
  OK(subpy_init(&options, &error));
  FAILS(SUBPY_ERROR_INTERPRETER, text, subpy_create(&in_process, &interp, &error));
  shut_down();
  CHECK(unsetenv("PYTHONPATH") == 0);
  snprintf(text, sizeof text, "rm -r %s", folder);
  CHECK(system(text) == 0);
}

static void *go_on_later(void *pid) {
  usleep(60000);
  CHECK(kill((pid_t)(intptr_t)pid, SIGCONT) == 0);
  return NULL;
}

/* What says that the run is to end may be there before the run is. */
static void stopped_before_it_comes(void) {
  subpy_interp interp = create_with_limit(0, 60000);
  const pid_t pid = (pid_t)number(interp, "__import__('os').getpid()");
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_EXEC, .interp = interp, .timeout_ms = 20};
  request.text = "while True: pass";
  request.text_len = SUBPY_AUTO_LEN;
  for (int i = 0; i < 10; i++) {
    pthread_t thread;
    CHECK(kill(pid, SIGSTOP) == 0);
    CHECK(pthread_create(&thread, NULL, go_on_later, (void *)(intptr_t)pid) == 0);
    CHECK(subpy_run(&request, NULL, &error) == SUBPY_ERROR_TIMEOUT);
    CHECK(strncmp(subpy_error_message(error, NULL), "timed out after 20 ms", 21) == 0);
    subpy_error_free(error);
    error = NULL;
    CHECK(pthread_join(thread, NULL) == 0);
  }
  OK(subpy_close(interp, &error));
}

static void *closes(void *interp) {
  subpy_close_options options = {.size = sizeof options, .timeout_ms = 60000, .flags = SUBPY_CLOSE_DRAIN};
  subpy_status status = subpy_close_with((subpy_interp)(uintptr_t)interp, &options, NULL);
  CHECK(status == SUBPY_OK || status == SUBPY_ERROR_NOT_FOUND); /* the run was given up before it came */
  return NULL;
}

static void *comes(void *interp) {
  CHECK(subpy_exec((subpy_interp)(uintptr_t)interp, "pass", SUBPY_AUTO_LEN, NULL) == SUBPY_ERROR_NOT_FOUND);
  return NULL;
}

/* Whoever comes while its process is asked whether it can end waits for the answer: as long as he may, and as long as
 * there is a process. */
static void closes_and_does_not_answer(void) {
  for (int32_t busy = SUBPY_BUSY_REFUSE; busy <= SUBPY_BUSY_SHARE; busy++) {
    subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_PROCESS, .busy = busy};
    subpy_interp interp = 0;
    OK(subpy_create(&options, &interp, &error));
    const pid_t pid = (pid_t)number(interp, "__import__('os').getpid()");
    pthread_t threads[2];
    CHECK(kill(pid, SIGSTOP) == 0);
    CHECK(pthread_create(&threads[0], NULL, closes, (void *)(uintptr_t)interp) == 0);
    subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_EXEC, .interp = interp, .text = "pass",
                                 .text_len = SUBPY_AUTO_LEN, .timeout_ms = 20};
    subpy_status status;
    do { /* until the close has begun */
      usleep(20000);
      status = subpy_run(&request, NULL, NULL);
    } while (status == SUBPY_ERROR_BUSY);
    /* or it came before the close, which then found the process killed for it */
    CHECK(status == SUBPY_ERROR_TIMEOUT || status == SUBPY_ERROR_NOT_FOUND);
    CHECK(pthread_create(&threads[1], NULL, comes, (void *)(uintptr_t)interp) == 0);
    usleep(50000);
    CHECK(kill(pid, SIGKILL) == 0 || errno == ESRCH); /* the run came before the close after all, and was given up */
    for (int i = 0; i < 2; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  }
}

static subpy_status closes_soon(subpy_interp interp) {
  const subpy_close_options soon = {.size = sizeof soon, .timeout_ms = 10, .flags = SUBPY_CLOSE_DRAIN};
  return subpy_close_with(interp, &soon, &error);
}

static void *closes_it(void *interp) {
  const subpy_close_options options = {.size = sizeof options, .timeout_ms = -1, .flags = SUBPY_CLOSE_DRAIN};
  CHECK(subpy_close_with(*(subpy_interp *)interp, &options, NULL) == SUBPY_OK);
  return NULL;
}

/* Another thread waits for the answer without a limit; this one has its own. */
static void answers_another(void) {
  subpy_interp interp = create_process();
  const pid_t pid = (pid_t)number(interp, "__import__('os').getpid()");
  CHECK(kill(pid, SIGSTOP) == 0);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, closes_it, &interp) == 0);
  usleep(200000);
  for (int i = 0; i < 2; i++) {
    CHECK(closes_soon(interp) == SUBPY_ERROR_BUSY);
    CHECK(strcmp(subpy_error_message(error, NULL), "interpreter is closing") == 0);
    subpy_error_free(error);
    error = NULL;
  }
  CHECK(kill(pid, SIGCONT) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
}

/* A process that is stopped does not say whether it can end. Each close waits on, until it does, and goes by what it says. */
static void answers_after_the_time(void) {
  for (int in_the_way = 0; in_the_way < 2; in_the_way++) {
    subpy_interp interp = create_process();
    const pid_t pid = (pid_t)number(interp, "__import__('os').getpid()");
    if (in_the_way) run(interp, "import threading\nend = threading.Event()\nthreading.Thread(target=end.wait).start()");
    CHECK(kill(pid, SIGSTOP) == 0);
    for (int i = 0; i < 2; i++) FAILS(SUBPY_ERROR_TIMEOUT, "...closing it again waits on", closes_soon(interp));
    CHECK(kill(pid, SIGCONT) == 0);
    subpy_status status;
    while ((status = closes_soon(interp)) == SUBPY_ERROR_TIMEOUT) subpy_error_free(error);
    if (in_the_way) {
      CHECK(status == SUBPY_ERROR_BUSY && strstr(subpy_error_message(error, NULL), "not closed within 10 ms: "));
      run(interp, "end.set()");
      OK(subpy_close(interp, NULL));
    } else {
      CHECK(status == SUBPY_OK || status == SUBPY_ERROR_NOT_FOUND);
    }
    subpy_error_free(error);
    error = NULL;
  }
}

/* There is no memory left for a thread that ends it. */
static void ends_without_memory(void) {
  for (int within = 0; within < 2; within++) {
    subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_PROCESS, .memory_limit = 64 << 20};
    subpy_interp interp = 0;
    OK(subpy_create(&options, &interp, &error));
    for (int i = 0; i < 3; i++) {
      subpy_error *hog = exec_error(interp, SUBPY_ERROR_EXECUTION_FAILED,
                                    "hog = globals().get('hog', [])\n"
                                    "for size in (1 << 20, 1 << 16, 1 << 12):\n"
                                    "  try:\n"
                                    "    while True: hog.append(b'x' * size)\n"
                                    "  except MemoryError: pass\n"
                                    "raise MemoryError");
      subpy_error_free(hog);
    }
    if (within) {
      subpy_close_options close = {.size = sizeof close, .timeout_ms = 10000, .flags = SUBPY_CLOSE_INTERRUPT};
      OK(subpy_close_with(interp, &close, &error));
    } else {
      OK(subpy_close(interp, &error));
    }
    CHECK(subpy_exec(interp, "pass", SUBPY_AUTO_LEN, NULL) == SUBPY_ERROR_NOT_FOUND);
  }
}

/* A close that is refused has not closed, however late the process says that it could end. The run ends when the time is
 * about to be over. */
static void refuses_for_good(void) {
  for (int i = 0; i < 60; i++) {
    subpy_interp interp = create_process();
    run(interp, "import time");
    subpy_thread thread = 0;
    subpy_value seconds = subpy_float(0.02);
    OK(subpy_call_in_thread(interp, "time:sleep", SUBPY_AUTO_LEN, &seconds, 1, NULL, &thread, &error));
    bool has_begun = false, has_ended = false;
    while (!has_begun && !has_ended) {
      OK(subpy_is_running(interp, &has_begun, &error));
      OK(subpy_thread_wait(thread, 0, &has_ended, &error));
    }
    const subpy_close_options soon = {.size = sizeof soon, .timeout_ms = 18 + i % 8, .flags = SUBPY_CLOSE_DRAIN};
    subpy_status status = subpy_close_with(interp, &soon, &error);
    CHECK(status == SUBPY_OK || status == SUBPY_ERROR_BUSY || status == SUBPY_ERROR_TIMEOUT);
    subpy_error_free(error);
    error = NULL;
    bool refused = status == SUBPY_ERROR_BUSY;
    OK(subpy_thread_join(thread, NULL, &error));
    if (!refused) continue;
    usleep(50000);
    run(interp, "1");
    OK(subpy_close(interp, &error));
  }
}

/* One that crashes while all are drained is in nobody's way. */
static void crashes_while_all_is_shut_down(void) {
  subpy_interp interp = create_process();
  signal_pipe begun = signal_new();
  char code[300];
  snprintf(code, sizeof code,
           "import os, time\n"
           "def crash():\n"
           "  there = os.open('/proc/%d/fd/%d', os.O_WRONLY)\n"
           "  os.write(there, b'.'), time.sleep(0.3), os._exit(3)",
           (int)getpid(), begun.out);
  run(interp, code);
  subpy_thread thread = 0;
  OK(subpy_call_in_thread(interp, "crash", SUBPY_AUTO_LEN, NULL, 0, NULL, &thread, &error));
  signal_wait(begun);
  const subpy_close_options options = {.size = sizeof options, .timeout_ms = 60000, .flags = SUBPY_CLOSE_DRAIN};
  OK(subpy_shutdown_with(&options, &error));
}

int main(void) {
  preloads();
  is_another_process();
  calls();
  limits();
  stopped_before_it_comes();
  ends();
  closes_and_does_not_answer();
  answers_after_the_time();
  answers_another();
  ends_without_memory();
  refuses_for_good();
  crashes_while_all_is_shut_down();
  return 0;
}
