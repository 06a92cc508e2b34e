/* SUBPY_RUN_ASYNC: what is awaited, on which loop, what limits do to it, and the end of loops. */
#include "race.h"

static subpy_error *error;

static subpy_run_request request_of(subpy_interp interp, int32_t what, const char *text, int64_t timeout_ms) {
  return (subpy_run_request){.size = sizeof(subpy_run_request), .interp = interp, .what = what, .flags = SUBPY_RUN_ASYNC,
                             .text = text, .text_len = SUBPY_AUTO_LEN, .timeout_ms = timeout_ms};
}

static int64_t awaited(subpy_interp interp, const char *text) {
  subpy_run_request request = request_of(interp, SUBPY_RUN_EVAL, text, 0);
  subpy_value result = subpy_none();
  OK(subpy_run(&request, &result, &error));
  CHECK(result.kind == SUBPY_KIND_INT);
  return result.u.as_int;
}

static subpy_status await_for(subpy_interp interp, const char *text, int64_t timeout_ms) {
  subpy_run_request request = request_of(interp, SUBPY_RUN_EVAL, text, timeout_ms);
  return subpy_run(&request, NULL, &error);
}

static const char *const FUNCTIONS =
    "import asyncio\n"
    "async def twice(x):\n  await asyncio.sleep(0)\n  return 2 * x\n"
    "async def fail(): raise KeyError('k')\n"
    "async def sleep():\n  await asyncio.sleep(3600)\n"
    "async def loop(): return id(asyncio.get_running_loop())\n"
    "class Later:\n  def __await__(self):\n    yield from asyncio.sleep(0).__await__()\n    return 5\n";

static void what_is_awaited(void) {
  subpy_interp interp = create();
  CHECK(awaited(interp, "7") == 7);
  CHECK(number(interp, "'asyncio' not in __import__('sys').modules"));
  run(interp, FUNCTIONS);
  CHECK(awaited(interp, "twice(4)") == 8);
  CHECK(awaited(interp, "await twice(4) + await twice(5)") == 18);
  CHECK(awaited(interp, "Later()") == 5);
  /* Once: what that gives is no more awaited. */
  run(interp, "async def gives():\n  return twice(3)");
  subpy_run_request request = request_of(interp, SUBPY_RUN_EVAL, "gives()", 0);
  request.flags |= SUBPY_RESULT_OBJECT;
  subpy_value result = subpy_none(), twenty = subpy_int(20);
  OK(subpy_run(&request, &result, &error));
  CHECK(result.kind == SUBPY_KIND_OBJECT);
  subpy_value value = subpy_none();
  OK(subpy_object_value(result.u.as_object, SUBPY_RUN_ASYNC, &value, &error));
  CHECK(value.u.as_int == 6);
  subpy_value_free(&result);
  /* Calls, prepared functions, objects, threads; without a place for the result. */
  request = request_of(interp, SUBPY_RUN_CALL, "twice", 0);
  request.args = &twenty;
  request.nargs = 1;
  OK(subpy_run(&request, &value, &error));
  CHECK(value.u.as_int == 40);
  subpy_thread thread = 0;
  OK(subpy_run_in_thread(&request, &thread, &error));
  OK(subpy_thread_join(thread, &value, &error));
  CHECK(value.u.as_int == 40);
  subpy_function function = 0;
  OK(subpy_function_new(interp, "twice", SUBPY_AUTO_LEN, &function, &error));
  request = request_of(0, SUBPY_RUN_FUNCTION, NULL, 0);
  request.text_len = 0;
  request.function = function;
  request.args = &twenty;
  request.nargs = 1;
  OK(subpy_run(&request, &value, &error));
  CHECK(value.u.as_int == 40);
  OK(subpy_object_call(function, NULL, 0, &twenty, 1, NULL, SUBPY_RUN_ASYNC, &value, &error));
  CHECK(value.u.as_int == 40);
  subpy_function_free(function);
  request = request_of(interp, SUBPY_RUN_EXEC, "y = await twice(6)\nasync def z(): return y", 0);
  OK(subpy_run(&request, &value, &error));
  CHECK(value.kind == SUBPY_KIND_NONE && number(interp, "y") == 12);
  run(interp, "n = 0\nasync def count():\n  global n\n  n += 1\n  return object()");
  OK(await_for(interp, "count()", 0));
  CHECK(number(interp, "n") == 1);
  OK(subpy_close(interp, &error));
}

