// Runs on threads of their own, and many threads of the program's.
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "test.hpp"

using subpy::kw;

static_assert(std::is_nothrow_move_constructible_v<subpy::thread> && !std::is_copy_constructible_v<subpy::thread>);

int main() {
  const auto interp = subpy::interpreter::create();
  interp.exec("def f(*args, **kwargs): return f'{args} {kwargs}'");

  // what is passed may go before the run begins
  subpy::thread thread;
  CHECK(!thread.joinable() && thread.handle() == 0);
  {
    const std::string text = "gone soon";
    thread = interp.call_in_thread("f", text, kw("n", 1));
  }
  CHECK(thread.joinable() && thread.handle() != 0);
  CHECK_TEXT(thread.join<std::string>(), "('gone soon',) {'n': 1}");
  CHECK(!thread.joinable());
  CHECK_ERROR(thread.try_join(), not_found, "0 is not the handle of a thread, or it was joined or freed");

  // waiting takes nothing
  using namespace std::chrono_literals;
  auto sleeping = interp.exec_in_thread("import time; time.sleep(0.2)");
  CHECK(!sleeping.wait_for(0s) && !sleeping.wait_for(-1h) && !sleeping.wait_for(1ms));
  CHECK(sleeping.wait_for(1h) && sleeping.joinable());
  sleeping.wait();
  sleeping.join();
  CHECK_ERROR(sleeping.try_wait(), not_found, "0 is not the handle of a thread, or it was joined or freed");

  interp.exec_in_thread("x = 5").join();
  CHECK(interp.eval_in_thread("x * 2").join<int>() == 10);
  CHECK_THROWS(subpy::execution_failed, "ZeroDivisionError: division by zero", interp.eval_in_thread("1 / 0").join());
  CHECK_THROWS(subpy::conversion_error, "result: int 300 does not fit std::uint8_t",
               interp.eval_in_thread("300").join<std::uint8_t>());
  CHECK(interp.eval_in_thread("[1]").join<subpy::value>() == subpy::value::list({1}));

  // moved, replaced, left alone
  auto first = interp.eval_in_thread("1");
  subpy::thread second = std::move(first);
  CHECK(!first.joinable() && second.join<int>() == 1);
  const auto waiting = subpy::interpreter::create([] {
    subpy::interpreter_options options;
    options.busy = subpy::busy_policy::wait;
    return options;
  }());
  waiting.exec("runs = []");
  second = waiting.exec_in_thread("runs.append(1)");
  second = waiting.exec_in_thread("runs.append(2)");
  auto &same = second;
  second = std::move(same);
  CHECK(second.joinable());
  second.detach();
  { const auto left = waiting.exec_in_thread("runs.append(3)"); }
  while (waiting.eval<int>("len(runs)") != 3) std::this_thread::yield();

  // one interpreter from many threads, and one each
  std::atomic<int> done{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&, i] {
      const auto own = subpy::interpreter::create();
      own.prepare_main(kw("i", i));
      for (int n = 0; n < 200; n++) {
        CHECK(waiting.call<int>("builtins:abs", -n) == n);
        CHECK(own.eval<int>("i") == i);
      }
      done++;
    });
  }
  for (auto &running : threads) running.join();
  CHECK(done == 4);

  const auto stale = subpy::interpreter_ref(interp);
  interp.close();
  CHECK(stale.try_call_in_thread("f").error().code() == subpy::status::not_found);
  return 0;
}
