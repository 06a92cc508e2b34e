package io.github.subpy;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** The functions of libsubpy for objects, queues, pools, memory and locks. As in {@link Native}. */
final class DataNative {
  private static final MethodHandle OBJECT_KEEP = Native.status("object_keep", JAVA_LONG, ADDRESS);
  private static final MethodHandle OBJECT_ATTR =
      Native.status("object_attr", JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_INT, ADDRESS);
  private static final MethodHandle OBJECT_ITEM = Native.status("object_item", JAVA_LONG, ADDRESS, JAVA_INT, ADDRESS);
  private static final MethodHandle OBJECT_CALL =
      Native.status("object_call", JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS, JAVA_INT, ADDRESS);
  private static final MethodHandle OBJECT_ITER = Native.status("object_iter", JAVA_LONG, ADDRESS);
  private static final MethodHandle OBJECT_NEXT = Native.status("object_next", JAVA_LONG, JAVA_INT, ADDRESS, ADDRESS);
  private static final MethodHandle OBJECT_VALUE = Native.status("object_value", JAVA_LONG, JAVA_INT, ADDRESS);
  private static final MethodHandle OBJECT_TEXT = Native.status("object_text", JAVA_LONG, ADDRESS);
  private static final MethodHandle OBJECT_INTERP = Native.status("object_interp", JAVA_LONG, ADDRESS);
  private static final MethodHandle OBJECT_FREE = Library.function("object_free", null, JAVA_LONG);
  private static final MethodHandle QUEUE_NEW = Native.status("queue_new", ADDRESS, ADDRESS);
  private static final MethodHandle QUEUE_KEEP = Native.status("queue_keep", JAVA_LONG, ADDRESS);
  private static final MethodHandle QUEUE_PUT =
      Native.status("queue_put_with", JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_LONG);
  private static final MethodHandle QUEUE_GET =
      Native.status("queue_get_with", JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_LONG);
  private static final MethodHandle QUEUE_LEN = Native.status("queue_len", JAVA_LONG, ADDRESS);
  private static final MethodHandle QUEUE_CLOSE = Native.status("queue_close", JAVA_LONG);
  private static final MethodHandle QUEUE_FREE = Library.function("queue_free", null, JAVA_LONG);
  private static final MethodHandle POOL_NEW = Native.status("pool_new", ADDRESS, ADDRESS);
  private static final MethodHandle POOL_SUBMIT =
      Native.status("pool_submit_as", JAVA_LONG, JAVA_LONG, ADDRESS, ADDRESS);
  private static final MethodHandle POOL_MAP =
      Native.status("pool_map", JAVA_LONG, ADDRESS, ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_LONG);
  private static final MethodHandle POOL_GET_STATS = Native.status("pool_get_stats", JAVA_LONG, ADDRESS);
  private static final MethodHandle POOL_CLOSE = Native.status("pool_close", JAVA_LONG, ADDRESS);
  private static final MethodHandle THREAD_NOTIFY = Native.status("thread_notify", JAVA_LONG, ADDRESS, JAVA_LONG);
  private static final MethodHandle MEMORY = Native.status("memory", JAVA_LONG, ADDRESS);
  private static final MethodHandle LOCK_GET_INFO = Native.status("lock_get_info", JAVA_LONG, ADDRESS);
  private static final MethodHandle BUFFER_NEW = Native.status("buffer_new", JAVA_LONG, JAVA_INT, ADDRESS);
  private static final MethodHandle BUFFER_FREE = Library.function("buffer_free", null, ADDRESS);

  private DataNative() {}

