package subpy;

import java.io.Serializable;
import java.util.List;
import java.util.OptionalInt;

/**
 * A Python exception that the code did not catch, SystemExit included ({@link Status#EXECUTION_FAILED}), or a source
 * that does not compile ({@link Status#SYNTAX}). The message is one line; {@link #traceback()} is what Python prints.
 */
public final class ExecutionFailedException extends SubpyException {
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
   * One frame of a traceback.
   *
   * @param file the name of the file; may be null, as the function
   * @param line from 1; 0 when it is not known
   * @param function the name of the function, {@code <module>} at the top level
   */
  public record Frame(String file, int line, String function) implements Serializable {}

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
      String traceback,
      List<Frame> frames,
      Location location,
      Integer exitStatus) {
    super(status, message);
    this.type = type;
    this.exceptionMessage = exceptionMessage;
    this.traceback = traceback;
    this.frames = frames;
    this.location = location;
    this.exitStatus = exitStatus;
  }

  /** The type of the Python exception. */
  public Type type() {
    return type;
  }

  /** What {@code str(exception)} is. */
  public String exceptionMessage() {
    return exceptionMessage;
  }

  /** The traceback that Python would print, with causes and notes, without the final newline. */
  public String traceback() {
    return traceback;
  }

  /** The frames of the traceback, the outermost first. */
  public List<Frame> frames() {
    return frames;
  }

  /** Where the source is wrong, for {@link Status#SYNTAX}; null for an exception of code that ran. */
  public Location location() {
    return location;
  }

  /** The status that Python would exit with; empty when this is no SystemExit. */
  public OptionalInt exitStatus() {
    return exitStatus == null ? OptionalInt.empty() : OptionalInt.of(exitStatus);
  }
}
