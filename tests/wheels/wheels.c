/* numpy, pandas and lxml, which refuse an interpreter with a GIL of its own, in four processes at once. */
#include <pthread.h>

#include "guest.h"

enum { PROCESSES = 4 };

static const char *const code =
    "import numpy, pandas, lxml.etree\n"
    "def work(n):\n"
    "  matrix = numpy.arange(n * n, dtype='float64').reshape(n, n)\n"
    "  frame = pandas.DataFrame({'group': numpy.arange(n) % 3, 'sum': matrix.sum(axis=1)})\n"
    "  root = lxml.etree.Element('all')\n"
    "  for group, value in frame.groupby('group')['sum'].sum().items():\n"
    "    lxml.etree.SubElement(root, 'group', number=str(group)).text = str(int(value))\n"
    "  back = lxml.etree.fromstring(lxml.etree.tostring(root))\n"
    "  return sum(int(group.text) for group in back.findall('group'))\n";

static const char *folders[1];

static void *works(void *unused) {
  (void)unused;
  subpy_error *error = NULL;
  subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_PROCESS, .path = folders, .path_len = 1};
  subpy_interp interp = 0;
  OK(subpy_create(&options, &interp, &error));
  OK(subpy_exec(interp, code, SUBPY_AUTO_LEN, &error));
  for (int64_t n = 50; n < 60; n++) {
    subpy_value size = subpy_int(n), result = {0};
    OK(subpy_call(interp, "work", SUBPY_AUTO_LEN, &size, 1, NULL, &result, &error));
    CHECK(result.kind == SUBPY_KIND_INT && result.u.as_int == n * n * (n * n - 1) / 2);
  }
  /* What comes out of numpy is what it is. */
  CHECK(number(interp, "int((numpy.ones(1000) * 2).sum())") == 2000);
  OK(subpy_close(interp, &error));
  return NULL;
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  folders[0] = argv[1];
  subpy_error *error = NULL;
  /* Here they refuse. */
  subpy_interp_options options = {.size = sizeof options, .path = folders, .path_len = 1};
  subpy_interp here = 0;
  OK(subpy_create(&options, &here, &error));
  CHECK(subpy_exec(here, "import numpy", SUBPY_AUTO_LEN, &error) == SUBPY_ERROR_EXECUTION_FAILED);
  CHECK_ERROR(subpy_error_type_name, error, "ImportError");
  subpy_error_free(error);
  error = NULL;
  pthread_t threads[PROCESSES];
  for (int i = 0; i < PROCESSES; i++) CHECK(pthread_create(&threads[i], NULL, works, NULL) == 0);
  for (int i = 0; i < PROCESSES; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  shut_down();
  return 0;
}
