/* Pools of interpreters. */
#ifndef SUBPY_POOL_HPP
#define SUBPY_POOL_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "interpreter.hpp"

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/// Where the interpreters of a pool live.
enum class isolation : std::int32_t {
  /// In this process, as interpreter_options say.
  own_gil = SUBPY_ISOLATION_OWN_GIL,
  /// Each in a process of its own: what crashes or hangs there costs its own task alone.
  process = SUBPY_ISOLATION_PROCESS,
  /// In this process until an extension module refuses that, then each in a process of its own. The task that ended with
  /// that ImportError begins anew: what it did before, it does twice.
  automatic = SUBPY_ISOLATION_AUTO,
};

/// Options of pool::create(). Those of subpy_pool_options.
struct pool_options {
  /// How many interpreters run at the same time; 0: as many as the machine has cores.
  std::size_t workers = 0;
  /// How many tasks may wait; 0: 16 for each worker. What submits more waits, too.
  std::size_t backlog = 0;
  /// What would have to wait to submit is status::busy instead.
  bool refuse = false;
  /// How many interpreters are ready to take the place of one that was interrupted, or has done its share.
  std::size_t spares = 1;
  /// What the interpreters are like.
  interpreter_options interpreter{};
  /// Runs in each new interpreter.
  std::string setup{};
  /// Is called for each new interpreter before that: to define functions, to set its output. On any thread, by several at
  /// once; what it throws goes to the unraisable hook.
  std::function<void(interpreter_ref)> prepare{};
  /// After so many tasks an interpreter is replaced; 0: never.
  std::uint64_t runs_per_worker = 0;
  /// Where they live.
  subpy::isolation isolation = subpy::isolation::own_gil;
};

/// What pool::stats() says. Times are in microseconds.
struct pool_stats {
  std::uint64_t workers = 0;
  std::uint64_t spares = 0;
  /// Tasks now.
  std::uint64_t queued = 0;
  std::uint64_t running = 0;
  /// Tasks so far.
  std::uint64_t submitted = 0;
  std::uint64_t done = 0;
  /// Of these, those that ended with an error, and those that were cancelled among them.
  std::uint64_t failed = 0;
  std::uint64_t cancelled = 0;
  /// Interpreters that were replaced.
  std::uint64_t replaced = 0;
  /// How long tasks waited and ran: half of them at most so long, 90 % and 99 % of them.
  std::uint64_t wait_p50_us = 0;
  std::uint64_t wait_p90_us = 0;
  std::uint64_t wait_p99_us = 0;
  std::uint64_t run_p50_us = 0;
  std::uint64_t run_p90_us = 0;
  std::uint64_t run_p99_us = 0;
  /// Interpreters that were replaced and cannot be closed yet, because of threads that Python code has left in them.
  std::uint64_t left = 0;
  /// Interpreters whose process has crashed, or was killed because a run did not end in time.
  std::uint64_t crashed = 0;
  /// Where the interpreters live now, and why, if they have moved (isolation::automatic).
  subpy::isolation isolation = subpy::isolation::own_gil;
  std::string reason{};
};

/// The outcome of a task of a pool: much like a std::future. Movable, not copyable; may outlive the pool. Destroying one
/// lets the task go on, as destroying a subpy::thread does.
template <class T>
class future {
 public:
  /// No task.
  future() noexcept = default;
  future(thread task, subpy::cancel token) noexcept : task_(std::move(task)), token_(std::move(token)) {}

  /// Whether there is an outcome to get: get() takes it.
  [[nodiscard]] bool valid() const noexcept { return task_.joinable(); }

  /// Waits for the task to end, and takes its result or its error. Once.
  [[nodiscard]] result<T> try_get() { return task_.template try_join<T>(); }
  [[nodiscard]] result<void> try_wait() const { return task_.try_wait(); }
  /// Waits until the task has ended or the time is up, and says whether it has ended. Zero or less only looks.
  template <class Rep, class Period>
  [[nodiscard]] result<bool> try_wait_for(std::chrono::duration<Rep, Period> limit) const {
    return task_.try_wait_for(limit);
  }

  /// Stops the task, whether it waits or runs: it ends with status::interrupted. Where the task has a token in its
  /// run_options, that is fired, with all that it stops.
  void cancel() const noexcept { token_.fire(); }

  /// As those of subpy::thread.
  template <class Function>
  [[nodiscard]] result<void> try_notify(Function &&function) const {
    return task_.try_notify(std::forward<Function>(function));
  }
  [[nodiscard]] result<int> try_fd() const { return task_.try_fd(); }

#if SUBPY_CPP_EXCEPTIONS
  T get() { return try_get().value(); }
  void wait() const { try_wait().value(); }
  template <class Rep, class Period>
  bool wait_for(std::chrono::duration<Rep, Period> limit) const {
    return try_wait_for(limit).value();
  }
  template <class Function>
  void notify(Function &&function) const {
    try_notify(std::forward<Function>(function)).value();
  }
  [[nodiscard]] int fd() const { return try_fd().value(); }
#endif

