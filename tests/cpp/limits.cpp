// Time limits, cancelling, interrupting, and closing with a deadline.
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#if __cplusplus >= 202002L
#include <stop_token>
#endif

#include "test.hpp"

using namespace std::chrono_literals;

namespace {

const char *const loops =
    "import time\n"
    "def loop():\n"
    "  while True: pass\n";

subpy::run_options within(std::chrono::milliseconds limit) {
  subpy::run_options options;
  options.timeout = limit;
  return options;
}

subpy::run_options stopped_by(const subpy::cancel &token) {
  subpy::run_options options;
  options.cancel = token;
  return options;
}

void time_limits() {
  const auto interp = subpy::interpreter::create();
  interp.exec(loops);
  const auto loop = interp.function("loop");
  bool thrown = false;
  try {
    interp.call(within(30ms), "loop");
  } catch (const subpy::timeout_error &late) {
    thrown = late.code() == subpy::status::timeout && late.excinfo()->type_name() == "KeyboardInterrupt" &&
             late.excinfo()->frames().back().function == "loop";
  }
  CHECK(thrown);
  CHECK(interp.try_exec("loop()", within(30ms)).error().code() == subpy::status::timeout);
  CHECK(interp.try_eval<int>("loop()", within(30ms)).error().code() == subpy::status::timeout);
  CHECK(loop.try_call(within(30ms)).error().code() == subpy::status::timeout);
  CHECK(interp.call_in_thread(within(30ms), "loop").try_join().error().code() == subpy::status::timeout);
  CHECK(loop.call_in_thread(within(30ms)).try_join().error().code() == subpy::status::timeout);
  CHECK(interp.exec_in_thread("loop()", within(30ms)).try_join().error().code() == subpy::status::timeout);
  CHECK(interp.try_exec("loop()", within(0ms)).error().code() == subpy::status::timeout);
  CHECK(interp.try_exec("loop()", within(-5ms)).error().code() == subpy::status::timeout);
  CHECK(interp.call<double>(within(1h), "math:sqrt", 4.0) == 2.0 && interp.eval<int>("6 * 7", within(1h)) == 42);
  CHECK(interp.function("math:sqrt").call<double>(within(1h), 4.0) == 2.0);

  subpy::interpreter_options options;
  options.timeout = 30ms;
  const auto limited = subpy::interpreter::create(options);
  limited.exec(loops);
  CHECK(limited.try_call("loop").error().code() == subpy::status::timeout);
  CHECK(limited.try_exec("loop()").error().code() == subpy::status::timeout);
  CHECK(limited.function("loop").try_call().error().code() == subpy::status::timeout);
  CHECK(limited.eval<int>("1") == 1);

  // A run that nothing stops is left behind, and the interpreter is busy until it ends.
  subpy::run_options left = within(30ms);
  left.abandon = true;
  auto sleeping = interp.exec_in_thread("time.sleep(0.5)", left);
  CHECK(sleeping.try_join().error().code() == subpy::status::timeout);
  while (interp.try_exec("pass", within(0ms)).has_value() == false) std::this_thread::sleep_for(1ms);
}

void cancelling() {
  const auto interp = subpy::interpreter::create();
  interp.exec(loops);
  subpy::cancel none;
  none.fire();
  CHECK(none.handle() == 0 && interp.eval<int>("1", stopped_by(none)) == 1);

  const auto token = subpy::cancel::create();
  std::thread later([copy = token] {
    std::this_thread::sleep_for(20ms);
    copy.fire();
  });
  bool thrown = false;
  try {
    interp.call(stopped_by(token), "loop");
  } catch (const subpy::interrupted_error &stopped) {
    thrown = stopped.code() == subpy::status::interrupted && stopped.excinfo()->type_name() == "KeyboardInterrupt";
  }
  later.join();
  CHECK(thrown);
  // it stays fired: what has not begun does not begin
  const auto refused = interp.try_exec("begun = 1", stopped_by(token));
  CHECK(refused.error().code() == subpy::status::interrupted && !refused.error().excinfo());
  CHECK(interp.eval<bool>("'begun' not in globals()"));

  // what it stops may swallow that for a while
  interp.exec("def later():\n  for _ in range(3):\n    try: loop()\n    except BaseException: pass\n  loop()\n");
  const auto other = subpy::cancel::create();
  auto thread = interp.call_in_thread(stopped_by(other), "later");
  other.fire();
  CHECK(thread.try_join().error().code() == subpy::status::interrupted);
}

void one_of_many() {
  // Only the run that it was given to.
  subpy::interpreter_options options;
  options.busy = subpy::busy_policy::share;
  const auto interp = subpy::interpreter::create(options);
  interp.exec(loops);
  const auto token = subpy::cancel::create();
  auto stopped = interp.call_in_thread(stopped_by(token), "loop");
  auto other = interp.exec_in_thread("while not globals().get('end'): time.sleep(0.001)");
  token.fire();
  CHECK(stopped.try_join().error().code() == subpy::status::interrupted);
  interp.exec("end = True");
  other.join();

  // many tokens, from many threads
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; t++) {
    threads.emplace_back([&] {
      for (int n = 0; n < 30; n++) {
        const auto mine = subpy::cancel::create();
        auto run = interp.call_in_thread(stopped_by(mine), "loop");
        mine.fire();
        CHECK(run.try_join().error().code() == subpy::status::interrupted);
      }
    });
  }
  for (auto &thread : threads) thread.join();
}

