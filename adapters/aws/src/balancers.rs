//! Load balancers and target groups: two APIs, because classic load balancers have one of their own.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_elasticloadbalancingv2::types::LoadBalancerTypeEnum;
use pipectl_stages::{
    error::PortError,
    ports::{
        balancers::{Balancer, BalancerApi, BalancerKind},
        cloud::{Deletion, Tags},
    },
};

use crate::{
    call::{absent, all, deletion},
    client::Aws,
    convert,
    errors::translate,
};

/// How many resources `DescribeTags` takes in one call, in both APIs.
const TAGS_OF: usize = 20;

#[async_trait]
impl BalancerApi for Aws {
    async fn in_vpc(&self, vpc: &str) -> Result<Vec<Balancer>, PortError> {
        let (classic, balancers, groups) = futures::try_join!(
            self.classic_in(vpc),
            self.balancers_in(vpc),
            self.target_groups_in(vpc)
        )?;
        let mut found = classic;
        let newer: Vec<Balancer> = balancers.into_iter().chain(groups).collect();
        let mut tags = self
            .tags_of(newer.iter().map(|one| one.id.clone()).collect())
            .await?;
        found.extend(newer.into_iter().filter_map(|one| {
            // One without an answer went away meanwhile.
            let tags = tags.remove(&one.id)?;
            Some(Balancer { tags, ..one })
        }));
        found.sort_by(|one, other| (one.kind, &one.id).cmp(&(other.kind, &other.id)));
        Ok(found)
    }

    /// Both APIs are content when there is nothing to delete, so what is there is looked at first.
    async fn delete(&self, balancer: &Balancer) -> Result<Deletion, PortError> {
        match balancer.kind {
            BalancerKind::Classic => self.delete_classic(&balancer.name).await,
            BalancerKind::TargetGroup => self.delete_target_group(&balancer.id).await,
            BalancerKind::Network | BalancerKind::Application | BalancerKind::Gateway => {
                self.delete_balancer(&balancer.id).await
            }
        }
    }
}

impl Aws {
    async fn classic_in(&self, vpc: &str) -> Result<Vec<Balancer>, PortError> {
        let all = all!(self.elb().describe_load_balancers())?;
        let names: Vec<String> = all
            .iter()
            .filter(|one| one.vpc_id() == Some(vpc))
            .filter_map(|one| one.load_balancer_name().map(str::to_owned))
            .collect();
        let mut found = Vec::new();
        for some in names.chunks(TAGS_OF) {
            let tags = self.classic_tags(some).await?;
            found.extend(some.iter().filter_map(|name| {
                Some(Balancer {
                    kind: BalancerKind::Classic,
                    id: name.clone(),
                    name: name.clone(),
                    vpc: vpc.to_owned(),
                    tags: tags.get(name)?.clone(),
                })
            }));
        }
        Ok(found)
    }

    /// Tags by name. When one of them went away meanwhile the call knows none, so they are asked for one by one.
    async fn classic_tags(&self, names: &[String]) -> Result<BTreeMap<String, Tags>, PortError> {
        let ask = async |names: &[String]| {
            let answer = self
                .elb()
                .describe_tags()
                .set_load_balancer_names(Some(names.to_vec()))
                .send()
                .await
                .map_err(translate)?;
            let found = answer.tag_descriptions().iter().filter_map(|one| {
                let tags = one.tags().iter();
                let tags = convert::tags(tags.map(|tag| (Some(tag.key()), tag.value())));
                Some((one.load_balancer_name()?.to_owned(), tags))
            });
            Ok::<BTreeMap<String, Tags>, PortError>(found.collect())
        };
        if let Some(tags) = absent(ask(names).await)? {
            return Ok(tags);
        }
        let mut found = BTreeMap::new();
        for name in names {
            found.extend(absent(ask(std::slice::from_ref(name)).await)?.unwrap_or_default());
        }
        Ok(found)
    }

