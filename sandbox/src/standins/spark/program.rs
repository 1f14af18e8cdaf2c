//! The driver programs: each makes its executors once its container runs, under its own service account, so that the
//! API server's real authorisation answers.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::core::DynamicObject;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::super::common::{Feed, Follower, resource};
use super::driver::{CONF_VOLUME, TEMPLATE_KEY, TEMPLATE_VOLUME};
use super::executor::{Driver, EXECUTOR_CONF_VOLUME, config_map_of, driver_runs};
use super::labels::{
    APP_SELECTOR, DRIVER, DRIVER_CONTAINER, EXECUTOR, EXECUTOR_CONTAINER, EXECUTOR_ID, ROLE,
};
use super::properties;

/// Simulate the driver programs until dropped.
pub(super) async fn run(client: Client) {
    let (sender, mut changes) = mpsc::unbounded_channel();
    let mut follower = Follower::new(client.clone(), sender);
    let drivers = follower.follow(&resource("Pod"), &format!("{ROLE}={DRIVER}"));
    let executors = follower.follow(&resource("Pod"), &format!("{ROLE}={EXECUTOR}"));
    let mut programs = Programs {
        client,
        drivers,
        executors,
        started: HashMap::new(),
        retry: false,
    };
    loop {
        tokio::select! {
            change = changes.recv() => {
                let Some(change) = change else { return };
                let labels = change.object.metadata.labels.clone().unwrap_or_default();
                let Some(id) = labels.get(APP_SELECTOR) else { continue };
                let name = change.object.metadata.name.clone().unwrap_or_default();
                programs.seen(id, &name);
                programs.look(id).await;
            }
            () = tokio::time::sleep(Duration::from_secs(1)), if programs.retry => programs.look_at_all().await,
        }
    }
}

/// A driver program that has started.
struct Started {
    driver: Driver,
    /// The next executor's number.
    next: u32,
    /// Executors that have failed, by name.
    failed: BTreeSet<String>,
    /// Executors that were created and that the watch has not told of yet; they count as alive.
    untold: BTreeSet<String>,
    config_map_made: bool,
}

struct Programs {
    client: Client,
    drivers: Feed,
    executors: Feed,
    /// By Spark's identity of the run.
    started: HashMap<String, Started>,
    /// Something failed and is tried again in a second.
    retry: bool,
}

/// Why a program could not go on.
enum Trouble {
    /// The API server refused it: the program ends with this exit code, as Spark's does.
    Fatal(i32, String),
    /// Tried again.
    Passing(kube::Error),
}

impl From<kube::Error> for Trouble {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if status.code == 403 => {
                Trouble::Fatal(1, status.message.clone())
            }
            _ => Trouble::Passing(error),
        }
    }
}

impl Programs {
    async fn look_at_all(&mut self) {
        self.retry = false;
        let ids: BTreeSet<String> = self
            .drivers
            .state()
            .iter()
            .filter_map(|pod| pod.labels().get(APP_SELECTOR).cloned())
            .collect();
        for id in ids {
            self.look(&id).await;
        }
    }

    /// The watch has told of this pod.
    fn seen(&mut self, id: &str, name: &str) {
        if let Some(started) = self.started.get_mut(id) {
            started.untold.remove(name);
        }
    }

