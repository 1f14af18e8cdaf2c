//! The records of environments in the account: SSM parameters of the standard tier.

use async_trait::async_trait;
use aws_sdk_ssm::types::{Parameter, ParameterType, Tag};
use pipectl_stages::{
    error::{PortError, PortErrorKind as Kind},
    ports::{
        anchors::{Anchor, AnchorApi},
        cloud::{Deletion, Tags},
    },
};

use crate::{
    call::{absent, deletion},
    client::Aws,
    codes,
    errors::{error, translate},
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

#[async_trait]
impl AnchorApi for Aws {
    async fn create(&self, anchor: &Anchor, tags: &Tags) -> Result<(), PortError> {
        let tags = tags
            .iter()
            .map(|(key, value)| Tag::builder().key(key).value(value).build())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| error(Kind::Invalid, codes::INVALID, source.to_string()))?;
        self.ssm()
            .put_parameter()
            .name(parameter(&anchor.name))
            .value(written(anchor)?)
            .r#type(ParameterType::String)
            .overwrite(false)
            .set_tags(Some(tags))
            .send()
            .await
            .map_err(translate)?;
        Ok(())
    }

    async fn find(&self, name: &str) -> Result<Option<Anchor>, PortError> {
        let answer = self
            .ssm()
            .get_parameter()
            .name(parameter(name))
            .send()
            .await
            .map_err(translate);
        absent(answer)?
            .and_then(|answer| answer.parameter)
            .map(|parameter| read(&parameter))
            .transpose()
    }

    async fn all(&self) -> Result<Vec<Anchor>, PortError> {
        let pages = self
            .ssm()
            .get_parameters_by_path()
            .path(PATH)
            .into_paginator()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await
            .map_err(translate)?;
        let parameters = pages.iter().flat_map(|page| page.parameters());
        let mut anchors: Vec<Anchor> = parameters
            .filter_map(|parameter| read(parameter).ok())
            .collect();
        anchors.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(anchors)
    }

    /// Without a type, Systems Manager overwrites what exists and never creates (its API reference on `Type`;
    /// localstack/localstack#10580), so an anchor that was removed meanwhile does not come back.
    async fn update(&self, anchor: &Anchor) -> Result<(), PortError> {
        let answer = self
            .ssm()
            .put_parameter()
            .name(parameter(&anchor.name))
            .value(written(anchor)?)
            .overwrite(true)
            .send()
            .await
            .map_err(translate);
        match answer {
            Ok(_) => Ok(()),
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
