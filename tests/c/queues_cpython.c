/* CPython's own tests of its queues, run against ours. What does not apply is listed here, with the reason. */
#include "guest.h"
#include "values.h"

static bool own_processes;

static void create_interp(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs,
                          const subpy_value *kwargs) {
  (void)userdata, (void)args, (void)nargs, (void)kwargs;
  subpy_interp_options options = {.size = sizeof options, .flags = own_processes ? SUBPY_INTERP_PROCESS : 0};
  subpy_interp interp = 0;
  subpy_error *error = NULL;
  OK(subpy_create(&options, &interp, &error));
  subpy_value handle = subpy_int((int64_t)interp);
  CHECK(subpy_context_return(ctx, &handle) == SUBPY_OK);
}

static void exec_in(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)kwargs;
  subpy_error *error = NULL;
  CHECK(nargs == 2);
  if (subpy_exec((subpy_interp)args[0].u.as_int, args[1].u.as_str, args[1].len, &error) != SUBPY_OK) {
    const char *text = subpy_error_display(error, NULL);
    CHECK(subpy_context_raise(ctx, "RuntimeError", SUBPY_AUTO_LEN, text ? text : "?", SUBPY_AUTO_LEN) == SUBPY_OK);
    subpy_error_free(error);
  }
}

static const char HARNESS[] =
    "import sys, textwrap, unittest\n"
    "from types import SimpleNamespace\n"
    "import concurrent.interpreters as stdlib\n"
    "import host, subpy_queues\n"
    "PRESENT = 'import concurrent.interpreters, subpy_queues; concurrent.interpreters._queues = subpy_queues'\n"
    "exec(PRESENT)\n"
    "subpy_queues.list_all = lambda: list(subpy_queues._known.values())\n"
    "from test.test_interpreters import test_queues\n"
    "class Interpreter:\n"
    "  def __init__(self):\n"
    "    self.handle = host.create()\n"
    "    self.exec(PRESENT)\n"
    "  def exec(self, code):\n"
    "    host.exec(self.handle, code)\n"
    "test_queues.interpreters = SimpleNamespace(create=Interpreter)\n"
    "def run_output(interp, code):\n"
    "  out = subpy_queues.create()\n"
    "  interp.exec('import contextlib, io\\nwith contextlib.redirect_stdout(io.StringIO()) as printed:\\n'\n"
    "    + textwrap.indent(textwrap.dedent(code), ' ') + f'\\nsubpy_queues.Queue({out.id}).put(printed.getvalue())')\n"
    "  return out.get()\n"
    "# The descriptor of a pipe is another one in a process.\n"
    "test_queues._run_output = run_output\n"
    "LOW = 'a test of the private module _interpqueues'\n"
    "GOOD = 'items of an interpreter that has ended stay good: there is no unbounditems'\n"
    "NOT_OURS = {\n"
    "  'LowLevelTests.test_create_destroy': LOW,\n"
    "  'LowLevelTests.test_not_destroyed': LOW,\n"
    "  'LowLevelTests.test_bind_release': LOW,\n"
    "  'TestQueueOps.test_put_cleared_with_subinterpreter': GOOD,\n"
    "  'TestQueueOps.test_put_cleared_with_subinterpreter_mixed': GOOD,\n"
    "  'TestQueueOps.test_put_cleared_with_subinterpreter_multiple': GOOD,\n"
    "}\n"
    "tests, left_out = unittest.TestSuite(), 0\n"
    "for case in (test_queues.LowLevelTests, test_queues.QueueTests, test_queues.TestQueueOps):\n"
    "  for test in unittest.defaultTestLoader.loadTestsFromTestCase(case):\n"
    "    name = test.id().removeprefix(test_queues.__name__ + '.')\n"
    "    if name in NOT_OURS: left_out += 1\n"
    "    else: tests.addTest(test)\n"
    "assert left_out == len(NOT_OURS)\n"
    "result = unittest.TextTestRunner(stream=sys.stderr, verbosity=1).run(tests)\n"
    "assert result.wasSuccessful()\n"
    "ran = result.testsRun\n";

int main(void) {
  subpy_error *error = NULL;
  subpy_interp interp = 0;
  OK(subpy_get_main(&interp, &error));
  if (subpy_exec(interp, "import test.test_interpreters", SUBPY_AUTO_LEN, NULL) != SUBPY_OK) {
    printf("skipped: CPython's tests of queues: this CPython has come without its tests\n");
    return 0;
  }
  OK(subpy_define(interp, "host:create", SUBPY_AUTO_LEN, 0, create_interp, NULL, NULL, &error));
  OK(subpy_define(interp, "host:exec", SUBPY_AUTO_LEN, 0, exec_in, NULL, NULL, &error));
  for (int i = 0; i < 2; i++) {
    own_processes = i == 1;
    run(interp, HARNESS);
    printf("%" PRId64 " tests of CPython's%s\n", number(interp, "ran"), own_processes ? ", in processes" : "");
    CHECK(number(interp, "ran") >= 20);
  }
  return 0;
}
