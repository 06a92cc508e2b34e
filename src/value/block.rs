//! A value that owns its memory, one block however deeply it is nested, and the builder of that block.

use std::any::Any;
use std::ptr::{self, NonNull};

use super::check::is_plain;
use super::tag::TAG_BITS;
use super::text::copy_text;
use super::{BLOCK_HEADER, BUFFER, BlockHeader, Claims, ERROR, OWNS_BLOCK, Tell, element_size, slice, subpy_value};

/// A value that owns the memory it points to.
pub struct OwnedValue(subpy_value);

// SAFETY: a value is plain memory that nobody else points to, and what is attached to it is Send.
unsafe impl Send for OwnedValue {}

impl OwnedValue {
    pub const fn none() -> OwnedValue {
        OwnedValue(subpy_value::none())
    }

    #[inline]
    pub fn int(value: i64) -> OwnedValue {
        OwnedValue(subpy_value::int(value))
    }

    pub fn float(value: f64) -> OwnedValue {
        OwnedValue(subpy_value::float(value))
    }

    /// A value that points nowhere.
    #[inline]
    pub fn of_plain(value: &subpy_value) -> OwnedValue {
        debug_assert!(is_plain(value));
        OwnedValue(subpy_value { len: 0, ..*value })
    }

    /// Becomes a value that points nowhere. False, and as it was: either does point somewhere.
    #[cfg(feature = "capi")]
    #[inline(always)]
    pub fn set_plain(&mut self, value: &subpy_value) -> bool {
        let both = is_plain(value) && is_plain(&self.0);
        if both {
            self.0 = *value;
        }
        both
    }

    /// The number, when it is an INT; that becomes None.
    #[inline(always)]
    pub fn take_int(&mut self) -> Option<i64> {
        (self.0.kind == super::INT).then(|| std::mem::replace(&mut self.0, subpy_value::none()).as_int())
    }

    /// The same value, which stands for something else now.
    pub fn with_tag(mut self, tag: u32) -> OwnedValue {
        self.0.flags |= tag;
        self
    }

    /// The root of a block that nobody else has: marks it.
    ///
    /// # Safety
    /// It must be complete, and have a block as `Builder::finish` makes it.
    pub(super) unsafe fn owning(root: subpy_value) -> OwnedValue {
        OwnedValue(subpy_value { flags: root.flags | OWNS_BLOCK, ..root })
    }

    /// The same value for others to read: the duty to free it stays here.
    pub fn lent(&self) -> subpy_value {
        subpy_value { flags: self.0.flags & TAG_BITS, ..self.0 }
    }

    /// Hands the value, and the duty to free it, over to C.
    #[cfg(any(feature = "capi", test))]
    pub fn into_raw(self) -> subpy_value {
        std::mem::ManuallyDrop::new(self).0
    }

    pub fn as_value(&self) -> &subpy_value {
        &self.0
    }

    /// A deep copy of a value that names nothing outside of it.
    pub fn copy_of(root: &subpy_value) -> Option<OwnedValue> {
        OwnedValue::copy(root, |value, _| Ok(*value), &mut Claims::new(|_, _| ())).ok()
    }

    /// Deep copies of checked values, to be used when the caller's are gone. `keep` makes the copy of what is an object or
    /// a queue, with a claim of its own. The buffers are claimed here, also when this fails: `tell` is called when they
    /// are the host's own again.
    pub fn claim<const N: usize>(
        roots: [&subpy_value; N],
        keep: Keep,
        tell: Tell,
    ) -> Result<([OwnedValue; N], Claims), NotCopied> {
        let mut claims = Claims::new(tell);
        let mut copies = [const { OwnedValue::none() }; N];
        for (root, copy) in roots.iter().zip(&mut copies) {
            match OwnedValue::copy(root, keep, &mut claims) {
                Ok(made) => *copy = made,
                Err(why) => {
                    // SAFETY: checked values.
                    unsafe { claims.give_up(&roots.map(std::slice::from_ref)) };
                    return Err(why);
                }
            }
        }
        Ok((copies, claims))
    }

    /// The same of a value that is no argument: what is lent in it stays.
    #[cfg(feature = "capi")]
    pub fn keep(root: &subpy_value, keep: Keep, tell: Tell) -> Result<OwnedValue, NotCopied> {
        let mut claims = Claims::lasting(tell);
        OwnedValue::copy(root, keep, &mut claims).inspect_err(|_| {
            // SAFETY: a checked value.
            unsafe { claims.give_up(&[std::slice::from_ref(root)]) }
        })
    }

