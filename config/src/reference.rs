//! The configuration reference, made from the schema and the table of codes.

use crate::{
    compat::strimzi_table,
    diagnostics::{CODES, codes},
    schema::pipeline_schema,
    units::{Cpu, KubernetesVersion, Period, Size, SparkMemory, Version},
};
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// The command that refreshes the generated pages.
pub const REFRESH: &str = "UPDATE_DOCS=1 cargo test -p pipectl-config --test suite docs";

/// The configuration reference as Markdown: every section with its fields, their kinds, defaults and meanings.
pub fn configuration_reference() -> String {
    let root = pipeline_schema();
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<!-- Generated from the types; do not edit. Refresh: {REFRESH} -->\n"
    );
    out += INTRODUCTION;
    let mut pages = Pages {
        root,
        order: vec!["Pipeline".to_owned()],
    };
    let mut next = 0;
    while next < pages.order.len() {
        let name = pages.order[next].clone();
        let schema = if name == "Pipeline" {
            root
        } else {
            &root["$defs"][&name]
        };
        pages.section(&mut out, &name, schema);
        next += 1;
    }
    out
}

/// The table of error codes as Markdown.
pub fn error_reference() -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<!-- Generated from the table of codes; do not edit. Refresh: {REFRESH} -->\n"
    );
    out += "# Error codes of the pipeline file\n\n`pipectl explain CODE` shows the same.\n";
    for info in CODES {
        let _ = write!(
            out,
            "\n## {}: {}\n\n{}\n\n```yaml\n{}\n```\n",
            info.code,
            info.title.trim_end_matches('.'),
            info.explanation,
            info.example
        );
        if info.code == codes::KAFKA_VERSION {
            let _ = write!(out, "\n```text\n{}```\n", strimzi_table());
        }
    }
    out
}

const INTRODUCTION: &str = "# The pipeline file

A pipeline is one YAML file. The smallest one:

```yaml
apiVersion: pipectl.dev/v1
kind: Pipeline
metadata: {name: demo}
spec:
  kafka: {}
```

Unknown fields, keys that are set twice and fields that are left empty are refused; every error of a file is shown at once, with
its code ([what they mean](configuration-errors.md)). Fields of text take what is written, so that `1.30` needs no quotes. Anchors,
aliases and `<<` work. [pipeline.schema.json](pipeline.schema.json) is the same as a JSON schema, for editors.

**Units.** Durations: whole numbers with `ms`, `s`, `m`, `h`, `d` (`1h30m`). Sizes: `Ki`, `Mi`, `Gi`, `Ti` or `k`, `M`, `G`, `T`.
CPU: cores (`1.5`) or thousandths (`500m`). Spark memory: `512m`, `2g`.

**Substitutions.** In text values outside the `kafka` section, and in manifests: `${kafka.bootstrap}` (`CLUSTER-kafka-bootstrap.NAMESPACE.svc:PORT`),
`${kafka.bootstrapFqdn}` (the same with `.svc.cluster.local`), `${kafka.bootstrap.LISTENER}`, `${kafka.name}`, `${kafka.namespace}`,
`${pipeline.name}`. Any other `${...}` stays as it is; `$${kafka.name}` stands for the characters `${kafka.name}`.

**Single values from the command line.** `--set PATH=VALUE`, with the path's dots between fields, and a list's position or an
item's name in brackets; `spec.` may be left out: `--set kafka.topics[streaming-topic].partitions=6`. A name with dots goes into
brackets too: `--set sparkApplications[app].sparkConf[spark.executor.extraJavaOptions]=-Xss4m`.

**Paths** of manifests, code and kubeconfig files are relative to the pipeline file.
";

struct Pages<'a> {
    root: &'a Value,
    /// The sections in the order in which they are first mentioned.
    order: Vec<String>,
}

