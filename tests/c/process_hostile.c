/* Processes that do not keep to the rules: they write into the memory that they share with the host while it reads, and
 * nonsense over their socket. The host gets errors, and nothing else happens to it. SUBPY_RACE_SEED and SUBPY_RACE_SECONDS
 * are for trying more. */
#include <stdatomic.h>

#include "deaths.h"

static subpy_error *error;
static uint64_t seed;

/* The memory of the channels, by its place; scribble() changes a word of it, at one of the first places most often. */
static const char SCRIBBLES[] =
    "import ctypes, os, random, re, threading, time, socket, struct\n"
    "import host\n"
    "random.seed(int(os.environ.get('SUBPY_RACE_SEED', '0')) + os.getpid())\n"
    "def channels():\n"
    "  found = []\n"
    "  for line in open('/proc/self/maps'):\n"
    "    if 'memfd:' in line and 'rw-s' in line:\n"
    "      start, end = (int(at, 16) for at in line.split()[0].split('-'))\n"
    "      found.append((start, end - start))\n"
    "  return found\n"
    "def word(size):\n"
    "  return random.choice([random.randrange(64), random.randrange(512), random.randrange(size // 4)]) * 4\n"
    "def value(old):\n"
    "  return random.choice([0, 1, old + 1, old + 4, old - 4, old ^ (1 << random.randrange(32)), 1 << 31, 0xffffffff,\n"
    "                        random.getrandbits(32), random.getrandbits(8)]) & 0xffffffff\n"
    "def scribble(count):\n"
    "  for start, size in channels():\n"
    "    for _ in range(count):\n"
    "      at = ctypes.c_uint32.from_address(start + word(size))\n"
    "      at.value = value(at.value)\n"
    "def scribble_on(pause):\n"
    "  while True:\n"
    "    scribble(random.randrange(1, 20))\n"
    "    time.sleep(random.random() * pause)\n"
    "def say():\n"
    "  for d in range(3, 40):\n"
    "    try:\n"
    "      if os.readlink(f'/proc/self/fd/{d}').startswith('socket:'): break\n"
    "    except OSError: pass\n"
    "  s = socket.socket(fileno=os.dup(d))\n"
    "  for _ in range(random.randrange(1, 3000)):\n"
    "    tag = random.choice([9, 9, 9, 7, 7, random.randrange(16)])\n"
    "    body = random.choice([b'', struct.pack('<Q', random.getrandbits(64)), os.urandom(random.randrange(20))])\n"
    "    if tag in (9, 7) and random.randrange(50): body = b'' if tag == 9 else struct.pack('<Q', random.getrandbits(3))\n"
    "    fds = [os.open('/dev/null', os.O_RDONLY) for _ in range(random.choice([0, 0, 0, 1, 5]))]\n"
    "    try: socket.send_fds(s, [bytes([tag]) + body], fds)\n"
    "    except OSError: pass\n"
    "    for f in fds: os.close(f)\n"
    "def f(*a): return [a, {'x': 1, 'y': 'text' * 5}, b'bytes' * 9, 1 << 70, 1.5]\n"
    "def back(n): return host.back(n, 'text', [1, (2, 3)])\n";

static void back(void *userdata, subpy_context *ctx, const subpy_value *args, size_t nargs, const subpy_value *kwargs) {
  (void)userdata, (void)nargs, (void)kwargs;
  if (nargs == 0 || args[0].kind != SUBPY_KIND_INT) return;
  if (args[0].u.as_int % 2) (void)subpy_exec(subpy_context_interp(ctx), "x = 1", SUBPY_AUTO_LEN, NULL);
  subpy_value text = subpy_str("back", SUBPY_AUTO_LEN);
  (void)subpy_context_return(ctx, &text);
}

/* What may be said by a process that lies: an error, or a value that is wrong. */
static bool lives(subpy_status status) {
  CHECK(status != SUBPY_ERROR_PANIC);
  return status != SUBPY_ERROR_CRASHED && status != SUBPY_ERROR_NOT_FOUND;
}

