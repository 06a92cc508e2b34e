// Interpreters: made, owned, moved, told apart, found and closed; what a destructor does.
#include <unistd.h>

#include <atomic>
#include <thread>
#include <type_traits>
#include <unordered_set>
#include <vector>

#include "test.hpp"

using subpy::interpreter;
using subpy::interpreter_ref;

static_assert(std::is_nothrow_move_constructible_v<interpreter> && std::is_nothrow_move_assignable_v<interpreter>);
static_assert(!std::is_copy_constructible_v<interpreter> && !std::is_copy_assignable_v<interpreter>);
static_assert(std::is_trivially_copyable_v<interpreter_ref> && sizeof(interpreter_ref) == sizeof(subpy_interp));
static_assert(std::is_convertible_v<const interpreter &, interpreter_ref>);
static_assert(!std::is_convertible_v<interpreter_ref, interpreter>, "taking over is said aloud");

static bool is_listed(interpreter_ref wanted) {
  for (const interpreter_ref found : interpreter::list_all())
    if (found == wanted) return true;
  return false;
}

static void ownership() {
  interpreter_ref seen;
  {
    auto first = interpreter::create();
    seen = first;
    CHECK(is_listed(seen));
    interpreter second = std::move(first);
    CHECK(second == seen && first.handle() == 0);
    CHECK_THROWS(subpy::interpreter_not_found_error, "0 is not the handle of an interpreter", first.id());

    auto third = interpreter::create();
    const interpreter_ref closed = third;
    third = std::move(second);
    CHECK(third == seen && !is_listed(closed));
    auto &same = third;
    third = std::move(same);
    CHECK(third == seen && is_listed(seen));
  }
  CHECK(!is_listed(seen));
  CHECK_ERROR(seen.try_exec("pass"), not_found, "unrecognized interpreter ID 1");

  interpreter released = interpreter::create();
  const interpreter_ref kept = released.release();
  CHECK(released.handle() == 0 && is_listed(kept));
  { const interpreter taken(kept); }
  CHECK(!is_listed(kept));

  std::vector<interpreter> pool(3);
  for (auto &place : pool) place = interpreter::create();
  pool.erase(pool.begin());
  CHECK(interpreter::list_all().size() == 3);  // main and two
}

static void told_apart() {
  const auto interp = interpreter::create();
  const auto other = interpreter::create();
  CHECK(interp != other && interp == interpreter::find(interp.id()));
  CHECK(interp < other || other < interp);
  const std::unordered_set<interpreter_ref> set{interp, other, interp};
  CHECK(set.size() == 2);
  CHECK_TEXT(interp.whence(), "C-API");
  CHECK(!interp.is_running());

  const auto main = interpreter::get_main();
  CHECK(main.id() == 0 && interpreter::list_all().front() == main);
  CHECK_TEXT(main.whence(), "runtime init");
  CHECK_THROWS(subpy::interpreter_error, "cannot destroy the main interpreter, subpy_shutdown() ends it", main.close());
  CHECK_THROWS(subpy::interpreter_not_found_error, "unrecognized interpreter ID 999", interpreter::find(999));
  CHECK(interpreter::try_find(-1).error().code() == subpy::status::invalid_argument);
  CHECK(interpreter::try_get_current().error().code() == subpy::status::not_found);
}

static void many_are_listed() {
  std::vector<interpreter> many;
  for (int i = 0; i < 20; i++) many.push_back(interpreter::create());
  CHECK(interpreter::list_all().size() == 21);
}

static void closing() {
  auto interp = interpreter::create();
  const auto id = std::to_string(interp.id());
  interp.close();
  CHECK_THROWS(subpy::interpreter_not_found_error, "unrecognized interpreter ID " + id, interp.close());
}  // and the destructor has nothing to say

static std::atomic<int> ignored{0};

static void what_a_destructor_cannot_say() {
  const auto before = subpy::set_unraisable_hook([](const subpy::error &error) noexcept {
    CHECK(error.code() == subpy::status::busy);
    CHECK_TEXT(error.what(), "interpreter running");
    ignored++;
  });
  CHECK(before != nullptr);
  const std::string stop = "/tmp/subpy-test-stop-" + std::to_string(getpid());
  interpreter_ref left;
  subpy::thread sleeper;
  {
    const auto interp = interpreter::create();
    left = interp;
    sleeper = interp.exec_in_thread("import os, time\nwhile not os.path.exists('" + stop + "'): time.sleep(0.01)");
    while (!interp.is_running()) std::this_thread::yield();
  }
  CHECK(ignored == 1 && is_listed(left));
  CHECK(subpy::set_unraisable_hook(nullptr) != before);
  CHECK(subpy::set_unraisable_hook(nullptr) == before);

  CHECK_ERROR(left.try_exec("pass"), busy, "interpreter already running");
  std::fclose(std::fopen(stop.c_str(), "w"));
  sleeper.join();
  std::remove(stop.c_str());
  left.close();
}

