/* What is left of processes for interpreters when they have been closed, or have crashed: nothing. An argument says how
 * many; SUBPY_TEST_FIGURES=1 prints figures. */
#include "deaths.h"

static subpy_error *error;

static void calls_nothing(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs,
                          const subpy_value *kwargs) {
  (void)userdata, (void)ctx, (void)args, (void)nargs, (void)kwargs;
}

/* A little of everything. */
static void live(int index) {
  subpy_interp interp = create_process();
  subpy_value n = subpy_int(index), result = {0};
  OK(subpy_define(interp, "nothing", SUBPY_AUTO_LEN, 0, calls_nothing, NULL, NULL, &error));
  run(interp, "def f(n): nothing(); return [n] * 10");
  OK(subpy_enter(interp, &error));
  OK(subpy_call(interp, "f", SUBPY_AUTO_LEN, &n, 1, NULL, &result, &error));
  OK(subpy_leave(interp, &error));
  subpy_value_free(&result);
  subpy_function function = 0;
  OK(subpy_function_new(interp, "f", SUBPY_AUTO_LEN, &function, &error));
  if (index % 3 == 1) {
    CHECK(subpy_exec(interp, "import os; os._exit(1)", SUBPY_AUTO_LEN, NULL) == SUBPY_ERROR_CRASHED);
  } else {
    OK(subpy_close(interp, &error));
  }
  subpy_function_free(function);
}

int main(int argc, char **argv) {
  mark_processes(argv, 500);
  int count = argc > 1 ? atoi(argv[1]) : 300;
  for (int i = 0; i < 100; i++) live(i);
  until_processes(1);
  host_use before = use_now();
  long resident = resident_kib();
  double since = now();
  for (int i = 0; i < count; i++) live(i);
  double took = now() - since;
  until_processes(1);
  check_use(before);
  long grown = resident_kib() - resident;
  pid_t zygote = 0;
  CHECK(processes(&zygote) == 1);
  long zygote_kib = pss_kib(zygote);
  if (getenv("SUBPY_TEST_FIGURES")) {
    enum { LIVING = 32 };
    subpy_interp living[LIVING];
    long total = 0;
    for (int i = 0; i < LIVING; i++) living[i] = create_process();
    for (int i = 0; i < LIVING; i++) total += pss_kib((pid_t)number(living[i], "__import__('os').getpid()"));
    printf("%d in %.1f s (%.2f ms each), the host grew by %ld KiB, the zygote has %ld KiB; PSS of each of %d: %ld KiB\n",
           count, took, took * 1e3 / count, grown, zygote_kib, LIVING, total / LIVING);
    for (int i = 0; i < LIVING; i++) OK(subpy_close(living[i], &error));
  }
  /* Less than 0.5 KiB each, or what an allocator takes at a time. */
  CHECK(grown < 1024 + count / 2);
  shut_down();
  until_processes(0);
  return 0;
}
