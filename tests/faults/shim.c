/* Stands before the C library: refuses what a test wants refused, and counts. The calls of libsubpy.so are told from those
 * of CPython by where they return to. All processes of a program share what is wanted, in the file that SUBPY_FAULTS names:
 * the one that makes it is the program. */
#include "shim.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

#define EXPORT __attribute__((visibility("default")))
#define CALLER __builtin_return_address(0)
/* What comes behind this library. It is looked up at once: some callers have little stack. */
#define FUNCTIONS(do)                                                                                   \
  do(pthread_create) do(memfd_create) do(eventfd) do(epoll_create1) do(pipe2) do(dup) do(signalfd)      \
  do(opendir) do(socketpair) do(open) do(open64) do(fcntl) do(syscall) do(mmap) do(mprotect)            \
  do(ftruncate) do(fallocate) do(fork) do(clone) do(posix_spawnp) do(clock_gettime) do(gettimeofday)    \
  do(time)

#define DECLARE(name) static __typeof__(name) *real_##name;
#define FIND(name) found = dlsym(RTLD_NEXT, #name), memcpy(&real_##name, &found, sizeof found);
#define NEXT(name) (real_time ? real_##name : (find(), real_##name))

FUNCTIONS(DECLARE)

static struct {
  atomic_int armed;
  atomic_long seen, wanted;
} alone[2], *sides = alone;
static int side;

__attribute__((constructor)) static void find(void) {
  void *found;
  FUNCTIONS(FIND)
  backtrace(&found, 1); /* it loads what it needs */
  const char *path = getenv("SUBPY_FAULTS");
  if (!path) return;
  int file = real_open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  side = file < 0 ? THERE : HERE;
  if (file < 0) file = real_open(path, O_RDWR | O_CLOEXEC);
  if (file < 0 || real_ftruncate(file, sizeof alone) < 0) abort();
  void *memory = real_mmap(NULL, sizeof alone, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) abort();
  close(file);
  sides = memory;
}

static _Atomic(uintptr_t) library_begin, library_end;

static int look_for_library(struct dl_phdr_info *info, size_t size, void *data) {
  (void)size, (void)data;
  if (!info->dlpi_name || !strstr(info->dlpi_name, "libsubpy")) return 0;
  uintptr_t end = 0;
  for (int i = 0; i < info->dlpi_phnum; i++)
    if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz > end)
      end = info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
  library_begin = info->dlpi_addr;
  library_end = info->dlpi_addr + end;
  return 1;
}

static bool is_library(void *caller) { return (uintptr_t)caller >= library_begin && (uintptr_t)caller < library_end; }

/* An allocation of the library's own: what its allocators pass on is CPython's, which has called them just before. */
static bool is_own(void *caller) {
  if (!is_library(caller)) return false;
  void *frames[10];
  int count = backtrace(frames, 10), at = 0;
  while (at < count && frames[at] != caller) at++;
  for (int next = at + 1; next < count && next <= at + 4; next++)
    if (!is_library(frames[next])) return false;
  return true;
}

static bool fails(int kind, void *caller) {
  int kinds = sides[side].armed;
  if (!(kinds & kind)) return false;
  if (!library_end) dl_iterate_phdr(look_for_library, NULL);
  if (!(kinds & FAULT_EVERYBODY) && !(kind == FAULT_MEMORY ? is_own(caller) : is_library(caller))) return false;
  long number = ++sides[side].seen, wanted = sides[side].wanted;
  return wanted && (kinds & FAULT_AFTER ? number >= wanted : number == wanted);
}

EXPORT void fault_arm(int whose, int kinds, long nth) {
  sides[whose].wanted = nth;
  sides[whose].seen = 0;
  sides[whose].armed = kinds;
}

EXPORT long fault_disarm(int whose) {
  sides[whose].armed = 0;
  return sides[whose].seen;
}

/* The library's blocks: a table by address, which is never full. */
enum { PLACES = 1 << 18, FRAMES = 20 };

static struct block {
  uintptr_t address;
  uint64_t age;
  size_t size;
  void *frames[FRAMES];
} *blocks;
static size_t count;
static uint64_t ages;
static atomic_flag busy = ATOMIC_FLAG_INIT;

static void acquire(void) {
  while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire)) sched_yield();
}

static void release(void) { atomic_flag_clear_explicit(&busy, memory_order_release); }

static size_t home(uintptr_t address) { return (address >> 4) * 0x9e3779b97f4a7c15u >> 46; }

