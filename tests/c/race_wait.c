/* One interpreter in which runs wait for their turn, and everything that can come between: sessions, nested runs, long
 * runs, threads that end in a session, Python's own threads, forks, closes and shutdowns. Nobody is forgotten, and never
 * are two inside at once. */
#include <sys/wait.h>

#include "race.h"

enum { SECONDS = 4 };

static _Atomic subpy_interp place;
static counter runs, sessions, nested, ended, forks, closes, shutdowns, refused;
static atomic_int inside;

/* Called by Python code, so only ever by one thread. */
static int looks(void) {
  CHECK(atomic_fetch_add(&inside, 1) == 0);
  sched_yield();
  CHECK(atomic_fetch_sub(&inside, 1) == 1);
  return 0;
}

/* It has the interpreter already, whoever waits. */
static int comes_again(void) {
  subpy_error *error = NULL;
  bool running = false;
  subpy_interp here = 0;
  OK(subpy_get_current(&here, &error));
  OK(subpy_exec(here, "looks()", SUBPY_AUTO_LEN, &error));
  OK(subpy_is_running(here, &running, &error));
  CHECK(running);
  nested++;
  return 0;
}

static void make(void) {
  subpy_error *error = NULL;
  subpy_interp made = 0;
  subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_WAIT};
  OK(subpy_create(&options, &made, &error));
  char code[400];
  snprintf(code, sizeof code,
           "import ctypes, threading, time\n"
           "looks = ctypes.CFUNCTYPE(ctypes.c_int)(%" PRIuPTR ")\n"
           "comes_again = ctypes.CFUNCTYPE(ctypes.c_int)(%" PRIuPTR ")\n",
           (uintptr_t)looks, (uintptr_t)comes_again);
  OK(subpy_exec(made, code, SUBPY_AUTO_LEN, &error));
  place = made;
}

static bool run_once(unsigned *state) {
  static const char *const codes[] = {"looks()", "looks()", "looks()", "comes_again()", "time.sleep(0.0005)",
                                      "threading.Thread(target=time.sleep, args=(0.0002,)).start()"};
  subpy_error *error = NULL;
  const char *code = codes[(*state = *state * 1103515245u + 12345u) >> 16 & 7 ? 0 : (*state >> 20) % 6];
  subpy_status status = subpy_exec(place, code, SUBPY_AUTO_LEN, &error);
  EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY, SUBPY_ERROR_NOT_FOUND);
  (status == SUBPY_OK ? runs++ : refused++);
  return status == SUBPY_OK;
}

/* In bursts, or a close would hardly find a moment in which nobody is in. */
static void *calls(void *number) {
  unsigned state = (unsigned)(intptr_t)number;
  while (!race_over) {
    for (unsigned i = state >> 16 & 31; i > 0 && run_once(&state); i--) continue;
    usleep(state >> 16 & 255);
  }
  return NULL;
}

static void *calls_in_sessions(void *number) {
  subpy_error *error = NULL;
  unsigned state = (unsigned)(intptr_t)number;
  while (!race_over) {
    subpy_interp interp = place;
    subpy_status status = subpy_enter(interp, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY, SUBPY_ERROR_NOT_FOUND);
    if (status == SUBPY_OK) {
      sessions++;
      for (int i = 0; i < 20; i++) run_once(&state);
      OK(subpy_leave(interp, &error));
    }
    usleep(200);
  }
  return NULL;
}

static pthread_key_t key;

static void at_the_end(void *state) {
  run_once(state);
  free(state);
  ended++;
}

/* It ends in a session, and runs something at its end. */
static void *ends(void *number) {
  subpy_error *error = NULL;
  unsigned *state = malloc(sizeof *state);
  CHECK(state);
  *state = (unsigned)(intptr_t)number;
  CHECK(pthread_setspecific(key, state) == 0);
  subpy_status status = subpy_enter(place, &error);
  EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY, SUBPY_ERROR_NOT_FOUND);
  run_once(state);
  return NULL;
}

static void *starts_threads(void *unused) {
  (void)unused;
  for (intptr_t number = 100; !race_over; number++) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, ends, (void *)number) == 0 && pthread_join(thread, NULL) == 0);
    usleep(100);
  }
  return NULL;
}

/* The child has no other thread, and may have been forked while any of them changed the queue. */
static void *forks_children(void *unused) {
  (void)unused;
  while (!race_over) {
    pid_t child = fork_beside_others();
    CHECK(child >= 0);
    if (child == 0) {
      subpy_status said = subpy_exec(place, "looks()", SUBPY_AUTO_LEN, NULL);
      /* Not found: it was forked between a shutdown and the next runtime, and may have one of its own. */
      _exit(said == SUBPY_ERROR_FORKED || said == SUBPY_ERROR_NOT_FOUND ? 0 : 1);
    }
    int status = -1;
    while (waitpid(child, &status, 0) < 0) continue;
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    forks++;
    usleep(2000);
  }
  return NULL;
}

static void *closes_it(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  for (int i = 0; !race_over; i++) {
    subpy_status status;
    if (i % 8 == 0) {
      status = subpy_shutdown(&error);
      EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY);
      shutdowns += status == SUBPY_OK;
    } else {
      status = subpy_close(place, &error);
      EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_BUSY);
      closes += status == SUBPY_OK;
    }
    if (status == SUBPY_OK) make();
    usleep(300);
  }
  return NULL;
}

static bool saw_all(void) {
  return runs && sessions && nested && ended && forks;
}

int main(void) {
  CHECK(pthread_key_create(&key, at_the_end) == 0);
  const char *seconds = getenv("SUBPY_RACE_SECONDS");
  make();
  race_saw_all = saw_all;
  race(seconds ? atoi(seconds) : SECONDS,
       (void *(*const[])(void *)){calls, calls, calls, calls, calls_in_sessions, calls_in_sessions, starts_threads,
                                  forks_children, closes_it},
       9);
  printf("%ld runs, %ld sessions, %ld nested, %ld threads ended, %ld forks, %ld closes, %ld shutdowns, %ld refused\n", runs,
         sessions, nested, ended, forks, closes, shutdowns, refused);
  CHECK(saw_all());
  shut_down();
  return 0;
}
