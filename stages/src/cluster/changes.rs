//! Changes of a control plane in place. EKS takes one at a time, and one minor version at a time.

use std::collections::BTreeSet;

use pipectl_config::KubernetesVersion;

use super::{control_plane::ControlPlane, steps};
use crate::{
    cloud::{
        cloud, known, names,
        update::{self, Update, not_begun},
    },
    context::StepContext,
    error::{PortError, StepError},
    ports::clusters::{Cluster, ClusterChange, ClusterState, Endpoint},
};

/// One change: the field, what it is, what it is to be, and what makes it so.
pub(super) type Wanted = (&'static str, Option<String>, String, ClusterChange);

/// What is to be otherwise, in the order in which it is carried out.
pub(super) fn wanted(
    plane: &ControlPlane,
    cx: &StepContext,
    live: &Cluster,
) -> Result<Vec<Wanted>, StepError> {
    let mut wanted: Vec<Wanted> = Vec::new();
    let what = || format!("EKS cluster {}", live.name);
    let version = next_version(&live.version, &plane.version())
        .map_err(|no| StepError::new("EKS003", "change", what(), no.cause).with_hint(no.hint))?;
    if let Some(version) = version {
        let change = ClusterChange::Version(version.clone());
        wanted.push(("version", Some(live.version.clone()), version, change));
    }
    let endpoint = plane.endpoint();
    // Ranges say nothing where there is no public endpoint, and EKS answers its own default then.
    let same = live.endpoint.public == endpoint.public
        && live.endpoint.private == endpoint.private
        && (!endpoint.public || live.endpoint.public_cidrs == endpoint.public_cidrs);
    if !same {
        wanted.push((
            "endpointAccess",
            Some(reach(&live.endpoint)),
            reach(&endpoint),
            ClusterChange::Endpoint(endpoint),
        ));
    }
    // Subnets that are not known yet say nothing.
    if let Ok(subnets) = plane.subnets(cx) {
        let is: BTreeSet<&String> = live.subnets.iter().collect();
        if !subnets.is_empty() && is != subnets.iter().collect() {
            wanted.push((
                "subnets",
                Some(live.subnets.join(", ")),
                subnets.join(", "),
                ClusterChange::Subnets(subnets),
            ));
        }
    }
    let logging = plane.logging();
    if live.logging != logging {
        let words = |kinds: &BTreeSet<String>| {
            let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
            if kinds.is_empty() {
                "none".to_owned()
            } else {
                kinds.join(", ")
            }
        };
        let (is, to_be) = (words(&live.logging), words(&logging));
        wanted.push(("logging", Some(is), to_be, ClusterChange::Logging(logging)));
    }
    match (&live.encryption_key, plane.encrypts()) {
        (None, true) => {
            let key = known(cx, &steps::key(), "arn")?;
            wanted.push((
                "encryptSecrets",
                Some("false".to_owned()),
                "true".to_owned(),
                ClusterChange::Encryption(key),
            ));
        }
        (Some(_), false) => {
            return Err(StepError::new(
                "EKS004",
                "change",
                what(),
                "its Secrets are encrypted, and EKS cannot take that back",
            )
            .with_hint("set spec.cluster.encryptSecrets to true again"));
        }
        (Some(_), true) | (None, false) => {}
    }
    Ok(wanted)
}

fn reach(endpoint: &Endpoint) -> String {
    let cidrs: Vec<&str> = endpoint.public_cidrs.iter().map(String::as_str).collect();
    match (endpoint.public, endpoint.private) {
        (true, true) => format!("public ({}) and private", cidrs.join(", ")),
        (true, false) => format!("public ({})", cidrs.join(", ")),
        (false, _) => "private".to_owned(),
    }
}

/// Why a control plane cannot come to a version.
#[derive(Debug, PartialEq, Eq)]
struct NoWay {
    cause: String,
    hint: String,
}

/// The minor version to go to; none where it is there. EKS goes one up at a time, and only where the nodes have come along
/// (EKS API, `UpdateClusterVersion`: the versions of all managed node groups must match the cluster's), so that more than one
/// takes a run each.
fn next_version(live: &str, wanted: &str) -> Result<Option<String>, NoWay> {
    let parse = |text: &str| text.parse::<KubernetesVersion>().ok();
    let back = "put spec.cluster.kubernetesVersion back, or take the environment down and bring it up anew";
    let (Some(is), Some(to_be)) = (parse(live), parse(wanted)) else {
        return Err(NoWay {
            cause: format!("{live} or {wanted} is no Kubernetes version"),
            hint: back.to_owned(),
        });
    };
    if (to_be.major(), to_be.minor()) < (is.major(), is.minor()) || to_be.major() != is.major() {
        return Err(NoWay {
            cause: format!("it runs Kubernetes {live}, and EKS does not go back to {wanted}"),
            hint: back.to_owned(),
        });
    }
    match to_be.minor() - is.minor() {
        0 => Ok(None),
        1 => Ok(Some(wanted.to_owned())),
        _ => {
            let next = format!("{}.{}", is.major(), is.minor() + 1);
            Err(NoWay {
                cause: format!(
                    "it runs Kubernetes {live}, and EKS goes to {wanted} by one minor version at a time, its nodes with it"
                ),
                hint: format!(
                    "set spec.cluster.kubernetesVersion to {next} and run pipectl up, then to the one after it"
                ),
            })
        }
    }
}

/// Carries the changes out one after the other, each to its end.
pub(super) async fn carry_out(
    plane: &ControlPlane,
    cx: &StepContext,
    live: Cluster,
) -> Result<Cluster, StepError> {
    let clusters = &cloud(cx)?.clusters;
    let what = format!("EKS cluster {}", live.name);
    let mut done = BTreeSet::new();
    // A change of an earlier run may be under way still: what is left to do is known when it has ended.
    let mut live = settled(plane, cx, live).await?;
    loop {
        let mut left = wanted(plane, cx, &live)?.into_iter();
        let Some((field, _, to_be, change)) = left.find(|(field, ..)| !done.contains(field)) else {
            return Ok(live);
        };
        done.insert(field);
        if matches!(change, ClusterChange::Version(_)) {
            nodes_are_along(cx, &live).await?;
        }
        let token = names::change_token(&cx.environment, &cx.step, &cx.run, &to_be);
        let begun = clusters.change(&live.name, &change, &token).await;
        let id = begun.map_err(|error| not_begun(error, &what))?;
        let update = Update {
            what: &what,
            doing: &format!("changing its {field} to {to_be}"),
            says: &format!("{field} → {to_be}"),
            code: "EKS007",
            hint: |_| "mend what it names, then run pipectl up again",
            pause: plane.pause(),
        };
        let name = &live.name;
        update
            .carried_out(cx, || clusters.update(name, &id))
            .await?;
        live = match find(cx, name).await? {
            Some(found) => settled(plane, cx, found).await?,
            None => return Ok(live),
        };
    }
}

/// Refuses to take a control plane further ahead of nodes that have not come to its version yet: EKS would, too.
async fn nodes_are_along(cx: &StepContext, live: &Cluster) -> Result<(), StepError> {
    let groups = &cloud(cx)?.node_groups;
    let what = format!("node groups of {}", live.name);
    let failed = |error: PortError| error.during("look at", &what);
    for name in groups.names(&live.name).await.map_err(failed)? {
        let group = groups.find(&live.name, &name).await.map_err(failed)?;
        let version = group.and_then(|group| group.version);
        if let Some(version) = version.filter(|version| *version != live.version) {
            return Err(StepError::new(
                "EKS003",
                "change",
                format!("EKS cluster {}", live.name),
                format!(
                    "it runs Kubernetes {} and its node group {name} still {version}",
                    live.version
                ),
            )
            .with_hint(format!(
                "set spec.cluster.kubernetesVersion to {} and run pipectl up, so that the nodes come along; then go on",
                live.version
            )));
        }
    }
    Ok(())
}

async fn find(cx: &StepContext, name: &str) -> Result<Option<Cluster>, StepError> {
    let found = cloud(cx)?.clusters.find(name).await;
    found.map_err(|error| error.during("look at", format!("EKS cluster {name}")))
}

/// The cluster once it takes changes.
async fn settled(
    plane: &ControlPlane,
    cx: &StepContext,
    live: Cluster,
) -> Result<Cluster, StepError> {
    let name = live.name.clone();
    let what = format!("EKS cluster {name}");
    let busy = |cluster: &Cluster| {
        matches!(
            cluster.state,
            ClusterState::Creating | ClusterState::Updating
        )
    };
    update::settled(cx, &what, plane.pause(), live, busy, || find(cx, &name)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_minor_version_up_and_never_back() {
        assert_eq!(
            next_version("1.34", "1.35").unwrap().as_deref(),
            Some("1.35")
        );
        assert_eq!(next_version("1.35", "1.35").unwrap(), None);
        assert!(next_version("1.35", "1.34").is_err());
        let far = next_version("1.33", "1.35").unwrap_err();
        assert!(far.hint.contains("1.34"), "{far:?}");
    }
}
