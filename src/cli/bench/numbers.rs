//! Telephone numbers that reach nobody.
//!
//! They are those that the North American plan keeps for films and books, 555-0100 to 555-0199 of every area. One area follows
//! the other, so that each prefix gets as few codes as possible: a server's guards against toll fraud count them by prefix,
//! and refuse areas that there are not.

use crate::domain::phone::{LineKind, PhoneNumber};

/// The areas that the numbering plan has, each with its lines for everybody.
pub(super) fn areas() -> Vec<u16> {
    let is_usual = |area: &u16| {
        let number = PhoneNumber::parse(&format!("+1{area}5550100"), None);
        number.is_ok_and(|number| {
            let facts = number.facts();
            facts.country.is_some() && facts.kind == LineKind::FixedLineOrMobile
        })
    };
    (200..1000).filter(is_usual).collect()
}

/// The `nth` number; after all of them the first one comes again, with which something was done long ago.
pub(super) fn number(areas: &[u16], nth: usize) -> String {
    let area = areas[nth % areas.len()];
    let line = nth / areas.len() % LINES;
    format!("1{area}55501{line:02}")
}

/// How many numbers of an area are for films and books.
const LINES: usize = 100;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_number_is_one_of_its_plan_and_prefixes_get_the_same_share() {
        let areas = areas();
        assert!(areas.len() > 300, "{}", areas.len());
        let all = areas.len() * LINES;
        let numbers: HashSet<_> = (0..all).map(|nth| number(&areas, nth)).collect();
        assert_eq!(numbers.len(), all);
        assert_eq!(number(&areas, all), number(&areas, 0));
        let first: HashSet<_> = (0..areas.len())
            .map(|nth| number(&areas, nth)[..7].to_owned())
            .collect();
        assert_eq!(first.len(), areas.len());
        for digits in numbers.iter().filter(|digits| digits.ends_with("00")) {
            let parsed = PhoneNumber::parse(&format!("+{digits}"), None).unwrap();
            assert_eq!(parsed.digits(), digits);
        }
    }
}
