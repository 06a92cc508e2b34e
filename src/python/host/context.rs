//! The calls of host functions that are running: each has a place here as long as it does. What a host gets is a number
//! that stands for the place and the call, and not a pointer: it may keep it longer than it should.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use super::super::lock;
use super::super::stack::{Stack, stack_of};
use super::super::thread_end::AtThreadEnd;
use super::super::types::PyThreadState;
use super::HostFunction;
use crate::value::OwnedValue;

/// One call, as its host knows it. Every number will do: one that is no call is over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Context(pub usize);

/// The call is over.
#[derive(Debug)]
pub struct Over;

/// What an exception is made of.
pub struct Raise {
    /// `ValueError` or `module:Type`
    pub kind: String,
    pub message: String,
}

/// All that a host says of its call but for a plain return.
#[derive(Default)]
pub struct Told {
    /// Of which call this is.
    generation: usize,
    returned: Option<OwnedValue>,
    pub raise: Option<Raise>,
    pub notes: Vec<String>,
    pub tag: u64,
}

/// What became of a call.
pub enum Outcome {
    Returned(OwnedValue),
    Raised(Box<Told>),
}

/// A place. It belongs to one thread, whose calls are in one another.
pub struct Call {
    index: usize,
    /// Odd while a call is running here; each has its own.
    generation: AtomicUsize,
    /// The number of its thread.
    thread: AtomicU64,
    /// Whose call it is (`HostFunction::owner`).
    owner: AtomicU64,
    /// The function, while it is running.
    function: AtomicPtr<HostFunction>,
    /// What the thread that it is on has said. And where on the stack it is, its state, and its interpreter's number.
    returned: Cell<OwnedValue>,
    state: Cell<*mut PyThreadState>,
    number: Cell<u64>,
    address: Cell<usize>,
    outer: Cell<Option<&'static Call>>,
    inner: Cell<Option<&'static Call>>,
    /// All else. The generation is that of `told`, once something is in there.
    told_of: AtomicUsize,
    told: Mutex<Told>,
}

// SAFETY: the cells are used by the thread alone that the place belongs to.
unsafe impl Sync for Call {}

/// How many calls there can be at a time, and how many places are made at once.
const INDEX_BITS: u32 = if usize::BITS == 64 { 20 } else { 12 };
const CHUNK: usize = 64;
const CHUNKS: usize = (1 << INDEX_BITS) / CHUNK;

/// All places, which are never freed.
static PLACES: [AtomicPtr<Call>; CHUNKS] = [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS];

/// Those that no thread has, and how many chunks there are.
static FREE: Mutex<(Vec<&'static Call>, usize)> = Mutex::new((Vec::new(), 0));

static THREADS: AtomicU64 = AtomicU64::new(0);

/// The calls of one thread.
struct Calls {
    /// Its number; 0 before it is asked for.
    thread: Cell<u64>,
    /// The innermost.
    running: Cell<Option<&'static Call>>,
    /// The place of the next one.
    next: Cell<Option<&'static Call>>,
    /// The first place that the thread has.
    first: Cell<Option<&'static Call>>,
}

thread_local! {
    /// Without a destructor, so that it is there until the very end of the thread.
    static CALLS: ManuallyDrop<Calls> = const {
        ManuallyDrop::new(Calls {
            thread: Cell::new(0),
            running: Cell::new(None),
            next: Cell::new(None),
            first: Cell::new(None),
        })
    };
}

/// The number of this thread: the first has 1, and none is used twice.
pub fn this_thread() -> u64 {
    CALLS.with(|calls| {
        if calls.thread.get() == 0 {
            calls.thread.set(THREADS.fetch_add(1, Ordering::Relaxed) + 1);
        }
        calls.thread.get()
    })
}

/// For the state of Python code that has called a host function on this thread: the number of its interpreter, and the
/// stack that the code is on.
pub fn calling(state: *mut PyThreadState) -> Option<(u64, Stack)> {
    let call = CALLS.with(|calls| calls.running.get()).filter(|call| call.state.get() == state)?;
    Some((call.number.get(), stack_of(call.address.get())))
}

/// Begins a call on this thread, attached. None: no memory, or too many calls.
#[inline(always)]
pub fn begin(function: &HostFunction) -> Option<&'static Call> {
    CALLS.with(|calls| {
        let call = match calls.next.get() {
            Some(call) => call,
            None => calls.new_place()?,
        };
        calls.running.set(Some(call));
        calls.next.set(call.inner.get());
        let marker = 0u8;
        call.address.set(ptr::from_ref(&marker).addr());
        call.state.set(ptr::null_mut());
        call.number.set(function.number());
        call.owner.store(function.owner, Ordering::Relaxed);
        call.function.store(ptr::from_ref(function).cast_mut(), Ordering::Release);
        call.generation.store(call.generation.load(Ordering::Relaxed) + 1, Ordering::Release);
        Some(call)
    })
}

