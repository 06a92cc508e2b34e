import io.github.subpy.ExecutionFailedException;
import io.github.subpy.ExecutionTimeoutException;
import io.github.subpy.Function;
import io.github.subpy.Interpreter;
import io.github.subpy.InterpreterNotFoundException;
import io.github.subpy.Keywords;
import io.github.subpy.MemoryInfo;
import io.github.subpy.NotShareableException;
import io.github.subpy.Options;
import io.github.subpy.ProcessOptions;
import io.github.subpy.PythonBuffer;
import io.github.subpy.PythonIterator;
import io.github.subpy.PythonObject;
import io.github.subpy.PythonThread;
import io.github.subpy.ResultForm;
import io.github.subpy.RunOptions;
import io.github.subpy.Status;
import io.github.subpy.Subpy;
import io.github.subpy.SubpyException;
import io.github.subpy.Tag;
import io.github.subpy.Tagged;
import io.github.subpy.Tuple;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.WeakReference;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.ReadOnlyBufferException;
import java.time.Duration;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.OffsetTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;

/** Objects that stay in Python, memory that is shared, tagged values, and how much memory an interpreter uses. */
public class Data {
  private static final RunOptions OBJECTS = RunOptions.DEFAULT.result(ResultForm.OBJECTS);
  private static final RunOptions BUFFER = RunOptions.DEFAULT.result(ResultForm.BUFFER);
  private static final RunOptions ARRAY = RunOptions.DEFAULT.result(ResultForm.ARRAY);

  public static void main(String[] args) throws Exception {
    thePage();
    coroutines();
    objects();
    iterators();
    objectsAsArguments();
    objectsThatAreGone();
    objectsAreFreed();
    objectsOfManyThreads();
    buffersIn();
    buffersLent();
    buffersAreReleasedOnce();
    buffersOut();
    buffersThatAreGone();
    buffersOfProcesses();
    buffersOfManyThreads();
    arrays();
    taggedValues();
    memory();
    Subpy.shutdown();
    System.out.println("done");
  }

  /** What docs/java.md shows. */
  private static void thePage() {
    try (Interpreter interp = Subpy.create()) {
      interp.exec(
          """
          class Model:
              def __init__(self, factor): self.factor = factor
              def predict(self, x): return self.factor * x
          """);
      try (PythonObject model = interp.callObject("Model", 3)) {
        Check.equal(model.callMethod("predict", 14), 42L);
        Check.equal(model.attr("factor"), 3L);
      }

      try (PythonObject numbers = interp.evalObject("(n * n for n in range(1_000_000_000))")) {
        long sum = 0;
        for (Object square : numbers) {
          if ((sum += (long) square) > 100) {
            break;
          }
        }
        Check.equal(sum, 140L);
      }

      interp.exec("import array\ndef total(view): return sum(view)");
      DoubleBuffer samples =
          ByteBuffer.allocateDirect(800).order(ByteOrder.nativeOrder()).asDoubleBuffer();
      samples.put(0, 1.5).put(99, 2.5);
      Check.equal(interp.call("total", PythonBuffer.of(samples)), 4.0);

      RunOptions shared = RunOptions.DEFAULT.result(ResultForm.BUFFER);
      try (PythonBuffer frame = (PythonBuffer) interp.eval(shared, "bytearray(100_000_000)")) {
        Check.equal(frame.byteSize(), 100_000_000L);
        Check.equal(frame.segment().get(ValueLayout.JAVA_BYTE, 99_999_999), (byte) 0);
      }

      RunOptions asArray = RunOptions.DEFAULT.result(ResultForm.ARRAY);
      PythonBuffer roots = (PythonBuffer) interp.eval(asArray, "[n ** 0.5 for n in range(1000)]");
      Check.equal(roots.toDoubleArray()[81], 9.0);

      interp.exec("import asyncio\nasync def later(x):\n  await asyncio.sleep(0.001)\n  return x");
      RunOptions awaited = RunOptions.DEFAULT.async(true);
      Check.equal(interp.call(awaited, "later", 42), 42L);
      Check.equal(interp.eval(awaited, "await later('x')"), "x");
    }

    try (Interpreter tagging = Subpy.create(Options.DEFAULT.flag(Options.Flag.TAGGED_VALUES))) {
      tagging.exec("import datetime, decimal");
      Check.equal(tagging.eval("datetime.date(2026, 2, 28)"), LocalDate.of(2026, 2, 28));
      Check.equal(tagging.eval("decimal.Decimal('1.50')"), new BigDecimal("1.50"));
      Check.equal(tagging.eval("{1, 2}"), Set.of(1L, 2L));
      Check.equal(tagging.eval("1 - 2j"), new Tagged(Tag.COMPLEX, Tuple.of(1.0, -2.0)));
    }

    try (Interpreter small = Subpy.create(Options.DEFAULT.memoryLimit(64 << 20))) {
      try {
        small.exec("table = bytearray(1_000_000_000)");
        throw new AssertionError("it has room");
      } catch (ExecutionFailedException e) {
        Check.equal(e.type().name(), "MemoryError");
      }
      Check.that(small.memory().used() < 64 << 20);
    }
  }

