//! Managed node groups.

use async_trait::async_trait;
use aws_sdk_eks::types::{
    self, AmiTypes, CapacityTypes, NodegroupScalingConfig, NodegroupStatus, UpdateLabelsPayload,
    UpdateTaintsPayload,
};
use pipectl_stages::{
    error::{PortError, PortErrorKind as Kind},
    ports::{
        cloud::{Deletion, UpdateProgress},
        node_groups::{
            Image, Make, NodeGroup, NodeGroupApi, NodeGroupChange, NodeGroupSpec, NodeGroupState,
            Scaling, Taint, TaintEffect,
        },
    },
};

use crate::{
    call::{absent, all, deletion},
    client::Aws,
    codes, convert,
    errors::{self, translate},
    updates::{self, Of, translate_change, translate_creation_inside},
};

#[async_trait]
impl NodeGroupApi for Aws {
    async fn find(&self, cluster: &str, name: &str) -> Result<Option<NodeGroup>, PortError> {
        let request = self.eks().describe_nodegroup().cluster_name(cluster);
        let asked = request.nodegroup_name(name).send().await;
        let found = absent(asked.map_err(translate))?;
        found
            .and_then(|found| found.nodegroup)
            .map(|found| group(&found))
            .transpose()
    }

    async fn names(&self, cluster: &str) -> Result<Vec<String>, PortError> {
        let request = self.eks().list_nodegroups().cluster_name(cluster);
        Ok(absent(all!(request))?.unwrap_or_default())
    }

    async fn create(&self, spec: &NodeGroupSpec) -> Result<NodeGroup, PortError> {
        let make = &spec.make;
        let image = match make.image {
            Image::Amd64 => AmiTypes::Al2023X8664Standard,
            Image::Arm64 => AmiTypes::Al2023Arm64Standard,
            Image::Other => {
                return Err(errors::error(
                    Kind::Invalid,
                    codes::INVALID,
                    "a node group of another image than Amazon Linux 2023 cannot be asked for",
                ));
            }
        };
        let capacity = if make.spot {
            CapacityTypes::Spot
        } else {
            CapacityTypes::OnDemand
        };
        let taints: Vec<types::Taint> = spec.taints.iter().map(to_taint).collect();
        let request = self
            .eks()
            .create_nodegroup()
            .cluster_name(&spec.cluster)
            .nodegroup_name(&spec.name)
            .scaling_config(sizes(&spec.scaling)?)
            .disk_size(number(make.disk_gib)?)
            .set_subnets(Some(make.subnets.clone()))
            .set_instance_types(Some(make.instance_types.clone()))
            .ami_type(image)
            .capacity_type(capacity)
            .node_role(&make.role)
            .set_labels(Some(spec.labels.clone().into_iter().collect()))
            .set_taints((!taints.is_empty()).then_some(taints))
            .set_tags(Some(spec.tags.clone().into_iter().collect()))
            .client_request_token(&spec.token);
        let made = request.send().await.map_err(translate_creation_inside)?;
        let made = made.nodegroup();
        group(made.ok_or_else(|| errors::unclear("CreateNodegroup", "node group"))?)
    }

    async fn change(
        &self,
        cluster: &str,
        name: &str,
        change: &NodeGroupChange,
        token: &str,
    ) -> Result<String, PortError> {
        match change {
            NodeGroupChange::Config {
                scaling,
                labels,
                remove_labels,
                taints,
                remove_taints,
            } => {
                let labels = (!labels.is_empty() || !remove_labels.is_empty()).then(|| {
                    UpdateLabelsPayload::builder()
                        .set_add_or_update_labels(Some(labels.clone().into_iter().collect()))
                        .set_remove_labels(Some(remove_labels.clone()))
                        .build()
                });
                let all = |taints: &[Taint]| Some(taints.iter().map(to_taint).collect());
                let taints = (!taints.is_empty() || !remove_taints.is_empty()).then(|| {
                    UpdateTaintsPayload::builder()
                        .set_add_or_update_taints(all(taints))
                        .set_remove_taints(all(remove_taints))
                        .build()
                });
                let request = self.eks().update_nodegroup_config().cluster_name(cluster);
                let request = request
                    .nodegroup_name(name)
                    .scaling_config(sizes(scaling)?)
                    .set_labels(labels)
                    .set_taints(taints)
                    .client_request_token(token);
                let begun = request.send().await.map_err(translate_change)?;
                updates::begun(begun.update(), "UpdateNodegroupConfig")
            }
            NodeGroupChange::Version(version) => {
                let request = self.eks().update_nodegroup_version().cluster_name(cluster);
                let request = request
                    .nodegroup_name(name)
                    .version(version)
                    .client_request_token(token);
                let begun = request.send().await.map_err(translate_change)?;
                updates::begun(begun.update(), "UpdateNodegroupVersion")
            }
        }
    }

    async fn update(
        &self,
        cluster: &str,
        name: &str,
        update: &str,
    ) -> Result<Option<UpdateProgress>, PortError> {
        updates::progress(self, cluster, Of::NodeGroup(name), update).await
    }

