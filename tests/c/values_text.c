/* Texts of every length around what is taken at once: short words, rows of bytes, what is copied and what is decoded. */
#include "values.h"

static subpy_interp interp;

/* Python sees what was passed, and it comes back as it was. */
static void crosses(const char *text, size_t len) {
  subpy_error *error = NULL;
  subpy_value items[] = {subpy_str(text, len), subpy_bytes((const uint8_t *)text, len)};
  subpy_value back = {0};
  OK(subpy_call(interp, "check", SUBPY_AUTO_LEN, items, 2, NULL, &back, &error));
  CHECK(back.kind == SUBPY_KIND_LIST && back.len == 3);
  for (size_t i = 0; i < 2; i++) {
    CHECK(same(&back.u.as_items[i], &items[0]));
    CHECK(back.u.as_items[i].u.as_str[len] == 0);
  }
  CHECK(back.u.as_items[2].len == 1);
  CHECK(same(&back.u.as_items[2].u.as_pairs[0].key, &items[0]));
  CHECK(same(&back.u.as_items[2].u.as_pairs[0].value, &items[0]));
  subpy_value_free(&back);
}

/* Refused, with the place. */
static void refused(const char *text, size_t len, size_t place) {
  subpy_error *error = NULL;
  char message[100];
  subpy_value items[] = {subpy_int(1), subpy_str(text, len)}, list = subpy_list(items, 2);
  snprintf(message, sizeof message, "args[0][1]: invalid UTF-8 at byte offset %zu", place);
  FAILS(SUBPY_ERROR_INVALID_ARGUMENT, message, subpy_call(interp, "check", SUBPY_AUTO_LEN, &list, 1, NULL, NULL, &error));
}

int main(void) {
  interp = create();
  run(interp,
      "def check(text, data):\n"
      "  assert type(text) is str and text.encode() == data and text == data.decode()\n"
      "  assert hash(text) == hash(data.decode()) and text.isascii() == data.isascii()\n"
      "  return [text, data.decode(), {text: text}]\n");
  static const char *const others[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\x7f"};
  static const size_t lengths[] = {71, 72, 126, 127, 128, 129, 143, 144, 145, 255, 256, 257, 1023, 1024, 1025, 5000};
  for (size_t n = 0; n < 71 + COUNT(lengths); n++) {
    size_t len = n < 71 ? n : lengths[n - 71];
    /* Exactly as long as it is, so that whoever reads more is seen by a sanitizer. */
    char *text = malloc(len + 1);
    CHECK(text);
    char *exact = text + 1;
    for (size_t i = 0; i < len; i++) exact[i] = (char)('a' + i % 26);
    crosses(exact, len);
    size_t step = len > 300 ? 97 : 1;
    for (size_t at = 0; at < len; at += step) {
      char before = exact[at];
      exact[at] = 0;
      crosses(exact, len);
      exact[at] = '\xff';
      refused(exact, len, at);
      exact[at] = before;
      for (size_t k = 0; k < COUNT(others); k++) {
        char kept[4];
        size_t width = strlen(others[k]);
        if (at + width > len) continue;
        memcpy(kept, exact + at, width);
        memcpy(exact + at, others[k], width);
        crosses(exact, len);
        memcpy(exact + at, kept, width);
      }
    }
    free(text);
  }
  shut_down();
  return 0;
}
