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
 * @param readable folders that it may read then, with all that is below: absolute paths
 * @param writable folders that it may read and write then, likewise
 */
public record ProcessOptions(
    Duration grace, Duration cpuLimit, boolean locked, List<Path> readable, List<Path> writable) {
  /** A grace of 100 ms, no limit, not locked down. */
  public static final ProcessOptions DEFAULT = new ProcessOptions(null, null, false, List.of(), List.of());

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
    return new ProcessOptions(grace, cpuLimit, locked, readable, writable);
  }

  /**
   * The same with a limit of the time of processors.
   *
   * @param cpuLimit how much the process may use in all
   * @return the options with it
   */
  public ProcessOptions cpuLimit(Duration cpuLimit) {
    return new ProcessOptions(grace, cpuLimit, locked, readable, writable);
  }

  /**
   * The same, locked down or not.
   *
   * @param locked whether it is
   * @return the options with that
   */
  public ProcessOptions locked(boolean locked) {
    return new ProcessOptions(grace, cpuLimit, locked, readable, writable);
  }

  /**
   * The same with one more folder that may be read.
   *
   * @param folder its absolute path
   * @return the options with it
   */
  public ProcessOptions readable(Path folder) {
    return new ProcessOptions(grace, cpuLimit, locked, more(readable, folder), writable);
  }

  /**
   * The same with one more folder that may be read and written.
   *
   * @param folder its absolute path
   * @return the options with it
   */
  public ProcessOptions writable(Path folder) {
    return new ProcessOptions(grace, cpuLimit, locked, readable, more(writable, folder));
  }

  private static List<Path> more(List<Path> folders, Path folder) {
    List<Path> more = new ArrayList<>(folders);
    more.add(folder);
    return more;
  }

  /** The last four fields of a subpy_interp_options, which begin there. */
  void write(Call call, MemorySegment struct, long offset) {
    struct.set(JAVA_LONG, offset, grace == null ? 0 : Checks.milliseconds(grace));
    struct.set(JAVA_LONG, offset + 8, cpuLimit == null ? 0 : Checks.milliseconds(cpuLimit));
    struct.set(ADDRESS, offset + 16, call.texts(readable, "readable"));
    struct.set(ADDRESS, offset + 24, call.texts(writable, "writable"));
  }
}
