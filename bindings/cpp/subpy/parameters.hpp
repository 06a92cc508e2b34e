/* What a function of the program takes, and how Python's arguments find their places. */
#ifndef SUBPY_PARAMETERS_HPP
#define SUBPY_PARAMETERS_HPP

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raise.hpp"

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/// A parameter of a host function: the positional arguments that no other parameter takes. Valid during the call.
class positional {
 public:
  positional(const subpy_value *items, std::size_t count) noexcept : items_(items, count), first_(items) {}

  [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] auto begin() const noexcept { return items_.begin(); }
  [[nodiscard]] auto end() const noexcept { return items_.end(); }

  [[nodiscard]] subpy_value raw() const noexcept {
    return detail::make_sequence(SUBPY_KIND_TUPLE, first_, items_.size());
  }

 private:
  items_view items_;
  const subpy_value *first_;
};

/// A parameter of a host function: the keyword arguments that no other parameter takes. Valid during the call.
class keywords {
 public:
  keywords(const subpy_pair *pairs, std::size_t count) noexcept : raw_(detail::make_dict(pairs, count)) {}

  [[nodiscard]] std::size_t size() const noexcept { return raw_.len; }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] bool contains(std::string_view name) const noexcept { return view().contains(name); }
  [[nodiscard]] std::optional<value_view> find(std::string_view name) const noexcept { return view().find(name); }
  /// The one of this name as a T, or an error.
  template <class T>
  [[nodiscard]] result<T> try_get(std::string_view name) const {
    return view().try_get<T>(name);
  }
#if SUBPY_CPP_EXCEPTIONS
  template <class T>
  [[nodiscard]] T get(std::string_view name) const {
    return try_get<T>(name).value();
  }
#endif
  /// `for (auto [name, value] : keywords)`
  [[nodiscard]] auto begin() const noexcept { return view().pairs().begin(); }
  [[nodiscard]] auto end() const noexcept { return view().pairs().end(); }

  [[nodiscard]] const subpy_value &raw() const noexcept { return raw_; }

 private:
  [[nodiscard]] value_view view() const noexcept { return value_view(raw_); }

  subpy_value raw_;
};

/// Passing them on.
template <>
struct convert<positional> {
  static subpy_value to_python(const positional &from, encoder & /*unused*/) noexcept { return from.raw(); }
};
template <>
struct convert<keywords> {
  static subpy_value to_python(const keywords &from, encoder & /*unused*/) noexcept { return from.raw(); }
};

namespace detail {

/// What Python passed.
struct passed {
  const subpy_value *args;
  std::size_t nargs;
  const subpy_pair *kwargs;
  std::size_t nkwargs;
};

/// One parameter of a host function.
struct parameter {
  /// Empty: it can be passed by position alone.
  std::string name;
  bool optional = false;
};

/// What a host function takes, and how arguments find their places.
class parameter_list {
 public:
  parameter_list(std::string_view function, std::vector<parameter> all, bool rest, bool names)
      : function_(function.substr(function.rfind(':') + 1)),
        all_(std::move(all)),
        positional_(all_.size()),
        rest_(rest),
        names_(names) {}

  /// Takes the names from a signature such as "(a, /, b=0, *rest, c=None, **names)".
  [[nodiscard]] result<void> read(std::string_view signature) {
    std::size_t found = 0;
    std::vector<std::string_view> parts = split(signature);
    for (const std::string_view part : parts) {
      const std::string_view name = part.substr(0, part.find_first_of("=: \t\n"));
      if (name == "/") {
        for (std::size_t i = 0; i < std::min(found, all_.size()); i++) all_[i].name.clear();
      } else if (name.substr(0, 1) == "*") {
        if (name.substr(0, 2) != "**") positional_ = std::min(found, all_.size());
      } else {
        if (found < all_.size()) all_[found].name = name;
        found++;
      }
    }
    if (found == all_.size()) return {};
    return error(status::invalid_argument, "signature: " + std::to_string(found) + " parameters, the function has " +
                                               std::to_string(all_.size()));
  }

