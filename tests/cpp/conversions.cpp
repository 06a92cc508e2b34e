// Every built-in conversion, both ways, at its limits and beyond.
#include <cmath>
#include <limits>
#if __cplusplus >= 202002L
#include <span>
#endif

#include "test.hpp"

static const subpy::interpreter &interp() {
  static const auto created = [] {
    auto made = subpy::interpreter::create();
    made.exec("def same(x): return x\ndef shown(x): return repr(x)\n");
    return made;
  }();
  return created;
}

// The same comes back, and Python saw this.
template <class T>
static void crosses(const T &from, std::string_view shown) {
  CHECK_TEXT(interp().call<std::string>("shown", from), shown);
  CHECK(interp().call<T>("same", from) == from);
  CHECK(subpy::value(from).as<T>() == from);
}

template <class T>
static void refuses(const char *expression, const std::string &message) {
  CHECK_THROWS(subpy::conversion_error, message, interp().eval<T>(expression));
}

template <class T>
static void whole_range(const std::string &name) {
  const auto least = std::numeric_limits<T>::min();
  const auto most = std::numeric_limits<T>::max();
  const std::string below = interp().eval<std::string>("str(" + std::to_string(least) + " - 1)");
  const std::string above = interp().eval<std::string>("str(" + std::to_string(most) + " + 1)");
  crosses(least, std::to_string(least));
  crosses(most, std::to_string(most));
  crosses(static_cast<T>(1), "1");
  const bool wide = sizeof(T) == 8;
  refuses<T>(above.c_str(), "result: int " + (wide ? interp().eval<std::string>("hex(" + above + ")") : above) +
                                " does not fit " + name);
  refuses<T>(below.c_str(), "result: int " + (wide && least != 0 ? interp().eval<std::string>("hex(" + below + ")") : below) +
                                " does not fit " + name);
  refuses<T>("2**200", "result: int 0x" + ("1" + std::string(50, '0')) + " does not fit " + name);
  refuses<T>("-2**200", "result: int -0x" + ("1" + std::string(50, '0')) + " does not fit " + name);
  refuses<T>("True", "result: bool does not convert to " + name);
  refuses<T>("1.0", "result: float does not convert to " + name);
  refuses<T>("'1'", "result: str does not convert to " + name);
  refuses<T>("None", "result: NoneType does not convert to " + name);
}

static void integers() {
  whole_range<std::int8_t>("std::int8_t");
  whole_range<std::uint8_t>("std::uint8_t");
  whole_range<std::int16_t>("std::int16_t");
  whole_range<std::uint16_t>("std::uint16_t");
  whole_range<std::int32_t>("std::int32_t");
  whole_range<std::uint32_t>("std::uint32_t");
  whole_range<std::int64_t>("std::int64_t");
  whole_range<std::uint64_t>("std::uint64_t");
  whole_range<long long>("std::int64_t");
  whole_range<unsigned long long>("std::uint64_t");

  crosses(std::uint64_t{1} << 63U, "9223372036854775808");
  // more than the encoder's own memory
  crosses(std::vector<std::uint64_t>(100, std::numeric_limits<std::uint64_t>::max() - 1),
          interp().eval<std::string>("repr([2**64 - 2] * 100)"));

  // a bigint need not be a large one, nor be written as the library does
  using subpy::bigint;
  crosses(bigint{"0x10000000000000000"}, "18446744073709551616");
  crosses(bigint{"-0x1ffffffffffffffffffffff"}, "-618970019642690137449562111");
  CHECK(interp().call<bigint>("same", 255) == bigint{"0xff"});
  CHECK(interp().call<bigint>("same", std::numeric_limits<std::int64_t>::min()) == bigint{"-0x8000000000000000"});
  CHECK(subpy::value(bigint{"-0X00080"}).as<std::int8_t>() == -128);
  CHECK(subpy::value(bigint{"0x00000000000000000000fF"}).as<std::uint8_t>() == 255);
  CHECK(subpy::value(bigint{"-0x0"}).as<unsigned>() == 0);
  CHECK(!subpy::value(bigint{"-0x81"}).try_as<std::int8_t>());
  CHECK(!subpy::value(bigint{"-0x1"}).try_as<std::uint64_t>());
  CHECK(!subpy::value(bigint{"0xfg"}).try_as<int>() && !subpy::value(bigint{"12"}).try_as<int>());
  CHECK(interp().try_call("same", bigint{"12"}).error().code() == subpy::status::invalid_argument);
  refuses<bigint>("1.5", "result: float does not convert to subpy::bigint");
}

