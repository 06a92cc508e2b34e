/* What is wrong with an argument, and what comes of it. */
#ifndef MUTATIONS_H
#define MUTATIONS_H

#include "good.h"

/* The argument that is mutated: where it is, and what is before and behind it. */
typedef struct target {
  call *call;
  const param *p, *before, *behind;
  char *base;
  const shape *inside;
} target;

static mutation is(const char *name, int expected, const char *word) {
  mutation m = {.expected = expected, .word = word};
  snprintf(m.name, sizeof m.name, "%s", name);
  return m;
}

static void *at(const target *t, const param *p) { return t->base + p->offset; }

static const char *const nouns[] = {"interpreter", "function", "object", "thread", "cancel token", "queue", "pool"};

/* More than there can be of anything, as lengths and as counts of values and pairs. */
static const struct {
  const char *name;
  size_t len;
} lengths[] = {
    {"half", SIZE_MAX / 2},
    {"half+1", SIZE_MAX / 2 + 1},
    {"all-but-one", SIZE_MAX - 1},
    {"overflow-24", SIZE_MAX / 24 + 2},
    {"overflow-48", SIZE_MAX / 48 + 2},
};

static const struct {
  const char *name, *text;
  size_t len;
} invalid[] = {
    {"byte-ff", "\xff", 1},          {"cut", "x\xe2\x82", 3},     {"surrogate", "\xed\xa0\x80", 3},
    {"overlong", "\xc0\x80", 2},     {"continued", "\x80", 1},    {"too-large", "\xf4\x90\x80\x80", 4},
    {"after-nul", "a\0\xff", 3},
};

static bool bad_handle(const target *t, int i, mutation *m) {
  static const struct {
    const char *name;
    uint64_t handle;
  } invented[] = {{"zero", 0}, {"one", 1}, {"invented", 123456}, {"2^53", UINT64_C(1) << 53}, {"all-bits", UINT64_MAX},
                  {"unknown-kind", UINT64_C(31) << HANDLE_KIND_SHIFT | 1}};
  const int kinds = COUNT(invented);
  const param *p = t->p;
  uint64_t handle;
  if (i < kinds) {
    *m = is(invented[i].name, i == 0 && p->optional ? IS_GOOD : IS_NOT_FOUND, nouns[p->noun]);
    handle = invented[i].handle;
  } else if (i < kinds + NOUNS) {
    /* Of another kind; of the right one, stale. What can be called is an object. */
    const int noun = i - kinds;
    if (noun == p->noun) {
      *m = is("stale", IS_NOT_FOUND, p->noun == INTERP ? "unrecognized interpreter" : nouns[p->noun]);
      handle = w.stale[noun];
    } else {
      const bool same = noun == OBJECT && p->noun == FUNCTION, called = noun == FUNCTION && p->noun == OBJECT;
      snprintf(m->name, sizeof m->name, "a-%s", nouns[noun]);
      m->expected = same || called ? IS_GOOD : IS_NOT_FOUND;
      m->word = nouns[p->noun];
      handle = w.handles[noun];
    }
  } else if (i == kinds + NOUNS) {
    *m = is("never-given", IS_NOT_FOUND, p->noun == INTERP ? "interpreter" : nouns[p->noun]);
    handle = w.handles[p->noun] + (UINT64_C(1) << 40);
  } else {
    return false;
  }
  put(at(t, p), &handle, sizeof handle);
  return true;
}