static void exceptions(void) {
  subpy_interp interp = create();
  run(interp, FUNCTIONS);
  CHECK(await_for(interp, "fail()", 0) == SUBPY_ERROR_EXECUTION_FAILED);
  CHECK_ERROR(subpy_error_type_name, error, "KeyError");
  /* The code's frames, and none of the loop's. */
  CHECK(subpy_error_frame_count(error) == 1);
  subpy_error_free(error);
  error = NULL;
  run(interp, "async def leave(): raise SystemExit(3)\nasync def cancelled(): raise asyncio.CancelledError('c')");
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...SystemExit: 3", await_for(interp, "leave()", 0));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...CancelledError", await_for(interp, "cancelled()", 0));
  run(interp, "async def stop(): asyncio.get_running_loop().stop(); await asyncio.sleep(3600)");
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...RuntimeError: Event loop stopped before Future completed.", await_for(interp, "stop()", 0));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...ValueError: The future belongs to a different loop", await_for(interp, "asyncio.new_event_loop().create_future()", 0));
  CHECK(awaited(interp, "twice(4)") == 8);
  OK(subpy_close(interp, &error));
}

/* Code that a limit finds in the middle of its wait ends through its own finally blocks, and the loop stays. */
static void limits(void) {
  subpy_interp interp = create();
  run(interp, FUNCTIONS);
  int64_t loop = awaited(interp, "loop()");
  CHECK(await_for(interp, "sleep()", 50) == SUBPY_ERROR_TIMEOUT);
  CHECK_ERROR(subpy_error_type_name, error, "CancelledError");
  CHECK(strstr(subpy_error_message(error, NULL), "timed out after 50 ms: ") && subpy_error_frame_count(error) == 2);
  subpy_error_free(error);
  error = NULL;
  CHECK(awaited(interp, "loop()") == loop);
  run(interp, "done = []\nasync def cleans_up():\n  try: await asyncio.sleep(3600)\n  finally:\n    await asyncio.sleep(0.03)\n    done.append(1)");
  FAILS(SUBPY_ERROR_TIMEOUT, "...timed out after 50 ms: CancelledError, at ", await_for(interp, "cleans_up()", 50));
  CHECK(number(interp, "len(done)") == 1);
  run(interp, "async def swallows():\n  while True:\n    try: await asyncio.sleep(3600)\n    except asyncio.CancelledError: pass");
  FAILS(SUBPY_ERROR_TIMEOUT, "...timed out after 50 ms: KeyboardInterrupt, at ", await_for(interp, "swallows()", 50));
  run(interp, "async def hangs():\n  while True: pass");
  FAILS(SUBPY_ERROR_TIMEOUT, "...timed out after 300 ms: KeyboardInterrupt, at <script>:2 in hangs", await_for(interp, "hangs()", 300));
  run(interp, "async def ends_well():\n  try: await asyncio.sleep(3600)\n  except asyncio.CancelledError: return 1");
  subpy_run_request request = request_of(interp, SUBPY_RUN_EVAL, "ends_well()", 50);
  subpy_value value = subpy_none();
  OK(subpy_run(&request, &value, &error));
  CHECK(value.u.as_int == 1);
  CHECK(awaited(interp, "twice(4)") == 8);
  OK(subpy_close(interp, &error));
}

/* Runs one after the other have the same loop, those at the same time have each one, and a session keeps its own. */
static signal_pipe begun, go_on;

