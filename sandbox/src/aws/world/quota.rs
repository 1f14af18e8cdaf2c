//! Quotas: the defaults of AWS, and what an account has been granted.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::scene::Scene;

/// One quota, as Service Quotas lists it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Quota {
    /// Service code, e.g. `vpc`.
    pub(crate) service: String,
    /// Quota code, e.g. `L-F678F1CE`.
    pub(crate) code: String,
    /// Its name.
    pub(crate) name: String,
    /// The default of a new account.
    pub(crate) default: f64,
    /// What the sandbox's accounts have been granted, where that is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) granted: Option<f64>,
    /// Whether more can be asked for.
    pub(crate) adjustable: bool,
    /// Where the figure is from.
    pub(crate) source: String,
}

/// Every quota that is simulated, by code.
pub(crate) static QUOTAS: LazyLock<Vec<Quota>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../data/quotas.json")).unwrap_or_default());

impl Quota {
    /// What an account has as long as it asks for nothing else.
    pub(crate) fn value(&self) -> f64 {
        self.granted.unwrap_or(self.default)
    }
}

impl Scene<'_> {
    /// How much of something this account can have here.
    pub(crate) fn quota(&self, code: &str) -> usize {
        let granted = self.region.quotas.granted.get(code).copied();
        let default = || {
            QUOTAS
                .iter()
                .find(|quota| quota.code == code)
                .map(Quota::value)
        };
        let value = granted.or_else(default).unwrap_or(f64::MAX);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "quotas are small whole numbers; the cast saturates"
        )]
        let whole = value.max(0.0) as usize;
        whole
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_quota_has_one_line_with_its_source() {
        let table: Vec<Quota> = serde_json::from_str(include_str!("../data/quotas.json")).unwrap();
        let codes: BTreeSet<&str> = table.iter().map(|quota| quota.code.as_str()).collect();
        assert_eq!(codes.len(), table.len());
        assert!(table.iter().all(|quota| !quota.source.is_empty()));
    }
}
