//! A source file as the rules see it.

/// A source file.
pub(super) struct Source {
    path: String,
    text: String,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// The path from the top of the repository.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the whole file is a test.
    pub(super) fn is_test(&self) -> bool {
        !self.path.starts_with("src/") || self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// The file without its `mod tests`, which comes last in every file.
    pub(super) fn without_tests(&self) -> &str {
        self.text
            .find("\n#[cfg(test)]\nmod tests {")
            .map_or(&self.text, |end| &self.text[..end])
    }

    /// The lines without tests and comments, each with its number. A `//` within a text is taken for a comment, too.
    pub(super) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.without_tests()
            .lines()
            .map(|line| line.split_once("//").map_or(line, |(code, _)| code))
            .enumerate()
            .map(|(index, line)| (index + 1, line))
    }

    /// The modules from the crate's root down to this file's: `["store", "sled", "open"]`.
    pub(super) fn module(&self) -> Vec<&str> {
        let inner = self
            .path
            .trim_start_matches("src/")
            .trim_end_matches(".rs")
            .trim_end_matches("/mod");
        inner
            .split('/')
            .filter(|part| !matches!(*part, "lib" | "main"))
            .collect()
    }
}
