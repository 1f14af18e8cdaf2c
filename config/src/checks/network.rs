//! Addresses, AWS's own forms, and sections that the provider does not use.

use super::Context;
use crate::{
    diagnostics::{Diagnostic, codes},
    model::Provider,
    yaml::{Path, at},
};
use std::{net::Ipv4Addr, ops::RangeInclusive};

/// An IPv4 range, or why the text is none.
fn parse_range(text: &str) -> Result<(Ipv4Addr, u32), String> {
    let form = || {
        format!("'{text}' is not an address range; write it as ADDRESS/LENGTH, such as 10.0.0.0/16")
    };
    let (address, length) = text.split_once('/').ok_or_else(form)?;
    let address: Ipv4Addr = address.parse().map_err(|_| form())?;
    let length: u32 = length
        .parse()
        .ok()
        .filter(|length| *length <= 32)
        .ok_or_else(form)?;
    let network = u32::from(address) & u32::MAX.checked_shl(32 - length).unwrap_or(0);
    if network == u32::from(address) {
        Ok((address, length))
    } else {
        Err(format!(
            "'{text}' has bits set after its length; did you mean {}/{length}?",
            Ipv4Addr::from(network)
        ))
    }
}

fn range_finding(message: &str) -> Diagnostic {
    match message.split_once("; ") {
        Some((message, help)) => Diagnostic::error(codes::CIDR, message).help(help),
        None => Diagnostic::error(codes::CIDR, message),
    }
}

pub(super) fn ranges(context: &mut Context<'_>) {
    let spec = &context.pipeline.spec;
    let path = at!["spec", "network", "cidr"];
    // An existing VPC has a range of its own, and this one means nothing.
    match spec.network.existing_vpc {
        Some(_) => {}
        None => vpc_range(context, &path),
    }
    peers(context);
    for (index, cidr) in spec.cluster.public_access_cidrs.iter().enumerate() {
        if let Err(message) = parse_range(cidr) {
            context.at(
                &at!["spec", "cluster", "publicAccessCidrs", index],
                range_finding(&message),
            );
        }
    }
}

/// What the VPC is to be connected with: VPCs by id, or ranges that leave its own range alone.
fn peers(context: &mut Context<'_>) {
    let network = &context.pipeline.spec.network;
    let own = match network.existing_vpc {
        Some(_) => None,
        None => parse_range(&network.cidr).ok(),
    };
    for (index, peer) in network.peers.iter().enumerate() {
        let path = at!["spec", "network", "peers", index];
        if is_id(peer, "vpc") {
            continue;
        }
        match parse_range(peer) {
            Ok(range) if own.is_some_and(|own| overlap(own, range)) => {
                let message = format!(
                    "{} and its peer {peer} have addresses in common",
                    network.cidr
                );
                context.at(
                    &path,
                    Diagnostic::error(codes::CIDR, message)
                        .help("set spec.network.cidr to a range apart from it; AWS peers no VPCs that overlap"),
                );
            }
            Ok(_) => {}
            Err(_) => context.at(
                &path,
                Diagnostic::error(
                    codes::CIDR,
                    format!("'{peer}' is neither a VPC's id nor an address range"),
                )
                .help("write it as vpc- and 17 digits and letters a-f, or as ADDRESS/LENGTH"),
            ),
        }
    }
}

fn overlap(left: (Ipv4Addr, u32), right: (Ipv4Addr, u32)) -> bool {
    let shift = 32 - left.1.min(right.1);
    let network = |address: Ipv4Addr| u32::from(address).checked_shr(shift).unwrap_or(0);
    network(left.0) == network(right.0)
}

fn vpc_range(context: &mut Context<'_>, path: &Path) {
    let spec = &context.pipeline.spec;
    match parse_range(&spec.network.cidr) {
        Ok((address, length)) => {
            if !(16..=24).contains(&length) {
                let diagnostic = Diagnostic::error(
                    codes::CIDR,
                    format!("a VPC with /{length} cannot hold pipectl's subnets"),
                );
                context.at(
                    path,
                    diagnostic
                        .label("from /16 to /24")
                        .help("take a range such as 10.0.0.0/16"),
                );
            } else if let Some((range, whose)) = unusable((address, length)) {
                let message = format!("no VPC can have the range {}", spec.network.cidr);
                let diagnostic = Diagnostic::error(codes::CIDR, message)
                    .label(format!("{range}: {whose}"))
                    .help("take a range in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16");
                context.at(path, diagnostic);
            } else if overlap((DOCKER, 16), (address, length)) {
                let message = format!("services of AWS use {DOCKER}/16 themselves");
                let diagnostic = Diagnostic::warning(codes::CIDR, message);
                context.at(
                    path,
                    diagnostic
                        .help("AWS advises against it; take another range, such as 10.0.0.0/16"),
                );
            } else if !address.is_private() && !is_shared(address) {
                let diagnostic = Diagnostic::warning(
                    codes::CIDR,
                    format!("{} is not a private range", spec.network.cidr),
                );
                context.at(path, diagnostic.help("addresses of others in it become unreachable; take one in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"));
            }
        }
        Err(message) => context.at(path, range_finding(&message)),
    }
}

