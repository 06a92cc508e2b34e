// Queues between this program and interpreters.
#include <poll.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <vector>

#if __cplusplus >= 202002L
#include <stop_token>
#endif

#include "test.hpp"

using namespace std::chrono_literals;

static_assert(std::is_copy_constructible_v<subpy::queue> && std::is_nothrow_move_constructible_v<subpy::queue>);

namespace queues_test {

using subpy::kw;
using subpy::queue;

subpy::wait_options within(std::chrono::milliseconds limit) {
  subpy::wait_options options;
  options.timeout = limit;
  return options;
}

bool readable(int fd) {
  pollfd one{fd, POLLIN, 0};
  return ::poll(&one, 1, 0) == 1;
}

void alone() {
  const auto q = queue::create(2);
  CHECK(q && q.handle() != 0 && q.size() == 0);
  const int fd = q.fd();
  CHECK(!readable(fd));
  q.put(1);
  q.put("two");
  CHECK(q.size() == 2 && readable(fd));
  CHECK(q.try_put(3, within(0ms)).error().code() == subpy::status::timeout);
  CHECK(q.try_put(3, within(5ms)).error().code() == subpy::status::timeout);
  CHECK(q.get<int>() == 1 && q.get<std::string>() == "two" && !readable(fd));
  CHECK(q.try_get<int>(within(0ms)).error().code() == subpy::status::timeout);
  CHECK(q.try_get(within(-5ms)).error().code() == subpy::status::timeout);
  q.put(std::vector<int>{1, 2});
  const queue copy = q;
  CHECK(copy.get() == subpy::value::list({1, 2}));
  q.put("no int");
  CHECK_THROWS(subpy::conversion_error, "result: str does not convert to std::int32_t", q.get<int>());
  CHECK(q.size() == 0);

  q.put(4);
  q.close();
  CHECK(readable(fd));
  CHECK(q.try_put(5).error().code() == subpy::status::wrong_state);
  CHECK(q.get<int>() == 4);
  CHECK(q.try_get<int>().error().code() == subpy::status::wrong_state);

  const queue none;
  CHECK(!none && none.try_get().error().code() == subpy::status::not_found);
  CHECK(none.try_put(1).error().code() == subpy::status::not_found);
}

void cancelled() {
  const auto q = queue::create();
  subpy::wait_options options;
  options.cancel = subpy::cancel::create();
  std::thread later([token = options.cancel] {
    std::this_thread::sleep_for(10ms);
    token.fire();
  });
  CHECK(q.try_get(options).error().code() == subpy::status::interrupted);
  later.join();
#if defined(__cpp_lib_jthread)
  std::atomic<bool> stopped{false};
  {
    const std::jthread worker([&](const std::stop_token &stop) {
      subpy::wait_options waiting;
      waiting.cancel = stop;
      stopped = q.try_get(waiting).error().code() == subpy::status::interrupted;
    });
  }
  CHECK(stopped);
#endif
}

void with_python() {
  const auto interp = subpy::interpreter::create();
  const auto to = queue::create();
  const auto from = queue::create();
  interp.exec("def work(to, back):\n  for item in to: back.put(item * 2)\n  back.close()\n  return back\n");
  auto working = interp.call_in_thread("work", to, from);
  for (int n = 0; n < 100; n++) to.put(n);
  int next = 0;
  for (; next < 100; next++) CHECK(from.get<int>() == next * 2);
  to.close();
  for (const int left : from.items<int>()) next += left;
  CHECK(next == 100);
  // one comes back as another name for the same
  const auto back = working.join<queue>();
  CHECK(back.try_put(1).error().code() == subpy::status::wrong_state);

  const auto shared = queue::create(3);
  interp.prepare_main(kw("q", shared));
  interp.exec("q.put((1, 'two')); q.put(None)");
  CHECK(shared.get() == subpy::value::tuple({1, "two"}) && shared.get().is_none());
  CHECK(interp.eval<int>("q.maxsize") == 3);
  const auto info = shared.info();
  CHECK(info.capacity == 3 && info.size == 0 && !info.closed && interp.eval<std::uint64_t>("q.id") == info.id);
  CHECK(interp.eval<queue>("q").info().id == info.id && back.info().id != info.id && back.info().closed);
  const auto nested = interp.eval<std::vector<queue>>("[q]");
  interp.exec("q.put(5)");
  CHECK(nested[0].get<int>() == 5);
  const auto value = interp.eval<subpy::value>("{'q': q}");
  CHECK(value["q"].kind() == subpy::kind::queue);
  const subpy::value copy = value;
  copy.get<queue>("q").put(6);
  CHECK(interp.eval<int>("q.get()") == 6);
  CHECK(subpy::value(shared).as<queue>().size() == 0);

  // host functions take and return them
  interp.define("host:other", [shared](const queue &given) {
    given.put("from the host");
    return shared;
  });
  interp.exec("import host; host.other(q).put(7)");
  CHECK(shared.get<std::string>() == "from the host" && shared.get<int>() == 7);

  // items stay good when their interpreter is gone
  {
    const auto other = subpy::interpreter::create();
    other.prepare_main(kw("q", shared));
    other.exec("q.put('left')");
  }
  CHECK(shared.get<std::string>() == "left");
}

/// Nothing is lost and nothing doubled between producers, takers, and the one who closes.
void races() {
  const auto q = queue::create(4);
  std::atomic<int> put{0};
  std::atomic<long> put_sum{0};
  std::atomic<long> got_sum{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; t++) {
    threads.emplace_back([&, t] {
      for (int n = 0; n < 2000; n++) {
        if (!q.try_put(t * 10000 + n)) return;
        put++;
        put_sum += t * 10000 + n;
      }
    });
    threads.emplace_back([&] {
      for (const int item : q.items<int>()) got_sum += item;
    });
  }
  while (put < 3000) std::this_thread::yield();
  q.close();
  for (auto &thread : threads) thread.join();
  CHECK(put_sum == got_sum);
  for (int n = 0; n < 200; n++) {
    auto mine = queue::create();
    std::thread closing([copy = mine] { static_cast<void>(copy.try_close()); });
    static_cast<void>(mine.try_put(n));
    mine = queue();
    closing.join();
  }
}

}  // namespace queues_test

int main() {
  queues_test::alone();
  queues_test::cancelled();
  queues_test::with_python();
  queues_test::races();
  subpy::shutdown();
  return 0;
}
