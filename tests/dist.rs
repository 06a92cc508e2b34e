//! What `make dist` has put into target/dist: it is complete, and each package is installed into an empty Debian and runs
//! there. And what that stands on: nothing is packed that would run on new systems alone. `make test-dist` runs these.

mod support;

#[path = "conformance/c.rs"]
mod c;
#[path = "conformance/cpp.rs"]
mod cpp;
#[path = "conformance/program.rs"]
mod program;
#[path = "conformance/table.rs"]
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::packages::{empty_folder, refused};
use support::{bounded, expect_success, have, python, root, skipped};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// target/dist.
fn dist() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the folder of cargo").join("dist");
    assert!(folder.join("SHA256SUMS").is_file(), "{} has no packages, run: make dist", folder.display());
    folder
}

fn tool(name: &str) -> Command {
    Command::new(root().join("tools/dist").join(name))
}

/// Whether rooms can be made. Nothing of them can be tested without.
fn have_room(what: &str) -> bool {
    if !is_root() && std::env::var("SUBPY_ROOM_SUDO").as_deref() != Ok("1") {
        skipped(what, "tools/dist/room needs root, or SUBPY_ROOM_SUDO=1 for sudo");
        return false;
    }
    if !have("mmdebstrap", what, "install the package mmdebstrap") {
        return false;
    }
    // A container may have none for its root. CI says so itself, with SUBPY_ROOMS=none (.ci/run).
    let mut own = Command::new(if is_root() { "unshare" } else { "sudo" });
    own.args(if is_root() { &[][..] } else { &["-n", "unshare"] });
    own.args(["--mount", "--propagation", "private", "--pid", "--fork", "--ipc", "--uts", "true"]);
    let output = bounded::output(&mut own).expect("unshare runs");
    if !output.status.success() {
        let why = format!("there are no namespaces for rooms here: {}", String::from_utf8_lossy(&output.stderr).trim());
        if std::env::var("SUBPY_ROOMS").as_deref() == Ok("none") {
            let _ = writeln!(std::io::stderr(), "skipped: {what}: {why}");
        } else {
            skipped(what, &why);
        }
    }
    output.status.success()
}

fn is_root() -> bool {
    // SAFETY: it reads a number.
    unsafe { libc::geteuid() == 0 }
}

/// Runs a script of tests/dist: SCRIPT ROOM DIST. Passes on what it says of itself.
fn run_script(name: &str) {
    run_script_with(name, &[]);
}

fn run_script_with(name: &str, environment: &[(&str, &Path)]) {
    if !have_room(name) {
        return;
    }
    let mut script = Command::new(root().join("tests/dist").join(name));
    script.arg(root().join("tools/dist/room")).arg(dist()).env("SUBPY_TEST_PYTHON", python());
    script.envs(environment.iter().copied());
    let output = expect_success(script);
    let _ = std::io::stderr().write_all(&output.stdout);
}

// ---- the packages, in empty rooms ----

#[test]
fn archive_for_c() {
    let table = empty_folder("dist-conformance");
    for (name, cpp) in [("conformance.c", false), ("conformance.cpp", true)] {
        fs::write(table.join(name), program::program(cpp).0).expect("the program can be written");
    }
    run_script_with("c", &[("SUBPY_CONFORMANCE", &table)]);
}

#[test]
fn debian_packages() {
    run_script("debian");
}

#[test]
fn the_crate() {
    run_script("crate");
}

/// The bindings' scripts are the other files in tests/dist.
#[test]
fn packages_of_the_bindings() {
    let entries = fs::read_dir(root().join("tests/dist")).expect("a folder").map(|entry| entry.expect("an entry"));
    let names: BTreeSet<String> = entries.map(|entry| entry.file_name().into_string().expect("UTF-8")).collect();
    let own = ["c", "crate", "debian", "common.sh", "bindings.sh"];
    for name in own {
        assert!(names.contains(name), "{name} is gone");
    }
    for name in names.iter().filter(|name| !own.contains(&name.as_str())) {
        run_script(name);
    }
}

#[test]
fn lintian_finds_nothing_in_the_debian_packages() {
    if !have("lintian", "the Debian packages as lintian sees them", "install the package lintian") {
        return;
    }
    let mut lintian = Command::new("lintian");
    lintian.args(["--fail-on", "error,warning", "--tag-display-limit", "0"]);
    for package in ["libsubpy0", "libsubpy-dev", "subpy"] {
        lintian.arg(dist().join(format!("{package}_{VERSION}_amd64.deb")));
    }
    let output = expect_success(lintian);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}

