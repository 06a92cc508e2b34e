//! Pools: interpreters that take tasks from a queue.

use std::sync::Arc;

use super::args::{Arg, Args};
use super::call::{Call, NO_KWARGS};
use super::interpreter::Interpreter;
use super::limits::Limits;
use super::options::no_nul;
use super::outcome::Outcome;
use super::output::{Stream, callback};
use super::pool_map::PoolMap;
use super::to_rust::FromValue;
use super::unless_forked;
use crate::manager::{
    self, CloseOptions, Code, Isolation, MapOptions, Options, OutputFor, PoolStats, Prepare, Result, Submit, forked,
};

/// How a [`Pool`] is made.
#[must_use]
pub struct PoolOptions {
    workers: usize,
    backlog: usize,
    spares: usize,
    refuse: bool,
    interp: Options,
    setup: Option<String>,
    prepare: Option<Prepare>,
    runs_per_worker: u64,
    isolation: Isolation,
}

impl Default for PoolOptions {
    fn default() -> PoolOptions {
        PoolOptions {
            workers: 0,
            backlog: 0,
            spares: 1,
            refuse: false,
            interp: Options::default(),
            setup: None,
            prepare: None,
            runs_per_worker: 0,
            isolation: Isolation::OwnGil,
        }
    }
}

impl std::fmt::Debug for PoolOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("PoolOptions").field("workers", &self.workers).finish_non_exhaustive()
    }
}

impl PoolOptions {
    /// The default: an interpreter a core, and one to take another's place.
    pub fn new() -> PoolOptions {
        PoolOptions::default()
    }

    /// How many interpreters run tasks at the same time, 10,000 at most; 0: one a core.
    pub fn workers(self, workers: usize) -> PoolOptions {
        PoolOptions { workers, ..self }
    }

    /// How many tasks may wait; 0: 16 a worker. Beyond it, submitting waits.
    pub fn backlog(self, backlog: usize) -> PoolOptions {
        PoolOptions { backlog, ..self }
    }

    /// A task for which there is no room is refused, and does not wait.
    pub fn refuse(self, refuse: bool) -> PoolOptions {
        PoolOptions { refuse, ..self }
    }

    /// How many interpreters are ready to take the place of one that is replaced, 10,000 at most.
    pub fn spares(self, spares: usize) -> PoolOptions {
        PoolOptions { spares, ..self }
    }

    /// How its interpreters are created.
    pub fn interpreters(self, options: Options) -> PoolOptions {
        PoolOptions { interp: options, ..self }
    }

    /// Statements that run once in each of its interpreters.
    pub fn setup(self, code: impl Into<String>) -> PoolOptions {
        PoolOptions { setup: Some(code.into()), ..self }
    }

    /// Is called with each new interpreter, before its setup: to define functions in it, say. On a thread of the pool's,
    /// maybe for several at the same time.
    pub fn prepare(self, prepare: impl Fn(&Interpreter) + Send + Sync + 'static) -> PoolOptions {
        PoolOptions { prepare: Some(Box::new(move |interp| prepare(&Interpreter::from_handle(interp)))), ..self }
    }

    /// How many runs there are in one interpreter before it is replaced; 0: any number.
    pub fn runs_per_worker(self, runs: u64) -> PoolOptions {
        PoolOptions { runs_per_worker: runs, ..self }
    }

    /// Where its interpreters live. [`Isolation::Process`] is for those too whose options say nothing of
    /// [`process`](Options::process). With [`Isolation::Auto`] they live in this process until an extension module refuses
    /// to be imported like that, by the setup or by a task; from then on all have processes of their own
    /// ([`PoolStats::reason`]). A task that ended with that ImportError begins anew in a process: what it did before, it
    /// does twice.
    pub fn isolation(self, isolation: Isolation) -> PoolOptions {
        PoolOptions { isolation, ..self }
    }
}

/// Interpreters with a thread each, which run tasks from one queue. Python: `InterpreterPoolExecutor`.
///
/// Tasks begin in the order in which they were submitted. An interpreter is replaced when a run in it was interrupted, ran
/// out of memory or was given up, when its process has ended, and when it has done its share
/// ([`runs_per_worker`](PoolOptions::runs_per_worker)).
///
/// ```
/// # fn main() -> subpy::Result<()> {
/// use subpy::{Pool, PoolOptions};
///
/// let pool = Pool::with_options(PoolOptions::new().workers(2).setup("def double(n): return 2 * n"))?;
/// let outcome = pool.call::<i64>("double", (21,))?;
/// assert_eq!(outcome.join()?, 42);
/// let all: subpy::Result<Vec<i64>> = pool.map("double", (0..100).map(|n| (n,)))?.collect();
/// assert_eq!(all?[99], 198);
/// pool.close()
/// # }
/// ```
///
/// It is closed when it is dropped, if no task waits or runs; otherwise it stays until a [`shutdown`](crate::shutdown).
#[derive(Debug)]
pub struct Pool(u64);

