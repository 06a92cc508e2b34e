//! Memory as Rust has it: owners whose memory Python is to see, and reading and writing what is shared.
//!
//! What Python may write to while it is read, or the other way round, is copied with atomic loads and stores: neither side
//! waits for the other, so there is no `&[T]` of it.

use std::ffi::CStr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use super::buffer::MOST_DIMENSIONS;
use super::export::{Access, Export};

mod sealed {
    pub trait Sealed {}
}

/// A number that memory which is shared with Python can hold: any bits are one.
pub trait Element: Copy + Send + Sync + sealed::Sealed + 'static {
    /// In the letters of Python's struct module.
    #[doc(hidden)]
    const FORMAT: &'static CStr;
    /// All letters that stand for such numbers, of any size.
    #[doc(hidden)]
    const LETTERS: &'static str;
}

macro_rules! elements {
    ($($type:ty: $format:literal in $letters:literal;)*) => { $(
        impl sealed::Sealed for $type {}
        impl Element for $type {
            const FORMAT: &'static CStr = $format;
            const LETTERS: &'static str = $letters;
        }
    )* };
}

elements! {
    i8: c"b" in "bhilqn";
    i16: c"h" in "bhilqn";
    i32: c"i" in "bhilqn";
    i64: c"q" in "bhilqn";
    isize: c"n" in "bhilqn";
    u8: c"B" in "cBHILQNP";
    u16: c"H" in "BHILQNP";
    u32: c"I" in "BHILQNP";
    u64: c"Q" in "BHILQNP";
    usize: c"N" in "BHILQNP";
    f32: c"f" in "fd";
    f64: c"d" in "fd";
}

/// Why memory is not read or written.
#[derive(Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Its elements are others.
    Type,
    /// So many elements from there on are more than there are.
    Range,
    /// It is read-only.
    ReadOnly,
    NoMemory,
}

impl Export {
    /// Memory that nobody writes to while it is shared. None: no memory.
    pub fn of_owner<T: Element>(owner: impl AsRef<[T]> + Send + Sync + 'static) -> Option<Arc<Export>> {
        // Asked once, where it stays until it is dropped.
        let owner = Arc::new(owner);
        let items: &[T] = (*owner).as_ref();
        let (data, len, count) = (items.as_ptr().cast_mut().cast(), size_of_val(items), items.len());
        Export::new((data, len), T::FORMAT, size_of::<T>(), &[count as isize], Access::Fixed, Box::new(owner))
    }

    /// Memory that Python may write to. None: no memory.
    pub fn of_vec<T: Element>(mut items: Vec<T>) -> Option<Arc<Export>> {
        let (data, len, count) = (items.as_mut_ptr().cast(), size_of_val(items.as_slice()), items.len());
        let owner = Box::new(Arc::new(items));
        Export::new((data, len), T::FORMAT, size_of::<T>(), &[count as isize], Access::Writable, owner)
    }

    /// What the elements are numbers of.
    fn holds<T: Element>(&self) -> bool {
        let letter = match self.format().as_bytes() {
            [letter] | [b'@' | b'=', letter] => letter,
            [b'<', letter] if cfg!(target_endian = "little") => letter,
            [b'>' | b'!', letter] if cfg!(target_endian = "big") => letter,
            _ => return false,
        };
        self.itemsize() == size_of::<T>() && T::LETTERS.as_bytes().contains(letter)
    }

    /// The elements, if these are such, aligned, and nobody writes to them.
    pub fn slice<T: Element>(&self) -> Option<&[T]> {
        let data: *const T = self.data().cast();
        if !self.is_fixed() || !self.holds::<T>() || !data.is_aligned() {
            return None;
        }
        // SAFETY: as many bytes as `of_owner` and those who read objects have found; `keeps` keeps them there, unchanged,
        // as long as this is; any bits are a number.
        Some(unsafe { super::slice(data, self.len() / size_of::<T>()) })
    }

