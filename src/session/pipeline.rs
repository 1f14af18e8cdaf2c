//! Which pipeline a command works on: a file, a blueprint, or the environment's own record of its last one.

use std::path::{Path, PathBuf};

use pipectl_config::{Diagnostics, LoadOptions, Loaded, Override};

use super::place::Place;
use crate::{exit::Exit, failure::Failure};

/// The blueprint that is taken when nothing is named.
pub const DEFAULT_BLUEPRINT: &str = "streaming";

/// The file that is taken when it lies in the current directory.
pub const DEFAULT_FILE: &str = "pipeline.yaml";

/// Where a pipeline came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A file on disk.
    File(PathBuf),
    /// A blueprint inside the program.
    Blueprint(String),
}

impl Origin {
    /// The arguments that name the same pipeline again in the same place, for "next" lines; empty when it is the default. The
    /// way to an AWS account is never the default: see [`meant`].
    #[must_use]
    pub fn arguments(&self, place: &Place) -> String {
        match self {
            Self::Blueprint(name) if name == DEFAULT_BLUEPRINT && !costs_money(place) => {
                String::new()
            }
            Self::Blueprint(name) => format!(" --blueprint {name}"),
            Self::File(path) if path == Path::new(DEFAULT_FILE) => String::new(),
            Self::File(path) => format!(" {}", path.display()),
        }
    }
}

/// What a command line says about the pipeline.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    /// A file.
    pub file: Option<&'a Path>,
    /// A blueprint.
    pub blueprint: Option<&'a str>,
    /// `PATH=VALUE` to set, in order.
    pub set: &'a [String],
    /// Whether the sandbox is the provider, whatever the file says.
    pub sandbox: bool,
}

/// Loads the chosen pipeline.
///
/// # Errors
/// Everything that is wrong with the file, or an unknown blueprint, or a malformed `--set`.
pub fn load(choice: Choice<'_>) -> Result<(Loaded, Origin), Failure> {
    let options = LoadOptions {
        overrides: choice
            .set
            .iter()
            .map(|text| Override::parse(text))
            .collect::<Result<_, _>>()?,
        sandbox: choice.sandbox,
    };
    let origin = origin(choice);
    let loaded = match &origin {
        Origin::File(path) => pipectl_config::load_path(path, &options)?,
        Origin::Blueprint(name) => load_blueprint(name, &options)?,
    };
    Ok((loaded, origin))
}

fn origin(choice: Choice<'_>) -> Origin {
    match (choice.file, choice.blueprint) {
        (Some(file), _) => Origin::File(file.to_owned()),
        (None, Some(name)) => Origin::Blueprint(name.to_owned()),
        (None, None) if Path::new(DEFAULT_FILE).is_file() => Origin::File(DEFAULT_FILE.into()),
        (None, None) => Origin::Blueprint(DEFAULT_BLUEPRINT.to_owned()),
    }
}

/// Refuses to take the built-in blueprint to an AWS account when nobody named it: `pipectl up` alone must not cost money.
///
/// # Errors
/// `CLI021`.
pub fn meant(choice: Choice<'_>, place: &Place) -> Result<(), Failure> {
    if !costs_money(place) {
        return Ok(());
    }
    let named =
        choice.file.is_some() || choice.blueprint.is_some() || Path::new(DEFAULT_FILE).is_file();
    if named {
        return Ok(());
    }
    Err(Failure::problem(
        Exit::BadInput,
        "CLI021",
        "choose",
        "a pipeline",
        format!("nothing was named, and the built-in blueprint {DEFAULT_BLUEPRINT} goes to an AWS account"),
    )
    .hint(format!(
        "try it on this machine: pipectl up --sandbox; or name it, and AWS is meant: pipectl up --blueprint {DEFAULT_BLUEPRINT}"
    )))
}

/// Whether what is made there is made in an AWS account.
fn costs_money(place: &Place) -> bool {
    matches!(place, Place::Eks(region) if region.sandbox.is_none())
}

fn load_blueprint(name: &str, options: &LoadOptions) -> Result<Loaded, Failure> {
    let Some(blueprint) = pipectl_config::Blueprint::get(name) else {
        return Err(unknown_blueprint(name));
    };
    blueprint
        .load(options)
        .map_err(|diagnostics: Diagnostics| diagnostics.into())
}

/// The error for a blueprint that there isn't.
pub fn unknown_blueprint(name: &str) -> Failure {
    let known: Vec<_> = pipectl_config::Blueprint::list()
        .iter()
        .map(|blueprint| blueprint.name)
        .collect();
    Failure::problem(
        Exit::BadInput,
        "CLI001",
        "find",
        format!("blueprint {name}"),
        "there is no blueprint of that name",
    )
    .hint(format!("there are: {}", known.join(", ")))
}