    fn copy(root: &subpy_value, keep: Keep, claims: &mut Claims) -> Result<OwnedValue, NotCopied> {
        let mut builder = if root.is_container() { Builder::new() } else { Builder::of_bytes() };
        let mut root_copy = *root;
        // Every value that was copied and whose contents were not yet: where it lies in the block (None: the root).
        let mut pending: Vec<(Option<usize>, subpy_value)> = vec![(None, *root)];
        while let Some((place, value)) = pending.pop() {
            let size = element_size(value.kind);
            let mut copy = subpy_value { flags: value.flags & TAG_BITS, ..value };
            if value.kind == BUFFER {
                // SAFETY: a checked value.
                copy = unsafe { claims.claim(&value, &mut builder) }.ok_or(NotCopied::NoMemory)?;
            } else if value.is_handle() {
                copy = keep(&copy, &mut builder)?;
            } else if size > 0 {
                // SAFETY: a checked value.
                let bytes = unsafe { slice(value.pointer(), value.len * size) };
                let start = builder.append(bytes, size > 1).ok_or(NotCopied::NoMemory)?;
                copy.u.as_int = start as i64;
                let values = value.len * size / size_of::<subpy_value>();
                if size > 1 {
                    pending.try_reserve(values).map_err(|_| NotCopied::NoMemory)?;
                    for index in 0..values {
                        let at = start + index * size_of::<subpy_value>();
                        pending.push((Some(at), builder.read(at)));
                    }
                }
            }
            match place {
                Some(at) => builder.write(at, copy),
                None => root_copy = copy,
            }
        }
        builder.finish(root_copy).ok_or(NotCopied::NoMemory)
    }
}

/// Makes the value of a copy from one that `is_handle`, and attaches to the block what keeps it.
pub type Keep = fn(&subpy_value, &mut Builder) -> Result<subpy_value, NotCopied>;

/// Why a value was not copied.
#[derive(Debug)]
pub enum NotCopied {
    NoMemory,
    /// A handle of nothing, and what it should be of.
    NotFound(u64, &'static str),
    /// What cannot go where the copy is for.
    NotShareable(String),
}

impl Drop for OwnedValue {
    fn drop(&mut self) {
        // SAFETY: the root of a result; into_raw() keeps a value that was handed over from getting here.
        unsafe { self.0.free() }
    }
}

/// What lives as long as a block, and is dropped with it: values in the block point to it.
#[derive(Default)]
pub(super) struct Attachments(Vec<NonNull<dyn Any + Send>>);

impl Drop for Attachments {
    fn drop(&mut self) {
        for thing in &self.0 {
            // SAFETY: it came from a box (`Builder::attach`), and is dropped once.
            drop(unsafe { Box::from_raw(thing.as_ptr()) });
        }
    }
}

impl Attachments {
    /// As the length of a value that has no other. 0: there is nothing.
    fn into_len(attached: Option<Box<Attachments>>) -> usize {
        attached.map_or(0, |attached| Box::into_raw(attached).expose_provenance())
    }

    /// # Safety
    /// `len` came from `into_len`, and is taken back once.
    pub(super) unsafe fn from_len(len: usize) -> Option<Box<Attachments>> {
        let attached: *mut Attachments = ptr::with_exposed_provenance_mut(len);
        // SAFETY: promised by the caller.
        (!attached.is_null()).then(|| unsafe { Box::from_raw(attached) })
    }
}

/// The one block of a result while it grows. Until `finish`, values hold offsets into the block instead of pointers.
pub struct Builder {
    data: *mut u8,
    len: usize,
    capacity: usize,
    /// Where the values with an offset lie that were written last. Each knows the one before it (`chained`): a list of
    /// them would need memory of its own. Two chains, since a processor follows both as fast as one.
    last: [usize; CHAINS],
    /// Some of them have tags.
    tagged: bool,
    attached: Option<Box<Attachments>>,
}

/// An end of a block, to come back to.
pub struct End {
    len: usize,
    last: [usize; CHAINS],
}

const CHAINS: usize = 2;

/// The chain of a place. The keys of a dict take turns, and the items of a list.
#[inline]
fn chain(at: usize) -> usize {
    at / 16 % CHAINS
}

/// Kinds and tags need so few bits, and places are multiples of a value's alignment: all fit where kind and flags will
/// be.
const KIND_BITS: u32 = 4;
const HEAD_BITS: u32 = KIND_BITS + TAG_BITS.count_ones();
const _: () = assert!((ERROR as u64) < 1 << KIND_BITS && TAG_BITS.trailing_ones() == TAG_BITS.count_ones());

/// Kind and flags of a value with an offset, until `finish`: its kind and tag, and the place of another such value.
/// They are written and read in one piece: a processor waits when it reads at once what was written in two.
#[inline]
fn chained(kind: i32, flags: u32, place: usize) -> u64 {
    let head = u64::from((flags & TAG_BITS) << KIND_BITS | kind.cast_unsigned());
    ((place / align_of::<subpy_value>()) as u64) << HEAD_BITS | head
}

/// The kind, the tag and the place.
#[inline]
fn unchained(all: u64) -> (i32, u32, usize) {
    let kind = (all as i32) & ((1 << KIND_BITS) - 1);
    let tag = (all >> KIND_BITS) as u32 & TAG_BITS;
    (kind, tag, (all >> HEAD_BITS) as usize * align_of::<subpy_value>())
}

impl Builder {
    pub fn new() -> Builder {
        Builder::behind(BLOCK_HEADER)
    }

