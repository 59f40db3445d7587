//! Countries that changed how their mobile numbers are written: one line, two numbers.
//!
//! Networks take either for a while or for ever, so that limits must know them as one.

/// The form of a number without a plus sign that took its place for good: `52 1` before a mobile phone of Mexico ended in
/// 2019 (plan of the IFT of 2018), and is dialled by nobody since.
pub(super) fn today(digits: &str) -> Option<String> {
    let subscriber = digits.strip_prefix("521").filter(|rest| rest.len() == 10)?;
    Some(format!("52{subscriber}"))
}

/// The form of a number without a plus sign that a text message to it needs: the number of a mobile phone as the country's
/// plan has it today. `None` if it has that form, or is no such number.
///
/// A call goes to the number as it was given: in Argentina only the 9 tells a mobile phone from a line in a house.
pub(super) fn mobile(digits: &str) -> Option<String> {
    let national = |code: &str, length: usize| {
        let rest = digits.strip_prefix(code)?;
        (rest.len() == length).then_some(rest)
    };
    if let Some(rest) = national("54", 10) {
        // Areas begin with 1, 2 or 3.
        return rest.starts_with(['1', '2', '3']).then(|| format!("549{rest}"));
    }
    if let Some(rest) = national("55", 10) {
        // Mobile phones got a ninth digit from 2012 to 2016 (resolution 553 of Anatel); lines in houses begin with 2 to 5.
        let (area, line) = rest.split_at(2);
        return line
            .starts_with(['6', '7', '8', '9'])
            .then(|| format!("55{area}9{line}"));
    }
    // Benin's numbers got 01 in front in November 2024.
    national("229", 8).map(|rest| format!("22901{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_forms_come_to_those_of_today() {
        for (old, new) in [
            ("541123456789", Some("5491123456789")),
            ("5491123456789", None),
            ("548001234567", None),
            ("551188765432", Some("5511988765432")),
            ("5511988765432", None),
            ("551133334444", None),
            ("22997123456", Some("2290197123456")),
            ("2290197123456", None),
            ("14155552671", None),
        ] {
            assert_eq!(mobile(old).as_deref(), new, "{old}");
            assert!(new.is_none_or(|new| mobile(new).is_none()), "{old}");
        }
        assert_eq!(today("5215512345678").as_deref(), Some("525512345678"));
        assert_eq!(today("525512345678"), None);
    }
}
