package io.github.subpy;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * A Python tuple. A {@link List} is a Python list.
 *
 * @param items its items, which may be null; they cannot be changed
 */
public record Tuple(List<?> items) {
  /** A tuple of a copy of the list. */
  public Tuple {
    items = Collections.unmodifiableList(Arrays.asList(items.toArray()));
  }

  /**
   * A tuple of these items.
   *
   * @param items its items
   * @return the tuple
   */
  public static Tuple of(Object... items) {
    return new Tuple(Arrays.asList(items));
  }

  /**
   * One of its items.
   *
   * @param index which, from 0
   * @return the item
   */
  public Object get(int index) {
    return items.get(index);
  }

  /** {@return how many items it has} */
  public int size() {
    return items.size();
  }
}
