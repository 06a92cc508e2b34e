//! Hosts, zygotes and workers that are killed, and hosts of all kinds. This test program is all three: called by another
//! name it is a zygote, or a host with a script of its own, so that what a host does to its process harms no other test.

use std::collections::BTreeSet;
use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::child::Child;
use super::control::Note;
use super::message::{Request, Run};
use super::settings::Settings;
use super::spawn::{Options, SpawnError, Spawner};
use super::system::{MOST_DESCRIPTORS, pidfd, send, socket_pair, wait};
use super::talk::Talk;
use super::wire::none_to_send;

/// Longer than anything takes; nothing is asserted about how long it does take.
const LONG: Duration = Duration::from_secs(30);

// ---- this program under its other names ----

extern "C" fn before_main(argc: c_int, argv: *const *const c_char) {
    // SAFETY: glibc calls the functions of this section with the arguments of main().
    let arguments: Vec<OsString> = (0..argc as usize)
        .map(|index| unsafe { OsStr::from_bytes(CStr::from_ptr(*argv.add(index)).to_bytes()).to_owned() })
        .collect();
    match arguments.first().and_then(|name| name.to_str()) {
        Some("subpy-zygote") => std::process::exit(crate::worker::main(&arguments)),
        Some("subpy-host") => {
            // SAFETY: it touches no memory.
            unsafe { libc::alarm(120) };
            let name = arguments[1].to_str().expect("a name");
            let (_, script) = SCRIPTS.iter().find(|(script, _)| *script == name).expect("a script");
            let done = std::panic::catch_unwind(script).is_ok();
            std::process::exit(i32::from(!done));
        }
        _ => {}
    }
}

#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn(c_int, *const *const c_char) = before_main;

fn options() -> Options {
    let python = std::env::var_os("SUBPY_TEST_PYTHON").expect("the CPython to test with");
    Options {
        program: Some(std::env::current_exe().expect("a path")),
        library: Some("this test".into()),
        python: Some(python.into()),
        flags: 0,
        path: Vec::new(),
        preload: Vec::new(),
    }
}

fn spawner() -> Spawner {
    Spawner::new(options()).expect("a reaper")
}

fn create(spawner: &Spawner) -> Child {
    spawner.create(&Settings::default(), LONG).expect("a worker")
}

fn answers(child: &Child) {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    assert!(child.ping(NUMBER.fetch_add(1, Ordering::Relaxed), LONG).expect("it lives"));
}

fn kill(process: i32, signal: c_int) {
    assert!(process > 1);
    // SAFETY: a process of this test's.
    unsafe { libc::kill(process, signal) };
}

/// The parent of a process.
fn parent(process: i32) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("it lives");
    let (_, after) = stat.rsplit_once(") ").expect("the name ends");
    after.split(' ').nth(1).expect("a parent").parse().expect("a number")
}

/// Hosts have a variable of this name, which their zygotes and workers have from them.
const MARK: &str = "SUBPY_TEST_MARK";

/// The processes with this mark.
fn marked(mark: &str) -> Vec<i32> {
    let variable = format!("{MARK}={mark}");
    let processes = fs::read_dir("/proc").expect("/proc").filter_map(|entry| {
        let process = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let environment = fs::read(format!("/proc/{process}/environ")).ok()?;
        environment.split(|byte| *byte == 0).any(|it| it == variable.as_bytes()).then_some(process)
    });
    processes.collect()
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < LONG, "in vain: {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// A host in a process of its own, which runs one of the scripts.
struct Host {
    process: std::process::Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    mark: String,
}

impl Host {
    fn start(script: &str) -> Host {
        Host::start_by(script, &[])
    }

    /// By way of another program.
    fn start_by(script: &str, by: &[&str]) -> Host {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mark = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let own = std::env::current_exe().expect("a path");
        let mut command = match by {
            [] => Command::new(&own),
            [by, arguments @ ..] => {
                let mut command = Command::new(by);
                command.args(arguments).args(["bash", "-c", "exec -a subpy-host \"$0\" \"$@\""]).arg(&own);
                command
            }
        };
        if by.is_empty() {
            command.arg0("subpy-host");
        }
        command.arg(script).env(MARK, &mark).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("it starts");
        let lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        Host { process, lines, mark }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("it says more").expect("text")
    }

    fn number(&mut self) -> i32 {
        self.line().parse().expect("a number")
    }

    fn say(&mut self) {
        self.process.stdin.as_mut().expect("a pipe").write_all(b"\n").expect("it listens");
    }

    /// It ends, and is content.
    fn ends(mut self) {
        drop(self.process.stdin.take());
        let status = self.process.wait().expect("a status");
        assert!(status.success(), "{status}");
        self.leaves_nothing();
    }

    fn dies(mut self) {
        let _ = self.process.kill();
        self.process.wait().expect("a status");
        self.leaves_nothing();
    }

    fn leaves_nothing(&self) {
        until("all processes of a host end with it", || marked(&self.mark).is_empty());
    }
}

/// Whatever becomes of the test, no process is left.
impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// For hosts: one word from the test.
fn listen() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("the test lives");
}

