//! Wakes those who wait in other processes that share the store, and those here whom others wake.
//!
//! Nothing rests on it: whoever waits also looks for himself from time to time. What may have been missed is anything.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::app::App;
use crate::memory::news::NewsItem;
use crate::store::{Announcements, Heard, MAX_ANNOUNCEMENT_BYTES};

/// Tells and hears for as long as it is polled; does nothing where no other process shares the store.
pub async fn keep_up(app: Arc<App>) -> Infallible {
    let Some(announcements) = app.store.announcements() else {
        return std::future::pending().await;
    };
    app.memory.waiters.news().want();
    tokio::select! {
        never = tell(&app, announcements.as_ref()) => never,
        never = hear(&app, announcements.as_ref()) => never,
    }
}

async fn tell(app: &App, announcements: &dyn Announcements) -> Infallible {
    let news = app.memory.waiters.news();
    loop {
        news.noted().await;
        // What comes together is told together.
        sleep(GATHERING).await;
        let items: Vec<u8> = news.take().into_iter().flat_map(NewsItem::to_bytes).collect();
        for piece in items.chunks(MAX_ANNOUNCEMENT_BYTES / NewsItem::BYTES * NewsItem::BYTES) {
            if let Err(error) = announcements.tell(piece).await {
                tracing::debug!("other servers were not told of changes: {error}");
            }
        }
    }
}

async fn hear(app: &App, announcements: &dyn Announcements) -> Infallible {
    let waiters = &app.memory.waiters;
    loop {
        match announcements.heard().await {
            Heard::Told(bytes) => {
                let (items, _) = bytes.as_chunks::<{ NewsItem::BYTES }>();
                for item in items {
                    match NewsItem::from_bytes(*item) {
                        NewsItem::Everything => wake_everybody(app).await,
                        item => waiters.heard(item),
                    }
                }
            }
            Heard::Missed => wake_everybody(app).await,
        }
    }
}

/// Has all look, not all at the same moment: each look is a few reads.
async fn wake_everybody(app: &App) {
    let entities = app.memory.waiters.entities();
    for piece in entities.chunks(entities.len().div_ceil(STEPS).max(1)) {
        for entity in piece {
            app.memory.waiters.heard(NewsItem::Entity(*entity));
        }
        sleep(STEP).await;
    }
}

/// How long changes are gathered before they are told.
const GATHERING: Duration = Duration::from_millis(10);

/// In how many steps everybody is woken, and the pause between two.
const STEPS: usize = 40;
const STEP: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
