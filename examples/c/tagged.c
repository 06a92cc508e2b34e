/*
 * Tagged values: dates, decimals, sets, enums and dataclasses cross exactly. Rows of numbers come as arrays.
 *
 *   cc tagged.c $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   Order(day=datetime.date(2026, 2, 28), total=Decimal('19.90'), state=<State.PAID: 1>)
 *   class (tag 0): __main__:Order
 *   day (tag 4): 2026-03-01
 *   total (tag 8): 39.80
 *   the sum of 5 numbers is 2.5
 */
#include <stdio.h>

#include "subpy.h"

static const char *definitions =
    "import dataclasses, datetime, decimal, enum\n"
    "class State(enum.Enum): PAID = 1\n"
    "@dataclasses.dataclass(frozen=True)\n"
    "class Order:\n"
    "    day: datetime.date\n"
    "    total: decimal.Decimal\n"
    "    state: State\n"
    "def again(order):\n"
    "    print(order)\n"
    "    return dataclasses.replace(order, day=order.day + datetime.timedelta(days=1), total=order.total * 2)\n";

static subpy_value text(uint32_t tag, const char *text) {
  subpy_value value = subpy_str(text, SUBPY_AUTO_LEN);
  value.flags = tag;
  return value;
}

int main(void) {
  /* A tag is set on a value of the kind that belongs to it. The class is looked up in Python by its name. */
  subpy_value paid[] = {text(0, "__main__:State"), text(0, "PAID"), subpy_int(1)};
  subpy_value state = subpy_tuple(paid, 3);
  state.flags = SUBPY_TAG_ENUM;
  subpy_pair fields[] = {
      {text(0, "__class__"), text(0, "__main__:Order")},
      {text(0, "day"), text(SUBPY_TAG_DATE, "2026-02-28")},
      {text(0, "total"), text(SUBPY_TAG_DECIMAL, "19.90")},
      {text(0, "state"), state},
  };
  subpy_value order = subpy_dict(fields, 4), next = {0}, row = {0};
  order.flags = SUBPY_TAG_DATACLASS;

  /* Results have tags when the interpreter is asked for them. */
  subpy_interp_options options = {.size = sizeof options, .flags = SUBPY_INTERP_TAGGED_VALUES};
  subpy_interp interp = 0;
  subpy_error *error = NULL;
  if (subpy_create(&options, &interp, &error) != SUBPY_OK ||
      subpy_exec(interp, definitions, SUBPY_AUTO_LEN, &error) != SUBPY_OK ||
      subpy_call(interp, "again", SUBPY_AUTO_LEN, &order, 1, NULL, &next, &error) != SUBPY_OK) {
    fprintf(stderr, "%s\n", subpy_error_message(error, NULL));
    subpy_error_free(error);
    return 1;
  }
  const char *names[] = {"class", "day", "total"};
  for (int i = 0; i < 3; i++) {
    const subpy_value *field = &next.u.as_pairs[i].value;
    printf("%s (tag %u): %s\n", names[i], (unsigned)(field->flags & 0xff), field->u.as_str);
  }
  subpy_value_free(&next);

  /* A list of numbers, as an array. */
  subpy_run_request request = {
      .size = sizeof request,
      .interp = interp,
      .what = SUBPY_RUN_EVAL,
      .flags = SUBPY_RESULT_ARRAY,
      .text = "[i / 4 for i in range(5)]",
      .text_len = SUBPY_AUTO_LEN,
  };
  if (subpy_run(&request, &row, &error) != SUBPY_OK) {
    fprintf(stderr, "%s\n", subpy_error_message(error, NULL));
    subpy_error_free(error);
    return 1;
  }
  const subpy_buffer *buffer = row.u.as_buffer;
  const double *numbers = buffer->data;
  double sum = 0;
  for (size_t i = 0; i < buffer->shape[0]; i++) sum += numbers[i];
  printf("the sum of %zu numbers is %.1f\n", buffer->shape[0], sum);
  subpy_value_free(&row);
  return subpy_shutdown(NULL) == SUBPY_OK ? 0 : 1;
}
