//! Everything that pipectl renders, held against the official definitions and charts of Strimzi and of the Spark operator.
//!
//! | file | what |
//! | --- | --- |
//! | `pipelines.rs` | the pipelines that are rendered, and the proof that they leave no option out |
//! | `rendered.rs` | strict server-side dry runs on a real API server with the official definitions |
//! | `charts.rs` | chart values against the keys that the official charts know |
//! | `brought_up.rs` | the whole blueprint, on a sandbox whose charts hold the official definitions |
//! | `support.rs` | one sandbox in a directory of its own, the reference data, the program |
//!
//! The reference data is not part of the project: `PIPECTL_REFERENCE_DIR` names a directory with `NAME-VERSION/crds/*.yaml`
//! and `NAME-VERSION/values.yaml`. Where the variable is unset, these tests say so and check nothing.

mod brought_up;
mod charts;
mod pipelines;
mod rendered;
mod support;
