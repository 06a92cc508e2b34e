package io.github.subpy;

import java.time.Duration;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Set;

/**
 * Limits of one run, and where its output goes: {@code RunOptions.DEFAULT.timeout(Duration.ofSeconds(2))}.
 *
 * @param timeout after how long it gets a KeyboardInterrupt and is an {@link ExecutionTimeoutException}, the time that it
 *     waits for its turn included; null for the limit of the interpreter ({@link Options#timeout()})
 * @param cancel what stops it; null for nothing
 * @param output takes what it prints; null for the output of the interpreter
 * @param interruptible whether {@link Thread#interrupt()} of the thread that waits for it stops it. The interrupt flag
 *     stays set. Without, an interrupt has no effect on Python. A run on a thread of its own has {@link
 *     PythonThread#cancel} instead
 * @param abandon for a run on a thread of its own: whether its {@link PythonThread#join()} ends at the time limit though
 *     the run is blocked in C and goes on. The interpreter is running until it has ended
 * @param results in what forms its result comes that are no copies; empty for values alone
 * @param async whether a coroutine, or another awaitable, that it returns is run to its end on the event loop of the
 *     interpreter, or of the session
 */
public record RunOptions(
    Duration timeout,
    Cancel cancel,
    Output output,
    boolean interruptible,
    boolean abandon,
    Set<ResultForm> results,
    boolean async) {
  /** No limits, the output of the interpreter, and a result that is a value. */
  public static final RunOptions DEFAULT = new RunOptions(null, null, null, false, false, Set.of(), false);

  /** Options whose time limit, if there is one, is positive, of a copy of the set. */
  public RunOptions {
    Checks.positive(timeout);
    results = Collections.unmodifiableSet(results.isEmpty() ? EnumSet.noneOf(ResultForm.class) : EnumSet.copyOf(results));
  }

  /**
   * The same with a time limit.
   *
   * @param timeout how long it may take
   * @return the options with it
   */
  public RunOptions timeout(Duration timeout) {
    return new RunOptions(timeout, cancel, output, interruptible, abandon, results, async);
  }

  /**
   * The same with what stops it.
   *
   * @param cancel to be fired
   * @return the options with it
   */
  public RunOptions cancel(Cancel cancel) {
    return new RunOptions(timeout, cancel, output, interruptible, abandon, results, async);
  }

  /**
   * The same with an output of its own.
   *
   * @param output takes what the run prints
   * @return the options with it
   */
  public RunOptions output(Output output) {
    return new RunOptions(timeout, cancel, output, interruptible, abandon, results, async);
  }

  /**
   * The same, stopped by an interrupt of the Java thread or not.
   *
   * @param interruptible whether an interrupt stops it
   * @return the options with that
   */
  public RunOptions interruptible(boolean interruptible) {
    return new RunOptions(timeout, cancel, output, interruptible, abandon, results, async);
  }

  /**
   * The same, left behind at the time limit or not.
   *
   * @param abandon whether to leave it behind
   * @return the options with that
   */
  public RunOptions abandon(boolean abandon) {
    return new RunOptions(timeout, cancel, output, interruptible, abandon, results, async);
  }

  /**
   * The same with a result that comes in these forms.
   *
   * @param results the forms, in place of those that it has
   * @return the options with them
   */
  public RunOptions result(ResultForm... results) {
    return new RunOptions(timeout, cancel, output, interruptible, abandon, Set.of(results), async);
  }

  /**
   * The same, whose result is awaited or not.
   *
   * @param async whether it is
   * @return the options with that
   */
  public RunOptions async(boolean async) {
    return new RunOptions(timeout, cancel, output, interruptible, abandon, results, async);
  }
}
