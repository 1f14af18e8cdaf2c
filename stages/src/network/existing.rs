//! A VPC that the user brought: looked at, used, never changed and never deleted.

use std::collections::BTreeSet;

use async_trait::async_trait;
use pipectl_config::ExistingVpc;
use serde_json::{Value, json};

use super::steps;
use crate::{
    cloud::{Look, Resource, cloud, tags},
    context::StepContext,
    error::{PortError, PortErrorKind, StepError},
    objects::ownership::Owner,
    ports::{
        cloud::Cloud,
        clusters::Cluster,
        network::{Detail, Lookup, Piece, PieceKind},
    },
    step::{Change, Difference, Readiness},
};

/// The resource of a VPC that is there already.
pub(super) struct Existing {
    pub(super) vpc: ExistingVpc,
}

/// What is known of a VPC that the user brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Brought {
    id: String,
    cidr: String,
    /// Those of its private subnets.
    zones: BTreeSet<String>,
}

/// Looks at a VPC that the user brought, and refuses one that EKS would refuse.
///
/// # Errors
/// `NET004` when the VPC or a subnet does not exist, `NET005` when EKS cannot use them.
pub(crate) async fn check(cloud: &Cloud, wanted: &ExistingVpc) -> Result<Brought, StepError> {
    let find = |kind, ids: Vec<String>| async move {
        let found = cloud.network.find(kind, &Lookup::Ids(ids)).await;
        found.map_err(|error| error.during("look at", format!("VPC {}", wanted.id)))
    };
    let missing = |what: String| {
        StepError::new(
            "NET004",
            "use",
            what,
            "it does not exist in this account and region",
        )
        .with_hint("check the ids in spec.network.existingVpc, and the region of the provider")
    };
    let vpcs = find(PieceKind::Vpc, vec![wanted.id.clone()]).await?;
    let Some(Detail::Vpc {
        cidr,
        dns_support,
        dns_hostnames,
        ..
    }) = vpcs.first().map(|piece| &piece.detail)
    else {
        return Err(missing(format!("VPC {}", wanted.id)));
    };
    let unusable = |cause: String, hint: &str| {
        StepError::new("NET005", "use", format!("VPC {}", wanted.id), cause).with_hint(hint)
    };
    if !*dns_support || !*dns_hostnames {
        return Err(unusable(
            "it does not resolve names, or gives its instances none, and nodes would not find the API server"
                .to_owned(),
            "set both: aws ec2 modify-vpc-attribute --enable-dns-support, --enable-dns-hostnames",
        ));
    }
    let all: Vec<String> = wanted
        .private_subnets
        .iter()
        .chain(&wanted.public_subnets)
        .cloned()
        .collect();
    let subnets = find(PieceKind::Subnet, all.clone()).await?;
    for id in &all {
        match subnets.iter().find(|subnet| subnet.id == *id) {
            None => return Err(missing(format!("subnet {id}"))),
            Some(subnet) if place(subnet).is_none_or(|(vpc, _)| vpc != wanted.id) => {
                return Err(unusable(
                    format!("subnet {id} is in another VPC"),
                    "name subnets of this VPC",
                ));
            }
            Some(_) => {}
        }
    }
    let zones: BTreeSet<String> = subnets
        .iter()
        .filter(|subnet| wanted.private_subnets.contains(&subnet.id))
        .filter_map(|subnet| place(subnet).map(|(_, zone)| zone.to_owned()))
        .collect();
    if zones.len() < 2 {
        return Err(unusable(
            "its private subnets are all in one zone, and EKS needs two".to_owned(),
            "name a private subnet in another zone",
        ));
    }
    Ok(Brought {
        id: wanted.id.clone(),
        cidr: cidr.clone(),
        zones,
    })
}

/// Refuses subnets that the control plane cannot move to: EKS takes other subnets of the same VPC, one at least in each of
/// the zones that the cluster was made in, and none in another (EKS user guide, network requirements).
///
/// # Errors
/// `NET001` when it cannot move there.
pub(crate) async fn takes_along(
    cloud: &Cloud,
    wanted: &ExistingVpc,
    brought: &Brought,
    cluster: &Cluster,
) -> Result<(), StepError> {
    let refused = |cause: String, hint: &str| {
        let what = format!("the subnets of EKS cluster {}", cluster.name);
        Err(StepError::new("NET001", "change", what, cause).with_hint(hint))
    };
    if cluster.vpc != wanted.id {
        return refused(
            format!(
                "it stands in VPC {}, the pipeline file says {}, and a control plane stays in its VPC",
                cluster.vpc, wanted.id
            ),
            "nothing was changed: put spec.network.existingVpc back, or take the environment down and bring it up anew",
        );
    }
    let (is, to_be): (BTreeSet<&String>, BTreeSet<&String>) = (
        cluster.subnets.iter().collect(),
        wanted.private_subnets.iter().collect(),
    );
    if is == to_be {
        return Ok(());
    }
    let lookup = Lookup::Ids(cluster.subnets.clone());
    let found = cloud.network.find(PieceKind::Subnet, &lookup).await;
    let found =
        found.map_err(|error| error.during("look at", "the subnets of the control plane"))?;
    // Of a subnet that is gone nobody knows the zone: then EKS says whether it moves.
    if found.len() < is.len() {
        return Ok(());
    }
    let zones: BTreeSet<String> = found
        .iter()
        .filter_map(|subnet| place(subnet).map(|(_, zone)| zone.to_owned()))
        .collect();
    if zones == brought.zones {
        return Ok(());
    }
    let words = |zones: &BTreeSet<String>| {
        let zones: Vec<&str> = zones.iter().map(String::as_str).collect();
        zones.join(", ")
    };
    refused(
        format!(
            "it was made in {}, the named private subnets are in {}, and EKS moves a control plane within its zones only",
            words(&zones),
            words(&brought.zones)
        ),
        "nothing was changed: name private subnets in exactly those zones (spec.network.existingVpc.privateSubnets)",
    )
}

