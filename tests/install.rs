//! `make install` as its users see it: into a folder whose name has a space, then programs built outside of this tree,
//! with pkg-config and with CMake, against the shared library, the static one and the C++ header.

#[path = "install/expected.rs"]
mod expected;
mod support;

use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use support::{build_folder, built, command, expect_success, have, python, root};

/// What each program in tests/install prints.
const PRINTED: &str = concat!("subpy ", env!("CARGO_PKG_VERSION"), ": 4.0\n");

/// The library below the prefix, which two links lead to.
const LIBRARY: &str = concat!("lib/libsubpy.so.", env!("CARGO_PKG_VERSION"));

/// An empty folder for one test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = build_folder().join(format!("install {name} {}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }
}

impl Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn install(arguments: &[&Path]) -> Output {
    Command::new(root().join("bindings/c/install")).args(arguments).output().expect("sh runs")
}

/// A folder that subpy was installed into.
fn installed(name: &str) -> Folder {
    let prefix = Folder::new(name);
    let output = install(&[built(), &prefix]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    prefix
}

/// One for the tests that only look: what is installed is large.
fn looked_at() -> &'static Path {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let prefix = build_folder().join("install to look at");
        let _ = std::fs::remove_dir_all(&prefix);
        let output = install(&[built(), &prefix]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        prefix
    })
}

fn have_pkg_config() -> bool {
    have("pkg-config", "programs built with pkg-config", "install the package pkg-config")
}

/// Runs a line of shell in a folder, with the pkg-config files in it. pkg-config escapes spaces as `eval` wants them.
fn shell(folder: &Path, line: &str) {
    let mut shell = Command::new("sh");
    shell.args(["-euc", &format!("eval \"{line}\"")]).current_dir(folder);
    shell.env("PKG_CONFIG_PATH", format!("{}:{}", folder.join("lib/pkgconfig").display(), folder.display()));
    shell.env_remove("PKG_CONFIG_SYSROOT_DIR");
    expect_success(shell);
}

/// Runs an installed user's program. What cargo put into LD_LIBRARY_PATH would hide what is wrong.
fn run(program: &Path, libraries: Option<&Path>) -> Output {
    let mut command = command(program);
    command.env_remove("LD_LIBRARY_PATH");
    if let Some(folder) = libraries {
        command.env("LD_LIBRARY_PATH", folder);
    }
    expect_success(command)
}

fn check_printed(program: &Path, libraries: Option<&Path>) {
    assert_eq!(String::from_utf8_lossy(&run(program, libraries).stdout), PRINTED, "{}", program.display());
}

/// The shared libraries that a program asks for.
fn needed(program: &Path) -> String {
    let mut readelf = Command::new("readelf");
    readelf.args(["-d", "-W"]).arg(program);
    let output = expect_success(readelf);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter(|line| line.contains("(NEEDED)")).map(|line| format!("{line}\n")).collect()
}

fn test_source(name: &str) -> String {
    format!("'{}'", root().join("tests/install").join(name).display())
}

// ---- what is installed ----

