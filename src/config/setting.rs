//! What a row of the table of settings is, and what is made of it.

use super::formats::Format;
use super::hiding::ShownPart;

/// One setting, as its row says.
#[derive(Debug)]
pub struct Setting {
    /// Its name in the configuration file: `table.name` if it is in a table.
    pub name: &'static str,
    /// What it is, in Markdown. Its first sentence is the help of the flag, too.
    pub doc: &'static str,
    /// What holds where nobody says otherwise.
    pub default: Unset,
    /// `None` for what stands in the file or the environment only.
    pub flag: Option<Flag>,
    /// Whether it may stand in the configuration file.
    pub is_in_file: bool,
    /// Whether servers of one store may have different values.
    pub is_own: bool,
    /// What a value must be.
    pub(super) format: fn() -> Described,
}

/// What holds where a setting is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unset {
    /// This value, written as a value that is given.
    Value(&'static str),
    /// No value; in words, what that means.
    Words(&'static str),
}

/// How a setting looks on the command line.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// What stands for its value in the help.
    pub placeholder: &'static str,
    /// Whether every command that uses the store has it; otherwise it is one of `serve`.
    pub of_every_command: bool,
    /// Its value where it is given without one, if it may be.
    pub alone: Option<&'static str>,
}

/// The format of a value without the type of what is read.
pub(super) struct Described {
    pub(super) expected: String,
    pub(super) is_list: bool,
    pub(super) shown: ShownPart,
    /// Whether a text has the format.
    pub(super) accepts: Box<dyn Fn(&str) -> bool>,
}

/// The settings of one concern.
#[derive(Debug)]
pub struct Section {
    /// What they are about: a heading.
    pub about: &'static str,
    /// In the order in which the manual lists them.
    pub settings: &'static [Setting],
}

/// Where a setting may stand, besides the environment.
pub(super) type Sources = (Option<Flag>, bool);

/// A flag of `serve`, or the file.
pub(super) const fn serve(placeholder: &'static str) -> Sources {
    (Some(Flag::new(placeholder)), true)
}

/// A flag of `serve` that may stand without a value, or the file.
pub(super) const fn switch(alone: &'static str) -> Sources {
    let mut flag = Flag::new("BOOL");
    flag.alone = Some(alone);
    (Some(flag), true)
}

/// A flag of every command that uses the store, or the file.
pub(super) const fn every_command(placeholder: &'static str) -> Sources {
    (Some(every(placeholder)), true)
}

/// A flag of every command that uses the store.
pub(super) const fn not_in_file(placeholder: &'static str) -> Sources {
    (Some(every(placeholder)), false)
}

/// No flag: the file only.
pub(super) const fn file() -> Sources {
    (None, true)
}

/// Nowhere else: it is a secret, which everybody could read in a list of processes.
pub(super) const fn secret() -> Sources {
    (None, false)
}

const fn every(placeholder: &'static str) -> Flag {
    let mut flag = Flag::new(placeholder);
    flag.of_every_command = true;
    flag
}

impl Flag {
    const fn new(placeholder: &'static str) -> Self {
        Self {
            placeholder,
            of_every_command: false,
            alone: None,
        }
    }
}

impl Setting {
    /// `COUNTERSIGN_`, then the name in capitals; a dot is an underscore there.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.replace('.', "_").to_uppercase())
    }

    /// The name of its flag, without the dashes before it.
    #[must_use]
    pub fn flag_name(&self) -> String {
        self.name.replace('_', "-")
    }

    /// What a value must be, as in "must be a number from 1 to 100".
    #[must_use]
    pub fn expected(&self) -> String {
        (self.format)().expected
    }

    /// Whether there may be several values: separated by commas, or a list in the file.
    pub(super) fn is_list(&self) -> bool {
        (self.format)().is_list
    }

    /// A value of it, without what few may know.
    pub(super) fn without_secrets(&self, text: &str) -> String {
        if self.is_secret() {
            ShownPart::Nothing.of(text)
        } else {
            (self.format)().shown.of(text)
        }
    }

    /// Whether its value must not be shown.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.flag.is_none() && !self.is_in_file
    }
}

impl Described {
    pub(super) fn of<T: 'static>(format: Format<T>) -> Self {
        let Format {
            expected,
            is_list,
            shown,
            parse,
        } = format;
        Self {
            expected: expected.into_owned(),
            is_list,
            shown,
            accepts: Box::new(move |text| parse(text).is_some()),
        }
    }
}

/// What the variables of all settings begin with.
pub(super) const PREFIX: &str = "COUNTERSIGN_";

/// Makes of the rows, for each section: a struct with a field for each setting, which `read` fills with what was given or
/// else the default, and a function of the same name that describes it; and [`SECTIONS`](super::SECTIONS) of all.
///
/// A row is `name: Type = "default", format, sources;`. Where there is no default, words say what holds then: `name: Type |
/// "words", ...`, and the field is an `Option`. Behind the section's name stands the table of the file, `[]` if it has none.
/// `own` behind the sources is for what each server may have otherwise than those that it shares its store with.
macro_rules! settings {
    ($(
        #[doc = $about:literal]
        $(#[expect($($lint:tt)+)])?
        $visible:vis $section:ident $table:tt {
            $(
                $(#[doc = $doc:literal])+
                $name:ident: $type:ty $(= $default:literal)? $(| $words:literal)?, $format:expr, $sources:expr $(, $own:ident)?;
            )+
        }
    )+) => {
        $(
            #[doc = $about]
            $(#[expect($($lint)+)])?
            #[derive(Debug)]
            $visible struct $section {
                $(
                    $(#[doc = $doc])+
                    $visible $name: settings!(@field $type $(= $default)? $(| $words)?),
                )+
            }

            impl $section {
                /// Reads what was given.
                ///
                /// # Errors
                /// When a value is not what it must be.
                pub(super) fn read(given: &GivenSettings) -> Result<Self, ConfigError> {
                    Ok(Self {
                        $($name: settings!(@read given, $section, $name, $format, $(= $default)? $(| $words)?),)+
                    })
                }

                $(
                    pub(super) const fn $name() -> Setting {
                        let (flag, is_in_file) = $sources;
                        Setting {
                            name: settings!(@name $table $name),
                            doc: concat!($($doc),+),
                            default: settings!(@default $(= $default)? $(| $words)?),
                            flag,
                            is_in_file,
                            is_own: settings!(@own $($own)?),
                            format: || Described::of($format),
                        }
                    }
                )+
            }
        )+

        /// Every setting that exists, in the order of the reference.
        pub static SECTIONS: &[Section] = &[$(
            Section {
                about: $about,
                settings: &[$($section::$name(),)+],
            },
        )+];
    };
    (@field $type:ty = $default:literal) => { $type };
    (@field $type:ty | $words:literal) => { Option<$type> };
    (@read $given:ident, $section:ident, $name:ident, $format:expr, = $default:literal) => {
        $given.value_or(&$section::$name(), &$format, $default)?
    };
    (@read $given:ident, $section:ident, $name:ident, $format:expr, | $words:literal) => {
        $given.value(&$section::$name(), &$format)?
    };
    (@name [] $name:ident) => { stringify!($name) };
    (@name [$table:ident] $name:ident) => { concat!(stringify!($table), ".", stringify!($name)) };
    (@own own) => { true };
    (@own) => { false };
    (@default = $default:literal) => { Unset::Value($default) };
    (@default | $words:literal) => { Unset::Words($words) };
}

pub(super) use settings;
