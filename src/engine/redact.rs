//! Secrets are taken out of everything that a step says, at the one door through which it comes in: what the dispatcher
//! records, emits and reports then holds none.

use pipectl_stages::{Fate, Finding, StepError};
use pipectl_state::Redactor;

use super::executor::{Acted, Broken, Message};

/// Replaces secrets in the message's words. Identities are left as they are: the journal refuses a secret in them, since
/// replacing it would break finding the thing again. Outputs go to other steps and are redacted where they are written.
pub(super) fn scrub(redactor: &Redactor, message: &mut Message) {
    let word = |text: &mut String| redactor.in_text(text);
    match message {
        Message::Intent { .. } | Message::Asked(_) => {}
        Message::Progress { progress, .. } => word(&mut progress.message),
        Message::Finding { finding, .. } => in_finding(redactor, finding),
        Message::Waits { waiting_for, .. } => word(waiting_for),
        Message::Retrying { error, .. } => in_error(redactor, error),
        Message::Acted { end, .. } => match end {
            Ok(Acted::Ensured(outcome)) => word(&mut outcome.summary),
            Ok(Acted::Passed | Acted::Asked(_)) => {}
            Err(broken) => in_broken(redactor, broken),
        },
        Message::Waited { end, .. } => match end {
            Ok(summary) => word(summary),
            Err(broken) => in_broken(redactor, broken),
        },
    }
}

fn in_broken(redactor: &Redactor, broken: &mut Broken) {
    match broken {
        Broken::Failed { error, .. } | Broken::LeaseLost(error) => in_error(redactor, error),
        Broken::Cancelled { .. } => {}
    }
}

fn in_error(redactor: &Redactor, error: &mut StepError) {
    let texts = [&mut error.resource, &mut error.cause, &mut error.doing];
    let lists = error.left_behind.iter_mut().chain(&mut error.evidence);
    for text in texts.into_iter().chain(&mut error.hint).chain(lists) {
        redactor.in_text(text);
    }
}

fn in_finding(redactor: &Redactor, finding: &mut Finding) {
    let word = |text: &mut String| redactor.in_text(text);
    match finding {
        Finding::Check(check) => {
            let texts = [&mut check.name, &mut check.expected, &mut check.seen];
            texts.into_iter().chain(&mut check.command).for_each(word);
        }
        Finding::Absence(report) => {
            for item in &mut report.remaining {
                word(&mut item.resource);
                match &mut item.fate {
                    Fate::Scheduled { on } => word(on),
                    Fate::Kept { why } | Fate::NotChecked { why } => word(why),
                    Fate::StillThere { held_by, safe_next } => {
                        held_by.iter_mut().chain(safe_next).for_each(word);
                    }
                }
            }
        }
    }
}
