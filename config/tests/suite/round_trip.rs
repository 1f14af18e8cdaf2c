//! What is written out and read again is the same; what is damaged is refused and never a panic.

use crate::support::load_with;
use pipectl_config::{Blueprint, LoadOptions, Override, load};
use proptest::{collection::vec, option, prelude::*};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A list whose items' names differ by their position.
fn named(items: Vec<Value>, prefix: &str) -> Value {
    let name = |(index, mut item): (usize, Value)| {
        item["name"] = json!(format!("{prefix}{index}"));
        item
    };
    Value::Array(items.into_iter().enumerate().map(name).collect())
}

/// An object of the fields that are there.
fn object(fields: Vec<(&str, Option<Value>)>) -> Value {
    Value::Object(
        fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect::<Map<_, _>>(),
    )
}

/// Texts that a reader of YAML could mistake for something else, and any others.
fn text() -> impl Strategy<Value = String> {
    let odd = [
        "",
        " ",
        "~",
        "null",
        "yes",
        "no",
        "on",
        "true",
        "0644",
        "007",
        "1.30",
        "1e3",
        "0x1f",
        "-",
        "- a",
        "a: b",
        "# x",
        "'",
        "\"",
        "@",
        "`",
        "%",
        "${kafka.name}",
        "$${kafka.name}",
        "$$${pipeline.name}",
        "${HOME}",
        "a\nb\n",
        "\ttab",
        "한글",
        "<<",
        "*a",
        "&a",
        "!tag",
        "---",
        "...",
        "\u{85}",
        "\u{feff}",
    ];
    prop_oneof![
        proptest::sample::select(odd.to_vec()).prop_map(str::to_owned),
        "[ -~가-힣\n]{0,20}"
    ]
}

/// Tags with values that AWS takes, and that a reader of YAML could mistake as well.
fn tags() -> impl Strategy<Value = Value> {
    let odd = [
        "", " ", "null", "yes", "0644", "1.30", "1e3", "0x1f", "-", "- a", "a: b", "@", "---",
        "...",
    ];
    let value = prop_oneof![
        proptest::sample::select(odd.to_vec()).prop_map(str::to_owned),
        "[a-zA-Z0-9 _.:/=+@가-힣-]{0,20}"
    ];
    vec(("k[a-z]{1,6}", value), 0..4).prop_map(|entries| {
        let text = |(key, value)| (key, Value::String(value));
        Value::Object(entries.into_iter().map(text).collect())
    })
}

fn map_of_text() -> impl Strategy<Value = Value> {
    vec(("[a-z]{1,6}", text()), 0..4).prop_map(|entries| {
        Value::Object(
            entries
                .into_iter()
                .map(|(key, value)| (key, Value::String(value)))
                .collect(),
        )
    })
}

fn kafka() -> impl Strategy<Value = Value> {
    let topic = (1..50_u32, 1..=3_u32, option::of(prop_oneof![Just("90m"), Just("600000ms"), Just("1d")]), option::of(any::<i64>())).prop_map(
        |(partitions, replicas, retention, setting)| {
            object(vec![
                ("partitions", Some(json!(partitions))),
                ("replicas", Some(json!(replicas))),
                ("retention", retention.map(|text| json!(text))),
                ("minInSyncReplicas", Some(json!(1))),
                ("config", setting.map(|value| json!({"flush.ms": value, "cleanup.policy": "compact", "preallocate": true}))),
            ])
        },
    );
    let storage =
        (1..100_u32, any::<bool>(), option::of("[a-z]{1,8}")).prop_map(|(size, delete, class)| {
            object(vec![
                ("size", Some(json!(format!("{size}Gi")))),
                ("deleteClaim", Some(json!(delete))),
                ("class", class.map(Value::from)),
            ])
        });
    let pools = storage.prop_map(|storage| {
        json!([
            {"name": "brokers", "roles": ["broker"], "replicas": 3, "storage": storage, "resources": {"requests": {"cpu": "1500m", "memory": "1024Mi"}}},
            {"name": "controllers", "roles": ["controller"]},
        ])
    });
    ("[a-z]{1,10}", vec(topic, 0..4), option::of(pools), any::<bool>()).prop_map(|(name, topics, pools, tls)| {
        object(vec![
            ("name", Some(json!(name))),
            ("topics", Some(named(topics, "topic-"))),
            ("nodePools", pools),
            ("listeners", tls.then(|| json!([{"name": "plain", "port": 9092}, {"name": "secure", "port": 9093, "tls": true}]))),
            ("config", Some(json!({"auto.create.topics.enable": false, "num.partitions": 3, "compression.type": "lz4"}))),
        ])
    })
}

