import io.github.subpy.Cancel;
import io.github.subpy.CloseFlag;
import io.github.subpy.ExecutionFailedException;
import io.github.subpy.ExecutionInterruptedException;
import io.github.subpy.ExecutionTimeoutException;
import io.github.subpy.Interpreter;
import io.github.subpy.InterpreterCrashedException;
import io.github.subpy.InterpreterNotFoundException;
import io.github.subpy.InterpreterPool;
import io.github.subpy.Isolation;
import io.github.subpy.Keywords;
import io.github.subpy.NotShareableException;
import io.github.subpy.Options;
import io.github.subpy.Outcome;
import io.github.subpy.Output;
import io.github.subpy.PoolOptions;
import io.github.subpy.PoolStats;
import io.github.subpy.ProcessOptions;
import io.github.subpy.PythonBuffer;
import io.github.subpy.PythonObject;
import io.github.subpy.PythonQueue;
import io.github.subpy.PythonThread;
import io.github.subpy.QueueClosedException;
import io.github.subpy.ResultForm;
import io.github.subpy.RunOptions;
import io.github.subpy.Source;
import io.github.subpy.Status;
import io.github.subpy.Subpy;
import io.github.subpy.SubpyException;
import io.github.subpy.Tuple;
import java.lang.ref.WeakReference;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Queues, pools, and futures that complete when Python has ended. */
public class Pools {
  private static final Duration LONG = Duration.ofMinutes(5);
  private static final Duration SHORT = Duration.ofMillis(30);
  private static final String LOOP = "while True: pass";

  public static void main(String[] args) throws Exception {
    thePage();
    queues();
    queuesThatAreClosed();
    waitsOfQueues();
    queuesAndBuffers();
    queuesOfManyThreads();
    virtualThreadsThatWait();
    futuresOfThreads();
    tasks();
    tasksThatAreCancelled();
    room();
    maps();
    mapsThatAreStopped();
    preparations();
    theEndOfPools();
    processes();
    moves();
    nothingIsKept();
    poolsOfManyThreads();
    Subpy.shutdownWith(LONG, CloseFlag.INTERRUPT);
    System.out.println("done");
  }

  /** What ends the process of an interpreter costs its own task alone. */
  private static void processes() throws Exception {
    Options interpreter = Options.DEFAULT.process(ProcessOptions.DEFAULT.grace(Duration.ofMillis(50)));
    PoolOptions options = PoolOptions.DEFAULT.workers(2).interpreter(interpreter).isolation(Isolation.PROCESS);
    try (InterpreterPool pool = InterpreterPool.create(options.setup("import os, ctypes, itertools"))) {
      List<Future<Object>> good = new ArrayList<>();
      List<Future<Object>> bad = new ArrayList<>();
      for (String code : List.of("os._exit(3)", "ctypes.string_at(1)", "sum(itertools.repeat(1))")) {
        for (int i = 0; i < 30; i++) {
          good.add(pool.submitEval("6 * 7"));
        }
        RunOptions limit = code.startsWith("sum") ? RunOptions.DEFAULT.timeout(SHORT) : RunOptions.DEFAULT;
        bad.add(pool.submitEval(limit, Source.of(code)));
      }
      for (Future<Object> task : good) {
        Check.equal(task.get(), 42L);
      }
      Check.equal(crash(bad.get(0)).exitCode(), OptionalInt.of(3));
      Check.equal(crash(bad.get(1)).signal(), OptionalInt.of(11));
      Check.that(failure(bad.get(2)) instanceof ExecutionTimeoutException);
      PoolStats stats = pool.stats();
      Check.equal(List.of(stats.crashed(), stats.isolation(), stats.reason()), List.of(3L, Isolation.PROCESS, ""));
    }
    System.out.println("pools: of processes");
  }

  private static InterpreterCrashedException crash(Future<?> task) throws InterruptedException {
    return (InterpreterCrashedException) failure(task);
  }

  private static Throwable failure(Future<?> task) throws InterruptedException {
    try {
      return new AssertionError("it returned " + task.get());
    } catch (ExecutionException e) {
      return e.getCause();
    }
  }

  /** A module that is not for interpreters of this process has the pool move. */
  private static void moves() throws Exception {
    long here = ProcessHandle.current().pid();
    try (InterpreterPool pool = InterpreterPool.create(PoolOptions.DEFAULT.workers(1).isolation(Isolation.AUTO))) {
      Check.equal(List.of(pool.stats().isolation(), pool.stats().reason()), List.of(Isolation.OWN_GIL, ""));
      Check.equal(pool.submit("os:getpid").get(), here);
      pool.submitExec("import faulthandler").get();
      PoolStats stats = pool.stats();
      Check.equal(stats.isolation(), Isolation.PROCESS);
      Check.equal(stats.reason(), "module faulthandler does not support loading in subinterpreters");
      Check.that(!pool.submit("os:getpid").get().equals(here));
    }
    System.out.println("pools: they move to processes");
  }

