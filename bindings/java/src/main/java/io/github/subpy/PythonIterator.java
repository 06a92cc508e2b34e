package io.github.subpy;

import static java.lang.foreign.ValueLayout.JAVA_BOOLEAN;

import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.util.Iterator;
import java.util.NoSuchElementException;

/**
 * Iterates over a {@link PythonObject}. Each item is made when it is asked for: a generator runs up to its next
 * {@code yield}. What Python raises is thrown by {@link #hasNext()} or {@link #next()}, and ends a generator.
 *
 * <p>It is for one thread at a time. It is closed at the end, and by itself when nobody refers to it any more.
 */
public final class PythonIterator implements Iterator<Object>, AutoCloseable {
  private final PythonObject iterator;
  private final int forms;
  private boolean asked;
  private boolean more;
  private Object item;

  PythonIterator(PythonObject iterator, int forms) {
    this.iterator = iterator;
    this.forms = forms;
  }

  @Override
  public boolean hasNext() {
    if (!asked) {
      ask();
      asked = true;
      if (!more) {
        iterator.close();
      }
    }
    return more;
  }

  @Override
  public Object next() {
    if (!hasNext()) {
      throw new NoSuchElementException();
    }
    asked = false;
    Object next = item;
    item = null;
    return next;
  }

  private void ask() {
    try (Call call = new Call()) {
      MemorySegment some = call.allocate(JAVA_BOOLEAN.byteSize());
      call.check(DataNative.objectNext(iterator.handle(), forms, some, call.output(), call.error()));
      more = some.get(JAVA_BOOLEAN, 0);
      item = more ? call.forms(forms).result() : null;
    } finally {
      Reference.reachabilityFence(iterator);
    }
  }

  /** Lets go of the iterator, before its end. */
  @Override
  public void close() {
    iterator.close();
  }
}
