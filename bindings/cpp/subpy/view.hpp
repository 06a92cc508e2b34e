/* Values that are looked at where they lie, and what is borrowed. */
#ifndef SUBPY_VIEW_HPP
#define SUBPY_VIEW_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "convert.hpp"

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/// Memory that somebody else owns, as a Python bytes object: an argument that is not copied before the call, or the
/// content of a value.
class bytes_view {
 public:
  bytes_view() noexcept = default;
  bytes_view(const void *data, std::size_t size) noexcept
      : data_(static_cast<const std::uint8_t *>(data)), size_(size) {}

  [[nodiscard]] const std::uint8_t *data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] const std::uint8_t *begin() const noexcept { return data_; }
  [[nodiscard]] const std::uint8_t *end() const noexcept { return data_ + size_; }

 private:
  const std::uint8_t *data_ = nullptr;
  std::size_t size_ = 0;
};

/// An int of any size, as hexadecimal text such as "-0x1ff".
struct bigint {
  std::string hex;

  friend bool operator==(const bigint &one, const bigint &other) { return one.hex == other.hex; }
  friend bool operator!=(const bigint &one, const bigint &other) { return !(one == other); }
};

class items_view;
class pairs_view;

/// A value that somebody else owns: a part of a subpy::value, or any subpy_value. As small as a pointer.
class value_view {
 public:
  /// Shows what `raw` holds, as long as that stays where it is. A temporary would be gone at once.
  explicit value_view(const subpy_value &raw) noexcept : raw_(&raw) {}
  explicit value_view(subpy_value &&raw) = delete;

  [[nodiscard]] subpy::kind kind() const noexcept { return static_cast<subpy::kind>(raw_->kind); }
  [[nodiscard]] bool is_none() const noexcept { return kind() == subpy::kind::none; }
  [[nodiscard]] subpy::tag tag() const noexcept { return static_cast<subpy::tag>(raw_->flags & detail::tag_bits); }

  /// The name of the Python type: "int", "NoneType"; what is behind an object is not looked at.
  [[nodiscard]] const char *type_name() const noexcept;

  /// How many bytes, items or entries; 0 for values that have none.
  [[nodiscard]] std::size_t size() const noexcept { return detail::points_to_something(*raw_) ? raw_->len : 0; }

  /// The value as a T. Throws conversion_error.
  template <class T>
  [[nodiscard]] result<T> try_as() const {
    static_assert(detail::has_from_python<T>::value, "subpy: this type has no subpy::convert<T>::from_python()");
    return convert<T>::from_python(*this);
  }

  /// A part of the value as a T: `get<int>("files", 3, "line")`. Keys are text for dicts and indexes for sequences.
  template <class T, class... Keys>
  [[nodiscard]] result<T> try_get(const Keys &...keys) const;

  [[nodiscard]] result<value_view> try_at(std::size_t index) const;
  [[nodiscard]] result<value_view> try_at(std::string_view key) const;

  /// What a dict has for a str key. Looks at the entries one by one; anything but a dict has none.
  [[nodiscard]] std::optional<value_view> find(std::string_view key) const noexcept {
    const subpy_value *found = subpy_value_get(raw_, key.data(), key.size());
    return found == nullptr ? std::nullopt : std::optional<value_view>(value_view(*found));
  }
  [[nodiscard]] bool contains(std::string_view key) const noexcept { return find(key).has_value(); }

  /// The items of a list or tuple, none of anything else: `for (auto item : view)`.
  [[nodiscard]] items_view items() const noexcept;
  /// The entries of a dict in their order, none of anything else: `for (auto [key, value] : view.pairs())`.
  [[nodiscard]] pairs_view pairs() const noexcept;
  [[nodiscard]] inline auto begin() const noexcept;
  [[nodiscard]] inline auto end() const noexcept;

#if SUBPY_CPP_EXCEPTIONS
  template <class T>
  [[nodiscard]] T as() const {
    return try_as<T>().value();
  }
  template <class T, class... Keys>
  [[nodiscard]] T get(const Keys &...keys) const {
    return try_get<T>(keys...).value();
  }
  /// Throws conversion_error when there is no such item or key, or the value can have none.
  [[nodiscard]] value_view operator[](std::size_t index) const { return try_at(index).value(); }
  [[nodiscard]] value_view operator[](std::string_view key) const { return try_at(key).value(); }
#endif

  /// The value for the C interface.
  [[nodiscard]] const subpy_value &raw() const noexcept { return *raw_; }

 private:
  const subpy_value *raw_;
};

/// The items of a list or tuple.
class items_view {
 public:
  class iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = value_view;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = value_view;

