//! `examples/judge.c`: what it says of programs that end, and of some that do not.

mod support;

use std::process::{Command, Stdio};
use std::time::Duration;

use support::{bounded, build, command, expect_success, root};

/// The verdict on each program, by its file's name, and the last column.
fn verdicts(arguments: &[&str]) -> Vec<(String, String, String)> {
    let program = build(&root().join("examples/judge.c"));
    let mut judge = command(&program);
    judge.current_dir(root().join("examples/judge")).args(arguments);
    let output = String::from_utf8(expect_success(judge).stdout).expect("UTF-8");
    std::fs::remove_file(program).expect("the program can be removed");
    let lines: Vec<&str> = output.lines().collect();
    let column = |name| lines[0].find(name).unwrap_or_else(|| panic!("{name} in {}", lines[0]));
    let (verdict, ms, last) = (column("verdict"), column("    ms"), column("what it said last"));
    let row = |line: &&str| {
        let name = line[..verdict].trim().trim_start_matches("ordinary/").to_owned();
        (name, line[verdict..ms].trim().to_owned(), line[last..].to_owned())
    };
    lines[1..].iter().take_while(|line| line[..verdict].trim().ends_with(".py")).map(row).collect()
}

#[test]
fn programs_that_end() {
    let verdicts = verdicts(&["-j", "3", "-t", "60000", "ordinary"]);
    let verdicts: Vec<(&str, &str, &str)> =
        verdicts.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
    assert_eq!(
        verdicts,
        [
            ("answer.py", "ok", "the answer is 42"),
            ("asks.py", "exception", "EOFError: EOF when reading a line"),
            ("babbles.py", "ok", "line 19999"),
            ("background.py", "ok", "done in the background"),
            ("exits.py", "exit status", "3"),
            ("typo.py", "syntax error", "SyntaxError: '(' was never closed (typo.py, line 2)"),
            ("wrong.py", "exception", "ZeroDivisionError: division by zero"),
        ]
    );
}

#[test]
fn programs_in_processes_of_their_own() {
    let verdicts = verdicts(&["--isolate", "-j", "2", "-t", "400", "loop.py", "sleep.py", "ordinary/answer.py"]);
    let verdict = |index: usize| (verdicts[index].0.as_str(), verdicts[index].1.as_str());
    assert_eq!([verdict(0), verdict(1)], [("loop.py", "timeout"), ("sleep.py", "timeout")], "{verdicts:?}");
    assert_eq!((verdict(2), verdicts[2].2.as_str()), (("answer.py", "ok"), "the answer is 42"));
}

#[test]
fn programs_that_do_not() {
    let verdicts = verdicts(&["-j", "2", "-t", "400", "loop.py", "sleep.py", "ordinary/answer.py"]);
    let verdict = |index: usize| (verdicts[index].0.as_str(), verdicts[index].1.as_str());
    // On a busy machine it may take longer to end than the judge waits.
    assert!(["timeout", "stuck"].contains(&verdict(0).1), "{verdicts:?}");
    assert_eq!([verdict(1), verdict(2)], [("sleep.py", "stuck"), ("answer.py", "ok")]);
    assert!(verdicts[1].2.contains("a run at sleep.py:4 in <module>"), "{verdicts:?}");
}

/// What the tests do with programs that hang themselves.
#[test]
fn what_hangs_is_ended_with_what_it_has_started() {
    let mut command = Command::new("sh");
    command.args(["-c", "echo begun; sleep 600 & sleep 600; wait"]).stdin(Stdio::null());
    let stdout = bounded::unnamed_file().expect("a file");
    let mut child = command.stdout(stdout.try_clone().expect("a file")).spawn().expect("it starts");
    let said = bounded::wait_within(&mut child, Duration::from_secs(1));
    assert_eq!(bounded::all_of(&stdout).expect("a file"), b"begun\n");
    assert!(said.contains("has not ended in 1 s"), "{said}");
    assert_eq!(said.matches("\nprocess ").count(), 3, "{said}");
    assert!(!child.wait().expect("it has ended").success());
}
