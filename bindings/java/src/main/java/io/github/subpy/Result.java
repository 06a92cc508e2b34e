package io.github.subpy;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A result of the library read into objects. It lies in one block of memory, in whose bounds all reading stays. Does not
 * recurse, so that deep nesting needs no stack, except that of keys: Java makes their hash codes by recursion.
 */
final class Result {
  private static final MemorySegment EVERYWHERE = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

  private final MemorySegment block;
  private final Call call;

  /** The buffers that were read are parts of it. */
  private SharedResult shared;

  private Result(MemorySegment block, Call call) {
    this.block = block;
    this.call = call;
  }

  /** The object that a result stands for. The result is freed, unless there are buffers in it: then they keep it. */
  static Object take(MemorySegment value, Call call) {
    try {
      return read(value, call);
    } finally {
      Native.valueFree(value);
    }
  }

  /** The same for a result that whoever has passed it frees. With buffers it is None afterwards. */
  static Object read(MemorySegment value, Call call) {
    Result result = block(value, call);
    try {
      return result.readAll(value, 0);
    } finally {
      if (result.shared != null) {
        result.shared.adopt(value);
      }
    }
  }

  /** What the calls of all rows came to. The results are freed. */
  static List<Outcome> takeOutcomes(MemorySegment value, Call call) {
    try {
      return block(value, call).outcomes(value);
    } finally {
      Native.valueFree(value);
    }
  }

  /** What the calls of all rows returned. The results are freed. */
  static List<Object> takeAll(MemorySegment value, Call call) {
    try {
      return block(value, call).objects(value);
    } finally {
      Native.valueFree(value);
    }
  }

  /** The positional arguments of a host function, which lie anywhere in memory, and stay the library's. */
  static List<Object> args(MemorySegment args, long count, Call call) {
    Object[] objects = new Object[Math.toIntExact(count)];
    Result everywhere = new Result(EVERYWHERE, call);
    for (int index = 0; index < objects.length; index++) {
      objects[index] = everywhere.readAll(EVERYWHERE, args.address() + index * Kind.SIZE);
    }
    return Collections.unmodifiableList(Arrays.asList(objects));
  }

  /** Its keyword arguments: a dict, or NULL. */
  static Map<String, Object> kwargs(MemorySegment kwargs, Call call) {
    Map<String, Object> map = new LinkedHashMap<>();
    if (!kwargs.equals(MemorySegment.NULL)) {
      Map<?, ?> dict = (Map<?, ?>) new Result(EVERYWHERE, call).readAll(EVERYWHERE, kwargs.address());
      dict.forEach((name, value) -> map.put((String) name, value));
    }
    return Collections.unmodifiableMap(map);
  }

  private static Result block(MemorySegment value, Call call) {
    MemorySegment base = call.allocate(ADDRESS.byteSize());
    MemorySegment size = call.allocate(JAVA_LONG.byteSize());
    Native.valueBlock(value, base, size);
    return new Result(base.get(ADDRESS, 0).reinterpret(size.get(JAVA_LONG, 0)), call);
  }

  private List<Object> objects(MemorySegment list) {
    Object[] objects = new Object[length(list, 0, 1)];
    long at = offset(list, 0);
    for (int row = 0; row < objects.length; row++, at += Kind.SIZE) {
      objects[row] = readRow(row, at);
    }
    return new ArrayList<>(Arrays.asList(objects));
  }

  private List<Outcome> outcomes(MemorySegment list) {
    Outcome[] outcomes = new Outcome[length(list, 0, 1)];
    long at = offset(list, 0);
    for (int row = 0; row < outcomes.length; row++, at += Kind.SIZE) {
      outcomes[row] = outcome(row, at);
    }
    return new ArrayList<>(Arrays.asList(outcomes));
  }

  private Outcome outcome(int row, long at) {
    if (block.get(JAVA_INT, at) == Kind.ERROR) {
      return new Outcome.Failure(NativeError.ofRow(block.get(ADDRESS, at + Kind.PAYLOAD)));
    }
    try {
      return new Outcome.Success(readRow(row, at));
    } catch (NotShareableException e) {
      return new Outcome.Failure(e);
    }
  }

  private Object readRow(int row, long at) {
    try {
      return readAll(block, at);
    } catch (NotShareableException e) {
      throw new NotShareableException("row " + row + ": " + e.getMessage(), row);
    }
  }

  private Object readAll(MemorySegment root, long at) {
    Container container = null; // the innermost of those that are being read
    Object object = read(root, at, null);
    while (true) {
      if (object instanceof Container inner) {
        container = inner;
      } else if (container == null) {
        return object;
      } else {
        container.items[container.done++] = object;
      }
      if (container.done < container.items.length) {
        object = read(block, container.first + container.done * Kind.SIZE, container);
      } else {
        object = container.object();
        container = container.outer;
      }
    }
  }

