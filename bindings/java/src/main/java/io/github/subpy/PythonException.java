package io.github.subpy;

import java.util.Objects;

/** Thrown by a {@link HostFunction}: Python gets an exception of the type that it names. */
public class PythonException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final String type;

  /**
   * An exception for Python.
   *
   * @param type a builtin such as {@code "ValueError"}, or {@code "package.module:Type"}
   * @param message its message
   */
  public PythonException(String type, String message) {
    this(type, message, null);
  }

  /**
   * An exception for Python that has a cause in Java.
   *
   * @param type a builtin such as {@code "ValueError"}, or {@code "package.module:Type"}
   * @param message its message
   * @param cause what led to it; the note that Python shows has its stack, too
   */
  public PythonException(String type, String message, Throwable cause) {
    super(message, cause);
    this.type = Objects.requireNonNull(type, "type");
  }

  /** {@return the type that Python gets} */
  public String type() {
    return type;
  }
}
