//! Load balancers of Kubernetes services, as the AWS cloud provider in an EKS control plane makes and removes them
//! (kubernetes/cloud-provider-aws: `EnsureLoadBalancer`, `EnsureLoadBalancerDeleted`).

use std::collections::BTreeMap;

use super::balancer::{self, NewBalancer};
use super::classic::{self, Classic, ClassicListener};
use super::target_group::{self, NewTargetGroup};
use crate::aws::ec2::net::Cidr;
use crate::aws::ec2::route::Target;
use crate::aws::ec2::rule::{Peer, Rule};
use crate::aws::ec2::{security_group, subnet::Subnet};
use crate::aws::wire::sigv4::hex;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags::Tags;

/// What a service of type `LoadBalancer` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceBalancer {
    /// Namespace of the service.
    pub namespace: String,
    /// Name of the service.
    pub service: String,
    /// Name of the load balancer: `a` and the service's UID without dashes, 32 characters at most.
    pub name: String,
    /// Whether it is a network load balancer; else a classic one.
    pub network: bool,
    /// Whether it is reached from within the VPC only.
    pub internal: bool,
    /// Protocol in capitals, port, node port.
    pub ports: Vec<(String, i64, i64)>,
    /// Ranges of addresses that may come in.
    pub sources: Vec<String>,
    /// Tags beside the cloud provider's own.
    pub tags: BTreeMap<String, String>,
}

/// The cluster of the service.
pub(crate) struct OfCluster<'a> {
    pub(crate) name: &'a str,
    pub(crate) vpc: &'a str,
    /// The group in which its nodes are.
    pub(crate) group: &'a str,
    /// Instances of its nodes.
    pub(crate) instances: Vec<String>,
}

const PUBLIC_ROLE: &str = "kubernetes.io/role/elb";
const INTERNAL_ROLE: &str = "kubernetes.io/role/internal-elb";
const CLUSTER_PREFIX: &str = "kubernetes.io/cluster/";

fn owned(cluster: &OfCluster<'_>) -> (String, String) {
    (
        format!("{CLUSTER_PREFIX}{}", cluster.name),
        "owned".to_owned(),
    )
}

/// Whether a subnet's route table leads to an internet gateway.
fn is_public(scene: &Scene<'_>, subnet: &Subnet) -> bool {
    let tables = || {
        let all = scene.region.ec2.route_tables.values();
        all.filter(|table| table.vpc == subnet.vpc)
    };
    let own = tables().find(|table| {
        let mut associations = table.associations.iter();
        associations.any(|association| association.subnet == subnet.id)
    });
    let table = own.or_else(|| tables().find(|table| table.main));
    table.is_some_and(|table| {
        let mut routes = table.routes.iter();
        routes.any(|route| matches!(route.target, Target::InternetGateway(_)))
    })
}

/// One subnet a zone: those of this cluster or of none; for a load balancer on the internet public ones only. Where a zone has
/// several, the role's tag decides, then the cluster's, then the name.
fn subnets(scene: &Scene<'_>, cluster: &OfCluster<'_>, internal: bool) -> Vec<String> {
    let role = if internal { INTERNAL_ROLE } else { PUBLIC_ROLE };
    let own = owned(cluster).0;
    let mut chosen: BTreeMap<&str, &Subnet> = BTreeMap::new();
    let rank = |subnet: &Subnet| {
        let tags = subnet.tags.current();
        (!tags.contains_key(role), !tags.contains_key(&own))
    };
    for subnet in scene.region.ec2.subnets.values() {
        let tags = subnet.tags.current();
        let foreign = tags.keys().any(|key| key.starts_with(CLUSTER_PREFIX));
        if subnet.vpc != cluster.vpc
            || (foreign && !tags.contains_key(&own))
            || (!internal && !is_public(scene, subnet))
        {
            continue;
        }
        let best = chosen.entry(&subnet.zone).or_insert(subnet);
        // They come in the order of their names.
        if rank(subnet) < rank(best) {
            *best = subnet;
        }
    }
    chosen.values().map(|subnet| subnet.id.clone()).collect()
}

/// Make the load balancer, or make it as it should be. Gives its name in DNS.
///
/// # Errors
/// Why it cannot be, in the words of an event.
pub(crate) fn ensure(
    scene: &mut Scene<'_>,
    cluster: &OfCluster<'_>,
    wanted: &ServiceBalancer,
) -> Result<String, String> {
    let subnets = subnets(scene, cluster, wanted.internal);
    if subnets.is_empty() {
        return Err("could not find any suitable subnets for creating the ELB".to_owned());
    }
    let mut tags = wanted.tags.clone();
    let service = format!("{}/{}", wanted.namespace, wanted.service);
    tags.insert("kubernetes.io/service-name".to_owned(), service.clone());
    tags.extend([owned(cluster)]);
    if wanted.network {
        network(scene, cluster, wanted, &subnets, &tags)
    } else {
        classic(scene, cluster, wanted, &service, subnets, tags)
    }
}

