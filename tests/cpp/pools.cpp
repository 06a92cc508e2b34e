// Pools of interpreters, and being told that something has ended.
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <iterator>
#include <mutex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

#include "test.hpp"

using namespace std::chrono_literals;

static_assert(std::is_nothrow_move_constructible_v<subpy::pool> && !std::is_copy_constructible_v<subpy::pool>);
static_assert(std::is_nothrow_move_constructible_v<subpy::future<int>> &&
              !std::is_copy_constructible_v<subpy::future<int>>);

namespace pools_test {

using subpy::kw;
using subpy::pool;

const char *const functions =
    "import time, array\n"
    "def add(a, b=0): return a + b\n"
    "def fail(text): raise ValueError(text)\n"
    "def loop():\n"
    "  while True: pass\n"
    "def odd(n):\n"
    "  if n % 2 == 0: raise KeyError(n)\n"
    "  return n\n";

subpy::pool_options two() {
  subpy::pool_options options;
  options.workers = 2;
  options.setup = functions;
  return options;
}

subpy::run_options within(std::chrono::milliseconds limit) {
  subpy::run_options options;
  options.timeout = limit;
  return options;
}

void submitting() {
  auto workers = pool::create(two());
  CHECK(workers.handle() != 0);
  auto sum = workers.submit<int>("add", 1, kw("b", 2));
  CHECK(sum.valid() && sum.get() == 3 && !sum.valid());
  CHECK(workers.submit_eval<std::string>("'a' * 3").get() == "aaa");
  workers.submit_exec("pass").get();
  workers.submit("add", 1).get();
  CHECK_THROWS(subpy::execution_failed, "ValueError: no", workers.submit("fail", "no").get());
  CHECK(workers.submit<std::uint8_t>("add", 300).try_get().error().code() == subpy::status::conversion);
  CHECK(workers.submit(within(20ms), "loop").try_get().error().code() == subpy::status::timeout);
  CHECK_TEXT(workers.submit<subpy::object>("builtins:range", 3).get().text(), "range(0, 3)");
  CHECK(workers.submit<subpy::array<double>>("array:array", "d", std::vector<double>{1, 2}).get()[1] == 2);
  std::ostringstream printed;
  subpy::run_options options;
  options.output = printed;
  workers.submit_exec("print('one line')", options).get();
  CHECK_TEXT(printed.str(), "one line\n");

  std::vector<subpy::future<int>> all;
  for (int n = 0; n < 200; n++) all.push_back(workers.submit<int>("add", n, n));
  for (int n = 0; n < 200; n++) CHECK(all[static_cast<std::size_t>(n)].get() == 2 * n);

  // One of them gets another interpreter, because of the time limit.
  while (workers.stats().workers < 2) std::this_thread::yield();
  const auto stats = workers.stats();
  CHECK(stats.workers == 2 && stats.queued == 0 && stats.running == 0);
  CHECK(stats.submitted == stats.done && stats.done >= 200 && stats.failed == 2 && stats.replaced >= 1);
  CHECK(stats.run_p50_us <= stats.run_p99_us);

  // left alone, and outliving the pool
  { const auto left = workers.submit("add", 1); }
  auto last = workers.submit<int>("add", 40, 2);
  workers.close();
  CHECK(last.get() == 42);
  CHECK(workers.try_submit("add", 1).error().code() == subpy::status::not_found);
  CHECK(pool().try_submit("add", 1).error().code() == subpy::status::not_found);
  subpy::future<int> none;
  CHECK(!none.valid() && none.try_get().error().code() == subpy::status::not_found);
}

void cancelling() {
  auto options = two();
  options.workers = 1;
  options.backlog = 3;
  options.refuse = true;
  auto workers = pool::create(options);
  auto running = workers.submit("loop");
  while (workers.stats().running == 0) std::this_thread::yield();
  auto first = workers.submit<int>("add", 1);
  auto second = workers.submit<int>("add", 2);
  auto third = workers.submit<int>("add", 3);
  CHECK(workers.try_submit("add", 1).error().code() == subpy::status::busy);
  CHECK(workers.stats().queued == 3 && !first.wait_for(1ms));
  second.cancel();
  CHECK(second.try_get().error().code() == subpy::status::interrupted);
  running.cancel();
  CHECK(running.try_get().error().code() == subpy::status::interrupted);
  CHECK(first.get() == 1 && third.get() == 3);
  CHECK(workers.stats().cancelled == 2);
  third.cancel();  // too late

  // busy while something runs; then it is interrupted
  auto looping = workers.submit("loop");
  auto waiting = workers.submit("add", 1);
  subpy::close_options now;
  now.timeout = 0ms;
  CHECK(workers.try_close(now).error().code() == subpy::status::busy && workers.handle() != 0);
  now.timeout.reset();
  now.interrupt = true;
  workers.close(now);
  CHECK(looping.try_get().error().code() == subpy::status::interrupted);
  CHECK(!waiting.try_get());

  // so does the destructor
  subpy::future<void> late;
  {
    const auto dropped = pool::create(options);
    late = dropped.submit("loop");
  }
  CHECK(late.try_get().error().code() == subpy::status::interrupted);
}

void mapping() {
  const auto workers = pool::create(two());
  std::vector<int> numbers;
  for (int n = 0; n < 100; n++) numbers.push_back(2 * n + 1);
  CHECK(workers.map<int>("odd", numbers) == numbers);
  subpy::map_options chunked;
  chunked.chunk = 7;
  CHECK(workers.map<int>("odd", numbers, chunked) == numbers);
  CHECK((workers.map<int>("add", std::vector<std::pair<int, int>>{{1, 2}, {3, 4}}) == std::vector<int>{3, 7}));
  CHECK(workers.map<int>("add", std::vector<int>()).empty());
  CHECK(workers.map("add", std::vector<int>{5})[0].as<int>() == 5);

  // with iterators
  std::set<int> to;
  workers.map<int>("odd", numbers.begin(), numbers.begin() + 3, std::inserter(to, to.end()));
  CHECK((to == std::set<int>{1, 3, 5}));

  // as they come
  std::size_t next = 0;
  int failed = 0;
  workers.map<int>("odd", std::vector<int>{1, 2, 3, 4}, [&](std::size_t row, subpy::result<int> outcome) {
    CHECK(row == next++);
    if (outcome) {
      CHECK(*outcome == static_cast<int>(row) + 1);
      return;
    }
    failed++;
    CHECK(outcome.error().row() == row && outcome.error().excinfo()->type_name() == "KeyError");
  });
  CHECK(next == 4 && failed == 2);
  next = 0;
  workers.map("odd", numbers, [&](std::size_t, const subpy::result<subpy::value> &) { return ++next < 5; });
  CHECK(next == 5);
  workers.map<void>("add", numbers, [&](std::size_t, const subpy::result<void> &outcome) { next += outcome ? 1U : 0U; });
  CHECK(next == 105);

  // errors end it, and so does what is thrown
  const auto wrong = workers.try_map<int>("odd", std::vector<int>{1, 2, 4});
  CHECK(wrong.error().row() == 1U && wrong.error().excinfo()->msg() == "2");
  CHECK_THROWS(subpy::conversion_error, "row 1: result: int 301 does not fit std::uint8_t",
               workers.map<std::uint8_t>("odd", std::vector<int>{1, 301}));
  CHECK_THROWS(std::runtime_error, "enough",
               workers.map<int>("odd", numbers, [](std::size_t, const subpy::result<int> &) {
                 throw std::runtime_error("enough");
               }));
  CHECK(workers.try_map<int>("nothing", numbers).error().row() == 0U);
  CHECK(workers.try_map<int>("add", std::vector<std::vector<subpy::value>>{}).has_value());
  CHECK(workers.map<int>("odd", numbers) == numbers);
}

void preparing() {
  std::atomic<int> prepared{0};
  auto options = two();
  options.spares = 0;
  options.runs_per_worker = 5;
  options.prepare = [&](subpy::interpreter_ref interp) {
    prepared++;
    interp.define("host:twice", [](int n) { return 2 * n; });
  };
  options.setup = "import host\ndef call(n): return host.twice(n)\n";
  {
    auto workers = pool::create(options);
    CHECK(prepared >= 2);
    for (int n = 0; n < 40; n++) CHECK(workers.submit<int>("call", n).get() == 2 * n);
    workers.close();
  }
  CHECK(prepared >= 5);
  options.setup = "raise ValueError('no setup')";
  CHECK(pool::try_create(options).error().excinfo()->type_name() == "ValueError");
  options = two();
  options.interpreter.memory_limit = 200'000'000;
  options.interpreter.timeout = 50ms;  // which a setup has to keep, too
  options.setup.clear();
  const auto limited = pool::create(options);
  CHECK(limited.submit_exec("while True: pass").try_get().error().code() == subpy::status::timeout);
}

void notified() {
  const auto workers = pool::create(two());
  std::mutex lock;
  std::condition_variable changed;
  int told = 0;
  const auto tell = [&] {
    const std::lock_guard<std::mutex> guard(lock);
    told++;
    changed.notify_one();
  };
  const auto wait_for = [&](int count) {
    std::unique_lock<std::mutex> guard(lock);
    changed.wait(guard, [&] { return told == count; });
  };
  auto task = workers.submit<int>("add", 1, 1);
  task.notify(tell);
  wait_for(1);
  task.notify(tell);  // here and now
  CHECK(told == 2 && task.get() == 2);
  CHECK(task.try_notify(tell).error().code() == subpy::status::not_found);

  auto slow = workers.submit_exec("time.sleep(0.02)");
  const int fd = slow.fd();
  pollfd one{fd, POLLIN, 0};
  CHECK(::poll(&one, 1, -1) == 1 && slow.wait_for(0ms));
  slow.get();

  // threads of an interpreter, too
  const auto interp = subpy::interpreter::create();
  auto thread = interp.eval_in_thread("1 + 1");
  thread.notify(tell);
  wait_for(3);
  CHECK(thread.fd() >= 0 && thread.join<int>() == 2);
  auto left = interp.exec_in_thread("import time; time.sleep(0.01)");
  left.notify(tell);
  left.detach();
  wait_for(4);
  static bool hooked = false;
  const auto before = subpy::set_unraisable_hook([](const subpy::error &) noexcept { hooked = true; });
  auto done = interp.exec_in_thread("pass");
  done.wait();
  done.notify([] { throw std::runtime_error("nobody sees it"); });
  subpy::set_unraisable_hook(before);
  CHECK(hooked);
}

/// Several submit and cancel, while the pool is closed in each way.
void races() {
  for (int round = 0; round < 6; round++) {
    auto workers = pool::create(two());
    std::atomic<int> outcomes{0};
    std::atomic<int> submitted{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; t++) {
      threads.emplace_back([&, t] {
        for (int n = 0; n < 100; n++) {
          auto task = workers.try_submit<int>("add", n, t);
          if (!task) return;
          submitted++;
          if (n % 3 == 0) task->cancel();
          const auto outcome = task->try_get();
          CHECK(!outcome || *outcome == n + t);
          outcomes++;
        }
      });
    }
    while (submitted < 20) std::this_thread::yield();
    subpy::close_options options;
    options.drain = round % 2 == 0;
    options.interrupt = round % 2 == 1;
    const subpy_close_options raw = subpy::detail::raw_options(options);
    CHECK(subpy_pool_close(workers.handle(), &raw, nullptr) == SUBPY_OK);
    for (auto &thread : threads) thread.join();
    CHECK(outcomes == submitted);
  }
}

// What ends the process of an interpreter costs its own task alone.
void processes() {
  subpy::pool_options options = two();
  options.isolation = subpy::isolation::process;
  options.interpreter.grace = 50ms;
  auto workers = pool::create(options);
  std::vector<subpy::future<int>> good;
  const auto submit = [&] {
    for (int i = 0; i < 30; i++) good.push_back(workers.submit<int>("add", static_cast<int>(good.size()), 1));
  };
  submit();
  auto exits = workers.submit_exec("import os; os._exit(3)");
  submit();
  auto faults = workers.submit_exec("import ctypes; ctypes.string_at(1)");
  submit();
  auto hangs = workers.submit_exec("import itertools; sum(itertools.repeat(1))", within(30ms));
  submit();
  for (std::size_t i = 0; i < good.size(); i++) CHECK(good[i].get() == static_cast<int>(i) + 1);
  CHECK(exits.try_get().error().code() == subpy::status::crashed);
  CHECK(faults.try_get().error().code() == subpy::status::crashed);
  CHECK(hangs.try_get().error().code() == subpy::status::timeout);
  const subpy::pool_stats stats = workers.stats();
  CHECK(stats.crashed == 3 && stats.isolation == subpy::isolation::process && stats.reason.empty());
  workers.close();
}

// A module that is not for interpreters of this process has the pool move.
void moves() {
  subpy::pool_options options = two();
  options.isolation = subpy::isolation::automatic;
  auto workers = pool::create(options);
  CHECK(workers.stats().isolation == subpy::isolation::own_gil && workers.stats().reason.empty());
  CHECK(workers.submit<int>("os:getpid").get() == getpid());
  workers.submit_exec("import faulthandler").get();
  CHECK(workers.stats().isolation == subpy::isolation::process);
  CHECK_TEXT(workers.stats().reason, "module faulthandler does not support loading in subinterpreters");
  CHECK(workers.submit<int>("os:getpid").get() != getpid());
}

}  // namespace pools_test

int main() {
  pools_test::submitting();
  pools_test::cancelling();
  pools_test::mapping();
  pools_test::preparing();
  pools_test::notified();
  pools_test::races();
  pools_test::processes();
  pools_test::moves();
  subpy::shutdown();
  return 0;
}
