/* What is awaited beside everything that can stop it, at any moment: limits, tokens, interrupts, closes. Nothing waits for
 * ever, and the next run works. */
#include "race.h"

enum { PLACES = 2, RUNNERS = 3 };

static _Atomic subpy_interp places[PLACES];
static _Atomic subpy_cancel token;
static counter runs, stopped, late, refused, closes;

static const char *const SETUP =
    "import asyncio, time, subpy_queues\n"
    "async def step(x):\n  await asyncio.sleep(0)\n  return x\n"
    "async def many():\n  while True: await asyncio.gather(*[step(i) for i in range(20)])\n"
    "async def holds():\n"
    "  lock = asyncio.Lock()\n"
    "  async def take():\n"
    "    while True:\n"
    "      async with lock: await asyncio.sleep(0)\n"
    "  async with asyncio.TaskGroup() as group:\n"
    "    for _ in range(5): group.create_task(take())\n"
    "async def cleans_up():\n"
    "  try:\n    await asyncio.sleep(3600)\n"
    "  finally:\n    await asyncio.gather(*[step(i) for i in range(5)])\n"
    "async def swallows(times):\n"
    "  while times:\n"
    "    try: await asyncio.sleep(3600)\n"
    "    except BaseException: times -= 1\n"
    "async def hangs():\n  await step(1)\n  while True: pass\n"
    "async def waits():\n  await subpy_queues.create().get_async()\n"
    "async def blocks():\n  await step(1)\n  subpy_queues.create().get()\n"
    "async def threads():\n  while True: await asyncio.to_thread(time.sleep, 0.0005)\n"
    "async def leaves():\n"
    "  tasks = [asyncio.create_task(cleans_up()) for _ in range(5)]\n"
    "  async def items():\n"
    "    try:\n      while True: yield await step(1)\n"
    "    finally: await step(2)\n"
    "  async for _ in items(): break\n"
    "  await asyncio.sleep(0.003)\n"
    "def callbacks(loop): loop.call_soon(callbacks, loop)\n"
    "async def calls():\n"
    "  for _ in range(10): callbacks(asyncio.get_running_loop())\n"
    "  await asyncio.sleep(3600)\n"
    "async def times_out():\n"
    "  while True:\n"
    "    try: await asyncio.wait_for(asyncio.sleep(1), 0.0003)\n"
    "    except TimeoutError: pass\n";

static unsigned next(unsigned *random) {
  *random = *random * 1103515245 + 12345;
  return *random >> 16;
}

static subpy_interp make(unsigned random) {
  subpy_interp_options options = {.size = sizeof options, .busy = random % 2 ? SUBPY_BUSY_WAIT : SUBPY_BUSY_SHARE};
  subpy_interp made = 0;
  subpy_error *error = NULL;
  OK(subpy_create(&options, &made, &error));
  run(made, SETUP);
  return made;
}

static subpy_status run_one(subpy_interp interp, unsigned random, subpy_error **error) {
  static const char *const codes[] = {"many()", "holds()", "cleans_up()", "swallows(1)", "hangs()", "waits()", "blocks()",
                                      "threads()", "leaves()", "calls()", "times_out()", "swallows(3)"};
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EVAL, .flags = SUBPY_RUN_ASYNC,
                               .text = codes[random % 12], .text_len = SUBPY_AUTO_LEN, .cancel = token,
                               .timeout_ms = 1 + random / 12 % 12};
  return subpy_run(&request, NULL, error);
}

static void *awaits(void *number) {
  unsigned random = 3u + (unsigned)(uintptr_t)number;
  while (!race_over) {
    subpy_interp interp = places[next(&random) % PLACES];
    bool session = next(&random) % 3 == 0 && subpy_enter(interp, NULL) == SUBPY_OK;
    for (int i = 0; i < 4; i++) {
      subpy_error *error = NULL;
      subpy_status status = run_one(interp, next(&random), &error);
      runs++;
      stopped += status == SUBPY_ERROR_INTERRUPTED;
      late += status == SUBPY_ERROR_TIMEOUT;
      refused += status == SUBPY_ERROR_BUSY || status == SUBPY_ERROR_NOT_FOUND;
      EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_TIMEOUT, SUBPY_ERROR_INTERRUPTED, SUBPY_ERROR_BUSY, SUBPY_ERROR_NOT_FOUND);
      subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EVAL, .flags = SUBPY_RUN_ASYNC,
                                   .text = "step(7)", .text_len = SUBPY_AUTO_LEN};
      subpy_value value = subpy_none();
      status = subpy_run(&request, &value, &error);
      CHECK(status != SUBPY_OK || value.u.as_int == 7);
      EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_INTERRUPTED, SUBPY_ERROR_BUSY, SUBPY_ERROR_NOT_FOUND);
    }
    if (session) {
      subpy_error *error = NULL;
      OK(subpy_leave(interp, &error));
    }
  }
  return NULL;
}

static void *stops(void *unused) {
  (void)unused;
  unsigned random = 5;
  while (!race_over) {
    subpy_cancel fired = token, made = 0;
    subpy_error *error = NULL;
    OK(subpy_cancel_new(&made, &error));
    token = made;
    struct timespec pause = {0, 1000000 + next(&random) % 64 * 100000};
    nanosleep(&pause, NULL);
    subpy_cancel_fire(fired);
    if (next(&random) % 4 == 0) subpy_interrupt(places[next(&random) % PLACES], NULL);
    subpy_cancel_free(fired);
  }
  return NULL;
}

static void *closes_some(void *unused) {
  (void)unused;
  unsigned random = 7;
  while (!race_over) {
    struct timespec pause = {0, 150000000};
    nanosleep(&pause, NULL);
    unsigned place = next(&random) % PLACES;
    subpy_interp before = places[place];
    places[place] = make(next(&random));
    subpy_close_options options = {.size = sizeof options, .timeout_ms = 20000, .flags = SUBPY_CLOSE_INTERRUPT};
    subpy_error *error = NULL;
    subpy_status status = subpy_close_with(before, &options, &error);
    closes += status == SUBPY_OK;
    /* A thread that has entered it may not have left. */
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY);
  }
  return NULL;
}

static bool saw_all(void) {
  return late > 0 && stopped > 0;
}

int main(void) {
  const char *seconds = getenv("SUBPY_TEST_SECONDS");
  int length = seconds ? atoi(seconds) : 4;
  /* What waits for ever ends it. */
  alarm((unsigned)length + 60);
  subpy_error *error = NULL;
  OK(subpy_cancel_new((subpy_cancel *)&token, &error));
  for (unsigned i = 0; i < PLACES; i++) places[i] = make(i);
  void *(*const threads[])(void *) = {awaits, awaits, awaits, stops, closes_some};
  race_saw_all = saw_all;
  race(length, threads, RUNNERS + 2);
  subpy_close_options options = {.size = sizeof options, .timeout_ms = 20000, .flags = SUBPY_CLOSE_INTERRUPT};
  OK(subpy_shutdown_with(&options, &error));
  printf("%ld runs, %ld timed out, %ld interrupted, %ld refused, %ld closes\n", (long)runs, (long)late, (long)stopped, (long)refused,
         (long)closes);
  CHECK(saw_all());
  return 0;
}
