/* Random calls on several threads, and a model of what may come of each, given what it met (tests/races). A seed says what
 * each thread does. SUBPY_RACES_SEED runs one of them, SUBPY_RACES_SECONDS is for trying more, SUBPY_RACES_ACTS for having less
 * in it; what fails says its seed.
 *
 * Each seed is a process: some rounds, each of which ends with everything closed and nothing left. Some processes end in the
 * middle of it instead. */
#include "../races/ends.h"

#include <sys/resource.h>

enum { ROUNDS = 4, CHILD_SECONDS = 300 };

static const struct {
  const char *name;
  void (*act)(void);
  int weight;
} ACTS[] = {
    {"create", create_one, 4},          {"close", close_some, 3},         {"close_within", close_within, 3},
    {"ask", ask, 4},                {"find", find, 4},                {"list", list, 3},
    {"run", run_some, 16},          {"hammer", hammer, 3},
    {"run_main", run_main, 3},      {"new_function", new_function, 4},
    {"call_function", call_function, 10}, {"free_function", free_function, 3}, {"new_object", new_object, 4},
    {"use_object", use_object, 8},  {"free_object", free_object, 3},  {"new_token", new_token, 4},
    {"fire", fire, 4},              {"interrupt", interrupt, 4},      {"start", start, 10},
    {"wait_for", wait_for, 6},      {"enter", enter, 5},              {"leave", leave_some, 6},
    {"run_in_session", run_in_session, 6}, {"new_queue", new_queue, 3}, {"put", put, 12},
    {"get", get, 12},               {"close_queue", close_queue, 2},  {"pass_buffer", pass_buffer, 5},
    {"ask_memory", ask_memory, 3},  {"set_output", set_output, 3},    {"new_pool", new_pool, 1},
    {"submit", submit, 8},          {"map", map, 2},                  {"close_pool", close_some_pool, 1},
    {"guests", guests, 3},          {"watch_newest", watch_newest, 3},          {"shut_down", shut_all, 2},      {"fork", fork_one, 1},
};

enum { ACTS_COUNT = sizeof ACTS / sizeof *ACTS };

/* A round has some of them, some often: two that are rare do not meet among all others. */
static int weights[ACTS_COUNT], weight;
static atomic_long done[ACTS_COUNT];
static int threads, calls_each;
static atomic_bool over;

static void act(void) {
  if (log_is_full() && depth) return;
  uint64_t drawn = draw((uint64_t)weight);
  int which = 0;
  while (drawn >= (uint64_t)weights[which]) drawn -= (uint64_t)weights[which++];
  done[which]++;
  ACTS[which].act();
}

/* SUBPY_RACES_ACTS has the names of those that are wanted, with commas between them; without it all are. */
static bool is_wanted(const char *name) {
  const char *names = getenv("SUBPY_RACES_ACTS");
  const size_t len = strlen(name);
  for (const char *at = names; at; at = strchr(at, ',')) {
    at += *at == ',';
    if (strncmp(at, name, len) == 0 && (at[len] == ',' || !at[len])) return true;
  }
  return false;
}

static void choose(uint64_t round) {
  state = seed * 1000 + round;
  threads = 4 + (int)draw(MOST_THREADS - 3);
  calls_each = 30 + (int)draw(120);
  round_is.homes = 1 + (int)draw(HOMES);
  round_is.processes = draw(3) == 0;
  round_is.limits = draw(3) == 0;
  round_is.callbacks = draw(3) == 0;
  round_is.waiting = draw(2);
  round_is.asks = draw(3) < (getenv("SUBPY_RACES_ACTS") ? 2 : 1);
  weight = 0;
  bool few = draw(2) && !getenv("SUBPY_RACES_ACTS");
  for (int i = 0; i < ACTS_COUNT; i++) {
    weights[i] = draw(few ? 3 : 8) == 0 ? (few ? ACTS[i].weight * (1 + (int)draw(6)) : 0) : few ? 0 : ACTS[i].weight;
    if (ACTS[i].act == create_one && !weights[i]) weights[i] = ACTS[i].weight;
    if (getenv("SUBPY_RACES_ACTS")) weights[i] = is_wanted(ACTS[i].name) ? 1 + (int)draw(6) : 0;
    weight += weights[i];
  }
}

/* A thread ends in whatever it has entered, and its destructors go on for a while. */
static pthread_key_t key;

