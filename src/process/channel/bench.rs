//! How fast channels are, beside a futex alone with the same spin, in turns within one run:
//! `cargo test --release --lib process::channel::bench -- --ignored --nocapture`.

use std::sync::Barrier;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use super::ends::SPIN;
use super::memory::Shared;
use super::tests::Peer;
use super::wait::Spin;
use super::{Channel, Header};

/// A futex as it is written most simply: the word says whether somebody sleeps.
struct Futex<'a>(&'a AtomicU32);

const SLEEPING: u32 = 1;

impl Futex<'_> {
    fn call(&self, operation: libc::c_int, value: u32) {
        // SAFETY: the word lives through the call, and no time is given.
        unsafe {
            libc::syscall(libc::SYS_futex, self.0.as_ptr(), operation, value, std::ptr::null::<libc::timespec>())
        };
    }

    /// Waits until the word has the number, and nothing more.
    fn wait(&self, number: u32, spin: &mut Spin, crowded: bool) {
        let look = || (self.0.load(Acquire) & !SLEEPING == number).then_some(());
        if spin.until(crowded, look).is_some() {
            return;
        }
        loop {
            let seen = self.0.load(Acquire);
            if seen & !SLEEPING == number {
                return;
            }
            let asleep = seen | SLEEPING;
            if seen == asleep || self.0.compare_exchange(seen, asleep, SeqCst, SeqCst).is_ok() {
                self.call(libc::FUTEX_WAIT, asleep);
            }
        }
    }

    fn pass(&self, number: u32) {
        if self.0.swap(number, SeqCst) & SLEEPING != 0 {
            self.call(libc::FUTEX_WAKE, 1);
        }
    }
}

pub fn bare_peer(shared: &Shared, crowded: bool) {
    let mut spin = Spin::new(SPIN);
    let futex = Futex(&shared.line().what);
    for number in (0_u32..).step_by(4) {
        futex.wait(number.wrapping_add(2), &mut spin, crowded);
        futex.pass(number.wrapping_add(4));
    }
}

/// Adds two numbers, whatever else there is.
pub fn call_peer(mut channel: Channel) {
    let mut large = Vec::new();
    loop {
        let message = channel.receive(None).expect("a request");
        let header = message.header;
        let answer = [header.a + header.b + message.bytes.len() as u64, 0, 0];
        let answer = answer.map(u64::to_le_bytes);
        let more = if header.op == 2 { header.a as usize } else { 0 };
        if large.len() < more {
            large.resize(more, 1);
        }
        let answer = if header.op == 0 { &[] } else { answer.as_flattened() };
        channel.send(header, &[answer, &large[..more]]).expect("the host reads");
    }
}

struct Bare {
    shared: Shared,
    peer: Peer,
    spin: Spin,
    number: u32,
    crowded: bool,
}

impl Bare {
    fn start(how: &str) -> Bare {
        let (shared, peer) = Peer::with_memory(how);
        Bare { shared, peer, spin: Spin::new(SPIN), number: 0, crowded: how == "bare asleep" }
    }

    fn round(&mut self) {
        let futex = Futex(&self.shared.line().what);
        futex.pass(self.number.wrapping_add(2));
        self.number = self.number.wrapping_add(4);
        futex.wait(self.number, &mut self.spin, self.crowded);
    }
}

fn call(peer: &mut Peer, op: u16, bytes: &[u8]) -> usize {
    peer.channel.send(Header { op, flags: 0, a: 1, b: 2 }, &[bytes]).expect("it is there");
    peer.channel.receive(None).expect("an answer").bytes.len()
}

