import io.github.subpy.Cancel;
import io.github.subpy.CloseFlag;
import io.github.subpy.DefineOptions;
import io.github.subpy.ExecutionFailedException;
import io.github.subpy.ExecutionInterruptedException;
import io.github.subpy.ExecutionTimeoutException;
import io.github.subpy.Function;
import io.github.subpy.HostCall;
import io.github.subpy.HostFunction;
import io.github.subpy.Interpreter;
import io.github.subpy.InterpreterNotFoundException;
import io.github.subpy.Options;
import io.github.subpy.Output;
import io.github.subpy.PythonException;
import io.github.subpy.PythonThread;
import io.github.subpy.RunOptions;
import io.github.subpy.Session;
import io.github.subpy.Status;
import io.github.subpy.Subpy;
import io.github.subpy.SubpyException;
import io.github.subpy.Tuple;
import java.io.ByteArrayOutputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.StringWriter;
import java.lang.ref.WeakReference;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;

/** Host control: Java functions that Python calls, limits, and where output goes. */
public class Host {
  private static final Duration LONG = Duration.ofMinutes(5);
  private static final Duration SHORT = Duration.ofMillis(50);
  private static final String LOOP = "def loop():\n  while True: pass";

  public static void main(String[] args) throws Exception {
    thePage();
    functions();
    whatPythonSeesOfThem();
    exceptions();
    exceptionsThatCrossTwice();
    nothingEscapes();
    littleStackLeft();
    reentry();
    threads();
    nothingIsKept();
    nothingThrownIsKept();
    timeLimits();
    cancels();
    futures();
    interrupts();
    outputs();
    outputsOfRuns();
    closing();
    races();
    Subpy.shutdownWith(LONG, CloseFlag.INTERRUPT);
    System.out.println("done");
  }

  /** What docs/java.md shows. */
  private static void thePage() throws Exception {
    Map<String, Long> prices = Map.of("tea", 3L);
    try (Interpreter interp = Subpy.create(Options.DEFAULT.timeout(Duration.ofSeconds(10)))) {
      interp.define("shop:price", call -> {
        Long price = prices.get((String) call.arg(0));
        if (price == null) {
          throw new PythonException("KeyError", (String) call.arg(0));
        }
        return price * (long) call.kwargs().getOrDefault("count", 1L);
      });
      Check.equal(interp.eval("__import__('shop').price('tea', count=2)"), 6L);

      RunOptions options = RunOptions.DEFAULT.timeout(Duration.ofMillis(50));
      try {
        interp.exec(options, "while True: pass");
        throw new AssertionError("it ended");
      } catch (ExecutionTimeoutException e) {
        System.out.println(e.traceback()); // where it was
      }

      Future<Object> future = interp.callInThread("time:sleep", 0.01);
      Check.equal(future.get(), null);

      StringBuilder printed = new StringBuilder();
      interp.exec(RunOptions.DEFAULT.output(Output.to(printed::append)), "print('for me')");
      Check.equal(printed.toString(), "for me\n");
    }
  }

  @SuppressWarnings("try") // what is closed twice, on purpose
  private static void functions() {
    try (Interpreter interp = Subpy.create()) {
      interp.define("add", call -> (long) call.arg(0) + (long) call.arg(1));
      Check.equal(interp.eval("add(40, 2)"), 42L);
      interp.define("host:show", call -> List.of(call.args(), call.kwargs()));
      interp.exec("import host");
      Map<String, Object> named = new LinkedHashMap<>();
      named.put("b", null);
      named.put("a", List.of(2L));
      Check.equal(interp.eval("host.show(1, 'x', b=None, a=[2])"), List.of(List.of(1L, "x"), named));
      Check.equal(interp.eval("host.show()"), List.of(List.of(), Map.of()));
      interp.define("nothing", call -> null);
      Check.equal(interp.eval("nothing()"), null);
      interp.define("here", call -> call.interpreter().equals(interp) && !call.isCancelled());
      Check.equal(interp.eval("here()"), true);
      interp.define("add", call -> "another"); // the first one is replaced
      Check.equal(interp.eval("add(1)"), "another");
      Check.equal(failure(interp, "host.show(object())").type().name(), "TypeError");
      Check.equal(failure(interp, "here(1").type().name(), "SyntaxError");
      interp.define("first", call -> call.arg(0));
      Check.equal(failure(interp, "first()").formatted(), "TypeError: missing argument 1, got 0");

      AtomicReference<HostCall> kept = new AtomicReference<>();
      interp.define("keep", call -> {
        kept.set(call);
        return null;
      });
      interp.exec("keep()");
      Check.thrown(InterpreterNotFoundException.class, () -> kept.get().interpreter());
      Check.that(!kept.get().isCancelled());

      Check.thrown(NullPointerException.class, () -> interp.define("f", null));
      Check.thrown(NullPointerException.class, () -> interp.define(null, call -> 1));
      for (String wrong : new String[] {"", "a:", ":b"}) {
        Check.refusedLike(Status.INVALID_ARGUMENT, () -> interp.define(wrong, call -> 1));
      }
      interp.close();
      Check.refusedLike(Status.NOT_FOUND, () -> interp.define("f", call -> 1));
    }
  }

