/* What a conversion is: `convert<T>`, and what its authors use. */
#ifndef SUBPY_CONVERT_HPP
#define SUBPY_CONVERT_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "result.hpp"

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/* ---------------------------------------------------------------------------------------------------------------------
 * Conversions
 *
 * convert<T> turns a T into a Python value and back. That is how the types of the standard library do it
 * (standard.hpp), and how yours can:
 *
 *   template <>
 *   struct subpy::convert<point> {
 *     static subpy_value to_python(const point &p, subpy::encoder &encoder) { return encoder.tuple(p.x, p.y); }
 *     static subpy::result<point> from_python(subpy::value_view view) {
 *       auto x = view.try_get<double>(0);
 *       if (!x) return x.error();
 *       auto y = view.try_get<double>(1);
 *       if (!y) return y.error();
 *       return point{*x, *y};
 *     }
 *   };
 *
 * A type that goes one way only leaves the other function out. For structs that are dicts in Python there is
 * convert_as_dict. from_python() reports what is wrong in its result: conversion_error("..."), wrong_type<T>(view), or
 * the error of a part.
 * --------------------------------------------------------------------------------------------------------------------- */

class encoder;
class object;
class value;
class value_view;

/// How a C++ type becomes a Python value and back. To be specialised.
///
///   subpy_value to_python(const T &, encoder &)   What it points to lives as long as the T, or in the encoder.
///   result<T> from_python(value_view)
///   std::string name()                            Optional: what messages call the type.
///   bool borrows                                  Optional: true when a T points into the value that it came from,
///                                                 as std::string_view does. It can then be no result of a call.
///   std::uint32_t wants                           Optional: the SUBPY_RESULT_* that a result with a T in it needs.
template <class T, class Enable = void>
struct convert {};

/// What a value is.
enum class kind : std::int32_t {
  none = SUBPY_KIND_NONE,
  boolean = SUBPY_KIND_BOOL,
  /// An int that fits std::int64_t.
  integer = SUBPY_KIND_INT,
  /// Any other int.
  bigint = SUBPY_KIND_BIGINT,
  floating = SUBPY_KIND_FLOAT,
  str = SUBPY_KIND_STR,
  bytes = SUBPY_KIND_BYTES,
  tuple = SUBPY_KIND_TUPLE,
  list = SUBPY_KIND_LIST,
  dict = SUBPY_KIND_DICT,
  /// Something that stays in Python: subpy::object.
  object = SUBPY_KIND_OBJECT,
  /// Memory that is not copied: subpy::buffer_view.
  buffer = SUBPY_KIND_BUFFER,
  queue = SUBPY_KIND_QUEUE,
};

/// Which Python type a value is of, when its kind does not tell; see interpreter_options::tagged_values. Such a value is
/// also read as what its kind says.
enum class tag : std::uint32_t {
  none = 0,
  /// A list.
  set = SUBPY_TAG_SET,
  /// A tuple.
  frozenset = SUBPY_TAG_FROZENSET,
  /// A tuple of two floats.
  complex = SUBPY_TAG_COMPLEX,
  /// A str as date.isoformat() makes it.
  date = SUBPY_TAG_DATE,
  /// A str as time.isoformat() makes it.
  time = SUBPY_TAG_TIME,
  /// A str as datetime.isoformat() makes it.
  datetime = SUBPY_TAG_DATETIME,
  /// A tuple of three ints: days, seconds, microseconds.
  timedelta = SUBPY_TAG_TIMEDELTA,
  /// A str.
  decimal = SUBPY_TAG_DECIMAL,
  /// A str.
  uuid = SUBPY_TAG_UUID,
  /// A member of an Enum: a tuple of "module:qualname", the name and the value.
  enumeration = SUBPY_TAG_ENUM,
  /// A dict of the fields, behind an entry "__class__": "module:qualname".
  dataclass = SUBPY_TAG_DATACLASS,
};

