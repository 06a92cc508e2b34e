package io.github.subpy;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What host functions threw, by the tags that the Python exceptions carry, so that it is the cause of what comes out of
 * the run. It is kept until the outermost call of its thread returns. What is thrown on a thread that Java did not start
 * has no such call, and goes when newer ones come.
 */
final class Thrown {
  private static final int MOST = 256;

  private record Kept(Throwable what, Thread thread) {}

  /** Of a thread: in how many host functions it is, and whether something of it may be kept. */
  private static final class State {
    int depth;
    boolean kept;
  }

  private static final ThreadLocal<State> STATE = ThreadLocal.withInitial(State::new);

  private static final Map<Long, Kept> KEPT =
      new LinkedHashMap<>() {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Long, Kept> eldest) {
          return size() > MOST;
        }
      };

  private static long last;

  /** Whether anything is kept, so that calls look no further. */
  private static volatile boolean any;

  private Thrown() {}

  /** This thread enters a host function. */
  static void enter() {
    STATE.get().depth++;
  }

  /** This thread leaves a host function. */
  static void leave() {
    STATE.get().depth--;
  }

  /** Keeps something. Returns its tag. */
  static long keep(Throwable what) {
    STATE.get().kept = true;
    synchronized (KEPT) {
      KEPT.put(++last, new Kept(what, Thread.currentThread()));
      any = true;
      return last;
    }
  }

  /** What a tag stands for, which is no longer kept; null when it is none, or too old. */
  static Throwable take(long tag) {
    if (tag == 0) {
      return null;
    }
    synchronized (KEPT) {
      Kept entry = KEPT.remove(tag);
      any = !KEPT.isEmpty();
      return entry == null ? null : entry.what();
    }
  }

  /** A call of the library has returned to this thread. */
  static void returned() {
    if (!any) {
      return;
    }
    State state = STATE.get();
    if (!state.kept || state.depth > 0) {
      return;
    }
    state.kept = false;
    Thread current = Thread.currentThread();
    synchronized (KEPT) {
      KEPT.values().removeIf(entry -> entry.thread() == current);
      any = !KEPT.isEmpty();
    }
  }
}
