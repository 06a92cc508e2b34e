/* What the tests of values share. */
#ifndef VALUES_H
#define VALUES_H

#include "test.h"

#define TEXT(text) subpy_str(text, SUBPY_AUTO_LEN)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The value of an expression, to be freed. */
static inline subpy_value eval(subpy_interp interp, const char *expression) {
  subpy_error *error = NULL;
  subpy_value value = {0};
  OK(subpy_eval(interp, expression, SUBPY_AUTO_LEN, &value, &error));
  return value;
}

/* What a function of one argument returns, to be freed. */
static inline subpy_value call1(subpy_interp interp, const char *function, subpy_value argument) {
  subpy_error *error = NULL;
  subpy_value value = {0};
  OK(subpy_call(interp, function, SUBPY_AUTO_LEN, &argument, 1, NULL, &value, &error));
  return value;
}

/* The same format, shape and bytes, of buffers without gaps. */
static inline bool same_buffer(const subpy_buffer *one, const subpy_buffer *other) {
  if (one->len != other->len || one->ndim != other->ndim || strcmp(one->format, other->format) != 0) return false;
  for (int32_t i = 0; i < one->ndim; i++) {
    if (one->shape[i] != other->shape[i]) return false;
  }
  return one->len == 0 || memcmp(one->data, other->data, one->len) == 0;
}

/* The same kind, tag and content, floats bit for bit. The texts of results end with a NUL. */
static inline bool same(const subpy_value *one, const subpy_value *other) {
  if (one->kind != other->kind || (one->flags & 0xff) != (other->flags & 0xff)) return false;
  switch (one->kind) {
    case SUBPY_KIND_BUFFER:
      return same_buffer(one->u.as_buffer, other->u.as_buffer);
    case SUBPY_KIND_NONE:
      return true;
    case SUBPY_KIND_BOOL:
      return one->u.as_bool == other->u.as_bool;
    case SUBPY_KIND_INT:
      return one->u.as_int == other->u.as_int;
    case SUBPY_KIND_FLOAT:
      return memcmp(&one->u.as_float, &other->u.as_float, sizeof(double)) == 0;
    default:
      break;
  }
  if (one->len != other->len) return false;
  for (size_t i = 0; i < one->len; i++) {
    switch (one->kind) {
      case SUBPY_KIND_TUPLE:
      case SUBPY_KIND_LIST:
        if (!same(&one->u.as_items[i], &other->u.as_items[i])) return false;
        break;
      case SUBPY_KIND_DICT:
        if (!same(&one->u.as_pairs[i].key, &other->u.as_pairs[i].key)) return false;
        if (!same(&one->u.as_pairs[i].value, &other->u.as_pairs[i].value)) return false;
        break;
      default:
        return memcmp(one->u.as_bytes, other->u.as_bytes, one->len) == 0;
    }
  }
  return true;
}

static inline bool is_text(const subpy_value *value, const char *expected) {
  return value->kind == SUBPY_KIND_STR && value->len == strlen(expected) && strcmp(value->u.as_str, expected) == 0;
}

#endif
