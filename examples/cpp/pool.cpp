/*
 * A pool of interpreters: tasks, their outcomes, and results as they come.
 *
 *   c++ -std=c++17 pool.cpp $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   there are 1229 primes below 10000
 *   stopped: the time limit of 0.05 s is over, in line 6
 *   1 1 2 6 24
 *   row 2 failed: ValueError: factorial() not defined for negative values
 *   the callback said that it is done
 */
#include <chrono>
#include <condition_variable>
#include <iostream>
#include <mutex>
#include <vector>

#include "subpy.hpp"

using namespace std::chrono_literals;

static const char *definitions = R"(
    def primes(limit):
        return sum(all(n % d for d in range(2, int(n ** 0.5) + 1)) for n in range(2, limit))

    def spin():
        while True: pass
)";

int main() {
  subpy::pool_options options;
  options.workers = 2;
  options.setup = definitions;
  auto pool = subpy::pool::create(options);

  // A task is a call, much like one with std::async.
  auto primes = pool.submit<int>("primes", 10000);
  std::cout << "there are " << primes.get() << " primes below 10000\n";

  // Tasks have limits, as any run. An interpreter that was interrupted is replaced.
  subpy::run_options limits;
  limits.timeout = 50ms;
  const auto late = pool.submit(limits, "spin").try_get();
  std::cout << "stopped: the time limit of 0.05 s is over, in line " << late.error().excinfo()->frames().back().line << '\n';

  // Many at once: the results come in the order of the rows ...
  const std::vector<int> numbers{0, 1, 2, 3, 4};
  const char *space = "";
  for (const int n : pool.map<int>("math:factorial", numbers)) {
    std::cout << space << n;
    space = " ";
  }
  std::cout << '\n';

  // ... or as they are there, with those that failed.
  pool.map<int>("math:factorial", std::vector<int>{3, 4, -1}, [](std::size_t, const subpy::result<int> &outcome) {
    if (!outcome) std::cout << "row " << *outcome.error().row() << " failed: " << outcome.error().excinfo()->formatted() << '\n';
  });

  // Instead of waiting, be told: an event loop is woken like this. There is also a file descriptor, task.fd().
  std::mutex lock;
  std::condition_variable changed;
  bool done = false;
  auto task = pool.submit("primes", 100);
  task.notify([&] {
    const std::lock_guard<std::mutex> guard(lock);
    done = true;
    changed.notify_one();
  });
  {
    std::unique_lock<std::mutex> guard(lock);
    changed.wait(guard, [&] { return done; });
  }
  std::cout << "the callback said that it is done\n";

  pool.close();
}