#[test]
fn everything_is_installed_and_belongs_to_this_version() {
    let prefix = looked_at();
    for (file, mode) in [
        (LIBRARY, 0o755),
        ("lib/libsubpy.so", 0o755),
        ("lib/libsubpy.so.0", 0o755),
        (concat!("lib/libsubpy.so.", env!("CARGO_PKG_VERSION"), ".debug"), 0o644),
        ("lib/libsubpy.a", 0o644),
        ("lib/pkgconfig/subpy.pc", 0o644),
        ("lib/pkgconfig/subpy-static.pc", 0o644),
        ("lib/cmake/subpy/subpy-config.cmake", 0o644),
        ("lib/cmake/subpy/subpy-config-version.cmake", 0o644),
        ("include/subpy.h", 0o644),
        ("include/subpy.hpp", 0o644),
        ("include/subpy.cdef", 0o644),
        ("share/doc/subpy/LICENSE-APACHE", 0o644),
        ("share/doc/subpy/LICENSE-MIT", 0o644),
    ] {
        let path = prefix.join(file);
        let found = std::fs::metadata(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(found.permissions().mode() & 0o777, mode, "{file}");
        if file.starts_with("lib/pkgconfig") || file.starts_with("lib/cmake") {
            let text = std::fs::read_to_string(&path).expect("text");
            assert!(text.contains(env!("CARGO_PKG_VERSION")), "{file} has another version:\n{text}");
            let left = text.lines().find(|line| line.split('@').count() > 2);
            assert_eq!(left, None, "{file}: a name was not replaced");
        }
    }
}

/// Everything in a folder that is no folder, from there.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let mut found: Vec<PathBuf> = entries
        .flat_map(|entry| match entry.file_type().expect("a type").is_dir() {
            true => files(&entry.path()),
            false => vec![entry.path()],
        })
        .collect();
    found.sort();
    found
}

#[test]
fn the_library_is_stripped_and_its_links_are_relative() {
    let prefix = looked_at();
    let link = |name: &str| std::fs::read_link(prefix.join("lib").join(name)).expect("a link");
    assert_eq!(link("libsubpy.so"), Path::new("libsubpy.so.0"));
    assert_eq!(Path::new("lib").join(link("libsubpy.so.0")), Path::new(LIBRARY));
    let sections = |file: &Path| {
        let mut readelf = Command::new("readelf");
        readelf.args(["-S", "-W"]).arg(file);
        String::from_utf8(expect_success(readelf).stdout).expect("UTF-8")
    };
    let library = sections(&prefix.join(LIBRARY));
    assert!(!library.contains(".debug_line") && !library.contains(".symtab"), "{library}");
    assert!(library.contains(".gnu_debuglink"), "{library}");
    let debug = prefix.join(format!("{LIBRARY}.debug"));
    assert!(sections(&debug).contains(".debug_line"));
    let mut readelf = Command::new("readelf");
    readelf.args(["-p", ".gnu_debuglink"]).arg(prefix.join(LIBRARY));
    // The name, and a checksum.
    let link = String::from_utf8_lossy(&expect_success(readelf).stdout).into_owned();
    assert!(link.contains(&debug.file_name().expect("a name").display().to_string()), "{link}");
}

#[test]
fn uninstalling_leaves_what_others_have_put_there() {
    let prefix = installed("uninstall");
    let other = prefix.join("lib/pkgconfig/other.pc");
    std::fs::write(&other, "").expect("a file");
    let uninstall = |arguments: &[&Path]| {
        let mut command = Command::new(root().join("bindings/c/uninstall"));
        command.args(arguments);
        command
    };
    expect_success(uninstall(&[&prefix]));
    assert_eq!(files(&prefix), [other]);
    assert!(!prefix.join("lib/cmake").exists() && !prefix.join("share/doc").exists());
    let output = expect_success(uninstall(&[&prefix]));
    assert!(output.stderr.is_empty(), "nothing to do is no error: {}", String::from_utf8_lossy(&output.stderr));

    let stage = Folder::new("uninstall stage");
    assert!(install(&[built(), Path::new("/opt/subpy"), &stage]).status.success());
    assert!(!files(&stage).is_empty());
    expect_success(uninstall(&[Path::new("/opt/subpy"), &stage]));
    assert!(files(&stage).is_empty(), "{:?}", files(&stage));
    assert!(!stage.join("opt/subpy/lib/pkgconfig").exists());
    assert!(!uninstall(&[Path::new("usr")]).output().expect("sh runs").status.success());
}

