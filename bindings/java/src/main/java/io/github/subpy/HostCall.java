package io.github.subpy;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;

/** One call of a {@link HostFunction} by Python. */
public final class HostCall {
  private final MemorySegment context;
  private final List<Object> args;
  private final Map<String, Object> kwargs;

  HostCall(MemorySegment context, List<Object> args, Map<String, Object> kwargs) {
    this.context = context;
    this.args = args;
    this.kwargs = kwargs;
  }

  /** {@return the positional arguments} */
  public List<Object> args() {
    return args;
  }

  /**
   * A positional argument.
   *
   * @param index which, from 0
   * @return the argument
   * @throws PythonException a TypeError, if there are fewer
   */
  public Object arg(int index) {
    if (index >= args.size()) {
      throw new PythonException("TypeError", "missing argument " + (index + 1) + ", got " + args.size());
    }
    return args.get(index);
  }

  /** {@return the keyword arguments, in the order of the call} */
  public Map<String, Object> kwargs() {
    return kwargs;
  }

  /** {@return the interpreter that calls} {@link InterpreterNotFoundException} when the call is over. */
  public Interpreter interpreter() {
    long handle = HostNative.contextInterp(context);
    if (handle == 0) {
      throw new InterpreterNotFoundException("the call of the host function is over");
    }
    return Interpreter.ofHandle(handle);
  }

  /**
   * Whether the run was cancelled, interrupted or is beyond its time limit: a function that takes long looks, and
   * returns. Any thread may ask.
   *
   * @return whether to stop
   */
  public boolean isCancelled() {
    return HostNative.contextCancelled(context);
  }
}