  private static void coroutines() {
    RunOptions awaited = RunOptions.DEFAULT.async(true);
    try (Interpreter interp = Subpy.create()) {
      interp.exec(
          "import asyncio\nclass C:\n  async def f(self, x):\n    await asyncio.sleep(0)\n    return self if x else x\n"
              + "async def f(): raise KeyError('k')");
      PythonObject c = interp.evalObject("C()");
      Check.equal(c.callMethod(awaited, "f", 0), 0L);
      Check.equal(c.callMethod(awaited.result(ResultForm.OBJECT), "f", 1).getClass(), PythonObject.class);
      Check.thrown(NotShareableException.class, () -> c.callMethod(awaited, "f", 1));
      Check.equal(failure(() -> interp.call(awaited, "f")).type().name(), "KeyError");
      Check.equal(interp.callInThread(awaited, "builtins:abs", -1).join(), 1L);
      PythonObject kept = (PythonObject) c.callMethod("f", 0);
      Check.equal(kept.await(), 0L);
      Check.equal(failure(kept::await).type().name(), "RuntimeError"); // once is all
      RunOptions brief = awaited.timeout(Duration.ofMillis(30));
      Check.equal(failure(() -> interp.exec(brief, "await asyncio.sleep(1000)")).status(), Status.TIMEOUT);
    }
    System.out.println("coroutines: awaited");
  }

  @SuppressWarnings("try") // what is closed twice, on purpose
  private static void objects() {
    try (Interpreter interp = Subpy.create()) {
      interp.exec("class C:\n  x = [1]\n  def f(self, *a, **k): return a, k\n  def g(self): return self\nc = C()");
      PythonObject c = interp.evalObject("c");
      Check.equal(c.interpreter(), interp);
      Check.equal(c.attr("x"), List.of(1L));
      Check.equal(c.callMethod("f", 1, "b", Keywords.of("k", null)).toString(), "Tuple[items=[Tuple[items=[1, b]], {k=null}]]");
      Check.equal(((PythonObject) c.callMethod("g")).text(), c.text());
      Check.that(c.text().startsWith("<__main__.C object at"));
      try (PythonObject list = (PythonObject) c.attr("x", ResultForm.OBJECT)) {
        list.callMethod("append", 2);
        Check.equal(list.item(1), 2L);
        Check.equal(list.value(), List.of(1L, 2L));
        Check.equal(list.item(-1, ResultForm.OBJECT).getClass(), PythonObject.class);
        Check.equal(((PythonBuffer) list.value(ResultForm.ARRAY)).toLongArray(), new long[] {1, 2});
      }
      Check.equal(interp.eval("c.x"), List.of(1L, 2L));
      PythonObject f = (PythonObject) c.attr("f");
      Check.equal(f.call(5), Tuple.of(Tuple.of(5L), Map.of()));
      Check.equal(f.call(RunOptions.DEFAULT.timeout(Duration.ofMinutes(1)), 5), Tuple.of(Tuple.of(5L), Map.of()));
      Check.equal(((PythonObject) c.callMethod(RunOptions.DEFAULT.result(ResultForm.OBJECT), "f")).text(), "((), {})");
      Check.thrown(NotShareableException.class, c::value);
      Check.thrown(NotShareableException.class, () -> c.callMethod(RunOptions.DEFAULT, "g"));
      Check.equal(interp.evalObject("None").value(), null);
      Check.equal(interp.evalObject("None").text(), "None");

      // What has no value is an object, where that is asked for.
      List<?> mixed = (List<?>) interp.eval(OBJECTS, "[1, {'k': (c, 2.5)}]");
      Check.equal(((PythonObject) ((Tuple) ((Map<?, ?>) mixed.get(1)).get("k")).get(0)).attr("x"), List.of(1L, 2L));

      Check.equal(failure(() -> c.attr("nothing")).type().name(), "AttributeError");
      Check.equal(failure(() -> c.item(0)).type().name(), "TypeError");
      Check.equal(failure(() -> interp.evalObject("{}").item("k")).type().name(), "KeyError");
      Check.equal(failure(() -> c.call()).type().name(), "TypeError");
      Check.equal(failure(() -> c.callMethod("f2")).type().name(), "AttributeError");
      Check.equal(failure(() -> interp.evalObject("1 / 0")).type().name(), "ZeroDivisionError");
      Check.thrown(NullPointerException.class, () -> c.attr(null));
      Check.thrown(NullPointerException.class, () -> c.callMethod((String) null));
      Check.thrown(IllegalArgumentException.class, () -> c.attr("\ud800"));
      RunOptions brief = RunOptions.DEFAULT.timeout(Duration.ofMillis(30));
      PythonObject loop = interp.evalObject("exec");
      Check.thrown(ExecutionTimeoutException.class, () -> loop.call(brief, "while True: pass"));

      PythonObject again = c.keep();
      c.close();
      c.close();
      Check.equal(again.attr("x"), List.of(1L, 2L));

      // A thread's result, and one of a prepared function.
      PythonThread thread = interp.callInThread(RunOptions.DEFAULT.result(ResultForm.OBJECT), "C");
      Check.equal(((PythonObject) thread.join()).attr("x"), List.of(1L, 2L));
      try (Function make = interp.function("C")) {
        Check.equal(((PythonObject) make.call(OBJECTS)).attr("x"), List.of(1L, 2L));
        Check.thrown(NotShareableException.class, make::call);
      }
    }
    System.out.println("objects: attributes, items, calls");
  }

  private static ExecutionFailedException failure(Runnable action) {
    try {
      action.run();
    } catch (ExecutionFailedException e) {
      return e;
    }
    throw new AssertionError("it did not fail");
  }

