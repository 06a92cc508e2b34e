/* Eight who put and eight who take, half of them in interpreters, while tokens are fired, time limits hit and
 * interpreters die: every number that was acknowledged comes out exactly once, and no other.
 *
 * queue_stress [seconds [seed]] */
#include "race.h"
#include "values.h"

/* process_queue_stress.c has others. */
#ifndef INTERPRETERS
#define INTERPRETERS 0
#endif

enum { SIDE = 8, GUESTS = 4, MOST = 1 << 24 };

static subpy_queue queue;
static _Atomic subpy_interp places[GUESTS];
static _Atomic subpy_cancel tokens[2 * SIDE];
static unsigned char *acknowledged[SIDE];
static atomic_uchar *taken[SIDE];
static long made[SIDE];
static counter put, got, stopped, refused, deaths;
static atomic_int putting;
static unsigned seed = 1;

static unsigned next(unsigned *state) { return (*state = *state * 1103515245u + 12345u) >> 8; }

static subpy_interp make(void) {
  subpy_error *error = NULL;
  subpy_interp interp = 0;
  subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_SHARE, .flags = INTERPRETERS};
  /* It is for those in processes, and none of them is to be killed: what that had taken would be lost. */
  if (INTERPRETERS) options.grace_ms = 30000;
  OK(subpy_create(&options, &interp, &error));
  subpy_pair pair = {TEXT("q"), subpy_value_from_queue(queue)};
  subpy_value names = subpy_dict(&pair, 1);
  OK(subpy_prepare_main(interp, &names, &error));
  return interp;
}

static subpy_cancel token(int worker) {
  subpy_error *error = NULL;
  if (tokens[worker] == 0) {
    subpy_cancel fresh = 0;
    OK(subpy_cancel_new(&fresh, &error));
    tokens[worker] = fresh;
  }
  return tokens[worker];
}

/* A call of q.put or q.get itself: when it has returned there is no code left that could be interrupted. */
static subpy_status call(int worker, const char *method, const subpy_value *argument, int64_t timeout_ms,
                         subpy_value *result) {
  subpy_run_request request = {.size = sizeof request, .interp = places[worker % GUESTS], .what = SUBPY_RUN_CALL,
                               .text = method, .text_len = SUBPY_AUTO_LEN, .args = argument, .nargs = argument ? 1 : 0,
                               .timeout_ms = timeout_ms, .cancel = token(worker)};
  return subpy_run(&request, result, NULL);
}

static void after(int worker, subpy_status status, counter *done) {
  switch (status) {
    case SUBPY_OK:
      (*done)++;
      return;
    case SUBPY_ERROR_INTERRUPTED: {
      /* Interrupted by a close or by the token: a new one, whichever it was. */
      subpy_cancel old = atomic_exchange(&tokens[worker], 0);
      subpy_cancel_free(old);
      stopped++;
      return;
    }
    case SUBPY_ERROR_TIMEOUT:
      stopped++;
      return;
    case SUBPY_ERROR_BUSY:
    case SUBPY_ERROR_NOT_FOUND:
      refused++;
      return;
    default:
      fprintf(stderr, "worker %d: %s\n", worker, subpy_status_name(status));
      exit(1);
  }
}

static void *puts_numbers(void *which) {
  int worker = (int)(intptr_t)which;
  unsigned state = seed * 31 + (unsigned)worker;
  long number = 0;
  for (; !race_over && number < MOST; number++) {
    subpy_value value = subpy_int((int64_t)worker << 32 | number);
    int64_t limit = next(&state) % 64 ? 1000 : 1 + next(&state) % 3;
    subpy_status status = worker < SIDE / 2 ? subpy_queue_put_with(queue, &value, limit, token(worker), NULL)
                                            : call(worker, "__main__:q.put", &value, limit, NULL);
    acknowledged[worker][number] = status == SUBPY_OK;
    after(worker, status, &put);
  }
  made[worker] = number;
  putting--;
  return NULL;
}

