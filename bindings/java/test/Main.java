import io.github.subpy.ExecutionFailedException;
import io.github.subpy.ExecutionFailedException.Frame;
import io.github.subpy.Function;
import io.github.subpy.Interpreter;
import io.github.subpy.InterpreterNotFoundException;
import io.github.subpy.Keywords;
import io.github.subpy.NotShareableException;
import io.github.subpy.Options;
import io.github.subpy.Outcome;
import io.github.subpy.PythonThread;
import io.github.subpy.Session;
import io.github.subpy.Source;
import io.github.subpy.Status;
import io.github.subpy.Subpy;
import io.github.subpy.SubpyException;
import io.github.subpy.Tuple;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicReference;

/**
 * A tour of subpy in a Java program: everything a host does, each with a check. Run it with a JDK 22 or newer:
 *
 * <pre>java --enable-native-access=ALL-UNNAMED -cp subpy-0.1.0.jar Main.java</pre>
 */
public class Main {
  public static void main(String[] args) throws Exception {
    twoInterpreters();
    functions();
    manyCalls();
    errorsOfRows();
    sessions();
    waiting();
    values();
    errors();
    parallel();
    poolForVirtualThreads();
    extensionModules();
    Subpy.shutdown();
    try (Interpreter again = Subpy.create()) {
      Check.equal(again.eval("6 * 7"), 42L);
    }
    Subpy.shutdown();
    System.out.println("done");
  }

  private static void twoInterpreters() {
    try (Interpreter one = Subpy.create();
        Interpreter other = Subpy.create(Options.DEFAULT.busy(Options.Busy.WAIT))) {
      one.exec("name = 'one'");
      other.prepareMain(Map.of("name", "other", "numbers", List.of(1, 2, 3)));
      Check.equal(one.eval("name"), "one");
      Check.equal(other.eval("name"), "other");
      Check.equal(other.eval("sum(numbers)"), 6L);
      Check.equal(one.call("os.path:join", "a", "b"), "a/b");
      Check.equal(one.call("builtins:sorted", List.of(3, 1, 2), Keywords.of("reverse", true)), List.of(3L, 2L, 1L));
      try (PythonThread thread = other.callInThread("math:factorial", 25)) {
        Check.equal(thread.join(), new BigInteger("15511210043330985984000000"));
      }

      List<Interpreter> all = Subpy.listAll();
      Check.equal(all, List.of(Subpy.getMain(), one, other));
      Check.equal(Subpy.getMain().id(), 0L);
      Check.equal(Subpy.find(one.id()), one);
      Check.equal(one.whence(), "C-API");
      Check.that(!one.isRunning());
      Check.refused(Status.NOT_FOUND, "this thread is in no interpreter", Subpy::getCurrent);
      System.out.println("interpreters: " + all + " of CPython " + Subpy.pythonVersion());
    }
  }

  /** Something that is looked up once and called many times. */
  @SuppressWarnings("try") // what is closed twice, on purpose
  private static void functions() {
    try (Interpreter interp = Subpy.create()) {
      interp.exec("def scale(number, *, factor=2): return number * factor");
      try (Function scale = interp.function("scale")) {
        Check.equal(scale.call(21), 42L);
        Check.equal(scale.call(21, Keywords.of("factor", 3)), 63L);
        Check.equal(scale.interpreter(), interp);
        interp.exec("scale = None"); // the function holds what was found
        Check.equal(scale.call(1.5), 3.0);
        try (PythonThread thread = scale.callInThread("ab")) {
          scale.close(); // the thread has its own
          Check.equal(thread.join(), "abab");
        }
        Check.refusedLike(Status.NOT_FOUND, () -> scale.call(1));
        Check.refusedLike(Status.NOT_FOUND, () -> scale.callInThread(1).join());
      }
      Check.refusedLike(Status.EXECUTION_FAILED, () -> interp.function("scale"));
      Function gone = interp.function("math:sqrt");
      interp.close();
      Check.refusedLike(Status.NOT_FOUND, () -> gone.call(1));
      gone.close();
    }
    System.out.println("functions: looked up once");
  }

