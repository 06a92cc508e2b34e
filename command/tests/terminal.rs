//! The command on a terminal: what is drawn and goes again, Ctrl-C as it is typed, narrow windows, and what is not drawn elsewhere.

mod support;

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use support::{Folder, SUBPY, expect_code, output, python, stderr, stdout, text};

/// A terminal, its columns, what is set in it, and the program that runs there.
struct Terminal<'a> {
    columns: u32,
    environment: &'a [(&'a str, &'a str)],
}

impl Default for Terminal<'_> {
    fn default() -> Self {
        Terminal { columns: 80, environment: &[] }
    }
}

impl Terminal<'_> {
    /// When a text was printed, keys are typed. What there was to see.
    fn shows(&self, steps: &[(&str, &str)], arguments: &[&str]) -> Value {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/terminal.py");
        let steps = serde_json::to_string(steps).unwrap();
        let mut command = Command::new(python());
        command.arg("-I").arg(script).arg(self.columns.to_string()).arg(steps).arg(SUBPY).args(arguments);
        command
            .env_remove("VIRTUAL_ENV")
            .env_remove("NO_COLOR")
            .env("SUBPY_PYTHON", python())
            .env("TERM", "xterm-256color");
        command.envs(self.environment.iter().copied()).stdin(Stdio::null());
        let output = output(&mut command);
        expect_code(&output, 0);
        let shown = support::json(&stdout(&output));
        assert_eq!(shown["left"], json!([]), "{shown}");
        shown
    }
}

fn printed(shown: &Value) -> &str {
    text(&shown["printed"])
}

/// Colours and the like.
fn has_styles(shown: &Value) -> bool {
    let codes = printed(shown).split("\x1b[").skip(1);
    codes
        .into_iter()
        .any(|code| code.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == ';').starts_with('m'))
}

const SLOW: &str = "
import time
def main(path):
    time.sleep(0.4)
    print('did', path)
    return path
";

struct Run {
    folder: Folder,
    script: String,
    out: String,
}

impl Run {
    fn new(source: &str) -> Run {
        let folder = Folder::new();
        let script = folder.file("script.py", source).to_str().unwrap().to_owned();
        let out = folder.path("out").to_str().unwrap().to_owned();
        Run { folder, script, out }
    }

    fn arguments(&self) -> [&str; 10] {
        ["run", "-j1", "-o", &self.out, &self.script, "a", "b", "c", "d", "e"]
    }

    fn done(&self) -> usize {
        std::fs::read_to_string(self.folder.path("out")).unwrap().lines().count()
    }
}