static bool bad_text(const target *t, int i, mutation *m) {
  void *text = at(t, t->p), *len = at(t, t->behind);
  const char *const good = *(const char **)text;
  const size_t good_len = *(size_t *)len;
  const int many = COUNT(lengths) - 2, wrong = COUNT(invalid);
  if (i == 0) {
    *m = is("null", t->p->optional ? IS_GOOD : IS_INVALID_ARGUMENT, t->p->name);
    PUT(text, const char *, NULL);
    if (t->p->optional) PUT(len, size_t, 0);
  } else if (i == 1) {
    *m = is("null-auto", IS_INVALID_ARGUMENT, t->p->name);
    PUT(text, const char *, NULL);
    PUT(len, size_t, SUBPY_AUTO_LEN);
  } else if (i == 2) {
    *m = is("null-empty", IS_GOOD, NULL);
    PUT(text, const char *, NULL);
    PUT(len, size_t, 0);
  } else if (i == 3) {
    *m = is("empty", IS_GOOD, NULL);
    PUT(text, const char *, (char *)guarded(1) + 1);
    PUT(len, size_t, 0);
  } else if (i == 4) {
    *m = is("auto", IS_GOOD, NULL);
    char *copy = guarded(good_len + 1);
    if (good) memcpy(copy, good, good_len);
    copy[good_len] = 0;
    PUT(text, const char *, copy);
    PUT(len, size_t, SUBPY_AUTO_LEN);
  } else if (i == 5) {
    *m = is("nul-inside", IS_GOOD, NULL);
    char *copy = guarded(good_len + 2);
    if (good) memcpy(copy, good, good_len);
    memcpy(copy + good_len, "\0x", 2);
    PUT(text, const char *, copy);
    PUT(len, size_t, good_len + 2);
  } else if (i < 6 + many) {
    *m = is(lengths[i - 6].name, IS_INVALID_ARGUMENT, t->p->name);
    PUT(len, size_t, lengths[i - 6].len);
  } else if (i < 6 + many + wrong) {
    const int at_index = i - 6 - many;
    *m = is(invalid[at_index].name, IS_INVALID_ARGUMENT, t->p->name);
    PUT(text, const char *, guarded_text(invalid[at_index].text, invalid[at_index].len));
    PUT(len, size_t, invalid[at_index].len);
  } else {
    return false;
  }
  return true;
}

/* Text that ends with a NUL. */
static bool bad_ctext(const target *t, int i, mutation *m) {
  if (i >= (int)COUNT(invalid) - 1) return false;
  *m = is(invalid[i].name, IS_INVALID_ARGUMENT, t->p->name);
  char *text = guarded(invalid[i].len + 1);
  memcpy(text, invalid[i].text, invalid[i].len), text[invalid[i].len] = 0;
  PUT(at(t, t->p), const char *, text);
  return true;
}

