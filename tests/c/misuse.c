/* Wrong arguments to every function: an error that says so, outputs made empty, and never a crash. */
#include "guest.h"

static subpy_interp interp, stale;
static subpy_thread joined;

/* ---- handles ---- */

static void check_handle(subpy_interp bad, const char *message) {
  subpy_error *error = NULL;
  subpy_value value = subpy_int(7);
  subpy_pair pair = {subpy_str("x", 1), subpy_int(1)};
  subpy_value names = subpy_dict(&pair, 1);
  bool running = true;
  int64_t id = 7;
  const char *whence = "unset";
  subpy_thread thread = 7;
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_close(bad, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_exec(bad, "x", 1, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_eval(bad, "1", 1, &value, &error));
  CHECK(value.kind == SUBPY_KIND_NONE && value.flags == 0 && value.len == 0 && value.u.as_int == 0);
  value = subpy_int(7);
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_call(bad, "f", 1, NULL, 0, NULL, &value, &error));
  CHECK(value.kind == SUBPY_KIND_NONE && value.u.as_int == 0);
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_call_in_thread(bad, "f", 1, NULL, 0, NULL, &thread, &error));
  CHECK(thread == 0);
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_prepare_main(bad, &names, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_is_running(bad, &running, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_id(bad, &id, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_whence(bad, &whence, &error));
  CHECK(!running && id == 0 && !whence);
  subpy_run_request request = {.size = sizeof request, .interp = bad, .what = SUBPY_RUN_EXEC};
  value = subpy_int(7), thread = 7;
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_run(&request, &value, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, message, subpy_run_in_thread(&request, &thread, &error));
  CHECK(value.kind == SUBPY_KIND_NONE && thread == 0);
  error = NULL;
  CHECK(subpy_close(bad, &error) == SUBPY_ERROR_NOT_FOUND && subpy_error_interp(error) == bad);
  subpy_error_free(error);
}

static void handles(void) {
  /* Small numbers, other kinds of thing, numbers that are too large. */
  static const uint64_t garbage[] = {1, 2, 1000, UINT64_C(1) << 47, ((uint64_t)HANDLE_FUNCTION << HANDLE_KIND_SHIFT) + 1,
                                     ((uint64_t)HANDLE_THREAD << HANDLE_KIND_SHIFT) + 1, UINT64_C(31) << HANDLE_KIND_SHIFT,
                                     UINT64_C(1) << 53, UINT64_C(1) << 63, UINT64_MAX};
  char message[100];
  for (size_t index = 0; index < sizeof garbage / sizeof *garbage; index++) {
    snprintf(message, sizeof message, "%" PRIu64 " is not the handle of an interpreter", garbage[index]);
    check_handle(garbage[index], message);
  }
  check_handle(0, "0 is not the handle of an interpreter");
  snprintf(message, sizeof message, "%" PRIu64 " is not the handle of an interpreter", joined);
  check_handle(joined, message);
  check_handle(stale, "unrecognized interpreter ID 2");
  check_handle(interp + 1000, "unrecognized interpreter ID 1001");
  check_handle(interp + (UINT64_C(1) << HANDLE_RUNTIME_SHIFT), "unrecognized interpreter ID 1"); /* another runtime's */
}

/* ---- NULL ---- */

static void null_outputs_and_errors(void) {
  subpy_error *error = NULL;
  /* Nobody wants to know. */
  OK(subpy_eval(interp, "1", 1, NULL, NULL));
  OK(subpy_call(interp, "builtins:dict", SUBPY_AUTO_LEN, NULL, 0, NULL, NULL, NULL));
  OK(subpy_exec(interp, "x = 1", SUBPY_AUTO_LEN, NULL));
  OK(subpy_is_running(interp, NULL, NULL));
  OK(subpy_id(interp, NULL, NULL));
  OK(subpy_whence(interp, NULL, NULL));
  OK(subpy_list_all(NULL, 0, NULL, NULL));
  OK(subpy_get_main(NULL, NULL));
  OK(subpy_find(0, NULL, NULL));
  OK(subpy_init(NULL, NULL));
  subpy_thread thread = 0;
  OK(subpy_call_in_thread(interp, "builtins:dict", SUBPY_AUTO_LEN, NULL, 0, NULL, &thread, NULL));
  OK(subpy_thread_join(thread, NULL, NULL));
  CHECK(subpy_get_current(NULL, NULL) == SUBPY_ERROR_NOT_FOUND);
  CHECK(subpy_exec(interp, "1 / 0", SUBPY_AUTO_LEN, NULL) == SUBPY_ERROR_EXECUTION_FAILED);
  CHECK(subpy_exec(interp, "= =", SUBPY_AUTO_LEN, NULL) == SUBPY_ERROR_SYNTAX);
  CHECK(subpy_eval(interp, "object()", SUBPY_AUTO_LEN, &(subpy_value){0}, NULL) == SUBPY_ERROR_NOT_SHAREABLE);
  CHECK(subpy_exec(0, "", 0, NULL) == SUBPY_ERROR_NOT_FOUND);
  CHECK(subpy_thread_join(0, NULL, NULL) == SUBPY_ERROR_NOT_FOUND);
  CHECK(subpy_close(stale, NULL) == SUBPY_ERROR_NOT_FOUND);
  CHECK(subpy_find(-1, NULL, NULL) == SUBPY_ERROR_INVALID_ARGUMENT);
  CHECK(subpy_run(NULL, NULL, NULL) == SUBPY_ERROR_INVALID_ARGUMENT);
  CHECK(subpy_run_in_thread(NULL, NULL, NULL) == SUBPY_ERROR_INVALID_ARGUMENT);
  CHECK(subpy_prepare_main(interp, NULL, NULL) == SUBPY_ERROR_INVALID_ARGUMENT);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "interp is NULL: nobody could close the interpreter",
        subpy_create(NULL, NULL, &error));
  subpy_value_free(NULL);
  subpy_error_free(NULL);
  subpy_thread_free(0);
}

