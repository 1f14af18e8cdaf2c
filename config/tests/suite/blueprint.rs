//! The `streaming` blueprint, figure by figure.

use pipectl_config::{
    Blueprint, Cpu, CreatedBy, LoadOptions, Loaded, NodePoolRole, Override, Provider, PullPolicy,
    Size, SparkLanguage, SparkMemory, SparkMode, load_path,
};
use serde_json::{Value, json};
use std::path::Path;

fn streaming() -> Loaded {
    let loaded = Blueprint::get("streaming")
        .unwrap()
        .load(&LoadOptions::default());
    loaded.unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

const ADDRESS: &str = "streaming-cluster-kafka-bootstrap.kafka.svc.cluster.local:9092";

#[test]
fn it_loads_without_a_word() {
    let loaded = streaming();
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.pipeline.metadata.name, "streaming");
    assert_eq!(loaded.file, "blueprint streaming: pipeline.yaml");
}

#[test]
fn kafka_has_the_documented_figures() {
    let spec = streaming().pipeline.spec;
    let kafka = spec.kafka.unwrap();
    assert_eq!(
        (kafka.name.as_str(), kafka.namespace.as_str()),
        ("streaming-cluster", "kafka")
    );
    assert_eq!((kafka.brokers(), kafka.controllers()), (3, 3));
    let pools: Vec<(&str, &[NodePoolRole])> = kafka
        .node_pools
        .iter()
        .map(|pool| (pool.name.as_str(), &pool.roles[..]))
        .collect();
    assert_eq!(
        pools,
        [
            ("broker-pool", &[NodePoolRole::Broker][..]),
            ("controller-pool", &[NodePoolRole::Controller][..])
        ]
    );
    for pool in &kafka.node_pools {
        assert_eq!(pool.storage.size, Size::gibibytes(10));
        assert!(pool.storage.delete_claim && !pool.storage.ephemeral);
    }
    let topic = &kafka.topics[0];
    assert_eq!(
        (
            topic.name.as_str(),
            topic.partitions,
            topic.replicas,
            topic.min_in_sync_replicas
        ),
        ("streaming-topic", 3, 3, Some(2))
    );
    assert_eq!(topic.retention.unwrap().as_millis(), 600_000);
    let settings: Vec<(String, Value)> = topic
        .kafka_config()
        .into_iter()
        .map(|(name, value)| (name, value.to_json()))
        .collect();
    assert_eq!(
        settings,
        [
            ("min.insync.replicas".to_owned(), json!(2)),
            ("retention.ms".to_owned(), json!(600_000))
        ]
    );
    let listener = &kafka.listeners[0];
    assert_eq!(
        (
            kafka.listeners.len(),
            listener.port,
            listener.tls,
            listener.listener_type.as_str()
        ),
        (1, 9092, false, "internal")
    );
    assert_eq!(
        kafka.bootstrap_address(),
        "streaming-cluster-kafka-bootstrap.kafka.svc:9092"
    );
    assert_eq!(kafka.bootstrap_fqdn(), ADDRESS);
    assert_eq!(kafka.config["default.replication.factor"].as_u64(), Some(3));
    assert_eq!(kafka.config["min.insync.replicas"].as_u64(), Some(2));
    assert!(!kafka.zookeeper.enabled && kafka.zookeeper.manifest.is_some());
}