static void floats() {
  crosses(0.1, "0.1");
  crosses(-0.0, "-0.0");
  CHECK(std::signbit(interp().call<double>("same", -0.0)));
  crosses(std::numeric_limits<double>::infinity(), "inf");
  CHECK(std::isnan(interp().eval<double>("float('nan')")));
  CHECK(std::isnan(interp().eval<float>("float('nan')")));
  crosses(1.5F, "1.5");
  CHECK(interp().eval<float>("0.1") == 0.1F);
  CHECK(std::isinf(interp().eval<float>("float('-inf')")));
  refuses<float>("1e39", "result: float 999999999999999939709166371603178586112.000000 does not fit float");

  CHECK(interp().eval<double>("3") == 3.0);
  CHECK(interp().eval<double>("2**62") == std::ldexp(1, 62));
  CHECK(interp().eval<double>("-2**63") == -std::ldexp(1, 63));
  refuses<double>("2**53 + 1", "result: int 9007199254740993 does not fit double");
  refuses<double>("2**63 - 1", "result: int 9223372036854775807 does not fit double");
  refuses<double>("2**64", "result: int 0x10000000000000000 does not fit double");
  refuses<float>("2**24 + 1", "result: int 16777217 does not fit float");
  refuses<double>("'1'", "result: str does not convert to double");
  refuses<double>("False", "result: bool does not convert to double");
}

static void simple_types() {
  crosses(true, "True");
  crosses(false, "False");
  refuses<bool>("1", "result: int does not convert to bool");
  crosses(nullptr, "None");
  refuses<std::nullptr_t>("0", "result: int does not convert to std::nullptr_t");
  crosses(std::monostate(), "None");
  refuses<std::monostate>("''", "result: str does not convert to std::monostate");
}

static void texts() {
  crosses(std::string("h\u00e9llo"), "'h\u00e9llo'");
  crosses(std::string(), "''");
  crosses(std::string("a\0b", 3), "'a\\x00b'");
  CHECK(interp().call<std::string>("shown", std::string_view("abc").substr(1)) == "'bc'");
  CHECK(interp().call<std::string>("shown", "literal") == "'literal'");
  char letters[] = "array";
  CHECK(interp().call<std::string>("shown", letters) == "'array'");
  char *pointer = letters;
  CHECK(interp().call<std::string>("shown", pointer) == "'array'");
  refuses<std::string>("b'x'", "result: bytes does not convert to std::string");
  CHECK(interp().call<std::string>("shown", std::string_view()) == "''");

  const subpy::value text("some text");
  CHECK(text.as<std::string_view>() == "some text");
  const subpy::value number(1);
  CHECK(!text.try_as<subpy::bytes_view>() && !number.try_as<std::string_view>());
}

static void bytes() {
  crosses(std::vector<std::uint8_t>{0, 255}, "b'\\x00\\xff'");
  crosses(std::vector<std::byte>{std::byte{1}}, "b'\\x01'");
  crosses(std::vector<std::byte>(), "b''");
  crosses(std::array<std::uint8_t, 2>{1, 2}, "b'\\x01\\x02'");
  crosses(std::array<std::byte, 1>{std::byte{3}}, "b'\\x03'");
  CHECK(interp().call<std::string>("shown", subpy::bytes_view("ab", 2)) == "b'ab'");
  CHECK(interp().call<std::string>("shown", subpy::bytes_view()) == "b''");
  const auto kept = interp().eval<subpy::value>("b'xyz'");
  const auto view = kept.as<subpy::bytes_view>();
  CHECK(std::string(view.begin(), view.end()) == "xyz" && !view.empty() && view.size() == 3);
  const auto digest = interp().eval<std::array<std::uint8_t, 32>>("__import__('hashlib').sha256(b'').digest()");
  CHECK(digest[0] == 0xe3 && digest[31] == 0x55);
  refuses<std::vector<std::uint8_t>>("[1, 2]", "result: list does not convert to std::vector<std::uint8_t>");
  refuses<std::array<std::uint8_t, 4>>("b'abc'", "result: bytes of length 3 does not convert to std::array<std::uint8_t, 4>");
  refuses<std::array<std::byte, 4>>("'abcd'", "result: str does not convert to std::array<std::byte, 4>");
#if __cplusplus >= 202002L
  const std::vector<std::uint8_t> buffer{65, 66, 67};
  CHECK(interp().call<std::string>("shown", std::span(buffer).subspan(1)) == "b'BC'");
  const std::vector<int> numbers{1, 2, 3};
  CHECK(interp().call<std::string>("shown", std::span(numbers).first(2)) == "[1, 2]");
#endif
}