    /// For a root that is no container: its bytes are the whole block, if it has any.
    pub fn of_bytes() -> Builder {
        Builder::behind(0)
    }

    fn behind(header: usize) -> Builder {
        Builder { data: ptr::null_mut(), len: header, capacity: 0, last: [0; CHAINS], tagged: false, attached: None }
    }

    /// What was attached, for a block that was made otherwise.
    pub(super) fn into_attached(mut self) -> Option<Box<Attachments>> {
        self.attached.take()
    }

    /// Gives an error to the block, to be dropped with it; the value that points to it. None: no memory.
    #[cfg(any(feature = "capi", test))]
    pub fn attach_error<T: Any + Send>(&mut self, error: Box<T>) -> Option<subpy_value> {
        let error = self.attach(error)?;
        Some(subpy_value::pointing(super::ERROR, error.cast(), 0))
    }

    /// Gives a thing to the block, to be dropped with it: on any thread, perhaps without any interpreter, but with no lock
    /// of the library's held. Where it lies. None: no memory; then it was dropped.
    #[allow(dead_code)]
    pub fn attach<T: Any + Send>(&mut self, thing: Box<T>) -> Option<*const T> {
        let attached = &mut self.attached.get_or_insert_default().0;
        attached.try_reserve(1).ok()?;
        let thing = Box::into_raw(thing);
        attached.extend(NonNull::new(thing as *mut (dyn Any + Send)));
        Some(thing)
    }

    /// Room for `size` more bytes, aligned for values, or for text with a NUL behind it; its offset. None: no memory.
    #[inline]
    fn reserve(&mut self, size: usize, values: bool) -> Option<usize> {
        let start = if values { self.len.next_multiple_of(align_of::<subpy_value>()) } else { self.len };
        let end = start.checked_add(size)?.checked_add(usize::from(!values))?;
        if end > self.capacity {
            self.grow(end)?;
        }
        self.len = end;
        Some(start)
    }

    /// An empty container needs a block too, since the root's pointer is what is freed. Exact for the first piece: most
    /// results are one string or one flat list. Medium ones that grow are mostly rows of a table, and grow at once;
    /// `finish` gives back what they do not need.
    #[cold]
    fn grow(&mut self, end: usize) -> Option<()> {
        const MEDIUM: std::ops::Range<usize> = 1 << 10..1 << 14;
        let times = if MEDIUM.contains(&self.capacity) { 8 } else { 2 };
        self.resize(end.max(self.capacity.checked_mul(times)?))
    }

    fn resize(&mut self, capacity: usize) -> Option<()> {
        // SAFETY: `data` is NULL or came from realloc.
        let data = unsafe { libc::realloc(self.data.cast(), capacity) };
        if data.is_null() {
            return None;
        }
        (self.data, self.capacity) = (data.cast(), capacity);
        Some(())
    }

    /// Appends bytes (of values, or of text, which gets a NUL behind it) and returns their offset.
    #[inline]
    pub fn append(&mut self, bytes: &[u8], values: bool) -> Option<usize> {
        let start = self.reserve(bytes.len(), values)?;
        // SAFETY: `reserve` made room for them, and for the NUL.
        unsafe {
            let target = self.data.add(start);
            if values {
                ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len());
            } else {
                copy_text(bytes, target);
                *target.add(bytes.len()) = 0;
            }
        }
        Some(start)
    }

