/* Creating, using and closing a thousand interpreters leaves at most 2 KiB each; calls leave nothing. */
#include <pthread.h>

#include "stack.h"
#include "values.h"

static void check_grown(const char *what, long before, int cycles, long allowed) {
  long grown = resident_kib() - before;
  if (grown > allowed) {
    fprintf(stderr, "%d %s left %ld KiB, more than %ld\n", cycles, what, grown, allowed);
    exit(1);
  }
}

static void one_interpreter(int n) {
  subpy_error *error = NULL;
  subpy_interp interp = create();
  run(interp, "x = [str([i]) for i in range(100)]");
  subpy_value value = eval(interp, "x");
  subpy_value_free(&value);
  /* The first exception imports the traceback module, which takes longer than all the rest. */
  if (n % 10 == 0) CHECK(subpy_exec(interp, "1/0", SUBPY_AUTO_LEN, NULL) == SUBPY_ERROR_EXECUTION_FAILED);
  OK(subpy_close(interp, &error));
}

static void one_of_each(subpy_interp interp) {
  subpy_error *error = NULL;
  subpy_value items[] = {subpy_int(1), TEXT("text"), subpy_float(2.5), subpy_none()}, result = {0};
  subpy_pair pair = {TEXT("k"), subpy_list(items, 4)};
  subpy_value dict = subpy_dict(&pair, 1), args[] = {dict, subpy_bigint("0x123456789abcdef0123456789abcdef", SUBPY_AUTO_LEN)};
  OK(subpy_call(interp, "f", SUBPY_AUTO_LEN, args, 2, &dict, &result, &error));
  subpy_value_free(&result);
  run(interp, "x = [str(i) for i in range(10)]; print(x, file=null)");
  CHECK(subpy_exec(interp, "f(1, 2); raise ValueError('x' * 1000)", SUBPY_AUTO_LEN, &error) == SUBPY_ERROR_EXECUTION_FAILED);
  subpy_error_free(error);
  error = NULL;
  CHECK(subpy_exec(interp, "x = (", SUBPY_AUTO_LEN, &error) == SUBPY_ERROR_SYNTAX);
  subpy_error_free(error);
  error = NULL;
  CHECK(subpy_eval(interp, "[1, 'x' * 1000, object()]", SUBPY_AUTO_LEN, &result, &error) == SUBPY_ERROR_NOT_SHAREABLE);
  subpy_error_free(error);
  error = NULL;
  subpy_thread thread = 0;
  OK(subpy_call_in_thread(interp, "f", SUBPY_AUTO_LEN, args, 2, NULL, &thread, &error));
  OK(subpy_thread_join(thread, &result, &error));
  subpy_value_free(&result);
}

static void comes_and_goes(void) {
  subpy_error *error = NULL;
  subpy_interp interp = create();
  run(interp, "x = 1");
  OK(subpy_close(interp, &error));
}

/* CPython knows the bounds of the thread's own stack alone. */
static void *on_a_foreign_stack(void *unused) {
  (void)unused;
  for (int i = 0; i < 5; i++) on_stack(512, comes_and_goes);
  long before = resident_kib();
  for (int i = 0; i < 20; i++) on_stack(512, comes_and_goes);
  check_grown("interpreters on a foreign stack", before, 20, 20 * 1024);
  return NULL;
}

int main(void) {
  /* The allocators' own caches fill up first. */
  for (int i = 0; i < 50; i++) one_interpreter(i);
  long before = resident_kib();
  for (int i = 0; i < 1000; i++) one_interpreter(i);
  check_grown("interpreters", before, 1000, 1000 * 2);

  subpy_interp interp = create();
  run(interp, "def f(*args, **kwargs): return [args, kwargs, b'x' * 1000]\nnull = open('/dev/null', 'w')");
  for (int i = 0; i < 500; i++) one_of_each(interp);
  before = resident_kib();
  for (int i = 0; i < 5000; i++) one_of_each(interp);
  check_grown("rounds of calls", before, 5000, 1024);

  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, on_a_foreign_stack, NULL) == 0 && pthread_join(thread, NULL) == 0);
  shut_down();
  return 0;
}
