//! The host's memory as Python is to see it: is it what it says, and whose turn is it to give it back?

use std::ffi::{CStr, c_char, c_void};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::export::Export;
use super::{BUFFER, Builder, MOST_BYTES, subpy_buffer, subpy_finalize_fn, subpy_value};

pub(super) const WRITABLE: u32 = 1;
pub(super) const LENT: u32 = 2;

/// Python's own limit (PyBUF_MAX_NDIM).
pub(crate) const MOST_DIMENSIONS: usize = 64;

/// Nobody describes an element at greater length.
const LONGEST_FORMAT: usize = 1 << 16;

/// Calls a `release`, outside of Python.
pub type Tell = fn(subpy_finalize_fn, *mut c_void);

/// A buffer that was checked, with what it points to filled in.
struct Layout<'a> {
    format: &'a CStr,
    itemsize: usize,
    dimensions: usize,
    /// How many bytes there are in all elements.
    len: usize,
    /// How many bytes there are in front of the first.
    offset: usize,
}

/// Checks a BUFFER. Whether it can be lent is for the caller to say.
///
/// # Safety
/// All that it points to must be as it says.
pub(super) unsafe fn check(value: &subpy_value) -> Result<(), String> {
    let buffer: *const subpy_buffer = value.pointer().cast();
    if buffer.is_null() {
        return Err("SUBPY_KIND_BUFFER points to NULL".into());
    }
    // SAFETY: promised by the caller. The size comes first: what is behind it is there only when it says so.
    unsafe {
        let size = (&raw const (*buffer).size).read();
        if size != size_of::<subpy_buffer>() {
            return Err(format!("subpy_buffer.size is {size}, set it to sizeof(subpy_buffer)"));
        }
        layout(&*buffer).map(drop).map_err(|reason| format!("subpy_buffer.{reason}"))
    }
}

/// Whether format, shape and strides make sense, and need as many bytes as there are.
///
/// # Safety
/// All that it points to, but the memory, must be as it says.
pub(super) unsafe fn check_layout(buffer: &subpy_buffer) -> Result<(), String> {
    // SAFETY: promised by the caller.
    unsafe { layout(buffer) }.map(drop)
}

/// # Safety
/// As for [`check`].
unsafe fn layout<'a>(buffer: &subpy_buffer) -> Result<Layout<'a>, String> {
    let unknown = buffer.flags & !(WRITABLE | LENT);
    if unknown != 0 {
        return Err(format!("flags has unknown bits set: {unknown:#x}"));
    }
    if buffer.len > MOST_BYTES {
        return Err(format!("len is {}, more than memory can hold", buffer.len));
    }
    if buffer.data.is_null() && buffer.len > 0 {
        return Err(format!("data is NULL, but len is {}", buffer.len));
    }
    if buffer.userdata.addr() != 0 && buffer.release.is_none() {
        return Err("userdata is for release, which is NULL".into());
    }
    // SAFETY: promised by the caller: NULL, or a text that ends with a NUL.
    let format = if buffer.format.is_null() { c"B" } else { unsafe { CStr::from_ptr(buffer.format) } };
    let itemsize = itemsize(format, buffer.itemsize)?;
    let dimensions = match (buffer.ndim, buffer.shape.is_null()) {
        (0 | 1, true) => 1,
        (ndim @ 1.., false) if ndim as usize <= MOST_DIMENSIONS => ndim as usize,
        (ndim @ 2.., true) => return Err(format!("shape is NULL, but ndim is {ndim}")),
        (0, false) => return Err("ndim is 0, but shape is not NULL".into()),
        (ndim, _) => return Err(format!("ndim is {ndim}, must be 0 to {MOST_DIMENSIONS}")),
    };
    if buffer.shape.is_null() && !buffer.len.is_multiple_of(itemsize) {
        return Err(format!("len is {}, no multiple of the size of an element, {itemsize}", buffer.len));
    }
    let shape = |at: usize| match buffer.shape.is_null() {
        true => buffer.len / itemsize,
        // SAFETY: promised by the caller: as many as there are dimensions.
        false => unsafe { buffer.shape.add(at).read() },
    };
    let too_large = || "shape: the product with the size of an element is more than memory can hold".to_owned();
    // A dimension without elements makes up for none that is too long.
    let mut len = itemsize;
    for at in 0..dimensions {
        len = len.checked_mul(shape(at).max(1)).filter(|len| *len <= MOST_BYTES).ok_or_else(too_large)?;
    }
    if (0..dimensions).any(|at| shape(at) == 0) {
        return Ok(Layout { format, itemsize, dimensions, len: 0, offset: 0 });
    }
    let (mut extent, mut offset) = (len as i128, 0);
    if !buffer.strides.is_null() {
        extent = itemsize as i128;
        for at in 0..dimensions {
            // SAFETY: as above.
            let stride = unsafe { buffer.strides.add(at).read() };
            // Up to 64 products of 2^63 by 2^63 fit.
            let reach = (shape(at) as i128 - 1) * (stride as i128).abs();
            extent = extent.saturating_add(reach);
            if stride < 0 {
                offset += reach;
            }
        }
    }
    if extent > buffer.len as i128 || buffer.strides.is_null() && extent != buffer.len as i128 {
        return Err(format!("len is {}, but shape and strides need {extent} bytes", buffer.len));
    }
    Ok(Layout { format, itemsize, dimensions, len, offset: offset as usize })
}

