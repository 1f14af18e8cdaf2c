//! `pipectl validate`: checks a pipeline file and everything it names; touches nothing else.

use super::{args::ValidateArgs, output::Output};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::pipeline;

/// Runs it.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn run(args: &ValidateArgs, output: Output) -> Result<Exit, Failure> {
    let (loaded, _) = pipeline::load(args.pipeline.choice())?;
    for warning in &loaded.warnings {
        output.complain(warning.render(output.color_err));
    }
    let warnings = match loaded.warnings.len() {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        n => format!(", {n} warnings"),
    };
    output.line(format!(
        "{}: valid ({}{warnings})",
        loaded.file, loaded.pipeline.metadata.name
    ));
    Ok(Exit::Ok)
}
