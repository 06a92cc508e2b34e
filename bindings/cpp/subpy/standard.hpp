/* The types of the standard library. */
#ifndef SUBPY_STANDARD_HPP
#define SUBPY_STANDARD_HPP

#include <array>
#include <chrono>
#include <cmath>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#if __cplusplus >= 202002L
#include <span>
#endif

#include "buffer.hpp"

namespace subpy {
inline namespace SUBPY_CPP_MODE {

namespace detail {

/// Numbers. The character types are none: `char` is a std::string or an int, and only the caller knows which.
template <class T>
inline constexpr bool is_integer = std::is_integral_v<T> && !is_one_of<T, bool, char, wchar_t, char16_t, char32_t
#if defined(__cpp_char8_t)
                                                                       ,
                                                                       char8_t
#endif
                                                                       >;

template <class T>
[[nodiscard]] error misfit(value_view view, const std::string &shown) {
  return conversion_error(std::string(view.type_name()) + " " + shown + " does not fit " + name_of<T>());
}

/// "-0x1ff", when its size fits 64 bits.
inline std::optional<std::pair<bool, std::uint64_t>> sign_and_size(std::string_view hex) noexcept {
  const bool negative = !hex.empty() && hex.front() == '-';
  hex.remove_prefix(negative ? 1 : 0);
  if (hex.substr(0, 2) != "0x" && hex.substr(0, 2) != "0X") return std::nullopt;
  std::uint64_t size = 0;
  for (const char digit : hex.substr(2)) {
    const unsigned value = digit >= '0' && digit <= '9'   ? static_cast<unsigned>(digit - '0')
                           : digit >= 'a' && digit <= 'f' ? static_cast<unsigned>(digit - 'a') + 10
                           : digit >= 'A' && digit <= 'F' ? static_cast<unsigned>(digit - 'A') + 10
                                                          : 16;
    if (value == 16 || size >> 60U != 0) return std::nullopt;
    size = size << 4U | value;
  }
  return std::pair(negative, size);
}

inline std::string hexadecimal(std::uint64_t size) {
  char digits[19];
  std::snprintf(digits, sizeof digits, "0x%llx", static_cast<unsigned long long>(size));
  return digits;
}

/// Whether a T may come out of this kind: saves trying the alternatives of a variant that cannot fit.
template <class T>
bool may_be(kind from) noexcept {
  if constexpr (std::is_same_v<T, bool>) return from == kind::boolean;
  if constexpr (is_integer<T>) return from == kind::integer || from == kind::bigint;
  if constexpr (std::is_floating_point_v<T>) return from == kind::floating || from == kind::integer;
  if constexpr (is_one_of<T, std::string, std::string_view>) return from == kind::str;
  if constexpr (is_one_of<T, std::monostate, std::nullptr_t>) return from == kind::none;
  return true;
}

}  // namespace detail

template <>
struct convert<bool> {
  static std::string name() { return "bool"; }
  static subpy_value to_python(bool from, encoder & /*unused*/) noexcept { return detail::make_bool(from); }
  static result<bool> from_python(value_view view) {
    if (view.kind() != kind::boolean) return wrong_type<bool>(view);
    return view.raw().u.as_bool;
  }
};

/// Integers of every size, signed or not. An int that does not fit is an error.
template <class T>
struct convert<T, std::enable_if_t<detail::is_integer<T>>> {
  static std::string name() {
    return (std::is_signed_v<T> ? "std::int" : "std::uint") + std::to_string(sizeof(T) * 8) + "_t";
  }

  static subpy_value to_python(T from, encoder &encoder) {
    static_assert(sizeof(T) <= sizeof(std::int64_t), "subpy: this integer is too large");
    if constexpr (std::is_unsigned_v<T> && sizeof(T) == sizeof(std::int64_t)) {
      if (from > static_cast<T>(std::numeric_limits<std::int64_t>::max())) {
        const std::string hex = detail::hexadecimal(from);
        return detail::make_text(SUBPY_KIND_BIGINT, {encoder.keep(hex), hex.size()});
      }
    }
    return detail::make_int(static_cast<std::int64_t>(from));
  }

  static result<T> from_python(value_view view) {
    const subpy_value &raw = view.raw();
    if (raw.kind == SUBPY_KIND_INT) {
      const auto found = static_cast<T>(raw.u.as_int);
      if (static_cast<std::int64_t>(found) == raw.u.as_int && (found < T{}) == (raw.u.as_int < 0)) return found;
      return detail::misfit<T>(view, std::to_string(raw.u.as_int));
    }
    if (raw.kind != SUBPY_KIND_BIGINT) return wrong_type<T>(view);
    const std::string_view hex(raw.u.as_str, raw.len);
    if (const auto number = detail::sign_and_size(hex)) {
      // -size in two's complement; what does not fit comes out as another number or sign
      const auto [negative, size] = *number;
      const std::uint64_t bits = negative ? ~size + 1 : size;
      const auto found = static_cast<T>(bits);
      const bool same = static_cast<std::uint64_t>(found) == bits;
      if (same && (found < T{}) == (negative && size != 0)) return found;
    }
    return detail::misfit<T>(view, detail::shortened(hex));
  }
};

/// double and float. An int is fine when a T holds it exactly. A float that is too large for a C++ float is an error;
/// one that is not has its last digits rounded off.
template <class T>
struct convert<T, std::enable_if_t<detail::is_one_of<T, double, float>>> {
  static std::string name() { return std::is_same_v<T, double> ? "double" : "float"; }

  static subpy_value to_python(T from, encoder & /*unused*/) noexcept {
    return detail::make_float(static_cast<double>(from));
  }

  static result<T> from_python(value_view view) {
    const subpy_value &raw = view.raw();
    if (raw.kind == SUBPY_KIND_FLOAT) {
      if constexpr (std::is_same_v<T, float>) {
        if (std::isfinite(raw.u.as_float) && std::fabs(raw.u.as_float) > std::numeric_limits<float>::max())
          return detail::misfit<T>(view, std::to_string(raw.u.as_float));
      }
      return static_cast<T>(raw.u.as_float);
    }
    if (raw.kind == SUBPY_KIND_INT) {
      const auto found = static_cast<T>(raw.u.as_int);
      constexpr T limit = static_cast<T>(std::uint64_t{1} << 63U);  // too large to be turned back
      if (found < limit && static_cast<std::int64_t>(found) == raw.u.as_int) return found;
      return detail::misfit<T>(view, std::to_string(raw.u.as_int));
    }
    if (raw.kind == SUBPY_KIND_BIGINT)
      return detail::misfit<T>(view, detail::shortened({raw.u.as_str, raw.len}));
    return wrong_type<T>(view);
  }
};

/// An int of any size.
template <>
struct convert<bigint> {
  static std::string name() { return "subpy::bigint"; }
  static subpy_value to_python(const bigint &from, encoder & /*unused*/) noexcept {
    return detail::make_text(SUBPY_KIND_BIGINT, from.hex);
  }
  static result<bigint> from_python(value_view view) {
    const subpy_value &raw = view.raw();
    if (raw.kind == SUBPY_KIND_BIGINT) return bigint{std::string(raw.u.as_str, raw.len)};
    if (raw.kind != SUBPY_KIND_INT) return wrong_type<bigint>(view);
    const bool negative = raw.u.as_int < 0;
    const auto bits = static_cast<std::uint64_t>(raw.u.as_int);
    return bigint{(negative ? "-" : "") + detail::hexadecimal(negative ? ~bits + 1 : bits)};
  }
};

template <class Allocator>
struct convert<std::basic_string<char, std::char_traits<char>, Allocator>> {
  using text = std::basic_string<char, std::char_traits<char>, Allocator>;
  static std::string name() { return "std::string"; }
  static subpy_value to_python(const text &from, encoder & /*unused*/) noexcept {
    return detail::make_text(SUBPY_KIND_STR, from);
  }
  static result<text> from_python(value_view view) {
    if (view.kind() != kind::str) return wrong_type<text>(view);
    return result<text>(std::in_place, view.raw().u.as_str, view.raw().len);
  }
};

template <>
struct convert<std::string_view> {
  static constexpr bool borrows = true;
  static std::string name() { return "std::string_view"; }
  static subpy_value to_python(std::string_view from, encoder & /*unused*/) noexcept {
    return detail::make_text(SUBPY_KIND_STR, from);
  }
  static result<std::string_view> from_python(value_view view) {
    if (view.kind() != kind::str) return wrong_type<std::string_view>(view);
    return std::string_view(view.raw().u.as_str, view.raw().len);
  }
};

/// Text up to its NUL, and text literals. A null pointer is status::invalid_argument.
template <>
struct convert<const char *> {
  static subpy_value to_python(const char *from, encoder & /*unused*/) noexcept {
    return subpy_str(from, SUBPY_AUTO_LEN);
  }
};

template <>
struct convert<char *> : convert<const char *> {};

template <>
struct convert<bytes_view> {
  static constexpr bool borrows = true;
  static std::string name() { return "subpy::bytes_view"; }
  static subpy_value to_python(bytes_view from, encoder & /*unused*/) noexcept {
    return detail::make_bytes(from.data(), from.size());
  }
  static result<bytes_view> from_python(value_view view) {
    if (view.kind() != kind::bytes) return wrong_type<bytes_view>(view);
    return bytes_view(view.raw().u.as_bytes, view.raw().len);
  }
};

/// None, and nothing else.
template <>
struct convert<std::nullptr_t> {
  static std::string name() { return "std::nullptr_t"; }
  static subpy_value to_python(std::nullptr_t /*unused*/, encoder & /*unused*/) noexcept { return subpy_value{}; }
  static result<std::nullptr_t> from_python(value_view view) {
    if (!view.is_none()) return wrong_type<std::nullptr_t>(view);
    return nullptr;
  }
};

/// As an argument: there is no std::nullopt_t to make.
template <>
struct convert<std::nullopt_t> {
  static subpy_value to_python(std::nullopt_t /*unused*/, encoder & /*unused*/) noexcept { return subpy_value{}; }
};

template <>
struct convert<std::monostate> {
  static std::string name() { return "std::monostate"; }
  static subpy_value to_python(std::monostate /*unused*/, encoder & /*unused*/) noexcept { return subpy_value{}; }
  static result<std::monostate> from_python(value_view view) {
    if (!view.is_none()) return wrong_type<std::monostate>(view);
    return std::monostate{};
  }
};

/// None is std::nullopt.
template <class T>
struct convert<std::optional<T>> {
  static constexpr bool borrows = detail::borrows<T>::value;
  static constexpr std::uint32_t wants = detail::wants<T>::value;
  static std::string name() { return "std::optional<" + detail::name_of<T>() + ">"; }
  static subpy_value to_python(const std::optional<T> &from, encoder &encoder) {
    return from ? encoder.value(*from) : subpy_value{};
  }
  static result<std::optional<T>> from_python(value_view view) {
    if (view.is_none()) return std::optional<T>();
    auto found = view.try_as<T>();
    if (!found) return found.error();
    return std::optional<T>(*std::move(found));
  }
};

/// Bytes are bytes, anything else is a list. A tuple, a set and a buffer of one dimension from Python are fine too.
template <class T, class Allocator>
struct convert<std::vector<T, Allocator>> {
  using sequence = std::vector<T, Allocator>;
  static constexpr bool borrows = detail::borrows<T>::value;
  static constexpr std::uint32_t wants = detail::wants<T>::value;
  static std::string name() { return "std::vector<" + detail::name_of<T>() + ">"; }

  static subpy_value to_python(const sequence &from, encoder &encoder) {
    if constexpr (detail::is_byte<T>)
      return detail::make_bytes(from.data(), from.size());
    else
      return encoder.list(from);
  }

  static result<sequence> from_python(value_view view) {
    const subpy_value &raw = view.raw();
    if constexpr (!detail::borrows<T>::value) {
      if (raw.kind == SUBPY_KIND_BUFFER) return detail::read_items<T, sequence>(view);
    }
    if constexpr (detail::is_byte<T>) {
      if (raw.kind != SUBPY_KIND_BYTES) return wrong_type<sequence>(view);
      const auto *data = reinterpret_cast<const T *>(raw.u.as_bytes);
      return result<sequence>(std::in_place, data, data + raw.len);
    } else {
      if (!detail::is_sequence(raw)) return wrong_type<sequence>(view);
      sequence to;
      to.reserve(raw.len);
      for (std::size_t i = 0; i < raw.len; i++) {
        auto item = value_view(raw.u.as_items[i]).try_as<T>();
        if (!item) return detail::conversion_path::within(item.error(), detail::element(i));
        to.push_back(*std::move(item));
      }
      return to;
    }
  }
};

namespace detail {

template <class T>
[[nodiscard]] error wrong_length(value_view view) {
  return conversion_error(std::string(view.type_name()) + " of length " + std::to_string(view.size()) +
                          " does not convert to " + name_of<T>());
}

}  // namespace detail

/// As std::vector, of exactly this length. T is default-constructed first.
template <class T, std::size_t N>
struct convert<std::array<T, N>> {
  static constexpr bool borrows = detail::borrows<T>::value;
  static constexpr std::uint32_t wants = detail::wants<T>::value;
  static std::string name() { return "std::array<" + detail::name_of<T>() + ", " + std::to_string(N) + ">"; }

  static subpy_value to_python(const std::array<T, N> &from, encoder &encoder) {
    if constexpr (detail::is_byte<T>)
      return detail::make_bytes(from.data(), N);
    else
      return encoder.list(from);
  }

  static result<std::array<T, N>> from_python(value_view view) {
    const subpy_value &raw = view.raw();
    const bool right = detail::is_byte<T> ? raw.kind == SUBPY_KIND_BYTES : detail::is_sequence(raw);
    if (!right) return wrong_type<std::array<T, N>>(view);
    if (raw.len != N) return detail::wrong_length<std::array<T, N>>(view);
    std::array<T, N> to{};
    if constexpr (detail::is_byte<T>) {
      std::transform(raw.u.as_bytes, raw.u.as_bytes + N, to.begin(), [](std::uint8_t byte) { return T{byte}; });
    } else {
      for (std::size_t i = 0; i < N; i++) {
        auto item = value_view(raw.u.as_items[i]).try_as<T>();
        if (!item) return detail::conversion_path::within(item.error(), detail::element(i));
        to[i] = *std::move(item);
      }
    }
    return to;
  }
};

#if defined(__cpp_lib_span)
/// As the std::vector of these, without a copy before the call. Arguments only.
template <class T, std::size_t Extent>
struct convert<std::span<T, Extent>> {
  static subpy_value to_python(std::span<T, Extent> from, encoder &encoder) {
    if constexpr (detail::is_byte<std::remove_cv_t<T>>)
      return detail::make_bytes(from.data(), from.size());
    else
      return encoder.list(from);
  }
};
#endif

/// A tuple; a list from Python is fine too. The length has to be right.
template <class... Ts>
struct convert<std::tuple<Ts...>> {
  static constexpr bool borrows = detail::any_borrows<Ts...>;
  static constexpr std::uint32_t wants = detail::all_want<Ts...>;
  static std::string name() {
    if constexpr (sizeof...(Ts) == 0)
      return "std::tuple<>";
    else
      return "std::tuple<" + detail::names_of<Ts...>() + ">";
  }

  static subpy_value to_python(const std::tuple<Ts...> &from, encoder &encoder) {
    return std::apply([&](const auto &...parts) { return encoder.tuple(parts...); }, from);
  }

  static result<std::tuple<Ts...>> from_python(value_view view) {
    if (!detail::is_sequence(view.raw())) return wrong_type<std::tuple<Ts...>>(view);
    if (view.size() != sizeof...(Ts)) return detail::wrong_length<std::tuple<Ts...>>(view);
    return read(view, std::index_sequence_for<Ts...>());
  }

 private:
  template <std::size_t... Is>
  static result<std::tuple<Ts...>> read(value_view view, std::index_sequence<Is...> /*unused*/) {
    [[maybe_unused]] const subpy_value *items = view.raw().u.as_items;
    std::tuple<result<Ts>...> parts{value_view(items[Is]).template try_as<Ts>()...};
    std::optional<error> wrong;
    [[maybe_unused]] const auto look = [&](std::size_t index, const auto &part) {
      if (!wrong && !part) wrong = detail::conversion_path::within(part.error(), detail::element(index));
    };
    (look(Is, std::get<Is>(parts)), ...);
    if (wrong) return *wrong;
    return std::tuple<Ts...>(*std::move(std::get<Is>(parts))...);
  }
};

/// A tuple of two.
template <class First, class Second>
struct convert<std::pair<First, Second>> {
  static constexpr bool borrows = detail::any_borrows<First, Second>;
  static constexpr std::uint32_t wants = detail::all_want<First, Second>;
  static std::string name() { return "std::pair<" + detail::names_of<First, Second>() + ">"; }

  static subpy_value to_python(const std::pair<First, Second> &from, encoder &encoder) {
    return encoder.tuple(from.first, from.second);
  }

  static result<std::pair<First, Second>> from_python(value_view view) {
    if (!detail::is_sequence(view.raw())) return wrong_type<std::pair<First, Second>>(view);
    if (view.size() != 2) return detail::wrong_length<std::pair<First, Second>>(view);
    auto first = view.try_get<First>(0);
    if (!first) return first.error();
    auto second = view.try_get<Second>(1);
    if (!second) return second.error();
    return std::pair<First, Second>(*std::move(first), *std::move(second));
  }
};

namespace detail {

template <class Map>
struct convert_map {
  using key_type = typename Map::key_type;
  using mapped_type = typename Map::mapped_type;
  static constexpr bool borrows = any_borrows<key_type, mapped_type>;
  static constexpr std::uint32_t wants = all_want<key_type, mapped_type>;

  static subpy_value to_python(const Map &from, encoder &encoder) {
    subpy_pair *pairs = encoder.pairs(from.size());
    std::size_t count = 0;
    for (const auto &[key, mapped] : from)
      ::new (&pairs[count++]) subpy_pair{encoder.value(key), encoder.value(mapped)};
    return make_dict(pairs, count);
  }

  static result<Map> from_python(value_view view) {
    if (view.kind() != kind::dict) return wrong_type<Map>(view);
    Map to;
    for (const pairs_view::entry from : view.pairs()) {
      auto key = from.key.try_as<key_type>();
      if (!key) return conversion_path::within(key.error(), way(from.key));
      auto mapped = from.value.try_as<mapped_type>();
      if (!mapped) return conversion_path::within(mapped.error(), way(from.key));
      if (!to.try_emplace(*std::move(key), *std::move(mapped)).second)
        return conversion_path::within(conversion_error("another key is the same " + name_of<key_type>()),
                                       way(from.key));
    }
    return to;
  }

 private:
  static std::string way(value_view key) {
    if (const auto text = key.try_as<std::string_view>()) return element(*text);
    if (const auto number = key.try_as<std::int64_t>()) return "[" + std::to_string(*number) + "]";
    return std::string("[") + key.type_name() + "]";
  }
};

}  // namespace detail

/// A dict.
template <class Key, class T, class Compare, class Allocator>
struct convert<std::map<Key, T, Compare, Allocator>> : detail::convert_map<std::map<Key, T, Compare, Allocator>> {
  static std::string name() { return "std::map<" + detail::names_of<Key, T>() + ">"; }
};

template <class Key, class T, class Hash, class Equal, class Allocator>
struct convert<std::unordered_map<Key, T, Hash, Equal, Allocator>>
    : detail::convert_map<std::unordered_map<Key, T, Hash, Equal, Allocator>> {
  static std::string name() { return "std::unordered_map<" + detail::names_of<Key, T>() + ">"; }
};

namespace detail {

template <class Set>
struct convert_set {
  using key_type = typename Set::key_type;
  static constexpr bool borrows = detail::borrows<key_type>::value;
  static constexpr std::uint32_t wants = detail::wants<key_type>::value;

  static subpy_value to_python(const Set &from, encoder &encoder) {
    return with_tag(tag::set, encoder.list(from));
  }

  static result<Set> from_python(value_view view) {
    if (view.tag() != tag::set && view.tag() != tag::frozenset) return wrong_type<Set>(view);
    Set to;
    for (const value_view item : view.items()) {
      auto key = item.try_as<key_type>();
      if (!key) return key.error();
      if (!to.insert(*std::move(key)).second)
        return conversion_error("two items are the same " + name_of<key_type>());
    }
    return to;
  }
};

}  // namespace detail

/// A set; a frozenset from Python is fine too. From interpreters with interpreter_options::tagged_values.
template <class Key, class Compare, class Allocator>
struct convert<std::set<Key, Compare, Allocator>> : detail::convert_set<std::set<Key, Compare, Allocator>> {
  static std::string name() { return "std::set<" + detail::name_of<Key>() + ">"; }
};

template <class Key, class Hash, class Equal, class Allocator>
struct convert<std::unordered_set<Key, Hash, Equal, Allocator>>
    : detail::convert_set<std::unordered_set<Key, Hash, Equal, Allocator>> {
  static std::string name() { return "std::unordered_set<" + detail::name_of<Key>() + ">"; }
};

/// From interpreters with interpreter_options::tagged_values.
template <>
struct convert<std::complex<double>> {
  static std::string name() { return "std::complex<double>"; }
  static subpy_value to_python(const std::complex<double> &from, encoder &encoder) {
    return detail::with_tag(tag::complex, encoder.tuple(from.real(), from.imag()));
  }
  static result<std::complex<double>> from_python(value_view view) {
    if (view.tag() != tag::complex || view.size() != 2) return wrong_type<std::complex<double>>(view);
    const subpy_value *parts = view.raw().u.as_items;
    return std::complex<double>(parts[0].u.as_float, parts[1].u.as_float);
  }
};

/// A datetime.timedelta, which has microseconds too. From interpreters with interpreter_options::tagged_values.
template <>
struct convert<std::chrono::microseconds> {
  using rep = std::chrono::microseconds::rep;
  static constexpr rep in_second = 1000000;
  static constexpr rep in_day = 86400 * in_second;

  static std::string name() { return "std::chrono::microseconds"; }

  static subpy_value to_python(std::chrono::microseconds from, encoder &encoder) {
    const rep days = from.count() / in_day - (from.count() % in_day < 0 ? 1 : 0);
    const rep rest = (from.count() % in_day + in_day) % in_day;
    return detail::with_tag(tag::timedelta, encoder.tuple(days, rest / in_second, rest % in_second));
  }

  static result<std::chrono::microseconds> from_python(value_view view) {
    if (view.tag() != tag::timedelta || view.size() != 3) return wrong_type<std::chrono::microseconds>(view);
    const subpy_value *parts = view.raw().u.as_items;
    const rep days = parts[0].u.as_int;
    const rep rest = parts[1].u.as_int * in_second + parts[2].u.as_int;
    // Both of one sign, so that what fits is not too large on the way.
    const rep whole = days < 0 ? days + 1 : days;
    const rep part = days < 0 ? rest - in_day : rest;
    constexpr rep last = std::numeric_limits<rep>::max() / in_day;
    constexpr rep last_part = std::numeric_limits<rep>::max() % in_day;
    if (whole < -last || whole > last || (whole == last && part > last_part) || (whole == -last && part < -last_part - 1))
      return detail::misfit<std::chrono::microseconds>(view, "of " + std::to_string(days) + " days");
    return std::chrono::microseconds(whole * in_day + part);
  }
};

/// From Python: the first alternative that fits. An int is a double only when no other alternative takes it.
template <class... Ts>
struct convert<std::variant<Ts...>> {
  using variant = std::variant<Ts...>;
  static constexpr bool borrows = detail::any_borrows<Ts...>;
  static constexpr std::uint32_t wants = detail::all_want<Ts...>;
  static std::string name() { return "std::variant<" + detail::names_of<Ts...>() + ">"; }

  static subpy_value to_python(const variant &from, encoder &encoder) {
    return write(from, encoder, std::index_sequence_for<Ts...>());
  }

  static result<variant> from_python(value_view view) {
    std::optional<variant> found;
    const bool is_int = view.kind() == kind::integer;
    read(view, found, is_int, std::index_sequence_for<Ts...>());
    if (!found && is_int) read(view, found, false, std::index_sequence_for<Ts...>());
    if (!found) return wrong_type<variant>(view);
    return *std::move(found);
  }

 private:
  template <std::size_t... Is>
  static subpy_value write(const variant &from, encoder &encoder, std::index_sequence<Is...> /*unused*/) {
    subpy_value made{};  // None, too, for a variant that is valueless by exception
    ((from.index() == Is ? void(made = encoder.value(*std::get_if<Is>(&from))) : void()), ...);
    return made;
  }

  template <std::size_t... Is>
  static void read(value_view view, std::optional<variant> &found, bool exact, std::index_sequence<Is...> /*unused*/) {
    (attempt<Is>(view, found, exact), ...);
  }

  template <std::size_t I>
  static void attempt(value_view view, std::optional<variant> &found, bool exact) {
    using alternative = std::variant_alternative_t<I, variant>;
    if (found || !detail::may_be<alternative>(view.kind())) return;
    if (exact && std::is_floating_point_v<alternative>) return;
    if (auto fits = view.try_as<alternative>()) found.emplace(std::in_place_index<I>, *std::move(fits));
  }
};

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_STANDARD_HPP