static void *takes_numbers(void *which) {
  int worker = (int)(intptr_t)which, side = worker - SIDE;
  unsigned state = seed * 17 + (unsigned)worker;
  size_t left = 0;
  for (;;) {
    bool last = putting == 0;
    subpy_value value = subpy_none();
    int64_t limit = next(&state) % 64 && !last ? 100 : 1 + next(&state) % 3;
    subpy_status status = side < SIDE / 2 ? subpy_queue_get_with(queue, limit, &value, token(worker), NULL)
                                          : call(worker, "__main__:q.get", NULL, limit, &value);
    if (status == SUBPY_OK) {
      CHECK(value.kind == SUBPY_KIND_INT);
      taken[value.u.as_int >> 32][value.u.as_int & (MOST - 1)]++;
    } else {
      CHECK(value.kind == SUBPY_KIND_NONE);
    }
    after(worker, status, &got);
    if (last && subpy_queue_len(queue, &left, NULL) == SUBPY_OK && left == 0) return NULL;
  }
}

static void *fires(void *unused) {
  (void)unused;
  unsigned state = seed * 13;
  while (!race_over) {
    subpy_cancel_fire(tokens[next(&state) % (2 * SIDE)]);
    usleep(next(&state) % 2000);
  }
  return NULL;
}

static void *kills(void *unused) {
  (void)unused;
  unsigned state = seed * 7;
  while (!race_over) {
    int place = (int)(next(&state) % GUESTS);
    subpy_interp old = places[place];
    places[place] = make();
    usleep(next(&state) % 20000);
    subpy_close_options options = {.size = sizeof options, .timeout_ms = -1, .flags = SUBPY_CLOSE_INTERRUPT};
    subpy_error *error = NULL;
    OK(subpy_close_with(old, &options, &error));
    deaths++;
  }
  return NULL;
}

int main(int argc, char **argv) {
  int seconds = argc > 1 ? atoi(argv[1]) : 4;
  if (argc > 2) seed = (unsigned)atoi(argv[2]);
  subpy_error *error = NULL;
  subpy_queue_options options = {.size = sizeof options, .capacity = 20};
  OK(subpy_queue_new(&options, &queue, &error));
  for (int i = 0; i < SIDE; i++) {
    acknowledged[i] = calloc(MOST, 1), taken[i] = calloc(MOST, 1);
    CHECK(acknowledged[i] && taken[i]);
  }
  for (int i = 0; i < GUESTS; i++) places[i] = make();
  putting = SIDE;
  void *(*functions[2 * SIDE])(void *);
  for (int i = 0; i < 2 * SIDE; i++) functions[i] = i < SIDE ? puts_numbers : takes_numbers;
  pthread_t others[2];
  race_over = false;
  CHECK(pthread_create(&others[0], NULL, fires, NULL) == 0 && pthread_create(&others[1], NULL, kills, NULL) == 0);
  race(seconds, functions, 2 * SIDE);
  for (int i = 0; i < 2; i++) CHECK(pthread_join(others[i], NULL) == 0);

  long lost = 0, doubled = 0, invented = 0;
  for (int i = 0; i < SIDE; i++) {
    for (long number = 0; number < made[i]; number++) {
      int times = taken[i][number];
      lost += acknowledged[i][number] && times == 0;
      doubled += times > 1;
      invented += !acknowledged[i][number] && times > 0;
    }
  }
  printf("%ld put, %ld taken, %ld stopped, %ld refused, %ld interpreters died; %ld lost, %ld doubled, %ld invented\n",
         (long)put, (long)got, (long)stopped, (long)refused, (long)deaths, lost, doubled, invented);
  CHECK(lost == 0 && doubled == 0 && invented == 0 && put == got);
  CHECK(put > 0 && stopped > 0 && deaths > 0);
  subpy_queue_free(queue);
  for (int i = 0; i < 2 * SIDE; i++) subpy_cancel_free(tokens[i]);
  shut_down();
  return 0;
}
