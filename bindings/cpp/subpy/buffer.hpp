/* Memory that Python and the program share. */
#ifndef SUBPY_BUFFER_HPP
#define SUBPY_BUFFER_HPP

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "fields.hpp"

namespace subpy {
inline namespace SUBPY_CPP_MODE {

namespace detail {

template <class T, class... Others>
inline constexpr bool is_one_of = (std::is_same_v<T, Others> || ...);

template <class T>
inline constexpr bool is_byte = is_one_of<T, std::byte, std::uint8_t>;

/// What an item of a buffer is.
enum class item_kind : std::uint8_t { other, boolean, byte, signed_int, unsigned_int, floating };

struct item_type {
  item_kind kind = item_kind::other;
  std::size_t size = 0;

  friend bool operator==(item_type one, item_type two) noexcept { return one.kind == two.kind && one.size == two.size; }
};

/// What the items of a C++ type are; `other` when Python has none like them.
template <class T>
constexpr item_type item_type_of() noexcept {
  if constexpr (std::is_same_v<T, bool>) return {item_kind::boolean, sizeof(T)};
  if constexpr (is_one_of<T, char, std::byte>) return {item_kind::byte, 1};
  if constexpr (is_one_of<T, float, double>) return {item_kind::floating, sizeof(T)};
  if constexpr (std::is_integral_v<T> && !is_one_of<T, bool, char, wchar_t, char16_t, char32_t> &&
                sizeof(T) <= sizeof(std::int64_t))
    return {std::is_signed_v<T> ? item_kind::signed_int : item_kind::unsigned_int, sizeof(T)};
  return {};
}

/// The same in the words of Python's struct module.
template <class T>
constexpr const char *format_for() noexcept {
  constexpr item_type type = item_type_of<T>();
  switch (type.kind) {
    case item_kind::boolean:
      return "?";
    case item_kind::floating:
      return type.size == sizeof(float) ? "f" : "d";
    case item_kind::signed_int:
      return type.size == 1 ? "b" : type.size == 2 ? "h" : type.size == 4 ? "i" : "q";
    case item_kind::unsigned_int:
      return type.size == 1 ? "B" : type.size == 2 ? "H" : type.size == 4 ? "I" : "Q";
    case item_kind::byte:
    case item_kind::other:
      break;
  }
  return "B";
}

template <class T>
inline constexpr bool is_item = item_type_of<std::remove_cv_t<T>>().kind != item_kind::other;

/// What a format of one letter says, in the byte order of this machine.
inline item_type item_type_of(std::string_view format, std::size_t size) noexcept {
  if (!format.empty() && (format.front() == '@' || format.front() == '=')) format.remove_prefix(1);
  if (format.size() != 1) return {};
  const char letter = format.front();
  if (letter == '?') return {item_kind::boolean, size};
  if (letter == 'c') return {item_kind::byte, size};
  const bool number = size == 1 || size == 2 || size == 4 || size == 8;
  if (number && std::string_view("bhilqn").find(letter) != std::string_view::npos) return {item_kind::signed_int, size};
  if (number && std::string_view("BHILQN").find(letter) != std::string_view::npos) return {item_kind::unsigned_int, size};
  if (letter == (size == sizeof(float) ? 'f' : 'd')) return {item_kind::floating, size};
  return {};
}

/// One item of a buffer as a value, which lives as long as this.
class item_value {
 public:
  item_value(item_type type, const std::byte *at) noexcept {
    switch (type.kind) {
      case item_kind::boolean:
        raw_ = make_bool(load<std::uint8_t>(at) != 0);
        break;
      case item_kind::floating:
        raw_ = make_float(type.size == sizeof(float) ? static_cast<double>(load<float>(at)) : load<double>(at));
        break;
      case item_kind::signed_int:
        raw_ = make_int(type.size == 1   ? load<std::int8_t>(at)
                        : type.size == 2 ? load<std::int16_t>(at)
                        : type.size == 4 ? load<std::int32_t>(at)
                                         : load<std::int64_t>(at));
        break;
      case item_kind::byte:
        raw_ = make_bytes(at, 1);
        break;
      case item_kind::unsigned_int:
      case item_kind::other:
        set_unsigned(type.size == 1   ? load<std::uint8_t>(at)
                     : type.size == 2 ? load<std::uint16_t>(at)
                     : type.size == 4 ? load<std::uint32_t>(at)
                                      : load<std::uint64_t>(at));
        break;
    }
  }
  item_value(const item_value &) = delete;
  item_value(item_value &&) = delete;
  item_value &operator=(const item_value &) = delete;
  item_value &operator=(item_value &&) = delete;
  ~item_value() = default;

  [[nodiscard]] value_view view() const noexcept { return value_view(raw_); }

 private:
  template <class T>
  static T load(const std::byte *at) noexcept {
    T loaded{};
    std::memcpy(&loaded, at, sizeof loaded);
    return loaded;
  }

  void set_unsigned(std::uint64_t number) noexcept {
    if (number >> 63U == 0) {
      raw_ = make_int(static_cast<std::int64_t>(number));
      return;
    }
    const int length = std::snprintf(hex_, sizeof hex_, "0x%llx", static_cast<unsigned long long>(number));
    raw_ = make_text(SUBPY_KIND_BIGINT, {hex_, static_cast<std::size_t>(length)});
  }

  subpy_value raw_{};
  char hex_[24]{};
};

}  // namespace detail

/// Items that lie one behind the other in memory of somebody else's; converts to a std::span.
template <class T>
class array_view {
 public:
  using value_type = std::remove_cv_t<T>;

  array_view() noexcept = default;
  array_view(T *data, std::size_t size) noexcept : data_(data), size_(size) {}

  [[nodiscard]] T *data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] T *begin() const noexcept { return data_; }
  [[nodiscard]] T *end() const noexcept { return data_ + size_; }
  [[nodiscard]] T &operator[](std::size_t index) const noexcept { return data_[index]; }

 private:
  T *data_ = nullptr;
  std::size_t size_ = 0;
};

/// The memory that a value of kind::buffer shows, as long as that value lives: `value.as<subpy::buffer_view>()`. Its items
/// lie one behind the other, the last index running fastest.
class buffer_view {
 public:
  explicit buffer_view(const subpy_buffer &raw) noexcept : raw_(&raw) {}

