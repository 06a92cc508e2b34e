package io.github.subpy;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BOOLEAN;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** How an error of the library becomes an exception: everything in it is copied, and it is freed. */
final class NativeError {
  private static final MethodHandle MESSAGE = text("message");
  private static final MethodHandle TYPE_NAME = text("type_name");
  private static final MethodHandle TYPE_QUALNAME = text("type_qualname");
  private static final MethodHandle TYPE_MODULE = text("type_module");
  private static final MethodHandle EXCEPTION_MESSAGE = text("exception_message");
  private static final MethodHandle FORMATTED = text("formatted");
  private static final MethodHandle DISPLAY = text("display");
  private static final MethodHandle FRAME_COUNT = Library.function("error_frame_count", JAVA_LONG, ADDRESS);
  private static final MethodHandle FRAME =
      Library.function("error_frame", JAVA_BOOLEAN, ADDRESS, JAVA_LONG, ADDRESS);
  private static final MethodHandle SYNTAX =
      Library.function("error_syntax", JAVA_BOOLEAN, ADDRESS, ADDRESS, ADDRESS, ADDRESS);
  private static final MethodHandle EXIT_STATUS =
      Library.function("error_exit_status", JAVA_BOOLEAN, ADDRESS, ADDRESS);
  private static final MethodHandle CRASH = Library.function("error_crash", JAVA_BOOLEAN, ADDRESS, ADDRESS, ADDRESS);
  private static final MethodHandle ROW = Library.function("error_row", JAVA_BOOLEAN, ADDRESS, ADDRESS);
  private static final MethodHandle STATUS = Library.function("error_status", JAVA_INT, ADDRESS);
  private static final MethodHandle TAG = Library.function("error_tag", JAVA_LONG, ADDRESS);
  private static final MethodHandle FREE = Library.function("error_free", null, ADDRESS);

  /** The size of a subpy_frame: its size; file, function and source, each with its length; four ints. */
  private static final long FRAME_SIZE = 72;

  private final MemorySegment error;
  private final Arena arena;

  private NativeError(MemorySegment error, Arena arena) {
    this.error = error;
    this.arena = arena;
  }

  private static MethodHandle text(String what) {
    return Library.function("error_" + what, ADDRESS, ADDRESS, ADDRESS);
  }

  /** The exception for an error, which is freed. */
  static SubpyException take(int code, MemorySegment error) {
    try {
      return copy(code, error);
    } finally {
      free(error);
    }
  }