/// Numbers that differ from run to run.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

type Script = fn();
const SCRIPTS: [(&str, Script); 14] = [
    ("lives", lives),
    ("lives while it runs", lives_while_it_runs),
    ("creates", creates),
    ("leaves nothing", leaves_nothing_in_itself),
    ("ignores SIGCHLD", ignores_sigchld),
    ("reaps all", reaps_all),
    ("adopts orphans", adopts_orphans),
    ("is the first process", is_the_first_process),
    ("starts from a thread", starts_from_a_thread),
    ("has many descriptors", has_many_descriptors),
    ("has no standard streams", has_no_standard_streams),
    ("forks", forks),
    ("moves", moves),
    ("has a thread in Python", has_a_thread_in_python),
];

fn descriptors(process: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(format!("/proc/{process}/fd")).expect("/proc");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a number")).collect()
}

// ---- life and death ----

#[test]
fn workers_answer_and_end_with_their_handles() {
    let spawner = spawner();
    let children: Vec<Child> = (0..4).map(|_| create(&spawner)).collect();
    let processes: BTreeSet<i32> = children.iter().map(Child::id).collect();
    assert_eq!(processes.len(), 4);
    children.iter().for_each(answers);
    let zygote = parent(children[0].id());
    assert!(children.iter().all(|child| parent(child.id()) == zygote), "one zygote forks them all");
    assert_ne!(parent(zygote), std::process::id() as i32);
    assert!(children.iter().all(|child| child.death().is_none()));
    drop(children);
    let left = |process: &i32| PathBuf::from(format!("/proc/{process}")).exists();
    until("workers end", || !processes.iter().any(left));
    drop(spawner);
    until("the zygote ends", || !left(&zygote) || fs::read_to_string(format!("/proc/{zygote}/environ")).is_err());
}

#[test]
fn any_thread_creates_workers() {
    let spawner = spawner();
    // All begin when there is no zygote yet: one starts it.
    let zygotes: BTreeSet<i32> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let children: Vec<Child> = (0..5).map(|_| create(&spawner)).collect();
                    children.iter().for_each(answers);
                    children.iter().map(|child| parent(child.id())).collect::<BTreeSet<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(zygotes.len(), 1);
}

#[test]
fn workers_that_are_killed_are_noticed() {
    let spawner = spawner();
    let lasting = create(&spawner);
    let mut times = Vec::new();
    for round in 0..100 {
        let child = create(&spawner);
        if round % 2 == 0 {
            std::thread::sleep(Duration::from_micros(random() % 1000));
        }
        let since = Instant::now();
        kill(child.id(), libc::SIGKILL);
        let death = child.wait(LONG).expect("it is noticed");
        times.push(since.elapsed());
        assert_eq!((death.signal, death.exit_code, death.traceback.as_str()), (Some(9), None, ""));
        assert_eq!(death.to_string(), "the interpreter's process was killed by signal 9 (SIGKILL)");
        child.ping(1, LONG).expect_err("nobody answers");
    }
    times.sort();
    eprintln!("a worker's death is noticed in {:?}, at worst in {:?}", times[50], times[99]);
    answers(&lasting);
}

