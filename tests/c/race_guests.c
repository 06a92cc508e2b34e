/* Questions about interpreters that Python code makes and destroys at the same time. */
#include "race.h"

/* More than the library remembers. */
#ifndef GONE
#define GONE 70
#endif

static counter made, asked, gone;

static void *makes(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  subpy_interp guest = create();
  run(guest, "import _interpreters\n"
             "def renew():\n"
             "    made = [_interpreters.create('isolated') for _ in range(2)]\n"
             "    _interpreters.exec(made[0], 'import json')\n"
             "    for one in made: _interpreters.destroy(one)");
  while (!race_over) {
    run(guest, "renew()");
    made++;
  }
  OK(subpy_close(guest, &error));
  return NULL;
}

static void *asks(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  while (!race_over) {
    subpy_interp all[32];
    size_t count = 0;
    OK(subpy_list_all(all, 32, &count, &error));
    for (size_t i = 0; i < count && i < 32; i++) {
      for (int again = 0; again < 50; again++) {
        const char *whence = NULL;
        bool running = false;
        int64_t id = 0;
        subpy_status status = subpy_whence(all[i], &whence, &error);
        EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND);
        CHECK((status == SUBPY_OK) == (whence != NULL));
        status = subpy_is_running(all[i], &running, &error);
        EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND);
        status = subpy_id(all[i], &id, &error);
        EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND);
        asked++;
        gone += status != SUBPY_OK;
      }
    }
  }
  return NULL;
}

/* One of ours, while guests destroy it. */
static _Atomic subpy_interp target;

static void *destroys_ours(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  subpy_interp guest = create();
  run(guest, "import _interpreters");
  while (!race_over) {
    subpy_interp ours = create();
    int64_t id = 0;
    char code[80];
    OK(subpy_id(ours, &id, &error));
    target = ours;
    /* A run of the other thread's may refuse it. */
    snprintf(code, sizeof code, "try: _interpreters.destroy(%" PRId64 ")\nexcept Exception: pass", id);
    run(guest, code);
    subpy_status status = subpy_close(ours, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY);
    made++;
  }
  OK(subpy_close(guest, &error));
  return NULL;
}

static void *asks_ours(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  while (!race_over) {
    const char *whence = NULL;
    bool running = false;
    subpy_status status = subpy_whence(target, &whence, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND);
    status = subpy_is_running(target, &running, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND);
    asked++;
    gone += status != SUBPY_OK;
  }
  return NULL;
}

/* Code that runs late in an interpreter does not bring it back, however many have gone before. */
static void *gone_for_good(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  subpy_interp guest = create();
  run(guest, "import _interpreters\nold = _interpreters.create('isolated')");
  subpy_interp found = 0;
  int64_t id = number(guest, "old");
  OK(subpy_find(id, &found, &error));
  char code[100];
  snprintf(code, sizeof code, "for _ in range(%d): _interpreters.destroy(_interpreters.create('isolated'))", GONE);
  run(guest, code);
  /* In the registry of codecs an object outlives the modules: it goes when the interpreter is cleared. */
  run(guest, "_interpreters.exec(old, '''\n"
             "import codecs, sys\n"
             "class Late:\n"
             "    def __call__(self, name): return None\n"
             "    def __del__(self, audit=sys.audit): audit('late')\n"
             "codecs.register(Late())\n"
             "''')\n"
             "_interpreters.destroy(old)");
  subpy_interp all[8];
  size_t count = 0;
  OK(subpy_list_all(all, 8, &count, &error));
  CHECK(count == 2);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...unrecognized interpreter ID", subpy_is_running(found, NULL, &error));
  OK(subpy_close(guest, &error));
  return NULL;
}

int main(void) {
  /* On the process's main thread creating is slow. */
  race(0, (void *(*const[])(void *)){gone_for_good}, 1);
  race(3, (void *(*const[])(void *)){makes, makes, asks}, 3);
  printf("%ld made, %ld asked, %ld gone\n", made, asked, gone);
  CHECK(made && asked);
  made = asked = gone = 0;
  target = create();
  race(3, (void *(*const[])(void *)){destroys_ours, asks_ours}, 2);
  printf("%ld made, %ld asked, %ld gone\n", made, asked, gone);
  CHECK(made && asked);
  shut_down();
  return 0;
}
