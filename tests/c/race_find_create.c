/* Finding and listing beside creating: what create returns is there until it is closed, for everybody. */
#include "race.h"

static counter created, found, listed;
static atomic_llong newest;

static void *creates(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  while (!race_over) {
    subpy_interp interp = create(), again = 0;
    int64_t id = 0;
    OK(subpy_id(interp, &id, &error));
    newest = id;
    OK(subpy_find(id, &again, &error));
    CHECK(again == interp);
    run(interp, "x = 1");
    OK(subpy_close(interp, &error));
    created++;
  }
  return NULL;
}

/* The ids that come next are known: they go up. */
static void *finds(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  while (!race_over) {
    int64_t from = newest;
    for (int64_t id = from + 1; id < from + 3; id++) {
      subpy_interp interp = 0;
      subpy_status status = subpy_find(id, &interp, &error);
      CHECK((status == SUBPY_OK) == (interp != 0));
      EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND);
      found += status == SUBPY_OK;
      const char *whence = NULL;
      if (status == SUBPY_OK) {
        status = subpy_whence(interp, &whence, &error);
        EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND);
        CHECK(status != SUBPY_OK || strcmp(whence, "C-API") == 0);
      }
    }
  }
  return NULL;
}

static void *lists(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  while (!race_over) {
    subpy_interp all[32];
    size_t count = 0;
    OK(subpy_list_all(all, 32, &count, &error));
    CHECK(count >= 1 && count <= 4);
    listed++;
  }
  return NULL;
}

static bool saw_all(void) {
  return created && found && listed;
}

int main(void) {
  subpy_error *error = NULL;
  OK(subpy_init(NULL, &error));
  race_saw_all = saw_all;
  race(3, (void *(*const[])(void *)){creates, creates, finds, finds, finds, finds, lists}, 7);
  size_t count = 0;
  OK(subpy_list_all(NULL, 0, &count, &error));
  CHECK(count == 1);
  shut_down();
  printf("%ld created, %ld found, %ld lists\n", created, found, listed);
  CHECK(saw_all());
  return 0;
}
