//! What the rows of the table of kinds become.
//!
//! A row is
//! `LETTER Kind function(part: Type, ...; last: Type) in listing under prefix(part: Type) => record Type, Lifetime, "plural",
//! "one {part}";`, in a block for what its entries belong to. A part that is borrowed is written `&'_ Type`, and one that a key says less
//! of than its writer knows `Type as What`. `record Type voided` is what an epoch of the store that began later makes void, and `record Type sealed` what holds sealed values.

/// Makes of the rows: `KeyParts`, `KINDS`, the functions that write keys, the types of marks, and what records implement.
macro_rules! kinds {
    // What a part is when it is read.
    (@read $ty:ident) => { $ty };
    (@read $ty:ident $read:ident) => { $read };

    (@kind $letter:literal $home:ident $form:ident $record:ident ($($flag:ident)*) $lifetime:ident $plural:literal) => {
        EntryKind {
            letter: $letter,
            name: $plural,
            home: Home::$home,
            lifetime: Lifetime::$lifetime,
            holds: kinds!(@holds $form $record $($flag)*),
        }
    };
    (@holds mark $mark:ident) => { Holds::Mark };
    (@holds record $record:ident $($flag:ident)*) => {
        Holds::Record {
            version: <$record as Record>::VERSION,
            read: records::read_only::<$record>,
            sealed: kinds!(@sealed $record $($flag)*),
            write_anew: kinds!(@write_anew $record $($flag)*),
        }
    };

    (@sealed $record:ident) => { None };
    (@sealed $record:ident voided) => { None };
    (@sealed $record:ident $($flag:ident)+) => { Some(records::look_at_sealed::<$record>) };
    (@write_anew $record:ident) => { None };
    (@write_anew $record:ident $($flag:ident)+) => { Some(records::write_anew::<$record>) };

    (@form mark $letter:literal $mark:ident) => {
        /// Stands for entries that hold nothing.
        pub struct $mark;
        impl records::Mark for $mark {}
    };
    (@form record $letter:literal $record:ident $($flag:ident)*) => {
        impl Record for $record {
            const KIND: u8 = $letter;

            $(kinds!(@flag $flag);)*
        }
    };

    (@flag voided) => {
        fn void(&mut self, epoch: StoreEpoch) {
            Voidable::void(self, epoch);
        }
    };
    (@flag sealed) => {
        fn look_at_sealed(&self, look: &mut dyn FnMut(&Sealed)) {
            HoldsSealed::look_at_sealed(self, look);
        }

        fn change_sealed(&mut self, change: &mut dyn FnMut(SealedField, &mut Sealed)) {
            HoldsSealed::change_sealed(self, change);
        }
    };

    (@lifetime Stays $record:ident) => { impl records::Stays for $record {} };
    (@lifetime Ends $record:ident) => { impl records::Ends for $record {} };
    (@lifetime MayEnd $record:ident) => {
        impl records::Stays for $record {}
        impl records::Ends for $record {}
    };

    (@visit mark $mark:ident $visitor:ident) => {};
    (@visit record $record:ident $visitor:ident) => { $visitor.record::<$record>(); };

    (@key $(#[$doc:meta])* $letter:literal $function:ident $record:ident (
        $($part:ident: $(&$life:lifetime)? $ty:ident $(as $read:ident)?),* $(; $last:ident: $last_ty:ident)?
    )) => {
        $(#[$doc])*
        #[must_use]
        pub fn $function($($part: $(&$life)? $ty,)* $($last: $last_ty)?) -> Key<$record> {
            Key::new(written($letter, &[$(&$part,)* $(&$last)?]))
        }
    };

    (@listing $letter:literal $listing:ident $plural:literal $record:ident (
        $($part:ident: $(&$life:lifetime)? $ty:ident $(as $read:ident)?),*; $last:ident: $last_ty:ident
    )) => {
        #[doc = concat!("What the keys of ", $plural, " begin with, all of them or those of one owner.")]
        #[must_use]
        pub fn $listing($($part: $(&$life)? $ty),*) -> Prefix<$record> {
            Prefix::new(written($letter, &[$(&$part),*]))
        }
    };

    (@under $letter:literal $under:ident $plural:literal ($($part:ident: $ty:ident),*)) => {
        #[doc = concat!("What the keys of all ", $plural, " begin with, or those of these owners.")]
        #[must_use]
        pub fn $under($($part: $ty),*) -> Vec<u8> {
            written($letter, &[$(&$part),*])
        }
    };

    (@keys $($home:ident { $(
        $(#[$doc:meta])*
        $letter:literal $kind:ident $function:ident $parts:tt
            $(in $listing:ident)? $(under $under:ident $owners:tt)?
            => $form:ident $record:ident $($flag:ident)*, $lifetime:ident, $plural:literal, $text:literal;
    )* })*) => {
        /// The functions that write keys.
        pub(super) mod functions {
            use super::*;
            use crate::store::keys::{Key, Prefix};

            $($(
                kinds!(@key $(#[$doc])* $letter $function $record $parts);
                $(kinds!(@listing $letter $listing $plural $record $parts);)?
                $(kinds!(@under $letter $under $plural $owners);)?
            )*)*
        }

        $($(
            kinds!(@form $form $letter $record $($flag)*);
            kinds!(@lifetime $lifetime $record);
        )*)*

        /// One for each row of the table, in its order.
        pub const KINDS: &[EntryKind] = &[$($(kinds!(@kind $letter $home $form $record ($($flag)*) $lifetime $plural)),*),*];

        /// Has every type of record visited, in the order of the table.
        pub fn visit_records(visitor: &mut impl RecordVisitor) {
            $($(kinds!(@visit $form $record visitor);)*)*
        }
    };

    (@parts $($home:ident { $(
        $(#[$doc:meta])*
        $letter:literal $kind:ident $function:ident (
            $($part:ident: $(&$life:lifetime)? $ty:ident $(as $read:ident)?),* $(; $last:ident: $last_ty:ident)?
        ) $(in $listing:ident)? $(under $under:ident $owners:tt)? => $form:ident $record:ident $($flag:ident)*, $lifetime:ident, $plural:literal, $text:literal;
    )* })*) => {
        /// What a key says of its entry.
        ///
        /// Requests never need this, they know where they look. It is for whoever walks over a whole store.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum KeyParts {
            $($(
                $(#[$doc])*
                $kind($(kinds!(@read $ty $($read)?),)* $($last_ty)?),
            )*)*
        }

        impl KeyParts {
            /// Reads a key; `None` if it is none of the table's.
            #[must_use]
            pub fn parse(key: &[u8]) -> Option<Self> {
                let mut reader = KeyReader::new(key)?;
                let parts = match reader.letter() {
                    $($(
                        $letter => {
                            $(let $part = ReadPart::read(&mut reader)?;)*
                            $(let $last = ReadPart::read(&mut reader)?;)?
                            Self::$kind($($part,)* $($last)?)
                        }
                    )*)*
                    _ => return None,
                };
                reader.is_at_end().then_some(parts)
            }

            /// What the table says of its kind.
            #[must_use]
            pub fn kind(&self) -> &'static EntryKind {
                match self {
                    $($(
                        Self::$kind(..) => {
                            const KIND: EntryKind = kinds!(@kind $letter $home $form $record ($($flag)*) $lifetime $plural);
                            &KIND
                        }
                    )*)*
                }
            }

            /// The bytes that are read so.
            #[must_use]
            pub fn to_key(&self) -> Vec<u8> {
                match self {
                    $($(
                        Self::$kind($($part,)* $($last)?) => written($letter, &[$($part,)* $($last)?]),
                    )*)*
                }
            }

            /// For each part, which service it means.
            fn services(&self) -> Vec<Option<ServiceSid>> {
                match self {
                    $($(
                        Self::$kind($($part,)* $($last)?) => {
                            vec![$($part.service(),)* $($last.service())?]
                        }
                    )*)*
                }
            }
        }

        /// Names the entry by its identifiers.
        impl std::fmt::Display for KeyParts {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $($(
                        Self::$kind($($part,)* $($last)?) => {
                            // A text need not name every part.
                            $(let _ = $part;)*
                            $(let _ = $last;)?
                            write!(f, $text)
                        }
                    )*)*
                }
            }
        }
    };

    ($($home:ident { $($rows:tt)* })*) => {
        kinds!(@parts $($home { $($rows)* })*);
        kinds!(@keys $($home { $($rows)* })*);
    };
}
pub(super) use kinds;