#[test]
fn a_crash_comes_with_its_traceback() {
    let spawner = spawner();
    for (signal, name) in
        [(libc::SIGSEGV, "Segmentation fault"), (libc::SIGABRT, "Aborted"), (libc::SIGFPE, "Floating")]
    {
        let child = create(&spawner);
        answers(&child);
        kill(child.id(), signal);
        let death = child.wait(LONG).expect("it is noticed");
        assert_eq!(death.signal, Some(signal));
        assert!(death.traceback.contains(name), "{}", death.traceback);
        assert!(death.traceback.contains("most recent call first"), "{}", death.traceback);
    }
    // No crash, but an end that nobody has asked for.
    let child = create(&spawner);
    Note::Started.send(child.life.socket.as_fd(), &[]).expect("it listens");
    let death = child.wait(LONG).expect("it is noticed");
    assert_eq!((death.signal, death.exit_code, death.traceback.as_str()), (None, Some(2), ""));
    assert_eq!(death.to_string(), "the interpreter's process has ended with exit code 2");
}

#[test]
fn a_zygote_that_is_killed_is_replaced_and_its_workers_go_on() {
    let spawner = spawner();
    let mut children = vec![create(&spawner)];
    for _ in 0..20 {
        let zygote = parent(children.last().expect("one").id());
        kill(zygote, libc::SIGKILL);
        // At once, or when it has been noticed.
        std::thread::sleep(Duration::from_micros(random() % 2000));
        children.push(create(&spawner));
        assert_ne!(parent(children.last().expect("one").id()), zygote);
    }
    children.iter().for_each(answers);
    // How it ended the kernel knows, once whoever has adopted it has reaped it; an older one does not.
    let orphan = children.swap_remove(0);
    kill(orphan.id(), libc::SIGKILL);
    let death = orphan.wait(LONG).expect("it is noticed");
    assert!(matches!(death.signal, Some(9) | None) && death.exit_code.is_none(), "{death:?}");
    children.iter().for_each(answers);
}

#[test]
fn zygotes_that_are_killed_while_they_fork_are_replaced() {
    let spawner = spawner();
    let mut last = create(&spawner);
    for _ in 0..30 {
        let zygote = parent(last.id());
        let delay = Duration::from_micros(random() % 1500);
        let killer = std::thread::spawn(move || {
            std::thread::sleep(delay);
            kill(zygote, libc::SIGKILL);
        });
        let child = spawner.create(&Settings::default(), LONG);
        killer.join().expect("no panic");
        // A worker that was just being set up may go with it no more than any other.
        last = child.expect("a worker");
        answers(&last);
        last = create(&spawner);
    }
}

#[test]
fn hosts_that_are_killed_leave_nothing() {
    for _ in 0..30 {
        let mut host = Host::start("creates");
        assert_eq!(host.line(), "creates");
        std::thread::sleep(Duration::from_micros(random() % 60_000));
        host.dies();
    }
}

fn creates() {
    println!("creates");
    let spawner = spawner();
    let mut children = Vec::new();
    loop {
        children.push(create(&spawner));
        if children.len() > 20 {
            children.clear();
        }
    }
}

#[test]
fn workers_end_with_the_host_with_and_without_a_zygote() {
    for with_zygote in [true, false] {
        let mut times = Vec::new();
        for round in 0..16 {
            let mut host = Host::start(if round % 2 == 0 { "lives" } else { "lives while it runs" });
            let worker = host.number();
            if !with_zygote {
                kill(parent(worker), libc::SIGKILL);
                until("the zygote ends, and no other", || marked(&host.mark).len() == 2);
            }
            host.say();
            assert_eq!(host.line(), "answers");
            let process = pidfd(worker).expect("it lives");
            host.process.kill().expect("it lives");
            let since = Instant::now();
            let [ended] = wait([(process.as_fd(), libc::POLLIN)], Some(since + LONG)).expect("poll");
            times.push(since.elapsed());
            assert_ne!(ended, 0, "a worker ends with its host");
            host.dies();
        }
        times.sort();
        let zygote = if with_zygote { "with a zygote" } else { "without" };
        eprintln!("a worker ends {:?} after its host, {zygote}, at worst {:?}", times[8], times[15]);
    }
}

fn lives() {
    let spawner = spawner();
    let child = create(&spawner);
    println!("{}", child.id());
    listen();
    answers(&child);
    println!("answers");
    listen();
}