// ---- what is in target/dist ----

#[test]
fn all_files_have_their_checksums() {
    let sums = fs::read_to_string(dist().join("SHA256SUMS")).expect("text");
    let named: BTreeSet<&str> = sums.lines().filter_map(|line| line.split_once("  ")).map(|(_, name)| name).collect();
    let entries = fs::read_dir(dist()).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let there: BTreeSet<String> = entries.map(|name| name.into_string().expect("UTF-8")).collect();
    let there: BTreeSet<&str> = there.iter().map(String::as_str).filter(|name| *name != "SHA256SUMS").collect();
    assert_eq!(named, there);
    for name in [
        format!("subpy-{VERSION}-x86_64-linux-gnu.tar.gz"),
        format!("libsubpy0_{VERSION}_amd64.deb"),
        format!("libsubpy-dev_{VERSION}_amd64.deb"),
        format!("subpy_{VERSION}_amd64.deb"),
        format!("subpy-{VERSION}.crate"),
        format!("subpy-{VERSION}.cdx.json"),
        format!("subpy-{VERSION}.tgz"),
        format!("subpy-{VERSION}.jar"),
        format!("subpy-{VERSION}.pom"),
        format!("subpy-{VERSION}-py3-none-manylinux_2_28_x86_64.whl"),
        format!("subpy-{VERSION}-1.linux-x86_64.rock"),
        format!("subpy-go-{VERSION}.zip"),
    ] {
        assert!(there.contains(name.as_str()), "{name} is missing: {there:?}");
    }
    let mut check = Command::new("sha256sum");
    expect_success({
        check.args(["--check", "--quiet", "SHA256SUMS"]).current_dir(dist());
        check
    });
}

/// CycloneDX 1.5: what its schema requires, and that everything in Cargo.lock that is linked is named.
#[test]
fn the_bill_of_materials_names_what_is_inside() {
    let text = fs::read_to_string(dist().join(format!("subpy-{VERSION}.cdx.json"))).expect("text");
    let bill: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(bill["bomFormat"], "CycloneDX");
    assert_eq!(bill["specVersion"], "1.5");
    assert_eq!(bill["version"], 1);
    let number = bill["serialNumber"].as_str().expect("a number").strip_prefix("urn:uuid:").expect("a UUID");
    let lengths: Vec<usize> = number.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12], "{number}");
    let hexadecimal = |text: &str| text.chars().all(|digit| digit.is_ascii_digit() || ('a'..='f').contains(&digit));
    assert!(hexadecimal(&number.replace('-', "")), "{number}");

    let mut components = BTreeMap::new();
    let list = bill["components"].as_array().expect("a list");
    for component in list.iter().chain([&bill["metadata"]["component"]]) {
        let field =
            |name: &str| component[name].as_str().unwrap_or_else(|| panic!("no {name}: {component}")).to_owned();
        assert!(["library", "application"].contains(&field("type").as_str()), "{component}");
        assert!(component["licenses"][0]["expression"].is_string(), "{component}");
        for hash in component["hashes"].as_array().into_iter().flatten() {
            let content = hash["content"].as_str().expect("a hash");
            assert!(hash["alg"] == "SHA-256" && content.len() == 64 && hexadecimal(content), "{component}");
        }
        let name = field("name");
        // Of crates.io alone, with what a purl escapes.
        let purl = component["purl"].as_str().map(str::to_owned);
        let of_crates = !["subpy", "subpy-command", "rust-std"].contains(&name.as_str());
        let escaped = format!("pkg:cargo/{name}@{}", field("version").replace('+', "%2B"));
        assert_eq!(purl, of_crates.then_some(escaped), "{component}");
        assert!(components.insert(field("bom-ref"), name).is_none(), "twice: {component}");
    }
    assert_eq!(bill["metadata"]["component"]["version"], VERSION);
    let names: BTreeSet<&str> = components.values().map(String::as_str).collect();
    for name in ["subpy", "subpy-command", "libc", "simdutf8", "clap", "serde_json", "rust-std"] {
        assert!(names.contains(name), "{name} is not in it: {names:?}");
    }
    // They run when it is built, and in tests.
    for name in ["serde_derive", "thiserror-impl", "pyo3-ffi", "cc"] {
        assert!(!names.contains(name), "{name} is in it");
    }
    // Each knows what it needs, once.
    let dependencies = bill["dependencies"].as_array().expect("a list");
    let referred: BTreeSet<&str> = dependencies.iter().map(|entry| entry["ref"].as_str().expect("a name")).collect();
    assert_eq!(referred, components.keys().map(String::as_str).collect());
    for entry in dependencies {
        for needed in entry["dependsOn"].as_array().expect("a list") {
            assert!(components.contains_key(needed.as_str().expect("a name")), "{entry}");
        }
    }
    // Whose licences come along.
    let notices = fs::read_to_string(dist().with_file_name("dist-parts").join("THIRD-PARTY.txt")).expect("text");
    for name in ["libc ", "simdutf8 ", "clap "] {
        assert!(notices.lines().any(|line| line.starts_with(name)), "{name} is not in THIRD-PARTY.txt");
    }
}

