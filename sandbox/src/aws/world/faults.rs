//! Faults on purpose: which calls suffer, how often, and what happens to them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A rule: what fits every condition given suffers its effect.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct AwsFaultRule {
    /// Signing name of the service, e.g. `ec2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Action, e.g. `CreateNatGateway`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Zone, for [`AwsFaultEffect::Capacity`] and [`AwsFaultEffect::FailToJoin`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Instance type, for the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// So many that fit pass unharmed first.
    pub skip: u32,
    /// So many suffer after that; all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Of those that would suffer, so many in a hundred do; all when absent. Which ones, `seed` decides: the first, second, ... that
    /// fits fares the same in every run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// For `percent`.
    pub seed: u64,
    /// What happens.
    pub effect: AwsFaultEffect,
    /// How many have suffered so far; reported, ignored when a rule is set.
    pub hits: u32,
    /// How many fitted so far; reported, ignored when a rule is set.
    pub seen: u32,
}

/// When a planned error strikes.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum AwsFaultMoment {
    /// Nothing was done.
    #[default]
    Before,
    /// It was done; the client doesn't get to know.
    After,
}

/// What happens.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
pub enum AwsFaultEffect {
    /// The call takes longer; nothing else. Milliseconds of the real clock.
    Delay {
        /// By how much.
        milliseconds: u64,
    },
    /// The call is refused as too frequent, in its service's words.
    Throttle,
    /// The call fails inside AWS, HTTP 500 or 503.
    Internal {
        /// HTTP status: 500 or 503.
        status: u16,
        /// Before or after its effect.
        #[serde(default)]
        when: AwsFaultMoment,
    },
    /// The call is refused with an error of the rule's choice, e.g. `UnauthorizedOperation`.
    Error {
        /// The code.
        code: String,
        /// The message.
        message: String,
        /// HTTP status, 400 when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
    },
    /// The connection is reset.
    Reset {
        /// Before or after the call's effect.
        #[serde(default)]
        when: AwsFaultMoment,
    },
    /// A read answers from what was known so many seconds of AWS's time ago.
    Stale {
        /// Seconds.
        seconds: u64,
    },
    /// The caller's credentials have expired.
    ExpireCredentials,
    /// No instance of that type in that zone: calls and node groups get `InsufficientInstanceCapacity`.
    Capacity,
    /// An instance starts and never becomes a node of its cluster.
    FailToJoin,
}

impl Default for AwsFaultEffect {
    fn default() -> Self {
        Self::Delay { milliseconds: 0 }
    }
}

/// Longest delay: every wait is bounded.
const LONGEST_DELAY: Duration = Duration::from_secs(600);

/// What the rules together do to one call.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) delay: Duration,
    pub(crate) stale: Duration,
    /// The first effect that is neither a delay nor a stale read.
    pub(crate) effect: Option<AwsFaultEffect>,
}

/// The fault plan.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Vec<AwsFaultRule>);

fn same(wanted: Option<&str>, found: &str) -> bool {
    wanted.is_none_or(|wanted| wanted == found)
}

impl AwsFaultRule {
    fn strikes(&mut self) -> bool {
        self.seen = self.seen.saturating_add(1);
        let now = self.seen > self.skip
            && self.count.is_none_or(|count| self.hits < count)
            && self.percent.is_none_or(|percent| self.draw() < percent);
        self.hits += u32::from(now);
        now
    }

    /// A number from 0 to 99 that depends on the seed and on how many fitted so far.
    fn draw(&self) -> u8 {
        let text = format!("{}/{}", self.seed, self.seen);
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        let bytes = [digest.as_ref()[0], digest.as_ref()[1]];
        u8::try_from(u16::from_be_bytes(bytes) % 100).unwrap_or(0)
    }

    fn is_of_instances(&self) -> bool {
        matches!(
            self.effect,
            AwsFaultEffect::Capacity | AwsFaultEffect::FailToJoin
        )
    }
}

impl Faults {
    pub(crate) fn set(&mut self, rules: Vec<AwsFaultRule>) {
        let fresh = |rule| AwsFaultRule {
            hits: 0,
            seen: 0,
            ..rule
        };
        self.0 = rules.into_iter().map(fresh).collect();
    }

    pub(crate) fn list(&self) -> &[AwsFaultRule] {
        &self.0
    }

