/* Queues between processes: those of interpreters, and the host's. What queues do anywhere is in queues.c. */
#include <dirent.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <time.h>

#include "guest.h"
#include "values.h"

static subpy_error *error;

static subpy_interp create_process(void) {
  subpy_interp_options options = {
      .size = sizeof options, .busy = SUBPY_BUSY_SHARE, .flags = SUBPY_INTERP_PROCESS, .grace_ms = 5000};
  subpy_interp interp = 0;
  OK(subpy_create(&options, &interp, &error));
  return interp;
}

static subpy_queue new_queue(size_t capacity) {
  subpy_queue_options options = {.size = sizeof options, .capacity = capacity};
  subpy_queue queue = 0;
  OK(subpy_queue_new(&options, &queue, &error));
  return queue;
}

static void give(subpy_interp interp, const char *name, subpy_queue queue) {
  subpy_pair pair = {TEXT(name), subpy_value_from_queue(queue)};
  subpy_value names = subpy_dict(&pair, 1);
  OK(subpy_prepare_main(interp, &names, &error));
}

static void put(subpy_queue queue, int64_t number) {
  subpy_value value = subpy_int(number);
  OK(subpy_queue_put(queue, &value, 20000, &error));
}

static int64_t get(subpy_queue queue) {
  subpy_value value = subpy_none();
  OK(subpy_queue_get(queue, 20000, &value, &error));
  CHECK(value.kind == SUBPY_KIND_INT);
  return value.u.as_int;
}

static size_t length(subpy_queue queue) {
  size_t len = 77;
  OK(subpy_queue_len(queue, &len, &error));
  return len;
}

static uint64_t id_of(subpy_queue queue) {
  subpy_queue_info info = {.size = sizeof info};
  OK(subpy_queue_get_info(queue, &info, &error));
  return info.id;
}

/* The queue that an expression is; a handle of one's own. */
static subpy_queue queue_from(subpy_interp interp, const char *expression) {
  subpy_value value = eval(interp, expression);
  CHECK(value.kind == SUBPY_KIND_QUEUE);
  subpy_queue queue = 0;
  OK(subpy_queue_keep((subpy_queue)value.u.as_queue, &queue, &error));
  subpy_value_free(&value);
  return queue;
}

/* A run on a thread of the library's own. */
static subpy_thread start(subpy_interp interp, const char *code) {
  subpy_run_request request = {
      .size = sizeof request, .interp = interp, .what = SUBPY_RUN_EXEC, .text = code, .text_len = SUBPY_AUTO_LEN};
  subpy_thread thread = 0;
  OK(subpy_run_in_thread(&request, &thread, &error));
  return thread;
}

static void ends_well(subpy_thread thread) { OK(subpy_thread_join(thread, NULL, &error)); }

static void ends_with(subpy_thread thread, subpy_status expected) {
  CHECK_STATUS(expected, subpy_thread_join(thread, NULL, &error));
  subpy_error_free(error);
  error = NULL;
}

