/* What newer compilers call in the runtime of ThreadSanitizer and that of GCC 12 does not have: its memcpy() and the others
 * see what they touch. */
#include <string.h>

void *__tsan_memcpy(void *to, const void *from, size_t count) { return memcpy(to, from, count); }
void *__tsan_memmove(void *to, const void *from, size_t count) { return memmove(to, from, count); }
void *__tsan_memset(void *to, int byte, size_t count) { return memset(to, byte, count); }