fn classic(
    scene: &mut Scene<'_>,
    cluster: &OfCluster<'_>,
    wanted: &ServiceBalancer,
    service: &str,
    subnets: Vec<String>,
    tags: BTreeMap<String, String>,
) -> Result<String, String> {
    let group_name = format!("k8s-elb-{}", wanted.name);
    let there = scene.region.ec2.groups.values();
    let there = there
        .filter(|group| group.vpc == cluster.vpc)
        .find(|group| group.name == group_name);
    let group = match there {
        Some(group) => group.id.clone(),
        None => {
            let description = format!(
                "Security group for Kubernetes ELB {} ({service})",
                wanted.name
            );
            let mut tags = wanted.tags.clone();
            tags.extend([owned(cluster)]);
            security_group::create(
                scene,
                cluster.vpc,
                &group_name,
                &description,
                Tags::new(tags),
            )
            .map_err(|error| error.message)?
        }
    };
    let mut rules = Vec::new();
    for source in &wanted.sources {
        let Ok(range) = source.parse::<Cidr>() else {
            return Err(format!(
                "service.Spec.LoadBalancerSourceRanges: {source} is not valid"
            ));
        };
        for (protocol, port, _) in &wanted.ports {
            rules.push(Rule::ports(
                scene,
                &protocol.to_lowercase(),
                (*port, *port),
                Peer::Cidr(range),
            ));
        }
        // ICMP "fragmentation needed", for the MTU's discovery.
        rules.push(Rule::ports(scene, "icmp", (3, 4), Peer::Cidr(range)));
    }
    if let Some(own) = scene.region.ec2.groups.get_mut(&group) {
        own.rules.retain(|rule| rule.egress);
        own.rules.extend(rules);
    }
    let listeners: Vec<ClassicListener> = wanted
        .ports
        .iter()
        .map(|(protocol, port, node_port)| ClassicListener {
            protocol: protocol.clone(),
            port: *port,
            instance_port: *node_port,
        })
        .collect();
    if !scene.region.elb.classic.contains_key(&wanted.name) {
        let describe = format!("ELB {}", wanted.name);
        let groups = vec![group.clone()];
        let interfaces = balancer::interfaces(
            scene,
            &subnets,
            &describe,
            &groups,
            "interface",
            !wanted.internal,
        )
        .map_err(|error| error.message)?;
        let zone = |id: &String| scene.region.ec2.subnets.get(id).map(|one| one.zone.clone());
        let zones: Vec<(String, String)> = subnets
            .iter()
            .filter_map(|id| Some((zone(id)?, id.clone())))
            .collect();
        let made = Classic {
            name: wanted.name.clone(),
            number: (u64::from(scene.core.ids.below(u32::MAX)) + 1_000_000_000).to_string(),
            created: scene.now,
            internal: wanted.internal,
            vpc: cluster.vpc.to_owned(),
            subnets: zones,
            groups,
            listeners: Vec::new(),
            instances: Vec::new(),
            interfaces,
            tags: Tags::new(tags),
        };
        scene.region.elb.classic.insert(wanted.name.clone(), made);
    }
    open_nodes(scene, cluster, &group);
    let place = scene.place;
    let Some(balancer) = scene.region.elb.classic.get_mut(&wanted.name) else {
        return Err("the load balancer is gone".to_owned());
    };
    balancer.listeners = listeners;
    balancer.instances.clone_from(&cluster.instances);
    Ok(balancer.host_name(place))
}

/// Nodes let in what comes from the load balancer, as long as there are any.
fn open_nodes(scene: &mut Scene<'_>, cluster: &OfCluster<'_>, from: &str) {
    let peer = Peer::Group {
        id: from.to_owned(),
        account: scene.place.account.clone(),
    };
    let wanted = !cluster.instances.is_empty();
    let rule = Rule::everything(scene, false, peer.clone());
    if let Some(group) = scene.region.ec2.groups.get_mut(cluster.group) {
        let there = group.rules.iter().any(|rule| rule.peer == peer);
        if wanted && !there {
            group.rules.push(rule);
        } else if !wanted && there {
            group.rules.retain(|rule| rule.peer != peer);
        }
    }
}