/* Makes a value wrong. */
static bool bad_value(int i, subpy_value *v, mutation *m, const char *name) {
  static const int32_t kinds[] = {-1, 14, INT32_MAX, INT32_MIN, SUBPY_KIND_ERROR};
  static const int32_t sized[] = {SUBPY_KIND_STR, SUBPY_KIND_BYTES, SUBPY_KIND_BIGINT, SUBPY_KIND_TUPLE, SUBPY_KIND_LIST, SUBPY_KIND_DICT};
  enum { KINDS = COUNT(kinds), SIZED = COUNT(sized), LENS = COUNT(lengths) + 1, SIZED_ALL = SIZED * (LENS + 1) };
  static subpy_value inner;
  static const char text[] = "0x1";
  *m = is("", IS_INVALID_ARGUMENT, name);
  if (i < KINDS) {
    snprintf(m->name, sizeof m->name, "kind-%d", kinds[i]);
    *v = (subpy_value){.kind = kinds[i], .len = 1, .u.as_str = text};
    return true;
  }
  i -= KINDS;
  if (i < SIZED_ALL) {
    const int kind = i / (LENS + 1), len = i % (LENS + 1);
    const size_t size = sized[kind] == SUBPY_KIND_DICT ? 48 : sized[kind] >= SUBPY_KIND_TUPLE ? 24 : 1;
    size_t count = len == 0 ? 1 : len == 1 ? SUBPY_AUTO_LEN : lengths[len - 2].len;
    /* A length that is too large for values is none for bytes. */
    if (size == 1 && len >= LENS - 1) count = SIZE_MAX / 2;
    snprintf(m->name, sizeof m->name, "%s-%d", len == 0 ? "null-of-kind" : len == 1 ? "auto-of-kind" : lengths[len - 2].name, sized[kind]);
    *v = (subpy_value){.kind = sized[kind], .len = count, .u.as_str = len == 0 ? NULL : (const char *)&inner};
    return true;
  }
  i -= SIZED_ALL;
  if (i < (int)COUNT(invalid)) {
    snprintf(m->name, sizeof m->name, "str-%s", invalid[i].name);
    *v = subpy_str(guarded_text(invalid[i].text, invalid[i].len), invalid[i].len);
    return true;
  }
  i -= COUNT(invalid);
  static subpy_buffer buffer;
  static char memory[16];
  buffer = (subpy_buffer){.size = sizeof buffer, .data = memory, .len = sizeof memory};
  *v = subpy_value_from_buffer(&buffer);
  switch (i) {
    case 0: return *m = is("flags-unknown", IS_INVALID_ARGUMENT, name), *v = subpy_int(1), v->flags = 1u << 20, true;
    case 1: return *m = is("flags-all", IS_INVALID_ARGUMENT, name), *v = subpy_int(1), v->flags = UINT32_MAX, true;
    case 2: return *m = is("tag-of-another-kind", IS_INVALID_ARGUMENT, name), *v = subpy_int(1), v->flags = SUBPY_TAG_SET, true;
    case 3: return *m = is("tag-unknown", IS_INVALID_ARGUMENT, name), *v = subpy_int(1), v->flags = 255, true;
    case 4: return *m = is("bigint-no-number", IS_INVALID_ARGUMENT, name), *v = subpy_bigint("12", 2), true;
    case 5:
      inner = subpy_list(&inner, 1);
      return *m = is("contains-itself", IS_INVALID_ARGUMENT, name), *v = inner, true;
    case 6: return *m = is("object-0", IS_NOT_FOUND, "object"), *v = subpy_value_from_object(0), true;
    case 7: return *m = is("object-stale", IS_NOT_FOUND, "object"), *v = subpy_value_from_object(w.stale[OBJECT]), true;
    case 8: return *m = is("object-queue", IS_NOT_FOUND, "object"), *v = subpy_value_from_object(w.handles[QUEUE]), true;
    case 9: return *m = is("object-of-another", IS_NOT_SHAREABLE, NULL), *v = subpy_value_from_object(w.elsewhere), true;
    case 10: return *m = is("queue-0", IS_NOT_FOUND, "queue"), *v = subpy_value_from_queue(0), true;
    case 11: return *m = is("queue-stale", IS_NOT_FOUND, "queue"), *v = subpy_value_from_queue(w.stale[QUEUE]), true;
    case 12: return *m = is("queue-object", IS_NOT_FOUND, "queue"), *v = subpy_value_from_queue(w.handles[OBJECT]), true;
    case 13: return *m = is("buffer-null", IS_INVALID_ARGUMENT, name), *v = subpy_value_from_buffer(NULL), true;
    case 14: return *m = is("buffer-size-0", IS_INVALID_ARGUMENT, name), buffer.size = 0, true;
    case 15: return *m = is("buffer-size-huge", IS_INVALID_ARGUMENT, name), buffer.size = SIZE_MAX, true;
    case 16: return *m = is("buffer-data-null", IS_INVALID_ARGUMENT, name), buffer.data = NULL, true;
    case 17: return *m = is("buffer-len-huge", IS_INVALID_ARGUMENT, name), buffer.len = SIZE_MAX - 1, true;
    case 18: return *m = is("buffer-len-half", IS_INVALID_ARGUMENT, name), buffer.len = SIZE_MAX / 2, true;
    case 19: return *m = is("buffer-flags", IS_INVALID_ARGUMENT, name), buffer.flags = 1u << 31, true;
    case 20: return *m = is("buffer-ndim-negative", IS_INVALID_ARGUMENT, name), buffer.ndim = -1, true;
    case 21: return *m = is("buffer-ndim-huge", IS_INVALID_ARGUMENT, name), buffer.ndim = INT32_MAX, true;
    case 22: return *m = is("buffer-format-empty", IS_INVALID_ARGUMENT, name), buffer.format = "", true;
    case 23: return *m = is("buffer-format-invalid", IS_INVALID_ARGUMENT, name), buffer.format = "\xff", true;
    case 24: return *m = is("buffer-itemsize-huge", IS_INVALID_ARGUMENT, name), buffer.itemsize = SIZE_MAX, true;
    case 25: return *m = is("buffer-no-shape", IS_INVALID_ARGUMENT, name), buffer.ndim = 2, true;
    default: return false;
  }
}

