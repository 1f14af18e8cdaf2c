//! Status checks of instances: they begin with the instance and pass a while later.

use serde_json::{Value, json};

use super::instance::{Instance, State};
use super::resource::{absent, answer, find};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::latency::Wait;
use crate::aws::world::scene::Scene;

pub(crate) const ACTIONS: &[Action] = &[Action::read(
    "DescribeInstanceStatus",
    &[
        "InstanceId",
        "Filter",
        "MaxResults",
        "NextToken",
        "IncludeAllInstances",
    ],
    describe,
)];

const FILTERS: &[(&str, &str)] = &[
    ("availability-zone", "availabilityZone"),
    ("instance-state-name", "instanceState.name"),
    ("instance-state-code", "instanceState.code"),
    ("instance-status.status", "instanceStatus.status"),
    (
        "instance-status.reachability",
        "instanceStatus.details.status",
    ),
    ("system-status.status", "systemStatus.status"),
    ("system-status.reachability", "systemStatus.details.status"),
];

fn show(scene: &Scene<'_>, instance: &Instance) -> Value {
    let core = &scene.core;
    let waits = [Wait::InstanceRunning, Wait::InstanceChecked];
    let took = waits.map(|wait| core.latencies.of(wait)).iter().sum();
    let checked = instance.created.after(core.clock.scaled(took)) <= scene.now;
    let check = match (instance.is_running(), checked) {
        (false, _) => json!({"status": "not-applicable"}),
        (true, passed) => {
            let (status, reachable) = if passed {
                ("ok", "passed")
            } else {
                ("initializing", "initializing")
            };
            let detail = json!({"name": "reachability", "status": reachable});
            json!({"status": status, "details": [detail]})
        }
    };
    json!({
        "instanceId": instance.id,
        "availabilityZone": instance.zone,
        "instanceState": instance.state.show(),
        "instanceStatus": check,
        "systemStatus": check,
    })
}

/// Of running instances only, unless all are asked for.
fn describe(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let all = &scene.region.ec2.instances;
    let ids = params.texts("InstanceId");
    for id in &ids {
        if !scene.known(find(all, id)?.created) {
            return Err(absent::<Instance>(id));
        }
    }
    let whole = params.flag("IncludeAllInstances")?.unwrap_or(false);
    let asked = |instance: &&Instance| {
        let named = if ids.is_empty() {
            scene.listed(instance.created)
        } else {
            ids.contains(&instance.id.as_str())
        };
        named && (whole || instance.state == State::Running)
    };
    let found = all
        .values()
        .filter(asked)
        .map(|instance| {
            let shown = show(scene, instance);
            (instance.id.clone(), &instance.tags, shown)
        })
        .collect();
    let pages = ids.is_empty();
    answer(scene, params, found, FILTERS, "instanceStatusSet", pages)
}

#[cfg(test)]
mod tests {
    use crate::aws::testing::Stage;

    #[test]
    fn checks_pass_a_while_after_the_instance_runs() {
        let mut stage = Stage::new();
        let vpc = stage.ec2("CreateVpc", "CidrBlock=10.0.0.0/16").unwrap();
        let vpc = vpc["vpc"]["vpcId"].as_str().unwrap();
        let form = format!("VpcId={vpc}&CidrBlock=10.0.0.0/24");
        let subnet = stage.ec2("CreateSubnet", &form).unwrap();
        let subnet = subnet["subnet"]["subnetId"].as_str().unwrap();
        let form = format!(
            "ImageId=ami-0123456789abcdef0&InstanceType=m6i.large&MinCount=1&MaxCount=1&SubnetId={subnet}"
        );
        stage.ec2("RunInstances", &form).unwrap();
        let ask = |stage: &mut Stage, form: &str| {
            let shown = stage.ec2("DescribeInstanceStatus", form).unwrap();
            shown["instanceStatusSet"].as_array().unwrap().clone()
        };
        assert!(ask(&mut stage, "").is_empty(), "it does not run yet");
        let all = ask(&mut stage, "IncludeAllInstances=true");
        assert_eq!(all[0]["instanceStatus"]["status"], "not-applicable");
        stage.pass(20);
        let shown = ask(&mut stage, "");
        assert_eq!(shown[0]["instanceStatus"]["status"], "initializing");
        stage.pass(600);
        let passed = "Filter.1.Name=instance-status.reachability&Filter.1.Value.1=passed";
        let shown = ask(&mut stage, passed);
        assert_eq!(shown[0]["systemStatus"]["status"], "ok");
    }
}