static void *waits_on_its_loop(void *interp) {
  subpy_run_request request = request_of(*(subpy_interp *)interp, SUBPY_RUN_EVAL, "wait_here()", 0);
  subpy_value *result = calloc(1, sizeof *result);
  subpy_error *error = NULL;
  OK(subpy_run(&request, result, &error));
  return result;
}

static void loops(void) {
  subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_SHARE};
  subpy_interp interp = 0;
  OK(subpy_create(&options, &interp, &error));
  begun = signal_new();
  go_on = signal_new();
  char code[256];
  snprintf(code, sizeof code, "import os\nasync def wait_here():\n  os.write(%d, b'.')\n  await asyncio.to_thread(os.read, %d, 1)\n  return await loop()",
           begun.out, go_on.in);
  run(interp, FUNCTIONS);
  run(interp, code);
  int64_t first = awaited(interp, "loop()");
  CHECK(awaited(interp, "loop()") == first);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, waits_on_its_loop, &interp) == 0);
  signal_wait(begun);
  int64_t second = awaited(interp, "loop()");
  CHECK(second != first);
  OK(subpy_enter(interp, &error));
  CHECK(awaited(interp, "loop()") == second);
  signal_send(go_on);
  subpy_value *result = NULL;
  CHECK(pthread_join(thread, (void **)&result) == 0);
  CHECK(result->u.as_int == first);
  free(result);
  /* The first one is free again, and this thread has its own. */
  CHECK(awaited(interp, "loop()") == second);
  run(interp, "import contextvars\nvar = contextvars.ContextVar('var', default=1)\nvar.set(2)");
  CHECK(awaited(interp, "await asyncio.sleep(0, 5) + var.get()") == 7);
  OK(subpy_leave(interp, &error));
  CHECK(awaited(interp, "loop()") == second);
  /* What goes on when a run has ended goes on in the next. */
  run(interp, "n = 0\nasync def later():\n  global n\n  for _ in range(3):\n    await asyncio.sleep(0)\n    n += 1\n"
              "async def start():\n  global task\n  task = asyncio.create_task(later())");
  OK(await_for(interp, "start()", 0));
  CHECK(number(interp, "n") < 3);
  OK(await_for(interp, "task", 0));
  CHECK(number(interp, "n") == 3);
  OK(subpy_close(interp, &error));
}

/* A host function in a coroutine: what it runs there may be anything but a second loop on that thread. */
static void calls_back(void *userdata, struct subpy_context *context, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)args, (void)nargs, (void)kwargs;
  subpy_interp interp = *(subpy_interp *)userdata;
  OK(subpy_exec(interp, "x = 1", SUBPY_AUTO_LEN, &error));
  OK(await_for(interp, "7", 0));
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "RuntimeError: an event loop is running on this thread already, so nothing else can be awaited with SUBPY_RUN_ASYNC until it is left: await it there, or run it on another thread (asyncio.to_thread)",
        await_for(interp, "twice(1)", 0));
  subpy_interp other = create();
  run(other, FUNCTIONS);
  CHECK(awaited(other, "twice(4)") == 8);
  OK(subpy_close(other, &error));
  subpy_value three = subpy_int(3);
  OK(subpy_context_return(context, &three));
}

static void nested(void) {
  subpy_interp interp = create();
  run(interp, FUNCTIONS);
  OK(subpy_define(interp, "call_back", SUBPY_AUTO_LEN, 0, calls_back, &interp, NULL, &error));
  run(interp, "import warnings\nwarnings.simplefilter('error')\nasync def calls():\n  await asyncio.sleep(0)\n  return call_back()");
  CHECK(awaited(interp, "calls()") == 3);
  OK(subpy_close(interp, &error));
}

