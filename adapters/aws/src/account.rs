//! Who is asking, and what the account allows.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use aws_sdk_ec2::types::{
    ArchitectureType, AvailabilityZoneState, Filter, InstanceLifecycleType, LocationType,
};
use futures::future::try_join_all;
use jiff::Timestamp;
use pipectl_stages::{
    error::{PortError, PortErrorKind as Kind},
    ports::{
        account::{AccountApi, Allowances, Caller, Deed, InstanceType, Quota, QuotaUse, Zone},
        families::Families,
    },
};

use crate::{
    call::{absent, all},
    client::Aws,
    errors::{translate, unclear},
};

/// How many values EC2 takes in one filter.
const FILTER_VALUES: usize = 200;

#[async_trait]
impl AccountApi for Aws {
    async fn caller(&self) -> Result<Caller, PortError> {
        let answer = self
            .sts()
            .get_caller_identity()
            .send()
            .await
            .map_err(translate)?;
        let (Some(account), Some(arn)) = (answer.account(), answer.arn()) else {
            return Err(unclear("GetCallerIdentity", "account and ARN"));
        };
        let Some(identity) = Identity::of(arn) else {
            return Err(unclear("GetCallerIdentity", "ARN of an identity"));
        };
        let principal = match identity.role {
            None => arn.to_owned(),
            Some(role) => self.role_arn(&identity, account, role).await?,
        };
        let expires = match (&self.options().endpoint, &self.options().profile) {
            (None, None) => expiry_in(|name| std::env::var(name).ok()),
            _ => None,
        };
        Ok(Caller {
            account: account.to_owned(),
            arn: arn.to_owned(),
            principal,
            partition: identity.partition.to_owned(),
            region: self.region().to_owned(),
            expires,
        })
    }

    async fn quotas(&self, which: &[Quota]) -> Result<Vec<QuotaUse>, PortError> {
        let uses = which.iter().map(|quota| async move {
            let (limit, used) = futures::try_join!(self.limit(*quota), self.used(*quota))?;
            Ok(limit.map(|limit| QuotaUse {
                quota: *quota,
                limit,
                used,
            }))
        });
        let uses = try_join_all(uses).await?;
        Ok(uses.into_iter().flatten().collect())
    }

    async fn zones(&self) -> Result<Vec<Zone>, PortError> {
        let answer = self
            .ec2()
            .describe_availability_zones()
            .filters(filter("zone-type", ["availability-zone"]))
            .send()
            .await
            .map_err(translate)?;
        let mut zones: Vec<Zone> = answer
            .availability_zones()
            .iter()
            .filter_map(|zone| {
                Some(Zone {
                    name: zone.zone_name()?.to_owned(),
                    id: zone.zone_id()?.to_owned(),
                    available: zone.state() == Some(&AvailabilityZoneState::Available),
                })
            })
            .collect();
        zones.sort();
        Ok(zones)
    }

    async fn instance_types(&self, names: &[String]) -> Result<Vec<InstanceType>, PortError> {
        let wanted: Vec<&String> = names.iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut found = Vec::new();
        for some in wanted.chunks(FILTER_VALUES) {
            found.extend(self.some_instance_types(some).await?);
        }
        Ok(found)
    }

    async fn allowances(&self, caller: &Caller, deeds: &[Deed]) -> Result<Allowances, PortError> {
        self.simulated(caller, deeds).await
    }
}

impl Aws {
    /// The ARN of a role, with its path. Who may not look at roles is known by the ARN without one, which is right for
    /// nearly all roles.
    async fn role_arn(
        &self,
        identity: &Identity<'_>,
        account: &str,
        role: &str,
    ) -> Result<String, PortError> {
        let answer = self.iam().get_role().role_name(role).send().await;
        let found = answer
            .map(|answer| answer.role.map(|role| role.arn))
            .map_err(translate);
        match found {
            Ok(Some(arn)) => Ok(arn),
            Ok(None) => Err(unclear("GetRole", "role")),
            Err(error) if matches!(error.kind, Kind::Forbidden | Kind::NotFound) => Ok(format!(
                "arn:{}:iam::{account}:role/{role}",
                identity.partition
            )),
            Err(error) => Err(error),
        }
    }