#[test]
fn make_builds_before_it_installs_only_what_has_changed() {
    if !have("make", "make install", "install the package make") {
        return;
    }
    let folder = Folder::new("make");
    let release = folder.join("target/release");
    std::fs::create_dir_all(&release).expect("a folder");
    let archive = built().join("libsubpy.a").canonicalize().expect("the library");
    std::os::unix::fs::symlink(archive, release.join("libsubpy.a")).expect("a link");
    // Says that it was called; what cargo would build is there.
    let cargo = folder.join("cargo");
    std::fs::write(&cargo, "#!/bin/sh\necho called >>\"$0.log\"\n").expect("a script");
    std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).expect("a script");
    let calls = || std::fs::read_to_string(folder.join("cargo.log")).unwrap_or_default().lines().count();
    let make = |words: &str| {
        let mut make = Command::new("make");
        make.arg("-C")
            .arg(root())
            .args(words.split(' '))
            .arg("PREFIX=/opt/subpy")
            .arg(format!("DESTDIR={}/stage", folder.display()));
        let path = std::env::var("PATH").expect("PATH");
        make.env("PATH", format!("{}:{path}", folder.display())).env("CARGO_TARGET_DIR", folder.join("target"));
        make.env_remove("MAKEFLAGS");
        expect_success(make)
    };
    let installed = folder.join("stage/opt/subpy").join(LIBRARY);
    make("install");
    assert!(installed.is_file());
    assert_eq!(calls(), 1, "nothing was built yet");
    make("install");
    assert_eq!(calls(), 1, "nothing has changed");
    let library = std::fs::File::options().append(true).open(release.join(installed.file_name().expect("a name")));
    library.and_then(|library| library.set_modified(std::time::UNIX_EPOCH)).expect("its time can be set");
    make("install");
    assert_eq!(calls(), 2, "the sources are newer");
    make("uninstall");
    assert!(files(&folder.join("stage")).is_empty());
    make("install LIBDIR=lib64");
    make("uninstall LIBDIR=lib64");
    assert_eq!(files(&folder.join("stage")), [] as [PathBuf; 0]);

    // The command goes along when it was built, and is built again when it is older than its sources.
    let program = folder.join("target/command/release/subpy");
    std::fs::create_dir_all(program.parent().expect("a folder")).expect("a folder");
    let generates = format!(
        "#!/bin/sh\nhere='{}/command'\n. \"$here/common\"\nmkdir -p \"$2/man\" \"$2/completions\"\n\
         for page in $pages; do : >\"$2/man/$page\"; done\n\
         for completion in $completions; do : >\"$2/completions/${{completion%%:*}}\"; done\n",
        root().display()
    );
    std::fs::write(&program, generates).expect("a script");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a script");
    let own = folder.join("stage/opt/subpy/bin/subpy");
    let told = String::from_utf8_lossy(&make("install").stdout).into_owned();
    assert!(told.contains("The command subpy was not built: run make command") && !own.exists(), "{told}");
    make("command");
    let before = calls();
    make("install");
    assert!(own.is_file() && folder.join("stage/opt/subpy/share/man/man1/subpy-run.1").is_file());
    assert_eq!(calls(), before, "nothing has changed");
    let program = std::fs::File::options().append(true).open(release.join("subpy"));
    program.and_then(|program| program.set_modified(std::time::UNIX_EPOCH)).expect("its time can be set");
    make("install");
    assert_eq!(calls(), before + 1, "the sources are newer");
    make("uninstall");
    assert!(files(&folder.join("stage")).is_empty());
}

#[test]
fn make_says_that_there_is_no_c_compiler_before_it_builds() {
    if !have("make", "make without a compiler", "install the package make") {
        return;
    }
    let folder = Folder::new("no compiler");
    let cargo = folder.join("cargo");
    std::fs::write(&cargo, "#!/bin/sh\necho called\nexit 1\n").expect("a script");
    std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).expect("a script");
    for target in ["build", "demo", "header", "lint", "packages-node", "test", "test-c"] {
        let mut make = Command::new("make");
        make.arg("-C").arg(root()).args([target, "CC=no-such-compiler"]).env_remove("MAKEFLAGS");
        make.env("PATH", format!("{}:{}", folder.display(), std::env::var("PATH").expect("PATH")));
        let output = make.output().expect("make runs");
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!output.status.success() && stderr.starts_with("no-such-compiler is missing: "), "{target}: {stderr}");
        assert!(!stdout.contains("called"), "{target}: {stdout}");
    }
}

