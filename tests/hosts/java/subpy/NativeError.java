package subpy;

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
  private static final MethodHandle DISPLAY = text("display");
  private static final MethodHandle FRAME_COUNT = Native.function("error_frame_count", JAVA_LONG, ADDRESS);
  private static final MethodHandle FRAME =
      Native.function("error_frame", JAVA_BOOLEAN, ADDRESS, JAVA_LONG, ADDRESS);
  private static final MethodHandle SYNTAX =
      Native.function("error_syntax", JAVA_BOOLEAN, ADDRESS, ADDRESS, ADDRESS, ADDRESS);
  private static final MethodHandle EXIT_STATUS =
      Native.function("error_exit_status", JAVA_BOOLEAN, ADDRESS, ADDRESS);
  private static final MethodHandle FREE = Native.function("error_free", null, ADDRESS);

  private final MemorySegment error;
  private final Arena arena;

  private NativeError(MemorySegment error, Arena arena) {
    this.error = error;
    this.arena = arena;
  }

  private static MethodHandle text(String what) {
    return Native.function("error_" + what, ADDRESS, ADDRESS, ADDRESS);
  }

  /** The exception for an error, which is freed. */
  static SubpyException take(int code, MemorySegment error) {
    try (Arena arena = Arena.ofConfined()) {
      return new NativeError(error, arena).exception(Status.of(code));
    } catch (Throwable t) {
      throw Native.unexpected(t);
    } finally {
      free(error);
    }
  }

  private static void free(MemorySegment error) {
    try {
      FREE.invokeExact(error);
    } catch (Throwable t) {
      throw Native.unexpected(t);
    }
  }

  private SubpyException exception(Status status) throws Throwable {
    String message = text(MESSAGE);
    return switch (status) {
      case NOT_FOUND -> new InterpreterNotFoundException(message);
      case NOT_SHAREABLE -> new NotShareableException(message);
      case EXECUTION_FAILED, SYNTAX -> new ExecutionFailedException(
          status,
          message,
          new ExecutionFailedException.Type(text(TYPE_NAME), text(TYPE_QUALNAME), text(TYPE_MODULE)),
          text(EXCEPTION_MESSAGE),
          text(DISPLAY),
          frames(),
          location(),
          exitStatus());
      default -> new SubpyException(status, message);
    };
  }

  private String text(MethodHandle accessor) throws Throwable {
    MemorySegment length = arena.allocate(JAVA_LONG);
    MemorySegment text = (MemorySegment) accessor.invokeExact(error, length);
    if (text.equals(MemorySegment.NULL)) {
      return null;
    }
    // By its length, because it may hold NUL characters.
    return new String(text.reinterpret(length.get(JAVA_LONG, 0)).toArray(JAVA_BYTE), StandardCharsets.UTF_8);
  }

  private List<ExecutionFailedException.Frame> frames() throws Throwable {
    long count = (long) FRAME_COUNT.invokeExact(error);
    // subpy_frame: the size; file, function and source, each with its length; four ints.
    MemorySegment frame = arena.allocate(72, 8);
    frame.set(JAVA_LONG, 0, frame.byteSize());
    List<ExecutionFailedException.Frame> frames = new ArrayList<>();
    for (long index = 0; index < count; index++) {
      if ((boolean) FRAME.invokeExact(error, index, frame)) {
        MemorySegment file = frame.asSlice(8, 8);
        MemorySegment function = frame.asSlice(24, 8);
        frames.add(new ExecutionFailedException.Frame(string(file), frame.get(JAVA_INT, 56), string(function)));
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

  /** The text behind a {@code const char **}, which ends with a NUL. */
  static String string(MemorySegment pointer) {
    return Native.string(pointer.get(ADDRESS, 0));
  }
}
