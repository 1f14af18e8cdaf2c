//! `Filter.N.Name` and `Filter.N.Value.M` of EC2's describe calls.

use std::collections::BTreeMap;

use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;

/// The filters of one call: all have to fit, each with any of its values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filters(Vec<(String, Vec<String>)>);

impl Filters {
    /// Read them. `known` are the names that this action has beside the tags'.
    ///
    /// # Errors
    /// When one has another name, or no values.
    pub(crate) fn read(params: Params<'_>, known: &[&str]) -> Result<Self, ApiError> {
        let mut filters = Vec::new();
        for filter in params.sections("Filter") {
            let name = filter.need("Name")?;
            let of_tags = name.starts_with("tag:") || name == "tag-key" || name == "tag-value";
            if !of_tags && !known.contains(&name) {
                return Err(ApiError::new(
                    "InvalidParameterValue",
                    format!("The filter '{name}' is invalid"),
                ));
            }
            let values: Vec<String> = filter
                .texts("Value")
                .into_iter()
                .map(str::to_owned)
                .collect();
            if values.is_empty() {
                return Err(ApiError::new(
                    "InvalidParameterValue",
                    "The filter 'null' is invalid",
                ));
            }
            filters.push((name.to_owned(), values));
        }
        Ok(Self(filters))
    }

    /// Whether a resource fits; `field` gives the values that it has under a filter's name.
    pub(crate) fn fit(
        &self,
        tags: &BTreeMap<String, String>,
        field: impl Fn(&str) -> Vec<String>,
    ) -> bool {
        self.0.iter().all(|(name, wanted)| {
            let has: Vec<String> = match name.as_str() {
                "tag-key" => tags.keys().cloned().collect(),
                "tag-value" => tags.values().cloned().collect(),
                _ => match name.strip_prefix("tag:") {
                    Some(key) => tags.get(key).cloned().into_iter().collect(),
                    None => field(name),
                },
            };
            let any = |text: &String| wanted.iter().any(|pattern| like(pattern, text));
            has.iter().any(any)
        })
    }
}

/// Whether a text fits a pattern with `*` and `?`; a backslash takes their meaning away.
pub(crate) fn like(pattern: &str, text: &str) -> bool {
    fn fits(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['*', rest @ ..] => (0..=text.len()).any(|skip| fits(rest, &text[skip..])),
            ['?', rest @ ..] => !text.is_empty() && fits(rest, &text[1..]),
            ['\\', literal, rest @ ..] => text.first() == Some(literal) && fits(rest, &text[1..]),
            [literal, rest @ ..] => text.first() == Some(literal) && fits(rest, &text[1..]),
        }
    }
    let chars = |text: &str| text.chars().collect::<Vec<_>>();
    fits(&chars(pattern), &chars(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patterns_fit_as_documented() {
        assert!(like("k8s-*", "k8s-was") && like("a?c", "abc") && like(r"a\*", "a*"));
        assert!(!like(r"a\*", "ab") && !like("abc", "abcd") && !like("?", ""));
    }

    #[test]
    fn all_filters_have_to_fit_each_with_any_value() {
        let tree = json!({"Filter": {
            "1": {"Name": "tag:env", "Value": {"1": "a", "2": "b"}},
            "2": {"Name": "state", "Value": {"1": "available"}},
        }});
        let filters = Filters::read(Params::new(&tree), &["state"]).unwrap();
        let tags = BTreeMap::from([("env".to_owned(), "b".to_owned())]);
        assert!(filters.fit(&tags, |_| vec!["available".to_owned()]));
        assert!(!filters.fit(&tags, |_| vec!["pending".to_owned()]));
        assert!(!filters.fit(&BTreeMap::new(), |_| vec!["available".to_owned()]));
        assert!(Filters::read(Params::new(&tree), &["vpc-id"]).is_err());
    }
}
