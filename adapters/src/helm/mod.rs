//! Helm.
use crate::CodeRow;
/// Codes.
pub const CODES: &[CodeRow] = &[];
