package io.github.subpy;

import java.util.concurrent.CompletableFuture;

/** The outcome of a run on another thread, when it comes. */
final class PythonFuture extends CompletableFuture<Object> implements Upcalls.Ending {
  private final PythonThread thread;
  private final Runnable after;

  PythonFuture(PythonThread thread, Runnable after) {
    this.thread = thread;
    this.after = after;
  }

  /** Has it completed when the run has ended. */
  void start() {
    thread.whenEnded(this);
  }

  /** Called on a thread of the library's, which must not be kept waiting by what depends on this. */
  @Override
  public void ended() {
    Thread.startVirtualThread(this::take);
  }

  void take() {
    try {
      Outcome outcome;
      try {
        outcome = thread.take();
      } finally {
        after.run();
      }
      switch (outcome) {
        case Outcome.Success(Object value) -> complete(value);
        case Outcome.Failure(SubpyException error) -> completeExceptionally(error);
      }
    } catch (Throwable t) { // no memory, say
      completeExceptionally(t);
    }
  }

  @Override
  public boolean cancel(boolean mayInterruptIfRunning) {
    boolean cancelled = super.cancel(mayInterruptIfRunning);
    if (cancelled && mayInterruptIfRunning) {
      thread.stop();
    }
    return cancelled;
  }
}
