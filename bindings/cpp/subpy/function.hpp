/* Prepared functions. */
#ifndef SUBPY_FUNCTION_HPP
#define SUBPY_FUNCTION_HPP

#include <type_traits>
#include <utility>
#include <vector>

#include "many.hpp"

namespace subpy {
inline namespace SUBPY_CPP_MODE {

namespace detail {

/// The call of a function or an object, which borrows all of it.
inline subpy_run_request function_request(subpy_function handle, const run_options &options, const arguments &gathered,
                                          const subpy_value &kwargs) noexcept {
  subpy_run_request request = request_with(options);
  request.what = SUBPY_RUN_FUNCTION;
  request.function = handle;
  request.args = gathered.items;
  request.nargs = gathered.item_count;
  request.kwargs = gathered.pair_count == 0 ? nullptr : &kwargs;
  return request;
}

template <class T, class... Args>
result<T> call_function(subpy_function handle, const run_options &options, const Args &...args) {
  if (auto wrong = nul_in(options.filename, "filename")) return *wrong;
  encoder room;
  const auto gathered = gather(room, args...);
  const subpy_value kwargs = make_dict(gathered.pairs, gathered.pair_count);
  subpy_run_request request = function_request(handle, options, gathered, kwargs);
  request.flags |= receiver<T>::flags;
  receiver<T> received;
  return received.take(room.passed(subpy_run(&request, received.value(), received.cause())));
}

}  // namespace detail

/// A callable that was looked up once, to be called many times, from any thread: interpreter_ref::function(). It holds the
/// object, whatever its name is bound to later. Movable, not copyable. May outlive its interpreter: then calls are
/// status::not_found.
class function {
 public:
  /// No function.
  function() noexcept = default;
  /// Takes over a function of the C interface.
  explicit function(subpy_function handle) noexcept : handle_(handle) {}

  function(const function &) = delete;
  function &operator=(const function &) = delete;
  function(function &&other) noexcept : handle_(std::exchange(other.handle_, 0)) {}
  function &operator=(function &&other) noexcept {
    if (this != &other) {
      subpy_function_free(handle_);
      handle_ = std::exchange(other.handle_, 0);
    }
    return *this;
  }
  ~function() { subpy_function_free(handle_); }

  [[nodiscard]] subpy_function handle() const noexcept { return handle_; }

  /// Gives up the ownership.
  subpy_function release() noexcept { return std::exchange(handle_, 0); }

  /// Calls it in its interpreter. Arguments and result are those of interpreter_ref::call().
  template <class T = void, class... Args>
  [[nodiscard]] result<T> try_call(const Args &...args) const {
    if constexpr (detail::receiver<T>::flags != 0) return try_call<T>(run_options(), args...);
    encoder room;
    const auto gathered = detail::gather(room, args...);
    const subpy_value kwargs = detail::make_dict(gathered.pairs, gathered.pair_count);
    detail::receiver<T> received;
    return received.take(room.passed(subpy_function_call(handle_, gathered.items, gathered.item_count,
                                                         gathered.pair_count == 0 ? nullptr : &kwargs, received.value(),
                                                         received.cause())));
  }

  /// The same, with a time limit, a token or an output: `f.call<int>(options, 1, 2)`.
  template <class T = void, class... Args>
  [[nodiscard]] result<T> try_call(const run_options &options, const Args &...args) const {
    return detail::call_function<T>(handle_, options, args...);
  }

  /// Calls it with one row of arguments after the other, in a fraction of the time of as many calls: the interpreter is
  /// entered once. A row is a tuple (std::tuple, std::pair, std::array), unpack(container), or one argument:
  /// `f.call_many<int>(std::vector<std::pair<int, int>>{{1, 2}, {3, 4}})`. All have as many arguments. The first row
  /// that fails ends the calls, and its error knows its row().
  template <class T = void, class Rows>
  [[nodiscard]] auto try_call_many(const Rows &rows) const {
    if constexpr (std::is_void_v<T>) {
      encoder room;
      const detail::rows_of<Rows> gathered(room, rows);
      if (!gathered.odd().empty()) return result<void>(error(status::invalid_argument, gathered.odd()));
      detail::receiver<void> received;
      return received.take(room.passed(subpy_function_call_many(handle_, gathered.values(), gathered.count(),
                                                                gathered.nargs(), 0, nullptr, received.cause())));
    } else {
      return detail::call_many<T>(handle_, rows);
    }
  }

  /// The same, with a result or an error for each row. Only what `except Exception` does not catch (SystemExit,
  /// KeyboardInterrupt) ends the calls. The errors keep the memory of all results.
  template <class T = value, class Rows>
  [[nodiscard]] result<std::vector<result<T>>> try_call_each(const Rows &rows) const {
    return detail::call_each<T>(handle_, rows);
  }

  /// Calls it on a new thread. The arguments are copied first.
  template <class... Args>
  [[nodiscard]] result<thread> try_call_in_thread(const Args &...args) const {
    return try_call_in_thread(run_options(), args...);
  }

  /// The same with options: `f.call_in_thread(options, 1, 2)`.
  template <class... Args>
  [[nodiscard]] result<thread> try_call_in_thread(const run_options &options, const Args &...args) const {
    if (auto wrong = detail::nul_in(options.filename, "filename")) return *wrong;
    encoder room;
    const auto gathered = detail::gather(room, args...);
    const subpy_value kwargs = detail::make_dict(gathered.pairs, gathered.pair_count);
    return detail::start(detail::function_request(handle_, options, gathered, kwargs), options, [&](auto... given) {
      return room.passed(subpy_run_in_thread(given...));
    });
  }

#if SUBPY_CPP_EXCEPTIONS
  template <class T = void, class... Args>
  T call(const Args &...args) const {
    return try_call<T>(args...).value();
  }
  template <class T = void, class... Args>
  T call(const run_options &options, const Args &...args) const {
    return try_call<T>(options, args...).value();
  }
  template <class T = void, class Rows>
  auto call_many(const Rows &rows) const {
    return try_call_many<T>(rows).value();
  }
  template <class T = value, class Rows>
  [[nodiscard]] std::vector<result<T>> call_each(const Rows &rows) const {
    return try_call_each<T>(rows).value();
  }
  template <class... Args>
  [[nodiscard]] thread call_in_thread(const Args &...args) const {
    return try_call_in_thread(args...).value();
  }
  template <class... Args>
  [[nodiscard]] thread call_in_thread(const run_options &options, const Args &...args) const {
    return try_call_in_thread(options, args...).value();
  }
#endif

 private:
  subpy_function handle_ = 0;
};

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_FUNCTION_HPP