  /** What many calls return is what as many single calls do. */
  @SuppressWarnings("try") // as above
  private static void manyCalls() throws Exception {
    try (Interpreter interp = Subpy.create(Options.DEFAULT.busy(Options.Busy.WAIT))) {
      interp.exec(
          """
          def price(amount, rate):
              return round(amount * (1 + rate), 2)

          def pair(a, b=None): return a, b
          def nothing(): pass
          """);
      try (Function price = interp.function("price")) {
        List<Object> prices = price.callMany(List.of(List.of(100, 0.19), List.of(250, 0.07)));
        Check.equal(prices, List.of(119.0, 267.5));

        for (Outcome outcome : price.callManyOutcomes(List.of(List.of(100, 0.19), List.of("free", 0.07)))) {
          switch (outcome) {
            case Outcome.Success(Object value) -> System.out.println(value);
            case Outcome.Failure(SubpyException error) ->
                System.out.println(error.row().getAsInt() + " failed: " + error.getMessage());
          }
        }
      }

      List<Object> values = new ArrayList<>(List.of(true, 1L, -0.0, "Zo\u00eb", "", "x".repeat(1000)));
      values.addAll(Arrays.asList(null, BigInteger.TWO.pow(70), Tuple.of(1L, List.of(2L)), Map.of("k", Map.of(Tuple.of(1L), "x")), List.of()));
      Function pair = interp.function("pair");
      for (int count : new int[] {0, 1, 2, 255, 256, 257, 1000, 20_000}) {
        List<List<Object>> rows = new ArrayList<>();
        List<Object> expected = new ArrayList<>();
        for (long row = 0; row < count; row++) {
          Object value = values.get((int) row % values.size());
          rows.add(Arrays.asList(value, row));
          expected.add(Tuple.of(value, row));
        }
        Check.equal(pair.callMany(rows), expected);
        Check.equal(pair.callManyOutcomes(rows), expected.stream().map(Outcome.Success::new).toList());
        Check.equal(pair.callManyOutcomes(rows).stream().map(Outcome::get).toList(), expected);
      }
      Check.equal(pair.callMany(List.of(List.of("a"))), List.of(Tuple.of("a", null)));
      List<Object> nothing = interp.function("nothing").callMany(Collections.nCopies(3, List.of()));
      Check.equal(nothing, Arrays.asList(null, null, null));
      nothing.add(1); // it is the caller's own
      List<Long> wide = new ArrayList<>();
      for (long i = 0; i < 10_000; i++) {
        wide.add(i);
      }
      List<Object> largest = interp.function("builtins:max").callMany(List.of(wide, wide.reversed()));
      Check.equal(largest, List.of(9999L, 9999L));
      Check.equal(interp.call("builtins:sum", largest), 19_998L);

      // Any thread may, and so may a virtual one and one with a session.
      List<List<Long>> rows = wide.subList(0, 500).stream().map(List::of).toList();
      List<Object> expected = wide.subList(0, 500).stream().map(n -> (Object) Tuple.of(n, null)).toList();
      List<Callable<List<Object>>> calls = Collections.nCopies(50, () -> pair.callMany(rows));
      for (ExecutorService threads :
          List.of(Executors.newVirtualThreadPerTaskExecutor(), Executors.newFixedThreadPool(4))) {
        try (threads) {
          for (Future<List<Object>> future : threads.invokeAll(calls)) {
            Check.equal(future.get(), expected);
          }
        }
      }
      try (Session _ = interp.enter()) {
        Check.equal(pair.callMany(rows), expected);
      }
      interp.close();
      Check.refusedLike(Status.NOT_FOUND, () -> pair.callMany(rows));
    }
    System.out.println("many calls: as many single ones");
  }

