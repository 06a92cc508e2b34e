/* Queues: what they carry, who has them, and how waits end. */
#include <poll.h>
#include <stdatomic.h>

#include "guest.h"
#include "values.h"

static subpy_error *error;

static subpy_queue new_queue(size_t capacity) {
  subpy_queue_options options = {.size = sizeof options, .capacity = capacity};
  subpy_queue queue = 0;
  OK(subpy_queue_new(&options, &queue, &error));
  CHECK(queue > UINT64_C(6) << 48 && queue < UINT64_C(1) << 53);
  return queue;
}

static void put(subpy_queue queue, int64_t number) {
  subpy_value value = subpy_int(number);
  OK(subpy_queue_put(queue, &value, 0, &error));
}

static int64_t get(subpy_queue queue) {
  subpy_value value = subpy_none();
  OK(subpy_queue_get(queue, 5000, &value, &error));
  CHECK(value.kind == SUBPY_KIND_INT);
  return value.u.as_int;
}

static size_t length(subpy_queue queue) {
  size_t len = 77;
  OK(subpy_queue_len(queue, &len, &error));
  return len;
}

static subpy_queue_info info_of(subpy_queue queue) {
  subpy_queue_info info = {.size = sizeof info, .closed = 77};
  OK(subpy_queue_get_info(queue, &info, &error));
  CHECK(info.size == sizeof info && info.id != 0);
  return info;
}

static bool readable(int fd) {
  struct pollfd wanted = {.fd = fd, .events = POLLIN};
  int ready = poll(&wanted, 1, 0);
  CHECK(ready >= 0);
  return ready == 1 && wanted.revents == POLLIN;
}

/* Before there is a runtime. */
static void hosts_alone(void) {
  subpy_value value = subpy_int(1);
  subpy_queue queue = new_queue(2);
  int fd = -1, again = -1, room = -1;
  OK(subpy_queue_fd(queue, &fd, &error));
  OK(subpy_queue_fd(queue, &again, &error));
  CHECK(fd >= 0 && fd == again && !readable(fd));
  FAILS(SUBPY_ERROR_TIMEOUT, "the queue is empty", subpy_queue_get(queue, 0, &value, &error));
  CHECK(value.kind == SUBPY_KIND_NONE);
  FAILS(SUBPY_ERROR_TIMEOUT, "the queue was empty for 20 ms", subpy_queue_get(queue, 20, &value, &error));
  put(queue, 1);
  CHECK(readable(fd));
  OK(subpy_queue_room_fd(queue, &room, &error));
  CHECK(room >= 0 && room != fd && readable(room));
  put(queue, 2);
  CHECK(!readable(room));
  FAILS(SUBPY_ERROR_TIMEOUT, "the queue is full", subpy_queue_put(queue, &value, 0, &error));
  FAILS(SUBPY_ERROR_TIMEOUT, "the queue was full for 20 ms", subpy_queue_put(queue, &value, 20, &error));
  CHECK(length(queue) == 2 && get(queue) == 1 && readable(fd) && readable(room) && get(queue) == 2 && !readable(fd));

  /* What is in comes out after a close. */
  put(queue, 3);
  subpy_queue_info info = info_of(queue);
  CHECK(info.capacity == 2 && info.len == 1 && info.closed == 0);
  OK(subpy_queue_close(queue, &error));
  CHECK(info_of(queue).closed == 1 && info_of(queue).id == info.id);
  /* A newer program's struct is longer. */
  struct {
    subpy_queue_info known;
    uint64_t unknown;
  } newer = {.known = {.size = sizeof newer}, .unknown = 77};
  OK(subpy_queue_get_info(queue, &newer.known, &error));
  CHECK(newer.known.size == sizeof newer && newer.known.capacity == 2 && newer.unknown == 0);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "info is NULL", subpy_queue_get_info(queue, NULL, &error));
  info.size = 0;
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "subpy_queue_info.size is 0, set it to sizeof(subpy_queue_info)",
        subpy_queue_get_info(queue, &info, &error));
  OK(subpy_queue_close(queue, &error));
  FAILS(SUBPY_ERROR_WRONG_STATE, "the queue is closed", subpy_queue_put(queue, &value, -1, &error));
  CHECK(readable(fd) && get(queue) == 3 && readable(fd));
  FAILS(SUBPY_ERROR_WRONG_STATE, "the queue is closed and empty", subpy_queue_get(queue, -1, &value, &error));

  /* Nobody waits for what never comes. */
  subpy_queue empty = new_queue(0), full = new_queue(1);
  OK(subpy_queue_fd(empty, &fd, &error));
  put(full, 1);
  OK(subpy_queue_room_fd(full, &room, &error));
  CHECK(!readable(fd) && !readable(room));
  OK(subpy_queue_close(empty, &error));
  OK(subpy_queue_close(full, &error));
  CHECK(readable(fd) && readable(room));
  subpy_queue_free(empty);
  subpy_queue_free(full);

  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "queue is NULL: nobody could use or free it", subpy_queue_new(NULL, NULL, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "own is NULL: nobody could use or free it", subpy_queue_keep(queue, NULL, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "value is NULL: the item would be lost", subpy_queue_get(queue, 0, NULL, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "value is NULL: for None pass subpy_none()", subpy_queue_put(queue, NULL, 0, &error));
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "timeout_ms is -2, must be -1 (no limit), 0 or more",
        subpy_queue_get(queue, -2, &value, &error));
  value = (subpy_value){.kind = 99};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...value: kind 99 is not one of SUBPY_KIND_*",
        subpy_queue_put(queue, &value, 0, &error));
  subpy_queue other = 77;
  subpy_queue_options options = {.size = sizeof options, .flags = 1};
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "subpy_queue_options.flags has unknown bits set: 0x1",
        subpy_queue_new(&options, &other, &error));
  CHECK(other == 0);
  subpy_queue_free(queue);
  subpy_queue_free(queue);
}

