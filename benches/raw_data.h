/* raw.c's buffers and objects, and what there is for queues: two pipes. It has no pools: work.py does not ask. */

/* ---- pipes ---- */

typedef struct {
  int there[2], back[2];
} wires;

/** With these arguments, in between enter() and leave(). */
static int64_t call_ints(const slot *at, int function, const int64_t *values, size_t count) {
  PyObject *callable = callable_of(at, function), *args[3];
  for (size_t i = 0; i < count; i++) args[i] = raw.PyLong_FromLongLong(values[i]);
  int64_t result = int_of(raw.PyObject_Vectorcall(callable, args, count, NULL));
  for (size_t i = 0; i < count; i++) raw.Py_DecRef(args[i]);
  raw.Py_DecRef(callable);
  return result;
}

static void *echo_thread(void *argument) {
  const wires *to = argument;
  slot *at = slot_open("own");
  raw_entry entry = enter(at);
  call_ints(at, F_echo_pipe, (int64_t[]){to->there[0], to->back[1]}, 2);
  leave(entry);
  return NULL;
}

/** Two pipes, and one more interpreter that sends back what comes. */
static void wire(wires *to) {
  pthread_t echoes;
  if (pipe(to->there) != 0 || pipe(to->back) != 0) die("pipe");
  if (pthread_create(&echoes, NULL, echo_thread, to) != 0) die("a thread");
}

static int64_t queue_host(slot *at, int64_t count) {
  (void)at;
  static wires to;
  if (to.there[1] == 0) wire(&to);
  int64_t sent = 7, got = 0;
  while (count-- > 0)
    if (write(to.there[1], &sent, sizeof sent) != sizeof sent || read(to.back[0], &got, sizeof got) != sizeof got)
      die("a pipe");
  return got;
}

static int64_t queue_pair(slot *at, int64_t count) {
  static wires to;
  if (to.there[1] == 0) wire(&to);
  raw_entry entry = enter(at);
  int64_t result = call_ints(at, F_ping_pipe, (int64_t[]){to.there[1], to.back[0], count}, 3);
  leave(entry);
  return result;
}

/* ---- buffers ---- */

static int64_t buffer_in(slot *at, int64_t count) {
  int64_t value = 0;
  while (count-- > 0) {
    raw_entry entry = enter(at);
    value = int_of(call_with(at, F_length, raw.PyMemoryView_FromMemory((char *)some_blob(), BLOB, PyBUF_READ)));
    leave(entry);
  }
  return value;
}

static int64_t bytes_in(slot *at, int64_t count) {
  int64_t value = 0;
  while (count-- > 0) {
    raw_entry entry = enter(at);
    value = int_of(call_with(at, F_length, raw.PyBytes_FromStringAndSize((char *)some_blob(), BLOB)));
    leave(entry);
  }
  return value;
}

/** The host reads it without the GIL, and gives it back when it is in next. */
static int64_t buffer_out(slot *at, int64_t count) {
  Py_buffer buffer = {0};
  int64_t len = 0;
  while (count-- > 0) {
    raw_entry entry = enter(at);
    if (buffer.obj != NULL) raw.PyBuffer_Release(&buffer);
    PyObject *result = checked(call_with(at, F_blob, NULL));
    if (raw.PyObject_GetBuffer(result, &buffer, PyBUF_SIMPLE) != 0) raw_fail("a buffer");
    raw.Py_DecRef(result);
    leave(entry);
    len = buffer.len + ((uint8_t *)buffer.buf)[BLOB - 1];
  }
  raw_entry entry = enter(at);
  raw.PyBuffer_Release(&buffer);
  leave(entry);
  return len;
}

static int64_t bytes_out(slot *at, int64_t count) {
  int64_t len = 0;
  while (count-- > 0) {
    raw_entry entry = enter(at);
    PyObject *result = checked(call_with(at, F_blob, NULL));
    intptr_t size;
    char *from;
    raw.PyBytes_AsStringAndSize(result, &from, &size);
    char *to = malloc((size_t)size);
    memcpy(to, from, (size_t)size);
    raw.Py_DecRef(result);
    leave(entry);
    len = size + to[size - 1];
    free(to);
  }
  return len;
}

/* ---- objects ---- */

static PyObject *new_object(slot *at) {
  raw_entry entry = enter(at);
  PyObject *object = checked(call_with(at, F_Thing, NULL));
  leave(entry);
  return object;
}

/** Each is dropped when the interpreter is entered next. */
static int64_t object_new(slot *at, int64_t count) {
  PyObject *object = NULL;
  while (count-- > 0) {
    raw_entry entry = enter(at);
    if (object != NULL) raw.Py_DecRef(object);
    object = checked(call_with(at, F_Thing, NULL));
    leave(entry);
  }
  raw_entry entry = enter(at);
  raw.Py_DecRef(object);
  leave(entry);
  return 1;
}

static int64_t object_attr(slot *at, int64_t count) {
  static PyObject *object;
  if (object == NULL) object = new_object(at);
  int64_t value = 0;
  while (count-- > 0) {
    raw_entry entry = enter(at);
    value = int_of(raw.PyObject_GetAttrString(object, "x"));
    leave(entry);
  }
  return value;
}

static int64_t object_call(slot *at, int64_t count) {
  static PyObject *object;
  if (object == NULL) object = new_object(at);
  int64_t value = 0;
  while (count-- > 0) {
    raw_entry entry = enter(at);
    PyObject *name = raw.PyUnicode_FromString("get");
    value = int_of(raw.PyObject_VectorcallMethod(name, &object, 1, NULL));
    raw.Py_DecRef(name);
    leave(entry);
  }
  return value;
}

/* ---- instead of pools ---- */

static int64_t task(slot *at, int64_t count) { return call_2(at, count); }

static int64_t tasks_1000(slot *at, int64_t count) { return call_2(at, 1000 * count) * 1000; }

static int64_t map_1000(slot *at, int64_t count) { return tasks_1000(at, count); }

/** The interpreter is made for the task, and closed. */
static int64_t task_alone(slot *at, int64_t count) {
  (void)at;
  int64_t result = 0;
  while (count-- > 0) {
    slot *own = slot_open("own");
    result = call_2(own, 1);
    slot_close(own);
  }
  return result;
}

static int64_t mix(slot *at, int64_t count) {
  int64_t value = 0;
  while (count-- > 0) {
    raw_entry entry = enter(at);
    value = int_of(call_with(at, F_mix, NULL));
    leave(entry);
  }
  return value;
}

static int64_t async_2(slot *at, int64_t count) {
  int64_t result = 0;
  while (count-- > 0) {
    raw_entry entry = enter(at);
    result = call_ints(at, F_run_later, (int64_t[]){1000, 2000}, 2);
    leave(entry);
  }
  return result;
}
