package io.github.subpy;

import java.lang.foreign.MemorySegment;

/**
 * The arguments of a call, written as the library reads them.
 *
 * @param positional an array of values
 * @param count how many
 * @param keywords a dict, or NULL
 */
record Arguments(MemorySegment positional, int count, MemorySegment keywords) {
  static Arguments of(Object[] args, Call call) {
    int count = args.length;
    MemorySegment keywords = MemorySegment.NULL;
    if (count > 0 && args[count - 1] instanceof Keywords last) {
      count--;
      keywords = Values.one(last.values(), "kwargs", call);
    }
    return new Arguments(Values.array(args, count, call), count, keywords);
  }
}
