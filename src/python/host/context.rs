//! The calls of host functions that are running: each has a place as long as it does. What a host gets is a number that
//! stands for the place and the call, and no pointer: it may keep it longer than it should.

use std::cell::{Cell, UnsafeCell};
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use super::super::lock;
use super::super::stack::{Stack, room_for_host, stack_of};
use super::super::types::PyThreadState;
use super::{HostCode, HostFunction};
use crate::platform::this_thread;
#[cfg(feature = "capi")]
use crate::value::subpy_value;
use crate::value::{Args, OwnedValue};

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
    context: usize,
    returned: Option<OwnedValue>,
    pub raise: Option<Raise>,
    pub notes: Vec<String>,
    pub tag: u64,
}

/// A place. It is of one interpreter's, which has it on a list while no call is there. Threads do not share a cache line.
#[repr(align(64))]
pub struct Place {
    /// The number of the call, which begins with that of the place; 0: none.
    context: AtomicUsize,
    /// The thread that the call is on, and the part of its stack in which the host can be called: it is on the same one
    /// next time, in most cases.
    thread: AtomicUsize,
    room: Cell<(usize, usize)>,
    /// Whose call it is (`HostFunction::owner`).
    owner: AtomicU64,
    /// The function, while it is running.
    function: AtomicPtr<HostFunction>,
    /// What this thread has said that it returns.
    returned: UnsafeCell<OwnedValue>,
    /// The state that it has stepped out of, and where on the stack it is.
    state: AtomicPtr<PyThreadState>,
    address: AtomicUsize,
    /// All else that was said. The number is that of the call, once something was.
    told_of: AtomicUsize,
    told: Mutex<Told>,
    /// The number of the next call. With the GIL.
    next_context: Cell<usize>,
    /// The next one on the list. With the GIL.
    next: Cell<Option<&'static Place>>,
}

// SAFETY: `returned` is used by the thread of the call alone, and the other cells with the GIL of the interpreter that
// has the place.
unsafe impl Sync for Place {}

/// How many calls there can be at a time, and how many places are made at once.
const INDEX_BITS: u32 = if usize::BITS == 64 { 20 } else { 12 };
const INDEX: usize = (1 << INDEX_BITS) - 1;
const CHUNK: usize = 16;
const CHUNKS: usize = (INDEX + 1) / CHUNK;

/// All places, which are never freed.
static PLACES: [AtomicPtr<Place>; CHUNKS] = [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS];