  private static void iterators() {
    try (Interpreter interp = Subpy.create()) {
      interp.exec(
          """
          ended = []
          def count(n):
              try:
                  for i in range(n): yield i
              finally:
                  ended.append(n)
          def broken():
              yield 1
              raise ValueError('no more')
          """);
      List<Object> seen = new ArrayList<>();
      for (Object item : interp.callObject("count", 3)) {
        seen.add(item);
      }
      Check.equal(seen, List.of(0L, 1L, 2L));
      Check.equal(interp.eval("ended"), List.of(3L));

      PythonIterator early = interp.callObject("count", 7).iterator();
      Check.equal(early.next(), 0L);
      early.close();
      Check.thrown(InterpreterNotFoundException.class, early::next);

      Iterator<Object> broken = interp.callObject("broken").iterator();
      Check.equal(broken.next(), 1L);
      Check.equal(failure(broken::hasNext).formatted(), "ValueError: no more");
      Check.that(!broken.hasNext());
      Check.thrown(NoSuchElementException.class, broken::next);

      PythonIterator items = interp.evalObject("[None, object(), b'abc']").iterator();
      Check.equal(items.next(), null);
      Check.equal(items.next().getClass(), PythonObject.class);
      Check.that(items.hasNext() && items.hasNext());
      Check.that(Arrays.equals((byte[]) items.next(), new byte[] {'a', 'b', 'c'}));
      Check.that(!items.hasNext());

      PythonIterator buffers = interp.evalObject("(bytes([n]) * 10_000 for n in range(3))").iterator(ResultForm.BUFFER);
      for (int n = 0; n < 3; n++) {
        try (PythonBuffer buffer = (PythonBuffer) buffers.next()) {
          Check.equal(buffer.segment().get(ValueLayout.JAVA_BYTE, 9_999), (byte) n);
        }
      }
      Check.equal(failure(() -> interp.evalObject("1").iterator()).type().name(), "TypeError");
    }
    System.out.println("objects: iterators");
  }

  private static void objectsAsArguments() {
    try (Interpreter interp = Subpy.create();
        Interpreter other = Subpy.create()) {
      interp.exec("kept = object()\ndef same(x): return x is kept\ndef find(x): return x['a'][1][0] is kept");
      PythonObject kept = interp.evalObject("kept");
      Check.equal(interp.call("same", kept), true);
      Check.equal(interp.call("find", Map.of("a", List.of(1, Tuple.of(kept)))), true);
      interp.prepareMain(Map.of("bound", kept));
      Check.equal(interp.eval("bound is kept"), true);
      Check.equal(interp.callInThread("same", kept).join(), true);
      interp.define("host", call -> kept);
      Check.equal(interp.eval("host() is kept"), true);
      Check.equal(interp.evalObject("{kept: 1}").item(kept), 1L);
      try (Function same = interp.function("same")) {
        Check.equal(same.call(kept), true);
        Check.equal(same.callMany(List.of(List.of(kept), List.of(1))), List.of(true, false));
        Check.equal(interp.call("builtins:callable", same), true);
        Check.equal(interp.call("same", same), false);
      }
      Check.thrown(NotShareableException.class, () -> other.call("builtins:id", kept));
      Check.thrown(NotShareableException.class, () -> other.prepareMain(Map.of("x", List.of(kept))));
      kept.close();
      Check.thrown(InterpreterNotFoundException.class, () -> interp.call("same", kept));
      // An object without a value is no argument of a host function.
      interp.define("take", call -> 1);
      Check.equal(failure(() -> interp.eval("take(kept)")).type().name(), "TypeError");
    }
    System.out.println("objects: as arguments");
  }

  private static void objectsThatAreGone() {
    Interpreter interp = Subpy.create();
    PythonObject of = interp.evalObject("[1]");
    PythonObject closed = interp.evalObject("[1]");
    PythonIterator iterator = of.iterator();
    closed.close();
    interp.close();
    for (PythonObject gone : List.of(closed, of)) {
      List<Runnable> actions =
          List.of(
              () -> gone.attr("x"),
              () -> gone.item(0),
              () -> gone.call(),
              () -> gone.call(RunOptions.DEFAULT),
              () -> gone.callMethod("pop"),
              () -> gone.callMethod(RunOptions.DEFAULT, "pop"),
              gone::iterator,
              gone::value,
              gone::text);
      actions.forEach(action -> Check.thrown(InterpreterNotFoundException.class, action));
    }
    Check.thrown(InterpreterNotFoundException.class, closed::keep);
    Check.thrown(InterpreterNotFoundException.class, closed::interpreter);
    Check.thrown(InterpreterNotFoundException.class, iterator::hasNext);
    Check.equal(of.interpreter(), interp);
    of.close();
  }

  /** Whether it comes to hold, with the help of the garbage collector. */
  private static void eventually(BooleanSupplier holds) throws InterruptedException {
    while (!holds.getAsBoolean()) {
      System.gc();
      Thread.sleep(5);
    }
  }

  private static void objectsAreFreed() throws InterruptedException {
    try (Interpreter interp = Subpy.create()) {
      interp.exec(
          "alive = 0\nclass C:\n  def __init__(self):\n    global alive\n    alive += 1\n"
              + "  def __del__(self):\n    global alive\n    alive -= 1");
      for (int round = 0; round < 2000; round++) {
        try (PythonObject object = interp.callObject("C")) {
          Check.that(object.keep() != null); // which is dropped
        }
        Check.equal(((List<?>) interp.eval(OBJECTS, "[C(), C()]")).size(), 2);
      }
      eventually(() -> interp.eval("alive").equals(0L));

      interp.exec("def ones():\n  c = C()\n  while True: yield 1");
      for (int round = 0; round < 200; round++) {
        for (Object one : interp.callObject("ones")) {
          Check.equal(one, 1L);
          break;
        }
      }
      eventually(() -> interp.eval("alive").equals(0L));
    }
    System.out.println("objects: all are freed");
  }

