//! The registry beside the books of what CPython says (`hooks`), under a model checker (loom): who registers, who looks for
//! what is there, and who ends it. `tests/run model` runs it, `make test-model` with more orders.

use std::sync::Arc;

use loom::thread::{self, JoinHandle};

use super::Registry;
use crate::python::model::{Mutex, WHOLE, lock};

const HANDLE: u64 = 4;

/// What the books say of the one interpreter of a model, as `hooks` has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Known {
    Nothing,
    Ours,
    Foreign,
    Gone,
}

/// Whose it is.
type Thing = Known;

struct World {
    registry: Registry<Thing>,
    books: Mutex<Known>,
}

impl World {
    fn new(known: Known) -> Arc<World> {
        Arc::new(World { registry: Registry::new(), books: Mutex::new(known) })
    }

    fn says(&self, known: Known) -> bool {
        *lock(&self.books) == known
    }

    /// `hooks::watch`
    fn watch(&self) -> bool {
        let mut books = lock(&self.books);
        let alive = *books != Known::Gone;
        if alive {
            *books = Known::Ours;
        }
        alive
    }

    /// `Interpreter::register`
    fn register(&self) -> Option<Arc<Thing>> {
        let ours = Arc::new(Known::Ours);
        self.registry.register(HANDLE, &ours, || self.watch()).then_some(ours)
    }

    /// `interpreter::by_id`
    fn find(&self) -> Option<Arc<Thing>> {
        let make = || self.says(Known::Foreign).then(|| Arc::new(Known::Foreign));
        self.registry.find(HANDLE, |it| self.is_known(it), make)
    }

    /// `interpreter::get`, of one that Python code made
    fn get(&self) -> Option<Arc<Thing>> {
        self.registry.find(HANDLE, |it| self.is_known(it), || None)
    }

    fn is_known(&self, it: &Thing) -> bool {
        *it == Known::Ours || self.says(Known::Foreign)
    }

    /// The hook: CPython clears it, and tells the one whose it is.
    fn is_cleared(&self) {
        let before = std::mem::replace(&mut *lock(&self.books), Known::Gone);
        if before == Known::Ours {
            self.registry.remove(HANDLE);
        }
    }
}

fn go(world: &Arc<World>, act: impl FnOnce(&World) + 'static) -> JoinHandle<()> {
    let world = Arc::clone(world);
    thread::spawn(move || act(&world))
}

fn join<const COUNT: usize>(threads: [JoinHandle<()>; COUNT]) {
    threads.into_iter().for_each(|thread| thread.join().expect(WHOLE));
}

/// What was created is there for everybody until it ends: nobody who looks for it removes or replaces it.
#[test]
fn what_is_registered_stays() {
    loom::model(|| {
        let world = World::new(Known::Nothing);
        let others = [(); 2].map(|()| {
            go(&world, |world| {
                let found = world.find();
                assert!(found.is_none_or(|it| *it == Known::Ours));
            })
        });
        let ours = world.register().expect("nobody ends it");
        assert!(world.find().is_some_and(|it| Arc::ptr_eq(&it, &ours)));
        join(others);
        assert!(world.registry.get(HANDLE).is_some_and(|it| Arc::ptr_eq(&it, &ours)));
    });
}

/// One of ours that a guest ends while it is created, or later: it is refused, or it goes, and never comes back.
#[test]
fn what_is_ended_goes() {
    loom::model(|| {
        let world = World::new(Known::Nothing);
        let threads = [go(&world, World::is_cleared), go(&world, |world| drop(world.find()))];
        let registered = world.register();
        join(threads);
        assert!(world.registry.get(HANDLE).is_none(), "{:?}", registered.is_some());
        assert!(world.find().is_none());
    });
}

/// One that Python code made, and that is looked for while it ends: afterwards nobody finds it.
#[test]
fn what_is_foreign_is_not_found_when_it_is_gone() {
    loom::model(|| {
        let world = World::new(Known::Foreign);
        let threads = [go(&world, World::is_cleared), go(&world, |world| drop(world.find()))];
        if let Some(found) = world.find() {
            assert_eq!(*found, Known::Foreign);
        }
        drop(world.get());
        join(threads);
        assert!(world.get().is_none() && world.find().is_none());
    });
}
