//! A page of HTML, made of Markdown.

use std::collections::HashMap;

use bytes::Bytes;
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use crate::manual::ManualPage;

/// A page of this title, whose style is at `style` as seen from it.
pub(super) fn page(title: &str, style: &str, body: &str) -> Bytes {
    let title = escaped(title);
    let text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"{style}\">\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    );
    Bytes::from(text)
}

/// A chapter of the manual.
pub(super) fn of_chapter(chapter: ManualPage) -> Bytes {
    let back = "<p><a href=\"./\">The manual</a></p>\n";
    let title = format!("{} - Countersign", chapter.title());
    page(
        &title,
        "style.css",
        &format!("{back}{}", of_markdown(chapter.text)),
    )
}

/// The HTML of a chapter's text: headings can be linked to as on the pages that show the repository, and links to chapters lead
/// to their pages here.
pub(super) fn of_markdown(text: &str) -> String {
    let mut events: Vec<_> = Parser::new_ext(text, Options::ENABLE_TABLES).collect();
    let mut taken = HashMap::new();
    for at in 0..events.len() {
        let name = match &events[at] {
            Event::Start(Tag::Heading { .. }) => Some(unique(slug(&events[at..]), &mut taken)),
            _ => None,
        };
        match &mut events[at] {
            Event::Start(Tag::Heading { id, .. }) => *id = name.map(CowStr::from),
            link => lead_here(link, ""),
        }
    }
    of_events(events)
}

/// A link to a chapter's file leads to its page, which is `above` the page that the link is on.
pub(super) fn lead_here(event: &mut Event<'_>, above: &str) {
    if let Event::Start(Tag::Link { dest_url, .. }) = event
        && let Some(here) = page_of(dest_url)
    {
        *dest_url = format!("{above}{here}").into();
    }
}

/// The HTML of these.
pub(super) fn of_events(events: Vec<Event<'_>>) -> String {
    let mut text = String::new();
    html::push_html(&mut text, events.into_iter());
    text
}

/// The letters, digits and dashes of the heading that begins here, in lower case, with a dash for each blank.
fn slug(events: &[Event<'_>]) -> String {
    let mut slug = String::new();
    for event in events {
        match event {
            Event::End(TagEnd::Heading(_)) => break,
            Event::Text(text) | Event::Code(text) => slug.extend(text.chars().filter_map(|c| match c {
                ' ' => Some('-'),
                '-' | '_' => Some(c),
                _ => c.is_alphanumeric().then(|| c.to_ascii_lowercase()),
            })),
            _ => {}
        }
    }
    slug
}

/// The second heading of one name has `-1` behind it, and so on.
fn unique(slug: String, taken: &mut HashMap<String, u32>) -> String {
    let before = taken.entry(slug.clone()).or_insert(0);
    *before += 1;
    match *before {
        1 => slug,
        more => format!("{slug}-{}", more - 1),
    }
}

/// Where a link to a chapter's file leads here.
fn page_of(link: &str) -> Option<String> {
    let (file, place) = link
        .split_once('#')
        .map_or((link, None), |(file, place)| (file, Some(place)));
    let name = file
        .strip_suffix(".md")
        .filter(|name| !name.contains(['/', ':']))?;
    Some(match place {
        Some(place) => format!("{name}#{place}"),
        None => name.to_owned(),
    })
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    html::push_html(&mut escaped, [Event::Text(text.into())].into_iter());
    escaped
}
