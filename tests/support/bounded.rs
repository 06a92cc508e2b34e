//! A program that hangs is a failed test, which shows where it stands: never a run of all tests that does not end.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// No program of the tests takes half of it. The long forms, which are begun by hand, say how many seconds they need.
fn limit() -> Duration {
    let seconds = std::env::var("SUBPY_TEST_LIMIT").ok().map(|text| text.parse().expect("SUBPY_TEST_LIMIT is seconds"));
    Duration::from_secs(seconds.unwrap_or(1200))
}

/// Like `Command::output`. What it printed goes to files: pipes would have us wait for whoever else has them open.
pub fn output(command: &mut Command) -> std::io::Result<Output> {
    let (stdout, stderr) = (unnamed_file()?, unnamed_file()?);
    command.stdout(stdout.try_clone()?).stderr(stderr.try_clone()?).stdin(Stdio::null());
    let mut child = command.spawn()?;
    let hung = wait_within(&mut child, limit());
    let status = child.wait()?;
    let mut output = Output { status, stdout: all_of(&stdout)?, stderr: all_of(&stderr)? };
    output.stderr.extend(hung.into_bytes());
    Ok(output)
}

/// Waits for its end. After the limit it ends the program and all that it has started, and says where each of them stood.
pub fn wait_within(child: &mut Child, limit: Duration) -> String {
    let id = child.id();
    let (over, ended) = channel::<()>();
    let watcher = std::thread::spawn(move || match ended.recv_timeout(limit) {
        Err(RecvTimeoutError::Timeout) => end_all(id, limit),
        _ => String::new(),
    });
    child.wait().expect("it is our child");
    drop(over);
    watcher.join().expect("the watcher ends")
}

fn end_all(id: u32, limit: Duration) -> String {
    let family = with_descendants(id);
    let began: Vec<_> = family.iter().map(|id| beginning_of(*id)).collect();
    let mut said = format!("\nit has not ended in {} s, and was ended:\n", limit.as_secs());
    for id in &family {
        let id = id.to_string();
        let stacks = ran("timeout", ["-k", "5", "60", "gdb", "-p", &id, "-batch", "-ex", "thread apply all bt 40"]);
        writeln!(said, "process {id}\n{stacks}").expect("a string");
    }
    // Meanwhile some may have ended, and their numbers may be those of others.
    for (id, began) in family.iter().zip(began) {
        if began.is_some() && beginning_of(*id) == began {
            // SAFETY: it only sends a signal.
            unsafe { libc::kill(*id as i32, libc::SIGKILL) };
        }
    }
    said
}

fn ran<const N: usize>(program: &str, arguments: [impl AsRef<OsStr>; N]) -> String {
    match Command::new(program).args(arguments).stdin(Stdio::null()).output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => format!("{program}: {error}"),
    }
}

/// A process and those that it and they have started, of those whose parents have not ended.
fn with_descendants(id: u32) -> Vec<u32> {
    let processes: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|id| Some((id, parent_of(id)?)))
        .collect();
    let mut family = vec![id];
    let mut at = 0;
    while let Some(&parent) = family.get(at) {
        family.extend(processes.iter().filter(|process| process.1 == parent).map(|process| process.0));
        at += 1;
    }
    family
}

/// proc(5): after the name, which may contain anything, and its bracket come the state and the parent.
fn parent_of(id: u32) -> Option<u32> {
    field_of(id, 1)?.try_into().ok()
}

/// When it began: the 22nd field, of which the third is the first after the name.
fn beginning_of(id: u32) -> Option<u64> {
    field_of(id, 19)
}

fn field_of(id: u32, field: usize) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(field)?.parse().ok()
}

pub fn unnamed_file() -> std::io::Result<File> {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("printed-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = super::build_folder().join(name);
    let file = File::options().read(true).append(true).create_new(true).open(&path)?;
    std::fs::remove_file(path)?;
    Ok(file)
}

pub fn all_of(file: &File) -> std::io::Result<Vec<u8>> {
    // What is left of it may still print.
    let mut all = vec![0; file.metadata()?.len().try_into().expect("it fits into memory")];
    file.read_exact_at(&mut all, 0)?;
    Ok(all)
}
