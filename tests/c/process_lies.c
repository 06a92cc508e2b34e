/* Processes that say something else than what they were asked for, as it should be said. What is promised of a result is
 * true all the same: whoever gets as many values as there are rows does not count them. */
#include "deaths.h"

static subpy_error *error;

/* forge() puts a reply into the memory that the host reads, a value that is one, and gives it the turn. */
static const char LIES[] =
    "import ctypes, struct, time\n"
    "def forge(root, rest=b'', value=1):\n"
    "  for line in open('/proc/self/maps'):\n"
    "    if 'memfd:' not in line or 'rw-s' not in line: continue\n"
    "    start, end = (int(at, 16) for at in line.split()[0].split('-'))\n"
    "    turn = ctypes.c_uint32.from_address(start + 128)\n"
    "    if end - start != 1 << 20 or not turn.value & 4: continue\n"
    "    said = struct.pack('<iIQQ', *root) + rest if value else b''\n"
    "    ctypes.memmove(start + 160, said, len(said))\n"
    "    ctypes.memmove(start + 132, struct.pack('<IQQQ', 0x100 | value << 16, len(said), 0, 0), 28)\n"
    "    turn.value = (turn.value & ~3) + 4\n"
    "  time.sleep(60)\n"
    "one = struct.pack('<iIQQ', 2, 0, 0, 1)\n"
    "def nothing(*a): forge((0, 0, 0, 0), value=0)\n"
    "def number(*a): forge((2, 0, 0, 5))\n"
    "def two(*a): forge((8, 0, 2, 48), one * 2)\n"
    "def tagged(*a): forge((8, 1, 3, 72), one * 3)\n"
    "def a_tuple(*a): forge((7, 0, 3, 72), one * 3)\n"
    "def true(*a): forge((8, 0, 3, 72), one * 3)\n"
    "class Object:\n"
    "  def __init__(self, root): self.root = root\n"
    "  def __str__(self): forge(self.root)\n"
    "  def __iter__(self): forge(self.root)\n";

static subpy_interp liar(void) {
  subpy_interp interp = create_process();
  OK(subpy_exec(interp, LIES, SUBPY_AUTO_LEN, &error));
  return interp;
}

static void is_found_out(subpy_interp interp, subpy_status status) {
  CHECK(status == SUBPY_ERROR_INTERPRETER);
  CHECK(strstr(subpy_error_message(error, NULL), "a result is not of the kind that was asked for"));
  subpy_error_free(error);
  error = NULL;
  CHECK(subpy_close(interp, NULL) != SUBPY_ERROR_BUSY);
}

static void rows_are_as_many_as_were_asked(void) {
  static const char *const names[] = {"nothing", "number", "two", "tagged", "a_tuple"};
  subpy_value rows[] = {subpy_int(1), subpy_int(2), subpy_int(3)};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    subpy_interp interp = liar();
    subpy_function function = 0;
    OK(subpy_function_new(interp, names[i], SUBPY_AUTO_LEN, &function, &error));
    subpy_value results = subpy_int(7);
    uint32_t flags = i % 2 ? SUBPY_RETURN_ERRORS : 0;
    is_found_out(interp, subpy_function_call_many(function, rows, 3, 1, flags, &results, &error));
    CHECK(results.kind == SUBPY_KIND_NONE);
    subpy_function_free(function);
  }
  /* What is forged as it should be is believed: so the others are refused for what they say. */
  subpy_interp interp = liar();
  subpy_function function = 0;
  OK(subpy_function_new(interp, "true", SUBPY_AUTO_LEN, &function, &error));
  subpy_value results = {0};
  OK(subpy_function_call_many(function, rows, 3, 1, 0, &results, &error));
  CHECK(results.kind == SUBPY_KIND_LIST && results.len == 3 && results.u.as_items[2].u.as_int == 1);
  subpy_value_free(&results);
  subpy_function_free(function);
  subpy_close_options options = {.size = sizeof options, .timeout_ms = 100, .flags = SUBPY_CLOSE_INTERRUPT};
  (void)subpy_close_with(interp, &options, NULL);
}

/* A number that is the handle of another interpreter's object is none of this one's. */
static void objects_are_its_own(void) {
  subpy_interp other = create_process();
  subpy_function secret = 0;
  OK(subpy_function_new(other, "builtins:len", SUBPY_AUTO_LEN, &secret, &error));
  for (int way = 0; way < 3; way++) {
    subpy_interp interp = liar();
    char source[64];
    snprintf(source, sizeof source, "Object((2, 0, 0, %llu))", (unsigned long long)secret);
    subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EVAL, .text = source,
                                 .text_len = SUBPY_AUTO_LEN, .flags = SUBPY_RESULT_OBJECT};
    subpy_value object = {0}, result = subpy_int(7);
    OK(subpy_run(&request, &object, &error));
    subpy_object iterator = 7;
    switch (way) {
      case 0: is_found_out(interp, subpy_object_iter(object.u.as_object, &iterator, &error)); break;
      case 1: is_found_out(interp, subpy_object_text(object.u.as_object, &result, &error)); break;
      default: request.text = "number()"; is_found_out(interp, subpy_run(&request, &result, &error));
    }
    CHECK(iterator == (way == 0 ? 0 : 7) && result.kind == (way == 0 ? SUBPY_KIND_INT : SUBPY_KIND_NONE));
    subpy_value_free(&object);
  }
  subpy_function_free(secret);
  OK(subpy_close(other, &error));
}

int main(int argc, char **argv) {
  (void)argc;
  mark_processes(argv, 280);
  rows_are_as_many_as_were_asked();
  objects_are_its_own();
  shut_down();
  until_processes(0);
  return 0;
}