    async fn delete(&self, cluster: &str, name: &str) -> Result<Deletion, PortError> {
        let request = self.eks().delete_nodegroup().cluster_name(cluster);
        let sent = request.nodegroup_name(name).send().await;
        deletion(sent.map_err(translate))
    }
}

/// A number as the API takes it.
fn number(number: u32) -> Result<i32, PortError> {
    i32::try_from(number).map_err(|_| {
        let cause = format!("{number} is more than EKS can be told");
        errors::error(Kind::Invalid, codes::INVALID, cause)
    })
}

fn sizes(scaling: &Scaling) -> Result<NodegroupScalingConfig, PortError> {
    Ok(NodegroupScalingConfig::builder()
        .min_size(number(scaling.min)?)
        .max_size(number(scaling.max)?)
        .desired_size(number(scaling.desired)?)
        .build())
}

fn to_taint(taint: &Taint) -> types::Taint {
    let effect = match taint.effect {
        TaintEffect::NoSchedule => types::TaintEffect::NoSchedule,
        TaintEffect::PreferNoSchedule => types::TaintEffect::PreferNoSchedule,
        TaintEffect::NoExecute => types::TaintEffect::NoExecute,
    };
    types::Taint::builder()
        .key(&taint.key)
        .set_value((!taint.value.is_empty()).then(|| taint.value.clone()))
        .effect(effect)
        .build()
}

/// A taint of an effect that Kubernetes does not have is none of ours, and no node can carry it.
fn from_taint(taint: &types::Taint) -> Option<Taint> {
    Some(Taint {
        key: taint.key()?.to_owned(),
        value: taint.value().unwrap_or_default().to_owned(),
        effect: match taint.effect()? {
            types::TaintEffect::NoSchedule => TaintEffect::NoSchedule,
            types::TaintEffect::PreferNoSchedule => TaintEffect::PreferNoSchedule,
            types::TaintEffect::NoExecute => TaintEffect::NoExecute,
            _ => return None,
        },
    })
}

fn group(found: &types::Nodegroup) -> Result<NodeGroup, PortError> {
    let name = found.nodegroup_name().unwrap_or_default().to_owned();
    let state = match found.status() {
        Some(NodegroupStatus::Creating) => NodeGroupState::Creating,
        Some(NodegroupStatus::Active) => NodeGroupState::Active,
        Some(NodegroupStatus::Updating) => NodeGroupState::Updating,
        Some(NodegroupStatus::Deleting) => NodeGroupState::Deleting,
        Some(NodegroupStatus::CreateFailed) => NodeGroupState::CreateFailed,
        Some(NodegroupStatus::DeleteFailed) => NodeGroupState::DeleteFailed,
        Some(NodegroupStatus::Degraded) => NodeGroupState::Degraded,
        other => {
            let state = other.map(NodegroupStatus::as_str);
            return Err(updates::unknown_state(&format!("node group {name}"), state));
        }
    };
    let size = |size: Option<i32>| size.and_then(|size| u32::try_from(size).ok()).unwrap_or(0);
    let scaling = found.scaling_config();
    let issues = found.health().map(types::NodegroupHealth::issues);
    let groups = found
        .resources()
        .map(types::NodegroupResources::auto_scaling_groups);
    Ok(NodeGroup {
        arn: found
            .nodegroup_arn()
            .map(str::to_owned)
            .ok_or_else(|| errors::unclear("DescribeNodegroup", "ARN"))?,
        name,
        state,
        make: Make {
            instance_types: found.instance_types().to_vec(),
            image: match found.ami_type() {
                Some(AmiTypes::Al2023X8664Standard) => Image::Amd64,
                Some(AmiTypes::Al2023Arm64Standard) => Image::Arm64,
                _ => Image::Other,
            },
            spot: found.capacity_type() == Some(&CapacityTypes::Spot),
            // None where a launch template says it.
            disk_gib: size(found.disk_size()),
            subnets: found.subnets().to_vec(),
            role: found.node_role().unwrap_or_default().to_owned(),
        },
        version: found.version().map(str::to_owned),
        scaling: Scaling {
            min: size(scaling.and_then(NodegroupScalingConfig::min_size)),
            max: size(scaling.and_then(NodegroupScalingConfig::max_size)),
            desired: size(scaling.and_then(NodegroupScalingConfig::desired_size)),
        },
        labels: updates::tags(found.labels()),
        taints: found.taints().iter().filter_map(from_taint).collect(),
        scaling_groups: groups
            .unwrap_or_default()
            .iter()
            .filter_map(|group| group.name().map(str::to_owned))
            .collect(),
        issues: issues
            .unwrap_or_default()
            .iter()
            .map(|one| {
                let code = one.code().map(types::NodegroupIssueCode::as_str);
                updates::issue(code, one.message(), one.resource_ids())
            })
            .collect(),
        created: found.created_at().and_then(convert::timestamp),
        tags: updates::tags(found.tags()),
    })
}
