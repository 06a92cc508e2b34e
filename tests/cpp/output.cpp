// What Python prints, for an interpreter and for a run: streams, functions, what fails, several at once.
#include <chrono>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "test.hpp"

namespace {

std::string ignored_last;

void keep_ignored(const subpy::error &ignored) noexcept { ignored_last = ignored.what(); }

struct kept {
  std::string out;
  std::string err;
  subpy::output to() {
    return [this](subpy::stream from, std::string_view text) { (from == subpy::stream::err ? err : out).append(text); };
  }
};

const char *const both = "import sys\nprint('out é')\nprint('err', file=sys.stderr)";

void of_an_interpreter() {
  std::ostringstream out, err, all;
  auto interp = subpy::interpreter::create();
  interp.set_output({out, err});
  interp.exec(both);
  CHECK(out.str() == "out é\n" && err.str() == "err\n");
  interp.set_output(all);
  interp.exec(both);
  CHECK(all.str().find("out é\n") != std::string::npos && all.str().find("err\n") != std::string::npos);
  CHECK(out.str() == "out é\n");
  kept mine;
  interp.set_output(mine.to());
  interp.exec("import atexit; atexit.register(print, 'bye'); print('a', end='')");
  CHECK(mine.out == "a" && mine.err.empty());
  interp.close();
  CHECK(mine.out == "abye\n");
  CHECK(interp.try_set_output(mine.to()).error().code() == subpy::status::not_found);
}

void of_a_run() {
  const auto interp = subpy::interpreter::create();
  kept all, mine;
  interp.set_output(all.to());
  interp.exec("def f(n): print(n)");
  subpy::run_options options;
  options.output = mine.to();
  interp.exec(both, options);
  interp.call(options, "f", 1);
  interp.function("f").call(options, 2);
  CHECK(interp.eval<bool>("print(3) is None", options));
  CHECK(mine.out == "out é\n1\n2\n3\n" && mine.err == "err\n" && all.out.empty());
  interp.call("f", 4);
  CHECK(all.out == "4\n");
  interp.call_in_thread(options, "f", 5).join();
  CHECK(mine.out == "out é\n1\n2\n3\n5\n");
}

// Its owner lets go of a run, and its output is not touched any more.
void of_a_run_that_goes_on() {
  const auto interp = subpy::interpreter::create();
  std::string all;
  interp.set_output([&](subpy::stream, std::string_view text) { all.append(text); });
  {
    std::string gone;
    subpy::run_options options;
    options.output = [&gone](subpy::stream, std::string_view text) { gone.append(text); };
    auto thread = interp.exec_in_thread("for i in range(2000): print(i, flush=True)", options);
    while (!interp.is_running() && !thread.wait_for(std::chrono::milliseconds(0))) std::this_thread::yield();
    thread.detach();
  }
  while (interp.is_running()) std::this_thread::yield();
  CHECK(all.empty());
}

void what_fails() {
  const auto before = subpy::set_unraisable_hook(keep_ignored);
  const auto interp = subpy::interpreter::create();
  interp.set_output([](subpy::stream, std::string_view) { throw std::runtime_error("no paper"); });
  interp.exec("print('x')");
  CHECK_TEXT(ignored_last, "an output function threw: no paper");
  interp.set_output([](subpy::stream, std::string_view) { throw 1; });
  interp.exec("print('x')");
  CHECK_TEXT(ignored_last, "an output function threw: an exception that is no std::exception");
  interp.set_output([](subpy::stream, std::string_view) { throw subpy::python_exception("OSError", "full"); });
  interp.exec("print('x')");
  CHECK_TEXT(ignored_last, "OSError: full");
  std::ofstream closed;
  closed.exceptions(std::ios::badbit);
  ignored_last.clear();
  interp.set_output(closed);
  interp.exec("print('x')");
  CHECK(ignored_last.find("an output function threw") == 0);
  interp.set_output();
  subpy::set_unraisable_hook(before);
}

// One stream for several: no line is torn.
void at_once() {
  std::ostringstream all;
  std::vector<subpy::interpreter> interpreters;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; i++) {
    interpreters.push_back(subpy::interpreter::create());
    interpreters.back().set_output(all);
  }
  for (auto &interp : interpreters) {
    threads.emplace_back([&] {
      for (int n = 0; n < 50; n++) interp.exec("print('x' * 40)");
    });
  }
  for (auto &thread : threads) thread.join();
  std::istringstream lines(all.str());
  int count = 0;
  for (std::string line; std::getline(lines, line); count++) CHECK(line == std::string(40, 'x'));
  CHECK(count == 150);
}

void of_other_interpreters() {
  subpy::interpreter_options options;
  options.no_stdin = true;
  options.unbuffered = true;
  const auto interp = subpy::interpreter::create(options);
  CHECK_THROWS(subpy::execution_failed, "EOFError: EOF when reading a line", interp.exec("input()"));
  kept mine;
  interp.set_output(mine.to());
  interp.define("printed", [&] { return mine.out; });
  interp.exec("print('a', end='')\nseen = printed()");
  CHECK(interp.eval<std::string>("seen") == "a");
}

// What output goes to lives until it is replaced, or the interpreter is gone.
void how_long_outputs_live() {
  const auto alive = std::make_shared<int>(1);
  for (int round = 0; round < 50; round++) {
    auto interp = subpy::interpreter::create();
    interp.set_output([alive](subpy::stream, std::string_view) {});
    interp.set_output([alive](subpy::stream, std::string_view) {});
    interp.exec("print(1)");
    CHECK(alive.use_count() == 2);
    subpy::run_options options;
    options.output = [alive](subpy::stream, std::string_view) {};
    interp.exec_in_thread("print(1)", options).join();
    CHECK(alive.use_count() == 3);
    interp.close();
    CHECK(alive.use_count() == 2);
  }
  CHECK(alive.use_count() == 1);
}

}  // namespace

int main() {
  of_an_interpreter();
  of_a_run();
  of_a_run_that_goes_on();
  what_fails();
  at_once();
  of_other_interpreters();
  how_long_outputs_live();
  subpy::shutdown();
  return 0;
}
