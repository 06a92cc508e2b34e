/* Interpreters. */
#ifndef SUBPY_INTERPRETER_HPP
#define SUBPY_INTERPRETER_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "host.hpp"

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/// What interpreter_ref::memory() says, in bytes.
struct memory_info {
  std::uint64_t used = 0;
  /// The most that were used at one time.
  std::uint64_t peak = 0;
  /// 0: none.
  std::uint64_t limit = 0;
  /// How many times the limit was reached.
  std::uint64_t refused = 0;
};

/// What interpreter_ref::lock_info() says: what holds an interpreter that is locked down.
struct lock_info {
  /// The version of Landlock that keeps it from files; 0: none does. 6 is all that is asked for.
  std::int32_t landlock = 0;
  /// Its system calls are filtered.
  bool seccomp = false;
};

/// An interpreter that somebody else owns, by its handle: may be copied, and may outlive it. Whatever is asked of one
/// that is gone is status::not_found. All operations may be called from any thread at any time.
class interpreter_ref {
 public:
  /// No interpreter.
  interpreter_ref() noexcept = default;
  /// An interpreter of the C interface.
  explicit interpreter_ref(subpy_interp handle) noexcept : handle_(handle) {}

  [[nodiscard]] subpy_interp handle() const noexcept { return handle_; }

  /// Runs statements in `__main__`. Python: Interpreter.exec().
  [[nodiscard]] result<void> try_exec(std::string_view code, const run_options &options = {}) const {
    return try_run<void>(SUBPY_RUN_EXEC, code, options);
  }

  /// Evaluates an expression. void: its value is not converted.
  template <class T>
  [[nodiscard]] result<T> try_eval(std::string_view expression, const run_options &options = {}) const {
    return try_run<T>(SUBPY_RUN_EVAL, expression, options);
  }

  /// Calls something by its name: "name" in `__main__`, or "package.module:attribute.attribute". Arguments are anything
  /// that has a conversion, kw(name, value) and unpack(container). void: what it returns is not converted. Python:
  /// Interpreter.call().
  template <class T = void, class... Args>
  [[nodiscard]] result<T> try_call(std::string_view callable, const Args &...args) const {
    if constexpr (detail::receiver<T>::flags != 0) return try_call<T>(run_options(), callable, args...);
    encoder room;
    const auto gathered = detail::gather(room, args...);
    const subpy_value kwargs = detail::make_dict(gathered.pairs, gathered.pair_count);
    detail::receiver<T> received;
    return received.take(room.passed(subpy_call(handle_, callable.data(), callable.size(), gathered.items,
                                                gathered.item_count, gathered.pair_count == 0 ? nullptr : &kwargs,
                                                received.value(), received.cause())));
  }

  /// The same, with a time limit, a token or an output: `call<int>(options, "f", 1)`.
  template <class T = void, class... Args>
  [[nodiscard]] result<T> try_call(const run_options &options, std::string_view callable, const Args &...args) const {
    if (auto wrong = detail::nul_in(options.filename, "filename")) return *wrong;
    encoder room;
    const auto gathered = detail::gather(room, args...);
    const subpy_value kwargs = detail::make_dict(gathered.pairs, gathered.pair_count);
    subpy_run_request made = call_request(options, callable, gathered, kwargs);
    made.flags |= detail::receiver<T>::flags;
    detail::receiver<T> received;
    return received.take(room.passed(subpy_run(&made, received.value(), received.cause())));
  }

  /// Calls something by its name on a new thread. The arguments are copied first. Python: Interpreter.call_in_thread().
  template <class... Args>
  [[nodiscard]] result<thread> try_call_in_thread(std::string_view callable, const Args &...args) const {
    encoder room;
    const auto gathered = detail::gather(room, args...);
    const subpy_value kwargs = detail::make_dict(gathered.pairs, gathered.pair_count);
    return detail::fetch<thread, subpy_thread>([&](subpy_thread *started, subpy_error **cause) {
      return room.passed(subpy_call_in_thread(handle_, callable.data(), callable.size(), gathered.items,
                                              gathered.item_count, gathered.pair_count == 0 ? nullptr : &kwargs,
                                              started, cause));
    });
  }

