//! EC2 networking: VPCs and the pieces they are made of.

mod arrange;
mod create;
mod delete;
pub(crate) mod find;
pub(crate) mod parse;
mod route;
mod rules;
mod security;

use async_trait::async_trait;
use aws_sdk_ec2::types::Tag;
use pipectl_stages::{
    error::PortError,
    ports::{
        cloud::{Deletion, Tags},
        network::{Arrangement, Lookup, NetworkApi, NewPiece, Piece, PieceKind},
    },
};

use crate::{client::Aws, errors::translate};

#[async_trait]
impl NetworkApi for Aws {
    async fn create(&self, piece: &NewPiece) -> Result<Piece, PortError> {
        create::create(self, piece).await
    }

    async fn find(&self, kind: PieceKind, lookup: &Lookup) -> Result<Vec<Piece>, PortError> {
        find::find(self, kind, lookup).await
    }

    async fn arrange(&self, arrangement: &Arrangement) -> Result<(), PortError> {
        arrange::arrange(self, arrangement).await
    }

    async fn retag(&self, id: &str, set: &Tags, remove: &[String]) -> Result<(), PortError> {
        if !set.is_empty() {
            let request = self.ec2().create_tags().resources(id);
            let request = request.set_tags(Some(sdk_tags(set)));
            request.send().await.map_err(translate)?;
        }
        if !remove.is_empty() {
            let keys = remove.iter().map(|key| Tag::builder().key(key).build());
            let request = self.ec2().delete_tags().resources(id);
            let request = request.set_tags(Some(keys.collect()));
            request.send().await.map_err(translate)?;
        }
        Ok(())
    }

    async fn delete(&self, kind: PieceKind, id: &str) -> Result<Deletion, PortError> {
        delete::delete(self, kind, id).await
    }
}

/// Tags as calls take them.
fn sdk_tags(tags: &Tags) -> Vec<Tag> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect()
}
