// What has a tag, and what interpreters take of memory.
#include <chrono>
#include <complex>
#include <limits>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "test.hpp"

namespace tagged_test {

using std::chrono::microseconds;
using subpy::tag;
using subpy::value;

const char *const functions =
    "import datetime, decimal, enum, uuid, dataclasses\n"
    "class Color(enum.Enum):\n"
    "  RED = 1\n"
    "@dataclasses.dataclass\n"
    "class Point:\n"
    "  x: int\n"
    "  y: float = 0.5\n"
    "def show(x): return f'{type(x).__name__} {x!r}'\n"
    "def back(x): return x\n";

void exact() {
  subpy::interpreter_options options;
  options.tagged_values = true;
  const auto interp = subpy::interpreter::create(options);
  interp.exec(functions);

  // what C++ has, too
  CHECK((interp.eval<std::set<int>>("{3, 1, 2}") == std::set<int>{1, 2, 3}));
  CHECK((interp.eval<std::set<std::string>>("frozenset({'a'})") == std::set<std::string>{"a"}));
  CHECK((interp.call<std::unordered_set<int>>("back", std::unordered_set<int>{7, 8}).size() == 2));
  CHECK_TEXT(interp.call<std::string>("show", std::set<int>{1, 2}), "set {1, 2}");
  CHECK(interp.call<std::set<int>>("back", std::set<int>{}).empty());
  CHECK(interp.eval<std::complex<double>>("1.5-2j") == std::complex<double>(1.5, -2));
  CHECK_TEXT(interp.call<std::string>("show", std::complex<double>(0, 1)), "complex 1j");
  CHECK(interp.eval<microseconds>("datetime.timedelta(-1, 5, 6)") == microseconds(-86394999994));
  for (const std::int64_t n : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{86400000000}, std::int64_t{-86400000000},
                               std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()})
    CHECK(interp.call<microseconds>("back", microseconds(n)) == microseconds(n));
  CHECK(interp.try_eval<microseconds>("datetime.timedelta.max").error().code() == subpy::status::conversion);
  CHECK(interp.try_eval<microseconds>("datetime.timedelta.min").error().code() == subpy::status::conversion);
  CHECK_THROWS(subpy::conversion_error, "result: list does not convert to std::set<std::int32_t>",
               interp.eval<std::set<int>>("[1]"));
  CHECK_THROWS(subpy::conversion_error, "result: set does not convert to std::string",
               interp.eval<std::string>("{1}"));
  // read as what its kind says
  CHECK((interp.eval<std::vector<int>>("{5}") == std::vector<int>{5}));
  CHECK_TEXT(interp.eval<std::string>("decimal.Decimal('1.50')"), "1.50");

  // all others
  const auto decimal = interp.eval<value>("decimal.Decimal('1.50')");
  CHECK(decimal.tag() == tag::decimal && decimal == value::tagged(tag::decimal, "1.50") && decimal != value("1.50"));
  CHECK_TEXT(decimal.type_name(), "Decimal");
  CHECK_TEXT(interp.call<std::string>("show", decimal), "Decimal Decimal('1.50')");
  CHECK_TEXT(interp.call<std::string>("show", value::tagged(tag::date, "2026-02-28")),
             "date datetime.date(2026, 2, 28)");
  CHECK_TEXT(interp.call<std::string>("show", value::tagged(tag::frozenset, std::tuple<int>(1))), "frozenset frozenset({1})");
  const auto red = interp.eval<value>("Color.RED");
  CHECK(red.tag() == tag::enumeration && red.get<std::string>(0) == "__main__:Color" && red.get<int>(2) == 1);
  CHECK_TEXT(interp.call<std::string>("show", red), "Color <Color.RED: 1>");
  const auto point = interp.eval<value>("Point(3)");
  CHECK(point.tag() == tag::dataclass && point.get<int>("x") == 3 && point.get<double>("y") == 0.5);
  CHECK_TEXT(interp.call<std::string>("show", point), "Point Point(x=3, y=0.5)");
  // kept in copies, and inside of something
  const value copy = value::list({point, decimal});
  CHECK(copy[0].tag() == tag::dataclass && copy[1].tag() == tag::decimal && copy.tag() == tag::none);
  CHECK(interp.call<value>("back", copy) == copy);
  CHECK(interp.try_call("back", value::tagged(tag::date, "2026-02-30")).error().excinfo()->type_name() == "ValueError");
  CHECK(interp.try_call("back", value::tagged(tag::date, 5)).error().code() == subpy::status::invalid_argument);
  CHECK(interp.try_call("back", value::tagged(static_cast<tag>(200), 5)).error().code() ==
        subpy::status::invalid_argument);
}

void without_the_flag() {
  const auto interp = subpy::interpreter::create();
  CHECK(interp.try_eval<std::set<int>>("{1}").error().code() == subpy::status::not_shareable);
  CHECK(interp.call<int>("builtins:len", std::set<int>{1, 2}) == 2);
}

void memory() {
  const auto plain = subpy::interpreter::create();
  CHECK(plain.try_memory().error().code() == subpy::status::wrong_state);
  subpy::interpreter_options options;
  options.count_memory = true;
  const auto counting = subpy::interpreter::create(options);
  const auto before = counting.memory();
  CHECK(before.used > 0 && before.peak >= before.used && before.limit == 0);
  counting.exec("kept = bytes(10_000_000)");
  CHECK(counting.memory().used >= before.used + 10'000'000);
  counting.exec("del kept");
  CHECK(counting.memory().used < before.used + 10'000'000);
  CHECK(counting.memory().peak >= before.used + 10'000'000);

  options.count_memory = false;
  options.memory_limit = 64'000'000;
  const auto limited = subpy::interpreter::create(options);
  const auto full = limited.try_exec("kept = []\nwhile True: kept.append(bytes(100_000))");
  CHECK(full.error().code() == subpy::status::execution_failed);
  CHECK(full.error().excinfo()->type_name() == "MemoryError");
  CHECK(limited.memory().limit == 64'000'000 && limited.memory().refused > 0);
  limited.exec("del kept");
  CHECK(limited.eval<int>("len(bytes(1_000_000))") == 1'000'000);
  const subpy::interpreter_ref gone = limited;
  limited.close();
  CHECK(gone.try_memory().error().code() == subpy::status::not_found);
}

void coroutines() {
  const auto interp = subpy::interpreter::create();
  interp.exec(
      "import asyncio\n"
      "async def twice(x):\n"
      "  await asyncio.sleep(0)\n"
      "  return 2 * x\n"
      "async def fail(): raise KeyError('k')\n");
  subpy::run_options options;
  options.run_async = true;
  CHECK(interp.call<int>(options, "twice", 21) == 42);
  CHECK(interp.eval<int>("twice(4)", options) == 8);
  CHECK(interp.function("twice").call<int>(options, 1) == 2);
  CHECK(interp.call_in_thread(options, "twice", 2).join<int>() == 4);
  CHECK(interp.try_call(options, "fail").error().excinfo()->type_name() == "KeyError");
  CHECK(interp.eval<int>("7", options) == 7);
  options.timeout = std::chrono::milliseconds(30);
  CHECK(interp.try_eval<int>("asyncio.sleep(3600)", options).error().code() == subpy::status::timeout);
  CHECK(interp.call<int>(options, "twice", 5) == 10);
}

}  // namespace tagged_test

int main() {
  tagged_test::exact();
  tagged_test::without_the_flag();
  tagged_test::memory();
  tagged_test::coroutines();
  subpy::shutdown();
  return 0;
}
