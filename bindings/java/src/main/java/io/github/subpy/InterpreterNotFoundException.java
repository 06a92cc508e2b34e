package io.github.subpy;

/** The interpreter was closed, or the thread was joined or closed. */
public final class InterpreterNotFoundException extends SubpyException {
  private static final long serialVersionUID = 1;

  InterpreterNotFoundException(String message) {
    super(Status.NOT_FOUND, message);
  }
}
