package io.github.subpy;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BOOLEAN;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.Map;
import java.util.Objects;

/**
 * An isolated Python interpreter. {@link Subpy#create()} makes one.
 *
 * <p>Any thread may call any method. A method runs on the calling thread; by default an interpreter runs one thing at a
 * time, and another thread gets {@link Status#BUSY}. An interpreter lives until it is closed, by {@link #close()} or by
 * {@link Subpy#shutdown()}: the garbage collector does not close it. Two objects for the same one are equal.
 *
 * <p>Values cross as copies: null, Boolean, Long, BigInteger, Double, String, byte[], {@link Tuple}, List and Map, with
 * {@link Options.Flag#TAGGED_VALUES} some more. What stays in Python is a {@link PythonObject}, what is shared a {@link
 * PythonBuffer}. All methods throw {@link SubpyException}: {@link InterpreterNotFoundException} after the close, {@link
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
   * Runs statements with limits, or with an output of its own.
   *
   * @param options which
   * @param code the source
   */
  public void exec(RunOptions options, String code) {
    exec(options, Source.of(code));
  }

  /**
   * The same for a source with a file name.
   *
   * @param options limits, and where its output goes
   * @param code the source
   */
  public void exec(RunOptions options, Source code) {
    try (Call call = new Call()) {
      Run.run(options, Request.source(handle, Request.EXEC, code, call), call);
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
   * Evaluates an expression with limits, or with an output of its own.
   *
   * @param options which
   * @param expression the source
   * @return its value
   */
  public Object eval(RunOptions options, String expression) {
    return eval(options, Source.of(expression));
  }

  /**
   * The same for a source with a file name.
   *
   * @param options limits, and where its output goes
   * @param expression the source
   * @return its value
   */
  public Object eval(RunOptions options, Source expression) {
    try (Call call = new Call()) {
      return Run.run(options, Request.source(handle, Request.EVAL, expression, call), call);
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
   * Calls something by its name with limits, or with an output of its own.
   *
   * @param options which
   * @param callable as for {@link #call(String, Object...)}
   * @param args as for {@link #call(String, Object...)}
   * @return what it returned
   */
  public Object call(RunOptions options, String callable, Object... args) {
    try (Call call = new Call()) {
      return Run.run(options, Request.named(handle, callable, args, call), call);
    }
  }

  /**
   * Evaluates an expression whose value stays in Python, whatever it is.
   *
   * @param expression the source
   * @return the object
   */
  public PythonObject evalObject(String expression) {
    return (PythonObject) eval(RunOptions.DEFAULT.result(ResultForm.OBJECT), expression);
  }

  /**
   * Calls something by its name that returns what stays in Python, whatever it is.
   *
   * @param callable as for {@link #call(String, Object...)}
   * @param args as for {@link #call(String, Object...)}
   * @return the object
   */
  public PythonObject callObject(String callable, Object... args) {
    return (PythonObject) call(RunOptions.DEFAULT.result(ResultForm.OBJECT), callable, args);
  }

  /**
   * Starts a call on a new thread of the library. The arguments are copied before this returns.
   *
   * @param callable as for {@link #call(String, Object...)}
   * @param args as for {@link #call(String, Object...)}
   * @return the thread, to be joined
   */
  public PythonThread callInThread(String callable, Object... args) {
    return callInThread(RunOptions.DEFAULT, callable, args);
  }

  /**
   * The same with limits, or with an output of its own.
   *
   * @param options which
   * @param callable as for {@link #call(String, Object...)}
   * @param args as for {@link #call(String, Object...)}
   * @return the thread, to be joined
   */
  public PythonThread callInThread(RunOptions options, String callable, Object... args) {
    try (Call call = new Call()) {
      return PythonThread.start(options, Request.named(handle, callable, args, call), call);
    }
  }

  /**
   * Makes a Java function callable from Python: in its {@code __main__}, or in a module, which is made when there is none:
   * after {@code define("host:add", ...)}, {@code import host} finds it. One that is there already is replaced.
   *
   * @param name {@code "name"}, or {@code "module:name"}
   * @param function what is called; kept until it is replaced and nothing in Python refers to it, or the interpreter is
   *     closed
   */
  public void define(String name, HostFunction function) {
    define(name, DefineOptions.DEFAULT, function);
  }

  /**
   * The same with options.
   *
   * @param name {@code "name"}, or {@code "module:name"}
   * @param options what Python shows of it, and how it is called
   * @param function what is called
   */
  public void define(String name, DefineOptions options, HostFunction function) {
    Objects.requireNonNull(function, "function");
    try (Call call = new Call()) {
      MemorySegment text = call.text(name, "name");
      MemorySegment struct = call.allocate(32);
      struct.set(JAVA_LONG, 0, struct.byteSize());
      struct.set(JAVA_INT, 8, options.flagBits());
      if (options.signature() != null) {
        struct.set(ADDRESS, 16, call.text(options.signature() + "\0", "signature"));
      }
      if (options.doc() != null) {
        struct.set(ADDRESS, 24, call.text(options.doc() + "\0", "doc"));
      }
      long id = Upcalls.remember(function);
      // From here on the library forgets it, also when this fails.
      call.check(HostNative.defineWith(handle, text, struct, Upcalls.HOST, id, Upcalls.ENDED, call.error()));
    }
  }

  /**
   * Where everything goes that it prints, unless a run has an output of its own: what its threads print, and what is
   * printed while no run is active, too.
   *
   * @param output takes it; null for the file descriptors 1 and 2 again
   */
  public void setOutput(Output output) {
    try (Call call = new Call()) {
      long id = Run.remember(output);
      MemorySegment function = output == null ? MemorySegment.NULL : Upcalls.OUTPUT;
      MemorySegment forget = output == null ? MemorySegment.NULL : Upcalls.ENDED;
      call.check(HostNative.setOutput(handle, function, id, forget, call.error()));
    }
  }

  /**
   * Raises a KeyboardInterrupt in whatever runs in it now, which may be over before it comes: {@link RunOptions#cancel}
   * stops one run and no other.
   */
  public void interrupt() {
    try (Call call = new Call()) {
      call.check(HostNative.interrupt(handle, call.error()));
    }
  }

  /**
   * Looks something up, to call it many times.
   *
   * @param callable as for {@link #call(String, Object...)}
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

  /**
   * What memory it uses. {@link Status#WRONG_STATE} unless it was created with a {@link Options#memoryLimit memory limit}
   * or {@link Options.Flag#COUNT_MEMORY}.
   *
   * @return the numbers of this moment
   */
  public MemoryInfo memory() {
    try (Call call = new Call()) {
      return MemoryInfo.of(handle, call);
    }
  }

  /**
   * What holds it. {@link Status#WRONG_STATE} unless it is {@linkplain ProcessOptions#locked(boolean) locked down}.
   *
   * @return what there is
   */
  public LockInfo lockInfo() {
    try (Call call = new Call()) {
      return LockInfo.of(handle, call);
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

  /**
   * Ends it as {@link #close()} does, but first waits for what runs in it, or ends that. When it fails, the message says
   * what still lives, and the interpreter is intact. One that is closed already is left alone.
   *
   * @param timeout how long to wait; null for no limit
   * @param flags what to do about what runs
   */
  public void closeWith(Duration timeout, CloseFlag... flags) {
    try (Call call = new Call()) {
      call.check(HostNative.closeWith(handle, closeOptions(timeout, flags, call), call.error()));
    } catch (InterpreterNotFoundException closedAlready) {
      // As above.
    }
  }

  static MemorySegment closeOptions(Duration timeout, CloseFlag[] flags, Call call) {
    MemorySegment struct = call.allocate(24);
    struct.set(JAVA_LONG, 0, struct.byteSize());
    struct.set(JAVA_LONG, 8, timeout == null ? -1 : Checks.milliseconds(timeout));
    struct.set(JAVA_INT, 16, CloseFlag.bits(flags));
    return struct;
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