    /// What is granted to the account; where nothing else was ever granted, Service Quotas may know the default only.
    async fn limit(&self, quota: Quota) -> Result<Option<u32>, PortError> {
        let applied = self
            .quotas()
            .get_service_quota()
            .service_code(quota.service())
            .quota_code(quota.code())
            .send()
            .await
            .map_err(translate);
        if let Some(value) = absent(applied)?
            .and_then(|answer| answer.quota)
            .and_then(|quota| quota.value)
        {
            return Ok(Some(whole(value)));
        }
        let default = self
            .quotas()
            .get_aws_default_service_quota()
            .service_code(quota.service())
            .quota_code(quota.code())
            .send()
            .await
            .map_err(translate);
        Ok(absent(default)?
            .and_then(|answer| answer.quota)
            .and_then(|quota| quota.value)
            .map(whole))
    }

    async fn used(&self, quota: Quota) -> Result<u32, PortError> {
        let count = match quota {
            Quota::Vpcs => all!(self.ec2().describe_vpcs())?.len(),
            Quota::InternetGateways => all!(self.ec2().describe_internet_gateways())?.len(),
            Quota::Addresses => self
                .ec2()
                .describe_addresses()
                .send()
                .await
                .map_err(translate)?
                .addresses()
                .len(),
            Quota::NatGatewaysPerZone => self.nat_gateways_in_the_fullest_zone().await?,
            Quota::Clusters => all!(self.eks().list_clusters())?.len(),
            Quota::OnDemandCpus(families) => return self.cpus(families, false).await,
            Quota::SpotCpus(families) => return self.cpus(families, true).await,
        };
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Gateways that are pending, available or being deleted count (Amazon VPC user guide, "Amazon VPC quotas").
    async fn nat_gateways_in_the_fullest_zone(&self) -> Result<usize, PortError> {
        let gateways = all!(
            self.ec2()
                .describe_nat_gateways()
                .filter(filter("state", ["pending", "available", "deleting"]))
        )?;
        let subnets: Vec<&str> = gateways
            .iter()
            .filter_map(|gateway| gateway.subnet_id())
            .collect();
        let mut zones: BTreeMap<String, usize> = BTreeMap::new();
        let unique: Vec<&str> = subnets
            .iter()
            .copied()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        for some in unique.chunks(FILTER_VALUES) {
            let found = all!(
                self.ec2()
                    .describe_subnets()
                    .filters(filter("subnet-id", some.iter().copied()))
            )?;
            for subnet in found {
                let here = subnets
                    .iter()
                    .filter(|id| subnet.subnet_id() == Some(**id))
                    .count();
                let zone = subnet.availability_zone().unwrap_or_default().to_owned();
                *zones.entry(zone).or_default() += here;
            }
        }
        Ok(zones.into_values().max().unwrap_or(0))
    }

    /// vCPUs of running instances of these families, counted by type as the quota does.
    async fn cpus(&self, families: Families, spot: bool) -> Result<u32, PortError> {
        let instances = all!(
            self.ec2()
                .describe_instances()
                .filters(filter("instance-state-name", ["pending", "running"]))
        )?;
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for instance in instances.iter().flat_map(|one| one.instances()) {
            let is_spot = instance.instance_lifecycle() == Some(&InstanceLifecycleType::Spot);
            if let Some(name) = instance.instance_type()
                && is_spot == spot
                && Families::of(name.as_str(), spot) == Some(families)
            {
                *counts.entry(name.as_str().to_owned()).or_default() += 1;
            }
        }
        if counts.is_empty() {
            return Ok(0);
        }
        let names: Vec<String> = counts.keys().cloned().collect();
        let types = self.instance_types(&names).await?;
        Ok(types
            .iter()
            .map(|kind| kind.cpus * counts.get(&kind.name).copied().unwrap_or(0))
            .sum())
    }

    /// By filter, not by name: a name that the region has not is no error then.
    async fn some_instance_types(&self, names: &[&String]) -> Result<Vec<InstanceType>, PortError> {
        let types = self
            .ec2()
            .describe_instance_types()
            .filters(filter(
                "instance-type",
                names.iter().map(|name| name.as_str()),
            ))
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>();
        let offers = self
            .ec2()
            .describe_instance_type_offerings()
            .location_type(LocationType::AvailabilityZone)
            .filters(filter(
                "instance-type",
                names.iter().map(|name| name.as_str()),
            ))
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>();
        let (types, offers) = futures::join!(types, offers);
        let (types, offers) = (types.map_err(translate)?, offers.map_err(translate)?);
        let mut found: Vec<InstanceType> = types
            .iter()
            .filter_map(|kind| {
                let name = kind.instance_type()?.as_str();
                // A filter knows wildcards, a name has none.
                names.iter().find(|wanted| **wanted == name)?;
                let mut zones: Vec<String> = offers
                    .iter()
                    .filter(|offer| offer.instance_type().map(|kind| kind.as_str()) == Some(name))
                    .filter_map(|offer| offer.location().map(str::to_owned))
                    .collect();
                zones.sort();
                let architectures = kind
                    .processor_info()
                    .map(|info| info.supported_architectures())
                    .unwrap_or_default();
                Some(InstanceType {
                    name: name.to_owned(),
                    architectures: architectures
                        .iter()
                        .filter_map(|one| match one {
                            ArchitectureType::X8664 => Some("amd64".to_owned()),
                            ArchitectureType::Arm64 => Some("arm64".to_owned()),
                            _ => None,
                        })
                        .collect(),
                    cpus: kind
                        .v_cpu_info()
                        .and_then(|info| info.default_v_cpus())
                        .and_then(|cpus| u32::try_from(cpus).ok())
                        .unwrap_or(0),
                    memory_mib: kind
                        .memory_info()
                        .and_then(|info| info.size_in_mib())
                        .and_then(|size| u64::try_from(size).ok())
                        .unwrap_or(0),
                    zones,
                })
            })
            .collect();
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }
}

fn filter<'a>(name: &str, values: impl IntoIterator<Item = &'a str>) -> Filter {
    let values = values.into_iter().map(str::to_owned).collect();
    Filter::builder()
        .name(name)
        .set_values(Some(values))
        .build()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what fits, and quotas are whole numbers"
)]
fn whole(value: f64) -> u32 {
    value.clamp(0.0, f64::from(u32::MAX)) as u32
}