/* A DICT with STR keys: what is wrong with the whole, with a key, with what it is bound to. */
static bool bad_dict(const target *t, int i, mutation *m) {
  enum { PART = 200 };
  const subpy_value **place = at(t, t->p);
  /* Not to be written to where it is the world's. */
  subpy_value *dict = good_dict();
  subpy_pair *pair = (subpy_pair *)(uintptr_t)dict->u.as_pairs;
  if (i == 0) return *m = is("null", t->p->optional ? IS_GOOD : IS_INVALID_ARGUMENT, t->p->name), *place = NULL, true;
  *place = dict;
  if (i == 1) return *m = is("key-of-int", IS_INVALID_ARGUMENT, t->p->name), pair->key = subpy_int(1), true;
  if (i == 2) return *m = is("key-of-list", IS_INVALID_ARGUMENT, t->p->name), pair->key = subpy_list(NULL, 0), true;
  if (i == 3) return *m = is("key-null", IS_INVALID_ARGUMENT, t->p->name), pair->key.u.as_str = NULL, true;
  if (i == 4) return *m = is("no-dict", IS_INVALID_ARGUMENT, t->p->name), *dict = subpy_int(1), true;
  static int wrong_values;
  mutation inner;
  subpy_value unused;
  if (wrong_values == 0)
    while (bad_value(wrong_values, &unused, &inner, "")) wrong_values++;
  i -= 5;
  if (i >= 2 * wrong_values) return false;
  const bool whole = i < wrong_values;
  if (!bad_value(i % wrong_values, whole ? dict : &pair->value, m, t->p->name)) return false;
  /* What is no dict cannot be looked for. */
  if (whole) m->expected = IS_INVALID_ARGUMENT, m->word = t->p->name;
  char name[PART];
  snprintf(name, sizeof name, "%s:%s", whole ? "is" : "has", m->name);
  snprintf(m->name, sizeof m->name, "%.60s", name);
  return true;
}

static bool bad_values(const target *t, int i, mutation *m) {
  void *values = at(t, t->p), *count = at(t, t->behind);
  const int many = COUNT(lengths);
  if (i == 0) {
    *m = is("null", IS_INVALID_ARGUMENT, t->p->name);
    PUT(values, void *, NULL);
    PUT(count, size_t, 1);
  } else if (i == 1) {
    *m = is("null-none", IS_GOOD, NULL);
    PUT(values, void *, NULL);
    PUT(count, size_t, 0);
  } else if (i == 2) {
    *m = is("auto", IS_INVALID_ARGUMENT, NULL);
    PUT(count, size_t, SUBPY_AUTO_LEN);
  } else if (i < 3 + many) {
    *m = is(lengths[i - 3].name, IS_INVALID_ARGUMENT, NULL);
    PUT(count, size_t, lengths[i - 3].len);
  } else {
    subpy_value *value = good_values(1);
    if (!bad_value(i - 3 - many, value, m, t->p->name)) return false;
    PUT(values, subpy_value *, value);
    PUT(count, size_t, 1);
  }
  return true;
}

