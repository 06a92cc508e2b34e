//! Attacks (tests/attacks), each in a process of its own, with and without a lock, and what is allowed. docs/security.md
//! has both; SUBPY_UPDATE_SECURITY=1 writes them there.
//!
//! This test program is such a process, too, by another name: it loads a CPython, is locked, and runs one attack.

use std::ffi::{CStr, CString, OsStr, OsString, c_char, c_int, c_void};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::calls::{Check, NEWER, allowed};
use super::limits::{Limits, limit};
use super::{Got, Lock, filter, landlock, lock, prepare, restrict};
use crate::process::channel::{Bytes, Channel, Header};
use crate::process::control::Note;
use crate::process::system::{pipe, read_all, socket_pair, wait};
use crate::python::find::{Found, Installation, locate};

const MIB: u64 = 1 << 20;
/// What a locked process may use here.
const LIMITS: Limits = Limits {
    memory: Some(32 * MIB),
    cpu: Some(Duration::from_millis(200)),
    descriptors: Some(128),
    file: Some(MIB),
    threads: None,
};
/// The descriptors that an attacker has: a secret, which it does not keep; shared memory that it may read; and the
/// memory of a channel.
const INHERITED: c_int = 100;
const READ_ONLY: c_int = 101;
const SHARED: c_int = 102;

// ---- this program under its other name ----

/// How an attacker is locked.
const MODES: [&str; 4] = ["nothing", "Landlock", "seccomp", "both"];

extern "C" fn before_main(argc: c_int, argv: *const *const c_char) {
    // SAFETY: glibc calls the functions of this section with the arguments of main().
    let arguments: Vec<OsString> = (0..argc as usize)
        .map(|index| unsafe { OsStr::from_bytes(CStr::from_ptr(*argv.add(index)).to_bytes()).to_owned() })
        .collect();
    if arguments.first().is_some_and(|name| name == "subpy-attacker") {
        // SAFETY: it touches no memory.
        unsafe { libc::alarm(60) };
        let texts: Vec<&str> = arguments[1..].iter().map(|text| text.to_str().expect("UTF-8")).collect();
        let done = std::panic::catch_unwind(|| attacker(&texts)).is_ok();
        std::process::exit(i32::from(!done));
    }
}

#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn(c_int, *const *const c_char) = before_main;

/// A CPython, initialised on this thread.
struct Python(extern "C" fn(*const c_char) -> c_int);

impl Python {
    fn start(library: &str, prefix: &str) -> Python {
        let library = CString::new(library).expect("a path");
        // SAFETY: a CPython's library, whose functions have these types (Include/pylifecycle.h, pythonrun.h).
        unsafe {
            std::env::set_var("PYTHONHOME", prefix);
            let library = libc::dlopen(library.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL);
            assert!(!library.is_null(), "{:?}", CStr::from_ptr(libc::dlerror()));
            let function = |name: &CStr| {
                let function = libc::dlsym(library, name.as_ptr());
                assert!(!function.is_null(), "{name:?}");
                function
            };
            let initialize: extern "C" fn(c_int) = std::mem::transmute(function(c"Py_InitializeEx"));
            initialize(0);
            Python(std::mem::transmute::<*mut c_void, extern "C" fn(*const c_char) -> c_int>(function(
                c"PyRun_SimpleString",
            )))
        }
    }

    /// Runs code in `__main__`. False: it has raised something, and said so.
    fn run(&self, code: &str) -> bool {
        let code = CString::new(code).expect("no NUL");
        (self.0)(code.as_ptr()) == 0
    }
}

/// A text as a Python expression.
fn literal(text: &str) -> String {
    let hex = text.bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    format!("bytes.fromhex('{hex}').decode()")
}

/// A number that nobody closes.
fn keep(number: c_int) -> BorrowedFd<'static> {
    // SAFETY: it is open as long as this process lives.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Runs what it is told, locked as it is told.
