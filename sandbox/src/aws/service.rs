//! What a service is to the wire: a name, a protocol, and a table of actions.

use serde_json::Value;

use super::wire::error::ApiError;
use super::wire::params::Params;
use super::world::scene::Scene;

/// An action's work: reads parameters, looks at and changes the graph, and returns the reply as a tree.
///
/// The tree is JSON for every protocol. For XML an object is a sequence of elements, an array a list (`item` in EC2,
/// `member` elsewhere), null is left out.
pub(crate) type Handler = fn(&mut Scene<'_>, Params<'_>) -> Result<Value, ApiError>;

/// How a service speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Form in, XML out, lists as `Name.1`.
    Ec2 {
        /// XML namespace of replies.
        xmlns: &'static str,
    },
    /// Form in, XML out, lists as `Name.member.1`, the reply inside `ActionResult`.
    Query {
        /// XML namespace of replies.
        xmlns: &'static str,
    },
    /// Method and path say the action.
    RestJson,
    /// The header `X-Amz-Target` says the action.
    Json {
        /// What precedes the dot in the header, e.g. `TrentService`.
        target: &'static str,
        /// `1.0` or `1.1`.
        version: &'static str,
    },
}

/// One service.
pub(crate) struct Service {
    /// The name in the credential scope, e.g. `elasticloadbalancing`.
    pub(crate) name: &'static str,
    /// How it speaks.
    pub(crate) protocol: Protocol,
    /// The code of a missing or malformed parameter, where the service has one code for all of them.
    pub(crate) invalid: Option<&'static str>,
    /// Its actions, a table per resource family.
    pub(crate) actions: &'static [&'static [Action]],
}

/// One action of a service.
pub(crate) struct Action {
    /// As the service's API reference calls it.
    pub(crate) name: &'static str,
    /// Whether it changes something; what the counters tell apart.
    pub(crate) mutating: bool,
    /// The top-level parameters that are simulated; any other is refused loudly instead of being ignored.
    pub(crate) accepts: &'static [&'static str],
    /// Method and path template (`/clusters/{name}`), REST-JSON only.
    pub(crate) route: Option<(&'static str, &'static str)>,
    /// What does it.
    pub(crate) handler: Handler,
}

impl Action {
    /// An action that changes nothing.
    pub(crate) const fn read(
        name: &'static str,
        accepts: &'static [&'static str],
        handler: Handler,
    ) -> Self {
        Self {
            name,
            mutating: false,
            accepts,
            route: None,
            handler,
        }
    }

    /// An action that changes something.
    pub(crate) const fn write(
        name: &'static str,
        accepts: &'static [&'static str],
        handler: Handler,
    ) -> Self {
        Self {
            mutating: true,
            ..Self::read(name, accepts, handler)
        }
    }

    /// The same at a method and path. Names in braces become parameters, as does the query string.
    pub(crate) const fn at(self, method: &'static str, path: &'static str) -> Self {
        Self {
            route: Some((method, path)),
            ..self
        }
    }
}

/// Every service of the simulator.
pub(crate) const SERVICES: &[&Service] = &[
    &super::ec2::SERVICE,
    &super::sts::SERVICE,
    &super::eks::SERVICE,
    &super::iam::SERVICE,
    &super::elb::SERVICE,
    &super::kms::SERVICE,
    &super::logs::SERVICE,
    &super::ssm::SERVICE,
    &super::secrets::SERVICE,
    &super::quotas::SERVICE,
    &super::tagging::SERVICE,
];

impl Service {
    /// The service of that signing name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        SERVICES
            .iter()
            .find(|service| service.name == name)
            .copied()
    }

    /// The action of that name.
    pub(crate) fn action(&self, name: &str) -> Option<&'static Action> {
        let mut all = self.actions.iter().flat_map(|table| table.iter());
        all.find(|action| action.name == name)
    }

    /// The action at that method and (still encoded) path, and the parameters in it.
    pub(crate) fn route(
        &self,
        method: &str,
        path: &str,
    ) -> Option<(&'static Action, Vec<(String, String)>)> {
        let mut all = self.actions.iter().flat_map(|table| table.iter());
        all.find_map(|action| {
            let (wanted, template) = action.route?;
            (wanted == method).then_some(())?;
            Some((action, matched(template, path)?))
        })
    }
}

fn matched(template: &str, path: &str) -> Option<Vec<(String, String)>> {
    let path = path.trim_end_matches('/');
    let (wanted, given) = (template.split('/'), path.split('/'));
    if wanted.clone().count() != given.clone().count() {
        return None;
    }
    let mut found = Vec::new();
    for (part, segment) in wanted.zip(given) {
        match part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
            Some(name) => found.push((name.to_owned(), super::wire::query::decode(segment))),
            None if part == segment => {}
            None => return None,
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_action_is_there_once_and_has_a_route_where_its_protocol_needs_one() {
        for service in SERVICES {
            let mut seen = BTreeSet::new();
            for action in service.actions.iter().flat_map(|table| table.iter()) {
                assert!(seen.insert(action.name), "{} {}", service.name, action.name);
                let rest = service.protocol == Protocol::RestJson;
                assert_eq!(action.route.is_some(), rest, "{}", action.name);
            }
        }
    }

    #[test]
    fn names_in_a_path_are_decoded_after_it_is_split() {
        let found = matched("/tags/{resourceArn}", "/tags/arn%3Aaws%3Aeks%3Aa%2Fb").unwrap();
        assert_eq!(
            found,
            [("resourceArn".to_owned(), "arn:aws:eks:a/b".to_owned())]
        );
        assert!(matched("/clusters", "/clusters/x").is_none());
    }
}
