//! Panics: a mistake of ours in one request must neither end the others nor say anything to a client.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::pin::pin;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Logs panics where they happened, instead of printing their messages: a message may quote what a client sent. The
/// message is kept if it is a constant of the program. Those in requests are left to whoever answers the request.
pub fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let place = place(info);
        if GUARDED.get() {
            PLACE.with_borrow_mut(|slot| *slot = Some(place));
        } else {
            tracing::error!("panicked at {place}");
        }
    }));
}

/// Runs `work`; where it panicked, if it did.
pub(super) async fn guard<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        let before = GUARDED.replace(true);
        // Nothing that `work` left half-done is seen again: it is dropped, and what it shares with others takes no lock
        // that a panic could leave broken.
        let polled = panic::catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx)));
        GUARDED.set(before);
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(payload) => std::task::Poll::Ready(Err(take_place(payload.as_ref()))),
        }
    })
    .await
}

fn take_place(payload: &(dyn Any + Send)) -> String {
    let noted = PLACE.with_borrow_mut(Option::take);
    noted.unwrap_or_else(|| constant(payload).unwrap_or("an unknown place").to_owned())
}

fn place(info: &PanicHookInfo<'_>) -> String {
    let place = info
        .location()
        .map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    match constant(info.payload()) {
        Some(message) => format!("{place}: {message}"),
        None => place,
    }
}

fn constant(payload: &(dyn Any + Send)) -> Option<&'static str> {
    payload.downcast_ref::<&'static str>().copied()
}
