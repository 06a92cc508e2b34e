/*
 * Coroutines: what is awaited, on an event loop that the interpreter keeps from run to run, and the end of one that waits
 * too long.
 *
 *   cc async.c $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   three at a time: 10 20 30
 *   the connection is open: True
 *   SUBPY_ERROR_TIMEOUT: timed out after 50 ms: CancelledError
 *   it said goodbye: True
 */
#include <stdio.h>
#include <string.h>

#include "subpy.h"

static int give_up(subpy_error *error) {
  fprintf(stderr, "%s\n", subpy_error_message(error, NULL));
  subpy_error_free(error);
  return 1;
}

/* The value of an expression; what is awaitable is awaited. */
static subpy_status await_text(subpy_interp interp, const char *expression, int64_t timeout_ms, subpy_value *value,
                               subpy_error **error) {
  subpy_run_request request = {.size = sizeof request,
                               .interp = interp,
                               .what = SUBPY_RUN_EVAL,
                               .flags = SUBPY_RUN_ASYNC,
                               .text = expression,
                               .text_len = SUBPY_AUTO_LEN,
                               .timeout_ms = timeout_ms};
  return subpy_run(&request, value, error);
}

int main(void) {
  subpy_interp interp = 0;
  subpy_value value = {0};
  subpy_error *error = NULL;

  if (subpy_create(NULL, &interp, &error) != SUBPY_OK ||
      subpy_exec(interp,
                 "import asyncio\n"
                 "async def score(x):\n"
                 "    await asyncio.sleep(0.01)\n"
                 "    return x * 10\n"
                 "class Connection:\n"
                 "    state = 'closed'\n"
                 "    async def open(self):\n"
                 "        self.loop, self.state = asyncio.get_running_loop(), 'open'\n"
                 "    async def ask(self):\n"
                 "        try: await asyncio.sleep(3600)\n"
                 "        finally: self.state = 'goodbye'\n"
                 "connection = Connection()\n",
                 SUBPY_AUTO_LEN, &error) != SUBPY_OK)
    return give_up(error);

  if (await_text(interp, "await asyncio.gather(score(1), score(2), score(3))", 0, &value, &error) != SUBPY_OK)
    return give_up(error);
  printf("three at a time:");
  for (size_t i = 0; i < value.len; i++)
    printf(" %d", (int)value.u.as_items[i].u.as_int);
  subpy_value_free(&value);

  /* It is the same loop in the next run, so what belongs to it still works. */
  if (await_text(interp, "connection.open()", 0, NULL, &error) != SUBPY_OK ||
      await_text(interp, "connection.loop is asyncio.get_running_loop() if await score(1) else None", 0, &value, &error) != SUBPY_OK)
    return give_up(error);
  printf("\nthe connection is open: %s\n", value.u.as_bool ? "True" : "False");

  /* The task is cancelled, and ends as cancelled tasks do. */
  subpy_status status = await_text(interp, "connection.ask()", 50, NULL, &error);
  const char *message = subpy_error_message(error, NULL);
  printf("%s: %.*s\n", subpy_status_name(status), (int)strcspn(message, ","), message);
  subpy_error_free(error);
  error = NULL;
  if (await_text(interp, "connection.state == 'goodbye'", 0, &value, &error) != SUBPY_OK)
    return give_up(error);
  printf("it said goodbye: %s\n", value.u.as_bool ? "True" : "False");

  return subpy_close(interp, &error) == SUBPY_OK && subpy_shutdown(&error) == SUBPY_OK ? 0 : give_up(error);
}
