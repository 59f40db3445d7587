//! Numbers of 2048 bits, modulo an odd one: powers in a time that depends on lengths only.

use crypto_bigint::BoxedUint;
use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use zeroize::{Zeroize as _, Zeroizing};

/// How many bytes a number has, the first one the highest.
pub const NUMBER_BYTES: usize = 256;

/// A number in big endian.
pub type Number = [u8; NUMBER_BYTES];

/// What numbers are taken modulo.
#[derive(Clone)]
pub struct Modulus {
    number: Number,
    params: BoxedMontyParams,
}

impl Modulus {
    /// `None` for an even number, and for one that has not all of its 2048 bits.
    #[must_use]
    pub fn new(number: &Number) -> Option<Self> {
        if number[0] & 0x80 == 0 {
            return None;
        }
        let odd = Option::from(read(number).into_odd())?;
        Some(Self {
            number: *number,
            params: BoxedMontyParams::new_vartime(odd),
        })
    }

    /// The modulus itself.
    #[must_use]
    pub fn number(&self) -> &Number {
        &self.number
    }

    /// `base` to the power of `exponent`, which are big endian. Neither of them shows in the time that it takes.
    #[must_use]
    pub fn power(&self, base: &Number, exponent: &Number) -> Zeroizing<Number> {
        let mut exponent = read(exponent);
        let raised = self.form(base).pow(&exponent);
        exponent.zeroize();
        write(raised)
    }

    /// `base` to the power of a number that everybody knows.
    #[must_use]
    pub fn public_power(&self, base: &Number, exponent: u32) -> Zeroizing<Number> {
        let exponent = BoxedUint::from(exponent);
        let bits = exponent.bits_vartime();
        write(self.form(base).pow_bounded_exp(&exponent, bits))
    }

    /// The product of two numbers.
    #[must_use]
    pub fn product(&self, one: &Number, other: &Number) -> Zeroizing<Number> {
        write(self.form(one).mul(&self.form(other)))
    }

    /// What `number` has to be multiplied with for 1; `None` if there is nothing such.
    #[must_use]
    pub fn inverse(&self, number: &Number) -> Option<Zeroizing<Number>> {
        let mut form = self.form(number);
        let inverse: Option<BoxedMontyForm> = form.invert().into();
        form.zeroize();
        inverse.map(write)
    }

    fn form(&self, number: &Number) -> BoxedMontyForm {
        BoxedMontyForm::new(read(number), &self.params)
    }
}

impl std::fmt::Debug for Modulus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Modulus").finish_non_exhaustive()
    }
}

fn read(number: &Number) -> BoxedUint {
    BoxedUint::from_be_slice_truncated(number, 8 * 256)
}

fn write(mut form: BoxedMontyForm) -> Zeroizing<Number> {
    let mut integer = form.retrieve();
    form.zeroize();
    let mut bytes = integer.to_be_bytes();
    integer.zeroize();
    let mut number = Zeroizing::new([0; NUMBER_BYTES]);
    number.copy_from_slice(&bytes);
    bytes.zeroize();
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(value: u8) -> Number {
        let mut number = [0; NUMBER_BYTES];
        number[NUMBER_BYTES - 1] = value;
        number
    }

    /// 2^2048 - 1 is divisible by 3, 5 and 17, and odd.
    fn all_ones() -> Modulus {
        Modulus::new(&[0xff; NUMBER_BYTES]).unwrap()
    }

    #[test]
    fn an_even_or_short_number_is_no_modulus() {
        let mut even = [0xff; NUMBER_BYTES];
        even[NUMBER_BYTES - 1] = 0xfe;
        assert!(Modulus::new(&even).is_none());
        assert!(Modulus::new(&small(7)).is_none());
    }

    #[test]
    fn powers_products_and_inverses_are_those_of_the_numbers() {
        let modulus = all_ones();
        assert_eq!(*modulus.power(&small(3), &small(4)), small(81));
        assert_eq!(*modulus.public_power(&small(3), 4), small(81));
        assert_eq!(*modulus.product(&small(7), &small(11)), small(77));
        // 2 to the power of 2048 is 1.
        let mut exponent = [0; NUMBER_BYTES];
        exponent[NUMBER_BYTES - 2] = 8;
        assert_eq!(*modulus.power(&small(2), &exponent), small(1));
        let half = modulus.inverse(&small(2)).unwrap();
        assert_eq!(*modulus.product(&half, &small(2)), small(1));
        assert!(modulus.inverse(&small(3)).is_none(), "3 divides the modulus");
    }
}