  /** The first error ends the calls, or all are among the outcomes. */
  @SuppressWarnings("try") // as above
  private static void errorsOfRows() {
    try (Interpreter interp = Subpy.create()) {
      interp.exec(
          """
          class Own(Exception):
              pass

          calls = 0

          def f(n):
              global calls
              calls += 1
              if n == 7: raise KeyboardInterrupt
              if n == 8: raise SystemExit(3)
              if n % 4 == 1: raise Own(n)
              if n % 4 == 2: return [n, lambda: n]
              if n % 4 == 3: return {float("nan"): 1, float("nan"): 2}
              return [n]
          """);
      Function f = interp.function("f");
      try {
        f.callMany(List.of(List.of(0), List.of(4), List.of(9), List.of(0)));
        throw new AssertionError("9 is wrong");
      } catch (ExecutionFailedException failed) {
        Check.equal(failed.row().getAsInt(), 2);
        Check.equal(failed.getMessage(), "row 2: Own: 9");
        Check.equal(failed.formatted(), "Own: 9");
        Check.equal(failed.exceptionMessage(), "9");
        Check.equal(failed.frames().getLast().function(), "f");
        Check.that(failed.exitStatus().isEmpty());
      }
      Check.equal(interp.eval("calls"), 3L);
      String function = "row 0: result[1]: function cannot be shared";
      Check.refused(Status.NOT_SHAREABLE, function, () -> f.callMany(List.of(List.of(10), List.of(0))));
      String nans = "row 1: result: a dict has different keys that are equal in Java";
      Check.refused(Status.NOT_SHAREABLE, nans, () -> f.callMany(List.of(List.of(0), List.of(11))));
      for (Runnable other : List.<Runnable>of(() -> f.call(9), () -> interp.exec("1 +"), () -> f.call(10))) {
        try {
          other.run();
          throw new AssertionError("it worked");
        } catch (SubpyException e) {
          Check.that(e.row().isEmpty(), e);
        }
      }

      List<List<Long>> rows = new ArrayList<>();
      for (long row = 0; row < 600; row++) {
        rows.add(List.of(row + 12));
      }
      List<Outcome> outcomes = f.callManyOutcomes(rows);
      interp.close(); // they need nothing else
      Check.equal(outcomes.size(), 600);
      for (int row = 0; row < 600; row++) {
        long n = row + 12;
        if (row % 4 == 0) {
          Check.equal(outcomes.get(row), new Outcome.Success(List.of(n)));
          continue;
        }
        SubpyException error = ((Outcome.Failure) outcomes.get(row)).error();
        Check.equal(error.row().getAsInt(), row);
        Check.thrown(error.getClass(), outcomes.get(row)::get);
        if (error instanceof ExecutionFailedException failed) {
          Check.equal(failed.getMessage(), "row " + row + ": Own: " + n);
          Check.equal(failed.type(), new ExecutionFailedException.Type("Own", "Own", "__main__"));
          Check.that(failed.traceback().contains("raise Own(n)"), failed.traceback());
          Check.equal(failed.frames().getLast().line(), 11);
        } else {
          String problem =
              row % 4 == 2
                  ? "result[1]: function cannot be shared"
                  : "result: a dict has different keys that are equal in Java";
          Check.equal(error.getMessage(), "row " + row + ": " + problem);
          Check.equal(error.status(), Status.NOT_SHAREABLE);
        }
        Check.equal(error instanceof ExecutionFailedException, row % 4 == 1);
      }
    }
    try (Interpreter interp = Subpy.create()) {
      interp.exec("def f(n):\n  if n: raise n == 1 and SystemExit(3) or KeyboardInterrupt");
      Function f = interp.function("f");
      // What `except Exception` does not catch ends the calls.
      for (int n = 1; n <= 2; n++) {
        try {
          f.callManyOutcomes(List.of(List.of(0), List.of(n), List.of(0)));
          throw new AssertionError("it went on");
        } catch (ExecutionFailedException failed) {
          Check.equal(failed.row().getAsInt(), 1);
          Check.equal(failed.exitStatus().isPresent(), n == 1);
        }
      }
    }
    System.out.println("errors of rows: with their index");
  }

