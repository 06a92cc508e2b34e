package io.github.subpy;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;

/** A subpy_run_request. */
final class Request {
  static final int EXEC = 1;
  static final int EVAL = 2;
  private static final int CALL = 3;
  private static final int FUNCTION = 4;

  private static final long SIZE = 112;

  private Request() {}

  /** Source that is run as {@link #EXEC} or {@link #EVAL}. */
  static MemorySegment source(long interp, int what, Source source, Call call) {
    MemorySegment request = request(what, call);
    MemorySegment text = call.text(source.text(), "source");
    request.set(JAVA_LONG, 8, interp);
    request.set(JAVA_INT, 20, source.keepIndent() ? 1 : 0);
    request.set(ADDRESS, 24, text);
    request.set(JAVA_LONG, 32, text.byteSize());
    if (source.filename() != null) {
      request.set(ADDRESS, 72, call.text(source.filename() + "\0", "filename"));
    }
    return request;
  }

  /** A call of something by its name. */
  static MemorySegment named(long interp, String callable, Object[] args, Call call) {
    MemorySegment text = call.text(callable, "callable");
    MemorySegment request = arguments(CALL, Arguments.of(args, call), call);
    request.set(JAVA_LONG, 8, interp);
    request.set(ADDRESS, 24, text);
    request.set(JAVA_LONG, 32, text.byteSize());
    return request;
  }

  /** A call of something by its name, without its arguments. */
  static MemorySegment rows(String callable, Call call) {
    MemorySegment text = call.text(callable, "callable");
    MemorySegment request = request(CALL, call);
    request.set(ADDRESS, 24, text);
    request.set(JAVA_LONG, 32, text.byteSize());
    return request;
  }

  /** A call of a prepared function. */
  static MemorySegment function(long function, Object[] args, Call call) {
    MemorySegment request = arguments(FUNCTION, Arguments.of(args, call), call);
    request.set(JAVA_LONG, 40, function);
    return request;
  }

  private static MemorySegment arguments(int what, Arguments args, Call call) {
    MemorySegment request = request(what, call);
    request.set(ADDRESS, 48, args.positional());
    request.set(JAVA_LONG, 56, args.count());
    request.set(ADDRESS, 64, args.keywords());
    return request;
  }

  private static MemorySegment request(int what, Call call) {
    MemorySegment request = call.allocate(SIZE);
    request.set(JAVA_LONG, 0, SIZE);
    request.set(JAVA_INT, 16, what);
    return request;
  }
}
