/* Runs on threads of their own. */
#ifndef SUBPY_THREAD_HPP
#define SUBPY_THREAD_HPP

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "output.hpp"

namespace subpy {
inline namespace SUBPY_CPP_MODE {

namespace detail {

/// What a T needs of a call that returns it. A single object stays in Python whatever it is.
template <class T>
inline constexpr std::uint32_t root_wants = wants<T>::value;
template <>
inline constexpr std::uint32_t root_wants<object> = SUBPY_RESULT_OBJECT;

/// A T out of a result, which stays the caller's as far as the T does not take it.
template <class T>
result<T> read_result(subpy_value &raw) {
  const auto read = [&] {
    if constexpr (has_take<T>::value)
      return convert<T>::take(raw);
    else
      return convert<T>::from_python(value_view(raw));
  };
  auto converted = read();
  if (!converted) converted = conversion_path::rooted(converted.error(), "result");
  return converted;
}

/// Where a C function puts a result and an error, and what becomes of them: a T or the error.
template <class T>
class receiver {
  static_assert(std::is_same_v<T, plain<T>>, "subpy: a result is a value, without const and reference");
  static_assert(has_from_python<T>::value || has_take<T>::value,
                "subpy: this type has no subpy::convert<T>::from_python()");
  static_assert(!borrows<T>::value,
                "subpy: this would point into a result that is gone; use std::string, std::vector or subpy::value");

 public:
  receiver() noexcept = default;
  receiver(const receiver &) = delete;
  receiver(receiver &&) = delete;
  receiver &operator=(const receiver &) = delete;
  receiver &operator=(receiver &&) = delete;
  ~receiver() { subpy_value_free(&raw_); }

  static constexpr std::uint32_t flags = root_wants<T>;
  [[nodiscard]] subpy_value *value() noexcept { return &raw_; }
  [[nodiscard]] subpy_error **cause() noexcept { return &cause_; }

  [[nodiscard]] result<T> take(subpy_status code) {
    if (code != SUBPY_OK) return error(code, cause_);
    return read_result<T>(raw_);
  }

 private:
  const in_run here_;
  subpy_value raw_{};
  subpy_error *cause_ = nullptr;
};

/// Asks for no result: it is not even converted.
template <>
class receiver<void> {
 public:
  static constexpr std::uint32_t flags = 0;
  [[nodiscard]] static subpy_value *value() noexcept { return nullptr; }
  [[nodiscard]] subpy_error **cause() noexcept { return &cause_; }

  [[nodiscard]] result<void> take(subpy_status code) const {
    if (code != SUBPY_OK) return error(code, cause_);
    return {};
  }

 private:
  const in_run here_;
  subpy_error *cause_ = nullptr;
};

/// A subpy_notify_fn; its data is the function, which is dropped afterwards.
template <class Function>
void call_once(void *data) noexcept {
  const std::unique_ptr<Function> function(static_cast<Function *>(data));
  call_quietly("a function to notify", [&] { (*function)(); });
}

/// What a run on a thread of its own uses, as long as somebody may join it.
struct thread_needs {
  thread_needs() noexcept = default;
  thread_needs(const thread_needs &) = delete;
  thread_needs(thread_needs &&) = delete;
  thread_needs &operator=(const thread_needs &) = delete;
  thread_needs &operator=(thread_needs &&) = delete;
  ~thread_needs() { open_outputs::get().close(output); }

  subpy::cancel cancel;
  std::uintptr_t output = 0;
};

}  // namespace detail

/// A run on a thread of its own, with one outcome, for the one who joins. Movable, not copyable; not to be used by two
/// threads at once.
///
/// Destroying one that was not joined lets the run go on by itself, unlike std::thread, which ends the program. Its
/// failure is not lost: it is printed to stderr, as Python's threads do it. What it prints from then on does not go to
/// run_options::output any more, and a std::stop_token does not stop it.
class thread {
 public:
  /// No thread.
  thread() noexcept = default;
  /// Takes over a thread of the C interface.
  explicit thread(subpy_thread handle) noexcept : handle_(handle) {}
  /// One that uses these until it is joined or detached.
  thread(subpy_thread handle, std::unique_ptr<detail::thread_needs> needs) noexcept
      : handle_(handle), needs_(std::move(needs)) {}

  thread(const thread &) = delete;
  thread &operator=(const thread &) = delete;
  thread(thread &&other) noexcept : handle_(std::exchange(other.handle_, 0)), needs_(std::move(other.needs_)) {}
  thread &operator=(thread &&other) noexcept {
    if (this != &other) {
      detach();
      handle_ = std::exchange(other.handle_, 0);
      needs_ = std::move(other.needs_);
    }
    return *this;
  }
  ~thread() { detach(); }

  [[nodiscard]] bool joinable() const noexcept { return handle_ != 0; }
  [[nodiscard]] subpy_thread handle() const noexcept { return handle_; }

  /// Waits for the run to end, and takes its result or its error. Once: then it is no longer joinable. Afterwards, and
  /// for no thread, it is status::not_found; for the thread itself status::wrong_state.
  template <class T = void>
  [[nodiscard]] result<T> try_join() {
    detail::receiver<T> received;
    const subpy_status code = subpy_thread_join(handle_, received.value(), received.cause());
    if (code != SUBPY_ERROR_WRONG_STATE) {
      handle_ = 0;
      needs_.reset();  // an abandoned run may still print
    }
    return received.take(code);
  }

  /// Waits until the run has ended, and takes nothing: it can still be joined.
  [[nodiscard]] result<void> try_wait() const {
    return detail::attempt([&](subpy_error **cause) { return subpy_thread_wait(handle_, -1, nullptr, cause); });
  }

  /// Waits until the run has ended or the time is up, and says whether it has ended. Zero or less only looks.
  template <class Rep, class Period>
  [[nodiscard]] result<bool> try_wait_for(std::chrono::duration<Rep, Period> limit) const {
    const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(limit).count();
    const std::int64_t milliseconds = std::max<std::int64_t>(rounded, 0);
    return detail::fetch<bool>([&](bool *done, subpy_error **cause) {
      return subpy_thread_wait(handle_, milliseconds, done, cause);
    });
  }

#if SUBPY_CPP_EXCEPTIONS
  void wait() const { try_wait().value(); }
  template <class Rep, class Period>
  bool wait_for(std::chrono::duration<Rep, Period> limit) const {
    return try_wait_for(limit).value();
  }
  template <class T = void>
  T join() {
    return try_join<T>().value();
  }
#endif

  /// Lets the run go on by itself.
  void detach() noexcept {
    subpy_thread_free(std::exchange(handle_, 0));
    needs_.reset();
  }

  /// Calls the function once, when the run has ended: on any thread, or here and now if it has ended. It should be short:
  /// to wake somebody, such as an event loop. What it throws goes to the unraisable hook.
  template <class Function>
  [[nodiscard]] result<void> try_notify(Function &&function) const {
    using kept = std::decay_t<Function>;
    auto made = std::make_unique<kept>(std::forward<Function>(function));
    auto set = detail::attempt([&](subpy_error **cause) {
      return subpy_thread_notify(handle_, detail::call_once<kept>, made.get(), cause);
    });
    if (set) static_cast<void>(made.release());
    return set;
  }

  /// A file descriptor that can be read from when the run has ended, for poll() and the like. It belongs to this thread:
  /// do not read from it, nor close it; it is closed when the thread is joined or detached.
  [[nodiscard]] result<int> try_fd() const {
    return detail::fetch<int>([&](int *fd, subpy_error **cause) { return subpy_thread_fd(handle_, fd, cause); });
  }

#if SUBPY_CPP_EXCEPTIONS
  template <class Function>
  void notify(Function &&function) const {
    try_notify(std::forward<Function>(function)).value();
  }
  [[nodiscard]] int fd() const { return try_fd().value(); }
#endif

 private:
  subpy_thread handle_ = 0;
  std::unique_ptr<detail::thread_needs> needs_;
};

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_THREAD_HPP