  [[nodiscard]] void *data() const noexcept { return raw_->data; }
  /// In bytes.
  [[nodiscard]] std::size_t size() const noexcept { return raw_->len; }
  /// What the items are, in the words of Python's struct module.
  [[nodiscard]] std::string_view format() const noexcept { return detail::format_of(*raw_); }
  [[nodiscard]] std::size_t item_size() const noexcept { return raw_->itemsize == 0 ? 1 : raw_->itemsize; }
  /// How many items there are in all.
  [[nodiscard]] std::size_t count() const noexcept { return size() / item_size(); }
  [[nodiscard]] std::vector<std::size_t> shape() const {
    if (raw_->shape == nullptr) return {count()};
    return {raw_->shape, raw_->shape + detail::dimensions_of(*raw_)};
  }
  [[nodiscard]] bool writable() const noexcept { return (raw_->flags & SUBPY_BUFFER_WRITABLE) != 0; }

  /// All items, if that is what they are: `view.try_items<const double>()`. Those that are not const have to be writable.
  template <class T>
  [[nodiscard]] result<array_view<T>> try_items() const {
    static_assert(detail::is_item<T>, "subpy: Python has no buffers with items of this type");
    using item = std::remove_cv_t<T>;
    if (!holds<item>()) {
      return conversion_error("memoryview of format '" + std::string(format()) + "' does not convert to " +
                              detail::name_of<item>() + "s");
    }
    if constexpr (!std::is_const_v<T>) {
      if (!writable()) return conversion_error("memoryview is read-only");
    }
    return array_view<T>(static_cast<T *>(data()), count());
  }
#if SUBPY_CPP_EXCEPTIONS
  template <class T>
  [[nodiscard]] array_view<T> items() const {
    return try_items<T>().value();
  }
#endif