/* Each handle is for itself; the queue goes with the last one, and a descriptor with it. */
static void handles(void) {
  subpy_queue queue = new_queue(0), own = 0, gone = 77;
  int fd = -1;
  OK(subpy_queue_fd(queue, &fd, &error));
  OK(subpy_queue_keep(queue, &own, &error));
  CHECK(own != queue && info_of(own).id == info_of(queue).id);
  put(queue, 5);
  subpy_queue_free(queue);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...is not the handle of a queue, or it was freed", subpy_queue_keep(queue, &gone, &error));
  CHECK(gone == 0 && get(own) == 5 && !readable(fd));

  /* An item has a handle of its own, and a result's goes with the result. */
  subpy_queue inner = new_queue(0);
  subpy_value item = subpy_value_from_queue(inner), list = subpy_list(&item, 1), taken = subpy_none();
  OK(subpy_queue_put(own, &list, 0, &error));
  OK(subpy_queue_put(own, &item, 0, &error));
  put(inner, 6);
  subpy_queue_free(inner);
  OK(subpy_queue_get(own, 0, &taken, &error));
  CHECK(taken.kind == SUBPY_KIND_LIST && taken.len == 1 && taken.u.as_items[0].kind == SUBPY_KIND_QUEUE);
  inner = taken.u.as_items[0].u.as_queue;
  CHECK(length(inner) == 1);
  subpy_value_free(&taken);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_queue_len(inner, NULL, &error));
  OK(subpy_queue_get(own, 0, &taken, &error));
  CHECK(taken.kind == SUBPY_KIND_QUEUE);
  inner = taken.u.as_queue;
  CHECK(get(inner) == 6);
  subpy_queue_free(inner);
  subpy_value_free(&taken);
  CHECK(taken.kind == SUBPY_KIND_NONE);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...is not the handle of a queue, or it was freed", subpy_queue_put(own, &item, 0, &error));
  item = subpy_value_from_object(UINT64_C(5) << 48 | 1);
  FAILS(SUBPY_ERROR_NOT_SHAREABLE, "an object belongs to its interpreter and cannot be put into a queue",
        subpy_queue_put(own, &item, 0, &error));
  subpy_queue_free(own);

  /* A queue in a queue in a queue: they go without a stack as deep. */
  subpy_queue first = new_queue(0), last = 0;
  OK(subpy_queue_keep(first, &last, &error));
  for (int i = 0; i < 50000; i++) {
    subpy_queue next = new_queue(0);
    item = subpy_value_from_queue(next);
    OK(subpy_queue_put(last, &item, 0, &error));
    subpy_queue_free(last);
    last = next;
  }
  subpy_queue_free(last);
  subpy_queue_free(first);
}

