import io.github.subpy.ExecutionFailedException;
import io.github.subpy.Interpreter;
import io.github.subpy.Keywords;
import io.github.subpy.Subpy;
import java.util.Map;

public class Hello {
  public static void main(String[] args) {
    try (Interpreter interp = Subpy.create()) {
      interp.exec(
          """
          import collections

          def count(text, *, least=1):
              words = collections.Counter(text.split())
              return {word: n for word, n in words.items() if n >= least}
          """);
      Map<?, ?> words = (Map<?, ?>) interp.call("count", "to be or not to be", Keywords.of("least", 2));
      words.forEach((word, n) -> System.out.println(word + ": " + n));
      try {
        interp.call("count", 42);
      } catch (ExecutionFailedException failed) {
        System.out.println(failed.traceback());
      }
    }
    Subpy.shutdown();
  }
}
