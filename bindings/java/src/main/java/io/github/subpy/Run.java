package io.github.subpy;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;

/** A run with {@link RunOptions} on this thread. */
final class Run {
  private static final int ABANDON = 2;

  /** SUBPY_RUN_ASYNC of subpy.h. */
  static final int ASYNC = 64;

  private Run() {}

  static Object run(RunOptions options, MemorySegment request, Call call) {
    long output = remember(options.output());
    try {
      if (options.interruptible()) {
        try (Cancel cancel = Cancel.after(options.cancel())) {
          write(request, options, cancel, output);
          call.check(Waits.here(cancel::fire, () -> Native.run(request, call.output(), call.error())));
        }
      } else {
        write(request, options, options.cancel(), output);
        call.check(Native.run(request, call.output(), call.error()));
      }
      return call.result();
    } finally {
      Upcalls.ended(output);
      Reference.reachabilityFence(options);
    }
  }

  /** The number of an output, 0 for none. */
  static long remember(Output output) {
    return output == null ? 0 : Upcalls.remember(new Upcalls.Sink(output));
  }

  /** Writes options into a request. */
  static void write(MemorySegment request, RunOptions options, Cancel cancel, long output) {
    int flags = ResultForm.bits(options.results());
    flags |= (options.abandon() ? ABANDON : 0) | (options.async() ? ASYNC : 0);
    request.set(JAVA_INT, 20, request.get(JAVA_INT, 20) | flags);
    if (options.timeout() != null) {
      request.set(JAVA_LONG, 80, Checks.milliseconds(options.timeout()));
    }
    if (cancel != null) {
      request.set(JAVA_LONG, 88, cancel.handle());
    }
    if (output != 0) {
      request.set(ADDRESS, 96, Upcalls.OUTPUT);
      request.set(JAVA_LONG, 104, output);
    }
  }
}
