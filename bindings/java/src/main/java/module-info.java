/**
 * Many isolated Python interpreters in one JVM, each with its own GIL.
 *
 * <p>The module calls C, so the program that uses it is started with {@code --enable-native-access=io.github.subpy}.
 */
module io.github.subpy {
  exports io.github.subpy;
}
