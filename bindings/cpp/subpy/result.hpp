/* A value, or the error that came instead. */
#ifndef SUBPY_RESULT_HPP
#define SUBPY_RESULT_HPP

#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "error.hpp"

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/// A value, or the error that came instead: what the try_ functions return. Like C++23's std::expected<T, subpy::error>,
/// except that asking for what is not there ends the program with a message.
template <class T>
class [[nodiscard]] result {
  static_assert(!std::is_reference_v<T>, "subpy::result holds values, not references");

 public:
  using value_type = T;

  result(const T &value) : held_(std::in_place_index<0>, value) {}
  result(T &&value) noexcept(std::is_nothrow_move_constructible_v<T>)
      : held_(std::in_place_index<0>, std::move(value)) {}
  result(const subpy::error &cause) noexcept : held_(std::in_place_index<1>, cause) {}
  /// Makes the T in its place.
  template <class... Args>
  explicit result(std::in_place_t /*unused*/, Args &&...args)
      : held_(std::in_place_index<0>, std::forward<Args>(args)...) {}

  [[nodiscard]] bool has_value() const noexcept { return held_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  T &operator*() & noexcept { return *pointer(); }
  const T &operator*() const & noexcept { return *pointer(); }
  T &&operator*() && noexcept { return std::move(*pointer()); }
  T *operator->() noexcept { return pointer(); }
  const T *operator->() const noexcept { return pointer(); }

  [[nodiscard]] const subpy::error &error() const noexcept {
    if (const auto *found = std::get_if<1>(&held_)) return *found;
    detail::misuse("result::error()", "there is a value");
  }

  template <class U>
  [[nodiscard]] T value_or(U &&other) const & {
    return has_value() ? **this : static_cast<T>(std::forward<U>(other));
  }
  template <class U>
  [[nodiscard]] T value_or(U &&other) && {
    return has_value() ? *std::move(*this) : static_cast<T>(std::forward<U>(other));
  }

#if SUBPY_CPP_EXCEPTIONS
  /// The value. Throws the error, as the class that belongs to its code.
  T &value() & {
    check();
    return *std::get_if<0>(&held_);
  }
  const T &value() const & {
    check();
    return *std::get_if<0>(&held_);
  }
  T value() && {
    check();
    return std::move(*std::get_if<0>(&held_));
  }
#endif

 private:
  [[nodiscard]] const T *pointer() const noexcept {
    if (const T *found = std::get_if<0>(&held_)) return found;
    detail::misuse("a result without a value", error().what());
  }
  [[nodiscard]] T *pointer() noexcept { return const_cast<T *>(std::as_const(*this).pointer()); }

#if SUBPY_CPP_EXCEPTIONS
  void check() const {
    if (const auto *found = std::get_if<1>(&held_)) found->raise();
  }
#endif

  std::variant<T, subpy::error> held_;
};

/// Done, or the error that came instead.
template <>
class [[nodiscard]] result<void> {
 public:
  using value_type = void;

  result() noexcept = default;
  result(const subpy::error &cause) noexcept : error_(cause) {}

  [[nodiscard]] bool has_value() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return has_value(); }

  [[nodiscard]] const subpy::error &error() const noexcept {
    if (error_) return *error_;
    detail::misuse("result::error()", "there is no error");
  }

#if SUBPY_CPP_EXCEPTIONS
  /// Throws the error, if there is one.
  void value() const {
    if (error_) error_->raise();
  }
#endif

 private:
  std::optional<subpy::error> error_;
};

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_RESULT_HPP