static void sequences() {
  crosses(std::vector<int>{1, 2, 3}, "[1, 2, 3]");
  crosses(std::vector<int>(), "[]");
  crosses(std::vector<bool>{true, false}, "[True, False]");
  crosses(std::vector<std::int8_t>{-1}, "[-1]");
  crosses(std::vector<std::vector<std::string>>{{"a"}, {}}, "[['a'], []]");
  crosses(std::array<double, 2>{1, 2}, "[1.0, 2.0]");
  crosses(std::tuple<int, std::string, double>{1, "x", 0.5}, "(1, 'x', 0.5)");
  crosses(std::tuple<>(), "()");
  crosses(std::pair<int, bool>{1, true}, "(1, True)");
  CHECK(interp().eval<std::vector<int>>("(1, 2)") == std::vector<int>{1, 2});
  CHECK((interp().eval<std::pair<int, int>>("[1, 2]") == std::pair(1, 2)));
  refuses<std::vector<int>>("range(3) and {1: 2}", "result: dict does not convert to std::vector<std::int32_t>");
  refuses<std::vector<std::uint8_t>>("'x'", "result: str does not convert to std::vector<std::uint8_t>");
  refuses<std::vector<std::int8_t>>("[1, 2, 3, 300]", "result[3]: int 300 does not fit std::int8_t");
  refuses<std::array<int, 2>>("[1, 2, 3]", "result: list of length 3 does not convert to std::array<std::int32_t, 2>");
  refuses<std::array<int, 2>>("[1, '2']", "result[1]: str does not convert to std::int32_t");
  refuses<std::tuple<int, int>>("(1,)", "result: tuple of length 1 does not convert to std::tuple<std::int32_t, std::int32_t>");
  refuses<std::tuple<int, int>>("('a', 'b')", "result[0]: str does not convert to std::int32_t");
  refuses<std::tuple<>>("None", "result: NoneType does not convert to std::tuple<>");
  refuses<std::pair<int, int>>("1", "result: int does not convert to std::pair<std::int32_t, std::int32_t>");
  refuses<std::pair<int, int>>("()", "result: tuple of length 0 does not convert to std::pair<std::int32_t, std::int32_t>");
  refuses<std::pair<int, int>>("(1, None)", "result[1]: NoneType does not convert to std::int32_t");
}

static void maps() {
  crosses(std::map<std::string, int>{{"a", 1}, {"b", 2}}, "{'a': 1, 'b': 2}");
  crosses(std::map<int, std::vector<int>>{{1, {2}}}, "{1: [2]}");
  crosses(std::unordered_map<std::string, bool>{{"x", true}}, "{'x': True}");
  crosses(std::map<std::pair<int, int>, std::string>{{{1, 2}, "x"}}, "{(1, 2): 'x'}");
  crosses(std::map<std::string, int>(), "{}");
  using counts = std::map<std::string, std::uint8_t>;
  refuses<counts>("[('a', 1)]", "result: list does not convert to std::map<std::string, std::uint8_t>");
  refuses<counts>("{'a': 1, 'b': 256}", "result['b']: int 256 does not fit std::uint8_t");
  refuses<counts>("{1: 2}", "result[1]: int does not convert to std::string");
  refuses<counts>("{None: 2}", "result[NoneType]: NoneType does not convert to std::string");
  refuses<counts>("{'two\\nlines': None}", "result['two lines']: NoneType does not convert to std::uint8_t");
  refuses<counts>("{'" "\\u00e4" "' * 100: None}",
                  "result['" + interp().eval<std::string>("'\\u00e4' * 30") + "...']: NoneType does not convert to std::uint8_t");
  refuses<std::map<float, int>>("{0.1: 1, 0.1000000001: 2}", "result[float]: another key is the same float");
  refuses<std::unordered_map<std::string, std::vector<int>>>("{'a': [1, 2.5]}",
                                                            "result['a'][1]: float does not convert to std::int32_t");
}

static void choices() {
  crosses(std::optional<int>(1), "1");
  crosses(std::optional<int>(), "None");
  refuses<std::optional<int>>("'x'", "result: str does not convert to std::int32_t");
  crosses(std::vector<std::optional<std::string>>{"a", std::nullopt}, "['a', None]");

  using scalar = std::variant<std::monostate, bool, double, std::int64_t, std::string>;
  crosses(scalar(), "None");
  crosses(scalar(true), "True");
  crosses(scalar(1.5), "1.5");
  crosses(scalar(std::int64_t{7}), "7");
  crosses(scalar(std::string("x")), "'x'");
  CHECK((interp().eval<std::variant<std::string, double>>("3") == std::variant<std::string, double>(3.0)));
  using narrow = std::variant<std::int8_t, std::int16_t>;
  CHECK(interp().eval<narrow>("300").index() == 1);
  refuses<narrow>("70000", "result: int does not convert to std::variant<std::int8_t, std::int16_t>");
  using rows = std::variant<std::vector<int>, std::vector<std::string>>;
  CHECK(interp().eval<rows>("['a']").index() == 1);
  refuses<std::vector<scalar>>("[1, b'']", "result[1]: bytes does not convert to "
                               "std::variant<std::monostate, bool, double, std::int64_t, std::string>");
}

int main() {
  integers();
  floats();
  simple_types();
  texts();
  bytes();
  sequences();
  maps();
  choices();
  return 0;
}
