import io.github.subpy.Function;
import io.github.subpy.Interpreter;
import io.github.subpy.InterpreterCrashedException;
import io.github.subpy.InterpreterNotFoundException;
import io.github.subpy.InterpreterPool;
import io.github.subpy.Keywords;
import io.github.subpy.NotShareableException;
import io.github.subpy.Options;
import io.github.subpy.PoolOptions;
import io.github.subpy.ProcessOptions;
import io.github.subpy.PythonThread;
import io.github.subpy.RuntimeOptions;
import io.github.subpy.Status;
import io.github.subpy.Subpy;
import io.github.subpy.SubpyException;
import java.math.BigInteger;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;

/** What a host can do wrong: each is an exception that says so, and nothing else happens. */
public class Misuse {
  public static void main(String[] args) throws Exception {
    statusNames();
    wrongPython();
    garbageHandles();
    virtualEnvironments();
    try (Interpreter interp = Subpy.create()) {
      valuesThatCannotCross(interp);
      wrongArguments(interp);
      wrongProcesses(interp);
      wrongRows(interp);
      wrongMoments(interp);
    } // the second close
    Subpy.shutdown();
    Subpy.shutdown();
    System.out.println("done");
  }

  /** The packages of one, and one that is gone. */
  private static void virtualEnvironments() {
    String folder;
    try (Interpreter maker = Subpy.create()) {
      maker.exec(
          """
          import os, shutil, sys, tempfile
          folder = tempfile.mkdtemp()
          os.makedirs(folder + '/lib/python%d.%d/site-packages' % sys.version_info[:2])
          open(folder + '/pyvenv.cfg', 'w').close()
          """);
      folder = (String) maker.eval("folder");
      try (Interpreter interp = Subpy.create(Options.DEFAULT.venv(Path.of(folder)))) {
        Check.equal(interp.eval("__import__('sys').prefix"), folder);
      }
      maker.exec("shutil.rmtree(folder)");
    }
    try (Interpreter interp = Subpy.create(Options.DEFAULT.venv(Path.of(folder)))) {
      throw new AssertionError("it is gone, and " + interp + " has it");
    } catch (SubpyException e) {
      Check.equal(e.status(), Status.INVALID_ARGUMENT);
      Check.equal(e.getMessage().contains("is no folder; make one with: python3."), true);
    }
  }

  /** The statuses of the enum are the library's. */
  private static void statusNames() {
    for (Status status : Status.values()) {
      Check.equal(Subpy.statusName(status.code()), status == Status.OK ? "SUBPY_OK" : "SUBPY_ERROR_" + status);
    }
    Check.equal(Subpy.statusName(Status.CRASHED.code() - 1), "SUBPY_ERROR_UNKNOWN");
    Check.equal(Subpy.version(), "0.1.0");
    Check.equal(Subpy.pythonVersion(), null);
  }

  private static void wrongPython() {
    try {
      Subpy.init(Path.of("/nowhere/python"));
      throw new AssertionError("it is there");
    } catch (SubpyException e) {
      Check.equal(e.status(), Status.PYTHON_NOT_FOUND);
      Check.that(e.getMessage().contains("/nowhere/python: No such file"), e.getMessage());
    }
  }

  private static void wrongProcesses(Interpreter interp) {
    ProcessOptions open = ProcessOptions.DEFAULT;
    ProcessOptions locked = open.locked(true);
    Path relative = Path.of("here");
    Map<String, Options> refused = new HashMap<>();
    refused.put(
        "SUBPY_INTERP_PROCESS needs SUBPY_GIL_OWN: an interpreter in a process of its own shares no GIL",
        Options.DEFAULT.process(open).gil(Options.Gil.SHARED));
    refused.put(
        "SUBPY_INTERP_NO_EXTENSION_CHECK is not for SUBPY_INTERP_PROCESS: an interpreter in a process of its own loads all "
            + "extension modules anyway",
        Options.DEFAULT.process(open).flag(Options.Flag.NO_EXTENSION_CHECK));
    refused.put(
        "SUBPY_INTERP_LOCK_BEST_EFFORT needs SUBPY_INTERP_LOCKED: without it nothing is locked",
        Options.DEFAULT.process(open.lockBestEffort(true)));
    refused.put(
        "readable folders need SUBPY_INTERP_LOCKED: without it all that the host can open is open",
        Options.DEFAULT.process(open.readable(Path.of("/usr"))));
    refused.put(
        "writable folders need SUBPY_INTERP_LOCKED: without it all that the host can open is open",
        Options.DEFAULT.process(open.writable(Path.of("/tmp"))));
    refused.put(
        "SUBPY_INTERP_ALLOW_FORK and SUBPY_INTERP_ALLOW_EXEC are not for SUBPY_INTERP_LOCKED, which allows neither",
        Options.DEFAULT.process(locked).flag(Options.Flag.ALLOW_EXEC));
    refused.put(
        "readable[1] is \"here\", must be an absolute path",
        Options.DEFAULT.process(locked.readable(Path.of("/usr")).readable(relative)));
    refused.put(
        "writable[0] is \"here\", must be an absolute path", Options.DEFAULT.process(locked.writable(relative)));
    refused.forEach(
        (message, options) -> {
          Check.refused(Status.INVALID_ARGUMENT, message, () -> Subpy.create(options));
          PoolOptions pool = PoolOptions.DEFAULT.interpreter(options);
          Check.refused(Status.INVALID_ARGUMENT, message, () -> InterpreterPool.create(pool).close());
        });

    Check.thrown(IllegalArgumentException.class, () -> open.grace(Duration.ZERO));
    Check.thrown(IllegalArgumentException.class, () -> open.cpuLimit(Duration.ofSeconds(-1)));
    Check.thrown(IllegalArgumentException.class, () -> RuntimeOptions.DEFAULT.preload("a\0b"));
    for (RuntimeOptions other :
        List.of(RuntimeOptions.DEFAULT.preload("json"), RuntimeOptions.DEFAULT.worker(Path.of("/nowhere")))) {
      Check.refusedLike(Status.WRONG_STATE, () -> Subpy.initWith(other));
    }
    Subpy.initWith(RuntimeOptions.DEFAULT);

    try {
      interp.exec("1 / 0");
      throw new AssertionError("it is an exception");
    } catch (SubpyException e) {
      Check.that(!(e instanceof InterpreterCrashedException), e.getMessage());
    }
  }

