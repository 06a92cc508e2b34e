/* Runs functions in processes of their own and collects what they write. */
#ifndef CHILD_H
#define CHILD_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

typedef struct written {
  char *data;
  size_t len;
} written;

typedef struct outcome {
  written out, err;
  /* as waitpid() gives it */
  int status;
} outcome;

/* Reads on until the end, or once when that is enough. */
static inline bool read_more(int fd, written *text) {
  text->data = realloc(text->data, text->len + 65537);
  CHECK(text->data);
  ssize_t got = read(fd, text->data + text->len, 65536);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  CHECK(got >= 0);
  text->len += (size_t)got;
  text->data[text->len] = 0;
  return got > 0;
}

/* Valgrind maps a stack as far as it is used. What a forked child uses more is a mapping of its own there, and glibc takes
 * the one above for the whole stack. So this is used before. */
static __attribute__((noinline)) void use_stack(void) {
  volatile char used[1 << 20];
  for (size_t at = 0; at < sizeof used; at += 4096) used[at] = 0;
}

/* The child is forked before this process has used subpy, and ends with _exit(0): without any cleaning up. */
static inline outcome in_child(void (*body)(void)) {
  int out[2], err[2];
  CHECK(pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
  use_stack();
  fflush(NULL);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    CHECK(dup2(out[1], 1) == 1 && dup2(err[1], 2) == 2);
    close(out[0]);
    close(err[0]);
    close(out[1]);
    close(err[1]);
    body();
    _exit(0);
  }
  close(out[1]);
  close(err[1]);
  outcome outcome = {0};
  struct pollfd fds[] = {{out[0], POLLIN, 0}, {err[0], POLLIN, 0}};
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    if (poll(fds, 2, -1) < 0) continue;
    if (fds[0].revents && !read_more(out[0], &outcome.out)) fds[0].fd = -1;
    if (fds[1].revents && !read_more(err[0], &outcome.err)) fds[1].fd = -1;
  }
  close(out[0]);
  close(err[0]);
  while (waitpid(child, &outcome.status, 0) < 0) CHECK(errno == EINTR);
  return outcome;
}

static inline void free_outcome(outcome *outcome) {
  free(outcome->out.data);
  free(outcome->err.data);
}

static inline void check_written(const char *name, const char *stream, const written *text, const char *expected, size_t len) {
  if (text->len != len || (len > 0 && memcmp(text->data, expected, len) != 0)) {
    fprintf(stderr, "%s: %s is\n%.*s\nnot\n%.*s\n", name, stream, (int)text->len, text->data ? text->data : "", (int)len, expected);
    exit(1);
  }
}

/* The function succeeds, and writes exactly that to stdout and stderr. */
static inline void expect_lengths(const char *name, void (*body)(void), const char *out, size_t out_len, const char *err) {
  outcome outcome = in_child(body);
  if (!WIFEXITED(outcome.status) || WEXITSTATUS(outcome.status) != 0) {
    fprintf(stderr, "%s: ended with %#x\n%.*s\n%.*s\n", name, (unsigned)outcome.status, (int)outcome.out.len,
            outcome.out.data ? outcome.out.data : "", (int)outcome.err.len, outcome.err.data ? outcome.err.data : "");
    exit(1);
  }
  check_written(name, "stderr", &outcome.err, err, strlen(err));
  check_written(name, "stdout", &outcome.out, out, out_len);
  free_outcome(&outcome);
}

#define EXPECT(body, out, err) expect_lengths(#body, body, out, sizeof(out) - 1, err)

#endif
