//! `subpy run`: what becomes of inputs that work, raise, hang, crash, and of a run that is ended in the middle.

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use support::{Folder, end_in_time, expect_code, json, output, stderr, stdout, subpy, text};

const SCRIPT: &str = r#"
import math
import sys
import threading
import time

def main(path):
    word, _, rest = path.partition(":")
    print("at work on", path)
    if word == "raise":
        raise ValueError(rest)
    if word == "hang":
        while True:
            pass
    if word == "block":
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
    if word == "sleep":
        time.sleep(float(rest))
    if word == "crash":
        import ctypes
        ctypes.string_at(0)
    if word == "exit":
        sys.exit(3)
    if word == "set":
        return {1, 2}
    if word == "nan":
        return math.nan
    if word == "surrogate":
        return "\ud800"
    if word == "none":
        return None
    return {"length": len(path), "big": 2**80, "text": "é"}

def other(path):
    return [path.upper(), (1, 2.5)]
"#;

fn script(folder: &Folder) -> String {
    folder.file("script.py", SCRIPT).to_str().unwrap().to_owned()
}

fn run(arguments: &[&str]) -> Output {
    output(subpy().arg("run").args(arguments))
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(json).collect()
}

fn line<'a>(lines: &'a [Value], input: &str) -> &'a Value {
    lines.iter().find(|line| line["input"] == input).unwrap_or_else(|| panic!("no {input} in {lines:?}"))
}