fn attacker(texts: &[&str]) {
    let [mode, library, prefix, own, readable, code] = texts[..] else { panic!("six arguments: {texts:?}") };
    // It runs before main(), which has none of its own yet; and an attacker leads no session.
    let python = Python::start(library, prefix);
    let (from, to) = pipe().expect("a pipe");
    let told = format!("import os\nos.write({}, '\\n'.join({}).encode())", to.as_raw_fd(), prepare());
    let environment = std::env::var_os("SUBPY_TEST_SECRET").expect("it is there");
    if mode == "both" {
        assert!(python.run(&told));
    } else {
        // The others keep their environment.
        assert!(python.run(&told.replace("environ.clear()", "environ")));
    }
    drop(to);
    let paths = String::from_utf8(read_all(from.as_fd(), 1 << 16)).expect("UTF-8");
    drop(from);
    // Whoever talks has no other.
    let kept = [1, 2, READ_ONLY, SHARED];
    let kept = if mode == "talks" { &kept[..2] } else { &kept };
    let rules = Lock {
        python: paths.lines().map(PathBuf::from).collect(),
        readable: readable.split(':').map(PathBuf::from).collect(),
        writable: Some(own).filter(|own| !own.is_empty()).map(PathBuf::from).into_iter().collect(),
        descriptors: kept.iter().copied().map(keep).collect(),
        accept_less: false,
    };
    assert!(!environment.is_empty());
    match mode {
        "nothing" => {}
        "Landlock" => {
            no_new_privileges();
            restrict(&rules, landlock::version()).expect("Landlock");
        }
        "seccomp" => {
            no_new_privileges();
            filter::begin(!own.is_empty()).expect("a filter");
        }
        // Without limits, for what is allowed.
        "unlimited" => {
            lock(&rules).expect("it is locked");
        }
        "old" => old_kernel(&rules),
        "threads" => {
            // Of root's none are counted.
            assert!(python.run("import threading"));
            // SAFETY: numbers.
            assert_eq!(unsafe { libc::setresgid(65534, 65534, 65534) | libc::setresuid(65534, 65534, 65534) }, 0);
            if !limit(&Limits { threads: Some(8), ..Limits::default() }).expect("limits") {
                println!("unlimited");
                return;
            }
        }
        // It cannot write where it may, as nothing says where that is.
        "without Landlock" => {
            no_new_privileges();
            without_call(libc::SYS_landlock_create_ruleset);
            let less = Lock { accept_less: true, ..rules };
            assert_eq!(lock(&less), Ok(Got { landlock: 0, filter: true }));
            let refused = fs::write(Path::new(own).join("new"), "").unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
        }
        "talks" => {
            let mut descriptors = rules.descriptors.clone();
            descriptors.push(keep(0));
            lock(&Lock { descriptors, ..rules }).expect("it is locked");
            talk(&python, code);
        }
        _ => {
            limit(&LIMITS).expect("limits");
            let got = lock(&rules).expect("it is locked");
            assert!(got.is_all(), "{got:?}");
        }
    }
    let done = python.run(code);
    // What an attack has left behind would say something else at the end.
    // SAFETY: nothing has to be written any more.
    unsafe { libc::_exit(i32::from(!done)) };
}

/// A kernel that has none of it, one after the other.
fn old_kernel(rules: &Lock) {
    no_new_privileges();
    without_call(libc::SYS_landlock_create_ruleset);
    let missing = "this Linux has no Landlock of version 3 or newer, or it is switched off";
    let refused = lock(rules).unwrap_err();
    assert_eq!(refused, format!("an interpreter cannot be locked here: {missing}"));
    let less = Lock {
        python: rules.python.clone(),
        readable: rules.readable.clone(),
        writable: rules.writable.clone(),
        descriptors: rules.descriptors.clone(),
        accept_less: true,
    };
    // With the last there is nothing that could take system calls away.
    without_call(libc::SYS_seccomp);
    assert_eq!(
        lock(rules).unwrap_err(),
        format!("an interpreter cannot be locked here: {missing}; this Linux has no seccomp filters")
    );
    assert_eq!(lock(&less), Ok(Got { landlock: 0, filter: false }));
}

