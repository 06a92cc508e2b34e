import io.github.subpy.Interpreter;
import io.github.subpy.NotShareableException;
import io.github.subpy.Status;
import io.github.subpy.Subpy;
import io.github.subpy.SubpyException;

/** A library that returns what these classes do not know (newer.c). */
public class Newer {
  public static void main(String[] args) {
    Interpreter interp = Subpy.create();
    try {
      Check.that(false, interp.eval("kind"));
    } catch (NotShareableException e) {
      Check.equal(e.getMessage(), "result: a value of the unknown kind 77");
    }
    try {
      Check.that(false, interp.eval("status"));
    } catch (SubpyException e) {
      Check.equal(e.status(), Status.UNKNOWN);
      Check.equal(e.code(), -77);
      Check.equal(e.getMessage(), "SUBPY_ERROR_UNKNOWN");
    }
    interp.close();
    Subpy.shutdown();
    System.out.println("done");
  }
}
