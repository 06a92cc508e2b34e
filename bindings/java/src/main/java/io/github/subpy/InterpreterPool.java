package io.github.subpy;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * Some interpreters, each with a thread of its own, that run tasks: what an ExecutorService is for Java. A task runs in
 * one of them, whichever is free. An interpreter in which a task was interrupted, or was out of memory, is replaced.
 *
 * <p>The outcome of a task is a CompletableFuture, which completes on a virtual thread of its own: with the result, or with
 * the {@link SubpyException}. {@code cancel(true)} of it takes the task out of the queue, or interrupts it; {@code
 * cancel(false)} lets it run. Any thread may submit, virtual ones too. When no task has room, {@code submit} waits; an
 * interrupt of the thread makes that an {@link ExecutionInterruptedException}, and the flag stays set.
 *
 * <p>A pool lives until it is closed: the garbage collector does not close it.
 */
public final class InterpreterPool implements AutoCloseable {
  private final long handle;
  private final int room;

  /** How many tasks the library has, and how many maps, which have tasks that nobody counts here. */
  private final AtomicInteger tasks = new AtomicInteger();

  private final AtomicInteger maps = new AtomicInteger();

  /** Those of the tasks and maps that have not ended. */
  private final Set<Cancel> cancels = ConcurrentHashMap.newKeySet();

  private InterpreterPool(long handle, int room) {
    this.handle = handle;
    this.room = room;
  }

  /** {@return a new pool with a worker a core} */
  public static InterpreterPool create() {
    return create(PoolOptions.DEFAULT);
  }

  /**
   * Makes a pool, and waits until its interpreters are ready.
   *
   * @param options how many interpreters, and more
   * @return the pool, to be closed by the caller
   */
  public static InterpreterPool create(PoolOptions options) {
    Upcalls.Preparation preparation =
        options.prepare() == null ? null : new Upcalls.Preparation(options.prepare());
    InterpreterPool pool = null;
    try (Call call = new Call()) {
      MemorySegment struct = options.struct(call);
      if (preparation != null) {
        struct.set(ADDRESS, 56, Upcalls.PREPARE);
        struct.set(JAVA_LONG, 64, Upcalls.remember(preparation));
        struct.set(ADDRESS, 72, Upcalls.ENDED); // also when this fails
      }
      call.check(DataNative.poolNew(struct, call.output(), call.error()));
      pool = new InterpreterPool(call.number(), options.refuse() ? Integer.MAX_VALUE : options.room());
    } catch (SubpyException e) {
      Throwable failure = preparation == null ? null : preparation.failure();
      if (failure == null) {
        throw e;
      }
      failure.addSuppressed(e); // it may be because of that
      throw Library.unexpected(failure);
    }
    Throwable failure = preparation == null ? null : preparation.failure();
    if (failure != null) {
      pool.close();
      throw Library.unexpected(failure);
    }
    return pool;
  }

  /**
   * Has something called by its name.
   *
   * @param callable as for {@link Interpreter#call(String, Object...)}
   * @param args as for {@link Interpreter#call(String, Object...)}
   * @return what it returns, when it comes
   */
  public CompletableFuture<Object> submit(String callable, Object... args) {
    return submit(RunOptions.DEFAULT, callable, args);
  }

  /**
   * The same with limits, with an output of its own, or with a result in other forms. The time limit counts from when the
   * task begins; the cancel takes it out of the queue, too.
   *
   * @param options which
   * @param callable as for {@link Interpreter#call(String, Object...)}
   * @param args as for {@link Interpreter#call(String, Object...)}
   * @return what it returns, when it comes
   */
  public CompletableFuture<Object> submit(RunOptions options, String callable, Object... args) {
    return submit(options, 0, call -> Request.named(0, callable, args, call));
  }

  /**
   * The same for one of several submitters, which take turns, one task each.
   *
   * @param submitter any number; it is 0 for the other methods
   * @param options as for {@link #submit(RunOptions, String, Object...)}
   * @param callable as for {@link Interpreter#call(String, Object...)}
   * @param args as for {@link Interpreter#call(String, Object...)}
   * @return what it returns, when it comes
   */
  public CompletableFuture<Object> submitAs(long submitter, RunOptions options, String callable, Object... args) {
    return submit(options, submitter, call -> Request.named(0, callable, args, call));
  }

  /**
   * Has an expression evaluated.
   *
   * @param expression the source
   * @return its value, when it comes
   */
  public CompletableFuture<Object> submitEval(String expression) {
    return submitEval(RunOptions.DEFAULT, Source.of(expression));
  }

  /**
   * The same with options, for a source with a file name.
   *
   * @param options as for {@link #submit(RunOptions, String, Object...)}
   * @param expression the source
   * @return its value, when it comes
   */
  public CompletableFuture<Object> submitEval(RunOptions options, Source expression) {
    return submit(options, 0, call -> Request.source(0, Request.EVAL, expression, call));
  }

  /**
   * Has statements run. What they leave in {@code __main__} is there for later tasks that happen to run in the same
   * interpreter.
   *
   * @param code the source
   * @return null, when they have run
   */
  public CompletableFuture<Object> submitExec(String code) {
    return submitExec(RunOptions.DEFAULT, Source.of(code));
  }