/* The end of an interpreter is the end of its loops, as asyncio.Runner does it, and says nothing. */
static void ends(void) {
  subpy_interp interp = create();
  char code[700];
  signal_pipe ended = signal_new();
  snprintf(code, sizeof code,
           "import asyncio, os\n"
           "async def items():\n  try:\n    yield 1\n    yield 2\n  finally:\n    await asyncio.sleep(0)\n    os.write(%d, b'i')\n"
           "async def background():\n  try: await asyncio.sleep(3600)\n  finally:\n    await asyncio.sleep(0.01)\n    os.write(%d, b't')\n"
           "async def start():\n  global kept, task\n  kept = items()\n  await anext(kept)\n  task = asyncio.create_task(background())\n"
           "  await asyncio.to_thread(len, 'x')\n",
           ended.out, ended.out);
  run(interp, code);
  OK(await_for(interp, "start()", 0));
  OK(subpy_close(interp, &error));
  signal_wait(ended);
  signal_wait(ended);
}

/* What does not end by itself is interrupted when a close is to do that. */
static void ends_interrupted(void) {
  subpy_interp interp = create();
  run(interp, "import asyncio\nasync def stays():\n  while True:\n    try: await asyncio.sleep(3600)\n    except asyncio.CancelledError: pass\n"
              "async def start():\n  global task\n  task = asyncio.create_task(stays())\n  await asyncio.sleep(0)");
  OK(await_for(interp, "start()", 0));
  subpy_close_options options = {.size = sizeof options, .timeout_ms = 60000, .flags = SUBPY_CLOSE_INTERRUPT};
  OK(subpy_close_with(interp, &options, &error));
}

/* A close finds a run that sleeps on its loop. */
static void *sleeps(void *interp) {
  subpy_run_request request = request_of(*(subpy_interp *)interp, SUBPY_RUN_EVAL, "wait_here()", 0);
  subpy_error *error = NULL;
  FAILS(SUBPY_ERROR_INTERRUPTED, "...CancelledError", subpy_run(&request, NULL, &error));
  return NULL;
}

static void closed_meanwhile(void) {
  for (int shut_down = 0; shut_down < 2; shut_down++) {
    subpy_interp interp = create();
    begun = signal_new();
    char code[200];
    snprintf(code, sizeof code, "import asyncio, os\nasync def wait_here():\n  os.write(%d, b'.')\n  await asyncio.sleep(3600)", begun.out);
    run(interp, code);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, sleeps, &interp) == 0);
    signal_wait(begun);
    subpy_close_options options = {.size = sizeof options, .timeout_ms = 60000, .flags = SUBPY_CLOSE_INTERRUPT};
    OK(shut_down ? subpy_shutdown_with(&options, &error) : subpy_close_with(interp, &options, &error));
    CHECK(pthread_join(thread, NULL) == 0);
  }
}

/* The host's own main interpreter keeps loops as well; and pools run such tasks. */
static void elsewhere(void) {
  subpy_interp main = 0;
  OK(subpy_get_main(&main, &error));
  CHECK(awaited(main, "__import__('asyncio').sleep(0, 4)") == 4);
  subpy_pool_options options = {.size = sizeof options, .workers = 2, .setup = FUNCTIONS, .setup_len = SUBPY_AUTO_LEN};
  subpy_pool pool = 0;
  OK(subpy_pool_new(&options, &pool, &error));
  subpy_value value = subpy_none();
  for (int i = 0; i < 4; i++) {
    subpy_run_request request = request_of(0, SUBPY_RUN_EVAL, i % 2 ? "twice(4)" : "sleep()", i % 2 ? 0 : 20);
    subpy_thread task = 0;
    OK(subpy_pool_submit(pool, &request, &task, &error));
    subpy_status status = subpy_thread_join(task, &value, &error);
    CHECK(status == (i % 2 ? SUBPY_OK : SUBPY_ERROR_TIMEOUT) && (i % 2 == 0 || value.u.as_int == 8));
    subpy_error_free(error);
    error = NULL;
  }
  OK(subpy_pool_close(pool, NULL, &error));
}