 private:
  thread task_;
  subpy::cancel token_;
};

/// How pool::map() goes about it.
struct map_options {
  /// Limits and output of each task.
  run_options run{};
  /// How many rows are one task. Short calls are faster with some more.
  std::size_t chunk = 1;
};

namespace detail {

/// A part of a container.
template <class Iterator>
class range {
 public:
  range(Iterator first, Iterator last) : first_(first), last_(last) {}
  [[nodiscard]] Iterator begin() const { return first_; }
  [[nodiscard]] Iterator end() const { return last_; }

 private:
  Iterator first_;
  Iterator last_;
};

/// What pool::map() gives the results to. The function returns nothing, or false to stop.
template <class T, class Function>
class map_sink {
 public:
  explicit map_sink(Function &function) noexcept : function_(function) {}
  map_sink(const map_sink &) = delete;
  map_sink(map_sink &&) = delete;
  map_sink &operator=(const map_sink &) = delete;
  map_sink &operator=(map_sink &&) = delete;
  ~map_sink() = default;

  /// A subpy_map_fn.
  static bool call(void *self, std::size_t index, subpy_value *value, const subpy_error *cause) noexcept {
    auto &sink = *static_cast<map_sink *>(self);
#if SUBPY_CPP_EXCEPTIONS
    try {
      return sink.give(index, value, cause);
    } catch (...) {
      sink.thrown_ = std::current_exception();
      return false;
    }
#else
    return sink.give(index, value, cause);
#endif
  }

  void rethrow() const {
#if SUBPY_CPP_EXCEPTIONS
    if (thrown_ != nullptr) std::rethrow_exception(thrown_);
#endif
  }

 private:
  bool give(std::size_t index, subpy_value *value, const subpy_error *cause) {
    result<T> outcome = cause == nullptr ? read(*value) : row_error::kept(cause);
    if constexpr (std::is_same_v<decltype(function_(index, std::move(outcome))), bool>) {
      return function_(index, std::move(outcome));
    } else {
      function_(index, std::move(outcome));
      return true;
    }
  }

  static result<T> read(subpy_value &value) {
    if constexpr (std::is_void_v<T>)
      return {};
    else
      return read_result<T>(value);
  }

  Function &function_;
#if SUBPY_CPP_EXCEPTIONS
  std::exception_ptr thrown_;
#endif
};

}  // namespace detail

/// Interpreters that run tasks, and the duty to close them. Movable, not copyable. Any thread may submit at any time.
/// Tasks of one submitter begin in the order in which they were submitted. Python: InterpreterPoolExecutor.
///
/// Destroying one that is open interrupts what runs, cancels what waits, and waits for that, as a std::jthread does: call
/// close() to let all that was submitted end. What goes wrong in the destructor goes to the unraisable hook.
class pool {
 public:
  /// No pool.
  pool() noexcept = default;
  /// Takes over a pool of the C interface.
  explicit pool(subpy_pool handle) noexcept : handle_(handle) {}

  pool(const pool &) = delete;
  pool &operator=(const pool &) = delete;
  pool(pool &&other) noexcept : handle_(std::exchange(other.handle_, 0)) {}
  pool &operator=(pool &&other) noexcept {
    if (this != &other) {
      stop();
      handle_ = std::exchange(other.handle_, 0);
    }
    return *this;
  }
  ~pool() { stop(); }

  [[nodiscard]] subpy_pool handle() const noexcept { return handle_; }

  /// Creates the interpreters, and runs the setup in them.
  [[nodiscard]] static result<pool> try_create(const pool_options &options = {}) {
    if (auto wrong = detail::version_mismatch()) return *wrong;
    const detail::raw_interpreter_options interp(options.interpreter);
    if (interp.wrong()) return *interp.wrong();
    subpy_pool_options raw{};
    raw.size = sizeof raw;
    raw.workers = options.workers;
    raw.backlog = options.backlog;
    raw.spares = options.spares;
    raw.interp = interp.get();
    raw.setup = options.setup.data();
    raw.setup_len = options.setup.size();
    raw.runs_per_worker = options.runs_per_worker;
    raw.isolation = static_cast<std::int32_t>(options.isolation);
    raw.flags = detail::flag(options.refuse, SUBPY_POOL_REFUSE) | detail::flag(options.spares == 0, SUBPY_POOL_NO_SPARES);
    std::unique_ptr<preparation> prepare;
    if (options.prepare) {
      prepare = std::make_unique<preparation>(options.prepare);
      raw.prepare = call_preparation;
      raw.userdata = prepare.release();
      raw.finalize = drop_preparation;
    }
    return detail::fetch<pool, subpy_pool>([&](subpy_pool *made, subpy_error **cause) {
      return subpy_pool_new(&raw, made, cause);
    });
  }

