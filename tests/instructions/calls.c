/* Does one thing after the other many times, and has callgrind write down what each costs. */
#include <unistd.h>
#include <valgrind/callgrind.h>

#include "../c/values.h"

static subpy_interp interp;
static subpy_function function, from_c;
static subpy_value list[1000], text;

/* A table of 50 rows. */
static subpy_pair table[50], fields[50][4];
static char keys[50][16], names[50][16];

static void call(const char *name, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  subpy_error *error = NULL;
  subpy_value result = {0};
  OK(subpy_call(interp, name, SUBPY_AUTO_LEN, args, nargs, kwargs, &result, &error));
  subpy_value_free(&result);
}

static void call_0(void) { call("nothing", NULL, 0, NULL); }

static void call_2(void) {
  subpy_value args[] = {subpy_int(1), subpy_int(2000)};
  call("add", args, 2, NULL);
}

static void call_keyword(void) {
  subpy_value args[] = {subpy_int(1)};
  subpy_pair pair = {TEXT("b"), subpy_int(2000)};
  subpy_value kwargs = subpy_dict(&pair, 1);
  call("add", args, 1, &kwargs);
}

static void call_module(void) {
  subpy_value args[] = {subpy_float(2)};
  call("math:sqrt", args, 1, NULL);
}

static void call_text(void) { call("same", &text, 1, NULL); }

static void call_list(void) {
  subpy_value args[] = {subpy_list(list, 1000)};
  call("same", args, 1, NULL);
}

static void call_short_text(void) {
  subpy_value args[] = {TEXT("a short one")};
  call("same", args, 1, NULL);
}

static void list_in(void) {
  subpy_value args[] = {subpy_list(list, 1000)};
  call("length", args, 1, NULL);
}

static void list_out(void) { call("numbers", NULL, 0, NULL); }

static void table_in(void) {
  subpy_value args[] = {subpy_dict(table, COUNT(table))};
  call("length", args, 1, NULL);
}

static void table_out(void) { call("table", NULL, 0, NULL); }

/* A thousand keys: more than an interpreter keeps. */
static void keys_in(void) {
  static subpy_pair pairs[1000];
  static char texts[COUNT(pairs)][16];
  for (size_t i = 0; i < COUNT(pairs); i++) {
    if (texts[i][0] == 0) snprintf(texts[i], sizeof texts[i], "a key %zu", i);
    pairs[i] = (subpy_pair){TEXT(texts[i]), subpy_int(1)};
  }
  subpy_value args[] = {subpy_dict(pairs, COUNT(pairs))};
  call("length", args, 1, NULL);
}

static void call_function(void) {
  subpy_error *error = NULL;
  subpy_value args[] = {subpy_int(1), subpy_int(2000)}, result = {0};
  OK(subpy_function_call(function, args, 2, NULL, &result, &error));
  subpy_value_free(&result);
}

static void rows(subpy_function called, size_t count, size_t nargs) {
  subpy_error *error = NULL;
  subpy_value results = {0};
  OK(subpy_function_call_many(called, list, count, nargs, 0, &results, &error));
  subpy_value_free(&results);
}

static void rows_10(void) { rows(function, 10, 2); }

static void rows_100(void) { rows(function, 100, 2); }

static void rows_of_c(void) { rows(from_c, 100, 1); }

static subpy_cancel cancel;

static void run_call(int64_t timeout_ms, subpy_cancel with) {
  subpy_error *error = NULL;
  subpy_value args[] = {subpy_int(1), subpy_int(2000)}, result = {0};
  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_CALL, .text = "add",
                               .text_len = SUBPY_AUTO_LEN, .args = args, .nargs = 2, .timeout_ms = timeout_ms,
                               .cancel = with};
  OK(subpy_run(&request, &result, &error));
  subpy_value_free(&result);
}

static void run_2(void) { run_call(0, 0); }

static void run_2_limit(void) { run_call(10000, 0); }

static void run_2_token(void) { run_call(0, cancel); }

static void exec(void) {
  subpy_error *error = NULL;
  OK(subpy_exec(interp, "x = 1", SUBPY_AUTO_LEN, &error));
}

static void enter_and_leave(void) {
  subpy_error *error = NULL;
  OK(subpy_enter(interp, &error));
  OK(subpy_leave(interp, &error));
}

static void sum(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  if (nargs != 2 || kwargs != NULL || args[0].kind != SUBPY_KIND_INT || args[1].kind != SUBPY_KIND_INT) {
    (void)subpy_context_raise(ctx, "TypeError", SUBPY_AUTO_LEN, "two ints are needed", SUBPY_AUTO_LEN);
    return;
  }
  subpy_value result = subpy_int(args[0].u.as_int + args[1].u.as_int + *(const int64_t *)userdata);
  (void)subpy_context_return(ctx, &result);
}