#[test]
fn installing_twice_and_what_cannot_be_installed() {
    let prefix = installed("twice");
    assert!(install(&[built(), &prefix]).status.success());

    let empty = Folder::new("empty");
    let missing = install(&[&empty, &prefix]);
    let message = String::from_utf8_lossy(&missing.stderr);
    assert!(!missing.status.success() && message.contains(" is missing, run: make build"), "{message}");
    let relative = install(&[built(), Path::new("usr")]);
    let message = String::from_utf8_lossy(&relative.stderr);
    assert!(!relative.status.success() && message.contains("absolute path"), "{message}");
    assert!(!install(&[built()]).status.success(), "the prefix is missing");
}

// ---- pkg-config ----

#[test]
fn the_c_examples_build_with_pkg_config_and_print_what_they_say() {
    if !have_pkg_config() {
        return;
    }
    let prefix = installed("examples");
    let strict = "-std=c11 -Wall -Wextra -pedantic -Werror";
    for source in expected::files(&root().join("examples/c"), "c") {
        let source_text = source.display();
        shell(&prefix, &format!("cc {strict} '{source_text}' $(pkg-config --cflags --libs subpy) -o example"));
        expected::check_output(&source, &run(&prefix.join("example"), Some(&prefix.join("lib"))));
    }
}

#[test]
fn programs_build_with_pkg_config() {
    if !have_pkg_config() {
        return;
    }
    let prefix = installed("pkgconfig");
    let (c, cpp) = (test_source("main.c"), test_source("main.cpp"));
    let libraries = prefix.join("lib");

    shell(&prefix, &format!("cc {c} $(pkg-config --cflags --libs subpy) -o shared"));
    assert!(needed(&prefix.join("shared")).contains("[libsubpy.so.0]"));
    check_printed(&prefix.join("shared"), Some(&libraries));

    shell(&prefix, &format!("c++ -std=c++17 {cpp} $(pkg-config --cflags --libs 'subpy >= 0.1') -o cpp"));
    check_printed(&prefix.join("cpp"), Some(&libraries));

    shell(&prefix, &format!("cc {c} $(pkg-config --cflags --libs subpy-static) -o static"));
    shell(&prefix, &format!("c++ -std=c++17 {cpp} $(pkg-config --cflags --libs subpy-static) -o static-cpp"));
    // Where there is no shared library, --static is enough.
    std::fs::remove_file(libraries.join("libsubpy.so")).expect("the shared library");
    shell(&prefix, &format!("cc {c} $(pkg-config --static --cflags --libs subpy) -o only-static"));
    for program in ["static", "static-cpp", "only-static"] {
        let program = prefix.join(program);
        assert!(!needed(&program).contains("libsubpy"), "{}", program.display());
        check_printed(&program, None);
    }
}

