package io.github.subpy;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.List;

/**
 * An object that stays in its interpreter, whatever its type: the result of {@link Interpreter#evalObject}, {@link
 * Interpreter#callObject}, and of runs with {@link ResultForm#OBJECT} or {@link ResultForm#OBJECTS}.
 *
 * <p>It can be an argument in its own interpreter; anywhere else it is a {@link NotShareableException}. What a method
 * returns is a value or, where there is none, a PythonObject itself, unless the method is asked for another {@link
 * ResultForm}. Any thread may call any method; each that runs Python waits for its turn, as any run does. After the close
 * of its interpreter, and its own, it is {@link InterpreterNotFoundException}.
 *
 * <p>One that nobody refers to any more is freed by itself. Python drops the object when the interpreter is entered next.
 */
public final class PythonObject implements Iterable<Object>, AutoCloseable {
  private static final ResultForm[] OBJECTS = {ResultForm.OBJECTS};

  private final long handle;
  private final Cleaner.Cleanable cleanable;

  private PythonObject(long handle) {
    this.handle = handle;
    cleanable = Finalizers.register(this, () -> DataNative.objectFree(handle));
  }

  /** One with a handle of its own. */
  static PythonObject keep(long handle, Call call) {
    MemorySegment own = call.allocate(JAVA_LONG.byteSize());
    call.check(DataNative.objectKeep(handle, own, call.error()));
    return new PythonObject(own.get(JAVA_LONG, 0));
  }

  long handle() {
    return handle;
  }

  /**
   * Another handle of the same object, which is closed by itself.
   *
   * @return the object
   */
  public PythonObject keep() {
    try (Call call = new Call()) {
      return keep(handle, call);
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /**
   * Reads an attribute. In Python {@code getattr()}.
   *
   * @param name its name
   * @param forms in what forms it comes; none for a value, or a PythonObject where there is none
   * @return the attribute
   */
  public Object attr(String name, ResultForm... forms) {
    try (Call call = new Call()) {
      MemorySegment text = call.text(name, "name");
      call.check(DataNative.objectAttr(handle, text, bits(forms), call.output(), call.error()));
      return call.result();
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /**
   * Reads an item. In Python {@code object[key]}.
   *
   * @param key its index or key
   * @param forms as for {@link #attr}
   * @return the item
   */
  public Object item(Object key, ResultForm... forms) {
    try (Call call = new Call()) {
      MemorySegment value = Values.one(key, "key", call);
      call.check(DataNative.objectItem(handle, value, bits(forms), call.output(), call.error()));
      return call.result();
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /**
   * Calls it.
   *
   * @param args the positional arguments; the last may be {@link Keywords}
   * @return what it returned
   */
  public Object call(Object... args) {
    try (Call call = new Call()) {
      return invoke(MemorySegment.NULL, args, call);
    }
  }

  /**
   * Calls it with limits, with an output of its own, or with a result in other forms.
   *
   * @param options which; without a {@link ResultForm}, what has no value is a {@link NotShareableException}
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
   * Calls a method of it.
   *
   * @param method its name
   * @param args as for {@link #call(Object...)}
   * @return what it returned
   */
  public Object callMethod(String method, Object... args) {
    try (Call call = new Call()) {
      return invoke(call.text(method, "method"), args, call);
    }
  }

  /**
   * Calls a method of it with options, which are for the call and not for how the method is found.
   *
   * @param options as for {@link #call(RunOptions, Object...)}
   * @param method its name
   * @param args as for {@link #call(Object...)}
   * @return what it returned
   */
  public Object callMethod(RunOptions options, String method, Object... args) {
    try (PythonObject found = (PythonObject) attr(method, ResultForm.OBJECT)) {
      return found.call(options, args);
    }
  }

  private Object invoke(MemorySegment method, Object[] args, Call call) {
    Arguments values = Arguments.of(args, call);
    try {
      call.check(
          DataNative.objectCall(handle, method, values, ResultForm.OBJECTS.bit(), call.output(), call.error()));
    } finally {
      Reference.reachabilityFence(this);
    }
    return call.result();
  }

  /** {@return an iterator over its items, or over what a generator yields, of values and PythonObjects} */
  @Override
  public PythonIterator iterator() {
    return iterator(OBJECTS);
  }

  /**
   * Iterates over it.
   *
   * @param forms in what forms the items come
   * @return the iterator
   */
  public PythonIterator iterator(ResultForm... forms) {
    try (Call call = new Call()) {
      call.check(DataNative.objectIter(handle, call.output(), call.error()));
      return new PythonIterator(new PythonObject(call.number()), bits(forms));
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /**
   * Its value, which is a copy.
   *
   * @param forms in what forms it comes; none for a value, and a {@link NotShareableException} where there is none
   * @return the value
   */
  public Object value(ResultForm... forms) {
    try (Call call = new Call()) {
      int bits = ResultForm.bits(List.of(forms));
      call.check(DataNative.objectValue(handle, bits, call.output(), call.error()));
      return call.result();
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /**
   * Awaits it, on an event loop of its interpreter: a coroutine, or anything else that can be awaited, and once.
   *
   * @param forms as for {@link #value}
   * @return what it comes to
   */
  public Object await(ResultForm... forms) {
    try (Call call = new Call()) {
      int bits = ResultForm.bits(List.of(forms)) | Run.ASYNC;
      call.check(DataNative.objectValue(handle, bits, call.output(), call.error()));
      return call.result();
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /** {@return its {@code str()}} */
  public String text() {
    try (Call call = new Call()) {
      call.check(DataNative.objectText(handle, call.output(), call.error()));
      return (String) call.result();
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /** {@return the interpreter that it is in, which may be closed} */
  public Interpreter interpreter() {
    try (Call call = new Call()) {
      call.check(DataNative.objectInterp(handle, call.output(), call.error()));
      return Interpreter.ofHandle(call.number());
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  private static int bits(ResultForm[] forms) {
    return ResultForm.bits(List.of(forms.length == 0 ? OBJECTS : forms));
  }

  /** Lets go of the object. Never blocks, and runs no Python. Calls that are running finish. */
  @Override
  public void close() {
    cleanable.clean();
  }

  /** {@return a number for it} It asks nothing of Python; {@link #text()} does. */
  @Override
  public String toString() {
    return "PythonObject(" + handle + ")";
  }
}
