//! `RunInstances`: what the parameters and a launch template say together.

use serde_json::{Value, json};

use super::instance::reservations;
use super::instance_type;
use super::launch::{Disk, Launch, launch};
use super::launch_template;
use super::resource::find;
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::scene::Scene;
use crate::aws::world::tags;
use crate::aws::world::tokens::{Replay, remember, replay};

pub(crate) const ACTIONS: &[Action] = &[Action::write(
    "RunInstances",
    &[
        "ImageId",
        "InstanceType",
        "MinCount",
        "MaxCount",
        "SubnetId",
        "SecurityGroupId",
        "KeyName",
        "IamInstanceProfile",
        "InstanceMarketOptions",
        "BlockDeviceMapping",
        "NetworkInterface",
        "LaunchTemplate",
        "MetadataOptions",
        "UserData",
        "ClientToken",
        "TagSpecification",
    ],
    run_instances,
)];

fn run_instances(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let reservation = match replay(scene, params, "ClientToken", "IdempotentParameterMismatch")? {
        Replay::Again(reservation) => reservation,
        first => {
            let reservation = run(scene, params)?;
            remember(scene, first, &reservation);
            reservation
        }
    };
    let all = scene.region.ec2.instances.values();
    let mine: Vec<_> = all
        .filter(|instance| instance.is_of(&reservation))
        .collect();
    let shown = reservations(scene, &mine).into_iter().next();
    Ok(shown.unwrap_or_else(|| json!({ "reservationId": reservation })))
}

fn run(scene: &mut Scene<'_>, params: Params<'_>) -> Result<String, ApiError> {
    let at_least = params
        .number("MinCount")?
        .ok_or_else(|| ApiError::missing("MinCount"))?;
    let at_most = params
        .number("MaxCount")?
        .ok_or_else(|| ApiError::missing("MaxCount"))?;
    if at_least < 1 || at_most < at_least {
        let message =
            format!("Invalid value '{at_most}' for maxCount. It must not be less than minCount.");
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    let template = match params.section("LaunchTemplate") {
        Some(named) => Some(launch_template::data(scene, named)?),
        None => None,
    };
    let template = template.as_ref().map(Params::new);
    let new = asked_for(scene, params, template)?;
    let reservation = scene.core.ids.ec2("r");
    let zone = find(&scene.region.ec2.subnets, &new.subnet)?.zone.clone();
    instance_type::check(scene, &new.instance_type, &zone)?;
    let mut made = Vec::new();
    for _ in 0..at_most {
        match launch(scene, &new, &reservation) {
            Ok(id) => made.push(id),
            Err(_) if made.len() >= usize::try_from(at_least).unwrap_or(1) => break,
            Err(error) => {
                // All or nothing below the minimum.
                for id in &made {
                    super::instance::terminate(scene, id, "Server.InternalError");
                    super::instance::terminated(scene, id);
                    super::instance::forgotten(scene, id);
                }
                return Err(error);
            }
        }
    }
    Ok(reservation)
}

/// Parameters of the call win over those of the template.
fn asked_for(
    scene: &Scene<'_>,
    params: Params<'_>,
    template: Option<Params<'_>>,
) -> Result<Launch, ApiError> {
    let text = |name: &str| {
        let own = params.text(name);
        own.or_else(|| template.and_then(|template| template.text(name)))
            .map(str::to_owned)
    };
    let whole = |name: &str| {
        if params.has(name) {
            Some(params)
        } else {
            template.filter(|t| t.has(name))
        }
    };
    let interface = whole("NetworkInterface")
        .and_then(|from| from.sections("NetworkInterface").into_iter().next());
    let subnet = text("SubnetId").or_else(|| interface?.text("SubnetId").map(str::to_owned));
    let Some(subnet) = subnet else {
        // Without a subnet it would go to the default VPC, and there is none here.
        let message = "No subnets found for the default VPC. Please specify a subnet.";
        return Err(ApiError::new("MissingInput", message));
    };
    let list = |from: Params<'_>| -> Vec<String> {
        let groups = from.texts("SecurityGroupId");
        groups.iter().map(|id| (*id).to_owned()).collect()
    };
    let mut groups = whole("SecurityGroupId").map(list).unwrap_or_default();
    if groups.is_empty() {
        groups = interface.map(list).unwrap_or_default();
    }
    let image = text("ImageId").ok_or_else(|| ApiError::missing("ImageId"))?;
    let market =
        whole("InstanceMarketOptions").and_then(|from| from.section("InstanceMarketOptions"));
    let profile = whole("IamInstanceProfile").and_then(|from| from.section("IamInstanceProfile"));
    let profile = profile.and_then(|profile| {
        let by_name = || {
            let name = profile.text("Name")?;
            Some(
                scene
                    .place
                    .global_arn("iam", &format!("instance-profile/{name}")),
            )
        };
        profile.text("Arn").map(str::to_owned).or_else(by_name)
    });
    let mut disks = Vec::new();
    for mapping in whole("BlockDeviceMapping")
        .map(|p| p.sections("BlockDeviceMapping"))
        .unwrap_or_default()
    {
        let Some(ebs) = mapping.section("Ebs") else {
            continue;
        };
        let standard = Disk::default();
        disks.push(Disk {
            device: mapping
                .text("DeviceName")
                .map_or(standard.device, str::to_owned),
            size: ebs.number("VolumeSize")?.unwrap_or(standard.size),
            kind: ebs.text("VolumeType").map_or(standard.kind, str::to_owned),
            encrypted: ebs.flag("Encrypted")?.unwrap_or(false),
            delete_on_termination: ebs.flag("DeleteOnTermination")?.unwrap_or(true),
        });
    }
    let all = ["instance", "volume", "network-interface"];
    let tags = |kind: &str| {
        let mut tags = match template {
            Some(template) => tags::specified(template, kind, &all)?,
            None => Default::default(),
        };
        tags.extend(tags::specified(params, kind, &all)?);
        Ok::<_, ApiError>(tags)
    };
    Ok(Launch {
        instance_type: text("InstanceType").unwrap_or_else(|| "m1.small".to_owned()),
        image,
        subnet,
        groups,
        profile,
        key_name: text("KeyName"),
        token: params.text("ClientToken").map(str::to_owned),
        spot: market.and_then(|market| market.text("MarketType")) == Some("spot"),
        public: match interface {
            Some(interface) => interface.flag("AssociatePublicIpAddress")?,
            None => None,
        },
        disks,
        tags: tags("instance")?,
        volume_tags: tags("volume")?,
        interface_tags: tags("network-interface")?,
    })
}
