/* A value that owns its memory. */
#ifndef SUBPY_VALUE_HPP
#define SUBPY_VALUE_HPP

#include <cstddef>
#include <cstring>
#include <deque>
#include <initializer_list>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "encoder.hpp"

namespace subpy {
inline namespace SUBPY_CPP_MODE {

namespace detail {

/// What a copy of a value holds besides its block: handles of its own, and the contents of buffers.
class kept {
 public:
  kept() noexcept = default;
  kept(const kept &) = delete;
  kept(kept &&) = delete;
  kept &operator=(const kept &) = delete;
  kept &operator=(kept &&) = delete;
  ~kept() {
    for (const subpy_object each : objects_) subpy_object_free(each);
    for (const subpy_queue each : queues_) subpy_queue_free(each);
  }

  /// Makes the value, whose object, queue or buffer is somebody else's, one with its own. 0 when there is no such handle
  /// any more: then it is not found when it is used.
  void keep(subpy_value &part) {
    if (part.kind == SUBPY_KIND_OBJECT) {
      objects_.push_back(0);
      subpy_object_keep(part.u.as_object, &objects_.back(), nullptr);
      part.u.as_object = objects_.back();
    } else if (part.kind == SUBPY_KIND_QUEUE) {
      queues_.push_back(0);
      subpy_queue_keep(part.u.as_queue, &queues_.back(), nullptr);
      part.u.as_queue = queues_.back();
    } else {
      part.u.as_buffer = copy(*part.u.as_buffer);
    }
  }

 private:
  struct copied {
    subpy_buffer raw{};
    std::vector<std::max_align_t> bytes;
    std::string format;
    std::vector<std::size_t> shape;
  };

  const subpy_buffer *copy(const subpy_buffer &from) {
    copied &made = buffers_.emplace_back();
    made.raw = from;
    // No size: it can be read, but is refused as an argument, since nobody would know when Python lets go of the bytes.
    made.raw.size = 0;
    made.raw.release = nullptr;
    made.raw.userdata = nullptr;
    made.raw.strides = nullptr;
    made.bytes.resize((from.len + sizeof(std::max_align_t) - 1) / sizeof(std::max_align_t));
    if (from.len != 0) std::memcpy(made.bytes.data(), from.data, from.len);
    made.raw.data = made.bytes.data();
    made.format = format_of(from);
    made.raw.format = made.format.c_str();
    if (from.shape != nullptr) {
      made.shape.assign(from.shape, from.shape + dimensions_of(from));
      made.raw.shape = made.shape.data();
    }
    return &made.raw;
  }

  std::vector<subpy_object> objects_;
  std::vector<subpy_queue> queues_;
  std::deque<copied> buffers_;  // whose members stay where they are
};

/// A value, and all that it points to.
struct tree {
  subpy_value root{};
  std::unique_ptr<std::byte[]> block;  // null when nothing is pointed to
  std::unique_ptr<detail::kept> kept;  // null when there are no handles and no buffers
};

/// A copy of a value with all that it points to. Does not recurse, so any depth is fine.
inline tree deep_copy(const subpy_value &from) {
  static_assert(sizeof(subpy_pair) == 2 * sizeof(subpy_value) && alignof(subpy_pair) == alignof(subpy_value));
  std::size_t values = 0;
  std::size_t letters = 0;
  std::vector<const subpy_value *> sources{&from};
  while (!sources.empty()) {
    const subpy_value &part = *sources.back();
    sources.pop_back();
    if (points_nowhere(part)) continue;
    if (is_text(part)) letters += part.len + 1;
    for (const value_view item : value_view(part).items()) sources.push_back(&item.raw());
    for (const auto [key, value] : value_view(part).pairs()) sources.insert(sources.end(), {&key.raw(), &value.raw()});
    if (!is_text(part)) values += value_view(part).size() * (part.kind == SUBPY_KIND_DICT ? 2 : 1);
  }

  tree copy{from, nullptr, nullptr};
  if (values + letters != 0) copy.block.reset(new std::byte[values * sizeof(subpy_value) + letters]);
  std::byte *room = copy.block.get();
  char *text_room = reinterpret_cast<char *>(room) + values * sizeof(subpy_value);
  std::vector<subpy_value *> copies{&copy.root};
  while (!copies.empty()) {
    subpy_value &part = *copies.back();
    copies.pop_back();
    part.flags &= tag_bits;  // without the library's mark of a result, which a copy is not
    if (points_nowhere(part)) part = make(-1);  // of no kind: still refused when it is used, and nothing can read it
    if (is_text(part)) {
      if (part.len != 0) std::memcpy(text_room, part.u.as_str, part.len);
      text_room[part.len] = '\0';
      part.u.as_str = text_room;
      text_room += part.len + 1;
    } else if (is_sequence(part)) {
      auto *items = reinterpret_cast<subpy_value *>(room);
      room += part.len * sizeof(subpy_value);
      std::uninitialized_copy_n(part.u.as_items, part.len, items);
      for (std::size_t i = 0; i < part.len; i++) copies.push_back(&items[i]);
      part.u.as_items = items;
    } else if (part.kind == SUBPY_KIND_DICT) {
      auto *pairs = reinterpret_cast<subpy_pair *>(room);
      room += part.len * sizeof(subpy_pair);
      std::uninitialized_copy_n(part.u.as_pairs, part.len, pairs);
      for (std::size_t i = 0; i < part.len; i++) copies.insert(copies.end(), {&pairs[i].key, &pairs[i].value});
      part.u.as_pairs = pairs;
    } else if (part.kind == SUBPY_KIND_OBJECT || part.kind == SUBPY_KIND_QUEUE || part.kind == SUBPY_KIND_BUFFER) {
      if (copy.kept == nullptr) copy.kept = std::make_unique<kept>();
      copy.kept->keep(part);
    }
  }
  return copy;
}

}  // namespace detail

template <>
struct convert<value_view> {
  static constexpr bool borrows = true;
  static subpy_value to_python(value_view from, encoder & /*unused*/) noexcept { return from.raw(); }
  static result<value_view> from_python(value_view view) { return view; }
};

template <>
struct convert<value> {
  static inline subpy_value to_python(const value &from, encoder & /*unused*/) noexcept;
  static inline result<value> from_python(value_view view);
  static inline result<value> take(subpy_value &raw) noexcept;
};

/// Any Python value, with all that is in it: a tree in one block of memory. Cheap to move, and to pass on as an argument.
/// It does not change; build it from containers of values, which convert as they do: `std::map<std::string, value>`.
/// Views of it are valid as long as it lives and is not assigned to or moved. A copy has handles of its own for the same
/// objects and queues; of buffers it has the bytes, to be read alone: pass a subpy::buffer on.
class value {
 public:
  /// None.
  value() noexcept = default;

  /// The value of anything that has a conversion. A copy: `from` may go.
  template <class T, std::enable_if_t<!std::is_same_v<detail::plain<T>, value> &&
                                          detail::has_to_python<detail::plain<T>>::value,
                                      int> = 0>
  value(const T &from) : value(made([&](encoder &room) { return room.value(from); })) {}

  value(const value &other) : tree_(detail::deep_copy(other.tree_.root)) {}
  value(value &&other) noexcept
      : tree_{std::exchange(other.tree_.root, subpy_value{}), std::move(other.tree_.block), std::move(other.tree_.kept)} {}
  value &operator=(const value &other) {
    if (this != &other) *this = value(other);
    return *this;
  }
  value &operator=(value &&other) noexcept {
    std::swap(tree_, other.tree_);
    return *this;
  }
  ~value() { subpy_value_free(&tree_.root); }

  /// Takes over a result of the C interface, which becomes None.
  [[nodiscard]] static value take(subpy_value &result) noexcept {
    value taken;
    taken.tree_.root = std::exchange(result, subpy_value{});
    return taken;
  }

  [[nodiscard]] static value list(std::initializer_list<value> items) {
    return made([&](encoder &to) { return to.list(items); });
  }
  [[nodiscard]] static value tuple(std::initializer_list<value> items) {
    return made([&](encoder &to) {
      subpy_value made = to.list(items);
      made.kind = SUBPY_KIND_TUPLE;
      return made;
    });
  }
  /// `value::dict({{"x", 1}, {2, "y"}})`
  [[nodiscard]] static value dict(std::initializer_list<std::pair<value, value>> entries) {
    return made([&](encoder &to) {
      subpy_pair *pairs = to.pairs(entries.size());
      std::size_t count = 0;
      for (const auto &entry : entries) ::new (&pairs[count++]) subpy_pair{entry.first.tree_.root, entry.second.tree_.root};
      return detail::make_dict(pairs, count);
    });
  }

  /// What it holds, of another Python type: `value::tagged(subpy::tag::decimal, "1.50")`.
  template <class T>
  [[nodiscard]] static value tagged(subpy::tag what, const T &content) {
    return made([&](encoder &to) {
      subpy_value made = to.value(content);
      made.flags = 0;
      return detail::with_tag(what, made);
    });
  }

  [[nodiscard]] value_view view() const & noexcept { return value_view(tree_.root); }
  value_view view() const && = delete;
  operator value_view() const & noexcept { return view(); }
  operator value_view() const && = delete;

  [[nodiscard]] subpy::kind kind() const noexcept { return view().kind(); }
  [[nodiscard]] bool is_none() const noexcept { return view().is_none(); }
  [[nodiscard]] subpy::tag tag() const noexcept { return view().tag(); }
  [[nodiscard]] const char *type_name() const noexcept { return view().type_name(); }
  [[nodiscard]] std::size_t size() const noexcept { return view().size(); }
  [[nodiscard]] bool contains(std::string_view key) const noexcept { return view().contains(key); }

  /// See value_view. What points into the value, such as std::string_view, cannot be taken from a temporary one.
  template <class T>
  [[nodiscard]] result<T> try_as() const & {
    return view().try_as<T>();
  }
  template <class T>
  [[nodiscard]] result<T> try_as() const && {
    static_assert(!detail::borrows<T>::value, "subpy: this would point into a temporary value");
    return view().try_as<T>();
  }
  template <class T, class... Keys>
  [[nodiscard]] result<T> try_get(const Keys &...keys) const & {
    return view().try_get<T>(keys...);
  }
  template <class T, class... Keys>
  [[nodiscard]] result<T> try_get(const Keys &...keys) const && {
    static_assert(!detail::borrows<T>::value, "subpy: this would point into a temporary value");
    return view().try_get<T>(keys...);
  }

  [[nodiscard]] std::optional<value_view> find(std::string_view key) const & noexcept { return view().find(key); }
  [[nodiscard]] items_view items() const & noexcept { return view().items(); }
  [[nodiscard]] pairs_view pairs() const & noexcept { return view().pairs(); }
  std::optional<value_view> find(std::string_view key) const && = delete;
  items_view items() const && = delete;
  pairs_view pairs() const && = delete;
  [[nodiscard]] auto begin() const noexcept { return view().begin(); }
  [[nodiscard]] auto end() const noexcept { return view().end(); }

#if SUBPY_CPP_EXCEPTIONS
  template <class T>
  [[nodiscard]] T as() const & {
    return try_as<T>().value();
  }
  template <class T>
  [[nodiscard]] T as() const && {
    static_assert(!detail::borrows<T>::value, "subpy: this would point into a temporary value");
    return view().as<T>();
  }
  template <class T, class... Keys>
  [[nodiscard]] T get(const Keys &...keys) const & {
    return try_get<T>(keys...).value();
  }
  template <class T, class... Keys>
  [[nodiscard]] T get(const Keys &...keys) const && {
    static_assert(!detail::borrows<T>::value, "subpy: this would point into a temporary value");
    return view().get<T>(keys...);
  }
  [[nodiscard]] value_view operator[](std::size_t index) const & { return view()[index]; }
  [[nodiscard]] value_view operator[](std::string_view key) const & { return view()[key]; }
  value_view operator[](std::size_t index) const && = delete;
  value_view operator[](std::string_view key) const && = delete;
#endif

  friend bool operator==(const value &one, const value &other) { return one.view() == other.view(); }
  friend bool operator!=(const value &one, const value &other) { return !(one == other); }
  friend bool operator==(const value &one, value_view other) { return one.view() == other; }
  friend bool operator!=(const value &one, value_view other) { return !(one == other); }
  friend bool operator==(value_view one, const value &other) { return one == other.view(); }
  friend bool operator!=(value_view one, const value &other) { return !(one == other); }

 private:
  explicit value(detail::tree &&tree) noexcept : tree_(std::move(tree)) {}

  template <class Make>
  static value made(const Make &make) {
    encoder room;
    return value(detail::deep_copy(make(room)));
  }

  // The root may be a result of the library instead, which has no block here and is freed as one. Other roots are
  // not touched by that.
  detail::tree tree_;
};

inline subpy_value convert<value>::to_python(const value &from, encoder & /*unused*/) noexcept {
  return from.view().raw();
}
inline result<value> convert<value>::from_python(value_view view) { return value(view); }
inline result<value> convert<value>::take(subpy_value &raw) noexcept { return value::take(raw); }

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_VALUE_HPP