  /**
   * The same with options, for a source with a file name.
   *
   * @param options as for {@link #submit(RunOptions, String, Object...)}
   * @param code the source
   * @return null, when they have run
   */
  public CompletableFuture<Object> submitExec(RunOptions options, Source code) {
    return submit(options, 0, call -> Request.source(0, Request.EXEC, code, call));
  }

  private CompletableFuture<Object> submit(
      RunOptions options, long submitter, Function<Call, MemorySegment> request) {
    Cancel cancel = Cancel.after(options.cancel());
    Supplier<PythonThread> start =
        () -> {
          try (Call call = new Call()) {
            MemorySegment written = request.apply(call);
            return PythonThread.start(
                options,
                written,
                cancel,
                call,
                () -> DataNative.poolSubmit(handle, submitter, written, call.output(), call.error()));
          }
        };
    PythonThread thread;
    cancels.add(cancel);
    boolean hasRoom = tasks.incrementAndGet() <= room && maps.get() == 0;
    try {
      thread = hasRoom ? start.get() : Waits.anywhere(cancel::fire, start);
    } catch (Throwable t) {
      ended(tasks, cancel);
      throw t;
    }
    PythonFuture future =
        new PythonFuture(
            thread,
            () -> {
              ended(tasks, cancel);
              thread.close();
            });
    future.start();
    return future;
  }

  private void ended(AtomicInteger count, Cancel cancel) {
    count.decrementAndGet();
    cancels.remove(cancel);
    cancel.close();
  }

  /**
   * Calls something once for each row of arguments, on all workers. The results come in the order of the rows, as they
   * come; a row that fails throws its error when its turn comes. Close the stream to cancel what is left before its end.
   *
   * @param callable as for {@link Interpreter#call(String, Object...)}
   * @param rows the positional arguments of each call; all rows have the same number of them
   * @return the results
   */
  public Stream<Object> map(String callable, List<? extends List<?>> rows) {
    return map(RunOptions.DEFAULT, 1, callable, rows);
  }

  /**
   * The same with options for each row, and so many rows a task: more cost less, and are less evenly spread.
   *
   * @param options as for {@link #submit(RunOptions, String, Object...)}
   * @param chunk how many rows make a task
   * @param callable as for {@link Interpreter#call(String, Object...)}
   * @param rows as for {@link #map(String, List)}
   * @return the results
   */
  public Stream<Object> map(RunOptions options, int chunk, String callable, List<? extends List<?>> rows) {
    return mapOutcomes(options, chunk, callable, rows).map(Outcome::get);
  }

  /**
   * The same with an outcome for each row, so that the others are not lost when one fails.
   *
   * @param options as for {@link #submit(RunOptions, String, Object...)}
   * @param chunk how many rows make a task
   * @param callable as for {@link Interpreter#call(String, Object...)}
   * @param rows as for {@link #map(String, List)}
   * @return what the calls return, or fail with
   */
  public Stream<Outcome> mapOutcomes(
      RunOptions options, int chunk, String callable, List<? extends List<?>> rows) {
    if (chunk < 1) {
      throw new IllegalArgumentException("a task has at least one row, and not " + chunk);
    }
    Objects.requireNonNull(rows, "rows");
    Cancel cancel = Cancel.after(options.cancel());
    cancels.add(cancel);
    maps.incrementAndGet();
    PoolMap.Rest rest =
        new PoolMap.Rest(cancel, ResultForm.bits(options.results()), () -> ended(maps, cancel));
    PoolMap outcomes = new PoolMap(rest, handle, options, chunk, callable, rows);
    int characteristics = Spliterator.ORDERED | Spliterator.NONNULL | Spliterator.IMMUTABLE;
    return StreamSupport.stream(Spliterators.spliteratorUnknownSize(outcomes, characteristics), false)
        .onClose(outcomes::close);
  }

  /** {@return what it has done, and has to do} */
  public PoolStats stats() {
    try (Call call = new Call()) {
      return PoolStats.of(handle, call);
    }
  }

  /**
   * Closes it when all tasks have ended, and waits for that; new ones are {@link Status#BUSY} meanwhile. An interrupt of
   * this thread cancels the tasks, and the flag stays set. One that is closed already is left alone.
   */
  @Override
  public void close() {
    Runnable cancelAll = () -> cancels.forEach(Cancel::fire);
    Waits.anywhere(
        cancelAll,
        () -> {
          closeWith(null, CloseFlag.DRAIN);
          return null;
        });
  }

  /**
   * Closes it, as {@link Interpreter#closeWith} closes an interpreter. When it fails, the message says what still runs, and
   * the pool goes on, but for what was cancelled. One that is closed already is left alone.
   *
   * @param timeout how long to wait; null for no limit
   * @param flags what to do about the tasks: wait for them, or cancel those that wait and interrupt those that run
   */
  public void closeWith(Duration timeout, CloseFlag... flags) {
    try (Call call = new Call()) {
      call.check(DataNative.poolClose(handle, Interpreter.closeOptions(timeout, flags, call), call.error()));
    } catch (InterpreterNotFoundException closedAlready) {
      // As for an interpreter.
    }
  }
}
