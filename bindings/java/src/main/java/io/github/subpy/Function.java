package io.github.subpy;

import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.List;

/**
 * A callable that was looked up once, to be called many times: a prepared function, from {@link Interpreter#function}.
 *
 * <p>It holds the object that was found: binding the name to something else later does not change it. Any thread may
 * call it. When its interpreter is closed, it is {@link InterpreterNotFoundException}, as after its own close. One that
 * nobody refers to any more is freed by itself.
 */
public final class Function implements AutoCloseable {
  private static final int RETURN_ERRORS = 1;

  private final Interpreter interpreter;
  private final long handle;
  private final Cleaner.Cleanable cleanable;

  Function(Interpreter interpreter, long handle) {
    this.interpreter = interpreter;
    this.handle = handle;
    cleanable = Finalizers.register(this, () -> Native.functionFree(handle));
  }

  long handle() {
    return handle;
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
   * Calls it with limits, or with an output of its own.
   *
   * @param options which
   * @param args as for {@link #call(Object...)}
   * @return what it returned
   */
  public Object call(RunOptions options, Object... args) {
    try (Call call = new Call()) {
      return Run.run(options, Request.function(handle, args, call), call);
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /**
   * Calls it with one row of arguments after the other, which takes a fraction of the time of as many calls. The first
   * error ends it and is thrown, with the index of its {@link SubpyException#row row}: the rows behind it are not
   * called, and there are no results.
   *
   * @param rows the positional arguments of each call; all rows have the same number of them
   * @return what the calls returned, in the order of the rows
   * @throws IllegalArgumentException if the rows have different numbers of arguments; nothing was called
   */
  public List<Object> callMany(List<? extends List<?>> rows) {
    try (Call call = new Call()) {
      callMany(rows, 0, call);
      return call.results();
    }
  }

  /**
   * Calls it as {@link #callMany} does, but goes on after a row that fails. Only what Python's {@code except Exception}
   * does not catch (SystemExit, KeyboardInterrupt) ends it, and is thrown.
   *
   * @param rows as for {@link #callMany}
   * @return what the calls returned or failed with, in the order of the rows
   * @throws IllegalArgumentException as for {@link #callMany}
   */
  public List<Outcome> callManyOutcomes(List<? extends List<?>> rows) {
    try (Call call = new Call()) {
      callMany(rows, RETURN_ERRORS, call);
      return call.outcomes();
    }
  }

  private void callMany(List<? extends List<?>> rows, int flags, Call call) {
    Rows values = Rows.of(rows, call);
    try {
      call.check(
          Native.functionCallMany(
              handle, values.values(), values.count(), values.width(), flags, call.output(), call.error()));
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /**
   * Starts a call on a new thread of the library. The arguments are copied before this returns, and the function may be
   * closed at once.
   *
   * @param args as for {@link #call(Object...)}
   * @return the thread, to be joined
   */
  public PythonThread callInThread(Object... args) {
    return callInThread(RunOptions.DEFAULT, args);
  }

  /**
   * The same with limits, or with an output of its own.
   *
   * @param options which
   * @param args as for {@link #call(Object...)}
   * @return the thread, to be joined
   */
  public PythonThread callInThread(RunOptions options, Object... args) {
    try (Call call = new Call()) {
      return PythonThread.start(options, Request.function(handle, args, call), call);
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
