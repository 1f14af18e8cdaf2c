//! Credentials: who holds which secret.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::clock::Time;
use super::ids::Ids;
use super::scene::Caller;
use crate::aws::wire::sigv4::hex;

/// The credentials that the simulator knows. An account's own key follows from the account and one secret, so that any account
/// can be used at once, but only by who was given its key.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Keys {
    secret: String,
    sessions: BTreeMap<String, Session>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Keys").finish_non_exhaustive()
    }
}

/// Temporary credentials.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) secret: String,
    pub(crate) token: String,
    pub(crate) expires: Time,
    pub(crate) caller: Caller,
}

/// An account's key, as clients get it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwsCredentials {
    /// The account.
    pub account: String,
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: String,
}

impl fmt::Debug for AwsCredentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AwsCredentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// What precedes the account in a key id: 8 characters, so that a key id has the usual 20.
const PREFIX: &str = "AKIASBX1";

impl Keys {
    pub(crate) fn new(ids: &mut Ids) -> Self {
        Self {
            secret: ids.hex(64),
            sessions: BTreeMap::new(),
        }
    }

    /// An account's key.
    pub(crate) fn of(&self, account: &str) -> AwsCredentials {
        let access_key_id = format!("{PREFIX}{account}");
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.secret.as_bytes());
        let secret = ring::hmac::sign(&key, access_key_id.as_bytes());
        AwsCredentials {
            account: account.to_owned(),
            access_key_id,
            secret_access_key: hex(&secret.as_ref()[..20]),
        }
    }

    /// The secret and the caller behind a key id that belongs to an account itself.
    pub(crate) fn find(&self, key: &str) -> Option<(String, Caller)> {
        let account = key.strip_prefix(PREFIX)?;
        let number = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        number.then(|| {
            let caller = Caller {
                account: account.to_owned(),
                arn: format!("arn:aws:iam::{account}:user/sandbox"),
                user_id: format!("AIDASBX1{account}X"),
            };
            (self.of(account).secret_access_key, caller)
        })
    }

    /// The session behind a key id of temporary credentials.
    pub(crate) fn session(&self, key: &str) -> Option<&Session> {
        self.sessions.get(key)
    }

    /// Make temporary credentials. Those long expired are forgotten.
    pub(crate) fn open(
        &mut self,
        ids: &mut Ids,
        now: Time,
        expires: Time,
        caller: Caller,
    ) -> (String, Session) {
        let day_ago = now.before(std::time::Duration::from_secs(86_400));
        self.sessions.retain(|_, session| session.expires > day_ago);
        let key = format!("ASIA{}", ids.letters(16));
        let session = Session {
            secret: ids.hex(40),
            token: format!("{}{}", ids.hex(64), ids.hex(64)),
            expires,
            caller,
        };
        self.sessions.insert(key.clone(), session.clone());
        (key, session)
    }
}
