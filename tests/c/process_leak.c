/* What is left of processes for interpreters when they have been closed, or have crashed: nothing. An argument says how
 * many; SUBPY_TEST_FIGURES=1 prints figures. */
#include "lives.h"

int main(int argc, char **argv) {
  mark_processes(argv, 500);
  int count = argc > 1 ? atoi(argv[1]) : 300;
  for (int i = 0; i < 100; i++) live(i, true);
  until_processes(1);
  host_use before = use_now();
  long resident = resident_kib();
  double since = now();
  for (int i = 0; i < count; i++) live(i, true);
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
