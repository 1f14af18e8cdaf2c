//! The one table of error codes: what each means, and an example of it.

/// What a code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeInfo {
    /// The code.
    pub code: &'static str,
    /// What it means, in a few words.
    pub title: &'static str,
    /// Why it is refused and what to do.
    pub explanation: &'static str,
    /// What triggers it.
    pub example: &'static str,
}

/// Every code of this crate, in order.
pub const CODES: &[CodeInfo] = &[];

/// What a code means; `None` for codes of other parts of pipectl. Case does not matter.
pub fn code_info(code: &str) -> Option<&'static CodeInfo> {
    CODES
        .iter()
        .find(|info| info.code.eq_ignore_ascii_case(code))
}
