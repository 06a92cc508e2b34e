//! The documentation says what is true: code in it stands in files that the tests run, and its links lead somewhere.

mod support;

use std::fs;
use std::path::PathBuf;

use support::root;

/// Languages whose code must come from a file. `sh` and `text` need not.
const LANGUAGES: [&str; 11] = ["c", "cpp", "cmake", "go", "java", "javascript", "js", "lua", "python", "rust", "toml"];

fn pages() -> Vec<(String, String)> {
    let mut paths: Vec<PathBuf> = vec![root().join("README.md")];
    paths.extend(fs::read_dir(root().join("docs")).expect("docs/").map(|entry| entry.expect("an entry").path()));
    let name = |path: &PathBuf| path.strip_prefix(root()).expect("inside").display().to_string();
    paths.iter().map(|path| (name(path), fs::read_to_string(path).expect("a page"))).collect()
}

struct Block<'a> {
    line: usize,
    language: &'a str,
    /// The file that the line before names.
    from: Option<&'a str>,
    code: Vec<&'a str>,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().enumerate();
    let mut before = "";
    while let Some((line, text)) = lines.next() {
        if let Some(language) = text.trim_start().strip_prefix("```") {
            let code = lines.by_ref().map(|(_, text)| text).take_while(|text| text.trim() != "```").collect();
            let from = before.strip_prefix("<!-- from: ").and_then(|rest| rest.strip_suffix(" -->"));
            blocks.push(Block { line: line + 1, language, from, code });
        }
        before = text.trim();
    }
    blocks
}

/// Lines without the indentation that they share.
fn dedented<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let indent = |line: &&str| line.len() - line.trim_start().len();
    let common = lines.iter().filter(|line| !line.trim().is_empty()).map(indent).min().unwrap_or(0);
    lines.iter().map(|line| line.get(common..).unwrap_or("").trim_end()).collect()
}

/// Whether these lines stand in the text, one after the other.
fn stands_in(code: &[&str], text: &str) -> bool {
    let (code, lines): (Vec<_>, Vec<_>) = (dedented(code), text.lines().collect());
    lines.windows(code.len().max(1)).any(|window| dedented(window) == code)
}

#[test]
fn code_comes_from_files_that_the_tests_run() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for (page, text) in pages() {
        for block in blocks(&text) {
            let place = format!("{page}:{}", block.line);
            match block.from {
                Some(file) => match fs::read_to_string(root().join(file)) {
                    Ok(source) if stands_in(&block.code, &source) => checked += 1,
                    Ok(_) => wrong.push(format!("{place}: this does not stand in {file}")),
                    Err(error) => wrong.push(format!("{place}: {file}: {error}")),
                },
                // Those of the README are compiled and run as they stand (tests/interface.rs).
                None if page != "README.md" && LANGUAGES.contains(&block.language) => {
                    wrong.push(format!(
                        "{place}: no line `<!-- from: path -->` says where this {} is from",
                        block.language
                    ));
                }
                None => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 0);
}

/// The page without its code.
fn prose(page: &str) -> String {
    let mut prose = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with("```") {
            lines.by_ref().find(|line| line.trim() == "```");
        } else {
            prose.extend(line.split('`').step_by(2));
            prose.push('\n');
        }
    }
    prose
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    for (page, text) in pages() {
        let folder = root().join(&page).parent().expect("a folder").to_owned();
        for target in prose(&text).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if !target.contains("://") && !path.is_empty() && !folder.join(path).exists() {
                wrong.push(format!("{page}: {target}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The pages about a language say what each status becomes there.
#[test]
fn pages_about_a_language_name_every_status() {
    let header = fs::read_to_string(root().join("include/subpy.h")).expect("the header");
    let statuses: Vec<&str> =
        header.lines().filter_map(|line| line.strip_prefix("#define SUBPY_ERROR_")?.split(' ').next()).collect();
    assert!(statuses.len() >= 13);
    let mut missing = Vec::new();
    for page in ["cpp", "go", "java", "lua", "node", "python", "rust"] {
        let text = fs::read_to_string(root().join(format!("docs/{page}.md"))).expect("a page");
        let absent = statuses.iter().filter(|status| !text.contains(&format!("{status}`")));
        missing.extend(absent.map(|status| format!("docs/{page}.md: {status}")));
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn the_check_of_code_sees_a_difference() {
    let source = "fn main() {\n    let a = 1;\n\n    if a {\n        b();\n    }\n}\n";
    assert!(stands_in(&["let a = 1;", "", "if a {", "    b();"], source));
    assert!(!stands_in(&["let a = 1;", "if a {"], source));
    assert!(!stands_in(&["let a = 2;"], source));
    let page = "text\n<!-- from: x/y.rs -->\n```rust\ncode\n```\n```text\nplain\n```\n";
    let found: Vec<_> = blocks(page).iter().map(|block| (block.line, block.language, block.from)).collect();
    assert_eq!(found, [(3, "rust", Some("x/y.rs")), (6, "text", None)]);
}
