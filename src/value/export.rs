//! Memory that is shared, not copied: a result's, or Rust's own.

use std::any::Any;
use std::ffi::{CStr, c_void};
use std::sync::Arc;

use super::buffer::{Claim, Keeps, LENT, Tell, WRITABLE};
use super::element::load;
use super::{BUFFER, Builder, EXPORTED, subpy_buffer, subpy_value};

/// Who writes to shared memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nobody.
    Fixed,
    /// Nobody but the one whose result it is: it is a copy of what is written to.
    Copied,
    /// Others.
    ReadOnly,
    /// Whoever has it.
    Writable,
}

impl Access {
    /// Who writes to a copy.
    pub fn of_copy(self) -> Access {
        if self == Access::Writable { Access::Copied } else { Access::Fixed }
    }
}

/// Memory of a result's, or of Rust's own: what describes it, and whatever keeps it there.
#[repr(C)]
pub struct Export {
    /// First: a BUFFER of a result points to it.
    buffer: subpy_buffer,
    format: Box<[u8]>,
    shape: Box<[usize]>,
    strides: Box<[isize]>,
    access: Access,
    keeps: Box<dyn Any + Send>,
}

// SAFETY: the pointers lead to its own parts, and to what `keeps` keeps, which is Send.
unsafe impl Send for Export {}
// SAFETY: nothing of it changes but the memory, and that is for those to agree on who use it.
unsafe impl Sync for Export {}

impl Export {
    /// C contiguous memory. None: no memory to describe it with.
    pub fn new(
        (data, len): (*mut c_void, usize),
        format: &CStr,
        itemsize: usize,
        shape: &[isize],
        access: Access,
        keeps: Box<dyn Any + Send>,
    ) -> Option<Arc<Export>> {
        let (mut shape_copy, mut strides) = (Vec::new(), Vec::new());
        shape_copy.try_reserve_exact(shape.len()).ok()?;
        strides.try_reserve_exact(shape.len()).ok()?;
        shape_copy.extend(shape.iter().map(|len| len.cast_unsigned()));
        strides.resize(shape.len(), 0);
        let mut stride = itemsize as isize;
        for at in (0..shape.len()).rev() {
            strides[at] = stride;
            stride = stride.wrapping_mul(shape[at].max(1));
        }
        let mut text = Vec::new();
        text.try_reserve_exact(format.count_bytes() + 1).ok()?;
        text.extend_from_slice(format.to_bytes_with_nul());
        let (text, shape, strides) =
            (text.into_boxed_slice(), shape_copy.into_boxed_slice(), strides.into_boxed_slice());
        let buffer = subpy_buffer {
            size: size_of::<subpy_buffer>(),
            data,
            len,
            format: text.as_ptr().cast(),
            itemsize,
            shape: shape.as_ptr(),
            strides: strides.as_ptr(),
            ndim: shape.len() as i32,
            flags: if matches!(access, Access::Copied | Access::Writable) { WRITABLE } else { 0 },
            release: None,
            userdata: std::ptr::null_mut(),
        };
        Some(Arc::new(Export { buffer, format: text, shape, strides, access, keeps }))
    }

    /// The BUFFER, of which the block has a share. None: no memory.
    pub fn attach(self: Arc<Export>, block: &mut Builder) -> Option<subpy_value> {
        let value = subpy_value { flags: EXPORTED, ..subpy_value::pointing(BUFFER, Arc::as_ptr(&self).cast(), 0) };
        block.attach(Box::new(self))?;
        Some(value)
    }
}

impl Export {
    pub fn data(&self) -> *const u8 {
        self.buffer.data.cast_const().cast()
    }

    pub(super) fn flags(&self) -> u32 {
        self.buffer.flags
    }

    /// In bytes.
    pub fn len(&self) -> usize {
        self.buffer.len
    }

    pub fn itemsize(&self) -> usize {
        self.buffer.itemsize
    }

    pub fn c_format(&self) -> &CStr {
        CStr::from_bytes_with_nul(&self.format).unwrap_or(c"B")
    }

    pub fn format(&self) -> &str {
        self.c_format().to_str().unwrap_or("B")
    }

    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// Nobody writes to it, as long as it is passed with `pass` alone.
    pub fn is_fixed(&self) -> bool {
        matches!(self.access, Access::Fixed | Access::Copied)
    }

    pub fn is_writable(&self) -> bool {
        self.access == Access::Writable
    }

