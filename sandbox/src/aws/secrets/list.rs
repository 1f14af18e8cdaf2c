//! The list of secrets.

use serde_json::{Map, Value};

use super::secret::{Secret, invalid};
use crate::aws::service::Action;
use crate::aws::wire::error::ApiError;
use crate::aws::wire::params::Params;
use crate::aws::world::paging::page;
use crate::aws::world::scene::Scene;

pub(crate) const ACTIONS: &[Action] = &[Action::read(
    "ListSecrets",
    &[
        "MaxResults",
        "NextToken",
        "Filters",
        "SortOrder",
        "IncludePlannedDeletion",
    ],
    list,
)];

/// Whether a secret fits one filter: one of its values has to be the beginning of what is looked at, or, after `!`, none may be.
fn fits(secret: &Secret, name: &str, filter: Params<'_>) -> Result<bool, ApiError> {
    let (key, values) = (filter.need("Key")?, filter.texts("Values"));
    if values.is_empty() {
        return Err(invalid(format!("The filter {key} has no values.")));
    }
    let tags = secret.tags.current();
    // Descriptions are compared whatever the case, everything else as it is.
    let loose = key == "description";
    let looked_at: Vec<String> = match key {
        "name" => vec![name.to_owned()],
        "description" => secret
            .description
            .iter()
            .map(|text| text.to_lowercase())
            .collect(),
        "tag-key" => tags.keys().cloned().collect(),
        "tag-value" => tags.values().cloned().collect(),
        other => {
            return Err(ApiError::not_simulated(format!(
                "the filter {other} of ListSecrets"
            )));
        }
    };
    let begins = |start: &str| {
        let start = if loose {
            start.to_lowercase()
        } else {
            start.to_owned()
        };
        looked_at.iter().any(|text| text.starts_with(&start))
    };
    Ok(values.iter().any(|value| match value.strip_prefix('!') {
        Some(unwanted) => !begins(unwanted),
        None => begins(value),
    }))
}

fn list(scene: &mut Scene<'_>, params: Params<'_>) -> Result<Value, ApiError> {
    let most = params.number("MaxResults")?.unwrap_or(100);
    if !(1..=100).contains(&most) {
        return Err(invalid("MaxResults has to be between 1 and 100."));
    }
    let newest_first = match params.text("SortOrder") {
        None | Some("desc") => true,
        Some("asc") => false,
        Some(_) => return Err(invalid("SortOrder has to be asc or desc.")),
    };
    let dying_too = params.flag("IncludePlannedDeletion")?.unwrap_or(false);
    let filters = params.sections("Filters");
    let mut found = Vec::new();
    for (name, secret) in &scene.region.secrets.secrets {
        let mut listed = scene.listed(secret.created) && (dying_too || secret.deletion.is_none());
        for filter in &filters {
            listed &= fits(secret, name, *filter)?;
        }
        if listed {
            let made = match newest_first {
                true => i64::MAX - secret.created.0,
                false => secret.created.0,
            };
            let deleted = secret.deletion.map(|deletion| deletion.asked);
            let shown = secret.show(name, "SecretVersionsToStages", deleted);
            found.push((format!("{made:020}/{name}"), shown));
        }
    }
    let page = page(
        found,
        |(key, _)| key.clone(),
        params.text("NextToken"),
        usize::try_from(most).ok(),
        "InvalidNextTokenException",
    )?;
    let mut reply = Map::new();
    let shown: Vec<Value> = page.items.into_iter().map(|(_, one)| one).collect();
    reply.insert("SecretList".to_owned(), shown.into());
    if let Some(next) = page.next {
        reply.insert("NextToken".to_owned(), next.into());
    }
    Ok(Value::Object(reply))
}
