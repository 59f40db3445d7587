//! Pages of a listing: one bounded scan each, wherever in the listing they are.

use crate::app::App;
use crate::flows::Fault;
use crate::flows::reading::{DecisionEpoch, Reading};
use crate::store::keys::{self, Prefix};
use crate::store::records::Record;
use crate::store::{Entry, Scan, ScanPage, StoreError};

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

    /// The same page with each item seen in another way, if each can be.
    ///
    /// # Errors
    /// What the first item says that cannot be.
    pub fn try_map<'a, U, E>(&'a self, see: impl FnMut(&'a T) -> Result<U, E>) -> Result<Page<U>, E> {
        Ok(Page {
            items: self.items.iter().map(see).collect::<Result<_, E>>()?,
            previous: self.previous,
            next: self.next,
        })
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

impl Page<([u8; 16], Entry)> {
    /// Reads each entry as a record of one type.
    pub(crate) fn decoded<T: Record>(mut self, app: &App) -> Result<Page<T>, StoreError> {
        let entries = std::mem::take(&mut self.items);
        let epoch = DecisionEpoch::of(&app.memory.epoch);
        let records = entries.iter().map(|(_, entry)| epoch.record(entry));
        let records = records.collect::<Result<_, _>>()?;
        Ok(self.with_items(records))
    }
}

/// Reads a page of raw entries: each with the bytes of the identifier that its key ends in.
pub(crate) async fn page<T>(
    app: &App,
    prefix: &Prefix<T>,
    request: PageRequest,
) -> Result<Page<([u8; 16], Entry)>, Fault> {
    read(app, prefix.bytes(), request, |sid| sid.to_vec(), keys::last_sid).await
}

/// Reads a page of raw entries whose keys end in fewer than 16 bytes behind `prefix`, none of them NUL: each with those bytes,
/// filled up with NUL.
pub(crate) async fn page_below(
    app: &App,
    prefix: &[u8],
    request: PageRequest,
) -> Result<Page<([u8; 16], Entry)>, Fault> {
    let end_of = |cursor: [u8; 16]| cursor.into_iter().take_while(|byte| *byte != 0).collect();
    let cursor_of = |key: &[u8]| {
        let end = key.get(prefix.len()..)?;
        let mut cursor = [0; 16];
        cursor.get_mut(..end.len())?.copy_from_slice(end);
        Some(cursor)
    };
    read(app, prefix, request, end_of, cursor_of).await
}

/// A page of items that are all at hand, each with the bytes of its identifier.
pub(crate) fn page_of<T>(mut items: Vec<([u8; 16], T)>, request: PageRequest) -> Page<T> {
    items.sort_by_key(|(sid, _)| *sid);
    if request.order == Order::Descending {
        items.reverse();
    }
    let is_behind = |sid: [u8; 16], other: [u8; 16]| match request.order {
        Order::Ascending => sid > other,
        Order::Descending => sid < other,
    };
    match request.cursor {
        Cursor::After(cursor) => items.retain(|(sid, _)| is_behind(*sid, cursor)),
        Cursor::Before(cursor) => {
            items.retain(|(sid, _)| is_behind(cursor, *sid));
            items.reverse();
        }
        Cursor::Start => {}
    }
    let page = framed(items, None, request);
    Page {
        items: page.items.into_iter().map(|(_, item)| item).collect(),
        previous: page.previous,
        next: page.next,
    }
}

/// Reads a page of the entries below `prefix`: `end_of` says what a cursor's key ends in, and `cursor_of` which cursor a key
/// has.
async fn read(
    app: &App,
    prefix: &[u8],
    request: PageRequest,
    end_of: impl Fn([u8; 16]) -> Vec<u8>,
    cursor_of: impl Fn(&[u8]) -> Option<[u8; 16]>,
) -> Result<Page<([u8; 16], Entry)>, Fault> {
    let after = match request.cursor {
        Cursor::After(cursor) | Cursor::Before(cursor) => Some([prefix, &end_of(cursor)].concat()),
        Cursor::Start => None,
    };
    let order = if matches!(request.cursor, Cursor::Before(_)) {
        reversed(request.order)
    } else {
        request.order
    };
    let scan = Scan {
        prefix: prefix.to_vec(),
        after,
        order,
        limit: request.size + 1,
    };
    let ScanPage { entries, next } = Reading::new(app).scan_some(scan).await?;
    let cut = next.map(|key| {
        let exact = cursor_of(&key).filter(|cursor| [prefix, &end_of(*cursor)].concat() == key);
        exact.ok_or_else(|| Fault::Forged(NO_PLACE.to_owned()))
    });
    let items = entries
        .into_iter()
        .filter_map(|(key, entry)| Some((cursor_of(&key)?, entry)))
        .collect();
    Ok(framed(items, cut.transpose()?, request))
}

/// Behind entries that no item's key is like there is nothing that a caller can name.
const NO_PLACE: &str = "so many entries of the listing are not as a server of this store wrote them that it cannot go on behind \
                        them; `countersign store check` names them, and a store that is copied or restored without them has \
                        what is left";

/// The page that begins with `items`, the nearest to its cursor first; there may be more of them than it has room for. If it was
/// `cut` behind something that somebody else wrote, the next page in its direction begins there.
fn framed<T>(
    mut items: Vec<([u8; 16], T)>,
    cut: Option<[u8; 16]>,
    request: PageRequest,
) -> Page<([u8; 16], T)> {
    let backwards = matches!(request.cursor, Cursor::Before(_));
    let cut = cut.filter(|_| items.len() <= request.size);
    let more = items.len() > request.size || cut.is_some();
    items.truncate(request.size);
    if backwards {
        items.reverse();
    }
    let (mut first, mut last) = (items.first().map(|item| item.0), items.last().map(|item| item.0));
    if let Some(cut) = cut {
        // Without items, that is where to turn round, too.
        (first, last) = if backwards {
            (Some(cut), last.or(Some(cut)))
        } else {
            (first.or(Some(cut)), Some(cut))
        };
    }
    let has_previous = if backwards {
        more
    } else {
        request.cursor != Cursor::Start
    };
    let has_next = if backwards { true } else { more };
    Page {
        previous: first.filter(|_| has_previous).map(Cursor::Before),
        next: last.filter(|_| has_next).map(Cursor::After),
        items,
    }
}

fn reversed(order: Order) -> Order {
    match order {
        Order::Ascending => Order::Descending,
        Order::Descending => Order::Ascending,
    }
}

#[cfg(test)]
mod tests;
