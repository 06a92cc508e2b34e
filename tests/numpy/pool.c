/* A pool that begins in this process and moves, because numpy does not load in several interpreters of one process. */
#include "../c/pool.h"

int main(int argc, char **argv) {
  CHECK(argc == 2);
  const char *path[] = {argv[1]};
  subpy_interp_options interp = {.size = sizeof interp, .path = path, .path_len = 1};
  subpy_pool pool = new_pool((subpy_pool_options){
      .workers = 4, .interp = &interp, .isolation = SUBPY_ISOLATION_AUTO, .setup_len = SUBPY_AUTO_LEN,
      .setup = "import numpy\ndef total(n): return int(numpy.arange(n).sum())"});
  subpy_pool_stats stats = get_stats(pool);
  CHECK(stats.isolation == SUBPY_ISOLATION_PROCESS && stats.workers == 4);
  CHECK(strcmp(stats.reason, "module numpy._core._multiarray_umath does not support loading in subinterpreters") == 0);
  subpy_thread tasks[100];
  for (int i = 0; i < 100; i++) tasks[i] = submit(pool, call("total", &(subpy_value){.kind = SUBPY_KIND_INT, .u.as_int = i}));
  for (int i = 0; i < 100; i++) CHECK(joined_int(tasks[i]) == i * (i - 1) / 2);
  OK(subpy_pool_close(pool, NULL, &error));
  shut_down();
  return 0;
}