/// The same, and the worker never comes to an end of what it does.
fn lives_while_it_runs() {
    let spawner = spawner();
    let child = create(&spawner);
    let (talk, file) = Talk::create().expect("memory");
    child.add_channel(&file).expect("it lives");
    let source = "import ctypes\nctypes.PyDLL(None).pause()";
    let holds_the_gil = Request::Exec { source, filename: None, keep_indent: false };
    talk.ask(&holds_the_gil, &Run::default(), &mut none_to_send).expect("it lives");
    println!("{}", child.id());
    listen();
    answers(&child);
    println!("answers");
    listen();
}

#[test]
fn nothing_is_left_in_the_host() {
    Host::start("leaves nothing").ends();
}

fn leaves_nothing_in_itself() {
    let before = descriptors("self");
    for round in 0..3 {
        let spawner = spawner();
        let children: Vec<Child> = (0..10).map(|_| create(&spawner)).collect();
        let zygote = parent(children[0].id());
        if round == 1 {
            kill(zygote, libc::SIGKILL);
        }
        kill(children[3].id(), libc::SIGKILL);
        children[3].wait(LONG).expect("it is noticed");
        drop((spawner, children));
        assert_eq!(descriptors("self"), before);
        until("processes end", || marked(&std::env::var(MARK).expect("a mark")).len() == 1);
    }
    assert_eq!(fs::read_dir("/proc/self/task").expect("/proc").count(), 1, "no thread");
    let maps = fs::read_to_string("/proc/self/maps").expect("/proc");
    assert!(!maps.contains("memfd"), "{maps}");
}

// ---- hosts of all kinds ----

/// What a host can ask of its children: none of this is one.
fn no_child() {
    // SAFETY: room for nothing is asked.
    let waited = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) };
    assert_eq!((waited, std::io::Error::last_os_error().raw_os_error()), (-1, Some(libc::ECHILD)));
}

/// A life with a worker and its death.
fn use_workers() {
    let spawner = spawner();
    let (child, other) = (create(&spawner), create(&spawner));
    answers(&child);
    kill(child.id(), libc::SIGKILL);
    assert_eq!(child.wait(LONG).expect("it is noticed").signal, Some(9));
    kill(parent(other.id()), libc::SIGKILL);
    let last = create(&spawner);
    answers(&last);
    answers(&other);
}

#[test]
fn a_host_may_ignore_sigchld() {
    Host::start("ignores SIGCHLD").ends();
}

fn ignores_sigchld() {
    // SAFETY: it ignores signals, and blocks all.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
        libc::signal(libc::SIGTERM, libc::SIG_IGN);
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::sigprocmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
    }
    use_workers();
    no_child();
    // Of all that its workers have nothing; SIGPIPE is ignored as `python` does it.
    let spawner = spawner();
    let child = create(&spawner);
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("/proc");
    let signals = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the line");
        u64::from_str_radix(line.trim_start_matches(':').trim(), 16).expect("a number")
    };
    assert_eq!((signals("SigBlk"), signals("SigIgn")), (0, 1 << (libc::SIGPIPE - 1)), "{status}");
}

#[test]
fn a_host_may_reap_all_children() {
    Host::start("reaps all").ends();
}

fn reaps_all() {
    static CHILDREN: AtomicU64 = AtomicU64::new(0);
    extern "C" fn ended(_: c_int) {
        CHILDREN.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: a handler that may run at any time.
    unsafe { libc::signal(libc::SIGCHLD, ended as *const () as libc::sighandler_t) };
    static STOP: AtomicU64 = AtomicU64::new(0);
    let reaper = std::thread::spawn(|| {
        while STOP.load(Ordering::Relaxed) == 0 {
            // SAFETY: room for nothing is asked.
            if unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {
                CHILDREN.fetch_add(1, Ordering::Relaxed);
            }
            std::thread::yield_now();
        }
    });
    use_workers();
    STOP.store(1, Ordering::Relaxed);
    reaper.join().expect("no panic");
    assert_eq!(CHILDREN.load(Ordering::Relaxed), 0, "it sees none");
    no_child();
}

#[test]
fn a_host_may_adopt_orphans() {
    Host::start("adopts orphans").ends();
}

fn adopts_orphans() {
    // SAFETY: it touches no memory.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
    use_workers();
    // It has reaped what it has adopted.
    until("no zombie", || unsafe {
        // SAFETY: room for what is not read.
        let mut info: libc::siginfo_t = std::mem::zeroed();
        libc::waitid(libc::P_ALL, 0, &mut info, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT) < 0
    });
}

#[test]
fn a_host_may_be_the_first_process() {
    let by = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
    if !Command::new(by[0]).args(&by[1..]).arg("true").output().is_ok_and(|output| output.status.success()) {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "unshare is not allowed");
        eprintln!("skipped: the first process of a namespace: unshare is not allowed");
        return;
    }
    Host::start_by("is the first process", &by).ends();
}

