// subpy::value and its views: built, copied, moved, read, compared.
#include <iterator>
#include <utility>

#if __cplusplus >= 202002L && !defined(__clang__)  // Clang before 16 does not compile the ranges of libstdc++
#include <ranges>
#endif

#include "test.hpp"

using subpy::kind;
using subpy::value;
using subpy::value_view;

static_assert(std::is_nothrow_move_constructible_v<value> && std::is_nothrow_move_assignable_v<value>);
static_assert(std::is_trivially_copyable_v<value_view> && sizeof(value_view) == sizeof(void *));
static_assert(!std::is_constructible_v<value_view, subpy_value &&>, "a view of a temporary dangles");
static_assert(std::is_convertible_v<const value &, value_view>);
static_assert(!std::is_convertible_v<value, value_view>, "a view of a temporary dangles");

static const char *nested = "{'name': 'ada', 'scores': [1, 2.5, None, True], 'raw': b'\\x00', 'pair': (2**70, ''), 3: {}}";

static void made() {
  CHECK(value().is_none() && value().kind() == kind::none && value().size() == 0);
  CHECK(value(1).kind() == kind::integer && value(true).kind() == kind::boolean && value(1.5).kind() == kind::floating);
  CHECK(value("x").kind() == kind::str && value(subpy::bytes_view("x", 1)).kind() == kind::bytes);
  CHECK(value(~std::uint64_t{0}).kind() == kind::bigint);
  CHECK(value(std::optional<int>()).is_none());

  std::string text = "temporary";
  const value kept(text);
  text = "overwritten";
  CHECK(kept.as<std::string>() == "temporary");

  const auto built = value::dict({
      {"name", "ada"},
      {"scores", value::list({1, 2.5, nullptr, true})},
      {"raw", std::vector<std::uint8_t>{0}},
      {"pair", value::tuple({subpy::bigint{"0x400000000000000000"}, ""})},
      {3, value::dict({})},
  });
  const auto interp = subpy::interpreter::create();
  CHECK(interp.eval<value>(nested) == built);
  CHECK(interp.call<std::string>("builtins:repr", built) ==
        interp.eval<std::string>(std::string("repr(") + nested + ")"));

  // containers of values are how one is put together piece by piece
  std::vector<value> items;
  items.emplace_back(1);
  items.push_back("x");
  std::map<std::string, value> entries{{"items", items}};
  entries["more"] = value::list({});
  CHECK(interp.call<std::string>("builtins:repr", entries) == "{'items': [1, 'x'], 'more': []}");
}

static void copied_and_moved() {
  const auto interp = subpy::interpreter::create();
  value first = interp.eval<value>(nested);
  const value copy = first;
  CHECK(copy == first);
  value second = std::move(first);
  CHECK(first.is_none() && second == copy);
  first = second;
  CHECK(first == copy && second == copy);
  value &same = first;
  first = same;
  CHECK(first == copy);
  first = std::move(second);
  CHECK(first == copy);
  interp.close();  // values outlive where they came from
  CHECK(copy.get<std::string>("name") == "ada");

  // deeper than a call may be, and than a stack would like
  value deep;
  for (int i = 0; i < 300; i++) deep = value::list({deep});
  const value deep_copy = deep;
  CHECK(deep_copy == deep && deep_copy != value::list({deep}));
  const auto other = subpy::interpreter::create();
  CHECK(other.call<value>("copy:copy", deep) == deep);
  for (int i = 0; i < 800; i++) deep = value::list({deep});
  CHECK(other.try_call("copy:copy", deep).error().code() == subpy::status::invalid_argument);
}

static void read() {
  const auto interp = subpy::interpreter::create();
  const auto root = interp.eval<value>(nested);
  CHECK(root.size() == 5 && root.kind() == kind::dict && root["scores"].size() == 4 && root["name"].size() == 3);
  CHECK(root["scores"][1].as<double>() == 2.5 && root.get<bool>("scores", 3));
  CHECK(root.get<std::string_view>("name") == "ada");
  CHECK(std::string_view(root["pair"].type_name()) == "tuple" && std::string_view(root.type_name()) == "dict");
  CHECK(root.contains("raw") && !root.contains("nope") && !root["raw"].contains("x"));
  CHECK(!root.find("nope") && root.find("raw")->kind() == kind::bytes);
  CHECK(interp.eval<value>("[1, 2]").get<int>(1) == 2);  // of a temporary, too
  CHECK(interp.eval<value>("7").as<int>() == 7);

  std::string shown;
  for (const auto item : root["scores"]) shown += std::string(item.type_name()) + " ";
  CHECK_TEXT(shown, "int float NoneType bool ");
  shown.clear();
  for (const auto [key, item] : root.pairs()) shown += std::string(key.type_name()) + ":" + item.type_name() + " ";
  CHECK_TEXT(shown, "str:str str:list str:bytes str:tuple int:dict ");
  CHECK(std::distance(root["scores"].begin(), root["scores"].end()) == 4 && root["scores"].items().size() == 4);
  CHECK(root.items().size() == 0 && root["name"].pairs().size() == 0 && value(5).begin() == value(5).end());
  for (const auto item : interp.eval<value>("[1, 2]")) CHECK(item.as<int>() > 0);

  CHECK_THROWS(subpy::conversion_error, "value: dict has no key 'nope'", root["nope"]);
  CHECK_THROWS(subpy::conversion_error, "value: dict has no indexes", root[3]);
  CHECK_THROWS(subpy::conversion_error, "value: list of 4 has no index 4", root["scores"][4]);
  CHECK_THROWS(subpy::conversion_error, "value: str has no keys", root["name"]["x"]);
  CHECK_THROWS(subpy::conversion_error, "value['scores'][2]: NoneType does not convert to std::int32_t",
               root.get<int>("scores", 2));
  CHECK_THROWS(subpy::conversion_error, "value['scores']: list of 4 has no index 9", root.get<int>("scores", 9));
  CHECK_THROWS(subpy::conversion_error, "value: str does not convert to std::int32_t", root["name"].as<int>());
  CHECK_ERROR(root.try_get<std::vector<int>>("scores"), conversion,
              "value['scores'][1]: float does not convert to std::int32_t");
  CHECK_ERROR(root.try_as<std::vector<int>>(), conversion, "value: dict does not convert to std::vector<std::int32_t>");
}

