//! Faults on purpose: which requests suffer, how often, and what happens to them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::classify::Subject;

/// A rule: requests that fit every condition given suffer its effect.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// Kubernetes verb.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verb: Option<String>,
    /// API group; the core group is the empty text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Plural resource name or `resource/subresource`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Namespace of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the object. A create carries it in its body only, so this never fits one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Beginning of the client's user agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// So many fitting requests pass unharmed first.
    #[serde(default)]
    pub skip: u32,
    /// So many suffer after that; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// What happens.
    #[serde(default)]
    pub effect: FaultEffect,
    /// How many have suffered so far; reported, ignored when a rule is set.
    #[serde(default)]
    pub hits: u32,
}

/// When a fault strikes.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum FaultMoment {
    /// The API server never sees the request.
    #[default]
    Before,
    /// The API server has done what it was asked; the client doesn't get to know.
    After,
}

/// What happens to a request.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum FaultEffect {
    /// It takes longer; nothing else.
    Delay {
        /// By how much.
        milliseconds: u64,
    },
    /// It is answered with an error.
    Status {
        /// HTTP status, e.g. 429, 500, 503, 504.
        code: u16,
        /// Before or after the API server did it.
        #[serde(default)]
        when: FaultMoment,
        /// Seconds in a `Retry-After` header.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u32>,
    },
    /// The connection is reset.
    Reset {
        /// Before or after the API server did it.
        #[serde(default)]
        when: FaultMoment,
    },
}

impl Default for FaultEffect {
    fn default() -> Self {
        Self::Delay { milliseconds: 0 }
    }
}

/// Longest delay: a fault that never ends would be a hang, and every wait is bounded.
const LONGEST_DELAY: Duration = Duration::from_secs(600);

impl FaultRule {
    fn fits(&self, agent: &str, subject: &Subject) -> bool {
        let same = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|w| Some(w) == found)
        };
        same(&self.verb, Some(&subject.verb))
            && same(&self.group, Some(&subject.group))
            && same(&self.resource, Some(&subject.resource))
            && same(&self.namespace, subject.namespace.as_deref())
            && same(&self.name, subject.name.as_deref())
            && self
                .user_agent
                .as_deref()
                .is_none_or(|wanted| agent.starts_with(wanted))
    }
}

/// What the rules together do to one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) delay: Duration,
    pub(crate) effect: Option<FaultEffect>,
}

#[derive(Debug, Default)]
struct Rule {
    rule: FaultRule,
    seen: u32,
}

/// The fault plan of one proxy.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Mutex<Vec<Rule>>,
}

impl Faults {
    pub(crate) fn set(&self, rules: Vec<FaultRule>) {
        let rules = rules
            .into_iter()
            .map(|rule| Rule {
                rule: FaultRule { hits: 0, ..rule },
                seen: 0,
            })
            .collect();
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    pub(crate) fn list(&self) -> Vec<FaultRule> {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.iter().map(|rule| rule.rule.clone()).collect()
    }

    /// What happens to this request. Delays of all rules that fit add up; the first other effect counts.
    pub(crate) fn judge(&self, agent: &str, subject: &Subject) -> Verdict {
        let mut verdict = Verdict::default();
        for Rule { rule, seen } in self
            .rules
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter_mut()
        {
            let settled =
                verdict.effect.is_some() && !matches!(rule.effect, FaultEffect::Delay { .. });
            if settled || !rule.fits(agent, subject) {
                continue;
            }
            *seen = seen.saturating_add(1);
            if *seen <= rule.skip || rule.count.is_some_and(|count| rule.hits >= count) {
                continue;
            }
            rule.hits += 1;
            match &rule.effect {
                FaultEffect::Delay { milliseconds } => {
                    verdict.delay += Duration::from_millis(*milliseconds)
                }
                effect => verdict.effect = Some(effect.clone()),
            }
        }
        verdict.delay = verdict.delay.min(LONGEST_DELAY);
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(resource: &str) -> Subject {
        Subject {
            verb: "get".to_owned(),
            resource: resource.to_owned(),
            ..Subject::default()
        }
    }

    #[test]
    fn a_rule_strikes_after_its_skips_and_as_often_as_it_counts() {
        let faults = Faults::default();
        let effect = FaultEffect::Status {
            code: 503,
            when: FaultMoment::Before,
            retry_after: None,
        };
        let rule = FaultRule {
            skip: 1,
            count: Some(2),
            effect,
            resource: Some("pods".to_owned()),
            ..FaultRule::default()
        };
        faults.set(vec![rule]);
        let struck: Vec<bool> = (0..5)
            .map(|_| faults.judge("x", &get("pods")).effect.is_some())
            .collect();
        assert_eq!(struck, [false, true, true, false, false]);
        assert_eq!(faults.judge("x", &get("nodes")), Verdict::default());
        assert_eq!(faults.list()[0].hits, 2);
    }

    #[test]
    fn delays_add_up_and_the_first_error_counts() {
        let faults = Faults::default();
        let delay = || FaultRule {
            effect: FaultEffect::Delay { milliseconds: 20 },
            ..FaultRule::default()
        };
        let reset = FaultRule {
            effect: FaultEffect::Reset {
                when: FaultMoment::After,
            },
            ..FaultRule::default()
        };
        let status = FaultEffect::Status {
            code: 500,
            when: FaultMoment::Before,
            retry_after: None,
        };
        faults.set(vec![
            delay(),
            reset,
            FaultRule {
                effect: status,
                ..FaultRule::default()
            },
            delay(),
        ]);
        let verdict = faults.judge("x", &get("pods"));
        assert_eq!(verdict.delay, Duration::from_millis(40));
        assert_eq!(
            verdict.effect,
            Some(FaultEffect::Reset {
                when: FaultMoment::After
            })
        );
        assert_eq!(faults.list()[2].hits, 0, "the second error has not struck");
    }

    #[test]
    fn agents_are_told_apart_by_their_beginning() {
        let faults = Faults::default();
        let rule = FaultRule {
            user_agent: Some("pipectl/".to_owned()),
            effect: FaultEffect::Reset {
                when: FaultMoment::Before,
            },
            ..FaultRule::default()
        };
        faults.set(vec![rule]);
        assert!(faults.judge("helm/3", &get("pods")).effect.is_none());
        assert!(faults.judge("pipectl/0.1.0", &get("pods")).effect.is_some());
    }

    #[test]
    fn a_rule_reads_as_written() {
        let text = r#"[{"verb":"apply","resource":"kafkas","count":1,"effect":{"type":"status","code":500,"when":"after"}}]"#;
        let rules: Vec<FaultRule> = serde_json::from_str(text).unwrap();
        assert_eq!(
            rules[0].effect,
            FaultEffect::Status {
                code: 500,
                when: FaultMoment::After,
                retry_after: None
            }
        );
        assert!(
            serde_json::from_str::<FaultRule>(r#"{"verbs":"apply"}"#).is_err(),
            "misspelt conditions would hit everything"
        );
    }
}