  private static void whatPythonSeesOfThem() {
    try (Interpreter interp = Subpy.create()) {
      interp.define(
          "host:area", DefineOptions.DEFAULT.signature("(width, height=1)").doc("The area."), call -> 6);
      interp.exec("import host, inspect, functools, pickle");
      Check.equal(interp.eval("(host.area.__name__, host.area.__module__)"), Tuple.of("area", "host"));
      Check.equal(interp.eval("str(inspect.signature(host.area))"), "(width, height=1)");
      Check.equal(interp.eval("host.area.__doc__"), "The area.");
      Check.equal(interp.eval("functools.partial(host.area, 2)(3)"), 6L);
      Check.equal(interp.eval("pickle.loads(pickle.dumps(host.area)) is host.area"), true);
      Check.thrown(IllegalArgumentException.class, () -> DefineOptions.DEFAULT.doc("\0"));
      interp.define("quick", DefineOptions.DEFAULT.flag(DefineOptions.Flag.KEEP_GIL), call -> 1);
      Check.equal(interp.eval("quick()"), 1L);
      interp.define("mine", DefineOptions.DEFAULT.flag(DefineOptions.Flag.CALLER_THREAD_ONLY), call -> 1);
      Check.equal(interp.eval("mine()"), 1L);
      try (PythonThread thread = interp.callInThread("mine")) {
        thread.join();
        throw new AssertionError("it was called on another thread");
      } catch (ExecutionFailedException failed) {
        Check.equal(failed.type().name(), "RuntimeError");
      }
    }
  }

  /** What is thrown in Java, and what Python sees. */
  private static void exceptions() {
    Map<Throwable, String> table = new LinkedHashMap<>();
    table.put(new IllegalArgumentException("a"), "ValueError: a");
    table.put(new NumberFormatException("a"), "ValueError: a");
    table.put(new IndexOutOfBoundsException("a"), "IndexError: a");
    table.put(new NoSuchElementException("a"), "LookupError: a");
    table.put(new ArithmeticException("a"), "ArithmeticError: a");
    table.put(new ClassCastException("a"), "TypeError: a");
    table.put(new UnsupportedOperationException("a"), "NotImplementedError: a");
    table.put(new FileNotFoundException("a"), "FileNotFoundError: a");
    table.put(new IOException("a"), "OSError: a");
    table.put(new TimeoutException("a"), "TimeoutError: a");
    table.put(new OutOfMemoryError("a"), "MemoryError: a");
    table.put(new StackOverflowError("a"), "RecursionError: a");
    table.put(new IllegalStateException("ä\0ö"), "RuntimeError: ä\0ö");
    table.put(new AssertionError("a\ud800"), "RuntimeError: a?");
    table.put(new Exception(), "RuntimeError: java.lang.Exception");
    table.put(new PythonException("KeyError", "k"), "KeyError: 'k'");
    table.put(new PythonException("decimal:InvalidOperation", "k"), "decimal.InvalidOperation: k");
    try (Interpreter interp = Subpy.create()) {
      table.forEach(
          (thrown, formatted) -> {
            interp.define("fail", call -> sneakily(thrown));
            ExecutionFailedException failed = failure(interp, "fail()");
            Check.equal(failed.formatted().strip(), formatted);
            Check.that(failed.getCause() == thrown, "the cause is", failed.getCause());
            // The stack of Java, down to the host function.
            Check.that(failed.traceback().contains("Java stack:\n"), failed.traceback());
            Check.that(failed.traceback().contains("at Host."), failed.traceback());
            Check.that(!failed.traceback().contains("Upcalls"), failed.traceback());
          });
      interp.define("fail", call -> Instant.EPOCH);
      Check.equal(failure(interp, "fail()").formatted(), "TypeError: result: java.time.Instant cannot be shared");
      interp.define("fail", call -> List.of(Map.of("a", new Object())));
      String way = "TypeError: result[0]['a']: java.lang.Object cannot be shared";
      Check.equal(failure(interp, "fail()").formatted(), way);
      // A type that is none is an error that says so, and not the end.
      for (String none : new String[] {"NoSuchError", "no_such_module:Error", "builtins:int", "", "a b"}) {
        interp.define("fail", call -> {
          throw new PythonException(none, "m");
        });
        Check.that(failure(interp, "fail()").type() != null);
      }
    }
  }

