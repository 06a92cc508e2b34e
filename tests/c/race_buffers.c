/* Buffers while interpreters come and go: calls with host memory, results that share Python's, frees on other threads and in
   forks, closes, guests that destroy interpreters, shutdowns. Each release comes once, and no memory goes too early. */
#include <sys/wait.h>

#include "closing.h"
#include "race.h"
#include "values.h"

enum { PLACES = 4, LEN = 20000 };

static _Atomic subpy_interp interps[PLACES];
static counter passed, released, refused, results, closed, destroyed, forks, shutdowns;
static _Atomic(subpy_value *) handed;

static const char *const code =
    "import array\nkept = []\n"
    "def take(b):\n  kept.append(b[1:])\n  if len(kept) > 20: kept.clear()\n  return b\n"
    "def make(): return [bytes(20000), bytearray(20000), array.array('d', [0.0]) * 2500]\n";

static void release(void *userdata) {
  (void)userdata;
  released++;
}

static subpy_interp any(unsigned *seed) { return interps[rand_r(seed) % PLACES]; }

static void *passes(void *number) {
  unsigned seed = (unsigned)(intptr_t)number;
  static unsigned char memory[LEN];
  while (!race_over) {
    subpy_error *error = NULL;
    subpy_value result = {0};
    subpy_buffer buffer = {.size = sizeof buffer, .data = memory, .len = sizeof memory, .release = release};
    bool lent = rand_r(&seed) % 4 == 0;
    if (lent) buffer.flags = SUBPY_BUFFER_LENT;
    subpy_value value = subpy_value_from_buffer(&buffer);
    subpy_run_request request = {.size = sizeof request, .interp = any(&seed), .what = SUBPY_RUN_CALL, .flags = rand_r(&seed) % 2 ? SUBPY_RESULT_BUFFER : 0,
                                 .text = "take", .text_len = 4, .args = &value, .nargs = 1};
    passed++;
    subpy_status status;
    if (rand_r(&seed) % 8 == 0) {
      subpy_thread thread = 0;
      status = subpy_run_in_thread(&request, &thread, &error);
      if (status == SUBPY_OK) status = subpy_thread_join(thread, &result, &error);
    } else {
      status = subpy_run(&request, &result, &error);
    }
    if (status != SUBPY_OK) refused++;
    if (status == SUBPY_ERROR_NOT_FOUND || status == SUBPY_ERROR_WRONG_STATE) usleep(1000); /* a new one is on its way */
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_INTERRUPTED, SUBPY_ERROR_WRONG_STATE);
    subpy_value_free(&result);
  }
  return NULL;
}

static bool is_zero(const subpy_value *value) {
  const subpy_buffer *buffer = value->u.as_buffer;
  const char *data = buffer->data;
  return value->kind == SUBPY_KIND_BUFFER && buffer->len == LEN && data[0] == 0 && data[LEN / 2] == 0 && data[LEN - 1] == 0;
}

/* What another thread has handed over is read and freed here, whatever has become of its interpreter. */
static void *shares(void *number) {
  unsigned seed = (unsigned)(intptr_t)number;
  while (!race_over) {
    subpy_error *error = NULL;
    subpy_value *result = calloc(1, sizeof *result);
    subpy_run_request request = {.size = sizeof request, .interp = any(&seed), .what = SUBPY_RUN_CALL, .flags = SUBPY_RESULT_BUFFER, .text = "make", .text_len = 4};
    subpy_status status = subpy_run(&request, result, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_INTERRUPTED, SUBPY_ERROR_WRONG_STATE);
    if (status == SUBPY_OK) results++;
    subpy_value *before = atomic_exchange(&handed, result);
    if (before && before->kind == SUBPY_KIND_LIST) {
      for (int i = 0; i < 3; i++) CHECK(is_zero(&before->u.as_items[i]));
    }
    if (before) subpy_value_free(before);
    free(before);
  }
  return NULL;
}

