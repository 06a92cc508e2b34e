package io.github.subpy;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;

/**
 * What holds the process of an interpreter that is locked down.
 *
 * @param landlock the version of Landlock that keeps it from files; 0 for none. 6 is all that is asked for
 * @param seccomp whether its system calls are filtered
 */
public record LockInfo(int landlock, boolean seccomp) {
  static LockInfo of(long interp, Call call) {
    MemorySegment struct = call.allocate(16);
    struct.set(JAVA_LONG, 0, struct.byteSize());
    call.check(DataNative.lockGetInfo(interp, struct, call.error()));
    return new LockInfo(struct.get(JAVA_INT, 8), struct.get(JAVA_INT, 12) != 0);
  }
}
