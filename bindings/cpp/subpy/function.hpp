/* Prepared functions. */
#ifndef SUBPY_FUNCTION_HPP
#define SUBPY_FUNCTION_HPP

#include <utility>

#include "run.hpp"

namespace subpy {
inline namespace SUBPY_CPP_MODE {

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

  /// Calls it in its interpreter. Arguments and result are those of interpreter_ref::call().
  template <class T = void, class... Args>
  [[nodiscard]] result<T> try_call(const Args &...args) const {
    encoder room;
    const auto gathered = detail::gather(room, args...);
    const subpy_value kwargs = detail::make_dict(gathered.pairs, gathered.pair_count);
    detail::receiver<T> received;
    return received.take(subpy_function_call(handle_, gathered.items, gathered.item_count,
                                             gathered.pair_count == 0 ? nullptr : &kwargs, received.value(),
                                             received.cause()));
  }

  /// Calls it on a new thread. The arguments are copied first.
  template <class... Args>
  [[nodiscard]] result<thread> try_call_in_thread(const Args &...args) const {
    encoder room;
    const auto gathered = detail::gather(room, args...);
    const subpy_value kwargs = detail::make_dict(gathered.pairs, gathered.pair_count);
    subpy_run_request request{};
    request.size = sizeof request;
    request.what = SUBPY_RUN_FUNCTION;
    request.function = handle_;
    request.args = gathered.items;
    request.nargs = gathered.item_count;
    request.kwargs = gathered.pair_count == 0 ? nullptr : &kwargs;
    return detail::fetch<thread, subpy_thread>([&](subpy_thread *started, subpy_error **cause) {
      return subpy_run_in_thread(&request, started, cause);
    });
  }

#if SUBPY_CPP_EXCEPTIONS
  template <class T = void, class... Args>
  T call(const Args &...args) const {
    return try_call<T>(args...).value();
  }
  template <class... Args>
  [[nodiscard]] thread call_in_thread(const Args &...args) const {
    return try_call_in_thread(args...).value();
  }
#endif

 private:
  subpy_function handle_ = 0;
};

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_FUNCTION_HPP
