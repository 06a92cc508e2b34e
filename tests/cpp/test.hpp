// What the C++ tests share. A test is a program: it returns 0 when everything is as it should be.
#ifndef TEST_HPP
#define TEST_HPP

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "subpy.hpp"

// Ends the program, naming the place and what was wrong.
#define CHECK(...)                                                                   \
  do {                                                                               \
    if (!(__VA_ARGS__)) {                                                            \
      std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #__VA_ARGS__); \
      std::exit(1);                                                                  \
    }                                                                                \
  } while (false)

// Two texts are equal; shows both when they are not.
#define CHECK_TEXT(found, expected) check_text(__FILE__, __LINE__, found, expected)

inline void check_text(const char *file, int line, std::string_view found, std::string_view expected) {
  if (found == expected) return;
  std::fprintf(stderr, "%s:%d: the text is\n  %.*s\nnot\n  %.*s\n", file, line, static_cast<int>(found.size()),
               found.data(), static_cast<int>(expected.size()), expected.data());
  std::exit(1);
}

// A result with an error of this code and this message.
#define CHECK_ERROR(outcome, expected_code, expected_message)        \
  do {                                                               \
    const auto outcome_ = (outcome);                                 \
    CHECK(!outcome_);                                                \
    CHECK_TEXT(outcome_.error().what(), expected_message);           \
    CHECK(outcome_.error().code() == subpy::status::expected_code);  \
  } while (false)

#if SUBPY_CPP_EXCEPTIONS
// The code throws this class, with this message.
#define CHECK_THROWS(type, expected_message, ...)                                    \
  do {                                                                               \
    bool thrown_ = false;                                                            \
    try {                                                                            \
      static_cast<void>(__VA_ARGS__);                                                \
    } catch (const type &error_) {                                                   \
      thrown_ = true;                                                                \
      CHECK_TEXT(error_.what(), expected_message);                                   \
    }                                                                                \
    CHECK(thrown_ && #type " was thrown");                                           \
  } while (false)
#endif

#endif
