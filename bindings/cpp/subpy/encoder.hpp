/* C++ values on their way to Python. */
#ifndef SUBPY_ENCODER_HPP
#define SUBPY_ENCODER_HPP

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <limits>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

#include "view.hpp"

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/// One keyword argument, made by kw().
template <class T>
struct keyword {
  std::string_view name;
  const T &value;
};

/// A keyword argument of a call, an entry of encoder::dict(), a name for prepare_main(): `call<int>("f", kw("x", 1))`.
/// Borrows both: use it in the call itself.
template <class T>
[[nodiscard]] keyword<T> kw(std::string_view name, const T &value) noexcept {
  return {name, value};
}

/// Many arguments at once, made by unpack().
template <class Container>
struct unpacked {
  const Container &container;
};

/// Python's `*args` and `**kwargs`: the items of a container as arguments, the entries of a map with text keys as
/// keyword arguments. Borrows the container: use it in the call itself.
template <class Container>
[[nodiscard]] unpacked<Container> unpack(const Container &container) noexcept {
  return {container};
}

/// Makes Python values out of C++ ones, and holds the memory that they need besides: what a to_python() uses. Small
/// calls need no memory of the heap.
class encoder {
 public:
  // The local memory is written before it is read; filling it would cost more than a small call may.
  encoder() noexcept {}  // NOLINT(modernize-use-equals-default,cppcoreguidelines-pro-type-member-init)
  encoder(const encoder &) = delete;
  encoder(encoder &&) = delete;
  encoder &operator=(const encoder &) = delete;
  encoder &operator=(encoder &&) = delete;
  ~encoder() {
    if (lent_ != nullptr) release_lent();
    if (chunks_ != nullptr) free_chunks();
  }

  /// The value of anything that has a conversion. It may point into `from`.
  template <class T>
  [[nodiscard]] subpy_value value(const T &from) {
    static_assert(detail::has_to_python<detail::plain<T>>::value,
                  "subpy: this type has no subpy::convert<T>::to_python()");
    return convert<detail::plain<T>>::to_python(from, *this);
  }

  /// A str that this encoder keeps, for text that would not live long enough.
  [[nodiscard]] subpy_value copy(std::string_view text) {
    return detail::make_text(SUBPY_KIND_STR, {keep(text), text.size()});
  }

  template <class... Ts>
  [[nodiscard]] subpy_value tuple(const Ts &...parts) {
    subpy_value *made = items(sizeof...(Ts));
    [[maybe_unused]] std::size_t count = 0;
    (::new (&made[count++]) subpy_value(value(parts)), ...);
    return detail::make_sequence(SUBPY_KIND_TUPLE, made, sizeof...(Ts));
  }

  /// A list of what a container holds.
  template <class Container>
  [[nodiscard]] subpy_value list(const Container &container) {
    subpy_value *made = items(container.size());
    return detail::make_sequence(SUBPY_KIND_LIST, made, fill(made, container));
  }

  /// A dict: `encoder.dict(kw("x", p.x), kw("y", p.y))`.
  template <class... Ts>
  [[nodiscard]] subpy_value dict(const keyword<Ts> &...entries) {
    subpy_pair *made = pairs(sizeof...(Ts));
    [[maybe_unused]] std::size_t count = 0;
    (::new (&made[count++]) subpy_pair(entry(entries)), ...);
    return detail::make_dict(made, sizeof...(Ts));
  }

  /// Memory that Python sees without a copy: what `lend` returns, a subpy_buffer. This encoder releases it, unless a call
  /// has taken it over: passed().
  template <class Lend>
  [[nodiscard]] subpy_value buffer(const Lend &lend) {
    void *place = allocate(sizeof(lent));
    lent_ = ::new (place) lent{lend(), lent_};
    return detail::make_buffer(&lent_->memory);
  }

  /// To be told the status of the function that the values were passed to, which it returns.
  subpy_status passed(subpy_status code) noexcept {
    if (code != SUBPY_ERROR_INVALID_ARGUMENT && code != SUBPY_ERROR_FORKED) lent_ = nullptr;
    return code;
  }

