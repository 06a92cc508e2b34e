//! One call for many rows: some rows a task, a few tasks at a time, and the results in the order of the rows.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::super::cancel::{Stop, Token};
use super::super::error::{Error, Kind, Result, Stopped};
use super::super::limits::Limits;
use super::super::run::{claim, copy, run_with};
use super::super::thread::join;
use super::super::timer::now;
use super::task::{Job, OutputFor, Submit};
use super::worker::is_suspect;
use super::{Pool, get};
use crate::python::interrupt::Reason;
use crate::python::lock;
use crate::python::output::RunOutput;
use crate::python::run::Code;
use crate::value::{Args, OwnedArgs, OwnedValue, Results, Rows as Values, Wanted};

/// How the calls are made.
#[derive(Default)]
pub struct MapOptions {
    pub want_results: bool,
    pub results: Results,
    pub output: Option<OutputFor>,
    /// Of each row.
    pub limits: Option<Limits>,
}

/// What became of a row.
pub type Row = Result<OwnedValue>;

/// The rows of one task. Each is a run of its own.
pub struct Rows {
    callable: Arc<str>,
    values: Mutex<(OwnedValue, OwnedValue)>,
    /// How many rows of the map come before these.
    first: usize,
    count: usize,
    width: usize,
    want_results: bool,
    form: Results,
    results: Mutex<Vec<Row>>,
    /// Rows that were run since that was asked last, and whether the last of them was hit.
    progress: AtomicU64,
    hit: AtomicBool,
}

impl Rows {
    pub fn are_done(&self) -> bool {
        lock(&self.results).len() >= self.count
    }

    pub fn take_progress(&self) -> (u64, bool) {
        (self.progress.swap(0, Ordering::Relaxed), self.hit.swap(false, Ordering::Relaxed))
    }

    /// Runs those that are left, until one was hit, or has to be run in another interpreter.
    pub fn run(
        &self,
        interp: u64,
        limits: Option<&Limits>,
        mut output: Option<RunOutput>,
        moves: &dyn Fn(&Error) -> bool,
    ) -> Result<()> {
        let values = lock(&self.values);
        let rows = Values::check_owned(&values.0, self.count, self.width).map_err(Kind::InvalidArgument)?;
        let kwargs = Args::of(&values.0, &values.1).kwargs;
        let passed = match kwargs.is_empty() {
            true => rows.buffers(),
            false => Args::check_owned(&values.0, &values.1).map_err(Kind::InvalidArgument)?.buffers,
        };
        let first = lock(&self.results).len();
        for index in first..self.count {
            let args = Args { items: rows.row(index), kwargs, buffers: passed };
            let output = output.as_mut().map(|output| &mut **output as RunOutput);
            let start = now();
            let claimed = passed.are_passed().then(|| claim(args)).transpose();
            let ran = claimed.and_then(|claimed| {
                let args = claimed.as_ref().map_or(args, OwnedArgs::args);
                let code = Code::Call { callable: &self.callable, args };
                let mut result = OwnedValue::none();
                let wanted = Wanted { result: self.want_results.then_some(&mut result), how: self.form };
                run_with(interp, code, wanted, limits, output).map(|()| result).map_err(|error| *error)
            });
            if matches!(&ran, Err(Error { kind: Kind::NotFound(_) | Kind::Busy(_), .. }))
                && super::super::interpreter::check_alive(interp).is_err()
            {
                return ran.map(drop);
            }
            if matches!(&ran, Err(error) if moves(error)) {
                self.progress.fetch_add(1, Ordering::Relaxed);
                return ran.map(drop);
            }
            let timeout = limits.and_then(|limits| limits.timeout);
            let late = timeout.is_some_and(|timeout| u128::from(now().saturating_sub(start)) >= timeout.as_nanos());
            let fired = limits.and_then(|limits| limits.cancel.as_ref()).is_some_and(|token| token.is_fired());
            let hit = is_suspect(&ran) || late || fired;
            self.progress.fetch_add(1, Ordering::Relaxed);
            lock(&self.results).push(ran.map_err(|error| error.in_row(self.first + index)));
            if hit {
                self.hit.store(true, Ordering::Relaxed);
                break;
            }
        }
        Ok(())
    }
}