  /** An object, or, for a tuple, list or dict, the container to be read. */
  private Object read(MemorySegment from, long at, Container outer) {
    int kind = from.get(JAVA_INT, at);
    return switch (kind) {
      case Kind.NONE -> null;
      case Kind.BOOL -> from.get(JAVA_BYTE, at + Kind.PAYLOAD) != 0;
      case Kind.INT -> from.get(JAVA_LONG, at + Kind.PAYLOAD);
      case Kind.FLOAT -> from.get(JAVA_DOUBLE, at + Kind.PAYLOAD);
      case Kind.STR -> Tags.object(tag(from, at), new String(bytes(from, at), StandardCharsets.UTF_8));
      case Kind.BYTES -> bytes(from, at);
      case Kind.TUPLE, Kind.LIST ->
          new Container(outer, kind, tag(from, at), length(from, at, 1), offset(from, at));
      case Kind.DICT -> new Container(outer, kind, tag(from, at), 2 * length(from, at, 2), offset(from, at));
      default -> other(kind, from, at);
    };
  }

  /** What is rare, so that the method above stays small enough for the JIT compiler. */
  private Object other(int kind, MemorySegment from, long at) {
    return switch (kind) {
      case Kind.BIGINT -> bigInteger(new String(bytes(from, at), StandardCharsets.US_ASCII));
      case Kind.OBJECT -> PythonObject.keep(from.get(JAVA_LONG, at + Kind.PAYLOAD), call);
      case Kind.QUEUE -> PythonQueue.keep(from.get(JAVA_LONG, at + Kind.PAYLOAD), call);
      case Kind.BUFFER -> buffer(from, at);
      default -> throw new NotShareableException("result: a value of the unknown kind " + kind);
    };
  }

  private static Tag tag(MemorySegment from, long at) {
    return Tag.of(from.get(JAVA_INT, at + Kind.FLAGS));
  }

  private PythonBuffer buffer(MemorySegment from, long at) {
    MemorySegment struct = from.get(ADDRESS, at + Kind.PAYLOAD).reinterpret(PythonBuffer.SIZE);
    long data = struct.get(JAVA_LONG, 8) - block.address();
    long size = struct.get(JAVA_LONG, 16);
    if (size == 0 || (data >= 0 && data < block.byteSize() && size < Integer.MAX_VALUE - 8)) {
      return PythonBuffer.copy(struct);
    }
    if (shared == null) {
      shared = new SharedResult();
    }
    return PythonBuffer.share(struct, shared);
  }

  /** The offset in the block of what a value points to. */
  private long offset(MemorySegment from, long at) {
    return from.get(JAVA_LONG, at + Kind.PAYLOAD) - block.address();
  }

  /** The length of something that takes so many elements of an array for each. */
  private static int length(MemorySegment from, long at, int each) {
    long length = from.get(JAVA_LONG, at + Kind.LENGTH);
    if (length > (Integer.MAX_VALUE - 8) / each) {
      throw new NotShareableException("result: something of length " + length + " is too large for Java");
    }
    return (int) length;
  }

  private byte[] bytes(MemorySegment from, long at) {
    byte[] bytes = new byte[length(from, at, 1)];
    MemorySegment.copy(block, JAVA_BYTE, offset(from, at), bytes, 0, bytes.length);
    return bytes;
  }

  private static BigInteger bigInteger(String text) {
    boolean negative = text.startsWith("-");
    String digits = text.substring(negative ? 3 : 2);
    // Not new BigInteger(digits, 16), which takes quadratic time.
    byte[] magnitude = HexFormat.of().parseHex(digits.length() % 2 == 0 ? digits : "0" + digits);
    return new BigInteger(negative ? -1 : 1, magnitude);
  }

  /** A tuple, list or dict that is being read. */
  private static final class Container {
    final Container outer;
    final int kind;
    final Tag tag;
    final Object[] items; // of a dict key, value, key, value...
    final long first; // the offset of the first item
    int done;

    Container(Container outer, int kind, Tag tag, int count, long first) {
      this.outer = outer;
      this.kind = kind;
      this.tag = tag;
      this.items = new Object[count];
      this.first = first;
    }

    Object object() {
      Object object =
          switch (kind) {
            case Kind.TUPLE -> new Tuple(Arrays.asList(items));
            case Kind.LIST -> new ArrayList<>(Arrays.asList(items));
            default -> map();
          };
      return Tags.object(tag, object);
    }

    private Map<Object, Object> map() {
      Map<Object, Object> map = LinkedHashMap.newLinkedHashMap(items.length / 2);
      try {
        for (int index = 0; index < items.length; index += 2) {
          map.put(items[index], items[index + 1]);
        }
      } catch (StackOverflowError e) {
        throw new NotShareableException(
            "result: a key of a dict is nested too deeply for the stack of this thread");
      }
      if (map.size() != items.length / 2) { // several NaN
        throw new NotShareableException("result: a dict has different keys that are equal in Java");
      }
      return map;
    }
  }
}