  /// Room for values, to be filled in; it lives as long as the encoder.
  [[nodiscard]] subpy_value *items(std::size_t count) {
    return static_cast<subpy_value *>(allocate(bytes_of(count, sizeof(subpy_value))));
  }

  /// Room for the entries of a dict, to be filled in.
  [[nodiscard]] subpy_pair *pairs(std::size_t count) {
    return static_cast<subpy_pair *>(allocate(bytes_of(count, sizeof(subpy_pair))));
  }

  /// A copy of a text that lives as long as the encoder.
  [[nodiscard]] const char *keep(std::string_view text) {
    auto *copy = static_cast<char *>(allocate(text.size()));
    if (!text.empty()) std::memcpy(copy, text.data(), text.size());
    return copy;
  }

  /// Writes the values of what a container holds, and says how many there are.
  template <class Container>
  std::size_t fill(subpy_value *room, const Container &container) {
    std::size_t count = 0;
    for (const auto &item : container) {
      using stored = typename std::iterator_traits<decltype(std::begin(container))>::reference;
      static_assert(std::is_reference_v<stored> || std::is_trivially_copyable_v<stored>,
                    "subpy: what a value points to must be in the container, not made when it is looked at");
      if constexpr (std::is_reference_v<stored>) {
        ::new (&room[count++]) subpy_value(value(item));
      } else {  // made when it was looked at: what the value points to may be inside it
        static_assert(alignof(stored) <= alignof(subpy_pair), "subpy: such an item has to be in the container");
        const auto *kept = ::new (allocate(sizeof(stored))) std::remove_cv_t<stored>(item);
        ::new (&room[count++]) subpy_value(value(*kept));
      }
    }
    return count;
  }

  template <class T>
  [[nodiscard]] subpy_pair entry(const keyword<T> &from) {
    return {detail::make_text(SUBPY_KIND_STR, from.name), value(from.value)};
  }

 private:
  // Eight values. More is not faster: a call that reaches further down the stack was seen to take 5 % longer.
  static constexpr std::size_t local_size = 8 * sizeof(subpy_value);
  static constexpr std::size_t first_chunk_size = 4096;

  struct chunk {
    chunk *older;
  };

  struct lent {
    subpy_buffer memory;
    lent *older;
  };

  /// Too many are as many bytes as no allocation has.
  static constexpr std::size_t bytes_of(std::size_t count, std::size_t size) noexcept {
    constexpr std::size_t most = std::numeric_limits<std::size_t>::max() / 4;
    return count > most / size ? most : count * size;
  }

  void *allocate(std::size_t size) {
    constexpr std::size_t alignment = alignof(subpy_pair);
    size = (size + alignment - 1) / alignment * alignment;
    if (size > left_) grow(size);
    std::byte *found = next_;
    next_ += size;
    left_ -= size;
    return found;
  }

  /// Each chunk is twice as large as the one before.
  void grow(std::size_t size) {
    const std::size_t room = std::max(size, chunk_size_);
    chunk_size_ *= 2;
    auto *memory = static_cast<std::byte *>(::operator new(sizeof(chunk) + room));
    chunks_ = ::new (memory) chunk{chunks_};
    next_ = memory + sizeof(chunk);
    left_ = room;
  }

  void release_lent() noexcept {
    for (const lent *each = lent_; each != nullptr; each = each->older) {
      if (each->memory.release != nullptr) each->memory.release(each->memory.userdata);
    }
  }

  void free_chunks() noexcept {
    while (chunks_ != nullptr) ::operator delete(std::exchange(chunks_, chunks_->older));
  }

  alignas(subpy_pair) std::byte local_[local_size];
  std::byte *next_ = local_;
  std::size_t left_ = local_size;
  std::size_t chunk_size_ = first_chunk_size;
  chunk *chunks_ = nullptr;
  lent *lent_ = nullptr;
};

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_ENCODER_HPP
