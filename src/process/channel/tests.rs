//! Channels between two processes: the other one is this test program again.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use super::bench;
use super::ends::{Bytes, LONGEST, Message};
use super::memory::{BYTES, HALF, KEPT, ROOM, Shared};
use super::wait::{BITS, Turn, pass};
use super::{Caller, Channel, Header, Stop};

/// By which a test tells the process that it starts what to do.
const HOW: &str = "SUBPY_TEST_CHANNEL";

/// The other process, and its end noticed by a thread of this one.
pub struct Peer {
    pub channel: Channel,
    process: Child,
    watch: Option<thread::JoinHandle<()>>,
}

impl Peer {
    pub fn start(how: &str) -> Peer {
        let (channel, file) = Channel::create().expect("memory");
        Peer::with(how, channel, file)
    }

    /// With the memory itself.
    pub fn with_memory(how: &str) -> (Shared, Peer) {
        let (channel, file) = Channel::create().expect("memory");
        (Shared::open(file.as_fd()).expect("its memory"), Peer::with(how, channel, file))
    }

    fn with(how: &str, channel: Channel, file: OwnedFd) -> Peer {
        let caller: Caller = channel.caller();
        let process = program(how).stdin(file).stdout(Stdio::null()).spawn().expect("this program");
        let pid = process.id();
        let watch = thread::spawn(move || {
            // SAFETY: a struct of numbers, which is written there. The process stays a zombie: the number is its.
            let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
            // SAFETY: as above.
            while unsafe { libc::waitid(libc::P_PID, pid, &raw mut info, libc::WEXITED | libc::WNOWAIT) } != 0 {}
            caller.end();
        });
        Peer { channel, process, watch: Some(watch) }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends, and waits for what comes back, through all pokes.
    fn ask(&mut self, header: Header, bytes: &[u8]) -> Result<Heard, Stop> {
        self.channel.send(header, &[bytes])?;
        heard(&mut self.channel)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.process.kill().expect("it is not waited for yet");
        self.watch.take().expect("once").join().expect("it does not panic");
        self.process.wait().expect("a child");
    }
}

/// The test `child` of this program, in a process of its own.
fn program(how: &str) -> Command {
    let child = format!("{}::child", module_path!().split_once("::").unwrap().1);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &child, "--ignored", "--nocapture"]).env(HOW, how);
    command
}

/// Nothing here takes as long; a test that waits for ever fails.
fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(60))
}

/// A message, and its bytes copied.
struct Heard {
    header: Header,
    bytes: Vec<u8>,
}

impl From<Message<'_>> for Heard {
    fn from(Message { header, bytes }: Message) -> Heard {
        let bytes = match bytes {
            Bytes::Own(bytes) => bytes,
            // SAFETY: so many can be read there.
            bytes => unsafe { std::slice::from_raw_parts(bytes.start(), bytes.len()) }.to_vec(),
        };
        Heard { header, bytes }
    }
}

/// What comes next, through all pokes.
fn heard(channel: &mut Channel) -> Result<Heard, Stop> {
    loop {
        match channel.receive(soon()) {
            Err(Stop::Poked) => {}
            result => return result.map(Heard::from),
        }
    }
}

/// Why nothing comes.
fn stopped(channel: &mut Channel) -> Stop {
    channel.receive(soon()).map(Heard::from).err().expect("nothing comes")
}

fn header(op: u16, a: u64) -> Header {
    Header { op, flags: 0, a, b: 0 }
}

const ECHO: u16 = 1;
/// Answered with `TELL`, after a question with `a` less 1 has been asked back and was answered.
const ASK: u16 = 2;
/// Answered with as many bytes.
const PATTERN: u16 = 3;
/// Answered with how much memory has become resident since the last time.
const RESIDENT: u16 = 4;
const TELL: u16 = 5;
/// Bytes were a pattern.
const RIGHT: u16 = 6;

#[test]
#[ignore = "runs in a child process of the other tests"]
fn child() {
    let Ok(how) = std::env::var(HOW) else { return };
    // SAFETY: numbers alone. It ends with whoever has started it, or after a while.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::alarm(120);
    }
    if how == "resident" {
        return large_messages_leave_nothing_behind();
    }
    let shared = Shared::open(io::stdin().as_fd()).expect("its memory");
    match how.as_str() {
        "bare" => bench::bare_peer(&shared, false),
        "bare asleep" => bench::bare_peer(&shared, true),
        "calls" => bench::call_peer(Channel::open(io::stdin().as_fd()).expect("a channel")),
        "serve" => serve(Channel::open(io::stdin().as_fd()).expect("a channel")),
        "scribble" => scribble(&shared),
        how => lie(how, &shared),
    }
}

