//! Times and lists as a person reads them.

use std::time::Duration;

use crate::engine::{recovery::Interrupted, span};

/// A time that was measured: `13s`, `2m 04s`.
#[must_use]
pub fn took(ms: u64) -> String {
    span(Duration::from_millis(ms))
}

/// A time that is guessed: `~40s`, `~2m 40s`, `~15m`.
#[must_use]
pub fn about(ms: u64) -> String {
    let seconds = ms.div_ceil(1000);
    match seconds {
        0..60 => format!("~{seconds}s"),
        // Ten seconds more or less are nothing that anybody could promise.
        60..600 => format!("~{}", span(Duration::from_secs(seconds.div_ceil(10) * 10))),
        600..3600 => format!("~{}m", seconds.div_ceil(60)),
        _ => format!("~{}", span(Duration::from_secs(seconds.div_ceil(60) * 60))),
    }
}

/// `hh:mm:ss` since the run began.
#[must_use]
pub fn stamp(ms: u64) -> String {
    let seconds = ms / 1000;
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// What a run goes on with after another was interrupted.
#[must_use]
pub fn goes_on(left: &Interrupted) -> String {
    let begun = left.intended.len() + left.applied.len() + left.removing.len();
    let beyond = match left.beyond_this_run.len() {
        0 => String::new(),
        gone => format!(
            "; {} of it not in this run's plan, left alone until `pipectl down`",
            counted(gone, "step")
        ),
    };
    format!(
        "goes on where run {} was interrupted ({} half done{beyond})",
        left.run,
        counted(begun, "step")
    )
}

/// `1 step`, `3 steps`.
#[must_use]
pub fn counted(count: usize, thing: &str) -> String {
    if count == 1 {
        format!("1 {thing}")
    } else if thing.ends_with('s') {
        format!("{count} {thing}es")
    } else {
        format!("{count} {thing}s")
    }
}

/// The first few of many: `a, b, c and 4 more`.
#[must_use]
pub fn few(items: &[String], most: usize) -> String {
    if items.len() <= most {
        return items.join(", ");
    }
    let shown = items[..most].join(", ");
    format!("{shown} and {} more", items.len() - most)
}

/// Summaries side by side; those that say the same of several things are counted: `VPC vpc-1, 3 subnets`.
#[must_use]
pub fn together<'a>(summaries: impl IntoIterator<Item = &'a str>) -> String {
    let mut kinds: Vec<(Option<&str>, Vec<&str>)> = Vec::new();
    for summary in summaries {
        let kind = kind_of(summary);
        let same = kinds
            .iter_mut()
            .find(|(other, all)| all.contains(&summary) || (kind.is_some() && *other == kind));
        match same {
            Some((_, all)) if all.contains(&summary) => {}
            Some((_, all)) => all.push(summary),
            None if summary.is_empty() => {}
            None => kinds.push((kind, vec![summary])),
        }
    }
    let words = kinds
        .into_iter()
        .map(|(kind, all)| match (kind, all.as_slice()) {
            (Some(kind), [_, _, ..]) => counted(all.len(), kind),
            _ => all.join(", "),
        });
    words.collect::<Vec<_>>().join(", ")
}

/// The kind of a thing that is told as its kind and an id of AWS's: `subnet` of `subnet subnet-0a1b2c3d4e5f60718`.
fn kind_of(summary: &str) -> Option<&str> {
    let (kind, id) = summary.rsplit_once(' ')?;
    let (_, number) = id.rsplit_once('-')?;
    let numbered = number.len() >= 8 && number.bytes().all(|byte| byte.is_ascii_hexdigit());
    (numbered
        && kind
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || byte == b' '))
    .then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_look_like_guesses() {
        let said = [
            0, 900, 59_000, 61_000, 154_000, 599_000, 601_000, 900_000, 5_430_000,
        ]
        .map(about)
        .join(" ");
        assert_eq!(
            said,
            "~0s ~1s ~59s ~1m 10s ~2m 40s ~10m 00s ~11m ~15m ~1h 31m"
        );
    }

    #[test]
    fn things_of_one_kind_are_counted() {
        let said = [
            "VPC 10.0.0.0/16 vpc-0fc942938dc0f2360",
            "subnet subnet-0105b43d7064ed487",
            "",
            "role a-b-deadbeef00",
            "subnet subnet-043edfb17d4ecf937",
            "kube-proxy v1.35.0-eksbuild.2",
            "in place",
            "in place",
            "coredns v1.13.1-eksbuild.1",
        ];
        assert_eq!(
            together(said),
            "VPC 10.0.0.0/16 vpc-0fc942938dc0f2360, 2 subnets, role a-b-deadbeef00, kube-proxy v1.35.0-eksbuild.2, in place, coredns v1.13.1-eksbuild.1"
        );
    }

    #[test]
    fn stamps_and_lists() {
        assert_eq!(stamp(3_725_999), "01:02:05");
        let items: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
        assert_eq!(few(&items, 3), "a, b, c");
        assert_eq!(few(&items, 1), "a and 2 more");
        assert_eq!(counted(1, "step") + &counted(2, "step"), "1 step2 steps");
    }
}
