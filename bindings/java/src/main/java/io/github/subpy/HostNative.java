package io.github.subpy;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BOOLEAN;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** The functions of libsubpy by which the host is called, and stops Python. As in {@link Native}. */
final class HostNative {
  private static final MethodHandle DEFINE_WITH =
      Native.status("define_with", JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS);
  private static final MethodHandle CONTEXT_RETURN = Library.function("context_return", JAVA_INT, ADDRESS, ADDRESS);
  private static final MethodHandle CONTEXT_RAISE =
      Library.function("context_raise", JAVA_INT, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS, JAVA_LONG);
  private static final MethodHandle CONTEXT_NOTE =
      Library.function("context_note", JAVA_INT, ADDRESS, ADDRESS, JAVA_LONG);
  private static final MethodHandle CONTEXT_TAG = Library.function("context_tag", JAVA_INT, ADDRESS, JAVA_LONG);
  private static final MethodHandle CONTEXT_INTERP = Library.function("context_interp", JAVA_LONG, ADDRESS);
  private static final MethodHandle CONTEXT_CANCELLED = Library.function("context_cancelled", JAVA_BOOLEAN, ADDRESS);
  private static final MethodHandle CANCEL_NEW = Native.status("cancel_new", ADDRESS);
  private static final MethodHandle CANCEL_FIRE = Library.function("cancel_fire", null, JAVA_LONG);
  private static final MethodHandle CANCEL_FREE = Library.function("cancel_free", null, JAVA_LONG);
  private static final MethodHandle INTERRUPT = Native.status("interrupt", JAVA_LONG);
  private static final MethodHandle SET_OUTPUT = Native.status("set_output", JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS);
  private static final MethodHandle CLOSE_WITH = Native.status("close_with", JAVA_LONG, ADDRESS);
  private static final MethodHandle SHUTDOWN_WITH = Native.status("shutdown_with", ADDRESS);

  private HostNative() {}

  static int defineWith(
      long interp,
      MemorySegment name,
      MemorySegment options,
      MemorySegment function,
      long userdata,
      MemorySegment finalize,
      MemorySegment error) {
    try {
      return (int) DEFINE_WITH.invokeExact(interp, name, name.byteSize(), options, function, userdata, finalize, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int contextReturn(MemorySegment context, MemorySegment value) {
    try {
      return (int) CONTEXT_RETURN.invokeExact(context, value);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int contextRaise(MemorySegment context, MemorySegment type, MemorySegment message) {
    try {
      return (int) CONTEXT_RAISE.invokeExact(context, type, type.byteSize(), message, message.byteSize());
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int contextNote(MemorySegment context, MemorySegment text) {
    try {
      return (int) CONTEXT_NOTE.invokeExact(context, text, text.byteSize());
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int contextTag(MemorySegment context, long tag) {
    try {
      return (int) CONTEXT_TAG.invokeExact(context, tag);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static long contextInterp(MemorySegment context) {
    try {
      return (long) CONTEXT_INTERP.invokeExact(context);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static boolean contextCancelled(MemorySegment context) {
    try {
      return (boolean) CONTEXT_CANCELLED.invokeExact(context);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int cancelNew(MemorySegment cancel, MemorySegment error) {
    try {
      return (int) CANCEL_NEW.invokeExact(cancel, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static void cancelFire(long cancel) {
    try {
      CANCEL_FIRE.invokeExact(cancel);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static void cancelFree(long cancel) {
    try {
      CANCEL_FREE.invokeExact(cancel);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int interrupt(long interp, MemorySegment error) {
    try {
      return (int) INTERRUPT.invokeExact(interp, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int setOutput(
      long interp, MemorySegment function, long userdata, MemorySegment finalize, MemorySegment error) {
    try {
      return (int) SET_OUTPUT.invokeExact(interp, function, userdata, finalize, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int closeWith(long interp, MemorySegment options, MemorySegment error) {
    try {
      return (int) CLOSE_WITH.invokeExact(interp, options, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int shutdownWith(MemorySegment options, MemorySegment error) {
    try {
      return (int) SHUTDOWN_WITH.invokeExact(options, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }
}
