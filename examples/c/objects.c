/*
 * Objects that stay in Python: a model that is loaded once and asked again and again, and a generator whose elements are
 * taken one by one.
 *
 *   cc objects.c $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   scores: 3 5 7
 *   the model is Model(2, 1)
 *   a generator: 1 1 2 3 5 8
 *   after the close: SUBPY_ERROR_NOT_FOUND
 */
#include <stdio.h>

#include "subpy.h"

static int give_up(subpy_error *error) {
  fprintf(stderr, "%s\n", subpy_error_message(error, NULL));
  subpy_error_free(error);
  return 1;
}

/* The result of an expression, whatever it is, as a handle that is to be freed. */
static subpy_status eval_object(subpy_interp interp, const char *expression, subpy_object *object, subpy_error **error) {
  subpy_run_request request = {.size = sizeof request,
                               .interp = interp,
                               .what = SUBPY_RUN_EVAL,
                               .flags = SUBPY_RESULT_OBJECT,
                               .text = expression,
                               .text_len = SUBPY_AUTO_LEN};
  subpy_value result = {0};
  subpy_status status = subpy_run(&request, &result, error);
  /* A result that is an object: its handle is freed, or the value is; either will do. */
  *object = status == SUBPY_OK ? result.u.as_object : 0;
  return status;
}

int main(void) {
  subpy_interp interp = 0;
  subpy_object model = 0, numbers = 0, iterator = 0;
  subpy_value value = {0};
  subpy_error *error = NULL;

  if (subpy_create(NULL, &interp, &error) != SUBPY_OK ||
      subpy_exec(interp,
                 "class Model:\n"
                 "    def __init__(self, weight, bias): self.weight, self.bias = weight, bias\n"
                 "    def predict(self, x): return x * self.weight + self.bias\n"
                 "    def __str__(self): return f'Model({self.weight}, {self.bias})'\n"
                 "def fibonacci():\n"
                 "    a, b = 0, 1\n"
                 "    while True:\n"
                 "        a, b = b, a + b\n"
                 "        yield a\n",
                 SUBPY_AUTO_LEN, &error) != SUBPY_OK)
    return give_up(error);

  if (eval_object(interp, "Model(2, 1)", &model, &error) != SUBPY_OK)
    return give_up(error);
  printf("scores:");
  for (int i = 1; i <= 3; i++) {
    subpy_value x = subpy_int(i);
    if (subpy_object_call(model, "predict", SUBPY_AUTO_LEN, &x, 1, NULL, 0, &value, &error) != SUBPY_OK)
      return give_up(error);
    printf(" %d", (int)value.u.as_int);
    subpy_value_free(&value);
  }
  if (subpy_object_text(model, &value, &error) != SUBPY_OK)
    return give_up(error);
  printf("\nthe model is %s\n", value.u.as_str);
  subpy_value_free(&value);

  /* Python goes on only when the next element is asked for. */
  if (eval_object(interp, "fibonacci()", &numbers, &error) != SUBPY_OK ||
      subpy_object_iter(numbers, &iterator, &error) != SUBPY_OK)
    return give_up(error);
  printf("a generator:");
  bool more = true;
  for (int i = 0; i < 6; i++) {
    if (subpy_object_next(iterator, 0, &more, &value, &error) != SUBPY_OK)
      return give_up(error);
    if (!more)
      break;
    printf(" %d", (int)value.u.as_int);
    subpy_value_free(&value);
  }
  printf("\n");
  subpy_object_free(iterator);
  subpy_object_free(numbers);

  /* Handles keep no interpreter open. */
  if (subpy_close(interp, &error) != SUBPY_OK)
    return give_up(error);
  subpy_status status = subpy_object_value(model, 0, NULL, NULL);
  printf("after the close: %s\n", subpy_status_name(status));
  subpy_object_free(model);
  return subpy_shutdown(&error) == SUBPY_OK ? 0 : give_up(error);
}
