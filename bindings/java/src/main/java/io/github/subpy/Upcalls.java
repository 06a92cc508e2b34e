package io.github.subpy;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BOOLEAN;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;

/**
 * What the library calls: one C function for all host functions, one for all outputs, and one that tells when the library
 * has no use for something any more. Their userdata is a number, by which the object is found: of one that is gone,
 * nothing is called. A Throwable that leaves a method here would end the JVM.
 */
final class Upcalls {
  private static final int MOST_NOTE = 16 * 1024;

  private static final Map<Long, Object> OBJECTS = new ConcurrentHashMap<>();
  private static final AtomicLong LAST = new AtomicLong();

  /** A subpy_host_fn, for each {@link HostFunction}. */
  static final MemorySegment HOST = stub("host", JAVA_LONG, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS);

  /** A subpy_output_fn, for each {@link Output}. */
  static final MemorySegment OUTPUT = stub("output", JAVA_LONG, JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG);

  /** A subpy_prepare_fn, for each {@link Preparation}. */
  static final MemorySegment PREPARE = stub("prepare", JAVA_LONG, JAVA_LONG);

  /** A subpy_map_fn, for each {@link PoolMap.Rest}. */
  static final MemorySegment MAP = map();

  /** A subpy_finalize_fn, and a subpy_notify_fn. */
  static final MemorySegment ENDED = stub("ended", JAVA_LONG);

  private Upcalls() {}

  private static MemorySegment stub(String name, MemoryLayout... arguments) {
    return stub(name, FunctionDescriptor.ofVoid(arguments));
  }

  private static MemorySegment map() {
    return stub("map", FunctionDescriptor.of(JAVA_BOOLEAN, JAVA_LONG, JAVA_LONG, ADDRESS, ADDRESS));
  }

  private static MemorySegment stub(String name, FunctionDescriptor descriptor) {
    MethodType type = descriptor.toMethodType();
    try {
      return Linker.nativeLinker()
          .upcallStub(MethodHandles.lookup().findStatic(Upcalls.class, name, type), descriptor, Arena.global());
    } catch (ReflectiveOperationException e) {
      throw new AssertionError(e);
    }
  }

  /** Keeps an object until {@link #ended}. Returns its number. */
  static long remember(Object object) {
    long id = LAST.incrementAndGet();
    OBJECTS.put(id, object);
    return id;
  }

  /** What is to be told when the library has no use for it any more. */
  interface Ending {
    void ended();

    /** The library has never had it. */
    default void takenBack() {}
  }

  /** The library is not to have it after all. */
  static void takeBack(long id) {
    if (OBJECTS.remove(id) instanceof Ending ending) {
      ending.takenBack();
    }
  }

  /** The library has no use for it, or nobody has. */
  static void ended(long id) {
    try {
      if (OBJECTS.remove(id) instanceof Ending ending) {
        ending.ended();
      }
    } catch (Throwable t) {
      report(t);
    }
  }

  /** An output, and whether it has failed. */
  static final class Sink {
    private final Output output;
    private boolean failed;

    Sink(Output output) {
      this.output = output;
    }

    private synchronized void failed(Throwable t) {
      if (!failed) {
        failed = true;
        report(t);
      }
    }
  }

  private static void output(long id, long interp, int stream, MemorySegment text, long length) {
    try {
      if (OBJECTS.get(id) instanceof Sink sink) {
        try {
          byte[] bytes = text.reinterpret(length).toArray(JAVA_BYTE);
          Output.Stream which = stream == 1 ? Output.Stream.STDOUT : Output.Stream.STDERR;
          sink.output.write(which, new String(bytes, StandardCharsets.UTF_8));
        } catch (Throwable t) {
          sink.failed(t);
        }
      }
    } catch (Throwable t) {
      report(t);
    }
  }

  /** What is done with each new interpreter of a pool, and what that threw first. */
  static final class Preparation {
    private final Consumer<Interpreter> prepare;
    private Throwable failure;
    private boolean reported;

    Preparation(Consumer<Interpreter> prepare) {
      this.prepare = prepare;
    }

    /** What was thrown while the pool was made. If that is nothing, what comes later is reported. */
    synchronized Throwable failure() {
      reported = failure == null;
      return failure;
    }

    private synchronized void failed(Throwable t) {
      if (reported) {
        report(t);
      } else if (failure == null) {
        failure = t;
      }
    }
  }