    /// The same memory in another shape, of as many elements. None: no memory.
    pub(super) fn with_shape(self: &Arc<Export>, shape: &[isize]) -> Option<Arc<Export>> {
        // One that keeps one that keeps one would take a stack for each to be dropped.
        let first = self.keeps.downcast_ref().unwrap_or(self);
        let (memory, keeps) = ((self.buffer.data, self.len()), Box::new(Arc::clone(first)));
        Export::new(memory, self.c_format(), self.itemsize(), shape, self.access, keeps)
    }

    /// What was given to keep the memory, an `Arc<O>`, when nobody else has it any more.
    pub fn into_owner<O: Send + Sync + 'static>(self: Arc<Export>) -> Result<O, Arc<Export>> {
        let whole = Arc::try_unwrap(self)?;
        take_apart(whole.keeps).map_err(|keeps| Arc::new(Export { keeps, ..whole }))
    }

    /// A BUFFER of it to be passed, with a claim of its own, of which the block has a share. None: no memory.
    pub fn pass(self: &Arc<Export>, lent: bool, tell: Tell, block: &mut Builder) -> Option<subpy_value> {
        let writable = if self.is_writable() { WRITABLE } else { 0 };
        let flags = writable | if lent { LENT } else { 0 };
        let buffer = subpy_buffer { flags, ..self.buffer };
        // SAFETY: what it describes itself with is as it says.
        let claim = unsafe { Claim::new(&buffer, Some(Keeps::Export(Arc::clone(self))), tell) }?;
        claim.attach(block)
    }

    /// Gives a share up outside of Python, as hosts are told: its owner may be anybody's code.
    pub(super) fn give_up(self: Arc<Export>, tell: Tell) {
        unsafe extern "C-unwind" fn give_up(export: *mut c_void) {
            // SAFETY: from `Arc::into_raw`, and called once. A panic would have nowhere to go.
            let drop = || drop(unsafe { Arc::from_raw(export.cast::<Export>()) });
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(drop));
        }
        tell(Some(give_up), Arc::into_raw(self).cast_mut().cast());
    }

    /// What a BUFFER shares. None: no memory.
    ///
    /// # Safety
    /// A value of the library's own, whose block is alive.
    pub(super) unsafe fn of(value: &subpy_value) -> Option<Arc<Export>> {
        // SAFETY: promised by the caller: the block has an Arc of what it points to.
        unsafe {
            if value.is_claimed() {
                let claim = Claim::of(value);
                return match claim.origin() {
                    Keeps::Export(export) => Some(export),
                    Keeps::Claim(_) => Export::of_claim(&claim),
                };
            }
            let export: *const Export = value.pointer().cast();
            Arc::increment_strong_count(export);
            Some(Arc::from_raw(export))
        }
    }

    /// The memory of a host, for Rust: what is not C contiguous is copied. None: no memory.
    pub(super) fn of_claim(claim: &Arc<Claim>) -> Option<Arc<Export>> {
        let format = claim.c_format();
        let (itemsize, shape) = (claim.itemsize(), claim.shape());
        if claim.is_contiguous() {
            let access = if claim.is_writable() { Access::Writable } else { Access::ReadOnly };
            let keeps = Box::new(Arc::clone(claim));
            return Export::new((claim.data(), claim.len()), format, itemsize, shape, access, keeps);
        }
        let mut copy: Vec<u8> = Vec::new();
        copy.try_reserve_exact(claim.len()).ok()?;
        let mut index = vec![0; shape.len()];
        for _ in 0..claim.len() / itemsize {
            let at: isize = index.iter().zip(claim.strides()).map(|(index, stride)| index * stride).sum();
            // SAFETY: the layout was checked: the element lies in the memory, which this keeps there.
            unsafe {
                let element = claim.data().cast::<u8>().offset(at);
                load(element, copy.as_mut_ptr().add(copy.len()), itemsize);
                copy.set_len(copy.len() + itemsize);
            }
            for (index, len) in index.iter_mut().zip(shape).rev() {
                *index += 1;
                if *index < *len {
                    break;
                }
                *index = 0;
            }
        }
        let memory = (copy.as_mut_ptr().cast(), copy.len());
        Export::new(memory, format, itemsize, shape, Access::Fixed, Box::new(copy))
    }
}

fn take_apart<O: Send + Sync + 'static>(keeps: Box<dyn Any + Send>) -> Result<O, Box<dyn Any + Send>> {
    let keeps = match keeps.downcast::<Arc<O>>() {
        Ok(owner) => return Arc::try_unwrap(*owner).map_err(|owner| Box::new(owner) as _),
        Err(keeps) => keeps,
    };
    // Another shape of it.
    keeps.downcast::<Arc<Export>>().and_then(|first| first.into_owner().map_err(|first| Box::new(first) as _))
}
