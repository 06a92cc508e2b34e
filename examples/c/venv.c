/*
 * A virtual environment for each interpreter: two versions of one package, side by side in one process.
 *
 *   cc venv.c $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   greeting 1.0: hello
 *   greeting 2.0: hello, world
 */
#include <stdio.h>
#include <stdlib.h>

#include "subpy.h"

static void expect(subpy_status status, subpy_error **error) {
  if (status == SUBPY_OK) return;
  fprintf(stderr, "%s\n", subpy_error_message(*error, NULL));
  exit(1);
}

/* What `python -m venv` and `pip install` would do. */
static const char make[] =
    "import os, sys, tempfile, venv\n"
    "def environment(version, text):\n"
    "  folder = tempfile.mkdtemp()\n"
    "  venv.create(folder)\n"
    "  packages = os.path.join(folder, 'lib', 'python%d.%d' % sys.version_info[:2], 'site-packages')\n"
    "  with open(os.path.join(packages, 'greeting.py'), 'w') as file:\n"
    "    file.write(f'version, text = {version!r}, {text!r}')\n"
    "  return folder\n"
    "def remove(folder): __import__('shutil').rmtree(folder)\n";

int main(void) {
  static const char *const contents[2][2] = {{"1.0", "hello"}, {"2.0", "hello, world"}};
  subpy_error *error = NULL;
  subpy_interp maker = 0, interps[2] = {0};
  subpy_value venvs[2];
  expect(subpy_create(NULL, &maker, &error), &error);
  expect(subpy_exec(maker, make, SUBPY_AUTO_LEN, &error), &error);
  for (int i = 0; i < 2; i++) {
    const subpy_value args[] = {subpy_str(contents[i][0], SUBPY_AUTO_LEN), subpy_str(contents[i][1], SUBPY_AUTO_LEN)};
    expect(subpy_call(maker, "environment", SUBPY_AUTO_LEN, args, 2, NULL, &venvs[i], &error), &error);
  }

  for (int i = 0; i < 2; i++) {
    const subpy_interp_options options = {.size = sizeof options, .venv = venvs[i].u.as_str};
    expect(subpy_create(&options, &interps[i], &error), &error);
  }
  for (int i = 0; i < 2; i++)
    expect(subpy_exec(interps[i], "import greeting\nprint(f'greeting {greeting.version}: {greeting.text}')",
                      SUBPY_AUTO_LEN, &error), &error);

  for (int i = 0; i < 2; i++) {
    expect(subpy_close(interps[i], &error), &error);
    expect(subpy_call(maker, "remove", SUBPY_AUTO_LEN, &venvs[i], 1, NULL, NULL, &error), &error);
    subpy_value_free(&venvs[i]);
  }
  expect(subpy_shutdown(&error), &error);
  return 0;
}
