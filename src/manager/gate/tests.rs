use super::word::{AWAITED, FAIR};
use super::*;
use std::sync::atomic::AtomicBool;
use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::Duration;

#[derive(Default)]
struct Flag(AtomicBool);

impl Stop for Flag {
    fn is_stopped(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[test]
fn one_run_at_a_time_but_more_from_inside() {
    let gate = Gate::new(Busy::Refuse);
    let inside = Inside::default();
    let outer = gate.enter(1, &inside, None).unwrap();
    assert!(gate.enter(1, &inside, None).is_ok(), "nested on the same thread");
    thread::scope(|scope| {
        scope.spawn(|| assert!(matches!(gate.enter(1, &Inside::default(), None), Err(Refused::Running))));
    });
    assert_eq!(gate.begin_close(), Err(Refused::Running));
    drop(outer);
    assert!(!inside.any());
    assert_eq!(gate.begin_close(), Ok(()));
    gate.close();
    assert!(matches!(gate.enter(1, &Inside::default(), None), Err(Refused::Closing)));
    gate.closed();
    assert!(matches!(gate.enter(1, &Inside::default(), None), Err(Refused::Closed)));
}

#[test]
fn a_visitor_keeps_no_run_out_and_every_close() {
    let gate = Gate::new(Busy::Refuse);
    let visiting = gate.visit().unwrap();
    drop(gate.enter(1, &Inside::default(), None).unwrap());
    assert_eq!(gate.begin_close(), Err(Refused::Running));
    drop(visiting);
    assert_eq!(gate.begin_close(), Ok(()));
    gate.close();
    assert!(matches!(gate.visit(), Err(Refused::Closing)));
}

#[test]
fn those_who_wait_come_in_order() {
    let gate = Gate::new(Busy::Wait);
    let (sender, order) = mpsc::channel();
    thread::scope(|scope| {
        let inside = Inside::default();
        let first = gate.enter(1, &inside, None).unwrap();
        for number in 0..5 {
            let (gate, sender) = (&gate, sender.clone());
            scope.spawn(move || {
                let inside = Inside::default();
                let _running = gate.enter(1, &inside, None).unwrap();
                sender.send(number).unwrap();
            });
            while lock(&gate.queue).len() <= number {
                thread::sleep(Duration::from_millis(1));
            }
        }
        drop(first);
    });
    drop(sender);
    assert_eq!(order.iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(gate.load(), 0, "the word is back at zero");
}

/// A waiter sleeps through a long run, and then nobody comes in before it.
#[test]
fn after_a_long_run_nobody_overtakes() {
    let gate = Gate::new(Busy::Wait);
    let (inside, turns) = (Inside::default(), AtomicUsize::new(0));
    thread::scope(|scope| {
        let long = gate.enter(1, &inside, None).unwrap();
        scope.spawn(|| {
            let inside = Inside::default();
            let _running = gate.enter(1, &inside, None).unwrap();
            turns.fetch_add(1, Ordering::SeqCst);
        });
        until_waiting(&gate, 1);
        thread::sleep(Duration::from_millis(20));
        assert_eq!(gate.load() & (AWAITED | TELL | FAIR), AWAITED | TELL, "it sleeps and is to be told");
        assert_eq!(turns.load(Ordering::SeqCst), 0);
        drop(long);
        let _again = gate.enter(1, &inside, None).unwrap();
        assert_eq!(turns.load(Ordering::SeqCst), 1);
        assert_eq!(gate.load(), 1, "nobody waits");
    });
}

/// Two that come again at once until another has had twenty turns.
#[test]
fn nobody_starves() {
    let gate = Gate::new(Busy::Wait);
    let (begun, turns) = (Barrier::new(3), AtomicUsize::new(0));
    let run = || drop(gate.enter(1, &Inside::default(), None).unwrap());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                begun.wait();
                while turns.load(Ordering::SeqCst) < 20 {
                    run();
                }
            });
        }
        begun.wait();
        for _ in 0..20 {
            run();
            turns.fetch_add(1, Ordering::SeqCst);
        }
    });
    assert_eq!(gate.load(), 0, "the word is back at zero");
}

/// Every policy, many threads: never two at once but where they share, and nobody is forgotten.
#[test]
fn nobody_is_lost_in_the_crowd() {
    for busy in [Busy::Refuse, Busy::Wait, Busy::Share] {
        let gate = Gate::new(busy);
        let (now, entered) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let inside = Inside::default();
                        let Ok(_running) = gate.enter(1, &inside, None) else { continue };
                        let others = now.fetch_add(1, Ordering::SeqCst);
                        assert!(others == 0 || busy == Busy::Share);
                        entered.fetch_add(1, Ordering::SeqCst);
                        now.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(busy == Busy::Refuse || entered.load(Ordering::SeqCst) == 8_000);
        assert_eq!(gate.begin_close(), Ok(()), "the word is back at zero");
    }
}