  private static void objectsOfManyThreads() throws InterruptedException {
    for (int round = 0; round < 5; round++) {
      Interpreter interp = Subpy.create(Options.DEFAULT.busy(Options.Busy.WAIT));
      PythonObject list = interp.evalObject("[0] * 100");
      AtomicReference<Throwable> wrong = new AtomicReference<>();
      AtomicInteger calls = new AtomicInteger();
      List<Thread> threads = new ArrayList<>();
      for (int number = 0; number < 6; number++) {
        boolean virtual = number % 2 == 0;
        Runnable action =
            () -> {
              try {
                while (true) {
                  Check.equal(list.item(7), 0L);
                  list.keep().close();
                  Check.equal(interp.call("builtins:len", list), 100L);
                  calls.incrementAndGet();
                }
              } catch (InterpreterNotFoundException over) {
                // As it was to be.
              } catch (Throwable t) {
                wrong.set(t);
              }
            };
        threads.add(virtual ? Thread.ofVirtual().start(action) : Thread.ofPlatform().start(action));
      }
      while (calls.get() < 50 && wrong.get() == null) {
        Thread.sleep(1);
      }
      list.close();
      for (Thread thread : threads) {
        thread.join();
      }
      interp.close();
      if (wrong.get() != null) {
        throw new AssertionError(wrong.get());
      }
    }
    System.out.println("objects: closed while they are used");
  }

  private static final String SHOW =
      "def show(b): return (type(b).__name__, b.format, b.itemsize, b.shape, b.strides, b.readonly, b.nbytes)\n"
          + "def items(b): return b.tolist()\nkept = []\n";

  private static Tuple shown(String format, long size, Tuple shape, Tuple strides, boolean readonly, long length) {
    return Tuple.of("memoryview", format, size, shape, strides, readonly, length);
  }

  private static void buffersIn() {
    try (Interpreter interp = Subpy.create();
        Arena arena = Arena.ofConfined()) {
      interp.exec(SHOW);
      MemorySegment segment = arena.allocate(12, 8);
      segment.setAtIndex(ValueLayout.JAVA_INT, 1, 7);
      PythonBuffer bytes = PythonBuffer.of(segment);
      Check.equal(interp.call("show", bytes), shown("B", 1, Tuple.of(12L), Tuple.of(1L), true, 12));
      Check.equal(interp.call("items", bytes.format("i")), List.of(0L, 7L, 0L));
      Check.equal(interp.call("items", bytes.format("i").shape(3, 1)), List.of(List.of(0L), List.of(7L), List.of(0L)));
      Check.equal(
          interp.call("show", bytes.format("i").shape(2).strides(8)),
          shown("i", 4, Tuple.of(2L), Tuple.of(8L), true, 8));
      Check.equal(interp.call("show", bytes.format("<i", 4)), shown("<i", 4, Tuple.of(3L), Tuple.of(4L), true, 12));
      interp.call("builtins:memoryview.__setitem__", bytes.writable(true), 5, 1);
      Check.equal(segment.getAtIndex(ValueLayout.JAVA_INT, 1), 7 + 256);
      Check.equal(
          failure(() -> interp.call("builtins:memoryview.__setitem__", bytes, 5, 1)).type().name(), "TypeError");
      Check.equal(interp.call("show", PythonBuffer.of(segment.asSlice(4, 0))), shown("B", 1, Tuple.of(0L), Tuple.of(1L), true, 0));

      ByteBuffer direct = ByteBuffer.allocateDirect(64);
      direct.putDouble(8, 0.5).position(8).limit(24);
      Check.equal(interp.call("show", PythonBuffer.of(direct)), shown("B", 1, Tuple.of(16L), Tuple.of(1L), true, 16));
      // Java's own order is not that of this machine.
      Check.equal(
          interp.call("show", PythonBuffer.of(direct.asDoubleBuffer())),
          shown(">d", 8, Tuple.of(2L), Tuple.of(8L), true, 16));
      interp.exec("import struct\ndef unpack(b): return struct.unpack('>2d', b)");
      Check.equal(interp.call("unpack", PythonBuffer.of(direct.asDoubleBuffer())), Tuple.of(0.5, 0.0));
      direct.order(ByteOrder.nativeOrder());
      Map<String, PythonBuffer> typed = new LinkedHashMap<>();
      typed.put("h", PythonBuffer.of(direct.asShortBuffer()));
      typed.put("H", PythonBuffer.of(direct.asCharBuffer()));
      typed.put("i", PythonBuffer.of(direct.asIntBuffer()));
      typed.put("q", PythonBuffer.of(direct.asLongBuffer()));
      typed.put("f", PythonBuffer.of(direct.asFloatBuffer()));
      typed.put("d", PythonBuffer.of(direct.asDoubleBuffer()));
      typed.forEach((format, buffer) -> Check.equal(((Tuple) interp.call("show", buffer)).get(1), format));
      Check.thrown(
          IllegalArgumentException.class, () -> PythonBuffer.of(direct.asReadOnlyBuffer()).writable(true));

      Check.thrown(IllegalArgumentException.class, () -> PythonBuffer.of(ByteBuffer.allocate(4)));
      Check.thrown(IllegalArgumentException.class, () -> PythonBuffer.of(MemorySegment.ofArray(new byte[4])));
      Check.thrown(IllegalArgumentException.class, () -> bytes.format("a\0"));
      Check.thrown(NullPointerException.class, () -> bytes.format(null));
      for (PythonBuffer wrong : List.of(bytes.format("d").shape(2), bytes.shape(13), bytes.format("x y"), bytes.shape(3).strides(8))) {
        Check.refusedLike(Status.INVALID_ARGUMENT, () -> interp.call("show", wrong));
      }
      Check.equal(bytes.format("i").toString(), "PythonBuffer(i, [])");
      Check.equal(bytes.toString(), "PythonBuffer(B, [12])");
    }
    Arena closed = Arena.ofShared();
    PythonBuffer gone = PythonBuffer.of(closed.allocate(8));
    closed.close();
    try (Interpreter interp = Subpy.create()) {
      Check.refused(
          Status.NOT_SHAREABLE,
          "args[0]['x']: the memory of the buffer is gone: it was closed",
          () -> interp.call("builtins:len", Map.of("x", gone)));
    }
    System.out.println("buffers: of Java's memory");
  }

