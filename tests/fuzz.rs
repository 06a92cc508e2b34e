//! The fuzzing targets that have a CPython, with all inputs that are kept (`fuzz/`). Those of the library's inside are run by
//! `src/fuzzing.rs`.

#[path = "../fuzz/python.rs"]
mod python;
mod support;

use std::fs;
use std::path::Path;

use subpy::RuntimeOptions;

fn each(name: &str, target: fn(&[u8])) {
    subpy::init(&RuntimeOptions::new().python(support::python())).expect("CPython starts");
    let folders =
        ["corpus", "found"].map(|kept| Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(kept).join(name));
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten());
    let mut files: Vec<_> = files.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(files.len() > 20, "the inputs are there");
    for file in files {
        // The name is shown when it fails.
        println!("{}", file.display());
        target(&fs::read(&file).expect("a file"));
    }
}

#[test]
fn sources() {
    each("sources", python::sources);
}

#[test]
fn objects() {
    each("objects", python::objects);
}

#[test]
fn exceptions() {
    each("exceptions", python::exceptions);
}

#[test]
fn calls() {
    each("calls", python::calls);
}
