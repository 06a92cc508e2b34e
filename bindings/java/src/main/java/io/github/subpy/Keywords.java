package io.github.subpy;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The keyword arguments of a call, after the positional ones: {@code call("f", 1, Keywords.of("least", 2))}.
 *
 * @param values by their names; they cannot be changed
 */
public record Keywords(Map<String, ?> values) {
  /** Keyword arguments of a copy of the map. */
  public Keywords {
    values = Collections.unmodifiableMap(new LinkedHashMap<>(values));
  }

  /**
   * One keyword argument.
   *
   * @param name its name
   * @param value its value
   * @return the keyword arguments
   */
  public static Keywords of(String name, Object value) {
    return new Keywords(Collections.singletonMap(name, value));
  }

  /**
   * These, and one more.
   *
   * @param name its name
   * @param value its value
   * @return the keyword arguments
   */
  public Keywords and(String name, Object value) {
    Map<String, Object> more = new LinkedHashMap<>(values);
    more.put(name, value);
    return new Keywords(more);
  }
}
