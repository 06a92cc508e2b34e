/* Options for interpreters in processes of their own: what does not go together is refused, with the reason. And an
 * error that is not about such a process's end says so. */
#include "test.h"

static subpy_error *error;

static const char *const folders[] = {"/usr", "/tmp", NULL}, *const relative[] = {"/usr", "here", NULL},
                  *const broken[] = {"/usr", "\xff", NULL}, *const none[] = {NULL};

/* Refused, and nothing was created. */
static void refused(const subpy_interp_options *options, const char *message) {
  subpy_interp interp = 77;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, message, subpy_create(options, &interp, &error));
  CHECK(interp == 0);
}

static void without_a_process(void) {
  const subpy_interp_options zero = {.size = sizeof zero};
  subpy_interp_options wrong = zero;
  wrong.flags = SUBPY_INTERP_LOCKED;
  refused(&wrong, "SUBPY_INTERP_LOCKED needs SUBPY_INTERP_PROCESS: it is about a process");
  wrong = zero, wrong.grace_ms = 1;
  refused(&wrong, "subpy_interp_options.grace_ms needs SUBPY_INTERP_PROCESS: it is about a process");
  wrong = zero, wrong.cpu_limit_ms = 1;
  refused(&wrong, "subpy_interp_options.cpu_limit_ms needs SUBPY_INTERP_PROCESS: it is about a process");
  wrong = zero, wrong.readable = none;
  refused(&wrong, "subpy_interp_options.readable needs SUBPY_INTERP_PROCESS: it is about a process");
  wrong = zero, wrong.writable = folders;
  refused(&wrong, "subpy_interp_options.writable needs SUBPY_INTERP_PROCESS: it is about a process");
}

static void in_a_process(void) {
  const subpy_interp_options process = {.size = sizeof process, .flags = SUBPY_INTERP_PROCESS};
  subpy_interp_options wrong = process;
  wrong.gil = SUBPY_GIL_SHARED;
  refused(&wrong,
          "SUBPY_INTERP_PROCESS needs SUBPY_GIL_OWN: an interpreter in a process of its own shares no GIL");
  wrong = process, wrong.flags |= SUBPY_INTERP_NO_EXTENSION_CHECK;
  refused(&wrong, "SUBPY_INTERP_NO_EXTENSION_CHECK is not for SUBPY_INTERP_PROCESS: an interpreter in a process of its "
                  "own loads all extension modules anyway");
  wrong = process, wrong.readable = folders;
  refused(&wrong, "readable folders need SUBPY_INTERP_LOCKED: without it all that the host can open is open");
  wrong = process, wrong.writable = folders;
  refused(&wrong, "writable folders need SUBPY_INTERP_LOCKED: without it all that the host can open is open");
  const uint64_t programs[] = {SUBPY_INTERP_ALLOW_FORK, SUBPY_INTERP_ALLOW_EXEC};
  for (size_t i = 0; i < 2; i++) {
    wrong = process, wrong.flags |= SUBPY_INTERP_LOCKED | programs[i];
    refused(&wrong, "SUBPY_INTERP_ALLOW_FORK and SUBPY_INTERP_ALLOW_EXEC are not for SUBPY_INTERP_LOCKED, which allows "
                    "neither");
  }
  wrong = process, wrong.flags |= SUBPY_INTERP_LOCKED, wrong.readable = relative;
  refused(&wrong, "readable[1] is \"here\", must be an absolute path");
  wrong.readable = folders, wrong.writable = relative;
  refused(&wrong, "writable[1] is \"here\", must be an absolute path");
  wrong.writable = broken;
  refused(&wrong, "subpy_interp_options.writable[1]: invalid UTF-8 at byte offset 0");
  wrong.flags = SUBPY_INTERP_PROCESS, wrong.readable = broken, wrong.writable = NULL;
  refused(&wrong, "subpy_interp_options.readable[1]: invalid UTF-8 at byte offset 0");
}

static void in_a_pool(void) {
  const subpy_interp_options interp = {.size = sizeof interp, .flags = SUBPY_INTERP_LOCKED};
  const subpy_pool_options options = {.size = sizeof options, .workers = 1, .interp = &interp};
  subpy_pool pool = 77;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...SUBPY_INTERP_LOCKED needs SUBPY_INTERP_PROCESS",
        subpy_pool_new(&options, &pool, &error));
  CHECK(pool == 0);
}

static void of_the_runtime(void) {
  subpy_runtime_options options = {.size = sizeof options, .worker = "\xff"};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "subpy_runtime_options.worker: invalid UTF-8 at byte offset 0",
        subpy_init(&options, &error));
  const char *const modules[] = {"json", "\xff", NULL};
  options.worker = NULL, options.preload = modules;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "subpy_runtime_options.preload[1]: invalid UTF-8 at byte offset 0",
        subpy_init(&options, &error));

  /* They are among the options that a runtime keeps. */
  const char *const good[] = {"json", NULL}, *const others[] = {"json", "decimal", NULL};
  const char *const again[] = {"json", NULL};
  options.preload = good;
  OK(subpy_init(&options, &error));
  options.preload = again;
  OK(subpy_init(&options, &error));
  options.preload = others;
  FAILS(SUBPY_ERROR_WRONG_STATE, "...subpy is running already, with other options", subpy_init(&options, &error));
  options.preload = good, options.worker = "/nowhere";
  FAILS(SUBPY_ERROR_WRONG_STATE, "...subpy is running already, with other options", subpy_init(&options, &error));
}

/* Nothing is written for an error of another kind, or for none. */
static void no_crash(void) {
  int32_t signal = 77, exit_code = 78;
  CHECK(!subpy_error_crash(NULL, &signal, &exit_code));
  subpy_interp interp = create();
  CHECK_STATUS(SUBPY_ERROR_EXECUTION_FAILED, subpy_exec(interp, "1 / 0", SUBPY_AUTO_LEN, &error));
  CHECK(!subpy_error_crash(error, &signal, &exit_code) && !subpy_error_crash(error, NULL, NULL));
  subpy_error_free(error), error = NULL;
  CHECK_STATUS(SUBPY_ERROR_EXECUTION_FAILED, subpy_exec(interp, "raise SystemExit(3)", SUBPY_AUTO_LEN, &error));
  CHECK(!subpy_error_crash(error, &signal, &exit_code));
  subpy_error_free(error), error = NULL;
  CHECK_STATUS(SUBPY_ERROR_NOT_FOUND, subpy_close(5, &error));
  CHECK(!subpy_error_crash(error, &signal, &exit_code) && !subpy_error_display(error, NULL));
  subpy_error_free(error), error = NULL;
  CHECK(signal == 77 && exit_code == 78);
  OK(subpy_close(interp, &error));
}

int main(void) {
  without_a_process();
  in_a_process();
  in_a_pool();
  of_the_runtime();
  no_crash();
  OK(subpy_shutdown(&error));
  return 0;
}
