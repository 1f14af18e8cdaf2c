//! Conditions of statements, and what a request's context says to them (IAM user guide: condition operators).

use std::collections::{BTreeMap, BTreeSet};

use crate::aws::wire::error::ApiError;
use crate::aws::world::filters::like;

/// What is known of a request beside its action and resource: context keys (which know no case) with their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
    values: BTreeMap<String, Vec<String>>,
    /// Whether what is not there is only not given (a simulation), and not known to be absent.
    given: bool,
}

/// Keys, or what they begin with, that are known to be absent when a request has no value for them.
const KNOWN: [&str; 7] = [
    "aws:requesttag/",
    "aws:resourcetag/",
    "ec2:resourcetag/",
    "aws:tagkeys",
    "aws:username",
    "iam:passedtoservice",
    "ec2:createaction",
];

impl Context {
    /// Nothing yet; of a real request.
    pub(crate) fn of_request() -> Self {
        Self::default()
    }

    /// Nothing yet; of a simulated request, which has what is given and nothing else.
    pub(crate) fn given() -> Self {
        Self {
            given: true,
            ..Self::default()
        }
    }

    /// Add a key.
    pub(crate) fn set(&mut self, key: &str, values: Vec<String>) {
        self.values.insert(key.to_ascii_lowercase(), values);
    }

    /// The values of a key; none when the request does not have it.
    fn get(&self, key: &str) -> Result<Option<&[String]>, ApiError> {
        let key = key.to_ascii_lowercase();
        let found = self.values.get(&key).map(Vec::as_slice);
        let known = |name: &str| key == name || (name.ends_with('/') && key.starts_with(name));
        if found.is_none() && !self.given && !KNOWN.into_iter().any(known) {
            let what = format!("a value for the condition key {key}");
            return Err(ApiError::not_simulated(what));
        }
        Ok(found)
    }

    /// A pattern with its policy variables filled in; none when one of them has no value.
    pub(crate) fn filled(&self, pattern: &str) -> Result<Option<String>, ApiError> {
        let mut parts = pattern.split("${");
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let Some((name, rest)) = part.split_once('}') else {
                return Err(ApiError::not_simulated(format!("the pattern {pattern}")));
            };
            match name {
                // Stars, question marks and dollars that mean themselves.
                "*" | "?" => out.push_str(&format!("\\{name}")),
                "$" => out.push('$'),
                _ if name.contains(',') => {
                    return Err(ApiError::not_simulated("defaults of policy variables"));
                }
                _ => match self.get(name)? {
                    Some([value]) => out.push_str(value),
                    _ => return Ok(None),
                },
            }
            out.push_str(rest);
        }
        Ok(Some(out))
    }
}

/// How values are compared.
#[derive(Clone, Copy)]
enum Compare {
    Equal,
    EqualIgnoringCase,
    Like,
    Arn,
}

impl Compare {
    /// The comparison of an operator, and whether it is turned round.
    fn named(operator: &str) -> Option<(Self, bool)> {
        Some(match operator {
            "StringEquals" => (Self::Equal, false),
            "StringNotEquals" => (Self::Equal, true),
            "StringEqualsIgnoreCase" | "Bool" => (Self::EqualIgnoringCase, false),
            "StringNotEqualsIgnoreCase" => (Self::EqualIgnoringCase, true),
            "StringLike" => (Self::Like, false),
            "StringNotLike" => (Self::Like, true),
            // The two pairs behave alike.
            "ArnLike" | "ArnEquals" => (Self::Arn, false),
            "ArnNotLike" | "ArnNotEquals" => (Self::Arn, true),
            _ => return None,
        })
    }

    fn fits(self, wanted: &str, value: &str) -> bool {
        match self {
            Self::Equal => wanted == value,
            Self::EqualIgnoringCase => wanted.eq_ignore_ascii_case(value),
            Self::Like => like(wanted, value),
            // Each of the six parts for itself.
            Self::Arn => {
                let parts = |text: &str| text.splitn(6, ':').map(str::to_owned).collect::<Vec<_>>();
                let (wanted, value) = (parts(wanted), parts(value));
                wanted.len() == value.len()
                    && wanted
                        .iter()
                        .zip(&value)
                        .all(|(one, other)| like(one, other))
            }
        }
    }
}

/// Whether a condition holds: `operator: {key: wanted}`. A key that the request does not have is noted in `missing`.
///
/// # Errors
/// `NotSimulated` for an operator or a key that is not known here.
pub(super) fn holds(
    operator: &str,
    key: &str,
    wanted: &[String],
    context: &Context,
    missing: &mut BTreeSet<String>,
) -> Result<bool, ApiError> {
    let values = context.get(key)?;
    if values.is_none() {
        missing.insert(key.to_owned());
    }
    if operator == "Null" {
        let absent = wanted.iter().any(|word| word.eq_ignore_ascii_case("true"));
        return Ok(values.is_none() == absent);
    }
    let (set, rest) = match operator.split_once(':') {
        Some((set @ ("ForAllValues" | "ForAnyValue"), rest)) => (Some(set), rest),
        _ => (None, operator),
    };
    let (name, if_exists) = match rest.strip_suffix("IfExists") {
        Some(name) => (name, true),
        None => (rest, false),
    };
    let Some((compare, inverted)) = Compare::named(name) else {
        let what = format!("the condition operator {operator}");
        return Err(ApiError::not_simulated(what));
    };
    let mut patterns = Vec::new();
    for pattern in wanted {
        patterns.extend(context.filled(pattern)?);
    }
    let any = |value: &String| {
        let mut patterns = patterns.iter();
        patterns.any(|pattern| compare.fits(pattern, value)) != inverted
    };
    Ok(match (values, set) {
        // Nothing is among all values, and no value is among nothing.
        (None, Some("ForAllValues")) => true,
        (None, Some(_)) => false,
        (None, None) => if_exists || inverted,
        (Some(values), Some("ForAllValues")) => values.iter().all(any),
        (Some(values), Some(_)) => values.iter().any(any),
        (Some([value]), None) => any(value),
        // A key with several values needs one of the two set operators; without one AWS compares none of them.
        (Some(_), None) => inverted,
    })
}