/* It is the same queue everywhere, wherever it was made. */
static void the_same(void) {
  subpy_interp one = create_process(), two = create_process(), here = create();
  subpy_queue queue = new_queue(2);
  give(one, "q", queue), give(one, "again", queue), give(two, "q", queue), give(here, "q", queue);
  run(one,
      "import subpy_queues\n"
      "assert q is again and q == again and type(q) is subpy_queues.Queue\n"
      "assert q.maxsize == 2 and q.empty() and not q.full() and not q.closed and q.qsize() == 0\n"
      "assert repr(q) == f'Queue({q.id})' and hash(q) == hash(q.id)");
  CHECK((uint64_t)number(one, "q.id") == id_of(queue) && (uint64_t)number(two, "q.id") == id_of(queue));
  run(one, "q.put({'a': [1, 2.5, None, True, b'x', 'caf\\xe9', 1 << 200]})\nq.put_nowait(2)\nassert q.full()");
  run(one,
      "try: q.put_nowait(3)\nexcept subpy_queues.QueueFull as e: assert str(e) == 'the queue is full'\nelse: assert 0\n"
      "try: q.put(3, timeout=0.01)\nexcept subpy_queues.QueueFull: pass\nelse: assert 0");
  CHECK(length(queue) == 2);
  run(two,
      "import subpy_queues\n"
      "assert q.get() == {'a': [1, 2.5, None, True, b'x', 'caf\\xe9', 1 << 200]} and q.get(timeout=1) == 2\n"
      "try: q.get_nowait()\nexcept subpy_queues.QueueEmpty as e: assert str(e) == 'the queue is empty'\nelse: assert 0\n"
      "try: q.get(timeout=0.01)\nexcept subpy_queues.QueueEmpty: pass\nelse: assert 0\n"
      "q.put('from two')");
  run(here, "assert q.get() == 'from two'\nq.put('from here')");
  run(one, "assert q.get() == 'from here'");

  /* An id is enough, in a process that is not locked down. A number that is none is told. */
  subpy_queue other = new_queue(0);
  char code[200];
  snprintf(code, sizeof code, "import pickle\nother = subpy_queues.Queue(%llu)\nassert other.maxsize == 0\n"
           "assert pickle.loads(pickle.dumps(other)) is other\nother.put(5)", (unsigned long long)id_of(other));
  run(one, code);
  CHECK(get(other) == 5);
  run(one, "try: subpy_queues.Queue(1 << 50)\nexcept subpy_queues.QueueNotFoundError: pass\nelse: assert 0");

  /* One that Python code there has made. */
  run(one, "mine = subpy_queues.create(7)\nmine.put(11)");
  subpy_queue mine = queue_from(one, "mine");
  CHECK(get(mine) == 11 && (uint64_t)number(one, "mine.id") == id_of(mine));
  give(two, "theirs", mine), give(here, "theirs", mine);
  run(two, "assert theirs.maxsize == 7\ntheirs.put(12)");
  run(here, "assert theirs.get() == 12\ntheirs.put(13)");
  run(one, "assert mine.get() == 13");
  /* Within items, results and arguments, from process to process. */
  run(one, "q.put([mine, {'k': mine}])");
  run(two, "got = q.get()\nassert got[0] is got[1]['k'] is theirs\nfresh = subpy_queues.create()\nq.put(fresh)\nfresh.put(14)\ndel fresh");
  run(here, "assert q.get().get() == 14");
  subpy_value argument = subpy_value_from_queue(mine);
  run(two, "def same(x): return x is theirs");
  subpy_value result = call1(two, "same", argument);
  CHECK(result.kind == SUBPY_KIND_BOOL && result.u.as_bool);

  /* What cannot be an item is refused as anywhere; what is long goes. */
  subpy_error *failed = exception(one, "q.put(object())");
  CHECK_ERROR(subpy_error_exception_message, failed, "item: object cannot be shared");
  subpy_error_free(failed);
  CHECK(length(queue) == 0);
  run(one, "long = b'0123456789' * 3_000_000\nq.put(long)\nq.put(['x' * 100, long])");
  subpy_thread waits = start(one, "q.put(long[:500_000])");
  run(two, "first = q.get()\nassert q.get() == ['x' * 100, first] and q.get() == first[:500_000] and len(first) == 30_000_000");
  ends_well(waits);
  subpy_queue_free(queue), subpy_queue_free(other), subpy_queue_free(mine);
  OK(subpy_close(one, &error));
  OK(subpy_close(two, &error));
  OK(subpy_close(here, &error));
}

