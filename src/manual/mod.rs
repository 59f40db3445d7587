//! The manual: one page a chapter, for people. It is part of this documentation and of the binary (`countersign manual`).
//!
//! To add a page: its Markdown file in this folder, a line in the table below, a row in `index.md`. Blocks of commands run
//! as tests, and names of settings, options and metrics are checked: `tests/it/manual` says how to mark what cannot run.
//!
//! Links between pages are reference links, defined at the end of each page for those who read the files. In this
//! documentation the definitions of `rustdoc_links.md` stand in front of them, and the first definition counts.
//!
#![doc = include_str!("rustdoc_links.md")]
#![doc = include_str!("index.md")]

/// A page of the manual.
#[derive(Clone, Copy, Debug)]
pub struct ManualPage {
    /// What it is asked for by: the name of its file without the ending.
    pub name: &'static str,
    /// The page, in Markdown.
    pub text: &'static str,
}

impl ManualPage {
    /// What its first line says.
    #[must_use]
    pub fn title(&self) -> &'static str {
        let first = self.text.lines().next().unwrap_or_default();
        first.trim_start_matches('#').trim()
    }
}

/// The list of all pages, which is a page itself.
pub const INDEX: ManualPage = ManualPage {
    name: "index",
    text: include_str!("index.md"),
};

/// The page of this name, the index included.
#[must_use]
pub fn page(name: &str) -> Option<ManualPage> {
    let mut pages = PAGES.iter().chain([&INDEX]);
    pages.find(|page| page.name == name).copied()
}

macro_rules! pages {
    ($($name:ident)+) => {
        /// Every page, in the order in which they are best read.
        pub const PAGES: &[ManualPage] = &[
            $(ManualPage { name: stringify!($name), text: include_str!(concat!(stringify!($name), ".md")) },)+
        ];

        $(
            #[doc = include_str!("rustdoc_links.md")]
            #[doc = include_str!(concat!(stringify!($name), ".md"))]
            pub mod $name {}
        )+
    };
}

pages! {
    start
    totp
    push
    codes
    senders
    fraud
    webhooks
    waiting
    clients
    zitadel
    signal
    vonage
    telegram
    settings
    administering
    deploying
    kubernetes
    monitoring
    database
    backup
    keys
    performance
    troubleshooting
    errors
    security
    architecture
}
