//! What one side asks of the other.

use std::time::Duration;

use super::super::wire::{Describe, FEW, NotRead, Reader, Restore, Sink, Source, Writer};
use super::Header;
use super::queue::{Numbers, QueueAct};
use crate::value::{
    Args, Buffers, ERROR, NotCopied, OwnedValue, Results, Rows, View, check_owned_main_names, subpy_pair, subpy_value,
};

/// What is asked.
#[derive(Clone, Copy)]
pub enum Request<'a> {
    Exec {
        source: &'a str,
        filename: Option<&'a str>,
        keep_indent: bool,
    },
    Eval {
        expression: &'a str,
        filename: Option<&'a str>,
    },
    Call {
        callable: &'a str,
        args: Args<'a>,
    },
    /// A call of a function, or of any object.
    Function {
        function: u64,
        args: Args<'a>,
    },
    /// One call a row.
    Many {
        function: u64,
        rows: Rows<'a>,
        collect: bool,
    },
    PrepareMain {
        names: &'a [subpy_pair],
    },
    /// Look a function up.
    Find {
        callable: &'a str,
    },
    /// What is to be done with an object.
    Object {
        object: u64,
        act: Act<'a>,
    },
    /// A handle is needed no more.
    Free {
        handle: u64,
    },
    /// Bind a host's function, which has this number there, to a name.
    Define {
        code: u64,
        name: &'a str,
        signature: Option<&'a str>,
        doc: Option<&'a str>,
    },
    /// The channel's thread stays in the interpreter from now on, or no more.
    Enter,
    Leave,
    /// What is printed goes to the host from now on (`Output`), or to the descriptors.
    SetOutput {
        captured: bool,
    },
    /// How much memory it uses.
    Memory,
    /// What holds it, if it is locked.
    LockInfo,
    /// What runs, each in words. It is told to end for the how manieth time, from 1; 0: it is not.
    Look {
        stop: u32,
    },
    /// End the interpreter, and with it the process. None: as soon as it can be.
    End {
        timeout: Option<Duration>,
        interrupt: bool,
    },
    /// A worker's, while it ends: nothing was in the way of that.
    Ending,
    /// This channel is for a thread of Python's, which asks until it has ended.
    Serve,
    /// A worker's, of its host: call the function with this number.
    Host {
        code: u64,
        args: Args<'a>,
    },
    /// A worker's: nobody can call the function with this number any more.
    Release {
        code: u64,
    },
    /// A worker's: this was printed, in the run that is on this channel or by anybody else.
    Output {
        of_run: bool,
        stream: i32,
        text: &'a str,
    },
    /// A worker's, about a queue.
    Queue {
        queue: u64,
        act: QueueAct<'a>,
    },
}

