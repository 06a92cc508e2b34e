//! The table as a program in C++, which runner.hpp makes complete.

use serde_json::Value as Json;

use crate::c::{TEXTS, int, literal, literals};
use crate::table::*;

fn cpp_value(json: &Json) -> String {
    match json {
        Json::Null => return "value(nullptr)".into(),
        Json::Bool(truth) => return format!("value({truth})"),
        Json::String(text) => return format!("value(std::string({}))", literals(text)),
        _ => {}
    }
    if let Some((tag, value)) = with_tag(json) {
        let tag = if tag == "enum" { "enumeration" } else { tag };
        return format!("value::tagged(subpy::tag::{tag}, {})", cpp_value(value));
    }
    let (tag, inner) = tagged(json);
    match tag {
        "object" => format!("object_with_text(std::string({}))", literals(inner.as_str().expect("a text"))),
        "buffer" => format!("buffer_with(\"{}\", {})", text(inner, "format"), shape_and_bytes(inner)),
        "int" => format!("value(std::int64_t({}))", int(inner)),
        "bigint" => format!("value(subpy::bigint{{{}}})", literal(inner.as_str().expect("an int").as_bytes()).0),
        "float" => format!("number({}U)", bits(inner)),
        "bytes" => {
            let (literal, len) = literal(&bytes(inner));
            format!("value(subpy::bytes_view({literal}, {len}))")
        }
        "dict" => {
            let pair = |pair: &Json| format!("{{{}, {}}}", cpp_value(&pair[0]), cpp_value(&pair[1]));
            format!("value::dict({{{}}})", items(inner).iter().map(pair).collect::<Vec<_>>().join(", "))
        }
        kind => format!("value::{kind}({{{}}})", items(inner).iter().map(cpp_value).collect::<Vec<_>>().join(", ")),
    }
}

/// The arguments of buffer_with() and buffer_of().
fn shape_and_bytes(buffer: &Json) -> String {
    let shape: Vec<String> = items(&buffer["shape"]).iter().map(Json::to_string).collect();
    let (literal, len) = literal(&bytes(&buffer["bytes"]));
    format!("{{{}}}, std::string({literal}, {len})", shape.join(", "))
}

/// A value as an argument: memory of the program's is none that a value owns.
fn cpp_argument(json: &Json) -> String {
    let Some(buffer) = json.get("buffer") else { return cpp_value(json) };
    let item = match text(buffer, "format") {
        "h" => "std::int16_t",
        other => panic!("no C++ type for {other}"),
    };
    format!("buffer_of<{item}>({})", shape_and_bytes(buffer))
}

