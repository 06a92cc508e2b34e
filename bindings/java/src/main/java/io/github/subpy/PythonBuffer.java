package io.github.subpy;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.CharBuffer;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.LongBuffer;
import java.nio.ShortBuffer;
import java.util.Arrays;
import java.util.Objects;
import java.util.Set;

/**
 * Memory that Java and Python both see, without a copy: memory of Java's that {@link #of} makes an argument of, in which
 * Python sees a memoryview; or, in a result with {@link ResultForm#BUFFER} or {@link ResultForm#ARRAY}, memory of
 * Python's. Either can be an argument, as often as one likes.
 *
 * <p>Memory of Java's is kept as long as Python has it, unless it is that of an arena that is closed: close one only when
 * {@link #onRelease} has said so, or have the garbage collector do it ({@link Arena#ofAuto()}, direct buffers).
 *
 * <p>A result's memory is kept until it is closed, or until neither it nor any segment or ByteBuffer of it is referred to
 * any more. Views of one that was closed throw IllegalStateException. When its interpreter is closed, it stays good for
 * reading. Arrays, when {@link ResultForm#BUFFER} is not asked for as well, and what has up to 4 KiB, are copies on Java's
 * heap, for which a close does nothing.
 *
 * <p>It cannot be changed: methods with an argument return another one. Any thread may use it.
 */
public final class PythonBuffer implements AutoCloseable {
  /** The size of a subpy_buffer. */
  static final long SIZE = 80;

  private static final int WRITABLE = 1;
  private static final int LENT = 2;

  private static final Set<String> INTEGERS = Set.of("q", "l", "n", "Q", "L", "N");

  /** What its memory is, and what keeps it; both are null for Java's, and for a copy, which alone is on its heap. */
  private record Source(MemorySegment segment, SharedResult result, Arena arena) {}

  private final Source source;
  private final String format;
  private final long itemSize; // 0: what the format says
  private final long[] shape; // null: one dimension
  private final long[] strides; // null: C contiguous
  private final int flags;
  private final Runnable release;

  private PythonBuffer(
      Source source, String format, long itemSize, long[] shape, long[] strides, int flags, Runnable release) {
    this.source = source;
    this.format = format;
    this.itemSize = itemSize;
    this.shape = shape;
    this.strides = strides;
    this.flags = flags;
    this.release = release;
  }

  /**
   * Memory of Java's, of bytes, that Python may read.
   *
   * @param segment the memory; not on Java's heap
   * @return the buffer
   */
  public static PythonBuffer of(MemorySegment segment) {
    return of(segment, "B", 1);
  }

  /**
   * What there is between the position and the limit of a direct buffer, of elements of its type, that Python may read.
   *
   * @param buffer the buffer; not one on Java's heap
   * @return the buffer
   */
  public static PythonBuffer of(Buffer buffer) {
    MemorySegment segment = MemorySegment.ofBuffer(buffer);
    return switch (buffer) {
      case ByteBuffer _ -> of(segment, "B", 1);
      case ShortBuffer shorts -> of(segment, shorts.order(), "h", Short.BYTES);
      case CharBuffer chars -> of(segment, chars.order(), "H", Character.BYTES);
      case IntBuffer ints -> of(segment, ints.order(), "i", Integer.BYTES);
      case LongBuffer longs -> of(segment, longs.order(), "q", Long.BYTES);
      case FloatBuffer floats -> of(segment, floats.order(), "f", Float.BYTES);
      case DoubleBuffer doubles -> of(segment, doubles.order(), "d", Double.BYTES);
      default -> throw new IllegalArgumentException("not a buffer of Java's: " + buffer.getClass().getTypeName());
    };
  }

  /**
   * Memory of so many bytes, all zero, that interpreters in processes of their own ({@link Options#process}) see without a
   * copy, and so do all others. Python may write to it, as Java may. Any other memory goes to such a process as a copy
   * when Python may only read it, and is refused otherwise.
   *
   * <p>It is there as long as Java refers to it or to a segment or ByteBuffer of it, or an interpreter has it.
   *
   * @param byteSize how many bytes
   * @return the buffer, of bytes
   */
  public static PythonBuffer allocateShared(long byteSize) {
    if (byteSize < 0) {
      throw new IllegalArgumentException("byteSize: " + byteSize);
    }
    try (Call call = new Call()) {
      MemorySegment made = call.allocate(SIZE);
      call.check(DataNative.bufferNew(byteSize, WRITABLE, made, call.error()));
      MemorySegment own = Arena.ofAuto().allocate(SIZE, 8).copyFrom(made);
      MemorySegment memory =
          own.get(ADDRESS, 8).reinterpret(byteSize, Arena.ofAuto(), _ -> DataNative.bufferFree(own));
      return of(memory).writable(true);
    }
  }