fn serve(mut channel: Channel) {
    let mut before = resident();
    loop {
        let message = Heard::from(channel.receive(None).expect("a request"));
        let Header { op, a, b, .. } = message.header;
        match op {
            ECHO => {
                channel.send(Header { a: a + 1, ..message.header }, &[&message.bytes]).expect("the host reads");
            }
            ASK => tell(&mut channel, a),
            PATTERN if message.bytes.is_empty() => {
                drop(message);
                send_pattern(&mut channel, a as usize, b).expect("the host reads");
            }
            PATTERN => {
                assert!(is_pattern(&message.bytes, b));
                drop(message);
                channel.send(header(RIGHT, b), &[]).expect("the host reads");
            }
            RESIDENT => {
                drop(message);
                let now = resident();
                channel.send(header(RESIDENT, now.saturating_sub(before)), &[]).expect("the host reads");
                before = now;
            }
            _ => panic!("{op}"),
        }
    }
}

fn ask(channel: &mut Channel, a: u64) -> u64 {
    channel.send(header(ASK, a), &[]).expect("it is there");
    loop {
        let message = channel.receive(soon()).expect("a question or an answer").header;
        match message.op {
            TELL => return message.a,
            op => assert_eq!(op, ASK),
        }
        tell(channel, message.a);
    }
}

fn tell(channel: &mut Channel, a: u64) {
    let asked = if a == 0 { 0 } else { ask(channel, a - 1) + 1 };
    channel.send(header(TELL, asked), &[]).expect("it is there");
}

/// Bytes that say where they should be.
fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let words =
        (0..len.div_ceil(8) as u64).flat_map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed).to_le_bytes());
    words.take(len).collect()
}

/// One MiB of a pattern again and again, so that it needs no more memory.
fn send_pattern(channel: &mut Channel, len: usize, seed: u64) -> Result<(), Stop> {
    let pattern = pattern(1 << 20, seed);
    let parts: Vec<&[u8]> = (0..len).step_by(pattern.len()).map(|at| &pattern[..pattern.len().min(len - at)]).collect();
    channel.send(Header { b: seed, ..header(PATTERN, 0) }, &parts)
}

fn is_pattern(bytes: &[u8], seed: u64) -> bool {
    let pattern = pattern(1 << 20, seed);
    bytes.chunks(pattern.len()).all(|chunk| *chunk == pattern[..chunk.len()])
}

/// In bytes.
fn resident() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").expect("this process");
    text.split(' ').nth(1).expect("pages").parse::<u64>().expect("a number") * 4096
}

#[test]
fn messages_of_all_sizes_come_as_they_were_sent() {
    let mut peer = Peer::start("serve");
    let sizes = [0, 1, 4000, 5000, KEPT, ROOM - 1, ROOM, ROOM + 1, 2 * HALF, 2 * HALF + 1];
    for (seed, size) in sizes.into_iter().chain([3 * HALF, 4 * HALF - 1, 5_000_017]).enumerate() {
        let bytes = pattern(size, seed as u64);
        let sent = Header { op: ECHO, flags: 0x8001, a: u64::MAX - 1, b: u64::MAX - seed as u64 };
        let answer = peer.ask(sent, &bytes).expect("it answers");
        assert_eq!(answer.header, Header { a: u64::MAX, ..sent });
        assert!(*answer.bytes == *bytes, "{size}");
    }
}

#[test]
fn parts_are_put_together() {
    let mut peer = Peer::start("serve");
    for size in [100, ROOM, ROOM + 1, 1_000_003] {
        let bytes = pattern(size, 7);
        let (one, rest) = bytes.split_at(size / 3);
        let (two, three) = rest.split_at(size / 2);
        peer.channel.send(header(ECHO, 0), &[&[], one, two, &[], three, &[]]).expect("it is there");
        assert!(*heard(&mut peer.channel).expect("it answers").bytes == *bytes, "{size}");
    }
}

/// Each is asked while it waits, and asks back before it answers.
#[test]
fn calls_are_nested() {
    let mut peer = Peer::start("serve");
    assert_eq!(ask(&mut peer.channel, 0), 0);
    assert_eq!(ask(&mut peer.channel, 500), 500);
}

