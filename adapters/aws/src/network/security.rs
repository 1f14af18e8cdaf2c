//! The rules of a group.

use aws_sdk_ec2::{
    error::ProvideErrorMetadata,
    operation::{
        revoke_security_group_egress::RevokeSecurityGroupEgressOutput,
        revoke_security_group_ingress::RevokeSecurityGroupIngressOutput,
    },
    types::{IpPermission, SecurityGroupRule},
};
use pipectl_stages::{
    error::PortError,
    ports::network::{Direction, Rule},
};

use super::{
    find::{Ask, described},
    rules,
};
use crate::{client::Aws, errors::translate};

/// How many rules a page holds.
const PAGE: i32 = 1000;

const DUPLICATE: &str = "InvalidPermission.Duplicate";
const MISSING: &str = "InvalidPermission.NotFound";

pub(super) async fn allowed(aws: &Aws, group: &str, wanted: &[Rule]) -> Result<(), PortError> {
    for direction in [Direction::In, Direction::Out] {
        let wanted = of(wanted, direction);
        if wanted.is_empty() || authorize(aws, group, direction, &wanted).await? {
            continue;
        }
        // One of several is there, and then EC2 made none of them.
        if wanted.len() > 1 {
            for rule in wanted {
                authorize(aws, group, direction, &[rule]).await?;
            }
        }
    }
    Ok(())
}

/// A group does not have these rules. First they are revoked as the port spells them, which needs no read that may lag
/// behind. Where EC2 does not know one of them by that spelling (types of ICMP, say), all are looked up and revoked by
/// their ids.
pub(super) async fn revoked(aws: &Aws, group: &str, unwanted: &[Rule]) -> Result<(), PortError> {
    for direction in [Direction::In, Direction::Out] {
        let unwanted = of(unwanted, direction);
        if unwanted.is_empty()
            || revoke(aws, group, direction, Unwanted::Spelled(&unwanted)).await?
        {
            continue;
        }
        let ids = listed(aws, group, &unwanted).await?;
        if !ids.is_empty() {
            revoke(aws, group, direction, Unwanted::Listed(ids)).await?;
        }
    }
    Ok(())
}

fn of(rules: &[Rule], direction: Direction) -> Vec<&Rule> {
    let fitting = rules.iter().filter(|rule| rule.direction == direction);
    fitting.collect()
}

fn permissions(rules: &[&Rule]) -> Option<Vec<IpPermission>> {
    Some(rules.iter().map(|rule| rules::permission(rule)).collect())
}

/// Ids of the group's rules that are among these.
async fn listed(aws: &Aws, group: &str, among: &[&Rule]) -> Result<Vec<String>, PortError> {
    let request = aws.ec2().describe_security_group_rules();
    let ask = Ask::with("group-id", group);
    let all: Vec<SecurityGroupRule> =
        described!(request, ask, set_security_group_rule_ids, set_filters, PAGE);
    let fits = |listed: &&SecurityGroupRule| {
        rules::of_listed(listed).is_some_and(|rule| among.contains(&&rule))
    };
    let ids = all.iter().filter(fits);
    let ids = ids.filter_map(|rule| rule.security_group_rule_id());
    Ok(ids.map(str::to_owned).collect())
}

/// Sends a call and says whether it did all it was asked; `false`, with nothing done, when it met this code.
macro_rules! unless {
    ($request:expr, $code:expr, $complete:expr) => {
        match $request.send().await {
            Ok(answer) => Ok($complete(&answer)),
            Err(error) if error.code() == Some($code) => Ok(false),
            Err(error) => Err(translate(error)),
        }
    };
}

/// Makes rules; `false`, with none made, when one of them is there.
async fn authorize(
    aws: &Aws,
    group: &str,
    direction: Direction,
    wanted: &[&Rule],
) -> Result<bool, PortError> {
    let permissions = permissions(wanted);
    match direction {
        Direction::In => {
            let request = aws.ec2().authorize_security_group_ingress();
            let request = request.group_id(group).set_ip_permissions(permissions);
            unless!(request, DUPLICATE, |_: &_| true)
        }
        Direction::Out => {
            let request = aws.ec2().authorize_security_group_egress();
            let request = request.group_id(group).set_ip_permissions(permissions);
            unless!(request, DUPLICATE, |_: &_| true)
        }
    }
}

/// How rules are named that are to go.
enum Unwanted<'a> {
    /// By what they say.
    Spelled(&'a [&'a Rule]),
    /// By their ids.
    Listed(Vec<String>),
}

/// Revokes rules; `false` when EC2 did not know all of them, and perhaps revoked none.
async fn revoke(
    aws: &Aws,
    group: &str,
    direction: Direction,
    unwanted: Unwanted<'_>,
) -> Result<bool, PortError> {
    let (permissions, ids) = match unwanted {
        Unwanted::Spelled(rules) => (permissions(rules), None),
        Unwanted::Listed(ids) => (None, Some(ids)),
    };
    // In a default VPC what is not known is no error: the answer names it.
    match direction {
        Direction::In => {
            let request = aws.ec2().revoke_security_group_ingress().group_id(group);
            let request = request.set_ip_permissions(permissions);
            let request = request.set_security_group_rule_ids(ids);
            unless!(
                request,
                MISSING,
                |answer: &RevokeSecurityGroupIngressOutput| {
                    answer.unknown_ip_permissions().is_empty()
                }
            )
        }
        Direction::Out => {
            let request = aws.ec2().revoke_security_group_egress().group_id(group);
            let request = request.set_ip_permissions(permissions);
            let request = request.set_security_group_rule_ids(ids);
            unless!(
                request,
                MISSING,
                |answer: &RevokeSecurityGroupEgressOutput| {
                    answer.unknown_ip_permissions().is_empty()
                }
            )
        }
    }
}
