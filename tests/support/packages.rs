//! What the tests of the packages in bindings/ share: they install what `make packages` builds, into empty folders.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::{build_folder, compiler, expect_success, root};

/// Builds the packages of a language with its `pack` and returns the folder in which they are.
pub fn pack(language: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the folder of cargo");
    let mut pack = Command::new(root().join("bindings").join(language).join("pack"));
    pack.arg(target);
    expect_success(pack);
    target.join("packages")
}

/// A folder of this name with nothing in it.
pub fn empty_folder(name: &str) -> PathBuf {
    let folder = build_folder().join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// The first program of a page of docs/ and what it prints, as the page says.
pub fn first_program(page: &str, language: &str) -> (String, String) {
    let text = fs::read_to_string(root().join("docs").join(page)).expect("the page");
    let block = |text: &str, language: &str| -> (String, String) {
        let (_, rest) = text.split_once(&format!("\n```{language}\n")).expect("a block of code");
        let (code, rest) = rest.split_once("\n```\n").expect("its end");
        (format!("{code}\n"), rest.to_owned())
    };
    let (_, section) = text.split_once("\n## A program\n").expect("a section with a program");
    let (program, rest) = block(section, language);
    let (printed, _) = block(&rest, "text");
    (program, printed)
}

/// A folder for LD_LIBRARY_PATH in which the libsubpy that the loader finds is no library at all: so that one which is
/// installed on this machine is not found.
pub fn broken_library(name: &str) -> PathBuf {
    let folder = empty_folder(name);
    for file in ["libsubpy.so", "libsubpy.so.0"] {
        fs::write(folder.join(file), "").expect("a file");
    }
    folder
}

/// A package says what is wrong when it finds no library, one that is not there, a newer one, and one that is something else.
/// `import` makes a command that imports it, with what SUBPY_LIBRARY names and the folder that the loader looks into.
/// Returns a folder in which the loader finds nothing that is right.
pub fn says_what_is_wrong(
    language: &str,
    noun: &str,
    beside: &str,
    import: impl Fn(Option<&Path>, &Path) -> Command,
) -> PathBuf {
    let broken = broken_library(&format!("{language}-broken"));
    let says = |library: Option<&Path>, parts: &[&str]| {
        let said = refused(import(library, &broken));
        for part in parts {
            assert!(said.contains(part), "{said}");
        }
    };
    let not_beside = format!("{beside}: cannot open");
    says(None, &[&not_beside, "libsubpy.so.0: file too short", "SUBPY_LIBRARY to its path"]);
    says(Some(Path::new("/nowhere/libsubpy.so")), &["SUBPY_LIBRARY names /nowhere/libsubpy.so"]);
    let newer = library_of(&format!("{language}-newer"), NEWER);
    says(Some(&newer), &[&format!("is libsubpy 0.999.3, and this {noun} needs 0.1: install")]);
    let other = library_of(&format!("{language}-other"), "int other(void);\n");
    says(Some(&other), &["is not libsubpy: it has no subpy_version()"]);
    broken
}

/// A library that is built from this C source.
pub fn library_of(name: &str, source: &str) -> PathBuf {
    let folder = empty_folder(name);
    let (code, library) = (folder.join("other.c"), folder.join("libother.so"));
    fs::write(&code, source).expect("a file");
    let mut command = compiler(false);
    command.args(["-shared", "-fPIC"]).arg(&code).arg("-o").arg(&library);
    expect_success(command);
    library
}

/// A libsubpy that is newer: no function is as it was.
pub const NEWER: &str = "unsigned subpy_version(void);\nunsigned subpy_version(void) { return 999003; }\n\
    const char *subpy_version_string(void);\nconst char *subpy_version_string(void) { return \"0.999.3\"; }\n";

/// What a program that must fail printed on stderr.
pub fn refused(mut command: Command) -> String {
    let Output { status, stderr, .. } = super::bounded::output(&mut command).expect("the program runs");
    let said = String::from_utf8_lossy(&stderr).into_owned();
    assert!(!status.success(), "{command:?} succeeds\n{said}");
    said
}

/// With this variable the tests that run the conformance table do so in interpreters with processes of their own.
pub const PROCESS: &str = "SUBPY_CONFORMANCE_PROCESS";

/// What they then say of themselves.
pub const IN_PROCESSES: &str = ", in processes";

/// Runs the table with a command, here and in processes. `run` returns what it printed.
pub fn run_conformance(command: impl Fn() -> Command, run: impl Fn(Command) -> String) {
    let here = run(command());
    let mut again = command();
    again.env(PROCESS, "1");
    show_conformance(&(here + &run(again)));
}

/// Passes on how many cases of the conformance table a binding ran, here and in processes, and which it did not, also when
/// the tests pass.
pub fn show_conformance(printed: &str) {
    let lines = || printed.lines().filter(|line| line.starts_with("conformance:") || line.starts_with("skipped:"));
    let ran = lines().filter(|line| line.starts_with("conformance:")).map(|line| line.ends_with(IN_PROCESSES));
    assert_eq!(ran.collect::<Vec<bool>>(), [false, true], "{printed}");
    for line in lines() {
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

/// The licences in a package are those of the project.
pub fn same_licences(folder: &Path) {
    for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
        let ours = fs::read(root().join(name)).expect("a licence");
        assert!(fs::read(folder.join(name)).is_ok_and(|theirs| theirs == ours), "{}", folder.join(name).display());
    }
}
