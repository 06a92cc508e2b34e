/*
 * census: what is in a folder of Python sources, counted by many Python interpreters at once.
 *
 * Each file is parsed with Python's own ast module, first by one interpreter, then by one for each core, and the two
 * results are compared. Each interpreter has its own lock (GIL) and is driven by its own C++ thread, so the threads
 * really compute at the same time. The Python below only looks at one file; sharing out the work, adding up and
 * printing is done in C++, on the plain values that the calls return. census.c is the same in C.
 *
 *     c++ -std=c++17 -O2 census.cpp -lsubpy -pthread -o census
 *     ./census                     the standard library of the Python that subpy finds
 *     ./census -j 8 my_project
 */
#include <getopt.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <future>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "subpy.hpp"

namespace {

/* ---- The Python side ----------------------------------------------------------------------------------------- */

/*
 * sources(folder) lists the files, sorted by path, and the order in which to analyse them: the largest first, so that
 * no thread is left alone with a big one at the end. It reads each file once, for its size and so that both runs find
 * it in the page cache. Paths are bytes, because a file name need not be valid text.
 */
constexpr const char *listing_source = R"(import os
SKIPPED = b'site-packages', b'__pycache__'

def printable(path):
    text = path.decode('utf-8', 'backslashreplace')
    return text if text.isprintable() else ascii(text)[1:-1]

def size(path):
    try:
        with open(path, 'rb') as stream:
            return len(stream.read())
    except OSError:
        return 0

def sources(folder):
    folder = folder or os.fsencode(os.path.dirname(os.__file__))
    paths = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in SKIPPED]
        paths += [os.path.join(parent, name) for name in names if name.endswith(b'.py')]
    files = [{'path': path, 'name': printable(os.path.relpath(path, folder)), 'size': size(path)}
             for path in sorted(filter(os.path.isfile, paths))]
    return {'folder': printable(folder), 'files': files, 'size': sum(file['size'] for file in files),
            'order': sorted(range(len(files)), key=lambda index: -files[index]['size']),
            'cores': min(os.process_cpu_count() or 1, 256)}
)";

/*
 * census(file) looks at one of them. The complexity of a function is McCabe's: one, plus one for each place where its
 * control flow branches: if and elif, conditional expression, for, while, except, a case that can fail to match, the
 * for and each if of a comprehension, each "and" and "or". Functions inside a function count for themselves, lambdas
 * and class bodies for the function around them. The walk keeps its own stack, so no tree is too deep for it.
 */
constexpr const char *census_source = R"(import ast, heapq, warnings
warnings.simplefilter('ignore')     # they are about the analysed code: invalid escapes and the like

FUNCTION = ast.FunctionDef, ast.AsyncFunctionDef
BRANCHES = dict.fromkeys((ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler),
                         lambda node: 1)
BRANCHES[ast.comprehension] = lambda node: 1 + len(node.ifs)
BRANCHES[ast.BoolOp] = lambda node: len(node.values) - 1
BRANCHES[ast.match_case] = lambda node: not always_matches(node)

def always_matches(case):
    return isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is case.guard is None

def survey(tree, file):
    count = dict.fromkeys(('classes', 'imports', 'documentable', 'documented'), 0)
    functions = []
    todo = [(tree, '', {'complexity': 0})]      # node, its scope, the function it counts for
    while todo:
        node, scope, function = todo.pop()
        if isinstance(node, (ast.Module, ast.ClassDef, *FUNCTION)):
            count['documentable'] += 1
            count['documented'] += ast.get_docstring(node, clean=False) is not None
            count['classes'] += isinstance(node, ast.ClassDef)
            if isinstance(node, FUNCTION):
                function = {'name': scope + node.name, 'file': file, 'line': node.lineno, 'complexity': 1}
                functions.append(function)
            if not isinstance(node, ast.Module):
                scope += node.name + '.'
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            count['imports'] += 1
        elif branches := BRANCHES.get(type(node)):
            function['complexity'] += branches(node)
        todo += [(child, scope, function) for child in ast.iter_child_nodes(node)]
    count['functions'] = len(functions)
    count['complexity'] = sum(function['complexity'] for function in functions)
    count['worst'] = heapq.nlargest(10, functions, key=lambda f: (f['complexity'], -f['line']))
    return count

def census(file):
    try:
        with open(file['path'], 'rb') as stream:
            source = stream.read()
        tree = ast.parse(source)
    except Exception as error:      # unreadable, not Python, nested too deeply: a finding like any other
        text = getattr(error, 'msg', None) or getattr(error, 'strerror', None) or str(error)
        if isinstance(error, RecursionError):
            text = 'nested too deeply'      # its own text says how much stack was used: never twice the same
        line = getattr(error, 'lineno', None)
        reason = f'{type(error).__name__}: {text}' + (f', line {line}' if line else '')
        return {'file': file['name'], 'reason': reason if reason.isprintable() else ascii(reason)[1:-1]}
    return survey(tree, file['name']) | {'lines': len(source.splitlines())}
)";

