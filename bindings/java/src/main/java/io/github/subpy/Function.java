package io.github.subpy;

import java.lang.ref.Cleaner;
import java.lang.ref.Reference;

/**
 * A callable that was looked up once, to be called many times: a prepared function, from {@link Interpreter#function}.
 *
 * <p>It holds the object that was found: binding the name to something else later does not change it. Any thread may
 * call it. When its interpreter is closed, it is {@link InterpreterNotFoundException}, as after its own close. One that
 * nobody refers to any more is freed by itself.
 */
public final class Function implements AutoCloseable {
  private final Interpreter interpreter;
  private final long handle;
  private final Cleaner.Cleanable cleanable;

  Function(Interpreter interpreter, long handle) {
    this.interpreter = interpreter;
    this.handle = handle;
    cleanable = Finalizers.register(this, () -> Native.functionFree(handle));
  }

  /** {@return the interpreter that it belongs to} */
  public Interpreter interpreter() {
    return interpreter;
  }

  /**
   * Calls it.
   *
   * @param args the positional arguments; the last may be {@link Keywords}
   * @return what it returned
   */
  public Object call(Object... args) {
    try (Call call = new Call()) {
      Arguments values = Arguments.of(args, call);
      call.check(
          Native.functionCall(
              handle, values.positional(), values.count(), values.keywords(), call.output(), call.error()));
      return call.result();
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /**
   * Starts a call on a new thread of the library. The arguments are copied before this returns, and the function may be
   * closed at once.
   *
   * @param args as for {@link #call}
   * @return the thread, to be joined
   */
  public PythonThread callInThread(Object... args) {
    try (Call call = new Call()) {
      Arguments values = Arguments.of(args, call);
      call.check(Native.runInThread(Request.function(handle, values, call), call.output(), call.error()));
      return new PythonThread(call.number());
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /** Frees it. Never blocks. Calls that are running finish. */
  @Override
  public void close() {
    cleanable.clean();
  }
}
