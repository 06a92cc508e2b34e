package io.github.subpy;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.spi.AbstractInterruptibleChannel;

/** A run with {@link RunOptions} on this thread. */
final class Run {
  private static final int ABANDON = 2;

  private Run() {}

  static Object run(RunOptions options, MemorySegment request, Call call) {
    long output = remember(options.output());
    try {
      if (options.interruptible()) {
        try (Cancel cancel = Cancel.after(options.cancel())) {
          write(request, options, cancel, output);
          interruptibly(cancel, request, call);
        }
      } else {
        write(request, options, options.cancel(), output);
        call.check(Native.run(request, call.output(), call.error()));
      }
      return call.result();
    } finally {
      Upcalls.forget(output);
      Reference.reachabilityFence(options);
    }
  }

  /** Java tells a channel in which a thread is blocked that the thread was interrupted, as nobody else. */
  private static void interruptibly(Cancel cancel, MemorySegment request, Call call) {
    var interrupt =
        new AbstractInterruptibleChannel() {
          @Override
          protected void implCloseChannel() {
            cancel.fire();
          }

          void run() {
            begin();
            int status;
            try {
              status = Native.run(request, call.output(), call.error());
            } finally {
              try {
                end(true);
              } catch (AsynchronousCloseException interrupted) {
                // The run says how it ended, and the flag of the thread is still set.
              }
            }
            call.check(status);
          }
        };
    interrupt.run();
  }

  /** The number of an output, 0 for none. */
  static long remember(Output output) {
    return output == null ? 0 : Upcalls.remember(new Upcalls.Sink(output));
  }

  /** Writes options into a request. */
  static void write(MemorySegment request, RunOptions options, Cancel cancel, long output) {
    if (options.abandon()) {
      request.set(JAVA_INT, 20, request.get(JAVA_INT, 20) | ABANDON);
    }
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
