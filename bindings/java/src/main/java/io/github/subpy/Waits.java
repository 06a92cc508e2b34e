package io.github.subpy;

import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.spi.AbstractInterruptibleChannel;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Supplier;

/** What waits in the library, and ends when its thread is interrupted. The flag of the thread stays set. */
final class Waits {
  /** For virtual threads, which would keep the threads that carry them. */
  private static final ExecutorService THREADS =
      Executors.newCachedThreadPool(Thread.ofPlatform().daemon().name("subpy-wait-", 0).factory());

  private Waits() {}

  /** Waits on this thread. An interrupt does something that ends the wait. */
  static <T> T here(Runnable onInterrupt, Supplier<T> wait) {
    // Java tells a channel in which a thread is blocked that the thread was interrupted, as nobody else.
    var interrupt =
        new AbstractInterruptibleChannel() {
          @Override
          protected void implCloseChannel() {
            onInterrupt.run();
          }

          T run() {
            begin();
            try {
              return wait.get();
            } finally {
              try {
                end(true);
              } catch (AsynchronousCloseException interrupted) {
                // The wait says how it ended.
              }
            }
          }
        };
    return interrupt.run();
  }

  /** The same, by another thread when this is a virtual one, which then keeps no other thread from running. */
  static <T> T anywhere(Runnable onInterrupt, Supplier<T> wait) {
    if (!Thread.currentThread().isVirtual()) {
      return here(onInterrupt, wait);
    }
    CompletableFuture<T> done = CompletableFuture.supplyAsync(wait, THREADS);
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return done.get();
        } catch (InterruptedException e) {
          interrupted = true;
          onInterrupt.run();
        }
      }
    } catch (ExecutionException e) {
      throw Library.unexpected(e.getCause());
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
