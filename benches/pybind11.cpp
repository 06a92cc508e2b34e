/*
 * pybind11's py::subinterpreter: modes are "fresh" (py::subinterpreter_scoped_activate makes a thread state at each
 * entry, the function is looked up by name) and "kept" (py::subinterpreter_thread_state, a reference to the function).
 * Conversions are those of its documentation.
 */
#include <optional>
#include <string>
#include <vector>

#include <pybind11/embed.h>
#include <pybind11/stl.h>
#include <pybind11/subinterpreter.h>

#include "worker.h"

namespace py = pybind11;

struct slot {
  py::subinterpreter interp;
  PyObject *functions[FUNCTION_COUNT];
};

static bool keeps;
static thread_local std::optional<py::subinterpreter_thread_state> kept;

static void start(const char *mode, const char *executable, const char *) {
  keeps = strcmp(mode, "kept") == 0;
  PyConfig config;
  PyConfig_InitIsolatedConfig(&config);
  PyConfig_SetBytesString(&config, &config.executable, executable);
  py::initialize_interpreter(&config);
  PyEval_SaveThread();
}

/** Runs what is given inside of the interpreter. */
template <typename Body>
static auto inside(slot *at, Body body) {
  if (kept) {
    py::subinterpreter_scoped_activate scope(*kept);
    return body();
  }
  py::subinterpreter_scoped_activate scope(at->interp);
  return body();
}

static slot *slot_create(const char *) { return new slot{py::subinterpreter::create(), {}}; }

static bool has_queue(void) { return false; }

static void slot_exec(slot *at, const char *source) {
  inside(at, [&] { py::exec(source); });
}

static void slot_prepare(slot *at) {
  inside(at, [&] {
    py::module_ main = py::module_::import("__main__");
    const void *data = &host_data;
    const auto sum = [data](int64_t a, int64_t b) { return host_sum(data, a, b); };
    main.attr("host") = py::cpp_function(sum, py::call_guard<py::gil_scoped_release>());
    main.attr("host_with_gil") = py::cpp_function(sum);
    for (int i = 0; i < FUNCTION_COUNT; i++)
      at->functions[i] = main.attr(names[i]).cast<py::object>().release().ptr();
  });
}

static void slot_close(slot *at) { delete at; }

static void slot_begin(slot *at) {
  if (keeps) kept.emplace(at->interp);
}

static void slot_end(slot *) { kept.reset(); }

/** Gives the function to `body`, `times` times; what it returns outlives the interpreter. */
template <typename Body>
static auto calls(slot *at, int function, int64_t times, Body body) {
  const py::handle held = at->functions[function];
  const auto one = [&] {
    return inside(at, [&] {
      if (keeps) return body(held);
      return body(py::object(py::module_::import("__main__").attr(names[function])));
    });
  };
  while (--times > 0) one();
  return one();
}

static int64_t call_0(slot *at, int64_t count) {
  return calls(at, F_nothing, count, [](py::handle function) { return function().is_none() ? 0 : 1; });
}

static int64_t call_2(slot *at, int64_t count) {
  return calls(at, F_add, count, [](py::handle function) { return function(1000, 2000).cast<int64_t>(); });
}

static int64_t many(slot *at, int64_t rows, int64_t count) { return rows * call_2(at, rows * count); }

static int64_t texts(slot *at, const char *data, size_t size, int64_t count) {
  const auto result = calls(at, F_same, count, [&](py::handle function) {
    return function(py::str(data, size)).cast<std::string>();
  });
  return result == std::string(data, size) ? static_cast<int64_t>(result.size()) : -1;
}

static int64_t text(slot *at, int64_t count) { return texts(at, some_text, TEXT, count); }

static int64_t text_short(slot *at, int64_t count) { return texts(at, some_text, TEXT_SHORT, count); }

static int64_t text_wide(slot *at, int64_t count) { return texts(at, some_wide_text, TEXT, count); }

