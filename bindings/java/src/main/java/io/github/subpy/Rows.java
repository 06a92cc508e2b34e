package io.github.subpy;

import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * The arguments of many calls, written as the library reads them.
 *
 * @param values an array of values, the first row first
 * @param count how many rows
 * @param width how many arguments each has
 */
record Rows(MemorySegment values, int count, int width) {
  static Rows of(List<? extends List<?>> rows, Call call) {
    // toArray(), because they may change meanwhile.
    Object[] lists = rows.toArray();
    Object[] objects = {};
    int width = 0;
    for (int row = 0; row < lists.length; row++) {
      Object[] args = ((List<?>) lists[row]).toArray();
      if (row == 0) {
        width = args.length;
        objects = new Object[length(lists.length, width)];
      } else if (args.length != width) {
        throw new IllegalArgumentException(
            "rows[" + row + "] has " + args.length + " arguments, and rows[0] has " + width);
      }
      System.arraycopy(args, 0, objects, row * width, width);
    }
    return new Rows(Values.rows(objects, width, call), lists.length, width);
  }

  private static int length(int count, int width) {
    long length = (long) count * width;
    if (length > Integer.MAX_VALUE - 8) {
      throw new IllegalArgumentException("rows: " + count + " of " + width + " arguments are too many for Java");
    }
    return (int) length;
  }
}
