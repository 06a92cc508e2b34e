//! The C++ header: its tests and examples run, it compiles without warnings in each mode that it promises, and what
//! must not compile does not, with a reason.

#[path = "install/expected.rs"]
mod expected;
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use support::{bounded, build_folder, command, compiler, expect_success, have, library_folder, python, root};

const HOW_CLANG: &str = "install the package clang";

/// The warnings that the header must not give to those who include it.
const WARNINGS: [&str; 8] =
    ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Wold-style-cast", "-Werror"];

/// A C++ compiler and its language.
fn cpp(program: &str, standard: &str) -> Command {
    let mut command = if program == "c++" { compiler(true) } else { Command::new(program) };
    command.args(WARNINGS).arg(format!("-std={standard}")).arg("-pthread");
    command.arg("-I").arg(root().join("include")).arg("-I").arg(root().join("bindings/cpp"));
    command
}

/// Links what the compiler was given into a program that finds the library of this test.
fn link(mut compiler: Command, name: &str) -> Program {
    let folder = library_folder();
    let path = build_folder().join(format!("cpp-{name}-{}", std::process::id()));
    compiler.arg("-o").arg(&path).arg("-L").arg(&folder).arg("-lsubpy");
    compiler.arg(format!("-Wl,--disable-new-dtags,-rpath,{}", folder.display()));
    expect_success(compiler);
    Program(path)
}

/// A program that is removed in the end.
struct Program(PathBuf);

impl Program {
    fn run(&self) -> Output {
        expect_success(command(&self.0))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn source(name: &str, text: &str) -> PathBuf {
    let path = build_folder().join(format!("{}-{name}", std::process::id()));
    std::fs::write(&path, text).expect("the source can be written");
    path
}

fn test_file(name: &str) -> PathBuf {
    root().join("tests/cpp").join(format!("{name}.cpp"))
}

/// A unit with several programs, each with a main of its own; its main runs those that it is given the names of, or all.
fn together(name: &str, files: impl IntoIterator<Item = PathBuf>) -> PathBuf {
    let (mut text, mut runs) = (String::from("#include <cstring>\n"), String::new());
    for file in files {
        let test = stem(&file);
        text += &format!("#define main main_of_{test}\n#include \"{}\"\n#undef main\n", file.display());
        runs += &format!("  if ((argc < 2 || asked(argv, \"{test}\")) && (++ran, main_of_{test}() != 0)) return 1;\n");
    }
    let asked = "static bool asked(char **name, const char *test) {\n  \
                 while (*++name) if (!std::strcmp(*name, test)) return true;\n  return false;\n}\n";
    let failed = "(argc < 2 ? ran == 0 : ran != argc - 1)";
    let main = format!("{asked}int main(int argc, char **argv) {{\n  int ran = 0;\n{runs}  return {failed};\n}}\n");
    source(name, &(text + &main))
}

fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).expect("a name")
}

/// What a file of tests/cpp is to be compiled with besides.
fn mode(name: &str) -> &'static [&'static str] {
    if name == "no_exceptions" { &["-fno-exceptions", "-fno-rtti"] } else { &[] }
}

// ---- the tests ----

/// Tests that can be in one unit, and one after the other in one process: most of the time that it takes to compile one goes into the
/// header.
const SHARED: [&str; 13] = [
    "buffers",
    "conversions",
    "custom",
    "errors",
    "functions",
    "host",
    "objects",
    "output",
    "pools",
    "queues",
    "tagged",
    "threads",
    "values",
];

fn run(name: &str) {
    if SHARED.contains(&name) {
        let mut run = command(shared());
        run.arg(name);
        expect_success(run);
        return;
    }
    let mut compiler = cpp("c++", "c++17");
    compiler.args(mode(name)).arg(test_file(name));
    link(compiler, name).run();
}

/// The program with all that are shared. The next time that they run takes its place.
fn shared() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let unit = together("shared.cpp", SHARED.map(test_file));
        let mut compiler = cpp("c++", "c++17");
        compiler.arg(&unit);
        let program = link(compiler, "shared");
        let _ = std::fs::remove_file(unit);
        let path = build_folder().join("cpp-shared");
        std::fs::rename(&program.0, &path).expect("a program");
        path
    })
}

