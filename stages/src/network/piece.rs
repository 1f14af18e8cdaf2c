//! A step that makes one piece of a network. A stage's table says what the piece is and how it hangs together with
//! others; finding it, the rule for duplicates, tags and attempts are the same for all kinds.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use pipectl_config::Loaded;
use serde_json::{Value, json};

use super::steps;
use crate::{
    cloud::{
        Look, Resource,
        candidates::{Candidate, Choice, choose},
        cloud, names,
        tags::{self, Retag},
        text,
    },
    context::StepContext,
    error::{PortError, PortErrorKind, Retry, StepError},
    objects::ownership::Owner,
    ports::{
        cloud::Tags,
        network::{Arrangement, Detail, Lookup, NewPiece, Piece, PieceKind, PieceSpec, PieceState},
    },
    step::{Change, Difference, Readiness},
};

/// One thing about a piece that is to be otherwise.
pub(super) struct Mending {
    /// What, e.g. `dnsHostnames`.
    pub(super) field: &'static str,
    /// As it is.
    pub(super) live: Option<String>,
    /// As it is to be.
    pub(super) wanted: Option<String>,
    /// What makes it so.
    pub(super) arrangement: Arrangement,
}

/// What the table says about one piece.
#[async_trait]
pub(super) trait Wants: Send + Sync + 'static {
    /// Its kind.
    fn kind(&self) -> PieceKind;

    /// What it is called: the end of its name tag.
    fn called(&self) -> String;

    /// What it is made of.
    async fn spec(&self, cx: &StepContext) -> Result<PieceSpec, StepError>;

    /// Tags besides ownership, name and the pipeline's.
    fn extra_tags(&self, _cx: &StepContext) -> Tags {
        Tags::new()
    }

    /// What is to be otherwise.
    fn mendings(&self, _cx: &StepContext, _live: &Piece) -> Result<Vec<Mending>, StepError> {
        Ok(Vec::new())
    }

    /// Facts for later steps, besides the id.
    fn facts(&self, _live: &Piece) -> Value {
        json!({})
    }

    /// One line for a person.
    fn summary(&self, live: &Piece) -> String {
        format!("{} {}", live.kind().words(), live.id)
    }

    /// The piece of a unique name or place that this one would collide with, if that is what `other` is.
    fn collides(&self, _spec: &PieceSpec, _other: &Piece) -> bool {
        false
    }
}

/// The resource of one piece.
pub(super) struct PieceResource<W> {
    loaded: Arc<Loaded>,
    wants: W,
    /// The piece made by this process: a repeated try must not depend on reads that lag behind.
    made: Mutex<Option<String>>,
}

impl<W: Wants> PieceResource<W> {
    pub(super) fn new(loaded: &Arc<Loaded>, wants: W) -> Self {
        Self {
            loaded: loaded.clone(),
            wants,
            made: Mutex::new(None),
        }
    }

    fn name(&self, cx: &StepContext) -> String {
        format!("pipectl-{}-{}", cx.environment.name, self.wants.called())
    }

    fn token(&self, cx: &StepContext, attempt: u32, spec: &PieceSpec) -> String {
        let request = (spec, tags::numbered(self.tags(cx), attempt));
        names::token(&cx.environment, &cx.step, attempt, &request)
    }

    fn tags(&self, cx: &StepContext) -> Tags {
        let mut tags = tags::wanted(cx, &self.name(cx), &self.loaded.pipeline.spec.tags);
        tags.extend(self.wants.extra_tags(cx));
        tags
    }

