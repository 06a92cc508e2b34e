package io.github.subpy;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.math.BigInteger;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;

/**
 * Objects written as the library reads values, field by field into the memory of a call. Does not recurse, so that deep
 * nesting needs no stack.
 */
final class Values {
  private static final int MAX_DEPTH = 1000;

  private final Call call;

  /** What messages call the objects that are written. */
  private final IntFunction<String> names;

  /** Containers that have memory, but whose items are not written yet. */
  private final Deque<Container> todo = new ArrayDeque<>();

  private Values(Call call, IntFunction<String> names) {
    this.call = call;
    this.names = names;
  }

  /** An array of the first {@code count} objects. Messages call the first {@code args[0]}. */
  static MemorySegment array(Object[] objects, int count, Call call) {
    return new Values(call, index -> "args[" + index + "]").writeAll(new Container(null, 0, objects, count, false));
  }

  /** An array of the objects of all rows, each of which has {@code width}. */
  static MemorySegment rows(Object[] objects, int width, Call call) {
    IntFunction<String> names = index -> "rows[" + index / width + "][" + index % width + "]";
    return new Values(call, names).writeAll(new Container(null, 0, objects, objects.length, false));
  }

  /** One object, which messages call by its name. */
  static MemorySegment one(Object object, String name, Call call) {
    return new Values(call, index -> name).writeAll(new Container(null, 0, new Object[] {object}, 1, false));
  }

  private MemorySegment writeAll(Container root) {
    root.memory = call.allocate(root.count * Kind.SIZE);
    for (Container container = root; container != null; container = todo.pollLast()) {
      for (int index = 0; index < container.count; index++) {
        write(container, index, container.items[index]);
      }
    }
    return root.memory;
  }

  private void write(Container in, int index, Object item) {
    MemorySegment to = in.memory;
    long at = index * Kind.SIZE;
    switch (item) {
      case null -> {} // all bytes zero is None
      case Long number -> writeInt(to, at, number);
      case Integer number -> writeInt(to, at, number);
      case Short number -> writeInt(to, at, number);
      case Byte number -> writeInt(to, at, number);
      case BigInteger number -> writeBigInteger(to, at, number);
      case Double number -> writeFloat(to, at, number);
      case Float number -> writeFloat(to, at, number);
      case Boolean truth -> {
        to.set(JAVA_INT, at, Kind.BOOL);
        to.set(JAVA_BYTE, at + Kind.PAYLOAD, (byte) (truth ? 1 : 0));
      }
      case String text -> {
        try {
          MemorySegment encoded = call.text(text);
          writePointer(to, at, Kind.STR, encoded, encoded.byteSize());
        } catch (CharacterCodingException e) {
          throw notShareable(in, index, "a String with a lone surrogate cannot be shared");
        }
      }
      case byte[] bytes -> writePointer(to, at, Kind.BYTES, call.bytes(bytes), bytes.length);
      // toArray(), because they may change meanwhile.
      case Tuple tuple -> writeItems(in, index, Kind.TUPLE, tuple.items().toArray());
      case List<?> list -> writeItems(in, index, Kind.LIST, list.toArray());
      case Map<?, ?> map -> writeItems(in, index, Kind.DICT, keysAndValues(map));
      case Object other -> writeOther(in, index, other);
    }
  }

  /** What is rare, so that the method above stays small enough for the JIT compiler. */
  private void writeOther(Container in, int index, Object item) {
    MemorySegment to = in.memory;
    long at = index * Kind.SIZE;
    switch (item) {
      case PythonObject object -> writeHandle(to, at, Kind.OBJECT, object.handle(), object);
      case Function function -> writeHandle(to, at, Kind.OBJECT, function.handle(), function);
      case PythonQueue queue -> writeHandle(to, at, Kind.QUEUE, queue.handle(), queue);
      case PythonBuffer buffer -> {
        MemorySegment struct = buffer.pass(call);
        if (struct == null) {
          throw notShareable(in, index, "the memory of the buffer is gone: it was closed");
        }
        to.set(JAVA_INT, at, Kind.BUFFER);
        to.set(JAVA_LONG, at + Kind.PAYLOAD, struct.address());
      }
      default -> writeTagged(in, index, item);
    }
  }

  private static void writeInt(MemorySegment to, long at, long number) {
    to.set(JAVA_INT, at, Kind.INT);
    to.set(JAVA_LONG, at + Kind.PAYLOAD, number);
  }

