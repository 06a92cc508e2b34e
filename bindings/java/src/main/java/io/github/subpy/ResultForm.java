package io.github.subpy;

/** In what form a result comes that is not a copy: {@code RunOptions.DEFAULT.result(ResultForm.OBJECT)}. */
public enum ResultForm {
  /** The result stays in Python, whatever it is: a {@link PythonObject}. */
  OBJECT,
  /** What has no value, anywhere in the result, stays in Python: each is a {@link PythonObject}. */
  OBJECTS,
  /** bytes, bytearrays, arrays, memoryviews and the like in the result are not copied: a {@link PythonBuffer} each. */
  BUFFER,
  /** Lists and tuples of floats alone, or of ints of 64 bits, come in one piece: a {@link PythonBuffer} each. */
  ARRAY;

  /** SUBPY_RESULT_* of subpy.h. */
  int bit() {
    return 4 << ordinal();
  }

  static int bits(Iterable<ResultForm> forms) {
    int bits = 0;
    for (ResultForm form : forms) {
      bits |= form.bit();
    }
    return bits;
  }
}
