//! The records of environments in the account: SSM parameters of the standard tier.

use async_trait::async_trait;
use aws_sdk_ssm::{
    config::Builder,
    types::{Parameter, ParameterType, Tag},
};
use pipectl_stages::{
    error::{PortError, PortErrorKind as Kind},
    ports::{
        anchors::{Anchor, AnchorApi, Sighting},
        cloud::{Deletion, Tags},
    },
};

use crate::{
    call::{NeverTwice, absent, deletion},
    client::Aws,
    codes,
    convert::timestamp,
    errors::{error, translate, unclear},
    servers_clock::ServersClock,
};

/// Where the parameters are.
const PATH: &str = "/pipectl/environments";

fn parameter(name: &str) -> String {
    format!("{PATH}/{name}")
}

/// The value of a parameter; an anchor holds no secret.
fn written(anchor: &Anchor) -> Result<String, PortError> {
    serde_json::to_string(anchor)
        .map_err(|source| error(Kind::Other, codes::ANSWER_UNCLEAR, source.to_string()))
}

fn read(parameter: &Parameter) -> Result<Anchor, PortError> {
    let value = parameter.value().unwrap_or_default();
    serde_json::from_str(value).map_err(|source| {
        error(
            Kind::Foreign,
            codes::FOREIGN,
            format!(
                "the value of SSM parameter {} is not the record of an environment: {source}",
                parameter.name().unwrap_or_default()
            ),
        )
    })
}

/// An anchor as the answer showed it that `clock` went with.
fn seen(parameter: &Parameter, clock: &ServersClock) -> Result<Sighting, PortError> {
    let lacks = |what| unclear("GetParameter", what);
    let written = parameter.last_modified_date().and_then(timestamp);
    Ok(Sighting {
        anchor: read(parameter)?,
        version: version(parameter.version(), "GetParameter")?,
        silent: clock.since(written.ok_or_else(|| lacks("date of the last change"))?),
    })
}

/// Versions count from 1 (Systems Manager API reference: PutParameter).
fn version(said: i64, operation: &str) -> Result<u64, PortError> {
    match u64::try_from(said) {
        Ok(version) if version > 0 => Ok(version),
        _ => Err(unclear(operation, "version")),
    }
}

#[async_trait]
impl AnchorApi for Aws {
    async fn create(&self, anchor: &Anchor, tags: &Tags) -> Result<u64, PortError> {
        let tags = tags
            .iter()
            .map(|(key, value)| Tag::builder().key(key).value(value).build())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| error(Kind::Invalid, codes::INVALID, source.to_string()))?;
        let answer = self
            .ssm()
            .put_parameter()
            .name(parameter(&anchor.name))
            .value(written(anchor)?)
            .r#type(ParameterType::String)
            .overwrite(false)
            .set_tags(Some(tags))
            .send()
            .await
            .map_err(translate)?;
        version(answer.version(), "PutParameter")
    }

    async fn sight(&self, name: &str) -> Result<Option<Sighting>, PortError> {
        let clock = ServersClock::default();
        let answer = self
            .ssm()
            .get_parameter()
            .name(parameter(name))
            .customize()
            .interceptor(clock.clone())
            .send()
            .await
            .map_err(translate);
        absent(answer)?
            .and_then(|answer| answer.parameter)
            .map(|parameter| seen(&parameter, &clock))
            .transpose()
    }

    /// Page by page: the SDK's paginator takes no interceptor, and each page has a date of its own.
    async fn all(&self) -> Result<Vec<Sighting>, PortError> {
        let mut anchors = Vec::new();
        let mut next = None;
        loop {
            let clock = ServersClock::default();
            let page = self
                .ssm()
                .get_parameters_by_path()
                .path(PATH)
                .set_next_token(next)
                .customize()
                .interceptor(clock.clone())
                .send()
                .await
                .map_err(translate)?;
            let parameters = page.parameters().iter();
            anchors.extend(parameters.filter_map(|parameter| seen(parameter, &clock).ok()));
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                break;
            }
        }
        anchors.sort_by(|one, other| one.anchor.name.cmp(&other.anchor.name));
        Ok(anchors)
    }

    /// Without a type, Systems Manager overwrites what exists and never creates (its API reference on `Type`;
    /// localstack/localstack#10580), so an anchor that was removed meanwhile does not come back.
    async fn update(&self, anchor: &Anchor) -> Result<u64, PortError> {
        let answer = self
            .ssm()
            .put_parameter()
            .name(parameter(&anchor.name))
            .value(written(anchor)?)
            .overwrite(true)
            .customize()
            .config_override(Builder::new().retry_classifier(NeverTwice))
            .send()
            .await
            .map_err(translate);
        match answer {
            Ok(answer) => version(answer.version(), "PutParameter"),
            Err(refused) if refused.kind == Kind::Invalid => {
                match AnchorApi::find(self, &anchor.name).await {
                    Ok(None) => Err(error(
                        Kind::NotFound,
                        codes::NOT_FOUND,
                        format!("SSM parameter {} is gone", parameter(&anchor.name)),
                    )),
                    _ => Err(refused),
                }
            }
            Err(failed) => Err(failed),
        }
    }

    async fn delete(&self, name: &str) -> Result<Deletion, PortError> {
        let answer = self
            .ssm()
            .delete_parameter()
            .name(parameter(name))
            .send()
            .await
            .map_err(translate);
        deletion(answer)
    }
}