static void host_released(void) { call("loop_released", NULL, 0, NULL); }
static void host_kept(void) { call("loop_kept", NULL, 0, NULL); }

static const struct {
  const char *name;
  void (*act)(void);
} ACTS[] = {
    {"call()", call_0},
    {"call(int, int)", call_2},
    {"call(int, b=int)", call_keyword},
    {"call math:sqrt(float)", call_module},
    {"call(str of 1 KiB) -> str", call_text},
    {"call(list of 1,000 ints) -> list", call_list},
    {"call(short str) -> str", call_short_text},
    {"call(list of 1,000 ints)", list_in},
    {"call() -> list of 1,000 ints", list_out},
    {"call(50 dicts of 4)", table_in},
    {"call() -> 50 dicts of 4", table_out},
    {"call(dict of 1,000)", keys_in},
    {"function(int, int)", call_function},
    {"function(int, int) in a session", call_function},
    {"function(int, int), 10 rows", rows_10},
    {"function(int, int), 100 rows", rows_100},
    {"math:sqrt(int), 100 rows", rows_of_c},
    {"host function(int, int), 100 times", host_released},
    {"host function(int, int) with the GIL, 100 times", host_kept},
    {"run add(int, int)", run_2},
    {"run add(int, int) with a time limit", run_2_limit},
    {"run add(int, int) with a token", run_2_token},
    {"exec x = 1", exec},
    {"enter and leave", enter_and_leave},
};

enum { FIRST = 100, COUNTED = 200 };

int main(void) {
  static int64_t data;
  subpy_error *error = NULL;
  interp = create();
  puts(subpy_python_library());
  fflush(stdout);
  run(interp, "def nothing(): pass\ndef add(a, b): return a + b\ndef same(value): return value\n"
              "def length(value): return len(value)\ndef numbers(): return NUMBERS\ndef table(): return TABLE\n"
              "NUMBERS = list(range(1000, 2000))\n"
              "TABLE = {f'key {i}': {'id': i, 'name': f'name {i}', 'price': i + .5, 'active': True} for i in range(50)}");
  OK(subpy_define(interp, "released", SUBPY_AUTO_LEN, 0, sum, &data, NULL, &error));
  OK(subpy_define(interp, "kept", SUBPY_AUTO_LEN, SUBPY_DEFINE_KEEP_GIL, sum, &data, NULL, &error));
  run(interp, "def loop_released():\n  for _ in range(100): released(1000, 2000)\n"
              "def loop_kept():\n  for _ in range(100): kept(1000, 2000)");
  OK(subpy_cancel_new(&cancel, &error));
  /* The first limit starts a thread: that is over, and the thread asleep, before anything is counted. */
  run_2_limit();
  usleep(200000);
  OK(subpy_function_new(interp, "add", SUBPY_AUTO_LEN, &function, &error));
  OK(subpy_function_new(interp, "math:sqrt", SUBPY_AUTO_LEN, &from_c, &error));
  static char letters[1025];
  memset(letters, 'x', 1024);
  text = subpy_str(letters, 1024);
  for (int i = 0; i < 1000; i++) list[i] = subpy_int(i * 1000);
  for (int i = 0; i < 50; i++) {
    snprintf(keys[i], sizeof keys[i], "key %d", i);
    snprintf(names[i], sizeof names[i], "name %d", i);
    fields[i][0] = (subpy_pair){TEXT("id"), subpy_int(i)};
    fields[i][1] = (subpy_pair){TEXT("name"), TEXT(names[i])};
    fields[i][2] = (subpy_pair){TEXT("price"), subpy_float(i + .5)};
    fields[i][3] = (subpy_pair){TEXT("active"), subpy_bool(true)};
    table[i] = (subpy_pair){TEXT(keys[i]), subpy_dict(fields[i], 4)};
  }
  for (size_t i = 0; i < sizeof ACTS / sizeof *ACTS; i++) {
    bool session = strstr(ACTS[i].name, "session") != NULL;
    if (session) OK(subpy_enter(interp, &error));
    for (int n = 0; n < FIRST; n++) ACTS[i].act();
    CALLGRIND_ZERO_STATS;
    for (int n = 0; n < COUNTED; n++) ACTS[i].act();
    CALLGRIND_DUMP_STATS_AT(ACTS[i].name);
    if (session) OK(subpy_leave(interp, &error));
  }
  _exit(0); /* the end of Python costs the same each time, and takes a while */
}