impl Pool {
    /// Makes one with the default options, and waits until its interpreters are ready.
    ///
    /// # Errors
    /// As [`with_options`](Pool::with_options).
    pub fn new() -> Result<Pool> {
        Pool::with_options(PoolOptions::new())
    }

    /// Makes one, and waits until its interpreters are ready.
    ///
    /// # Errors
    /// Those of [`Interpreter::with_options`](crate::Interpreter::with_options), and those of the setup.
    pub fn with_options(options: PoolOptions) -> Result<Pool> {
        options.interp.check()?;
        let PoolOptions { workers, backlog, spares, refuse, interp, setup, prepare, runs_per_worker, isolation } =
            options;
        let options = manager::PoolOptions {
            workers,
            backlog,
            spares,
            refuse,
            interp,
            setup,
            prepare,
            runs_per_worker,
            isolation,
        };
        unless_forked(|| manager::pool_new(options)).map(Pool)
    }

    /// Tasks with limits and the like.
    pub fn with(&self, options: TaskOptions) -> Tasks<'_> {
        Tasks { pool: self, options }
    }

    /// Runs statements.
    ///
    /// # Errors
    /// [`Kind::Busy`](crate::Kind::Busy) when there is no room ([`PoolOptions::refuse`]), or the pool is closing;
    /// [`Kind::NotFound`](crate::Kind::NotFound) after a [`shutdown`](crate::shutdown). What becomes of the run is for
    /// the outcome to say.
    pub fn exec(&self, code: &str) -> Result<Outcome<()>> {
        self.with(TaskOptions::new()).exec(code)
    }

    /// Evaluates an expression.
    ///
    /// # Errors
    /// As [`exec`](Pool::exec).
    pub fn eval<T: FromValue>(&self, expression: &str) -> Result<Outcome<T>> {
        self.with(TaskOptions::new()).eval(expression)
    }

    /// Calls something by its name.
    ///
    /// # Errors
    /// As [`exec`](Pool::exec); [`Kind::InvalidArgument`](crate::Kind::InvalidArgument).
    pub fn call<T: FromValue>(&self, callable: &str, args: impl Args) -> Result<Outcome<T>> {
        self.with(TaskOptions::new()).call(callable, args)
    }

    /// Calls something once for each row of arguments, and gives the results in the order of the rows, as they come. Rows
    /// are asked for when there is something to do; a few tasks wait or run at the same time. What is left is cancelled
    /// when the iterator is dropped.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::Kind::NotFound) after a [`shutdown`](crate::shutdown). What else goes wrong is an item.
    pub fn map<T: FromValue, I: IntoIterator>(&self, callable: &str, rows: I) -> Result<PoolMap<I::IntoIter, T>>
    where
        I::Item: Args,
    {
        self.with(TaskOptions::new()).map(callable, rows)
    }

    /// What it has done, and has to do.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::Kind::NotFound) after a [`shutdown`](crate::shutdown).
    pub fn stats(&self) -> Result<PoolStats> {
        unless_forked(|| manager::pool_stats(self.0))
    }

    /// Closes it and its interpreters, if no task waits or runs.
    ///
    /// # Errors
    /// [`Kind::Busy`](crate::Kind::Busy); then it stays until a [`shutdown`](crate::shutdown).
    pub fn close(self) -> Result<()> {
        self.close_with(CloseOptions::new())
    }

    /// The same within a time, in which tasks may end, or are ended.
    ///
    /// # Errors
    /// [`Kind::Busy`](crate::Kind::Busy) names what is in the way; the pool goes on as before, but for what was cancelled
    /// or interrupted. [`Kind::Timeout`](crate::Kind::Timeout) when an interpreter has not ended in time. In both cases
    /// it can be closed again.
    pub fn close_with(&self, options: CloseOptions) -> Result<()> {
        unless_forked(|| manager::pool_close(self.0, options))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if !forked() {
            // Harmless after a close: handles are never used twice.
            let _ = manager::pool_close(self.0, CloseOptions::new());
        }
    }
}

/// How tasks are run: [`Pool::with`].
#[derive(Clone, Default)]
#[must_use]
pub struct TaskOptions {
    submitter: u64,
    limits: Option<Limits>,
    output: Option<OutputFor>,
    chunk: usize,
}