  /** What Python keeps for a thread lasts as long as the thread stays in the interpreter. */
  @SuppressWarnings("try") // as above
  private static void sessions() throws Exception {
    try (Interpreter interp = Subpy.create(Options.DEFAULT.busy(Options.Busy.WAIT))) {
      interp.exec(
          """
          import threading
          local = threading.local()

          def count():
              local.calls = getattr(local, "calls", 0) + 1
              return local.calls
          """);
      Function count = interp.function("count");
      Check.equal(count.call(), 1L);
      Check.equal(count.call(), 1L);
      AtomicReference<Object> seen = new AtomicReference<>();
      try (Session session = interp.enter()) {
        Check.equal(List.of(count.call(), session.interpreter().call("count")), List.of(1L, 2L));
        try (Session _ = interp.enter()) {
          Check.equal(count.call(), 3L);
        }
        Check.equal(count.call(), 4L);
        Check.refusedLike(Status.BUSY, interp::close);
        Check.refusedLike(Status.BUSY, Subpy::shutdown);
        Check.that(!interp.isRunning());
        // Another thread is not in it, and cannot take it over.
        Thread other = Thread.ofPlatform().start(() -> seen.set(count.call()));
        other.join();
        Check.equal(seen.get(), 1L);
        other =
            Thread.ofPlatform()
                .start(
                    () -> {
                      Check.thrown(WrongThreadException.class, session::close);
                      seen.set("refused");
                    });
        other.join();
        Check.equal(seen.get(), "refused");
        Check.equal(count.call(), 5L);
        session.close();
      } // the second close does nothing
      Check.equal(count.call(), 1L);

      // A thread that ends leaves everything, a moment after join() has returned: the native thread ends last.
      Thread.ofPlatform().start(interp::enter).join();

      AtomicReference<SubpyException> refused = new AtomicReference<>();
      Thread.ofVirtual()
          .start(
              () -> {
                seen.set(count.call());
                try {
                  interp.enter();
                } catch (SubpyException e) {
                  refused.set(e);
                }
              })
          .join();
      Check.equal(seen.get(), 1L);
      Check.equal(refused.get().status(), Status.WRONG_STATE);
      String said = refused.get().getMessage();
      Check.that(said.startsWith("a virtual thread cannot stay in an interpreter"), said);
      closeWhenLeft(interp);
    }
    System.out.println("sessions: a thread keeps what is its own");
  }

  /** A thread that has just ended may be about to leave it. */
  static void closeWhenLeft(Interpreter interp) throws InterruptedException {
    Instant last = Instant.now().plusSeconds(20);
    while (true) {
      try {
        interp.close();
        return;
      } catch (SubpyException e) {
        Check.that(e.status() == Status.BUSY && Instant.now().isBefore(last), e);
        Thread.sleep(1);
      }
    }
  }

  private static void waiting() {
    try (Interpreter interp = Subpy.create(Options.DEFAULT.busy(Options.Busy.SHARE))) {
      interp.exec("import threading; go = threading.Event()\ndef wait():\n  go.wait()\n  return 'gone'");
      try (PythonThread thread = interp.callInThread("wait")) {
        Check.that(!thread.isDone());
        Check.that(!thread.join(Duration.ofMillis(1)));
        Check.that(!thread.join(Duration.ofNanos(1)));
        Check.that(!thread.join(Duration.ofSeconds(Long.MIN_VALUE)));
        interp.exec("go.set()");
        Check.that(thread.join(Duration.ofSeconds(Long.MAX_VALUE))); // longer than a number of milliseconds can say
        Check.that(thread.isDone());
        Check.equal(thread.join(), "gone"); // nothing was taken
        Check.refusedLike(Status.NOT_FOUND, thread::isDone);
      }
    }
    System.out.println("waiting: with a limit");
  }

