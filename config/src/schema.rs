//! The JSON schema of the pipeline file, made from the types.

use crate::model::{Kafka, Pipeline};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;
use std::sync::LazyLock;

fn schema_of<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

/// The JSON schema of the pipeline file (draft 2020-12).
pub fn pipeline_schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
        let mut schema = schema_of::<Pipeline>();
        schema["$id"] = Value::from("https://pipectl.dev/schemas/v1/pipeline.json");
        schema["title"] = Value::from("pipectl pipeline");
        schema
    });
    &SCHEMA
}

/// The schema of the `kafka` section by itself.
pub(crate) fn kafka_schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(schema_of::<Kafka>);
    &SCHEMA
}
