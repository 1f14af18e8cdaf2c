//! Every secret value that the pipeline refers to is asked for before anything is made: one that is missing would otherwise be
//! found out a quarter of an hour later, beside a cluster that costs money.

use std::sync::Arc;

use async_trait::async_trait;
use pipectl_config::Loaded;
use serde_json::json;

use crate::{
    blocks::{Row, values},
    context::StepContext,
    error::StepError,
    step::{Change, Need, Observation, Outcome, Readiness, Step, StepId, Timeouts},
};

/// The step that asks. It keeps nothing: whoever needs a value resolves it again, which within one run gives the same.
pub(super) struct Secrets {
    row: Row,
    loaded: Arc<Loaded>,
}

impl Secrets {
    /// The step; none where the pipeline refers to no secret.
    pub(super) fn step(row: Row, loaded: &Arc<Loaded>) -> Option<Arc<dyn Step>> {
        if values::references(loaded).is_empty() {
            return None;
        }
        let loaded = loaded.clone();
        Some(Arc::new(Self { row, loaded }))
    }

    /// How many there are, when all of them can be had. Of several that cannot, the first is the error and the others its
    /// evidence.
    async fn look(&self, cx: &StepContext) -> Result<usize, StepError> {
        let references = values::references(&self.loaded);
        let mut first: Option<StepError> = None;
        for reference in &references {
            let Err(error) = values::resolve(cx, &self.loaded, reference).await else {
                continue;
            };
            match &mut first {
                None => first = Some(error),
                Some(first) => first.evidence.push(error.to_string()),
            }
        }
        match first {
            None => Ok(references.len()),
            Some(error) => Err(error),
        }
    }
}

fn words(count: usize) -> String {
    match count {
        1 => "1 value at hand".to_owned(),
        many => format!("{many} values at hand"),
    }
}

#[async_trait]
impl Step for Secrets {
    fn id(&self) -> &StepId {
        &self.row.id
    }

    fn title(&self) -> String {
        self.row.title.clone()
    }

    fn needs(&self) -> Vec<Need> {
        self.row.needs.clone()
    }

    fn timeouts(&self) -> Timeouts {
        self.row.timeouts
    }

    async fn observe(&self, cx: &StepContext) -> Result<Observation, StepError> {
        self.look(cx).await?;
        Ok(Observation::Present)
    }

    async fn ensure(&self, cx: &StepContext, _: &Observation) -> Result<Outcome, StepError> {
        Ok(Outcome {
            change: Change::Unchanged,
            outputs: json!({}),
            summary: words(self.look(cx).await?),
        })
    }

    async fn readiness(&self, _: &StepContext) -> Result<Readiness, StepError> {
        let count = values::references(&self.loaded).len();
        Ok(Readiness::Ready(words(count)))
    }
}

#[cfg(test)]
mod tests {
    use pipectl_config::{Blueprint, LoadOptions, Override};

    use super::*;
    use crate::{account, cloud::CloudOptions, testing::World};

    fn pipeline(changes: &[(&str, &str)]) -> Arc<Loaded> {
        let change = |(path, value): &(&str, &str)| Override {
            path: (*path).to_owned(),
            value: (*value).to_owned(),
        };
        let options = LoadOptions {
            overrides: changes.iter().map(change).collect(),
            ..LoadOptions::default()
        };
        let loaded = Blueprint::get("streaming").unwrap().load(&options);
        Arc::new(loaded.unwrap())
    }

    fn step(loaded: &Arc<Loaded>) -> Option<Arc<dyn Step>> {
        Secrets::step(Row::new(account::STAGE, "secrets", "values"), loaded)
    }

    #[tokio::test]
    async fn every_value_is_asked_for_once_and_all_that_are_missing_are_named() {
        let data = "{one: {env: ONE}, again: {env: ONE}, two: {awsSecretsManager: {id: two}}, \
                    three: {awsSecretsManager: {id: three, key: k}}}";
        let secret = format!("[{{name: s, namespace: was, data: {data}}}]");
        let loaded = pipeline(&[("spec.secrets", &secret)]);
        assert_eq!(values::references(&loaded).len(), 3);
        let step = step(&loaded).unwrap();
        let world = World::default();
        let error = step.observe(&world.context(step.id())).await.unwrap_err();
        assert!(error.resource.contains("AWS secret three key k"), "{error}");
        assert_eq!(error.evidence.len(), 1, "{:?}", error.evidence);
        assert!(error.evidence[0].contains("AWS secret two"));

        let loaded = pipeline(&[(
            "spec.secrets",
            "[{name: s, namespace: was, data: {one: {env: ONE}}}]",
        )]);
        let step = self::step(&loaded).unwrap();
        let cx = world.context(step.id());
        let outcome = step.ensure(&cx, &Observation::Present).await.unwrap();
        assert_eq!(outcome.change, Change::Unchanged);
        assert_eq!(outcome.summary, "1 value at hand");
    }

    /// And where there is none, the anchor waits for nobody who is not there.
    #[test]
    fn the_anchor_waits_for_the_values_where_there_are_any() {
        let options = CloudOptions::default();
        let secret = "[{name: s, namespace: was, data: {one: {env: ONE}}}]";
        for (changes, waits) in [(vec![], false), (vec![("spec.secrets", secret)], true)] {
            let steps = account::steps(&pipeline(&changes), &options);
            let ids: Vec<&StepId> = steps.iter().map(|step| step.id()).collect();
            assert_eq!(ids.contains(&&account::secrets()), waits);
            let anchor = steps.iter().find(|step| *step.id() == account::anchor());
            let needs = anchor.unwrap().needs();
            assert_eq!(needs.contains(&Need::ready(account::secrets())), waits);
            assert!(needs.contains(&Need::ready(account::preflight())));
        }
    }
}
