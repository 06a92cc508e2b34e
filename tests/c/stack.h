/* A stack that is not the thread's own. */
#ifndef STACK_H
#define STACK_H

#include <sys/mman.h>
#include <ucontext.h>

#include "test.h"

static ucontext_t outside;

/* Runs a function on a stack of this size, between two guard pages. */
static inline void on_stack(size_t kib, void (*body)(void)) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), size = kib * 1024;
  char *memory = mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED && mprotect(memory + page, size, PROT_READ | PROT_WRITE) == 0);
  ucontext_t inside;
  CHECK(getcontext(&inside) == 0);
  inside.uc_stack.ss_sp = memory + page;
  inside.uc_stack.ss_size = size;
  inside.uc_link = &outside;
  makecontext(&inside, body, 0);
  CHECK(swapcontext(&outside, &inside) == 0);
  CHECK(munmap(memory, size + 2 * page) == 0);
}

#endif