#[test]
fn a_bar_is_drawn_below_what_is_printed_and_goes_again() {
    let run = Run::new(SLOW);
    let shown = Terminal::default().shows(&[], &run.arguments());
    assert_eq!(shown["code"], 0, "{shown}");
    for drawn in ["░", "1/5", "4/5"] {
        assert!(printed(&shown).contains(drawn), "{drawn:?} is not in {shown}");
    }
    assert_eq!(shown["screen"], json!(["did a", "did b", "did c", "did d", "did e", "subpy: 5 results, 0 failed"]));

    // The results too may go to the terminal.
    let shown = Terminal::default().shows(&[], &["run", "-j1", &run.script, "a", "b"]);
    let [a, b] = ["a", "b"].map(|input| format!(r#"{{"input":"{input}","result":"{input}"}}"#));
    assert_eq!(shown["screen"], json!(["did a", a, "did b", b, "subpy: 2 results, 0 failed"]));
}

#[test]
fn the_bar_fits_into_a_narrow_window() {
    for columns in [12, 30, 41] {
        let run = Run::new(SLOW);
        let shown = Terminal { columns, ..Terminal::default() }.shows(&[], &run.arguments());
        assert_eq!(shown["code"], 0, "{shown}");
        let lines: Vec<&str> = shown["screen"].as_array().unwrap().iter().map(text).collect();
        assert_eq!(lines[..5], ["did a", "did b", "did c", "did d", "did e"], "{columns}: {shown}");
        // The terminal breaks it where its line ends.
        let last: String = lines[5..].concat();
        assert_eq!(last.replace(' ', ""), "subpy:5results,0failed", "{columns}: {shown}");
    }
}

#[test]
fn ctrl_c_ends_a_run_and_its_bar() {
    let run = Run::new(SLOW);
    let shown = Terminal::default().shows(&[("did b", "\x03")], &run.arguments());
    assert_eq!(shown["code"], 130, "{shown}");
    let done = run.done();
    assert!((1..=3).contains(&done), "{shown}");
    let screen = shown["screen"].as_array().unwrap();
    let said =
        format!("subpy: {done} results, 0 failed; ended by SIGINT with {} left: run it again to go on", 5 - done);
    assert_eq!(screen.last().map(text), Some(said.as_str()), "{shown}");
    // Of the bar one line may be left: the terminal itself shows ^C, which breaks it.
    let others: Vec<&str> = screen.iter().map(text).filter(|line| !line.starts_with("did ") && *line != said).collect();
    let is_bar = |line: &&str| line.starts_with(['█', '░']) && line.contains("/5");
    assert!(others.len() <= 1 && others.iter().all(is_bar), "{shown}");
}

#[test]
fn ctrl_c_ends_it_while_the_script_is_loaded() {
    let run = Run::new(
        "import sys, time\nprint('loading', file=sys.stderr, flush=True)\ntime.sleep(60)\ndef main(path): pass\n",
    );
    for more in [&[][..], &["--process"]] {
        let arguments: Vec<&str> = run.arguments().into_iter().chain(more.iter().copied()).collect();
        let shown = Terminal::default().shows(&[("loading", "\x03")], &arguments);
        assert_eq!(shown["code"], 130, "{shown}");
        let said = "subpy: ended by SIGINT while the script was being loaded: nothing was begun";
        let last = shown["screen"].as_array().unwrap().last().map(text);
        assert_eq!(last.map(|line| line.trim_start_matches("^C")), Some(said), "{shown}");
        assert_eq!(run.done(), 0);
    }
}

#[test]
fn nothing_is_drawn_where_there_is_no_terminal() {
    let run = Run::new(SLOW);
    let output = output(support::subpy().args(run.arguments()));
    expect_code(&output, 0);
    assert_eq!(stderr(&output), "did a\ndid b\ndid c\ndid d\ndid e\nsubpy: 5 results, 0 failed\n");
    let help = support::output(support::subpy().args(["run", "--help"]));
    assert!(!stdout(&help).contains('\x1b'), "{}", stdout(&help));
    let repl = support::output(support::subpy().arg("repl"));
    expect_code(&repl, 0);
    assert!(!stdout(&repl).contains('\x1b') && !stderr(&repl).contains('\x1b'), "{repl:?}");
}

#[test]
fn a_terminal_without_escapes_gets_none() {
    let run = Run::new(SLOW);
    let dumb = Terminal { environment: &[("TERM", "dumb")], ..Terminal::default() };
    let shown = dumb.shows(&[], &run.arguments());
    assert!(!printed(&shown).contains('\x1b'), "{shown}");
    assert_eq!(shown["screen"].as_array().unwrap().last().map(text), Some("subpy: 5 results, 0 failed"), "{shown}");
    let shown = dumb.shows(&[(":help lists", "6 * 7\r"), ("42", "\x04")], &["repl"]);
    assert!(shown["code"] == 0 && !printed(&shown).contains('\x1b'), "{shown}");
}

#[test]
fn no_color_is_heeded() {
    let run = Run::new(SLOW);
    let plain = Terminal { environment: &[("NO_COLOR", "1")], ..Terminal::default() };
    assert!(has_styles(&Terminal::default().shows(&[], &["--help"])), "help has none anyway");
    for arguments in [&["--help"][..], &["run", "--jobs"], &run.arguments(), &["doctor"]] {
        let shown = plain.shows(&[], arguments);
        assert!(!has_styles(&shown), "{arguments:?}: {shown}");
    }
    // At the next prompt: what is typed before it is forgotten when it is drawn.
    let shown = plain.shows(&[("1>>> \r", "1 / 0\r"), ("1>>> \r", "\x04")], &["repl"]);
    assert!(!has_styles(&shown) && printed(&shown).contains("division by zero\r\n"), "{shown}");
}

#[test]
fn the_repl_takes_keys() {
    // Each at an empty prompt, which is drawn again with what was typed. The arrows lead back, and to the lines before.
    let steps = [
        ("1>>> \r", "x = 4\x1b[D1\r"),
        ("1>>> \r", "x\r"),
        ("1>>> \r", "\x1b[A + 1\r"),
        ("1>>> \r", "def f():\r"),
        ("... \r", "  return 'fine'\r"),
        ("... \r", "\r"),
        ("1>>> \r", "f()\r"),
        ("1>>> \r", ":new\r"),
        ("2>>> \r", "\x04"),
    ];
    for columns in [80, 24] {
        let shown = Terminal { columns, ..Terminal::default() }.shows(&steps, &["repl"]);
        assert_eq!(shown["code"], 0, "{shown}");
        let screen: Vec<&str> = shown["screen"].as_array().unwrap().iter().map(text).collect();
        let end = [
            "1>>> x = 14",
            "1>>> x",
            "14",
            "1>>> x + 1",
            "15",
            "1>>> def f():",
            "...   return 'fine'",
            "...",
            "1>>> f()",
            "'fine'",
            "1>>> :new",
            "2>>>",
        ];
        assert_eq!(screen[screen.len() - end.len()..], end, "{shown}");
    }
}

#[test]
fn ctrl_c_in_the_repl() {
    let steps = [
        // Of a line that is typed, and a block.
        ("1>>> \r", "kept = 'kept'\r"),
        ("1>>> \r", "wrong\x03"),
        ("1>>> \r", "if True:\r"),
        ("... \r", "\x03"),
        // Of what runs.
        ("1>>> \r", "while True: print('on', flush=True)\r"),
        ("... \r", "\r"),
        ("on\r\non\r\n", "\x03"),
        ("KeyboardInterrupt", ""),
        ("1>>> \r", "print(kept, 'on')\r"),
        ("\r\nkept on\r\n", ""),
        ("1>>> \r", "exit()\r"),
    ];
    let shown = Terminal::default().shows(&steps, &["repl"]);
    assert_eq!(shown["code"], 0, "{shown}");
}
