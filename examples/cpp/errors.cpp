/*
 * Errors: thrown, or as results.
 *
 *   c++ -std=c++17 errors.cpp $(pkg-config --cflags --libs subpy)
 *
 * Prints:
 *   KeyError: 'b'
 *     line 3 in <module>
 *     line 2 in pick
 *   line 1, column 6: SyntaxError: '(' was never closed (<script>, line 1)
 *   the script asked for exit status 3
 *   SUBPY_ERROR_NOT_FOUND: unrecognized interpreter ID 1
 *   no number, so 0
 */
#include <iostream>

#include "subpy.hpp"

static void run(const subpy::interpreter &interp, std::string_view code) {
  try {
    interp.exec(code);
  } catch (const subpy::execution_failed &failed) {
    const auto info = failed.excinfo().value();
    if (const auto status = info.exit_status()) {
      std::cout << "the script asked for exit status " << *status << '\n';
      return;
    }
    std::cout << failed.what() << '\n';
    for (const auto &frame : info.frames()) std::cout << "  line " << frame.line << " in " << frame.function << '\n';
  } catch (const subpy::syntax_error &wrong) {
    const auto place = wrong.syntax().value();
    std::cout << "line " << place.line << ", column " << place.column << ": " << wrong.what() << '\n';
  } catch (const subpy::error &error) {  // the base of all
    std::cout << subpy::status_name(error.code()) << ": " << error.what() << '\n';
  }
}

int main() {
  const auto interp = subpy::interpreter::create();
  run(interp, "def pick(d, key):\n    return d[key]\npick({'a': 1}, 'b')\n");
  run(interp, "print(");
  run(interp, "import sys\nsys.exit(3)");
  interp.close();
  run(interp, "pass");

  // Without exceptions: each function has a twin that returns a result.
  const auto other = subpy::interpreter::try_create();
  if (!other) return 1;
  const auto number = other->try_eval<int>("'text'");
  if (!number && number.error().code() == subpy::status::conversion)
    std::cout << "no number, so " << number.value_or(0) << '\n';
}