pub fn cpp_case(number: usize, of: Of, case: &Json) -> String {
    let name = literal(text(case, "name").as_bytes()).0;
    let string = |text: &str| format!("std::string({})", literals(text));
    let time = |member: &str| Some(format!("std::chrono::milliseconds({})", crate::table::number(case, member)?));
    let mut body = format!("void case_{number}() {{\n  subpy::interpreter_options made_with;\n");
    if let Some(limit) = time("interp_timeout_ms") {
        body += &format!("  made_with.timeout = {limit};\n");
    }
    for flag in ["no_stdin", "tagged_values"] {
        if case[flag] == true {
            body += &format!("  made_with.{flag} = true;\n");
        }
    }
    if let Some(limit) = crate::table::number(case, "memory_limit") {
        body += &format!("  made_with.memory_limit = {limit};\n");
    }
    body +=
        &format!("  const auto interp = prepared({}, made_with, {});\n", string(text(case, "setup")), of == Of::Host);
    let script = string(text(case, "text"));
    let named = |pair: &Json| format!("kw({}, {})", string(pair[0].as_str().expect("a name")), cpp_value(&pair[1]));
    let mut arguments: Vec<String> = items(&case["args"]).iter().map(cpp_argument).collect();
    if let Some(expression) = case.get("object") {
        let of = if case.get("object_in").is_some() { "another" } else { "interp" };
        body += &format!(
            "  const auto another = prepared(\"\");\n  const auto object = {of}.eval<subpy::object>({});\n",
            string(expression.as_str().expect("an expression"))
        );
        arguments.insert(0, "object".into());
    }
    if case.get("queue").is_some() {
        arguments.insert(0, "queue".into());
    }
    arguments.extend(items(&case["kwargs"]).iter().map(named));
    let list = arguments.join(", ");
    let after = if list.is_empty() { String::new() } else { format!(", {list}") };
    let mut options = String::new();
    if let Some(filename) = case.get("filename").and_then(Json::as_str) {
        options += &format!("options.filename = {}; ", literal(filename.as_bytes()).0);
    }
    if case["keep_indent"] == true {
        options += "options.keep_indent = true; ";
    }
    if let Some(limit) = time("timeout_ms") {
        options += &format!("options.timeout = {limit}; ");
    }
    for flag in items(&case["flags"]) {
        let option = match flag.as_str().expect("a flag") {
            "object" => "keep_object",
            "buffer" => "buffers",
            "array" => "arrays",
            "async" => "run_async",
            same => same,
        };
        options += &format!("options.{option} = true; ");
    }
    body += &format!("  subpy::run_options options;\n  {options}\n");
    match text(case, "output") {
        "run" => body += "  printed printed;\n  options.output = printed.to();\n",
        "interpreter" => body += "  printed printed;\n  interp.set_output(printed.to());\n",
        _ => {}
    }
    // Calls take options only where there are some.
    let with = if of == Of::Limits || of == Of::Data { "options, " } else { "" };
    let first = if with.is_empty() || !list.is_empty() { with } else { "options" };
    let task = |task: &str| format!("pool_with({}).{task}.value().try_get()", string(text(case, "setup")));
    let outcomes = match text(case, "do") {
        "call" if case["pool"] == true => vec![task(&format!("try_submit<value>(options, {script}{after})"))],
        "exec" if case["pool"] == true => vec![task(&format!("try_submit_exec({script}, options)"))],
        "exec" => vec![format!("interp.try_exec({script}, options)")],
        "eval" => vec![format!("interp.try_eval<value>({script}, options)")],
        "prepare_main" => {
            body += &format!("  interp.prepare_main({list});\n");
            vec![format!("interp.try_eval<value>({script}, options)")]
        }
        _ => vec![
            format!("interp.try_call<value>({with}{script}{after})"),
            format!(
                "[&]() -> subpy::result<value> {{ auto f = interp.try_function({script}); if (!f) return f.error(); return \
                 f->try_call<value>({first}{list}); }}()"
            ),
            format!(
                "[&]() -> subpy::result<value> {{ auto t = interp.try_call_in_thread({with}{script}{after}); if (!t) return t.error(); \
                 return t->template try_join<value>(); }}()"
            ),
            format!(
                "[&] {{ const auto session = interp.enter(); return interp.try_call<value>({with}{script}{after}); }}()"
            ),
        ],
    };
    for mut outcome in outcomes {
        if let Some(after) = time("cancel_ms") {
            outcome = format!("cancelled_after({after}, options, [&] {{ return {outcome}; }})");
        }
        body += "  {\n";
        let values = |values: &Json| items(values).iter().map(cpp_value).collect::<Vec<_>>().join(", ");
        if let Some(queue) = case.get("queue") {
            body +=
                &format!("    const auto queue = queue_of({{{}}}, {});\n", values(queue), case["queue_closed"] == true);
        }
        match (case.get("error"), case.get("result")) {
            (Some(error), _) => {
                body += &format!("    const auto error = failed({name}, {outcome}, \"{}\");\n", text(error, "status"));
                body += &cpp_error(error);
            }
            (None, Some(result)) => body += &format!("    expect({name}, {outcome}, {});\n", cpp_value(result)),
            (None, None) => body += &format!("    expect_ok({name}, {outcome});\n"),
        }
        for (member, found) in [("stdout", "printed.out"), ("stderr", "printed.err")] {
            if let Some(expected) = case.get(member).and_then(Json::as_str) {
                body += &format!("    CHECK_TEXT({found}, std::string_view({}));\n", literals(expected));
            }
        }
        if let Some(length) = case.get("stdout_length") {
            body += &format!("    CHECK(characters(printed.out) == {length});\n");
        }
        if let Some(after) = case.get("queue_after") {
            body += &format!("    expect_queue(queue, {{{}}});\n", values(after));
        }
        body += "  }\n";
    }
    body + "}\n\n"
}