/// From now on the kernel does not know this call.
fn without_call(number: libc::c_long) {
    let one = |code: u32, k: u32, jf: u8| libc::sock_filter { code: code as u16, jt: 0, jf, k };
    let mut program = [
        one(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        one(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, number as u32, 1),
        one(libc::BPF_RET | libc::BPF_K, ENOSYS, 0),
        one(libc::BPF_RET | libc::BPF_K, ALLOW, 0),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: a program of that length.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) }, 0);
}

/// What a worker does: it gets channels over its socket, and serves each with a thread; and Python code runs.
fn talk(python: &Python, code: &str) -> ! {
    let socket = keep(0);
    let channel = || {
        wait([(socket, libc::POLLIN)], None).expect("the host says something");
        let (note, descriptors) = Note::receive(socket).expect("a note");
        assert_eq!((note, descriptors.len()), (Note::Channel, 1));
        Channel::open(descriptors[0].as_fd()).expect("a channel")
    };
    let serve = |mut channel: Channel| {
        loop {
            let message = channel.receive(None).expect("a message");
            let (header, bytes) = (message.header, read(message.bytes));
            channel.send(header, &[&bytes]).expect("it is sent");
            if header.op == 0 {
                return;
            }
        }
    };
    let (first, second) = (channel(), channel());
    let thread = std::thread::spawn(move || serve(second));
    serve(first);
    thread.join().expect("no panic");
    assert!(python.run(code));
    Note::Ready.send(socket, &[]).expect("the host hears it");
    // SAFETY: nothing has to be written any more.
    unsafe { libc::_exit(0) };
}

fn read(bytes: Bytes) -> Vec<u8> {
    match bytes {
        Bytes::Own(bytes) => bytes,
        // SAFETY: so many can be read there.
        bytes => unsafe { std::slice::from_raw_parts(bytes.start(), bytes.len()) }.to_vec(),
    }
}

fn no_new_privileges() {
    // SAFETY: numbers.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
}

// ---- the test ----

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn python() -> Installation {
    let python = std::env::var_os("SUBPY_TEST_PYTHON").expect("the CPython to test with");
    match locate(Some(Path::new(&python)), &|_| None, false) {
        Ok(Found::OnDisk(installation)) => installation,
        // Other tests have loaded it.
        Ok(Found::InProcess(loaded)) => loaded.installation.expect("it has files"),
        other => panic!("{other:?}"),
    }
}

/// A folder that goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("subpy-attacks-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a new folder");
        Folder(path)
    }

    /// What one attacker finds.
    fn fill(&self) {
        for name in ["own", "open", "private", "private/empty"] {
            fs::create_dir(self.0.join(name)).expect("a new folder");
        }
        for name in ["open/file", "private/file"] {
            fs::write(self.0.join(name), "text").expect("a new file");
        }
        fs::write(self.0.join("private/secret"), "secret").expect("a new file");
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The process that attacks aim at; and what it says about itself, without the braces.
struct Victim {
    process: Child,
    about: String,
    folder: Folder,
}

impl Victim {
    fn start(python: &Installation) -> Victim {
        let folder = Folder::new();
        folder.fill();
        let mut command = Command::new(python.executable.as_ref().expect("it has a program"));
        command.args(["-I", "-S", &root().join("tests/attacks/victim.py").to_string_lossy()]);
        command.args([folder.path(""), folder.path("private/secret")]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // SAFETY: a system call.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                Ok(())
            })
        };
        let mut process = command.spawn().expect("it starts");
        let mut about = String::new();
        let said = BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut about);
        said.expect("it tells about itself");
        let about = about.trim().trim_matches(['{', '}']).to_owned();
        assert!(about.contains("\"victim\""), "{about}");
        Victim { process, about, folder }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Memory that can be read alone. Neither Landlock nor the filter says who may open what is in no folder, so the file
