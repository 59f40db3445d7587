//! Pages of a listing: one bounded scan each, wherever in the listing they are.

use crate::app::App;
use crate::flows::Error;
use crate::store::keys::{self, Prefix};
use crate::store::{Entry, Scan};

pub use crate::store::Order;

/// Which page of a listing.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest {
    /// The most items: 1 to 1000.
    pub size: usize,
    /// Where it begins.
    pub cursor: Cursor,
    /// The order of the listing.
    pub order: Order,
}

/// Where a page begins. The bytes are those of the SID of a neighbouring item, which need not exist any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// Behind this item.
    After([u8; 16]),
    /// So that it ends in front of this item.
    Before([u8; 16]),
    /// At the beginning of the listing.
    Start,
}

/// A page of a listing.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The items, in the order asked for.
    pub items: Vec<T>,
    /// The cursor of the page before, if there is one.
    pub previous: Option<Cursor>,
    /// The cursor of the page behind, if there is one.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// The same page with each item seen in another way.
    pub fn map<'a, U>(&'a self, see: impl FnMut(&'a T) -> U) -> Page<U> {
        Page {
            items: self.items.iter().map(see).collect(),
            previous: self.previous,
            next: self.next,
        }
    }

    /// The same page of other items, or of fewer.
    pub(crate) fn with_items<U>(self, items: Vec<U>) -> Page<U> {
        Page {
            items,
            previous: self.previous,
            next: self.next,
        }
    }
}

/// Reads a page of raw entries: each with the bytes of the identifier that its key ends in.
pub(crate) async fn page<T>(
    app: &App,
    prefix: &Prefix<T>,
    request: PageRequest,
) -> Result<Page<([u8; 16], Entry)>, Error> {
    let backwards = matches!(request.cursor, Cursor::Before(_));
    let after = match request.cursor {
        Cursor::After(sid) | Cursor::Before(sid) => Some(prefix.key(&sid).into_bytes()),
        Cursor::Start => None,
    };
    let order = if backwards {
        reversed(request.order)
    } else {
        request.order
    };
    let scan = Scan {
        prefix: prefix.bytes().to_vec(),
        after,
        order,
        limit: request.size + 1,
    };
    let entries = app.store.scan(scan).await?;
    let mut items: Vec<_> = entries
        .into_iter()
        .filter_map(|(key, entry)| Some((keys::last_sid(&key)?, entry)))
        .collect();
    let more = items.len() > request.size;
    items.truncate(request.size);
    if backwards {
        items.reverse();
    }
    let (first, last) = (items.first().map(|item| item.0), items.last().map(|item| item.0));
    let has_previous = if backwards {
        more
    } else {
        request.cursor != Cursor::Start
    };
    let has_next = if backwards { true } else { more };
    Ok(Page {
        previous: first.filter(|_| has_previous).map(Cursor::Before),
        next: last.filter(|_| has_next).map(Cursor::After),
        items,
    })
}

fn reversed(order: Order) -> Order {
    match order {
        Order::Ascending => Order::Descending,
        Order::Descending => Order::Ascending,
    }
}
