//! Who is asking, and what the account allows.
