/*
 * The same calls through subpy.h and through subpy.hpp, side by side in one process and one interpreter: each round
 * times one batch of both, in turns the one and the other first. Prints, in microseconds,
 *
 *   name <TAB> C <TAB> C++ <TAB> the median of the rounds' ratios
 *
 * Both sides do the same work: they check for errors, and a text or a list ends as memory of the caller's own.
 *
 * It is not part of `make bench`:
 *
 *   c++ -std=c++17 -O2 -Iinclude -Ibindings/cpp benches/call_cpp.cpp -Ltarget/release -lsubpy \
 *       -Wl,-rpath,$PWD/target/release && SUBPY_PYTHON=$(tools/get-python) ./a.out
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "subpy.hpp"

namespace {

constexpr int rounds = 301;

double now_us(void) {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

int compare(const void *one, const void *other) {
  double a = *static_cast<const double *>(one), b = *static_cast<const double *>(other);
  return (a > b) - (a < b);
}

// Sorts them.
double median(double *values, size_t count) {
  std::qsort(values, count, sizeof *values, compare);
  return (values[count / 2] + values[(count - 1) / 2]) / 2;
}

void expect(subpy_status status, const subpy_error *error) {
  if (status == SUBPY_OK) return;
  std::fprintf(stderr, "%s: %s\n", subpy_status_name(status), subpy_error_message(error, nullptr));
  std::exit(1);
}

subpy::interpreter interp;
volatile double sum;

void c_call(const char *name, const subpy_value *args, size_t count, subpy_value *result) {
  subpy_error *error = nullptr;
  expect(subpy_call(interp.handle(), name, SUBPY_AUTO_LEN, args, count, nullptr, result, &error), error);
}

void c_sqrt() {
  const subpy_value args[] = {subpy_float(2.0)};
  subpy_value result;
  c_call("math:sqrt", args, 1, &result);
  sum = sum + result.u.as_float;
  subpy_value_free(&result);
}

void cpp_sqrt() { sum = sum + interp.call<double>("math:sqrt", 2.0); }

void c_add() {
  const subpy_value args[] = {subpy_int(1), subpy_int(2000)};
  subpy_value result;
  c_call("f", args, 2, &result);
  sum = sum + static_cast<double>(result.u.as_int);
  subpy_value_free(&result);
}

void cpp_add() { sum = sum + static_cast<double>(interp.call<std::int64_t>("f", 1, 2000)); }

const std::string text(100, 'x');

void c_text() {
  const subpy_value args[] = {subpy_str(text.data(), text.size())};
  subpy_value result;
  c_call("same", args, 1, &result);
  auto *copy = static_cast<char *>(std::malloc(result.len + 1));
  std::memcpy(copy, result.u.as_str, result.len + 1);
  sum = sum + copy[result.len / 2];
  std::free(copy);
  subpy_value_free(&result);
}

void cpp_text() { sum = sum + interp.call<std::string>("same", text)[50]; }

const std::vector<std::int64_t> numbers(1000, 1234567);

void c_numbers() {
  auto *items = static_cast<subpy_value *>(std::malloc(numbers.size() * sizeof(subpy_value)));
  for (size_t i = 0; i < numbers.size(); i++) items[i] = subpy_int(numbers[i]);
  const subpy_value args[] = {subpy_list(items, numbers.size())};
  subpy_value result;
  c_call("same", args, 1, &result);
  std::free(items);
  auto *copy = static_cast<std::int64_t *>(std::malloc(result.len * sizeof(std::int64_t)));
  for (size_t i = 0; i < result.len; i++) {
    if (result.u.as_items[i].kind != SUBPY_KIND_INT) std::abort();
    copy[i] = result.u.as_items[i].u.as_int;
  }
  sum = sum + static_cast<double>(copy[500]);
  std::free(copy);
  subpy_value_free(&result);
}

void cpp_numbers() {
  sum = sum + static_cast<double>(interp.call<std::vector<std::int64_t>>("same", numbers)[500]);
}

void c_exec() {
  subpy_error *error = nullptr;
  expect(subpy_exec(interp.handle(), "x = 1", SUBPY_AUTO_LEN, &error), error);
}

void cpp_exec() { interp.exec("x = 1"); }

double time_of(void (*run)(), int count) {
  const double start = now_us();
  for (int i = 0; i < count; i++) run();
  return (now_us() - start) / count;
}

void compare_runs(const char *what, void (*limit)(), void (*subject)(), int count) {
  static double c_times[rounds], cpp_times[rounds], ratios[rounds];
  time_of(limit, count);
  time_of(subject, count);
  for (int round = 0; round < rounds; round++) {
    if (round % 2 != 0) cpp_times[round] = time_of(subject, count);
    c_times[round] = time_of(limit, count);
    if (round % 2 == 0) cpp_times[round] = time_of(subject, count);
    ratios[round] = cpp_times[round] / c_times[round];
  }
  std::printf("%s\t%.3f\t%.3f\t%.3f\n", what, median(c_times, rounds), median(cpp_times, rounds),
              median(ratios, rounds));
}

}  // namespace

int main() {
  interp = subpy::interpreter::create();
  interp.exec("def f(a, b): return a + b\ndef same(x): return x");
  compare_runs("C++: call<double>(\"math:sqrt\", 2.0)", c_sqrt, cpp_sqrt, 2000);
  compare_runs("C++: call<int64_t>(\"f\", a, b)", c_add, cpp_add, 2000);
  compare_runs("C++: str of 100 bytes, there and back", c_text, cpp_text, 2000);
  compare_runs("C++: list of 1,000 ints, there and back", c_numbers, cpp_numbers, 50);
  compare_runs("C++: exec(\"x = 1\")", c_exec, cpp_exec, 200);
  interp.close();
  subpy::shutdown();
  return 0;
}
