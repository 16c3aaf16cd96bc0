//! What a session asks of a node.

use super::catalogue::{Game, Source};
use super::context::Context;
use crate::schedule::{Needs, Request};

/// `location` is a place or a region; absent: anywhere. A game in a container asks for what it is believed to use; any other is counted by the node's capacity alone.
pub(super) async fn request(
    context: &Context,
    game: &Game,
    location: Option<&str>,
) -> crate::store::Result<Request> {
    let slug = &game.view.slug;
    let needs = match &game.source {
        Source::External { .. } | Source::BuiltIn => Needs::default(),
        Source::Container(container) => {
            Needs::of(context.store.profile(slug).await?, Needs::limits(&container.config))
        }
    };
    let location = location.map(str::to_owned);
    Ok(Request { game: slug.clone(), needs, location, ..Request::default() })
}