  /** The exception for the error of a row, which stays the results'. */
  static SubpyException ofRow(MemorySegment error) {
    int code;
    try {
      code = (int) STATUS.invokeExact(error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
    return copy(code, error);
  }

  private static SubpyException copy(int code, MemorySegment error) {
    try (Arena arena = Arena.ofConfined()) {
      SubpyException exception = new NativeError(error, arena).exception(code);
      Throwable cause = Thrown.take((long) TAG.invokeExact(error));
      if (cause != null) {
        exception.initCause(cause);
      }
      return exception;
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  /** Frees an error that nobody reads. */
  static void free(MemorySegment error) {
    try {
      FREE.invokeExact(error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  private SubpyException exception(int code) throws Throwable {
    String message = text(MESSAGE);
    if (message == null) { // there was no memory for an error
      message = Native.statusName(code);
    }
    Status status = Status.of(code);
    return switch (status) {
      case NOT_FOUND -> new InterpreterNotFoundException(message);
      case NOT_SHAREABLE -> new NotShareableException(message, row());
      case EXECUTION_FAILED, SYNTAX -> new ExecutionFailedException(
          status,
          message,
          type(),
          text(EXCEPTION_MESSAGE),
          text(FORMATTED),
          text(DISPLAY),
          frames(),
          location(),
          exitStatus(),
          row());
      case TIMEOUT -> new ExecutionTimeoutException(
          message, type(), text(EXCEPTION_MESSAGE), text(FORMATTED), text(DISPLAY), frames(), row());
      case INTERRUPTED -> new ExecutionInterruptedException(
          message, type(), text(EXCEPTION_MESSAGE), text(FORMATTED), text(DISPLAY), frames(), row());
      case CRASHED -> crash(message);
      default -> new SubpyException(code, message, row());
    };
  }

  private SubpyException crash(String message) throws Throwable {
    MemorySegment signal = arena.allocate(JAVA_INT);
    MemorySegment exitCode = arena.allocate(JAVA_INT);
    boolean crashed = (boolean) CRASH.invokeExact(error, signal, exitCode);
    return new InterpreterCrashedException(
        message,
        crashed && signal.get(JAVA_INT, 0) != 0 ? signal.get(JAVA_INT, 0) : null,
        crashed && exitCode.get(JAVA_INT, 0) != -1 ? exitCode.get(JAVA_INT, 0) : null,
        text(DISPLAY));
  }

  /** Null when there is no Python exception: it was stopped before anything ran. */
  private ExecutionFailedException.Type type() throws Throwable {
    String name = text(TYPE_NAME);
    return name == null ? null : new ExecutionFailedException.Type(name, text(TYPE_QUALNAME), text(TYPE_MODULE));
  }

  private String text(MethodHandle accessor) throws Throwable {
    MemorySegment length = arena.allocate(JAVA_LONG);
    MemorySegment text = (MemorySegment) accessor.invokeExact(error, length);
    return string(text, length.get(JAVA_LONG, 0));
  }

  /** The text of which a struct has the address and, behind it, the length. */
  private static String text(MemorySegment struct, long offset) {
    return string(struct.get(ADDRESS, offset), struct.get(JAVA_LONG, offset + 8));
  }

  /** By its length, because it may hold NUL characters. */
  private static String string(MemorySegment text, long length) {
    boolean none = text.equals(MemorySegment.NULL);
    return none ? null : new String(text.reinterpret(length).toArray(JAVA_BYTE), StandardCharsets.UTF_8);
  }

  private List<ExecutionFailedException.Frame> frames() throws Throwable {
    long count = (long) FRAME_COUNT.invokeExact(error);
    MemorySegment frame = arena.allocate(FRAME_SIZE, 8);
    frame.set(JAVA_LONG, 0, FRAME_SIZE);
    List<ExecutionFailedException.Frame> frames = new ArrayList<>();
    for (long index = 0; index < count; index++) {
      if ((boolean) FRAME.invokeExact(error, index, frame)) {
        frames.add(
            new ExecutionFailedException.Frame(
                text(frame, 8),
                text(frame, 24),
                frame.get(JAVA_INT, 56),
                frame.get(JAVA_INT, 60),
                frame.get(JAVA_INT, 64),
                frame.get(JAVA_INT, 68),
                text(frame, 40)));
      }
    }
    return List.copyOf(frames);
  }

  private ExecutionFailedException.Location location() throws Throwable {
    MemorySegment line = arena.allocate(JAVA_INT);
    MemorySegment column = arena.allocate(JAVA_INT);
    MemorySegment text = arena.allocate(ADDRESS);
    if (!(boolean) SYNTAX.invokeExact(error, line, column, text)) {
      return null;
    }
    return new ExecutionFailedException.Location(line.get(JAVA_INT, 0), column.get(JAVA_INT, 0), string(text));
  }

  private Integer exitStatus() throws Throwable {
    MemorySegment status = arena.allocate(JAVA_INT);
    return (boolean) EXIT_STATUS.invokeExact(error, status) ? status.get(JAVA_INT, 0) : null;
  }

  private Integer row() throws Throwable {
    MemorySegment row = arena.allocate(JAVA_LONG);
    return (boolean) ROW.invokeExact(error, row) ? Math.toIntExact(row.get(JAVA_LONG, 0)) : null;
  }

  /** The text behind a {@code const char **}, which ends with a NUL. */
  static String string(MemorySegment pointer) {
    return Library.string(pointer.get(ADDRESS, 0));
  }
}
