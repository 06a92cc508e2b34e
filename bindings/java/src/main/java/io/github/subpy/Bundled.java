package io.github.subpy;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * The library inside the jar. It is loaded out of a file without a name, which nobody can write to any more: nothing is put where
 * others could change it. The descriptor stays open, since processes for interpreters get the library by it.
 */
final class Bundled {
  /** What jars may have a library for. */
  private static final List<String> SYSTEMS = List.of("linux-x86_64", "linux-aarch64");

  private static final String NAME = "libsubpy.so";

  /** What a link in /proc/self/fd says of it. */
  private static final Path LINK = Path.of("/memfd:" + NAME + " (deleted)");

  /**
   * /proc/self/fd, as nobody else writes it. The dynamic linker knows what it has loaded by name, even when a descriptor of that
   * number is another file's by now.
   */
  private static final Path DESCRIPTORS = Path.of("/proc/self/./fd");

  // linux/memfd.h, linux/fcntl.h and asm-generic/errno-base.h.
  private static final int MFD_CLOEXEC = 1;
  private static final int MFD_ALLOW_SEALING = 2;
  private static final int MFD_NOEXEC_SEAL = 8;
  private static final int F_ADD_SEALS = 1033;

  /** No other seals, no shrinking, no growing, no writing. */
  private static final int ALL_SEALS = 1 | 2 | 4 | 8;

  private static final int EINVAL = 22;

  private static final VarHandle ERRNO =
      Linker.Option.captureStateLayout().varHandle(MemoryLayout.PathElement.groupElement("errno"));

  private Bundled() {}

  /** What the dynamic linker can open; null when the jar has no library. */
  static String path() throws IOException {
    String system = system();
    byte[] code;
    try (InputStream resource = Bundled.class.getResourceAsStream(resource(system))) {
      if (resource == null) {
        for (String other : SYSTEMS) {
          if (Bundled.class.getResource(resource(other)) != null) {
            throw new IOException("it is for " + other + ", and this is " + system);
          }
        }
        return null;
      }
      code = resource.readAllBytes();
    }
    // Classes of another class loader take the same file, for which the dynamic linker has one library.
    synchronized (Linker.class) {
      Path path = loaded(code);
      return (path == null ? create(code) : path).toString();
    }
  }

  private static String resource(String system) {
    return "/META-INF/native/" + system + "/" + NAME;
  }

  /** What this process runs on, as jars name it: linux-x86_64. */
  private static String system() {
    String architecture = System.getProperty("os.arch", "");
    String name = System.getProperty("os.name", "").toLowerCase(Locale.ROOT);
    return name + "-" + (architecture.equals("amd64") ? "x86_64" : architecture);
  }

  private static Path loaded(byte[] code) throws IOException {
    try (DirectoryStream<Path> descriptors = Files.newDirectoryStream(DESCRIPTORS)) {
      for (Path path : descriptors) {
        try {
          if (Files.readSymbolicLink(path).equals(LINK) && Arrays.equals(Files.readAllBytes(path), code)) {
            return path;
          }
        } catch (IOException e) {
          // Another thread has closed it.
        }
      }
    } catch (DirectoryIteratorException e) {
      throw e.getCause();
    }
    return null;
  }

  private static Path create(byte[] code) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      Linker.Option errno = Linker.Option.captureCallState("errno");
      MethodHandle create = function("memfd_create", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT), errno);
      FunctionDescriptor type = FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT);
      MethodHandle control = function("fcntl", type, Linker.Option.firstVariadicArg(2), errno);
      MethodHandle close = function("close", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
      MemorySegment state = arena.allocate(Linker.Option.captureStateLayout());
      MemorySegment name = arena.allocateFrom(NAME);
      // It is mapped, not executed, which some systems do not allow. Linux before 6.3 does not know the last flag.
      int memory = (int) create.invokeExact(state, name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
      if (memory < 0 && (int) ERRNO.get(state, 0L) == EINVAL) {
        memory = (int) create.invokeExact(state, name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
      }
      if (memory < 0) {
        throw new IOException("no file in memory for it (memfd_create): " + reason(state));
      }
      boolean isDone = false;
      try {
        Path path = DESCRIPTORS.resolve(Integer.toString(memory));
        try {
          Files.write(path, code, StandardOpenOption.WRITE);
        } catch (IOException e) {
          throw new IOException("no memory for it: " + e.getMessage(), e);
        }
        if ((int) control.invokeExact(state, memory, F_ADD_SEALS, ALL_SEALS) < 0) {
          throw new IOException("the file in memory for it cannot be sealed (F_ADD_SEALS): " + reason(state));
        }
        isDone = true;
        return path;
      } finally {
        if (!isDone) {
          int ignored = (int) close.invokeExact(memory);
        }
      }
    } catch (IOException e) {
      throw e;
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  /** What errno was after a call. */
  private static String reason(MemorySegment state) throws Throwable {
    MethodHandle text = function("strerror", FunctionDescriptor.of(ADDRESS, JAVA_INT));
    return Library.string((MemorySegment) text.invokeExact((int) ERRNO.get(state, 0L)));
  }

  private static MethodHandle function(String name, FunctionDescriptor type, Linker.Option... options)
      throws IOException {
    Linker linker = Linker.nativeLinker();
    MemorySegment symbol =
        linker.defaultLookup().find(name).orElseThrow(() -> new IOException("this C library has no " + name + "()"));
    return linker.downcallHandle(symbol, type, options);
  }
}
