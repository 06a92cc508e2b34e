/*
 * Values: containers, structs of your own, and trees that are read where they lie.
 *
 *   c++ -std=c++17 values.cpp $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   be 2, not 1, or 1, to 2
 *   ada lives at 3, 4
 *   3 files, the second has 20 lines
 *   result['lines'][1]: int 300 does not fit std::int8_t
 */
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "subpy.hpp"

struct place {
  double x = 0;
  double y = 0;
};

struct person {
  std::string name;
  std::optional<place> home;
};

// A place is a tuple in Python ...
template <>
struct subpy::convert<place> {
  static subpy_value to_python(const place &p, subpy::encoder &encoder) { return encoder.tuple(p.x, p.y); }
  static subpy::result<place> from_python(subpy::value_view view) {
    auto x = view.try_get<double>(0);
    if (!x) return x.error();
    auto y = view.try_get<double>(1);
    if (!y) return y.error();
    return place{*x, *y};
  }
};

// ... and a person a dict.
template <>
struct subpy::convert<person> : subpy::convert_as_dict<person> {
  static constexpr auto fields = std::tuple{
      subpy::field{"name", &person::name},
      subpy::field{"home", &person::home},
  };
};

int main() {
  const auto interp = subpy::interpreter::create();
  interp.exec(R"(
      import collections
      def count(text): return dict(collections.Counter(text.split()))
      def move(person, x, y): return person | {'home': (x, y)}
      def report(): return {'files': ['a.py', 'b.py', 'c.py'], 'lines': [10, 20, 30]}
  )");

  std::string separator;
  for (const auto &[word, count] : interp.call<std::map<std::string, int>>("count", "to be or not to be")) {
    std::cout << separator << word << ' ' << count;
    separator = ", ";
  }
  std::cout << '\n';

  const auto ada = interp.call<person>("move", person{"ada", {}}, 3, 4);
  std::cout << ada.name << " lives at " << ada.home->x << ", " << ada.home->y << '\n';

  const auto report = interp.call<subpy::value>("report");
  std::cout << report["files"].size() << " files, the second has " << report.get<int>("lines", 1) << " lines\n";

  try {
    interp.eval<std::map<std::string, std::vector<std::int8_t>>>("{'lines': [1, 300]}");
  } catch (const subpy::conversion_error &error) {
    std::cout << error.what() << '\n';
  }
}
