package io.github.subpy;

import java.time.Duration;

/** Checks of what methods are given. */
final class Checks {
  private Checks() {}

  /** A text that becomes a C string. */
  static void noNul(String what, String text) {
    if (text != null && text.indexOf('\0') >= 0) {
      throw new IllegalArgumentException(what + " has a U+0000");
    }
  }

  /** A time limit, or null for none. */
  static void positive(Duration timeout) {
    if (timeout != null && !timeout.isPositive()) {
      throw new IllegalArgumentException("a time limit is positive, and not " + timeout);
    }
  }

  /** In milliseconds, and not shorter than it was asked for: 0 for nothing or less. */
  static long milliseconds(Duration time) {
    try {
      return Math.max(time.plusNanos(999_999).toMillis(), 0);
    } catch (ArithmeticException e) {
      return time.isNegative() ? 0 : Long.MAX_VALUE;
    }
  }
}