  private static void prepare(long id, long interp) {
    try {
      if (OBJECTS.get(id) instanceof Preparation preparation) {
        try {
          preparation.prepare.accept(Interpreter.ofHandle(interp));
        } catch (Throwable t) {
          preparation.failed(t);
        }
      }
    } catch (Throwable t) {
      report(t);
    }
  }

  private static boolean map(long id, long index, MemorySegment result, MemorySegment error) {
    try {
      return OBJECTS.get(id) instanceof PoolMap.Rest rest && rest.take(result, error);
    } catch (Throwable t) {
      report(t);
      return false;
    }
  }

  private static void host(
      long id, MemorySegment context, MemorySegment args, long count, MemorySegment kwargs) {
    try {
      Thrown.enter();
      try (Call call = new Call()) {
        try {
          answer((HostFunction) OBJECTS.get(id), context, args, count, kwargs, call);
        } catch (Throwable t) {
          raise(context, t, call);
        }
      } finally {
        Thrown.leave();
      }
    } catch (Throwable t) {
      report(t);
    }
  }

  private static void answer(
      HostFunction function, MemorySegment context, MemorySegment args, long count, MemorySegment kwargs, Call call)
      throws Exception {
    Object result = function.call(new HostCall(context, Result.args(args, count, call), Result.kwargs(kwargs, call)));
    if (result != null) {
      call.passed(HostNative.contextReturn(context, Values.one(result, "result", call)));
    }
  }

  private static void raise(MemorySegment context, Throwable t, Call call) {
    String message = t.getMessage();
    if (t instanceof ExecutionFailedException failed
        && failed.type() != null
        && !(t instanceof ExecutionTimeoutException)) {
      message = failed.exceptionMessage();
    } else if (message == null) {
      message = t.getClass().getName();
    }
    HostNative.contextRaise(context, text(type(t), call), text(message, call));
    HostNative.contextTag(context, Thrown.keep(t));
    HostNative.contextNote(context, text(stack(t), call));
    if (t instanceof InterruptedException) {
      Thread.currentThread().interrupt();
    }
  }

  /** The Python type that a Throwable becomes. */
  private static String type(Throwable t) {
    return switch (t) {
      case PythonException named -> named.type();
      case ExecutionTimeoutException _ -> "TimeoutError";
      case ExecutionFailedException failed when failed.type() != null ->
          failed.type().module() + ":" + failed.type().qualifiedName();
      case NotShareableException _ -> "TypeError";
      case IllegalArgumentException _ -> "ValueError";
      case IndexOutOfBoundsException _ -> "IndexError";
      case NoSuchElementException _ -> "LookupError";
      case ArithmeticException _ -> "ArithmeticError";
      case ClassCastException _ -> "TypeError";
      case UnsupportedOperationException _ -> "NotImplementedError";
      case FileNotFoundException _ -> "FileNotFoundError";
      case NoSuchFileException _ -> "FileNotFoundError";
      case IOException _ -> "OSError";
      case TimeoutException _ -> "TimeoutError";
      case OutOfMemoryError _ -> "MemoryError";
      case StackOverflowError _ -> "RecursionError";
      default -> "RuntimeError";
    };
  }

  /** The stack of a Throwable, without what is below the host function. */
  private static String stack(Throwable t) {
    StringWriter text = new StringWriter();
    t.printStackTrace(new PrintWriter(text));
    StringBuilder note = new StringBuilder("Java stack:\n");
    boolean below = false;
    for (String line : text.toString().lines().toList()) {
      if (note.length() + line.length() > MOST_NOTE) {
        note.append("  ...\n");
        break;
      }
      boolean frame = line.startsWith("\t");
      below = frame && (below || line.contains(Upcalls.class.getName() + "."));
      if (!below) {
        note.append(frame ? "    " + line.substring(1) : "  " + line).append('\n');
      }
    }
    return note.substring(0, note.length() - 1);
  }

  /** What Java says may hold half characters. */
  private static MemorySegment text(String text, Call call) {
    return call.bytes(text.getBytes(StandardCharsets.UTF_8));
  }

  /** Nobody else would hear of it. */
  private static void report(Throwable t) {
    try {
      Thread current = Thread.currentThread();
      current.getUncaughtExceptionHandler().uncaughtException(current, t);
    } catch (Throwable ignored) {
      // There is nobody left to tell.
    }
  }
}
