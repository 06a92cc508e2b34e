/*
 * sqlite3_interrupt() and python_timeout() stop Python wherever it is, and nothing that comes after it. With "few", it
 * races less: for valgrind.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "sql.h"

static sqlite3 *db;
static int races = 300;

/* begun() in a statement says that it is about to call Python. */
static atomic_bool has_begun;

static void begun(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
  (void)argc, (void)argv;
  has_begun = true;
  sqlite3_result_int(ctx, 1);
}

static sqlite3 *connect_here(void) {
  sqlite3 *made = connect(":memory:");
  CHECK(sqlite3_create_function(made, "begun", 0, SQLITE_UTF8, NULL, begun, NULL, NULL) == SQLITE_OK);
  return made;
}

static void *interrupt_soon(void *delay) {
  while (!has_begun) usleep(100);
  usleep((useconds_t)(intptr_t)delay);
  sqlite3_interrupt(db);
  return NULL;
}

/*
 * The statement, which begins with begun(), never ends by itself; the message says where Python was. On a busy machine the
 * interrupt may come before Python is there: then it is tried again, and later.
 */
static void is_interrupted(const char *sql, const char *place) {
  char text[4096];
  bool there = false;
  for (intptr_t delay = 20000; !there; delay *= 2) {
    pthread_t thread;
    has_begun = false;
    CHECK(pthread_create(&thread, NULL, interrupt_soon, (void *)delay) == 0);
    CHECK(run_sql(db, sql, text, sizeof text) == SQLITE_INTERRUPT);
    there = strstr(sqlite3_errmsg(db), place) != NULL;
    if (!there && delay > 1000000) SQL_FAILS(db, sql, SQLITE_INTERRUPT, place);
    CHECK(pthread_join(thread, NULL) == 0);
    GIVES(db, "SELECT fine(1), groups()", "1,0");
  }
}

/* The same with a time limit, beginning with 20 ms. */
static void is_limited(const char *sql, const char *place) {
  char text[4096], limit[64];
  bool there = false;
  for (int ms = 20; !there; ms *= 2) {
    snprintf(limit, sizeof limit, "SELECT python_timeout(%d)", ms);
    GIVES(db, limit, "NULL");
    CHECK(run_sql(db, sql, text, sizeof text) == SQLITE_ERROR);
    there = strstr(sqlite3_errmsg(db), place) != NULL;
    if (!there && ms > 1000) SQL_FAILS(db, sql, SQLITE_ERROR, place);
  }
}

static void interrupts(void) {
  is_interrupted("SELECT begun(), forever(1)", "in forever)");
  is_interrupted("SELECT count(*) FROM t WHERE begun() AND forever(x)", "in forever)");
  is_interrupted("SELECT begun(), python_exec('while True: pass')", "(line 1 of <python_exec>, in <module>)");
  is_interrupted("SELECT begun(), stubborn()", "in stubborn)");
  is_interrupted("SELECT begun(), python_function('f', 1, 'endless:f')", "in find_spec)");
  is_interrupted("SELECT endless_init(x) FROM t WHERE begun()", "in __init__)");
  is_interrupted("SELECT endless_step(x) FROM t WHERE begun() GROUP BY x % 3", "in step)");
  is_interrupted("SELECT endless_finalize(x) FROM t WHERE begun()", "in finalize)");
  is_interrupted("SELECT x, py_sum(x) OVER (ORDER BY x), forever(begun()) FROM t", "in forever)");

  /* Many short calls: SQLite stops between two of them. */
  is_interrupted("WITH RECURSIVE n(x) AS (SELECT begun() UNION ALL SELECT fine(x) FROM n) SELECT sum(x) FROM n", "");
  is_interrupted("WITH RECURSIVE n(x) AS (SELECT begun() UNION ALL SELECT 1 FROM n) SELECT py_sum(x) FROM n", "");

  /* The transaction is rolled back, as SQLite does it after an interrupt of its own. */
  GIVES(db, "BEGIN", "");
  GIVES(db, "INSERT INTO t VALUES (100)", "");
  is_interrupted("INSERT INTO t SELECT forever(begun())", "in forever)");
  CHECK(sqlite3_get_autocommit(db));
  GIVES(db, "SELECT max(x) FROM t", "9");
}

static void time_limits(void) {
  is_limited("SELECT forever(1)", "in forever)");
  is_limited("SELECT python_exec('while True: pass')", "in <module>)");
  is_limited("SELECT endless_step(x) FROM t", "in step)");
  is_limited("SELECT python_function('f', 1, 'endless:f')", "in find_spec)");
  GIVES(db, "SELECT count(fine(x)), groups() FROM t", "10,0");
  GIVES(db, "SELECT python_timeout(0)", "NULL");
  is_interrupted("SELECT begun(), forever(1)", "in forever)");
}

