//! `pipectl blueprint`: the complete example pipelines shipped with the program.

use crate::exit::Exit;
use crate::failure::Failure;
use pipectl_config::Blueprint;

use super::{args::BlueprintCommand, output::Output};
use crate::session::pipeline::unknown_blueprint;

/// Runs it.
///
/// # Errors
/// An unknown blueprint, or a directory that cannot be written or is not empty.
pub fn run(command: &BlueprintCommand, output: Output) -> Result<Exit, Failure> {
    match command {
        BlueprintCommand::List => {
            for blueprint in Blueprint::list() {
                output.line(format!("{:<12} {}", blueprint.name, blueprint.description));
            }
        }
        BlueprintCommand::Show { name } => output.text(find(name)?.pipeline_file()),
        BlueprintCommand::Export { name, dir } => {
            let blueprint = find(name)?;
            let occupied = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
            if occupied {
                return Err(Failure::problem(
                    Exit::BadInput,
                    "CLI010",
                    "write a blueprint to",
                    dir.display().to_string(),
                    "the directory exists and is not empty",
                )
                .hint("name a new directory"));
            }
            let files = blueprint.write_to(dir).map_err(|error| {
                Failure::problem(
                    Exit::Unavailable,
                    "CLI007",
                    "write a blueprint to",
                    dir.display().to_string(),
                    error.to_string(),
                )
                .hint("check the path and its permissions")
            })?;
            output.line(format!("wrote {} files to {}", files.len(), dir.display()));
            output.note(format!(
                "next: edit {0}/pipeline.yaml, then pipectl up {0}/pipeline.yaml",
                dir.display()
            ));
        }
    }
    Ok(Exit::Ok)
}

fn find(name: &str) -> Result<&'static Blueprint, Failure> {
    Blueprint::get(name).ok_or_else(|| unknown_blueprint(name))
}
