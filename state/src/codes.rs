//! The stable codes of this crate's errors, for `pipectl explain`.

/// What one code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeEntry {
    /// The code.
    pub code: &'static str,
    /// What it says, in a few words.
    pub title: &'static str,
    /// How it comes about.
    pub meaning: &'static str,
    /// What a person can do.
    pub hint: &'static str,
}

/// Every code of this crate, in order.
pub const CODES: &[CodeEntry] = &[
    CodeEntry {
        code: "STA001",
        title: "no such environment",
        meaning: "The state directory holds no journal for the environment's name. Either it was never brought up from \
                  here, or its state is kept elsewhere, or it was removed already.",
        hint: "see what there is with `pipectl list`; what carries the environment's ownership is found without any \
               state by `pipectl down --env NAME`",
    },
    CodeEntry {
        code: "STA002",
        title: "not a name for an environment",
        meaning: "An environment's name is a directory name, a label value and part of resource names, so it follows the \
                  strictest of them: 1 to 63 lower-case letters, digits and hyphens, beginning with a letter and not \
                  ending with a hyphen (a DNS label, RFC 1035).",
        hint: "choose a name of lower-case letters, digits and hyphens that begins with a letter",
    },
    CodeEntry {
        code: "STA003",
        title: "damaged journal",
        meaning: "A record's checksum, length or number is wrong although a later write stands intact behind it. A killed or \
                  powered-off writer leaves only the end torn, so this is damage by something else: a disk, an editor, a \
                  partial copy. Nothing was changed.",
        hint: "restore the file from a copy, or move it aside and run `pipectl up` or `pipectl down` again: the journal is \
               rebuilt from what is observed by ownership labels",
    },
    CodeEntry {
        code: "STA004",
        title: "illegal history",
        meaning: "The journal's records are intact, but one of them cannot follow those before it (an effect without an \
                  intent, a record outside any run). On reading: files were mixed or edited. On writing: a mistake in \
                  pipectl, and nothing was written.",
        hint: "if this came while reading, move the journal aside and run the command again, it is rebuilt from what is \
               observed; if it came while writing, report it with the journal attached",
    },
    CodeEntry {
        code: "STA005",
        title: "written by a newer pipectl",
        meaning: "The journal's format is newer than this program understands.",
        hint: "use the pipectl version that wrote it, or a newer one",
    },
    CodeEntry {
        code: "STA006",
        title: "disk full",
        meaning: "The state directory has no room (or the user's quota is used up). What could not be written was taken back \
                  whole; the journal ends with its last durable record and nothing was begun that is not recorded.",
        hint: "free some space, then run the same command again: it goes on where it stopped",
    },
    CodeEntry {
        code: "STA007",
        title: "no access to the state directory",
        meaning: "The system refuses to read or write there: wrong owner, missing permission or a read-only file system. \
                  Directories are made with mode 0700 and files with 0600.",
        hint: "check owner and permissions (was pipectl run as another user before?), or name another directory with \
               XDG_STATE_HOME",
    },
    CodeEntry {
        code: "STA008",
        title: "file system error",
        meaning: "The file system answered with an error that is neither lack of space nor lack of permission.",
        hint: "read the cause; once it is mended, run the same command again",
    },
    CodeEntry {
        code: "STA009",
        title: "another writer took over",
        meaning: "The journal has records that this process did not write, or a higher fencing number: its lease ran out and \
                  another run goes on with the environment. Nothing more is written by this one.",
        hint: "let the other run finish; `pipectl status` shows who holds the environment",
    },
    CodeEntry {
        code: "STA010",
        title: "opened for reading",
        meaning: "Something tried to write through a journal that was opened for reading only: a mistake in pipectl.",
        hint: "report this with the command that you ran",
    },
    CodeEntry {
        code: "STA011",
        title: "outcome of a write unknown",
        meaning: "A write was not confirmed: the disk failed to flush it, or the store did not answer. Until it is known how \
                  it ended nothing more is written.",
        hint: "check the disk or the connection, then run the same command again: it reads what was really written",
    },
    CodeEntry {
        code: "STA012",
        title: "secret in a record",
        meaning: "A registered secret value stands in a part of a record by which things are found again (a step's key, an \
                  identity, a pin). There it cannot be replaced by its name, so nothing was written.",
        hint: "take the secret out of names and identities; secret values belong into secretRef fields only",
    },
    CodeEntry {
        code: "STA013",
        title: "object store failed",
        meaning: "The store that keeps the journal answered with an error.",
        hint: "check credentials, permissions and connection to the store, then run the same command again",
    },
    CodeEntry {
        code: "STA020",
        title: "somebody else changes the environment",
        meaning: "Another process holds the environment's lease and its heartbeat moves; on AWS, the environment's record in the \
                  account says that another machine or job holds it. Only one may change an environment at a time; reading \
                  (`status`) needs no lease.",
        hint: "wait for the other run to end, or stop it where it runs; if it died, its lease runs out by itself",
    },
    CodeEntry {
        code: "STA021",
        title: "lease lost",
        meaning: "Another process has taken the lease over, the state directory was moved away, or the environment's record in the \
                  account names somebody else or is gone. This run stops at once.",
        hint: "let the other run finish, then run the same command again",
    },
    CodeEntry {
        code: "STA022",
        title: "lease ran out",
        meaning: "The heartbeat could not be written for a whole term, so another process may begin. This run sends nothing \
                  more. What could not be written is the lease file in the state directory or, on AWS, the environment's record \
                  in the account; the cause says which.",
        hint: "check the state directory's disk (full? slow? gone?) or the connection to AWS, then run the same command again: it \
               goes on where it stopped",
    },
    CodeEntry {
        code: "STA023",
        title: "lease cannot be written",
        meaning: "The lease file in the environment's directory could not be read or written.",
        hint: "check space, owner and permissions of the state directory",
    },
];

/// What a code means; None for a code of another crate.
pub fn explain(code: &str) -> Option<&'static CodeEntry> {
    CODES.iter().find(|entry| entry.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_unique_and_complete() {
        for pair in CODES.windows(2) {
            assert!(
                pair[0].code < pair[1].code,
                "{} before {}",
                pair[0].code,
                pair[1].code
            );
        }
        for entry in CODES {
            assert!(entry.code.starts_with("STA"));
            assert!(!entry.hint.is_empty() && !entry.meaning.is_empty());
        }
        assert_eq!(
            explain("STA003").map(|entry| entry.title),
            Some("damaged journal")
        );
        assert_eq!(explain("AWS001"), None);
    }
}
