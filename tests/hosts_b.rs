//! Programs of other runtimes that open libsubpy.so: Java (java.lang.foreign) and Python (ctypes). What they test is in
//! their own languages, in bindings/java/test and bindings/python/tests.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::packages;
use support::{bounded, build_folder, command, compiler, expect_success, have, library_folder, python, root, skipped};

/// A program that runs in a folder, with the library and the CPython of these tests.
fn host_in(folder: &Path, program: &Path, args: &[&str]) -> Command {
    let mut command = command(program);
    command.current_dir(folder).args(args);
    command.env("SUBPY_LIBRARY", library_folder().join("libsubpy.so"));
    command
}

/// What it printed; it has to succeed.
fn printed(command: Command) -> String {
    String::from_utf8(expect_success(command).stdout).expect("UTF-8")
}

/// The same for a program that says "done" when it has come to its end, and nothing on stderr.
fn done(command: Command) -> String {
    let shown = format!("{command:?}");
    let output = expect_success(command);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(err, "", "{shown}\n{out}");
    assert_eq!(out.lines().last(), Some("done"), "{shown}\n{out}");
    print!("{out}");
    out.into_owned()
}

// ---- Java

/// The `bin` of a JDK with the final java.lang.foreign: in JAVA_HOME, on PATH, or where systems put JDKs.
fn jdk() -> Option<&'static Path> {
    static JDK: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = JDK.get_or_init(|| {
        let home = std::env::var_os("JAVA_HOME").map(PathBuf::from);
        let path = std::env::var_os("PATH").unwrap_or_default();
        // java on PATH is often a link out of a folder that has nothing else of the JDK.
        let on_path = std::env::split_paths(&path).filter_map(|at| at.join("java").canonicalize().ok());
        let mut bins: Vec<PathBuf> = home.map(|home| home.join("bin")).into_iter().collect();
        bins.extend(on_path.filter_map(|java| java.parent().map(Path::to_owned)));
        let user = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
        let folders = [
            "/usr/lib/jvm".into(),
            "/usr/java".into(),
            "/opt".into(),
            user.join(".sdkman/candidates/java"),
            user.join(".jdks"),
        ];
        for folder in folders {
            let jdks = fs::read_dir(folder).into_iter().flatten().flatten();
            bins.extend(jdks.map(|jdk| jdk.path().join("bin")));
        }
        bins.into_iter().find(|bin| java_version(bin).is_some_and(|version| version >= 22))
    });
    if found.is_none() {
        skipped("Java", "a JDK is missing (install JDK 22 or newer, or set JAVA_HOME)");
    }
    found.as_deref()
}

/// The feature version of the JDK with this `bin`: 25. None when it is no JDK.
fn java_version(bin: &Path) -> Option<u32> {
    let output = Command::new(bin.join("javac")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.strip_prefix("javac ")?.split(['.', '-', '+', '\n']).next()?.trim().parse().ok()
}

/// A program of the JDK that runs in a folder.
fn jdk_tool(jdk: &Path, folder: &Path, tool: &str, args: &[&str]) -> Command {
    let mut command = host_in(folder, &jdk.join(tool), args);
    // The JVM says so on stderr when it finds one of these.
    command.env_remove("JAVA_TOOL_OPTIONS").env_remove("JDK_JAVA_OPTIONS").env_remove("_JAVA_OPTIONS");
    command
}

/// A folder for what these tests build, which is empty.
fn empty_folder(name: &str) -> PathBuf {
    let folder = build_folder().join("java").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// The folder with the jars, as bindings/java/pack makes them, which fails for a warning of javac or javadoc.
fn packages(jdk: &Path) -> &'static Path {
    static PACKAGES: OnceLock<PathBuf> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let folder = empty_folder("packages");
        pack(jdk, &folder, None);
        folder
    })
}

fn pack(jdk: &Path, folder: &Path, library: Option<&Path>) {
    let mut pack = command(&root().join("bindings/java/pack"));
    pack.arg(folder).args(library).env("JAVA_HOME", jdk.parent().expect("bin is in the JDK"));
    expect_success(pack);
}

