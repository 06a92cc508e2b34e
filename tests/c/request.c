/* subpy_run: every kind of run with every option, and what is refused. */
#include "guest.h"

static subpy_interp interp;

static subpy_run_request request(int32_t what, const char *text) {
  return (subpy_run_request){
      .size = sizeof(subpy_run_request), .interp = interp, .what = what, .text = text, .text_len = SUBPY_AUTO_LEN};
}

/* Refused by both functions that take a request, with nothing in their outputs. */
static void refused(subpy_run_request bad, const char *message) {
  subpy_error *error = NULL;
  subpy_value result = subpy_int(7);
  subpy_thread thread = 7;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, message, subpy_run(&bad, &result, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, message, subpy_run_in_thread(&bad, &thread, &error));
  CHECK(result.kind == SUBPY_KIND_NONE && result.u.as_int == 0 && thread == 0);
  CHECK(subpy_run(&bad, NULL, NULL) == SUBPY_ERROR_INVALID_ARGUMENT);
}

static void kinds(void) {
  subpy_error *error = NULL;
  subpy_value result = subpy_int(7), args[] = {subpy_int(3)};
  subpy_pair pair = {subpy_str("b", 1), subpy_int(4)};
  subpy_value kwargs = subpy_dict(&pair, 1);

  subpy_run_request exec = request(SUBPY_RUN_EXEC, "  def f(a, b=1): return a * b\n  x = 5");
  OK(subpy_run(&exec, &result, &error));
  CHECK(result.kind == SUBPY_KIND_NONE);
  OK(subpy_run(&exec, NULL, &error));
  exec.text = "x = 6 and garbage", exec.text_len = 5;
  OK(subpy_run(&exec, NULL, &error));

  subpy_run_request eval = request(SUBPY_RUN_EVAL, "x * 7");
  OK(subpy_run(&eval, &result, &error));
  CHECK(result.kind == SUBPY_KIND_INT && result.u.as_int == 42);

  subpy_run_request call = request(SUBPY_RUN_CALL, "f");
  call.args = args, call.nargs = 1;
  OK(subpy_run(&call, &result, &error));
  CHECK(result.u.as_int == 3);
  call.kwargs = &kwargs;
  OK(subpy_run(&call, &result, &error));
  CHECK(result.u.as_int == 12);
  call.nargs = 0;
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "TypeError: f() missing 1 required positional argument: 'a'",
        subpy_run(&call, &result, &error));
  CHECK(result.kind == SUBPY_KIND_NONE);

  /* No text is the empty text. */
  exec = request(SUBPY_RUN_EXEC, NULL);
  exec.text_len = 0;
  OK(subpy_run(&exec, NULL, &error));
}

static void filenames(void) {
  subpy_error *error = NULL;
  subpy_run_request exec = request(SUBPY_RUN_EXEC, "1 / 0");
  exec.filename = "folder/na\xc3\xafve.py";
  CHECK(subpy_run(&exec, NULL, &error) == SUBPY_ERROR_EXECUTION_FAILED);
  CHECK(strcmp(frame_at(error, 0).file, exec.filename) == 0);
  CHECK(strstr(subpy_error_display(error, NULL), "File \"folder/na\xc3\xafve.py\", line 1, in <module>"));
  subpy_error_free(error);
  error = NULL;
  exec.text = "= =";
  FAILS(SUBPY_ERROR_SYNTAX, "SyntaxError: invalid syntax (na\xc3\xafve.py, line 1)", subpy_run(&exec, NULL, &error));
  exec.filename = "";
  FAILS(SUBPY_ERROR_SYNTAX, "...SyntaxError: invalid syntax (", subpy_run(&exec, NULL, &error));
  subpy_run_request eval = request(SUBPY_RUN_EVAL, "1 +");
  eval.filename = "eval.py";
  FAILS(SUBPY_ERROR_SYNTAX, "SyntaxError: invalid syntax (eval.py, line 1)", subpy_run(&eval, NULL, &error));
  eval.filename = "\xff.py";
  refused(eval, "subpy_run_request.filename: invalid UTF-8 at byte offset 0");
  subpy_run_request call = request(SUBPY_RUN_CALL, "f");
  call.filename = "call.py";
  refused(call, "subpy_run_request.filename is for SUBPY_RUN_EXEC and SUBPY_RUN_EVAL");
}

