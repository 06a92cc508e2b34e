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
  FAILS(SUBPY_ERROR_TIMEOUT, "...timed out after 50 ms: KeyboardInterrupt, at <script>:2 in hangs", await_for(interp, "hangs()", 50));
  run(interp, "async def ends_well():\n  try: await asyncio.sleep(3600)\n  except asyncio.CancelledError: return 1");
  subpy_run_request request = request_of(interp, SUBPY_RUN_EVAL, "ends_well()", 50);
  subpy_value value = subpy_none();
  OK(subpy_run(&request, &value, &error));
  CHECK(value.u.as_int == 1);
  CHECK(awaited(interp, "twice(4)") == 8);
  OK(subpy_close(interp, &error));
}

int main(void) {
  what_is_awaited();
  exceptions();
  limits();
  OK(subpy_shutdown(&error));
  return 0;
}
