//! Admission reviews: which endpoint does what, and how its answer looks.

use kube::core::DynamicObject;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::super::application::{Application, resource};
use super::super::labels::APP_NAME;
use super::super::options::Namespaces;
use super::{defaults, mutate, validate};

/// What an endpoint decides.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// Admitted as it is.
    Allowed,
    /// Admitted with these parts replaced (JSON pointer, value).
    Changed(Vec<(&'static str, Value)>),
    /// Refused with an HTTP code and the reason.
    Refused(u16, String),
}

/// Answers reviews.
pub(super) struct Reviewer {
    client: Client,
    namespaces: Namespaces,
}

impl Reviewer {
    pub(super) fn new(client: Client, namespaces: Namespaces) -> Self {
        Self { client, namespaces }
    }

    /// The answer to a review sent to this path; none where the path is no endpoint or the body no review.
    pub(super) async fn review(&self, path: &str, body: &[u8]) -> Option<Value> {
        let review: Value = serde_json::from_slice(body).ok()?;
        let request = review.get("request")?;
        let object = &request["object"];
        let verdict = match path {
            "/mutate--v1-pod" => self.mutate_pod(request).await,
            "/mutate-sparkoperator-k8s-io-v1beta2-sparkapplication" => {
                changed(object, defaults::application(object.clone()), &["/spec"])
            }
            "/validate-sparkoperator-k8s-io-v1beta2-sparkapplication" => {
                match validate::application(object, &request["oldObject"]) {
                    Ok(()) => Verdict::Allowed,
                    Err(reason) => Verdict::Refused(403, reason),
                }
            }
            // Scheduled applications and Spark Connect servers are stored and not run, so nothing is defaulted either.
            "/mutate-sparkoperator-k8s-io-v1beta2-scheduledsparkapplication"
            | "/validate-sparkoperator-k8s-io-v1beta2-scheduledsparkapplication"
            | "/mutate-sparkoperator-k8s-io-v1alpha1-sparkconnect"
            | "/validate-sparkoperator-k8s-io-v1alpha1-sparkconnect" => Verdict::Allowed,
            _ => return None,
        };
        Some(answer(&request["uid"], verdict))
    }

    async fn mutate_pod(&self, request: &Value) -> Verdict {
        let object = &request["object"];
        let namespace = request["namespace"].as_str().unwrap_or_default();
        let app = object["metadata"]["labels"][APP_NAME]
            .as_str()
            .unwrap_or_default();
        if !self.namespaces.contains(namespace) || app.is_empty() {
            return Verdict::Allowed;
        }
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &resource());
        let found = match api.get(app).await {
            Ok(found) => {
                Application::read(found).ok_or_else(|| "its spec cannot be read".to_owned())
            }
            Err(error) => Err(error.to_string()),
        };
        let application = match found {
            Ok(application) => application,
            Err(error) => {
                return Verdict::Refused(
                    500,
                    format!("failed to get SparkApplication {namespace}/{app}: {error}"),
                );
            }
        };
        match mutate::pod(object.clone(), &application) {
            Ok(pod) => changed(object, pod, &["/metadata", "/spec"]),
            Err(reason) => Verdict::Refused(500, format!("failed to mutate Spark pod: {reason}")),
        }
    }
}

/// The parts that differ.
fn changed(before: &Value, after: Value, parts: &[&'static str]) -> Verdict {
    let differing: Vec<(&'static str, Value)> = parts
        .iter()
        .filter(|part| before.pointer(part) != after.pointer(part))
        .filter_map(|part| Some((*part, after.pointer(part)?.clone())))
        .collect();
    if differing.is_empty() {
        Verdict::Allowed
    } else {
        Verdict::Changed(differing)
    }
}

fn answer(uid: &Value, verdict: Verdict) -> Value {
    let mut response = json!({"uid": uid, "allowed": true});
    match verdict {
        Verdict::Allowed => {}
        Verdict::Changed(parts) => {
            let patch: Vec<Value> = parts
                .into_iter()
                .map(|(path, value)| json!({"op": "replace", "path": path, "value": value}))
                .collect();
            response["patchType"] = json!("JSONPatch");
            response["patch"] = json!(k8s_openapi::ByteString(
                Value::Array(patch).to_string().into_bytes()
            ));
        }
        Verdict::Refused(code, message) => {
            response["allowed"] = json!(false);
            let reason = if code == 403 {
                "Forbidden"
            } else {
                "InternalError"
            };
            response["status"] = json!({"code": code, "message": message, "reason": reason});
        }
    }
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_patched() {
        let before = json!({"metadata": {"name": "a"}, "spec": {"x": 1}});
        let after = json!({"metadata": {"name": "a"}, "spec": {"x": 2}});
        assert_eq!(
            changed(&before, after, &["/metadata", "/spec"]),
            Verdict::Changed(vec![("/spec", json!({"x": 2}))])
        );
        assert_eq!(
            changed(&before, before.clone(), &["/metadata", "/spec"]),
            Verdict::Allowed
        );
    }

    #[test]
    fn a_refusal_carries_its_reason() {
        let answer = answer(&json!("u-1"), Verdict::Refused(403, "no".into()));
        assert_eq!(answer["response"]["uid"], "u-1");
        assert_eq!(answer["response"]["allowed"], false);
        assert_eq!(answer["response"]["status"]["message"], "no");
    }
}
