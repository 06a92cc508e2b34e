package io.github.subpy;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import java.util.stream.Stream;

/** libsubpy, which is looked for once: where it is, or what was wrong. */
final class Library {
  /** The version that these classes are for, without the last part: 0.1. */
  private static final int VERSION = 1;

  private static final int RTLD_LAZY = 1;

  private static final SymbolLookup LOOKUP;

  /** Why there is no library; null when there is one. Not thrown here: a class that fails to load says so only once. */
  private static final String FAILURE;

  static {
    SymbolLookup lookup = null;
    String failure = null;
    try {
      lookup = open();
    } catch (UnsatisfiedLinkError e) {
      failure = e.getMessage();
    } catch (IllegalCallerException e) {
      failure = e.getMessage() + ": start java with --enable-native-access=" + caller();
    }
    LOOKUP = lookup;
    FAILURE = failure;
  }

  private Library() {}

  /** Throws when there is no library. Comes before everything else that needs one. */
  static void require() {
    if (FAILURE != null) {
      throw new UnsatisfiedLinkError(FAILURE);
    }
  }

  /** A function of the library, without its prefix. The result is null for none. */
  static MethodHandle function(String name, MemoryLayout result, MemoryLayout... arguments) {
    return handle(LOOKUP, "subpy_" + name, type(result, arguments));
  }

  /** What a method handle declares to throw, and these do not. */
  static RuntimeException unexpected(Throwable t) {
    if (t instanceof RuntimeException e) {
      return e;
    }
    if (t instanceof Error e) {
      throw e;
    }
    return new IllegalStateException(t);
  }

  /** A text of the library that ends with a NUL; null for NULL. */
  static String string(MemorySegment text) {
    return text.equals(MemorySegment.NULL) ? null : text.reinterpret(Long.MAX_VALUE).getString(0);
  }

  private static SymbolLookup open() {
    String named = System.getProperty("subpy.library", "");
    String how = ", which the system property subpy.library names";
    if (named.isEmpty()) {
      named = System.getenv().getOrDefault("SUBPY_LIBRARY", "");
      how = ", which the environment variable SUBPY_LIBRARY names";
    }
    String file = System.mapLibraryName("subpy");
    StringBuilder tried = new StringBuilder();
    List<String> names = new ArrayList<>();
    if (!named.isEmpty()) {
      names.add(named);
    } else {
      try {
        String bundled = Bundled.path();
        if (bundled != null) {
          names.add(bundled);
        }
      } catch (IOException e) {
        tried.append("\n  the one in the jar\n    ").append(e.getMessage());
      }
      // Where only what running programs need is installed, the second is not there.
      names.add(file + ".0");
      names.add(file);
    }
    for (String name : names) {
      SymbolLookup library;
      try {
        library = SymbolLookup.libraryLookup(name, Arena.global());
      } catch (IllegalArgumentException e) {
        tried.append("\n  ").append(name).append(named.isEmpty() ? "" : how).append("\n    ").append(reason(name, e));
        continue;
      }
      check(library, named.isEmpty() ? name : name + how + ",", !named.isEmpty());
      return library;
    }
    throw new UnsatisfiedLinkError(
        "libsubpy cannot be loaded. Tried:"
            + tried
            + "\nInstall it where the dynamic linker looks (in the sources of subpy: make install, then ldconfig), or "
            + "name its file: -Dsubpy.library=/path/to/"
            + file
            + ", or SUBPY_LIBRARY in the environment.");
  }

  /** Another version may lack functions, or have them with other arguments, so this comes before they are looked up. */
  private static void check(SymbolLookup library, String name, boolean named) {
    MemorySegment function =
        library
            .find("subpy_version")
            .orElseThrow(
                () -> new UnsatisfiedLinkError(name + " is not libsubpy: it has no function subpy_version()"));
    int version;
    try {
      version = (int) Linker.nativeLinker().downcallHandle(function, type(JAVA_INT)).invokeExact();
    } catch (Throwable t) {
      throw unexpected(t);
    }
    if (version / 1000 != VERSION) {
      throw new UnsatisfiedLinkError(
          String.format(
              "%s is version %d.%d.%d of libsubpy, and this jar needs %d.%d: install the library and the jar of "
                  + "one version",
              named ? name : file(function.address()),
              version / 1_000_000,
              version / 1000 % 1000,
              version % 1000,
              VERSION / 1000,
              VERSION % 1000));
    }
  }

  /** The file from which the code at an address is. */
  private static String file(long address) {
    try (Stream<String> maps = Files.lines(Path.of("/proc/self/maps"))) {
      // 7f0a8a600000-7f0a8a6e5000 r-xp 00028000 fe:00 1234    /usr/local/lib/libsubpy.so.0
      Predicate<String> holds =
          line -> {
            String[] range = line.split("[- ]", 3);
            return Long.parseUnsignedLong(range[0], 16) <= address
                && address < Long.parseUnsignedLong(range[1], 16);
          };
      return maps.filter(holds).map(line -> line.substring(line.indexOf('/'))).findFirst().orElse("?");
    } catch (IOException e) {
      return "?";
    }
  }

  /** What the dynamic linker says about a library that it does not load, which Java does not tell. */
  private static String reason(String name, IllegalArgumentException fallback) {
    SymbolLookup system = Linker.nativeLinker().defaultLookup();
    try (Arena arena = Arena.ofConfined()) {
      MethodHandle dlerror = handle(system, "dlerror", type(ADDRESS));
      MethodHandle dlopen = handle(system, "dlopen", type(ADDRESS, ADDRESS, JAVA_INT));
      MemorySegment opened = (MemorySegment) dlopen.invokeExact(arena.allocateFrom(name), RTLD_LAZY);
      String reason = opened.equals(MemorySegment.NULL) ? string((MemorySegment) dlerror.invokeExact()) : null;
      return reason == null ? fallback.getMessage() : reason;
    } catch (UnsatisfiedLinkError e) { // another C library
      return fallback.getMessage();
    } catch (Throwable t) {
      throw unexpected(t);
    }
  }

  private static FunctionDescriptor type(MemoryLayout result, MemoryLayout... arguments) {
    return result == null ? FunctionDescriptor.ofVoid(arguments) : FunctionDescriptor.of(result, arguments);
  }

  private static MethodHandle handle(SymbolLookup library, String name, FunctionDescriptor type) {
    MemorySegment symbol = library.find(name).orElseThrow(() -> new UnsatisfiedLinkError(name));
    return Linker.nativeLinker().downcallHandle(symbol, type);
  }

  private static String caller() {
    Module module = Library.class.getModule();
    return module.isNamed() ? module.getName() : "ALL-UNNAMED";
  }
}
