//! What all services write the same way.

use aws_smithy_types::DateTime;
use jiff::Timestamp;

/// A point in time; `None` where it is beyond what a calendar can say.
pub(crate) fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
}

/// Tags as the ports have them, from any service's pairs. A tag without a key does not exist; one without a value is empty.
pub(crate) fn tags<'a>(
    pairs: impl IntoIterator<Item = (Option<&'a str>, Option<&'a str>)>,
) -> pipectl_stages::ports::cloud::Tags {
    pairs
        .into_iter()
        .filter_map(|(key, value)| Some((key?.to_owned(), value.unwrap_or_default().to_owned())))
        .collect()
}

/// The numbers in a version, for its place among others: `v1.20.4-eksbuild.2` is 1, 20, 4, 2.
pub(crate) fn numbers(version: &str) -> Vec<u64> {
    version
        .split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}
