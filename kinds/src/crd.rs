//! Assembling CustomResourceDefinitions from schemas and names.

use serde_json::{Value, json};

/// A printer column of `kubectl get`.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Heading.
    pub name: &'static str,
    /// Where the value stands in the object.
    pub json_path: &'static str,
    /// `string`, `integer` or `date`.
    pub kind: &'static str,
}

impl Column {
    /// A column.
    #[must_use]
    pub const fn new(name: &'static str, json_path: &'static str, kind: &'static str) -> Self {
        Column {
            name,
            json_path,
            kind,
        }
    }
}

/// One API version of a kind.
#[derive(Clone, Debug)]
pub struct Version {
    /// For instance `v1beta2`.
    pub name: &'static str,
    /// Whether objects are stored in this version; exactly one version of a kind is.
    pub storage: bool,
    /// Schema of `spec`.
    pub spec: Value,
    /// Schema of `status`.
    pub status: Value,
    /// Whether an object without `spec` is refused.
    pub spec_required: bool,
    /// Columns of `kubectl get`.
    pub columns: Vec<Column>,
    /// The `scale` subresource, where the kind has one.
    pub scale: Option<Value>,
}

/// A namespaced kind with its versions.
#[derive(Clone, Debug)]
pub struct Definition {
    /// API group.
    pub group: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Plural name.
    pub plural: &'static str,
    /// Singular name.
    pub singular: &'static str,
    /// Short names for kubectl.
    pub short_names: &'static [&'static str],
    /// Categories for kubectl.
    pub categories: &'static [&'static str],
    /// Labels of the definition itself.
    pub labels: &'static [(&'static str, &'static str)],
    /// The versions.
    pub versions: Vec<Version>,
}

impl Definition {
    /// The CustomResourceDefinition as JSON.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let labels: serde_json::Map<String, Value> = self
            .labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        let mut names = json!({
            "kind": self.kind,
            "listKind": format!("{}List", self.kind),
            "plural": self.plural,
            "singular": self.singular,
        });
        if !self.short_names.is_empty() {
            names["shortNames"] = json!(self.short_names);
        }
        if !self.categories.is_empty() {
            names["categories"] = json!(self.categories);
        }
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{}.{}", self.plural, self.group), "labels": labels},
            "spec": {
                "group": self.group,
                "names": names,
                "scope": "Namespaced",
                "conversion": {"strategy": "None"},
                "versions": self.versions.iter().map(Version::to_value).collect::<Vec<_>>(),
            }
        })
    }
}

impl Version {
    fn to_value(&self) -> Value {
        let mut subresources = json!({"status": {}});
        if let Some(scale) = &self.scale {
            subresources["scale"] = scale.clone();
        }
        let mut root = json!({
            "type": "object",
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"type": "object"},
                "spec": self.spec,
                "status": self.status,
            }
        });
        if self.spec_required {
            root["required"] = json!(["spec"]);
        }
        let columns: Vec<Value> = self
            .columns
            .iter()
            .map(|column| json!({"name": column.name, "jsonPath": column.json_path, "type": column.kind}))
            .collect();
        json!({
            "name": self.name,
            "served": true,
            "storage": self.storage,
            "subresources": subresources,
            "additionalPrinterColumns": columns,
            "schema": {"openAPIV3Schema": root},
        })
    }
}
