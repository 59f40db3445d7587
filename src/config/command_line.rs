//! Command lines of other programs, split into words as a shell does it, and run without one.
//!
//! A shell would expand what is in variables and file names into new words, and its own failures look like the program's. So
//! what only a shell could do is refused rather than handed to the program as it stands.

use std::fmt;

/// A program and its arguments.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CommandLine {
    pub(crate) program: String,
    pub(crate) arguments: Vec<String>,
}

impl CommandLine {
    /// Splits `text` at blanks. Quotes and backslashes are as in a POSIX shell; `None` if one is not closed, if nothing is
    /// there, or if something outside of single quotes asks for a shell.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut words = Vec::new();
        let mut word: Option<String> = None;
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                ' ' | '\t' => words.extend(word.take()),
                '\'' => {
                    let word = word.get_or_insert_default();
                    let (inside, behind) = rest.as_str().split_once('\'')?;
                    word.push_str(inside);
                    rest = behind.chars();
                }
                '"' => {
                    let word = word.get_or_insert_default();
                    loop {
                        match rest.next()? {
                            '"' => break,
                            '$' | '`' => return None,
                            '\\' => match rest.next()? {
                                c @ ('"' | '\\' | '$' | '`') => word.push(c),
                                c => word.extend(['\\', c]),
                            },
                            c => word.push(c),
                        }
                    }
                }
                '\\' => word.get_or_insert_default().push(rest.next()?),
                c if FOR_SHELLS.contains(c) || c.is_control() => return None,
                c => word.get_or_insert_default().push(c),
            }
        }
        words.extend(word);
        let mut words = words.into_iter();
        let program = words.next().filter(|program| !program.is_empty())?;
        if text.contains('\0') {
            return None;
        }
        Some(Self {
            program,
            arguments: words.collect(),
        })
    }
}

/// The arguments may hold what is nobody's business.
impl fmt::Debug for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({} arguments)", self.program, self.arguments.len())
    }
}

/// What means something to a shell where it is not quoted.
const FOR_SHELLS: &str = "|&;<>()$`*?[~#!{}";

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Option<Vec<String>> {
        let line = CommandLine::parse(text)?;
        Some([vec![line.program], line.arguments].concat())
    }

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        for (text, expected) in [
            ("cat key", &["cat", "key"][..]),
            ("  cat \t key ", &["cat", "key"]),
            ("cat 'my key' \"your key\"", &["cat", "my key", "your key"]),
            ("cat my\\ key ''", &["cat", "my key", ""]),
            ("a 'b'\"c\"d e=\"f g\"", &["a", "bcd", "e=f g"]),
            ("a \"\\\"\\\\\\n\\$\" \\| '$x|`'", &["a", "\"\\\\n$", "|", "$x|`"]),
            ("sh -c 'aws x | base64 -d'", &["sh", "-c", "aws x | base64 -d"]),
            (
                "aws kms decrypt --ciphertext-blob fileb:///etc/key --query Plaintext",
                &[
                    "aws",
                    "kms",
                    "decrypt",
                    "--ciphertext-blob",
                    "fileb:///etc/key",
                    "--query",
                    "Plaintext",
                ],
            ),
        ] {
            assert_eq!(
                words(text).as_deref(),
                Some(
                    expected
                        .iter()
                        .map(|word| (*word).to_owned())
                        .collect::<Vec<_>>()
                        .as_slice()
                ),
                "{text}"
            );
        }
    }

    #[test]
    fn what_needs_a_shell_or_is_not_closed_is_refused() {
        for text in [
            "",
            "  ",
            "''",
            "cat 'key",
            "cat \"key",
            "cat key\\",
            "cat \"key\\",
            "cat key | base64",
            "cat $KEY",
            "cat \"$KEY\"",
            "cat `key`",
            "cat key; true",
            "cat *.key",
            "cat ~/key",
            "cat key\nrm key",
            "cat key &",
            "cat < key",
            "cat a\0b",
            "cat 'a\0b'",
        ] {
            assert_eq!(words(text), None, "{text:?}");
        }
    }

    #[test]
    fn arguments_are_not_shown() {
        let line = CommandLine::parse("vault --token=hunter2").unwrap();
        assert_eq!(format!("{line:?}"), "\"vault\" (1 arguments)");
    }
}