  [[nodiscard]] detail::item_type item_type() const noexcept { return detail::item_type_of(format(), item_size()); }
  [[nodiscard]] const subpy_buffer &raw() const noexcept { return *raw_; }

 private:
  template <class T>
  [[nodiscard]] bool holds() const noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(data());
    const detail::item_type type = item_type();
    const bool bytes = sizeof(T) == 1 && type.size == 1 && type.kind != detail::item_kind::other &&
                       detail::item_type_of<T>().kind == detail::item_kind::byte;
    return (type == detail::item_type_of<T>() || bytes) && address % alignof(T) == 0;
  }

  const subpy_buffer *raw_;
};

template <>
struct convert<buffer_view> {
  static constexpr bool borrows = true;
  static constexpr std::uint32_t wants = SUBPY_RESULT_BUFFER;
  static std::string name() { return "subpy::buffer_view"; }
  static result<buffer_view> from_python(value_view view) {
    if (view.kind() != kind::buffer) return wrong_type<buffer_view>(view);
    return buffer_view(*view.raw().u.as_buffer);
  }
};

/// Memory of the program's that Python sees without a copy, as a memoryview:
///
///   interp.call("f", subpy::buffer(std::move(frame)));
///
/// It lives as long as a copy of this, or a view in Python: copies share it. To learn when it is gone, give it an owner
/// with a deleter. Python only reads it, unless it is writable(). What the program writes meanwhile, Python sees.
class buffer {
 public:
  /// No memory.
  buffer() : buffer(static_cast<const std::byte *>(nullptr), 0, nullptr) {}

  /// What a container holds that moves into this: a std::vector, a std::string or the like, of numbers or bytes.
  template <class Container, class T = std::remove_pointer_t<decltype(std::data(std::declval<Container &>()))>,
            std::enable_if_t<std::is_rvalue_reference_v<Container &&> && !std::is_const_v<Container> && detail::is_item<T>,
                             int> = 0>
  explicit buffer(Container &&container) {
    auto owner = std::make_shared<Container>(std::forward<Container>(container));
    state_ = made(std::data(*owner), std::size(*owner), owner);
  }

  /// `count` items that stay where they are as long as `owner` lives: a shared pointer to anything, whose deleter may be
  /// a function of yours. It runs on any thread, without a GIL.
  template <class T>
  buffer(T *data, std::size_t count, std::shared_ptr<const void> owner) : state_(made(data, count, std::move(owner))) {}

  /// So many items, all zero, that interpreters in processes (process_options) see without a copy, and so do all others.
  /// Python may write to them, as the program may: `memory.view().items<double>()`. Any other memory goes to such a process
  /// as a copy when Python may only read it, and is status::not_shareable otherwise.
  template <class T>
  [[nodiscard]] static result<buffer> try_shared(std::size_t count) {
    static_assert(detail::is_item<T> && !std::is_const_v<T>, "subpy: Python has no buffers with items of this type");
    const std::size_t size = count > static_cast<std::size_t>(-1) / sizeof(T) ? static_cast<std::size_t>(-1) : count * sizeof(T);
    const auto free = [](subpy_buffer *memory) noexcept {
      subpy_buffer_free(memory);
      delete memory;
    };
    const std::shared_ptr<subpy_buffer> memory(new subpy_buffer{}, free);
    subpy_error *cause = nullptr;
    const subpy_status code = subpy_buffer_new(size, SUBPY_BUFFER_WRITABLE, memory.get(), &cause);
    if (code != SUBPY_OK) return error(code, cause);
    return buffer(static_cast<T *>(memory->data), count, memory).writable();
  }
#if SUBPY_CPP_EXCEPTIONS
  template <class T>
  [[nodiscard]] static buffer shared(std::size_t count) {
    return try_shared<T>(count).value();
  }
#endif

