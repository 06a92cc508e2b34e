package io.github.subpy;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.time.temporal.ChronoUnit;

/**
 * What a pool has done, and has to do.
 *
 * @param workers interpreters that run tasks; one that is replaced at this moment is not among them
 * @param spares interpreters that are ready to take the place of one of those
 * @param queued tasks that wait
 * @param running tasks that run
 * @param submitted tasks that were accepted: queued, running and done
 * @param done tasks that have ended, whatever their outcome
 * @param failed those of them that ended with an error
 * @param cancelled those of them that were interrupted
 * @param replaced interpreters that were replaced
 * @param left those of them that cannot be closed yet, because of threads that Python code has left in them
 * @param crashed interpreters whose process has crashed, or was killed because a run did not end in time
 * @param isolation where the interpreters live now: {@link Isolation#OWN_GIL} or {@link Isolation#PROCESS}
 * @param reason with {@link Isolation#AUTO}, why they have processes; empty before
 * @param waits how long tasks waited before they began
 * @param runs how long tasks ran
 */
public record PoolStats(
    long workers,
    long spares,
    long queued,
    long running,
    long submitted,
    long done,
    long failed,
    long cancelled,
    long replaced,
    long left,
    long crashed,
    Isolation isolation,
    String reason,
    Percentiles waits,
    Percentiles runs) {
  /**
   * Times of all tasks so far, a sixteenth too large at most.
   *
   * @param p50 half of them are no longer than this
   * @param p90 nine of ten
   * @param p99 99 of 100
   */
  public record Percentiles(Duration p50, Duration p90, Duration p99) {}

  static PoolStats of(long pool, Call call) {
    MemorySegment struct = call.allocate(352);
    struct.set(JAVA_LONG, 0, struct.byteSize());
    call.check(DataNative.poolStats(pool, struct, call.error()));
    long[] numbers = struct.toArray(JAVA_LONG);
    return new PoolStats(
        numbers[1],
        numbers[2],
        numbers[3],
        numbers[4],
        numbers[5],
        numbers[6],
        numbers[7],
        numbers[8],
        numbers[9],
        numbers[16],
        numbers[17],
        Isolation.values()[struct.get(JAVA_INT, 144)],
        struct.getString(152),
        percentiles(numbers, 10),
        percentiles(numbers, 13));
  }

  private static Percentiles percentiles(long[] numbers, int from) {
    return new Percentiles(micros(numbers[from]), micros(numbers[from + 1]), micros(numbers[from + 2]));
  }

  private static Duration micros(long count) {
    return Duration.of(count, ChronoUnit.MICROS);
  }
}