macro_rules! cpp_tests {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                run(stringify!($name));
            }
        )*

        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

cpp_tests! {
    buffers
    conversions
    custom
    errors
    functions
    host
    interpreter
    limits
    no_exceptions
    objects
    output
    pools
    processes
    queues
    run_code
    runtime
    tagged
    threads
    values
}

#[test]
fn every_cpp_file_is_a_test() {
    let files = expected::files(&root().join("tests/cpp"), "cpp");
    let files: Vec<&str> = files.iter().map(|path| stem(path)).collect();
    assert_eq!(files, NAMES, "tests/cpp.rs lists every file in tests/cpp");
}

#[test]
fn everything_compiles_with_clang_and_as_cpp20() {
    let mut compilers = vec![("c++", "c++20")];
    if have("clang++", "the C++ header with clang", HOW_CLANG) {
        compilers.extend([("clang++", "c++17"), ("clang++", "c++20")]);
    }
    // One unit for all that are compiled in the same mode: most of the time goes into what they include.
    let (others, alone): (Vec<&str>, Vec<&str>) = NAMES.iter().copied().partition(|name| mode(name).is_empty());
    let units = [(together("all.cpp", others.into_iter().map(test_file)), &[][..])]
        .into_iter()
        .chain(alone.into_iter().map(|name| (together(&format!("{name}-alone.cpp"), [test_file(name)]), mode(name))));
    for (unit, flags) in units {
        for (program, standard) in &compilers {
            let mut compiler = cpp(program, standard);
            compiler.args(flags).arg("-fsyntax-only").arg(&unit);
            expect_success(compiler);
        }
        let _ = std::fs::remove_file(unit);
    }
}

/// CPython itself is not built with the sanitizers, so leaks are looked for elsewhere (valgrind, below).
#[test]
fn no_undefined_behaviour_and_no_bad_access() {
    let unit = together("sanitized.cpp", SHARED.map(test_file));
    let mut compiler = cpp("c++", "c++20");
    compiler.args(["-O0", "-g1", "-fsanitize=undefined,address", "-fno-sanitize-recover=all"]).arg(&unit);
    let program = link(compiler, "sanitized");
    let mut run = command(&program.0);
    run.env("ASAN_OPTIONS", "detect_leaks=0:detect_stack_use_after_return=1");
    expect_success(run);
    let _ = std::fs::remove_file(unit);
}

#[test]
fn nothing_leaks() {
    if !have("valgrind", "the C++ header under valgrind", "install the package valgrind") {
        return;
    }
    let mut valgrind = command("valgrind".as_ref());
    valgrind.args(["--quiet", "--error-exitcode=99", "--leak-check=full", "--num-callers=20"]);
    // CPython leaves memory behind at the end of the process; what the header and the library took has to be gone.
    valgrind.args(["--show-leak-kinds=definite", "--errors-for-leak-kinds=none"]);
    valgrind.arg(format!("--suppressions={}", root().join("tests/support/valgrind.supp").display()));
    valgrind.arg(shared()).args(["buffers", "objects", "queues", "values"]);
    let output = expect_success(valgrind);
    let report = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines = report.lines().map(|line| line.rsplit("== ").next().unwrap_or_default().trim());
    let lines: Vec<&str> = lines.collect();
    let ours = |record: &&[&str]| record[0].contains("lost") && record.iter().any(|line| line.contains("subpy::"));
    let leaks: Vec<&[&str]> =
        lines.split(|line| line.is_empty()).filter(|record| !record.is_empty()).filter(ours).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}

// ---- the header ----

#[test]
fn the_header_is_made_of_its_parts() {
    let folder = root().join("bindings/cpp");
    let output = expect_success(Command::new(folder.join("amalgamate")));
    let header = std::fs::read(folder.join("subpy.hpp")).expect("the header");
    assert!(
        output.stdout == header,
        "bindings/cpp/subpy.hpp differs from its parts in bindings/cpp/subpy: make header"
    );
    let parts = source("parts.cpp", "#include \"subpy/subpy.hpp\"\n");
    let mut compiler = cpp("c++", "c++17");
    compiler.arg("-fsyntax-only").arg(&parts);
    expect_success(compiler);
    let _ = std::fs::remove_file(parts);
}