/// The size of an element of this format.
fn itemsize(format: &CStr, given: usize) -> Result<usize, String> {
    let text = format.to_bytes();
    if text.is_empty() || text.len() > LONGEST_FORMAT || !text.is_ascii() {
        return Err("format must be ASCII, and not empty".into());
    }
    let known = match text.strip_prefix(b"@").unwrap_or(text) {
        b"?" | b"c" | b"b" | b"B" => 1,
        b"h" | b"H" | b"e" => 2,
        b"i" | b"I" | b"f" => 4,
        b"l" | b"L" | b"q" | b"Q" | b"d" => 8,
        b"n" | b"N" | b"P" => size_of::<usize>(),
        _ if given == 0 => return Err(format!("itemsize is 0, and not known for format {format:?}")),
        _ if given > MOST_BYTES => return Err(format!("itemsize is {given}, more than memory can hold")),
        _ => return Ok(given),
    };
    if given != 0 && given != known {
        return Err(format!("itemsize is {given}, but elements of format {format:?} have {known} bytes"));
    }
    Ok(known)
}

fn copy<T: Copy>(list: &[T]) -> Option<Box<[T]>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(list.len()).ok()?;
    copy.extend_from_slice(list);
    Some(copy.into_boxed_slice())
}

/// A buffer that was passed: the duty to tell the host, once, that Python has let go of it. That is when the last one who
/// needs it is gone, or when `over` says so. Each is made for one value, which one interpreter gets.
#[repr(C)]
pub struct Claim {
    /// First: a BUFFER with a claim points to it.
    buffer: subpy_buffer,
    /// What it points to.
    format: Box<[u8]>,
    shape: Box<[isize]>,
    strides: Box<[isize]>,
    /// Whose memory it is, if it is not the host's own.
    keeps: Mutex<Option<Keeps>>,
    tell: Tell,
    told: AtomicBool,
    /// How many views Python has of it. Changed with the GIL of the interpreter.
    pub exports: AtomicUsize,
    /// A lent one is there no more.
    pub revoked: AtomicBool,
    /// What Python got of a lent one, for `python` to take back: a strong reference.
    pub view: AtomicPtr<c_void>,
}

/// What has memory that is passed on.
#[derive(Clone)]
pub(super) enum Keeps {
    /// The memory of a result.
    Export(Arc<Export>),
    /// A buffer that was passed before.
    Claim(Arc<Claim>),
}

// SAFETY: the host gives the memory to all threads, until it is told otherwise; the rest is its own, or atomic.
unsafe impl Send for Claim {}
// SAFETY: as above.
unsafe impl Sync for Claim {}

/// Format, shape and strides.
type Description = (Box<[u8]>, Box<[isize]>, Box<[isize]>);

