//! Attributes of load balancers and target groups: kept and shown; only protection from deletion is obeyed.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::absent;
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::scene::Scene;

/// What was changed, by key; everything else is as the tables below have it.
pub(super) type Attributes = BTreeMap<String, String>;

/// The key that protects a load balancer from deletion.
pub(super) const PROTECTED: &str = "deletion_protection.enabled";

/// Keys with their defaults (Elastic Load Balancing API reference: LoadBalancerAttribute).
const ALL_BALANCERS: [(&str, &str); 6] = [
    (PROTECTED, "false"),
    ("access_logs.s3.enabled", "false"),
    ("access_logs.s3.bucket", ""),
    ("access_logs.s3.prefix", ""),
    ("ipv6.deny_all_igw_traffic", "false"),
    ("zonal_shift.config.enabled", "false"),
];
const APPLICATION: [(&str, &str); 14] = [
    ("load_balancing.cross_zone.enabled", "true"),
    ("client_keep_alive.seconds", "3600"),
    ("connection_logs.s3.enabled", "false"),
    ("connection_logs.s3.bucket", ""),
    ("connection_logs.s3.prefix", ""),
    ("idle_timeout.timeout_seconds", "60"),
    ("routing.http.desync_mitigation_mode", "defensive"),
    ("routing.http.drop_invalid_header_fields.enabled", "false"),
    ("routing.http.preserve_host_header.enabled", "false"),
    (
        "routing.http.x_amzn_tls_version_and_cipher_suite.enabled",
        "false",
    ),
    ("routing.http.xff_client_port.enabled", "false"),
    ("routing.http.xff_header_processing.mode", "append"),
    ("routing.http2.enabled", "true"),
    ("waf.fail_open.enabled", "false"),
];
const NETWORK: [(&str, &str); 2] = [
    ("load_balancing.cross_zone.enabled", "false"),
    ("dns_record.client_routing_policy", "any_availability_zone"),
];

/// The same for target groups (TargetGroupAttribute).
const ALL_GROUPS: [(&str, &str); 7] = [
    ("deregistration_delay.timeout_seconds", "300"),
    ("stickiness.enabled", "false"),
    (
        "load_balancing.cross_zone.enabled",
        "use_load_balancer_configuration",
    ),
    (
        "target_group_health.dns_failover.minimum_healthy_targets.count",
        "1",
    ),
    (
        "target_group_health.dns_failover.minimum_healthy_targets.percentage",
        "off",
    ),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
        "1",
    ),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        "off",
    ),
];
const OF_HTTP: [(&str, &str); 7] = [
    ("stickiness.type", "lb_cookie"),
    ("stickiness.lb_cookie.duration_seconds", "86400"),
    ("stickiness.app_cookie.cookie_name", ""),
    ("stickiness.app_cookie.duration_seconds", "86400"),
    ("slow_start.duration_seconds", "0"),
    ("load_balancing.algorithm.type", "round_robin"),
    ("load_balancing.algorithm.anomaly_mitigation", "off"),
];
const OF_TCP: [(&str, &str); 6] = [
    ("stickiness.type", "source_ip"),
    ("preserve_client_ip.enabled", "true"),
    ("proxy_protocol_v2.enabled", "false"),
    (
        "deregistration_delay.connection_termination.enabled",
        "false",
    ),
    (
        "target_health_state.unhealthy.connection_termination.enabled",
        "true",
    ),
    (
        "target_health_state.unhealthy.draining_interval_seconds",
        "0",
    ),
];

pub(crate) const ACTIONS: &[Action] = &[
    Action::read(
        "DescribeLoadBalancerAttributes",
        &["LoadBalancerArn"],
        |scene, params| show(scene, params.need("LoadBalancerArn")?),
    ),
    Action::write(
        "ModifyLoadBalancerAttributes",
        &["LoadBalancerArn", "Attributes"],
        |scene, params| modify(scene, params, "LoadBalancerArn"),
    ),
    Action::read(
        "DescribeTargetGroupAttributes",
        &["TargetGroupArn"],
        |scene, params| show(scene, params.need("TargetGroupArn")?),
    ),
    Action::write(
        "ModifyTargetGroupAttributes",
        &["TargetGroupArn", "Attributes"],
        |scene, params| modify(scene, params, "TargetGroupArn"),
    ),
    Action::read(
        "DescribeListenerAttributes",
        &["ListenerArn"],
        describe_of_listener,
    ),
    // Nobody can reserve capacity here, so there is none.
    Action::read(
        "DescribeCapacityReservation",
        &["LoadBalancerArn"],
        |scene, params| {
            of(scene, params.need("LoadBalancerArn")?)?;
            Ok(json!({ "CapacityReservationState": [] }))
        },
    ),
];

/// All attributes of a load balancer or target group as they are.
fn of(scene: &Scene<'_>, arn: &str) -> Result<Attributes, ApiError> {
    let elb = &scene.region.elb;
    let (changed, general, special): (_, &[_], &[_]) =
        match (elb.balancers.get(arn), elb.target_groups.get(arn)) {
            (Some(one), _) if one.is_network() => (&one.attributes, &ALL_BALANCERS, &NETWORK),
            (Some(one), _) => (&one.attributes, &ALL_BALANCERS, &APPLICATION),
            (None, Some(one)) if one.is_of_http() => (&one.attributes, &ALL_GROUPS, &OF_HTTP),
            (None, Some(one)) => (&one.attributes, &ALL_GROUPS, &OF_TCP),
            (None, None) => return Err(absent(arn)),
        };
    let defaults = general.iter().chain(special);
    let mut all: Attributes = defaults
        .map(|(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    all.extend(changed.clone());
    Ok(all)
}

fn show(scene: &mut Scene<'_>, arn: &str) -> Result<Value, ApiError> {
    let all = of(scene, arn)?;
    let list: Vec<Value> = all
        .iter()
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect();
    Ok(json!({ "Attributes": list }))
}

/// Those of TCP listeners: there is one (ELB API reference: ListenerAttribute).
fn describe_of_listener(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let arn = params.need("ListenerArn")?;
    let listener = scene.region.elb.listeners.get(arn);
    if !listener.ok_or_else(|| absent(arn))?.is_of_tcp() {
        let what = "attributes of listeners of other protocols than TCP";
        return Err(ApiError::not_simulated(what));
    }
    let timeout = json!({"Key": "tcp.idle_timeout.seconds", "Value": "350"});
    Ok(json!({ "Attributes": [timeout] }))
}

fn modify(scene: &mut Scene<'_>, params: Params<'_>, named: &str) -> Result<Value, ApiError> {
    let arn = params.need(named)?;
    let known = of(scene, arn)?;
    let mut changes = Attributes::new();
    for change in params.sections("Attributes") {
        let key = change.need("Key")?;
        if !known.contains_key(key) {
            let message = format!("Attribute key '{key}' is not recognized");
            return Err(ApiError::new("InvalidConfigurationRequest", message));
        }
        let value = change.text("Value").unwrap_or_default();
        changes.insert(key.to_owned(), value.to_owned());
    }
    let elb = &mut scene.region.elb;
    if let Some(one) = elb.balancers.get_mut(arn) {
        one.attributes.extend(changes);
    } else if let Some(one) = elb.target_groups.get_mut(arn) {
        one.attributes.extend(changes);
    }
    show(scene, arn)
}
