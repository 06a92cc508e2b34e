package io.github.subpy;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * How the process of an interpreter is, that has one of its own: {@link Options#process(ProcessOptions)}. It is the main
 * interpreter there. Extension modules that refuse other interpreters load in it, and what would end or block a process
 * ends or blocks that one: its end is an {@link InterpreterCrashedException}.
 *
 * @param grace how long code may go on after the exception that is to end its run, before the process is killed; null for
 *     100 ms
 * @param cpuLimit how much time of processors it may use in all; null for no limit
 * @param locked whether it is locked down: no network, no other programs, no other processes, no files but those that
 *     Python itself needs and those in the folders below
 * @param lockBestEffort whether an older Linux, with less than that takes, is no error: then it is locked with what there
 *     is, which {@link Interpreter#lockInfo} says
 * @param readable folders that it may read then, with all that is below: absolute paths
 * @param writable folders that it may read and write then, likewise
 */
public record ProcessOptions(
    Duration grace,
    Duration cpuLimit,
    boolean locked,
    boolean lockBestEffort,
    List<Path> readable,
    List<Path> writable) {
  /** A grace of 100 ms, no limit, not locked down. */
  public static final ProcessOptions DEFAULT = new ProcessOptions(null, null, false, false, List.of(), List.of());

  // SUBPY_INTERP_LOCKED and SUBPY_INTERP_LOCK_BEST_EFFORT.
  private static final long LOCKED = 1024;
  private static final long LOCK_BEST_EFFORT = 2048;

  /** Options of copies of the lists. */
  public ProcessOptions {
    Checks.positive(grace);
    Checks.positive(cpuLimit);
    readable = List.copyOf(readable);
    writable = List.copyOf(writable);
  }

  /**
   * The same with another grace.
   *
   * @param grace how long code may go on after the exception that is to end its run
   * @return the options with it
   */
  public ProcessOptions grace(Duration grace) {
    return new ProcessOptions(grace, cpuLimit, locked, lockBestEffort, readable, writable);
  }

  /**
   * The same with a limit of the time of processors.
   *
   * @param cpuLimit how much the process may use in all
   * @return the options with it
   */
  public ProcessOptions cpuLimit(Duration cpuLimit) {
    return new ProcessOptions(grace, cpuLimit, locked, lockBestEffort, readable, writable);
  }

  /**
   * The same, locked down or not.
   *
   * @param locked whether it is
   * @return the options with that
   */
  public ProcessOptions locked(boolean locked) {
    return new ProcessOptions(grace, cpuLimit, locked, lockBestEffort, readable, writable);
  }

  /**
   * The same, where an older Linux, with less than a lock takes, is no error, or is one.
   *
   * @param lockBestEffort whether it is none
   * @return the options with that
   */
  public ProcessOptions lockBestEffort(boolean lockBestEffort) {
    return new ProcessOptions(grace, cpuLimit, locked, lockBestEffort, readable, writable);
  }

  /**
   * The same with one more folder that may be read.
   *
   * @param folder its absolute path
   * @return the options with it
   */
  public ProcessOptions readable(Path folder) {
    return new ProcessOptions(grace, cpuLimit, locked, lockBestEffort, more(readable, folder), writable);
  }

  /**
   * The same with one more folder that may be read and written.
   *
   * @param folder its absolute path
   * @return the options with it
   */
  public ProcessOptions writable(Path folder) {
    return new ProcessOptions(grace, cpuLimit, locked, lockBestEffort, readable, more(writable, folder));
  }

  private static List<Path> more(List<Path> folders, Path folder) {
    List<Path> more = new ArrayList<>(folders);
    more.add(folder);
    return more;
  }

  /** What a subpy_interp_options has of it in its flags. */
  long flags() {
    return (locked ? LOCKED : 0) | (lockBestEffort ? LOCK_BEST_EFFORT : 0);
  }

  /** The last four fields of a subpy_interp_options, which begin there. */
  void write(Call call, MemorySegment struct, long offset) {
    struct.set(JAVA_LONG, offset, grace == null ? 0 : Checks.milliseconds(grace));
    struct.set(JAVA_LONG, offset + 8, cpuLimit == null ? 0 : Checks.milliseconds(cpuLimit));
    struct.set(ADDRESS, offset + 16, call.texts(readable, "readable"));
    struct.set(ADDRESS, offset + 24, call.texts(writable, "writable"));
  }
}
