//! The table as a program in C, which runner.h makes complete.

use std::fmt::Write;

use serde_json::Value as Json;

use crate::table::*;

/// A literal of these bytes, and their number.
pub fn literal(bytes: &[u8]) -> (String, usize) {
    let mut text = String::from("\"");
    for byte in bytes {
        match byte {
            b'"' | b'\\' | b'?' => write!(text, "\\{}", char::from(*byte)),
            b' '..=b'~' => write!(text, "{}", char::from(*byte)),
            // Three digits always: what follows may be a digit.
            other => write!(text, "\\{other:03o}"),
        }
        .expect("memory");
    }
    text.push('"');
    (text, bytes.len())
}

/// Literal and length, as two arguments.
pub fn literals(text: &str) -> String {
    let (literal, len) = literal(text.as_bytes());
    format!("{literal}, {len}")
}

pub fn int(json: &Json) -> String {
    match json.as_str().expect("an int") {
        "-9223372036854775808" => "INT64_MIN".into(),
        other => format!("INT64_C({other})"),
    }
}

fn c_value(json: &Json) -> String {
    match json {
        Json::Null => return "subpy_none()".into(),
        Json::Bool(value) => return format!("subpy_bool({value})"),
        Json::String(text) => return format!("subpy_str({})", literals(text)),
        _ => {}
    }
    if let Some((tag, value)) = with_tag(json) {
        return format!("with_tag({}, SUBPY_TAG_{})", c_value(value), tag.to_uppercase());
    }
    let (tag, inner) = tagged(json);
    let array = |kind: &str| {
        let values: Vec<String> = items(inner).iter().map(c_value).collect();
        match values.len() {
            0 => format!("subpy_{kind}(NULL, 0)"),
            len => format!("subpy_{kind}((subpy_value[]){{{}}}, {len})", values.join(", ")),
        }
    };
    match tag {
        "int" => format!("subpy_int({})", int(inner)),
        "bigint" => format!("subpy_bigint({})", literals(inner.as_str().expect("an int"))),
        "float" => format!("subpy_float(from_bits(UINT64_C({})))", bits(inner)),
        "bytes" => {
            let (literal, len) = literal(&bytes(inner));
            format!("subpy_bytes((const uint8_t *){literal}, {len})")
        }
        "dict" => c_dict(items(inner)),
        "object" => format!("object_with_text({})", literals(inner.as_str().expect("a text"))),
        "buffer" => {
            let (literal, len) = literal(&bytes(&inner["bytes"]));
            let shape: Vec<String> = items(&inner["shape"]).iter().map(Json::to_string).collect();
            format!(
                "subpy_value_from_buffer(&(subpy_buffer){{.size = sizeof(subpy_buffer), .data = {literal}, .len = {len}, .format = \"{}\", \
                 .shape = (size_t[]){{{}}}, .ndim = {}}})",
                text(inner, "format"),
                shape.join(", "),
                shape.len()
            )
        }
        kind => array(kind),
    }
}

/// A dict of pairs, whose keys are values or names.
fn c_dict(pairs: &[Json]) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|pair| format!("{{{}, {}}}", c_value(&pair[0]), c_value(&pair[1]))).collect();
    match pairs.len() {
        0 => "subpy_dict(NULL, 0)".into(),
        len => format!("subpy_dict((subpy_pair[]){{{}}}, {len})", pairs.join(", ")),
    }
}

