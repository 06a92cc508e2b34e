/* What becomes of one runaway: under a time limit, when its interpreter is closed, when everything is shut down. Prints the
   three verdicts, a line each. tests/runaways.rs runs it, once for each file of examples/judge. */
#include "../c/closing.h"

enum { BEGUN_MS = 150 };

static subpy_error *error;
static char *code;
static const char *name;

static void never_returns(void *userdata, subpy_context *context, const subpy_value *args, size_t count,
                          const subpy_value *kwargs) {
  (void)userdata, (void)context, (void)args, (void)count, (void)kwargs;
  for (;;) pause();
}

static char *read_file(const char *path) {
  FILE *file = fopen(path, "r");
  char *text = calloc(1, 10000);
  CHECK(file && text && fread(text, 1, 9999, file) > 0);
  fclose(file);
  return text;
}

/* The status, and what was said, on one line and without the folders of files. */
static void verdict(subpy_status status) {
  const char *message = status == SUBPY_OK ? "" : subpy_error_message(error, NULL);
  printf("%s%s", subpy_status_name(status) + strlen("SUBPY_"), *message ? ": " : "");
  for (const char *at = message; *at && *at != '\n'; at++) {
    const char *end = at + strcspn(at, " ,:'");
    for (const char *slash; *at == '/' && (slash = memchr(at + 1, '/', (size_t)(end - at - 1)));) at = slash;
    putchar(*at == '/' ? at++, *at : *at);
  }
  putchar('\n');
  fflush(stdout);
  subpy_error_free(error);
  error = NULL;
}

static subpy_thread start(subpy_interp interp, int64_t timeout_ms) {
  subpy_thread thread = 0;
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_EXEC, .interp = interp};
  request.text = code;
  request.text_len = SUBPY_AUTO_LEN;
  request.filename = name;
  request.timeout_ms = timeout_ms;
  OK(subpy_run_in_thread(&request, &thread, &error));
  return thread;
}

static subpy_interp new_interpreter(void) {
  subpy_interp interp = create();
  OK(subpy_define(interp, "host:wait", SUBPY_AUTO_LEN, 0, never_returns, NULL, NULL, &error));
  return interp;
}

int main(int count, char **arguments) {
  CHECK(count == 3);
  /* The time limit, and what everything after it may take: what cannot be ended takes it all. */
  int patience_ms = atoi(arguments[2]);
  int input[2]; /* on which nobody ever writes */
  CHECK(pipe(input) == 0 && dup2(input[0], 0) == 0);
  if (strcmp(arguments[1], "host function") == 0) {
    code = "import host\nhost.wait()\n";
    name = "host_function.py";
  } else {
    code = read_file(arguments[1]);
    name = strrchr(arguments[1], '/') + 1;
  }

  subpy_interp interp = new_interpreter();
  subpy_thread thread = start(interp, patience_ms);
  bool ended = false;
  OK(subpy_thread_wait(thread, 2 * patience_ms, &ended, &error));
  if (ended) {
    verdict(subpy_thread_join(thread, NULL, &error));
    /* Again, for the close. What the first one has left in its own interpreter is there for the shutdown. */
    interp = new_interpreter();
    thread = start(interp, 0);
    bool done = false;
    OK(subpy_thread_wait(thread, BEGUN_MS, &done, &error));
  } else {
    puts("goes on");
  }
  verdict(close_in(interp, patience_ms, SUBPY_CLOSE_INTERRUPT, &error));
  verdict(shut_down_in(patience_ms, SUBPY_CLOSE_INTERRUPT, &error));
  exit(0);
}
