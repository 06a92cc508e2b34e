//! The gate's state in one word: three counts and eight flags. Without flags and runs it is an open gate with nobody
//! inside and nobody waiting: a run comes in and leaves with one locked instruction each. Whoever lets something in, or
//! begins a close, compares and swaps: no lock keeps the others from changing the word meanwhile. Those who wait sleep
//! with the lock on the queue, so what they wait for changes with that lock or is told with it.

/// Whoever is the last to leave tells: the first in the queue, which wants to get in, or who ends the interpreter. A sign
/// bit: every run that leaves looks at it.
pub const TELL: usize = 1 << 63;
pub const CLOSING: usize = 1 << 62;
pub const CLOSED: usize = 1 << 59;
/// A close has begun and may still be taken back. Nobody is in, and whoever comes waits for the decision.
pub const UNDECIDED: usize = 1 << 61;
/// With none of these, the gate is open.
pub const NOT_OPEN: usize = CLOSED | CLOSING | UNDECIDED;
/// Somebody waits in the queue. That is in a close's way alone: others may overtake.
pub const AWAITED: usize = 1 << 60;
/// The first in the queue has waited long enough: nobody overtakes any more.
pub const FAIR: usize = 1 << 58;
/// Somebody waits for all to leave, to close it: nobody comes in but those who wait already, and those who are inside.
pub const DRAINING: usize = 1 << 57;
/// And those who wait are turned away.
pub const TURN_AWAY: usize = 1 << 56;
/// What a close with time sets, and takes away again when it gives up.
pub const DRAIN: usize = DRAINING | TURN_AWAY | TELL;
/// Runs that were let in and have not left, nested ones included.
pub const RUNS: usize = (1 << 22) - 1;
/// Short stays that are no runs: they are in nobody's way but a close's.
pub const VISIT: usize = 1 << 22;
pub const VISITS: usize = ((1 << 16) - 1) * VISIT;
/// Threads that have a session.
pub const SESSION: usize = 1 << 38;
pub const SESSIONS: usize = ((1 << 18) - 1) * SESSION;
/// What keeps no run out.
pub const FREE: usize = VISITS | SESSIONS | AWAITED | TELL;

/// Without these flags, which are of no use when the gate is closed: then whoever leaves tells. While it drains, too.
pub fn without(word: usize, flags: usize) -> usize {
    match word {
        word if word & CLOSED != 0 => word,
        word if word & DRAINING != 0 => word & !(flags & !TELL),
        word => word & !flags,
    }
}
