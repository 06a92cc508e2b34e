package io.github.subpy;

import java.util.Objects;

/**
 * Python source with what else there is to say about it: {@code Source.of(code).filename("words.py")}.
 *
 * @param text the source
 * @param filename what tracebacks call it; null for {@code <script>}
 * @param keepIndent whether {@link Interpreter#exec(Source)} leaves the indentation that all lines share
 */
public record Source(String text, String filename, boolean keepIndent) {
  /** Source that is text, and has a file name without U+0000 or none. */
  public Source {
    Objects.requireNonNull(text, "text");
    if (filename != null && filename.indexOf('\0') >= 0) {
      throw new IllegalArgumentException("filename has a U+0000");
    }
  }

  /**
   * Source as the library takes it by default.
   *
   * @param text the source
   * @return the source, without a file name
   */
  public static Source of(String text) {
    return new Source(text, null, false);
  }

  /**
   * The same with a file name. It need not exist.
   *
   * @param filename what tracebacks call the source
   * @return the source with it
   */
  public Source filename(String filename) {
    return new Source(text, filename, keepIndent);
  }

  /**
   * The same, whose indentation is kept or not.
   *
   * @param keep whether the indentation that all lines share stays
   * @return the source with that
   */
  public Source keepIndent(boolean keep) {
    return new Source(text, filename, keep);
  }
}