impl Call {
    pub fn context(&self) -> Context {
        Context(self.generation.load(Ordering::Relaxed) << INDEX_BITS | self.index)
    }

    /// The state that the thread has stepped out of for it.
    #[inline]
    pub fn detached(&self, state: *mut PyThreadState) {
        self.state.set(state);
    }

    /// Ends it, on its thread. From now on the function may be finalized.
    #[inline(always)]
    pub fn end(&'static self) -> Outcome {
        CALLS.with(|calls| {
            let generation = self.generation.load(Ordering::Relaxed);
            self.generation.store(generation + 1, Ordering::Release);
            let returned = self.returned.replace(OwnedValue::none());
            calls.running.set(self.outer.get());
            calls.next.set(Some(self));
            let outcome = match self.told_of.load(Ordering::Acquire) == generation {
                false => Outcome::Returned(returned),
                true => self.told(generation, returned),
            };
            self.function.store(ptr::null_mut(), Ordering::Release);
            outcome
        })
    }

    #[cold]
    fn told(&self, generation: usize, returned: OwnedValue) -> Outcome {
        let told = std::mem::take(&mut *lock(&self.told));
        match told {
            told if told.generation != generation => Outcome::Returned(returned),
            told if told.raise.is_some() => Outcome::Raised(Box::new(told)),
            told => Outcome::Returned(told.returned.unwrap_or(returned)),
        }
    }

    /// Whether the function is running here.
    pub fn runs(&self, function: &HostFunction) -> bool {
        ptr::eq(self.function.load(Ordering::Acquire), function)
    }
}

/// The place with this index.
#[inline]
fn find(index: usize) -> Option<&'static Call> {
    let chunk = PLACES[index / CHUNK].load(Ordering::Acquire);
    // SAFETY: a chunk has so many places, and is never freed.
    (!chunk.is_null()).then(|| unsafe { &*chunk.add(index % CHUNK) })
}

/// All places that there are.
pub fn all() -> impl Iterator<Item = &'static Call> {
    let chunks = PLACES.iter().map_while(|chunk| {
        let chunk = chunk.load(Ordering::Acquire);
        // SAFETY: as in `find`.
        (!chunk.is_null()).then(|| unsafe { std::slice::from_raw_parts(chunk.cast_const(), CHUNK) })
    });
    chunks.flatten()
}

impl Calls {
    #[cold]
    #[inline(never)]
    fn new_place(&self) -> Option<&'static Call> {
        static END: AtThreadEnd = AtThreadEnd::new(thread_ends);
        END.watch();
        let call = free_place()?;
        call.thread.store(this_thread(), Ordering::Relaxed);
        call.outer.set(self.running.get());
        match self.running.get() {
            Some(outer) => outer.inner.set(Some(call)),
            None => self.first.set(Some(call)),
        }
        Some(call)
    }
}