/// Refuses to go from a VPC that was brought to one of the environment's own: the control plane stays where it is, and what
/// stands in the VPC that was brought would be taken for the new one's.
///
/// # Errors
/// `NET001` when the environment stands, or began to stand, in a VPC that it did not make.
pub(crate) async fn is_not_left(
    cx: &StepContext,
    cluster: Option<&Cluster>,
) -> Result<(), StepError> {
    let stands_in = match (cx.output_of(steps::vpc().as_str()), cluster) {
        (Some(recorded), _) if recorded["brought"] == true => {
            recorded["id"].as_str().unwrap_or_default().to_owned()
        }
        // With the record lost: the VPC's tags say whose it is.
        (None, Some(cluster)) => {
            let lookup = Lookup::Ids(vec![cluster.vpc.clone()]);
            let found = cloud(cx)?.network.find(PieceKind::Vpc, &lookup).await;
            let found =
                found.map_err(|error| error.during("look at", format!("VPC {}", cluster.vpc)))?;
            let ours = |vpc: &Piece| tags::owner(&vpc.tags, &cx.environment) == Owner::Ours;
            if found.iter().any(ours) {
                return Ok(());
            }
            cluster.vpc.clone()
        }
        _ => return Ok(()),
    };
    Err(StepError::new(
        "NET001",
        "change",
        format!("the VPC of environment {}", cx.environment.name),
        format!(
            "it stands in VPC {stands_in}, which was brought, and the pipeline file brings none any more"
        ),
    )
    .with_hint(
        "nothing was changed: put spec.network.existingVpc back, or take the environment down and bring it up anew",
    ))
}

fn place(subnet: &Piece) -> Option<(&str, &str)> {
    match &subnet.detail {
        Detail::Subnet { vpc, zone, .. } => Some((vpc, zone)),
        _ => None,
    }
}

#[async_trait]
impl Resource for Existing {
    type Live = Brought;

    async fn look(&self, cx: &StepContext) -> Result<Look<Brought>, StepError> {
        Ok(Look::there(check(cloud(cx)?, &self.vpc).await?))
    }

    async fn identity(&self, _: &StepContext, _: u32) -> Result<Value, StepError> {
        Ok(json!({"brought": self.vpc.id}))
    }

    async fn create(
        &self,
        _: &StepContext,
        _: u32,
    ) -> Result<Result<Brought, PortError>, StepError> {
        // The look answers one or fails; nothing is ever made here.
        Ok(Err(PortError::new(
            PortErrorKind::NotFound,
            "NET004",
            format!("VPC {} does not exist", self.vpc.id),
        )))
    }

    /// Others build on the subnets as recorded, so other ones have to be recorded.
    async fn differences(
        &self,
        cx: &StepContext,
        live: &Brought,
    ) -> Result<Vec<Difference>, StepError> {
        let Some(recorded) = cx.recorded() else {
            return Ok(Vec::new());
        };
        let now = self.outputs(cx, live);
        let fields = ["id", "privateSubnets", "publicSubnets"];
        let other = fields
            .iter()
            .filter(|field| recorded[**field] != now[**field]);
        Ok(other
            .map(|field| Difference {
                resource: format!("VPC {}, brought", live.id),
                field: Some((*field).to_owned()),
                live: Some(words(&recorded[*field])),
                wanted: Some(words(&now[*field])),
                change: Change::Updated,
            })
            .collect())
    }

    fn outputs(&self, _: &StepContext, live: &Brought) -> Value {
        json!({
            "id": live.id,
            "cidr": live.cidr,
            "brought": true,
            "privateSubnets": self.vpc.private_subnets,
            "publicSubnets": self.vpc.public_subnets,
        })
    }

    fn summary(&self, live: &Brought) -> String {
        format!("VPC {} {}, brought", live.cidr, live.id)
    }

    fn works(&self, live: &Brought) -> Option<String> {
        Some(self.summary(live))
    }

    async fn readiness(&self, _: &StepContext) -> Result<Readiness, StepError> {
        Ok(Readiness::Ready(format!("VPC {}, brought", self.vpc.id)))
    }
}

/// A text, or a list of texts, for a person.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