/// When credentials from the environment end: what `aws configure export-credentials --format env` says of them. All
/// other sources renew what they give, or don't say.
fn expiry_in(variable: impl Fn(&str) -> Option<String>) -> Option<Timestamp> {
    variable("AWS_ACCESS_KEY_ID")?;
    variable("AWS_CREDENTIAL_EXPIRATION")?.trim().parse().ok()
}

/// An ARN of whoever asks, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
struct Identity<'a> {
    partition: &'a str,
    /// Name of the role behind a session.
    role: Option<&'a str>,
}

impl<'a> Identity<'a> {
    fn of(arn: &'a str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let ("arn", partition) = (parts.next()?, parts.next()?) else {
            return None;
        };
        let resource = parts.nth(3)?;
        let role = resource
            .strip_prefix("assumed-role/")
            .and_then(|rest| rest.split('/').next());
        Some(Self { partition, role })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_behind_a_session_is_found() {
        for (arn, partition, role) in [
            (
                "arn:aws:sts::111122223333:assumed-role/deploy/ci-7",
                "aws",
                Some("deploy"),
            ),
            ("arn:aws-cn:iam::111122223333:user/a/b", "aws-cn", None),
            ("arn:aws:iam::111122223333:root", "aws", None),
            (
                "arn:aws:sts::111122223333:federated-user/deploy",
                "aws",
                None,
            ),
        ] {
            assert_eq!(Identity::of(arn), Some(Identity { partition, role }));
        }
        assert_eq!(Identity::of("nonsense"), None);
    }

    #[test]
    fn only_credentials_of_the_environment_say_when_they_end() {
        let end = "2026-11-21T12:00:00+00:00";
        let with = |names: &'static [(&str, &str)]| {
            move |asked: &str| {
                let mut all = names.iter();
                all.find(|(name, _)| *name == asked)
                    .map(|(_, value)| (*value).to_owned())
            }
        };
        let both = &[
            ("AWS_ACCESS_KEY_ID", "AKID"),
            ("AWS_CREDENTIAL_EXPIRATION", "2026-11-21T12:00:00+00:00"),
        ];
        assert_eq!(expiry_in(with(both)), Some(end.parse().unwrap()));
        assert_eq!(expiry_in(with(&both[1..])), None);
        assert_eq!(expiry_in(with(&both[..1])), None);
    }
}
