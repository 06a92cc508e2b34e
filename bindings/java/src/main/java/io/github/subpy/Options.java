package io.github.subpy;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * Options of {@link Subpy#create(Options)}: {@code Options.DEFAULT.busy(Options.Busy.WAIT)}.
 *
 * @param gil whose GIL the interpreter has
 * @param busy what a run in it does while it is running
 * @param flags what Python code in it may do
 * @param path folders to put in front of {@code sys.path}
 * @param timeout the time limit of every run in it that has none of its own; null for no limit
 * @param memoryLimit how much memory it may use, in bytes: beyond that its code gets a MemoryError; 0 for no limit
 * @param process it has a process of its own; null for this one
 * @param venv the folder of a virtual environment, for the same minor version of Python, whose packages it has; null for those of the process
 */
public record Options(
    Gil gil,
    Busy busy,
    Set<Flag> flags,
    List<Path> path,
    Duration timeout,
    long memoryLimit,
    ProcessOptions process,
    Path venv) {
  /** What Python's {@code concurrent.interpreters} does. */
  public static final Options DEFAULT = new Options(Gil.OWN, Busy.REFUSE, Set.of(), List.of(), null, 0, null, null);

  // SUBPY_INTERP_PROCESS.
  private static final long PROCESS = 512;

  /** Whose GIL an interpreter has. */
  public enum Gil {
    /** Its own: it runs in parallel with the others. */
    OWN,
    /** The main interpreter's: more extension modules can be loaded. */
    SHARED
  }

  /** What a run does while the interpreter is running. */
  public enum Busy {
    /** It fails with {@link Status#BUSY}. */
    REFUSE,
    /** It waits for its turn, and so does the Java thread. */
    WAIT,
    /** It runs as well; the threads take turns. */
    SHARE
  }

  /** What Python code may do. subpy.h says more about each. */
  public enum Flag {
    /** Call {@code os.fork()}. */
    ALLOW_FORK,
    /** Call {@code os.exec*()}, which replaces the JVM. */
    ALLOW_EXEC,
    /** Not start threads. */
    NO_THREADS,
    /** Start daemon threads. */
    ALLOW_DAEMON_THREADS,
    /** Load extension modules that do not support sub-interpreters; needs {@link Gil#SHARED}. */
    NO_EXTENSION_CHECK,
    /** Have each write of stdout and stderr arrive at once, instead of what a run wrote at its end. */
    UNBUFFERED,
    /** Not read the process's stdin: {@code input()} is EOFError. */
    NO_STDIN,
    /**
     * Return sets, complex numbers, dates and times, Decimals, UUIDs, members of Enums and dataclasses: see {@link Tag}.
     * Without it they are a {@link NotShareableException}.
     */
    TAGGED_VALUES,
    /** Count its memory, for {@link Interpreter#memory}. With a memory limit it does so anyway. */
    COUNT_MEMORY
  }

  /** Options of copies of the set and the list. */
  public Options {
    flags = Collections.unmodifiableSet(flags.isEmpty() ? EnumSet.noneOf(Flag.class) : EnumSet.copyOf(flags));
    path = List.copyOf(path);
    Checks.positive(timeout);
    if (memoryLimit < 0) {
      throw new IllegalArgumentException("a memory limit is not negative, as " + memoryLimit + " is");
    }
  }

  /**
   * The same with another GIL.
   *
   * @param gil whose GIL
   * @return the options with it
   */
  public Options gil(Gil gil) {
    return new Options(gil, busy, flags, path, timeout, memoryLimit, process, venv);
  }

  /**
   * The same with another policy.
   *
   * @param busy what a run does while the interpreter is running
   * @return the options with it
   */
  public Options busy(Busy busy) {
    return new Options(gil, busy, flags, path, timeout, memoryLimit, process, venv);
  }

  /**
   * The same with one flag more.
   *
   * @param flag the flag
   * @return the options with it
   */
  public Options flag(Flag flag) {
    Set<Flag> more = EnumSet.of(flag);
    more.addAll(flags);
    return new Options(gil, busy, more, path, timeout, memoryLimit, process, venv);
  }

  /**
   * The same with one folder more.
   *
   * @param folder the folder
   * @return the options with it
   */
  public Options path(Path folder) {
    List<Path> more = new ArrayList<>(path);
    more.add(folder);
    return new Options(gil, busy, flags, more, timeout, memoryLimit, process, venv);
  }

  /**
   * The same with a time limit for every run in it.
   *
   * @param timeout how long a run may take that has no limit of its own
   * @return the options with it
   */
  public Options timeout(Duration timeout) {
    return new Options(gil, busy, flags, path, timeout, memoryLimit, process, venv);
  }

  /**
   * The same with a limit of its memory.
   *
   * @param memoryLimit in bytes
   * @return the options with it
   */
  public Options memoryLimit(long memoryLimit) {
    return new Options(gil, busy, flags, path, timeout, memoryLimit, process, venv);
  }

  /**
   * The same with a process of its own. Not together with {@link Gil#SHARED} and {@link Flag#NO_EXTENSION_CHECK}.
   *
   * @param process how that is
   * @return the options with it
   */
  public Options process(ProcessOptions process) {
    return new Options(gil, busy, flags, path, timeout, memoryLimit, process, venv);
  }

  /**
   * The same with the packages of a virtual environment, in place of those of the process.
   *
   * @param venv its folder; it must have been made for the same minor version of Python
   * @return the options with it
   */
  public Options venv(Path venv) {
    return new Options(gil, busy, flags, path, timeout, memoryLimit, process, venv);
  }

  /** A subpy_interp_options. */
  MemorySegment struct(Call call) {
    MemorySegment struct = call.allocate(96);
    struct.set(JAVA_LONG, 0, struct.byteSize());
    struct.set(JAVA_INT, 8, gil.ordinal());
    struct.set(JAVA_INT, 12, busy.ordinal());
    long bits = flags.stream().mapToLong(flag -> 1L << flag.ordinal()).sum();
    struct.set(ADDRESS, 24, call.texts(path, "path"));
    struct.set(JAVA_LONG, 32, path.size());
    if (timeout != null) {
      struct.set(JAVA_LONG, 40, Checks.milliseconds(timeout));
    }
    struct.set(JAVA_LONG, 48, memoryLimit);
    if (process != null) {
      bits |= PROCESS | process.flags();
      process.write(call, struct, 56);
    }
    struct.set(JAVA_LONG, 16, bits);
    if (venv != null) {
      struct.set(ADDRESS, 88, call.text(venv + "\0", "venv"));
    }
    return struct;
  }
}