  private static Object sneakily(Throwable thrown) throws Exception {
    if (thrown instanceof Error error) {
      throw error;
    }
    throw (Exception) thrown;
  }

  /** Java, Python, Java, Python, Java. */
  private static void exceptionsThatCrossTwice() {
    try (Interpreter interp = Subpy.create();
        Interpreter other = Subpy.create()) {
      IllegalStateException original = new IllegalStateException("first");
      other.define("inner", call -> {
        throw original;
      });
      interp.define("outer", call -> other.eval("inner()"));
      ExecutionFailedException failed = failure(interp, "outer()");
      Check.equal(failed.formatted(), "RuntimeError: first");
      Check.that(failed.getCause() instanceof ExecutionFailedException, failed.getCause());
      Check.that(failed.getCause().getCause() == original);

      // What Python raises while it handles another one has another cause.
      Exception second = new Exception("second");
      interp.define("again", call -> {
        throw second;
      });
      interp.exec("def f():\n  try:\n    outer()\n  except RuntimeError:\n    again()");
      Check.that(failure(interp, "f()").getCause() == second);
      Check.equal(failure(interp, "try:\n  outer()\nexcept RuntimeError:\n  1 / 0").getCause(), null);
      // The type of a class that is in no module is a RuntimeError outside.
      other.exec("class Own(Exception): pass\ndef own(): raise Own('o')");
      interp.define("outer", call -> other.call("own"));
      Check.that(failure(interp, "outer()").getCause() instanceof ExecutionFailedException);
      // A time limit inside is no interrupt outside.
      other.exec(LOOP);
      interp.define("outer", call -> other.call(RunOptions.DEFAULT.timeout(SHORT), "loop"));
      ExecutionFailedException timeout = failure(interp, "outer()");
      Check.equal(timeout.type().name(), "TimeoutError");
      Check.that(timeout.getCause() instanceof ExecutionTimeoutException);
      // Through a thread of the library.
      interp.define("outer", call -> {
        throw original;
      });
      try (PythonThread thread = interp.callInThread("outer")) {
        thread.join();
        throw new AssertionError("it did not fail");
      } catch (ExecutionFailedException e) {
        Check.that(e.getCause() == original);
      }
    }
  }

  /** A Throwable that left a function would end the JVM. */
  private static void nothingEscapes() {
    try (Interpreter interp = Subpy.create()) {
      interp.define("deep", call -> deep());
      Check.equal(failure(interp, "deep()").type().name(), "RecursionError");
      interp.define("f", call -> {
        throw new Error() {
          private static final long serialVersionUID = 1;

          @Override
          public String getMessage() {
            throw new IllegalStateException("no message");
          }
        };
      });
      // What cannot even be described goes to the handler of the thread.
      AtomicReference<Throwable> seen = new AtomicReference<>();
      Thread.currentThread().setUncaughtExceptionHandler((thread, t) -> seen.set(t));
      interp.exec("f()");
      Thread.currentThread().setUncaughtExceptionHandler(null);
      Check.equal(seen.get().getMessage(), "no message");
    }
  }

  private static long deep() {
    return deep() + 1;
  }

  /** A function that is called where Python's stack ends. */
  private static void littleStackLeft() throws Exception {
    try (Interpreter interp = Subpy.create()) {
      interp.define("host:touch", call -> Thread.currentThread().getName());
      interp.exec(
          """
          import host, sys
          sys.setrecursionlimit(1_000_000_000)
          class Nested:
              def __repr__(self):
                  host.touch()
                  return repr([self])  # through C, so that it takes stack
          """);
      for (long kib : new long[] {0, 256, 1024, 16 * 1024}) {
        joined(
            Thread.ofPlatform().stackSize(kib * 1024),
            () -> Check.equal(failure(interp, "repr(Nested())").type().name(), "RecursionError"));
      }
      interp.exec("import threading\ndef run():\n  try: repr(Nested())\n  except RecursionError: seen.append(1)");
      interp.exec("seen = []\nt = threading.Thread(target=run)\nt.start()\nt.join()");
      Check.equal(interp.eval("seen"), List.of(1L));
    }
  }

