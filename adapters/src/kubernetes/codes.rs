//! The error codes of the Kubernetes adapter.

use crate::CodeRow;

pub(super) const KUBECONFIG_UNREADABLE: &str = "K8S001";
pub(super) const CONTEXT_MISSING: &str = "K8S002";
pub(super) const KUBECONFIG_UNUSABLE: &str = "K8S003";
pub(super) const UNREACHABLE: &str = "K8S004";
pub(super) const TLS_MISMATCH: &str = "K8S005";
pub(super) const UNAUTHORIZED: &str = "K8S006";
pub(super) const FORBIDDEN: &str = "K8S007";
pub(super) const CREDENTIALS: &str = "K8S008";
pub(super) const KUBECONFIG_UNWRITABLE: &str = "K8S009";
pub(super) const NOT_FOUND: &str = "K8S010";
pub(super) const ALREADY_EXISTS: &str = "K8S011";
pub(super) const FIELD_CONFLICT: &str = "K8S012";
pub(super) const CHANGED_MEANWHILE: &str = "K8S013";
pub(super) const INVALID: &str = "K8S014";
pub(super) const TERMINATING: &str = "K8S015";
pub(super) const NOT_SERVED: &str = "K8S016";
pub(super) const THROTTLED: &str = "K8S017";
pub(super) const TIMEOUT: &str = "K8S018";
pub(super) const SERVER_ERROR: &str = "K8S019";
pub(super) const GROUP_DEAD: &str = "K8S020";
pub(super) const FOREIGN_CLUSTER: &str = "K8S021";
pub(super) const NOT_PINNED: &str = "K8S022";
pub(super) const WATCH_STALE: &str = "K8S023";
pub(super) const ANSWER_UNCLEAR: &str = "K8S024";
pub(super) const CANCELLED: &str = "K8S025";

/// Every code of this adapter: code, meaning, what a person can do.
pub const CODES: &[CodeRow] = &[
    (
        KUBECONFIG_UNREADABLE,
        "the kubeconfig file is missing or cannot be read",
        "name an existing, readable file; pipectl never falls back on KUBECONFIG or ~/.kube/config",
    ),
    (
        CONTEXT_MISSING,
        "the kubeconfig has no such context, or none was named and it has no current one",
        "name one of the contexts that the message lists",
    ),
    (
        KUBECONFIG_UNUSABLE,
        "the kubeconfig is not valid: its YAML, its server address, or certificate data in it",
        "check the file with: kubectl --kubeconfig FILE config view",
    ),
    (
        UNREACHABLE,
        "no connection to the API server, or it broke and did not come back in time",
        "check that the cluster runs and that its address is reachable from here, then run the command again",
    ),
    (
        TLS_MISMATCH,
        "the server at that address is not the one whose CA the kubeconfig names, or its certificate is not valid",
        "get a fresh kubeconfig for this cluster; if the cluster was recreated, it is another cluster now",
    ),
    (
        UNAUTHORIZED,
        "the API server does not accept the kubeconfig's credentials",
        "renew the credentials (they may have expired), then run the command again",
    ),
    (
        FORBIDDEN,
        "the identity is known but may not do this",
        "give the identity the permission that the message names (RBAC), then run the command again",
    ),
    (
        CREDENTIALS,
        "the kubeconfig's credential program failed or is not installed, or the credentials cannot be used",
        "run the program that the kubeconfig's `exec` entry names by hand and mend what it reports",
    ),
    (
        KUBECONFIG_UNWRITABLE,
        "pipectl's own kubeconfig for the environment cannot be written",
        "check permissions and free space of the state directory",
    ),
    (
        NOT_FOUND,
        "the object, or the namespace it belongs to, does not exist",
        "create what the message names first",
    ),
    (
        ALREADY_EXISTS,
        "an object of that name exists already",
        "choose another name, or delete the existing object",
    ),
    (
        FIELD_CONFLICT,
        "another field manager holds a field that pipectl wants to set to another value",
        "let only one of the two manage the field: take it out of the pipeline file or manifest, or have the other manager let go of it",
    ),
    (
        CHANGED_MEANWHILE,
        "the object was changed or replaced between reading and writing it",
        "run the command again; it looks at the object anew",
    ),
    (
        INVALID,
        "the API server refused the object's content",
        "change what the message names in the pipeline file or manifest; the field path is the API's own",
    ),
    (
        TERMINATING,
        "the namespace or object is being deleted",
        "wait until the deletion has finished; its finalizers and conditions (`kubectl get ... -o yaml`) say what holds it",
    ),
    (
        NOT_SERVED,
        "the API server does not serve this kind",
        "install what brings the kind (its CRD), or correct the object's apiVersion and kind",
    ),
    (
        THROTTLED,
        "the API server asked for patience for longer than the call may take",
        "run the command again later; look for another client that floods the API server",
    ),
    (
        TIMEOUT,
        "no complete answer within the call's bound",
        "check the cluster's load and webhooks, then run the command again",
    ),
    (
        SERVER_ERROR,
        "the API server, or a webhook that it calls, failed",
        "look at the message's own words; a failing webhook names itself there",
    ),
    (
        GROUP_DEAD,
        "an aggregated API does not answer: its APIService points to something that is not there",
        "bring its backend back or delete the APIService; until then namespaces may stay Terminating",
    ),
    (
        FOREIGN_CLUSTER,
        "this is not the cluster that the environment was pinned to",
        "use the kubeconfig of the environment's own cluster; if that cluster is gone, remove the environment's record",
    ),
    (
        NOT_PINNED,
        "a change was asked for before the cluster's identity had been pinned",
        "this is a defect of pipectl; please report it with the command that you ran",
    ),
    (
        WATCH_STALE,
        "the watch of a kind has been broken for so long that what it last showed is no longer trusted",
        "check that the cluster is reachable, then run the command again",
    ),
    (
        ANSWER_UNCLEAR,
        "the API server's answer was not what this call can return",
        "check that the address is that of a Kubernetes API server and not of a proxy's login page",
    ),
    (
        CANCELLED,
        "the run was cancelled while the call was under way",
        "run the command again; it continues where it was",
    ),
];