    fn remember(&self, piece: &Piece) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        *made = Some(piece.id.clone());
    }

    fn known_id(&self, cx: &StepContext) -> Option<String> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.clone().or_else(|| recorded_id(cx))
    }

    fn retag(&self, cx: &StepContext, live: &Piece) -> Retag {
        tags::retag(&live.tags, &self.tags(cx), &tags::set_before(cx))
    }

    /// Every piece that may be this step's.
    async fn pieces(&self, cx: &StepContext) -> Result<Vec<Piece>, StepError> {
        let network = &cloud(cx)?.network;
        let (kind, title) = (self.wants.kind(), self.wants.kind().words());
        let tagged = Lookup::Tagged(tags::made_by(&cx.environment, &cx.step));
        let found = network.find(kind, &tagged).await;
        let mut found = found.map_err(|error| error.during("look for", title))?;
        if let Some(id) = self.known_id(cx)
            && !found.iter().any(|piece| piece.id == id)
        {
            // Reads by id lag less than those by tag.
            let by_id = network.find(kind, &Lookup::Ids(vec![id])).await;
            found.extend(by_id.map_err(|error| error.during("look for", title))?);
        }
        Ok(found)
    }

    /// Somebody's piece that a new one would collide with: ours that reads by tag do not show yet, or a stranger's.
    async fn collision(&self, cx: &StepContext) -> Result<Option<Piece>, StepError> {
        let spec = match self.wants.spec(cx).await {
            Err(error) if error.code == crate::cloud::NOT_KNOWN => return Ok(None),
            spec => spec?,
        };
        let vpc = match &spec {
            PieceSpec::Subnet { vpc, .. }
            | PieceSpec::SecurityGroup { vpc, .. }
            | PieceSpec::GatewayEndpoint { vpc, .. } => Some(vpc.clone()),
            // A VPC has one at most.
            PieceSpec::InternetGateway => text(cx, &steps::vpc(), "id"),
            _ => None,
        };
        let Some(vpc) = vpc else {
            return Ok(None);
        };
        let kind = self.wants.kind();
        let all = cloud(cx)?.network.find(kind, &Lookup::InVpc(vpc)).await;
        let all = all.map_err(|error| error.during("look for", kind.words()))?;
        let mut alive = all.into_iter().filter(Piece::is_alive);
        Ok(alive.find(|piece| self.wants.collides(&spec, piece)))
    }

    fn mendings(&self, cx: &StepContext, live: &Piece) -> Result<Vec<Mending>, StepError> {
        self.wants.mendings(cx, live)
    }

    /// The piece that holds the place of this one, if it is our own: an attempt before made it, and reads did not show it
    /// when this one was made.
    async fn twin(&self, cx: &StepContext, live: &Piece) -> Result<Option<Piece>, StepError> {
        let holds = self.collision(cx).await?;
        let ours = |piece: &Piece| tags::owner(&piece.tags, &cx.environment) == Owner::Ours;
        Ok(holds.filter(|piece| piece.id != live.id && ours(piece)))
    }

    /// The twin stays, and the piece that was made after it goes.
    async fn give_way(
        &self,
        cx: &StepContext,
        live: Piece,
        twin: Piece,
    ) -> Result<Piece, StepError> {
        self.remember(&twin);
        cx.intent(json!({"removes": [live.id]})).await?;
        self.drop_extra(cx, &live.id).await?;
        Ok(twin)
    }
}

/// The id that this step recorded of something of the environment's own: what was brought stays its owner's when the
/// pipeline does not bring it any more.
pub(super) fn recorded_id(cx: &StepContext) -> Option<String> {
    let recorded = cx.recorded()?;
    if recorded["brought"] == true {
        return None;
    }
    recorded["id"].as_str().map(str::to_owned)
}

#[async_trait]
impl<W: Wants> Resource for PieceResource<W> {
    type Live = Piece;