static void compared() {
  const auto differ = [](const value &one, const value &other) {
    CHECK(one == one && other == other && one != other && other != one);
  };
  differ(1, true);
  differ(1, 1.0);
  differ(1, 2);
  differ(1.5, 2.5);
  differ(true, false);
  differ("a", subpy::bytes_view("a", 1));
  differ("a", "b");
  differ("a", "ab");
  differ(std::vector<int>{1}, std::tuple<int>{1});
  differ(std::vector<int>{1, 2}, std::vector<int>{1, 3});
  differ(std::map<int, int>{{1, 2}}, std::map<int, int>{{1, 3}});
  differ(std::map<int, int>{{1, 2}}, std::map<int, int>{{2, 2}});
  differ(subpy::bigint{"0x10000000000000000"}, subpy::bigint{"0x10000000000000001"});
  CHECK(value(-0.0) == value(0.0));
  const value nan(std::numeric_limits<double>::quiet_NaN());
  CHECK(nan != nan);
  CHECK(value("") == value(std::string_view()) && value() == value(nullptr));
}

static void with_the_c_interface() {
  const auto interp = subpy::interpreter::create();
  subpy_value raw{};
  CHECK(subpy_eval(interp.handle(), "['a', 'b']", SUBPY_AUTO_LEN, &raw, nullptr) == SUBPY_OK);
  CHECK(value_view(raw)[1].as<std::string>() == "b");
  const auto taken = value::take(raw);
  CHECK(raw.kind == SUBPY_KIND_NONE && taken.get<std::string>(0) == "a");
  subpy_value result{};
  CHECK(subpy_call(interp.handle(), "builtins:len", SUBPY_AUTO_LEN, &taken.view().raw(), 1, nullptr, &result,
                   nullptr) == SUBPY_OK);
  CHECK(value_view(result).as<int>() == 2);
}

/// What is not there, what is too much, what is made when it is looked at: no access to memory that is not there.
static void edges() {
  const auto interp = subpy::interpreter::create();
  CHECK_TEXT(interp.call<std::string>("builtins:repr", std::nullopt), "None");
  CHECK(value::list({1, std::nullopt}) == value::list({1, nullptr}));

  const char *nothing = nullptr;
  const value no_text = value::list({1, nothing});
  CHECK(interp.try_call("builtins:repr", no_text).error().code() == subpy::status::invalid_argument);
  CHECK(interp.try_call("builtins:repr", value(subpy::bytes_view(nullptr, 3))).error().code() ==
        subpy::status::invalid_argument);

  const value dict = interp.eval<value>("{'x': 5}"), five = 5;
  CHECK(dict["x"] == five && five == dict["x"] && dict["x"] != dict && dict != dict["x"]);

  try {
    interp.exec("1/0");
    CHECK(false);
  } catch (const subpy::execution_failed &failed) {
    auto info = *failed.excinfo();
    const auto moved = std::move(info);
    CHECK(moved.type_name() == "ZeroDivisionError" && info.type_name() == "ZeroDivisionError");
  }

#if __cplusplus >= 202002L && !defined(__clang__)
  std::vector<int> numbers{0, 1};
  auto keys = numbers | std::views::transform([](int number) {
                std::array<std::uint8_t, 16> key{};
                key.fill(static_cast<std::uint8_t>('a' + number));
                return key;
              });
  interp.exec("def joined(*parts): return b'-'.join(parts)");
  CHECK_TEXT(interp.call<std::string>("builtins:repr", interp.call<value>("joined", subpy::unpack(keys))),
             "b'aaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb'");
#endif
}

int main() {
  made();
  edges();
  copied_and_moved();
  read();
  compared();
  with_the_c_interface();
  return 0;
}
