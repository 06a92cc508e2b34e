package io.github.subpy;

import java.io.Flushable;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import java.util.function.Consumer;

/**
 * Takes what Python prints, of an interpreter ({@link Interpreter#setOutput}) or of one run ({@link
 * RunOptions#output}).
 *
 * <p>It is called on the thread that prints, by one thread at a time for each interpreter, with pieces that need not be
 * lines. What it throws does not reach Python: the first such exception goes to the thread's handler of uncaught
 * exceptions.
 */
@FunctionalInterface
public interface Output {
  /** Where Python wrote. */
  enum Stream {
    /** {@code sys.stdout} */
    STDOUT,
    /** {@code sys.stderr} */
    STDERR
  }

  /**
   * Takes a text.
   *
   * @param stream where it was written
   * @param text what was written
   * @throws IOException if it goes nowhere
   */
  void write(Stream stream, String text) throws IOException;

  /**
   * Both streams to one consumer.
   *
   * @param consumer takes the texts
   * @return the output
   */
  static Output to(Consumer<? super String> consumer) {
    Objects.requireNonNull(consumer, "consumer");
    return (stream, text) -> consumer.accept(text);
  }

  /**
   * Each stream to one of these, such as a StringBuilder or a Writer, which is flushed. They may be the same.
   *
   * @param out for {@code sys.stdout}
   * @param err for {@code sys.stderr}
   * @return the output
   */
  static Output to(Appendable out, Appendable err) {
    Objects.requireNonNull(out, "out");
    Objects.requireNonNull(err, "err");
    return (stream, text) -> {
      Appendable to = stream == Stream.STDOUT ? out : err;
      to.append(text);
      if (to instanceof Flushable flushable) {
        flushable.flush();
      }
    };
  }

  /**
   * Each stream as UTF-8 to one of these, which is flushed. They may be the same.
   *
   * @param out for {@code sys.stdout}
   * @param err for {@code sys.stderr}
   * @return the output
   */
  static Output to(OutputStream out, OutputStream err) {
    Objects.requireNonNull(out, "out");
    Objects.requireNonNull(err, "err");
    return (stream, text) -> {
      OutputStream to = stream == Stream.STDOUT ? out : err;
      to.write(text.getBytes(StandardCharsets.UTF_8));
      to.flush();
    };
  }
}