/// The same with the library in the jar, from a folder as Maven takes it.
fn packages_with_library(jdk: &Path) -> (&'static Path, &'static Path) {
    static PACKAGES: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    let (packages, native) = PACKAGES.get_or_init(|| {
        let (folder, native) = (empty_folder("packages-with-library"), empty_folder("native"));
        let library = native.join("linux-x86_64/libsubpy.so");
        fs::create_dir(native.join("linux-x86_64")).expect("a folder");
        fs::copy(library_folder().join("libsubpy.so"), &library).expect("the library");
        let mut strip = Command::new("strip");
        strip.arg("--strip-debug").arg(&library);
        expect_success(strip);
        pack(jdk, &folder, Some(&library));
        (folder, native)
    });
    (packages, native)
}

const JAR: &str = "subpy-0.1.0.jar";

/// An empty folder, into which the jar is put.
fn with_jar(jdk: &Path, name: &str) -> PathBuf {
    let folder = empty_folder(name);
    fs::copy(packages(jdk).join(JAR), folder.join(JAR)).expect("the jar");
    folder
}

/// A folder with the jar and the test programs, compiled against it without a warning.
fn classes(jdk: &Path) -> &'static Path {
    static CLASSES: OnceLock<PathBuf> = OnceLock::new();
    CLASSES.get_or_init(|| {
        let folder = with_jar(jdk, "classes");
        let args = ["-cp", JAR, "--release", "22", "-Werror", "-Xlint:all", "-d", "."];
        let mut javac = jdk_tool(jdk, &folder, "javac", &args);
        let files = fs::read_dir(root().join("bindings/java/test")).expect("a folder");
        let files = files.map(|file| file.expect("a file").path());
        javac.args(files.filter(|path| path.extension().is_some_and(|is| is == "java")));
        expect_success(javac);
        folder
    })
}

/// A compiled program. `-Xcheck:jni` tells, on stdout, when a signal handler of the JVM is gone.
fn java(jdk: &Path, args: &[&str]) -> Command {
    let class_path = format!("{JAR}:.");
    let options = ["--enable-native-access=ALL-UNNAMED", "-Xcheck:jni", "-cp", &class_path];
    let mut command = jdk_tool(jdk, classes(jdk), "java", &options);
    command.args(args);
    command
}

fn java_done(args: &[&str]) {
    if let Some(jdk) = jdk() {
        let output = done(java(jdk, args));
        assert!(!output.to_lowercase().contains("warning"), "{output}");
    }
}

#[test]
fn java_tour() {
    java_done(&["Main"]);
}

#[test]
fn java_misuse() {
    java_done(&["Misuse"]);
}

#[test]
fn java_and_what_a_jvm_is_like() {
    java_done(&["Jvm"]);
}

#[test]
fn java_host_control() {
    java_done(&["Host"]);
}

#[test]
fn java_data() {
    java_done(&["Data"]);
}

#[test]
fn java_pools() {
    java_done(&["Pools"]);
}

#[test]
fn java_crashes() {
    java_done(&["Crashes"]);
}

#[test]
fn java_conformance() {
    let cases = root().join("conformance/cases.json");
    let Some(jdk) = jdk() else { return };
    packages::run_conformance(|| java(jdk, &["Conformance", cases.to_str().expect("UTF-8")]), done);
}

#[test]
fn java_exits_while_python_runs() {
    let Some(jdk) = jdk() else { return };
    let mut command = java(jdk, &["Jvm", "exit"]);
    let output = bounded::output(&mut command).expect("the program runs");
    assert_eq!((output.status.code(), output.stdout, output.stderr), (Some(7), b"printed by Python\n".into(), vec![]));
}