    /// All bytes, if nobody writes to them.
    pub fn bytes(&self) -> Option<&[u8]> {
        // SAFETY: as in `slice`.
        self.is_fixed().then(|| unsafe { super::slice(self.data(), self.len()) })
    }

    /// A copy of the elements. Those that are written to meanwhile are the old or the new ones, and maybe a part of each.
    pub fn copy<T: Element>(&self) -> Result<Vec<T>, Unfit> {
        if !self.holds::<T>() {
            return Err(Unfit::Type);
        }
        let count = self.len() / size_of::<T>();
        let mut copy: Vec<T> = Vec::new();
        copy.try_reserve_exact(count).map_err(|_| Unfit::NoMemory)?;
        // SAFETY: as many bytes as there are, and as there is room for; `keeps` keeps them there; any bits are a number.
        unsafe {
            load(self.data(), copy.as_mut_ptr().cast(), count * size_of::<T>());
            copy.set_len(count);
        }
        Ok(copy)
    }

    /// Writes elements, from this one on.
    pub fn write<T: Element>(&self, start: usize, items: &[T]) -> Result<(), Unfit> {
        if !self.holds::<T>() {
            return Err(Unfit::Type);
        }
        if !self.is_writable() {
            return Err(Unfit::ReadOnly);
        }
        let count = self.len() / size_of::<T>();
        if start.checked_add(items.len()).is_none_or(|end| end > count) {
            return Err(Unfit::Range);
        }
        // SAFETY: it lies within the memory, which `keeps` keeps there, and which may be written to.
        unsafe {
            let target = self.data().cast_mut().add(start * size_of::<T>());
            store(items.as_ptr().cast(), target, size_of_val(items));
        }
        Ok(())
    }

    /// The same memory with another shape. None: no memory, or there are not as many elements.
    pub fn reshaped(self: &Arc<Export>, shape: &[usize]) -> Option<Arc<Export>> {
        let count = shape.iter().try_fold(1usize, |count, len| count.checked_mul(*len))?;
        if shape.is_empty() || shape.len() > MOST_DIMENSIONS || count.checked_mul(self.itemsize())? != self.len() {
            return None;
        }
        let shape: Vec<isize> = shape.iter().map(|len| len.cast_signed()).collect();
        self.with_shape(&shape)
    }
}

/// Elements that nobody writes to, and what keeps them.
#[derive(Clone)]
pub struct Items<T> {
    items: *const [T],
    _keeps: Arc<Export>,
}

// SAFETY: the elements are numbers that nobody writes to, and an export may be shared.
unsafe impl<T: Element> Send for Items<T> {}
// SAFETY: as above.
unsafe impl<T: Element> Sync for Items<T> {}

impl<T: Element> Items<T> {
    pub fn of(export: &Arc<Export>) -> Option<Items<T>> {
        let items: *const [T] = export.slice()?;
        Some(Items { items, _keeps: Arc::clone(export) })
    }
}

impl<T> Deref for Items<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: a slice of the export's, which it keeps, and which is not written to as long as there is one.
        unsafe { &*self.items }
    }
}

/// Copies memory that others may write to.
///
/// # Safety
/// `from` must be `len` bytes to read, and `to` as many that are nobody else's.
pub(super) unsafe fn load(from: *const u8, to: *mut u8, len: usize) {
    let from = from.cast_mut();
    let words = from.align_offset(align_of::<u64>()).min(len);
    let mut at = 0;
    // SAFETY: promised by the caller; words are read where they are aligned, and end within the memory.
    unsafe {
        while at < len {
            if at < words || len - at < size_of::<u64>() {
                to.add(at).write(AtomicU8::from_ptr(from.add(at)).load(Ordering::Relaxed));
                at += 1;
            } else {
                let word = AtomicU64::from_ptr(from.add(at).cast()).load(Ordering::Relaxed);
                to.add(at).cast::<u64>().write_unaligned(word);
                at += size_of::<u64>();
            }
        }
    }
}