/// itself does.
fn read_only() -> OwnedFd {
    // SAFETY: a C string; a new descriptor.
    let file = unsafe { OwnedFd::from_raw_fd(libc::memfd_create(c"shared".as_ptr(), libc::MFD_CLOEXEC)) };
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    fs::write(&path, "shared").expect("it is written");
    // SAFETY: it touches no memory.
    assert_eq!(unsafe { libc::fchmod(file.as_raw_fd(), 0o400) }, 0);
    File::open(path).expect("it is opened").into()
}

fn attacker_command(
    python: &Installation,
    mode: &str,
    folder: &Folder,
    writes: bool,
    readable: &str,
    code: &str,
) -> Command {
    let own = if writes { folder.path("own") } else { String::new() };
    let readable = format!("{}:{readable}", folder.path("open"));
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    let library = python.library.to_str().expect("UTF-8");
    command.arg0("subpy-attacker").args([mode, library, python.prefix.to_str().expect("UTF-8"), &own, &readable, code]);
    command
}

/// Starts an attacker and says what it prints, and how it has ended.
fn attack(python: &Installation, mode: &str, folder: &Folder, writes: bool, readable: &str, code: &str) -> String {
    let secret = File::open(folder.path("private/secret")).expect("a secret");
    let (_own, shared) = Channel::create().expect("a channel");
    let given = read_only();
    let passed = [(secret.as_raw_fd(), INHERITED), (given.as_raw_fd(), READ_ONLY), (shared.as_raw_fd(), SHARED)];
    let mut command = attacker_command(python, mode, folder, writes, readable, code);
    command.env("SUBPY_TEST_SECRET", "in the environment").stdin(Stdio::null());
    // SAFETY: system calls alone.
    unsafe {
        command.pre_exec(move || {
            for (number, place) in passed {
                if libc::dup2(number, place) != place {
                    return Err(std::io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
    let output = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match output.status.signal() {
        Some(signal) => format!("ended by {}", signal_name(signal)),
        // What Python says about an exception that it could not tell.
        None if said.is_empty() => format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)),
        None => said,
    }
}

/// The first words of what may come of an attack.
const REFUSALS: [&str; 10] = [
    "not",
    "through",
    "nothing",
    "ended",
    "PermissionError",
    "OSError",
    "MemoryError",
    "RuntimeError",
    "ValueError",
    "gaierror",
];

fn signal_name(signal: i32) -> String {
    let names = [(libc::SIGSYS, "SIGSYS"), (libc::SIGXCPU, "SIGXCPU"), (libc::SIGKILL, "SIGKILL")];
    names.iter().find(|(number, _)| *number == signal).map_or(format!("signal {signal}"), |(_, name)| (*name).into())
}

/// An attack of tests/attacks.
struct Attack {
    file: &'static str,
    name: String,
    what: String,
}

const FILES: [(&str, &str); 5] = [
    ("files", "Files"),
    ("processes", "Processes, signals, the environment, descriptors"),
    ("network", "Networks"),
    ("kernel", "The kernel"),
    ("resources", "Resources"),
];

fn source(file: &str) -> String {
    fs::read_to_string(root().join(format!("tests/attacks/{file}.py"))).expect("a Python file")
}

/// The functions of these files, with the first line of each.
fn attacks() -> Vec<Attack> {
    let mut attacks = Vec::new();
    for (file, _) in FILES {
        let text = source(file);
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.windows(2) {
            let Some(name) = pair[0].strip_prefix("def ").and_then(|rest| rest.strip_suffix("(it):")) else { continue };
            let what = pair[1].trim().trim_matches('"');
            assert!(what.ends_with('.'), "{file}: {name} says what it does: {what}");
            attacks.push(Attack { file, name: name.to_owned(), what: what.to_owned() });
        }
    }
    assert!(attacks.len() >= 30);
    attacks
}

/// What comes of an attack without a lock, with each half of it, and with all.
fn outcomes(python: &Installation, victim: &Victim, attack_: &Attack) -> [String; 4] {
    let runner = source("runner");
    MODES.map(|mode| {
        // Each half alone takes as long again, and is for the page.
        if ["Landlock", "seccomp"].contains(&mode) && !updates() && !is_ci() {
            return "not tried".into();
        }
        let folder = Folder::new();
        folder.fill();
        let paths = [("own", "own"), ("open", "open"), ("private", "private")];
        let more = [("secret", "private/secret"), ("file", "private/file")];
        let mut context = format!("{{{}", victim.about);
        for (name, path) in paths.iter().chain(&more) {
            write!(context, ", \"{name}\": \"{}\"", folder.path(path)).expect("text");
        }
        let program = python.executable.as_ref().expect("it has a program").to_str().expect("UTF-8");
        write!(context, ", \"program\": \"{program}\", \"inherited\": {INHERITED}").expect("text");
        write!(context, ", \"read_only\": {READ_ONLY}, \"shared\": {SHARED}}}").expect("text");
        let text = source(attack_.file);
        let arguments = [&text, attack_.file, &attack_.name, &context].map(|text: &str| literal(text)).join(", ");
        let code = format!("{runner}\nmain({arguments})\n");
        let readable = victim.folder.path("signals");
        attack(python, mode, &folder, true, &readable, &code)
    })
}

const BEGIN: &str = "<!-- attacks: written by src/process/lock/tests.rs -->\n";
const END: &str = "<!-- end of attacks -->\n";
const LIST_BEGIN: &str = "<!-- calls: written by src/process/lock/tests.rs -->\n";
const LIST_END: &str = "<!-- end of calls -->\n";

fn is_ci() -> bool {
    std::env::var("CI").as_deref() == Ok("true")
}

fn updates() -> bool {
    std::env::var_os("SUBPY_UPDATE_SECURITY").is_some()
}

/// Compares what is between two lines of the page, or writes it.
fn page_has(begin: &str, end: &str, found: &str, is_same: impl Fn(&str, &str) -> bool) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().expect("no panic");
    let page = root().join("docs/security.md");
    let text = fs::read_to_string(&page).expect("docs/security.md");
    let (before, rest) = text.split_once(begin).expect("a beginning");
    let (expected, after) = rest.split_once(end).expect("an end");
    if updates() {
        fs::write(page, format!("{before}{begin}\n{}\n\n{end}{after}", found.trim())).expect("docs/security.md");
        return;
    }
    let new: Vec<&str> = found.lines().filter(|line| !expected.contains(line)).collect();
    assert!(
        is_same(expected.trim(), found.trim()),
        "docs/security.md says otherwise; SUBPY_UPDATE_SECURITY=1 cargo test --lib lock:: writes it:\n{}",
        new.join("\n")
    );
}

/// The locked process's column decides, and which attacks there are. What the others get depends on the machine, and on
/// the user: CI's are those of the page.
fn tables_are_the_same(expected: &str, found: &str) -> bool {
    if is_ci() {
        return expected == found;
    }
    let last = |text: &str| -> Vec<(String, String)> {
        let rows = text.lines().filter(|line| line.starts_with("| ")).map(|line| line.split(" | ").collect::<Vec<_>>());
        rows.map(|cells| (cells[0].to_owned(), cells.last().expect("cells").to_string())).collect()
    };
    last(expected) == last(found)
}

#[test]
fn locked_processes_hold_against_attacks() {
    let python = python();
    let victim = Victim::start(&python);
    let (attacks, next) = (attacks(), AtomicUsize::new(0));
    let found: Vec<Mutex<[String; 4]>> = attacks.iter().map(|_| Mutex::default()).collect();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some((attack, found)) = Some(next.fetch_add(1, Ordering::Relaxed))
                    .and_then(|index| Some((attacks.get(index)?, &found[index])))
                {
                    *found.lock().expect("no panic") = outcomes(&python, &victim, attack);
                }
            });
        }
    });
    let found: Vec<[String; 4]> = found.into_iter().map(|found| found.into_inner().expect("no panic")).collect();
    let mut table = String::new();
    for (file, title) in FILES {
        writeln!(table, "\n| {title} | without | Landlock alone | seccomp alone | locked |\n|---|---|---|---|---|")
            .expect("text");
        for (attack, cells) in attacks.iter().zip(&found).filter(|(attack, _)| attack.file == file) {
            writeln!(table, "| {} | {} |", attack.what, cells.join(" | ")).expect("text");
        }
    }
    let through = |mode: usize| -> Vec<&str> {
        let all = attacks.iter().zip(&found).filter(|(_, cells)| cells[mode] == "through");
        all.map(|(attack, _)| attack.name.as_str()).collect()
    };
    println!("{table}");
    assert_eq!(through(3), [""; 0], "a locked process holds");
    assert!(through(0).len() >= 30, "what holds without a lock is no attack: {:?}", through(0));
    // An attack that fails for another reason than that it is refused would be a bad test.
    let odd = |cell: &str| !REFUSALS.contains(&cell.split(' ').next().unwrap_or_default());
    let odd: Vec<_> = attacks.iter().zip(&found).filter(|(_, cells)| cells.iter().any(|cell| odd(cell))).collect();
    assert!(odd.is_empty(), "{:?}", odd.iter().map(|(attack, cells)| (&attack.name, cells)).collect::<Vec<_>>());
    page_has(BEGIN, END, &table, tables_are_the_same);
}