#[test]
fn java_library_inside_the_jar() {
    let Some(jdk) = jdk() else { return };
    if !cfg!(target_arch = "x86_64") {
        return skipped("the library inside the jar", "jars have one for x86-64 alone");
    }
    let (packages, native) = packages_with_library(jdk);
    let run = |jar: &Path, args: &[&str], variable: &str| {
        let class_path = format!("{}:.", jar.display());
        let options = ["--enable-native-access=ALL-UNNAMED", "-cp", &class_path];
        let mut command = jdk_tool(jdk, classes(jdk), "java", &[&options, args].concat());
        command.env("SUBPY_LIBRARY", variable).env("LD_LIBRARY_PATH", "/nowhere");
        command
    };
    let jar = packages.join(JAR);
    done(run(&jar, &["Inside"], ""));
    // One that is named comes before it.
    let said = printed(run(&jar, &["Loading"], "/nowhere/libsubpy.so"));
    assert!(said.contains("\n  /nowhere/libsubpy.so, which the environment variable SUBPY_LIBRARY names\n"), "{said}");
    // Where there is no room for it, the reason is told, and what was begun does not stay.
    let full = run(&jar, &["Loading"], "");
    let mut limited = command(Path::new("sh"));
    limited.args(["-c", "ulimit -f 1 && exec \"$0\" \"$@\""]).arg(full.get_program());
    limited.arg("-XX:-UsePerfData").args(full.get_args()).current_dir(full.get_current_dir().expect("a folder"));
    for (name, value) in full.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    let said = printed(limited);
    let expected = "Tried:\n  the one in the jar\n    no memory for it: File too large\n  libsubpy.so.0\n";
    assert!(said.contains(expected), "{said}");
    // One for another system is not loaded, and says what it is for.
    let folder = with_jar(jdk, "other-system");
    let other = folder.join("META-INF/native/linux-aarch64");
    fs::create_dir_all(&other).expect("a folder");
    fs::copy(native.join("linux-x86_64/libsubpy.so"), other.join("libsubpy.so")).expect("the library");
    expect_success(jdk_tool(jdk, &folder, "jar", &["--update", "--file", JAR, "META-INF"]));
    let said = printed(run(&folder.join(JAR), &["Loading"], ""));
    let expected =
        "Tried:\n  the one in the jar\n    it is for linux-aarch64, and this is linux-x86_64\n  libsubpy.so.0\n";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn java_bench_runs() {
    let Some(jdk) = jdk() else { return };
    assert_eq!(printed(java(jdk, &["Bench", "0.001"])).lines().count(), BENCH_LINES);
}

const BENCH_LINES: usize = 18;

/// The first block of code in this language in docs/java.md after a line.
fn block_of_page(language: &str, after: &str) -> String {
    let page = fs::read_to_string(root().join("docs/java.md")).expect("the page");
    let (_, rest) = page.split_once(after).expect("the line is there");
    let (_, rest) = rest.split_once(&format!("```{language}\n")).expect("a block");
    rest.split_once("```").expect("its end").0.to_owned()
}

/// With nothing else in the folder: as a program in one source file, and compiled into a module.
#[test]
fn java_first_program_of_the_page_from_the_jar_alone() {
    let Some(jdk) = jdk() else { return };
    let program = block_of_page("java", "## A program");
    let expected = block_of_page("text", "It prints:");
    let run = |command: Command| {
        let output = expect_success(command);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    };

    let folder = with_jar(jdk, "first");
    fs::write(folder.join("Hello.java"), &program).expect("a file");
    run(jdk_tool(jdk, &folder, "java", &["--enable-native-access=ALL-UNNAMED", "-cp", JAR, "Hello.java"]));

    let folder = with_jar(jdk, "module");
    fs::create_dir(folder.join("hello")).expect("a folder");
    fs::write(folder.join("hello/Hello.java"), format!("package hello;\n\n{program}")).expect("a file");
    fs::write(folder.join("module-info.java"), "module hello {\n  requires io.github.subpy;\n}\n").expect("a file");
    let args = ["-Werror", "-Xlint:all", "--module-path", JAR, "-d", "classes", "module-info.java", "hello/Hello.java"];
    expect_success(jdk_tool(jdk, &folder, "javac", &args));
    let path = format!("{JAR}:classes");
    let mut args = vec!["--enable-native-access=io.github.subpy", "--module-path", &path, "-m", "hello/hello.Hello"];
    run(jdk_tool(jdk, &folder, "java", &args));

    if java_version(jdk) < Some(24) {
        return skipped("Java's --illegal-native-access", "the JDK is too old (install JDK 24 or newer)");
    }
    args[0] = "--illegal-native-access=deny";
    let output = bounded::output(&mut jdk_tool(jdk, &folder, "java", &args)).expect("java runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("java.lang.UnsatisfiedLinkError: Illegal native access"), "{said}");
    assert!(said.contains(": start java with --enable-native-access=io.github.subpy\n"), "{said}");
}

/// What the dynamic linker, Java and the versions say about a file that is no library of this version.
#[test]
fn java_library_that_is_missing_or_does_not_fit() {
    let Some(jdk) = jdk() else { return };
    let message = |library: &Path, options: &[&str]| {
        let mut command = java(jdk, &[options, &["Loading"]].concat());
        command.env("SUBPY_LIBRARY", library).env("LD_LIBRARY_PATH", "/nowhere");
        printed(command)
    };
    let named = |library: &Path| message(library, &[]);
    let todo = "Install it where the dynamic linker looks (in the sources of subpy: make install, then ldconfig), or name \
                its file: -Dsubpy.library=/path/to/libsubpy.so, or SUBPY_LIBRARY in the environment.\n";

    assert_eq!(
        named(Path::new("/nowhere/libsubpy.so")),
        format!(
            "libsubpy cannot be loaded. Tried:\n  /nowhere/libsubpy.so, which the environment variable SUBPY_LIBRARY \
             names\n    /nowhere/libsubpy.so: cannot open shared object file: No such file or directory\n{todo}"
        )
    );
    let text = empty_folder("loading").join("text.so");
    fs::write(&text, "This is a text that is long enough to be taken for a library, which it is not, at all.")
        .expect("");
    let path = text.display();
    assert_eq!(
        message(Path::new("ignored"), &[&format!("-Dsubpy.library={path}")]),
        format!(
            "libsubpy cannot be loaded. Tried:\n  {path}, which the system property subpy.library names\n    \
             {path}: invalid ELF header\n{todo}"
        )
    );
    let missing = |name| format!("  {name}\n    {name}: cannot open shared object file: No such file or directory\n");
    assert_eq!(
        named(Path::new("")), // as if it were not there
        format!("libsubpy cannot be loaded. Tried:\n{}{}{todo}", missing("libsubpy.so.0"), missing("libsubpy.so"))
    );

    let other = |version: u32| built_on_ours(&format!("version-{version}"), &[format!("-DVERSION={version}")]);
    for (version, shown) in [(999_000, "0.999.0"), (3, "0.0.3"), (1_001_007, "1.1.7")] {
        let library = other(version);
        let file = library.display();
        assert_eq!(
            named(&library),
            format!(
                "{file}, which the environment variable SUBPY_LIBRARY names, is version {shown} of libsubpy, \
                 and this jar needs 0.1: install the library and the jar of one version\n",
            )
        );
    }
    // One that the dynamic linker finds is told with its path.
    let found = other(999_000);
    let soname = found.with_file_name("libsubpy.so.0");
    fs::rename(found, &soname).expect("a library");
    let mut command = java(jdk, &["Loading"]);
    command.env_remove("SUBPY_LIBRARY").env("LD_LIBRARY_PATH", soname.parent().expect("a folder"));
    let said = printed(command);
    assert!(said.starts_with(&format!("{} is version 0.999.0 of libsubpy, ", soname.display())), "{said}");
    assert_eq!(
        named(Path::new("libm.so.6")),
        "libm.so.6, which the environment variable SUBPY_LIBRARY names, is not libsubpy: it has no function \
         subpy_version()\n"
    );
}

/// What bindings/java/test/newer.c makes of the library of these tests.
fn built_on_ours(name: &str, options: &[String]) -> PathBuf {
    let library = empty_folder(name).join("libsubpy-other.so");
    let folder = library_folder();
    let mut compiler = compiler(false);
    compiler.args(["-std=c11", "-shared", "-fPIC"]).args(options);
    compiler.arg(root().join("bindings/java/test/newer.c")).arg("-o").arg(&library);
    compiler.arg("-Wl,--no-as-needed").arg("-L").arg(&folder).arg("-lsubpy");
    compiler.arg(format!("-Wl,--disable-new-dtags,-rpath,{}", folder.display()));
    expect_success(compiler);
    library
}

#[test]
fn java_and_what_only_a_newer_library_returns() {
    let Some(jdk) = jdk() else { return };
    let mut command = java(jdk, &["Newer"]);
    command.env("SUBPY_LIBRARY", built_on_ours("newer", &[]));
    done(command);
}

#[test]
fn java_jars() {
    let Some(jdk) = jdk() else { return };
    let packages = packages(jdk);
    let list = |name: &str| printed(jdk_tool(jdk, packages, "jar", &["--list", "--file", name]));
    for (jar, files) in [
        (JAR, ["module-info.class", "io/github/subpy/Subpy.class"]),
        ("subpy-0.1.0-sources.jar", ["module-info.java", "io/github/subpy/Subpy.java"]),
        ("subpy-0.1.0-javadoc.jar", ["index.html", "io.github.subpy/io/github/subpy/Subpy.html"]),
    ] {
        let listed = list(jar);
        for file in files.iter().chain(&["META-INF/LICENSE-APACHE", "META-INF/LICENSE-MIT"]) {
            assert!(listed.lines().any(|line| line == *file), "{jar} lacks {file}:\n{listed}");
        }
    }
    let module = printed(jdk_tool(jdk, packages, "jar", &["--describe-module", "--file", JAR]));
    assert!(module.starts_with("io.github.subpy@0.1.0 "), "{module}");
    assert!(module.contains("\nexports io.github.subpy\nrequires java.base mandated\n"), "{module}");
    for license in ["LICENSE-APACHE", "LICENSE-MIT"] {
        let read = |folder: &str| fs::read_to_string(root().join(folder).join(license)).expect("a licence");
        assert_eq!(read("bindings/java"), read("."));
    }
}

/// `mvn package` makes the same jars, but for the manifest, which says what made it.
#[test]
fn java_jars_of_maven() {
    let Some(jdk) = jdk() else { return };
    if !have("mvn", "Maven", "install the package maven") {
        return;
    }
    let folder = empty_folder("maven");
    let (packages, native) = packages_with_library(jdk);
    let mut maven = command(Path::new("mvn"));
    maven
        .args(["-q", "-B", "-f", "bindings/java/pom.xml"])
        .arg(format!("-Doutput={}", folder.display()))
        .arg(format!("-Dnative={}", native.display()))
        .arg("package");
    maven.current_dir(root()).env("JAVA_HOME", jdk.parent().expect("bin is in the JDK"));
    expect_success(maven);
    let contents = |jar: &Path, name: &str| {
        let folder = empty_folder(name);
        expect_success(jdk_tool(jdk, &folder, "jar", &["--extract", "--file", jar.to_str().expect("UTF-8")]));
        fs::remove_file(folder.join("META-INF/MANIFEST.MF")).expect("a manifest");
        // Maven leaves the folder of what it leaves out.
        let _ = fs::remove_dir(folder.join("META-INF/native"));
        folder
    };
    let module = |folder: &Path| {
        let described = printed(jdk_tool(jdk, folder, "jar", &["--describe-module", "--file", JAR]));
        // The first line has the path of the jar.
        described.replace(folder.to_str().expect("UTF-8"), "")
    };
    assert_eq!(module(packages), module(&folder));
    for jar in [JAR, "subpy-0.1.0-sources.jar"] {
        let (ours, theirs) = (contents(&packages.join(jar), "ours"), contents(&folder.join(jar), "theirs"));
        let mut diff = command(Path::new("diff"));
        // The module's was compared above: Maven's jar has the same entries in another order.
        diff.args(["-r", "--exclude=module-info.class"]).arg(ours).arg(theirs);
        expect_success(diff);
    }
    assert!(folder.join("subpy-0.1.0-javadoc.jar").is_file());
}

// ---- Python

/// Whether this machine has what builds and installs the package.
fn have_pip() -> bool {
    let needed = "import pip, sys; sys.exit(sys.version_info < (3, 10))";
    let found = Command::new("python3").args(["-c", needed]).output().is_ok_and(|ran| ran.status.success());
    if !found {
        skipped("the Python package", "python3 with pip is missing (install the packages python3 and python3-pip)");
    }
    found
}

/// pip, for the Python of these tests, which need not have one.
fn pip(args: &[&str]) -> Command {
    let mut pip = Command::new("python3");
    pip.arg("-m").arg("pip").arg("--python").arg(python()).args(["--disable-pip-version-check", "--quiet"]).args(args);
    pip
}

fn wheel(packages: &Path) -> PathBuf {
    packages.join("subpy-0.1.0-py3-none-any.whl")
}

/// A new folder with the package from its wheel, and nothing else.
fn installed(name: &str, packages: &Path) -> PathBuf {
    let folder = empty_folder(name);
    let mut install = pip(&["install", "--no-index", "--root-user-action=ignore", "--target"]);
    install.arg(&folder).arg(wheel(packages));
    expect_success(install);
    folder
}

/// The folder with the wheel and the sdist, and one into which the wheel is installed. None when something is missing.
fn python_package() -> Option<(&'static Path, &'static Path)> {
    static PACKAGE: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    if !have_pip() {
        return None;
    }
    let (packages, folder) = PACKAGE.get_or_init(|| {
        let packages = packages::pack("python");
        let folder = installed("python-package", &packages);
        (packages, folder)
    });
    Some((packages, folder))
}

/// A program of bindings/python/tests with the package that was installed.
fn python_host_of(python: &Path, package: &Path, args: &[&str]) -> Command {
    let mut command = command(python);
    command.current_dir(root().join("bindings/python/tests")).arg("-B").args(args);
    command.env("PYTHONPATH", package).env("SUBPY_LIBRARY", library_folder().join("libsubpy.so"));
    command
}

fn python_host(args: &[&str]) -> Option<Command> {
    let mut command = python_host_of(&python(), python_package()?.1, args);
    // Its own CPython is the runtime, not one that is chosen.
    command.env_remove("SUBPY_PYTHON");
    Some(command)
}

fn python_done(args: &[&str]) {
    if let Some(mut command) = python_host(&["-X", "dev", "-W", "error"]) {
        command.args(args);
        done(command);
    }
}

#[test]
fn python_tour() {
    python_done(&["main.py"]);
}

#[test]
fn python_first_program_from_the_package_alone() {
    let Some((packages, package)) = python_package() else { return };
    let (program, expected) = packages::first_program("python.md", "python");
    let folder = empty_folder("python-empty");
    fs::write(folder.join("first.py"), program).expect("a file");
    let mut first = command(&python());
    first.current_dir(&folder).args(["-B", "first.py"]).env_remove("SUBPY_PYTHON");
    first.env("PYTHONPATH", package).env("SUBPY_LIBRARY", library_folder().join("libsubpy.so"));
    assert_eq!(printed(first), expected);

    assert!(package.join("subpy/py.typed").is_file());
    packages::same_licences(&package.join("subpy-0.1.0.dist-info/licenses"));
    // The sdist makes the same wheel, byte for byte.
    let tools = packages.parent().expect("target").join("package-tools/python");
    let mut build = Command::new("python3");
    build.args(["-m", "pip", "wheel", "--disable-pip-version-check", "--quiet", "--no-index", "--no-build-isolation"]);
    build.args(["--ignore-requires-python", "--wheel-dir"]).arg(&folder).arg(packages.join("subpy-0.1.0.tar.gz"));
    build.env("PYTHONPATH", tools);
    expect_success(build);
    assert!(fs::read(wheel(&folder)).expect("a wheel") == fs::read(wheel(packages)).expect("a wheel"));
}

#[test]
fn python_conformance() {
    let cases = root().join("conformance/cases.json");
    if python_package().is_none() {
        return;
    }
    let command = || {
        let cases = cases.to_str().expect("a path in UTF-8");
        let mut command = python_host(&["-X", "dev", "-W", "error", "conformance.py", cases]).expect("it is installed");
        command.env("PYTHONMALLOC", "pymalloc"); // as for python_values
        command
    };
    packages::run_conformance(command, printed);
}

#[test]
fn python_finds_its_library_or_says_what_is_wrong() {
    let Some((packages, _)) = python_package() else { return };
    let package = installed("python-beside", packages);
    let import = |library: Option<&Path>, loader: &Path| {
        let program = "import subpy\nsubpy.create().exec('print(6 * 7)')\nsubpy.shutdown()";
        let mut command = python_host_of(&python(), &package, &["-c", program]);
        command.env("LD_LIBRARY_PATH", loader).env_remove("SUBPY_PYTHON").env_remove("SUBPY_LIBRARY");
        command.envs(library.map(|library| ("SUBPY_LIBRARY", library)));
        command
    };
    let broken = packages::says_what_is_wrong("python", "package", "/subpy/libsubpy.so", import);

    assert_eq!(printed(import(None, &library_folder())), "42\n");
    fs::copy(library_folder().join("libsubpy.so"), package.join("subpy/libsubpy.so")).expect("a copy");
    assert_eq!(printed(import(None, &broken)), "42\n");
}

#[test]
fn python_misuse() {
    python_done(&["misuse.py"]);
}

#[test]
fn python_interrupted() {
    python_done(&["interrupted.py"]);
}

#[test]
fn python_beside_and_inside_concurrent_interpreters() {
    python_done(&["inside.py"]);
}

#[test]
fn python_at_exit() {
    let Some((_, package)) = python_package() else { return };
    let python_host = |args: &[&str]| {
        let mut command = python_host_of(&python(), package, args);
        command.env_remove("SUBPY_PYTHON");
        command
    };
    let end = "the end of the program\n";
    let quiet = |how, expected: &str| {
        let output = expect_success(python_host(&["at_exit.py", how]));
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{end}{expected}"), "{how}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{how}");
    };
    quiet("tidy", "at exit: 3.0 2\n");
    quiet("late", "after the exit handlers: unrecognized interpreter ID 1\n");
    quiet("pool", "done: 3\n");
    for _ in 0..5 {
        let output = expect_success(python_host(&["at_exit.py", "creating"]));
        assert_eq!(String::from_utf8_lossy(&output.stdout), end);
    }
    for (how, expected) in [
        ("left", "the exit handler of an interpreter\nan object of __main__ is finalised\n"),
        ("daemon", ""),
        ("called", "printed: at exit\ncalled\n"),
    ] {
        let output = expect_success(python_host(&["at_exit.py", how]));
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{end}{expected}"), "{how}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("RuntimeWarning: remaining subinterpreters"), "{how}: {said}");
    }
}

#[test]
fn python_host_functions() {
    python_done(&["host.py"]);
}

#[test]
fn python_limits() {
    python_done(&["limits.py"]);
}

#[test]
fn python_processes() {
    python_done(&["processes.py"]);
}

#[test]
fn python_objects() {
    python_done(&["objects.py"]);
}

#[test]
fn python_queues() {
    python_done(&["queues.py"]);
}

#[test]
fn python_buffers() {
    python_done(&["buffers.py"]);
}

#[test]
fn python_values() {
    if let Some(mut command) = python_host(&["-X", "dev", "-W", "error", "values.py"]) {
        // Memory is counted in front of CPython's own allocator, and not of the one that "-X dev" has.
        command.env("PYTHONMALLOC", "pymalloc");
        done(command);
    }
}

#[test]
fn python_pools() {
    python_done(&["pools.py"]);
}

#[test]
fn python_bench_runs() {
    if let Some(command) = python_host(&["bench.py", "0.001"]) {
        assert_eq!(printed(command).lines().count(), 2 * (7 + 10));
    }
}

/// Pythons from 3.9, which subpy's Python module needs, to 3.13, which subpy refuses: of the system and of pyenv.
fn older_pythons() -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/usr/bin/python3"), PathBuf::from("/usr/local/bin/python3")];
    let pyenv = PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".pyenv/versions");
    let versions = fs::read_dir(pyenv).into_iter().flatten().flatten();
    found.extend(versions.map(|version| version.path().join("bin/python3")));
    let fits = "import ctypes, sys; sys.exit(not (3, 9) <= sys.version_info < (3, 14))";
    found.retain(|python| Command::new(python).args(["-I", "-c", fits]).output().is_ok_and(|ran| ran.status.success()));
    found
}

#[test]
fn an_older_python_is_refused_and_can_ask_a_newer_one() {
    let Some((_, package)) = python_package() else { return };
    let pythons = older_pythons();
    if pythons.is_empty() {
        skipped("an older Python as host", "a Python 3.9 to 3.13 is missing (install the package python3)");
    }
    for python in pythons {
        let refused = printed(python_host_of(&python, package, &["refused.py"]));
        assert!(refused.contains("cannot be used") && refused.lines().count() == 1, "{refused}");
        let asked = printed(python_host_of(&python, package, &["from_old_python.py"]));
        let expected = "{'result': 15511210043330985984000000}\nValueError: expected a nonnegative input, got -1.0\n";
        assert_eq!(asked, expected);
    }
}