/* A handle of nothing is found before anything runs, wherever it is. */
static void freed_arguments(subpy_interp interp) {
  subpy_queue freed = new_queue(0);
  subpy_queue_free(freed);
  subpy_value value = subpy_value_from_queue(freed), list = subpy_list(&value, 1);
  subpy_pair pair = {TEXT("q"), list};
  subpy_value kwargs = subpy_dict(&pair, 1), result = subpy_int(1);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...is not the handle of a queue, or it was freed",
        subpy_call(interp, "builtins:id", SUBPY_AUTO_LEN, &value, 1, NULL, &result, &error));
  CHECK(result.kind == SUBPY_KIND_NONE);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...is not the handle of a queue, or it was freed",
        subpy_call(interp, "builtins:id", SUBPY_AUTO_LEN, &list, 1, NULL, NULL, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...is not the handle of a queue, or it was freed",
        subpy_call(interp, "builtins:dict", SUBPY_AUTO_LEN, NULL, 0, &kwargs, NULL, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...is not the handle of a queue, or it was freed",
        subpy_prepare_main(interp, &kwargs, &error));
}

/* From the host to Python and back: everything that crosses. */
static void guests(subpy_interp interp) {
  subpy_queue there = new_queue(0), back = new_queue(0);
  subpy_pair names[] = {{TEXT("there"), subpy_value_from_queue(there)}, {TEXT("back"), subpy_value_from_queue(back)}};
  subpy_value main = subpy_dict(names, 2);
  OK(subpy_prepare_main(interp, &main, &error));
  run(interp, "import subpy_queues, queue");
  put(there, 5);
  run(interp, "back.put({'got': there.get(), 'list': [1, None, 2.5, b'x', ('a', 1 << 80)]})");
  subpy_value value = subpy_none();
  OK(subpy_queue_get(back, 0, &value, &error));
  CHECK(value.kind == SUBPY_KIND_DICT && value.len == 2 && value.u.as_pairs[0].value.u.as_int == 5);
  OK(subpy_queue_put(there, &value, 0, &error));
  subpy_value_free(&value);
  CHECK(number(interp, "there.get_nowait() == {'got': 5, 'list': [1, None, 2.5, b'x', ('a', 1 << 80)]}"));

  /* The same queue is the same object; in a result it is a handle of the result's. */
  OK(subpy_eval(interp, "[there, back]", SUBPY_AUTO_LEN, &value, &error));
  CHECK(value.len == 2 && value.u.as_items[1].kind == SUBPY_KIND_QUEUE);
  put(value.u.as_items[0].u.as_queue, 7);
  subpy_value same[] = {value.u.as_items[0], subpy_value_from_queue(there)};
  run(interp, "def same(a, b): return a is b is there and a == b and a != back and hash(a) == hash(b) and a.id == b.id");
  subpy_value is = subpy_none();
  OK(subpy_call(interp, "same", SUBPY_AUTO_LEN, same, 2, NULL, &is, &error));
  CHECK(is.kind == SUBPY_KIND_BOOL && is.u.as_bool);
  subpy_value_free(&value);
  CHECK(get(there) == 7);
  OK(subpy_eval(interp, "back", SUBPY_AUTO_LEN, &value, &error));
  CHECK(value.kind == SUBPY_KIND_QUEUE && value.u.as_queue != back);
  subpy_queue own = 0;
  OK(subpy_queue_keep(value.u.as_queue, &own, &error));
  subpy_value_free(&value);
  put(own, 8);
  subpy_queue_free(own);
  CHECK(get(back) == 8);

  run(interp,
      "def raises(kind, act, *args, **kwargs):\n"
      "  try: act(*args, **kwargs)\n"
      "  except Exception as e: return type(e) is kind or repr(e)\n"
      "q = subpy_queues.create(1)\n"
      "assert repr(q) == f'Queue({q.id})' and q.maxsize == 1 and q.empty() and not q.full()\n"
      "assert subpy_queues.Queue(q.id) is q\n"
      "assert raises(subpy_queues.QueueEmpty, q.get, block=False) is True\n"
      "assert raises(subpy_queues.QueueEmpty, q.get, timeout=0.01) is True\n"
      "assert raises(ValueError, q.get, timeout=-1) is True\n"
      "assert raises(TypeError, q.get, 1, 2, 3) is True\n"
      "assert raises(TypeError, q.get, wait=1) is True\n"
      "assert raises(TypeError, q.get, True, block=True) is True\n"
      "assert raises(TypeError, q.put) is True\n"
      "assert raises(TypeError, q.put, object()) is True and q.empty()\n"
      "q.put('x'); assert q.full() and q.qsize() == 1\n"
      "assert raises(subpy_queues.QueueFull, q.put_nowait, 1) is True\n"
      "assert raises(subpy_queues.QueueFull, q.put, 1, timeout=0.01) is True\n"
      "q.close(); assert q.closed\n"
      "assert raises(subpy_queues.QueueClosed, q.put, 1) is True\n"
      "assert list(q) == ['x'] and raises(subpy_queues.QueueClosed, q.get) is True\n"
      "assert issubclass(subpy_queues.QueueEmpty, queue.Empty) and issubclass(subpy_queues.QueueFull, queue.Full)\n"
      "assert issubclass(subpy_queues.QueueClosed, queue.ShutDown)\n"
      "assert raises(subpy_queues.QueueNotFoundError, subpy_queues.Queue, 1 << 40) is True\n"
      "assert raises(TypeError, subpy_queues.Queue, 'x') is True\n"
      "def says(id):\n"
      "  try: subpy_queues.Queue(id)\n"
      "  except (TypeError, subpy_queues.QueueNotFoundError) as error: return str(error)\n"
      "assert says(1 << 40) == 'there is no queue 1099511627776', says(1 << 40)\n"
      "assert says(1 << 99999) == 'there is no queue with such an id', says(1 << 99999)\n"
      "assert says(-1) == 'there is no queue -1', says(-1)\n"
      "q = subpy_queues.create()\n"
      "assert says(float(q.id)) == f'id must be an int, got {q.id}.0', says(float(q.id))\n"
      "assert says('x') == \"id must be an int, got 'x'\", says('x')\n"
      "assert raises(RuntimeError, object.__new__(subpy_queues.Queue).get) is True\n"
      "class Mine(subpy_queues.Queue): pass\n"
      "q = subpy_queues.create(); mine = Mine(q.id)\n"
      "assert mine is q");
  subpy_error_free(exception(interp, "subpy_queues.Queue(there.id).get(timeout='x')"));

  /* A conversion that fails leaves the item where it was. */
  subpy_value stale = subpy_value_from_queue(own);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_queue_put(there, &stale, 0, &error));
  CHECK(length(there) == 0);
  subpy_queue_free(there);
  subpy_queue_free(back);
}

