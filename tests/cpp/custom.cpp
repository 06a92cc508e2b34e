// Types of the user's own: through convert<T>, one way or both, and as dicts.
#include <limits>
#include <memory>
#include <new>

#include "test.hpp"

namespace geometry {

struct point {
  double x = 0;
  double y = 0;
  friend bool operator==(const point &one, const point &other) { return one.x == other.x && one.y == other.y; }
};

// Not copyable, and without a default.
class label {
 public:
  explicit label(std::string text) : text_(std::make_unique<std::string>(std::move(text))) {}
  [[nodiscard]] const std::string &text() const { return *text_; }

 private:
  std::unique_ptr<std::string> text_;
};

enum class color : std::uint8_t { red, green };

struct shape {
  std::string name;
  std::vector<point> points;
  std::optional<color> fill;
  std::map<std::string, shape> parts;
};

}  // namespace geometry

template <>
struct subpy::convert<geometry::point> {
  static subpy_value to_python(const geometry::point &p, subpy::encoder &encoder) { return encoder.tuple(p.x, p.y); }
  static subpy::result<geometry::point> from_python(subpy::value_view view) {
    auto x = view.try_get<double>(0);
    if (!x) return x.error();
    auto y = view.try_get<double>(1);
    if (!y) return y.error();
    return geometry::point{*x, *y};
  }
};

template <>
struct subpy::convert<geometry::label> {
  static std::string name() { return "label"; }
  static subpy_value to_python(const geometry::label &from, subpy::encoder &encoder) {
    return encoder.copy("<" + from.text() + ">");
  }
  static subpy::result<geometry::label> from_python(subpy::value_view view) {
    auto text = view.try_as<std::string>();
    if (!text) return subpy::wrong_type<geometry::label>(view);
    if (text->empty()) return subpy::error(subpy::status::conversion, "a label is not empty");
    return geometry::label(*std::move(text));
  }
};

template <>
struct subpy::convert<geometry::color> {
  static subpy_value to_python(geometry::color from, subpy::encoder &encoder) {
    return encoder.value(from == geometry::color::red ? "red" : "green");
  }
  static subpy::result<geometry::color> from_python(subpy::value_view view) {
    const auto text = view.try_as<std::string_view>();
    if (!text) return text.error();
    if (*text == "red") return geometry::color::red;
    if (*text == "green") return geometry::color::green;
    return subpy::conversion_error("no color is '" + std::string(*text) + "'");
  }
};

template <>
struct subpy::convert<geometry::shape> : subpy::convert_as_dict<geometry::shape> {
  static constexpr auto fields = std::tuple{
      subpy::field{"name", &geometry::shape::name},
      subpy::field{"points", &geometry::shape::points},
      subpy::field{"fill", &geometry::shape::fill},
      subpy::field{"parts", &geometry::shape::parts},
  };
};

using geometry::color;
using geometry::label;
using geometry::point;
using geometry::shape;

int main() {
#if !defined(__SANITIZE_ADDRESS__)  // its operator new ends the program
  try {
    subpy::encoder encoder;
    CHECK(encoder.items(std::numeric_limits<std::size_t>::max() / sizeof(subpy_value) + 2) == nullptr);
  } catch (const std::bad_alloc &) {
  }
#endif

  const auto interp = subpy::interpreter::create();
  interp.exec("def same(x): return x\ndef shown(*x): return repr(x)");

  CHECK((interp.call<point>("same", point{1, 2}) == point{1, 2}));
  CHECK(interp.call<std::string>("shown", point{1, 2}, std::vector<point>{{3, 4}}) == "((1.0, 2.0), [(3.0, 4.0)])");
  CHECK_THROWS(subpy::conversion_error, "result['a'][1][0]: str does not convert to double",
               interp.eval<std::map<std::string, std::vector<point>>>("{'a': [(1, 2), ('x', 2)]}"));
  CHECK_THROWS(subpy::conversion_error, "result: tuple of 1 has no index 1", interp.eval<point>("(1,)"));
  CHECK_THROWS(subpy::conversion_error, "result: int has no indexes", interp.eval<point>("1"));

  CHECK(interp.call<label>("same", label("tag")).text() == "<tag>");
  CHECK(interp.eval<std::vector<label>>("['a', 'b']")[1].text() == "b");
  CHECK(std::get<1>(interp.eval<std::tuple<int, label>>("(1, 'c')")).text() == "c");
  CHECK(interp.eval<std::optional<label>>("'d'")->text() == "d");
  CHECK((std::get<label>(interp.eval<std::variant<int, label>>("'e'")).text() == "e"));
  CHECK((interp.eval<std::map<std::string, label>>("{'k': 'f'}").at("k").text() == "f"));
  CHECK_THROWS(subpy::conversion_error, "result[1]: a label is not empty", interp.eval<std::vector<label>>("['a', '']"));
  CHECK_THROWS(subpy::conversion_error, "result[0]: int does not convert to label", interp.eval<std::vector<label>>("[1]"));
  CHECK_THROWS(subpy::conversion_error, "result: str does not convert to std::variant<std::int32_t, label>",
               (interp.eval<std::variant<int, label>>("''")));

  const shape wheel{"wheel", {{0, 0}}, color::red, {}};
  const shape car{"car", {{1, 2}, {3, 4}}, std::nullopt, {{"wheel", wheel}}};
  CHECK_TEXT(interp.call<std::string>("shown", car),
             "({'name': 'car', 'points': [(1.0, 2.0), (3.0, 4.0)], 'fill': None, 'parts': {'wheel': "
             "{'name': 'wheel', 'points': [(0.0, 0.0)], 'fill': 'red', 'parts': {}}}},)");
  const auto back = interp.call<shape>("same", car);
  CHECK(back.name == "car" && back.points == car.points && !back.fill && back.parts.at("wheel").fill == color::red);
  const auto sparse = interp.eval<shape>("{'name': 'x', 'points': [], 'parts': {}, 'other': 1}");
  CHECK(sparse.name == "x" && !sparse.fill);
  CHECK_THROWS(subpy::conversion_error, "result: dict has no key 'points'", interp.eval<shape>("{'name': 'x'}"));
  CHECK_THROWS(subpy::conversion_error, "result['fill']: no color is 'blue'",
               interp.eval<shape>("{'name': 'x', 'points': [], 'fill': 'blue', 'parts': {}}"));
  CHECK_THROWS(subpy::conversion_error, "result: list does not convert to geometry::shape", interp.eval<shape>("[]"));

  const subpy::value kept(car);
  CHECK(kept.get<color>("parts", "wheel", "fill") == color::red);
  CHECK(interp.eval_in_thread("('x', 5)").try_join<point>().error().message() ==
        "result[0]: str does not convert to double");
  return 0;
}
