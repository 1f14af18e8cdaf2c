//! Which of several matches is the one.
//!
//! VPC, subnet, internet gateway, security group and address creation take no client token, and reads by tag lag behind:
//! a create that was repeated after a kill may have made a second one. Several resources with this environment's UID and
//! the same step are our own repeated create: the recorded or oldest is kept, unreferenced others are removed.

use std::collections::BTreeSet;

/// One resource that carries this environment's UID and the step's tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: String,
    /// When it was asked for, as its tag says; sorts as text.
    pub made: String,
    /// Whether something of ours uses it or stands in it.
    pub used: bool,
}

/// The verdict over several candidates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// There is none.
    None,
    /// This one; the others named are ours, unused, and to be removed.
    One {
        /// The one to keep.
        keep: String,
        /// Those to remove.
        extras: Vec<String>,
    },
    /// More than one is in use, and nothing recorded says which is the right one.
    Ambiguous(Vec<String>),
}

/// Chooses. `recorded` is the id that an earlier run recorded.
#[must_use]
pub fn choose(recorded: Option<&str>, candidates: &[Candidate]) -> Choice {
    let by_record = candidates
        .iter()
        .find(|candidate| Some(candidate.id.as_str()) == recorded);
    let used: Vec<&Candidate> = candidates.iter().filter(|one| one.used).collect();
    let keep = match (by_record, used.as_slice()) {
        (Some(recorded), _) => recorded,
        (None, [only]) => only,
        (None, []) => {
            let oldest = candidates.iter().min_by_key(|one| (&one.made, &one.id));
            match oldest {
                Some(oldest) => oldest,
                None => return Choice::None,
            }
        }
        (None, several) => {
            let ids: BTreeSet<String> = several.iter().map(|one| one.id.clone()).collect();
            return Choice::Ambiguous(ids.into_iter().collect());
        }
    };
    let extras: BTreeSet<String> = candidates
        .iter()
        .filter(|one| one.id != keep.id && !one.used)
        .map(|one| one.id.clone())
        .collect();
    Choice::One {
        keep: keep.id.clone(),
        extras: extras.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(id: &str, made: &str, used: bool) -> Candidate {
        Candidate {
            id: id.to_owned(),
            made: made.to_owned(),
            used,
        }
    }

    fn one(keep: &str, extras: &[&str]) -> Choice {
        Choice::One {
            keep: keep.to_owned(),
            extras: extras.iter().map(|id| (*id).to_owned()).collect(),
        }
    }

    #[test]
    fn the_recorded_one_is_kept_and_unused_others_go() {
        let two = [candidate("a", "1", false), candidate("b", "2", true)];
        assert_eq!(choose(Some("b"), &two), one("b", &["a"]));
        assert_eq!(choose(Some("a"), &two), one("a", &[]), "what is used stays");
    }

    #[test]
    fn without_a_record_the_used_one_is_kept_else_the_oldest() {
        let two = [candidate("a", "2", false), candidate("b", "1", false)];
        assert_eq!(choose(None, &two), one("b", &["a"]));
        assert_eq!(choose(Some("gone"), &two), one("b", &["a"]));
        let used = [candidate("a", "2", true), candidate("b", "1", false)];
        assert_eq!(choose(None, &used), one("a", &["b"]));
        assert_eq!(choose(None, &[]), Choice::None);
    }

    #[test]
    fn two_in_use_are_never_guessed_between() {
        let two = [candidate("b", "1", true), candidate("a", "2", true)];
        assert_eq!(
            choose(None, &two),
            Choice::Ambiguous(vec!["a".to_owned(), "b".to_owned()])
        );
    }
}