#[test]
fn spark_has_the_documented_figures() {
    let loaded = streaming();
    let app = &loaded.pipeline.spec.spark_applications[0];
    assert_eq!(
        (app.name.as_str(), app.namespace.as_str()),
        ("spark-kafka-consumer", "default")
    );
    assert_eq!(
        (app.language, app.mode, app.image_pull_policy),
        (
            SparkLanguage::Python,
            SparkMode::Cluster,
            PullPolicy::Always
        )
    );
    assert_eq!(
        (app.spark_version.to_string().as_str(), app.image.as_str()),
        ("3.5.1", "doyoomii/spark-k8s:latest")
    );
    assert_eq!(
        (
            app.driver.cores,
            app.driver.memory,
            app.driver.service_account.as_str()
        ),
        (1, SparkMemory::gibibytes(1), "spark")
    );
    assert_eq!(
        (
            app.executor.instances,
            app.executor.cores,
            app.executor.memory
        ),
        (2, 1, SparkMemory::gibibytes(2))
    );
    let conf = |name: &str| app.spark_conf[name].to_string();
    assert_eq!(
        conf("spark.kubernetes.container.image.pullPolicy"),
        "Always"
    );
    assert_eq!(conf("spark.kubernetes.driver.podTemplateFile"), "");
    assert_eq!(conf("spark.kubernetes.executor.podTemplateFile"), "");
    assert_eq!(
        app.main_file().as_deref(),
        Some("local:///opt/spark/code/user_activity_streaming.py")
    );
    let code = loaded.application_code("default", "spark-kafka-consumer");
    assert!(code["user_activity_streaming.py"].contains("readStream"));
    let kinds: Vec<&str> = loaded
        .application_objects("default", "spark-kafka-consumer")
        .iter()
        .map(|object| object.kind())
        .collect();
    assert_eq!(kinds, ["ServiceAccount", "Role", "RoleBinding"]);
    let operator = loaded.pipeline.spec.spark_operator.as_ref().unwrap();
    assert_eq!(
        operator.job_namespaces.as_deref(),
        Some(&["default".to_owned()][..])
    );
}

#[test]
fn the_web_application_has_the_documented_figures() {
    let loaded = streaming();
    let objects = loaded.workload_objects("was");
    let find = |kind: &str, name: &str| {
        objects
            .iter()
            .find(|object| object.kind() == kind && object.name() == name)
            .unwrap_or_else(|| panic!("{kind} {name}"))
            .to_value()
    };
    let deployment = find("Deployment", "was");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(deployment["spec"]["replicas"], 2);
    assert_eq!(deployment["metadata"]["namespace"], "was");
    assert_eq!(container["image"], "ji0513ji/log-generator:1.1.1");
    assert_eq!(container["ports"][0]["containerPort"], 8080);
    assert_eq!(
        container["resources"],
        json!({"requests": {"memory": "512Mi", "cpu": "500m"}, "limits": {"memory": "1Gi", "cpu": "1000m"}})
    );
    assert_eq!(
        container["livenessProbe"],
        json!({"httpGet": {"path": "/main", "port": 8080}, "initialDelaySeconds": 60})
    );
    assert_eq!(
        container["readinessProbe"],
        json!({"httpGet": {"path": "/main", "port": 8080}, "initialDelaySeconds": 30})
    );
    assert_eq!(
        container["env"],
        json!([{"name": "KAFKA_BOOTSTRAP_SERVERS", "value": ADDRESS}])
    );
    let service = find("Service", "was-service");
    assert_eq!(
        (
            &service["spec"]["type"],
            &service["spec"]["ports"][0]["port"],
            &service["spec"]["ports"][0]["targetPort"]
        ),
        (&json!("ClusterIP"), &json!(80), &json!(8080))
    );
    let external = find("Service", "was-service-external");
    assert_eq!(
        (
            &external["spec"]["type"],
            &external["spec"]["ports"][0]["nodePort"]
        ),
        (&json!("NodePort"), &json!(30080))
    );

    let generator = loaded.workload_objects("log-generator")[0].to_value();
    assert_eq!(generator["metadata"]["namespace"], "logging-system");
    assert_eq!(generator["spec"]["replicas"], 1);
    assert_eq!(
        generator["spec"]["template"]["spec"]["containers"][0]["image"],
        "ji0513ji/log-generator:1.1.1"
    );
}

