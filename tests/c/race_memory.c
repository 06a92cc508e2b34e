/* Limits of memory beside all that they can meet: questions, interrupts, closes within a time, new interpreters with and
 * without, threads of Python's, shutdowns, forks. What is booked stays right, and nothing is left. */
#include <sys/wait.h>

#include "closing.h"
#include "memory.h"
#include "race.h"

enum { SLOTS = 3 };
static _Atomic(subpy_interp) slots[SLOTS];
static counter creations, closes, questions, refused, interrupted, shutdowns, forks;

static unsigned next(unsigned *seed) { return (*seed = *seed * 1103515245 + 12345) >> 16; }

static void close_it(subpy_interp interp) {
  subpy_error *error = NULL;
  subpy_status status = SUBPY_ERROR_BUSY;
  while (interp && status == SUBPY_ERROR_BUSY) {
    status = close_in(interp, 10000, SUBPY_CLOSE_INTERRUPT, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY, SUBPY_ERROR_WRONG_STATE);
    closes += status == SUBPY_OK;
  }
}

static void *creates(void *number) {
  unsigned seed = (unsigned)(intptr_t)number;
  subpy_error *error = NULL;
  while (!race_over) {
    subpy_interp interp = 0;
    subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_SHARE};
    if (next(&seed) % 4) options.memory_limit = (8 + next(&seed) % 16) * MIB;
    subpy_status status = subpy_create(&options, &interp, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_WRONG_STATE);
    creations += status == SUBPY_OK;
    close_it(atomic_exchange(&slots[next(&seed) % SLOTS], interp));
  }
  return NULL;
}

static void *takes(void *number) {
  static const char *const codes[] = {
      "kept = []\nfor i in range(300000): kept.append([i])\nkept.clear()",
      "kept = bytearray(50 << 20)",
      "kept = None\nfor i in range(500000): kept = (kept,)",
      "try:\n  kept = [bytes(1000) for _ in range(50000)]\nexcept MemoryError: kept = None",
      "import threading\nt = threading.Thread(target=bytearray, args=(10000,))\nt.start()\nt.join()",
      "kept = None",
  };
  unsigned seed = (unsigned)(intptr_t)number;
  subpy_error *error = NULL;
  while (!race_over) {
    subpy_interp interp = slots[next(&seed) % SLOTS];
    if (!interp) continue;
    subpy_status status = subpy_exec(interp, codes[next(&seed) % 6], SUBPY_AUTO_LEN, &error);
    refused += status == SUBPY_ERROR_EXECUTION_FAILED;
    interrupted += status == SUBPY_ERROR_INTERRUPTED;
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_EXECUTION_FAILED, SUBPY_ERROR_INTERRUPTED, SUBPY_ERROR_BUSY,
                  SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_NO_MEMORY, SUBPY_ERROR_SYNTAX, SUBPY_ERROR_WRONG_STATE);
  }
  return NULL;
}

static void *asks(void *number) {
  unsigned seed = (unsigned)(intptr_t)number;
  subpy_error *error = NULL;
  while (!race_over) {
    subpy_interp interp = slots[next(&seed) % SLOTS];
    subpy_memory_info info = {.size = sizeof info};
    subpy_status status = subpy_memory(interp, &info, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_WRONG_STATE);
    CHECK(info.used < 300 * MIB && info.peak < 300 * MIB);
    questions += status == SUBPY_OK;
    if (next(&seed) % 200 == 0) {
      status = subpy_interrupt(interp, &error);
      EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_WRONG_STATE);
    }
    usleep(100);
  }
  return NULL;
}

/* The runtime ends with all that is open, and the next one begins to count anew. A child knows nothing. */
static void *rests(void *number) {
  unsigned seed = (unsigned)(intptr_t)number;
  while (!race_over) {
    usleep(50000 + next(&seed) % 200000);
    if (next(&seed) % 2) shutdowns += shut_down_in(10000, SUBPY_CLOSE_INTERRUPT, NULL) == SUBPY_OK;
    pid_t child = fork_beside_others();
    if (child == 0) {
      subpy_memory_info info = {.size = sizeof info};
      subpy_status status = subpy_memory(slots[0], &info, NULL);
      _exit(status != SUBPY_ERROR_FORKED && status != SUBPY_ERROR_NOT_FOUND);
    }
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    forks++;
  }
  return NULL;
}

static bool saw_all(void) { return closes > 0 && questions > 0 && refused > 0 && shutdowns > 0 && forks > 0; }

int main(void) {
  void *(*const all[])(void *) = {creates, takes, takes, asks, rests};
  race_saw_all = saw_all;
  race(3, all, 5);
  for (int i = 0; i < SLOTS; i++) close_it(slots[i]);
  printf("%ld created, %ld closed, %ld questions, %ld refused, %ld interrupted, %ld shutdowns, %ld forks\n", creations, closes,
         questions, refused, interrupted, shutdowns, forks);
  CHECK(saw_all());
  shut_down_at_last();
  return 0;
}
