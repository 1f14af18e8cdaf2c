//! Exit codes: part of the interface, documented in `docs/reference/cli.md` and in `pipectl --help`.

use std::process::ExitCode;

/// How a command ended, as its caller sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for holds. After `down`: proved gone.
    Ok,
    /// Something asked for failed; running the same command again continues.
    Failed,
    /// The command line was wrong; nothing was done.
    Usage,
    /// The pipeline file, a manifest or an option's content is wrong; nothing was changed.
    BadInput,
    /// The platform stands, but verification found something wrong.
    NotVerified,
    /// `down` left something, or could not check everything.
    Leftovers,
    /// Somebody else works on this environment now.
    Held,
    /// Refused for safety: another cluster, another account, somebody else's things.
    Refused,
    /// A needed program, the network or the cluster is not there.
    Unavailable,
    /// Ended by the first signal, in order; running the same command again continues.
    Cancelled,
}

impl Exit {
    /// Every code with its number, name and meaning, in order.
    pub const TABLE: [(u8, &'static str, &'static str); 10] = [
        (
            0,
            "ok",
            "everything asked for holds; after down: proved gone",
        ),
        (
            1,
            "failed",
            "something failed; running the same command again continues",
        ),
        (2, "usage", "the command line is wrong; nothing was done"),
        (
            3,
            "bad input",
            "the pipeline file, a manifest or an option's content is wrong; nothing was changed",
        ),
        (
            4,
            "not verified",
            "the platform stands, but verification found something wrong",
        ),
        (
            5,
            "leftovers",
            "down left something, or could not check everything",
        ),
        (6, "held", "somebody else works on this environment now"),
        (
            7,
            "refused",
            "refused for safety: another cluster, another account, somebody else's things",
        ),
        (
            8,
            "unavailable",
            "a needed program, the network or the cluster is not there",
        ),
        (
            130,
            "cancelled",
            "ended by a signal, in order; running the same command again continues",
        ),
    ];

    /// The number that the shell sees.
    #[must_use]
    pub fn number(self) -> u8 {
        let row = match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::BadInput => 3,
            Self::NotVerified => 4,
            Self::Leftovers => 5,
            Self::Held => 6,
            Self::Refused => 7,
            Self::Unavailable => 8,
            Self::Cancelled => 9,
        };
        Self::TABLE[row].0
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}