#[test]
fn every_client_uses_the_one_address() {
    let clients: Vec<(String, String, String)> = streaming()
        .kafka_clients()
        .into_iter()
        .map(|client| (client.kind, client.name, client.address))
        .collect();
    let expected = [
        ("Deployment", "was"),
        ("Deployment", "log-generator"),
        ("SparkApplication", "spark-kafka-consumer"),
    ];
    assert_eq!(
        clients,
        expected.map(|(kind, name)| (kind.to_owned(), name.to_owned(), ADDRESS.to_owned()))
    );
}

#[test]
fn the_namespaces_are_the_documented_ones_and_default_is_never_deleted() {
    let namespaces: Vec<(String, CreatedBy)> = streaming()
        .pipeline
        .spec
        .namespaces
        .into_iter()
        .map(|namespace| (namespace.name, namespace.created_by))
        .collect();
    let expected = [
        ("kafka", CreatedBy::Pipectl),
        ("was", CreatedBy::Pipectl),
        ("logging-system", CreatedBy::Pipectl),
        ("spark-operator", CreatedBy::Pipectl),
        ("default", CreatedBy::User),
    ];
    assert_eq!(namespaces, expected.map(|(name, by)| (name.to_owned(), by)));
}

#[test]
fn it_fits_the_recommended_nodes() {
    let loaded = streaming();
    let spec = &loaded.pipeline.spec;
    let group = &spec.node_groups[0];
    assert_eq!(
        (
            group.instance_types[0].as_str(),
            group.size,
            group.disk_size
        ),
        ("m6i.large", 3, Size::gibibytes(50))
    );
    // CPU that pods ask for, in thousandths of a core. On each node: networking, service addresses and the volume driver's node part.
    let mut nodes = vec![1930_i64 - 50 - 100 - 30; group.size as usize];
    // Cluster DNS, the volume driver's controllers, the Strimzi operator and the entity operator's topic operator.
    let mut pods: Vec<i64> = vec![100, 100, 60, 60];
    let millicores = |cpu: Option<Cpu>| cpu.map_or(0, |cpu| cpu.as_millicores() as i64);
    let strimzi = spec.strimzi.as_ref().unwrap();
    pods.push(
        strimzi.values["resources"]["requests"]["cpu"]
            .as_str()
            .unwrap()
            .parse::<Cpu>()
            .unwrap()
            .as_millicores() as i64,
    );
    let kafka = spec.kafka.as_ref().unwrap();
    pods.push(millicores(kafka.entity_operator.resources.requests.cpu));
    for pool in &kafka.node_pools {
        pods.extend((0..pool.replicas).map(|_| millicores(pool.resources.requests.cpu)));
    }
    pods.extend([500, 500]);
    for app in &spec.spark_applications {
        pods.push(i64::from(app.driver.cores) * 1000);
        pods.extend((0..app.executor.instances).map(|_| i64::from(app.executor.cores) * 1000));
    }
    pods.sort_unstable_by(|left, right| right.cmp(left));
    for pod in pods {
        let room = nodes.iter_mut().max().unwrap();
        *room -= pod;
        assert!(
            *room >= 0,
            "no node has room for a pod of {pod}m: {nodes:?}"
        );
    }
}

#[test]
fn the_export_is_the_same_pipeline() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("mine");
    let blueprint = Blueprint::get("streaming").unwrap();
    let written = blueprint.write_to(&target).unwrap();
    assert_eq!(written.len(), blueprint.files().len());
    let exported = load_path(&target.join("pipeline.yaml"), &LoadOptions::default()).unwrap();
    assert_eq!(exported.digest(), streaming().digest());
    assert_eq!(
        blueprint.write_to(&target).unwrap_err().kind(),
        std::io::ErrorKind::AlreadyExists
    );
}

#[test]
fn the_program_has_every_file_of_the_directory() {
    fn walk(directory: &Path, base: &Path, files: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, base, files);
            } else {
                files.push(
                    path.strip_prefix(base)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .replace('\\', "/"),
                );
            }
        }
    }
    for blueprint in Blueprint::list() {
        let base = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("blueprints")
            .join(blueprint.name);
        let mut on_disk = Vec::new();
        walk(&base, &base, &mut on_disk);
        on_disk.sort();
        let mut listed: Vec<String> = blueprint
            .files()
            .iter()
            .map(|(path, _)| (*path).to_owned())
            .collect();
        listed.sort();
        assert_eq!(on_disk, listed, "{}", blueprint.name);
    }
}

