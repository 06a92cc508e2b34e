// Objects that stay in Python.
#include <functional>
#include <map>
#include <optional>
#include <thread>
#include <tuple>
#include <variant>
#include <vector>

#include "test.hpp"

static_assert(std::is_copy_constructible_v<subpy::object> && std::is_nothrow_move_constructible_v<subpy::object>);

namespace objects_test {

using subpy::kw;
using subpy::object;

const char *const shop =
    "class Shop:\n"
    "  def __init__(self): self.items = {'a': 1, 'b': 2.5}; self.calls = 0\n"
    "  def add(self, name, price, *, times=1):\n"
    "    for _ in range(times): self.calls += 1\n"
    "    self.items[name] = price\n"
    "    return self\n"
    "  def __call__(self, *args): return sum(args)\n"
    "  def __getitem__(self, key): return self.items[key]\n"
    "  def __iter__(self): return iter(self.items)\n"
    "  def __str__(self): return f'shop of {len(self.items)}'\n"
    "class Broken:\n"
    "  def __str__(self): raise ValueError('no text')\n"
    "def same(one, other): return one is other\n"
    "living = 0\n"
    "class Counted:\n"
    "  def __init__(self): global living; living += 1\n"
    "  def __del__(self): global living; living -= 1\n";

void use(const subpy::interpreter &interp) {
  const object made = interp.call<object>("Shop");
  CHECK(made && made.handle() != 0);
  CHECK_TEXT(made.text(), "shop of 2");
  CHECK(made.attr<int>("calls") == 0);
  CHECK(made.call_method("add", "c", 3, kw("times", 4)).attr<int>("calls") == 4);
  CHECK(made.attr("items")["c"].as<int>() == 3);
  CHECK(made.item<double>("b") == 2.5);
  CHECK(made.call<int>(1, 2, 3) == 6);
  CHECK(made(4, 5).as<int>() == 9);
  CHECK(made.call<int>(subpy::run_options(), 1, 2) == 3);
  CHECK(made.interpreter() == interp);
  CHECK((made.attr<std::map<std::string, subpy::value>>("items").size() == 3));
  made.call_method<void>("add", "d", 1);

  // passed back it is the object itself
  CHECK(interp.call<bool>("same", made, made));
  interp.prepare_main(kw("kept", made));
  CHECK(interp.eval<bool>("kept.calls == 5 and kept is not Shop()"));
  const object again = interp.eval<object>("kept");
  CHECK(again.handle() != made.handle() && interp.call<bool>("same", made, again));

  interp.define("host:kept", [made] { return made; });
  interp.exec("import host; assert host.kept() is kept");

  // whatever it is
  CHECK(interp.eval<object>("None").try_as<std::nullptr_t>().has_value());
  CHECK_TEXT(interp.eval<object>("1 + 1").text(), "2");
  CHECK_TEXT(interp.eval_in_thread("range(3)", [] {
               subpy::run_options options;
               options.keep_object = true;
               return options;
             }()).join<object>().text(), "range(0, 3)");

  // iteration
  std::vector<std::string> names;
  for (const auto &name : made.iter<std::string>()) names.push_back(name);
  CHECK((names == std::vector<std::string>{"a", "b", "c", "d"}));
  auto generator = interp.eval<object>("(n * n for n in range(4))").iter<int>();
  CHECK(*generator.next() == 0 && *generator.next() == 1);
  int rest = 0;
  for (const int n : generator) rest += n;
  CHECK(rest == 13 && !generator.next());
  int objects = 0;
  for (const object &each : interp.eval<object>("[object(), 1, None]").iter()) objects += each ? 1 : 0;
  CHECK(objects == 3);

  // a prepared function is one, and the other way round
  const object adds{interp.function("builtins:sum")};
  CHECK(adds.call<int>(std::vector<int>{1, 2}) == 3);
  const auto function = made.function();
  CHECK(function.call<int>(2, 2) == 4);
  CHECK(function.call_many<int>(std::vector<int>{1, 2}).size() == 2);
  CHECK(function.call_in_thread(1, 1).join<int>() == 2);
  CHECK(interp.call<bool>("builtins:callable", function));
}

void inside_of_results(const subpy::interpreter &interp) {
  const auto pair = interp.eval<std::tuple<int, object>>("(1, range(3))");
  CHECK(std::get<0>(pair) == 1 && std::get<1>(pair).text() == "range(0, 3)");
  const auto mixed = interp.eval<std::vector<std::variant<int, object>>>("[1, object, 2]");
  CHECK(mixed.size() == 3 && std::get<object>(mixed[1]).text() == "<class 'object'>");
  CHECK(!interp.eval<std::optional<object>>("None") && interp.eval<std::optional<object>>("range(1)"));

  subpy::run_options options;
  options.objects = true;
  subpy::value copy;
  object part;
  {
    const auto value = interp.eval<subpy::value>("{'k': [range(4)], 'n': 1}", options);
    CHECK(value.get<subpy::value>("k", 0).kind() == subpy::kind::object);
    CHECK_TEXT(value["k"][0].type_name(), "object");
    part = value.get<object>("k", 0);
    copy = value;
    CHECK(copy != value && value == value);  // with handles of its own
  }
  CHECK_TEXT(part.text(), "range(0, 4)");
  CHECK_TEXT(copy.get<object>("k", 0).text(), "range(0, 4)");
  const subpy::value another = copy;
  CHECK(interp.call<bool>("same", another["k"][0], part));
  // a root
  options = {};
  options.keep_object = true;
  const auto root = interp.eval<subpy::value>("part", [&] {
    interp.prepare_main(kw("part", part));
    return options;
  }());
  CHECK(root.kind() == subpy::kind::object && root.as<object>().text() == "range(0, 4)");
  CHECK(subpy::value(part).as<object>().text() == "range(0, 4)");
}

void misuse(const subpy::interpreter &interp) {
  const object none;
  CHECK(!none && none.try_text().error().code() == subpy::status::not_found);
  CHECK(interp.try_call("same", none, none).error().code() == subpy::status::not_found);
  const object made = interp.call<object>("Shop");
  const auto missing = made.try_attr("nothing");
  CHECK(missing.error().excinfo()->type_name() == "AttributeError");
  CHECK(made.try_item("nothing").error().excinfo()->type_name() == "KeyError");
  CHECK_THROWS(subpy::execution_failed, "ValueError: no text", interp.call<object>("Broken").text());
  CHECK(made.try_as().error().code() == subpy::status::not_shareable);
  CHECK(interp.eval<object>("1").try_iter().error().excinfo()->type_name() == "TypeError");
  CHECK_THROWS(subpy::conversion_error, "result: str does not convert to std::int32_t", made.iter<int>().next());
  const auto other = subpy::interpreter::create();
  const auto foreign = other.try_call("builtins:id", made);
  CHECK(foreign.error().code() == subpy::status::not_shareable);
  CHECK(interp.try_eval<std::vector<int>>("[range(2)]").error().code() == subpy::status::not_shareable);
}

void dropped(const subpy::interpreter &interp) {
  const auto living = [&] {
    interp.exec("import gc; gc.collect()");
    return interp.eval<int>("living");
  };
  {
    const object one = interp.call<object>("Counted");
    const object copy = one;  // NOLINT(performance-unnecessary-copy-initialization)
    CHECK(living() == 1 && copy.handle() == one.handle());
    const std::function<std::string()> kept = [copy] { return copy.text(); };
    CHECK(!kept().empty());
  }
  CHECK(living() == 0);
  // on other threads, in results that nobody looks at, many times
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; t++) {
    std::vector<object> some;
    for (int n = 0; n < 50; n++) some.push_back(interp.call<object>("Counted"));
    threads.emplace_back([mine = std::move(some)]() mutable { mine.clear(); });
  }
  for (auto &thread : threads) thread.join();
  CHECK(living() == 0);
  subpy::run_options options;
  options.objects = true;
  for (int n = 0; n < 200; n++) {
    auto value = interp.eval<subpy::value>("[Counted(), Counted()]", options);
    const subpy::value copy = value;
    CHECK(interp.try_eval<int>("[Counted()]", options).error().code() == subpy::status::conversion);
    CHECK(copy.size() == 2);
  }
  CHECK(living() == 0);
}

