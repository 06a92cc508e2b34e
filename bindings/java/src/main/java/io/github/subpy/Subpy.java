package io.github.subpy;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/**
 * Many isolated Python interpreters in this JVM, each with its own GIL.
 *
 * <p>Python starts by itself on the first use of an interpreter; {@link #init} is for choosing which, and how. The
 * library is the file that the system property {@code subpy.library} or the environment variable SUBPY_LIBRARY names,
 * else {@code libsubpy.so.0} or {@code libsubpy.so}, where the dynamic linker finds it. When it cannot be loaded, or is
 * of another version, everything here throws UnsatisfiedLinkError, which says what was tried and what to do.
 */
public final class Subpy {
  /** How Python is started; SUBPY_RUNTIME_* of subpy.h. */
  public enum RuntimeFlag {
    /** Honour PYTHONPATH and the other PYTHON* variables. */
    USE_ENVIRONMENT,
    /** Start without the site module, and thus without site-packages. */
    NO_SITE,
    /** Leave SIGPIPE as it is. */
    KEEP_SIGPIPE
  }

  private Subpy() {}

  /**
   * Starts Python, or makes sure that it runs.
   *
   * @param python the path of an executable, of the folder of a virtual environment, or of a libpython; null to search
   * @param flags how to start it
   */
  public static void init(Path python, RuntimeFlag... flags) {
    initWith(new RuntimeOptions(python, Set.copyOf(Arrays.asList(flags)), null, List.of()));
  }

  /**
   * Starts Python, or makes sure that it runs.
   *
   * @param options which one, and how
   */
  public static void initWith(RuntimeOptions options) {
    try (Call call = new Call()) {
      call.check(Native.init(options.struct(call), call.error()));
    }
  }

  /**
   * Closes all interpreters and ends Python. For the application alone, not for a library in it. {@link Status#BUSY}
   * while anything runs; then everything stays as it was. A JVM may also just exit.
   */
  public static void shutdown() {
    try (Call call = new Call()) {
      call.check(Native.shutdown(call.error()));
    }
  }

  /**
   * Closes all interpreters and ends Python, as {@link #shutdown()} does, but first waits for what runs, or ends it.
   * When it fails, the message says what still runs, and everything stays as it was.
   *
   * @param timeout how long to wait; null for no limit
   * @param flags what to do about what runs
   */
  public static void shutdownWith(Duration timeout, CloseFlag... flags) {
    try (Call call = new Call()) {
      call.check(HostNative.shutdownWith(Interpreter.closeOptions(timeout, flags, call), call.error()));
    }
  }

  /** {@return a new interpreter, to be closed by the caller} */
  public static Interpreter create() {
    return create(Options.DEFAULT);
  }

  /**
   * Creates an interpreter.
   *
   * @param options whose GIL it has, and more
   * @return the interpreter, to be closed by the caller
   */
  public static Interpreter create(Options options) {
    try (Call call = new Call()) {
      call.check(Native.create(options.struct(call), call.output(), call.error()));
      return Interpreter.ofHandle(call.number());
    }
  }

  /** {@return all interpreters by ascending id: main, ours, and those that Python code made} */
  public static List<Interpreter> listAll() {
    for (long room = 16; ; ) {
      try (Call call = new Call()) {
        MemorySegment handles = call.allocate(room * JAVA_LONG.byteSize());
        call.check(Native.listAll(handles, room, call.output(), call.error()));
        long count = call.number();
        if (count > room) { // others create meanwhile
          room = count + 16;
          continue;
        }
        List<Interpreter> interpreters = new ArrayList<>();
        for (long index = 0; index < count; index++) {
          interpreters.add(Interpreter.ofHandle(handles.getAtIndex(JAVA_LONG, index)));
        }
        return interpreters;
      }
    }
  }

  /** {@return the interpreter that this thread is in} {@link InterpreterNotFoundException} when it is in none. */
  public static Interpreter getCurrent() {
    try (Call call = new Call()) {
      call.check(Native.getCurrent(call.output(), call.error()));
      return Interpreter.ofHandle(call.number());
    }
  }

  /** {@return the main interpreter, for packages that refuse the others} It cannot be closed. */
  public static Interpreter getMain() {
    try (Call call = new Call()) {
      call.check(Native.getMain(call.output(), call.error()));
      return Interpreter.ofHandle(call.number());
    }
  }

  /**
   * The interpreter with this id.
   *
   * @param id CPython's number
   * @return the interpreter
   */
  public static Interpreter find(long id) {
    try (Call call = new Call()) {
      call.check(Native.find(id, call.output(), call.error()));
      return Interpreter.ofHandle(call.number());
    }
  }

  /** {@return the version of the library} */
  public static String version() {
    Library.require();
    return Native.version();
  }

  /** {@return the version of Python; null before its first start} */
  public static String pythonVersion() {
    Library.require();
    return Native.pythonVersion();
  }

  /** {@return the path of the libpython in use; null before its first start} */
  public static String pythonLibrary() {
    Library.require();
    return Native.pythonLibrary();
  }

  /**
   * The library's name for a status.
   *
   * @param code its number
   * @return a name such as SUBPY_ERROR_NOT_FOUND; SUBPY_ERROR_UNKNOWN for a number that is none
   */
  public static String statusName(int code) {
    Library.require();
    return Native.statusName(code);
  }
}
