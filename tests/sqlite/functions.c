/* What the extension's functions do, on one thread: values, errors, registering, aggregates, windows. */
#include "sql.h"

static sqlite3 *db;

static void host_function(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
  (void)argc, (void)argv;
  sqlite3_result_text(ctx, "host", -1, SQLITE_STATIC);
}

static void values(void) {
  python(db,
         "def same(x): return x\n"
         "def kind(x): return type(x).__name__\n"
         "def show(x): return ascii(x)\n"
         "def arity(*args): return len(args)\n");
  GIVES(db, "SELECT python_function('same', 1), python_function('kind', 1), python_function('show', 1)", "NULL,NULL,NULL");
  GIVES(db, "SELECT python_function('arity', -1), python_function('none', 0, 'arity')", "NULL,NULL");

  GIVES(db, "SELECT kind(NULL), kind(1), kind(1.0), kind('1'), kind(x'31')", "NoneType,int,float,str,bytes");
  GIVES(db, "SELECT typeof(same(NULL)), typeof(same(1)), typeof(same(1.0)), typeof(same('1')), typeof(same(x'31'))",
        "null,integer,real,text,blob");
  GIVES(db, "SELECT same(9223372036854775807), same(-9223372036854775808)", "9223372036854775807,-9223372036854775808");
  GIVES(db, "SELECT same(0.1) = 0.1, same(1e308 * 10) = 1e308 * 10, show(-0.0)", "1,1,-0.0");
  GIVES(db, "SELECT same('\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x8d') = '\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x8d', same('')", "1,");
  GIVES(db, "SELECT show('\xc3\xa4\xf0\x9f\x90\x8d'), show('')", "'\\xe4\\U0001f40d',''");
  GIVES(db, "SELECT show('a' || char(0) || 'b'), hex(same('a' || char(0) || 'b'))", "'a\\x00b',610062");
  GIVES(db, "SELECT show(x''), hex(same(x'')), typeof(same(x'')), hex(same(x'00ff00')), length(same(zeroblob(100000)))",
        "b'',,blob,00FF00,100000");
  GIVES(db, "SELECT arity(), arity(1, NULL, 'x'), none(), arity(1,2,3,4,5,6,7,8), arity(1,2,3,4,5,6,7,8,9,10,11,12)",
        "0,3,0,8,12");

  python(db,
         "import math\n"
         "def true(): return True\n"
         "def nan(): return math.nan\n"
         "def big(): return 2 ** 63\n"
         "def view(): return bytearray(b'ab')\n"
         "def pair(): return 1, 2\n"
         "def odd(): return object()\n"
         "def half(): return '\\ud800'\n");
  GIVES(db, "SELECT python_function(value, 0) FROM json_each('[\"true\", \"nan\", \"big\", \"view\", \"pair\", \"odd\", \"half\"]')",
        "NULL NULL NULL NULL NULL NULL NULL");
  GIVES(db, "SELECT \"true\"(), nan(), typeof(view()), \"true\"() + 1", "1,NULL,blob,2");
  SQL_FAILS(db, "SELECT big()", SQLITE_ERROR, "Python returned an int that does not fit into the 64 bits of an INTEGER");
  SQL_FAILS(db, "SELECT pair()", SQLITE_ERROR, "Python returned a tuple; SQL has None, bool, int, float, str and bytes");
  SQL_FAILS(db, "SELECT odd()", SQLITE_ERROR, "...object");
  SQL_FAILS(db, "SELECT half()", SQLITE_ERROR, "...surrogate");
  SQL_FAILS(db, "SELECT same(CAST(x'ff' AS TEXT))", SQLITE_ERROR, "...UTF-8");
}

