/* A host ends the CPython that it started while its threads create, run and close: it waits for what goes on, and what
 * comes later is refused, until CPython can be started anew. Each try is a process of its own, with a CPython that it
 * starts itself. */
#include <dlfcn.h>
#include <sys/wait.h>

#include "race.h"

enum { TRIES = 12 };

static counter passed, released;

static void release(void *userdata) {
  (void)userdata;
  released++;
}

/* Memory that Python keeps, and a result that is read when its interpreter may have ended. */
static void passes(subpy_interp interp) {
  static char memory[10000];
  subpy_error *error = NULL;
  subpy_buffer buffer = {.size = sizeof buffer, .data = memory, .len = sizeof memory, .release = release};
  subpy_value value = subpy_value_from_buffer(&buffer), result = {0};
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_CALL,
                               .flags = SUBPY_RESULT_BUFFER, .text = "keep", .text_len = 4, .args = &value, .nargs = 1};
  passed++;
  subpy_status status = subpy_run(&request, &result, &error);
  EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY);
  if (status == SUBPY_OK) {
    CHECK(result.kind == SUBPY_KIND_BUFFER && result.u.as_buffer->len == 20000);
    CHECK(((const char *)result.u.as_buffer->data)[19999] == 0);
  }
  subpy_value_free(&result);
}

static void *creates_and_closes(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  for (;;) {
    subpy_interp interp = 0;
    subpy_status status = subpy_create(NULL, &interp, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_WRONG_STATE);
    if (status != SUBPY_OK) return NULL;
    static const char code[] = "import gc; gc.disable()\nx = [[] for _ in range(30000)]\nfor y in x: y.append(x)\n"
                               "def keep(b): x.append(b); return bytearray(20000)";
    status = subpy_exec(interp, code, SUBPY_AUTO_LEN, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY);
    passes(interp);
    status = subpy_close(interp, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_BUSY, SUBPY_ERROR_WRONG_STATE);
  }
}

static atomic_bool finalized;

/* Goes on until there is a CPython again, which is the library's own. */
static void *tries_again(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  for (;;) {
    bool is_last = finalized;
    subpy_interp interp = 0;
    subpy_status status = subpy_create(NULL, &interp, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_WRONG_STATE);
    if (status != SUBPY_OK) continue;
    status = subpy_close(interp, &error);
    EXPECT_ONE_OF(status, error, SUBPY_OK, SUBPY_ERROR_NOT_FOUND, SUBPY_ERROR_WRONG_STATE);
    if (is_last) return NULL;
  }
}

static void *symbol(const char *name) {
  void *found = dlsym(RTLD_DEFAULT, name);
  CHECK(found);
  return found;
}

static void takes_its_time(void *capsule) {
  (void)capsule;
  usleep(50000);
}

/* What lies in the interpreter's own dict goes when it is cleared: when all of it is of no use any more. */
static void has_a_long_end(void) {
  void *(*get)(void), *(*dict_of)(void *), *(*capsule_of)(void *, const char *, void (*)(void *));
  int (*set)(void *, const char *, void *);
  void (*drop)(void *);
  *(void **)&get = symbol("PyInterpreterState_Get");
  *(void **)&dict_of = symbol("PyInterpreterState_GetDict");
  *(void **)&capsule_of = symbol("PyCapsule_New");
  *(void **)&set = symbol("PyDict_SetItemString");
  *(void **)&drop = symbol("Py_DecRef");
  void *capsule = capsule_of(&finalized, NULL, takes_its_time);
  CHECK(capsule && set(dict_of(get()), "long", capsule) == 0);
  drop(capsule);
}

static int host(const char *library, unsigned pause) {
  void (*initialize)(int);
  void *(*save)(void);
  void (*restore)(void *);
  int (*finalize)(void);
  CHECK(dlopen(library, RTLD_NOW | RTLD_GLOBAL));
  *(void **)&initialize = symbol("Py_InitializeEx");
  *(void **)&save = symbol("PyEval_SaveThread");
  *(void **)&restore = symbol("PyEval_RestoreThread");
  *(void **)&finalize = symbol("Py_FinalizeEx");
  initialize(0);
  subpy_error *error = NULL;
  OK(subpy_init(NULL, &error));
  has_a_long_end();
  void *state = save();
  pthread_t threads[2], another;
  for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, creates_and_closes, NULL) == 0);
  CHECK(pthread_create(&another, NULL, tries_again, NULL) == 0);
  usleep(pause);
  restore(state);
  finalize();
  finalized = true;
  CHECK(pthread_join(another, NULL) == 0);
  OK(subpy_shutdown(&error));
  CHECK(released <= passed);
  /* Not all threads come back: CPython stops those that want its GIL now. */
  fflush(stdout);
  _exit(0);
}

int main(int argc, char **argv) {
  if (argc == 3) return host(argv[1], (unsigned)atoi(argv[2]));
  subpy_error *error = NULL;
  subpy_interp main_one = 0;
  subpy_value home = {0};
  OK(subpy_get_main(&main_one, &error));
  OK(subpy_eval(main_one, "__import__('sys').base_prefix", SUBPY_AUTO_LEN, &home, &error));
  CHECK(setenv("PYTHONHOME", home.u.as_str, 1) == 0);
  subpy_value_free(&home);
  char library[4096];
  snprintf(library, sizeof library, "%s", subpy_python_library());
  shut_down();
  for (unsigned try = 0; try < TRIES; try++) {
    char pause[16];
    snprintf(pause, sizeof pause, "%u", 20000 + try * 1700);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      execl("/proc/self/exe", argv[0], library, pause, (char *)NULL);
      _exit(127);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    if (status != 0) {
      fprintf(stderr, "try %u: status %x\n", try, (unsigned)status);
      return 1;
    }
  }
  return 0;
}