fn is_the_first_process() {
    assert_eq!(std::process::id(), 1);
    adopts_orphans();
    assert_eq!(
        fs::read_dir("/proc")
            .expect("/proc")
            .filter_map(|entry| { entry.ok()?.file_name().to_str()?.parse::<i32>().ok() })
            .count(),
        1,
        "no process is left"
    );
}

#[test]
fn a_host_may_start_them_from_a_thread_that_ends() {
    Host::start("starts from a thread").ends();
}

fn starts_from_a_thread() {
    let (spawner, child) = std::thread::spawn(|| {
        let spawner = spawner();
        let child = create(&spawner);
        (spawner, child)
    })
    .join()
    .expect("no panic");
    for _ in 0..50 {
        std::thread::sleep(Duration::from_millis(1));
        answers(&child);
    }
    answers(&create(&spawner));
}

#[test]
fn a_hosts_descriptors_stay_with_it() {
    Host::start("has many descriptors").ends();
}

fn has_many_descriptors() {
    // SAFETY: room for the limits.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max.min(20_000);
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
    // Without close-on-exec, which is what careless hosts do.
    // SAFETY: descriptors that are never closed.
    let opened = (0..3000).filter(|_| unsafe { libc::dup(0) } >= 0).count();
    assert!(opened >= 500, "{opened}");
    let spawner = spawner();
    let (child, other) = (create(&spawner), create(&spawner));
    answers(&other);
    let process = child.id();
    let zygote = parent(process);
    let links = |process: i32| -> Vec<String> {
        let link = |number| fs::read_link(format!("/proc/{process}/fd/{number}")).expect("/proc");
        descriptors(&process.to_string())
            .iter()
            .filter(|number| number.parse::<i32>().expect("a number") > 2)
            .map(|number| link(number).to_string_lossy().split(':').next().expect("a kind").to_owned())
            .collect()
    };
    let mut worker = links(process);
    worker.sort();
    // Its working directory is one that can only be asked for, and its host one that can be waited for.
    let directory = std::env::current_dir().expect("a folder").to_string_lossy().into_owned();
    let mut expected = [directory, "anon_inode".to_owned(), "pipe".to_owned(), "socket".to_owned()];
    expected.sort();
    assert_eq!(worker, expected);
    let mut zygote = links(zygote);
    zygote.sort();
    assert_eq!(zygote.len(), 3, "{zygote:?}");
    assert!(zygote[0].starts_with("anon_inode") && zygote[2] == "socket", "{zygote:?}");
}

#[test]
fn a_host_may_have_no_standard_streams() {
    Host::start("has no standard streams").ends();
}

fn has_no_standard_streams() {
    for number in 0..2 {
        // SAFETY: nobody uses them here.
        unsafe { libc::close(number) };
    }
    let spawner = spawner();
    let child = create(&spawner);
    answers(&child);
    for number in 0..2 {
        let link = fs::read_link(format!("/proc/{}/fd/{number}", child.id())).expect("/proc");
        assert_eq!(link, PathBuf::from("/dev/null"));
    }
}

#[test]
fn a_host_may_fork() {
    let mut host = Host::start("forks");
    let fork = host.number();
    // The fork has copies of all descriptors, and lives.
    host.process.kill().expect("it lives");
    host.process.wait().expect("a status");
    until("workers end with the host", || marked(&host.mark) == [fork]);
    kill(fork, libc::SIGKILL);
    host.leaves_nothing();
}

