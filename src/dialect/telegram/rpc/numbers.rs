//! Numbers and attempts as clients write them.

use super::errors::RpcError;
use crate::domain::phone::PhoneNumber;
use crate::domain::sid::VerificationSid;

/// A phone number, with or without the plus sign and whatever people put between digits: clients differ in what they take out.
///
/// # Errors
/// `PHONE_NUMBER_INVALID`
pub(super) fn phone(text: &str, layer: Option<u32>) -> Result<PhoneNumber, RpcError> {
    let between = |character: char| " ()-+".contains(character);
    let digits: String = text.chars().filter(|character| !between(*character)).collect();
    PhoneNumber::parse(&format!("+{digits}"), None).map_err(|_| RpcError::phone_number_invalid(layer))
}

/// What names an attempt to log in, besides the number: `phone_code_hash`.
pub(super) fn attempt_name(sid: VerificationSid) -> String {
    format!("{:032x}", u128::from_be_bytes(*sid.as_bytes()))
}

/// The attempt of this name.
///
/// # Errors
/// `PHONE_CODE_HASH_EMPTY`; `PHONE_CODE_EXPIRED` if there is none that could be called so.
pub(super) fn attempt(name: &str) -> Result<VerificationSid, RpcError> {
    if name.is_empty() {
        return Err(RpcError::PHONE_CODE_HASH_EMPTY);
    }
    let is_written_so =
        name.len() == 32 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let number = u128::from_str_radix(name, 16).ok().filter(|_| is_written_so);
    let number = number.ok_or(RpcError::PHONE_CODE_EXPIRED)?;
    Ok(VerificationSid::from_bytes(number.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_each_client_writes_them() {
        for text in ["12025550123", "+12025550123", "+1 (202) 555-0123"] {
            assert_eq!(phone(text, Some(229)).unwrap().as_str(), "+12025550123");
        }
        for text in ["", "+", "ada", "1202555012x", "999999999999999999999"] {
            assert_eq!(
                phone(text, Some(229)),
                Err(RpcError::phone_number_invalid(Some(229))),
                "{text}"
            );
        }
    }

    #[test]
    fn an_attempt_is_found_by_the_name_it_was_given_alone() {
        let sid = VerificationSid::from_bytes([0xab; 16]);
        assert_eq!(attempt(&attempt_name(sid)), Ok(sid));
        assert_eq!(attempt(""), Err(RpcError::PHONE_CODE_HASH_EMPTY));
        for name in [
            "x",
            &attempt_name(sid).to_uppercase(),
            &"+".repeat(32),
            &"ab".repeat(17),
        ] {
            assert_eq!(attempt(name), Err(RpcError::PHONE_CODE_EXPIRED), "{name}");
        }
    }
}
