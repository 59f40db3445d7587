//! Which notifications take each other's place while a device is away.
//!
//! FCM keeps at most four different `collapse_key`s for a device, and says nothing of which it drops if there are more. So
//! there are four, and a challenge has one of them until it is over: another one gets it before only when all four have
//! challenges that wait, and then it is that of the one that ends first.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::delivery::push::PushMessage;
use crate::delivery::push::kept::Digest;
use crate::domain::sid::ChallengeSid;
use crate::domain::text::NotificationToken;
use crate::domain::time::Timestamp;

/// The most keys that FCM keeps for a device.
const PLACES: usize = 4;

/// The most devices that are known; of further ones challenges have a place by chance.
const MOST_DEVICES: usize = 20_000;

/// Which challenge of each device has which place, as far as this process has seen.
#[derive(Debug, Default)]
pub(super) struct CollapsePlaces(Mutex<HashMap<Digest, [Option<CollapsePlace>; PLACES]>>);

#[derive(Clone, Copy, Debug)]
struct CollapsePlace {
    challenge: ChallengeSid,
    until: Timestamp,
}

impl CollapsePlaces {
    /// The place of the message's challenge among those of `device`, from 0: the same for all its tries.
    pub(super) fn place(
        &self,
        device: &NotificationToken,
        message: &PushMessage<'_>,
        now: Timestamp,
    ) -> usize {
        let mut devices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let device = Digest::of(&[device.as_str()]);
        if devices.len() >= MOST_DEVICES && !devices.contains_key(&device) {
            devices.retain(|_, places| places.iter().flatten().any(|taken| taken.until > now));
            if devices.len() >= MOST_DEVICES {
                return usize::from(message.challenge.as_bytes()[15]) % PLACES;
            }
        }
        let places = devices.entry(device).or_default();
        let mine =
            |taken: &Option<CollapsePlace>| taken.is_some_and(|taken| taken.challenge == message.challenge);
        let place = places.iter().position(mine).unwrap_or_else(|| {
            let ends = |place: &usize| {
                let waiting = places[*place].filter(|taken| taken.until > now);
                waiting.map(|taken| taken.until)
            };
            (0..PLACES).min_by_key(ends).unwrap_or_default()
        });
        places[place] = Some(CollapsePlace {
            challenge: message.challenge,
            until: message.expires_at,
        });
        place
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::sid::{EventSid, FactorSid};

    fn place(places: &CollapsePlaces, device: &str, challenge: u8, seconds: u64) -> usize {
        let device = NotificationToken::parse(device).unwrap();
        let start = Timestamp::from_seconds(1_800_000_000);
        let now = start + Duration::from_secs(seconds);
        let message = PushMessage {
            id: EventSid::from_bytes([1; 16]),
            challenge: ChallengeSid::from_bytes([challenge; 16]),
            factor: FactorSid::from_bytes([3; 16]),
            text: "",
            expires_at: start + Duration::from_secs(u64::from(challenge) + 300),
        };
        places.place(&device, &message, now)
    }

    #[test]
    fn a_device_has_four_places_and_what_is_over_makes_room() {
        let (places, device) = (CollapsePlaces::default(), "a".repeat(64));
        let at = |challenge, seconds| place(&places, &device, challenge, seconds);
        assert_eq!([0, 1, 2, 3].map(|challenge| at(challenge, 10)), [0, 1, 2, 3]);
        assert_eq!([3, 2, 1, 0].map(|challenge| at(challenge, 20)), [3, 2, 1, 0]);
        assert_eq!(at(4, 30), 0, "the one that ends first");
        assert_eq!(at(5, 301), 1, "the one that is over");
        assert_eq!(at(4, 301), 0);
        assert_eq!(
            place(&places, &"b".repeat(64), 9, 30),
            0,
            "another device's are others"
        );
    }

    #[test]
    fn however_many_devices_there_are_what_is_remembered_is_bounded() {
        let places = CollapsePlaces::default();
        for number in 0..MOST_DEVICES + 50 {
            assert!(place(&places, &format!("{number:064}"), 1, 0) < PLACES);
        }
        assert_eq!(places.0.lock().unwrap().len(), MOST_DEVICES);
        place(&places, &"c".repeat(64), 1, 10_000);
        assert_eq!(places.0.lock().unwrap().len(), 1);
    }
}
