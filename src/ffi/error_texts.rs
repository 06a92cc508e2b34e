//! The texts of an error as C has them: with a NUL behind them. What there is no memory for is missing.

use std::borrow::Cow;
use std::ffi::c_char;
use std::fmt::{self, Write};

use crate::manager::{Crash, Exception, Frame};

/// How a process has ended. Without a traceback the message is the text.
pub struct CrashText {
    pub signal: i32,
    pub exit_code: i32,
    pub display: Text,
}

/// The texts of an exception, each with a NUL behind it.
pub struct Texts {
    pub type_name: Text,
    pub type_qualname: Text,
    pub type_module: Text,
    pub message: Text,
    pub formatted: Text,
    pub display: Text,
    pub frames: Vec<FrameTexts>,
    pub syntax: Option<(i32, i32, Option<Text>)>,
    pub exit_status: Option<i32>,
    pub tag: u64,
}

/// The texts of a frame, and its numbers.
pub struct FrameTexts {
    pub file: Text,
    pub function: Text,
    pub source: Option<Text>,
    pub line: i32,
    pub end_line: i32,
    pub column: i32,
    pub end_column: i32,
}

/// A text and its NUL; empty when there was no memory for the NUL.
pub struct Text(Cow<'static, [u8]>);

impl Text {
    pub fn new(text: String) -> Text {
        let mut bytes = text.into_bytes();
        if bytes.try_reserve_exact(1).is_err() {
            return Text::of(&[]);
        }
        bytes.push(0);
        Text(bytes.into())
    }

    /// One that the library has; with its NUL.
    pub const fn of(bytes: &'static [u8]) -> Text {
        Text(Cow::Borrowed(bytes))
    }

    pub fn as_ptr(&self) -> *const c_char {
        if self.0.is_empty() { c"".as_ptr() } else { self.0.as_ptr().cast() }
    }

    /// Empty when there is no memory for it.
    pub fn copy(&self) -> Text {
        let mut bytes = Vec::new();
        if bytes.try_reserve_exact(self.0.len()).is_ok() {
            bytes.extend_from_slice(&self.0);
        }
        Text(bytes.into())
    }

    /// Without the NUL.
    pub fn len(&self) -> usize {
        self.0.len().saturating_sub(1)
    }
}

impl CrashText {
    pub fn new(crash: &Crash, message: &Text) -> CrashText {
        let mut traceback = Fallible(String::new());
        let _ = traceback.write_str(crash.traceback.trim_end_matches('\n'));
        let display = if traceback.0.is_empty() { message.copy() } else { Text::new(traceback.0) };
        // An exit code is never negative, and no signal has the number 0.
        CrashText { signal: crash.signal.unwrap_or(0), exit_code: crash.exit_code.unwrap_or(-1), display }
    }
}

impl Texts {
    pub fn new(exception: Exception) -> Texts {
        let frame = |frame: Frame| FrameTexts {
            file: Text::new(frame.file),
            function: Text::new(frame.function),
            source: frame.source.map(Text::new),
            line: frame.line,
            end_line: frame.end_line,
            column: frame.column,
            end_column: frame.end_column,
        };
        let mut frames = Vec::new();
        if frames.try_reserve_exact(exception.frames.len()).is_ok() {
            frames.extend(exception.frames.into_iter().map(frame));
        }
        Texts {
            type_name: Text::new(exception.type_name),
            type_qualname: Text::new(exception.type_qualname),
            type_module: Text::new(exception.type_module),
            message: Text::new(exception.message),
            formatted: Text::new(exception.formatted),
            display: Text::new(exception.display),
            frames,
            syntax: exception.syntax.map(|it| (it.line, it.column, it.text.map(Text::new))),
            exit_status: exception.exit_status,
            tag: exception.tag,
        }
    }

    pub fn copy(&self) -> Texts {
        let frame = |frame: &FrameTexts| FrameTexts {
            file: frame.file.copy(),
            function: frame.function.copy(),
            source: frame.source.as_ref().map(Text::copy),
            ..*frame
        };
        let mut frames = Vec::new();
        if frames.try_reserve_exact(self.frames.len()).is_ok() {
            frames.extend(self.frames.iter().map(frame));
        }
        Texts {
            type_name: self.type_name.copy(),
            type_qualname: self.type_qualname.copy(),
            type_module: self.type_module.copy(),
            message: self.message.copy(),
            formatted: self.formatted.copy(),
            display: self.display.copy(),
            frames,
            syntax: self.syntax.as_ref().map(|(line, column, text)| (*line, *column, text.as_ref().map(Text::copy))),
            ..*self
        }
    }
}

/// Text that takes what there is memory for.
pub struct Fallible(pub String);

impl fmt::Write for Fallible {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.try_reserve(text.len() + 1).map_err(|_| fmt::Error)?;
        self.0.push_str(text);
        Ok(())
    }
}