#[test]
fn a_message_that_is_too_long_is_not_sent() {
    let mut peer = Peer::start("serve");
    let mib = vec![0; 1 << 20];
    let mut parts = vec![&mib[..]; LONGEST >> 20];
    parts.push(&mib[..1]);
    assert_eq!(peer.channel.send(header(ECHO, 0), &parts), Err(Stop::TooLong));
    assert_eq!(peer.ask(header(ECHO, 1), b"short").expect("it answers").header.a, 2);
}

#[test]
fn large_messages_leave_no_memory() {
    let output = program("resident").output().expect("this program");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// In a process of its own, where nobody else takes memory.
fn large_messages_leave_nothing_behind() {
    let mut peer = Peer::start("serve");
    let mut there_and_back = |len| {
        let asked = Header { b: 9, ..header(PATTERN, len as u64) };
        let answer = peer.ask(asked, &[]).expect("it answers");
        assert!(answer.bytes.len() == len && is_pattern(&answer.bytes, 9));
        drop(answer);
        send_pattern(&mut peer.channel, len, 11).expect("it is there");
        assert_eq!(heard(&mut peer.channel).expect("it answers").header, header(RIGHT, 11));
        peer.ask(header(RESIDENT, 0), &[]).expect("it answers").header.a
    };
    // What the allocator keeps, and the shared memory itself.
    there_and_back(4 << 20);
    let before = resident();
    let grown = there_and_back(LONGEST);
    assert!(grown < 1 << 20, "the worker has {grown} bytes more");
    let grown = resident().saturating_sub(before);
    assert!(grown < 1 << 20, "the host has {grown} bytes more");
}

/// Of a channel's memory, too, when small ones have followed. Others do not make it be given back.
#[test]
fn a_channel_gives_memory_back() {
    let (channel, file) = Channel::create().expect("memory");
    let copy = fs::File::from(file.try_clone().expect("a descriptor"));
    let mut peer = Peer::with("serve", channel, file);
    let taken = || copy.metadata().expect("a file").blocks() * 512;
    for (len, asked_for) in [(ROOM, ROOM), (5_000_000, ROOM), (KEPT, KEPT)] {
        let bytes = pattern(len, 0);
        for _ in 0..100 {
            assert!(peer.ask(header(ECHO, 0), &bytes).expect("it answers").bytes == bytes);
        }
        assert!(taken() >= asked_for as u64);
        for _ in 0..100 {
            assert!(peer.ask(header(ECHO, 0), &bytes[..5000]).expect("it answers").bytes == bytes[..5000]);
        }
        assert!(taken() <= KEPT as u64, "{len}: {}", taken());
        // By the worker alone.
        let asked = Header { b: 3, ..header(PATTERN, len as u64) };
        assert!(is_pattern(&peer.ask(asked, &[]).expect("it answers").bytes, 3));
        assert!(taken() >= asked_for as u64);
    }
}

/// What was waited for too short a time still comes.
#[test]
fn a_wait_may_be_too_short() {
    let mut peer = Peer::start("serve");
    peer.ask(header(ECHO, 0), &[]).expect("it answers");
    let pid = peer.process.id() as libc::pid_t;
    for size in [10, 3 * HALF] {
        peer.channel.send(header(PATTERN, size as u64), &[]).expect("it is there");
        // SAFETY: a process that is not waited for yet.
        unsafe { libc::kill(pid, libc::SIGSTOP) };
        let stopped = peer.channel.receive(Some(Instant::now() + Duration::from_millis(3))).map(|it| it.bytes.len());
        // SAFETY: as above.
        unsafe { libc::kill(pid, libc::SIGCONT) };
        if stopped != Ok(size) {
            assert_eq!(stopped, Err(Stop::Late));
            assert_eq!(heard(&mut peer.channel).expect("it comes").bytes.len(), size);
        }
    }
}

/// Nobody is given what is wrong because somebody else calls all the time.
#[test]
fn pokes_do_not_disturb() {
    let mut peer = Peer::start("serve");
    let (caller, done) = (peer.channel.caller(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Random(1);
            while !done.load(Relaxed) {
                caller.poke();
                (0..random.below(300)).for_each(|_| std::hint::spin_loop());
            }
        });
        let large = pattern(5 * HALF, 3);
        for a in 0..3000 {
            let bytes = if a % 50 == 0 { &large } else { &large[..a % 64] };
            let answer = peer.ask(header(ECHO, a as u64), bytes).expect("it answers");
            assert!(answer.header.a == a as u64 + 1 && *answer.bytes == *bytes);
        }
        done.store(true, Relaxed);
    });
}

