import io.github.subpy.Function;
import io.github.subpy.Interpreter;
import io.github.subpy.InterpreterPool;
import io.github.subpy.PoolOptions;
import io.github.subpy.PythonBuffer;
import io.github.subpy.PythonObject;
import io.github.subpy.PythonQueue;
import io.github.subpy.ResultForm;
import io.github.subpy.RunOptions;
import io.github.subpy.Session;
import io.github.subpy.Subpy;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;

/** What calls cost: microseconds, the best of ten rounds. {@code Bench 0.01} is quicker. */
public class Bench {
  private static double seconds = 0.5;
  private static Object sink;

  public static void main(String[] args) {
    if (args.length > 0) {
      seconds = Double.parseDouble(args[0]);
    }
    List<Long> numbers = new ArrayList<>();
    for (long i = 0; i < 1000; i++) {
      numbers.add(i);
    }
    List<List<Long>> rows = numbers.subList(0, 100).stream().map(n -> List.of(n, 2L)).toList();
    try (Interpreter interp = Subpy.create()) {
      interp.exec("def add(a, b): return a + b\nnumbers = list(range(1000))");
      measure("call add(2, 3)", () -> interp.call("add", 2, 3));
      try (Function add = interp.function("add")) {
        measure("the same, prepared", () -> add.call(2, 3));
        measure("a row of 100 of callMany()", () -> add.callMany(rows), rows.size());
        try (Session _ = interp.enter()) {
          measure("the same, in a session", () -> add.call(2, 3));
        }
      }
      interp.define("host", call -> (long) call.arg(0) + (long) call.arg(1));
      interp.exec("def calls():\n  for _ in range(1000): host(2, 3)");
      measure("Python calls Java", () -> interp.call("calls"), 1000);
      measure("eval '1'", () -> interp.eval("1"));
      measure("a list of 1,000 ints out", () -> interp.eval("numbers"));
      measure("a list of 1,000 ints in", () -> interp.call("builtins:len", numbers));
      data(interp);
    }
    PoolOptions options = PoolOptions.DEFAULT.workers(1).setup("def add(a, b): return a + b");
    try (InterpreterPool pool = InterpreterPool.create(options)) {
      measure("a task of a pool", () -> pool.submit("add", 2, 3).join());
      measure("a row of 100 of map()", () -> pool.map(RunOptions.DEFAULT, 25, "add", rows).toList(), rows.size());
    }
    Subpy.shutdown();
  }

  private static void data(Interpreter interp) {
    interp.exec("class C:\n  def add(self, a, b): return a + b\nfloats = [n / 3 for n in range(1000)]");
    try (PythonObject object = interp.callObject("C")) {
      measure("a method of an object", () -> object.callMethod("add", 2, 3));
    }
    RunOptions array = RunOptions.DEFAULT.result(ResultForm.ARRAY);
    measure("a list of 1,000 floats out", () -> interp.eval("floats"));
    measure("the same, as an array", () -> ((PythonBuffer) interp.eval(array, "floats")).toDoubleArray());
    byte[] bytes = new byte[1 << 20];
    PythonBuffer in = PythonBuffer.of(ByteBuffer.allocateDirect(bytes.length));
    measure("1 MiB in", () -> interp.call("builtins:len", bytes));
    measure("the same, as a buffer", () -> interp.call("builtins:len", in));
    interp.exec("memory = bytes(1 << 20)");
    RunOptions buffer = RunOptions.DEFAULT.result(ResultForm.BUFFER);
    measure("1 MiB out", () -> interp.eval("memory"));
    measure(
        "the same, as a buffer",
        () -> {
          try (PythonBuffer out = (PythonBuffer) interp.eval(buffer, "memory")) {
            return out.byteSize();
          }
        });
    PythonQueue queue = PythonQueue.create();
    measure(
        "put() and get() of a queue",
        () -> {
          try {
            queue.put(1);
            return queue.get();
          } catch (InterruptedException e) {
            throw new IllegalStateException(e);
          }
        });
  }

  private static void measure(String what, Supplier<Object> action) {
    measure(what, action, 1);
  }

  /** Of an action that does something so many times. */
  private static void measure(String what, Supplier<Object> action, int each) {
    double best = Double.POSITIVE_INFINITY;
    int count = 1;
    for (int round = 0; round < 10; ) {
      long start = System.nanoTime();
      for (int i = 0; i < count; i++) {
        sink = action.get();
      }
      double spent = (System.nanoTime() - start) / 1e9;
      best = Math.min(best, spent / count);
      if (spent < seconds) {
        count *= 2;
      } else {
        round++;
      }
    }
    System.out.printf("%-30s%10.2f%n", what, best / each * 1e6);
  }
}
