import io.github.subpy.Subpy;
import java.io.IOException;

/** A library that is missing or does not fit: everything says so, each time in the same words, and nothing of it stays open. */
public class Loading {
  public static void main(String[] args) throws IOException {
    String first = message(Subpy::version);
    for (Runnable action : new Runnable[] {Subpy::create, Subpy::version, Subpy::listAll, () -> Subpy.statusName(0)}) {
      Check.equal(message(action), first);
    }
    Check.equal(Inside.descriptors().size(), 0);
    System.out.println(first);
  }

  private static String message(Runnable action) {
    try {
      action.run();
    } catch (UnsatisfiedLinkError e) {
      return e.getMessage();
    }
    throw new AssertionError("the library was loaded");
  }
}
