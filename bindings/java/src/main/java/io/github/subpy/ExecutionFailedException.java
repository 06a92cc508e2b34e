package io.github.subpy;

import java.io.Serializable;
import java.util.List;
import java.util.OptionalInt;

/**
 * A Python exception that the code did not catch, SystemExit included ({@link Status#EXECUTION_FAILED}), or a source
 * that does not compile ({@link Status#SYNTAX}). The message is one line; {@link #traceback()} is what Python prints.
 *
 * <p>Its cause is what a {@link HostFunction} threw, when that is what Python did not catch. The subclasses are for runs
 * that were stopped.
 */
public sealed class ExecutionFailedException extends SubpyException
    permits ExecutionTimeoutException, ExecutionInterruptedException {
  private static final long serialVersionUID = 1;

  /**
   * The type of a Python exception.
   *
   * @param name such as {@code JSONDecodeError}
   * @param qualifiedName such as {@code Outer.Error} for a nested class
   * @param module such as {@code json.decoder}
   */
  public record Type(String name, String qualifiedName, String module) implements Serializable {}

  /**
   * One frame of a traceback, and where in its source the expression stands that was being evaluated.
   *
   * @param file the name of the file, such as {@code <script>}
   * @param function the name of the function, {@code <module>} at the top level
   * @param line from 1; 0 when it is not known
   * @param endLine the line in which the expression ends; 0 when it is not known
   * @param column where in {@code line} the expression begins, in characters from 1; 0 when it is not known
   * @param endColumn the column behind its last character, in {@code endLine}; 0 when it is not known
   * @param source the line as it stands in the file; null when it is not known
   */
  public record Frame(
      String file, String function, int line, int endLine, int column, int endColumn, String source)
      implements Serializable {}

  /**
   * Where a source is wrong.
   *
   * @param line from 1; 0 when it is not known
   * @param column in characters from 1; 0 when it is not known
   * @param text the line; null when it is not known
   */
  public record Location(int line, int column, String text) implements Serializable {}

  private final Type type;
  private final String exceptionMessage;
  private final String formatted;
  private final String traceback;

  @SuppressWarnings("serial") // what List.copyOf() makes can be serialised
  private final List<Frame> frames;

  private final Location location;
  private final Integer exitStatus;

  ExecutionFailedException(
      Status status,
      String message,
      Type type,
      String exceptionMessage,
      String formatted,
      String traceback,
      List<Frame> frames,
      Location location,
      Integer exitStatus,
      Integer row) {
    super(status.code(), message, row);
    this.type = type;
    this.exceptionMessage = exceptionMessage;
    this.formatted = formatted;
    this.traceback = traceback;
    this.frames = frames;
    this.location = location;
    this.exitStatus = exitStatus;
  }

  /** {@return the type of the Python exception} */
  public Type type() {
    return type;
  }

  /** {@return what {@code str(exception)} is} */
  public String exceptionMessage() {
    return exceptionMessage;
  }

  /** {@return type and message: {@code json.decoder.JSONDecodeError: ...}, without the module for builtins} */
  public String formatted() {
    return formatted;
  }

  /** {@return the traceback that Python would print, with causes and notes, without the final newline} */
  public String traceback() {
    return traceback;
  }

  /** {@return the frames of the traceback, the outermost first; of more than 10,000 the middle is left out} */
  public List<Frame> frames() {
    return frames;
  }

  /** {@return where the source is wrong, for {@link Status#SYNTAX}; null for an exception of code that ran} */
  public Location location() {
    return location;
  }

  /** {@return the status that Python would exit with; empty when this is no SystemExit} */
  public OptionalInt exitStatus() {
    return exitStatus == null ? OptionalInt.empty() : OptionalInt.of(exitStatus);
  }
}
