package io.github.subpy;

/** Where the interpreters of a pool live: {@link PoolOptions#isolation(Isolation)}. */
public enum Isolation {
  /** In this process, as their options say. */
  OWN_GIL,
  /** Each in a process of its own: what crashes or hangs there costs its own task alone. */
  PROCESS,
  /**
   * In this process until an extension module refuses that, then each in a process of its own. A task that ended with that
   * ImportError begins anew: what it did before, it does twice.
   */
  AUTO
}
