/* Options, and the arguments of a call. */
#ifndef SUBPY_RUN_HPP
#define SUBPY_RUN_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "thread.hpp"

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/// Which GIL an interpreter has.
enum class gil_policy : std::int32_t {
  /// Its own: it runs in parallel with the others.
  own = SUBPY_GIL_OWN,
  /// The main interpreter's: more extension modules load; it runs when main and its like do not.
  shared = SUBPY_GIL_SHARED,
};

/// What happens to a run while the interpreter is running.
enum class busy_policy : std::int32_t {
  /// status::busy, as in Python.
  refuse = SUBPY_BUSY_REFUSE,
  /// It waits its turn, in slices of a fifth of a millisecond (SUBPY_BUSY_WAIT).
  wait = SUBPY_BUSY_WAIT,
  /// It runs as well: the threads take turns with the GIL.
  share = SUBPY_BUSY_SHARE,
};

/// Options of interpreter::create(). Those of subpy_interp_options.
struct interpreter_options {
  gil_policy gil = gil_policy::own;
  busy_policy busy = busy_policy::refuse;
  /// Python code may call os.fork().
  bool allow_fork = false;
  /// Python code may call os.exec*().
  bool allow_exec = false;
  /// Python code may not start threads.
  bool no_threads = false;
  /// Python code may start daemon threads.
  bool allow_daemon_threads = false;
  /// Extension modules that do not declare support for sub-interpreters load too. Needs gil_policy::shared.
  bool no_extension_check = false;
  /// Folders to put in front of sys.path.
  std::vector<std::string> path{};
  /// The time limit of every run in it that has none of its own.
  std::optional<std::chrono::milliseconds> timeout{};
  /// input() and sys.stdin are at their end.
  bool no_stdin = false;
  /// What is printed goes out at once, not when the run has ended.
  bool unbuffered = false;
  /// Results have sets, complex numbers, dates, decimals, UUIDs, members of enums and dataclasses, with a subpy::tag.
  bool tagged_values = false;
  /// How many bytes its Python objects may take; beyond it there is a MemoryError. 0: no limit.
  std::uint64_t memory_limit = 0;
  /// interpreter_ref::memory() knows. So it does where there is a limit.
  bool count_memory = false;
  /// It is the main interpreter of a process of its own: all extension modules load in it, and what would end or block a
  /// process ends or blocks that one (status::crashed). Needs gil_policy::own.
  bool process = false;
  /// That process is locked down: no network, no programs, no files but Python's own and those below. Needs `process`, as
  /// all that follows does, and goes without allow_fork and allow_exec.
  bool locked = false;
  /// An older Linux, with less than that takes, is no error: the process is locked with what there is, which
  /// interpreter_ref::lock_info() says. Needs `locked`.
  bool lock_best_effort = false;
  /// How long code may go on after the exception that is to end its run; then its process is killed. None: 100 ms.
  std::optional<std::chrono::milliseconds> grace{};
  /// How much time of processors its process may use in all.
  std::optional<std::chrono::milliseconds> cpu_limit{};
  /// Folders that it may read, and those that it may read and write: absolute paths. Need `locked`.
  std::vector<std::string> readable{};
  std::vector<std::string> writable{};
  /// The folder of a virtual environment, for the same minor version of Python: it has the packages of that one, and not
  /// those of the process. Empty: those of the process.
  std::string venv{};
};

/// Options of a run: behind the source of exec() and eval(), in front of what a call() calls.
struct run_options {
  /// For exec() and eval(): the file name in tracebacks. Empty: "<script>".
  std::string filename{};
  /// exec() does not take the common indentation off.
  bool keep_indent = false;
  /// The time limit, after which it ends with status::timeout. One that is over already is a millisecond.
  std::optional<std::chrono::milliseconds> timeout{};
  /// Stops it: status::interrupted. A subpy::cancel, or a std::stop_token.
  subpy::cancel cancel{};
  /// Where what it prints goes: what this run prints, and nobody else. The threads that it starts print to the
  /// interpreter's output.
  subpy::output output{};
  /// On a thread of its own: when the time limit is over or it is cancelled, join() does not wait for a run that CPython
  /// cannot stop, such as one in time.sleep(). The interpreter is busy until it really ends.
  bool abandon = false;
  /// What is returned stays in Python whatever it is, for join<subpy::object>(). Calls that return one need not say so.
  bool keep_object = false;
  /// What has no value comes back as a subpy::object, wherever it is in the result.
  bool objects = false;
  /// Bytes, and what else has a buffer, are pinned instead of copied, wherever they are in the result.
  bool buffers = false;
  /// Lists and tuples of floats, or of ints of 64 bits, come back as one buffer.
  bool arrays = false;
  /// An awaitable that the code returns is run to its end, on the interpreter's event loop.
  bool run_async = false;
};

