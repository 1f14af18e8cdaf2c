//! Changes of a control plane in place. EKS takes one at a time, and one minor version at a time.

use std::collections::BTreeSet;

use pipectl_config::KubernetesVersion;

use super::{control_plane::ControlPlane, steps};
use crate::{
    cloud::{
        cloud, cut_off, known, names,
        update::{Update, not_begun},
    },
    context::StepContext,
    error::StepError,
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
    for version in versions_between(&live.version, &plane.version()).map_err(|cause| {
        StepError::new("EKS003", "change", what(), cause).with_hint(
            "put spec.cluster.kubernetesVersion back, or take the environment down and bring it up anew",
        )
    })? {
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

/// The minor versions to go through, ending with the wanted one.
fn versions_between(live: &str, wanted: &str) -> Result<Vec<String>, String> {
    let parse = |text: &str| text.parse::<KubernetesVersion>().ok();
    let (Some(is), Some(to_be)) = (parse(live), parse(wanted)) else {
        return Err(format!("{live} or {wanted} is no Kubernetes version"));
    };
    if (to_be.major(), to_be.minor()) < (is.major(), is.minor()) || to_be.major() != is.major() {
        return Err(format!(
            "it runs Kubernetes {live}, and EKS does not go back to {wanted}"
        ));
    }
    Ok((is.minor() + 1..=to_be.minor())
        .map(|minor| format!("{}.{minor}", is.major()))
        .collect())
}

/// Carries the changes out one after the other, each to its end.
pub(super) async fn carry_out(
    plane: &ControlPlane,
    cx: &StepContext,
    mut live: Cluster,
) -> Result<Cluster, StepError> {
    let clusters = &cloud(cx)?.clusters;
    let what = format!("EKS cluster {}", live.name);
    let wanted = wanted(plane, cx, &live)?;
    for (field, _, to_be, change) in wanted {
        // A cluster that is being made or changed takes no change.
        live = settled(plane, cx, live).await?;
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
    }
    Ok(live)
}

/// The cluster once it takes changes.
async fn settled(
    plane: &ControlPlane,
    cx: &StepContext,
    mut live: Cluster,
) -> Result<Cluster, StepError> {
    while matches!(live.state, ClusterState::Creating | ClusterState::Updating) {
        if cx.cancel.is_cancelled() {
            return Err(cut_off("change", format!("EKS cluster {}", live.name)));
        }
        tokio::time::sleep(plane.pause()).await;
        let found = cloud(cx)?.clusters.find(&live.name).await;
        let found = found.map_err(|error| error.during("look at", &live.name))?;
        match found {
            Some(cluster) => live = cluster,
            None => break,
        }
    }
    Ok(live)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_gone_through_one_by_one_and_never_back() {
        assert_eq!(versions_between("1.33", "1.35").unwrap(), ["1.34", "1.35"]);
        assert!(versions_between("1.35", "1.35").unwrap().is_empty());
        assert!(versions_between("1.35", "1.34").is_err());
    }
}