/// Those that no interpreter has, and how many chunks there are.
static FREE: Mutex<(Vec<&'static Place>, usize)> = Mutex::new((Vec::new(), 0));

/// The places of one interpreter in which no call is. Used with its GIL, or when it has ended.
#[derive(Default)]
pub struct Places(Cell<Option<&'static Place>>);

// SAFETY: as it says.
unsafe impl Sync for Places {}
// SAFETY: a place may be used by any thread.
unsafe impl Send for Places {}

/// Why a call cannot begin.
pub enum NoPlace {
    /// There is none left, or no memory for more.
    Memory,
    /// There is too little stack.
    Stack,
}

impl Places {
    /// Begins a call on this thread, attached, with an address on the stack that it is on.
    #[inline(always)]
    pub fn begin(&self, function: &HostFunction, address: usize) -> Result<(&'static Place, Context), NoPlace> {
        let place = match self.0.get() {
            Some(place) => {
                self.0.set(place.next.get());
                place
            }
            None => new_place().ok_or(NoPlace::Memory)?,
        };
        let (begin, size) = place.room.get();
        if place.thread.load(Ordering::Relaxed) != this_thread() || address.wrapping_sub(begin) >= size {
            self.moves(place, address)?;
        }
        place.address.store(address, Ordering::Relaxed);
        place.owner.store(function.owner, Ordering::Relaxed);
        place.function.store(ptr::from_ref(function).cast_mut(), Ordering::Release);
        let context = place.next_context.get();
        place.next_context.set(context.wrapping_add(INDEX + 1));
        place.context.store(context, Ordering::Release);
        Ok((place, Context(context)))
    }

    /// The call is on another thread than the last one that was there, or on another part of the stack.
    #[cold]
    fn moves(&self, place: &'static Place, address: usize) -> Result<(), NoPlace> {
        let Some(room) = room_for_host(address) else {
            self.put_back(place);
            return Err(NoPlace::Stack);
        };
        place.room.set(room);
        place.thread.store(this_thread(), Ordering::Relaxed);
        Ok(())
    }

    /// The call has ended, and nobody needs what it has returned any more. Attached.
    #[inline(always)]
    pub fn put_back(&self, place: &'static Place) {
        place.next.set(self.0.get());
        self.0.set(Some(place));
    }

    /// The interpreter has ended.
    pub fn end(&self) {
        let mut free = lock(&FREE);
        let mut first = self.0.take();
        while let Some(place) = first {
            first = place.next.take();
            // There is room for all (`new_place`).
            free.0.push(place);
        }
    }
}

#[cold]
#[inline(never)]
fn new_place() -> Option<&'static Place> {
    let mut free = lock(&FREE);
    let (places, chunks) = &mut *free;
    if places.is_empty() {
        if *chunks == CHUNKS {
            return None;
        }
        let mut chunk = Vec::new();
        chunk.try_reserve_exact(CHUNK).ok()?;
        places.try_reserve((*chunks + 1) * CHUNK).ok()?;
        chunk.extend((0..CHUNK).map(|index| Place::new(*chunks * CHUNK + index)));
        let chunk: &'static [Place] = chunk.leak();
        PLACES[*chunks].store(chunk.as_ptr().cast_mut(), Ordering::Release);
        *chunks += 1;
        places.extend(chunk.iter().rev());
    }
    places.pop()
}

impl Place {
    fn new(index: usize) -> Place {
        Place {
            context: AtomicUsize::new(0),
            thread: AtomicUsize::new(0),
            room: Cell::new((0, 0)),
            owner: AtomicU64::new(0),
            function: AtomicPtr::new(ptr::null_mut()),
            returned: UnsafeCell::new(OwnedValue::none()),
            state: AtomicPtr::new(ptr::null_mut()),
            address: AtomicUsize::new(0),
            told_of: AtomicUsize::new(0),
            told: Mutex::default(),
            next_context: Cell::new(INDEX + 1 + index),
            next: Cell::new(None),
        }
    }

    /// The state that the thread has stepped out of for the call.
    #[inline(always)]
    pub fn detached(&self, state: *mut PyThreadState) {
        self.state.store(state, Ordering::Relaxed);
    }

    /// Ends the call, on its thread: what was said, but for a plain return. From now on the function may be finalized.
    #[inline(always)]
    pub fn end(&self, Context(context): Context) -> Option<Box<Told>> {
        self.context.store(0, Ordering::Release);
        self.state.store(ptr::null_mut(), Ordering::Relaxed);
        let told = if self.told_of.load(Ordering::Acquire) == context { self.take_told(context) } else { None };
        self.function.store(ptr::null_mut(), Ordering::Release);
        told
    }

    #[cold]
    fn take_told(&self, context: usize) -> Option<Box<Told>> {
        let mut told = std::mem::take(&mut *lock(&self.told));
        if told.context != context {
            return None;
        }
        if let Some(returned) = told.returned.take() {
            // SAFETY: the call's own thread, as in `take_int`.
            unsafe { *self.returned.get() = returned }
        }
        told.raise.is_some().then(|| Box::new(told))
    }

    /// What was returned, when it is an int, without moving the whole value: to read at once what was just written in
    /// pieces takes a processor longer than all the rest (`subpy_value::in_one_piece`). On the thread of the call, which
    /// has ended; before `put_back`.
    #[inline(always)]
    pub fn take_int(&self) -> Option<i64> {
        // SAFETY: only the call's own thread uses it, while the call is running, or here.
        unsafe { (*self.returned.get()).take_int() }
    }

    /// The same for whatever was returned.
    pub fn take(&self) -> OwnedValue {
        // SAFETY: as above.
        unsafe { std::mem::replace(&mut *self.returned.get(), OwnedValue::none()) }
    }

    /// Whether the function is running here.
    pub fn runs(&self, function: &HostFunction) -> bool {
        ptr::eq(self.function.load(Ordering::Acquire), function)
    }
}

/// What has come of a call.
pub enum Called {
    Returned(OwnedValue),
    Raised(Box<Told>),
}

/// Calls a function of the host's for another process: there is no Python here. The owner is what `Context::owner` is to
/// say. None: no memory.
pub fn call_for_another(code: &dyn HostCode, owner: u64, args: Args) -> Option<Called> {
    let place = new_place()?;
    place.thread.store(this_thread(), Ordering::Relaxed);
    // Whoever has it next looks at the stack.
    place.room.set((0, 0));
    place.owner.store(owner, Ordering::Relaxed);
    let context = place.next_context.get();
    place.next_context.set(context.wrapping_add(INDEX + 1));
    place.context.store(context, Ordering::Release);
    // Given back whatever happens.
    let begun = Begun { place, context: Context(context) };
    code.call(Context(context), args);
    let told = place.end(Context(context));
    let returned = place.take();
    drop(begun);
    Some(told.map_or(Called::Returned(returned), Called::Raised))
}

struct Begun {
    place: &'static Place,
    context: Context,
}

impl Drop for Begun {
    fn drop(&mut self) {
        if self.place.context.load(Ordering::Relaxed) == self.context.0 {
            self.place.end(self.context);
        }
        // There is room for all (`new_place`).
        lock(&FREE).0.push(self.place);
    }
}

/// All places that there are.
pub fn all() -> impl Iterator<Item = &'static Place> {
    let chunks = PLACES.iter().map_while(|chunk| {
        let chunk = chunk.load(Ordering::Acquire);
        // SAFETY: a chunk has so many places, and is never freed.
        (!chunk.is_null()).then(|| unsafe { std::slice::from_raw_parts(chunk.cast_const(), CHUNK) })
    });
    chunks.flatten()
}

