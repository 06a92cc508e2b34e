/* What holds a locked interpreter, on this Linux and on one that has less. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "guest.h"

static subpy_error *error;

static subpy_status create_locked(uint64_t flags, subpy_interp *interp) {
  subpy_interp_options options = {.size = sizeof options,
                                  .flags = SUBPY_INTERP_PROCESS | SUBPY_INTERP_LOCKED | flags};
  return subpy_create(&options, interp, &error);
}

static subpy_lock_info lock_of(subpy_interp interp) {
  subpy_lock_info info = {.size = sizeof info, .landlock = -1, .seccomp = -1};
  OK(subpy_lock_get_info(interp, &info, &error));
  CHECK(info.size == sizeof info);
  return info;
}

static void locked(void) {
  for (int best_effort = 0; best_effort < 2; best_effort++) {
    subpy_interp interp = 0;
    OK(create_locked(best_effort ? SUBPY_INTERP_LOCK_BEST_EFFORT : 0, &interp));
    subpy_lock_info info = lock_of(interp);
    CHECK(info.landlock >= 6 && info.seccomp == 1);
    run(interp, "try: open('/etc/passwd')\nexcept PermissionError: pass\nelse: raise AssertionError");
    OK(subpy_close(interp, &error));
    FAILS(SUBPY_ERROR_NOT_FOUND, "...", subpy_lock_get_info(interp, &info, &error));
    CHECK(info.size == sizeof info && info.landlock == 0 && info.seccomp == 0);
  }
}

/* What a host lets it have of its own, and limits that are set before it is locked. */
static void with_folders_and_limits(void) {
  char folder[] = "/tmp/subpy-process-lock-XXXXXX", read[100], written[100], text[200];
  CHECK(mkdtemp(folder));
  snprintf(read, sizeof read, "%s/read", folder);
  snprintf(written, sizeof written, "%s/written", folder);
  CHECK(mkdir(read, 0700) == 0 && mkdir(written, 0700) == 0);
  const char *const readable[] = {read, NULL}, *const writable[] = {written, NULL};
  subpy_interp_options options = {.size = sizeof options,
                                  .flags = SUBPY_INTERP_PROCESS | SUBPY_INTERP_LOCKED,
                                  .readable = readable,
                                  .writable = writable,
                                  .memory_limit = 128 << 20};
  subpy_interp interp = 0;
  OK(subpy_create(&options, &interp, &error));
  snprintf(text, sizeof text, "folder = '%s'", folder);
  run(interp, text);
  run(interp,
      "import os\n"
      "def refused(act, *args):\n"
      "    try: act(*args)\n"
      "    except PermissionError: return True\n"
      "assert os.listdir(folder + '/read') == os.listdir(folder + '/written') == []\n"
      "assert refused(os.listdir, folder) and refused(open, folder + '/read/a', 'w') and refused(open, folder + '/a', 'w')\n"
      "with open(folder + '/written/a', 'w') as file: file.write('text')\n"
      "assert open(folder + '/written/a').read() == 'text'\n"
      "os.rename(folder + '/written/a', folder + '/written/b')\n"
      "os.remove(folder + '/written/b')");
  subpy_memory_info memory = {.size = sizeof memory};
  OK(subpy_memory(interp, &memory, &error));
  CHECK(memory.used > 1 << 20 && memory.used < 100 << 20 && memory.peak >= memory.used && memory.limit == 128 << 20);
  FAILS(SUBPY_ERROR_EXECUTION_FAILED, "...MemoryError", subpy_exec(interp, "bytearray(200 << 20)", SUBPY_AUTO_LEN, &error));
  run(interp, "kept = bytearray(20 << 20)");
  uint64_t before = memory.used;
  OK(subpy_memory(interp, &memory, &error));
  CHECK(memory.used >= before + (15 << 20));
  OK(subpy_close(interp, &error));
  CHECK(rmdir(read) == 0 && rmdir(written) == 0 && rmdir(folder) == 0);
}

static void not_locked(void) {
  subpy_lock_info info = {.size = sizeof info};
  for (uint64_t flags = 0; flags <= SUBPY_INTERP_PROCESS; flags += SUBPY_INTERP_PROCESS) {
    subpy_interp_options options = {.size = sizeof options, .flags = flags};
    subpy_interp interp = 0;
    OK(subpy_create(&options, &interp, &error));
    FAILS(SUBPY_ERROR_WRONG_STATE, "the interpreter is not locked: that takes SUBPY_INTERP_LOCKED",
          subpy_lock_get_info(interp, &info, &error));
    OK(subpy_close(interp, &error));
    options.flags |= SUBPY_INTERP_LOCK_BEST_EFFORT;
    FAILS(SUBPY_ERROR_INVALID_ARGUMENT,
          flags ? "SUBPY_INTERP_LOCK_BEST_EFFORT needs SUBPY_INTERP_LOCKED: without it nothing is locked"
                : "SUBPY_INTERP_LOCK_BEST_EFFORT needs SUBPY_INTERP_PROCESS: it is about a process",
          subpy_create(&options, &interp, &error));
  }
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, "info is NULL", subpy_lock_get_info(0, NULL, &error));
}

/* From now on the kernel does not know Landlock, for this process and all that it starts. */
static void forget_landlock(void) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
  CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void on_one_that_has_less(void) {
  forget_landlock();
  subpy_interp interp = 0;
  FAILS(SUBPY_ERROR_INTERPRETER, "...this Linux has no Landlock of version 3 or newer, or it is switched off",
        create_locked(0, &interp));
  CHECK(interp == 0);
  OK(create_locked(SUBPY_INTERP_LOCK_BEST_EFFORT, &interp));
  subpy_lock_info info = lock_of(interp);
  CHECK(info.landlock == 0 && info.seccomp == 1);
  CHECK(number(interp, "1 + 1") == 2);
  run(interp, "try: open('/tmp/subpy-process-lock', 'w')\nexcept PermissionError: pass\nelse: raise AssertionError");
  OK(subpy_close(interp, &error));
  shut_down();
  exit(0);
}

int main(void) {
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) on_one_that_has_less();
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  locked();
  with_folders_and_limits();
  not_locked();
  shut_down();
  return 0;
}