static void null_inputs(void) {
  subpy_error *error = NULL;
  subpy_value value = subpy_int(7);
  subpy_thread thread = 7;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "code is NULL", subpy_exec(interp, NULL, SUBPY_AUTO_LEN, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "expression is NULL", subpy_eval(interp, NULL, 5, &value, &error));
  CHECK(value.kind == SUBPY_KIND_NONE && value.u.as_int == 0);
  value = subpy_int(7);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "callable is NULL", subpy_call(interp, NULL, 5, NULL, 0, NULL, &value, &error));
  CHECK(value.kind == SUBPY_KIND_NONE && value.u.as_int == 0);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "callable is NULL",
        subpy_call_in_thread(interp, NULL, SUBPY_AUTO_LEN, NULL, 0, NULL, &thread, &error));
  CHECK(thread == 0);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "args is NULL but nargs is 1",
        subpy_call(interp, "f", 1, NULL, 1, NULL, &value, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "names is NULL", subpy_prepare_main(interp, NULL, &error));
  CHECK(subpy_value_get(NULL, "key", 3) == NULL);
}

/* ---- lengths ---- */

static void lengths(void) {
  static const size_t too_long[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX - 1};
  subpy_error *error = NULL;
  subpy_value value = subpy_int(7);
  subpy_thread thread = 7;
  for (int index = 0; index < 2; index++) {
    size_t len = too_long[index];
    FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...the length of code is ", subpy_exec(interp, "", len, &error));
    FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...the length of expression is ", subpy_eval(interp, "", len, &value, &error));
    FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...the length of callable is ",
          subpy_call(interp, "", len, NULL, 0, NULL, &value, &error));
    FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...the length of callable is ",
          subpy_call_in_thread(interp, "", len, NULL, 0, NULL, &thread, &error));
    CHECK(value.kind == SUBPY_KIND_NONE && thread == 0);
    subpy_value text = subpy_str("", len), bytes = subpy_bytes((const uint8_t *)"", len), hex = subpy_bigint("", len);
    subpy_value tuple = subpy_tuple(&value, len), list = subpy_list(&value, len);
    subpy_pair pair = {subpy_none(), subpy_none()};
    subpy_value dict = subpy_dict(&pair, len), *all[] = {&text, &bytes, &hex, &tuple, &list, &dict};
    for (int kind = 0; kind < 6; kind++)
      FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...args[0]: SUBPY_KIND_",
            subpy_call(interp, "builtins:id", SUBPY_AUTO_LEN, all[kind], 1, NULL, NULL, &error));
  }
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...more than memory can hold",
        subpy_call(interp, "f", 1, &value, SIZE_MAX / 24, NULL, NULL, &error));
  subpy_value bytes = subpy_bytes((const uint8_t *)"", SUBPY_AUTO_LEN);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT,
        "...(SUBPY_AUTO_LEN works for text alone, through subpy_str())",
        subpy_call(interp, "builtins:id", SUBPY_AUTO_LEN, &bytes, 1, NULL, NULL, &error));
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

/* All of it before the first start: nothing is started by asking about what cannot be there. */
static void before_the_start(void) {
  subpy_error *error = NULL;
  subpy_value value = subpy_int(1);
  check_handle(0, "0 is not the handle of an interpreter");
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "code is NULL", subpy_exec(0, NULL, 1, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...is not the handle of a thread", subpy_thread_join(5, &value, &error));
  subpy_interp_options options = {.size = sizeof options, .gil = 7};
  subpy_interp created = 1;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...gil is 7", subpy_create(&options, &created, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "interp is NULL: nobody could close the interpreter",
        subpy_create(NULL, NULL, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...-5", subpy_find(-5, &created, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "this thread is in no interpreter", subpy_get_current(&created, &error));
  CHECK(created == 0 && value.kind == SUBPY_KIND_NONE);
  OK(subpy_shutdown(&error));
  CHECK(subpy_python_version() == NULL && subpy_python_library() == NULL);
}

int main(void) {
  subpy_error *error = NULL;
  before_the_start();
  interp = create();
  stale = create();
  OK(subpy_close(stale, &error));
  OK(subpy_call_in_thread(interp, "builtins:dict", SUBPY_AUTO_LEN, NULL, 0, NULL, &joined, &error));
  OK(subpy_thread_join(joined, NULL, &error));
  handles();
  null_outputs_and_errors();
  null_inputs();
  lengths();
  written_over();
  names_of_statuses();
  runtime_options();
  shut_down();
  OK(subpy_shutdown(&error)); /* twice is fine */
  check_handle(interp, "unrecognized interpreter ID 1");
  CHECK(subpy_python_version() != NULL);
  return 0;
}
