package io.github.subpy;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;

/**
 * How much memory an interpreter uses, in bytes: what Python's own allocators have given out, and not what C libraries get
 * from the system themselves.
 *
 * @param used what it uses now
 * @param peak the most that it has used
 * @param limit {@link Options#memoryLimit}; 0 for none
 * @param refused how often the limit has led to a MemoryError, or to a block of memory that CPython was not given
 */
public record MemoryInfo(long used, long peak, long limit, long refused) {
  static MemoryInfo of(long interp, Call call) {
    MemorySegment struct = call.allocate(40);
    struct.set(JAVA_LONG, 0, struct.byteSize());
    call.check(DataNative.memory(interp, struct, call.error()));
    return new MemoryInfo(
        struct.get(JAVA_LONG, 8), struct.get(JAVA_LONG, 16), struct.get(JAVA_LONG, 24), struct.get(JAVA_LONG, 32));
  }
}
