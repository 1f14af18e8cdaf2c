//! A VPC that the user brought: looked at, used, never changed and never deleted.

use std::collections::BTreeSet;

use async_trait::async_trait;
use pipectl_config::ExistingVpc;
use serde_json::{Value, json};

use crate::{
    cloud::{Look, Resource, cloud},
    context::StepContext,
    error::{PortError, PortErrorKind, StepError},
    ports::{
        cloud::Cloud,
        network::{Detail, Lookup, Piece, PieceKind},
    },
    step::Readiness,
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
    zones: Vec<String>,
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
        zones: zones.into_iter().collect(),
    })
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
