//! What nodes do with pods and claims, on the real control plane.

mod support;

use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use support::{Cluster, custom, is_ready};

fn core(cluster: &Cluster, kind: &str, plural: &str) -> Api<DynamicObject> {
    Api::namespaced_with(
        cluster.client.clone(),
        "default",
        &custom("", "v1", kind, plural),
    )
}

fn everywhere(cluster: &Cluster, group: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
    Api::all_with(cluster.client.clone(), &custom(group, "v1", kind, plural))
}

async fn create(api: &Api<DynamicObject>, object: Value) {
    let object = serde_json::from_value(object).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();
}

fn pod(name: &str, image: &str, switches: Value, spec: Value) -> Value {
    let mut pod = json!({
        "metadata": {"name": name, "annotations": switches},
        "spec": {"containers": [{"name": "main", "image": image}]},
    });
    for (key, value) in spec.as_object().into_iter().flatten() {
        pod["spec"][key] = value.clone();
    }
    pod
}

fn container(pod: &DynamicObject) -> &Value {
    &pod.data["status"]["containerStatuses"][0]
}

#[tokio::test]
async fn pods_live_and_fail_as_with_a_kubelet() {
    let cluster = Cluster::start("pods").await;
    let pods = core(&cluster, "Pod", "pods");
    let fail = |how: &str| json!({"sandbox.pipectl.dev/fail": how});
    let probe = json!({"containers": [{
        "name": "main", "image": "busybox:1",
        "readinessProbe": {"httpGet": {"path": "/main", "port": 8080}, "initialDelaySeconds": 30},
    }], "initContainers": [{"name": "first", "image": "busybox:1"}]});
    create(&pods, pod("probed", "busybox:1", json!({}), probe)).await;
    create(
        &pods,
        pod("missing", "app:does-not-exist", json!({}), json!({})),
    )
    .await;
    create(&pods, pod("crash", "busybox:1", fail("crash"), json!({}))).await;
    create(
        &pods,
        pod(
            "oom",
            "busybox:1",
            fail("oom"),
            json!({"restartPolicy": "Never"}),
        ),
    )
    .await;
    create(
        &pods,
        pod("unready", "busybox:1", fail("unready"), json!({})),
    )
    .await;
    create(
        &pods,
        pod("pending", "busybox:1", fail("pending"), json!({})),
    )
    .await;
    let batch = json!({"sandbox.pipectl.dev/complete-after": "500ms"});
    create(
        &pods,
        pod(
            "batch",
            "busybox:1",
            batch,
            json!({"restartPolicy": "Never"}),
        ),
    )
    .await;

    let probed = cluster.until(&pods, "probed", is_ready).await;
    let first = &probed.data["status"]["initContainerStatuses"][0]["state"]["terminated"];
    assert_eq!(first["reason"], "Completed");
    let address = probed.data["status"]["podIP"].as_str().unwrap_or_default();
    assert!(address.parse::<std::net::Ipv4Addr>().is_ok(), "{address:?}");

    let waits = |reason: &'static str| {
        move |pod: &DynamicObject| container(pod)["state"]["waiting"]["reason"] == reason
    };
    let missing = cluster
        .until(&pods, "missing", waits("ImagePullBackOff"))
        .await;
    assert_eq!(missing.data["status"]["phase"], "Pending");
    let restarted =
        |pod: &DynamicObject| waits("CrashLoopBackOff")(pod) && container(pod)["restartCount"] == 1;
    let crash = cluster.until(&pods, "crash", restarted).await;
    assert_eq!(container(&crash)["lastState"]["terminated"]["exitCode"], 1);
    let oom = cluster
        .until(&pods, "oom", |pod| pod.data["status"]["phase"] == "Failed")
        .await;
    let end = &container(&oom)["state"]["terminated"];
    assert_eq!(
        (&end["reason"], &end["exitCode"]),
        (&json!("OOMKilled"), &json!(137))
    );
    cluster
        .until(&pods, "batch", |pod| {
            pod.data["status"]["phase"] == "Succeeded"
        })
        .await;
    let unready = cluster
        .until(&pods, "unready", |pod| {
            pod.data["status"]["phase"] == "Running"
        })
        .await;
    assert!(!is_ready(&unready) && container(&unready)["state"]["running"].is_object());
    let pending = pods.get("pending").await.unwrap();
    assert!(
        pending.data["spec"]["nodeName"].is_string()
            && pending.data["status"]["containerStatuses"].is_null()
    );

    // Without the switch they recover.
    let recover =
        Patch::Merge(json!({"metadata": {"annotations": {"sandbox.pipectl.dev/fail": null}}}));
    for name in ["crash", "unready", "pending"] {
        pods.patch(name, &PatchParams::default(), &recover)
            .await
            .unwrap();
        cluster.until(&pods, name, is_ready).await;
    }
    pods.delete("probed", &DeleteParams::default())
        .await
        .unwrap();
    cluster.until_gone(&pods, "probed").await;
    cluster.stop().await;
}

#[tokio::test]
async fn claims_get_volumes_that_attach_grow_and_go() {
    let cluster = Cluster::start("volumes").await;
    let (pods, claims) = (
        core(&cluster, "Pod", "pods"),
        core(&cluster, "PersistentVolumeClaim", "persistentvolumeclaims"),
    );
    let volumes = everywhere(&cluster, "", "PersistentVolume", "persistentvolumes");
    let attachments = everywhere(
        &cluster,
        "storage.k8s.io",
        "VolumeAttachment",
        "volumeattachments",
    );
    let claim = json!({
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}},
    });
    create(&claims, claim).await;
    // Nobody uses it yet, and the class waits for that.
    cluster.settle(std::slice::from_ref(&claims)).await;
    assert_eq!(
        claims.get("data").await.unwrap().data["status"]["phase"],
        "Pending"
    );

    let mount =
        json!({"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]});
    create(&pods, pod("user", "busybox:1", json!({}), mount)).await;
    let placed = cluster.until(&pods, "user", is_ready).await;
    let bound = claims.get("data").await.unwrap();
    assert_eq!(bound.data["status"]["phase"], "Bound");
    let name = bound.data["spec"]["volumeName"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(name, format!("pvc-{}", bound.metadata.uid.clone().unwrap()));
    let volume = volumes.get(&name).await.unwrap();
    assert_eq!(volume.data["spec"]["csi"]["driver"], "ebs.csi.aws.com");
    let node = everywhere(&cluster, "", "Node", "nodes")
        .get(placed.data["spec"]["nodeName"].as_str().unwrap())
        .await
        .unwrap();
    let zone = node.metadata.labels.unwrap()["topology.kubernetes.io/zone"].clone();
    let terms = &volume.data["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"];
    assert_eq!(terms[0]["matchExpressions"][0]["values"], json!([zone]));
    cluster
        .until_some(&attachments, "", |attachment| {
            attachment.data["spec"]["source"]["persistentVolumeName"] == name.as_str()
                && attachment.data["status"]["attached"] == true
        })
        .await;

    let grow = Patch::Merge(json!({"spec": {"resources": {"requests": {"storage": "20Gi"}}}}));
    claims
        .patch("data", &PatchParams::default(), &grow)
        .await
        .unwrap();
    let grown = |claim: &DynamicObject| claim.data["status"]["capacity"]["storage"] == "20Gi";
    cluster.until(&claims, "data", grown).await;

    pods.delete("user", &DeleteParams::default()).await.unwrap();
    claims
        .delete("data", &DeleteParams::default())
        .await
        .unwrap();
    cluster.until_gone(&volumes, &name).await;
    cluster.until_none(&attachments, "").await;
    cluster.stop().await;
}