fn spark_application() -> impl Strategy<Value = Value> {
    (1..8_u32, 1..16_u64, map_of_text(), map_of_text(), vec(text(), 0..3)).prop_map(|(instances, memory, env, conf, arguments)| {
        json!({
            "sparkVersion": "3.5.1", "image": "example/spark:1", "mainApplicationFile": "local:///app.py",
            "executor": {"instances": instances, "memory": format!("{memory}g")}, "env": env, "sparkConf": conf, "arguments": arguments,
        })
    })
}

fn spec() -> impl Strategy<Value = Value> {
    let provider = prop_oneof![
        Just(json!("sandbox")),
        Just(json!({"existing": {"kubeconfig": "k", "context": "c"}})),
        Just(json!({"eks": {"region": "us-west-2", "account": "012345678901"}})),
    ];
    let workload = (map_of_text(), any::<bool>()).prop_map(|(data, enabled)| {
        json!({"namespace": "apps", "enabled": enabled, "objects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": data}]})
    });
    (
        provider,
        option::of(kafka()),
        vec(spark_application(), 0..3),
        vec(workload, 0..2),
        option::of(1..10_000_u64),
        tags(),
        any::<bool>(),
    )
        .prop_map(
            |(provider, kafka, applications, workloads, ttl, tags, pods)| {
                // Two workloads would have the same ConfigMap; one at most keeps it unique.
                let workloads = workloads.into_iter().take(1).collect();
                object(vec![
                    ("provider", Some(provider)),
                    ("kafka", kafka),
                    (
                        "namespaces",
                        Some(json!([{"name": "apps", "labels": {"team": "data"}}])),
                    ),
                    ("sparkApplications", Some(named(applications, "app-"))),
                    ("workloads", Some(named(workloads, "workload-"))),
                    ("ttl", ttl.map(|seconds| json!(format!("{seconds}s")))),
                    ("tags", Some(tags)),
                    ("verification", Some(json!({"checks": {"pods": pods}}))),
                ])
            },
        )
}

