/*
 * Connections in several threads: each has its own Python. Then closing, in every way that SQLite allows. With "few", the
 * tables are small: for valgrind.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "sql.h"

enum { MOST = 4 };

static int threads = MOST, rounds = 3, rows = 10000;

static char file[] = "/tmp/subpy_sqlite_XXXXXX";

static void make_table(void) {
  sqlite3 *db = NULL;
  int fd = mkstemp(file);
  CHECK(fd >= 0 && close(fd) == 0);
  CHECK(sqlite3_open(file, &db) == SQLITE_OK);
  char *sql = sqlite3_mprintf(
      "CREATE TABLE t AS WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n WHERE x < %d)"
      "SELECT x, x %% 10 AS g, CASE WHEN x %% 7 THEN 'row ' || x END AS name FROM n", rows - 1);
  GIVES(db, sql, "");
  sqlite3_free(sql);
  CHECK(sqlite3_close(db) == SQLITE_OK);
}

/* Every connection defines the same names, and its own number behind them. */
static sqlite3 *connect_as(int number) {
  sqlite3 *db = connect(file);
  char *code = sqlite3_mprintf(
      "number = %d\n"
      "rows = 0\n"
      "def keep(x):\n"
      "    global rows\n"
      "    rows += 1\n"
      "    return x %% 10 == number\n"
      "def seen(): return rows\n"
      "def initial(name): return name and name[:1]\n"
      "class Sum:\n"
      "    def __init__(self): self.sum = number\n"
      "    def step(self, x): self.sum += x\n"
      "    def finalize(self): return self.sum\n"
      "def fail(x):\n"
      "    if x == number: raise LookupError(f'row {x}')\n", number);
  python(db, code);
  sqlite3_free(code);
  GIVES(db, "SELECT python_function('keep', 1), python_function('initial', 1), python_function('seen', 0), "
            "python_aggregate('py_sum', 1, 'Sum'), python_function('fail', 1)", "NULL,NULL,NULL,NULL,NULL");
  return db;
}

static void *query(void *argument) {
  int number = (int)(intptr_t)argument;
  sqlite3 *db = connect_as(number);
  char expected[1000], *at = expected;
  for (int round = 1; round <= rounds; round++) {
    sprintf(expected, "%d", rows / 10);
    GIVES(db, "SELECT count(*) FROM t WHERE keep(x)", expected);
    sprintf(expected, "%d", round * rows);
    GIVES(db, "SELECT seen()", expected);
    at = expected;
    for (int g = 0; g < 10; g++) {
      long sum = 0;
      for (int x = g; x < rows; x += 10) sum += x;
      at += sprintf(at, "%s%d,%ld", g ? " " : "", g, sum + number);
    }
    GIVES(db, "SELECT g, py_sum(x) FROM t GROUP BY g ORDER BY g", expected);
    sprintf(expected, "NULL,%d r,%d", (rows + 6) / 7, rows - (rows + 6) / 7);
    GIVES(db, "SELECT initial(name), count(*) FROM t GROUP BY 1 ORDER BY 1", expected);
    sprintf(expected, "LookupError: row %d (line 14 of <python_exec>, in fail)", number);
    SQL_FAILS(db, "SELECT max(fail(x)) FROM t", SQLITE_ERROR, expected);
  }
  CHECK(sqlite3_close(db) == SQLITE_OK);
  return NULL;
}

/* Opens and closes, some with Python and some without. */
static void *come_and_go(void *argument) {
  for (int i = 0; i < 3 * rounds; i++) {
    sqlite3 *db = connect(file);
    if (i % 3) {
      GIVES(db, "SELECT python_function('f', 1, 'builtins:abs')", "NULL");
      GIVES(db, "SELECT f(-2)", "2");
    }
    if (i % 5 == 0) load(db); /* once more: it is new then */
    CHECK(sqlite3_close(db) == SQLITE_OK);
  }
  return argument;
}

static void in_threads(void *(*const function)(void *)) {
  pthread_t thread[MOST];
  for (int i = 0; i < threads; i++) CHECK(pthread_create(&thread[i], NULL, function, (void *)(intptr_t)i) == 0);
  for (int i = 0; i < threads; i++) CHECK(pthread_join(thread[i], NULL) == 0);
  check_closed();
}

/* One connection, used by several threads in turn, as SQLite allows. */
static sqlite3 *shared;

static void *query_shared(void *argument) {
  for (int i = 0; i < 20; i++) GIVES(shared, "SELECT count(*) FROM t WHERE x < 100 AND keep(x)", "10");
  return argument;
}

static void one_connection(void) {
  pthread_t thread[MOST];
  shared = connect_as(1);
  for (int i = 0; i < threads; i++) CHECK(pthread_create(&thread[i], NULL, query_shared, NULL) == 0);
  for (int i = 0; i < threads; i++) CHECK(pthread_join(thread[i], NULL) == 0);
  char expected[20];
  sprintf(expected, "%d", threads * 20 * 100);
  GIVES(shared, "SELECT seen()", expected);
  CHECK(sqlite3_close(shared) == SQLITE_OK);
  check_closed();
}

/* A close while another thread is in the middle of a query is refused, or is put off until the query is done. */
static atomic_bool has_begun;

static void begun(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
  (void)ctx, (void)argc, (void)argv;
  has_begun = true;
}

static void *close_meanwhile(void *later) {
  while (!has_begun) usleep(100);
  CHECK(later ? sqlite3_close_v2(shared) == SQLITE_OK : sqlite3_close(shared) == SQLITE_BUSY);
  return NULL;
}

static void close_while_a_query_runs(bool later) {
  pthread_t thread;
  shared = connect_as(2);
  CHECK(sqlite3_create_function(shared, "begun", 0, SQLITE_UTF8, NULL, begun, NULL, NULL) == SQLITE_OK);
  has_begun = false;
  CHECK(pthread_create(&thread, NULL, close_meanwhile, later ? &later : NULL) == 0);
  sqlite3_stmt *statement = prepare(shared, "SELECT begun(), x FROM t WHERE keep(x)");
  int found = 0;
  while (sqlite3_step(statement) == SQLITE_ROW) {
    found++;
    if (found == 10) CHECK(pthread_join(thread, NULL) == 0); /* the rest comes after the close */
  }
  CHECK(found == rows / 10);
  CHECK(sqlite3_finalize(statement) == SQLITE_OK);
  CHECK(later || sqlite3_close(shared) == SQLITE_OK);
  check_closed();
}

/* Threads that Python code has started end with the connection. */
static void close_with_a_thread_inside(void) {
  sqlite3 *db = connect(file);
  python(db,
         "import threading\n"
         "def work():\n"
         "    try:\n"
         "        while True: pass\n"
         "    except KeyboardInterrupt: pass\n"
         "threading.Thread(target=work, daemon=False).start()\n");
  CHECK(sqlite3_close(db) == SQLITE_OK);
  check_closed();
}

int main(int argc, char **argv) {
  CHECK(argc >= 2);
  extension = argv[1];
  if (argc > 2) threads = 2, rounds = 1, rows = 200;
  make_table();
  in_threads(query);
  in_threads(come_and_go);
  one_connection();
  close_while_a_query_runs(false);
  close_while_a_query_runs(true);
  close_with_a_thread_inside();
  CHECK(unlink(file) == 0);
  shut_down();
  return 0;
}
