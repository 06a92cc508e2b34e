//! What a check says, as a table: for people, and between two marks in a page.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::{Checked, Place, Verdict};
use crate::Result;

pub const BEGIN: &str = "<!-- packages: written by subpy check --table -->";
pub const END: &str = "<!-- end of packages -->";

pub fn text(checked: &[Checked]) -> String {
    let mut rows = vec![["package", "version", "own GIL", "second", "shared GIL", "main"].map(str::to_owned)];
    for checked in checked {
        let [own, second, shared, main] = Place::ALL.map(|place| match checked.at(place) {
            Some(outcome) => outcome.short(),
            None => "-".to_owned(),
        });
        rows.push([
            checked.package.clone(),
            checked.version.clone().unwrap_or("-".to_owned()),
            own,
            second,
            shared,
            main,
        ]);
    }
    let widths: [usize; 6] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for row in &rows {
        let line: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "{}", line.join("  ").trim_end());
    }
    for checked in checked {
        for note in checked.notes() {
            let _ = writeln!(text, "\n{}: {note}", checked.package);
        }
    }
    text
}

/// Puts it in the place of what is between the marks.
pub fn write(path: &Path, checked: &[Checked], versions: &str) -> Result<()> {
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let page = fs::read_to_string(path).map_err(told)?;
    let place =
        page.find(BEGIN).map(|at| at + BEGIN.len()).and_then(|from| Some((from, from + page[from..].find(END)?)));
    let Some((from, to)) = place else {
        return Err(format!("{}: there are no lines `{BEGIN}` and `{END}` to put the table between", path.display()));
    };
    let page = format!("{}\n\n{}\n{}", &page[..from], markdown(checked, versions), &page[to..]);
    fs::write(path, page).map_err(told)
}

fn markdown(checked: &[Checked], versions: &str) -> String {
    let (there, absent): (Vec<&Checked>, Vec<&Checked>) =
        checked.iter().partition(|checked| checked.outcomes.is_some());
    let mut text = format!("{versions}\n\n");
    text += "| package | own GIL | a second one | shared GIL | main interpreter |\n|---|---|---|---|---|\n";
    for checked in &there {
        let cells: Vec<String> = Place::ALL.iter().filter_map(|place| Some(checked.at(*place)?.cell())).collect();
        let version = checked.version.as_deref().unwrap_or_default();
        let _ = writeln!(text, "| {} {version} | {} |", checked.package, cells.join(" | "));
    }
    let count = |place: Place| {
        let works = |checked: &&&Checked| checked.at(place).is_some_and(|outcome| outcome.verdict == Verdict::Works);
        there.iter().filter(works).count()
    };
    let [own, second, shared, main] = Place::ALL.map(count);
    let _ = writeln!(text, "| {} packages work | {own} | {second} | {shared} | {main} |", there.len());
    if !absent.is_empty() {
        let names: Vec<&str> = absent.iter().map(|checked| checked.package.as_str()).collect();
        let _ = writeln!(
            text,
            "\nNot tried, as they could not be installed, or have nothing to import: {}.",
            names.join(", ")
        );
    }
    text
}