    /// Room for an array of `count` values, each of which is to be written; its offset.
    pub fn array(&mut self, count: usize) -> Option<usize> {
        self.reserve(count.checked_mul(size_of::<subpy_value>())?, true)
    }

    fn read(&self, at: usize) -> subpy_value {
        debug_assert!(at + size_of::<subpy_value>() <= self.len);
        // SAFETY: `at` is an element of an array that was appended, thus aligned and initialised.
        unsafe { self.data.add(at).cast::<subpy_value>().read() }
    }

    /// Writes one element of an array, once.
    #[inline(always)]
    pub fn write(&mut self, at: usize, value: subpy_value) {
        debug_assert!(at + size_of::<subpy_value>() <= self.len);
        // SAFETY: `at` is an element of an array in the block, thus aligned; kind and flags are its first eight bytes.
        unsafe {
            let place = self.data.add(at).cast::<subpy_value>();
            place.write(value);
            if element_size(value.kind) > 0 {
                let last = std::mem::replace(&mut self.last[chain(at)], at);
                let chained = chained(value.kind, value.flags, last);
                if value.flags != 0 {
                    self.tagged = true;
                }
                place.cast::<u64>().write_unaligned(chained);
            }
        }
    }

    /// Where the block ends now.
    pub fn end(&self) -> End {
        End { len: self.len, last: self.last }
    }

    /// Takes back what was appended since then. Nothing that was written before points there.
    pub fn cut(&mut self, end: End) {
        (self.len, self.last) = (end.len, end.last);
    }

    /// Turns offsets into pointers. The first thing that was appended lies right behind the header, and the root is
    /// what points to it: so the root knows its block. None: no memory.
    pub fn finish(mut self, root: subpy_value) -> Option<OwnedValue> {
        if !root.is_container() {
            return Some(self.finish_bytes(root));
        }
        if self.len < self.capacity / 2 {
            // Without memory it stays as it is.
            self.resize(self.len);
        }
        let base = std::mem::replace(&mut self.data, ptr::null_mut());
        // Returns the place of the next.
        let fix = |at: usize, tagged: bool| {
            // SAFETY: a value that `write` has put into the block, with the place of the next in its first eight bytes.
            unsafe {
                let value = base.add(at).cast::<subpy_value>();
                let (kind, flags, next) = unchained(value.cast::<u64>().read_unaligned());
                let data = base.add((*value).as_int() as usize);
                let flags = if tagged { flags } else { 0 };
                value.write(subpy_value { flags, ..subpy_value::pointing(kind, data, (*value).len) });
                next
            }
        };
        let last = self.last;
        // Most have no tags, and it takes time to put them back.
        if self.tagged {
            fix_all(last, |at| fix(at, true))
        } else {
            fix_all(last, |at| fix(at, false))
        }
        let mut root = root;
        debug_assert!(root.as_int() == BLOCK_HEADER as i64);
        // SAFETY: the header of a block that has at least one piece, and what is behind it.
        unsafe {
            base.cast::<BlockHeader>().write(BlockHeader { size: self.len, attached: self.attached.take() });
            root.u.as_bytes = base.add(BLOCK_HEADER);
        }
        root.flags |= OWNS_BLOCK;
        Some(OwnedValue(root))
    }

    /// The same, when the root is no container.
    #[inline]
    pub fn finish_bytes(mut self, mut root: subpy_value) -> OwnedValue {
        if element_size(root.kind) > 0 {
            debug_assert!(root.as_int() == 0);
            root.u.as_bytes = self.data.cast_const();
            self.data = ptr::null_mut();
            root.flags |= OWNS_BLOCK;
        } else if root.is_handle() {
            root.len = Attachments::into_len(self.attached.take());
            root.flags |= OWNS_BLOCK;
        }
        OwnedValue(root)
    }
}

