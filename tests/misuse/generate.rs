//! What the harness in C has to know of the interface, from include/subpy.cdef and the comments of include/subpy.h: for
//! each export its parameters, what kind of thing each is, whether it may be NULL, and a function that makes the call.

use std::collections::BTreeMap;
use std::fmt::Write;

/// The kinds of handles, as the harness counts them.
const NOUNS: [&str; 7] = ["interp", "function", "object", "thread", "cancel", "queue", "pool"];

struct Declared {
    /// Without `struct`.
    of: String,
    name: String,
}

struct Function {
    name: String,
    returns: String,
    parameters: Vec<Declared>,
}

/// The comments of the header: of parameters by function and name, of fields by struct and name, and whole ones.
struct Comments {
    parameters: BTreeMap<(String, String), String>,
    whole: BTreeMap<String, String>,
}

/// The part of a program in C that is generated: `exports`, an array.
pub fn exports(cdef: &str, header: &str) -> Result<String, String> {
    let (functions, structs) = declarations(cdef);
    let comments = comments(header);
    let mut text = String::from("/* generated */\n");
    for (name, fields) in structs.iter().filter(|(name, _)| is_input(name)) {
        write_shape(&mut text, name, fields, &comments)?;
    }
    let mut table = String::from("static const export exports[] = {\n");
    for function in &functions {
        write_function(&mut text, function, &comments)?;
        let (name, count) = (&function.name, function.parameters.len());
        let returns = match function.returns.as_str() {
            "subpy_status" if name != "subpy_error_status" => "R_STATUS",
            "void" => "R_VOID",
            "subpy_value" => "R_VALUE",
            "bool" => "R_BOOL",
            "uint32_t" | "uint64_t" | "size_t" | "subpy_interp" | "subpy_status" => "R_NUMBER",
            pointer if pointer.ends_with('*') => "R_POINTER",
            other => {
                return Err(format!("{name} returns {other}: tests/misuse/generate.rs does not know what that is"));
            }
        };
        _ = writeln!(table, "  {{\"{name}\", {returns}, call_{name}, params_{name}, {count}}},");
    }
    table.push_str("};\n");
    Ok(text + &table)
}

/// Structs that a caller fills in, other than values: options and requests.
fn is_input(name: &str) -> bool {
    name.ends_with("_options") || name.ends_with("_request")
}

fn declarations(cdef: &str) -> (Vec<Function>, Vec<(String, Vec<Declared>)>) {
    let (mut functions, mut structs) = (Vec::new(), Vec::new());
    let mut lines = cdef.lines();
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("typedef struct ").filter(|rest| rest.ends_with('{')) {
            let name = rest.trim_end_matches(" {").to_owned();
            let fields = lines.by_ref().take_while(|line| !line.starts_with('}'));
            structs.push((name, fields.map(|field| declared(field.trim().trim_end_matches(';'))).collect()));
        } else if line.ends_with(");") && !line.starts_with("typedef") {
            let (before, parameters) = line.trim_end_matches(");").split_once('(').expect("a function");
            let Declared { of, name } = declared(before);
            let parameters = parameters.split(", ").filter(|one| *one != "void").map(declared).collect();
            functions.push(Function { name, returns: of, parameters });
        }
    }
    (functions, structs)
}

/// "const struct subpy_value *args" is the type "const subpy_value *" and the name "args".
fn declared(text: &str) -> Declared {
    let at = text.rfind([' ', '*']).expect("a type and a name") + 1;
    Declared { of: text[..at].trim().replace("struct ", ""), name: text[at..].to_owned() }
}