  /// The same with options: `call_in_thread(options, "f", 1)`.
  template <class... Args>
  [[nodiscard]] result<thread> try_call_in_thread(const run_options &options, std::string_view callable,
                                                  const Args &...args) const {
    if (auto wrong = detail::nul_in(options.filename, "filename")) return *wrong;
    encoder room;
    const auto gathered = detail::gather(room, args...);
    const subpy_value kwargs = detail::make_dict(gathered.pairs, gathered.pair_count);
    return detail::start(call_request(options, callable, gathered, kwargs), options, [&](auto... given) {
      return room.passed(subpy_run_in_thread(given...));
    });
  }

  /// Looks a callable up, by its name as try_call() takes it, to call it many times.
  [[nodiscard]] result<subpy::function> try_function(std::string_view callable) const {
    return detail::fetch<subpy::function, subpy_function>([&](subpy_function *found, subpy_error **cause) {
      return subpy_function_new(handle_, callable.data(), callable.size(), found, cause);
    });
  }

  /// Keeps this thread in the interpreter as long as the session lasts.
  [[nodiscard]] result<session> try_enter() const {
    if (auto entered = detail::attempt([&](subpy_error **cause) { return subpy_enter(handle_, cause); }); !entered)
      return entered.error();
    return session(handle_);
  }

  /// exec() on a new thread.
  [[nodiscard]] result<thread> try_exec_in_thread(std::string_view code, const run_options &options = {}) const {
    return try_run_in_thread(SUBPY_RUN_EXEC, code, options);
  }

  /// eval() on a new thread.
  [[nodiscard]] result<thread> try_eval_in_thread(std::string_view expression, const run_options &options = {}) const {
    return try_run_in_thread(SUBPY_RUN_EVAL, expression, options);
  }

  /// Binds names in `__main__`: `prepare_main(kw("x", 1), kw("y", "text"))`, or a map with text keys. All or nothing.
  /// Python: Interpreter.prepare_main().
  template <class... Args>
  [[nodiscard]] result<void> try_prepare_main(const Args &...names) const {
    encoder room;
    subpy_value dict{};
    if constexpr (sizeof...(Args) == 1 && !(detail::is_keyword<Args>::value || ...)) {
      ((dict = room.value(names)), ...);
    } else {
      static_assert((detail::is_keyword<Args>::value && ...), "subpy: a name and its value are kw(name, value)");
      dict = room.dict(names...);
    }
    return detail::attempt([&](subpy_error **cause) { return room.passed(subpy_prepare_main(handle_, &dict, cause)); });
  }

  /// Makes a function of the program's callable from Python: "name" in `__main__`, or "module:name", where the module is
  /// made when there is none. A function, a lambda or any object with one operator(); its parameters and its result are
  /// types that have a conversion:
  ///
  ///   interp.define("host:add", [](int a, int b) { return a + b; });
  ///   interp.exec("import host; print(host.add(1, 2))");
  ///
  /// A std::optional parameter may be missing; subpy::positional takes the other positional arguments, subpy::keywords
  /// those by name, and a first parameter of type subpy::context tells about the call. Parameters that point into their
  /// argument, such as std::string_view, are valid during the call.
  ///
  /// The function is called without the GIL, on the thread that Python calls it on, from several at once when it has
  /// several; it may use the interpreter. What it throws becomes a Python exception: a python_exception the type that it
  /// names, an error the Python exception that it is about, the standard exceptions their nearest relatives (see
  /// docs/cpp.md). It is destroyed when Python has no use for it any more, at the latest when the interpreter is closed.
  template <class Function>
  [[nodiscard]] result<void> try_define(std::string_view name, Function &&function,
                                        const define_options &options = {}) const {
    static_assert(detail::has_signature<std::decay_t<Function>>::value,
                  "subpy: a host function is a function or an object with one operator() that is no template");
    using host = detail::host_function<std::decay_t<Function>>;
    if (auto wrong = detail::nul_in(options.signature, "signature")) return *wrong;
    if (auto wrong = detail::nul_in(options.doc, "doc")) return *wrong;
    auto parameters = host::parameters(name, options);
    if (!parameters) return parameters.error();
    const subpy_define_options raw = detail::raw_options(options);
    auto made = std::make_unique<host>(std::forward<Function>(function), *std::move(parameters));
    return detail::attempt([&](subpy_error **cause) {
      return subpy_define_with(handle_, name.data(), name.size(), &raw, host::call, made.release(), host::finalize,
                               cause);
    });
  }