static void errors(void) {
  python(db,
         "def divide(x, y):\n"
         "    return x / y\n"
         "def outer(x, y):\n"
         "    # a comment\n"
         "    return divide(x, y)\n"
         "def recurse(n):\n"
         "    return recurse(n + 1)\n"
         "def leave(): raise SystemExit(3)\n");
  GIVES(db, "SELECT python_function('outer', 2), python_function('recurse', 1), python_function('leave', 0)", "NULL,NULL,NULL");
  SQL_FAILS(db, "SELECT outer(1, 0)", SQLITE_ERROR, "ZeroDivisionError: division by zero (line 2 of <python_exec>, in divide)");
  SQL_FAILS(db, "SELECT outer(1, 'a') FROM (SELECT 1)", SQLITE_ERROR, "...TypeError: unsupported operand type(s)");
  SQL_FAILS(db, "SELECT recurse(0)", SQLITE_ERROR, "...RecursionError: maximum recursion depth exceeded");
  SQL_FAILS(db, "SELECT leave()", SQLITE_ERROR, "...SystemExit: 3");
  GIVES(db, "SELECT outer(outer(8, 2), outer(4, 2))", "2.0");
  SQL_FAILS(db, "SELECT python_exec('def f(:')", SQLITE_ERROR, "...<python_exec>, line 1");
  SQL_FAILS(db, "SELECT python_exec('x = 1' || char(10) || 'raise ValueError(x)')", SQLITE_ERROR,
            "ValueError: 1 (line 2 of <python_exec>, in <module>)");
  SQL_FAILS(db, "SELECT python_exec('import json; json.loads(''[1,'')')", SQLITE_ERROR, "...JSONDecodeError");
  GIVES(db, "SELECT python_exec(NULL), python_exec('')", "NULL,NULL");
}

static void registering(void) {
  SQL_FAILS(db, "SELECT python_function('missing', 1)", SQLITE_ERROR,
            "AttributeError: module '__main__' has no attribute 'missing'");
  SQL_FAILS(db, "SELECT python_function('f', 1, 'no_such_module:f')", SQLITE_ERROR,
            "...ModuleNotFoundError: No module named 'no_such_module'");
  SQL_FAILS(db, "SELECT python_function('f', 1, 'math:pi')", SQLITE_ERROR, "TypeError: math:pi is not callable");
  SQL_FAILS(db, "SELECT python_function('f', -2, 'math:sqrt')", SQLITE_ERROR, "...-1 for any number");
  SQL_FAILS(db, "SELECT python_function('f', 100000, 'math:sqrt')", SQLITE_ERROR, "...-1 for any number");
  SQL_FAILS(db, "SELECT python_function('f', '1', 'math:sqrt')", SQLITE_ERROR, "...-1 for any number");
  SQL_FAILS(db, "SELECT python_function('', 1, 'math:sqrt')", SQLITE_ERROR, "the function needs a name");
  SQL_FAILS(db, "SELECT python_function(NULL, 1, 'math:sqrt')", SQLITE_ERROR, "the function needs a name");
  SQL_FAILS(db, "SELECT python_function('f', 1, 'math:sqrt', 'deterministic fast')", SQLITE_ERROR,
            "unknown flag 'fast': there are deterministic, directonly and innocuous");
  SQL_FAILS(db, "SELECT python_function('upper', 1, 'math:sqrt')", SQLITE_ERROR,
            "unable to delete/modify user-function due to active statements");
  SQL_FAILS(db, "SELECT python_timeout(-1)", SQLITE_ERROR, "...milliseconds");

  GIVES(db, "SELECT python_function('root', 1, 'math:sqrt', 'Deterministic  directonly')", "NULL");
  GIVES(db, "SELECT python_function('plain', 1, 'math:sqrt'), python_function('fixed', 1, 'math:sqrt', 'deterministic')",
        "NULL,NULL");
  GIVES(db, "SELECT root(16), plain(9), fixed(4)", "4.0,3.0,2.0");
  GIVES(db, "CREATE TABLE numbers (x)", "");
  GIVES(db, "INSERT INTO numbers VALUES (1), (4), (9)", "");
  GIVES(db, "CREATE INDEX roots ON numbers (fixed(x))", "");
  GIVES(db, "SELECT x FROM numbers WHERE fixed(x) = 3", "9");
  sqlite3_stmt *statement = NULL;
  CHECK(sqlite3_prepare_v2(db, "CREATE INDEX no ON numbers (plain(x))", -1, &statement, NULL) == SQLITE_ERROR);
  GIVES(db, "CREATE VIEW direct AS SELECT root(x) FROM numbers", "");
  CHECK(sqlite3_prepare_v2(db, "SELECT * FROM direct", -1, &statement, NULL) == SQLITE_ERROR);
  CHECK(strstr(sqlite3_errmsg(db), "unsafe use of root"));
  GIVES(db, "CREATE VIEW code AS SELECT python_exec('x = 1')", "");
  CHECK(sqlite3_prepare_v2(db, "SELECT * FROM code", -1, &statement, NULL) == SQLITE_ERROR);

  /* Again, while a statement that uses it is at work. */
  python(db, "def sign(x): return 'old'\n");
  GIVES(db, "SELECT python_function('sign_of', 1, 'sign')", "NULL");
  statement = prepare(db, "SELECT sign_of(x) FROM numbers");
  CHECK(sqlite3_step(statement) == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(statement, 0), "old") == 0);
  python(db, "def sign(x): return 'new'\n");
  GIVES(db, "SELECT sign_of(1)", "old");
  GIVES(db, "SELECT python_function('SIGN_OF', 1, 'sign')", "NULL");
  CHECK(sqlite3_step(statement) == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(statement, 0), "new") == 0);
  sqlite3_finalize(statement);
  SQL_FAILS(db, "SELECT python_function('sign_of', 1, 'sign', 'deterministic')", SQLITE_ERROR,
            "sign_of() is registered already, with other flags or methods");
  GIVES(db, "SELECT python_function('sign_of', 2, 'builtins:pow'), python_function('host', 1, 'sign')", "NULL,NULL");
  GIVES(db, "SELECT sign_of(1), sign_of(2, 10), host(1)", "new,1024,new");

  /* The program may put something else in its place. */
  CHECK(sqlite3_create_function(db, "host", 1, SQLITE_UTF8, NULL, host_function, NULL, NULL) == SQLITE_OK);
  GIVES(db, "SELECT host(1)", "host");
}