fn comments(header: &str) -> Comments {
    let (mut parameters, mut whole) = (BTreeMap::new(), BTreeMap::new());
    let mut comment = String::new();
    let mut inside = String::new();
    let mut lines = header.lines();
    while let Some(line) = lines.next() {
        let trimmed = line.trim();
        if trimmed.starts_with("/**") {
            comment = trimmed.trim_start_matches("/**").trim_end_matches("*/").to_owned();
            if !trimmed.ends_with("*/") {
                for line in lines.by_ref().take_while(|line| line.trim() != "*/") {
                    comment = comment + "\n" + line.trim().trim_start_matches('*').trim_end();
                }
            }
        } else if let Some(rest) = line.strip_prefix("typedef struct ").filter(|rest| rest.ends_with('{')) {
            inside = rest.trim_end_matches(" {").to_owned();
        } else if line.starts_with("  ") && line.ends_with(';') && !inside.is_empty() && !line.contains("SUBPY_API") {
            let name = declared(trimmed.trim_end_matches(';')).name;
            parameters.insert((inside.clone(), name), std::mem::take(&mut comment));
        } else if line.contains("SUBPY_API ") && line.contains('(') && !line.starts_with(" *") {
            inside.clear();
            let before = line.split_once('(').expect("a function").0;
            let name = declared(before).name;
            for part in comment.split("@param ").skip(1) {
                let (parameter, said) = part.trim().split_once(' ').unwrap_or((part, ""));
                let said = said.split("@return").next().expect("a part").trim();
                parameters.insert((name.clone(), parameter.to_owned()), said.to_owned());
            }
            whole.insert(name, std::mem::take(&mut comment));
        }
    }
    Comments { parameters, whole }
}

impl Comments {
    /// What is said of a parameter, also by way of "as for subpy_call()" and "likewise".
    fn of(&self, owner: &str, name: &str) -> &str {
        let Some(said) = self.parameters.get(&(owner.to_owned(), name.to_owned())) else { return "" };
        for reference in ["as for ", "as in "] {
            if let Some((function, _)) = said.strip_prefix(reference).and_then(|rest| rest.split_once("()")) {
                return self.of(function, name);
            }
        }
        if said.starts_with("likewise") {
            let mut all = self.parameters.iter().filter(|((other, _), _)| other == owner);
            let function = all.find_map(|(_, said)| Some(said.strip_prefix("as in ")?.split_once("()")?.0));
            return function.map_or("", |function| self.of(function, name));
        }
        said
    }

    /// Whether NULL is allowed: for outputs unless the comment says otherwise, for the rest if it says so.
    fn may_be_null(&self, owner: &str, name: &str, output: bool) -> bool {
        let said = self.of(owner, name);
        if output {
            let function = self.whole.get(owner).map_or("", String::as_str);
            !said.contains("not NULL") && !function.contains(&format!("`{name}` is NULL"))
        } else {
            said.contains("optional") || said.contains("NULL") && !said.contains("not NULL")
        }
    }
}