pub fn c_case(number: usize, of: Of, case: &Json) -> String {
    let name = literal(text(case, "name").as_bytes()).0;
    let time = |member: &str, or: i64| crate::table::number(case, member).unwrap_or(or);
    let mut body = format!(
        "static void case_{number}(void) {{\n  const struct wanted wanted = {{.host = {}, .captured = {}, .interp_timeout_ms = {}, \
         .interp_flags = {} | {}, .memory_limit = {}, .cancel_ms = {}}};\n  subpy_interp interp = begin_wanted({}, &wanted);\n  \
         subpy_error *error = NULL;\n",
        of == Of::Host,
        case["output"] == "interpreter",
        time("interp_timeout_ms", 0),
        if case["no_stdin"] == true { "SUBPY_INTERP_NO_STDIN" } else { "0" },
        if case["tagged_values"] == true { "SUBPY_INTERP_TAGGED_VALUES" } else { "0" },
        time("memory_limit", 0),
        time("cancel_ms", -1),
        literals(text(case, "setup"))
    );
    let what = match text(case, "do") {
        "exec" => "EXEC",
        "call" => "CALL",
        _ => "EVAL",
    };
    let (script, len) = literal(text(case, "text").as_bytes());
    body += &format!(
        "  subpy_run_request request = {{.size = sizeof request, .interp = interp, .what = SUBPY_RUN_{what}, .text = {script}, .text_len = {len}}};\n"
    );
    if let Some(filename) = case.get("filename").and_then(Json::as_str) {
        body += &format!("  request.filename = {};\n", literal(filename.as_bytes()).0);
    }
    if case["keep_indent"] == true {
        body += "  request.flags = SUBPY_KEEP_INDENT;\n";
    }
    for flag in items(&case["flags"]) {
        let flag = flag.as_str().expect("a flag");
        let of = if flag == "async" { "RUN" } else { "RESULT" };
        body += &format!("  request.flags |= SUBPY_{of}_{};\n", flag.to_uppercase());
    }
    if let Some(limit) = case.get("timeout_ms") {
        body += &format!("  request.timeout_ms = {limit};\n");
    }
    if case["output"] == "run" {
        body += "  request.output = print_to, request.output_data = &printed;\n";
    }
    let kwargs = items(&case["kwargs"]);
    if case["do"] == "prepare_main" {
        body +=
            &format!("  subpy_value names = {};\n  OK(subpy_prepare_main(interp, &names, &error));\n", c_dict(kwargs));
    } else if !kwargs.is_empty() {
        body += &format!("  subpy_value kwargs = {};\n  request.kwargs = &kwargs;\n", c_dict(kwargs));
    }
    let mut args: Vec<String> = items(&case["args"]).iter().map(c_value).collect();
    if let Some(expression) = case.get("object") {
        let of = if case.get("object_in").is_some() { "another" } else { "interp" };
        body += &format!(
            "  subpy_interp another = begin(\"\", 0);\n  subpy_value object = object_of({of}, {});\n",
            literals(expression.as_str().expect("an expression"))
        );
        args.insert(0, "object".into());
    }
    let queue = case.get("queue").map(|queue| items(queue).iter().map(c_value).collect::<Vec<String>>());
    if queue.is_some() {
        args.insert(0, "subpy_none()".into());
    }
    if !args.is_empty() {
        body += &format!(
            "  subpy_value args[] = {{{}}};\n  request.args = args, request.nargs = {};\n",
            args.join(", "),
            args.len()
        );
    }
    let ways = if what == "CALL" && case["pool"] != true { "WAYS" } else { "1" };
    body += &format!("  for (int way = 0; way < {ways}; way++) {{\n");
    if let Some(queue) = &queue {
        body += &format!(
            "    subpy_queue queue = queue_of({}, {}, {});\n    args[0] = subpy_value_from_queue(queue);\n",
            c_array(queue),
            queue.len(),
            case["queue_closed"] == true
        );
    }
    body += &match case["pool"] == true {
        true => format!("    struct outcome out = perform_in_pool(request, {});\n", literals(text(case, "setup"))),
        false => "    struct outcome out = perform_wanted(way, request, &wanted);\n".into(),
    };
    match (case.get("error"), case.get("result")) {
        (Some(error), _) => body += &format!("{}    subpy_error_free(out.error);\n", c_error(&name, error)),
        (None, Some(result)) => {
            body +=
                &format!("    subpy_value expected = {};\n    expect_ok({name}, &out, &expected);\n", c_value(result));
        }
        (None, None) => body += &format!("    expect_ok({name}, &out, NULL);\n"),
    }
    for (stream, member) in [(1, "stdout"), (2, "stderr")] {
        if let Some(expected) = case.get(member).and_then(Json::as_str) {
            body += &format!("    expect_printed({name}, {stream}, {});\n", literals(expected));
        }
    }
    if let Some(length) = case.get("stdout_length") {
        body += &format!("    CHECK(characters(1) == {length});\n");
    }
    if let Some(after) = case.get("queue_after") {
        let after: Vec<String> = items(after).iter().map(c_value).collect();
        body += &format!("    expect_queue({name}, queue, {}, {});\n", c_array(&after), after.len());
    }
    if queue.is_some() {
        body += "    subpy_queue_free(queue);\n";
    }
    body += "  }\n";
    if case.get("object").is_some() {
        body += "  subpy_value_free(&object);\n  OK(subpy_close(another, &error));\n";
    }
    body + "  OK(subpy_close(interp, &error));\n}\n\n"
}