/* ---- One run: as many interpreters as jobs, and a thread for each -------------------------------------------- */

using subpy::interpreter;
using subpy::value;
using subpy::value_view;

constexpr std::size_t top_len = 10, max_jobs = 256, max_rounds = 3;
constexpr double enough_seconds = 15;
constexpr std::array counts{"lines", "functions", "classes", "imports", "documented", "documentable", "complexity"};
constexpr std::size_t shown_counts = 4; /* the first of them stand in the text as they are */

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::int64_t number(value_view dict, std::string_view key) { /* 0 when absent */
  return dict.try_get<std::int64_t>(key).value_or(0);
}

std::string text(value_view dict, std::string_view key) { return dict.get<std::string>(key); }

int terminal_width() {
  winsize size{};
  const char *columns = std::getenv("COLUMNS");
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return columns != nullptr && std::atoi(columns) > 0 ? std::atoi(columns) : 80;
}

/* Progress on stderr: a bar on a terminal, ten times a second at most; else a line each quarter. */
class progress {
 public:
  progress(std::size_t jobs, std::int64_t size) : jobs_(jobs), size_(size) {}
  progress(const progress &) = delete;
  progress &operator=(const progress &) = delete;
  ~progress() {
    if (drawn_ > 0) std::fprintf(stderr, "\r%*s\r", terminal_width() - 1, "");
  }

  void advance(std::int64_t size) {
    const std::lock_guard guard(lock_);
    const int before = percent();
    done_ += size;
    if (isatty(STDERR_FILENO) == 0) {
      if (percent() / 25 > before / 25)
        std::fprintf(stderr, "interpreters: %zu, done: %d %%\n", jobs_, percent() / 25 * 25);
    } else if (now() > drawn_ + 0.1) {
      std::string bar(static_cast<std::size_t>(std::clamp(terminal_width() - 30, 0, 50)), '.');
      std::fill_n(bar.begin(), bar.size() * static_cast<std::size_t>(percent()) / 100, '#');
      std::fprintf(stderr, "\rinterpreters: %-3zu [%s] %3d %%", jobs_, bar.c_str(), percent());
      drawn_ = now();
    }
  }

 private:
  [[nodiscard]] int percent() const { return size_ == 0 ? 100 : static_cast<int>(done_ * 100 / size_); }

  std::mutex lock_;
  std::size_t jobs_;
  std::int64_t size_, done_ = 0;
  double drawn_ = 0; /* when the bar was drawn last */
};

struct run {
  double seconds;
  std::vector<value> reports; /* what census() returned, file by file */
};

/* Every run has interpreters of its own, created and prepared before the clock starts. */
run run_all(const value &listing, std::size_t jobs) {
  std::vector<interpreter> interpreters(jobs);
  for (auto &interp : interpreters) {
    interp = interpreter::create();
    interp.exec(census_source);
  }

  run made{0, std::vector<value>(listing["files"].size())};
  progress bar(jobs, number(listing, "size"));
  std::atomic<std::size_t> next{0}; /* position in order: whoever is free takes it and moves it on */
  const auto work = [&](const interpreter &interp) {
    try {
      for (std::size_t turn = 0; (turn = next++) < made.reports.size();) {
        const auto index = listing.get<std::size_t>("order", turn);
        const value_view file = listing["files"][index];
        made.reports[index] = interp.call<value>("census", file);
        bar.advance(number(file, "size"));
      }
    } catch (...) {
      next = made.reports.size();
      throw;
    }
  };

  std::vector<std::future<void>> threads;
  const double start = now();
  for (const auto &interp : interpreters) threads.push_back(std::async(std::launch::async, work, std::cref(interp)));
  for (auto &thread : threads) thread.wait();
  made.seconds = now() - start;
  for (auto &thread : threads) thread.get();
  return made;
}

/* What the reports add up to. */
struct summary {
  std::array<std::int64_t, counts.size()> count{};
  std::vector<value_view> most_complex; /* in file order where equal */
  std::vector<value_view> failures;
};

