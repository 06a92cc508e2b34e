package io.github.subpy;

import java.time.Duration;

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
 */
public record RunOptions(Duration timeout, Cancel cancel, Output output, boolean interruptible, boolean abandon) {
  /** No limits, and the output of the interpreter. */
  public static final RunOptions DEFAULT = new RunOptions(null, null, null, false, false);

  /** Options whose time limit, if there is one, is positive. */
  public RunOptions {
    Checks.positive(timeout);
  }

  /**
   * The same with a time limit.
   *
   * @param timeout how long it may take
   * @return the options with it
   */
  public RunOptions timeout(Duration timeout) {
    return new RunOptions(timeout, cancel, output, interruptible, abandon);
  }

  /**
   * The same with what stops it.
   *
   * @param cancel to be fired
   * @return the options with it
   */
  public RunOptions cancel(Cancel cancel) {
    return new RunOptions(timeout, cancel, output, interruptible, abandon);
  }

  /**
   * The same with an output of its own.
   *
   * @param output takes what the run prints
   * @return the options with it
   */
  public RunOptions output(Output output) {
    return new RunOptions(timeout, cancel, output, interruptible, abandon);
  }

  /**
   * The same, stopped by an interrupt of the Java thread or not.
   *
   * @param interruptible whether an interrupt stops it
   * @return the options with that
   */
  public RunOptions interruptible(boolean interruptible) {
    return new RunOptions(timeout, cancel, output, interruptible, abandon);
  }

  /**
   * The same, left behind at the time limit or not.
   *
   * @param abandon whether to leave it behind
   * @return the options with that
   */
  public RunOptions abandon(boolean abandon) {
    return new RunOptions(timeout, cancel, output, interruptible, abandon);
  }
}