impl std::fmt::Debug for TaskOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("TaskOptions").field("submitter", &self.submitter).finish_non_exhaustive()
    }
}

impl TaskOptions {
    /// No limits.
    pub fn new() -> TaskOptions {
        TaskOptions::default()
    }

    /// Whose tasks they are: submitters, any numbers, take turns.
    pub fn submitter(self, submitter: u64) -> TaskOptions {
        TaskOptions { submitter, ..self }
    }

    /// A time, which begins when a run does, and what can stop it, also while it waits. In a map they are those of each
    /// row. With [`abandon`](Limits::abandon), which a map does not heed, the worker of a task that does not end is
    /// replaced.
    pub fn limits(self, limits: &Limits) -> TaskOptions {
        TaskOptions { limits: Some(limits.clone()), ..self }
    }

    /// Takes what is printed by a task, which it is called with at the same time as with others' ([`Interpreter`] says
    /// whose it is).
    pub fn output(self, output: impl Fn(&Interpreter, Stream, &str) + Send + Sync + 'static) -> TaskOptions {
        let output = Arc::new(output);
        let output_for = move |interp| {
            let output = Arc::clone(&output);
            let interp = Interpreter::from_handle(interp);
            Box::new(callback(move |stream, text: &str| output(&interp, stream, text))) as manager::Callback
        };
        TaskOptions { output: Some(Arc::new(output_for)), ..self }
    }

    /// How many rows of a map make a task: more cost less, and are less evenly spread. 0 is 1.
    pub fn chunk(self, rows: usize) -> TaskOptions {
        TaskOptions { chunk: rows, ..self }
    }
}

/// A pool, for tasks with limits and the like: [`Pool::with`].
#[derive(Debug)]
pub struct Tasks<'a> {
    pool: &'a Pool,
    options: TaskOptions,
}

impl Tasks<'_> {
    fn submit<T: FromValue>(&self, code: Code, want_result: bool) -> Result<Outcome<T>> {
        let options = &self.options;
        let how = Submit {
            submitter: options.submitter,
            want_result,
            results: T::ROOT,
            output: options.output.clone(),
            limits: options.limits.as_ref().map(Limits::to_manager),
            abandon: options.limits.as_ref().is_some_and(|limits| limits.abandon),
        };
        let handle = unless_forked(|| manager::pool_submit(self.pool.0, code, how))?;
        Ok(Outcome::new(handle))
    }

    /// As [`Pool::exec`].
    ///
    /// # Errors
    /// As there; [`Kind::Interrupted`](crate::Kind::Interrupted) when it is cancelled while it waits for room.
    pub fn exec(&self, code: &str) -> Result<Outcome<()>> {
        self.submit(Code::Exec { source: code, filename: None, keep_indent: false }, false)
    }

    /// As [`Pool::eval`].
    ///
    /// # Errors
    /// As [`exec`](Tasks::exec).
    pub fn eval<T: FromValue>(&self, expression: &str) -> Result<Outcome<T>> {
        self.submit(Code::Eval { expression, filename: None }, true)
    }

    /// As [`Pool::call`].
    ///
    /// # Errors
    /// As [`exec`](Tasks::exec), and as there.
    pub fn call<T: FromValue>(&self, callable: &str, args: impl Args) -> Result<Outcome<T>> {
        self.call_kw(callable, args, NO_KWARGS)
    }

    /// The same with keyword arguments.
    ///
    /// # Errors
    /// As [`call`](Tasks::call).
    pub fn call_kw<T: FromValue>(
        &self,
        callable: &str,
        args: impl Args,
        kwargs: impl IntoIterator<Item = (impl Into<String>, impl Arg)>,
    ) -> Result<Outcome<T>> {
        let call = Call::new(args, kwargs)?;
        self.submit(Code::Call { callable, args: call.args()? }, true)
    }

    /// As [`Pool::map`].
    ///
    /// # Errors
    /// As there.
    pub fn map<T: FromValue, I: IntoIterator>(&self, callable: &str, rows: I) -> Result<PoolMap<I::IntoIter, T>>
    where
        I::Item: Args,
    {
        let options = &self.options;
        no_nul(callable.as_bytes(), "callable")?;
        let how = MapOptions {
            want_results: true,
            results: T::ROOT,
            output: options.output.clone(),
            limits: options.limits.as_ref().map(Limits::to_manager),
        };
        let map = unless_forked(|| manager::Map::new(self.pool.0, callable, how))?;
        Ok(PoolMap::new(map, rows.into_iter(), options.chunk.max(1)))
    }
}
