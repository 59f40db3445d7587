//! Where codes may go at all.

use super::block::BlockReason;
use super::settings::{Countries, Settings};
use crate::domain::phone::{LineKind, NumberFacts};

/// Why no code may go to a number of which this is known; `None` if it may.
///
/// Numbers of no country (satellite phones, international networks) are as dear as premium-rate ones, and no list of
/// countries has them.
#[must_use]
pub(crate) fn refusal(settings: &Settings, facts: NumberFacts) -> Option<BlockReason> {
    let allowed = match (&settings.countries, facts.country) {
        (Countries::All, _) => true,
        (Countries::Only(countries), Some(country)) => countries.contains(&country),
        (Countries::Only(_), None) => false,
    };
    let blocked = facts
        .country
        .is_some_and(|country| settings.blocked_countries.contains(&country));
    if !allowed || blocked {
        return Some(BlockReason::Country);
    }
    match facts.kind {
        _ if facts.country.is_none() && !settings.premium_numbers => Some(BlockReason::NumberKind),
        LineKind::PremiumRate | LineKind::SharedCost => {
            (!settings.premium_numbers).then_some(BlockReason::NumberKind)
        }
        LineKind::Unknown => (!settings.unknown_numbers).then_some(BlockReason::NumberUnknown),
        LineKind::FixedLine
        | LineKind::FixedLineOrMobile
        | LineKind::Mobile
        | LineKind::Other
        | LineKind::TollFree
        | LineKind::Voip => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::country::Country;

    fn facts(country: &str, kind: LineKind) -> NumberFacts {
        NumberFacts {
            country: Country::parse(country).ok(),
            kind,
        }
    }

    #[test]
    fn every_country_is_open_until_the_operator_says_otherwise() {
        let country = |text: &str| Country::parse(text).unwrap();
        let open = Settings::default();
        let listed = Settings {
            countries: Countries::Only(vec![country("BE"), country("LV")]),
            ..Settings::default()
        };
        let without = Settings {
            blocked_countries: vec![country("LV")],
            ..listed.clone()
        };
        let refused = Some(BlockReason::Country);
        for (place, expected) in [
            ("BE", [None, None, None]),
            ("LV", [None, None, refused]),
            ("US", [None, refused, refused]),
        ] {
            let found =
                [&open, &listed, &without].map(|settings| refusal(settings, facts(place, LineKind::Mobile)));
            assert_eq!(found, expected, "{place}");
        }
        let nowhere = facts("", LineKind::Mobile);
        assert_eq!(refusal(&open, nowhere), Some(BlockReason::NumberKind));
        assert_eq!(refusal(&listed, nowhere), refused);
    }

    #[test]
    fn dear_and_unknown_kinds_are_refused_unless_the_operator_wants_them() {
        let dear = [LineKind::PremiumRate, LineKind::SharedCost];
        let plain = [
            LineKind::FixedLine,
            LineKind::FixedLineOrMobile,
            LineKind::Mobile,
            LineKind::Other,
            LineKind::TollFree,
            LineKind::Voip,
        ];
        let brave = Settings {
            premium_numbers: true,
            ..Settings::default()
        };
        for kind in dear {
            let found = refusal(&Settings::default(), facts("GB", kind));
            assert_eq!(found, Some(BlockReason::NumberKind), "{kind:?}");
        }
        for kind in plain {
            assert_eq!(refusal(&Settings::default(), facts("GB", kind)), None, "{kind:?}");
        }
        for kind in dear.into_iter().chain(plain) {
            assert_eq!(refusal(&brave, facts("GB", kind)), None, "{kind:?}");
            assert_eq!(refusal(&brave, facts("", kind)), None, "{kind:?}");
        }
        // New ranges are one thing, dear ones another.
        let curious = Settings {
            unknown_numbers: true,
            ..Settings::default()
        };
        let unknown = facts("GB", LineKind::Unknown);
        for settings in [&Settings::default(), &brave] {
            assert_eq!(refusal(settings, unknown), Some(BlockReason::NumberUnknown));
        }
        assert_eq!(refusal(&curious, unknown), None);
        let dear = facts("GB", LineKind::PremiumRate);
        assert_eq!(refusal(&curious, dear), Some(BlockReason::NumberKind));
        let nowhere = facts("", LineKind::Unknown);
        assert_eq!(refusal(&curious, nowhere), Some(BlockReason::NumberKind));
    }
}