/* What Python cannot make of an item, here a set with a list in it, leaves that where it was. */
static void not_made(subpy_interp interp) {
  subpy_queue queue = new_queue(2);
  subpy_pair name = {TEXT("q"), subpy_value_from_queue(queue)};
  subpy_value main = subpy_dict(&name, 1), list = subpy_list(NULL, 0), set = subpy_list(&list, 1), taken = subpy_none();
  set.flags |= SUBPY_TAG_SET;
  OK(subpy_prepare_main(interp, &main, &error));
  OK(subpy_queue_put(queue, &set, 0, &error));
  put(queue, 2);
  run(interp,
      "for act in q.get, q.get_nowait:\n"
      "  try: act()\n"
      "  except TypeError as e: assert 'unhashable' in str(e), e\n"
      "  else: raise AssertionError");
  CHECK(length(queue) == 2);
  OK(subpy_queue_get(queue, 0, &taken, &error));
  CHECK(taken.kind == SUBPY_KIND_LIST && (taken.flags & 255) == SUBPY_TAG_SET && taken.len == 1);
  subpy_value_free(&taken);
  CHECK(get(queue) == 2);
  subpy_queue_free(queue);
}

/* Items outlive the interpreter that put them; the other one has the same queue. */
static void two_interpreters(void) {
  subpy_interp first = create(), second = create();
  subpy_queue queue = new_queue(0);
  subpy_pair name = {TEXT("q"), subpy_value_from_queue(queue)};
  subpy_value main = subpy_dict(&name, 1);
  OK(subpy_prepare_main(first, &main, &error));
  OK(subpy_prepare_main(second, &main, &error));
  run(first, "import subpy_queues\nfor i in range(100): q.put([i, 'x' * i])\nq.put(subpy_queues.create())\nq.put(q)");
  OK(subpy_close(first, &error));
  run(second,
      "assert [q.get() for _ in range(100)] == [[i, 'x' * i] for i in range(100)]\n"
      "inner = q.get(); inner.put(1); assert inner.get() == 1 and q.get() is q and q.empty()\n");
  OK(subpy_close(second, &error));
  CHECK(length(queue) == 0);
  subpy_queue_free(queue);
}