  private static PythonBuffer of(MemorySegment segment, ByteOrder order, String format, int size) {
    if (order == ByteOrder.nativeOrder()) {
      return of(segment, format, size);
    }
    return of(segment, (order == ByteOrder.BIG_ENDIAN ? ">" : "<") + format, size);
  }

  private static PythonBuffer of(MemorySegment segment, String format, int size) {
    if (!segment.isNative()) {
      throw new IllegalArgumentException(
          "memory on Java's heap cannot be shared: allocate it in an Arena, or as a direct buffer");
    }
    return new PythonBuffer(new Source(segment, null, null), format, size, null, null, 0, null);
  }

  /** A copy of the buffer that a subpy_buffer of a result is. */
  static PythonBuffer copy(MemorySegment struct) {
    byte[] copy = struct.get(ADDRESS, 8).reinterpret(struct.get(JAVA_LONG, 16)).toArray(JAVA_BYTE);
    return ofStruct(struct, new Source(MemorySegment.ofArray(copy).asReadOnly(), null, null), 0);
  }

  /** The buffer that a subpy_buffer of a result is. */
  static PythonBuffer share(MemorySegment struct, SharedResult result) {
    SharedResult.Hold hold = result.hold();
    // The segment keeps the token, and whoever has a view has the segment.
    Object token = new Object();
    Arena arena = Arena.ofShared();
    MemorySegment segment =
        struct
            .get(ADDRESS, 8)
            .reinterpret(
                struct.get(JAVA_LONG, 16),
                arena,
                _ -> {
                  hold.run();
                  Reference.reachabilityFence(token);
                });
    Finalizers.register(token, hold);
    int flags = struct.get(JAVA_INT, 60) & WRITABLE;
    return ofStruct(struct, new Source(flags == 0 ? segment.asReadOnly() : segment, result, arena), flags);
  }

  private static PythonBuffer ofStruct(MemorySegment struct, Source source, int flags) {
    String format = Library.string(struct.get(ADDRESS, 24));
    int dimensions = struct.get(JAVA_INT, 56);
    return new PythonBuffer(
        source,
        format == null ? "B" : format,
        Math.max(struct.get(JAVA_LONG, 32), 1),
        longs(struct.get(ADDRESS, 40), dimensions),
        longs(struct.get(ADDRESS, 48), dimensions),
        flags,
        null);
  }

  private static long[] longs(MemorySegment array, int count) {
    return array.equals(MemorySegment.NULL) ? null : array.reinterpret(count * 8L).toArray(JAVA_LONG);
  }

  /**
   * The same with elements of another type.
   *
   * @param format in the letters of Python's module struct; one native letter, whose size is known
   * @return the buffer with it
   */
  public PythonBuffer format(String format) {
    return format(format, 0);
  }

  /**
   * The same with elements of another type.
   *
   * @param format in the letters of Python's module struct
   * @param itemSize how many bytes an element has
   * @return the buffer with it
   */
  public PythonBuffer format(String format, long itemSize) {
    Checks.noNul("format", Objects.requireNonNull(format, "format"));
    return new PythonBuffer(source, format, itemSize, shape, strides, flags, release);
  }

  /**
   * The same with several dimensions, of which the last one varies fastest.
   *
   * @param shape how many elements there are in each
   * @return the buffer with it
   */
  public PythonBuffer shape(long... shape) {
    return new PythonBuffer(source, format, itemSize, shape.clone(), strides, flags, release);
  }

  /**
   * The same with elements that do not lie one behind the other.
   *
   * @param strides how many bytes there are from one element to the next, in each dimension
   * @return the buffer with it
   */
  public PythonBuffer strides(long... strides) {
    return new PythonBuffer(source, format, itemSize, shape, strides.clone(), flags, release);
  }

  /**
   * The same, which Python may write to or not.
   *
   * @param writable whether it may
   * @return the buffer with it
   */
  public PythonBuffer writable(boolean writable) {
    if (writable && source.segment.isReadOnly()) {
      throw new IllegalArgumentException("the memory is read-only");
    }
    return flag(WRITABLE, writable);
  }

  /**
   * The same, lent for one call or not: when the call returns, Python's views are revoked. What still uses the memory
   * then, such as a slice, makes the call {@link Status#BUSY}, and the memory is Python's until that is gone.
   *
   * @param lent whether it is lent
   * @return the buffer with it
   */
  public PythonBuffer lent(boolean lent) {
    return flag(LENT, lent);
  }

  private PythonBuffer flag(int flag, boolean set) {
    return new PythonBuffer(source, format, itemSize, shape, strides, set ? flags | flag : flags & ~flag, release);
  }

