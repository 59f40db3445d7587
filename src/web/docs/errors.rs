//! The table of errors, of which each row is a page, too.

use bytes::Bytes;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::page::{lead_here, of_events, page};

/// What the manual says of an error.
#[derive(Debug)]
pub(super) struct ErrorRow {
    /// The number, as clients are told it.
    pub(super) number: String,
    /// The number as the table has it, with a link; the status, what happened, and what to do: in HTML.
    cells: [String; 4],
}

impl ErrorRow {
    /// The error's page.
    pub(super) fn page(&self) -> Bytes {
        let [linked, status, happened, remedy] = &self.cells;
        let number = &self.number;
        let body = format!(
            "<h1>Error {number}</h1>\n<p>HTTP status {status}.</p>\n<h2>What happened</h2>\n<p>{happened}</p>\n\
             <h2>What to do</h2>\n<p>{remedy}</p>\n<p>The message of the answer says more than this page can. If it does not help, \
             the identifier of the request, which is in the answer's headers, leads to the lines of the server's log.</p>\n\
             <p><a href=\"../errors\">All errors</a>; what the number stands for where it comes from: {linked}</p>\n"
        );
        page(&format!("Error {number}"), "../style.css", &body)
    }
}

/// The rows of the tables in `text` that begin with a number.
pub(super) fn rows(text: &str) -> Vec<ErrorRow> {
    let mut rows = Vec::new();
    let (mut cell, mut first, mut cells) = (Vec::new(), String::new(), Vec::new());
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::TableCell) => cell.clear(),
            Event::End(TagEnd::TableCell) => {
                if cells.is_empty() {
                    first = plain(&cell);
                }
                cells.push(of_events(std::mem::take(&mut cell)));
            }
            Event::End(TagEnd::TableRow | TagEnd::TableHead) => {
                let is_number = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
                if let (true, Ok(cells)) = (is_number, std::mem::take(&mut cells).try_into()) {
                    let number = first.clone();
                    rows.push(ErrorRow { number, cells });
                }
            }
            mut other => {
                lead_here(&mut other, "../");
                cell.push(other);
            }
        }
    }
    rows
}

fn plain(events: &[Event<'_>]) -> String {
    let texts = events.iter().filter_map(|event| match event {
        Event::Text(text) => Some(&**text),
        _ => None,
    });
    texts.collect()
}
