package io.github.subpy;

/** Which Python type a {@link Tagged} value has. SUBPY_TAG_* of subpy.h; docs/values.md says what each is made of. */
public enum Tag {
  /** A set, of a list. In Java a {@link java.util.Set}. */
  SET,
  /** A frozenset, of a {@link Tuple}. */
  FROZENSET,
  /** A complex number, of a {@link Tuple} of two Doubles. */
  COMPLEX,
  /** A date, of its text. In Java a {@link java.time.LocalDate}. */
  DATE,
  /** A time, of its text. In Java a {@link java.time.LocalTime} or a {@link java.time.OffsetTime}. */
  TIME,
  /** A datetime, of its text. In Java a {@link java.time.LocalDateTime} or a {@link java.time.OffsetDateTime}. */
  DATETIME,
  /** A timedelta, of a {@link Tuple} of days, seconds and microseconds. In Java a {@link java.time.Duration}. */
  TIMEDELTA,
  /** A Decimal, of its text. In Java a {@link java.math.BigDecimal}, but for -0, infinities and NaNs. */
  DECIMAL,
  /** A UUID, of its text. In Java a {@link java.util.UUID}. */
  UUID,
  /** A member of an Enum, of a {@link Tuple} of {@code "module:qualname"}, its name and its value. */
  ENUM,
  /** An instance of a dataclass, of a map: {@code "__class__"}, which is {@code "module:qualname"}, then its fields. */
  DATACLASS;

  private static final Tag[] TAGS = values();

  int code() {
    return ordinal() + 1;
  }

  /** The tag in the flags of a value; null for none, and for one that only a newer library has. */
  static Tag of(int flags) {
    int code = flags & 0xff;
    return code == 0 || code > TAGS.length ? null : TAGS[code - 1];
  }
}
