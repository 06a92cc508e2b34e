/* Does what its arguments say, one after the other, and prints what comes of it; tests/runtime.rs reads that.
 *
 *   flags=N           SUBPY_RUNTIME_* of the inits that follow
 *   dlopen=LIBRARY    load a library, RTLD_GLOBAL; dlopen-local=LIBRARY with RTLD_LOCAL
 *   initialize        call the Py_InitializeEx of what is loaded
 *   finalize          call its Py_FinalizeEx
 *   init, init=PATH   subpy_init() without and with a choice of a CPython
 *   create, main      the interpreter that exec and eval use; create-elsewhere: made on another thread
 *   exec=CODE         run it
 *   eval=EXPRESSION   print its value, a str
 *   setenv=NAME=VALUE
 *   files=N           leave room for N more open files
 *   library, version  print subpy_python_library(), subpy_python_version()
 *   enter, leave, close, shutdown
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>

#include "../c/test.h"

static const char *after(const char *step, const char *name) {
  size_t len = strlen(name);
  return strncmp(step, name, len) == 0 ? step + len : NULL;
}

static void report(const char *step, subpy_status status, subpy_error **error) {
  if (status == SUBPY_OK) return;
  printf("%s: %s: %s\n", step, subpy_status_name(status), subpy_error_message(*error, NULL));
  subpy_error_free(*error);
}

static void *make(void *interp) {
  subpy_error *error = NULL;
  report("create", subpy_create(NULL, interp, &error), &error);
  return NULL;
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IONBF, 0);
  subpy_runtime_options options = {.size = sizeof options};
  subpy_interp interp = 0;
  int first_free = open("/dev/null", O_RDONLY);
  CHECK(first_free >= 0 && close(first_free) == 0);
  for (int i = 1; i < argc; i++) {
    subpy_error *error = NULL;
    const char *step = argv[i], *rest;
    if ((rest = after(step, "flags="))) {
      options.flags = strtoull(rest, NULL, 0);
    } else if ((rest = after(step, "dlopen="))) {
      if (!dlopen(rest, RTLD_NOW | RTLD_GLOBAL)) printf("%s\n", dlerror());
    } else if ((rest = after(step, "dlopen-local="))) {
      if (!dlopen(rest, RTLD_NOW | RTLD_LOCAL)) printf("%s\n", dlerror());
    } else if (strcmp(step, "initialize") == 0 || strcmp(step, "finalize") == 0) {
      bool start = strcmp(step, "initialize") == 0;
      void *symbol = dlsym(RTLD_DEFAULT, start ? "Py_InitializeEx" : "Py_FinalizeEx");
      CHECK(symbol);
      if (start) {
        void (*initialize)(int);
        memcpy(&initialize, &symbol, sizeof symbol);
        initialize(0);
      } else {
        int (*finalize)(void);
        memcpy(&finalize, &symbol, sizeof symbol);
        CHECK(finalize() == 0);
      }
    } else if ((rest = after(step, "init"))) {
      options.python = *rest ? rest + 1 : NULL;
      report("init", subpy_init(*rest || options.flags ? &options : NULL, &error), &error);
    } else if (strcmp(step, "create") == 0) {
      make(&interp);
    } else if (strcmp(step, "create-elsewhere") == 0) {
      pthread_t thread;
      CHECK(pthread_create(&thread, NULL, make, &interp) == 0 && pthread_join(thread, NULL) == 0);
    } else if (strcmp(step, "main") == 0) {
      report(step, subpy_get_main(&interp, &error), &error);
    } else if ((rest = after(step, "exec="))) {
      report("exec", subpy_exec(interp, rest, SUBPY_AUTO_LEN, &error), &error);
    } else if ((rest = after(step, "eval="))) {
      subpy_value value = {0};
      report("eval", subpy_eval(interp, rest, SUBPY_AUTO_LEN, &value, &error), &error);
      if (value.kind == SUBPY_KIND_STR) printf("%s\n", value.u.as_str);
      subpy_value_free(&value);
    } else if ((rest = after(step, "setenv="))) {
      CHECK(putenv(strdup(rest)) == 0);
    } else if ((rest = after(step, "files="))) {
      struct rlimit limit;
      CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
      limit.rlim_cur = (rlim_t)first_free + strtoull(rest, NULL, 0);
      CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    } else if (strcmp(step, "library") == 0) {
      printf("%s\n", subpy_python_library());
    } else if (strcmp(step, "version") == 0) {
      printf("%s\n", subpy_python_version());
    } else if (strcmp(step, "enter") == 0) {
      report(step, subpy_enter(interp, &error), &error);
    } else if (strcmp(step, "leave") == 0) {
      report(step, subpy_leave(interp, &error), &error);
    } else if (strcmp(step, "close") == 0) {
      report(step, subpy_close(interp, &error), &error);
    } else if (strcmp(step, "shutdown") == 0) {
      report(step, subpy_shutdown(&error), &error);
    } else {
      fprintf(stderr, "unknown step %s\n", step);
      return 2;
    }
  }
  return 0;
}
