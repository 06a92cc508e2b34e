//! `examples/stream`: all contenders find the same in a log, and an exception in one ends it.

mod support;

use std::path::PathBuf;
use std::process::Command;

use support::{bounded, build, build_folder, command, root};

struct Stream {
    program: PathBuf,
    log: PathBuf,
}

impl Stream {
    fn new(name: &str) -> Self {
        let log = build_folder().join(format!("{name}-{}.csv", std::process::id()));
        let _ = std::fs::remove_file(&log);
        Self { program: build(&root().join("examples/stream/stream.c")), log }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut stream = command(&self.program);
        stream.arg("-p").arg(root().join("examples/stream")).args(arguments).arg(&self.log);
        stream
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.program);
        let _ = std::fs::remove_file(&self.log);
    }
}

#[test]
fn all_find_the_same() {
    let stream = Stream::new("stream");
    let output =
        bounded::output(&mut stream.command(&["-m", "8", "-j", "2", "-c", "300000"])).expect("the program runs");
    let (text, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}{told}");
    assert!(text.contains("\nall results are identical\n"), "{text}");

    // Each line of the file was counted once.
    let log = std::fs::read_to_string(&stream.log).expect("the log");
    assert!(log.len() <= 8 << 20 && log.len() > (8 << 20) - 256);
    let routes: Vec<Vec<&str>> =
        text.lines().skip(1).map_while(|line| (!line.is_empty()).then(|| line.split_whitespace().collect())).collect();
    assert_eq!(routes.len(), 12, "{text}");
    let sum =
        |column: usize| routes.iter().map(|route| route[column].parse::<usize>().expect("a number")).sum::<usize>();
    assert_eq!(sum(2), log.lines().count() - 1);
    let field = |line: &str, at: usize| line.split(',').nth(at).expect("a field").to_owned();
    let bytes = log.lines().skip(1).map(|line| field(line, 4).parse::<usize>().expect("a number")).sum::<usize>();
    assert_eq!((sum(3), sum(4)), (log.lines().filter(|line| field(line, 3) == "503").count(), bytes));

    // Each has its times and, on Linux, its memory; and has said how far it is.
    for name in
        ["subpy: one interpreter", "subpy: a pool", "InterpreterPoolExecutor", "ProcessPoolExecutor", "the same"]
    {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {text}"));
        let memory = line.split_whitespace().last().expect("a column");
        assert!(!cfg!(target_os = "linux") || memory.parse::<f64>().expect("MiB") > 1.0, "{line}");
        assert!(told.lines().any(|line| line.starts_with(name) && line.ends_with(" %")), "{told}");
    }
}

#[test]
fn an_exception_ends_it() {
    let stream = Stream::new("stream-broken");
    let good = "2026-03-01T00:00:00.000Z,GET,/,200,1,1,curl/8.14.1\n".repeat(2000);
    let log = format!("time,method,route,status,bytes,ms,agent\n{good}2026,GET,/,200,many,1,curl\n{good}");
    std::fs::write(&stream.log, log).expect("a log");
    for contender in ["one", "pool"] {
        let output = bounded::output(&mut stream.command(&["-C", contender, "-j", "2", "-c", "8192"]))
            .expect("the program runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{contender}: {told}");
        assert!(told.contains("invalid literal for int() with base 10: 'many'"), "{contender}: {told}");
    }
    let output = bounded::output(&mut stream.command(&["-c", "8192"])).expect("the program runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("subpy: one interpreter has failed"));
}