/* A queue stays as long as somebody has it, and no longer; likewise when a process dies. */
static void lifetimes(void) {
  subpy_interp one = create_process(), two = create_process(), here = create();
  run(here,
      "import subpy_queues\n"
      "def is_there(id):\n"
      "  try: subpy_queues.Queue(id)\n"
      "  except subpy_queues.QueueNotFoundError: return False\n"
      "  return True");
  run(one, "import subpy_queues\nq = subpy_queues.create()");
  run(two, "import subpy_queues");
  subpy_value id = eval(one, "q.id"), there = call1(here, "is_there", id);
  CHECK(there.u.as_bool);
  /* Two have it, and there may be more on the way. */
  for (int i = 0; i < 200; i++) {
    subpy_queue queue = queue_from(one, "q");
    give(two, "q", queue);
    subpy_queue_free(queue);
    if (i % 2) run(two, "del q");
    there = call1(here, "is_there", id);
    CHECK(there.u.as_bool);
  }
  run(one, "del q");
  run(one, "pass");
  there = call1(here, "is_there", id);
  CHECK(!there.u.as_bool);

  /* The value is the last one who has it. */
  subpy_value value = eval(one, "subpy_queues.create(3)");
  run(one, "pass");
  subpy_queue_info info = {.size = sizeof info};
  OK(subpy_queue_get_info((subpy_queue)value.u.as_queue, &info, &error));
  id = subpy_int((int64_t)info.id);
  there = call1(here, "is_there", id);
  CHECK(info.capacity == 3 && there.u.as_bool);
  subpy_value_free(&value);
  there = call1(here, "is_there", id);
  CHECK(!there.u.as_bool);

  /* When a process dies, what it had alone goes with it, and what others have stays, with what is in it. */
  run(one, "a, b = subpy_queues.create(), subpy_queues.create()\na.put(b)\nb.put(1); b.put(2)");
  subpy_value a = eval(one, "a.id"), b = eval(one, "b.id");
  subpy_queue kept = queue_from(one, "b");
  CHECK(subpy_exec(one, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", SUBPY_AUTO_LEN, &error) ==
        SUBPY_ERROR_CRASHED);
  subpy_error_free(error);
  error = NULL;
  there = call1(here, "is_there", a);
  CHECK(!there.u.as_bool);
  there = call1(here, "is_there", b);
  CHECK(there.u.as_bool && get(kept) == 1 && get(kept) == 2);
  subpy_queue_free(kept);
  there = call1(here, "is_there", b);
  CHECK(!there.u.as_bool);

  /* A clean end, too. */
  run(two, "q = subpy_queues.create()");
  id = eval(two, "q.id");
  OK(subpy_close(two, &error));
  there = call1(here, "is_there", id);
  CHECK(!there.u.as_bool);
  OK(subpy_close(here, &error));
}

/* From a process to the host, to an interpreter in this process, to another process: in order, and never more on the way
 * than there is room. */
static void pipeline(void) {
  enum { COUNT = 2000 };
  subpy_interp first = create_process(), second = create(), third = create_process();
  subpy_queue a = new_queue(1), b = new_queue(3), c = new_queue(2), d = new_queue(0);
  give(first, "out", a), give(second, "source", b), give(second, "out", c), give(third, "source", c), give(third, "out", d);
  char code[300];
  snprintf(code, sizeof code, "for i in range(%d): out.put((i, 'x' * (i %% 300)))\nout.close()", COUNT);
  subpy_thread makes = start(first, code);
  subpy_thread doubles = start(second,
                               "most = 0\nfor i, text in source:\n  out.put((2 * i, text))\n  most = max(most, out.qsize())\n"
                               "out.close()");
  subpy_thread sums = start(third, "for i, text in source: out.put(i + len(text))");
  subpy_value value = subpy_none();
  for (int64_t i = 0; i < COUNT; i++) {
    OK(subpy_queue_get(a, 20000, &value, &error));
    CHECK(value.kind == SUBPY_KIND_TUPLE && value.u.as_items[0].u.as_int == i && length(a) <= 1);
    OK(subpy_queue_put(b, &value, 20000, &error));
    subpy_value_free(&value);
  }
  CHECK(subpy_queue_get(a, 20000, &value, NULL) == SUBPY_ERROR_WRONG_STATE);
  OK(subpy_queue_close(b, &error));
  ends_well(makes), ends_well(doubles), ends_well(sums);
  CHECK(number(second, "most") <= 2);
  for (int64_t i = 0; i < COUNT; i++) CHECK(get(d) == 2 * i + i % 300);
  CHECK(length(d) == 0);
  OK(subpy_close(first, &error));
  OK(subpy_close(second, &error));
  OK(subpy_close(third, &error));
  subpy_queue_free(a), subpy_queue_free(b), subpy_queue_free(c), subpy_queue_free(d);
}

/* Python's own threads, in two processes: each number comes once, and those of each thread in their order. */
static void threads(void) {
  subpy_interp one = create_process(), two = create_process();
  subpy_queue queue = new_queue(5), back = new_queue(0);
  for (int i = 0; i < 2; i++) {
    give(i ? two : one, "q", queue);
    give(i ? two : one, "back", back);
    run(i ? two : one,
        "import threading\n"
        "def fill(which):\n"
        "  for i in range(200): q.put((which, i))\n"
        "def drain():\n"
        "  seen = {}\n"
        "  for which, i in q:\n"
        "    assert seen.get(which, -1) < i\n"
        "    seen[which] = i\n"
        "    back.put(1000 * which + i)\n"
        "def all(*these):\n"
        "  threads = [threading.Thread(target=f, args=args) for f, *args in these]\n"
        "  for thread in threads: thread.start()\n"
        "  for thread in threads: thread.join()");
  }
  subpy_thread mixed = start(one, "all((fill, 0), (fill, 1), (drain,), (fill, 2), (drain,))");
  subpy_thread fills = start(two, "all(*[(fill, 3 + i) for i in range(5)])");
  ends_well(fills);
  subpy_thread drains = start(two, "all(*[(drain,)] * 4)");
  bool seen[8000] = {false};
  for (int i = 0; i < 8 * 200; i++) {
    int64_t it = get(back);
    CHECK(it >= 0 && it < 8000 && !seen[it]);
    seen[it] = true;
  }
  OK(subpy_queue_close(queue, &error));
  ends_well(mixed), ends_well(drains);
  CHECK(length(back) == 0 && length(queue) == 0);
  OK(subpy_close(one, &error));
  OK(subpy_close(two, &error));
  subpy_queue_free(queue), subpy_queue_free(back);
}

static void *host_gets(void *queue) {
  subpy_value value = subpy_none();
  return (void *)(intptr_t)subpy_queue_get(*(subpy_queue *)queue, -1, &value, NULL);
}

/* Whoever waits, wherever he does, is woken by a close. */
static void closing(void) {
  subpy_interp one = create_process(), two = create_process(), here = create();
  subpy_queue empty = new_queue(0), full = new_queue(1), begun = new_queue(0);
  put(full, 1);
  subpy_interp all[] = {one, two, here};
  subpy_thread waiting[6];
  for (int i = 0; i < 3; i++) {
    give(all[i], "empty", empty), give(all[i], "full", full), give(all[i], "begun", begun);
    run(all[i], "import subpy_queues, threading");
  }
  OK(subpy_close(here, &error));
  subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_SHARE};
  OK(subpy_create(&options, &here, &error));
  all[2] = here;
  give(here, "empty", empty), give(here, "full", full), give(here, "begun", begun);
  run(here, "import subpy_queues, threading");
  const char *gets = "begun.put(1)\ntry: empty.get()\nexcept subpy_queues.QueueClosed: pass\nelse: assert 0";
  const char *puts = "begun.put(1)\ntry: full.put(2)\nexcept subpy_queues.QueueClosed: pass\nelse: assert 0";
  for (int i = 0; i < 6; i++) waiting[i] = start(all[i / 2], i % 2 ? gets : puts);
  run(one, "def gets():\n  try: empty.get()\n  except subpy_queues.QueueClosed: begun.put(2)\nthread = threading.Thread(target=gets)\nthread.start()");
  pthread_t host;
  CHECK(pthread_create(&host, NULL, host_gets, &empty) == 0);
  for (int i = 0; i < 6; i++) CHECK(get(begun) == 1);
  usleep(20000);
  run(two, "empty.close()");
  OK(subpy_queue_close(full, &error));
  for (int i = 0; i < 6; i++) ends_well(waiting[i]);
  void *status = NULL;
  CHECK(pthread_join(host, &status) == 0 && (intptr_t)status == SUBPY_ERROR_WRONG_STATE);
  CHECK(get(begun) == 2);
  run(one, "assert empty.closed and full.closed and full.get() == 1\nthread.join()");
  for (int i = 0; i < 3; i++) OK(subpy_close(all[i], &error));
  subpy_queue_free(empty), subpy_queue_free(full), subpy_queue_free(begun);
}

