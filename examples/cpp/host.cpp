/*
 * Host: Python calls the program, the program stops Python, and print() goes where the program wants.
 *
 *   c++ -std=c++17 -pthread host.cpp $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   ada has 12 points
 *   Python caught KeyError: 'bob'
 *   the program caught no_points: negative: -5
 *   stopped after a tenth of a second, in line 3
 *   stopped by the program
 *   Python printed 4 lines
 */
#include <iostream>
#include <map>
#include <sstream>
#include <thread>

#include "subpy.hpp"

using namespace std::chrono_literals;

struct no_points : std::runtime_error {
  using std::runtime_error::runtime_error;
};

static const char *script = R"(
def spin():
    while True: pass
def report():
    print(f"ada has {points.of('ada')} points")
    try: points.of('bob')
    except KeyError as error: print('Python caught KeyError:', error)
)";

int main() {
  const auto interp = subpy::interpreter::create();

  // A lambda, with the types that it takes and returns. What it throws is an exception in Python.
  std::map<std::string, int> points{{"ada", 5}};
  interp.define("points:of", [&](const std::string &name) {
    const auto found = points.find(name);
    if (found == points.end()) throw subpy::python_exception("KeyError", name);
    return found->second;
  });
  subpy::define_options options;
  options.signature = "(name, more=1)";
  options.doc = "Gives somebody points.";
  interp.define(
      "points:add",
      [&](const std::string &name, std::optional<int> more) {
        if (more < 0) throw no_points("negative: " + std::to_string(*more));
        points[name] += more.value_or(1);
      },
      options);

  // What Python prints goes to any stream or function.
  std::ostringstream printed;
  interp.set_output(printed);
  interp.exec(script);
  interp.exec("import points; points.add('ada', more=7); report()");
  std::cout << printed.str();

  // An exception that Python does not catch comes back with its type, as the one that is nested.
  try {
    interp.exec("points.add('ada', -5)");
  } catch (const subpy::execution_failed &failed) {
    try {
      std::rethrow_if_nested(failed);
    } catch (const no_points &original) {
      std::cout << "the program caught no_points: " << original.what() << '\n';
    }
  }

  // A time limit, and a token.
  subpy::run_options limits;
  limits.timeout = 100ms;
  try {
    interp.call(limits, "spin");
  } catch (const subpy::timeout_error &late) {
    std::cout << "stopped after a tenth of a second, in line " << late.excinfo()->frames().back().line << '\n';
  }
  subpy::run_options stoppable;
  stoppable.cancel = subpy::cancel::create();
  std::thread other([stop = stoppable.cancel] { stop.fire(); });
  try {
    interp.call(stoppable, "spin");
  } catch (const subpy::interrupted_error &) {
    std::cout << "stopped by the program\n";
  }
  other.join();

  // One run's own output: here a function counts the lines.
  int lines = 0;
  subpy::run_options counted;
  counted.output = [&](subpy::stream, std::string_view text) {
    for (const char letter : text) lines += letter == '\n' ? 1 : 0;
  };
  interp.exec("for i in range(4): print(i)", counted);
  std::cout << "Python printed " << lines << " lines\n";
}