/// What is done with an object.
#[derive(Clone, Copy)]
pub enum Act<'a> {
    /// `object.name`
    Attribute(&'a str),
    /// `object[key]`: the only argument.
    Item(Args<'a>),
    /// `object.name(...)`
    Method(&'a str, Args<'a>),
    Iter,
    Next,
    Value,
    Text,
}

/// How something is run.
#[derive(Clone, Copy, Default, PartialEq)]
pub struct Run {
    /// The form of the result; None: it is not wanted.
    pub wanted: Option<Results>,
    /// Its number on the channel's process, by which it can be stopped; 0: it has no limits.
    pub number: u64,
    /// What it prints goes to the host.
    pub captured: bool,
}

const EXEC: u16 = 1;
const EVAL: u16 = 2;
const CALL: u16 = 3;
const FUNCTION: u16 = 4;
const MANY: u16 = 5;
const PREPARE_MAIN: u16 = 6;
const FIND: u16 = 7;
const ATTRIBUTE: u16 = 8;
const ITEM: u16 = 9;
const METHOD: u16 = 10;
const ITER: u16 = 11;
const NEXT: u16 = 12;
const VALUE: u16 = 13;
const TEXT: u16 = 14;
const FREE: u16 = 15;
const DEFINE: u16 = 16;
const HOST: u16 = 17;
const ENTER: u16 = 18;
const LEAVE: u16 = 19;
const SET_OUTPUT: u16 = 20;
const MEMORY: u16 = 21;
const LOCK_INFO: u16 = 44;
const LOOK: u16 = 43;
const END: u16 = 22;
const ENDING: u16 = 42;
const SERVE: u16 = 23;
const RELEASE: u16 = 24;
const OUTPUT: u16 = 25;
const QUEUE: u16 = 40;

/// Flags: what a request has for itself, whether a result is wanted, and from here on in what form.
const FIRST: u16 = 1;
const WANTED: u16 = 4;
const CAPTURED: u16 = 8;
const FORM_SHIFT: u32 = 8;

fn flag(first: bool) -> u16 {
    if first { FIRST } else { 0 }
}

impl Request<'_> {
    /// Writes its values; the header that belongs to them.
    pub fn write<S: Sink>(
        &self,
        run: &Run,
        writer: &mut Writer<S>,
        describe: &mut Describe,
    ) -> Result<Header, NotCopied> {
        let (op, handle, own) = match *self {
            Request::Exec { source, filename, keep_indent } => {
                writer.text(source)?;
                writer.optional_text(filename)?;
                (EXEC, 0, flag(keep_indent))
            }
            Request::Eval { expression, filename } => {
                writer.text(expression)?;
                writer.optional_text(filename)?;
                (EVAL, 0, 0)
            }
            Request::Call { callable, args } => {
                writer.text(callable)?;
                writer.args(args, describe)?;
                (CALL, 0, 0)
            }
            Request::Function { function, args } => {
                writer.args(args, describe)?;
                (FUNCTION, function, 0)
            }
            Request::Many { function, rows, collect } => {
                writer.number(rows.count() as u64)?;
                writer.number(rows.width() as u64)?;
                writer.rows(&rows, describe)?;
                (MANY, function, flag(collect))
            }
            Request::PrepareMain { names } => {
                writer.pairs(names, describe)?;
                (PREPARE_MAIN, 0, 0)
            }
            Request::Find { callable } => {
                writer.text(callable)?;
                (FIND, 0, 0)
            }
            Request::Object { object, act } => (act.write(writer, describe)?, object, 0),
            Request::Free { handle } => (FREE, handle, 0),
            Request::Define { code, name, signature, doc } => {
                writer.text(name)?;
                writer.optional_text(signature)?;
                writer.optional_text(doc)?;
                (DEFINE, code, 0)
            }
            Request::Host { code, args } => {
                writer.args(args, describe)?;
                (HOST, code, 0)
            }
            Request::Enter => (ENTER, 0, 0),
            Request::Leave => (LEAVE, 0, 0),
            Request::SetOutput { captured } => (SET_OUTPUT, 0, flag(captured)),
            Request::Memory => (MEMORY, 0, 0),
            Request::LockInfo => (LOCK_INFO, 0, 0),
            Request::Look { stop } => (LOOK, stop.into(), 0),
            Request::End { timeout, interrupt } => {
                // A number of 0 is none.
                let time =
                    timeout.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).saturating_add(1));
                (END, time, flag(interrupt))
            }
            Request::Ending => (ENDING, 0, 0),
            Request::Serve => (SERVE, 0, 0),
            Request::Release { code } => (RELEASE, code, 0),
            Request::Output { of_run, stream, text } => {
                writer.text(text)?;
                (OUTPUT, u64::from(stream.cast_unsigned()), flag(of_run))
            }
            Request::Queue { queue, act } => {
                act.write(writer, describe)?;
                (QUEUE, queue, 0)
            }
        };
        let form = run.wanted.map_or(0, |form| WANTED | (form.bits() << FORM_SHIFT) as u16);
        let captured = if run.captured { CAPTURED } else { 0 };
        Ok(Header { op, flags: own | form | captured, a: handle, b: run.number })
    }
}

impl Act<'_> {
    fn write<S: Sink>(&self, writer: &mut Writer<S>, describe: &mut Describe) -> Result<u16, NotCopied> {
        match *self {
            Act::Attribute(name) => {
                writer.text(name)?;
                Ok(ATTRIBUTE)
            }
            Act::Item(key) => {
                writer.args(key, describe)?;
                Ok(ITEM)
            }
            Act::Method(name, args) => {
                writer.text(name)?;
                writer.args(args, describe)?;
                Ok(METHOD)
            }
            Act::Iter => Ok(ITER),
            Act::Next => Ok(NEXT),
            Act::Value => Ok(VALUE),
            Act::Text => Ok(TEXT),
        }
    }
}

