package io.github.subpy;

import java.util.OptionalInt;

/**
 * The process of the interpreter ({@link ProcessOptions}) has ended, and the interpreter with it ({@link Status#CRASHED}).
 * With neither a signal nor an exit code it is not known how.
 */
public final class InterpreterCrashedException extends SubpyException {
  private static final long serialVersionUID = 1;

  private final Integer signal;
  private final Integer exitCode;
  private final String traceback;

  InterpreterCrashedException(String message, Integer signal, Integer exitCode, String traceback) {
    super(Status.CRASHED, message);
    this.signal = signal;
    this.exitCode = exitCode;
    this.traceback = traceback;
  }

  /** {@return the number of the signal that has killed it; empty when none has} */
  public OptionalInt signal() {
    return signal == null ? OptionalInt.empty() : OptionalInt.of(signal);
  }

  /** {@return what it has ended with by itself; empty when a signal has killed it} */
  public OptionalInt exitCode() {
    return exitCode == null ? OptionalInt.empty() : OptionalInt.of(exitCode);
  }

  /** {@return where its threads were, as faulthandler has it; the message if that wrote nothing} */
  public String traceback() {
    return traceback;
  }
}
