//! Handshakes of a client that is written from the published description, and what may be wrong with it.

use super::*;
use crate::doubles::SeededEntropy;

/// Which padding a client's library has.
#[derive(Clone, Copy, Debug)]
enum Padding {
    Older,
    Today,
}

/// What may be wrong with a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientFault {
    None,
    Nonce,
    ServerNonce,
    Fingerprint,
    Factors,
    InnerNonce,
    InnerProduct,
    PaddingDigest,
    ClientDigest,
    Public(u8),
    RetryId,
}

fn keys() -> HandshakeKeys {
    HandshakeKeys::new(RsaKey::generate().unwrap().0)
}

fn pad(inner: &[u8], padding: Padding, fault: ClientFault) -> Number {
    match padding {
        Padding::Older => {
            let mut padded = [5; NUMBER_BYTES];
            padded[0] = 0;
            padded[1..21].copy_from_slice(&sha1(&[inner]));
            padded[21..21 + inner.len()].copy_from_slice(inner);
            if fault == ClientFault::PaddingDigest {
                padded[3] ^= 1;
            }
            padded
        }
        Padding::Today => {
            let mut data = inner.to_vec();
            data.resize(192, 6);
            // Small enough, so that no other key has to be tried.
            for first in 0..=255 {
                let key = [first; 32];
                let mut hidden = data.clone();
                hidden.reverse();
                hidden.extend(sha256(&[&key, &data]));
                if fault == ClientFault::PaddingDigest {
                    hidden[200] ^= 1;
                }
                IgeKey { key, iv: [0; 32] }.encrypt(&mut hidden);
                let digest = sha256(&[&hidden]);
                let mut padded: Vec<u8> = key
                    .iter()
                    .zip(digest)
                    .map(|(byte, digest)| byte ^ digest)
                    .collect();
                padded.extend(hidden);
                if padded[0] < 0x80 {
                    return padded.try_into().unwrap();
                }
            }
            unreachable!("half of all keys will do")
        }
    }
}

/// What a client encrypts with RSA.
fn inner_data(inner: u32, (p, q): (u32, u32), server_nonce: [u8; 16], fault: ClientFault) -> TlWriter {
    let product = u64::from(p) * u64::from(q);
    let told_product = if fault == ClientFault::InnerProduct {
        product + 2
    } else {
        product
    };
    let told = TlWriter::of(inner)
        .bytes(&told_product.to_be_bytes())
        .bytes(&p.to_be_bytes())
        .bytes(&q.to_be_bytes())
        .raw(&if fault == ClientFault::InnerNonce {
            [99; 16]
        } else {
            NONCE
        })
        .raw(&server_nonce)
        .raw(&NEW_NONCE);
    match inner {
        P_Q_INNER_DATA => told,
        P_Q_INNER_DATA_DC => told.int(2),
        P_Q_INNER_DATA_TEMP => told.int(3600),
        _ => told.int(2).int(3600),
    }
}

const NONCE: [u8; 16] = [1; 16];
const NEW_NONCE: [u8; 32] = [3; 32];

