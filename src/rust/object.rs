//! Objects that stay in Python.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::args::{Arg, Args};
use super::call::{self, Call, NO_KWARGS};
use super::interpreter::Interpreter;
use super::to_rust::FromValue;
use super::unless_forked;
use crate::manager::{self, Act, Kind, Result, forked};

/// An object that stays in Python: a model, a connection, a generator. Ask for one where a result is wanted, and for its
/// attributes, items and calls.
///
/// It belongs to its interpreter, and may outlive it: then what is done with it is [`Kind::NotFound`]. As an argument it
/// is the very object in its own interpreter, and [`Kind::Elsewhere`] in another one. Clones are the same object.
/// Dropping it never blocks and runs no Python; the Python object is given back when the interpreter is entered next.
///
/// ```
/// # fn main() -> subpy::Result<()> {
/// use subpy::{Interpreter, Object};
///
/// let interp = Interpreter::create()?;
/// interp.exec("class Model:\n    size = 3\n    def predict(self, x): return x * self.size")?;
/// let model: Object = interp.call("Model", ())?;
/// assert_eq!(model.call_method::<i64>("predict", (14,))?, 42);
/// assert_eq!(model.attr::<i64>("size")?, 3);
///
/// let squares: Object = interp.eval("(n * n for n in range(4))")?;
/// assert_eq!(squares.iter()?.collect::<subpy::Result<Vec<i64>>>()?, [0, 1, 4, 9]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Object(Arc<Handle>);

/// The duty to free a handle.
struct Handle(u64);

impl Drop for Handle {
    fn drop(&mut self) {
        // In a fork a lock may be held by a thread that does not exist there.
        if !forked() {
            manager::object_free(self.0);
        }
    }
}

impl Object {
    /// The one of a handle that is only borrowed.
    pub(super) fn keep(handle: u64) -> Result<Object> {
        Ok(Object(Arc::new(Handle(manager::object_keep(handle)?))))
    }

    pub(super) fn handle(&self) -> u64 {
        self.0.0
    }

    fn act<T: FromValue>(&self, act: Act) -> Result<T> {
        call::run_for(|wanted| manager::object_act(self.handle(), act, wanted))
    }

    /// Its interpreter, without owning it.
    ///
    /// # Errors
    /// [`Kind::Forked`] in a fork.
    pub fn interpreter(&self) -> Result<Interpreter> {
        unless_forked(|| manager::object_interp(self.handle())).map(Interpreter::from_handle)
    }

    /// An attribute. Python: `getattr()`.
    ///
    /// # Errors
    /// As [`Interpreter::eval`]: [`Kind::ExecutionFailed`] with an AttributeError when there is none.
    pub fn attr<T: FromValue>(&self, name: &str) -> Result<T> {
        self.act(Act::Attribute(name))
    }

    /// An item. Python: `object[key]`.
    ///
    /// # Errors
    /// As [`Interpreter::eval`]: [`Kind::ExecutionFailed`] with a KeyError or an IndexError when there is none.
    pub fn item<T: FromValue>(&self, key: impl Arg) -> Result<T> {
        let key = Call::new((key,), NO_KWARGS)?;
        self.act(Act::Item(key.args()?))
    }

    /// Calls it.
    ///
    /// # Errors
    /// As [`Interpreter::call`].
    pub fn call<T: FromValue>(&self, args: impl Args) -> Result<T> {
        self.call_kw(args, NO_KWARGS)
    }

    /// The same, with keyword arguments. When they are of different types, each is a [`Value`](crate::Value).
    ///
    /// # Errors
    /// As [`Interpreter::call`].
    pub fn call_kw<T: FromValue>(
        &self,
        args: impl Args,
        kwargs: impl IntoIterator<Item = (impl Into<String>, impl Arg)>,
    ) -> Result<T> {
        let call = Call::new(args, kwargs)?;
        self.act(Act::Call(None, call.args()?))
    }

    /// Calls a method of it.
    ///
    /// # Errors
    /// As [`Interpreter::call`].
    pub fn call_method<T: FromValue>(&self, name: &str, args: impl Args) -> Result<T> {
        self.call_method_kw(name, args, NO_KWARGS)
    }

    /// The same, with keyword arguments. When they are of different types, each is a [`Value`](crate::Value).
    ///
    /// # Errors
    /// As [`Interpreter::call`].
    pub fn call_method_kw<T: FromValue>(
        &self,
        name: &str,
        args: impl Args,
        kwargs: impl IntoIterator<Item = (impl Into<String>, impl Arg)>,
    ) -> Result<T> {
        let call = Call::new(args, kwargs)?;
        self.act(Act::Call(Some(name), call.args()?))
    }

    /// Iterates over it: over a list, a dict, a generator. Each step is a run of its own. Python: `iter()`.
    ///
    /// # Errors
    /// As [`Interpreter::eval`]: [`Kind::ExecutionFailed`] with a TypeError when it cannot be iterated over.
    pub fn iter<T: FromValue>(&self) -> Result<ObjectIter<T>> {
        let handle = call::run(|| manager::object_iter(self.handle()))?;
        Ok(ObjectIter { iterator: Some(Object(Arc::new(Handle(handle)))), elements: PhantomData })
    }

    /// Its value: a copy, as [`Interpreter::eval`] has it.
    ///
    /// # Errors
    /// As [`Interpreter::eval`].
    pub fn value<T: FromValue>(&self) -> Result<T> {
        self.act(Act::Value)
    }

    /// It as text. Python: `str()`.
    ///
    /// # Errors
    /// As [`Interpreter::eval`].
    pub fn text(&self) -> Result<String> {
        self.act(Act::Text)
    }
}

/// Whether one is a clone of the other.
impl PartialEq for Object {
    fn eq(&self, other: &Object) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Object {}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_tuple("Object").field(&self.handle()).finish()
    }
}

/// What [`Object::iter`] iterates with. It ends with the elements, and with the first error that is not about one
/// element alone ([`Kind::NotShareable`], [`Kind::WrongType`]): such an element was taken, and the next one follows.
#[derive(Debug)]
pub struct ObjectIter<T> {
    /// None: at the end.
    iterator: Option<Object>,
    elements: PhantomData<fn() -> T>,
}

impl<T: FromValue> Iterator for ObjectIter<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        let mut more = false;
        let iterator = self.iterator.as_ref()?.handle();
        let element = call::run_to_value::<T>(|wanted| manager::object_act(iterator, Act::Next(&mut more), wanted));
        let element = match element {
            Ok(_) if !more => {
                self.iterator = None;
                return None;
            }
            element => element.and_then(call::result),
        };
        if let Err(error) = &element
            && !matches!(error.kind, Kind::NotShareable(_) | Kind::WrongType(_))
        {
            self.iterator = None;
        }
        Some(element)
    }
}
