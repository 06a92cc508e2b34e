//! Man pages and completions, of what `cli` says.

use std::fs;
use std::process::ExitCode;

use clap::CommandFactory;
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
        clap_complete::generate_to(shell, &mut Cli::command(), "subpy", &completions)
            .map_err(|error| format!("{}: {error}", completions.display()))?;
    }
    print(&format!("{}\n{}\n", man.display(), completions.display()))?;
    Ok(ExitCode::SUCCESS)
}
