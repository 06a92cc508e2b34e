/* Objects that are made, kept, passed on, used and freed by many threads while their interpreters are closed and made
 * anew, threads end in a session, and the runtime is shut down. Nothing crashes, and an object is never another one. */
#include <sys/wait.h>

#include "closing.h"
#include "race.h"
#include "values.h"

enum { SECONDS = 4, PLACES = 4, INTERPS = 2 };

/* A place has the handle of an object of some interpreter, which may be freed by now, or closed. */
static _Atomic subpy_object places[PLACES];
static _Atomic subpy_interp interps[INTERPS];
static atomic_bool resting;
static counter made, used, gone, elsewhere, elements, closes, shutdowns, forks;

static unsigned next(unsigned *state) { return (*state = *state * 1103515245u + 12345u) >> 8; }

static subpy_object any(unsigned *state) { return places[next(state) % PLACES]; }

/* What may become of anything that is done with an object. */
static bool done(subpy_status status, subpy_error **in) {
  subpy_error *error = *in;
  *in = NULL;
  EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_NOT_SHAREABLE, SUBPY_ERROR_INTERRUPTED,
                SUBPY_ERROR_WRONG_STATE, SUBPY_ERROR_BUSY);
  if (status == SUBPY_ERROR_NOT_FOUND) gone++;
  if (status == SUBPY_ERROR_NOT_SHAREABLE) elsewhere++;
  return status == SUBPY_OK;
}

/* Makes objects, whose results are freed here or left to whoever takes their place. */
static void *makes(void *number) {
  unsigned state = (unsigned)(intptr_t)number + 1;
  while (!race_over) {
    subpy_run_request request = {.size = sizeof request, .interp = interps[next(&state) % INTERPS],
                                 .what = SUBPY_RUN_EVAL, .flags = SUBPY_RESULT_OBJECTS, .text = "[Thing(), Thing()]",
                                 .text_len = SUBPY_AUTO_LEN};
    subpy_value result = subpy_none();
    subpy_error *error = NULL;
    if (!done(subpy_run(&request, &result, &error), &error)) continue;
    subpy_object own = 0;
    error = NULL;
    CHECK(result.kind == SUBPY_KIND_LIST && result.len == 2 && result.u.as_items[1].kind == SUBPY_KIND_OBJECT);
    if (done(subpy_object_keep(result.u.as_items[0].u.as_object, &own, &error), &error)) made++;
    subpy_value_free(&result);
    subpy_object_free(atomic_exchange(&places[next(&state) % PLACES], own));
  }
  return NULL;
}

static void *uses_once(void *pointer) {
  unsigned *state = pointer;
  subpy_error *error = NULL;
  subpy_object own = 0, object = any(state);
  subpy_interp interp = 0;
  bool entered = false;
  if (next(state) % 2 && done(subpy_object_keep(object, &own, &error), &error)) object = own;
  if (next(state) % 8 == 0 && !resting && subpy_object_interp(object, &interp, NULL) == SUBPY_OK)
    entered = subpy_enter(interp, NULL) == SUBPY_OK;
  for (int i = 0; i < 20; i++) {
    subpy_value result = subpy_none(), arg = subpy_value_from_object(any(state));
    bool ok = false, more = false;
    subpy_object iterator = 0;
    error = NULL;
    switch (next(state) % 5) {
      case 0:
        ok = done(subpy_object_attr(object, "kind", SUBPY_AUTO_LEN, 0, &result, &error), &error);
        CHECK(!ok || (result.kind == SUBPY_KIND_STR && strcmp(result.u.as_str, "thing") == 0));
        break;
      case 1:
        ok = done(subpy_object_call(object, "same", SUBPY_AUTO_LEN, &arg, 1, NULL, SUBPY_RESULT_OBJECT, &result, &error), &error);
        CHECK(!ok || result.kind == SUBPY_KIND_OBJECT);
        break;
      case 2:
        ok = done(subpy_object_text(object, &result, &error), &error);
        CHECK(!ok || strcmp(result.u.as_str, "a thing") == 0);
        break;
      case 3:
        ok = done(subpy_object_iter(object, &iterator, &error), &error);
        error = NULL;
        while (ok && done(subpy_object_next(iterator, SUBPY_RESULT_OBJECT, &more, &result, &error), &error) && more) {
          elements++;
          subpy_value_free(&result);
          error = NULL;
        }
        subpy_object_free(iterator);
        break;
      default:
        ok = done(subpy_object_item(object, &arg, SUBPY_RESULT_OBJECT, &result, &error), &error);
        if (ok && next(state) % 2) subpy_object_free(result.u.as_object);
    }
    if (ok) used++;
    subpy_value_free(&result);
  }
  subpy_object_free(own);
  /* Half of the sessions end with the thread. */
  if (entered && next(state) % 2) subpy_leave(interp, NULL);
  return NULL;
}

