package io.github.subpy;

import java.util.Objects;

/**
 * A value of a Python type that Java has no counterpart for: what it is made of, and which type that stands for. It is
 * an argument everywhere, and a result in interpreters with {@link Options.Flag#TAGGED_VALUES}.
 *
 * @param tag the type
 * @param value what it is made of, as {@link Tag} says
 */
public record Tagged(Tag tag, Object value) {
  /** A value whose tag is not null. */
  public Tagged {
    Objects.requireNonNull(tag, "tag");
  }
}
