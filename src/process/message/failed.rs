//! An error, with all that an exception has.

use super::super::wire::NotRead;
use crate::value::{Exception, Frame, NotCopied, OwnedValue, STR, Syntax, TUPLE, ValueRef, View, subpy_value};

/// What went wrong.
#[derive(Debug, Clone, Default)]
pub struct Failed {
    /// The number that both sides know it by.
    pub kind: u32,
    pub message: String,
    pub exception: Option<Box<Exception>>,
    /// The row of many calls that it is of.
    pub row: Option<u64>,
}

fn text(text: &str) -> subpy_value {
    subpy_value::pointing(STR, text.as_ptr(), text.len())
}

fn optional(of: Option<&str>) -> subpy_value {
    of.map_or(subpy_value::none(), text)
}

fn int(number: i32) -> subpy_value {
    subpy_value::int(number.into())
}

fn tuple(values: &[subpy_value]) -> subpy_value {
    subpy_value::pointing(TUPLE, values.as_ptr().cast(), values.len())
}

impl Failed {
    /// Lends it as a value. None: no memory.
    ///
    /// What is in it is borrowed, and there as long as `then` runs.
    pub fn as_value<R>(&self, then: impl FnOnce(&subpy_value) -> R) -> Option<R> {
        let row = self.row.map_or(subpy_value::none(), |row| subpy_value::int(row as i64));
        let mut fields = [subpy_value::int(self.kind.into()), text(&self.message), row, subpy_value::none()];
        let Some(exception) = &self.exception else { return Some(then(&tuple(&fields))) };
        let (mut parts, mut frames) = (Vec::new(), Vec::new());
        parts.try_reserve_exact(exception.frames.len()).ok()?;
        frames.try_reserve_exact(exception.frames.len()).ok()?;
        parts.extend(exception.frames.iter().map(parts_of));
        frames.extend(parts.iter().map(|parts| tuple(parts)));
        let syntax = exception.syntax.as_ref();
        let syntax = syntax.map(|syntax| [int(syntax.line), int(syntax.column), optional(syntax.text.as_deref())]);
        let Exception { type_name, type_qualname, type_module, message, formatted, display, .. } = &**exception;
        let all = [
            text(type_name),
            text(type_qualname),
            text(type_module),
            text(message),
            text(formatted),
            text(display),
            tuple(&frames),
            syntax.as_ref().map_or(subpy_value::none(), |syntax| tuple(syntax)),
            exception.exit_status.map_or(subpy_value::none(), int),
            subpy_value::int(exception.tag as i64),
            optional(exception.hint.as_deref()),
        ];
        fields[3] = tuple(&all);
        Some(then(&tuple(&fields)))
    }

    /// The same as a value of its own, such as for an ERROR among results.
    pub fn to_value(&self) -> Result<OwnedValue, NotCopied> {
        self.as_value(OwnedValue::copy_of).flatten().ok_or(NotCopied::NoMemory)
    }

    /// From a value that was read.
    pub fn of_value(value: ValueRef) -> Result<Failed, NotRead> {
        let mut fields = Fields::of(value)?;
        let kind = u32::try_from(fields.int()?).map_err(|_| damaged())?;
        let message = fields.text()?;
        let row = fields.optional(|row| as_int(row).map(|row| row as u64))?;
        let exception = fields.optional(|value| exception_of(value).map(Box::new))?;
        Ok(Failed { kind, message, exception, row })
    }
}

fn parts_of(frame: &Frame) -> [subpy_value; 7] {
    let Frame { file, function, source, line, end_line, column, end_column } = frame;
    let [line, end_line, column, end_column] = [line, end_line, column, end_column].map(|number| int(*number));
    [text(file), text(function), optional(source.as_deref()), line, end_line, column, end_column]
}

fn exception_of(value: ValueRef) -> Result<Exception, NotRead> {
    let mut fields = Fields::of(value)?;
    Ok(Exception {
        type_name: fields.text()?,
        type_qualname: fields.text()?,
        type_module: fields.text()?,
        message: fields.text()?,
        formatted: fields.text()?,
        display: fields.text()?,
        frames: frames_of(fields.next()?)?,
        syntax: fields.optional(|value| {
            let mut fields = Fields::of(value)?;
            Ok(Syntax { line: fields.number()?, column: fields.number()?, text: fields.optional_text()? })
        })?,
        exit_status: fields.optional(as_number)?,
        tag: fields.int()? as u64,
        hint: fields.optional_text()?,
    })
}

fn frames_of(value: ValueRef) -> Result<Vec<Frame>, NotRead> {
    let mut frames = Vec::new();
    let mut all = Fields::of(value)?;
    while let Ok(frame) = all.next() {
        let mut fields = Fields::of(frame)?;
        frames.try_reserve(1).map_err(|_| NotRead::NO_MEMORY)?;
        frames.push(Frame {
            file: fields.text()?,
            function: fields.text()?,
            source: fields.optional_text()?,
            line: fields.number()?,
            end_line: fields.number()?,
            column: fields.number()?,
            end_column: fields.number()?,
        });
    }
    Ok(frames)
}

fn damaged() -> NotRead {
    NotRead::Damaged("an error is not one".into())
}

/// The elements of a TUPLE, one after the other.
struct Fields<'a> {
    of: ValueRef<'a>,
    next: usize,
}

impl<'a> Fields<'a> {
    fn of(of: ValueRef<'a>) -> Result<Fields<'a>, NotRead> {
        if matches!(of.view(), View::Tuple) { Ok(Fields { of, next: 0 }) } else { Err(damaged()) }
    }

    fn next(&mut self) -> Result<ValueRef<'a>, NotRead> {
        self.next += 1;
        self.of.element(self.next - 1).ok_or_else(damaged)
    }

    fn optional<T>(&mut self, read: impl FnOnce(ValueRef) -> Result<T, NotRead>) -> Result<Option<T>, NotRead> {
        let value = self.next()?;
        if matches!(value.view(), View::None) { Ok(None) } else { read(value).map(Some) }
    }

    fn text(&mut self) -> Result<String, NotRead> {
        as_text(self.next()?)
    }

    fn optional_text(&mut self) -> Result<Option<String>, NotRead> {
        self.optional(as_text)
    }

    fn int(&mut self) -> Result<i64, NotRead> {
        as_int(self.next()?)
    }

    fn number(&mut self) -> Result<i32, NotRead> {
        as_number(self.next()?)
    }
}

pub(super) fn as_text(value: ValueRef) -> Result<String, NotRead> {
    let View::Str(text) = value.view() else { return Err(damaged()) };
    let mut copy = String::new();
    // There is often a NUL to be put behind it.
    copy.try_reserve_exact(text.len() + 1).map_err(|_| NotRead::NO_MEMORY)?;
    copy.push_str(text);
    Ok(copy)
}

fn as_int(value: ValueRef) -> Result<i64, NotRead> {
    if let View::Int(number) = value.view() { Ok(number) } else { Err(damaged()) }
}

fn as_number(value: ValueRef) -> Result<i32, NotRead> {
    i32::try_from(as_int(value)?).map_err(|_| damaged())
}
