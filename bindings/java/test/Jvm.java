import io.github.subpy.ExecutionFailedException;
import io.github.subpy.Interpreter;
import io.github.subpy.Options;
import io.github.subpy.PythonThread;
import io.github.subpy.Status;
import io.github.subpy.Subpy;
import io.github.subpy.SubpyException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;

/** Python and the JVM in one process: signals, stacks, threads, and the end. {@code Jvm exit} ends in the middle. */
public class Jvm {
  public static void main(String[] args) throws Exception {
    if (args.length > 0) {
      exitWhilePythonRuns();
    }
    List<String> signals = signals();
    touchSignals();
    Check.equal(signals(), signals);
    deepRecursion();
    littleStackLeft();
    deepKeys();
    interruptsStayJava();
    waitingVirtualThreads();
    threadsNobodyJoins();
    functionsNobodyCloses();
    Check.equal(signals(), signals);
    catchNull();
    Subpy.shutdown();
    Check.equal(signals(), signals);
    System.out.println("done");
  }

  /** Which signals the process catches and ignores. */
  private static List<String> signals() throws Exception {
    List<String> lines = Files.readAllLines(Path.of("/proc/self/status"));
    List<String> masks = lines.stream().filter(line -> line.startsWith("SigCgt") || line.startsWith("SigIgn")).toList();
    Check.equal(masks.size(), 2);
    return masks;
  }

  /** Python code that has to do with signals, in an interpreter and in main. */
  private static void touchSignals() {
    String code =
        """
        import asyncio, signal, subprocess, sys
        asyncio.run(asyncio.sleep(0))
        assert signal.getsignal(signal.SIGSEGV) != signal.default_int_handler
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        except ValueError:
            pass  # not in the main thread of the main interpreter
        else:
            raise AssertionError("a signal handler was set")
        subprocess.run([sys.executable, "-c", "raise SystemExit(0)"], check=True)
        """;
    try (Interpreter interp = Subpy.create()) {
      interp.exec(code);
      // It would take SIGSEGV from the JVM, and refuses to be loaded here.
      Check.equal(failure(interp, "import faulthandler").type().name(), "ImportError");
    }
    Subpy.getMain().exec(code);
  }

  private static final String RECURSION =
      """
      import sys
      sys.setrecursionlimit(1_000_000_000)

      def python():
          python()

      class Nested:
          def __repr__(self):
              return repr([self])  # through C, so that it takes stack

      def c():
          repr(Nested())

      def parse():
          compile("(" * 100_000, "", "eval")
      """;

  /** The stack of a Java thread ends with an exception of Python, and the thread goes on. */
  private static void deepRecursion() throws Exception {
    try (Interpreter interp = Subpy.create()) {
      interp.exec(RECURSION);
      Runnable recursion =
          () -> {
            for (int round = 0; round < 3; round++) {
              Check.equal(failure(interp, "c()").type().name(), "RecursionError");
              failure(interp, "parse()");
              Check.equal(failure(interp, "sys.setrecursionlimit(500); python()").type().name(), "RecursionError");
              interp.exec("sys.setrecursionlimit(1_000_000_000)");
            }
            Check.equal(interp.eval("1 + 1"), 2L);
            // The JVM's own guard at the end of this stack works as before.
            Check.thrown(StackOverflowError.class, Jvm::overflow);
            Check.equal(interp.eval("1 + 1"), 2L);
          };
      recursion.run();
      for (long kib : new long[] {0, 256, 512, 64 * 1024}) {
        joined(Thread.ofPlatform().stackSize(kib * 1024).unstarted(recursion));
      }
      joined(Thread.ofVirtual().unstarted(recursion));
    }
  }

  private static int overflow() {
    return overflow() + 1;
  }

  /** Calls from deeper and deeper in Java: an exception of Python, the library or Java, but never the end of the process. */
  private static void littleStackLeft() throws Exception {
    try (Interpreter interp = Subpy.create()) {
      interp.exec(RECURSION);
      AtomicInteger calls = new AtomicInteger();
      joined(
          Thread.ofPlatform()
              .unstarted(
                  () -> {
                    Check.thrown(StackOverflowError.class, () -> deeper(interp, calls));
                    Check.equal(interp.eval("1 + 1"), 2L);
                  }));
      Check.that(calls.get() > 0);
    }
  }

  private static int deeper(Interpreter interp, AtomicInteger calls) {
    if (calls.incrementAndGet() % 50 == 0) {
      try {
        Check.equal(failure(interp, "c()").type().name(), "RecursionError");
      } catch (SubpyException e) {
        Check.equal(e.status(), Status.WRONG_STATE); // too little is left for Python
      }
    }
    return deeper(interp, calls) + 1;
  }