  /// Calls something in one of its interpreters: what interpreter_ref::call() takes. The arguments are copied. Waits while
  /// the backlog is full.
  template <class T = void, class... Args>
  [[nodiscard]] result<future<T>> try_submit(std::string_view callable, const Args &...args) const {
    return try_submit<T>(run_options(), callable, args...);
  }

  /// The same with a time limit, a token or an output: `pool.submit<int>(options, "f", 1)`.
  template <class T = void, class... Args>
  [[nodiscard]] result<future<T>> try_submit(const run_options &options, std::string_view callable,
                                             const Args &...args) const {
    encoder room;
    const auto gathered = detail::gather(room, args...);
    const subpy_value kwargs = detail::make_dict(gathered.pairs, gathered.pair_count);
    subpy_run_request request{};
    request.args = gathered.items;
    request.nargs = gathered.item_count;
    request.kwargs = gathered.pair_count == 0 ? nullptr : &kwargs;
    return submit_request<T>(SUBPY_RUN_CALL, callable, request, options, &room);
  }

  /// Runs statements.
  [[nodiscard]] result<future<void>> try_submit_exec(std::string_view code, const run_options &options = {}) const {
    return submit_request<void>(SUBPY_RUN_EXEC, code, {}, options, nullptr);
  }

  /// Evaluates an expression.
  template <class T>
  [[nodiscard]] result<future<T>> try_submit_eval(std::string_view expression, const run_options &options = {}) const {
    return submit_request<T>(SUBPY_RUN_EVAL, expression, {}, options, nullptr);
  }

  /// Calls something with one row of arguments after the other, as function::call_many() does, in all interpreters at
  /// once. The results come in the order of the rows. The first row that fails ends it.
  template <class T = value, class Rows>
  [[nodiscard]] result<std::vector<T>> try_map(std::string_view callable, const Rows &rows,
                                               const map_options &options = {}) const {
    std::vector<T> all;
    std::optional<error> wrong;
    const auto collect = [&](std::size_t row, result<T> outcome) {
      if (!outcome) {
        wrong = detail::row_error::conversion(outcome.error(), row);
        return false;
      }
      all.push_back(*std::move(outcome));
      return true;
    };
    if (auto mapped = try_map<T>(callable, rows, collect, options); !mapped) return mapped.error();
    if (wrong) return *wrong;
    return all;
  }

  /// The same, and the function is given each result as it comes, in the order of the rows, on this thread:
  /// `pool.map<int>("f", rows, [](std::size_t row, subpy::result<int> outcome) { ... })`. When it returns false, it ends.
  template <class T = value, class Rows, class Function,
            std::enable_if_t<std::is_invocable_v<Function &, std::size_t, result<T>>, int> = 0>
  [[nodiscard]] result<void> try_map(std::string_view callable, const Rows &rows, Function &&function,
                                     const map_options &options = {}) const {
    if (auto wrong = detail::nul_in(options.run.filename, "filename")) return *wrong;
    encoder room;
    const detail::rows_of<Rows> gathered(room, rows);
    if (!gathered.odd().empty()) return error(status::invalid_argument, gathered.odd());
    subpy_run_request request = detail::request_with(options.run);
    request.what = SUBPY_RUN_CALL;
    request.text = callable.data();
    request.text_len = callable.size();
    if constexpr (!std::is_void_v<T>) request.flags |= detail::root_wants<T>;
    detail::map_sink<T, std::remove_reference_t<Function>> sink(function);
    auto mapped = detail::attempt([&](subpy_error **cause) {
      return room.passed(subpy_pool_map(handle_, &request, gathered.values(), gathered.count(), gathered.nargs(),
                                        options.chunk, sink.call, &sink, cause));
    });
    sink.rethrow();
    return mapped;
  }

  [[nodiscard]] result<pool_stats> try_stats() const {
    subpy_pool_stats raw{};
    raw.size = sizeof raw;
    const auto asked = detail::attempt([&](subpy_error **cause) { return subpy_pool_get_stats(handle_, &raw, cause); });
    if (!asked) return asked.error();
    return pool_stats{raw.workers,     raw.spares,      raw.queued,      raw.running,     raw.submitted,
                      raw.done,        raw.failed,      raw.cancelled,   raw.replaced,    raw.wait_p50_us,
                      raw.wait_p90_us, raw.wait_p99_us, raw.run_p50_us,  raw.run_p90_us,  raw.run_p99_us,
                      raw.left,        raw.crashed,     static_cast<subpy::isolation>(raw.isolation), raw.reason};
  }