static void check_no_groups(void) {
  GIVES(db, "SELECT groups()", "0");
}

static void aggregates(void) {
  python(db,
         "import subpy_sqlite\n"
         "def groups():\n"
         "    return len(subpy_sqlite.step.__closure__[0].cell_contents)\n"
         "\n"
         "class Sum:\n"
         "    def __init__(self): self.sum = 0\n"
         "    def step(self, *args): self.sum += sum(args)\n"
         "    def finalize(self): return self.sum\n"
         "class WindowSum(Sum):\n"
         "    def inverse(self, x): self.sum -= x\n"
         "    def value(self): return self.sum\n"
         "class BadInit(Sum):\n"
         "    def __init__(self): raise ValueError('init')\n"
         "class BadStep:\n"
         "    failed = False\n"
         "    def step(self, x):\n"
         "        self.failed = x == 2\n"
         "        if self.failed: raise ValueError('step')\n"
         "    def finalize(self):\n"
         "        if self.failed: raise AssertionError('called after a step has failed')\n"
         "class BadFinalize(Sum):\n"
         "    def finalize(self): raise ValueError('finalize')\n"
         "class NoFinalize:\n"
         "    def step(self): pass\n");
  GIVES(db, "CREATE TABLE t AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 10) "
            "SELECT x, x % 3 AS g FROM n", "");
  GIVES(db, "SELECT python_function('groups', 0)", "NULL");
  GIVES(db, "SELECT python_aggregate('py_sum', 1, 'Sum'), python_aggregate('py_sum', -1, 'Sum')", "NULL,NULL");
  GIVES(db, "SELECT python_aggregate('WindowSum', 1)", "NULL");
  GIVES(db, "SELECT g, py_sum(x), sum(x), py_sum(x, 1, 2), count(*) FROM t GROUP BY g ORDER BY g",
        "0,18,18,27,3 1,22,22,34,4 2,15,15,24,3");
  GIVES(db, "SELECT py_sum(DISTINCT g), py_sum(x) FILTER (WHERE x > 8), py_sum() FROM t", "3,19,0");
  GIVES(db, "SELECT py_sum(x) FROM t WHERE x > 100", "0");
  GIVES(db, "SELECT g, py_sum(x) FROM t WHERE x > 100 GROUP BY g", "");
  GIVES(db, "SELECT x, (SELECT py_sum(x) FROM t AS o WHERE o.x <= t.x) FROM t WHERE x < 4", "1,1 2,3 3,6");
  check_no_groups();

  GIVES(db, "SELECT python_aggregate('bad_init', 1, 'BadInit'), python_aggregate('bad_step', 1, 'BadStep')", "NULL,NULL");
  GIVES(db, "SELECT python_aggregate('bad_finalize', 1, 'BadFinalize')", "NULL");
  SQL_FAILS(db, "SELECT bad_init(x) FROM t", SQLITE_ERROR, "...ValueError: init (line 13 of <python_exec>");
  SQL_FAILS(db, "SELECT bad_init(x) FROM t WHERE x > 100", SQLITE_ERROR, "...ValueError: init");
  SQL_FAILS(db, "SELECT g, bad_step(x), py_sum(x) FROM t GROUP BY g", SQLITE_ERROR, "...ValueError: step (line 18 of");
  SQL_FAILS(db, "SELECT bad_finalize(x) FROM t", SQLITE_ERROR, "...ValueError: finalize (line 22 of");
  SQL_FAILS(db, "SELECT py_sum(x || 'a') FROM t", SQLITE_ERROR, "...TypeError: unsupported operand");
  SQL_FAILS(db, "SELECT python_aggregate('no', 1, 'NoFinalize')", SQLITE_ERROR, "TypeError: NoFinalize has no method finalize()");
  SQL_FAILS(db, "SELECT python_aggregate('no', 1, 'missing')", SQLITE_ERROR, "...AttributeError");
  check_no_groups();

  /* A query that is not read to its end. */
  sqlite3_stmt *statement = prepare(db, "SELECT g, py_sum(x), bad_finalize(x) FROM t GROUP BY g");
  CHECK(sqlite3_step(statement) == SQLITE_ERROR);
  sqlite3_finalize(statement);
  statement = prepare(db, "SELECT x, (SELECT py_sum(o.x) FROM t AS o) FROM t");
  CHECK(sqlite3_step(statement) == SQLITE_ROW);
  sqlite3_reset(statement);
  CHECK(sqlite3_step(statement) == SQLITE_ROW);
  sqlite3_finalize(statement);
  check_no_groups();

  GIVES(db, "SELECT python_aggregate('window_sum', 1, 'WindowSum')", "NULL");
  GIVES(db, "SELECT window_sum(x) FROM t", "55");
  GIVES(db, "SELECT window_sum(x) OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM t WHERE x < 6",
        "3 6 9 12 9");
  GIVES(db, "SELECT window_sum(x) OVER (PARTITION BY g ORDER BY x ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING) FROM t WHERE g < 2",
        "0 3 9 0 1 5 11");
  statement = prepare(db, "SELECT window_sum(x) OVER (ORDER BY x) FROM t");
  CHECK(sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_int(statement, 0) == 1);
  sqlite3_finalize(statement);
  check_no_groups();
  sqlite3_stmt *no = NULL;
  CHECK(sqlite3_prepare_v2(db, "SELECT py_sum(x) OVER (ORDER BY x) FROM t", -1, &no, NULL) == SQLITE_ERROR);
}

int main(int argc, char **argv) {
  CHECK(argc >= 2);
  extension = argv[1];
  db = connect(":memory:");
  values();
  errors();
  registering();
  aggregates();
  CHECK(sqlite3_close(db) == SQLITE_OK);
  check_closed();
  shut_down();
  return 0;
}