  @SuppressWarnings("try") // as above
  private static void reentry() throws Exception {
    try (Interpreter interp = Subpy.create();
        Interpreter other = Subpy.create()) {
      interp.define("again", call -> interp.eval((String) call.arg(0)));
      Check.equal(interp.eval("again('20 + 1') * 2"), 42L);
      interp.define("down", call -> {
        long level = (long) call.arg(0);
        return level == 0 ? 0L : (long) (level % 2 == 0 ? interp : other).call("down", level - 1) + 1;
      });
      other.define("down", call -> interp.call("down", call.arg(0)));
      // A library that is built for debugging needs more than the 1 MiB that threads have.
      joined(Thread.ofPlatform().stackSize(16 << 20), () -> Check.equal(interp.call("down", 50), 50L));
      Check.equal(interp.call("down", 10), 10L);
      // On the same thread state: what Python keeps for a thread is there inside.
      interp.exec("import threading\nlocal = threading.local()\nlocal.x = 1\ndef f():\n  local.x = 5\n  return again('local.x')");
      Check.equal(interp.call("f"), 5L);
      try (Session _ = interp.enter()) {
        Check.equal(interp.call("f"), 5L);
      }
      try (Function function = interp.function("f")) {
        interp.define("again", call -> function.interpreter().eval((String) call.arg(0)));
        Check.equal(function.call(), 5L);
      }
      // It cannot close what it is in.
      interp.define("close", call -> {
        interp.close();
        return null;
      });
      ExecutionFailedException failed = failure(interp, "close()");
      Check.equal(failed.getCause().getMessage(), "cannot destroy the current interpreter");
    }
  }

  private static void threads() throws Exception {
    try (Interpreter interp = Subpy.create(Options.DEFAULT.busy(Options.Busy.WAIT))) {
      interp.define("name", call -> Thread.currentThread().toString());
      interp.define("again", call -> interp.eval((String) call.arg(0)));
      interp.exec(
          """
          import threading
          def inThreads(count):
              names = []
              def target():
                  names.append(name())
                  assert again('1 + 1') == 2
              threads = [threading.Thread(target=target) for _ in range(count)]
              for t in threads: t.start()
              for t in threads: t.join()
              return names
          """);
      // The JVM attaches threads that Python started, and forgets them when they end.
      for (int round = 0; round < 20; round++) {
        Check.equal(((List<?>) interp.call("inThreads", 5)).size(), 5);
      }
      Check.equal(interp.eval("name()"), Thread.currentThread().toString());
      try (PythonThread thread = interp.callInThread("inThreads", 3)) {
        Check.equal(((List<?>) thread.join()).size(), 3);
      }
      AtomicReference<Object> virtual = new AtomicReference<>();
      Thread.ofVirtual().name("v").start(() -> virtual.set(interp.eval("name()"))).join();
      Check.that(((String) virtual.get()).startsWith("VirtualThread["), virtual.get());
    }
  }

  /** A definition goes when it is replaced, and with its interpreter. */
  private static void nothingIsKept() throws Exception {
    List<WeakReference<Object>> gone = new ArrayList<>();
    try (Interpreter interp = Subpy.create()) {
      for (int round = 0; round < 2000; round++) {
        Object held = new Object();
        gone.add(new WeakReference<>(held));
        interp.define("f", call -> held.hashCode());
        if (round % 100 == 0) {
          interp.exec("f()");
        }
      }
      gone.add(outputThatIsReplaced(interp));
    }
    for (int round = 0; round < 20; round++) {
      try (Interpreter interp = Subpy.create()) {
        Object held = new Object();
        gone.add(new WeakReference<>(held));
        interp.define("host:f", call -> held.hashCode());
        interp.exec("import host; host.f()");
        Output output = (stream, text) -> held.hashCode();
        interp.setOutput(output);
        interp.eval(RunOptions.DEFAULT.output((stream, text) -> held.hashCode()), "print(1)");
      }
    }
    Object failed = new Object();
    gone.add(new WeakReference<>(failed));
    HostFunction function = call -> failed.hashCode();
    Check.refusedLike(Status.NOT_FOUND, () -> Interpreter.ofHandle(3).define("f", function));
    allGone(gone.subList(0, gone.size() - 1));
  }

  private static WeakReference<Object> outputThatIsReplaced(Interpreter interp) {
    Object held = new Object();
    interp.setOutput((stream, text) -> held.hashCode());
    interp.exec("print(1)");
    interp.setOutput(null);
    return new WeakReference<>(held);
  }

  /** What Python caught is not kept, however often. */
  private static void nothingThrownIsKept() throws Exception {
    List<WeakReference<Object>> gone = new ArrayList<>();
    try (Interpreter interp = Subpy.create()) {
      interp.define("fail", call -> {
        Exception thrown = new Exception("x");
        gone.add(new WeakReference<>(thrown));
        throw thrown;
      });
      interp.exec("for _ in range(1000):\n  try: fail()\n  except RuntimeError: pass");
      failure(interp, "fail()");
      interp.exec("try: fail()\nexcept RuntimeError as e: kept = e");
    }
    allGone(gone);
  }