void outlive() {
  object made;
  subpy::value value;
  {
    const auto interp = subpy::interpreter::create();
    interp.exec(shop);
    made = interp.call<object>("Shop");
    subpy::run_options options;
    options.objects = true;
    value = interp.eval<subpy::value>("[Shop()]", options);
  }
  CHECK(made.try_text().error().code() == subpy::status::not_found);
  CHECK(made.try_call().error().code() == subpy::status::not_found);
  CHECK(value.get<object>(0).try_text().error().code() == subpy::status::not_found);
  const subpy::value copy = value;
  CHECK(copy.size() == 1);
}

/// One object from several threads, while its last copies go.
void races() {
  subpy::interpreter_options options;
  options.busy = subpy::busy_policy::wait;
  const auto interp = subpy::interpreter::create(options);
  interp.exec(shop);
  for (int round = 0; round < 20; round++) {
    const object made = interp.call<object>("Shop");
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; t++) {
      threads.emplace_back([mine = made] {
        for (int n = 0; n < 20; n++) CHECK(mine.call<int>(n, 1) == n + 1);
      });
    }
    for (auto &thread : threads) thread.join();
  }
  object last = interp.call<object>("Shop");
  std::thread closing([&] { static_cast<void>(subpy::interpreter_ref(interp).try_close()); });
  for (int n = 0; n < 100; n++) {
    const auto text = last.try_text();
    CHECK(text || text.error().code() == subpy::status::not_found || text.error().code() == subpy::status::busy);
  }
  closing.join();
}

}  // namespace objects_test

int main() {
  {
    const auto interp = subpy::interpreter::create();
    interp.exec(objects_test::shop);
    objects_test::use(interp);
    objects_test::inside_of_results(interp);
    objects_test::misuse(interp);
    objects_test::dropped(interp);
  }
  objects_test::outlive();
  objects_test::races();
  subpy::shutdown();
  return 0;
}
