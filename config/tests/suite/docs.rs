//! The generated pages are those of the types as they are.

use pipectl_config::{pipeline_schema, reference};
use std::path::Path;

fn check(name: &str, content: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/reference")
        .join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == content,
        "docs/reference/{name} is stale; refresh it with: {}",
        reference::REFRESH
    );
}

#[test]
fn docs_pipeline_schema_is_fresh() {
    check(
        "pipeline.schema.json",
        &(serde_json::to_string_pretty(pipeline_schema()).unwrap() + "\n"),
    );
}

#[test]
fn docs_configuration_is_fresh() {
    check("configuration.md", &reference::configuration_reference());
}

#[test]
fn docs_error_codes_are_fresh() {
    check("configuration-errors.md", &reference::error_reference());
}

#[test]
fn docs_links_lead_somewhere() {
    let page = reference::configuration_reference();
    for (position, _) in page.match_indices("](#") {
        let target: String = page[position + 3..]
            .chars()
            .take_while(|character| *character != ')')
            .collect();
        assert!(
            page.lines().any(|line| line
                .strip_prefix("## ")
                .is_some_and(|title| title.to_lowercase() == target)),
            "{target}"
        );
    }
}

#[test]
fn docs_every_field_has_a_meaning() {
    fn walk(schema: &serde_json::Value, place: &str) {
        for (name, field) in schema
            .get("properties")
            .and_then(serde_json::Value::as_object)
            .into_iter()
            .flatten()
        {
            assert!(
                field.get("description").is_some() || field.get("$ref").is_some(),
                "{place}.{name} has no description"
            );
        }
    }
    walk(pipeline_schema(), "Pipeline");
    for (name, schema) in pipeline_schema()["$defs"].as_object().unwrap() {
        walk(schema, name);
    }
}
