package io.github.subpy;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.time.Duration;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;

/**
 * Carries values between Java and interpreters, and from one interpreter to another. As an argument, or by {@link
 * Interpreter#prepareMain}, it is a Queue of the module {@code subpy_queues} in Python, with the methods of {@code
 * concurrent.interpreters.Queue}.
 *
 * <p>Items are copies, and may be null, which is None. Each comes out once, in the order in which they went in. Any thread
 * may put and get. Who waits is woken by an item, by room, by a close, by an interrupt of the thread, or by a {@link
 * Cancel}; a virtual thread that waits keeps no other one from running.
 *
 * <p>A queue needs no interpreter, and is there as long as somebody has it, in Java or in Python.
 */
public final class PythonQueue implements Iterable<Object>, AutoCloseable {
  private static final Object NOTHING = new Object();

  private final long handle;
  private final Cleaner.Cleanable cleanable;

  private PythonQueue(long handle) {
    this.handle = handle;
    cleanable = Finalizers.register(this, () -> DataNative.queueFree(handle));
  }

  /** {@return a new queue that has room for any number of items} */
  public static PythonQueue create() {
    return create(0);
  }

  /**
   * A new queue.
   *
   * @param capacity how many items have room; 0 for any number
   * @return the queue
   */
  public static PythonQueue create(int capacity) {
    if (capacity < 0) {
      throw new IllegalArgumentException("a capacity is not negative, as " + capacity + " is");
    }
    try (Call call = new Call()) {
      MemorySegment options = call.allocate(24);
      options.set(JAVA_LONG, 0, options.byteSize());
      options.set(JAVA_LONG, 8, capacity);
      call.check(DataNative.queueNew(options, call.output(), call.error()));
      return new PythonQueue(call.number());
    }
  }

  /** One with a handle of its own. */
  static PythonQueue keep(long handle, Call call) {
    MemorySegment own = call.allocate(JAVA_LONG.byteSize());
    call.check(DataNative.queueKeep(handle, own, call.error()));
    return new PythonQueue(own.get(JAVA_LONG, 0));
  }

  long handle() {
    return handle;
  }

  /**
   * Puts an item in, and waits as long as there is no room.
   *
   * @param item any value but a {@link PythonObject}
   * @throws QueueClosedException if the queue is closed, also while this waits
   * @throws InterruptedException if this thread is interrupted; the item is not in then
   */
  public void put(Object item) throws InterruptedException {
    try {
      put(item, null, null);
    } catch (TimeoutException e) {
      throw new AssertionError(e); // there is no limit
    }
  }

  /**
   * Puts an item in, and waits no longer than this for room.
   *
   * @param item as for {@link #put(Object)}
   * @param timeout how long at most; what is not positive means not at all
   * @throws TimeoutException if there was no room
   * @throws InterruptedException as for {@link #put(Object)}
   */
  public void put(Object item, Duration timeout) throws InterruptedException, TimeoutException {
    put(item, timeout, null);
  }

  /**
   * Puts an item in, and waits no longer than this for room, and until a cancel is fired.
   *
   * @param item as for {@link #put(Object)}
   * @param timeout how long at most; null for no limit
   * @param cancel what ends the wait, as an {@link ExecutionInterruptedException}; null for nothing
   * @throws TimeoutException if there was no room
   * @throws InterruptedException as for {@link #put(Object)}
   */
  public void put(Object item, Duration timeout, Cancel cancel) throws InterruptedException, TimeoutException {
    if (wait(timeout, cancel, (milliseconds, token, last) -> putNow(item, milliseconds, token, last)) == NOTHING) {
      throw new TimeoutException("the queue is full");
    }
  }

  /**
   * Takes the item that was put first, and waits as long as there is none.
   *
   * @return the item; null for None
   * @throws QueueClosedException if the queue is closed and empty, also while this waits
   * @throws InterruptedException if this thread is interrupted; nothing was taken then
   */
  public Object get() throws InterruptedException {
    try {
      return get(null, null);
    } catch (TimeoutException e) {
      throw new AssertionError(e); // there is no limit
    }
  }

  /**
   * Takes the item that was put first, and waits no longer than this for one.
   *
   * @param timeout how long at most; what is not positive means not at all
   * @return the item; null for None
   * @throws TimeoutException if there was none
   * @throws InterruptedException as for {@link #get()}
   */
  public Object get(Duration timeout) throws InterruptedException, TimeoutException {
    return get(timeout, null);
  }