fn time(mut act: impl FnMut(), times: u32) -> f64 {
    let start = Instant::now();
    (0..times).for_each(|_| act());
    start.elapsed().as_secs_f64() * 1e6 / f64::from(times)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Microseconds of each, and the ratio to the first one, in turns.
fn compare(name: &str, times: u32, contenders: &mut [(&str, &mut dyn FnMut())]) {
    let mut figures = vec![Vec::new(); contenders.len()];
    for block in 0..100 {
        for ((_, act), figures) in contenders.iter_mut().zip(&mut figures) {
            let figure = time(act, times);
            // The first blocks are for the caches.
            if block >= 5 {
                figures.push(figure);
            }
        }
    }
    for ((contender, _), own) in contenders.iter().zip(&figures) {
        let ratio = median(own.iter().zip(&figures[0]).map(|(own, first)| own / first).collect());
        let least = own.iter().copied().fold(f64::MAX, f64::min);
        println!("{name}: {contender}: median {:.3} us, least {least:.3}, ratio {ratio:.2}", median(own.clone()));
    }
}

/// This thread to one core, the others to another.
fn bind_to_two<const COUNT: usize>(peers: [&Peer; COUNT]) {
    bind(0, 0);
    peers.into_iter().for_each(|peer| bind_all(peer.id(), 1));
}

/// Binds all threads of a process to a core.
fn bind_all(process: u32, core: usize) {
    for thread in std::fs::read_dir(format!("/proc/{process}/task")).expect("it is there") {
        bind(thread.expect("a thread").file_name().to_str().expect("a number").parse().expect("a number"), core);
    }
}

/// Binds a thread to a core, 0 the calling one.
fn bind(thread: u32, core: usize) {
    // SAFETY: a set of bits.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: one of its bits.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: it is read there.
    assert_eq!(unsafe { libc::sched_setaffinity(thread as i32, size_of_val(&set), &raw const set) }, 0);
}

#[test]
#[ignore = "takes its time"]
fn round_trips() {
    compare_round_trips("round trip", false);
}

/// Where the scheduler cannot put both on one core, which it does while others are busy.
#[test]
#[ignore = "takes its time"]
fn round_trips_on_two_cores() {
    compare_round_trips("two cores", true);
}

fn compare_round_trips(name: &str, bound: bool) {
    let (mut bare, mut empty, mut ints) = (Bare::start("bare"), Peer::start("calls"), Peer::start("calls"));
    let arguments = [7; 64];
    // So that they have looked how many cores there are.
    bare.round();
    call(&mut empty, 0, &[]);
    call(&mut ints, 1, &arguments);
    if bound {
        bind_to_two([&bare.peer, &empty, &ints]);
    }
    compare(
        name,
        2_000,
        &mut [
            ("bare futex", &mut || bare.round()),
            ("header", &mut || assert_eq!(call(&mut empty, 0, &[]), 0)),
            ("two ints", &mut || assert_eq!(call(&mut ints, 1, &arguments), 24)),
        ],
    );
    // Nobody spins any more.
    let name = &format!("{name}, 200 us between");
    let pause = || thread::sleep(Duration::from_micros(200));
    compare(
        name,
        50,
        &mut [
            ("pause alone", &mut || pause()),
            ("bare futex", &mut || {
                pause();
                bare.round();
            }),
            ("two ints", &mut || {
                pause();
                call(&mut ints, 1, &arguments);
            }),
        ],
    );
    // It pays again.
    for rounds in [100, 1000] {
        let name = &format!("{name}, then {rounds}");
        compare_once(name, &mut || {
            (0..50).for_each(|_| {
                pause();
                bare.round();
            });
            time(|| bare.round(), rounds)
        });
        compare_once(name, &mut || {
            (0..50).for_each(|_| {
                pause();
                call(&mut ints, 1, &arguments);
            });
            time(|| assert_eq!(call(&mut ints, 1, &arguments), 24), rounds)
        });
    }
}

fn compare_once(name: &str, act: &mut dyn FnMut() -> f64) {
    println!("{name}: median {:.3} us", median((0..20).map(|_| act()).collect()));
}

#[test]
#[ignore = "takes its time"]
fn large() {
    let mut peer = Peer::start("calls");
    let mut peer_out = Peer::start("calls");
    call(&mut peer, 0, &[]);
    call(&mut peer_out, 0, &[]);
    bind_to_two([&peer, &peer_out]);
    for (size, times) in [(1 << 10, 1000), (64 << 10, 100), (1_000_000, 10), (16 << 20, 1)] {
        let bytes = vec![1; size];
        let mut copy = vec![0; size];
        compare(
            &format!("{size} bytes"),
            times,
            &mut [
                ("memcpy", &mut || std::hint::black_box(&mut copy).copy_from_slice(std::hint::black_box(&bytes))),
                ("copy to new memory", &mut || drop(std::hint::black_box(bytes.clone()))),
                ("to the worker", &mut || assert_eq!(call(&mut peer, 1, &bytes), 24)),
                ("from the worker", &mut || {
                    let header = Header { op: 2, flags: 0, a: size as u64, b: 0 };
                    peer_out.channel.send(header, &[]).expect("it is there");
                    assert_eq!(peer_out.channel.receive(None).expect("an answer").bytes.len(), size + 24);
                }),
            ],
        );
    }
    for op in [1_u16, 2] {
        let bytes = vec![1; if op == 1 { 1 << 29 } else { 0 }];
        let time = time(
            || {
                let header = Header { op, flags: 0, a: 1 << 29, b: 0 };
                peer.channel.send(header, &[&bytes]).expect("it is there");
                peer.channel.receive(None).expect("an answer");
            },
            1,
        );
        println!("512 MiB, op {op}: {:.2} GB/s", f64::from(1 << 29) / time / 1e3);
    }
}

/// All at once, for a while.
fn at_once<C: Send>(contenders: &mut [C], act: impl Fn(&mut C) + Sync) -> f64 {
    let start = Barrier::new(contenders.len());
    let calls: u64 = thread::scope(|scope| {
        let threads: Vec<_> = contenders
            .iter_mut()
            .map(|contender| {
                scope.spawn(|| {
                    start.wait();
                    let end = Instant::now() + Duration::from_millis(300);
                    let mut calls = 0;
                    while Instant::now() < end {
                        (0..20).for_each(|_| act(contender));
                        calls += 20;
                    }
                    calls
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    calls as f64 / 0.3 / 1e3
}

#[test]
#[ignore = "takes its time"]
fn many_at_once() {
    for count in [1, 2, 4, 8, 32] {
        let mut bare: Vec<_> = (0..count).map(|_| Bare::start("bare")).collect();
        let mut asleep: Vec<_> = (0..count).map(|_| Bare::start("bare asleep")).collect();
        let mut peers: Vec<_> = (0..count).map(|_| Peer::start("calls")).collect();
        let mut figures = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..7 {
            figures[0].push(at_once(&mut bare, Bare::round));
            figures[1].push(at_once(&mut asleep, Bare::round));
            figures[2].push(at_once(&mut peers, |peer| assert_eq!(call(peer, 1, &[7; 64]), 24)));
        }
        let [bare, asleep, channels] = figures.map(median);
        println!(
            "{count} at once, 1000 calls/s: bare {bare:.0}, bare without spinning {asleep:.0}, channels {channels:.0}"
        );
    }
}
