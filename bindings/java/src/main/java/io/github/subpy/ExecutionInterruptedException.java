package io.github.subpy;

import java.util.List;

/**
 * A run was stopped by a {@link Cancel}, by {@link Interpreter#interrupt()}, by a close or by an interrupt of its thread
 * ({@link Status#INTERRUPTED}). It has the KeyboardInterrupt that stopped the code, with the traceback of where it was.
 * When no code ran yet, {@link #type()} is null, as all that would come from Python.
 */
public final class ExecutionInterruptedException extends ExecutionFailedException {
  private static final long serialVersionUID = 1;

  ExecutionInterruptedException(
      String message,
      Type type,
      String exceptionMessage,
      String formatted,
      String traceback,
      List<Frame> frames,
      Integer row) {
    super(Status.INTERRUPTED, message, type, exceptionMessage, formatted, traceback, frames, null, null, row);
  }

  /** One that came before any code ran. */
  static ExecutionInterruptedException before(String message) {
    return new ExecutionInterruptedException(message, null, null, null, null, List.of(), null);
  }
}