  /// Where stdout and stderr go from now on: `set_output(std::cout)`, `set_output([](subpy::stream, std::string_view) {})`.
  /// Without an argument to the file descriptors again.
  [[nodiscard]] result<void> try_set_output(const output &to = {}) const {
    if (!to) {
      return detail::attempt([&](subpy_error **cause) {
        return subpy_set_output(handle_, nullptr, nullptr, nullptr, cause);
      });
    }
    auto kept = std::make_unique<std::shared_ptr<detail::sink>>(to.shared());
    return detail::attempt([&](subpy_error **cause) {
      return subpy_set_output(handle_, detail::write_to_kept_sink, kept.release(), detail::drop_sink, cause);
    });
  }

  /// Raises KeyboardInterrupt in whatever runs in it now. To stop one run and no other, use run_options::cancel.
  [[nodiscard]] result<void> try_interrupt() const {
    return detail::attempt([&](subpy_error **cause) { return subpy_interrupt(handle_, cause); });
  }

  /// Whether something is being run in it by this library. Python: Interpreter.is_running().
  [[nodiscard]] result<bool> try_is_running() const {
    return detail::fetch<bool>([&](bool *found, subpy_error **cause) {
      return subpy_is_running(handle_, found, cause);
    });
  }

  /// The id that CPython gave it: 0 for main, then ascending. Python: Interpreter.id.
  [[nodiscard]] result<std::int64_t> try_id() const {
    return detail::fetch<std::int64_t>([&](std::int64_t *found, subpy_error **cause) {
      return subpy_id(handle_, found, cause);
    });
  }

  /// Where it came from, in CPython's words, such as "C-API". Static text. Python: Interpreter.whence.
  [[nodiscard]] result<std::string_view> try_whence() const {
    return detail::fetch<std::string_view, const char *>([&](const char **found, subpy_error **cause) {
      return subpy_whence(handle_, found, cause);
    });
  }

  /// What its Python objects take. status::wrong_state when it does not count: interpreter_options::count_memory.
  [[nodiscard]] result<memory_info> try_memory() const {
    subpy_memory_info raw{};
    raw.size = sizeof raw;
    const auto asked = detail::attempt([&](subpy_error **cause) { return subpy_memory(handle_, &raw, cause); });
    if (!asked) return asked.error();
    return memory_info{raw.used, raw.peak, raw.limit, raw.refused};
  }

  /// What holds it. status::wrong_state when it is not interpreter_options::locked.
  [[nodiscard]] result<subpy::lock_info> try_lock_info() const {
    subpy_lock_info raw{};
    raw.size = sizeof raw;
    const auto asked = detail::attempt([&](subpy_error **cause) { return subpy_lock_get_info(handle_, &raw, cause); });
    if (!asked) return asked.error();
    return subpy::lock_info{raw.landlock, raw.seccomp != 0};
  }

  /// Finalizes and destroys it. Waits for the threads that Python code started, without end if one never ends.
  /// status::busy while something runs in it: it stays as it was. Python: Interpreter.close().
  [[nodiscard]] result<void> try_close() const {
    return detail::attempt([&](subpy_error **cause) { return subpy_close(handle_, cause); });
  }

