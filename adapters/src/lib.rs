//! The only place that names an SDK's types, beside the crate for AWS: Kubernetes and Helm.
//!
//! Each folder implements ports of `pipectl-stages`:
//!
//! | folder | port | speaks to |
//! | --- | --- | --- |
//! | [`kubernetes`] | `ObjectApi` | an API server, through a kubeconfig of pipectl's own |
//! | [`helm`] | `ReleaseApi` | the Helm program as a guarded child, and release records through [`kubernetes`] |
//! | [`secrets`] | `SecretApi` | environment variables, files, and what implements `SecretsManagerApi` |
//! | [`entrance`] | `EntranceApi` | the two above, for a cluster that comes to be while pipectl runs |

mod deadline;
pub mod entrance;
pub mod helm;
pub mod kubernetes;
pub mod secrets;

pub use deadline::EffectDeadline;
pub use pipectl_redact::Redactor;

/// One row of a code table: the stable code, what it means, what a person can do. For `pipectl explain`.
pub type CodeRow = (&'static str, &'static str, &'static str);

/// Every error code of this crate.
#[must_use]
pub fn codes() -> Vec<CodeRow> {
    [kubernetes::CODES, helm::CODES, secrets::CODES].concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_unique_and_say_something() {
        let rows = super::codes();
        let unique: BTreeSet<_> = rows.iter().map(|row| row.0).collect();
        assert_eq!(unique.len(), rows.len());
        assert!(
            rows.iter()
                .all(|row| row.0.len() == 6 && row.1.len() > 10 && row.2.len() > 10)
        );
    }
}
