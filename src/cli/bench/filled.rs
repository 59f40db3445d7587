//! `countersign bench totp --filled`: correct codes of the factors that `bench fill` made, of all of them at random, so that
//! most requests are about somebody whom the server has not met lately.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::crypto::totp::{Code, code_at};
use crate::domain::entropy::Entropy;
use crate::domain::time::Clock;
use crate::domain::totp_algorithm::TotpAlgorithm;

use super::fill::Population;
use super::load::Work;
use super::target::{AccountCredentials, PreparedRequest, Target};
use super::totp::live_steps;

/// The factors that still have codes, in the order of their turn. One that is in use is not among them.
pub(super) struct FilledCodes {
    target: Target,
    account: AccountCredentials,
    population: Population,
    clock: Arc<dyn Clock>,
    waiting: Mutex<VecDeque<FilledFactor>>,
}

/// A factor, and the first step whose code it was not asked for yet.
#[derive(Clone, Copy)]
pub(super) struct FilledFactor {
    number: u32,
    next_step: u32,
}

impl FilledCodes {
    /// Those with the numbers from 1 to `count`, in random order.
    pub(super) fn new(
        target: Target,
        account: AccountCredentials,
        population: Population,
        count: u32,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
    ) -> Self {
        let mut numbers: Vec<u32> = (1..=count).collect();
        shuffle(&mut numbers, entropy);
        let waiting = numbers
            .into_iter()
            .map(|number| FilledFactor { number, next_step: 0 });
        Self {
            target,
            account,
            population,
            clock,
            waiting: Mutex::new(waiting.collect()),
        }
    }

    /// The next code of the factor that is live, and its step.
    fn code(&self, factor: FilledFactor) -> Option<(Code, u32)> {
        let secret = self.population.secret(factor.number.into());
        let steps = live_steps(self.clock.now());
        let code = |step| code_at(&secret, TotpAlgorithm::Sha1, 6, step);
        let live: Option<Vec<(u64, Code)>> = steps.map(|step| Some((step, code(step)?))).collect();
        let mut live = live?;
        // Of two steps with one code the server may use up the later one, and take what follows for a replay.
        let is_twice = |code: &Code| {
            live.iter()
                .filter(|(_, other)| other.reveal() == code.reveal())
                .count()
                > 1
        };
        let usable = |(step, code): &(u64, Code)| *step >= factor.next_step.into() && !is_twice(code);
        let position = live.iter().position(usable)?;
        let (step, code) = live.swap_remove(position);
        Some((code, u32::try_from(step).ok()?))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<FilledFactor>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work for FilledCodes {
    type Piece = FilledFactor;

    fn take(&self, request: &mut Vec<u8>) -> Option<FilledFactor> {
        loop {
            let factor = self.lock().pop_front()?;
            let number = factor.number.into();
            let (Some((code, step)), Ok(identity)) = (self.code(factor), self.population.identity(number))
            else {
                // All of its codes were used.
                continue;
            };
            let path = format!(
                "/v2/Services/{}/Entities/{identity}/Challenges",
                self.population.service()
            );
            let form = format!(
                "FactorSid={}&AuthPayload={}",
                self.population.factor(number),
                code.reveal()
            );
            let parts = PreparedRequest {
                method: "POST",
                path: &path,
                form: &form,
            };
            self.target.write(request, &self.account, &parts);
            return Some(FilledFactor {
                number: factor.number,
                next_step: step + 1,
            });
        }
    }

    fn give_back(&self, factor: FilledFactor) {
        self.lock().push_back(factor);
    }
}

/// Fisher and Yates.
fn shuffle(numbers: &mut [u32], entropy: &dyn Entropy) {
    let mut random = vec![0; 8 * 4096];
    let mut left: &[u8] = &[];
    for end in (1..numbers.len()).rev() {
        let bytes = loop {
            if let Some((bytes, rest)) = left.split_first_chunk() {
                left = rest;
                break *bytes;
            }
            entropy.fill(&mut random);
            left = &random;
        };
        let other = u64::from_le_bytes(bytes) % (end as u64 + 1);
        if let Ok(other) = usize::try_from(other) {
            numbers.swap(end, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::domain::time::Timestamp;
    use crate::doubles::{ManualClock, SeededEntropy};

    fn work_with(count: u32) -> (FilledCodes, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
        let codes = FilledCodes::new(
            Target::parse("http://127.0.0.1:1").unwrap(),
            "AC1:t".parse().unwrap(),
            Population::of("a seed"),
            count,
            clock.clone(),
            &SeededEntropy::new(1),
        );
        (codes, clock)
    }

    #[test]
    fn everybody_is_asked_once_before_anybody_is_asked_again() {
        let (work, _) = work_with(1000);
        let mut request = Vec::new();
        let round = |request: &mut Vec<u8>| {
            let mut met = Vec::new();
            for _ in 0..1000 {
                let factor = work.take(request).unwrap();
                met.push((factor.number, request.clone()));
                work.give_back(factor);
            }
            met
        };
        let (first, second) = (round(&mut request), round(&mut request));
        let numbers: Vec<u32> = first.iter().map(|(number, _)| *number).collect();
        assert_ne!(numbers, (1..=1000).collect::<Vec<_>>(), "in random order");
        assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), 1000);
        assert!(first.iter().zip(&second).all(|(one, other)| one.0 == other.0));
        assert!(first.iter().zip(&second).all(|(one, other)| one.1 != other.1));
        let mut left = 0;
        while let Some(factor) = work.take(&mut request) {
            work.give_back(factor);
            left += 1;
        }
        // Five steps are live, and hardly anybody has two with one code.
        assert!((2990..=3000).contains(&left), "{left}");
    }

    #[test]
    fn a_code_whose_time_is_over_is_left_out() {
        let (work, clock) = work_with(1);
        let mut request = Vec::new();
        let first = work.take(&mut request).unwrap();
        clock.advance(Duration::from_mins(3));
        let before = first.next_step;
        work.give_back(first);
        let second = work.take(&mut request).unwrap();
        assert_eq!(second.next_step, before + 3);
    }

    #[test]
    fn a_request_names_who_was_filled() {
        let (work, _) = work_with(1);
        let mut request = Vec::new();
        work.take(&mut request).unwrap();
        let text = String::from_utf8(request).unwrap();
        let population = Population::of("a seed");
        let (service, identity) = (population.service(), population.identity(1).unwrap());
        assert!(text.starts_with(&format!(
            "POST /v2/Services/{service}/Entities/{identity}/Challenges "
        )));
        assert!(text.contains(&format!("FactorSid={}&AuthPayload=", population.factor(1))));
    }
}