#[test]
fn a_poke_is_there_for_the_next_wait() {
    let mut peer = Peer::start("pause");
    peer.channel.caller().poke();
    peer.channel.send(header(ECHO, 0), &[]).expect("it is there");
    assert_eq!(stopped(&mut peer.channel), Stop::Poked);
    peer.channel.caller().end();
    assert_eq!(stopped(&mut peer.channel), Stop::Ended);
    assert_eq!(stopped(&mut peer.channel), Stop::Ended);
}

/// Whatever it is doing, the host is told, and what the host hears before is right.
#[test]
fn a_peer_dies_at_any_moment() {
    let large = pattern(9 * HALF, 5);
    let mut random = Random(2);
    for _ in 0..40 {
        let mut peer = Peer::start("serve");
        peer.ask(header(ECHO, 0), &[]).expect("it answers");
        let Peer { channel, process, .. } = &mut peer;
        let (time, first) = (Duration::from_micros(random.below(2000)), random.below(2));
        let stop = thread::scope(|scope| {
            scope.spawn(move || {
                thread::sleep(time);
                process.kill().expect("it is not waited for yet");
            });
            for a in first.. {
                let bytes = if a % 2 == 0 { &large } else { &large[..40] };
                if let Err(stop) = channel.send(header(ECHO, a), &[bytes]) {
                    return stop;
                }
                match heard(channel) {
                    Ok(answer) => assert!(answer.header.a == a + 1 && *answer.bytes == *bytes),
                    Err(stop) => return stop,
                }
            }
            unreachable!()
        });
        assert_eq!(stop, Stop::Ended);
    }
}

// ---- a peer that does not keep to the rules ----

/// What the child does after the host's first message.
fn lie(how: &str, shared: &Shared) {
    let line = shared.line();
    let hosts = Turn::FIRST.next();
    while line.turn.load() & !BITS != hosts.word() {
        std::hint::spin_loop();
    }
    let (mine, len) = match how {
        "longest length" => (hosts.next(), u64::MAX),
        "length beyond" => (hosts.next(), LONGEST as u64 + 1),
        "length of what never comes" => (hosts.next(), LONGEST as u64),
        "turn ahead" => (hosts.next().next(), 0),
        "turn behind" => (Turn::FIRST, 0),
        "hasty" => {
            pass(&line.turn, hosts.next());
            (hosts.next().next().next(), 0)
        }
        "hole" => {
            // SAFETY: the page is mapped, and nobody here has a reference to what is in it but to atomics.
            let result = unsafe { libc::madvise((&raw const *line).cast_mut().cast(), 4096, libc::MADV_REMOVE) };
            assert_eq!(result, 0);
            return pause();
        }
        // The host is not to see that it is called, nor to be woken.
        "hides" => loop {
            line.turn.store(hosts.word());
            line.turn.set_sleeping(true, false);
        },
        "pause" => return pause(),
        how => panic!("{how}"),
    };
    line.len.store(len, Relaxed);
    pass(&line.turn, mine);
    pause();
}

fn pause() {
    loop {
        thread::park();
    }
}

/// What the host gets that sends so many bytes to one that lies. Who would wait for ever kills it a little later.
fn lied_to(how: &str, len: usize, kill: bool) -> Stop {
    let mut peer = Peer::start(how);
    let Peer { channel, process, .. } = &mut peer;
    let bytes = pattern(len, 0);
    thread::scope(|scope| {
        if kill {
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(100));
                process.kill().expect("it is not waited for yet");
            });
        }
        loop {
            if let Err(stop) = channel.send(header(ECHO, 0), &[&bytes]) {
                return stop;
            }
            if let Err(stop) = heard(channel) {
                return stop;
            }
        }
    })
}

