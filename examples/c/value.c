/*
 * Values: nested data goes into Python and comes out of it, as a copy.
 *
 *   cc value.c $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   {'name': 'ada', 'scores': [1, 2.5, None], 'raw': b'\x00\xff'}
 *   ada has 3 scores, the best is 2.5
 *   2**100 is 0x10000000000000000000000000
 *   result['when']: datetime.date cannot be shared
 */
#include <stdio.h>

#include "subpy.h"

static const char *definitions =
    "import datetime\n"
    "def summary(record):\n"
    "    print(record)\n"
    "    scores = [score for score in record['scores'] if score is not None]\n"
    "    return {'name': record['name'], 'count': len(record['scores']), 'best': max(scores)}\n";

static subpy_value text(const char *text) { return subpy_str(text, SUBPY_AUTO_LEN); }

int main(void) {
  /* The constructors borrow and allocate nothing: arguments live on the stack, and there is nothing to free. */
  const uint8_t bytes[] = {0x00, 0xff};
  subpy_value scores[] = {subpy_int(1), subpy_float(2.5), subpy_none()};
  subpy_pair entries[] = {
      {text("name"), text("ada")},
      {text("scores"), subpy_list(scores, 3)},
      {text("raw"), subpy_bytes(bytes, sizeof bytes)},
  };
  subpy_value record = subpy_dict(entries, 3), summary = {0}, power = {0};
  subpy_interp interp = 0;
  subpy_error *error = NULL;

  if (subpy_create(NULL, &interp, &error) != SUBPY_OK ||
      subpy_exec(interp, definitions, SUBPY_AUTO_LEN, &error) != SUBPY_OK ||
      subpy_call(interp, "summary", SUBPY_AUTO_LEN, &record, 1, NULL, &summary, &error) != SUBPY_OK ||
      subpy_eval(interp, "2**100", SUBPY_AUTO_LEN, &power, &error) != SUBPY_OK) {
    fprintf(stderr, "%s\n", subpy_error_message(error, NULL));
    subpy_error_free(error);
    return 1;
  }

  /* A result is one block of memory that its root owns. What is found in it is a part of it. */
  const subpy_value *name = subpy_value_get(&summary, "name", SUBPY_AUTO_LEN);
  const subpy_value *count = subpy_value_get(&summary, "count", SUBPY_AUTO_LEN);
  const subpy_value *best = subpy_value_get(&summary, "best", SUBPY_AUTO_LEN);
  printf("%s has %d scores, the best is %.1f\n", name->u.as_str, (int)count->u.as_int, best->u.as_float);
  printf("2**100 is %s\n", power.u.as_str);
  subpy_value_free(&summary);
  subpy_value_free(&power);

  /* What has no value is an error that names the way to it, never a silent str(). */
  subpy_eval(interp, "{'when': datetime.date.today()}", SUBPY_AUTO_LEN, &summary, &error);
  printf("%s\n", subpy_error_message(error, NULL));
  subpy_error_free(error);
  return subpy_shutdown(NULL) == SUBPY_OK ? 0 : 1;
}