  private static void allGone(List<WeakReference<Object>> references) throws Exception {
    Check.that(!references.isEmpty());
    while (references.stream().anyMatch(reference -> reference.get() != null)) {
      System.gc();
      Thread.sleep(1);
    }
  }

  private static void timeLimits() {
    RunOptions within = RunOptions.DEFAULT.timeout(LONG);
    RunOptions limit = RunOptions.DEFAULT.timeout(SHORT);
    try (Interpreter interp = Subpy.create()) {
      interp.exec(LOOP);
      Check.equal(interp.eval(within, "6 * 7"), 42L);
      Check.equal(interp.call(within, "builtins:abs", -1), 1L);
      interp.exec(within, "x = 1");
      List<Runnable> endless =
          List.of(
              () -> interp.exec(limit, "while True: pass"),
              () -> interp.eval(limit, "sum(1 for _ in iter(int, 1))"),
              () -> interp.call(limit, "loop"),
              () -> interp.function("loop").call(limit),
              () -> interp.callInThread(limit, "loop").join(),
              () -> interp.function("loop").callInThread(limit).join());
      for (Runnable action : endless) {
        try {
          action.run();
          throw new AssertionError("it ended");
        } catch (ExecutionTimeoutException e) {
          Check.equal(e.status(), Status.TIMEOUT);
          Check.equal(e.type().name(), "KeyboardInterrupt");
          Check.that(e.traceback().contains("line "), e.traceback());
          Check.that(!e.frames().isEmpty());
        }
      }
      Check.thrown(IllegalArgumentException.class, () -> RunOptions.DEFAULT.timeout(Duration.ZERO));
      Check.thrown(IllegalArgumentException.class, () -> Options.DEFAULT.timeout(Duration.ofMillis(-1)));
      Check.equal(interp.eval("1 + 1"), 2L);
      // A function that never ends looks whether it is to stop.
      interp.define("wait", call -> {
        while (!call.isCancelled()) {
          Thread.onSpinWait();
        }
        return 1;
      });
      Check.thrown(ExecutionTimeoutException.class, () -> interp.exec(limit, "wait()\nwhile True: pass"));
    }
    try (Interpreter interp = Subpy.create(Options.DEFAULT.timeout(SHORT).flag(Options.Flag.NO_STDIN))) {
      interp.exec(LOOP);
      Check.thrown(ExecutionTimeoutException.class, () -> interp.call("loop"));
      Check.thrown(ExecutionTimeoutException.class, () -> interp.exec("loop()"));
      Check.thrown(ExecutionTimeoutException.class, () -> interp.eval("loop()"));
      Check.thrown(ExecutionTimeoutException.class, () -> interp.function("loop").call());
      Check.thrown(ExecutionTimeoutException.class, () -> interp.function("loop").callMany(List.of(List.of())));
      Check.thrown(ExecutionTimeoutException.class, () -> interp.callInThread("loop").join());
      Check.equal(interp.eval(within, "sum(range(10))"), 45L);
      Check.equal(failure(interp, "input()").type().name(), "EOFError");
    }
  }

  private static void cancels() throws Exception {
    try (Interpreter interp = Subpy.create(Options.DEFAULT.busy(Options.Busy.WAIT));
        Cancel cancel = new Cancel()) {
      interp.define("fire", call -> {
        cancel.fire();
        return null;
      });
      Check.that(!cancel.isFired());
      Check.thrown(
          ExecutionInterruptedException.class,
          () -> interp.exec(RunOptions.DEFAULT.cancel(cancel), "fire()\nwhile True: pass"));
      Check.that(cancel.isFired());
      // Later ones do not start, others are left alone.
      Check.thrown(
          ExecutionInterruptedException.class, () -> interp.exec(RunOptions.DEFAULT.cancel(cancel), "x = 1"));
      Check.equal(interp.eval("'x' in globals()"), false);

      Cancel both = new Cancel();
      RunOptions options = RunOptions.DEFAULT.cancel(both);
      interp.exec(LOOP);
      AtomicInteger ended = new AtomicInteger();
      List<Thread> threads = new ArrayList<>();
      CountDownLatch started = new CountDownLatch(4);
      for (int i = 0; i < 4; i++) { // one runs, the others wait for their turn
        threads.add(
            Thread.ofPlatform()
                .start(
                    () -> {
                      started.countDown();
                      try {
                        interp.call(options, "loop");
                      } catch (ExecutionInterruptedException e) {
                        ended.incrementAndGet();
                      }
                    }));
      }
      started.await();
      while (!interp.isRunning()) {
        Thread.sleep(1);
      }
      both.fire();
      both.fire();
      for (Thread thread : threads) {
        thread.join();
      }
      Check.equal(ended.get(), 4);
      both.close();
      both.close();
      both.fire();

      PythonThread thread = interp.callInThread("loop");
      while (!interp.isRunning()) {
        Thread.sleep(1);
      }
      // Until it is in Python: an interrupt is for what runs at that moment.
      while (!thread.isDone()) {
        interp.interrupt();
      }
      Check.thrown(ExecutionInterruptedException.class, thread::join);
    }
  }