  static int objectKeep(long object, MemorySegment own, MemorySegment error) {
    try {
      return (int) OBJECT_KEEP.invokeExact(object, own, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int objectAttr(long object, MemorySegment name, int flags, MemorySegment result, MemorySegment error) {
    try {
      return (int) OBJECT_ATTR.invokeExact(object, name, name.byteSize(), flags, result, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int objectItem(long object, MemorySegment key, int flags, MemorySegment result, MemorySegment error) {
    try {
      return (int) OBJECT_ITEM.invokeExact(object, key, flags, result, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int objectCall(
      long object, MemorySegment method, Arguments args, int flags, MemorySegment result, MemorySegment error) {
    try {
      return (int) OBJECT_CALL.invokeExact(
              object,
              method,
              method.byteSize(),
              args.positional(),
              (long) args.count(),
              args.keywords(),
              flags,
              result,
              error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int objectIter(long object, MemorySegment iterator, MemorySegment error) {
    try {
      return (int) OBJECT_ITER.invokeExact(object, iterator, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int objectNext(long iterator, int flags, MemorySegment more, MemorySegment result, MemorySegment error) {
    try {
      return (int) OBJECT_NEXT.invokeExact(iterator, flags, more, result, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int objectValue(long object, int flags, MemorySegment result, MemorySegment error) {
    try {
      return (int) OBJECT_VALUE.invokeExact(object, flags, result, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int objectText(long object, MemorySegment text, MemorySegment error) {
    try {
      return (int) OBJECT_TEXT.invokeExact(object, text, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int objectInterp(long object, MemorySegment interp, MemorySegment error) {
    try {
      return (int) OBJECT_INTERP.invokeExact(object, interp, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static void objectFree(long object) {
    try {
      OBJECT_FREE.invokeExact(object);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int queueNew(MemorySegment options, MemorySegment queue, MemorySegment error) {
    try {
      return (int) QUEUE_NEW.invokeExact(options, queue, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int queueKeep(long queue, MemorySegment own, MemorySegment error) {
    try {
      return (int) QUEUE_KEEP.invokeExact(queue, own, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int queuePut(long queue, MemorySegment value, long milliseconds, long cancel, MemorySegment error) {
    try {
      return (int) QUEUE_PUT.invokeExact(queue, value, milliseconds, cancel, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int queueGet(long queue, long milliseconds, MemorySegment value, long cancel, MemorySegment error) {
    try {
      return (int) QUEUE_GET.invokeExact(queue, milliseconds, value, cancel, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int queueLen(long queue, MemorySegment length, MemorySegment error) {
    try {
      return (int) QUEUE_LEN.invokeExact(queue, length, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int queueClose(long queue, MemorySegment error) {
    try {
      return (int) QUEUE_CLOSE.invokeExact(queue, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static void queueFree(long queue) {
    try {
      QUEUE_FREE.invokeExact(queue);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int poolNew(MemorySegment options, MemorySegment pool, MemorySegment error) {
    try {
      return (int) POOL_NEW.invokeExact(options, pool, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int poolSubmit(long pool, long submitter, MemorySegment request, MemorySegment outcome, MemorySegment error) {
    try {
      return (int) POOL_SUBMIT.invokeExact(pool, submitter, request, outcome, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int poolMap(
      long pool,
      MemorySegment request,
      Rows rows,
      long chunk,
      MemorySegment function,
      long userdata,
      MemorySegment error) {
    try {
      return (int) POOL_MAP.invokeExact(
              pool, request, rows.values(), (long) rows.count(), (long) rows.width(), chunk, function, userdata, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int poolStats(long pool, MemorySegment stats, MemorySegment error) {
    try {
      return (int) POOL_GET_STATS.invokeExact(pool, stats, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int poolClose(long pool, MemorySegment options, MemorySegment error) {
    try {
      return (int) POOL_CLOSE.invokeExact(pool, options, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int threadNotify(long thread, MemorySegment function, long userdata, MemorySegment error) {
    try {
      return (int) THREAD_NOTIFY.invokeExact(thread, function, userdata, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int bufferNew(long length, int flags, MemorySegment buffer, MemorySegment error) {
    try {
      return (int) BUFFER_NEW.invokeExact(length, flags, buffer, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static void bufferFree(MemorySegment buffer) {
    try {
      BUFFER_FREE.invokeExact(buffer);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int memory(long interp, MemorySegment info, MemorySegment error) {
    try {
      return (int) MEMORY.invokeExact(interp, info, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }

  static int lockGetInfo(long interp, MemorySegment info, MemorySegment error) {
    try {
      return (int) LOCK_GET_INFO.invokeExact(interp, info, error);
    } catch (Throwable t) {
      throw Library.unexpected(t);
    }
  }
}
