//! One CPython interpreter: created, set up, entered, ended.

use std::mem::ManuallyDrop;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::api::long;
use super::attach::{Entry, Outside, Pinned};
use super::guest::{Config, Main, configure_guest, main, set_up_guest, set_up_host};
use super::hooks::{self, Host};
use super::host::{Ending, Hosts};
use super::interrupt::{Interrupts, Reason, Run, Which};
use super::kept::KeptObjects;
use super::names::Names;
use super::object::{Obj, Py, PyResult};
use super::output::{Output, Printing};
use super::own::Own;
use super::queue::{Queues, add_finder};
use super::sources::Sources;
use super::stack::{Stack, this_stack};
use super::types::{PyInterpreterConfig, PyInterpreterState};
use super::{Count, Failure, api, tracing};
use active::Active;
use counting::Counted;
mod active;
mod counting;
mod marks;

/// What a run finds in its interpreter.
pub struct Scope<'py> {
    /// `__main__.__dict__`
    pub main: ManuallyDrop<Obj<'py>>,
    interp: &'py Interp,
    pub run: &'py Run,
}

impl<'py> Scope<'py> {
    #[inline(always)]
    pub fn names(&self) -> &'py Names {
        &self.interp.own.names
    }

    #[inline(always)]
    pub fn kept(&self) -> &'py KeptObjects {
        &self.interp.own.kept
    }

    #[inline(always)]
    pub fn own(&self) -> &'py Arc<Own> {
        &self.interp.own
    }

    pub fn sources(&self) -> &'py Arc<Sources> {
        &self.interp.sources
    }

    pub fn interrupts(&self) -> &'py Arc<Interrupts> {
        &self.interp.interrupts
    }

    /// Why the run is to end, if it is.
    pub fn why(&self) -> Option<Reason> {
        self.interp.interrupts.why(self.run)
    }

    /// The exception that is set, as the end of the run.
    #[cold]
    pub fn failure(&self, py: Py) -> Failure {
        let _explaining = self.interp.account.as_ref().map(Counted::explains);
        self.run.failure(py, self.why())
    }
}

/// An interpreter of CPython's. Whoever holds it makes sure that nobody is in it when it ends.
pub struct Interp {
    state: *mut PyInterpreterState,
    pub id: i64,
    /// Counts the interpreters of this process: neither an id nor an address is of one alone.
    pub number: u64,
    /// Where CPython says that it came from.
    pub whence: i64,
    main: Main,
    /// None: a host's main, whose streams are left alone.
    pub output: Option<Output>,
    pub own: Arc<Own>,
    sources: Arc<Sources>,
    pub hosts: Arc<Hosts>,
    queues: Arc<Queues>,
    /// Runs that are attached. The first of them marks the interpreter as running, the last unmarks it.
    pub(super) interrupts: Arc<Interrupts>,
    /// States that threads keep; they mark it too. Counted with the GIL.
    pins: Count,
    /// None: its memory is not counted.
    account: Option<Counted>,
}

// SAFETY: the pointers are used only by threads that have entered the interpreter, thus hold its GIL, or are handed to
// PyThreadState_New, which locks for itself.
unsafe impl Send for Interp {}
// SAFETY: as above.
unsafe impl Sync for Interp {}

