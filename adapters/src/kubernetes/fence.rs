//! The identity fence: no change goes to a cluster that is not the environment's own.

use std::sync::Mutex;

use pipectl_stages::{
    error::{PortError, PortErrorKind as Kind},
    ports::objects::ClusterIdentity,
};

use super::{codes, errors};

/// Where the fence stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Nobody has said yet which cluster it should be.
    Unpinned,
    /// It should be this one; whether it is must be looked at (again).
    Expected(ClusterIdentity),
    /// It is the one it should be, and the connection has not broken since.
    Verified(ClusterIdentity),
    /// It is another one.
    Foreign(PortError),
}

/// What must happen before a change.
pub(super) enum Check {
    /// Nothing.
    Pass,
    /// Compare the cluster's identity with this one.
    Compare(ClusterIdentity),
}

#[derive(Debug)]
pub(super) struct Fence(Mutex<State>);

impl Fence {
    pub fn new() -> Self {
        Self(Mutex::new(State::Unpinned))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn expect(&self, identity: ClusterIdentity) {
        *self.state() = State::Expected(identity);
    }

    pub fn check(&self) -> Result<Check, PortError> {
        match &*self.state() {
            State::Verified(_) => Ok(Check::Pass),
            State::Expected(identity) => Ok(Check::Compare(identity.clone())),
            State::Foreign(error) => Err(error.clone()),
            State::Unpinned => Err(errors::error(
                Kind::Other,
                codes::NOT_PINNED,
                "a change was asked for before the cluster's identity was pinned",
            )),
        }
    }

    /// Settles a comparison. The server's address and version may change without the cluster being another.
    pub fn settle(
        &self,
        expected: &ClusterIdentity,
        seen: &ClusterIdentity,
    ) -> Result<(), PortError> {
        let differs = if expected.kube_system_uid != seen.kube_system_uid {
            Some(format!(
                "namespace kube-system has the UID {}, the environment's cluster has {}",
                seen.kube_system_uid, expected.kube_system_uid
            ))
        } else if expected.ca_sha256 != seen.ca_sha256 {
            Some(format!(
                "the CA certificate has the SHA-256 {}, the environment's cluster has {}",
                short(&seen.ca_sha256),
                short(&expected.ca_sha256)
            ))
        } else {
            None
        };
        match differs {
            None => {
                *self.state() = State::Verified(expected.clone());
                Ok(())
            }
            Some(words) => {
                let error = errors::error(
                    Kind::Foreign,
                    codes::FOREIGN_CLUSTER,
                    format!("{}: {words}", seen.server),
                );
                *self.state() = State::Foreign(error.clone());
                Err(error)
            }
        }
    }

    /// The connection broke: whoever answers next must show again who it is.
    pub fn doubt(&self) {
        let mut state = self.state();
        if let State::Verified(identity) = &*state {
            *state = State::Expected(identity.clone());
        }
    }
}

fn short(digest: &str) -> &str {
    match digest.get(..16) {
        Some(start) => start,
        None if digest.is_empty() => "(none)",
        None => digest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(uid: &str, ca: &str) -> ClusterIdentity {
        ClusterIdentity {
            kube_system_uid: uid.to_owned(),
            ca_sha256: ca.to_owned(),
            server: "https://a".to_owned(),
            version: "v1.35.4".to_owned(),
        }
    }

    #[test]
    fn nothing_passes_before_the_pin() {
        let error = Fence::new().check().err().unwrap();
        assert_eq!(error.code, codes::NOT_PINNED);
    }

    #[test]
    fn uid_and_ca_decide_and_address_and_version_do_not() {
        let expected = identity("u1", "ca1");
        for (seen, passes) in [
            (identity("u1", "ca1"), true),
            (
                ClusterIdentity {
                    server: "https://b".to_owned(),
                    version: "v1.36.0".to_owned(),
                    ..identity("u1", "ca1")
                },
                true,
            ),
            (identity("u2", "ca1"), false),
            (identity("u1", "ca2"), false),
        ] {
            let fence = Fence::new();
            fence.expect(expected.clone());
            assert!(matches!(fence.check(), Ok(Check::Compare(_))));
            assert_eq!(fence.settle(&expected, &seen).is_ok(), passes, "{seen:?}");
            assert_eq!(fence.check().is_ok(), passes);
            if passes {
                fence.doubt();
                assert!(matches!(fence.check(), Ok(Check::Compare(_))));
            } else {
                fence.doubt();
                assert_eq!(fence.check().err().unwrap().kind, Kind::Foreign);
            }
        }
    }
}