  private static void garbageHandles() {
    for (long number : new long[] {0, 1, (1L << 53) - 1, -1}) {
      Interpreter garbage = Interpreter.ofHandle(number);
      List<Runnable> actions =
          List.of(
              () -> garbage.exec("1"),
              () -> garbage.eval("1"),
              () -> garbage.call("math:sqrt", 2),
              () -> garbage.call("math:sqrt", 2, Keywords.of("x", 1)),
              () -> garbage.callInThread("math:sqrt", 2),
              () -> garbage.prepareMain(Map.of("a", 1)),
              garbage::isRunning,
              garbage::id,
              garbage::whence);
      String message = Long.toUnsignedString(number) + " is not the handle of an interpreter";
      actions.forEach(action -> Check.refused(Status.NOT_FOUND, message, action));
      garbage.close();
      Check.equal(garbage.toString(), "Interpreter(closed)");
    }
  }

  private static void valuesThatCannotCross(Interpreter interp) {
    Map<String, Runnable> refused = new HashMap<>();
    Map<String, List<?>> nested = Map.of("x", List.of(0, Instant.EPOCH));
    refused.put("args[1]['x'][1]: java.time.Instant cannot be shared", () -> interp.call("f", 1, nested));
    refused.put(
        "kwargs['k'][0]: java.lang.StringBuilder cannot be shared",
        () -> interp.call("f", Keywords.of("k", List.of(new StringBuilder()))));
    refused.put(
        "names['c']: java.lang.Object[] cannot be shared",
        () -> interp.prepareMain(Map.of("c", new Object[] {1, 2})));
    refused.put(
        "args[0]: a String with a lone surrogate cannot be shared", () -> interp.call("f", "a\ud800"));
    List<Object> cycle = new ArrayList<>();
    cycle.add(cycle);
    Object tooDeep = List.of();
    for (int level = 1; level <= 1000; level++) {
      tooDeep = List.of(tooDeep);
    }
    List<Object> both = List.of(cycle, tooDeep);
    // A key whose toString() has no end.
    List<Object> endless = new ArrayList<>();
    endless.add(Arrays.asList(endless));
    Map<Object, Object> byIdentity = new IdentityHashMap<>();
    byIdentity.put(endless, new Object());
    refused.put(
        "args[0][java.util.ArrayList]: java.lang.Object cannot be shared", () -> interp.call("f", byIdentity));
    refused.put(
        "args[0][null][true][2.5][7]: java.lang.Object cannot be shared",
        () ->
            interp.call(
                "f",
                Collections.singletonMap(null, Map.of(true, Map.of(2.5, Map.of(BigInteger.valueOf(7), new Object()))))));
    String way = "[0][0][0][0][0]...[0][0][0][0][0]: is nested more than 1,000 levels deep, or contains itself";
    refused.put("args[0]" + way, () -> interp.callInThread("f", both.get(0)));
    refused.put("args[1]" + way, () -> interp.call("f", null, both.get(1)));
    refused.put(
        "args[0]: io.github.subpy.Keywords cannot be shared", () -> interp.call("f", Keywords.of("not", "last"), 1));
    refused.forEach((message, action) -> Check.refused(Status.NOT_SHAREABLE, message, action));

    Check.thrown(NotShareableException.class, () -> interp.eval("1j"));
    // Two keys for Python, one for Java.
    Check.refused(
        Status.NOT_SHAREABLE,
        "result: a dict has different keys that are equal in Java",
        () -> interp.eval("{float('nan'): 1, float('nan'): 2}"));
  }