/// A range with which addresses of services of AWS collide (Amazon VPC user guide: VPC CIDR blocks).
const DOCKER: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 0);

/// The ranges that no host of a network can have, with whose they are (RFC 6890). The link-local one AWS assigns to no VPC
/// (Amazon VPC user guide: IPv4 CIDR block association restrictions); of the others its pages say nothing.
const UNUSABLE: [(Ipv4Addr, u32, &str); 5] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "a host's own network"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback addresses"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local addresses"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast addresses"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved addresses"),
];

/// The range of [`UNUSABLE`] in which a range has addresses, and whose it is.
fn unusable(range: (Ipv4Addr, u32)) -> Option<(String, &'static str)> {
    UNUSABLE
        .iter()
        .find(|(address, length, _)| overlap((*address, *length), range))
        .map(|(address, length, whose)| (format!("{address}/{length}"), *whose))
}

/// The shared range 100.64.0.0/10, which AWS allows for VPCs.
fn is_shared(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 100 && (64..128).contains(&second)
}

fn refuse(context: &mut Context<'_>, path: &Path, message: String, help: &str) {
    context.at(path, Diagnostic::error(codes::AWS_NAME, message).help(help));
}

/// Whether a text is `PREFIX-` and 8 or 17 hexadecimal digits.
fn is_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('-'))
        .is_some_and(|digits| {
            matches!(digits.len(), 8 | 17) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
}

/// Whether a text has the form of a region: words of letters and a number, such as `us-gov-west-1`.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let words = |parts: &[&str]| {
        parts
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase()))
    };
    match parts.split_last() {
        Some((number, rest)) => {
            rest.len() >= 2
                && words(rest)
                && !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit())
        }
        None => false,
    }
}

pub(super) fn aws(context: &mut Context<'_>) {
    let spec = &context.pipeline.spec;
    if let Some(name) = &spec.cluster.name {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let fits = name.len() <= 100
            && name.bytes().all(inner)
            && name
                .bytes()
                .next()
                .is_some_and(|byte| byte.is_ascii_alphanumeric());
        if !fits {
            let message = format!("EKS refuses the cluster name '{name}'");
            refuse(
                context,
                &at!["spec", "cluster", "name"],
                message,
                "use at most 100 letters, digits, '-' and '_', beginning with a letter or digit",
            );
        }
    }
    if let Provider::Eks(eks) = &spec.provider {
        let base = at!["spec", "provider", "eks"];
        if !is_region(&eks.region) {
            refuse(
                context,
                &base.key("region"),
                format!("'{}' is not an AWS region", eks.region),
                "write a region such as us-west-2",
            );
        }
        if let Some(account) = eks.account.as_ref().filter(|account| {
            account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit())
        }) {
            refuse(
                context,
                &base.key("account"),
                format!("'{account}' is not an AWS account"),
                "an account has 12 digits; keep leading zeros in quotes",
            );
        }
        if let Some(arn) = eks.role_arn.as_ref().filter(|arn| {
            !arn.starts_with("arn:") || !arn.contains(":iam::") || !arn.contains(":role/")
        }) {
            refuse(
                context,
                &base.key("roleArn"),
                format!("'{arn}' is not a role's ARN"),
                "write arn:aws:iam::ACCOUNT:role/NAME",
            );
        }
        for (index, zone) in spec.network.zones.iter().enumerate() {
            let inside = zone.starts_with(eks.region.as_str()) && zone.len() > eks.region.len();
            if !zone.is_empty() && !inside {
                refuse(
                    context,
                    &at!["spec", "network", "zones", index],
                    format!("zone {zone} is not in region {}", eks.region),
                    "write a zone of the region, such as its name and a letter",
                );
            }
        }
    }
    let zones = at!["spec", "network", "zones"];
    for (index, _) in spec
        .network
        .zones
        .iter()
        .enumerate()
        .filter(|(_, zone)| zone.is_empty())
    {
        refuse(
            context,
            &zones.index(index),
            "a zone has no name".to_owned(),
            "write a zone's name, such as us-west-2a, or remove the entry",
        );
    }
    if spec.network.zones.len() == 1 {
        refuse(
            context,
            &zones,
            "EKS needs subnets in at least two zones".to_owned(),
            "name another zone",
        );
    }
    if let Some(vpc) = &spec.network.existing_vpc {
        let base = at!["spec", "network", "existingVpc"];
        if !is_id(&vpc.id, "vpc") {
            refuse(
                context,
                &base.key("id"),
                format!("'{}' is not a VPC's id", vpc.id),
                "write it as vpc- and 17 digits and letters a-f",
            );
        }
        for (list, subnets) in [
            ("privateSubnets", &vpc.private_subnets),
            ("publicSubnets", &vpc.public_subnets),
        ] {
            for (index, subnet) in subnets
                .iter()
                .enumerate()
                .filter(|(_, subnet)| !is_id(subnet, "subnet"))
            {
                refuse(
                    context,
                    &base.key(list).index(index),
                    format!("'{subnet}' is not a subnet's id"),
                    "write it as subnet- and 17 digits and letters a-f",
                );
            }
        }
        if vpc.private_subnets.len() < 2 {
            refuse(
                context,
                &base.key("privateSubnets"),
                "EKS needs at least two private subnets, in different zones".to_owned(),
                "name another subnet",
            );
        }
    }
}