#[test]
fn destdir_is_put_in_front_and_is_not_in_the_files() {
    let stage = Folder::new("destdir");
    let output = install(&[built(), Path::new("/opt/subpy"), &stage]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for file in ["pkgconfig/subpy.pc", "pkgconfig/subpy-static.pc", "cmake/subpy/subpy-config.cmake"] {
        let text = std::fs::read_to_string(stage.join("opt/subpy/lib").join(file)).expect("text");
        assert!(!text.contains(&stage.display().to_string()), "{file}");
    }
    let file = std::fs::read_to_string(stage.join("opt/subpy/lib/pkgconfig/subpy.pc")).expect("text");
    assert!(file.starts_with("prefix=/opt/subpy\n"), "{file}");
    assert!(stage.join("opt/subpy/lib/libsubpy.so").is_file());
}

#[test]
fn the_build_tree_has_a_pkg_config_file_too() {
    if !have_pkg_config() {
        return;
    }
    // A folder as cargo's, but not cargo's own: other tests use that.
    let built = Folder::new("build tree");
    expect_success({
        let mut link = Command::new(root().join("bindings/c/link"));
        link.args([self::built(), &built]);
        link
    });
    expect_success({
        let mut script = Command::new(root().join("bindings/c/pkgconfig"));
        script.arg(&*built);
        script
    });
    shell(&built, &format!("cc {} $(pkg-config --cflags --libs subpy) -o built", test_source("main.c")));
    let cpp = test_source("main.cpp");
    shell(&built, &format!("c++ -std=c++17 {cpp} $(pkg-config --cflags --libs subpy) -o built-cpp"));
    check_printed(&built.join("built"), None);
    check_printed(&built.join("built-cpp"), None);
}

// ---- CMake ----

fn cmake(source: &Path, build: &Path, prefix: &Path) -> Output {
    let mut cmake = Command::new("cmake");
    cmake.arg("-S").arg(source).arg("-B").arg(build).arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()));
    cmake.output().expect("cmake runs")
}

fn have_cmake() -> bool {
    have("cmake", "programs built with CMake", "install the packages cmake and make")
        && have("make", "programs built with CMake", "install the packages cmake and make")
}

#[test]
fn programs_build_with_cmake_where_the_prefix_was_moved_to() {
    if !have_cmake() {
        return;
    }
    let prefix = installed("cmake");
    let moved = Folder::new("moved");
    std::fs::rename(&*prefix, &*moved).expect("a prefix can be moved");
    let build = moved.join("build");
    let output = cmake(&root().join("tests/install"), &build, &moved);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    expect_success({
        let mut cmake = Command::new("cmake");
        cmake.arg("--build").arg(&build);
        cmake
    });
    for program in ["shared", "static", "cpp"] {
        assert_eq!(needed(&build.join(program)).contains("[libsubpy.so.0]"), program != "static", "{program}");
        check_printed(&build.join(program), None);
    }
}