    async fn look(&self, cx: &StepContext) -> Result<Look<Piece>, StepError> {
        let pieces = self.pieces(cx).await?;
        let (alive, dead): (Vec<&Piece>, Vec<&Piece>) =
            pieces.iter().partition(|piece| piece.is_alive());
        let mut candidates = Vec::new();
        for piece in &alive {
            let made = piece.tags.get(tags::MADE_TAG).cloned();
            candidates.push(Candidate {
                id: piece.id.clone(),
                made: made.unwrap_or_default(),
                used: alive.len() > 1 && used(cx, piece).await?,
            });
        }
        match choose(self.known_id(cx).as_deref(), &candidates) {
            Choice::One { keep, extras } => {
                let live = alive.into_iter().find(|piece| piece.id == keep);
                Ok(live.map_or_else(Look::absent, |live| Look::There {
                    live: live.clone(),
                    extras,
                }))
            }
            Choice::Ambiguous(ids) => Err(StepError::new(
                "CLD004",
                "choose",
                format!("{} of {}", self.wants.kind().words(), cx.step),
                format!(
                    "{} are all this environment's, all in use, and none is recorded",
                    ids.join(", ")
                ),
            )),
            Choice::None => {
                if let Some(piece) = self.collision(cx).await? {
                    return Ok(Look::named(cx, piece.clone(), &piece.tags));
                }
                let recorded = cx.recorded().map(|outputs| outputs["attempt"].as_u64());
                let last = dead
                    .iter()
                    .map(|piece| tags::attempt_of(&piece.tags))
                    .chain(recorded.map(|number| {
                        number
                            .and_then(|number| u32::try_from(number).ok())
                            .unwrap_or(1)
                    }))
                    .max();
                Ok(Look::Absent {
                    attempt: last.map_or(1, |last| last.saturating_add(1)),
                    replaces: None,
                })
            }
        }
    }

    async fn identity(&self, cx: &StepContext, attempt: u32) -> Result<Value, StepError> {
        let spec = self.wants.spec(cx).await?;
        let token = self.token(cx, attempt, &spec);
        Ok(json!({"make": spec, "name": self.name(cx), "token": token}))
    }

    async fn create(
        &self,
        cx: &StepContext,
        attempt: u32,
    ) -> Result<Result<Piece, PortError>, StepError> {
        let tags = if self.wants.kind().takes_token() {
            tags::numbered(self.tags(cx), attempt)
        } else {
            tags::stamped(self.tags(cx), attempt)
        };
        let spec = self.wants.spec(cx).await?;
        let token = self.token(cx, attempt, &spec);
        let new = NewPiece { spec, tags, token };
        let made = cloud(cx)?.network.create(&new).await;
        if let Ok(piece) = &made {
            self.remember(piece);
        }
        Ok(made)
    }

    fn is_dead(&self, live: &Piece) -> bool {
        !live.is_alive()
    }

    async fn differences(
        &self,
        cx: &StepContext,
        live: &Piece,
    ) -> Result<Vec<Difference>, StepError> {
        let resource = self.wants.summary(live);
        let mut differences: Vec<Difference> = self
            .mendings(cx, live)?
            .into_iter()
            .map(|mending| Difference {
                resource: resource.clone(),
                field: Some(mending.field.to_owned()),
                live: mending.live,
                wanted: mending.wanted,
                change: Change::Updated,
            })
            .collect();
        let retag = self.retag(cx, live);
        differences.extend(tags::differences(&resource, &live.tags, &retag));
        Ok(differences)
    }

    async fn mend(&self, cx: &StepContext, live: Piece) -> Result<Piece, StepError> {
        let network = &cloud(cx)?.network;
        // A piece made just now is not seen everywhere at once.
        let soon = |error: PortError| {
            let unseen = error.kind == PortErrorKind::NotFound;
            let error = error.during("arrange", self.wants.summary(&live));
            if unseen {
                error.with_retry(Retry::Soon)
            } else {
                error
            }
        };
        for mending in self.mendings(cx, &live)? {
            match network.arrange(&mending.arrangement).await {
                Err(error) if error.kind == PortErrorKind::AlreadyExists => {
                    match self.twin(cx, &live).await? {
                        Some(twin) => return self.give_way(cx, live, twin).await,
                        None => return Err(soon(error)),
                    }
                }
                arranged => arranged.map_err(soon)?,
            }
        }
        let retag = self.retag(cx, &live);
        if !retag.is_empty() {
            let done = network.retag(&live.id, &retag.set, &retag.remove).await;
            done.map_err(soon)?;
        }
        Ok(live)
    }