static void *uses(void *number) {
  unsigned state = (unsigned)(intptr_t)number * 77 + 1;
  while (!race_over) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, uses_once, &state) == 0 && pthread_join(thread, NULL) == 0);
  }
  return NULL;
}

static void renew(int place) {
  subpy_interp fresh = 0;
  if (subpy_create(NULL, &fresh, NULL) != SUBPY_OK) return;
  if (subpy_exec(fresh,
                 "class Thing:\n"
                 "  kind = 'thing'\n"
                 "  def same(self, other): return other\n"
                 "  def __str__(self): return 'a thing'\n"
                 "  def __iter__(self): return iter([self, 1, None])\n"
                 "  def __getitem__(self, key): return key\n"
                 "  def __del__(self): len(str(self))\n",
                 SUBPY_AUTO_LEN, NULL) != SUBPY_OK) {
    subpy_close(fresh, NULL);
    return;
  }
  subpy_interp old = atomic_exchange(&interps[place], fresh);
  if (close_in(old, 10000, SUBPY_CLOSE_INTERRUPT, NULL) == SUBPY_OK) closes++;
}

static void *closes_them(void *number) {
  unsigned state = (unsigned)(intptr_t)number * 99 + 1;
  while (!race_over) {
    renew((int)(next(&state) % INTERPS));
    usleep(next(&state) % 20000);
  }
  return NULL;
}

static void *shuts_down(void *number) {
  unsigned state = (unsigned)(intptr_t)number;
  while (!race_over) {
    usleep(50000 + next(&state) % 200000);
    resting = true;
    if (shut_down_in(10000, SUBPY_CLOSE_INTERRUPT, NULL) == SUBPY_OK) shutdowns++;
    resting = false;
    pid_t child = fork_beside_others();
    if (child == 0) {
      subpy_object_free(places[0]);
      _exit(0);
    }
    CHECK(child > 0 && waitpid(child, NULL, 0) == child);
    forks++;
  }
  return NULL;
}

static bool saw_all(void) {
  return made > 0 && used > 0 && gone > 0 && elsewhere > 0 && elements > 0 && closes > 0 && shutdowns > 0 && forks > 0;
}

int main(void) {
  for (int i = 0; i < INTERPS; i++) renew(i);
  void *(*const functions[])(void *) = {makes, makes, uses, uses, uses, closes_them, shuts_down};
  race_saw_all = saw_all;
  race(SECONDS, functions, COUNT(functions));
  printf("%ld made, %ld used, %ld gone, %ld elsewhere, %ld elements, %ld closes, %ld shutdowns, %ld forks\n", (long)made,
         (long)used, (long)gone, (long)elsewhere, (long)elements, (long)closes, (long)shutdowns, (long)forks);
  CHECK(saw_all());
  shut_down_at_last();
  /* Frees after the end are no more than that. */
  for (int i = 0; i < PLACES; i++) subpy_object_free(places[i]);
  return 0;
}
