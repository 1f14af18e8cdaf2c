//! The one table of error codes: what each means, and an example of it.

/// What a code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeInfo {
    /// The code.
    pub code: &'static str,
    /// What it means, in a few words.
    pub title: &'static str,
    /// Why it is refused and what to do.
    pub explanation: &'static str,
    /// What triggers it.
    pub example: &'static str,
}

/// Names the codes and fills the table from one list, so that neither can lack what the other has.
macro_rules! codes {
    ($($name:ident = $code:literal, $title:literal, $explanation:literal, $example:literal;)*) => {
        $(#[doc = $title] pub const $name: &str = $code;)*

        /// Every code of this crate, in order.
        pub const CODES: &[CodeInfo] = &[$(
            CodeInfo { code: $code, title: $title, explanation: $explanation, example: $example },
        )*];
    };
}

codes! {
    UNREADABLE = "CFG001", "The pipeline file cannot be read.",
        "The file does not exist, or the system refuses to open it. Check the name. Without a file, pipectl takes pipeline.yaml in the current directory, or else the built-in blueprint.",
        "pipectl up no-such-file.yaml";
    IS_DIRECTORY = "CFG002", "The pipeline file is a directory.",
        "A pipeline is one file. Name the file in the directory.",
        "pipectl up ./pipelines/";
    NOT_TEXT = "CFG003", "A file is not UTF-8 text.",
        "Pipeline files and manifests are UTF-8. Convert the file, for instance with iconv.",
        "a file saved as UTF-16";
    EMPTY = "CFG004", "The pipeline file is empty.",
        "The smallest pipeline names its format and itself: apiVersion, kind and metadata.name.",
        "an empty file, or one with comments only";
    LIMITS = "CFG005", "A file is larger or more deeply nested than pipectl reads.",
        "Files above 4 MiB, nesting above 64 levels and more than 200000 values (aliases counted each time) are refused, since no real pipeline comes near and a hostile one could exhaust memory.",
        "a: &a [x, x]\nb: &b [*a, *a]   # and so on, doubling";
    SYNTAX = "CFG006", "The text is not valid YAML.",
        "The parser cannot go on. Check indentation (spaces only), quotes and brackets near the mark. Tags other than YAML's own, and lists or mappings as keys, are refused too.",
        "name: 'unclosed";
    DUPLICATE_KEY = "CFG007", "A key is set twice.",
        "Of two equal keys in one mapping, one would silently win. Remove one.",
        "replicas: 3\nreplicas: 5";
    SEVERAL_DOCUMENTS = "CFG008", "The pipeline file has several YAML documents.",
        "One file declares one pipeline. Put manifests into files of their own and name them in a workload.",
        "kind: Pipeline\n---\nkind: Deployment";
    FORMAT = "CFG009", "The file is not a pipeline of a known format.",
        "A pipeline file begins with apiVersion: pipectl.dev/v1 and kind: Pipeline.",
        "apiVersion: pipectl.dev/v2";
    UNKNOWN_FIELD = "CFG010", "A field is not known.",
        "Unknown fields are refused, since a misspelt one would silently do nothing. The configuration reference lists every field.",
        "nodeGroup: []   # nodeGroups";
    MISSING_FIELD = "CFG011", "A required field is missing.",
        "The field has no sensible default and must be set.",
        "topics:\n  - partitions: 3   # name is missing";
    WRONG_TYPE = "CFG012", "A value is of the wrong kind.",
        "The field takes another kind of value: a text, a number, true or false, a list, or a mapping.",
        "topics: streaming-topic   # a list is expected";
    NOT_A_CHOICE = "CFG013", "A value is not one of the choices.",
        "The field takes one of a few words.",
        "capacity: cheap   # on-demand or spot";
    KAFKA_VERSION = "CFG014", "The Strimzi version does not support the Kafka version.",
        "Each Strimzi release runs a few Kafka versions only and refuses all others. Choose a Kafka version from the list in the message, or a Strimzi version that runs yours.",
        "strimzi: {version: 0.47.0}\nkafka: {version: 3.7.0}";
    BAD_UNIT = "CFG015", "A duration, size, amount or version cannot be read.",
        "Durations are whole numbers with ms, s, m, h or d; sizes whole numbers with Ki, Mi, Gi, Ti, k, M, G or T; CPU cores or thousandths (500m); Spark memory numbers with k, m, g or t; versions three numbers with dots.",
        "retention: 10 minutes   # 10m";
    OUT_OF_RANGE = "CFG016", "A number is out of range.",
        "The number is smaller or larger than can work.",
        "replicas: 0";
    BAD_OVERRIDE = "CFG017", "A --set argument cannot be applied.",
        "Write --set PATH=VALUE, with dots between fields and list positions or names in brackets. The value is YAML.",
        "--set kafka.topics[no-such-topic].partitions=6";
    UNKNOWN_SUBSTITUTION = "CFG018", "A substitution is not known.",
        "In text values, ${kafka.bootstrap}, ${kafka.bootstrapFqdn}, ${kafka.bootstrap.LISTENER}, ${kafka.name}, ${kafka.namespace} and ${pipeline.name} are replaced. Write $${...} for the characters themselves.",
        "value: ${kafka.boostrap}";
    NOTHING = "CFG019", "A field is left empty.",
        "A field with nothing after its colon may mean 'the defaults' or 'none'. Write {} for a section's defaults, or remove the field.",
        "kafka:";
    STRIMZI_KUBERNETES = "CFG020", "The Strimzi version fails on the Kubernetes version.",
        "Strimzi 0.45.0 and older cannot parse the version answer of Kubernetes 1.33 and newer, and their operator never starts (strimzi-kafka-operator issue 11386). Choose a newer Strimzi.",
        "strimzi: {version: 0.44.0}\ncluster: {kubernetesVersion: 1.33}";
    UNKNOWN_STRIMZI = "CFG021", "pipectl does not know the Strimzi version.",
        "The version is not in pipectl's table, so that it cannot tell which Kafka versions it runs. It is tried as it is.",
        "strimzi: {version: 9.0.0}";
    NO_ZOOKEEPER = "CFG022", "The Strimzi version cannot use ZooKeeper.",
        "Since 0.46.0, Strimzi runs Kafka in KRaft mode only. Turn zookeeper off; controllers take its place.",
        "kafka: {zookeeper: {enabled: true}}";
    REPLICATION = "CFG023", "A replication factor is larger than the number of brokers.",
        "Each copy of a partition needs a broker of its own, so that Kafka refuses to create the topic.",
        "replicas: 3   # with one broker";
    MIN_IN_SYNC = "CFG024", "More copies must be in step than there are.",
        "With min.insync.replicas above the replication factor, every write with acks=all fails.",
        "replicas: 2\nminInSyncReplicas: 3";
    POOL_ROLES = "CFG025", "The node pools lack a role.",
        "Kafka needs at least one controller and one broker; a pool needs at least one role. Controllers vote, so that their number should be odd.",
        "nodePools: [{name: brokers, roles: [broker]}]";
    KUBERNETES_NAME = "CFG026", "Kubernetes would refuse the name.",
        "Names consist of lower-case letters, digits and hyphens, begin and end with a letter or digit, and have at most 63 characters; for some things fewer, since other names are derived from them.",
        "name: Streaming_Cluster";
    AWS_NAME = "CFG027", "AWS would refuse the value.",
        "EKS cluster names have at most 100 letters, digits, hyphens and underscores and begin with a letter or digit; accounts have 12 digits; regions, VPC and subnet ids have their own forms. Tags have keys of up to 128 and values of up to 256 letters, digits, spaces and _ . : / = + - @, not the keys of AWS, Kubernetes or pipectl, and 40 at most, since others set some, too.",
        "account: \"1234\"";
    DUPLICATE = "CFG028", "A name or port is used twice.",
        "Names must differ within their list, and ports within their listener list or cluster.",
        "two topics called streaming-topic";
    UNDECLARED_NAMESPACE = "CFG029", "A namespace is not declared.",
        "Workloads, applications and objects live in namespaces that the pipeline declares under spec.namespaces, so that a misspelt one is found now and not as a missing program later.",
        "workloads: [{name: was, namespace: wsa}]";
    BOOTSTRAP_ADDRESS = "CFG030", "A client's bootstrap address is not the declared Kafka's.",
        "The address looks like a Strimzi bootstrap service but is not the one of this pipeline's Kafka cluster, so that the client would never connect. Write ${kafka.bootstrap} instead of an address.",
        "value: streaming-cluster-kafka-bootstrap.kafka.svc:9093";
    SPARK_NAMESPACE = "CFG031", "The Spark operator does not watch an application's namespace.",
        "The operator ignores applications outside its job namespaces: nothing happens, and nothing says why. Add the namespace to sparkOperator.jobNamespaces.",
        "sparkOperator: {jobNamespaces: [jobs]}\nsparkApplications: [{namespace: default}]";
    STRIMZI_NAMESPACE = "CFG032", "Strimzi does not watch the Kafka cluster's namespace.",
        "The operator ignores Kafka clusters outside its own and the watched namespaces. Add the namespace to strimzi.watchNamespaces.",
        "strimzi: {namespace: strimzi, watchNamespaces: []}";
    ARCHIVED_CHART = "CFG033", "The chart address is archived.",
        "The Spark operator moved from GoogleCloudPlatform to the Kubeflow project; the old chart is no longer maintained and its values have changed (spark.jobNamespaces, webhook). Leave chart out, or use https://kubeflow.github.io/spark-operator.",
        "repo: https://googlecloudplatform.github.io/spark-on-k8s-operator";
    POD_TEMPLATE = "CFG034", "A pod template file is set.",
        "The Spark operator cannot mount a template file that it did not make, and the driver then fails to start. Both podTemplateFile settings are empty by default for that reason.",
        "spark.kubernetes.driver.podTemplateFile: /opt/template.yaml";
    NODE_PORT = "CFG035", "A node port is out of range.",
        "Kubernetes gives out node ports from 30000 to 32767 and refuses others.",
        "nodePort: 8080";
    CIDR = "CFG036", "An address range cannot be used.",
        "A range is written ADDRESS/LENGTH with no bits set after its length. A VPC takes /16 to /28, and pipectl needs /16 to /24 for its subnets.",
        "cidr: 10.0.1.0/16";
    SECRET_LITERAL = "CFG037", "A value looks like a secret.",
        "The pipeline file is kept in version control and shown in plans. Keep the value in an environment variable, a file or AWS Secrets Manager, and refer to it with secretRef.",
        "DB_PASSWORD: hunter2";
    MANIFEST_UNREADABLE = "CFG038", "A file that the pipeline names cannot be read.",
        "Paths are relative to the pipeline file.",
        "manifests: [manifests/no-such-file.yaml]";
    NOT_AN_OBJECT = "CFG039", "A manifest is not a Kubernetes object.",
        "Every document of a manifest is a mapping with apiVersion, kind and metadata.name.",
        "kind: Deployment   # without apiVersion";
    UNKNOWN_CLIENT = "CFG040", "A Kafka client is not among the workload's objects.",
        "kafkaClients names an object of the same workload, and an environment variable that one of its containers has.",
        "kafkaClients: [{name: wsa}]";
    LISTENER = "CFG041", "Strimzi would refuse the listener.",
        "Listener names have lower-case letters and digits, at most 11; ports are 9092 or higher, except 9404 and 9999; an ingress listener needs TLS.",
        "listeners: [{name: plain, port: 80}]";
    SYSTEM_NAMESPACE = "CFG042", "A namespace belongs to Kubernetes.",
        "default, kube-system, kube-public and kube-node-lease exist in every cluster and cannot be created or deleted. Write createdBy: user.",
        "namespaces: [{name: default, createdBy: pipectl}]";
    NO_EFFECT = "CFG043", "A section has no effect.",
        "The provider or another setting makes the section do nothing.",
        "provider: sandbox\nspec: {network: {...}}";
    NO_TOPIC_OPERATOR = "CFG044", "Topics are declared, but the topic operator is off.",
        "Without the topic operator nobody creates the topics, and they never become ready.",
        "entityOperator: {topicOperator: false}";
    MAIN_FILE = "CFG045", "A Spark application has no program.",
        "Set mainApplicationFile, or give code exactly one file.",
        "code: {configMap: code, files: [a.py, b.py]}";
    NODE_COUNTS = "CFG046", "A node group's sizes contradict each other.",
        "minSize must not exceed size, and size not maxSize.",
        "size: 3\nmaxSize: 2";
    METADATA_VERSION = "CFG047", "The metadata version does not fit the Kafka version.",
        "Kafka cannot run with a metadata version newer than itself. Leave metadataVersion out unless an upgrade needs it.",
        "version: 4.2.0\nmetadataVersion: 4.3-IV0";
    EVEN_CONTROLLERS = "CFG048", "The number of controllers is even.",
        "Controllers decide by majority: four tolerate as many failures as three, and cost one more.",
        "roles: [controller]\nreplicas: 4";
    TOO_MANY = "CFG049", "There are more findings than are shown.",
        "Correct those that are shown and run again.",
        "a file of another program";
    CHART_ADDRESS = "CFG050", "A chart repository's address cannot be used.",
        "An address begins with https://, http:// or oci://.",
        "chart: {repo: strimzi, name: strimzi-kafka-operator}";
    RESOURCES = "CFG051", "More is asked for than may be used.",
        "Kubernetes refuses a request above its limit.",
        "resources: {requests: {cpu: 2}, limits: {cpu: 1}}";
    SECRET_OBJECT = "CFG052", "A manifest holds a Secret with its values.",
        "The values would stand in plain files, plans and the record of the environment. List the Secret under spec.secrets and say with secretRef where each value is kept. A Secret without data, such as a service account token that Kubernetes fills in, is accepted.",
        "kind: Secret\nstringData: {password: ...}";
}

/// What a code means; `None` for codes of other parts of pipectl. Case does not matter.
pub fn code_info(code: &str) -> Option<&'static CodeInfo> {
    CODES
        .iter()
        .find(|info| info.code.eq_ignore_ascii_case(code))
}

#[cfg(test)]
mod tests {
    use super::{CODES, code_info};

    #[test]
    fn codes_are_unique_in_order_and_explained() {
        assert!(CODES.windows(2).all(|pair| pair[0].code < pair[1].code));
        for info in CODES {
            assert!(
                info.title.ends_with('.')
                    && info.explanation.ends_with('.')
                    && !info.example.is_empty(),
                "{info:?}"
            );
        }
        assert_eq!(code_info("cfg014").map(|info| info.code), Some("CFG014"));
        assert_eq!(code_info("AWS021"), None);
    }
}
