//! `pipectl token`: what the kubeconfig of an environment on AWS asks for, so that there is no token in it.

use pipectl_stages::{Environment as Owner, cloud::names, cluster};
use serde_json::json;

use super::{
    args::{AwsArgs, DataFormat, TokenArgs},
    output::Output,
    reach::{self, Start},
};
use crate::{
    exit::Exit,
    failure::Failure,
    session::{account, environment, place::Place, standing},
};

/// Runs it. Reads the environment's record, takes no lease, and asks nobody but where credentials come from.
///
/// # Errors
/// When there is no such environment on AWS, or there are no credentials.
pub async fn run(args: &TokenArgs, output: Output) -> Result<Exit, Failure> {
    let environment = environment::meant(args.which.name().as_deref())?;
    let name = environment.name();
    let state = environment::recorded(&environment)?;
    let state = state.ok_or_else(|| environment::unknown(name))?;
    let credentials = AwsArgs {
        region: None,
        profile: args.profile.clone(),
        role_arn: args.role_arn.clone(),
    };
    let region = match credentials.recorded(&state) {
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
    let owner = Owner {
        name: name.to_owned(),
        uid: state.uid().map(|uid| uid.to_string()).unwrap_or_default(),
    };
    let made = state.steps.get(cluster::steps::control_plane().as_str());
    let made = made.and_then(|step| step.outputs["name"].as_str().map(str::to_owned));
    let cluster = made.unwrap_or_else(|| match standing::recorded_pipeline(&state) {
        Some(loaded) => names::cluster(&loaded, &owner),
        None => names::default_cluster(&owner),
    });
    let sandbox = match &region.sandbox {
        Some(sandbox) => Some(
            reach::settings(sandbox, false, Start::Never, output)
                .await?
                .aws,
        ),
        None => None,
    };
    let token = account::token(&region, sandbox, &cluster).await?;
    // The form of `client.authentication.k8s.io/v1` (Kubernetes documentation, client-go credential plugins).
    let credential = json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "spec": {},
        "status": {"token": token.token, "expirationTimestamp": token.expires},
    });
    output.data(DataFormat::Json, &credential);
    Ok(Exit::Ok)
}