/* kill -9 of those who wait, who take and who put: nobody else waits for them, and what they have not taken is there. */
static void deaths(void) {
  subpy_queue queue = new_queue(4), begun = new_queue(0);
  for (int i = 0; i < 10; i++) {
    subpy_interp one = create_process(), two = create_process();
    give(one, "q", queue), give(one, "begun", begun), give(two, "q", queue);
    run(one, "import os, threading\nfor _ in range(2): threading.Thread(target=q.get).start()");
    pid_t process = (pid_t)number(one, "os.getpid()");
    subpy_thread waits = start(one, i % 2 ? "begun.put(1)\nq.get()" : "begun.put(1)\nwhile True: q.put(q.get())");
    subpy_thread gets = start(two, "for _ in range(8): q.get()");
    CHECK(get(begun) == 1);
    usleep((useconds_t)(i * 1000));
    CHECK(kill(process, SIGKILL) == 0);
    ends_with(waits, SUBPY_ERROR_CRASHED);
    /* Its waits are gone: all of these are for the other one. */
    for (int64_t item = 0; item < 8; item++) put(queue, item);
    ends_well(gets);
    CHECK(length(queue) == 0);

    /* One that waits for room, when there is some. */
    subpy_interp three = create_process();
    give(three, "q", queue), give(three, "begun", begun);
    run(three, "import os, threading\nlong = b'x' * 100_000");
    process = (pid_t)number(three, "os.getpid()");
    for (int64_t item = 0; item < 4; item++) put(queue, item);
    run(two, "import threading\nother = threading.Thread(target=q.put, args=('other',))\nother.start()");
    subpy_thread puts = start(three, "begun.put(1)\nq.put(long)");
    CHECK(get(begun) == 1);
    usleep(5000);
    CHECK(get(queue) == 0);
    CHECK(kill(process, SIGKILL) == 0);
    subpy_status status = subpy_thread_join(puts, NULL, &error);
    CHECK(status == SUBPY_ERROR_CRASHED || status == SUBPY_OK);
    subpy_error_free(error);
    error = NULL;
    for (int64_t item = 1; item < 4; item++) CHECK(get(queue) == item);
    run(two, "other.join()");
    size_t left = length(queue);
    CHECK(left == 1 || left == 2);
    for (subpy_value value = subpy_none(); left > 0; left--) {
      OK(subpy_queue_get(queue, 0, &value, &error));
      CHECK(value.kind == SUBPY_KIND_STR || (value.kind == SUBPY_KIND_BYTES && value.len == 100000));
      subpy_value_free(&value);
    }
    OK(subpy_close(two, &error));
  }
  subpy_queue_free(queue), subpy_queue_free(begun);
}