static void destroy(void *value) {
  ending = true;
  memset(sessions, 0, sizeof sessions);
  for (uint64_t i = draw(3); i > 0 && !over; i--) act();
  if (draw(2)) MUST(pthread_setspecific(key, value) == 0, "no destructor");
}

typedef struct {
  int number;
  uint64_t round, life;
  int calls;
  record *stays[SESSIONS];
} worker;

static void *lives(void *given) {
  worker *it = given;
  me = it->number;
  uint64_t start = (seed * 1000 + it->round) * 1000 + (uint64_t)me * 100 + it->life;
  state = start;
  if (draw(3) == 0) MUST(pthread_setspecific(key, it) == 0, "no destructor");
  int most = it->calls - (draw(4) == 0 ? (int)draw((uint64_t)it->calls) : 0);
  for (; it->calls > 0 && most > 0 && !over && !log_is_full(); it->calls--, most--) {
    /* What an act draws changes nothing about those that follow. */
    state = (start << 20) + (uint64_t)it->calls;
    if (calm && draw(8)) {
      leave_all();
      pause_ms(1);
    } else {
      act();
    }
  }
  bool leaves = draw(2);
  if (leaves) leave_all();
  for (int i = 0; i < SESSIONS; i++) {
    it->stays[i] = sessions[i].count ? sessions[i].stay : NULL;
    if (!it->stays[i]) continue;
    it->stays[i]->until = UINT64_MAX;
    it->stays[i]->end = tick();
  }
  state = start + 1;
  if (draw(2)) pthread_exit(NULL);
  return NULL;
}

/* One thread after the other, with the same number. */
static void *work(void *given) {
  worker *it = given;
  while (it->calls > 0 && !over && logged[it->number] <= CALLS - 200) {
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, lives, it) == 0, "no thread");
    MUST(pthread_join(thread, NULL) == 0, "no join");
    for (int i = 0; i < SESSIONS; i++)
      if (it->stays[i]) it->stays[i]->until = tick();
    it->life++;
  }
  return NULL;
}

static void initialise(shelf *shelf) { pthread_mutex_init(&shelf->lock, NULL); }

static void free_things(shelf *shelf, void (*free_one)(uint64_t)) {
  for (int i = 0; i < PLACES; i++) free_one(swap(shelf, (uint64_t)i, NOTHING).handle);
}

/* Everything that is left is closed, by this thread alone. Then nothing is there any more. */
static int end_round(void) {
  me = OUT;
  depth = 0;
  inside = -1;
  for (int i = 0; i < PLACES; i++) {
    thing thread = swap(&started, (uint64_t)i, NOTHING);
    if (thread.handle) join(thread);
  }
  /* Those that were freed end by themselves. */
  for (int i = 0; i < MOST_THREADS; i++)
    for (int j = 0; j < logged[i]; j++) {
      record *it = &logs[i][j];
      if ((it->what != START && it->what != SUBMIT) || it->status != SUBPY_OK || it->until != UINT64_MAX) continue;
      for (int tries = 0; it->until == UINT64_MAX && tries < 60000; tries++) pause_ms(1);
      MUST(it->until != UINT64_MAX, "what was started in thread %llx has not ended", (unsigned long long)it->made);
    }
  int checked = check_all();
  check_queues();
  free_things(&functions, subpy_function_free);
  free_things(&objects, subpy_object_free);
  free_things(&tokens, subpy_cancel_free);
  free_things(&queues, subpy_queue_free);
  free_things(&pools, (void (*)(uint64_t)){subpy_thread_free}); /* of no thread: it is ignored, and shut down below */
  free_things(&homes, (void (*)(uint64_t)){subpy_thread_free});
  subpy_error *error = NULL;
  subpy_close_options options = {.size = sizeof options, .timeout_ms = -1, .flags = SUBPY_CLOSE_DRAIN};
  subpy_status status = subpy_shutdown_with(&options, &error);
  MUST(status == SUBPY_OK, "nobody is there, and the shutdown says %s: %s", subpy_status_name(status),
       subpy_error_message(error, NULL));
  bool running;
  for (int i = 0; i < count; i++) {
    uint64_t made = all[i]->made;
    if (!made) continue;
    subpy_status said = SUBPY_ERROR_NOT_FOUND;
    if (all[i]->what == CREATE) said = subpy_is_running(made, &running, NULL);
    if (all[i]->what == START || all[i]->what == SUBMIT) said = subpy_thread_wait(made, 0, NULL, NULL);
    if (all[i]->what == POOL_NEW) said = subpy_pool_close(made, NULL, NULL);
    if (said != SUBPY_ERROR_NOT_FOUND) wrong(all[i], "it is there still: %s", subpy_status_name(said));
  }
  for (watched *it = atomic_exchange(&all_watched, NULL), *next; it; it = next) {
    for (int tries = 0; it->told < it->expected && tries < 10000; tries++) pause_ms(1);
    MUST(it->told == it->expected, "%s: the end was told %d times", it->what, (int)it->told);
    next = it->next;
    free(it);
  }
  for (int i = 0; i <= OUT; i++) logged[i] = 0;
  clock_now = 0;
  return checked;
}

