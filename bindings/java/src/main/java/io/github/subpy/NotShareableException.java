package io.github.subpy;

/** An object cannot be copied to or from Python. The message names the path to it: {@code args[0]['when']}. */
public final class NotShareableException extends SubpyException {
  private static final long serialVersionUID = 1;

  NotShareableException(String message) {
    this(message, null);
  }

  NotShareableException(String message, Integer row) {
    super(Status.NOT_SHAREABLE.code(), message, row);
  }
}