  /**
   * The same with something to do when Python has let go of the memory: once for each time that it was passed, on
   * whatever thread. What it throws goes to that thread's handler of uncaught exceptions.
   *
   * @param release what to do
   * @return the buffer with it
   */
  public PythonBuffer onRelease(Runnable release) {
    return new PythonBuffer(source, format, itemSize, shape, strides, flags, release);
  }

  /** {@return the memory itself} */
  public MemorySegment segment() {
    return source.segment;
  }

  /** {@return the memory itself, in the byte order of this machine} At most 2 GiB. */
  public ByteBuffer asByteBuffer() {
    return source.segment.asByteBuffer().order(ByteOrder.nativeOrder());
  }

  /** {@return a copy of the memory} */
  public byte[] toByteArray() {
    return source.segment.toArray(JAVA_BYTE);
  }

  /** {@return a copy of the elements, which are of format {@code "d"}, in all dimensions} */
  public double[] toDoubleArray() {
    if (!format.equals("d")) {
      throw new IllegalStateException("its elements are '" + format + "', and not doubles");
    }
    return source.segment.toArray(JAVA_DOUBLE_UNALIGNED);
  }

  /** {@return a copy of the elements, which are ints of 64 bits such as those of format {@code "q"}, in all dimensions} */
  public long[] toLongArray() {
    if (!INTEGERS.contains(format) || itemSize() != Long.BYTES) {
      throw new IllegalStateException("its elements are '" + format + "', and not longs");
    }
    return source.segment.toArray(JAVA_LONG_UNALIGNED);
  }

  /** {@return what the elements are, in the letters of Python's module struct: {@code "B"} are bytes} */
  public String format() {
    return format;
  }

  /** {@return how many bytes an element has; 0 when Python is to tell it by the format} */
  public long itemSize() {
    return itemSize;
  }

  /** {@return how many elements there are in each dimension; empty when Python is to tell it by the format} */
  public long[] shape() {
    if (shape != null) {
      return shape.clone();
    }
    return itemSize == 0 ? new long[0] : new long[] {source.segment.byteSize() / itemSize};
  }

  /** {@return how many bytes it has} */
  public long byteSize() {
    return source.segment.byteSize();
  }

  /** {@return whether it may be written to: by Python, or by Java in a result} */
  public boolean isWritable() {
    return (flags & WRITABLE) != 0;
  }

  /**
   * Lets go of the memory of a result, and of nothing else: of all buffers of this memory, and all views of it. What
   * was passed to Python stays good there. One that is closed already is left alone.
   */
  @Override
  public void close() {
    if (source.arena != null) {
      synchronized (source.arena) {
        if (source.arena.scope().isAlive()) {
          source.arena.close();
        }
      }
    }
  }

  /** Makes it an argument: a subpy_buffer. Null when its memory is gone. */
  MemorySegment pass(Call call) {
    Runnable hold = null;
    if (source.result != null) {
      hold = source.result.hold();
    }
    if (!source.segment.scope().isAlive() || (source.result != null && hold == null)) {
      if (hold != null) {
        hold.run();
      }
      return null;
    }
    MemorySegment memory = source.segment;
    if (!memory.isNative()) {
      memory = Arena.ofAuto().allocate(memory.byteSize(), 16).copyFrom(memory);
    }
    MemorySegment struct = call.allocate(SIZE);
    struct.set(JAVA_LONG, 0, SIZE);
    struct.set(JAVA_LONG, 8, memory.address());
    struct.set(JAVA_LONG, 16, source.segment.byteSize());
    struct.set(ADDRESS, 24, call.text(format + "\0", "format"));
    struct.set(JAVA_LONG, 32, itemSize);
    if (shape != null) {
      struct.set(ADDRESS, 40, call.longs(shape));
      struct.set(JAVA_INT, 56, shape.length);
    }
    if (strides != null) {
      struct.set(ADDRESS, 48, call.longs(strides));
      struct.set(JAVA_INT, 56, strides.length);
    }
    struct.set(JAVA_INT, 60, flags);
    struct.set(ADDRESS, 64, Upcalls.ENDED);
    struct.set(JAVA_LONG, 72, call.shared(new Passed(this, memory, hold)));
    return struct;
  }

  /** A buffer that Python has. The library's number of it keeps the memory. */
  private record Passed(PythonBuffer buffer, MemorySegment memory, Runnable hold) implements Upcalls.Ending {
    @Override
    public void takenBack() {
      if (hold != null) {
        hold.run();
      }
    }

    @Override
    public void ended() {
      takenBack();
      if (buffer.release != null) {
        buffer.release.run();
      }
    }
  }

  @Override
  public String toString() {
    return "PythonBuffer(" + format + ", " + Arrays.toString(shape()) + ")";
  }
}
