package io.github.subpy;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * Options of {@link Subpy#initWith}: {@code RuntimeOptions.DEFAULT.preload("json")}.
 *
 * @param python the path of an executable, of the folder of a virtual environment, or of a libpython; null to search
 * @param flags how to start it
 * @param worker the path of the program that processes of interpreters ({@link ProcessOptions}) begin with; null for the
 *     one inside the library
 * @param preload names of modules that are imported once for all interpreters with processes of their own, without U+0000;
 *     not of those that start threads when they are imported
 */
public record RuntimeOptions(Path python, Set<Subpy.RuntimeFlag> flags, Path worker, List<String> preload) {
  /** Those of a start by itself. */
  public static final RuntimeOptions DEFAULT = new RuntimeOptions(null, Set.of(), null, List.of());

  /** Options of copies of the set and the list. */
  public RuntimeOptions {
    flags =
        Collections.unmodifiableSet(
            flags.isEmpty() ? EnumSet.noneOf(Subpy.RuntimeFlag.class) : EnumSet.copyOf(flags));
    preload = List.copyOf(preload);
    preload.forEach(module -> Checks.noNul("preload", module));
  }

  /**
   * The same with this Python.
   *
   * @param python its path
   * @return the options with it
   */
  public RuntimeOptions python(Path python) {
    return new RuntimeOptions(python, flags, worker, preload);
  }

  /**
   * The same with one flag more.
   *
   * @param flag the flag
   * @return the options with it
   */
  public RuntimeOptions flag(Subpy.RuntimeFlag flag) {
    Set<Subpy.RuntimeFlag> more = EnumSet.of(flag);
    more.addAll(flags);
    return new RuntimeOptions(python, more, worker, preload);
  }

  /**
   * The same with this program for processes of interpreters.
   *
   * @param worker its path
   * @return the options with it
   */
  public RuntimeOptions worker(Path worker) {
    return new RuntimeOptions(python, flags, worker, preload);
  }

  /**
   * The same with one more module that is imported once.
   *
   * @param module its name
   * @return the options with it
   */
  public RuntimeOptions preload(String module) {
    List<String> more = new ArrayList<>(preload);
    more.add(module);
    return new RuntimeOptions(python, flags, worker, more);
  }

  /** A subpy_runtime_options. */
  MemorySegment struct(Call call) {
    MemorySegment struct = call.allocate(40);
    struct.set(JAVA_LONG, 0, struct.byteSize());
    if (python != null) {
      struct.set(ADDRESS, 8, call.text(python + "\0", "path"));
    }
    struct.set(JAVA_LONG, 16, flags.stream().mapToLong(flag -> 1L << flag.ordinal()).sum());
    if (worker != null) {
      struct.set(ADDRESS, 24, call.text(worker + "\0", "worker"));
    }
    struct.set(ADDRESS, 32, call.texts(preload, "preload"));
    return struct;
  }
}
