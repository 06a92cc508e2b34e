package subpy;

import static java.lang.foreign.ValueLayout.JAVA_BOOLEAN;

import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.Objects;

/**
 * An isolated Python interpreter. {@link Subpy#create()} makes one.
 *
 * <p>Any thread may call any method. A method runs on the calling thread; by default an interpreter runs one thing at a
 * time, and another thread gets {@link Status#BUSY}. An interpreter lives until it is closed, by {@link #close()} or by
 * {@link Subpy#shutdown()}: the garbage collector does not close it. Two objects for the same one are equal.
 *
 * <p>Values cross as copies: null, Boolean, Long, BigInteger, Double, String, byte[], {@link Tuple}, List and Map. All
 * methods throw {@link SubpyException}: {@link InterpreterNotFoundException} after the close, {@link
 * ExecutionFailedException} for what Python code throws, {@link NotShareableException} for an object that cannot cross.
 */
public final class Interpreter implements AutoCloseable {
  private final long handle;

  private Interpreter(long handle) {
    this.handle = handle;
  }

  /** The interpreter with this handle. Any number will do: one that is no handle is not found when it is used. */
  public static Interpreter ofHandle(long handle) {
    return new Interpreter(handle);
  }

  /** The library's number for it, for others that use the library in this process. */
  public long handle() {
    return handle;
  }

  /** Runs statements in its {@code __main__}. */
  public void exec(String code) {
    try (Call call = new Call()) {
      MemorySegment text = call.text(code, "code");
      call.check(Native.exec(handle, text, text.byteSize(), call.error()));
    }
  }

  /** Returns the value of an expression. */
  public Object eval(String expression) {
    try (Call call = new Call()) {
      MemorySegment text = call.text(expression, "expression");
      call.check(Native.eval(handle, text, text.byteSize(), call.output(), call.error()));
      return call.result();
    }
  }

  /**
   * Calls something by its name and returns the result.
   *
   * @param callable {@code "name"} in its {@code __main__}, or {@code "package.module:attribute.attribute"}
   * @param args the positional arguments; the last may be {@link Keywords}
   */
  public Object call(String callable, Object... args) {
    try (Call call = new Call()) {
      MemorySegment name = call.text(callable, "callable");
      Arguments values = Arguments.of(args, call);
      call.check(
          Native.call(
              handle,
              name,
              name.byteSize(),
              values.positional(),
              values.count(),
              values.keywords(),
              call.output(),
              call.error()));
      return call.result();
    }
  }

  /**
   * Starts a call on a new thread of the library. The arguments are copied before this returns.
   *
   * @param callable as for {@link #call}
   * @param args as for {@link #call}
   */
  public PythonThread callInThread(String callable, Object... args) {
    try (Call call = new Call()) {
      MemorySegment name = call.text(callable, "callable");
      Arguments values = Arguments.of(args, call);
      call.check(
          Native.callInThread(
              handle,
              name,
              name.byteSize(),
              values.positional(),
              values.count(),
              values.keywords(),
              call.output(),
              call.error()));
      return new PythonThread(call.number());
    }
  }

  /** Binds names in its {@code __main__}, all or none. */
  public void prepareMain(Map<String, ?> names) {
    Objects.requireNonNull(names, "names");
    try (Call call = new Call()) {
      call.check(Native.prepareMain(handle, Values.one(names, "names", call), call.error()));
    }
  }

  /** Whether something is being run in it by the library. */
  public boolean isRunning() {
    try (Call call = new Call()) {
      call.check(Native.isRunning(handle, call.output(), call.error()));
      return call.output().get(JAVA_BOOLEAN, 0);
    }
  }

  /** CPython's number for it. */
  public long id() {
    try (Call call = new Call()) {
      call.check(Native.id(handle, call.output(), call.error()));
      return call.number();
    }
  }

  /** Where it came from, in CPython's words: "C-API" for those of {@link Subpy#create()}. */
  public String whence() {
    try (Call call = new Call()) {
      call.check(Native.whence(handle, call.output(), call.error()));
      return NativeError.string(call.output());
    }
  }

  /**
   * Ends it. Waits for the threads that its code started, and runs its exit handlers. {@link Status#BUSY} while
   * something runs in it. One that is closed already is left alone.
   */
  @Override
  public void close() {
    try (Call call = new Call()) {
      call.check(Native.close(handle, call.error()));
    } catch (InterpreterNotFoundException closedAlready) {
      // AutoCloseable asks for it.
    }
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Interpreter interpreter && interpreter.handle == handle;
  }

  @Override
  public int hashCode() {
    return Long.hashCode(handle);
  }

  @Override
  public String toString() {
    try {
      return "Interpreter(" + id() + ")";
    } catch (InterpreterNotFoundException closed) {
      return "Interpreter(closed)";
    }
  }
}