  private static void futures() throws Exception {
    try (Interpreter interp = Subpy.create(Options.DEFAULT.busy(Options.Busy.SHARE))) {
      interp.exec(LOOP);
      Future<Object> square = interp.callInThread("builtins:pow", 7, 2);
      Check.equal(square.get(), 49L);
      Check.equal(square.get(1, TimeUnit.MINUTES), 49L);
      Check.that(square.isDone() && !square.isCancelled() && !square.cancel(true));
      Check.equal(square.resultNow(), 49L);

      Future<Object> loop = interp.callInThread("loop");
      Check.that(!loop.isDone() && !loop.cancel(false) && !loop.isCancelled());
      try {
        loop.get(1, TimeUnit.MILLISECONDS);
        throw new AssertionError("it ended");
      } catch (TimeoutException e) {
        Check.that(!loop.isDone());
      }
      Check.that(loop.cancel(true));
      try {
        loop.get();
        throw new AssertionError("it was not cancelled");
      } catch (CancellationException e) {
        Check.equal(((SubpyException) e.getCause()).status(), Status.INTERRUPTED);
      }
      Check.that(loop.isDone() && loop.isCancelled());
      Check.equal(interp.isRunning(), false); // nothing is left behind

      Future<Object> failed = interp.callInThread("builtins:int", "x");
      try {
        failed.get();
        throw new AssertionError("it did not fail");
      } catch (ExecutionException e) {
        Check.equal(((ExecutionFailedException) e.getCause()).type().name(), "ValueError");
      }

      // Of a run that has a cancel of its own.
      Cancel cancel = new Cancel();
      Future<Object> two = interp.callInThread(RunOptions.DEFAULT.cancel(cancel), "loop");
      PythonThread three = interp.callInThread(RunOptions.DEFAULT.cancel(cancel), "loop");
      Check.that(two.cancel(true));
      Check.thrown(CancellationException.class, () -> got(two));
      Check.that(!three.isDone() && !cancel.isFired());
      cancel.fire();
      Check.thrown(ExecutionInterruptedException.class, three::join);

      // An interrupt of a thread that waits for a future is the thread's.
      Future<Object> waited = interp.callInThread("loop");
      Thread.currentThread().interrupt();
      try {
        waited.get();
        throw new AssertionError("it was not interrupted");
      } catch (InterruptedException e) {
        Check.that(!Thread.currentThread().isInterrupted() && !waited.isDone());
      }
      waited.cancel(true);
      Check.thrown(CancellationException.class, () -> got(waited));

      // Blocked in C: left behind at the limit, and the interpreter is running until it ends.
      PythonThread sleeping =
          interp.callInThread(RunOptions.DEFAULT.timeout(SHORT).abandon(true), "time:sleep", 2);
      Check.thrown(ExecutionTimeoutException.class, sleeping::join);
      while (interp.isRunning()) {
        Thread.sleep(1);
      }
    }
  }

  private static Object got(Future<Object> future) {
    try {
      return future.get();
    } catch (InterruptedException | ExecutionException e) {
      throw new AssertionError(e);
    }
  }