  /// The same memory, which Python may write to.
  [[nodiscard]] buffer writable() const {
    return changed([](state &to) { to.raw.flags |= SUBPY_BUFFER_WRITABLE; });
  }

  /// The same memory for one call: its views are released when the call returns. If Python has kept another view of it
  /// then, such as a slice, the call ends with status::busy, and the memory lives on until that is gone.
  [[nodiscard]] buffer lent() const {
    return changed([](state &to) { to.raw.flags |= SUBPY_BUFFER_LENT; });
  }

  /// The same memory with so many items in each dimension, and, when they do not lie one behind the other, so many bytes
  /// from one to the next. What does not fit the memory is status::invalid_argument when it is passed.
  [[nodiscard]] buffer shaped(std::vector<std::size_t> shape, std::vector<std::ptrdiff_t> strides = {}) const {
    return changed([&](state &to) {
      to.shape = std::move(shape);
      to.strides = std::move(strides);
      to.raw.ndim = static_cast<std::int32_t>(to.shape.size());
      to.raw.shape = to.shape.data();
      to.raw.strides = to.strides.empty() ? nullptr : to.strides.data();
      if (!to.strides.empty() && to.strides.size() != to.shape.size()) to.raw.ndim = -1;
    });
  }

  [[nodiscard]] buffer_view view() const & noexcept { return buffer_view(state_->raw); }
  buffer_view view() const && = delete;

  /// The memory for the C interface, one more time: to be released once, by raw.release(raw.userdata).
  [[nodiscard]] subpy_buffer lend() const {
    subpy_buffer raw = state_->raw;
    raw.userdata = std::make_unique<std::shared_ptr<const state>>(state_).release();
    raw.release = [](void *data) noexcept { delete static_cast<std::shared_ptr<const state> *>(data); };
    return raw;
  }

 private:
  struct state {
    subpy_buffer raw{};
    std::vector<std::size_t> shape;
    std::vector<std::ptrdiff_t> strides;
    std::shared_ptr<const void> owner;
  };

  template <class T>
  static std::shared_ptr<const state> made(T *data, std::size_t count, std::shared_ptr<const void> owner) {
    using item = std::remove_cv_t<T>;
    static_assert(detail::is_item<item>, "subpy: Python has no buffers with items of this type");
    auto state = std::make_shared<buffer::state>();
    state->raw.size = sizeof state->raw;
    state->raw.data = const_cast<item *>(data);
    state->raw.len = count * sizeof(item);
    state->raw.format = detail::format_for<item>();
    state->raw.itemsize = sizeof(item);
    state->owner = std::move(owner);
    return state;
  }

  template <class Change>
  [[nodiscard]] buffer changed(const Change &change) const {
    auto copy = std::make_shared<state>();
    copy->raw = state_->raw;
    copy->owner = state_->owner;
    if (state_->raw.shape != nullptr) {
      copy->shape = state_->shape;
      copy->raw.shape = copy->shape.data();
    }
    if (state_->raw.strides != nullptr) {
      copy->strides = state_->strides;
      copy->raw.strides = copy->strides.data();
    }
    change(*copy);
    buffer other(*this);
    other.state_ = std::move(copy);
    return other;
  }

  std::shared_ptr<const state> state_;
};

/// Numbers that a call has returned, to be read where they lie: `interp.call<subpy::array<double>>("f")`. Those of a list,
/// of an array.array, of anything with a buffer of such items are not copied; what else converts to a std::vector<T> is.
/// Movable, not copyable; converts to a std::span. What Python writes into a buffer meanwhile is seen here.
template <class T>
class array {
  static_assert(detail::is_item<T> && !std::is_const_v<T> && !detail::is_one_of<T, bool, char>,
                "subpy: an array is one of numbers or bytes");

