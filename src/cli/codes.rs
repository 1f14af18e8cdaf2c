//! Error codes of the command line itself, for `pipectl explain` and the reference.

/// Code, meaning, what to do.
pub const CODES: &[(&str, &str, &str)] = &[
    ("CLI001", "There is no blueprint of the name that was given.", "see `pipectl blueprint list`"),
    ("CLI003", "Several environments are known here, and the command line names none.", "name one; see `pipectl list`"),
    ("CLI004", "No environment is known here.", "bring one up with `pipectl up`, or name one with --env and say where it is with --sandbox or --kubeconfig"),
    ("CLI005", "`down` asks before it removes anything, and there is no terminal to ask on, or the answer was not the environment's name.", "give --yes"),
    ("CLI006", "The provider of the pipeline file is not available in this version.", "use `--sandbox`, or `provider: existing` with a kubeconfig and a context"),
    ("CLI007", "A file that the command line names could not be read or written.", "check the path and its permissions"),
    ("CLI008", "The environment was brought up on another provider or sandbox than the one named now.", "name the one it was brought up on, or give the new environment another name with --env"),
    ("CLI009", "There is no error code of that name.", "see `pipectl explain` for all of them"),
    ("CLI010", "The directory exists and is not empty.", "name a new directory"),
    ("FEN001", "The cluster that answers is not the one that the environment was brought up on: the UID of its kube-system namespace or its certificate authority is another. Nothing was changed.", "point pipectl at the right cluster; if the old one is gone for good, drop the record with `pipectl forget NAME`"),
];
