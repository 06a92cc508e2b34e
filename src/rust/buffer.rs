//! Memory that is shared with Python, and not copied.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::to_rust::{FromValue, WrongType};
use super::value::Value;
use crate::manager::{self, Error, Kind, Result};
use crate::value::{Builder, Element, Export, Items, Results, Unfit, subpy_value};

/// Memory that is shared with Python, and not copied: Rust's, which Python sees as a memoryview, or an object's of
/// Python's. Clones are the same memory.
///
/// As an argument it is the memory of its owner, which is dropped when neither Rust nor Python has it any more: on any
/// thread, without a GIL. As a
/// result it is that of whatever has a buffer: `bytes`, `bytearray`, `array.array`, a memoryview, an array of numpy. That
/// object stays as it is as long as there is a clone; what has up to 4 KiB is a copy. Rows of numbers (a list of floats, or
/// of ints that fit 64 bits) become memory of the result's own.
///
/// ```
/// # fn main() -> subpy::Result<()> {
/// use subpy::{Buffer, Interpreter};
///
/// let interp = Interpreter::create()?;
/// let samples = Buffer::new(vec![0.5f32; 100_000]);
/// assert_eq!(interp.call::<f64>("builtins:sum", (&samples,))?, 50_000.0);
///
/// let squares: Buffer = interp.eval("[float(n * n) for n in range(1000)]")?;
/// assert_eq!(squares.as_slice::<f64>().map(|squares| squares[3]), Some(9.0));
/// # Ok(())
/// # }
/// ```
///
/// # What both write to
///
/// There is a slice only of what nobody writes to: of what Rust has given read-only, of `bytes`, of copies. Everything
/// else, such as a `bytearray` and what was made with [`writable`](Buffer::writable), is read with
/// [`to_vec`](Buffer::to_vec) and written to with [`copy_from_slice`](Buffer::copy_from_slice): Python may write to it at
/// the same time. Python code that writes to read-only memory all the same, through ctypes for example, is at fault.
#[derive(Clone)]
pub struct Buffer {
    export: Arc<Export>,
    lent: bool,
}

impl Buffer {
    fn of(export: Option<Arc<Export>>) -> Buffer {
        // What describes it is as small as an Arc, which does not fail either.
        let no_memory = || std::alloc::handle_alloc_error(std::alloc::Layout::new::<Export>());
        Buffer { export: export.unwrap_or_else(no_memory), lent: false }
    }

    /// What Rust has, for Python to read: a [`Vec`], an [`Arc`] or a `'static` slice, whatever has the memory.
    pub fn new<T: Element>(owner: impl AsRef<[T]> + Send + Sync + 'static) -> Buffer {
        Buffer::of(Export::of_owner(owner))
    }

    /// What Python may write to, too. [`into_owner`](Buffer::into_owner) gives it back.
    ///
    /// ```
    /// # fn main() -> subpy::Result<()> {
    /// use subpy::{Buffer, Interpreter};
    ///
    /// let interp = Interpreter::create()?;
    /// interp.exec("def fill(view): view[1] = 7")?;
    /// let numbers = Buffer::writable(vec![1i32, 2, 3]);
    /// interp.call::<()>("fill", (&numbers,))?;
    /// numbers.copy_from_slice(2, &[9i32])?;
    /// assert_eq!(numbers.to_vec::<i32>()?, [1, 7, 9]);
    /// let numbers: Vec<i32> = numbers.into_owner().expect("Python has not kept it");
    /// # Ok(())
    /// # }
    /// ```
    pub fn writable<T: Element>(items: Vec<T>) -> Buffer {
        Buffer::of(Export::of_vec(items))
    }