 public:
  using value_type = T;

  array() noexcept = default;
  array(const array &) = delete;
  array &operator=(const array &) = delete;
  array(array &&other) noexcept
      : owner_(std::exchange(other.owner_, subpy_value{})),
        copied_(std::move(other.copied_)),
        items_(std::exchange(other.items_, {})) {}
  array &operator=(array &&other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(copied_, other.copied_);
    std::swap(items_, other.items_);
    return *this;
  }
  ~array() { subpy_value_free(&owner_); }

  [[nodiscard]] const T *data() const noexcept { return items_.data(); }
  [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
  [[nodiscard]] bool empty() const noexcept { return items_.empty(); }
  [[nodiscard]] const T *begin() const noexcept { return items_.begin(); }
  [[nodiscard]] const T *end() const noexcept { return items_.end(); }
  [[nodiscard]] const T &operator[](std::size_t index) const noexcept { return items_[index]; }
  /// Whether it is a copy.
  [[nodiscard]] bool copied() const noexcept { return !copied_.empty(); }

 private:
  friend struct convert<array<T>>;

  subpy_value owner_{};
  std::vector<T> copied_;
  array_view<const T> items_;
};

template <class T>
struct convert<array<T>> {
  static constexpr std::uint32_t wants = SUBPY_RESULT_BUFFER | SUBPY_RESULT_ARRAY;
  static std::string name() { return "subpy::array<" + detail::name_of<T>() + ">"; }

  /// A part of something larger is copied.
  static result<array<T>> from_python(value_view view) {
    auto copied = view.try_as<std::vector<T>>();
    if (!copied) return copied.error();
    array<T> made;
    made.copied_ = *std::move(copied);
    made.items_ = {made.copied_.data(), made.copied_.size()};
    return made;
  }

  static result<array<T>> take(subpy_value &raw) {
    if (raw.kind == SUBPY_KIND_BUFFER) {
      const buffer_view view(*raw.u.as_buffer);
      const auto items = view.try_items<const T>();
      if (items && detail::dimensions_of(view.raw()) == 1) {
        array<T> made;
        made.items_ = *items;
        made.owner_ = std::exchange(raw, subpy_value{});
        return made;
      }
    }
    return from_python(value_view(raw));
  }
};

template <>
struct convert<buffer> {
  static subpy_value to_python(const buffer &from, encoder &encoder) { return encoder.buffer([&] { return from.lend(); }); }
};

namespace detail {

/// Reads the items of a buffer of one dimension into a container, each as it would be read from a list.
template <class T, class Sequence>
result<Sequence> read_items(value_view view) {
  const buffer_view from(*view.raw().u.as_buffer);
  const item_type type = from.item_type();
  if (dimensions_of(from.raw()) != 1 || type.kind == item_kind::other) return wrong_type<Sequence>(view);
  const auto *data = static_cast<const std::byte *>(from.data());
  if constexpr (std::is_trivially_copyable_v<T> && !std::is_same_v<T, bool> && is_item<T>) {
    // Bytes are bytes.
    const bool bytes = sizeof(T) == 1 && type.size == 1 && is_byte<T>;
    if (type == item_type_of<T>() || bytes) {
      Sequence to(from.count());
      if (from.size() != 0) std::memcpy(to.data(), data, from.size());
      return to;
    }
  }
  if constexpr (is_byte<T>) {
    return wrong_type<Sequence>(view);
  } else {
    Sequence to;
    to.reserve(from.count());
    for (std::size_t i = 0; i < from.count(); i++) {
      const item_value item(type, data + i * type.size);
      auto read = item.view().try_as<T>();
      if (!read) return conversion_path::within(read.error(), element(i));
      to.push_back(*std::move(read));
    }
    return to;
  }
}

}  // namespace detail

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_BUFFER_HPP