/// Fires a token when another is fired.
struct Linked(Arc<Token>);

impl Stop for Linked {
    fn stop(&self, _: u64, _: Reason) {
        self.0.fire();
    }
}

/// A map that goes on. What is left of it is cancelled when it is dropped.
pub struct Map {
    pool: Arc<Pool>,
    callable: Arc<str>,
    how: MapOptions,
    window: VecDeque<(u64, Arc<Rows>)>,
    /// Rows that were submitted.
    submitted: usize,
    token: Arc<Token>,
    link: Option<(Arc<Token>, Arc<Linked>)>,
}

impl Map {
    /// Nothing is submitted yet.
    pub fn new(pool: u64, callable: &str, mut how: MapOptions) -> Result<Map> {
        let pool = get(pool)?;
        let token = Arc::<Token>::default();
        let limits = how.limits.get_or_insert_default();
        let mut link = None;
        if let Some(theirs) = limits.cancel.replace(Arc::clone(&token)) {
            let linked = Arc::new(Linked(Arc::clone(&token)));
            if theirs.attach(Arc::clone(&linked) as _, 0)? {
                token.fire();
            }
            link = Some((theirs, linked));
        }
        Ok(Map { pool, callable: copy(callable)?.into(), how, window: VecDeque::new(), submitted: 0, token, link })
    }

    /// The next results come before more rows. A row that takes long must not keep all workers waiting, and other
    /// submitters need room too.
    pub fn is_full(&self) -> bool {
        self.window.len() >= self.pool.workers.saturating_add(self.pool.backlog / 2)
    }

    /// Submits rows: a TUPLE of all their values, and keyword arguments for each of them.
    pub fn submit(&mut self, values: OwnedValue, kwargs: OwnedValue, count: usize, width: usize) -> Result<()> {
        let mut results = Vec::new();
        results.try_reserve_exact(count).map_err(|_| Kind::NoMemory)?;
        self.window.try_reserve(1).map_err(|_| Kind::NoMemory)?;
        let rows = Arc::new(Rows {
            callable: Arc::clone(&self.callable),
            values: Mutex::new((values, kwargs)),
            first: self.submitted,
            count,
            width,
            want_results: self.how.want_results,
            form: self.how.results,
            results: Mutex::new(results),
            progress: AtomicU64::new(0),
            hit: AtomicBool::new(false),
        });
        let how = Submit {
            want_result: true,
            output: self.how.output.clone(),
            limits: self.how.limits.clone(),
            ..Submit::default()
        };
        let handle = self.pool.submit(&self.callable, Job::Rows(Arc::clone(&rows)), how, false)?;
        self.window.push_back((handle, rows));
        self.submitted += count;
        Ok(())
    }

    /// The results of the rows that were submitted first, and not asked for yet. None: there are none.
    pub fn next(&mut self) -> Option<Result<Vec<Row>>> {
        let (handle, rows) = self.window.pop_front()?;
        let joined = join(handle, true);
        if self.link.as_ref().is_some_and(|(theirs, _)| theirs.is_fired()) {
            let stopped = Stopped { message: "cancelled".into(), exception: None };
            return Some(Err(Kind::Interrupted(stopped).into()));
        }
        if let Err(error) = joined {
            return Some(Err(error));
        }
        Some(Ok(std::mem::take(&mut *lock(&rows.results))))
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        if let Some((theirs, linked)) = self.link.take() {
            theirs.detach(&*linked, 0);
        }
        if self.window.is_empty() {
            return;
        }
        // They may print to the caller still.
        self.token.fire();
        for (handle, _) in self.window.drain(..) {
            let _ = join(handle, false);
        }
    }
}