#[test]
fn locked_processes_talk_to_their_hosts() {
    let python = python();
    let folder = Folder::new();
    folder.fill();
    let (socket, theirs) = socket_pair().expect("sockets");
    let mut channels: Vec<Channel> = Vec::new();
    for _ in 0..2 {
        let (channel, file) = Channel::create().expect("memory");
        Note::Channel.send(socket.as_fd(), &[file.as_fd()]).expect("it is sent");
        channels.push(channel);
    }
    let mut command =
        attacker_command(&python, "talks", &folder, false, "/usr/lib", "import json; assert json.dumps({})");
    command.env("SUBPY_TEST_SECRET", "x").stdin(theirs).stdout(Stdio::null());
    let mut process = command.spawn().expect("it starts");
    // The other side of the socket is the process's alone now.
    drop(command);
    let soon = || Some(std::time::Instant::now() + Duration::from_secs(60));
    for op in (0..100).rev() {
        for channel in &mut channels {
            let header = Header { op, flags: 0, a: 7, b: 8 };
            let bytes = vec![op as u8; if op % 10 == 1 { 3 << 20 } else { 100 }];
            channel.send(header, &[&bytes]).expect("it is sent");
            let message = channel.receive(soon()).expect("it comes back");
            assert_eq!((message.header, read(message.bytes) == bytes), (header, true));
        }
    }
    wait([(socket.as_fd(), libc::POLLIN)], None).expect("it says something");
    assert_eq!(Note::receive(socket.as_fd()).expect("a note").0, Note::Ready);
    assert!(process.wait().expect("a status").success());
}

