//! Tags of everything that EC2 has.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::State;
use super::resource::{Resource, absent, answer};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::clock::Time;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::{self, Tags};

/// One resource, as far as tags are concerned.
pub(crate) struct Tagged<'a> {
    /// The type in tag specifications, which is also the type in its ARN.
    pub(crate) kind: &'static str,
    pub(crate) id: &'a str,
    pub(crate) created: Time,
    pub(crate) tags: &'a Tags,
}

fn of<R: Resource>(resources: &BTreeMap<String, R>) -> impl Iterator<Item = Tagged<'_>> {
    resources.iter().map(|(id, one)| Tagged {
        kind: R::WORDS.tagged,
        id,
        created: one.created(),
        tags: one.tags(),
    })
}

fn find<'a, R: Resource>(resources: &'a mut BTreeMap<String, R>, id: &str) -> Option<&'a mut Tags> {
    resources.get_mut(id).map(R::tags_mut)
}

impl State {
    /// Everything that can have tags.
    pub(crate) fn tagged(&self) -> Vec<Tagged<'_>> {
        let rules = self.groups.values().flat_map(|group| {
            group.rules.iter().map(|rule| Tagged {
                kind: "security-group-rule",
                id: &rule.id,
                created: group.created(),
                tags: &rule.tags,
            })
        });
        of(&self.vpcs)
            .chain(of(&self.subnets))
            .chain(of(&self.internet_gateways))
            .chain(of(&self.addresses))
            .chain(of(&self.nat_gateways))
            .chain(of(&self.route_tables))
            .chain(of(&self.groups))
            .chain(rules)
            .chain(of(&self.acls))
            .chain(of(&self.endpoints))
            .chain(of(&self.interfaces))
            .chain(of(&self.volumes))
            .chain(of(&self.snapshots))
            .chain(of(&self.instances))
            .chain(of(&self.launch_templates))
            .collect()
    }

    /// The tags of a resource, to change them.
    pub(crate) fn tags_of(&mut self, id: &str) -> Option<&mut Tags> {
        let (prefix, _) = id.split_once('-')?;
        match prefix {
            "vpc" => find(&mut self.vpcs, id),
            "subnet" => find(&mut self.subnets, id),
            "igw" => find(&mut self.internet_gateways, id),
            "eipalloc" => find(&mut self.addresses, id),
            "nat" => find(&mut self.nat_gateways, id),
            "rtb" => find(&mut self.route_tables, id),
            "sg" => find(&mut self.groups, id),
            "acl" => find(&mut self.acls, id),
            "vpce" => find(&mut self.endpoints, id),
            "eni" => find(&mut self.interfaces, id),
            "vol" => find(&mut self.volumes, id),
            "snap" => find(&mut self.snapshots, id),
            "i" => find(&mut self.instances, id),
            "lt" => find(&mut self.launch_templates, id),
            "sgr" => {
                let mut rules = self.groups.values_mut().flat_map(|group| &mut group.rules);
                rules.find(|rule| rule.id == id).map(|rule| &mut rule.tags)
            }
            _ => None,
        }
    }
}

pub(crate) const ACTIONS: &[Action] = &[
    Action::write("CreateTags", &["ResourceId", "Tag"], create_tags),
    Action::write("DeleteTags", &["ResourceId", "Tag"], delete_tags),
    Action::read(
        "DescribeTags",
        &["Filter", "MaxResults", "NextToken"],
        describe_tags,
    ),
];

/// The resources that a call names; all of them have to be there.
fn resources<'a>(scene: &mut Scene<'_>, params: Params<'a>) -> Result<Vec<&'a str>, ApiError> {
    let ids = params.texts("ResourceId");
    if ids.is_empty() {
        return Err(ApiError::missing("resourceIdSet"));
    }
    for id in &ids {
        if scene.region.ec2.tags_of(id).is_none() {
            return Err(missing(id));
        }
    }
    Ok(ids)
}

/// The error that there is none of that identifier: each type has its own, addresses and what is of no type have the one
/// for identifiers as such (chef-provisioning-aws#218, pulumi-awsx#187).
fn missing(id: &str) -> ApiError {
    match id.split_once('-').map(|(prefix, _)| prefix) {
        Some("vpc") => absent::<super::vpc::Vpc>(id),
        Some("subnet") => absent::<super::subnet::Subnet>(id),
        Some("igw") => absent::<super::internet_gateway::InternetGateway>(id),
        Some("nat") => absent::<super::nat_gateway::NatGateway>(id),
        Some("rtb") => absent::<super::route_table::RouteTable>(id),
        Some("sg") => absent::<super::security_group::Group>(id),
        Some("acl") => absent::<super::acl::Acl>(id),
        Some("vpce") => absent::<super::endpoint::Endpoint>(id),
        Some("eni") => absent::<super::interface::Interface>(id),
        Some("vol") => absent::<super::volume::Volume>(id),
        Some("snap") => absent::<super::snapshot::Snapshot>(id),
        Some("i") => absent::<super::instance::Instance>(id),
        Some("lt") => absent::<super::launch_template::LaunchTemplate>(id),
        _ => {
            let message = format!("The ID '{id}' is not valid");
            ApiError::new("InvalidID", message)
        }
    }
}

fn create_tags(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let ids = resources(scene, params)?;
    let tags = tags::read(&params.sections("Tag"))?;
    if tags.is_empty() {
        return Err(ApiError::missing("tagSet"));
    }
    let now = scene.now;
    let mut changed = Vec::new();
    for id in &ids {
        let Some(of) = scene.region.ec2.tags_of(id) else {
            continue;
        };
        let mut after = of.clone();
        after.add(now, &tags)?;
        changed.push((id, after));
    }
    for (id, after) in changed {
        if let Some(of) = scene.region.ec2.tags_of(id) {
            *of = after;
        }
    }
    Ok(json!({"return": true}))
}

fn delete_tags(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let ids = resources(scene, params)?;
    let wanted = params.sections("Tag");
    let now = scene.now;
    for id in ids {
        let Some(tags) = scene.region.ec2.tags_of(id) else {
            continue;
        };
        if wanted.is_empty() {
            // Without a list all go, but for AWS's own.
            let keys: Vec<String> = tags.current().keys().cloned().collect();
            for key in keys.iter().filter(|key| !key.starts_with("aws:")) {
                tags.remove(now, key, None);
            }
        }
        for tag in &wanted {
            tags.remove(now, tag.need("Key")?, tag.text("Value"));
        }
    }
    Ok(json!({"return": true}))
}

fn describe_tags(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let none = Tags::default();
    let mut found = Vec::new();
    let all = scene.region.ec2.tagged();
    for one in all.iter().filter(|one| scene.listed(one.created)) {
        for (key, value) in one.tags.seen(scene) {
            let shown = json!({
                "resourceId": one.id, "resourceType": one.kind, "key": key, "value": value,
            });
            found.push((format!("{}/{key}", one.id), &none, shown));
        }
    }
    let fields = [
        ("key", "key"),
        ("value", "value"),
        ("resource-id", "resourceId"),
        ("resource-type", "resourceType"),
    ];
    // `tag:KEY` means this tag here, not a tag of the resource.
    answer(scene, params, found, &fields, "tagSet", true)
}