#[test]
fn a_lie_is_an_error() {
    for how in ["longest length", "length beyond", "turn ahead", "turn behind", "hole"] {
        assert_eq!(lied_to(how, 10, false), Stop::Broken, "{how}");
    }
    for how in ["length of what never comes", "pause", "hides"] {
        assert_eq!(lied_to(how, 10, true), Stop::Ended, "{how}");
    }
    // Either its first number is seen, or the one that it cannot have.
    assert!(matches!(lied_to("hasty", 10, true), Stop::Broken | Stop::Ended));
    // The host waits within its message.
    assert_eq!(lied_to("pause", 3 * HALF, true), Stop::Ended);
    assert_eq!(lied_to("turn ahead", 3 * HALF, false), Stop::Broken);
}

#[test]
fn a_poke_comes_through_where_it_is_hidden() {
    let mut peer = Peer::start("hides");
    let caller = peer.channel.caller();
    peer.channel.send(header(ECHO, 0), &[]).expect("it is there");
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(5));
                caller.poke();
            });
            assert_eq!(stopped(&mut peer.channel), Stop::Poked);
        }
    });
}

/// All the time another thread of the peer writes anything anywhere.
fn scribble(shared: &Shared) {
    let mut random = Random(u64::from(std::process::id()));
    let line = shared.line();
    loop {
        let number = random.next();
        match random.below(8) {
            // A turn that can be, and any.
            0 | 1 => line.turn.store(line.turn.load().wrapping_add(BITS + 1)),
            2 => line.turn.store((number % 64) as u32),
            3 => line.len.store(number >> random.below(64), Relaxed),
            4 => line.len.store(random.below(8 * HALF as u64), Relaxed),
            5 => line.a.store(number, Relaxed),
            6 => line.what.store(number as u32, Relaxed),
            _ => shared.put(BYTES + random.below(ROOM as u64 - 8) as usize, &number.to_le_bytes()),
        }
        line.turn.wake();
    }
}

#[test]
fn nothing_that_is_written_there_does_harm() {
    let mut peer = Peer::start("scribble");
    let channel = &mut peer.channel;
    let large = pattern(3 * HALF, 0);
    let (mut came, mut broken) = (0, 0);
    let end = soon();
    while came < 1000 || broken < 1000 {
        assert!(Some(Instant::now()) < end, "{came} {broken}");
        let bytes = if came % 8 == 0 { &large } else { &large[..50] };
        let sent = channel.send(header(ECHO, 0), &[bytes]);
        let late = Some(Instant::now() + Duration::from_micros(500));
        match sent.and_then(|()| channel.receive(late)) {
            Ok(message) => {
                assert!(message.bytes.len() <= LONGEST);
                came += 1;
            }
            Err(Stop::Broken) => {
                broken += 1;
                channel.start_anew();
            }
            Err(Stop::Late) => channel.start_anew(),
            Err(stop) => panic!("{stop:?}"),
        }
    }
}

/// The memory keeps its size and can be written, whatever the other process tries with its descriptor.
#[test]
fn the_memory_is_sealed() {
    let (shared, file) = Shared::create().expect("memory");
    let copy = file.try_clone().expect("a descriptor");
    let tries = [
        // SAFETY: system calls without pointers.
        unsafe { libc::ftruncate(file.as_raw_fd(), 0) },
        // SAFETY: as above.
        unsafe { libc::ftruncate(file.as_raw_fd(), 1 << 30) },
        // SAFETY: as above.
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_WRITE) },
        // SAFETY: as above.
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_FUTURE_WRITE) },
        // SAFETY: as above.
        unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, 2 << 20) },
    ];
    assert_eq!(tries, [-1; 5]);
    shared.put(BYTES, b"there");
    let other = Shared::open(copy.as_fd()).expect("the same memory");
    let mut read = Vec::with_capacity(5);
    other.take(BYTES, 5, &mut read);
    assert_eq!(read, b"there");
}

#[test]
fn what_is_no_channel_is_not_opened() {
    let file = fs::File::open("/dev/null").expect("a file");
    assert!(Channel::open(file.as_fd()).is_err());
    // SAFETY: the name ends with NUL.
    let memory = unsafe { libc::memfd_create(c"subpy-test".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
    // SAFETY: it is new.
    let memory = unsafe { OwnedFd::from_raw_fd(memory) };
    assert!(Channel::open(memory.as_fd()).is_err());
    // SAFETY: a system call without pointers.
    assert_eq!(unsafe { libc::ftruncate(memory.as_raw_fd(), 1 << 20) }, 0);
    assert!(Channel::open(memory.as_fd()).is_err(), "it is not sealed");
}

/// Numbers that look random (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
