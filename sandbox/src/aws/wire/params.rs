//! The parameters of a request, the same for every protocol.

use serde_json::Value;

use super::error::ApiError;

/// A view of parameters: of the whole request, or of a structure in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Params<'a>(&'a Value);

impl<'a> Params<'a> {
    /// A view of a tree.
    pub(crate) fn new(tree: &'a Value) -> Self {
        Self(tree)
    }

    /// The tree itself.
    pub(crate) fn tree(self) -> &'a Value {
        self.0
    }

    /// Whether it was given at all, even if empty.
    pub(crate) fn has(self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    /// A text; nothing when absent or when it is something else.
    pub(crate) fn text(self, name: &str) -> Option<&'a str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// A text that has to be there and not be empty.
    pub(crate) fn need(self, name: &str) -> Result<&'a str, ApiError> {
        self.text(name)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| ApiError::missing(name))
    }

    /// A truth value, however the protocol writes it.
    pub(crate) fn flag(self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(other) => Err(ApiError::malformed(name, other)),
        }
    }

    /// A whole number, however the protocol writes it.
    pub(crate) fn number(self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let number = value
                    .as_i64()
                    .or_else(|| value.as_str().and_then(|text| text.parse().ok()));
                let number = number.ok_or_else(|| ApiError::malformed(name, value))?;
                Ok(Some(number))
            }
        }
    }

    /// A structure.
    pub(crate) fn section(self, name: &str) -> Option<Params<'a>> {
        self.0
            .get(name)
            .filter(|value| value.is_object())
            .map(Params)
    }

    /// The elements of a list: `Name.1`, `Name.member.1` or a JSON array; empty when absent.
    pub(crate) fn items(self, name: &str) -> Vec<&'a Value> {
        match self.0.get(name) {
            Some(Value::Array(items)) => items.iter().collect(),
            Some(Value::Object(map)) => {
                let map = match map.get("member").and_then(Value::as_object) {
                    Some(members) => members,
                    None => map,
                };
                let mut numbered: Vec<(u32, &Value)> = map
                    .iter()
                    .filter_map(|(number, value)| Some((number.parse().ok()?, value)))
                    .collect();
                numbered.sort_by_key(|(number, _)| *number);
                numbered.into_iter().map(|(_, value)| value).collect()
            }
            _ => Vec::new(),
        }
    }

    /// A list of texts; empty when absent.
    pub(crate) fn texts(self, name: &str) -> Vec<&'a str> {
        self.items(name)
            .into_iter()
            .filter_map(Value::as_str)
            .collect()
    }

    /// A list of structures; empty when absent.
    pub(crate) fn sections(self, name: &str) -> Vec<Params<'a>> {
        self.items(name).into_iter().map(Params).collect()
    }

    /// The names at the top.
    pub(crate) fn names(self) -> impl Iterator<Item = &'a str> {
        self.0
            .as_object()
            .into_iter()
            .flat_map(|map| map.keys().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_read_alike_in_every_protocol() {
        let json = json!({"Id": ["a", "b"]});
        let ec2 = json!({"Id": {"2": "b", "1": "a"}});
        let query = json!({"Id": {"member": {"1": "a", "2": "b"}}});
        for tree in [json, ec2, query] {
            assert_eq!(Params::new(&tree).texts("Id"), ["a", "b"]);
        }
        let ten = json!({"Id": {"10": "j", "9": "i"}});
        assert_eq!(Params::new(&ten).texts("Id"), ["i", "j"]);
    }

    #[test]
    fn numbers_and_flags_come_as_texts_too() {
        let tree = json!({"A": "7", "B": 7, "C": "true", "D": "maybe"});
        let params = Params::new(&tree);
        assert_eq!(params.number("A").unwrap(), params.number("B").unwrap());
        assert_eq!(params.flag("C").unwrap(), Some(true));
        assert!(params.flag("D").is_err());
        assert_eq!(params.flag("E").unwrap(), None);
    }
}