fn network(
    scene: &mut Scene<'_>,
    cluster: &OfCluster<'_>,
    wanted: &ServiceBalancer,
    subnets: &[String],
    tags: &BTreeMap<String, String>,
) -> Result<String, String> {
    let arn = match balancer::named(scene, &wanted.name) {
        Some(arn) => arn,
        None => {
            let new = NewBalancer {
                name: wanted.name.clone(),
                kind: "network",
                internal: wanted.internal,
                vpc: cluster.vpc.to_owned(),
                subnets: subnets.to_vec(),
                groups: Vec::new(),
                tags: tags.clone(),
            };
            balancer::make(scene, new).map_err(|error| error.message)?
        }
    };
    for (protocol, port, node_port) in &wanted.ports {
        if target_group::listens(scene, &arn, *port) {
            continue;
        }
        // Cut to their lengths, and a digest of what makes it unique.
        let cut = |text: &str, most: usize| text.chars().take(most).collect::<String>();
        let unique = format!(
            "{}/{}/{port}/{node_port}/{protocol}",
            wanted.namespace, wanted.name
        );
        let digest = ring::digest::digest(&ring::digest::SHA256, unique.as_bytes());
        let group = NewTargetGroup {
            name: format!(
                "k8s-{}-{}-{}",
                cut(&wanted.namespace.replace('-', ""), 8),
                cut(&wanted.service.replace('-', ""), 8),
                cut(&hex(digest.as_ref()), 10)
            ),
            protocol: protocol.clone(),
            port: *node_port,
            vpc: cluster.vpc.to_owned(),
            tags: tags.clone(),
        };
        target_group::listen(scene, &arn, *port, group);
    }
    open_ports(scene, cluster, wanted, subnets);
    balancer::host_name(scene, &arn).ok_or_else(|| "the load balancer is gone".to_owned())
}

/// A network load balancer passes clients' addresses on: nodes let in whoever may come, and the health checks of its subnets.
fn open_ports(
    scene: &mut Scene<'_>,
    cluster: &OfCluster<'_>,
    wanted: &ServiceBalancer,
    subnets: &[String],
) {
    close_ports(scene, &wanted.name);
    if cluster.instances.is_empty() {
        return;
    }
    let ranges = |texts: &[String]| -> Vec<Cidr> {
        texts.iter().filter_map(|text| text.parse().ok()).collect()
    };
    let inside: Vec<Cidr> = subnets
        .iter()
        .filter_map(|id| Some(scene.region.ec2.subnets.get(id)?.cidr))
        .collect();
    let mut rules = Vec::new();
    for (protocol, _, node_port) in &wanted.ports {
        let ports = (*node_port, *node_port);
        for (what, ranges) in [("client", &ranges(&wanted.sources)), ("health", &inside)] {
            for range in ranges {
                let protocol = if what == "health" { "tcp" } else { protocol };
                let rule = Rule::ports(scene, &protocol.to_lowercase(), ports, Peer::Cidr(*range));
                rules.push(rule.described(note(what, &wanted.name)));
            }
        }
    }
    if let Some(group) = scene.region.ec2.groups.get_mut(cluster.group) {
        group.rules.extend(rules);
    }
}

fn note(what: &str, name: &str) -> String {
    format!("kubernetes.io/rule/nlb/{what}={name}")
}

fn close_ports(scene: &mut Scene<'_>, name: &str) {
    let notes = ["client", "health"].map(|what| note(what, name));
    for group in scene.region.ec2.groups.values_mut() {
        group
            .rules
            .retain(|rule| !notes.iter().any(|note| rule.description() == Some(note)));
    }
}

/// Take the load balancer away, and the rules that were made for it. Gives the groups that are to be deleted once nothing uses
/// them any more; none when there was no load balancer: then its group is forgotten, as the cloud provider does.
pub(crate) fn release(scene: &mut Scene<'_>, cluster: &str, name: &str) -> Vec<String> {
    if let Some(arn) = balancer::named(scene, name) {
        let groups = target_group::of(scene, &arn);
        balancer::remove(scene, &arn);
        for group in groups {
            scene.region.elb.target_groups.remove(&group);
        }
        close_ports(scene, name);
        return Vec::new();
    }
    let Some(balancer) = scene.region.elb.classic.get(name) else {
        return Vec::new();
    };
    let own = format!("{CLUSTER_PREFIX}{cluster}");
    let ec2 = &mut scene.region.ec2;
    let mut groups = balancer.groups.clone();
    groups.retain(|id| {
        let group = ec2.groups.get(id);
        group.is_some_and(|group| group.tags.get(&own).is_some())
    });
    for group in ec2.groups.values_mut() {
        let names_it =
            |rule: &Rule| matches!(&rule.peer, Peer::Group { id, .. } if groups.contains(id));
        group.rules.retain(|rule| !names_it(rule));
    }
    classic::remove(scene, name);
    groups
}

/// Delete a group that nothing uses; whether it is gone.
pub(crate) fn forget_group(scene: &mut Scene<'_>, id: &str) -> bool {
    if security_group::in_use(scene, id) {
        return false;
    }
    scene.region.ec2.groups.remove(id);
    true
}
