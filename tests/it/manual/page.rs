//! The README and the pages of the manual, taken apart.

use countersign::manual::{INDEX, PAGES};

/// A document of ours.
pub(super) struct Document {
    /// The path of its file.
    pub(super) path: String,
    pub(super) text: String,
}

/// A fenced block.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// What it is written in.
    pub(super) language: String,
    /// What is to be done with it.
    pub(super) treatment: Treatment,
    /// The heading that it stands under, as it is linked to.
    pub(super) section: String,
    /// The number of its first line.
    pub(super) line: usize,
    pub(super) text: String,
}

/// What a test does with a block; it stands behind the language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// It is run, or read, for what it is.
    Run,
    /// ` serves`: it starts a server and does not end by itself.
    Serve,
    /// ` not-run: REASON`.
    Leave(String),
}

/// The README and every page.
pub(super) fn documents() -> Vec<Document> {
    let mut documents = vec![Document {
        path: "README.md".to_owned(),
        text: super::read("README.md"),
    }];
    documents.extend([&INDEX].into_iter().chain(PAGES).map(|page| Document {
        path: format!("src/manual/{}.md", page.name),
        text: page.text.to_owned(),
    }));
    documents
}

/// The page of this name.
pub(super) fn page(name: &str) -> Document {
    let path = format!("src/manual/{name}.md");
    let mut documents = documents().into_iter();
    documents.find(|document| document.path == path).unwrap()
}

impl Document {
    /// The name of a page; of the README, `README`.
    pub(super) fn name(&self) -> &str {
        let file = self.path.rsplit('/').next().unwrap();
        file.trim_end_matches(".md")
    }

    /// The fenced blocks, in their order.
    pub(super) fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let (mut inside, mut section) = (false, String::new());
        for (index, line) in self.text.lines().enumerate() {
            if let Some(tag) = line.strip_prefix("```") {
                inside = !inside;
                if inside {
                    blocks.push(self.block(tag, section.clone(), index + 2));
                }
            } else if inside {
                let block = blocks.last_mut().unwrap();
                block.text.push_str(line);
                block.text.push('\n');
            } else if line.starts_with('#') {
                section = anchor(line);
            }
        }
        assert!(!inside, "{}: a block has no end", self.path);
        blocks
    }

    fn block(&self, tag: &str, section: String, line: usize) -> Block {
        let (language, treatment) = tag.split_once(' ').unwrap_or((tag, ""));
        let treatment = match treatment.strip_prefix("not-run: ") {
            Some(reason) => Treatment::Leave(reason.to_owned()),
            None if treatment == "serves" => Treatment::Serve,
            None if treatment.is_empty() => Treatment::Run,
            None => panic!("{}:{}: {treatment:?}", self.path, line - 1),
        };
        Block {
            language: language.to_owned(),
            treatment,
            section,
            line,
            text: String::new(),
        }
    }

    /// Lines outside of blocks, with their numbers.
    pub(super) fn prose(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut inside = false;
        self.text.lines().enumerate().filter_map(move |(index, line)| {
            let fence = line.starts_with("```");
            inside ^= fence;
            (!inside && !fence).then_some((index + 1, line))
        })
    }

    /// The prose as one text, without what stands in backticks: a link may be broken over two lines.
    pub(super) fn words(&self) -> String {
        let prose: Vec<_> = self.prose().map(|(_, line)| line).collect();
        let prose = prose.join("\n");
        let outside = prose.split('`').step_by(2);
        outside.collect::<Vec<_>>().join("")
    }

    /// What stands in backticks, with the number of its paragraph's first line: a span may be broken over two lines.
    pub(super) fn spans(&self) -> Vec<(usize, String)> {
        let mut spans = Vec::new();
        let (mut first, mut paragraph) = (0, String::new());
        for (number, line) in self.prose().chain([(0, "")]) {
            // A row of a table is a paragraph of its own.
            if line.is_empty() || line.starts_with('|') {
                let inner = paragraph.split('`').skip(1).step_by(2);
                spans.extend(inner.map(|span| (first, span.replace('\n', " "))));
                paragraph.clear();
            }
            if paragraph.is_empty() {
                first = number;
            } else {
                paragraph.push('\n');
            }
            paragraph.push_str(line);
        }
        spans
    }

    /// What headings are linked to as.
    pub(super) fn anchors(&self) -> Vec<String> {
        let headings = self.prose().filter(|(_, line)| line.starts_with('#'));
        headings.map(|(_, line)| anchor(line)).collect()
    }
}

/// How a heading is linked to: in lower case, dashes for blanks, without what is no letter or digit.
fn anchor(heading: &str) -> String {
    let title = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = title.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        _ => c.is_alphanumeric().then_some(c),
    });
    kept.collect()
}
