//! The error codes of the Helm adapter.

use pipectl_stages::error::{PortError, PortErrorKind};

use crate::CodeRow;

pub(super) const MISSING: &str = "HLM001";
pub(super) const TOO_OLD: &str = "HLM002";
pub(super) const FAILED: &str = "HLM003";
pub(super) const CHART_UNAVAILABLE: &str = "HLM004";
pub(super) const FOREIGN: &str = "HLM005";
pub(super) const BUSY: &str = "HLM006";
pub(super) const BAD_SPEC: &str = "HLM007";
pub(super) const TIMEOUT: &str = "HLM008";
pub(super) const CANCELLED: &str = "HLM009";
pub(super) const HOME: &str = "HLM010";
pub(super) const OUTPUT: &str = "HLM011";
pub(super) const NOT_STARTED: &str = "HLM012";

/// Every code of this adapter: code, meaning, what a person can do.
pub const CODES: &[CodeRow] = &[
    (
        MISSING,
        "the program helm is not installed, or not where it was said to be",
        "install Helm 3.13 or newer (Helm 4 too) so that it is on PATH, or set PIPECTL_HELM to the program's path",
    ),
    (
        TOO_OLD,
        "this helm is older than 3.13, which cannot label release records",
        "install Helm 3.13 or newer, or set PIPECTL_HELM to a newer one",
    ),
    (
        FAILED,
        "helm ended with an error; its last words are the cause",
        "mend what the words name (values, chart, permissions), then run the command again",
    ),
    (
        CHART_UNAVAILABLE,
        "the chart cannot be fetched: repository not reachable, or no such chart or version there",
        "check the address, the version and the mirror map (`mirrors`) in the pipeline file",
    ),
    (
        FOREIGN,
        "a release of that name exists in the namespace and does not belong to this environment",
        "choose another release name or namespace in the pipeline file, or uninstall the other release yourself",
    ),
    (
        BUSY,
        "another Helm operation on this release is under way",
        "wait until it has ended, then run the command again",
    ),
    (
        BAD_SPEC,
        "the release cannot be handed to Helm as it is described",
        "pin a chart version; names are DNS labels and digests at most 63 characters",
    ),
    (
        TIMEOUT,
        "helm did not end within its bound and was ended",
        "look at the release's hooks (`kubectl get jobs`), or raise the step's timeout; the next run repairs the release",
    ),
    (
        CANCELLED,
        "helm was ended because the run was cancelled",
        "run the command again; a release that was left pending is repaired first",
    ),
    (
        HOME,
        "Helm's own directories below pipectl's cache directory cannot be used",
        "check permissions and free space of the cache directory",
    ),
    (
        OUTPUT,
        "helm's output is not what this call prints",
        "check that PIPECTL_HELM names Helm itself and not a wrapper that prints more",
    ),
    (
        NOT_STARTED,
        "helm is there but could not be started",
        "run the program by hand: a wrong processor architecture or a missing library shows itself there",
    ),
];

/// The error for `code` with the table's own hint.
pub(super) fn error(kind: PortErrorKind, code: &str, cause: impl Into<String>) -> PortError {
    let error = PortError::new(kind, code, cause);
    match CODES.iter().find(|row| row.0 == code) {
        Some(row) => error.with_hint(row.2),
        None => error,
    }
}