#[test]
fn ending_from_outside_waits_for_the_last_run() {
    let gate = Gate::new(Busy::Share);
    let (entered, was_entered) = mpsc::channel();
    thread::scope(|scope| {
        let gate = &gate;
        scope.spawn(move || {
            let inside = Inside::default();
            let _running = gate.enter(1, &inside, None).unwrap();
            entered.send(()).unwrap();
            while refused(gate.load()).is_none() {
                thread::yield_now();
            }
        });
        was_entered.recv().unwrap();
        assert!(gate.close_from_outside());
        assert_eq!(gate.load() & RUNS, 0);
    });
    assert!(!gate.close_from_outside());
}

/// Closes that are taken back, beside runs and visits: nobody is in while one is undecided, and nobody notices.
#[test]
fn a_close_that_is_taken_back_is_waited_through() {
    for busy in [Busy::Refuse, Busy::Wait, Busy::Share] {
        let gate = Gate::new(busy);
        let (inside, closes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for number in 0..3 {
                let (gate, inside, closes) = (&gate, &inside, &closes);
                scope.spawn(move || {
                    while closes.load(Ordering::SeqCst) < 2_000 {
                        let mine = Inside::default();
                        match gate.enter(1, &mine, None) {
                            Ok(_running) => {
                                inside.fetch_add(1, Ordering::SeqCst);
                                let nested = gate.enter(1, &mine, None).map(drop);
                                assert_eq!(nested, Ok(()));
                                inside.fetch_sub(1, Ordering::SeqCst);
                            }
                            Err(refused) => assert!(refused == Refused::Running && busy == Busy::Refuse),
                        }
                        if number == 0 {
                            let _visiting = gate.visit().map_err(drop).expect("the gate is never closed");
                        }
                        // Or a close would hardly find a moment in which nobody is in or waits.
                        thread::sleep(Duration::from_nanos(1));
                    }
                });
            }
            scope.spawn(|| {
                while closes.load(Ordering::SeqCst) < 2_000 {
                    if gate.begin_close().is_ok() {
                        for _ in 0..100 {
                            assert_eq!(inside.load(Ordering::SeqCst), 0, "in beside a close");
                            std::hint::spin_loop();
                        }
                        closes.fetch_add(1, Ordering::SeqCst);
                        gate.reopen();
                    }
                }
            });
        });
        assert_eq!(gate.load(), 0, "the word is back at zero");
    }
}

#[test]
fn who_waits_for_a_decision_gets_it() {
    for closes in [false, true] {
        for busy in [Busy::Refuse, Busy::Wait, Busy::Share] {
            let gate = Gate::new(busy);
            assert_eq!(gate.begin_close(), Ok(()));
            thread::scope(|scope| {
                let runs = scope.spawn(|| gate.enter(1, &Inside::default(), None).map(drop));
                let visits = scope.spawn(|| gate.visit().map(drop));
                let ends = (!closes).then(|| scope.spawn(|| gate.begin_close().map(|()| gate.reopen())));
                thread::sleep(Duration::from_millis(20));
                assert!(!runs.is_finished() && !visits.is_finished());
                if closes {
                    gate.close()
                } else {
                    gate.reopen()
                }
                let expected = if closes { Err(Refused::Closing) } else { Ok(()) };
                assert_eq!(runs.join().unwrap(), expected);
                assert_eq!(visits.join().unwrap(), expected);
                if let Some(ends) = ends {
                    assert!(matches!(ends.join().unwrap(), Ok(()) | Err(Refused::Running)));
                }
            });
        }
    }
    // Its process has ended meanwhile.
    let gate = Gate::new(Busy::Refuse);
    assert_eq!(gate.begin_close(), Ok(()));
    thread::scope(|scope| {
        let runs = scope.spawn(|| gate.enter(1, &Inside::default(), None).map(drop));
        thread::sleep(Duration::from_millis(20));
        gate.closed();
        assert_eq!(runs.join().unwrap(), Err(Refused::Closed));
    });
    // It may wait no longer.
    let (gate, stop) = (Gate::new(Busy::Share), Flag::default());
    assert_eq!(gate.begin_close(), Ok(()));
    thread::scope(|scope| {
        let runs = scope.spawn(|| gate.enter(1, &Inside::default(), Some(&stop)).map(drop));
        thread::sleep(Duration::from_millis(20));
        stop.0.store(true, Ordering::SeqCst);
        gate.wake();
        assert_eq!(runs.join().unwrap(), Err(Refused::Stopped));
    });
    let gate = Gate::new(Busy::Refuse);
    assert_eq!(gate.begin_close(), Ok(()));
    thread::scope(|scope| {
        let outside = scope.spawn(|| gate.close_from_outside());
        thread::sleep(Duration::from_millis(20));
        assert!(!outside.is_finished());
        gate.close();
        assert!(!outside.join().unwrap());
    });
}

/// So many threads wait for their turn.
fn until_waiting(gate: &Gate, count: usize) {
    while lock(&gate.queue).len() < count {
        thread::yield_now();
    }
}