fn forks() {
    let spawner = spawner();
    let child = create(&spawner);
    // SAFETY: the only other thread is the reaper, which holds no lock that the child takes, as it is asleep.
    let fork = unsafe { libc::fork() };
    if fork == 0 {
        // SAFETY: it ends with the test in any case.
        unsafe { libc::alarm(60) };
        assert!(matches!(spawner.create(&Settings::default(), LONG), Err(SpawnError::Forked)));
        drop(spawner);
        let process = child.id();
        drop(child);
        assert!(PathBuf::from(format!("/proc/{process}")).exists());
        loop {
            std::thread::sleep(LONG);
        }
    }
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(1));
        answers(&child);
    }
    answers(&create(&spawner));
    println!("{fork}");
    listen();
    loop {
        std::thread::sleep(LONG);
    }
}

#[test]
fn environment_and_working_directory_are_the_hosts() {
    Host::start("moves").ends();
}

fn moves() {
    let folder = std::env::temp_dir().canonicalize().expect("a folder");
    let spawner = spawner();
    let first = create(&spawner);
    let directory = |child: &Child| fs::read_link(format!("/proc/{}/cwd", child.id())).expect("/proc");
    assert_eq!(directory(&first), std::env::current_dir().expect("a folder"));
    std::env::set_current_dir(&folder).expect("it is there");
    // SAFETY: no other thread reads the environment.
    unsafe { std::env::set_var("SUBPY_TEST_LATER", "1") };
    let second = create(&spawner);
    assert_eq!(directory(&second), folder);
    assert_ne!(directory(&first), folder);
    // One in a zygote's place has what the first one had.
    kill(parent(second.id()), libc::SIGKILL);
    let third = create(&spawner);
    assert_eq!(directory(&third), folder);
    for child in [&first, &second, &third] {
        let environment = fs::read(format!("/proc/{}/environ", child.id())).expect("/proc");
        let environment = String::from_utf8_lossy(&environment);
        assert!(environment.contains(&format!("{MARK}=")), "{environment}");
        assert!(!environment.contains("SUBPY_TEST_LATER"), "{environment}");
    }
}

// ---- what goes wrong ----

#[test]
fn what_is_wrong_is_said() {
    let says = |options: Options| match Spawner::new(options).expect("a reaper").create(&Settings::default(), LONG) {
        Ok(_) => panic!("there is a worker"),
        Err(error) => error.to_string(),
    };
    let nowhere = || Some(PathBuf::from("/nowhere/libsubpy.so"));
    let said = says(Options { program: None, library: nowhere(), ..options() });
    assert!(said.contains("/nowhere/libsubpy.so: cannot open shared object file"), "{said}");
    let said = says(Options { program: nowhere(), ..options() });
    assert!(said.starts_with("the program for interpreters' processes was not opened: "), "{said}");
    let said = says(Options { program: Some("/dev/null".into()), ..options() });
    assert!(said.starts_with("a process for interpreters was not started: "), "{said}");
    let said = says(Options { program: Some("/bin/true".into()), ..options() });
    assert_eq!(said, "a process that interpreters are forked from has ended while it was needed");
    let said = says(Options { python: Some("/nowhere/python3".into()), ..options() });
    assert!(said.contains("python=/nowhere/python3: No such file or directory"), "{said}");
}

#[test]
fn the_program_in_the_library_loads_a_library() {
    // The C library is one, without the function.
    let library = fs::read_to_string("/proc/self/maps").expect("/proc");
    let library = library.lines().find_map(|line| line.split_once('/').filter(|(_, path)| path.contains("/libc.so")));
    let library = format!("/{}", library.expect("the C library").1);
    let options = Options { program: None, library: Some(library.into()), ..options() };
    let Err(error) = Spawner::new(options).expect("a reaper").create(&Settings::default(), LONG) else {
        panic!("there is a worker")
    };
    assert!(error.to_string().contains("undefined symbol: subpy_worker_main"), "{error}");
}

#[test]
fn a_zygote_with_threads_is_none() {
    Host::start("has a thread in Python").ends();
}