static bool bad_struct(const target *t, int i, mutation *m) {
  char **place = at(t, t->p);
  const shape *of = t->p->of;
  const size_t sizes[] = {0, 1, sizeof(size_t) - 1, SIZE_MAX, SIZE_MAX / 2, (size_t)1 << 32};
  const int wrong = COUNT(sizes);
  if (i == 0) return *m = is("null", t->p->optional ? IS_GOOD : IS_INVALID_ARGUMENT, t->p->name), *place = NULL, true;
  if (i <= wrong) {
    /* No more can be read than the size itself. */
    *place = guarded(sizeof(size_t));
    PUT(*place, size_t, sizes[i - 1]);
    *m = is("", IS_INVALID_ARGUMENT, "size");
    snprintf(m->name, sizeof m->name, "size-%zx", sizes[i - 1]);
    return true;
  }
  if (i == wrong + 1) {
    /* What is missing is zero: in an older program it is not there. */
    char *odd = guarded_struct(of->size - 1);
    if (*place) memcpy(odd, *place, of->size - 1);
    else memset(odd, 0, of->size - 1);
    PUT(odd, size_t, of->size - 1);
    return *m = is("size-odd", IS_GOOD, NULL), *place = odd, true;
  }
  char *longer = guarded(of->size + 16);
  if (*place) memcpy(longer, *place, of->size);
  else memset(longer, 0, of->size);
  memset(longer + of->size, 0, 16);
  *place = longer;
  PUT(longer, size_t, of->size + 16);
  if (i == wrong + 2) return *m = is("longer", IS_GOOD, NULL), true;
  if (i == wrong + 3) return *m = is("longer-set", IS_INVALID_ARGUMENT, of->name), longer[of->size + 15] = 1, true;
  return false;
}

static bool bad_info(const target *t, int i, mutation *m) {
  unsigned char **place = at(t, t->p);
  const size_t sizes[] = {0, 1, t->p->size - 1, 4097, SIZE_MAX, SIZE_MAX / 2};
  if (i == 0) return *m = is("null", t->p->optional ? IS_GOOD : IS_INVALID_ARGUMENT, t->p->name), *place = NULL, true;
  if (i <= (int)COUNT(sizes)) {
    *m = is("", IS_INVALID_ARGUMENT, "size");
    snprintf(m->name, sizeof m->name, "size-%zx", sizes[i - 1]);
    PUT(*place, size_t, sizes[i - 1]);
    return true;
  }
  if (i > (int)COUNT(sizes) + 1) return false;
  *m = is("longer", IS_GOOD, NULL);
  const size_t size = t->p->size + 16;
  *place = memset(guarded(size), JUNK, size);
  PUT(*place, size_t, size);
  t->call->outputs[t->call->output_count - 1].place = *place;
  return true;
}

static bool bad_number(const target *t, int i, mutation *m) {
  static const int64_t enums[] = {-1, 99, INT32_MAX, INT32_MIN}, flags[] = {INT64_MIN, 1 << 30, -1},
                       times[] = {-2, INT64_MIN, INT64_MAX}, any[] = {-1, INT64_MAX, INT64_MIN, 1 << 20};
  const int64_t *list = any;
  int count = COUNT(any), expected = IS_GOOD;
  switch (t->p->kind) {
    case P_ENUM: list = enums, count = COUNT(enums), expected = IS_INVALID_ARGUMENT; break;
    case P_FLAGS: list = flags, count = COUNT(flags), expected = IS_INVALID_ARGUMENT; break;
    case P_RESERVED: expected = IS_INVALID_ARGUMENT; break;
    case P_TIMEOUT: list = times, count = COUNT(times), expected = i == 2 ? IS_GOOD : IS_INVALID_ARGUMENT; break;
    default: break;
  }
  if (i >= count) return false;
  /* The low half of INT64_MIN is nothing. */
  const int64_t value = t->p->size == 4 && list[i] == INT64_MIN ? INT32_MIN : list[i];
  *m = is("", expected, t->p->name);
  snprintf(m->name, sizeof m->name, "%lld", (long long)value);
  put(at(t, t->p), &value, t->p->size);
  return true;
}