  /**
   * Takes the item that was put first, and waits no longer than this for one, and until a cancel is fired.
   *
   * @param timeout how long at most; null for no limit
   * @param cancel what ends the wait, as an {@link ExecutionInterruptedException}; null for nothing
   * @return the item; null for None
   * @throws TimeoutException if there was none
   * @throws InterruptedException as for {@link #get()}
   */
  public Object get(Duration timeout, Cancel cancel) throws InterruptedException, TimeoutException {
    Object item = wait(timeout, cancel, (milliseconds, token, _) -> getNow(milliseconds, token));
    if (item == NOTHING) {
      throw new TimeoutException("the queue is empty");
    }
    return item;
  }

  /** One attempt: {@link #NOTHING} when the time was up. */
  private interface Attempt {
    Object make(long milliseconds, long cancel, boolean last);
  }

  private Object wait(Duration timeout, Cancel cancel, Attempt attempt) throws InterruptedException {
    if (Thread.interrupted()) {
      throw new InterruptedException();
    }
    long token = cancel == null ? 0 : cancel.handle();
    try {
      long milliseconds = timeout == null ? -1 : Checks.milliseconds(timeout);
      Object done = attempt.make(0, token, milliseconds == 0);
      if (done != NOTHING || milliseconds == 0) {
        return done;
      }
      try (Cancel interrupt = Cancel.after(cancel)) {
        Supplier<Object> wait = () -> attempt.make(milliseconds, interrupt.handle(), true);
        try {
          return Waits.anywhere(interrupt::fire, wait);
        } catch (ExecutionInterruptedException e) {
          // Thread.interrupt() sets the flag, and ends the wait later: something may have taken the flag meanwhile.
          boolean flag = Thread.interrupted();
          if ((cancel == null || !cancel.isFired()) && (flag || interrupt.isFired())) {
            throw new InterruptedException();
          }
          if (flag) {
            Thread.currentThread().interrupt();
          }
          throw e;
        }
      }
    } finally {
      Reference.reachabilityFence(this);
      Reference.reachabilityFence(cancel);
    }
  }

  private Object putNow(Object item, long milliseconds, long cancel, boolean last) {
    try (Call call = new Call()) {
      MemorySegment value = Values.one(item, "item", call);
      if (!last && call.takeBack()) { // buffers can be passed once only
        return NOTHING;
      }
      int status = DataNative.queuePut(handle, value, milliseconds, cancel, call.error());
      return ended(status, call) ? NOTHING : null;
    }
  }

  private Object getNow(long milliseconds, long cancel) {
    try (Call call = new Call()) {
      int status = DataNative.queueGet(handle, milliseconds, call.output(), cancel, call.error());
      return ended(status, call) ? NOTHING : call.result();
    }
  }

  /** Whether the time was up. */
  private static boolean ended(int status, Call call) {
    if (status == Status.TIMEOUT.code()) {
      call.passed(status);
      NativeError.free(call.error().get(ADDRESS, 0));
      return true;
    }
    try {
      call.check(status);
      return false;
    } catch (SubpyException e) {
      throw e.status() == Status.WRONG_STATE ? new QueueClosedException(e.getMessage()) : e;
    }
  }

  /**
   * Gets items until the queue is closed and empty. An interrupt of the thread that waits is an {@link
   * ExecutionInterruptedException}, and the flag stays set.
   */
  @Override
  public Iterator<Object> iterator() {
    return new Iterator<>() {
      private Object item = NOTHING;
      private boolean closed;

      @Override
      public boolean hasNext() {
        if (item == NOTHING && !closed) {
          try {
            item = get();
          } catch (QueueClosedException e) {
            closed = true;
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw ExecutionInterruptedException.before("interrupted while it waited for an item");
          }
        }
        return item != NOTHING;
      }

      @Override
      public Object next() {
        if (!hasNext()) {
          throw new NoSuchElementException();
        }
        Object next = item;
        item = NOTHING;
        return next;
      }
    };
  }

  /** {@return how many items are in it} Others may change that at any time. */
  public long size() {
    try (Call call = new Call()) {
      call.check(DataNative.queueLen(handle, call.output(), call.error()));
      return call.number();
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /**
   * Closes it for everybody: nothing goes in any more, and what is in it can still be taken. Who waits is woken. One that
   * is closed already is left alone.
   */
  @Override
  public void close() {
    try (Call call = new Call()) {
      call.check(DataNative.queueClose(handle, call.error()));
    } catch (InterpreterNotFoundException freed) {
      // It is nobody's business here any more.
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /** Lets go of the queue, which others may still have; they are not disturbed. The garbage collector does it, too. */
  public void free() {
    cleanable.clean();
  }
}
