//! The engine's error codes, for `pipectl explain` and the reference.

/// Code, meaning, what to do.
pub const CODES: &[(&str, &str, &str)] = &[
    (
        "ENG001",
        "A step's work (looking at what is there and changing it, or asking for a removal) took longer than the step allows. \
         The call may have taken effect all the same.",
        "look at what it waited for last, then run the same command again: it finds what exists and goes on",
    ),
    (
        "ENG002",
        "Something was applied and did not become ready (or was asked to go and did not go) within the time that its step \
         allows.",
        "see `pipectl status` for what it waits for; run the same command again to wait on",
    ),
    (
        "ENG003",
        "A step panicked: a defect of pipectl. Other steps went on.",
        "report it with the lines that were printed; run the same command again to go on",
    ),
    (
        "ENG004",
        "Something of the wanted name exists and does not carry this environment's ownership. It was not touched.",
        "choose another name in the pipeline file, or remove that thing yourself if nobody needs it; what has no name of its \
         own to choose (an add-on of EKS) can be left out of the pipeline file instead",
    ),
    (
        "ENG005",
        "A step changed something without recording its intent first: a defect of pipectl. The change was not recorded as done.",
        "report it; run the same command again, which finds what exists and records it",
    ),
    (
        "ENG006",
        "The run is being ended (a signal, a lost lease, a journal that cannot be written), so nothing new is begun.",
        "run the same command again: it goes on from here",
    ),
    (
        "ENG007",
        "A step tried to make something in a run that makes nothing (`down`, a mere verification): a defect of pipectl.",
        "report it",
    ),
    (
        "ENG008",
        "A step was done and cannot become ready, because what it stands on failed: pods find no node, for instance. The wait \
         ended at once.",
        "see to the failure that the message names, then run the same command again",
    ),
    (
        "ENG010",
        "Two steps of the graph have the same id: a defect of pipectl or of the pipeline's own names.",
        "give the things that the message names different names; report it if they have",
    ),
    (
        "ENG011",
        "A step needs another one that the graph does not have: a defect of pipectl.",
        "report it with the pipeline file",
    ),
    (
        "ENG012",
        "Steps wait for each other in a ring, so none could begin.",
        "undo the dependency that the message names; report it if the pipeline file has none",
    ),
    (
        "ENG013",
        "There is no stage of the name that was given.",
        "see `pipectl plan` for the stages",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_complete() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(CODES.iter().all(|(code, meaning, hint)| {
            code.starts_with("ENG") && !meaning.is_empty() && !hint.is_empty()
        }));
    }
}