    async fn drop_extra(&self, cx: &StepContext, id: &str) -> Result<(), StepError> {
        let kind = self.wants.kind();
        cx.progress(format!("removing {} {id}, made twice", kind.words()));
        match cloud(cx)?.network.delete(kind, id).await {
            Ok(_) => Ok(()),
            Err(error) => Err(error.during("delete", format!("{} {id}", kind.words()))),
        }
    }

    fn outputs(&self, _: &StepContext, live: &Piece) -> Value {
        let mut outputs = self.wants.facts(live);
        outputs["id"] = json!(live.id);
        outputs["attempt"] = json!(tags::attempt_of(&live.tags));
        outputs
    }

    fn tag_keys(&self, cx: &StepContext) -> BTreeSet<String> {
        self.tags(cx).into_keys().collect()
    }

    fn summary(&self, live: &Piece) -> String {
        self.wants.summary(live)
    }

    fn works(&self, live: &Piece) -> Option<String> {
        (live.state == PieceState::Available).then(|| self.wants.summary(live))
    }

    async fn readiness(&self, cx: &StepContext) -> Result<Readiness, StepError> {
        let Some(id) = recorded_id(cx) else {
            return Ok(Readiness::waiting("it is not made yet"));
        };
        let kind = self.wants.kind();
        let by_id = Lookup::Ids(vec![id.clone()]);
        let found = cloud(cx)?.network.find(kind, &by_id).await;
        let found =
            found.map_err(|error| error.during("look at", format!("{} {id}", kind.words())))?;
        Ok(match found.first() {
            None => Readiness::waiting(format!("{id} is not seen yet")),
            Some(piece) => match &piece.state {
                PieceState::Available => Readiness::Ready(self.wants.summary(piece)),
                PieceState::Pending => Readiness::waiting(format!("{id} is pending")),
                PieceState::Failed { code, message } => Readiness::Failed(Box::new(
                    StepError::new(
                        "NET002",
                        "make",
                        self.wants.summary(piece),
                        format!("{code}: {message}"),
                    )
                    .with_hint("mend what it names, then run pipectl up: it makes another one"),
                )),
                PieceState::Deleting | PieceState::Deleted => Readiness::Failed(Box::new(
                    StepError::new(
                        "NET003",
                        "use",
                        self.wants.summary(piece),
                        "it is being deleted, and not by this run",
                    )
                    .with_hint("let it end, then run pipectl up: it makes another one"),
                )),
            },
        })
    }
}

/// Whether something uses a piece or stands in it.
async fn used(cx: &StepContext, piece: &Piece) -> Result<bool, StepError> {
    let network = &cloud(cx)?.network;
    Ok(match &piece.detail {
        Detail::Vpc { .. } => {
            let inside = Lookup::InVpc(piece.id.clone());
            let mut any = false;
            for kind in [PieceKind::Subnet, PieceKind::InternetGateway] {
                let found = network.find(kind, &inside).await;
                let found = found.map_err(|error| error.during("look into", &piece.id))?;
                any |= !found.is_empty();
            }
            any
        }
        Detail::InternetGateway { vpc } => vpc.is_some(),
        Detail::Address { association, .. } => association.is_some(),
        Detail::RouteTable { associations, .. } => !associations.is_empty(),
        // Not one of these can be there twice: their place, their name or their token is unique.
        Detail::Subnet { .. }
        | Detail::NatGateway { .. }
        | Detail::Endpoint { .. }
        | Detail::SecurityGroup { .. } => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    #[test]
    fn what_was_brought_is_never_taken_for_the_environments_own() {
        let mut world = World::default();
        let step = steps::vpc();
        let recorded = |brought: bool| json!({"id": "vpc-1", "brought": brought});
        world.outputs.insert(step.to_string(), recorded(true));
        assert_eq!(recorded_id(&world.context(&step)), None);
        world.outputs.insert(step.to_string(), recorded(false));
        assert_eq!(recorded_id(&world.context(&step)), Some("vpc-1".to_owned()));
    }
}