/* All of it is looked at. */
static size_t look(const subpy_value *value) {
  size_t sum = 0;
  if (value->kind == SUBPY_KIND_STR || value->kind == SUBPY_KIND_BYTES || value->kind == SUBPY_KIND_BIGINT) {
    for (size_t i = 0; i < value->len; i++) sum += (unsigned char)value->u.as_str[i];
  } else if (value->kind == SUBPY_KIND_LIST || value->kind == SUBPY_KIND_TUPLE) {
    for (size_t i = 0; i < value->len; i++) sum += look(&value->u.as_items[i]);
  } else if (value->kind == SUBPY_KIND_DICT) {
    for (size_t i = 0; i < value->len; i++)
      sum += look(&value->u.as_pairs[i].key) + look(&value->u.as_pairs[i].value);
  }
  return sum;
}

static size_t looked;

static void talk_to(const char *hostility, int calls) {
  subpy_interp interp = create_process_with(SUBPY_BUSY_REFUSE, 500, 50);
  OK(subpy_define(interp, "host:back", SUBPY_AUTO_LEN, 0, back, NULL, NULL, &error));
  subpy_run_request setup = {.size = sizeof setup, .interp = interp, .what = SUBPY_RUN_EXEC, .text = SCRIBBLES,
                             .text_len = SUBPY_AUTO_LEN, .timeout_ms = 20000};
  OK(subpy_run(&setup, NULL, &error));
  bool goes_on = lives(subpy_exec(interp, hostility, SUBPY_AUTO_LEN, NULL));
  for (int i = 0; goes_on && i < calls; i++) {
    subpy_value args[] = {subpy_int(i), subpy_str("an argument", SUBPY_AUTO_LEN)}, result = {0};
    subpy_object object = 0;
    size_t count = 0;
    subpy_memory_info info = {.size = sizeof info};
    switch (i % 6) {
      case 0:
      case 1: goes_on = lives(subpy_call(interp, "f", SUBPY_AUTO_LEN, args, 2, NULL, &result, NULL)); break;
      case 2: goes_on = lives(subpy_call(interp, "back", SUBPY_AUTO_LEN, args, 1, NULL, &result, NULL)); break;
      case 3: goes_on = lives(subpy_eval(interp, "1 / 0", SUBPY_AUTO_LEN, &result, NULL)); break;
      case 4: {
        subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EVAL, .text = "[f, 1]",
                                     .text_len = SUBPY_AUTO_LEN, .flags = SUBPY_RESULT_OBJECT};
        goes_on = lives(subpy_run(&request, &result, NULL));
        if (result.kind == SUBPY_KIND_OBJECT && subpy_object_keep(result.u.as_object, &object, NULL) == SUBPY_OK)
          subpy_object_free(object);
        break;
      }
      default: goes_on = lives(subpy_memory(interp, &info, NULL)); count++;
    }
    looked += look(&result) + count;
    subpy_value_free(&result);
  }
  subpy_close_options options = {.size = sizeof options, .timeout_ms = 200, .flags = SUBPY_CLOSE_INTERRUPT};
  subpy_status status = subpy_close_with(interp, &options, NULL);
  CHECK(status == SUBPY_OK || status == SUBPY_ERROR_NOT_FOUND || status == SUBPY_ERROR_CRASHED);
}

static const char *const HOSTILITIES[] = {
    "threading.Thread(target=scribble_on, args=(0.0005,), daemon=True).start()",
    "threading.Thread(target=scribble_on, args=(0.01,), daemon=True).start()",
    "scribble(1)",
    "scribble(1000)",
    "say()",
    "threading.Thread(target=say, daemon=True).start()",
    "threading.Thread(target=lambda: [say() for _ in range(20)], daemon=True).start()",
};

int main(int argc, char **argv) {
  (void)argc;
  mark_processes(argv, 280);
  const char *given = getenv("SUBPY_RACE_SEED"), *seconds = getenv("SUBPY_RACE_SECONDS");
  seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
  char text[32];
  snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
  CHECK(setenv("SUBPY_RACE_SEED", text, 1) == 0);
  subpy_interp other = create_process();
  double until = now() + (seconds ? atof(seconds) : 8);
  int rounds = 0;
  do {
    for (size_t i = 0; i < sizeof HOSTILITIES / sizeof *HOSTILITIES; i++, rounds++) {
      if (getenv("VERBOSE")) fprintf(stderr, "%d %zu\n", rounds, i);
      talk_to(HOSTILITIES[i], 200);
      CHECK(number(other, "6 * 7") == 42);
    }
  } while (now() < until);
  OK(subpy_close(other, &error));
  shut_down();
  until_processes(0);
  fprintf(stderr, "process_hostile: %d processes, %zu\n", rounds, looked);
  return 0;
}