#[test]
fn results_are_lines_of_json() {
    let folder = Folder::new();
    let script = script(&folder);
    let output = run(&["-j", "2", &script, "abc", "none", "abc"]);
    expect_code(&output, 0);
    let found = lines(&stdout(&output));
    assert_eq!(found.len(), 2, "each input once: {found:?}");
    assert_eq!(line(&found, "none").to_string(), r#"{"input":"none","result":null}"#);
    assert!(
        stdout(&output)
            .contains(r#"{"input":"abc","result":{"length": 3, "big": 1208925819614629174706176, "text": "é"}}"#),
        "{}",
        stdout(&output)
    );
    assert!(stderr(&output).contains("at work on abc\n"), "{}", stderr(&output));
    assert!(stderr(&output).contains("2 results, 0 failed"), "{}", stderr(&output));

    let output = run(&["--function", "other", &script, "abc"]);
    assert_eq!(stdout(&output), "{\"input\":\"abc\",\"result\":[\"ABC\", [1, 2.5]]}\n");
}

/// docs/command.md shows it.
#[test]
fn the_example_counts_words() {
    let folder = Folder::new();
    let input = folder.file("input.txt", "to be or not to be a b c");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/words.py");
    let output = run(&[script, input.to_str().unwrap()]);
    expect_code(&output, 0);
    assert_eq!(lines(&stdout(&output))[0]["result"], json(r#"{"to": 2, "be": 2, "or": 1}"#));
}

#[test]
fn what_fails_is_a_line_too() {
    let folder = Folder::new();
    let inputs = ["raise:why", "set", "nan", "surrogate", "exit", "hang", "block", "good"];
    for isolation in [&["-j1"][..], &["-j2", "--process"]] {
        let output =
            output(subpy().arg("run").args(isolation).args(["--timeout", "1.5"]).arg(script(&folder)).args(inputs));
        expect_code(&output, 1);
        let found = lines(&stdout(&output));
        assert_eq!(found.len(), inputs.len(), "{found:?}");
        let error = &line(&found, "raise:why")["error"];
        assert_eq!((text(&error["kind"]), text(&error["type"])), ("exception", "ValueError"));
        assert_eq!(error["message"], "why");
        let traceback = text(&error["traceback"]);
        assert!(traceback.contains("script.py\", line 11, in main") && !traceback.contains("<setup>"), "{traceback}");
        for (input, why) in [("set", "type set is not JSON"), ("nan", "not JSON compliant"), ("surrogate", "surrogate")]
        {
            let error = &line(&found, input)["error"];
            assert_eq!(error["kind"], "result", "{error}");
            assert!(text(&error["message"]).contains(why), "{error}");
        }
        assert_eq!(line(&found, "exit")["error"]["type"], "SystemExit");
        for input in ["hang", "block"] {
            assert_eq!(line(&found, input)["error"]["kind"], "timeout", "{found:?}");
        }
        assert_eq!(line(&found, "good")["result"]["length"], 4);
        assert!(stderr(&output).contains("1 results, 7 failed"), "{}", stderr(&output));
    }
}

#[test]
fn a_crash_costs_one_input_in_a_process() {
    let folder = Folder::new();
    let script = script(&folder);
    let output = run(&["-j2", "--process", &script, "a", "crash", "b", "c"]);
    expect_code(&output, 1);
    let found = lines(&stdout(&output));
    assert_eq!(found.len(), 4, "{found:?}");
    let error = &line(&found, "crash")["error"];
    assert_eq!((text(&error["kind"]), text(&error["signal"])), ("crash", "SIGSEGV"), "{error}");
    for input in ["a", "b", "c"] {
        assert_eq!(line(&found, input)["result"]["length"], 1);
    }
    // Without, it takes the whole of it.
    let output = run(&["-j2", &script, "crash"]);
    assert_eq!(output.status.signal(), Some(11), "{output:?}");
}

#[test]
fn what_cannot_be_run_is_said() {
    let folder = Folder::new();
    let gone = folder.path("gone.py");
    let output = run(&[gone.to_str().unwrap(), "a"]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("gone.py: No such file"), "{}", stderr(&output));

    let script = script(&folder);
    let output = run(&["--function", "absent", &script, "a"]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("no function 'absent'"), "{}", stderr(&output));

    let broken = folder.file("broken.py", "import gone_module\n");
    let output = run(&[broken.to_str().unwrap(), "a"]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("broken.py\", line 1"), "{}", stderr(&output));
    assert!(stderr(&output).contains("No module named 'gone_module'"), "{}", stderr(&output));

    let output = run(&[&script]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("<FILES>"), "{}", stderr(&output));
    for wrong in [["-j", "0"], ["--timeout", "-1"], ["--timeout", "soon"]] {
        expect_code(&run(&[wrong[0], wrong[1], &script, "a"]), 2);
    }
}

#[test]
fn inputs_come_from_stdin() {
    let folder = Folder::new();
    let mut command = subpy();
    command.args(["run", "-j2"]).arg(script(&folder)).args(["first", "-", "last"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"a b\nfirst\n\nc").unwrap();
    let output = child.wait_with_output().unwrap();
    expect_code(&output, 0);
    let mut inputs: Vec<String> = lines(&stdout(&output)).iter().map(|line| text(&line["input"]).to_owned()).collect();
    inputs.sort();
    assert_eq!(inputs, ["a b", "c", "first", "last"]);
}

/// A run over 40 inputs, each of which notes that it was begun.
struct Long {
    folder: Folder,
    script: String,
    out: String,
    inputs: Vec<String>,
}

impl Long {
    fn new() -> Long {
        let folder = Folder::new();
        let begun = folder.path("begun");
        let source = format!(
            "import time\ndef main(path):\n    with open({begun:?}, 'a') as file: file.write(path + '\\n')\n    \
             time.sleep(0.1)\n    return path\n"
        );
        let script = folder.file("script.py", source).to_str().unwrap().to_owned();
        let out = folder.path("out.jsonl").to_str().unwrap().to_owned();
        Long { folder, script, out, inputs: (0..40).map(|n| format!("input-{n}")).collect() }
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = subpy();
        command.args(["run", "-j2", "--output", &self.out]).args(more).arg(&self.script).args(&self.inputs);
        command.stderr(Stdio::piped());
        command
    }

    /// Begun, and some of it done.
    fn begin(&self, more: &[&str]) -> Child {
        let child = self.command(more).spawn().unwrap();
        end_in_time(&child);
        let start = Instant::now();
        while fs::read_to_string(&self.out).unwrap_or_default().lines().count() < 5 {
            assert!(start.elapsed() < Duration::from_secs(60), "it does not begin");
            thread::sleep(Duration::from_millis(10));
        }
        child
    }

    fn done(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.out).unwrap();
        lines(&text).iter().map(|line| text_of(&line["input"])).collect()
    }

    fn begun(&self) -> usize {
        fs::read_to_string(self.folder.path("begun")).unwrap().lines().count()
    }

    /// Goes on, and is then complete, with each input once.
    fn goes_on(&self, more: &[&str]) -> String {
        let output = output(&mut self.command(more));
        expect_code(&output, 0);
        let mut done = self.done();
        assert_eq!(done.len(), 40, "{done:?}");
        done.sort();
        done.dedup();
        assert_eq!(done.len(), 40);
        stderr(&output)
    }
}

fn text_of(value: &Value) -> String {
    text(value).to_owned()
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn a_run_that_was_killed_goes_on() {
    for more in [&[][..], &["--process"]] {
        let long = Long::new();
        let mut child = long.begin(more);
        signal(&child, "-KILL");
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        let before = long.done().len();
        assert!((5..40).contains(&before), "{before}");
        let said = long.goes_on(more);
        assert!(said.contains(&format!("{before} were there before")), "{said}");
        // What was done is not done again; what was being done is: two at most.
        assert!((40..=42).contains(&long.begun()), "{}", long.begun());
    }
}

#[test]
fn ctrl_c_ends_it_and_it_goes_on() {
    for more in [&[][..], &["--process"]] {
        let long = Long::new();
        let child = long.begin(more);
        signal(&child, "-INT");
        let output = child.wait_with_output().unwrap();
        expect_code(&output, 130);
        let before = long.done().len();
        assert!((5..40).contains(&before), "{before}");
        assert!(stderr(&output).contains(&format!("SIGINT with {} left", 40 - before)), "{}", stderr(&output));
        long.goes_on(more);
    }
}

#[test]
fn ctrl_c_ends_what_never_ends() {
    let folder = Folder::new();
    let out = folder.path("out.jsonl");
    let mut command = subpy();
    command.args(["run", "-j1", "-o"]).arg(&out).arg(script(&folder)).args(["a", "hang", "b"]);
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    end_in_time(&child);
    let start = Instant::now();
    while fs::read_to_string(&out).unwrap_or_default().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(60), "it does not begin");
        thread::sleep(Duration::from_millis(10));
    }
    thread::sleep(Duration::from_millis(200));
    signal(&child, "-INT");
    expect_code(&child.wait_with_output().unwrap(), 130);
    let found = lines(&fs::read_to_string(&out).unwrap());
    assert_eq!(found.len(), 1, "what was interrupted is not done: {found:?}");
}

#[test]
fn a_torn_line_is_done_again() {
    let folder = Folder::new();
    let script = script(&folder);
    let out = folder.path("out.jsonl");
    let run = |inputs: &[&str]| output(subpy().args(["run", "-o"]).arg(&out).arg(&script).args(inputs));
    let good = "{\"input\":\"a\",\"result\":1}\n";
    for torn in ["{\"input\":\"b\",\"resu", "{", "{\"input\":\"b\",\"result\":{\"x\": \"\\"] {
        fs::write(&out, format!("{good}{torn}")).unwrap();
        let output = run(&["a", "b"]);
        expect_code(&output, 0);
        assert!(stderr(&output).contains("was torn"), "{}", stderr(&output));
        let text = fs::read_to_string(&out).unwrap();
        assert!(text.starts_with(good), "{text}");
        assert_eq!(lines(&text).len(), 2, "{text}");
    }
    // All of it is there but the end of the line.
    fs::write(&out, good.trim_end()).unwrap();
    expect_code(&run(&["a", "b"]), 0);
    let text = fs::read_to_string(&out).unwrap();
    assert_eq!((text.starts_with(good), lines(&text).len()), (true, 2), "{text}");
}

#[test]
fn a_file_of_something_else_is_left_alone() {
    let folder = Folder::new();
    let script = script(&folder);
    for (content, place) in [("something\n", ":1:"), ("{\"input\":\"a\",\"result\":1}\n[]\n", ":2:"), ("no end", ":1:")]
    {
        let out = folder.file("out.jsonl", content);
        let output = run(&["-o", out.to_str().unwrap(), &script, "b"]);
        expect_code(&output, 2);
        assert!(stderr(&output).contains(&format!("out.jsonl{place} no line of `subpy run`")), "{}", stderr(&output));
        assert_eq!(fs::read_to_string(&out).unwrap(), content);
    }
}

#[test]
fn what_has_failed_is_done_again_when_asked_for() {
    let folder = Folder::new();
    let marker = folder.path("marker");
    let source =
        format!("import os\ndef main(path):\n    assert os.path.exists({marker:?}), 'not yet'\n    return path\n");
    let script = folder.file("script.py", source);
    let out = folder.path("out.jsonl");
    let run = |more: &[&str]| output(subpy().args(["run", "-o"]).arg(&out).args(more).arg(&script).args(["a", "b"]));
    expect_code(&run(&[]), 1);
    fs::write(&marker, "").unwrap();
    // They were done, and have failed.
    let output = run(&[]);
    expect_code(&output, 1);
    assert!(stderr(&output).contains("--retry"), "{}", stderr(&output));
    expect_code(&run(&["--retry"]), 0);
    // The last line counts.
    expect_code(&run(&[]), 0);
    assert_eq!(lines(&fs::read_to_string(&out).unwrap()).len(), 4);
}

#[test]
fn two_do_not_write_to_one_file() {
    let long = Long::new();
    let mut child = long.begin(&[]);
    let second = output(&mut long.command(&[]));
    expect_code(&second, 2);
    assert!(stderr(&second).contains("another `subpy run` writes to it"), "{}", stderr(&second));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_full_disk_is_said() {
    let folder = Folder::new();
    if !Path::new("/dev/full").exists() {
        return support::skipped("a full disk", "there is no /dev/full");
    }
    let output = run(&["-o", "/dev/full", &script(&folder), "a", "b"]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("No space left on device"), "{}", stderr(&output));
}

/// Without a terminal nobody types it.
#[test]
fn a_signal_ends_it_while_the_script_is_loaded() {
    let folder = Folder::new();
    let loading = folder.path("loading");
    let source = format!("import time\nopen({loading:?}, 'w').close()\ntime.sleep(60)\ndef main(path): pass\n");
    let script = folder.file("script.py", source);
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let _ = fs::remove_file(&loading);
        let mut command = subpy();
        let child = command.args(["run", "-j2"]).arg(&script).arg("a").stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = child.spawn().unwrap();
        end_in_time(&child);
        while !loading.exists() {
            thread::sleep(Duration::from_millis(10));
        }
        let start = Instant::now();
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        expect_code(&output, code);
        assert!(start.elapsed() < Duration::from_secs(30), "it ends when the script is loaded");
        assert!(
            stderr(&output).contains("while the script was being loaded: nothing was begun"),
            "{}",
            stderr(&output)
        );
        assert_eq!(stdout(&output), "");
    }
}

#[test]
fn where_nobody_reads_it_ends_without_a_word() {
    let folder = Folder::new();
    let script = script(&folder);
    let out = folder.path("out");
    // What is printed, and the end, are for nobody; the results are there.
    let run = |more: &[&str]| {
        let mut command = subpy();
        command.args(["run", "-j2"]).args(more).arg(&script).args(["a", "raise:b", "c"]);
        command
    };
    let mut command = run(&["-o", out.to_str().unwrap()]);
    assert_eq!(command.stderr(support::unread()).status().unwrap().code(), Some(1));
    assert_eq!(lines(&fs::read_to_string(&out).unwrap()).len(), 3);
    // As if SIGPIPE had ended it.
    let output = run(&[]).stdout(support::unread()).stderr(Stdio::piped()).output().unwrap();
    expect_code(&output, 141);
    let said = stderr(&output);
    assert!(said.lines().all(|line| line.starts_with("at work on ")), "{said}");
    for arguments in [&["doctor"][..], &["doctor", "--json"], &["run", "gone.py", "a"], &["--help"], &["nonsense"]] {
        let (seen, usual) = (
            subpy().args(arguments).stdout(support::unread()).stderr(support::unread()).status().unwrap(),
            output_of(arguments),
        );
        assert_eq!(seen.code(), usual, "{arguments:?}");
    }
}

fn output_of(arguments: &[&str]) -> Option<i32> {
    output(subpy().args(arguments)).status.code()
}

#[test]
fn children_that_nobody_wants_to_hear_of_are_heard_of() {
    let folder = Folder::new();
    let source = "import subprocess\ndef main(path):\n    return subprocess.run(['sh', '-c', 'exit 7']).returncode\n";
    let script = folder.file("script.py", source).to_str().unwrap().to_owned();
    for more in [&[][..], &["--process"]] {
        let arguments: Vec<&str> = ["run", &script, "a"].into_iter().chain(more.iter().copied()).collect();
        let output = output(&mut support::ignoring_children(&arguments));
        expect_code(&output, 0);
        assert_eq!(lines(&stdout(&output))[0]["result"], 7);
    }
}
