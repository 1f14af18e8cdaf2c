//! The records of environments in the account.
