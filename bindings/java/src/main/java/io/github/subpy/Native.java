package io.github.subpy;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BOOLEAN;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Arrays;

/** The functions of libsubpy. subpy.h says what each does; the last argument is always the place of the error. */
final class Native {
  // Text is an address and a length, values an address and a count.
  private static final MethodHandle INIT = status("init", ADDRESS);
  private static final MethodHandle SHUTDOWN = status("shutdown");
  private static final MethodHandle CREATE = status("create", ADDRESS, ADDRESS);
  private static final MethodHandle CLOSE = status("close", JAVA_LONG);
  private static final MethodHandle PREPARE_MAIN = status("prepare_main", JAVA_LONG, ADDRESS);
  private static final MethodHandle IS_RUNNING = status("is_running", JAVA_LONG, ADDRESS);
  private static final MethodHandle ID = status("id", JAVA_LONG, ADDRESS);
  private static final MethodHandle WHENCE = status("whence", JAVA_LONG, ADDRESS);
  private static final MethodHandle LIST_ALL = status("list_all", ADDRESS, JAVA_LONG, ADDRESS);
  private static final MethodHandle GET_CURRENT = status("get_current", ADDRESS);
  private static final MethodHandle GET_MAIN = status("get_main", ADDRESS);
  private static final MethodHandle FIND = status("find", JAVA_LONG, ADDRESS);
  private static final MethodHandle EXEC = status("exec", JAVA_LONG, ADDRESS, JAVA_LONG);
  private static final MethodHandle EVAL = status("eval", JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS);
  private static final MethodHandle CALL =
      status("call", JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS, ADDRESS);
  private static final MethodHandle RUN = status("run", ADDRESS, ADDRESS);
  private static final MethodHandle RUN_IN_THREAD = status("run_in_thread", ADDRESS, ADDRESS);
  private static final MethodHandle FUNCTION_NEW = status("function_new", JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS);
  private static final MethodHandle FUNCTION_CALL =
      status("function_call", JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS, ADDRESS);
  private static final MethodHandle FUNCTION_CALL_MANY =
      status("function_call_many", JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_INT, ADDRESS);
  private static final MethodHandle FUNCTION_FREE = Library.function("function_free", null, JAVA_LONG);
  private static final MethodHandle ENTER = status("enter", JAVA_LONG);
  private static final MethodHandle LEAVE = status("leave", JAVA_LONG);
  private static final MethodHandle THREAD_WAIT = status("thread_wait", JAVA_LONG, JAVA_LONG, ADDRESS);
  private static final MethodHandle THREAD_JOIN = status("thread_join", JAVA_LONG, ADDRESS);
  private static final MethodHandle THREAD_FREE = Library.function("thread_free", null, JAVA_LONG);
  private static final MethodHandle VALUE_BLOCK =
      Library.function("value_block", JAVA_BOOLEAN, ADDRESS, ADDRESS, ADDRESS);
  private static final MethodHandle VALUE_FREE = Library.function("value_free", null, ADDRESS);
  private static final MethodHandle VERSION = Library.function("version_string", ADDRESS);
  private static final MethodHandle PYTHON_VERSION = Library.function("python_version", ADDRESS);
  private static final MethodHandle PYTHON_LIBRARY = Library.function("python_library", ADDRESS);
  private static final MethodHandle STATUS_NAME = Library.function("status_name", ADDRESS, JAVA_INT);

  private Native() {}

  static MethodHandle status(String name, MemoryLayout... arguments) {
    MemoryLayout[] withError = Arrays.copyOf(arguments, arguments.length + 1);
    withError[arguments.length] = ADDRESS;
    return Library.function(name, JAVA_INT, withError);
  }

