// Errors: the class for each status, what they hold, how long, and on which thread.
#include <thread>
#include <type_traits>

#include "test.hpp"

using subpy::error;
using subpy::status;

// Python's: InterpreterNotFoundError and ExecutionFailed are InterpreterErrors, NotShareableError is none.
static_assert(std::is_base_of_v<std::exception, error>);
static_assert(std::is_base_of_v<subpy::interpreter_error, subpy::interpreter_not_found_error>);
static_assert(std::is_base_of_v<subpy::interpreter_error, subpy::execution_failed>);
static_assert(std::is_base_of_v<subpy::interpreter_error, subpy::busy_error>);
static_assert(std::is_base_of_v<subpy::interpreter_error, subpy::crashed_error>);
static_assert(!std::is_base_of_v<subpy::interpreter_error, subpy::not_shareable_error>);
static_assert(std::is_nothrow_copy_constructible_v<subpy::execution_failed>, "what is thrown must be copied safely");

template <class Class>
static void thrown_as(status code) {
  const error made(code, "of my own");
  bool thrown = false;
  try {
    made.raise();
  } catch (const Class &caught) {
    thrown = true;
    CHECK(caught.code() == code);
    CHECK_TEXT(caught.what(), "of my own");
  } catch (...) {
    CHECK(thrown);  // it is another class
  }
  CHECK(thrown);
  try {
    subpy::result<int>(made).value();
    CHECK(false);
  } catch (const error &caught) {
    CHECK(caught.code() == code && !caught.excinfo() && !caught.syntax() && !caught.crash() && caught.interp() == 0);
  }
}

static void every_status_has_its_class() {
  thrown_as<subpy::invalid_argument_error>(status::invalid_argument);
  thrown_as<subpy::interpreter_not_found_error>(status::not_found);
  thrown_as<subpy::busy_error>(status::busy);
  thrown_as<subpy::execution_failed>(status::execution_failed);
  thrown_as<subpy::not_shareable_error>(status::not_shareable);
  thrown_as<subpy::interpreter_error>(status::interpreter);
  thrown_as<subpy::syntax_error>(status::syntax);
  thrown_as<subpy::python_not_found_error>(status::python_not_found);
  thrown_as<subpy::python_unsupported_error>(status::python_unsupported);
  thrown_as<subpy::no_memory_error>(status::no_memory);
  thrown_as<subpy::forked_error>(status::forked);
  thrown_as<subpy::wrong_state_error>(status::wrong_state);
  thrown_as<subpy::panic_error>(status::panic);
  thrown_as<subpy::crashed_error>(status::crashed);
  thrown_as<subpy::conversion_error>(status::conversion);
  thrown_as<error>(static_cast<status>(-1000));
  CHECK_TEXT(subpy::status_name(status::busy), "SUBPY_ERROR_BUSY");
  CHECK_TEXT(subpy::status_name(status::conversion), "conversion");
  CHECK_TEXT(error(SUBPY_ERROR_BUSY, nullptr).what(), "SUBPY_ERROR_BUSY");
}

static void exceptions(const subpy::interpreter &interp) {
  try {
    interp.exec(
        "class Outer:\n"
        "  class Error(Exception): pass\n"
        "def f(): raise Outer.Error('one\\ntwo')\n"
        "f()\n");
    CHECK(false);
  } catch (const subpy::execution_failed &failed) {
    const auto info = failed.excinfo().value();
    CHECK_TEXT(info.type_name(), "Error");
    CHECK_TEXT(info.type_qualname(), "Outer.Error");
    CHECK_TEXT(info.type_module(), "__main__");
    CHECK_TEXT(info.msg(), "one\ntwo");
    CHECK_TEXT(info.formatted(), "Outer.Error: one\ntwo");
    CHECK_TEXT(failed.what(), "Outer.Error: one");
    CHECK(info.errdisplay().substr(0, 10) == "Traceback ");
    const auto frames = info.frames();
    CHECK(frames.size() == 2 && frames[0].line == 4 && frames[1].line == 3);
    CHECK_TEXT(frames[0].function, "<module>");
    CHECK_TEXT(frames[1].function, "f");
    CHECK_TEXT(frames[1].file, "<script>");
    CHECK(!info.exit_status() && !failed.syntax() && !failed.crash() && failed.interp() == interp.handle());
  }
  const auto exit = interp.try_exec("raise SystemExit(3)");
  CHECK(exit.error().excinfo()->exit_status() == 3);
  CHECK_TEXT(interp.try_exec("raise ValueError('a\\0b')").error().message(), std::string_view("ValueError: a\0b", 15));
}

static void syntax(const subpy::interpreter &interp) {
  try {
    interp.exec("x = 1\nprint(\n");
    CHECK(false);
  } catch (const subpy::syntax_error &wrong) {
    CHECK_TEXT(wrong.what(), "SyntaxError: '(' was never closed (<script>, line 2)");
    const auto place = wrong.syntax().value();
    CHECK(place.line == 2 && place.column == 6 && place.text.substr(0, 6) == "print(");
    CHECK_TEXT(wrong.excinfo()->type_name(), "SyntaxError");
  }
}

// An error and what it shows outlive their interpreter, and go from thread to thread.
static void lifetime() {
  std::optional<error> kept;
  std::optional<subpy::exception_info> info;
  {
    const auto interp = subpy::interpreter::create();
    const auto failed = interp.try_call("math:sqrt", "x");
    kept = failed.error();
    info = failed.error().excinfo();
  }
  std::thread([moved = std::move(*kept)] { CHECK_TEXT(moved.what(), "TypeError: must be real number, not str"); }).join();
  CHECK_TEXT(kept->what(), "TypeError: must be real number, not str");  // a move leaves it as it is
  kept.reset();
  CHECK_TEXT(info->formatted(), "TypeError: must be real number, not str");
}

static void results() {
  subpy::result<std::string> text = std::string("x");
  CHECK(text && text.has_value() && *text == "x" && text->size() == 1 && text.value() == "x");
  CHECK(text.value_or("y") == "x" && std::move(text).value() == "x");
  const subpy::result<std::string> wrong = error(status::busy, "no");
  CHECK(!wrong && wrong.value_or("y") == "y" && wrong.error().code() == status::busy);
  CHECK_THROWS(subpy::busy_error, "no", wrong.value());
  CHECK(subpy::result<void>().has_value());
  CHECK_THROWS(subpy::busy_error, "no", subpy::result<void>(error(status::busy, "no")).value());
  const subpy::result<std::unique_ptr<int>> moved = std::make_unique<int>(1);
  CHECK(**moved == 1);
}

int main() {
  every_status_has_its_class();
  const auto interp = subpy::interpreter::create();
  exceptions(interp);
  syntax(interp);
  lifetime();
  results();
  CHECK_THROWS(subpy::not_shareable_error, "result[0]: object cannot be shared", interp.eval<subpy::value>("[object()]"));
  return 0;
}