  /// The same with a time limit, and with what becomes of what still runs in it. status::busy: the interpreter is as it
  /// was, and the message says what is still there. status::timeout: it is ending, and has not ended in time.
  [[nodiscard]] result<void> try_close(const close_options &options) const {
    const subpy_close_options raw = detail::raw_options(options);
    return detail::attempt([&](subpy_error **cause) { return subpy_close_with(handle_, &raw, cause); });
  }

#if SUBPY_CPP_EXCEPTIONS
  void exec(std::string_view code, const run_options &options = {}) const { try_exec(code, options).value(); }
  template <class T>
  T eval(std::string_view expression, const run_options &options = {}) const {
    return try_eval<T>(expression, options).value();
  }
  template <class T = void, class... Args>
  T call(std::string_view callable, const Args &...args) const {
    return try_call<T>(callable, args...).value();
  }
  template <class T = void, class... Args>
  T call(const run_options &options, std::string_view callable, const Args &...args) const {
    return try_call<T>(options, callable, args...).value();
  }
  template <class... Args>
  [[nodiscard]] thread call_in_thread(std::string_view callable, const Args &...args) const {
    return try_call_in_thread(callable, args...).value();
  }
  template <class... Args>
  [[nodiscard]] thread call_in_thread(const run_options &options, std::string_view callable,
                                      const Args &...args) const {
    return try_call_in_thread(options, callable, args...).value();
  }
  [[nodiscard]] subpy::function function(std::string_view callable) const { return try_function(callable).value(); }
  [[nodiscard]] session enter() const { return try_enter().value(); }
  [[nodiscard]] thread exec_in_thread(std::string_view code, const run_options &options = {}) const {
    return try_exec_in_thread(code, options).value();
  }
  [[nodiscard]] thread eval_in_thread(std::string_view expression, const run_options &options = {}) const {
    return try_eval_in_thread(expression, options).value();
  }
  template <class... Args>
  void prepare_main(const Args &...names) const {
    try_prepare_main(names...).value();
  }
  template <class Function>
  void define(std::string_view name, Function &&function, const define_options &options = {}) const {
    try_define(name, std::forward<Function>(function), options).value();
  }
  void set_output(const output &to = {}) const { try_set_output(to).value(); }
  void interrupt() const { try_interrupt().value(); }
  [[nodiscard]] bool is_running() const { return try_is_running().value(); }
  [[nodiscard]] std::int64_t id() const { return try_id().value(); }
  [[nodiscard]] std::string_view whence() const { return try_whence().value(); }
  [[nodiscard]] memory_info memory() const { return try_memory().value(); }
  [[nodiscard]] subpy::lock_info lock_info() const { return try_lock_info().value(); }
  void close() const { try_close().value(); }
  void close(const close_options &options) const { try_close(options).value(); }
#endif

  friend bool operator==(interpreter_ref one, interpreter_ref other) noexcept { return one.handle_ == other.handle_; }
  friend bool operator!=(interpreter_ref one, interpreter_ref other) noexcept { return one.handle_ != other.handle_; }
  friend bool operator<(interpreter_ref one, interpreter_ref other) noexcept { return one.handle_ < other.handle_; }

 protected:
  subpy_interp handle_ = 0;

 private:
  /// The request of an exec or eval, which borrows all of it.
  [[nodiscard]] subpy_run_request request(std::int32_t what, std::string_view text,
                                          const run_options &options) const noexcept {
    subpy_run_request made = detail::request_with(options);
    made.interp = handle_;
    made.what = what;
    made.text = text.data();
    made.text_len = text.size();
    return made;
  }

  [[nodiscard]] subpy_run_request call_request(const run_options &options, std::string_view callable,
                                               const detail::arguments &gathered,
                                               const subpy_value &kwargs) const noexcept {
    subpy_run_request made = request(SUBPY_RUN_CALL, callable, options);
    made.args = gathered.items;
    made.nargs = gathered.item_count;
    made.kwargs = gathered.pair_count == 0 ? nullptr : &kwargs;
    return made;
  }

  template <class T>
  result<T> try_run(std::int32_t what, std::string_view text, const run_options &options) const {
    if (auto wrong = detail::nul_in(options.filename, "filename")) return *wrong;
    subpy_run_request made = request(what, text, options);
    made.flags |= detail::receiver<T>::flags;
    detail::receiver<T> received;
    return received.take(subpy_run(&made, received.value(), received.cause()));
  }

  [[nodiscard]] result<thread> try_run_in_thread(std::int32_t what, std::string_view text,
                                                 const run_options &options) const {
    if (auto wrong = detail::nul_in(options.filename, "filename")) return *wrong;
    return detail::start(request(what, text, options), options, subpy_run_in_thread);
  }
};

