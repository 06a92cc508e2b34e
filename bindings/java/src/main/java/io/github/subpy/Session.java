package io.github.subpy;

/**
 * A thread's stay in an interpreter, from {@link Interpreter#enter}, until it is closed.
 *
 * <p>Everything this thread runs in that interpreter meanwhile, through the interpreter and its functions, uses one
 * Python thread: it is cheaper, and what Python keeps for a thread (threading.local, context variables, the decimal
 * context) lasts from call to call instead of being new in each. The GIL is not held between the calls. Sessions nest,
 * and a thread may have some in several interpreters. While there is a session, its interpreter cannot be closed, which
 * is {@link Status#BUSY}.
 *
 * <p>A session belongs to the platform thread that entered: another one that closes it gets WrongThreadException.
 * Virtual threads cannot have one, because they change the thread that carries them. A thread that ends has left
 * everything.
 */
public final class Session implements AutoCloseable {
  private final Interpreter interpreter;
  private final Thread owner = Thread.currentThread();
  private boolean left;

  private Session(Interpreter interpreter) {
    this.interpreter = interpreter;
  }

  static Session enter(Interpreter interpreter) {
    if (Thread.currentThread().isVirtual()) {
      throw new SubpyException(
          Status.WRONG_STATE,
          "a virtual thread cannot stay in an interpreter, because it changes the thread that carries it: "
              + "enter on a platform thread (Thread.ofPlatform()), or call without a session");
    }
    try (Call call = new Call()) {
      call.check(Native.enter(interpreter.handle(), call.error()));
      return new Session(interpreter);
    }
  }

  /** {@return the interpreter that the thread stays in} */
  public Interpreter interpreter() {
    return interpreter;
  }

  /**
   * Leaves the interpreter. The last session of a thread waits for the GIL, if another thread is running something, and
   * runs finalizers of what threading.local held. One that is closed already is left alone.
   */
  @Override
  public void close() {
    if (Thread.currentThread() != owner) {
      throw new WrongThreadException("the session belongs to " + owner + ", which alone can close it");
    }
    if (left) {
      return;
    }
    try (Call call = new Call()) {
      call.check(Native.leave(interpreter.handle(), call.error()));
      left = true;
    }
  }
}