  private static void buffersLent() {
    try (Interpreter interp = Subpy.create()) {
      interp.exec(SHOW + "def keep(b, part):\n  global kept\n  kept = b[1:] if part else b");
      AtomicInteger released = new AtomicInteger();
      PythonBuffer lent =
          PythonBuffer.of(ByteBuffer.allocateDirect(8)).lent(true).onRelease(released::incrementAndGet);
      interp.call("keep", lent, false);
      Check.equal(failure(() -> interp.exec("kept[0]")).type().name(), "ValueError");
      interp.exec("kept = None");
      Check.equal(released.get(), 1);
      Check.refusedLike(Status.BUSY, () -> interp.call("keep", lent, true));
      Check.equal(interp.eval("len(kept)"), 7L);
      Check.equal(released.get(), 1);
      interp.exec("kept = None");
      Check.equal(released.get(), 2);
    }
    System.out.println("buffers: lent for one call");
  }

  /** Whatever becomes of the call. */
  private static void buffersAreReleasedOnce() throws InterruptedException {
    AtomicInteger released = new AtomicInteger();
    PythonBuffer buffer =
        PythonBuffer.of(ByteBuffer.allocateDirect(64)).onRelease(released::incrementAndGet);
    int passed = 0;
    Interpreter interp = Subpy.create();
    interp.exec(SHOW + "def f(*a): pass\ndef fail(*a): raise KeyError\ndef keep(b): kept.append(b)");
    Function prepared = interp.function("f");
    Interpreter gone = Subpy.create();
    gone.close();
    List<Runnable> actions =
        List.of(
            () -> interp.call("f", buffer),
            () -> interp.call("fail", buffer),
            () -> interp.call("not_there", buffer),
            () -> interp.call("f", buffer, new Object()),
            () -> interp.call("f", List.of(buffer), Keywords.of("k", 1)),
            () -> interp.call("f", buffer.shape(1, 2, 3)),
            () -> interp.call("f", Map.of(List.of(), buffer)),
            () -> interp.call(RunOptions.DEFAULT.interruptible(true), "f", buffer),
            () -> gone.call("f", buffer),
            () -> gone.callInThread("f", buffer),
            () -> interp.callInThread("f", buffer).join(),
            () -> interp.callInThread("f", "\ud800", buffer),
            () -> prepared.call(buffer),
            () -> prepared.callMany(List.of(List.of(buffer))),
            () -> interp.evalObject("f").call(buffer),
            () -> interp.evalObject("{}").item(buffer),
            () -> interp.evalObject("[]").callMethod("index", buffer),
            () -> interp.prepareMain(Map.of("f2", buffer.shape(7))),
            () -> interp.call("host", 1));
    interp.define("host", call -> buffer);
    for (int round = 0; round < 20; round++) {
      for (Runnable action : actions) {
        try {
          action.run();
        } catch (SubpyException e) {
          // What it says is not what this is about.
        }
        passed++;
      }
    }
    passed -= 20; // the text before the buffer is wrong
    interp.exec("del f, fail");
    Check.equal(released.get(), passed);

    interp.call("keep", buffer);
    interp.call("keep", List.of(buffer, buffer));
    Check.equal(released.get(), passed);
    interp.exec("kept.pop()");
    Check.equal(released.get(), passed + 2);
    interp.close();
    Check.equal(released.get(), passed + 3);

    // The memory itself is kept as long as Python has it.
    try (Interpreter keeping = Subpy.create()) {
      keeping.exec(SHOW);
      WeakReference<Object> memory = passedAndDropped(keeping);
      for (int round = 0; round < 5; round++) {
        System.gc();
      }
      Check.equal(keeping.eval("sum(view)"), 4_000_000L);
      Check.that(memory.get() != null);
      keeping.exec("del view");
      eventually(() -> memory.get() == null);
    }

    // What it throws reaches nobody but the handler.
    try (Interpreter again = Subpy.create()) {
      AtomicReference<Throwable> caught = new AtomicReference<>();
      Thread.UncaughtExceptionHandler before = Thread.getDefaultUncaughtExceptionHandler();
      Thread.setDefaultUncaughtExceptionHandler((thread, t) -> caught.set(t));
      RuntimeException mine = new RuntimeException("mine");
      again.call("builtins:len", PythonBuffer.of(ByteBuffer.allocateDirect(1)).onRelease(() -> {
        throw mine;
      }));
      Check.that(caught.get() == mine, caught.get());
      Thread.setDefaultUncaughtExceptionHandler(before);
    }
    System.out.println("buffers: released once each");
  }

  private static WeakReference<Object> passedAndDropped(Interpreter interp) {
    ByteBuffer memory = ByteBuffer.allocateDirect(1_000_000);
    while (memory.hasRemaining()) {
      memory.put((byte) 4);
    }
    interp.prepareMain(Map.of("view", PythonBuffer.of(memory.flip())));
    return new WeakReference<>(memory);
  }

  private static PythonBuffer buffer(Interpreter interp, String expression) {
    return (PythonBuffer) interp.eval(BUFFER, expression);
  }