  /// Lets all tasks that were submitted end, and closes the interpreters. Python: Executor.shutdown().
  [[nodiscard]] result<void> try_close() {
    close_options options;
    options.drain = true;
    return try_close(options);
  }

  /// The same with a time limit, and with what becomes of the tasks. status::busy: the pool is as it was.
  [[nodiscard]] result<void> try_close(const close_options &options) {
    const subpy_close_options raw = detail::raw_options(options);
    auto closed = detail::attempt([&](subpy_error **cause) { return subpy_pool_close(handle_, &raw, cause); });
    if (closed) handle_ = 0;
    return closed;
  }

#if SUBPY_CPP_EXCEPTIONS
  [[nodiscard]] static pool create(const pool_options &options = {}) { return try_create(options).value(); }
  template <class T = void, class... Args>
  [[nodiscard]] future<T> submit(std::string_view callable, const Args &...args) const {
    return try_submit<T>(callable, args...).value();
  }
  template <class T = void, class... Args>
  [[nodiscard]] future<T> submit(const run_options &options, std::string_view callable, const Args &...args) const {
    return try_submit<T>(options, callable, args...).value();
  }
  [[nodiscard]] future<void> submit_exec(std::string_view code, const run_options &options = {}) const {
    return try_submit_exec(code, options).value();
  }
  template <class T>
  [[nodiscard]] future<T> submit_eval(std::string_view expression, const run_options &options = {}) const {
    return try_submit_eval<T>(expression, options).value();
  }
  template <class T = value, class Rows>
  [[nodiscard]] std::vector<T> map(std::string_view callable, const Rows &rows, const map_options &options = {}) const {
    return try_map<T>(callable, rows, options).value();
  }
  template <class T = value, class Rows, class Function,
            std::enable_if_t<std::is_invocable_v<Function &, std::size_t, result<T>>, int> = 0>
  void map(std::string_view callable, const Rows &rows, Function &&function, const map_options &options = {}) const {
    try_map<T>(callable, rows, function, options).value();
  }
  /// As std::transform: the rows between two iterators, and where the results go. Returns where they end.
  template <class T = value, class Iterator, class Output>
  Output map(std::string_view callable, Iterator first, Iterator last, Output to, const map_options &options = {}) const {
    const auto write = [&](std::size_t row, result<T> outcome) {
      if (!outcome) detail::row_error::conversion(outcome.error(), row).raise();
      *to++ = *std::move(outcome);
    };
    try_map<T>(callable, detail::range<Iterator>(first, last), write, options).value();
    return to;
  }
  [[nodiscard]] pool_stats stats() const { return try_stats().value(); }
  void close() { try_close().value(); }
  void close(const close_options &options) { try_close(options).value(); }
#endif

 private:
  using preparation = std::function<void(interpreter_ref)>;

  /// A subpy_prepare_fn.
  static void call_preparation(void *data, subpy_interp interp) noexcept {
    detail::call_quietly("a function that prepares interpreters",
                         [&] { (*static_cast<preparation *>(data))(interpreter_ref(interp)); });
  }
  static void drop_preparation(void *data) noexcept { delete static_cast<preparation *>(data); }

  template <class T>
  [[nodiscard]] result<future<T>> submit_request(std::int32_t what, std::string_view text,
                                                 const subpy_run_request &arguments, const run_options &options,
                                                 encoder *room) const {
    if (auto wrong = detail::nul_in(options.filename, "filename")) return *wrong;
    run_options with = options;
    if (with.cancel.handle() == 0) {
      auto token = cancel::try_create();
      if (!token) return token.error();
      with.cancel = *std::move(token);
    }
    subpy_run_request request = detail::request_with(with);
    request.flags |= detail::receiver<T>::flags;
    request.what = what;
    request.text = text.data();
    request.text_len = text.size();
    request.args = arguments.args;
    request.nargs = arguments.nargs;
    request.kwargs = arguments.kwargs;
    auto task = detail::start(request, with, [&](const subpy_run_request *to_run, subpy_thread *outcome, subpy_error **cause) {
      const subpy_status code = subpy_pool_submit(handle_, to_run, outcome, cause);
      return room == nullptr ? code : room->passed(code);
    });
    if (!task) return task.error();
    return future<T>(*std::move(task), with.cancel);
  }

  void stop() noexcept {
    if (handle_ == 0) return;
    close_options options;
    options.interrupt = true;
    const subpy_close_options raw = detail::raw_options(options);
    subpy_error *cause = nullptr;
    const subpy_status code = subpy_pool_close(std::exchange(handle_, 0), &raw, &cause);
    const bool gone = code == SUBPY_ERROR_NOT_FOUND || code == SUBPY_ERROR_FORKED;
    if (gone)
      subpy_error_free(cause);
    else if (code != SUBPY_OK)
      detail::report(code, cause);
  }

  subpy_pool handle_ = 0;
};

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_POOL_HPP
