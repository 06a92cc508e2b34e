import io.github.subpy.Status;
import io.github.subpy.SubpyException;

/** The checks that these programs share. */
final class Check {
  private Check() {}

  static void that(boolean holds, Object... about) {
    if (!holds) {
      throw new AssertionError(java.util.Arrays.deepToString(about));
    }
  }

  static void equal(Object actual, Object expected) {
    if (!java.util.Objects.deepEquals(actual, expected)) {
      throw new AssertionError("it is " + actual + " and not " + expected);
    }
  }

  /** It throws, with this status and this message. */
  static void refused(Status status, String message, Runnable action) {
    try {
      action.run();
    } catch (SubpyException e) {
      equal(e.status(), status);
      equal(e.getMessage(), message);
      return;
    }
    throw new AssertionError("it was not refused: " + message);
  }

  /** It throws, with this status. */
  static void refusedLike(Status status, Runnable action) {
    try {
      action.run();
    } catch (SubpyException e) {
      equal(e.status(), status);
      return;
    }
    throw new AssertionError("it was not refused: " + status);
  }

  /** It throws an exception of this class. */
  static void thrown(Class<? extends Throwable> type, Runnable action) {
    try {
      action.run();
    } catch (Throwable t) {
      equal(t.getClass(), type);
      return;
    }
    throw new AssertionError(type + " was not thrown");
  }
}
