/* The same as queue_stress.c, with interpreters in processes of their own. */
#define INTERPRETERS SUBPY_INTERP_PROCESS
#include "queue_stress.c"
