/* subpy.c's buffers, objects, queues and pools. */

/* ---- queues ---- */

typedef struct {
  subpy_queue there, back;
} wires;

/** Two queues, and one more interpreter that sends back what comes. */
static wires wired(void) {
  wires made;
  subpy_error *error = NULL;
  expect(subpy_queue_new(NULL, &made.there, &error), &error);
  expect(subpy_queue_new(NULL, &made.back, &error), &error);
  subpy_value args[] = {subpy_value_from_queue(made.there), subpy_value_from_queue(made.back)};
  slot *at = slot_open("own");
  expect(subpy_call_in_thread(at->interp, "echo", SUBPY_AUTO_LEN, args, 2, NULL, NULL, &error), &error);
  return made;
}

static int64_t queue_host(slot *at, int64_t count) {
  (void)at;
  static wires to;
  if (to.there == 0) to = wired();
  subpy_error *error = NULL;
  subpy_value sent = subpy_int(7), got = {0};
  while (count-- > 0) {
    expect(subpy_queue_put(to.there, &sent, -1, &error), &error);
    expect(subpy_queue_get(to.back, -1, &got, &error), &error);
  }
  return got.u.as_int;
}

static int64_t queue_pair(slot *at, int64_t count) {
  static wires to;
  if (to.there == 0) to = wired();
  subpy_value args[] = {subpy_value_from_queue(to.there), subpy_value_from_queue(to.back), subpy_int(count)};
  return call(at, F_ping, args, 3).u.as_int;
}

/* ---- buffers ---- */

static void released(void *userdata) { ++*(int64_t *)userdata; }

static int64_t buffer_in(slot *at, int64_t count) {
  int64_t releases = 0, passed = count, len = 0;
  subpy_buffer buffer = {.size = sizeof buffer, .data = some_blob(), .len = BLOB, .release = released,
                         .userdata = &releases};
  while (count-- > 0) {
    subpy_value arg = subpy_value_from_buffer(&buffer);
    len = call(at, F_length, &arg, 1).u.as_int;
  }
  return releases == passed ? len : -1;
}

static int64_t bytes_in(slot *at, int64_t count) {
  subpy_value arg = subpy_bytes(some_blob(), BLOB);
  return calls(at, F_length, &arg, 1, count).u.as_int;
}

static int64_t buffer_out(slot *at, int64_t count) {
  subpy_run_request request = {.size = sizeof request, .interp = at->interp, .what = SUBPY_RUN_CALL,
                               .flags = SUBPY_RESULT_BUFFER, .text = "blob", .text_len = SUBPY_AUTO_LEN};
  int64_t len = 0;
  while (count-- > 0) {
    subpy_value result;
    subpy_error *error = NULL;
    expect(subpy_run(&request, &result, &error), &error);
    const subpy_buffer *buffer = result.u.as_buffer;
    len = (int64_t)buffer->len + ((const uint8_t *)buffer->data)[BLOB - 1];
    subpy_value_free(&result);
  }
  return len;
}

static int64_t bytes_out(slot *at, int64_t count) {
  subpy_value result = calls(at, F_blob, NULL, 0, count);
  int64_t len = (int64_t)result.len + result.u.as_bytes[BLOB - 1];
  subpy_value_free(&result);
  return len;
}

/* ---- objects ---- */

static subpy_value new_object(slot *at) {
  subpy_run_request request = {.size = sizeof request, .interp = at->interp, .what = SUBPY_RUN_CALL,
                               .flags = SUBPY_RESULT_OBJECT, .text = "Thing", .text_len = SUBPY_AUTO_LEN};
  subpy_value result;
  subpy_error *error = NULL;
  expect(subpy_run(&request, &result, &error), &error);
  return result;
}

static int64_t object_new(slot *at, int64_t count) {
  int64_t objects = 0;
  while (count-- > 0) {
    subpy_value object = new_object(at);
    objects += object.u.as_object != 0;
    subpy_value_free(&object);
  }
  return objects > 0;
}

static int64_t object_attr(slot *at, int64_t count) {
  static subpy_value object;
  if (object.kind == SUBPY_KIND_NONE) object = new_object(at);
  subpy_value result = {0};
  subpy_error *error = NULL;
  while (count-- > 0) expect(subpy_object_attr(object.u.as_object, "x", 1, 0, &result, &error), &error);
  return result.u.as_int;
}

static int64_t object_call(slot *at, int64_t count) {
  static subpy_value object;
  if (object.kind == SUBPY_KIND_NONE) object = new_object(at);
  subpy_value result = {0};
  subpy_error *error = NULL;
  while (count-- > 0)
    expect(subpy_object_call(object.u.as_object, "get", 3, NULL, 0, NULL, 0, &result, &error), &error);
  return result.u.as_int;
}