#[test]
fn locked_processes_run_ordinary_code() {
    let python = python();
    for writes in [false, true] {
        let folder = Folder::new();
        folder.fill();
        let own = if writes { literal(&folder.path("own")) } else { "None".into() };
        let text = source("ordinary");
        let code = format!("own = {own}\n{text}\nimport os\nos.write(1, b'fine' if fine else b'')\n");
        let said = attack(&python, "unlimited", &folder, writes, &folder.path("open"), &code);
        assert_eq!(said, "fine", "with a folder to write: {writes}");
    }
}

/// In lines of 120 letters.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("a line");
        if last.is_empty() || last.len() + 1 + word.len() <= 120 {
            *last = format!("{last} {word}").trim_start().to_owned();
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n")
}

#[test]
fn the_page_lists_what_the_filter_allows() {
    let names = |writes: bool| -> Vec<(&str, &str)> {
        allowed(writes).map(|call| (call.name.trim_start_matches("SYS_"), call.only)).collect()
    };
    let (reads, writes) = (names(false), names(true));
    let mut plain: Vec<&str> = reads.iter().filter(|(_, only)| only.is_empty()).map(|(name, _)| *name).collect();
    plain.sort_unstable();
    let plain: Vec<String> = plain.iter().map(|name| format!("`{name}`")).collect();
    let mut list = format!("{}\n\n| with these arguments alone | |\n|---|---|\n", wrapped(&plain.join(", ")));
    for (name, only) in reads.iter().filter(|(_, only)| !only.is_empty()) {
        writeln!(list, "| `{name}` | {only} |").expect("text");
    }
    list += "\n| and with a folder that can be written | |\n|---|---|\n";
    for (name, only) in writes.iter().filter(|call| !reads.contains(call)) {
        writeln!(list, "| `{name}` | {only} |").expect("text");
    }
    page_has(LIST_BEGIN, LIST_END, &list, |expected, found| expected == found);
}