/// Does not begin substitutions that stand for nothing, which random text could contain.
fn protected(value: &mut Value) {
    match value {
        Value::String(text) => {
            *text = text
                .replace("${kafka.", "$${kafka.")
                .replace("${pipeline.", "$${pipeline.")
        }
        Value::Array(items) => items.iter_mut().for_each(protected),
        Value::Object(fields) => fields.values_mut().for_each(protected),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn written_out_and_read_again_is_the_same(mut spec in spec()) {
        protected(&mut spec);
        let file = json!({"apiVersion": "pipectl.dev/v1", "kind": "Pipeline", "metadata": {"name": "demo"}, "spec": spec});
        // JSON is YAML; as such, the first reading depends on no writer of YAML.
        let first = load_with(file.to_string(), &[]);
        let first = first.unwrap_or_else(|diagnostics| panic!("{diagnostics}\n{file}"));
        let written = first.pipeline.to_yaml();
        let second = load_with(written.clone(), &[]);
        let second = second.unwrap_or_else(|diagnostics| panic!("{diagnostics}\n{written}"));
        prop_assert_eq!(&first.pipeline, &second.pipeline);
        prop_assert_eq!(first.pipeline.digest(), second.pipeline.digest());
        prop_assert_eq!(first.digest(), second.digest());
        prop_assert_eq!(written, second.pipeline.to_yaml());
    }

    #[test]
    fn a_damaged_file_is_refused_or_read_but_never_a_panic(edits in vec(edit(), 1..6), which in any::<prop::sample::Index>()) {
        let blueprint = Blueprint::get("streaming").unwrap();
        let target = blueprint.files()[which.index(blueprint.files().len())].0;
        let mut source = blueprint.source();
        for (path, content) in blueprint.files().iter().filter(|(path, _)| *path == target || *path == "pipeline.yaml") {
            let mut text: Vec<char> = content.chars().collect();
            for edit in &edits {
                apply(edit, &mut text);
            }
            source = source.with(*path, text.into_iter().collect::<String>());
        }
        if let Err(diagnostics) = load(Arc::new(source), "pipeline.yaml", &LoadOptions::default()) {
            prop_assert!(diagnostics.errors() > 0);
            prop_assert!(diagnostics.render(true).len() >= diagnostics.render(false).len());
        }
    }

    #[test]
    fn any_text_is_refused_or_read_but_never_a_panic(text in "[ -~\n\t한글\u{0}-\u{1f}\u{2028}{}\\[\\]:&*!|>'\"%@`#,?-]{0,200}") {
        let _ = load_with(text, &[]).map_err(|diagnostics| diagnostics.render(false));
    }

    #[test]
    fn any_override_is_refused_or_applied_but_never_a_panic(path in "[a-zA-Z.\\[\\]\"0-9 한]{1,40}", value in text()) {
        let overrides = vec![Override { path, value }];
        let options = LoadOptions { overrides, ..LoadOptions::default() };
        let _ = Blueprint::get("streaming").unwrap().load(&options).map_err(|diagnostics| diagnostics.render(false));
    }
}

#[derive(Debug, Clone)]
enum Edit {
    Insert(prop::sample::Index, String),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
    Swap(prop::sample::Index, prop::sample::Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let pieces = [
        "\n",
        "  ",
        ": ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        "'",
        "\"",
        "&a ",
        "*a",
        "<<: ",
        "|",
        "#",
        "${kafka.",
        "null",
        "-1",
        "9".repeat(30).leak(),
        "\t",
        "é",
        "\u{0}",
    ];
    prop_oneof![
        (
            any::<prop::sample::Index>(),
            proptest::sample::select(pieces.to_vec())
        )
            .prop_map(|(at, piece)| Edit::Insert(at, piece.to_owned())),
        (any::<prop::sample::Index>(), 1..200_usize)
            .prop_map(|(at, length)| Edit::Remove(at, length)),
        (any::<prop::sample::Index>(), 1..200_usize)
            .prop_map(|(at, length)| Edit::Repeat(at, length)),
        (any::<prop::sample::Index>(), any::<prop::sample::Index>())
            .prop_map(|(left, right)| Edit::Swap(left, right)),
    ]
}

fn apply(edit: &Edit, text: &mut Vec<char>) {
    let position =
        |index: &prop::sample::Index, text: &[char]| index.index(text.len().max(1)).min(text.len());
    match edit {
        Edit::Insert(at, piece) => {
            let at = position(at, text);
            text.splice(at..at, piece.chars());
        }
        Edit::Remove(at, length) => {
            let at = position(at, text);
            text.drain(at..(at + length).min(text.len()));
        }
        Edit::Repeat(at, length) => {
            let at = position(at, text);
            let part = text[at..(at + length).min(text.len())].to_vec();
            text.splice(at..at, part);
        }
        Edit::Swap(left, right) if !text.is_empty() => {
            let (left, right) = (position(left, text), position(right, text));
            let last = text.len() - 1;
            text.swap(left.min(last), right.min(last));
        }
        Edit::Swap(..) => {}
    }
}
