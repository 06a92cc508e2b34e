package io.github.subpy;

import java.lang.ref.Cleaner;

/** Frees what nobody refers to any more. Only what never blocks and runs no Python is freed so. */
final class Finalizers {
  private static final Cleaner CLEANER = Cleaner.create();

  private Finalizers() {}

  static Cleaner.Cleanable register(Object owner, Runnable free) {
    return CLEANER.register(owner, free);
  }
}