static void options() {
  subpy::interpreter_options options;
  options.path = {"/none/first", "/none/second"};
  options.busy = subpy::busy_policy::share;
  options.no_threads = true;
  auto interp = interpreter::create(options);
  CHECK(interp.eval<std::vector<std::string>>("__import__('sys').path[:2]") == options.path);
  CHECK_THROWS(subpy::execution_failed, "RuntimeError: thread is not supported for isolated subinterpreters",
               interp.exec("import threading\nthreading.Thread(target=print).start()"));

  options = {};
  options.path = {std::string("a\0b", 3)};
  CHECK_ERROR(interpreter::try_create(options), invalid_argument, "path: a NUL inside: 'a b'");
  options = {};
  options.no_extension_check = true;  // needs the shared GIL
  CHECK(interpreter::try_create(options).error().code() == subpy::status::invalid_argument);
  options.gil = subpy::gil_policy::shared;
  options.allow_daemon_threads = options.allow_exec = options.allow_fork = true;
  interpreter::create(options).exec("import threading\nthreading.Thread(target=int, daemon=True).start()");
}

static void virtual_environments() {
  interpreter maker = interpreter::create();
  maker.exec(
      "import os, shutil, sys, tempfile\n"
      "folder = tempfile.mkdtemp()\n"
      "os.makedirs(folder + '/lib/python%d.%d/site-packages' % sys.version_info[:2])\n"
      "open(folder + '/pyvenv.cfg', 'w').close()\n");
  subpy::interpreter_options options;
  options.venv = maker.eval<std::string>("folder");
  CHECK(interpreter::create(options).eval<std::string>("__import__('sys').prefix") == options.venv);
  maker.exec("shutil.rmtree(folder)");
  const auto gone = interpreter::try_create(options);
  CHECK(gone.error().code() == subpy::status::invalid_argument);
  CHECK(gone.error().message().find("is no folder; make one with: python3.") != std::string_view::npos);
  options.venv = std::string("a\0b", 3);
  CHECK_ERROR(interpreter::try_create(options), invalid_argument, "venv: a NUL inside: 'a b'");
}

static void options_of_a_process() {
  const auto refused = [](const auto &change, const char *message) {
    subpy::interpreter_options options;
    change(options);
    CHECK_ERROR(interpreter::try_create(options), invalid_argument, message);
  };
  refused([](auto &options) { options.locked = true; },
          "SUBPY_INTERP_LOCKED needs SUBPY_INTERP_PROCESS: it is about a process");
  refused([](auto &options) { options.process = options.lock_best_effort = true; },
          "SUBPY_INTERP_LOCK_BEST_EFFORT needs SUBPY_INTERP_LOCKED: without it nothing is locked");
  refused([](auto &options) { options.grace = std::chrono::milliseconds(0); },
          "subpy_interp_options.grace_ms needs SUBPY_INTERP_PROCESS: it is about a process");
  refused([](auto &options) { options.cpu_limit = std::chrono::seconds(1); },
          "subpy_interp_options.cpu_limit_ms needs SUBPY_INTERP_PROCESS: it is about a process");
  refused([](auto &options) { options.readable = {"/usr"}; },
          "subpy_interp_options.readable needs SUBPY_INTERP_PROCESS: it is about a process");
  refused([](auto &options) { options.process = true, options.writable = {"/tmp"}; },
          "writable folders need SUBPY_INTERP_LOCKED: without it all that the host can open is open");
  refused([](auto &options) { options.process = options.locked = true, options.readable = {"/usr", "here"}; },
          "readable[1] is \"here\", must be an absolute path");
  refused([](auto &options) { options.writable = {std::string("a\0b", 3)}; }, "writable: a NUL inside: 'a b'");
  refused([](auto &options) { options.process = true, options.gil = subpy::gil_policy::shared; },
          "SUBPY_INTERP_PROCESS needs SUBPY_GIL_OWN: an interpreter in a process of its own shares no GIL");
}

int main() {
  ownership();
  virtual_environments();
  told_apart();
  many_are_listed();
  closing();
  options();
  options_of_a_process();
  what_a_destructor_cannot_say();
  return 0;
}