static void enter(void *block, size_t size, void *caller) {
  if (!blocks || !block || !is_own(caller)) return;
  void *frames[FRAMES] = {0};
  backtrace(frames, FRAMES);
  acquire();
  if (count >= PLACES / 2) abort();
  size_t at = home((uintptr_t)block);
  while (blocks[at].address) at = (at + 1) % PLACES;
  blocks[at] = (struct block){(uintptr_t)block, ++ages, size, {0}};
  memcpy(blocks[at].frames, frames, sizeof frames);
  count++;
  release();
}

static void leave(void *block) {
  if (!blocks || !block) return;
  acquire();
  size_t at = home((uintptr_t)block);
  while (blocks[at].address && blocks[at].address != (uintptr_t)block) at = (at + 1) % PLACES;
  if (blocks[at].address) {
    count--;
    /* What comes behind may have wanted this place. */
    for (size_t hole = at;;) {
      at = (at + 1) % PLACES;
      if (!blocks[at].address) {
        blocks[hole].address = 0;
        break;
      }
      if ((at - home(blocks[at].address)) % PLACES >= (at - hole) % PLACES) blocks[hole] = blocks[at], hole = at;
    }
  }
  release();
}

EXPORT void fault_watch(void) {
  dl_iterate_phdr(look_for_library, NULL);
  void *memory = mmap(NULL, PLACES * sizeof *blocks, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) abort();
  blocks = memory;
}

EXPORT size_t fault_blocks(void) { return count; }
EXPORT uint64_t fault_age(void) { return ages; }

EXPORT void fault_print_newer(uint64_t age) {
  for (size_t i = 0; i < PLACES; i++)
    if (blocks[i].address && blocks[i].age > age) {
      fprintf(stderr, "  %zu bytes, libsubpy.so at", blocks[i].size);
      for (int frame = 0; frame < FRAMES; frame++)
        if (is_library(blocks[i].frames[frame])) fprintf(stderr, " %#zx", (size_t)blocks[i].frames[frame] - library_begin);
      fprintf(stderr, "\n");
    }
}

static void *no_memory(void) {
  errno = ENOMEM;
  return NULL;
}

EXPORT void *malloc(size_t size) {
  if (fails(FAULT_MEMORY, CALLER)) return no_memory();
  void *block = __libc_malloc(size);
  enter(block, size, CALLER);
  return block;
}

EXPORT void *calloc(size_t number, size_t size) {
  if (fails(FAULT_MEMORY, CALLER)) return no_memory();
  void *block = __libc_calloc(number, size);
  enter(block, number * size, CALLER);
  return block;
}

EXPORT void *realloc(void *block, size_t size) {
  if (fails(FAULT_MEMORY, CALLER)) return no_memory();
  leave(block);
  void *new = __libc_realloc(block, size);
  enter(new ? new : block, size, CALLER);
  return new;
}

EXPORT int posix_memalign(void **block, size_t align, size_t size) {
  if (fails(FAULT_MEMORY, CALLER)) return ENOMEM;
  void *new = __libc_memalign(align, size);
  if (!new) return ENOMEM;
  enter(*block = new, size, CALLER);
  return 0;
}

EXPORT void *aligned_alloc(size_t align, size_t size) {
  if (fails(FAULT_MEMORY, CALLER)) return no_memory();
  void *block = __libc_memalign(align, size);
  enter(block, size, CALLER);
  return block;
}

EXPORT void free(void *block) {
  leave(block);
  __libc_free(block);
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*main)(void *), void *argument) {
  if (fails(FAULT_THREADS, CALLER)) return EAGAIN;
  return NEXT(pthread_create)(thread, attributes, main, argument);
}

static bool refused(int kind, int error, void *caller) {
  if (!fails(kind, caller)) return false;
  errno = error;
  return true;
}

#define NO_FILE refused(FAULT_FILES, EMFILE, CALLER)

EXPORT int memfd_create(const char *name, unsigned flags) { return NO_FILE ? -1 : NEXT(memfd_create)(name, flags); }
EXPORT int eventfd(unsigned value, int flags) { return NO_FILE ? -1 : NEXT(eventfd)(value, flags); }
EXPORT int epoll_create1(int flags) { return NO_FILE ? -1 : NEXT(epoll_create1)(flags); }
EXPORT int pipe2(int ends[2], int flags) { return NO_FILE ? -1 : NEXT(pipe2)(ends, flags); }
EXPORT int dup(int file) { return NO_FILE ? -1 : NEXT(dup)(file); }
EXPORT int signalfd(int file, const sigset_t *set, int flags) { return NO_FILE ? -1 : NEXT(signalfd)(file, set, flags); }
EXPORT DIR *opendir(const char *path) { return NO_FILE ? NULL : NEXT(opendir)(path); }