/// The gibibytes of a node's disk: no fewer than EKS' image of Amazon Linux 2023 has (amazon-eks-ami pull request 1581, cilium pull
/// request 43051), no more than a gp3 volume can have (EC2 API reference: `EbsBlockDevice`).
const NODE_DISK: RangeInclusive<u64> = 20..=64 * 1024;

pub(super) fn node_groups(context: &mut Context<'_>) {
    for (index, group) in context.pipeline.spec.node_groups.iter().enumerate() {
        let (least, most) = group.bounds();
        let base = at!["spec", "nodeGroups", index];
        let mut contradict = |field: &str, message: String| {
            context.at(
                &base.key(field),
                Diagnostic::error(codes::NODE_COUNTS, message).help("minSize ≤ size ≤ maxSize"),
            );
        };
        if least > group.size {
            contradict(
                "minSize",
                format!(
                    "node group {} starts with {} nodes, fewer than its minSize {least}",
                    group.name, group.size
                ),
            );
        }
        if most < group.size {
            contradict(
                "maxSize",
                format!(
                    "node group {} starts with {} nodes, more than its maxSize {most}",
                    group.name, group.size
                ),
            );
        }
        if !NODE_DISK.contains(&group.disk_size.gibibytes_ceil()) {
            let message = format!(
                "nodes of group {} cannot have a disk of {}",
                group.name, group.disk_size
            );
            context.at(
                &base.key("diskSize"),
                Diagnostic::error(codes::OUT_OF_RANGE, message)
                    .label("from 20Gi to 64Ti")
                    .help("EKS' image needs 20Gi, and a gp3 volume has at most 64Ti"),
            );
        }
        if group.instance_types.is_empty() {
            let diagnostic = Diagnostic::error(
                codes::NODE_COUNTS,
                format!("node group {} has no instance types", group.name),
            );
            context.at(
                &base.key("instanceTypes"),
                diagnostic.help("remove the field for m6i.large"),
            );
        }
    }
}

pub(super) fn without_effect(context: &mut Context<'_>) {
    let spec = &context.pipeline.spec;
    let mut unused: Vec<(Path, &str)> = Vec::new();
    if matches!(spec.provider, Provider::Existing(_)) {
        for section in ["network", "cluster", "nodeGroups", "addons"] {
            unused.push((
                at!["spec", section],
                "the provider takes an existing cluster as it is",
            ));
        }
    }
    if spec.network.existing_vpc.is_some() {
        for field in ["cidr", "nat", "zones", "zoneCount"] {
            unused.push((
                at!["spec", "network", field],
                "an existing VPC is taken as it is",
            ));
        }
    } else if !spec.network.zones.is_empty() {
        unused.push((at!["spec", "network", "zoneCount"], "zones names the zones"));
    }
    for (path, reason) in unused {
        if context.is_set(&path) {
            let message = format!("{path} has no effect: {reason}");
            context.at_key(
                &path,
                Diagnostic::warning(codes::NO_EFFECT, message).help("remove it"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{is_id, is_region, parse_range};

    #[test]
    fn ranges() {
        assert!(
            parse_range("10.0.0.0/16").is_ok()
                && parse_range("0.0.0.0/0").is_ok()
                && parse_range("10.1.2.3/32").is_ok()
        );
        for text in [
            "",
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.1.0/16",
            "300.0.0.0/8",
            "::/0",
            "10.0.0.0/-1",
        ] {
            assert!(parse_range(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ids_and_regions() {
        assert!(
            is_id("vpc-0a1b2c3d4e5f60718", "vpc")
                && !is_id("vpc-xyz", "vpc")
                && !is_id("subnet-0a1b2c3d", "vpc")
        );
        assert!(
            is_region("us-west-2")
                && is_region("us-gov-west-1")
                && !is_region("us-west")
                && !is_region("us_west_2")
        );
    }
}
