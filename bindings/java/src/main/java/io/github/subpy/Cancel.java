package io.github.subpy;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Stops runs: those that were started with it in their {@link RunOptions} get a KeyboardInterrupt in Python when it is
 * fired, also those that wait for their turn, and throw {@link ExecutionInterruptedException}. A run that starts later
 * with one that was fired does not start. It belongs to no interpreter, and any thread may use it.
 */
public final class Cancel implements AutoCloseable {
  private final long handle;
  private final Cleaner.Cleanable cleanable;
  private volatile boolean fired;

  /** Those of single runs that are fired with this one. */
  private final Set<Cancel> followers = new HashSet<>();

  private Cancel other;

  /** A cancel that was not fired. One that nobody refers to any more is freed by itself. */
  public Cancel() {
    try (Call call = new Call()) {
      call.check(HostNative.cancelNew(call.output(), call.error()));
      long made = call.output().get(JAVA_LONG, 0);
      handle = made;
      cleanable = Finalizers.register(this, () -> HostNative.cancelFree(made));
    }
  }

  /** A cancel of one run, which is fired with another one, too, if there is one. */
  static Cancel after(Cancel other) {
    Cancel cancel = new Cancel();
    if (other != null) {
      cancel.other = other;
      synchronized (other.followers) {
        other.followers.add(cancel);
      }
      if (other.fired) {
        cancel.fire();
      }
    }
    return cancel;
  }

  long handle() {
    return handle;
  }

  /** Stops the runs, and does not wait for their ends: the threads that called them do. Never blocks. */
  public void fire() {
    fired = true;
    HostNative.cancelFire(handle);
    Reference.reachabilityFence(this);
    List<Cancel> others;
    synchronized (followers) {
      others = List.copyOf(followers);
    }
    others.forEach(Cancel::fire);
  }

  /** {@return whether it was fired} */
  public boolean isFired() {
    return fired;
  }

  /** Frees it. Runs that have it go on, and {@link #fire} no longer stops them. Never blocks. */
  @Override
  public void close() {
    if (other != null) {
      synchronized (other.followers) {
        other.followers.remove(this);
      }
    }
    cleanable.clean();
  }
}