EXPORT int socketpair(int domain, int type, int protocol, int ends[2]) {
  return NO_FILE ? -1 : NEXT(socketpair)(domain, type, protocol, ends);
}

static mode_t mode_of(int flags, va_list arguments) {
  return flags & (O_CREAT | __O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

#define OPEN(name)                                           \
  EXPORT int name(const char *path, int flags, ...) {        \
    if (NO_FILE) return -1;                                  \
    va_list arguments;                                       \
    va_start(arguments, flags);                              \
    mode_t mode = mode_of(flags, arguments);                 \
    va_end(arguments);                                       \
    return NEXT(name)(path, flags, mode);                    \
  }

OPEN(open)
OPEN(open64)

EXPORT int fcntl(int file, int command, ...) {
  if ((command == F_DUPFD || command == F_DUPFD_CLOEXEC) && NO_FILE) return -1;
  va_list arguments;
  va_start(arguments, command);
  void *argument = va_arg(arguments, void *);
  va_end(arguments);
  return NEXT(fcntl)(file, command, argument);
}

EXPORT long syscall(long number, ...) {
  if (number == SYS_pidfd_open && NO_FILE) return -1;
  va_list list;
  va_start(list, number);
  long arguments[6];
  for (int i = 0; i < 6; i++) arguments[i] = va_arg(list, long);
  va_end(list);
  return NEXT(syscall)(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

#define NO_MAP refused(FAULT_MAPS, ENOMEM, CALLER)

EXPORT void *mmap(void *at, size_t len, int rights, int flags, int file, off_t offset) {
  return NO_MAP ? MAP_FAILED : NEXT(mmap)(at, len, rights, flags, file, offset);
}
EXPORT void *mmap64(void *at, size_t len, int rights, int flags, int file, off_t offset) {
  return NO_MAP ? MAP_FAILED : NEXT(mmap)(at, len, rights, flags, file, offset);
}
EXPORT int mprotect(void *at, size_t len, int rights) { return NO_MAP ? -1 : NEXT(mprotect)(at, len, rights); }
EXPORT int ftruncate(int file, off_t len) {
  return refused(FAULT_MAPS, ENOSPC, CALLER) ? -1 : NEXT(ftruncate)(file, len);
}
EXPORT int fallocate(int file, int mode, off_t at, off_t len) {
  return refused(FAULT_MAPS, ENOSPC, CALLER) ? -1 : NEXT(fallocate)(file, mode, at, len);
}

#define NO_PROCESS refused(FAULT_PROCESSES, EAGAIN, CALLER)

EXPORT pid_t fork(void) { return NO_PROCESS ? -1 : NEXT(fork)(); }

EXPORT int clone(int (*main)(void *), void *stack, int flags, void *argument, ...) {
  if (NO_PROCESS) return -1;
  va_list list;
  va_start(list, argument);
  void *arguments[3];
  for (int i = 0; i < 3; i++) arguments[i] = va_arg(list, void *);
  va_end(list);
  return NEXT(clone)(main, stack, flags, argument, arguments[0], arguments[1], arguments[2]);
}

EXPORT int posix_spawnp(pid_t *process, const char *file, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attributes, char *const arguments[], char *const environment[]) {
  if (fails(FAULT_PROCESSES, CALLER)) return EAGAIN;
  return NEXT(posix_spawnp)(process, file, actions, attributes, arguments, environment);
}

/* The clock on the wall. */
static _Atomic(int64_t) off_by;
static atomic_long asked;

EXPORT void fault_clock(int64_t seconds) {
  dl_iterate_phdr(look_for_library, NULL);
  off_by = seconds;
}
EXPORT long fault_clock_asked(void) { return asked; }

EXPORT int clock_gettime(clockid_t clock, struct timespec *time) {
  int result = NEXT(clock_gettime)(clock, time);
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
    if (is_library(CALLER)) asked++;
    if (result == 0) time->tv_sec += off_by;
  }
  return result;
}

EXPORT int gettimeofday(struct timeval *restrict time, void *restrict zone) {
  int result = NEXT(gettimeofday)(time, zone);
  if (is_library(CALLER)) asked++;
  if (result == 0) time->tv_sec += off_by;
  return result;
}

EXPORT time_t time(time_t *place) {
  time_t now = NEXT(time)(NULL) + off_by;
  if (is_library(CALLER)) asked++;
  if (place) *place = now;
  return now;
}