fn free_place() -> Option<&'static Call> {
    let mut free = lock(&FREE);
    let (places, chunks) = &mut *free;
    if places.is_empty() {
        if *chunks == CHUNKS {
            return None;
        }
        let mut chunk = Vec::new();
        chunk.try_reserve_exact(CHUNK).ok()?;
        // There is room for all that there are: so giving one back needs no memory.
        places.try_reserve((*chunks + 1) * CHUNK).ok()?;
        chunk.extend((0..CHUNK).map(|index| Call::new(*chunks * CHUNK + index)));
        let chunk = chunk.leak();
        PLACES[*chunks].store(chunk.as_mut_ptr(), Ordering::Release);
        *chunks += 1;
        places.extend(chunk.iter());
    }
    places.pop()
}

impl Call {
    fn new(index: usize) -> Call {
        Call {
            index,
            generation: AtomicUsize::new(0),
            thread: AtomicU64::new(0),
            owner: AtomicU64::new(0),
            function: AtomicPtr::new(ptr::null_mut()),
            returned: Cell::new(OwnedValue::none()),
            state: Cell::new(ptr::null_mut()),
            number: Cell::new(0),
            address: Cell::new(0),
            outer: Cell::new(None),
            inner: Cell::new(None),
            told_of: AtomicUsize::new(0),
            told: Mutex::default(),
        }
    }
}

/// Gives the places back. A thread that ends within a call keeps them: the call never ends.
fn thread_ends() {
    CALLS.with(|calls| {
        if calls.running.get().is_some() {
            return;
        }
        calls.next.set(None);
        let mut place = calls.first.take();
        let mut free = lock(&FREE);
        while let Some(call) = place {
            call.thread.store(0, Ordering::Relaxed);
            call.outer.set(None);
            place = call.inner.take();
            free.0.push(call);
        }
    });
}

// ---- what a host says of its call ----

impl Context {
    /// The call, if it is running.
    fn call(self) -> Result<&'static Call, Over> {
        let call = find(self.0 & ((1 << INDEX_BITS) - 1)).ok_or(Over)?;
        let generation = self.0 >> INDEX_BITS;
        // The bits that a context has no room for.
        let running = call.generation.load(Ordering::Acquire) << INDEX_BITS >> INDEX_BITS;
        if generation % 2 == 1 && running == generation { Ok(call) } else { Err(Over) }
    }

    /// Whose function it is.
    pub fn owner(self) -> Result<u64, Over> {
        Ok(self.call()?.owner.load(Ordering::Relaxed))
    }

    /// Whether it is a call of this thread.
    pub fn is_here(self) -> Result<bool, Over> {
        Ok(self.call()?.thread.load(Ordering::Relaxed) == this_thread())
    }

    /// It is to return this. The last one counts, and none after a `raise`.
    #[inline]
    pub fn returns(self, value: OwnedValue) -> Result<(), Over> {
        let call = self.call()?;
        let here = CALLS.with(|calls| calls.thread.get()) == call.thread.load(Ordering::Relaxed);
        if here && call.told_of.load(Ordering::Relaxed) != call.generation.load(Ordering::Relaxed) {
            drop(call.returned.replace(value));
            return Ok(());
        }
        self.tell(|told| drop(told.returned.replace(value)))
    }

    /// It is to raise this. The last one counts.
    pub fn raises(self, raise: Raise) -> Result<(), Over> {
        self.tell(|told| told.raise = Some(raise))
    }

    /// The exception is to have this note. False: no memory.
    pub fn note(self, text: String) -> Result<bool, Over> {
        let mut noted = false;
        self.tell(|told| {
            noted = told.notes.try_reserve(1).is_ok();
            if noted {
                told.notes.push(text);
            }
        })?;
        Ok(noted)
    }

    /// The exception is to have this number.
    pub fn tag(self, tag: u64) -> Result<(), Over> {
        self.tell(|told| told.tag = tag)
    }

    fn tell(self, tell: impl FnOnce(&mut Told)) -> Result<(), Over> {
        let call = self.call()?;
        let mut told = lock(&call.told);
        // Whoever had the lock before has seen the call's end, if this comes too late.
        let generation = self.call()?.generation.load(Ordering::Relaxed);
        if told.generation != generation {
            *told = Told { generation, ..Told::default() };
        }
        tell(&mut told);
        call.told_of.store(generation, Ordering::Release);
        Ok(())
    }
}
