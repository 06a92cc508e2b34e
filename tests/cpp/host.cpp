// Functions of the program that Python calls: arguments, results, exceptions both ways, re-entry, threads, how_long_functions_live.
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <tuple>
#include <variant>
#include <vector>

#include "test.hpp"

using subpy::kw;

namespace {

int add(int a, int b) noexcept { return a + b; }

struct counter {
  int next = 0;
  int operator()() { return ++next; }
};

// Alive as long as it is, to see that functions and exceptions go.
struct witness {
  static inline std::atomic<int> alive{0};
  witness() { alive++; }
  witness(const witness &) { alive++; }
  witness &operator=(const witness &) = default;
  ~witness() { alive--; }
};

struct my_error : std::runtime_error {
  explicit my_error(int found) : std::runtime_error("mine"), code(found) {}
  int code;
  witness seen;
};

struct spot {
  int x = 0;
  int y = 0;
};

std::string outcome(const subpy::interpreter &interp, const std::string &expression) {
  const auto found = interp.try_eval<subpy::value>(expression);
  return found ? std::string("fine") : std::string(found.error().what());
}

}  // namespace

template <>
struct subpy::convert<spot> : subpy::convert_as_dict<spot> {
  static constexpr auto fields = std::tuple{subpy::field{"x", &spot::x}, subpy::field{"y", &spot::y}};
};

