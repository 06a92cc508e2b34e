package io.github.subpy;

/** The layout of a subpy_value, and the kinds. Integers, because the library's memory holds them. */
final class Kind {
  static final int NONE = 0;
  static final int BOOL = 1;
  static final int INT = 2;
  static final int BIGINT = 3;
  static final int FLOAT = 4;
  static final int STR = 5;
  static final int BYTES = 6;
  static final int TUPLE = 7;
  static final int LIST = 8;
  static final int DICT = 9;
  static final int OBJECT = 10;
  static final int BUFFER = 11;
  static final int QUEUE = 12;
  static final int ERROR = 13;

  /** The size of a value in bytes; that of a pair is twice as much. */
  static final long SIZE = 24;

  /** Where in a value its flags are, the low 8 bits of which are a {@link Tag}. */
  static final long FLAGS = 4;

  /** Where in a value its length is. */
  static final long LENGTH = 8;

  /** Where in a value its payload is: a number, or an address. */
  static final long PAYLOAD = 16;

  private Kind() {}
}
