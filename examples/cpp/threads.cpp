/*
 * Threads: an interpreter for each thread runs in parallel with the others; a run can have a thread of its own.
 *
 *   c++ -std=c++17 -pthread threads.cpp $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   primes below 20000: 2262
 *   primes below 30000: 3245
 *   the run failed: TypeError: 'str' object cannot be interpreted as an integer
 *   100 calls through one interpreter
 */
#include <iostream>
#include <thread>
#include <vector>

#include "subpy.hpp"

static const char *definitions = R"(
    def primes(limit):
        return sum(all(n % d for d in range(2, int(n ** 0.5) + 1)) for n in range(2, limit))
    calls = []
)";

int main() {
  // Each interpreter has its own GIL, so these two compute at the same time.
  const auto first = subpy::interpreter::create();
  const auto second = subpy::interpreter::create();
  first.exec(definitions);
  second.exec(definitions);
  auto one = first.call_in_thread("primes", 20000);
  auto other = second.call_in_thread("primes", 30000);
  std::cout << "primes below 20000: " << one.join<int>() << '\n';
  std::cout << "primes below 30000: " << other.join<int>() << '\n';

  // What goes wrong comes out where it is joined.
  auto failing = first.call_in_thread("primes", "many");
  if (const auto outcome = failing.try_join(); !outcome)
    std::cout << "the run failed: " << outcome.error().what() << '\n';

  // An interpreter that many threads use: here each waits for its turn, by default it would be status::busy.
  subpy::interpreter_options options;
  options.busy = subpy::busy_policy::wait;
  const auto shared = subpy::interpreter::create(options);
  shared.exec(definitions);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&shared] {
      for (int n = 0; n < 25; n++) shared.exec("calls.append(1)");
    });
  }
  for (auto &thread : threads) thread.join();
  std::cout << shared.eval<int>("len(calls)") << " calls through one interpreter\n";
}
