// The runtime: started with options, shut down while objects are left, started again.
#include "test.hpp"

int main() {
  CHECK(subpy::version() == SUBPY_VERSION && subpy::version_string() == subpy_version_string());
  CHECK(subpy::python_version().empty() && subpy::python_library().empty());
  CHECK(subpy::try_shutdown().has_value());

  subpy::runtime_options wrong;
  wrong.python = std::string("a\0b", 3);
  CHECK_ERROR(subpy::try_init(wrong), invalid_argument, "python: a NUL inside: 'a b'");
  wrong = {};
  wrong.worker = std::string("a\0b", 3);
  CHECK_ERROR(subpy::try_init(wrong), invalid_argument, "worker: a NUL inside: 'a b'");
  wrong = {};
  wrong.preload = {"json", std::string("a\0b", 3)};
  CHECK_ERROR(subpy::try_init(wrong), invalid_argument, "preload: a NUL inside: 'a b'");
  wrong = {};
  wrong.python = "/none/python3";
  CHECK(subpy::try_init(wrong).error().code() == subpy::status::python_not_found);

  subpy::runtime_options options;
  options.no_site = true;
  options.keep_sigpipe = true;
  options.preload = {"json"};
  subpy::init(options);
  subpy::init(options);
  options.preload = {"decimal"};
  CHECK(subpy::try_init(options).error().code() == subpy::status::wrong_state);
  CHECK(subpy::python_version().substr(0, 2) == "3." && subpy::python_library().find("libpython") != std::string::npos);
  CHECK_THROWS(subpy::wrong_state_error,
               "subpy is running already, with other options; call subpy_init() before the first use, or subpy_shutdown() first",
               subpy::init());

  subpy::interpreter left = subpy::interpreter::create();
  CHECK(!left.eval<bool>("'site' in __import__('sys').modules"));
  subpy::thread thread = left.eval_in_thread("1");
  while (left.is_running()) {
  }
  while (subpy::try_shutdown().has_value() == false) {  // busy until the run is over
  }
  CHECK(left.try_exec("pass").error().code() == subpy::status::not_found);
  CHECK(thread.try_join().error().code() == subpy::status::not_found);

  auto again = subpy::interpreter::create();
  CHECK(again.eval<bool>("'site' in __import__('sys').modules"));
  left = std::move(again);  // what it held is gone already, which is fine
  left.close();
  subpy::shutdown();
  return 0;
}