    /// So many zeros, which interpreters in processes of their own ([`Options::process`](crate::Options::process)) see
    /// without a copy, and so do all others. Python may write to them, as Rust may, and results that share the memory are
    /// this memory. Such processes see any other memory as a copy, if it is read-only, and not at all if it is not.
    ///
    /// ```no_run
    /// # fn main() -> subpy::Result<()> {
    /// use subpy::{Buffer, Interpreter, Options, ProcessOptions};
    ///
    /// let interp = Interpreter::with_options(&Options::new().process(ProcessOptions::new()))?;
    /// interp.exec("def fill(view): view[999_999] = 0.5")?;
    /// let numbers = Buffer::shared::<f64>(1_000_000)?;
    /// interp.call::<()>("fill", (&numbers,))?;
    /// assert_eq!(numbers.to_vec::<f64>()?[999_999], 0.5);
    /// # interp.close()
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Kind::NoMemory`]; [`Kind::Interpreter`] when the process cannot open any more files: each takes one.
    pub fn shared<T: Element>(count: usize) -> Result<Buffer> {
        match count.checked_mul(size_of::<T>()).ok_or(Kind::NoMemory)? {
            0 => Ok(Buffer::writable(Vec::<T>::new())),
            len => {
                let export = manager::region_new(len, true)?.export(T::FORMAT, size_of::<T>());
                Ok(Buffer { export: export.ok_or(Kind::NoMemory)?, lent: false })
            }
        }
    }

    /// The same memory with another shape, in C's order.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] when it has not as many elements, or there are no dimensions, or more than 64.
    pub fn with_shape(self, shape: &[usize]) -> Result<Buffer> {
        let wrong = || {
            let (found, bytes) = (self.export.itemsize(), self.nbytes());
            Kind::InvalidArgument(format!("shape {shape:?}: the buffer has {bytes} bytes, {found} in each element"))
        };
        let export = self.export.reshaped(shape).ok_or_else(wrong)?;
        Ok(Buffer { export, ..self })
    }

    /// The same memory, for one call: then Python's views of it are revoked. If something uses it still, such as a slice
    /// or an array, the call is [`Kind::Busy`]; the memory stays until that is gone.
    #[must_use]
    pub fn lent(self) -> Buffer {
        Buffer { lent: true, ..self }
    }

    /// What the elements are, in the letters of Python's struct module. Python: `memoryview.format`.
    pub fn format(&self) -> &str {
        self.export.format()
    }

    /// The size of an element in bytes. Python: `memoryview.itemsize`.
    pub fn itemsize(&self) -> usize {
        self.export.itemsize()
    }

    /// How many elements there are in each dimension. Python: `memoryview.shape`.
    pub fn shape(&self) -> &[usize] {
        self.export.shape()
    }

    /// How many bytes there are from one element to the next in each dimension: it is in C's order, without gaps.
    /// Python: `memoryview.strides`.
    pub fn strides(&self) -> &[isize] {
        self.export.strides()
    }

    /// The size of all elements in bytes. Python: `memoryview.nbytes`.
    pub fn nbytes(&self) -> usize {
        self.export.len()
    }

    /// Whether Rust may write to it.
    pub fn is_writable(&self) -> bool {
        self.export.is_writable()
    }

    /// Where it is, for code that knows better when it may be read or written to.
    pub fn as_ptr(&self) -> *const u8 {
        self.export.data()
    }

    /// Its elements. None: they are others, they are not aligned, or Python may write to them.
    pub fn as_slice<T: Element>(&self) -> Option<&[T]> {
        self.export.slice()
    }

    /// Its bytes, whatever the elements are. None: Python may write to them.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        self.export.bytes()
    }

    /// A copy of its elements. Those that Python writes to meanwhile are the old ones or the new ones, or a part of each.
    ///
    /// # Errors
    /// [`Kind::WrongType`] when they are others; [`Kind::NoMemory`].
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        self.export.copy().map_err(|unfit| self.error::<T>(unfit))
    }

    /// Writes to it, from this element on.
    ///
    /// # Errors
    /// [`Kind::WrongType`] when its elements are others; [`Kind::InvalidArgument`] when it is read-only, or has not as
    /// many.
    pub fn copy_from_slice<T: Element>(&self, start: usize, items: &[T]) -> Result<()> {
        self.export.write(start, items).map_err(|unfit| self.error::<T>(unfit))
    }

    /// Its owner: what it was made of.
    ///
    /// # Errors
    /// The buffer itself, when it is of another type, or a clone or Python has it still.
    pub fn into_owner<O: Send + Sync + 'static>(self) -> std::result::Result<O, Buffer> {
        let lent = self.lent;
        self.export.into_owner().map_err(|export| Buffer { export, lent })
    }

    fn error<T: Element>(&self, unfit: Unfit) -> Error {
        match unfit {
            Unfit::Type => Kind::WrongType(self.wrong::<T>()).into(),
            Unfit::ReadOnly => Kind::InvalidArgument("the buffer is read-only".into()).into(),
            Unfit::Range => Kind::InvalidArgument("the buffer has not as many elements".into()).into(),
            Unfit::NoMemory => Kind::NoMemory.into(),
        }
    }

    fn wrong<T: Element>(&self) -> String {
        format!("a buffer of format {:?} does not hold {}", self.format(), std::any::type_name::<T>())
    }

    pub(super) fn append(&self, for_a_call: bool, block: &mut Builder) -> Option<subpy_value> {
        manager::append_buffer(&self.export, self.lent && for_a_call, block)
    }

    pub(super) fn of_export(export: Arc<Export>) -> Buffer {
        Buffer { export, lent: false }
    }

    /// Its numbers as a list, when it is one.
    pub(super) fn to_list(&self) -> Option<Vec<Value>> {
        macro_rules! first_of {
            ($($type:ty)*) => { $(
                if let Ok(items) = self.export.copy::<$type>() {
                    return Some(items.into_iter().map(Value::from).collect());
                }
            )* };
        }
        if self.shape().len() == 1 {
            first_of!(f64 i64 u8 f32 i32 u32 u64 i16 u16 i8);
        }
        None
    }
}

/// Whether they are the same memory.
impl PartialEq for Buffer {
    fn eq(&self, other: &Buffer) -> bool {
        (self.as_ptr(), self.nbytes()) == (other.as_ptr(), other.nbytes())
    }
}

impl Eq for Buffer {}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Buffer").field("format", &self.format()).field("shape", &self.shape()).finish_non_exhaustive()
    }
}

impl FromValue for Buffer {
    const ROOT: Results = Results::BUFFER.and(Results::ARRAY);

    fn from_value(value: Value) -> std::result::Result<Buffer, WrongType> {
        match value {
            Value::Buffer(buffer) => Ok(buffer),
            other => Err(WrongType::expected("a buffer", &other)),
        }
    }
}

/// Numbers, where Python has them if that can be, otherwise a copy: of a list of floats or ints, of `array.array`, `bytes`
/// and everything else with a buffer of one dimension.
///
/// ```
/// # fn main() -> subpy::Result<()> {
/// use subpy::{Array, Interpreter};
///
/// let interp = Interpreter::create()?;
/// let floats: Array<f64> = interp.eval("[n / 2 for n in range(100_000)]")?;
/// assert_eq!(floats.iter().sum::<f64>(), 2_499_975_000.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Array<T>(Numbers<T>);

#[derive(Clone)]
enum Numbers<T> {
    Shared(Items<T>),
    Own(Vec<T>),
}

impl<T> Deref for Array<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.0 {
            Numbers::Shared(items) => items,
            Numbers::Own(items) => items,
        }
    }
}

