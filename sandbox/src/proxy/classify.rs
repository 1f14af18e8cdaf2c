//! What a request to the Kubernetes API is about, read from its method, path, query and content type.

use http::{HeaderMap, Method, Uri};

/// A request, in the words of Kubernetes' own authorization (verbs, groups, resources), server-side apply apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    /// get, list, watch, create, update, patch, apply, delete, deletecollection; the HTTP method in lower case otherwise.
    pub(crate) verb: String,
    /// API group; empty for the core group and for what is no resource.
    pub(crate) group: String,
    /// Plural name, with `/subresource` where there is one; the path for what is no resource.
    pub(crate) resource: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
}

/// Follows Kubernetes' RequestInfo resolver (k8s.io/apiserver, `pkg/endpoints/request/requestinfo.go`).
pub(crate) fn classify(method: &Method, uri: &Uri, headers: &HeaderMap) -> Subject {
    let path = uri.path();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (group, rest) = match parts.as_slice() {
        ["api", _version, rest @ ..] if !rest.is_empty() => ("", rest),
        ["apis", group, _version, rest @ ..] if !rest.is_empty() => (*group, rest),
        _ => {
            return Subject {
                verb: method.as_str().to_ascii_lowercase(),
                resource: path.to_owned(),
                ..Subject::default()
            };
        }
    };
    let (namespace, rest) = match rest {
        // `namespaces/x/status` and `namespaces/x/finalize` are about the namespace itself.
        ["namespaces", namespace, rest @ ..]
            if !rest.is_empty() && !matches!(rest, ["status" | "finalize"]) =>
        {
            (Some(*namespace), rest)
        }
        ["namespaces", namespace, ..] => (Some(*namespace), rest),
        rest => (None, rest),
    };
    let (resource, name, subresource) = match rest {
        [resource] => (*resource, None, None),
        [resource, name] => (*resource, Some(*name), None),
        [resource, name, subresource, ..] => (*resource, Some(*name), Some(*subresource)),
        [] => ("", None, None),
    };
    let query = uri.query().unwrap_or_default();
    let watches = query
        .split('&')
        .any(|pair| matches!(pair, "watch=true" | "watch=1" | "watch"));
    let verb = match *method {
        Method::GET | Method::HEAD if watches => "watch",
        Method::GET | Method::HEAD if name.is_some() => "get",
        Method::GET | Method::HEAD => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH if applies(headers) => "apply",
        Method::PATCH => "patch",
        Method::DELETE if name.is_some() => "delete",
        Method::DELETE => "deletecollection",
        _ => "",
    };
    let verb = if verb.is_empty() {
        method.as_str().to_ascii_lowercase()
    } else {
        verb.to_owned()
    };
    Subject {
        verb,
        group: group.to_owned(),
        resource: subresource
            .map_or_else(|| resource.to_owned(), |sub| format!("{resource}/{sub}")),
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
    }
}

fn applies(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/apply-patch+"))
}

/// Whom a request comes from: the first word of its user agent.
pub(crate) fn agent(headers: &HeaderMap) -> String {
    let agent = headers
        .get(http::header::USER_AGENT)
        .and_then(|value| value.to_str().ok());
    agent
        .and_then(|agent| agent.split_whitespace().next())
        .unwrap_or("unknown")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(method: &str, uri: &str, content_type: &str) -> Subject {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::CONTENT_TYPE, content_type.parse().unwrap());
        classify(&method.parse().unwrap(), &uri.parse().unwrap(), &headers)
    }

    #[test]
    fn requests_are_named_as_kubernetes_names_them() {
        let json = "application/json";
        for (method, uri, kind, expected) in [
            ("GET", "/api/v1/pods?limit=5", json, "list  pods - -"),
            (
                "GET",
                "/api/v1/namespaces/a/pods?watch=true",
                json,
                "watch  pods a -",
            ),
            ("GET", "/api/v1/namespaces/a/pods/p", json, "get  pods a p"),
            (
                "GET",
                "/api/v1/namespaces/a/pods/p/log?follow=1",
                json,
                "get  pods/log a p",
            ),
            ("GET", "/api/v1/namespaces", json, "list  namespaces - -"),
            ("GET", "/api/v1/namespaces/a", json, "get  namespaces a a"),
            (
                "PUT",
                "/api/v1/namespaces/a/finalize",
                json,
                "update  namespaces/finalize a a",
            ),
            (
                "POST",
                "/apis/apps/v1/namespaces/a/deployments",
                json,
                "create apps deployments a -",
            ),
            (
                "PATCH",
                "/apis/apps/v1/namespaces/a/deployments/d?fieldManager=x",
                "application/apply-patch+yaml",
                "apply apps deployments a d",
            ),
            (
                "PATCH",
                "/apis/apps/v1/namespaces/a/deployments/d/scale",
                "application/merge-patch+json",
                "patch apps deployments/scale a d",
            ),
            (
                "DELETE",
                "/apis/kafka.strimzi.io/v1/namespaces/a/kafkas/k",
                json,
                "delete kafka.strimzi.io kafkas a k",
            ),
            (
                "DELETE",
                "/apis/kafka.strimzi.io/v1/namespaces/a/kafkas",
                json,
                "deletecollection kafka.strimzi.io kafkas a -",
            ),
            (
                "GET",
                "/apis/storage.k8s.io/v1/storageclasses/gp3",
                json,
                "get storage.k8s.io storageclasses - gp3",
            ),
            ("GET", "/apis/apps/v1", json, "get  /apis/apps/v1 - -"),
            ("GET", "/api", json, "get  /api - -"),
            ("GET", "/version", json, "get  /version - -"),
        ] {
            let found = subject(method, uri, kind);
            let dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
            let text = format!(
                "{} {} {} {} {}",
                found.verb,
                found.group,
                found.resource,
                dash(found.namespace),
                dash(found.name)
            );
            assert_eq!(text, expected, "{method} {uri}");
        }
    }
}
