/* What a program can have refused that runs with shim.c in front of the C library (LD_PRELOAD). */
#ifndef SHIM_H
#define SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  FAULT_MEMORY = 1,   /* malloc and its like */
  FAULT_THREADS = 2,  /* pthread_create: EAGAIN */
  FAULT_FILES = 4,    /* whatever gives a new descriptor: EMFILE */
  FAULT_MAPS = 8,     /* mmap, mprotect: ENOMEM; a file that gets its size: ENOSPC */
  FAULT_PROCESSES = 16, /* fork, clone, posix_spawn: EAGAIN */
  FAULT_EVERYBODY = 1 << 8, /* not only what libsubpy.so itself asks for */
  FAULT_AFTER = 1 << 9,     /* all that come after the nth, too */
};

/* Whose these are: the program's, or those of the processes that it has started. */
enum { HERE, THERE };

/* From now on the nth of these fails, counted from 1. 0: they are counted alone. */
void fault_arm(int whose, int kinds, long nth);

/* Nothing fails any more. How many there were that could have failed. */
long fault_disarm(int whose);

/* How many blocks of memory libsubpy.so has now, since fault_watch(). */
void fault_watch(void);
size_t fault_blocks(void);

/* Prints where the library got those of its blocks from that are newer than the given number (fault_age()). */
void fault_print_newer(uint64_t age);
uint64_t fault_age(void);

/* The clock on the wall goes wrong by so many seconds. How often the library has asked for it. */
void fault_clock(int64_t seconds);
long fault_clock_asked(void);

#endif
