#![no_main]

#[path = "../python.rs"]
#[allow(dead_code)]
mod python;

libfuzzer_sys::fuzz_target!(|data: &[u8]| python::objects(data));