namespace detail {

/// The options as the C interface takes them, with the lists that they point to.
class raw_interpreter_options {
 public:
  explicit raw_interpreter_options(const interpreter_options &options) : wrong_(fill(options)) {}

  /// What is wrong with them.
  [[nodiscard]] const std::optional<error> &wrong() const noexcept { return wrong_; }
  /// As long as this and the options are there.
  [[nodiscard]] const subpy_interp_options *get() const noexcept { return &raw_; }

 private:
  std::optional<error> fill(const interpreter_options &options) {
    if (auto wrong = path_.fill(options.path, "path")) return wrong;
    if (auto wrong = readable_.fill(options.readable, "readable")) return wrong;
    if (auto wrong = writable_.fill(options.writable, "writable")) return wrong;
    if (auto wrong = nul_in(options.venv, "venv")) return wrong;
    raw_.size = sizeof raw_;
    raw_.gil = static_cast<std::int32_t>(options.gil);
    raw_.busy = static_cast<std::int32_t>(options.busy);
    raw_.flags = flag(options.allow_fork, SUBPY_INTERP_ALLOW_FORK) | flag(options.allow_exec, SUBPY_INTERP_ALLOW_EXEC) |
                 flag(options.no_threads, SUBPY_INTERP_NO_THREADS) |
                 flag(options.allow_daemon_threads, SUBPY_INTERP_ALLOW_DAEMON_THREADS) |
                 flag(options.no_extension_check, SUBPY_INTERP_NO_EXTENSION_CHECK) |
                 flag(options.unbuffered, SUBPY_INTERP_UNBUFFERED) | flag(options.no_stdin, SUBPY_INTERP_NO_STDIN) |
                 flag(options.tagged_values, SUBPY_INTERP_TAGGED_VALUES) |
                 flag(options.count_memory, SUBPY_INTERP_COUNT_MEMORY) | flag(options.process, SUBPY_INTERP_PROCESS) |
                 flag(options.locked, SUBPY_INTERP_LOCKED) |
                 flag(options.lock_best_effort, SUBPY_INTERP_LOCK_BEST_EFFORT);
    raw_.timeout_ms = limit_of(options.timeout);
    raw_.path = path_.get();
    raw_.path_len = options.path.size();
    raw_.memory_limit = options.memory_limit;
    raw_.grace_ms = static_cast<std::uint64_t>(limit_of(options.grace));
    raw_.cpu_limit_ms = static_cast<std::uint64_t>(limit_of(options.cpu_limit));
    raw_.readable = readable_.get();
    raw_.writable = writable_.get();
    raw_.venv = options.venv.empty() ? nullptr : options.venv.c_str();
    return std::nullopt;
  }

  subpy_interp_options raw_{};
  text_list path_;
  text_list readable_;
  text_list writable_;
  std::optional<error> wrong_;
};

}  // namespace detail

inline interpreter_ref context::interpreter() const noexcept { return interpreter_ref(subpy_context_interp(raw_)); }

inline result<interpreter_ref> object::try_interpreter() const {
  return detail::fetch<interpreter_ref, subpy_interp>([&](subpy_interp *found, subpy_error **cause) {
    return subpy_object_interp(handle(), found, cause);
  });
}
#if SUBPY_CPP_EXCEPTIONS
inline interpreter_ref object::interpreter() const { return try_interpreter().value(); }
#endif

/// An interpreter and the duty to close it. Movable, not copyable; all else is in interpreter_ref, which it converts to.
///
/// Destroying one that is open closes it, and waits as close() does. A destructor cannot fail, closing can: when something
/// still runs in it (status::busy), it stays open, the error goes to the unraisable hook, which prints it, and
/// list_all() still has it. Call close() where that matters. One that was closed already, by shutdown() too, is fine.
class interpreter : public interpreter_ref {
 public:
  /// No interpreter: a place for one.
  interpreter() noexcept = default;
  /// Takes over the duty to close this one.
  explicit interpreter(interpreter_ref taken) noexcept : interpreter_ref(taken) {}

