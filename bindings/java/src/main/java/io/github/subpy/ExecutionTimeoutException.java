package io.github.subpy;

import java.util.List;

/**
 * A run was stopped at its time limit ({@link Status#TIMEOUT}). It has the KeyboardInterrupt that stopped the code, with
 * the traceback of where it was. When no code ran yet, {@link #type()} is null, as all that would come from Python.
 */
public final class ExecutionTimeoutException extends ExecutionFailedException {
  private static final long serialVersionUID = 1;

  ExecutionTimeoutException(
      String message,
      Type type,
      String exceptionMessage,
      String formatted,
      String traceback,
      List<Frame> frames,
      Integer row) {
    super(Status.TIMEOUT, message, type, exceptionMessage, formatted, traceback, frames, null, null, row);
  }
}
