//! "Did you mean": the nearest of the words that would have been right.

/// The candidate nearest to `word`, if one is near enough to be a likely slip.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let folded = fold(word);
    // In a word of one or two letters, everything is near everything.
    let limit = match folded.chars().count() {
        0..=2 => 0,
        length => (length / 3).clamp(1, 3),
    };
    candidates
        .into_iter()
        .map(|candidate| {
            let other = fold(candidate);
            let partial = folded.chars().count() >= 4
                && (other.starts_with(&folded) || folded.starts_with(&other));
            let distance = if partial {
                1
            } else {
                distance(&folded, &other)
            };
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// One spelling for `nodeGroups`, `node_groups`, `node-groups` and `NodeGroups`.
fn fold(word: &str) -> String {
    word.chars()
        .filter(|character| !"_- .".contains(*character))
        .flat_map(char::to_lowercase)
        .take(64)
        .collect()
}

/// How many insertions, deletions, replacements and swaps of neighbours lead from one word to the other.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut rows = vec![(0..=right.len()).collect::<Vec<_>>()];
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let mut best = (rows[i][j] + usize::from(a != b))
                .min(rows[i][j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn likely_slips_are_found() {
        let fields = [
            "nodeGroups",
            "namespaces",
            "kafka",
            "sparkApplications",
            "partitions",
            "ttl",
        ];
        for (word, expected) in [
            ("node_groups", Some("nodeGroups")),
            ("nodegroup", Some("nodeGroups")),
            ("namepsaces", Some("namespaces")),
            ("kakfa", Some("kafka")),
            ("partition", Some("partitions")),
            ("spark", Some("sparkApplications")),
            ("volume", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, fields), expected, "{word}");
        }
    }
}
