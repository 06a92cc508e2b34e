import io.github.subpy.Interpreter;
import io.github.subpy.Options;
import io.github.subpy.ProcessOptions;
import io.github.subpy.Subpy;
import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** The library of the jar, which this is started with: it comes out of memory, in processes for interpreters as well. */
public class Inside {
  private static final String LINK = "/memfd:libsubpy.so (deleted)";

  public static void main(String[] args) throws Exception {
    try (Interpreter interp = Subpy.create();
        Interpreter other = Subpy.create(Options.DEFAULT.process(ProcessOptions.DEFAULT))) {
      long own = ProcessHandle.current().pid();
      Check.that((long) interp.call("os:getpid") == own);
      Check.that((long) other.call("os:getpid") != own);
      for (Interpreter each : List.of(interp, other)) {
        String maps = (String) each.eval("open('/proc/self/maps').read()");
        Check.that(maps.contains(LINK) && !maps.contains("libsubpy.so\n"), maps);
      }
      Check.equal(descriptors().size(), 1);

      // Classes of another class loader have the same library, and so the same interpreters.
      URL[] jar = {Subpy.class.getProtectionDomain().getCodeSource().getLocation()};
      try (URLClassLoader loader = new URLClassLoader(jar, ClassLoader.getPlatformClassLoader())) {
        Class<?> again = loader.loadClass("io.github.subpy.Subpy");
        Check.that(again != Subpy.class);
        Object all = again.getMethod("listAll").invoke(null);
        Check.equal(((List<?>) all).size(), Subpy.listAll().size());
      }
      List<Path> found = descriptors();
      Check.equal(found.size(), 1);

      // Nobody can change it.
      try {
        Files.write(found.getFirst(), new byte[] {0}, StandardOpenOption.WRITE);
        throw new AssertionError("it was changed");
      } catch (IOException e) {
        Check.that(e.getMessage().endsWith("Operation not permitted"), e.getMessage());
      }
    }
    Subpy.shutdown();
    System.out.println("done");
  }

  /** Those of libraries in memory. */
  static List<Path> descriptors() throws IOException {
    List<Path> found = new ArrayList<>();
    try (Stream<Path> files = Files.list(Path.of("/proc/self/fd"))) {
      for (Path file : (Iterable<Path>) files::iterator) {
        if (Files.isSymbolicLink(file) && Files.readSymbolicLink(file).toString().equals(LINK)) {
          found.add(file);
        }
      }
    }
    return found;
  }
}