  /** What docs/java.md shows. */
  private static void thePage() throws Exception {
    try (Interpreter interp = Subpy.create()) {
      PythonQueue tasks = PythonQueue.create();
      PythonQueue results = PythonQueue.create(100);
      interp.exec(
          """
          def work(tasks, results):
              for number in tasks:                  # until somebody closes it, and it is empty
                  results.put({'number': number, 'square': number ** 2})
              results.close()
          """);
      PythonThread worker = interp.callInThread("work", tasks, results);
      for (int number = 1; number <= 3; number++) {
        tasks.put(number);
      }
      tasks.close();
      long sum = 0;
      for (Object result : results) {
        sum += (long) ((Map<?, ?>) result).get("square");
      }
      Check.equal(sum, 14L);
      worker.join();
    }

    String setup =
        """
        import re
        def count(text): return len(re.findall(r'\\w+', text))
        """;
    try (InterpreterPool pool = InterpreterPool.create(PoolOptions.DEFAULT.workers(2).setup(setup))) {
      CompletableFuture<Object> words = pool.submit("count", "to be or not to be");
      Check.equal(words.get(), 6L);

      List<List<String>> texts = List.of(List.of("one"), List.of("one two"), List.of("one two three"));
      try (Stream<Object> counts = pool.map("count", texts)) {
        Check.equal(counts.toList(), List.of(1L, 2L, 3L));
      }

      RunOptions brief = RunOptions.DEFAULT.timeout(Duration.ofMillis(50));
      Future<Object> endless = pool.submitExec(brief, Source.of("while True: pass"));
      try {
        endless.get();
        throw new AssertionError("it ended");
      } catch (ExecutionException e) {
        Check.equal(e.getCause().getClass(), ExecutionTimeoutException.class);
      }
    }
  }

  @SuppressWarnings("try") // what is closed twice, on purpose
  private static void queues() throws Exception {
    try (Interpreter interp = Subpy.create();
        Interpreter other = Subpy.create()) {
      PythonQueue queue = PythonQueue.create(2);
      queue.put(null);
      queue.put(List.of(1, "x"), Duration.ZERO);
      Check.equal(queue.size(), 2L);
      timedOut(() -> queue.put(3, Duration.ZERO));
      timedOut(() -> queue.put(3, SHORT));
      Check.equal(queue.get(), null);
      Check.equal(queue.get(SHORT), List.of(1L, "x"));
      timedOut(() -> queue.get(Duration.ZERO));
      timedOut(() -> queue.get(SHORT));

      interp.prepareMain(Map.of("q", queue));
      Check.equal(interp.eval("type(q).__module__, q.maxsize, q.empty()"), Tuple.of("subpy_queues", 2L, true));
      interp.exec("q.put(('from', 'Python'))");
      Check.equal(queue.get(), Tuple.of("from", "Python"));
      other.prepareMain(Map.of("q", queue));
      interp.exec("q.put(b'x')");
      Check.equal(other.eval("q.get()").getClass(), byte[].class);
      // The same one, with a handle of its own.
      PythonQueue same = (PythonQueue) interp.eval("q");
      PythonQueue nested = (PythonQueue) ((List<?>) interp.eval("[q]")).get(0);
      same.put(1);
      nested.put(2);
      Check.equal(List.of(queue.get(), queue.get()), List.of(1L, 2L));
      interp.define("give", call -> {
        ((PythonQueue) call.arg(0)).put(call.arg(1));
        return call.arg(0);
      });
      Check.equal(interp.eval("give(q, 7) is q"), true);
      Check.equal(queue.get(), 7L);
      queue.put(queue); // it is in itself, until it is taken out
      Check.equal(((PythonQueue) queue.get()).size(), 0L);

      PythonObject object = interp.evalObject("object()");
      Check.thrown(NotShareableException.class, () -> put(queue, List.of(object)));
      Check.thrown(NotShareableException.class, () -> put(queue, new Object()));
      Check.equal(queue.size(), 0L);
      same.free();
      same.free();
      Check.thrown(InterpreterNotFoundException.class, same::size);
      Check.thrown(InterpreterNotFoundException.class, () -> put(same, 1));
      Check.thrown(IllegalArgumentException.class, () -> PythonQueue.create(-1));

      // Items need no interpreter.
      interp.exec("q.put([1.5])");
      interp.close();
      other.close();
      Subpy.shutdown();
      Check.equal(queue.get(), List.of(1.5));
    }
    System.out.println("queues: between Java and interpreters");
  }

  private interface Waiting {
    void run() throws InterruptedException, TimeoutException;
  }

  private static void timedOut(Waiting wait) throws InterruptedException {
    try {
      wait.run();
    } catch (TimeoutException e) {
      return;
    }
    throw new AssertionError("there was no need to wait");
  }