/* Whatever ends a run ends its waits. */
static void limits(void) {
  subpy_interp interp = create_process();
  subpy_queue empty = new_queue(0), full = new_queue(1), begun = new_queue(0);
  give(interp, "empty", empty), give(interp, "full", full), give(interp, "begun", begun);
  put(full, 1);
  run(interp, "import threading, signal, os\nlong = b'x' * 1_000_000");
  const char *waits[] = {"begun.put(1)\nempty.get()", "begun.put(1)\nfull.put(2)", "begun.put(1)\nfull.put(long)",
                         "begun.put(1)\nempty.get(timeout=100)"};
  for (int i = 0; i < 4; i++) {
    subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EXEC, .text = waits[i],
                                 .text_len = SUBPY_AUTO_LEN, .timeout_ms = 400};
    FAILS(SUBPY_ERROR_TIMEOUT, "...timed out after 400 ms: KeyboardInterrupt", subpy_run(&request, NULL, &error));
    CHECK(get(begun) == 1);

    subpy_thread thread = start(interp, waits[i]);
    CHECK(get(begun) == 1);
    usleep(2000 * (useconds_t)i);
    OK(subpy_interrupt(interp, &error));
    ends_with(thread, SUBPY_ERROR_INTERRUPTED);
    /* A stop is for one run alone, and the next one is well. */
    CHECK(number(interp, "empty.qsize() + full.qsize()") == 1);
  }
  subpy_cancel cancel = 0;
  for (int i = 0; i < 20; i++) {
    OK(subpy_cancel_new(&cancel, &error));
    subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EXEC, .text = waits[i % 4],
                                 .text_len = SUBPY_AUTO_LEN, .timeout_ms = 60000, .cancel = cancel};
    subpy_thread thread = 0;
    OK(subpy_run_in_thread(&request, &thread, &error));
    if (i % 3) CHECK(get(begun) == 1);
    if (i % 3 == 1) usleep(1000);
    subpy_cancel_fire(cancel);
    ends_with(thread, SUBPY_ERROR_INTERRUPTED);
    subpy_cancel_free(cancel);
    subpy_value value = subpy_none();
    (void)subpy_queue_get(begun, 0, &value, NULL);
  }
  /* One who catches it and waits again is hit again. */
  subpy_run_request stubborn = {.size = sizeof stubborn, .interp = interp, .what = SUBPY_RUN_EXEC,
                                .text = "try: empty.get()\nexcept KeyboardInterrupt: empty.get()",
                                .text_len = SUBPY_AUTO_LEN, .timeout_ms = 30};
  FAILS(SUBPY_ERROR_TIMEOUT, "...timed out after 30 ms", subpy_run(&stubborn, NULL, &error));
  CHECK(number(interp, "1") == 1);
  /* Python's own signals, on its main thread. */
  run(interp,
      "class Rings(Exception): pass\n"
      "def ring(*_): raise Rings\n"
      "signal.signal(signal.SIGALRM, ring)\n"
      "signal.setitimer(signal.ITIMER_REAL, 0.03)\n"
      "try: empty.get()\nexcept Rings: pass\nelse: assert 0");

  /* A close with its threads in waits, in a run and not. */
  run(interp, "for _ in range(3): threading.Thread(target=empty.get).start()");
  subpy_thread thread = start(interp, waits[0]);
  CHECK(get(begun) == 1);
  subpy_close_options close = {.size = sizeof close, .timeout_ms = 20000, .flags = SUBPY_CLOSE_INTERRUPT};
  OK(subpy_close_with(interp, &close, &error));
  ends_with(thread, SUBPY_ERROR_INTERRUPTED);
  put(empty, 9);
  CHECK(get(empty) == 9);
  subpy_queue_free(empty), subpy_queue_free(full), subpy_queue_free(begun);
}