  @SuppressWarnings("try") // what is closed twice, on purpose
  private static void buffersOut() throws InterruptedException {
    try (Interpreter interp = Subpy.create();
        Interpreter other = Subpy.create()) {
      interp.exec("import array\nb = bytearray(range(256)) * 100");
      PythonBuffer shared = buffer(interp, "b");
      Check.equal(shared.format(), "B");
      Check.equal(shared.itemSize(), 1L);
      Check.equal(shared.shape(), new long[] {25_600});
      Check.that(shared.isWritable());
      shared.segment().set(ValueLayout.JAVA_BYTE, 3, (byte) 99);
      Check.equal(interp.eval("b[3]"), 99L);
      interp.exec("b[4] = 98");
      Check.equal(shared.asByteBuffer().get(4), (byte) 98);
      Check.equal(failure(() -> interp.exec("b.append(1)")).type().name(), "BufferError");
      // Passed on, also to another interpreter, it stays good without the result.
      other.prepareMain(Map.of("view", shared));
      interp.prepareMain(Map.of("view", shared));
      MemorySegment view = shared.segment().asSlice(3, 2);
      shared.close();
      shared.close();
      Check.thrown(IllegalStateException.class, () -> view.get(ValueLayout.JAVA_BYTE, 0));
      Check.thrown(IllegalStateException.class, shared::toByteArray);
      Check.thrown(NotShareableException.class, () -> interp.call("builtins:len", shared));
      Check.equal(other.eval("view[3], len(view)"), Tuple.of(99L, 25_600L));
      Check.equal(failure(() -> interp.exec("b.append(1)")).type().name(), "BufferError");
      other.exec("del view");
      interp.exec("del view");
      interp.exec("1");
      interp.exec("b.append(1)");

      PythonBuffer bytes = buffer(interp, "bytes(5000)");
      Check.that(!bytes.isWritable() && bytes.segment().isReadOnly());
      Check.thrown(ReadOnlyBufferException.class, () -> bytes.asByteBuffer().put(0, (byte) 1));
      Check.thrown(IllegalArgumentException.class, () -> bytes.writable(true));
      Check.equal(buffer(interp, "b''").byteSize(), 0L);
      PythonBuffer matrix = buffer(interp, "memoryview(bytes(24)).cast('B').cast('i', (2, 3))");
      Check.equal(matrix.shape(), new long[] {2, 3});
      Check.equal(matrix.format() + matrix.itemSize(), "i4");
      Check.equal(interp.call("builtins:memoryview.tolist", matrix), List.of(List.of(0L, 0L, 0L), List.of(0L, 0L, 0L)));

      // Several in one result, each of which is closed by itself.
      List<?> several = (List<?>) interp.eval(BUFFER, "[bytearray(9000), {'k': b'x' * 9000}, 7]");
      PythonBuffer second = (PythonBuffer) ((Map<?, ?>) several.get(1)).get("k");
      ((PythonBuffer) several.get(0)).close();
      Check.equal(second.segment().get(ValueLayout.JAVA_BYTE, 8_999), (byte) 'x');
      second.close();
      // A result that Java cannot have is freed.
      interp.exec("c = bytearray(9000)");
      Check.thrown(
          NotShareableException.class, () -> interp.eval(BUFFER, "[c, {float('nan'): 1, float('nan'): 2}]"));
      eventually(() -> canGrow(interp, "c"));

      // Whoever has a view has the result.
      for (int round = 0; round < 100; round++) {
        ByteBuffer last = buffer(interp, "c").asByteBuffer();
        if (round % 20 == 0) {
          System.gc();
        }
        Check.equal(last.get(8_999), (byte) 0);
      }
      eventually(() -> canGrow(interp, "c"));
      ByteBuffer held = buffer(interp, "b").asByteBuffer();
      for (int round = 0; round < 5; round++) {
        System.gc();
        Thread.sleep(5);
      }
      Check.that(!canGrow(interp, "b"));
      Check.equal(held.get(3), (byte) 99);
    }

    Interpreter closing = Subpy.create();
    PythonBuffer outlives = buffer(closing, "bytearray(b'still') * 2000");
    closing.close();
    Check.equal(outlives.segment().get(ValueLayout.JAVA_BYTE, 9_999), (byte) 'l');
    outlives.close();
    System.out.println("buffers: of Python's memory");
  }

  private static boolean canGrow(Interpreter interp, String bytearray) {
    try {
      interp.exec(bytearray + ".append(0)\n" + bytearray + ".pop()");
      return true;
    } catch (ExecutionFailedException e) {
      Check.equal(e.type().name(), "BufferError");
      return false;
    }
  }

  private static void buffersThatAreGone() {
    try (Interpreter interp = Subpy.create()) {
      PythonBuffer buffer = buffer(interp, "bytearray(10_000)");
      PythonBuffer same = buffer.format("b");
      buffer.close();
      Check.thrown(IllegalStateException.class, () -> same.segment().get(ValueLayout.JAVA_BYTE, 0));
      // Those of Java's memory have nothing to close.
      PythonBuffer own = PythonBuffer.of(ByteBuffer.allocateDirect(8));
      own.close();
      Check.equal(interp.call("builtins:len", own), 8L);
    }
  }

