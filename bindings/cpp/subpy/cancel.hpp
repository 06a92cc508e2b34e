/* Stopping runs from outside. */
#ifndef SUBPY_CANCEL_HPP
#define SUBPY_CANCEL_HPP

#include <memory>
#include <utility>

#if __cplusplus >= 202002L
#include <stop_token>
#endif

#include "runtime.hpp"

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/// Stops the runs that it is given to as run_options::cancel: they end with status::interrupted, one that has not begun
/// does not begin. It stays fired. Copies are the same token; any thread may use it at any time.
///
/// With C++20 a std::stop_token does: `options.cancel = token`.
class cancel {
 public:
  /// No token: nothing is stopped.
  cancel() noexcept = default;

  [[nodiscard]] static result<cancel> try_create() { return try_make<token>(); }

#if defined(__cpp_lib_jthread)
  /// Fires when a stop is requested, as long as a copy lives, or a run that it was given to.
  [[nodiscard]] static result<cancel> try_create(const std::stop_token &stop) {
    if (!stop.stop_possible()) return cancel();
    return try_make<linked_token>(stop);
  }
#endif

#if SUBPY_CPP_EXCEPTIONS
  [[nodiscard]] static cancel create() { return try_create().value(); }
#if defined(__cpp_lib_jthread)
  cancel(const std::stop_token &stop) : cancel(try_create(stop).value()) {}
#endif
#endif

  /// Stops the runs. Never waits for them.
  void fire() const noexcept { subpy_cancel_fire(handle()); }

  [[nodiscard]] subpy_cancel handle() const noexcept { return token_ == nullptr ? 0 : token_->handle; }

 private:
  struct token {
    token() noexcept : code(subpy_cancel_new(&handle, &cause)) {}
    token(const token &) = delete;
    token(token &&) = delete;
    token &operator=(const token &) = delete;
    token &operator=(token &&) = delete;
    ~token() { subpy_cancel_free(handle); }

    subpy_cancel handle = 0;
    subpy_error *cause = nullptr;
    const subpy_status code;
  };

#if defined(__cpp_lib_jthread)
  struct fire_it {
    subpy_cancel handle;
    void operator()() const noexcept { subpy_cancel_fire(handle); }
  };

  struct linked_token : token {
    explicit linked_token(const std::stop_token &stop) : link(stop, fire_it{handle}) {}

    const std::stop_callback<fire_it> link;
  };
#endif

  template <class Token, class... Args>
  static result<cancel> try_make(const Args &...args) {
    const auto made = std::make_shared<Token>(args...);
    if (made->code != SUBPY_OK) return error(made->code, std::exchange(made->cause, nullptr));
    cancel created;
    created.token_ = made;
    return created;
  }

  std::shared_ptr<const token> token_;
};

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_CANCEL_HPP