static void *begin_round(void *given) {
  uint64_t round = *(uint64_t *)given;
  now_in_round = round;
  choose(round);
  pthread_t started_threads[MOST_THREADS];
  me = OUT;
  for (int i = 0; i < round_is.homes; i++) create_one();
  static worker workers[MOST_THREADS];
  for (int i = 0; i < threads; i++) {
    workers[i] = (worker){.number = i, .round = round, .calls = calls_each};
    MUST(pthread_create(&started_threads[i], NULL, work, &workers[i]) == 0, "no thread");
  }
  for (int i = 0; i < threads; i++) MUST(pthread_join(started_threads[i], NULL) == 0, "no join");
  return NULL;
}

static void stuck(int signal) {
  (void)signal;
  fprintf(report, "races: seed %llu: stuck\n", (unsigned long long)seed);
  show_unfinished();
  fflush(report);
  abort();
}

/* ---- a process ---- */

static void *exits(void *unused) {
  (void)unused;
  exit(0);
}

/* The last thread of a process without a main one. */
static void *ends_it(void *unused) {
  (void)unused;
  over = true;
  pause_ms(200);
  exit(0);
}

static void end_in_the_middle(int how) {
  static uint64_t round;
  pthread_t rounds, last;
  MUST(pthread_create(&rounds, NULL, begin_round, &round) == 0, "no thread");
  state = seed;
  pause_ms(30 + (int)draw(200));
  if (how == 1) exit(0);
  if (how == 2) _exit(0);
  MUST(pthread_create(&last, NULL, how == 3 ? exits : ends_it, NULL) == 0, "no thread");
  if (how == 4) pthread_exit(NULL);
  for (;;) pause();
}

/* Threads but those that CPython has parked for ever, in an interpreter that has ended: these have Python's names. A run with
 * a limit that came too late may have started the timer anew, which then ends with the next runtime. */