/// What a parameter or field is to the harness: a kind, and which of several.
fn kind(all: &[Declared], index: usize, returns_nothing: bool) -> Option<(&'static str, usize)> {
    let this = &all[index];
    let next_is_size = all.get(index + 1).is_some_and(|next| next.of == "size_t");
    let before = index.checked_sub(1).map(|before| all[before].of.as_str());
    let noun = |of: &str| of.strip_prefix("subpy_").and_then(|noun| NOUNS.iter().position(|one| *one == noun));
    if let Some(noun) = noun(&this.of) {
        return Some(("P_HANDLE", noun));
    }
    if let Some(noun) = this.of.strip_suffix(" *").and_then(noun) {
        return Some((if next_is_size { "P_OUT_ARRAY" } else { "P_OUT_HANDLE" }, noun));
    }
    let counts = |of: &str| {
        ["const char *", "const uint8_t *", "const subpy_value *", "const subpy_pair *", "subpy_interp *"].contains(&of)
            || of == "const char *const *"
    };
    let kind = match (this.of.as_str(), this.name.as_str()) {
        ("subpy_error **", _) => "P_ERROR",
        ("const subpy_error *", _) => "P_ERROR_IN",
        ("subpy_error *", _) if returns_nothing => "P_ERROR_OWNED",
        ("subpy_value *", _) if returns_nothing => "P_VALUE_OWNED",
        ("subpy_value *", _) => "P_RESULT",
        ("subpy_buffer *", _) if returns_nothing => "P_BUFFER_OWNED",
        ("subpy_buffer *", _) => "P_OUT",
        ("const subpy_buffer *", _) => "P_BUFFER",
        ("const char *", _) if next_is_size => "P_TEXT",
        ("const char *", _) => "P_CTEXT",
        ("const uint8_t *", _) => "P_BYTES",
        ("const subpy_value *", "kwargs" | "names" | "dict") => "P_DICT",
        ("const subpy_value *", _) if next_is_size => "P_VALUES",
        ("const subpy_value *", _) => "P_VALUE",
        ("const subpy_pair *", _) => "P_PAIRS",
        ("const char *const *", _) => "P_TEXTS",
        ("subpy_context *" | "const subpy_context *", _) => "P_CTX",
        ("void *", _) => "P_USERDATA",
        ("size_t", "size") => "P_SIZE",
        ("size_t", _) if before.is_some_and(counts) => "P_LEN",
        ("size_t", "nargs") => "P_NARGS",
        ("size_t", _) => "P_NUMBER",
        ("uint32_t" | "uint64_t", "flags") => "P_FLAGS",
        ("uint32_t" | "uint64_t", "reserved") => "P_RESERVED",
        ("int64_t", "timeout_ms") => "P_TIMEOUT",
        ("int32_t", "gil" | "busy" | "what" | "isolation") => "P_ENUM",
        ("uint64_t" | "int64_t" | "double" | "bool" | "subpy_status", _) => "P_NUMBER",
        ("int *" | "int32_t *", "fd") => "P_OUT_FD",
        ("bool *" | "int64_t *" | "int32_t *" | "size_t *" | "const char **" | "const void **", _) => "P_OUT",
        (callback, _) if callback.ends_with("_fn") && !callback.contains(' ') => "P_CALLBACK",
        (input, _) if input.strip_prefix("const ").and_then(|of| of.strip_suffix(" *")).is_some_and(is_input) => {
            "P_STRUCT"
        }
        (info, _) if ["_info *", "_stats *", "_frame *"].iter().any(|end| info.ends_with(end)) => "P_INFO",
        _ => return None,
    };
    Some((kind, 0))
}

fn write_parameters(
    text: &mut String,
    owner: &str,
    all: &[Declared],
    returns_nothing: bool,
    place: impl Fn(usize) -> String,
    comments: &Comments,
) -> Result<(), String> {
    for (index, this) in all.iter().enumerate() {
        let Declared { of, name } = this;
        let (kind, noun) = kind(all, index, returns_nothing).ok_or_else(|| {
            format!(
                "{owner}: `{of} {name}` is of a kind that is not misused yet. Name the kind in `kind` of \
                 tests/misuse/generate.rs, say in tests/misuse/good.h what a good one is, and in mutations.h what is a \
                 wrong one"
            )
        })?;
        let output = kind.starts_with("P_OUT") || ["P_RESULT", "P_INFO", "P_ERROR"].contains(&kind);
        let optional = match kind {
            "P_USERDATA" | "P_ERROR_IN" => true,
            "P_HANDLE" => comments.of(owner, name).contains("0: none"),
            _ => comments.may_be_null(owner, name, output),
        };
        let pointee = of.trim_end_matches('*').trim();
        let shape = match kind {
            "P_STRUCT" => format!("&shape_{}", pointee.trim_start_matches("const ")),
            _ => "NULL".into(),
        };
        let size = if of.ends_with("**") {
            "sizeof(void *)".into()
        } else if output {
            format!("sizeof({pointee})")
        } else {
            format!("sizeof({of})")
        };
        _ = writeln!(text, "  {{\"{name}\", {kind}, {noun}, {}, {size}, {optional}, {shape}}},", place(index));
    }
    Ok(())
}

