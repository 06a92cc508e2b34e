/*
 * Hello: an interpreter, some code, a call with arguments by position and by name.
 *
 *   c++ -std=c++17 hello.cpp $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   hello from Python
 *   the square root of 2 is 1.41421
 *   the area is 10.5
 */
#include <iostream>

#include "subpy.hpp"

using subpy::kw;

int main() {
  try {
    const auto interp = subpy::interpreter::create();
    interp.exec(R"(
        def area(width, *, height=1.0):
            return width * height
        print('hello from Python')
    )");
    std::cout << "the square root of 2 is " << interp.call<double>("math:sqrt", 2.0) << '\n';
    std::cout << "the area is " << interp.call<double>("area", 3.0, kw("height", 3.5)) << '\n';
  } catch (const subpy::error &error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