// ---- the filter's program ----

/// Runs it as the kernel does.
fn verdict(program: &[libc::sock_filter], architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
    let mut data = [number, architecture, 0, 0].to_vec();
    data.extend(arguments.iter().flat_map(|it| [*it as u32, (*it >> 32) as u32]));
    let (mut at, mut held) = (0, 0u32);
    loop {
        let one = &program[at];
        at += 1;
        match u32::from(one.code) {
            code if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS => held = data[one.k as usize / 4],
            code if code == libc::BPF_ALU | libc::BPF_AND | libc::BPF_K => held &= one.k,
            code if code == libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K => {
                at += usize::from(if held == one.k { one.jt } else { one.jf });
            }
            code if code == libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K => {
                at += usize::from(if held >= one.k { one.jt } else { one.jf });
            }
            code if code == libc::BPF_JMP | libc::BPF_JA => at += one.k as usize,
            code if code == libc::BPF_RET | libc::BPF_K => return one.k,
            code => panic!("{code}"),
        }
    }
}

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const EPERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

/// Every call of the table, with what it says and with something else; and every number that is not in it.
#[test]
fn the_filter_does_what_the_table_says() {
    const OWN: u32 = 4711;
    let architecture = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
    for writes in [false, true] {
        let program = filter::program(OWN, writes);
        let verdict = |number, arguments| verdict(&program, architecture, number, arguments);
        let mut known = Vec::new();
        for call in allowed(writes) {
            let number = call.number as u32;
            assert!(!known.contains(&number), "{} is there once", call.name);
            known.push(number);
            for random in [0, u64::MAX, 0x0123_4567_89ab_cdef] {
                // What fits each condition; the rest of an argument is anything.
                let fits = |checks: &[Check]| {
                    let mut arguments = [random; 6];
                    for check in checks {
                        let (argument, mask, value) = match *check {
                            Check::Is { argument, mask, value } => (argument, mask, value),
                            Check::Own { argument } => (argument, u64::from(u32::MAX), OWN.into()),
                        };
                        let place = &mut arguments[usize::from(argument)];
                        *place = *place & !mask | value;
                    }
                    arguments
                };
                if call.with.is_empty() {
                    assert_eq!(verdict(number, [random; 6]), ALLOW, "{}", call.name);
                }
                for checks in call.with {
                    assert_eq!(verdict(number, fits(checks)), ALLOW, "{}", call.name);
                    for check in *checks {
                        let (argument, mask) = match *check {
                            Check::Is { argument, mask, .. } => (argument, mask),
                            Check::Own { argument } => (argument, u32::MAX.into()),
                        };
                        // One bit that counts is another.
                        for bit in (0..64).map(|bit| 1u64 << bit).filter(|bit| mask & bit != 0) {
                            let mut arguments = fits(checks);
                            arguments[usize::from(argument)] ^= bit;
                            let may = call.with.iter().any(|checks| holds(checks, &arguments, OWN));
                            let expected = if may { ALLOW } else { EPERM };
                            assert_eq!(verdict(number, arguments), expected, "{} {argument} {bit:x}", call.name);
                        }
                    }
                }
            }
        }
        let not_there = super::calls::NOT_THERE.map(|number| number as u32);
        for number in (0..NEWER).filter(|number| !known.contains(number)) {
            let expected = if not_there.contains(&number) { ENOSYS } else { EPERM };
            assert_eq!(verdict(number, [0; 6]), expected, "{number}");
        }
        for number in [NEWER, 0x4000_0000, 0x4000_0027, u32::MAX] {
            assert_eq!(verdict(number, [0; 6]), ENOSYS, "{number}");
        }
    }
    let program = filter::program(OWN, true);
    let killed = verdict(&program, 0x4000_0003, libc::SYS_read as u32, [0; 6]);
    assert_eq!(killed, libc::SECCOMP_RET_KILL_PROCESS, "the calls of i386");
}