namespace detail {

/// What an argument is converted as: without const and reference, and a text literal as a pointer.
template <class T>
using plain = std::remove_cv_t<std::decay_t<T>>;

template <class T, class = void>
struct has_to_python : std::false_type {};
template <class T>
struct has_to_python<
    T, std::void_t<decltype(convert<T>::to_python(std::declval<const T &>(), std::declval<encoder &>()))>>
    : std::true_type {};

template <class T, class = void>
struct has_from_python : std::false_type {};
template <class T>
struct has_from_python<T, std::void_t<decltype(convert<T>::from_python(std::declval<value_view>()))>> : std::true_type {
};

template <class T, class = void>
struct borrows : std::false_type {};
template <class T>
struct borrows<T, std::void_t<decltype(convert<T>::borrows)>> : std::bool_constant<convert<T>::borrows> {};

template <class... Ts>
inline constexpr bool any_borrows = (borrows<Ts>::value || ...);

template <class T, class = void>
struct wants : std::integral_constant<std::uint32_t, 0> {};
template <class T>
struct wants<T, std::void_t<decltype(convert<T>::wants)>> : std::integral_constant<std::uint32_t, convert<T>::wants> {};

template <class... Ts>
inline constexpr std::uint32_t all_want = (std::uint32_t{0} | ... | wants<Ts>::value);

/// A T that may keep a result instead of reading it.
template <class T, class = void>
struct has_take : std::false_type {};
template <class T>
struct has_take<T, std::void_t<decltype(convert<T>::take(std::declval<subpy_value &>()))>> : std::true_type {};

template <class T, class = void>
struct has_name : std::false_type {};
template <class T>
struct has_name<T, std::void_t<decltype(convert<T>::name())>> : std::true_type {};

/// The name of a type as the compiler spells it, without run-time type information.
template <class T>
std::string spelled() {
#if defined(__GNUC__)
  const std::string_view function = __PRETTY_FUNCTION__;  // "... [with T = point; ...]", "... [T = point]"
  const std::size_t start = function.find("T = ");
  if (start != std::string_view::npos) {
    const std::string_view rest = function.substr(start + 4);
    return std::string(rest.substr(0, rest.find_first_of(";]")));
  }
#endif
  return "the C++ type";
}

template <class T>
std::string name_of() {
  if constexpr (has_name<T>::value)
    return convert<T>::name();
  else
    return spelled<T>();
}

template <class First, class... Rest>
std::string names_of() {
  return (name_of<First>() + ... + (", " + name_of<Rest>()));
}

/// Without the union, which the others fill in.
inline subpy_value make(std::int32_t what, std::size_t length = 0) noexcept { return {what, 0, length, {}}; }

inline subpy_value make_bool(bool value) noexcept {
  subpy_value made = make(SUBPY_KIND_BOOL);
  made.u.as_bool = value;
  return made;
}

inline subpy_value make_int(std::int64_t value) noexcept {
  subpy_value made = make(SUBPY_KIND_INT);
  made.u.as_int = value;
  return made;
}

inline subpy_value make_float(double value) noexcept {
  subpy_value made = make(SUBPY_KIND_FLOAT);
  made.u.as_float = value;
  return made;
}

/// A str or a bigint.
inline subpy_value make_text(std::int32_t what, std::string_view text) noexcept {
  subpy_value made = make(what, text.size());
  made.u.as_str = text.data();
  return made;
}

inline subpy_value make_bytes(const void *data, std::size_t size) noexcept {
  subpy_value made = make(SUBPY_KIND_BYTES, size);
  made.u.as_bytes = static_cast<const std::uint8_t *>(data);
  return made;
}

/// A list or a tuple.
inline subpy_value make_sequence(std::int32_t what, const subpy_value *items, std::size_t count) noexcept {
  subpy_value made = make(what, count);
  made.u.as_items = items;
  return made;
}

inline subpy_value make_dict(const subpy_pair *pairs, std::size_t count) noexcept {
  subpy_value made = make(SUBPY_KIND_DICT, count);
  made.u.as_pairs = pairs;
  return made;
}

constexpr std::uint32_t tag_bits = 0xFF;

inline subpy_value with_tag(tag what, subpy_value made) noexcept {
  made.flags |= static_cast<std::uint32_t>(what);
  return made;
}

inline subpy_value make_object(subpy_object handle) noexcept {
  subpy_value made = make(SUBPY_KIND_OBJECT);
  made.u.as_object = handle;
  return made;
}

inline subpy_value make_buffer(const subpy_buffer *buffer) noexcept {
  subpy_value made = make(SUBPY_KIND_BUFFER);
  made.u.as_buffer = buffer;
  return made;
}

inline bool is_text(const subpy_value &raw) noexcept {
  return raw.kind == SUBPY_KIND_STR || raw.kind == SUBPY_KIND_BYTES || raw.kind == SUBPY_KIND_BIGINT;
}

inline bool is_sequence(const subpy_value &raw) noexcept {
  return raw.kind == SUBPY_KIND_TUPLE || raw.kind == SUBPY_KIND_LIST;
}

inline bool points_to_something(const subpy_value &raw) noexcept {
  return is_text(raw) || is_sequence(raw) || raw.kind == SUBPY_KIND_DICT;
}

/// A null pointer with a length, such as subpy_str(NULL, SUBPY_AUTO_LEN): an argument that the library refuses.
inline bool points_nowhere(const subpy_value &raw) noexcept {
  return points_to_something(raw) && raw.len != 0 && raw.u.as_bytes == nullptr;
}

/// A text as a part of a message: in one line, and not endless.
inline std::string shortened(std::string_view text) {
  constexpr std::size_t limit = 60;
  std::string_view rest;
  if (text.size() > limit) {
    std::size_t end = limit;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) end--;  // not inside a character
    text = text.substr(0, end);
    rest = "...";
  }
  std::string shown;
  for (const char letter : text) shown += static_cast<unsigned char>(letter) < 0x20 || letter == 0x7F ? ' ' : letter;
  return shown.append(rest);
}

inline std::string quoted(std::string_view text) { return "'" + shortened(text) + "'"; }

inline std::string element(std::size_t index) { return "[" + std::to_string(index) + "]"; }
inline std::string element(std::string_view key) { return "[" + quoted(key) + "]"; }

}  // namespace detail

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_CONVERT_HPP
