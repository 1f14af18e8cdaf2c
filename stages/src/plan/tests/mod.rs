//! The whole pipeline on the cluster in memory: up, again, changed, down, again.

mod aws;
mod down;
mod obsolete;
mod render;
mod up;
mod verify;

use pipectl_config::{Blueprint, LoadOptions, Loaded, Override};

use crate::{
    plan::{DownOptions, down, up},
    testing::World,
};

/// The streaming blueprint with these fields set.
fn streaming(overrides: &[(&str, &str)]) -> Loaded {
    let options = LoadOptions {
        overrides: overrides
            .iter()
            .map(|(path, value)| Override {
                path: (*path).to_owned(),
                value: (*value).to_owned(),
            })
            .collect(),
        ..LoadOptions::default()
    };
    Blueprint::get("streaming").unwrap().load(&options).unwrap()
}

/// A world in which the blueprint is up.
async fn world_up(loaded: &Loaded) -> World {
    let mut world = World::default();
    world.up(&up(loaded)).await.unwrap();
    world
}

async fn take_down(world: &mut World) -> Result<(), crate::StepError> {
    let before = crate::inventory::take(
        &world.ports(),
        &world.environment,
        &std::collections::BTreeSet::new(),
        false,
    )
    .await;
    let options = DownOptions {
        keep_data: false,
        before,
    };
    world.down(&down(&options)).await
}