  /// Finds the argument of each parameter; null where there is none. What is left over by name goes to `left`, if there is
  /// a parameter for that. Returns what is wrong.
  [[nodiscard]] std::optional<std::string> place(const passed &from, const subpy_value **places,
                                                 std::vector<subpy_pair> &left) const {
    for (std::size_t i = 0; i < positional_ && i < from.nargs; i++) places[i] = &from.args[i];
    if (from.nargs > positional_ && !rest_) return count_is_wrong(from.nargs);
    for (std::size_t i = 0; i < from.nkwargs; i++) {
      const subpy_pair &pair = from.kwargs[i];
      const std::string_view name(pair.key.u.as_str, pair.key.len);
      const std::size_t at = index_of(name);
      if (at == all_.size()) {
        if (!names_) return function_ + "() got an unexpected keyword argument " + quoted(name);
        left.push_back(pair);
      } else if (places[at] != nullptr) {
        return function_ + "() got multiple values for argument " + quoted(name);
      } else {
        places[at] = &pair.value;
      }
    }
    for (std::size_t i = 0; i < all_.size(); i++) {
      if (places[i] != nullptr || all_[i].optional) continue;
      if (all_[i].name.empty()) return count_is_wrong(from.nargs);
      return function_ + "() missing required argument " + quoted(all_[i].name) + " (pos " + std::to_string(i + 1) + ")";
    }
    return std::nullopt;
  }

  /// How many arguments by position have parameters of their own.
  [[nodiscard]] std::size_t positional_count() const noexcept { return positional_; }

  /// What an argument is called in a message.
  [[nodiscard]] std::string word_for(std::size_t index) const {
    const std::string &name = all_[index].name;
    return function_ + "() argument " + (name.empty() ? std::to_string(index + 1) : quoted(name));
  }

 private:
  /// The parts of "(a, b=(1, 2))" between the outer commas, without what is around them.
  static std::vector<std::string_view> split(std::string_view signature) {
    std::vector<std::string_view> parts;
    const std::size_t open = signature.find('(');
    if (open == std::string_view::npos) return parts;
    std::size_t depth = 0;
    char quote = 0;
    std::size_t start = open + 1;
    for (std::size_t i = start; i < signature.size(); i++) {
      const char letter = signature[i];
      const bool ends = depth == 0 && quote == 0 && (letter == ',' || letter == ')');
      if (ends) {
        add_stripped(parts, signature.substr(start, i - start));
        start = i + 1;
        if (letter == ')') break;
      } else if (quote != 0) {
        if (letter == '\\')
          i++;
        else if (letter == quote)
          quote = 0;
      } else if (letter == '\'' || letter == '"') {
        quote = letter;
      } else if (letter == '(' || letter == '[' || letter == '{') {
        depth++;
      } else if (letter == ')' || letter == ']' || letter == '}') {
        depth--;
      }
    }
    return parts;
  }

  static void add_stripped(std::vector<std::string_view> &parts, std::string_view part) {
    const std::size_t first = part.find_first_not_of(" \t\n");
    if (first != std::string_view::npos) parts.push_back(part.substr(first));
  }

  [[nodiscard]] std::size_t index_of(std::string_view name) const noexcept {
    std::size_t index = 0;
    while (index < all_.size() && (name.empty() || all_[index].name != name)) index++;
    return index;
  }

  [[nodiscard]] std::string count_is_wrong(std::size_t given) const {
    std::size_t least = 0;
    for (std::size_t i = 0; i < positional_; i++) least += all_[i].optional ? 0U : 1U;
    std::string takes = function_ + "() takes ";
    if (rest_)
      takes += "at least " + std::to_string(least);
    else if (least < positional_)
      takes += "from " + std::to_string(least) + " to " + std::to_string(positional_);
    else
      takes += std::to_string(positional_);
    const bool one = (rest_ ? least : positional_) == 1;
    return takes + " positional argument" + (one ? "" : "s") + " but " + std::to_string(given) +
           (given == 1 ? " was given" : " were given");
  }

  std::string function_;
  std::vector<parameter> all_;
  std::size_t positional_;
  bool rest_;
  bool names_;
};

}  // namespace detail

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_PARAMETERS_HPP
