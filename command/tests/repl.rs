//! `subpy repl`, as one who types would have it; its input is a pipe here.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use support::{end_in_time, expect_code, stderr, stdout, subpy};

fn typed(lines: &str) -> Output {
    let mut child = begin();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn begin() -> Child {
    let mut command = subpy();
    command.arg("repl").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    end_in_time(&child);
    child
}

fn prints(lines: &str, expected: &str) {
    let output = typed(lines);
    expect_code(&output, 0);
    assert_eq!(stdout(&output), expected, "{}", stderr(&output));
}

#[test]
fn expressions_are_shown_and_blocks_end_with_an_empty_line() {
    prints("1 + 1\nx = 'a'\nx * 3\nNone\n", "2\n'aaa'\n");
    prints("def f(n):\n    if n:\n        return 'yes'\n    return 'no'\n\nf(1)\nf(0)\n", "'yes'\n'no'\n");
    prints("text = '''a\n\nb'''\ntext\n", "'a\\n\\nb'\n");
    // The end of the input ends a block too.
    prints("for n in range(2):\n    print(n)", "0\n1\n");
    prints("from __future__ import annotations\ndef g(a: nowhere): pass\n\ng.__annotations__\n", "{'a': 'nowhere'}\n");
}

#[test]
fn errors_are_shown_and_it_goes_on() {
    let output = typed("def f():\n    return 1 / 0\n\nf()\nf(\n\n)\n1 +\n'still here'\n");
    expect_code(&output, 0);
    assert_eq!(stdout(&output), "'still here'\n");
    let shown = stderr(&output);
    assert!(shown.contains("File \"<input-2>\", line 1, in <module>\n    f()"), "{shown}");
    assert!(shown.contains("    return 1 / 0\n") && shown.contains("ZeroDivisionError: division by zero"), "{shown}");
    assert!(shown.contains("SyntaxError: invalid syntax"), "{shown}");
    assert!(!shown.contains("_subpy_repl") && !shown.contains("<setup>"), "{shown}");
}

#[test]
fn interpreters_are_apart() {
    prints(
        "x = 1\n:new\n'x' in globals()\nx = 2\n:use 1\nx\n:use 2\nx\n:new shared\n:new process\nimport os\nos.getpid() == os.getppid()\n:list\n",
        "False\n1\n2\nFalse\n  1  own GIL\n  2  own GIL\n  3  shared GIL\n* 4  process\n",
    );
    prints(":new\n:close 2\n:list\n:close 1\n:list\n1 + 1\n", "* 1  own GIL\n* 3  own GIL\n2\n");
}

#[test]
fn wrong_commands_say_what_there_is() {
    let output = typed(":use 7\n:new nonsense\n:what\n:help\n");
    expect_code(&output, 0);
    let shown = stderr(&output);
    for text in ["there is no interpreter \"7\"", "there are own, shared and process", ":what is not known"] {
        assert!(shown.contains(text), "{shown}");
    }
    assert!(stdout(&output).contains(":close N"), "{}", stdout(&output));
}

#[test]
fn exit_ends_it() {
    prints("print('a')\nexit()\nprint('b')\n", "a\n");
}

#[test]
fn a_process_that_crashes_is_replaced() {
    let output = typed(":new process\nimport os\nos.abort()\nprint('on')\n:list\n");
    expect_code(&output, 0);
    assert_eq!(stdout(&output), "on\n* 1  own GIL\n");
    assert!(stderr(&output).contains("interpreter 2 is gone"), "{}", stderr(&output));
}

struct Typing {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Typing {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }
}

#[test]
fn ctrl_c_interrupts_what_runs() {
    for new in ["", ":new process\n", ":new shared\n"] {
        let mut child = begin();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut typing = Typing { child, stdin, stdout };
        write!(typing.stdin, "{new}kept = 'kept'\nprint('begun', flush=True)\nwhile True: pass\n\nprint(kept)\n")
            .unwrap();
        assert_eq!(typing.line(), "begun\n");
        thread::sleep(Duration::from_millis(300));
        let id = typing.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        assert_eq!(typing.line(), "kept\n");
        drop(typing.stdin);
        let output = typing.child.wait_with_output().unwrap();
        expect_code(&output, 0);
        assert!(stderr(&output).contains("KeyboardInterrupt"), "{}", stderr(&output));
    }
}

#[test]
fn where_nobody_reads_it_ends_without_a_word() {
    let mut child =
        subpy().arg("repl").stdin(Stdio::piped()).stdout(support::unread()).stderr(support::unread()).spawn().unwrap();
    end_in_time(&child);
    child.stdin.take().unwrap().write_all(b":list\n:help\n:what\nprint('a')\n1 / 0\n:close 1\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
