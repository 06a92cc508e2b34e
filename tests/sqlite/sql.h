/* For the tests of examples/sqlite, programs whose argument is the extension. */
#ifndef SQL_H
#define SQL_H

#include <sqlite3.h>

#include "../c/test.h"

static const char *extension;

static inline void load(sqlite3 *db) {
  char *message = NULL;
  CHECK(sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL) == SQLITE_OK);
  int rc = sqlite3_load_extension(db, extension, NULL, &message);
  if (rc != SQLITE_OK) fprintf(stderr, "%s: %s\n", extension, message ? message : sqlite3_errmsg(db));
  CHECK(rc == SQLITE_OK);
}

/* A connection with the extension. */
static inline sqlite3 *connect(const char *file) {
  sqlite3 *db = NULL;
  CHECK(sqlite3_open(file, &db) == SQLITE_OK);
  sqlite3_busy_timeout(db, 10000);
  load(db);
  return db;
}

static inline sqlite3_stmt *prepare(sqlite3 *db, const char *sql) {
  sqlite3_stmt *statement = NULL;
  int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
  if (rc != SQLITE_OK) fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(db));
  CHECK(rc == SQLITE_OK);
  return statement;
}

/* Runs a statement to its end, with its values as text: columns have commas between them, rows spaces. */
static inline int run_sql(sqlite3 *db, const char *sql, char *text, size_t room) {
  sqlite3_stmt *statement = prepare(db, sql);
  size_t at = 0;
  int rc;
  *text = '\0';
  while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
    for (int i = 0; i < sqlite3_column_count(statement); i++) {
      const char *value = (const char *)sqlite3_column_text(statement, i);
      int len = snprintf(text + at, room - at, "%s%s", i > 0 ? "," : at > 0 ? " " : "", value ? value : "NULL");
      CHECK(len >= 0 && (size_t)len < room - at);
      at += (size_t)len;
    }
  }
  CHECK(sqlite3_finalize(statement) == (rc == SQLITE_DONE ? SQLITE_OK : rc));
  return rc;
}

/* The statement gives these rows. */
#define GIVES(db, sql, expected) gives(__LINE__, db, sql, expected)

static inline void gives(int line, sqlite3 *db, const char *sql, const char *expected) {
  char text[4096];
  int rc = run_sql(db, sql, text, sizeof text);
  if (rc != SQLITE_DONE || strcmp(text, expected) != 0) {
    fprintf(stderr, "line %d: %s\n  gave %s (%d: %s)\n  not  %s\n", line, sql, text, rc, sqlite3_errmsg(db), expected);
    exit(1);
  }
}

/* The statement fails, with this code and this message, or one that contains it when it begins with "...". */
#define SQL_FAILS(db, sql, code, expected) sql_fails(__LINE__, db, sql, code, expected)

static inline void sql_fails(int line, sqlite3 *db, const char *sql, int code, const char *expected) {
  char text[4096];
  int rc = run_sql(db, sql, text, sizeof text);
  const char *message = sqlite3_errmsg(db);
  bool part = strncmp(expected, "...", 3) == 0;
  if (rc != code || !(part ? strstr(message, expected + 3) != NULL : strcmp(message, expected) == 0)) {
    fprintf(stderr, "line %d: %s\n  gave %s (%d: %s)\n  not  (%d: %s)\n", line, sql, text, rc, message, code, expected);
    exit(1);
  }
}

/* python_exec(), with a quotation mark that Python code does not use. */
static inline void python(sqlite3 *db, const char *code) {
  char *sql = sqlite3_mprintf("SELECT python_exec(%Q)", code);
  gives(0, db, sql, "NULL");
  sqlite3_free(sql);
}

/*
 * Nothing of the closed connections is left: main is the only interpreter. On a machine that is busy with other things, a
 * thread of the library's may still be ending one.
 */
static inline void check_closed(void) {
  size_t count = 0;
  subpy_error *error = NULL;
  for (int tries = 0; tries < 6000 && count != 1; tries++) {
    if (tries > 0) usleep(10000);
    OK(subpy_list_all(NULL, 0, &count, &error));
  }
  CHECK(count == 1);
}

#endif