impl Interp {
    /// # Safety
    /// The interpreter must be alive.
    unsafe fn new(state: *mut PyInterpreterState, id: i64) -> Interp {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let main = Main { module: ptr::null_mut(), dict: ptr::null_mut() };
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed) + 1;
        let (own, interrupts) = (Arc::<Own>::default(), Arc::default());
        // SAFETY: alive, as promised; reads one field.
        let whence = api()._PyInterpreterState_GetWhence.map_or(0, |whence| long(unsafe { whence(state) }));
        Interp {
            state,
            id,
            number,
            whence,
            main,
            output: None,
            sources: Arc::default(),
            hosts: Hosts::new(number, &own),
            queues: Queues::new(&interrupts, &own, id == 0),
            own,
            interrupts,
            pins: Count::default(),
            account: None,
        }
    }

    /// Creates an interpreter, on any thread, outside of Python code.
    pub fn create(config: &Config, count_memory: bool) -> Result<Interp, Failure> {
        let api = api();
        let ours = PyInterpreterConfig {
            use_main_obmalloc: i32::from(config.shared_gil),
            allow_fork: i32::from(config.allow_fork),
            allow_exec: i32::from(config.allow_exec),
            allow_threads: i32::from(!config.no_threads),
            allow_daemon_threads: i32::from(config.allow_daemon_threads),
            check_multi_interp_extensions: i32::from(!config.no_extension_check),
            gil: if config.shared_gil {
                super::types::PyInterpreterConfig_SHARED_GIL
            } else {
                super::types::PyInterpreterConfig_OWN_GIL
            },
        };
        let account = count_memory.then(Counted::open).transpose()?;
        hooks::creating(|| {
            if tracing::is_on() {
                return Err(Failure::Traced);
            }
            let creating = account.as_ref().map(Counted::creating);
            // SAFETY: with nothing attached CPython copies main's configuration. The first state is cleared and deleted
            // on this thread; what was attached before is attached again.
            let (state, id) = unsafe {
                let previous = (api.PyThreadState_Swap)(ptr::null_mut());
                let mut first = ptr::null_mut();
                let status = (api.Py_NewInterpreterFromConfig)(&mut first, &ours);
                if first.is_null() {
                    (api.PyThreadState_Swap)(previous);
                    let reason = if status.err_msg.is_null() {
                        "interpreter creation failed".into()
                    } else {
                        std::ffi::CStr::from_ptr(status.err_msg).to_string_lossy().into_owned()
                    };
                    return Err(Failure::NotCreated(reason));
                }
                let state = (api.PyThreadState_GetInterpreter)(first);
                let id = (api.PyInterpreterState_GetID)(state);
                (api.PyErr_Clear)();
                (api.PyThreadState_Clear)(first);
                (api.PyThreadState_Swap)(previous);
                (api.PyThreadState_Delete)(first);
                // The interpreter's struct holds room for one state, which dies with it. A Python thread that had it
                // when the interpreter ends would use freed memory when it wakes up. So that one is taken, for good.
                // PyGILState_* find it on this thread now: the entry of `set_up` puts that right.
                (api.PyThreadState_New)(state);
                (state, id)
            };
            hooks::created(id);
            // SAFETY: the interpreter is alive, since nobody knows of it yet.
            let mut interp = unsafe { Interp::new(state, id) };
            let counts = account.as_ref().is_none_or(|account| account.is_of(&interp));
            interp.account = account;
            drop(creating);
            if !counts {
                interp.end();
                return Err(Failure::NoMemory);
            }
            let entry = interp.enter()?;
            let ready = interp.set_up(entry, config);
            if let Err(failure) = ready {
                interp.end();
                return Err(failure);
            }
            Ok(interp)
        })
    }

    /// The main interpreter, which is there already. When a host started it, its streams are left alone, and its end is
    /// watched.
    pub fn main(host: Option<Host>) -> Result<Interp, Failure> {
        // SAFETY: CPython is initialised, so main is alive.
        let mut interp = unsafe { Interp::new((api().PyInterpreterState_Main)(), 0) };
        if let Some(host) = host {
            // The host's own Python may be what calls, and had no chance to step out before CPython was found.
            let _outside = Outside::step_out(api());
            let entry = interp.enter()?;
            let py = entry.py();
            let ready = (|| {
                hooks::watch_host(py, host)?;
                add_finder(py, &interp.queues)?;
                set_up_host(py)?;
                main(py)
            })();
            interp.main = ready.map_err(|_| Failure::exception(py))?;
            drop(entry);
        } else {
            let entry = interp.enter()?;
            interp.set_up(entry, &Config::default())?;
        }
        Ok(interp)
    }

    fn set_up(&mut self, entry: Entry, config: &Config) -> Result<(), Failure> {
        let py = entry.py();
        if config.tagged_values {
            self.own.give_tags();
        }
        let output = Output::new(config.unbuffered, Arc::clone(&self.interrupts));
        let result = (|| {
            set_up_guest(py, &output, &self.queues, config, self.id)?;
            if self.id != 0 {
                hooks::register_at_exit(py, self.id)?;
            }

            main(py)
        })();
        self.main = result.map_err(|_| Failure::exception(py))?;
        drop(entry);
        self.output = Some(output);
        Ok(())
    }

    /// Sets up one that has begun without this. Attached to it.
    pub fn configure(&self, py: Py, config: &Config) -> PyResult<()> {
        if config.tagged_values {
            self.own.give_tags();
        }
        if config.unbuffered
            && let Some(output) = &self.output
        {
            output.is_unbuffered();
        }
        configure_guest(py, config)
    }

    fn enter(&self) -> Result<Entry<'static>, Failure> {
        self.enter_on(this_stack())
    }

    #[inline]
    pub(super) fn enter_on(&self, stack: Stack) -> Result<Entry<'static>, Failure> {
        // SAFETY: alive until `end` takes it.
        match unsafe { Entry::new(api(), self.state, stack) } {
            Some(entry) => Ok(entry),
            None => Err(Failure::NoMemory),
        }
    }

    /// A thread state for this thread to keep. As long as it does the interpreter is marked as running, so that a guest
    /// cannot destroy it: the state would be gone, and PyGILState_* would still find it on this thread.
    pub fn pin(&self, stack: Stack) -> Result<Rc<Pinned>, Failure> {
        // SAFETY: alive until `end` takes it.
        let pinned = unsafe { Pinned::new(api(), self.state, stack) }.ok_or_else(Failure::no_memory)?;
        let entry = pinned.enter(stack);
        let marked = self.is_marked() || self.mark(entry.py());
        if marked {
            self.pins.up();
        }
        drop(entry);
        if !marked {
            drop(pinned.last_entry(stack));
            return Err(Failure::Running);
        }
        Ok(pinned)
    }

    /// The end of what `pin` began, on the same thread.
    pub fn unpin(&self, pinned: &Pinned, stack: Stack) {
        let entry = pinned.last_entry(stack);
        self.own.loops.session_ends(entry.state());
        self.pins.down();
        if !self.is_marked() {
            self.unmark();
        }
        drop(entry);
    }

    /// A thread state for the next entry of this thread. None: there is no memory.
    pub fn ahead(&self, stack: Stack) -> Option<Rc<Pinned>> {
        // SAFETY: alive until `end` takes it.
        unsafe { Pinned::ahead(api(), self.state, stack) }
    }

    /// Whether the thread comes from Python code of this interpreter.
    pub fn is_left(&self, outside: &Outside) -> bool {
        outside.comes_from(self.state, self.number)
    }

    /// With the state of the Python code in it that the thread comes from, if any; or as any other thread.
    #[cold]
    #[inline(never)]
    fn enter_from<'a>(
        &self,
        outside: &Outside,
        pinned: Option<&'a Pinned>,
        stack: Stack,
    ) -> Result<Entry<'a>, Failure> {
        outside.enters();
        // SAFETY: alive until `end` takes it.
        match (unsafe { outside.come_back(pinned, stack) }, pinned) {
            (Some(entry), _) => Ok(entry),
            (None, Some(pinned)) => Ok(pinned.enter(stack)),
            (None, None) => self.enter_on(stack),
        }
    }

    /// Enters for one run, which `is_running()` in a guest sees, and flushes what it printed at its end. With the state
    /// of the Python code in it that has called, if any; or with the one that this thread keeps, if it does.
    #[inline(always)]
    pub fn run<R>(
        &self,
        outside: Option<&Outside>,
        pinned: Option<&Pinned>,
        stack: Stack,
        act: impl FnOnce(Py, &Scope) -> Result<R, Box<Failure>>,
    ) -> Result<R, Box<Failure>> {
        let entry = match (outside, pinned) {
            (None, Some(pinned)) => pinned.enter(stack),
            (None, None) => self.enter_on(stack)?,
            (Some(outside), _) => self.enter_from(outside, pinned, stack)?,
        };
        let py = entry.py();
        let run = Run::new(entry.state());
        let active = Active::begin(self, py, &run).ok_or_else(Failure::running)?;
        self.own.give_back_dropped(py);
        let printing = self.output.as_ref().map(Printing::new);
        // SAFETY: the module keeps it until the end of the interpreter; so this reference is not counted.
        let main = unsafe { py.owned(self.main.dict) }.map(ManuallyDrop::new).map_err(|_| Failure::NoMemory)?;
        let scope = Scope { main, interp: self, run: &run };
        let mut result = act(py, &scope);
        // First the end, then the flush: what a thread prints in between goes out by itself.
        drop(printing);
        if let Some(output) = &self.output
            && output.flush(py).is_err()
        {
            // A run that failed for another reason keeps that one.
            let unwritten = scope.failure(py);
            result = result.and(Err(unwritten.into()));
        }
        active.end();
        if result.is_ok() {
            entry.leave();
        }
        result
    }

    /// Has KeyboardInterrupt raised in these runs, from any thread, at any time. False when this CPython has no way to.
    pub fn interrupt(&self, which: Which, reason: Reason) -> bool {
        self.interrupts.interrupt(self.state, which, reason)
    }

    /// Whether there may be runs that were interrupted and have not ended.
    pub fn is_interrupting(&self) -> bool {
        self.interrupts.is_interrupting()
    }

    /// Nothing can be interrupted any more: it ends, or has ended.
    pub fn close_interrupts(&self) {
        self.interrupts.close();
    }

    /// Finalizes and frees the interpreter. Nobody may be in it, or enter it from now on.
    pub fn end(&self) {
        self.close_interrupts();
        self.end_now(false);
    }

    /// The same, and what runs meanwhile can be interrupted, until `hooks` is told that the interpreter is cleared.
    pub fn end_interruptibly(&self) {
        if !hooks::is_hooked() {
            self.close_interrupts();
        }
        self.end_now(hooks::is_hooked());
    }

    fn end_now(&self, interruptibly: bool) {
        // What is left to do is not refused memory.
        self.lift_limit();
        // Without memory for a state the interpreter stays, unused.
        let Ok(entry) = self.enter() else { return };
        let _ending = Ending::begins();
        // While it ends no guest can destroy it as well. One that has looked already is not held back: CPython looks
        // without a lock.
        self.mark(entry.py());
        let run = Run::new(entry.state());
        // Never taken out: the list is not used any more when the interpreter is freed.
        self.interrupts.link(&run);
        self.own.loops.end(entry.py(), &self.own, Some((&run, &self.interrupts)));
        self.interrupts.told_enough();
        // Loops may start threads to end, so what is late is told so from now on.
        if interruptibly {
            self.interrupts.ends();
        }
        // SAFETY: attached; the reference that `set_up` took is given back once. Nobody else is in it (the caller's
        // promise), so it can end.
        unsafe {
            self.give_back_all(entry.py());
            (entry.py().api.Py_DecRef)(self.main.module);
            entry.end_interpreter();
        }
        self.interrupts.ended();
        self.ended();
    }

    fn give_back_all(&self, py: Py) {
        self.own.give_back_all(py);
        self.sources.give_back_all(py);
        self.hosts.give_back_all(py);
        self.queues.give_back_all(py);
    }

    /// Host functions of a Python that goes on without the library refuse to be called.
    pub fn retire(&self) {
        if let Ok(_entry) = self.enter() {
            self.hosts.retire();
        }
    }

    /// Nothing of it can print or call the host any more: what is left is passed on, and the host's functions let go.
    /// Detached.
    pub fn ended(&self) {
        self.counts_no_more();
        self.hosts.end();
        self.own.buffers.end();
        self.queues.end();
        if let Some(output) = &self.output {
            output.close();
        }
    }

    /// Gives the references to its objects back, for an interpreter that somebody else ends.
    pub fn release(&self) {
        self.close_interrupts();
        self.lift_limit();
        if let Ok(entry) = self.enter() {
            self.own.loops.end(entry.py(), &self.own, None);
            self.give_back_all(entry.py());
            // SAFETY: as in `end`.
            unsafe { (entry.py().api.Py_DecRef)(self.main.module) }
        }
    }
}
