//! Secrets Manager: the secret that a request is about.

use super::{Need, On, tags};
use crate::aws::wire::params::Params;
use crate::aws::world::scene::Scene;

/// A secret that is not there is asked about under its name, so that the refusal comes before the answer that it is missing; one
/// that is made gets characters at its end, which policies have as `-??????` or `*`.
pub(super) fn of(scene: &Scene<'_>, action: &str, own: String, params: Params<'_>) -> Vec<Need> {
    let requested = tags(params, "Tags");
    let named = params.text("SecretId").or_else(|| params.text("Name"));
    let Some(id) = named else {
        return vec![Need::new(own, On::Everything)];
    };
    let known = scene.region.secrets.behind(id);
    let arn = match known {
        Some((arn, _)) => arn.to_owned(),
        None if id.starts_with("arn:") => id.to_owned(),
        None => scene
            .place
            .arn("secretsmanager", &format!("secret:{id}-XXXXXX")),
    };
    let untagged = params.texts("TagKeys").into_iter().map(str::to_owned);
    let has = known.map(|(_, tags)| tags.current().clone());
    let mut needs = vec![Need {
        untagged: untagged.collect(),
        ..Need::on(own, &arn)
            .requesting(requested.clone())
            .tagged(has.unwrap_or_default())
    }];
    if action == "CreateSecret" && !requested.is_empty() {
        needs.push(Need::on("secretsmanager:TagResource", arn).requesting(requested));
    }
    needs
}
