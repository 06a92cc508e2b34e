package subpy;

/** What the library reports. {@link #status()} says which kind of error it is. */
public class SubpyException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final Status status;

  SubpyException(Status status, String message) {
    super(message);
    this.status = status;
  }

  /** The kind of error. */
  public Status status() {
    return status;
  }
}