static atomic_int released;

static void release(void *userdata) {
  (void)userdata;
  released++;
}

/* A buffer moves with its item, and is let go once, wherever that ends: in Python, in a result, in the queue. */
static void buffers(void) {
  static char memory[] = "0123456789";
  subpy_interp interp = create();
  subpy_queue queue = new_queue(2);
  subpy_pair name = {TEXT("q"), subpy_value_from_queue(queue)};
  subpy_value main = subpy_dict(&name, 1);
  OK(subpy_prepare_main(interp, &main, &error));
  subpy_buffer buffer = {.size = sizeof buffer, .data = memory, .len = 10, .release = release};
  subpy_value item = subpy_value_from_buffer(&buffer), list = subpy_list(&item, 1);
  OK(subpy_queue_put(queue, &list, 0, &error));
  CHECK(released == 0);
  run(interp, "view = q.get()[0]\nassert bytes(view) == b'0123456789'");
  CHECK(released == 0);
  run(interp, "del view");
  CHECK(released == 1);
  OK(subpy_queue_put(queue, &item, 0, &error));
  OK(subpy_queue_put(queue, &item, 0, &error));
  /* It was taken over, so it is let go when there is no room. */
  FAILS(SUBPY_ERROR_TIMEOUT, "the queue is full", subpy_queue_put(queue, &item, 0, &error));
  CHECK(released == 2);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_queue_put_with(queue, &item, 0, 77, &error));
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_queue_put(77, &item, 0, &error));
  CHECK(released == 4);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "...", subpy_queue_put(queue, &item, -2, &error));
  CHECK(released == 4);
  run(interp, "view = q.get()");
  OK(subpy_close(interp, &error));
  CHECK(released == 5);
  subpy_queue_free(queue);
  CHECK(released == 6);

  /* There is no call that anything could be lent for: it stays as long as it is used, in any number of interpreters. */
  subpy_interp one = create(), two = create();
  queue = new_queue(0);
  buffer.flags = SUBPY_BUFFER_LENT;
  OK(subpy_queue_put(queue, &item, 0, &error));
  subpy_value taken = subpy_none();
  OK(subpy_queue_get(queue, 0, &taken, &error));
  name = (subpy_pair){TEXT("view"), taken};
  OK(subpy_prepare_main(one, &main, &error));
  run(two, "def keep(x):\n  global view\n  view = x");
  OK(subpy_call(two, "keep", SUBPY_AUTO_LEN, &taken, 1, NULL, NULL, &error));
  run(one, "assert view[0] == 48");
  run(two, "assert view[0] == 48; del view");
  name.value = item;
  OK(subpy_prepare_main(two, &main, &error));
  subpy_value_free(&taken);
  CHECK(released == 6);
  run(two, "assert view[9] == 57; del view");
  CHECK(released == 7);
  run(one, "del view");
  CHECK(released == 8);

  /* An interpreter that ends without having let go of it has a share of its own: the other one goes on. */
  buffer.flags = 0;
  OK(subpy_queue_put(queue, &item, 0, &error));
  OK(subpy_queue_get(queue, 0, &taken, &error));
  run(one, "import ctypes\ndef leak(x): ctypes.pythonapi.Py_IncRef(ctypes.py_object(x))");
  OK(subpy_call(one, "leak", SUBPY_AUTO_LEN, &taken, 1, NULL, NULL, &error));
  OK(subpy_call(two, "keep", SUBPY_AUTO_LEN, &taken, 1, NULL, NULL, &error));
  subpy_value_free(&taken);
  OK(subpy_close(one, &error));
  CHECK(released == 8);
  run(two, "assert view[9] == 57; del view");
  CHECK(released == 9);
  /* Alone it is told at the end. */
  run(two, "import ctypes\ndef leak(x): ctypes.pythonapi.Py_IncRef(ctypes.py_object(x))");
  OK(subpy_queue_put(queue, &item, 0, &error));
  OK(subpy_queue_get(queue, 0, &taken, &error));
  OK(subpy_call(two, "leak", SUBPY_AUTO_LEN, &taken, 1, NULL, NULL, &error));
  OK(subpy_close(two, &error));
  CHECK(released == 9);
  subpy_value_free(&taken);
  CHECK(released == 10);
  subpy_queue_free(queue);
}

