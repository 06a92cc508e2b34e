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
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__asan_region_is_poisoned(void *address, size_t size);
void __asan_unpoison_memory_region(void const volatile *address, size_t size);

#ifdef LEAKS
void __lsan_register_root_region(void const *address, size_t size);

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