static bool bad_texts(const target *t, int i, mutation *m) {
  static const char *const lists[][2] = {{"\xff", NULL}, {"x\xed\xa0\x80", NULL}};
  if (i >= 2) return false;
  *m = is(i == 0 ? "byte-ff" : "surrogate", IS_INVALID_ARGUMENT, t->p->name);
  PUT(at(t, t->p), const char *const *, lists[i]);
  if (t->behind && t->behind->kind == P_LEN) PUT(at(t, t->behind), size_t, 1);
  return true;
}

static bool null(const target *t, int i, mutation *m, int expected) {
  if (i > 0) return false;
  *m = is("null", expected, t->p->name);
  PUT(at(t, t->p), void *, NULL);
  return true;
}

/* The i-th wrong value of an argument; false: there are no more. */
static bool mutate(const target *t, int i, mutation *m) {
  const int unless_optional = t->p->optional ? IS_GOOD : IS_INVALID_ARGUMENT;
  switch (t->p->kind) {
    case P_HANDLE: return bad_handle(t, i, m);
    case P_TEXT: return bad_text(t, i, m);
    case P_CTEXT: return bad_ctext(t, i, m);
    case P_TEXTS: return bad_texts(t, i, m);
    case P_VALUES: return bad_values(t, i, m);
    case P_BYTES:
    case P_PAIRS:
    case P_OUT_ARRAY:
      if (i >= (t->p->kind == P_OUT_ARRAY ? 2 : 2 + (int)COUNT(lengths) - 2)) return false;
      *m = is(i == 0 ? "null" : i == 1 ? "null-none" : lengths[i - 2].name, i == 1 ? IS_GOOD : IS_INVALID_ARGUMENT, t->p->name);
      if (i < 2) PUT(at(t, t->p), void *, NULL);
      if (i == 1) PUT(at(t, t->behind), size_t, 0);
      if (i >= 2) PUT(at(t, t->behind), size_t, lengths[i - 2].len);
      return true;
    case P_VALUE: {
      if (i == 0) return null(t, i, m, unless_optional);
      subpy_value *value = good_values(1);
      PUT(at(t, t->p), subpy_value *, value);
      return bad_value(i - 1, value, m, t->p->name);
    }
    case P_DICT: return bad_dict(t, i, m);
    case P_STRUCT: return bad_struct(t, i, m);
    case P_INFO: return bad_info(t, i, m);
    case P_NARGS:
      if (i >= (int)COUNT(lengths)) return false;
      *m = is(lengths[i].name, IS_INVALID_ARGUMENT, NULL);
      PUT(at(t, t->p), size_t, lengths[i].len);
      return true;
    case P_ENUM:
    case P_FLAGS:
    case P_RESERVED:
    case P_TIMEOUT:
    case P_NUMBER: return bad_number(t, i, m);
    case P_CTX:
      if (i >= 2) return false;
      *m = is(i == 0 ? "null" : "invented", IS_NOT_FOUND, NULL);
      PUT(at(t, t->p), void *, i == 0 ? NULL : (void *)(uintptr_t)0x123456789);
      return true;
    case P_ERROR:
      if (i > 0) return false;
      t->call->error = NULL;
      return null(t, i, m, IS_GOOD);
    case P_ERROR_IN: return null(t, i, m, IS_EMPTY);
    case P_CALLBACK:
      /* Those of options are NULL by default. */
      return null(t, i, m, t->inside ? IS_GOOD : unless_optional);
    case P_USERDATA:
      if (i > 0) return false;
      t->call->token = 0;
      return null(t, i, m, IS_GOOD);
    case P_BUFFER: return null(t, i, m, IS_INVALID_ARGUMENT);
    case P_OUT:
    case P_OUT_FD:
    case P_OUT_HANDLE:
    case P_RESULT: return null(t, i, m, unless_optional);
    case P_ERROR_OWNED:
    case P_VALUE_OWNED:
    case P_BUFFER_OWNED: return null(t, i, m, IS_GOOD);
    case P_LEN:  /* with what it is the length of */
    case P_SIZE: /* with its struct */
    case P_END: return false;
  }
  return false;
}

#endif
