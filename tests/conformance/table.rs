//! conformance/cases.json, as those read it who write tests of it in Rust.
#![allow(dead_code)] // each of them uses a part of it

use serde_json::Value as Json;

pub fn table() -> Json {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/conformance/cases.json")).expect("the table");
    serde_json::from_str(&text).expect("JSON")
}

/// What say() adds for interpreters with processes of their own.
pub const IN_PROCESSES: &str = ", in processes";

/// What a list of cases is of, besides running something.
#[derive(Clone, Copy, PartialEq)]
pub enum Of {
    Running,
    Host,
    Limits,
    Output,
    Data,
}

pub const LISTS: [(&str, Of); 5] =
    [("cases", Of::Running), ("host", Of::Host), ("limits", Of::Limits), ("output", Of::Output), ("data", Of::Data)];

/// Members of the cases of data, besides those of limits.
pub const OF_DATA: [&str; 9] =
    ["tagged_values", "memory_limit", "flags", "object", "object_in", "queue", "queue_closed", "queue_after", "pool"];

/// All cases but those of many calls at once.
pub fn all_cases() -> Vec<(Of, Json)> {
    let table = table();
    let list = |(name, of): (&str, Of)| {
        table[name].as_array().expect(name).iter().map(|case| (of, case.clone())).collect::<Vec<(Of, Json)>>()
    };
    LISTS.into_iter().flat_map(list).collect()
}

/// The times of a case, and what it is to print.
pub fn number(case: &Json, member: &str) -> Option<i64> {
    case.get(member).map(|number| number.as_i64().expect("a number"))
}

/// Those of many calls at once.
pub fn many() -> Vec<Json> {
    table()["many"].as_array().expect("many").clone()
}

pub fn text<'a>(case: &'a Json, member: &str) -> &'a str {
    case[member].as_str().unwrap_or_default()
}

pub fn items(value: &Json) -> &[Json] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// `{"tag": "set", "value": ...}`
pub fn with_tag(value: &Json) -> Option<(&str, &Json)> {
    Some((value.get("tag")?.as_str().expect("a tag"), &value["value"]))
}

/// The one member of `{"int": "12"}`.
pub fn tagged(value: &Json) -> (&str, &Json) {
    let object = value.as_object().expect("a value");
    let (tag, inner) = object.iter().next().expect("one member");
    assert_eq!(object.len(), 1, "{value}");
    (tag, inner)
}

pub fn bytes(hex: &Json) -> Vec<u8> {
    let hex = hex.as_str().expect("hexadecimal");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal")).collect()
}

pub fn bits(hex: &Json) -> u64 {
    u64::from_str_radix(hex.as_str().expect("hexadecimal"), 16).expect("the bits of a double")
}

/// The first error among the outcomes of many calls, and its row.
pub fn first_error(case: &Json) -> Option<(usize, &Json)> {
    let errors = items(&case["outcomes"]).iter().enumerate();
    errors.filter_map(|(row, outcome)| Some((row, outcome.get("error")?))).next()
}

pub fn say(count: usize, language: &str) {
    tell(&format!("conformance: {count} cases in {language}\n"));
}

pub fn tell(line: &str) {
    // Not with println!, which is shown for failed tests alone.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
}