namespace detail {

/// A request with these options, which it borrows; `filename` has no NUL in it.
inline subpy_run_request request_with(const run_options &options) noexcept {
  subpy_run_request made{};
  made.size = sizeof made;
  made.flags = (options.keep_indent ? SUBPY_KEEP_INDENT : 0U) | (options.abandon ? SUBPY_ABANDON : 0U) |
               (options.keep_object ? SUBPY_RESULT_OBJECT : 0U) | (options.objects ? SUBPY_RESULT_OBJECTS : 0U) |
               (options.buffers ? SUBPY_RESULT_BUFFER : 0U) | (options.arrays ? SUBPY_RESULT_ARRAY : 0U) |
               (options.run_async ? SUBPY_RUN_ASYNC : 0U);
  made.filename = or_null(options.filename);
  made.timeout_ms = limit_of(options.timeout);
  made.cancel = options.cancel.handle();
  if (options.output) {
    made.output = write_to_sink;
    made.output_data = options.output.shared().get();
  }
  return made;
}

/// Starts it on a thread of its own, or where else `run` does, which keeps what the options lend.
template <class Run>
result<thread> start(subpy_run_request request, const run_options &options, const Run &run) {
  std::unique_ptr<thread_needs> needs;
  if (options.output || options.cancel.handle() != 0) {
    needs = std::make_unique<thread_needs>();
    needs->cancel = options.cancel;
  }
  if (options.output) {
    needs->output = open_outputs::get().open(options.output.shared());
    request.output = open_outputs::write;
    request.output_data = reinterpret_cast<void *>(needs->output);  // NOLINT(performance-no-int-to-ptr)
  }
  subpy_thread started = 0;
  subpy_error *cause = nullptr;
  const subpy_status code = run(&request, &started, &cause);
  if (code != SUBPY_OK) return error(code, cause);
  return thread(started, std::move(needs));
}

template <class T>
struct is_keyword : std::false_type {};
template <class T>
struct is_keyword<keyword<T>> : std::true_type {};

template <class T, class = void>
struct is_map : std::false_type {};
template <class T>
struct is_map<T, std::void_t<typename T::mapped_type>> : std::true_type {};

/// The arguments of a call, positional and by name, in an encoder's memory.
struct arguments {
  subpy_value *items = nullptr;
  subpy_pair *pairs = nullptr;
  std::size_t item_count = 0;
  std::size_t pair_count = 0;

  template <class T>
  void count(const T & /*unused*/) noexcept {
    item_count++;
  }
  template <class T>
  void count(const keyword<T> & /*unused*/) noexcept {
    pair_count++;
  }
  template <class Container>
  void count(const unpacked<Container> &many) noexcept {
    (is_map<Container>::value ? pair_count : item_count) += many.container.size();
  }

  template <class T>
  void add(encoder &room, const T &argument) {
    ::new (&items[item_count++]) subpy_value(room.value(argument));
  }
  template <class T>
  void add(encoder &room, const keyword<T> &argument) {
    ::new (&pairs[pair_count++]) subpy_pair(room.entry(argument));
  }
  template <class Container>
  void add(encoder &room, const unpacked<Container> &many) {
    if constexpr (is_map<Container>::value) {
      for (const auto &[name, mapped] : many.container)
        ::new (&pairs[pair_count++]) subpy_pair{room.value(name), room.value(mapped)};
    } else {
      item_count += room.fill(items + item_count, many.container);
    }
  }
};

template <class... Args>
arguments gather(encoder &room, const Args &...args) {
  arguments gathered;
  (gathered.count(args), ...);
  gathered.items = room.items(gathered.item_count);
  gathered.pairs = room.pairs(gathered.pair_count);
  gathered.item_count = gathered.pair_count = 0;
  (gathered.add(room, args), ...);
  return gathered;
}

}  // namespace detail

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_RUN_HPP
