/* What qemu-user cannot do and Linux can, without libsubpy: the reasons in tests/arm64/known and known-rust. tests/arm64/run expects that each
 * succeeds on this machine, and fails under qemu; else the tests that need it are run. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int ends(void *unused) {
  (void)unused;
  _exit(0);
}

/* A child in the memory of its parent, with a stack of its own, as processes for interpreters are started (src/process/launch.rs). */
static int clone_vm(void) {
  char *stack = malloc(1 << 16);
  int child = clone(ends, stack + (1 << 16), CLONE_VM | CLONE_VFORK | CLONE_FILES, NULL);
  return child > 0 && waitpid(child, NULL, __WCLONE) == child;
}

/* A filter of system calls that allows all of them. */
static int seccomp(void) {
  struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  struct sock_fprog program = {1, &all};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* A limit of memory that holds. */
static int rlimit(void) {
  struct rlimit limit = {1 << 28, 1 << 28};
  return setrlimit(RLIMIT_AS, &limit) == 0 &&
         mmap(NULL, 1 << 29, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED;
}

/* The memory of a process is the program's: here it has next to none. */
static int resident(void) {
  long all = 0, pages = -1;
  FILE *file = fopen("/proc/self/statm", "r");
  return file && fscanf(file, "%ld %ld", &all, &pages) == 2 && pages * sysconf(_SC_PAGESIZE) < 4 << 20;
}

/* Memory of a file without a name that is given back while it stays mapped. */
static int removes(void) {
  size_t size = 1 << 20;
  struct stat stat;
  int file = memfd_create("qemu", 0);
  if (file < 0 || ftruncate(file, size) != 0) return 0;
  char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) return 0;
  memset(memory, 1, size);
  return madvise(memory, size, MADV_REMOVE) == 0 && fstat(file, &stat) == 0 && stat.st_blocks == 0 && memory[0] == 0;
}

/* A program that cannot be started is an error of who starts it, which the child tells in memory that both have. */
static int spawn(void) {
  pid_t child;
  char *arguments[] = {"nowhere", NULL}, *environment[] = {NULL};
  return posix_spawn(&child, "/nowhere", NULL, NULL, arguments, environment) != 0;
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "clone") == 0) return !clone_vm();
  if (strcmp(what, "seccomp") == 0) return !seccomp();
  if (strcmp(what, "rlimit") == 0) return !rlimit();
  if (strcmp(what, "resident") == 0) return !resident();
  if (strcmp(what, "remove") == 0) return !removes();
  if (strcmp(what, "spawn") == 0) return !spawn();
  fprintf(stderr, "qemu clone|seccomp|rlimit|resident|remove|spawn\n");
  return 2;
}
