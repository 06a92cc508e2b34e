/* Structs that are dicts in Python. */
#ifndef SUBPY_FIELDS_HPP
#define SUBPY_FIELDS_HPP

#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "value.hpp"

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/// A struct that is a dict in Python: derive convert<T> from this and name the members.
///
///   template <>
///   struct subpy::convert<point> : subpy::convert_as_dict<point> {
///     static constexpr auto fields = std::tuple{subpy::field{"x", &point::x}, subpy::field{"y", &point::y}};
///   };
///
/// From Python, a std::optional member may be missing, other keys are ignored, and T is default-constructed first.
template <class T>
struct convert_as_dict {
  static subpy_value to_python(const T &from, encoder &encoder) {
    return std::apply(
        [&](const auto &...fields) { return encoder.dict(kw(fields.name, from.*fields.member)...); },
        convert<T>::fields);
  }

  static result<T> from_python(value_view view) {
    if (view.kind() != kind::dict) return wrong_type<T>(view);
    T to{};
    std::optional<error> wrong;
    std::apply([&](const auto &...fields) { (read(view, fields, to, wrong), ...); }, convert<T>::fields);
    if (wrong) return *wrong;
    return to;
  }

 private:
  template <class M>
  struct is_optional : std::false_type {};
  template <class M>
  struct is_optional<std::optional<M>> : std::true_type {};

  template <class Field>
  static void read(value_view view, const Field &field, T &to, std::optional<error> &wrong) {
    using member = typename Field::member_type;
    if (wrong) return;
    if constexpr (is_optional<member>::value) {
      if (!view.contains(field.name)) return;
    }
    auto found = view.try_get<member>(field.name);
    if (found)
      to.*field.member = *std::move(found);
    else
      wrong = found.error();
  }
};

/// A member of a struct, and its key in the dict.
template <class T, class Member>
struct field {
  using member_type = Member;
  constexpr field(std::string_view key, Member T::*at) noexcept : name(key), member(at) {}

  std::string_view name;
  Member T::*member;
};

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_FIELDS_HPP