    async fn balancers_in(&self, vpc: &str) -> Result<Vec<Balancer>, PortError> {
        let all = all!(self.elbv2().describe_load_balancers())?;
        let here = all.iter().filter(|one| one.vpc_id() == Some(vpc));
        Ok(here
            .filter_map(|one| {
                let kind = match one.r#type() {
                    Some(LoadBalancerTypeEnum::Application) => BalancerKind::Application,
                    Some(LoadBalancerTypeEnum::Gateway) => BalancerKind::Gateway,
                    _ => BalancerKind::Network,
                };
                Some(Balancer {
                    kind,
                    id: one.load_balancer_arn()?.to_owned(),
                    name: one.load_balancer_name().unwrap_or_default().to_owned(),
                    vpc: vpc.to_owned(),
                    tags: Tags::new(),
                })
            })
            .collect())
    }

    async fn target_groups_in(&self, vpc: &str) -> Result<Vec<Balancer>, PortError> {
        let all = all!(self.elbv2().describe_target_groups())?;
        let here = all.iter().filter(|one| one.vpc_id() == Some(vpc));
        Ok(here
            .filter_map(|one| {
                Some(Balancer {
                    kind: BalancerKind::TargetGroup,
                    id: one.target_group_arn()?.to_owned(),
                    name: one.target_group_name().unwrap_or_default().to_owned(),
                    vpc: vpc.to_owned(),
                    tags: Tags::new(),
                })
            })
            .collect())
    }

    /// Tags by ARN, of those that are (still) there.
    async fn tags_of(&self, arns: Vec<String>) -> Result<BTreeMap<String, Tags>, PortError> {
        let ask = async |arns: &[String]| {
            let answer = self
                .elbv2()
                .describe_tags()
                .set_resource_arns(Some(arns.to_vec()))
                .send()
                .await
                .map_err(translate)?;
            let found = answer.tag_descriptions().iter().filter_map(|one| {
                let tags = one.tags().iter();
                let tags = convert::tags(tags.map(|tag| (tag.key(), tag.value())));
                Some((one.resource_arn()?.to_owned(), tags))
            });
            Ok::<BTreeMap<String, Tags>, PortError>(found.collect())
        };
        let mut found = BTreeMap::new();
        for some in arns.chunks(TAGS_OF) {
            if let Some(tags) = absent(ask(some).await)? {
                found.extend(tags);
                continue;
            }
            for arn in some {
                found.extend(absent(ask(std::slice::from_ref(arn)).await)?.unwrap_or_default());
            }
        }
        Ok(found)
    }

    async fn delete_classic(&self, name: &str) -> Result<Deletion, PortError> {
        let there = self
            .elb()
            .describe_load_balancers()
            .load_balancer_names(name)
            .send()
            .await
            .map_err(translate);
        if absent(there)?.is_none_or(|answer| answer.load_balancer_descriptions().is_empty()) {
            return Ok(Deletion::Absent);
        }
        let answer = self
            .elb()
            .delete_load_balancer()
            .load_balancer_name(name)
            .send()
            .await
            .map_err(translate);
        deletion(answer)
    }

    async fn delete_balancer(&self, arn: &str) -> Result<Deletion, PortError> {
        let there = self
            .elbv2()
            .describe_load_balancers()
            .load_balancer_arns(arn)
            .send()
            .await
            .map_err(translate);
        if absent(there)?.is_none_or(|answer| answer.load_balancers().is_empty()) {
            return Ok(Deletion::Absent);
        }
        let answer = self
            .elbv2()
            .delete_load_balancer()
            .load_balancer_arn(arn)
            .send()
            .await
            .map_err(translate);
        deletion(answer)
    }

    async fn delete_target_group(&self, arn: &str) -> Result<Deletion, PortError> {
        let there = self
            .elbv2()
            .describe_target_groups()
            .target_group_arns(arn)
            .send()
            .await
            .map_err(translate);
        if absent(there)?.is_none_or(|answer| answer.target_groups().is_empty()) {
            return Ok(Deletion::Absent);
        }
        let answer = self
            .elbv2()
            .delete_target_group()
            .target_group_arn(arn)
            .send()
            .await
            .map_err(translate);
        deletion(answer)
    }
}