    /// Look at one run: its driver decides what becomes of its executors.
    async fn look(&mut self, id: &str) {
        let pod = find(&self.drivers, id).into_iter().next();
        let Some(pod) = pod.and_then(|pod| parse::<Pod>(&pod)) else {
            // Executors lose a driver that is gone without a word; those of a deleted application are deleted anyway.
            self.started.remove(id);
            if let Err(error) = self.lose_driver(id).await {
                tracing::debug!(%error, "executors end later");
            }
            return;
        };
        let result = match pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref())
        {
            // A driver that is told to end stops its Spark context first.
            _ if pod.metadata.deletion_timestamp.is_some() => {
                self.stop_executors(id, &pod).await.map_err(Trouble::from)
            }
            _ if driver_runs(&pod) => self.drive(id, &pod).await,
            Some("Succeeded") => self.stop_executors(id, &pod).await.map_err(Trouble::from),
            Some("Failed") => self.lose_driver(id).await.map_err(Trouble::from),
            _ => Ok(()),
        };
        match result {
            Ok(()) => {}
            Err(Trouble::Fatal(code, reason)) => {
                tracing::info!(
                    driver = pod.name_any(),
                    reason,
                    "a simulated Spark driver ends"
                );
                if let Err(error) = self.end(&pod, DRIVER_CONTAINER, code, &reason).await {
                    tracing::debug!(%error, "a driver's end is written later");
                    self.retry = true;
                }
            }
            Err(Trouble::Passing(error)) => {
                tracing::debug!(%error, driver = pod.name_any(), "a simulated Spark driver tries again");
                self.retry = true;
            }
        }
    }

    /// The program runs: as many executors as it asks for, failed ones replaced, until there were too many failures.
    async fn drive(&mut self, id: &str, pod: &Pod) -> Result<(), Trouble> {
        if !self.started.contains_key(id) {
            let driver = self.start(pod).await?;
            self.started.insert(
                id.to_owned(),
                Started {
                    driver,
                    next: 1,
                    failed: BTreeSet::new(),
                    untold: BTreeSet::new(),
                    // Executors that are there already have it.
                    config_map_made: !find(&self.executors, id).is_empty(),
                },
            );
        }
        let executors: Vec<Pod> = find(&self.executors, id).iter().filter_map(parse).collect();
        let client = self.client.clone();
        let Some(started) = self.started.get_mut(id) else {
            return Ok(());
        };
        let mut alive = u32::try_from(started.untold.len()).unwrap_or(u32::MAX);
        for executor in &executors {
            let number = executor
                .labels()
                .get(EXECUTOR_ID)
                .and_then(|id| id.parse::<u32>().ok())
                .unwrap_or(0);
            started.next = started.next.max(number + 1);
            match executor
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref())
            {
                Some("Failed") => {
                    started.failed.insert(executor.name_any());
                    if started.driver.deletes_executors()
                        && executor.metadata.deletion_timestamp.is_none()
                    {
                        delete(&client, executor).await?;
                    }
                }
                Some("Succeeded") => {}
                _ if executor.metadata.deletion_timestamp.is_some() => {}
                _ if started.untold.contains(&executor.name_any()) => {}
                _ => alive += 1,
            }
        }
        let limit = started.driver.tolerated_failures();
        if u32::try_from(started.failed.len()).unwrap_or(u32::MAX) > limit {
            return Err(Trouble::Fatal(
                11,
                format!("Max number of executor failures ({limit}) reached"),
            ));
        }
        if !started.config_map_made {
            let map = started.driver.executor_config_map();
            create_as(&client, &started.driver, "configmaps", &map).await?;
            started.config_map_made = true;
        }
        while alive < started.driver.executors() {
            let number = started.next;
            started.next += 1;
            let Some(executor) = started.driver.executor(number) else {
                return Err(Trouble::Fatal(
                    1,
                    "spark.executor.memory is no memory".to_owned(),
                ));
            };
            create_as(&client, &started.driver, "pods", &executor).await?;
            if let Some(name) = executor["metadata"]["name"].as_str() {
                started.untold.insert(name.to_owned());
            }
            alive += 1;
        }
        Ok(())
    }

    /// What the program reads when it starts.
    async fn start(&self, pod: &Pod) -> Result<Driver, Trouble> {
        let namespace = pod.namespace().unwrap_or_default();
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &namespace);
        let read = async |volume: &str, key: &str| -> Result<String, Trouble> {
            let Some(name) = config_map_of(pod, volume) else {
                return Err(Trouble::Fatal(
                    1,
                    format!("the driver's pod has no volume {volume}"),
                ));
            };
            let map = maps.get(&name).await?;
            Ok(map
                .data
                .and_then(|mut data| data.remove(key))
                .unwrap_or_default())
        };
        let conf = properties::read(&read(CONF_VOLUME, "spark.properties").await?);
        let template: Value = serde_norway::from_str(&read(TEMPLATE_VOLUME, TEMPLATE_KEY).await?)
            .map_err(|error| Trouble::Fatal(1, error.to_string()))?;
        let mut driver = Driver::new(pod, conf, template);
        // After a restart of the sandbox the program goes on with the executors that it has.
        let id = pod.labels().get(APP_SELECTOR).cloned().unwrap_or_default();
        if let Some(executor) = find(&self.executors, &id).first().and_then(parse::<Pod>) {
            if let Some((prefix, _)) = executor.name_any().rsplit_once("-exec-") {
                prefix.clone_into(&mut driver.prefix);
            }
            if let Some(name) = config_map_of(&executor, EXECUTOR_CONF_VOLUME) {
                driver.config_map = name;
            }
        }
        Ok(driver)
    }

    /// A program that ends in order deletes its executors first.
    async fn stop_executors(&self, id: &str, pod: &Pod) -> Result<(), kube::Error> {
        let keeps = self
            .started
            .get(id)
            .is_some_and(|started| !started.driver.deletes_executors());
        for executor in find(&self.executors, id).iter().filter_map(parse::<Pod>) {
            if keeps {
                self.end(&executor, EXECUTOR_CONTAINER, 0, "").await?;
            } else if executor.metadata.deletion_timestamp.is_none() {
                delete(&self.client, &executor).await?;
            }
        }
        tracing::debug!(
            driver = pod.name_any(),
            "a simulated Spark driver has ended"
        );
        Ok(())
    }

    /// Executors that lose their driver end with exit code 1 (`CoarseGrainedExecutorBackend`: driver disassociated).
    async fn lose_driver(&self, id: &str) -> Result<(), kube::Error> {
        for executor in find(&self.executors, id).iter().filter_map(parse::<Pod>) {
            self.end(&executor, EXECUTOR_CONTAINER, 1, "Driver disassociated")
                .await?;
        }
        Ok(())
    }

    /// A container's program ends: the status that a kubelet would write. Pods that have ended stay as they are.
    async fn end(
        &self,
        pod: &Pod,
        container: &str,
        code: i32,
        reason: &str,
    ) -> Result<(), kube::Error> {
        let status = pod.status.clone().unwrap_or_default();
        if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"))
            || pod.metadata.deletion_timestamp.is_some()
        {
            return Ok(());
        }
        let now =
            jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap_or_default();
        let mut statuses = serde_json::to_value(status.container_statuses).unwrap_or_default();
        for entry in statuses.as_array_mut().into_iter().flatten() {
            let own = entry["name"] == container;
            let started = entry["state"]["running"]["startedAt"].clone();
            entry["ready"] = json!(false);
            entry["started"] = json!(false);
            entry["state"] = json!({"terminated": {
                "exitCode": code,
                "reason": if code == 0 { "Completed" } else { "Error" },
                "message": if own && !reason.is_empty() { json!(reason) } else { Value::Null },
                "startedAt": started,
                "finishedAt": now.to_string(),
                "containerID": entry["containerID"],
            }});
        }
        let why = if code == 0 {
            "PodCompleted"
        } else {
            "PodFailed"
        };
        let condition = |kind: &str| json!({"type": kind, "status": "False", "reason": why, "lastTransitionTime": now.to_string()});
        let patch = json!({"status": {
            "phase": if code == 0 { "Succeeded" } else { "Failed" },
            "conditions": [condition("Ready"), condition("ContainersReady")],
            "containerStatuses": statuses,
        }});
        let pods: Api<Pod> =
            Api::namespaced(self.client.clone(), &pod.namespace().unwrap_or_default());
        let result = pods
            .patch_status(
                &pod.name_any(),
                &PatchParams::default(),
                &Patch::Strategic(&patch),
            )
            .await
            .map(drop);
        gone(result)
    }
}