/* ---- pools ---- */

enum { TASKS = 1000 };

static subpy_pool new_pool(size_t workers, uint64_t runs_per_worker) {
  subpy_interp_options interp = {.size = sizeof interp, .memory_limit = limited ? LIMIT : 0};
  subpy_pool_options options = {.size = sizeof options, .workers = workers, .backlog = TASKS, .interp = &interp,
                                .setup = import_guest, .setup_len = SUBPY_AUTO_LEN,
                                .runs_per_worker = runs_per_worker,
                                .isolation = processes ? SUBPY_ISOLATION_PROCESS : SUBPY_ISOLATION_OWN_GIL};
  subpy_pool pool;
  subpy_error *error = NULL;
  expect(subpy_pool_new(&options, &pool, &error), &error);
  return pool;
}

static subpy_pool pool_of_2(void) {
  static subpy_pool pool;
  if (pool == 0) pool = new_pool(2, 0);
  return pool;
}

static subpy_thread submit(subpy_pool pool) {
  subpy_value args[] = {subpy_int(1000), subpy_int(2000)};
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_CALL, .text = "add",
                               .text_len = SUBPY_AUTO_LEN, .args = args, .nargs = 2};
  subpy_thread outcome;
  subpy_error *error = NULL;
  expect(subpy_pool_submit(pool, &request, &outcome, &error), &error);
  return outcome;
}

static int64_t joined(subpy_thread outcome) {
  subpy_value result;
  subpy_error *error = NULL;
  expect(subpy_thread_join(outcome, &result, &error), &error);
  return result.u.as_int;
}

static int64_t task(slot *at, int64_t count) {
  (void)at;
  int64_t result = 0;
  while (count-- > 0) result = joined(submit(pool_of_2()));
  return result;
}

static int64_t tasks_1000(slot *at, int64_t count) {
  (void)at;
  int64_t sum = 0;
  while (count-- > 0) {
    subpy_thread outcomes[TASKS];
    for (int i = 0; i < TASKS; i++) outcomes[i] = submit(pool_of_2());
    sum = 0;
    for (int i = 0; i < TASKS; i++) sum += joined(outcomes[i]);
  }
  return sum;
}

static bool add_row(void *sum, size_t index, subpy_value *result, const subpy_error *error) {
  (void)index;
  if (error == NULL) *(int64_t *)sum += result->u.as_int;
  return error == NULL;
}

static int64_t map_1000(slot *at, int64_t count) {
  (void)at;
  int64_t sum = 0;
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_CALL, .text = "add",
                               .text_len = SUBPY_AUTO_LEN};
  while (count-- > 0) {
    subpy_value rows[2 * TASKS];
    for (int i = 0; i < 2 * TASKS; i++) rows[i] = subpy_int(i % 2 == 0 ? 1000 : 2000);
    sum = 0;
    subpy_error *error = NULL;
    expect(subpy_pool_map(pool_of_2(), &request, rows, TASKS, 2, 100, add_row, &sum, &error), &error);
  }
  return sum;
}

/** In an interpreter that nothing has run in before. How long the next one is made, and the last closed, does not count. */
static int64_t task_alone(slot *at, int64_t count) {
  (void)at;
  static subpy_pool pool;
  if (pool == 0) pool = new_pool(1, 1);
  int64_t result = 0;
  while (count-- > 0) {
    int64_t start = now();
    subpy_pool_stats stats = {.size = sizeof stats};
    subpy_error *error = NULL;
    for (; stats.spares == 0 || stats.workers == 0; usleep(5000))
      expect(subpy_pool_get_stats(pool, &stats, &error), &error);
    not_counted += now() - start;
    result = joined(submit(pool));
  }
  return result;
}

static int64_t mix(slot *at, int64_t count) { return calls(at, F_mix, NULL, 0, count).u.as_int; }

static int64_t async_2(slot *at, int64_t count) {
  subpy_value args[] = {subpy_int(1000), subpy_int(2000)}, result = {0};
  subpy_run_request request = {.size = sizeof request, .interp = at->interp, .what = SUBPY_RUN_CALL,
                               .flags = SUBPY_RUN_ASYNC, .text = "later", .text_len = SUBPY_AUTO_LEN, .args = args,
                               .nargs = 2};
  subpy_error *error = NULL;
  while (count-- > 0) expect(subpy_run(&request, &result, &error), &error);
  return result.u.as_int;
}
