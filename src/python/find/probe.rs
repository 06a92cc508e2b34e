//! Asks a Python executable about itself by running it.
//!
//! Only so do pyenv shims and other wrappers lead to the Python behind them.

use std::io::{ErrorKind, PipeReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::{Refused, is_shortage};
use crate::platform::{path_of, wait_readable};

/// Prints the fields between two marks, as a wrapper may print something of its own. Also valid in old versions of
/// Python, which then can say that they are old.
const SCRIPT: &str = r"
import os, sys
try:
    from sysconfig import get_config_var
except Exception:
    get_config_var = lambda name: None
mapped = ''
try:
    with open('/proc/self/maps', 'rb') as maps:
        for line in maps:
            path = line.rstrip(b'\n').split(None, 5)[5:]
            if path and b'libpython%d.%d' % sys.version_info[:2] in os.path.basename(path[0]):
                mapped = os.fsdecode(path[0])
except Exception:
    pass
fields = [sys.implementation.name, '%d.%d.%d' % sys.version_info[:3], sys.executable, sys.prefix, sys.base_prefix, mapped]
fields += [get_config_var(name) for name in ('Py_GIL_DISABLED', 'INSTSONAME', 'LIBDIR', 'MULTIARCH')]
answer = b'\0'.join(os.fsencode(str(field or '')) for field in fields)
os.write(1, b'<subpy-probe>\0' + answer + b'\0</subpy-probe>')
os._exit(0)
";
const START: &[u8] = b"<subpy-probe>\0";
const END: &[u8] = b"\0</subpy-probe>";
/// More than this is not an answer of the script.
const LONGEST_OUTPUT: usize = 256 << 10;

/// What a Python says about itself. Texts are empty where it does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report {
    pub implementation: String,
    pub version: (u8, u8, u8),
    pub executable: PathBuf,
    pub prefix: PathBuf,
    pub base_prefix: PathBuf,
    /// The libpython in its address space.
    pub mapped: PathBuf,
    pub free_threaded: bool,
    /// `INSTSONAME`: `libpython3.14.so.1.0`, or the name of an archive in a static build.
    pub soname: String,
    pub library_folder: PathBuf,
    pub multiarch: String,
}

/// Runs `python` for at most `limit`; the error is the reason why it told nothing.
pub(super) fn run(python: &Path, limit: Duration) -> Result<Report, Refused> {
    let deadline = Instant::now() + limit;
    let (reader, mut child) = start(python).map_err(|error| match error.kind() {
        _ if is_shortage(&error) => Refused::from(error),
        ErrorKind::PermissionDenied => format!("it cannot be run: {error}; is it executable (chmod +x)?").into(),
        _ => format!("it cannot be run: {error}").into(),
    })?;
    let output = collect(&reader, deadline);
    let status = end(&mut child, deadline);
    let output = output.ok_or_else(|| format!("it did not answer within {limit:?}"))?;
    parse(&output).ok_or_else(|| failure(&output, status).into())
}

fn start(python: &Path) -> std::io::Result<(PipeReader, Child)> {
    let (reader, writer) = std::io::pipe()?;
    let mut command = Command::new(python);
    command.args(["-I", "-S", "-c", SCRIPT]);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PYTHON") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    // The command holds the writing ends; the reader sees the end of the output because they are dropped with it here.
    Ok((reader, command.spawn()?))
}

/// The output up to a complete answer, or to its end; `None` when the time is up.
fn collect(mut reader: &PipeReader, deadline: Instant) -> Option<Vec<u8>> {
    let mut output = Vec::new();
    let mut buffer = [0; 4096];
    // Not always to the end: something that a wrapper left in the background may hold the pipe open.
    while parse(&output).is_none() && output.len() < LONGEST_OUTPUT {
        if !readable(reader, deadline) {
            return None;
        }
        match reader.read(&mut buffer) {
            Ok(size @ 1..) => output.extend_from_slice(&buffer[..size]),
            // A signal of the host's, whose handler was installed without SA_RESTART.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => break,
        }
    }
    Some(output)
}

/// Waits until there is something to read, or the end. False: the time is up.
fn readable(reader: &PipeReader, deadline: Instant) -> bool {
    loop {
        if wait_readable(reader, deadline.saturating_duration_since(Instant::now())) {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
    }
}

/// Waits for the child, which is killed when the time is up. No status when the host program took it before.
fn end(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(1)),
            Ok(None) => {
                let _ = child.kill();
                return child.wait().ok();
            }
            Ok(Some(status)) => return Some(status),
            Err(_) => return None,
        }
    }
}