/// For the state of Python code that has called a host function on this thread: the number of its interpreter, and the
/// stack that the code is on.
#[cold]
pub fn calling(state: *mut PyThreadState) -> Option<(u64, Stack)> {
    let this = this_thread();
    let is_of =
        |place: &&Place| place.state.load(Ordering::Relaxed) == state && place.thread.load(Ordering::Relaxed) == this;
    let place = all().find(is_of)?;
    // SAFETY: its call is running, further out on this thread's stack.
    let function = unsafe { place.function.load(Ordering::Relaxed).as_ref() }?;
    Some((function.number(), stack_of(place.address.load(Ordering::Relaxed))))
}

// ---- what a host says of its call ----

impl Context {
    /// The call, if it is running.
    #[inline(always)]
    fn place(self) -> Result<&'static Place, Over> {
        let index = self.0 & INDEX;
        let chunk = PLACES[index / CHUNK].load(Ordering::Acquire);
        if chunk.is_null() || self.0 == 0 {
            return Err(Over);
        }
        // SAFETY: as in `all`.
        let place = unsafe { &*chunk.add(index % CHUNK) };
        if place.context.load(Ordering::Acquire) == self.0 { Ok(place) } else { Err(Over) }
    }

    /// Whose function it is.
    pub fn owner(self) -> Result<u64, Over> {
        Ok(self.place()?.owner.load(Ordering::Relaxed))
    }

    /// The thread that it is on (`this`).
    pub fn thread(self) -> Result<usize, Over> {
        Ok(self.place()?.thread.load(Ordering::Relaxed))
    }

    /// What its own thread has it return, while nothing else was said.
    #[inline(always)]
    fn returned(self) -> Option<&'static UnsafeCell<OwnedValue>> {
        let place = self.place().ok()?;
        let plain =
            place.thread.load(Ordering::Relaxed) == this_thread() && place.told_of.load(Ordering::Relaxed) != self.0;
        plain.then_some(&place.returned)
    }

    /// It is to return this, which points nowhere, like what it was to return before. False: see `returns`.
    #[cfg(feature = "capi")]
    #[inline(always)]
    pub fn returns_plain(self, value: &subpy_value) -> bool {
        // SAFETY: used by the thread of the call alone, which is here.
        self.returned().is_some_and(|returned| unsafe { (*returned.get()).set_plain(value) })
    }

    /// It is to return this. The last one counts, and none after a `raise`.
    pub fn returns(self, value: OwnedValue) -> Result<(), Over> {
        if let Some(returned) = self.returned() {
            // SAFETY: as above.
            let before = unsafe { std::mem::replace(&mut *returned.get(), value) };
            drop(before);
            return Ok(());
        }
        let mut before = None;
        // What it was to return before is dropped when nothing is locked: that may call the host.
        self.tell(|told| before = told.returned.replace(value))
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

    #[cold]
    fn tell(self, tell: impl FnOnce(&mut Told)) -> Result<(), Over> {
        let mut told = lock(&self.place()?.told);
        // Whoever had the lock before has seen the call's end, if this comes too late.
        let place = self.place()?;
        if told.context != self.0 {
            *told = Told { context: self.0, ..Told::default() };
        }
        tell(&mut told);
        place.told_of.store(self.0, Ordering::Release);
        Ok(())
    }
}