  private static void wrongArguments(Interpreter interp) {
    Check.thrown(NullPointerException.class, () -> interp.exec((String) null));
    Check.thrown(NullPointerException.class, () -> interp.call(null));
    Check.thrown(NullPointerException.class, () -> interp.prepareMain(null));
    Check.thrown(IllegalArgumentException.class, () -> interp.exec("'\udc00'"));
    Check.refused(
        Status.INVALID_ARGUMENT, "names must be a non-empty dict", () -> interp.prepareMain(Map.of()));
    Check.refused(
        Status.INVALID_ARGUMENT, "interpreter ID must be a non-negative int, got -1", () -> Subpy.find(-1));
    Check.refused(Status.NOT_FOUND, "unrecognized interpreter ID 999", () -> Subpy.find(999));
    Check.thrown(
        SubpyException.class, () -> Subpy.create(Options.DEFAULT.flag(Options.Flag.NO_EXTENSION_CHECK)));
    Check.refused(
        Status.EXECUTION_FAILED,
        "TypeError: cannot use 'list' as a dict key (unhashable type: 'list')",
        () -> interp.call("builtins:len", Map.of(List.of(), 1)));
  }

  private static void wrongRows(Interpreter interp) {
    interp.exec("calls = 0\ndef f(*args):\n  global calls\n  calls += 1");
    Function f = interp.function("f");
    List<Object> cycle = new ArrayList<>();
    cycle.add(cycle);
    Map<List<List<?>>, String> unshareable = new HashMap<>();
    unshareable.put(
        List.of(List.of(1, 2), List.of(3, Map.of("x", List.of(Instant.EPOCH)))),
        "rows[1][1]['x'][0]: java.time.Instant cannot be shared");
    unshareable.put(
        List.of(List.of(1, 2, Keywords.of("a", 1))), "rows[0][2]: io.github.subpy.Keywords cannot be shared");
    unshareable.put(
        List.of(List.of(1), List.of("\ud800")), "rows[1][0]: a String with a lone surrogate cannot be shared");
    unshareable.forEach(
        (rows, message) -> {
          Check.refused(Status.NOT_SHAREABLE, message, () -> f.callMany(rows));
          Check.refused(Status.NOT_SHAREABLE, message, () -> f.callManyOutcomes(rows));
        });
    Check.refusedLike(Status.NOT_SHAREABLE, () -> f.callMany(List.of(List.of(1), cycle)));
    Map<String, List<List<?>>> unlike =
        Map.of(
            "rows[2] has 1 arguments, and rows[0] has 2", List.of(List.of(1, 2), List.of(3, 4), List.of(5)),
            "rows[1] has 1 arguments, and rows[0] has 0", List.of(List.of(), List.of(1)),
            "rows: 100000 of 100000 arguments are too many for Java",
                Collections.nCopies(100_000, Collections.nCopies(100_000, 1)));
    unlike.forEach(
        (message, rows) -> {
          try {
            f.callMany(rows);
            throw new AssertionError("it was not refused: " + message);
          } catch (IllegalArgumentException e) {
            Check.equal(e.getMessage(), message);
          }
        });
    Check.thrown(NullPointerException.class, () -> f.callMany(null));
    Check.thrown(NullPointerException.class, () -> f.callMany(Arrays.asList(List.of(1), null)));
    Check.equal(interp.eval("calls"), 0L);
    f.close();
    Check.refusedLike(Status.NOT_FOUND, () -> f.callMany(List.of(List.of(1))));
    Check.refusedLike(Status.NOT_FOUND, () -> f.callManyOutcomes(List.of()));
  }

  private static void wrongMoments(Interpreter interp) throws Exception {
    PythonThread sleeping = interp.callInThread("time:sleep", 0.5);
    while (!interp.isRunning()) {
      Thread.sleep(1);
    }
    Check.refused(Status.BUSY, "interpreter already running", () -> interp.exec("1"));
    Check.refused(Status.BUSY, "interpreter running", interp::close);
    Check.refused(Status.BUSY, "thread subpy-1 is running time:sleep", Subpy::shutdown);
    Check.equal(sleeping.join(), null);
    Check.thrown(InterpreterNotFoundException.class, sleeping::join);
    sleeping.close();
    sleeping.close();

    String gone = "unrecognized interpreter ID " + interp.id();
    interp.close();
    interp.close();
    Check.refused(Status.NOT_FOUND, gone, () -> interp.exec("1"));
    Check.refused(
        Status.INTERPRETER, "cannot destroy the main interpreter, subpy_shutdown() ends it", () -> Subpy.getMain().close());
  }
}