fn find(feed: &Feed, id: &str) -> Vec<DynamicObject> {
    let all = feed.state();
    let fits = all
        .iter()
        .filter(|pod| pod.labels().get(APP_SELECTOR).is_some_and(|own| own == id));
    fits.map(|pod| pod.as_ref().clone()).collect()
}

fn parse<K: serde::de::DeserializeOwned>(object: &DynamicObject) -> Option<K> {
    serde_json::from_value(serde_json::to_value(object).ok()?).ok()
}

/// Creates an object as the driver's service account does; one that is there already is no error.
async fn create_as(
    client: &Client,
    driver: &Driver,
    plural: &str,
    object: &Value,
) -> Result<(), kube::Error> {
    let body = serde_json::to_vec(object).map_err(kube::Error::SerdeError)?;
    let request = http::Request::post(format!("/api/v1/namespaces/{}/{plural}", driver.namespace))
        .header("Content-Type", "application/json")
        .header(
            "Impersonate-User",
            format!(
                "system:serviceaccount:{}:{}",
                driver.namespace, driver.service_account
            ),
        )
        .body(body)
        .map_err(kube::Error::HttpError)?;
    match client.request::<Value>(request).await {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        other => other.map(drop),
    }
}

async fn delete(client: &Client, pod: &Pod) -> Result<(), kube::Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    gone(
        pods.delete(&pod.name_any(), &DeleteParams::default())
            .await
            .map(drop),
    )
}

fn gone(result: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match result {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other,
    }
}