static int own_threads(char *names, size_t size) {
  DIR *open = opendir("/proc/self/task");
  MUST(open, "no list of threads");
  int found = 0;
  names[0] = 0;
  for (struct dirent *entry; (entry = readdir(open));) {
    char path[300], name[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
    FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
    if (!file) continue;
    if (!fgets(name, sizeof name, file)) name[0] = 0;
    fclose(file);
    if (strncmp(name, "Thread-", 7) == 0 || strcmp(name, "subpy-timer\n") == 0) continue;
    found++;
    snprintf(names + strlen(names), size - strlen(names), " %.*s", (int)strcspn(name, "\n"), name);
  }
  closedir(open);
  return found;
}

static void only_one_thread_is_left(void) {
  char names[400];
  for (int tries = 0; own_threads(names, sizeof names) > 1 && tries < 6000; tries++) pause_ms(5);
  MUST(own_threads(names, sizeof names) == 1, "threads are left:%s", names);
}

static int child(int how) {
  signal(SIGALRM, stuck);
  alarm(CHILD_SECONDS);
  MUST(pthread_key_create(&key, destroy) == 0, "no key");
  shelf *const shelves[] = {&homes, &functions, &objects, &tokens, &started, &queues, &pools};
  for (size_t i = 0; i < sizeof shelves / sizeof *shelves; i++) initialise(shelves[i]);
  subpy_error *error = NULL;
  MUST(subpy_buffer_new(5000, SUBPY_BUFFER_WRITABLE, &region, &error) == SUBPY_OK, "no memory");
  if (how) end_in_the_middle(how);
  /* What is there for good from the first time on: descriptors for processes, and one of libffi's. */
  subpy_interp first[] = {create(), create_process()};
  run(first[0], "import ctypes\nctypes.CFUNCTYPE(None)(print)");
  for (int i = 0; i < 2; i++) MUST(subpy_close(first[i], NULL) == SUBPY_OK, "the first one does not end");
  MUST(subpy_shutdown(NULL) == SUBPY_OK, "the first runtime does not end");
  host_use before = {0};
  int calls = 0;
  for (uint64_t round = 0; round < ROUNDS; round++) {
    begin_round(&round);
    calls += end_round();
    /* Its timer, say. */
    if (round == 0) {
      before = use_now();
    } else {
      host_use allowed = before;
      only_one_thread_is_left();
      allowed.threads += 1000; /* they were looked at */
      check_use(allowed);
    }
  }
  subpy_buffer_free(&region);
  fprintf(report, "%d", calls);
  for (int i = 0; i < ACTS_COUNT; i++) fprintf(report, " %ld", (long)done[i]);
  fputc('\n', report);
  return 0;
}

/* ---- all of them ---- */

static char *read_all(FILE *file) {
  static char text[1 << 16];
  rewind(file);
  text[fread(text, 1, sizeof text - 1, file)] = 0;
  return text;
}

static long calls;
static long acts[ACTS_COUNT];

/* A process with this seed. What it and Python say is shown when it fails. */
static bool seed_is_fine(const char *program, uint64_t which, int how) {
  FILE *reported = tmpfile(), *said = tmpfile();
  CHECK(reported && said);
  char texts[3][24];
  snprintf(texts[0], sizeof texts[0], "%llu", (unsigned long long)which);
  snprintf(texts[1], sizeof texts[1], "%d", how);
  snprintf(texts[2], sizeof texts[2], "%d", fileno(reported));
  fflush(NULL);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    dup2(fileno(said), 1);
    dup2(fileno(said), 2);
    /* What was freed is not there any more, or is no zeros. */
    setenv("MALLOC_PERTURB_", "165", 1);
    setenv("MALLOC_MMAP_THRESHOLD_", "131072", 1);
    execl("/proc/self/exe", program, texts[0], texts[1], texts[2], (char *)NULL);
    _exit(127);
  }
  int ended = 0;
  while (waitpid(pid, &ended, 0) < 0) CHECK(errno == EINTR);
  until_processes(0);
  const char *text = read_all(reported);
  bool fine = ended == 0;
  if (!fine) {
    fprintf(stderr, "%sraces: seed %llu: a process that ends in way %d ended with %x\n", text, (unsigned long long)which, how, (unsigned)ended);
    fprintf(stderr, "it and Python said:\n%s\n", read_all(said));
  } else if (!how) {
    char *at = NULL;
    calls += strtol(text, &at, 10);
    for (int i = 0; i < ACTS_COUNT; i++) acts[i] += strtol(at, &at, 10);
  }
  fclose(reported);
  fclose(said);
  return fine;
}

int main(int argc, char **argv) {
  const char *given = getenv("SUBPY_RACES_SEED"), *seconds = getenv("SUBPY_RACES_SECONDS");
  /* On a second build of CPython it looks for what differs there. */
  double limit = seconds ? strtod(seconds, NULL) : getenv("SUBPY_TEST_AGAIN") ? 10 : 25;
  if (argc > 3) {
    snprintf(mark, sizeof mark, "SUBPY_TEST_MARK=%s", getenv("SUBPY_TEST_MARK"));
    report = fdopen(atoi(argv[3]), "w");
    seed = strtoull(argv[1], NULL, 10);
    return child(atoi(argv[2]));
  }
  mark_processes(argv, (unsigned)limit + 2 * CHILD_SECONDS);
  double since = now();
  /* Always the same ones as a test, others by hand. */
  uint64_t first = given ? strtoull(given, NULL, 10) : seconds ? (uint64_t)time(NULL) * 1000 : 1;
  int seeds = 0, in_the_middle = 0;
  do {
    uint64_t which = given ? first : first + (uint64_t)seeds;
    int how = which % 5 == 4 ? 1 + (int)(which / 5 % 4) : 0;
    if (!seed_is_fine(argv[0], which, how)) return 1;
    in_the_middle += how != 0;
    seeds++;
  } while (now() - since < limit && !(given && !seconds));
  printf("%d seeds from %llu, %d of them ended in the middle, %ld calls:", seeds, (unsigned long long)first, in_the_middle, calls);
  for (int i = 0; i < ACTS_COUNT; i++) printf(" %s %ld", ACTS[i].name, acts[i]);
  printf("\n");
  return 0;
}
