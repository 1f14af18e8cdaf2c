//! Finding pieces.
//!
//! By id a describe call names the ids themselves: such reads see new things sooner than those by filter. It fails as a
//! whole when one of them does not exist; then each is asked for by itself.

use std::future::Future;

use aws_sdk_ec2::{
    error::{ProvideErrorMetadata, SdkError},
    types::{Filter, Vpc, VpcAttributeName},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures::future::{FutureExt, try_join, try_join_all};
use pipectl_stages::{
    error::{PortError, PortErrorKind},
    ports::{
        cloud::Tags,
        network::{Lookup, Piece, PieceKind},
    },
};

use super::parse::{self, Dns};
use crate::{call::absent, client::Aws, errors::translate};

/// How many a page holds: the most that EC2 allows.
const PAGE: i32 = 1000;
/// Of route tables it allows fewer.
const PAGE_OF_TABLES: i32 = 100;

/// How a describe call is told what is wanted.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    /// Exactly these; one that does not exist is an error.
    Ids(Vec<String>),
    /// All that fit.
    Filters(Vec<Filter>),
}

impl Ask {
    /// All that have this value of a filter.
    pub(crate) fn with(name: &str, value: &str) -> Self {
        Self::Filters(vec![filter(name, value)])
    }

    /// All that carry these tags.
    pub(crate) fn tagged(tags: &Tags) -> Self {
        let of_tag = |(key, value): (&String, &String)| filter(&format!("tag:{key}"), value);
        Self::Filters(tags.iter().map(of_tag).collect())
    }
}

/// A filter for exactly this value: what EC2 would read as a wildcard is none.
fn filter(name: &str, value: &str) -> Filter {
    let mut exact = String::with_capacity(value.len());
    for character in value.chars() {
        if matches!(character, '*' | '?' | '\\') {
            exact.push('\\');
        }
        exact.push(character);
    }
    Filter::builder().name(name).values(exact).build()
}

/// Sends a describe call page by page and gives its items.
macro_rules! described {
    ($request:expr, $ask:expr, $set_ids:ident, $set_filters:ident, $page:expr) => {{
        let request = $request;
        let pages = match $ask {
            // Ids and a page size are not allowed together.
            Ask::Ids(ids) => request.$set_ids(Some(ids)).into_paginator(),
            Ask::Filters(filters) => request
                .$set_filters(Some(filters))
                .into_paginator()
                .page_size($page),
        };
        let items: Result<Vec<_>, _> = pages.items().send().collect().await;
        items.map_err(crate::network::find::unfound)?
    }};
}
pub(crate) use described;

/// As [`translate`]; an id that can be none is one that does not exist.
pub(crate) fn unfound<E>(failed: SdkError<E, HttpResponse>) -> PortError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let malformed = failed
        .code()
        .is_some_and(|code| code.ends_with("Malformed"));
    let mut translated = translate(failed);
    if malformed {
        translated.kind = PortErrorKind::NotFound;
    }
    translated
}

pub(super) async fn find(
    aws: &Aws,
    kind: PieceKind,
    lookup: &Lookup,
) -> Result<Vec<Piece>, PortError> {
    match lookup {
        Lookup::Ids(ids) => by_ids(ids, |ids| ask(aws, kind, Ask::Ids(ids), true)).await,
        Lookup::Tagged(tags) => ask(aws, kind, Ask::tagged(tags), true).await,
        Lookup::InVpc(vpc) => {
            let name = match kind {
                PieceKind::Address => return Ok(Vec::new()),
                PieceKind::InternetGateway => "attachment.vpc-id",
                _ => "vpc-id",
            };
            ask(aws, kind, Ask::with(name, vpc), false).await
        }
        Lookup::Naming(group) => {
            if kind != PieceKind::SecurityGroup {
                return Ok(Vec::new());
            }
            // Filters of one call have to fit all of them at once.
            let (incoming, outgoing) = try_join(
                ask(aws, kind, Ask::with("ip-permission.group-id", group), false),
                ask(
                    aws,
                    kind,
                    Ask::with("egress.ip-permission.group-id", group),
                    false,
                ),
            )
            .await?;
            let mut naming = incoming;
            for other in outgoing {
                if !naming.iter().any(|known| known.id == other.id) {
                    naming.push(other);
                }
            }
            Ok(naming)
        }
    }
}

/// Those of these ids that exist. No ids select nothing, where a describe call would take them for everything.
async fn by_ids<T, F>(ids: &[String], ask: impl Fn(Vec<String>) -> F) -> Result<Vec<T>, PortError>
where
    F: Future<Output = Result<Vec<T>, PortError>>,
{
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    match ask(ids.to_vec()).await {
        Err(error) if error.kind == PortErrorKind::NotFound && ids.len() > 1 => {
            let one_by_one = ids.iter().map(|id| ask(vec![id.clone()]).map(absent));
            let found = try_join_all(one_by_one).await?;
            Ok(found.into_iter().flatten().flatten().collect())
        }
        answered => Ok(absent(answered)?.unwrap_or_default()),
    }
}

