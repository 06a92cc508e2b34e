package io.github.subpy;

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

  /**
   * The interpreter with this handle. Any number will do: one that is no handle is not found when it is used.
   *
   * @param handle the library's number for it
   * @return the interpreter
   */
  public static Interpreter ofHandle(long handle) {
    return new Interpreter(handle);
  }

  /** {@return the library's number for it, for others that use the library in this process} */
  public long handle() {
    return handle;
  }

  /**
   * Runs statements in its {@code __main__}. Indentation that all lines share is taken off first.
   *
   * @param code the source
   */
  public void exec(String code) {
    try (Call call = new Call()) {
      MemorySegment text = call.text(code, "code");
      call.check(Native.exec(handle, text, text.byteSize(), call.error()));
    }
  }

  /**
   * Runs statements in its {@code __main__}, of a source with a file name.
   *
   * @param code the source
   */
  public void exec(Source code) {
    try (Call call = new Call()) {
      call.check(Native.run(Request.source(handle, Request.EXEC, code, call), MemorySegment.NULL, call.error()));
    }
  }

  /**
   * Evaluates an expression.
   *
   * @param expression the source
   * @return its value
   */
  public Object eval(String expression) {
    try (Call call = new Call()) {
      MemorySegment text = call.text(expression, "expression");
      call.check(Native.eval(handle, text, text.byteSize(), call.output(), call.error()));
      return call.result();
    }
  }

  /**
   * Evaluates an expression, of a source with a file name.
   *
   * @param expression the source
   * @return its value
   */
  public Object eval(Source expression) {
    try (Call call = new Call()) {
      MemorySegment request = Request.source(handle, Request.EVAL, expression, call);
      call.check(Native.run(request, call.output(), call.error()));
      return call.result();
    }
  }

  /**
   * Calls something by its name, which is looked up at each call.
   *
   * @param callable {@code "name"} in its {@code __main__}, or {@code "package.module:attribute.attribute"}
   * @param args the positional arguments; the last may be {@link Keywords}
   * @return what it returned
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
   * @return the thread, to be joined
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

  /**
   * Looks something up, to call it many times.
   *
   * @param callable as for {@link #call}
   * @return the function, to be closed
   */
  public Function function(String callable) {
    try (Call call = new Call()) {
      MemorySegment name = call.text(callable, "callable");
      call.check(Native.functionNew(handle, name, name.byteSize(), call.output(), call.error()));
      return new Function(this, call.number());
    }
  }

  /**
   * Keeps this thread in it, until the session is closed: what the thread runs in it is cheaper meanwhile. For a
   * virtual thread it is {@link Status#WRONG_STATE}.
   *
   * @return the session, to be closed on this thread
   */
  public Session enter() {
    return Session.enter(this);
  }

  /**
   * Binds names in its {@code __main__}, all or none.
   *
   * @param names their values by the names; not empty
   */
  public void prepareMain(Map<String, ?> names) {
    Objects.requireNonNull(names, "names");
    try (Call call = new Call()) {
      call.check(Native.prepareMain(handle, Values.one(names, "names", call), call.error()));
    }
  }

  /** {@return whether something is being run in it by the library} */
  public boolean isRunning() {
    try (Call call = new Call()) {
      call.check(Native.isRunning(handle, call.output(), call.error()));
      return call.output().get(JAVA_BOOLEAN, 0);
    }
  }

  /** {@return CPython's number for it} */
  public long id() {
    try (Call call = new Call()) {
      call.check(Native.id(handle, call.output(), call.error()));
      return call.number();
    }
  }

  /** {@return where it came from, in CPython's words: "C-API" for those of {@link Subpy#create()}} */
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
