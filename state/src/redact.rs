//! What of a record may be redacted, and what not.
//!
//! Where a record is needed to find things again (a step's key, an identity, a pin), a replacement would break recovery,
//! so there the record is refused instead.

use pipectl_redact::Redactor;

use crate::error::StateError;
use crate::record::{Body, Invoker, Leftover, Pins, RecordedError};
use crate::state::EnvironmentState;

/// What the journal asks of a redactor.
pub(crate) trait Guard {
    /// A record's body without secrets.
    fn guard(&self, body: Body) -> Result<Body, StateError>;
}

impl Guard for Redactor {
    fn guard(&self, mut body: Body) -> Result<Body, StateError> {
        if self.is_empty() {
            return Ok(body);
        }
        let record = body.name();
        let refuse = |found: Option<String>, field: &'static str| match found {
            Some(secret) => Err(StateError::SecretInRecord {
                secret,
                field,
                record,
            }),
            None => Ok(()),
        };
        refuse(body.step().and_then(|step| self.find(step)), "step")?;
        match &mut body {
            Body::EnvironmentCreated { name, pins, .. } => {
                refuse(self.find(name), "name")?;
                refuse(find_in_pins(self, pins), "pins")?;
            }
            Body::EnvironmentPinned { pins } => refuse(find_in_pins(self, pins), "pins")?,
            Body::RunStarted {
                pipeline,
                invoked_by,
                pipeline_digest,
                ..
            } => {
                refuse(self.find(pipeline_digest), "pipeline_digest")?;
                if let Some(pipeline) = pipeline {
                    self.in_value(pipeline);
                }
                in_invoker(self, invoked_by);
            }
            Body::StepIntent { identity, .. } => refuse(self.find_in_value(identity), "identity")?,
            Body::StepApplied {
                outputs, digest, ..
            } => {
                refuse(self.find(digest), "digest")?;
                self.in_value(outputs);
            }
            Body::StepReady {
                summary, outputs, ..
            } => {
                self.in_text(summary);
                if let Some(outputs) = outputs {
                    self.in_value(outputs);
                }
            }
            Body::StepFailed { error, .. } => in_error(self, error),
            Body::StepWithheld { because, .. } => self.in_text(because),
            Body::Removed { evidence, .. } | Body::Verification { evidence, .. } => {
                self.in_value(evidence)
            }
            Body::InventoryProved { left, .. } => {
                left.iter_mut().for_each(|left| in_leftover(self, left))
            }
            Body::Snapshot { state } => in_state(self, state),
            Body::RemovalStarted { .. }
            | Body::RunFinished { .. }
            | Body::EnvironmentRemoved {} => {}
        }
        Ok(body)
    }
}

fn find_in_pins(redactor: &Redactor, pins: &Pins) -> Option<String> {
    pins.iter()
        .find_map(|(name, value)| redactor.find(name).or_else(|| redactor.find(value)))
}

fn in_invoker(redactor: &Redactor, invoker: &mut Invoker) {
    redactor.in_text(&mut invoker.command);
    if let Some(url) = &mut invoker.job_url {
        redactor.in_text(url);
    }
}

fn in_error(redactor: &Redactor, error: &mut RecordedError) {
    redactor.in_text(&mut error.doing);
    redactor.in_text(&mut error.resource);
    redactor.in_text(&mut error.cause);
    error
        .hint
        .iter_mut()
        .chain(&mut error.left_behind)
        .chain(&mut error.evidence)
        .for_each(|text| redactor.in_text(text));
}

fn in_leftover(redactor: &Redactor, left: &mut Leftover) {
    redactor.in_text(&mut left.resource);
    redactor.in_text(&mut left.held_by);
}

/// A secret may have been registered only after a record that has it was written.
fn in_state(redactor: &Redactor, state: &mut EnvironmentState) {
    for step in state.steps.values_mut() {
        redactor.in_value(&mut step.outputs);
        step.summary
            .iter_mut()
            .chain(&mut step.withheld_because)
            .for_each(|text| redactor.in_text(text));
        if let Some(failure) = &mut step.failure {
            in_error(redactor, &mut failure.error);
        }
    }
    state
        .runs
        .iter_mut()
        .for_each(|run| in_invoker(redactor, &mut run.invoked_by));
    state
        .pipeline
        .iter_mut()
        .for_each(|pipeline| redactor.in_value(pipeline));
    if let Some(verification) = &mut state.verification {
        redactor.in_value(&mut verification.evidence);
    }
    if let Some(inventory) = &mut state.inventory {
        inventory
            .left
            .iter_mut()
            .for_each(|left| in_leftover(redactor, left));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::record::{Change, Phase};

    fn redactor() -> Redactor {
        let redactor = Redactor::new();
        redactor.register("db", "s3cr3t-value\n");
        redactor
    }

    #[test]
    fn texts_are_replaced_and_identities_refused() {
        let redactor = redactor();
        let failed = Body::StepFailed {
            step: "a/b".into(),
            phase: Phase::Apply,
            error: RecordedError {
                code: "X".into(),
                doing: "apply".into(),
                resource: "r".into(),
                cause: "refused s3cr3t-value".into(),
                hint: Some("s3cr3t-value".into()),
                retryable: false,
                left_behind: vec!["s3cr3t-value".into()],
                evidence: vec!["s3cr3t-value".into()],
            },
        };
        let guarded = redactor.guard(failed).expect("texts can be replaced");
        assert!(!format!("{guarded:?}").contains("s3cr3t"), "{guarded:?}");
        let applied = Body::StepApplied {
            step: "a/b".into(),
            change: Change::Created,
            outputs: json!({"url": "http://u:s3cr3t-value@h"}),
            digest: "d".into(),
            millis: 1,
        };
        let guarded = redactor.guard(applied).expect("outputs can be replaced");
        assert!(!format!("{guarded:?}").contains("s3cr3t"), "{guarded:?}");
        let intent = Body::StepIntent {
            step: "a/b".into(),
            attempt: 1,
            identity: json!({"name": "x-s3cr3t-value"}),
        };
        let refused = redactor
            .guard(intent)
            .expect_err("an identity cannot be replaced");
        assert_eq!(refused.code(), "STA012");
        assert!(!refused.to_string().contains("s3cr3t"), "{refused}");
    }
}
