//! The table as one program in C or C++. The headers that it includes are beside this file, in tests/c and in tests/cpp.

use serde_json::Value as Json;

use crate::c::{c_case, c_many};
use crate::cpp::{cpp_case, cpp_many};
use crate::table::{Of, all_cases, many};

/// What makes the function of a case.
type MakeCase = fn(usize, Of, &Json) -> String;
type MakeMany = fn(usize, &Json) -> String;

/// The program, and how many cases it has.
pub fn program(cpp: bool) -> (String, usize) {
    let (runner, main, case, many_case): (_, _, MakeCase, MakeMany) = if cpp {
        ("runner.hpp", "int main() {\n", cpp_case, cpp_many)
    } else {
        ("runner.h", "int main(void) {\n", c_case, c_many)
    };
    let (cases, many) = (all_cases(), many());
    let mut program = format!("#include \"{runner}\"\n\n");
    for (number, (of, json)) in cases.iter().enumerate() {
        program += &case(number, *of, json);
    }
    for (number, json) in many.iter().enumerate() {
        program += &many_case(number, json);
    }
    program += main;
    for number in 0..cases.len() {
        program += &format!("  case_{number}();\n");
    }
    for number in 0..many.len() {
        program += &format!("  many_{number}();\n");
    }
    program += "  return 0;\n}\n";
    (program, cases.len() + many.len())
}
