//! Annotations by which a person changes what the simulation does with a pod.
//!
//! They stand on the pod, so usually in the template of whatever makes the pod.

/// How a pod fails: one of [`FAILURES`]; taken away, the pod recovers as far as a real one would.
pub const FAIL: &str = "sandbox.pipectl.dev/fail";

/// Time until the containers run, for instance `5s`; replaces the table of images.
pub const START_AFTER: &str = "sandbox.pipectl.dev/start-after";

/// Time until the containers of a running pod end with success, for instance `30s`. Pods of a Job end anyway.
pub const COMPLETE_AFTER: &str = "sandbox.pipectl.dev/complete-after";

/// Time until a deleted pod is gone, for instance `2s`; never longer than its grace period.
pub const STOP_AFTER: &str = "sandbox.pipectl.dev/stop-after";

/// An image whose tag is this cannot be pulled, so that the failure can be seen without an annotation.
pub const MISSING_TAG: &str = "does-not-exist";

/// What [`FAIL`] may say, with what it does.
pub const FAILURES: [(&str, &str); 5] = [
    (
        "image-pull",
        "the image cannot be pulled: ErrImagePull, then ImagePullBackOff",
    ),
    (
        "crash",
        "containers end with exit code 1 after a second: CrashLoopBackOff, or a failed pod where nothing restarts it",
    ),
    ("oom", "as crash, with exit code 137 and reason OOMKilled"),
    ("unready", "containers run and never become ready"),
    (
        "pending",
        "the node never starts the pod, as if its kubelet hung",
    ),
];
