package io.github.subpy;

import static java.lang.foreign.ValueLayout.JAVA_BOOLEAN;

import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.time.Duration;

/**
 * A call that runs on a thread of its own, which is the library's. When it is closed, or nobody refers to it any more,
 * the call goes on by itself; if it fails, the traceback is then printed to the process's standard error.
 */
public final class PythonThread implements AutoCloseable {
  private final long handle;
  private final Cleaner.Cleanable cleanable;

  PythonThread(long handle) {
    this.handle = handle;
    // Never blocks; one that was joined is ignored.
    cleanable = Finalizers.register(this, () -> Native.threadFree(handle));
  }

  /** {@return whether the call has ended} Does not wait. */
  public boolean isDone() {
    return ended(0);
  }

  /**
   * Waits for the call to end, but not for longer than this. Takes nothing: the thread is still to be joined. A virtual
   * thread that waits here keeps its carrier thread.
   *
   * @param timeout how long at most; what is not positive means not at all
   * @return whether the call has ended
   */
  public boolean join(Duration timeout) {
    long milliseconds;
    try {
      milliseconds = timeout.plusNanos(999_999).toMillis(); // not shorter than it was asked for
    } catch (ArithmeticException e) {
      milliseconds = timeout.isNegative() ? 0 : Long.MAX_VALUE;
    }
    return ended(Math.max(milliseconds, 0));
  }

  private boolean ended(long milliseconds) {
    try (Call call = new Call()) {
      call.check(Native.threadWait(handle, milliseconds, call.output(), call.error()));
      return call.output().get(JAVA_BOOLEAN, 0);
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /**
   * Waits for the call to end and returns, or throws, what it did. Once: then it is {@link
   * InterpreterNotFoundException}. A virtual thread that waits here keeps its carrier thread.
   *
   * @return what was called returned
   */
  public Object join() {
    try (Call call = new Call()) {
      call.check(Native.threadJoin(handle, call.output(), call.error()));
      return call.result();
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /** Forgets the thread. Never blocks. */
  @Override
  public void close() {
    cleanable.clean();
  }
}