  private static void writeFloat(MemorySegment to, long at, double number) {
    to.set(JAVA_INT, at, Kind.FLOAT);
    to.set(JAVA_DOUBLE, at + Kind.PAYLOAD, number);
  }

  private void writeHandle(MemorySegment to, long at, int kind, long handle, Object owner) {
    call.keep(owner);
    to.set(JAVA_INT, at, kind);
    to.set(JAVA_LONG, at + Kind.PAYLOAD, handle);
  }

  private void writeTagged(Container in, int index, Object object) {
    Tagged tagged;
    try {
      tagged = Tags.tagged(object);
    } catch (ArithmeticException e) {
      throw notShareable(in, index, e.getMessage());
    }
    if (tagged == null) {
      throw notShareable(in, index, object.getClass().getTypeName() + " cannot be shared");
    }
    if (tagged.value() instanceof Tagged || Tags.tagged(tagged.value()) != null) {
      throw notShareable(in, index, "a tagged value is not made of another one");
    }
    write(in, index, tagged.value());
    in.memory.set(JAVA_INT, index * Kind.SIZE + Kind.FLAGS, tagged.tag().code());
  }

  private void writeBigInteger(MemorySegment to, long at, BigInteger number) {
    if (number.bitLength() < Long.SIZE) {
      writeInt(to, at, number.longValue());
      return;
    }
    // Not BigInteger.toString(16), which does not take linear time.
    String digits = HexFormat.of().formatHex(number.abs().toByteArray());
    byte[] text = ((number.signum() < 0 ? "-0x" : "0x") + digits).getBytes(StandardCharsets.US_ASCII);
    writePointer(to, at, Kind.BIGINT, call.bytes(text), text.length);
  }

  private void writeItems(Container in, int index, int kind, Object[] items) {
    if (in.depth == MAX_DEPTH) {
      throw notShareable(in, index, "is nested more than 1,000 levels deep, or contains itself");
    }
    boolean pairs = kind == Kind.DICT;
    Container container = new Container(in, index, items, items.length, pairs);
    container.memory = call.allocate(items.length * Kind.SIZE);
    writePointer(in.memory, index * Kind.SIZE, kind, container.memory, pairs ? items.length / 2 : items.length);
    todo.addLast(container);
  }

  private static Object[] keysAndValues(Map<?, ?> map) {
    Object[] entries = map.entrySet().toArray();
    Object[] items = new Object[Math.multiplyExact(entries.length, 2)];
    for (int index = 0; index < entries.length; index++) {
      Map.Entry<?, ?> entry = (Map.Entry<?, ?>) entries[index];
      items[2 * index] = entry.getKey();
      items[2 * index + 1] = entry.getValue();
    }
    return items;
  }

  private static void writePointer(MemorySegment to, long at, int kind, MemorySegment memory, long length) {
    to.set(JAVA_INT, at, kind);
    to.set(JAVA_LONG, at + Kind.LENGTH, length);
    to.set(JAVA_LONG, at + Kind.PAYLOAD, memory.address());
  }

  private NotShareableException notShareable(Container in, int index, String problem) {
    List<String> way = new ArrayList<>();
    Container container = in;
    for (; container.outer != null; container = container.outer) {
      way.addFirst(container.key(index));
      index = container.index;
    }
    if (way.size() > 10) {
      way.subList(5, way.size() - 5).clear();
      way.add(5, "...");
    }
    return new NotShareableException(names.apply(index) + String.join("", way) + ": " + problem);
  }

  /** A tuple, list or dict that is being written, or, without an outer one, what is written as a whole. */
  private static final class Container {
    final Container outer;
    final int index; // in the outer one
    final Object[] items; // of a dict key, value, key, value...
    final int count;
    final boolean pairs;
    final int depth;
    MemorySegment memory;

    Container(Container outer, int index, Object[] items, int count, boolean pairs) {
      this.outer = outer;
      this.index = index;
      this.items = items;
      this.count = count;
      this.pairs = pairs;
      this.depth = outer == null ? 0 : outer.depth + 1;
    }

    /** What messages call an item. */
    String key(int index) {
      Object key = pairs ? items[index & ~1] : (Object) index;
      return switch (key) {
        case null -> "[null]";
        case String text -> "['" + text + "']";
        case Number number -> "[" + number + "]";
        case Boolean truth -> "[" + truth + "]";
        default -> "[" + key.getClass().getTypeName() + "]"; // its text may be long, or have no end
      };
    }
  }
}