/// A program that was compiled with the header of another version.
#[test]
fn another_version_of_the_library_is_refused() {
    let program = "#include <cstdio>\n#include \"subpy.h\"\n#undef SUBPY_VERSION\n#define SUBPY_VERSION 2003\n\
                   #include \"subpy.hpp\"\nint main() { std::puts(subpy::interpreter::try_create().error().what()); }\n";
    let path = source("version.cpp", program);
    let mut compiler = cpp("c++", "c++17");
    compiler.arg(&path);
    let output = link(compiler, "version").run();
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "subpy.hpp is for libsubpy 0.2, the library that was loaded is {version}: compile the program with the header of \
         that library, or install the library of this header\n"
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    let _ = std::fs::remove_file(path);
}

/// Two units that include it, one of them without exceptions, in one program.
#[test]
fn it_can_be_included_everywhere() {
    let function = "#include \"subpy.hpp\"\n#include \"subpy.hpp\"\nint other();\n";
    let other = source("other.cpp", &format!("{function}int other() {{ return *subpy::value(1).try_as<int>(); }}\n"));
    let main = source("main.cpp", &format!("{function}int main() {{ return subpy::value(1).as<int>() - other(); }}\n"));
    let object = build_folder().join(format!("cpp-other-{}.o", std::process::id()));
    let mut compile = cpp("c++", "c++17");
    compile.args(["-fno-exceptions", "-fno-rtti", "-c"]).arg(&other).arg("-o").arg(&object);
    expect_success(compile);
    let mut compiler = cpp("c++", "c++17");
    compiler.arg(&main).arg(&object);
    link(compiler, "two-units").run();
    for path in [other, main, object] {
        let _ = std::fs::remove_file(path);
    }
}

/// Mistakes that the compiler finds, with a part of what it says.
const REFUSED: [(&str, &str); 26] = [
    ("interp.call<std::string_view>(\"f\");", "this would point into a result that is gone"),
    ("interp.eval<std::vector<subpy::value_view>>(\"f\");", "this would point into a result that is gone"),
    ("interp.call<std::map<std::string, subpy::bytes_view>>(\"f\");", "this would point into a result that is gone"),
    ("subpy::value(1).as<std::string_view>();", "this would point into a temporary value"),
    ("auto view = subpy::value(1).view();", "delete"),
    ("auto view = subpy::value(1)[0];", "delete"),
    ("struct other {}; interp.call(\"f\", other());", "this type has no subpy::convert<T>::to_python()"),
    ("struct other {}; interp.call<other>(\"f\");", "this type has no subpy::convert<T>::from_python()"),
    ("int *pointer = nullptr; interp.call(\"f\", pointer);", "this type has no subpy::convert<T>::to_python()"),
    ("interp.call(\"f\", 'c');", "this type has no subpy::convert<T>::to_python()"),
    ("interp.call<const int &>(\"f\");", "a result is a value, without const and reference"),
    ("interp.prepare_main(1, 2);", "a name and its value are kw(name, value)"),
    ("subpy::interpreter copy = interp;", "delete"),
    ("interp.define(\"f\", [](auto any) { return any; });", "one operator() that is no template"),
    ("interp.define(\"f\", 5);", "one operator() that is no template"),
    ("interp.define(\"f\", [](int &out) { out = 1; });", "changes would not reach Python"),
    ("struct other {}; interp.define(\"f\", [](other) {});", "has no subpy::convert<T>::from_python()"),
    ("struct other {}; interp.define(\"f\", [] { return other(); });", "has no subpy::convert<T>::to_python()"),
    ("interp.define(\"f\", [](subpy::keywords, subpy::keywords) {});", "subpy::keywords at most"),
    ("subpy::thread thread = interp.call_in_thread(\"f\"); auto copy = thread;", "delete"),
    ("interp.call<subpy::buffer_view>(\"f\");", "this would point into a result that is gone"),
    ("interp.call<subpy::buffer>(\"f\");", "this type has no subpy::convert<T>::from_python()"),
    ("interp.call<subpy::array<std::string>>(\"f\");", "an array is one of numbers or bytes"),
    ("std::vector<int> numbers; interp.call(\"f\", subpy::buffer(numbers));", "no matching function"),
    ("subpy::array<int> one; auto copy = one;", "delete"),
    ("subpy::future<int> one; auto copy = one;", "delete"),
];