summary add_up(const run &done) {
  summary sum;
  for (const auto &report : done.reports) {
    for (std::size_t i = 0; i < counts.size(); i++) sum.count[i] += number(report, counts[i]);
    if (report.contains("reason")) sum.failures.push_back(report);
    if (report.contains("worst")) {
      const auto worst = report["worst"];
      sum.most_complex.insert(sum.most_complex.end(), worst.begin(), worst.end());
    }
  }
  std::stable_sort(sum.most_complex.begin(), sum.most_complex.end(), [](value_view one, value_view other) {
    return number(one, "complexity") > number(other, "complexity");
  });
  const auto top = std::min(sum.most_complex.size(), top_len);
  sum.most_complex.erase(sum.most_complex.begin() + static_cast<std::ptrdiff_t>(top), sum.most_complex.end());
  return sum;
}

/* ---- Printing ------------------------------------------------------------------------------------------------ */

struct outcome {
  const value &listing;
  std::size_t jobs, rounds;
  double one, many; /* seconds, the fastest of the rounds */
  bool same;
  summary sum;
};

void print_count(const char *name, std::int64_t count) { /* 1234567 as 1,234,567 */
  std::string digits = std::to_string(count);
  for (std::size_t end = digits.size(); end > 3; end -= 3) digits.insert(end - 3, ",");
  std::printf("%-18s%12s\n", name, digits.c_str());
}