void inside_a_host_function() {
  const auto interp = subpy::interpreter::create();
  bool seen = false;
  interp.define("host:wait", [&](const subpy::context &call) {
    while (!call.cancelled()) std::this_thread::sleep_for(1ms);
    seen = true;
  });
  interp.exec("import host");
  const auto late = interp.try_exec("host.wait()\nwhile True: pass", within(30ms));
  CHECK(seen && late.error().code() == subpy::status::timeout);

  // a run inside that is stopped, stops the one outside by its exception
  interp.define("host:inside", [&](const std::string &code) { interp.exec(code, within(30ms)); });
  const auto passed_on = interp.try_exec("host.inside('while True: pass')");
  CHECK(passed_on.error().excinfo()->type_name() == "TimeoutError");
  bool found = false;
  try {
    std::rethrow_exception(passed_on.error().cause());
  } catch (const subpy::timeout_error &) {
    found = true;
  }
  CHECK(found && interp.eval<int>("1") == 1);
}

void interrupting() {
  const auto interp = subpy::interpreter::create();
  interp.exec(loops);
  interp.exec("def caught():\n  try: loop()\n  except KeyboardInterrupt: return 'caught'\n");
  // One that comes before the try, or after it, is not caught.
  bool caught = false;
  for (int tries = 0; tries < 1000 && !caught; tries++) {
    auto run = interp.call_in_thread("caught");
    while (!run.wait_for(1ms)) interp.interrupt();
    const auto outcome = run.try_join<std::string>();
    CHECK(outcome ? *outcome == "caught" : outcome.error().code() == subpy::status::interrupted);
    caught = outcome.has_value();
  }
  CHECK(caught);
  const auto gone = subpy::interpreter_ref(interp);
  interp.close();
  CHECK(gone.try_interrupt().error().code() == subpy::status::not_found);
}

void closing_in_time() {
  subpy::close_options options;
  options.timeout = 30ms;
  {
    const auto interp = subpy::interpreter::create();
    interp.exec(loops);
    auto run = interp.call_in_thread("loop");
    while (!interp.is_running()) std::this_thread::yield();
    CHECK_THROWS(subpy::busy_error, interp.try_close(options).error().what(), interp.close(options));
    options.interrupt = true;
    options.timeout.reset();
    interp.close(options);
    CHECK(!run.try_join());
  }
  {
    const auto interp = subpy::interpreter::create();
    auto run = interp.exec_in_thread("import time; time.sleep(0.05)");
    while (!interp.is_running()) std::this_thread::yield();
    options = {};
    options.drain = true;
    interp.close(options);
    run.join();
  }
}

#if defined(__cpp_lib_jthread)
void stop_tokens() {
  const auto interp = subpy::interpreter::create();
  interp.exec(loops);
  std::atomic<bool> stopped{false};
  {
    const std::jthread worker([&](const std::stop_token &stop) {
      subpy::run_options options;
      options.cancel = stop;
      stopped = interp.try_call(options, "loop").error().code() == subpy::status::interrupted;
    });
    while (!interp.is_running()) std::this_thread::yield();
  }
  CHECK(stopped);
  std::stop_source source;
  source.request_stop();
  CHECK(interp.try_exec("pass", stopped_by(source.get_token())).error().code() == subpy::status::interrupted);
  CHECK(interp.try_exec("pass", stopped_by(std::stop_token())).has_value());
  std::stop_source later;
  auto run = interp.call_in_thread(stopped_by(later.get_token()), "loop");
  later.request_stop();
  CHECK(run.try_join().error().code() == subpy::status::interrupted);
}
#endif

}  // namespace

int main() {
  time_limits();
  cancelling();
  one_of_many();
  inside_a_host_function();
  interrupting();
  closing_in_time();
#if defined(__cpp_lib_jthread)
  stop_tokens();
#endif
  subpy::shutdown();
  return 0;
}