    explicit iterator(const subpy_value *at) noexcept : at_(at) {}
    value_view operator*() const noexcept { return value_view(*at_); }
    iterator &operator++() noexcept {
      ++at_;
      return *this;
    }
    iterator operator++(int) noexcept { return iterator(at_++); }
    friend bool operator==(iterator one, iterator other) noexcept { return one.at_ == other.at_; }
    friend bool operator!=(iterator one, iterator other) noexcept { return one.at_ != other.at_; }

   private:
    const subpy_value *at_;
  };

  items_view(const subpy_value *items, std::size_t count) noexcept : items_(items), count_(count) {}
  [[nodiscard]] iterator begin() const noexcept { return iterator(items_); }
  [[nodiscard]] iterator end() const noexcept { return iterator(items_ + count_); }
  [[nodiscard]] std::size_t size() const noexcept { return count_; }

 private:
  const subpy_value *items_;
  std::size_t count_;
};

/// The entries of a dict.
class pairs_view {
 public:
  struct entry {
    value_view key;
    value_view value;
  };

  class iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = entry;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = entry;

    explicit iterator(const subpy_pair *at) noexcept : at_(at) {}
    entry operator*() const noexcept { return {value_view(at_->key), value_view(at_->value)}; }
    iterator &operator++() noexcept {
      ++at_;
      return *this;
    }
    iterator operator++(int) noexcept { return iterator(at_++); }
    friend bool operator==(iterator one, iterator other) noexcept { return one.at_ == other.at_; }
    friend bool operator!=(iterator one, iterator other) noexcept { return one.at_ != other.at_; }

   private:
    const subpy_pair *at_;
  };

  pairs_view(const subpy_pair *pairs, std::size_t count) noexcept : pairs_(pairs), count_(count) {}
  [[nodiscard]] iterator begin() const noexcept { return iterator(pairs_); }
  [[nodiscard]] iterator end() const noexcept { return iterator(pairs_ + count_); }
  [[nodiscard]] std::size_t size() const noexcept { return count_; }

 private:
  const subpy_pair *pairs_;
  std::size_t count_;
};

inline items_view value_view::items() const noexcept {
  return detail::is_sequence(*raw_) ? items_view(raw_->u.as_items, raw_->len) : items_view(nullptr, 0);
}

inline pairs_view value_view::pairs() const noexcept {
  return raw_->kind == SUBPY_KIND_DICT ? pairs_view(raw_->u.as_pairs, raw_->len) : pairs_view(nullptr, 0);
}

inline auto value_view::begin() const noexcept { return items().begin(); }
inline auto value_view::end() const noexcept { return items().end(); }

namespace detail {

/// The name of the type of a value with a tag; null without one.
inline const char *name_of_tagged(tag what) noexcept {
  switch (what) {
    case tag::set:
      return "set";
    case tag::frozenset:
      return "frozenset";
    case tag::complex:
      return "complex";
    case tag::date:
      return "date";
    case tag::time:
      return "time";
    case tag::datetime:
      return "datetime";
    case tag::timedelta:
      return "timedelta";
    case tag::decimal:
      return "Decimal";
    case tag::uuid:
      return "UUID";
    case tag::enumeration:
      return "Enum";
    case tag::dataclass:
      return "dataclass";
    case tag::none:
      break;
  }
  return nullptr;
}

}  // namespace detail

inline const char *value_view::type_name() const noexcept {
  if (const char *tagged = detail::name_of_tagged(tag())) return tagged;
  switch (kind()) {
    case subpy::kind::none:
      return "NoneType";
    case subpy::kind::boolean:
      return "bool";
    case subpy::kind::integer:
    case subpy::kind::bigint:
      return "int";
    case subpy::kind::floating:
      return "float";
    case subpy::kind::str:
      return "str";
    case subpy::kind::bytes:
      return "bytes";
    case subpy::kind::tuple:
      return "tuple";
    case subpy::kind::list:
      return "list";
    case subpy::kind::dict:
      return "dict";
    case subpy::kind::object:
      return "object";
    case subpy::kind::buffer:
      return "memoryview";
    case subpy::kind::queue:
      return "Queue";
  }
  return "unknown";
}

/// What a from_python() returns for a value of another type: "list does not convert to point".
template <class T>
[[nodiscard]] error wrong_type(value_view view) {
  return conversion_error(std::string(view.type_name()) + " does not convert to " + detail::name_of<T>());
}

