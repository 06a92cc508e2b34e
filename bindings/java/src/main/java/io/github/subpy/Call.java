package io.github.subpy;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * The memory of one call of the library: what goes in, a place for what comes out, and one for the error. Belongs to
 * the thread that made it. One allocation is enough for most calls.
 */
final class Call implements AutoCloseable {
  private static final long ROOM = 512;

  private final Arena arena = Arena.ofConfined();
  private MemorySegment room = arena.allocate(ROOM, 8);
  private long used;

  /** Whatever must not be freed before the call is over. */
  private List<Object> kept;

  /** The numbers of buffers that the library has not taken over. */
  private List<Long> shared;

  /** Whether the buffers in the result are all {@link ResultForm#ARRAY}, which nobody else has. */
  private boolean onlyArrays;

  private final MemorySegment error = allocate(ADDRESS.byteSize());
  private final MemorySegment output = allocate(Kind.SIZE);

  Call() {
    Library.require();
  }

  /** Memory for this call, all zero, to be written as 64-bit words. */
  MemorySegment allocate(long size) {
    if (size > room.byteSize() - used) {
      room = arena.allocate(Math.max(size, ROOM), 8);
      used = 0;
    }
    MemorySegment memory = room.asSlice(used, size);
    used = Math.min(used + (size + 7 & -8), room.byteSize());
    return memory;
  }

  /** A place for a subpy_error *. */
  MemorySegment error() {
    return error;
  }

  /** A place for a result or a handle: 24 bytes. */
  MemorySegment output() {
    return output;
  }

  /** Bytes in native memory. */
  MemorySegment bytes(byte[] bytes) {
    MemorySegment memory = allocate(bytes.length);
    MemorySegment.copy(bytes, 0, memory, JAVA_BYTE, 0, bytes.length);
    return memory;
  }

  /** Numbers in native memory. */
  MemorySegment longs(long[] numbers) {
    MemorySegment memory = allocate(numbers.length * JAVA_LONG.byteSize());
    MemorySegment.copy(numbers, 0, memory, JAVA_LONG, 0, numbers.length);
    return memory;
  }

  /** Text in native memory, as UTF-8. */
  MemorySegment text(String text) throws CharacterCodingException {
    // String.getBytes() would make a question mark of a lone surrogate.
    ByteBuffer encoded = StandardCharsets.UTF_8.newEncoder().encode(CharBuffer.wrap(text));
    MemorySegment memory = allocate(encoded.remaining());
    MemorySegment.copy(encoded.array(), encoded.arrayOffset(), memory, JAVA_BYTE, 0, encoded.remaining());
    return memory;
  }

  /** A text that is an argument of a method. */
  MemorySegment text(String text, String what) {
    try {
      return text(text);
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException(what + " has a lone surrogate", e);
    }
  }

  /** What is printed as these texts, each with a NUL, as a list that ends with NULL; NULL when there are none. */
  MemorySegment texts(List<?> texts, String what) {
    if (texts.isEmpty()) {
      return MemorySegment.NULL;
    }
    MemorySegment list = allocate((texts.size() + 1) * ADDRESS.byteSize());
    for (int index = 0; index < texts.size(); index++) {
      list.setAtIndex(ADDRESS, index, text(texts.get(index) + "\0", what));
    }
    return list;
  }

  /** Keeps an object from being freed by the garbage collector before this call is over. */
  void keep(Object object) {
    if (kept == null) {
      kept = new ArrayList<>();
    }
    kept.add(object);
  }

  /** The number of a buffer that is to be passed. It ends with this call, unless the library takes it over. */
  long shared(Upcalls.Ending buffer) {
    if (shared == null) {
      shared = new ArrayList<>();
    }
    long id = Upcalls.remember(buffer);
    shared.add(id);
    return id;
  }

  /** Whether there are buffers among the arguments. They are not passed, and know nothing of it. */
  boolean takeBack() {
    if (shared == null) {
      return false;
    }
    shared.forEach(Upcalls::takeBack);
    shared = null;
    return true;
  }

  /** The library has had the arguments. What it has not taken over ends with this call. */
  void passed(int status) {
    if (status != Status.INVALID_ARGUMENT.code() && status != Status.FORKED.code()) {
      shared = null;
    }
  }

  /** Throws what the library reports about the arguments. */
  void check(int status) {
    passed(status);
    if (status != 0) {
      throw NativeError.take(status, error.get(ADDRESS, 0));
    }
  }

  /** The handle, or the id, that the library wrote into the output. */
  long number() {
    return output.get(JAVA_LONG, 0);
  }

  /** Says in what forms the result was asked for. */
  Call forms(int bits) {
    onlyArrays = (bits & ResultForm.BUFFER.bit()) == 0;
    return this;
  }

  boolean hasOnlyArrays() {
    return onlyArrays;
  }

  /** The object that the library wrote into the output as a result. */
  Object result() {
    return Result.take(output, this);
  }

  /** The objects that the library wrote into the output as the results of many calls. */
  List<Object> results() {
    return Result.takeAll(output, this);
  }

  /** The same as outcomes, of which some may be errors. */
  List<Outcome> outcomes() {
    return Result.takeOutcomes(output, this);
  }

  @Override
  public void close() {
    Reference.reachabilityFence(kept);
    arena.close();
    if (shared != null) {
      shared.forEach(Upcalls::ended);
    }
    Thrown.returned();
  }
}
