package io.github.subpy;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.util.Objects;
import java.util.function.Consumer;

/**
 * Options of {@link InterpreterPool#create(PoolOptions)}: {@code PoolOptions.DEFAULT.workers(4).setup(source)}.
 *
 * @param workers how many interpreters run tasks at the same time; 0 for one a core
 * @param backlog how many tasks may wait; 0 for 16 a worker. Beyond it {@code submit} waits
 * @param refuse whether a task for which there is no room is {@link Status#BUSY} instead
 * @param spares how many interpreters are ready to take the place of one that is replaced
 * @param interpreter how the interpreters are created
 * @param setup source that runs once in each interpreter; null for none
 * @param prepare is given each new interpreter before that, to define functions, say; null for nothing. It is called on
 *     other threads, for several interpreters at the same time
 * @param runsPerWorker after how many runs an interpreter is replaced; 0 for never
 * @param isolation where the interpreters live
 */
public record PoolOptions(
    int workers,
    int backlog,
    boolean refuse,
    int spares,
    Options interpreter,
    String setup,
    Consumer<Interpreter> prepare,
    long runsPerWorker,
    Isolation isolation) {
  /** One worker a core, one spare, and default interpreters without a setup. */
  public static final PoolOptions DEFAULT =
      new PoolOptions(0, 0, false, 1, Options.DEFAULT, null, null, 0, Isolation.OWN_GIL);

  private static final int REFUSE = 1;
  private static final int NO_SPARES = 2;

  /** Options without negative numbers. */
  public PoolOptions {
    Objects.requireNonNull(interpreter, "interpreter");
    Objects.requireNonNull(isolation, "isolation");
    if (workers < 0 || backlog < 0 || spares < 0 || runsPerWorker < 0) {
      throw new IllegalArgumentException("workers, backlog, spares and runsPerWorker are not negative");
    }
  }

  /**
   * The same with so many workers.
   *
   * @param workers how many
   * @return the options with it
   */
  public PoolOptions workers(int workers) {
    return new PoolOptions(workers, backlog, refuse, spares, interpreter, setup, prepare, runsPerWorker, isolation);
  }

  /**
   * The same with room for so many tasks that wait.
   *
   * @param backlog how many
   * @return the options with it
   */
  public PoolOptions backlog(int backlog) {
    return new PoolOptions(workers, backlog, refuse, spares, interpreter, setup, prepare, runsPerWorker, isolation);
  }

  /**
   * The same, which refuses tasks for which there is no room, or waits.
   *
   * @param refuse whether it refuses them
   * @return the options with it
   */
  public PoolOptions refuse(boolean refuse) {
    return new PoolOptions(workers, backlog, refuse, spares, interpreter, setup, prepare, runsPerWorker, isolation);
  }

  /**
   * The same with so many spare interpreters.
   *
   * @param spares how many
   * @return the options with it
   */
  public PoolOptions spares(int spares) {
    return new PoolOptions(workers, backlog, refuse, spares, interpreter, setup, prepare, runsPerWorker, isolation);
  }

  /**
   * The same with other interpreters.
   *
   * @param interpreter how they are created
   * @return the options with it
   */
  public PoolOptions interpreter(Options interpreter) {
    return new PoolOptions(workers, backlog, refuse, spares, interpreter, setup, prepare, runsPerWorker, isolation);
  }

  /**
   * The same with a setup.
   *
   * @param setup source that runs once in each interpreter
   * @return the options with it
   */
  public PoolOptions setup(String setup) {
    return new PoolOptions(workers, backlog, refuse, spares, interpreter, setup, prepare, runsPerWorker, isolation);
  }

  /**
   * The same with a preparation. What it throws while the pool is created, {@link InterpreterPool#create(PoolOptions)}
   * throws; later it goes to the thread's handler of uncaught exceptions.
   *
   * @param prepare is given each new interpreter
   * @return the options with it
   */
  public PoolOptions prepare(Consumer<Interpreter> prepare) {
    return new PoolOptions(workers, backlog, refuse, spares, interpreter, setup, prepare, runsPerWorker, isolation);
  }

  /**
   * The same with interpreters that are replaced after so many runs.
   *
   * @param runsPerWorker how many; 0 for never
   * @return the options with it
   */
  public PoolOptions runsPerWorker(long runsPerWorker) {
    return new PoolOptions(workers, backlog, refuse, spares, interpreter, setup, prepare, runsPerWorker, isolation);
  }

  /**
   * The same with interpreters that live elsewhere.
   *
   * @param isolation where
   * @return the options with it
   */
  public PoolOptions isolation(Isolation isolation) {
    return new PoolOptions(workers, backlog, refuse, spares, interpreter, setup, prepare, runsPerWorker, isolation);
  }

  /** The workers that there are. */
  int threads() {
    return workers == 0 ? Runtime.getRuntime().availableProcessors() : workers;
  }

  /** The tasks that have room: that wait, or run. */
  int room() {
    return threads() + (backlog == 0 ? 16 * threads() : backlog);
  }

  /** A subpy_pool_options, without a preparation. */
  MemorySegment struct(Call call) {
    MemorySegment struct = call.allocate(104);
    struct.set(JAVA_LONG, 0, struct.byteSize());
    struct.set(JAVA_LONG, 8, threads());
    struct.set(JAVA_LONG, 16, backlog);
    struct.set(JAVA_LONG, 24, spares);
    struct.set(ADDRESS, 32, interpreter.struct(call));
    if (setup != null) {
      MemorySegment text = call.text(setup, "setup");
      struct.set(ADDRESS, 40, text);
      struct.set(JAVA_LONG, 48, text.byteSize());
    }
    struct.set(JAVA_LONG, 80, runsPerWorker);
    struct.set(JAVA_LONG, 88, (refuse ? REFUSE : 0) | (spares == 0 ? NO_SPARES : 0));
    struct.set(JAVA_INT, 96, isolation.ordinal());
    return struct;
  }
}
