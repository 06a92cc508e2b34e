package io.github.subpy;

/** What {@link Interpreter#closeWith} and {@link Subpy#shutdownWith} do about what runs; SUBPY_CLOSE_* of subpy.h. */
public enum CloseFlag {
  /** New runs are refused, and those that are running or wait for their turn finish. */
  DRAIN,
  /** What runs is interrupted, Python's own threads too. */
  INTERRUPT;

  static int bits(CloseFlag... flags) {
    int bits = 0;
    for (CloseFlag flag : flags) {
      bits |= 1 << flag.ordinal();
    }
    return bits;
  }
}
