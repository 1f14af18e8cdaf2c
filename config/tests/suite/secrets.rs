//! Secrets never show.

use crate::support::{file, findings, findings_with, load_with};
use insta::assert_snapshot;
use pipectl_config::{EnvValue, SecretError, SecretRef, SecretValue, source::MemorySource};

#[test]
fn a_written_out_secret_is_a_warning_that_does_not_repeat_it() {
    let spec = "  namespaces: [{name: a}]\n  workloads: [{name: w, namespace: a, manifests: [m.yaml]}]\n  sparkApplications:\n    - name: app\n      sparkVersion: 3.5.1\n      image: i\n      mainApplicationFile: local:///a.py\n      env:\n        DB_PASSWORD: hunter2\n        API_TOKEN: {secretRef: {env: API_TOKEN}}\n";
    let manifest = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n    - env:\n        - {name: SECRET_KEY_BASE, value: topsecret}\n        - name: ACCESS_TOKEN\n          value: |\n            hunter3\n            hunter4\n";
    let shown = findings_with(file(spec), &[("m.yaml", manifest)]);
    for secret in ["hunter", "topsecret"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert_snapshot!(shown, @r"
    warning[CFG037]: DB_PASSWORD looks like a secret that is written out here
       ╭─ pipeline.yaml:14:22
       │
    14 │         DB_PASSWORD: •••••••
       │                      ^^^^^^^
       ╰─ help: keep it elsewhere: secretRef: {env: NAME}, {file: PATH} or {awsSecretsManager: {id: ID}}; for manifests, list it under spec.secrets

    warning[CFG037]: SECRET_KEY_BASE looks like a secret that is written out here
       ╭─ m.yaml:7:42
       │
     7 │         - {name: SECRET_KEY_BASE, value: •••••••••}
       │                                          ^^^^^^^^^
       ╰─ help: keep it elsewhere: secretRef: {env: NAME}, {file: PATH} or {awsSecretsManager: {id: ID}}; for manifests, list it under spec.secrets

    warning[CFG037]: ACCESS_TOKEN looks like a secret that is written out here
       ╭─ m.yaml:10:13
       │
    10 │             •••••••
       │             ^^^^^^^
       ╰─ help: keep it elsewhere: secretRef: {env: NAME}, {file: PATH} or {awsSecretsManager: {id: ID}}; for manifests, list it under spec.secrets
    ");
}

#[test]
fn a_secret_with_its_values_in_a_manifest_is_refused_and_one_without_is_not() {
    let spec =
        "  namespaces: [{name: a}]\n  workloads: [{name: w, namespace: a, manifests: [m.yaml]}]\n";
    let empty = "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/service-account-token\nmetadata: {name: t, annotations: {kubernetes.io/service-account.name: s}}\n";
    let shown = findings_with(
        file(spec),
        &[(
            "m.yaml",
            &format!(
                "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{user: admin}}\n---\n{empty}"
            ),
        )],
    );
    assert!(!shown.contains("admin"), "{shown}");
    assert_snapshot!(shown, @r"
    error[CFG052]: Secret 's' is written out here
       ╭─ m.yaml:4:13
       │
     4 │ stringData: {user: •••••}
       │             ^
       ╰─ help: list it under spec.secrets, with secretRef: {env: NAME}, {file: PATH} or {awsSecretsManager: {id: ID}} for each value

    1 error in m.yaml; nothing was changed
    ");
    assert_eq!(findings_with(file(spec), &[("m.yaml", empty)]), "");
}

#[test]
fn what_looks_like_a_secret_is_known_to_whoever_writes_records() {
    let spec = "  sparkApplications:\n    - name: app\n      sparkVersion: 3.5.1\n      image: i\n      mainApplicationFile: local:///a.py\n      env:\n        DB_PASSWORD: hunter2\n";
    let loaded = load_with(file(spec), &[]).unwrap();
    assert_eq!(
        loaded.literal_secrets(),
        [("DB_PASSWORD".to_owned(), "hunter2".to_owned())]
    );
}

#[test]
fn other_findings_on_the_same_line_do_not_show_it_either() {
    let spec = "  kafka: {config: {sasl.jaas.config: hunter2, a: [1]}}\n  sparkOperator: {values: {password: hunter2}, webhok: true}\n";
    let shown = findings(spec);
    assert!(
        shown.contains("CFG010") && shown.contains("CFG012"),
        "{shown}"
    );
    assert!(!shown.contains("hunter2"), "{shown}");
    // Not even when the file cannot be parsed.
    let shown = findings("  a:\n    password: 'hunter2\n");
    assert!(
        shown.contains("CFG006") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[test]
fn values_come_from_where_the_reference_says_and_print_as_secret() {
    let files = MemorySource::new("").with("token.txt", "from-a-file\r\n");
    let read = |reference: SecretRef| reference.read_local(&files);
    let value = read(SecretRef::File("token.txt".to_owned())).unwrap();
    assert_eq!(value.expose(), "from-a-file");
    assert_eq!(
        format!("{value} {value:?} {:?}", Some(&value)),
        "[secret] [secret] Some([secret])"
    );
    assert_eq!(value, SecretValue::new("from-a-file"));
    // The one variable that every test process has.
    assert_eq!(
        read(SecretRef::Env("PATH".to_owned())).unwrap().expose(),
        std::env::var("PATH").unwrap()
    );
    let missing = read(SecretRef::Env("PIPECTL_TEST_NO_SUCH_VARIABLE".to_owned())).unwrap_err();
    assert!(matches!(missing, SecretError::EnvMissing(_)), "{missing}");
    assert!(matches!(
        read(SecretRef::File("gone".to_owned())),
        Err(SecretError::File { .. })
    ));
    let remote: SecretRef =
        serde_json::from_str(r#"{"awsSecretsManager": {"id": "db", "key": "password"}}"#).unwrap();
    assert_eq!(
        read(remote).unwrap_err().to_string(),
        "AWS secret db key password is not kept on this machine"
    );
}

#[test]
fn references_are_read_as_such() {
    let spec = "  namespaces: [{name: a}]\n  secrets:\n    - name: s\n      namespace: a\n      data:\n        one: {env: ONE}\n        two: {file: two.txt}\n        three: {awsSecretsManager: {id: x}}\n  sparkApplications:\n    - {name: app, sparkVersion: 3.5.1, image: i, mainApplicationFile: local:///a.py, env: {A: '1', B: {secretRef: {env: B}}}}\n";
    let loaded = load_with(file(spec), &[]).unwrap();
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.pipeline.spec.secrets[0].data.len(), 3);
    assert_eq!(
        loaded.pipeline.spec.spark_applications[0].env["B"],
        EnvValue::Secret {
            secret_ref: SecretRef::Env("B".to_owned())
        }
    );
    assert_snapshot!(findings("  secrets: [{name: s, namespace: default, data: {a: hunter2, b: {vault: x}, c: {env: A, file: b}}}]\n"), @r"
    error[CFG012]: 'spec.secrets[0].data.a' must be a mapping, not a text
       ╭─ pipeline.yaml:6:53
       │
     6 │   secrets: [{name: s, namespace: default, data: {a: •••••••, b: {vault: x}, c: {env: A, file: b}}}]
       │                                                     ^^^^^^^ expected a mapping
       ╵

    error[CFG013]: 'vault' is not a choice for 'spec.secrets[0].data.b'
       ╭─ pipeline.yaml:6:66
       │
     6 │   secrets: [{name: s, namespace: default, data: {a: •••••••, b: {vault: x}, c: {env: A, file: b}}}]
       │                                                                  ^^^^^ one of env, file, awsSecretsManager
       ╰─ help: write one of env or file or awsSecretsManager

    error[CFG013]: 'spec.secrets[0].data.c' takes exactly one of env or file or awsSecretsManager
       ╭─ pipeline.yaml:6:89
       │
     6 │   secrets: [{name: s, namespace: default, data: {a: •••••••, b: {vault: x}, c: {env: A, file: b}}}]
       │                                                                                         ^^^^
       ╵

    3 errors in pipeline.yaml; nothing was changed
    ");
}