pub const TEXTS: [&str; 7] =
    ["message", "type_name", "type_qualname", "type_module", "exception_message", "formatted", "display"];

fn c_error(name: &str, error: &Json) -> String {
    let mut body = format!("    expect_status({name}, &out, {});\n", text(error, "status"));
    for member in TEXTS {
        if let Some(expected) = error.get(member).and_then(Json::as_str) {
            body += &format!("    expect_text({name}, out.error, subpy_error_{member}, {});\n", literals(expected));
        }
    }
    if let Some(frames) = error.get("frames") {
        body += &format!("    CHECK(subpy_error_frame_count(out.error) == {});\n", items(frames).len());
        for (index, frame) in items(frames).iter().enumerate() {
            let (file, function) =
                (literal(text(frame, "file").as_bytes()).0, literal(text(frame, "function").as_bytes()).0);
            let source = frame.get("source").and_then(Json::as_str).map(|source| literal(source.as_bytes()).0);
            let source = source.unwrap_or_else(|| "NULL".into());
            body +=
                &format!("    expect_frame(out.error, {index}, {file}, {}, {function}, {source});\n", frame["line"]);
        }
    }
    if let Some(syntax) = error.get("syntax") {
        let source = literal(text(syntax, "text").as_bytes()).0;
        body += &format!(
            "    int32_t line, column;\n    const char *source;\n    CHECK(subpy_error_syntax(out.error, &line, &column, &source));\n    \
             CHECK(line == {} && column == {} && strcmp(source, {source}) == 0);\n",
            syntax["line"], syntax["column"]
        );
    }
    if let Some(status) = error.get("exit_status") {
        body += &format!(
            "    int32_t exits;\n    CHECK(subpy_error_exit_status(out.error, &exits) && exits == {status});\n"
        );
    }
    body
}

/// The literal of an array, and its length; C has no empty ones.
fn c_array(values: &[String]) -> String {
    if values.is_empty() { "NULL".into() } else { format!("(subpy_value[]){{{}}}", values.join(", ")) }
}

pub fn c_many(number: usize, case: &Json) -> String {
    let name = literal(text(case, "name").as_bytes()).0;
    let rows = items(&case["rows"]);
    let values: Vec<String> = rows.iter().flat_map(items).map(c_value).collect();
    let mut body = format!(
        "static void many_{number}(void) {{\n  subpy_interp interp = begin({});\n  subpy_error *error = NULL;\n  \
         const subpy_value *rows = {};\n  for (uint32_t flags = 0; flags <= SUBPY_RETURN_ERRORS; flags++) {{\n    \
         struct outcome out = perform_many(interp, {}, rows, {}, {}, flags);\n",
        literals(text(case, "setup")),
        c_array(&values),
        literals(text(case, "text")),
        rows.len(),
        rows.first().map_or(0, |row| items(row).len()),
    );
    let fails = |error: &Json, row: Option<u64>| {
        let row = row.map_or("no_row(out.error)".into(), |row| format!("is_of_row(out.error, {row})"));
        format!("{}    CHECK({row});\n    subpy_error_free(out.error);\n", c_error(&name, error))
    };
    if let Some(error) = case.get("ends") {
        body += &fails(error, error.get("row").map(|row| row.as_u64().expect("a row")));
        return body + "  }\n  OK(subpy_close(interp, &error));\n}\n\n";
    }
    if let Some((row, error)) = first_error(case) {
        body += &format!("    if (flags == 0) {{\n{}      continue;\n    }}\n", fails(error, Some(row as u64)));
    }
    let outcomes = items(&case["outcomes"]);
    body += &format!(
        "    CHECK(out.status == SUBPY_OK && out.result.kind == SUBPY_KIND_LIST && out.result.len == {});\n    \
         subpy_value list = out.result;\n",
        outcomes.len()
    );
    for (row, outcome) in outcomes.iter().enumerate() {
        body += &match outcome.get("error") {
            Some(error) => {
                format!(
                    "    out = failed_row(&list.u.as_items[{row}]);\n{}    CHECK(is_of_row(out.error, {row}));\n",
                    c_error(&name, error)
                )
            }
            None => {
                let expected = c_value(&outcome["result"]);
                format!("    CHECK(same(&list.u.as_items[{row}], (subpy_value[]){{{expected}}}));\n")
            }
        };
    }
    body + "    subpy_value_free(&list);\n  }\n  OK(subpy_close(interp, &error));\n}\n\n"
}