  /** Java's maps hash their keys by recursion: on a small stack an exception says so, and the thread goes on. */
  private static void deepKeys() throws Exception {
    try (Interpreter interp = Subpy.create()) {
      interp.exec("key = value = None\nfor _ in range(998): key, value = (key,), [value]");
      Runnable deep =
          () -> {
            // With less and less stack left, until it is too little for the hash code, which is what takes most.
            AtomicReference<SubpyException> refused = new AtomicReference<>();
            for (int frames = 0; refused.get() == null; frames += 50) {
              below(
                  frames,
                  () -> {
                    try {
                      interp.eval("{key: 1}");
                    } catch (SubpyException e) {
                      refused.set(e);
                      // What is no key needs no stack, in neither direction.
                      Check.equal(interp.call("builtins:len", interp.eval("[value, {1: value}]")), 2L);
                    }
                  });
            }
            Check.equal(refused.get().status(), Status.NOT_SHAREABLE);
            String message = "result: a key of a dict is nested too deeply for the stack of this thread";
            Check.equal(refused.get().getMessage(), message);
            Check.equal(interp.eval("1 + 1"), 2L);
          };
      joined(Thread.ofPlatform().stackSize(256 * 1024).unstarted(deep));
      Runnable enough =
          () -> {
            Map<?, ?> map = (Map<?, ?>) interp.eval("{key: 1}");
            Check.equal(interp.call("builtins:list", map), List.copyOf(map.keySet()));
          };
      joined(Thread.ofPlatform().stackSize(64 << 20).unstarted(enough));
    }
  }

  private static void below(int frames, Runnable action) {
    if (frames == 0) {
      action.run();
    } else {
      below(frames - 1, action);
    }
  }

  /** An interrupt of a Java thread does not disturb what it runs in Python, and is not lost. */
  private static void interruptsStayJava() {
    try (Interpreter interp = Subpy.create()) {
      Thread.currentThread().interrupt();
      interp.exec("import time; time.sleep(0.01)");
      Check.that(Thread.interrupted());
    }
  }

  /** Virtual threads that wait for an interpreter inside the library keep their carriers, and all get their turn. */
  private static void waitingVirtualThreads() throws Exception {
    List<Interpreter> interps = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      Interpreter interp = Subpy.create(Options.DEFAULT.busy(Options.Busy.WAIT));
      interp.exec("count = 0\ndef add():\n  global count\n  count += 1");
      interps.add(interp);
    }
    int calls = 1000;
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<?>> futures = new ArrayList<>();
      for (int i = 0; i < calls; i++) {
        Interpreter interp = interps.get(i % interps.size());
        futures.add(threads.submit(() -> interp.call("add")));
      }
      for (Future<?> future : futures) {
        future.get();
      }
    }
    long sum = 0;
    for (Interpreter interp : interps) {
      sum += (long) interp.eval("count");
      interp.close();
    }
    Check.equal(sum, (long) calls);
  }

  /** What is left to the garbage collector. */
  private static void threadsNobodyJoins() throws Exception {
    try (Interpreter interp = Subpy.create(Options.DEFAULT.busy(Options.Busy.SHARE))) {
      interp.exec("done = []");
      for (int i = 0; i < 10; i++) {
        interp.callInThread("done.append", i);
      }
      System.gc();
      while ((long) interp.eval("len(done)") < 10 || interp.isRunning()) {
        Thread.sleep(1);
      }
    }
  }

  private static void functionsNobodyCloses() throws Exception {
    try (Interpreter interp = Subpy.create()) {
      interp.exec("import weakref\ndef f(): return 1\nalive = weakref.ref(f)");
      Check.equal(interp.function("f").call(), 1L);
      interp.exec("del f");
      // The Python object is given back when the interpreter is entered.
      while ((boolean) interp.eval("alive() is not None")) {
        System.gc();
        Thread.sleep(1);
      }
    }
  }

  /** The JVM uses SIGSEGV itself: compiled code finds null that way. */
  private static void catchNull() {
    String[] texts = {"a", null};
    int caught = 0;
    for (int i = 0; i < 200_000; i++) {
      try {
        texts[i % 10_000 == 0 ? 1 : 0].length();
      } catch (NullPointerException e) {
        caught++;
      }
    }
    Check.equal(caught, 20);
  }

  /** The process ends at once, with the status that was asked for. */
  private static void exitWhilePythonRuns() throws Exception {
    Interpreter interp = Subpy.create();
    interp.exec("print('printed by Python')\ndef spin():\n  while True: pass");
    CountDownLatch started = new CountDownLatch(1);
    Thread.ofPlatform()
        .start(
            () -> {
              started.countDown();
              interp.call("spin");
            });
    PythonThread thread = Subpy.create().callInThread("time:sleep", 1000);
    started.await();
    while (!interp.isRunning()) {
      Thread.sleep(1);
    }
    Check.that(thread != null);
    System.exit(7);
  }

  private static ExecutionFailedException failure(Interpreter interp, String code) {
    try {
      interp.exec(code);
    } catch (ExecutionFailedException failed) {
      return failed;
    }
    throw new AssertionError("it did not fail: " + code);
  }

  private static void joined(Thread thread) throws Exception {
    AtomicReference<Throwable> failure = new AtomicReference<>();
    thread.setUncaughtExceptionHandler((which, t) -> failure.set(t));
    thread.start();
    thread.join();
    if (failure.get() != null) {
      throw new AssertionError(failure.get());
    }
  }
}
