//! Service Quotas.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::aws::service::{Action, Protocol, Service};
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::paging::page;
use crate::aws::world::quota::{QUOTAS, Quota};
use crate::aws::world::scene::Scene;

pub(crate) const SERVICE: Service = Service {
    name: "servicequotas",
    protocol: Protocol::Json {
        target: "ServiceQuotasV20190624",
        version: "1.1",
    },
    invalid: Some("IllegalArgumentException"),
    actions: &[ACTIONS],
};

/// What the service keeps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// What was granted instead of the default, by quota code.
    pub(crate) granted: std::collections::BTreeMap<String, f64>,
}

const ONE: &[&str] = &["ServiceCode", "QuotaCode"];
const SEVERAL: &[&str] = &["ServiceCode", "MaxResults", "NextToken"];

const ACTIONS: &[Action] = &[
    Action::read("GetServiceQuota", ONE, get),
    Action::read("GetAWSDefaultServiceQuota", ONE, get_default),
    Action::read("ListServiceQuotas", SEVERAL, list),
    Action::read("ListAWSDefaultServiceQuotas", SEVERAL, list_defaults),
];

fn show(scene: &Scene<'_>, quota: &Quota, value: f64) -> Value {
    json!({
        "ServiceCode": quota.service,
        "ServiceName": quota.service,
        "QuotaArn": scene.place.arn("servicequotas", &format!("{}/{}", quota.service, quota.code)),
        "QuotaCode": quota.code,
        "QuotaName": quota.name,
        "Value": value,
        "Unit": "None",
        "Adjustable": quota.adjustable,
        "GlobalQuota": false,
    })
}

/// What this account has.
fn applied(scene: &Scene<'_>, quota: &Quota) -> f64 {
    let granted = scene.region.quotas.granted.get(&quota.code);
    granted.copied().unwrap_or_else(|| quota.value())
}

fn find(params: Params<'_>) -> Result<&'static Quota, ApiError> {
    let (service, code) = (params.need("ServiceCode")?, params.need("QuotaCode")?);
    let mut all = QUOTAS.iter();
    let found = all.find(|quota| quota.service == service && quota.code == code);
    found.ok_or_else(|| {
        let message = "The request failed because the specified service or quota does not exist.";
        ApiError::new("NoSuchResourceException", message).status(StatusCode::BAD_REQUEST)
    })
}

fn get(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let quota = find(params)?;
    Ok(json!({ "Quota": show(scene, quota, applied(scene, quota)) }))
}

fn get_default(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let quota = find(params)?;
    Ok(json!({ "Quota": show(scene, quota, quota.default) }))
}

fn several(
    scene: &Scene<'_>,
    params: Params<'_>,
    value: impl Fn(&Quota) -> f64,
) -> Result<Value, ApiError> {
    let service = params.need("ServiceCode")?;
    let mine = QUOTAS.iter().filter(|quota| quota.service == service);
    let shown: Vec<(String, Value)> = mine
        .map(|quota| (quota.code.clone(), show(scene, quota, value(quota))))
        .collect();
    let most = params.number("MaxResults")?.unwrap_or(100);
    let token = params.text("NextToken");
    let page = page(
        shown,
        |(code, _)| code.clone(),
        token,
        usize::try_from(most).ok(),
        "InvalidPaginationTokenException",
    )?;
    let mut reply = Map::new();
    let quotas: Vec<Value> = page.items.into_iter().map(|(_, one)| one).collect();
    reply.insert("Quotas".to_owned(), quotas.into());
    if let Some(next) = page.next {
        reply.insert("NextToken".to_owned(), next.into());
    }
    Ok(Value::Object(reply))
}

fn list(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    several(scene, params, |quota| applied(scene, quota))
}

fn list_defaults(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    several(scene, params, |quota| quota.default)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::testing::Stage;

    #[test]
    fn what_is_granted_differs_from_the_default() {
        let mut stage = Stage::new();
        let asked = json!({"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"});
        let default = stage
            .call("servicequotas", "GetAWSDefaultServiceQuota", &asked)
            .unwrap();
        assert_eq!(default["Quota"]["Value"], 5.0);
        let applied = stage
            .call("servicequotas", "GetServiceQuota", &asked)
            .unwrap();
        assert_eq!(applied["Quota"]["Value"], 256.0);
        let unknown = json!({"ServiceCode": "ec2", "QuotaCode": "L-0"});
        assert!(
            stage
                .call("servicequotas", "GetServiceQuota", &unknown)
                .is_err()
        );
        let listed = stage
            .call(
                "servicequotas",
                "ListServiceQuotas",
                &json!({"ServiceCode": "vpc", "MaxResults": 2}),
            )
            .unwrap();
        assert_eq!(listed["Quotas"].as_array().unwrap().len(), 2);
        assert!(listed["NextToken"].is_string());
    }
}