double ratio(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

void print_text(const outcome &out) {
  const auto [lines, functions, classes, imports, documented, documentable, complexity] = out.sum.count;
  std::printf("%s, Python %s\n\n", text(out.listing, "folder").c_str(), subpy_python_version());
  print_count("files", static_cast<std::int64_t>(out.listing["files"].size()));
  for (std::size_t i = 0; i < shown_counts; i++) print_count(counts[i], out.sum.count[i]);
  std::printf("%-18s%10.1f %%\n", "with docstring", 100 * ratio(documented, documentable));
  std::printf("%-18s%12.2f\n", "mean complexity", ratio(complexity, functions));

  std::printf("\ncomplexity  %-40s  where\n", "function");
  for (const auto one : out.sum.most_complex)
    std::printf("%10" PRId64 "  %-40s  %s:%" PRId64 "\n", number(one, "complexity"), text(one, "name").c_str(),
                text(one, "file").c_str(), number(one, "line"));

  std::printf("\nfiles that cannot be parsed: %zu\n", out.sum.failures.size());
  for (const auto one : out.sum.failures)
    std::printf("  %s: %s\n", text(one, "file").c_str(), text(one, "reason").c_str());

  std::printf("\ntime of the analysis alone%s\n", out.rounds > 1 ? ", the fastest of several rounds" : "");
  std::printf("%4d interpreter   %10.2f s\n", 1, out.one);
  if (out.jobs < 2) {
    std::printf("a speed-up takes two interpreters or more: -j 2\n");
    return;
  }
  std::printf("%4zu interpreters  %10.2f s\n", out.jobs, out.many);
  std::printf("%s\n", out.same ? "all results are identical" : "THE RESULTS DIFFER");
  std::printf("speed-up %.2fx\n", out.one / out.many);
}

/* A value as JSON: those kinds that census() returns. */
std::string json(value_view from) {
  if (from.kind() == subpy::kind::integer) return std::to_string(from.as<std::int64_t>());
  std::string made;
  if (from.kind() == subpy::kind::dict) {
    for (const auto [key, item] : from.pairs()) made += (made.empty() ? "{" : ", ") + json(key) + ": " + json(item);
    return made + "}";
  }
  for (const char letter : from.as<std::string_view>()) { /* valid UTF-8, as JSON wants it */
    char escaped[8];
    const auto code = static_cast<unsigned char>(letter);
    const bool special = letter == '"' || letter == '\\';
    std::snprintf(escaped, sizeof escaped, code < 0x20 ? "\\u%04x" : special ? "\\%c" : "%c", code);
    made += escaped;
  }
  return '"' + made + '"';
}

std::string json(const std::vector<value_view> &list) {
  std::string made;
  for (const auto item : list) made += (made.empty() ? "\n  " : ",\n  ") + json(item);
  return "[" + made + "]";
}

void print_json(const outcome &out) {
  std::printf("{\"folder\": %s, \"python\": \"%s\", \"files\": %zu", json(out.listing["folder"]).c_str(),
              subpy_python_version(), out.listing["files"].size());
  for (std::size_t i = 0; i < counts.size(); i++) std::printf(", \"%s\": %" PRId64, counts[i], out.sum.count[i]);
  std::printf(",\n \"most_complex\": %s,\n \"failures\": %s", json(out.sum.most_complex).c_str(),
              json(out.sum.failures).c_str());
  std::printf(",\n \"rounds\": %zu, \"fastest\": [{\"interpreters\": 1, \"seconds\": %.6f}", out.rounds, out.one);
  if (out.jobs < 2)
    std::printf("],\n \"identical\": null, \"speed_up\": null}\n");
  else
    std::printf(", {\"interpreters\": %zu, \"seconds\": %.6f}],\n \"identical\": %s, \"speed_up\": %.3f}\n", out.jobs,
                out.many, out.same ? "true" : "false", out.one / out.many);
}

/* ---- The program --------------------------------------------------------------------------------------------- */

constexpr const char *usage =
    "usage: census [-j N] [--json] [FOLDER]\n"
    "Analyse the Python sources in FOLDER (default: Python's standard library) with one interpreter,\n"
    "then with N at once, and compare. Folders named site-packages or __pycache__ are left out.\n"
    "  -j N    so many interpreters, 1 to 256 (default: one for each core)\n"
    "  --json  print the result as JSON\n"
    "  --help  print this text\n";

struct options {
  std::size_t jobs = 0; /* 0: one for each core */
  bool json = false;
  const char *folder = nullptr; /* the standard library */
};

options parse_options(int argc, char **argv) {
  static const option names[] = {{"json", 0, nullptr, 'J'}, {"help", 0, nullptr, 'h'}, {}};
  options parsed;
  bool ok = true;
  for (int found = 0; ok && (found = getopt_long(argc, argv, "j:h", names, nullptr)) != -1;) {
    if (found == 'j') {
      char *end = nullptr;
      parsed.jobs = std::strtoul(optarg, &end, 10);
      ok = *end == '\0' && *optarg != '-' && parsed.jobs >= 1 && parsed.jobs <= max_jobs;
    } else if (found == 'J') {
      parsed.json = true;
    } else if (found == 'h') {
      std::fputs(usage, stdout);
      std::exit(0);
    } else {
      ok = false;
    }
  }
  parsed.folder = argv[optind];
  if (!ok || argc - optind > 1) {
    std::fputs(usage, stderr);
    std::exit(2);
  }
  return parsed;
}

/* Asks Python. */
value list_sources(const char *folder) {
  if (folder != nullptr && access(folder, R_OK) != 0)
    throw std::runtime_error(std::string(folder) + ": " + std::strerror(errno));
  const auto interp = interpreter::create();
  interp.exec(listing_source);
  std::optional<subpy::bytes_view> argument;
  if (folder != nullptr) argument.emplace(folder, std::strlen(folder));
  auto listing = interp.call<value>("sources", argument);
  if (listing["files"].size() == 0) throw std::runtime_error("no .py files in " + text(listing, "folder"));
  return listing;
}

/* Totals, failures and the most complex functions all follow from the reports. */
bool same_results(const value &listing, const run &one, const run &other) {
  const auto [at, where] =
      std::mismatch(one.reports.begin(), one.reports.end(), other.reports.begin(), other.reports.end());
  if (at == one.reports.end()) return true;
  const auto index = static_cast<std::size_t>(at - one.reports.begin());
  std::fprintf(stderr, "census: the results for %s differ\n", listing.get<std::string>("files", index, "name").c_str());
  return false;
}

/*
 * True when all runs agree. A short analysis is repeated, one interpreter and many in turn, and the fastest of each
 * counts: what else goes on in the machine can only make a run slower.
 */
bool census(const options &wanted) {
  const value listing = list_sources(wanted.folder);
  const std::size_t jobs = wanted.jobs != 0 ? wanted.jobs : listing.get<std::size_t>("cores");
  const double start = now();
  const run first = run_all(listing, 1);
  double one = first.seconds, many = 0;
  bool same = true;
  std::size_t rounds = 0;
  do {
    if (rounds > 0) {
      const run again = run_all(listing, 1);
      one = std::min(one, again.seconds);
      same = same_results(listing, first, again) && same;
    }
    if (jobs > 1) {
      const run parallel = run_all(listing, jobs);
      many = rounds == 0 ? parallel.seconds : std::min(many, parallel.seconds);
      same = same_results(listing, first, parallel) && same;
    }
    rounds++;
  } while (jobs > 1 && rounds < max_rounds && now() - start < enough_seconds);
  const outcome out{listing, jobs, rounds, one, many, same, add_up(first)};
  (wanted.json ? print_json : print_text)(out);
  return same;
}

}  // namespace

int main(int argc, char **argv) {
  const options wanted = parse_options(argc, argv);
  bool ok = false;
  try {
    ok = census(wanted);
    subpy::shutdown();
  } catch (const subpy::execution_failed &failed) {
    std::fprintf(stderr, "census: %s\n%s\n", failed.what(), std::string(failed.excinfo()->errdisplay()).c_str());
    ok = false;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "census: %s\n", error.what());
    ok = false;
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    std::fprintf(stderr, "census: cannot write the result\n");
    ok = false;
  }
  return ok ? 0 : 1;
}