  interpreter(const interpreter &) = delete;
  interpreter &operator=(const interpreter &) = delete;
  interpreter(interpreter &&other) noexcept : interpreter_ref(other.release()) {}
  /// Closes what it had, as the destructor does.
  interpreter &operator=(interpreter &&other) noexcept {
    if (this != &other) {
      close_quietly();
      handle_ = other.release().handle();
    }
    return *this;
  }
  ~interpreter() { close_quietly(); }

  /// Gives up the duty to close it.
  interpreter_ref release() noexcept { return interpreter_ref(std::exchange(handle_, 0)); }

  /// Creates an interpreter. Starts the runtime when it is not running. Python: create().
  [[nodiscard]] static result<interpreter> try_create(const interpreter_options &options = {}) {
    if (auto wrong = detail::version_mismatch()) return *wrong;
    const detail::raw_interpreter_options raw(options);
    if (raw.wrong()) return *raw.wrong();
    const auto created = detail::fetch<interpreter_ref, subpy_interp>([&](subpy_interp *to, subpy_error **cause) {
      return subpy_create(raw.get(), to, cause);
    });
    if (!created) return created.error();
    return interpreter(*created);
  }

  /// All interpreters by ascending id: main, yours, and those that Python code created. Python: list_all().
  [[nodiscard]] static result<std::vector<interpreter_ref>> try_list_all() {
    if (auto wrong = detail::version_mismatch()) return *wrong;
    std::vector<subpy_interp> handles(16);
    std::size_t count = 0;
    do {  // others may create some meanwhile
      handles.resize(std::max(handles.size(), count));
      subpy_error *cause = nullptr;
      const subpy_status code = subpy_list_all(handles.data(), handles.size(), &count, &cause);
      if (code != SUBPY_OK) return error(code, cause);
    } while (count > handles.size());
    std::vector<interpreter_ref> found;
    found.reserve(count);
    for (std::size_t i = 0; i < count; i++) found.emplace_back(handles[i]);
    return found;
  }

  /// The one that the calling thread is in; status::not_found when it is in none. Python: get_current().
  [[nodiscard]] static result<interpreter_ref> try_get_current() {
    if (auto wrong = detail::version_mismatch()) return *wrong;
    return detail::fetch<interpreter_ref, subpy_interp>(subpy_get_current);
  }

  /// The main interpreter, which can run code and cannot be closed. Python: get_main().
  [[nodiscard]] static result<interpreter_ref> try_get_main() {
    if (auto wrong = detail::version_mismatch()) return *wrong;
    return detail::fetch<interpreter_ref, subpy_interp>(subpy_get_main);
  }

  /// The one with this id. Python: Interpreter(id).
  [[nodiscard]] static result<interpreter_ref> try_find(std::int64_t id) {
    if (auto wrong = detail::version_mismatch()) return *wrong;
    return detail::fetch<interpreter_ref, subpy_interp>([&](subpy_interp *found, subpy_error **cause) {
      return subpy_find(id, found, cause);
    });
  }

#if SUBPY_CPP_EXCEPTIONS
  [[nodiscard]] static interpreter create(const interpreter_options &options = {}) {
    return try_create(options).value();
  }
  [[nodiscard]] static std::vector<interpreter_ref> list_all() { return try_list_all().value(); }
  [[nodiscard]] static interpreter_ref get_current() { return try_get_current().value(); }
  [[nodiscard]] static interpreter_ref get_main() { return try_get_main().value(); }
  [[nodiscard]] static interpreter_ref find(std::int64_t id) { return try_find(id).value(); }
#endif

 private:
  void close_quietly() noexcept {
    if (handle_ == 0) return;
    subpy_error *cause = nullptr;
    const subpy_status code = subpy_close(std::exchange(handle_, 0), &cause);
    if (code == SUBPY_OK) return;
    const bool already = code == SUBPY_ERROR_NOT_FOUND;
    const bool of_the_parent = code == SUBPY_ERROR_FORKED;  // this is a child
    if (already || of_the_parent)
      subpy_error_free(cause);
    else
      detail::report(code, cause);
  }
};

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

template <>
struct std::hash<subpy::interpreter_ref> {
  std::size_t operator()(subpy::interpreter_ref ref) const noexcept { return std::hash<subpy_interp>()(ref.handle()); }
};

#endif  // SUBPY_INTERPRETER_HPP
