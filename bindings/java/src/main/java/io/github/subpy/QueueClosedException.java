package io.github.subpy;

/** A {@link PythonQueue} is closed, and what was in it has been taken ({@link Status#WRONG_STATE}). */
public final class QueueClosedException extends SubpyException {
  private static final long serialVersionUID = 1;

  QueueClosedException(String message) {
    super(Status.WRONG_STATE, message);
  }
}
