//! Finding an environment: where its record says that it lives, or else where the command line says, by the record that it has
//! there itself, or by labels and tags alone.

use pipectl_stages::Environment as Owner;
use pipectl_state::{Environment, EnvironmentState};
use uuid::Uuid;

use super::{
    args::Whereabouts,
    output::Output,
    reach::{self, Start, reach},
};
use crate::{
    exit::Exit,
    failure::Failure,
    session::{
        access::{Access, Found},
        environment,
        place::{Entrance, Place, Region},
    },
};

/// An environment that was found.
pub struct There {
    /// The way there.
    pub access: Access,
    /// Its UID.
    pub uid: Uuid,
    /// What its record there says, where nothing is recorded here and it has one.
    pub found: Option<Found>,
}

/// Goes to where the environment lives, and answers its UID: as recorded, or else as the records, labels and tags of the
/// places tell that the command line means.
///
/// # Errors
/// `STA001` where it is not found, and when a place cannot be reached or is another than the recorded one.
pub async fn find(
    whereabouts: &Whereabouts,
    environment: &Environment,
    recorded: Option<&EnvironmentState>,
    keep_data: bool,
    start: Start,
    output: Output,
) -> Result<There, Failure> {
    let name = environment.name();
    let places = match recorded {
        Some(state) => vec![recorded_place(whereabouts, state, name)?],
        None => named_places(whereabouts, start, output).await?,
    };
    if places.is_empty() {
        return Err(environment::unknown(name));
    }
    for place in &places {
        let access = reach(place, environment, start, output).await?;
        access.fence(recorded).await?;
        if let Some(uid) = recorded.and_then(EnvironmentState::uid) {
            let found = None;
            return Ok(There { access, uid, found });
        }
        if let Some(found) = access.find().await? {
            let (uid, found) = (found.uid, Some(found));
            return Ok(There { access, uid, found });
        }
        if let Some(uid) = left_behind(&access, name, keep_data).await? {
            let found = None;
            return Ok(There { access, uid, found });
        }
    }
    let looked: Vec<String> = places.iter().map(ToString::to_string).collect();
    let looked = looked.join(" and ");
    Err(Failure::problem(
        Exit::BadInput,
        "STA001",
        "find",
        format!("environment {name}"),
        format!("nothing is recorded of it on this machine, and there is no environment of that name in {looked}"),
    )
    .hint("see `pipectl list`; on AWS, name the region it lives in with --region"))
}

/// Where the record says that the environment lives, unless the command line names another place: then it is refused.
///
/// # Errors
/// `CLI008`.
pub fn recorded_place(
    whereabouts: &Whereabouts,
    state: &EnvironmentState,
    name: &str,
) -> Result<Place, Failure> {
    let recorded = whereabouts
        .aws
        .recorded(state)
        .ok_or_else(|| environment::unknown(name))?;
    let named = match (&recorded, &whereabouts.sandbox, &whereabouts.kubeconfig) {
        (_, _, Some(kubeconfig)) => Place::Existing(Some(Entrance {
            kubeconfig: kubeconfig.clone(),
            context: whereabouts.context.clone(),
        })),
        (Place::Eks(region), sandbox, None) => {
            let mut region = region.clone();
            if let Some(named) = &whereabouts.aws.region {
                region.region.clone_from(named);
            }
            if sandbox.is_some() {
                region.sandbox.clone_from(sandbox);
            }
            Place::Eks(region)
        }
        (_, Some(sandbox), None) => Place::Sandbox(sandbox.clone()),
        (_, None, None) => recorded,
    };
    named.check(state.pins(), name)?;
    Ok(named)
}

/// The places that the command line means, in the order in which they are looked at. In a sandbox an environment lives in the
/// simulated AWS or in the plain cluster, which a look does not boot.
async fn named_places(
    whereabouts: &Whereabouts,
    start: Start,
    output: Output,
) -> Result<Vec<Place>, Failure> {
    let region = |region: String| {
        Place::Eks(Region {
            region,
            account: None,
            sandbox: whereabouts.sandbox.clone(),
            credentials: whereabouts.aws.credentials(),
        })
    };
    Ok(
        match (
            &whereabouts.aws.region,
            &whereabouts.sandbox,
            &whereabouts.kubeconfig,
        ) {
            (Some(name), ..) => vec![region(name.clone())],
            (None, Some(sandbox), _) => {
                let settings = reach::settings(sandbox, false, start, output).await?;
                let mut places = vec![region(settings.aws.region)];
                if start == Start::IfNeeded || settings.cluster.is_some() {
                    places.push(Place::Sandbox(sandbox.clone()));
                }
                places
            }
            (None, None, Some(kubeconfig)) => vec![Place::Existing(Some(Entrance {
                kubeconfig: kubeconfig.clone(),
                context: whereabouts.context.clone(),
            }))],
            (None, None, None) => Vec::new(),
        },
    )
}

/// The UID of the environment that has left something in a place where it has no record any more. That record goes last, so it is
/// only missing when somebody removed it by hand.
async fn left_behind(
    access: &Access,
    name: &str,
    keep_data: bool,
) -> Result<Option<Uuid>, Failure> {
    let mut uids = Vec::new();
    for uid in access.remains().await? {
        let owner = Owner {
            name: name.to_owned(),
            uid,
        };
        // Tags are shown of what has long been deleted.
        let ports = access.ports(None)?;
        let left = access.inventory(&ports, &owner, None, keep_data).await;
        if !left.items.is_empty() || !left.not_checked.is_empty() {
            uids.push(owner.uid);
        }
    }
    match uids.as_slice() {
        [] => Ok(None),
        [uid] => Ok(uid.parse().ok()),
        several => Err(Failure::problem(
            Exit::Refused,
            "CLI017",
            "choose",
            format!("environment {name}"),
            format!("several environments of that name have left things in {}: {}", access.place, several.join(", ")),
        )
        .hint("their records were lost; remove what carries one of these values of pipectl.dev/environment-uid first")),
    }
}