  private static void buffersOfProcesses() {
    try (Interpreter interp = Subpy.create(Options.DEFAULT.process(ProcessOptions.DEFAULT))) {
      interp.exec("def fill(view): view[1] = 2.5\ndef look(view): return view.tolist()");
      PythonBuffer shared = PythonBuffer.allocateShared(800_000).format("d");
      Check.equal(shared.isWritable(), true);
      interp.call("fill", shared);
      Check.equal(shared.segment().get(ValueLayout.JAVA_DOUBLE, 8), 2.5);
      PythonBuffer slice = PythonBuffer.of(shared.segment().asSlice(8, 8)).format("d");
      Check.equal(interp.call("look", slice), List.of(2.5));
      ByteBuffer direct = ByteBuffer.allocateDirect(2);
      Check.equal(interp.call("look", PythonBuffer.of(direct)), List.of(0L, 0L));
      Check.refusedLike(Status.NOT_SHAREABLE, () -> interp.call("look", PythonBuffer.of(direct).writable(true)));
    }
  }

  private static void buffersOfManyThreads() throws InterruptedException {
    try (Interpreter interp = Subpy.create(Options.DEFAULT.busy(Options.Busy.WAIT))) {
      interp.exec("b = bytearray(100_000)");
      AtomicReference<Throwable> wrong = new AtomicReference<>();
      for (int round = 0; round < 50; round++) {
        PythonBuffer buffer = buffer(interp, "b");
        List<Thread> threads = new ArrayList<>();
        for (int number = 0; number < 3; number++) {
          int own = number;
          threads.add(
              Thread.ofPlatform()
                  .start(
                      () -> {
                        try {
                          for (int call = 0; call < 5; call++) {
                            if (own == 0 && call == 2) {
                              buffer.close();
                            }
                            Check.equal(interp.call("builtins:len", buffer), 100_000L);
                            Check.equal(buffer.segment().get(ValueLayout.JAVA_BYTE, 5), (byte) 0);
                          }
                        } catch (NotShareableException | IllegalStateException over) {
                          // As it was to be.
                        } catch (Throwable t) {
                          wrong.set(t);
                        }
                      }));
        }
        for (Thread thread : threads) {
          thread.join();
        }
        if (wrong.get() != null) {
          throw new AssertionError(wrong.get());
        }
      }
      interp.exec("b.append(1)"); // nothing holds it
    }
    System.out.println("buffers: closed while they are used");
  }

  private static void arrays() {
    try (Interpreter interp = Subpy.create()) {
      PythonBuffer doubles = (PythonBuffer) interp.eval(ARRAY, "[0.5, -0.0]");
      Check.equal(doubles.toDoubleArray(), new double[] {0.5, -0.0});
      Check.thrown(IllegalStateException.class, doubles::toLongArray);
      PythonBuffer longs = (PythonBuffer) interp.eval(ARRAY, "(2**63 - 1, -1)");
      Check.equal(longs.toLongArray(), new long[] {Long.MAX_VALUE, -1});
      Check.thrown(IllegalStateException.class, longs::toDoubleArray);
      Check.equal(interp.eval(ARRAY, "[1, True]"), List.of(1L, true));
      Check.equal(interp.eval(ARRAY, "[]"), List.of());
      Map<?, ?> several = (Map<?, ?>) interp.eval(ARRAY, "{'a': [1], 'b': [1.0, 2.0], 'c': 'x'}");
      Check.equal(((PythonBuffer) several.get("b")).toDoubleArray(), new double[] {1, 2});
      RunOptions both = RunOptions.DEFAULT.result(ResultForm.ARRAY, ResultForm.BUFFER, ResultForm.OBJECTS);
      List<?> all = (List<?>) interp.eval(both, "[[1, 2], b'abc', object(), 'x']");
      Check.equal(((PythonBuffer) all.get(0)).toLongArray(), new long[] {1, 2});
      Check.equal(new String(((PythonBuffer) all.get(1)).toByteArray()), "abc");
      Check.equal(all.get(2).getClass(), PythonObject.class);
    }
    System.out.println("arrays: in one piece");
  }