typedef struct {
  subpy_status status;
  subpy_interp interp;
  subpy_queue queue;
  subpy_cancel cancel;
} waiter;

static void *host_waits(void *pointer) {
  waiter *it = pointer;
  subpy_value value = subpy_none();
  it->status = subpy_queue_get_with(it->queue, -1, &value, it->cancel, NULL);
  subpy_value_free(&value);
  return NULL;
}

static void *guest_runs(waiter *it, const char *text) {
  subpy_run_request request = {.size = sizeof request, .interp = it->interp, .what = SUBPY_RUN_EXEC,
                               .text = text, .text_len = SUBPY_AUTO_LEN, .cancel = it->cancel};
  it->status = subpy_run(&request, NULL, NULL);
  return NULL;
}

static void *guest_waits(void *pointer) { return guest_runs(pointer, "begun.put(1)\nq.get()"); }

/* Waits of hosts and of guests end at once: by a token, an interrupt, a time limit, a close of the queue, an item. */
static void waits(void) {
  subpy_interp interp = create();
  subpy_queue queue = new_queue(0), begun = new_queue(0);
  subpy_pair names[] = {{TEXT("q"), subpy_value_from_queue(queue)}, {TEXT("begun"), subpy_value_from_queue(begun)}};
  subpy_value main = subpy_dict(names, 2);
  OK(subpy_prepare_main(interp, &main, &error));
  subpy_value value = subpy_none();
  pthread_t thread;
  waiter it = {.interp = interp, .queue = queue};

  OK(subpy_cancel_new(&it.cancel, &error));
  CHECK(pthread_create(&thread, NULL, host_waits, &it) == 0);
  usleep(20000);
  subpy_cancel_fire(it.cancel);
  CHECK(pthread_join(thread, NULL) == 0 && it.status == SUBPY_ERROR_INTERRUPTED);
  put(queue, 1);
  FAILS(SUBPY_ERROR_INTERRUPTED, "cancelled while it waited for something to get from a queue",
        subpy_queue_get_with(queue, 0, &value, it.cancel, &error));
  CHECK(get(queue) == 1);
  subpy_cancel_free(it.cancel);
  FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_queue_get_with(queue, 0, &value, it.cancel, &error));

  OK(subpy_cancel_new(&it.cancel, &error));
  CHECK(pthread_create(&thread, NULL, guest_waits, &it) == 0);
  CHECK(get(begun) == 1);
  subpy_cancel_fire(it.cancel);
  CHECK(pthread_join(thread, NULL) == 0 && it.status == SUBPY_ERROR_INTERRUPTED);
  subpy_cancel_free(it.cancel);
  it.cancel = 0;

  CHECK(pthread_create(&thread, NULL, guest_waits, &it) == 0);
  CHECK(get(begun) == 1);
  OK(subpy_interrupt(interp, &error));
  CHECK(pthread_join(thread, NULL) == 0 && it.status == SUBPY_ERROR_INTERRUPTED);

  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EXEC, .text = "q.get()",
                               .text_len = SUBPY_AUTO_LEN, .timeout_ms = 30};
  FAILS(SUBPY_ERROR_TIMEOUT, "...timed out after 30 ms", subpy_run(&request, NULL, &error));

  CHECK(pthread_create(&thread, NULL, guest_waits, &it) == 0);
  CHECK(get(begun) == 1);
  put(queue, 2);
  CHECK(pthread_join(thread, NULL) == 0 && it.status == SUBPY_OK && length(queue) == 0);

  /* Python's own threads, too, when the interpreter is closed that way. */
  run(interp, "import threading\n[threading.Thread(target=q.get).start() for _ in range(3)]");
  CHECK(pthread_create(&thread, NULL, guest_waits, &it) == 0);
  CHECK(get(begun) == 1);
  subpy_close_options close = {.size = sizeof close, .timeout_ms = 20000, .flags = SUBPY_CLOSE_INTERRUPT};
  OK(subpy_close_with(interp, &close, &error));
  CHECK(pthread_join(thread, NULL) == 0 && it.status == SUBPY_ERROR_INTERRUPTED);
  put(queue, 3);
  CHECK(get(queue) == 3);

  it.cancel = 0;
  CHECK(pthread_create(&thread, NULL, host_waits, &it) == 0);
  usleep(20000);
  OK(subpy_queue_close(queue, &error));
  CHECK(pthread_join(thread, NULL) == 0 && it.status == SUBPY_ERROR_WRONG_STATE);
  subpy_queue_free(queue);
  subpy_queue_free(begun);
}

