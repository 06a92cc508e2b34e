/*
 * Objects that stay in Python, memory that is not copied, queues, and what has a type of its own.
 *
 *   c++ -std=c++17 data.cpp $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   the model has 3 words, and says: ada lovelace
 *   a frame of 1000000 bytes, the brightest is 255
 *   python wrote: 0 2 4 6
 *   the sum of 100000 floats is 4999950000
 *   1 4 9 16 25
 *   the set has 2 names, the price is 1.50
 *   too much: MemoryError
 */
#include <cstdint>
#include <iostream>
#include <numeric>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "subpy.hpp"

using subpy::kw;

static const char *definitions = R"(
    import decimal
    class Model:
        def __init__(self, *words): self.words = words
        def say(self): return ' '.join(self.words[:2])
    def brightest(frame): return max(frame)
    def double(numbers):
        for i in range(len(numbers)): numbers[i] *= 2
    def squares(numbers, results):
        for n in numbers: results.put(n * n)
        results.close()
)";

int main() {
  subpy::interpreter_options options;
  options.tagged_values = true;
  options.memory_limit = 200'000'000;
  const auto interp = subpy::interpreter::create(options);
  interp.exec(definitions);

  // An object stays in Python, and its methods are called.
  const auto model = interp.call<subpy::object>("Model", "ada", "lovelace", "1815");
  std::cout << "the model has " << model.attr("words").call_method<int>("__len__") << " words, and says: "
            << model.call_method<std::string>("say") << '\n';

  // Memory that moves into a buffer is not copied. It lives until Python has let go of it.
  std::vector<std::uint8_t> frame(1'000'000);
  frame[5000] = 255;
  const subpy::buffer shown(std::move(frame));
  std::cout << "a frame of " << shown.view().size() << " bytes, the brightest is " << interp.call<int>("brightest", shown)
            << '\n';

  // Python may write to it, too. What is lent, it has for one call.
  const auto numbers = subpy::buffer(std::vector<int>{0, 1, 2, 3}).writable();
  interp.call("double", numbers.lent());
  std::cout << "python wrote:";
  for (const int n : numbers.view().items<const int>()) std::cout << ' ' << n;
  std::cout << '\n';

  // The other way: numbers are read where Python has them.
  const auto floats = interp.eval<subpy::array<double>>("[float(n) for n in range(100000)]");
  std::cout << "the sum of " << floats.size() << " floats is " << std::accumulate(floats.begin(), floats.end(), std::int64_t{0})
            << '\n';

  // A queue each way.
  const auto work = subpy::queue::create();
  const auto results = subpy::queue::create(2);
  auto running = interp.call_in_thread("squares", work, results);
  for (int n = 1; n <= 5; n++) work.put(n);
  work.close();
  const char *space = "";
  for (const int square : results.items<int>()) std::cout << std::exchange(space, " ") << square;
  std::cout << '\n';
  running.join();

  // Values that have a type of their own in Python.
  const auto names = interp.eval<std::set<std::string>>("{'ada', 'grace', 'ada'}");
  const auto price = interp.eval<subpy::value>("decimal.Decimal('1.50')");
  std::cout << "the set has " << names.size() << " names, the price is " << price.as<std::string>() << '\n';

  // Memory has a limit, which is an exception in Python.
  const auto full = interp.try_exec("kept = []\nwhile True: kept.append(bytes(100_000))");
  std::cout << "too much: " << full.error().excinfo()->type_name() << '\n';
}