/// What the compiler says of a unit.
fn refusal(name: &str, text: &str) -> Output {
    let path = source(name, text);
    let mut compiler = compiler(true);
    compiler.args(["-std=c++17", "-fsyntax-only", "-w", "-I"]).arg(root().join("bindings/cpp")).arg(&path);
    let output = compiler.output().expect("the compiler runs");
    let _ = std::fs::remove_file(path);
    output
}

/// A function with this in it, on a line of its own.
fn function(index: usize, body: &str) -> String {
    format!("void f{index}(const subpy::interpreter &interp) {{ {body} static_cast<void>(interp); }}\n")
}

/// The errors of a unit with all mistakes, a line each, by their index, as far as the compiler tells where they come from.
fn refusals_of_all() -> Vec<String> {
    let include = "#include \"subpy.hpp\"\n";
    let functions: String = REFUSED.iter().enumerate().map(|(index, (mistake, _))| function(index, mistake)).collect();
    let output = refusal("refused.cpp", &format!("{include}{functions}"));
    let mut found = vec![String::new(); REFUSED.len()];
    let mut at = None;
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        if let Some((_, rest)) = line.split_once("refused.cpp:") {
            at = rest.split(':').next().and_then(|number| number.parse::<usize>().ok()?.checked_sub(2));
        } else if line.contains(": In ") {
            at = None;
        }
        if let Some(errors) = at.filter(|_| line.contains("error: ")).and_then(|at| found.get_mut(at)) {
            errors.push_str(line);
            errors.push('\n');
        }
    }
    found
}

#[test]
fn mistakes_are_refused_with_a_reason() {
    let program = |body: &str| format!("#include \"subpy.hpp\"\n{}", function(0, body));
    let right = refusal("right.cpp", &program("interp.call<std::string>(\"f\");"));
    assert!(right.status.success(), "{}", String::from_utf8_lossy(&right.stderr));
    // All at once: most of the time goes into the header. What cannot be told apart there, alone.
    let together = refusals_of_all();
    for (index, (mistake, reason)) in REFUSED.iter().enumerate() {
        if !together[index].contains(reason) {
            let output = refusal(&format!("refused-{index}.cpp"), &program(mistake));
            let message = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success() && message.contains(reason), "{mistake}: {message}");
        }
    }
}

#[test]
fn clang_tidy_has_nothing_to_say() {
    let programs = ["clang-tidy-14", "clang-tidy"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = programs.iter().find(|name| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()));
    let Some(program) = found else {
        have("clang-tidy-14", "the C++ header with clang-tidy", "install the package clang-tidy-14");
        return;
    };
    // They use all of the header; but it is the header that is looked at, once.
    let unit =
        together("tidied.cpp", [test_file("run_code"), test_file("custom"), root().join("examples/cpp/host.cpp")]);
    let mut tidy = Command::new(program);
    tidy.arg(format!("--config-file={}", root().join("bindings/cpp/.clang-tidy").display()));
    tidy.args(["--quiet", "--line-filter=[{\"name\":\"subpy.hpp\"}]"]).arg(&unit);
    tidy.args(["--", "-std=c++17", "-I"]).arg(root().join("include")).arg("-I").arg(root().join("bindings/cpp"));
    expect_success(tidy);
    let _ = std::fs::remove_file(unit);
}

// ---- the examples ----

#[test]
fn the_examples_print_what_they_say() {
    for file in expected::files(&root().join("examples/cpp"), "cpp") {
        let mut compiler = cpp("c++", "c++17");
        compiler.arg(&file);
        expected::check_output(&file, &link(compiler, &format!("example-{}", stem(&file))).run());
    }
}

