/* What is gone through once, with `for`. */
#ifndef SUBPY_RANGE_HPP
#define SUBPY_RANGE_HPP

#include <cstddef>
#include <iterator>
#include <optional>

#include "function.hpp"

namespace subpy {
inline namespace SUBPY_CPP_MODE {

namespace detail {

/// A range of what Self::try_next() returns, until that is nothing; errors are thrown. To be gone through once.
template <class T, class Self>
class next_range {
#if SUBPY_CPP_EXCEPTIONS
 public:
  class iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = T *;
    using reference = T &;

    /// The end.
    iterator() noexcept = default;
    explicit iterator(next_range &range) : range_(&range) { ++*this; }

    T &operator*() const noexcept { return *range_->current_; }
    T *operator->() const noexcept { return &*range_->current_; }
    iterator &operator++() {
      range_->current_ = static_cast<Self *>(range_)->next();
      if (!range_->current_) range_ = nullptr;
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator &one, const iterator &other) noexcept { return one.range_ == other.range_; }
    friend bool operator!=(const iterator &one, const iterator &other) noexcept { return !(one == other); }

   private:
    next_range *range_ = nullptr;
  };

  [[nodiscard]] iterator begin() { return iterator(*this); }
  [[nodiscard]] iterator end() noexcept { return iterator(); }

 private:
  std::optional<T> current_;
#endif
};

}  // namespace detail

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_RANGE_HPP