impl Pages<'_> {
    fn section(&mut self, out: &mut String, name: &str, schema: &Value) {
        let _ = write!(out, "\n## {name}\n\n{}\n", description(schema));
        if let Some(alternatives) = schema
            .get("oneOf")
            .or_else(|| schema.get("anyOf"))
            .and_then(Value::as_array)
        {
            self.alternatives(out, alternatives);
            return;
        }
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            self.fields(out, schema, properties);
        }
    }

    fn fields(&mut self, out: &mut String, schema: &Value, properties: &Map<String, Value>) {
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        *out += "\n| field | kind | default | meaning |\n| --- | --- | --- | --- |\n";
        for (field, schema) in properties {
            let kind = self.kind(schema);
            let default = if required.contains(&field.as_str()) {
                "**required**".to_owned()
            } else {
                default_of(schema)
            };
            let _ = writeln!(
                out,
                "| `{field}` | {kind} | {default} | {} |",
                cell(&format!("{}{}", description(schema), bounds(schema)))
            );
        }
    }

    fn alternatives(&mut self, out: &mut String, alternatives: &[Value]) {
        *out += "\n| written as | meaning |\n| --- | --- |\n";
        for alternative in alternatives {
            let written = match (
                alternative.get("const"),
                alternative.get("properties").and_then(Value::as_object),
            ) {
                (Some(word), _) => format!("`{}`", word.as_str().unwrap_or_default()),
                (None, Some(properties)) => properties
                    .iter()
                    .map(|(key, schema)| format!("`{key}:` {}", self.kind(schema)))
                    .collect::<Vec<_>>()
                    .join(", "),
                (None, None) => self.kind(alternative),
            };
            let _ = writeln!(out, "| {written} | {} |", cell(&description(alternative)));
        }
    }

    /// What a field takes, with links to other sections.
    fn kind(&mut self, schema: &Value) -> String {
        if let Some(name) = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|name| name.strip_prefix("#/$defs/"))
        {
            let target = &self.root["$defs"][name];
            return unit(target).map_or_else(|| self.link(name, target), str::to_owned);
        }
        if let Some(alternatives) = schema
            .get("anyOf")
            .or_else(|| schema.get("oneOf"))
            .and_then(Value::as_array)
        {
            let kinds: Vec<String> = alternatives
                .iter()
                .filter(|schema| schema.get("type").and_then(Value::as_str) != Some("null"))
                .map(|schema| self.kind(schema))
                .collect();
            return kinds.join(" or ");
        }
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::String(kind)) => vec![kind],
            Some(Value::Array(kinds)) => kinds
                .iter()
                .filter_map(Value::as_str)
                .filter(|kind| *kind != "null")
                .collect(),
            _ => return "anything".to_owned(),
        };
        match types[..] {
            ["array"] => format!("list of {}", self.kind(&schema["items"])),
            ["object"] => match schema.get("additionalProperties") {
                Some(values @ Value::Object(_)) => format!("mapping of {}", self.kind(values)),
                _ => "mapping".to_owned(),
            },
            ["integer"] => "whole number".to_owned(),
            ["boolean"] => "true or false".to_owned(),
            ["string"] => "text".to_owned(),
            _ => types.join(" or "),
        }
    }

    fn link(&mut self, name: &str, target: &Value) -> String {
        // A few words are listed where they are used.
        if let Some(words) = words_of(target) {
            return words
                .iter()
                .map(|word| format!("`{word}`"))
                .collect::<Vec<_>>()
                .join(", ");
        }
        if !self.order.iter().any(|known| known == name) {
            self.order.push(name.to_owned());
        }
        format!("[{name}](#{})", name.to_lowercase())
    }
}

/// The words of a type that is nothing but words.
fn words_of(schema: &Value) -> Option<Vec<&str>> {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return words.iter().map(Value::as_str).collect();
    }
    let alternatives = schema.get("oneOf")?.as_array()?;
    let words = alternatives
        .iter()
        .map(|alternative| match alternative.get("enum") {
            Some(Value::Array(words)) => {
                words.iter().map(Value::as_str).collect::<Option<Vec<_>>>()
            }
            _ => alternative
                .get("const")
                .and_then(Value::as_str)
                .map(|word| vec![word]),
        });
    words
        .collect::<Option<Vec<_>>>()
        .map(|words| words.concat())
}

fn unit(schema: &Value) -> Option<&'static str> {
    let format = schema.get("format")?.as_str()?;
    [
        (Period::FORMAT, "duration"),
        (Size::FORMAT, "size"),
        (SparkMemory::FORMAT, "Spark memory"),
        (Cpu::FORMAT, "CPU"),
        (Version::FORMAT, "version"),
        (KubernetesVersion::FORMAT, "Kubernetes version"),
    ]
    .into_iter()
    .find(|(known, _)| *known == format)
    .map(|(_, words)| words)
}

fn description(schema: &Value) -> String {
    schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// The default in a table's cell; long ones are left to the section of their type.
fn default_of(schema: &Value) -> String {
    match schema.get("default") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) if text.is_empty() => "empty".to_owned(),
        Some(Value::String(text)) => format!("`{}`", cell(text)),
        Some(Value::Array(items)) if items.is_empty() => "none".to_owned(),
        Some(Value::Object(object)) if object.is_empty() => "none".to_owned(),
        Some(value) => {
            let text = value.to_string();
            if text.len() <= 40 {
                format!("`{}`", cell(&text))
            } else {
                "see there".to_owned()
            }
        }
    }
}

fn bounds(schema: &Value) -> String {
    if let Some(choices) = schema.get("enum").and_then(Value::as_array)
        && choices.iter().all(Value::is_number)
    {
        let all: Vec<String> = choices.iter().map(Value::to_string).collect();
        return format!(" One of {}.", all.join(", "));
    }
    let bound = |key: &str| schema.get(key).and_then(Value::as_i64);
    match (
        bound("minimum").filter(|least| *least > 0),
        bound("maximum"),
    ) {
        (Some(least), Some(most)) => format!(" From {least} to {most}."),
        (Some(least), None) => format!(" At least {least}."),
        _ => String::new(),
    }
}

/// A text for a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
