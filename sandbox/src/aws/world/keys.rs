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
    /// Keys of IAM users, by key id.
    #[serde(default)]
    users: BTreeMap<String, UserKey>,
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

/// The access key of an IAM user. Its secret stands nowhere: it follows from the id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UserKey {
    pub(crate) account: String,
    /// The user's name; IAM knows what the user may do.
    pub(crate) user: String,
    pub(crate) created: Time,
    pub(crate) active: bool,
    caller: Caller,
}

/// A key, as clients get it.
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
            users: BTreeMap::new(),
        }
    }

    /// An account's key.
    pub(crate) fn of(&self, account: &str) -> AwsCredentials {
        self.credentials(account, format!("{PREFIX}{account}"))
    }

    fn credentials(&self, account: &str, access_key_id: String) -> AwsCredentials {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.secret.as_bytes());
        let secret = ring::hmac::sign(&key, access_key_id.as_bytes());
        AwsCredentials {
            account: account.to_owned(),
            access_key_id,
            secret_access_key: hex(&secret.as_ref()[..20]),
        }
    }

    /// The secret and the caller behind a key id that belongs to an account itself or to one of its users.
    pub(crate) fn find(&self, key: &str) -> Option<(String, Caller)> {
        if let Some(user) = self.users.get(key).filter(|user| user.active) {
            let credentials = self.credentials(&user.account, key.to_owned());
            return Some((credentials.secret_access_key, user.caller.clone()));
        }
        let account = key.strip_prefix(PREFIX)?;
        let number = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        number.then(|| {
            let caller = Caller::administrator(account);
            (self.of(account).secret_access_key, caller)
        })
    }

    /// Make a key for a user.
    pub(crate) fn create(
        &mut self,
        ids: &mut Ids,
        user: &str,
        now: Time,
        caller: Caller,
    ) -> AwsCredentials {
        let id = format!("AKIA{}", ids.letters(16));
        let account = caller.account.clone();
        let key = UserKey {
            account: account.clone(),
            user: user.to_owned(),
            created: now,
            active: true,
            caller,
        };
        self.users.insert(id.clone(), key);
        self.credentials(&account, id)
    }

    /// Ids of a user's keys, with what is known of each.
    pub(crate) fn of_user<'a>(
        &'a self,
        account: &'a str,
        user: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a UserKey)> {
        let all = self.users.iter();
        all.filter(move |(_, key)| key.account == account && key.user == user)
            .map(|(id, key)| (id.as_str(), key))
    }

    /// The first key of a user again, with its secret: for the sandbox's own user, never for a client of the simulator.
    pub(crate) fn again(&self, account: &str, user: &str) -> Option<AwsCredentials> {
        let (id, _) = self.of_user(account, user).find(|(_, key)| key.active)?;
        Some(self.credentials(account, id.to_owned()))
    }

    /// A user's key, to change it.
    pub(crate) fn user_key(&mut self, account: &str, user: &str, id: &str) -> Option<&mut UserKey> {
        let key = self.users.get_mut(id)?;
        (key.account == account && key.user == user).then_some(key)
    }

    /// Take a user's key away. Returns whether there was one.
    pub(crate) fn remove(&mut self, account: &str, user: &str, id: &str) -> bool {
        let there = self.user_key(account, user, id).is_some();
        if there {
            self.users.remove(id);
        }
        there
    }

    /// The same without keys of users: they go with the graph that knew the users.
    pub(crate) fn without_users(self) -> Self {
        Self {
            users: BTreeMap::new(),
            ..self
        }
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
