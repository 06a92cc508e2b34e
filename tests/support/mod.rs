//! What the tests that build and run C programs share.
#![allow(dead_code)] // each test program uses a part of it

pub mod bounded;
pub mod packages;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The target that this was compiled for; build.rs says.
const TARGET: &str = env!("SUBPY_TARGET");

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder where cargo put libsubpy.so and libsubpy.a for this test.
pub fn library_folder() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    test.parent().expect("a folder").to_owned()
}

/// A folder like target/release after `make build`, with the library of this test: what is installed is made of it.
pub fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = build_folder().join("built");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut link = Command::new(root().join("bindings/c/link"));
        link.args([&library_folder(), &folder]);
        expect_success(link);
        // What debuggers read is most of it, and is copied with each test of installing.
        let mut strip = Command::new("objcopy");
        strip.arg("--strip-debug").arg(library_folder().join("libsubpy.a")).arg(folder.join("libsubpy.a"));
        expect_success(strip);
        folder
    })
}

/// A folder for what the tests build; emptied by cargo clean.
pub fn build_folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("c");
    std::fs::create_dir_all(&folder).expect("a folder for test programs");
    folder
}

/// The CPython to test with: the path of its executable. `make test` sets it.
pub fn python() -> PathBuf {
    let python = std::env::var_os("SUBPY_TEST_PYTHON").expect(
        "SUBPY_TEST_PYTHON names the CPython to test with; run: SUBPY_TEST_PYTHON=$(tools/get-python) cargo test",
    );
    PathBuf::from(python)
}

/// Whether a program is there that some tests need. If not, says what is left out; where nothing may be, fails.
pub fn have(tool: &str, what: &str, how_to_install: &str) -> bool {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|at| at.join(tool).is_file());
    if !found {
        skipped(what, &format!("{tool} is missing ({how_to_install})"));
    }
    found
}

/// Says that something is not tested, and why. In CI nothing may be left out.
pub fn skipped(what: &str, why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{what}: {why}");
    // Not with eprintln!, which is shown for failed tests alone.
    let _ = writeln!(std::io::stderr(), "skipped: {what}: {why}");
}

/// The C compiler, with the warnings that everything must pass.
pub fn compiler(cpp: bool) -> Command {
    let mut build = cc::Build::new();
    // What debuggers read takes longer to write than a program in C++ to compile; those who need it say so.
    build.cpp(cpp).opt_level(1).debug(!cpp).host(TARGET).target(TARGET).cargo_metadata(false);
    let mut command = build.get_compiler().to_command();
    command.args(["-Wall", "-Wextra", "-pedantic", "-Werror"]).arg("-I").arg(root().join("include"));
    command
}

/// The layout of handles, as src/manager/handle.rs has it: HANDLE_KIND_SHIFT and the like for programs that invent
/// some.
fn handle_layout() -> Vec<String> {
    let source = std::fs::read_to_string(root().join("src/manager/handle.rs")).expect("src/manager/handle.rs");
    let constants = source.lines().filter_map(|line| line.strip_prefix("pub const ")?.strip_suffix(';'));
    let layout: Vec<String> = constants
        .map(|constant| {
            let (name, value) = constant.split_once(" = ").expect("a constant has a value");
            format!("-DHANDLE_{}={value}", name.split(':').next().expect("a name"))
        })
        .collect();
    assert!(layout.len() >= 5, "src/manager/handle.rs has the constants: {layout:?}");
    layout
}

/// Builds a C program against libsubpy.so and returns its path.
pub fn build(source: &Path) -> PathBuf {
    build_with(source, &[])
}

/// The same with more arguments for the compiler.
pub fn build_with(source: &Path, arguments: &[String]) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = source.file_stem().expect("a file name").to_string_lossy().into_owned();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let program = build_folder().join(format!("{name}-{}-{count}", std::process::id()));
    let folder = library_folder();
    let mut command = compiler(false);
    command.args(handle_layout());
    command.arg("-std=c11").arg("-D_GNU_SOURCE").arg(source).arg("-o").arg(&program);
    command.arg("-L").arg(&folder).arg("-lsubpy").arg("-ldl").arg("-lm").arg("-pthread");
    command.args(arguments);
    // An old-style path, which comes before the LD_LIBRARY_PATH that cargo sets: there an older build may lie.
    command.arg(format!("-Wl,--disable-new-dtags,-rpath,{}", folder.display()));
    let output = bounded::output(&mut command).expect("the C compiler runs");
    assert!(output.status.success(), "{name} does not compile:\n{}", String::from_utf8_lossy(&output.stderr));
    program
}

/// Runs a program with the CPython to test with, and nothing else of this environment that could choose one. `make matrix`
/// has it run in another system's folder.
pub fn command(program: &Path) -> Command {
    let mut command = match std::env::var_os("SUBPY_TEST_ROOT") {
        Some(root) => {
            let mut command = Command::new("chroot");
            command.arg(root).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.env("SUBPY_PYTHON", python()).env_remove("VIRTUAL_ENV").stdin(Stdio::null());
    command
}

/// Runs it and fails, with what it printed, unless it succeeds.
pub fn expect_success(mut command: Command) -> Output {
    let output = bounded::output(&mut command).expect("the program runs");
    assert!(
        output.status.success(),
        "{command:?}: {}\n--- stdout\n{}\n--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