static int descriptors(void) {
  int count = 0;
  DIR *folder = opendir("/proc/self/fd");
  CHECK(folder);
  while (readdir(folder)) count++;
  closedir(folder);
  return count;
}

/* asyncio in two processes: what waits there is a descriptor, and none of them is left. */
static void loops(void) {
  int before = descriptors();
  subpy_interp one = create_process(), two = create_process();
  subpy_queue queue = new_queue(2), back = new_queue(0);
  give(one, "q", queue), give(two, "q", queue), give(one, "back", back), give(two, "back", back);
  subpy_thread fills = start(one,
                             "import asyncio\n"
                             "async def fill(which):\n"
                             "  for i in range(100): await q.put_async(100 * which + i)\n"
                             "async def main():\n"
                             "  lost = asyncio.create_task(back.get_async())\n"
                             "  await asyncio.sleep(0)\n"
                             "  lost.cancel()\n"
                             "  await asyncio.gather(*map(fill, range(3)))\n"
                             "  q.close()\n"
                             "asyncio.run(main())");
  subpy_thread takes = start(two,
                             "import asyncio\n"
                             "async def take():\n"
                             "  async for item in q: back.put(item)\n"
                             "async def main(): await asyncio.gather(take(), take(), take())\n"
                             "asyncio.run(main())");
  ends_well(fills), ends_well(takes);
  bool seen[300] = {false};
  for (int i = 0; i < 300; i++) {
    int64_t item = get(back);
    CHECK(item >= 0 && item < 300 && !seen[item]);
    seen[item] = true;
  }
  CHECK(length(back) == 0);

  /* What a process does to its descriptor is nothing to the others. */
  subpy_queue quiet = new_queue(0);
  int fd = -1;
  OK(subpy_queue_fd(quiet, &fd, &error));
  give(one, "quiet", quiet);
  run(one, "import os\nos.write(quiet._fd(0), (5).to_bytes(8, 'little'))");
  uint64_t read_from_it = 0;
  CHECK(read(fd, &read_from_it, sizeof read_from_it) < 0);
  subpy_queue_free(quiet);
  OK(subpy_close(one, &error));
  OK(subpy_close(two, &error));
  subpy_queue_free(queue), subpy_queue_free(back);
  /* What watches the processes stays. */
  int after = descriptors();
  for (int i = 0; i < 200 && after > before; i++) usleep(10000), after = descriptors();
  CHECK(after <= before);
}

