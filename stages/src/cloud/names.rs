//! Names of resources, decided before they are made: the same environment and step give the same name, on every machine.

use pipectl_config::Loaded;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{context::Environment, step::StepId};

/// The longest name of an IAM role (IAM quotas).
const ROLE_NAME: usize = 64;
/// The longest name of a node group (EKS API, `CreateNodegroup`).
const NODE_GROUP_NAME: usize = 63;

/// The EKS cluster's name: the pipeline's, else `pipectl-ENVIRONMENT`.
#[must_use]
pub fn cluster(loaded: &Loaded, environment: &Environment) -> String {
    let given = loaded.pipeline.spec.cluster.name.clone();
    given.unwrap_or_else(|| default_cluster(environment))
}

/// The EKS cluster's name where no pipeline says otherwise.
#[must_use]
pub fn default_cluster(environment: &Environment) -> String {
    format!("pipectl-{}", environment.name)
}

/// The IAM path of everything of an environment: roles are listed without tags, so the path is what finds them.
#[must_use]
pub fn iam_path(region: &str, environment: &Environment) -> String {
    format!("/pipectl/{region}/{}/", environment.name)
}

/// The name of a role. Names are unique in the account whatever their path, so region and environment are in it.
#[must_use]
pub fn role(region: &str, environment: &Environment, purpose: &str) -> String {
    fitted(
        &format!("pipectl-{}-{region}-{purpose}", environment.name),
        ROLE_NAME,
    )
}

/// The alias of the environment's key.
#[must_use]
pub fn key_alias(environment: &Environment) -> String {
    format!("alias/pipectl/{}", environment.name)
}

/// The log group that EKS writes a cluster's control-plane logs to (EKS user guide, control plane logging).
#[must_use]
pub fn log_group(cluster: &str) -> String {
    format!("/aws/eks/{cluster}/cluster")
}

/// The EKS name of a node group of this make. What it is made of cannot change, so another make is another name, and so
/// is another try after one that came to nothing.
#[must_use]
pub fn node_group(group: &str, make_digest: &str, attempt: u32) -> String {
    let mut tail = format!("-{}", &make_digest[..make_digest.len().min(8)]);
    if attempt > 1 {
        tail.push_str(&format!("-{attempt}"));
    }
    let room = NODE_GROUP_NAME.saturating_sub(tail.len());
    let cut: String = group.chars().take(room).collect();
    cut + &tail
}

/// The client token of what is made by `request`, which has none yet: AWS answers a repeated call with the same token with
/// what the first one made. Another attempt is another token, since a token answers with a failed resource as well as with a
/// good one. So is another request, which AWS would refuse under the same token: the pipeline changed, or what the thing
/// stands on was made anew after a removal that was cut off.
#[must_use]
pub fn token<T: Serialize>(
    environment: &Environment,
    step: &StepId,
    attempt: u32,
    request: &T,
) -> String {
    let request = hex(&json!(request).to_string());
    let digest = hex(&format!("{}/{step}/{attempt}/{request}", environment.uid));
    format!("pipectl-{}", &digest[..40])
}

/// The token of a change: the same change of the same thing is one call, whoever repeats it in this run.
#[must_use]
pub fn change_token(environment: &Environment, step: &StepId, run: &str, change: &str) -> String {
    let digest = hex(&format!("{}/{step}/{run}/{change}", environment.uid));
    format!("pipectl-{}", &digest[..40])
}

/// SHA-256 of a text, hexadecimal.
#[must_use]
pub fn hex(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A name that fits: cut, and told apart from others with the same beginning by a digest.
fn fitted(name: &str, longest: usize) -> String {
    if name.len() <= longest {
        return name.to_owned();
    }
    let digest = hex(name);
    let cut: String = name.chars().take(longest - 9).collect();
    format!("{cut}-{}", &digest[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Environment {
        Environment {
            name: name.to_owned(),
            uid: "11111111-1111-4111-8111-111111111111".to_owned(),
        }
    }

    #[test]
    fn role_names_fit_and_stay_apart() {
        let long = environment("a-very-long-environment-name-of-forty-ch");
        let names: Vec<String> = ["cluster", "node", "ebs-csi-driver"]
            .iter()
            .map(|purpose| role("ap-southeast-2", &long, purpose))
            .collect();
        assert!(names.iter().all(|name| name.len() <= 64), "{names:?}");
        assert!(names[0] != names[1] && names[1] != names[2]);
        assert_eq!(
            role("us-west-2", &environment("demo"), "node"),
            "pipectl-demo-us-west-2-node"
        );
    }

    #[test]
    fn another_attempt_is_another_token_and_another_group() {
        let (demo, step) = (environment("demo"), StepId::new("network", "nat-gateway-1"));
        let of = |attempt: u32, subnet: &str| token(&demo, &step, attempt, &subnet);
        assert_eq!(of(1, "subnet-a"), of(1, "subnet-a"));
        assert_ne!(of(1, "subnet-a"), of(2, "subnet-a"));
        assert_ne!(of(1, "subnet-a"), of(1, "subnet-b"));
        assert!(of(1, "subnet-a").len() <= 64, "EC2 takes 64 characters");
        let digest = hex("make");
        assert_ne!(
            node_group("default", &digest, 1),
            node_group("default", &digest, 2)
        );
        assert!(node_group(&"g".repeat(63), &digest, 12).len() <= 63);
    }
}
