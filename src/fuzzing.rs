//! What the fuzzing targets run (`fuzz/`): each takes bytes, makes of them what somebody else might send, pass or put on a
//! disk, and panics when what comes of it is not as it should be. The tests run them with all inputs that are kept. None of
//! this is there in a build for use.

pub use crate::process::fuzzing::{value, wire};
pub use crate::python::find::fuzzing::locator;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    fn each(name: &str, target: fn(&[u8])) {
        let mut count = 0;
        for kept in ["corpus", "found"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(kept).join(name);
            for file in fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").path()) {
                let data = fs::read(&file).expect("a file");
                // The name is shown when it fails.
                println!("{}", file.display());
                target(&data);
                count += 1;
            }
        }
        assert!(count > 20, "the inputs are there");
    }

    #[test]
    fn wire() {
        each("wire", super::wire);
    }

    #[test]
    fn value() {
        each("value", super::value);
    }

    #[test]
    fn locator() {
        each("locator", super::locator);
    }
}