  private static void taggedValues() {
    Map<String, Object> exact = new LinkedHashMap<>();
    exact.put("{1, 'a'}", Set.of(1L, "a"));
    exact.put("set()", Set.of());
    exact.put("frozenset({1})", new Tagged(Tag.FROZENSET, Tuple.of(1L)));
    exact.put("{frozenset({1})}", Set.of(new Tagged(Tag.FROZENSET, Tuple.of(1L))));
    exact.put("1.5-2j", new Tagged(Tag.COMPLEX, Tuple.of(1.5, -2.0)));
    exact.put("date(1, 1, 1)", LocalDate.of(1, 1, 1));
    exact.put("date.max", LocalDate.of(9999, 12, 31));
    exact.put("time(0)", LocalTime.MIDNIGHT);
    exact.put("time.max", LocalTime.of(23, 59, 59, 999_999_000));
    exact.put("time(12, 30, tzinfo=timezone(timedelta(hours=-5, minutes=-30)))",
        OffsetTime.of(12, 30, 0, 0, ZoneOffset.ofHoursMinutes(-5, -30)));
    exact.put("datetime(2026, 2, 28)", LocalDateTime.of(2026, 2, 28, 0, 0));
    exact.put("datetime.max", LocalDateTime.of(9999, 12, 31, 23, 59, 59, 999_999_000));
    exact.put("datetime(2026, 2, 28, 1, 2, 3, 4, timezone.utc)",
        OffsetDateTime.of(2026, 2, 28, 1, 2, 3, 4_000, ZoneOffset.UTC));
    exact.put("datetime(2026, 2, 28, tzinfo=timezone(timedelta(seconds=-1)))",
        OffsetDateTime.of(2026, 2, 28, 0, 0, 0, 0, ZoneOffset.ofTotalSeconds(-1)));
    // Beyond the 18 hours of Java.
    exact.put("datetime(2026, 2, 28, tzinfo=timezone(timedelta(hours=20)))",
        new Tagged(Tag.DATETIME, "2026-02-28T00:00:00+20:00"));
    exact.put("timedelta(0)", Duration.ZERO);
    exact.put("timedelta(microseconds=-1)", Duration.ofNanos(-1000));
    exact.put("timedelta.min", Duration.ofDays(-999_999_999));
    exact.put("timedelta.max", Duration.ofDays(1_000_000_000).minusNanos(1000));
    for (String number : new String[] {"1.50", "0", "0.00", "0E+3", "-1E-400", "1E+1000", "123456789012345678901234567890.1"}) {
      exact.put("Decimal('" + number + "')", new BigDecimal(number));
    }
    for (String number : new String[] {"-0", "-0.00", "NaN", "-sNaN12", "Infinity", "1E+9999999999"}) {
      exact.put("Decimal('" + number + "')", new Tagged(Tag.DECIMAL, number));
    }
    exact.put("UUID(int=2**128 - 1)", new UUID(-1, -1));
    exact.put("E.A", new Tagged(Tag.ENUM, Tuple.of("__main__:E", "A", 1L)));
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("__class__", "__main__:P");
    fields.put("x", Set.of(3L));
    exact.put("P({3})", new Tagged(Tag.DATACLASS, fields));
    exact.put("[({'k': {1}},)]", List.of(Tuple.of(Map.of("k", Set.of(1L)))));

    String setup =
        "from datetime import *\nfrom decimal import *\nfrom uuid import UUID\nimport enum, dataclasses\n"
            + "class E(enum.Enum):\n  A = 1\n@dataclasses.dataclass\nclass P:\n  x: object\n"
            // The order of a set's elements is not told.
            + "def shown(x):\n  return sorted(map(repr, x)) if isinstance(x, set) else repr(x)\n"
            + "def same(a, text):\n  b = eval(text)\n"
            + "  return (type(a), shown(a)) == (type(b), shown(b)) or repr((a, b))\n";
    Options tagging = Options.DEFAULT.flag(Options.Flag.TAGGED_VALUES);
    try (Interpreter interp = Subpy.create(tagging);
        Interpreter plain = Subpy.create()) {
      interp.exec(setup);
      plain.exec(setup);
      interp.define("echo", call -> call.arg(0));
      exact.forEach(
          (text, object) -> {
            Check.equal(interp.eval(text), object);
            Check.equal(interp.call("same", interp.call("echo", object), text), true);
            Check.equal(plain.call("same", object, text), true);
          });
      Check.thrown(NotShareableException.class, () -> plain.eval("{1}"));
      Map<String, Object> refused = new HashMap<>();
      String micros = "Python has whole microseconds: truncatedTo(ChronoUnit.MICROS)";
      refused.put("args[0]: " + micros, LocalTime.of(1, 2, 3, 4));
      refused.put("args[0][0]: " + micros, List.of(Duration.ofNanos(1)));
      refused.put("args[0][0][0]: java.lang.Object cannot be shared", List.of(Set.of(new Object())));
      refused.put("args[0]: a tagged value is not made of another one", new Tagged(Tag.SET, Set.of(1)));
      refused.forEach(
          (message, object) -> Check.refused(Status.NOT_SHAREABLE, message, () -> plain.call("same", object, "1")));
      Check.refusedLike(Status.INVALID_ARGUMENT, () -> plain.call("same", new Tagged(Tag.SET, Tuple.of(1)), "1"));
      Check.refusedLike(Status.INVALID_ARGUMENT, () -> plain.call("same", new Tagged(Tag.DATE, 1), "1"));
      Check.equal(
          failure(() -> plain.call("same", LocalDate.of(10_000, 1, 1), "1")).type().name(), "ValueError");
      Check.equal(failure(() -> plain.call("same", Set.of(List.of()), "1")).type().name(), "TypeError");
      Check.refused(
          Status.NOT_SHAREABLE,
          "result: a set has different items that are equal in Java",
          () -> interp.eval("{float('nan'), float('nan')}"));
      Check.thrown(NullPointerException.class, () -> new Tagged(null, 1));
    }
    System.out.println("tagged values: " + exact.size() + " are exact");
  }

  private static void memory() {
    try (Interpreter counting = Subpy.create(Options.DEFAULT.flag(Options.Flag.COUNT_MEMORY));
        Interpreter limited = Subpy.create(Options.DEFAULT.memoryLimit(100_000_000));
        Interpreter plain = Subpy.create()) {
      MemoryInfo before = counting.memory();
      counting.exec("b = bytearray(50_000_000)");
      MemoryInfo with = counting.memory();
      Check.that(with.used() - before.used() >= 50_000_000, before, with);
      Check.that(with.peak() >= with.used() && with.limit() == 0 && with.refused() == 0, with);
      counting.exec("del b");
      Check.that(counting.memory().used() < 50_000_000 && counting.memory().peak() >= 50_000_000);

      Check.equal(
          failure(() -> limited.exec("x = []\nwhile True: x.append(bytes(100_000))")).type().name(), "MemoryError");
      MemoryInfo full = limited.memory();
      Check.that(full.limit() == 100_000_000 && full.refused() > 0, full);
      limited.exec("x.clear()");
      Check.equal(limited.eval("len(bytes(1_000_000))"), 1_000_000L);

      Check.refusedLike(Status.WRONG_STATE, plain::memory);
      Check.thrown(IllegalArgumentException.class, () -> Options.DEFAULT.memoryLimit(-1));
      Check.refusedLike(Status.INVALID_ARGUMENT, () -> Subpy.create(Options.DEFAULT.memoryLimit(1)));
    }
    System.out.println("memory: counted and limited");
  }
}
