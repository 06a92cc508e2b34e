import io.github.subpy.Function;
import io.github.subpy.Interpreter;
import io.github.subpy.Session;
import io.github.subpy.Subpy;
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
    }
    Subpy.shutdown();
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