static void *host_puts(void *pointer) {
  waiter *it = pointer;
  subpy_value value = subpy_int(1);
  it->status = subpy_queue_put_with(it->queue, &value, -1, it->cancel, NULL);
  return NULL;
}

static void *guest_puts(void *pointer) { return guest_runs(pointer, "begun.put(1)\nq.put(1)"); }

/* The same for those who wait for room. */
static void waits_for_room(void) {
  subpy_interp interp = create();
  subpy_queue queue = new_queue(1), begun = new_queue(0);
  subpy_pair names[] = {{TEXT("q"), subpy_value_from_queue(queue)}, {TEXT("begun"), subpy_value_from_queue(begun)}};
  subpy_value main = subpy_dict(names, 2);
  OK(subpy_prepare_main(interp, &main, &error));
  put(queue, 0);
  void *(*const puts[])(void *) = {host_puts, guest_puts};
  pthread_t threads[2];
  waiter its[] = {{.queue = queue}, {.interp = interp, .queue = queue}};

  for (int i = 0; i < 2; i++) {
    OK(subpy_cancel_new(&its[i].cancel, &error));
    CHECK(pthread_create(&threads[i], NULL, puts[i], &its[i]) == 0);
    if (i) CHECK(get(begun) == 1);
    usleep(20000);
    subpy_cancel_fire(its[i].cancel);
    CHECK(pthread_join(threads[i], NULL) == 0 && its[i].status == SUBPY_ERROR_INTERRUPTED);
    subpy_cancel_free(its[i].cancel);
    its[i].cancel = 0;

    CHECK(pthread_create(&threads[i], NULL, puts[i], &its[i]) == 0);
    if (i) CHECK(get(begun) == 1);
    usleep(20000);
    CHECK(get(queue) == 0);
    CHECK(pthread_join(threads[i], NULL) == 0 && its[i].status == SUBPY_OK && get(queue) == 1);
    put(queue, 0);
  }

  CHECK(pthread_create(&threads[1], NULL, guest_puts, &its[1]) == 0);
  CHECK(get(begun) == 1);
  OK(subpy_interrupt(interp, &error));
  CHECK(pthread_join(threads[1], NULL) == 0 && its[1].status == SUBPY_ERROR_INTERRUPTED);

  subpy_run_request request = {.size = sizeof request, .interp = interp, .what = SUBPY_RUN_EXEC, .text = "q.put(1)",
                               .text_len = SUBPY_AUTO_LEN, .timeout_ms = 30};
  FAILS(SUBPY_ERROR_TIMEOUT, "...timed out after 30 ms", subpy_run(&request, NULL, &error));

  for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, puts[i], &its[i]) == 0);
  CHECK(get(begun) == 1);
  usleep(20000);
  OK(subpy_queue_close(queue, &error));
  CHECK(pthread_join(threads[0], NULL) == 0 && its[0].status == SUBPY_ERROR_WRONG_STATE);
  CHECK(pthread_join(threads[1], NULL) == 0 && its[1].status == SUBPY_ERROR_EXECUTION_FAILED);
  CHECK(get(queue) == 0 && length(queue) == 0);
  OK(subpy_close(interp, &error));
  subpy_queue_free(queue);
  subpy_queue_free(begun);
}

