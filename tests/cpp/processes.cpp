// Interpreters in processes of their own: what kills a process, ends it or blocks it is an error of the run.
#include <chrono>
#include <string>
#include <vector>

#include "test.hpp"

using namespace std::chrono_literals;

namespace {

subpy::interpreter in_process() {
  subpy::interpreter_options options;
  options.process = true;
  options.grace = 50ms;
  return subpy::interpreter::create(options);
}

/// The error of a run that ends its interpreter.
template <class Class>
Class ended_by(const char *code, const subpy::run_options &options = {}) {
  const auto interp = in_process();
  try {
    interp.exec(code, options);
  } catch (const Class &error) {
    CHECK(error.interp() == interp.handle());
    CHECK(interp.try_exec("1").error().code() == subpy::status::not_found);
    for (const auto &other : subpy::interpreter::list_all()) CHECK(other.handle() != interp.handle());
    return error;
  }
  std::fprintf(stderr, "it goes on: %s\n", code);
  std::exit(1);
}

void crashes() {
  const auto aborted = ended_by<subpy::crashed_error>("import os\ndef fail():\n    os.abort()\nfail()");
  CHECK_TEXT(aborted.what(), "the interpreter's process was killed by signal 6 (SIGABRT)");
  auto crash = aborted.crash().value();
  CHECK(crash.signal == 6 && !crash.exit_code);
  CHECK(crash.traceback.find("Fatal Python error: Aborted\n") == 0);
  CHECK(crash.traceback.find("\n  File \"<script>\", line 3 in fail\n") != std::string_view::npos);

  const auto left = ended_by<subpy::crashed_error>("import os; os._exit(3)");
  crash = left.crash().value();
  CHECK(!crash.signal && crash.exit_code == 3);
  CHECK_TEXT(crash.traceback, "the interpreter's process has ended with exit code 3");
  CHECK_TEXT(left.what(), crash.traceback);
}

void what_does_not_end_is_killed() {
  subpy::run_options options;
  options.timeout = 50ms;
  const auto late = ended_by<subpy::timeout_error>("import ctypes\nctypes.CDLL(None).sleep(1000)", options);
  CHECK_TEXT(late.what(),
             "timed out after 50 ms, and the code did not end within 50 ms more: its process was killed");
  CHECK(!late.excinfo() && !late.crash());
}

void what_holds_a_lock() {
  subpy::interpreter_options options;
  options.process = options.locked = true;
  for (const bool best_effort : {false, true}) {
    options.lock_best_effort = best_effort;
    const auto locked = subpy::interpreter::create(options);
    const subpy::lock_info info = locked.lock_info();
    CHECK(info.landlock >= 6 && info.seccomp);
    CHECK(locked.try_exec("open('/etc/passwd')").error().excinfo()->type_name() == "PermissionError");
    const subpy::interpreter_ref gone = locked;
    locked.close();
    CHECK(gone.try_lock_info().error().code() == subpy::status::not_found);
  }
  CHECK(in_process().try_lock_info().error().code() == subpy::status::wrong_state);
}

/// An interpreter in a process of its own writes to the same memory.
void shared_memory() {
  using subpy::buffer;
  const auto interp = in_process();
  interp.exec(
      "kept = []\n"
      "def show(b): return f'{type(b).__name__} {b.format} {b.itemsize} {b.shape} {b.readonly} {b.tolist()}'\n"
      "def keep(b): kept.append(b)\n"
      "def drop(): kept.clear()\n");
  const auto shared = buffer::shared<double>(100000);
  CHECK(shared.view().format() == "d" && shared.view().count() == 100000 && shared.view().writable());
  const auto items = shared.view().items<double>();
  CHECK(items[99999] == 0);
  interp.call("keep", shared);
  interp.exec("kept[0][99999] = 1.5");
  CHECK(items[99999] == 1.5);
  subpy::run_options as_buffer;
  as_buffer.buffers = true;
  const auto back = interp.eval<subpy::value>("kept[0]", as_buffer);
  CHECK(back.as<subpy::buffer_view>().data() == items.data());
  CHECK(interp.try_call("show", buffer(std::vector<int>{1}).writable()).error().code() == subpy::status::not_shareable);
  CHECK_TEXT(interp.call<std::string>("show", buffer(std::vector<int>{1})), "memoryview i 4 (1,) True [1]");
  CHECK(buffer::try_shared<double>(static_cast<std::size_t>(-1)).error().code() == subpy::status::no_memory);
  interp.call("drop");
}

}  // namespace

int main() {
  crashes();
  what_does_not_end_is_killed();
  what_holds_a_lock();
  shared_memory();
  subpy::shutdown();
  return 0;
}
