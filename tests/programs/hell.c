/* What becomes of one script that is hard on its interpreter: the run, a run after it, the close, the host. The script runs in
   an interpreter of this process, in one with a process of its own, or in main. Prints the verdicts, a line each.
   tests/hell.rs runs it, once for each file of tests/hell and each place. */
#include "../c/closing.h"

/* Nobody waits for so long: what does not end is a failure. The verdicts go where no script writes, nor closes it. */
enum { PATIENCE_MS = 60000, VERDICTS = 1000 };

static subpy_error *error;
static char code[20000];
static const char *name;
static int calls;
static FILE *verdicts;

/* What scripts call when they end. */
static void note(void *userdata, subpy_context *context, const subpy_value *args, size_t count,
                 const subpy_value *kwargs) {
  (void)userdata, (void)context, (void)args, (void)count, (void)kwargs;
  __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
}

/* The status, and of an exception its type: what is the same each time. */
static void say(const char *what, subpy_status status) {
  int32_t by = 0, exit_code = 0;
  fprintf(verdicts, "%s: ", what);
  if (status == SUBPY_ERROR_EXECUTION_FAILED) {
    fprintf(verdicts, "%s", subpy_error_type_name(error, NULL));
  } else {
    fprintf(verdicts, "%s", subpy_status_name(status) + strlen("SUBPY_"));
    if (error && subpy_error_crash(error, &by, &exit_code)) {
      if (by) fprintf(verdicts, ", signal %d", by);
      else fprintf(verdicts, ", exit code %d", exit_code);
    }
  }
  fprintf(verdicts, "\n");
  fflush(verdicts);
  if (error) fprintf(stderr, "%s: %s: %s\n%s\n", name, what, subpy_error_message(error, NULL),
                     subpy_error_display(error, NULL) ? subpy_error_display(error, NULL) : "");
  subpy_error_free(error);
  error = NULL;
}

static subpy_status is_42(subpy_interp interp) {
  subpy_value value = {0};
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_EVAL, .interp = interp, .text = "6 * 7",
                               .text_len = SUBPY_AUTO_LEN, .timeout_ms = PATIENCE_MS};
  subpy_status status = subpy_run(&request, &value, &error);
  CHECK(status != SUBPY_OK || (value.kind == SUBPY_KIND_INT && value.u.as_int == 42));
  subpy_value_free(&value);
  return status;
}

/* An error is told in full, whatever the script has done to what tells about errors. */
static subpy_status raises(subpy_interp interp) {
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_EXEC, .interp = interp, .text = "1 / 0",
                               .text_len = SUBPY_AUTO_LEN, .timeout_ms = PATIENCE_MS};
  subpy_status status = subpy_run(&request, NULL, &error);
  if (status != SUBPY_ERROR_EXECUTION_FAILED || strcmp(subpy_error_type_name(error, NULL), "ZeroDivisionError") != 0)
    return status;
  CHECK(strstr(subpy_error_formatted(error, NULL), "division by zero"));
  CHECK(strstr(subpy_error_display(error, NULL), "division by zero"));
  subpy_error_free(error);
  error = NULL;
  return SUBPY_OK;
}

/* Another interpreter runs all the time, and nothing of it goes wrong. */
static bool is_over;

static void *goes_on(void *argument) {
  subpy_interp interp = *(subpy_interp *)argument;
  while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE)) {
    subpy_error *failed = NULL;
    subpy_value value = {0};
    subpy_status status = subpy_eval(interp, "sum(range(100))", SUBPY_AUTO_LEN, &value, &failed);
    if (status != SUBPY_OK || value.u.as_int != 4950) {
      fprintf(stderr, "%s: the other interpreter: %s\n", name, failed ? subpy_error_message(failed, NULL) : "");
      return "the other interpreter";
    }
    subpy_value_free(&value);
    usleep(500);
  }
  return NULL;
}

static void read_script(const char *path) {
  FILE *file = fopen(path, "r");
  CHECK(file && fread(code, 1, sizeof code - 1, file) > 0 && feof(file));
  fclose(file);
  name = strrchr(path, '/') + 1;
}

static subpy_interp place(const char *where) {
  subpy_interp interp = 0;
  if (strcmp(where, "main") == 0) {
    OK(subpy_get_main(&interp, &error));
    return interp;
  }
  subpy_interp_options options = {.size = sizeof options};
  if (strcmp(where, "process") == 0) options.flags = SUBPY_INTERP_PROCESS;
  OK(subpy_create(&options, &interp, &error));
  return interp;
}

int main(int count, char **arguments) {
  CHECK(count == 3);
  alarm(280);
  int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  verdicts = fdopen(fcntl(1, F_DUPFD_CLOEXEC, VERDICTS), "w");
  CHECK(verdicts && dup2(nowhere, 1) == 1);
  read_script(arguments[1]);
  const char *where = arguments[2];
  bool is_main = strcmp(where, "main") == 0;

  subpy_interp other = create(), idle = create(), interp = place(where);
  OK(subpy_define(interp, "host:note", SUBPY_AUTO_LEN, 0, note, NULL, NULL, &error));
  int64_t id = 0;
  OK(subpy_id(idle, &id, &error));
  subpy_pair pairs[] = {{subpy_str("idle", SUBPY_AUTO_LEN), subpy_int(id)}};
  subpy_value names = subpy_dict(pairs, 1);
  OK(subpy_prepare_main(interp, &names, &error));
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, goes_on, &other) == 0);

  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_EXEC, .interp = interp, .text = code,
                               .text_len = SUBPY_AUTO_LEN, .filename = name, .timeout_ms = PATIENCE_MS};
  say("run", subpy_run(&request, NULL, &error));
  subpy_status status = is_42(interp);
  say("then", status);
  if (status == SUBPY_OK) say("errors", raises(interp));
  if (!is_main) say("close", close_in(interp, PATIENCE_MS, SUBPY_CLOSE_INTERRUPT, &error));

  say("idle", is_42(idle));
  interp = 0;
  status = subpy_create(NULL, &interp, &error);
  say("new", status == SUBPY_OK ? is_42(interp) : status);
  void *failed = NULL;
  __atomic_store_n(&is_over, true, __ATOMIC_RELEASE);
  CHECK(pthread_join(thread, &failed) == 0);
  CHECK(!failed);
  say("shutdown", shut_down_in(PATIENCE_MS, SUBPY_CLOSE_INTERRUPT, &error));
  if (strstr(code, "host.note")) fprintf(verdicts, "calls: %d\n", __atomic_load_n(&calls, __ATOMIC_RELAXED));
  return 0;
}
