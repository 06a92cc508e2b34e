package io.github.subpy;

import java.util.Collections;
import java.util.EnumSet;
import java.util.Set;

/**
 * Options of {@link Interpreter#define(String, DefineOptions, HostFunction)}: {@code
 * DefineOptions.DEFAULT.signature("(a, b=0)")}.
 *
 * @param flags how it is called
 * @param signature what {@code inspect.signature()} shows; null for none. Arguments are not checked against it
 * @param doc its {@code __doc__}; null for none
 */
public record DefineOptions(Set<Flag> flags, String signature, String doc) {
  /** No signature, no documentation, called on any thread with the GIL released. */
  public static final DefineOptions DEFAULT = new DefineOptions(Set.of(), null, null);

  /** How a host function is called; SUBPY_DEFINE_* of subpy.h. */
  public enum Flag {
    /** The GIL is kept, for functions of nanoseconds: no other thread runs in the interpreter meanwhile. */
    KEEP_GIL,
    /** It is called only on the thread that defines it. Elsewhere Python gets RuntimeError. */
    CALLER_THREAD_ONLY
  }

  /** Options of a copy of the set. */
  public DefineOptions {
    flags = Collections.unmodifiableSet(flags.isEmpty() ? EnumSet.noneOf(Flag.class) : EnumSet.copyOf(flags));
    Checks.noNul("signature", signature);
    Checks.noNul("doc", doc);
  }

  /**
   * The same with one flag more.
   *
   * @param flag the flag
   * @return the options with it
   */
  public DefineOptions flag(Flag flag) {
    Set<Flag> more = EnumSet.of(flag);
    more.addAll(flags);
    return new DefineOptions(more, signature, doc);
  }

  /**
   * The same with a signature.
   *
   * @param signature in Python's words: {@code "(a, b=0)"}
   * @return the options with it
   */
  public DefineOptions signature(String signature) {
    return new DefineOptions(flags, signature, doc);
  }

  /**
   * The same with documentation.
   *
   * @param doc what {@code help()} shows
   * @return the options with it
   */
  public DefineOptions doc(String doc) {
    return new DefineOptions(flags, signature, doc);
  }

  int flagBits() {
    return flags.stream().mapToInt(flag -> 1 << flag.ordinal()).sum();
  }
}