/* Threads that an interpreter's end leaves behind wait in front of the host: what they are woken for is not lost. */
static void left_behind(void) {
  subpy_interp interp = 0;
  subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_ALLOW_DAEMON_THREADS};
  OK(subpy_create(&options, &interp, &error));
  subpy_queue queue = new_queue(0);
  subpy_pair name = {TEXT("q"), subpy_value_from_queue(queue)};
  subpy_value main = subpy_dict(&name, 1);
  OK(subpy_prepare_main(interp, &main, &error));
  run(interp,
      "import threading, time, sys\n"
      "threads = [threading.Thread(target=q.get, daemon=True) for _ in range(8)]\n"
      "for t in threads: t.start()\n"
      "time.sleep(0.05)");
  waiter its[4];
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) {
    its[i] = (waiter){.queue = queue};
    CHECK(pthread_create(&threads[i], NULL, host_waits, &its[i]) == 0);
  }
  usleep(20000);
  OK(subpy_close(interp, &error));
  for (int i = 0; i < 4; i++) put(queue, i);
  for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0 && its[i].status == SUBPY_OK);
  CHECK(length(queue) == 0);
  subpy_queue_free(queue);
}

/* asyncio waits without a thread; main has the module too, and queues outlive the runtime. */
static void loops(void) {
  subpy_interp interp = create(), main_interp = 0;
  subpy_queue queue = new_queue(2), back = new_queue(0);
  subpy_pair names[] = {{TEXT("q"), subpy_value_from_queue(queue)}, {TEXT("back"), subpy_value_from_queue(back)}};
  subpy_value main = subpy_dict(names, 2);
  OK(subpy_prepare_main(interp, &main, &error));
  OK(subpy_get_main(&main_interp, &error));
  OK(subpy_prepare_main(main_interp, &main, &error));
  const char *code =
      "import asyncio\n"
      "async def take(seen):\n"
      "  async for item in q: seen.append(item)\n"
      "async def fill():\n"
      "  for i in range(300): await q.put_async(i)\n"
      "  q.close()\n"
      "async def main():\n"
      "  seen = []\n"
      "  lost = asyncio.create_task(q.get_async())\n"
      "  await asyncio.sleep(0); lost.cancel()\n"
      "  await asyncio.gather(fill(), take(seen), take(seen), take(seen))\n"
      "  return sorted(seen) == list(range(300))\n"
      "back.put(asyncio.run(main()))\n";
  subpy_value value = subpy_none();
  run(interp, code);
  OK(subpy_queue_get(back, 0, &value, &error));
  CHECK(value.kind == SUBPY_KIND_BOOL && value.u.as_bool);
  run(main_interp, "import subpy_queues\nback.put(subpy_queues.create().maxsize)");
  shut_down();
  CHECK(get(back) == 0);
  put(back, 9);
  interp = create();
  names[0] = names[1];
  main = subpy_dict(names, 1);
  OK(subpy_prepare_main(interp, &main, &error));
  run(interp, "assert back.get() == 9\nback.put(10)");
  shut_down();
  CHECK(get(back) == 10);
  subpy_queue_free(queue);
  subpy_queue_free(back);
}

int main(void) {
  hosts_alone();
  handles();
  subpy_interp interp = create();
  freed_arguments(interp);
  guests(interp);
  not_made(interp);
  OK(subpy_close(interp, &error));
  two_interpreters();
  buffers();
  waits();
  waits_for_room();
  left_behind();
  loops();
  return 0;
}