/* A new one takes the place of what has ended, unless another thread was faster. */
static void renew(int place, subpy_interp old) {
  subpy_interp interp = 0;
  subpy_error *error = NULL;
  subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_SHARE};
  subpy_status status = subpy_create(&options, &interp, &error);
  EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_WRONG_STATE);
  if (status != SUBPY_OK) return;
  status = subpy_exec(interp, code, SUBPY_AUTO_LEN, &error);
  EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_INTERRUPTED);
  if (status != SUBPY_OK || !atomic_compare_exchange_strong(&interps[place], &old, interp)) subpy_close(interp, NULL);
}

static void *closes(void *number) {
  unsigned seed = (unsigned)(intptr_t)number;
  while (!race_over) {
    subpy_error *error = NULL;
    int place = rand_r(&seed) % PLACES;
    subpy_interp old = interps[place];
    subpy_status status = subpy_close(old, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_WRONG_STATE);
    closed += status == SUBPY_OK;
    if (status != SUBPY_ERROR_BUSY) renew(place, old);
    usleep(20000);
  }
  return NULL;
}

static void *destroys(void *number) {
  unsigned seed = (unsigned)(intptr_t)number;
  while (!race_over) {
    subpy_interp guest = 0;
    if (subpy_create(NULL, &guest, NULL) != SUBPY_OK) continue;
    for (int i = 0; i < 10 && !race_over; i++) {
      int place = rand_r(&seed) % PLACES;
      subpy_interp old = interps[place];
      int64_t id = 0;
      char destroy[80];
      if (subpy_id(old, &id, NULL) == SUBPY_OK) {
        snprintf(destroy, sizeof destroy, "import _interpreters\n_interpreters.destroy(%" PRId64 ")", id);
        if (subpy_exec(guest, destroy, SUBPY_AUTO_LEN, NULL) == SUBPY_OK) {
          destroyed++;
          renew(place, old);
        }
      }
      usleep(10000);
    }
    subpy_close(guest, NULL);
  }
  return NULL;
}

/* In a child a result can be freed, but nothing else is told of that. What was handed over is nobody's just now. */
static void *rests(void *number) {
  unsigned seed = (unsigned)(intptr_t)number;
  while (!race_over) {
    usleep(50000 + rand_r(&seed) % 100000);
    if (rand_r(&seed) % 2 && shut_down_in(10000, SUBPY_CLOSE_INTERRUPT, NULL) == SUBPY_OK) shutdowns++;
    for (int place = 0; place < PLACES; place++) renew(place, interps[place]);
    subpy_value *mine = atomic_exchange(&handed, NULL);
    pid_t child = fork_beside_others();
    if (child == 0) {
      if (mine) subpy_value_free(mine);
      _exit(0);
    }
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    forks++;
    if (mine) subpy_value_free(mine);
    free(mine);
  }
  return NULL;
}

static bool saw_all(void) { return results > 0 && closed > 0 && destroyed > 0 && forks > 0 && shutdowns > 0; }

int main(void) {
  for (int i = 0; i < PLACES; i++) renew(i, 0);
  void *(*const functions[])(void *) = {passes, passes, shares, shares, closes, destroys, rests};
  race_saw_all = saw_all;
  race(3, functions, 7);
  subpy_value *last = handed;
  shut_down_at_last();
  if (last && last->kind == SUBPY_KIND_LIST) {
    for (int i = 0; i < 3; i++) CHECK(is_zero(&last->u.as_items[i]));
  }
  if (last) subpy_value_free(last);
  free(last);
  printf("%ld buffers passed, %ld calls refused, %ld results, %ld interpreters closed, %ld destroyed, %ld forks, %ld shutdowns\n",
         passed, refused, results, closed, destroyed, forks, shutdowns);
  CHECK(passed == released && passed > refused && saw_all());
  return 0;
}