async fn ask(
    aws: &Aws,
    kind: PieceKind,
    ask: Ask,
    attributes: bool,
) -> Result<Vec<Piece>, PortError> {
    let ec2 = aws.ec2();
    Ok(match kind {
        PieceKind::Vpc => {
            let request = ec2.describe_vpcs();
            let found = described!(request, ask, set_vpc_ids, set_filters, PAGE);
            vpcs(aws, found, attributes).await?
        }
        PieceKind::InternetGateway => {
            let request = ec2.describe_internet_gateways();
            let found = described!(request, ask, set_internet_gateway_ids, set_filters, PAGE);
            found.iter().filter_map(parse::internet_gateway).collect()
        }
        PieceKind::Subnet => {
            let request = ec2.describe_subnets();
            let found = described!(request, ask, set_subnet_ids, set_filters, PAGE);
            found.iter().filter_map(parse::subnet).collect()
        }
        PieceKind::Address => {
            // This call knows no pages.
            let request = ec2.describe_addresses();
            let request = match ask {
                Ask::Ids(ids) => request.set_allocation_ids(Some(ids)),
                Ask::Filters(filters) => request.set_filters(Some(filters)),
            };
            let found = request.send().await.map_err(unfound)?;
            let found = found.addresses().iter();
            found.filter_map(parse::address).collect()
        }
        PieceKind::NatGateway => {
            let request = ec2.describe_nat_gateways();
            let found = described!(request, ask, set_nat_gateway_ids, set_filter, PAGE);
            found.iter().filter_map(parse::nat_gateway).collect()
        }
        PieceKind::RouteTable => {
            let request = ec2.describe_route_tables();
            let found = described!(
                request,
                ask,
                set_route_table_ids,
                set_filters,
                PAGE_OF_TABLES
            );
            found.iter().filter_map(parse::route_table).collect()
        }
        PieceKind::Endpoint => {
            let request = ec2.describe_vpc_endpoints();
            let found = described!(request, ask, set_vpc_endpoint_ids, set_filters, PAGE);
            found.iter().filter_map(parse::endpoint).collect()
        }
        PieceKind::SecurityGroup => {
            let request = ec2.describe_security_groups();
            let found = described!(request, ask, set_group_ids, set_filters, PAGE);
            found.iter().filter_map(parse::security_group).collect()
        }
    })
}

/// The route tables that a subnet is associated with: one, or none.
pub(super) async fn tables_of(aws: &Aws, subnet: &str) -> Result<Vec<Piece>, PortError> {
    let which = Ask::with("association.subnet-id", subnet);
    ask(aws, PieceKind::RouteTable, which, false).await
}

async fn vpcs(aws: &Aws, found: Vec<Vpc>, attributes: bool) -> Result<Vec<Piece>, PortError> {
    if !attributes {
        let pieces = found
            .iter()
            .filter_map(|vpc| parse::vpc(vpc, Dns::default()));
        return Ok(pieces.collect());
    }
    let looked = found.iter().map(|vpc| async {
        let dns = dns(aws, vpc.vpc_id().unwrap_or_default()).await?;
        Ok::<_, PortError>(parse::vpc(vpc, dns))
    });
    let pieces: Vec<Option<Piece>> = try_join_all(looked).await?;
    Ok(pieces.into_iter().flatten().collect())
}

/// The attributes of a VPC. One that is gone by now, or that this read does not know yet, has none.
async fn dns(aws: &Aws, vpc: &str) -> Result<Dns, PortError> {
    let attribute = |name: VpcAttributeName| {
        let request = aws.ec2().describe_vpc_attribute();
        let request = request.vpc_id(vpc).attribute(name);
        async { absent(request.send().await.map_err(translate)) }
    };
    let (support, hostnames) = try_join(
        attribute(VpcAttributeName::EnableDnsSupport),
        attribute(VpcAttributeName::EnableDnsHostnames),
    )
    .await?;
    let support = support
        .as_ref()
        .and_then(|found| found.enable_dns_support());
    let hostnames = hostnames.as_ref();
    let hostnames = hostnames.and_then(|found| found.enable_dns_hostnames());
    Ok(Dns {
        support: support.and_then(|value| value.value()) == Some(true),
        hostnames: hostnames.and_then(|value| value.value()) == Some(true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tags_value_is_never_a_pattern() {
        let exact = filter("tag:path", r"a*b?c\d");
        assert_eq!(exact.values(), [r"a\*b\?c\\d"]);
    }

    #[tokio::test]
    async fn ids_that_do_not_exist_are_left_out() {
        let ask = |ids: Vec<String>| async move {
            if ids.iter().any(|id| id == "gone") {
                return Err(PortError::new(PortErrorKind::NotFound, "AWS000", "gone"));
            }
            Ok(ids)
        };
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            by_ids(&ids(&["a", "gone", "b"]), ask).await,
            Ok(ids(&["a", "b"]))
        );
        assert_eq!(by_ids(&ids(&["gone"]), ask).await, Ok(Vec::new()));
        let everything = |_| async { Ok(vec!["all of the account".to_owned()]) };
        assert_eq!(by_ids(&[], everything).await, Ok(Vec::new()));
    }
}
