//! Counts words with one interpreter for each core.

use std::collections::BTreeMap;
use std::error::Error;
use std::thread;

use subpy::{Interpreter, Kind};

const SOURCE: &str = "
import collections

def count(text, *, least=1):
    words = collections.Counter(text.lower().split())
    return {word: n for word, n in words.items() if n >= least}
";

fn main() -> Result<(), Box<dyn Error>> {
    let texts = ["To be or not to be", "that is the question"];

    // One interpreter for each text; they run at the same time.
    let counts = thread::scope(|scope| {
        let threads = texts.map(|text| scope.spawn(move || count(text)));
        threads.map(|thread| thread.join().expect("no panic"))
    });
    for (text, words) in texts.iter().zip(counts) {
        println!("{text}: {:?}", words?);
    }

    // What goes wrong in Python is an error like any other, with its traceback.
    let interp = Interpreter::create()?;
    interp.exec(SOURCE)?;
    match interp.call::<()>("count", (42,)) {
        Err(error) => match &error.kind {
            Kind::ExecutionFailed(exception) => println!("{}", exception.display),
            _ => return Err(error.into()),
        },
        Ok(()) => println!("42 has words?"),
    }

    interp.close()?;
    Ok(subpy::shutdown()?)
}

fn count(text: &str) -> subpy::Result<BTreeMap<String, u32>> {
    let interp = Interpreter::create()?;
    interp.exec(SOURCE)?;
    interp.call_kw("count", (text,), [("least", 1)])
}