impl Claim {
    /// None: no memory; then nothing was taken over.
    ///
    /// # Safety
    /// A buffer that was checked.
    pub(super) unsafe fn new(buffer: &subpy_buffer, keeps: Option<Keeps>, tell: Tell) -> Option<Arc<Claim>> {
        // SAFETY: promised by the caller.
        let layout = unsafe { layout(buffer) }.ok()?;
        let text = layout.format.to_bytes_with_nul();
        let mut format = Vec::new();
        format.try_reserve_exact(text.len()).ok()?;
        format.extend_from_slice(text);
        let mut dimensions = [const { Vec::new() }; 2];
        for list in &mut dimensions {
            list.try_reserve_exact(layout.dimensions).ok()?;
        }
        let [mut shape, mut strides] = dimensions;
        for at in 0..layout.dimensions {
            // SAFETY: as it was checked: as many as there are dimensions.
            unsafe {
                shape.push(match buffer.shape.is_null() {
                    true => (buffer.len / layout.itemsize) as isize,
                    false => buffer.shape.add(at).read() as isize,
                });
                strides.push(if buffer.strides.is_null() { 0 } else { buffer.strides.add(at).read() });
            }
        }
        if buffer.strides.is_null() {
            let mut stride = layout.itemsize as isize;
            for at in (0..layout.dimensions).rev() {
                strides[at] = stride;
                stride = stride.wrapping_mul(shape[at].max(1));
            }
        }
        let (format, shape, strides) =
            (format.into_boxed_slice(), shape.into_boxed_slice(), strides.into_boxed_slice());
        let buffer = subpy_buffer {
            data: buffer.data.cast::<u8>().wrapping_add(layout.offset).cast(),
            len: layout.len,
            format: format.as_ptr().cast(),
            itemsize: layout.itemsize,
            shape: shape.as_ptr().cast(),
            strides: strides.as_ptr(),
            ndim: layout.dimensions as i32,
            ..*buffer
        };
        Some(Claim::of_parts(buffer, (format, shape, strides), keeps, tell))
    }

    /// The claim that a BUFFER points to.
    ///
    /// # Safety
    /// A value that `Claims::claim` has made, whose block is alive.
    pub unsafe fn of(value: &subpy_value) -> Arc<Claim> {
        let claim: *const Claim = value.pointer().cast();
        // SAFETY: promised by the caller: the block has an Arc of it, from which the pointer came.
        unsafe {
            Arc::increment_strong_count(claim);
            Arc::from_raw(claim)
        }
    }

    /// The BUFFER, of which the block has a share. None: no memory.
    pub(super) fn attach(self: Arc<Claim>, block: &mut Builder) -> Option<subpy_value> {
        let value =
            subpy_value { flags: super::CLAIMED, ..subpy_value::pointing(BUFFER, Arc::as_ptr(&self).cast(), 0) };
        block.attach(Box::new(self))?;
        Some(value)
    }

    /// Where the first element lies.
    pub fn data(&self) -> *mut c_void {
        self.buffer.data
    }

    /// The size of all elements in bytes.
    pub fn len(&self) -> usize {
        self.buffer.len
    }

    pub fn itemsize(&self) -> usize {
        self.buffer.itemsize
    }

    pub fn format(&self) -> *const c_char {
        self.format.as_ptr().cast()
    }

    pub fn c_format(&self) -> &CStr {
        CStr::from_bytes_with_nul(&self.format).unwrap_or(c"B")
    }

    /// In C's order.
    pub(super) fn is_contiguous(&self) -> bool {
        let mut stride = self.itemsize() as isize;
        self.len() == 0
            || self.shape.iter().zip(&self.strides).rev().all(|(len, found)| {
                let as_wanted = *len == 1 || *found == stride;
                stride = stride.wrapping_mul(*len);
                as_wanted
            })
    }

    pub fn shape(&self) -> &[isize] {
        &self.shape
    }

    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    pub fn is_writable(&self) -> bool {
        self.buffer.flags & WRITABLE != 0
    }

    /// What has the memory, for another one who is to have it, too. Not this one, if that has it of another: a chain of
    /// them would take a stack for each to be dropped.
    pub(super) fn origin(self: &Arc<Claim>) -> Keeps {
        let keeps = self.keeps.lock().unwrap_or_else(PoisonError::into_inner).clone();
        keeps.unwrap_or_else(|| Keeps::Claim(Arc::clone(self)))
    }

    /// Another claim on the same memory, for another value. None: no memory.
    fn pass_on(self: &Arc<Claim>, lend: bool) -> Option<Arc<Claim>> {
        let (format, shape, strides) = (copy(&self.format)?, copy(&self.shape)?, copy(&self.strides)?);
        let buffer = subpy_buffer {
            format: format.as_ptr().cast(),
            shape: shape.as_ptr().cast(),
            strides: strides.as_ptr(),
            flags: if lend { self.buffer.flags } else { self.buffer.flags & !LENT },
            release: None,
            ..self.buffer
        };
        Some(Claim::of_parts(buffer, (format, shape, strides), Some(self.origin()), self.tell))
    }