/// A request that was read, with what it points to.
pub struct ToRun {
    header: Header,
    /// In the order in which they are written.
    texts: [OwnedValue; 3],
    few: [subpy_value; FEW],
    /// How many of the few there are; None: they are `items`.
    count: Option<usize>,
    items: OwnedValue,
    kwargs: OwnedValue,
    rows: (usize, usize),
    /// Of a queue; its item is `items`.
    numbers: Numbers,
    /// There are handles among the arguments.
    handles: bool,
}

// SAFETY: the few point nowhere.
unsafe impl Send for ToRun {}

impl ToRun {
    /// Room for one.
    pub fn none() -> ToRun {
        ToRun {
            header: Header::default(),
            texts: [const { OwnedValue::none() }; 3],
            few: [subpy_value::none(); FEW],
            count: None,
            items: OwnedValue::none(),
            kwargs: OwnedValue::none(),
            rows: (0, 0),
            numbers: [0; 4],
            handles: false,
        }
    }

    /// One in room of its own.
    #[cfg(test)]
    pub fn read<'a>(header: Header, message: impl Into<Source<'a>>, restore: &mut Restore) -> Result<ToRun, NotRead> {
        let mut read = ToRun::none();
        read.fill(header, message, restore).map(|()| read)
    }

    /// Gives the memory back that it points to.
    #[inline]
    pub fn clear(&mut self) {
        self.texts = [const { OwnedValue::none() }; 3];
        self.items = OwnedValue::none();
        self.kwargs = OwnedValue::none();
        (self.count, self.handles) = (None, false);
    }

    /// Reads one into this, which was cleared, and checks all of it.
    pub fn fill<'a>(
        &mut self,
        header: Header,
        message: impl Into<Source<'a>>,
        restore: &mut Restore,
    ) -> Result<(), NotRead> {
        let all = self;
        // An error is a part of results alone: hosts do not expect one among arguments.
        let restore: &mut Restore = &mut |kind, got, builder| match kind {
            ERROR => Err(NotCopied::NotShareable("an error cannot come in a request".into())),
            _ => restore(kind, got, builder),
        };
        all.header = header;
        let mut reader = Reader::new(message);
        let texts = match header.op {
            EXEC | EVAL => 2,
            CALL | FIND | ATTRIBUTE | METHOD | OUTPUT => 1,
            DEFINE => 3,
            _ => 0,
        };
        for text in &mut all.texts[..texts] {
            *text = reader.value(restore)?;
        }
        match header.op {
            CALL | FUNCTION | ITEM | METHOD | HOST => all.read_args(&mut reader, restore)?,
            PREPARE_MAIN => all.kwargs = all.read_value(&mut reader, restore)?,
            MANY => {
                all.rows = (reader.number()?, reader.number()?);
                all.items = all.read_value(&mut reader, restore)?;
            }
            QUEUE => (all.numbers, all.items) = QueueAct::read(&mut reader, restore)?,
            _ => {}
        }
        reader.end()?;
        match all.find() {
            Some(_) => Ok(()),
            None => Err(NotRead::Damaged(format!("request {} is not one", header.op))),
        }
    }

    #[inline]
    fn read_args(&mut self, reader: &mut Reader, restore: &mut Restore) -> Result<(), NotRead> {
        self.count = reader.few(&mut self.few).map(<[subpy_value]>::len);
        if self.count.is_some() {
            return Ok(());
        }
        self.items = self.read_value(reader, restore)?;
        self.kwargs = self.read_value(reader, restore)?;
        Ok(())
    }

    /// Reads a value that has those that were passed, and remembers whether there are handles in it.
    fn read_value(&mut self, reader: &mut Reader, restore: &mut Restore) -> Result<OwnedValue, NotRead> {
        let handles = &mut self.handles;
        reader.values(&mut |kind, got, builder| {
            *handles = true;
            restore(kind, got, builder)
        })
    }

    /// How it is to be run.
    pub fn run(&self) -> Run {
        let Header { flags, b: number, .. } = self.header;
        Run {
            wanted: (flags & WANTED != 0).then(|| Results::of_bits(u32::from(flags >> FORM_SHIFT))),
            number,
            captured: flags & CAPTURED != 0,
        }
    }

    /// The item that is to be put into a queue, out of the request.
    pub fn take_item(&mut self) -> Option<OwnedValue> {
        (self.header.op == QUEUE).then(|| std::mem::replace(&mut self.items, OwnedValue::none()))
    }

    /// What is asked.
    pub fn request(&self) -> Request<'_> {
        self.find().expect("it was looked at when it was read")
    }

    fn find(&self) -> Option<Request<'_>> {
        let Header { op, flags, a: handle, .. } = self.header;
        let object = |act| Some(Request::Object { object: handle, act });
        let first = flags & FIRST != 0;
        Some(match op {
            EXEC => Request::Exec { source: self.text(0)?, filename: self.optional_text(1)?, keep_indent: first },
            EVAL => Request::Eval { expression: self.text(0)?, filename: self.optional_text(1)? },
            CALL => Request::Call { callable: self.text(0)?, args: self.args()? },
            FUNCTION => Request::Function { function: handle, args: self.args()? },
            MANY => Request::Many { function: handle, rows: self.rows()?, collect: first },
            PREPARE_MAIN => Request::PrepareMain { names: self.names()? },
            FIND => Request::Find { callable: self.text(0)? },
            ATTRIBUTE => object(Act::Attribute(self.text(0)?))?,
            ITEM => object(Act::Item(self.args()?))?,
            METHOD => object(Act::Method(self.text(0)?, self.args()?))?,
            ITER => object(Act::Iter)?,
            NEXT => object(Act::Next)?,
            VALUE => object(Act::Value)?,
            TEXT => object(Act::Text)?,
            FREE => Request::Free { handle },
            DEFINE => Request::Define {
                code: handle,
                name: self.text(0)?,
                signature: self.optional_text(1)?,
                doc: self.optional_text(2)?,
            },
            HOST => Request::Host { code: handle, args: self.args()? },
            ENTER => Request::Enter,
            LEAVE => Request::Leave,
            SET_OUTPUT => Request::SetOutput { captured: first },
            MEMORY => Request::Memory,
            LOCK_INFO => Request::LockInfo,
            LOOK => Request::Look { stop: u32::try_from(handle).ok()? },
            END => {
                let timeout = handle.checked_sub(1).map(Duration::from_millis);
                Request::End { timeout, interrupt: first }
            }
            ENDING => Request::Ending,
            SERVE => Request::Serve,
            RELEASE => Request::Release { code: handle },
            OUTPUT => {
                let stream = u32::try_from(handle).ok()?.cast_signed();
                Request::Output { of_run: first, stream, text: self.text(0)? }
            }
            QUEUE => Request::Queue { queue: handle, act: QueueAct::of(self.numbers, &self.items)? },
            _ => return None,
        })
    }

    fn text(&self, at: usize) -> Option<&str> {
        self.optional_text(at)?
    }

    fn optional_text(&self, at: usize) -> Option<Option<&str>> {
        match self.texts[at].as_ref().view() {
            View::Str(text) if self.texts[at].as_value().tag() == 0 => Some(Some(text)),
            View::None => Some(None),
            _ => None,
        }
    }

    #[inline]
    fn args(&self) -> Option<Args<'_>> {
        let buffers = if self.handles { Buffers::Passed } else { Buffers::None };
        let args = match self.count {
            None => Args::of_read(&self.items, &self.kwargs)?,
            Some(count) => Args { items: &self.few[..count], kwargs: &[], buffers },
        };
        Some(Args { buffers, ..args })
    }

    fn rows(&self) -> Option<Rows<'_>> {
        let (count, width) = self.rows;
        Rows::of_read(&self.items, count, width, self.handles)
    }

    fn names(&self) -> Option<&[subpy_pair]> {
        let is_dict = matches!(self.kwargs.as_ref().view(), View::Dict);
        is_dict.then(|| check_owned_main_names(&self.kwargs).ok()).flatten()
    }
}
