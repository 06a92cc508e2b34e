/* What the C tests use of POSIX and mingw lacks; included before each of them. What cannot be on Windows ends the program. */
#ifndef HERE_H
#define HERE_H

/* A test has a function of this name. */
#define tell tell_of_io
#include <fcntl.h>
#include <io.h>
#undef tell
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define O_CLOEXEC _O_NOINHERIT
#define F_DUPFD_CLOEXEC 1030
#define F_SETFL 4
#define O_NONBLOCK 04000
#define _SC_PAGESIZE 30

static inline _Noreturn void not_here(const char *what) {
  fprintf(stderr, "Windows has no %s\n", what);
  exit(77);
}

static inline int fork(void) { not_here("fork()"); }
static inline int vfork(void) { not_here("vfork()"); }
/* Under wine, /proc is there to be read. */
static inline long sysconf(int what) { return what == _SC_PAGESIZE ? 4096 : -1; }
static inline int fcntl(int fd, int what, int other) { not_here(fd + what + other ? "fcntl()" : "fcntl(0)"); }

static inline int pipe(int ends[2]) { return _pipe(ends, 65536, _O_BINARY | _O_NOINHERIT); }
static inline int pipe2(int ends[2], int flags) { return _pipe(ends, 65536, _O_BINARY | flags); }

/* It gives the descriptor. */
static inline int dup_to(int fd, int to) { return _dup2(fd, to) == 0 ? to : -1; }
#define dup2 dup_to

static inline int setenv(const char *name, const char *value, int overwrite) {
  return overwrite || !getenv(name) ? _putenv_s(name, value) : 0;
}
static inline int unsetenv(const char *name) { return _putenv_s(name, ""); }

static inline char *strndup(const char *text, size_t most) {
  size_t len = strnlen(text, most);
  char *copy = malloc(len + 1);
  if (copy) memcpy(copy, text, len), copy[len] = 0;
  return copy;
}

/* Where others read at the same time, this is not it. */
static inline ssize_t pread(int fd, void *buffer, size_t size, long long at) {
  long long before = _lseeki64(fd, 0, SEEK_CUR);
  if (before < 0 || _lseeki64(fd, at, SEEK_SET) < 0) return -1;
  int got = read(fd, buffer, (unsigned)size);
  _lseeki64(fd, before, SEEK_SET);
  return got;
}

static inline void *memmem(const void *text, size_t text_len, const void *part, size_t len) {
  for (size_t at = 0; at + len <= text_len; at++)
    if (memcmp((const char *)text + at, part, len) == 0) return (char *)text + at;
  return NULL;
}

#endif