#[test]
fn the_example_in_the_header_works() {
    let header = std::fs::read_to_string(root().join("bindings/cpp/subpy.hpp")).expect("the header");
    let comment = header.lines().take_while(|line| *line != " */");
    let example =
        comment.skip_while(|line| !line.starts_with(" *   #include")).take_while(|line| *line != " * Conventions");
    let text: String = example.map(|line| format!("{}\n", line.strip_prefix(" *   ").unwrap_or_default())).collect();
    let path = source("header.cpp", &text);
    let mut compiler = cpp("c++", "c++17");
    compiler.arg(&path);
    let output = link(compiler, "header").run();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello from Python\n1.41421\n");
    let _ = std::fs::remove_file(path);
}

/// Both demos, on a small part of the standard library, with what depends on the machine and the day taken away.
#[test]
fn the_census_is_the_same_in_c_and_in_cpp() {
    let mut cpp_compiler = cpp("c++", "c++17");
    cpp_compiler.arg("-O1").arg(root().join("examples/census.cpp"));
    let mut c_compiler = compiler(false);
    c_compiler.args(["-std=c11", "-pthread"]).arg(root().join("examples/census.c"));
    let programs = [link(c_compiler, "census-c"), link(cpp_compiler, "census-cpp")];

    let library = expect_success({
        let mut ask = Command::new(python());
        ask.args(["-c", "import json, os; print(os.path.dirname(json.__file__))"]);
        ask
    });
    let folder = String::from_utf8(library.stdout).expect("UTF-8").trim().to_owned();
    let broken = build_folder().join(format!("census-{}", std::process::id()));
    std::fs::create_dir_all(&broken).expect("a folder");
    std::fs::write(broken.join("broken.py"), "def f(:\n").expect("a file");
    std::fs::write(broken.join("quote\"d.py"), "'''doc'''\ndef f(x):\n  return x if x else 1\n").expect("a file");
    let broken = broken.display().to_string();

    let run = |program: &Program, arguments: &[&str]| {
        let mut census = command(&program.0);
        let output = bounded::output(census.args(arguments)).expect("the program runs");
        let steady = |line: &&str| {
            let words = ["interpreter", "speed-up", "\"seconds\"", "speed_up", "other programs"];
            !words.iter().any(|word| line.contains(word))
        };
        let lines: Vec<String> =
            String::from_utf8_lossy(&output.stdout).lines().filter(steady).map(String::from).collect();
        (output.status.code(), lines)
    };
    for (arguments, code, at_least) in [
        (&["-j", "2", &folder][..], 0, 20),
        (&["-j", "1", "--json", &folder], 0, 10),
        (&["--json", "-j", "3", &broken], 0, 4),
        (&["-j", "2", &broken], 0, 10),
        (&["--help"], 0, 3),
        (&["-j", "0"], 2, 0),
        (&["/none"], 1, 0),
    ] {
        let (c, cpp) = (run(&programs[0], arguments), run(&programs[1], arguments));
        assert_eq!(c, cpp, "{arguments:?}: left C, right C++");
        assert!(c.0 == Some(code) && c.1.len() >= at_least, "{arguments:?}: {c:?}");
    }
    let _ = std::fs::remove_dir_all(broken);
}

/// The demo's speed-up is worth little while others compute, so it says that they do.
#[test]
fn the_census_says_when_others_compute() {
    let mut compiler = compiler(false);
    compiler.args(["-std=c11", "-pthread"]).arg(root().join("examples/census.c"));
    let program = link(compiler, "census-others");
    let folder = build_folder().join(format!("census-others-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("some.py"), "def f(x):\n    return [x, x] if x else 1\n\n".repeat(1000))
        .expect("a file");

    let cores = std::thread::available_parallelism().expect("a number").get();
    let done = AtomicBool::new(false);
    let printed = std::thread::scope(|scope| {
        for _ in 0..2 * cores {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let mut census = command(&program.0);
        let output = bounded::output(census.args(["-j", &cores.max(2).to_string()]).arg(&folder));
        done.store(true, Ordering::Relaxed);
        output.expect("the program runs")
    });
    let _ = std::fs::remove_dir_all(folder);
    let text = String::from_utf8_lossy(&printed.stdout);
    let last = text.lines().last().unwrap_or_default();
    assert!(last.starts_with("other programs used ") && last.ends_with(" cores meanwhile"), "{text}");
}
