//! The stand-in for Strimzi on the real control plane: installed by real Helm, seen through the API alone.

mod support;

use kube::api::{Api, DeleteParams, DynamicObject};
use kube::core::ApiResource;
use pipectl_sandbox::StartOptions;
use serde_json::json;
use support::custom;
use support::strimzi::{KAFKA, NAMESPACE, READY, Strimzi, has, of_cluster};

const BROKERS: &str = "strimzi.io/pool-name=broker-pool";

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_comes_up_changes_and_goes() {
    let strimzi = Strimzi::install("0.47.0").await;
    let (kafka, topics, pods) = (strimzi.kafka(), strimzi.topics(), strimzi.pods());

    // Up: in any order, ready only when everything is.
    strimzi.apply_topic("streaming-topic", 3, 3).await;
    strimzi
        .apply_kafka(
            "3.9.0",
            json!({"default.replication.factor": 3, "min.insync.replicas": 2}),
        )
        .await;
    strimzi
        .until(&kafka, KAFKA, "NotReady=True/InvalidConfigurationException")
        .await;
    strimzi.apply_pool("broker-pool", "broker", 3, true).await;
    strimzi
        .apply_pool("controller", "controller", 3, true)
        .await;
    let ready = strimzi.until(&kafka, KAFKA, READY).await;
    assert_eq!(
        ready.data["status"]["listeners"][0]["bootstrapServers"],
        "streaming-cluster-kafka-bootstrap.kafka.svc:9092"
    );
    let brokers = strimzi.names(&pods, BROKERS).await;
    assert_eq!(
        brokers,
        [
            "streaming-cluster-broker-pool-0",
            "streaming-cluster-broker-pool-1",
            "streaming-cluster-broker-pool-2"
        ]
    );
    let topic = strimzi.until(&topics, "streaming-topic", READY).await;
    assert_eq!(
        topic.metadata.finalizers.as_deref(),
        Some(&["strimzi.io/topic-operator".to_owned()][..])
    );
    let id = topic.data["status"]["topicId"].clone();

    // At rest nothing is written.
    let watched = [
        kafka.clone(),
        topics.clone(),
        strimzi.pools(),
        pods.clone(),
        strimzi.claims(),
    ];
    strimzi.cluster.settle(&watched).await;

    // Topics: what cannot be is refused, and the topic stays what it was.
    strimzi.apply_topic("streaming-topic", 1, 3).await;
    strimzi
        .until(&topics, "streaming-topic", "Ready=False/NotSupported")
        .await;
    strimzi.apply_topic("streaming-topic", 6, 3).await;
    let topic = strimzi.until(&topics, "streaming-topic", READY).await;
    assert_eq!(topic.data["status"]["topicId"], id);
    strimzi.apply_topic("wide", 1, 4).await;
    strimzi
        .until(&topics, "wide", "Ready=False/KafkaError")
        .await;
    topics
        .delete("wide", &DeleteParams::default())
        .await
        .unwrap();
    strimzi.cluster.until_gone(&topics, "wide").await;

    // A version that this Strimzi doesn't run changes nothing but the status.
    strimzi
        .apply_kafka(
            "3.7.0",
            json!({"default.replication.factor": 3, "min.insync.replicas": 2}),
        )
        .await;
    strimzi
        .until(
            &kafka,
            KAFKA,
            "NotReady=True/UnsupportedKafkaVersionException",
        )
        .await;
    // A change that needs it restarts every pod, one at a time.
    let before = strimzi
        .cluster
        .uids(&pods, "strimzi.io/name=streaming-cluster-kafka")
        .await;
    let unready = strimzi
        .cluster
        .count_unready(&pods, "strimzi.io/name=streaming-cluster-kafka")
        .await;
    strimzi
        .apply_kafka(
            "3.9.1",
            json!({"default.replication.factor": 3, "min.insync.replicas": 2}),
        )
        .await;
    strimzi.until(&kafka, KAFKA, READY).await;
    assert_eq!(
        unready.finish().await,
        1,
        "pods that were away at the same time"
    );
    let after = strimzi
        .cluster
        .uids(&pods, "strimzi.io/name=streaming-cluster-kafka")
        .await;
    assert_eq!(after.len(), 6);
    assert!(
        before.iter().all(|uid| !after.contains(uid)),
        "every pod was made anew"
    );

    // Growing and shrinking a pool.
    strimzi.apply_pool("broker-pool", "broker", 4, true).await;
    let pool = strimzi
        .cluster
        .until(&strimzi.pools(), "broker-pool", |pool| {
            pool.data["status"]["replicas"] == 4
        })
        .await;
    assert_eq!(pool.data["status"]["nodeIds"], json!([0, 1, 2, 6]));
    strimzi
        .cluster
        .until(&pods, "streaming-cluster-broker-pool-6", support::is_ready)
        .await;
    strimzi.apply_pool("broker-pool", "broker", 3, true).await;
    strimzi
        .cluster
        .until_gone(&pods, "streaming-cluster-broker-pool-6")
        .await;
    strimzi
        .cluster
        .until_gone(&strimzi.claims(), "data-streaming-cluster-broker-pool-6")
        .await;
    strimzi.until(&kafka, KAFKA, READY).await;

    // Down in the wrong order: without its operator a topic hangs.
    kafka.delete(KAFKA, &DeleteParams::default()).await.unwrap();
    strimzi.cluster.until_gone(&kafka, KAFKA).await;
    let services = strimzi.core("Service", "services");
    strimzi
        .cluster
        .until_gone(&services, "streaming-cluster-kafka-bootstrap")
        .await;
    strimzi
        .cluster
        .until_none(&pods, "strimzi.io/name=streaming-cluster-entity-operator")
        .await;
    topics
        .delete("streaming-topic", &DeleteParams::default())
        .await
        .unwrap();
    strimzi.cluster.settle(&watched).await;
    assert!(
        topics
            .get("streaming-topic")
            .await
            .unwrap()
            .metadata
            .deletion_timestamp
            .is_some()
    );
    // Pods belong to the pools.
    assert_eq!(strimzi.names(&pods, BROKERS).await.len(), 3);
    for pool in ["broker-pool", "controller"] {
        strimzi
            .pools()
            .delete(pool, &DeleteParams::default())
            .await
            .unwrap();
    }
    strimzi
        .cluster
        .until_none(&pods, "strimzi.io/cluster")
        .await;
    strimzi
        .cluster
        .until_none(&strimzi.claims(), "strimzi.io/cluster")
        .await;
    strimzi.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_of_an_older_cluster_keep_brokers_from_starting() {
    let strimzi = Strimzi::install("1.2.0").await;
    let (kafka, pods) = (strimzi.kafka(), strimzi.pods());
    let up = async || {
        strimzi.apply_pool("broker-pool", "broker", 1, false).await;
        strimzi
            .apply_pool("controller", "controller", 1, true)
            .await;
        strimzi.apply_kafka("4.2.0", json!({})).await;
    };
    up().await;
    let first = strimzi.until(&kafka, KAFKA, READY).await;
    let users = strimzi.api("KafkaUser", "kafkausers");
    let spec = json!({"authentication": {"type": "scram-sha-512"}});
    strimzi
        .apply(&users, "KafkaUser", "reader", of_cluster(), spec)
        .await;
    let user = strimzi.until(&users, "reader", READY).await;
    assert_eq!(user.data["status"]["username"], "reader");
    let secret = strimzi
        .core("Secret", "secrets")
        .get("reader")
        .await
        .unwrap();
    assert!(secret.data["data"]["password"].is_string());
    kafka.delete(KAFKA, &DeleteParams::default()).await.unwrap();
    for pool in ["broker-pool", "controller"] {
        strimzi
            .pools()
            .delete(pool, &DeleteParams::default())
            .await
            .unwrap();
    }
    strimzi
        .cluster
        .until_none(&pods, "strimzi.io/pool-name")
        .await;
    strimzi
        .cluster
        .until_gone(&strimzi.claims(), "data-streaming-cluster-controller-1")
        .await;
    assert_eq!(
        strimzi.names(&strimzi.claims(), "").await,
        ["data-streaming-cluster-broker-pool-0"]
    );

    up().await;
    let crashing = |pod: &DynamicObject| {
        pod.data["status"]["containerStatuses"][0]["restartCount"].as_i64() > Some(0)
    };
    strimzi
        .cluster
        .until(&pods, "streaming-cluster-broker-pool-0", crashing)
        .await;
    let second = kafka.get(KAFKA).await.unwrap();
    assert_ne!(
        second.data["status"]["clusterId"],
        first.data["status"]["clusterId"]
    );
    assert!(!has(&second, READY));

    // Without the old claim the same resources come up.
    strimzi
        .claims()
        .delete(
            "data-streaming-cluster-broker-pool-0",
            &DeleteParams::default(),
        )
        .await
        .unwrap();
    pods.delete("streaming-cluster-broker-pool-0", &DeleteParams::default())
        .await
        .unwrap();
    strimzi.until(&kafka, KAFKA, READY).await;
    strimzi.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_works_where_it_was_told_to_and_only_where_it_can() {
    // Strimzi 0.45.0 cannot read the version of Kubernetes 1.33 and newer.
    let strimzi = Strimzi::install("0.45.0").await;
    let pods = strimzi.pods();
    let operator = "strimzi.io/kind=cluster-operator";
    strimzi
        .cluster
        .until_some(&pods, operator, |pod| {
            pod.data["status"]["containerStatuses"][0]["restartCount"].as_i64() > Some(0)
        })
        .await;
    strimzi
        .cluster
        .helm(&["uninstall", "strimzi", "-n", NAMESPACE], "strimzi")
        .await;
    strimzi.cluster.until_none(&pods, operator).await;

    // A chart before 1.0.0 that is told to watch its own namespace asks for one binding twice.
    let doubled = [
        "install",
        "strimzi",
        "strimzi-kafka-operator",
        "--version",
        "0.47.0",
        "-n",
        NAMESPACE,
        "--set",
        "watchNamespaces={kafka}",
    ];
    let error = strimzi
        .cluster
        .try_helm(&doubled, "strimzi")
        .await
        .unwrap_err();
    assert!(error.contains("already exists"), "{error}");
    strimzi
        .cluster
        .helm(&["uninstall", "strimzi", "-n", NAMESPACE], "strimzi")
        .await;

    // One that watches another namespace leaves this one alone.
    strimzi.cluster.namespace("elsewhere").await;
    let install = [
        "install",
        "strimzi",
        "strimzi-kafka-operator",
        "--version",
        "0.47.0",
        "-n",
        "elsewhere",
    ];
    strimzi.cluster.helm(&install, "strimzi").await;
    let elsewhere: ApiResource = custom("", "v1", "Pod", "pods");
    let elsewhere: Api<DynamicObject> =
        Api::namespaced_with(strimzi.cluster.client.clone(), "elsewhere", &elsewhere);
    strimzi
        .cluster
        .until_some(&elsewhere, operator, support::is_ready)
        .await;
    strimzi.apply_pool("dual", "broker", 1, true).await;
    strimzi.apply_kafka("3.9.0", json!({})).await;
    let kafka = strimzi.kafka();
    strimzi.cluster.settle(&[kafka.clone(), pods.clone()]).await;
    assert!(kafka.get(KAFKA).await.unwrap().data["status"].is_null());

    // Told to watch it, it does, and says what is missing.
    let upgrade = [
        "upgrade",
        "strimzi",
        "strimzi-kafka-operator",
        "--version",
        "0.47.0",
        "-n",
        "elsewhere",
        "--set",
        "watchNamespaces={kafka}",
    ];
    strimzi.cluster.helm(&upgrade, "strimzi").await;
    let refused = strimzi
        .until(&kafka, KAFKA, "NotReady=True/InvalidResourceException")
        .await;
    let message = refused.data["status"]["conditions"].to_string();
    assert!(message.contains("controller role"), "{message}");

    // It waits for pods no longer than it was told to.
    let hurried = [
        "upgrade",
        "strimzi",
        "strimzi-kafka-operator",
        "--version",
        "0.47.0",
        "-n",
        "elsewhere",
        "--reuse-values",
        "--set",
        "operationTimeoutMs=3000",
    ];
    strimzi.cluster.helm(&hurried, "strimzi").await;
    let spec = json!({
        "replicas": 1, "roles": ["controller"], "storage": {"type": "ephemeral"},
        "template": {"pod": {"metadata": {"annotations": {"sandbox.pipectl.dev/fail": "unready"}}}},
    });
    strimzi
        .apply(
            &strimzi.pools(),
            "KafkaNodePool",
            "stuck",
            of_cluster(),
            spec,
        )
        .await;
    let late = strimzi
        .until(&kafka, KAFKA, "NotReady=True/TimeoutException")
        .await;
    let message = late.data["status"]["conditions"].to_string();
    assert!(message.contains("streaming-cluster-stuck-1"), "{message}");
    strimzi.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
async fn the_stand_in_lives_with_the_official_definitions() {
    let Some(reference) = std::env::var_os("PIPECTL_REFERENCE_DIR") else {
        eprintln!("skipped: PIPECTL_REFERENCE_DIR is not set");
        return;
    };
    let options = StartOptions {
        crds: Some(reference.into()),
        ..StartOptions::default()
    };
    let strimzi = Strimzi::install_with("1.2.0", &options).await;
    let definitions = custom(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
    );
    let definitions: Api<DynamicObject> =
        Api::all_with(strimzi.cluster.client.clone(), &definitions);
    assert!(
        definitions
            .get_opt("kafkaconnects.kafka.strimzi.io")
            .await
            .unwrap()
            .is_some(),
        "only the official definitions have all kinds"
    );
    strimzi.apply_pool("dual", "broker", 1, true).await;
    strimzi
        .apply_pool("controller", "controller", 1, true)
        .await;
    strimzi.apply_kafka("4.3.1", json!({})).await;
    strimzi.apply_topic("streaming-topic", 1, 1).await;
    strimzi.until(&strimzi.kafka(), KAFKA, READY).await;
    strimzi
        .until(&strimzi.topics(), "streaming-topic", READY)
        .await;
    strimzi.cluster.stop().await;
}
