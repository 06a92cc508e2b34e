package io.github.subpy;

import java.util.OptionalInt;

/** What the library reports. {@link #status()} says which kind of error it is. */
public class SubpyException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final int code;
  private final Integer row;

  SubpyException(Status status, String message) {
    this(status.code(), message, null);
  }

  SubpyException(int code, String message, Integer row) {
    super(message);
    this.code = code;
    this.row = row;
  }

  /** {@return the kind of error; {@link Status#UNKNOWN} for one that only a newer library has} */
  public Status status() {
    return Status.of(code);
  }

  /** {@return the number that the library uses for the status, also when it is {@link Status#UNKNOWN}} */
  public int code() {
    return code;
  }

  /** {@return which row of {@link Function#callMany} it is from, from 0; empty for any other error} */
  public OptionalInt row() {
    return row == null ? OptionalInt.empty() : OptionalInt.of(row);
  }
}