/// Packed once more, by a clock that says something else.
#[test]
fn packing_twice_gives_the_same_bytes() {
    let sums = || fs::read_to_string(dist().join("SHA256SUMS")).expect("text");
    let before = sums();
    let work = empty_folder("packed-twice");
    // What is built is taken as it is, in another folder, with what packs it.
    let release = "x86_64-unknown-linux-gnu/release";
    let library = format!("{release}/libsubpy.so.{VERSION}");
    let archive = format!("{release}/libsubpy.a");
    let mut copy = Command::new("cp");
    copy.args(["-a", "--parents", "dist-parts/prefix", "dist-parts/command", &library, &archive]);
    let target = dist().parent().expect("a folder").to_owned();
    if target.join("package-tools").exists() {
        copy.arg("package-tools");
    }
    copy.arg(&work).current_dir(target);
    expect_success(copy);
    let mut again = tool("all");
    again.arg("--again").env("CARGO_TARGET_DIR", &work).env("CC", "cc");
    expect_success(again);
    let after = fs::read_to_string(work.join("dist/SHA256SUMS")).expect("text");
    assert_eq!(after, before);
    fs::remove_dir_all(work).expect("the folder goes");
}

/// The library and the command have no name of a folder of whoever built them.
#[test]
fn no_path_of_this_machine_is_in_what_is_built() {
    let parts = dist().with_file_name("dist-parts");
    let home = std::env::var("HOME").expect("HOME");
    let target = parts.parent().expect("a folder").to_str().expect("UTF-8");
    let library = format!("prefix/usr/lib/libsubpy.so.{VERSION}");
    for file in [&library, "prefix/usr/lib/libsubpy.a", "command/bin/subpy"] {
        let bytes = fs::read(parts.join(file)).expect("a file");
        for path in [root().to_str().expect("UTF-8"), target, &format!("{home}/")] {
            let found = bytes.windows(path.len()).any(|part| part == path.as_bytes());
            assert!(!found, "{file} has {path} in it");
        }
    }
}

// ---- the gate ----

/// A library with all exports, that does nothing and needs nothing; `more` is C that is added, `link` arguments of the linker.
fn stub(name: &str, more: &str, link: &[&str]) -> PathBuf {
    let folder = empty_folder(&format!("gate-{name}"));
    let exports = fs::read_to_string(root().join("bindings/c/exports.txt")).expect("the list");
    let (mut code, mut map) = (String::new(), "SUBPY_0.1 { global: ".to_owned());
    for export in exports.lines().filter(|export| !more.contains(&format!("without {export},"))) {
        code += &format!("int {export}(void);\nint {export}(void) {{ return 0; }}\n");
        map += &format!("{export}; ");
    }
    code += more;
    map += if more.contains("surplus") { "surplus; local: *; };" } else { "local: *; };" };
    let (source, script) = (folder.join("stub.c"), folder.join("map"));
    fs::write(&source, code).expect("a file");
    fs::write(&script, map).expect("a file");
    let library = folder.join("libsubpy.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O0", "-fno-builtin"]).arg(&source).arg("-o").arg(&library);
    compiler.arg(format!("-Wl,--version-script={}", script.display()));
    if !link.iter().any(|argument| argument.contains("-soname")) {
        compiler.arg(format!("-Wl,-soname,libsubpy.so.{}", VERSION.split('.').next().expect("a number")));
    }
    compiler.args(link);
    expect_success(compiler);
    library
}

