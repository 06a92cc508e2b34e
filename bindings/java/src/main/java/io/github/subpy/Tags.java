package io.github.subpy;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.OffsetTime;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;

/** Tagged values as the classes that Java has for them. What such a class cannot hold exactly stays {@link Tagged}. */
final class Tags {
  private static final long DAY = 86_400;

  private Tags() {}

  /** What a value with a tag is in Java. */
  static Object object(Tag tag, Object value) {
    if (tag == null) {
      return value;
    }
    try {
      return switch (tag) {
        case SET -> set((List<?>) value);
        case DATE -> LocalDate.parse((String) value);
        case TIME -> time((String) value);
        case DATETIME -> dateTime((String) value);
        case TIMEDELTA -> duration((Tuple) value);
        case DECIMAL -> decimal((String) value);
        case UUID -> UUID.fromString((String) value);
        default -> new Tagged(tag, value);
      };
    } catch (DateTimeException | ArithmeticException e) { // an offset of more than 18 hours, say
      return new Tagged(tag, value);
    }
  }

  private static Set<Object> set(List<?> items) {
    Set<Object> set = LinkedHashSet.newLinkedHashSet(items.size());
    try {
      set.addAll(items);
    } catch (StackOverflowError e) {
      throw new NotShareableException("result: an item of a set is nested too deeply for the stack of this thread");
    }
    if (set.size() != items.size()) { // several NaN
      throw new NotShareableException("result: a set has different items that are equal in Java");
    }
    return set;
  }

  private static Object time(String text) {
    return hasOffset(text) ? OffsetTime.parse(text) : LocalTime.parse(text);
  }

  private static Object dateTime(String text) {
    return hasOffset(text) ? OffsetDateTime.parse(text) : LocalDateTime.parse(text);
  }

  private static boolean hasOffset(String text) {
    return text.indexOf('+') >= 0 || text.lastIndexOf('-') > text.indexOf(':');
  }

  private static Duration duration(Tuple parts) {
    return Duration.ofDays((long) parts.get(0)).plusSeconds((long) parts.get(1)).plusNanos((long) parts.get(2) * 1000);
  }

  private static Object decimal(String text) {
    try {
      BigDecimal decimal = new BigDecimal(text);
      if (decimal.signum() != 0 || !text.startsWith("-")) {
        return decimal;
      }
    } catch (NumberFormatException e) {
      // NaN, Infinity, or an exponent that is too large.
    }
    return new Tagged(Tag.DECIMAL, text);
  }

  /** The tagged value that an object is in Python; null for an object that is none. */
  static Tagged tagged(Object object) {
    return switch (object) {
      case Tagged tagged -> tagged;
      case Set<?> set -> new Tagged(Tag.SET, Arrays.asList(set.toArray()));
      case BigDecimal decimal -> new Tagged(Tag.DECIMAL, decimal.toString());
      case UUID uuid -> new Tagged(Tag.UUID, uuid.toString());
      case LocalDate date -> new Tagged(Tag.DATE, date.toString());
      case LocalTime time -> new Tagged(Tag.TIME, micros(time.getNano(), time).toString());
      case OffsetTime time -> new Tagged(Tag.TIME, micros(time.getNano(), time).toString());
      case LocalDateTime time -> new Tagged(Tag.DATETIME, micros(time.getNano(), time).toString());
      case OffsetDateTime time -> new Tagged(Tag.DATETIME, micros(time.getNano(), time).toString());
      case Duration duration -> new Tagged(Tag.TIMEDELTA, parts(duration));
      default -> null;
    };
  }

  private static Tuple parts(Duration duration) {
    long seconds = duration.getSeconds();
    long micros = micros(duration.getNano(), duration.getNano()) / 1000;
    return Tuple.of(Math.floorDiv(seconds, DAY), Math.floorMod(seconds, DAY), micros);
  }

  /** Python has no nanoseconds. */
  private static <T> T micros(int nanos, T of) {
    if (nanos % 1000 != 0) {
      throw new ArithmeticException("Python has whole microseconds: truncatedTo(ChronoUnit.MICROS)");
    }
    return of;
  }
}
