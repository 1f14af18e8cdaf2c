//! Rules of security groups, as EC2 writes them and as the port does.

use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, SecurityGroupRule, UserIdGroupPair};
use pipectl_stages::ports::network::{Direction, Rule, RulePeer};

/// The rules that one direction's permissions spell out. Those about prefix lists are left out: the port knows no such
/// peer, and nobody decides on them.
pub(super) fn of_permissions(
    permissions: &[IpPermission],
    direction: Direction,
) -> impl Iterator<Item = Rule> {
    permissions.iter().flat_map(move |permission| {
        let protocol = permission.ip_protocol().unwrap_or(EVERYTHING).to_owned();
        let ports = ports(permission.from_port(), permission.to_port());
        let v4 = permission.ip_ranges().iter().filter_map(IpRange::cidr_ip);
        let v6 = permission.ipv6_ranges().iter();
        let v6 = v6.filter_map(Ipv6Range::cidr_ipv6);
        let cidrs = v4.chain(v6).map(|cidr| RulePeer::Cidr(cidr.to_owned()));
        let groups = permission.user_id_group_pairs().iter();
        let groups = groups.filter_map(UserIdGroupPair::group_id);
        let groups = groups.map(|id| RulePeer::Group(id.to_owned()));
        cidrs
            .chain(groups)
            .map(|peer| Rule {
                direction,
                protocol: protocol.clone(),
                ports,
                peer,
            })
            .collect::<Vec<_>>()
    })
}

/// One rule of the list of rules, which has an id of its own; `None` when it is about a prefix list.
pub(super) fn of_listed(rule: &SecurityGroupRule) -> Option<Rule> {
    let cidr = rule.cidr_ipv4().or(rule.cidr_ipv6());
    let group = rule.referenced_group_info();
    let group = group.and_then(|group| group.group_id());
    let peer = match (cidr, group) {
        (Some(cidr), _) => RulePeer::Cidr(cidr.to_owned()),
        (None, Some(group)) => RulePeer::Group(group.to_owned()),
        (None, None) => return None,
    };
    Some(Rule {
        direction: if rule.is_egress() == Some(true) {
            Direction::Out
        } else {
            Direction::In
        },
        protocol: rule.ip_protocol().unwrap_or(EVERYTHING).to_owned(),
        ports: ports(rule.from_port(), rule.to_port()),
        peer,
    })
}

/// A rule as authorising and revoking take it.
pub(super) fn permission(rule: &Rule) -> IpPermission {
    // ICMP has types and codes where others have ports; -1 stands for all of them.
    let (from, to) = match (rule.ports, rule.protocol.as_str()) {
        (Some((from, to)), _) => (Some(i32::from(from)), Some(i32::from(to))),
        (None, "icmp" | "icmpv6") => (Some(-1), Some(-1)),
        (None, "tcp" | "udp") => (Some(0), Some(i32::from(u16::MAX))),
        (None, _) => (None, None),
    };
    let permission = IpPermission::builder()
        .ip_protocol(&rule.protocol)
        .set_from_port(from)
        .set_to_port(to);
    match &rule.peer {
        RulePeer::Cidr(cidr) if cidr.contains(':') => {
            permission.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(cidr).build())
        }
        RulePeer::Cidr(cidr) => permission.ip_ranges(IpRange::builder().cidr_ip(cidr).build()),
        RulePeer::Group(id) => {
            permission.user_id_group_pairs(UserIdGroupPair::builder().group_id(id).build())
        }
    }
    .build()
}

/// What EC2 calls every protocol.
const EVERYTHING: &str = "-1";

/// First and last port; `None` for all, which EC2 says by nothing, by -1, or for TCP and UDP by the whole range.
fn ports(from: Option<i32>, to: Option<i32>) -> Option<(u16, u16)> {
    let (from, to) = (u16::try_from(from?).ok()?, u16::try_from(to?).ok()?);
    ((from, to) != (0, u16::MAX)).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(protocol: &str, ports: Option<(u16, u16)>, peer: RulePeer) -> Rule {
        Rule {
            direction: Direction::In,
            protocol: protocol.to_owned(),
            ports,
            peer,
        }
    }

    #[test]
    fn a_rule_stays_what_it_is_on_the_way_to_ec2_and_back() {
        let peers = [
            RulePeer::Cidr("10.0.0.0/16".to_owned()),
            RulePeer::Cidr("2001:db8::/32".to_owned()),
            RulePeer::Group("sg-1".to_owned()),
        ];
        for peer in peers {
            let ways = [
                ("tcp", Some((443, 443))),
                ("tcp", None),
                ("icmp", None),
                ("-1", None),
            ];
            for (protocol, ports) in ways {
                let rule = rule(protocol, ports, peer.clone());
                let back: Vec<Rule> = of_permissions(&[permission(&rule)], Direction::In).collect();
                assert_eq!(back, [rule]);
            }
        }
    }

    #[test]
    fn one_permission_may_stand_for_several_rules() {
        let both = IpPermission::builder()
            .ip_protocol("-1")
            .ip_ranges(IpRange::builder().cidr_ip("0.0.0.0/0").build())
            .user_id_group_pairs(UserIdGroupPair::builder().group_id("sg-1").build())
            .build();
        assert_eq!(of_permissions(&[both], Direction::Out).count(), 2);
    }

    #[test]
    fn a_listed_rule_is_the_same_as_in_the_permissions() {
        let listed = SecurityGroupRule::builder()
            .is_egress(false)
            .ip_protocol("-1")
            .from_port(-1)
            .to_port(-1)
            .cidr_ipv4("10.0.0.0/8")
            .build();
        let everything = rule("-1", None, RulePeer::Cidr("10.0.0.0/8".to_owned()));
        assert_eq!(of_listed(&listed), Some(everything));
        let list = SecurityGroupRule::builder().prefix_list_id("pl-1").build();
        assert_eq!(of_listed(&list), None);
    }
}