/*
 * Interrupts at any moment of a short query. When the thread that sends them has stopped, nothing may hit the next query any
 * more, whatever was on its way.
 */
typedef struct racer {
  sqlite3 *db;
  atomic_int state; /* 0: do not send; 1: send; 2: over */
  atomic_bool sending;
} racer;

static void *send(void *argument) {
  racer *self = argument;
  unsigned random = 1;
  while (self->state != 2) {
    self->sending = true;
    if (self->state == 1) sqlite3_interrupt(self->db);
    self->sending = false;
    random = random * 1103515245 + 12345;
    usleep(random >> 16 & 1023);
  }
  return NULL;
}

static atomic_long stopped, through;

static void *race_queries(void *argument) {
  racer self = {.db = connect_here()};
  pthread_t sender;
  (void)argument;
  python(self.db, "def f(x): return sum(range(50)) + x\n");
  GIVES(self.db, "SELECT python_function('f', 1)", "NULL");
  sqlite3_stmt *statement = prepare(self.db, "WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n WHERE x < 200)"
                                             "SELECT sum(f(x)) FROM n");
  CHECK(pthread_create(&sender, NULL, send, &self) == 0);
  for (int i = 0; i < races; i++) {
    self.state = 1;
    int rc = sqlite3_step(statement);
    self.state = 0;
    while (self.sending) sched_yield();
    CHECK(rc == SQLITE_INTERRUPT || (rc == SQLITE_ROW && sqlite3_column_int(statement, 0) == 266325));
    sqlite3_reset(statement);
    stopped += rc == SQLITE_INTERRUPT;
    through += rc == SQLITE_ROW;
    GIVES(self.db, "SELECT f(0) + f(1)", "2451");
  }
  self.state = 2;
  CHECK(pthread_join(sender, NULL) == 0);
  sqlite3_finalize(statement);
  CHECK(sqlite3_close(self.db) == SQLITE_OK);
  return NULL;
}

int main(int argc, char **argv) {
  CHECK(argc >= 2);
  extension = argv[1];
  if (argc > 2) races = 5;
  db = connect_here();
  python(db,
         "import sys, subpy_sqlite\n"
         "def groups():\n"
         "    return len(subpy_sqlite.step.__closure__[0].cell_contents)\n"
         "def fine(x): return x\n"
         "def forever(x):\n"
         "    while True: pass\n"
         "def stubborn():\n"
         "    for i in range(3):\n"
         "        try: forever(1)\n"
         "        except BaseException: pass\n"
         "    while True: pass\n"
         "class Finder:\n"
         "    def find_spec(self, name, path=None, target=None):\n"
         "        while name == 'endless': pass\n"
         "sys.meta_path.insert(0, Finder())\n"
         "class Sum:\n"
         "    def __init__(self): self.sum = 0\n"
         "    def step(self, x): self.sum += x\n"
         "    def inverse(self, x): self.sum -= x\n"
         "    def value(self): return self.sum\n"
         "    def finalize(self): return self.sum\n"
         "class EndlessInit(Sum):\n"
         "    def __init__(self):\n"
         "        while True: pass\n"
         "class EndlessStep(Sum):\n"
         "    def step(self, x):\n"
         "        while x > 5: pass\n"
         "class EndlessFinalize(Sum):\n"
         "    def finalize(self):\n"
         "        while True: pass\n");
  GIVES(db, "SELECT python_function('groups', 0), python_function('fine', 1), python_function('forever', 1), "
            "python_function('stubborn', 0), python_aggregate('py_sum', 1, 'Sum'), "
            "python_aggregate('endless_init', 1, 'EndlessInit'), python_aggregate('endless_step', 1, 'EndlessStep'), "
            "python_aggregate('endless_finalize', 1, 'EndlessFinalize')", "NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL");
  GIVES(db, "CREATE TABLE t AS WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n WHERE x < 9) SELECT x FROM n", "");
  interrupts();
  time_limits();
  CHECK(sqlite3_close(db) == SQLITE_OK);

  pthread_t threads[3];
  for (int i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, race_queries, NULL) == 0);
  for (int i = 0; i < 3; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  printf("%ld queries interrupted, %ld not\n", (long)stopped, (long)through);
  check_closed();
  shut_down();
  return 0;
}