    fn of_parts(
        buffer: subpy_buffer,
        (format, shape, strides): Description,
        keeps: Option<Keeps>,
        tell: Tell,
    ) -> Arc<Claim> {
        Arc::new(Claim {
            buffer,
            format,
            shape,
            strides,
            keeps: Mutex::new(keeps),
            tell,
            told: AtomicBool::new(false),
            exports: AtomicUsize::new(0),
            revoked: AtomicBool::new(false),
            view: AtomicPtr::default(),
        })
    }

    pub fn is_lent(&self) -> bool {
        self.buffer.flags & LENT != 0
    }

    /// Nobody uses the memory any more. Tells the host, if it was not told.
    pub fn over(&self) {
        if !self.told.swap(true, Ordering::AcqRel) && self.buffer.release.is_some() {
            (self.tell)(self.buffer.release, self.buffer.userdata);
        }
        let keeps = self.keeps.lock().unwrap_or_else(PoisonError::into_inner).take();
        match keeps {
            Some(Keeps::Export(export)) => export.give_up(self.tell),
            // It tells, if this was the last.
            Some(Keeps::Claim(origin)) => drop(origin),
            None => {}
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.over();
    }
}

/// What is claimed of the values that are being copied.
pub struct Claims {
    tell: Tell,
    /// They are for one call, so that buffers may be lent.
    lend: bool,
    list: Vec<Arc<Claim>>,
}

impl Claims {
    /// Of a call's arguments.
    pub fn new(tell: Tell) -> Claims {
        Claims { tell, lend: true, list: Vec::new() }
    }

    /// Of what is there for longer: nothing in it is lent.
    #[cfg(feature = "capi")]
    pub fn lasting(tell: Tell) -> Claims {
        Claims { lend: false, ..Claims::new(tell) }
    }

    pub fn list(&self) -> &[Arc<Claim>] {
        &self.list
    }

    /// What a copy of this BUFFER, which was checked, is to be; the block has a share in it. None: no memory.
    ///
    /// # Safety
    /// A checked value.
    pub(super) unsafe fn claim(&mut self, value: &subpy_value, block: &mut Builder) -> Option<subpy_value> {
        self.list.try_reserve(1).ok()?;
        // SAFETY: promised by the caller; and the library's own values point to a claim or an export.
        let claim = unsafe {
            match value.is_claimed() {
                true => Claim::of(value).pass_on(self.lend)?,
                false => {
                    let export: *const Export = value.pointer().cast();
                    let export = value.is_exported().then(|| {
                        Arc::increment_strong_count(export);
                        Keeps::Export(Arc::from_raw(export))
                    });
                    let buffer = *value.pointer().cast::<subpy_buffer>();
                    let flags = if self.lend { buffer.flags } else { buffer.flags & !LENT };
                    Claim::new(&subpy_buffer { flags, ..buffer }, export, self.tell)?
                }
            }
        };
        self.list.push(Arc::clone(&claim));
        claim.attach(block)
    }

    /// There was no memory for all: tells the host that each of its buffers is its own again.
    ///
    /// # Safety
    /// Checked values, of which these claims are.
    pub(super) unsafe fn give_up(self, roots: &[&[subpy_value]]) {
        // Those that were claimed are told with the others; those that were passed on are others' to tell.
        self.list.iter().for_each(|claim| claim.told.store(true, Ordering::Relaxed));
        let mut open: Vec<std::slice::Iter<subpy_value>> = roots.iter().map(|root| root.iter()).collect();
        while let Some(elements) = open.last_mut() {
            let Some(value) = elements.next() else {
                open.pop();
                continue;
            };
            if value.is_container() {
                // SAFETY: promised by the caller.
                open.push(unsafe { value.elements() }.iter());
            } else if value.kind == BUFFER && !value.is_claimed() {
                // SAFETY: as above.
                let buffer = unsafe { &*value.pointer().cast::<subpy_buffer>() };
                if buffer.release.is_some() {
                    (self.tell)(buffer.release, buffer.userdata);
                }
            }
        }
    }
}