fn write_shape(text: &mut String, name: &str, fields: &[Declared], comments: &Comments) -> Result<(), String> {
    _ = writeln!(text, "static const param fields_{name}[] = {{");
    let place = |index: usize| format!("offsetof({name}, {})", fields[index].name);
    write_parameters(text, name, fields, false, place, comments)?;
    let count = fields.len();
    _ = writeln!(
        text,
        "}};\nstatic const shape shape_{name} = {{\"{name}\", sizeof({name}), fields_{name}, {count}}};"
    );
    Ok(())
}

fn write_function(text: &mut String, function: &Function, comments: &Comments) -> Result<(), String> {
    let Function { name, returns, parameters } = function;
    _ = writeln!(text, "typedef struct {{");
    for (index, parameter) in parameters.iter().enumerate() {
        _ = writeln!(text, "  {} p{index};", parameter.of);
    }
    _ = writeln!(text, "  char unused;\n}} args_{name};");
    let passed: Vec<String> = (0..parameters.len()).map(|index| format!("a->p{index}")).collect();
    let call = format!("{name}({})", passed.join(", "));
    _ = writeln!(text, "static void call_{name}(const void *given, outcome *got) {{");
    _ = writeln!(text, "  const args_{name} *a = given;\n  (void)a, (void)got;");
    _ = match returns.as_str() {
        "void" => writeln!(text, "  {call};"),
        "subpy_status" if name != "subpy_error_status" => writeln!(text, "  got->status = {call};"),
        "subpy_value" => writeln!(text, "  got->value = {call};"),
        pointer if pointer.ends_with('*') => writeln!(text, "  got->pointer = {call};"),
        _ => writeln!(text, "  got->number = (uint64_t){call};"),
    };
    _ = writeln!(text, "}}\nstatic const param params_{name}[] = {{");
    let place = |index: usize| format!("offsetof(args_{name}, p{index})");
    write_parameters(text, name, parameters, returns == "void", place, comments)?;
    _ = writeln!(text, "  {{NULL, P_END, 0, 0, 0, false, NULL}},\n}};");
    Ok(())
}

/// The table of outcomes that no rule says: `outcomes`, an array. A line is
/// `pattern  OUTCOME[|OUTCOME...]  ["part of the message"]  the reason`; {a,b} in a pattern stands for two lines.
pub fn outcomes(table: &str) -> Result<String, String> {
    let mut text = String::from("static const row rows[] = {\n");
    for (number, line) in table.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let wrong = |what: &str| format!("tests/misuse/outcomes.txt:{}: {what}: {line}", number + 1);
        let (pattern, rest) = line.split_once(char::is_whitespace).ok_or_else(|| wrong("no outcome"))?;
        let (outcomes, rest) = rest.trim().split_once(char::is_whitespace).ok_or_else(|| wrong("no reason"))?;
        let (message, reason) = match rest.trim().strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or_else(|| wrong("no second quotation mark"))?,
            None => ("", rest),
        };
        if reason.trim().is_empty() {
            return Err(wrong("no reason"));
        }
        let outcomes: Vec<String> = outcomes.split('|').map(|one| format!("IS_{one}")).collect();
        for pattern in expand(pattern) {
            _ = writeln!(text, "  {{{}, \"{pattern}\", {}, \"{message}\"}},", number + 1, outcomes.join(" | "));
        }
    }
    text.push_str("};\n");
    Ok(text)
}

fn expand(pattern: &str) -> Vec<String> {
    let Some((before, rest)) = pattern.split_once('{') else { return vec![pattern.to_owned()] };
    let (inside, after) = rest.split_once('}').expect("} after {");
    inside.split(',').flat_map(|one| expand(&format!("{before}{one}{after}"))).collect()
}