/// Takes PT_GNU_STACK out of the program headers, elf(5).
fn without_stack(library: &Path) {
    let mut bytes = fs::read(library).expect("a file");
    let number = |at: usize, size: usize| {
        (0..size).rev().fold(0, |number, index| (number << 8) | usize::from(bytes[at + index]))
    };
    let (start, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    let headers: Vec<usize> = (0..count).map(|index| start + index * size).collect();
    let stack = headers.into_iter().find(|at| number(*at, 4) == 0x6474_e551).expect("it says something of the stack");
    bytes[stack..stack + 4].fill(0);
    fs::write(library, bytes).expect("a file");
}

fn check(library: &Path) -> Command {
    let mut check = tool("check-library");
    check.arg(library);
    check
}

#[test]
fn the_gate_refuses_what_does_not_run_everywhere() {
    if !have("cc", "the gate for libraries", "install a C compiler") {
        return;
    }
    let output = expect_success(check(&stub("fine", "", &[])));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));

    let other =
        support::packages::library_of("gate-other-library", "int other(void);\nint other(void) { return 1; }\n");
    let other = other.to_str().expect("UTF-8");
    for (name, more, link, reasons) in [
        // gettid() of glibc 2.30, by a linker that knows an older glibc alone.
        (
            "unversioned",
            "int gettid_of_tomorrow(void);\nint use(void);\nint use(void) { return gettid_of_tomorrow(); }\n",
            &[][..],
            &["needs gettid_of_tomorrow without a version"][..],
        ),
        (
            "newer",
            "int gettid(void);\nint use(void);\nint use(void) { return gettid(); }\n",
            &[],
            &["needs GLIBC_2.30 (gettid): only what glibc 2.28 has may be used"],
        ),
        // Also when the symbol may be missing: the version may not.
        (
            "weak",
            "int gettid(void) __attribute__((weak));\nint getpid(void);\nint use(void);\nint use(void) { return gettid ? gettid() : getpid(); }\n",
            &[],
            &["needs GLIBC_2.30 (gettid)"],
        ),
        ("library", "", &["-Wl,--no-as-needed", other], &["which is none of: libc.so.6 "]),
        ("soname", "", &["-Wl,-soname,libother.so.1"], &["its soname is 'libother.so.1', and not libsubpy.so.0"]),
        ("no-soname", "", &["-Wl,-soname="], &["its soname is '', and not libsubpy.so.0"]),
        (
            "surplus",
            "int surplus(void);\nint surplus(void) { return 0; }\n",
            &[],
            &["does not have: surplus@@SUBPY_0.1"],
        ),
        ("rpath", "", &["-Wl,-rpath,/opt/somewhere"], &["looks for libraries in /opt/somewhere"]),
        ("stack", "", &["-Wl,-z,execstack"], &["wants a stack that can be executed"]),
        (
            "gcc",
            "int __bswapdi2(int);\nint use(void);\nint use(void) { return __bswapdi2(1); }\n",
            &["-l:libgcc_s.so.1"],
            &["needs GCC_4.3.0 (__bswapdi2): only what the libgcc_s of GCC 4.2.0 has may be used"],
        ),
    ] {
        let said = refused(check(&stub(name, more, link)));
        assert_eq!(said.lines().count(), reasons.len(), "{name}: {said}");
        for reason in reasons {
            assert!(said.contains(reason), "{name}: {said}");
        }
    }
    // What unwinds is of GCC 3.0, GCC 3.3 and GCC 4.2.0.
    let unwinds = "int _Unwind_Resume(void);\nint _Unwind_GetIPInfo(void);\nint _Unwind_Backtrace(void);\nint use(void);\n\
                   int use(void) { return _Unwind_Resume() + _Unwind_GetIPInfo() + _Unwind_Backtrace(); }\n";
    expect_success(check(&stub("unwinds", unwinds, &["-l:libgcc_s.so.1"])));
    // A system takes it for a wish to execute the stack when nothing is said of it.
    let silent = stub("silent", "", &[]);
    without_stack(&silent);
    let said = refused(check(&silent));
    assert!(said.ends_with("wants a stack that can be executed\n") && said.lines().count() == 1, "{said}");
    let said = refused(check(&stub("missing", "/* without subpy_call, */\n", &[])));
    assert!(said.ends_with("does not export subpy_call@@SUBPY_0.1\n") && said.lines().count() == 1, "{said}");
    let said = refused(check(Path::new("/etc/passwd")));
    assert!(said.contains("/etc/passwd: is no ELF file"), "{said}");
    let said = refused(check(Path::new("/nowhere/libsubpy.so")));
    assert!(said.contains("there is no /nowhere/libsubpy.so"), "{said}");
    // What goes with a library counts too.
    let mut with = check(&stub("with-fine", "", &[]));
    with.arg(stub("with-newer", "int gettid(void);\nint use(void);\nint use(void) { return gettid(); }\n", &[]));
    assert!(refused(with).contains("with-newer/libsubpy.so: needs GLIBC_2.30"));
}