  private static void put(PythonQueue queue, Object item) {
    try {
      queue.put(item);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  private static Object get(PythonQueue queue) {
    try {
      return queue.get();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  private static void queuesThatAreClosed() throws Exception {
    PythonQueue queue = PythonQueue.create();
    queue.put(1);
    queue.close();
    queue.close();
    Check.thrown(QueueClosedException.class, () -> put(queue, 2));
    Iterator<Object> items = queue.iterator();
    Check.equal(items.next(), 1L);
    Check.that(!items.hasNext() && !items.hasNext());
    Check.refused(Status.WRONG_STATE, "the queue is closed and empty", () -> get(queue));

    PythonQueue full = PythonQueue.create(1);
    full.put(0);
    PythonQueue empty = PythonQueue.create();
    AtomicInteger closed = new AtomicInteger();
    List<Thread> threads = new ArrayList<>();
    for (Runnable wait : List.<Runnable>of(() -> put(full, 1), () -> get(empty))) {
      for (Thread.Builder builder : List.of(Thread.ofPlatform(), Thread.ofVirtual())) {
        threads.add(
            builder.start(
                () -> {
                  try {
                    wait.run();
                  } catch (QueueClosedException e) {
                    closed.incrementAndGet();
                  }
                }));
      }
    }
    Thread.sleep(20);
    full.close();
    empty.close();
    for (Thread thread : threads) {
      thread.join();
    }
    Check.equal(closed.get(), 4);
  }

  /** Each wait ends with an interrupt, and with a cancel. */
  private static void waitsOfQueues() throws Exception {
    PythonQueue full = PythonQueue.create(1);
    full.put(0);
    PythonQueue empty = PythonQueue.create();
    List<Waiting> waits =
        List.of(() -> full.put(1), () -> full.put(1, LONG), empty::get, () -> empty.get(LONG));
    for (Waiting wait : waits) {
      for (Thread.Builder builder : List.of(Thread.ofPlatform(), Thread.ofVirtual())) {
        AtomicReference<Throwable> thrown = new AtomicReference<>();
        Thread thread = builder.start(() -> thrown.set(thrown(wait)));
        Thread.sleep(5);
        thread.interrupt();
        thread.join();
        Check.equal(thrown.get().getClass(), InterruptedException.class);
      }
    }
    for (Thread.Builder builder : List.of(Thread.ofPlatform(), Thread.ofVirtual())) {
      for (int millis : new int[] {0, 5}) {
        try (Cancel cancel = new Cancel()) {
          List<AtomicReference<Throwable>> thrown = new ArrayList<>();
          List<Thread> threads = new ArrayList<>();
          if (millis == 0) {
            cancel.fire();
          }
          for (Waiting wait : List.<Waiting>of(() -> full.put(1, null, cancel), () -> empty.get(LONG, cancel))) {
            AtomicReference<Throwable> own = new AtomicReference<>();
            thrown.add(own);
            threads.add(builder.start(() -> own.set(thrown(wait))));
          }
          Thread.sleep(millis);
          cancel.fire();
          for (Thread thread : threads) {
            thread.join();
          }
          thrown.forEach(each -> Check.equal(each.get().getClass(), ExecutionInterruptedException.class));
        }
      }
    }
    Thread.currentThread().interrupt();
    Check.equal(thrown(empty::get).getClass(), InterruptedException.class);
    Check.that(!Thread.currentThread().isInterrupted());
    Thread iterating = Thread.ofPlatform().start(() -> {
      Check.thrown(ExecutionInterruptedException.class, empty.iterator()::hasNext);
      empty.close();
    });
    Thread.sleep(5);
    iterating.interrupt();
    iterating.join();
    Check.equal(thrown(empty::get).getClass(), QueueClosedException.class);
    Check.equal(full.size(), 1L);

    // In a host function, the limits of the run end the wait.
    PythonQueue never = PythonQueue.create();
    try (Interpreter interp = Subpy.create()) {
      interp.define("wait", call -> never.get());
      Check.thrown(
          ExecutionTimeoutException.class, () -> interp.eval(RunOptions.DEFAULT.timeout(SHORT), "wait()"));
    }
    System.out.println("queues: waits end");
  }

  private static Throwable thrown(Waiting wait) {
    try {
      wait.run();
    } catch (Throwable t) {
      return t;
    }
    throw new AssertionError("it did not wait");
  }

  private static void queuesAndBuffers() throws Exception {
    AtomicInteger released = new AtomicInteger();
    PythonBuffer buffer = PythonBuffer.of(ByteBuffer.allocateDirect(8)).onRelease(released::incrementAndGet);
    PythonQueue queue = PythonQueue.create(1);
    queue.put(buffer);
    Check.equal(released.get(), 0);
    timedOut(() -> queue.put(buffer, Duration.ZERO));
    Check.equal(released.get(), 1);
    timedOut(() -> queue.put(buffer, SHORT));
    Check.equal(released.get(), 2);
    Check.thrown(NotShareableException.class, () -> put(queue, List.of(buffer, new Object())));
    Check.equal(released.get(), 3);
    try (Interpreter interp = Subpy.create()) {
      interp.prepareMain(Map.of("q", queue));
      Check.equal(interp.eval("q.get()[7]"), 0L);
      Check.equal(released.get(), 4);
      queue.put(buffer);
      Check.equal(((PythonBuffer) queue.get()).byteSize(), 8L);
    }
    System.gc();
  }

  /** Each item that went in comes out once, whatever becomes of the threads. */
  private static void queuesOfManyThreads() throws Exception {
    PythonQueue queue = PythonQueue.create(8);
    Set<Object> in = ConcurrentHashMap.newKeySet();
    Set<Object> out = ConcurrentHashMap.newKeySet();
    AtomicInteger twice = new AtomicInteger();
    AtomicReference<Throwable> wrong = new AtomicReference<>();
    List<Thread> producers = new ArrayList<>();
    List<Thread> takers = new ArrayList<>();
    for (int number = 0; number < 6; number++) {
      long first = number * 1_000_000L;
      Thread.Builder builder = number % 2 == 0 ? Thread.ofPlatform() : Thread.ofVirtual();
      producers.add(
          builder.start(
              () -> {
                for (long item = first; item < first + 500; item++) {
                  try {
                    queue.put(item);
                    in.add(item);
                  } catch (InterruptedException e) {
                    // It is not in.
                  } catch (Throwable t) {
                    wrong.set(t);
                  }
                }
              }));
      takers.add(
          builder.start(
              () -> {
                while (true) {
                  try {
                    if (!out.add(queue.get())) {
                      twice.incrementAndGet();
                    }
                  } catch (InterruptedException e) {
                    // Nothing was taken.
                  } catch (QueueClosedException over) {
                    return;
                  } catch (Throwable t) {
                    wrong.set(t);
                  }
                }
              }));
    }
    Thread interrupting =
        Thread.ofPlatform()
            .start(
                () -> {
                  while (producers.stream().anyMatch(Thread::isAlive)) {
                    producers.forEach(Thread::interrupt);
                    takers.forEach(Thread::interrupt);
                    Thread.yield();
                  }
                });
    for (Thread thread : producers) {
      thread.join();
    }
    interrupting.join();
    queue.close();
    for (Thread thread : takers) {
      thread.join();
    }
    if (wrong.get() != null) {
      throw new AssertionError(wrong.get());
    }
    Check.equal(twice.get(), 0);
    Check.equal(out, in);
    System.out.println("queues: " + in.size() + " of 3000 items went in, between interrupts");
  }

  /** More of them than threads that carry them, and the one that helps them all is one, too. */
  private static void virtualThreadsThatWait() throws Exception {
    PythonQueue questions = PythonQueue.create();
    PythonQueue answers = PythonQueue.create();
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      for (int number = 0; number < 50; number++) {
        threads.submit(
            () -> {
              answers.put((long) questions.get() + 1);
              return null;
            });
      }
      Future<Object> helping =
          threads.submit(
              () -> {
                Thread.sleep(10);
                for (long item = 0; item < 50; item++) {
                  questions.put(item);
                }
                return null;
              });
      Check.equal(helping.get(), null);
    }
    long sum = 0;
    for (int number = 0; number < 50; number++) {
      sum += (long) answers.get(Duration.ZERO);
    }
    Check.equal(sum, 50L * 51 / 2);
    System.out.println("queues: virtual threads");
  }

  @SuppressWarnings("try") // what is closed twice, on purpose
  private static void futuresOfThreads() throws Exception {
    try (Interpreter interp = Subpy.create(Options.DEFAULT.busy(Options.Busy.WAIT))) {
      PythonThread thread = interp.callInThread("math:sqrt", 16);
      CompletableFuture<String> text = thread.toCompletableFuture().thenApply(root -> "it is " + root);
      Check.equal(text.get(), "it is 4.0");
      Check.equal(thread.get(), 4.0);
      Check.equal(thread.toCompletableFuture().get(), 4.0); // once more
      Check.thrown(InterpreterNotFoundException.class, thread::join);

      CompletableFuture<Object> failed = interp.callInThread("math:sqrt", -1).toCompletableFuture();
      try {
        failed.join();
        throw new AssertionError("it has a root");
      } catch (CompletionException e) {
        Check.equal(((ExecutionFailedException) e.getCause()).type().name(), "ValueError");
      }

      PythonThread endless = interp.callInThread("builtins:exec", LOOP);
      CompletableFuture<Object> stopped = endless.toCompletableFuture();
      Check.that(stopped.cancel(true) && stopped.isCancelled());
      Check.equal(cause(endless).getClass(), ExecutionInterruptedException.class);

      // A thread that waits for it is interrupted at once, and the call goes on.
      PythonThread waiting = interp.callInThread("builtins:exec", LOOP);
      for (Thread.Builder builder : List.of(Thread.ofPlatform(), Thread.ofVirtual())) {
        AtomicReference<Throwable> thrown = new AtomicReference<>();
        Thread getting =
            builder.start(
                () -> {
                  try {
                    waiting.get();
                  } catch (InterruptedException | ExecutionException e) {
                    thrown.set(e);
                  }
                });
        getting.interrupt();
        getting.join();
        Check.equal(thrown.get().getClass(), InterruptedException.class);
      }
      timedOut(
          () -> {
            try {
              waiting.get(10, TimeUnit.MILLISECONDS);
            } catch (ExecutionException e) {
              throw new AssertionError(e);
            }
          });
      Check.that(waiting.cancel(true));
      try {
        waiting.get();
        throw new AssertionError("it ended");
      } catch (CancellationException e) {
        Check.equal(e.getCause().getClass(), ExecutionInterruptedException.class);
      }

      PythonThread joined = interp.callInThread("math:sqrt", 4);
      joined.join();
      Check.thrown(InterpreterNotFoundException.class, joined::toCompletableFuture);
    }
    System.out.println("threads: futures that complete");
  }

  private static Throwable cause(Future<Object> future) throws InterruptedException {
    try {
      future.get();
    } catch (ExecutionException e) {
      return e.getCause();
    }
    throw new AssertionError("it did not fail");
  }

  /** A pool that can be closed, whatever goes wrong here. */
  private static PoolOptions workers(int workers) {
    return PoolOptions.DEFAULT.workers(workers).interpreter(Options.DEFAULT.timeout(Duration.ofSeconds(30)));
  }

  private static void tasks() throws Exception {
    String setup = "import time, builtins\nready = 'ready'\ndef f(*a, **k): return [ready, a, k]\ndef fail(x): raise KeyError(x)";
    Options interpreter = Options.DEFAULT.timeout(LONG).flag(Options.Flag.TAGGED_VALUES).memoryLimit(200_000_000);
    try (InterpreterPool pool = InterpreterPool.create(workers(2).setup(setup).interpreter(interpreter))) {
      Check.equal(pool.submit("f", 1, Keywords.of("k", 2)).get(), List.of("ready", Tuple.of(1L), Map.of("k", 2L)));
      Check.equal(pool.submitEval("ready, {1}").get(), Tuple.of("ready", Set.of(1L)));
      Check.equal(pool.submitExec("x = 1").get(), null);
      Check.equal(((ExecutionFailedException) cause(pool.submit("fail", "k"))).formatted(), "KeyError: 'k'");
      Check.equal(((SubpyException) cause(pool.submitExec("1 +"))).status(), Status.SYNTAX);
      Check.equal(cause(pool.submitEval("object()")).getClass(), NotShareableException.class);
      Check.thrown(NotShareableException.class, () -> pool.submit("f", new Object()));
      Check.thrown(NullPointerException.class, () -> pool.submit((String) null));
      RunOptions buffers = RunOptions.DEFAULT.result(ResultForm.BUFFER);
      try (PythonBuffer buffer = (PythonBuffer) pool.submitEval(buffers, Source.of("bytes(100_000)")).get()) {
        Check.equal(buffer.byteSize(), 100_000L);
      }
      PythonObject object =
          (PythonObject) pool.submit(RunOptions.DEFAULT.result(ResultForm.OBJECT), "builtins:range", 3).get();
      Check.equal(object.text(), "range(0, 3)");
      StringBuffer printed = new StringBuffer();
      pool.submitExec(RunOptions.DEFAULT.output(Output.to(printed::append)), Source.of("print('mine')")).get();
      Check.equal(printed.toString(), "mine\n");
      Check.equal(pool.submitAs(7, RunOptions.DEFAULT, "f").thenApply(list -> ((List<?>) list).size()).get(), 3);
      // What depends on a task may wait for another one.
      CompletableFuture<Object> chain =
          pool.submitEval("1").thenApply(one -> pool.submitEval(one + " + 1").join()).thenCompose(
              two -> pool.submitEval(two + " + 1"));
      Check.equal(chain.get(), 3L);

      Check.equal(((ExecutionFailedException) cause(pool.submitEval("bytes(10**9)"))).type().name(), "MemoryError");
      RunOptions brief = RunOptions.DEFAULT.timeout(SHORT);
      Check.equal(cause(pool.submitExec(brief, Source.of(LOOP))).getClass(), ExecutionTimeoutException.class);
      PoolStats stats = pool.stats();
      Check.that(stats.workers() <= 2 && stats.replaced() == 2 && stats.failed() == 5, stats);
      Check.that(stats.submitted() == stats.done() && stats.queued() + stats.running() == 0, stats);
      Check.that(stats.runs().p99().compareTo(stats.runs().p50()) >= 0, stats);
      Check.that(stats.runs().p99().compareTo(SHORT.dividedBy(2)) > 0, stats);

      List<Future<Object>> many = new ArrayList<>();
      for (long number = 0; number < 2000; number++) {
        many.add(pool.submit("builtins:abs", -number));
      }
      for (long number = 0; number < 2000; number++) {
        Check.equal(many.get((int) number).get(), number);
      }
    }
    System.out.println("pools: tasks");
  }

  private static void tasksThatAreCancelled() throws Exception {
    try (InterpreterPool pool = InterpreterPool.create(workers(1));
        Cancel cancel = new Cancel()) {
      CompletableFuture<Object> running = pool.submitExec(LOOP);
      CompletableFuture<Object> queued = pool.submitEval("1");
      CompletableFuture<Object> byToken = pool.submitEval(RunOptions.DEFAULT.cancel(cancel), Source.of("2"));
      CompletableFuture<Object> last = pool.submitEval("3");
      Check.that(queued.cancel(true) && queued.isCancelled());
      Check.thrown(CancellationException.class, queued::join);
      cancel.fire();
      Check.equal(cause(byToken).getClass(), ExecutionInterruptedException.class);
      Check.that(!running.isDone());
      Check.that(running.cancel(true));
      Check.equal(last.get(), 3L);
      CompletableFuture<Object> ignored = pool.submitEval("__import__('time').sleep(0.02)");
      Check.that(ignored.cancel(false));
      Check.equal(pool.submitEval("4").get(), 4L);
      PoolStats stats = pool.stats();
      Check.equal(stats.cancelled(), 3L); // not the one that was let run
      Check.equal(stats.done(), 6L);
    }
    System.out.println("pools: tasks that are cancelled");
  }

  /** Submitting waits for room, and that wait ends. */
  private static void room() throws Exception {
    try (InterpreterPool refusing = InterpreterPool.create(workers(1).backlog(1).refuse(true))) {
      Future<Object> running = refusing.submitExec(LOOP);
      while (refusing.stats().running() == 0) {
        Thread.sleep(1);
      }
      refusing.submitEval("1");
      Check.refusedLike(Status.BUSY, () -> refusing.submitEval("2"));
      running.cancel(true);
    }

    try (InterpreterPool pool = InterpreterPool.create(workers(1).backlog(1))) {
      for (Thread.Builder builder : List.of(Thread.ofPlatform(), Thread.ofVirtual())) {
        Future<Object> running = pool.submitExec(LOOP);
        while (pool.stats().running() == 0) {
          Thread.sleep(1);
        }
        Future<Object> queued = pool.submitEval("1");
        AtomicReference<Object> ended = new AtomicReference<>();
        Runnable submit =
            () -> {
              try {
                ended.set(pool.submitEval("2").join());
              } catch (ExecutionInterruptedException e) {
                Check.that(Thread.currentThread().isInterrupted());
                ended.set(e);
              } catch (CompletionException e) { // it was interrupted before it waited
                ended.set(e.getCause());
              }
            };
        Thread interrupted = builder.start(submit);
        Thread.sleep(5);
        interrupted.interrupt();
        interrupted.join();
        Check.equal(ended.get().getClass(), ExecutionInterruptedException.class);
        try (Cancel cancel = new Cancel()) {
          Thread firing =
              builder.start(
                  () -> {
                    try {
                      // By then the other thread waits, also on a busy machine.
                      Thread.sleep(300);
                      cancel.fire();
                    } catch (InterruptedException e) {
                      throw new AssertionError(e);
                    }
                  });
          Check.thrown(
              ExecutionInterruptedException.class,
              () -> pool.submitEval(RunOptions.DEFAULT.cancel(cancel), Source.of("3")));
          firing.join();
        }
        Thread patient = builder.start(submit);
        Thread.sleep(5);
        running.cancel(true);
        patient.join();
        Check.equal(ended.get(), 2L);
        Check.equal(queued.get(), 1L);
      }
    }
    System.out.println("pools: room");
  }

  private static List<List<Long>> rows(int count) {
    return IntStream.range(0, count).mapToObj(number -> List.of((long) number)).toList();
  }

  private static void maps() throws Exception {
    String setup = "def double(x): return x * 2\ndef odd(x):\n  if x % 2: return x\n  raise ValueError(x)";
    try (InterpreterPool pool = InterpreterPool.create(workers(2).setup(setup))) {
      for (int chunk : new int[] {1, 7, 1000}) {
        try (Stream<Object> doubled = pool.map(RunOptions.DEFAULT, chunk, "double", rows(500))) {
          Check.equal(doubled.toList(), IntStream.range(0, 500).mapToObj(number -> 2L * number).toList());
        }
      }
      Check.equal(pool.map("double", List.of()).count(), 0L);
      // None of the others is lost.
      try (Stream<Outcome> outcomes = pool.mapOutcomes(RunOptions.DEFAULT, 3, "odd", rows(10))) {
        List<Outcome> all = outcomes.toList();
        for (int row = 0; row < 10; row++) {
          switch (all.get(row)) {
            case Outcome.Success(Object value) -> Check.that(row % 2 == 1 && value.equals((long) row));
            case Outcome.Failure(SubpyException error) ->
                Check.equal(error.getMessage() + error.row(), "row 0: ValueError: 0".replace("0", "" + row) + OptionalInt.of(row));
          }
        }
      }
      List<Object> seen = new ArrayList<>();
      try (Stream<Object> odds = pool.map("odd", List.of(List.of(1), List.of(3), List.of(4), List.of(5)))) {
        Check.thrown(ExecutionFailedException.class, () -> odds.forEach(seen::add));
      }
      Check.equal(seen, List.of(1L, 3L));
      // Who takes the results may use the pool.
      try (Stream<Object> doubled = pool.map("double", rows(200))) {
        Check.that(doubled.allMatch(number -> pool.submit("double", number).join().equals(2 * (long) number)));
      }
      RunOptions buffers = RunOptions.DEFAULT.result(ResultForm.BUFFER);
      try (Stream<Object> bytes = pool.map(buffers, 2, "builtins:bytes", List.of(List.of(9000), List.of(3), List.of(0)))) {
        Check.equal(bytes.map(buffer -> ((PythonBuffer) buffer).byteSize()).toList(), List.of(9000L, 3L, 0L));
      }
      RunOptions brief = RunOptions.DEFAULT.timeout(SHORT);
      try (Stream<Outcome> limited =
          pool.mapOutcomes(brief, 1, "builtins:exec", List.of(List.of("1"), List.of(LOOP), List.of("2")))) {
        List<Outcome> all = limited.toList();
        Check.that(all.get(0) instanceof Outcome.Success && all.get(2) instanceof Outcome.Success, all);
        Check.thrown(ExecutionTimeoutException.class, all.get(1)::get);
      }
      Check.thrown(NotShareableException.class, () -> pool.map("double", List.of(List.of(new Object()))));
      Check.thrown(IllegalArgumentException.class, () -> pool.map("double", List.of(List.of(1), List.of(1, 2))));
      Check.thrown(IllegalArgumentException.class, () -> pool.map(RunOptions.DEFAULT, 0, "double", rows(1)));
      Check.thrown(NullPointerException.class, () -> pool.map("double", null));
    }
    System.out.println("pools: maps");
  }

  private static void mapsThatAreStopped() throws Exception {
    try (InterpreterPool pool = InterpreterPool.create(workers(2))) {
      // Before the end: the rest is cancelled, and has ended.
      try (Stream<Object> some = pool.map("builtins:abs", rows(100_000))) {
        Check.equal(some.limit(3).toList(), List.of(0L, 1L, 2L));
      }
      PoolStats stats = pool.stats();
      Check.that(stats.queued() + stats.running() == 0 && stats.done() < 50_000, stats);
      // A row that has no end.
      try (Stream<Object> loops = pool.map("builtins:exec", List.of(List.of("1"), List.of(LOOP)))) {
        Check.equal(loops.findFirst().isEmpty() ? null : "?", null);
      } catch (NullPointerException e) {
        // findFirst() takes no null, and has taken it.
      }
      Check.equal(pool.stats().running(), 0L);
      // By a token, and by an interrupt of the thread that waits.
      try (Cancel cancel = new Cancel()) {
        Stream<Object> loops =
            pool.map(RunOptions.DEFAULT.cancel(cancel), 1, "builtins:exec", List.of(List.of(LOOP)));
        cancel.fire();
        Check.thrown(ExecutionInterruptedException.class, loops::count);
      }
      for (Thread.Builder builder : List.of(Thread.ofPlatform(), Thread.ofVirtual())) {
        AtomicReference<Throwable> thrown = new AtomicReference<>();
        Thread thread =
            builder.start(
                () -> {
                  try (Stream<Object> loops = pool.map("builtins:exec", List.of(List.of(LOOP)))) {
                    loops.toList();
                  } catch (Throwable t) {
                    thrown.set(t);
                  }
                });
        Thread.sleep(10);
        thread.interrupt();
        thread.join();
        Check.equal(thrown.get().getClass(), ExecutionInterruptedException.class);
      }
      // One that nobody refers to any more.
      pool.map("builtins:exec", List.of(List.of(LOOP)));
      while (pool.stats().running() > 0) {
        System.gc();
        Thread.sleep(5);
      }
    }
    System.out.println("pools: maps that are stopped");
  }

  private static void preparations() throws Exception {
    AtomicInteger prepared = new AtomicInteger();
    PoolOptions options =
        workers(2)
            .setup("import host\ndef f(x): return host.twice(x)")
            .prepare(
                interp -> {
                  prepared.incrementAndGet();
                  interp.define("host:twice", call -> 2 * (long) call.arg(0));
                })
            .spares(0)
            .runsPerWorker(2);
    try (InterpreterPool pool = InterpreterPool.create(options)) {
      Check.equal(prepared.get(), 2);
      for (long number = 0; number < 9; number++) {
        Check.equal(pool.submit("f", number).get(), 2 * number);
      }
      Check.that(prepared.get() >= 4, prepared);
      Check.that(pool.stats().replaced() >= 2);
    }
    IllegalStateException mine = new IllegalStateException("mine");
    PoolOptions failing =
        workers(1)
            .prepare(
                interp -> {
                  throw mine;
                });
    for (PoolOptions each : List.of(failing, failing.setup("1 / 0"))) {
      try {
        InterpreterPool.create(each);
        throw new AssertionError("it was made");
      } catch (IllegalStateException e) {
        Check.that(e == mine);
      }
    }
    Check.thrown(ExecutionFailedException.class, () -> InterpreterPool.create(workers(1).setup("1 / 0")));
    Check.thrown(IllegalArgumentException.class, () -> InterpreterPool.create(workers(1).setup("'\ud800'")));
    Check.thrown(IllegalArgumentException.class, () -> workers(-1));
    Check.thrown(
        SubpyException.class,
        () ->
            InterpreterPool.create(
                workers(1).interpreter(Options.DEFAULT.flag(Options.Flag.NO_EXTENSION_CHECK))));
    System.out.println("pools: preparations");
  }

  @SuppressWarnings("try") // what is closed twice, on purpose
  private static void theEndOfPools() throws Exception {
    InterpreterPool pool = InterpreterPool.create(workers(1));
    List<Future<Object>> tasks = new ArrayList<>();
    for (long number = 0; number < 5; number++) {
      tasks.add(pool.submitEval("__import__('time').sleep(0.01) or " + number));
    }
    Check.refusedLike(Status.BUSY, () -> pool.closeWith(Duration.ZERO));
    pool.close(); // when they have ended
    for (long number = 0; number < 5; number++) {
      Check.that(tasks.get((int) number).get().equals(number));
    }
    pool.close();
    pool.closeWith(Duration.ZERO);
    Check.refusedLike(Status.NOT_FOUND, () -> pool.submitEval("1"));
    Check.refusedLike(Status.NOT_FOUND, () -> pool.map("builtins:abs", rows(1)).count());
    Check.refusedLike(Status.NOT_FOUND, pool::stats);

    InterpreterPool hard = InterpreterPool.create(workers(1));
    Future<Object> running = hard.submitExec(LOOP);
    Future<Object> queued = hard.submitEval("1");
    Check.refusedLike(Status.BUSY, () -> hard.closeWith(SHORT, CloseFlag.DRAIN));
    hard.closeWith(LONG, CloseFlag.INTERRUPT);
    Check.equal(cause(running).getClass(), ExecutionInterruptedException.class);
    Check.equal(cause(queued).getClass(), ExecutionInterruptedException.class);

    // An interrupt of the thread that closes cancels what it waits for.
    for (Thread.Builder builder : List.of(Thread.ofPlatform(), Thread.ofVirtual())) {
      InterpreterPool endless = InterpreterPool.create(workers(1));
      Future<Object> loop = endless.submitExec(LOOP);
      CountDownLatch closing = new CountDownLatch(1);
      Thread thread =
          builder.start(
              () -> {
                closing.countDown();
                endless.close();
                Check.that(Thread.currentThread().isInterrupted());
              });
      closing.await();
      thread.interrupt();
      thread.join();
      Check.equal(cause(loop).getClass(), ExecutionInterruptedException.class);
      Check.refusedLike(Status.NOT_FOUND, endless::stats);
    }
    // A task cannot close its own pool.
    InterpreterPool own = InterpreterPool.create(workers(1).prepare(interp -> {}));
    AtomicReference<InterpreterPool> from = new AtomicReference<>(own);
    try (InterpreterPool host =
        InterpreterPool.create(workers(1).prepare(interp -> interp.define("close", call -> {
          from.get().closeWith(Duration.ZERO);
          return true;
        })))) {
      Check.equal(host.submitEval("close()").get(), true);
      from.set(host);
      Check.that(cause(host.submitEval("close()")).getMessage().length() > 0);
    }
    System.out.println("pools: their ends");
  }

  private static void nothingIsKept() throws Exception {
    try (InterpreterPool pool = InterpreterPool.create(workers(1))) {
      List<WeakReference<Object>> gone = new ArrayList<>();
      for (int round = 0; round < 300; round++) {
        Object held = new Object();
        gone.add(new WeakReference<>(held));
        RunOptions options = RunOptions.DEFAULT.output((stream, text) -> held.hashCode());
        CompletableFuture<Object> task = pool.submitEval(options, Source.of("print(1)"));
        if (round % 3 == 0) {
          task.cancel(true);
        }
        gone.add(new WeakReference<>(task));
        try (Stream<Object> results = pool.map(options, 1, "builtins:print", List.of(List.of(1), List.of(2)))) {
          Check.equal(results.count(), 2L);
        }
      }
      while (gone.stream().anyMatch(reference -> reference.get() != null)) {
        System.gc();
        Thread.sleep(5);
      }
    }
    System.out.println("pools: nothing is kept");
  }

  private static void poolsOfManyThreads() throws Exception {
    for (int round = 0; round < 3; round++) {
      InterpreterPool pool = InterpreterPool.create(workers(2).backlog(4));
      AtomicInteger accounted = new AtomicInteger();
      AtomicReference<Throwable> wrong = new AtomicReference<>();
      List<Thread> threads = new ArrayList<>();
      for (int number = 0; number < 6; number++) {
        int own = number;
        Thread.Builder builder = number % 2 == 0 ? Thread.ofPlatform() : Thread.ofVirtual();
        threads.add(
            builder.start(
                () -> {
                  try {
                    while (true) {
                      if (own == 0) {
                        try (Stream<Object> some = pool.map("builtins:abs", rows(50))) {
                          Check.that(some.limit(20).count() == 20);
                        }
                        continue;
                      }
                      CompletableFuture<Object> task = pool.submit("builtins:pow", own, 2);
                      if (own == 1) {
                        task.cancel(true);
                      } else {
                        Check.equal(task.join(), (long) own * own);
                      }
                      accounted.incrementAndGet();
                    }
                  } catch (SubpyException | CompletionException over) {
                    // The pool is being closed, or is.
                  } catch (Throwable t) {
                    wrong.set(t);
                  }
                }));
      }
      while (accounted.get() < 200 && wrong.get() == null) {
        Thread.sleep(1);
      }
      pool.closeWith(LONG, CloseFlag.INTERRUPT);
      for (Thread thread : threads) {
        thread.join();
      }
      if (wrong.get() != null) {
        throw new AssertionError(wrong.get());
      }
    }
    System.out.println("pools: closed while they are used");
  }
}
