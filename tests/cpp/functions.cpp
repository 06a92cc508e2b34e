// Functions that are looked up once, and sessions.
#include <array>
#include <map>
#include <optional>
#include <thread>
#include <vector>

#include "test.hpp"

using subpy::kw;

static_assert(std::is_nothrow_move_constructible_v<subpy::function> && !std::is_copy_constructible_v<subpy::function>);
static_assert(std::is_nothrow_move_constructible_v<subpy::session> && !std::is_copy_constructible_v<subpy::session>);

namespace {

std::string last_ignored;

void remember(const subpy::error &ignored) noexcept { last_ignored = ignored.what(); }

subpy::interpreter shared_interpreter() {
  subpy::interpreter_options options;
  options.busy = subpy::busy_policy::share;
  return subpy::interpreter::create(options);
}

void functions() {
  auto interp = shared_interpreter();
  interp.exec("def f(a, b=10): return a + b");
  const subpy::function f = interp.function("f");
  CHECK(f.handle() != 0 && f.call<int>(1) == 11 && f.call<int>(1, kw("b", 2)) == 3);
  interp.exec("def f(): return 'another'");
  CHECK(f.call<int>(1) == 11 && interp.call<std::string>("f") == "another");
  CHECK(f.call_in_thread(1, kw("b", std::string("2").size())).join<int>() == 2);
  CHECK_THROWS(subpy::execution_failed, "TypeError: f() missing 1 required positional argument: 'a'", f.call());
  CHECK(interp.function("math:sqrt").call<double>(16.0) == 4.0);
  CHECK_THROWS(subpy::execution_failed, "AttributeError: module '__main__' has no attribute 'g'", interp.function("g"));
  CHECK_THROWS(subpy::conversion_error, "result: int 300 does not fit std::uint8_t", f.call<std::uint8_t>(290));

  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&f, i] {
      for (int n = 0; n < 100; n++) CHECK(f.call<int>(i, n) == i + n);
    });
  }
  for (auto &thread : threads) thread.join();

  subpy::function none, moved = interp.function("math:sqrt");
  CHECK_ERROR(none.try_call(1), not_found, "0 is not the handle of a function, or it was freed");
  none = std::move(moved);
  CHECK(moved.handle() == 0 && none.call<double>(4.0) == 2.0);
  auto &same = none;
  none = std::move(same);
  CHECK(none.call<double>(4.0) == 2.0);
  interp.close();
  CHECK(none.try_call(4.0).error().code() == subpy::status::not_found);
}