  static int init(MemorySegment options, MemorySegment error) {
    try {
      return (int) INIT.invokeExact(options, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int shutdown(MemorySegment error) {
    try {
      return (int) SHUTDOWN.invokeExact(error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int create(MemorySegment options, MemorySegment interp, MemorySegment error) {
    try {
      return (int) CREATE.invokeExact(options, interp, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int close(long interp, MemorySegment error) {
    try {
      return (int) CLOSE.invokeExact(interp, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int prepareMain(long interp, MemorySegment names, MemorySegment error) {
    try {
      return (int) PREPARE_MAIN.invokeExact(interp, names, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int isRunning(long interp, MemorySegment running, MemorySegment error) {
    try {
      return (int) IS_RUNNING.invokeExact(interp, running, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int id(long interp, MemorySegment id, MemorySegment error) {
    try {
      return (int) ID.invokeExact(interp, id, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int whence(long interp, MemorySegment whence, MemorySegment error) {
    try {
      return (int) WHENCE.invokeExact(interp, whence, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int listAll(MemorySegment interps, long capacity, MemorySegment count, MemorySegment error) {
    try {
      return (int) LIST_ALL.invokeExact(interps, capacity, count, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int getCurrent(MemorySegment interp, MemorySegment error) {
    try {
      return (int) GET_CURRENT.invokeExact(interp, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int getMain(MemorySegment interp, MemorySegment error) {
    try {
      return (int) GET_MAIN.invokeExact(interp, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int find(long id, MemorySegment interp, MemorySegment error) {
    try {
      return (int) FIND.invokeExact(id, interp, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int exec(long interp, MemorySegment code, long length, MemorySegment error) {
    try {
      return (int) EXEC.invokeExact(interp, code, length, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int eval(long interp, MemorySegment expression, long length, MemorySegment result, MemorySegment error) {
    try {
      return (int) EVAL.invokeExact(interp, expression, length, result, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int call(
      long interp,
      MemorySegment callable,
      long length,
      MemorySegment args,
      long nargs,
      MemorySegment kwargs,
      MemorySegment result,
      MemorySegment error) {
    try {
      return (int) CALL.invokeExact(interp, callable, length, args, nargs, kwargs, result, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int run(MemorySegment request, MemorySegment result, MemorySegment error) {
    try {
      return (int) RUN.invokeExact(request, result, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int runInThread(MemorySegment request, MemorySegment thread, MemorySegment error) {
    try {
      return (int) RUN_IN_THREAD.invokeExact(request, thread, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int functionNew(
      long interp,
      MemorySegment callable,
      long length,
      MemorySegment function,
      MemorySegment error) {
    try {
      return (int) FUNCTION_NEW.invokeExact(interp, callable, length, function, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int functionCall(
      long function,
      MemorySegment args,
      long nargs,
      MemorySegment kwargs,
      MemorySegment result,
      MemorySegment error) {
    try {
      return (int) FUNCTION_CALL.invokeExact(function, args, nargs, kwargs, result, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int functionCallMany(
      long function,
      MemorySegment rows,
      long count,
      long nargs,
      int flags,
      MemorySegment results,
      MemorySegment error) {
    try {
      return (int) FUNCTION_CALL_MANY.invokeExact(function, rows, count, nargs, flags, results, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static void functionFree(long function) {
    try {
      FUNCTION_FREE.invokeExact(function);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int enter(long interp, MemorySegment error) {
    try {
      return (int) ENTER.invokeExact(interp, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int leave(long interp, MemorySegment error) {
    try {
      return (int) LEAVE.invokeExact(interp, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int threadWait(long thread, long milliseconds, MemorySegment done, MemorySegment error) {
    try {
      return (int) THREAD_WAIT.invokeExact(thread, milliseconds, done, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int threadJoin(long thread, MemorySegment result, MemorySegment error) {
    try {
      return (int) THREAD_JOIN.invokeExact(thread, result, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static void threadFree(long thread) {
    try {
      THREAD_FREE.invokeExact(thread);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static boolean valueBlock(MemorySegment value, MemorySegment base, MemorySegment size) {
    try {
      return (boolean) VALUE_BLOCK.invokeExact(value, base, size);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static void valueFree(MemorySegment value) {
    try {
      VALUE_FREE.invokeExact(value);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static String version() {
    try {
      return Library.string((MemorySegment) VERSION.invokeExact());
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static String pythonVersion() {
    try {
      return Library.string((MemorySegment) PYTHON_VERSION.invokeExact());
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static String pythonLibrary() {
    try {
      return Library.string((MemorySegment) PYTHON_LIBRARY.invokeExact());
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static String statusName(int code) {
    try {
      return Library.string((MemorySegment) STATUS_NAME.invokeExact(code));
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }
}