fn holds(checks: &[Check], arguments: &[u64; 6], own: u32) -> bool {
    checks.iter().all(|check| match *check {
        Check::Is { argument, mask, value } => arguments[usize::from(argument)] & mask == value,
        Check::Own { argument } => arguments[usize::from(argument)] as u32 == own,
    })
}

#[test]
fn what_is_missing_is_named() {
    let missing = |landlock, filter| Got { landlock, filter }.missing();
    assert_eq!(missing(6, true), None);
    assert_eq!(missing(7, true), None);
    assert_eq!(missing(4, true).as_deref(), Some("this Linux has Landlock of version 4, and 6 is needed (Linux 6.12)"));
    assert_eq!(
        missing(0, false).as_deref(),
        Some(
            "this Linux has no Landlock of version 3 or newer, or it is switched off; this Linux has no seccomp filters"
        )
    );
    assert!(!Got { landlock: 5, filter: true }.is_all());
}

#[test]
fn older_kernels_are_named() {
    let folder = Folder::new();
    folder.fill();
    let code = "import os\nos.write(1, b'fine')";
    for mode in ["old", "without Landlock"] {
        assert_eq!(attack(&python(), mode, &folder, true, &folder.path("open"), code), "fine", "{mode}");
    }
}

#[test]
fn threads_are_limited() {
    let folder = Folder::new();
    folder.fill();
    // SAFETY: it touches no memory.
    if unsafe { libc::geteuid() } != 0 {
        println!("who is not root cannot be somebody else");
        return;
    }
    let code = "
import os
end, started = threading.Event(), 1
try:
    while started < 20:
        threading.Thread(target=end.wait).start()
        started += 1
except RuntimeError:
    pass
os.write(1, str(started).encode())
";
    let said = attack(&python(), "threads", &folder, false, &folder.path("open"), code);
    // A system may have no such name spaces; CI's has.
    assert!(said == "8" || said == "unlimited" && std::env::var_os("CI").is_none(), "{said}");
}

#[test]
fn locked_processes_tell_of_their_crashes() {
    let folder = Folder::new();
    folder.fill();
    let crash = "import ctypes, faulthandler, os\nfaulthandler.enable()\n";
    for (how, signal, words) in
        [("ctypes.string_at(0)", libc::SIGSEGV, "Segmentation fault"), ("os.abort()", libc::SIGABRT, "Aborted")]
    {
        let code = format!("{crash}{how}\n");
        let mut command = attacker_command(&python(), "unlimited", &folder, false, &folder.path("open"), &code);
        let output = command.env("SUBPY_TEST_SECRET", "x").stdin(Stdio::null()).output().expect("it starts");
        assert_eq!(output.status.signal(), Some(signal), "{how}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(words) && said.contains("in <module>"), "{how}: {said}");
    }
}

#[test]
fn a_process_with_threads_is_not_locked() {
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let other = std::thread::spawn(move || stopped.recv());
    let error = lock(&Lock { accept_less: true, ..Lock::default() }).unwrap_err();
    drop(stop);
    assert!(other.join().expect("no panic").is_err());
    assert_eq!(error, "a process that has other threads cannot be locked");
    // Nothing has happened to it.
    assert!(std::env::var_os("PATH").is_some());
}