void many() {
  auto interp = subpy::interpreter::create();
  interp.exec(R"(
      def f(a, b=0):
        if a == 3: raise ValueError(a)
        if a == 4: raise SystemExit(a)
        return a + b
  )");
  const auto f = interp.function("f");
  using pairs = std::vector<std::pair<int, int>>;
  CHECK(f.call_many<int>(pairs{{1, 2}, {5, 6}}) == std::vector<int>{3, 11});
  CHECK(f.call_many<double>(std::vector<double>{1.5, 2.0}) == std::vector<double>{1.5, 2.0});
  CHECK(f.call_many<std::string>(std::vector<std::array<std::string, 2>>{{"a", "b"}, {"c", "d"}}) ==
        std::vector<std::string>{"ab", "cd"});
  CHECK(f.call_many<int>(std::map<int, int>{{1, 2}, {7, 8}}) == std::vector<int>{3, 15});
  const std::vector<int> one{1, 2}, other{5, 6}, longer{1, 2, 3};
  using unpacked = std::vector<subpy::unpacked<std::vector<int>>>;
  CHECK(f.call_many<subpy::value>(unpacked{subpy::unpack(one), subpy::unpack(other)})[1] == subpy::value(11));
  CHECK(f.call_many<int>(pairs{}).empty() && f.call_each(pairs{}).empty());
  f.call_many(pairs{{1, 2}});
  pairs thousand;
  for (int i = 0; i < 1000; i++) thousand.emplace_back(i + 10, 1);
  const auto sums = f.call_many<int>(thousand);
  for (int i = 0; i < 1000; i++) CHECK(sums[static_cast<std::size_t>(i)] == i + 11);

  const auto failed = f.try_call_many<int>(pairs{{1, 0}, {2, 0}, {3, 0}});
  CHECK(failed.error().row() == 2 && failed.error().excinfo()->formatted() == "ValueError: 3");
  CHECK_ERROR(failed, execution_failed, "row 2: ValueError: 3");
  CHECK_THROWS(subpy::execution_failed, "row 0: ValueError: 3", f.call_many(pairs{{3, 0}}));
  CHECK_ERROR(f.try_call_many<std::uint8_t>(pairs{{1, 0}, {300, 0}}), conversion,
              "row 1: result: int 300 does not fit std::uint8_t");
  CHECK(f.try_call_many<std::uint8_t>(pairs{{1, 0}, {300, 0}}).error().row() == 1);
  CHECK(!f.try_call<int>(3).error().row());
  CHECK_ERROR(f.try_call_many(unpacked{subpy::unpack(one), subpy::unpack(longer)}), invalid_argument,
              "row 1: 3 arguments, those before have 2");
  CHECK_ERROR(f.try_call_each(unpacked{subpy::unpack(one), subpy::unpack(longer)}), invalid_argument,
              "row 1: 3 arguments, those before have 2");

  std::optional<subpy::error> kept;
  {
    const auto each = f.call_each<std::uint8_t>(pairs{{1, 1}, {3, 0}, {255, 1}, {7, 7}});
    CHECK(each.size() == 4 && *each[0] == 2 && *each[3] == 14);
    CHECK_ERROR(each[2], conversion, "row 2: result: int 256 does not fit std::uint8_t");
    kept = each[1].error();
  }
  CHECK(f.call_each(pairs{{1, 1}})[0]->as<int>() == 2);
  CHECK_ERROR(f.try_call_each(pairs{{1, 1}, {4, 0}}), execution_failed, "row 1: SystemExit: 4");
  const auto id = std::to_string(interp.id());
  interp.close();
  // It keeps the results that it is among.
  CHECK(kept->row() == 1 && kept->code() == subpy::status::execution_failed);
  CHECK_TEXT(kept->what(), "row 1: ValueError: 3");
  CHECK(kept->excinfo()->frames().size() == 1);
  CHECK_ERROR(f.try_call_many(pairs{{1, 1}}), not_found, "unrecognized interpreter ID " + id);
}

void sessions() {
  auto interp = shared_interpreter();
  interp.exec(
      "import threading\n"
      "local = threading.local()\n"
      "def count(): local.n = getattr(local, 'n', 0) + 1; return local.n\n");
  const auto count = interp.function("count");
  CHECK(count.call<int>() == 1 && count.call<int>() == 1);
  {
    const subpy::session outer = interp.enter();
    {
      const auto inner = interp.enter();
      CHECK(count.call<int>() == 1 && interp.call<int>("count") == 2);
    }
    CHECK(count.call<int>() == 3 && interp.try_close().error().code() == subpy::status::busy);
    std::thread([&] { CHECK(count.call<int>() == 1); }).join();
  }
  CHECK(count.call<int>() == 1);

  subpy::session none, first = interp.enter();
  CHECK(none.try_leave().error().code() == subpy::status::wrong_state);
  none = std::move(first);
  none.leave();
  CHECK(none.try_leave().error().code() == subpy::status::wrong_state);

  const auto before = subpy::set_unraisable_hook(remember);
  auto elsewhere = interp.enter();
  std::thread([&] { const auto wrong = std::move(elsewhere); }).join();
  CHECK(last_ignored.find("has not entered the interpreter") != std::string::npos);
  subpy::set_unraisable_hook(before);
  CHECK(subpy_leave(interp.handle(), nullptr) == SUBPY_OK);

  interp.close();
  CHECK(interp.try_enter().error().code() == subpy::status::not_found);
}

}  // namespace

int main() {
  functions();
  many();
  sessions();
  subpy::shutdown();
  return 0;
}
