// exec, eval, call and prepare_main: what goes in, what comes out, and how it is said.
#include <map>
#include <unordered_map>
#include <vector>

#include "test.hpp"

using subpy::kw;
using subpy::unpack;

static const char *definitions =
    "def seen(*args, **kwargs):\n"
    "    return f'{args} {kwargs}'\n"
    "def same(x): return x\n";

int main() {
  const auto interp = subpy::interpreter::create();
  interp.exec(definitions);

  // results
  CHECK(interp.call<double>("math:sqrt", 2.0) > 1.41421);
  CHECK(interp.eval<int>("6 * 7") == 42);
  CHECK(interp.call<std::string>("builtins:str.upper", "abc") == "ABC");
  interp.call("same", 1);
  interp.call<void>("builtins:object");  // no value, and none is asked for
  interp.eval<void>("object()");
  CHECK_THROWS(subpy::not_shareable_error, "result: object cannot be shared", interp.call<subpy::value>("builtins:object"));
  const subpy::interpreter_ref ref = interp;
  CHECK(ref.call<bool>("same", true));

  // arguments
  CHECK_TEXT(interp.call<std::string>("seen"), "() {}");
  CHECK_TEXT(interp.call<std::string>("seen", 1, "two", 3.5, nullptr, std::string("four")),
             "(1, 'two', 3.5, None, 'four') {}");
  CHECK_TEXT(interp.call<std::string>("seen", 1, kw("b", 2), kw("a", "x")), "(1,) {'b': 2, 'a': 'x'}");
  CHECK_TEXT(interp.call<std::string>("seen", kw("a", 1), 2), "(2,) {'a': 1}");

  const std::vector<std::string> words{"a", "b"};
  const std::map<std::string, int> named{{"x", 1}, {"y", 2}};
  const std::unordered_map<std::string, subpy::value> mixed{{"z", "text"}};
  CHECK_TEXT(interp.call<std::string>("seen", 0, unpack(words), 9, unpack(named), kw("w", 0), unpack(mixed)),
             "(0, 'a', 'b', 9) {'x': 1, 'y': 2, 'w': 0, 'z': 'text'}");
  CHECK_TEXT(interp.call<std::string>("seen", unpack(std::vector<bool>{true, false}), unpack(std::map<std::string, int>())),
             "(True, False) {}");
  const auto list = subpy::value::list({1, "x"});
  CHECK_TEXT(interp.call<std::string>("seen", unpack(list.items())), "(1, 'x') {}");

  // more than fits the local memory of an encoder, and much more
  const std::vector<int> numbers(100000, 7);
  CHECK(interp.call<std::vector<int>>("same", numbers) == numbers);
  const std::vector<std::vector<int>> nested(300, std::vector<int>(10, 1));
  CHECK(interp.call<std::vector<std::vector<int>>>("same", nested) == nested);
  CHECK_TEXT(interp.call<std::string>("seen", 1, 2, 3, 4, 5, 6, 7, 8, 9, kw("a", 1), kw("b", 2)),
             "(1, 2, 3, 4, 5, 6, 7, 8, 9) {'a': 1, 'b': 2}");

  // bad calls
  CHECK_THROWS(subpy::execution_failed, "AttributeError: module '__main__' has no attribute 'nope'", interp.call("nope"));
  CHECK_THROWS(subpy::execution_failed, "ModuleNotFoundError: No module named 'nope'", interp.call("nope:f"));
  CHECK(interp.try_call("same", kw("x", 1), kw("x", 2)).error().excinfo()->type_name() == "TypeError");
  const char *null = nullptr;
  CHECK(interp.try_call("same", null).error().code() == subpy::status::invalid_argument);
  CHECK(interp.try_call("same", "\xff").error().code() == subpy::status::invalid_argument);
  CHECK(interp.try_exec(std::string_view()).has_value());

  // options
  CHECK_THROWS(subpy::syntax_error, "IndentationError: unexpected indent (<script>, line 1)",
               interp.exec("  x = 1\n", {{}, true}));
  interp.exec("  x = 1\n");
  subpy::run_options named_file;
  named_file.filename = "config.py";
  CHECK(interp.try_eval<int>("1/0", named_file).error().excinfo()->frames().front().file == "config.py");
  named_file.filename = std::string("a\0b", 3);
  CHECK_ERROR(interp.try_exec("pass", named_file), invalid_argument, "filename: a NUL inside: 'a b'");
  CHECK_ERROR(interp.try_exec_in_thread("pass", named_file), invalid_argument, "filename: a NUL inside: 'a b'");
  CHECK(interp.try_eval<int>("1", {{}, true}).error().code() == subpy::status::invalid_argument);

  // names
  interp.prepare_main(kw("one", 1), kw("two", words));
  CHECK(interp.eval<std::string>("f'{one} {two}'") == "1 ['a', 'b']");
  interp.prepare_main(named);
  interp.prepare_main(subpy::value::dict({{"deep", subpy::value::tuple({1, 2})}}));
  CHECK(interp.eval<std::string>("f'{x} {y} {deep}'") == "1 2 (1, 2)");
  CHECK(interp.try_prepare_main().error().code() == subpy::status::invalid_argument);
  CHECK(interp.try_prepare_main(1).error().code() == subpy::status::invalid_argument);
  CHECK(interp.try_prepare_main(std::map<int, int>{{1, 2}}).error().code() == subpy::status::invalid_argument);
  return 0;
}
