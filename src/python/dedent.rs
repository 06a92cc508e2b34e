//! Dedenting source in the way of `python -c` (3.14, Modules/main.c and Objects/unicodeobject.c: _PyUnicode_Dedent).

use std::collections::TryReserveError;

/// Source without the margin that its lines shared.
pub struct Dedented {
    pub text: String,
    /// The margin's length, in characters.
    pub margin: usize,
}

/// The source without the margin that all its lines share; None when it stays as it is: unless the first line that is
/// not blank is indented, nothing changes, so text inside unindented code is safe.
#[inline(always)]
pub fn dedent(source: &str) -> Result<Option<Dedented>, TryReserveError> {
    // Most sources begin with text.
    if !source.starts_with([' ', '\t', '\n']) {
        return Ok(None);
    }
    let Some(margin) = margin(source) else { return Ok(None) };
    let mut text = String::new();
    // And a NUL.
    text.try_reserve_exact(source.len() + 1)?;
    for (index, line) in source.split('\n').enumerate() {
        if index > 0 {
            text.push('\n');
        }
        if indent_of(line).len() < line.len() {
            text.push_str(&line[margin..]);
        }
    }
    Ok(Some(Dedented { text, margin }))
}

/// The length of the margin, when there is one. It is of spaces and tabs.
fn margin(source: &str) -> Option<usize> {
    let mut margin: Option<&str> = None;
    for line in source.split('\n') {
        let indent = indent_of(line);
        if indent.len() == line.len() {
            continue; // blank
        }
        margin = Some(match margin {
            None => indent,
            Some(margin) => common_prefix(margin, indent),
        });
        if margin == Some("") {
            return None;
        }
    }
    margin.map(str::len)
}

/// Spaces and tabs alone count: `\f`, `\r` and wider blanks are text.
fn indent_of(line: &str) -> &str {
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

fn common_prefix<'a>(a: &'a str, b: &str) -> &'a str {
    let len = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    &a[..len]
}

#[cfg(test)]
mod tests {
    use super::dedent;

    /// The cases that were measured with `python -c`.
    #[test]
    fn dedents_as_python_dash_c_does() {
        for (source, expected) in [
            ("s='''a\n   \nb'''", None),
            ("  s='''a\n   \n  b'''", Some("s='''a\n\nb'''")),
            ("  a\n\x0c\n  b", None),
            ("  a\n\u{3000}\n  b", None),
            ("  a\n\r\n  b", None),
            ("\ta\n        b", None),
            ("  a\n# c\n  b", None),
            ("  a\r\n  b\r\n", Some("a\r\nb\r\n")),
            ("\n  a\n  b", Some("\na\nb")),
            ("  a\n  b\n    ", Some("a\nb\n")),
            ("  s='''x\ny'''", None),
            ("", None),
            ("   ", None),
            ("    a\n  b", Some("  a\nb")),
        ] {
            let dedented = dedent(source).unwrap().map(|dedented| dedented.text);
            assert_eq!(dedented.as_deref(), expected, "{source:?}");
        }
    }
}
