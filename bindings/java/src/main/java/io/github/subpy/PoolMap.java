package io.github.subpy;

import java.lang.foreign.MemorySegment;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/** The outcomes of the rows of a map, in their order, as they come. Stops the rest when nobody refers to it any more. */
final class PoolMap implements Iterator<Outcome> {
  /** How many outcomes wait for who takes them, until the pool waits for that. */
  private static final int ROOM = 64;

  private static final Object END = new Object();

  private final Rest rest;
  private final Thread thread;

  /** An Outcome, a Throwable or END; null: it is not known yet. */
  private Object next;

  PoolMap(
      Rest rest, long pool, RunOptions options, int chunk, String callable, List<? extends List<?>> rows) {
    this.rest = rest;
    CompletableFuture<Void> begun = new CompletableFuture<>();
    // The library calls on the thread that has called it, and who takes the outcomes may do what it likes.
    Runnable run = () -> rest.run(pool, options, chunk, callable, rows, begun);
    thread = Thread.ofPlatform().daemon().name("subpy-map").start(run);
    Finalizers.register(this, rest::stop);
    try {
      begun.join();
    } catch (CompletionException e) {
      throw Library.unexpected(e.getCause());
    }
  }

  /** What is left of a map. */
  static final class Rest {
    private final Cancel cancel;
    private final int forms;
    private final Runnable after;
    private final BlockingQueue<Object> outcomes = new ArrayBlockingQueue<>(ROOM);
    private volatile boolean stopped;

    Rest(Cancel cancel, int forms, Runnable after) {
      this.cancel = cancel;
      this.forms = forms;
      this.after = after;
    }

    private void run(
        long pool,
        RunOptions options,
        int chunk,
        String callable,
        List<? extends List<?>> rows,
        CompletableFuture<Void> begun) {
      Object end = END;
      long output = Run.remember(options.output());
      long id = Upcalls.remember(this);
      try (Call call = new Call()) {
        MemorySegment request = Request.rows(callable, call);
        Run.write(request, options, cancel, output);
        Rows values = Rows.of(rows, call);
        begun.complete(null);
        call.check(DataNative.poolMap(pool, request, values, chunk, Upcalls.MAP, id, call.error()));
      } catch (Throwable t) {
        if (!begun.completeExceptionally(t)) {
          end = t;
        }
      } finally {
        Upcalls.ended(id);
        Upcalls.ended(output);
        after.run();
      }
      put(end);
    }

    /** Takes the outcome of a row. Returns whether to go on. */
    boolean take(MemorySegment result, MemorySegment error) {
      if (stopped) {
        return false;
      }
      Outcome outcome;
      try (Call call = new Call()) {
        if (error.equals(MemorySegment.NULL)) {
          outcome = new Outcome.Success(Result.read(result.reinterpret(Kind.SIZE), call.forms(forms)));
        } else {
          outcome = new Outcome.Failure(NativeError.ofRow(error));
        }
      } catch (SubpyException e) { // a dict that Java cannot have, say
        outcome = new Outcome.Failure(e);
      }
      return put(outcome);
    }

    private boolean put(Object outcome) {
      try {
        outcomes.put(outcome);
      } catch (InterruptedException e) { // nobody has the thread
        return false;
      }
      return !stopped;
    }

    /** Never blocks. */
    private void stop() {
      stopped = true;
      cancel.fire();
      outcomes.clear(); // there is room for the one that may be waiting, and no other one comes
    }
  }

  @Override
  public boolean hasNext() {
    if (next == null) {
      next = await();
    }
    if (next instanceof Throwable t) {
      next = END;
      throw Library.unexpected(t);
    }
    return next != END;
  }

  private Object await() {
    try {
      return rest.stopped ? END : rest.outcomes.take();
    } catch (InterruptedException e) {
      close();
      Thread.currentThread().interrupt();
      return ExecutionInterruptedException.before("interrupted while it waited for the results of a map");
    }
  }

  @Override
  public Outcome next() {
    if (!hasNext()) {
      throw new NoSuchElementException();
    }
    Outcome outcome = (Outcome) next;
    next = null;
    return outcome;
  }

  /** Cancels what is left, and waits until that has ended. */
  void close() {
    rest.stop();
    next = END;
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