fn has_a_thread_in_python() {
    let folder = std::env::temp_dir().join(format!("subpy-{}", std::env::var(MARK).expect("a mark")));
    fs::create_dir(&folder).expect("a folder");
    let module = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n";
    fs::write(folder.join("sitecustomize.py"), module).expect("a file");
    // SAFETY: no other thread reads the environment.
    unsafe { std::env::set_var("PYTHONPATH", &folder) };
    let spawner = Spawner::new(Options { flags: 1, ..options() }).expect("a reaper");
    let refused = spawner.create(&Settings::default(), LONG).err().map(|error| error.to_string());
    fs::remove_dir_all(&folder).expect("it is there");
    assert!(refused.expect("no worker").starts_with("a module that Python imports when it starts"));
    // Without the variable it is another one.
    let isolated = Spawner::new(options()).expect("a reaper");
    answers(&create(&isolated));
}

#[test]
fn a_zygote_that_does_not_answer_is_replaced() {
    let spawner = spawner();
    let first = create(&spawner);
    let zygote = parent(first.id());
    kill(zygote, libc::SIGSTOP);
    let since = Instant::now();
    let refused = spawner.create(&Settings::default(), Duration::from_millis(20));
    assert!(matches!(refused, Err(SpawnError::TimedOut)));
    assert!(since.elapsed() < LONG);
    // It was not given up so soon.
    kill(zygote, libc::SIGCONT);
    assert_eq!(parent(create(&spawner).id()), zygote);
    kill(zygote, libc::SIGSTOP);
    let refused = spawner.create(&Settings::default(), Duration::from_millis(2100));
    assert!(matches!(refused, Err(SpawnError::TimedOut)));
    assert_ne!(parent(create(&spawner).id()), zygote);
    answers(&first);
}

#[test]
fn what_a_worker_says_is_not_believed() {
    let spawner = spawner();
    let child = create(&spawner);
    // As if the worker had sent it: the host reads its own end.
    let (host, worker) = socket_pair().expect("sockets");
    send(worker.as_fd(), b"\x07\x01", &[]).expect("room");
    assert_eq!(Note::receive(host.as_fd()).expect_err("no note").kind(), std::io::ErrorKind::InvalidData);
    // More than the longest message, and more descriptors than any has.
    send(worker.as_fd(), &[1; 9000], &[]).expect("room");
    assert!(Note::receive(host.as_fd()).is_err());
    let many = [worker.as_fd(); MOST_DESCRIPTORS];
    send(worker.as_fd(), b"\x01", &many).expect("room");
    let (note, descriptors) = Note::receive(host.as_fd()).expect("a note");
    assert_eq!((note, descriptors.len()), (Note::Started, many.len()));
    assert!(descriptors.iter().all(|descriptor| descriptor.as_raw_fd() > 2));
    drop(worker);
    drop(descriptors);
    assert_eq!(Note::receive(host.as_fd()).expect_err("an end").kind(), std::io::ErrorKind::UnexpectedEof);
    answers(&child);
}

// ---- figures ----

/// What smaps_rollup says of a process, in KiB.
fn memory(process: i32, what: &str) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).expect("/proc");
    let line = rollup.lines().find_map(|line| line.strip_prefix(what)).expect("the line");
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn figures() {
    let since = Instant::now();
    let spawner = spawner();
    let first = create(&spawner);
    answers(&first);
    let start = since.elapsed();
    let mut times: Vec<Duration> = (0..201)
        .map(|_| {
            let since = Instant::now();
            let child = create(&spawner);
            answers(&child);
            let time = since.elapsed();
            // Its end is no part of the next one's beginning.
            child.kill();
            child.wait(LONG).expect("it is noticed");
            time
        })
        .collect();
    times.sort();
    eprintln!(
        "the first worker answers after {start:?}, each further one after {:?}, at best {:?}, at worst {:?}",
        times[100], times[0], times[200]
    );
    let zygote = parent(first.id());
    let all = |children: &[Child]| -> u64 {
        let processes = children.iter().chain([&first]).map(Child::id).chain([zygote]);
        processes.map(|process| memory(process, "Pss")).sum()
    };
    let before = all(&[]);
    let children: Vec<Child> = (0..20).map(|_| create(&spawner)).collect();
    let (each, own) = ((all(&children) - before) / 20, memory(children[0].id(), "Pss"));
    eprintln!("a worker adds {each} KiB to the PSS of all; of 21 each has {own} KiB");
    assert!(each < 2048, "{each}");
}
