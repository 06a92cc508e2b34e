package io.github.subpy;

/** The outcome of a function of the library. docs/errors.md says when each comes. */
public enum Status {
  /** Done. */
  OK(0),
  /** An argument makes no sense. Nothing was done. */
  INVALID_ARGUMENT(-1),
  /** No such interpreter or thread: closed, joined, or never there. */
  NOT_FOUND(-2),
  /** The interpreter is running already, or is running and cannot be closed. */
  BUSY(-3),
  /** Python code ended with an uncaught exception. */
  EXECUTION_FAILED(-4),
  /** An object cannot be copied to or from Python. */
  NOT_SHAREABLE(-5),
  /** Any other error of an interpreter. */
  INTERPRETER(-6),
  /** The source does not compile. Nothing ran. */
  SYNTAX(-7),
  /** No CPython that fits was found. */
  PYTHON_NOT_FOUND(-8),
  /** The CPython that was asked for does not fit. */
  PYTHON_UNSUPPORTED(-9),
  /** The run was stopped at its time limit. */
  TIMEOUT(-10),
  /** The run was cancelled or interrupted. */
  INTERRUPTED(-11),
  /** Out of memory. */
  NO_MEMORY(-12),
  /** This process is a fork of one in which Python runs. */
  FORKED(-13),
  /** Not now; the message says what has to come before. */
  WRONG_STATE(-14),
  /** A bug in the library. */
  PANIC(-15),
  /** The process of the interpreter has ended, and the interpreter with it. */
  CRASHED(-16),
  /** A status of a newer library, which this enum does not have. {@link SubpyException#code()} has its number. */
  UNKNOWN(Integer.MIN_VALUE);

  private final int code;

  Status(int code) {
    this.code = code;
  }

  /** {@return the number that the library uses} */
  public int code() {
    return code;
  }

  static Status of(int code) {
    for (Status status : values()) {
      if (status.code == code) {
        return status;
      }
    }
    return UNKNOWN;
  }
}
