//! Changes that EKS carries out by itself, and what its errors mean by what was being done.

use std::error::Error;

use aws_sdk_eks::{error::ProvideErrorMetadata, types};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use pipectl_stages::{
    error::{PortError, PortErrorKind as Kind},
    ports::cloud::{Issue, Tags, UpdateProgress},
};

use crate::{
    call::absent,
    client::Aws,
    codes,
    errors::{self, translate, translate_creation},
};

/// What an update is of.
#[derive(Clone, Copy)]
pub(crate) enum Of<'a> {
    Cluster,
    NodeGroup(&'a str),
    Addon(&'a str),
}

/// How far an update is.
pub(crate) async fn progress(
    aws: &Aws,
    cluster: &str,
    of: Of<'_>,
    update: &str,
) -> Result<Option<UpdateProgress>, PortError> {
    let request = aws.eks().describe_update().name(cluster).update_id(update);
    let request = match of {
        Of::Cluster => request,
        Of::NodeGroup(group) => request.nodegroup_name(group),
        Of::Addon(addon) => request.addon_name(addon),
    };
    let Some(found) = absent(request.send().await.map_err(translate))? else {
        return Ok(None);
    };
    Ok(found.update().map(of_update))
}

fn of_update(update: &types::Update) -> UpdateProgress {
    match update.status() {
        Some(types::UpdateStatus::Successful) => UpdateProgress::Successful,
        Some(status @ (types::UpdateStatus::Failed | types::UpdateStatus::Cancelled)) => {
            let mut issues: Vec<Issue> = update
                .errors()
                .iter()
                .map(|error| {
                    issue(
                        error.error_code().map(types::ErrorCode::as_str),
                        error.error_message(),
                        error.resource_ids(),
                    )
                })
                .collect();
            if let Some(reason) = update.cancellation().and_then(|by| by.reason()) {
                issues.push(issue(Some(status.as_str()), Some(reason), &[]));
            }
            UpdateProgress::Failed(issues)
        }
        // What EKS does not call an end is none.
        _ => UpdateProgress::InProgress,
    }
}

/// The id of an update that has begun.
pub(crate) fn begun(update: Option<&types::Update>, operation: &str) -> Result<String, PortError> {
    let id = update.and_then(types::Update::id).map(str::to_owned);
    id.ok_or_else(|| errors::unclear(operation, "update id"))
}

/// An issue as EKS has it in health reports and updates.
pub(crate) fn issue(code: Option<&str>, message: Option<&str>, resources: &[String]) -> Issue {
    Issue {
        code: code.unwrap_or("Unknown").to_owned(),
        message: message.unwrap_or_default().to_owned(),
        resources: resources.to_vec(),
    }
}

/// Tags as EKS has them.
pub(crate) fn tags(tags: Option<&std::collections::HashMap<String, String>>) -> Tags {
    tags.into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// A state that was added to the API after this program was written.
pub(crate) fn unknown_state(what: &str, state: Option<&str>) -> PortError {
    errors::error(
        Kind::Other,
        codes::ANSWER_UNCLEAR,
        match state {
            Some(state) => {
                format!("{what} is in the state {state}, which this version does not know")
            }
            None => format!("{what} has no state"),
        },
    )
}

/// As [`translate`], for changes of what exists: `ResourceInUseException` says that another change is under way, or that the
/// resource takes none in its state, and `InvalidRequestException` that the cluster doesn't (EKS API, errors of
/// `UpdateNodegroupConfig` and `UpdateAddon`).
pub(crate) fn translate_change<E>(failed: SdkError<E, HttpResponse>) -> PortError
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let busy = matches!(
        failed.code(),
        Some("ResourceInUseException" | "InvalidRequestException")
    );
    busy_if(busy, translate(failed))
}

/// As [`translate_creation`], for what is made in a cluster: while the cluster is being made or changed, EKS refuses with
/// `InvalidRequestException` (eksctl-io/eksctl#2244).
pub(crate) fn translate_creation_inside<E>(failed: SdkError<E, HttpResponse>) -> PortError
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let busy = failed.code() == Some("InvalidRequestException");
    busy_if(busy, translate_creation(failed))
}

/// As [`translate`], for deletions of what is in a cluster: in a state in which it cannot go yet, EKS refuses with
/// `InvalidRequestException` where its API knows no `ResourceInUseException` (EKS API, errors of `DeleteAddon`).
pub(crate) fn translate_deletion_inside<E>(failed: SdkError<E, HttpResponse>) -> PortError
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let not_yet = failed.code() == Some("InvalidRequestException");
    let error = translate(failed);
    if not_yet {
        errors::error(Kind::InUse, codes::IN_USE, error.cause)
    } else {
        error
    }
}

fn busy_if(busy: bool, error: PortError) -> PortError {
    if busy {
        errors::error(Kind::Conflict, codes::CONFLICT, error.cause)
    } else {
        error
    }
}
