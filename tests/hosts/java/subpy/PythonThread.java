package subpy;

import java.lang.ref.Cleaner;
import java.lang.ref.Reference;

/**
 * A call that runs on a thread of its own, which is the library's. When it is closed, or nobody refers to it any more,
 * the call goes on by itself; if it fails, the traceback is then printed to the process's standard error.
 */
public final class PythonThread implements AutoCloseable {
  private static final Cleaner CLEANER = Cleaner.create();

  private final long handle;
  private final Cleaner.Cleanable cleanable;

  PythonThread(long handle) {
    this.handle = handle;
    // Never blocks; one that was joined is ignored.
    cleanable = CLEANER.register(this, () -> Native.threadFree(handle));
  }

  /**
   * Waits for the call to end and returns, or throws, what it did. Once: then it is {@link InterpreterNotFoundException}.
   * A virtual thread that waits here keeps its carrier thread.
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
