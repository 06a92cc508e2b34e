/* Buffers while interpreters come and go: calls with host memory, results that share Python's, frees on other threads, closes, a
   guest that ends an interpreter, threads that end. Each release comes once, and no memory goes too early. */
#include "race.h"
#include "values.h"

enum { PLACES = 4, LEN = 20000 };

static _Atomic subpy_interp interps[PLACES];
static counter passed, released, refused, results, closed;
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
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY, SUBPY_ERROR_NOT_FOUND);
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
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY, SUBPY_ERROR_NOT_FOUND);
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

static subpy_interp new_interp(void) {
  subpy_interp interp = 0;
  subpy_error *error = NULL;
  subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_SHARE};
  OK(subpy_create(&options, &interp, &error));
  run(interp, code);
  return interp;
}

static void *closes(void *number) {
  unsigned seed = (unsigned)(intptr_t)number;
  while (!race_over) {
    subpy_error *error = NULL;
    int place = rand_r(&seed) % PLACES;
    subpy_interp old = interps[place];
    subpy_status status = subpy_close(old, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY, SUBPY_ERROR_NOT_FOUND);
    if (status == SUBPY_OK) {
      closed++;
      interps[place] = new_interp();
    }
    usleep(20000);
  }
  return NULL;
}

int main(void) {
  for (int i = 0; i < PLACES; i++) interps[i] = new_interp();
  void *(*const functions[])(void *) = {passes, passes, shares, shares, closes};
  race(3, functions, 5);
  subpy_value *last = handed;
  shut_down();
  if (last && last->kind == SUBPY_KIND_LIST) {
    for (int i = 0; i < 3; i++) CHECK(is_zero(&last->u.as_items[i]));
  }
  if (last) subpy_value_free(last);
  free(last);
  printf("%ld buffers passed, %ld calls refused, %ld results, %ld interpreters closed\n", passed, refused, results, closed);
  CHECK(passed == released && passed > refused && results > 0);
  return 0;
}
