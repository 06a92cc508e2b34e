package io.github.subpy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicBoolean;

/** A result that buffers are parts of. It is freed when nothing holds it any more. */
final class SharedResult {
  private final MemorySegment value = Arena.ofAuto().allocate(Kind.SIZE, 8);

  /** The first is that of who reads it. */
  private int holds = 1;

  /** Takes the result over from who has read it. */
  void adopt(MemorySegment result) {
    value.copyFrom(result.reinterpret(Kind.SIZE));
    result.fill((byte) 0);
    drop();
  }

  /** Another hold; null when it is freed already. */
  synchronized Hold hold() {
    if (holds == 0) {
      return null;
    }
    holds++;
    return new Hold(this);
  }

  private synchronized void drop() {
    if (--holds == 0) {
      Native.valueFree(value);
    }
  }

  /** What keeps the result, until it is run. */
  static final class Hold implements Runnable {
    private final SharedResult result;
    private final AtomicBoolean dropped = new AtomicBoolean();

    private Hold(SharedResult result) {
      this.result = result;
    }

    @Override
    public void run() {
      if (dropped.compareAndSet(false, true)) {
        result.drop();
      }
    }
  }
}