inline result<value_view> value_view::try_at(std::size_t index) const {
  if (!detail::is_sequence(*raw_)) return conversion_error(std::string(type_name()) + " has no indexes");
  if (index < raw_->len) return value_view(raw_->u.as_items[index]);
  return conversion_error(std::string(type_name()) + " of " + std::to_string(raw_->len) + " has no index " +
                          std::to_string(index));
}

inline result<value_view> value_view::try_at(std::string_view key) const {
  if (raw_->kind != SUBPY_KIND_DICT) return conversion_error(std::string(type_name()) + " has no keys");
  if (const auto found = find(key)) return *found;
  return conversion_error("dict has no key " + detail::quoted(key));
}

namespace detail {

template <class T>
result<T> descend(value_view view) {
  return view.try_as<T>();
}

template <class T, class Key, class... Keys>
result<T> descend(value_view view, const Key &key, const Keys &...keys) {
  using step = std::conditional_t<std::is_convertible_v<const Key &, std::string_view>, std::string_view, std::size_t>;
  const auto at = static_cast<step>(key);
  const auto next = view.try_at(at);
  if (!next) return next.error();
  auto found = descend<T>(*next, keys...);
  if (!found) return conversion_path::within(found.error(), element(at));
  return found;
}

}  // namespace detail

template <class T, class... Keys>
result<T> value_view::try_get(const Keys &...keys) const {
  return detail::descend<T>(*this, keys...);
}

namespace detail {

/// What a subpy_buffer leaves out.
inline std::size_t dimensions_of(const subpy_buffer &raw) noexcept {
  return raw.ndim <= 0 ? 1 : static_cast<std::size_t>(raw.ndim);
}

inline std::string_view format_of(const subpy_buffer &raw) noexcept { return raw.format == nullptr ? "B" : raw.format; }

/// Equal formats, shapes and bytes; those of values have no gaps.
inline bool same_buffer(const subpy_buffer &one, const subpy_buffer &other) noexcept {
  if (one.len != other.len || dimensions_of(one) != dimensions_of(other) || format_of(one) != format_of(other))
    return false;
  if (one.shape != nullptr && other.shape != nullptr && !std::equal(one.shape, one.shape + dimensions_of(one), other.shape))
    return false;
  return one.len == 0 || std::memcmp(one.data, other.data, one.len) == 0;
}

}  // namespace detail

/// Equal kinds, tags and contents: True is not 1, dicts have the same entries in the same order, sets their items.
/// As in Python a NaN equals nothing. Objects and queues equal themselves: no Python code is run.
inline bool operator==(value_view one, value_view other) {
  std::vector<std::pair<const subpy_value *, const subpy_value *>> todo{{&one.raw(), &other.raw()}};
  while (!todo.empty()) {
    const auto [left, right] = todo.back();
    todo.pop_back();
    if (left->kind != right->kind || ((left->flags ^ right->flags) & detail::tag_bits) != 0) return false;
    if (detail::points_to_something(*left) && left->len != right->len) return false;
    switch (left->kind) {
      case SUBPY_KIND_BOOL:
        if (left->u.as_bool != right->u.as_bool) return false;
        break;
      case SUBPY_KIND_INT:
        if (left->u.as_int != right->u.as_int) return false;
        break;
      case SUBPY_KIND_FLOAT:
        if (left->u.as_float != right->u.as_float) return false;
        break;
      case SUBPY_KIND_TUPLE:
      case SUBPY_KIND_LIST:
        for (std::size_t i = 0; i < left->len; i++) todo.emplace_back(&left->u.as_items[i], &right->u.as_items[i]);
        break;
      case SUBPY_KIND_DICT:
        for (std::size_t i = 0; i < left->len; i++) {
          todo.emplace_back(&left->u.as_pairs[i].key, &right->u.as_pairs[i].key);
          todo.emplace_back(&left->u.as_pairs[i].value, &right->u.as_pairs[i].value);
        }
        break;
      case SUBPY_KIND_NONE:
        break;
      case SUBPY_KIND_OBJECT:
        if (left->u.as_object != right->u.as_object) return false;
        break;
      case SUBPY_KIND_QUEUE:
        if (left->u.as_queue != right->u.as_queue) return false;
        break;
      case SUBPY_KIND_BUFFER:
        if (!detail::same_buffer(*left->u.as_buffer, *right->u.as_buffer)) return false;
        break;
      default:  // texts, of any bytes
        if (left->len != 0 && std::memcmp(left->u.as_bytes, right->u.as_bytes, left->len) != 0) return false;
        break;
    }
  }
  return true;
}

inline bool operator!=(value_view one, value_view other) { return !(one == other); }

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_VIEW_HPP