    /// What happens to this call. Delays add up, the longest staleness and the first other effect count.
    pub(crate) fn judge(&mut self, service: &str, action: &str) -> Verdict {
        let mut verdict = Verdict::default();
        for rule in self.0.iter_mut().filter(|rule| !rule.is_of_instances()) {
            let adds = matches!(
                rule.effect,
                AwsFaultEffect::Delay { .. } | AwsFaultEffect::Stale { .. }
            );
            let fits =
                same(rule.service.as_deref(), service) && same(rule.action.as_deref(), action);
            if !fits || (!adds && verdict.effect.is_some()) || !rule.strikes() {
                continue;
            }
            match &rule.effect {
                AwsFaultEffect::Delay { milliseconds } => {
                    verdict.delay += Duration::from_millis(*milliseconds);
                }
                AwsFaultEffect::Stale { seconds } => {
                    verdict.stale = verdict.stale.max(Duration::from_secs(*seconds));
                }
                effect => verdict.effect = Some(effect.clone()),
            }
        }
        verdict.delay = verdict.delay.min(LONGEST_DELAY);
        verdict
    }

    /// Whether an instance of this type in this zone suffers `effect` ([`AwsFaultEffect::Capacity`] when it starts,
    /// [`AwsFaultEffect::FailToJoin`] when it would join).
    pub(crate) fn instance(
        &mut self,
        effect: &AwsFaultEffect,
        zone: &str,
        instance_type: &str,
    ) -> bool {
        let fitting = |rule: &&mut AwsFaultRule| {
            rule.effect == *effect
                && same(rule.zone.as_deref(), zone)
                && same(rule.instance_type.as_deref(), instance_type)
        };
        // Not `any`: every rule that fits counts what it sees.
        let mut struck = false;
        for rule in self.0.iter_mut().filter(fitting) {
            struck |= rule.strikes();
        }
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_strikes_after_its_skips_and_as_often_as_it_counts() {
        let mut faults = Faults::default();
        faults.set(vec![AwsFaultRule {
            service: Some("ec2".to_owned()),
            skip: 1,
            count: Some(2),
            effect: AwsFaultEffect::Throttle,
            ..AwsFaultRule::default()
        }]);
        let struck: Vec<bool> = (0..5)
            .map(|_| faults.judge("ec2", "CreateVpc").effect.is_some())
            .collect();
        assert_eq!(struck, [false, true, true, false, false]);
        assert_eq!(faults.judge("eks", "CreateCluster"), Verdict::default());
    }

    #[test]
    fn a_seed_fixes_who_suffers() {
        let struck = |seed| {
            let mut faults = Faults::default();
            faults.set(vec![AwsFaultRule {
                percent: Some(30),
                seed,
                effect: AwsFaultEffect::Throttle,
                ..AwsFaultRule::default()
            }]);
            let calls = (0..200).map(|_| faults.judge("ec2", "CreateVpc").effect.is_some());
            calls.collect::<Vec<bool>>()
        };
        assert_eq!(struck(1), struck(1));
        assert_ne!(struck(1), struck(2));
        let hits = struck(3).into_iter().filter(|hit| *hit).count();
        assert!((30..90).contains(&hits), "{hits}");
    }

    #[test]
    fn capacity_is_short_where_the_rule_says_only() {
        let mut faults = Faults::default();
        faults.set(vec![AwsFaultRule {
            zone: Some("us-west-2a".to_owned()),
            effect: AwsFaultEffect::Capacity,
            ..AwsFaultRule::default()
        }]);
        assert!(faults.instance(&AwsFaultEffect::Capacity, "us-west-2a", "m6i.large"));
        assert!(!faults.instance(&AwsFaultEffect::Capacity, "us-west-2b", "m6i.large"));
        assert!(!faults.instance(&AwsFaultEffect::FailToJoin, "us-west-2a", "m6i.large"));
        assert!(faults.judge("ec2", "RunInstances").effect.is_none());
    }

    #[test]
    fn a_rule_reads_as_written() {
        let text = r#"[{"service":"ec2","action":"CreateVpc","count":1,"effect":{"type":"internal","status":500,"when":"after"}}]"#;
        let rules: Vec<AwsFaultRule> = serde_json::from_str(text).unwrap();
        let effect = AwsFaultEffect::Internal {
            status: 500,
            when: AwsFaultMoment::After,
        };
        assert_eq!(rules[0].effect, effect);
        assert!(serde_json::from_str::<AwsFaultRule>(r#"{"actions":"X"}"#).is_err());
    }
}
