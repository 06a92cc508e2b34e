/* For tests of interpreters that count their memory. */
#ifndef MEMORY_H
#define MEMORY_H

#include "guest.h"

static const uint64_t MIB = 1 << 20;

static inline subpy_interp create_with(uint64_t flags, uint64_t limit) {
  subpy_error *error = NULL;
  subpy_interp interp = 0;
  subpy_interp_options options = {.size = sizeof options, .flags = flags, .memory_limit = limit};
  OK(subpy_create(&options, &interp, &error));
  return interp;
}

static inline subpy_interp create_counting(void) { return create_with(SUBPY_INTERP_COUNT_MEMORY, 0); }

static inline subpy_memory_info memory(subpy_interp interp) {
  subpy_error *error = NULL;
  subpy_memory_info info = {.size = sizeof info};
  OK(subpy_memory(interp, &info, &error));
  CHECK(info.size == sizeof info && info.peak >= info.used);
  /* What is given back is what was taken: a sum below zero would be seen here. */
  CHECK(info.used < UINT64_C(1) << 40);
  return info;
}

#endif
