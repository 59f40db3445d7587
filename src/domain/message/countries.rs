//! Which language a country is written to in.

use super::super::country::Country;

/// The locale for numbers of `country`. English where several languages are at home and none is most people's, where it
/// is what they share, and where there are no messages in theirs.
pub(super) fn language(country: Country) -> &'static str {
    LANGUAGES
        .iter()
        .find(|(_, countries)| countries.split(' ').any(|code| code == country.as_str()))
        .map_or("en", |(locale, _)| locale)
}

const LANGUAGES: &[(&str, &str)] = &[
    (
        "ar",
        "AE BH DJ DZ EG IQ JO KM KW LB LY MA MR OM PS QA SA SD SY TN YE",
    ),
    ("bg", "BG"),
    ("bn", "BD"),
    ("ca", "AD"),
    ("cs", "CZ"),
    ("da", "DK GL"),
    ("de", "AT CH DE LI"),
    ("el", "CY GR"),
    ("en-GB", "GB GG IM JE"),
    (
        "es",
        "AR BO CL CO CR CU DO EC ES GQ GT HN MX NI PA PE PR PY SV UY VE",
    ),
    ("et", "EE"),
    ("fi", "AX FI"),
    (
        "fr",
        "BF BI BJ BL CD CF CG CI FR GA GF GN GP HT LU MC MF MG ML MQ NC NE PF PM RE SN TD TG WF YT",
    ),
    ("he", "IL"),
    ("hr", "HR"),
    ("hu", "HU"),
    ("id", "ID"),
    ("it", "IT SM VA"),
    ("ja", "JP"),
    ("ko", "KR"),
    ("lt", "LT"),
    ("lv", "LV"),
    ("ms", "BN MY"),
    ("nb", "NO SJ"),
    ("nl", "AW BE BQ CW NL SR SX"),
    ("pl", "PL"),
    ("pt", "AO CV GW MZ PT ST TL"),
    ("pt-BR", "BR"),
    ("ro", "MD RO"),
    ("ru", "BY KG KZ RU"),
    ("sk", "SK"),
    ("sl", "SI"),
    ("sr", "RS"),
    ("sv", "SE"),
    ("sw", "TZ"),
    ("th", "TH"),
    ("tr", "TR"),
    ("uk", "UA"),
    ("ur", "PK"),
    ("vi", "VN"),
    ("zh-CN", "CN"),
    ("zh-HK", "HK MO TW"),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_country_has_one_language() {
        let mut seen = HashSet::new();
        for code in LANGUAGES.iter().flat_map(|(_, countries)| countries.split(' ')) {
            assert!(Country::parse(code).is_ok() && seen.insert(code), "{code}");
        }
        let of = |code| language(Country::parse(code).unwrap());
        assert_eq!(
            [of("BR"), of("AT"), of("TW"), of("US"), of("IN"), of("ZA")],
            ["pt-BR", "de", "zh-HK", "en", "en", "en"]
        );
    }
}
