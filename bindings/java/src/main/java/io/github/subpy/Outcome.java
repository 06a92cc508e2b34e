package io.github.subpy;

/**
 * What became of one row of {@link Function#callManyOutcomes}: a {@link Success} or a {@link Failure}, to be told apart
 * by a {@code switch}.
 */
public sealed interface Outcome {
  /**
   * The call returned.
   *
   * @param value what it returned; null for None
   */
  record Success(Object value) implements Outcome {
    @Override
    public Object get() {
      return value;
    }
  }

  /**
   * The call failed.
   *
   * @param error an {@link ExecutionFailedException}, or a {@link NotShareableException} for a result that cannot cross
   */
  record Failure(SubpyException error) implements Outcome {
    @Override
    public Object get() {
      throw error;
    }
  }

  /** {@return the value of a success} A failure throws its error. */
  Object get();
}
