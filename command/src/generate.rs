//! Man pages and completions, of what `cli` says.

use std::fs;
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use crate::cli::{Cli, Generate};
use crate::{Result, print};

pub fn generate(arguments: &Generate) -> Result<ExitCode> {
    let (man, completions) = (arguments.folder.join("man"), arguments.folder.join("completions"));
    for folder in [&man, &completions] {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    clap_mangen::generate_to(Cli::command(), &man).map_err(|error| format!("{}: {error}", man.display()))?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut shown(), "subpy", &completions)
            .map_err(|error| format!("{}: {error}", completions.display()))?;
    }
    print(&format!("{}\n{}\n", man.display(), completions.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Without the commands that are not for users: clap_complete has words for those too.
fn shown() -> Command {
    let all = Cli::command();
    let commands = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let about = all.get_about().cloned().unwrap_or_default();
    Command::new("subpy")
        .about(about)
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments().cloned())
        .subcommands(commands)
}