/// Goes through a handshake as a client; says whether both have the same key.
fn shake(
    keys: &HandshakeKeys,
    padding: Padding,
    inner: u32,
    fault: ClientFault,
) -> Result<(Agreed, bool), MalformedTl> {
    let entropy = SeededEntropy::new(9);
    let now = Timestamp::from_seconds(1_800_000_000);
    let step = |handshake: Handshake, message: TlWriter| handshake.step(keys, &entropy, now, &message.done());
    let answer = |step: HandshakeStep| match step {
        HandshakeStep::Answer(answer) => answer,
        HandshakeStep::Agreed(_) => panic!("too early"),
    };
    let nonce = NONCE;
    let (handshake, asked) = step(Handshake::Awaited, TlWriter::of(REQ_PQ_MULTI).raw(&nonce))?;
    let asked = answer(asked);
    let mut reader = TlReader::new(&asked);
    assert_eq!(reader.word().unwrap(), RES_PQ);
    assert_eq!(reader.array::<16>().unwrap(), nonce);
    let server_nonce: [u8; 16] = reader.array().unwrap();
    let product = u64::from_be_bytes(reader.bytes().unwrap().try_into().unwrap());
    let fingerprint = reader.longs(1).unwrap()[0];
    let Handshake::Asked(_, (p, q)) = &handshake else {
        panic!()
    };
    let (p, mut q) = (*p, *q);
    assert_eq!(u64::from(p) * u64::from(q), product);
    let wrong = |value: [u8; 16], when: ClientFault| if fault == when { [99; 16] } else { value };
    let told = inner_data(inner, (p, q), server_nonce, fault);
    let encrypted = keys.rsa.encrypt(&pad(&told.done(), padding, fault));
    if fault == ClientFault::Factors {
        q += 2;
    }
    let (handshake, offered) = step(
        handshake,
        TlWriter::of(REQ_DH_PARAMS)
            .raw(&wrong(nonce, ClientFault::Nonce))
            .raw(&wrong(server_nonce, ClientFault::ServerNonce))
            .bytes(&p.to_be_bytes())
            .bytes(&q.to_be_bytes())
            .long(fingerprint + i64::from(fault == ClientFault::Fingerprint))
            .bytes(&encrypted),
    )?;
    let offered = answer(offered);
    let nonces = Nonces {
        client: nonce,
        server: server_nonce,
    };
    let ige = nonces.ige_key(&NEW_NONCE);
    let mut reader = TlReader::new(&offered);
    assert_eq!(reader.word().unwrap(), SERVER_DH_PARAMS_OK);
    nonces.require(&mut reader).unwrap();
    let mut data = reader.bytes().unwrap().to_vec();
    ige.decrypt(&mut data);
    let mut reader = TlReader::new(&data[20..]);
    assert_eq!(reader.word().unwrap(), SERVER_DH_INNER_DATA);
    nonces.require(&mut reader).unwrap();
    assert_eq!(reader.int().unwrap(), 3);
    assert_eq!(reader.bytes().unwrap(), PRIME);
    let public: Number = reader.bytes().unwrap().try_into().unwrap();
    assert_eq!(reader.int().unwrap(), 1_800_000_000);
    assert_eq!(data[..20], sha1(&[&data[20..data.len() - reader.rest().len()]]));

    let secret = [0x5a; NUMBER_BYTES];
    let mut own_public = *keys.prime.power(&GENERATOR, &secret);
    if let ClientFault::Public(number) = fault {
        own_public = match number {
            0 | 1 => padded(&[number]).unwrap(),
            2 => PRIME,
            _ => {
                let mut nearly = PRIME;
                nearly[NUMBER_BYTES - 1] -= 1;
                nearly
            }
        };
    }
    let told = nonces
        .write(TlWriter::of(CLIENT_DH_INNER_DATA))
        .long(i64::from(fault == ClientFault::RetryId))
        .bytes(&own_public)
        .done();
    let mut data = [&sha1(&[&told])[..], &told].concat();
    if fault == ClientFault::ClientDigest {
        data[0] ^= 1;
    }
    data.resize(data.len().next_multiple_of(BLOCK_BYTES), 8);
    ige.encrypt(&mut data);
    let message = nonces.write(TlWriter::of(SET_CLIENT_DH_PARAMS)).bytes(&data);
    let (_, HandshakeStep::Agreed(agreed)) = step(handshake, message)? else {
        panic!("the last step ends it")
    };
    let own_key = keys.prime.power(&public, &secret);
    let is_same = *own_key == *agreed.key;
    let aux = &sha1(&[own_key.as_slice()])[..8];
    assert_eq!(agreed.accepted[36..], sha1(&[&NEW_NONCE, &[1], aux])[4..]);
    Ok((*agreed, is_same))
}

#[test]
fn both_paddings_and_all_kinds_of_keys_are_agreed_on() {
    let keys = keys();
    for padding in [Padding::Older, Padding::Today] {
        for (inner, life) in [
            (P_Q_INNER_DATA, None),
            (P_Q_INNER_DATA_DC, None),
            (P_Q_INNER_DATA_TEMP, Some(3600)),
            (P_Q_INNER_DATA_TEMP_DC, Some(3600)),
        ] {
            let (agreed, is_same) = shake(&keys, padding, inner, ClientFault::None).unwrap();
            assert!(is_same, "{padding:?}");
            assert_eq!(agreed.life, life);
        }
    }
}

#[test]
fn whatever_is_not_as_it_must_be_ends_it() {
    let keys = keys();
    for padding in [Padding::Older, Padding::Today] {
        for fault in [
            ClientFault::Nonce,
            ClientFault::ServerNonce,
            ClientFault::Fingerprint,
            ClientFault::Factors,
            ClientFault::InnerNonce,
            ClientFault::InnerProduct,
            ClientFault::PaddingDigest,
            ClientFault::ClientDigest,
            ClientFault::Public(0),
            ClientFault::Public(1),
            ClientFault::Public(2),
            ClientFault::Public(3),
            ClientFault::RetryId,
        ] {
            let shaken = shake(&keys, padding, P_Q_INNER_DATA_DC, fault);
            assert_eq!(shaken.map(|_| ()), Err(MalformedTl), "{padding:?}, {fault:?}");
        }
    }
}

#[test]
fn steps_are_taken_in_their_order() {
    let keys = keys();
    let entropy = SeededEntropy::new(2);
    for constructor in [REQ_DH_PARAMS, SET_CLIENT_DH_PARAMS, 7] {
        let message = TlWriter::of(constructor).raw(&[0; 64]).done();
        let step = Handshake::Awaited.step(&keys, &entropy, Timestamp::from_seconds(0), &message);
        assert!(step.is_err(), "{constructor:x}");
    }
}

#[test]
fn halves_of_keys_are_safe_within_the_margin_only() {
    let mut least = [0; NUMBER_BYTES];
    least[7] = 1;
    let mut most = PRIME;
    most[7] -= 1;
    assert!(is_safe(&least) && is_safe(&most));
    least[7] = 0;
    least[8..].fill(0xff);
    most[NUMBER_BYTES - 1] += 1;
    assert!(!is_safe(&least) && !is_safe(&most));
}
