//! Lists: which page is asked for, and the `meta` that leads to its neighbours.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde::ser::SerializeMap;

use super::call::Call;
use super::error::{ApiError, Parameter};
use super::form::{Form, whole_number};
use super::json;
use super::spelling;
use crate::flows::page::{Cursor, Order, Page, PageRequest};

/// How many items a page has if nothing else is said.
const DEFAULT_SIZE: u32 = 50;
/// How many items a page has at the most.
const MAX_SIZE: u32 = 1000;

/// What every list is asked with, besides its filters. The last two are a spelling of the iOS SDK's, and no filter: how long
/// an empty list of challenges may be waited for.
const OF_EVERY_LIST: [&str; 5] = ["PageSize", "Page", "PageToken", "pageToken", "Wait"];

/// A page that is asked for.
pub(super) struct Listing {
    /// For the flow.
    pub(super) request: PageRequest,
    /// The number of the page, as the client counts.
    page: u32,
    /// What else the query says: it belongs into the neighbours' URLs, too.
    filters: Vec<(&'static str, String)>,
}

impl Listing {
    /// Reads `PageSize`, `Page` and `PageToken`; `filters` are the other parameters of this list. There are no others.
    pub(super) fn read(query: &Form, filters: &[&'static str]) -> Result<Self, ApiError> {
        let known = |name: &str| OF_EVERY_LIST.contains(&name) || filters.contains(&name);
        spelling::only(query, known, || [filters, &OF_EVERY_LIST[..3]].concat())?;
        let size = match query.filled("PageSize") {
            None => DEFAULT_SIZE,
            Some(text) => whole_number(text).filter(|size| *size > 0).ok_or_else(|| {
                ApiError::invalid(Parameter::PAGE_SIZE, "must be a whole number from 1 to 1000")
            })?,
        };
        if size > MAX_SIZE {
            return Err(ApiError::page_too_large());
        }
        let page = query.filled("Page").map_or(Some(0), whole_number);
        let page = page.ok_or_else(|| ApiError::invalid(Parameter::PAGE, "must be a whole number"))?;
        // The iOS SDK writes the token's name with a small p.
        let token = query.filled("PageToken").or_else(|| query.filled("pageToken"));
        let cursor = match token {
            None => Cursor::Start,
            Some(token) => parse_token(token).ok_or_else(|| {
                ApiError::invalid(Parameter::PAGE_TOKEN, "must be one that a list has given")
            })?,
        };
        let filters = filters
            .iter()
            .filter_map(|name| query.filled(name).map(|value| (*name, value.to_owned())))
            .collect();
        let request = PageRequest {
            size: size as usize,
            cursor,
            order: Order::Ascending,
        };
        Ok(Self {
            request,
            page,
            filters,
        })
    }

    /// The answer: the items under `key`, and `meta`.
    pub(super) fn answer<T: Serialize>(&self, call: &Call, key: &'static str, found: &Page<T>) -> Response {
        let url = |page, cursor| self.url(call, page, cursor);
        let meta = Meta {
            page: self.page,
            page_size: self.request.size,
            first_page_url: url(0, Cursor::Start),
            previous_page_url: found
                .previous
                .map(|cursor| url(self.page.saturating_sub(1), cursor)),
            url: url(self.page, self.request.cursor),
            next_page_url: found.next.map(|cursor| url(self.page.saturating_add(1), cursor)),
            key,
        };
        json::resource(
            StatusCode::OK,
            &ListBody {
                key,
                items: &found.items,
                meta,
            },
        )
    }

    fn url(&self, call: &Call, page: u32, cursor: Cursor) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.filters {
            query.append_pair(name, value);
        }
        query.append_pair("PageSize", &self.request.size.to_string());
        query.append_pair("Page", &page.to_string());
        if let Some(token) = print_token(cursor) {
            query.append_pair("PageToken", &token);
        }
        format!("{}?{}", call.own_url(), query.finish())
    }
}

/// Reads what [`print_token`] wrote.
#[must_use]
pub fn parse_token(token: &str) -> Option<Cursor> {
    let (direction, digits) = token.split_at_checked(2)?;
    let well_formed = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let number = well_formed
        .then(|| u128::from_str_radix(digits, 16).ok())
        .flatten()?;
    match direction {
        "PA" => Some(Cursor::After(number.to_be_bytes())),
        "PB" => Some(Cursor::Before(number.to_be_bytes())),
        _ => None,
    }
}

/// A page token says behind or in front of which item the page lies. It is no secret and needs no seal: whatever it says,
/// the page lies within the list that it is used on.
#[must_use]
pub fn print_token(cursor: Cursor) -> Option<String> {
    match cursor {
        Cursor::After(sid) => Some(format!("PA{:032x}", u128::from_be_bytes(sid))),
        Cursor::Before(sid) => Some(format!("PB{:032x}", u128::from_be_bytes(sid))),
        Cursor::Start => None,
    }
}

#[derive(Serialize)]
struct Meta {
    page: u32,
    page_size: usize,
    first_page_url: String,
    previous_page_url: Option<String>,
    url: String,
    next_page_url: Option<String>,
    key: &'static str,
}

struct ListBody<'a, T> {
    key: &'static str,
    items: &'a [T],
    meta: Meta,
}

impl<T: Serialize> Serialize for ListBody<'_, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_map(Some(2))?;
        body.serialize_entry(self.key, self.items)?;
        body.serialize_entry("meta", &self.meta)?;
        body.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_tokens_lead_back() {
        for cursor in [Cursor::After([0xab; 16]), Cursor::Before([0; 16])] {
            assert_eq!(parse_token(&print_token(cursor).unwrap()), Some(cursor));
        }
        for bad in [
            "",
            "PA",
            "PA0",
            "PXabababababababababababababababab",
            "PA+bababababababababababababababa",
            "é",
        ] {
            assert_eq!(parse_token(bad), None, "{bad}");
        }
    }
}