  private static void values() {
    Map<Object, Object> record = new LinkedHashMap<>();
    record.put("name", "Zo\u00eb \ud83d\udc0d, a\0b");
    record.put("empty", List.of("", new byte[0], Tuple.of(), List.of(), Map.of()));
    record.put("pairs", List.of(Tuple.of(1L, "one"), Tuple.of(2L, "two"), Tuple.of(3L, null)));
    BigInteger two63 = BigInteger.TWO.pow(63);
    record.put("whole", List.of(0L, -1L, Long.MAX_VALUE, Long.MIN_VALUE));
    BigInteger huge = BigInteger.valueOf(-3).pow(99_999);
    record.put("big", List.of(two63, two63.negate().subtract(BigInteger.ONE), two63.shiftLeft(1), huge));
    record.put("real", List.of(0.0, -0.0, 0.1, Double.MIN_VALUE, Double.MAX_VALUE));
    record.put("odd", List.of(Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, Double.NaN));
    record.put("truth", Arrays.asList(true, false, null));
    record.put(Tuple.of("a", Tuple.of(1L, 2.5)), Map.of("key", Arrays.asList((Object) null)));
    byte[] bytes = new byte[256];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) i;
    }
    record.put("bytes", bytes);

    try (Interpreter interp = Subpy.create()) {
      interp.exec(
          """
          from math import inf, isnan

          def check(record):
              assert list(record) == ["name", "empty", "pairs", "whole", "big", "real", "odd", "truth", ("a", (1, 2.5)), "bytes"]
              assert record["name"] == "Zo\\u00eb \\U0001f40d, a\\0b"
              assert record["empty"] == ["", b"", (), [], {}]
              assert record["pairs"] == [(1, "one"), (2, "two"), (3, None)]
              assert record["whole"] == [0, -1, 2**63 - 1, -2**63]
              assert record["big"] == [2**63, -2**63 - 1, 2**64, -3**99_999]
              assert repr(record["real"]) == "[0.0, -0.0, 0.1, 5e-324, 1.7976931348623157e+308]"
              assert record["odd"][:2] == [inf, -inf] and isnan(record["odd"][2])
              assert record["truth"] == [True, False, None]
              assert record[("a", (1, 2.5))] == {"key": [None]}
              assert record["bytes"] == bytes(range(256))
              return record
          """);
      Map<?, ?> back = (Map<?, ?>) interp.call("check", record);
      Check.equal(new ArrayList<>(back.keySet()), new ArrayList<>(record.keySet()));
      Check.equal(back.remove("bytes"), record.remove("bytes"));
      // A byte[] has no equals() of its own.
      Check.equal(((List<?>) back.get("empty")).get(1), new byte[0]);
      back.remove("empty");
      record.remove("empty");
      Check.equal(back, record);

      // Whole numbers and floats of any width go in.
      Check.equal(interp.call("builtins:sum", List.of((byte) 1, (short) 2, 3, 4L, BigInteger.valueOf(5))), 15L);
      Check.equal(interp.call("builtins:repr", 0.5f), "0.5");

      // A double keeps every bit, also those that tell one NaN from another.
      double nan = Double.longBitsToDouble(0x7ff8_0000_00c0_ffeeL);
      double nanBack = (double) ((List<?>) interp.call("builtins:list", List.of(nan))).getFirst();
      Check.equal(Double.doubleToRawLongBits(nanBack), 0x7ff8_0000_00c0_ffeeL);

      // As deep as they may be, in both directions.
      Object deep = new ArrayList<>();
      for (int level = 1; level < 1000; level++) {
        deep = List.of(deep);
      }
      interp.exec("def identity(value): return value");
      Object inner = interp.call("identity", deep);
      int levels = 1;
      for (; !((List<?>) inner).isEmpty(); levels++) {
        inner = ((List<?>) inner).getFirst();
      }
      Check.equal(levels, 1000);
    }
    System.out.println("values: the same on both sides");
  }

  private static void errors() throws Exception {
    Interpreter interp = Subpy.create();
    interp.exec(
        """
        class Odd(ValueError):
            pass

        def check(number):
            if number % 2:
                raise Odd(f"{number} is odd")
        """);
    try {
      interp.call("check", 3);
      throw new AssertionError("3 is odd");
    } catch (ExecutionFailedException failed) {
      Check.equal(failed.status(), Status.EXECUTION_FAILED);
      Check.equal(failed.type(), new ExecutionFailedException.Type("Odd", "Odd", "__main__"));
      Check.equal(failed.exceptionMessage(), "3 is odd");
      Frame frame = failed.frames().getLast();
      Check.equal(frame.file() + ":" + frame.line() + ", in " + frame.function(), "<script>:6, in check");
      System.out.println(failed.traceback());
    }

    try {
      interp.exec("x = 1\ny = = 2");
      throw new AssertionError("it compiles");
    } catch (ExecutionFailedException wrong) {
      Check.equal(wrong.status(), Status.SYNTAX);
      Check.equal(wrong.location(), new ExecutionFailedException.Location(2, 5, "y = = 2\n"));
    }
    // The name of a source stands in tracebacks; lines and columns are those of a file that is there.
    String code = "def f():\n    return [] + {}\n\nf()";
    try {
      interp.exec(Source.of(code).filename("lists.py"));
      throw new AssertionError("it worked");
    } catch (ExecutionFailedException failed) {
      Check.equal(failed.frames().stream().map(Frame::file).toList(), List.of("lists.py", "lists.py"));
      Check.equal(failed.formatted(), "TypeError: can only concatenate list (not \"dict\") to list");
    }
    Path file = Files.writeString(Files.createTempFile("lists", ".py"), code);
    try {
      interp.exec(Source.of(code).filename(file.toString()));
      throw new AssertionError("it worked");
    } catch (ExecutionFailedException failed) {
      Check.equal(
          failed.frames(),
          List.of(
              new Frame(file.toString(), "<module>", 4, 4, 1, 4, "f()"),
              new Frame(file.toString(), "f", 2, 2, 12, 19, "    return [] + {}")));
    } finally {
      Files.delete(file);
    }
    Check.equal(interp.eval(Source.of("1 + 1").filename("sum")), 2L);
    Source indented = Source.of("  x = 1");
    interp.exec(indented);
    Check.refusedLike(Status.SYNTAX, () -> interp.exec(indented.keepIndent(true)));
    Check.refusedLike(Status.INVALID_ARGUMENT, () -> interp.eval(indented.keepIndent(true)));
    Check.thrown(IllegalArgumentException.class, () -> indented.filename("a\0b"));

    try {
      interp.exec("import sys; sys.exit(3)"); // does not end this process
      throw new AssertionError("no exit");
    } catch (ExecutionFailedException failed) {
      Check.equal(failed.exitStatus().getAsInt(), 3);
    }
    try {
      interp.eval("{'when': [1, __import__('datetime').date(2026, 1, 1)]}");
      throw new AssertionError("a date crossed");
    } catch (NotShareableException refused) {
      Check.equal(refused.getMessage(), "result['when'][1]: datetime.date cannot be shared");
    }
    try (PythonThread thread = interp.callInThread("check", 5)) {
      Check.refused(Status.EXECUTION_FAILED, "Odd: 5 is odd", thread::join);
    }

    interp.close();
    try {
      interp.eval("1");
      throw new AssertionError("it is closed");
    } catch (InterpreterNotFoundException gone) {
      System.out.println("after close: " + gone.getMessage());
    }
  }

  /** Two calls that never let go of a GIL, at the same time: that takes two GILs. */
  private static void parallel() throws Exception {
    String source =
        """
        import time

        def add(n):
            start = time.monotonic()
            total = sum(range(n))
            return start, time.monotonic(), total
        """;
    try (Interpreter one = Subpy.create();
        Interpreter other = Subpy.create();
        ExecutorService threads = Executors.newFixedThreadPool(2)) {
      one.exec(source);
      other.exec(source);
      double together = 0;
      // On a busy machine the first may be done before the second is let run.
      for (int round = 0; round < 5 && together <= 0; round++) {
        List<Callable<Tuple>> calls = new ArrayList<>();
        for (Interpreter interp : List.of(one, other)) {
          calls.add(() -> (Tuple) interp.call("add", 20_000_000));
        }
        double lastStart = Double.NEGATIVE_INFINITY;
        double firstEnd = Double.POSITIVE_INFINITY;
        for (Future<Tuple> future : threads.invokeAll(calls)) {
          Tuple times = future.get();
          Check.equal(times.get(2), 199_999_990_000_000L);
          lastStart = Math.max(lastStart, (double) times.get(0));
          firstEnd = Math.min(firstEnd, (double) times.get(1));
        }
        together = firstEnd - lastStart;
      }
      System.out.printf("parallel: both computed at the same time for %.2f s%n", together);
      Check.that(together > 0);
    }
  }

  /** Few interpreters, many virtual threads: those that wait do so in Java, where they cost nothing. */
  private static void poolForVirtualThreads() throws Exception {
    BlockingQueue<Interpreter> idle = new ArrayBlockingQueue<>(4);
    for (int i = 0; i < 4; i++) {
      Interpreter interp = Subpy.create();
      interp.exec("def squares(n): return sum([i * i for i in range(n)])");
      idle.add(interp);
    }

    List<Future<Long>> results = new ArrayList<>();
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      for (long n = 0; n < 2000; n++) {
        long upTo = n;
        results.add(
            threads.submit(
                () -> {
                  Interpreter interp = idle.take();
                  try {
                    return (long) interp.call("squares", upTo);
                  } finally {
                    idle.add(interp);
                  }
                }));
      }
    }
    for (int n = 0; n < results.size(); n++) {
      Check.equal(results.get(n).get(), (n - 1L) * n * (2L * n - 1) / 6);
    }
    idle.forEach(Interpreter::close);
    System.out.println("virtual threads: " + results.size() + " on 4 interpreters");
  }

  private static void extensionModules() throws Exception {
    try (Interpreter interp = Subpy.create()) {
      interp.exec(
          """
          import asyncio, contextlib, ctypes, hashlib, json, sqlite3, ssl, zlib

          async def later(value):
              await asyncio.sleep(0.001)
              return value

          def everything():
              with contextlib.closing(sqlite3.connect(":memory:")) as table:
                  table.execute("create table t (x)")
                  table.executemany("insert into t values (?)", [(1,), (2,), (39,)])
                  (total,) = table.execute("select sum(x) from t").fetchone()
              context = ssl.create_default_context()
              return {
                  "asyncio": asyncio.run(later("done")),
                  "ctypes": ctypes.sizeof(ctypes.c_int64),
                  "hashlib": hashlib.sha256(b"subpy").hexdigest(),
                  "json": json.loads('{"a": [1, 2.5, null]}'),
                  "sqlite3": total,
                  "ssl": context.verify_mode == ssl.CERT_REQUIRED and len(context.get_ciphers()) > 0,
                  "zlib": zlib.decompress(zlib.compress(b"x" * 1000)) == b"x" * 1000,
              }
          """);
      byte[] digest = MessageDigest.getInstance("SHA-256").digest("subpy".getBytes());
      Map<String, Object> expected = new LinkedHashMap<>();
      expected.put("asyncio", "done");
      expected.put("ctypes", 8L);
      expected.put("hashlib", HexFormat.of().formatHex(digest));
      expected.put("json", Map.of("a", Arrays.asList(1L, 2.5, null)));
      expected.put("sqlite3", 42L);
      expected.put("ssl", true);
      expected.put("zlib", true);
      Check.equal(interp.call("everything"), expected);
      System.out.println("extension modules: all there, " + interp.eval("ssl.OPENSSL_VERSION"));
    }
  }
}
