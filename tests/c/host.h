/* A host that starts CPython itself, before the library: it has to know where one is, and what it exports. */
#ifndef HOST_H
#define HOST_H

#include <dlfcn.h>

#include "child.h"

static char home[4096], python_library[4096];

static void says_where(void) {
  subpy_interp main_one = 0;
  subpy_error *error = NULL;
  OK(subpy_get_main(&main_one, &error));
  OK(subpy_exec(main_one, "import sys; print(sys.base_prefix)", SUBPY_AUTO_LEN, &error));
  printf("%s\n", subpy_python_library());
  fflush(stdout);
}

/* Asks the library, in a process of its own. */
static void find_python(void) {
  outcome where = in_child(says_where);
  if (where.status != 0) fprintf(stderr, "status %#x: %.*s\n", where.status, (int)where.err.len, where.err.data ? where.err.data : "");
  CHECK(where.status == 0 && sscanf(where.out.data, "%4095[^\n]\n%4095[^\n]", home, python_library) == 2);
  free_outcome(&where);
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
