//! Files that are no pipeline files, or no files at all.

use crate::support::{file, findings, findings_with};
use insta::assert_snapshot;
use pipectl_config::{LoadOptions, load_path};
use std::path::Path;

/// What is wrong with a file on disk, its directory named `DIR`.
fn on_disk(directory: &Path, name: &str) -> String {
    let error = load_path(&directory.join(name), &LoadOptions::default()).unwrap_err();
    error
        .render(false)
        .replace(directory.to_str().unwrap(), "DIR")
}

#[test]
fn what_is_not_a_readable_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    assert_snapshot!(on_disk(path, "gone.yaml"), @r"
    error[CFG001]: there is no file DIR/gone.yaml
       ╭─ DIR/gone.yaml
       ╰─ help: check the name; without a file, pipectl takes the built-in blueprint

    1 error in DIR/gone.yaml; nothing was changed
    ");
    assert_snapshot!(on_disk(path, ""), @r"
    error[CFG002]: DIR is a directory, not a pipeline file
       ╭─ DIR
       ╰─ help: name the file in it, such as DIR/pipeline.yaml

    1 error in DIR; nothing was changed
    ");
    std::fs::write(path.join("latin1.yaml"), b"name: caf\xe9\n").unwrap();
    assert_snapshot!(on_disk(path, "latin1.yaml"), @r"
    error[CFG003]: DIR/latin1.yaml is not UTF-8 text: byte 9, on line 1
       ╭─ DIR/latin1.yaml
       ╰─ help: save the file as UTF-8

    1 error in DIR/latin1.yaml; nothing was changed
    ");
    std::fs::write(path.join("huge.yaml"), vec![b'#'; 5 * 1024 * 1024]).unwrap();
    assert_snapshot!(on_disk(path, "huge.yaml"), @r"
    error[CFG005]: DIR/huge.yaml is not read: it has 5242880 bytes, more than the 4194304 that are read
       ╭─ DIR/huge.yaml
       ╰─ help: a pipeline file has some kilobytes; is this the right file?

    1 error in DIR/huge.yaml; nothing was changed
    ");
    std::fs::write(path.join("empty.yaml"), "# nothing\n---\n").unwrap();
    assert_snapshot!(on_disk(path, "empty.yaml"), @r"
    error[CFG004]: the pipeline file is empty
       ╭─ DIR/empty.yaml
       ╰─ help: the smallest pipeline has apiVersion: pipectl.dev/v1, kind: Pipeline and metadata: {name: NAME}

    1 error in DIR/empty.yaml; nothing was changed
    ");
    assert_snapshot!(on_disk(path, "empty.yaml/deeper"), @r"
    error[CFG001]: there is no file DIR/empty.yaml/deeper
       ╭─ DIR/empty.yaml/deeper
       ╰─ help: check the name; without a file, pipectl takes the built-in blueprint

    1 error in DIR/empty.yaml/deeper; nothing was changed
    ");
}

#[test]
#[cfg(unix)]
fn a_device_is_refused_and_never_read() {
    assert_snapshot!(load_path(Path::new("/dev/zero"), &LoadOptions::default()).unwrap_err().render(false), @r"
    error[CFG001]: cannot read /dev/zero: it is neither a file nor a directory
       ╭─ /dev/zero
       ╵

    1 error in /dev/zero; nothing was changed
    ");
}

#[test]
fn what_is_not_yaml() {
    assert_snapshot!(findings_with("metadata:\n  name: 'open\n", &[]), @r"
    error[CFG006]: this is not valid YAML: while scanning a quoted scalar, found unexpected end of stream
       ╭─ pipeline.yaml:2:9
       │
     2 │   name: 'open
       │         ^
       ╰─ help: check indentation, quotes and brackets on this line and the one above

    1 error in pipeline.yaml; nothing was changed
    ");
    assert_snapshot!(findings_with("metadata:\n\tname: tab\n", &[]), @r"
    error[CFG006]: this is not valid YAML: tabs disallowed within this context (block indentation)
       ╭─ pipeline.yaml:2:2
       │
     2 │  name: tab
       │  ^
       ╰─ help: indent with spaces; YAML allows no tabs there

    1 error in pipeline.yaml; nothing was changed
    ");
    assert_snapshot!(findings_with("a: [1, 2\nb: 3\n", &[]), @r"
    error[CFG006]: this is not valid YAML: illegal placement of ':' indicator
       ╭─ pipeline.yaml:2:2
       │
     2 │ b: 3
       │  ^
       ╰─ help: check indentation, quotes and brackets on this line and the one above

    1 error in pipeline.yaml; nothing was changed
    ");
    assert_snapshot!(findings_with("a: b: c\n", &[]), @r"
    error[CFG006]: this is not valid YAML: mapping values are not allowed in this context
       ╭─ pipeline.yaml:1:5
       │
     1 │ a: b: c
       │     ^
       ╰─ help: check indentation, quotes and brackets on this line and the one above

    1 error in pipeline.yaml; nothing was changed
    ");
    assert_snapshot!(findings_with("a: *nowhere\n", &[]), @r"
    error[CFG006]: this is not valid YAML: while parsing node, found unknown anchor
       ╭─ pipeline.yaml:1:4
       │
     1 │ a: *nowhere
       │    ^
       ╰─ help: check indentation, quotes and brackets on this line and the one above

    1 error in pipeline.yaml; nothing was changed
    ");
}

#[test]
fn what_is_yaml_but_no_pipeline() {
    assert_snapshot!(findings_with("just a text", &[]), @r"
    error[CFG009]: a pipeline is a mapping, not a text
       ╭─ pipeline.yaml:1:1
       │
     1 │ just a text
       │ ^^^^^^^^^^^
       ╰─ help: begin with apiVersion: pipectl.dev/v1

    1 error in pipeline.yaml; nothing was changed
    ");
    assert_snapshot!(findings_with("- a\n- b\n", &[]), @r"
    error[CFG009]: a pipeline is a mapping, not a list
       ╭─ pipeline.yaml:1:3
       │
     1 │ - a
       │   ^
       ╰─ help: begin with apiVersion: pipectl.dev/v1

    1 error in pipeline.yaml; nothing was changed
    ");
    assert_snapshot!(findings_with("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: was}\nspec: {replicas: 1}\n", &[]), @r"
    error[CFG009]: 'apps/v1' is not a choice for 'apiVersion'
       ╭─ pipeline.yaml:1:13
       │
     1 │ apiVersion: apps/v1
       │             ^^^^^^^ pipectl.dev/v1
       ╰─ help: write pipectl.dev/v1

    error[CFG009]: 'Deployment' is not a choice for 'kind'
       ╭─ pipeline.yaml:2:7
       │
     2 │ kind: Deployment
       │       ^^^^^^^^^^ Pipeline
       ╰─ help: write Pipeline

    error[CFG010]: unknown field 'replicas' in spec
       ╭─ pipeline.yaml:4:8
       │
     4 │ spec: {replicas: 1}
       │        ^^^^^^^^ not known here
       ╰─ help: known here: provider, network, cluster, nodeGroups, addons, strimzi, kafka, sparkOperator, namespaces, secrets, workloads, sparkApplications, verification, mirrors, timeouts, ttl, tags

    3 errors in pipeline.yaml; nothing was changed
    ");
    assert_snapshot!(findings_with("{}", &[]), @r"
    error[CFG011]: 'apiVersion' is missing in the file
       ╭─ pipeline.yaml:1:1
       │
     1 │ {}
       │ ^ needs 'apiVersion'
       ╰─ help: add apiVersion: the format of the file; always `pipectl.dev/v1`

    error[CFG011]: 'kind' is missing in the file
       ╭─ pipeline.yaml:1:1
       │
     1 │ {}
       │ ^ needs 'kind'
       ╰─ help: add kind: what the file declares; always `Pipeline`

    error[CFG011]: 'metadata' is missing in the file
       ╭─ pipeline.yaml:1:1
       │
     1 │ {}
       │ ^ needs 'metadata'
       ╰─ help: add metadata: what the pipeline is called

    3 errors in pipeline.yaml; nothing was changed
    ");
    assert_snapshot!(findings_with(file("  ttl: 1h\n---\nkind: Service\n"), &[]), @r"
    error[CFG008]: a second document begins here; a pipeline file has one
       ╭─ pipeline.yaml:8:1
       │
     8 │ kind: Service
       │ ^^^^
       ╰─ help: put manifests into files of their own and name them in a workload

    1 error in pipeline.yaml; nothing was changed
    ");
}

#[test]
fn a_key_that_is_set_twice() {
    assert_snapshot!(findings("  ttl: 1h\n  kafka: {}\n  ttl: 2h\n"), @r"
    error[CFG007]: 'ttl' is set twice in the same mapping
       ╭─ pipeline.yaml:8:3
       │
     8 │   ttl: 2h
       │   ^^^
       ╰─ help: remove one of the two; the first is on line 6

    1 error in pipeline.yaml; nothing was changed
    ");
}

#[test]
fn hostile_files_end_at_the_limits() {
    let mut laughs = String::from("  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        laughs += &format!(
            "  a{level}: &a{level} [{}]\n",
            vec![format!("*a{}", level - 1); 10].join(", ")
        );
    }
    assert_snapshot!(findings(&laughs), @r"
    error[CFG005]: the file has more than 200000 values, aliases counted each time
       ╭─ pipeline.yaml:11:12
       │
    11 │   a5: &a5 [*a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4]
       │            ^^^
       ╵

    1 error in pipeline.yaml; nothing was changed
    ");
    assert_snapshot!(findings(&format!("  kafka: {}", "[".repeat(100))), @r"
    error[CFG005]: values are nested more than 64 deep
       ╭─ pipeline.yaml:6:72
       │
     6 │   kafka: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[
       │                                                                        ^
       ╵

    1 error in pipeline.yaml; nothing was changed
    ");
    assert_snapshot!(findings_with("a: ".repeat(3) + &"{b: ".repeat(100_000), &[]).lines().next().unwrap(), @r"error[CFG006]: this is not valid YAML: mapping values are not allowed in this context");
}
