//! The results, a line of JSON each. A file of them says what has been done, so a run that was ended can go on.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Result, say};

#[derive(Debug, Serialize)]
pub struct Line {
    pub input: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// Why there is no result.
#[derive(Debug, Serialize)]
pub struct Failure {
    pub kind: &'static str,
    /// That of the exception, if there is one.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceback: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
}

/// What is known of a line that is there already.
#[derive(Deserialize)]
struct Done {
    input: String,
    error: Option<IgnoredAny>,
}

/// How each line begins, which tells one that was torn from something else.
const BEGINS: &[u8] = b"{\"input\":";

pub enum Output {
    Stdout,
    File(PathBuf, Flock<File>),
}

impl Output {
    /// Opens the file, and says which inputs it has, and whether they have failed. A last line that was torn, by a kill or a full
    /// disk, is taken away.
    pub fn open(path: Option<&Path>) -> Result<(Output, HashMap<String, bool>)> {
        let Some(path) = path else { return Ok((Output::Stdout, HashMap::new())) };
        let told = |error: io::Error| format!("{}: {error}", path.display());
        let file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(told)?;
        let mut file = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| match error {
            Errno::EWOULDBLOCK => format!("{}: another `subpy run` writes to it", path.display()),
            error => told(error.into()),
        })?;
        let mut text = Vec::new();
        // A device may have no end.
        if file.metadata().map_err(told)?.is_file() {
            file.read_to_end(&mut text).map_err(told)?;
        }
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let done_lines = text[..whole].iter().filter(|byte| **byte == b'\n').count();
        let mut done = HashMap::new();
        for (number, line) in text[..whole].split_inclusive(|byte| *byte == b'\n').enumerate() {
            let line = serde_json::from_slice::<Done>(line).map_err(|error| {
                format!("{}:{}: no line of `subpy run`: {error}; name another file", path.display(), number + 1)
            })?;
            done.insert(line.input, line.error.is_some());
        }
        let rest = &text[whole..];
        match serde_json::from_slice::<Done>(rest) {
            _ if rest.is_empty() => {}
            // All but its end has been written.
            Ok(line) => {
                done.insert(line.input, line.error.is_some());
                file.write_all(b"\n").map_err(told)?;
            }
            Err(_) if !rest.starts_with(BEGINS) && !BEGINS.starts_with(rest) => {
                let number = done_lines + 1;
                return Err(format!("{}:{number}: no line of `subpy run`; name another file", path.display()));
            }
            Err(_) => {
                file.set_len(u64::try_from(whole).unwrap_or(u64::MAX)).map_err(told)?;
                say(&format!("the last line of {} was torn, and is done again", path.display()));
            }
        }
        Ok((Output::File(path.to_owned(), file), done))
    }

    /// At once, so that a kill costs no more than what is being done. False: nobody reads it any more.
    pub fn write(&mut self, line: &Line) -> Result<bool> {
        let mut text = serde_json::to_string(line).map_err(|error| error.to_string())?;
        text.push('\n');
        match self {
            Output::Stdout => {
                let mut stdout = io::stdout().lock();
                let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
                match written {
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
                    written => written.map(|()| true).map_err(|error| format!("stdout cannot be written to: {error}")),
                }
            }
            Output::File(path, file) => {
                let written = file.write_all(text.as_bytes());
                written.map(|()| true).map_err(|error| format!("{}: {error}", path.display()))
            }
        }
    }
}
