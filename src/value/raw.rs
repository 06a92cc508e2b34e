//! Blocks whose contents come as bytes, such as those of a message. Who copies them makes the values in them right.

use std::ptr::{self, NonNull};

use super::{BLOCK_HEADER, BlockHeader, Builder, OwnedValue, subpy_value};

/// The block of a container, whose contents are only bytes yet.
pub struct RawBlock {
    header: NonNull<BlockHeader>,
    size: usize,
}

impl RawBlock {
    /// Copies the contents. None: no memory.
    ///
    /// # Safety
    /// There must be so many bytes to read. Others may write there: what is copied is looked at afterwards.
    pub unsafe fn copy(contents: *const u8, size: usize) -> Option<RawBlock> {
        // SAFETY: malloc takes any size.
        let memory = unsafe { libc::malloc(BLOCK_HEADER.checked_add(size)?) };
        let block = RawBlock { header: NonNull::new(memory.cast())?, size };
        // SAFETY: promised by the caller; the block has room for them.
        unsafe { ptr::copy_nonoverlapping(contents, block.contents(), size) };
        Some(block)
    }

    /// Where they lie: aligned for values.
    pub fn contents(&self) -> *mut u8 {
        self.header.as_ptr().cast::<u8>().wrapping_add(BLOCK_HEADER)
    }

    /// The value of this kind, tag and length, whose elements the contents begin with.
    ///
    /// # Safety
    /// The elements must be complete: what they point to lies in the contents, or is attached to the builder.
    pub unsafe fn finish(self, root: subpy_value, attached: Builder) -> OwnedValue {
        debug_assert!(root.is_container());
        let root = subpy_value::pointing(root.kind, self.contents(), root.len).tagged(root.flags);
        let (header, size, attached) = (self.header, BLOCK_HEADER + self.size, attached.into_attached());
        std::mem::forget(self);
        // SAFETY: malloc made room for it.
        unsafe { header.write(BlockHeader { size, attached }) };
        // SAFETY: the root of this block.
        unsafe { OwnedValue::owning(root) }
    }
}

impl Drop for RawBlock {
    fn drop(&mut self) {
        // SAFETY: malloc made it, and nobody has it.
        unsafe { libc::free(self.header.as_ptr().cast()) }
    }
}

impl OwnedValue {
    /// A copy of a text or of bytes, of this kind and with this tag. None: no memory.
    ///
    /// # Safety
    /// As for [`RawBlock::copy`]. What the kind asks of the bytes has to be checked afterwards.
    pub unsafe fn copy_bytes(root: subpy_value, bytes: *const u8) -> Option<OwnedValue> {
        // SAFETY: malloc takes any size.
        let memory: *mut u8 = unsafe { libc::malloc(root.len.checked_add(1)?) }.cast();
        if memory.is_null() {
            return None;
        }
        // SAFETY: promised by the caller; there is room for them and for the NUL; the memory is for this value alone.
        unsafe {
            ptr::copy_nonoverlapping(bytes, memory, root.len);
            memory.add(root.len).write(0);
            Some(OwnedValue::owning(subpy_value::pointing(root.kind, memory, root.len).tagged(root.flags)))
        }
    }
}

impl subpy_value {
    /// The same value with this tag alone.
    fn tagged(self, flags: u32) -> subpy_value {
        subpy_value { flags: flags & super::TAG_BITS, ..self }
    }
}
