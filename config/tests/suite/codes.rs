//! The table of codes and the tests belong together.

use pipectl_config::diagnostics::CODES;

/// Every code of the table appears in a test of this suite, or beside the code that gives it.
#[test]
fn every_code_has_a_case() {
    let tests = [
        include_str!("files.rs"),
        include_str!("kafka.rs"),
        include_str!("manifests.rs"),
        include_str!("names.rs"),
        include_str!("places.rs"),
        include_str!("secrets.rs"),
        include_str!("shape.rs"),
        include_str!("../../src/overrides.rs"),
    ];
    let missing: Vec<&str> = CODES
        .iter()
        .map(|info| info.code)
        .filter(|code| !tests.iter().any(|text| text.contains(&format!("[{code}]"))))
        .collect();
    assert!(missing.is_empty(), "codes without a case: {missing:?}");
}
