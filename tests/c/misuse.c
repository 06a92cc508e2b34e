/* Messages about wrong arguments, word by word. What comes of every wrong argument is in tests/misuse. */
#include "guest.h"

static subpy_interp interp, stale;

/* What an invented handle may be: the number itself is said, or which interpreter it was. */
static void messages(void) {
  subpy_error *error = NULL;
  FAILS(SUBPY_ERROR_NOT_FOUND, "0 is not the handle of an interpreter", subpy_exec(0, "x", 1, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "9223372036854775808 is not the handle of an interpreter",
        subpy_close(UINT64_C(1) << 63, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "unrecognized interpreter ID 2", subpy_exec(stale, "x", 1, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "unrecognized interpreter ID 1001", subpy_exec(interp + 1000, "x", 1, &error));
  /* another runtime's */
  FAILS(SUBPY_ERROR_NOT_FOUND, "unrecognized interpreter ID 1",
        subpy_exec(interp + (UINT64_C(1) << HANDLE_RUNTIME_SHIFT), "x", 1, &error));
  CHECK(subpy_close(stale, &error) == SUBPY_ERROR_NOT_FOUND && subpy_error_interp(error) == stale);
  subpy_error_free(error);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "interp is NULL: nobody could close the interpreter",
        subpy_create(NULL, NULL, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "args is NULL but nargs is 1",
        subpy_call(interp, "f", 1, NULL, 1, NULL, NULL, &error));
  subpy_value bytes = subpy_bytes((const uint8_t *)"", SUBPY_AUTO_LEN);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT,
        "...(SUBPY_AUTO_LEN works for text alone, through subpy_str())",
        subpy_call(interp, "builtins:id", SUBPY_AUTO_LEN, &bytes, 1, NULL, NULL, &error));
}

/* Nobody wants to know. */
static void failures_without_errors(void) {
  CHECK(subpy_exec(interp, "1 / 0", SUBPY_AUTO_LEN, NULL) == SUBPY_ERROR_EXECUTION_FAILED);
  CHECK(subpy_exec(interp, "= =", SUBPY_AUTO_LEN, NULL) == SUBPY_ERROR_SYNTAX);
  CHECK(subpy_eval(interp, "object()", SUBPY_AUTO_LEN, &(subpy_value){0}, NULL) == SUBPY_ERROR_NOT_SHAREABLE);
  CHECK(subpy_exec(0, "", 0, NULL) == SUBPY_ERROR_NOT_FOUND);
  CHECK(subpy_find(-1, NULL, NULL) == SUBPY_ERROR_INVALID_ARGUMENT);
}

/* ---- errors and values that are used twice ---- */

static void written_over(void) {
  subpy_error *error = NULL;
  subpy_value result = {0};
  OK(subpy_eval(interp, "[1, 2, 3]", SUBPY_AUTO_LEN, &result, &error));
  subpy_value_free(&result);
  subpy_value_free(&result);
  CHECK(result.kind == SUBPY_KIND_NONE && result.flags == 0);
  subpy_value made = subpy_str("borrowed", SUBPY_AUTO_LEN);
  subpy_value_free(&made);
  CHECK(made.kind == SUBPY_KIND_STR && made.len == 8);
  /* Success writes NULL over what was in `error`: it is an output, not looked at. */
  subpy_error *junk = (subpy_error *)(uintptr_t)0x10;
  CHECK(subpy_exec(interp, "x = 1", SUBPY_AUTO_LEN, &junk) == SUBPY_OK && !junk);
  bool running = true;
  OK(subpy_is_running(interp, &running, &error));
  CHECK(!running);
}

static void names_of_statuses(void) {
  CHECK(strcmp(subpy_status_name(SUBPY_OK), "SUBPY_OK") == 0);
  CHECK(strcmp(subpy_status_name(SUBPY_ERROR_INVALID_ARGUMENT), "SUBPY_ERROR_INVALID_ARGUMENT") == 0);
  CHECK(strcmp(subpy_status_name(SUBPY_ERROR_PANIC), "SUBPY_ERROR_PANIC") == 0);
  for (int32_t status = -16; status <= 0; status++)
    CHECK(strcmp(subpy_status_name(status), "SUBPY_ERROR_UNKNOWN") != 0);
  CHECK(strcmp(subpy_status_name(1), "SUBPY_ERROR_UNKNOWN") == 0);
  CHECK(strcmp(subpy_status_name(-17), "SUBPY_ERROR_UNKNOWN") == 0);
  CHECK(strcmp(subpy_status_name(INT32_MIN), "SUBPY_ERROR_UNKNOWN") == 0);
}

static void runtime_options(void) {
  subpy_error *error = NULL;
  subpy_runtime_options options = {.size = sizeof options, .flags = UINT64_C(1) << 60};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "subpy_runtime_options.flags has unknown bits set: 0x1000000000000000",
        subpy_init(&options, &error));
  options.flags = 0, options.python = "\xff";
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "subpy_runtime_options.python: invalid UTF-8 at byte offset 0",
        subpy_init(&options, &error));
  options.size = 1;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT,
        "subpy_runtime_options->size is 1, set it to sizeof(subpy_runtime_options)", subpy_init(&options, &error));
  options.size = sizeof options, options.python = NULL, options.flags = SUBPY_RUNTIME_NO_SITE;
  FAILS(SUBPY_ERROR_WRONG_STATE, "...subpy is running already, with other options", subpy_init(&options, &error));
}

int main(void) {
  subpy_error *error = NULL;
  /* Nothing is started by asking about what cannot be there. */
  FAILS(SUBPY_ERROR_NOT_FOUND, "0 is not the handle of an interpreter", subpy_exec(0, "x", 1, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "code is NULL", subpy_exec(0, NULL, 1, &error));
  OK(subpy_shutdown(&error));
  CHECK(subpy_python_version() == NULL && subpy_python_library() == NULL);
  interp = create();
  stale = create();
  OK(subpy_close(stale, &error));
  messages();
  failures_without_errors();
  written_over();
  names_of_statuses();
  runtime_options();
  shut_down();
  OK(subpy_shutdown(&error)); /* twice is fine */
  FAILS(SUBPY_ERROR_NOT_FOUND, "unrecognized interpreter ID 1", subpy_exec(interp, "x", 1, &error));
  CHECK(subpy_python_version() != NULL);
  return 0;
}
