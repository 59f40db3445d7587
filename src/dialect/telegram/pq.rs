//! The product of two primes that a client takes apart before anything is calculated for it.

use crate::domain::entropy::Entropy;

/// Two primes of 31 bits, the lesser one first, which are not the same.
pub fn two_primes(entropy: &dyn Entropy) -> (u32, u32) {
    let first = prime(entropy);
    loop {
        let second = prime(entropy);
        if first != second {
            return (first.min(second), first.max(second));
        }
    }
}

/// A random prime of 31 bits.
fn prime(entropy: &dyn Entropy) -> u32 {
    loop {
        let mut bytes = [0; 4];
        entropy.fill(&mut bytes);
        let candidate = u32::from_be_bytes(bytes) & 0x7fff_ffff | 0x4000_0001;
        if is_prime(candidate) {
            return candidate;
        }
    }
}

/// Miller and Rabin's test with bases that leave no doubt below 2^32 (Jaeschke 1993).
fn is_prime(number: u32) -> bool {
    const BASES: [u32; 3] = [2, 7, 61];
    if number < 2 || number.is_multiple_of(2) {
        return number == 2;
    }
    let modulus = u64::from(number);
    let twos = (number - 1).trailing_zeros();
    BASES.iter().all(|base| {
        let base = u64::from(*base) % modulus;
        let mut power = power(base, (number - 1) >> twos, modulus);
        if base == 0 || power == 1 || power == modulus - 1 {
            return true;
        }
        (1..twos).any(|_| {
            power = power * power % modulus;
            power == modulus - 1
        })
    })
}

fn power(mut base: u64, mut exponent: u32, modulus: u64) -> u64 {
    let mut power = 1;
    while exponent > 0 {
        if exponent % 2 == 1 {
            power = power * base % modulus;
        }
        base = base * base % modulus;
        exponent /= 2;
    }
    power
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::SeededEntropy;

    #[test]
    fn primes_are_primes() {
        let divides = |number: u32| {
            (2..number)
                .take_while(|by| by * by <= number)
                .any(|by| number.is_multiple_of(by))
        };
        for number in 2..2000 {
            assert_eq!(is_prime(number), !divides(number), "{number}");
        }
        // Carmichael numbers and strong pseudoprimes to the base 2.
        for number in [561, 2047, 3277, 3_215_031_751] {
            assert!(!is_prime(number), "{number}");
        }
        let entropy = SeededEntropy::new(3);
        for _ in 0..5 {
            let (lesser, greater) = two_primes(&entropy);
            assert!(lesser < greater && !divides(lesser) && !divides(greater));
            assert!(u64::from(lesser) * u64::from(greater) < 1 << 63);
        }
    }
}
