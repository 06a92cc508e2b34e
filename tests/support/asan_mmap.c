/*
 * mmap() for tests under AddressSanitizer, preloaded after its library, which calls it. What a mapping had in its place,
 * such as a thread's stack that was given back, may have left marks, and older versions of the sanitizer (GCC 12) do not
 * wipe them: it would report reads of new memory there.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__asan_region_is_poisoned(void *address, size_t size);
void __asan_unpoison_memory_region(void const volatile *address, size_t size);

void *mmap(void *address, size_t length, int protection, int flags, int file, off_t offset) {
  void *memory = (void *)syscall(SYS_mmap, address, length, protection, flags, file, offset);
  /* To wipe takes memory. */
  if (memory != MAP_FAILED && __asan_region_is_poisoned(memory, length))
    __asan_unpoison_memory_region(memory, length);
  return memory;
}

/* What is compiled for large files calls this name. */
void *mmap64(void *address, size_t length, int protection, int flags, int file, off_t offset)
    __attribute__((alias("mmap")));