  /** Thread.interrupt() of a thread that is blocked in a run, when it was asked for. */
  private static void interrupts() throws Exception {
    RunOptions options = RunOptions.DEFAULT.interruptible(true);
    try (Interpreter interp = Subpy.create()) {
      interp.exec(LOOP);
      Check.equal(interp.eval(options, "6 * 7"), 42L);
      for (Thread.Builder kind : List.of(Thread.ofPlatform(), Thread.ofVirtual())) {
        AtomicReference<Object> outcome = new AtomicReference<>();
        Thread thread =
            kind.start(
                () -> {
                  try {
                    interp.call(options, "loop");
                  } catch (ExecutionInterruptedException e) {
                    outcome.set(Thread.currentThread().isInterrupted());
                  }
                });
        while (!interp.isRunning()) {
          Thread.sleep(1);
        }
        thread.interrupt();
        thread.join();
        Check.equal(outcome.get(), true);
      }
      // Of a thread that was interrupted before, nothing starts.
      Thread.currentThread().interrupt();
      Check.thrown(ExecutionInterruptedException.class, () -> interp.exec(options, "x = 1"));
      Check.that(Thread.interrupted());
      Check.equal(interp.eval("'x' in globals()"), false);
      Cancel cancel = new Cancel();
      cancel.fire();
      Check.thrown(ExecutionInterruptedException.class, () -> interp.exec(options.cancel(cancel), "x = 1"));
      Check.equal(interp.eval(options, "1"), 1L);

      // What executors do.
      try (ExecutorService threads = Executors.newSingleThreadExecutor()) {
        CountDownLatch ended = new CountDownLatch(1);
        Future<?> future =
            threads.submit(
                () -> {
                  try {
                    interp.call(options, "loop");
                  } finally {
                    ended.countDown();
                  }
                });
        while (!interp.isRunning()) {
          Thread.sleep(1);
        }
        Check.that(future.cancel(true));
        ended.await();
      }
    }
  }

  private static void outputs() throws Exception {
    try (Interpreter interp = Subpy.create()) {
      StringBuilder out = new StringBuilder();
      StringWriter err = new StringWriter();
      interp.setOutput(Output.to(out, err));
      interp.exec("import sys\nprint('one')\nprint('two', 'é')\nprint('bad', file=sys.stderr)");
      Check.equal(out.toString(), "one\ntwo é\n");
      Check.equal(err.toString(), "bad\n");

      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      interp.setOutput(Output.to(bytes, bytes));
      interp.exec("print('é')\nprint('x', file=sys.stderr)");
      Check.equal(bytes.toString(StandardCharsets.UTF_8).length(), 4);

      List<String> pieces = new ArrayList<>();
      interp.setOutput(Output.to(pieces::add));
      interp.exec("for n in range(20000): print(n)");
      Check.equal(String.join("", pieces).length(), 108890);

      // What fails breaks nothing, and is told once.
      AtomicInteger told = new AtomicInteger();
      Thread.currentThread().setUncaughtExceptionHandler((thread, t) -> told.incrementAndGet());
      interp.setOutput((stream, text) -> {
        throw new IOException("no room");
      });
      interp.exec("print(1)");
      interp.exec("print(2)");
      Thread.currentThread().setUncaughtExceptionHandler(null);
      Check.equal(told.get(), 1);

      // It is the interpreter's, and may run code itself.
      try (Interpreter other = Subpy.create()) {
        other.setOutput((stream, text) -> out.append(stream).append(' ').append(text));
        out.setLength(0);
        interp.setOutput((stream, text) -> out.append(other.eval("1 + 1")));
        interp.exec("print(1, end='')");
        Check.equal(out.toString(), "2");
        out.setLength(0);
        other.exec("import sys\nprint('x', end='', file=sys.stderr)");
        Check.equal(out.toString(), "STDERR x");
        // At the end, too.
        out.setLength(0);
        other.exec("import atexit\natexit.register(print, 'bye')");
      }
      Check.equal(out.toString(), "STDOUT bye\n");
      interp.setOutput(null);
    }
    try (Interpreter interp = Subpy.create(Options.DEFAULT.flag(Options.Flag.UNBUFFERED))) {
      List<String> pieces = new ArrayList<>();
      AtomicInteger seen = new AtomicInteger();
      interp.setOutput(Output.to(pieces::add));
      interp.define("look", call -> {
        seen.set(pieces.size());
        return null;
      });
      interp.exec("print('a')\nlook()");
      Check.that(seen.get() > 0);
    }
  }

  private static void outputsOfRuns() throws Exception {
    try (Interpreter interp = Subpy.create(Options.DEFAULT.busy(Options.Busy.SHARE))) {
      StringBuilder all = new StringBuilder();
      interp.setOutput(Output.to(all::append));
      interp.exec("def show(n):\n  for _ in range(100): print(n)");
      List<StringBuilder> outputs = new ArrayList<>();
      List<PythonThread> threads = new ArrayList<>();
      for (int n = 0; n < 8; n++) {
        StringBuilder output = new StringBuilder();
        outputs.add(output);
        RunOptions options = RunOptions.DEFAULT.output(Output.to(output, output));
        if (n % 2 == 0) {
          threads.add(interp.callInThread(options, "show", n));
        } else {
          interp.call(options, "show", n);
        }
      }
      threads.forEach(PythonThread::join);
      for (int n = 0; n < 8; n++) {
        Check.equal(outputs.get(n).toString(), (n + "\n").repeat(100));
      }
      Check.equal(all.toString(), "");
      // Whose thread was forgotten: what it prints is lost.
      interp.exec("done = []\ndef late():\n  print(1)\n  done.append(1)");
      interp.callInThread(RunOptions.DEFAULT.output((stream, text) -> {}), "late").close();
      while ((long) interp.eval("len(done)") == 0 || interp.isRunning()) {
        Thread.sleep(1);
      }
    }
  }

