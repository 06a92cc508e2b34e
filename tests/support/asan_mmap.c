/*
 * mmap() for tests under AddressSanitizer, preloaded after its library, which calls it; with LEAKS defined munmap(), too.
 *
 * What a mapping had in its place, such as a thread's stack that was given back, may have left marks, and older versions of
 * the sanitizer (GCC 12) do not wipe them: it would report reads of new memory there.
 *
 * CPython has its objects and frames in mappings of its own. Where the sanitizer looks for leaks it would not look there for
 * what they point to, and a program may end while its interpreters live. So those that are left at the end are named to it.
 */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__asan_region_is_poisoned(void *address, size_t size);
void __asan_unpoison_memory_region(void const volatile *address, size_t size);

#ifdef LEAKS
void __lsan_register_root_region(void const *address, size_t size);
int __lsan_do_recoverable_leak_check(void);

#define KEPT 8192

/* No lock: forks have copies of it. */
static struct {
  _Atomic(void *) address;
  size_t length;
} kept[KEPT];

static void keep(void *memory, size_t length) {
  for (int i = 0; i < KEPT; i++) {
    void *none = NULL;
    if (atomic_load(&kept[i].address) || !atomic_compare_exchange_strong(&kept[i].address, &none, memory)) continue;
    kept[i].length = length;
    return;
  }
}

int munmap(void *address, size_t length) {
  for (int i = 0; i < KEPT; i++)
    if (atomic_load(&kept[i].address) == address) atomic_store(&kept[i].address, NULL);
  return (int)syscall(SYS_munmap, address, length);
}

/* The sanitizer looks for leaks after this, and skips what is no longer mapped. */
__attribute__((destructor)) static void name_mappings(void) {
  for (int i = 0; i < KEPT; i++)
    if (atomic_load(&kept[i].address)) __lsan_register_root_region(kept[i].address, kept[i].length);
}

/* Processes for interpreters end by this, after their CPython. What is found is printed, and their number is added to a file. */
void _exit(int status) {
  const char *path = getenv("SUBPY_TEST_LEAKS_FILE");
  char name[16] = "", line[16];
  prctl(PR_GET_NAME, name);
  if (status == 0 && path && *path && strcmp(name, "subpy-worker") == 0) {
    name_mappings();
    int file = __lsan_do_recoverable_leak_check() ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (file >= 0 && write(file, line, (size_t)snprintf(line, sizeof line, "%d\n", (int)getpid())) < 0) abort();
  }
  for (;;) syscall(SYS_exit_group, status);
}
#endif

void *mmap(void *address, size_t length, int protection, int flags, int file, off_t offset) {
  void *memory = (void *)syscall(SYS_mmap, address, length, protection, flags, file, offset);
  if (memory == MAP_FAILED) return memory;
  /* To wipe takes memory. */
  if (__asan_region_is_poisoned(memory, length)) __asan_unpoison_memory_region(memory, length);
#ifdef LEAKS
  if ((flags & MAP_ANONYMOUS) && (protection & PROT_WRITE)) keep(memory, length);
#endif
  return memory;
}

/* What is compiled for large files calls this name. */
void *mmap64(void *address, size_t length, int protection, int flags, int file, off_t offset)
    __attribute__((alias("mmap")));