static void fields_that_do_not_apply(void) {
  static const int32_t kinds[] = {SUBPY_RUN_EXEC, SUBPY_RUN_EVAL, SUBPY_RUN_CALL};
  subpy_value arg = subpy_int(1), kwargs = subpy_dict(NULL, 0);
  for (int index = 0; index < 3; index++) {
    subpy_run_request good = request(kinds[index], "f"), bad = good;
    bad.function = 1;
    refused(bad, "...subpy_run_request.function ");
    bad = good, bad.flags = 128;
    refused(bad, "subpy_run_request.flags (for this kind of run) has unknown bits set: 0x80");
    bad = good, bad.flags = UINT32_C(1) << 31;
    refused(bad, "...unknown bits set: 0x80000000");
    if (kinds[index] == SUBPY_RUN_CALL) continue;
    bad = good, bad.args = &arg, bad.nargs = 1;
    refused(bad, "subpy_run_request.args and kwargs are for SUBPY_RUN_CALL and SUBPY_RUN_FUNCTION");
    bad = good, bad.args = &arg;
    refused(bad, "subpy_run_request.args and kwargs are for SUBPY_RUN_CALL and SUBPY_RUN_FUNCTION");
    bad = good, bad.nargs = 1;
    refused(bad, "subpy_run_request.args and kwargs are for SUBPY_RUN_CALL and SUBPY_RUN_FUNCTION");
    bad = good, bad.kwargs = &kwargs;
    refused(bad, "subpy_run_request.args and kwargs are for SUBPY_RUN_CALL and SUBPY_RUN_FUNCTION");
  }
  subpy_run_request bad = request(SUBPY_RUN_EVAL, "1");
  bad.flags = SUBPY_KEEP_INDENT;
  refused(bad, "subpy_run_request.flags (for this kind of run) has unknown bits set: 0x1");
  bad = request(SUBPY_RUN_CALL, "f"), bad.flags = SUBPY_KEEP_INDENT;
  refused(bad, "subpy_run_request.flags (for this kind of run) has unknown bits set: 0x1");
}

static void wrong_fields(void) {
  subpy_run_request bad = request(0, "1");
  refused(bad, "...subpy_run_request.what is 0, must be SUBPY_RUN_EXEC, SUBPY_RUN_EVAL, SUBPY_RUN_CALL or SUBPY_RUN_FUNCTION");
  bad.what = 5; /* a later version's */
  refused(bad, "...what is 5");
  bad.what = -1;
  refused(bad, "...what is -1");
  bad.what = INT32_MIN;
  refused(bad, "...what is -2147483648");
  bad = request(SUBPY_RUN_EXEC, NULL);
  refused(bad, "subpy_run_request.text is NULL");
  bad = request(SUBPY_RUN_EXEC, "a\xff");
  refused(bad, "subpy_run_request.text: invalid UTF-8 at byte offset 1");
  bad.text = "", bad.text_len = (size_t)PTRDIFF_MAX + 1;
  refused(bad, "the length of subpy_run_request.text is 9223372036854775808, more than memory can hold");
  bad = request(SUBPY_RUN_CALL, "f"), bad.nargs = 3;
  refused(bad, "args is NULL but nargs is 3");
  subpy_value wrong = {.kind = 14};
  bad.args = &wrong, bad.nargs = 1;
  refused(bad, "args[0]: kind 14 is not one of SUBPY_KIND_*");
  bad.args = NULL, bad.nargs = 0, bad.kwargs = &wrong;
  refused(bad, "kwargs: kind is 14 (no SUBPY_KIND_*), must be SUBPY_KIND_DICT with str keys");

  /* What the caller did wrong comes before what is wrong with the interpreter. */
  bad = request(7, "1"), bad.interp = 99;
  refused(bad, "...what is 7");
  subpy_error *error = NULL;
  subpy_value result = subpy_int(1);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "request is NULL", subpy_run(NULL, &result, &error));
  CHECK(result.kind == SUBPY_KIND_NONE);
  bad = request(SUBPY_RUN_EVAL, "1"), bad.interp = 99, result = subpy_int(1);
  FAILS(SUBPY_ERROR_NOT_FOUND, "99 is not the handle of an interpreter", subpy_run(&bad, &result, &error));
  CHECK(result.kind == SUBPY_KIND_NONE);
}

static void sizes(void) {
  subpy_error *error = NULL;
  subpy_value result = {0};
  /* An older program's request ends earlier; what it does not know is not read. */
  subpy_run_request older = request(SUBPY_RUN_EVAL, "6 * 7");
  older.size = offsetof(subpy_run_request, function);
  older.function = 99;
  older.args = (const subpy_value *)&older;
  older.filename = "\xff";
  OK(subpy_run(&older, &result, &error));
  CHECK(result.u.as_int == 42);
  older.size = offsetof(subpy_run_request, text_len); /* a text without a length is empty */
  FAILS(SUBPY_ERROR_SYNTAX, "...SyntaxError: ", subpy_run(&older, &result, &error));
  older.size = sizeof older.size;
  refused(older, "...what is 0");
  older.size = 0;
  refused(older, "subpy_run_request->size is 0, set it to sizeof(subpy_run_request)");
  older.size = sizeof older.size - 1;
  refused(older, "...size is 7");
  older.size = SIZE_MAX;
  refused(older, "...size is 18446744073709551615");

  struct {
    subpy_run_request known;
    unsigned char unknown[24];
  } newer = {.known = request(SUBPY_RUN_EVAL, "6 * 7")};
  newer.known.size = sizeof newer;
  OK(subpy_run(&newer.known, &result, &error));
  CHECK(result.u.as_int == 42);
  newer.unknown[23] = 1;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT,
        "subpy_run_request has fields set that this version of subpy (0.1.0) does not know",
        subpy_run(&newer.known, &result, &error));
  newer.known.size--; /* the byte that is set is not part of it any more */
  OK(subpy_run(&newer.known, &result, &error));
}

int main(void) {
  interp = create();
  kinds();
  filenames();
  fields_that_do_not_apply();
  wrong_fields();
  sizes();
  shut_down();
  return 0;
}
