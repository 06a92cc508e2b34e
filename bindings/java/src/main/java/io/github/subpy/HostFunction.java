package io.github.subpy;

/**
 * A Java function that Python calls, from {@link Interpreter#define}: {@code call -> (long) call.arg(0) + 1}.
 *
 * <p>What it throws becomes a Python exception, with the Java stack as a note: a {@link PythonException} the one that it
 * names; an {@link ExecutionFailedException} of a run inside that same type; IllegalArgumentException ValueError,
 * IndexOutOfBoundsException IndexError, NoSuchElementException LookupError, ArithmeticException ArithmeticError,
 * ClassCastException and {@link NotShareableException} TypeError, UnsupportedOperationException NotImplementedError,
 * IOException OSError, TimeoutException TimeoutError, OutOfMemoryError MemoryError, StackOverflowError RecursionError,
 * anything else RuntimeError. When Python does not catch it, it is the cause of the exception that the run throws.
 *
 * <p>It runs on the thread that runs the Python code: the Java thread that called Python, a thread of the library's
 * ({@link Interpreter#callInThread}), or one that Python code started; the JVM attaches the latter two. The GIL is
 * released meanwhile. It may run code in the same interpreter, and in others.
 */
@FunctionalInterface
public interface HostFunction {
  /**
   * Answers a call.
   *
   * @param call its arguments, and where it comes from
   * @return what Python gets: a value as for {@link Interpreter#call}
   * @throws Exception what Python is to get as an exception
   */
  Object call(HostCall call) throws Exception;
}
