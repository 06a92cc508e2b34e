package io.github.subpy;

/** What the library reports. {@link #status()} says which kind of error it is. */
public class SubpyException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final int code;

  SubpyException(Status status, String message) {
    this(status.code(), message);
  }

  SubpyException(int code, String message) {
    super(message);
    this.code = code;
  }

  /** {@return the kind of error; {@link Status#UNKNOWN} for one that only a newer library has} */
  public Status status() {
    return Status.of(code);
  }

  /** {@return the number that the library uses for the status, also when it is {@link Status#UNKNOWN}} */
  public int code() {
    return code;
  }
}