fn cpp_error(error: &Json) -> String {
    let mut body = String::new();
    for member in TEXTS {
        let Some(expected) = error.get(member).and_then(Json::as_str) else { continue };
        let found = match member {
            "message" => "error.message()".into(),
            "exception_message" => "error.excinfo()->msg()".into(),
            "display" => "error.excinfo()->errdisplay()".into(),
            other => format!("error.excinfo()->{other}()"),
        };
        body += &format!("    CHECK_TEXT({found}, std::string_view({}));\n", literals(expected));
    }
    if let Some(frames) = error.get("frames") {
        body += &format!(
            "    const auto frames = error.excinfo()->frames();\n    CHECK(frames.size() == {});\n",
            items(frames).len()
        );
        for (index, frame) in items(frames).iter().enumerate() {
            let (file, function) =
                (literal(text(frame, "file").as_bytes()).0, literal(text(frame, "function").as_bytes()).0);
            body += &format!(
                "    CHECK(frames[{index}].file == {file} && frames[{index}].line == {} && frames[{index}].function == {function});\n",
                frame["line"]
            );
            if let Some(source) = frame.get("source").and_then(Json::as_str) {
                body += &format!("    CHECK_TEXT(frames[{index}].source, std::string_view({}));\n", literals(source));
            }
        }
    }
    if let Some(syntax) = error.get("syntax") {
        body += &format!(
            "    CHECK(error.syntax()->line == {} && error.syntax()->column == {});\n    CHECK_TEXT(error.syntax()->text, {});\n",
            syntax["line"],
            syntax["column"],
            literal(text(syntax, "text").as_bytes()).0
        );
    }
    if let Some(status) = error.get("exit_status") {
        body += &format!("    CHECK(error.excinfo()->exit_status() == {status});\n");
    }
    body
}

pub fn cpp_many(number: usize, case: &Json) -> String {
    let name = literal(text(case, "name").as_bytes()).0;
    let string = |text: &str| format!("std::string({})", literals(text));
    let row = |row: &Json| format!("{{{}}}", items(row).iter().map(cpp_value).collect::<Vec<_>>().join(", "));
    let rows: Vec<String> = items(&case["rows"]).iter().map(row).collect();
    let mut body = format!(
        "void many_{number}() {{\n  const auto interp = prepared({});\n  const auto f = interp.function({});\n  \
         const std::vector<std::vector<value>> lists{{{}}};\n  const auto rows = unpacked_all(lists);\n  \
         const auto stopped = f.try_call_many<value>(rows);\n  const auto each = f.try_call_each<value>(rows);\n",
        string(text(case, "setup")),
        string(text(case, "text")),
        rows.join(", "),
    );
    let fails = |outcome: &str, error: &Json, row: Option<u64>| {
        let row = row.map_or("!error.row()".into(), |row| format!("error.row() == {row}U"));
        format!(
            "  {{\n    const auto error = failed({name}, {outcome}, \"{}\");\n{}    CHECK({row});\n  }}\n",
            text(error, "status"),
            cpp_error(error)
        )
    };
    if let Some(error) = case.get("ends") {
        let row = error.get("row").map(|row| row.as_u64().expect("a row"));
        return body + &fails("stopped", error, row) + &fails("each", error, row) + "}\n\n";
    }
    let outcomes = items(&case["outcomes"]);
    let first = first_error(case);
    match first {
        Some((row, error)) => body += &fails("stopped", error, Some(row as u64)),
        None => body += &format!("  expect_ok({name}, stopped);\n  CHECK(stopped->size() == {});\n", outcomes.len()),
    }
    body += &format!("  expect_ok({name}, each);\n  CHECK(each->size() == {});\n", outcomes.len());
    for (row, outcome) in outcomes.iter().enumerate() {
        if let Some(error) = outcome.get("error") {
            body += &fails(&format!("(*each)[{row}]"), error, Some(row as u64));
            continue;
        }
        let expected = cpp_value(&outcome["result"]);
        body += &format!("  expect({name}, (*each)[{row}], {expected});\n");
        if first.is_none() {
            body += &format!("  expect({name}, (*stopped)[{row}], {expected});\n");
        }
    }
    body + "}\n\n"
}