/// Goes along the chains, from their last places.
#[inline(always)]
fn fix_all(mut chains: [usize; CHAINS], fix: impl Fn(usize) -> usize) {
    while chains.iter().all(|at| *at > 0) {
        chains = chains.map(&fix);
    }
    for mut at in chains {
        while at > 0 {
            at = fix(at);
        }
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        // SAFETY: NULL, or a block that was not handed over.
        unsafe { libc::free(self.data.cast()) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DICT, LIST, NONE, STR, subpy_pair};
    use super::*;

    use std::sync::Arc;

    fn text(text: &'static str) -> subpy_value {
        subpy_value::pointing(STR, text.as_ptr(), text.len())
    }

    #[test]
    fn a_copy_is_independent_and_complete() {
        let items = [subpy_value::int(7), text("h\u{e9}llo"), subpy_value::float(1.5)];
        let list = subpy_value::pointing(LIST, items.as_ptr().cast(), 3);
        let pairs =
            [subpy_pair { key: text("k"), value: list }, subpy_pair { key: subpy_value::bool(true), value: text("") }];
        let dict = subpy_value::pointing(DICT, pairs.as_ptr().cast(), 2);
        let copy = OwnedValue::copy_of(&dict).unwrap();
        // SAFETY: the copy is alive and complete.
        unsafe {
            let copied = copy.as_value().pairs();
            assert_ne!(copied.as_ptr(), pairs.as_ptr());
            assert_eq!(copied[0].key.bytes(), b"k");
            let inner = copied[0].value.items();
            assert_eq!(inner[0].as_int(), 7);
            assert_eq!(inner[1].bytes(), "h\u{e9}llo".as_bytes());
            assert_eq!(inner[2].as_float(), 1.5);
            assert!(copied[1].key.as_bool());
            assert_eq!(copied[1].value.bytes(), b"");
        }
        assert_eq!(OwnedValue::copy_of(&subpy_value::int(3)).unwrap().into_raw().as_int(), 3);
    }

    #[test]
    fn what_is_attached_is_dropped_with_the_block() {
        let attached = Arc::new(7);
        let mut block = Builder::new();
        let start = block.array(2).unwrap();
        for index in 0..2 {
            let value = block.attach_error(Box::new(Arc::clone(&attached))).unwrap();
            block.write(start + index * size_of::<subpy_value>(), value);
        }
        assert_eq!(Arc::strong_count(&attached), 3);
        let block = block.finish(subpy_value::at_offset(LIST, start, 2)).unwrap();
        // SAFETY: the block is alive, and holds two pointers to what was attached.
        unsafe { assert_eq!(**block.as_value().items()[1].pointer().cast::<Arc<i32>>(), 7) };
        drop(block);
        assert_eq!(Arc::strong_count(&attached), 1);
        let mut unfinished = Builder::new();
        unfinished.attach_error(Box::new(Arc::clone(&attached))).unwrap();
        drop(unfinished);
        assert_eq!(Arc::strong_count(&attached), 1);
    }

    #[test]
    fn a_root_without_a_block_has_what_is_to_be_dropped() {
        let attached = Arc::new(7);
        let mut value = Builder::of_bytes();
        value.attach(Box::new(Arc::clone(&attached))).unwrap();
        let value = value.finish(subpy_value { kind: super::super::OBJECT, ..subpy_value::int(5) }).unwrap();
        assert_eq!(value.as_value().as_int(), 5);
        assert_eq!(Arc::strong_count(&attached), 2);
        let mut value = value.into_raw();
        // SAFETY: a result, and then a value that owns nothing.
        unsafe {
            value.free();
            value.free();
        }
        assert_eq!(Arc::strong_count(&attached), 1);
    }

    #[test]
    fn a_tag_stays() {
        let tagged = subpy_value { flags: 8, ..text("1.5") };
        let list = subpy_value::pointing(LIST, (&raw const tagged).cast(), 1);
        let list = OwnedValue::copy_of(&list).unwrap();
        // SAFETY: the list is alive and has one item.
        unsafe {
            assert_eq!(list.as_value().items()[0].flags, 8);
            assert_eq!(list.as_value().items()[0].bytes(), b"1.5");
        }
        assert_eq!(OwnedValue::copy_of(&tagged).unwrap().as_value().flags, 8 | OWNS_BLOCK);
    }

    #[test]
    fn a_value_keeps_a_place() {
        for kind in [STR, DICT] {
            // Beyond what a processor addresses.
            for place in [0, BLOCK_HEADER, 8 * 0xffff_ffff, 8 * 0x1_0000_0000, (1 << 55) - 8] {
                for flags in [0, 1, TAG_BITS] {
                    assert_eq!(unchained(chained(kind, flags, place)), (kind, flags, place));
                }
            }
        }
    }

    #[test]
    fn free_empties_a_result_and_nothing_else() {
        let mut copy = OwnedValue::copy_of(&text("abc")).unwrap().into_raw();
        // SAFETY: a result, and values that own nothing.
        unsafe {
            copy.free();
            assert_eq!(copy.kind, NONE);
            copy.free();
            let mut borrowed = text("abc");
            borrowed.free();
            assert_eq!(borrowed.kind, STR);
        }
    }
}