/// Copies into memory that others may read and write.
///
/// # Safety
/// `from` must be `len` bytes that are nobody else's, and `to` as many to write.
unsafe fn store(from: *const u8, to: *mut u8, len: usize) {
    let words = to.align_offset(align_of::<u64>()).min(len);
    let mut at = 0;
    // SAFETY: as in `load`.
    unsafe {
        while at < len {
            if at < words || len - at < size_of::<u64>() {
                AtomicU8::from_ptr(to.add(at)).store(from.add(at).read(), Ordering::Relaxed);
                at += 1;
            } else {
                let word = from.add(at).cast::<u64>().read_unaligned();
                AtomicU64::from_ptr(to.add(at).cast()).store(word, Ordering::Relaxed);
                at += size_of::<u64>();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_exact_wherever_they_begin_and_end() {
        let all: Vec<u8> = (0..64).collect();
        for start in 0..17 {
            for len in 0..40 {
                let (mut loaded, mut stored) = (vec![0; len], vec![0u8; 64]);
                // SAFETY: within the vectors.
                unsafe {
                    load(all[start..].as_ptr(), loaded.as_mut_ptr(), len);
                    store(loaded.as_ptr(), stored[start..].as_mut_ptr(), len);
                }
                assert_eq!(loaded, all[start..start + len]);
                assert_eq!(stored[start..start + len], loaded);
                assert!(stored[..start].iter().chain(&stored[start + len..]).all(|byte| *byte == 0));
            }
        }
    }

    #[test]
    fn elements_are_what_the_format_says() {
        let fixed = Export::of_owner(vec![1i64, -2]).unwrap();
        assert_eq!((fixed.slice::<i64>(), fixed.bytes().unwrap().len()), (Some(&[1, -2][..]), 16));
        assert_eq!((fixed.slice::<u64>(), fixed.slice::<i32>(), fixed.slice::<f64>()), (None, None, None));
        assert_eq!(fixed.slice::<isize>(), Some(&[1, -2][..]));
        assert_eq!(fixed.write(0, &[1i64]), Err(Unfit::ReadOnly));

        let shared = Export::of_vec(vec![1.0f32, 2.0, 3.0]).unwrap();
        assert_eq!((shared.slice::<f32>(), shared.bytes()), (None, None));
        shared.write(1, &[5.0f32, 6.0]).unwrap();
        assert_eq!(shared.write(2, &[5.0f32, 6.0]), Err(Unfit::Range));
        assert_eq!(shared.write(usize::MAX, &[5.0f32, 6.0]), Err(Unfit::Range));
        assert_eq!(shared.write(0, &[5.0f64]), Err(Unfit::Type));
        assert_eq!(shared.copy::<f32>().unwrap(), [1.0, 5.0, 6.0]);
        assert_eq!(shared.copy::<i32>(), Err(Unfit::Type));
        let (column, other) = (shared.reshaped(&[1, 3]).unwrap().reshaped(&[3, 1]).unwrap(), Arc::clone(&shared));
        assert!(shared.reshaped(&[2]).is_none() && shared.reshaped(&[]).is_none());
        assert!(shared.reshaped(&[usize::MAX, 3]).is_none());
        assert_eq!((column.shape(), column.strides()), (&[3usize, 1][..], &[4isize, 4][..]));

        // Back only when nobody else has it.
        drop(shared);
        let column = column.into_owner::<Vec<f32>>().err().unwrap();
        drop(other);
        let column = column.into_owner::<Vec<f64>>().err().unwrap();
        assert_eq!((column.copy::<f32>().unwrap(), column.shape()), (vec![1.0, 5.0, 6.0], &[3usize, 1][..]));
        assert_eq!(column.into_owner::<Vec<f32>>().ok().unwrap(), [1.0, 5.0, 6.0]);
    }
}