/// Newcomers are refused, those who wait and those who are inside are not; then it is as before.
#[test]
fn a_drain_lets_in_whom_it_should() {
    let gate = Gate::new(Busy::Wait);
    let inside = Inside::default();
    let outer = gate.enter(1, &inside, None).unwrap();
    assert_eq!(gate.begin_drain(true, None), Err(Refused::Running));
    thread::scope(|scope| {
        let waits = scope.spawn(|| gate.enter(1, &Inside::default(), None).map(drop));
        until_waiting(&gate, 1);
        assert_eq!(gate.begin_drain(false, None), Ok(()));
        assert_eq!(gate.begin_drain(false, None), Err(Refused::Closing));
        assert_eq!(gate.begin_close(), Err(Refused::Closing));
        let newcomer = scope.spawn(|| gate.enter(1, &Inside::default(), None).map(drop));
        assert_eq!(newcomer.join().unwrap(), Err(Refused::Closing));
        assert_eq!(gate.visit().map(drop), Err(Refused::Closing));
        assert!(gate.enter(1, &inside, None).is_ok(), "it is inside");
        assert!(gate.visit_drained().is_ok());
        assert_eq!(gate.wait_drained(Some(Duration::from_millis(1))), Ok(false));
        assert_eq!(gate.in_the_way(), InTheWay { runs: true, sessions: false });
        drop(outer);
        assert_eq!(waits.join().unwrap(), Ok(()), "it gets its turn");
    });
    assert_eq!(gate.wait_drained(None), Ok(true));
    assert_eq!(gate.begin_close_drained(), Ok(()));
    gate.reopen();
    gate.end_drain();
    assert_eq!(gate.load(), 0, "the word is back at zero");
    assert!(gate.enter(1, &inside, None).is_ok());
}

/// Between two of those who wait it is empty, and has not drained.
#[test]
fn a_drain_waits_for_all_who_wait() {
    let gate = Gate::new(Busy::Wait);
    let inside = Inside::default();
    let outer = gate.enter(1, &inside, None).unwrap();
    thread::scope(|scope| {
        let (leave, leaves) = mpsc::channel::<()>();
        let (entered, was_entered) = mpsc::channel();
        let first = scope.spawn({
            let gate = &gate;
            move || {
                let inside = Inside::default();
                let _running = gate.enter(1, &inside, None).unwrap();
                entered.send(()).unwrap();
                leaves.recv().unwrap();
            }
        });
        until_waiting(&gate, 1);
        let second = scope.spawn(|| gate.enter(1, &Inside::default(), None).map(drop));
        until_waiting(&gate, 2);
        assert_eq!(gate.begin_drain(false, None), Ok(()));
        drop(outer);
        was_entered.recv().unwrap();
        assert!(gate.load() & AWAITED != 0, "the second one is in its way when the first one leaves");
        leave.send(()).unwrap();
        assert_eq!(gate.wait_drained(None), Ok(true));
        assert!(lock(&gate.queue).is_empty());
        first.join().unwrap();
        assert_eq!(second.join().unwrap(), Ok(()));
    });
    gate.end_drain();
    assert_eq!(gate.load(), 0, "the word is back at zero");
}

#[test]
fn who_is_turned_away_does_not_get_its_turn() {
    let gate = Gate::new(Busy::Wait);
    let inside = Inside::default();
    let long = gate.enter(1, &inside, None).unwrap();
    thread::scope(|scope| {
        let waits = scope.spawn(|| gate.enter(1, &Inside::default(), None).map(drop));
        until_waiting(&gate, 1);
        assert_eq!(gate.begin_drain(false, None), Ok(()));
        gate.turn_away();
        assert_eq!(waits.join().unwrap(), Err(Refused::Closing));
    });
    gate.end_drain();
    // The drain was given up a moment ago: that has come too late.
    gate.turn_away();
    drop(long);
    assert_eq!(gate.load(), 0, "the word is back at zero");
}

/// In a gate that all share, too, and sessions are in the way.
#[test]
fn a_drain_waits_for_sessions() {
    let gate = Gate::new(Busy::Share);
    gate.begin_session(&gate.visit().map_err(drop).unwrap());
    assert_eq!(gate.begin_drain(true, None), Err(Refused::Entered));
    assert_eq!(gate.begin_drain(false, None), Ok(()));
    assert_eq!(gate.enter(1, &Inside::default(), None).map(drop), Err(Refused::Closing));
    assert_eq!(gate.wait_drained(Some(Duration::ZERO)), Ok(false));
    assert_eq!(gate.in_the_way(), InTheWay { runs: false, sessions: true });
    thread::scope(|scope| {
        let waits = scope.spawn(|| gate.wait_drained(None));
        gate.end_session();
        assert_eq!(waits.join().unwrap(), Ok(true));
    });
    gate.end_drain();
    assert_eq!(gate.load(), 0, "the word is back at zero");
}