pub(super) fn parse(output: &[u8]) -> Option<Report> {
    let start = find(output, START)? + START.len();
    let answer = &output[start..];
    let answer = &answer[..find(answer, END)?];
    let fields: Vec<&[u8]> = answer.split(|byte| *byte == 0).collect();
    let &[implementation, version, executable, prefix, base_prefix, mapped, free_threaded, soname, folder, multiarch] =
        fields.as_slice()
    else {
        return None;
    };
    let text = |field| String::from_utf8_lossy(field).into_owned();
    Some(Report {
        implementation: text(implementation),
        version: version_of(&text(version))?,
        executable: path_of(executable),
        prefix: path_of(prefix),
        base_prefix: path_of(base_prefix),
        mapped: path_of(mapped),
        free_threaded: free_threaded == b"1",
        soname: text(soname),
        library_folder: path_of(folder),
        multiarch: text(multiarch),
    })
}

fn version_of(text: &str) -> Option<(u8, u8, u8)> {
    let mut numbers = text.split('.').map(str::parse);
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch))) => Some((major, minor, patch)),
        _ => None,
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// One line out of what it printed.
fn failure(output: &[u8], status: Option<ExitStatus>) -> String {
    let printed = String::from_utf8_lossy(output);
    let printed: Vec<&str> = printed.split_whitespace().collect();
    let printed: String = printed.join(" ").chars().filter(|letter| !letter.is_control()).take(300).collect();
    let ended = match status {
        Some(status) if !status.success() => format!("it failed ({status})"),
        _ => "it did not answer like a Python".to_owned(),
    };
    match printed.as_str() {
        "" => ended,
        printed => format!("{ended}: {printed}"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::Folder;
    use super::*;

    /// What the script would print for `report`.
    pub(in super::super) fn answer(report: &Report) -> Vec<u8> {
        let (major, minor, patch) = report.version;
        let version = format!("{major}.{minor}.{patch}");
        let fields = [
            report.implementation.as_bytes(),
            version.as_bytes(),
            report.executable.as_os_str().as_encoded_bytes(),
            report.prefix.as_os_str().as_encoded_bytes(),
            report.base_prefix.as_os_str().as_encoded_bytes(),
            report.mapped.as_os_str().as_encoded_bytes(),
            if report.free_threaded { b"1" } else { b"" },
            report.soname.as_bytes(),
            report.library_folder.as_os_str().as_encoded_bytes(),
            report.multiarch.as_bytes(),
        ];
        [START, &fields.join(&0), END].concat()
    }

    fn sample() -> Report {
        Report {
            implementation: "cpython".to_owned(),
            version: (3, 14, 6),
            executable: "/a b/bin/python3".into(),
            prefix: "/a b".into(),
            base_prefix: "/a\nb".into(),
            mapped: PathBuf::new(),
            free_threaded: false,
            soname: "libpython3.14.so.1.0".to_owned(),
            library_folder: "/install/lib".into(),
            multiarch: "x86_64-linux-gnu".to_owned(),
        }
    }

    fn run(python: &Path, limit: Duration) -> Result<Report, String> {
        super::run(python, limit).map_err(|refused| refused.to_string())
    }

    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn an_answer_is_found_in_other_output() {
        let output = [b"starting up\n".as_slice(), &answer(&sample()), b"done\n"].concat();
        assert_eq!(parse(&output), Some(sample()));
        assert_eq!(parse(&output[..output.len() - 10]), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn a_failure_tells_status_and_output() {
        let folder = Folder::new();
        let python = folder.script("bin/python3", "echo 'python3: command not found' >&2; exit 127");
        let reason = run(&python, LIMIT).unwrap_err();
        assert!(reason.contains("127") && reason.contains("command not found"), "{reason}");
        let silent = folder.script("bin/python3.14", "exit 0");
        assert_eq!(run(&silent, LIMIT).unwrap_err(), "it did not answer like a Python");
    }

    #[test]
    fn what_cannot_be_run_tells_why() {
        let folder = Folder::new();
        let python = folder.file("bin/python3", b"not executable");
        let reason = run(&python, LIMIT).unwrap_err();
        assert!(reason.starts_with("it cannot be run: "), "{reason}");
    }

    #[test]
    fn one_that_hangs_is_killed() {
        let folder = Folder::new();
        let python = folder.script("bin/python3", "exec sleep 60");
        let start = Instant::now();
        let reason = run(&python, Duration::from_millis(200)).unwrap_err();
        assert_eq!(reason, "it did not answer within 200ms");
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn what_a_wrapper_leaves_behind_does_not_delay_the_answer() {
        let folder = Folder::new();
        let text = folder.file("answer", &answer(&sample()));
        // Waiting for the end of the output would take longer than the limit.
        let python = folder.script("bin/python3", &format!("sleep 15 &\ncat '{}'", text.display()));
        assert_eq!(run(&python, LIMIT), Ok(sample()));
    }

    #[test]
    fn endless_output_ends() {
        let folder = Folder::new();
        let python = folder.script("bin/python3", "while :; do echo yes || exit 1; done");
        let reason = run(&python, LIMIT).unwrap_err();
        assert!(reason.contains("yes yes"), "{reason}");
    }
}