impl<T> AsRef<[T]> for Array<T> {
    fn as_ref(&self) -> &[T] {
        self
    }
}

impl<T: PartialEq> PartialEq for Array<T> {
    fn eq(&self, other: &Array<T>) -> bool {
        **self == **other
    }
}

impl<T: fmt::Debug> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: Element + FromValue> FromValue for Array<T> {
    const ROOT: Results = Buffer::ROOT;

    fn from_value(value: Value) -> std::result::Result<Array<T>, WrongType> {
        let Value::Buffer(buffer) = value else {
            let Value::List(items) = value else { return Err(WrongType::expected("a row of numbers", &value)) };
            return T::list_from(items).map(Numbers::Own).map(Array);
        };
        if buffer.shape().len() != 1 {
            let count = buffer.shape().len();
            return Err(WrongType::new(format!("a buffer of {count} dimensions is not a row of numbers")));
        }
        if let Some(items) = Items::of(&buffer.export) {
            return Ok(Array(Numbers::Shared(items)));
        }
        match buffer.export.copy::<T>() {
            Ok(items) => Ok(Array(Numbers::Own(items))),
            Err(_) => {
                let items = buffer.to_list().ok_or_else(|| WrongType::new(buffer.wrong::<T>()))?;
                T::list_from(items).map(Numbers::Own).map(Array)
            }
        }
    }
}
