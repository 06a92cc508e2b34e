package io.github.subpy;

import static java.lang.foreign.ValueLayout.JAVA_BOOLEAN;

import java.lang.foreign.MemorySegment;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.time.Duration;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.IntSupplier;

/**
 * A call that runs on a thread of its own, which is the library's. When it is closed, or nobody refers to it any more,
 * the call goes on by itself; if it fails, the traceback is then printed to the process's standard error, and what it
 * prints to an output of its own is lost.
 *
 * <p>{@link #join()} gives the result once. As a {@link Future} it gives it as often as asked for, and is cancelled by
 * {@link #cancel}. A virtual thread that waits in {@link #join()} keeps its carrier thread, one in {@link #get()} does not.
 */
public final class PythonThread implements Future<Object>, AutoCloseable {
  private final long handle;
  private final int forms;
  private final Cancel cancel;
  private final Cleaner.Cleanable cleanable;

  /** What it came to, when somebody took it as a Future's. */
  private Outcome outcome;

  /** Null until somebody waits for it. */
  private CompletableFuture<Void> end;

  private volatile boolean cancelled;

  private PythonThread(long handle, int forms, Cancel cancel, Runnable done) {
    this.handle = handle;
    this.forms = forms;
    this.cancel = cancel;
    // Never blocks; one that was joined is ignored.
    cleanable =
        Finalizers.register(
            this,
            () -> {
              Native.threadFree(handle);
              done.run();
            });
  }

  /** Starts a run on a thread of its own. */
  static PythonThread start(RunOptions options, MemorySegment request, Call call) {
    Cancel cancel = Cancel.after(options.cancel());
    return start(options, request, cancel, call, () -> Native.runInThread(request, call.output(), call.error()));
  }

  /** Starts a run in some way. The cancel is closed when it is over. */
  static PythonThread start(RunOptions options, MemorySegment request, Cancel cancel, Call call, IntSupplier start) {
    long output = Run.remember(options.output());
    try {
      Run.write(request, options, cancel, output);
      call.check(start.getAsInt());
    } catch (Throwable t) {
      Upcalls.ended(output);
      cancel.close();
      throw t;
    }
    return new PythonThread(
        call.number(),
        ResultForm.bits(options.results()),
        cancel,
        () -> {
          Upcalls.ended(output);
          cancel.close();
        });
  }

  /** Has something told when the run has ended, on any thread. */
  void whenEnded(Upcalls.Ending ending) {
    long id = Upcalls.remember(ending);
    try (Call call = new Call()) {
      call.check(DataNative.threadNotify(handle, Upcalls.ENDED, id, call.error()));
    } catch (Throwable t) {
      Upcalls.takeBack(id);
      throw t;
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /**
   * A future that completes when the call has ended, without a thread that waits for that, on a virtual thread of its own.
   * {@code cancel(true)} of it stops the call, as {@link #cancel} does, and completes it at once. It takes the result for
   * {@link #get()} too, but not for {@link #join()}.
   *
   * @return the future
   */
  public CompletableFuture<Object> toCompletableFuture() {
    PythonFuture future = new PythonFuture(this, () -> {});
    if (taken() != null) {
      future.take();
    } else {
      future.start();
    }
    return future;
  }

  /** Stops the run, whether or not it has ended. */
  void stop() {
    cancel.fire();
  }

  /** {@return whether the call has ended} Does not wait. */
  @Override
  public boolean isDone() {
    return taken() != null || ended(0);
  }

  /**
   * Waits for the call to end, but not for longer than this. Takes nothing: the thread is still to be joined.
   *
   * @param timeout how long at most; what is not positive means not at all
   * @return whether the call has ended
   */
  public boolean join(Duration timeout) {
    return taken() != null || ended(Checks.milliseconds(timeout));
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
   * InterpreterNotFoundException}.
   *
   * @return what was called returned
   */
  public Object join() {
    try (Call call = new Call()) {
      call.check(Native.threadJoin(handle, call.output(), call.error()));
      return call.forms(forms).result();
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /**
   * Stops the call: Python gets a KeyboardInterrupt. Does not wait until it has ended, which {@link #get()} and {@link
   * #join()} do, and never blocks. Only then it {@link #isDone is done}.
   *
   * @param mayInterruptIfRunning false does nothing: a call runs from the start
   * @return whether it had not ended yet
   */
  @Override
  public boolean cancel(boolean mayInterruptIfRunning) {
    if (!mayInterruptIfRunning || isDone()) {
      return false;
    }
    cancelled = true;
    cancel.fire();
    return true;
  }

  /** {@return whether the call has ended because it was cancelled} */
  @Override
  public boolean isCancelled() {
    return cancelled
        && isDone()
        && take() instanceof Outcome.Failure failure
        && failure.error() instanceof ExecutionInterruptedException;
  }

  /**
   * Waits for the call to end, and returns what it returned.
   *
   * @return what was called returned
   * @throws InterruptedException if this thread is interrupted, which does not stop the call
   * @throws ExecutionException for what the call failed with, which is its cause
   * @throws CancellationException if {@link #cancel} ended it
   */
  @Override
  public Object get() throws InterruptedException, ExecutionException {
    if (taken() == null) {
      end().get();
    }
    return value();
  }

  /**
   * Waits for the call to end, but not for longer than this, and returns what it returned.
   *
   * @param timeout how long at most
   * @param unit the unit of that
   * @return what was called returned
   * @throws InterruptedException as for {@link #get()}
   * @throws ExecutionException as for {@link #get()}
   * @throws TimeoutException if it has not ended
   */
  @Override
  public Object get(long timeout, TimeUnit unit) throws InterruptedException, ExecutionException, TimeoutException {
    if (taken() == null) {
      end().get(timeout, unit);
    }
    return value();
  }

  /** What completes when the call has ended. It must have no more to do than to wake who waits. */
  private synchronized CompletableFuture<Void> end() {
    if (end == null) {
      CompletableFuture<Void> ended = new CompletableFuture<>();
      whenEnded(() -> ended.complete(null));
      end = ended;
    }
    return end;
  }

  private Object value() throws ExecutionException {
    return switch (take()) {
      case Outcome.Success(Object value) -> value;
      case Outcome.Failure(SubpyException error) -> {
        if (cancelled && error instanceof ExecutionInterruptedException) {
          CancellationException cancellation = new CancellationException(error.getMessage());
          cancellation.initCause(error);
          throw cancellation;
        }
        throw new ExecutionException(error);
      }
    };
  }

  private synchronized Outcome taken() {
    return outcome;
  }

  /** What it came to, as often as asked for. Waits for it. */
  synchronized Outcome take() {
    if (outcome == null) {
      try {
        outcome = new Outcome.Success(join());
      } catch (SubpyException e) {
        outcome = new Outcome.Failure(e);
      }
    }
    return outcome;
  }

  /** Forgets the thread. Never blocks. */
  @Override
  public void close() {
    cleanable.clean();
  }
}