/// Those that are for x86-64 alone are not made with something else in them.
#[test]
fn no_package_is_made_of_what_is_no_library() {
    let folder = empty_folder("no library");
    let mut object = fs::read("/bin/sh").expect("a program");
    // EM_AARCH64, elf(5).
    object[16..20].copy_from_slice(&[3, 0, 183, 0]);
    let other = folder.join("libsubpy.so");
    fs::write(&other, object).expect("a file");
    for (file, said) in [
        (Path::new("/etc/passwd"), "/etc/passwd is no library for x86-64 Linux"),
        (&other, "libsubpy.so is no library for x86-64 Linux"),
        (Path::new("/nowhere"), "/nowhere is missing"),
    ] {
        let mut go = Command::new(root().join("bindings/go/pack"));
        go.arg(file).arg(&folder);
        let mut java = Command::new(root().join("bindings/java/pack"));
        java.arg(&folder).arg(file);
        for pack in [go, java] {
            let message = refused(pack);
            assert!(message.contains(said), "{message}");
        }
    }
    assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 1);
}

// ---- the rooms ----

/// What makes a folder of the cache, such as that of a room, leaves neither its lock open, which others wait for, nor what it made
/// on the way.
#[test]
fn what_is_kept_is_not_locked_any_more() {
    let folder = empty_folder("kept");
    for shell in ["sh", "bash"] {
        let mut keep = Command::new(shell);
        keep.args([
            "-euc",
            ". \"$0\"; make() { mkdir \"$1\"; }; keep \"$SUBPY_CACHE/$1\" it; ls -l /proc/self/fd; ls \"$SUBPY_CACHE\"",
        ]);
        keep.arg(root().join("tools/cache.sh")).arg(shell).env("SUBPY_CACHE", &folder);
        let said = String::from_utf8(expect_success(keep).stdout).expect("UTF-8");
        assert!(said.lines().any(|line| line == shell) && said.contains(" -> "), "{said}");
        assert!(!said.lines().any(|line| line.ends_with(".lock") && line.contains(" -> ")), "{said}");
        assert!(!said.contains(".tmp."), "{said}");
    }
}

#[test]
fn a_room_has_nothing_of_this_machine() {
    if !have_room("an empty room") {
        return;
    }
    // The first one of a machine is made, and says so.
    let mut room = tool("room");
    room.args(["--offline", "--", "true"]);
    expect_success(room);
    let folder = empty_folder("room copy");
    fs::write(folder.join("file"), "copied\n").expect("a file");
    let mut room = tool("room");
    room.args(["--offline", "--copy"]).arg(format!("{}:/opt/x y/z", folder.display())).arg("--");
    room.args([
        "sh",
        "-c",
        "cat '/opt/x y/z/file'; env; ls /opt; ls -d /proc/[0-9]* | wc -l; echo said >&2; touch /kept; exit 7",
    ]);
    room.env("OF_THIS_MACHINE", "1");
    let output = bounded::output(&mut room).expect("bash runs");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(7), "{printed}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "said\n");
    assert!(printed.starts_with("copied\n") && printed.contains("\nx y\n"), "{printed}");
    assert!(!printed.contains("OF_THIS_MACHINE") && !printed.contains("SUBPY"), "{printed}");
    let processes: u32 = printed.lines().last().and_then(|line| line.trim().parse().ok()).expect("a number");
    assert!(processes < 10, "{printed}");

    // The next one is another one.
    let mut room = tool("room");
    room.args(["--", "sh", "-c", "! [ -e /kept ] && ! command -v cc && ! command -v python3 && ! [ -e \"$0\" ]"])
        .arg(root());
    expect_success(room);
    for (arguments, reason) in [
        (&["--copy", "/nowhere:/x", "--", "true"][..], "there is no /nowhere"),
        (&["--copy", "/etc", "--", "true"], "--copy wants FROM:/TO, and not '/etc'"),
        (&["--with"], "usage: tools/dist/room"),
        (&["--"], "usage: tools/dist/room"),
        (&["--more"], "usage: tools/dist/room"),
    ] {
        let mut room = tool("room");
        room.args(arguments);
        let said = refused(room);
        assert!(said.contains(reason), "{arguments:?}: {said}");
    }
}