fn with(arguments: &[&str]) -> Result<Loaded, pipectl_config::Diagnostics> {
    let overrides = arguments
        .iter()
        .map(|argument| Override::parse(argument).unwrap())
        .collect();
    Blueprint::get("streaming").unwrap().load(&LoadOptions {
        overrides,
        ..LoadOptions::default()
    })
}

#[test]
fn single_values_can_be_set() {
    let loaded = with(&[
        "kafka.topics[streaming-topic].partitions=6",
        "sparkApplications[spark-kafka-consumer].executor.instances=4",
        "provider={eks: {region: eu-central-1}}",
        "ttl=2h",
    ])
    .unwrap();
    assert_eq!(
        loaded.pipeline.spec.kafka.as_ref().unwrap().topics[0].partitions,
        6
    );
    assert_eq!(
        loaded.pipeline.spec.spark_applications[0]
            .executor
            .instances,
        4
    );
    assert_eq!(loaded.pipeline.spec.ttl.unwrap().to_string(), "2h");
    assert!(matches!(loaded.pipeline.spec.provider, Provider::Eks(_)));
    assert_eq!(loaded.pipeline.spec.addons.len(), 5);
    assert_ne!(loaded.digest(), streaming().digest());
}

#[test]
fn in_the_sandbox_eks_stays_eks_and_another_cluster_becomes_the_plain_one() {
    let in_sandbox = |provider: &str| {
        let options = LoadOptions {
            overrides: vec![Override::parse(&format!("provider={provider}")).unwrap()],
            sandbox: true,
        };
        let loaded = Blueprint::get("streaming").unwrap().load(&options).unwrap();
        (
            loaded.pipeline.spec.provider,
            loaded.pipeline.spec.addons.len(),
        )
    };
    let (provider, addons) = in_sandbox(
        "{eks: {region: eu-west-1, account: \"111122223333\", profile: work, roleArn: \"arn:aws:iam::111122223333:role/deploy\"}}",
    );
    let Provider::Eks(eks) = provider else {
        panic!("{provider:?}")
    };
    assert_eq!(
        (eks.region.as_str(), eks.account, eks.profile, eks.role_arn),
        ("eu-west-1", None, None, None)
    );
    assert_eq!(addons, 5);
    for plain in ["{existing: {kubeconfig: k, context: c}}", "sandbox"] {
        assert_eq!(in_sandbox(plain), (Provider::Sandbox, 0));
    }
}

#[test]
fn a_renamed_cluster_moves_every_address() {
    let loaded = with(&["kafka.name=other", "kafka.listeners[plain].port=9094"]).unwrap();
    for client in loaded.kafka_clients() {
        assert_eq!(
            client.address, "other-kafka-bootstrap.kafka.svc.cluster.local:9094",
            "{client:?}"
        );
    }
}

#[test]
fn older_strimzi_with_the_kafka_it_runs() {
    let loaded = with(&["strimzi.version=0.47.0", "kafka.version=3.9.1"]).unwrap();
    assert_eq!(
        loaded
            .pipeline
            .spec
            .kafka
            .as_ref()
            .unwrap()
            .version
            .to_string(),
        "3.9.1"
    );
    let loaded = with(&[
        "strimzi.version=0.44.0",
        "kafka.version=3.7.0",
        "cluster.kubernetesVersion=1.32",
        "kafka.zookeeper.enabled=true",
    ])
    .unwrap();
    let kinds: Vec<&str> = loaded
        .zookeeper_objects()
        .iter()
        .map(|object| object.kind())
        .collect();
    assert_eq!(kinds, ["Service", "StatefulSet"]);
}