/* What is locked down has the queues that it was given, and no others. */
static void locked(void) {
  subpy_interp_options options = {.size = sizeof options, .busy = SUBPY_BUSY_SHARE,
                                  .flags = SUBPY_INTERP_PROCESS | SUBPY_INTERP_LOCKED, .grace_ms = 5000};
  subpy_interp interp = 0;
  OK(subpy_create(&options, &interp, &error));
  subpy_queue queue = new_queue(1), other = new_queue(0);
  give(interp, "q", queue);
  run(interp,
      "import asyncio, subpy_queues, threading\n"
      "async def main():\n"
      "  async def fill():\n"
      "    for i in range(20): await q.put_async(i)\n"
      "  async def take(): return [await q.get_async() for _ in range(20)]\n"
      "  return (await asyncio.gather(fill(), take()))[1]\n"
      "assert asyncio.run(main()) == list(range(20))\n"
      "thread = threading.Thread(target=q.put, args=('thread',))\n"
      "thread.start()\n"
      "assert q.get() == 'thread'\n"
      "thread.join()\n"
      "mine = subpy_queues.create()\n"
      "id = mine.id\n"
      "assert subpy_queues.Queue(id) is mine and subpy_queues.Queue(q.id) is q");
  char code[200];
  snprintf(code, sizeof code, "try: subpy_queues.Queue(%llu)\nexcept subpy_queues.QueueNotFoundError: pass\nelse: assert 0",
           (unsigned long long)id_of(other));
  run(interp, code);
  OK(subpy_close(interp, &error));
  subpy_queue_free(queue), subpy_queue_free(other);
}

int main(void) {
  the_same();
  locked();
  lifetimes();
  pipeline();
  threads();
  closing();
  deaths();
  limits();
  loops();
  shut_down();
  return 0;
}