  private static void closing() throws Exception {
    Interpreter interp = Subpy.create();
    interp.exec(LOOP);
    PythonThread thread = interp.callInThread("loop");
    while (!interp.isRunning()) {
      Thread.sleep(1);
    }
    Check.refusedLike(Status.BUSY, () -> interp.closeWith(Duration.ZERO));
    Check.refusedLike(Status.BUSY, () -> interp.closeWith(SHORT));
    Check.refusedLike(Status.BUSY, () -> Subpy.shutdownWith(SHORT));
    Check.that(interp.isRunning()); // it is as it was
    interp.closeWith(LONG, CloseFlag.INTERRUPT);
    Check.thrown(ExecutionInterruptedException.class, thread::join);
    interp.closeWith(null);
    interp.close();

    Interpreter drained = Subpy.create();
    PythonThread sleeping = drained.callInThread("time:sleep", 0.2);
    while (!drained.isRunning()) {
      Thread.sleep(1);
    }
    drained.closeWith(null, CloseFlag.DRAIN);
    Check.equal(sleeping.join(), null);
  }

  /** Everything that can meet, from several threads at once. */
  private static void races() throws Exception {
    for (int round = 0; round < 10; round++) {
      Interpreter interp = Subpy.create(Options.DEFAULT.busy(Options.Busy.WAIT));
      AtomicBoolean stop = new AtomicBoolean();
      AtomicReference<Throwable> wrong = new AtomicReference<>();
      interp.define("host:f", call -> 0);
      interp.exec("import host");
      List<Runnable> actions =
          List.of(
              () -> interp.define("host:f", call -> call.args().size()),
              () -> interp.eval("host.f(1, 2)"),
              () -> interp.exec("try: host.f(*range(3))\nexcept RuntimeError: pass"),
              () -> interp.define("host:f", call -> {
                throw new Exception("x");
              }),
              () -> {
                try (PythonThread thread = interp.callInThread("host:f", 1)) {
                  thread.cancel(true);
                  thread.join();
                }
              },
              () -> {
                try (Cancel cancel = new Cancel()) {
                  Thread firing = Thread.ofVirtual().start(cancel::fire);
                  interp.eval(RunOptions.DEFAULT.cancel(cancel).output((stream, text) -> {}), "print(host.f())");
                  firing.interrupt();
                }
              },
              () -> interp.setOutput(Output.to(text -> {})));
      List<Thread> threads = new ArrayList<>();
      for (Runnable action : actions) {
        threads.add(
            Thread.ofPlatform()
                .start(
                    () -> {
                      while (!stop.get()) {
                        try {
                          action.run();
                        } catch (ExecutionFailedException expected) {
                          // What f throws, and what was cancelled.
                        } catch (SubpyException e) {
                          if (e.status() != Status.NOT_FOUND && e.status() != Status.BUSY) {
                            wrong.set(e);
                          }
                        } catch (Throwable t) {
                          wrong.set(t);
                        }
                      }
                    }));
      }
      for (int calls = 0; calls < 50; calls++) {
        try {
          interp.eval(RunOptions.DEFAULT.timeout(LONG), "host.f()");
        } catch (ExecutionFailedException e) {
          Check.equal(e.type().name(), "RuntimeError");
        }
      }
      interp.closeWith(LONG, CloseFlag.INTERRUPT);
      stop.set(true);
      for (Thread thread : threads) {
        thread.join();
      }
      if (wrong.get() != null) {
        throw new AssertionError(wrong.get());
      }
    }
  }

  private static void joined(Thread.Builder kind, Runnable action) throws Exception {
    AtomicReference<Throwable> failure = new AtomicReference<>();
    Thread thread = kind.unstarted(action);
    thread.setUncaughtExceptionHandler((which, t) -> failure.set(t));
    thread.start();
    thread.join();
    if (failure.get() != null) {
      throw new AssertionError(failure.get());
    }
  }

  private static ExecutionFailedException failure(Interpreter interp, String code) {
    try {
      interp.exec(code);
    } catch (ExecutionFailedException failed) {
      return failed;
    }
    throw new AssertionError("it did not fail: " + code);
  }
}