#[test]
fn cmake_refuses_versions_that_do_not_fit() {
    if !have_cmake() {
        return;
    }
    let prefix = looked_at();
    let project = Folder::new("versions project");
    let mut wrong = Vec::new();
    // This version's first two numbers, and those of the next minor one.
    const OWN: &str = concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));
    let next = format!("0.{}", env!("CARGO_PKG_VERSION_MINOR").parse::<u32>().expect("a number") + 1);
    for (request, fits) in [
        ("", true),
        ("0", true),
        (OWN, true),
        (concat!(env!("CARGO_PKG_VERSION"), " EXACT"), true),
        (&format!("{OWN}...0.99"), true),
        ("0.0.9", false),
        (&format!("{OWN}.9999"), false),
        (&next, false),
        ("1", false),
        (&format!("{next}...<0.99"), false),
    ] {
        let text = format!(
            "cmake_minimum_required(VERSION 3.19)\nproject(request NONE)\nset(CMAKE_SIZEOF_VOID_P 8)\n\
             find_package(subpy {request} REQUIRED)\n"
        );
        std::fs::write(project.join("CMakeLists.txt"), text).expect("the project can be written");
        let output = cmake(&project, &project.join("build"), prefix);
        let _ = std::fs::remove_dir_all(project.join("build"));
        if output.status.success() != fits {
            wrong.push((request.to_owned(), String::from_utf8_lossy(&output.stderr).into_owned()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

// ---- tools/get-python ----

/// tools/get-python on a machine that has neither uv nor Go, but a python3 whose pip is this script.
fn get_python(folder: &Path, pip: &str) -> Output {
    let (home, bin) = (folder.join("home"), folder.join("bin"));
    std::fs::create_dir_all(&home).expect("a folder");
    std::fs::create_dir_all(&bin).expect("a folder");
    let path = std::env::var_os("PATH").expect("PATH");
    for tool in
        ["sh", "sed", "awk", "uname", "mkdir", "mktemp", "rm", "mv", "chmod", "cat", "tail", "dirname", "tr", "ln"]
    {
        let found = std::env::split_paths(&path).map(|at| at.join(tool)).find(|path| path.is_file());
        let found = found.unwrap_or_else(|| panic!("{tool} is missing"));
        std::os::unix::fs::symlink(found, bin.join(tool)).expect("a link");
    }
    let python = bin.join("python3");
    std::fs::write(&python, format!("#!/bin/sh\n[ \"$1\" = -m ] || exit 1\n{pip}\n")).expect("a script");
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).expect("a script");
    let mut command = Command::new(root().join("tools/get-python"));
    command.env_clear().env("HOME", home).env("PATH", bin).output().expect("sh runs")
}

/// Whether this machine has a CPython where every one is looked for.
fn have_one_anyway(output: &Output) -> bool {
    let found = output.status.success() && output.stderr.is_empty();
    if found {
        eprintln!("skipped: getting uv from PyPI: {}", String::from_utf8_lossy(&output.stdout).trim());
    }
    found
}

#[test]
fn get_python_takes_uv_from_pypi_where_there_is_neither_uv_nor_go() {
    let folder = Folder::new("get python");
    let python = python().canonicalize().expect("the CPython of the tests");
    let prefix = python.parent().and_then(Path::parent).expect("its prefix");
    // Keeps what it was asked for, and gives a uv that installs the CPython of the tests.
    let pip = format!(
        r#"[ "$3" != --version ] || exit 0
while [ $# -gt 0 ]; do
    case $1 in --target) target=$2 ;; -r) cat "$2" >"$HOME/requirements" ;; --require-hashes) echo yes >"$HOME/hashes" ;; esac
    shift
done
mkdir -p "$target/bin"
cat >"$target/bin/uv" <<'UV'
#!/bin/sh
[ "$1" != --version ] || exit 0
[ "$*" = "python install 3.14" ] || exit 1
mkdir -p "$HOME/.local/share/uv/python/cpython-3.14.99-linux/bin"
ln -s '{}' "$HOME/.local/share/uv/python/cpython-3.14.99-linux/bin/python3"
UV
chmod +x "$target/bin/uv""#,
        prefix.join("bin/python3").display()
    );
    let output = get_python(&folder, &pip);
    if have_one_anyway(&output) {
        return;
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(Path::new(printed.trim()).canonicalize().expect("a path"), python, "{said}");
    assert!(said.contains(" from PyPI through pip\n"), "{said}");
    let home = folder.join("home");
    let requirements = std::fs::read_to_string(home.join("requirements")).expect("what pip was given");
    assert!(requirements.starts_with("uv==") && requirements.lines().count() == 1, "{requirements}");
    assert_eq!(requirements.matches(" --hash=sha256:").count(), 4, "{requirements}");
    assert!(home.join("hashes").is_file());
    let kept = files(&home.join(".cache/subpy"));
    assert!(kept.len() == 1 && kept[0].ends_with("bin/uv"), "{kept:?}");
}

#[test]
fn where_get_python_can_do_nothing_it_says_three_lines_that_help() {
    let folder = Folder::new("no python");
    let output = get_python(&folder, "exit 1");
    if have_one_anyway(&output) {
        return;
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && output.stdout.is_empty(), "{said}");
    let (_, help) =
        said.split_once("run one of these lines, and then this again:\n").unwrap_or_else(|| panic!("{said}"));
    let lines: Vec<&str> = help.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    for (line, part) in lines.iter().zip(["astral.sh/uv/install.sh", "https://go.dev/dl/", "SUBPY_PYTHON="]) {
        assert!(line.contains(part), "{line}");
    }
    assert_eq!(files(&folder.join("home")), Vec::<PathBuf>::new());
}
