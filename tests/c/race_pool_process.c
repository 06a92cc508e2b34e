/* The same for pools of interpreters in processes, some of which crash and some of which hang. */
#define PROCESSES true
#include "race_pool.c"