static int64_t bytes(slot *at, int64_t count) {
  const auto result = calls(at, F_same, count, [](py::handle function) {
    return function(py::bytes(reinterpret_cast<char *>(some_bytes), size_t{BYTES})).cast<std::string>();
  });
  return memcmp(result.data(), some_bytes, BYTES) == 0 ? static_cast<int64_t>(result.size()) : -1;
}

static int64_t list_in(slot *at, int64_t count) {
  static const std::vector<int64_t> numbers(some_numbers, some_numbers + NUMBERS);
  return calls(at, F_length, count, [](py::handle function) { return function(numbers).cast<int64_t>(); });
}

static int64_t list_out(slot *at, int64_t count) {
  const auto numbers = calls(at, F_numbers, count, [](py::handle function) {
    return function().cast<std::vector<int64_t>>();
  });
  return check_numbers(numbers.data(), numbers.size());
}

static int64_t floats(slot *at, int64_t count) {
  static const std::vector<double> numbers(some_floats, some_floats + NUMBERS);
  const auto result = calls(at, F_same, count, [](py::handle function) {
    return function(numbers).cast<std::vector<double>>();
  });
  return check_floats(result.data(), result.size());
}

static int64_t dict_in(slot *at, int64_t count) {
  return calls(at, F_length, count, [](py::handle function) {
    py::dict table;
    for (const row &from : some_rows) {
      py::dict fields;
      fields["id"] = from.id;
      fields["name"] = from.name;
      fields["price"] = from.price;
      fields["active"] = from.active;
      table[from.key] = fields;
    }
    return function(table).cast<int64_t>();
  });
}

static int64_t dict_out(slot *at, int64_t count) {
  struct item {
    std::string key, name;
    int64_t id;
    double price;
    bool active;
  };
  const auto table = calls(at, F_table, count, [](py::handle function) {
    std::vector<item> rows;
    for (const auto &[key, value] : function().cast<py::dict>()) {
      const auto from = py::reinterpret_borrow<py::dict>(value);
      rows.push_back({key.cast<std::string>(), from["name"].cast<std::string>(), from["id"].cast<int64_t>(),
                      from["price"].cast<double>(), from["active"].cast<bool>()});
    }
    return rows;
  });
  int64_t check = 0;
  for (const item &at_ : table) check += check_row(at_.key.size(), at_.name.size(), at_.id, at_.price, at_.active);
  return check;
}

static int64_t evals(slot *at, const char *expression, int64_t count) {
  int64_t value = 0;
  while (count-- > 0) value = inside(at, [&] { return py::eval(expression).cast<int64_t>(); });
  return value;
}

static int64_t print(slot *at, int64_t count) {
  return calls(at, F_say, 1, [&](py::handle function) { return function(count).is_none() ? 0 : 1; });
}

static int64_t exception(slot *at, int64_t count) {
  const auto what = calls(at, F_fail, count, [](py::handle function) -> std::string {
    try {
      function();
      return "";
    } catch (const py::error_already_set &error) {
      return error.what();
    }
  });
  return check_traceback(what.c_str());
}

static int64_t spin(slot *at, int64_t count) {
  return calls(at, F_spin, count, [](py::handle function) { return function().cast<int64_t>(); });
}

static int64_t host(slot *at, int64_t count) {
  return calls(at, F_ask, 1, [&](py::handle function) { return function(count).cast<int64_t>(); });
}

static int64_t host_with_gil(slot *at, int64_t count) {
  return calls(at, F_ask_with_gil, 1, [&](py::handle function) { return function(count).cast<int64_t>(); });
}

// What it has not: work.py does not ask.
static int64_t run_2(slot *at, int64_t count) { return call_2(at, count); }

static int64_t run_2_limit(slot *at, int64_t count) { return call_2(at, count); }

static void run_cancelled(slot *, int, int) { die("no way to cancel"); }

static void cancel(slot *) { die("no way to cancel"); }