static void rows(void) {
  subpy_interp interp = create();
  run(interp, FUNCTIONS);
  subpy_function function = 0;
  OK(subpy_function_new(interp, "twice", SUBPY_AUTO_LEN, &function, &error));
  subpy_value rows[] = {subpy_int(1), subpy_str("a", 1), subpy_none()}, results = subpy_none();
  OK(subpy_function_call_many(function, rows, 2, 1, SUBPY_RUN_ASYNC, &results, &error));
  CHECK(results.len == 2 && results.u.as_items[0].u.as_int == 2 && strcmp(results.u.as_items[1].u.as_str, "aa") == 0);
  subpy_value_free(&results);
  OK(subpy_function_call_many(function, rows, 3, 1, SUBPY_RUN_ASYNC | SUBPY_RETURN_ERRORS, &results, &error));
  CHECK(results.len == 3 && results.u.as_items[2].kind == SUBPY_KIND_ERROR);
  subpy_value_free(&results);
  subpy_function_free(function);
  OK(subpy_close(interp, &error));
}

static void *leaves_by_ending(void *interp) {
  subpy_error *error = NULL;
  OK(subpy_enter(*(subpy_interp *)interp, &error));
  subpy_run_request request = request_of(*(subpy_interp *)interp, SUBPY_RUN_EVAL, "loop()", 0);
  subpy_value *result = calloc(1, sizeof *result);
  OK(subpy_run(&request, result, &error));
  return result;
}

/* A thread that ends in its session leaves its loop to others. */
static void threads_that_end(void) {
  subpy_interp interp = create();
  run(interp, FUNCTIONS);
  pthread_t thread;
  subpy_value *result = NULL;
  CHECK(pthread_create(&thread, NULL, leaves_by_ending, &interp) == 0);
  CHECK(pthread_join(thread, (void **)&result) == 0);
  CHECK(awaited(interp, "loop()") == result->u.as_int);
  free(result);
  OK(subpy_close(interp, &error));
}

/* Who is stopped when it waits for an item has not taken it. */
static void queues(void) {
  subpy_interp interp = create();
  run(interp, "import subpy_queues\nqueue = subpy_queues.create()");
  for (int i = 0; i < 20; i++) {
    FAILS(SUBPY_ERROR_TIMEOUT, "...timed out after", await_for(interp, "queue.get_async()", 1 + i % 5));
    run(interp, "queue.put(5)");
    CHECK(awaited(interp, "queue.get_async()") == 5);
  }
  OK(subpy_close(interp, &error));
}

static void memory(void) {
  subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_COUNT_MEMORY, .memory_limit = 100000000};
  subpy_interp interp = 0;
  OK(subpy_create(&options, &interp, &error));
  run(interp, FUNCTIONS);
  /* It is its own code that is hit: the loop can lose a task to an exception that comes at any moment, and waits then. */
  run(interp, "async def eats():\n  await asyncio.sleep(0)\n  kept = []\n  while True: kept.append(bytes(1000))");
  for (int i = 0; i < 2; i++) {
    CHECK(await_for(interp, "eats()", 0) == SUBPY_ERROR_EXECUTION_FAILED);
    CHECK_ERROR(subpy_error_type_name, error, "MemoryError");
    subpy_error_free(error);
    error = NULL;
    CHECK(awaited(interp, "twice(4)") == 8);
  }
  OK(subpy_close(interp, &error));
}

int main(void) {
  what_is_awaited();
  exceptions();
  limits();
  loops();
  nested();
  threads_that_end();
  queues();
  if (!in_processes()) memory(); /* the system's limit collects no garbage */
  rows();
  char *printed = capture(2, ends);
  CHECK(printed[0] == 0);
  free(printed);
  ends_interrupted();
  elsewhere();
  closed_meanwhile();
  OK(subpy_shutdown(&error));
  return 0;
}
