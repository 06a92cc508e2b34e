//! An uncaught Python exception as plain text. Beside values, since it crosses wherever they do.

/// What `ExecutionFailed.excinfo` holds in `concurrent.interpreters`, and more.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Exception {
    /// excinfo.type.\_\_name\_\_
    pub type_name: String,
    /// excinfo.type.\_\_qualname\_\_
    pub type_qualname: String,
    /// excinfo.type.\_\_module\_\_
    pub type_module: String,
    /// excinfo.msg: `str(exception)`
    pub message: String,
    /// excinfo.formatted: `Type: message`
    pub formatted: String,
    /// excinfo.errdisplay: what Python would print, without the final newline
    pub display: String,
    /// The traceback, outermost frame first.
    pub frames: Vec<Frame>,
    /// Where the source is wrong, for a SyntaxError.
    pub syntax: Option<Syntax>,
    /// The status that SystemExit asked for.
    pub exit_status: Option<i32>,
    /// The number that a host function gave it; 0: none.
    pub tag: u64,
    /// What the library adds to its own message.
    pub(crate) hint: Option<String>,
}

/// One entry of a traceback: what was being executed in one function.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Frame {
    /// The file name of the code object, such as `<script>`.
    pub file: String,
    /// The function's name, `<module>` at the top level.
    pub function: String,
    /// The source line without its newline, and without the margin that exec() removed; None when it is not known.
    pub source: Option<String>,
    /// The line number, from 1; 0 when unknown.
    pub line: i32,
    /// The line in which the expression that was being evaluated ends; 0 when unknown.
    pub end_line: i32,
    /// Where in `line` that expression begins, in characters from 1; 0 when unknown.
    pub column: i32,
    /// The column behind its last character, in `end_line`; 0 when unknown.
    pub end_column: i32,
}

/// The position that a SyntaxError names; each part may be missing.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Syntax {
    /// The line, from 1; 0 when unknown.
    pub line: i32,
    /// The column in characters, from 1; 0 when unknown.
    pub column: i32,
    /// The source line.
    pub text: Option<String>,
}