namespace {

void arguments_and_results() {
  const auto interp = subpy::interpreter::create();
  interp.define("plain", add);
  interp.define("host:add", [](int a, int b) { return a + b; });
  interp.define("host:count", counter());
  interp.define("host:join", std::function<std::string(const std::vector<std::string> &, std::string_view)>(
                                 [](const std::vector<std::string> &parts, std::string_view between) {
                                   std::string joined;
                                   for (const auto &part : parts) joined.append(joined.empty() ? "" : between).append(part);
                                   return joined;
                                 }));
  interp.define("host:nothing", [] {});
  interp.define("host:swap", [](spot p) { return spot{p.y, p.x}; });
  interp.define("host:any", [](const subpy::value &any) { return any; });
  interp.define("host:view", [](subpy::value_view any) { return std::string(any.type_name()); });
  interp.define("host:either", [](std::variant<int, std::string> one) { return one.index(); });
  interp.define("host:maybe", [](int a, std::optional<int> b) { return a + b.value_or(100); });
  interp.define("host:reads", [](const std::string &&text, std::optional<double> &&x) { return text + (x ? "x" : ""); });
  interp.define("host:move_only", [owned = std::make_unique<int>(7)] { return *owned; });
  interp.exec("import host");
  CHECK(interp.eval<int>("plain(1, 2)") == 3 && interp.eval<int>("host.add(1, b) if (b := 5) else 0") == 6);
  CHECK(interp.eval<int>("host.count() + host.count()") == 3);
  CHECK(interp.eval<std::string>("host.join(['a', 'b', 'é'], '-')") == "a-b-é");
  CHECK(interp.eval<bool>("host.nothing() is None"));
  CHECK(interp.eval<bool>("host.swap({'x': 1, 'y': 2}) == {'x': 2, 'y': 1}"));
  CHECK(interp.eval<bool>("host.any([1, (2.5, b'\\0'), {'a': None}, 2**70]) == [1, (2.5, b'\\0'), {'a': None}, 2**70]"));
  CHECK(interp.eval<std::string>("host.view({})") == "dict");
  CHECK(interp.eval<int>("host.either('a')") == 1);
  CHECK(interp.eval<int>("host.maybe(1)") == 101 && interp.eval<int>("host.maybe(1, None)") == 101);
  CHECK(interp.eval<int>("host.maybe(1, 2)") == 3 && interp.eval<int>("host.move_only()") == 7);
  CHECK(interp.eval<std::string>("host.reads('a') + host.reads('b', 1)") == "abx");

  CHECK_TEXT(outcome(interp, "host.add(1)"), "TypeError: add() takes 2 positional arguments but 1 was given");
  CHECK_TEXT(outcome(interp, "host.add(1, 2, 3)"), "TypeError: add() takes 2 positional arguments but 3 were given");
  CHECK_TEXT(outcome(interp, "host.nothing(1)"), "TypeError: nothing() takes 0 positional arguments but 1 was given");
  CHECK_TEXT(outcome(interp, "host.maybe()"), "TypeError: maybe() takes from 1 to 2 positional arguments but 0 were given");
  CHECK_TEXT(outcome(interp, "host.add(1, b=2)"), "TypeError: add() got an unexpected keyword argument 'b'");
  CHECK_TEXT(outcome(interp, "host.add(1, 'b')"), "TypeError: add() argument 2: str does not convert to std::int32_t");
  CHECK_TEXT(outcome(interp, "host.add(1, 2**31)"), "TypeError: add() argument 2: int 2147483648 does not fit std::int32_t");
  CHECK_TEXT(outcome(interp, "host.join(['a', 1], '')"),
             "TypeError: join() argument 1[1]: int does not convert to std::string");
  CHECK_TEXT(outcome(interp, "plain('a', 2)"), "TypeError: plain() argument 1: str does not convert to std::int32_t");
}

void names_of_arguments() {
  const auto interp = subpy::interpreter::create();
  subpy::define_options options;
  options.signature = "(a, /, b='x, (y', *, c=0)";
  options.doc = "What it does.";
  interp.define(
      "host:f",
      [](int a, const std::optional<std::string> &b, std::optional<int> c) {
        return std::to_string(a) + b.value_or("-") + std::to_string(c.value_or(0));
      },
      options);
  options.signature = "(a, *rest, b=None, **names)";
  interp.define(
      "host:g",
      [](const subpy::context &call, int a, std::optional<int> b, subpy::positional rest, subpy::keywords names) {
        CHECK(names.size() == 0 || (names.contains("k") && names.get<int>("k") == 9 && !names.find("j")));
        CHECK(call.interpreter().handle() != 0 && !call.cancelled());
        return std::tuple(a, b.value_or(0), rest, names);
      },
      options);
  interp.exec("import host, inspect");
  CHECK(interp.eval<std::string>("host.f(1)") == "1-0" && interp.eval<std::string>("host.f(1, b='y', c=2)") == "1y2");
  CHECK(interp.eval<std::string>("host.f(1, 'z')") == "1z0");
  CHECK_TEXT(outcome(interp, "host.f(1, 'z', 2)"), "TypeError: f() takes from 1 to 2 positional arguments but 3 were given");
  CHECK_TEXT(outcome(interp, "host.f(a=1)"), "TypeError: f() got an unexpected keyword argument 'a'");
  CHECK_TEXT(outcome(interp, "host.f(1, 'z', b='z')"), "TypeError: f() got multiple values for argument 'b'");
  CHECK_TEXT(outcome(interp, "host.f(1, b=2)"), "TypeError: f() argument 'b': int does not convert to std::string");
  CHECK_TEXT(outcome(interp, "host.g(k=9)"), "TypeError: g() missing required argument 'a' (pos 1)");
  CHECK(interp.eval<bool>("host.g(1, 2, 3, b=4, k=9) == (1, 4, (2, 3), {'k': 9})"));
  CHECK(interp.eval<bool>("host.g(1) == (1, 0, (), {}) and host.g(a=1, b=None) == (1, 0, (), {})"));
  CHECK(interp.eval<std::string>("host.f.__doc__") == "What it does.");
  CHECK(interp.eval<std::string>("str(inspect.signature(host.f))") == "(a, /, b='x, (y', *, c=0)");

  options.signature = "(a, b)";
  CHECK_ERROR(interp.try_define("host:f", [](int) {}, options), invalid_argument,
              "signature: 2 parameters, the function has 1");
  options.signature = std::string("(a\0)", 4);
  CHECK(interp.try_define("host:f", [](int) {}, options).error().code() == subpy::status::invalid_argument);
}

void exceptions() {
  const auto interp = subpy::interpreter::create();
  interp.define("host:fail", [](const std::string &which) {
    if (which == "python") throw subpy::python_exception("KeyError", "k");
    if (which == "module") throw subpy::python_exception("decimal:InvalidOperation", "i");
    if (which == "memory") throw std::bad_alloc();
    if (which == "range") throw std::out_of_range("r");
    if (which == "invalid") throw std::invalid_argument("i");
    if (which == "domain") throw std::domain_error("d");
    if (which == "length") throw std::length_error("l");
    if (which == "range_error") throw std::range_error("e");
    if (which == "overflow") throw std::overflow_error("o");
    if (which == "system") throw std::system_error(std::make_error_code(std::errc::no_such_file_or_directory));
    if (which == "logic") throw std::logic_error("é");
    if (which == "conversion") static_cast<void>(subpy::value(1).as<std::string>());
    throw 1;
  });
  interp.exec(
      "import host\n"
      "def f(which):\n"
      "  try: host.fail(which)\n"
      "  except BaseException as error: return f'{type(error).__name__}: {error}'\n");
  const auto caught = [&](const char *which) { return interp.call<std::string>("f", which); };
  CHECK(caught("python") == "KeyError: 'k'" && caught("module") == "InvalidOperation: i");
  CHECK(caught("memory") == "MemoryError: std::bad_alloc" && caught("range") == "IndexError: r");
  CHECK(caught("invalid") == "ValueError: i" && caught("domain") == "ValueError: d" && caught("length") == "ValueError: l");
  CHECK(caught("range_error") == "ValueError: e" && caught("overflow") == "OverflowError: o");
  CHECK(caught("system") == "OSError: No such file or directory" && caught("logic") == "RuntimeError: é");
  CHECK(caught("conversion") == "TypeError: value: int does not convert to std::string");
  CHECK(caught("") == "RuntimeError: a C++ exception that is no std::exception");

  // a type that is not there
  interp.define("host:wrong", [] { throw subpy::python_exception("nothing.here:Error", "text"); });
  CHECK(interp.try_eval<subpy::value>("host.wrong()").error().code() == subpy::status::execution_failed);
  interp.define("host:returned", [](int n) -> subpy::result<int> {
    if (n < 0) return subpy::python_exception("ValueError", "negative");
    return n;
  });
  CHECK(interp.eval<int>("host.returned(5)") == 5);
  CHECK_TEXT(outcome(interp, "host.returned(-5)"), "ValueError: negative");
  interp.define("host:done", []() -> subpy::result<void> { return {}; });
  CHECK(interp.eval<bool>("host.done() is None"));
}

// What crosses twice comes back, with Python's traceback.
void there_and_back() {
  const auto interp = subpy::interpreter::create();
  interp.define("host:fail", [](int code) { throw my_error(code); });
  interp.define("host:nested", [] {
    try {
      throw my_error(3);
    } catch (...) {
      std::throw_with_nested(std::invalid_argument("outer"));
    }
  });
  interp.exec(
      "import host\n"
      "def f(code): host.fail(code)\n"
      "def swallow(code):\n"
      "  try: host.fail(code)\n"
      "  except RuntimeError: pass\n");
  bool thrown = false;
  try {
    interp.call("f", 5);
  } catch (const subpy::execution_failed &failed) {
    CHECK_TEXT(failed.what(), "RuntimeError: mine");
    CHECK(failed.excinfo()->frames().size() == 1);
    CHECK(failed.excinfo()->errdisplay().find("my_error") != std::string_view::npos);
    try {
      std::rethrow_if_nested(failed);
    } catch (const my_error &original) {
      thrown = original.code == 5;
    }
  }
  CHECK(thrown);
  const auto failed = interp.try_call("f", 6);
  CHECK(failed.error().cause() != nullptr && witness::alive == 1);
  try {
    std::rethrow_exception(failed.error().cause());
  } catch (const my_error &original) {
    CHECK(original.code == 6);
  }
  CHECK(interp.try_exec("1/0").error().cause() == nullptr);
  const auto two = interp.try_eval<subpy::value>("host.nested()");
  CHECK_TEXT(two.error().what(), "ValueError: outer");
  CHECK(two.error().excinfo()->errdisplay().find("caused by: mine") != std::string_view::npos);

  // through two interpreters, and with the traceback of both
  const auto outer = subpy::interpreter::create();
  outer.define("host:into", [&](int code) { interp.call("f", code); });
  outer.exec("import host");
  const auto far = outer.try_eval<subpy::value>("host.into(7)");
  CHECK_TEXT(far.error().what(), "RuntimeError: mine");
  CHECK(far.error().excinfo()->errdisplay().find("def f(code): host.fail(code)") != std::string_view::npos);
  bool found = false;
  try {
    std::rethrow_exception(far.error().cause());
  } catch (const subpy::execution_failed &inner) {
    try {
      std::rethrow_if_nested(inner);
    } catch (const my_error &original) {
      found = original.code == 7;
    }
  }
  CHECK(found);

  // on a thread of its own
  auto thread = interp.call_in_thread("f", 8);
  const auto joined = thread.try_join();
  CHECK(joined.error().cause() != nullptr);
}

// Nothing stays of what was thrown, whether Python catches it or not.
void nothing_is_kept() {
  CHECK(witness::alive == 0);
  const auto interp = subpy::interpreter::create();
  interp.define("host:fail", [](int code) { throw my_error(code); });
  interp.exec(
      "import host, threading\n"
      "def swallow():\n"
      "  for i in range(50):\n"
      "    try: host.fail(i)\n"
      "    except RuntimeError as error: kept.append(error)\n"
      "kept = []\n"
      "def on_a_thread():\n"
      "  t = threading.Thread(target=swallow, daemon=False)\n"
      "  t.start()\n"
      "  t.join()\n");
  for (int round = 0; round < 20; round++) {
    interp.call("swallow");
    CHECK(witness::alive == 0);
    CHECK(!interp.try_eval<subpy::value>("host.fail(1)"));
    CHECK(witness::alive == 0);
  }
  // Threads that this header runs nothing on have an end of their own: only the last few.
  for (int round = 0; round < 20; round++) {
    interp.call("on_a_thread");
    CHECK(witness::alive <= 64);
  }
}

void re_entry() {
  const auto interp = subpy::interpreter::create();
  const auto other = subpy::interpreter::create();
  interp.define("host:again", [](const subpy::context &call, const std::string &code) {
    return call.interpreter().eval<subpy::value>(code);
  });
  interp.define("host:elsewhere", [&](const std::string &code) { return other.eval<subpy::value>(code); });
  other.define("host:back", [&](const std::string &code) { return interp.eval<subpy::value>(code); });
  interp.define("host:down", [&](int depth) { return depth == 0 ? 0 : interp.call<int>("down", depth - 1) + 1; });
  interp.exec("import host\nx = 20\ndef down(n): return host.down(n)\n");
  other.exec("import host");
  CHECK(interp.eval<int>("host.again('x + 1') + 1") == 22);
  CHECK(interp.eval<int>("host.elsewhere('40 + 2')") == 42);
  CHECK(interp.eval<int>("host.elsewhere('host.back(\"x + 3\")')") == 23);
  CHECK(interp.call<int>("down", 50) == 50);
  CHECK_TEXT(outcome(interp, "host.again('1/0')"), "ZeroDivisionError: division by zero");
  CHECK_TEXT(outcome(interp, "host.again('x +')"), "SyntaxError: invalid syntax (<script>, line 1)");
}

// Python calls it on whatever thread it is on.
void threads() {
  const auto interp = subpy::interpreter::create();
  std::atomic<int> calls{0};
  interp.define("host:tick", [&] { return ++calls; });
  interp.define("host:here", [caller = std::this_thread::get_id()] { return std::this_thread::get_id() == caller; });
  subpy::define_options options;
  options.caller_thread_only = true;
  interp.define("host:only", [] { return 1; }, options);
  options = {};
  options.keep_gil = true;
  interp.define("host:fast", add, options);
  interp.exec(
      "import host, threading\n"
      "def many():\n"
      "  threads = [threading.Thread(target=lambda: [host.tick() for _ in range(100)], daemon=False) for _ in range(4)]\n"
      "  for t in threads: t.start()\n"
      "  for t in threads: t.join()\n"
      "def one(f):\n"
      "  found = []\n"
      "  def run():\n"
      "    try: found.append(f())\n"
      "    except RuntimeError: found.append('no')\n"
      "  t = threading.Thread(target=run, daemon=False)\n"
      "  t.start()\n"
      "  t.join()\n"
      "  return found[0]\n");
  interp.call("many");
  CHECK(calls == 400 && interp.eval<bool>("host.here()") && !interp.eval<bool>("one(host.here)"));
  CHECK(!interp.eval_in_thread("host.here()").join<bool>());
  CHECK(interp.eval<int>("host.only()") == 1 && interp.eval<std::string>("one(host.only)") == "no");
  CHECK(interp.eval<int>("host.fast(1, 2)") == 3);
}

// A function lives until nothing can call it any more, and no longer.
void how_long_functions_live() {
  const auto alive = std::make_shared<int>(1);
  const auto holding = [alive] { return *alive; };
  for (int round = 0; round < 50; round++) {
    auto interp = subpy::interpreter::create();
    interp.define("host:f", holding);
    interp.define("host:f", [alive] { return *alive + 1; });
    interp.define("f", holding);
    CHECK(interp.eval<int>("__import__('host').f() + f()") == 3);
    CHECK(!interp.try_define("host:", holding));
    interp.close();
    CHECK(interp.try_define("host:f", holding).error().code() == subpy::status::not_found);
    CHECK(alive.use_count() == 2);
  }
}

// Defining, redefining, calling and closing from several threads.
void races() {
  std::atomic<int> made{0}, gone{0};
  struct counted {
    std::atomic<int> *gone;
    explicit counted(std::atomic<int> &made, std::atomic<int> &freed) : gone(&freed) { made++; }
    counted(const counted &) = delete;
    counted &operator=(const counted &) = delete;
    ~counted() { (*gone)++; }
  };
  for (int round = 0; round < 20; round++) {
    subpy::interpreter_options options;
    options.busy = subpy::busy_policy::share;
    auto interp = subpy::interpreter::create(options);
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; t++) {
      threads.emplace_back([&, t] {
        for (int n = 0; n < 50; n++) {
          auto held = std::make_shared<counted>(made, gone);
          const auto defined = interp.try_define("host:f", [held, t] { return t; });
          CHECK(defined || defined.error().code() != subpy::status::panic);
        }
      });
      threads.emplace_back([&] {
        for (int n = 0; n < 50; n++) {
          const auto found = interp.try_eval<int>("__import__('host').f()");
          CHECK(!found || *found == 0 || *found == 1);
        }
      });
    }
    while (round % 2 == 1 && !interp.try_close()) std::this_thread::yield();
    for (auto &thread : threads) thread.join();
  }
  CHECK(made == gone);
}

}  // namespace

int main() {
  arguments_and_results();
  names_of_arguments();
  exceptions();
  there_and_back();
  nothing_is_kept();
  re_entry();
  threads();
  how_long_functions_live();
  races();
  subpy::shutdown();
  return 0;
}
