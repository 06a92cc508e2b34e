/* A host that starts CPython itself, before the library: it has to know where one is, and what it exports. */
#ifndef HOST_H
#define HOST_H

#include <dlfcn.h>
#include <unistd.h>

#include "test.h"

static char home[4096], python_library[4096];

/* The program, started again, says it instead of what it is for. */
__attribute__((constructor)) static void says_where(int argc, char **argv) {
  if (argc != 2 || strcmp(argv[1], "--where") != 0) return;
  subpy_interp main_one = 0;
  subpy_error *error = NULL;
  OK(subpy_get_main(&main_one, &error));
  OK(subpy_exec(main_one, "import sys; print(sys.base_prefix)", SUBPY_AUTO_LEN, &error));
  printf("%s\n", subpy_python_library());
  OK(subpy_shutdown(&error));
  exit(0);
}

/* Asks the library, in a process of its own. Not in a fork: valgrind's have no stack bounds. */
static void find_python(void) {
  char program[4096] = "", asks[4200];
  CHECK(readlink("/proc/self/exe", program, sizeof program - 1) > 0);
  snprintf(asks, sizeof asks, "'%s' --where", program);
  FILE *says = popen(asks, "r");
  CHECK(says && fscanf(says, "%4095[^\n]\n%4095[^\n]", home, python_library) == 2);
  CHECK(pclose(says) == 0);
}

static void load_python(void) {
  CHECK(setenv("PYTHONHOME", home, 1) == 0);
  CHECK(dlopen(python_library, RTLD_NOW | RTLD_GLOBAL));
}

static void *symbol(const char *name) {
  void *found = dlsym(RTLD_DEFAULT, name);
  CHECK(found);
  return found;
}

#endif
