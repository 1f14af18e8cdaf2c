//! `pipectl token`: what the kubeconfig of an environment on AWS asks for, so that there is no token in it.

use pipectl_stages::{Environment as Owner, cloud::names, cluster};
use pipectl_state::EnvironmentState;

use super::{
    args::{DataFormat, TokenArgs},
    output::Output,
    reach::{self, Start},
};
use crate::{
    exit::Exit,
    failure::Failure,
    session::{
        account, environment,
        place::{Place, Region},
        standing,
    },
};

/// Runs it. Reads the environment's record, takes no lease, and asks nobody but where credentials come from. Where nothing is
/// recorded (yet, or any more), the kubeconfig's own words say which cluster is meant.
///
/// # Errors
/// When there is no such environment on AWS, or there are no credentials.
pub async fn run(args: &TokenArgs, output: Output) -> Result<Exit, Failure> {
    let environment = environment::meant(args.which.name().as_deref())?;
    let name = environment.name();
    let recorded = environment::recorded(&environment)?;
    let place = match (&recorded, &args.aws.region) {
        (Some(state), _) => args.aws.recorded(state),
        (None, Some(region)) => Some(Place::Eks(Region {
            region: region.clone(),
            account: None,
            sandbox: args.sandbox.clone(),
            credentials: args.aws.credentials(),
        })),
        (None, None) => return Err(environment::unknown(name)),
    };
    let region = match place {
        Some(Place::Eks(region)) => region,
        place => {
            let place = place.map_or_else(|| "nowhere".to_owned(), |place| place.to_string());
            return Err(Failure::problem(
                Exit::BadInput,
                "CLI022",
                "make a token for",
                format!("environment {name}"),
                format!("it lives in {place}, whose kubeconfig has credentials of its own"),
            )
            .hint(format!("see `pipectl kubeconfig {name}`")));
        }
    };
    let cluster = match &args.cluster {
        Some(cluster) => cluster.clone(),
        None => cluster_of(name, recorded.as_ref()),
    };
    let sandbox = match &region.sandbox {
        Some(sandbox) => Some(
            reach::settings(sandbox, false, Start::Never, output)
                .await?
                .aws,
        ),
        None => None,
    };
    let token = account::token(&region, sandbox, &cluster).await?;
    output.data(DataFormat::Json, &token.exec_credential());
    Ok(Exit::Ok)
}

/// The name of the environment's cluster: as it was made, or as it will be.
fn cluster_of(name: &str, recorded: Option<&EnvironmentState>) -> String {
    let owner = Owner {
        name: name.to_owned(),
        uid: String::new(),
    };
    let made = recorded.and_then(|state| state.steps.get(cluster::steps::control_plane().as_str()));
    if let Some(made) = made.and_then(|step| step.outputs["name"].as_str()) {
        return made.to_owned();
    }
    match recorded.and_then(standing::recorded_pipeline) {
        Some(loaded) => names::cluster(&loaded, &owner),
        None => names::default_cluster(&owner),
    }
}
